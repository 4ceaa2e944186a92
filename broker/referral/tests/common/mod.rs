//! A referral to start from: a school in Leeds, significant harm, an ordinary Monday morning.
#![allow(dead_code)]

use referral::identifiers::GssCode;
use referral::rules::{Decision, Rulebook, Ruling};
use referral::submission::*;
use referral::vocab::*;
use referral::{Digest, Endpoint, IdempotencyKey, Sealed};

pub const ENDPOINTS: &str = r#"
[[endpoint]]
name = "la.E08000035.front-door"
[[endpoint]]
name = "la.E08000035.edt"
[[endpoint]]
name = "la.E08000035.early-help"
[[endpoint]]
name = "la.E08000035.front-door-manager"
[[endpoint]]
name = "la.E08000035.safeguarding-lead"
[[endpoint]]
name = "la.E08000035.safeguarding-partners"
[[endpoint]]
name = "la.E10000016.front-door"
[[endpoint]]
name = "police.13"
[[endpoint]]
name = "school.999001"
authority = "E08000035"
[[endpoint]]
name = "nhs.ZZ101"
"#;

pub fn rulebook() -> Rulebook {
    Rulebook::built_in(ENDPOINTS).unwrap()
}

pub fn endpoint(text: &str) -> Endpoint {
    Endpoint::parse(text).unwrap()
}

pub fn gss(text: &str) -> GssCode {
    GssCode::parse(text).unwrap()
}

pub fn person(name: &str) -> Practitioner {
    Practitioner { name: name.into(), role: "social worker".into(), contact: "".into() }
}

pub fn text(category: Category, text: &str) -> Item {
    let body = Body::Text(text.into());
    Item {
        category,
        subject: Subject::Child,
        knowledge: Knowledge::Direct,
        handling: vec![],
        about_child: None,
        body,
        summary: None,
    }
}

pub fn submission(key: u8) -> Submission {
    Submission {
        sender: endpoint("school.999001"),
        key: IdempotencyKey::from_bytes([key; 16]),
        received: "2026-11-23T10:00:00Z".parse().unwrap(),
        digest: Digest::of_bytes(&[key]),
        kind: EventKind::Referral,
        level: Level::SignificantHarm,
        harm: HarmType::Neglect,
        harm_place: HarmPlace::Home,
        child: Child {
            identity: Identity {
                given_name: Some("Ada".into()),
                family_name: Some("Canary".into()),
                age: Age::Born(Sealed::new("2015-02-03".parse().unwrap())),
                ..Identity::default()
            },
            address: Some(Address {
                lines: "1 Cage Street".into(),
                postcode: None,
                uprn: None,
                telephone: None,
                protected: false,
            }),
            places: Places { home: Some(gss("E08000035")), located: Some(gss("E08000035")), ..Places::default() },
            circumstances: ChildCircumstances::default(),
        },
        further_children: vec![],
        agreement: Agreement::NotSoughtWithReason,
        duty_decision: DutyDecision::NotRecorded,
        purpose: Some("help".into()),
        addressed_to: None,
        handling: vec![],
        referrer: person("Dora Lead"),
        items: vec![text(Category::ConcernNarrative, "She comes to school hungry.")],
        circumstances: Circumstances::default(),
    }
}

pub fn referral() -> Referral {
    submission(1).split().remove(0)
}

/// What is to happen to it, in a word or two.
pub fn goes_to(ruling: &Ruling) -> String {
    match ruling.decision() {
        Decision::Deliver { to } => to.to_string(),
        Decision::HoldForReview { intended } => {
            format!("held for {}", intended.as_ref().map_or("nobody".to_owned(), ToString::to_string))
        }
        Decision::ReturnToSender => "returned".to_owned(),
        Decision::Refuse => "refused".to_owned(),
    }
}
