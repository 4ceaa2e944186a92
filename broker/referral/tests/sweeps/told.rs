//! The rules of who answers, told a second time, in plain code, and held against what the packs make of whole referrals.
//!
//! It is told in the order in which rules.md tells it, from places and ages and not from facts, so that the facts, the
//! directory, the desks and the holds are held to it too. A disagreement is a fault of a pack or of the telling.

use std::collections::BTreeSet;
use std::time::Instant;

use referral::rules::Role;
use referral::submission::*;
use referral::vocab::*;
use referral::{Moment, Sealed};

use crate::RULES;
use crate::common::{self, endpoint, goes_to, gss};
use crate::sweep::stopwatch;

const OPEN: &str = "2026-11-23T10:00:00Z";
const CLOSED: &str = "2026-11-23T21:00:00Z";
const BEFORE_THE_DUTY: &str = "2026-06-10T10:00:00Z";

const LEEDS: &str = "E08000035";
const KENT: &str = "E10000016";
const CANTERBURY: &str = "E07000106";
const TOWER_HAMLETS: &str = "E09000030";
const CARDIFF: &str = "W06000015";
const NOWHERE: &str = "E06999999";

type Place = Option<&'static str>;

/// What a referral of the sweep is made of.
#[derive(Clone, Copy, Debug)]
struct Told {
    sender: &'static str,
    event: EventKind,
    level: Level,
    harm: HarmType,
    agreement: Agreement,
    decision: DutyDecision,
    years: Option<u8>,
    unborn: bool,
    home: Place,
    located: Place,
    other_home: Place,
    placing: Place,
    plan: Place,
    enquiry: Place,
    harm_place: HarmPlace,
    school: Schooling,
    looked_after: bool,
    days: u16,
    conflict: bool,
    secret: bool,
    identified: bool,
    purpose: bool,
    received: &'static str,
}

/// Who answers.
enum Who {
    Authority(&'static str),
    Other(String),
    Nobody,
}

const PLAIN: Told = Told {
    sender: "nhs.ZZ101",
    event: EventKind::Referral,
    level: Level::SignificantHarm,
    harm: HarmType::Neglect,
    agreement: Agreement::NotSoughtWithReason,
    decision: DutyDecision::NotRecorded,
    years: Some(9),
    unborn: false,
    home: Some(LEEDS),
    located: None,
    other_home: None,
    placing: None,
    plan: None,
    enquiry: None,
    harm_place: HarmPlace::Home,
    school: Schooling::Unknown,
    looked_after: false,
    days: 60,
    conflict: false,
    secret: false,
    identified: true,
    purpose: true,
    received: OPEN,
};

fn english(place: Place) -> Place {
    match place {
        Some(CANTERBURY) => Some(KENT),
        Some(LEEDS | KENT | TOWER_HAMLETS) => place,
        _ => None,
    }
}

fn devolved(place: Place) -> Place {
    place.filter(|place| place.starts_with(['W', 'S', 'N']))
}

impl Told {
    fn referral(&self) -> Referral {
        let mut one = common::referral();
        one.sender = endpoint(self.sender);
        (one.kind, one.level, one.harm, one.harm_place) = (self.event, self.level, self.harm, self.harm_place);
        (one.agreement, one.duty_decision) = (self.agreement, self.decision);
        one.age = match (self.unborn, self.years) {
            (true, _) => Age::Expected(Sealed::new("2027-01-01".parse().unwrap())),
            (false, Some(years)) => Age::About(years),
            (false, None) => Age::NotStated,
        };
        one.places = Places {
            home: self.home.map(gss),
            located: self.located.map(gss),
            other_home: self.other_home.map(gss),
            placing: self.placing.map(gss),
            plan_holder: self.plan.map(gss),
            enquiry: self.enquiry.map(gss),
            ..Places::default()
        };
        one.child.school = (self.school == Schooling::Known).then(|| referral::identifiers::Urn::parse("999001").unwrap());
        one.child.home_educated = self.school == Schooling::HomeEducated;
        (one.child.looked_after, one.child.arrangement_days, one.child.carer) =
            (self.looked_after, Some(self.days), Some(Carer::AnybodyElse));
        one.received = self.received.parse::<Moment>().unwrap();
        let flags = [(self.secret, HandlingFlag::Secret), (self.conflict, HandlingFlag::ConflictOfInterestRecipientStaff)];
        one.handling = flags.into_iter().filter(|(is_so, _)| *is_so).map(|(_, flag)| flag).collect();
        (one.child_is_identified, one.purpose_stated) = (self.identified, self.purpose);
        one
    }

    fn is_adult(&self) -> bool {
        !self.unborn && self.years.is_some_and(|years| years >= 18)
    }

    /// TC-08: graver harm than the level says is handled as possible significant harm.
    fn handled(&self) -> Level {
        let asks = matches!(self.event, EventKind::Referral | EventKind::Correction | EventKind::ServiceRequest);
        if !asks || self.is_adult() || self.level.is_significant_harm_or_above() {
            return self.level;
        }
        let grave = match self.harm {
            HarmType::SexualAbuse
            | HarmType::SexualExploitation
            | HarmType::CriminalExploitation
            | HarmType::Trafficking
            | HarmType::ChildOnChildSexual
            | HarmType::FabricatedOrInducedIllness
            | HarmType::FgmKnown
            | HarmType::FgmRisk
            | HarmType::FgmReportedByThirdParty => true,
            HarmType::PhysicalAbuse => self.level != Level::InNeed,
            _ => false,
        };
        if grave { Level::SignificantHarm } else { self.level }
    }

    /// Where the child was found: as said, else at the school that reports it.
    fn found(&self) -> Place {
        self.located.or(match self.sender {
            "school.999001" => Some(LEEDS),
            "school.999002" => Some(KENT),
            _ => None,
        })
    }

    /// An authority other than the home authority that has part in the child.
    fn elsewhere(&self, holder: Place) -> Place {
        english(holder).filter(|holder| english(self.home) != Some(holder))
    }

    /// RA-01 to RA-14, by the place and by who has part in the child.
    fn who(&self) -> Who {
        let level = self.handled();
        let below = !level.is_significant_harm_or_above();
        let (home, found) = (english(self.home), english(self.found()));
        let (home_abroad, found_abroad) = (devolved(self.home), devolved(self.found()));
        let is_referral = matches!(self.event, EventKind::Referral | EventKind::Correction);
        let is_of_a_child = is_referral || self.event == EventKind::MissingChildReturn;

        // RA-14: an adult's home answers, else where the adult was found.
        if self.is_adult() {
            let place = home.or(found).or(home_abroad).or(found_abroad);
            return place.map_or(Who::Nobody, |place| Who::Other(format!("adult.{place}")));
        }
        // RA-21: the establishment; at significant harm the authority answers and the establishment is told.
        if self.event == EventKind::OperationEncompass && below && self.school == Schooling::Known {
            return Who::Other("school.999001".to_owned());
        }
        // RA-15: where the subject works; nobody said, so where the child was found, else home.
        if matches!(self.event, EventKind::Allegation | EventKind::LowLevelConcern) && below {
            return found.or(home).map_or(Who::Nobody, Who::Authority);
        }
        // RA-06: whoever began enquiries completes them.
        if level == Level::SignificantHarm
            && is_of_a_child
            && let Some(enquiry) = self.elsewhere(self.enquiry)
        {
            return Who::Authority(enquiry);
        }
        if is_referral && level != Level::ImmediateDanger {
            // RA-09: a homeless young person of 16 or 17 is not turned away.
            let homeless = self.harm == HarmType::Homelessness && !self.unborn && matches!(self.years, Some(16..=17));
            // RA-10: where found, until a transfer is accepted.
            let planned = below && self.elsewhere(self.plan).is_some();
            let unaccompanied = self.harm == HarmType::UnaccompaniedAsylumSeeking && english(self.placing).is_none() && !planned;
            if let Some(found) = found.filter(|_| homeless || unaccompanied) {
                return Who::Authority(found);
            }
        }
        // RA-04, RA-05: below significant harm whoever placed the child answers, else whoever holds the plan.
        let is_planned_for = is_of_a_child || self.event == EventKind::ConsentWithdrawn;
        let is_placed =
            is_planned_for || matches!(self.event, EventKind::ProfessionalDisagreement | EventKind::PoliceProtectionS46);
        if let Some(placing) = self.elsewhere(self.placing) {
            if below && is_placed && !self.unborn {
                return Who::Authority(placing);
            }
        } else if below
            && is_planned_for
            && let Some(plan) = self.elsewhere(self.plan)
        {
            return Who::Authority(plan);
        }
        // RA-12: another system's child; in an emergency the English authority that has the child acts.
        let emergency = level == Level::ImmediateDanger;
        if let Some(abroad) = home_abroad {
            return found.filter(|_| emergency).map_or_else(|| Who::Other(format!("devolved.{abroad}")), Who::Authority);
        }
        // RA-13: no home is known.
        let Some(home) = home else {
            return match (found, found_abroad) {
                (Some(found), _) => Who::Authority(found),
                (None, Some(abroad)) => Who::Other(format!("devolved.{abroad}")),
                (None, None) => Who::Nobody,
            };
        };
        // RA-02, RA-01, RA-03.
        let outside_home = matches!(self.harm, HarmType::SexualExploitation | HarmType::Trafficking);
        let found_answers = match level {
            Level::ImmediateDanger => true,
            Level::SignificantHarm => {
                let is_second_home = found.is_some() && english(self.other_home) == found;
                is_second_home
                    || match self.harm_place {
                        HarmPlace::Found => true,
                        HarmPlace::NotStated => outside_home,
                        HarmPlace::Home | HarmPlace::Elsewhere => false,
                    }
            }
            Level::InNeed | Level::EarlyHelp | Level::Information => false,
        };
        Who::Authority(found.filter(|_| found_answers).unwrap_or(home))
    }

    /// HR-10, FB-03, RA-15, RA-20, RA-21 and the desks of an authority.
    fn desk(&self) -> &'static str {
        let level = self.handled();
        let on_duty = if self.received == CLOSED { "edt" } else { "front-door" };
        if self.conflict {
            return "restricted";
        }
        match (self.event, level) {
            (EventKind::ProfessionalDisagreement, Level::ImmediateDanger) => on_duty,
            (EventKind::ProfessionalDisagreement, _) => "front-door-manager",
            (EventKind::StrategyDiscussionHeld | EventKind::IcpcHeld, _) => "child-protection",
            (EventKind::CpPlanTransferAccepted, _) => "front-door",
            (_, Level::ImmediateDanger | Level::SignificantHarm) => on_duty,
            (EventKind::OperationEncompass, _) if self.school == Schooling::HomeEducated => "elective-home-education",
            (EventKind::OperationEncompass, _) => "front-door",
            (EventKind::Allegation | EventKind::LowLevelConcern, _) => "lado",
            (_, Level::EarlyHelp) => "early-help",
            (_, Level::InNeed | Level::Information) => "front-door",
        }
    }

    /// What is to happen, in a word or two.
    fn goes_to(&self) -> String {
        // HR-08.
        if self.secret {
            return "refused".to_owned();
        }
        let to = match self.who() {
            Who::Authority(place) => Some(format!("la.{place}.{}", self.desk())),
            Who::Other(to) => Some(to),
            Who::Nobody => None,
        };
        let held = format!("held for {}", to.as_deref().unwrap_or("nobody"));
        // TC-12.
        if self.decision == DutyDecision::MoreDetrimental {
            return held;
        }
        if self.handled().is_significant_harm_or_above() {
            return to.unwrap_or(held);
        }
        // TC-03, TC-04, TC-06, TC-07: agreement to a service, which an authority with parental responsibility gives.
        // A correction goes where the referral went, and is held for nothing that the referral was not.
        let asks = matches!(self.event, EventKind::Referral | EventKind::ServiceRequest);
        let agreement_counts = asks && !self.is_adult() && !self.looked_after;
        let refused = matches!(self.agreement, Agreement::Refused | Agreement::Awaited);
        let unexplained =
            matches!(self.agreement, Agreement::NotSoughtNoReason | Agreement::NotStated | Agreement::GivenWithoutStanding);
        let since_duty = self.received != BEFORE_THE_DUTY;
        let in_scope = !matches!(self.sender, "school.999001" | "vcs.helpline");
        let duty_is_done = since_duty && in_scope && self.decision == DutyDecision::Share;
        let review = match self.level {
            Level::InNeed => agreement_counts && (refused && !duty_is_done || unexplained),
            Level::EarlyHelp => agreement_counts && (refused && since_duty || unexplained),
            Level::ImmediateDanger | Level::SignificantHarm | Level::Information => false,
        };
        // ID-04.
        if review || asks && !self.identified {
            return held;
        }
        // TC-04 before the duty; TC-05; RA-11; RA-15 for what an employer records itself.
        let voluntary = self.level == Level::EarlyHelp && agreement_counts && refused;
        let no_purpose = self.level == Level::Information
            && !self.purpose
            && matches!(self.event, EventKind::Referral | EventKind::LowLevelConcern);
        let no_fostering = self.event == EventKind::PrivateFosteringNotification
            && (self.days < 28 || matches!(self.years, Some(16..)) && !self.unborn);
        let low_level = self.event == EventKind::LowLevelConcern && self.level == Level::Information;
        if voluntary || no_purpose || no_fostering || low_level {
            return "returned".to_owned();
        }
        to.unwrap_or(held)
    }
}

/// The product of lists, written as nested loops.
macro_rules! told {
    ($($field:ident in $values:expr),+ $(,)?) => {{
        let all = std::iter::once(PLAIN);
        $(let all = all.flat_map(|told| $values.iter().map(move |&$field| Told { $field, ..told }).collect::<Vec<_>>());)+
        all
    }};
}

/// Rules every referral that `each` is told about, and counts them.
fn sweep(name: &str, each: impl Iterator<Item = Told>) -> usize {
    let began: Instant = stopwatch();
    let mut disagreements = Vec::new();
    let count = each
        .inspect(|told| {
            let (ruled, expected) = (goes_to(&RULES.rule(&told.referral(), &[])), told.goes_to());
            if ruled != expected {
                disagreements.push(format!("ruled {ruled}, told {expected}: {told:?}"));
            }
        })
        .count();
    println!("{name}: {count} referrals, {:?}", began.elapsed());
    assert!(disagreements.is_empty(), "{} of {count} disagree, such as\n{}", disagreements.len(), {
        let step = disagreements.len().div_ceil(8);
        disagreements.iter().step_by(step).cloned().collect::<Vec<_>>().join("\n")
    });
    count
}

// ---------------------------------------------------------------- who else is told

/// RA-01, RA-02, RA-15 to RA-19, RA-22 and RA-24, for a child at home in Leeds whom somebody refers and nothing holds.
fn also_told(told: &Told, reporter: Reporter, open_case: bool) -> BTreeSet<String> {
    let (level, found) = (told.handled(), english(told.located));
    let (danger, at_harm) = (level == Level::ImmediateDanger, level.is_significant_harm_or_above());
    let is_elsewhere = found.is_some_and(|found| found != LEEDS);
    let is_referral = matches!(told.event, EventKind::Referral | EventKind::Correction);
    let force = if is_elsewhere { "police.46" } else { "police.13" };
    let mut all = BTreeSet::new();
    let mut tell = |when: bool, to: &str| {
        if when && to != told.sender {
            all.insert(to.to_owned());
        }
    };
    let outside_home = matches!(told.harm, HarmType::SexualExploitation | HarmType::Trafficking)
        || matches!(told.harm, HarmType::ChildOnChildSexual | HarmType::CriminalExploitation);
    let home_acts = match told.harm_place {
        HarmPlace::Found => false,
        HarmPlace::NotStated => !outside_home,
        HarmPlace::Home | HarmPlace::Elsewhere => true,
    };
    tell(is_elsewhere && (danger || level == Level::SignificantHarm && !home_acts), "la.E08000035.front-door");
    // RA-17, and RA-16, whose set RA-17 holds.
    let crime = matches!(
        told.harm,
        HarmType::SexualAbuse
            | HarmType::SexualExploitation
            | HarmType::ChildOnChildSexual
            | HarmType::CriminalExploitation
            | HarmType::Trafficking
            | HarmType::FgmKnown
            | HarmType::FgmReportedByThirdParty
            | HarmType::FgmRisk
            | HarmType::FabricatedOrInducedIllness
    );
    let personal = told.harm == HarmType::FgmKnown && reporter == Reporter::Regulated && is_referral;
    tell(danger || crime || personal, force);
    tell(is_referral && told.harm == HarmType::Radicalisation, &format!("{force}.prevent"));
    let may_be_moved = told.harm == HarmType::CriminalExploitation && is_elsewhere;
    tell(is_referral && (told.harm == HarmType::Trafficking || may_be_moved), "national.nrm");
    let high_risk = told.event == EventKind::Referral
        && told.sender == "police.13"
        && level == Level::SignificantHarm
        && told.harm == HarmType::DomesticAbuse;
    tell(high_risk, "marac.E08000035");
    tell(high_risk && told.years.is_some_and(|years| years < 5), "nhs.E08000035.health-visiting");
    tell(open_case, "la.E08000035.allocated-worker");
    let place_of_work = found.unwrap_or(LEEDS);
    tell(told.event == EventKind::Allegation && at_harm, &format!("la.{place_of_work}.lado"));
    all
}

/// 2 senders, 3 kinds of message, 3 levels, 30 harms, 2 ages, 2 places found, 4 places of harm, 2 kinds of reporter, an
/// open case or none.
#[test]
fn everybody_is_told_whom_the_rules_say_and_nobody_else() {
    let all = told! {
        sender in ["nhs.ZZ101", "police.13"], event in [EventKind::Referral, EventKind::Correction, EventKind::Allegation],
        level in [Level::ImmediateDanger, Level::SignificantHarm, Level::InNeed], harm in HarmType::ALL,
        years in [Some(3), Some(9)], located in [None, Some(CANTERBURY)], harm_place in HarmPlace::ALL,
        agreement in [Agreement::Given],
    };
    let began = stopwatch();
    let mut count = 0;
    for told in all {
        for reporter in [Reporter::Regulated, Reporter::Other] {
            for open_case in [false, true] {
                let mut one = told.referral();
                one.circumstances.reporter = Some(reporter);
                one.places.open_case = open_case.then(|| gss(LEEDS));
                let ruling = RULES.rule(&one, &[]);
                let notified = ruling.views().iter().filter(|view| view.role() == Role::Notified);
                let notified: BTreeSet<String> = notified.map(|view| view.to().to_string()).collect();
                assert_eq!(notified, also_told(&told, reporter, open_case), "{reporter}, {open_case}, {told:?}");
                count += 1;
            }
        }
    }
    assert_eq!(count, 34_560);
    println!("who else is told: {count} referrals, {:?}", began.elapsed());
}

const PLACES: [Place; 5] = [None, Some(LEEDS), Some(CANTERBURY), Some(CARDIFF), Some(NOWHERE)];
const SENDERS: [&str; 5] = ["school.999001", "school.999002", "police.13", "nhs.ZZ101", "vcs.helpline"];

/// 5 levels, 5 ages, 5 homes, 5 places found, 4 places of harm, 4 harms, a second home or none.
#[test]
fn wherever_the_child_is_the_referral_goes_where_the_rules_say() {
    let ages = [(None, false), (Some(9), false), (Some(17), false), (Some(30), false), (None, true)];
    let all = told! {
        level in Level::ALL, home in PLACES, located in PLACES, harm_place in HarmPlace::ALL,
        harm in [HarmType::Neglect, HarmType::Homelessness, HarmType::UnaccompaniedAsylumSeeking, HarmType::SexualExploitation],
        other_home in [None, Some(KENT)],
    };
    let all = all.flat_map(|told| ages.map(|(years, unborn)| Told { years, unborn, ..told }));
    assert_eq!(sweep("places", all), 20_000);
}

/// 5 levels, 3 ages, 3 harms, 7 kinds of message, who placed, who plans and who enquires, 2 places found.
#[test]
fn whoever_has_part_in_the_child_the_referral_goes_where_the_rules_say() {
    let holders = [None, Some(LEEDS), Some(TOWER_HAMLETS)];
    let all = told! {
        event in [
            EventKind::Referral, EventKind::Correction, EventKind::MissingChildReturn, EventKind::Allegation,
            EventKind::ConsentWithdrawn, EventKind::ProfessionalDisagreement, EventKind::PoliceProtectionS46,
        ],
        level in Level::ALL, years in [None, Some(9), Some(17)], placing in holders, plan in holders, enquiry in holders,
        harm in [HarmType::Neglect, HarmType::Trafficking, HarmType::DomesticAbuse], located in [None, Some(CANTERBURY)],
    };
    assert_eq!(sweep("holders", all), 17_010);
}

/// 5 senders, 3 kinds of message, 5 levels, 7 agreements, 3 decisions, looked after or not, told apart or not, 2 moments,
/// and with a purpose or not.
#[test]
fn whatever_was_agreed_and_recorded_the_referral_goes_where_the_rules_say() {
    let all = told! {
        sender in SENDERS, event in [EventKind::Referral, EventKind::Correction, EventKind::Allegation], level in Level::ALL,
        agreement in Agreement::ALL, decision in DutyDecision::ALL, looked_after in [false, true], identified in [true, false],
        received in [OPEN, BEFORE_THE_DUTY], purpose in [true, false],
    };
    assert_eq!(sweep("agreement", all), 25_200);
}

/// 14 kinds of message, 5 levels, 3 ages, 3 kinds of schooling, open or closed, somebody there under suspicion or not,
/// marked or not, long enough or not.
#[test]
fn whatever_the_message_it_goes_to_the_desk_that_the_rules_say() {
    let all = told! {
        event in [
            EventKind::Referral, EventKind::LowLevelConcern, EventKind::Allegation, EventKind::Correction,
            EventKind::ConsentWithdrawn, EventKind::ProfessionalDisagreement, EventKind::ServiceRequest,
            EventKind::CpPlanTransferAccepted, EventKind::MissingChildReturn, EventKind::OperationEncompass,
            EventKind::PoliceProtectionS46, EventKind::PrivateFosteringNotification, EventKind::StrategyDiscussionHeld,
            EventKind::IcpcHeld,
        ],
        level in Level::ALL, years in [None, Some(9), Some(17)],
        school in [Schooling::Known, Schooling::HomeEducated, Schooling::Unknown], received in [OPEN, CLOSED],
        conflict in [false, true], secret in [false, true], days in [27, 28],
    };
    assert_eq!(sweep("desks", all), 10_080);
}

/// 3 kinds of message, 5 levels, 3 ages, who placed, who plans and who enquires, 2 harms, 3 places found.
#[test]
fn a_homeless_or_unaccompanied_child_of_whom_another_authority_has_care_goes_where_the_rules_say() {
    let holders = [None, Some(LEEDS), Some(TOWER_HAMLETS)];
    let all = told! {
        event in [EventKind::Referral, EventKind::Correction, EventKind::MissingChildReturn], level in Level::ALL,
        years in [None, Some(9), Some(17)], placing in holders, plan in holders, enquiry in holders,
        harm in [HarmType::Homelessness, HarmType::UnaccompaniedAsylumSeeking], located in [None, Some(CANTERBURY), Some(LEEDS)],
    };
    assert_eq!(sweep("homeless and unaccompanied", all), 7_290);
}
