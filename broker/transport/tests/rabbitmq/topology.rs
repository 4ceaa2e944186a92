//! The table is declared, read back, and refused when RabbitMQ has made something else of it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use transport::amqp::{Binding, DeadLetter, Exchange, ExchangeKind, Queue, Road, Topology, User, establish, verify};

use crate::node::{Node, PATIENCE, ROUTER, Vhost, message, publisher_at, within};

const ENDPOINT: &str = "la.E08000035.front-door";

/// The product's topology in small: one intake partition, one endpoint, quarantine and unrouted.
fn table(vhost: &str) -> Topology {
    let exchange =
        |name: &str, kind, alternate: Option<&str>| Exchange { name: name.into(), kind, alternate: alternate.map(Into::into) };
    let quarantined = || Some(DeadLetter { exchange: "quarantine".into(), routing_key: "quarantine".into() });
    Topology {
        vhost: vhost.into(),
        quorum_group_size: 1,
        exchanges: vec![
            exchange("intake", ExchangeKind::Direct, Some("unrouted")),
            exchange("delivery", ExchangeKind::Direct, Some("unrouted")),
            exchange("quarantine", ExchangeKind::Fanout, Some("unrouted")),
            exchange("unrouted", ExchangeKind::Fanout, None),
        ],
        queues: vec![
            Queue {
                single_active_consumer: true,
                delivery_limit: Some(3),
                dead_letter: quarantined(),
                ..Queue::named("intake.0")
            },
            Queue { delivery_limit: Some(3), dead_letter: quarantined(), ..Queue::named(format!("delivery.{ENDPOINT}")) },
            Queue::named("quarantine"),
            Queue::named("unrouted"),
        ],
        bindings: vec![
            Binding::new("intake", "0", "intake.0"),
            Binding::new("delivery", ENDPOINT, format!("delivery.{ENDPOINT}")),
            Binding::new("quarantine", "", "quarantine"),
            Binding::new("unrouted", "", "unrouted"),
        ],
        users: vec![
            User { name: ROUTER.into(), configure: "^$".into(), write: ".*".into(), read: ".*".into() },
            User {
                name: ENDPOINT.into(),
                configure: "^$".into(),
                write: "^$".into(),
                read: format!("^delivery\\.{}$", ENDPOINT.replace('.', "\\.")),
            },
        ],
        tolerated_users: Vec::new(),
    }
}

/// What `verify` says after `hand` has changed something, one line a sentence.
async fn faults(vhost: &Vhost) -> Vec<String> {
    match verify(&Node::get().management(), &table(&vhost.name)).await {
        Ok(()) => Vec::new(),
        Err(faults) => faults.sentences().to_vec(),
    }
}

async fn established(test: &str) -> Vhost {
    let vhost = Vhost::unmade(test);
    establish(&Node::get().management(), &table(&vhost.name)).await.expect("the table can be declared");
    vhost
}

#[tokio::test(flavor = "multi_thread")]
async fn declaring_it_again_changes_nothing_and_loses_nothing() {
    let vhost = established("again").await;
    let publisher = publisher_at(vhost.nodes()).await;
    publisher.publish(Road::new("delivery", ENDPOINT), message("kept")).await.map(drop).expect("confirmed");
    establish(&Node::get().management(), &table(&vhost.name)).await.expect("it can be declared again");
    vhost.holds(&format!("delivery.{ENDPOINT}"), 1).await;
    vhost.remove().await;
}

/// A node that is killed within a second of a queue's declaration forgets what the queue has confirmed.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_leads_to_a_queue_that_was_only_just_declared() {
    let vhost = Vhost::unmade("young");
    let management = &Node::get().management();
    let wanted = table(&vhost.name);
    let queue = format!("/queues/{}/intake.0", vhost.name);
    let declaring = tokio::spawn(async move { establish(&Node::get().management(), &wanted).await });
    let exists = async {
        while management.find::<Value>(&queue).await.expect("asked").is_none() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    within(PATIENCE, exists).await;
    sleep(Duration::from_secs(1)).await;
    let bindings: Vec<Value> = management.get(&format!("{queue}/bindings")).await.expect("asked");
    let leads = bindings.iter().any(|binding| binding["source"] != "");
    assert!(!leads, "{bindings:?}");

    // Whoever goes on after the declaring was broken off does not know how old the queue is.
    declaring.abort();
    let began = Instant::now();
    establish(management, &table(&vhost.name)).await.expect("it can be declared");
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_made_again() {
    let vhost = established("mended").await;
    let management = &Node::get().management();
    management.delete(&format!("/queues/{}/intake.0", vhost.name)).await.expect("deleted");
    management.delete(&format!("/permissions/{}/{ENDPOINT}", vhost.name)).await.expect("deleted");
    assert_eq!(
        faults(&vhost).await,
        [
            "queue intake.0 does not exist".to_owned(),
            "exchange intake does not lead to queue intake.0 by \"0\"".to_owned(),
            format!("user {ENDPOINT} may do nothing in this virtual host"),
        ]
    );
    establish(management, &table(&vhost.name)).await.expect("it is made again");
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_would_lose_messages_is_refused_in_words() {
    let vhost = established("policies").await;
    let management = &Node::get().management();
    let policies = [
        (json!({ "message-ttl": 60_000 }), "lets messages expire after 60000 ms"),
        (json!({ "expires": 60_000 }), "deletes queues that nobody used for 60000 ms"),
        (json!({ "max-length": 10, "overflow": "drop-head" }), "makes full queues drop messages"),
        (json!({ "dead-letter-strategy": "at-most-once" }), "lets refused messages be lost"),
        (json!({ "dead-letter-exchange": "elsewhere" }), "sends refused messages elsewhere"),
        (json!({ "delivery-limit": 1 }), "gives up on messages after 1 deliveries"),
        (json!({ "alternate-exchange": "elsewhere" }), "sends what no queue takes elsewhere"),
    ];
    for (definition, harm) in policies {
        let policy = json!({ "pattern": "^intake", "apply-to": "all", "definition": definition });
        vhost.put(&format!("/policies/{}/night-shift", vhost.name), policy).await;
        let told = faults(&vhost).await;
        assert!(told.iter().any(|fault| fault.starts_with("policy night-shift: it ") && fault.contains(harm)), "{told:?}");
        management.delete(&format!("/policies/{}/night-shift", vhost.name)).await.expect("deleted");
    }
    let operators = json!({ "pattern": ".*", "apply-to": "queues", "definition": { "message-ttl": 1 } });
    vhost.put(&format!("/operator-policies/{}/operators", vhost.name), operators).await;
    assert!(faults(&vhost).await.iter().any(|fault| fault.starts_with("policy operators: ")));
    management.delete(&format!("/operator-policies/{}/operators", vhost.name)).await.expect("deleted");

    // The statistics may still tell of what was taken away, for as long as they are old.
    let forgotten = async {
        while !faults(&vhost).await.is_empty() {
            sleep(Duration::from_millis(200)).await;
        }
    };
    within(PATIENCE, forgotten).await;
    let harmless = json!({ "pattern": ".*", "apply-to": "queues",
        "definition": { "max-length": 1_000_000, "overflow": "reject-publish", "max-in-memory-length": 10 } });
    vhost.put(&format!("/policies/{}/roomy", vhost.name), harmless).await;
    establish(management, &table(&vhost.name)).await.expect("a policy that does no harm is left alone");
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_another_hand_has_made_differently_is_named_at_once() {
    let vhost = Vhost::make("other-hands").await;
    vhost.declare_exchange("intake", "direct").await;
    vhost.declare_exchange("quarantine", "direct").await;
    vhost.declare_queue("intake.0", json!({ "x-message-ttl": 5, "x-overflow": "drop-head" })).await;
    vhost.put(&format!("/queues/{}/unrouted", vhost.name), json!({ "durable": true, "arguments": {} })).await;
    vhost.declare_queue("copies", json!({})).await;
    vhost.put("/users/stranger", json!({ "password_hash": "", "tags": "" })).await;
    vhost.permit("stranger", "^$", "^$", ".*").await;
    let management = &Node::get().management();
    let first = establish(management, &table(&vhost.name)).await.expect_err("it is not as it must be");
    vhost.bind("intake", "0", "copies").await;
    let told = faults(&vhost).await;
    for part in [
        "exchange intake: alternate-exchange is not set and must be \"unrouted\"",
        "exchange quarantine is not a durable fanout exchange",
        "queue intake.0: x-message-ttl is 5 and must not be set",
        "queue intake.0: x-overflow is \"drop-head\" and must be \"reject-publish\"",
        "queue intake.0: x-dead-letter-strategy is not set and must be \"at-least-once\"",
        "queue unrouted: x-queue-type is \"classic\" and must be \"quorum\"",
        "exchange intake also sends to queue copies",
        "user stranger has permissions in this virtual host",
    ] {
        // RabbitMQ 3.10 shows a classic queue's arguments as they were sent: empty.
        let found =
            told.iter().any(|fault| fault.contains(part) || fault.contains(&part.replace("is \"classic\"", "is not set")));
        assert!(found, "{part} is not among {told:#?}");
    }
    assert!(first.sentences().len() > 5, "{first}");
    management.delete("/users/stranger").await.expect("deleted");
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_could_log_in_by_password_is_given_back_to_its_certificate() {
    let vhost = established("password").await;
    vhost.put(&format!("/users/{ENDPOINT}"), json!({ "password": "guessed", "tags": "management" })).await;
    assert_eq!(faults(&vhost).await, [format!("user {ENDPOINT} can log in by password or manage the broker")]);
    establish(&Node::get().management(), &table(&vhost.name)).await.expect("it is mended");
    vhost.remove().await;
}

/// The alternate exchange catches what no queue takes: it is confirmed, because a queue has it.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_queue_takes_ends_in_unrouted_and_stays_visible() {
    let vhost = established("alternate").await;
    let publisher = publisher_at(vhost.nodes()).await;
    publisher.publish(Road::new("delivery", "la.nowhere"), message("astray")).await.map(drop).expect("confirmed");
    publisher.publish(Road::new("intake", "99"), message("misread")).await.map(drop).expect("confirmed");
    let mut consumer = vhost.consumer(&["unrouted"]);
    let mut came = crate::node::drain(&mut consumer, &["astray".into(), "misread".into()]).await;
    came.sort();
    assert_eq!(came, ["astray", "misread"]);
    vhost.remove().await;
}

/// A poison message ends in quarantine after its delivery limit; those behind it go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_back_too_often_ends_in_quarantine() {
    let vhost = established("poison").await;
    let publisher = publisher_at(vhost.nodes()).await;
    for id in ["poison", "good"] {
        publisher.publish(Road::new("intake", "0"), message(id)).await.map(drop).expect("confirmed");
    }
    let mut consumer = vhost.consumer(&["intake.0", "quarantine"]);
    let mut tries = 0;
    let mut good = 0;
    let quarantined = within(PATIENCE, async {
        loop {
            for delivered in consumer.next(1).await {
                match (&*delivered.queue, delivered.message.id.as_str()) {
                    ("intake.0", "poison") => {
                        tries += 1;
                        consumer.give_back(delivered.token).await;
                    }
                    ("intake.0", _) => good += consumer.settle(&[delivered.token]).await.told,
                    (_, _) => return delivered,
                }
            }
        }
    })
    .await;
    assert_eq!((tries, good), (4, 1), "the first delivery and three more; the good one went on");
    assert_eq!(quarantined.message.id, "poison");
    assert_eq!(quarantined.message.header("x-first-death-reason"), Some("delivery_limit"));
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_could_lose_messages_is_not_even_declared() {
    let vhost = Vhost::unmade("bad-table");
    let mut bad = table(&vhost.name);
    bad.exchanges[0].alternate = None;
    bad.exchanges[1].alternate = Some("nowhere".into());
    bad.queues[0].dead_letter = None;
    bad.bindings.push(Binding::new("delivery", "x", "no such queue"));
    bad.users.push(User { name: Node::get().management().user().into(), ..bad.users[0].clone() });
    let refused = establish(&Node::get().management(), &bad).await.expect_err("it is refused");
    assert_eq!(refused.sentences().len(), 5, "{refused}");
    let made: Option<serde_json::Value> = Node::get().management().find(&format!("/vhosts/{}", vhost.name)).await.expect("asked");
    assert!(made.is_none(), "nothing was made");
}
