//! The life of a case, step by step: what is owed at each, and what can never happen whatever the order.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use common::{endpoint, gss};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use referral::case::{
    Case, ClockState, Delivered, DisagreementStage, DisagreementState, Effect, Event, News, Question, Rung, Stage, Standing,
    Step, Surprise, step,
};
use referral::disclosure::{Disclosure, Matter};
use referral::identifiers::{NhsNumber, Postcode, Upn};
use referral::rules::review::{Choice, Review, Reviewer};
use referral::rules::{Decision, Role, Rulebook};
use referral::submission::*;
use referral::vocab::*;
use referral::{DeliveryId, Digest, Endpoint, Moment, ReferralId, Sealed};

static RULES: LazyLock<Rulebook> = LazyLock::new(common::rulebook);

const LEEDS: &str = "la.E08000035.front-door";
const KENT: &str = "la.E10000016.front-door";

// ---------------------------------------------------------------- a life to tell

/// A case, and what the shell does with it between steps.
struct Life {
    case: Option<Case>,
    now: Moment,
    base: Referral,
    /// What was delivered, in order.
    sent: Vec<Disclosure>,
    /// What was submitted or amended, in order.
    versions: Vec<Referral>,
}

fn digest_of(delivery: DeliveryId) -> Digest {
    Digest::of_bytes(delivery.as_bytes())
}

impl Life {
    fn new(change: impl FnOnce(&mut Referral)) -> Life {
        let mut base = common::referral();
        change(&mut base);
        Life { case: None, now: base.received, base, sent: vec![], versions: vec![] }
    }

    /// One step; the shell says what each delivery was encoded to, as it does before it commits.
    fn step(&mut self, event: Event) -> Step {
        let version = match &event {
            Event::Submitted(referral) | Event::Amended(referral) => Some((**referral).clone()),
            _ => None,
        };
        let mut next = step(self.case.take(), event, self.now, &RULES);
        // What was refused, or changed nothing, is not kept.
        let is_refused = next.ruling.as_ref().is_some_and(|ruling| *ruling.decision() == Decision::Refuse);
        self.versions.extend(version.filter(|_| next.surprise.is_none() && !is_refused));
        for effect in &next.effects {
            let (to, delivery) = match effect {
                Effect::Deliver(disclosure) => {
                    self.sent.push((**disclosure).clone());
                    (disclosure.to(), disclosure.delivery())
                }
                Effect::Notify(notice) => (&notice.to, notice.delivery),
                Effect::TellSender(_) | Effect::AskPerson(_) => continue,
            };
            next.case.as_mut().unwrap().was_encoded(delivery, digest_of(delivery), to);
        }
        self.case.clone_from(&next.case);
        next
    }

    fn raise(&mut self) -> String {
        let referral = Box::new(self.base.clone());
        told(&self.step(Event::Submitted(referral)))
    }

    /// The next version of what was raised.
    fn version(&self, nth: u8, change: impl FnOnce(&mut Referral)) -> Box<Referral> {
        let mut next = self.base.clone();
        next.digest = Digest::of_bytes(&[b'v', nth]);
        change(&mut next);
        Box::new(next)
    }

    fn amend(&mut self, nth: u8, change: impl FnOnce(&mut Referral)) -> String {
        let version = self.version(nth, change);
        told(&self.step(Event::Amended(version)))
    }

    fn withdraw(&mut self, from: &str) -> String {
        told(&self.step(Event::Withdrawn { from: endpoint(from), by: common::person("Dora Lead"), reason: "moved away".into() }))
    }

    /// The last thing that was delivered to `to`.
    fn last_to(&self, to: &str) -> DeliveryId {
        let recipient = self.case.as_ref().unwrap().recipients().iter().find(|recipient| recipient.to == endpoint(to)).unwrap();
        recipient.deliveries.last().unwrap().id
    }

    /// The last thing that was delivered to `to` about `matter`.
    fn about(&self, to: &str, matter: Matter) -> DeliveryId {
        let recipient = self.case.as_ref().unwrap().recipients().iter().find(|recipient| recipient.to == endpoint(to)).unwrap();
        recipient.deliveries.iter().rfind(|delivery| delivery.matter == matter).unwrap().id
    }

    fn answer(&mut self, from: &str, says: Says) -> String {
        let delivery = self.last_to(from);
        self.answer_to(from, delivery, digest_of(delivery), says)
    }

    fn answer_to(&mut self, from: &str, delivery: DeliveryId, digest: Digest, says: Says) -> String {
        told(&self.step(Event::Answered(FrontDoorAnswer {
            from: endpoint(from),
            delivery,
            digest,
            by: common::person("Sam Worker"),
            says,
        })))
    }

    /// The version that counts, as the shell kept it.
    fn newest(&self) -> Option<Box<Referral>> {
        let counts =
            |referral: &&Referral| self.case.as_ref().is_some_and(|case| case.digest_to_hand_on() == Some(referral.digest));
        self.versions.iter().rfind(counts).cloned().map(Box::new)
    }

    /// An answer with which `from` hands the referral on.
    fn hand_on(&mut self, from: &str, says: Says) -> String {
        let (delivery, by) = (self.last_to(from), common::person("Sam Worker"));
        let digest = digest_of(delivery);
        let answer = FrontDoorAnswer { from: endpoint(from), delivery, digest, by, says };
        let referral = self.newest().unwrap();
        told(&self.step(Event::HandedOn { answer, referral }))
    }

    fn disagree(&mut self, is_immediate_danger: bool) -> String {
        let reason = "The bruises were not looked at.".into();
        let from = self.case().sender().clone();
        let disagreement = Disagreement { from, by: common::person("Dora Lead"), reason, is_immediate_danger };
        let referral = self.newest();
        told(&self.step(Event::Disagreed { disagreement, referral }))
    }

    fn withdraw_consent(&mut self, from: &str) -> String {
        let (from, by, on) = (endpoint(from), common::person("Dora Lead"), jiff::civil::date(2026, 11, 23));
        let (holder, reason) = (AgreementHolder::ParentalResponsibility, Some("She wants to manage alone.".into()));
        let withdrawal = ConsentWithdrawal { from, by, holder, on, reason };
        let referral = self.newest();
        told(&self.step(Event::ConsentWithdrawn { withdrawal, referral }))
    }

    fn delivered(&mut self, to: &str) -> String {
        let delivery = self.last_to(to);
        told(&self.step(Event::Delivered(delivery)))
    }

    fn wake(&mut self, at: &str) -> String {
        self.now = at.parse().unwrap();
        told(&self.step(Event::Woken))
    }

    fn case(&self) -> &Case {
        self.case.as_ref().unwrap()
    }

    fn clocks(&self) -> Vec<String> {
        let state = |state| match state {
            ClockState::Running => "runs".to_owned(),
            ClockState::Met { at } => format!("met at {at}"),
            ClockState::Breached { at } => format!("breached at {at}"),
            ClockState::Stopped => "stopped".to_owned(),
        };
        self.case().clocks().iter().map(|clock| format!("{} by {}: {}", clock.name, clock.due.by, state(clock.state))).collect()
    }
}

fn decided(outcome: Outcome) -> Says {
    Says::Decided { outcome, reason: "We will see the family tomorrow.".into() }
}

/// What a step owes, a line for each.
fn told(step: &Step) -> String {
    let line = |effect: &Effect| match effect {
        Effect::Deliver(disclosure) => {
            format!("deliver {:?} to {} as {:?}", disclosure.matter(), disclosure.to(), disclosure.role())
        }
        Effect::Notify(notice) => format!("notify {} of {:?}: {}", notice.to, notice.matter, notice.text),
        Effect::TellSender(news) => format!("tell the sender: {}", of_news(news)),
        Effect::AskPerson(Question::Review { urgent, rules }) => {
            format!("ask a person{}: {}", if *urgent { " at once" } else { "" }, rules.join(" "))
        }
        Effect::AskPerson(Question::NotConnected { to, urgent }) => {
            format!("ask a person{}: {to} is not connected", if *urgent { " at once" } else { "" })
        }
    };
    let surprise = step.surprise.map(|surprise| format!("surprise: {}", surprise.words()));
    let lines: Vec<String> = step.effects.iter().map(line).chain(surprise).collect();
    lines.join("\n")
}

fn of_news(news: &News) -> String {
    match news {
        News::Accepted => "accepted".to_owned(),
        News::Routed(routing) => {
            format!("routed by {}", routing.by.iter().map(|reason| reason.rule.to_string()).collect::<Vec<_>>().join(" "))
        }
        News::Held(_) => "held".to_owned(),
        News::Reviewed(news) => format!("reviewed: {:?}", news.choice),
        News::ReturnedToSender(_) => "returned".to_owned(),
        News::Refused(_) => "refused".to_owned(),
        News::Amended { same_key } => format!("amended{}", if *same_key { ", under the first key" } else { "" }),
        News::Withdrawn => "withdrawn".to_owned(),
        News::ConsentWithdrawn { holder, on } => format!("agreement was withdrawn by the {} on {on}", holder.words()),
        News::Delivered(to) => format!("delivered to {to}"),
        News::NotConnected(to) => format!("not connected to {to}"),
        News::Collected(at) => format!("collected at {at}"),
        News::Acknowledged { at, by } => format!("acknowledged at {at} by {}", by.name.open()),
        News::Decided { at, by, outcome, reason } => {
            format!("decided at {at} by {}: {outcome}, {}", by.name.open(), reason.open())
        }
        News::OutcomeReturned => "outcome returned".to_owned(),
        News::ClockBreached { clock, due } => format!("{clock} ran out at {}", due.by),
        News::AskedForMore { at, by, question } => format!("asked at {at} by {}: {}", by.name.open(), question.open()),
        News::TransferOffered { from, to } => format!("{from} offers it to {to}"),
        News::TransferAccepted { from, to, by } => format!("{to} takes it over from {from}, by {}", by.name.open()),
        News::TransferRefused { from, to } => format!("{to} does not take it over from {from}"),
        News::PassedToSuccessor { from, to } => format!("{to} follows {from}"),
        News::TransferWithdrawn { from, to } => format!("{from} offers it to {to} no longer"),
        News::StrategyDiscussionHeld { at } => format!("a strategy discussion was held at {at}"),
        News::ReferredOn { at, to } => format!("{at} refers it on to {to}"),
        News::HandlingLifted { at, condition } => format!("{at} lifts {condition}"),
        News::Disagreed { before: Some((to, stage)) } => {
            format!("the disagreement, stage {}, goes to {to}", stage.number())
        }
        News::Disagreed { before: None } => "the disagreement goes to whoever is on duty".to_owned(),
    }
}

fn check(told: String, expected: Expect) {
    expected.assert_eq(&told);
}

// ---------------------------------------------------------------- the ladder

#[test]
fn a_referral_is_raised_delivered_collected_acknowledged_decided_and_closed() {
    let mut life = Life::new(|_| {});
    check(
        life.raise(),
        expect![[r#"
        tell the sender: accepted
        tell the sender: routed by RA-01 RA-20.open
        deliver Referral to la.E08000035.front-door as Responsible"#]],
    );
    assert_eq!(life.case().stage(), Stage::Routed);
    check(life.delivered(LEEDS), expect!["tell the sender: delivered to la.E08000035.front-door"]);
    assert_eq!(life.case().stage(), Stage::Delivered);
    check(life.answer(LEEDS, Says::Collected), expect!["tell the sender: collected at la.E08000035.front-door"]);
    assert_eq!(life.case().stage(), Stage::Collected);
    check(
        life.answer(LEEDS, Says::Acknowledged),
        expect!["tell the sender: acknowledged at la.E08000035.front-door by Sam Worker"],
    );
    assert_eq!(life.case().stage(), Stage::Acknowledged);
    life.now = "2026-11-23T15:00:00Z".parse().unwrap();
    check(
        life.answer(LEEDS, decided(Outcome::S17Assessment)),
        expect![
            "tell the sender: decided at la.E08000035.front-door by Sam Worker: s17_assessment, We will see the family tomorrow."
        ],
    );
    assert_eq!((life.case().stage(), life.case().is_open()), (Stage::Decided, true));
    check(told(&life.step(Event::SenderTold)), expect!["tell the sender: outcome returned"]);
    assert_eq!(
        (life.case().stage(), life.case().is_open(), life.case().outcome()),
        (Stage::OutcomeReturned, false, Some(Outcome::S17Assessment))
    );
    check(told(&life.step(Event::SenderTold)), expect!["surprise: nothing was due"]);
    // What is left is the assessment itself, which nobody forgets (CL-04).
    assert_eq!(life.case().wake_at(), Some("2027-01-29T00:00:00Z".parse().unwrap()));
}

#[test]
fn a_case_stays_open_until_the_outcome_has_reached_the_sender() {
    let mut life = Life::new(|_| {});
    life.raise();
    check(told(&life.step(Event::SenderTold)), expect!["surprise: nothing was due"]);
    assert!(life.case().is_open());
    life.answer(LEEDS, Says::Acknowledged);
    check(told(&life.step(Event::SenderTold)), expect!["surprise: nothing was due"]);
    assert!(life.case().is_open());
}

#[test]
fn a_machine_that_collected_it_has_not_acknowledged_it() {
    let mut life = Life::new(|_| {});
    life.raise();
    check(life.answer(LEEDS, Says::Collected), expect!["tell the sender: collected at la.E08000035.front-door"]);
    assert_eq!(life.case().stage(), Stage::Collected);
    assert!(life.clocks().iter().all(|clock| clock.ends_with("runs")));
}

#[test]
fn a_late_lower_rung_never_overwrites_a_higher_one() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.answer(LEEDS, decided(Outcome::NoFurtherAction));
    for late in [Says::Acknowledged, Says::Collected] {
        check(life.answer(LEEDS, late), expect!["surprise: a later step was reached already"]);
    }
    check(life.delivered(LEEDS), expect!["surprise: a later step was reached already"]);
    assert_eq!(life.case().stage(), Stage::Decided);
}

#[test]
fn a_second_acknowledgement_is_no_news_and_a_second_decision_is() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.answer(LEEDS, Says::Acknowledged);
    check(life.answer(LEEDS, Says::Acknowledged), expect!["surprise: a later step was reached already"]);
    life.answer(LEEDS, decided(Outcome::NoFurtherAction));
    life.step(Event::SenderTold);
    check(
        life.answer(LEEDS, decided(Outcome::StrategyDiscussionS47)),
        expect![
            "tell the sender: decided at la.E08000035.front-door by Sam Worker: strategy_discussion_s47, We will see the family tomorrow."
        ],
    );
    assert_eq!((life.case().outcome(), life.case().is_open()), (Some(Outcome::StrategyDiscussionS47), true));
}

// ---------------------------------------------------------------- repeats and changes

#[test]
fn a_repeat_owes_nothing() {
    let mut life = Life::new(|_| {});
    life.raise();
    let before = life.case().clone();
    check(life.raise(), expect!["surprise: this was received before"]);
    assert_eq!(*life.case(), before);
    life.amend(2, |_| {});
    // The first content again, and the second: both are known for ever.
    check(life.raise(), expect!["surprise: this was received before"]);
    check(life.amend(2, |_| {}), expect!["surprise: this was received before"]);
}

#[test]
fn other_content_under_the_same_key_is_an_amendment_and_flagged() {
    let mut life = Life::new(|_| {});
    life.raise();
    let version = life.version(2, |_| {});
    check(
        told(&life.step(Event::Submitted(version))),
        expect![[r#"
        tell the sender: amended, under the first key
        tell the sender: routed by RA-01 RA-20.open
        deliver Amendment to la.E08000035.front-door as Responsible"#]],
    );
    assert_eq!(life.case().recipients()[0].deliveries.len(), 2);
}

#[test]
fn an_amendment_goes_to_everybody_who_had_an_earlier_version() {
    let mut life = Life::new(|referral| referral.level = Level::ImmediateDanger);
    check(
        life.raise(),
        expect![[r#"
        tell the sender: accepted
        tell the sender: routed by RA-02 RA-20.open
        deliver Referral to la.E08000035.front-door as Responsible
        deliver Referral to police.13 as Notified"#]],
    );
    // Less serious, and the child lives in Kent: police and Leeds still have the first version.
    check(
        life.amend(2, |referral| {
            referral.level = Level::InNeed;
            referral.places.home = Some(gss("E07000106"));
        }),
        expect![[r#"
            tell the sender: amended
            tell the sender: routed by RA-03 RA-20.below
            deliver Referral to la.E10000016.front-door as Responsible
            deliver Amendment to la.E08000035.front-door as EarlierRecipient
            deliver Amendment to police.13 as EarlierRecipient"#]],
    );
    assert_eq!(*life.case().standing(), Standing::With { responsible: endpoint(KENT) });
}

#[test]
fn an_amendment_that_would_be_held_takes_nothing_back() {
    let mut life = Life::new(|_| {});
    life.raise();
    check(
        life.amend(2, |referral| {
            referral.level = Level::InNeed;
            referral.agreement = Agreement::Refused;
        }),
        expect![[r#"
            tell the sender: amended
            ask a person: RA-03 TC-03.no-duty
            tell the sender: held"#]],
    );
    assert_eq!(*life.case().standing(), Standing::With { responsible: endpoint(LEEDS) });
}

#[test]
fn a_held_referral_that_becomes_significant_harm_goes_at_once() {
    let mut life = Life::new(|referral| (referral.level, referral.agreement) = (Level::InNeed, Agreement::Refused));
    check(
        life.raise(),
        expect![[r#"
        tell the sender: accepted
        ask a person: RA-03 TC-03.no-duty
        tell the sender: held"#]],
    );
    assert_eq!((life.case().stage(), life.case().wake_at()), (Stage::Held, None));
    check(
        life.amend(2, |referral| referral.level = Level::SignificantHarm),
        expect![[r#"
            tell the sender: amended
            tell the sender: routed by RA-01 RA-20.open
            deliver Referral to la.E08000035.front-door as Responsible"#]],
    );
    assert_eq!(life.case().stage(), Stage::Routed);
}

#[test]
fn what_was_returned_or_refused_is_over_when_the_sender_knows() {
    let mut returned = Life::new(|referral| (referral.level, referral.purpose_stated) = (Level::Information, false));
    check(
        returned.raise(),
        expect![[r#"
        tell the sender: accepted
        tell the sender: returned"#]],
    );
    assert_eq!((returned.case().stage(), returned.case().is_open()), (Stage::Returned, true));
    returned.step(Event::SenderTold);
    assert!(!returned.case().is_open());
    let mut refused = Life::new(|referral| referral.handling = vec![HandlingFlag::Secret]);
    check(
        refused.raise(),
        expect![[r#"
        tell the sender: accepted
        tell the sender: refused"#]],
    );
    assert_eq!(refused.case().stage(), Stage::Refused);
}

#[test]
fn a_change_never_gives_an_authority_more_time() {
    let mut life = Life::new(|_| {});
    life.raise();
    let before = life.clocks();
    life.amend(2, |referral| referral.received = "2026-11-24T16:00:00Z".parse().unwrap());
    assert_eq!(life.clocks(), before);
}

#[test]
fn only_the_sender_changes_or_takes_back() {
    let mut life = Life::new(|_| {});
    life.raise();
    check(
        life.amend(2, |referral| referral.sender = endpoint("nhs.ZZ101")),
        expect!["surprise: there is no such referral of yours"],
    );
    check(life.withdraw("nhs.ZZ101"), expect!["surprise: there is no such referral of yours"]);
    check(life.withdraw(LEEDS), expect!["surprise: there is no such referral of yours"]);
}

#[test]
fn what_never_was_raised_is_a_surprise() {
    let events = |life: &Life| {
        let delivery = DeliveryId::from_bytes([1; 16]);
        let by = || common::person("Sam Worker");
        vec![
            Event::Amended(life.version(2, |_| {})),
            Event::Withdrawn { from: endpoint("school.999001"), by: by(), reason: "".into() },
            Event::Answered(FrontDoorAnswer {
                from: endpoint(LEEDS),
                delivery,
                digest: digest_of(delivery),
                by: by(),
                says: Says::Acknowledged,
            }),
            Event::Delivered(delivery),
            Event::SenderTold,
            Event::Woken,
            Event::LookedAgain { referral: Some(Box::new(life.base.clone())) },
        ]
    };
    let mut life = Life::new(|_| {});
    for event in events(&life) {
        let step = life.step(event);
        assert_eq!((step.case, step.effects, step.surprise), (None, vec![], Some(Surprise::NeverSeen)));
    }
}

// ---------------------------------------------------------------- who may answer, and to what

#[test]
fn an_answer_is_to_what_was_sent_to_whoever_answers_and_to_nothing_else() {
    let mut life = Life::new(|referral| referral.level = Level::ImmediateDanger);
    life.raise();
    let (ours, police) = (life.last_to(LEEDS), life.last_to("police.13"));
    let mut check = |from: &str, delivery: DeliveryId, digest: Digest, expected: &str| {
        for says in [Says::Collected, Says::Acknowledged, decided(Outcome::NoFurtherAction)] {
            assert_eq!(life.answer_to(from, delivery, digest, says), format!("surprise: {expected}"));
        }
    };
    check(KENT, ours, digest_of(ours), "no such delivery went to you");
    check("la.E08000035.edt", ours, digest_of(ours), "no such delivery went to you");
    check("school.999001", ours, digest_of(ours), "no such delivery went to you");
    check("police.13", ours, digest_of(ours), "no such delivery went to you");
    check(LEEDS, police, digest_of(police), "no such delivery went to you");
    check(LEEDS, DeliveryId::from_bytes([9; 16]), digest_of(ours), "no such delivery went to you");
    check(LEEDS, ours, digest_of(police), "the answer is to other content than was delivered");
}

#[test]
fn an_answer_to_something_not_yet_encoded_is_refused() {
    let mut life = Life::new(|_| {});
    let raised = Event::Submitted(Box::new(life.base.clone()));
    life.case = step(None, raised, life.now, &RULES).case;
    check(life.answer(LEEDS, Says::Acknowledged), expect!["surprise: the answer is to other content than was delivered"]);
}

#[test]
fn a_desk_that_serves_another_authority_answers_in_that_authoritys_name() {
    let inbox = "la.E08000032.front-door";
    let rules = referral::rules::Rulebook::built_in(&format!(
        "[[endpoint]]\nname = \"{inbox}\"\nserves = [\"E08000035\"]\n\
         [[endpoint]]\nname = \"school.999001\"\nauthority = \"E08000035\"\n"
    ))
    .unwrap();
    let mut life = Life::new(|_| ());
    let raised = step(None, Event::Submitted(Box::new(life.base.clone())), life.now, &rules);
    let mut case = raised.case.unwrap();
    let first = case.recipients().iter().find(|recipient| recipient.to == endpoint(LEEDS)).unwrap();
    let delivery = first.deliveries.first().unwrap().id;
    case.was_encoded(delivery, digest_of(delivery), &endpoint(LEEDS));
    life.case = Some(case.clone());
    // Where it did not go into its inbox, it is nobody to this case.
    assert_eq!(
        life.answer_to(inbox, delivery, digest_of(delivery), Says::Acknowledged),
        "surprise: no such delivery went to you"
    );
    case.was_encoded(delivery, digest_of(delivery), rules.directory.inbox(&endpoint(LEEDS)));
    assert_eq!(case.may_answer(&endpoint(inbox), delivery, &rules.directory), Some(referral::case::MayAnswer::ForTheChild));
    assert_eq!(case.may_answer(&endpoint(LEEDS), delivery, &rules.directory), None);
    let answer = FrontDoorAnswer {
        from: endpoint(inbox),
        delivery,
        digest: digest_of(delivery),
        by: common::person("Sam Worker"),
        says: decided(Outcome::S17Assessment),
    };
    let answered = step(Some(case), Event::Answered(answer), life.now, &rules);
    assert!(told(&answered).contains(&format!("at {LEEDS}")), "{}", told(&answered));
    assert_eq!(answered.case.unwrap().outcome(), Some(Outcome::S17Assessment));
}

/// A change that waits for a person, or was refused, goes on the road of no handover: what is handed on is what the
/// authority has.
#[test]
fn what_waits_or_was_refused_is_not_handed_on_in_the_place_of_what_the_authority_has() {
    let mut life = Life::new(|_| {});
    life.raise();
    let first = life.case().digest();
    // The family refuses early help, so a person looks first; and a marking that is too high is refused (HR-08).
    let held = life.amend(2, |referral| {
        referral.level = Level::EarlyHelp;
        referral.agreement = Agreement::Refused;
    });
    assert!(held.contains("ask a person"), "{held}");
    let refused = life.amend(3, |referral| referral.handling = vec![HandlingFlag::Secret]);
    assert!(refused.contains("refused"), "{refused}");
    assert_ne!(life.case().digest(), first);
    assert_eq!(life.case().digest_to_hand_on(), first);
    let offer = Says::TransferOffered { to: gss("E10000016"), reason: "They moved.".into() };
    let told = life.hand_on(LEEDS, offer);
    assert!(told.contains(&format!("deliver TransferOffer to {KENT}")), "{told}");
}

#[test]
fn only_the_responsible_authority_decides() {
    let mut life = Life::new(|referral| referral.level = Level::ImmediateDanger);
    life.raise();
    check(life.answer("police.13", Says::Acknowledged), expect!["tell the sender: acknowledged at police.13 by Sam Worker"]);
    check(
        life.answer("police.13", decided(Outcome::NoFurtherAction)),
        expect!["surprise: only the responsible authority decides"],
    );
    assert_eq!(life.case().outcome(), None);
    assert!(life.clocks().iter().all(|clock| clock.ends_with("runs")), "somebody told does not stop a clock");
}

#[test]
fn an_authority_that_is_no_longer_responsible_decides_nothing() {
    let mut life = Life::new(|_| {});
    life.raise();
    let first = life.last_to(LEEDS);
    life.amend(2, |referral| referral.places.home = Some(gss("E10000016")));
    check(life.answer(LEEDS, decided(Outcome::NoFurtherAction)), expect!["surprise: only the responsible authority decides"]);
    check(
        life.answer_to(LEEDS, first, digest_of(first), decided(Outcome::NoFurtherAction)),
        expect!["surprise: only the responsible authority decides"],
    );
    assert!(life.clocks().iter().all(|clock| clock.ends_with("runs")));
    check(
        life.answer(KENT, decided(Outcome::S17Assessment)),
        expect![
            "tell the sender: decided at la.E10000016.front-door by Sam Worker: s17_assessment, We will see the family tomorrow."
        ],
    );
    assert_eq!(life.case().outcome(), Some(Outcome::S17Assessment));
}

#[test]
fn the_night_desk_of_the_same_authority_decides_what_the_front_door_has_by_morning() {
    let mut life = Life::new(|referral| referral.received = "2026-11-22T23:00:00Z".parse().unwrap());
    life.raise();
    life.amend(2, |referral| referral.received = "2026-11-23T10:00:00Z".parse().unwrap());
    assert_eq!(*life.case().standing(), Standing::With { responsible: endpoint(LEEDS) });
    check(
        life.answer("la.E08000035.edt", decided(Outcome::EmergencyAction)),
        expect!["tell the sender: decided at la.E08000035.edt by Sam Worker: emergency_action, We will see the family tomorrow."],
    );
}

// ---------------------------------------------------------------- clocks

#[test]
fn a_decision_in_time_meets_the_clocks() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.now = "2026-11-24T23:59:59Z".parse().unwrap();
    life.answer(LEEDS, Says::Acknowledged);
    assert!(life.clocks().iter().all(|clock| clock.ends_with("runs")), "an acknowledgement is not a decision");
    life.answer(LEEDS, decided(Outcome::S17Assessment));
    expect![[r#"
        la_ack_decision_1wd by 2026-11-25T00:00:00Z: met at 2026-11-24T23:59:59Z
        referrer_followup_3wd by 2026-11-27T00:00:00Z: met at 2026-11-24T23:59:59Z
        assessment_45wd by 2027-01-29T00:00:00Z: runs"#]]
    .assert_eq(&life.clocks().join("\n"));
    check(life.wake("2026-12-24T00:00:00Z"), expect!["surprise: nothing was due"]);
}

#[test]
fn a_breach_is_told_to_both_sides_once_and_without_content() {
    let mut life = Life::new(|_| {});
    life.raise();
    assert_eq!(life.case().wake_at(), Some("2026-11-25T00:00:00Z".parse().unwrap()));
    check(life.wake("2026-11-24T23:59:59Z"), expect!["surprise: nothing was due"]);
    check(
        life.wake("2026-11-25T00:00:00Z"),
        expect![[r#"
        tell the sender: la_ack_decision_1wd ran out at 2026-11-25T00:00:00Z
        notify la.E08000035.front-door-manager of ClockBreached: The clock la_ack_decision_1wd ran out on a referral that is with the front door of Leeds. Nobody there has said what was decided."#]],
    );
    check(life.wake("2026-11-25T00:00:00Z"), expect!["surprise: nothing was due"]);
    check(
        life.wake("2026-11-27T09:00:00Z"),
        expect![[r#"
        tell the sender: referrer_followup_3wd ran out at 2026-11-27T00:00:00Z
        notify la.E08000035.front-door-manager of ClockBreached: The clock referrer_followup_3wd ran out on a referral that is with the front door of Leeds. Nobody there has said what was decided."#]],
    );
    assert_eq!(life.case().wake_at(), None);
    // The manager was told, and decides nothing by it.
    check(
        life.answer("la.E08000035.front-door-manager", decided(Outcome::NoFurtherAction)),
        expect!["surprise: only the responsible authority decides"],
    );
    life.answer(LEEDS, decided(Outcome::EarlyHelp));
    assert!(life.clocks().iter().all(|clock| clock.contains("breached")), "a late decision does not undo a breach");
}

#[test]
fn two_clocks_that_run_out_while_nobody_looked_are_both_told() {
    let mut life = Life::new(|_| {});
    life.raise();
    let told = life.wake("2026-12-24T09:00:00Z");
    assert_eq!(told.matches("notify la.E08000035.front-door-manager").count(), 2);
    assert_eq!(told.matches("tell the sender").count(), 2);
}

#[test]
fn a_breach_where_no_manager_is_connected_is_put_before_a_person() {
    let mut life = Life::new(|referral| referral.places.home = Some(gss("E10000016")));
    life.raise();
    check(
        life.wake("2026-11-25T00:00:00Z"),
        expect![[r#"
        tell the sender: la_ack_decision_1wd ran out at 2026-11-25T00:00:00Z
        ask a person at once: la.E10000016.front-door-manager is not connected"#]],
    );
}

#[test]
fn a_case_and_its_clocks_survive_being_written_down() {
    let mut life = Life::new(|referral| referral.level = Level::ImmediateDanger);
    life.raise();
    life.answer(LEEDS, Says::Acknowledged);
    life.wake("2026-11-25T00:00:00Z");
    life.amend(2, |referral| referral.level = Level::EarlyHelp);
    life.withdraw("school.999001");
    let read: Case = serde_json::from_str(&serde_json::to_string(life.case()).unwrap()).unwrap();
    assert_eq!(read, *life.case());
    assert_eq!(read.wake_at(), life.case().wake_at());
}

// ---------------------------------------------------------------- withdrawal

#[test]
fn a_withdrawal_below_significant_harm_stops_the_clocks_and_erases_nothing() {
    let mut life = Life::new(|referral| referral.level = Level::InNeed);
    life.raise();
    check(
        life.withdraw("school.999001"),
        expect![[r#"
        notify la.E08000035.front-door of Withdrawal: The sender withdrew this referral. Nothing you were given is erased; a voluntary service is to stop.
        tell the sender: withdrawn"#]],
    );
    assert_eq!((life.case().is_withdrawn(), life.case().wake_at()), (true, None));
    assert_eq!(life.case().recipients()[0].deliveries.len(), 2);
    check(life.withdraw("school.999001"), expect!["surprise: this was received before"]);
    check(life.wake("2026-12-24T00:00:00Z"), expect!["surprise: nothing was due"]);
}

#[test]
fn a_withdrawal_at_significant_harm_stops_nothing() {
    let mut life = Life::new(|referral| referral.level = Level::ImmediateDanger);
    life.raise();
    let before = life.clocks();
    check(
        life.withdraw("school.999001"),
        expect![[r#"
        notify la.E08000035.front-door of Withdrawal: The sender withdrew this referral. It was made at significant harm or above, so your duties and its clocks go on.
        notify police.13 of Withdrawal: The sender withdrew this referral. It was made at significant harm or above, so your duties and its clocks go on.
        tell the sender: withdrawn"#]],
    );
    assert_eq!(life.clocks(), before);
    assert!(life.wake("2026-11-25T00:00:00Z").contains("la_ack_decision_1wd ran out"));
}

#[test]
fn what_was_withdrawn_and_comes_back_more_serious_has_its_clocks_again() {
    let mut life = Life::new(|referral| referral.level = Level::InNeed);
    life.raise();
    life.withdraw("school.999001");
    life.amend(2, |referral| {
        referral.level = Level::SignificantHarm;
        referral.received = "2026-11-25T10:00:00Z".parse().unwrap();
    });
    expect![[r#"
        la_ack_decision_1wd by 2026-11-27T00:00:00Z: runs
        referrer_followup_3wd by 2026-12-01T00:00:00Z: runs"#]]
    .assert_eq(&life.clocks().join("\n"));
    assert!(!life.case().is_withdrawn());
    // It can be taken back again, and everybody is told again.
    assert_eq!(life.withdraw("school.999001").matches("notify").count(), 1);
}

#[test]
fn a_withdrawal_after_a_change_that_is_held_still_finds_significant_harm() {
    let mut life = Life::new(|_| {});
    life.raise();
    let before = life.clocks();
    // Leeds never saw the milder version: a person is still looking at it.
    life.amend(2, |referral| (referral.level, referral.agreement) = (Level::InNeed, Agreement::Refused));
    assert_eq!(life.case().level(), Level::SignificantHarm);
    assert!(life.withdraw("school.999001").contains("your duties and its clocks go on"));
    assert_eq!(life.clocks(), before);
}

#[test]
fn what_was_decided_and_becomes_significant_harm_has_its_clocks_again() {
    let mut life = Life::new(|referral| referral.level = Level::InNeed);
    life.raise();
    life.answer(LEEDS, decided(Outcome::NoFurtherAction));
    life.amend(2, |referral| referral.received = "2026-11-24T10:00:00Z".parse().unwrap());
    assert!(life.clocks().iter().all(|clock| clock.contains("met")), "a change of no greater weight starts nothing");
    life.amend(3, |referral| {
        referral.level = Level::SignificantHarm;
        referral.received = "2026-11-25T10:00:00Z".parse().unwrap();
    });
    expect![[r#"
        la_ack_decision_1wd by 2026-11-27T00:00:00Z: runs
        referrer_followup_3wd by 2026-12-01T00:00:00Z: runs"#]]
    .assert_eq(&life.clocks().join("\n"));
}

// ---------------------------------------------------------------- not connected

#[test]
fn a_recipient_that_is_not_connected_is_put_before_a_person_and_never_forgotten() {
    let mut life = Life::new(|referral| {
        referral.level = Level::ImmediateDanger;
        referral.places.home = Some(gss("E09000030"));
        referral.places.located = Some(gss("E09000030"));
    });
    check(
        life.raise(),
        expect![[r#"
        tell the sender: accepted
        tell the sender: routed by RA-02 RA-20.open
        tell the sender: not connected to la.E09000030.front-door
        ask a person at once: la.E09000030.front-door is not connected
        tell the sender: not connected to police.01
        ask a person at once: police.01 is not connected"#]],
    );
    assert_eq!((life.case().stage(), life.case().is_open()), (Stage::NotConnected, true));
    assert!(life.case().wake_at().is_some(), "its clocks run all the same");
    check(
        life.wake("2026-11-25T00:00:00Z"),
        expect![[r#"
        tell the sender: la_ack_decision_1wd ran out at 2026-11-25T00:00:00Z
        ask a person at once: la.E09000030.front-door-manager is not connected"#]],
    );
}

// ---------------------------------------------------------------- several children

fn three_children() -> Submission {
    let mut submission = common::submission(7);
    let sibling = |name: &str, home: &str| Child {
        circumstances: ChildCircumstances::default(),
        identity: Identity {
            given_name: Some(name.into()),
            family_name: Some("Canary".into()),
            age: Age::About(9),
            ..Identity::default()
        },
        address: None,
        places: Places { home: Some(gss(home)), located: None, ..Places::default() },
    };
    submission.further_children = vec![sibling("Bea", "E08000035"), sibling("Cy", "E07000106")];
    let about = |child, words| Item { about_child: child, ..common::text(Category::ChildHealth, words) };
    submission.items = vec![
        about(Some(0), "of the first"),
        about(Some(1), "of the second"),
        about(Some(2), "of the third"),
        about(None, "of all"),
        about(Some(9), "of nobody here"),
    ];
    submission
}

#[test]
fn children_of_one_submission_are_split_and_cross_linked() {
    let all = three_children().split();
    let ids: Vec<ReferralId> = all.iter().map(|referral| referral.id).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3);
    for referral in &all {
        let others: Vec<ReferralId> = ids.iter().copied().filter(|id| *id != referral.id).collect();
        assert_eq!(referral.linked, others);
        assert_eq!(referral.id.partition(8), ids[0].partition(8));
    }
    assert_eq!(ids[0], three_children().referral_id());
}

#[test]
fn each_child_goes_to_its_own_authority() {
    let standing = |referral: Referral| {
        step(None, Event::Submitted(Box::new(referral)), "2026-11-23T10:00:00Z".parse().unwrap(), &RULES)
            .case
            .unwrap()
            .standing()
            .clone()
    };
    let standings: Vec<Standing> = three_children().split().into_iter().map(standing).collect();
    let with = |to| Standing::With { responsible: endpoint(to) };
    assert_eq!(standings, [with(LEEDS), with(LEEDS), with(KENT)]);
}

#[test]
fn what_is_about_one_child_stays_with_that_child() {
    let words = |body: &Body| match body {
        Body::Text(text) => text.open().clone(),
        Body::Fields(fields) => fields.iter().map(|field| field.value.open().as_str()).collect::<Vec<_>>().join(" "),
        Body::Attachment { .. } => String::new(),
    };
    let mut read = vec![];
    for referral in three_children().split() {
        let step = step(None, Event::Submitted(Box::new(referral)), "2026-11-23T10:00:00Z".parse().unwrap(), &RULES);
        for effect in step.effects {
            if let Effect::Deliver(disclosure) = effect {
                let items: Vec<String> = disclosure.items().iter().map(|item| words(&item.body)).collect();
                read.push(format!("{}: {}", disclosure.to(), items.join(" | ")));
            }
        }
    }
    expect![[r#"
        la.E08000035.front-door: Ada Canary 2015-02-03 | 1 Cage Street | Dora Lead social worker  | of the first | of all
        la.E08000035.front-door: Bea Canary 9 | Dora Lead social worker  | of the second | of all
        la.E10000016.front-door: Cy Canary 9 | Dora Lead social worker  | of the third | of all"#]]
    .assert_eq(&read.join("\n"));
}

#[test]
fn a_new_version_keeps_every_childs_first_id() {
    let mut again = three_children();
    again.key = common::submission(8).key;
    let first = three_children().referral_id();
    let ids = |all: Vec<Referral>| all.into_iter().map(|referral| (referral.id, referral.linked)).collect::<Vec<_>>();
    assert_eq!(ids(again.split_as(first)), ids(three_children().split()));
}

// ---------------------------------------------------------------- delivery ids

#[test]
fn every_delivery_has_an_id_of_its_own_and_the_same_story_gives_the_same_ids() {
    let story = || {
        let mut life = Life::new(|referral| referral.level = Level::ImmediateDanger);
        life.raise();
        life.amend(2, |_| {});
        life.amend(3, |referral| referral.places.home = Some(gss("E10000016")));
        life.withdraw("school.999001");
        life.wake("2026-12-24T00:00:00Z");
        life.case()
            .recipients()
            .iter()
            .flat_map(|recipient| recipient.deliveries.iter().map(|delivery| delivery.id))
            .collect::<Vec<_>>()
    };
    let (one, other) = (story(), story());
    assert_eq!(one, other);
    assert_eq!(one.iter().collect::<BTreeSet<_>>().len(), one.len());
    assert_eq!(one.len(), 12);
}

// ---------------------------------------------------------------- what else is said about a case

const KENT_AREA: &str = "E10000016";
const MANAGER: &str = "la.E08000035.front-door-manager";
const LEADS: &str = "la.E08000035.safeguarding-lead";
const PARTNERS: &str = "la.E08000035.safeguarding-partners";

fn offered() -> Says {
    Says::TransferOffered { to: gss(KENT_AREA), reason: "The family has moved.".into() }
}

#[test]
fn a_question_goes_to_the_sender_and_nothing_waits_for_its_answer() {
    let mut life = Life::new(|_| {});
    life.raise();
    let due = life.clocks();
    check(
        life.answer(LEEDS, Says::AskedForMore { question: "Who fetched her?".into() }),
        expect!["tell the sender: asked at la.E08000035.front-door by Sam Worker: Who fetched her?"],
    );
    assert_eq!(life.clocks(), due);
}

#[test]
fn a_case_stays_where_it_is_until_the_other_authority_accepts_and_its_clocks_go_along() {
    let mut life = Life::new(|_| {});
    life.raise();
    let due = life.clocks();
    check(
        life.hand_on(LEEDS, offered()),
        expect![[r#"
            deliver TransferOffer to la.E10000016.front-door as Notified
            tell the sender: la.E08000035.front-door offers it to la.E10000016.front-door"#]],
    );
    let offer = life.sent.last().unwrap();
    assert_eq!(offer.remark().unwrap().text.open(), "The family has moved.");
    assert_eq!(life.case().standing(), &Standing::With { responsible: endpoint(LEEDS) });
    let answer_by = "transfer_answer by 2026-11-25T00:00:00Z: runs".to_owned();
    assert_eq!(life.clocks(), [due.clone(), vec![answer_by]].concat());
    // Until then the first authority is chased, and only the first authority decides.
    check(life.answer(KENT, decided(Outcome::EarlyHelp)), expect!["surprise: only the responsible authority decides"]);
    check(
        life.hand_on(KENT, Says::TransferAccepted),
        expect![[r#"
            deliver Referral to la.E10000016.front-door as Responsible
            notify la.E08000035.front-door of TransferAccepted: the front door of Kent accepted what you offered. It answers for the child from now on, and the clocks that run are its own.
            tell the sender: la.E10000016.front-door takes it over from la.E08000035.front-door, by Sam Worker"#]],
    );
    assert_eq!(life.case().standing(), &Standing::With { responsible: endpoint(KENT) });
    let answered = "transfer_answer by 2026-11-25T00:00:00Z: met at 2026-11-23T10:00:00Z".to_owned();
    assert_eq!(life.clocks(), [due, vec![answered]].concat());
    check(life.answer(LEEDS, decided(Outcome::EarlyHelp)), expect!["surprise: only the responsible authority decides"]);
    check(
        life.answer(KENT, decided(Outcome::EarlyHelp)),
        expect![
            "tell the sender: decided at la.E10000016.front-door by Sam Worker: early_help, We will see the family tomorrow."
        ],
    );
}

#[test]
fn a_change_does_not_give_back_what_another_authority_took_over() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.hand_on(LEEDS, offered());
    life.hand_on(KENT, Says::TransferAccepted);
    check(
        life.amend(2, |_| {}),
        expect![[r#"
        tell the sender: amended
        tell the sender: routed by RA-02 RA-20.open
        deliver Amendment to la.E10000016.front-door as Responsible
        deliver Amendment to la.E08000035.front-door as EarlierRecipient"#]],
    );
    assert_eq!(life.case().standing(), &Standing::With { responsible: endpoint(KENT) });
    // At night it is for whoever is on duty at that authority (RA-20).
    check(
        life.amend(3, |referral| referral.received = "2026-11-23T23:00:00Z".parse().unwrap()),
        expect![[r#"
        tell the sender: amended
        tell the sender: routed by RA-02 RA-20
        tell the sender: not connected to la.E10000016.edt
        ask a person at once: la.E10000016.edt is not connected
        deliver Amendment to la.E08000035.front-door as EarlierRecipient
        deliver Amendment to la.E10000016.front-door as EarlierRecipient"#]],
    );
}

#[test]
fn a_refused_transfer_stays_where_it_was_and_both_managers_hear_of_it() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.hand_on(LEEDS, offered());
    check(
        life.answer(KENT, Says::TransferRefused { reason: "They moved back.".into() }),
        expect![[r#"
            notify la.E08000035.front-door of TransferRefused: the front door of Kent did not take it over. It stays with the front door of Leeds, until another authority explicitly accepts.
            notify la.E08000035.front-door-manager of TransferRefused: the front door of Kent did not take it over. It stays with the front door of Leeds, until another authority explicitly accepts.
            ask a person at once: la.E10000016.front-door-manager is not connected
            tell the sender: la.E10000016.front-door does not take it over from la.E08000035.front-door"#]],
    );
    assert_eq!(life.case().standing(), &Standing::With { responsible: endpoint(LEEDS) });
    check(
        life.hand_on(KENT, Says::TransferAccepted),
        expect!["surprise: no case that could be accepted or refused was offered to you by that delivery"],
    );
    // It can be offered again, and one offer at a time.
    life.hand_on(LEEDS, offered());
    check(life.hand_on(LEEDS, offered()), expect!["surprise: another authority was asked to take it over and has not answered"]);
}

#[test]
fn an_offer_ends_when_the_rules_find_another_authority_responsible() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.hand_on(LEEDS, offered());
    life.amend(2, |referral| referral.places = Places { home: Some(gss(KENT_AREA)), ..Places::default() });
    assert_eq!(life.case().standing(), &Standing::With { responsible: endpoint(KENT) });
    assert!(life.case().transfer().is_none());
    assert!(life.clocks().iter().any(|clock| clock.starts_with("transfer_answer") && clock.ends_with("stopped")));
}

#[test]
fn an_offer_that_nobody_answers_in_time_is_told_to_both_managers_and_the_referrer_and_stays_open() {
    let mut life = Life::new(|referral| referral.level = Level::InNeed);
    life.raise();
    life.answer(LEEDS, decided(Outcome::TransferOutOfArea));
    life.hand_on(LEEDS, offered());
    check(
        life.wake("2026-11-25T00:00:00Z"),
        expect![[r#"
        tell the sender: transfer_answer ran out at 2026-11-25T00:00:00Z
        notify la.E08000035.front-door-manager of ClockBreached: The clock transfer_answer ran out: the front door of Kent was offered a referral by the front door of Leeds, and has not answered. It stays with the front door of Leeds, until another authority explicitly accepts.
        ask a person: la.E10000016.front-door-manager is not connected"#]],
    );
    // It can still be accepted, late.
    life.hand_on(KENT, Says::TransferAccepted);
    assert_eq!(life.case().standing(), &Standing::With { responsible: endpoint(KENT) });
}

#[test]
fn whoever_offered_it_takes_it_back_until_it_is_answered() {
    let mut life = Life::new(|_| {});
    life.raise();
    let back = || Says::TransferWithdrawn { reason: "They came home.".into() };
    let nothing = "surprise: no case that could be accepted or refused was offered to you by that delivery";
    assert_eq!(life.answer(LEEDS, back()), nothing);
    life.hand_on(LEEDS, offered());
    check(life.answer(KENT, back()), expect!["surprise: only the responsible authority decides"]);
    check(
        life.answer(LEEDS, back()),
        expect![[r#"
        notify la.E10000016.front-door of TransferWithdrawn: the front door of Leeds took back what it had offered to you, and goes on answering for the child. Nothing is asked of you any more.
        tell the sender: la.E08000035.front-door offers it to la.E10000016.front-door no longer"#]],
    );
    assert!(life.clocks().iter().any(|clock| clock == "transfer_answer by 2026-11-25T00:00:00Z: stopped"));
    assert_eq!(life.hand_on(KENT, Says::TransferAccepted), nothing);
    // And offered again, the answer is due anew.
    life.hand_on(LEEDS, offered());
    assert!(life.clocks().iter().any(|clock| clock == "transfer_answer by 2026-11-25T00:00:00Z: runs"));
}

#[test]
fn what_cannot_be_offered_stays_and_its_owner_is_told() {
    let mut life = Life::new(|_| {});
    life.raise();
    let cardiff = Says::TransferOffered { to: gss("W06000015"), reason: "They moved.".into() };
    check(
        life.hand_on(LEEDS, cardiff),
        expect![
            "notify la.E08000035.front-door of TransferRefused: It could not be offered: this area is not another English children's services authority. It stays with you."
        ],
    );
    let newham = Says::TransferOffered { to: gss("E09000025"), reason: "They moved.".into() };
    check(
        life.hand_on(LEEDS, newham),
        expect![[r#"
            notify la.E08000035.front-door of TransferRefused: It could not be offered to la.E09000025.front-door: there is no connection to them. It stays with you. Telephone them.
            ask a person at once: la.E09000025.front-door is not connected"#]],
    );
    assert!(life.case().transfer().is_none());
}

#[test]
fn an_accepted_plan_has_its_conference_within_fifteen_working_days_of_acceptance() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.answer(LEEDS, Says::StatusRecorded(ChildStatus { child_protection_plan: true, looked_after: false }));
    life.hand_on(LEEDS, offered());
    assert!(life.sent.last().unwrap().status().unwrap().child_protection_plan);
    life.hand_on(KENT, Says::TransferAccepted);
    // 23 November and fifteen working days.
    assert!(
        life.clocks().iter().any(|clock| clock == "transfer_in_conference_15wd by 2026-12-15T00:00:00Z: runs"),
        "{:?}",
        life.clocks()
    );
}

#[test]
fn a_strategy_discussion_that_starts_enquiries_starts_the_clock_to_the_conference() {
    let mut life = Life::new(|_| {});
    life.raise();
    let held = |day| Says::StrategyDiscussionHeld { held: jiff::civil::date(2026, 11, day), enquiries_started: true };
    check(life.answer(LEEDS, held(23)), expect!["tell the sender: a strategy discussion was held at la.E08000035.front-door"]);
    let clock = |life: &Life| life.clocks().into_iter().find(|clock| clock.starts_with("icpc_15wd")).unwrap();
    assert_eq!(clock(&life), "icpc_15wd by 2026-12-15T00:00:00Z: runs");
    // Another discussion gives nobody more time, and that enquiries go on is no conference.
    life.now = "2026-11-24T10:00:00Z".parse().unwrap();
    life.answer(LEEDS, held(24));
    life.answer(LEEDS, decided(Outcome::StrategyDiscussionS47));
    assert_eq!(clock(&life), "icpc_15wd by 2026-12-15T00:00:00Z: runs");
    life.answer(LEEDS, Says::StatusRecorded(ChildStatus { child_protection_plan: true, looked_after: false }));
    assert_eq!(clock(&life), "icpc_15wd by 2026-12-15T00:00:00Z: met at 2026-11-24T10:00:00Z");
    assert!(life.case().child_status().unwrap().child_protection_plan);
}

#[test]
fn an_assessment_is_due_forty_five_working_days_after_the_referral_and_not_after_the_decision() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.now = "2026-11-24T09:00:00Z".parse().unwrap();
    life.answer(LEEDS, decided(Outcome::S17Assessment));
    let clock = |life: &Life| life.clocks().into_iter().find(|clock| clock.starts_with("assessment_45wd")).unwrap();
    let from_receipt = RULES.calendar.due(life.case().received(), referral::time::Amount::WorkingDays(45)).by;
    assert_eq!(clock(&life), format!("assessment_45wd by {from_receipt}: runs"));
    life.answer(LEEDS, decided(Outcome::EarlyHelp));
    assert_eq!(clock(&life), format!("assessment_45wd by {from_receipt}: met at 2026-11-24T09:00:00Z"));
}

#[test]
fn a_service_that_is_asked_to_help_gets_what_it_may_have_and_the_authority_stays_responsible() {
    let mut life = Life::new(|_| {});
    life.raise();
    let early_help = "la.E08000035.early-help";
    check(
        life.hand_on(LEEDS, Says::ReferredOn { to: endpoint(early_help), reason: "A mentor would help.".into() }),
        expect![[r#"
            deliver ReferredOn to la.E08000035.early-help as Notified
            tell the sender: la.E08000035.front-door refers it on to la.E08000035.early-help"#]],
    );
    assert_eq!(life.case().standing(), &Standing::With { responsible: endpoint(LEEDS) });
    check(
        life.hand_on(LEEDS, Says::ReferredOn { to: endpoint("vcs.helpers"), reason: "A mentor would help.".into() }),
        expect![[r#"
            notify la.E08000035.front-door of NotReferredOn: It could not be referred on to vcs.helpers: there is no connection to them. Telephone them.
            ask a person at once: vcs.helpers is not connected"#]],
    );
}

#[test]
fn a_condition_that_the_authority_lifted_no_later_version_brings_back() {
    let mut life = Life::new(|referral| referral.handling = vec![HandlingFlag::DoNotInformParents]);
    life.raise();
    let lifted = || Says::HandlingLifted { condition: HandlingFlag::DoNotInformParents, reason: "She knows.".into() };
    check(
        life.answer(LEEDS, lifted()),
        expect![[r#"
            notify la.E08000035.front-door of HandlingLifted: The authority lifted a condition that you were given: do not inform parents.
            tell the sender: la.E08000035.front-door lifts do_not_inform_parents"#]],
    );
    life.amend(2, |referral| referral.handling = vec![HandlingFlag::DoNotInformParents]);
    assert_eq!(life.sent.last().unwrap().handling(), []);
    let not_ours = Says::HandlingLifted { condition: HandlingFlag::PoliceOnly, reason: "We think so.".into() };
    check(
        life.answer(LEEDS, not_ours),
        expect!["surprise: this condition is its originator's: only do_not_inform_parents is the authority's to lift"],
    );
}

#[test]
fn only_who_answers_for_the_child_asks_transfers_refers_on_and_lifts() {
    let mut life = Life::new(|referral| referral.level = Level::ImmediateDanger);
    life.raise();
    for says in [
        Says::AskedForMore { question: "Who?".into() },
        offered(),
        Says::TransferWithdrawn { reason: "They came home.".into() },
        Says::StrategyDiscussionHeld { held: jiff::civil::date(2026, 11, 23), enquiries_started: true },
        Says::StatusRecorded(ChildStatus { child_protection_plan: true, looked_after: true }),
        Says::ReferredOn { to: endpoint("nhs.ZZ101"), reason: "Help.".into() },
        Says::HandlingLifted { condition: HandlingFlag::DoNotInformParents, reason: "Known.".into() },
    ] {
        assert_eq!(life.hand_on("police.13", says), "surprise: only the responsible authority decides");
    }
}

// ---------------------------------------------------------------- the loop

#[test]
fn a_disagreement_goes_to_the_manager_whose_decision_closes_it() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.answer(LEEDS, decided(Outcome::NoFurtherAction));
    life.step(Event::SenderTold);
    assert!(!life.case().is_open());
    check(
        life.disagree(false),
        expect![[r#"
            notify la.E08000035.front-door-manager of Disagreement: The referrer disagrees with what was decided about this referral: stage 1 of 4 of the escalation procedure, for the manager. Speak with them, then decide on this delivery; the decision that stands may stay the same.
            tell the sender: the disagreement, stage 1, goes to la.E08000035.front-door-manager"#]],
    );
    assert!(life.case().is_open());
    assert!(
        life.clocks().iter().any(|clock| clock == "disagreement_answer by 2026-12-01T00:00:00Z: runs"),
        "{:?}",
        life.clocks()
    );
    // That it was told how it had ended closes nothing while it disagrees.
    check(told(&life.step(Event::SenderTold)), expect!["surprise: nothing was due"]);
    life.answer(MANAGER, Says::Acknowledged);
    check(
        life.answer(MANAGER, decided(Outcome::NoFurtherAction)),
        expect![
            "tell the sender: decided at la.E08000035.front-door-manager by Sam Worker: nfa, We will see the family tomorrow."
        ],
    );
    check(told(&life.step(Event::SenderTold)), expect!["tell the sender: outcome returned"]);
    check(
        life.disagree(false),
        expect![[r#"
        notify la.E08000035.safeguarding-lead of Disagreement: The referrer disagrees with the answer to an earlier disagreement about this referral: stage 2 of 4 of the escalation procedure, for the safeguarding leads. Speak with them, then decide on this delivery; the decision that stands may stay the same.
        tell the sender: the disagreement, stage 2, goes to la.E08000035.safeguarding-lead"#]],
    );
}

#[test]
fn who_stays_dissatisfied_takes_the_disagreement_stage_by_stage_to_the_partners_and_no_further() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.answer(LEEDS, decided(Outcome::NoFurtherAction));
    let stage = |life: &mut Life| life.disagree(false).lines().last().unwrap().to_owned();
    for (number, desk) in [(1, MANAGER), (2, LEADS), (3, LEADS), (4, PARTNERS)] {
        // Leeds has connected no head of service: the nearest beneath is asked to hand it on.
        assert_eq!(stage(&mut life), format!("tell the sender: the disagreement, stage {number}, goes to {desk}"));
        assert!(life.case().is_open());
        check(life.disagree(false), expect!["surprise: the disagreement lies before somebody who has time left to answer it"]);
        life.answer(desk, decided(Outcome::NoFurtherAction));
        life.step(Event::SenderTold);
        assert!(!life.case().is_open());
    }
    check(life.disagree(false), expect!["surprise: the disagreement has come to the last stage: no stage is above it"]);
    // Each stage had a clock of its own, and what has changed since can be disputed anew.
    check(
        life.clocks().join("\n"),
        expect![[r#"
        la_ack_decision_1wd by 2026-11-25T00:00:00Z: met at 2026-11-23T10:00:00Z
        referrer_followup_3wd by 2026-11-27T00:00:00Z: met at 2026-11-23T10:00:00Z
        disagreement_answer by 2026-12-01T00:00:00Z: met at 2026-11-23T10:00:00Z
        disagreement_leads by 2026-12-01T00:00:00Z: met at 2026-11-23T10:00:00Z
        disagreement_heads_of_service by 2026-12-01T00:00:00Z: met at 2026-11-23T10:00:00Z
        disagreement_partners by 2026-12-01T00:00:00Z: met at 2026-11-23T10:00:00Z"#]],
    );
    life.amend(2, |_| {});
    life.answer(LEEDS, decided(Outcome::NoFurtherAction));
    assert_eq!(stage(&mut life), format!("tell the sender: the disagreement, stage 1, goes to {MANAGER}"));
}

#[test]
fn a_disagreement_that_nobody_answers_in_time_is_told_to_both_sides_and_may_go_higher() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.answer(LEEDS, decided(Outcome::NoFurtherAction));
    life.disagree(false);
    check(
        life.wake("2026-12-01T00:00:00Z"),
        expect![[r#"
        tell the sender: disagreement_answer ran out at 2026-12-01T00:00:00Z
        notify la.E08000035.front-door-manager of ClockBreached: The clock disagreement_answer ran out on a referral that is with the front door of Leeds. The referrer disagrees, and nobody has answered; they may take it to the next stage."#]],
    );
    check(
        life.disagree(false),
        expect![[r#"
        notify la.E08000035.safeguarding-lead of Disagreement: The referrer disagrees about this referral, and nobody answered in time: stage 2 of 4 of the escalation procedure, for the safeguarding leads. Speak with them, then decide on this delivery; the decision that stands may stay the same.
        tell the sender: the disagreement, stage 2, goes to la.E08000035.safeguarding-lead"#]],
    );
    check(
        life.wake("2026-12-09T00:00:00Z"),
        expect![[r#"
        tell the sender: disagreement_leads ran out at 2026-12-09T00:00:00Z
        notify la.E08000035.front-door-manager of ClockBreached: The clock disagreement_leads ran out on a referral that is with the front door of Leeds. The referrer disagrees, and nobody has answered; they may take it to the next stage.
        notify la.E08000035.safeguarding-lead of ClockBreached: The clock disagreement_leads ran out on a referral that is with the front door of Leeds. The referrer disagrees, and nobody has answered; they may take it to the next stage."#]],
    );
    assert_eq!(life.case().disagreement(), Some((DisagreementStage::SafeguardingLeads, DisagreementState::Late)));
    // The manager answers late, and the authority has answered.
    let asked = life.about(MANAGER, Matter::Disagreement);
    life.answer_to(MANAGER, asked, digest_of(asked), decided(Outcome::S17Assessment));
    assert_eq!(life.case().disagreement(), Some((DisagreementStage::SafeguardingLeads, DisagreementState::Answered)));
}

#[test]
fn another_authority_that_took_it_over_is_disagreed_with_anew() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.answer(LEEDS, decided(Outcome::NoFurtherAction));
    life.disagree(false);
    life.answer(MANAGER, decided(Outcome::NoFurtherAction));
    life.hand_on(LEEDS, offered());
    life.hand_on(KENT, Says::TransferAccepted);
    // Nobody at Kent but its front door is connected.
    check(
        life.disagree(false),
        expect![[r#"
        ask a person at once: la.E10000016.front-door-manager is not connected
        notify la.E10000016.front-door of Disagreement: The referrer disagrees with nothing having been decided about this referral: stage 1 of 4 of the escalation procedure, for the manager. There is no connection to them: hand it on to them. Speak with them, then decide on this delivery; the decision that stands may stay the same.
        tell the sender: the disagreement, stage 1, goes to la.E10000016.front-door"#]],
    );
}

#[test]
fn a_disagreement_that_nobody_has_answered_goes_along_with_a_transfer() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.disagree(false);
    life.hand_on(LEEDS, offered());
    check(
        life.hand_on(KENT, Says::TransferAccepted),
        expect![[r#"
            deliver Referral to la.E10000016.front-door as Responsible
            notify la.E08000035.front-door of TransferAccepted: the front door of Kent accepted what you offered. It answers for the child from now on, and the clocks that run are its own.
            tell the sender: la.E10000016.front-door takes it over from la.E08000035.front-door, by Sam Worker
            ask a person at once: la.E10000016.front-door-manager is not connected
            notify la.E10000016.front-door of Disagreement: The referrer disagreed about this referral while it was with the front door of Leeds, which has the reason, and nobody has answered: stage 1 of 4 of the escalation procedure, for the manager. There is no connection to them: hand it on to them. Speak with them, then decide on this delivery; the decision that stands may stay the same.
            tell the sender: the disagreement, stage 1, goes to la.E10000016.front-door"#]],
    );
    assert_eq!(life.case().disagreement(), Some((DisagreementStage::Manager, DisagreementState::Open)));
    // Its clock ran on, and whoever answers for the child answers it.
    check(
        life.wake("2026-12-01T00:00:00Z"),
        expect![[r#"
        tell the sender: la_ack_decision_1wd ran out at 2026-11-25T00:00:00Z
        ask a person at once: la.E10000016.front-door-manager is not connected
        tell the sender: referrer_followup_3wd ran out at 2026-11-27T00:00:00Z
        ask a person at once: la.E10000016.front-door-manager is not connected
        tell the sender: disagreement_answer ran out at 2026-12-01T00:00:00Z
        ask a person at once: la.E10000016.front-door-manager is not connected
        notify la.E10000016.front-door of ClockBreached: The clock disagreement_answer ran out on a referral that is with the front door of Kent. The referrer disagrees, and nobody has answered; they may take it to the next stage."#]],
    );
    let asked = life.about(KENT, Matter::Disagreement);
    life.answer_to(KENT, asked, digest_of(asked), decided(Outcome::S17Assessment));
    assert_eq!(life.case().disagreement(), Some((DisagreementStage::Manager, DisagreementState::Answered)));
}

#[test]
fn that_a_child_is_not_safe_now_goes_along_with_a_transfer() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.disagree(true);
    life.hand_on(LEEDS, offered());
    check(
        life.hand_on(KENT, Says::TransferAccepted),
        expect![[r#"
            deliver Referral to la.E10000016.front-door as Responsible
            notify la.E08000035.front-door of TransferAccepted: the front door of Kent accepted what you offered. It answers for the child from now on, and the clocks that run are its own.
            tell the sender: la.E10000016.front-door takes it over from la.E08000035.front-door, by Sam Worker
            notify la.E10000016.front-door of Disagreement: The referrer has said that the child is not safe now, and nobody has decided since. The reason is with the front door of Leeds. Telephone the referrer at once, then decide on this delivery."#]],
    );
}

#[test]
fn a_disagreement_goes_along_when_a_change_says_that_the_child_lives_elsewhere() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.disagree(false);
    let kent = |referral: &mut Referral| referral.places.home = Some(gss("E10000016"));
    check(
        life.amend(2, kent),
        expect![[r#"
            tell the sender: amended
            tell the sender: routed by RA-01 RA-20.open
            deliver Referral to la.E10000016.front-door as Responsible
            deliver Amendment to la.E08000035.front-door as EarlierRecipient
            ask a person at once: la.E10000016.front-door-manager is not connected
            notify la.E10000016.front-door of Disagreement: The referrer disagreed about this referral while it was with the front door of Leeds, which has the reason, and nobody has answered: stage 1 of 4 of the escalation procedure, for the manager. There is no connection to them: hand it on to them. Speak with them, then decide on this delivery; the decision that stands may stay the same.
            tell the sender: the disagreement, stage 1, goes to la.E10000016.front-door"#]],
    );
}

#[test]
fn immediate_danger_waits_for_no_stage() {
    let mut life = Life::new(|_| {});
    life.raise();
    life.disagree(false);
    let told = life.disagree(true);
    assert!(told.contains("the disagreement goes to whoever is on duty"), "{told}");
    // The ladder stands where it stood, and one decision answers both.
    assert_eq!(life.case().disagreement(), Some((DisagreementStage::Manager, DisagreementState::Open)));
    life.answer(LEEDS, decided(Outcome::EmergencyAction));
    assert_eq!(life.case().disagreement(), Some((DisagreementStage::Manager, DisagreementState::Answered)));
    assert!(life.case().has_ended());
    // Where the content was erased there is nothing to send, and somebody has to telephone.
    let from = life.case().sender().clone();
    let by = common::person("Dora Lead");
    let disagreement = Disagreement { from, by, reason: "She is there now.".into(), is_immediate_danger: true };
    check(
        self::told(&life.step(Event::Disagreed { disagreement, referral: None })),
        expect![[r#"
        notify la.E08000035.front-door of Disagreement: The referrer says that the child is not safe now, and disagrees about this referral. Its content was erased: telephone them at once, then decide on this delivery.
        notify la.E08000035.front-door-manager of Disagreement: The referrer says that the child is not safe now, and disagrees about this referral. Its content was erased: telephone them at once, then decide on this delivery.
        ask a person at once: la.E08000035.front-door is not connected
        tell the sender: the disagreement goes to whoever is on duty"#]],
    );
}

#[test]
fn in_immediate_danger_a_disagreement_goes_past_the_ladder_as_a_new_urgent_referral() {
    let mut life = Life::new(|referral| referral.level = Level::InNeed);
    life.raise();
    life.answer(LEEDS, decided(Outcome::NoFurtherAction));
    let told = life.disagree(true);
    for line in [
        "tell the sender: the disagreement goes to whoever is on duty",
        "deliver Amendment to la.E08000035.front-door as Responsible",
        "deliver Referral to police.13 as Notified",
    ] {
        assert!(told.lines().any(|told| told == line), "{line} is not among\n{told}");
    }
    assert_eq!((life.case().level(), life.case().outcome()), (Level::ImmediateDanger, None));
    assert!(life.case().wake_at().is_some());
}

#[test]
fn nobody_else_disagrees_and_what_nobody_has_cannot_be_disputed() {
    let mut life = Life::new(|referral| (referral.level, referral.agreement) = (Level::EarlyHelp, Agreement::Refused));
    life.raise();
    let reason = || "The bruises were not looked at.".into();
    let from = |who: &str| Disagreement {
        from: endpoint(who),
        by: common::person("Dora Lead"),
        reason: reason(),
        is_immediate_danger: false,
    };
    let mut disagree = |disagreement| told(&life.step(Event::Disagreed { disagreement, referral: None }));
    check(disagree(from("police.13")), expect!["surprise: there is no such referral of yours"]);
    check(disagree(from("school.999001")), expect!["surprise: no authority has it, so there is nothing to disagree with yet"]);
}

#[test]
fn a_sender_whose_post_the_accused_reads_hears_that_it_was_received_and_no_more() {
    let mut life = Life::new(|referral| referral.circumstances.accused_controls_feedback = true);
    let raised = life.raise();
    let to_sender =
        |told: &str| told.lines().filter(|line| line.starts_with("tell the sender")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(to_sender(&raised), ["tell the sender: accepted"]);
    life.delivered(LEEDS);
    assert_eq!(to_sender(&life.answer(LEEDS, Says::Acknowledged)), Vec::<String>::new());
    // A change cannot open what was shut: it comes from the same hands.
    let amended = life.amend(2, |referral| referral.circumstances.accused_controls_feedback = false);
    assert_eq!(to_sender(&amended), ["tell the sender: amended"]);
    assert_eq!(to_sender(&life.answer(LEEDS, decided(Outcome::Lado))), Vec::<String>::new());
    assert!(!life.case().is_open());
    assert!(life.case().is_open_to_its_sender(), "that it ended is more than that it was received");
}

#[test]
fn a_correction_reaches_everybody_who_had_what_it_corrects() {
    let mut life = Life::new(|referral| referral.level = Level::ImmediateDanger);
    life.raise();
    let told = life.amend(2, |referral| {
        (referral.kind, referral.level, referral.harm) = (EventKind::Correction, Level::InNeed, HarmType::OtherWelfare);
    });
    for to in ["la.E08000035.front-door as Responsible", "police.13 as EarlierRecipient"] {
        assert!(told.contains(&format!("deliver Correction to {to}")), "{to} is not among\n{told}");
    }
    // Each reads which delivery of its own it takes the place of.
    for disclosure in life.sent.iter().filter(|sent| sent.matter() == Matter::Correction) {
        let first = life.sent.iter().find(|sent| sent.matter() == Matter::Referral && sent.to() == disclosure.to()).unwrap();
        assert_eq!(disclosure.replaces(), Some(first.delivery()));
    }
}

#[test]
fn a_correction_of_what_no_authority_was_to_read_gives_it_to_none() {
    let mut life = Life::new(|referral| {
        (referral.kind, referral.level, referral.harm) =
            (EventKind::OperationEncompass, Level::Information, HarmType::DomesticAbuse);
        referral.sender = endpoint("police.13");
        referral.child.school = Some(referral::identifiers::Urn::parse("999001").unwrap());
    });
    life.raise();
    let to: BTreeSet<Endpoint> = life.sent.iter().map(|sent| sent.to().clone()).collect();
    assert!(!to.contains(&endpoint(LEEDS)), "{to:?}");
    life.amend(2, |referral| referral.kind = EventKind::Correction);
    assert_eq!(life.sent.last().unwrap().matter(), Matter::Correction);
    assert_eq!(life.sent.iter().map(|sent| sent.to().clone()).collect::<BTreeSet<_>>(), to);
}

#[test]
fn consent_that_is_withdrawn_reaches_everybody_who_had_the_referral() {
    let mut life = Life::new(|referral| (referral.level, referral.agreement) = (Level::EarlyHelp, Agreement::Given));
    life.raise();
    let told = life.amend(2, |referral| {
        (referral.kind, referral.agreement) = (EventKind::ConsentWithdrawn, Agreement::Refused);
    });
    assert!(told.contains("deliver ConsentWithdrawn to la.E08000035.early-help"), "{told}");
    assert_eq!(life.sent.last().unwrap().kind(), EventKind::ConsentWithdrawn);
}

#[test]
fn where_agreement_is_withdrawn_a_voluntary_service_stops_and_everybody_is_told_by_whom_and_when() {
    let mut life = Life::new(|referral| (referral.level, referral.agreement) = (Level::InNeed, Agreement::Given));
    life.raise();
    life.answer(LEEDS, decided(Outcome::S17Assessment));
    let early_help = "la.E08000035.early-help";
    life.hand_on(LEEDS, Says::ReferredOn { to: endpoint(early_help), reason: "A mentor would help.".into() });
    check(life.withdraw_consent("police.13"), expect!["surprise: there is no such referral of yours"]);
    check(
        life.withdraw_consent("school.999001"),
        expect![[r#"
        tell the sender: agreement was withdrawn by the holder of parental responsibility on 2026-11-23
        tell the sender: routed by RA-03 RA-20.below
        deliver ConsentWithdrawn to la.E08000035.front-door as Responsible
        deliver ConsentWithdrawn to la.E08000035.early-help as EarlierRecipient"#]],
    );
    let remark = life.sent.last().unwrap().remark().unwrap();
    assert_eq!(
        remark.text.open(),
        "The holder of parental responsibility withdrew agreement on 2026-11-23. She wants to manage alone."
    );
    assert!(life.clocks().iter().any(|clock| clock.starts_with("assessment_45wd") && clock.ends_with("stopped")));
    check(life.withdraw_consent("school.999001"), expect!["surprise: this was received before"]);
    // Whoever is asked to help from now on is not told that anybody agreed, until a later version says so.
    assert!(life.case().is_consent_withdrawn());
    life.amend(2, |_| {});
    assert!(!life.case().is_consent_withdrawn());
}

#[test]
fn at_significant_harm_agreement_that_is_withdrawn_stops_nothing() {
    let mut life = Life::new(|referral| referral.agreement = Agreement::Given);
    life.raise();
    life.answer(LEEDS, decided(Outcome::S17Assessment));
    let clocks = life.clocks();
    check(
        life.withdraw_consent("school.999001"),
        expect![[r#"
        tell the sender: agreement was withdrawn by the holder of parental responsibility on 2026-11-23
        tell the sender: routed by RA-01 RA-20.open
        deliver ConsentWithdrawn to la.E08000035.front-door as Responsible"#]],
    );
    assert_eq!(life.clocks(), clocks);
}

#[test]
fn what_waits_for_agreement_and_loses_it_goes_to_nobody() {
    let mut life = Life::new(|referral| (referral.level, referral.agreement) = (Level::EarlyHelp, Agreement::Awaited));
    let raised = life.raise();
    assert!(raised.contains("held"), "{raised}");
    check(
        life.withdraw_consent("school.999001"),
        expect![[r#"
        tell the sender: agreement was withdrawn by the holder of parental responsibility on 2026-11-23
        ask a person: RA-03 TC-04.since-duty
        tell the sender: held"#]],
    );
    assert_eq!(life.sent.len(), 0);
}

#[test]
fn agreement_that_is_withdrawn_where_the_content_was_erased_is_told_without_it() {
    let mut life = Life::new(|referral| (referral.level, referral.agreement) = (Level::InNeed, Agreement::Given));
    life.raise();
    life.versions.clear();
    check(
        life.withdraw_consent("school.999001"),
        expect![[r#"
        tell the sender: agreement was withdrawn by the holder of parental responsibility on 2026-11-23
        notify la.E08000035.front-door of ConsentWithdrawn: Agreement to this referral was withdrawn. Nothing that you were given is erased. A voluntary service is to stop; what you do under a duty goes on."#]],
    );
}

#[test]
fn a_changed_version_that_waits_for_a_person_does_not_go_because_agreement_is_withdrawn() {
    let mut life = Life::new(|referral| (referral.level, referral.agreement) = (Level::EarlyHelp, Agreement::Given));
    life.raise();
    let held = life.amend(2, |referral| referral.agreement = Agreement::Awaited);
    assert!(held.contains("held"), "{held}");
    // Those who had the first version are told.
    check(
        life.withdraw_consent("school.999001"),
        expect![[r#"
        tell the sender: agreement was withdrawn by the holder of parental responsibility on 2026-11-23
        ask a person: RA-03 TC-04.since-duty
        tell the sender: held
        notify la.E08000035.early-help of ConsentWithdrawn: Agreement to this referral was withdrawn. Nothing that you were given is erased. A voluntary service is to stop; what you do under a duty goes on."#]],
    );
    assert_eq!(life.sent.len(), 1);
}

// ---------------------------------------------------------------- whatever the order

/// Words that are planted wherever a person's data can stand, and must never be printed or written down.
const CANARIES: [&str; 14] = [
    "Zebedee",
    "Quillfeather",
    "Zebby",
    "13 Larkspur Yard",
    "QX1 1AA",
    "9990019991",
    "B801200005001",
    "0113 496 0123",
    "hid under the stairs",
    "hiding",
    "Petronella",
    "duty-desk",
    "not-a-number",
    "2015-02-03",
];

/// A referral full of canaries.
fn canaries(received: Moment) -> Submission {
    let mut submission = common::submission(5);
    submission.received = received;
    submission.child = Child {
        circumstances: ChildCircumstances::default(),
        identity: Identity {
            given_name: Some("Zebedee".into()),
            family_name: Some("Quillfeather".into()),
            also_known_as: Some("Zebby".into()),
            age: Age::Born(Sealed::new("2015-02-03".parse().unwrap())),
            sex: Some("male".into()),
            nhs_number: Some(Checked::new("9990019991", NhsNumber::parse)),
            upn: Some(Checked::new("B801200005001", Upn::parse)),
            mother_nhs_number: Some(Checked::new("not-a-number", NhsNumber::parse)),
        },
        address: Some(Address {
            lines: "13 Larkspur Yard".into(),
            postcode: Some(Postcode::parse("QX1 1AA").unwrap()),
            uprn: None,
            telephone: Some("0113 496 0123".into()),
            protected: false,
        }),
        places: submission.child.places,
    };
    submission.referrer = Practitioner { name: "Petronella".into(), role: "lead".into(), contact: "duty-desk".into() };
    submission.purpose = Some("hiding".into());
    submission.items = Category::ALL
        .iter()
        .map(|&category| Item { summary: Some("hiding".into()), ..common::text(category, "hid under the stairs") })
        .chain([Item {
            body: Body::Attachment {
                reference: "Quillfeather.pdf".into(),
                media_type: "application/pdf".into(),
                digest: Digest::of_bytes(b"x"),
            },
            ..common::text(Category::EducationRecord, "")
        }])
        .collect();
    submission
}

fn sings(printed: &str) -> Option<&'static str> {
    CANARIES.into_iter().find(|canary| printed.contains(canary))
}

/// One thing that happens, made of numbers that stand for whatever is there.
#[derive(Clone, Debug)]
enum Happens {
    Submitted { version: u8, level: usize, home: usize, agreement: usize, secret: bool, detrimental: bool, hours_later: u8 },
    Amended { version: u8, level: usize, home: usize, agreement: usize, stranger: bool, hours_later: u8 },
    Withdrawn { stranger: bool },
    Disagreed { stranger: bool, danger: bool },
    ConsentWithdrawn { stranger: bool },
    Answered { from: usize, delivery: usize, wrong_digest: bool, says: usize },
    Delivered { delivery: usize },
    Opened,
    Reviewed { choice: usize, to: usize, an_older_one: bool },
    SenderTold,
    Woken { days_later: u8 },
}

/// Leeds three times, so that most lives are lived where somebody is connected.
const HOMES: [Option<&str>; 8] = [
    Some("E08000035"),
    Some("E08000035"),
    Some("E08000035"),
    Some("E07000106"),
    Some("E09000030"),
    Some("W06000015"),
    Some("E06999999"),
    None,
];
const ANSWERING: [&str; 7] = [LEEDS, KENT, "la.E08000035.edt", "police.13", MANAGER, LEADS, "nhs.ZZ101"];

/// Something is raised, or it is not, and then anything happens.
fn stories() -> impl Strategy<Value = Vec<Happens>> {
    let raised = (0..Level::ALL.len(), 0..HOMES.len(), 0..Agreement::ALL.len()).prop_map(|(level, home, agreement)| {
        Happens::Submitted { version: 0, level, home, agreement, secret: false, detrimental: false, hours_later: 0 }
    });
    (prop::option::weighted(0.9, raised), prop::collection::vec(happens(), 1..24))
        .prop_map(|(first, then)| first.into_iter().chain(then).collect())
}

fn happens() -> impl Strategy<Value = Happens> {
    let version = (0u8..5, 0..Level::ALL.len(), 0..HOMES.len(), 0..Agreement::ALL.len(), 0u8..30);
    prop_oneof![
        2 => (version.clone(), 0u8..8, 0u8..8).prop_map(|((version, level, home, agreement, hours_later), secret, detrimental)| {
            Happens::Submitted { version, level, home, agreement, secret: secret == 0, detrimental: detrimental == 0, hours_later }
        }),
        3 => (version, 0u8..6).prop_map(|((version, level, home, agreement, hours_later), stranger)| {
            Happens::Amended { version, level, home, agreement, stranger: stranger == 0, hours_later }
        }),
        1 => any::<bool>().prop_map(|stranger| Happens::Withdrawn { stranger }),
        // Mostly whoever the delivery went to, with the right digest.
        6 => (0..ANSWERING.len() * 3, any::<prop::sample::Index>(), 0u8..6, 0usize..11).prop_map(|(from, delivery, wrong, says)| {
            Happens::Answered { from, delivery: delivery.index(64), wrong_digest: wrong == 0, says }
        }),
        3 => (0usize..64).prop_map(|delivery| Happens::Delivered { delivery }),
        1 => Just(Happens::Opened),
        4 => (0usize..3, 0..ANSWERING.len(), 0u8..5).prop_map(|(choice, to, older)| {
            Happens::Reviewed { choice, to, an_older_one: older == 0 }
        }),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(stranger, danger)| Happens::Disagreed { stranger, danger }),
        1 => any::<bool>().prop_map(|stranger| Happens::ConsentWithdrawn { stranger }),
        2 => Just(Happens::SenderTold),
        2 => (0u8..4).prop_map(|days_later| Happens::Woken { days_later }),
    ]
}

fn reviewer() -> Reviewer {
    Reviewer { person: Practitioner { name: "Petronella".into(), ..common::person("") }, certificate: "operator.desk".into() }
}

/// The event that `happens` stands for now.
fn event(happens: &Happens, life: &mut Life) -> Event {
    let version = |life: &Life, version: u8, level: usize, home: usize, agreement: usize| {
        let mut submission = canaries(life.now);
        submission.digest = Digest::of_bytes(&[version]);
        (submission.level, submission.agreement) = (Level::ALL[level], Agreement::ALL[agreement]);
        submission.child.places = Places { home: HOMES[home].map(gss), ..Places::default() };
        submission
    };
    let all: Vec<(Endpoint, DeliveryId)> = life
        .case
        .iter()
        .flat_map(|case| {
            case.recipients()
                .iter()
                .flat_map(|recipient| recipient.deliveries.iter().map(|delivery| (recipient.to.clone(), delivery.id)))
        })
        .collect();
    let pick =
        |at: usize| if all.is_empty() { (endpoint(LEEDS), DeliveryId::from_bytes([0; 16])) } else { all[at % all.len()].clone() };
    let later = |life: &mut Life, hours: u8| life.now += jiff::SignedDuration::from_hours(i64::from(hours));
    match *happens {
        Happens::Submitted { version: nth, level, home, agreement, secret, detrimental, hours_later } => {
            later(life, hours_later);
            let mut submission = version(life, nth, level, home, agreement);
            submission.handling = if secret { vec![HandlingFlag::Secret] } else { vec![] };
            submission.duty_decision = if detrimental { DutyDecision::MoreDetrimental } else { DutyDecision::NotRecorded };
            Event::Submitted(Box::new(submission.split().remove(0)))
        }
        Happens::Amended { version: nth, level, home, agreement, stranger, hours_later } => {
            later(life, hours_later);
            let mut submission = version(life, nth, level, home, agreement);
            if stranger {
                submission.sender = endpoint("nhs.ZZ101");
            }
            Event::Amended(Box::new(submission.split().remove(0)))
        }
        Happens::Withdrawn { stranger } => {
            let from = endpoint(if stranger { "police.13" } else { "school.999001" });
            Event::Withdrawn {
                from,
                by: Practitioner { name: "Petronella".into(), ..common::person("") },
                reason: "hiding".into(),
            }
        }
        Happens::Answered { from, delivery, wrong_digest, says } => {
            let (to, delivery) = pick(delivery);
            let from = ANSWERING.get(from).map_or(to, |name| endpoint(name));
            let digest = if wrong_digest { Digest::of_bytes(b"other") } else { digest_of(delivery) };
            let says = [
                Says::Collected,
                Says::Acknowledged,
                Says::Decided { outcome: Outcome::S17Assessment, reason: "hid under the stairs".into() },
                Says::AskedForMore { question: "hid under the stairs".into() },
                Says::TransferOffered { to: gss("E10000016"), reason: "hid under the stairs".into() },
                Says::TransferAccepted,
                Says::TransferRefused { reason: "hid under the stairs".into() },
                Says::TransferWithdrawn { reason: "hid under the stairs".into() },
                Says::StrategyDiscussionHeld { held: jiff::civil::date(2026, 11, 24), enquiries_started: true },
                Says::StatusRecorded(ChildStatus { child_protection_plan: true, looked_after: false }),
                Says::HandlingLifted { condition: HandlingFlag::DoNotInformParents, reason: "hid under the stairs".into() },
            ][says]
                .clone();
            let hands_it_on = says.hands_it_on();
            let by = Practitioner { name: "Petronella".into(), ..common::person("") };
            let answer = FrontDoorAnswer { from, delivery, digest, by, says };
            match life.newest().filter(|_| hands_it_on) {
                Some(referral) => Event::HandedOn { answer, referral },
                None => Event::Answered(answer),
            }
        }
        Happens::Delivered { delivery } => Event::Delivered(pick(delivery).1),
        Happens::Opened => {
            let number = life.case.as_ref().and_then(Case::waiting).map_or(1, |waiting| waiting.number);
            Event::Opened { by: reviewer(), reason: "hid under the stairs".into(), number }
        }
        Happens::Reviewed { choice, to, an_older_one } => {
            let waiting = life.case.as_ref().and_then(Case::waiting);
            let number = waiting.map_or(1, |waiting| waiting.number) - u32::from(an_older_one);
            let is_it = |referral: &&Referral| waiting.is_some_and(|waiting| waiting.digest == referral.digest);
            let referral = life.versions.iter().rfind(is_it).unwrap_or(&life.base).clone();
            let choice = [Choice::Release, Choice::Redirect { to: endpoint(ANSWERING[to]) }, Choice::Return][choice].clone();
            let review = Box::new(Review { by: reviewer(), reason: "hid under the stairs".into(), number, choice });
            Event::Reviewed { review, referral: Box::new(referral) }
        }
        Happens::Disagreed { stranger, danger: is_immediate_danger } => {
            let from = endpoint(if stranger { "police.13" } else { "school.999001" });
            let by = Practitioner { name: "Petronella".into(), ..common::person("") };
            let disagreement = Disagreement { from, by, reason: "hid under the stairs".into(), is_immediate_danger };
            Event::Disagreed { disagreement, referral: life.newest() }
        }
        Happens::ConsentWithdrawn { stranger } => {
            let from = endpoint(if stranger { "police.13" } else { "school.999001" });
            let by = Practitioner { name: "Petronella".into(), ..common::person("") };
            let (holder, on) = (AgreementHolder::YoungPerson, jiff::civil::date(2026, 11, 23));
            let withdrawal = ConsentWithdrawal { from, by, holder, on, reason: Some("hid under the stairs".into()) };
            Event::ConsentWithdrawn { withdrawal, referral: life.newest() }
        }
        Happens::SenderTold => Event::SenderTold,
        Happens::Woken { days_later } => {
            later(life, days_later * 24);
            Event::Woken
        }
    }
}

fn rungs(case: Option<&Case>) -> BTreeMap<DeliveryId, Rung> {
    let deliveries = case.into_iter().flat_map(Case::recipients).flat_map(|recipient| &recipient.deliveries);
    deliveries.map(|Delivered { id, rung, .. }| (*id, *rung)).collect()
}

/// To whom `step` may deliver: the ruling's recipients, whoever had something before, and those who answer a disagreement at
/// the authority that was responsible, or is from now on.
fn allowed(before: Option<&Case>, step: &Step) -> BTreeSet<Endpoint> {
    let views = step.ruling.iter().flat_map(|ruling| ruling.views()).map(|view| view.to().clone());
    let earlier = before.into_iter().flat_map(Case::recipients).map(|recipient| recipient.to.clone());
    let offered = before.and_then(Case::transfer).and_then(|transfer| transfer.to.authority().cloned());
    let offered = offered.map(|gss| Endpoint::Authority(gss, Desk::FrontDoorManager));
    let desks = before.into_iter().chain(&step.case).flat_map(|case| match case.standing() {
        Standing::With { responsible: Endpoint::Authority(gss, _) } => {
            [Desk::FrontDoorManager, Desk::SafeguardingLead, Desk::HeadOfService, Desk::SafeguardingPartners]
                .map(|desk| Endpoint::Authority(gss.clone(), desk))
                .to_vec()
        }
        _ => Vec::new(),
    });
    views.chain(earlier).chain(desks).chain(offered).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_in_whatever_order_the_promises_hold(story in stories()) {
        let mut life = Life::new(|_| {});
        let mut ids = BTreeSet::new();
        for happens in &story {
            let event = event(happens, &mut life);
            let before = life.case.clone();
            let printed = format!("{event:?}");
            prop_assert_eq!(sings(&printed), None);
            let step = life.step(event);
            let Some(case) = &life.case else {
                prop_assert!(before.is_none() && step.surprise == Some(Surprise::NeverSeen));
                continue;
            };

            // A surprise changes nothing and owes nothing.
            if step.surprise.is_some() {
                prop_assert!(step.effects.is_empty() && before.as_ref() == Some(case));
            }

            // P6, P7: nothing that was delivered is forgotten, and no rung falls.
            let after = rungs(Some(case));
            for (id, rung) in rungs(before.as_ref()) {
                prop_assert!(after.get(&id).is_some_and(|now| *now >= rung));
            }

            // P5, P12: nobody else, and every delivery has an id that never was before.
            let allowed = allowed(before.as_ref(), &step);
            for effect in &step.effects {
                let (to, id) = match effect {
                    Effect::Deliver(disclosure) => (disclosure.to(), disclosure.delivery()),
                    Effect::Notify(notice) => (&notice.to, notice.delivery),
                    Effect::TellSender(_) | Effect::AskPerson(_) => continue,
                };
                prop_assert!(allowed.contains(to), "{} was told", to);
                prop_assert!(RULES.directory.party(to).is_some(), "{} is not connected", to);
                prop_assert!(ids.insert(id), "an id came twice");
                prop_assert_eq!(after.get(&id), Some(&Rung::Owed));
            }
            prop_assert_eq!(after.keys().copied().collect::<BTreeSet<_>>(), ids.clone());

            // P8: no clock is forgotten, a due moment never moves while its clock runs, only what a ruling starts
            // runs again, and each stands there once.
            for clock in before.iter().flat_map(Case::clocks) {
                let now = case.clocks().iter().find(|now| now.name == clock.name).unwrap();
                let may_start = step.ruling.is_some() || matches!(happens, Happens::Answered { .. } | Happens::Disagreed { .. });
                let kept = if clock.state == ClockState::Running { now.due == clock.due } else { now == clock || may_start };
                prop_assert!(kept, "{:?} became {:?}", clock, now);
            }
            let names: BTreeSet<String> = case.clocks().iter().map(|clock| clock.name.to_string()).collect();
            prop_assert_eq!(names.len(), case.clocks().len());

            // What an authority has at significant harm runs against a clock until it has decided or was late.
            if let Some(Effect::Deliver(disclosure)) = step.effects.iter().find(|effect| matches!(effect, Effect::Deliver(one) if one.role() == Role::Responsible)) {
                let is_raised = before.as_ref().is_none_or(|before| !before.level().is_significant_harm_or_above());
                let has_clocks = disclosure.level().is_significant_harm_or_above() && matches!(disclosure.to(), Endpoint::Authority(..));
                prop_assert!(!(is_raised && has_clocks) || case.wake_at().is_some());
            }

            // P4, P9: what an authority has is not taken back; what was not answered is open.
            let with = |case: &Case| matches!(case.standing(), Standing::With { .. });
            prop_assert!(before.as_ref().is_none_or(|before| !with(before) || with(case)));
            // Whoever is no authority decides nothing: that somebody there has it is the end.
            let is_had_elsewhere = match case.standing() {
                Standing::With { responsible } => responsible.authority().is_none() && case.stage() >= Stage::Acknowledged,
                Standing::Held { .. } | Standing::Returned | Standing::Refused => false,
            };
            let came_back = matches!(case.standing(), Standing::Returned | Standing::Refused);
            prop_assert!(case.is_open() || case.outcome().is_some() || came_back || is_had_elsewhere);

            // P4, TC-09: what is held waits for a person until one has decided, and nothing else waits.
            let is_held = matches!(case.standing(), Standing::Held { .. });
            prop_assert!(!is_held || case.waiting().is_some());

            // P12: what is written down and what is printed says nothing of a person.
            let written = serde_json::to_string(case).unwrap();
            prop_assert_eq!(sings(&written), None);
            prop_assert_eq!(&serde_json::from_str::<Case>(&written).unwrap(), case);
            let printed = format!("{step:?} {case:?}");
            prop_assert_eq!(sings(&printed), None);
            if let Some(ruling) = &step.ruling {
                prop_assert_eq!(sings(&serde_json::to_string(ruling).unwrap()), None);
            }
        }
    }
}

#[test]
fn a_submission_a_referral_and_a_disclosure_print_nothing_of_a_person() {
    let submission = canaries("2026-11-23T10:00:00Z".parse().unwrap());
    assert_eq!(sings(&format!("{submission:?} {submission:#?}")), None);
    let referral = submission.split().remove(0);
    assert_eq!(sings(&format!("{referral:?} {referral:#?}")), None);
    let step = step(None, Event::Submitted(Box::new(referral)), submission.received, &RULES);
    assert_eq!(sings(&format!("{step:?} {step:#?}")), None);
    let delivered = step.effects.iter().find_map(|effect| match effect {
        Effect::Deliver(disclosure) => Some(disclosure),
        Effect::Notify(_) | Effect::TellSender(_) | Effect::AskPerson(_) => None,
    });
    let disclosure = delivered.unwrap();
    assert_eq!(disclosure.matter(), Matter::Referral);
    // And yet the front door reads all of it: the canaries are there to be found.
    let opened: Vec<String> = disclosure
        .items()
        .iter()
        .map(|item| match &item.body {
            Body::Text(text) => text.open().clone(),
            Body::Fields(fields) => fields.iter().map(|field| field.value.open().as_str()).collect::<Vec<_>>().join(" "),
            Body::Attachment { reference, .. } => reference.open().clone(),
        })
        .collect();
    let opened = opened.join(" ");
    let missing: Vec<&str> = CANARIES.into_iter().filter(|canary| !opened.contains(canary)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
