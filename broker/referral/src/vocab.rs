//! The closed vocabularies: every word that a rule, a message or a record may use.
//!
//! Each is an enum whose values have one written form, used alike in rule packs, on the wire's JSON and in
//! records. *Unknown* and *not stated* are values here, never an absence, so that a rule must say what it
//! does about them.

/// An enum all of whose values can be listed, written and read back.
pub trait Vocabulary: Copy + Eq + Sized + 'static {
    /// What the vocabulary is called in a rule pack.
    const NAME: &'static str;
    /// Every value, in the order in which they were written down.
    const ALL: &'static [Self];
    /// The value's one written form.
    fn as_str(self) -> &'static str;
    /// The value's place in [`Vocabulary::ALL`].
    fn ordinal(self) -> usize;
    /// The value as words in a sentence.
    fn words(self) -> String {
        self.as_str().replace('_', " ")
    }
    /// The value written as `text`, if there is one.
    fn read(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.as_str() == text)
    }
}

/// Declares an enum with its written forms, once.
macro_rules! vocabulary {
    ($(#[$meta:meta])* $vis:vis enum $name:ident = $label:literal {
        $($(#[$value_meta:meta])* $value:ident => $text:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $vis enum $name { $($(#[$value_meta])* $value,)+ }

        impl $crate::vocab::Vocabulary for $name {
            const NAME: &'static str = $label;
            const ALL: &'static [Self] = &[$(Self::$value,)+];
            fn as_str(self) -> &'static str {
                match self { $(Self::$value => $text,)+ }
            }
            fn ordinal(self) -> usize {
                self as usize
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::vocab::Vocabulary::as_str(*self))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($crate::vocab::Vocabulary::as_str(*self))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                <Self as $crate::vocab::Vocabulary>::read(&text).ok_or_else(|| {
                    serde::de::Error::custom(concat!("not a value of ", $label))
                })
            }
        }
    };
}

pub(crate) use vocabulary;

vocabulary! {
    /// Which kind of agency sends.
    pub enum SenderKind = "sender" {
        /// A maintained school or academy: a public authority.
        School => "school",
        /// An independent school: private law, LB-03.
        IndependentSchool => "independent_school",
        /// A police force.
        Police => "police",
        /// An NHS body or contractor.
        Nhs => "nhs",
        /// The authority's own children's services.
        Authority => "la",
        /// Another authority, or another department.
        OtherAuthority => "la_other",
        /// A voluntary or community organisation.
        Voluntary => "vcs",
        /// A member of the public.
        Public => "public",
        /// Whoever runs this broker.
        Operator => "operator",
        /// The broker itself.
        Broker => "broker",
    }
}

vocabulary! {
    /// What kind of message it is (rules.md section 5; the cases use these words).
    pub enum EventKind = "event" {
        /// A concern put to children's social care for a decision.
        Referral => "referral",
        /// A concern that stays with the school unless the rules say otherwise.
        LowLevelConcern => "low_level_concern",
        /// An allegation against somebody who works with children.
        Allegation => "allegation",
        /// A correction of something already sent.
        Correction => "correction",
        /// Agreement given earlier is withdrawn.
        ConsentWithdrawn => "consent_withdrawn",
        /// The sender disputes what was decided.
        ProfessionalDisagreement => "professional_disagreement",
        /// A request for a service.
        ServiceRequest => "service_request",
        /// A child protection file follows the child.
        CpFileTransfer => "cp_file_transfer",
        /// A child protection plan is taken over.
        CpPlanTransferAccepted => "cp_plan_transfer_accepted",
        /// A child with a plan attended unscheduled care.
        CpisAttendance => "cpis_attendance",
        /// A missing child came back.
        MissingChildReturn => "missing_child_return",
        /// Police tell a school about domestic abuse.
        OperationEncompass => "operation_encompass",
        /// Police took a child into protection (Children Act 1989 s46).
        PoliceProtectionS46 => "police_protection_s46",
        /// A child lives with somebody who is not close family.
        PrivateFosteringNotification => "private_fostering_notification",
        /// A serious incident.
        SeriousIncident => "serious_incident",
        /// A strategy discussion was held.
        StrategyDiscussionHeld => "strategy_discussion_held",
        /// An initial child protection conference was held (CL-03b).
        IcpcHeld => "icpc_held",
        /// An authority would not take a case over.
        TransferRefused => "transfer_refused",
        /// A named person has the referral.
        Acknowledgement => "acknowledgement",
        /// What the authority decided.
        ReferralOutcome => "referral_outcome",
        /// What a family or other household is told.
        OutcomeNotice => "outcome_notice",
        /// A clock ran out.
        ClockBreached => "clock_breached",
        /// An operator asks.
        OperatorQuery => "operator_query",
    }
}

vocabulary! {
    /// How serious the sender says it is. The machine never lowers it (TC-08).
    pub enum Level = "level" {
        /// A child is in danger now. This does not replace 999.
        ImmediateDanger => "immediate_danger",
        /// Reasonable cause to suspect significant harm (Children Act 1989 s47).
        SignificantHarm => "significant_harm",
        /// A child in need (Children Act 1989 s17).
        InNeed => "in_need",
        /// Early help, a voluntary service.
        EarlyHelp => "early_help",
        /// Information only.
        Information => "information",
    }
}

impl Level {
    /// Significant harm or above: nothing may hold such a referral back but the three exceptions of P4.
    pub fn is_significant_harm_or_above(self) -> bool {
        matches!(self, Level::ImmediateDanger | Level::SignificantHarm)
    }
}

vocabulary! {
    /// What the child may be suffering.
    pub enum HarmType = "harm" {
        /// A parent's drinking.
        AlcoholMisuseParent => "alcohol_misuse_parent",
        /// Sexual harm by another child.
        ChildOnChildSexual => "child_on_child_sexual",
        /// Exploitation for crime.
        CriminalExploitation => "criminal_exploitation",
        /// Support because of a disability.
        DisabilitySupport => "disability_support",
        /// Domestic abuse.
        DomesticAbuse => "domestic_abuse",
        /// Emotional wellbeing.
        EmotionalWellbeing => "emotional_wellbeing",
        /// Fabricated or induced illness.
        FabricatedOrInducedIllness => "fabricated_or_induced_illness",
        /// Support for the family.
        FamilySupport => "family_support",
        /// Female genital mutilation, known.
        FgmKnown => "fgm_known",
        /// Female genital mutilation, reported by somebody else.
        FgmReportedByThirdParty => "fgm_reported_by_third_party",
        /// Female genital mutilation, a risk.
        FgmRisk => "fgm_risk",
        /// Homelessness.
        Homelessness => "homelessness",
        /// Likely harm.
        LikelyHarm => "likely_harm",
        /// Likely neglect.
        LikelyNeglect => "likely_neglect",
        /// Missing.
        Missing => "missing",
        /// Neglect.
        Neglect => "neglect",
        /// None.
        None => "none",
        /// Another welfare matter.
        OtherWelfare => "other_welfare",
        /// Support with parenting.
        ParentingSupport => "parenting_support",
        /// Physical abuse.
        PhysicalAbuse => "physical_abuse",
        /// Private fostering.
        PrivateFostering => "private_fostering",
        /// Radicalisation.
        Radicalisation => "radicalisation",
        /// Self-harm.
        SelfHarm => "self_harm",
        /// A serious incident.
        SeriousIncident => "serious_incident",
        /// Sexual abuse.
        SexualAbuse => "sexual_abuse",
        /// Sexual exploitation.
        SexualExploitation => "sexual_exploitation",
        /// Trafficking.
        Trafficking => "trafficking",
        /// An unaccompanied asylum-seeking child.
        UnaccompaniedAsylumSeeking => "unaccompanied_asylum_seeking",
        /// A young carer.
        YoungCarer => "young_carer",
        /// The sender does not say.
        NotStated => "not_stated",
    }
}

vocabulary! {
    /// What a piece of information is about: the rows of the minimisation matrix (rules.md 1(d)).
    pub enum Category = "category" {
        /// Who the child is.
        Identity => "identity",
        /// Where the child lives, and how to reach the family.
        ContactAddress => "contact_address",
        /// An address that somebody must not learn (DM-03).
        ProtectedAddress => "protected_address",
        /// Who lives in the household.
        FamilyComposition => "family_composition",
        /// The record of a sibling whom this is not about (DM-07).
        UnrelatedSiblingRecord => "unrelated_sibling_record",
        /// What worries the sender.
        ConcernNarrative => "concern_narrative",
        /// How great the sender thinks the risk is.
        RiskLevel => "risk_level",
        /// What was decided.
        Outcome => "outcome",
        /// Attendance, attainment, the school's file.
        EducationRecord => "education_record",
        /// The child's health.
        ChildHealth => "child_health",
        /// The child's sexual health (DM-06).
        SexualHealth => "sexual_health",
        /// A parent's health.
        ParentHealth => "parent_health",
        /// Somebody else's information.
        ThirdParty => "third_party",
        /// Who told the sender.
        ReferrerIdentity => "referrer_identity",
        /// Offences and allegations of offences.
        CriminalOffence => "criminal_offence",
        /// Police intelligence (HR-01).
        PoliceIntelligence => "police_intelligence",
        /// Detail of domestic abuse.
        DomesticAbuseDetail => "domestic_abuse_detail",
        /// From a multi-agency risk assessment conference (HR-05).
        MaracInformation => "marac_information",
        /// From multi-agency public protection arrangements (HR-05).
        Mappa => "mappa",
        /// Immigration status (DM-08).
        ImmigrationStatus => "immigration_status",
        /// Adoption (DM-05).
        AdoptionRecord => "adoption_record",
        /// An allegation against somebody who works with children (DM-09).
        AllegationAgainstProfessional => "allegation_against_professional",
        /// What the child says.
        ChildVoice => "child_voice",
        /// Ethnicity, religion, genetics and other special categories.
        SpecialCategoryOther => "special_category_other",
        /// Court papers (DM-16).
        LegalProceedings => "legal_proceedings",
        /// Attendance at unscheduled care (DM-10).
        AttendanceEvent => "attendance_event",
        /// Who agreed to what.
        ConsentRecord => "consent_record",
        /// How the clocks stand.
        ClockStatus => "clock_status",
        /// When and where a child was missing.
        MissingEpisode => "missing_episode",
        /// A category this edition does not know: withheld and flagged (DM-15).
        Unknown => "unknown",
    }
}

vocabulary! {
    /// As what a recipient receives: the columns of the minimisation matrix.
    pub enum RecipientKind = "recipient" {
        /// The responsible authority's front door, out-of-hours team or worker.
        FrontDoor => "front_door",
        /// The designated officer for allegations.
        Lado => "lado",
        /// The authority's family help and early help.
        FamilyHelp => "family_help",
        /// A commissioned voluntary provider.
        VoluntaryProvider => "vcs",
        /// Police public protection.
        Police => "police",
        /// A named professional in the NHS.
        NhsProfessional => "nhs_professional",
        /// Unscheduled care.
        NhsUrgentCare => "nhs_urgent_care",
        /// A designated safeguarding lead.
        School => "school",
        /// Another authority that is told.
        OtherAuthority => "other_authority",
        /// The practitioner who referred, for feedback.
        Referrer => "referrer",
        /// A parent or carer.
        Parent => "parent",
        /// Another household, or the alleged perpetrator.
        OtherHousehold => "other_household",
        /// An employer.
        Employer => "employer",
        /// Whoever runs this broker.
        Operator => "operator",
        /// A multi-agency risk assessment conference (RA-24).
        Marac => "marac",
        /// The national referral mechanism (RA-19).
        Nrm => "nrm",
        /// A national body, such as the Child Safeguarding Practice Review Panel (CL-12).
        NationalBody => "national_body",
        /// Adult safeguarding (Care Act 2014 s42).
        AdultServices => "adult_services",
        /// Children's services in Wales, Scotland or Northern Ireland.
        Devolved => "devolved",
        /// A kind this edition does not know: nothing (DM-15).
        Unknown => "unknown",
    }
}

vocabulary! {
    /// Whether the family agrees. It is recorded as agreement to a service, never as the lawful basis (LB-10).
    pub enum Agreement = "agreement" {
        /// Asked, and given.
        Given => "given",
        /// Asked, and refused.
        Refused => "refused",
        /// Given by somebody who cannot give it: no parental responsibility, not competent (TC-07).
        GivenWithoutStanding => "given_without_standing",
        /// Asked, and not answered yet.
        Awaited => "awaited",
        /// Not asked, and the sender says why.
        NotSoughtWithReason => "not_sought_with_reason",
        /// Not asked, and the sender does not say why.
        NotSoughtNoReason => "not_sought_no_reason",
        /// The sender says nothing about it.
        NotStated => "not_stated",
    }
}

vocabulary! {
    /// Who can agree, and so withdraw it (TC-07).
    pub enum AgreementHolder = "agreement_holder" {
        /// Somebody who holds parental responsibility; one of them is enough (Children Act 1989 s2(7)).
        ParentalResponsibility => "holder_of_parental_responsibility",
        /// The young person, from 16.
        YoungPerson => "young_person",
        /// A younger child who is competent to decide (Gillick).
        CompetentChild => "competent_child",
    }
}

vocabulary! {
    /// Whether the sender is in scope of the duty to share (Children Act 2004 s16LA).
    pub enum DutyScope = "duty" {
        /// A person in s11(1), or designated under s16E.
        InScope => "in_scope",
        /// Not.
        OutOfScope => "out_of_scope",
        /// The directory does not say.
        Unknown => "unknown",
    }
}

vocabulary! {
    /// What the sender recorded under s16LA: it may help, and whether it would harm the child more.
    pub enum DutyDecision = "duty_decision" {
        /// May help the recipient's functions, and is not more detrimental.
        Share => "share",
        /// More detrimental to the child than not sharing (s16LA(3)).
        MoreDetrimental => "more_detrimental",
        /// Nothing recorded.
        NotRecorded => "not_recorded",
    }
}

vocabulary! {
    /// How old the child is on the London date of receipt (RA-14).
    pub enum AgeBand = "age" {
        /// Not born yet (RA-08).
        Unborn => "unborn",
        /// Under 5: known to health visiting.
        Under5 => "under_5",
        /// 5 to 12.
        From5To12 => "5_to_12",
        /// 13 to 15.
        From13To15 => "13_to_15",
        /// 16 or 17.
        From16To17 => "16_to_17",
        /// 18 or over.
        Adult => "adult",
        /// Not known: treated as a child.
        Unknown => "unknown",
    }
}

vocabulary! {
    /// In which system's area a place lies.
    pub enum Area = "area" {
        /// An English children's services authority that the directory knows on that date.
        England => "england",
        /// Wales.
        Wales => "wales",
        /// Scotland.
        Scotland => "scotland",
        /// Northern Ireland.
        NorthernIreland => "northern_ireland",
        /// Nobody said, or the directory does not know it.
        Unknown => "unknown",
    }
}

vocabulary! {
    /// Where the harm happened.
    pub enum HarmPlace = "harm_place" {
        /// At home.
        Home => "home",
        /// Where the child was found: school, hospital, the street.
        Found => "found",
        /// Somewhere else.
        Elsewhere => "elsewhere",
        /// The sender does not say.
        NotStated => "not_stated",
    }
}

vocabulary! {
    /// A plain yes or no that may be unknown.
    pub enum YesNo = "yes_no" {
        /// Yes.
        Yes => "yes",
        /// No.
        No => "no",
        /// Not known.
        Unknown => "unknown",
    }
}

vocabulary! {
    /// Whether the responsible front door is open at the moment of receipt (RA-20).
    pub enum Hours = "hours" {
        /// Open.
        Open => "open",
        /// Closed: evenings, nights, weekends, bank holidays.
        Closed => "closed",
    }
}

vocabulary! {
    /// The government security classification (HR-08).
    pub enum Marking = "marking" {
        /// OFFICIAL, OFFICIAL-SENSITIVE or unmarked.
        Official => "official",
        /// SECRET or above: refused, unstored.
        AboveOfficialSensitive => "above_official_sensitive",
    }
}

vocabulary! {
    /// A desk inside an authority.
    pub enum Desk = "desk" {
        /// The front door.
        FrontDoor => "front-door",
        /// The emergency duty team, out of hours.
        EmergencyDutyTeam => "edt",
        /// Early help and family help.
        EarlyHelp => "early-help",
        /// The designated officer for allegations.
        Lado => "lado",
        /// A queue that staff under suspicion cannot see (HR-10).
        Restricted => "restricted",
        /// The front door's manager: escalations and breaches.
        FrontDoorManager => "front-door-manager",
        /// The allocated worker.
        AllocatedWorker => "allocated-worker",
        /// The child protection team.
        ChildProtection => "child-protection",
        /// The officer for elective home education.
        ElectiveHomeEducation => "elective-home-education",
        /// The named and designated safeguarding leads: a disagreement that the manager did not settle (FB-03).
        SafeguardingLead => "safeguarding-lead",
        /// The heads of service: a disagreement that the leads did not settle (FB-03).
        HeadOfService => "head-of-service",
        /// The area's safeguarding partners, or whoever acts for them: the last stage of a disagreement (FB-03).
        SafeguardingPartners => "safeguarding-partners",
    }
}

vocabulary! {
    /// What the authority decided (rules.md section 2).
    pub enum Outcome = "outcome" {
        /// No further action.
        NoFurtherAction => "nfa",
        /// Information and advice.
        InformationAdvice => "information_advice",
        /// Early help or family help.
        EarlyHelp => "early_help",
        /// An assessment under section 17.
        S17Assessment => "s17_assessment",
        /// A strategy discussion, section 47.
        StrategyDiscussionS47 => "strategy_discussion_s47",
        /// Emergency action.
        EmergencyAction => "emergency_action",
        /// There is an open case already.
        AlreadyOpen => "already_open",
        /// Handed to another area.
        TransferOutOfArea => "transfer_out_of_area",
        /// For adult services.
        AdultServices => "adult_services",
        /// For the designated officer.
        Lado => "lado",
        /// Private fostering.
        PrivateFostering => "private_fostering",
        /// Returned for more information.
        ReturnedMoreInformation => "returned_more_information",
    }
}

vocabulary! {
    /// Whom an item of information is about.
    pub enum Subject = "subject" {
        /// The child.
        Child => "child",
        /// A parent or carer.
        Parent => "parent",
        /// A sibling.
        Sibling => "sibling",
        /// Somebody else.
        Other => "other",
    }
}

vocabulary! {
    /// How the sender knows.
    pub enum Knowledge = "knowledge" {
        /// Seen or heard by the sender.
        Direct => "direct",
        /// Told by somebody else.
        ThirdParty => "third_party",
        /// Not said.
        NotStated => "not_stated",
    }
}

vocabulary! {
    /// A condition on how information may be handled (rules.md 1(e)).
    pub enum HandlingFlag = "handling" {
        /// The address is protected (DM-03, HR-06).
        AddressProtected => "address_protected",
        /// The Personal Demographics Service marks the record sensitive (HR-11).
        PdsSensitive => "pds_sensitive",
        /// The parents must not be told (HR-04).
        DoNotInformParents => "do_not_inform_parents",
        /// The referrer stays anonymous to the family (HR-09).
        ReferrerAnonymousToFamily => "referrer_anonymous_to_family",
        /// Somebody at the recipient is the subject (HR-10).
        ConflictOfInterestRecipientStaff => "conflict_of_interest:recipient_staff",
        /// Police handling: lawful sharing permitted (HR-01).
        PoliceHandlingP => "police_handling:P",
        /// Police handling: permitted with conditions (HR-01).
        PoliceHandlingC => "police_handling:C",
        /// Police handling in the older scheme, code 5.
        PoliceHandlingLegacy5 => "police_handling_legacy:5",
        /// Intelligence that could name its source (HR-03).
        Unsanitised => "unsanitised",
        /// Not for education.
        NotForEducation => "condition:no_disclosure_to:education",
        /// Not for the family.
        NotForFamily => "condition:no_disclosure_to:family",
        /// For police only.
        PoliceOnly => "condition:police_only",
        /// Suspects and witnesses must not be approached (HR-07).
        DoNotContactSuspectOrWitness => "do_not_contact:suspect_or_witness",
        /// Marked SECRET (HR-08).
        Secret => "gsc:SECRET",
    }
}

vocabulary! {
    /// Whether an authority holds something about the child, seen from the child's home.
    pub enum Holder = "holder" {
        /// No authority does, or nobody said so.
        Nobody => "nobody",
        /// The home authority.
        HomeAuthority => "home_authority",
        /// Another English authority.
        AnotherAuthority => "another_authority",
    }
}

vocabulary! {
    /// Whether the child has a second home, such as in shared care.
    pub enum SecondHome = "second_home" {
        /// None is known.
        None => "none",
        /// In the area where the child was found.
        WhereFound => "where_found",
        /// In another area.
        Elsewhere => "elsewhere",
    }
}

vocabulary! {
    /// Whether the place of education is known (RA-21).
    pub enum Schooling = "school" {
        /// The establishment is named.
        Known => "known",
        /// The child is educated at home.
        HomeEducated => "home_educated",
        /// Nobody said.
        Unknown => "unknown",
    }
}

vocabulary! {
    /// In whose area the sending authority is (RA-02: who refuses a transfer).
    pub enum SenderArea = "sender_area" {
        /// It is the home authority, and not the one where the child was found.
        Home => "home",
        /// It is the authority where the child was found, and not the home authority.
        Located => "located",
        /// Both, or neither, or it is no authority.
        Other => "other",
    }
}

vocabulary! {
    /// What the authority decided, as far as a clock depends on it (CL-04).
    pub enum Decided = "decided" {
        /// Nothing is reported.
        Nothing => "nothing",
        /// An assessment under section 17.
        S17Assessment => "s17_assessment",
        /// Something else.
        Otherwise => "otherwise",
    }
}

vocabulary! {
    /// Whether an arrangement is private fostering (Children Act 1989 s66 and s105; RA-11).
    pub enum Fostering = "fostering" {
        /// It is, by what was said.
        Qualifies => "qualifies",
        /// Under 28 days are intended.
        TooShort => "too_short",
        /// The carer is a parent, holds parental responsibility, or is a close relative.
        CloseRelative => "close_relative",
        /// The child is too old: 16, or 18 if disabled.
        TooOld => "too_old",
        /// Not enough was said.
        NotStated => "not_stated",
    }
}

vocabulary! {
    /// What the carer is to the child (Children Act 1989 s105: what counts as a close relative).
    pub enum Carer = "carer" {
        /// A parent, or somebody with parental responsibility.
        Parent => "parent",
        /// A grandparent, sibling, uncle, aunt or step-parent.
        CloseRelative => "close_relative",
        /// Anybody else: a neighbour, a friend's family, a cousin, a great-aunt.
        AnybodyElse => "anybody_else",
        /// Not said.
        NotStated => "not_stated",
    }
}

vocabulary! {
    /// As what the reporter works: whether the duty to report female genital mutilation is theirs (RA-16).
    pub enum Reporter = "reporter" {
        /// A regulated health or social care professional, or a teacher.
        Regulated => "regulated",
        /// Anybody else.
        Other => "other",
        /// Not said.
        NotStated => "not_stated",
    }
}

vocabulary! {
    /// What tracing the NHS number found (ID-01).
    pub enum TraceResult = "trace" {
        /// The number belongs to this child.
        Matched => "matched",
        /// It belongs to somebody else.
        Mismatch => "mismatch",
        /// Not traced.
        NotTraced => "not_traced",
    }
}

vocabulary! {
    /// Whether an address of the family must not be learned by somebody (DM-03, HR-06, HR-11).
    pub enum AddressStatus = "address" {
        /// Nothing says so.
        Open => "open",
        /// A refuge, a confidential placement, a sensitive record.
        Protected => "protected",
    }
}

vocabulary! {
    /// How the stated level fits the stated harm (TC-08). The machine never lowers a level.
    pub enum LevelFit = "level_fit" {
        /// Nothing is amiss.
        Fits => "fits",
        /// The harm is graver than the level: it is handled as possible significant harm.
        TooLow => "too_low",
        /// One more of several low-level reports within 28 days.
        Cumulative => "cumulative",
    }
}

vocabulary! {
    /// What the sender ticked as its lawful basis (LB-10).
    pub enum ClaimedBasis = "claimed_basis" {
        /// Nothing.
        None => "none",
        /// Consent: practically never the basis.
        Consent => "consent",
        /// Something else.
        Other => "other",
    }
}

vocabulary! {
    /// A hub's own urgency rating (CL-14); local only.
    pub enum Rating = "rating" {
        /// Red.
        Red => "red",
        /// Amber.
        Amber => "amber",
        /// Green.
        Green => "green",
        /// Not rated.
        NotRated => "not_rated",
    }
}

vocabulary! {
    /// How police graded an item for handling (HR-01).
    pub enum PoliceHandling = "police_handling" {
        /// Not graded.
        NotGraded => "not_graded",
        /// P: lawful sharing permitted.
        Permitted => "permitted",
        /// C: permitted with conditions, which are there to be read.
        WithConditions => "with_conditions",
        /// C, and no condition that this broker can read.
        ConditionsUnreadable => "conditions_unreadable",
        /// Code 5 of the older scheme: conditions, and none that can be read.
        Legacy => "legacy",
    }
}

vocabulary! {
    /// A service of the NHS that is told by what it does, not by its code.
    pub enum NhsService = "nhs_service" {
        /// Health visiting.
        HealthVisiting => "health-visiting",
        /// The named professional for safeguarding.
        NamedProfessional => "named-professional",
        /// Child death review.
        ChildDeathOverview => "child-death-overview",
    }
}

vocabulary! {
    /// A national body.
    pub enum NationalBody = "national_body" {
        /// The national referral mechanism for modern slavery.
        ReferralMechanism => "nrm",
        /// The Child Safeguarding Practice Review Panel.
        ReviewPanel => "review-panel",
        /// Ofsted.
        Ofsted => "ofsted",
        /// The Department for Education.
        DepartmentForEducation => "dfe",
    }
}

vocabulary! {
    /// A household of the child's family, as the authority that writes to it names it. Never a person's name.
    pub enum Household = "household" {
        /// The one in which the child lives.
        Own => "own",
        /// Another one, or the alleged perpetrator's.
        Other => "other",
    }
}

vocabulary! {
    /// Whether the responsible authority's code is published yet (RA-07).
    pub enum AuthorityCode = "authority_code" {
        /// It is.
        Issued => "issued",
        /// Not yet: the authority is known to this broker under a stand-in.
        Provisional => "provisional",
    }
}
