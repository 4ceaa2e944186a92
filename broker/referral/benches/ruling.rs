//! How long one ruling takes: a referral of 16 items to 4 recipients, with everything that is explained of it.
//!
//! `cargo bench -p referral --bench ruling`. The target is under 10 microseconds for the ruling with every reason in it;
//! the same written out in English sentences, as a delivery carries it, is measured beside it. The best of many runs
//! is what the code costs; the median is what this machine made of it.

use std::hint::black_box;
use std::time::Instant;

use referral::rules::Rulebook;
use referral::rules::explain::explain;
use referral::submission::*;
use referral::vocab::*;
use referral::{Digest, Endpoint, IdempotencyKey, Sealed};

const ENDPOINTS: &str = r#"
[[endpoint]]
name = "la.E08000035.front-door"
[[endpoint]]
name = "police.13"
[[endpoint]]
name = "school.999001"
authority = "E08000035"
"#;

const CATEGORIES: [Category; 13] = [
    Category::FamilyComposition,
    Category::ConcernNarrative,
    Category::RiskLevel,
    Category::EducationRecord,
    Category::ChildHealth,
    Category::SexualHealth,
    Category::ParentHealth,
    Category::ThirdParty,
    Category::CriminalOffence,
    Category::PoliceIntelligence,
    Category::DomesticAbuseDetail,
    Category::ChildVoice,
    Category::ConsentRecord,
];

/// Immediate danger away from home: the authority where the child was found, the home authority, the authority that
/// placed the child, and police. Identity, address and referrer are the other three items.
fn referral() -> Referral {
    let gss = |text: &str| referral::identifiers::GssCode::parse(text).expect("a code");
    let item = |category| Item {
        category,
        subject: Subject::Child,
        knowledge: Knowledge::Direct,
        handling: Vec::new(),
        about_child: None,
        body: Body::Text("what was seen".into()),
        summary: Some("in short".into()),
    };
    let submission = Submission {
        sender: Endpoint::parse("school.999001").expect("a school"),
        key: IdempotencyKey::from_bytes([7; 16]),
        received: "2026-11-23T10:00:00Z".parse().expect("a moment"),
        digest: Digest::of_bytes(b"one"),
        kind: EventKind::Referral,
        level: Level::ImmediateDanger,
        harm: HarmType::SexualAbuse,
        harm_place: HarmPlace::Found,
        child: Child {
            identity: Identity {
                given_name: Some("Ada".into()),
                family_name: Some("Canary".into()),
                age: Age::Born(Sealed::new("2015-02-03".parse().expect("a date"))),
                ..Identity::default()
            },
            address: Some(Address {
                lines: "1 Cage Street".into(),
                postcode: None,
                uprn: None,
                telephone: Some("none".into()),
                protected: false,
            }),
            places: Places {
                home: Some(gss("E10000016")),
                located: Some(gss("E08000035")),
                placing: Some(gss("E09000030")),
                ..Places::default()
            },
            circumstances: ChildCircumstances { looked_after: true, ..ChildCircumstances::default() },
        },
        further_children: Vec::new(),
        agreement: Agreement::NotSoughtNoReason,
        duty_decision: DutyDecision::Share,
        purpose: Some("help".into()),
        addressed_to: None,
        handling: Vec::new(),
        referrer: Practitioner { name: "Dora Lead".into(), role: "lead".into(), contact: "none".into() },
        items: CATEGORIES.into_iter().map(item).collect(),
        circumstances: Circumstances::default(),
    };
    submission.split().remove(0)
}

/// Nanoseconds of one call: the best and the median of many rounds.
#[expect(clippy::disallowed_methods, reason = "a benchmark is the one place where time is measured")]
fn measure(name: &str, mut call: impl FnMut()) {
    const ROUNDS: usize = 400;
    const CALLS: u32 = 250;
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            (0..CALLS).for_each(|_| call());
            began.elapsed().as_nanos() as f64 / f64::from(CALLS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{name}: best {:.0} ns, median {:.0} ns", rounds[0], rounds[ROUNDS / 2]);
}

fn main() {
    let rules = Rulebook::built_in(ENDPOINTS).expect("the rules that come with the product");
    let referral = referral();
    let ruling = rules.rule(&referral, &[]);
    assert_eq!((referral.items.len(), ruling.views().len()), (16, 4), "the referral that the target is about");
    measure("one ruling with its reasons, 16 items, 4 recipients", || {
        black_box(rules.rule(black_box(&referral), &[]));
    });
    measure("the same, explained to the sender in sentences", || {
        let ruling = rules.rule(black_box(&referral), &[]);
        black_box(explain(&ruling, None, &rules.directory));
    });
}
