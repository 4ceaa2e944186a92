//! A confirmed message is in a queue; every other one is called what it is, and in time.

use std::time::Duration;

use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use serde_json::json;
use tokio::time::{Instant, timeout};
use transport::amqp::{Confirmed, Message, Meters, Nodes, NotConfirmed, Publisher, Road};

use crate::{
    node::{Node, PATIENCE, Vhost, drain, message, publisher_at, short_deadlines, to_inbox, within},
    proxy::{self, Proxy},
};

/// lapin hangs a returned message on whichever confirm completes next: of 2,000 in flight one that nobody had
/// was called delivered, and one that a queue had was called lost. With half of them astray and bodies of 2 KiB
/// it happens in one of a few rounds, whether or not they go in batches.
#[tokio::test(flavor = "multi_thread")]
async fn with_many_in_flight_every_unroutable_message_and_no_other_is_called_unroutable() {
    const ROUNDS: usize = 12;
    const EACH: usize = 2000;
    let vhost = Vhost::make("returns").await;
    vhost.declare_inbox().await;
    let publisher = vhost.publisher().await;
    let mut routed = 0;
    for round in 0..ROUNDS {
        let published = (0..EACH).map(|count| {
            // Scattered, and the same in every run.
            let astray = count * 7919 % 1009 < 500;
            let road = if astray { Road::new("post", "nobody") } else { to_inbox() };
            let message = Message { body: vec![1; 2048].into(), ..message(&format!("{round}.{count}")) };
            let publisher = &publisher;
            async move { (count, astray, publisher.publish(road, message).await) }
        });
        for (count, astray, outcome) in within(PATIENCE, join_all(published)).await {
            let expected = if astray { Err(NotConfirmed::Unroutable) } else { Ok(()) };
            assert_eq!(outcome.map(drop_proof), expected, "message {count} of round {round}");
            routed += usize::from(!astray);
        }
    }
    vhost.holds("inbox", routed).await;
    vhost.remove().await;
}

/// The same id on two roads at once: the road tells them apart.
#[tokio::test(flavor = "multi_thread")]
async fn one_id_on_an_open_and_on_a_closed_road_is_confirmed_on_the_open_one_only() {
    let vhost = Vhost::make("twins").await;
    vhost.declare_inbox().await;
    let publisher = vhost.publisher().await;
    for _ in 0..20 {
        let (open, closed) = tokio::join!(
            publisher.publish(to_inbox(), message("twin")),
            publisher.publish(Road::new("post", "nobody"), message("twin")),
        );
        assert_eq!((open.map(drop_proof), closed.map(drop_proof)), (Ok(()), Err(NotConfirmed::Unroutable)));
    }
    vhost.remove().await;
}

/// RabbitMQ confirms what it could not route, and lapin's `is_ack` is true for it.
#[tokio::test(flavor = "multi_thread")]
async fn an_unroutable_message_alone_is_not_confirmed_either() {
    let vhost = Vhost::make("lone-return").await;
    vhost.declare_exchange("post", "direct").await;
    let publisher = vhost.publisher().await;
    for _ in 0..20 {
        let outcome = publisher.publish(Road::new("post", "nobody"), message("alone")).await;
        assert_eq!(outcome.map(drop_proof), Err(NotConfirmed::Unroutable));
    }
    vhost.remove().await;
}

/// `wait_for_confirms` said "all well" when 20 of 20 were refused. A full queue is soft by about one.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_every_refusal_is_told() {
    let vhost = Vhost::make("full").await;
    vhost.declare_exchange("post", "direct").await;
    vhost.declare_queue("inbox", json!({ "x-max-length": 5 })).await;
    vhost.bind("post", "inbox", "inbox").await;
    let publisher = vhost.publisher().await;
    let mut confirmed = 0;
    let mut refused = 0;
    for count in 0..100 {
        match publisher.publish(to_inbox(), message(&count.to_string())).await {
            Ok(proof) => confirmed += drop_proof_counting(proof),
            Err(NotConfirmed::Refused) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(confirmed + refused, 100);
    assert!((5..10).contains(&confirmed), "{confirmed} were confirmed by a queue for 5");
    vhost.holds("inbox", confirmed).await;

    // The same with many in flight. Looking has emptied the queue for a moment, and word of a full queue reaches
    // a channel late: what arrives before that is taken, and confirmed. So it is repeated until it is felt.
    let mut refused_in_flight = 0;
    for burst in 0..20 {
        let ids = (0..300).map(|count| message(&format!("{burst} {count}")));
        for outcome in join_all(ids.map(|message| publisher.publish(to_inbox(), message))).await {
            match outcome {
                Ok(proof) => confirmed += drop_proof_counting(proof),
                Err(NotConfirmed::Refused) => refused_in_flight += 1,
                Err(other) => panic!("{other}"),
            }
        }
        if refused_in_flight > 300 {
            break;
        }
    }
    assert!(refused_in_flight > 300, "only {refused_in_flight} were refused");
    vhost.holds("inbox", confirmed).await;
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_arrives_as_it_was_sent() {
    let vhost = Vhost::make("whole").await;
    vhost.declare_inbox().await;
    let publisher = vhost.publisher().await;
    let mut consumer = vhost.consumer(&["inbox"]);
    // Larger than a frame (128 KiB), and empty.
    for body in [vec![7_u8; 300_000], Vec::new()] {
        let sent = Message {
            headers: vec![("ce-source".into(), "school.999001".into()), ("traceparent".into(), "00-ab".into())],
            timestamp: Some(jiff::Timestamp::from_second(1_700_000_000).expect("a moment")),
            body: body.into(),
            ..message("whole")
        };
        publisher.publish(to_inbox(), sent.clone()).await.map(drop_proof).expect("it is confirmed");
        let came = within(PATIENCE, consumer.next(1)).await.remove(0);
        assert!(came.message == sent, "{:?}", came.message);
        assert!(!came.redelivered);
        consumer.settle(&[came.token]).await;
    }
    vhost.remove().await;
}

/// An operator closes the connection while messages are on their way.
#[tokio::test(flavor = "multi_thread")]
async fn when_the_connection_is_killed_every_publish_ends_and_none_that_was_confirmed_is_lost() {
    let vhost = Vhost::make("killed").await;
    vhost.declare_inbox().await;
    let publisher = publisher_at(vhost.nodes().with_deadlines(short_deadlines())).await;
    let killing = tokio::spawn({
        let name = vhost.name.clone();
        async move {
            for _ in 0..2 {
                Vhost { name: name.clone() }.kill_connections(1).await;
            }
        }
    });

    let mut confirmed = Vec::new();
    let mut unconfirmed = 0;
    let mut under_way = FuturesUnordered::new();
    let mut count = 0;
    within(PATIENCE, async {
        while !killing.is_finished() || !under_way.is_empty() {
            while under_way.len() < 64 && !killing.is_finished() {
                let id = format!("{count}");
                count += 1;
                let publisher = &publisher;
                under_way.push(async move {
                    let outcome = timeout(PATIENCE, publisher.publish(to_inbox(), message(&id))).await;
                    (id, outcome.expect("a publish ends"))
                });
            }
            match under_way.next().await {
                Some((id, Ok(proof))) => {
                    drop_proof(proof);
                    confirmed.push(id);
                }
                Some((_, Err(NotConfirmed::NoAnswer | NotConfirmed::NotConnected))) => {
                    unconfirmed += 1;
                    // A caller would wait; this one lets the supervisor have the processor.
                    tokio::task::yield_now().await;
                }
                Some((id, Err(other))) => panic!("{id}: {other}"),
                None => (),
            }
        }
    })
    .await;
    killing.await.expect("the connections were killed");
    assert!(unconfirmed > 0, "the kill was not felt");

    assert!(publisher.opens_within(PATIENCE).await);
    publisher.publish(to_inbox(), message("after")).await.map(drop_proof).expect("it works again");
    confirmed.push("after".to_owned());
    drain(&mut vhost.consumer(&["inbox"]), &confirmed).await;
    vhost.remove().await;
}

/// A half-open connection: nothing comes back, nothing says so.
#[tokio::test(flavor = "multi_thread")]
async fn when_the_network_falls_silent_a_publish_ends_unknown_at_its_deadline_and_later_ones_succeed() {
    ends_unknown_then_recovers("silent", proxy::Road::Silent).await;
}

/// The messages arrive, the confirms do not: as under a memory alarm, or with a majority of nodes paused.
#[tokio::test(flavor = "multi_thread")]
async fn when_confirms_are_swallowed_a_publish_ends_unknown_at_its_deadline_and_later_ones_succeed() {
    ends_unknown_then_recovers("swallowed", proxy::Road::NoAnswers).await;
}

async fn ends_unknown_then_recovers(test: &str, road: proxy::Road) {
    let vhost = Vhost::make(test).await;
    vhost.declare_inbox().await;
    let proxy = Proxy::to(&Node::get().address).await;
    let publisher = publisher_at(vhost.nodes_at(&proxy.address).with_deadlines(short_deadlines())).await;
    publisher.publish(to_inbox(), message("before")).await.map(drop_proof).expect("it works");

    proxy.becomes(road);
    let began = Instant::now();
    let outcomes = join_all((0..100).map(|count| publisher.publish(to_inbox(), message(&format!("during {count}"))))).await;
    assert!(began.elapsed() < Duration::from_secs(8), "the answers took {:?}", began.elapsed());
    assert!(outcomes.iter().all(|outcome| *outcome == Err(NotConfirmed::NoAnswer)), "{outcomes:?}");

    proxy.becomes(proxy::Road::Open);
    assert!(publisher.opens_within(PATIENCE).await, "it did not reconnect");
    publisher.publish(to_inbox(), message("after")).await.map(drop_proof).expect("it works again");
    drain(&mut vhost.consumer(&["inbox"]), &["before".into(), "after".into()]).await;
    vhost.remove().await;
}

/// Messages in flight when the connection is cut are answered then, not at the deadline.
#[tokio::test(flavor = "multi_thread")]
async fn when_the_connection_is_cut_those_in_flight_are_told_at_once() {
    let vhost = Vhost::make("cut").await;
    vhost.declare_inbox().await;
    let proxy = Proxy::to(&Node::get().address).await;
    // The confirms would be waited for this long; the cut has to be noticed by itself.
    let deadlines = transport::amqp::Deadlines { confirm: PATIENCE * 2, ..Default::default() };
    let publisher = publisher_at(vhost.nodes_at(&proxy.address).with_deadlines(deadlines)).await;
    proxy.becomes(proxy::Road::NoAnswers);
    let publishing = tokio::spawn({
        let publisher = publisher.clone();
        async move { publisher.publish(to_inbox(), message("in flight")).await }
    });
    vhost.holds("inbox", 1).await;
    proxy.becomes(proxy::Road::Cut);
    let outcome = within(PATIENCE, publishing).await.expect("it ends");
    assert_eq!(outcome.map(drop_proof), Err(NotConfirmed::NoAnswer));
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_node_a_publish_is_refused_at_once() {
    let vhost = Vhost::make("nobody-there").await;
    // A port that was free a moment ago.
    let publisher = Publisher::start(vhost.nodes_at("127.0.0.1:9"), "test publisher", Meters::unread());
    let outcome = within(Duration::from_secs(1), publisher.publish(to_inbox(), message("early"))).await;
    assert_eq!(outcome.map(drop_proof), Err(NotConfirmed::NotConnected));
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_down_is_passed_over_for_the_next() {
    let vhost = Vhost::make("rotation").await;
    vhost.declare_inbox().await;
    let address = Node::get().address.as_str();
    let nodes = vhost.nodes_as(crate::node::ROUTER, ["127.0.0.1:9", address, "127.0.0.1:10"]);
    let publisher = publisher_at(nodes).await;
    publisher.publish(to_inbox(), message("by the second")).await.map(drop_proof).expect("it is confirmed");
    vhost.remove().await;
}

/// Without a certificate for the configured name it is not our broker, whatever answers there.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_certificate_is_for_another_name_is_not_spoken_to() {
    let vhost = Vhost::make("impostor").await;
    vhost.declare_inbox().await;
    let node = Node::get();
    let identity = node.identity(crate::node::ROUTER);
    let nodes = Nodes::new([node.address.as_str()], vhost.name.as_str(), "rabbitmq.example", identity).expect("good");
    let meters = Meters::unread();
    let publisher = Publisher::start(nodes, "test publisher", meters);
    assert!(!publisher.opens_within(Duration::from_secs(2)).await);
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_amqp_has_no_room_for_is_refused_before_it_can_close_a_channel() {
    let vhost = Vhost::make("too-long").await;
    vhost.declare_inbox().await;
    let publisher = vhost.publisher().await;
    let long = "x".repeat(256);
    let too_long = [
        (Road::new("post", long.as_str()), message("a")),
        (to_inbox(), message(&long)),
        (to_inbox(), Message { kind: long.clone(), ..message("b") }),
        (to_inbox(), Message { headers: vec![(long.clone(), String::new())], ..message("c") }),
        (to_inbox(), Message { headers: vec![("h".into(), "x".repeat(70_000))], ..message("d") }),
        (to_inbox(), Message { body: vec![0; (8 << 20) + 1].into(), ..message("e") }),
    ];
    for (road, message) in too_long {
        assert_eq!(publisher.publish(road, message).await.map(drop_proof), Err(NotConfirmed::TooLong));
    }
    publisher.publish(to_inbox(), message("fits")).await.map(drop_proof).expect("the connection is untouched");
    vhost.remove().await;
}

/// A submission goes on when its caller hangs up.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_caller_stopped_waiting_still_arrives() {
    let vhost = Vhost::make("hung-up").await;
    vhost.declare_inbox().await;
    let publisher = vhost.publisher().await;
    for count in 0..50 {
        let publishing = publisher.publish(to_inbox(), message(&count.to_string()));
        // Polled once, which hands it over, and then forgotten.
        let _ = timeout(Duration::ZERO, publishing).await;
    }
    vhost.holds("inbox", 50).await;
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_hand_when_the_last_publisher_goes_is_still_published() {
    let vhost = Vhost::make("last").await;
    vhost.declare_inbox().await;
    let publisher = vhost.publisher().await;
    for count in 0..50 {
        let _ = timeout(Duration::ZERO, publisher.publish(to_inbox(), message(&count.to_string()))).await;
    }
    drop(publisher);
    vhost.holds("inbox", 50).await;
    vhost.remove().await;
}

fn drop_proof(_: Confirmed) {}

fn drop_proof_counting(_: Confirmed) -> usize {
    1
}
