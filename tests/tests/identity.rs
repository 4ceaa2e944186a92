//! Nobody else: every party is known by its certificate, a sender speaks only as itself, a front door reads and
//! answers only what is its own. Each refusal has the right code, and nothing is stored.

use proto::wire::broker::v1 as broker;
use proto::wire::broker::v1::case_service_client::CaseServiceClient;
use proto::wire::childrens_services::v1::front_door_service_client::FrontDoorServiceClient;
use proto::wire::childrens_services::v1::{AcknowledgeRequest, Answer};
use proto::wire::referral::v1 as referral;
use proto::wire::referral::v1::referral_service_client::ReferralServiceClient;
use proto::wire::school::v1 as school;
use proto::wire::school::v1::school_service_client::SchoolServiceClient;
use tests::client::{FrontDoor, Sender, channel, content, key, person};
use tests::stack::{Stack, certify, http_get};
use tests::wait::until;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};
use transport::amqp::{Consumer, Message, Meters, Nodes, NotConfirmed, Publisher, Road, Subscription};
use transport::tls::Files;

async fn nothing_is_stored(stack: &Stack) {
    let metrics = http_get(&stack.broker_metrics(), "/metrics").await.expect("the broker's metrics");
    let open = metrics.lines().find(|line| line.starts_with("safeguarding_open_referrals ")).expect("the gauge");
    assert_eq!(open, "safeguarding_open_referrals 0");
    let mut school = Sender::of(stack, "school.999001").await;
    let list =
        school.referrals.list(referral::ListRequest { page_size: 10, ..Default::default() }).await.expect("a list").into_inner();
    assert!(list.referrals.is_empty());
}

/// One call with a certificate out of `folder`, or with none.
async fn call_with(stack: &Stack, certificate: Option<(&std::path::Path, &str)>) -> Result<(), Status> {
    let authority = std::fs::read(stack.node.certificates().join("ca.pem")).expect("the authority");
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)).domain_name("localhost");
    if let Some((folder, party)) = certificate {
        let read = |end: &str| std::fs::read(folder.join(format!("{party}.{end}"))).expect("a certificate");
        tls = tls.identity(Identity::from_pem(read("pem"), read("key")));
    }
    let channel = Endpoint::from_shared(stack.gateway()).expect("an address").tls_config(tls).expect("TLS").connect_lazy();
    let request =
        referral::SubmitRequest { idempotency_key: key(), content: Some(content("Nobody", "Nothing.")), sender: String::new() };
    ReferralServiceClient::new(channel).submit(request).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_good_certificate_does_not_get_past_the_handshake() {
    let stack = Stack::start("certificates").await;
    let (foreign, old) = (stack.folder.join("foreign"), stack.folder.join("old"));
    certify(&foreign, &[], &["school.999001"]);
    // Signed by the right authority, and out of date.
    std::fs::create_dir_all(&old).expect("a folder");
    for file in ["ca.pem", "ca.key"] {
        std::fs::copy(stack.node.certificates().join(file), old.join(file)).expect("the authority");
    }
    certify(&old, &["--expired"], &["school.999001"]);
    for (what, certificate) in [
        ("none", None),
        ("a foreign one", Some((foreign.as_path(), "school.999001"))),
        ("an expired one", Some((old.as_path(), "school.999001"))),
    ] {
        let refused = call_with(&stack, certificate).await.expect_err(what);
        // In TLS 1.3 the client learns of the refusal only when it reads: UNAVAILABLE, or a broken pipe. Either way no
        // handler of ours answered, or it would have been another code.
        assert!(matches!(refused.code(), Code::Unavailable | Code::Unknown), "{what}: {refused}");
        assert!(refused.details().is_empty(), "{what}: nobody of ours spoke");
    }
    nothing_is_stored(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_speaks_only_as_itself_and_only_at_its_own_door() {
    let stack = Stack::start("speaks").await;
    let mut one = Sender::of(&stack, "school.999001").await;
    let named = referral::SubmitRequest {
        idempotency_key: key(),
        content: Some(content("Other", "Not mine.")),
        sender: "school.999002".to_owned(),
    };
    assert_eq!(one.referrals.submit(named).await.err().expect("refused").code(), Code::PermissionDenied);

    let mut as_school = SchoolServiceClient::new(channel(&stack, "school.999001").await);
    let form = school::ReferralForm {
        school: Some(school::School { urn: "999002".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    let refused =
        as_school.refer(school::ReferRequest { idempotency_key: key(), form: Some(form) }).await.err().expect("refused");
    assert_eq!(refused.code(), Code::PermissionDenied);

    for party in ["police.13", "la.E08000035.front-door"] {
        let mut stranger = SchoolServiceClient::new(channel(&stack, party).await);
        assert_eq!(
            stranger.refer(school::ReferRequest::default()).await.err().expect("refused").code(),
            Code::PermissionDenied,
            "{party}"
        );
    }
    let mut school_at_the_desk = FrontDoorServiceClient::new(channel(&stack, "school.999001").await);
    assert_eq!(
        school_at_the_desk.acknowledge(AcknowledgeRequest::default()).await.err().expect("refused").code(),
        Code::PermissionDenied
    );
    nothing_is_stored(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_schools_referral_is_not_found_in_the_same_words_as_one_that_never_was() {
    let stack = Stack::start("others").await;
    let mut one = Sender::of(&stack, "school.999001").await;
    let mut two = Sender::of(&stack, "school.999002").await;
    let receipt = one.submit(&key(), content("Mine", "Mine.")).await.expect("accepted");
    until("it is known", || {
        let mut one = one.clone();
        let id = receipt.referral_id.clone();
        async move { one.get(&id).await.ok() }
    })
    .await;
    let others = two.get(&receipt.referral_id).await.err().expect("refused");
    let unknown = two.get(&uuid::Uuid::new_v4().to_string()).await.err().expect("refused");
    assert_eq!((others.code(), others.message(), others.details()), (unknown.code(), unknown.message(), unknown.details()));
    let withdraw = referral::WithdrawRequest {
        referral_id: receipt.referral_id.clone(),
        by: Some(person("Somebody Else")),
        reason: "Not mine.".to_owned(),
    };
    assert_eq!(two.referrals.withdraw(withdraw).await.err().expect("refused").code(), Code::NotFound);
    assert!(!one.get(&receipt.referral_id).await.expect("a status").withdrawn);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_door_answers_only_what_it_received_and_only_as_it_received_it() {
    let stack = Stack::start("answers").await;
    let mut one = Sender::of(&stack, "school.999001").await;
    let mut submission = content("Answered", "By whom?");
    submission.level = proto::wire::common::v1::Level::InNeed as i32;
    submission.agreement = proto::wire::common::v1::Agreement::Given as i32;
    let receipt = one.submit(&key(), submission).await.expect("accepted");
    let mut leeds = FrontDoor::of(&stack, "la.E08000035.front-door").await;
    let received = leeds.next().await;
    assert_eq!(received.delivery.referral_id, receipt.referral_id);

    let mut kent = FrontDoor::of(&stack, "la.E10000016.front-door").await;
    assert_eq!(kent.acknowledge(received.answer("An Outsider")).await.err().expect("refused").code(), Code::NotFound);
    let altered = Answer { digest: vec![7; 32], ..received.answer("Sam Worker") };
    assert_eq!(leeds.acknowledge(altered).await.err().expect("refused").code(), Code::FailedPrecondition);
    let nobody = Answer { by: None, ..received.answer("") };
    assert_eq!(leeds.acknowledge(nobody).await.err().expect("refused").code(), Code::InvalidArgument);
    let status = one.get(&receipt.referral_id).await.expect("a status");
    assert!(
        status.recipients.iter().all(|recipient| recipient.stage() as i32 <= proto::wire::common::v1::Stage::Delivered as i32)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_doors_may_ask_the_broker() {
    let stack = Stack::start("broker-asks").await;
    let identity = stack.identity("school.999001");
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(identity.ca_pem()))
        .identity(Identity::from_pem(identity.certificate_pem(), identity.key_pem()))
        .domain_name("localhost");
    let channel = Endpoint::from_shared(stack.operate()).expect("an address").tls_config(tls).expect("TLS").connect_lazy();
    let ask = broker::ListRequest { party: "school.999001".to_owned(), page_size: 10, ..Default::default() };
    assert_eq!(CaseServiceClient::new(channel).list(ask).await.err().expect("refused").code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_reads_its_own_queue_and_writes_nothing() {
    let stack = Stack::start("queues").await;
    let own = "la.E10000016.front-door";
    let publisher = Publisher::start(stack.nodes(own), "stranger", Meters::unread());
    assert!(publisher.opens_within(tests::wait::PATIENCE).await, "its certificate is good");
    for exchange in ["safeguarding.intake", "safeguarding.delivery", "safeguarding.quarantine", "safeguarding.unrouted", ""] {
        let message = Message {
            id: key(),
            kind: "forged".to_owned(),
            content_type: "text/plain".to_owned(),
            headers: vec![],
            timestamp: None,
            body: b"forged".as_slice().into(),
        };
        let outcome = publisher.publish(Road::new(exchange, "0"), message).await;
        assert!(
            matches!(outcome, Err(NotConfirmed::NoAnswer | NotConfirmed::NotConnected | NotConfirmed::Unroutable)),
            "{exchange}: {outcome:?}"
        );
    }
    // Another's queue, with a valid certificate: RabbitMQ refuses, and nothing ever comes.
    let subscription =
        Subscription { queues: vec!["delivery.la.E08000035.front-door".to_owned()], prefetch: 1, name: "stranger".to_owned() };
    let mut reader = Consumer::subscribe(stack.nodes(own), subscription, Meters::unread());
    let mut school = Sender::of(&stack, "school.999001").await;
    let mut submission = content("Private", "For Leeds only.");
    submission.level = proto::wire::common::v1::Level::InNeed as i32;
    submission.agreement = proto::wire::common::v1::Agreement::Given as i32;
    school.submit(&key(), submission).await.expect("accepted");
    let mut leeds = FrontDoor::of(&stack, "la.E08000035.front-door").await;
    let read = tokio::select! {
        stolen = reader.next(1) => Err(stolen.len()),
        received = leeds.next() => Ok(received),
    };
    assert!(read.is_ok(), "Leeds received it, and the stranger did not");
    nothing_forged(&stack).await;
}

async fn nothing_forged(stack: &Stack) {
    let metrics = http_get(&stack.broker_metrics(), "/metrics").await.expect("the broker's metrics");
    assert!(metrics.contains("safeguarding_quarantine_messages 0"), "a forged message reached a queue of the broker's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_rabbitmq_does_not_know_is_not_let_in() {
    let stack = Stack::start("unknown-user").await;
    certify(&stack.node.certificates(), &[], &["school.888888"]);
    let folder = stack.node.certificates();
    let files =
        Files { ca: folder.join("ca.pem"), certificate: folder.join("school.888888.pem"), key: folder.join("school.888888.key") };
    let identity = transport::tls::Identity::load(&files).expect("a certificate");
    let nodes = Nodes::new([stack.node.amqps()], stack.vhost.clone(), "localhost", identity).expect("nodes");
    let publisher = Publisher::start(nodes, "unknown", Meters::unread());
    assert!(!publisher.opens_within(std::time::Duration::from_secs(5)).await);
}
