//! The rules, ruled: one referral in, who receives it, what of it, in which law, and by when.

mod common;

use common::{referral, rulebook};
use referral::rules::pack::Extent;
use referral::rules::{Decision, Library, Ruling};
use referral::submission::Referral;
use referral::vocab::*;

fn rule(change: impl FnOnce(&mut Referral)) -> Ruling {
    let mut one = referral();
    change(&mut one);
    rulebook().rule(&one, &[])
}

fn goes_to(ruling: &Ruling) -> String {
    match ruling.decision() {
        Decision::Deliver { to } => to.to_string(),
        Decision::HoldForReview { intended } => format!("held for {}", intended.as_ref().map_or("nobody".to_owned(), ToString::to_string)),
        Decision::ReturnToSender => "returned".to_owned(),
        Decision::Refuse => "refused".to_owned(),
    }
}

fn bases(ruling: &Ruling) -> Vec<&'static str> {
    let mut bases: Vec<&str> = ruling.bases().map(Vocabulary::as_str).collect();
    bases.sort_unstable();
    bases
}

#[test]
fn the_packs_that_come_with_the_product_are_proved() {
    if let Err(fault) = Library::built_in() {
        panic!("{fault}");
    }
}

#[test]
fn a_child_in_need_goes_to_the_county_of_the_home_district() {
    let ruling = rule(|referral| {
        referral.level = Level::InNeed;
        referral.places.home = Some(common::gss("E07000106"));
    });
    assert_eq!(goes_to(&ruling), "la.E10000016.front-door");
    assert_eq!(bases(&ruling), ["CA1989.s17", "UKGDPR.6.1.e", "UKGDPR.9.2.g+DPA2018.Sch1.18"]);
}

#[test]
fn at_night_significant_harm_goes_to_the_emergency_duty_team() {
    let ruling = rule(|referral| referral.received = "2026-11-23T21:05:00Z".parse().unwrap());
    assert_eq!(goes_to(&ruling), "la.E08000035.edt");
}

#[test]
fn refused_early_help_went_back_before_the_duty_and_waits_for_a_person_since() {
    let refused = |at: &str| {
        rule(|referral| {
            referral.level = Level::EarlyHelp;
            referral.agreement = Agreement::Refused;
            referral.received = at.parse().unwrap();
        })
    };
    assert_eq!(goes_to(&refused("2026-06-10T10:00:00Z")), "returned");
    assert_eq!(goes_to(&refused("2026-11-02T11:00:00Z")), "held for la.E08000035.early-help");
}

#[test]
fn no_answer_about_agreement_holds_significant_harm_back() {
    for &agreement in Agreement::ALL {
        assert_eq!(goes_to(&rule(|referral| referral.agreement = agreement)), "la.E08000035.front-door", "{agreement}");
    }
}

#[test]
fn where_nobody_knows_the_place_a_person_decides() {
    let ruling = rule(|referral| {
        referral.places = Default::default();
        referral.sender = common::endpoint("vcs.helpline");
    });
    assert_eq!(goes_to(&ruling), "held for nobody");
    assert!(ruling.flags().any(|flag| flag == "urgent_human_review"));
}

#[test]
fn a_wrongly_addressed_referral_goes_to_the_right_authority_and_the_wrong_one_gets_nothing() {
    let ruling = rule(|referral| referral.addressed_to = Some(common::endpoint("la.E09000030.front-door")));
    assert_eq!(goes_to(&ruling), "la.E08000035.front-door");
    assert_eq!(ruling.views().len(), 1);
    assert!(ruling.flags().any(|flag| flag == "redirected"));
}

#[test]
fn police_are_told_of_immediate_danger_and_get_the_minimum_of_health() {
    let ruling = rule(|referral| {
        referral.level = Level::ImmediateDanger;
        referral.items.push(common::text(Category::ChildHealth, "asthma"));
        referral.items.push(common::text(Category::Unknown, "?"));
    });
    let police = ruling.views().iter().find(|view| view.to().to_string() == "police.13").expect("police are told");
    let given = |category| police.verdicts().iter().find(|verdict| verdict.category == category).map(|verdict| verdict.given);
    assert_eq!((given(Category::Identity), given(Category::ChildHealth), given(Category::Unknown)), (Some(Extent::Whole), Some(Extent::Minimum), Some(Extent::Nothing)));
}

#[test]
fn the_clocks_start_at_receipt_and_not_while_it_is_held() {
    let due = |ruling: &Ruling| -> Vec<String> { ruling.clocks().iter().map(|clock| format!("{} {}", clock.name, clock.due.date.unwrap())).collect() };
    assert_eq!(due(&rule(|_| {})), ["la_ack_decision_1wd 2026-11-24", "referrer_followup_3wd 2026-11-26"]);
    assert!(due(&rule(|referral| { referral.level = Level::InNeed; referral.agreement = Agreement::Refused })).is_empty());
}
