//! What is wrong is named: every field at once, the rule behind it, and never a value.

use prost::Message as _;
use proto::read::{self, Invalid, Unreadable};
use proto::wire::common::v1 as wire;
use proto::wire::common::v1::{Category, Level};
use proto::wire::events::v1 as events;
use referral::submission::{Checked, Submission};
use referral::{Endpoint, IdempotencyKey, vocab};

const CANARY: &str = "Zebedee Canary";

fn good() -> wire::Submission {
    wire::Submission {
        kind: wire::EventKind::Referral as i32,
        level: Level::InNeed as i32,
        harm: wire::HarmType::Neglect as i32,
        harm_place: wire::HarmPlace::Home as i32,
        child: Some(wire::Child {
            identity: Some(wire::Identity {
                family_name: CANARY.to_owned(),
                age: Some(wire::identity::Age::DateOfBirth("2015-02-03".to_owned())),
                ..wire::Identity::default()
            }),
            address: Some(wire::Address { lines: CANARY.to_owned(), ..wire::Address::default() }),
            places: Some(wire::Places { home: "E08000035".to_owned(), ..wire::Places::default() }),
            circumstances: None,
        }),
        agreement: wire::Agreement::Given as i32,
        duty_decision: wire::DutyDecision::NotRecorded as i32,
        referrer: Some(wire::Practitioner { name: "Dora Lead".to_owned(), ..wire::Practitioner::default() }),
        items: vec![text(CANARY)],
        ..wire::Submission::default()
    }
}

fn text(text: &str) -> wire::InformationItem {
    wire::InformationItem {
        category: Category::ConcernNarrative as i32,
        subject: wire::Subject::Child as i32,
        knowledge: wire::Knowledge::Direct as i32,
        body: Some(wire::information_item::Body::Text(text.to_owned())),
        ..wire::InformationItem::default()
    }
}

fn read(content: &wire::Submission) -> Result<Submission, Invalid> {
    let sender = Endpoint::parse("school.999001").unwrap();
    let received = "2026-11-23T10:00:00Z".parse().unwrap();
    read::submission(&sender, IdempotencyKey::from_bytes([1; 16]), received, content)
}

/// What is refused when `change` was made: each field and its rule.
#[track_caller]
fn check(change: impl FnOnce(&mut wire::Submission), expected: &[(&str, &str)]) {
    let mut content = good();
    change(&mut content);
    let violations = read(&content).map(|_| ()).err().map(|invalid| invalid.0).unwrap_or_default();
    let told = format!("{violations:?}");
    assert!(!told.contains("Canary") && !told.contains(CANARY), "a value was repeated: {told}");
    let named: Vec<(&str, &str)> = violations.iter().map(|violation| (violation.field.as_str(), violation.rule)).collect();
    assert_eq!(named, expected);
}

fn identity(content: &mut wire::Submission) -> &mut wire::Identity {
    content.child.as_mut().unwrap().identity.as_mut().unwrap()
}

fn address(content: &mut wire::Submission) -> &mut wire::Address {
    content.child.as_mut().unwrap().address.as_mut().unwrap()
}

#[test]
fn a_good_submission_is_read() {
    check(|_| (), &[]);
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    check(
        |content| *content = wire::Submission::default(),
        &[
            ("content.kind", "required"),
            ("content.level", "required"),
            ("content.harm", "required"),
            ("content.harm_place", "required"),
            ("content.agreement", "required"),
            ("content.duty_decision", "required"),
            ("content.child", "required"),
            ("content.referrer", "required"),
        ],
    );
}

#[test]
fn a_word_that_is_not_known_is_refused() {
    check(|content| content.level = 99, &[("content.level", "vocabulary")]);
    check(|content| content.handling = vec![1, 99], &[("content.handling[1]", "vocabulary")]);
    check(|content| content.items[0].subject = -1, &[("content.items[0].subject", "vocabulary")]);
}

#[test]
fn a_category_that_is_not_known_is_carried_and_named_unknown() {
    let mut content = good();
    content.items[0].category = 999;
    assert_eq!(read(&content).unwrap().items[0].category, vocab::Category::Unknown);
    check(|content| content.items[0].category = 0, &[("content.items[0].category", "required")]);
}

#[test]
fn a_wrong_identifier_is_refused_below_significant_harm_where_nothing_else_tells_the_child_apart() {
    let alone = |wrong: fn(&mut wire::Identity), faults: &[(&str, &str)]| {
        check(
            |content| {
                identity(content).family_name.clear();
                wrong(identity(content));
            },
            faults,
        );
    };
    alone(|identity| identity.nhs_number = "9990000027".to_owned(), &[("content.child.identity.nhs_number", "ID-01")]);
    alone(|identity| identity.upn = CANARY.to_owned(), &[("content.child.identity.upn", "ID-02")]);
    alone(|identity| identity.mother_nhs_number = CANARY.to_owned(), &[("content.child.identity.mother_nhs_number", "ID-01")]);
    let mut content = good();
    identity(&mut content).upn = CANARY.to_owned();
    let child = read(&content).expect("a name and an age tell the child apart").child;
    assert!(matches!(child.identity.upn, Some(Checked::Invalid(..))));
    check(|content| address(content).postcode = CANARY.to_owned(), &[("content.child.address.postcode", "ID-04")]);
    check(|content| address(content).uprn = CANARY.to_owned(), &[("content.child.address.uprn", "ID-04")]);
}

#[test]
fn a_wrong_identifier_never_stops_a_referral_at_significant_harm() {
    for level in [Level::SignificantHarm, Level::ImmediateDanger] {
        let mut content = good();
        content.level = level as i32;
        identity(&mut content).nhs_number = "9990000027".to_owned();
        address(&mut content).postcode = "not a postcode".to_owned();
        let submission = read(&content).unwrap();
        assert!(matches!(submission.child.identity.nhs_number, Some(Checked::Invalid(..))));
        let address = submission.child.address.unwrap();
        assert_eq!(address.postcode, None);
        // Nothing is lost: a person reads it among the lines.
        assert!(address.lines.open().ends_with("not a postcode"));
    }
}

#[test]
fn a_place_is_never_guessed() {
    for level in [Level::InNeed, Level::ImmediateDanger] {
        let change = |content: &mut wire::Submission| {
            content.level = level as i32;
            content.child.as_mut().unwrap().places.as_mut().unwrap().home = "Leeds".to_owned();
        };
        check(change, &[("content.child.places.home", "form")]);
    }
}

#[test]
fn nobody_is_born_tomorrow() {
    let born = |date: &str| Some(wire::identity::Age::DateOfBirth(date.to_owned()));
    check(|content| identity(content).age = born("2026-11-23"), &[]);
    check(|content| identity(content).age = born("2026-11-24"), &[("content.child.identity.date_of_birth", "RA-14")]);
    check(|content| identity(content).age = born("23/11/2015"), &[("content.child.identity.date_of_birth", "form")]);
    check(|content| identity(content).age = born("2015-02-29"), &[("content.child.identity.date_of_birth", "form")]);
    let expected = wire::identity::Age::ExpectedDeliveryDate("2027-05-01".to_owned());
    check(|content| identity(content).age = Some(expected), &[]);
    check(
        |content| identity(content).age = Some(wire::identity::Age::AboutYears(300)),
        &[("content.child.identity.about_years", "limit")],
    );
}

#[test]
fn every_list_and_text_has_a_limit() {
    check(|content| content.items = vec![text("a"); 201], &[("content.items", "limit")]);
    check(|content| content.further_children = vec![wire::Child::default(); 20], &[("content.further_children", "limit")]);
    check(|content| content.handling = vec![1; 33], &[("content.handling", "limit")]);
    check(|content| content.items = vec![text(&"a".repeat(65 * 1024))], &[("content.items[0].text", "limit")]);
    check(|content| content.items = vec![text(&"a".repeat(60 * 1024)); 5], &[("content", "limit")]);
    let fields = wire::Fields { fields: vec![wire::Field { name: "a".to_owned(), value: String::new() }; 65] };
    let change = |content: &mut wire::Submission| content.items[0].body = Some(wire::information_item::Body::Fields(fields));
    check(change, &[("content.items[0].fields.fields", "limit")]);
}

#[test]
fn the_name_of_a_field_is_never_a_value() {
    for name in [CANARY, "", "9lives", "Name", "name-of", &"a".repeat(65)] {
        let fields = wire::Fields { fields: vec![wire::Field { name: name.to_owned(), value: String::new() }] };
        let change = |content: &mut wire::Submission| content.items[0].body = Some(wire::information_item::Body::Fields(fields));
        check(change, &[("content.items[0].fields.fields[0].name", "form")]);
    }
}

#[test]
fn an_attachment_says_where_it_is_what_it_is_and_its_digest() {
    let attachment = wire::Attachment { reference: String::new(), media_type: CANARY.to_owned(), sha256: vec![1; 31] };
    check(
        |content| content.items[0].body = Some(wire::information_item::Body::Attachment(attachment)),
        &[
            ("content.items[0].attachment.reference", "required"),
            ("content.items[0].attachment.media_type", "form"),
            ("content.items[0].attachment.sha256", "form"),
        ],
    );
}

#[test]
fn an_item_is_about_a_child_of_its_own_submission() {
    check(|content| content.items[0].about_child = Some(0), &[]);
    check(|content| content.items[0].about_child = Some(1), &[("content.items[0].about_child", "RA-27")]);
}

#[test]
fn a_key_of_zeros_was_not_chosen() {
    let sender = Endpoint::parse("school.999001").unwrap();
    let submitted = |key: &str| {
        let event = events::Submitted { idempotency_key: key.to_owned(), content: Some(good()) };
        read::submitted(&sender, "2026-11-23T10:00:00Z".parse().unwrap(), &event)
            .map(|_| ())
            .map_err(|invalid| invalid.0[0].field.clone())
    };
    assert_eq!(submitted("6f1c0c1e-58a4-4f5a-9b3b-1f4f0e6a7d11"), Ok(()));
    for key in ["", "00000000-0000-0000-0000-000000000000", CANARY] {
        assert_eq!(submitted(key), Err("idempotency_key".to_owned()));
    }
}

#[test]
fn a_person_who_answers_has_a_role() {
    let front_door = Endpoint::parse("la.E08000035.front-door").unwrap();
    let answer = |says: events::answered::Says| events::Answered {
        referral_id: "6f1c0c1e-58a4-4f5a-9b3b-1f4f0e6a7d11".to_owned(),
        delivery_id: "6f1c0c1e-58a4-4f5a-9b3b-1f4f0e6a7d11".to_owned(),
        digest: vec![1; 32],
        by: Some(wire::Practitioner { name: "Priya Shah".to_owned(), ..wire::Practitioner::default() }),
        says: Some(says),
    };
    let read = |says| read::answered(&front_door, &answer(says)).map(|_| ()).map_err(|invalid| invalid.0[0].field.clone());
    assert_eq!(read(events::answered::Says::Collected(events::Collected {})), Ok(()));
    assert_eq!(read(events::answered::Says::Acknowledged(events::Acknowledged {})), Err("by.role".to_owned()));
    let decided = events::Decided { outcome: wire::Outcome::S17Assessment as i32, reason: "because".to_owned() };
    assert_eq!(read(events::answered::Says::Decided(decided)), Err("by.role".to_owned()));
}

fn intake(change: impl FnOnce(&mut events::Intake)) -> Result<(), Unreadable> {
    let key = "6f1c0c1e-58a4-4f5a-9b3b-1f4f0e6a7d11";
    let event = events::Submitted { idempotency_key: key.to_owned(), content: Some(good()) };
    let event = events::Event { event: Some(events::event::Event::Submitted(event)) };
    let sender = Endpoint::parse("school.999001").unwrap();
    let mut intake = events::Intake {
        sender: sender.to_string(),
        referral_id: referral::ReferralId::of(&sender, IdempotencyKey::parse(key).unwrap()).to_string(),
        received: Some(prost_types::Timestamp { seconds: 1_790_000_000, nanos: 0 }),
        traceparent: String::new(),
        body: Some(events::intake::Body::Plain(event.encode_to_vec())),
    };
    change(&mut intake);
    read::arrival(&intake.encode_to_vec()).map(|_| ())
}

#[test]
fn what_cannot_be_read_off_the_intake_says_why_in_a_word() {
    let sealed = events::intake::Body::Sealed(wire::SealedBody::default());
    assert_eq!(intake(|_| ()), Ok(()));
    assert_eq!(intake(|intake| intake.body = None), Err(Unreadable::NoEvent));
    assert_eq!(intake(|intake| intake.body = Some(events::intake::Body::Plain(Vec::new()))), Err(Unreadable::NoEvent));
    assert_eq!(intake(|intake| intake.body = Some(sealed)), Err(Unreadable::Sealed));
    assert_eq!(intake(|intake| intake.body = Some(events::intake::Body::Plain(vec![0xff; 9]))), Err(Unreadable::NotProtobuf));
    assert_eq!(intake(|intake| intake.sender = "service.router".to_owned()), Err(Unreadable::Unlabelled));
    assert_eq!(intake(|intake| intake.received = None), Err(Unreadable::Unlabelled));
    assert_eq!(
        intake(|intake| intake.received = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: -1 })),
        Err(Unreadable::Unlabelled)
    );
    let another = "6f1c0c1e-58a4-4f5a-9b3b-1f4f0e6a7d11";
    assert_eq!(intake(|intake| intake.referral_id = another.to_owned()), Err(Unreadable::Mislabelled));
    assert_eq!(intake(|intake| intake.sender = "school.999002".to_owned()), Err(Unreadable::Mislabelled));
    assert_eq!(read::arrival(&vec![0; 300 * 1024]), Err(Unreadable::TooLarge));
    assert_eq!(read::arrival(b"any text at all"), Err(Unreadable::NotProtobuf));
}
