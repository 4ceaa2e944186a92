//! The configuration of the doors, and of the programs that knock at them: one TOML file each.
//!
//! What may be left out has a default, written here; what is unknown is an error, so that a slip of the pen
//! cannot switch something off in silence. Paths are relative to the file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use transport::amqp::Nodes;
use transport::clock::{Rehearsal, RehearsalNotAllowed};
use transport::tls::{Files, Identity};

/// What is wrong with a configuration, and where.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    /// The ledger's key is not one.
    #[error("[ledger] public_key is not a key as `safeguarding-broker ledger key` prints it")]
    NotALedgerKey,
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not TOML, lacks something, or has something that is not known.
    #[error("{path} is refused: {because}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why, with the line.
        because: String,
    },
    /// It names an identity that cannot be used.
    #[error(transparent)]
    Identity(#[from] transport::tls::TlsFault),
    /// It names RabbitMQ nodes that cannot be.
    #[error("[rabbitmq]: {0}")]
    Nodes(#[from] transport::amqp::BadNodes),
    /// A clock that runs ahead among real people.
    #[error(transparent)]
    RehearsalNotAllowed(#[from] RehearsalNotAllowed),
    /// It has no section that the command needs.
    #[error("the configuration has no [{0}], which this command needs")]
    Lacks(&'static str),
}

/// Configuration of `safeguarding-adapter`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The door itself.
    pub gateway: Gateway,
    /// The broker, asked what became of a referral.
    pub broker: Broker,
    /// Where what is submitted goes.
    pub rabbitmq: RabbitMq,
    /// Who we are: `service.adapter`.
    pub tls: Tls,
    /// Where counts and health are shown.
    pub metrics: Metrics,
    /// What is logged, and where traces go.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// A clock that runs ahead, for rehearsals only: the same as the broker's.
    #[serde(default)]
    pub rehearsal: Rehearsal,
}

/// The door itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Where to listen, such as `127.0.0.1:7643`.
    pub listen: SocketAddr,
}

/// The broker's own address for the doors.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// `https://host:port`.
    pub address: String,
    /// The name that its certificate is for. Default: localhost.
    #[serde(default = "localhost")]
    pub server_name: String,
}

/// RabbitMQ.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RabbitMq {
    /// `host:port` of every node.
    pub nodes: Vec<String>,
    /// The virtual host. Default: safeguarding.
    #[serde(default = "vhost")]
    pub vhost: String,
    /// The name that the nodes' certificates are for. Default: localhost.
    #[serde(default = "localhost")]
    pub server_name: String,
}

/// An identity's three files, PEM.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The authority that signs everyone we talk to.
    pub ca: PathBuf,
    /// Our certificate.
    pub certificate: PathBuf,
    /// Its key, PKCS#8.
    pub key: PathBuf,
}

/// Counts and health over HTTP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Where to listen; loopback or the operators' network.
    pub listen: SocketAddr,
}

/// What operators see.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Which logs: `info`, or directives such as `info,adapters=debug`. Default: info.
    #[serde(default = "info")]
    pub log: String,
    /// The `http://` address of an OTLP collector. Default: none.
    #[serde(default)]
    pub otlp: String,
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry { log: info(), otlp: String::new() }
    }
}

/// Configuration of a party: of `safeguarding-send` and `safeguarding-front-door`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The door.
    pub gateway: Door,
    /// RabbitMQ, for those who read a queue of their own.
    pub rabbitmq: Option<RabbitMq>,
    /// Who the party is.
    pub tls: Tls,
    /// A front door's desk.
    #[serde(default)]
    pub desk: Desk,
    /// The ledger of the broker, for a front door that checks its proofs.
    #[serde(default)]
    pub ledger: Ledger,
}

/// A front door's desk.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Desk {
    /// The folder of its notes: which deliveries were shown, and what an answer must name. Default: beside the
    /// configuration, with `.desk` at the end.
    pub state: Option<PathBuf>,
}

/// The ledger, seen from outside.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Its public key, as `safeguarding-broker ledger key` prints it. Default: proofs are not checked.
    pub public_key: Option<String>,
}

/// The door, seen from outside.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Door {
    /// `https://host:port`.
    pub address: String,
    /// The name that its certificate is for. Default: localhost.
    #[serde(default = "localhost")]
    pub server_name: String,
}

fn localhost() -> String {
    "localhost".to_owned()
}

fn vhost() -> String {
    "safeguarding".to_owned()
}

fn info() -> String {
    "info".to_owned()
}

impl Config {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Config, BadConfig> {
        let mut config: Config = read(path)?;
        config.tls.relative_to(path);
        Ok(config)
    }
}

impl Party {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Party, BadConfig> {
        let mut party: Party = read(path)?;
        party.tls.relative_to(path);
        let named = party.desk.state.take();
        party.desk.state = Some(named.map_or_else(|| path.with_extension("desk"), |named| folder_of(path).join(named)));
        Ok(party)
    }

    /// The key with which the broker's proofs are checked, if the configuration names one.
    pub fn ledger_key(&self) -> Result<Option<evidence::PublicKey>, BadConfig> {
        let parse = |text: &String| evidence::PublicKey::parse(text).map_err(|_| BadConfig::NotALedgerKey);
        self.ledger.public_key.as_ref().map(parse).transpose()
    }

    /// The party's RabbitMQ nodes.
    pub fn nodes(&self, identity: Identity) -> Result<Nodes, BadConfig> {
        self.rabbitmq.as_ref().ok_or(BadConfig::Lacks("rabbitmq"))?.nodes(identity)
    }
}

impl RabbitMq {
    /// The nodes, as whoever `identity` is.
    pub fn nodes(&self, identity: Identity) -> Result<Nodes, BadConfig> {
        Ok(Nodes::new(self.nodes.clone(), self.vhost.clone(), self.server_name.clone(), identity)?)
    }
}

impl Tls {
    fn relative_to(&mut self, file: &Path) {
        let folder = folder_of(file);
        for path in [&mut self.ca, &mut self.certificate, &mut self.key] {
            *path = folder.join(&*path);
        }
    }

    /// The identity in the files.
    pub fn identity(&self) -> Result<Identity, BadConfig> {
        let Tls { ca, certificate, key } = self.clone();
        Ok(Identity::load(&Files { ca, certificate, key })?)
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

fn read<C: DeserializeOwned>(path: &Path) -> Result<C, BadConfig> {
    let text = std::fs::read_to_string(path).map_err(|source| BadConfig::Unreadable { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|fault| BadConfig::Malformed { path: path.to_owned(), because: fault.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"
        gateway = { listen = "127.0.0.1:7643" }
        broker = { address = "https://127.0.0.1:7644" }
        rabbitmq = { nodes = ["127.0.0.1:7671"] }
        tls = { ca = "c/ca.pem", certificate = "c/me.pem", key = "c/me.key" }
        metrics = { listen = "127.0.0.1:7646" }
    "#;

    #[test]
    fn what_may_be_left_out_has_its_default() {
        let config: Config = toml::from_str(LEAST).unwrap();
        assert_eq!((config.rabbitmq.vhost.as_str(), config.telemetry.log.as_str()), ("safeguarding", "info"));
        assert_eq!((config.rabbitmq.server_name.as_str(), config.broker.server_name.as_str()), ("localhost", "localhost"));
        assert!(config.telemetry.otlp.is_empty());
    }

    #[test]
    fn a_key_that_is_not_known_is_an_error() {
        let slip = LEAST.replace("metrics = {", "metrics = { lisen = 1,");
        assert!(toml::from_str::<Config>(&slip).unwrap_err().to_string().contains("lisen"));
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let mut config: Config = toml::from_str(LEAST).unwrap();
        config.tls.relative_to(Path::new("/etc/safeguarding/adapter.toml"));
        assert_eq!(config.tls.ca, Path::new("/etc/safeguarding/c/ca.pem"));
    }
}
