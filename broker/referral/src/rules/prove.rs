//! Tables become a rule pack only here, after the promises were proved over every situation there is.
//!
//! Proofs are set algebra on rows: what is left of a region after the rows that cover it are taken away. A
//! failure names the situations, in English.

use std::fmt;

use super::pack::{ClockName, Extent, Hold, LawfulBasis, RouteTo, Tables};
use super::table::{Column, Cube, Row, Table};
use super::{PackId, RulePack};
use crate::vocab::*;

/// Why a pack was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFailure {
    /// The property that fails, in words.
    pub property: &'static str,
    /// The situations, or rows, that break it.
    pub situations: Vec<String>,
}

impl fmt::Display for ProofFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. This breaks it: {}", self.property, self.situations.join("; "))
    }
}

impl std::error::Error for ProofFailure {}

fn only<Word: Vocabulary>(words: &[Word]) -> u64 {
    words.iter().fold(0, |set, word| set | 1 << word.ordinal())
}

/// Significant harm and above.
pub(super) fn significant_harm() -> u64 {
    only(&[Level::ImmediateDanger, Level::SignificantHarm])
}

/// Cells of the matrix that no partnership may open (rules.md 1(d), the bold ones).
const NEVER: &[(&[RecipientKind], &[Category])] = &[
    (&[RecipientKind::School], &[Category::SexualHealth, Category::ParentHealth, Category::CriminalOffence]),
    // A practitioner who refers may be named to a parent, a member of the public or an anonymous caller never;
    // no column tells them apart, so the cell stays closed.
    (&[RecipientKind::Parent], &[Category::SexualHealth, Category::ThirdParty, Category::ReferrerIdentity]),
    (&[RecipientKind::OtherHousehold], &[Category::ProtectedAddress, Category::DomesticAbuseDetail]),
    (&[RecipientKind::Employer], &[Category::AllegationAgainstProfessional]),
];

/// Categories that are, or in free text may hold, special category data: an Article 9 condition is needed.
pub const SPECIAL: &[Category] = &[
    Category::ConcernNarrative,
    Category::ChildHealth,
    Category::SexualHealth,
    Category::ParentHealth,
    Category::ThirdParty,
    Category::SpecialCategoryOther,
];

/// Messages that answer a referral, or tell a family or an operator something: no authority waits for them.
pub const NO_REFERRALS: &[EventKind] =
    &[EventKind::Acknowledgement, EventKind::ReferralOutcome, EventKind::OutcomeNotice, EventKind::OperatorQuery];

/// One property, and what breaks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// The property, in words.
    pub property: &'static str,
    /// The situations, or rows, that break it, in words; none where it holds.
    pub situations: Vec<String>,
}

/// Makes a pack of tables of which every property holds, and what else was `examined`.
pub fn prove(id: PackId, tables: Tables, examined: Vec<Examined>) -> Result<RulePack, Vec<ProofFailure>> {
    let broken = examine(&tables).into_iter().chain(examined).filter(|examined| !examined.situations.is_empty());
    let failures: Vec<ProofFailure> =
        broken.map(|Examined { property, situations }| ProofFailure { property, situations }).collect();
    if failures.is_empty() { Ok(RulePack::proved(id, tables)) } else { Err(failures) }
}

/// Examines every property.
pub fn examine(tables: &Tables) -> Vec<Examined> {
    let mut examined = Vec::new();
    let mut check = |property, situations| examined.push(Examined { property, situations });
    check("Every rule has an id of its own", repeated_ids(tables));
    check("Every row can match some situation", dead_rows(tables));
    check("Every referral has a route", words(tables.route.uncovered()));
    check("No referral has two routes", doubles(&tables.route));
    check("No message has two diversions", doubles(&tables.diversion));
    check("Every referral has a desk", words(tables.desk.uncovered()));
    check("No referral has two desks", doubles(&tables.desk));
    check("Nothing at significant harm or above is held back, but for the three exceptions", held_at_significant_harm(tables));
    check("No agreement, refused or missing, changes what is disclosed at significant harm or above", consent_bars(tables));
    check("An unknown category or kind of recipient is given nothing", opened_to_the_unknown(tables));
    check("No cell that must stay closed is opened", opened_bold_cells(tables));
    check("Every stage of a disagreement, and every offer of a transfer, has a time limit", without_limit(tables));
    check("Every disclosure has an Article 6 basis", without_basis(tables, LawfulBasis::is_article_6, None));
    check(
        "Every disclosure of special category data has an Article 9 condition",
        without_basis(tables, LawfulBasis::is_article_9, Some(SPECIAL)),
    );
    examined
}

/// The clocks of steps that no row lets run.
fn without_limit(tables: &Tables) -> Vec<String> {
    let runs = |name: &ClockName| tables.clock.0.iter().any(|row| row.outcome.name == *name);
    ClockName::OF_STEPS.iter().filter(|name| !runs(name)).map(|name| format!("no row says how long {name} runs")).collect()
}

fn words(cubes: Vec<Cube>) -> Vec<String> {
    cubes.iter().map(Cube::to_string).collect()
}

pub(super) fn ids(tables: &Tables) -> impl Iterator<Item = &str> {
    rows(tables).into_iter().map(|(id, _)| id)
}

fn rows(tables: &Tables) -> Vec<(&str, &Cube)> {
    fn of<Outcome>(table: &Table<Outcome>) -> impl Iterator<Item = (&str, &Cube)> {
        table.0.iter().map(|row: &Row<Outcome>| (row.reason.rule.0.as_str(), &row.when))
    }
    of(&tables.diversion)
        .chain(of(&tables.route))
        .chain(of(&tables.desk))
        .chain(of(&tables.hold))
        .chain(of(&tables.notify))
        .chain(of(&tables.share))
        .chain(of(&tables.withhold))
        .chain(of(&tables.basis))
        .chain(of(&tables.clock))
        .chain(of(&tables.flag))
        .collect()
}

fn repeated_ids(tables: &Tables) -> Vec<String> {
    let mut ids: Vec<&str> = ids(tables).collect();
    ids.sort_unstable();
    ids.windows(2)
        .filter_map(|pair| match pair {
            [a, b] if a == b => Some(format!("{a} stands there twice")),
            _ => None,
        })
        .collect()
}

fn dead_rows(tables: &Tables) -> Vec<String> {
    rows(tables).into_iter().filter(|(_, when)| when.is_empty()).map(|(id, when)| format!("{id}: {when}")).collect()
}

fn doubles<Outcome>(table: &Table<Outcome>) -> Vec<String> {
    table
        .overlaps()
        .into_iter()
        .map(|(one, other, both)| format!("{} and {} both match when {both}", one.reason.rule, other.reason.rule))
        .collect()
}

fn held_at_significant_harm(tables: &Tables) -> Vec<String> {
    let at_harm = |when: &Cube| when.clone().and(Column::Level, significant_harm());
    let left = |when: &Cube, allowed: &[Cube]| {
        let at_harm = at_harm(when);
        if at_harm.is_empty() { Vec::new() } else { at_harm.subtract_all(allowed) }
    };
    let held = tables.hold.0.iter().flat_map(|row| {
        let rest = left(&row.when, &exceptions_for(row.outcome));
        rest.into_iter().map(|cube| format!("{} holds it when {cube}", row.reason.rule))
    });
    let lost = tables.diversion.0.iter().chain(&tables.route.0).flat_map(|row| {
        let rest = left(&row.when, &places_for(row.outcome));
        rest.into_iter().map(|cube| format!("{} names an authority that is not known when {cube}", row.reason.rule))
    });
    held.chain(lost).collect()
}

/// Where P4 lets a hold stand at significant harm: a person looks where the sender recorded that sharing would
/// do the child more harm; what is marked above OFFICIAL-SENSITIVE is refused; nothing goes back.
fn exceptions_for(hold: Hold) -> Vec<Cube> {
    match hold {
        Hold::Review => vec![
            Cube::everything().and(Column::DutyDecision, only(&[DutyDecision::MoreDetrimental])),
            // A letter to a family is no referral: no authority waits for it.
            Cube::everything().and(Column::Event, only(&[EventKind::OutcomeNotice])),
        ],
        Hold::Refuse => vec![Cube::everything().and(Column::Marking, only(&[Marking::AboveOfficialSensitive]))],
        // Nor is a question of whoever runs this broker.
        Hold::ReturnToSender => vec![Cube::everything().and(Column::Event, only(&[EventKind::OperatorQuery]))],
    }
}

/// Where a route is sure to name somebody: a referral without a place waits for a person, so at significant
/// harm a row must ask for the place that it names, and may name nobody only where no place is known.
fn places_for(route: RouteTo) -> Vec<Cube> {
    let devolved = only(&[Area::Wales, Area::Scotland, Area::NorthernIreland]);
    let known = |column, areas| vec![Cube::everything().and(column, areas)];
    match route {
        RouteTo::Home => known(Column::Home, only(&[Area::England])),
        RouteTo::Located => known(Column::Located, only(&[Area::England])),
        RouteTo::DevolvedHome => known(Column::Home, devolved),
        RouteTo::DevolvedLocated => known(Column::Located, devolved),
        RouteTo::Placing => known(Column::Placing, !only(&[Holder::Nobody])),
        RouteTo::PlanHolder => known(Column::Plan, !only(&[Holder::Nobody])),
        RouteTo::Enquiry => known(Column::Enquiry, !only(&[Holder::Nobody])),
        RouteTo::Workplace => [
            known(Column::Workplace, only(&[YesNo::Yes])),
            known(Column::Located, only(&[Area::England])),
            known(Column::Home, only(&[Area::England])),
        ]
        .concat(),
        RouteTo::School => known(Column::School, only(&[Schooling::Known])),
        RouteTo::Referrer => known(Column::ReferrerKnown, only(&[YesNo::Yes])),
        RouteTo::Provider => known(Column::Provider, only(&[YesNo::Yes])),
        RouteTo::Household => known(Column::Household, only(&[YesNo::Yes])),
        RouteTo::ReviewPanel => vec![Cube::everything()],
        // Adult safeguarding is found wherever any place is known.
        RouteTo::AdultServices => known(Column::Age, only(&[AgeBand::Adult])),
        RouteTo::Nobody => vec![
            Cube::everything().and(Column::Home, only(&[Area::Unknown])).and(Column::Located, only(&[Area::Unknown])),
            // What answers a referral, or tells a family or an operator something, is itself none.
            Cube::everything().and(Column::Event, only(NO_REFERRALS)),
        ],
    }
}

/// Who acts, who is told and what they are given: none of it may ask for agreement at significant harm.
fn consent_bars(tables: &Tables) -> Vec<String> {
    fn asking<Outcome>(table: &Table<Outcome>) -> impl Iterator<Item = String> {
        let asks = |row: &&Row<Outcome>| {
            let at_harm = row.when.values(Column::Level) & significant_harm() != 0;
            at_harm && row.when.values(Column::Agreement) != Column::Agreement.all_values()
        };
        table.0.iter().filter(asks).map(|row| format!("{} asks for agreement", row.reason.rule))
    }
    let who = asking(&tables.diversion).chain(asking(&tables.route)).chain(asking(&tables.desk)).chain(asking(&tables.notify));
    who.chain(asking(&tables.share)).chain(asking(&tables.withhold)).collect()
}

fn opened_to_the_unknown(tables: &Tables) -> Vec<String> {
    let unknown = [(Column::Category, only(&[Category::Unknown])), (Column::Recipient, only(&[RecipientKind::Unknown]))];
    let opens = |row: &&Row<Extent>| {
        row.outcome != Extent::Nothing && unknown.iter().any(|&(column, value)| row.when.values(column) & value != 0)
    };
    tables.share.0.iter().filter(opens).map(|row| row.reason.rule.to_string()).collect()
}

fn opened_bold_cells(tables: &Tables) -> Vec<String> {
    let bold = NEVER.iter().map(|(recipients, categories)| {
        Cube::everything().and(Column::Recipient, only(recipients)).and(Column::Category, only(categories))
    });
    let bold: Vec<Cube> = bold.collect();
    let opens = |row: &Row<Extent>| -> Vec<String> {
        let cells = bold.iter().map(|cell| cell.intersect(&row.when)).filter(|both| !both.is_empty());
        cells.map(|both| format!("{} opens it when {both}", row.reason.rule)).collect()
    };
    tables.share.0.iter().filter(|row| row.outcome != Extent::Nothing).flat_map(opens).collect()
}

fn without_basis(tables: &Tables, counts: fn(LawfulBasis) -> bool, among: Option<&[Category]>) -> Vec<String> {
    let bases: Vec<&Cube> = tables.basis.0.iter().filter(|row| counts(row.outcome)).map(|row| &row.when).collect();
    let categories = among.map_or(Column::Category.all_values(), only);
    let shared = tables.share.0.iter().filter(|row| row.outcome != Extent::Nothing);
    shared
        .flat_map(|row| {
            let region = row.when.clone().and(Column::Category, categories);
            let rest = if region.is_empty() { Vec::new() } else { region.subtract_all(bases.iter().copied()) };
            rest.into_iter().map(move |cube| format!("{} shares when {cube}", row.reason.rule))
        })
        .collect()
}
