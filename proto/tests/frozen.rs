//! Messages that were written once and must be read for ever.
//!
//! `frozen/arrivals` holds one message of every kind that lay on the intake; each is read into what it meant.
//! `frozen/0.1.txt` holds every message of that release with every field filled in, one line each; each is
//! decoded, has no field that is not known any more, and is written again byte for byte.
//!
//! For a new release, or a new kind of arrival, write what is missing: `FREEZE=1 cargo test -p proto --test
//! frozen`. What is there already is never written over.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use jiff::civil::date;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use proto::{read, write};
use referral::identifiers::{GssCode, NhsNumber, Postcode, Upn};
use referral::submission::*;
use referral::vocab::*;
use referral::{DeliveryId, Digest, Endpoint, IdempotencyKey, Moment, ReferralId, Sealed};

/// The release whose messages are written next.
const RELEASE: &str = "0.1";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("frozen")
}

fn received() -> Moment {
    "2026-11-23T10:15:00.123456789Z".parse().unwrap()
}

fn person(name: &str) -> Practitioner {
    Practitioner {
        name: Sealed::from(name),
        role: Sealed::from("designated safeguarding lead"),
        contact: Sealed::from("school office"),
    }
}

fn item(category: Category, body: Body) -> Item {
    Item {
        category,
        subject: Subject::Child,
        knowledge: Knowledge::Direct,
        handling: Vec::new(),
        about_child: None,
        body,
        summary: None,
    }
}

fn submission() -> Submission {
    let child = |family: &str, age: Age| Child {
        identity: Identity { family_name: Some(Sealed::from(family)), age, ..Identity::default() },
        address: None,
        places: Places { home: GssCode::parse("E08000035").ok(), ..Places::default() },
        circumstances: Default::default(),
    };
    let mut first = child("Quillfeather", Age::Born(Sealed::new(date(2015, 2, 3))));
    first.identity.given_name = Some(Sealed::from("Tamsin"));
    first.identity.nhs_number = Some(Checked::new("9990000026", NhsNumber::parse));
    first.identity.upn = Some(Checked::new("not a pupil number", Upn::parse));
    first.address = Some(Address {
        lines: Sealed::from("12 Sample Terrace\nLeeds"),
        postcode: Postcode::parse("ZZ99 3VZ").ok(),
        uprn: None,
        telephone: None,
        protected: true,
    });
    let field = |name: &str, value: &str| Field { name: name.to_owned(), value: Sealed::from(value) };
    let worry = Item {
        handling: vec![HandlingFlag::NotForFamily],
        about_child: Some(1),
        summary: Some(Sealed::from("Hungry and cold.")),
        ..item(Category::ConcernNarrative, Body::Text(Sealed::from("Comes without breakfast and without a coat.")))
    };
    let attachment = Body::Attachment {
        reference: Sealed::from("body map 17"),
        media_type: "application/pdf".to_owned(),
        digest: Digest::from_bytes([0xab; 32]),
    };
    let mut submission = Submission {
        circumstances: Default::default(),
        sender: Endpoint::parse("school.999001").unwrap(),
        key: IdempotencyKey::parse("6f1c0c1e-58a4-4f5a-9b3b-1f4f0e6a7d11").unwrap(),
        received: received(),
        digest: Digest::from_bytes([0; 32]),
        kind: EventKind::Referral,
        level: Level::SignificantHarm,
        harm: HarmType::Neglect,
        harm_place: HarmPlace::Home,
        child: first,
        further_children: vec![child("Quillfeather", Age::Expected(Sealed::new(date(2027, 5, 1))))],
        agreement: Agreement::NotSoughtWithReason,
        duty_decision: DutyDecision::Share,
        purpose: Some(Sealed::from("safeguarding")),
        addressed_to: Endpoint::parse("la.E08000035.front-door").ok(),
        handling: vec![HandlingFlag::DoNotInformParents],
        referrer: person("Morag Ellwood"),
        items: vec![
            worry,
            item(Category::EducationRecord, Body::Fields(vec![field("year_group", "5"), field("attendance_percent", "81.5")])),
            item(Category::ChildHealth, attachment),
        ],
    };
    submission.digest = read::digest_of(&write::submission(&submission));
    submission
}

/// One of every kind that arrives.
fn arrivals() -> Vec<(&'static str, Arrival)> {
    let id = ReferralId::parse("0b7c4a53-6a0e-8a3e-9d5f-2f0d5f3f1a77").unwrap();
    let by_school = |what| Arrival { from: Endpoint::parse("school.999001").unwrap(), received: received(), what };
    let by_council = |says| {
        let from = Endpoint::parse("la.E08000035.front-door").unwrap();
        let delivery = DeliveryId::parse("3f0b61e7-8a5d-8c11-b1a7-6f6d1c2b3a4d").unwrap();
        let answer = FrontDoorAnswer {
            from: from.clone(),
            delivery,
            digest: Digest::from_bytes([0xcd; 32]),
            by: person("Priya Shah"),
            says,
        };
        Arrival { from, received: received(), what: What::Answered { referral: id, answer } }
    };
    let decided = Says::Decided { outcome: Outcome::S17Assessment, reason: Sealed::from("An assessment begins today.") };
    vec![
        ("submitted", by_school(What::Submitted(Box::new(submission())))),
        ("amended", by_school(What::Amended { referral: id, submission: Box::new(submission()) })),
        (
            "withdrawn",
            by_school(What::Withdrawn { referral: id, by: person("Morag Ellwood"), reason: Sealed::from("sent twice") }),
        ),
        ("collected", by_council(Says::Collected)),
        ("acknowledged", by_council(Says::Acknowledged)),
        ("decided", by_council(decided)),
        ("asked_for_more", by_council(Says::AskedForMore { question: Sealed::from("Who fetched the child on Friday?") })),
        (
            "transfer_offered",
            by_council(Says::TransferOffered {
                to: GssCode::parse("E10000016").unwrap(),
                reason: Sealed::from("The family has moved to Canterbury."),
            }),
        ),
        ("transfer_accepted", by_council(Says::TransferAccepted)),
        ("transfer_refused", by_council(Says::TransferRefused { reason: Sealed::from("They have moved back.") })),
        ("transfer_withdrawn", by_council(Says::TransferWithdrawn { reason: Sealed::from("They have moved back.") })),
        (
            "strategy_discussion_held",
            by_council(Says::StrategyDiscussionHeld { held: date(2026, 11, 24), enquiries_started: true }),
        ),
        ("status_recorded", by_council(Says::StatusRecorded(ChildStatus { child_protection_plan: true, looked_after: false }))),
        (
            "referred_on",
            by_council(Says::ReferredOn {
                to: Endpoint::parse("vcs.helpers").unwrap(),
                reason: Sealed::from("A mentor would help."),
            }),
        ),
        (
            "handling_lifted",
            by_council(Says::HandlingLifted {
                condition: HandlingFlag::DoNotInformParents,
                reason: Sealed::from("The mother knows now."),
            }),
        ),
        (
            "consent_withdrawn",
            by_school(What::ConsentWithdrawn {
                referral: id,
                withdrawal: ConsentWithdrawal {
                    from: Endpoint::parse("school.999001").unwrap(),
                    by: person("Morag Ellwood"),
                    holder: AgreementHolder::ParentalResponsibility,
                    on: date(2026, 11, 24),
                    reason: Some(Sealed::from("She wants to manage alone.")),
                },
            }),
        ),
        (
            "disagreed",
            by_school(What::Disagreed {
                referral: id,
                disagreement: Disagreement {
                    from: Endpoint::parse("school.999001").unwrap(),
                    by: person("Morag Ellwood"),
                    reason: Sealed::from("The bruises were not looked at."),
                    is_immediate_danger: false,
                },
            }),
        ),
    ]
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn every_kind_of_arrival_is_read_as_it_was_meant() {
    freeze_if_asked();
    for (name, meant) in arrivals() {
        let path = folder().join("arrivals").join(format!("{name}.binpb"));
        let bytes = fs::read(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
        assert_eq!(read::arrival(&bytes), Ok(meant.clone()), "{name}");
        assert!(write::arrival(&meant, TRACE) == bytes, "{name} is written otherwise today: its digest would change");
    }
}

#[test]
fn every_message_ever_released_is_decoded() {
    freeze_if_asked();
    let contract = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
    let mut releases = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        releases += 1;
        for line in fs::read_to_string(&path).unwrap().lines() {
            let (name, hex) = line.split_once(' ').unwrap();
            let about = contract.get_message_by_name(name).unwrap_or_else(|| panic!("{name} was taken away"));
            let bytes = unhex(hex);
            let message = DynamicMessage::decode(about, bytes.as_slice()).unwrap_or_else(|fault| panic!("{name}: {fault}"));
            assert_eq!(unknown_in(&message), 0, "{name} has lost a field");
            assert!(message.encode_to_vec() == bytes, "{name} is written otherwise today");
        }
    }
    assert!(releases > 0, "nothing is frozen");
}

#[test]
fn every_message_of_this_release_is_frozen() {
    freeze_if_asked();
    let frozen = fs::read_to_string(folder().join(format!("{RELEASE}.txt"))).unwrap();
    let frozen: BTreeSet<&str> = frozen.lines().filter_map(|line| line.split(' ').next()).collect();
    let missing: Vec<String> =
        messages().map(|about| about.full_name().to_owned()).filter(|name| !frozen.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "write them with `FREEZE=1 cargo test -p proto --test frozen`: {missing:?}");
}

/// Writes what is missing in `proto/frozen`, if that is asked for.
fn freeze_if_asked() {
    static ONCE: Once = Once::new();
    if std::env::var_os("FREEZE").is_some() {
        ONCE.call_once(write_what_is_missing);
    }
}

fn write_what_is_missing() {
    fs::create_dir_all(folder().join("arrivals")).unwrap();
    for (name, arrival) in arrivals() {
        let path = folder().join("arrivals").join(format!("{name}.binpb"));
        if !path.exists() {
            fs::write(path, write::arrival(&arrival, TRACE)).unwrap();
        }
    }
    let path = folder().join(format!("{RELEASE}.txt"));
    let mut frozen = fs::read_to_string(&path).unwrap_or_default();
    let known: BTreeSet<String> = frozen.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    for about in messages().filter(|about| !known.contains(about.full_name())) {
        for choice in 0..choices(&about) {
            let bytes = filled(&about, choice, 0).encode_to_vec();
            let _ = writeln!(frozen, "{} {}", about.full_name(), hex(&bytes));
        }
    }
    fs::write(path, frozen).unwrap();
}

/// Every message of ours.
fn messages() -> impl Iterator<Item = MessageDescriptor> {
    let contract = DescriptorPool::decode(proto::DESCRIPTORS).unwrap();
    let all: Vec<MessageDescriptor> =
        contract.all_messages().filter(|about| about.package_name().starts_with("safeguarding.")).collect();
    all.into_iter()
}

fn real_oneofs(about: &MessageDescriptor) -> impl Iterator<Item = usize> {
    let counts: Vec<usize> = about.oneofs().filter(|oneof| !oneof.is_synthetic()).map(|oneof| oneof.fields().count()).collect();
    counts.into_iter()
}

/// How many messages it takes to have every field of a oneof once.
fn choices(about: &MessageDescriptor) -> usize {
    real_oneofs(about).max().unwrap_or(1)
}

/// A message with every field filled in; of a oneof, the one that is chosen.
fn filled(about: &MessageDescriptor, choice: usize, depth: u8) -> DynamicMessage {
    let mut message = DynamicMessage::new(about.clone());
    for field in about.fields() {
        let chosen = field
            .containing_oneof()
            .filter(|oneof| !oneof.is_synthetic())
            .is_none_or(|oneof| oneof.fields().nth(choice % oneof.fields().count()) == Some(field.clone()));
        if chosen && depth < 6 {
            let one = value(&field, choice, depth);
            message.set_field(&field, if field.is_list() { Value::List(vec![one]) } else { one });
        }
    }
    message
}

fn value(field: &FieldDescriptor, choice: usize, depth: u8) -> Value {
    match field.kind() {
        Kind::Message(about) => Value::Message(filled(&about, choice, depth + 1)),
        Kind::Enum(about) => Value::EnumNumber(about.values().map(|value| value.number()).max().unwrap()),
        Kind::String => Value::String(format!("text of {}", field.name())),
        Kind::Bytes => Value::Bytes(vec![field.number() as u8; 32].into()),
        Kind::Bool => Value::Bool(true),
        Kind::Uint32 => Value::U32(field.number()),
        Kind::Uint64 => Value::U64(u64::from(field.number())),
        Kind::Int32 => Value::I32(7),
        Kind::Int64 => Value::I64(1_790_000_000),
        Kind::Double => Value::F64(12.25),
        other => panic!("{} is of a kind that no message had so far: {other:?}", field.full_name()),
    }
}

fn unknown_in(message: &DynamicMessage) -> usize {
    let within = message.fields().map(|(_, value)| match value {
        Value::Message(inner) => unknown_in(inner),
        Value::List(list) => list.iter().map(|one| if let Value::Message(inner) = one { unknown_in(inner) } else { 0 }).sum(),
        _ => 0,
    });
    message.unknown_fields().count() + within.sum::<usize>()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
