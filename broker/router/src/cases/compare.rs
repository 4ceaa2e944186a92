//! What the rules made of a case, beside what was expected of them; every difference in words.

use std::collections::BTreeSet;

use referral::Endpoint;
use referral::rules::pack::Extent;
use referral::rules::{ClockStart, Decision, Ruling, View};
use referral::vocab::{Category, Desk, Household, NationalBody, Vocabulary};

use super::Made;
use super::read::{Bound, Case, ExpectedClock};

/// The differences, and what is advice only.
pub fn compare(case: &Case, bound: &Bound, made: &Made) -> (Vec<String>, Vec<String>) {
    let expected = &case.expected;
    let Some((_, first)) = made.rulings.first() else { return (vec!["the case has no child".to_owned()], Vec::new()) };
    let mut differences = Vec::new();
    let mut differs = |what: &str, expected: String, found: String| {
        if expected != found {
            differences.push(format!("{what}: expected {expected}, the rules say {found}"));
        }
    };

    differs("action", expected.action.clone(), action(bound, made).to_owned());
    let responsible = if made.is_duplicate { None } else { responsible(first) };
    let or_nobody = |name: Option<String>| name.unwrap_or_else(|| "nobody".to_owned());
    differs("responsible", or_nobody(expected.responsible_authority.clone()), or_nobody(responsible.map(|to| called(to, bound))));

    let mut told: BTreeSet<String> = BTreeSet::new();
    if !made.is_duplicate {
        told.extend(also_told(made).into_iter().map(|to| called(&to, bound)));
    }
    // A force that a case names in words is any force: it knows no code for it.
    let is_named_in_words =
        |name: &str| name.strip_prefix("POLICE:").is_some_and(|force| !force.starts_with(|c: char| c.is_ascii_digit()));
    let by_words = |name: &String| if name.starts_with("POLICE:") { "POLICE:any".to_owned() } else { name.clone() };
    let expected_told: BTreeSet<String> = expected.also_notify.iter().cloned().collect();
    if expected_told.iter().any(|name| is_named_in_words(name)) {
        differs("also told", list(&expected_told.iter().map(by_words).collect()), list(&told.iter().map(by_words).collect()));
    } else {
        differs("also told", list(&expected_told), list(&told));
    }

    for withheld in &expected.withheld {
        let category = Category::read(&withheld.category).unwrap_or(Category::Unknown);
        let all = made.rulings.iter().flat_map(|(_, ruling)| ruling.views());
        let given = all.filter(|view| called(view.to(), bound) == withheld.from).any(|view| is_given(view, category));
        if given {
            differences.push(format!("withheld: {} must not reach {}, and does", withheld.category, withheld.from));
        }
    }

    let bases: BTreeSet<String> = if made.is_duplicate {
        BTreeSet::new()
    } else {
        made.rulings.iter().flat_map(|(_, ruling)| ruling.bases()).map(|basis| basis.as_str().to_owned()).collect()
    };
    let missing: BTreeSet<String> = expected.lawful_basis.iter().filter(|basis| !bases.contains(*basis)).cloned().collect();
    if !missing.is_empty() {
        differences.push(format!("lawful basis: not recorded {}; recorded {}", list(&missing), list(&bases)));
    }
    if expected.lawful_basis.is_empty() && !bases.is_empty() {
        differences.push(format!("lawful basis: expected that nothing is disclosed, and {} is recorded", list(&bases)));
    }

    let started: BTreeSet<String> = if made.is_duplicate { BTreeSet::new() } else { first.clocks().iter().map(clock).collect() };
    let wanted: BTreeSet<String> = expected.clocks.iter().map(expected_clock).collect();
    if started != wanted {
        differences.push(format!("clocks: expected {}, the rules start {}", list(&wanted), list(&started)));
    }

    let flags: BTreeSet<&str> = first.flags().collect();
    let unraised: BTreeSet<String> = expected.flags.iter().filter(|flag| !flags.contains(flag.as_str())).cloned().collect();
    let mut remarks = Vec::new();
    if !unraised.is_empty() {
        remarks.push(format!("not flagged: {}", list(&unraised)));
    }
    if !bound.from_story.is_empty() {
        remarks.push(format!("named by the story only: {}", bound.from_story.join(", ")));
    }
    (differences, remarks)
}

fn list(names: &BTreeSet<String>) -> String {
    if names.is_empty() { "none".to_owned() } else { names.iter().cloned().collect::<Vec<_>>().join(", ") }
}

fn responsible(ruling: &Ruling) -> Option<&Endpoint> {
    match ruling.decision() {
        Decision::Deliver { to } => Some(to),
        Decision::HoldForReview { intended } => intended.as_ref(),
        Decision::ReturnToSender | Decision::Refuse => None,
    }
}

/// Whoever is told, and the responsible of every further child who is another authority.
fn also_told(made: &Made) -> Vec<Endpoint> {
    let mut told: Vec<Endpoint> = Vec::new();
    let first = made.rulings.first().and_then(|(_, ruling)| responsible(ruling));
    for (_, ruling) in &made.rulings {
        for view in ruling.views() {
            if Some(view.to()) != first && !told.contains(view.to()) {
                told.push(view.to().clone());
            }
        }
    }
    told
}

fn action(bound: &Bound, made: &Made) -> &'static str {
    let Some((_, ruling)) = made.rulings.first() else { return "reject" };
    if made.is_duplicate {
        return "reject";
    }
    match ruling.decision() {
        Decision::HoldForReview { .. } => "hold_for_review",
        Decision::ReturnToSender | Decision::Refuse => "reject",
        Decision::Deliver { to: Endpoint::Adult(_) | Endpoint::Devolved(_) } => "redirect",
        Decision::Deliver { .. } if ruling.redirected_from().is_some() => "redirect",
        Decision::Deliver { .. } if somebody_loses(bound, made) => "deliver_redacted",
        Decision::Deliver { .. } => "deliver",
    }
}

/// Whether some recipient, or somebody whom the sender asked to be told, gets nothing of a category that is there. To
/// the sender nothing goes back but what became of it: what must be seen to be left out there is a protected address.
fn somebody_loses(bound: &Bound, made: &Made) -> bool {
    let rulings = || made.rulings.iter().map(|(_, ruling)| ruling);
    let loses = |view: &View| view.verdicts().iter().any(|verdict| matches!(verdict.given, Extent::Nothing | Extent::Review));
    let address = |category: Category| category == Category::ProtectedAddress;
    rulings().flat_map(Ruling::views).any(loses)
        || rulings().any(|ruling| !ruling.not_told().is_empty())
        || bound.referrals.iter().any(|referral| referral.items.iter().any(|item| address(item.category)))
}

fn is_given(view: &View, category: Category) -> bool {
    let of = |category| view.verdicts().iter().filter(move |verdict| verdict.category == category);
    of(category).any(|verdict| matches!(verdict.given, Extent::Whole | Extent::Minimum))
}

fn clock(start: &ClockStart) -> String {
    let due = start.due.date.map_or_else(|| start.due.by.to_string(), |date| date.to_string());
    format!("{} due {due}", start.name)
}

/// A moment is compared as a moment, in whatever offset it is written.
fn expected_clock(expected: &ExpectedClock) -> String {
    let due = expected.due.parse::<referral::Moment>().map_or_else(|_| expected.due.clone(), |moment| moment.to_string());
    format!("{} due {due}", expected.name)
}

/// What the cases call a party.
fn called(endpoint: &Endpoint, bound: &Bound) -> String {
    if let Some(name) = bound.names.get(endpoint).filter(|_| !matches!(endpoint, Endpoint::Authority(..))) {
        return match endpoint {
            Endpoint::School(urn) => format!("SCHOOL:URN{urn}"),
            Endpoint::Authority(..)
            | Endpoint::Police(_)
            | Endpoint::PolicePrevent(_)
            | Endpoint::Nhs(_)
            | Endpoint::NhsService(..)
            | Endpoint::Adult(_)
            | Endpoint::Devolved(_)
            | Endpoint::Voluntary(_)
            | Endpoint::Marac(_)
            | Endpoint::National(_)
            | Endpoint::Household(_)
            | Endpoint::Public
            | Endpoint::Operator => name.clone(),
        };
    }
    match endpoint {
        Endpoint::Authority(gss, desk) => {
            let code = bound.directory.register().stand_in_name(gss).unwrap_or(gss.as_str());
            format!("LA:{code}:{}", desk_called(*desk))
        }
        Endpoint::Police(force) => format!("POLICE:{force}"),
        Endpoint::PolicePrevent(force) => format!("POLICE:{force}:prevent"),
        Endpoint::School(urn) => format!("SCHOOL:URN{urn}"),
        Endpoint::Nhs(ods) => format!("ODS:{ods}"),
        Endpoint::NhsService(_, service) => format!("NHS:{}", service.as_str().replace('-', "_")),
        Endpoint::Adult(gss) => format!("ADULT:{gss}"),
        Endpoint::Devolved(gss) => format!("DEVOLVED:{gss}"),
        Endpoint::Voluntary(code) => format!("VCS:{code}"),
        Endpoint::Marac(gss) => format!("MARAC:{gss}"),
        Endpoint::National(NationalBody::ReferralMechanism) => "NRM".to_owned(),
        Endpoint::National(body) => format!("NATIONAL:{}", body.as_str().replace('-', "_")),
        Endpoint::Household(Household::Own) => "PARENT".to_owned(),
        Endpoint::Household(Household::Other) => "PARENT:other_household".to_owned(),
        Endpoint::Public => "PUBLIC".to_owned(),
        Endpoint::Operator => "OPS".to_owned(),
    }
}

fn desk_called(desk: Desk) -> String {
    desk.as_str().replace('-', "_")
}
