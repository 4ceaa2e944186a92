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
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

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

// ---------------------------------------------------------------- the proofs

mod proofs {
    use proptest::prelude::*;
    use referral::rules::prove::{SPECIAL, examine};

    use super::*;

    /// What may be asked before an authority is known: 5 x 6 x 3 x 2 x 5 situations and more as words are added.
    const BEFORE: [Column; 5] = [Column::Level, Column::Agreement, Column::DutyDecision, Column::Marking, Column::Home];

    /// A set of values of a column that holds one at least.
    fn some_of(column: Column) -> impl Strategy<Value = u64> {
        let size = column.values().len() as u32;
        (any::<u64>(), 0..size).prop_map(move |(set, one)| (set | 1 << one) & column.all_values())
    }

    /// A cell: mostly any value, now and then only some.
    fn maybe(column: Column) -> impl Strategy<Value = Option<u64>> {
        prop_oneof![4 => Just(None), 1 => some_of(column).prop_map(Some)]
    }

    fn rows<Outcome>(rows: Vec<(Cube, Outcome)>) -> Table<Outcome> {
        let reason = |at| {
            Arc::new(Reason {
                rule: RuleId(format!("R{at}")),
                because: String::new(),
                source: String::new(),
                evidence: Evidence::Convention,
                contested: false,
            })
        };
        Table(rows.into_iter().enumerate().map(|(at, (when, outcome))| Row { reason: reason(at), when, outcome }).collect())
    }

    /// One row per level, so that most often each situation has exactly one; now and then a row is missing, is there
    /// twice, or asks for something.
    fn nearly_one_per_level<Outcome: Clone + std::fmt::Debug + 'static>(
        outcome: Outcome,
        always: Cube,
    ) -> impl Strategy<Value = Table<Outcome>> {
        let levels = Column::Level.values().len();
        let row = (prop_oneof![12 => Just(1_usize), 1 => Just(0), 1 => Just(2)], maybe_rarely(Column::Agreement));
        prop::collection::vec(row, levels).prop_map(move |drawn| {
            let rows_of = |(level, (times, agreement)): (usize, (usize, Option<u64>))| {
                let cube = always.clone().and(Column::Level, 1 << level);
                let cube = agreement.map_or(cube.clone(), |set| cube.and(Column::Agreement, set));
                std::iter::repeat_n((cube, outcome.clone()), times)
            };
            rows(drawn.into_iter().enumerate().flat_map(rows_of).collect())
        })
    }

    fn maybe_rarely(column: Column) -> impl Strategy<Value = Option<u64>> {
        prop_oneof![14 => Just(None), 1 => some_of(column).prop_map(Some)]
    }

    fn holds() -> impl Strategy<Value = Table<Hold>> {
        let row = (some_of(Column::Level), maybe(Column::DutyDecision), maybe(Column::Marking), prop::sample::select(Hold::ALL));
        prop::collection::vec(row, 0..3).prop_map(|drawn| {
            let row = |(level, decision, marking, hold): (u64, Option<u64>, Option<u64>, Hold)| {
                let cube = Cube::everything().and(Column::Level, level);
                let cube = decision.map_or(cube.clone(), |set| cube.and(Column::DutyDecision, set));
                (marking.map_or(cube.clone(), |set| cube.and(Column::Marking, set)), hold)
            };
            rows(drawn.into_iter().map(row).collect())
        })
    }

    fn shares() -> impl Strategy<Value = Table<Extent>> {
        let row = (
            some_of(Column::Recipient),
            some_of(Column::Category),
            maybe_rarely(Column::Agreement),
            prop::sample::select(Extent::ALL),
        );
        prop::collection::vec(row, 0..3).prop_map(|drawn| {
            let row = |(recipient, category, agreement, extent): (u64, u64, Option<u64>, Extent)| {
                let cube = Cube::everything().and(Column::Recipient, recipient).and(Column::Category, category);
                (agreement.map_or(cube.clone(), |set| cube.and(Column::Agreement, set)), extent)
            };
            rows(drawn.into_iter().map(row).collect())
        })
    }

    fn bases() -> impl Strategy<Value = Table<LawfulBasis>> {
        let row = (
            maybe(Column::Recipient),
            maybe(Column::Category),
            prop::sample::select(vec![LawfulBasis::Art61e, LawfulBasis::Art92g]),
        );
        prop::collection::vec(row, 1..5).prop_map(|drawn| {
            let row = |(recipient, category, basis): (Option<u64>, Option<u64>, LawfulBasis)| {
                let cube = recipient.map_or(Cube::everything(), |set| Cube::everything().and(Column::Recipient, set));
                (category.map_or(cube.clone(), |set| cube.and(Column::Category, set)), basis)
            };
            rows(drawn.into_iter().map(row).collect())
        })
    }

    fn nearly_right() -> impl Strategy<Value = Tables> {
        let routes = nearly_one_per_level(RouteTo::Home, Cube::everything());
        (routes, nearly_one_per_level(Desk::FrontDoor, Cube::everything()), holds(), shares(), bases())
            .prop_map(|(route, desk, hold, share, basis)| Tables { route, desk, hold, share, basis, ..Tables::default() })
    }

    /// Every situation in which these columns have every value and the others their first.
    fn every(columns: &[Column]) -> Vec<Situation> {
        every_ordinals(columns).into_iter().map(Situation::from_ordinals).collect()
    }

    fn every_ordinals(columns: &[Column]) -> Vec<[u8; COLUMNS]> {
        let mut all = vec![[0; COLUMNS]];
        for &column in columns {
            let values = 0..column.values().len() as u8;
            all = all
                .into_iter()
                .flat_map(|ordinals| {
                    values.clone().map(move |value| {
                        let mut ordinals = ordinals;
                        ordinals[column as usize] = value;
                        ordinals
                    })
                })
                .collect();
        }
        all
    }

    fn one(column: Column, value: usize) -> Cube {
        Cube::everything().and(column, 1 << value)
    }

    fn at_harm(situation: &Situation) -> bool {
        [Level::ImmediateDanger, Level::SignificantHarm].iter().any(|level| one(Column::Level, level.ordinal()).holds(situation))
    }

    /// Whether `table` decides otherwise where only the answer about agreement is another.
    fn asks_at_harm<Outcome>(table: &Table<Outcome>) -> bool {
        let mut columns = BEFORE.to_vec();
        columns.extend([Column::Recipient, Column::Category]);
        table.0.iter().any(|row| {
            let asked = |column: &Column| *column != Column::Agreement && row.when.values(*column) != column.all_values();
            let mut touched: Vec<Column> = columns.iter().copied().filter(asked).collect();
            if !touched.contains(&Column::Level) {
                touched.push(Column::Level);
            }
            every_ordinals(&touched).into_iter().filter(|ordinals| at_harm(&Situation::from_ordinals(*ordinals))).any(
                |mut ordinals| {
                    let mut answers = Vec::new();
                    for answer in 0..Agreement::ALL.len() {
                        ordinals[Column::Agreement as usize] = answer as u8;
                        answers.push(row.when.holds(&Situation::from_ordinals(ordinals)));
                    }
                    answers.contains(&true) && answers.contains(&false)
                },
            )
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn what_set_algebra_proves_is_what_plain_enumeration_finds(tables in nearly_right()) {
            let examined = examine(&tables);
            let proved = |property: &str| -> bool {
                examined.iter().find(|examined| examined.property == property).unwrap_or_else(|| panic!("no property {property}")).situations.is_empty()
            };
            let before = every(&BEFORE);
            let how_many = |count: &dyn Fn(&Situation) -> usize, bad: &dyn Fn(usize) -> bool| before.iter().any(|situation| bad(count(situation)));
            let routes = |situation: &Situation| tables.route.matching(situation).count();
            let desks = |situation: &Situation| tables.desk.matching(situation).count();
            prop_assert_eq!(proved("Every referral has a route"), !how_many(&routes, &|count| count == 0));
            prop_assert_eq!(proved("No referral has two routes"), !how_many(&routes, &|count| count > 1));
            prop_assert_eq!(proved("Every referral has a desk"), !how_many(&desks, &|count| count == 0));
            prop_assert_eq!(proved("No referral has two desks"), !how_many(&desks, &|count| count > 1));

            let held = before.iter().filter(|situation| at_harm(situation)).any(|situation| {
                let excepted = |hold: Hold| match hold {
                    Hold::Review => one(Column::DutyDecision, DutyDecision::MoreDetrimental.ordinal()).holds(situation),
                    Hold::Refuse => one(Column::Marking, Marking::AboveOfficialSensitive.ordinal()).holds(situation),
                    Hold::ReturnToSender => false,
                };
                let lost = tables.route.matching(situation).any(|_| !one(Column::Home, Area::England.ordinal()).holds(situation));
                lost || tables.hold.matching(situation).any(|row| !excepted(row.outcome))
            });
            prop_assert_eq!(proved("Nothing at significant harm or above is held back, but for the three exceptions"), !held);

            let asks = asks_at_harm(&tables.route) || asks_at_harm(&tables.desk) || asks_at_harm(&tables.share);
            prop_assert_eq!(proved("No agreement, refused or missing, changes what is disclosed at significant harm or above"), !asks);

            let matrix = every(&[Column::Agreement, Column::Recipient, Column::Category]);
            let shares = |situation: &Situation| tables.share.matching(situation).any(|row| row.outcome != Extent::Nothing);
            let unknown = |situation: &Situation| {
                one(Column::Recipient, RecipientKind::Unknown.ordinal()).holds(situation)
                    || one(Column::Category, Category::Unknown.ordinal()).holds(situation)
            };
            let stands = |situation: &Situation, counts: fn(LawfulBasis) -> bool| tables.basis.matching(situation).any(|row| counts(row.outcome));
            let special = |situation: &Situation| SPECIAL.iter().any(|category| one(Column::Category, category.ordinal()).holds(situation));
            let any = |bad: &dyn Fn(&Situation) -> bool| matrix.iter().any(|situation| shares(situation) && bad(situation));
            prop_assert_eq!(proved("An unknown category or kind of recipient is given nothing"), !any(&unknown));
            prop_assert_eq!(proved("Every disclosure has an Article 6 basis"), !any(&|situation| !stands(situation, LawfulBasis::is_article_6)));
            prop_assert_eq!(
                proved("Every disclosure of special category data has an Article 9 condition"),
                !any(&|situation| special(situation) && !stands(situation, LawfulBasis::is_article_9))
            );
        }
    }
}

// ---------------------------------------------------------------- what a rehearsal counts

#[test]
fn two_rulings_differ_in_what_happens_and_not_in_which_rule_said_so() {
    use referral::rules::diff::{Difference, between};
    let rules = common::rulebook();
    let rule = |change: &dyn Fn(&mut referral::submission::Referral)| {
        let mut one = common::referral();
        change(&mut one);
        rules.rule(&one, &[])
    };
    let as_it_is = rule(&|_| {});
    assert_eq!(between(&as_it_is, &as_it_is), []);
    let night = rule(&|one| one.received = "2026-11-23T22:00:00Z".parse().unwrap());
    assert_eq!(between(&as_it_is, &night), [Difference::Decision, Difference::Recipients]);
    let next_day = rule(&|one| one.received = "2026-11-24T10:00:00Z".parse().unwrap());
    assert_eq!(between(&as_it_is, &next_day), [Difference::Clocks]);
    let early_help_refused = rule(&|one| (one.level, one.agreement) = (Level::EarlyHelp, Agreement::Refused));
    assert!(between(&as_it_is, &early_help_refused).starts_with(&[Difference::Decision, Difference::Recipients]));
    // The same recipients, each with an item less, in the same law.
    let without = rule(&|one| one.items.clear());
    assert_eq!(between(&as_it_is, &without), [Difference::Extents, Difference::Bases]);
}
