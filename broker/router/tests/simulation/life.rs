//! One life: a broker that is started, fed, killed and started again, in a world that fails, until the world
//! recovers; then everything that was accepted must have come to its end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prost::Message as _;
use proto::wire::delivery::v1 as wire;
use referral::case::Event;
use referral::rules::Rulebook;
use referral::submission::{Arrival, Disagreement, FrontDoorAnswer, Submission, What};
use referral::{DeliveryId, Digest, Endpoint, IdempotencyKey, Moment, ReferralId};
use router::chase::Chaser;
use router::decide::{Decider, Input, LEDGER_RETRY};
use router::deliver::Deliverer;
use router::meters::Meters;
use router::record::log::{self, Checkpoint, Signer};
use router::record::{Ledger, Quarantined};
use router::rules::Rules;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use transport::amqp::Message;
use transport::clock::Clock;
use transport::shutdown::Shutdown;

use crate::chance::Chance;
use crate::oracle::{Complaints, Drawn, Oracle};
use crate::people;
use crate::shaky::ShakyLedger;
use crate::world::{Reading, Tally, Token, Weather, World};

/// How long all may take to come to rest once nothing fails any more: the longest pause between two attempts, and
/// the sweep after it, many times over.
const REST_MAX: Duration = Duration::from_secs(600);

/// What does not change from life to life, made once: proving the rules takes longer than a life.
#[derive(Clone)]
pub struct Given {
    pub rules: Arc<Rulebook>,
    pub meters: Meters,
}

/// How a life ended.
pub struct Ended {
    pub complaints: Complaints,
    pub tally: Tally,
}

/// Lives one life.
pub fn live(seed: u64, given: &Given, talkative: bool) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(Life::new(seed, given, talkative).live())
}

struct Life {
    given: Given,
    world: World,
    ledger: ShakyLedger,
    /// What time it is in the simulation: it stands still while a broker runs, and goes on between two of them.
    now: Moment,
    milliseconds: i64,
    submitted: Vec<Submission>,
}

/// A broker that runs.
struct Broker {
    tasks: JoinSet<()>,
    events: mpsc::Sender<(ReferralId, Event)>,
    shutdown: Shutdown,
}

impl Life {
    fn new(seed: u64, given: &Given, talkative: bool) -> Life {
        let mut chance = Chance::new(seed);
        // Before the duty to share began, after it, before Christmas; by day, in the evening, before a weekend.
        let starts = ["2026-09-28T09:00:00Z", "2026-09-29T18:30:00Z", "2026-11-20T13:00:00Z", "2026-12-23T10:00:00Z"];
        let now = chance.pick(&starts).parse().expect("a moment");
        let signer = Signer::new("localhost/safeguarding-ledger", &[7; 32]);
        let drawn: Drawn = Arc::new(Mutex::new(VecDeque::new()));
        let oracle = Oracle::new(given.rules.clone(), signer.public().clone(), drawn.clone());
        let world = World::new(chance, oracle, talkative);
        let ledger = ShakyLedger::new(signer, seed, drawn, world.clone());
        Life { given: given.clone(), world, ledger, now, milliseconds: 0, submitted: Vec::new() }
    }

    async fn live(mut self) -> Ended {
        let phases = 1 + self.chance(|chance| chance.below(4));
        for _ in 0..phases {
            {
                let mut state = self.world.lock();
                state.weather = Weather::any(&mut state.chance);
                let (now, weather) = (self.now, state.weather.clone());
                state.trace(|| format!("--- a broker starts at {now}, in {weather:?}"));
            }
            let broker = self.start();
            self.act(&broker).await;
            if self.chance(|chance| chance.percent(75)) {
                self.world.lock().tally.crashes += 1;
                self.kill(broker).await;
            } else {
                self.world.lock().tally.orderly_stops += 1;
                self.stop(broker).await;
            }
            let hours = self.chance(|chance| *chance.pick(&[0, 0, 3, 24, 72]));
            self.now += jiff::SignedDuration::from_hours(hours);
        }
        self.recover().await;
        let complaints = self.examine().await;
        let mut state = self.world.lock();
        state.tally.steps = state.oracle.steps;
        let tally = state.tally.clone();
        Ended { complaints, tally }
    }

    fn chance<T>(&self, ask: impl FnOnce(&mut Chance) -> T) -> T {
        ask(&mut self.world.lock().chance)
    }

    fn start(&self) -> Broker {
        let (ledger, meters) = (self.ledger.clone(), self.given.meters.clone());
        let clock = Clock::shifted(self.now.duration_since(Clock::system().now()));
        let shutdown = Shutdown::by_hand(Duration::from_secs(10));
        let (inputs, to_decide) = mpsc::channel(16);
        let (events, happened) = mpsc::channel(16);
        let (orders, to_deliver) = mpsc::unbounded_channel();
        let (news, _nobody_watches) = watch::channel(0);
        let deliverer = Deliverer {
            ledger: ledger.clone(),
            post: self.world.clone(),
            clock,
            meters: meters.clone(),
            confirmed: events.clone(),
        };
        let rules = Rules::fixed(Rulebook::clone(&self.given.rules));
        let decider = Decider { ledger: ledger.clone(), rules: rules.clone(), clock, meters: meters.clone() };
        let mut tasks = JoinSet::new();
        tasks.spawn(deliverer.run(to_deliver, shutdown.clone()));
        tasks.spawn(feed(self.world.clone(), ledger.clone(), clock, inputs, shutdown.clone()));
        tasks.spawn(Chaser { ledger, rules, clock, meters, wake: events.clone() }.run(shutdown.clone()));
        tasks.spawn(decider.run(to_decide, happened, orders, self.world.clone(), news));
        Broker { tasks, events, shutdown }
    }

    /// Nothing in memory survives.
    async fn kill(&self, mut broker: Broker) {
        self.world.lock().trace(|| "--- the broker is killed".to_owned());
        broker.tasks.abort_all();
        self.bury(&mut broker.tasks).await;
        self.world.lose_connection();
        self.ledger.broker_died().await;
    }

    async fn stop(&self, broker: Broker) {
        self.world.lock().trace(|| "--- the broker is asked to stop".to_owned());
        let Broker { mut tasks, events, shutdown } = broker;
        shutdown.request();
        drop(events);
        let patience = shutdown.drain();
        if tokio::time::timeout(patience, self.bury(&mut tasks)).await.is_err() {
            tasks.abort_all();
            self.bury(&mut tasks).await;
        }
        self.world.lose_connection();
        self.ledger.broker_died().await;
    }

    async fn bury(&self, tasks: &mut JoinSet<()>) {
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                self.world.lock().complain(vec![format!("a task of the broker panicked: {error}")]);
            }
        }
    }

    /// People do what people do, for a while.
    async fn act(&mut self, broker: &Broker) {
        let acts = 2 + self.chance(|chance| chance.below(9));
        for _ in 0..acts {
            match self.chance(|chance| chance.below(21)) {
                0..=4 => self.submit(),
                5 => self.submit_again(),
                6 => self.submit_other_content_under_the_same_key(),
                7 | 8 => self.amend(),
                9 => self.withdraw(),
                10..=15 => self.answer(),
                16 => self.world.accept_noise(),
                17 => {
                    self.world.lock().tally.connections_lost += 1;
                    self.world.lose_connection();
                }
                18 => self.say_what_never_was(),
                19 => self.disagree(),
                _ => self.look(broker),
            }
            let wait = self.chance(|chance| if chance.percent(20) { chance.below(2_000) } else { chance.below(60) });
            tokio::time::sleep(Duration::from_millis(wait as u64)).await;
        }
    }

    /// Each arrival at a door has a moment of its own.
    fn received(&mut self) -> Moment {
        self.milliseconds += 1;
        self.now + jiff::SignedDuration::from_millis(self.milliseconds)
    }

    fn arrives(&mut self, from: Endpoint, what: What) {
        let received = self.received();
        self.world.accept(&Arrival { from, received, what });
    }

    fn submit(&mut self) {
        let received = self.received();
        let submission = self.chance(|chance| {
            let sender = people::a_school(chance);
            people::a_submission(chance, sender, received)
        });
        self.submitted.push(submission.clone());
        self.arrives(submission.sender.clone(), What::Submitted(Box::new(submission)));
    }

    fn a_submission(&self) -> Option<Submission> {
        if self.submitted.is_empty() { None } else { Some(self.chance(|chance| chance.pick(&self.submitted).clone())) }
    }

    fn submit_again(&mut self) {
        let Some(submission) = self.a_submission() else { return };
        self.arrives(submission.sender.clone(), What::Submitted(Box::new(submission)));
    }

    fn submit_other_content_under_the_same_key(&mut self) {
        let Some(submission) = self.a_submission() else { return };
        let submission = self.chance(|chance| people::with_other_content(chance, submission));
        self.arrives(submission.sender.clone(), What::Submitted(Box::new(submission)));
    }

    /// Under a key of its own: other content, another child too, what it was at first; or by somebody else.
    fn amend(&mut self) {
        let Some(first) = self.a_submission() else { return };
        let mut submission = first.clone();
        self.chance(|chance| {
            if chance.percent(70) {
                submission = people::with_other_content(chance, submission.clone());
            }
            if chance.percent(20) {
                submission.further_children.push(people::a_child(chance));
            }
            if chance.percent(10) {
                submission.sender = people::a_stranger(chance, &first.sender);
            }
            submission.key = IdempotencyKey::from_bytes(chance.bytes());
        });
        self.arrives(
            submission.sender.clone(),
            What::Amended { referral: first.referral_id(), submission: Box::new(submission) },
        );
    }

    fn withdraw(&mut self) {
        let Some(submission) = self.a_submission() else { return };
        let referrals = submission.split();
        let (referral, from, by) = self.chance(|chance| {
            let from =
                if chance.percent(15) { people::a_stranger(chance, &submission.sender) } else { submission.sender.clone() };
            (chance.pick(&referrals).id, from, people::a_person(chance))
        });
        self.arrives(from, What::Withdrawn { referral, by, reason: "sent by mistake".into() });
    }

    /// The sender, or somebody else, disagrees with what was decided, or with nothing being decided.
    fn disagree(&mut self) {
        let Some(submission) = self.a_submission() else { return };
        let referrals = submission.split();
        let (referral, from, by, is_immediate_danger) = self.chance(|chance| {
            let from =
                if chance.percent(10) { people::a_stranger(chance, &submission.sender) } else { submission.sender.clone() };
            (chance.pick(&referrals).id, from, people::a_person(chance), chance.percent(20))
        });
        let reason = "Nobody looked at the bruises.".into();
        let disagreement = Disagreement { from: from.clone(), by, reason, is_immediate_danger };
        self.arrives(from, What::Disagreed { referral, disagreement });
    }

    /// Somebody answers what lies in a queue: rightly, twice, late, about other bytes, or out of turn.
    fn answer(&mut self) {
        let answer = {
            let mut state = self.world.lock();
            let all: Vec<(&String, &Message)> =
                state.queues.iter().flat_map(|(to, queue)| queue.iter().map(move |message| (to, message))).collect();
            if all.is_empty() {
                return;
            }
            let (to, message) = {
                let at = (self.milliseconds as usize).wrapping_mul(7) % all.len();
                (all[at].0.clone(), all[at].1.clone())
            };
            let to = people::endpoint(&to);
            let (referral, mut digest) = read(&message);
            let chance = &mut state.chance;
            let from = if chance.percent(10) { people::a_stranger(chance, &to) } else { to };
            if chance.percent(10) {
                digest = Digest::from_bytes(chance.bytes());
            }
            let says = people::an_answer(chance, is_an_offer(&message), self.now);
            let delivery = DeliveryId::parse(&message.id).expect("the message id is the delivery's");
            (referral, FrontDoorAnswer { from, delivery, digest, by: people::a_person(chance), says })
        };
        let (referral, answer) = answer;
        let times = if self.chance(|chance| chance.percent(15)) { 2 } else { 1 };
        for _ in 0..times {
            self.arrives(answer.from.clone(), What::Answered { referral, answer: answer.clone() });
        }
    }

    fn say_what_never_was(&mut self) {
        let (referral, sender, by) =
            self.chance(|chance| (ReferralId::from_bytes(chance.bytes()), people::a_school(chance), people::a_person(chance)));
        self.arrives(sender, What::Withdrawn { referral, by, reason: "never was".into() });
    }

    /// Senders look how their referrals ended; that they saw it is told to whoever decides.
    fn look(&self, broker: &Broker) {
        for referral in self.world.lock().oracle.ended() {
            // Where there is no room the sender looks again later.
            let _ = broker.events.try_send((referral, Event::SenderTold));
        }
    }

    /// Nothing fails any more: the broker starts again, comes to rest, and days later every clock has run out.
    async fn recover(&mut self) {
        for days in [0, 10] {
            self.now += jiff::SignedDuration::from_hours(24 * days);
            self.world.lock().weather = Weather::calm();
            let now = self.now;
            self.world.lock().trace(|| format!("--- the world has recovered, {now}"));
            let broker = self.start();
            if tokio::time::timeout(REST_MAX, self.rest(&broker)).await.is_err() {
                self.world.lock().complain(vec!["the broker did not come to rest".to_owned()]);
            }
            self.stop(broker).await;
        }
    }

    async fn rest(&self, broker: &Broker) {
        let ledger = self.ledger.itself();
        loop {
            // Longer than anything calm takes, and than the pause between two looks at the clocks.
            tokio::time::sleep(Duration::from_secs(6)).await;
            self.look(broker);
            let owed = ledger.owed(None, 1).await.is_ok_and(|owed| !owed.is_empty());
            let overdue = ledger.overdue(self.now, 1).await.is_ok_and(|overdue| !overdue.is_empty());
            let mut state = self.world.lock();
            if !owed && !overdue && state.intake_is_empty() && state.under_way == 0 && state.oracle.ended().is_empty() {
                return;
            }
            state.weather = Weather::calm();
        }
    }

    /// Looks at everything that is left, and counts.
    async fn examine(&self) -> Complaints {
        let ledger = self.ledger.itself();
        let counts = ledger.counts().await.expect("it can be read");
        let note = ledger.checkpoint().await.expect("it can be read");
        let parties = self.world.lock().oracle.parties();
        let mut complaints = Complaints::new();
        let mut told_in_all = 0;
        for (party, (referrals, expected)) in parties {
            let listed = ledger.list(&party, 0, usize::MAX).await.expect("it can be read");
            let ids: Vec<_> = listed.iter().map(|listed| listed.referral).collect();
            if ids.len() != referrals.len() || !ids.iter().all(|id| referrals.contains(id)) {
                complaints.push(format!("{party} has {} referrals in its list, and submitted {}", ids.len(), referrals.len()));
            }
            let told = ledger.progress(&party, 0, usize::MAX).await.expect("it can be read");
            told_in_all += told.len() as u64;
            if !told.iter().map(|told| told.sequence).eq(1..=told.len() as u64) {
                complaints.push(format!("what {party} was told has a gap"));
            }
            if !told.iter().map(|told| (told.referral, &told.body)).eq(expected.iter().map(|(referral, body)| (*referral, body)))
            {
                complaints.push(format!(
                    "{party} was told {} rungs, and should have been told {}, each once",
                    told.len(),
                    expected.len()
                ));
            }
        }
        let key = Signer::new("localhost/safeguarding-ledger", &[7; 32]).public().clone();
        let mut state = self.world.lock();
        let (leaves, root) = state.oracle.log();
        match Checkpoint::open(&note, &key) {
            Ok(checkpoint) if checkpoint.size == leaves && checkpoint.root == root && counts.leaves == leaves => {}
            Ok(checkpoint) => {
                complaints.push(format!("the log has {} leaves where {leaves} were recorded, or another root", checkpoint.size))
            }
            Err(why) => complaints.push(format!("the last checkpoint does not hold: {why}")),
        }
        if counts.owed != 0 {
            complaints.push(format!("{} deliveries are still owed", counts.owed));
        }
        if counts.quarantined != state.tally.quarantined {
            complaints.push(format!(
                "{} messages are in quarantine, and {} were unreadable",
                counts.quarantined, state.tally.quarantined
            ));
        }
        let now = self.now;
        complaints.extend(state.oracle.ended_well(now));
        state.tally.told = told_in_all;
        state.tally.leaves = leaves;
        state.tally.breaches = state.oracle.breaches();
        let mut all = state.complaints();
        all.extend(complaints);
        all
    }
}

/// Reads the intake as the receiver does: what can be read is handed on, what cannot is put aside and then settled.
async fn feed(world: World, ledger: ShakyLedger, clock: Clock, inputs: mpsc::Sender<Input<Token>>, shutdown: Shutdown) {
    let mut reading = Reading::default();
    let at_once_max = 1 + world.lock().chance.below(12);
    while !shutdown.is_requested() {
        let next = world.lock().next(&mut reading, at_once_max);
        let Some((token, bytes, traceparent)) = next else {
            tokio::select! {
                biased;
                () = shutdown.requested() => return,
                () = world.stirred.notified() => {}
            }
            continue;
        };
        match proto::read::arrival(&bytes) {
            Ok(arrival) => {
                if inputs.send(Input::arrived(arrival, &bytes, traceparent, token)).await.is_err() {
                    return;
                }
            }
            Err(unreadable) => {
                let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = log::digest(&bytes);
                let kept = Quarantined {
                    id: uuid::Builder::from_custom_bytes([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]).into_uuid(),
                    queue: "intake".to_owned(),
                    reason: unreadable.word().to_owned(),
                    at: clock.now(),
                    headers: Vec::new(),
                    bytes,
                };
                while ledger.quarantine(kept.clone()).await.is_err() {
                    tokio::time::sleep(LEDGER_RETRY).await;
                }
                router::decide::Settle::settle(&world, &[token]).await;
            }
        }
        world.pause().await;
    }
}

/// What a recipient's system reads: the referral, and the digest that an answer must name.
fn read(message: &Message) -> (ReferralId, Digest) {
    let (delivery, digest) = opened(message);
    (ReferralId::parse(&delivery.referral_id).expect("a referral"), digest)
}

/// Another authority offers a case with it.
fn is_an_offer(message: &Message) -> bool {
    opened(message).0.matter() == wire::Matter::TransferOffer
}

fn opened(message: &Message) -> (wire::Delivery, Digest) {
    if message.content_type == proto::JSON_CONTENT_TYPE {
        let text = std::str::from_utf8(&message.body).expect("JSON is text");
        let delivery: wire::Delivery = proto::json::read(text).expect("a delivery");
        (delivery, Digest::of_bytes(&message.body))
    } else {
        let envelope = wire::DeliveryEnvelope::decode(message.body.clone()).expect("an envelope");
        let Some(wire::delivery_envelope::Body::Plain(plain)) = envelope.body else { unreachable!("nothing is sealed yet") };
        let delivery = wire::Delivery::decode(plain.as_slice()).expect("a delivery");
        (delivery, Digest::of_bytes(&plain))
    }
}
