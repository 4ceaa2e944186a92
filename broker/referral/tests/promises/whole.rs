//! The promises that whole referrals keep: through the facts, the rules and the case, up to what is handed over.

use std::collections::BTreeMap;

use referral::case::{Effect, Event, step};
use referral::facts::Facts;
use referral::rules::pack::Extent;
use referral::rules::prove::SPECIAL;
use referral::rules::{Decision, Role, Ruling};
use referral::submission::*;
use referral::vocab::*;
use referral::{Endpoint, Sealed};

use crate::RULES;
use crate::common::{self, endpoint};
use crate::sweep::stopwatch;

/// Every restriction that a sender may put on the whole, but for the marking that refuses it.
const RESTRICTIONS: [HandlingFlag; 13] = [
    HandlingFlag::AddressProtected,
    HandlingFlag::PdsSensitive,
    HandlingFlag::DoNotInformParents,
    HandlingFlag::ReferrerAnonymousToFamily,
    HandlingFlag::ConflictOfInterestRecipientStaff,
    HandlingFlag::PoliceHandlingP,
    HandlingFlag::PoliceHandlingC,
    HandlingFlag::PoliceHandlingLegacy5,
    HandlingFlag::Unsanitised,
    HandlingFlag::NotForEducation,
    HandlingFlag::NotForFamily,
    HandlingFlag::PoliceOnly,
    HandlingFlag::DoNotContactSuspectOrWitness,
];

/// Conditions that a reader of intelligence graded C can obey, so that it is not withheld as unreadable.
const CONDITIONS: [HandlingFlag; 4] = [
    HandlingFlag::NotForEducation,
    HandlingFlag::NotForFamily,
    HandlingFlag::PoliceOnly,
    HandlingFlag::DoNotContactSuspectOrWitness,
];

fn set(of: &[HandlingFlag], bits: usize) -> Vec<HandlingFlag> {
    of.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0).map(|(_, &flag)| flag).collect()
}

/// A referral of everything there is to everybody who can be asked for.
fn everything() -> Referral {
    let mut one = common::referral();
    one.sender = endpoint("nhs.ZZ101");
    one.items = Category::ALL
        .iter()
        .map(|&category| Item { summary: Some("in short".into()), ..common::text(category, "in full") })
        .collect();
    one.circumstances.tell =
        ["police.13", "school.999001", "vcs.helpline", "household.own", "household.other", "la.E10000016.front-door"]
            .map(endpoint)
            .to_vec();
    one
}

/// What everybody is given, in the order of the items. Whoever is responsible is one party, whichever desk it is.
fn seen(ruling: &Ruling) -> BTreeMap<String, Vec<Extent>> {
    let party = |view: &referral::rules::View| match view.role() {
        Role::Responsible => "whoever is responsible".to_owned(),
        Role::Notified | Role::EarlierRecipient => view.to().to_string(),
    };
    ruling.views().iter().map(|view| (party(view), view.verdicts().iter().map(|verdict| verdict.given).collect())).collect()
}

/// 8,192 sets of restrictions, each with one more: 53,248 pairs. What is withheld says why, and what is given stands
/// in law; the alert itself always reaches the authority that must act.
#[test]
fn a_restriction_takes_content_away_and_never_the_alert() {
    let began = stopwatch();
    let mut one = everything();
    let all = 1 << RESTRICTIONS.len();
    let rulings: Vec<BTreeMap<String, Vec<Extent>>> = (0..all)
        .map(|bits| {
            one.handling = set(&RESTRICTIONS, bits);
            let ruling = RULES.rule(&one, &[]);
            the_alert_arrives(&ruling);
            everything_has_its_reason(&ruling);
            seen(&ruling)
        })
        .collect();
    let mut pairs = 0;
    for (bits, before) in rulings.iter().enumerate() {
        for (at, &added) in RESTRICTIONS.iter().enumerate().filter(|(at, _)| bits & (1 << at) == 0) {
            pairs += 1;
            let held = set(&RESTRICTIONS, bits);
            // A condition that comes with what was graded C is what makes it readable: it says what may be done.
            let is_made_readable = CONDITIONS.contains(&added)
                && held.contains(&HandlingFlag::PoliceHandlingC)
                && !held.iter().any(|flag| CONDITIONS.contains(flag));
            for (to, after) in &rulings[bits | 1 << at] {
                let nothing = vec![Extent::Nothing; after.len()];
                let before = before.get(to).unwrap_or(&nothing);
                for ((category, before), after) in Category::ALL.iter().zip(before).zip(after) {
                    let is_exempt = is_made_readable && *category == Category::PoliceIntelligence;
                    assert!(after <= before || is_exempt, "{added} on {held:?} gives {to} more of {category}");
                }
            }
        }
    }
    assert_eq!((rulings.len(), pairs), (8_192, 53_248));
    println!("{} sets of restrictions, {pairs} pairs: {:?}", rulings.len(), began.elapsed());
}

fn the_alert_arrives(ruling: &Ruling) {
    let Decision::Deliver { to: to @ Endpoint::Authority(..) } = ruling.decision() else {
        panic!("not delivered: {:?}", ruling.decision())
    };
    let view = ruling.views().iter().find(|view| view.to() == to).expect("whoever is responsible receives");
    let identity = view.verdicts().iter().find(|verdict| verdict.category == Category::Identity);
    assert_eq!(identity.map(|verdict| verdict.given), Some(Extent::Whole));
    assert!(ruling.is_significant_harm_or_above() && view.role() == Role::Responsible);
}

fn everything_has_its_reason(ruling: &Ruling) {
    for view in ruling.views() {
        let given = |verdict: &&referral::rules::Verdict| matches!(verdict.given, Extent::Whole | Extent::Minimum);
        let special = view.verdicts().iter().filter(given).any(|verdict| SPECIAL.contains(&verdict.category));
        assert!(view.verdicts().iter().filter(given).count() == 0 || view.bases().iter().any(|basis| basis.is_article_6()));
        assert!(!special || view.bases().iter().any(|basis| basis.is_article_9()));
        let refused = view.verdicts().iter().filter(|verdict| verdict.given != Extent::Whole).count();
        let said = view.withheld_for_the_record();
        // Each category once here, and each of another extent.
        assert_eq!(said.len(), refused);
        assert!(said.iter().all(|withheld| !withheld.rule.is_empty() && !withheld.because.is_empty()));
        // A record of what is withheld names the law in which it was weighed too.
        assert!(ruling.bases().any(|basis| basis.is_article_6()));
    }
}

/// 128 sets of conditions on an item of intelligence, and none or one of seven on the whole: 1,024 referrals, each up
/// to what is handed over.
#[test]
fn no_police_intelligence_leaves_without_its_conditions_or_against_them() {
    const GRADES: [HandlingFlag; 7] = [
        HandlingFlag::PoliceHandlingP,
        HandlingFlag::PoliceHandlingC,
        HandlingFlag::PoliceHandlingLegacy5,
        HandlingFlag::Unsanitised,
        HandlingFlag::NotForEducation,
        HandlingFlag::PoliceOnly,
        HandlingFlag::DoNotContactSuspectOrWitness,
    ];
    let (mut swept, mut carried) = (0, 0);
    for bits in 0..1 << GRADES.len() {
        for whole in std::iter::once(None).chain(GRADES.map(Some)) {
            swept += 1;
            let mut one = everything();
            one.harm = HarmType::SexualAbuse;
            one.handling = whole.into_iter().collect();
            let item = one.items.iter_mut().find(|item| item.category == Category::PoliceIntelligence).unwrap();
            item.handling = set(&GRADES, bits);
            let (own, now) = (item.handling.clone(), one.received);
            let has = |flag| own.contains(&flag) || whole == Some(flag);
            let unreadable = has(HandlingFlag::PoliceHandlingC) && !CONDITIONS.into_iter().any(has);
            let stays = unreadable
                || has(HandlingFlag::PoliceHandlingLegacy5)
                || has(HandlingFlag::Unsanitised)
                || has(HandlingFlag::PoliceOnly);
            for effect in step(None, Event::Submitted(Box::new(one)), now, &RULES).effects {
                let Effect::Deliver(disclosure) = effect else { continue };
                let is_intelligence = |item: &&referral::disclosure::DisclosedItem| item.category == Category::PoliceIntelligence;
                for item in disclosure.items().iter().filter(is_intelligence) {
                    let to = disclosure.to();
                    assert!(!stays || matches!(to, Endpoint::Police(_)), "{own:?} and {whole:?} left for {to}");
                    assert_eq!(item.handling, own, "to {to}");
                    assert_eq!(disclosure.handling().to_vec(), Vec::from_iter(whole), "to {to}");
                    carried += 1;
                }
            }
        }
    }
    assert_eq!(swept, 1_024);
    assert!(carried > 1_000, "{carried}");
    println!("{swept} referrals of police intelligence, {carried} handed over with their conditions");
}

/// 5 levels, 30 harms, 7 ages, 23 kinds of message, a bruised baby or not, a pattern or not: 96,600 referrals.
#[test]
fn the_machine_never_lowers_a_level() {
    let ages = [
        Age::Expected(Sealed::new("2027-01-01".parse().unwrap())),
        Age::About(1),
        Age::About(8),
        Age::About(14),
        Age::About(17),
        Age::About(30),
        Age::NotStated,
    ];
    let mut one = common::referral();
    let (mut swept, mut raised) = (0, 0);
    for &level in Level::ALL {
        for &harm in HarmType::ALL {
            for age in &ages {
                for &kind in EventKind::ALL {
                    for (non_mobile, contacts) in [(false, 0), (true, 0), (false, 3), (true, 3)] {
                        (one.level, one.harm, one.age, one.kind) = (level, harm, age.clone(), kind);
                        (one.child.non_mobile, one.circumstances.contacts_in_28_days) = (non_mobile, contacts);
                        let handled = Facts::derive(&one, &RULES.directory).level;
                        // The vocabulary lists the gravest first.
                        assert!(handled <= level, "{level} is handled as {handled}");
                        swept += 1;
                        raised += usize::from(handled < level);
                    }
                }
            }
        }
    }
    assert_eq!(swept, 96_600);
    assert!(raised > 0);
    println!("{swept} levels, {raised} handled as more than was stated");
}

/// 23 kinds of message and 5 levels. What the case then sends is its own matter: this is what the ruling tells it.
#[test]
fn a_ruling_says_whenever_nothing_but_the_receipt_may_go_back_to_the_sender() {
    let mut one = common::referral();
    for &kind in EventKind::ALL {
        for &level in Level::ALL {
            (one.kind, one.level) = (kind, level);
            one.circumstances.accused_controls_feedback = true;
            let ruling = RULES.rule(&one, &[]);
            assert!(ruling.is_feedback_suppressed());
            assert!(ruling.flags().any(|flag| flag == "feedback_endpoint_suppressed"));
            one.circumstances.accused_controls_feedback = false;
            assert!(!RULES.rule(&one, &[]).is_feedback_suppressed());
        }
    }
}
