//! The broker as a whole: what it stands on, and its tasks, from start to an orderly stop.

use std::time::Duration;

use prometheus::Registry;
use referral::ReferralId;
use referral::case::Event;
use referral::rules::Rulebook;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tonic::transport::{Certificate, Identity as ServerIdentity, Server, ServerTlsConfig};
use transport::amqp::{Consumer, Management, Meters as AmqpMeters, Nodes, Publisher, Subscription, Token};
use transport::clock::Clock;
use transport::shutdown::Shutdown;
use transport::tls::{Files, Identity};

use crate::chase::Chaser;
use crate::config::Config;
use crate::decide::{Decider, Input};
use crate::deliver::{Deliverer, Post};
use crate::meters::Meters;
use crate::operate::Desk;
use crate::operate::operators::Operators;
use crate::operate::places::Places;
use crate::receive::{Collector, Receiver};
use crate::record::Ledger;
use crate::record::sqlite::SqliteLedger;
use crate::rules::{Change, Keeper};
use crate::topology::Cluster;
use crate::{directory, record, roads, rules};

/// How many inputs, and how many events, may wait to be decided.
const WAITING_MAX: usize = 1_024;
/// How many unsettled messages each intake partition may have out.
const PREFETCH: u16 = 256;

/// Why the broker cannot start, or could not go on. In words, with what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CannotStart(String);

impl CannotStart {
    /// Any other reason, in its own words.
    pub fn because(why: impl std::fmt::Display) -> CannotStart {
        CannotStart(why.to_string())
    }
}

/// Reads the rules: the packs of a folder, or those that come with the product.
pub fn rulebook(config: &Config) -> Result<Rulebook, CannotStart> {
    let endpoints = directory::keeper::read_endpoints(&config.directory.endpoints).map_err(CannotStart)?;
    let mut book = Rulebook::built_in(&endpoints).map_err(CannotStart)?;
    book.library = rules::library(&config.rules).map_err(CannotStart::because)?;
    book.directory = directory::with_imported(book.directory, &config.directory.imported).map_err(CannotStart::because)?;
    Ok(book)
}

/// Everything checked, nothing started yet.
pub struct Ready {
    config: Config,
    rules: Rulebook,
    identity: Identity,
    nodes: Nodes,
    cluster: Cluster,
    clock: Clock,
}

impl Ready {
    /// Checks the configuration, the certificates, the rules and the directory. Touches nothing.
    pub fn check(config: Config) -> Result<Ready, CannotStart> {
        let rules = rulebook(&config)?;
        directory::keeper::nobody_real_in_a_rehearsal(&rules.directory, config.rehearsal.allowed).map_err(CannotStart)?;
        let tls = &config.tls;
        let files = Files { ca: tls.ca.clone(), certificate: tls.certificate.clone(), key: tls.key.clone() };
        let identity = Identity::load(&files).map_err(CannotStart::because)?;
        let rabbitmq = &config.rabbitmq;
        let nodes = Nodes::new(rabbitmq.nodes.clone(), rabbitmq.vhost.clone(), rabbitmq.server_name.clone(), identity.clone())
            .map_err(CannotStart::because)?;
        let access = &rabbitmq.management;
        let management =
            Management::with_password_file(&access.url, &access.user, &access.password_file).map_err(CannotStart::because)?;
        let cluster =
            Cluster { management, vhost: rabbitmq.vhost.clone(), quorum_group_size: rabbitmq.management.quorum_group_size };
        let clock = config.rehearsal.clock().map_err(CannotStart::because)?;
        Ok(Ready { config, rules, identity, nodes, cluster, clock })
    }

    /// Declares the topology and reads it back.
    pub async fn establish(&self) -> Result<(), CannotStart> {
        self.cluster.establish(&self.rules.directory).await.map_err(CannotStart::because)
    }

    /// Serves until shutdown is requested, then finishes what is in hand.
    pub async fn serve(self, registry: &Registry, ready: watch::Sender<bool>, shutdown: Shutdown) -> Result<(), CannotStart> {
        self.establish().await?;
        let salts: record::Salts = Box::new(salt);
        let files = &self.config.ledger;
        for folder in [files.path.parent(), files.key.parent()].into_iter().flatten() {
            std::fs::create_dir_all(folder)
                .map_err(|error| CannotStart(format!("cannot make the folder {}: {error}", folder.display())))?;
        }
        let signer = record::key::open_or_make(&files.key, &files.origin, salt).map_err(CannotStart::because)?;
        let ledger = SqliteLedger::open(&files.path, signer, salts).map_err(CannotStart::because)?;
        let meters = Meters::register(registry).map_err(CannotStart::because)?;
        let amqp = AmqpMeters::register(registry).map_err(CannotStart::because)?;

        let (inputs, to_decide) = mpsc::channel::<Input<Token>>(WAITING_MAX);
        let (events, happened) = mpsc::channel::<(ReferralId, Event)>(WAITING_MAX);
        let (orders, to_deliver) = mpsc::unbounded_channel();
        let (news, seen) = watch::channel(0);

        let intake = Subscription {
            queues: (0..roads::PARTITIONS).map(roads::intake_queue).collect(),
            prefetch: PREFETCH,
            name: "router intake".to_owned(),
        };
        let consumer = Consumer::subscribe(self.nodes.clone(), intake, amqp.clone());
        let settler = consumer.settler();
        let aside = Subscription {
            queues: vec![roads::QUARANTINE_QUEUE.to_owned(), roads::UNROUTED_QUEUE.to_owned()],
            prefetch: 16,
            name: "router quarantine".to_owned(),
        };

        let mut tasks = JoinSet::new();
        let post = Publisher::start(self.nodes.clone(), "router delivery", amqp.clone());
        let deliverer = Deliverer {
            ledger: ledger.clone(),
            post: post.clone(),
            clock: self.clock,
            meters: meters.clone(),
            confirmed: events.clone(),
        };
        tasks.spawn(deliverer.run(to_deliver, shutdown.clone()));
        tasks.spawn(
            Receiver { consumer, ledger: ledger.clone(), clock: self.clock, meters: meters.clone(), inputs: inputs.clone() }
                .run(shutdown.clone()),
        );
        let collector = Collector {
            consumer: Consumer::subscribe(self.nodes.clone(), aside, amqp),
            ledger: ledger.clone(),
            clock: self.clock,
            meters: meters.clone(),
        };
        tasks.spawn(collector.run(shutdown.clone()));
        let (change, rules) = Change::begin(self.rules.clone());
        let keeper = Keeper::new(self.config.rules.clone(), change.clone(), ledger.clone(), self.clock, meters.clone());
        tasks.spawn(keeper.run(shutdown.clone()));
        let directory = directory::keeper::Keeper {
            files: self.config.directory.clone(),
            is_rehearsal: self.config.rehearsal.allowed,
            cluster: self.cluster.clone(),
            rules: rules.clone(),
            change,
            ledger: ledger.clone(),
            clock: self.clock,
            meters: meters.clone(),
        };
        tasks.spawn(directory.run(shutdown.clone()));
        let chaser = Chaser {
            ledger: ledger.clone(),
            rules: rules.clone(),
            clock: self.clock,
            meters: meters.clone(),
            wake: events.clone(),
        };
        tasks.spawn(chaser.run(shutdown.clone()));
        let desk = Desk {
            ledger: ledger.clone(),
            rules: rules.clone(),
            clock: self.clock,
            news: seen,
            events,
            shutdown: shutdown.clone(),
        };
        let operators = Operators { ledger: ledger.clone(), rules: rules.clone(), clock: self.clock, inputs, post };
        let places = Places { rules: rules.clone(), clock: self.clock };
        let server = self.server(desk, operators, places, shutdown.clone())?;
        tasks.spawn(async move {
            if let Err(error) = server.await {
                tracing::error!("the doors can no longer ask the broker: {error}");
            }
        });

        let decider = Decider { ledger, rules, clock: self.clock, meters };
        let deciding = decider.run(to_decide, happened, orders, settler, news);
        ready.send_replace(true);
        tracing::info!("the broker is ready");
        tasks.spawn(deciding);
        let all_there = all_work_until_asked_to_stop(&mut tasks, &shutdown).await;
        shutdown.request();
        ready.send_replace(false);
        let all_done = async { while tasks.join_next().await.is_some() {} };
        if shutdown.drained(all_done).await.is_err() {
            tracing::warn!("not everything in hand was finished in time; it is done again after the next start");
        }
        tracing::info!("the broker has stopped");
        match all_there {
            true => Ok(()),
            false => Err(CannotStart::because("a part of the broker ended by itself, so all of it stopped; start it again")),
        }
    }

    fn server<L: Ledger, P: Post>(
        &self,
        desk: Desk<L>,
        operators: Operators<L, P>,
        places: Places,
        shutdown: Shutdown,
    ) -> Result<impl Future<Output = Result<(), tonic::transport::Error>> + use<L, P>, CannotStart> {
        let identity = &self.identity;
        let tls = ServerTlsConfig::new()
            .identity(ServerIdentity::from_pem(identity.certificate_pem(), identity.key_pem()))
            .client_ca_root(Certificate::from_pem(identity.ca_pem()));
        let listen = self.config.operate.listen;
        let incoming = std::net::TcpListener::bind(listen)
            .and_then(|listener| {
                listener.set_nonblocking(true)?;
                tokio::net::TcpListener::from_std(listener)
            })
            .map_err(|error| CannotStart(format!("cannot listen on {listen} for the doors: {error}")))?;
        let server = Server::builder()
            .tls_config(tls)
            .map_err(CannotStart::because)?
            // A submission is at most 256 KiB and a party's page of rungs is small: more is not one of ours.
            .max_frame_size(Some(256 * 1024))
            .http2_keepalive_interval(Some(Duration::from_secs(20)))
            .http2_keepalive_timeout(Some(Duration::from_secs(10)))
            .add_service(desk.service())
            .add_service(operators.service())
            .add_service(places.service());
        let incoming = tonic::transport::server::TcpIncoming::from(incoming).with_nodelay(Some(true));
        Ok(server.serve_with_incoming_shutdown(incoming, async move { shutdown.requested().await }))
    }
}

/// Whether every task worked until it was asked to stop. One that ended by itself panicked, or cannot go on: a broker without
/// it would look ready and leave its part undone.
async fn all_work_until_asked_to_stop(tasks: &mut JoinSet<()>, shutdown: &Shutdown) -> bool {
    tokio::select! {
        biased;
        () = shutdown.requested() => true,
        Some(ended) = tasks.join_next() => {
            let how = if ended.is_err_and(|error| error.is_panic()) { "panicked" } else { "ended" };
            tracing::error!("a part of the broker {how} before it was asked to stop, so all of it stops");
            false
        }
    }
}

/// Chance is the shell's to give. A machine without any cannot keep a record that proves anything.
pub fn salt() -> [u8; 32] {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).unwrap_or_else(|error| {
        tracing::error!("this machine gives no random numbers: {error}");
        std::process::abort();
    });
    salt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_ends_by_itself_is_noticed_and_one_that_was_asked_to_is_not() {
        let shutdown = Shutdown::by_hand(Duration::from_secs(1));
        let until_asked = |shutdown: Shutdown| async move { shutdown.requested().await };
        let mut tasks = JoinSet::new();
        tasks.spawn(until_asked(shutdown.clone()));
        tasks.spawn(async { panic!("as a fault of this program would") });
        assert!(!all_work_until_asked_to_stop(&mut tasks, &shutdown).await);
        tasks.spawn(until_asked(shutdown.clone()));
        shutdown.request();
        assert!(all_work_until_asked_to_stop(&mut tasks, &shutdown).await);
    }
}
