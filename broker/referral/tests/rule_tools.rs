//! What people sign: the rule book in words, and the exact difference between two sets of rules, which agrees
//! with plain enumeration on random packs.

mod common;

use std::sync::Arc;

use proptest::prelude::*;
use referral::rules::diff::diff;
use referral::rules::library::{BUILT_IN, drafts};
use referral::rules::pack::*;
use referral::rules::render;
use referral::rules::table::*;
use referral::time::Amount;
use referral::vocab::*;

// ---------------------------------------------------------------- the rule book

#[test]
fn the_rule_book_says_what_the_packs_say() {
    let wanted = render::rulebook(&drafts(BUILT_IN.iter().copied()).unwrap());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/RULEBOOK.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == wanted,
        "policies/RULEBOOK.md is stale. Make it again: cargo run -p router -- rules render > policies/RULEBOOK.md"
    );
}

#[test]
fn every_row_has_a_sentence_with_its_reason_its_source_and_how_well_it_is_founded() {
    let drafts = drafts(BUILT_IN.iter().copied()).unwrap();
    for draft in &drafts {
        let page = render::pack(draft);
        let tables = &draft.tables;
        let count = tables.diversion.0.len()
            + tables.route.0.len()
            + tables.desk.0.len()
            + tables.hold.0.len()
            + tables.notify.0.len()
            + tables.share.0.len()
            + tables.withhold.0.len()
            + tables.basis.0.len()
            + tables.clock.0.len()
            + tables.flag.0.len();
        assert_eq!(page.lines().filter(|line| line.starts_with("- **")).count(), count, "{}", draft.head.edition);
        assert_eq!(page.matches("*Source: ").count(), count);
        assert_eq!(page.matches("Evidence: ").count(), count);
        let contested = tables.hold.0.iter().filter(|row| row.reason.contested).count();
        assert!(page.matches("**Contested: ").count() >= contested);
    }
}

#[test]
fn a_row_is_a_sentence_that_a_person_can_sign() {
    let pack = "[pack]\nedition = \"X\"\nversion = 1\neffective_from = \"2026-01-01\"\nkind = \"overlay\"\nenabled = false\nends = [\"TC-03\"]\nabout = \"Two rules\"\n\
        [[hold]]\nid = \"TC-03.x\"\nbecause = \"A person decides\"\nsource = \"Advice_2024\"\nevidence = \"M\"\ncontested = true\nlevel = [\"in_need\"]\nagreement = [\"refused\", \"awaited\"]\nhold = \"review\"\n\
        [[flag]]\nid = \"F\"\nbecause = \"So it is\"\nsource = \"Convention\"\nevidence = \"P\"\nflag = \"seen\"\n";
    expect_test::expect![[r#"

        # X/1

        Two rules. An overlay on the edition in force, in force from 2026-01-01.

        **Switched off: it rules nobody until the pack itself says otherwise.**

        It ends these rules of what it stands on: TC-03.

        ## What holds it back

        Every rule that matches applies.

        - **TC-03.x** When level is in need, and agreement is refused or awaited: nothing leaves before a person has decided. A person decides. *Source: Advice\_2024. Evidence: well known, still to be confirmed against the instrument.* **Contested: the sector does not agree on it.**

        ## What people are alerted to

        Every rule that matches applies.

        - **F** Always: people are alerted to `seen`. So it is. *Source: Convention. Evidence: a convention of this product that no source requires.*
    "#]]
    .assert_eq(&render::pack(&pack.parse().unwrap()));
}

// ---------------------------------------------------------------- the difference

/// A row as plainly as can be: the values allowed in each of four columns; none means any.
type Plain = [Option<u64>; 4];

/// Five, six, and the whole of the matrix.
const AMONG: [Column; 4] = [Column::Level, Column::Agreement, Column::Recipient, Column::Category];

fn cell() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![2 => Just(None), 3 => any::<u64>().prop_map(Some), 1 => (any::<u64>(), any::<u64>()).prop_map(|(a, b)| Some(a & b))]
}

fn row<Outcome: Clone + std::fmt::Debug + 'static>(
    of_items: bool,
    outcomes: Vec<Outcome>,
) -> impl Strategy<Value = (Plain, Outcome)> {
    let last = move |cell: Option<u64>| cell.filter(|_| of_items);
    let cells = (cell(), cell(), cell(), cell()).prop_map(move |(a, b, c, d)| [a, b, last(c), last(d)]);
    (cells, prop::sample::select(outcomes))
}

fn table<Outcome: Clone + std::fmt::Debug + 'static>(
    of_items: bool,
    outcomes: Vec<Outcome>,
) -> impl Strategy<Value = Table<Outcome>> {
    prop::collection::vec(row(of_items, outcomes), 0..5).prop_map(|rows| {
        let reason = |at| {
            Arc::new(Reason {
                rule: RuleId(format!("R{at}")),
                because: String::new(),
                source: String::new(),
                evidence: Evidence::Convention,
                contested: false,
            })
        };
        let cube = |plain: Plain| {
            AMONG.iter().zip(plain).fold(Cube::everything(), |cube, (&column, cell)| match cell {
                None => cube,
                Some(values) => cube.and(column, values),
            })
        };
        Table(
            rows.into_iter()
                .enumerate()
                .map(|(at, (plain, outcome))| Row { reason: reason(at), when: cube(plain), outcome })
                .collect(),
        )
    })
}

fn tables() -> impl Strategy<Value = Tables> {
    let clock = |days, ends_with| ClockSpec {
        name: ClockName::LaAckDecision1Wd,
        starts: ClockAnchor::Receipt,
        amount: Amount::WorkingDays(days),
        ends_with,
    };
    let told = |to, even_when_held| Notify { to, even_when_held };
    (
        table(false, vec![RouteTo::Located, RouteTo::Placing]),
        table(false, vec![RouteTo::Home, RouteTo::Located]),
        table(false, vec![Desk::FrontDoor, Desk::Lado]),
        table(false, vec![Hold::Review, Hold::ReturnToSender]),
        table(false, vec![told(NotifyTo::Home, false), told(NotifyTo::Home, true), told(NotifyTo::Police, false)]),
        table(true, Extent::ALL.to_vec()),
        table(true, vec![Extent::Nothing, Extent::Review, Extent::Minimum]),
        table(true, vec![LawfulBasis::Art61c, LawfulBasis::Art61e]),
        table(false, vec![clock(1, ClockEnd::Decided), clock(2, ClockEnd::Decided)]),
        table(false, vec!["seen".to_owned(), "heard".to_owned()]),
    )
        .prop_map(|(diversion, route, desk, hold, notify, share, withhold, basis, clock, flag)| Tables {
            diversion,
            route,
            desk,
            hold,
            notify,
            share,
            withhold,
            basis,
            clock,
            flag,
        })
}

/// What is decided in one situation, asked row by row: for each table, what follows.
fn outcomes(tables: &Tables, situation: &Situation) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    fn first<T: std::fmt::Debug>(table: &Table<T>, situation: &Situation) -> Option<String> {
        table.0.iter().find(|row| row.when.holds(situation)).map(|row| format!("{:?}", row.outcome))
    }
    fn every<T: std::fmt::Debug>(name: &'static str, table: &Table<T>, situation: &Situation) -> Vec<(&'static str, String)> {
        let mut found: Vec<_> =
            table.0.iter().filter(|row| row.when.holds(situation)).map(|row| (name, format!("{:?}", row.outcome))).collect();
        found.sort();
        found.dedup();
        found
    }
    let route = first(&tables.diversion, situation).or_else(|| first(&tables.route, situation));
    all.extend(route.map(|outcome| ("route", outcome)));
    all.extend(first(&tables.desk, situation).map(|outcome| ("desk", outcome)));
    all.extend(every("hold", &tables.hold, situation));
    all.extend(every("notify", &tables.notify, situation));
    let extents = |table: &Table<Extent>| -> Vec<Extent> {
        table.0.iter().filter(|row| row.when.holds(situation)).map(|row| row.outcome).collect()
    };
    let most = extents(&tables.share).into_iter().max().unwrap_or(Extent::Nothing);
    all.push(("share", format!("{:?}", extents(&tables.withhold).into_iter().fold(most, Ord::min))));
    all.extend(every("basis", &tables.basis, situation));
    all.extend(every("clock", &tables.clock, situation));
    all.extend(every("flag", &tables.flag, situation));
    all
}

fn situations() -> impl Iterator<Item = Situation> {
    let sizes = AMONG.map(|column| column.values().len() as u8);
    (0..sizes[0]).flat_map(move |a| {
        (0..sizes[1]).flat_map(move |b| {
            (0..sizes[2]).flat_map(move |c| {
                (0..sizes[3]).map(move |d| {
                    let mut ordinals = [0; COLUMNS];
                    AMONG.iter().zip([a, b, c, d]).for_each(|(&column, ordinal)| ordinals[column as usize] = ordinal);
                    Situation::from_ordinals(ordinals)
                })
            })
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_difference_lists_each_situation_that_is_ruled_differently_and_no_other(old in tables(), new in tables()) {
        let changes = diff(&old, &new);
        for situation in situations() {
            let (before, after) = (outcomes(&old, &situation), outcomes(&new, &situation));
            let mut differs: Vec<&str> = before.iter().filter(|outcome| !after.contains(outcome)).map(|(table, _)| *table).collect();
            let gained = after.iter().filter(|outcome| !before.contains(outcome)).map(|(table, _)| *table);
            for table in gained {
                // Where one follows instead of another, that is one change; where a further one follows, it is another.
                if !(["route", "desk", "share"].contains(&table) && differs.contains(&table)) {
                    differs.push(table);
                }
            }
            let mut listed: Vec<&str> =
                changes.iter().filter(|change| change.when.holds(&situation)).map(|change| change.table).collect();
            differs.sort_unstable();
            listed.sort_unstable();
            prop_assert_eq!(differs, listed);
        }
    }

    #[test]
    fn rules_that_are_the_same_differ_in_nothing(one in tables()) {
        prop_assert_eq!(diff(&one, &one), vec![]);
    }
}

#[test]
fn a_difference_is_a_sentence_that_a_person_can_sign() {
    let pack = |rows: &str| -> Tables {
        let text = format!("[pack]\nedition = \"X\"\nversion = 1\neffective_from = \"2026-01-01\"\nkind = \"edition\"\n{rows}");
        text.parse::<Draft>().unwrap().tables
    };
    let row = |table: &str, id: &str, cells: &str| {
        format!("[[{table}]]\nid = \"{id}\"\nbecause = \"b\"\nsource = \"s\"\nevidence = \"P\"\n{cells}\n")
    };
    let old = pack(
        &[
            row("route", "R1", "level = [\"information\"]\nauthority = \"home\""),
            row("route", "R2", "not.level = [\"information\"]\nauthority = \"located\""),
            row("share", "S1", "recipient = [\"school\", \"police\"]\ncategory = [\"identity\"]\nextent = \"minimum\""),
            row("flag", "F1", "level = [\"information\"]\nflag = \"seen\""),
        ]
        .concat(),
    );
    // The share is split and reworded for police, which changes nothing; the school gains; the flag is wider.
    let new = pack(
        &[
            row("route", "R1", "level = [\"information\", \"early_help\"]\nauthority = \"home\""),
            row("route", "R2", "not.level = [\"information\", \"early_help\"]\nauthority = \"located\""),
            row("share", "S1.a", "recipient = [\"police\"]\ncategory = [\"identity\"]\nextent = \"minimum\""),
            row("share", "S1.b", "recipient = [\"school\"]\ncategory = [\"identity\"]\nextent = \"whole\""),
            row("flag", "F1", "level = [\"information\", \"early_help\"]\nflag = \"seen\""),
        ]
        .concat(),
    );
    let text: Vec<String> = diff(&old, &new).iter().map(|change| format!("{}: {change}\n", change.table)).collect();
    expect_test::expect![[r#"
        route: When level is early help: until now the authority that answers is: located; from now on the authority that answers is: home.
        share: When recipient is school, and category is identity: until now the recipient is given the minimum; from now on the recipient is given the whole.
        flag: When level is early help: newly, people are alerted to `seen`.
    "#]].assert_eq(&text.concat());
}
