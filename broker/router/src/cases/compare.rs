//! What came of a case, beside what was expected of it; every difference in words. Where it was seen, in the rulings
//! of the core or on the queues of its recipients, makes no difference to what is expected.

use std::collections::BTreeSet;

use jiff::civil::Date;
use referral::rules::pack::Extent;
use referral::rules::{Decision, Ruling};
use referral::submission::Referral;
use referral::vocab::{Category, Desk, Household, NationalBody, Vocabulary};
use referral::{Endpoint, Moment};

use super::read::{Bound, Case, ExpectedClock};

/// What came of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// What became of the first child's referral.
    pub became: Became,
    /// When it was received. On the wire that is a moment after the case says it was.
    pub received: Moment,
    /// The sender had addressed it to somebody else than whom it went to.
    pub is_redirected: bool,
    /// Whom the sender asked to be told and who is not told at all.
    pub not_told: BTreeSet<Endpoint>,
    /// Everybody who is told something about any of the children, and what they are given.
    pub told: Vec<Told>,
    /// In which law it was disclosed.
    pub bases: BTreeSet<String>,
    /// The clocks that started for the first child.
    pub clocks: Vec<Started>,
    /// What people are alerted to about the first child.
    pub flags: BTreeSet<String>,
}

/// What became of a referral.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Became {
    /// It went.
    Delivered {
        /// To whoever answers for the child.
        to: Endpoint,
    },
    /// It waits for a person.
    Held {
        /// Where it would go.
        intended: Option<Endpoint>,
    },
    /// It came back, or was refused.
    Returned,
    /// It was received before, and changed nothing.
    Repeat,
}

/// Somebody who is told, and what they are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Who.
    pub to: Endpoint,
    /// Of which categories they are given something.
    pub given: BTreeSet<Category>,
    /// Of which categories they are given nothing that is there.
    pub kept: BTreeSet<Category>,
}

/// A clock that started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Which.
    pub name: String,
    /// The London date at whose end it is due; none where it runs in hours.
    pub date: Option<Date>,
    /// The moment at which it is due.
    pub by: Moment,
}

impl Observed {
    /// What the core's rulings say, one a child. `is_repeat` says that it was received before.
    pub(super) fn in_rulings(rulings: &[(Referral, Ruling)], is_repeat: bool) -> Option<Observed> {
        let (referral, first) = rulings.first()?;
        let nothing = Observed {
            became: Became::Repeat,
            received: referral.received,
            is_redirected: false,
            not_told: BTreeSet::new(),
            told: Vec::new(),
            bases: BTreeSet::new(),
            clocks: Vec::new(),
            flags: BTreeSet::new(),
        };
        if is_repeat {
            return Some(nothing);
        }
        let all = || rulings.iter().map(|(_, ruling)| ruling);
        let told = all().flat_map(Ruling::views).map(|view| {
            let of = |gives: fn(Extent) -> bool| {
                view.verdicts().iter().filter(|verdict| gives(verdict.given)).map(|verdict| verdict.category).collect()
            };
            Told {
                to: view.to().clone(),
                given: of(|extent| matches!(extent, Extent::Whole | Extent::Minimum)),
                kept: of(|extent| matches!(extent, Extent::Nothing | Extent::Review)),
            }
        });
        let started = |clock: &referral::rules::ClockStart| Started {
            name: clock.name.to_string(),
            date: clock.due.date,
            by: clock.due.by,
        };
        Some(Observed {
            became: match first.decision() {
                Decision::Deliver { to } => Became::Delivered { to: to.clone() },
                Decision::HoldForReview { intended } => Became::Held { intended: intended.clone() },
                Decision::ReturnToSender | Decision::Refuse => Became::Returned,
            },
            is_redirected: first.redirected_from().is_some(),
            not_told: all().flat_map(Ruling::not_told).map(|(to, _)| to.clone()).collect(),
            told: told.collect(),
            bases: all().flat_map(Ruling::bases).map(|basis| basis.as_str().to_owned()).collect(),
            clocks: first.clocks().iter().map(started).collect(),
            flags: first.flags().map(str::to_owned).collect(),
            ..nothing
        })
    }

    fn responsible(&self) -> Option<&Endpoint> {
        match &self.became {
            Became::Delivered { to } => Some(to),
            Became::Held { intended } => intended.as_ref(),
            Became::Returned | Became::Repeat => None,
        }
    }
}

/// The differences, and what is advice only.
pub fn compare(case: &Case, bound: &Bound, observed: &Observed) -> (Vec<String>, Vec<String>) {
    let expected = &case.expected;
    let mut differences = Vec::new();
    let mut differs = |what: &str, expected: String, found: String| {
        if expected != found {
            differences.push(format!("{what}: expected {expected}, found {found}"));
        }
    };

    differs("action", expected.action.clone(), action(case, observed).to_owned());
    let or_nobody = |name: Option<String>| name.unwrap_or_else(|| "nobody".to_owned());
    let responsible = observed.responsible().map(|to| bound.called(to));
    differs("responsible", or_nobody(expected.responsible_authority.clone()), or_nobody(responsible));

    let others = observed.told.iter().map(|told| &told.to).filter(|to| Some(*to) != observed.responsible());
    let told: BTreeSet<String> = others.map(|to| bound.called(to)).collect();
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
        let from = observed.told.iter().filter(|told| bound.called(&told.to) == withheld.from);
        if from.into_iter().any(|told| told.given.contains(&category)) {
            differences.push(format!("withheld: {} must not reach {}, and does", withheld.category, withheld.from));
        }
    }

    let bases = &observed.bases;
    let missing: BTreeSet<String> = expected.lawful_basis.iter().filter(|basis| !bases.contains(*basis)).cloned().collect();
    if !missing.is_empty() {
        differences.push(format!("lawful basis: not recorded {}; recorded {}", list(&missing), list(bases)));
    }
    if expected.lawful_basis.is_empty() && !bases.is_empty() {
        differences.push(format!("lawful basis: expected that nothing is disclosed, and {} is recorded", list(bases)));
    }

    let started: BTreeSet<String> = observed.clocks.iter().map(|started| clock(started, observed.received, case)).collect();
    let wanted: BTreeSet<String> = expected.clocks.iter().map(expected_clock).collect();
    if started != wanted {
        differences.push(format!("clocks: expected {}, started {}", list(&wanted), list(&started)));
    }

    let unraised: BTreeSet<String> = expected.flags.iter().filter(|flag| !observed.flags.contains(*flag)).cloned().collect();
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

fn action(case: &Case, observed: &Observed) -> &'static str {
    match &observed.became {
        Became::Held { .. } => "hold_for_review",
        Became::Returned | Became::Repeat => "reject",
        Became::Delivered { to: Endpoint::Adult(_) | Endpoint::Devolved(_) } => "redirect",
        Became::Delivered { .. } if observed.is_redirected => "redirect",
        Became::Delivered { .. } if somebody_loses(case, observed) => "deliver_redacted",
        Became::Delivered { .. } => "deliver",
    }
}

/// Whether some recipient, or somebody whom the sender asked to be told, gets nothing of a category that the case says
/// is there. To the sender nothing goes back but what became of it: what must be seen to be left out there is a
/// protected address.
fn somebody_loses(case: &Case, observed: &Observed) -> bool {
    let there = case.categories();
    observed.told.iter().any(|told| !told.kept.is_disjoint(&there))
        || !observed.not_told.is_empty()
        || there.contains(&Category::ProtectedAddress)
}

/// A clock of hours is due so long after the case says that it began, however long the message then took to arrive.
fn clock(started: &Started, received: Moment, case: &Case) -> String {
    let Started { name, date, by } = started;
    let late = received.duration_since(case.received());
    let is_due_at = |by: &Moment| case.expected.clocks.iter().any(|clock| clock.name == *name && moment(&clock.due) == Some(*by));
    let on_time = by.checked_sub(late).ok().filter(|on_time| !is_due_at(by) && is_due_at(on_time));
    let due = date.map_or_else(|| on_time.unwrap_or(*by).to_string(), |date| date.to_string());
    format!("{name} due {due}")
}

fn moment(due: &str) -> Option<Moment> {
    due.parse().ok()
}

/// A moment is compared as a moment, in whatever offset it is written.
fn expected_clock(expected: &ExpectedClock) -> String {
    let due = moment(&expected.due).map_or_else(|| expected.due.clone(), |moment| moment.to_string());
    format!("{} due {due}", expected.name)
}

impl Bound {
    /// What the case calls a party.
    pub fn called(&self, endpoint: &Endpoint) -> String {
        if let Some(name) = self.names.get(endpoint).filter(|_| !matches!(endpoint, Endpoint::Authority(..))) {
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
                let code = self.directory.register().stand_in_name(gss).unwrap_or(gss.as_str());
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
}

fn desk_called(desk: Desk) -> String {
    desk.as_str().replace('-', "_")
}
