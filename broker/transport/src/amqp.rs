//! Messages over RabbitMQ: publish until a queue has it, consume until it is settled.
//!
//! Every wait ends; a connection that has once left a question open is never used again; what is lost
//! on the way is said to be unknown and never guessed. Recovery is ours (several nodes, capped back-off),
//! not lapin's. Knows bytes and names of roads; never looks into a body and never shows one.

use std::{fmt, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;

use crate::tls::Identity;

mod connection;
mod consumer;
mod desk;
#[cfg(test)]
mod forbidden;
mod management;
mod meters;
mod publisher;
mod topology;

pub use consumer::{Consumer, Delivered, Settled, Settler, Subscription, Token};
pub use management::{Management, ManagementFault, QueueDepth};
pub use meters::Meters;
pub use publisher::{Confirmed, NotConfirmed, Publisher};
pub use topology::{
    Binding, DeadLetter, Exchange, ExchangeKind, Queue, Topology, TopologyFaults, User, establish, replace, verify,
};

/// The RabbitMQ nodes of one cluster, and who we are to them.
#[derive(Clone, Debug)]
pub struct Nodes {
    /// `host:port` of every node; tried in turn, starting at random.
    addresses: Vec<String>,
    /// The virtual host that everything lives in.
    vhost: String,
    /// The name that the nodes' certificates are for.
    server_name: rustls::pki_types::ServerName<'static>,
    /// Our certificate: to RabbitMQ, its common name is the user (EXTERNAL).
    identity: Identity,
    deadlines: Deadlines,
}

/// How long each question to RabbitMQ may stay open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// TCP, TLS and the AMQP handshake together.
    pub connect: Duration,
    /// Opening a channel, or asking it for confirms, a prefetch or a consumer.
    pub open: Duration,
    /// One confirm. Longer than an election of a quorum queue's leader takes (8 s were measured), or every
    /// paused node becomes an outage; short enough that the caller is still there to be told.
    pub confirm: Duration,
    /// Handing an acknowledgement to the socket.
    pub settle: Duration,
    /// A silent peer is given up after twice this. Linux alone would take eleven minutes.
    pub heartbeat_s: u16,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            connect: Duration::from_secs(5),
            open: Duration::from_secs(5),
            confirm: Duration::from_secs(10),
            settle: Duration::from_secs(5),
            heartbeat_s: 5,
        }
    }
}

/// Why a list of nodes cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNodes {
    /// Nothing to connect to.
    #[error("no RabbitMQ node is named")]
    None,
    /// An address without a port, or without a host.
    #[error("the RabbitMQ node {0:?} is not host:port")]
    NotAnAddress(String),
    /// No certificate can be for this name.
    #[error("the server name {0:?} is neither a host name nor an address")]
    NotAName(String),
    /// A virtual host is named in AMQP by at most 255 bytes.
    #[error("the virtual host's name is empty or longer than 255 bytes")]
    BadVhost,
}

impl Nodes {
    /// Names the nodes (`host:port` each), their virtual host, the name in their certificates, and us.
    pub fn new(
        addresses: impl IntoIterator<Item = impl Into<String>>,
        vhost: impl Into<String>,
        server_name: impl Into<String>,
        identity: Identity,
    ) -> Result<Nodes, BadNodes> {
        let addresses: Vec<String> = addresses.into_iter().map(Into::into).collect();
        if addresses.is_empty() {
            return Err(BadNodes::None);
        }
        for address in &addresses {
            let host_and_port = address.rsplit_once(':');
            if !host_and_port.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) {
                return Err(BadNodes::NotAnAddress(address.clone()));
            }
        }
        let vhost = vhost.into();
        if vhost.is_empty() || vhost.len() > SHORT_NAME_BYTES_MAX {
            return Err(BadNodes::BadVhost);
        }
        let server_name = server_name.into();
        let server_name = server_name.clone().try_into().map_err(|_| BadNodes::NotAName(server_name))?;
        Ok(Nodes { addresses, vhost, server_name, identity, deadlines: Deadlines::default() })
    }

    /// The same nodes with other deadlines.
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Nodes {
        self.deadlines = deadlines;
        self
    }

    /// How long each question may stay open.
    pub fn deadlines(&self) -> Deadlines {
        self.deadlines
    }
}

/// Where a message is handed in: an exchange and the routing key that picks the queues behind it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Road {
    /// The exchange. Never the default one: writing there would mean writing to any queue.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
}

impl Road {
    /// The road through `exchange` by `routing_key`.
    pub fn new(exchange: impl Into<String>, routing_key: impl Into<String>) -> Road {
        Road { exchange: exchange.into(), routing_key: routing_key.into() }
    }
}

/// A message as it travels. Nothing personal outside the body.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The message's own id (`message_id`). A repeat carries the same one: it is how duplicates are known.
    pub id: String,
    /// What kind of message it is (`type`).
    pub kind: String,
    /// How the body is written.
    pub content_type: String,
    /// Headers whose values are text. Others (RabbitMQ adds some) are left out when a message is read.
    pub headers: Vec<(String, String)>,
    /// When it was made, to the second, which is all that AMQP has room for.
    pub timestamp: Option<Timestamp>,
    /// What it says. Never shown.
    pub body: Bytes,
}

impl Message {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers name themselves only: a value could have come from anywhere.
        let headers: Vec<&str> = self.headers.iter().map(|(key, _)| key.as_str()).collect();
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("content_type", &self.content_type)
            .field("headers", &headers)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// AMQP's names (exchange, routing key, queue, id, type) end at this many bytes.
const SHORT_NAME_BYTES_MAX: usize = 255;

/// No message of ours comes near this. RabbitMQ 4 refuses 16 MiB by closing the channel, and with it
/// everything else that is under way on it.
const BODY_BYTES_MAX: usize = 8 << 20;
