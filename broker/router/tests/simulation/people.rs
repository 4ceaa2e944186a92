//! The people of the simulation and what they write. All of them are invented.

use referral::identifiers::GssCode;
use referral::rules::Rulebook;
use referral::submission::*;
use referral::time::london_date;
use referral::vocab::*;
use referral::{Digest, Endpoint, IdempotencyKey, Moment, Sealed};

use crate::chance::Chance;

/// Leeds, Kent and their police are connected; Wakefield, Wales and adult services are not. Kent reads text.
const ENDPOINTS: &str = r#"
[[endpoint]]
name = "la.E08000035.front-door"
[[endpoint]]
name = "la.E08000035.edt"
[[endpoint]]
name = "la.E08000035.early-help"
[[endpoint]]
name = "la.E08000035.front-door-manager"
[[endpoint]]
name = "la.E10000016.front-door"
hours = "Mon-Fri 08:30-17:00"
format = "json"
[[endpoint]]
name = "la.E10000016.edt"
[[endpoint]]
name = "la.E10000016.front-door-manager"
[[endpoint]]
name = "police.13"
[[endpoint]]
name = "police.46"
[[endpoint]]
name = "school.999001"
authority = "E08000035"
[[endpoint]]
name = "school.999002"
authority = "E08000035"
independent = true
[[endpoint]]
name = "school.999003"
authority = "E10000016"
designated = true
[[endpoint]]
name = "nhs.ZZ101"
"#;

const SCHOOLS: [&str; 3] = ["school.999001", "school.999002", "school.999003"];
const STRANGERS: [&str; 4] = ["school.999002", "police.46", "nhs.ZZ101", "la.E10000016.edt"];
const HOMES: [&str; 10] = [
    "E08000035",
    "E08000035",
    "E08000035",
    "E08000035",
    "E10000016",
    "E10000016",
    "E07000106", // Canterbury: Kent
    "E08000036", // Wakefield: not connected
    "W06000015", // Cardiff
    "",
];

pub fn rulebook() -> Rulebook {
    Rulebook::built_in(ENDPOINTS).expect("the rules that come with the product are proved")
}

pub fn endpoint(text: &str) -> Endpoint {
    Endpoint::parse(text).expect("an endpoint of the simulation")
}

pub fn a_school(chance: &mut Chance) -> Endpoint {
    let school: &&str = chance.pick(&SCHOOLS);
    endpoint(school)
}

/// Somebody other than `than`.
pub fn a_stranger(chance: &mut Chance, than: &Endpoint) -> Endpoint {
    let others: Vec<Endpoint> = STRANGERS.iter().map(|name| endpoint(name)).filter(|other| other != than).collect();
    chance.pick(&others).clone()
}

pub fn a_person(chance: &mut Chance) -> Practitioner {
    let name = *chance.pick(&["Dora Lead", "Sol Desk", "Mira Worker"]);
    Practitioner { name: name.into(), role: "social worker".into(), contact: "".into() }
}

pub fn an_outcome(chance: &mut Chance) -> Says {
    let outcome = *chance.pick(&Outcome::ALL[..6]);
    let reason = *chance.pick(&["We will visit.", "Known to us.", "The school should ask again."]);
    Says::Decided { outcome, reason: reason.into() }
}

/// What somebody says about a delivery: what a desk says every day, and what it says now and then; an offer is mostly
/// answered as one.
pub fn an_answer(chance: &mut Chance, is_an_offer: bool, now: Moment) -> Says {
    if is_an_offer && chance.percent(70) {
        return match chance.percent(60) {
            true => Says::TransferAccepted,
            false => Says::TransferRefused { reason: "They moved on.".into() },
        };
    }
    let gss = |code: &str| GssCode::parse(code).expect("a code of the simulation");
    match chance.below(16) {
        0 | 1 => Says::Collected,
        2 | 3 => Says::Acknowledged,
        4..=7 => an_outcome(chance),
        8 if chance.percent(50) => Says::TransferWithdrawn { reason: "They came back.".into() },
        8 => Says::AskedForMore { question: "Who fetches her?".into() },
        9 | 10 => {
            let area: &&str = chance.pick(&["E08000035", "E10000016", "E07000106", "E08000036", "W06000015"]);
            let to = gss(area);
            Says::TransferOffered { to, reason: "They moved.".into() }
        }
        11 => Says::StrategyDiscussionHeld { held: london_date(now), enquiries_started: chance.percent(50) },
        12 => Says::StatusRecorded(ChildStatus { child_protection_plan: chance.percent(50), looked_after: chance.percent(30) }),
        13 => {
            let service: &&str =
                chance.pick(&["police.13", "la.E08000035.early-help", "nhs.ZZ101", "school.999003", "adult.E08000035"]);
            let to = endpoint(service);
            Says::ReferredOn { to, reason: "They can help.".into() }
        }
        14 => {
            let condition = *chance.pick(&[HandlingFlag::DoNotInformParents, HandlingFlag::Secret]);
            Says::HandlingLifted { condition, reason: "The parents know.".into() }
        }
        _ => {
            if chance.percent(50) {
                Says::TransferAccepted
            } else {
                Says::TransferRefused { reason: "Not ours.".into() }
            }
        }
    }
}

/// A new submission: mostly about one child at significant harm, with everything that can be otherwise.
pub fn a_submission(chance: &mut Chance, sender: Endpoint, received: Moment) -> Submission {
    let key = IdempotencyKey::from_bytes(chance.bytes());
    let child = a_child(chance);
    let further_children = if chance.percent(25) { (0..=chance.below(2)).map(|_| a_child(chance)).collect() } else { Vec::new() };
    use Level::*;
    let submission = Submission {
        circumstances: Circumstances::default(),
        sender,
        key,
        received,
        digest: Digest::of_bytes(&[]),
        kind: EventKind::Referral,
        level: *chance.pick(&[
            ImmediateDanger,
            SignificantHarm,
            SignificantHarm,
            SignificantHarm,
            InNeed,
            InNeed,
            EarlyHelp,
            Information,
        ]),
        harm: HarmType::Neglect,
        harm_place: *chance.pick(&[HarmPlace::Home, HarmPlace::Home, HarmPlace::Found, HarmPlace::NotStated]),
        child,
        further_children,
        agreement: *chance.pick(&[
            Agreement::Given,
            Agreement::Given,
            Agreement::Refused,
            Agreement::NotSoughtWithReason,
            Agreement::NotStated,
        ]),
        duty_decision: if chance.percent(5) { DutyDecision::MoreDetrimental } else { DutyDecision::Share },
        purpose: chance.percent(80).then(|| "so that the child is helped".into()),
        addressed_to: chance.percent(20).then(|| endpoint("la.E10000016.front-door")),
        handling: Vec::new(),
        referrer: a_person(chance),
        items: Vec::new(),
    };
    with_other_content(chance, submission)
}

/// The same submission with other content: other items, now and then another level, rarely a marking that this
/// broker must not hold.
pub fn with_other_content(chance: &mut Chance, mut submission: Submission) -> Submission {
    let categories = [Category::ConcernNarrative, Category::ChildHealth, Category::ParentHealth, Category::FamilyComposition];
    let children = 1 + submission.further_children.len();
    submission.items = (0..=chance.below(3))
        .map(|_| {
            let category = *chance.pick(&categories);
            let body = Body::Text(Sealed::new(format!("What the teacher saw, {}.", chance.next())));
            let about_child = chance.percent(40).then(|| chance.below(children) as u16);
            let handling = if chance.percent(2) { vec![HandlingFlag::Secret] } else { Vec::new() };
            let summary = chance.percent(50).then(|| "Something was seen.".into());
            Item { category, subject: Subject::Child, knowledge: Knowledge::Direct, handling, about_child, body, summary }
        })
        .collect();
    if chance.percent(15) {
        submission.level = Level::ImmediateDanger;
    }
    submission
}

pub fn a_child(chance: &mut Chance) -> Child {
    let gss = |code: &str| GssCode::parse(code).expect("a code of the simulation");
    let home = *chance.pick(&HOMES);
    let located = if chance.percent(30) { *chance.pick(&HOMES) } else { "" };
    let born: jiff::civil::Date = jiff::civil::date(2009 + chance.below(15) as i16, 1 + chance.below(12) as i8, 3);
    Child {
        circumstances: ChildCircumstances::default(),
        identity: Identity {
            given_name: Some((*chance.pick(&["Ada", "Bo", "Cy"])).into()),
            family_name: Some("Example".into()),
            age: if chance.percent(90) { Age::Born(Sealed::new(born)) } else { Age::NotStated },
            ..Identity::default()
        },
        address: Some(Address {
            lines: "1 Cage Street".into(),
            postcode: None,
            uprn: None,
            telephone: None,
            protected: chance.percent(10),
        }),
        places: Places {
            home: (!home.is_empty()).then(|| gss(home)),
            located: (!located.is_empty()).then(|| gss(located)),
            ..Places::default()
        },
    }
}
