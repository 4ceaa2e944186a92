//! Bad input: every wrong field named at once, no value repeated; what is too much is refused and what is too late
//! is answered in time; what cannot be read waits in quarantine, and what is behind it goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use prost::Message as _;
use proto::wire::childrens_services::v1 as front_door;
use proto::wire::common::v1 as common;
use proto::wire::common::v1::information_item::Body;
use proto::wire::delivery::v1 as delivery;
use proto::wire::events::v1 as events;
use proto::wire::referral::v1 as referral;
use proto::wire::school::v1 as school;
use proto::wire::school::v1::school_service_client::SchoolServiceClient;
use rustls::pki_types::ServerName;
use tests::client::{FrontDoor, Sender, channel, content, key, person};
use tests::kept::Kept;
use tests::road::Road as RoadToRabbitMq;
use tests::stack::{Node, Stack, http_get};
use tests::wait::{PATIENCE, until};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use transport::amqp::{Message, Meters, Publisher, Road};

const LEEDS: &str = "la.E08000035.front-door";
const SCHOOL: &str = "school.999001";

/// A referral below significant harm: at any hour it goes to the front door in Leeds.
fn daytime(family: &str, worry: &str) -> common::Submission {
    let mut submission = content(family, worry);
    submission.level = common::Level::InNeed as i32;
    submission.agreement = common::Agreement::Given as i32;
    submission
}

fn identity_of(submission: &mut common::Submission) -> &mut common::Identity {
    submission.child.as_mut().and_then(|child| child.identity.as_mut()).expect("an identity")
}

// ------------------------------------------------------------------------------------------------- fields

/// Every wrong field of a refusal. It says who has to act, invites no retry, and repeats nothing that was planted.
fn wrong_fields(refused: &Status) -> BTreeSet<String> {
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    let info = refused.get_details_error_info().expect("who has to act");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID", "safeguarding"));
    assert_eq!(info.metadata.get("who_acts").map(String::as_str), Some("SENDER"));
    assert!(refused.get_details_retry_info().is_none(), "a retry cannot help");
    let told = format!("{} {}", refused.message(), String::from_utf8_lossy(refused.details())).to_lowercase();
    for value in ["kestrel", "9990000001", "2099"] {
        assert!(!told.contains(value), "a value is repeated: {value}");
    }
    let violations = refused.get_details_bad_request().expect("every fault").field_violations;
    for violation in &violations {
        assert!(!violation.description.is_empty() && !violation.reason.is_empty(), "{} says why", violation.field);
    }
    let fields: BTreeSet<String> = violations.iter().map(|violation| violation.field.clone()).collect();
    assert_eq!(fields.len(), violations.len(), "each is said once");
    fields
}

fn named(fields: &[&str]) -> BTreeSet<String> {
    fields.iter().map(|field| (*field).to_owned()).collect()
}

fn bad_attachment() -> common::Attachment {
    common::Attachment { reference: " ".to_owned(), media_type: "kestrel".to_owned(), sha256: b"kestrel".to_vec() }
}

/// A submission in which whatever can be wrong is.
fn all_wrong() -> common::Submission {
    let wrong = || "kestrel".to_owned();
    let mut submission = daytime("Kestrel", "Kestrel's worry.");
    (submission.kind, submission.harm, submission.harm_place) = (0, 9_999, 0);
    (submission.agreement, submission.duty_decision) = (77, 0);
    submission.addressed_to = "kestrel's council".to_owned();
    submission.handling = vec![common::HandlingFlag::NotForFamily as i32, 99];
    submission.referrer = Some(common::Practitioner { contact: wrong(), ..Default::default() });
    submission.further_children = vec![common::Child::default()];
    let child = submission.child.as_mut().expect("a child");
    let identity = child.identity.as_mut().expect("an identity");
    (identity.nhs_number, identity.upn, identity.mother_nhs_number) = ("9990000001".to_owned(), wrong(), wrong());
    identity.age = Some(common::identity::Age::DateOfBirth("2099-01-01".to_owned()));
    child.address = Some(common::Address { postcode: wrong(), uprn: wrong(), ..Default::default() });
    let area = wrong;
    child.places = Some(common::Places {
        home: area(),
        located: area(),
        placing: area(),
        plan_holder: area(),
        enquiry: area(),
        open_case: area(),
        other_home: area(),
    });
    let field = common::Field { name: "Kestrel's name".to_owned(), value: wrong() };
    let item = |body| common::InformationItem {
        category: common::Category::ChildHealth as i32,
        subject: common::Subject::Child as i32,
        knowledge: common::Knowledge::Direct as i32,
        body: Some(body),
        ..Default::default()
    };
    submission.items = vec![
        common::InformationItem { about_child: Some(7), handling: vec![0], ..Default::default() },
        item(Body::Fields(common::Fields { fields: vec![field] })),
        item(Body::Attachment(bad_attachment())),
        item(Body::Text(" \n".to_owned())),
        item(Body::Text("kestrel".repeat(10_000))),
    ];
    submission
}

const ALL_WRONG: &[&str] = &[
    "content.kind",
    "content.harm",
    "content.harm_place",
    "content.agreement",
    "content.duty_decision",
    "content.addressed_to",
    "content.handling[1]",
    "content.referrer.name",
    "content.further_children[0].identity",
    "content.child.identity.nhs_number",
    "content.child.identity.upn",
    "content.child.identity.mother_nhs_number",
    "content.child.identity.date_of_birth",
    "content.child.address.postcode",
    "content.child.address.uprn",
    "content.child.places.home",
    "content.child.places.located",
    "content.child.places.placing",
    "content.child.places.plan_holder",
    "content.child.places.enquiry",
    "content.child.places.open_case",
    "content.child.places.other_home",
    "content.items[0].category",
    "content.items[0].subject",
    "content.items[0].knowledge",
    "content.items[0].handling[0]",
    "content.items[0].about_child",
    "content.items[0].body",
    "content.items[1].fields.fields[0].name",
    "content.items[2].attachment.reference",
    "content.items[2].attachment.media_type",
    "content.items[2].attachment.sha256",
    "content.items[3].text",
    "content.items[4].text",
];

/// A submission in good order but for its circumstances, of which everything is wrong.
fn wrong_circumstances() -> common::Submission {
    let wrong = || "kestrel".to_owned();
    let mut submission = daytime("Kestrel", "Kestrel's worry.");
    let child = submission.child.as_mut().expect("a child");
    child.circumstances = Some(common::ChildCircumstances {
        school_urn: wrong(),
        arrangement_days: Some(70_000),
        carer: 99,
        trace: 99,
        ..Default::default()
    });
    submission.circumstances = Some(common::Circumstances {
        reporter: 99,
        employer_area: wrong(),
        contacts_in_28_days: 70_000,
        claimed_basis: 99,
        rating: 99,
        happened: wrong(),
        referral_received: wrong(),
        next_school_day: wrong(),
        outcome: 99,
        reply_to: wrong(),
        tell: vec![wrong()],
        ..Default::default()
    });
    submission
}

const WRONG_CIRCUMSTANCES: &[&str] = &[
    "content.child.circumstances.school_urn",
    "content.child.circumstances.arrangement_days",
    "content.child.circumstances.carer",
    "content.child.circumstances.trace",
    "content.circumstances.reporter",
    "content.circumstances.employer_area",
    "content.circumstances.contacts_in_28_days",
    "content.circumstances.claimed_basis",
    "content.circumstances.rating",
    "content.circumstances.happened",
    "content.circumstances.referral_received",
    "content.circumstances.next_school_day",
    "content.circumstances.outcome",
    "content.circumstances.reply_to",
    "content.circumstances.tell[0]",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_field_is_named_at_once_and_no_value_is_repeated() {
    let stack = Stack::start("fields").await;
    let before = Kept::by(&stack).await;
    let mut sender = Sender::of(&stack, SCHOOL).await;

    let with = |more: &[&str]| named(&[ALL_WRONG, more].concat());
    let submitted = sender.submit("not-a-uuid-kestrel", all_wrong()).await.err().expect("refused");
    assert_eq!(wrong_fields(&submitted), with(&["idempotency_key"]));
    let said = sender.submit(&key(), wrong_circumstances()).await.err().expect("refused");
    assert_eq!(wrong_fields(&said), named(WRONG_CIRCUMSTANCES));
    let preview = referral::PreviewRequest { content: Some(all_wrong()) };
    assert_eq!(wrong_fields(&sender.referrals.preview(preview).await.err().expect("refused")), with(&[]));
    let amend = referral::AmendRequest {
        referral_id: "kestrel".to_owned(),
        idempotency_key: "kestrel".to_owned(),
        content: Some(all_wrong()),
        sender: String::new(),
    };
    let amended = sender.referrals.amend(amend).await.err().expect("refused");
    assert_eq!(wrong_fields(&amended), with(&["referral_id", "idempotency_key"]));

    let empty = sender.submit("", common::Submission::default()).await.err().expect("refused");
    let least = ["kind", "level", "harm", "harm_place", "child", "agreement", "duty_decision", "referrer"];
    let least: Vec<String> = least.iter().map(|field| format!("content.{field}")).chain(["idempotency_key".to_owned()]).collect();
    assert_eq!(wrong_fields(&empty), least.into_iter().collect());

    let withdraw = referral::WithdrawRequest { referral_id: "kestrel".to_owned(), by: Some(person(" ")), reason: String::new() };
    let withdrawn = sender.referrals.withdraw(withdraw).await.err().expect("refused");
    assert_eq!(wrong_fields(&withdrawn), named(&["referral_id", "by.name", "reason"]));

    // More than fits into a status: the first are named, and the last says that there are others.
    let mut many = daytime("Kestrel", "Kestrel's worry.");
    many.items = vec![common::InformationItem::default(); 150];
    let many = sender.submit(&key(), many).await.err().expect("refused");
    let violations = many.get_details_bad_request().expect("the first faults").field_violations;
    assert!(violations.len() > 10 && violations.last().is_some_and(|last| last.description.contains("more")));

    let mut desk = front_door::front_door_service_client::FrontDoorServiceClient::new(channel(&stack, LEEDS).await);
    let answer = || Some(front_door::Answer { delivery_id: "kestrel".to_owned(), digest: vec![1], by: Some(person("")) });
    let acknowledged = desk.acknowledge(front_door::AcknowledgeRequest { answer: answer() }).await.err().expect("refused");
    assert_eq!(wrong_fields(&acknowledged), named(&["answer.delivery_id", "answer.digest", "answer.by.name"]));
    let decide = front_door::DecideRequest { answer: answer(), outcome: 99, reason: " ".to_owned() };
    let decided = desk.decide(decide).await.err().expect("refused");
    assert_eq!(wrong_fields(&decided), named(&["answer.delivery_id", "answer.digest", "answer.by.name", "outcome", "reason"]));

    assert_eq!(Kept::by(&stack).await, before, "nothing was stored");
}

fn statement(text: &str) -> Option<school::Statement> {
    Some(school::Statement { text: text.to_owned(), ..Default::default() })
}

/// A school's form about a child in Leeds, in need, in good order.
fn form() -> school::ReferralForm {
    let daytime = daytime("Kestrel", "");
    let child = daytime.child.expect("a child");
    school::ReferralForm {
        school: Some(school::School {
            urn: "999001".to_owned(),
            designated_safeguarding_lead: Some(person("Dora Lead")),
            ..Default::default()
        }),
        pupil: Some(school::Pupil { identity: child.identity, places: child.places, ..Default::default() }),
        consent: Some(school::Consent { agreement: common::Agreement::Given as i32, ..Default::default() }),
        level: common::Level::InNeed as i32,
        harm: common::HarmType::Neglect as i32,
        account: vec![school::AccountPart {
            topic: school::Topic::Worry as i32,
            statement: statement("Kestrel comes to school hungry."),
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schools_form_is_refused_by_its_own_fields_all_at_once() {
    let stack = Stack::start("form").await;
    let before = Kept::by(&stack).await;
    let mut schools = SchoolServiceClient::new(channel(&stack, SCHOOL).await);
    let wrong = || "kestrel".to_owned();
    let mut form = form();
    let own = form.school.as_mut().expect("a school");
    (own.urn, own.dfe_number, own.designated_safeguarding_lead) = (wrong(), wrong(), None);
    form.referrer = Some(school::Referrer { person: Some(person(" ")), ..Default::default() });
    let pupil = form.pupil.as_mut().expect("a pupil");
    let identity = pupil.identity.as_mut().expect("an identity");
    (identity.nhs_number, identity.family_name) = ("9990000001".to_owned(), String::new());
    pupil.places.as_mut().expect("places").home = wrong();
    pupil.record = Some(school::SchoolRecord { attendance_percent: Some(140.0), ..Default::default() });
    form.further_pupils = vec![school::Pupil::default()];
    (form.consent, form.harm, form.addressed_to, form.handling) = (None, 9_999, wrong(), vec![99]);
    form.account.push(school::AccountPart { statement: statement("kestrel"), ..Default::default() });
    form.account.push(school::AccountPart { topic: school::Topic::Worry as i32, ..Default::default() });
    form.documents =
        vec![school::Document { topic: school::Topic::Worry as i32, attachment: Some(bad_attachment()), ..Default::default() }];
    let request = school::ReferRequest { idempotency_key: wrong(), form: Some(form) };
    let refused = schools.refer(request).await.err().expect("refused");
    assert_eq!(
        wrong_fields(&refused),
        named(&[
            "idempotency_key",
            "form.school.urn",
            "form.school.dfe_number",
            "form.school.designated_safeguarding_lead.name",
            "form.referrer.person.name",
            "form.pupil.identity.nhs_number",
            "form.pupil.places.home",
            "form.pupil.record.attendance_percent",
            "form.further_pupils[0].identity",
            "form.consent",
            "form.harm",
            "form.addressed_to",
            "form.handling[0]",
            "form.account[1].topic",
            "form.account[2].statement.text",
            "form.documents[0]",
        ])
    );

    let short = school::ConcernForm { level: common::Level::InNeed as i32, ..Default::default() };
    let request = school::RaiseConcernRequest { idempotency_key: wrong(), form: Some(short) };
    let refused = schools.raise_concern(request).await.err().expect("refused");
    let fields = wrong_fields(&refused);
    for field in ["idempotency_key", "form.school", "form.pupil", "form.worry.text"] {
        assert!(fields.contains(field), "{field} is named among {fields:?}");
    }
    assert_eq!(Kept::by(&stack).await, before, "nothing was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_identifier_is_refused_where_nothing_else_tells_the_child_apart_and_else_flagged_and_the_referral_goes() {
    let stack = Stack::start("identifier").await;
    let mut sender = Sender::of(&stack, SCHOOL).await;
    let wrong = |mut submission: common::Submission| {
        identity_of(&mut submission).nhs_number = "9990000001".to_owned();
        submission
    };
    let mut nameless = wrong(daytime("Merlin", "Below."));
    identity_of(&mut nameless).family_name.clear();
    let refused = sender.submit(&key(), nameless).await.err().expect("refused");
    assert_eq!(wrong_fields(&refused), named(&["content.child.identity.nhs_number"]));
    let violations = refused.get_details_bad_request().expect("the fault").field_violations;
    assert_eq!(violations.first().map(|violation| violation.reason.as_str()), Some("ID_01"), "by its rule");

    let receipt = sender.submit(&key(), wrong(content("Merlin", "At significant harm."))).await.expect("accepted");
    let status = until("it is delivered", || {
        let (mut sender, id) = (sender.clone(), receipt.referral_id.clone());
        async move { sender.get(&id).await.ok().filter(|status| status.stage() == common::Stage::Delivered) }
    })
    .await;
    let routed = status.ladder.iter().find_map(|entry| match &entry.step {
        Some(common::progress_entry::Step::Routed(routed)) => Some(routed.clone()),
        _ => None,
    });
    assert!(
        routed.expect("it was routed").flags.iter().any(|flag| flag == "identifier_invalid:nhs_number"),
        "the sender is told"
    );
    let desk = status.recipients.iter().find(|recipient| recipient.role() == common::RecipientRole::Responsible);
    let received = FrontDoor::of(&stack, &desk.expect("somebody is responsible").endpoint).await.next().await;
    assert!(received.delivery.flags.iter().any(|flag| flag == "identifier_invalid:nhs_number"), "so is the council");
    assert!(received.delivery.rendering.contains("At significant harm."));
    sender.submit(&key(), wrong(daytime("Merlin", "Known by name and age."))).await.expect("accepted: it is only flagged");
}

// -------------------------------------------------------------------------------- too much, and too late

/// A caller without a library: what a library would do about deadlines and limits is left to the door.
struct Caller(SendRequest<Bytes>);

impl Caller {
    async fn of(stack: &Stack, party: &str) -> Caller {
        let stream = TcpStream::connect(stack.gateway().trim_start_matches("https://")).await.expect("it listens");
        let mut config = (*stack.identity(party).client_config()).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from("localhost").expect("a name");
        let tls = TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream).await.expect("TLS");
        let (send, connection) = h2::client::handshake(tls).await.expect("HTTP/2");
        // Ends, and with it the connection, when the last handle to it is dropped.
        tokio::spawn(connection);
        Caller(send)
    }

    /// Sends a call of ReferralService, whole; its answer is to be waited for, or not.
    async fn send(&mut self, method: &str, headers: &[(&str, &str)], message: &[u8]) -> h2::client::ResponseFuture {
        let mut request = http::Request::post(format!("https://localhost/safeguarding.referral.v1.ReferralService/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut framed = BytesMut::new();
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).expect("a short message"));
        framed.put_slice(message);
        let mut send = self.0.clone().ready().await.expect("the connection lives");
        let (answer, mut body) = send.send_request(request.body(()).expect("a request"), false).expect("sent");
        body.send_data(framed.freeze(), true).expect("sent");
        answer
    }

    /// The same, and the answer: its HTTP status and its gRPC status.
    async fn call(&mut self, method: &str, headers: &[(&str, &str)], message: &[u8]) -> (u16, Option<String>) {
        let answer = self.send(method, headers, message).await;
        let answer = tokio::time::timeout(PATIENCE, answer).await.expect("an answer").expect("an answer");
        let status =
            |headers: &http::HeaderMap| headers.get("grpc-status").map(|code| code.to_str().expect("a number").to_owned());
        let (http, said) = (answer.status().as_u16(), status(answer.headers()));
        let mut body = answer.into_body();
        while let Some(data) = body.data().await {
            let length = data.expect("the answer's body").len();
            body.flow_control().release_capacity(length).expect("it was ours");
        }
        let trailers = body.trailers().await.expect("the answer's end").unwrap_or_default();
        (http, said.or_else(|| status(&trailers)))
    }
}

fn submit(content: common::Submission) -> Vec<u8> {
    referral::SubmitRequest { idempotency_key: key(), content: Some(content), sender: String::new() }.encode_to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_and_the_connection_lives() {
    let stack = Stack::start("large").await;
    let before = Kept::by(&stack).await;
    let mut sender = Sender::of(&stack, SCHOOL).await;
    let item = |bytes: usize| common::InformationItem {
        category: common::Category::ConcernNarrative as i32,
        subject: common::Subject::Child as i32,
        knowledge: common::Knowledge::Direct as i32,
        body: Some(Body::Text("x".repeat(bytes))),
        ..Default::default()
    };
    let mut submission = daytime("Osprey", "A lot.");
    submission.items = (0..5).map(|_| item(60 * 1024)).collect();
    let refused = sender.submit(&key(), submission.clone()).await.err().expect("refused");
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");

    let mut caller = Caller::of(&stack, SCHOOL).await;
    let list = referral::ListRequest::default().encode_to_vec();
    assert_eq!(caller.call("List", &[], &list).await, (200, Some("0".to_owned())), "so that the rest shows something");
    let long = "x".repeat(16 * 1024);
    let (http, grpc) = caller.call("Submit", &[("x-long", &long)], &submit(daytime("Osprey", "Long headers."))).await;
    assert_eq!((http, grpc), (431, None), "16 KiB of metadata are refused");
    let many: Vec<(String, String)> = (0..400).map(|nth| (format!("x-{nth}"), "x".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (http, _) = caller.call("Submit", &many, &submit(daytime("Osprey", "Many headers."))).await;
    assert_eq!(http, 431, "so are many small ones");
    // What is no message at all is refused too; a message inside a message is not followed for ever.
    let mut nested = Vec::new();
    for _ in 0..500 {
        let mut around = vec![0x12];
        prost::encoding::encode_varint(nested.len() as u64, &mut around);
        around.extend_from_slice(&nested);
        nested = around;
    }
    for (what, bytes) in [("noise", noise(3, 300)), ("a truncated message", vec![0x12, 0x7f, 1]), ("a nest", nested)] {
        let (http, grpc) = caller.call("Submit", &[], &bytes).await;
        assert!(http == 200 && grpc.as_deref().is_some_and(|code| code != "0"), "{what}: {http} {grpc:?}");
    }
    assert_eq!(Kept::by(&stack).await, before, "nothing was stored");

    // The same connections go on, and nearly as much as is allowed goes all the way.
    assert_eq!(caller.call("List", &[], &list).await, (200, Some("0".to_owned())));
    submission.items.pop();
    sender.submit(&key(), submission).await.expect("accepted");
    let received = FrontDoor::of(&stack, LEEDS).await.next().await;
    let texts = received.delivery.items.iter().filter_map(|item| match &item.body {
        Some(delivery::disclosed_item::Body::Text(text)) => Some(text.len()),
        Some(_) | None => None,
    });
    assert_eq!(texts.collect::<Vec<_>>(), vec![60 * 1024; 4], "every text arrived whole");
}

/// A stack whose doors reach RabbitMQ by a road that can come to a standstill.
async fn stack_on_a_road(name: &str) -> (Stack, RoadToRabbitMq) {
    let mut stack = Stack::prepare(name, Node::of_the_run());
    let road = RoadToRabbitMq::to(stack.node.amqps()).await;
    stack.start_broker(0).await;
    let config = stack.folder.join("adapter.toml");
    let text = std::fs::read_to_string(&config).expect("the adapter's configuration");
    let led = text.replace(&stack.node.amqps(), road.address());
    assert_ne!(text, led);
    std::fs::write(&config, led).expect("the adapter's configuration");
    stack.start_adapter().await;
    (stack, road)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_kept_and_a_submission_goes_on_when_its_caller_hangs_up() {
    let (stack, road) = stack_on_a_road("hangup").await;
    let mut council = FrontDoor::of(&stack, LEEDS).await;

    // The caller's deadline holds, though nobody knows yet what became of it; and what was begun goes on.
    let mut caller = Caller::of(&stack, SCHOOL).await;
    let list = referral::ListRequest::default().encode_to_vec();
    assert_eq!(caller.call("List", &[], &list).await, (200, Some("0".to_owned())), "the connection is up");
    road.stop();
    let began = tokio::time::Instant::now();
    let (_, grpc) = caller.call("Submit", &[("grpc-timeout", "700m")], &submit(daytime("Harrier", "Out of time."))).await;
    assert!(began.elapsed() < Duration::from_secs(5), "answered in time, and not when the queue's own time was up");
    assert!(grpc.as_deref().is_some_and(|code| code == "4" || code == "1"), "deadline exceeded, or cancelled: {grpc:?}");
    road.go();
    assert!(council.next().await.delivery.rendering.contains("Out of time."));

    // A caller hangs up: first the call, then the whole connection, while the message is on its way to the queue.
    for (worry, keep_connection) in [("Hung up on the call.", true), ("Gone for good.", false)] {
        road.stop();
        let mut hanging_up = Caller::of(&stack, SCHOOL).await;
        let answer = hanging_up.send("Submit", &[], &submit(daytime("Harrier", worry))).await;
        road.holds(300).await;
        drop(answer);
        if keep_connection {
            assert_eq!(hanging_up.call("List", &[], &list).await.0, 200, "a call that was given up leaves no trace");
        }
        drop(hanging_up);
        road.go();
        assert!(council.next().await.delivery.rendering.contains(worry), "{worry} It went on");
    }
    let metrics = http_get(&stack.broker_metrics(), "/metrics").await.expect("the broker's metrics");
    assert!(metrics.contains("safeguarding_quarantine_messages 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_queue_has_confirmed_is_not_accepted_and_the_same_key_makes_it_one_referral() {
    let (stack, road) = stack_on_a_road("unconfirmed").await;
    let mut council = FrontDoor::of(&stack, LEEDS).await;
    let mut sender = Sender::of(&stack, SCHOOL).await;
    let own_key = key();
    road.stop();
    let refused = sender.submit(&own_key, daytime("Hobby", "Sent twice.")).await.err().expect("nobody confirmed it");
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().starts_with("not received.") && refused.message().contains("telephone the front door"));
    let info = refused.get_details_error_info().expect("who has to act");
    assert_eq!((info.reason.as_str(), info.metadata.get("who_acts").map(String::as_str)), ("NOT_RECEIVED", Some("BROKER")));
    assert!(refused.get_details_retry_info().and_then(|retry| retry.retry_delay).is_some(), "when to try again");

    road.go();
    let receipt = until("the doors are connected again", || {
        let (mut sender, own_key) = (sender.clone(), own_key.clone());
        async move { sender.submit(&own_key, daytime("Hobby", "Sent twice.")).await.ok() }
    })
    .await;
    assert_eq!(council.next().await.delivery.referral_id, receipt.referral_id);
    // The first may have arrived after all. It is the same one: nothing more is delivered, and one referral is listed.
    let more = tokio::time::timeout(Duration::from_secs(2), council.receive(1)).await;
    assert!(more.is_err(), "it was delivered twice");
    let list = sender.referrals.list(referral::ListRequest::default()).await.expect("a list").into_inner();
    assert_eq!(
        list.referrals.iter().map(|listed| listed.referral_id.as_str()).collect::<Vec<_>>(),
        [receipt.referral_id.as_str()]
    );
}

// --------------------------------------------------------------------------------------------- quarantine

/// Bytes that mean nothing: the same ones for the same seed.
fn noise(seed: u32, length: u32) -> Vec<u8> {
    (0..length).map(|nth| ((nth ^ seed.rotate_left(nth)).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 24) as u8).collect()
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

fn intake(sender: &str, referral_id: &str, body: Option<events::intake::Body>) -> Vec<u8> {
    let received = Some(prost_types::Timestamp { seconds: 1_790_000_000, nanos: 0 });
    let (sender, referral_id) = (sender.to_owned(), referral_id.to_owned());
    events::Intake { sender, referral_id, received, traceparent: String::new(), body }.encode_to_vec()
}

fn referral_of(key: &str) -> ::referral::ReferralId {
    let school = ::referral::Endpoint::parse(SCHOOL).expect("a school");
    ::referral::ReferralId::of(&school, ::referral::IdempotencyKey::parse(key).expect("a key"))
}

/// What nobody can read, and the word for why.
fn unreadable() -> Vec<(&'static str, Vec<u8>)> {
    let own_key = key();
    let id = referral_of(&own_key).to_string();
    let submitted = |content: common::Submission| {
        let event =
            events::event::Event::Submitted(events::Submitted { idempotency_key: own_key.clone(), content: Some(content) });
        Some(events::intake::Body::Plain(events::Event { event: Some(event) }.encode_to_vec()))
    };
    let good = intake(SCHOOL, &id, submitted(daytime("Buzzard", "Never delivered.")));
    assert!(proto::read::arrival(&good).is_ok(), "what the others are made of can be read");
    let mut too_large = daytime("Buzzard", "Never delivered.");
    too_large.purpose = "x".repeat(300 * 1024);
    let sealed = common::SealedBody { suite: "unknown".to_owned(), ..Default::default() };
    vec![
        ("not_protobuf", noise(1, 500)),
        ("not_protobuf", noise(2, 20_000)),
        ("not_protobuf", good[..good.len() / 2].to_vec()),
        ("not_protobuf", intake(SCHOOL, &id, Some(events::intake::Body::Plain(noise(1, 200))))),
        ("sealed", intake(SCHOOL, &id, Some(events::intake::Body::Sealed(sealed)))),
        ("no_event", Vec::new()),
        ("no_event", intake(SCHOOL, &id, Some(events::intake::Body::Plain(Vec::new())))),
        ("unlabelled", intake("nobody", &id, submitted(daytime("Buzzard", "Whose?")))),
        ("unlabelled", intake(SCHOOL, "none", submitted(daytime("Buzzard", "Which?")))),
        // A sender's own key leads to one referral: a label that says another is a slip, or a forgery.
        ("mislabelled", intake(SCHOOL, &referral_of(&key()).to_string(), submitted(daytime("Buzzard", "Another.")))),
        ("mislabelled", intake("school.999002", &id, submitted(daytime("Buzzard", "Another's.")))),
        ("invalid", intake(SCHOOL, &id, submitted(common::Submission::default()))),
        ("too_large", intake(SCHOOL, &id, submitted(too_large))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_waits_in_quarantine_and_those_behind_it_go_on() {
    let stack = Stack::start("quarantine").await;
    let publisher = Publisher::start(stack.nodes("service.adapter"), "test", Meters::unread());
    assert!(publisher.opens_within(PATIENCE).await);
    let mut sender = Sender::of(&stack, SCHOOL).await;
    let bad = unreadable();
    let mut expected = BTreeSet::new();
    for partition in 0..8u16 {
        for (_, body) in &bad {
            let road = Road::new("safeguarding.intake", partition.to_string());
            let _confirmed = publisher.publish(road, raw(body.clone())).await.expect("confirmed");
        }
        // A good one behind them, in the same partition.
        let behind = (0..).map(|_| key()).find(|key| referral_of(key).partition(8) == partition).expect("a key");
        let receipt = sender.submit(&behind, daytime("Behind", "Behind what nobody can read.")).await.expect("accepted");
        expected.insert(receipt.referral_id);
    }
    let mut council = FrontDoor::of(&stack, LEEDS).await;
    let mut behind = BTreeSet::new();
    while behind.len() < expected.len() {
        behind.extend(council.receive(16).await.into_iter().map(|received| received.delivery.referral_id));
    }
    assert_eq!(behind, expected, "those behind it arrived, and nothing else did");

    let count = |word: &str| 8 * bad.iter().filter(|(why, _)| *why == word).count();
    let all = format!("safeguarding_quarantine_messages {}\n", 8 * bad.len());
    let metrics = until("all of it is in quarantine", || async {
        http_get(&stack.broker_metrics(), "/metrics").await.filter(|metrics| metrics.contains(&all))
    })
    .await;
    for word in bad.iter().map(|(word, _)| *word).collect::<BTreeSet<_>>() {
        let counted = format!("safeguarding_quarantined_total{{why=\"{word}\"}} {}\n", count(word));
        assert!(metrics.contains(&counted), "{counted}{metrics}");
    }
    let logs = stack.logs();
    assert!(
        logs.contains("\"quarantine.reason\":\"mislabelled\"") && !logs.contains("Buzzard"),
        "an operator is told, without content"
    );
    let (holds, said) = stack.broker_command(&["ledger", "verify"]);
    assert!(holds, "{said}");
}
