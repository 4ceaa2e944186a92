//! Nobody else: every party is known by its certificate, a sender speaks only as itself, a front door reads and
//! answers only what is its own. Each refusal has the right code, and nothing is stored.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ErrorKind, ExchangeKind};
use proto::wire::broker::v1 as broker;
use proto::wire::broker::v1::case_service_client::CaseServiceClient;
use proto::wire::childrens_services::v1 as front_door;
use proto::wire::childrens_services::v1::front_door_service_client::FrontDoorServiceClient;
use proto::wire::common::v1 as common;
use proto::wire::police::v1 as police;
use proto::wire::police::v1::police_service_client::PoliceServiceClient;
use proto::wire::referral::v1 as referral;
use proto::wire::referral::v1::referral_service_client::ReferralServiceClient;
use proto::wire::school::v1 as school;
use proto::wire::school::v1::school_service_client::SchoolServiceClient;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tests::client::{FrontDoor, Sender, channel, content, key, person};
use tests::kept::Kept;
use tests::stack::{Stack, certify};
use tests::wait::until;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use transport::amqp::{Management, ManagementFault};

const LEEDS: &str = "la.E08000035.front-door";
const KENT: &str = "la.E10000016.front-door";

/// A refusal of ours has this code, and this stable word for why.
fn refused<T>(what: &str, answer: Result<T, Status>, code: Code, reason: &str) {
    let status = answer.err().expect(what);
    let told = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    assert_eq!((status.code(), told.as_str()), (code, reason), "{what}: {status}");
}

/// A referral below significant harm: at any hour the front door is responsible, whose area the home is in.
fn daytime(home: &str, worry: &str) -> common::Submission {
    let mut submission = content("Sparrow", worry);
    submission.level = common::Level::InNeed as i32;
    submission.agreement = common::Agreement::Given as i32;
    let places = submission.child.as_mut().and_then(|child| child.places.as_mut()).expect("places");
    (places.home, places.located) = (home.to_owned(), home.to_owned());
    submission
}

// ------------------------------------------------------------------------------------------- the handshake

/// What a stranger's client trusts and shows: the right authority, and a certificate out of `folder`, or none.
fn stranger(stack: &Stack, certificate: Option<&Path>) -> ClientConfig {
    transport::tls::install_crypto();
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(stack.node.certificates().join("ca.pem")).expect("the authority");
    roots.add(authority).expect("an authority");
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let Some(folder) = certificate else { return builder.with_no_client_auth() };
    let chain = vec![CertificateDer::from_pem_file(folder.join("school.999001.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(folder.join("school.999001.key")).expect("a key");
    builder.with_client_auth_cert(chain, key).expect("they fit")
}

async fn tls(address: &str, config: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.expect("it listens");
    TlsConnector::from(config).connect(ServerName::try_from("localhost").expect("a name"), stream).await
}

/// What a server's TLS says to a certificate: its alert, or none if it goes on to talk.
async fn alert(address: &str, opening: &[u8], config: ClientConfig) -> Option<String> {
    let mut stream = match tls(address, Arc::new(config)).await {
        Ok(stream) => stream,
        Err(alert) => return Some(alert.to_string()),
    };
    // In TLS 1.3 a client has finished before the server has looked at its certificate: the alert is read.
    let _ = stream.write_all(opening).await;
    let mut answer = [0; 8];
    match stream.read(&mut answer).await {
        Ok(0) => Some("closed without a word".to_owned()),
        Ok(_) => None,
        Err(alert) => Some(alert.to_string()),
    }
}

/// One call with the same certificate.
async fn call_with(stack: &Stack, certificate: Option<&Path>) -> Result<(), Status> {
    let authority = std::fs::read(stack.node.certificates().join("ca.pem")).expect("the authority");
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)).domain_name("localhost");
    if let Some(folder) = certificate {
        let read = |end: &str| std::fs::read(folder.join(format!("school.999001.{end}"))).expect("a certificate");
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

    let before = Kept::by(&stack).await;
    let address = |url: String| url.trim_start_matches("https://").to_owned();
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".as_slice();
    let doors = [
        ("the gateway", address(stack.gateway()), http2),
        ("the broker's own door", address(stack.operate()), http2),
        ("RabbitMQ", stack.node.amqps(), b"AMQP\0\0\x09\x01".as_slice()),
    ];
    for (door, address, opening) in doors {
        let good = alert(&address, opening, stranger(&stack, Some(&stack.node.certificates()))).await;
        assert_eq!(good, None, "{door} talks to a good certificate, so that the rest shows something");
        for (what, folder, word) in [
            ("none", None, "CertificateRequired"),
            ("a foreign one", Some(&foreign), "UnknownCA"),
            ("an old one", Some(&old), "CertificateExpired"),
        ] {
            let said = alert(&address, opening, stranger(&stack, folder.map(AsRef::as_ref))).await;
            assert!(said.as_ref().is_some_and(|said| said.contains(word)), "{door} to {what}: {said:?}");
        }
    }
    for (what, folder) in [("none", None), ("a foreign one", Some(&foreign)), ("an expired one", Some(&old))] {
        let refused = call_with(&stack, folder.map(AsRef::as_ref)).await.expect_err(what);
        // No answer came: the client's own library made the status out of a connection that ended.
        let made_here = std::error::Error::source(&refused).is_some_and(|source| source.is::<tonic::transport::Error>());
        assert!(made_here && refused.details().is_empty(), "{what}: {refused}");
    }
    assert_eq!(Kept::by(&stack).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_certificate_that_names_no_party_is_nobody() {
    let stack = Stack::start("nobody").await;
    // The last two are ours, and have no business at the gateway.
    let names = ["somebody", "school.999001.evil", "SCHOOL.999001", "la.E08000035", "service.adapter", "service.router"];
    certify(&stack.node.certificates(), &[], &names);
    let before = Kept::by(&stack).await;
    for name in names {
        let mut caller = Sender::of(&stack, name).await;
        refused(name, caller.submit(&key(), content("Nobody", "Nothing.")).await, Code::PermissionDenied, "UNKNOWN_PARTY");
    }
    // RabbitMQ lets in nobody whom the broker did not declare, and takes no password from anybody.
    certify(&stack.node.certificates(), &[], &["school.888888"]);
    for name in ["school.888888", "somebody"] {
        assert!(amqp_as(&stack, name).await.is_err(), "{name} has no user");
    }
    for user in ["guest", "school.999001", LEEDS] {
        for password in ["", "guest"] {
            let management = Management::new(stack.node.setting("MANAGEMENT_URL"), user, password).expect("an address");
            let answer = management.get::<Value>("/overview").await;
            assert!(matches!(answer, Err(ManagementFault::NotLetIn { .. })), "{user}: {answer:?}");
        }
    }
    assert_eq!(Kept::by(&stack).await, before);
}

// ----------------------------------------------------------------------------------------------- the doors

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_speaks_only_as_itself() {
    let stack = Stack::start("speaks").await;
    let before = Kept::by(&stack).await;
    let another = || "school.999002".to_owned();
    let mut one = Sender::of(&stack, "school.999001").await;
    let content = || Some(content("Other", "Not mine."));
    let submit = referral::SubmitRequest { idempotency_key: key(), content: content(), sender: another() };
    refused("Submit", one.referrals.submit(submit).await, Code::PermissionDenied, "SENDER_IS_ANOTHER");
    let referral_id = uuid::Uuid::new_v4().to_string();
    let amend = referral::AmendRequest { referral_id, idempotency_key: key(), content: content(), sender: another() };
    refused("Amend", one.referrals.amend(amend).await, Code::PermissionDenied, "SENDER_IS_ANOTHER");

    let mut as_school = SchoolServiceClient::new(channel(&stack, "school.999001").await);
    let named = || Some(school::School { urn: "999002".to_owned(), ..Default::default() });
    let form = school::ReferralForm { school: named(), ..Default::default() };
    let refer = school::ReferRequest { idempotency_key: key(), form: Some(form) };
    refused("Refer", as_school.refer(refer).await, Code::PermissionDenied, "SENDER_IS_ANOTHER");
    let form = school::ConcernForm { school: named(), ..Default::default() };
    let raise = school::RaiseConcernRequest { idempotency_key: key(), form: Some(form) };
    refused("RaiseConcern", as_school.raise_concern(raise).await, Code::PermissionDenied, "SENDER_IS_ANOTHER");
    assert_eq!(Kept::by(&stack).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_party_has_its_own_doors_and_no_other() {
    let stack = Stack::start("doors").await;
    certify(&stack.node.certificates(), &[], &["nhs.RR8", "adult.E08000035"]);
    let before = Kept::by(&stack).await;
    let (denied, why) = (Code::PermissionDenied, "NOT_YOUR_SERVICE");
    for party in ["police.13", "nhs.RR8", LEEDS] {
        let mut at_the_school = SchoolServiceClient::new(channel(&stack, party).await);
        refused(party, at_the_school.refer(school::ReferRequest::default()).await, denied, why);
        refused(party, at_the_school.raise_concern(school::RaiseConcernRequest::default()).await, denied, why);
    }
    for party in ["school.999001", "nhs.RR8", LEEDS] {
        let mut at_the_police = PoliceServiceClient::new(channel(&stack, party).await);
        let notice = police::SendPublicProtectionNoticeRequest::default();
        refused(party, at_the_police.send_public_protection_notice(notice).await, denied, why);
    }
    for party in ["school.999001", "police.13", "nhs.RR8"] {
        let mut desk = FrontDoorServiceClient::new(channel(&stack, party).await);
        refused(party, desk.decide(front_door::DecideRequest::default()).await, denied, why);
        refused(party, desk.transfer(front_door::TransferRequest::default()).await, denied, why);
        refused(party, desk.lift_handling(front_door::LiftHandlingRequest::default()).await, denied, why);
        // Whoever has a queue says that it has what lay there, and nothing about what did not.
        let (empty, why) = (Code::InvalidArgument, "INVALID");
        refused(party, desk.acknowledge(front_door::AcknowledgeRequest::default()).await, empty, why);
        refused(party, desk.collect(front_door::CollectRequest::default()).await, empty, why);
    }
    // Adult services receive, and raise no concern here.
    for party in ["adult.E08000035"] {
        let mut sender = Sender::of(&stack, party).await;
        refused(party, sender.submit(&key(), content("Nobody", "Nothing.")).await, denied, why);
        refused(party, sender.referrals.list(referral::ListRequest::default()).await, denied, why);
    }
    assert_eq!(Kept::by(&stack).await, before);
}

/// A refusal as it came over the wire, but for the moment at which it was made.
fn as_it_came(status: &Status) -> (Code, String, Vec<u8>, Vec<String>) {
    let metadata = status.metadata().clone().into_headers();
    let mut metadata: Vec<String> =
        metadata.iter().filter(|(name, _)| *name != "date").map(|(name, value)| format!("{name}: {value:?}")).collect();
    metadata.sort();
    (status.code(), status.message().to_owned(), status.details().to_vec(), metadata)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_schools_referral_is_not_found_in_the_same_words_as_one_that_never_was() {
    let stack = Stack::start("others").await;
    let mut one = Sender::of(&stack, "school.999001").await;
    let mut two = Sender::of(&stack, "school.999002").await;
    let receipt = one.submit(&key(), daytime("E08000035", "Mine.")).await.expect("accepted");
    let mine = receipt.referral_id.as_str();
    until("it is delivered", || {
        let mut one = one.clone();
        async move { one.get(mine).await.ok().filter(|status| status.stage() == common::Stage::Delivered) }
    })
    .await;
    let before = Kept::by(&stack).await;
    // One that never was looks like one that is: made of a key that nobody used.
    let never = ::referral::ReferralId::of(
        &::referral::Endpoint::parse("school.999002").expect("a school"),
        ::referral::IdempotencyKey::parse(&key()).expect("a key"),
    );
    let never = never.to_string();

    let mut answers = Vec::new();
    for id in [mine, never.as_str(), "not even an id"] {
        let get = two.get(id).await.err().expect("refused");
        assert_eq!(get.code(), Code::NotFound);
        let amend = referral::AmendRequest {
            referral_id: id.to_owned(),
            idempotency_key: key(),
            content: Some(daytime("E08000035", "Not mine.")),
            sender: String::new(),
        };
        let withdraw = referral::WithdrawRequest {
            referral_id: id.to_owned(),
            by: Some(person("Somebody Else")),
            reason: "Not mine.".to_owned(),
        };
        let amend = two.referrals.amend(amend).await.err().expect("refused");
        let withdraw = two.referrals.withdraw(withdraw).await.err().expect("refused");
        answers.push([as_it_came(&get), as_it_came(&amend), as_it_came(&withdraw)]);
    }
    assert_eq!(answers[0], answers[1], "the same to the byte");
    assert_eq!(answers[0][0], answers[2][0], "and what is no id at all is not found either");
    assert_eq!((answers[0][1].0, answers[0][2].0), (Code::NotFound, Code::NotFound));

    // Watching another's is watching nothing: not a word, and not a word that it is another's.
    for id in [mine, never.as_str()] {
        let watch = referral::WatchRequest { after: 0, referral_id: id.to_owned() };
        let mut stream = two.referrals.watch(watch).await.expect("a stream").into_inner();
        let told = tokio::time::timeout(Duration::from_millis(500), stream.message()).await;
        assert!(told.is_err(), "something was told");
    }
    let list = two.referrals.list(referral::ListRequest::default()).await.expect("a list").into_inner();
    assert!(list.referrals.is_empty());
    assert_eq!(Kept::by(&stack).await, before);
    let status = one.get(mine).await.expect("a status");
    assert!(!status.withdrawn && status.stage() == common::Stage::Delivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_door_answers_only_what_it_received_and_only_as_it_received_it() {
    let stack = Stack::start("answers").await;
    let mut one = Sender::of(&stack, "school.999001").await;
    let receipt = one.submit(&key(), daytime("E08000035", "By whom?")).await.expect("accepted");
    let mut leeds = FrontDoor::of(&stack, LEEDS).await;
    let received = leeds.next().await;
    assert_eq!(received.delivery.referral_id, receipt.referral_id);
    until("the queue's confirm is on the ladder", || {
        let (mut one, id) = (one.clone(), receipt.referral_id.clone());
        async move { one.get(&id).await.ok().filter(|status| status.stage() == common::Stage::Delivered) }
    })
    .await;
    let before = Kept::by(&stack).await;

    // Another council, and another desk of the same one; each hears the same as of a delivery that never was.
    let never = uuid::Uuid::new_v4().to_string();
    for desk in [KENT, "la.E08000035.early-help", "la.E08000035.front-door-manager"] {
        let mut outsider = FrontDoor::of(&stack, desk).await;
        let real = || received.answer("An Outsider");
        let unknown = || front_door::Answer { delivery_id: never.clone(), ..received.answer("An Outsider") };
        let acknowledge = [outsider.acknowledge(real()).await, outsider.acknowledge(unknown()).await];
        let collect = [outsider.collect(real()).await, outsider.collect(unknown()).await];
        let nfa = common::Outcome::NoFurtherAction;
        let decide = [outsider.decide(real(), nfa, "Not ours.").await, outsider.decide(unknown(), nfa, "Not ours.").await];
        for [others, never] in [acknowledge, collect, decide] {
            let (others, never) = (others.expect_err("refused"), never.expect_err("refused"));
            assert_eq!(others.code(), Code::NotFound, "{desk}");
            assert_eq!(as_it_came(&others), as_it_came(&never), "{desk}: the same to the byte");
        }
    }
    let altered = || front_door::Answer { digest: vec![7; 32], ..received.answer("Sam Worker") };
    let nfa = common::Outcome::NoFurtherAction;
    refused("other content", leeds.acknowledge(altered()).await, Code::FailedPrecondition, "OTHER_CONTENT");
    refused("other content", leeds.collect(altered()).await, Code::FailedPrecondition, "OTHER_CONTENT");
    refused("other content", leeds.decide(altered(), nfa, "Other.").await, Code::FailedPrecondition, "OTHER_CONTENT");
    let nobody = front_door::Answer { by: None, ..received.answer("") };
    refused("nobody", leeds.acknowledge(nobody).await, Code::InvalidArgument, "INVALID");
    let no_role = common::Practitioner { name: "Sam Worker".to_owned(), ..Default::default() };
    let no_role = front_door::Answer { by: Some(no_role), ..received.answer("") };
    refused("no role", leeds.acknowledge(no_role).await, Code::InvalidArgument, "INVALID");

    assert_eq!(Kept::by(&stack).await, before);
    // And the one who may, can.
    leeds.acknowledge(received.answer("Sam Worker")).await.expect("acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_doors_may_ask_the_broker() {
    let stack = Stack::start("broker-asks").await;
    let asks = |party: &str| {
        let identity = stack.identity(party);
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(identity.ca_pem()))
            .identity(Identity::from_pem(identity.certificate_pem(), identity.key_pem()))
            .domain_name("localhost");
        let channel = Endpoint::from_shared(stack.operate()).expect("an address").tls_config(tls).expect("TLS").connect_lazy();
        CaseServiceClient::new(channel)
    };
    let before = Kept::by(&stack).await;
    for party in ["school.999001", LEEDS, "police.13", "service.router"] {
        let mut asks = asks(party);
        let own = || party.to_owned();
        let any = || uuid::Uuid::new_v4().to_string();
        let list = asks.list(broker::ListRequest { party: own(), page_size: 10, ..Default::default() }).await.map(drop);
        let get = asks.get(broker::GetRequest { party: own(), referral_id: any() }).await.map(drop);
        let watch = asks.watch(broker::WatchRequest { party: own(), ..Default::default() }).await.map(drop);
        let find = asks.find_delivery(broker::FindDeliveryRequest { party: own(), delivery_id: any() }).await.map(drop);
        let content = Some(content("Other", "Only asked."));
        let preview = asks.preview(broker::PreviewRequest { party: own(), content }).await.map(drop);
        for answer in [list, get, watch, find, preview] {
            assert_eq!(answer.expect_err("refused").code(), Code::PermissionDenied, "{party}");
        }
    }
    let list = broker::ListRequest { party: "school.999001".to_owned(), page_size: 10, ..Default::default() };
    asks("service.adapter").list(list).await.expect("the doors may");
    assert_eq!(Kept::by(&stack).await, before);
}

// ---------------------------------------------------------------------------------------------- the queues

/// A client that does as it likes, with a party's own certificate: lapin, over a tunnel that adds the TLS.
async fn amqp_as(stack: &Stack, party: &str) -> lapin::Result<Connection> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (address, config) = (stack.node.amqps(), stack.identity(party).client_config());
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.expect("a connection");
        if let Ok(mut far) = tls(&address, config).await {
            // Ends when either side does.
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
    });
    let uri = format!("amqp://127.0.0.1:{port}/{}?auth_mechanism=external", stack.vhost);
    Connection::connect(&uri, ConnectionProperties::default()).await
}

/// What a party could try on queues and exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt<'a> {
    Read(&'a str),
    Consume(&'a str),
    Purge(&'a str),
    Delete(&'a str),
    Declare(&'a str),
    DeclareExchange(&'a str),
    DeleteExchange(&'a str),
    Bind { queue: &'a str, exchange: &'a str, key: &'a str },
    Publish { exchange: &'a str, key: &'a str },
}

impl Attempt<'_> {
    /// Tried on a channel of its own: RabbitMQ closes the one on which it refuses.
    async fn on(self, connection: &Connection) -> lapin::Result<()> {
        let channel = connection.create_channel().await.expect("a channel");
        let none = FieldTable::default;
        match self {
            Attempt::Read(queue) => channel.basic_get(queue.into(), BasicGetOptions::default()).await.map(drop),
            Attempt::Consume(queue) => {
                channel.basic_consume(queue.into(), "".into(), BasicConsumeOptions::default(), none()).await.map(drop)
            }
            Attempt::Purge(queue) => channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await.map(drop),
            Attempt::Delete(queue) => channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.map(drop),
            Attempt::Declare(queue) => {
                let durable = QueueDeclareOptions { durable: true, ..Default::default() };
                channel.queue_declare(queue.into(), durable, none()).await.map(drop)
            }
            Attempt::DeclareExchange(name) => {
                channel.exchange_declare(name.into(), ExchangeKind::Fanout, ExchangeDeclareOptions::default(), none()).await
            }
            Attempt::DeleteExchange(name) => channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await,
            Attempt::Bind { queue, exchange, key } => {
                channel.queue_bind(queue.into(), exchange.into(), key.into(), QueueBindOptions::default(), none()).await
            }
            Attempt::Publish { exchange, key } => {
                channel.confirm_select(ConfirmSelectOptions::default()).await?;
                let options = BasicPublishOptions { mandatory: true, ..Default::default() };
                channel.basic_publish(exchange.into(), key.into(), options, b"forged", Default::default()).await?.await.map(drop)
            }
        }
    }
}

/// Everything that the party whose queue is `own` could try: none of it is its to do.
fn attempts<'a>(own: &'a str, other: &'a str) -> Vec<Attempt<'a>> {
    let key = |queue: &'a str| queue.trim_start_matches("delivery.");
    let mut attempts = Vec::new();
    for queue in [other, "intake.0", "quarantine", "unrouted"] {
        attempts.extend([Attempt::Read(queue), Attempt::Consume(queue), Attempt::Purge(queue), Attempt::Delete(queue)]);
    }
    attempts.extend([
        Attempt::Delete(own),
        Attempt::Declare("mine"),
        Attempt::Declare("delivery.la.E09000099.front-door"),
        Attempt::Declare(""),
    ]);
    attempts.extend([Attempt::DeclareExchange("mine"), Attempt::DeleteExchange("safeguarding.delivery")]);
    attempts.extend([
        Attempt::Bind { queue: own, exchange: "safeguarding.delivery", key: key(other) },
        Attempt::Bind { queue: other, exchange: "safeguarding.delivery", key: "mine" },
        Attempt::Bind { queue: own, exchange: "safeguarding.intake", key: "0" },
    ]);
    let roads = [
        ("safeguarding.intake", "0"),
        ("safeguarding.delivery", key(other)),
        ("safeguarding.delivery", key(own)),
        ("safeguarding.quarantine", "quarantine"),
        ("safeguarding.unrouted", ""),
        ("", own),
        ("", other),
        ("", "intake.0"),
        ("amq.direct", other),
        ("amq.fanout", ""),
        ("amq.topic", "#"),
    ];
    attempts.extend(roads.map(|(exchange, key)| Attempt::Publish { exchange, key }));
    attempts
}

/// RabbitMQ refuses access, and says so.
async fn is_refused(party: &str, connection: &Connection, attempt: Attempt<'_>) {
    let fault = attempt.on(connection).await.expect_err(&format!("{party} may not {attempt:?}"));
    let ErrorKind::ProtocolError(refusal) = fault.kind() else { panic!("{party}, {attempt:?}: {fault}") };
    assert_eq!(refusal.get_id(), 403, "{party}, {attempt:?}: {fault}");
}

/// What there is in the virtual host: names, kinds, arguments, bindings and permissions.
async fn topology(stack: &Stack) -> Vec<Value> {
    let management = stack.node.management();
    let mut there = Vec::new();
    for path in [
        format!("/queues/{}?columns=name,durable,arguments", stack.vhost),
        format!("/exchanges/{}?columns=name,type,durable,arguments", stack.vhost),
        format!("/bindings/{}", stack.vhost),
        format!("/vhosts/{}/permissions", stack.vhost),
    ] {
        let mut listed: Vec<Value> = management.get(&path).await.expect("a listing");
        listed.sort_by_key(ToString::to_string);
        there.extend(listed);
    }
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_reads_its_own_queue_and_can_do_nothing_else_to_any() {
    let stack = Stack::start("queues").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let for_leeds = school.submit(&key(), daytime("E08000035", "For Leeds only.")).await.expect("accepted").referral_id;
    let for_kent = school.submit(&key(), daytime("E10000016", "For Kent only.")).await.expect("accepted").referral_id;
    for id in [&for_leeds, &for_kent] {
        until("it is delivered", || {
            let mut school = school.clone();
            async move { school.get(id).await.ok().filter(|status| status.stage() == common::Stage::Delivered) }
        })
        .await;
    }
    let (before, there) = (Kept::by(&stack).await, topology(&stack).await);

    for party in [KENT, "school.999001", "police.13"] {
        let connection = amqp_as(&stack, party).await.expect("its certificate is good");
        let (own, other) = (format!("delivery.{party}"), format!("delivery.{LEEDS}"));
        for attempt in attempts(&own, &other) {
            is_refused(party, &connection, attempt).await;
        }
        Attempt::Read(&own).on(&connection).await.expect("its own is open to it");
        // What was looked at and not settled goes back with the connection.
        drop(connection);
    }

    assert_eq!(topology(&stack).await, there, "nothing was declared, deleted or bound");
    assert_eq!(Kept::by(&stack).await, before, "nothing came from anywhere");
    // Nothing was taken, and nothing forged: each queue holds the one referral that was sent to it.
    for (council, id) in [(LEEDS, for_leeds), (KENT, for_kent)] {
        let mut desk = FrontDoor::of(&stack, council).await;
        assert_eq!(desk.next().await.delivery.referral_id, id, "{council}");
        let more = tokio::time::timeout(Duration::from_secs(1), desk.receive(1)).await;
        assert!(more.is_err(), "{council} received something more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_programs_can_do_no_more_than_their_work_takes() {
    let stack = Stack::start("services").await;
    let (before, there) = (Kept::by(&stack).await, topology(&stack).await);
    // A door that faces the world can put something on the intake and read nothing. The broker can read what was put
    // there and deliver; it cannot put anything there, so it cannot invent a referral.
    let broker_reads = ["intake.0", "quarantine", "unrouted"];
    let may = |party: &str, attempt: Attempt<'_>| match attempt {
        Attempt::Read(queue) | Attempt::Consume(queue) | Attempt::Purge(queue) => {
            party == "service.router" && broker_reads.contains(&queue)
        }
        Attempt::Publish { exchange: "safeguarding.intake", .. } => party == "service.adapter",
        Attempt::Publish { exchange: "safeguarding.delivery" | "safeguarding.quarantine", .. } => party == "service.router",
        _ => false,
    };
    let (own, other) = (format!("delivery.{KENT}"), format!("delivery.{LEEDS}"));
    for party in ["service.adapter", "service.router"] {
        let connection = amqp_as(&stack, party).await.expect("its certificate is good");
        for attempt in attempts(&own, &other).into_iter().filter(|attempt| !may(party, *attempt)) {
            is_refused(party, &connection, attempt).await;
        }
    }
    assert_eq!(topology(&stack).await, there);
    assert_eq!(Kept::by(&stack).await, before);
}
