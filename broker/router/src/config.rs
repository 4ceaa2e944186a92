//! The configuration: one TOML file. What may be left out has a default here; what is unknown is an error.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use evidence::PublicKey;
use serde::Deserialize;
use transport::clock::{Rehearsal, RehearsalNotAllowed};

/// Everything the broker needs to know.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where RabbitMQ is.
    pub rabbitmq: RabbitMq,
    /// Who we are.
    pub tls: Tls,
    /// Where the record is kept.
    pub ledger: LedgerFiles,
    /// Where the doors and the operators ask.
    pub operate: Operate,
    /// Whom we deliver to.
    pub directory: DirectoryFiles,
    /// Which rules.
    #[serde(default)]
    pub rules: Rules,
    /// Where numbers and health are read.
    pub metrics: Listen,
    /// Logs and traces.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// A clock that runs ahead, for rehearsals only.
    #[serde(default)]
    pub rehearsal: Rehearsal,
}

/// Where RabbitMQ is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RabbitMq {
    /// Every node, host:port of AMQP over TLS.
    pub nodes: Vec<String>,
    /// The virtual host.
    #[serde(default = "vhost")]
    pub vhost: String,
    /// The name in the nodes' certificates.
    #[serde(default = "localhost")]
    pub server_name: String,
    /// The management interface, by which the topology is declared and read back.
    pub management: Management,
}

/// The management interface.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Management {
    /// Its address, on loopback or the operators' network.
    pub url: String,
    /// The provisioning user.
    pub user: String,
    /// Its password, in a file that only its owner reads.
    pub password_file: PathBuf,
    /// On how many nodes a new queue is kept: 1 on a single node, 3 or 5 in a cluster.
    #[serde(default = "one")]
    pub quorum_group_size: u16,
}

/// Our certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The authority that signs everyone.
    pub ca: PathBuf,
    /// Our certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// The ledger's files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerFiles {
    /// The database.
    pub path: PathBuf,
    /// The signing key, made at the first start.
    pub key: PathBuf,
    /// The name of the log it signs.
    #[serde(default = "origin")]
    pub origin: String,
}

/// Where the doors and the operators ask.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operate {
    /// The address.
    pub listen: SocketAddr,
}

/// A listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// The address.
    pub listen: SocketAddr,
}

/// The directory's files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryFiles {
    /// The parties of this deployment. Changes are taken up while the broker runs.
    pub endpoints: PathBuf,
    /// The folder of what `directory import` imported. Until something was, the small sample that ships is used.
    #[serde(default = "imported")]
    pub imported: PathBuf,
    /// How often both are looked at, in seconds. A change is used once it was seen twice.
    #[serde(default = "ten")]
    pub look_every_s: u64,
}

/// The rules' files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// A folder of packs to use instead of those that come with the product. Changes are taken up while the broker
    /// runs, once proved.
    pub packs: Option<PathBuf>,
    /// Whether somebody whose key is trusted must have signed every pack.
    #[serde(default)]
    pub require_signature: bool,
    /// Whose signatures count: public keys as `rules key` prints them.
    #[serde(default, deserialize_with = "keys")]
    pub trusted_keys: Vec<PublicKey>,
    /// A folder with the next edition, ruled beside the one in force and never acted on.
    pub shadow: Option<PathBuf>,
    /// How often the folders are looked at, in seconds.
    #[serde(default = "ten")]
    pub look_every_s: u64,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { packs: None, require_signature: false, trusted_keys: Vec::new(), shadow: None, look_every_s: ten() }
    }
}

fn keys<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<PublicKey>, D::Error> {
    let read = |text: &String| {
        PublicKey::parse(text).map_err(|_| serde::de::Error::custom("a trusted key is not a public key as `rules key` prints it"))
    };
    Vec::<String>::deserialize(deserializer)?.iter().map(read).collect()
}

/// Logs and traces.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// How much is logged, such as `info` or `info,router=debug`.
    #[serde(default = "info")]
    pub log: String,
    /// An OTLP collector; empty for none.
    #[serde(default)]
    pub otlp: String,
}

impl Default for Telemetry {
    fn default() -> Telemetry {
        Telemetry { log: info(), otlp: String::new() }
    }
}

/// How an operator's command line reaches the running broker.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorConfig {
    /// The broker.
    pub broker: Reached,
    /// The operator's certificate.
    pub tls: Tls,
}

/// The broker, seen from outside.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reached {
    /// `https://host:port`, the `[operate]` address of the broker.
    pub address: String,
    /// The name that its certificate is for.
    #[serde(default = "localhost")]
    pub server_name: String,
}

impl OperatorConfig {
    /// Reads a file. Relative paths in it are relative to the file.
    pub fn read(path: &Path) -> Result<OperatorConfig, BadConfig> {
        let mut config: OperatorConfig = parse(path)?;
        let base = path.parent().unwrap_or(Path::new("."));
        for file in [&mut config.tls.ca, &mut config.tls.certificate, &mut config.tls.key] {
            *file = base.join(&*file);
        }
        Ok(config)
    }
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, BadConfig> {
    let text = std::fs::read_to_string(path).map_err(|source| BadConfig::Unreadable { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|fault| BadConfig::Malformed { path: path.to_owned(), because: fault.to_string() })
}

fn vhost() -> String {
    "safeguarding".to_owned()
}
fn localhost() -> String {
    "localhost".to_owned()
}
fn origin() -> String {
    "localhost/safeguarding-ledger".to_owned()
}
fn imported() -> PathBuf {
    PathBuf::from("directory")
}
fn info() -> String {
    "info".to_owned()
}
fn one() -> u16 {
    1
}
fn ten() -> u64 {
    10
}

/// What is wrong with a configuration, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    /// It cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It does not say what it should.
    #[error("the configuration {path} is not one: {because}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why, with the line.
        because: String,
    },
    /// A clock that runs ahead among real people.
    #[error(transparent)]
    RehearsalNotAllowed(#[from] RehearsalNotAllowed),
    /// Signatures are required, and none can be there.
    #[error("[rules] require_signature needs packs, the folder of the signed packs, and trusted_keys, whose signatures count")]
    NobodyCanSign,
    /// Keys are trusted, and no signature is asked for.
    #[error("[rules] trusted_keys count only with require_signature = true: say that, or take the keys out")]
    SignaturesForNothing,
}

impl Config {
    /// Reads a file. Relative paths in it are relative to the file.
    pub fn read(path: &Path) -> Result<Config, BadConfig> {
        let mut config: Config = parse(path)?;
        let base = path.parent().unwrap_or(Path::new("."));
        let files = [
            &mut config.tls.ca,
            &mut config.tls.certificate,
            &mut config.tls.key,
            &mut config.ledger.path,
            &mut config.ledger.key,
            &mut config.directory.endpoints,
            &mut config.directory.imported,
            &mut config.rabbitmq.management.password_file,
        ];
        for file in files.into_iter().chain(config.rules.packs.as_mut()).chain(config.rules.shadow.as_mut()) {
            *file = base.join(&*file);
        }
        config.rehearsal.clock()?;
        let rules = &config.rules;
        if rules.require_signature && (rules.packs.is_none() || rules.trusted_keys.is_empty()) {
            return Err(BadConfig::NobodyCanSign);
        }
        if !rules.require_signature && !rules.trusted_keys.is_empty() {
            return Err(BadConfig::SignaturesForNothing);
        }
        Ok(config)
    }
}
