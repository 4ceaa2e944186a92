//! No element of a report disappears, and none says more than its officer did.

use std::collections::BTreeSet;

use prost::Message;
use prost_reflect::DynamicMessage;
use proto::read::{self, Invalid};
use referral::IdempotencyKey;

use super::*;
use crate::form::filling::{self, changes};

type Translate = fn(&[u8]) -> Translated;

/// Every form, by its name in the contract, with what translates it.
const FORMS: [(&str, Translate); 5] = [
    ("PublicProtectionNotice", |bytes| notice(decoded(bytes))),
    ("PoliceProtection", |bytes| police_protection(decoded(bytes))),
    ("MissingChild", |bytes| missing_child(decoded(bytes))),
    ("MissingChildReturn", |bytes| missing_child_return(decoded(bytes))),
    ("OperationEncompass", |bytes| operation_encompass(decoded(bytes))),
];

fn decoded<M: Message + Default>(bytes: &[u8]) -> M {
    M::decode(bytes).unwrap()
}

fn filled(name: &str, choice: usize) -> (DynamicMessage, Vec<String>) {
    filling::filled(&format!("safeguarding.police.v1.{name}"), choice)
}

fn read(content: &common::Submission) -> Result<referral::submission::Submission, Invalid> {
    let sender = Endpoint::parse("police.13").unwrap();
    read::submission(&sender, IdempotencyKey::from_bytes([1; 16]), "2026-11-23T10:00:00Z".parse().unwrap(), content)
}

#[test]
fn no_text_of_a_report_disappears() {
    for (name, translate) in FORMS {
        for choice in 0..3 {
            let (message, canaries) = filled(name, choice);
            let translated = translate(&message.encode_to_vec());
            assert_eq!(translated.faults, [], "{name}");
            // Below significant harm identifiers that are canaries would be refused: here all of them must come through.
            let content = common::Submission { level: Level::SignificantHarm as i32, ..translated.content };
            let submission = read(&content).unwrap_or_else(|Invalid(faults)| panic!("{name}: {faults:?}"));
            let bytes = proto::write::submission(&submission).encode_to_vec();
            let lost: Vec<&String> =
                canaries.iter().filter(|canary| !bytes.windows(canary.len()).any(|bytes| bytes == canary.as_bytes())).collect();
            assert!(canaries.len() > 70, "only {} texts were tried", canaries.len());
            assert!(lost.is_empty(), "{name} lost: {lost:#?}");
        }
    }
}

#[test]
fn no_tick_number_or_choice_of_a_report_disappears() {
    for (name, translate) in FORMS {
        for choice in [0, 2] {
            let (message, _) = filled(name, choice);
            let before = translate(&message.encode_to_vec());
            let mut changed = Vec::new();
            changes(&message, "form", &mut changed);
            assert!(changed.len() > 50, "only {} were tried", changed.len());
            let is_lost = |message: &DynamicMessage| {
                let after = translate(&message.encode_to_vec());
                after.content == before.content && after.faults == before.faults
            };
            let lost: BTreeSet<String> =
                changed.into_iter().filter(|(_, message)| is_lost(message)).map(|(path, _)| path).collect();
            // An address has four lines of its own, and what is protected among them is told by its category.
            assert!(lost.is_empty(), "{name} lost: {lost:#?}");
        }
    }
}

/// The least that can be sent.
fn report() -> form::Report {
    let statement = |text: &str| Some(form::Statement { text: text.to_owned(), ..form::Statement::default() });
    form::Report {
        incident: Some(form::Incident { number: "0001 of today".to_owned(), ..form::Incident::default() }),
        officer: Some(common::Practitioner { name: "PC Dunmore".to_owned(), ..common::Practitioner::default() }),
        marking: form::Marking::OfficialSensitive as i32,
        child: Some(form::Child { identity: Some(common::Identity::default()), ..form::Child::default() }),
        account: vec![form::AccountPart {
            topic: form::Topic::Circumstances as i32,
            statement: statement("Shouting was heard."),
            ..form::AccountPart::default()
        }],
        ..form::Report::default()
    }
}

fn notice_of(is_referral: bool, level: Level, purpose: &str) -> Translated {
    let report = Some(report());
    let (level, purpose) = (level as i32, purpose.to_owned());
    notice(form::PublicProtectionNotice { report, is_referral, level, purpose, ..form::PublicProtectionNotice::default() })
}

fn faults(translated: &Translated) -> Vec<&str> {
    translated.faults.iter().map(|fault| fault.field.as_str()).collect()
}

#[test]
fn a_notice_informs_unless_it_says_that_it_refers() {
    let informs = notice_of(false, Level::Unspecified, "For the school's and the council's picture of the family.");
    assert_eq!((faults(&informs), informs.content.level), (vec![], Level::Information as i32));
    let refers = notice_of(true, Level::InNeed, "");
    assert_eq!((faults(&refers), refers.content.level), (vec![], Level::InNeed as i32));
    assert!([informs, refers].iter().all(|translated| read(&translated.content).is_ok()));
}

#[test]
fn a_notice_at_significant_harm_is_a_referral_whatever_its_box_says() {
    for level in [Level::SignificantHarm, Level::ImmediateDanger] {
        let grave = notice_of(false, level, "");
        assert_eq!((faults(&grave), grave.content.level), (vec![], level as i32));
    }
}

#[test]
fn a_notice_that_contradicts_itself_or_does_not_say_what_for_goes_back() {
    assert_eq!(faults(&notice_of(false, Level::InNeed, "To inform.")), ["form.level"]);
    assert_eq!(faults(&notice_of(false, Level::Information, " ")), ["form.purpose"]);
}

#[test]
fn what_is_marked_above_official_sensitive_carries_the_flag_that_turns_it_back() {
    for marking in [form::Marking::Secret as i32, form::Marking::TopSecret as i32, 99] {
        let report = Some(form::Report { marking, ..report() });
        let level = Level::InNeed as i32;
        let marked = notice(form::PublicProtectionNotice { report, is_referral: true, level, ..Default::default() });
        assert!(marked.content.handling.contains(&(HandlingFlag::Secret as i32)), "{marking}");
    }
    let unmarked = Some(form::Report { marking: 0, ..report() });
    let unmarked = police_protection(form::PoliceProtection { report: unmarked, ..form::PoliceProtection::default() });
    assert_eq!(faults(&unmarked), ["form.taken_at", "form.report.marking"]);
}

fn graded(piece: form::Intelligence) -> (Vec<i32>, Vec<String>) {
    let report = form::Report { intelligence: vec![piece], ..report() };
    let level = Level::SignificantHarm as i32;
    let told = notice(form::PublicProtectionNotice { report: Some(report), level, ..Default::default() });
    let of_intelligence = |item: &&common::InformationItem| item.category == Category::PoliceIntelligence as i32;
    let handling = told.content.items.iter().find(of_intelligence).map(|item| item.handling.clone()).unwrap_or_default();
    (handling, told.faults.into_iter().map(|fault| fault.field).collect())
}

#[test]
fn intelligence_carries_its_code_and_the_conditions_that_can_be_obeyed() {
    let piece = |code: form::HandlingCode, conditions: &[form::HandlingCondition], other_condition: &str| form::Intelligence {
        statement: Some(form::Statement { text: "Seen with a van.".to_owned(), ..form::Statement::default() }),
        handling_code: code as i32,
        conditions: conditions.iter().map(|condition| *condition as i32).collect(),
        other_condition: other_condition.to_owned(),
        ..form::Intelligence::default()
    };
    let no_school = [form::HandlingCondition::NotForEducation];
    let (p, c, school) = (HandlingFlag::PoliceHandlingP, HandlingFlag::PoliceHandlingC, HandlingFlag::NotForEducation);
    let flags = |flags: &[HandlingFlag]| flags.iter().map(|flag| *flag as i32).collect::<Vec<_>>();
    assert_eq!(graded(piece(form::HandlingCode::P, &[], "")), (flags(&[p]), vec![]));
    assert_eq!(graded(piece(form::HandlingCode::C, &no_school, "")), (flags(&[c, school]), vec![]));
    // Conditions in words: with the bare code the rules withhold it until police have said it otherwise.
    assert_eq!(graded(piece(form::HandlingCode::C, &no_school, "Ask DS Farrow first.")), (flags(&[c]), vec![]));
    assert_eq!(graded(piece(form::HandlingCode::P, &[], "Ask DS Farrow first.")), (flags(&[c]), vec![]));
    let uncoded = graded(piece(form::HandlingCode::Unspecified, &[], ""));
    assert_eq!(uncoded, (vec![], vec!["form.report.intelligence[0].handling_code".to_owned()]));
}

#[test]
fn an_empty_report_is_refused_field_by_field_in_its_own_words() {
    let report = form::Report::default();
    let empty = notice(form::PublicProtectionNotice { report: Some(report), is_referral: true, ..Default::default() });
    let invalid = read(&empty.content).unwrap_err();
    let fields: BTreeSet<String> = empty.in_the_forms_words(invalid).0.into_iter().map(|fault| fault.field).collect();
    let expected = [
        "form.level",
        "form.report.account",
        "form.report.child",
        "form.report.incident",
        "form.report.marking",
        "form.report.officer",
    ];
    assert_eq!(fields, expected.map(str::to_owned).into());
}

#[test]
fn encompass_tells_the_school_that_the_child_goes_to() {
    let mut report = report();
    report.child.as_mut().unwrap().school_urn = "999001".to_owned();
    let next_school_day = "2026-11-24T08:00:00Z".to_owned();
    let told = operation_encompass(form::OperationEncompass { report: Some(report), next_school_day });
    assert_eq!(told.faults, []);
    let submission = read(&told.content).unwrap();
    assert_eq!(submission.child.circumstances.school.as_ref().map(Urn::as_str), Some("999001"));
    assert_eq!(submission.circumstances.next_school_day, "2026-11-24T08:00:00Z".parse().ok());
    assert!(submission.purpose.is_some());
}

#[test]
fn a_force_speaks_for_itself_only() {
    let sender = Endpoint::parse("police.13").unwrap();
    let may = |force: Option<&str>| {
        let incident = force.map(|force| form::Incident { force_code: force.to_owned(), ..form::Incident::default() });
        let report = Some(form::Report { incident, ..form::Report::default() });
        notice(form::PublicProtectionNotice { report, ..form::PublicProtectionNotice::default() }).may_come_from(&sender)
    };
    assert!(may(Some("13")) && !may(Some("46")));
    assert!(may(Some("")) && may(None));
}
