//! No element of a health body's form disappears, and fact stays apart from opinion.

use std::collections::BTreeSet;

use prost::Message;
use prost_reflect::DynamicMessage;
use proto::read::{self, Invalid};
use referral::IdempotencyKey;
use referral::submission::Submission;
use referral::vocab::{self, Vocabulary};

use super::*;
use crate::form::filling::{self, changes};

type Translate = fn(&[u8]) -> Translated;

/// Every form, by its name in the contract, with what translates it and how many texts and ticks it has at least.
const FORMS: [(&str, Translate, usize, usize); 3] = [
    ("SafeguardingReferral", |bytes| referral(decoded(bytes)), 100, 50),
    ("FgmReport", |bytes| fgm(decoded(bytes)), 100, 50),
    ("UnscheduledAttendance", |bytes| unscheduled_attendance(decoded(bytes)), 15, 2),
];

fn decoded<M: Message + Default>(bytes: &[u8]) -> M {
    M::decode(bytes).unwrap()
}

fn filled(name: &str, choice: usize) -> (DynamicMessage, Vec<String>) {
    filling::filled(&format!("safeguarding.health.v1.{name}"), choice)
}

fn read(content: &common::Submission) -> Result<Submission, Invalid> {
    let sender = Endpoint::parse("nhs.ZZ304").unwrap();
    read::submission(&sender, IdempotencyKey::from_bytes([1; 16]), "2026-11-23T10:00:00Z".parse().unwrap(), content)
}

#[test]
fn no_text_of_a_form_disappears() {
    for (name, translate, texts_min, _) in FORMS {
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
            assert!(canaries.len() > texts_min, "only {} texts of {name} were tried", canaries.len());
            assert!(lost.is_empty(), "{name} lost: {lost:#?}");
        }
    }
}

#[test]
fn no_tick_number_or_choice_of_a_form_disappears() {
    for (name, translate, _, ticks_min) in FORMS {
        for choice in [0, 2] {
            let (message, _) = filled(name, choice);
            let before = translate(&message.encode_to_vec());
            let mut changed = Vec::new();
            changes(&message, "form", &mut changed);
            assert!(changed.len() > ticks_min, "only {} of {name} were tried", changed.len());
            let is_lost = |message: &DynamicMessage| {
                let after = translate(&message.encode_to_vec());
                after.content == before.content && after.faults == before.faults
            };
            let lost: BTreeSet<String> = changed
                .into_iter()
                .filter(|(_, message)| is_lost(message))
                .map(|(path, _)| path)
                // A reason why it must stay from the family is a tick, ticked or not.
                .filter(|path| !path.ends_with(".not_for_family") || path.contains("documents"))
                // The first two conditions follow from the filled form itself; the test below has a third.
                .filter(|path| path != "form.report.handling")
                .collect();
            assert!(lost.is_empty(), "{name} lost: {lost:#?}");
        }
    }
}

fn person(name: &str) -> Option<common::Practitioner> {
    Some(common::Practitioner { name: name.to_owned(), ..common::Practitioner::default() })
}

fn organisation(ods_code: &str) -> Option<form::Organisation> {
    Some(form::Organisation { ods_code: ods_code.to_owned(), ..form::Organisation::default() })
}

fn part(topic: form::Topic, standing: form::Standing, text: &str) -> form::AccountPart {
    form::AccountPart {
        topic: topic as i32,
        standing: standing as i32,
        statement: Some(form::Statement { text: text.to_owned(), ..form::Statement::default() }),
        ..form::AccountPart::default()
    }
}

/// The least that can be sent.
fn report() -> form::Report {
    form::Report {
        organisation: organisation("ZZ304"),
        referrer: person("Dr Ines Carrow"),
        child: Some(form::Child { identity: Some(common::Identity::default()), ..form::Child::default() }),
        account: vec![part(form::Topic::ChildHealth, form::Standing::Fact, "A bruise of 3 cm on the left cheek.")],
        ..form::Report::default()
    }
}

fn faults(translated: &Translated) -> Vec<&str> {
    translated.faults.iter().map(|fault| fault.field.as_str()).collect()
}

fn texts(translated: &Translated) -> Vec<String> {
    let text = |item: &common::InformationItem| match &item.body {
        Some(common::information_item::Body::Text(text)) => Some(text.clone()),
        Some(_) | None => None,
    };
    translated.content.items.iter().filter_map(text).collect()
}

#[test]
fn what_was_found_is_told_apart_from_what_is_thought_of_it() {
    let mut report = report();
    report.account.push(form::AccountPart {
        by: "Dr Ines Carrow, paediatrician".to_owned(),
        ..part(form::Topic::ChildHealth, form::Standing::Opinion, "A fall does not explain it.")
    });
    let level = Level::SignificantHarm as i32;
    let told = referral(form::SafeguardingReferral { report: Some(report.clone()), level, ..Default::default() });
    let expected =
        ["Fact: A bruise of 3 cm on the left cheek.", "Opinion, by Dr Ines Carrow, paediatrician: A fall does not explain it."];
    assert_eq!((faults(&told), texts(&told)), (vec![], expected.map(str::to_owned).to_vec()));
    report.account[0].standing = 0;
    let mixed = referral(form::SafeguardingReferral { report: Some(report), level, ..Default::default() });
    assert_eq!(faults(&mixed), ["form.report.account[0].standing"]);
}

#[test]
fn an_unborn_child_is_known_by_its_mother_and_the_expected_date() {
    let unborn = |mother: &str, level: Level| {
        let age = Some(common::identity::Age::ExpectedDeliveryDate("2027-03-01".to_owned()));
        let identity = Some(common::Identity { age, mother_nhs_number: mother.to_owned(), ..common::Identity::default() });
        let report = form::Report { child: Some(form::Child { identity, ..form::Child::default() }), ..report() };
        referral(form::SafeguardingReferral { report: Some(report), level: level as i32, ..Default::default() })
    };
    let known = unborn("9990000026", Level::InNeed);
    assert_eq!(faults(&known), [""; 0]);
    assert!(read(&known.content).unwrap().child.identity.mother_nhs_number.is_some());
    assert_eq!(faults(&unborn("", Level::InNeed)), ["form.report.child.identity.mother_nhs_number"]);
    // At significant harm nothing that is missing stops it (ID-04).
    assert_eq!(faults(&unborn("", Level::SignificantHarm)), [""; 0]);
}

#[test]
fn a_condition_on_the_whole_stands_beside_those_that_follow_from_the_form() {
    let mut report = report();
    report.child.as_mut().unwrap().record_is_sensitive = true;
    report.handling = vec![HandlingFlag::NotForEducation as i32];
    let told = referral(form::SafeguardingReferral { report: Some(report), level: Level::InNeed as i32, ..Default::default() });
    assert_eq!(told.content.handling, [HandlingFlag::PdsSensitive as i32, HandlingFlag::NotForEducation as i32]);
}

#[test]
fn a_number_goes_with_what_tracing_it_found() {
    let mut report = report();
    report.child.as_mut().unwrap().trace = common::TraceResult::Mismatch as i32;
    let told = referral(form::SafeguardingReferral { report: Some(report), level: Level::InNeed as i32, ..Default::default() });
    assert_eq!(read(&told.content).unwrap().child.circumstances.trace, Some(vocab::TraceResult::Mismatch));
}

fn fgm_of(finding: form::FgmFinding, profession: form::Profession, police_reference: &str) -> Translated {
    fgm(form::FgmReport {
        report: Some(report()),
        profession: profession as i32,
        finding: finding as i32,
        discovered_at: "2026-11-22T15:00:00Z".to_owned(),
        police_reference: police_reference.to_owned(),
        level: 0,
    })
}

#[test]
fn a_duty_that_is_ones_own_is_not_done_by_this_form() {
    use form::{FgmFinding, Profession};
    for finding in [FgmFinding::ToldByGirl, FgmFinding::SignsSeen] {
        assert_eq!(faults(&fgm_of(finding, Profession::Midwife, "")), ["form.police_reference"]);
        assert_eq!(faults(&fgm_of(finding, Profession::Midwife, "101 call 17")), [""; 0]);
        assert_eq!(faults(&fgm_of(finding, Profession::NotRegulated, "")), [""; 0]);
    }
    for finding in [FgmFinding::ToldByOthers, FgmFinding::AtRisk] {
        assert_eq!(faults(&fgm_of(finding, Profession::Doctor, "")), [""; 0]);
    }
}

#[test]
fn what_is_known_is_told_apart_from_what_is_feared() {
    use form::{FgmFinding, Profession};
    let harm = |finding| read(&fgm_of(finding, Profession::Nurse, "101 call 17").content).unwrap().harm;
    assert_eq!(harm(FgmFinding::SignsSeen), vocab::HarmType::FgmKnown);
    assert_eq!(harm(FgmFinding::ToldByOthers), vocab::HarmType::FgmReportedByThirdParty);
    assert_eq!(harm(FgmFinding::AtRisk), vocab::HarmType::FgmRisk);
    let read = read(&fgm_of(FgmFinding::ToldByGirl, Profession::Nurse, "101 call 17").content).unwrap();
    assert!(read.purpose.is_some(), "also a report that only informs says what for");
    assert_eq!((read.level, read.circumstances.reporter), (vocab::Level::SignificantHarm, Some(vocab::Reporter::Regulated)));
    assert_eq!(read.circumstances.happened, "2026-11-22T15:00:00Z".parse().ok());
}

fn attendance(status: form::PlanStatus, authority: &str) -> Translated {
    unscheduled_attendance(form::UnscheduledAttendance {
        organisation: organisation("ZZ304"),
        referrer: person("Sister Orla Finch"),
        identity: Some(common::Identity { nhs_number: "9990000026".to_owned(), ..common::Identity::default() }),
        register: Some(form::RegisterStatus {
            status: status as i32,
            authority: authority.to_owned(),
            ..form::RegisterStatus::default()
        }),
        care: form::Care::EmergencyDepartment as i32,
        attended_at: "2026-10-10T23:30:00+01:00".to_owned(),
        ..form::UnscheduledAttendance::default()
    })
}

#[test]
fn an_attendance_tells_whoever_holds_the_plan_and_nothing_clinical() {
    let told = attendance(form::PlanStatus::ChildProtectionPlan, "E08000032");
    assert_eq!(faults(&told), [""; 0]);
    let read = read(&told.content).unwrap();
    assert_eq!(read.child.places.plan_holder.as_ref().map(ToString::to_string).as_deref(), Some("E08000032"));
    let categories: BTreeSet<&str> = read.items.iter().map(|item| item.category.as_str()).collect();
    assert_eq!(categories, ["attendance_event", "referrer_identity"].into());
    let looked_after = attendance(form::PlanStatus::LookedAfter, "E08000032");
    assert!(self::read(&looked_after.content).unwrap().child.circumstances.looked_after);
}

#[test]
fn a_child_whom_the_register_does_not_know_is_notified_to_nobody() {
    for status in [form::PlanStatus::None, form::PlanStatus::NotChecked, form::PlanStatus::Unspecified] {
        assert_eq!(faults(&attendance(status, "")), ["form.register.status"]);
    }
    assert_eq!(faults(&attendance(form::PlanStatus::UnbornPlan, "")), ["form.register.authority"]);
}

#[test]
fn an_empty_form_is_refused_field_by_field_in_its_own_words() {
    let fields = |translated: Translated| {
        let invalid = read(&translated.content).err().unwrap_or(Invalid(Vec::new()));
        translated.in_the_forms_words(invalid).0.into_iter().map(|fault| fault.field).collect::<BTreeSet<String>>()
    };
    let empty = Some(form::Report::default());
    let expected = ["form.level", "form.report.account", "form.report.child", "form.report.organisation", "form.report.referrer"];
    let told = fields(referral(form::SafeguardingReferral { report: empty.clone(), ..Default::default() }));
    assert_eq!(told, expected.map(str::to_owned).into());
    let told = fields(fgm(form::FgmReport { report: empty, ..Default::default() }));
    assert!(["form.profession", "form.finding", "form.discovered_at"].iter().all(|field| told.contains(*field)), "{told:#?}");
    let told = fields(unscheduled_attendance(form::UnscheduledAttendance::default()));
    let expected = ["form.attended_at", "form.care", "form.identity", "form.organisation", "form.referrer", "form.register"];
    assert!(expected.iter().all(|field| told.contains(*field)), "{told:#?}");
    assert!(told.iter().all(|field| field.starts_with("form")), "{told:#?}");
}

#[test]
fn a_health_body_speaks_for_itself_only() {
    let sender = Endpoint::parse("nhs.ZZ304").unwrap();
    let may = |organisation: Option<form::Organisation>| {
        let report = Some(form::Report { organisation: organisation.clone(), ..form::Report::default() });
        let attendance = form::UnscheduledAttendance { organisation, ..form::UnscheduledAttendance::default() };
        let translated = [fgm(form::FgmReport { report, ..Default::default() }), unscheduled_attendance(attendance)];
        translated.map(|translated| translated.may_come_from(&sender))
    };
    assert_eq!(may(organisation("ZZ304")), [true; 2]);
    assert_eq!(may(organisation("RR8")), [false; 2]);
    // What names no body at all is told so with everything else that is wrong.
    assert_eq!(may(organisation("the hospital!")), [true; 2]);
    assert_eq!(may(None), [true; 2]);
}
