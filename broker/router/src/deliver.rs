//! Deliver: carry out what is owed. A delivery counts only once its recipient's queue has confirmed it.
//!
//! Takes nothing but what the ledger recorded, with the proof that it did. Keeps order within a referral and
//! runs referrals side by side. What is not confirmed is tried again, under the same id, until it is; nothing
//! is ever dropped, and what waits here is in the ledger too, so a crash costs a repeat, never a delivery.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use referral::DeliveryId;
use referral::case::Event;
use tokio::sync::mpsc;
use tracing::Instrument as _;
use transport::amqp::{Message, NotConfirmed, Publisher, Road};
use transport::clock::Clock;
use transport::shutdown::Shutdown;
use transport::telemetry;

use crate::decide::LEDGER_RETRY;
use crate::meters::Meters;
use crate::record::{Ledger, Owed, Recorded};
use crate::roads;

/// What may be on its way at once: the knee of RabbitMQ's throughput, measured.
const IN_FLIGHT_MAX: usize = 256;
/// How much is kept in memory; beyond it the ledger keeps the rest.
const WAITING_MAX: usize = 8_192;
/// The first pause after a delivery was not confirmed, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));
/// How much the ledger is asked for at once.
const PAGE: usize = 512;
/// How often the ledger is asked whether something is owed that is not known here.
const SWEEP: Duration = Duration::from_secs(30);

/// The way to the recipients. Two are real: RabbitMQ, and the simulation's world.
pub trait Post: Clone + Send + Sync + 'static {
    /// Hands one message over. On `Ok` a queue has it and it survives a crash.
    fn post(&self, to: Road, message: Message) -> impl Future<Output = Result<(), NotConfirmed>> + Send;
}

impl Post for Publisher {
    fn post(&self, to: Road, message: Message) -> impl Future<Output = Result<(), NotConfirmed>> + Send {
        let publisher = self.clone();
        async move { publisher.publish(to, message).await.map(|_confirmed| ()) }
    }
}

/// What delivery hears.
#[derive(Debug)]
pub enum Order {
    /// Newly recorded, in order.
    Owed(Vec<Recorded<Owed>>),
    /// Nobody knows what was recorded: ask the ledger.
    AskLedger,
}

/// Carries out what is owed.
pub struct Deliverer<L, P> {
    /// Where it was recorded.
    pub ledger: L,
    /// The way to the recipients.
    pub post: P,
    /// What the time is.
    pub clock: Clock,
    /// What operators see.
    pub meters: Meters,
    /// Where a confirmed delivery is told.
    pub confirmed: mpsc::Sender<(referral::ReferralId, Event)>,
}

/// What waits, a line for each referral.
struct Lines {
    waiting: HashMap<uuid::Uuid, VecDeque<Recorded<Owed>>>,
    ready: VecDeque<uuid::Uuid>,
    under_way: HashSet<uuid::Uuid>,
    known: HashSet<uuid::Uuid>,
    kept_up: KeptUp,
}

/// Whether everything that the ledger owes is known here. Until it is, nothing newer may join a line: it would
/// overtake what is older.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeptUp {
    /// It is.
    Yes,
    /// The ledger was not asked yet, or did not answer.
    NotTold,
    /// There was no room for more.
    NoRoom,
}

impl Lines {
    fn new() -> Lines {
        Lines {
            waiting: HashMap::new(),
            ready: VecDeque::new(),
            under_way: HashSet::new(),
            known: HashSet::new(),
            kept_up: KeptUp::NotTold,
        }
    }

    /// What is refused here is in the ledger, and comes when that is asked.
    fn join(&mut self, owed: Recorded<Owed>) {
        if self.kept_up != KeptUp::Yes {
            return;
        }
        if self.known.len() >= WAITING_MAX {
            self.kept_up = KeptUp::NoRoom;
            return;
        }
        if !self.known.insert(owed.id) {
            return;
        }
        let referral = owed.referral;
        let line = self.waiting.entry(referral).or_default();
        line.push_back(owed);
        // Recovery reads in order of recording, and what is new is newer; only a mix of both can be out of order.
        let in_order = line.iter().zip(line.iter().skip(1)).all(|(before, after)| before.proof().index <= after.proof().index);
        if !in_order {
            line.make_contiguous().sort_by_key(|owed| owed.proof().index);
        }
        if line.len() == 1 && !self.under_way.contains(&referral) {
            self.ready.push_back(referral);
        }
    }

    fn next(&mut self) -> Option<Recorded<Owed>> {
        let referral = self.ready.pop_front()?;
        let owed = self.waiting.get_mut(&referral)?.pop_front()?;
        self.under_way.insert(referral);
        Some(owed)
    }

    fn has_room_again(&self) -> bool {
        self.kept_up == KeptUp::NoRoom && self.known.len() < WAITING_MAX / 2
    }

    fn done(&mut self, owed: &Owed) {
        self.known.remove(&owed.id);
        self.under_way.remove(&owed.referral);
        match self.waiting.get(&owed.referral) {
            Some(line) if line.is_empty() => {
                self.waiting.remove(&owed.referral);
            }
            Some(_) => self.ready.push_back(owed.referral),
            None => {}
        }
    }
}

impl<L: Ledger, P: Post> Deliverer<L, P> {
    /// Runs until shutdown is requested and what is under way has come to an end. Begins with what the ledger
    /// says is still owed: recovery is the normal path.
    pub async fn run(self, mut orders: mpsc::UnboundedReceiver<Order>, shutdown: Shutdown) {
        let mut lines = Lines::new();
        let mut under_way = FuturesUnordered::new();
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            while under_way.len() < IN_FLIGHT_MAX && !shutdown.is_requested() {
                let Some(owed) = lines.next() else { break };
                under_way.push(self.deliver(owed, shutdown.clone()));
            }
            let ask = tokio::select! {
                biased;
                Some((owed, outcome)) = under_way.next(), if !under_way.is_empty() => {
                    let mut settled = Vec::new();
                    self.came_back(&mut lines, &mut settled, owed, outcome);
                    // Whatever else has come back by now is settled in the same breath.
                    while let Some(Some((owed, outcome))) = futures_util::FutureExt::now_or_never(under_way.next()) {
                        self.came_back(&mut lines, &mut settled, owed, outcome);
                    }
                    self.confirmed(settled).await;
                    lines.has_room_again()
                }
                order = orders.recv(), if !shutdown.is_requested() => match order {
                    Some(Order::Owed(owed)) => {
                        owed.into_iter().for_each(|owed| lines.join(owed));
                        false
                    }
                    Some(Order::AskLedger) => true,
                    None => return,
                },
                _ = sweep.tick(), if !shutdown.is_requested() => true,
                () = shutdown.requested(), if under_way.is_empty() => return,
            };
            if ask {
                self.recover(&mut lines).await;
                if lines.kept_up == KeptUp::NotTold {
                    sweep.reset_after(LEDGER_RETRY);
                }
            }
        }
    }

    fn came_back(&self, lines: &mut Lines, settled: &mut Vec<(uuid::Uuid, uuid::Uuid)>, owed: Recorded<Owed>, confirmed: bool) {
        lines.done(&owed);
        if confirmed {
            settled.push((owed.id, owed.referral));
        }
    }

    /// Publishes until it is confirmed, or until the broker is asked to stop: then the ledger still owes it.
    async fn deliver(&self, owed: Recorded<Owed>, shutdown: Shutdown) -> (Recorded<Owed>, bool) {
        let span = tracing::info_span!("deliver", referral.id = %owed.referral, delivery.id = %owed.id, authority.code = %owed.routing_key);
        if let Some((_, traceparent)) = owed.headers.iter().find(|(name, _)| name == roads::TRACEPARENT) {
            telemetry::follow(&span, traceparent);
        }
        self.until_confirmed(owed, shutdown).instrument(span).await
    }

    async fn until_confirmed(&self, owed: Recorded<Owed>, shutdown: Shutdown) -> (Recorded<Owed>, bool) {
        let mut pause = RETRY.0;
        loop {
            let outcome = self.post.post(Road::new(owed.exchange.clone(), owed.routing_key.clone()), message(&owed)).await;
            match outcome {
                Ok(()) => {
                    self.meters.delivered("confirmed");
                    tracing::info!(
                        referral.id = %owed.referral, delivery.id = %owed.id, authority.code = %owed.routing_key,
                        "delivered to the queue of {}; nobody there has read it yet", owed.routing_key
                    );
                    return (owed, true);
                }
                Err(why) => {
                    self.meters.delivered(why.name());
                    tracing::warn!(
                        referral.id = %owed.referral, delivery.id = %owed.id, authority.code = %owed.routing_key,
                        "delivery to {} was not confirmed and is tried again: {why}", owed.routing_key
                    );
                }
            }
            tokio::select! {
                biased;
                () = shutdown.requested() => return (owed, false),
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY.1),
            }
        }
    }

    /// Says what was confirmed to whoever decides, who records and settles it in one step: a crash before costs a repeat,
    /// and never a rung of the ladder.
    async fn confirmed(&self, settled: Vec<(uuid::Uuid, uuid::Uuid)>) {
        for (delivery, referral) in settled {
            let delivered = Event::Delivered(DeliveryId::from_bytes(*delivery.as_bytes()));
            // Fails only while the broker stops; then it is owed still, and repeated under the same id.
            let _ = self.confirmed.send((roads::referral_id(referral), delivered)).await;
        }
    }

    /// Asks the ledger for everything that is still owed, in the order of recording.
    async fn recover(&self, lines: &mut Lines) {
        lines.kept_up = KeptUp::Yes;
        let mut after = None;
        while lines.kept_up == KeptUp::Yes {
            match self.ledger.owed(after, PAGE).await {
                Ok(page) => {
                    let Some(last) = page.last() else { return };
                    after = Some(last.proof().index);
                    page.into_iter().for_each(|owed| lines.join(owed));
                }
                Err(error) => {
                    lines.kept_up = KeptUp::NotTold;
                    self.meters.ledger_failed();
                    tracing::error!("the ledger could not say what is owed; it is asked again: {error}");
                }
            }
        }
    }
}

fn message(owed: &Recorded<Owed>) -> Message {
    let mut headers = owed.headers.clone();
    // The recipient goes on from this delivery, not from the decision before it.
    if let (Some(now), Some((_, traceparent))) =
        (telemetry::traceparent(), headers.iter_mut().find(|(name, _)| name == roads::TRACEPARENT))
    {
        *traceparent = now;
    }
    headers.push((roads::PROOF_HEADER.to_owned(), owed.proof().text()));
    Message {
        id: owed.id.to_string(),
        kind: owed.kind.clone(),
        content_type: owed.content_type.clone(),
        headers,
        timestamp: None,
        body: Bytes::copy_from_slice(&owed.body),
    }
}
