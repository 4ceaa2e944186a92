//! The topology of this broker, as one table: what exists in RabbitMQ and who may do what there.

use referral::Endpoint;
use referral::directory::Directory;
use transport::amqp::{
    self, Binding, DeadLetter, Exchange, ExchangeKind, Management, Queue, QueueDepth, Topology, TopologyFaults, User,
};

use crate::roads;

/// How often RabbitMQ hands a message out again before it goes to quarantine. Version 3.10 has no limit of its
/// own, and a message that kills its reader would go round for ever.
const DELIVERY_LIMIT: u32 = 10;

/// The RabbitMQ cluster, and the virtual host that is ours there.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Its management interface.
    pub management: Management,
    /// The virtual host.
    pub vhost: String,
    /// On how many nodes a new queue is kept.
    pub quorum_group_size: u16,
}

impl Cluster {
    /// Declares what the parties of `directory` need, and reads it back; whoever is a party no longer may read nothing.
    pub async fn establish(&self, directory: &Directory) -> Result<(), TopologyFaults> {
        let wanted = topology(&self.vhost, self.quorum_group_size, directory);
        amqp::replace(&self.management, &wanted, |name| Endpoint::parse(name).is_ok()).await
    }

    /// Which of these parties' queues still hold messages, and how many, as far as RabbitMQ says.
    pub async fn left_behind<'a>(&self, parties: &'a [Endpoint]) -> Vec<(&'a Endpoint, u64)> {
        if parties.is_empty() {
            return Vec::new();
        }
        let depths = self.management.queue_depths(&self.vhost).await.unwrap_or_default();
        let waiting = |depth: &QueueDepth| depth.messages_ready + depth.messages_unacknowledged;
        let depth_of = |party: &Endpoint| depths.iter().find(|depth| depth.name == roads::delivery_queue(party)).map(waiting);
        parties.iter().filter_map(|party| Some((party, depth_of(party).filter(|waiting| *waiting > 0)?))).collect()
    }
}

/// Everything there has to be for the parties of `directory`.
fn topology(vhost: &str, quorum_group_size: u16, directory: &Directory) -> Topology {
    let partitions: Vec<String> = (0..roads::PARTITIONS).map(roads::intake_queue).collect();
    let endpoints: Vec<String> = directory.parties().map(|party| party.endpoint.to_string()).collect();
    let delivery = |endpoint: &String| format!("delivery.{endpoint}");
    // What cannot be processed goes aside, at least once, and never round in circles.
    let dead_letter =
        || Some(DeadLetter { exchange: roads::QUARANTINE.to_owned(), routing_key: roads::QUARANTINE_QUEUE.to_owned() });

    let intake = partitions.iter().map(|name| Queue {
        // One reader at a time: that is what keeps the events of one referral in order.
        single_active_consumer: true,
        delivery_limit: Some(DELIVERY_LIMIT),
        dead_letter: dead_letter(),
        ..Queue::named(name)
    });
    let deliveries = endpoints.iter().map(|endpoint| Queue {
        delivery_limit: Some(DELIVERY_LIMIT),
        dead_letter: dead_letter(),
        ..Queue::named(delivery(endpoint))
    });
    // The two last resorts have no dead-letter exchange: there is nowhere further to go, and nothing is dropped.
    let last = [roads::QUARANTINE_QUEUE, roads::UNROUTED_QUEUE].map(Queue::named);

    let exchange = |name: &str, kind, alternate: Option<&str>| Exchange {
        name: name.to_owned(),
        kind,
        alternate: alternate.map(str::to_owned),
    };
    let bind = |exchange: &str, routing_key: &str, queue: &str| Binding::new(exchange, routing_key, queue);
    let mut bindings: Vec<Binding> =
        (0..roads::PARTITIONS).map(|nth| bind(roads::INTAKE, &nth.to_string(), &roads::intake_queue(nth))).collect();
    bindings.extend(endpoints.iter().map(|endpoint| bind(roads::DELIVERY, endpoint, &delivery(endpoint))));
    bindings.push(bind(roads::QUARANTINE, "", roads::QUARANTINE_QUEUE));
    bindings.push(bind(roads::UNROUTED, "", roads::UNROUTED_QUEUE));

    Topology {
        vhost: vhost.to_owned(),
        quorum_group_size,
        exchanges: vec![
            exchange(roads::INTAKE, ExchangeKind::Direct, Some(roads::UNROUTED)),
            exchange(roads::DELIVERY, ExchangeKind::Direct, Some(roads::UNROUTED)),
            exchange(roads::QUARANTINE, ExchangeKind::Fanout, Some(roads::UNROUTED)),
            exchange(roads::UNROUTED, ExchangeKind::Fanout, None),
        ],
        queues: intake.chain(deliveries).chain(last).collect(),
        bindings,
        users: users(&endpoints),
        tolerated_users: Vec::new(),
    }
}

/// Each party reads its own queue and can write nothing; the doors write to the intake; the broker does not
/// write to the intake, so it cannot invent a referral.
fn users(endpoints: &[String]) -> Vec<User> {
    const NOTHING: &str = "^$";
    let user = |name: &str, write: &str, read: String| User {
        name: name.to_owned(),
        configure: NOTHING.to_owned(),
        write: write.to_owned(),
        read,
    };
    let own_queue = |endpoint: &String| format!("^delivery\\.{}$", endpoint.replace('.', "\\."));
    let mut users = vec![
        user("service.adapter", "^safeguarding\\.intake$", NOTHING.to_owned()),
        user(
            "service.router",
            "^safeguarding\\.(delivery|quarantine)$",
            format!("^(intake\\.[0-9]+|{}|{})$", roads::QUARANTINE_QUEUE, roads::UNROUTED_QUEUE),
        ),
    ];
    users.extend(endpoints.iter().map(|endpoint| user(endpoint, NOTHING, own_queue(endpoint))));
    users
}
