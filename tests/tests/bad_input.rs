//! Bad input: every wrong field named at once, no value repeated; what cannot be read waits in quarantine, and
//! what is behind it goes on.

use prost::Message as _;
use proto::wire::common::v1 as common;
use proto::wire::common::v1::information_item::Body;
use proto::wire::events::v1 as events;
use tests::client::{FrontDoor, Sender, content, key};
use tests::stack::{Stack, http_get};
use tests::wait::{PATIENCE, until};
use tonic::Code;
use tonic_types::StatusExt;
use transport::amqp::{Message, Meters, Publisher, Road};

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_field_is_named_at_once_and_no_value_is_repeated() {
    let stack = Stack::start("fields").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let mut submission = content("Kestrel", "Kestrel's worry.");
    submission.level = common::Level::InNeed as i32;
    submission.harm = 9_999;
    submission.addressed_to = "kestrel's council".to_owned();
    let child = submission.child.as_mut().expect("a child");
    let identity = child.identity.as_mut().expect("an identity");
    identity.nhs_number = "9990000001".to_owned();
    identity.age = Some(common::identity::Age::DateOfBirth("2099-01-01".to_owned()));
    child.places.as_mut().expect("places").home = "KESTREL".to_owned();
    let refused = school.submit("not-a-uuid-kestrel", submission).await.err().expect("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let fields: Vec<String> = refused
        .get_details_bad_request()
        .expect("every fault")
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect();
    for field in ["idempotency_key", "content.harm", "content.addressed_to", "nhs_number", "date_of_birth", "places.home"] {
        assert!(fields.iter().any(|named| named.contains(field)), "{field} is named among {fields:?}");
    }
    let info = refused.get_details_error_info().expect("who has to act");
    assert_eq!((info.domain.as_str(), info.metadata.get("who_acts").map(String::as_str)), ("safeguarding", Some("SENDER")));
    assert!(refused.get_details_retry_info().is_none(), "a retry cannot help");
    let told = format!("{} {}", refused.message(), String::from_utf8_lossy(refused.details())).to_lowercase();
    for value in ["kestrel", "9990000001", "2099"] {
        assert!(!told.contains(value), "a value is repeated: {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_significant_harm_a_wrong_identifier_is_flagged_and_the_referral_goes() {
    let stack = Stack::start("identifier").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let mut submission = content("Merlin", "Merlin's worry.");
    submission.child.as_mut().and_then(|child| child.identity.as_mut()).expect("an identity").nhs_number =
        "9990000001".to_owned();
    let receipt = school.submit(&key(), submission).await.expect("accepted");
    let routed = until("it is routed", || {
        let (mut school, id) = (school.clone(), receipt.referral_id.clone());
        async move {
            let status = school.get(&id).await.ok()?;
            status.ladder.into_iter().find_map(|entry| match entry.step {
                Some(common::progress_entry::Step::Routed(routed)) => Some(routed),
                _ => None,
            })
        }
    })
    .await;
    assert!(routed.flags.iter().any(|flag| flag == "identifier_invalid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_and_the_connection_lives() {
    let stack = Stack::start("large").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let mut submission = content("Osprey", "x");
    submission.items[0].body = Some(Body::Text("x".repeat(400 * 1024)));
    let refused = school.submit(&key(), submission).await.err().expect("refused");
    assert!(matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted | Code::InvalidArgument), "{refused}");
    school.submit(&key(), content("Osprey", "Small enough.")).await.expect("accepted");
}

fn raw(body: Vec<u8>) -> Message {
    Message {
        id: key(),
        kind: "safeguarding.events.v1.Intake".to_owned(),
        content_type: "application/x-protobuf".to_owned(),
        headers: vec![],
        timestamp: None,
        body: body.into(),
    }
}

fn intake(referral_id: &str, body: Option<events::intake::Body>) -> Vec<u8> {
    let received = Some(prost_types::Timestamp { seconds: 1_790_000_000, nanos: 0 });
    events::Intake {
        sender: "school.999001".to_owned(),
        referral_id: referral_id.to_owned(),
        received,
        traceparent: String::new(),
        body,
    }
    .encode_to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_waits_in_quarantine_and_those_behind_it_go_on() {
    let stack = Stack::start("quarantine").await;
    let publisher = Publisher::start(stack.nodes("service.adapter"), "test", Meters::unread());
    assert!(publisher.opens_within(PATIENCE).await);
    let id = uuid::Uuid::new_v4().to_string();
    let noise: Vec<u8> = (0..500u32).map(|nth| (nth.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sealed = events::intake::Body::Sealed(common::SealedBody::default());
    let bad = [
        noise,
        vec![0x0a, 0xff],
        intake(&id, Some(sealed)),
        intake(&id, None),
        intake("nobody", Some(events::intake::Body::Plain(vec![]))),
    ];
    let mut school = Sender::of(&stack, "school.999001").await;
    for (nth, body) in bad.into_iter().enumerate() {
        for partition in 0..8 {
            let _confirmed = publisher
                .publish(Road::new("safeguarding.intake", partition.to_string()), raw(body.clone()))
                .await
                .expect("confirmed");
        }
        // One behind each, in whichever partition.
        let mut good = content("Behind", &format!("Behind number {nth}."));
        good.level = common::Level::InNeed as i32;
        good.agreement = common::Agreement::Given as i32;
        school.submit(&key(), good).await.expect("accepted");
    }
    let mut council = FrontDoor::of(&stack, "la.E08000035.front-door").await;
    let mut behind = std::collections::BTreeSet::new();
    while behind.len() < 5 {
        behind.extend(council.receive(16).await.into_iter().map(|received| received.delivery.referral_id));
    }
    let quarantined = until("all of it is in quarantine", || async {
        let metrics = http_get(&stack.broker_metrics(), "/metrics").await?;
        metrics.contains("safeguarding_quarantine_messages 40").then_some(metrics)
    })
    .await;
    assert!(quarantined.contains("safeguarding_quarantined_total{why=\"not_protobuf\"}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_goes_on_when_the_caller_hangs_up() {
    let stack = Stack::start("hangup").await;
    let mut council = FrontDoor::of(&stack, "la.E08000035.front-door").await;
    let school = Sender::of(&stack, "school.999001").await;
    // Connected first, so that what is cut off is the call and not the handshake.
    let mut warm = school.clone();
    let _ = warm.get(&uuid::Uuid::new_v4().to_string()).await;
    let mut given_up = 0;
    for nth in 0..40u64 {
        let mut school = school.clone();
        let mut submission = content("Hung", "Hung up.");
        submission.level = common::Level::InNeed as i32;
        submission.agreement = common::Agreement::Given as i32;
        let call = tokio::time::timeout(std::time::Duration::from_micros(200 + nth * 100), async move {
            school.submit(&key(), submission).await
        });
        given_up += u32::from(call.await.is_err());
    }
    assert!(given_up > 0, "some callers hung up");
    council.next().await;
    // None of them was left half-way: whatever reached the door became a whole case, and nothing is in quarantine.
    let metrics = http_get(&stack.broker_metrics(), "/metrics").await.expect("the broker's metrics");
    assert!(metrics.contains("safeguarding_quarantine_messages 0"));
}
