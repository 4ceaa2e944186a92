//! Consuming: deliveries in batches, settled by tokens that die with their connection.
//!
//! A lost connection, a closed channel, a cancelled consumer and a deleted queue are one thing here: connect
//! again, under a new epoch. A token of an old epoch is dropped and counted, never sent, because its tag now
//! belongs to another message. What was not settled comes again; whoever consumes must know a repeat by its id.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    FutureExt, Stream, StreamExt,
    stream::{self, SelectAll},
};
use jiff::Timestamp;
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::{
    Message, Meters, Nodes,
    connection::{Backoff, Cut, Link, random_u16},
    desk::{Ack, Desk},
};
use crate::clock::{Clock, Stopwatch};

/// What to consume.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The queues, read side by side over one connection. They must exist: nothing is declared here.
    pub queues: Vec<String>,
    /// How many unsettled deliveries each queue may have out.
    pub prefetch: u16,
    /// Shown to RabbitMQ's operators and in metrics.
    pub name: String,
}

/// A message in our hands, until it is settled.
#[derive(Debug)]
pub struct Delivered {
    /// What came.
    pub message: Message,
    /// The queue it came from.
    pub queue: Arc<str>,
    /// RabbitMQ says that it was handed out before. False proves nothing: half of the duplicates say false.
    pub redelivered: bool,
    /// How often it came back to the queue before, as far as RabbitMQ counts.
    pub delivery_count: u64,
    /// Settles it.
    pub token: Token,
}

/// Settles one delivery, as long as its connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    epoch: u64,
    tag: u64,
}

/// What became of tokens that were handed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Told to RabbitMQ. Should the connection fail right after, these too may come again.
    pub told: usize,
    /// Of a connection that is gone, or settled before. Not told; these come again.
    pub stale: usize,
}

/// Receives messages. Connects when first asked for one, and again whenever it must.
pub struct Consumer {
    nodes: Nodes,
    subscription: Subscription,
    meters: Meters,
    open: Option<Open>,
    turn: usize,
    attempts: Backoff,
    settler: Settler,
}

/// Settles deliveries, from any task. Cheap to clone.
#[derive(Clone)]
pub struct Settler {
    counter: Arc<Mutex<Counter>>,
    /// Held from making acknowledgements until they are handed to the socket: they must go out in the order
    /// they were made, or a "multiple" one overtakes another and the broker closes the channel over it.
    in_order: Arc<tokio::sync::Mutex<()>>,
    meters: Meters,
    patience: Duration,
}

/// Where the deliveries of the current epoch stand.
#[derive(Default)]
struct Counter {
    epoch: u64,
    /// None while there is no connection.
    line: Option<Line>,
    desk: Desk,
}

/// The way back to the broker for acknowledgements.
#[derive(Clone)]
struct Line {
    channel: Channel,
    cut: Cut,
}

/// A connection with its consumers.
struct Open {
    link: Link,
    since: Stopwatch,
    arrivals: SelectAll<Arrivals>,
}

/// What the consumer of one queue yields. Shareable, so that a consumer may settle from any task that holds it.
type Arrivals = Pin<Box<dyn Stream<Item = Arrival> + Send + Sync>>;

/// One thing that the consumer of one queue yields.
enum Arrival {
    Came(Arc<str>, Box<Delivery>),
    /// The stream failed or ended. Ended does not mean done: a server-side cancel looks just so.
    Ended(Arc<str>, String),
}

impl Consumer {
    /// A consumer of `subscription`. Does nothing until [`Consumer::next`].
    pub fn subscribe(nodes: Nodes, subscription: Subscription, meters: Meters) -> Consumer {
        let settler = Settler {
            counter: Arc::default(),
            in_order: Arc::default(),
            meters: meters.clone(),
            patience: nodes.deadlines().settle,
        };
        Consumer { nodes, subscription, meters, open: None, turn: usize::from(random_u16()), attempts: Backoff::new(), settler }
    }

    /// Waits for at least one message and returns what is there, at most `max` of them. Never empty.
    ///
    /// Reconnects on its own, for as long as it takes. May be dropped while it waits: no message is lost by it.
    pub async fn next(&mut self, max: usize) -> Vec<Delivered> {
        loop {
            let Some(open) = &mut self.open else {
                self.connect().await;
                continue;
            };
            // The only wait for a message. From here on nothing may be dropped half-way: a message taken off
            // the stream and not returned would be in nobody's hands until the connection ends.
            let mut arrival = open.arrivals.next().await;
            let mut batch = Vec::new();
            let ended = loop {
                match arrival {
                    Some(Arrival::Came(queue, delivery)) => batch.push((queue, *delivery)),
                    Some(Arrival::Ended(queue, because)) => break Some((queue, because)),
                    None => break Some(("".into(), "there is no queue to consume".to_owned())),
                }
                if batch.len() >= max.max(1) {
                    break None;
                }
                match open.arrivals.next().now_or_never() {
                    Some(next) => arrival = next,
                    None => break None,
                }
            };
            match ended {
                None => return self.hand_out(batch),
                // What was just taken dies with the connection, and comes again over the next one.
                Some((queue, because)) => {
                    warn!(connection = self.subscription.name, queue = &*queue, "consuming was interrupted: {because}");
                    self.disconnect();
                }
            }
        }
    }

    /// The way to settle from another task.
    pub fn settler(&self) -> Settler {
        self.settler.clone()
    }

    /// See [`Settler::settle`].
    pub async fn settle(&self, tokens: &[Token]) -> Settled {
        self.settler.settle(tokens).await
    }

    /// See [`Settler::reject`].
    pub async fn reject(&self, token: Token) -> Settled {
        self.settler.reject(token).await
    }

    /// See [`Settler::give_back`].
    pub async fn give_back(&self, token: Token) -> Settled {
        self.settler.give_back(token).await
    }

    /// Whether a connection is up just now. For readiness.
    pub fn is_connected(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.link.connection().status().connected())
    }

    /// Ends the connection in order. What was not settled goes back to its queue.
    pub async fn close(mut self) {
        self.settler.locked().line = None;
        self.meters.connected(&self.subscription.name, false);
        if let Some(open) = self.open.take() {
            open.link.close(self.nodes.deadlines().open).await;
        }
    }

    async fn connect(&mut self) {
        let name = self.subscription.name.clone();
        loop {
            sleep(self.attempts.next_wait()).await;
            let opened = self.try_open().await;
            self.turn = self.turn.wrapping_add(1);
            self.meters.dialled(&name, opened.is_ok());
            match opened {
                Ok((open, channel)) => {
                    let mut counter = self.settler.locked();
                    // A new epoch and an empty desk: every token that is still out is of no use from here on.
                    counter.epoch += 1;
                    counter.desk = Desk::default();
                    counter.line = Some(Line { channel, cut: open.link.cutter() });
                    self.meters.connected(&name, true);
                    info!(connection = name, epoch = counter.epoch, "connected for consuming");
                    drop(counter);
                    self.open = Some(open);
                    return;
                }
                Err(because) => warn!(connection = name, "no connection for consuming: {because}"),
            }
        }
    }

    fn disconnect(&mut self) {
        self.settler.locked().line = None;
        self.meters.connected(&self.subscription.name, false);
        if let Some(open) = self.open.take() {
            self.attempts.held_for(open.since.elapsed());
        }
    }

    async fn try_open(&self) -> Result<(Open, Channel), String> {
        let link = Link::dial(&self.nodes, self.turn, &self.subscription.name).await.map_err(|fault| fault.to_string())?;
        let opening = async {
            let channel = link.connection().create_channel().await?;
            // Per consumer, not shared: quorum queues refuse a prefetch that is shared by a channel.
            channel.basic_qos(self.subscription.prefetch, BasicQosOptions { global: false }).await?;
            let mut arrivals = SelectAll::new();
            for queue in &self.subscription.queues {
                arrivals.push(consume(&channel, queue).await?);
            }
            Ok::<_, lapin::Error>((channel, arrivals))
        };
        let deadline = self.nodes.deadlines().open;
        let (channel, arrivals) = timeout(deadline, opening)
            .await
            .map_err(|_| format!("the consumers were not started within {deadline:?}"))?
            .map_err(|fault| fault.to_string())?;
        Ok((Open { link, since: Clock::system().stopwatch(), arrivals }, channel))
    }

    fn hand_out(&mut self, batch: Vec<(Arc<str>, Delivery)>) -> Vec<Delivered> {
        // A message came: the connection works, and so does its queue.
        self.attempts.reset();
        self.meters.delivered(batch.len());
        let mut counter = self.settler.locked();
        let epoch = counter.epoch;
        batch
            .into_iter()
            .map(|(queue, delivery)| {
                counter.desk.hand_out(delivery.delivery_tag);
                delivered(queue, delivery, epoch)
            })
            .collect()
    }
}

impl Settler {
    /// Tells RabbitMQ that these messages are dealt with. Never fails: what could not be told comes again.
    pub async fn settle(&self, tokens: &[Token]) -> Settled {
        let _in_order = self.in_order.lock().await;
        let (line, acks, told) = {
            let mut counter = self.locked();
            let epoch = counter.epoch;
            let Some(line) = counter.line.clone() else {
                return self.all_stale(tokens.len());
            };
            let before = counter.desk.in_hand();
            let acks = counter.desk.settle(tokens.iter().filter(|token| token.epoch == epoch).map(|token| token.tag));
            (line, acks, before - counter.desk.in_hand())
        };
        self.send(&line, async |channel| {
            for Ack { tag, multiple } in acks {
                channel.basic_ack(tag, BasicAckOptions { multiple }).await?;
            }
            Ok(())
        })
        .await;
        self.count("settled", told, tokens.len())
    }

    /// Refuses this message for good: its queue's dead-letter exchange gets it.
    pub async fn reject(&self, token: Token) -> Settled {
        // Not requeued: a message that cannot be dealt with once cannot be dealt with again.
        self.release(token, "rejected", async |channel, tag| {
            channel.basic_reject(tag, BasicRejectOptions { requeue: false }).await
        })
        .await
    }

    /// Puts this message back into its queue, to be delivered again.
    pub async fn give_back(&self, token: Token) -> Settled {
        // Nack and not reject: RabbitMQ 4.3 counts a reject against the delivery limit, and giving back is no fault.
        self.release(token, "given_back", async |channel, tag| {
            channel.basic_nack(tag, BasicNackOptions { multiple: false, requeue: true }).await
        })
        .await
    }

    async fn release(
        &self,
        token: Token,
        how: &'static str,
        word: impl AsyncFnOnce(&Channel, u64) -> lapin::Result<()>,
    ) -> Settled {
        let _in_order = self.in_order.lock().await;
        let line = {
            let mut counter = self.locked();
            match counter.line.clone() {
                Some(line) if token.epoch == counter.epoch && counter.desk.release(token.tag) => line,
                _ => return self.all_stale(1),
            }
        };
        self.send(&line, async |channel| word(channel, token.tag).await).await;
        self.count(how, 1, 1)
    }

    /// Hands words to the socket. If that fails or takes too long the connection is given up: the broker then
    /// takes every unsettled message back, which is the one state that both sides are sure of.
    async fn send(&self, line: &Line, words: impl AsyncFnOnce(&Channel) -> lapin::Result<()>) {
        match timeout(self.patience, words(&line.channel)).await {
            Ok(Ok(())) => return,
            Ok(Err(fault)) => {
                warn!("a settlement could not be sent; the messages come again: {fault}")
            }
            Err(_) => warn!("a settlement could not be sent in time; the messages come again"),
        }
        line.cut.now();
    }

    fn count(&self, how: &'static str, told: usize, asked: usize) -> Settled {
        self.meters.settled(how, told);
        Settled { told, stale: self.all_stale(asked - told).stale }
    }

    fn all_stale(&self, stale: usize) -> Settled {
        self.meters.stale(stale);
        Settled { told: 0, stale }
    }

    fn locked(&self) -> MutexGuard<'_, Counter> {
        self.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn consume(channel: &Channel, queue: &str) -> lapin::Result<Arrivals> {
    // Acknowledged by hand, never on delivery: a message that was sent to us is not yet a message dealt with.
    let options = BasicConsumeOptions { no_ack: false, ..BasicConsumeOptions::default() };
    let name = ShortString::try_new(queue).unwrap_or_default();
    let consumer = channel.basic_consume(name, "".into(), options, FieldTable::default()).await?;
    let queue: Arc<str> = queue.into();
    let end = Arrival::Ended(queue.clone(), "the broker cancelled the consumer".to_owned());
    let arrivals = consumer.map(move |next| match next {
        Ok(delivery) => Arrival::Came(queue.clone(), Box::new(delivery)),
        Err(fault) => Arrival::Ended(queue.clone(), fault.to_string()),
    });
    Ok(Box::pin(arrivals.chain(stream::iter([end]))))
}

fn delivered(queue: Arc<str>, delivery: Delivery, epoch: u64) -> Delivered {
    let properties = delivery.properties;
    let text = |value: &Option<ShortString>| value.as_ref().map(|text| text.as_str().to_owned()).unwrap_or_default();
    let mut headers = Vec::new();
    let mut delivery_count = 0;
    for (name, value) in properties.headers().iter().flatten() {
        match value {
            AMQPValue::LongString(value) => {
                // A header that is not text is none of ours.
                if let Ok(value) = std::str::from_utf8(value.as_bytes()) {
                    headers.push((name.as_str().to_owned(), value.to_owned()));
                }
            }
            value if name.as_str() == "x-delivery-count" => delivery_count = whole_number(value).unwrap_or(0),
            _ => (),
        }
    }
    Delivered {
        message: Message {
            id: text(properties.message_id()),
            kind: text(properties.kind()),
            content_type: text(properties.content_type()),
            headers,
            timestamp: properties
                .timestamp()
                .and_then(|seconds| i64::try_from(seconds).ok())
                .and_then(|seconds| Timestamp::from_second(seconds).ok()),
            body: Bytes::from(delivery.data),
        },
        queue,
        redelivered: delivery.redelivered,
        delivery_count,
        token: Token { epoch, tag: delivery.delivery_tag },
    }
}

fn whole_number(value: &AMQPValue) -> Option<u64> {
    match *value {
        AMQPValue::ShortShortInt(number) => u64::try_from(number).ok(),
        AMQPValue::ShortShortUInt(number) => Some(number.into()),
        AMQPValue::ShortInt(number) => u64::try_from(number).ok(),
        AMQPValue::ShortUInt(number) => Some(number.into()),
        AMQPValue::LongInt(number) => u64::try_from(number).ok(),
        AMQPValue::LongUInt(number) => Some(number.into()),
        AMQPValue::LongLongInt(number) => u64::try_from(number).ok(),
        _ => None,
    }
}
