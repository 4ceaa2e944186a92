//! Publishing: a message is answered for when a queue has it, and only then.
//!
//! [`Confirmed`] cannot be made outside this file and means one thing: persistent, routed, confirmed by a
//! queue. Everything else is one of the few ways of [`NotConfirmed`], within a deadline. A publish goes on
//! when its caller stops waiting; nothing is ever published twice by this code on its own.

use std::{collections::HashSet, future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use lapin::{
    BasicProperties, Channel, Confirmation, PublisherConfirm,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use super::{
    BODY_BYTES_MAX, Message, Meters, Nodes, Road, SHORT_NAME_BYTES_MAX,
    connection::{Backoff, Link, Word, random_u16},
};
use crate::clock::Clock;

/// Channels that publish side by side. Each waits for a whole batch; eight of them keep a node busy while
/// a lone message still finds one idle.
const LANES: usize = 8;
/// A batch is what is waiting, up to this. 8 x 64 in flight is beyond the knee that was measured (256).
const BATCH_MAX: usize = 64;
/// What may wait in front of the lanes. More than this is a broker that cannot keep up, and is said at once.
const QUEUE_MAX: usize = 4096;

/// A queue has the message: routed, stored by a quorum, confirmed.
#[must_use = "somebody waits to be told that the message is safe"]
#[derive(Debug, PartialEq, Eq)]
pub struct Confirmed(());

/// Why nobody can say that a queue has the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotConfirmed {
    /// The exchange knows no queue for this routing key. Nobody has it.
    #[error("no queue takes what is sent on this road")]
    Unroutable,
    /// A queue refused it: it is full, or cannot store now. Nobody has it.
    #[error("the queue refused it for now")]
    Refused,
    /// It was sent and no answer came. A queue may or may not have it: send it again under the same id.
    #[error("no answer came: it may or may not have arrived")]
    NoAnswer,
    /// It was never sent: no connection, a broker that takes nothing for now, or too many waiting before it.
    #[error("it was not sent: there is no way to the broker just now")]
    NotConnected,
    /// It was never sent and never can be: a name or the body is longer than AMQP allows.
    #[error("it cannot be sent: a name or the body is too long")]
    TooLong,
}

impl NotConfirmed {
    /// Whether the same message on the same road may be confirmed later.
    pub fn can_retry(self) -> bool {
        match self {
            NotConfirmed::Refused | NotConfirmed::NoAnswer | NotConfirmed::NotConnected => true,
            // The topology has to be mended first. Once it is, a retry is right; until then it is noise.
            NotConfirmed::Unroutable => false,
            NotConfirmed::TooLong => false,
        }
    }

    /// Whether it is certain that no queue has the message.
    pub fn surely_nowhere(self) -> bool {
        self != NotConfirmed::NoAnswer
    }

    /// One word for a metric's label.
    pub fn name(self) -> &'static str {
        match self {
            NotConfirmed::Unroutable => "unroutable",
            NotConfirmed::Refused => "refused",
            NotConfirmed::NoAnswer => "no_answer",
            NotConfirmed::NotConnected => "not_connected",
            NotConfirmed::TooLong => "too_long",
        }
    }
}

type Outcome = Result<Confirmed, NotConfirmed>;

/// Hands messages to RabbitMQ. Cheap to clone; the connection ends with the last clone.
#[derive(Clone, Debug)]
pub struct Publisher {
    parcels: mpsc::Sender<Parcel>,
    gate: watch::Receiver<Gate>,
    meters: Meters,
    clock: Clock,
}

/// Whether messages are let through to the lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// The broker is short of memory or disk. What is sent now would neither arrive nor fail.
    Blocked,
    Down,
}

/// A message on its way, and the one who waits for it.
#[derive(Debug)]
struct Parcel {
    road: Road,
    message: Message,
    answer: oneshot::Sender<Outcome>,
}

impl Parcel {
    fn answer(self, outcome: Outcome) {
        // Nobody listens when the caller stopped waiting. The message has gone its way all the same.
        let _ = self.answer.send(outcome);
    }
}

impl Publisher {
    /// Starts publishing to `nodes`. Returns at once; the connection is made, and made again, behind it.
    /// `name` is shown to RabbitMQ's operators and in metrics.
    pub fn start(nodes: Nodes, name: impl Into<String>, meters: Meters) -> Publisher {
        let (parcels, waiting) = mpsc::channel(QUEUE_MAX);
        let (gate, seen) = watch::channel(Gate::Down);
        let supervisor = Supervisor {
            nodes,
            name: name.into(),
            waiting: Arc::new(Mutex::new(waiting)),
            gate: Arc::new(gate),
            meters: meters.clone(),
        };
        tokio::spawn(supervisor.run());
        Publisher { parcels, gate: seen, meters, clock: Clock::system() }
    }

    /// Publishes one message, persistent and mandatory, and waits until a queue has it.
    ///
    /// Answers within the deadlines, whatever happens. Two publishes keep their order only if the second
    /// begins after the first is confirmed. A caller that stops waiting does not stop the message.
    pub async fn publish(&self, to: Road, message: Message) -> Outcome {
        let stopwatch = self.clock.stopwatch();
        let outcome = self.hand_over(to, message).await;
        self.meters.published(&outcome, stopwatch.elapsed_s());
        outcome
    }

    async fn hand_over(&self, road: Road, message: Message) -> Outcome {
        if is_too_long(&road, &message) {
            return Err(NotConfirmed::TooLong);
        }
        if !self.is_open() {
            return Err(NotConfirmed::NotConnected);
        }
        let (answer, answered) = oneshot::channel();
        self.parcels.try_send(Parcel { road, message, answer }).map_err(|_full_or_ended| NotConfirmed::NotConnected)?;
        // A lane that vanished with the parcel may have sent it.
        answered.await.unwrap_or(Err(NotConfirmed::NoAnswer))
    }

    /// Whether messages are taken just now. For readiness; [`Publisher::publish`] asks by itself.
    pub fn is_open(&self) -> bool {
        *self.gate.borrow() == Gate::Open
    }

    /// Waits until messages are taken, no longer than `patience`; says whether they are.
    pub async fn opens_within(&self, patience: Duration) -> bool {
        let mut gate = self.gate.clone();
        timeout(patience, gate.wait_for(|gate| *gate == Gate::Open)).await.is_ok_and(|seen| seen.is_ok())
    }
}

/// Keeps a connection up and its lanes running; answers for everybody while there is none.
struct Supervisor {
    nodes: Nodes,
    name: String,
    /// Held by the lanes in turn while a connection is up, by the supervisor while none is.
    waiting: Arc<Mutex<mpsc::Receiver<Parcel>>>,
    gate: Arc<watch::Sender<Gate>>,
    meters: Meters,
}

/// How a connection's time ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nobody can publish any more: the last publisher was dropped.
    Unwanted,
    /// The connection is gone or may not be used again. `confirmed` tells whether it ever worked.
    Lost { confirmed: bool },
}

impl Supervisor {
    async fn run(self) {
        let mut backoff = Backoff::new();
        let mut turn = usize::from(random_u16());
        loop {
            let Some(dialled) = self.while_refusing(self.open(turn)).await else {
                return;
            };
            turn = turn.wrapping_add(1);
            self.meters.dialled(&self.name, dialled.is_ok());
            match dialled {
                Ok((link, lanes)) => {
                    let up = Clock::system().stopwatch();
                    match self.serve(link, lanes).await {
                        End::Unwanted => return,
                        End::Lost { confirmed: true } => backoff.reset(),
                        End::Lost { confirmed: false } => backoff.held_for(up.elapsed()),
                    }
                }
                Err(because) => warn!(connection = self.name, "no connection for publishing: {because}"),
            }
            if self.while_refusing(sleep(backoff.next_wait())).await.is_none() {
                return;
            }
        }
    }

    /// Does `work` while everyone who comes is told that there is no connection. `None` when nobody can come.
    async fn while_refusing<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut waiting = self.waiting.lock().await;
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                parcel = waiting.recv() => parcel?.answer(Err(NotConfirmed::NotConnected)),
            }
        }
    }

    /// A connection with all its channels in confirm mode. In any other mode a publish answers "not asked for".
    async fn open(&self, turn: usize) -> Result<(Link, Vec<Channel>), String> {
        let link = Link::dial(&self.nodes, turn, &self.name).await.map_err(|fault| fault.to_string())?;
        let opening = async {
            let mut lanes = Vec::with_capacity(LANES);
            for _ in 0..LANES {
                let channel = link.connection().create_channel().await?;
                channel.confirm_select(ConfirmSelectOptions::default()).await?;
                lanes.push(channel);
            }
            Ok::<_, lapin::Error>(lanes)
        };
        let deadline = self.nodes.deadlines().open;
        let lanes = timeout(deadline, opening)
            .await
            .map_err(|_| format!("the channels were not open within {deadline:?}"))?
            .map_err(|fault| fault.to_string())?;
        Ok((link, lanes))
    }

    /// Publishes over `link` until it is lost, spoilt or unwanted.
    async fn serve(&self, link: Link, channels: Vec<Channel>) -> End {
        let stop = watch::Sender::new(false);
        let mut lanes = JoinSet::new();
        for channel in channels {
            let lane = Lane {
                channel,
                waiting: self.waiting.clone(),
                stop: stop.subscribe(),
                gate: self.gate.clone(),
                deadline: self.nodes.deadlines().confirm,
            };
            lanes.spawn(lane.run());
        }
        info!(connection = self.name, "connected for publishing");
        self.pass(Gate::Open);
        let mut end = self.watch_over(&link, &mut lanes).await;
        self.pass(Gate::Down);

        stop.send_replace(true);
        if end == End::Unwanted {
            // What is in hand is still confirmed: each lane ends within its deadline.
            while lanes.join_next().await.is_some() {}
            link.close(self.nodes.deadlines().open).await;
        } else {
            // Cut first: it is what makes lanes that still wait for a confirm give up now.
            link.cut();
            while let Some(ended) = lanes.join_next().await {
                if let (End::Lost { confirmed }, Ok(LaneEnd::Ended { confirmed: worked, .. })) = (&mut end, ended) {
                    *confirmed |= worked;
                }
            }
            info!(connection = self.name, "left the connection for publishing");
        }
        end
    }

    /// Waits for the end of a connection's time; shuts the gate while the broker takes nothing.
    async fn watch_over(&self, link: &Link, lanes: &mut JoinSet<LaneEnd>) -> End {
        let mut words = link.words();
        let mut confirmed = false;
        let mut spoilt = false;
        let mut blocked = false;
        loop {
            tokio::select! {
                biased;
                word = words.next() => match word {
                    Word::Blocked => {
                        warn!(connection = self.name, "the broker is short of memory or disk and takes no messages");
                        blocked = true;
                        self.pass(Gate::Blocked);
                    }
                    Word::Unblocked => {
                        info!(connection = self.name, "the broker takes messages again");
                        blocked = false;
                        if spoilt {
                            return End::Lost { confirmed: true };
                        }
                        self.pass(Gate::Open);
                    }
                    Word::Ended => return End::Lost { confirmed },
                },
                Some(ended) = lanes.join_next() => match ended {
                    Ok(LaneEnd::Unwanted) => return End::Unwanted,
                    Ok(LaneEnd::Ended { confirmed: worked, because }) => {
                        warn!(connection = self.name, "a publish was left open: {because}");
                        confirmed |= worked;
                        spoilt = true;
                        // While the broker is blocked a fresh connection would fare no better, and would let
                        // the first messages on it wait out their deadline. This one is kept to hear the end
                        // of it, and never published on again: the gate stays shut.
                        if !blocked {
                            return End::Lost { confirmed };
                        }
                    }
                    // A lane that panicked has dropped its parcels, which answers them: may or may not be there.
                    Err(_) => return End::Lost { confirmed },
                },
                // Those who slipped in before the gate was shut, when no lane is left to answer them.
                parcel = async { self.waiting.lock().await.recv().await }, if blocked => match parcel {
                    Some(parcel) => parcel.answer(Err(NotConfirmed::NotConnected)),
                    None => return End::Unwanted,
                },
            }
        }
    }

    fn pass(&self, gate: Gate) {
        self.meters.connected(&self.name, gate != Gate::Down);
        self.meters.blocked(&self.name, gate == Gate::Blocked);
        self.gate.send_replace(gate);
    }
}

/// One channel: takes what is waiting, publishes it, waits for all its confirms, then answers.
///
/// Why a batch at a time: lapin hangs a returned message on whichever confirm completes next, so with several
/// in flight a lost message can look delivered and a delivered one lost. By the time every confirm of a batch
/// is in, every return of the batch is in too, on one confirm or another; who was returned is then read from
/// the returned message itself. Nobody is told anything before that.
struct Lane {
    channel: Channel,
    waiting: Arc<Mutex<mpsc::Receiver<Parcel>>>,
    stop: watch::Receiver<bool>,
    gate: Arc<watch::Sender<Gate>>,
    deadline: Duration,
}

/// How a lane ended, and whether it ever had a message confirmed.
#[derive(Debug)]
enum LaneEnd {
    /// The last publisher was dropped.
    Unwanted,
    /// It was told to stop, or its channel can no longer be used.
    Ended { confirmed: bool, because: String },
}

impl Lane {
    async fn run(mut self) -> LaneEnd {
        let mut confirmed = false;
        loop {
            let mut batch = Vec::with_capacity(BATCH_MAX);
            let taken = {
                let waiting = self.waiting.clone();
                let take = async { waiting.lock().await.recv_many(&mut batch, BATCH_MAX).await };
                tokio::select! {
                    biased;
                    // An error means that the supervisor is gone, and with it the connection.
                    _ = self.stop.wait_for(|stop| *stop) => {
                        return LaneEnd::Ended { confirmed, because: "it was told to stop".to_owned() };
                    }
                    taken = take => taken,
                }
            };
            if taken == 0 {
                return LaneEnd::Unwanted;
            }
            if *self.gate.borrow() == Gate::Blocked {
                answer_all(batch, NotConfirmed::NotConnected);
                continue;
            }
            if !self.channel.status().connected() {
                return self.end(batch, NotConfirmed::NotConnected, confirmed, "its channel was closed".to_owned());
            }
            let because = match timeout(self.deadline, publish_and_wait(&self.channel, &batch)).await {
                Ok(Ok(outcomes)) => {
                    for (parcel, outcome) in batch.into_iter().zip(outcomes) {
                        confirmed |= outcome.is_ok();
                        parcel.answer(outcome);
                    }
                    continue;
                }
                Ok(Err(fault)) => fault.to_string(),
                Err(_) => format!("no confirm within {:?}", self.deadline),
            };
            return self.end(batch, NotConfirmed::NoAnswer, confirmed, because);
        }
    }

    /// Answers for a batch that this connection will not answer for any more. The gate is shut first: whoever
    /// tries again at once must not be handed to the same connection.
    fn end(&self, batch: Vec<Parcel>, answer: NotConfirmed, confirmed: bool, because: String) -> LaneEnd {
        self.gate
            .send_if_modified(|gate| std::mem::replace(gate, if *gate == Gate::Open { Gate::Down } else { *gate }) == Gate::Open);
        answer_all(batch, answer);
        LaneEnd::Ended { confirmed, because }
    }
}

fn answer_all(batch: Vec<Parcel>, answer: NotConfirmed) {
    for parcel in batch {
        parcel.answer(Err(answer));
    }
}

/// What became of each of the batch, in its order. An error leaves all of them open.
async fn publish_and_wait(channel: &Channel, batch: &[Parcel]) -> lapin::Result<Vec<Outcome>> {
    let sending = batch.iter().map(|parcel| Box::pin(send(channel, parcel))).collect();
    let mut answers = Vec::with_capacity(batch.len());
    for confirm in all_in_order(sending).await? {
        // One by one: `wait_for_confirms` hides a refusal.
        answers.push(confirm.await?);
    }
    Ok(reconcile(batch, answers))
}

async fn send(channel: &Channel, parcel: &Parcel) -> lapin::Result<PublisherConfirm> {
    // Mandatory: a message that no queue takes comes back instead of vanishing. An alternate exchange catches
    // it before that in our own topology; this is what tells us when the alternate exchange is missing.
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    channel
        .basic_publish(
            short(&parcel.road.exchange),
            short(&parcel.road.routing_key),
            options,
            &parcel.message.body,
            properties(&parcel.message),
        )
        .await
}

/// Runs all of them together, so that a batch is one write to the socket. Each is begun in turn, so that
/// messages of one batch keep their order.
async fn all_in_order<F: Future<Output = lapin::Result<T>> + Unpin, T>(mut futures: Vec<F>) -> lapin::Result<Vec<T>> {
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (future, slot) in futures.iter_mut().zip(&mut done) {
            if slot.is_none() {
                match Pin::new(future).poll(context) {
                    Poll::Ready(Ok(value)) => *slot = Some(value),
                    Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(Ok(())) }
    })
    .await?;
    Ok(done.into_iter().flatten().collect())
}

/// Reads from all confirms of a batch together what became of each message.
fn reconcile(batch: &[Parcel], answers: Vec<Confirmation>) -> Vec<Outcome> {
    let mut returned = HashSet::new();
    let verdicts: Vec<Outcome> = answers
        .into_iter()
        .map(|answer| {
            let verdict = match &answer {
                // Also of a message that came back: the broker confirms that it has dealt with it.
                Confirmation::Ack(_) => Ok(Confirmed(())),
                Confirmation::Nack(_) => Err(NotConfirmed::Refused),
                // The channel was not in confirm mode, so nothing was confirmed at all.
                Confirmation::NotRequested => Err(NotConfirmed::NoAnswer),
            };
            if let Some(message) = answer.take_message() {
                let id = message.properties.message_id().as_ref().map(|id| id.as_str().to_owned()).unwrap_or_default();
                returned.insert((message.exchange.as_str().to_owned(), message.routing_key.as_str().to_owned(), id));
            }
            verdict
        })
        .collect();
    let mut unclaimed = returned.clone();
    let outcomes = batch
        .iter()
        .zip(verdicts)
        .map(|(parcel, verdict)| {
            let Road { exchange, routing_key } = parcel.road.clone();
            // The road is part of the key: one id may travel two roads, and only one of them be closed.
            let key = (exchange, routing_key, parcel.message.id.clone());
            unclaimed.remove(&key);
            if returned.contains(&key) { Err(NotConfirmed::Unroutable) } else { verdict }
        })
        .collect();
    if unclaimed.is_empty() {
        outcomes
    } else {
        // A return that is nobody's here means that the rule above does not hold. Then nothing is known.
        batch.iter().map(|_| Err(NotConfirmed::NoAnswer)).collect()
    }
}

fn properties(message: &Message) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in &message.headers {
        headers.insert(short(name), AMQPValue::LongString(value.as_str().into()));
    }
    let properties = BasicProperties::default()
        .with_message_id(short(&message.id))
        .with_type(short(&message.kind))
        .with_content_type(short(&message.content_type))
        .with_headers(headers)
        // Persistent. Quorum queues store everything; a dead-letter target or a shovel may not be one.
        .with_delivery_mode(2);
    match message.timestamp {
        Some(moment) => properties.with_timestamp(u64::try_from(moment.as_second()).unwrap_or(0)),
        None => properties,
    }
}

/// A name that [`is_too_long`] has let pass.
fn short(name: &str) -> ShortString {
    ShortString::try_new(name).unwrap_or_default()
}

fn is_too_long(road: &Road, message: &Message) -> bool {
    let fixed = [&road.exchange, &road.routing_key, &message.id, &message.kind, &message.content_type];
    let mut names = fixed.into_iter().chain(message.headers.iter().map(|(name, _)| name));
    names.any(|name| name.len() > SHORT_NAME_BYTES_MAX)
        || message.body.len() > BODY_BYTES_MAX
        // All headers travel in one frame (128 KiB), which also holds the other properties.
        || message.headers.iter().map(|(name, value)| name.len() + value.len() + 6).sum::<usize>() > HEADERS_BYTES_MAX
}

const HEADERS_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use lapin::message::{BasicReturnMessage, Delivery};
    use proptest::prelude::*;

    use super::*;

    fn parcel(id: &str, routing_key: &str) -> Parcel {
        let message = Message {
            id: id.to_owned(),
            kind: String::new(),
            content_type: String::new(),
            headers: Vec::new(),
            timestamp: None,
            body: bytes::Bytes::new(),
        };
        Parcel { road: Road::new("post", routing_key), message, answer: oneshot::channel().0 }
    }

    /// The message as the broker sends it back.
    fn returned(parcel: &Parcel) -> BasicReturnMessage {
        let mut delivery = Delivery::mock(0, short(&parcel.road.exchange), short(&parcel.road.routing_key), false, Vec::new());
        delivery.properties = properties(&parcel.message);
        BasicReturnMessage { delivery, reply_code: 312, reply_text: "NO_ROUTE".into() }
    }

    proptest! {
        /// Whichever confirms the returns hang on, each message is judged by its own fate.
        #[test]
        fn returns_are_read_from_the_messages_and_not_from_the_confirms_they_hang_on(
            fates in proptest::collection::vec(prop_oneof![Just("routed"), Just("astray"), Just("refused")], 1..64),
            order in any::<prop::sample::Index>(),
        ) {
            let batch: Vec<Parcel> = fates.iter().enumerate().map(|(at, fate)| parcel(&at.to_string(), fate)).collect();
            let mut returns: Vec<_> = batch.iter().filter(|parcel| parcel.road.routing_key == "astray").map(returned).collect();
            // As many confirms carry a return as there are returns; which ones is lapin's whim.
            let first = order.index(fates.len());
            let mut carried: Vec<Option<BasicReturnMessage>> = fates.iter().map(|_| None).collect();
            for step in 0..fates.len() {
                carried[(first + step) % fates.len()] = returns.pop();
            }
            let answers = fates.iter().zip(carried).map(|(fate, carried)| match *fate {
                "refused" => Confirmation::Nack(carried),
                _ => Confirmation::Ack(carried),
            });
            let outcomes = reconcile(&batch, answers.collect());
            for (fate, outcome) in fates.iter().zip(outcomes) {
                let expected = match *fate {
                    "routed" => Ok(Confirmed(())),
                    "astray" => Err(NotConfirmed::Unroutable),
                    _ => Err(NotConfirmed::Refused),
                };
                prop_assert_eq!(outcome, expected);
            }
        }
    }

    #[test]
    fn a_return_that_is_nobodys_leaves_the_whole_batch_unknown() {
        let batch = [parcel("a", "routed"), parcel("b", "routed")];
        let answers = vec![Confirmation::Ack(None), Confirmation::Ack(Some(returned(&parcel("c", "routed"))))];
        assert_eq!(reconcile(&batch, answers), [Err(NotConfirmed::NoAnswer), Err(NotConfirmed::NoAnswer)]);
    }

    #[test]
    fn a_channel_that_was_not_asked_for_confirms_confirms_nothing() {
        let outcomes = reconcile(&[parcel("a", "routed")], vec![Confirmation::NotRequested]);
        assert_eq!(outcomes, [Err(NotConfirmed::NoAnswer)]);
    }
}
