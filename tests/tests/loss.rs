//! Loss: the broker, the adapter and the RabbitMQ node are killed without warning while two thousand referrals
//! flow. Every one that was accepted reaches the right queue, a repeat carries the same id and the same bytes, and
//! the ledger verifies.
//!
//! The schedule hangs on a seed, which is printed; `SAFEGUARDING_SEED` runs it again. The node is the test's own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proto::wire::common::v1 as common;
use tests::client::{FrontDoor, Sender, content, key};
use tests::stack::{Node, Stack, http_get, repository};
use tests::wait::until;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tonic::Code;

const REFERRALS: usize = 2_000;
const SENDERS: usize = 24;
const FAULTS: usize = 9;

/// A node of this test's own, stopped when the test ends, however it ends.
struct OwnNode(PathBuf);

impl OwnNode {
    fn command(&self, what: &str, more: &[&str]) {
        let output = Command::new(repository().join("deploy/rabbitmq"))
            .arg(what)
            .arg(&self.0)
            .args(more)
            .output()
            .expect("deploy/rabbitmq runs");
        assert!(
            output.status.success(),
            "deploy/rabbitmq {what}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for OwnNode {
    fn drop(&mut self) {
        let _ = Command::new(repository().join("deploy/rabbitmq")).arg("stop").arg(&self.0).output();
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn free_port_base() -> u16 {
    let free =
        |base: u16| [71, 72, 73, 74, 75].iter().all(|offset| std::net::TcpListener::bind(("127.0.0.1", base + offset)).is_ok());
    (26_600..31_000).step_by(100).find(|base| free(*base)).expect("a free range of ports")
}

/// A small generator of our own: the same seed, the same schedule.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn submission(nth: usize) -> common::Submission {
    let mut submission = content("Lost", &format!("Worry number {nth}."));
    // Below significant harm the front door is responsible at any hour.
    submission.level = common::Level::InNeed as i32;
    submission.agreement = common::Agreement::Given as i32;
    let places = submission.child.as_mut().and_then(|child| child.places.as_mut()).expect("places");
    places.home = if nth.is_multiple_of(3) { "E10000016" } else { "E08000035" }.to_owned();
    submission
}

fn desk_of(nth: usize) -> &'static str {
    if nth.is_multiple_of(3) { "la.E10000016.front-door" } else { "la.E08000035.front-door" }
}

/// Submits until it is accepted, always under the same key. What is not UNAVAILABLE is a fault of the product.
async fn accepted(sender: &mut Sender, key: &str, nth: usize) -> String {
    loop {
        match sender.submit(key, submission(nth)).await {
            Ok(receipt) => return receipt.referral_id,
            Err(refused)
                if matches!(refused.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded) =>
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(refused) => panic!("referral {nth} was refused: {refused}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_every_accepted_referral_reaches_the_right_queue() {
    let seed = std::env::var("SAFEGUARDING_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed {seed}");
    let folder = std::env::temp_dir().join(format!("safeguarding-loss-{}", std::process::id()));
    let own = OwnNode(folder.clone());
    own.command("start", &[&free_port_base().to_string()]);
    let mut stack = Stack::prepare("loss", Node::in_folder(&folder));
    stack.start_broker(0).await;
    stack.start_adapter().await;

    // What arrived where: the bodies by delivery id, by desk.
    type Arrived = BTreeMap<&'static str, HashMap<String, Vec<(String, Vec<u8>)>>>;
    let arrived: Arc<Mutex<Arrived>> = Arc::default();
    let mut readers = JoinSet::new();
    for desk in ["la.E08000035.front-door", "la.E10000016.front-door"] {
        let (mut council, arrived) = (FrontDoor::of(&stack, desk).await, arrived.clone());
        readers.spawn(async move {
            loop {
                for received in council.receive_for(64, Duration::from_secs(600)).await {
                    let body = received.message.body.to_vec();
                    let mut arrived = arrived.lock().await;
                    arrived
                        .entry(desk)
                        .or_default()
                        .entry(received.delivery.referral_id)
                        .or_default()
                        .push((received.delivery.delivery_id, body));
                }
            }
        });
    }

    let count = Arc::new(AtomicUsize::new(0));
    let mut submitting = JoinSet::new();
    for lane in 0..SENDERS {
        let (mut sender, count) =
            (Sender::of(&stack, if lane % 2 == 0 { "school.999001" } else { "school.999002" }).await, count.clone());
        submitting.spawn(async move {
            let mut receipts = Vec::new();
            for nth in (lane..REFERRALS).step_by(SENDERS) {
                let key = key();
                receipts.push((nth, accepted(&mut sender, &key, nth).await));
                count.fetch_add(1, Ordering::Relaxed);
            }
            receipts
        });
    }

    // Each fault comes when so many more have been accepted, so that all of them come while referrals flow.
    let mut chance = Chance(seed);
    for fault in 0..FAULTS {
        let when = REFERRALS * (fault + 1) / (FAULTS + 2) + usize::try_from(chance.below(60)).expect("small");
        until("more referrals are accepted", || async { (count.load(Ordering::Relaxed) >= when.min(REFERRALS)).then_some(()) })
            .await;
        match (fault as u64 + chance.below(2)) % 3 {
            0 => {
                stack.kill_broker();
                stack.start_broker(0).await;
            }
            1 => {
                stack.kill_adapter();
                stack.start_adapter().await;
            }
            _ => {
                own.command("kill", &[]);
                own.command("start", &[]);
            }
        }
    }

    let mut receipts = Vec::new();
    while let Some(lane) = submitting.join_next().await {
        receipts.extend(lane.expect("a sender"));
    }
    assert_eq!(receipts.len(), REFERRALS);
    until("every accepted referral is at its desk", || async {
        let arrived = arrived.lock().await;
        let there = |(nth, id): &(usize, String)| arrived.get(desk_of(*nth)).is_some_and(|desk| desk.contains_key(id));
        receipts.iter().all(there).then_some(())
    })
    .await;
    until("nothing is owed any more", || async {
        let metrics = http_get(&stack.broker_metrics(), "/metrics").await?;
        metrics.contains("safeguarding_owed_deliveries 0\n").then_some(())
    })
    .await;

    let arrived = arrived.lock().await;
    let mut repeats = 0;
    for (nth, id) in &receipts {
        for (desk, there) in arrived.iter() {
            let Some(copies) = there.get(id) else { continue };
            assert_eq!(*desk, desk_of(*nth), "referral {id} reached a desk that is not its own");
            let distinct: HashSet<_> = copies.iter().collect();
            assert_eq!(distinct.len(), 1, "a repeat of referral {id} has another id or other bytes");
            repeats += copies.len() - 1;
        }
    }
    let known: HashSet<&String> = receipts.iter().map(|(_, id)| id).collect();
    assert!(arrived.values().flat_map(HashMap::keys).all(|id| known.contains(id)), "something arrived that nobody sent");
    stack.stop();
    let (holds, said) = stack.broker_command(&["ledger", "verify"]);
    assert!(holds, "{said}");
    println!("{REFERRALS} accepted and delivered, {repeats} repeats, {FAULTS} faults, seed {seed}");
}
