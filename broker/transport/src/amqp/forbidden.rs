//! What a recipient's certificate cannot do, tried on a real RabbitMQ with a client that does as it likes.

use futures_util::future::BoxFuture;
use lapin::{
    Channel, ErrorKind, ExchangeKind as LapinExchangeKind,
    options::{
        BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
        ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
    },
    types::FieldTable,
};
use serde_json::json;

use super::connection::Link;

#[path = "../../tests/rabbitmq/node.rs"]
#[allow(dead_code, unused_imports)]
mod node;
use node::{PATIENCE, Vhost, message, within};

const US: &str = "la.E08000035.front-door";
const OTHERS: &str = "la.E08000019.front-door";

type Attempt = (&'static str, fn(Channel) -> BoxFuture<'static, lapin::Result<()>>);

fn ours() -> String {
    format!("delivery.{US}")
}

fn theirs() -> String {
    format!("delivery.{OTHERS}")
}

async fn publish(channel: Channel, exchange: &str, routing_key: &str) -> lapin::Result<()> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let confirm =
        channel.basic_publish(exchange.into(), routing_key.into(), BasicPublishOptions::default(), b"forged", Default::default());
    confirm.await?.await.map(drop)
}

fn attempts() -> Vec<Attempt> {
    vec![
        ("publish to the delivery exchange", |channel| Box::pin(async move { publish(channel, "delivery", OTHERS).await })),
        ("publish to the intake exchange", |channel| Box::pin(async move { publish(channel, "intake", "0").await })),
        ("publish to its own queue by the default exchange", |channel| {
            Box::pin(async move { publish(channel, "", &ours()).await })
        }),
        ("publish to another's queue by the default exchange", |channel| {
            Box::pin(async move { publish(channel, "", &theirs()).await })
        }),
        ("publish to a built-in exchange", |channel| Box::pin(async move { publish(channel, "amq.fanout", "").await })),
        ("look into another's queue", |channel| {
            Box::pin(async move { channel.basic_get(theirs().as_str().into(), BasicGetOptions::default()).await.map(drop) })
        }),
        ("consume another's queue", |channel| {
            Box::pin(async move {
                let options = BasicConsumeOptions::default();
                let consuming = channel.basic_consume(theirs().as_str().into(), "".into(), options, FieldTable::default());
                consuming.await.map(drop)
            })
        }),
        ("purge another's queue", |channel| {
            Box::pin(async move { channel.queue_purge(theirs().as_str().into(), QueuePurgeOptions::default()).await.map(drop) })
        }),
        ("delete another's queue", |channel| {
            Box::pin(async move { channel.queue_delete(theirs().as_str().into(), QueueDeleteOptions::default()).await.map(drop) })
        }),
        ("delete its own queue", |channel| {
            Box::pin(async move { channel.queue_delete(ours().as_str().into(), QueueDeleteOptions::default()).await.map(drop) })
        }),
        ("declare a queue", |channel| {
            Box::pin(async move {
                let options = QueueDeclareOptions { durable: true, ..Default::default() };
                channel.queue_declare("mine".into(), options, FieldTable::default()).await.map(drop)
            })
        }),
        ("declare an exchange", |channel| {
            Box::pin(async move {
                let options = ExchangeDeclareOptions::default();
                channel.exchange_declare("mine".into(), LapinExchangeKind::Fanout, options, FieldTable::default()).await
            })
        }),
        ("delete an exchange", |channel| {
            Box::pin(async move { channel.exchange_delete("delivery".into(), ExchangeDeleteOptions::default()).await })
        }),
        ("bind its own queue to what goes to another", |channel| {
            Box::pin(async move {
                let options = QueueBindOptions::default();
                channel.queue_bind(ours().as_str().into(), "delivery".into(), OTHERS.into(), options, FieldTable::default()).await
            })
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_can_read_its_own_queue_and_do_nothing_else() {
    let vhost = Vhost::make("forbidden").await;
    vhost.declare_exchange("delivery", "direct").await;
    vhost.declare_exchange("intake", "fanout").await;
    for endpoint in [US, OTHERS] {
        let queue = format!("delivery.{endpoint}");
        vhost.declare_queue(&queue, json!({})).await;
        vhost.bind("delivery", endpoint, &queue).await;
        vhost.bind("intake", "", &queue).await;
        vhost.put(&format!("/users/{endpoint}"), json!({ "password_hash": "", "tags": "" })).await;
    }
    vhost.permit(US, "^$", "^$", &format!("^delivery\\.{}$", US.replace('.', "\\."))).await;
    let publisher = vhost.publisher().await;
    for endpoint in [US, OTHERS] {
        let road = super::Road::new("delivery", endpoint);
        publisher.publish(road, message("theirs to read")).await.map(drop).expect("confirmed");
    }

    let nodes = vhost.nodes_as(US, [&node::Node::get().address]);
    let link = Link::dial(&nodes, 0, "a recipient").await.map_err(|fault| fault.to_string()).expect("it is let in");
    for (attempt, make) in attempts() {
        let channel = link.connection().create_channel().await.expect("a channel");
        let fault = within(PATIENCE, make(channel)).await.expect_err(attempt);
        let ErrorKind::ProtocolError(refusal) = fault.kind() else { panic!("{attempt}: {fault}") };
        assert_eq!(refusal.get_id(), 403, "{attempt}: {fault}");
    }
    let channel = link.connection().create_channel().await.expect("a channel");
    let own = channel.basic_get(ours().as_str().into(), BasicGetOptions::default()).await.expect("its own is open to it");
    assert!(own.is_some_and(|own| own.delivery.data == b"body of theirs to read"));
    drop(link);
    // Nothing was forged, copied, taken or thrown away.
    vhost.holds(&ours(), 1).await;
    vhost.holds(&theirs(), 1).await;
    vhost.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_certificate_that_names_no_user_is_not_let_in() {
    let vhost = Vhost::make("stranger").await;
    let nodes = vhost.nodes_as("la.unknown.front-door", [&node::Node::get().address]);
    let Err(fault) = Link::dial(&nodes, 0, "a stranger").await else { panic!("a stranger was let in") };
    assert!(fault.to_string().contains("403") || fault.to_string().contains("ACCESS"), "{fault}");
    vhost.remove().await;
}
