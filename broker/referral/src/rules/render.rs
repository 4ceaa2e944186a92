//! The rules in words, for the people who sign them: one page per table, one sentence per row.
//!
//! What a person signs is this text, so it says everything that a row says: when, who and what, its id, why, in
//! which source, how well that is founded, and whether the sector agrees. It adds nothing of its own.

use std::fmt::Display;

use super::in_code::RULES_IN_CODE;
use super::pack::{ClockAnchor, ClockSpec, Draft, Extent, Hold, LawfulBasis, Notify, PackKind, RouteTo};
use super::table::{Cube, Row, Table};
use crate::time::Amount;
use crate::vocab::{Desk, Vocabulary};

/// Every page of `packs`, in Markdown.
pub fn rulebook(packs: &[Draft]) -> String {
    let mut pages = vec![PREFACE.to_owned()];
    pages.extend(packs.iter().map(pack));
    pages.push(in_code());
    pages.join("\n")
}

/// The rules that are no rows.
fn in_code() -> String {
    let says = RULES_IN_CODE.iter().map(|own| format!("- **{}** {}. *Held by {}.*\n", own.rule, plain(own.says), own.held_by));
    format!("\n# Rules that no pack holds\n\nThey are the same in every edition.\n\n{}", says.collect::<String>())
}

const PREFACE: &str = "# The rule book

Every rule in words, with its reason, its source and how well that is founded. Generated from the rule packs: do not
edit this file, edit the packs.
";

/// One pack: what it says of itself, and a page for each of its tables.
pub fn pack(draft: &Draft) -> String {
    let pages = [
        page(
            "Who answers instead of the authority of the place",
            "At most one of these rules applies, and it goes before the next page.",
            &draft.tables.diversion,
            route,
        ),
        page(
            "Which authority, by the place",
            "Exactly one of these rules applies to every referral.",
            &draft.tables.route,
            route,
        ),
        page("Which desk", "Exactly one of these rules applies to every referral.", &draft.tables.desk, desk),
        page("What holds it back", "Every rule that matches applies.", &draft.tables.hold, |hold| held(*hold).to_owned()),
        page("Who else is told", "Every rule that matches applies.", &draft.tables.notify, notify),
        page(
            "What a recipient is given",
            "The most that any of these rules gives, cut by what is withheld.",
            &draft.tables.share,
            |extent| format!("the recipient is given {}", given(*extent)),
        ),
        page(
            "What is withheld",
            "Withholding beats giving: the least that any of these rules leaves.",
            &draft.tables.withhold,
            |extent| format!("the recipient is left {}", given(*extent)),
        ),
        page("In which law it stands", "Every rule that matches applies.", &draft.tables.basis, basis),
        page("Which clocks start", "Every rule that matches applies.", &draft.tables.clock, clock),
        page("What people are alerted to", "Every rule that matches applies.", &draft.tables.flag, flag),
    ];
    format!("{}{}", head(draft), pages.concat())
}

fn head(draft: &Draft) -> String {
    let head = &draft.head;
    let what = match &head.kind {
        PackKind::Edition => "An edition".to_owned(),
        PackKind::Overlay => "An overlay on the edition in force".to_owned(),
        PackKind::Area(authority) => format!("The settings of the authority {authority}, where it is responsible"),
    };
    let until = head.effective_until.map_or_else(String::new, |until| format!(" to {until}"));
    let mut text =
        format!("\n# {}\n\n{}. {what}, in force from {}{until}.\n", head.name(), plain(&head.about), head.effective_from);
    if !head.enabled {
        text.push_str("\n**Switched off: it rules nobody until the pack itself says otherwise.**\n");
    }
    if let Some(base) = &head.based_on {
        text.push_str(&format!("\nEvery rule of {} applies too.\n", base.edition));
    }
    if !head.ends.is_empty() {
        let ended: Vec<String> = head.ends.iter().map(ToString::to_string).collect();
        text.push_str(&format!("\nIt ends these rules of what it stands on: {}.\n", ended.join(", ")));
    }
    text
}

fn page<Outcome>(title: &str, how: &str, table: &Table<Outcome>, says: impl Fn(&Outcome) -> String) -> String {
    if table.0.is_empty() {
        return String::new();
    }
    let rows = table.0.iter().map(|row| sentence(row, &says(&row.outcome)));
    format!("\n## {title}\n\n{how}\n\n{}", rows.collect::<String>())
}

fn sentence<Outcome>(row: &Row<Outcome>, says: &str) -> String {
    let reason = &row.reason;
    let contested = if reason.contested { " **Contested: the sector does not agree on it.**" } else { "" };
    format!(
        "- **{}** {}. {}. *Source: {}. Evidence: {}.*{contested}\n",
        reason.rule,
        situation(&row.when, says),
        plain(&reason.because),
        plain(&reason.source),
        reason.evidence.words(),
    )
}

/// A situation and what follows from it, as one clause.
pub(super) fn situation(when: &Cube, says: &str) -> String {
    if when.is_everything() { format!("Always: {says}") } else { format!("When {when}: {says}") }
}

/// Text of a pack, in which no character means anything to Markdown.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '_' | '`' | '<' | '[' | '\\') {
            plain.push('\\');
        }
        plain.push(letter);
    }
    plain
}

pub(super) fn route(to: &RouteTo) -> String {
    format!("the authority that answers is: {}", to.words())
}

pub(super) fn desk(desk: &Desk) -> String {
    format!("it goes to the desk: {}", desk.as_str().replace('-', " "))
}

pub(super) fn held(hold: Hold) -> &'static str {
    match hold {
        Hold::Review => "nothing leaves before a person has decided",
        Hold::ReturnToSender => "it goes back to the sender with the reason",
        Hold::Refuse => "it is refused and not stored, and the sender is told how to send it",
    }
}

pub(super) fn notify(notify: &Notify) -> String {
    let even = if notify.even_when_held { ", even while a person decides where it goes" } else { "" };
    format!("told as well: {}{even}", notify.to.words())
}

pub(super) fn given(extent: Extent) -> &'static str {
    match extent {
        Extent::Nothing => "nothing",
        Extent::Review => "nothing until a person has looked",
        Extent::Minimum => "the minimum",
        Extent::Whole => "the whole",
    }
}

pub(super) fn basis(basis: &LawfulBasis) -> String {
    format!("it stands in {basis}")
}

pub(super) fn clock(clock: &ClockSpec) -> String {
    let counted = |number: u16, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let length = match clock.amount {
        Amount::WorkingDays(days) => format!("for {}", counted(days, "working day", "working days")),
        Amount::SchoolDays(days) => format!("for {}", counted(days, "school day", "school days")),
        Amount::ElapsedHours(hours) => format!("for {}", counted(hours, "hour", "hours")),
        Amount::Months(months) => format!("for {}", counted(months, "month", "months")),
        Amount::NextSchoolDay => "to the beginning of the next school day".to_owned(),
    };
    let from = match clock.starts {
        ClockAnchor::Receipt => "receipt",
        ClockAnchor::Event => "what is reported, or receipt where that is not said",
        ClockAnchor::Referral => "receipt of the referral that it is about",
        ClockAnchor::Step => "the step of the case that it is about",
    };
    format!("the clock `{}` runs {length}, from {from}, until: {}", clock.name, clock.ends_with.words())
}

pub(super) fn flag(flag: &(impl Display + ?Sized)) -> String {
    format!("people are alerted to `{flag}`")
}
