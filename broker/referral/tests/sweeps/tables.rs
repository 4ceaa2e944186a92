//! The promises that tables keep, in every situation there is.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;
use referral::rules::pack::{Draft, Extent, Hold, LawfulBasis, PackKind, RouteTo, Tables};
use referral::rules::prove::SPECIAL;
use referral::rules::table::{Column, Cube, Row, Situation, Table};
use referral::rules::{Library, RulePack, library};
use referral::vocab::*;

use crate::RULES;
use crate::sweep::*;

pub fn packs() -> Vec<(Date, Arc<RulePack>)> {
    RULES.library.packs().map(|(from, pack)| (from, pack.clone())).collect()
}

fn is_significant_harm(ordinals: &Ordinals) -> bool {
    value::<Level>(ordinals, Column::Level).is_significant_harm_or_above()
}

/// Messages that are no referral: no authority waits for them.
fn is_no_referral(ordinals: &Ordinals) -> bool {
    matches!(
        value::<EventKind>(ordinals, Column::Event),
        EventKind::Acknowledgement | EventKind::ReferralOutcome | EventKind::OutcomeNotice | EventKind::OperatorQuery
    )
}

/// What the sender and the referral say besides what the child suffers and where the child is: none of it may stop
/// anything at significant harm.
const SAID: [Column; 15] = [
    Column::Agreement,
    Column::OtherHolderRefused,
    Column::ClaimedBasis,
    Column::Identified,
    Column::Trace,
    Column::Purpose,
    Column::Addressed,
    Column::Address,
    Column::ParentsNotTold,
    Column::ReferrerAnonymous,
    Column::PoliceHandling,
    Column::Unsanitised,
    Column::BarredFromEducation,
    Column::BarredFromFamily,
    Column::PoliceOnly,
];

/// Whatever `table` says is the same for every value of every column of [`SAID`].
fn whatever_is_said<Outcome: Clone + PartialEq + std::fmt::Debug>(table: &Table<Outcome>, ordinals: &Ordinals) {
    let before = outcomes(table, ordinals);
    for column in SAID {
        for other in 0..column.values().len() {
            let mut ordinals = *ordinals;
            ordinals[column as usize] = other as u8;
            assert_eq!(outcomes(table, &ordinals), before, "{} matters", column.name());
        }
    }
}

// ---------------------------------------------------------------- 1 and 2: nothing is stopped, one answers

#[test]
fn every_event_has_exactly_one_route_at_most_one_diversion_and_exactly_one_desk() {
    for (_, pack) in packs() {
        let Tables { diversion, route, desk, .. } = pack.tables();
        let groups = every_situation(&format!("{} who answers", pack.id()), cubes(diversion).chain(cubes(route)), [], |at| {
            assert!(outcomes(diversion, at).len() <= 1);
            assert_eq!(outcomes(route, at).len(), 1);
        });
        assert!(groups > 1_000, "{groups}");
        let groups = every_situation(&format!("{} which desk", pack.id()), cubes(desk), tell_all(&[Column::Event]), |at| {
            assert_eq!(outcomes(desk, at).len(), 1);
        });
        assert!(groups > 100, "{groups}");
    }
}

#[test]
fn no_hold_stands_at_significant_harm_but_for_what_the_sender_recorded_and_what_is_secret() {
    for (_, pack) in packs() {
        let hold = &pack.tables().hold;
        let groups =
            every_situation(&format!("{} holds", pack.id()), cubes(hold), tell_all(&[Column::Level, Column::Event]), |at| {
                if !is_significant_harm(at) || is_no_referral(at) {
                    return;
                }
                for held in outcomes(hold, at) {
                    match held {
                        Hold::Review => {
                            assert_eq!(value::<DutyDecision>(at, Column::DutyDecision), DutyDecision::MoreDetrimental)
                        }
                        Hold::Refuse => assert_eq!(value::<Marking>(at, Column::Marking), Marking::AboveOfficialSensitive),
                        Hold::ReturnToSender => panic!("sent back at significant harm"),
                    }
                }
                whatever_is_said(hold, at);
            });
        assert!(groups > 1_000, "{groups}");
    }
}

#[test]
fn at_significant_harm_whoever_answers_is_known_and_nobody_only_where_no_place_is() {
    for (_, pack) in packs() {
        let Tables { diversion, route, .. } = pack.tables();
        let rows = || cubes(diversion).chain(cubes(route));
        every_situation(&format!("{} somebody answers", pack.id()), rows(), tell_all(&[Column::Level, Column::Age]), |at| {
            if !is_significant_harm(at) || is_no_referral(at) {
                return;
            }
            let (home, located) = (value::<Area>(at, Column::Home), value::<Area>(at, Column::Located));
            let devolved = |area| matches!(area, Area::Wales | Area::Scotland | Area::NorthernIreland);
            let holds = |column| value::<Holder>(at, column) != Holder::Nobody;
            let yes = |column| value::<YesNo>(at, column) == YesNo::Yes;
            let to = outcomes(diversion, at).into_iter().chain(outcomes(route, at)).next().unwrap();
            let known = match to {
                RouteTo::Home => home == Area::England,
                RouteTo::Located => located == Area::England,
                RouteTo::DevolvedHome => devolved(home),
                RouteTo::DevolvedLocated => devolved(located),
                RouteTo::AdultServices => value::<AgeBand>(at, Column::Age) == AgeBand::Adult,
                RouteTo::Placing => holds(Column::Placing),
                RouteTo::PlanHolder => holds(Column::Plan),
                RouteTo::Enquiry => holds(Column::Enquiry),
                RouteTo::School => value::<Schooling>(at, Column::School) == Schooling::Known,
                RouteTo::Provider => yes(Column::Provider),
                RouteTo::ReviewPanel => true,
                RouteTo::Workplace | RouteTo::Referrer | RouteTo::Household => false,
                RouteTo::Nobody => home == Area::Unknown && located == Area::Unknown,
            };
            assert!(known, "{to} with home {home} and located {located}");
        });
    }
}

#[test]
fn nothing_that_is_said_changes_who_answers_and_who_is_told_at_significant_harm() {
    for (_, pack) in packs() {
        let Tables { diversion, route, desk, notify, .. } = pack.tables();
        let name = |what: &str| format!("{} {what}, whatever is said", pack.id());
        every_situation(&name("who answers"), cubes(diversion).chain(cubes(route)), tell_all(&[Column::Level]), |at| {
            if is_significant_harm(at) {
                whatever_is_said(diversion, at);
                whatever_is_said(route, at);
            }
        });
        every_situation(&name("which desk"), cubes(desk), tell_all(&[Column::Level]), |at| {
            if is_significant_harm(at) {
                whatever_is_said(desk, at);
            }
        });
        // All that match are told, so one row at a time is enough.
        for row in &notify.0 {
            let at_harm = row.when.values(Column::Level) & 0b11 != 0;
            let asks = SAID.into_iter().find(|&column| row.when.values(column) != column.all_values());
            assert!(!at_harm || asks.is_none(), "{} asks for {asks:?}", row.reason.rule);
        }
    }
}

#[test]
fn nothing_about_agreement_or_identity_changes_what_is_given_at_significant_harm() {
    for (_, pack) in packs() {
        let Tables { share, withhold, .. } = pack.tables();
        for row in share.0.iter().chain(&withhold.0) {
            let at_harm = row.when.values(Column::Level) & 0b11 != 0;
            let asked = [Column::Agreement, Column::OtherHolderRefused, Column::Identified, Column::Trace, Column::Addressed];
            let asks = asked.into_iter().find(|&column| row.when.values(column) != column.all_values());
            assert!(!at_harm || asks.is_none(), "{} asks for {asks:?}", row.reason.rule);
        }
    }
}

// ---------------------------------------------------------------- 3: the matrix

/// The minimisation matrix, one letter a cell: Y, m, R, -, and ! where rules.md 1(d) prints it bold. A parent's "own"
/// and "victim R" count as R, "status only" as m, and a condition as the letter beside it. The referrer's name is
/// shown to a parent only when a professional referred; no column tells, so it is -.
///
/// Beyond what rules.md prints are the six columns after the bar and the rows after the line: the risk assessment
/// conference (RA-24), the national referral mechanism (RA-19) and national bodies (CL-12) get what their part needs;
/// adult safeguarding no more than a front door, children's services outside England no more than another authority;
/// how a clock stands is no content (FB-02), and a return interview (CL-07) cannot be offered without the episode.
const MATRIX: &str = "
                                  LA lado help vcs pol nhs urg sch oth ref par hou emp ope | mar nrm nat adu dev unk
identity                           Y   Y   Y   Y   Y   Y   Y   Y   Y   m   Y   m   -   -     Y   Y   Y   Y   Y   -
contact_address                    Y   m   Y   m   Y   Y   -   Y   Y   -   Y   -   -   -     Y   m   m   Y   Y   -
protected_address                  Y   -   R   -   m   m   -   -   R   -   R   !   -   -     -   -   -   -   R   -
family_composition                 Y   m   Y   m   Y   m   -   m   Y   -   R   -   -   -     -   -   m   -   Y   -
unrelated_sibling_record           -   -   -   -   -   -   -   -   -   -   -   -   -   -     -   -   -   -   -   -
concern_narrative                  Y   Y   Y   m   Y   m   -   m   Y   m   R   R   -   -     Y   m   m   Y   Y   -
risk_level                         Y   Y   Y   m   Y   Y   m   Y   Y   Y   Y   R   -   -     Y   Y   Y   Y   Y   -
outcome                            Y   Y   Y   m   Y   Y   m   Y   Y   Y   Y   R   -   -     Y   -   Y   -   Y   -
education_record                   Y   m   Y   -   m   m   -   Y   Y   m   Y   -   -   -     -   -   m   -   Y   -
child_health                       Y   m   m   -   m   Y   -   m   Y   -   R   -   -   -     -   -   m   -   Y   -
sexual_health                      Y   m   -   -   m   m   -   !   m   -   !   -   -   -     -   -   -   -   m   -
parent_health                      Y   -   m   -   m   Y   -   !   Y   -   R   -   -   -     -   -   -   -   Y   -
third_party                        Y   m   -   -   m   -   -   -   m   -   !   -   -   -     -   -   -   -   m   -
referrer_identity                  Y   m   m   -   m   -   -   -   m   -   !   -   -   -     -   -   -   -   m   -
criminal_offence                   Y   Y   -   -   Y   -   -   !   Y   -   R   -   -   -     Y   m   m   -   Y   -
police_intelligence                Y   R   -   -   Y   R   -   -   R   -   -   -   -   -     -   -   -   -   R   -
domestic_abuse_detail              Y   m   m   -   Y   m   -   m   Y   -   R   !   -   -     Y   -   m   -   Y   -
marac_information                  R   R   -   -   Y   R   -   -   R   -   -   -   -   -     -   -   -   -   R   -
mappa                              R   R   -   -   Y   R   -   -   R   -   -   -   -   -     -   -   -   -   R   -
immigration_status                 Y   -   m   -   -   -   -   -   Y   -   R   -   -   -     -   -   -   -   Y   -
adoption_record                    R   -   -   -   -   -   -   -   R   -   R   -   -   -     -   -   -   -   R   -
allegation_against_professional    Y   Y   -   -   Y   R   -   -   Y   -   R   -   !   -     -   -   -   -   Y   -
child_voice                        Y   m   Y   m   Y   m   -   m   Y   -   R   -   -   -     -   -   m   -   Y   -
special_category_other             m   -   m   -   m   m   -   m   m   -   R   -   -   -     -   -   -   -   m   -
legal_proceedings                  R   R   -   -   R   -   -   -   R   -   R   -   -   -     -   -   -   -   R   -
attendance_event                   Y   -   -   -   -   Y   Y   -   -   -   -   -   -   -     -   -   -   -   -   -
consent_record                     Y   m   Y   m   Y   m   -   m   Y   m   R   -   -   -     m   m   -   Y   Y   -
---
clock_status                       Y   Y   Y   -   Y   Y   -   Y   Y   Y   -   -   -   -     -   -   -   -   -   -
missing_episode                    Y   -   -   -   Y   -   -   -   Y   -   -   -   -   -     Y   -   -   -   Y   -
unknown                            -   -   -   -   -   -   -   -   -   -   -   -   -   -     -   -   -   -   -   -
";

/// What the matrix gives at most.
pub fn cell(category: Category, recipient: RecipientKind) -> char {
    let row = MATRIX.lines().map(str::split_whitespace).find_map(|mut words| {
        (words.next() == Some(category.as_str())).then(|| words.map(|cell| cell.chars().next().unwrap()).collect::<Vec<char>>())
    });
    // The columns stand in the order of the vocabulary, so a recipient that is added has no column until it is given one.
    row.unwrap_or_else(|| panic!("no row for {category}"))[recipient.ordinal()]
}

pub fn extent(cell: char) -> Extent {
    match cell {
        'Y' => Extent::Whole,
        'm' => Extent::Minimum,
        'R' => Extent::Review,
        '-' | '!' => Extent::Nothing,
        other => panic!("{other} is no cell"),
    }
}

fn cells() -> impl Iterator<Item = (Category, RecipientKind)> {
    Category::ALL.iter().flat_map(|&category| RecipientKind::ALL.iter().map(move |&recipient| (category, recipient)))
}

/// A situation with nothing special in it: no condition, no allegation, no protected address.
fn plain() -> Ordinals {
    let mut plain = [0; Column::ALL.len()];
    for column in [
        Column::ParentsNotTold,
        Column::ReferrerAnonymous,
        Column::Unsanitised,
        Column::BarredFromEducation,
        Column::BarredFromFamily,
        Column::PoliceOnly,
    ] {
        plain = with(&plain, column, YesNo::No);
    }
    plain
}

/// 30 categories and 20 recipients: 600 cells, in each pack.
#[test]
fn every_cell_of_the_matrix_is_as_the_rules_print_it() {
    for (_, pack) in packs() {
        let count = cells()
            .inspect(|&(category, recipient)| {
                let at = with(&with(&plain(), Column::Category, category), Column::Recipient, recipient);
                let expected = extent(cell(category, recipient));
                assert_eq!(given(pack.tables(), &at), expected, "{category} for {recipient} in {}", pack.id());
            })
            .count();
        assert_eq!(count, 600);
    }
}

/// Whatever else is so, nobody is given more than its cell; what must never be open is closed by a row of its own.
#[test]
fn nothing_is_disclosed_outside_the_matrix() {
    for (_, pack) in packs() {
        let tables = pack.tables();
        let rows = || cubes(&tables.share).chain(cubes(&tables.withhold));
        let groups = every_situation(&format!("{} what is given", pack.id()), rows(), [], |at| {
            let (category, recipient) = (value::<Category>(at, Column::Category), value::<RecipientKind>(at, Column::Recipient));
            assert!(given(tables, at) <= extent(cell(category, recipient)), "{category} for {recipient}");
        });
        assert!(groups > 10_000, "{groups}");
        let bold: Vec<_> = cells().filter(|&(category, recipient)| cell(category, recipient) == '!').collect();
        assert_eq!(bold.len(), 9);
        for (category, recipient) in bold {
            let cell = Cube::everything()
                .and(Column::Category, 1 << category.ordinal())
                .and(Column::Recipient, 1 << recipient.ordinal());
            let left = cell.subtract_all(tables.withhold.0.iter().map(|row| &row.when));
            assert!(left.is_empty(), "{category} for {recipient} is not withheld");
        }
    }
}

const AREA: &str = r#"
[pack]
edition = "AREA-OF-THE-SWEEP"
version = 1
effective_from = "2026-12-01"
kind = "area"
authority = "E08000035"
about = "What a partnership may keep back"

[[withhold]]
id = "AREA.school"
because = "Health goes to a school through the school nurse"
source = "a local agreement"
evidence = "P"
recipient = ["school", "vcs"]
category = ["child_health", "concern_narrative"]

[[withhold]]
id = "AREA.referrer"
because = "A referrer learns the outcome only"
source = "a local agreement"
evidence = "P"
not.recipient = ["front_door", "lado", "family_help", "police"]
category = ["consent_record", "child_voice", "education_record"]
leaves = "review"

[[withhold]]
id = "AREA.below"
because = "Below significant harm family help needs the minimum"
source = "a local agreement"
evidence = "P"
level = ["early_help", "information"]
recipient = ["family_help"]
category = ["parent_health", "family_composition"]
leaves = "minimum"
"#;

#[test]
fn the_settings_of_an_area_only_shrink_what_is_given() {
    let files = library::BUILT_IN.iter().copied().chain([("areas/sweep.toml", AREA)]);
    let library = Library::parse(files).unwrap_or_else(|fault| panic!("{fault}"));
    let on = "2026-12-01".parse().unwrap();
    let leeds = crate::common::gss("E08000035");
    let (own, beneath) = (library.in_force_for(on, &leeds).unwrap().tables(), library.in_force(on).unwrap().tables());
    let rows = || cubes(&own.share).chain(cubes(&own.withhold));
    let mut shrunk = 0;
    every_situation("an area's settings", rows(), [], |at| {
        assert!(given(own, at) <= given(beneath, at));
        shrunk += usize::from(given(own, at) < given(beneath, at));
    });
    assert!(shrunk > 0);
    assert_eq!((&own.diversion, &own.route, &own.desk), (&beneath.diversion, &beneath.route, &beneath.desk));
}

// ---------------------------------------------------------------- 4, 5, 7, 10: who may never learn what

/// In each pack, every group of situations that rows on what is given can tell apart.
fn whatever_is_given(name: &str, mut each: impl FnMut(&Tables, &Ordinals, Category, RecipientKind, Extent)) {
    for (_, pack) in packs() {
        let tables = pack.tables();
        let rows = cubes(&tables.share).chain(cubes(&tables.withhold));
        let apart = [
            tell(Column::Event, &[EventKind::Allegation]),
            tell(Column::Address, &[AddressStatus::Protected]),
            tell(Column::PoliceHandling, &[PoliceHandling::Legacy]),
            tell(Column::PoliceHandling, &[PoliceHandling::ConditionsUnreadable]),
            tell(Column::Unsanitised, &[YesNo::Yes]),
            tell(Column::PoliceOnly, &[YesNo::Yes]),
        ];
        let apart = apart.into_iter().chain(tell_all(&[Column::Recipient, Column::Category]));
        every_situation(&format!("{} {name}", pack.id()), rows, apart, |at| {
            let (category, recipient) = (value::<Category>(at, Column::Category), value::<RecipientKind>(at, Column::Recipient));
            each(tables, at, category, recipient, given(tables, at));
        });
    }
}

#[test]
fn a_protected_address_never_reaches_the_other_household_or_anybody_without_a_part_in_keeping_the_child_safe() {
    whatever_is_given("where the family is", |_, at, category, recipient, given| {
        let leaves = matches!(given, Extent::Whole | Extent::Minimum);
        if category == Category::ProtectedAddress {
            let acts = matches!(recipient, RecipientKind::FrontDoor | RecipientKind::Police | RecipientKind::NhsProfessional);
            assert!(!leaves || acts, "{recipient} is given it");
        }
        // Nor what would locate the family, once an address is protected.
        let is_protected = value::<AddressStatus>(at, Column::Address) == AddressStatus::Protected;
        let locates = matches!(category, Category::ContactAddress | Category::ConcernNarrative | Category::EducationRecord);
        if is_protected && locates && recipient == RecipientKind::OtherHousehold {
            assert_eq!(given, Extent::Nothing, "{category}");
        }
    });
}

#[test]
fn an_allegation_never_reaches_the_employer_or_the_accused() {
    whatever_is_given("an allegation", |_, at, category, recipient, given| {
        let told_by_others = matches!(recipient, RecipientKind::Employer | RecipientKind::School);
        let is_allegation = value::<EventKind>(at, Column::Event) == EventKind::Allegation;
        if recipient == RecipientKind::Employer || is_allegation && told_by_others {
            assert_eq!(given, Extent::Nothing, "{category} for {recipient}");
        }
        let theirs = matches!(
            recipient,
            RecipientKind::School
                | RecipientKind::Parent
                | RecipientKind::OtherHousehold
                | RecipientKind::Referrer
                | RecipientKind::VoluntaryProvider
        );
        if category == Category::AllegationAgainstProfessional && theirs {
            assert!(given <= Extent::Review, "{recipient}");
        }
    });
}

#[test]
fn what_police_may_not_pass_on_never_leaves_the_police() {
    whatever_is_given("what police hold", |_, at, _, recipient, given| {
        let yes = |column| value::<YesNo>(at, column) == YesNo::Yes;
        let cannot_leave =
            matches!(value(at, Column::PoliceHandling), PoliceHandling::ConditionsUnreadable | PoliceHandling::Legacy)
                || yes(Column::Unsanitised)
                || yes(Column::PoliceOnly);
        assert!(!cannot_leave || recipient == RecipientKind::Police || given == Extent::Nothing, "{recipient}");
    });
}

/// A restriction is a value that says more than the one before it.
#[test]
fn adding_a_restriction_never_increases_what_anyone_sees() {
    let yes = YesNo::Yes.ordinal() as u8;
    let restrictions: Vec<(Column, u8)> = vec![
        (Column::Address, AddressStatus::Protected.ordinal() as u8),
        (Column::ParentsNotTold, yes),
        (Column::ReferrerAnonymous, yes),
        (Column::Conflict, yes),
        (Column::AccusedControlsFeedback, yes),
        (Column::Unsanitised, yes),
        (Column::BarredFromEducation, yes),
        (Column::BarredFromFamily, yes),
        (Column::PoliceOnly, yes),
        (Column::PoliceHandling, PoliceHandling::Permitted.ordinal() as u8),
        (Column::PoliceHandling, PoliceHandling::WithConditions.ordinal() as u8),
        (Column::PoliceHandling, PoliceHandling::ConditionsUnreadable.ordinal() as u8),
        (Column::PoliceHandling, PoliceHandling::Legacy.ordinal() as u8),
        (Column::Marking, Marking::AboveOfficialSensitive.ordinal() as u8),
    ];
    // Ungraded, graded P, graded C: each may be followed by what holds back more.
    let follows = |column: Column, before: u8, after: u8| match column {
        Column::PoliceHandling => {
            let word = |at: u8| PoliceHandling::ALL[usize::from(at)];
            matches!(
                (word(before), word(after)),
                (PoliceHandling::NotGraded, _)
                    | (PoliceHandling::Permitted, PoliceHandling::WithConditions)
                    | (PoliceHandling::Permitted | PoliceHandling::WithConditions, PoliceHandling::ConditionsUnreadable)
                    | (PoliceHandling::Permitted | PoliceHandling::WithConditions, PoliceHandling::Legacy)
            )
        }
        Column::Address | Column::Marking => before == 0,
        _ => before != yes,
    };
    whatever_is_given("one restriction more", |tables, at, category, recipient, before| {
        if before == Extent::Nothing {
            return;
        }
        for &(column, after) in restrictions.iter().filter(|&&(column, after)| follows(column, at[column as usize], after)) {
            let mut more = *at;
            more[column as usize] = after;
            assert!(given(tables, &more) <= before, "{category} for {recipient} with {}", column.name());
        }
    });
}

// ---------------------------------------------------------------- 6: in which law

const RECOGNISED_INTERESTS: &str = "2026-02-05";
const DUTY_TO_SHARE: &str = "2026-09-30";
const ENCOMPASS: &str = "2025-11-07";

#[test]
fn every_disclosure_has_a_basis_that_is_valid_on_its_date() {
    for (from, pack) in packs() {
        let since = |date: &str| from >= date.parse::<Date>().unwrap();
        let Tables { share, basis, .. } = pack.tables();
        let rows = || cubes(share).chain(cubes(basis));
        let apart = [
            tell(Column::Sender, &[SenderKind::IndependentSchool, SenderKind::Voluntary]),
            tell(Column::Sender, &[SenderKind::Police]),
            tell(Column::Event, &[EventKind::OperationEncompass]),
            tell(Column::Age, &[AgeBand::Adult]),
            tell(Column::Duty, &[DutyScope::InScope]),
            tell(Column::Recipient, &[RecipientKind::FrontDoor]),
            tell(Column::Category, SPECIAL),
            tell(Column::Category, &[Category::CriminalOffence, Category::PoliceIntelligence]),
        ];
        let groups = every_situation(&format!("{} in which law", pack.id()), rows(), apart, |at| {
            if outcomes(share, at).iter().all(|extent| *extent == Extent::Nothing) {
                return;
            }
            let (bases, category) = (outcomes(basis, at), value::<Category>(at, Column::Category));
            let has = |basis| bases.contains(&basis);
            assert!(bases.iter().any(|basis| basis.is_article_6()), "{category}: {bases:?}");
            assert!(!SPECIAL.contains(&category) || has(LawfulBasis::Art92g), "{category}: {bases:?}");
            let criminal = matches!(category, Category::CriminalOffence | Category::PoliceIntelligence);
            assert!(!criminal || has(LawfulBasis::Art10), "{category}: {bases:?}");
            // Vital interests are a last resort and off (LB-04).
            assert!(!has(LawfulBasis::Art61d) && !has(LawfulBasis::Art92c));
            // Recognised legitimate interests from their day on, for those who are no public body (LB-03).
            let sender = value::<SenderKind>(at, Column::Sender);
            let private = matches!(sender, SenderKind::IndependentSchool | SenderKind::Voluntary);
            assert_eq!(has(LawfulBasis::Art61e), !private, "{sender}");
            assert_eq!(has(LawfulBasis::Art61f), private && !since(RECOGNISED_INTERESTS), "{sender}");
            assert_eq!(has(LawfulBasis::Art61ea), private && since(RECOGNISED_INTERESTS), "{sender}");
            // Operation Encompass from its day on, and for police only (LB-09).
            let encompass = value::<EventKind>(at, Column::Event) == EventKind::OperationEncompass;
            assert!(!has(LawfulBasis::Daa2021S49A) || encompass && sender == SenderKind::Police && since(ENCOMPASS));
            // The duty to share from its day on, for those whom it reaches (LB-02).
            let in_scope = value::<DutyScope>(at, Column::Duty) == DutyScope::InScope;
            assert!(!has(LawfulBasis::Ca2004S16La) || in_scope && since(DUTY_TO_SHARE));
            let adult = value::<AgeBand>(at, Column::Age) == AgeBand::Adult;
            let front_door = value::<RecipientKind>(at, Column::Recipient) == RecipientKind::FrontDoor;
            assert!(has(LawfulBasis::Ca2004S16La) || !in_scope || !since(DUTY_TO_SHARE) || adult || !front_door);
            // An obligation is one of these three, and each of these is an obligation.
            let duties = [LawfulBasis::Ca2004S16La, LawfulBasis::Daa2021S49A, LawfulBasis::Fgma2003S5B];
            assert_eq!(has(LawfulBasis::Art61c), duties.into_iter().any(has), "{bases:?}");
        });
        assert!(groups > 10_000, "{groups}");
    }
}

// ---------------------------------------------------------------- 11: editions

/// Ids of rows, of one table or of all.
fn ids(tables: &Tables) -> BTreeSet<String> {
    fn of<Outcome>(table: &Table<Outcome>) -> impl Iterator<Item = String> {
        table.0.iter().map(|row: &Row<Outcome>| row.reason.rule.0.clone())
    }
    let Tables { diversion, route, desk, hold, notify, share, withhold, basis, clock, flag } = tables;
    let who = of(diversion).chain(of(route)).chain(of(desk)).chain(of(notify));
    let what = of(share).chain(of(withhold)).chain(of(basis)).chain(of(hold));
    who.chain(what).chain(of(clock)).chain(of(flag)).collect()
}

/// Where two tables do not say the same, a row that was added or ended matches.
fn differ_only_by<Outcome: Clone + PartialEq>(
    name: &str,
    before: &Table<Outcome>,
    after: &Table<Outcome>,
    changed: &BTreeSet<String>,
) {
    if before == after {
        return;
    }
    let mut differences = 0;
    every_situation(name, cubes(before).chain(cubes(after)), [], |at| {
        let situation = Situation::from_ordinals(*at);
        fn rows<'a, Outcome>(table: &'a Table<Outcome>, at: &'a Situation) -> impl Iterator<Item = &'a Row<Outcome>> {
            table.matching(at)
        }
        let same = rows(before, &situation).eq(rows(after, &situation));
        differences += usize::from(!same);
        let touched = rows(before, &situation).chain(rows(after, &situation)).any(|row| changed.contains(&row.reason.rule.0));
        assert!(same || touched, "{name}: a difference that no pack tells of");
    });
    println!("{name}: {differences} groups differ");
}

#[test]
fn editions_differ_only_where_their_overlays_say() {
    let drafts: Vec<Draft> = library::drafts(library::BUILT_IN.iter().copied()).unwrap();
    let packs = packs();
    assert!(packs.len() >= 7);
    for pair in packs.windows(2) {
        let [(_, before), (from, after)] = pair else { continue };
        // What begins on that day: the rows that it adds, and the ids that it ends.
        let begins = drafts.iter().filter(|draft| draft.head.enabled && draft.head.effective_from == *from);
        let begins: Vec<&Draft> = begins.filter(|draft| !matches!(draft.head.kind, PackKind::Area(_))).collect();
        let changed: BTreeSet<String> = begins
            .iter()
            .flat_map(|draft| ids(&draft.tables).into_iter().chain(draft.head.ends.iter().map(|id| id.0.clone())))
            .collect();
        assert!(!changed.is_empty(), "nothing begins on {from}");
        let (a, b) = (before.tables(), after.tables());
        let name = |table: &str| format!("{from} {table}");
        differ_only_by(&name("diversion"), &a.diversion, &b.diversion, &changed);
        differ_only_by(&name("route"), &a.route, &b.route, &changed);
        differ_only_by(&name("desk"), &a.desk, &b.desk, &changed);
        differ_only_by(&name("hold"), &a.hold, &b.hold, &changed);
        differ_only_by(&name("share"), &a.share, &b.share, &changed);
        differ_only_by(&name("withhold"), &a.withhold, &b.withhold, &changed);
        differ_only_by(&name("basis"), &a.basis, &b.basis, &changed);
        // All of these match side by side, so rows are compared one by one.
        fn side_by_side<Outcome: PartialEq>(a: &Table<Outcome>, b: &Table<Outcome>, changed: &BTreeSet<String>) {
            for (row, other) in a.0.iter().map(|row| (row, b)).chain(b.0.iter().map(|row| (row, a))) {
                assert!(other.0.contains(row) || changed.contains(&row.reason.rule.0), "{}", row.reason.rule);
            }
        }
        side_by_side(&a.notify, &b.notify, &changed);
        side_by_side(&a.clock, &b.clock, &changed);
        side_by_side(&a.flag, &b.flag, &changed);
    }
}
