//! The promises, swept over every situation there is.
//!
//! Each table is enumerated over the columns that its rows speak of; a column that no row speaks of cannot
//! change what matches, so each combination stands for all values of the rest. Then whole referrals go through
//! the rulebook, and the answer is held to the rules told a second time, in plain code. What was swept is
//! counted, and the counts are asserted: a sweep that shrinks is a change that somebody must see.

mod common;

use std::sync::{Arc, LazyLock};

use common::{goes_to, gss};
use referral::rules::pack::{Extent, Hold, LawfulBasis, RouteTo, Tables};
use referral::rules::prove::SPECIAL;
use referral::rules::table::{COLUMNS, Column, Cube, Situation, Table};
use referral::rules::{Decision, Role, RulePack, Rulebook, Ruling};
use referral::submission::*;
use referral::vocab::*;
use referral::{Endpoint, Moment, Sealed};

/// The parties of `common`, and one more of each kind that sends.
static RULES: LazyLock<Rulebook> = LazyLock::new(|| {
    let more = "
[[endpoint]]
name = \"school.999002\"
authority = \"E10000016\"
independent = true
designated = true
[[endpoint]]
name = \"vcs.helpline\"
[[endpoint]]
name = \"la.E10000016.edt\"
";
    Rulebook::built_in(&format!("{}{more}", common::ENDPOINTS)).unwrap()
});

fn packs() -> Vec<Arc<RulePack>> {
    RULES.library.packs().map(|(_, pack)| pack.clone()).collect()
}

// ---------------------------------------------------------------- enumeration of tables

/// One combination of values, a place in each column's list of values.
type Ordinals = [u8; COLUMNS];

/// Every combination of the values of `columns`; the other columns stay at their first value.
fn combinations(columns: &[Column]) -> impl Iterator<Item = Ordinals> + use<> {
    let sizes: Vec<(usize, u8)> = columns.iter().map(|&column| (column as usize, column.values().len() as u8)).collect();
    let mut next = Some([0; COLUMNS]);
    std::iter::from_fn(move || {
        let this = next?;
        let mut after = this;
        next = sizes
            .iter()
            .any(|&(at, size)| {
                after[at] = (after[at] + 1) % size;
                after[at] != 0
            })
            .then_some(after);
        Some(this)
    })
}

/// The columns that a table's rows speak of, and `also`.
fn spoken_of<Outcome>(table: &Table<Outcome>, also: &[Column]) -> Vec<Column> {
    let mut columns: Vec<Column> =
        table.0.iter().flat_map(|row| row.when.columns().map(|(column, _)| column)).chain(also.iter().copied()).collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

fn value<Word: Vocabulary>(ordinals: &Ordinals, column: Column) -> Word {
    Word::ALL[usize::from(ordinals[column as usize])]
}

fn is_significant_harm(ordinals: &Ordinals) -> bool {
    value::<Level>(ordinals, Column::Level).is_significant_harm_or_above()
}

/// What a table's matching rows say.
fn outcomes<Outcome: Copy>(table: &Table<Outcome>, ordinals: &Ordinals) -> Vec<Outcome> {
    table.matching(&Situation::from_ordinals(*ordinals)).map(|row| row.outcome).collect()
}

/// What is given: the most that any row shares, and of that the least that any row leaves.
fn given(tables: &Tables, ordinals: &Ordinals) -> Extent {
    let shared = outcomes(&tables.share, ordinals).into_iter().max().unwrap_or(Extent::Nothing);
    outcomes(&tables.withhold, ordinals).into_iter().fold(shared, Extent::min)
}

/// 2,500 combinations for the route and 10 for the desk, in each pack.
#[test]
fn every_situation_has_exactly_one_route_and_exactly_one_desk() {
    for pack in packs() {
        let (route, desk) = (&pack.tables().route, &pack.tables().desk);
        let (routes, desks) = (spoken_of(route, &[]), spoken_of(desk, &[]));
        assert!(combinations(&routes).all(|ordinals| outcomes(route, &ordinals).len() == 1));
        assert!(combinations(&desks).all(|ordinals| outcomes(desk, &ordinals).len() == 1));
        assert_eq!((combinations(&routes).count(), combinations(&desks).count()), (2_500, 10));
    }
}

/// 71,280 combinations at significant harm or above before the duty and 213,840 since, for the holds.
#[test]
fn no_hold_stands_at_significant_harm_but_for_what_the_sender_recorded_and_what_is_secret() {
    let mut counts = vec![];
    for pack in packs() {
        let hold = &pack.tables().hold;
        let at_harm = combinations(&spoken_of(hold, &[Column::Level])).filter(is_significant_harm);
        counts.push(
            at_harm
                .inspect(|ordinals| {
                    for held in outcomes(hold, ordinals) {
                        match held {
                            Hold::Review => {
                                assert_eq!(value::<DutyDecision>(ordinals, Column::DutyDecision), DutyDecision::MoreDetrimental)
                            }
                            Hold::Refuse => {
                                assert_eq!(value::<Marking>(ordinals, Column::Marking), Marking::AboveOfficialSensitive)
                            }
                            Hold::ReturnToSender => panic!("sent back at significant harm"),
                        }
                    }
                })
                .count(),
        );
    }
    assert_eq!(counts, [71_280, 213_840]);
}

/// 1,000 combinations at significant harm or above, in each pack.
#[test]
fn at_significant_harm_a_route_names_a_place_that_is_known_and_nobody_only_where_none_is() {
    for pack in packs() {
        let route = &pack.tables().route;
        let columns = spoken_of(route, &[Column::Home, Column::Located, Column::Age, Column::Level]);
        let count = combinations(&columns)
            .filter(is_significant_harm)
            .inspect(|ordinals| {
                let (home, located) = (value::<Area>(ordinals, Column::Home), value::<Area>(ordinals, Column::Located));
                let devolved = |area| matches!(area, Area::Wales | Area::Scotland | Area::NorthernIreland);
                for to in outcomes(route, ordinals) {
                    let known = match to {
                        RouteTo::Home => home == Area::England,
                        RouteTo::Located => located == Area::England,
                        RouteTo::DevolvedHome => devolved(home),
                        RouteTo::DevolvedLocated => devolved(located),
                        RouteTo::AdultServices => value::<AgeBand>(ordinals, Column::Age) == AgeBand::Adult,
                        RouteTo::Nobody => home == Area::Unknown && located == Area::Unknown,
                        RouteTo::Placing | RouteTo::PlanHolder | RouteTo::Enquiry => false,
                    };
                    assert!(known, "{to} with home {home} and located {located}");
                }
            })
            .count();
        assert_eq!(count, 1_000);
    }
}

/// 6,120 combinations for what is given, 6,000 for the route, 24 for the desk, 18,000 for who is told and 71,280 or
/// 213,840 for the holds, each with every agreement.
#[test]
fn agreement_never_changes_who_acts_who_is_told_or_what_is_given_at_significant_harm() {
    fn same_for_every_agreement<Outcome: Copy + PartialEq + std::fmt::Debug>(tables: &[&Table<Outcome>]) -> usize {
        let mut columns: Vec<Column> = tables
            .iter()
            .flat_map(|table| spoken_of(table, &[Column::Level]))
            .filter(|&column| column != Column::Agreement)
            .collect();
        columns.sort_unstable();
        columns.dedup();
        let mut count = 0;
        for ordinals in combinations(&columns).filter(is_significant_harm) {
            let matched = |agreement: usize| {
                let mut ordinals = ordinals;
                ordinals[Column::Agreement as usize] = agreement as u8;
                tables.iter().map(|table| outcomes(table, &ordinals)).collect::<Vec<_>>()
            };
            for agreement in 0..Agreement::ALL.len() {
                assert_eq!(matched(agreement), matched(0));
                count += 1;
            }
        }
        count
    }
    let mut swept = vec![];
    for pack in packs() {
        let tables = pack.tables();
        let counts = (
            same_for_every_agreement(&[&tables.share, &tables.withhold]),
            same_for_every_agreement(&[&tables.route]),
            same_for_every_agreement(&[&tables.desk]),
            same_for_every_agreement(&[&tables.notify]),
            same_for_every_agreement(&[&tables.hold]),
        );
        assert_eq!((counts.0, counts.1, counts.2, counts.3), (6_120, 6_000, 24, 18_000), "{}", pack.id());
        swept.push(counts.4);
    }
    assert_eq!(swept, [71_280, 213_840]);
}

/// 510 cells in each pack.
#[test]
fn an_unknown_category_and_an_unknown_recipient_get_nothing() {
    for pack in packs() {
        let tables = pack.tables();
        let columns = spoken_of(&tables.share, &spoken_of(&tables.withhold, &[Column::Recipient, Column::Category]));
        let count = combinations(&columns)
            .inspect(|ordinals| {
                let unknown = value::<Category>(ordinals, Column::Category) == Category::Unknown
                    || value::<RecipientKind>(ordinals, Column::Recipient) == RecipientKind::Unknown;
                assert!(!unknown || given(tables, ordinals) == Extent::Nothing);
            })
            .count();
        assert_eq!(count, 510);
    }
}

/// 127,500 combinations before the duty and 382,500 since.
#[test]
fn everything_that_is_given_has_an_article_6_basis_and_special_categories_an_article_9_condition() {
    let mut counts = vec![];
    for pack in packs() {
        let tables = pack.tables();
        let columns = spoken_of(&tables.basis, &spoken_of(&tables.share, &spoken_of(&tables.withhold, &[])));
        // What is given depends on two columns; looked up, so that the sweep is quick.
        let cells: Vec<Extent> = {
            let mut cells = vec![Extent::Nothing; RecipientKind::ALL.len() * Category::ALL.len()];
            combinations(&[Column::Recipient, Column::Category])
                .for_each(|ordinals| cells[cell(&ordinals)] = given(tables, &ordinals));
            cells
        };
        let mut count = 0;
        for ordinals in combinations(&columns) {
            count += 1;
            if !matches!(cells[cell(&ordinals)], Extent::Whole | Extent::Minimum) {
                continue;
            }
            let (bases, category) = (outcomes(&tables.basis, &ordinals), value::<Category>(&ordinals, Column::Category));
            assert!(bases.iter().any(|basis| basis.is_article_6()), "{category}: {bases:?}");
            assert!(!SPECIAL.contains(&category) || bases.iter().any(|basis| basis.is_article_9()), "{category}: {bases:?}");
            let criminal = matches!(category, Category::CriminalOffence | Category::PoliceIntelligence);
            assert!(!criminal || bases.contains(&LawfulBasis::Art10), "{category}: {bases:?}");
            // Consent is never the basis (LB-10), vital interests only a last resort (LB-04), and 9(2)(h) never (LB-07).
            assert!(!bases.contains(&LawfulBasis::Art61d) && !bases.contains(&LawfulBasis::Art92c));
            // The duty to share stands with its obligation, or not at all (LB-02).
            assert_eq!(bases.contains(&LawfulBasis::Ca2004S16La), bases.contains(&LawfulBasis::Art61c));
        }
        counts.push(count);
    }
    assert_eq!(counts, [127_500, 382_500]);
}

fn cell(ordinals: &Ordinals) -> usize {
    usize::from(ordinals[Column::Recipient as usize]) * Category::ALL.len() + usize::from(ordinals[Column::Category as usize])
}

// ---------------------------------------------------------------- the matrix, cell by cell

/// The minimisation matrix as rules.md 1(d) prints it, one letter a cell: Y, m, R, -, and ! where it is bold.
/// A parent's "own" and "victim R" count as R, "status only" as m, and a condition as the letter beside it.
/// The referrer's name is shown to a parent only when a professional referred; no column tells, so it is -.
const MATRIX: &str = "
                                  LA lado help vcs pol nhs urg sch oth ref par hou emp ope
identity                           Y   Y   Y   Y   Y   Y   Y   Y   Y   m   Y   m   -   -
contact_address                    Y   m   Y   m   Y   Y   -   Y   Y   -   Y   -   -   -
protected_address                  Y   -   R   -   m   m   -   -   R   -   R   !   -   -
family_composition                 Y   m   Y   m   Y   m   -   m   Y   -   R   -   -   -
unrelated_sibling_record           -   -   -   -   -   -   -   -   -   -   -   -   -   -
concern_narrative                  Y   Y   Y   m   Y   m   -   m   Y   m   R   R   -   -
risk_level                         Y   Y   Y   m   Y   Y   m   Y   Y   Y   Y   R   -   -
outcome                            Y   Y   Y   m   Y   Y   m   Y   Y   Y   Y   R   -   -
education_record                   Y   m   Y   -   m   m   -   Y   Y   m   Y   -   -   -
child_health                       Y   m   m   -   m   Y   -   m   Y   -   R   -   -   -
sexual_health                      Y   m   -   -   m   m   -   !   m   -   !   -   -   -
parent_health                      Y   -   m   -   m   Y   -   !   Y   -   R   -   -   -
third_party                        Y   m   -   -   m   -   -   -   m   -   !   -   -   -
referrer_identity                  Y   m   m   -   m   -   -   -   m   -   !   -   -   -
criminal_offence                   Y   Y   -   -   Y   -   -   !   Y   -   R   -   -   -
police_intelligence                Y   R   -   -   Y   R   -   -   R   -   -   -   -   -
domestic_abuse_detail              Y   m   m   -   Y   m   -   m   Y   -   R   !   -   -
marac_information                  R   R   -   -   Y   R   -   -   R   -   -   -   -   -
mappa                              R   R   -   -   Y   R   -   -   R   -   -   -   -   -
immigration_status                 Y   -   m   -   -   -   -   -   Y   -   R   -   -   -
adoption_record                    R   -   -   -   -   -   -   -   R   -   R   -   -   -
allegation_against_professional    Y   Y   -   -   Y   R   -   -   Y   -   R   -   !   -
child_voice                        Y   m   Y   m   Y   m   -   m   Y   -   R   -   -   -
special_category_other             m   -   m   -   m   m   -   m   m   -   R   -   -   -
legal_proceedings                  R   R   -   -   R   -   -   -   R   -   R   -   -   -
attendance_event                   Y   -   -   -   -   Y   Y   -   -   -   -   -   -   -
consent_record                     Y   m   Y   m   Y   m   -   m   Y   m   R   -   -   -
";

/// The matrix's columns, in its order.
const RECIPIENTS: [RecipientKind; 14] = [
    RecipientKind::FrontDoor,
    RecipientKind::Lado,
    RecipientKind::FamilyHelp,
    RecipientKind::VoluntaryProvider,
    RecipientKind::Police,
    RecipientKind::NhsProfessional,
    RecipientKind::NhsUrgentCare,
    RecipientKind::School,
    RecipientKind::OtherAuthority,
    RecipientKind::Referrer,
    RecipientKind::Parent,
    RecipientKind::OtherHousehold,
    RecipientKind::Employer,
    RecipientKind::Operator,
];

fn matrix() -> Vec<(Category, Vec<char>)> {
    let rows = MATRIX.lines().skip(2);
    rows.map(|line| {
        let mut words = line.split_whitespace();
        let category = Category::read(words.next().unwrap()).unwrap();
        let cells: Vec<char> = words.map(|cell| cell.chars().next().unwrap()).collect();
        assert_eq!(cells.len(), RECIPIENTS.len(), "{category}");
        (category, cells)
    })
    .collect()
}

fn extent(cell: char) -> Extent {
    match cell {
        'Y' => Extent::Whole,
        'm' => Extent::Minimum,
        'R' => Extent::Review,
        '-' | '!' => Extent::Nothing,
        other => panic!("{other} is no cell"),
    }
}

/// 27 categories and 14 recipients: 378 cells, in each pack.
#[test]
fn every_cell_of_the_matrix_is_as_the_rules_print_it() {
    for pack in packs() {
        let mut count = 0;
        for (category, cells) in matrix() {
            for (recipient, expected) in RECIPIENTS.iter().zip(cells) {
                let mut ordinals = [0; COLUMNS];
                ordinals[Column::Category as usize] = category.ordinal() as u8;
                ordinals[Column::Recipient as usize] = recipient.ordinal() as u8;
                assert_eq!(given(pack.tables(), &ordinals), extent(expected), "{category} for {recipient} in {}", pack.id());
                count += 1;
            }
        }
        assert_eq!(count, 378);
    }
}

/// What the matrix does not print is given to nobody, but to those who stand in for its recipients: children's
/// services outside England get no more than another authority, adult safeguarding no more than a front door.
#[test]
fn nobody_gets_more_than_the_matrix_prints() {
    let printed: Vec<Category> = matrix().into_iter().map(|(category, _)| category).collect();
    for pack in packs() {
        for ordinals in combinations(&[Column::Recipient, Column::Category]) {
            let of = |recipient: RecipientKind| {
                let mut ordinals = ordinals;
                ordinals[Column::Recipient as usize] = recipient.ordinal() as u8;
                given(pack.tables(), &ordinals)
            };
            let (category, recipient) =
                (value::<Category>(&ordinals, Column::Category), value::<RecipientKind>(&ordinals, Column::Recipient));
            let most = match recipient {
                // The printed matrix has no row for it, and the return interview (CL-07) cannot be offered without it.
                RecipientKind::FrontDoor | RecipientKind::Police | RecipientKind::OtherAuthority | RecipientKind::Devolved
                    if category == Category::MissingEpisode =>
                {
                    Extent::Whole
                }
                _ if !printed.contains(&category) => Extent::Nothing,
                RecipientKind::Devolved => of(RecipientKind::OtherAuthority),
                RecipientKind::AdultServices => of(RecipientKind::FrontDoor),
                printed => of(printed),
            };
            assert!(of(recipient) <= most, "{category} for {recipient}");
        }
    }
}

/// 9 bold cells, in every situation that share and withhold rows can tell apart.
#[test]
fn a_bold_cell_is_never_open_and_a_row_withholds_it() {
    for pack in packs() {
        let bold: Vec<(Category, RecipientKind)> = matrix()
            .into_iter()
            .flat_map(|(category, cells)| {
                RECIPIENTS
                    .into_iter()
                    .zip(cells)
                    .filter(|(_, cell)| *cell == '!')
                    .map(move |(recipient, _)| (category, recipient))
            })
            .collect();
        assert_eq!(bold.len(), 9);
        for (category, recipient) in bold {
            let cell = Cube::everything()
                .and(Column::Category, 1 << category.ordinal())
                .and(Column::Recipient, 1 << recipient.ordinal());
            assert!(
                pack.tables().share.0.iter().all(|row| row.outcome == Extent::Nothing || row.when.intersect(&cell).is_empty())
            );
            assert!(
                cell.subtract_all(pack.tables().withhold.0.iter().map(|row| &row.when)).is_empty(),
                "{category} for {recipient} is not withheld"
            );
        }
    }
}

/// The same cells through a ruling: one item of each category, given to ten recipients at once.
#[test]
fn a_ruling_gives_each_recipient_its_column_of_the_matrix() {
    let mut one = common::referral();
    one.items = matrix()
        .into_iter()
        .map(|(category, _)| Item { summary: Some("in short".into()), ..common::text(category, "in full") })
        .collect();
    let earlier = [
        ("la.E09000030.lado", RecipientKind::Lado),
        ("la.E08000035.early-help", RecipientKind::FamilyHelp),
        ("vcs.helpline", RecipientKind::VoluntaryProvider),
        ("police.13", RecipientKind::Police),
        ("nhs.ZZ101", RecipientKind::NhsProfessional),
        ("school.999001", RecipientKind::School),
        ("la.E10000016.front-door", RecipientKind::OtherAuthority),
    ];
    let endpoints: Vec<Endpoint> = earlier.iter().map(|(name, _)| common::endpoint(name)).collect();
    let ruling = RULES.rule(&one, &endpoints);
    let expected = [("la.E08000035.front-door", RecipientKind::FrontDoor)].into_iter().chain(earlier);
    assert_eq!(ruling.views().len(), 8);
    for (view, (name, kind)) in ruling.views().iter().zip(expected) {
        assert_eq!((view.to().to_string().as_str(), view.kind()), (name, kind));
        let column = RECIPIENTS.iter().position(|&recipient| recipient == kind).unwrap();
        for (verdict, (category, cells)) in view.verdicts().iter().zip(matrix()) {
            assert_eq!((verdict.category, verdict.given), (category, extent(cells[column])), "{category} for {name}");
            assert_eq!(
                verdict.by.is_empty(),
                cells[column] == '-',
                "{category} for {name}: a verdict has its rule, or is not needed"
            );
        }
    }
}

// ---------------------------------------------------------------- whole referrals, and the rules told twice

/// What a referral of the sweep is made of.
#[derive(Clone, Copy, Debug)]
struct Told {
    sender: &'static str,
    event: EventKind,
    level: Level,
    agreement: Agreement,
    decision: DutyDecision,
    age: AgeBand,
    home: Option<&'static str>,
    located: Option<&'static str>,
    harm_place: HarmPlace,
    received: &'static str,
    secret: bool,
    identified: bool,
    purpose: bool,
}

const OPEN: &str = "2026-11-23T10:00:00Z";
const CLOSED: &str = "2026-11-23T21:00:00Z";
const BEFORE_THE_DUTY: &str = "2026-06-10T10:00:00Z";
const BEFORE_THE_DUTY_CLOSED: &str = "2026-06-13T10:00:00Z";

const LEEDS: &str = "E08000035";
const KENT: &str = "E10000016";
const CANTERBURY: &str = "E07000106";
const CARDIFF: &str = "W06000015";
const NOWHERE: &str = "E06999999";

impl Told {
    const PLAIN: Told = Told {
        sender: "school.999001",
        event: EventKind::Referral,
        level: Level::SignificantHarm,
        agreement: Agreement::NotSoughtWithReason,
        decision: DutyDecision::NotRecorded,
        age: AgeBand::Under16,
        home: Some(LEEDS),
        located: None,
        harm_place: HarmPlace::Home,
        received: OPEN,
        secret: false,
        identified: true,
        purpose: true,
    };

    fn referral(&self) -> Referral {
        let mut one = common::referral();
        one.sender = common::endpoint(self.sender);
        (one.kind, one.level, one.agreement, one.duty_decision) = (self.event, self.level, self.agreement, self.decision);
        one.age = match self.age {
            AgeBand::Unborn => Age::Expected(Sealed::new("2027-01-01".parse().unwrap())),
            AgeBand::Under16 => Age::Born(Sealed::new("2015-02-03".parse().unwrap())),
            AgeBand::From16To17 => Age::About(17),
            AgeBand::Adult => Age::Born(Sealed::new("1990-02-03".parse().unwrap())),
            AgeBand::Unknown => Age::NotStated,
        };
        one.places = Places { home: self.home.map(gss), located: self.located.map(gss), ..Places::default() };
        one.harm_place = self.harm_place;
        one.received = self.received.parse::<Moment>().unwrap();
        one.handling = if self.secret { vec![HandlingFlag::Secret] } else { vec![] };
        (one.child_is_identified, one.purpose_stated) = (self.identified, self.purpose);
        one.items = ITEMS.iter().map(|&category| common::text(category, "words")).collect();
        one
    }

    /// Where the child was found: as told, else where the school is.
    fn found(&self) -> Option<&'static str> {
        self.located.or(match self.sender {
            "school.999001" => Some(LEEDS),
            "school.999002" | "la.E10000016.front-door" => Some(KENT),
            _ => None,
        })
    }

    /// The rules of rules.md told a second time, in plain code.
    fn goes_to(&self) -> String {
        let english = |place: Option<&'static str>| match place {
            Some(CANTERBURY) => Some(KENT),
            Some(LEEDS | KENT) => place,
            _ => None,
        };
        let devolved = |place: Option<&'static str>| place.filter(|place| place.starts_with(['W', 'S', 'N']));
        let (home, found) = (english(self.home), english(self.found()));
        let (home_abroad, found_abroad) = (devolved(self.home), devolved(self.found()));
        let home_is_unknown = home.is_none() && home_abroad.is_none();

        // HR-08, then RA-14, RA-12, RA-13, RA-02, RA-01, RA-03.
        if self.secret {
            return "refused".to_owned();
        }
        enum Who {
            English(&'static str),
            Other(String),
            Nobody,
        }
        let found_answers = match self.level {
            Level::ImmediateDanger => true,
            Level::SignificantHarm => self.harm_place == HarmPlace::Found,
            Level::InNeed | Level::EarlyHelp | Level::Information => false,
        };
        let emergency = self.level == Level::ImmediateDanger;
        let who = if self.age == AgeBand::Adult {
            home.or(found).or(home_abroad).or(found_abroad).map_or(Who::Nobody, |place| Who::Other(format!("adult.{place}")))
        } else if let Some(abroad) = home_abroad {
            found.filter(|_| emergency).map_or_else(|| Who::Other(format!("devolved.{abroad}")), Who::English)
        } else if home_is_unknown {
            match (found, found_abroad) {
                (Some(found), _) => Who::English(found),
                (None, Some(abroad)) => Who::Other(format!("devolved.{abroad}")),
                (None, None) => Who::Nobody,
            }
        } else {
            found.filter(|_| found_answers).or(home).map_or(Who::Nobody, Who::English)
        };

        // RA-20, and the desk for early help.
        let closed = [CLOSED, BEFORE_THE_DUTY_CLOSED].contains(&self.received);
        let to = match who {
            Who::English(place) => {
                let desk = match self.level {
                    Level::EarlyHelp => "early-help",
                    level if level.is_significant_harm_or_above() && closed => "edt",
                    _ => "front-door",
                };
                Some(format!("la.{place}.{desk}"))
            }
            Who::Other(to) => Some(to),
            Who::Nobody => None,
        };

        // TC-12, then what holds below significant harm: TC-03, TC-04, TC-06, ID-04, TC-05.
        let held = format!("held for {}", to.as_deref().unwrap_or("nobody"));
        if self.decision == DutyDecision::MoreDetrimental {
            return held;
        }
        if !self.level.is_significant_harm_or_above() {
            let since_duty = [OPEN, CLOSED].contains(&self.received);
            let (child, refused) =
                (self.age != AgeBand::Adult, matches!(self.agreement, Agreement::Refused | Agreement::Awaited));
            let silent = matches!(self.agreement, Agreement::NotSoughtNoReason | Agreement::NotStated);
            let asks = matches!(self.event, EventKind::Referral | EventKind::ServiceRequest);
            let in_scope = self.sender.starts_with("police")
                || self.sender.starts_with("nhs")
                || self.sender.starts_with("la.")
                || self.sender == "school.999002";
            let review = match self.level {
                Level::InNeed => {
                    child && (refused && !(since_duty && in_scope && self.decision == DutyDecision::Share) || silent && asks)
                }
                Level::EarlyHelp => child && (refused && since_duty || silent && asks),
                _ => false,
            };
            if review || asks && !self.identified {
                return held;
            }
            let purpose_is_missing = self.level == Level::Information
                && !self.purpose
                && matches!(self.event, EventKind::Referral | EventKind::LowLevelConcern);
            if purpose_is_missing || self.level == Level::EarlyHelp && child && refused {
                return "returned".to_owned();
            }
        }
        to.unwrap_or(held)
    }

    /// Who else is told: the home authority that another acts in an emergency (RA-02) or where the child was
    /// found (RA-01), and the police of the place (TC-01, RA-13). Whoever sent it is not told.
    fn also_tells(&self) -> Vec<String> {
        let goes_to = self.goes_to();
        let held_by_nobody = goes_to == "held for nobody" && self.decision != DutyDecision::MoreDetrimental;
        if self.age == AgeBand::Adult
            || goes_to == "returned"
            || goes_to == "refused"
            || goes_to.starts_with("held") && !held_by_nobody
        {
            return vec![];
        }
        let english = |place: &&'static str| [LEEDS, KENT, CANTERBURY].contains(place);
        let county = |place| if place == CANTERBURY { KENT } else { place };
        let emergency = self.level == Level::ImmediateDanger;
        let found_answers = emergency || self.level == Level::SignificantHarm && self.harm_place == HarmPlace::Found;
        let home = match (self.home, self.found().filter(english)) {
            (Some(CARDIFF), Some(_)) if emergency => Some(format!("devolved.{CARDIFF}")),
            (Some(home), Some(found)) if found_answers && english(&home) && county(home) != county(found) => {
                Some(format!("la.{}.front-door", county(home)))
            }
            _ => None,
        };
        let sender_is_in = match self.sender {
            "school.999001" => Some(LEEDS),
            "school.999002" | "la.E10000016.front-door" => Some(KENT),
            _ => None,
        };
        let place = self.found().filter(english).or(self.home.filter(english)).or(sender_is_in);
        let police_matter = emergency || self.level == Level::SignificantHarm && held_by_nobody;
        let police =
            place.filter(|_| police_matter).map(|place| if place == LEEDS { "police.13" } else { "police.46" }.to_owned());
        home.into_iter().chain(police).filter(|told| told != self.sender).collect()
    }
}

const ITEMS: [Category; 7] = [
    Category::Identity,
    Category::ContactAddress,
    Category::ConcernNarrative,
    Category::ChildHealth,
    Category::SexualHealth,
    Category::CriminalOffence,
    Category::Unknown,
];

/// What must be true of every ruling, whatever the referral.
fn keeps_every_promise(told: &Told, ruling: &Ruling) {
    let at_harm = told.level.is_significant_harm_or_above();
    let no_place = told.home.is_none_or(|place| place == NOWHERE) && told.found().is_none_or(|place| place == NOWHERE);
    match ruling.decision() {
        Decision::Deliver { to } => {
            let responsible: Vec<&Endpoint> =
                ruling.views().iter().filter(|view| view.role() == Role::Responsible).map(|view| view.to()).collect();
            assert_eq!(responsible, [to], "{told:?}");
        }
        Decision::HoldForReview { .. } => {
            assert!(!at_harm || no_place || told.decision == DutyDecision::MoreDetrimental, "held: {told:?}");
            assert!(ruling.clocks().is_empty());
            assert!(ruling.views().iter().all(|view| view.role() == Role::Notified));
            // A person looks before anything leaves; only where nobody is known to answer are police told meanwhile.
            let police_only = ruling.views().iter().all(|view| view.to().to_string().starts_with("police."));
            assert!(
                ruling.views().is_empty() || at_harm && no_place && told.decision != DutyDecision::MoreDetrimental && police_only,
                "{told:?}"
            );
        }
        Decision::ReturnToSender => assert!(!at_harm && ruling.views().is_empty(), "returned: {told:?}"),
        Decision::Refuse => assert!(told.secret && ruling.views().is_empty(), "refused: {told:?}"),
    }
    assert!(!ruling.by().is_empty(), "no reason: {told:?}");
    for (at, view) in ruling.views().iter().enumerate() {
        assert!(ruling.views().iter().skip(at + 1).all(|other| other.to() != view.to()), "twice to {}: {told:?}", view.to());
        let mut given = view
            .verdicts()
            .iter()
            .filter(|verdict| matches!(verdict.given, Extent::Whole | Extent::Minimum))
            .map(|verdict| verdict.category);
        assert_eq!(view.verdicts().len(), ITEMS.len());
        assert!(given.clone().all(|category| category != Category::Unknown), "{told:?}");
        assert!(view.bases().iter().any(|basis| basis.is_article_6()), "{told:?}");
        assert!(
            !given.any(|category| SPECIAL.contains(&category)) || view.bases().iter().any(|basis| basis.is_article_9()),
            "{told:?}"
        );
    }
}

/// Rules every referral that `each` is told about, and counts them.
fn sweep(each: impl Iterator<Item = Told>) -> usize {
    each.map(|told| {
        let ruling = RULES.rule(&told.referral(), &[]);
        assert_eq!(goes_to(&ruling), told.goes_to(), "{told:?}");
        let notified = ruling.views().iter().filter(|view| view.role() == Role::Notified).map(|view| view.to().to_string());
        assert_eq!(notified.collect::<Vec<_>>(), told.also_tells(), "{told:?}");
        keeps_every_promise(&told, &ruling);
    })
    .count()
}

/// One sweep over the product of lists, written as nested loops.
macro_rules! told {
    ($($field:ident in $values:expr),+ $(,)?) => {{
        let all = std::iter::once(Told::PLAIN);
        $(let all = all.flat_map(|told| $values.iter().map(move |&$field| Told { $field, ..told }).collect::<Vec<_>>());)+
        all
    }};
}

const SENDERS: [&str; 6] =
    ["school.999001", "school.999002", "police.13", "nhs.ZZ101", "vcs.helpline", "la.E10000016.front-door"];
const HOMES: [Option<&str>; 5] = [None, Some(LEEDS), Some(CANTERBURY), Some(CARDIFF), Some(NOWHERE)];
const FOUND: [Option<&str>; 5] = [None, Some(LEEDS), Some(CANTERBURY), Some(CARDIFF), Some(NOWHERE)];
const MOMENTS: [&str; 4] = [OPEN, CLOSED, BEFORE_THE_DUTY, BEFORE_THE_DUTY_CLOSED];

/// 3 senders, 5 levels, 5 ages, 5 homes, 5 places found, 4 places of harm, 4 moments.
#[test]
fn wherever_the_child_is_the_referral_goes_where_the_rules_say() {
    let count = sweep(told! {
        sender in ["school.999001", "police.13", "vcs.helpline"], level in Level::ALL, age in AgeBand::ALL, home in HOMES, located in FOUND,
        harm_place in HarmPlace::ALL, received in MOMENTS,
    });
    assert_eq!(count, 30_000);
}

/// 6 senders, 22 kinds of message, 5 levels, child or adult, known or not, with a purpose or not, 2 moments.
#[test]
fn whoever_sends_and_whatever_the_message_the_referral_goes_where_the_rules_say() {
    let count = sweep(told! {
        sender in SENDERS, event in EventKind::ALL, level in Level::ALL, age in [AgeBand::Under16, AgeBand::Adult],
        identified in [true, false], purpose in [true, false], received in [OPEN, BEFORE_THE_DUTY],
    });
    assert_eq!(count, 10_560);
}

/// 6 senders, 2 kinds of message, 5 levels, 6 agreements, 3 decisions, 2 ages, marked or not, 2 homes, 2 moments.
#[test]
fn whatever_was_agreed_and_recorded_the_referral_goes_where_the_rules_say() {
    let count = sweep(told! {
        sender in SENDERS, event in [EventKind::Referral, EventKind::Allegation], level in Level::ALL, agreement in Agreement::ALL,
        decision in DutyDecision::ALL, age in [AgeBand::From16To17, AgeBand::Adult], secret in [false, true], home in [Some(LEEDS), None],
        received in [OPEN, BEFORE_THE_DUTY],
    });
    assert_eq!(count, 17_280);
}

/// 1,440 referrals at significant harm or above, each with six agreements.
#[test]
fn no_agreement_changes_who_receives_what_at_significant_harm() {
    let told = told! {
        sender in SENDERS, level in [Level::ImmediateDanger, Level::SignificantHarm], decision in DutyDecision::ALL,
        age in [AgeBand::Unborn, AgeBand::Under16], home in HOMES, harm_place in [HarmPlace::Home, HarmPlace::Found], received in [OPEN, CLOSED],
    };
    let count = told
        .map(|told| {
            let rulings: Vec<Ruling> =
                Agreement::ALL.iter().map(|&agreement| RULES.rule(&Told { agreement, ..told }.referral(), &[])).collect();
            for ruling in &rulings {
                assert_eq!((ruling.decision(), ruling.views()), (rulings[0].decision(), rulings[0].views()), "{told:?}");
            }
        })
        .count();
    assert_eq!(count, 1_440);
}
