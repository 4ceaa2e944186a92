//! No element of the form disappears. The form is filled in by its own description, so that a field added
//! tomorrow is in these tests today.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_reflect::DynamicMessage;
use proto::read::{self, Invalid, Violation};
use proto::wire::common::v1::Level;
use referral::IdempotencyKey;

use super::*;
use crate::form::filling::{self, changes};

fn filled(choice: usize) -> (DynamicMessage, Vec<String>) {
    filling::filled("safeguarding.school.v1.ReferralForm", choice)
}

fn form_of(message: &DynamicMessage) -> form::ReferralForm {
    form::ReferralForm::decode(message.encode_to_vec().as_slice()).unwrap()
}

/// The submission as the core has it, written out again: whatever got lost on the way is not in it.
fn in_the_core(translated: &Translated) -> common::Submission {
    let sender = Endpoint::parse("school.999001").unwrap();
    let received = "2026-11-23T10:00:00Z".parse().unwrap();
    let read = read::submission(&sender, IdempotencyKey::from_bytes([1; 16]), received, &translated.content);
    let submission = read.unwrap_or_else(|Invalid(faults)| panic!("{faults:?}"));
    proto::write::submission(&submission)
}

type Translate = fn(&[u8]) -> Translated;

/// Every form, by its name in the contract, with what translates it.
const FORMS: [(&str, Translate); 4] = [
    ("ReferralForm", |bytes| referral(form::ReferralForm::decode(bytes).unwrap())),
    ("LowLevelConcernForm", |bytes| low_level_concern(form::LowLevelConcernForm::decode(bytes).unwrap())),
    ("AllegationForm", |bytes| allegation(form::AllegationForm::decode(bytes).unwrap())),
    ("FileTransferForm", |bytes| file_transfer(form::FileTransferForm::decode(bytes).unwrap())),
];

#[test]
fn no_text_of_a_form_disappears() {
    for (name, translate) in FORMS {
        for choice in 0..3 {
            let (message, canaries) = filling::filled(&format!("safeguarding.school.v1.{name}"), choice);
            let mut translated = translate(&message.encode_to_vec());
            assert_eq!(translated.faults, [], "{name}");
            // Below significant harm identifiers that are canaries would be refused: here all of them must come through.
            translated.content.level = Level::SignificantHarm as i32;
            let bytes = in_the_core(&translated).encode_to_vec();
            let lost: Vec<&String> =
                canaries.iter().filter(|canary| !bytes.windows(canary.len()).any(|bytes| bytes == canary.as_bytes())).collect();
            assert!(canaries.len() > 60, "{name}: only {} texts were tried", canaries.len());
            assert!(lost.is_empty(), "{name} lost: {lost:#?}");
        }
    }
}

#[test]
fn no_tick_number_or_choice_of_a_form_disappears() {
    for (name, translate) in FORMS {
        // The first choice of a date, and the third, which is a number.
        for choice in [0, 2] {
            let (message, _) = filling::filled(&format!("safeguarding.school.v1.{name}"), choice);
            let before = translate(&message.encode_to_vec()).content;
            let mut changed = Vec::new();
            changes(&message, "form", &mut changed);
            assert!(changed.len() > 15, "{name}: only {} were tried", changed.len());
            let without_effect: BTreeSet<String> = changed
                .into_iter()
                .filter(|(_, message)| translate(&message.encode_to_vec()).content == before)
                .map(|(path, _)| path)
                .collect();
            // A reason why it must stay from the family is a tick, ticked or not; and the head reads what comes back,
            // ticked or not.
            let is_said_twice =
                |path: &str| path.ends_with("confidentiality.from_family") || path == "form.accused_reads_what_comes_back";
            let lost: Vec<&String> = without_effect.iter().filter(|path| !is_said_twice(path)).collect();
            assert!(lost.is_empty(), "{name} lost: {lost:#?}");
        }
    }
}

#[test]
fn whoever_runs_the_school_or_its_safeguarding_reads_what_comes_back() {
    let reads = |position: form::Position, ticked: bool| {
        let accused = Some(form::StaffMember { position: position as i32, ..form::StaffMember::default() });
        let form = form::AllegationForm { accused, accused_reads_what_comes_back: ticked, ..form::AllegationForm::default() };
        allegation(form).content.circumstances.unwrap().accused_controls_feedback
    };
    for position in [form::Position::Head, form::Position::SafeguardingLead, form::Position::ProprietorOrGovernor] {
        assert!(reads(position, false), "{}", position.as_str_name());
    }
    assert!(!reads(form::Position::Staff, false));
    assert!(reads(form::Position::Staff, true));
    let of_low_level = |position: form::Position| {
        let subject = Some(form::StaffMember { position: position as i32, ..form::StaffMember::default() });
        let form = form::LowLevelConcernForm { subject, ..form::LowLevelConcernForm::default() };
        low_level_concern(form).content.circumstances.unwrap().accused_controls_feedback
    };
    assert!(of_low_level(form::Position::Head) && !of_low_level(form::Position::Staff));
}

#[test]
fn a_file_goes_to_the_next_school_and_a_referral_names_the_childs_own() {
    let pupil = || Some(form::Pupil { identity: Some(common::Identity::default()), ..form::Pupil::default() });
    let school = || Some(form::School { urn: "999001".to_owned(), ..form::School::default() });
    let urn = |translated: Translated| translated.content.child.unwrap().circumstances.unwrap().school_urn;
    let new_school_urn = "999002".to_owned();
    let file = form::FileTransferForm { school: school(), pupil: pupil(), new_school_urn, ..form::FileTransferForm::default() };
    assert_eq!(urn(file_transfer(file)), "999002");
    let at_school = form::ReferralForm { school: school(), pupil: pupil(), ..form::ReferralForm::default() };
    assert_eq!(urn(referral(at_school)), "999001");
    let home_educated = form::YesNo::Yes as i32;
    let at_home = Some(form::Pupil { home_educated, ..pupil().unwrap() });
    let at_home = form::ReferralForm { school: school(), pupil: at_home, ..form::ReferralForm::default() };
    let said = referral(at_home).content.child.unwrap().circumstances.unwrap();
    assert_eq!((said.home_educated, said.school_urn.as_str()), (true, ""));
}

#[test]
fn agreement_by_somebody_without_standing_is_no_agreement() {
    let agreement = |standing: form::Standing| {
        let agreement = Agreement::Given as i32;
        super::agreement(&form::Consent { agreement, standing: standing as i32, ..form::Consent::default() })
    };
    assert_eq!(agreement(form::Standing::None), Agreement::GivenWithoutStanding as i32);
    assert_eq!(agreement(form::Standing::CompetentChild), Agreement::Given as i32);
    assert_eq!(agreement(form::Standing::Unspecified), Agreement::Given as i32);
}

#[test]
fn what_must_stay_from_the_family_is_marked_so_wherever_it_stands() {
    let (message, _) = filled(0);
    let translated = referral(form_of(&message));
    let not_for_family = |item: &&common::InformationItem| item.handling.contains(&(HandlingFlag::NotForFamily as i32));
    let marked = translated.content.items.iter().filter(not_for_family).count();
    // Each statement with who told it and why, the document with why, and why the parents must not be told.
    let statements = translated
        .content
        .items
        .iter()
        .filter(|item| matches!(&item.body, Some(common::information_item::Body::Text(_))))
        .count();
    assert_eq!(marked, statements + 3);
}

#[test]
fn an_empty_form_is_refused_field_by_field_in_its_own_words() {
    let translated = referral(form::ReferralForm::default());
    let sender = Endpoint::parse("school.999001").unwrap();
    let received = "2026-11-23T10:00:00Z".parse().unwrap();
    let invalid = read::submission(&sender, IdempotencyKey::from_bytes([1; 16]), received, &translated.content).unwrap_err();
    let fields: BTreeSet<String> =
        translated.in_the_forms_words(invalid).0.into_iter().map(|violation| violation.field).collect();
    let expected = [
        "form.account",
        "form.consent",
        "form.harm",
        "form.level",
        "form.pupil",
        "form.school",
        "form.school.designated_safeguarding_lead",
    ];
    assert_eq!(fields, expected.map(str::to_owned).into());
}

#[test]
fn what_stands_beside_the_form_keeps_its_name_and_nothing_is_said_twice() {
    let translated = referral(form::ReferralForm::default());
    let violation = |field: &str| Violation { field: field.to_owned(), rule: "required", because: "is missing".to_owned() };
    let told = translated
        .in_the_forms_words(Invalid(vec![violation("idempotency_key"), violation("content"), violation("content.child")]))
        .0;
    let fields: Vec<&str> = told.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["form.school", "form.pupil", "form.consent", "form.account", "idempotency_key", "form"]);
}

#[test]
fn a_wrong_field_is_named_as_the_form_names_it() {
    let (message, _) = filled(0);
    let mut form = form_of(&message);
    form.level = Level::InNeed as i32;
    // Told apart by nothing but an identifier, so a wrong one is refused.
    form.pupil.as_mut().unwrap().identity.as_mut().unwrap().family_name.clear();
    form.further_pupils[0].places.as_mut().unwrap().home = "Leeds".to_owned();
    form.documents[0].attachment.as_mut().unwrap().sha256 = Vec::new();
    form.account[0].statement.as_mut().unwrap().text = "a".repeat(70 * 1024);
    let translated = referral(form);
    let sender = Endpoint::parse("school.999001").unwrap();
    let received = "2026-11-23T10:00:00Z".parse().unwrap();
    let invalid = read::submission(&sender, IdempotencyKey::from_bytes([1; 16]), received, &translated.content).unwrap_err();
    let fields: BTreeSet<String> =
        translated.in_the_forms_words(invalid).0.into_iter().map(|violation| violation.field).collect();
    for expected in [
        "form.pupil.identity.nhs_number",
        "form.pupil.identity.upn",
        "form.pupil.address.postcode",
        "form.further_pupils[0].places.home",
        "form.documents[0]",
        "form.account[0].statement",
    ] {
        assert!(fields.contains(expected), "{expected} is not among {fields:#?}");
    }
    assert!(fields.iter().all(|field| !field.contains("content")), "{fields:#?}");
}

#[test]
fn the_short_form_says_what_the_whole_form_would() {
    let (message, _) = filled(0);
    let whole = form_of(&message);
    let short = form::ConcernForm {
        school: whole.school,
        pupil: whole.pupil,
        worry: whole.account[0].statement.clone(),
        when: "when canary".to_owned(),
        r#where: "where canary".to_owned(),
        views_of_child: whole.views_of_child,
        level: whole.level,
        harm: whole.harm,
        consent: whole.consent,
        referrer: whole.referrer,
    };
    let translated = concern(short);
    assert_eq!(translated.faults, []);
    let says = |item: &&common::InformationItem| match &item.body {
        Some(common::information_item::Body::Text(text)) => text.starts_with("When: when canary\nWhere: where canary\ncanary"),
        Some(_) | None => false,
    };
    let worry = translated.content.items.iter().find(says).unwrap();
    assert_eq!(worry.category, Category::ConcernNarrative as i32);
    let nothing = concern(form::ConcernForm::default());
    let fields: Vec<&str> = nothing.faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["form.school", "form.pupil", "form.worry.text"]);
}

#[test]
fn a_school_speaks_for_itself_only() {
    let sender = Endpoint::parse("school.999001").unwrap();
    let may = |urn: Option<&str>| {
        let school = urn.map(|urn| form::School { urn: urn.to_owned(), ..form::School::default() });
        let allegation = form::AllegationForm { school: school.clone(), ..form::AllegationForm::default() };
        let short = form::ConcernForm { school, ..form::ConcernForm::default() };
        [super::allegation(allegation), concern(short)].map(|translated| translated.may_come_from(&sender))
    };
    assert_eq!(may(Some("999001")), [true; 2]);
    assert_eq!(may(Some("999002")), [false; 2]);
    // What names no school at all is told so with everything else that is wrong.
    assert_eq!(may(Some("the school")), [true; 2]);
    assert_eq!(may(None), [true; 2]);
}

#[test]
fn a_reason_written_down_is_a_reason() {
    let consent = |agreement: Agreement, why_not: &str| {
        super::agreement(&form::Consent { agreement: agreement as i32, why_not: why_not.to_owned(), ..form::Consent::default() })
    };
    assert_eq!(consent(Agreement::NotSoughtNoReason, "the police asked us to wait"), Agreement::NotSoughtWithReason as i32);
    assert_eq!(consent(Agreement::NotSoughtWithReason, " "), Agreement::NotSoughtNoReason as i32);
    assert_eq!(consent(Agreement::Refused, "they are afraid"), Agreement::Refused as i32);
    assert_eq!(consent(Agreement::Unspecified, ""), Agreement::NotStated as i32);
}

#[test]
fn a_council_may_be_named_by_its_code() {
    assert_eq!(addressed_to("E08000035"), "la.E08000035.front-door");
    assert_eq!(addressed_to("la.E08000035.edt"), "la.E08000035.edt");
    assert_eq!(addressed_to(""), "");
}
