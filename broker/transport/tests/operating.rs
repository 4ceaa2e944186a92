//! What an operator's tools get from a running program: metrics, health, traces that hold nothing up, and
//! certificates that are checked before anything is started.

use std::{path::Path, process::Command, time::Duration};

use prometheus::{IntCounter, Registry};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, timeout},
};
use transport::{
    clock::Clock,
    metrics::MetricsListener,
    shutdown::Shutdown,
    telemetry,
    tls::{self, Files, Identity},
};

async fn get(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.expect("sent");
    let mut answer = String::new();
    timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await.expect("in time").expect("read");
    answer
}

#[tokio::test]
async fn metrics_and_health_are_served_also_while_the_program_drains() {
    let registry = Registry::new();
    let counter = IntCounter::new("referrals_total", "Referrals.").expect("a good name");
    registry.register(Box::new(counter.clone())).expect("registered");
    counter.inc_by(3);
    let (reason, reasons) = watch::channel(Vec::new());
    let shutdown = Shutdown::by_hand(Duration::from_secs(1));
    let listener = MetricsListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.address();
    tokio::spawn(listener.serve(registry, move || reasons.borrow().clone(), shutdown.clone()));

    let metrics = get(address, "GET /metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("referrals_total 3"), "{metrics}");
    assert!(get(address, "GET /health/live").await.starts_with("HTTP/1.1 200"));
    assert!(get(address, "GET /health/ready").await.ends_with("ready\n"));
    assert!(get(address, "POST /metrics").await.starts_with("HTTP/1.1 405"));
    assert!(get(address, "GET /").await.starts_with("HTTP/1.1 404"));

    reason.send_replace(vec!["no connection to RabbitMQ".to_owned()]);
    let not_ready = get(address, "GET /health/ready").await;
    assert!(not_ready.starts_with("HTTP/1.1 503") && not_ready.contains("no connection to RabbitMQ"), "{not_ready}");
    reason.send_replace(Vec::new());
    shutdown.request();
    assert!(get(address, "GET /health/ready").await.contains("it is stopping"));
    assert!(get(address, "GET /health/live").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_taken_port_is_found_at_start() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("it has one").to_string();
    assert!(MetricsListener::bind(&address).await.is_err());
}

/// A collector that accepts and never answers: spans are lost, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_does_not_answer_holds_up_neither_the_work_nor_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let settings = telemetry::Settings {
        service: "test-program",
        version: "0",
        own_crates: &["operating"],
        keys: &[],
        log: "off".into(),
        otlp: format!("http://{}", silent.local_addr().expect("it has one")),
    };
    let running = telemetry::start(&settings).expect("it starts without the collector");
    let began = Instant::now();
    for _ in 0..20_000 {
        tracing::info_span!("work").in_scope(|| assert!(telemetry::traceparent().is_some()));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "the work took {:?}", began.elapsed());
    let began = Instant::now();
    running.stop().await;
    assert!(began.elapsed() < Duration::from_secs(6), "stopping took {:?}", began.elapsed());
    assert!(telemetry::start(&settings).is_err(), "once is enough for a process");
}

#[test]
fn a_bad_identity_names_the_file_and_the_reason() {
    let folder = std::env::temp_dir().join(format!("transport-tls-{}", std::process::id()));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/certificates");
    let made = Command::new(&script).arg(&folder).args(["school.999001", "school.999002"]).output();
    let made = made.unwrap_or_else(|fault| panic!("{} cannot be run: {fault}", script.display()));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let files = |certificate: &str, key: &str| Files {
        ca: folder.join("ca.pem"),
        certificate: folder.join(certificate),
        key: folder.join(key),
    };

    let good = Identity::load(&files("school.999001.pem", "school.999001.key")).expect("a good identity");
    assert_eq!(good.common_name(), "school.999001");
    assert!(good.not_after() > Clock::system().now());
    assert!(!format!("{good:?}").contains("PRIVATE"));

    std::fs::write(folder.join("empty.pem"), "").expect("written");
    std::fs::write(folder.join("broken.pem"), "-----BEGIN CERTIFICATE-----\nnot base64\n").expect("written");
    for (certificate, key, file, reason) in [
        ("missing.pem", "school.999001.key", "missing.pem", "cannot read the certificate"),
        ("empty.pem", "school.999001.key", "empty.pem", "holds no certificate"),
        ("broken.pem", "school.999001.key", "broken.pem", "the certificate"),
        ("school.999001.key", "school.999001.key", "school.999001.key", "holds no certificate"),
        ("school.999001.pem", "school.999001.pem", "school.999001.pem", "is not a PEM key"),
        ("school.999001.pem", "school.999002.key", "school.999002.key", "does not fit the certificate"),
    ] {
        let fault = Identity::load(&files(certificate, key)).expect_err(certificate).to_string();
        assert!(fault.contains(file) && fault.contains(reason), "{fault}");
    }
    assert!(tls::common_name(b"no certificate").is_err());
    std::fs::remove_dir_all(&folder).expect("removed");
}
