//! Receive: a message off the intake becomes something to decide, or is quarantined with its reason. Nothing
//! blocks the line, nothing is lost: a message is settled only after its step, or its quarantine, is recorded.

use referral::Digest;
use tokio::sync::mpsc;
use transport::amqp::{Consumer, Delivered, Settler, Token};
use transport::clock::Clock;
use transport::shutdown::Shutdown;

use crate::decide::{Input, LEDGER_RETRY, Settle};
use crate::meters::Meters;
use crate::record::{Ledger, Quarantined};
use crate::roads;

/// How many messages are taken at once.
const BATCH_MAX: usize = 256;

/// Takes messages off the intake's queues.
pub struct Receiver<L> {
    /// The intake's queues.
    pub consumer: Consumer,
    /// Where what cannot be read is kept.
    pub ledger: L,
    /// What the time is.
    pub clock: Clock,
    /// What operators see.
    pub meters: Meters,
    /// To whoever decides.
    pub inputs: mpsc::Sender<Input<Token>>,
}

impl<L: Ledger> Receiver<L> {
    /// Runs until shutdown is requested.
    pub async fn run(mut self, shutdown: Shutdown) {
        let settler = self.consumer.settler();
        loop {
            let batch = tokio::select! {
                batch = self.consumer.next(BATCH_MAX) => batch,
                () = shutdown.requested() => return,
            };
            for delivered in batch {
                match proto::read::arrival(&delivered.message.body) {
                    Ok(arrival) => {
                        let traceparent = delivered.message.header(roads::TRACEPARENT).map(str::to_owned);
                        let input = Input::arrived(arrival, &delivered.message.body, traceparent, delivered.token);
                        if self.inputs.send(input).await.is_err() {
                            return;
                        }
                    }
                    Err(unreadable) => {
                        let why = unreadable.to_string();
                        put_aside(&self.ledger, &self.clock, &self.meters, &settler, delivered, unreadable.word(), &why).await;
                    }
                }
            }
        }
    }
}

impl Settle<Token> for Settler {
    async fn settle(&self, tokens: &[Token]) {
        // What could not be told is counted where it happens, and comes again.
        let _settled = Settler::settle(self, tokens).await;
    }
}

/// What RabbitMQ itself put aside, because it was tried too often or no queue took it, is kept in the ledger
/// like everything else that could not be processed, where an operator finds it.
pub struct Collector<L> {
    /// RabbitMQ's own quarantine and its queue for what no queue took.
    pub consumer: Consumer,
    /// Where it is kept.
    pub ledger: L,
    /// What the time is.
    pub clock: Clock,
    /// What operators see.
    pub meters: Meters,
}

impl<L: Ledger> Collector<L> {
    /// Runs until shutdown is requested.
    pub async fn run(mut self, shutdown: Shutdown) {
        let settler = self.consumer.settler();
        loop {
            let batch = tokio::select! {
                batch = self.consumer.next(BATCH_MAX) => batch,
                () = shutdown.requested() => return,
            };
            for delivered in batch {
                let (word, why) = if &*delivered.queue == roads::UNROUTED_QUEUE {
                    ("unrouted", "no queue took it: the topology is not what it should be")
                } else {
                    ("tried_too_often", "it was tried too often, or was rejected by its queue")
                };
                put_aside(&self.ledger, &self.clock, &self.meters, &settler, delivered, word, why).await;
            }
        }
    }
}

/// Keeps a message that cannot be processed, and only then settles it. The reason quotes nothing of it.
async fn put_aside<L: Ledger>(
    ledger: &L,
    clock: &Clock,
    meters: &Meters,
    settler: &Settler,
    delivered: Delivered,
    word: &str,
    why: &str,
) {
    let Delivered { message, queue, token, .. } = delivered;
    let digest = Digest::of(&[queue.as_bytes(), message.id.as_bytes(), &message.body]);
    let mut id = [0; 16];
    id.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    let kept = Quarantined {
        id: uuid::Builder::from_custom_bytes(id).into_uuid(),
        queue: queue.to_string(),
        reason: format!("{word}: {why}"),
        at: clock.now(),
        headers: message.headers.clone(),
        bytes: message.body.to_vec(),
    };
    let name = kept.id;
    while let Err(error) = ledger.quarantine(kept.clone()).await {
        meters.ledger_failed();
        tracing::error!("a message that cannot be processed could not be put into quarantine; it is tried again: {error}");
        tokio::time::sleep(LEDGER_RETRY).await;
    }
    meters.quarantined(word);
    tracing::error!(quarantine.id = %name, quarantine.reason = word, "a message from {queue} is in quarantine: {why}");
    settler.settle(&[token]).await;
}
