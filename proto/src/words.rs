//! The closed vocabularies, written and read word for word. A word that is added in one place and not in
//! the other does not compile.

use referral::vocab::*;

use crate::wire::common::v1 as wire;

/// A word of a vocabulary that has a number on the wire.
pub trait Word: Copy {
    /// Its number.
    fn number(self) -> i32;
    /// The word with this number.
    fn of(number: i32) -> Result<Self, NotAWord>;
}

/// Why a number is not a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAWord {
    /// Zero: nothing was said.
    Unspecified,
    /// A number that this edition of the contract does not have.
    Unknown,
}

macro_rules! same_words {
    ($name:ident: $($word:ident)+) => {
        impl Word for $name {
            fn number(self) -> i32 {
                match self { $($name::$word => wire::$name::$word as i32,)+ }
            }

            fn of(number: i32) -> Result<Self, NotAWord> {
                match wire::$name::try_from(number) {
                    $(Ok(wire::$name::$word) => Ok($name::$word),)+
                    Ok(wire::$name::Unspecified) => Err(NotAWord::Unspecified),
                    Err(_) => Err(NotAWord::Unknown),
                }
            }
        }
    };
}

same_words! {
    EventKind:
    Referral LowLevelConcern Allegation Correction ConsentWithdrawn ProfessionalDisagreement ServiceRequest
    CpFileTransfer CpPlanTransferAccepted CpisAttendance MissingChildReturn OperationEncompass PoliceProtectionS46
    PrivateFosteringNotification SeriousIncident StrategyDiscussionHeld TransferRefused Acknowledgement
    ReferralOutcome OutcomeNotice ClockBreached OperatorQuery IcpcHeld
}
same_words!(Level: ImmediateDanger SignificantHarm InNeed EarlyHelp Information);
same_words! {
    HarmType:
    AlcoholMisuseParent ChildOnChildSexual CriminalExploitation DisabilitySupport DomesticAbuse EmotionalWellbeing
    FabricatedOrInducedIllness FamilySupport FgmKnown FgmReportedByThirdParty FgmRisk Homelessness LikelyHarm
    LikelyNeglect Missing Neglect None OtherWelfare ParentingSupport PhysicalAbuse PrivateFostering Radicalisation
    SelfHarm SeriousIncident SexualAbuse SexualExploitation Trafficking UnaccompaniedAsylumSeeking YoungCarer
    NotStated
}
same_words!(HarmPlace: Home Found Elsewhere NotStated);
same_words!(Agreement: Given Refused Awaited NotSoughtWithReason NotSoughtNoReason NotStated GivenWithoutStanding);
same_words!(AgreementHolder: ParentalResponsibility YoungPerson CompetentChild);
same_words!(DutyDecision: Share MoreDetrimental NotRecorded);
same_words! {
    Category:
    Identity ContactAddress ProtectedAddress FamilyComposition UnrelatedSiblingRecord ConcernNarrative RiskLevel
    Outcome EducationRecord ChildHealth SexualHealth ParentHealth ThirdParty ReferrerIdentity CriminalOffence
    PoliceIntelligence DomesticAbuseDetail MaracInformation Mappa ImmigrationStatus AdoptionRecord
    AllegationAgainstProfessional ChildVoice SpecialCategoryOther LegalProceedings AttendanceEvent ConsentRecord
    ClockStatus MissingEpisode Unknown
}
same_words!(Subject: Child Parent Sibling Other);
same_words!(Knowledge: Direct ThirdParty NotStated);
same_words! {
    HandlingFlag:
    AddressProtected PdsSensitive DoNotInformParents ReferrerAnonymousToFamily ConflictOfInterestRecipientStaff
    PoliceHandlingP PoliceHandlingC PoliceHandlingLegacy5 Unsanitised NotForEducation NotForFamily PoliceOnly
    Secret DoNotContactSuspectOrWitness
}
same_words! {
    Outcome:
    NoFurtherAction InformationAdvice EarlyHelp S17Assessment StrategyDiscussionS47 EmergencyAction AlreadyOpen
    TransferOutOfArea AdultServices Lado PrivateFostering ReturnedMoreInformation
}
same_words!(Reporter: Regulated Other NotStated);
same_words!(ClaimedBasis: None Consent Other);
same_words!(Rating: Red Amber Green NotRated);
same_words!(Carer: Parent CloseRelative AnybodyElse NotStated);
same_words!(TraceResult: Matched Mismatch NotTraced);
