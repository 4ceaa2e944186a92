//! The benchmark: in one run on one machine, a bare mutual-TLS call, the raw relay ceiling of RabbitMQ, and the
//! product, with their ratios. Loopback only, bounded in time. Absolute numbers are this machine's; the ratios
//! are what to compare. Run it by `tests/bench`, which builds for release and starts a node of its own.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use proto::wire::broker::v1 as broker;
use proto::wire::broker::v1::case_service_client::CaseServiceClient;
use proto::wire::broker::v1::case_service_server::{CaseService, CaseServiceServer};
use tests::client::{FrontDoor, Sender, content, key};
use tests::stack::{Node, PARTIES, Stack, certify};
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};
use transport::amqp::{
    Binding, Consumer, DeadLetter, Exchange, ExchangeKind, Message, Meters, Nodes, Publisher, Queue, Road, Subscription,
    Topology, User, establish,
};
use transport::clock::{Clock, Stopwatch};
use transport::tls::Files;

/// Concurrent callers at saturation.
const CALLERS: usize = 64;
/// Over so many connections.
const CONNECTIONS: usize = 4;
/// How long each measurement takes.
const TIME: Duration = Duration::from_secs(15);
/// How long the last deliveries may take after it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Messages through the raw relay.
const RELAYED: usize = 20_000;
/// The filler that makes a submission about 2 KiB.
const WORRY: &str = "She comes to school hungry and tired. ";

#[tokio::main]
async fn main() {
    transport::tls::install_crypto();
    let folder = std::env::args().nth(1).expect("usage: bench NODE-FOLDER (run tests/bench)");
    let node = Node::in_folder(Path::new(&folder));
    certify(&node.certificates(), &[], PARTIES);
    if std::env::args().nth(2).as_deref() == Some("serve-echo") {
        return serve_echo(&node).await;
    }

    println!("{:<48} {:>10} {:>9} {:>9}", "what", "per second", "p50 ms", "p99 ms");
    let echo = echo(&node).await;
    let relay = relay(&node).await;
    let mut stack = Stack::prepare("bench", node);
    stack.start_broker(0).await;
    stack.start_adapter().await;
    let (accepted, delivered) = saturate(&stack).await;
    let at_50 = open_loop(&stack, 50).await;
    let at_200 = open_loop(&stack, 200).await;
    stack.stop();

    println!("\n{:<48} {:>10}", "ratio", "aim");
    println!("{:<35} {:>12.2} {:>10}", "accepted / echo", accepted / echo, ">= 0.45");
    println!("{:<35} {:>12.2} {:>10}", "delivered / relay ceiling", delivered / relay, ">= 0.50");
    println!("{:<35} {:>9.1} ms {:>10}", "end to end p99 at 50/s", at_50, "< 100 ms");
    println!("{:<35} {:>9.1} ms", "end to end p99 at 200/s", at_200);
}

fn report(what: &str, per_s: f64, latencies: &Histogram<u64>) {
    let ms = |quantile| latencies.value_at_quantile(quantile) as f64 / 1000.0;
    println!("{what:<48} {per_s:>10.0} {:>9.1} {:>9.1}", ms(0.5), ms(0.99));
}

fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("a histogram of microseconds")
}

fn micros(stopwatch: &Stopwatch) -> u64 {
    u64::try_from(stopwatch.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
}

fn submission() -> proto::wire::common::v1::Submission {
    content("Benchmark", &WORRY.repeat(45))
}

/// `CALLERS` callers, each one call after the other, until the time is up. Only answered calls count.
async fn call_for<F: Future<Output = Result<(), Status>> + Send>(
    caller: impl Fn(usize) -> F + Send + Sync + 'static,
) -> (f64, Histogram<u64>) {
    let (clock, caller) = (Clock::system(), Arc::new(caller));
    let began = clock.stopwatch();
    let mut callers = JoinSet::new();
    for nth in 0..CALLERS {
        let caller = caller.clone();
        callers.spawn(async move {
            let mut histogram = latencies();
            while began.elapsed() < TIME {
                let stopwatch = clock.stopwatch();
                if caller(nth).await.is_ok() {
                    histogram.record(micros(&stopwatch)).expect("within bounds");
                }
            }
            histogram
        });
    }
    let mut all = latencies();
    while let Some(histogram) = callers.join_next().await {
        all.add(histogram.expect("a caller")).expect("histograms alike");
    }
    (all.len() as f64 / began.elapsed().as_secs_f64(), all)
}

// ---------------------------------------------------------------------------------------- the bare call

struct Echo;

fn not_this() -> Status {
    Status::unimplemented("an echo answers one question only")
}

#[tonic::async_trait]
impl CaseService for Echo {
    async fn preview(&self, _: Request<broker::PreviewRequest>) -> Result<Response<broker::PreviewResponse>, Status> {
        Ok(Response::new(broker::PreviewResponse::default()))
    }
    async fn get(&self, _: Request<broker::GetRequest>) -> Result<Response<broker::GetResponse>, Status> {
        Err(not_this())
    }
    async fn list(&self, _: Request<broker::ListRequest>) -> Result<Response<broker::ListResponse>, Status> {
        Err(not_this())
    }
    type WatchStream = tokio_stream::wrappers::ReceiverStream<Result<broker::WatchResponse, Status>>;
    async fn watch(&self, _: Request<broker::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(not_this())
    }
    async fn find_delivery(
        &self,
        _: Request<broker::FindDeliveryRequest>,
    ) -> Result<Response<broker::FindDeliveryResponse>, Status> {
        Err(not_this())
    }
    async fn list_received(
        &self,
        _: Request<broker::ListReceivedRequest>,
    ) -> Result<Response<broker::ListReceivedResponse>, Status> {
        Err(not_this())
    }
    async fn get_received(
        &self,
        _: Request<broker::GetReceivedRequest>,
    ) -> Result<Response<broker::GetReceivedResponse>, Status> {
        Err(not_this())
    }
}

fn pem(node: &Node, name: &str) -> Vec<u8> {
    std::fs::read(node.certificates().join(name)).expect("a certificate")
}

/// A process of its own, as the gateway is one. Ends when whoever started it closes its standard input.
async fn serve_echo(node: &Node) {
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(pem(node, "service.adapter.pem"), pem(node, "service.adapter.key")))
        .client_ca_root(Certificate::from_pem(pem(node, "ca.pem")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address").port());
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().tls_config(tls).expect("TLS").add_service(CaseServiceServer::new(Echo));
    let starter_gone = async { drop(tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())).await) };
    server.serve_with_incoming_shutdown(incoming, starter_gone).await.expect("the echo serves");
}

async fn echo(node: &Node) -> f64 {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let mut server = tokio::process::Command::new(std::env::current_exe().expect("own name"))
        .arg(node.folder())
        .arg("serve-echo")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the echo starts");
    let mut lines = BufReader::new(server.stdout.take().expect("its output")).lines();
    let port = lines.next_line().await.expect("its port").expect("its port");
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(pem(node, "ca.pem")))
        .identity(Identity::from_pem(pem(node, "school.999001.pem"), pem(node, "school.999001.key")))
        .domain_name("localhost");
    let mut channels: Vec<Channel> = Vec::new();
    for _ in 0..CONNECTIONS {
        let endpoint =
            Endpoint::from_shared(format!("https://127.0.0.1:{port}")).expect("an address").tls_config(tls.clone()).expect("TLS");
        channels.push(endpoint.connect().await.expect("a connection to the echo"));
    }
    let request = broker::PreviewRequest { party: "school.999001".to_owned(), content: Some(submission()) };
    let (per_s, histogram) = call_for(move |nth| {
        let mut client = CaseServiceClient::new(channels[nth % CONNECTIONS].clone());
        let request = request.clone();
        async move { client.preview(request).await.map(|_| ()) }
    })
    .await;
    report("echo: gRPC over mutual TLS, 2 KiB, nothing else", per_s, &histogram);
    server.kill().await.expect("the echo ends");
    per_s
}

// ---------------------------------------------------------------------------------------- the raw relay

/// The queues of the relay, with the flags that the product's own have.
fn relay_topology(vhost: &str) -> Topology {
    let exchange = |name: &str, kind, alternate: Option<&str>| Exchange {
        name: name.to_owned(),
        kind,
        alternate: alternate.map(str::to_owned),
    };
    let dead_letter = || Some(DeadLetter { exchange: "rest".to_owned(), routing_key: "rest".to_owned() });
    Topology {
        vhost: vhost.to_owned(),
        quorum_group_size: 1,
        exchanges: vec![exchange("relay", ExchangeKind::Direct, Some("rest")), exchange("rest", ExchangeKind::Fanout, None)],
        queues: vec![
            Queue { dead_letter: dead_letter(), ..Queue::named("from") },
            Queue { dead_letter: dead_letter(), ..Queue::named("to") },
            Queue::named("rest"),
        ],
        bindings: vec![
            Binding::new("relay", "from", "from"),
            Binding::new("relay", "to", "to"),
            Binding::new("rest", "", "rest"),
        ],
        users: vec![User {
            name: "service.router".to_owned(),
            configure: "^$".to_owned(),
            write: "^relay$".to_owned(),
            read: "^(from|to)$".to_owned(),
        }],
        tolerated_users: vec![],
    }
}

async fn relay(node: &Node) -> f64 {
    let vhost = format!("bench-relay-{}", std::process::id());
    establish(&node.management(), &relay_topology(&vhost)).await.expect("the relay's queues");
    let folder = node.certificates();
    let files = Files {
        ca: folder.join("ca.pem"),
        certificate: folder.join("service.router.pem"),
        key: folder.join("service.router.key"),
    };
    let identity = transport::tls::Identity::load(&files).expect("a certificate");
    let nodes = Nodes::new([node.amqps()], vhost.clone(), "localhost", identity).expect("nodes");
    let publisher = Publisher::start(nodes.clone(), "bench", Meters::unread());
    assert!(publisher.opens_within(Duration::from_secs(10)).await, "the publisher connects");
    fill(&publisher).await;

    let clock = Clock::system();
    let subscription = Subscription { queues: vec!["from".to_owned()], prefetch: 256, name: "bench".to_owned() };
    let mut consumer = Consumer::subscribe(nodes, subscription, Meters::unread());
    let histogram = Arc::new(Mutex::new(latencies()));
    let began = clock.stopwatch();
    let (mut taken, mut under_way) = (0, JoinSet::new());
    while taken < RELAYED {
        for delivered in consumer.next(256).await {
            taken += 1;
            let (publisher, settler, histogram, stopwatch) =
                (publisher.clone(), consumer.settler(), histogram.clone(), clock.stopwatch());
            under_way.spawn(async move {
                let _confirmed = publisher.publish(Road::new("relay", "to"), delivered.message).await.expect("confirmed");
                settler.settle(&[delivered.token]).await;
                histogram.lock().await.record(micros(&stopwatch)).expect("within bounds");
            });
        }
        while under_way.try_join_next().is_some() {}
    }
    while under_way.join_next().await.is_some() {}
    let per_s = RELAYED as f64 / began.elapsed().as_secs_f64();
    report("relay: consume, republish with confirm, ack", per_s, &*histogram.lock().await);
    consumer.close().await;
    node.management().delete_vhost(&vhost).await.expect("the relay's queues go");
    per_s
}

async fn fill(publisher: &Publisher) {
    let message = |nth: usize| Message {
        id: format!("m{nth}"),
        kind: "bench".to_owned(),
        content_type: "application/octet-stream".to_owned(),
        headers: vec![],
        timestamp: None,
        body: Bytes::from(vec![7; 2048]),
    };
    let mut lanes = JoinSet::new();
    for lane in 0..256 {
        let publisher = publisher.clone();
        lanes.spawn(async move {
            for nth in (lane..RELAYED).step_by(256) {
                let _confirmed = publisher.publish(Road::new("relay", "from"), message(nth)).await.expect("confirmed");
            }
        });
    }
    while lanes.join_next().await.is_some() {}
}

// ---------------------------------------------------------------------------------------- the product

/// The responsible desks' side: counts what arrives and how long it took since its call began.
struct Arrivals {
    started: Arc<Mutex<HashMap<String, Stopwatch>>>,
    seen: Arc<AtomicU64>,
    readers: JoinSet<()>,
    counting: JoinHandle<Histogram<u64>>,
}

impl Arrivals {
    async fn at(stack: &Stack) -> Arrivals {
        let (arrived, mut arrivals) = mpsc::unbounded_channel::<(String, u64)>();
        let (started, seen) = (Arc::<Mutex<HashMap<String, Stopwatch>>>::default(), Arc::new(AtomicU64::new(0)));
        let mut readers = JoinSet::new();
        // By day the front door is responsible, by night the emergency duty team.
        for desk in ["la.E08000035.front-door", "la.E08000035.edt"] {
            let mut desk = FrontDoor::of(stack, desk).await;
            let (arrived, started) = (arrived.clone(), started.clone());
            readers.spawn(async move {
                loop {
                    for received in desk.receive_for(256, Duration::from_secs(3600)).await {
                        let took =
                            started.lock().await.remove(&received.delivery.referral_id).map_or(0, |stopwatch| micros(&stopwatch));
                        if arrived.send((received.delivery.referral_id, took)).is_err() {
                            return;
                        }
                    }
                }
            });
        }
        let count = seen.clone();
        let counting = tokio::spawn(async move {
            let mut histogram = latencies();
            while let Some((_, took)) = arrivals.recv().await {
                count.fetch_add(1, Ordering::Relaxed);
                if took > 0 {
                    histogram.record(took).expect("within bounds");
                }
            }
            histogram
        });
        Arrivals { started, seen, readers, counting }
    }

    /// Waits until `expected` have come, and gives their latencies.
    async fn all(mut self, expected: u64) -> Histogram<u64> {
        let clock = Clock::system();
        let waiting = clock.stopwatch();
        while self.seen.load(Ordering::Relaxed) < expected && waiting.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(self.seen.load(Ordering::Relaxed) >= expected, "every accepted referral was delivered");
        self.readers.shutdown().await;
        self.counting.await.expect("the count")
    }
}

async fn senders(stack: &Stack) -> Vec<Sender> {
    let mut senders = Vec::new();
    for _ in 0..CONNECTIONS {
        senders.push(Sender::of(stack, "school.999001").await);
    }
    senders
}

/// The referral's id follows from the sender and the key, so it is known before the call.
fn referral_id(key: &str) -> String {
    let sender = referral::Endpoint::parse("school.999001").expect("an endpoint");
    referral::ReferralId::of(&sender, referral::IdempotencyKey::parse(key).expect("a key")).to_string()
}

/// Accepted and delivered per second with as many callers as there is room for.
async fn saturate(stack: &Stack) -> (f64, f64) {
    let arrivals = Arrivals::at(stack).await;
    let (senders, started, clock) = (senders(stack).await, arrivals.started.clone(), Clock::system());
    let began = clock.stopwatch();
    let content = submission();
    let (accepted_per_s, histogram) = call_for(move |nth| {
        let (mut sender, started, content) = (senders[nth % CONNECTIONS].clone(), started.clone(), content.clone());
        async move {
            let key = key();
            started.lock().await.insert(referral_id(&key), clock.stopwatch());
            sender.submit(&key, content).await.map(|_| ())
        }
    })
    .await;
    report("accepted, at saturation", accepted_per_s, &histogram);
    let end_to_end = arrivals.all(histogram.len()).await;
    let delivered_per_s = histogram.len() as f64 / began.elapsed().as_secs_f64();
    report("delivered with rules and ledger, at saturation", delivered_per_s, &end_to_end);
    (accepted_per_s, delivered_per_s)
}

/// Calls begin on time, whether or not earlier ones have ended. Gives the end-to-end p99 in ms.
async fn open_loop(stack: &Stack, per_s: u64) -> f64 {
    let arrivals = Arrivals::at(stack).await;
    let (senders, clock) = (senders(stack).await, Clock::system());
    let submits = Arc::new(Mutex::new(latencies()));
    let mut tick = tokio::time::interval(Duration::from_secs(1) / u32::try_from(per_s).expect("a rate"));
    let total = per_s * TIME.as_secs();
    let mut calls = JoinSet::new();
    for sender in senders.iter().cycle().take(usize::try_from(total).expect("a count")) {
        tick.tick().await;
        let (mut sender, started, submits) = (sender.clone(), arrivals.started.clone(), submits.clone());
        calls.spawn(async move {
            let (key, stopwatch) = (key(), clock.stopwatch());
            started.lock().await.insert(referral_id(&key), stopwatch);
            sender.submit(&key, submission()).await.map(|_| ()).expect("accepted");
            submits.lock().await.record(micros(&stopwatch)).expect("within bounds");
        });
    }
    while let Some(call) = calls.join_next().await {
        call.expect("accepted");
    }
    let end_to_end = arrivals.all(total).await;
    report(&format!("submit, open loop at {per_s}/s"), per_s as f64, &*submits.lock().await);
    report(&format!("end to end, open loop at {per_s}/s"), per_s as f64, &end_to_end);
    end_to_end.value_at_quantile(0.99) as f64 / 1000.0
}
