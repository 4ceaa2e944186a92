//! What a sender is promised when the line breaks: one key, kept first; no more asking than helps.

use std::sync::{Arc, Mutex};

use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt};

use super::*;

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("client-{}", uuid::Uuid::new_v4()))
}

fn client(folder: &std::path::Path) -> Client {
    let nowhere = tonic::transport::Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
    Client::new(nowhere, Endpoint::parse("school.999001").unwrap(), folder.to_owned())
}

fn invited() -> Status {
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(Duration::from_secs(5)));
    Status::with_error_details(Code::Unavailable, "not received", details)
}

fn broke(because: &'static str) -> Status {
    let mut status = Status::unavailable("transport error");
    status.set_source(Arc::new(io::Error::other(because)));
    status
}

/// Sends over a line that gives these answers, one after the other; which keys it saw.
async fn sent(
    client: &Client,
    what: &[u8],
    key: Key,
    answers: Vec<Result<(), Status>>,
) -> (Vec<String>, Result<Receipt, Failed>) {
    let (answers, keys) = (Mutex::new(answers.into_iter()), Mutex::new(Vec::new()));
    let send = |key: String| {
        keys.lock().unwrap().push(key);
        let answer = answers.lock().unwrap().next().unwrap();
        async move { answer.map(|()| Receipt { referral_id: "the referral".to_owned(), ..Receipt::default() }) }
    };
    let outcome = client.send(&Digest::of_bytes(what), key, send).await;
    (keys.into_inner().unwrap(), outcome)
}

#[tokio::test(start_paused = true)]
async fn a_send_is_the_same_send_until_it_is_answered_and_after_it_was_cut_off() {
    let folder = folder();
    let client = client(&folder);
    let (keys, received) = sent(&client, b"content", Key::Kept, vec![Err(invited()), Err(broke("reset")), Ok(())]).await;
    assert!(received.is_ok() && keys.len() == 3 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    // Sent again, it is the same referral; as something new it has another key, and so has other content.
    assert_eq!(sent(&client, b"content", Key::Kept, vec![Ok(())]).await.0[0], keys[0]);
    let anew = sent(&client, b"content", Key::Anew, vec![Err(Status::internal("cut off"))]).await.0;
    assert_ne!(anew[0], keys[0]);
    assert_eq!(sent(&client, b"content", Key::Anew, vec![Ok(())]).await.0, anew, "what was cut off is not sent anew");
    assert_ne!(sent(&client, b"other", Key::Kept, vec![Ok(())]).await.0[0], keys[0]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_remembered_is_not_sent() {
    let client = client(std::path::Path::new("/dev/null/nowhere"));
    let (keys, outcome) = sent(&client, b"content", Key::Kept, vec![Ok(())]).await;
    assert!(keys.is_empty() && matches!(outcome, Err(Failed::KeyNotKept { .. })));
    let place = PathBuf::from("/dev/null/nowhere/key");
    let (keys, outcome) = sent(&client, b"content", Key::InFile(place), vec![Ok(())]).await;
    assert!(keys.is_empty() && matches!(outcome, Err(Failed::KeyNotKept { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_asked_once_and_patience_ends() {
    let folder = folder();
    let client = client(&folder);
    let (keys, outcome) = sent(&client, b"content", Key::Kept, vec![Err(Status::invalid_argument("wrong"))]).await;
    assert!(keys.len() == 1 && matches!(outcome, Err(Failed::Refused(_))));
    let (keys, outcome) = sent(&client, b"content", Key::Kept, vec![Err(invited()); 60]).await;
    assert!((10..60).contains(&keys.len()), "{}", keys.len());
    assert!(matches!(outcome, Err(Failed::GaveUp { tried, .. }) if tried <= PATIENCE));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn asking_again_needs_an_invitation_and_comes_no_sooner_than_it_says() {
    assert_eq!(pause(&invited(), 0, 0.0), Some(Duration::from_secs(5)));
    assert_eq!(pause(&invited(), 0, 1.0), Some(Duration::from_millis(7500)));
    assert_eq!(pause(&invited(), 30, 0.0), Some(Duration::from_secs(8)));
    assert_eq!(pause(&Status::permission_denied("another"), 0, 0.0), None);
    assert_eq!(pause(&Status::unavailable("no details"), 0, 0.0), None);
}

#[test]
fn a_line_that_broke_is_tried_again_and_distrust_is_not() {
    assert_eq!(pause(&broke("connection refused"), 0, 0.0), Some(Duration::from_millis(500)));
    assert_eq!(pause(&broke("invalid peer certificate: UnknownIssuer"), 0, 0.0), None);
    assert_eq!(pause(&broke("received fatal alert: CertificateExpired"), 0, 0.0), None);
}

#[test]
fn a_trace_begins_well_formed() {
    let trace = new_trace();
    assert!(trace.len() == 55 && trace.starts_with("00-") && trace.ends_with("-01"), "{trace}");
    let request = traced((), Some(&trace));
    assert_eq!(request.metadata().get("traceparent").unwrap().to_str().unwrap(), trace);
    assert!(traced((), None).metadata().is_empty());
}
