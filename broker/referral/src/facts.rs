//! What the rules may look at: closed enums only. Dates, places and text are turned into bands here, by
//! functions with tests of their own, so that a rule never sees a child and always sees *unknown*.

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::directory::{Directory, OnDate};
use crate::identifiers::GssCode;
use crate::submission::{Age, ChildCircumstances, Item, Referral};
use crate::time::london_date;
use crate::vocab::*;
use crate::{Endpoint, Moment};

/// The facts of one child's referral.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Facts {
    /// Which kind of agency sends.
    pub sender: SenderKind,
    /// What kind of message.
    pub event: EventKind,
    /// How serious it is handled as: what the sender stated, or more where that does not fit the harm (TC-08).
    pub level: Level,
    /// How serious the sender says it is.
    pub stated_level: Level,
    /// Whether the stated level fits.
    pub level_fit: LevelFit,
    /// What harm.
    pub harm: HarmType,
    /// Whether the family agrees.
    pub agreement: Agreement,
    /// Another holder of parental responsibility refused.
    pub other_holder_refused: YesNo,
    /// Whether the duty to share reaches the sender.
    pub duty: DutyScope,
    /// What the sender recorded under s16LA.
    pub duty_decision: DutyDecision,
    /// How old the child is.
    pub age: AgeBand,
    /// The child turns 18 within seven days.
    pub turns_18: YesNo,
    /// Where the child lives.
    pub home: Area,
    /// Where the child was found.
    pub located: Area,
    /// Whether the two are the same authority's area.
    pub same_authority: YesNo,
    /// Whether there is a second home.
    pub second_home: SecondHome,
    /// Who placed a looked-after child.
    pub placing: Holder,
    /// Looked after by an authority.
    pub looked_after: YesNo,
    /// Who holds a child protection plan.
    pub plan: Holder,
    /// Who has enquiries under way.
    pub enquiry: Holder,
    /// Who has an open case.
    pub open_case: Holder,
    /// Whether the area is known where the subject of an allegation works.
    pub workplace: YesNo,
    /// The place of education.
    pub school: Schooling,
    /// In whose area the sending authority is.
    pub sender_area: SenderArea,
    /// On a ward.
    pub inpatient: YesNo,
    /// Has died.
    pub deceased: YesNo,
    /// Whether it is private fostering.
    pub fostering: Fostering,
    /// Where the harm happened.
    pub harm_place: HarmPlace,
    /// As what the reporter works.
    pub reporter: Reporter,
    /// Whether the child can be told apart from others.
    pub identified: YesNo,
    /// What tracing the number found.
    pub trace: TraceResult,
    /// Whether a purpose was stated.
    pub purpose: YesNo,
    /// How it is marked.
    pub marking: Marking,
    /// Whether an address is protected.
    pub address: AddressStatus,
    /// The parents must not be told (HR-04).
    pub parents_not_told: YesNo,
    /// The referrer stays anonymous to the family (HR-09).
    pub referrer_anonymous: YesNo,
    /// Somebody at the recipient is the subject (HR-10).
    pub conflict: YesNo,
    /// The person under suspicion reads what is sent back (DM-09).
    pub accused_controls_feedback: YesNo,
    /// What the sender ticked as its lawful basis.
    pub claimed_basis: ClaimedBasis,
    /// Others may report the same.
    pub possibly_related: YesNo,
    /// Came by telephone.
    pub by_telephone: YesNo,
    /// The hub's own rating.
    pub rating: Rating,
    /// What the authority decided.
    pub decided: Decided,
    /// Whether it is known to whom this answers.
    pub referrer_known: YesNo,
    /// Whether a provider is named.
    pub provider: YesNo,
    /// Whether a household is named.
    pub household: YesNo,
    /// Whether the responsible front door is open. Known only once the authority is.
    pub hours: Hours,
    /// Whether the responsible authority's code is published. Known only once the authority is.
    pub authority_code: AuthorityCode,
    /// Whether the sender addressed it to the authority that is responsible. Known only once that is.
    pub addressed: Addressed,
}

/// What the rules may look at in one item: its category and the conditions on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ItemFacts {
    /// Its category.
    pub category: Category,
    /// How police graded it.
    pub police_handling: PoliceHandling,
    /// It could name a source (HR-03).
    pub unsanitised: YesNo,
    /// Not for education.
    pub barred_from_education: YesNo,
    /// Not for the family.
    pub barred_from_family: YesNo,
    /// For police only.
    pub police_only: YesNo,
}

crate::vocab::vocabulary! {
    /// How the sender addressed it (RA-26: advice, not an instruction).
    pub enum Addressed = "addressed" {
        /// To nobody.
        Nobody => "nobody",
        /// To the authority that is responsible.
        Rightly => "rightly",
        /// To another.
        Wrongly => "wrongly",
    }
}

/// How many earlier low-level reports in 28 days make another one a pattern (TC-08; a convention of this product).
const PATTERN_OF_CONTACTS: u16 = 3;

fn yes_if(condition: bool) -> YesNo {
    if condition { YesNo::Yes } else { YesNo::No }
}

impl Facts {
    /// The facts of `referral` before its authority is known: the door counts as open, and as addressed by
    /// nobody, until [`Facts::once_routed`].
    pub fn derive(referral: &Referral, directory: &Directory) -> Facts {
        let party = directory.party(&referral.sender);
        let today = directory.on(london_date(referral.received));
        let (places, said, child) = (&referral.places, &referral.circumstances, &referral.child);
        let home = places.home.as_ref();
        let located = directory.found_at(referral);
        let holder = |gss: Option<&GssCode>| holder(gss, home, today);
        let age = child_age(age_band(&referral.age, referral.received), child);
        let (level, level_fit) = handled_as(referral, age);
        let says = |flag: HandlingFlag| yes_if(referral.says(flag));
        Facts {
            sender: party.map_or_else(|| referral.sender.sender_kind(), |party| party.kind),
            event: referral.kind,
            level,
            stated_level: referral.level,
            level_fit,
            harm: referral.harm,
            agreement: referral.agreement,
            other_holder_refused: yes_if(said.other_holder_refused),
            duty: party.map_or(DutyScope::Unknown, |party| party.duty),
            duty_decision: referral.duty_decision,
            age,
            turns_18: yes_if(turns_18_soon(&referral.age, referral.received)),
            home: today.area(home),
            located: today.area(located),
            same_authority: same_authority(home, located, today),
            second_home: second_home(places.other_home.as_ref(), located, today),
            placing: holder(places.placing.as_ref()),
            looked_after: yes_if(child.looked_after),
            plan: holder(places.plan_holder.as_ref()),
            enquiry: holder(places.enquiry.as_ref()),
            open_case: holder(places.open_case.as_ref()),
            workplace: yes_if(said.employer.as_ref().is_some_and(|gss| today.authority(gss).is_some())),
            school: schooling(child),
            sender_area: sender_area(&referral.sender, home, located, today),
            inpatient: yes_if(child.inpatient),
            deceased: yes_if(child.deceased),
            fostering: fostering(&referral.age, child, referral.received),
            harm_place: referral.harm_place,
            reporter: said.reporter.unwrap_or(Reporter::NotStated),
            identified: yes_if(referral.child_is_identified),
            trace: child.trace.unwrap_or(TraceResult::NotTraced),
            purpose: yes_if(referral.purpose_stated),
            marking: if referral.says_anywhere(HandlingFlag::Secret) {
                Marking::AboveOfficialSensitive
            } else {
                Marking::Official
            },
            address: if referral.says_anywhere(HandlingFlag::AddressProtected)
                || referral.says_anywhere(HandlingFlag::PdsSensitive)
                || referral.items.iter().any(|item| item.category == Category::ProtectedAddress)
            {
                AddressStatus::Protected
            } else {
                AddressStatus::Open
            },
            parents_not_told: says(HandlingFlag::DoNotInformParents),
            referrer_anonymous: says(HandlingFlag::ReferrerAnonymousToFamily),
            conflict: says(HandlingFlag::ConflictOfInterestRecipientStaff),
            accused_controls_feedback: yes_if(said.accused_controls_feedback),
            claimed_basis: said.claimed_basis.unwrap_or(ClaimedBasis::None),
            possibly_related: yes_if(said.possibly_related),
            by_telephone: yes_if(said.by_telephone),
            rating: said.rating.unwrap_or(Rating::NotRated),
            decided: decided(said.outcome),
            referrer_known: yes_if(said.reply_to.is_some()),
            provider: yes_if(said.tell.iter().any(|to| matches!(to, Endpoint::Voluntary(_)))),
            household: yes_if(said.tell.iter().any(|to| matches!(to, Endpoint::Household(_)))),
            hours: Hours::Open,
            authority_code: AuthorityCode::Issued,
            addressed: Addressed::Nobody,
        }
    }

    /// The facts once the responsible authority is known.
    pub fn once_routed(self, hours: Hours, authority_code: AuthorityCode, addressed: Addressed) -> Facts {
        Facts { hours, authority_code, addressed, ..self }
    }
}

impl ItemFacts {
    /// The facts of `item`. What police graded as a whole grades its intelligence; a condition on the whole is a
    /// condition on every item.
    pub fn derive(item: &Item, referral: &Referral) -> ItemFacts {
        let own = |flag: HandlingFlag| item.handling.contains(&flag);
        let whole = |flag: HandlingFlag| referral.handling.contains(&flag);
        let is_intelligence = item.category == Category::PoliceIntelligence;
        let graded = |flag: HandlingFlag| own(flag) || (is_intelligence && whole(flag));
        let conditions = [HandlingFlag::NotForEducation, HandlingFlag::NotForFamily, HandlingFlag::PoliceOnly];
        let readable = conditions.into_iter().chain([HandlingFlag::DoNotContactSuspectOrWitness]).any(graded);
        let police_handling = if graded(HandlingFlag::PoliceHandlingLegacy5) {
            PoliceHandling::Legacy
        } else if graded(HandlingFlag::PoliceHandlingC) {
            if readable { PoliceHandling::WithConditions } else { PoliceHandling::ConditionsUnreadable }
        } else if graded(HandlingFlag::PoliceHandlingP) {
            PoliceHandling::Permitted
        } else {
            PoliceHandling::NotGraded
        };
        ItemFacts {
            category: item.category,
            police_handling,
            unsanitised: yes_if(graded(HandlingFlag::Unsanitised)),
            barred_from_education: yes_if(own(HandlingFlag::NotForEducation) || whole(HandlingFlag::NotForEducation)),
            barred_from_family: yes_if(own(HandlingFlag::NotForFamily) || whole(HandlingFlag::NotForFamily)),
            // Said of the whole it is about the intelligence: else a condition would take the alert away.
            police_only: yes_if(graded(HandlingFlag::PoliceOnly)),
        }
    }

    /// An item of `category` with no condition on it.
    pub fn plain(category: Category) -> ItemFacts {
        ItemFacts {
            category,
            police_handling: PoliceHandling::NotGraded,
            unsanitised: YesNo::No,
            barred_from_education: YesNo::No,
            barred_from_family: YesNo::No,
            police_only: YesNo::No,
        }
    }
}

impl Referral {
    fn says(&self, flag: HandlingFlag) -> bool {
        self.handling.contains(&flag)
    }

    fn says_anywhere(&self, flag: HandlingFlag) -> bool {
        self.says(flag) || self.items.iter().any(|item| item.handling.contains(&flag))
    }
}

/// Who holds something, seen from the home.
fn holder(gss: Option<&GssCode>, home: Option<&GssCode>, directory: OnDate<'_>) -> Holder {
    let authority = |gss: Option<&GssCode>| gss.and_then(|gss| directory.authority(gss));
    match (authority(gss), authority(home)) {
        (None, _) => Holder::Nobody,
        (Some(holder), Some(home)) if holder.gss == home.gss => Holder::HomeAuthority,
        (Some(_), _) => Holder::AnotherAuthority,
    }
}

fn same_authority(home: Option<&GssCode>, located: Option<&GssCode>, directory: OnDate<'_>) -> YesNo {
    let (Some(home), Some(located)) = (home, located) else { return YesNo::Unknown };
    match (directory.authority(home), directory.authority(located)) {
        (Some(home), Some(located)) => yes_if(home.gss == located.gss),
        _ if home == located => YesNo::Yes,
        // One in England and the other not: two systems, so two authorities.
        _ => match (directory.area(Some(home)), directory.area(Some(located))) {
            (Area::Unknown, _) | (_, Area::Unknown) => YesNo::Unknown,
            (home, located) if home != located => YesNo::No,
            _ => YesNo::Unknown,
        },
    }
}

fn second_home(other: Option<&GssCode>, located: Option<&GssCode>, directory: OnDate<'_>) -> SecondHome {
    let authority = |gss: &GssCode| directory.authority(gss);
    match (other.and_then(authority), located.and_then(authority)) {
        (None, _) => SecondHome::None,
        (Some(other), Some(located)) if other.gss == located.gss => SecondHome::WhereFound,
        (Some(_), _) => SecondHome::Elsewhere,
    }
}

fn schooling(child: &ChildCircumstances) -> Schooling {
    match (&child.school, child.home_educated) {
        (Some(_), _) => Schooling::Known,
        (None, true) => Schooling::HomeEducated,
        (None, false) => Schooling::Unknown,
    }
}

fn sender_area(sender: &Endpoint, home: Option<&GssCode>, located: Option<&GssCode>, directory: OnDate<'_>) -> SenderArea {
    let authority = |gss: &GssCode| directory.authority(gss).map(|authority| &authority.gss);
    let Some(sender) = sender.authority().and_then(authority) else { return SenderArea::Other };
    match (home.and_then(authority) == Some(sender), located.and_then(authority) == Some(sender)) {
        (true, false) => SenderArea::Home,
        (false, true) => SenderArea::Located,
        (true, true) | (false, false) => SenderArea::Other,
    }
}

fn decided(outcome: Option<Outcome>) -> Decided {
    match outcome {
        None => Decided::Nothing,
        Some(Outcome::S17Assessment) => Decided::S17Assessment,
        Some(
            Outcome::NoFurtherAction
            | Outcome::InformationAdvice
            | Outcome::EarlyHelp
            | Outcome::StrategyDiscussionS47
            | Outcome::EmergencyAction
            | Outcome::AlreadyOpen
            | Outcome::TransferOutOfArea
            | Outcome::AdultServices
            | Outcome::Lado
            | Outcome::PrivateFostering
            | Outcome::ReturnedMoreInformation,
        ) => Decided::Otherwise,
    }
}

/// Private fostering: under 16, or under 18 if disabled; 28 days or more intended; the carer neither a parent nor a
/// close relative (Children Act 1989 s66 and s105).
fn fostering(age: &Age, child: &ChildCircumstances, received: Moment) -> Fostering {
    let too_old = match age_band(age, received) {
        AgeBand::Adult => true,
        AgeBand::From16To17 => !child.disabled,
        AgeBand::Unborn | AgeBand::Under5 | AgeBand::From5To12 | AgeBand::From13To15 | AgeBand::Unknown => false,
    };
    match (child.carer.unwrap_or(Carer::NotStated), child.arrangement_days) {
        (Carer::Parent | Carer::CloseRelative, _) => Fostering::CloseRelative,
        (_, Some(0..=27)) => Fostering::TooShort,
        (Carer::AnybodyElse | Carer::NotStated, _) if too_old => Fostering::TooOld,
        (Carer::AnybodyElse, Some(28..)) => Fostering::Qualifies,
        (Carer::AnybodyElse, None) | (Carer::NotStated, _) => Fostering::NotStated,
    }
}

/// Harm that no sender can mean below significant harm (TC-08): police are told of each of these (RA-17).
fn is_grave(harm: HarmType) -> bool {
    match harm {
        HarmType::ChildOnChildSexual
        | HarmType::CriminalExploitation
        | HarmType::FabricatedOrInducedIllness
        | HarmType::FgmKnown
        | HarmType::FgmReportedByThirdParty
        | HarmType::FgmRisk
        | HarmType::SexualAbuse
        | HarmType::SexualExploitation
        | HarmType::Trafficking => true,
        HarmType::AlcoholMisuseParent
        | HarmType::DisabilitySupport
        | HarmType::DomesticAbuse
        | HarmType::EmotionalWellbeing
        | HarmType::FamilySupport
        | HarmType::Homelessness
        | HarmType::LikelyHarm
        | HarmType::LikelyNeglect
        | HarmType::Missing
        | HarmType::Neglect
        | HarmType::None
        | HarmType::OtherWelfare
        | HarmType::ParentingSupport
        | HarmType::PhysicalAbuse
        | HarmType::PrivateFostering
        | HarmType::Radicalisation
        | HarmType::SelfHarm
        | HarmType::SeriousIncident
        | HarmType::UnaccompaniedAsylumSeeking
        | HarmType::YoungCarer
        | HarmType::NotStated => false,
    }
}

/// The level that the rules handle it as, and how the stated one fits: never lower than stated (TC-08).
fn handled_as(referral: &Referral, age: AgeBand) -> (Level, LevelFit) {
    let is_referral = matches!(referral.kind, EventKind::Referral | EventKind::Correction | EventKind::ServiceRequest);
    if !is_referral || age == AgeBand::Adult {
        return (referral.level, LevelFit::Fits);
    }
    let is_bruised_baby = referral.child.non_mobile && referral.harm == HarmType::PhysicalAbuse;
    let is_pattern = referral.circumstances.contacts_in_28_days >= PATTERN_OF_CONTACTS;
    match referral.level {
        Level::ImmediateDanger | Level::SignificantHarm => (referral.level, LevelFit::Fits),
        Level::InNeed | Level::EarlyHelp | Level::Information if is_bruised_baby || is_grave(referral.harm) => {
            (Level::SignificantHarm, LevelFit::TooLow)
        }
        Level::InNeed => (referral.level, LevelFit::Fits),
        // A slap may leave a child in need; it is never early help.
        Level::EarlyHelp | Level::Information if referral.harm == HarmType::PhysicalAbuse => {
            (Level::SignificantHarm, LevelFit::TooLow)
        }
        Level::EarlyHelp | Level::Information if is_pattern => (referral.level, LevelFit::Cumulative),
        Level::EarlyHelp | Level::Information => (referral.level, LevelFit::Fits),
    }
}

/// Whoever may be a child is treated as one until assessed (Modern Slavery Act 2015 s51; RA-10).
fn child_age(age: AgeBand, child: &ChildCircumstances) -> AgeBand {
    match age {
        AgeBand::Adult if child.age_disputed => AgeBand::Unknown,
        AgeBand::Unborn
        | AgeBand::Under5
        | AgeBand::From5To12
        | AgeBand::From13To15
        | AgeBand::From16To17
        | AgeBand::Adult
        | AgeBand::Unknown => age,
    }
}

/// The age band at `received`. A child until the start of the 18th birthday in London (Family Law Reform Act
/// 1969 s9); one born on 29 February turns 18 on 1 March of a common year: in doubt, a child (RA-14).
pub fn age_band(age: &Age, received: Moment) -> AgeBand {
    match age {
        Age::Expected(_) => AgeBand::Unborn,
        Age::About(years) => match years {
            0..=4 => AgeBand::Under5,
            5..=12 => AgeBand::From5To12,
            13..=15 => AgeBand::From13To15,
            16..=17 => AgeBand::From16To17,
            18.. => AgeBand::Adult,
        },
        Age::NotStated => AgeBand::Unknown,
        Age::Born(date) => {
            let today = london_date(received);
            let is_past = |years| today >= birthday(*date.open(), years);
            if is_past(18) {
                AgeBand::Adult
            } else if is_past(16) {
                AgeBand::From16To17
            } else if is_past(13) {
                AgeBand::From13To15
            } else if is_past(5) {
                AgeBand::From5To12
            } else {
                AgeBand::Under5
            }
        }
    }
}

/// Whether the 18th birthday lies within the seven days after `received`: clocks may run past it.
fn turns_18_soon(age: &Age, received: Moment) -> bool {
    match age {
        Age::Born(date) => {
            let (today, birthday) = (london_date(received), birthday(*date.open(), 18));
            today < birthday && birthday <= today.saturating_add(7.days())
        }
        Age::Expected(_) | Age::About(_) | Age::NotStated => false,
    }
}

fn birthday(born: Date, years: i16) -> Date {
    let day = born.saturating_add(years.years());
    // jiff answers 28 February for a 29 February that the year lacks; the birthday is the day after.
    if day.day() == born.day() { day } else { day.saturating_add(1.day()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sealed;

    fn band(born: &str, at: &str) -> AgeBand {
        age_band(&Age::Born(Sealed::new(born.parse().unwrap())), at.parse().unwrap())
    }

    #[test]
    fn a_child_is_a_child_until_the_eighteenth_birthday_begins_in_london() {
        assert_eq!(band("2008-11-24", "2026-11-23T23:59:00Z"), AgeBand::From16To17);
        assert_eq!(band("2008-11-24", "2026-11-24T00:00:00Z"), AgeBand::Adult);
        assert_eq!(band("2008-06-10", "2026-06-09T23:00:00Z"), AgeBand::Adult); // midnight in British Summer Time
        assert_eq!(band("2010-11-24", "2026-11-23T12:00:00Z"), AgeBand::From13To15);
    }

    #[test]
    fn a_child_born_on_29_february_turns_18_on_1_march_of_a_common_year() {
        assert_eq!(band("2008-02-29", "2026-02-28T10:00:00Z"), AgeBand::From16To17);
        assert_eq!(band("2008-02-29", "2026-03-01T10:00:00Z"), AgeBand::Adult);
    }

    #[test]
    fn an_age_that_nobody_knows_is_a_value() {
        assert_eq!(age_band(&Age::NotStated, Moment::UNIX_EPOCH), AgeBand::Unknown);
        assert_eq!(age_band(&Age::About(17), Moment::UNIX_EPOCH), AgeBand::From16To17);
    }
}
