//! A message is ours until it is settled, and every way of losing the connection ends in having it again.

use std::{collections::HashSet, time::Duration};

use serde_json::json;
use tokio::time::timeout;
use transport::amqp::{Consumer, Meters, Publisher, Settled};

use crate::{
    node::{Node, PATIENCE, Vhost, drain, message, to_inbox, within},
    proxy::{self, Proxy},
};

async fn publish(publisher: &Publisher, ids: &[&str]) {
    for id in ids {
        publisher.publish(to_inbox(), message(id)).await.map(drop).expect("it is confirmed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_what_is_there_and_never_more_than_was_asked_for() {
    let vhost = Vhost::make("batch").await;
    vhost.declare_inbox().await;
    let ids: Vec<String> = (0..20).map(|count| count.to_string()).collect();
    publish(&vhost.publisher().await, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut consumer = vhost.consumer(&["inbox"]);
    let mut came = Vec::new();
    let mut tokens = Vec::new();
    while came.len() < 20 {
        let batch = within(PATIENCE, consumer.next(7)).await;
        assert!((1..=7).contains(&batch.len()));
        tokens.extend(batch.iter().map(|delivered| delivered.token));
        came.extend(batch.into_iter().map(|delivered| delivered.message.id));
    }
    assert_eq!(came, ids, "a queue gives what it has in its order");
    // In any order, in parts, and twice.
    tokens.reverse();
    assert_eq!(consumer.settle(&tokens[..13]).await, Settled { told: 13, stale: 0 });
    assert_eq!(consumer.settle(&tokens[5..]).await, Settled { told: 7, stale: 8 });
    consumer.close().await;
    vhost.holds("inbox", 0).await;
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_settled_comes_again_when_the_consumer_goes() {
    let vhost = Vhost::make("unsettled").await;
    vhost.declare_inbox().await;
    publish(&vhost.publisher().await, &["a", "b", "c"]).await;
    let mut first = vhost.consumer(&["inbox"]);
    let mut held = Vec::new();
    while held.len() < 3 {
        held.extend(within(PATIENCE, first.next(10)).await);
    }
    first.settle(&[held[1].token]).await;
    first.close().await;
    let mut second = vhost.consumer(&["inbox"]);
    let mut came = drain(&mut second, &["a".into(), "c".into()]).await;
    came.sort();
    assert_eq!(came, ["a", "c"]);
    vhost.remove().await;
}

/// Tags start again at 1 on a new connection. An old acknowledgement would settle another message: a silent loss
/// that several client libraries have had.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_lost_connection_settles_nothing_and_is_counted() {
    let vhost = Vhost::make("stale").await;
    vhost.declare_inbox().await;
    let publisher = vhost.publisher().await;
    publish(&publisher, &["only"]).await;
    let meters = Meters::unread();
    let mut consumer = vhost.consumer_with(&["inbox"], meters.clone());
    let old = within(PATIENCE, consumer.next(1)).await.remove(0);
    // The publisher's and the consumer's.
    vhost.kill_connections(2).await;
    let new = within(PATIENCE, consumer.next(1)).await.remove(0);
    assert_eq!(new.message.id, old.message.id);
    assert_ne!(new.token, old.token);

    let nothing = Settled { told: 0, stale: 1 };
    assert_eq!(consumer.settle(&[old.token]).await, nothing);
    assert_eq!(consumer.reject(old.token).await, nothing);
    assert_eq!(consumer.give_back(old.token).await, nothing);
    assert_eq!(meters.stale_tokens(), 3);
    // It is still ours to settle: had any of the three been sent, it would be gone.
    consumer.close().await;
    vhost.holds("inbox", 1).await;
    vhost.remove().await;
}

/// A server-side cancel looks like the regular end of the stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_outlives_the_deletion_of_its_queue() {
    let vhost = Vhost::make("cancelled").await;
    vhost.declare_inbox().await;
    let publisher = vhost.publisher().await;
    publish(&publisher, &["before"]).await;
    let mut consumer = vhost.consumer(&["inbox"]);
    let before = within(PATIENCE, consumer.next(1)).await.remove(0);
    consumer.settle(&[before.token]).await;

    let management = &Node::get().management();
    management.delete(&format!("/queues/{}/inbox", vhost.name)).await.expect("the queue is deleted");
    // It notices while it waits, finds no queue, and goes on looking.
    assert!(timeout(Duration::from_secs(1), consumer.next(1)).await.is_err());
    vhost.declare_inbox().await;
    publish(&publisher, &["after"]).await;
    let after = within(PATIENCE, consumer.next(1)).await.remove(0);
    assert_eq!(after.message.id, "after");
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_notices_a_silent_network_by_itself() {
    let vhost = Vhost::make("silent-consumer").await;
    vhost.declare_inbox().await;
    let publisher = vhost.publisher().await;
    let proxy = Proxy::to(&Node::get().address).await;
    let deadlines = transport::amqp::Deadlines { heartbeat_s: 1, ..Default::default() };
    let subscription = transport::amqp::Subscription { queues: vec!["inbox".into()], prefetch: 8, name: "test consumer".into() };
    let nodes = vhost.nodes_at(&proxy.address).with_deadlines(deadlines);
    let mut consumer = Consumer::subscribe(nodes, subscription, Meters::unread());
    publish(&publisher, &["before"]).await;
    let before = within(PATIENCE, consumer.next(1)).await.remove(0);
    assert_eq!(consumer.settle(&[before.token]).await.told, 1);

    proxy.becomes(proxy::Road::Silent);
    let waiting = tokio::spawn(async move {
        // The settlement may have been on the silent road, so the first may come again. That is the bargain.
        while consumer.next(1).await.remove(0).message.id != "during" {}
    });
    publish(&publisher, &["during"]).await;
    // Twice the heartbeat until it gives up; then only the new connections of the proxy are of use.
    tokio::time::sleep(Duration::from_secs(4)).await;
    proxy.becomes(proxy::Road::Open);
    within(PATIENCE, waiting).await.expect("it goes on");
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_message_goes_to_the_dead_letter_exchange_with_its_reason() {
    let vhost = Vhost::make("rejected").await;
    vhost.declare_exchange("post", "direct").await;
    vhost.declare_exchange("quarantine", "fanout").await;
    vhost.declare_queue("quarantine", json!({})).await;
    vhost.bind("quarantine", "", "quarantine").await;
    let dead_letter = json!({ "x-dead-letter-exchange": "quarantine", "x-dead-letter-strategy": "at-least-once" });
    vhost.declare_queue("inbox", dead_letter).await;
    vhost.bind("post", "inbox", "inbox").await;
    publish(&vhost.publisher().await, &["unreadable", "good"]).await;

    let mut consumer = vhost.consumer(&["inbox", "quarantine"]);
    let mut quarantined = None;
    within(PATIENCE, async {
        let mut settled_good = false;
        while quarantined.is_none() || !settled_good {
            for delivered in consumer.next(10).await {
                match (&*delivered.queue, delivered.message.id.as_str()) {
                    ("inbox", "unreadable") => {
                        assert_eq!(consumer.reject(delivered.token).await.told, 1)
                    }
                    ("inbox", "good") => settled_good = consumer.settle(&[delivered.token]).await.told == 1,
                    ("quarantine", "unreadable") => quarantined = Some(delivered),
                    other => panic!("{other:?}"),
                }
            }
        }
    })
    .await;
    let quarantined = quarantined.expect("it came");
    assert_eq!(quarantined.message.header("x-first-death-queue"), Some("inbox"));
    assert_eq!(quarantined.message.header("x-first-death-reason"), Some("rejected"));
    assert_eq!(quarantined.message.body, message("unreadable").body);
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_given_back_comes_again_marked_and_counted() {
    let vhost = Vhost::make("given-back").await;
    vhost.declare_inbox().await;
    publish(&vhost.publisher().await, &["again"]).await;
    let mut consumer = vhost.consumer(&["inbox"]);
    for round in 0..3 {
        let delivered = within(PATIENCE, consumer.next(1)).await.remove(0);
        assert_eq!((delivered.redelivered, delivered.delivery_count), (round > 0, round), "round {round}");
        assert_eq!(consumer.give_back(delivered.token).await.told, 1);
    }
    vhost.remove().await;
}

/// `next` stands in a `select!` beside the signal to stop, and is dropped whenever that comes first.
#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_wait_half_way_loses_no_message() {
    let vhost = Vhost::make("dropped-wait").await;
    vhost.declare_inbox().await;
    let publisher = vhost.publisher().await;
    let mut consumer = vhost.consumer(&["inbox"]);
    let publishing = tokio::spawn(async move {
        for count in 0..300 {
            publish(&publisher, &[&count.to_string()]).await;
        }
    });
    let mut came = HashSet::new();
    within(PATIENCE, async {
        while came.len() < 300 {
            // Long enough to connect once; after that it is cut short between any two messages.
            let patience = if came.is_empty() { PATIENCE } else { Duration::from_micros(200) };
            let Ok(batch) = timeout(patience, consumer.next(5)).await else {
                continue;
            };
            let tokens: Vec<_> = batch.iter().map(|delivered| delivered.token).collect();
            for delivered in &batch {
                assert!(!delivered.redelivered);
                assert!(came.insert(delivered.message.id.clone()));
            }
            assert_eq!(consumer.settle(&tokens).await.stale, 0);
        }
    })
    .await;
    publishing.await.expect("all were published");
    consumer.close().await;
    vhost.holds("inbox", 0).await;
    vhost.remove().await;
}

/// Tags are of the channel, so queues that share one are settled together without sweeping each other up.
#[tokio::test(flavor = "multi_thread")]
async fn queues_read_side_by_side_are_settled_exactly() {
    let vhost = Vhost::make("side-by-side").await;
    vhost.declare_exchange("post", "direct").await;
    let queues = ["one", "two", "three"];
    for queue in queues {
        vhost.declare_queue(queue, json!({})).await;
        vhost.bind("post", queue, queue).await;
    }
    let publisher = vhost.publisher().await;
    for count in 0..90 {
        let queue = queues[count % 3];
        let road = transport::amqp::Road::new("post", queue);
        publisher.publish(road, message(&format!("{queue} {count}"))).await.map(drop).expect("confirmed");
    }
    let mut consumer = vhost.consumer(&queues);
    let settler = consumer.settler();
    let mut kept = Vec::new();
    let mut seen = 0;
    within(PATIENCE, async {
        while seen < 90 {
            let batch = consumer.next(10).await;
            seen += batch.len();
            let (keep, settle): (Vec<_>, Vec<_>) = batch.into_iter().partition(|delivered| {
                assert!(delivered.message.id.starts_with(&*delivered.queue));
                delivered.message.id.ends_with('7')
            });
            kept.extend(keep);
            let tokens: Vec<_> = settle.iter().map(|delivered| delivered.token).collect();
            assert_eq!(settler.settle(&tokens).await.stale, 0);
        }
    })
    .await;
    assert_eq!(kept.len(), 9);
    consumer.close().await;
    for queue in queues {
        vhost.holds(queue, 3).await;
    }
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_single_active_consumer_the_next_takes_over_when_the_first_goes() {
    let vhost = Vhost::make("single-active").await;
    vhost.declare_exchange("post", "direct").await;
    vhost.declare_queue("inbox", json!({ "x-single-active-consumer": true })).await;
    vhost.bind("post", "inbox", "inbox").await;
    let publisher = vhost.publisher().await;
    let mut first = vhost.consumer(&["inbox"]);
    publish(&publisher, &["a"]).await;
    let held = within(PATIENCE, first.next(1)).await.remove(0);
    let mut second = vhost.consumer(&["inbox"]);
    assert!(timeout(Duration::from_secs(1), second.next(1)).await.is_err(), "only one reads");
    assert!(second.is_connected());
    drop((held, first));
    assert_eq!(within(PATIENCE, second.next(1)).await.remove(0).message.id, "a");
    vhost.remove().await;
}
