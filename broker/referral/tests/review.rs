//! What a person decides about what the rules put before one: in every standing, with what the person saw and
//! with what has changed since.

mod common;

use std::sync::LazyLock;

use common::endpoint;
use expect_test::{Expect, expect};
use referral::case::{Case, Effect, Event, News, Stage, Standing, Step, Surprise, step};
use referral::disclosure::{Disclosure, Matter};
use referral::rules::pack::Extent;
use referral::rules::review::{Choice, Review, Reviewer};
use referral::rules::{Library, Role, Rulebook};
use referral::submission::*;
use referral::vocab::*;
use referral::{Digest, Moment};

static RULES: LazyLock<Rulebook> = LazyLock::new(common::rulebook);

const LEEDS: &str = "la.E08000035.front-door";
const KENT: &str = "la.E10000016.front-door";

/// A referral that TC-12 holds: the sender recorded that sharing would do the child more harm.
fn held() -> Referral {
    Referral { duty_decision: DutyDecision::MoreDetrimental, ..common::referral() }
}

/// The same at significant harm, of a child whom the rules cannot place.
fn nowhere() -> Referral {
    Referral { places: Places::default(), sender: endpoint("nhs.ZZ101"), ..common::referral() }
}

fn version(referral: Referral, nth: u8) -> Referral {
    Referral { digest: Digest::of_bytes(&[b'v', nth]), ..referral }
}

fn raised(referral: &Referral) -> Case {
    let raised = step(None, Event::Submitted(Box::new(referral.clone())), now(), &RULES);
    assert!(raised.surprise.is_none());
    raised.case.unwrap()
}

fn amended(case: Case, referral: &Referral) -> Case {
    let amended = step(Some(case), Event::Amended(Box::new(referral.clone())), now(), &RULES);
    assert!(amended.surprise.is_none());
    amended.case.unwrap()
}

fn now() -> Moment {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn petra() -> Reviewer {
    let person = Practitioner { name: "Petronella Desk".into(), role: "safeguarding lead".into(), contact: "".into() };
    Reviewer { person, certificate: "operator.desk".into() }
}

fn reviewed_by(case: Case, referral: &Referral, number: u32, choice: Choice, rules: &Rulebook) -> Step {
    let review = Box::new(Review { by: petra(), reason: "spoke to the school".into(), number, choice });
    step(Some(case), Event::Reviewed { review, referral: Box::new(referral.clone()) }, now(), rules)
}

fn reviewed(case: Case, referral: &Referral, number: u32, choice: Choice) -> Step {
    reviewed_by(case, referral, number, choice, &RULES)
}

fn opened(case: Case, number: u32) -> Step {
    step(Some(case), Event::Opened { by: petra(), reason: "it waits".into(), number }, now(), &RULES)
}

fn redirect(to: &str) -> Choice {
    Choice::Redirect { to: endpoint(to) }
}

fn delivered(step: &Step) -> Vec<&Disclosure> {
    fn disclosure(effect: &Effect) -> Option<&Disclosure> {
        match effect {
            Effect::Deliver(disclosure) => Some(disclosure),
            Effect::Notify(_) | Effect::TellSender(_) | Effect::AskPerson(_) => None,
        }
    }
    step.effects.iter().filter_map(disclosure).collect()
}

/// What follows, in a line each.
fn follows(step: &Step) -> String {
    if let Some(surprise) = step.surprise {
        assert!(step.effects.is_empty(), "a surprise owes nothing");
        return format!("surprise: {}", surprise.words());
    }
    let line = |effect: &Effect| match effect {
        Effect::Deliver(disclosure) => {
            format!("deliver {:?} to {} as {:?}", disclosure.matter(), disclosure.to(), disclosure.role())
        }
        Effect::Notify(notice) => format!("notify {}", notice.to),
        Effect::AskPerson(question) => format!("ask a person: {question:?}"),
        Effect::TellSender(news) => match news {
            News::Reviewed(news) => {
                let lifted: Vec<&str> = news.lifted.iter().map(|held| held.rule.as_str()).collect();
                let reason = news.reason.as_ref().map(|reason| format!(", because: {}", reason.open())).unwrap_or_default();
                format!("tell: {:?} by a {}, lifted {}{reason}", news.choice, news.role.open(), lifted.join(" "))
            }
            News::Routed(routing) => format!("tell: routed, {}", routing.by.last().unwrap().rule),
            News::ReturnedToSender(routing) => format!("tell: returned, {}", routing.by.last().unwrap().rule),
            News::Held(_) => "tell: held".to_owned(),
            News::Accepted
            | News::Refused(_)
            | News::Amended { .. }
            | News::Withdrawn
            | News::Delivered(_)
            | News::NotConnected(_)
            | News::Collected(_)
            | News::Acknowledged { .. }
            | News::Decided { .. }
            | News::OutcomeReturned
            | News::ClockBreached { .. }
            | News::AskedForMore { .. }
            | News::TransferOffered { .. }
            | News::TransferAccepted { .. }
            | News::TransferRefused { .. }
            | News::PassedToSuccessor { .. }
            | News::TransferWithdrawn { .. }
            | News::StrategyDiscussionHeld { .. }
            | News::ReferredOn { .. }
            | News::HandlingLifted { .. }
            | News::ConsentWithdrawn { .. }
            | News::Disagreed { .. } => "tell: something else".to_owned(),
        },
    };
    step.effects.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn check(step: &Step, expected: Expect) {
    expected.assert_eq(&follows(step));
}

// ---------------------------------------------------------------- what waits

#[test]
fn what_a_rule_holds_waits_with_the_rules_that_hold_it_and_no_other() {
    let case = raised(&held());
    let waiting = case.waiting().unwrap();
    let by: Vec<&str> = waiting.by.iter().map(|held| held.rule.as_str()).collect();
    assert_eq!((waiting.number, by.as_slice(), waiting.is_urgent()), (1, ["TC-12"].as_slice(), true));
    assert_eq!(waiting.intended, Some(endpoint(LEEDS)));
    assert_eq!(waiting.since, held().received);

    let case = raised(&nowhere());
    let waiting = case.waiting().unwrap();
    assert!(waiting.intended.is_none() && !waiting.by.is_empty() && waiting.is_urgent());
    assert!(raised(&common::referral()).waiting().is_none());
}

#[test]
fn opening_changes_nothing_but_is_a_step_that_is_recorded() {
    let case = raised(&held());
    let step = opened(case.clone(), 1);
    assert_eq!((step.surprise, step.effects.len()), (None, 0));
    assert_eq!(step.case, Some(case.clone()));
    check(&opened(case, 2), expect!["surprise: it has changed since it was looked at: open it again"]);
    check(&opened(raised(&common::referral()), 1), expect!["surprise: nothing of it waits for a person"]);
}

// ---------------------------------------------------------------- released

#[test]
fn what_is_released_at_significant_harm_goes_to_the_intended_desk_with_its_clocks_and_bases() {
    let step = reviewed(raised(&held()), &held(), 1, Choice::Release);
    check(
        &step,
        expect![[r#"
            tell: Release by a safeguarding lead, lifted TC-12
            tell: routed, RA-20.open
            deliver Referral to la.E08000035.front-door as Responsible"#]],
    );
    let case = step.case.as_ref().unwrap();
    assert_eq!(case.standing(), &Standing::With { responsible: endpoint(LEEDS) });
    assert!(case.waiting().is_none() && case.was_reviewed(1));
    // The very ruling that the same referral would have had without the hold.
    let unheld = RULES.rule(&common::referral(), &[]);
    let ruling = step.ruling.as_ref().unwrap();
    let given = |ruling: &referral::rules::Ruling| {
        ruling.views().iter().map(|view| (view.to().clone(), view.given(), view.bases().to_vec())).collect::<Vec<_>>()
    };
    assert_eq!(given(ruling), given(&unheld));
    assert_eq!(ruling.clocks(), unheld.clocks());
    assert!(!ruling.clocks().is_empty() && case.wake_at().is_some());
}

#[test]
fn a_release_goes_nowhere_when_the_rules_know_nobody_and_it_still_waits() {
    let step = reviewed(raised(&nowhere()), &nowhere(), 1, Choice::Release);
    check(
        &step,
        expect!["surprise: the rules name nobody to whom it may go: redirect it to an endpoint, or return it to the sender"],
    );
    assert_eq!(step.case, Some(raised(&nowhere())));
}

#[test]
fn a_release_goes_on_as_the_rules_intended_also_where_they_intend_to_give_it_back() {
    let referral = Referral {
        duty_decision: DutyDecision::MoreDetrimental,
        level: Level::Information,
        purpose_stated: false,
        ..common::referral()
    };
    let step = reviewed(raised(&referral), &referral, 1, Choice::Release);
    check(
        &step,
        expect![[r#"
            tell: Release by a safeguarding lead, lifted TC-12 TC-05
            tell: returned, TC-05"#]],
    );
    assert_eq!(step.case.unwrap().stage(), Stage::Returned);
}

// ---------------------------------------------------------------- redirected

#[test]
fn what_is_redirected_goes_to_the_named_endpoint_and_to_nobody_that_the_rules_had_meant_instead() {
    let step = reviewed(raised(&nowhere()), &nowhere(), 1, redirect(KENT));
    let to: Vec<(String, Role)> = delivered(&step).iter().map(|one| (one.to().to_string(), one.role())).collect();
    assert_eq!(to.first(), Some(&(KENT.to_owned(), Role::Responsible)));
    assert_eq!(step.case.unwrap().standing(), &Standing::With { responsible: endpoint(KENT) });
}

#[test]
fn a_person_redirects_but_never_widens_what_a_recipient_may_have() {
    let mut referral = held();
    referral.items.push(common::text(Category::SexualHealth, "a test was taken"));
    referral.items.push(common::text(Category::PoliceIntelligence, "a source says"));
    for to in [KENT, "la.E08000035.early-help", "police.13"] {
        let step = reviewed(raised(&referral), &referral, 1, redirect(to));
        let disclosures = delivered(&step);
        let given: Vec<Category> = disclosures[0].items().iter().map(|item| item.category).collect();
        let ruling = step.ruling.as_ref().unwrap();
        assert_eq!((disclosures[0].to(), ruling.views()[0].given()), (&endpoint(to), given), "{to}");
    }
    // What a person sent to Kent holds what Kent would have had if the rules had sent it there.
    let kent = || Places { home: Some(common::gss("E10000016")), located: Some(common::gss("E10000016")), ..Places::default() };
    let by_rule = RULES.rule(&Referral { places: kent(), duty_decision: DutyDecision::NotRecorded, ..referral.clone() }, &[]);
    let by_person = RULES.rule_reviewed(&referral, &[], None, &redirect(KENT));
    assert_eq!(by_rule.views()[0].to(), &endpoint(KENT));
    assert_eq!(by_person.views()[0].verdicts(), by_rule.views()[0].verdicts());
    // Early help is not given what only the front door may have.
    let to_early_help = RULES.rule_reviewed(&referral, &[], None, &redirect("la.E08000035.early-help"));
    assert!(!to_early_help.views()[0].given().contains(&Category::PoliceIntelligence));
    let school = reviewed(raised(&nowhere()), &nowhere(), 1, redirect("school.999001"));
    let narrative = |one: &&Disclosure| one.items().iter().any(|item| item.category == Category::ConcernNarrative);
    let to_the_school = delivered(&school).into_iter().filter(|one| *one.to() == endpoint("school.999001"));
    assert_eq!(to_the_school.filter(narrative).count(), 0, "a school gets no more than a school's cells");
}

#[test]
fn nothing_is_redirected_to_an_endpoint_that_is_not_connected_or_to_its_own_sender() {
    for to in ["la.E09000025.front-door", "school.999001"] {
        let step = reviewed(raised(&held()), &held(), 1, redirect(to));
        assert_eq!(step.surprise, Some(Surprise::UnknownTarget), "{to}");
        assert_eq!(step.case, Some(raised(&held())), "it waits on");
    }
}

// ---------------------------------------------------------------- returned

#[test]
fn what_is_returned_goes_to_nobody_and_the_sender_reads_why() {
    let step = reviewed(raised(&held()), &held(), 1, Choice::Return);
    check(
        &step,
        expect![[r#"
            tell: Return by a safeguarding lead, lifted TC-12, because: spoke to the school
            tell: returned, TC-09"#]],
    );
    let case = step.case.unwrap();
    assert_eq!((case.stage(), case.is_open()), (Stage::Returned, true));
    let told = self::step(Some(case), Event::SenderTold, now(), &RULES);
    assert!(!told.case.unwrap().is_open(), "once the sender was told it is closed");
}

// ---------------------------------------------------------------- items that wait while the rest has gone

/// It goes, and what the front door may have only once a person has looked waits.
fn with_marac() -> Referral {
    let mut referral = common::referral();
    referral.items.push(common::text(Category::MaracInformation, "the meeting heard"));
    referral
}

#[test]
fn what_a_recipient_may_have_only_once_a_person_looked_waits_while_the_rest_has_gone() {
    let raised = step(None, Event::Submitted(Box::new(with_marac())), now(), &RULES);
    let case = raised.case.as_ref().unwrap();
    assert_eq!(case.standing(), &Standing::With { responsible: endpoint(LEEDS) });
    assert!(delivered(&raised)[0].items().iter().all(|item| item.category != Category::MaracInformation));
    let waiting = case.waiting().unwrap();
    let items: Vec<(String, Category)> = waiting.items.iter().map(|item| (item.from.to_string(), item.category)).collect();
    assert_eq!(items, [(LEEDS.to_owned(), Category::MaracInformation)]);
    assert_eq!(waiting.by.first().map(|held| held.rule.as_str()), Some("DM-01.marac_information.review"));
    // The alert itself has gone.
    assert!(!waiting.is_urgent());
    assert!(raised.effects.iter().any(|effect| matches!(effect, Effect::AskPerson(_))));
}

#[test]
fn items_that_are_released_go_to_whoever_waits_for_them_and_to_nobody_else() {
    let case = raised(&with_marac());
    let step = reviewed(case.clone(), &with_marac(), 1, Choice::Release);
    check(
        &step,
        expect![[r#"
            tell: Release by a safeguarding lead, lifted DM-01.marac_information.review
            tell: routed, TC-09
            deliver Amendment to la.E08000035.front-door as Responsible"#]],
    );
    let given: Vec<Category> = delivered(&step)[0].items().iter().map(|item| item.category).collect();
    assert!(given.contains(&Category::MaracInformation));
    let after = step.case.unwrap();
    assert!(after.waiting().is_none());
    assert_eq!((after.standing(), after.clocks()), (case.standing(), case.clocks()));
    // Asked twice, it is given once.
    assert_eq!(reviewed(after, &with_marac(), 1, Choice::Release).surprise, Some(Surprise::AlreadyReviewed));
}

#[test]
fn items_that_stay_withheld_change_nothing_and_the_sender_reads_why() {
    let case = raised(&with_marac());
    let step = reviewed(case.clone(), &with_marac(), 1, Choice::Return);
    check(
        &step,
        expect![[r#"tell: Return by a safeguarding lead, lifted DM-01.marac_information.review, because: spoke to the school"#]],
    );
    let after = step.case.unwrap();
    assert!(after.waiting().is_none() && step.ruling.is_none());
    assert_eq!((after.standing(), after.recipients()), (case.standing(), case.recipients()));
}

#[test]
fn items_are_not_redirected_away_from_whoever_has_the_rest() {
    assert_eq!(reviewed(raised(&with_marac()), &with_marac(), 1, redirect(KENT)).surprise, Some(Surprise::OnlyItems));
}

#[test]
fn whoever_releases_the_whole_has_not_released_its_items_and_a_repeat_does_not_either() {
    let both = Referral { duty_decision: DutyDecision::MoreDetrimental, ..with_marac() };
    let step = reviewed(raised(&both), &both, 1, redirect(KENT));
    assert!(delivered(&step)[0].items().iter().all(|item| item.category != Category::MaracInformation));
    let case = step.case.unwrap();
    assert_eq!(case.waiting().map(|waiting| waiting.number), Some(2));
    assert_eq!(reviewed(case.clone(), &both, 1, Choice::Release).surprise, Some(Surprise::AlreadyReviewed));
    // The items go where a person sent the rest, whatever the rules had meant.
    let step = reviewed(case, &both, 2, Choice::Release);
    let to: Vec<String> = delivered(&step).iter().map(|one| one.to().to_string()).collect();
    assert_eq!(to, [KENT]);
}

#[test]
fn a_person_hands_over_only_what_waits_for_one_and_only_on_a_basis() {
    let mut referral = with_marac();
    referral.items.extend(Category::ALL.iter().map(|&category| common::text(category, "canary")));
    for to in [LEEDS, "la.E08000035.early-help", "police.13", "nhs.ZZ101", "school.999001"] {
        let before = RULES.rule_reviewed(&referral, &[], None, &redirect(to));
        let after = RULES.rule_items_reviewed(&referral, &[], &endpoint(to));
        for (before, after) in before.views().iter().zip(after.views()) {
            for (before, after) in before.verdicts().iter().zip(after.verdicts()) {
                let is_lifted = before.given == Extent::Review && after.given == Extent::Whole;
                assert!(before.given == after.given || is_lifted, "{to}: {:?}", after.category);
            }
            assert!(after.given().is_empty() || !after.bases().is_empty(), "{to}");
        }
    }
}

// ---------------------------------------------------------------- who is too late

#[test]
fn a_choice_is_about_the_version_that_waits_and_about_no_other() {
    let (first, second) = (held(), version(held(), 2));
    let case = amended(raised(&first), &second);
    assert_eq!(case.waiting().unwrap().number, 2);
    let changed = Some(Surprise::VersionChanged);
    assert_eq!(reviewed(case.clone(), &first, 1, Choice::Release).surprise, changed);
    // The right number with other content is not what was looked at either.
    assert_eq!(reviewed(case.clone(), &first, 2, Choice::Release).surprise, changed);
    assert!(reviewed(case, &second, 2, Choice::Release).surprise.is_none());
}

#[test]
fn what_a_person_decided_about_is_not_decided_again() {
    for choice in [Choice::Release, redirect(KENT), Choice::Return] {
        let case = reviewed(raised(&held()), &held(), 1, choice).case.unwrap();
        for again in [Choice::Release, redirect(KENT), Choice::Return] {
            let step = reviewed(case.clone(), &held(), 1, again);
            assert_eq!((step.surprise, step.case.as_ref()), (Some(Surprise::AlreadyReviewed), Some(&case)));
        }
    }
}

#[test]
fn what_does_not_wait_is_not_for_a_person_to_move() {
    let with = raised(&common::referral());
    let returned = raised(&Referral { level: Level::Information, purpose_stated: false, ..common::referral() });
    let refused = raised(&Referral { handling: vec![HandlingFlag::Secret], ..common::referral() });
    let stages: Vec<Stage> = [&with, &returned, &refused].map(|case| case.stage()).to_vec();
    assert_eq!(stages, [Stage::Routed, Stage::Returned, Stage::Refused]);
    for case in [with, returned, refused] {
        for choice in [Choice::Release, redirect(KENT), Choice::Return] {
            let step = reviewed(case.clone(), &common::referral(), 1, choice);
            assert_eq!((step.surprise, step.case.as_ref()), (Some(Surprise::NotHeld), Some(&case)));
        }
    }
    let review = Box::new(Review { by: petra(), reason: "".into(), number: 1, choice: Choice::Release });
    let never = step(None, Event::Reviewed { review, referral: Box::new(held()) }, now(), &RULES);
    assert_eq!((never.surprise, never.case), (Some(Surprise::NeverSeen), None));
}

// ---------------------------------------------------------------- among other things that happen

#[test]
fn a_change_that_is_held_takes_nothing_back_and_is_a_change_once_it_is_released() {
    let second = version(held(), 2);
    let case = amended(raised(&common::referral()), &second);
    assert_eq!(case.standing(), &Standing::With { responsible: endpoint(LEEDS) });
    assert_eq!(case.waiting().map(|waiting| waiting.number), Some(1));
    let step = reviewed(case.clone(), &second, 1, Choice::Release);
    assert!(delivered(&step).iter().all(|one| one.matter() == Matter::Amendment));
    assert_eq!(delivered(&step)[0].to(), &endpoint(LEEDS));
    // Given back, what the authority has it keeps.
    let step = reviewed(case, &second, 1, Choice::Return);
    assert!(delivered(&step).is_empty());
    assert_eq!(step.case.unwrap().standing(), &Standing::With { responsible: endpoint(LEEDS) });
}

#[test]
fn a_change_that_needs_nobody_ends_the_waiting() {
    let case = amended(raised(&held()), &version(common::referral(), 2));
    assert!(case.waiting().is_none());
    assert_eq!(reviewed(case, &held(), 1, Choice::Release).surprise, Some(Surprise::NotHeld));
}

#[test]
fn a_change_that_is_refused_leaves_waiting_what_waited() {
    let secret = Referral { handling: vec![HandlingFlag::Secret], ..version(common::referral(), 2) };
    let case = amended(raised(&held()), &secret);
    assert_eq!(case.waiting().map(|waiting| waiting.number), Some(1));
    assert_eq!(case.stage(), Stage::Held);
    assert!(reviewed(case, &held(), 1, Choice::Release).surprise.is_none());
}

#[test]
fn what_its_sender_withdrew_still_waits_for_whoever_looks() {
    let sender = endpoint("school.999001");
    let withdrawn = Event::Withdrawn { from: sender, by: common::person("Dora Lead"), reason: "".into() };
    let case = step(Some(raised(&held())), withdrawn, now(), &RULES).case.unwrap();
    assert!(case.is_withdrawn() && case.waiting().is_some());
    assert!(reviewed(case, &held(), 1, Choice::Release).surprise.is_none());
}

#[test]
fn what_is_marked_too_high_is_lifted_by_nobody() {
    let secret = Referral { handling: vec![HandlingFlag::Secret], ..held() };
    for choice in [Choice::Release, redirect(KENT), Choice::Return] {
        let ruling = RULES.rule_reviewed(&secret, &[], None, &choice);
        assert_eq!(common::goes_to(&ruling), "refused");
        assert!(ruling.views().is_empty());
    }
}

#[test]
fn without_rules_for_its_date_a_person_can_only_give_it_back() {
    let early = Referral { received: "1999-01-04T10:00:00Z".parse().unwrap(), ..common::referral() };
    let rules = Rulebook { library: Library::built_in().unwrap(), ..RULES.clone() };
    let case = step(None, Event::Submitted(Box::new(early.clone())), now(), &rules).case.unwrap();
    for choice in [Choice::Release, redirect(KENT)] {
        let step = reviewed_by(case.clone(), &early, 1, choice, &rules);
        assert_eq!(step.surprise, Some(Surprise::NowhereToGo));
    }
    let step = reviewed_by(case, &early, 1, Choice::Return, &rules);
    assert_eq!(step.case.unwrap().stage(), Stage::Returned);
}

#[test]
fn a_case_and_its_steps_say_nothing_of_whoever_looked() {
    let step = reviewed(raised(&held()), &held(), 1, Choice::Return);
    let case = step.case.as_ref().unwrap();
    let written = serde_json::to_string(case).unwrap();
    assert_eq!(&serde_json::from_str::<Case>(&written).unwrap(), case);
    for told in [written, format!("{step:?}"), format!("{:?}", petra())] {
        for personal in ["Petronella", "safeguarding lead", "operator.desk", "spoke to the school"] {
            assert!(!told.contains(personal), "{personal}");
        }
    }
}
