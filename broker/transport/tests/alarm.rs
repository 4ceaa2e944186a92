//! A broker that is short of memory. Alone in its program: the alarm is of the whole node.

#[path = "rabbitmq/node.rs"]
#[allow(dead_code)]
mod node;

use std::time::Duration;

use futures_util::future::join_all;
use node::{Node, PATIENCE, Vhost, drain, message, publisher_at, short_deadlines, to_inbox, within};
use tokio::time::Instant;
use transport::amqp::NotConfirmed;

/// The alarm; ends with the test, also when the test fails.
struct Alarm;

impl Alarm {
    fn raise() -> Alarm {
        let alarm = Alarm;
        Node::get().control(&["set_vm_memory_high_watermark", "0.0001"]);
        alarm
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        Node::get().control(&["set_vm_memory_high_watermark", "absolute", "1GB"]);
    }
}

/// Under a memory alarm RabbitMQ stops reading from publishers: what they send neither fails nor is confirmed.
#[tokio::test(flavor = "multi_thread")]
async fn under_a_memory_alarm_a_publish_ends_at_its_deadline_those_after_it_at_once_and_it_goes_on_afterwards() {
    let vhost = Vhost::make("alarm").await;
    vhost.declare_inbox().await;
    let publisher = publisher_at(vhost.nodes().with_deadlines(short_deadlines())).await;
    publisher.publish(to_inbox(), message("before")).await.map(drop).expect("confirmed");

    let alarm = Alarm::raise();
    let began = Instant::now();
    let first = join_all((0..100).map(|count| publisher.publish(to_inbox(), message(&format!("during {count}"))))).await;
    assert!(began.elapsed() < Duration::from_secs(10), "the answers took {:?}", began.elapsed());
    for outcome in first {
        let outcome = outcome.map(drop);
        assert!(matches!(outcome, Err(NotConfirmed::NoAnswer | NotConfirmed::NotConnected)), "{outcome:?}");
    }
    // The broker has said that it is blocked. Nobody waits for it any more.
    for count in 0..50 {
        let began = Instant::now();
        let outcome = publisher.publish(to_inbox(), message(&format!("blocked {count}"))).await.map(drop);
        assert_eq!(outcome, Err(NotConfirmed::NotConnected));
        assert!(began.elapsed() < Duration::from_millis(500));
    }

    drop(alarm);
    assert!(publisher.opens_within(PATIENCE).await, "it did not go on after the alarm");
    within(PATIENCE, async {
        while publisher.publish(to_inbox(), message("after")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    // Those of the alarm may or may not be there; that is what was said of them.
    let mut consumer = vhost.consumer(&["inbox"]);
    drain(&mut consumer, &["before".into(), "after".into()]).await;
    // Connections that were given up are gone, and did not wait for the broker to read their farewell.
    within(PATIENCE, async {
        while connections() != 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    vhost.remove().await;
}

/// How many connections this process still drives: lapin has a thread for each.
fn connections() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").expect("the threads of this process");
    let names = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
    names.filter(|name| name.trim() == "lapin-io-loop").count()
}
