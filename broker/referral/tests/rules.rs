//! The rules, ruled: one referral in, who receives it, what of it, in which law, and by when.

mod common;

use common::{goes_to, referral, rulebook};
use referral::rules::explain::Withheld;
use referral::rules::pack::Extent;
use referral::rules::{Library, Role, Ruling};
use referral::submission::{Age, Item, Referral};
use referral::vocab::*;

fn rule(change: impl FnOnce(&mut Referral)) -> Ruling {
    let mut one = referral();
    change(&mut one);
    rulebook().rule(&one, &[])
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
        referral.items.push(Item { summary: Some("has an inhaler".into()), ..common::text(Category::ChildHealth, "asthma") });
        referral.items.push(common::text(Category::Unknown, "?"));
    });
    let police = ruling.views().iter().find(|view| view.to().to_string() == "police.13").expect("police are told");
    let given = |category| police.verdicts().iter().find(|verdict| verdict.category == category).map(|verdict| verdict.given);
    assert_eq!(
        (given(Category::Identity), given(Category::ChildHealth), given(Category::Unknown)),
        (Some(Extent::Whole), Some(Extent::Minimum), Some(Extent::Nothing))
    );
}

#[test]
fn the_clocks_start_at_receipt_and_not_while_it_is_held() {
    let due = |ruling: &Ruling| -> Vec<String> {
        ruling.clocks().iter().map(|clock| format!("{} {}", clock.name, clock.due.date.unwrap())).collect()
    };
    assert_eq!(due(&rule(|_| {})), ["la_ack_decision_1wd 2026-11-24", "referrer_followup_3wd 2026-11-26"]);
    assert!(
        due(&rule(|referral| {
            referral.level = Level::InNeed;
            referral.agreement = Agreement::Refused
        }))
        .is_empty()
    );
}

/// Who is told beside whoever is responsible.
fn also_told(ruling: &Ruling) -> Vec<String> {
    ruling.views().iter().filter(|view| view.role() == Role::Notified).map(|view| view.to().to_string()).collect()
}

#[test]
fn a_minimum_that_nobody_wrote_is_not_given_and_says_so() {
    let ruling = rule(|referral| {
        referral.level = Level::ImmediateDanger;
        referral.items.push(common::text(Category::ChildHealth, "asthma"));
        referral.items.push(common::text(Category::SexualHealth, "a clinic"));
    });
    let police = ruling.views().iter().find(|view| view.to().to_string() == "police.13").unwrap();
    assert!(!police.given().contains(&Category::ChildHealth));
    let of = |withheld: Vec<Withheld>, category| {
        withheld.into_iter().find(|withheld| withheld.category == category).map(|withheld| (withheld.given, withheld.rule))
    };
    assert_eq!(of(police.withheld(), Category::ChildHealth), Some((Extent::Nothing, "DM-01".to_owned())));
    // To police the name alone would tell; the sender, whose information it is, sees it.
    assert_eq!(of(police.withheld(), Category::SexualHealth), None);
    assert_eq!(of(police.withheld_for_the_record(), Category::SexualHealth), Some((Extent::Nothing, "DM-01".to_owned())));
}

#[test]
fn a_child_of_scotland_in_danger_in_england_is_acted_for_here_and_the_home_is_told() {
    let ruling = rule(|referral| {
        referral.sender = common::endpoint("nhs.ZZ101");
        referral.level = Level::ImmediateDanger;
        referral.places.home = Some(common::gss("S12000026"));
        referral.places.located = Some(common::gss("E06000057"));
    });
    assert_eq!(
        (goes_to(&ruling).as_str(), also_told(&ruling)),
        ("la.E06000057.front-door", vec!["devolved.S12000026".to_owned(), "police.10".to_owned()])
    );
}

#[test]
fn an_adult_is_for_adult_safeguarding_wherever_any_place_is_known() {
    let adult = |home: Option<&str>, located: Option<&str>| {
        goes_to(&rule(|referral| {
            referral.age = Age::About(18);
            referral.sender = common::endpoint("nhs.ZZ101");
            referral.places.home = home.map(common::gss);
            referral.places.located = located.map(common::gss);
        }))
    };
    assert_eq!(adult(Some("E07000106"), Some("E08000035")), "adult.E10000016");
    assert_eq!(adult(Some("W06000015"), Some("E08000035")), "adult.E08000035");
    assert_eq!(adult(Some("W06000015"), None), "adult.W06000015");
    assert_eq!(adult(None, None), "held for nobody");
}

#[test]
fn what_would_do_the_child_more_harm_goes_to_nobody_before_a_person_has_looked() {
    for &level in Level::ALL {
        let ruling = rule(|referral| {
            referral.level = level;
            referral.duty_decision = DutyDecision::MoreDetrimental;
        });
        assert!(goes_to(&ruling).starts_with("held for la.E08000035."), "{level}");
        assert!(ruling.views().is_empty(), "{level}");
    }
}

#[test]
fn the_police_of_the_senders_area_are_told_where_nobody_knows_the_place() {
    let ruling = rule(|referral| {
        referral.places.home = None;
        referral.places.located = Some(common::gss("E06999999"));
    });
    assert_eq!((goes_to(&ruling).as_str(), also_told(&ruling)), ("held for nobody", vec!["police.13".to_owned()]));
}

#[test]
fn whoever_sent_it_is_not_told_of_it() {
    let ruling = rule(|referral| {
        referral.sender = common::endpoint("police.13");
        referral.level = Level::ImmediateDanger;
    });
    assert_eq!((goes_to(&ruling).as_str(), also_told(&ruling)), ("la.E08000035.front-door", vec![]));
}
