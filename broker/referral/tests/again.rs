//! A case looked at again: the authority that had it ended (RA-07, P8), or somebody is connected who was not.

mod common;

use common::{endpoint, gss};
use referral::case::{
    Case, ClockState, DisagreementStage, DisagreementState, Effect, Event, News, Question, Stage, Standing, Step, Surprise, step,
};
use referral::rules::review::{Choice, Review, Reviewer};
use referral::rules::{Role, Rulebook};
use referral::submission::{Disagreement, Referral};
use referral::vocab::Level;
use referral::{Digest, Endpoint, Moment};

const SURREY: &str = "la.E10000030.front-door";
const WEST: &str = "la.E06990002.front-door";
const EAST: &str = "la.E06990001.front-door";
const LAST_DAY: &str = "2027-03-31T10:00:00Z";
const VESTING_DAY: &str = "2027-04-01T00:00:05+01:00";

fn rules(endpoints: &[&str]) -> Rulebook {
    let entry = |name: &&str| format!("[[endpoint]]\nname = {name:?}\n");
    let school = "[[endpoint]]\nname = \"school.999001\"\nauthority = \"E10000030\"\n";
    Rulebook::built_in(&(endpoints.iter().map(entry).collect::<String>() + school)).unwrap()
}

/// A child of this place, with an authority since the morning before Surrey ends.
fn of(place: &str, change: impl FnOnce(&mut Referral)) -> Referral {
    let mut referral = common::referral();
    referral.received = LAST_DAY.parse().unwrap();
    referral.places.home = Some(gss(place));
    referral.places.located = Some(gss(place));
    change(&mut referral);
    referral
}

fn raised(referral: &Referral, rules: &Rulebook) -> Case {
    let step = step(None, Event::Submitted(Box::new(referral.clone())), referral.received, rules);
    encoded(step).case.unwrap()
}

/// The shell says what each delivery was encoded to.
fn encoded(mut step: Step) -> Step {
    for effect in &step.effects {
        let (delivery, to) = match effect {
            Effect::Deliver(disclosure) => (disclosure.delivery(), disclosure.to()),
            Effect::Notify(notice) => (notice.delivery, &notice.to),
            Effect::TellSender(_) | Effect::AskPerson(_) => continue,
        };
        step.case.as_mut().unwrap().was_encoded(delivery, Digest::of_bytes(delivery.as_bytes()), to);
    }
    step
}

fn looked_again(case: Case, referral: &Referral, at: &str, rules: &Rulebook) -> Step {
    let event = Event::LookedAgain { referral: Some(Box::new(referral.clone())) };
    encoded(step(Some(case), event, at.parse().unwrap(), rules))
}

fn told(step: &Step) -> Vec<String> {
    let line = |effect: &Effect| match effect {
        Effect::Deliver(disclosure) => format!("{:?} to {} as {:?}", disclosure.matter(), disclosure.to(), disclosure.role()),
        Effect::Notify(notice) => format!("{:?} to {}", notice.matter, notice.to),
        Effect::TellSender(News::PassedToSuccessor { from, to }) => format!("sender: {to} follows {from}"),
        Effect::TellSender(News::NotConnected(to)) => format!("sender: {to} is not connected"),
        Effect::TellSender(News::Held(_)) => "sender: held".to_owned(),
        Effect::TellSender(_) => "sender: something else".to_owned(),
        Effect::AskPerson(Question::Review { rules, .. }) => format!("a person: {}", rules.join(" ")),
        Effect::AskPerson(Question::NotConnected { to, .. }) => format!("a person: {to} is not connected"),
    };
    step.effects.iter().map(line).collect()
}

fn running(case: &Case) -> Vec<(String, Moment)> {
    let runs = case.clocks().iter().filter(|clock| clock.state == ClockState::Running);
    runs.map(|clock| (clock.name.to_string(), clock.due.by)).collect()
}

fn responsible(case: &Case) -> Endpoint {
    match case.standing() {
        Standing::With { responsible } => responsible.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_open_case_passes_to_the_authority_that_follows_for_the_childs_place_with_the_clocks_as_they_run() {
    let rules = rules(&[SURREY, "la.E10000030.front-door-manager", WEST, EAST]);
    for (district, follows) in [("E07000209", WEST), ("E07000207", EAST)] {
        let referral = of(district, |_| {});
        let case = raised(&referral, &rules);
        assert_eq!(responsible(&case), endpoint(SURREY));
        let clocks = running(&case);
        assert!(!clocks.is_empty());
        let on = |at: &str| referral::time::london_date(at.parse().unwrap());
        assert!(!case.wants_another_look(on(LAST_DAY), &rules.directory), "Surrey has it to its last day");
        assert!(case.wants_another_look(on(VESTING_DAY), &rules.directory));

        let step = looked_again(case, &referral, VESTING_DAY, &rules);
        assert_eq!(
            told(&step),
            [
                format!("sender: {follows} follows {SURREY}"),
                format!("Referral to {follows} as Responsible"),
                format!("PassedToSuccessor to {SURREY}"),
            ]
        );
        let by: Vec<String> = step.ruling.as_ref().unwrap().by().iter().map(|reason| reason.rule.to_string()).collect();
        assert_eq!(by, ["RA-07"]);
        let whole = step.effects.iter().find_map(|effect| match effect {
            Effect::Deliver(disclosure) => Some(disclosure),
            Effect::Notify(_) | Effect::TellSender(_) | Effect::AskPerson(_) => None,
        });
        let whole = whole.unwrap();
        assert_eq!(whole.received(), referral.received);
        let handed_over: Vec<_> = whole.clocks().iter().map(|clock| (clock.name.to_string(), clock.due.by)).collect();
        assert_eq!(handed_over, clocks);
        let case = step.case.unwrap();
        assert_eq!(responsible(&case), endpoint(follows));
        assert_eq!(running(&case), clocks, "nobody is given more time, and nobody less");
        assert!(!case.wants_another_look(on(VESTING_DAY), &rules.directory));
        let roles: Vec<(String, Role)> = case.recipients().iter().map(|to| (to.to.to_string(), to.role)).collect();
        assert!(roles.contains(&(SURREY.to_owned(), Role::Notified)) && roles.contains(&(follows.to_owned(), Role::Responsible)));

        // A breach is told where the child is now.
        let late = encoded(referral::case::step(Some(case), Event::Woken, "2027-04-20T10:00:00Z".parse().unwrap(), &rules));
        let manager = follows.replace("front-door", "front-door-manager");
        assert!(told(&late).contains(&format!("a person: {manager} is not connected")), "{:?}", told(&late));
    }
}

#[test]
fn a_disagreement_that_nobody_has_answered_goes_along_to_the_successor() {
    let rules = rules(&[SURREY, WEST, "la.E06990002.front-door-manager"]);
    let referral = of("E07000209", |_| {});
    let disagreement = Disagreement {
        from: referral.sender.clone(),
        by: common::person("Dora Lead"),
        reason: "Nobody has rung.".into(),
        is_immediate_danger: false,
    };
    let event = Event::Disagreed { disagreement, referral: None };
    let case = encoded(step(Some(raised(&referral, &rules)), event, referral.received, &rules)).case.unwrap();
    let step = looked_again(case, &referral, VESTING_DAY, &rules);
    assert!(told(&step).contains(&"Disagreement to la.E06990002.front-door-manager".to_owned()), "{:?}", told(&step));
    assert_eq!(step.case.unwrap().disagreement(), Some((DisagreementStage::Manager, DisagreementState::Open)));
}

/// A clock that is set back takes nothing from an authority that has begun.
#[test]
fn an_authority_that_has_not_begun_by_a_clock_that_is_behind_keeps_what_it_has() {
    let rules = rules(&[SURREY, WEST]);
    let referral = of("E07000209", |referral| referral.received = "2027-04-01T09:00:00Z".parse().unwrap());
    let case = raised(&referral, &rules);
    assert_eq!(responsible(&case), endpoint(WEST));
    let behind = looked_again(case, &referral, LAST_DAY, &rules);
    assert_eq!(behind.surprise, Some(Surprise::NothingDue));
}

#[test]
fn a_second_look_changes_nothing_and_one_without_content_discloses_nothing() {
    let rules = rules(&[SURREY, WEST]);
    let referral = of("E07000209", |_| {});
    let case = raised(&referral, &rules);
    let erased = step(Some(case.clone()), Event::LookedAgain { referral: None }, VESTING_DAY.parse().unwrap(), &rules);
    assert_eq!((erased.surprise, erased.effects.len()), (Some(Surprise::ContentErased), 0));
    let passed = looked_again(case, &referral, VESTING_DAY, &rules).case.unwrap();
    let again = looked_again(passed, &referral, VESTING_DAY, &rules);
    assert_eq!((again.surprise, again.effects.len()), (Some(Surprise::NothingDue), 0));
}

#[test]
fn where_nobody_knows_who_follows_a_person_decides_and_the_case_is_asked_about_once() {
    let rules = rules(&[SURREY, WEST, EAST]);
    // The sender knew the county, and nothing nearer.
    let referral = of("E10000030", |_| {});
    let case = raised(&referral, &rules);
    let step = looked_again(case, &referral, VESTING_DAY, &rules);
    assert_eq!(told(&step), ["a person: RA-07", "sender: held"]);
    let case = step.case.unwrap();
    let waiting = case.waiting().expect("it waits").clone();
    let again = looked_again(case.clone(), &referral, VESTING_DAY, &rules);
    assert_eq!(again.surprise, Some(Surprise::NothingDue));

    let by = Reviewer { person: common::person("Petra Quill"), certificate: "operator.desk".to_owned().into() };
    let choice = Choice::Redirect { to: endpoint(WEST) };
    let review = Box::new(Review { by, reason: "The home is in Woking.".into(), number: waiting.number, choice });
    let event = Event::Reviewed { review, referral: Box::new(referral.clone()) };
    let decided = referral::case::step(Some(case), event, VESTING_DAY.parse().unwrap(), &rules);
    assert_eq!(responsible(&decided.case.unwrap()), endpoint(WEST));
}

/// A child in danger ten minutes before midnight is the night team's, and ten minutes later the other night team's.
#[test]
fn what_the_night_team_had_goes_to_the_night_team_that_follows() {
    let rules = rules(&[SURREY, "la.E10000030.edt", WEST, "la.E06990002.edt", "police.45"]);
    let referral = of("E07000209", |referral| {
        referral.level = Level::ImmediateDanger;
        referral.received = "2027-03-31T23:50:00+01:00".parse().unwrap();
    });
    let case = raised(&referral, &rules);
    assert_eq!(responsible(&case), endpoint("la.E10000030.edt"));
    let by_night = looked_again(case.clone(), &referral, VESTING_DAY, &rules).case.unwrap();
    assert_eq!(responsible(&by_night), endpoint("la.E06990002.edt"));
    let by_day = looked_again(case, &referral, "2027-04-01T10:00:00+01:00", &rules).case.unwrap();
    assert_eq!(responsible(&by_day), endpoint(WEST));
}

#[test]
fn whom_a_later_version_does_not_name_gets_nothing_once_it_is_connected() {
    let before = rules(&[SURREY]);
    let referral = of("E10000016", |_| {});
    let case = raised(&referral, &before);
    assert_eq!(case.stage(), Stage::NotConnected);
    let mut corrected = of("E07000209", |_| {});
    corrected.digest = Digest::of_bytes(b"corrected");
    let amended = step(Some(case), Event::Amended(Box::new(corrected.clone())), corrected.received, &before);
    let case = encoded(amended).case.unwrap();
    assert_eq!(responsible(&case), endpoint(SURREY));
    let after = rules(&[SURREY, "la.E10000016.front-door"]);
    let today = referral::time::london_date(referral.received);
    assert!(!case.wants_another_look(today, &after.directory), "Kent is told of nothing that is not its own");
}

#[test]
fn what_ended_is_not_told_anew_because_its_sender_has_not_fetched_that() {
    let rules = rules(&[SURREY, WEST]);
    let referral = of("E07000209", |_| {});
    let case = raised(&referral, &rules);
    let delivery = case.recipients()[0].deliveries[0].id;
    let answer = referral::submission::FrontDoorAnswer {
        from: endpoint(SURREY),
        delivery,
        digest: Digest::of_bytes(delivery.as_bytes()),
        by: common::person("Sam Worker"),
        says: referral::submission::Says::Decided {
            outcome: referral::vocab::Outcome::NoFurtherAction,
            reason: "Nothing was found.".into(),
        },
    };
    let decided = step(Some(case), Event::Answered(answer), referral.received, &rules).case.unwrap();
    assert!(decided.is_open(), "the school has not looked");
    assert!(!decided.wants_another_look(referral::time::london_date(VESTING_DAY.parse().unwrap()), &rules.directory));
}

#[test]
fn whoever_is_connected_no_longer_and_has_said_nothing_is_told_of_by_telephone_and_once() {
    let before = rules(&[SURREY]);
    let referral = of("E07000209", |_| {});
    let case = raised(&referral, &before);
    let after = rules(&[]);
    let cut_off = looked_again(case, &referral, LAST_DAY, &after);
    assert_eq!(told(&cut_off), [format!("sender: {SURREY} is not connected"), format!("a person: {SURREY} is not connected")]);
    let case = cut_off.case.unwrap();
    assert_eq!(looked_again(case.clone(), &referral, LAST_DAY, &after).surprise, Some(Surprise::NothingDue));
    let back = looked_again(case, &referral, LAST_DAY, &before);
    assert_eq!(told(&back).len(), 1, "and has it again once it is connected: {:?}", told(&back));
}

#[test]
fn where_another_reads_an_inbox_it_gets_what_is_open_and_the_one_before_decides_nothing() {
    const COMPANY: &str = "la.E09000021.front-door";
    let served = Rulebook::built_in(&format!(
        "[[endpoint]]\nname = \"{COMPANY}\"\nserves = [\"E09000027\"]\n[[endpoint]]\nname = \"school.999001\"\n"
    ))
    .unwrap();
    let richmond = endpoint("la.E09000027.front-door");
    let referral = of("E09000027", |_| {});
    let mut case = raised(&referral, &served);
    let delivery = case.recipients()[0].deliveries[0].id;
    case.was_encoded(delivery, Digest::of_bytes(delivery.as_bytes()), served.directory.inbox(&richmond));

    let own = rules(&[COMPANY, "la.E09000027.front-door"]);
    let moved = looked_again(case, &referral, LAST_DAY, &own);
    assert_eq!(told(&moved), ["Referral to la.E09000027.front-door as Responsible"]);
    let case = moved.case.unwrap();
    assert_eq!(case.may_answer(&endpoint(COMPANY), delivery, &own.directory), Some(referral::case::MayAnswer::Nothing));
    let newest = case.recipients()[0].deliveries[1].id;
    for says in [
        referral::submission::Says::TransferAccepted,
        referral::submission::Says::AskedForMore { question: "Who fetches her?".into() },
    ] {
        let (digest, by) = (Digest::of_bytes(delivery.as_bytes()), common::person("Sam Worker"));
        let answer = referral::submission::FrontDoorAnswer { from: endpoint(COMPANY), delivery, digest, by, says };
        let answered = step(Some(case.clone()), Event::Answered(answer), LAST_DAY.parse().unwrap(), &own);
        assert!(answered.surprise.is_some() && answered.effects.is_empty());
    }
    assert_eq!(case.may_answer(&richmond, newest, &own.directory), Some(referral::case::MayAnswer::ForTheChild));
    assert_eq!(looked_again(case, &referral, LAST_DAY, &own).surprise, Some(Surprise::NothingDue));
}

#[test]
fn a_successor_that_is_not_connected_is_responsible_and_gets_it_once_it_is() {
    let before = rules(&[SURREY]);
    let referral = of("E07000209", |_| {});
    let case = raised(&referral, &before);
    let passed = looked_again(case, &referral, VESTING_DAY, &before);
    assert!(told(&passed).contains(&format!("sender: {WEST} is not connected")), "{:?}", told(&passed));
    let case = passed.case.unwrap();
    assert_eq!((responsible(&case), case.stage()), (endpoint(WEST), Stage::NotConnected));

    let after = rules(&[SURREY, WEST]);
    let reached = looked_again(case, &referral, "2027-04-01T09:00:00+01:00", &after);
    assert_eq!(told(&reached), [format!("Referral to {WEST} as Responsible")]);
    assert_eq!(reached.case.unwrap().stage(), Stage::Routed);
}

#[test]
fn whoever_was_not_connected_gets_what_it_would_have_had_and_nobody_gets_it_twice() {
    let before = rules(&[SURREY]);
    let referral = of("E07000209", |referral| referral.level = Level::ImmediateDanger);
    let case = raised(&referral, &before);
    let today = referral::time::london_date(referral.received);
    assert!(!case.wants_another_look(today, &before.directory));

    // Surrey Police are told of immediate danger (RA-14), and now there is a road to them.
    let after = rules(&[SURREY, "police.45"]);
    assert!(case.wants_another_look(today, &after.directory));
    let reached = looked_again(case, &referral, LAST_DAY, &after);
    assert_eq!(told(&reached), ["Referral to police.45 as Notified"]);
    let given = reached.effects.iter().find_map(|effect| match effect {
        Effect::Deliver(disclosure) => Some(disclosure),
        Effect::Notify(_) | Effect::TellSender(_) | Effect::AskPerson(_) => None,
    });
    let at_once = step(None, Event::Submitted(Box::new(referral.clone())), referral.received, &after);
    let as_usual = at_once.effects.iter().find_map(|effect| match effect {
        Effect::Deliver(disclosure) if *disclosure.to() == endpoint("police.45") => Some(disclosure),
        Effect::Deliver(_) | Effect::Notify(_) | Effect::TellSender(_) | Effect::AskPerson(_) => None,
    });
    let items = |disclosure: &referral::disclosure::Disclosure| format!("{:?}", disclosure.items());
    assert_eq!(given.map(|given| items(given)), as_usual.map(|given| items(given)), "no more and no less than at once");
    let again = looked_again(reached.case.unwrap(), &referral, LAST_DAY, &after);
    assert_eq!(again.surprise, Some(Surprise::NothingDue));
}

#[test]
fn what_was_withdrawn_goes_nowhere_any_more() {
    let before = rules(&[]);
    let referral = of("E07000209", |referral| {
        referral.level = Level::InNeed;
        referral.agreement = referral::vocab::Agreement::Given;
    });
    let case = raised(&referral, &before);
    let withdrawn = Event::Withdrawn { from: referral.sender.clone(), by: common::person("Dora Lead"), reason: "".into() };
    let case = step(Some(case), withdrawn, referral.received, &before).case.unwrap();
    let after = rules(&[SURREY]);
    assert!(!case.wants_another_look(referral::time::london_date(referral.received), &after.directory));
    assert_eq!(looked_again(case, &referral, LAST_DAY, &after).surprise, Some(Surprise::NothingDue));
}
