//! The real RabbitMQ node that the tests talk to, and a virtual host of its own for each of them.
//!
//! A test without a node fails and says how to get one. Nothing here waits for a fixed time: what has to
//! come true is looked for until a deadline.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use transport::{
    amqp::{Consumer, Deadlines, Delivered, Management, Message, Meters, Nodes, Publisher, Road, Subscription},
    tls::{Files, Identity},
};

/// How long anything may take before a test calls it a hang. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The party that most tests are.
pub const ROUTER: &str = "service.router";

/// The node that `SAFEGUARDING_TEST_RABBITMQ` names.
pub struct Node {
    pub address: String,
    certificates: PathBuf,
    settings: HashMap<String, String>,
}

impl Node {
    pub fn get() -> &'static Node {
        static NODE: OnceLock<Node> = OnceLock::new();
        NODE.get_or_init(Node::read)
    }

    fn read() -> Node {
        let folder = std::env::var("SAFEGUARDING_TEST_RABBITMQ")
            .expect("this test needs a RabbitMQ node: `deploy/rabbitmq start DIR`, then set SAFEGUARDING_TEST_RABBITMQ=DIR");
        let file = Path::new(&folder).join("node.env");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|fault| panic!("{} cannot be read: {fault}", file.display()));
        let settings: HashMap<String, String> =
            text.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let setting = |name: &str| settings.get(name).unwrap_or_else(|| panic!("{} lacks {name}", file.display()));
        Node { address: format!("127.0.0.1:{}", setting("AMQPS_PORT")), certificates: setting("CERTS").into(), settings }
    }

    /// The node's management API. A new client for every runtime: each test has its own.
    pub fn management(&self) -> Management {
        let setting = |name: &str| self.settings.get(name).unwrap_or_else(|| panic!("node.env lacks {name}"));
        Management::new(setting("MANAGEMENT_URL"), setting("MANAGEMENT_USER"), setting("MANAGEMENT_PASSWORD"))
            .expect("the node's management address is good")
    }

    /// The certificate of a party, made by the authority of the node if it is not there yet.
    pub fn identity(&self, party: &str) -> Identity {
        static MAKING: Mutex<()> = Mutex::new(());
        let files = Files {
            ca: self.certificates.join("ca.pem"),
            certificate: self.certificates.join(format!("{party}.pem")),
            key: self.certificates.join(format!("{party}.key")),
        };
        let _one_at_a_time = MAKING.lock().expect("nobody fails while making a certificate");
        if !files.key.exists() {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/certificates");
            let made = Command::new(&script).arg(&self.certificates).arg(party).output();
            let made = made.unwrap_or_else(|fault| panic!("{} cannot be run: {fault}", script.display()));
            assert!(made.status.success(), "no certificate for {party}: {}", String::from_utf8_lossy(&made.stderr));
        }
        Identity::load(&files).expect("the node's authority makes usable certificates")
    }

    /// Runs one command of the node's own tools.
    pub fn control(&self, arguments: &[&str]) -> String {
        let tool = self.settings.get("RABBITMQCTL").expect("node.env names RABBITMQCTL");
        let done = Command::new(tool).args(arguments).output().expect("rabbitmqctl can be run");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

/// A virtual host of one test's own, in which the router may do everything.
pub struct Vhost {
    pub name: String,
}

impl Vhost {
    pub async fn make(test: &str) -> Vhost {
        let vhost = Vhost::unmade(test);
        let management = &Node::get().management();
        management.put(&format!("/vhosts/{}", vhost.name), &json!({})).await.expect("a virtual host is made");
        for user in [management.user(), ROUTER] {
            if user == ROUTER {
                vhost.put(&format!("/users/{user}"), json!({ "password_hash": "", "tags": "" })).await;
            }
            vhost.permit(user, ".*", ".*", ".*").await;
        }
        vhost
    }

    /// A name that no other test uses. Nothing is made.
    pub fn unmade(test: &str) -> Vhost {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{test}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Vhost { name }
    }

    pub async fn remove(self) {
        Node::get().management().delete_vhost(&self.name).await.expect("the virtual host is removed");
    }

    pub async fn put(&self, path: &str, value: Value) {
        Node::get().management().put(path, &value).await.unwrap_or_else(|fault| panic!("{fault}"));
    }

    pub async fn permit(&self, user: &str, configure: &str, write: &str, read: &str) {
        let permission = json!({ "configure": configure, "write": write, "read": read });
        self.put(&format!("/permissions/{}/{user}", self.name), permission).await;
    }

    pub async fn declare_exchange(&self, name: &str, kind: &str) {
        let exchange = json!({ "type": kind, "durable": true, "arguments": {} });
        self.put(&format!("/exchanges/{}/{name}", self.name), exchange).await;
    }

    /// A quorum queue that refuses when it is full.
    pub async fn declare_queue(&self, name: &str, more: Value) {
        let mut arguments = json!({
            "x-queue-type": "quorum",
            "x-overflow": "reject-publish",
            // Looking at messages counts as delivering them, and RabbitMQ 4 has a limit of 20.
            "x-delivery-limit": 1_000_000_000,
        });
        arguments.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let queue = json!({ "durable": true, "auto_delete": false, "arguments": arguments });
        self.put(&format!("/queues/{}/{name}", self.name), queue).await;
    }

    pub async fn bind(&self, exchange: &str, routing_key: &str, queue: &str) {
        let path = format!("/bindings/{}/e/{exchange}/q/{queue}", self.name);
        let binding = json!({ "routing_key": routing_key, "arguments": {} });
        Node::get().management().post(&path, &binding).await.unwrap_or_else(|fault| panic!("{fault}"));
    }

    /// An exchange `post` that leads by `inbox` to the queue `inbox`.
    pub async fn declare_inbox(&self) {
        self.declare_exchange("post", "direct").await;
        self.declare_queue("inbox", json!({})).await;
        self.bind("post", "inbox", "inbox").await;
    }

    pub fn nodes(&self) -> Nodes {
        self.nodes_at(&Node::get().address)
    }

    pub fn nodes_at(&self, address: &str) -> Nodes {
        self.nodes_as(ROUTER, [address])
    }

    pub fn nodes_as<const N: usize>(&self, party: &str, addresses: [&str; N]) -> Nodes {
        let identity = Node::get().identity(party);
        Nodes::new(addresses, self.name.as_str(), "localhost", identity).expect("good addresses")
    }

    /// A publisher that is connected.
    pub async fn publisher(&self) -> Publisher {
        publisher_at(self.nodes()).await
    }

    pub fn consumer(&self, queues: &[&str]) -> Consumer {
        self.consumer_with(queues, Meters::unread())
    }

    pub fn consumer_with(&self, queues: &[&str], meters: Meters) -> Consumer {
        let queues = queues.iter().map(|queue| (*queue).to_owned()).collect();
        let subscription = Subscription { queues, prefetch: 64, name: format!("{} consumer", self.name) };
        Consumer::subscribe(self.nodes(), subscription, meters)
    }

    /// Closes every connection to this virtual host, as an operator would. Waits for at least `expected`, because
    /// RabbitMQ's list of connections lags by seconds.
    pub async fn kill_connections(&self, expected: usize) {
        let management = &Node::get().management();
        let killed = within(PATIENCE, async {
            loop {
                let path = format!("/vhosts/{}/connections", self.name);
                let connections: Vec<Value> = management.get(&path).await.expect("a list of connections");
                if connections.len() >= expected {
                    break connections;
                }
                sleep(Duration::from_millis(100)).await;
            }
        });
        for connection in killed.await {
            let name = connection["name"].as_str().expect("a connection has a name").replace(' ', "%20").replace('>', "%3E");
            // It may have gone by itself in the meantime.
            let _ = management.delete(&format!("/connections/{name}")).await;
        }
    }

    /// Waits until a queue holds so many messages.
    pub async fn holds(&self, queue: &str, expected: usize) {
        let mut seen = 0;
        let found = timeout(PATIENCE, async {
            loop {
                seen = self.count(queue, expected).await;
                if seen == expected {
                    break;
                }
                sleep(Duration::from_millis(100)).await;
            }
        });
        assert!(found.await.is_ok(), "queue {queue} holds {seen} messages and not {expected}");
    }

    async fn count(&self, queue: &str, expected: usize) -> usize {
        let management = &Node::get().management();
        if expected < 1000 {
            // Looked at and put back: exact, where the statistics lag by seconds.
            let path = format!("/queues/{}/{queue}/get", self.name);
            let look = json!({ "count": 1000, "ackmode": "ack_requeue_true", "encoding": "base64", "truncate": 1 });
            management.ask::<Vec<Value>>(&path, &look).await.expect("the queue can be looked at").len()
        } else {
            let depths = management.queue_depths(&self.name).await.expect("the depths can be read");
            depths.iter().find(|depth| depth.name == queue).map_or(0, |depth| depth.messages_ready as usize)
        }
    }
}

pub async fn publisher_at(nodes: Nodes) -> Publisher {
    let publisher = Publisher::start(nodes, "test publisher", Meters::unread());
    assert!(publisher.opens_within(PATIENCE).await, "the publisher did not connect");
    publisher
}

/// Deadlines short enough to be waited out in a test.
pub fn short_deadlines() -> Deadlines {
    Deadlines { confirm: Duration::from_secs(2), ..Deadlines::default() }
}

pub fn message(id: &str) -> Message {
    Message {
        id: id.to_owned(),
        kind: "test.message.v1".to_owned(),
        content_type: "application/octet-stream".to_owned(),
        headers: Vec::new(),
        timestamp: None,
        body: Bytes::from(format!("body of {id}")),
    }
}

pub fn to_inbox() -> Road {
    Road::new("post", "inbox")
}

/// What `work` gives, or a failed test if it takes too long.
pub async fn within<F: Future>(patience: Duration, work: F) -> F::Output {
    timeout(patience, work).await.unwrap_or_else(|_| panic!("not done within {patience:?}"))
}

/// Receives and settles until the ids of `expected` have all come; gives every id that came, repeats included.
pub async fn drain(consumer: &mut Consumer, expected: &[String]) -> Vec<String> {
    let mut missing: std::collections::HashSet<&str> = expected.iter().map(String::as_str).collect();
    let mut came = Vec::new();
    within(PATIENCE, async {
        while !missing.is_empty() {
            let batch = consumer.next(64).await;
            let tokens: Vec<_> = batch.iter().map(|delivered| delivered.token).collect();
            consumer.settle(&tokens).await;
            for Delivered { message, .. } in batch {
                missing.remove(message.id.as_str());
                came.push(message.id);
            }
        }
    })
    .await;
    came
}
