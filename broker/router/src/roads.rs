//! The roads: which exchange and queue a message takes, and what is written on its outside. Nothing personal.

use proto::tell::Encoded;
use referral::{DeliveryId, Endpoint, ReferralId};

use crate::record::{Owed, log};

/// Where the doors put what was submitted.
pub const INTAKE: &str = "safeguarding.intake";
/// What goes to recipients, by the endpoint's name.
pub const DELIVERY: &str = "safeguarding.delivery";
/// Where RabbitMQ puts what could not be processed however often it was tried.
pub const QUARANTINE: &str = "safeguarding.quarantine";
/// Where RabbitMQ puts what no queue would have taken.
pub const UNROUTED: &str = "safeguarding.unrouted";
/// How many partitions the intake has. A referral stays in one, so its events stay in order.
pub const PARTITIONS: u16 = 8;
/// The queue behind the quarantine exchange.
pub const QUARANTINE_QUEUE: &str = "quarantine";
/// The queue behind the exchange for what no queue takes.
pub const UNROUTED_QUEUE: &str = "unrouted";
/// The header in which the ledger's proof travels.
pub const PROOF_HEADER: &str = "safeguarding-ledger-proof";
/// The header of the W3C trace context.
pub const TRACEPARENT: &str = "traceparent";

/// The queue of an intake partition.
pub fn intake_queue(partition: u16) -> String {
    format!("intake.{partition}")
}

/// The queue of an endpoint.
pub fn delivery_queue(endpoint: &Endpoint) -> String {
    format!("delivery.{endpoint}")
}

/// A referral's name in the ledger.
pub fn ledger_id(id: ReferralId) -> uuid::Uuid {
    uuid::Uuid::from_bytes(*id.as_bytes())
}

/// A referral's name out of the ledger.
pub fn referral_id(id: uuid::Uuid) -> ReferralId {
    ReferralId::from_bytes(*id.as_bytes())
}

/// What a delivery says it is, on its outside.
pub const DELIVERY_TYPE: &str = "safeguarding.delivery.v1.DeliveryEnvelope";

/// A delivery as the ledger owes it: the message, whole, as it will be published however often, to the inbox of whoever
/// reads for its recipient.
pub fn delivery(
    id: DeliveryId,
    referral: ReferralId,
    order: u32,
    inbox: &Endpoint,
    what: Encoded,
    traceparent: Option<&str>,
) -> Owed {
    let body = what.body;
    let mut headers = vec![
        ("cloudEvents:specversion".to_owned(), "1.0".to_owned()),
        ("cloudEvents:id".to_owned(), id.to_string()),
        ("cloudEvents:source".to_owned(), "urn:safeguarding:broker".to_owned()),
        ("cloudEvents:type".to_owned(), DELIVERY_TYPE.to_owned()),
    ];
    headers.extend(traceparent.map(|trace| (TRACEPARENT.to_owned(), trace.to_owned())));
    Owed {
        id: uuid::Uuid::from_bytes(*id.as_bytes()),
        referral: ledger_id(referral),
        order: u64::from(order),
        exchange: DELIVERY.to_owned(),
        routing_key: inbox.to_string(),
        kind: DELIVERY_TYPE.to_owned(),
        content_type: what.content_type.to_owned(),
        headers,
        digest: log::digest(&body),
        body,
    }
}
