//! Every recipient at its own queue, with its own certificate, from the first case to the last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use proto::wire::delivery::v1::Delivery;
use referral::Endpoint;
use tests::client::read;
use tests::stack::Stack;
use tests::wait::until;
use transport::amqp::{Consumer, Meters, Subscription};

/// On whose queue something lay, and what.
pub type AtQueue = (Endpoint, Delivery);

/// What lay on the queues, by referral and in the order in which it came.
#[derive(Clone, Default)]
pub struct Queues {
    came: Arc<Mutex<BTreeMap<String, Vec<AtQueue>>>>,
}

impl Queues {
    /// Reads the queue of each of `everybody`.
    pub fn of(stack: &Stack, everybody: &BTreeSet<Endpoint>) -> Queues {
        let queues = Queues::default();
        for owner in everybody {
            let name = owner.to_string();
            let subscription =
                Subscription { queues: vec![format!("delivery.{name}")], prefetch: 64, name: format!("test {name}") };
            let mut consumer = Consumer::subscribe(stack.nodes(&name), subscription, Meters::unread());
            let (queues, owner) = (queues.clone(), owner.clone());
            tokio::spawn(async move {
                loop {
                    for delivered in consumer.next(64).await {
                        let received = read(delivered.message);
                        queues.keep(owner.clone(), received.delivery);
                        consumer.settle(&[delivered.token]).await;
                    }
                }
            });
        }
        queues
    }

    fn keep(&self, owner: Endpoint, delivery: Delivery) {
        let mut came = self.came.lock().expect("nobody panicked with it");
        let about = came.entry(delivery.referral_id.clone()).or_default();
        // At least once: a repeat has the same id (P6).
        if about.iter().all(|(_, known)| known.delivery_id != delivery.delivery_id) {
            about.push((owner, delivery));
        }
    }

    /// What came about one referral, and on whose queue.
    pub fn about(&self, referral: &str) -> Vec<AtQueue> {
        self.came.lock().expect("nobody panicked with it").get(referral).cloned().unwrap_or_default()
    }

    /// How much came about each referral.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let came = self.came.lock().expect("nobody panicked with it");
        came.iter().map(|(referral, about)| (referral.clone(), about.len())).collect()
    }

    /// Waits until nothing lies on any queue of the stack that was not read.
    pub async fn are_read(&self, stack: &Stack) {
        let management = stack.node.management();
        until("every queue is read", || async {
            let depths = management.queue_depths(&stack.vhost).await.ok()?;
            depths.iter().all(|depth| depth.messages_ready + depth.messages_unacknowledged == 0).then_some(())
        })
        .await;
    }
}
