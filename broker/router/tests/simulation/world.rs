//! The world around the broker: the intake's queues, which bring everything at least once, the recipients'
//! queues, and the road to them, which loses, delays and forgets to answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use referral::submission::{Arrival, Says, What};
use router::decide::{Input, Settle};
use router::deliver::Post;
use router::roads;
use tokio::sync::Notify;
use transport::amqp::{Message, NotConfirmed, Road};

use crate::chance::Chance;
use crate::oracle::{Complaints, Oracle};

/// How often things fail, in percent, and how long they take.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    pub not_written: usize,
    pub written_unheard: usize,
    pub written_late: usize,
    pub overtaken: usize,
    pub unread: usize,
    /// A message that is posted does not simply arrive and is confirmed.
    pub astray: usize,
    /// What is settled is not heard, and the intake's connection is lost with it.
    pub unsettled: usize,
    /// The longest pause, in milliseconds.
    pub pause_ms_max: usize,
    /// Recipients whose queues take nothing.
    pub shut: BTreeSet<String>,
}

impl Weather {
    pub fn any(chance: &mut Chance) -> Weather {
        let mut up_to = |percent: usize| if chance.percent(40) { 0 } else { chance.below(percent) };
        let mut weather = Weather {
            not_written: up_to(40),
            written_unheard: up_to(40),
            written_late: up_to(25),
            overtaken: up_to(20),
            unread: up_to(30),
            astray: up_to(70),
            unsettled: up_to(25),
            pause_ms_max: 1 + up_to(12),
            shut: BTreeSet::new(),
        };
        for recipient in ["la.E08000035.front-door", "la.E10000016.front-door", "police.13"] {
            if chance.percent(10) {
                weather.shut.insert(recipient.to_owned());
            }
        }
        weather
    }

    pub fn calm() -> Weather {
        Weather { pause_ms_max: 2, ..Weather::default() }
    }
}

/// What happened, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub lives: u64,
    pub crashes: u64,
    pub orderly_stops: u64,
    pub connections_lost: u64,
    pub messages: u64,
    pub redelivered: u64,
    pub steps: u64,
    pub not_written: u64,
    pub written_unheard: u64,
    pub written_late: u64,
    pub stale: u64,
    pub unread: u64,
    pub astray: u64,
    pub deliveries: u64,
    pub repeats: u64,
    pub told: u64,
    pub breaches: u64,
    pub leaves: u64,
    pub quarantined: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        let Tally {
            lives,
            crashes,
            orderly_stops,
            connections_lost,
            messages,
            redelivered,
            steps,
            not_written,
            written_unheard,
            written_late,
            stale,
            unread,
            astray,
            deliveries,
            repeats,
            told,
            breaches,
            leaves,
            quarantined,
        } = other;
        for (to, from) in [
            (&mut self.lives, lives),
            (&mut self.crashes, crashes),
            (&mut self.orderly_stops, orderly_stops),
            (&mut self.connections_lost, connections_lost),
            (&mut self.messages, messages),
            (&mut self.redelivered, redelivered),
            (&mut self.steps, steps),
            (&mut self.not_written, not_written),
            (&mut self.written_unheard, written_unheard),
            (&mut self.written_late, written_late),
            (&mut self.stale, stale),
            (&mut self.unread, unread),
            (&mut self.astray, astray),
            (&mut self.deliveries, deliveries),
            (&mut self.repeats, repeats),
            (&mut self.told, told),
            (&mut self.breaches, breaches),
            (&mut self.leaves, leaves),
            (&mut self.quarantined, quarantined),
        ] {
            *to += from;
        }
    }

    /// Every way to fail that was tried, by name: a simulation that never fails proves nothing.
    pub fn faults(&self) -> [(&'static str, u64); 10] {
        [
            ("crashes", self.crashes),
            ("orderly stops", self.orderly_stops),
            ("connections lost", self.connections_lost),
            ("writes that did not happen", self.not_written),
            ("writes reported failed that happened", self.written_unheard),
            ("writes that happened late", self.written_late),
            ("steps overtaken", self.stale),
            ("reads that failed", self.unread),
            ("posts astray", self.astray),
            ("messages brought again", self.redelivered),
        ]
    }
}

/// The world, shared by everybody in it.
#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    /// Something new lies on the intake, all of it comes again, or there is room for more.
    pub stirred: Arc<Notify>,
}

pub struct State {
    pub chance: Chance,
    pub weather: Weather,
    pub oracle: Oracle,
    pub tally: Tally,
    pub queues: BTreeMap<String, Vec<Message>>,
    /// Sent, not landed: the road is long.
    pub under_way: usize,
    intake: Vec<Vec<Placed>>,
    messages: usize,
    /// Grows whenever the consumer's connection is lost; what was handed out before is no longer its to settle.
    epoch: u64,
    complaints: Complaints,
    talkative: bool,
}

struct Placed {
    number: usize,
    bytes: Vec<u8>,
    traceparent: Option<String>,
    handed_out: bool,
    settled: bool,
}

/// A message handed out to a consumer.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    epoch: u64,
    partition: usize,
    at: usize,
}

/// Where a consumer of the intake is.
#[derive(Default)]
pub struct Reading {
    epoch: u64,
    at: Vec<usize>,
}

/// How a post ends.
enum Passage {
    Arrives,
    ArrivesUnheard,
    ArrivesLate,
    IsLost,
    IsNotTaken(NotConfirmed),
}

impl World {
    pub fn new(chance: Chance, oracle: Oracle, talkative: bool) -> World {
        let state = State {
            chance,
            weather: Weather::calm(),
            oracle,
            tally: Tally { lives: 1, ..Tally::default() },
            queues: BTreeMap::new(),
            under_way: 0,
            intake: (0..roads::PARTITIONS).map(|_| Vec::new()).collect(),
            messages: 0,
            epoch: 0,
            complaints: Complaints::new(),
            talkative,
        };
        World { state: Arc::new(Mutex::new(state)), stirred: Arc::new(Notify::new()) }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with it")
    }

    /// Everything takes its time; in between, anything else may happen.
    pub async fn pause(&self) {
        let pause = {
            let mut state = self.lock();
            let longest = state.weather.pause_ms_max;
            if state.chance.percent(50) { Some(state.chance.below(longest + 1)) } else { None }
        };
        match pause {
            None => {}
            Some(0) => tokio::task::yield_now().await,
            Some(pause) => tokio::time::sleep(Duration::from_millis(pause as u64)).await,
        }
    }

    /// A door puts something on the intake and was told that a queue has it.
    pub fn accept(&self, arrival: &Arrival) {
        let mut state = self.lock();
        let traceparent = state.chance.percent(20).then(|| "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
        let bytes = proto::write::arrival(arrival, traceparent.as_deref().unwrap_or_default());
        let partition = usize::from(arrival.what.referral().partition(roads::PARTITIONS));
        let number = state.put(partition, bytes.clone(), traceparent.clone());
        let read = proto::read::arrival(&bytes).expect("what a door writes can be read");
        state.trace(|| {
            format!("message {number} is {} about {} from {}", word(&arrival.what), arrival.what.referral(), arrival.from)
        });
        state.oracle.accepted(number, Input::arrived(read, &bytes, traceparent, ()));
        drop(state);
        self.stirred.notify_one();
    }

    /// Something that nobody can read lies on the intake.
    pub fn accept_noise(&self) {
        let mut state = self.lock();
        let partition = state.chance.below(usize::from(roads::PARTITIONS));
        let noise: [u8; 24] = state.chance.bytes();
        state.tally.quarantined += 1;
        // No tag of protobuf begins with seven: the wire type does not exist.
        state.put(partition, [&[7], noise.as_slice()].concat(), None);
        drop(state);
        self.stirred.notify_one();
    }

    /// The consumer's connection is lost: what is not settled comes again, from the first on.
    pub fn lose_connection(&self) {
        let mut state = self.lock();
        state.epoch += 1;
        state.trace(|| "the intake's connection is lost".to_owned());
        drop(state);
        self.stirred.notify_one();
    }
}

impl State {
    pub fn complain(&mut self, complaints: Complaints) {
        for complaint in &complaints {
            self.trace(|| format!("WRONG: {complaint}"));
        }
        self.complaints.extend(complaints);
    }

    pub fn complaints(&mut self) -> Complaints {
        std::mem::take(&mut self.complaints)
    }

    pub fn trace(&self, what: impl FnOnce() -> String) {
        if self.talkative {
            eprintln!("{}", what());
        }
    }

    fn put(&mut self, partition: usize, bytes: Vec<u8>, traceparent: Option<String>) -> usize {
        let number = self.messages;
        self.messages += 1;
        self.tally.messages += 1;
        self.trace(|| format!("message {number} lies on intake {partition}"));
        self.intake[partition].push(Placed { number, bytes, traceparent, handed_out: false, settled: false });
        number
    }

    /// The next message for a consumer that takes so many at once: each partition in order, the partitions side by side.
    pub fn next(&mut self, reading: &mut Reading, at_once_max: usize) -> Option<(Token, Vec<u8>, Option<String>)> {
        if reading.epoch != self.epoch || reading.at.is_empty() {
            *reading = Reading { epoch: self.epoch, at: vec![0; self.intake.len()] };
        }
        let mut ready = Vec::new();
        for (partition, at) in reading.at.iter_mut().enumerate() {
            let placed = &self.intake[partition];
            while placed.get(*at).is_some_and(|placed| placed.settled) {
                *at += 1;
            }
            let out = placed[..*at].iter().filter(|placed| !placed.settled).count();
            if *at < placed.len() && out < at_once_max {
                ready.push(partition);
            }
        }
        if ready.is_empty() {
            return None;
        }
        let partition = *self.chance.pick(&ready);
        let at = reading.at[partition];
        reading.at[partition] += 1;
        let number = self.intake[partition][at].number;
        self.trace(|| format!("message {number} is handed out"));
        let placed = &mut self.intake[partition][at];
        self.tally.redelivered += u64::from(placed.handed_out);
        placed.handed_out = true;
        Some((Token { epoch: reading.epoch, partition, at }, placed.bytes.clone(), placed.traceparent.clone()))
    }

    pub fn intake_is_empty(&self) -> bool {
        self.intake.iter().flatten().all(|placed| placed.settled)
    }

    fn settle(&mut self, token: Token) {
        if token.epoch != self.epoch {
            return;
        }
        let placed = &mut self.intake[token.partition][token.at];
        placed.settled = true;
        let number = placed.number;
        self.trace(|| format!("message {number} is settled"));
        let complaints = self.oracle.settled(number);
        self.complain(complaints);
    }

    fn land(&mut self, road: &Road, message: Message) {
        let (is_first, complaints) = self.oracle.landed(road, &message);
        self.trace(|| format!("{} {} at {}", if is_first { "landed" } else { "repeated" }, message.id, road.routing_key));
        self.complain(complaints);
        if is_first {
            self.tally.deliveries += 1;
        } else {
            self.tally.repeats += 1;
        }
        self.queues.entry(road.routing_key.clone()).or_default().push(message);
    }

    fn passage(&mut self, road: &Road) -> Passage {
        if self.weather.shut.contains(&road.routing_key) {
            return Passage::IsNotTaken(NotConfirmed::Refused);
        }
        let astray = self.weather.astray;
        if !self.chance.percent(astray) {
            return Passage::Arrives;
        }
        self.tally.astray += 1;
        match self.chance.below(6) {
            0 => Passage::ArrivesUnheard,
            1 => Passage::ArrivesLate,
            2 => Passage::IsLost,
            3 => Passage::IsNotTaken(NotConfirmed::NotConnected),
            4 => Passage::IsNotTaken(NotConfirmed::Refused),
            _ => Passage::IsNotTaken(NotConfirmed::Unroutable),
        }
    }
}

fn word(what: &What) -> &'static str {
    match what {
        What::Submitted(_) => "a submission",
        What::Amended { .. } => "an amendment",
        What::Withdrawn { .. } => "a withdrawal",
        What::ConsentWithdrawn { .. } => "agreement withdrawn",
        What::Disagreed { .. } => "a disagreement",
        What::Answered { answer, .. } => match answer.says {
            Says::Collected => "a receipt",
            Says::Acknowledged => "an acknowledgement",
            Says::Decided { .. } => "a decision",
            Says::AskedForMore { .. }
            | Says::TransferOffered { .. }
            | Says::TransferAccepted
            | Says::TransferRefused { .. }
            | Says::TransferWithdrawn { .. }
            | Says::StrategyDiscussionHeld { .. }
            | Says::StatusRecorded(_)
            | Says::ReferredOn { .. }
            | Says::HandlingLifted { .. } => "another answer",
        },
    }
}

/// The road to the recipients' queues.
impl Post for World {
    async fn post(&self, to: Road, message: Message) -> Result<(), NotConfirmed> {
        self.pause().await;
        let passage = self.lock().passage(&to);
        match passage {
            Passage::Arrives => {
                self.lock().land(&to, message);
                self.pause().await;
                Ok(())
            }
            Passage::ArrivesUnheard => {
                self.lock().land(&to, message);
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(NotConfirmed::NoAnswer)
            }
            Passage::ArrivesLate => {
                // It is out of the broker's hands: it lands even if the broker dies.
                let wait = {
                    let mut state = self.lock();
                    state.under_way += 1;
                    Duration::from_millis(state.chance.below(3_000) as u64)
                };
                let world = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    let mut state = world.lock();
                    state.land(&to, message);
                    state.under_way -= 1;
                });
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(NotConfirmed::NoAnswer)
            }
            Passage::IsLost => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(NotConfirmed::NoAnswer)
            }
            Passage::IsNotTaken(why) => Err(why),
        }
    }
}

/// The way back to the intake.
impl Settle<Token> for World {
    async fn settle(&self, tokens: &[Token]) {
        self.pause().await;
        for token in tokens {
            let is_lost = {
                let mut state = self.lock();
                let unsettled = state.weather.unsettled;
                state.chance.percent(unsettled)
            };
            if is_lost {
                self.lock().tally.connections_lost += 1;
                self.lose_connection();
                return;
            }
            self.lock().settle(*token);
        }
        // What is settled makes room for more.
        self.stirred.notify_one();
        self.pause().await;
    }
}
