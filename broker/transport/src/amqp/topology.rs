//! The topology: one table of exchanges, queues, bindings and users, declared and then read back.
//!
//! What is declared is a wish; policies and earlier hands can make something else of it. So everything is
//! read back, and every difference is named at once, in a sentence for an operator. Nothing that holds
//! messages is ever deleted or altered here. Works on RabbitMQ 3.10 and 4.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::sleep;
use tracing::info;

use super::{
    SHORT_NAME_BYTES_MAX,
    management::{Management, ManagementFault, escaped},
};

/// Everything that has to exist in one virtual host, and who may do what there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// The virtual host. It is ours alone.
    pub vhost: String,
    /// On how many nodes a new queue is kept: 1 on a single node, 3 or 5 in a cluster.
    pub quorum_group_size: u16,
    /// The exchanges.
    pub exchanges: Vec<Exchange>,
    /// The queues.
    pub queues: Vec<Queue>,
    /// What leads from exchanges to queues.
    pub bindings: Vec<Binding>,
    /// Who may do what.
    pub users: Vec<User>,
    /// Users that may have permissions here without standing in the table, such as one for monitoring. The
    /// user that declares is always one of them.
    pub tolerated_users: Vec<String>,
}

/// An exchange: always durable, never deleted by itself, open to publishers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// How it chooses queues.
    pub kind: ExchangeKind,
    /// Where it sends what no queue of its own takes. Only an exchange that always has a queue does without.
    pub alternate: Option<String>,
}

/// How an exchange chooses queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeKind {
    /// By the routing key.
    Direct,
    /// All that are bound.
    Fanout,
}

/// A queue: always a durable quorum queue that refuses rather than drops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// One consumer at a time, the next taking over when it goes: keeps the order.
    pub single_active_consumer: bool,
    /// How often a message may come back before it is dead-lettered. None: as often as it takes.
    pub delivery_limit: Option<u32>,
    /// Where messages go that were rejected or came back too often.
    pub dead_letter: Option<DeadLetter>,
    /// How many messages it holds before it refuses more. None: as many as the disk takes.
    pub max_length: Option<u64>,
}

/// Where a queue sends what was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The exchange.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
}

/// What leads from an exchange to a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binding {
    /// From this exchange
    pub exchange: String,
    /// by this key (empty on a fanout exchange)
    pub routing_key: String,
    /// to this queue.
    pub queue: String,
}

/// A party that logs in by certificate, and regular expressions for the names it may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The common name of its certificate.
    pub name: String,
    /// What it may declare and delete.
    pub configure: String,
    /// What it may publish to.
    pub write: String,
    /// What it may consume from.
    pub read: String,
}

/// A limit that no message reaches. RabbitMQ 4 limits quorum queues to 20 deliveries where nothing is said,
/// and then, without a dead-letter exchange, deletes the message. "No limit" (-1) is refused by 3.10.
const NO_DELIVERY_LIMIT: u32 = 1_000_000_000;

/// A queue that is read in turn by this many hands at once is declared quickly and stresses no node.
const DECLARED_AT_ONCE: usize = 8;

/// How long a new queue stands before anything leads to it. RabbitMQ notes a new quorum queue in a table that it
/// writes to disk only once it was left alone for half a second: until then it confirms messages that a killed
/// node forgets. Measured on 3.10.8: of nodes killed up to 0.95 s after the declaration none came back with its
/// messages, from 1.05 s on every one did. Three times that, for a node that is busy.
const SETTLES_WITHIN: Duration = Duration::from_secs(3);

/// How often, and how far apart, connections are closed of users who may do nothing any more.
const PUT_OFF_TRIES: u32 = 20;
const PUT_OFF_PAUSE: Duration = Duration::from_millis(500);

impl Exchange {
    fn arguments(&self) -> Map<String, Value> {
        let mut arguments = Map::new();
        if let Some(alternate) = &self.alternate {
            // What no queue takes is caught here and stays visible, instead of being thrown away.
            arguments.insert("alternate-exchange".into(), json!(alternate));
        }
        arguments
    }

    fn declaration(&self) -> Value {
        json!({
            "type": self.kind.name(),
            // It is there again after a restart of the broker.
            "durable": true,
            // It stays when its last queue goes.
            "auto_delete": false,
            // Publishers may use it.
            "internal": false,
            "arguments": self.arguments(),
        })
    }
}

impl ExchangeKind {
    fn name(self) -> &'static str {
        match self {
            ExchangeKind::Direct => "direct",
            ExchangeKind::Fanout => "fanout",
        }
    }
}

impl Queue {
    /// A queue that keeps everything until it is settled.
    pub fn named(name: impl Into<String>) -> Queue {
        Queue { name: name.into(), single_active_consumer: false, delivery_limit: None, dead_letter: None, max_length: None }
    }

    fn arguments(&self) -> Map<String, Value> {
        let mut arguments = Map::new();
        let mut set = |key: &str, value: Value| arguments.insert(key.to_owned(), value);
        // Replicated by Raft: a confirm means that a majority has it on disk.
        set("x-queue-type", json!("quorum"));
        // A full queue refuses, and the publisher hears it. The default would drop the oldest message.
        // At-least-once dead-lettering also needs it, and without it falls back to at-most-once in silence.
        set("x-overflow", json!("reject-publish"));
        set("x-delivery-limit", json!(self.delivery_limit.unwrap_or(NO_DELIVERY_LIMIT)));
        if self.single_active_consumer {
            // Two routers may attach; one reads, so that a referral's messages are dealt with in order.
            set("x-single-active-consumer", json!(true));
        }
        if let Some(target) = &self.dead_letter {
            set("x-dead-letter-exchange", json!(target.exchange));
            set("x-dead-letter-routing-key", json!(target.routing_key));
            // Kept here until the target has confirmed it. The default forgets it on the way.
            set("x-dead-letter-strategy", json!("at-least-once"));
        }
        if let Some(limit) = self.max_length {
            set("x-max-length", json!(limit));
        }
        // No x-message-ttl and no x-expires: nothing that concerns a child expires.
        arguments
    }

    fn declaration(&self, quorum_group_size: u16) -> Value {
        let mut arguments = self.arguments();
        // How many nodes keep it from the start. RabbitMQ would take up to three that happen to be up.
        arguments.insert("x-quorum-initial-group-size".into(), json!(quorum_group_size));
        // Durable, and not deleted with its last consumer: quorum queues know nothing else.
        json!({ "durable": true, "auto_delete": false, "arguments": arguments })
    }
}

impl Binding {
    /// From an exchange, by a routing key, to a queue.
    pub fn new(exchange: impl Into<String>, routing_key: impl Into<String>, queue: impl Into<String>) -> Binding {
        Binding { exchange: exchange.into(), routing_key: routing_key.into(), queue: queue.into() }
    }
}

/// Everything that keeps a topology from being as it should, at once.
#[derive(Debug, thiserror::Error)]
pub struct TopologyFaults(Vec<String>);

impl TopologyFaults {
    /// Each fault as a sentence that says what is wrong and what it would do to messages.
    pub fn sentences(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for TopologyFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the topology is not as it must be: {}", self.0.join("; "))
    }
}

impl From<ManagementFault> for TopologyFaults {
    fn from(fault: ManagementFault) -> TopologyFaults {
        TopologyFaults(vec![fault.to_string()])
    }
}

/// Declares what is missing, then reads everything back. Doing it again changes nothing.
///
/// Nothing leads to a new queue before a crash can no longer make it forget: until then, nobody's message is
/// confirmed. This holds for every publisher, and also when an earlier declaring was broken off half-way.
pub async fn establish(management: &Management, wanted: &Topology) -> Result<(), TopologyFaults> {
    declare_missing(management, wanted).await?;
    verify(management, wanted).await
}

/// The same where parties come and go: whoever has permissions here, is one of them by name and does not stand in the
/// table may do nothing here any more, and is put off where connected. Their queues stay, with what is in them.
pub async fn replace(management: &Management, wanted: &Topology, is_party: fn(&str) -> bool) -> Result<(), TopologyFaults> {
    declare_missing(management, wanted).await?;
    let found = Found::read(management, &wanted.vhost).await?;
    let is_wanted = |name: &str| wanted.users.iter().any(|user| user.name == name);
    for stranger in found.permissions.keys().filter(|name| is_party(name) && !is_wanted(name)) {
        put_off(management, &wanted.vhost, stranger).await?;
    }
    verify(management, wanted).await
}

/// Permissions are asked when somebody begins to consume, so whoever has begun goes on until the connection ends.
async fn put_off(management: &Management, vhost: &str, user: &str) -> Result<(), TopologyFaults> {
    gone(management.delete(&format!("/permissions/{}/{}", escaped(vhost), escaped(user))).await)?;
    for _ in 0..PUT_OFF_TRIES {
        // This list is kept at once; the one of all connections lags by seconds, and closing by name follows that.
        let all: Vec<FoundConnection> = management.get(&format!("/connections/username/{}", escaped(user))).await?;
        let here: Vec<&FoundConnection> = all.iter().filter(|connection| connection.vhost == vhost).collect();
        if here.is_empty() {
            return Ok(());
        }
        for connection in here {
            gone(management.delete(&format!("/connections/{}", escaped(&connection.name))).await)?;
        }
        sleep(PUT_OFF_PAUSE).await;
    }
    Err(TopologyFaults(vec![format!("user {user} may do nothing here any more and its connections could not be closed")]))
}

/// What is not there any more needs not be taken away.
fn gone(deleted: Result<(), ManagementFault>) -> Result<(), ManagementFault> {
    match deleted {
        Err(ManagementFault::Refused { status: 404, .. }) => Ok(()),
        other => other,
    }
}

async fn declare_missing(management: &Management, wanted: &Topology) -> Result<(), TopologyFaults> {
    refuse_if_any(wanted.faults(management.user()))?;
    let vhost = escaped(&wanted.vhost);
    if management.find::<Value>(&format!("/vhosts/{vhost}")).await?.is_none() {
        management.put(&format!("/vhosts/{vhost}"), &json!({})).await?;
    }
    let own_permission = format!("/permissions/{vhost}/{}", escaped(management.user()));
    if management.find::<Value>(&own_permission).await?.is_none() {
        // The API declares on behalf of its user, who needs the permission like anybody else.
        management.put(&own_permission, &json!({ "configure": ".*", "write": ".*", "read": ".*" })).await?;
    }
    let found = Found::read(management, &wanted.vhost).await?;
    // Objects that differ are not touched: an exchange or queue cannot be altered, and to replace it would lose
    // what is in it. The reading below names them.
    let missing = missing(wanted, &found);
    declare(management, missing.exchanges).await?;
    declare(management, missing.queues).await?;
    // A binding that is missing alone may lead to a queue that was made a moment ago, by one who was killed then.
    if !missing.bindings.is_empty() {
        info!("new queues stand for {SETTLES_WITHIN:?} before anything leads to them");
        sleep(SETTLES_WITHIN).await;
    }
    declare(management, missing.bindings).await?;
    declare(management, missing.users).await?;
    // Last, so that nobody publishes while only some of the bindings are there.
    declare(management, missing.permissions).await?;
    Ok(())
}

async fn declare(management: &Management, calls: Vec<(Call, Value)>) -> Result<(), ManagementFault> {
    let calls = calls.into_iter().map(|(call, value)| async move {
        match call {
            Call::Put(path) => management.put(&path, &value).await,
            Call::Post(path) => management.post(&path, &value).await,
        }
    });
    stream::iter(calls).buffer_unordered(DECLARED_AT_ONCE).try_collect().await
}

/// Reads everything back and names every difference. Changes nothing.
pub async fn verify(management: &Management, wanted: &Topology) -> Result<(), TopologyFaults> {
    let mut faults = wanted.faults(management.user());
    let found = Found::read(management, &wanted.vhost).await?;
    faults.extend(differences(wanted, &found, management.user()));
    refuse_if_any(faults)
}

fn refuse_if_any(faults: Vec<String>) -> Result<(), TopologyFaults> {
    if faults.is_empty() { Ok(()) } else { Err(TopologyFaults(faults)) }
}

impl Topology {
    /// What is wrong with the table itself.
    fn faults(&self, declaring_user: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let exchanges: BTreeSet<&str> = self.exchanges.iter().map(|exchange| exchange.name.as_str()).collect();
        let queues: BTreeSet<&str> = self.queues.iter().map(|queue| queue.name.as_str()).collect();
        if exchanges.len() < self.exchanges.len() || queues.len() < self.queues.len() {
            faults.push("an exchange or a queue stands in the table twice".to_owned());
        }
        for name in exchanges.iter().chain(&queues) {
            if name.is_empty() || name.len() > SHORT_NAME_BYTES_MAX || name.starts_with("amq.") {
                faults.push(format!("{name:?} cannot be the name of an exchange or a queue"));
            }
        }
        for exchange in &self.exchanges {
            match &exchange.alternate {
                Some(alternate) if exchanges.contains(alternate.as_str()) => (),
                Some(alternate) => faults
                    .push(format!("exchange {}: its alternate exchange {alternate} does not stand in the table", exchange.name)),
                None if exchange.kind == ExchangeKind::Fanout
                    && self.bindings.iter().any(|binding| binding.exchange == exchange.name) => {}
                None => {
                    faults.push(format!("exchange {}: without an alternate exchange it drops what no queue takes", exchange.name))
                }
            }
        }
        for queue in &self.queues {
            if let Some(target) = queue.dead_letter.as_ref().filter(|target| !exchanges.contains(target.exchange.as_str())) {
                faults.push(format!(
                    "queue {}: its dead-letter exchange {} does not stand in the table",
                    queue.name, target.exchange
                ));
            }
            if queue.delivery_limit.is_some() && queue.dead_letter.is_none() {
                faults.push(format!("queue {}: a delivery limit without a dead-letter exchange deletes messages", queue.name));
            }
        }
        for Binding { exchange, queue, .. } in &self.bindings {
            if !exchanges.contains(exchange.as_str()) || !queues.contains(queue.as_str()) {
                faults.push(format!("the binding from {exchange} to {queue} leads from or to what does not stand in the table"));
            }
        }
        for user in self.users.iter().filter(|user| user.name == declaring_user) {
            faults.push(format!("user {} declares the topology and cannot be one of its parties", user.name));
        }
        faults
    }
}

// What RabbitMQ says there is. Fields that a version leaves out are at their defaults.

#[derive(Debug, Default)]
struct Found {
    exchanges: BTreeMap<String, FoundExchange>,
    queues: BTreeMap<String, FoundQueue>,
    bindings: BTreeSet<FoundBinding>,
    users: BTreeMap<String, FoundUser>,
    permissions: BTreeMap<String, FoundPermission>,
    policies: Vec<FoundPolicy>,
}

#[derive(Debug, Deserialize)]
struct FoundExchange {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    durable: bool,
    auto_delete: bool,
    internal: bool,
    arguments: Value,
}

#[derive(Debug, Deserialize)]
struct FoundQueue {
    name: String,
    durable: bool,
    auto_delete: bool,
    #[serde(default)]
    exclusive: Option<bool>,
    arguments: Value,
    #[serde(default)]
    members: Vec<String>,
    // Comes with the statistics: absent for the first seconds of a queue, and up to five seconds old after that.
    // So the policies themselves are read as well, which are never late.
    #[serde(default)]
    effective_policy_definition: Value,
}

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct FoundBinding {
    source: String,
    destination: String,
    destination_type: String,
    routing_key: String,
}

#[derive(Debug, Deserialize)]
struct FoundUser {
    name: String,
    #[serde(default)]
    password_hash: String,
    // A list, or in old versions a text with commas.
    #[serde(default)]
    tags: Value,
}

#[derive(Debug, Deserialize)]
struct FoundPermission {
    user: String,
    configure: String,
    write: String,
    read: String,
}

#[derive(Debug, Deserialize)]
struct FoundConnection {
    name: String,
    vhost: String,
}

#[derive(Debug, Deserialize)]
struct FoundPolicy {
    name: String,
    definition: Map<String, Value>,
}

impl Found {
    async fn read(management: &Management, vhost: &str) -> Result<Found, ManagementFault> {
        let vhost = escaped(vhost);
        let exchanges: Vec<FoundExchange> = management.get(&format!("/exchanges/{vhost}")).await?;
        let queues: Vec<FoundQueue> = management.get(&format!("/queues/{vhost}")).await?;
        let bindings: Vec<FoundBinding> = management.get(&format!("/bindings/{vhost}")).await?;
        let users: Vec<FoundUser> = management.get("/users").await?;
        let permissions: Vec<FoundPermission> = management.get(&format!("/vhosts/{vhost}/permissions")).await?;
        let mut policies: Vec<FoundPolicy> = management.get(&format!("/policies/{vhost}")).await?;
        policies.extend(management.get::<Vec<FoundPolicy>>(&format!("/operator-policies/{vhost}")).await?);
        Ok(Found {
            exchanges: exchanges.into_iter().map(|found| (found.name.clone(), found)).collect(),
            queues: queues.into_iter().map(|found| (found.name.clone(), found)).collect(),
            bindings: bindings.into_iter().collect(),
            users: users.into_iter().map(|found| (found.name.clone(), found)).collect(),
            permissions: permissions.into_iter().map(|found| (found.user.clone(), found)).collect(),
            policies,
        })
    }

    fn has_binding(&self, binding: &Binding) -> bool {
        self.bindings.contains(&FoundBinding {
            source: binding.exchange.clone(),
            destination: binding.queue.clone(),
            destination_type: "queue".to_owned(),
            routing_key: binding.routing_key.clone(),
        })
    }
}

impl FoundUser {
    /// Nobody can log in as this user but with its certificate, and it can manage nothing.
    fn is_certificate_only(&self) -> bool {
        let has_tags = match &self.tags {
            Value::Array(tags) => !tags.is_empty(),
            Value::String(tags) => !tags.is_empty(),
            _ => false,
        };
        self.password_hash.is_empty() && !has_tags
    }
}

impl FoundPermission {
    fn grants_exactly(&self, user: &User) -> bool {
        (&self.configure, &self.write, &self.read) == (&user.configure, &user.write, &user.read)
    }
}

enum Call {
    Put(String),
    Post(String),
}

/// What has to be called to make the missing parts.
struct Missing {
    exchanges: Vec<(Call, Value)>,
    queues: Vec<(Call, Value)>,
    bindings: Vec<(Call, Value)>,
    users: Vec<(Call, Value)>,
    permissions: Vec<(Call, Value)>,
}

fn missing(wanted: &Topology, found: &Found) -> Missing {
    let vhost = escaped(&wanted.vhost);
    let exchanges = wanted.exchanges.iter().filter(|exchange| !found.exchanges.contains_key(&exchange.name));
    let queues = wanted.queues.iter().filter(|queue| !found.queues.contains_key(&queue.name));
    let bindings = wanted.bindings.iter().filter(|binding| !found.has_binding(binding));
    let users = wanted.users.iter().filter(|user| !found.users.get(&user.name).is_some_and(FoundUser::is_certificate_only));
    let permissions = wanted
        .users
        .iter()
        .filter(|user| !found.permissions.get(&user.name).is_some_and(|permission| permission.grants_exactly(user)));
    Missing {
        exchanges: exchanges
            .map(|exchange| (Call::Put(format!("/exchanges/{vhost}/{}", escaped(&exchange.name))), exchange.declaration()))
            .collect(),
        queues: queues
            .map(|queue| {
                let path = format!("/queues/{vhost}/{}", escaped(&queue.name));
                (Call::Put(path), queue.declaration(wanted.quorum_group_size))
            })
            .collect(),
        bindings: bindings
            .map(|binding| {
                let path = format!("/bindings/{vhost}/e/{}/q/{}", escaped(&binding.exchange), escaped(&binding.queue));
                (Call::Post(path), json!({ "routing_key": binding.routing_key, "arguments": {} }))
            })
            .collect(),
        users: users
            .map(|user| {
                // No password hash: nobody can log in by password, whatever they send. No tags: no management.
                (Call::Put(format!("/users/{}", escaped(&user.name))), json!({ "password_hash": "", "tags": "" }))
            })
            .collect(),
        permissions: permissions
            .map(|user| {
                let permission = json!({ "configure": user.configure, "write": user.write, "read": user.read });
                (Call::Put(format!("/permissions/{vhost}/{}", escaped(&user.name))), permission)
            })
            .collect(),
    }
}

/// Every difference between the table and what RabbitMQ says there is.
fn differences(wanted: &Topology, found: &Found, declaring_user: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for exchange in &wanted.exchanges {
        exchange_differences(exchange, found.exchanges.get(&exchange.name), &mut faults);
    }
    for queue in &wanted.queues {
        queue_differences(queue, wanted.quorum_group_size, found.queues.get(&queue.name), &mut faults);
    }
    binding_differences(wanted, found, &mut faults);
    user_differences(wanted, found, declaring_user, &mut faults);
    for policy in &found.policies {
        for harm in policy.definition.iter().filter_map(|(key, value)| harm_done_by(key, value)) {
            faults.push(format!("policy {}: it {harm}; remove it from this virtual host", policy.name));
        }
    }
    faults
}

fn exchange_differences(wanted: &Exchange, found: Option<&FoundExchange>, faults: &mut Vec<String>) {
    let name = &wanted.name;
    let Some(found) = found else {
        faults.push(format!("exchange {name} does not exist"));
        return;
    };
    if found.kind != wanted.kind.name() || !found.durable || found.auto_delete || found.internal {
        faults.push(format!(
            "exchange {name} is not a durable {} exchange that publishers may use; it was made by another hand",
            wanted.kind.name()
        ));
    }
    argument_differences("exchange", name, &wanted.arguments(), &found.arguments, faults);
}

fn queue_differences(wanted: &Queue, quorum_group_size: u16, found: Option<&FoundQueue>, faults: &mut Vec<String>) {
    let name = &wanted.name;
    let Some(found) = found else {
        faults.push(format!("queue {name} does not exist"));
        return;
    };
    if !found.durable || found.auto_delete || found.exclusive == Some(true) {
        faults.push(format!("queue {name} is not durable and shared: it would not outlive a restart or a consumer"));
    }
    argument_differences("queue", name, &wanted.arguments(), &found.arguments, faults);
    if found.members.len() < usize::from(quorum_group_size) {
        faults.push(format!(
            "queue {name} is kept on {} node(s) and not on {quorum_group_size}: rabbitmq-queues grow adds the others",
            found.members.len()
        ));
    }
    for (key, value) in found.effective_policy_definition.as_object().into_iter().flatten() {
        if let Some(harm) = harm_done_by(key, value) {
            faults.push(format!("queue {name}: a policy that applies to it {harm}"));
        }
    }
}

fn argument_differences(what: &str, name: &str, wanted: &Map<String, Value>, found: &Value, faults: &mut Vec<String>) {
    let nothing = Map::new();
    let found = found.as_object().unwrap_or(&nothing);
    for (key, value) in wanted {
        match found.get(key) {
            Some(other) if other == value => (),
            Some(other) => faults.push(format!("{what} {name}: {key} is {other} and must be {value}")),
            None => faults.push(format!("{what} {name}: {key} is not set and must be {value}")),
        }
    }
    for (key, value) in found {
        // A queue may have been spread over more nodes since; on how many it is, is looked at by itself.
        if !wanted.contains_key(key) && key != "x-quorum-initial-group-size" {
            faults.push(format!("{what} {name}: {key} is {value} and must not be set"));
        }
    }
}

fn binding_differences(wanted: &Topology, found: &Found, faults: &mut Vec<String>) {
    for binding in wanted.bindings.iter().filter(|binding| !found.has_binding(binding)) {
        let Binding { exchange, routing_key, queue } = binding;
        faults.push(format!("exchange {exchange} does not lead to queue {queue} by {routing_key:?}"));
    }
    for strange in &found.bindings {
        let Some(exchange) = wanted.exchanges.iter().find(|exchange| exchange.name == strange.source) else {
            continue;
        };
        let is_wanted = strange.destination_type == "queue"
            && wanted.bindings.contains(&Binding::new(&strange.source, &strange.routing_key, &strange.destination));
        // By a key of its own a former endpoint's queue is reached by nobody. By a key in use, or any key of a
        // fanout exchange, somebody gets a copy.
        let is_used = exchange.kind == ExchangeKind::Fanout
            || wanted
                .bindings
                .iter()
                .any(|binding| binding.exchange == strange.source && binding.routing_key == strange.routing_key);
        if !is_wanted && is_used {
            faults.push(format!(
                "exchange {} also sends to {} {}, which gets a copy of what is not meant for it: unbind it",
                strange.source, strange.destination_type, strange.destination
            ));
        }
    }
}

fn user_differences(wanted: &Topology, found: &Found, declaring_user: &str, faults: &mut Vec<String>) {
    for user in &wanted.users {
        let name = &user.name;
        match found.users.get(name) {
            None => faults.push(format!("user {name} does not exist")),
            Some(other) if other.is_certificate_only() => (),
            Some(_) => faults.push(format!("user {name} can log in by password or manage the broker")),
        }
        match found.permissions.get(name) {
            Some(other) if other.grants_exactly(user) => (),
            Some(_) => faults.push(format!("user {name} may do something else than the table says")),
            None => faults.push(format!("user {name} may do nothing in this virtual host")),
        }
    }
    for stranger in found.permissions.keys() {
        let is_known = stranger == declaring_user
            || wanted.users.iter().any(|user| user.name == *stranger)
            || wanted.tolerated_users.contains(stranger);
        if !is_known {
            faults.push(format!(
                "user {stranger} has permissions in this virtual host and does not stand in the table: \
                 rabbitmqctl clear_permissions takes them away"
            ));
        }
    }
}

/// What a policy's key would do to messages, or `None` if it does no harm. Unknown keys are taken for harmful:
/// federation, for one, would copy messages away. Which names the policy matches is not asked: the virtual host
/// is ours alone, and tomorrow's endpoint may match.
fn harm_done_by(key: &str, value: &Value) -> Option<String> {
    Some(match key {
        // Where replicas and leaders are placed, and how much is kept in memory.
        "max-in-memory-length"
        | "max-in-memory-bytes"
        | "queue-leader-locator"
        | "queue-master-locator"
        | "target-group-size" => return None,
        // A full queue of ours refuses, and the publisher hears it.
        "max-length" | "max-length-bytes" => return None,
        "overflow" if value == "reject-publish" => return None,
        "dead-letter-strategy" if value == "at-least-once" => return None,
        "message-ttl" => format!("lets messages expire after {value} ms"),
        "expires" => {
            format!("deletes queues that nobody used for {value} ms, with everything in them")
        }
        "overflow" => format!("makes full queues drop messages ({value}) instead of refusing them"),
        "dead-letter-strategy" => format!("lets refused messages be lost on their way ({value})"),
        "dead-letter-exchange" | "dead-letter-routing-key" => "sends refused messages elsewhere".to_owned(),
        "delivery-limit" => {
            format!("gives up on messages after {value} deliveries, whatever the queue says")
        }
        "alternate-exchange" => "sends what no queue takes elsewhere".to_owned(),
        _ => format!("sets {key}, which is not known to do no harm"),
    })
}
