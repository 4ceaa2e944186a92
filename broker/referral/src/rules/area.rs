//! The settings of one area may tighten and never loosen: proved here, with the situations in which one would.
//!
//! That an area routes nothing, shares nothing, gives no basis and ends no rule is seen when its pack is read.
//! What is left to prove needs the rules beneath it: that no clock of its own runs longer than theirs, and that
//! at significant harm whoever is responsible is given no less than before, so that no local setting can empty a
//! referral on which a child's safety hangs. That it holds none back is a promise of every pack.

use super::diff::given_otherwise;
use super::pack::{ClockSpec, Tables};
use super::prove::{Examined, significant_harm};
use super::table::{Column, Cube, RuleId};
use crate::time::Amount;
use crate::vocab::{RecipientKind, Vocabulary};

/// As what a responsible authority receives, whichever desk of it.
const RESPONSIBLE: [RecipientKind; 3] = [RecipientKind::FrontDoor, RecipientKind::Lado, RecipientKind::FamilyHelp];

/// Examines `with`, which is `beneath` and an area on it.
pub(super) fn examine(beneath: &Tables, with: &Tables) -> Vec<Examined> {
    vec![
        Examined {
            property: "No clock of an area runs longer, or ends otherwise, than the rules beneath it say",
            situations: clocks(beneath, with),
        },
        Examined {
            property: "At significant harm or above an area leaves whoever is responsible all that the rules beneath it give",
            situations: emptied(beneath, with),
        },
    ]
}

fn clocks(beneath: &Tables, with: &Tables) -> Vec<String> {
    let known = |id: &RuleId| beneath.clock.0.iter().any(|row| row.reason.rule == *id);
    let own = with.clock.0.iter().filter(|row| !known(&row.reason.rule));
    own.flat_map(|own| {
        beneath
            .clock
            .0
            .iter()
            .filter(|row| row.outcome.name == own.outcome.name && !tightens(&row.outcome, &own.outcome))
            .filter_map(move |row| {
                let both = row.when.intersect(&own.when);
                (!both.is_empty()).then(|| format!("{} loosens {} when {both}", own.reason.rule, row.reason.rule))
            })
    })
    .collect()
}

/// Whether `own` is never due after `beneath`, whenever both start, and is stopped by the same.
fn tightens(beneath: &ClockSpec, own: &ClockSpec) -> bool {
    let no_later = match own.amount {
        Amount::WorkingDays(own) => matches!(beneath.amount, Amount::WorkingDays(beneath) if own <= beneath),
        Amount::SchoolDays(own) => matches!(beneath.amount, Amount::SchoolDays(beneath) if own <= beneath),
        Amount::Months(own) => matches!(beneath.amount, Amount::Months(beneath) if own <= beneath),
        Amount::NextSchoolDay => beneath.amount == Amount::NextSchoolDay,
        Amount::ElapsedHours(own) => match beneath.amount {
            Amount::ElapsedHours(beneath) => own <= beneath,
            // Counting begins the day after, so each of these days is at least 24 hours long.
            Amount::WorkingDays(days) | Amount::SchoolDays(days) => u32::from(own) <= 24 * u32::from(days),
            // The shortest month, and an hour lost to the summer.
            Amount::Months(months) => u32::from(own) <= 24 * 27 * u32::from(months),
            // It can begin within the hour.
            Amount::NextSchoolDay => false,
        },
    };
    no_later && own.starts == beneath.starts && own.ends_with == beneath.ends_with
}

fn emptied(beneath: &Tables, with: &Tables) -> Vec<String> {
    let kinds = RESPONSIBLE.iter().fold(0, |set, kind| set | 1 << kind.ordinal());
    let region = Cube::everything().and(Column::Level, significant_harm()).and(Column::Recipient, kinds);
    let less = given_otherwise(beneath, with, &region).into_iter().filter(|(_, before, after)| after < before);
    less.map(|(cube, ..)| {
        let by = with.withhold.0.iter().filter(|row| !beneath.withhold.0.contains(row) && !row.when.intersect(&cube).is_empty());
        let by: Vec<String> = by.map(|row| row.reason.rule.to_string()).collect();
        format!("{} withholds it when {cube}", by.join(" and "))
    })
    .collect()
}
