//! A child's data never leaks, and one trace leads from the school's call to the acknowledgement.
//!
//! Names that must never appear are planted in everything a person can write, and searched for in everything a
//! machine says: logs, spans, metrics, queue names, headers, errors, the open part of the ledger. They are also
//! found where they belong, so that the search is honest.

use std::sync::{Arc, Mutex};

use proto::wire::common::v1 as common;
use proto::wire::common::v1::information_item::Body;
use proto::wire::referral::v1 as referral;
use serde_json::Value;
use tests::client::{FrontDoor, Sender, content, key};
use tests::stack::{Node, Stack, http_get};
use tests::wait::until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tonic::Request;

const CANARIES: &[&str] = &["Zebrafinch", "Goldcrest", "Wryneck", "Nightjar", "Hoopoe", "Dotterel", "9990000042"];
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Keeps every byte that is sent to it, and answers nothing a collector would: what the programs export is
/// read as it lies on the wire.
async fn collector() -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeping = kept.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let keeping = keeping.clone();
            tokio::spawn(async move {
                // An empty SETTINGS frame and its acknowledgement: HTTP/2 goes on, and sends its requests.
                let _ = stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0]).await;
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(read) = stream.read(&mut buffer).await {
                    if read == 0 {
                        break;
                    }
                    keeping.lock().expect("the bytes").extend_from_slice(&buffer[..read]);
                }
            });
        }
    });
    (address, kept)
}

fn planted() -> common::Submission {
    let mut submission = content("Zebrafinch", "Goldcrest saw it happen.");
    submission.level = common::Level::InNeed as i32;
    submission.agreement = common::Agreement::Given as i32;
    submission.purpose = "To help Zebrafinch.".to_owned();
    submission.referrer = Some(common::Practitioner {
        name: "Wryneck".to_owned(),
        role: "Wryneck's role".to_owned(),
        contact: "wryneck@Wryneck.example".to_owned(),
    });
    let child = submission.child.as_mut().expect("a child");
    child.address = Some(common::Address { lines: "7 Nightjar Lane".to_owned(), ..Default::default() });
    let identity = child.identity.as_mut().expect("an identity");
    identity.nhs_number = "9990000042".to_owned();
    identity.also_known_as = "Hoopoe".to_owned();
    submission.items[1].summary = "Hoopoe has asthma.".to_owned();
    submission
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}

fn clean(what: &str, bytes: &[u8]) {
    assert!(!bytes.is_empty(), "there is nothing to search in {what}");
    for canary in CANARIES {
        assert!(!contains(bytes, canary), "{canary} is in {what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_about_a_child_is_in_logs_spans_metrics_headers_names_errors_or_the_open_log() {
    let (address, exported) = collector().await;
    let mut stack = Stack::prepare("canaries", Node::of_the_run()).with_collector(&address);
    stack.start_broker(0).await;
    stack.start_adapter().await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let mut council = FrontDoor::of(&stack, "la.E08000035.front-door").await;

    // One trace, from a call that carries more than it should.
    let mut submit =
        Request::new(referral::SubmitRequest { idempotency_key: key(), content: Some(planted()), sender: String::new() });
    submit.metadata_mut().insert("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01").parse().expect("a header"));
    submit.metadata_mut().insert("tracestate", "dotterel=Dotterel".parse().expect("a header"));
    submit.metadata_mut().insert("baggage", "child=Zebrafinch".parse().expect("a header"));
    let receipt = school.referrals.submit(submit).await.expect("accepted").into_inner().receipt.expect("a receipt");
    let received = council.next().await;
    for canary in ["Zebrafinch", "Goldcrest", "Nightjar", "9990000042"] {
        assert!(received.delivery.rendering.contains(canary), "the council reads {canary}");
    }

    // Errors: of a key that is a name, of a field that is one.
    let mut errors = Vec::new();
    let mut wrong = planted();
    wrong.addressed_to = "Dotterel".to_owned();
    for refused in [
        school.submit("Zebrafinch", planted()).await,
        school.submit(&key(), wrong).await,
        school.submit(&key(), common::Submission::default()).await,
    ] {
        let refused = refused.err().expect("refused");
        errors.extend_from_slice(refused.message().as_bytes());
        errors.extend_from_slice(refused.details());
    }

    let mut amended = planted();
    amended.items[0].body = Some(Body::Text("Goldcrest saw it again.".to_owned()));
    let amend = referral::AmendRequest {
        referral_id: receipt.referral_id.clone(),
        idempotency_key: key(),
        content: Some(amended),
        sender: String::new(),
    };
    school.referrals.amend(amend).await.expect("amended");
    council.next().await;
    council.acknowledge_in_its_trace(&received, "Wryneck").await.expect("acknowledged");
    council.decide(received.answer("Wryneck"), common::Outcome::S17Assessment, "Because of Goldcrest.").await.expect("decided");
    until("the outcome is known", || {
        let (mut school, id) = (school.clone(), receipt.referral_id.clone());
        async move { school.get(&id).await.ok().filter(|status| !status.open) }
    })
    .await;

    for address in [stack.broker_metrics(), stack.adapter_metrics()] {
        clean("metrics", http_get(&address, "/metrics").await.expect("metrics").as_bytes());
    }
    clean("errors", &errors);
    let headers: Vec<u8> =
        received.message.headers.iter().flat_map(|(name, value)| format!("{name}: {value}\n").into_bytes()).collect();
    clean("headers", &headers);
    let management = stack.node.management();
    for what in ["queues", "exchanges", "bindings"] {
        let listed: Value = management.get(&format!("/{what}/{}", stack.vhost)).await.expect("a listing");
        clean(what, listed.to_string().as_bytes());
    }
    let connections: Value = management.get("/connections").await.expect("a listing");
    clean("connections", connections.to_string().as_bytes());
    let (exported_ledger, bundle) = stack.broker_command(&["ledger", "export", "--without-records"]);
    assert!(exported_ledger);
    clean("the open part of the ledger", bundle.as_bytes());

    stack.stop();
    let logs = stack.logs();
    clean("logs", logs.as_bytes());
    let spans = exported.lock().expect("the bytes").clone();
    clean("spans", &spans);
    for stage in ["publish", "decide", "record", "deliver"] {
        assert!(contains(&spans, stage), "the span {stage} was exported");
    }
    let trace: Vec<u8> = (0..TRACE.len()).step_by(2).filter_map(|at| u8::from_str_radix(&TRACE[at..at + 2], 16).ok()).collect();
    assert!(spans.windows(trace.len()).any(|window| window == trace), "the spans are of the school's trace");

    one_trace(&logs, &receipt.referral_id);
}

/// Both programs' logs carry the school's trace and the referral, from the door to the delivery.
fn one_trace(logs: &str, referral_id: &str) {
    let lines: Vec<Value> = logs.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of_the_trace: Vec<&Value> = lines.iter().filter(|line| line["trace_id"] == TRACE).collect();
    for service in ["safeguarding-adapter", "safeguarding-broker"] {
        let found = of_the_trace.iter().any(|line| line["service"] == service && line["referral.id"] == referral_id);
        assert!(found, "{service} logged referral {referral_id} under the school's trace");
    }
    let acknowledged = of_the_trace.iter().any(|line| line["rpc.method"] == "Acknowledge");
    assert!(acknowledged, "the acknowledgement stands under the school's trace");
}
