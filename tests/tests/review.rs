//! What the rules hold, and what cannot be processed, waits for a named person: with the real programs, a real
//! RabbitMQ, and the command line that an operator uses.

use base64::Engine as _;
use proto::wire::common::v1 as common;
use proto::wire::common::v1::progress_entry::Step;
use proto::wire::events::v1 as events;
use proto::wire::operator::v1 as wire;
use proto::wire::operator::v1::operator_service_client::OperatorServiceClient;
use proto::wire::referral::v1 as wire_referral;
use referral::{Endpoint, IdempotencyKey, ReferralId};
use tests::client::{FrontDoor, Sender, content, key};
use tests::stack::{Stack, http_get};
use tests::wait::{PATIENCE, until};
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use transport::amqp::{Consumer, Message, Meters, Publisher, Road, Subscription};

const DESK: &str = "operator.desk";
const PETRA: &str = "Petronella Quill, safeguarding lead";
const LEEDS: &str = "la.E08000035.front-door";
const KENT: &str = "la.E10000016.front-door";

/// TC-12, at significant harm: the sender recorded that sharing would do the child more harm.
fn detrimental(family: &str) -> common::Submission {
    common::Submission { duty_decision: common::DutyDecision::MoreDetrimental as i32, ..content(family, "Nightjar said so.") }
}

/// TC-06, below significant harm: whether the family agrees is not stated.
fn not_agreed(family: &str) -> common::Submission {
    common::Submission {
        level: common::Level::InNeed as i32,
        agreement: common::Agreement::NotStated as i32,
        ..content(family, "Needs help.")
    }
}

async fn reaches(
    school: &Sender,
    id: &str,
    what: &str,
    holds: impl Fn(&common::ReferralStatus) -> bool,
) -> common::ReferralStatus {
    until(&format!("referral {id} is {what}"), || {
        let (mut school, holds) = (school.clone(), &holds);
        async move { school.get(id).await.ok().filter(holds) }
    })
    .await
}

async fn held(school: &mut Sender, submission: common::Submission) -> String {
    let id = school.submit(&key(), submission).await.expect("accepted").referral_id;
    reaches(school, &id, "held", |status| status.stage() == common::Stage::Held).await;
    id
}

fn reviewed(status: &common::ReferralStatus) -> common::Reviewed {
    let review = status.ladder.iter().find_map(|entry| match &entry.step {
        Some(Step::Reviewed(reviewed)) => Some(reviewed.clone()),
        _ => None,
    });
    review.expect("the sender sees what a person decided")
}

/// The record of the one entry of this kind in an exported bundle.
fn record_of(bundle: &str, kind: &str) -> String {
    let lines = bundle.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let entries: Vec<serde_json::Value> = lines.filter(|line| line["entry"]["kind"] == kind).collect();
    assert_eq!(entries.len(), 1, "one entry is {kind}");
    let bytes =
        base64::engine::general_purpose::STANDARD.decode(entries[0]["entry"]["record"]["bytes"].as_str().expect("a record"));
    String::from_utf8(bytes.expect("base64")).expect("text")
}

fn ok((done, said): (bool, String)) -> String {
    assert!(done, "{said}");
    said
}

fn refused((done, said): (bool, String), why: &str) {
    assert!(!done && said.contains(why), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_at_significant_harm_raises_the_alarm_and_goes_on_once_a_named_person_released_it() {
    let mut stack = Stack::start("review").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let id = held(&mut school, detrimental("Nightheron")).await;

    // The alarm, at once; and in numbers.
    assert!(stack.logs().contains("URGENT"));
    until("the gauge says that an urgent review waits", || async {
        let metrics = http_get(&stack.broker_metrics(), "/metrics").await?;
        metrics.contains("safeguarding_reviews_waiting{urgent=\"yes\"} 1").then_some(())
    })
    .await;

    // It waits over a crash of the broker.
    stack.kill_broker();
    stack.start_broker(0).await;
    let listed = ok(stack.at_the_desk(DESK, &["review", "list"]));
    for told in [id.as_str(), "URGENT", "TC-12", "school.999001", "la.E08000035."] {
        assert!(listed.contains(told), "{told} in {listed}");
    }

    // A preview stores nothing, and shows nothing of the content.
    let previewed = ok(stack.at_the_desk(DESK, &["review", "preview", &id, "--looked-at", "1"]));
    assert!(previewed.contains("la.E08000035.") && previewed.contains("would receive"), "{previewed}");
    let status = school.get(&id).await.expect("a status");
    assert_eq!((status.ladder.len(), status.stage() == common::Stage::Held), (2, true));

    // Nothing is shown without a person and a reason; the opening is in the ledger.
    refused(stack.at_the_desk(DESK, &["review", "open", &id, "--as", PETRA, "--reason", " "]), "reason is missing");
    let opened = ok(stack.at_the_desk(DESK, &["review", "open", &id, "--as", PETRA, "--reason", "Quail rang"]));
    assert!(opened.contains("Nightheron") && opened.contains("Nightjar said so."), "{opened}");

    let release = ["review", "release", &id, "--looked-at", "1", "--as", PETRA, "--reason", "Quail rang"];
    ok(stack.at_the_desk(DESK, &release));
    refused(stack.at_the_desk(DESK, &release), "decided about this before");

    let status = reaches(&school, &id, "delivered", |status| status.stage() == common::Stage::Delivered).await;
    let news = reviewed(&status);
    assert!(news.choice() == common::ReviewChoice::Released);
    assert_eq!((news.by_role.as_str(), news.reason.as_str()), ("safeguarding lead", ""));
    assert_eq!(news.lifted.iter().map(|held| held.rule_id.as_str()).collect::<Vec<_>>(), ["TC-12"]);
    assert!(!status.clocks.is_empty(), "its clocks run");
    let responsible = status.recipients.iter().find(|one| one.role() == common::RecipientRole::Responsible).expect("one");
    let received = FrontDoor::of(&stack, &responsible.endpoint).await.next().await;
    assert_eq!(received.delivery.referral_id, id);
    assert!(received.delivery.rendering.contains("Nightheron"));
    assert_eq!(ok(stack.at_the_desk(DESK, &["review", "list"])), "nothing waits for a person\n");

    // The record: who opened, who released, why, and which rule was lifted. The open part of the log says none of it.
    stack.stop();
    let recorded = ok(stack.broker_command(&["ledger", "export", "--referral", &id]));
    for (kind, told) in [("opened", vec!["Quail rang"]), ("reviewed", vec!["Quail rang", "TC-12", "released"])] {
        let record = record_of(&recorded, kind);
        for told in told.into_iter().chain(["Petronella Quill", "safeguarding lead", DESK]) {
            assert!(record.contains(told), "{told} is in the record of what was {kind}: {record}");
        }
    }
    ok(stack.broker_command(&["ledger", "verify"]));
    let open_part = ok(stack.broker_command(&["ledger", "export", "--without-records"]));
    let logs = stack.logs();
    for canary in ["Nightheron", "Nightjar", "Petronella", "Quail"] {
        for (what, text) in [("the list", &listed), ("the preview", &previewed), ("the log", &open_part), ("logs", &logs)] {
            assert!(!text.contains(canary), "{canary} is in {what}");
        }
        assert!(canary != "Petronella" || !received.delivery.rendering.contains(canary), "the council reads who released it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_person_returns_redirects_and_decides_only_about_what_was_looked_at() {
    let stack = Stack::start("choices").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let act = |verb: &str, id: &str, number: &str, more: &[&str]| {
        let mut arguments = vec!["review", verb, id, "--looked-at", number, "--as", PETRA, "--reason", "The school rings first."];
        arguments.extend(more);
        stack.at_the_desk(DESK, &arguments)
    };

    // Returned: the sender reads why, and it is closed once it did.
    let returned = held(&mut school, not_agreed("Sandpiper")).await;
    ok(act("return", &returned, "1", &[]));
    let status = reaches(&school, &returned, "closed", |status| !status.open).await;
    assert!(status.stage() == common::Stage::ReturnedToSender && status.recipients.is_empty());
    let news = reviewed(&status);
    assert_eq!((news.choice() as i32, news.reason.as_str()), (common::ReviewChoice::Returned as i32, "The school rings first."));

    // Redirected: to an endpoint that the directory knows, and to no other.
    let redirected = held(&mut school, not_agreed("Sandpiper")).await;
    refused(act("redirect", &redirected, "1", &["--to", "la.E06000058.front-door"]), "an endpoint that the directory knows");
    refused(act("redirect", &redirected, "1", &["--to", "Sandpiper"]), "is not an endpoint");
    let previewed = ok(stack.at_the_desk(DESK, &["review", "preview", &redirected, "--looked-at", "1", "--to", KENT]));
    assert!(previewed.contains(KENT), "{previewed}");
    ok(act("redirect", &redirected, "1", &["--to", KENT]));
    let mut kent = FrontDoor::of(&stack, KENT).await;
    let received = kent.next().await;
    assert_eq!(received.delivery.referral_id, redirected);
    kent.acknowledge(received.answer("Tom Kent")).await.expect("Kent answers for it now");
    let status = reaches(&school, &redirected, "acknowledged", |status| status.stage() == common::Stage::Acknowledged).await;
    assert_eq!(reviewed(&status).redirected_to, KENT);

    // Changed since it was looked at: nobody decides about what they have not seen.
    let changed = held(&mut school, not_agreed("Sandpiper")).await;
    let mut again = not_agreed("Sandpiper");
    again.purpose = "To help.".to_owned();
    let amend = wire_referral::AmendRequest {
        referral_id: changed.clone(),
        idempotency_key: key(),
        content: Some(again),
        sender: String::new(),
    };
    school.referrals.amend(amend).await.expect("amended");
    until("the second version waits", || async {
        ok(stack.at_the_desk(DESK, &["review", "list"])).contains("review 2").then_some(())
    })
    .await;
    refused(act("release", &changed, "1", &[]), "open it again");
    ok(act("release", &changed, "2", &[]));
    assert_eq!(FrontDoor::of(&stack, LEEDS).await.next().await.delivery.referral_id, changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_council_may_have_only_once_a_person_looked_is_handed_over_by_one() {
    let stack = Stack::start("items").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let mut submission = content("Turnstone", "Comes hungry.");
    submission.level = common::Level::InNeed as i32;
    submission.agreement = common::Agreement::Given as i32;
    submission.items.push(common::InformationItem {
        category: common::Category::MaracInformation as i32,
        subject: common::Subject::Child as i32,
        knowledge: common::Knowledge::Direct as i32,
        body: Some(common::information_item::Body::Text("Dunnock spoke at the meeting.".to_owned())),
        ..common::InformationItem::default()
    });
    let id = school.submit(&key(), submission).await.expect("accepted").referral_id;
    let mut leeds = FrontDoor::of(&stack, LEEDS).await;
    let first = leeds.next().await;
    assert!(first.delivery.referral_id == id && !first.delivery.rendering.contains("Dunnock"), "the rest goes at once");

    let listed = ok(stack.at_the_desk(DESK, &["review", "list"]));
    assert!(listed.contains("marac information waits for la.E08000035.front-door"), "{listed}");
    assert!(!listed.contains("URGENT") && !listed.contains("Dunnock"), "{listed}");
    let release = ["review", "release", &id, "--looked-at", "1", "--as", PETRA, "--reason", "The meeting agreed."];
    ok(stack.at_the_desk(DESK, &release));
    let second = leeds.next().await;
    assert!(second.delivery.rendering.contains("Dunnock spoke at the meeting."), "and what waited once a person looked");
    let status = reaches(&school, &id, "reviewed", |status| {
        status.ladder.iter().any(|entry| matches!(entry.step, Some(Step::Reviewed(_))))
    })
    .await;
    assert_eq!(reviewed(&status).items, [common::Category::MaracInformation as i32]);
    refused(stack.at_the_desk(DESK, &release), "decided about this before");
}

async fn operators(stack: &Stack, party: &str) -> OperatorServiceClient<Channel> {
    let identity = stack.identity(party);
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(identity.ca_pem()))
        .identity(Identity::from_pem(identity.certificate_pem(), identity.key_pem()))
        .domain_name("localhost");
    let endpoint = tonic::transport::Endpoint::from_shared(stack.operate()).expect("an address").tls_config(tls).expect("TLS");
    OperatorServiceClient::new(endpoint.connect_lazy())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_an_operator_is_answered_at_the_operators_desk() {
    let stack = Stack::start("desk").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let id = held(&mut school, detrimental("Nightheron")).await;
    for party in ["school.999001", LEEDS, "service.adapter", "service.router"] {
        let mut desk = operators(&stack, party).await;
        let by = || Some(common::Practitioner { name: "P".to_owned(), role: "R".to_owned(), contact: String::new() });
        let (referral_id, reason) = (id.clone(), "r".to_owned());
        let release = Some(wire::Choice { choice: Some(wire::choice::Choice::Release(wire::Release {})) });
        let open = wire::OpenReviewRequest { referral_id: referral_id.clone(), by: by(), reason: reason.clone() };
        let preview = wire::PreviewReviewRequest { referral_id: referral_id.clone(), number: 1, choice: release.clone() };
        let decide = wire::DecideReviewRequest { referral_id, number: 1, choice: release, by: by(), reason: reason.clone() };
        let quarantined = uuid::Uuid::new_v4().to_string();
        let let_out = wire::ReleaseQuarantinedRequest { id: quarantined.clone(), by: by(), reason };
        let answers = [
            desk.list_reviews(wire::ListReviewsRequest::default()).await.err(),
            desk.open_review(open).await.err(),
            desk.preview_review(preview).await.err(),
            desk.decide_review(decide).await.err(),
            desk.list_quarantined(wire::ListQuarantinedRequest::default()).await.err(),
            desk.show_quarantined(wire::ShowQuarantinedRequest { id: quarantined }).await.err(),
            desk.release_quarantined(let_out).await.err(),
        ];
        let codes: Vec<Option<Code>> = answers.iter().map(|answer| answer.as_ref().map(tonic::Status::code)).collect();
        assert_eq!(codes, [Some(Code::PermissionDenied); 7], "{party}");
    }
    refused(stack.at_the_desk("school.999001", &["review", "list"]), "only an operator's certificate");
    let status = school.get(&id).await.expect("a status");
    assert!(status.stage() == common::Stage::Held, "it waits on");
}

fn intake(family: &str) -> (String, Vec<u8>) {
    let sender = Endpoint::parse("school.999001").expect("an endpoint");
    let own_key = IdempotencyKey::parse(&key()).expect("a key");
    let id = ReferralId::of(&sender, own_key);
    let event = events::event::Event::Submitted(events::Submitted {
        idempotency_key: own_key.to_string(),
        content: Some(content(family, "Lost on the way.")),
    });
    // A Monday afternoon, when front doors are open.
    let received = "2026-11-23T14:00:00Z".parse().expect("a moment");
    (id.to_string(), proto::write::intake(&sender, id, received, "", event))
}

/// The id that stands at the beginning of the line before the one that gives this reason.
fn id_of(listed: &str, reason: &str) -> String {
    let lines: Vec<&str> = listed.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.trim_start().starts_with(&format!("{reason}:")))
        .unwrap_or_else(|| panic!("{reason} in {listed}"));
    lines[at - 1].split_whitespace().next().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_quarantine_is_processed_again_once_a_named_person_lets_it_out() {
    let stack = Stack::start("release").await;
    let publisher = Publisher::start(stack.nodes("service.adapter"), "test", Meters::unread());
    assert!(publisher.opens_within(PATIENCE).await);
    let message = |body: Vec<u8>| Message {
        id: key(),
        kind: "safeguarding.events.v1.Intake".to_owned(),
        content_type: "application/x-protobuf".to_owned(),
        headers: vec![],
        timestamp: None,
        body: body.into(),
    };
    // One that no queue took though it can be read, one that nobody can read.
    let (lost, bytes) = intake("Nightheron");
    for (partition, body) in [("99", bytes), ("0", b"Nightheron".to_vec())] {
        let _confirmed = publisher.publish(Road::new("safeguarding.intake", partition), message(body)).await.expect("confirmed");
    }
    let listed = until("both are in quarantine", || async {
        let listed = ok(stack.at_the_desk(DESK, &["quarantine", "list"]));
        (listed.contains("unrouted:") && listed.contains("not_protobuf")).then_some(listed)
    })
    .await;
    let (readable, unreadable) = (id_of(&listed, "unrouted"), id_of(&listed, "not_protobuf"));
    let shown = ok(stack.at_the_desk(DESK, &["quarantine", "show", &readable]));
    assert!(shown.contains(&lost) && shown.contains("school.999001"), "{shown}");
    let release = |id: &str| stack.at_the_desk(DESK, &["quarantine", "release", id, "--as", PETRA, "--reason", "queue is back"]);

    // What nobody can read stays, and says why.
    assert!(ok(stack.at_the_desk(DESK, &["quarantine", "show", &unreadable])).contains("cannot be released"));
    refused(release(&unreadable), "it stays");

    // What can be read is decided with the bytes as they came, and delivered.
    let released = ok(release(&readable));
    assert!(released.contains(&lost), "{released}");
    let mut leeds = FrontDoor::of(&stack, LEEDS).await;
    let received = leeds.next().await;
    assert_eq!(received.delivery.referral_id, lost);
    drop(leeds);
    refused(release(&readable), "no such message");
    let mut school = Sender::of(&stack, "school.999001").await;
    school.get(&lost).await.expect("its sender sees it");

    // What a front door put aside comes to it again: the same delivery, byte for byte.
    let id = school.submit(&key(), not_agreed("Nightheron")).await.expect("accepted").referral_id;
    reaches(&school, &id, "held", |status| status.stage() == common::Stage::Held).await;
    let act = ["review", "release", &id, "--looked-at", "1", "--as", PETRA, "--reason", "agreed by telephone"];
    ok(stack.at_the_desk(DESK, &act));
    let subscription = Subscription { queues: vec![format!("delivery.{LEEDS}")], prefetch: 1, name: "test".to_owned() };
    let mut queue = Consumer::subscribe(stack.nodes(LEEDS), subscription, Meters::unread());
    let first = next(&mut queue).await;
    let put_aside = first.message.clone();
    queue.reject(first.token).await;
    let listed = until("it is in quarantine", || async {
        Some(ok(stack.at_the_desk(DESK, &["quarantine", "list"]))).filter(|listed| listed.contains("tried_too_often"))
    })
    .await;
    let released = ok(release(&id_of(&listed, "tried_too_often")));
    assert!(released.contains(LEEDS), "{released}");
    let again = next(&mut queue).await;
    assert_eq!((&again.message.id, &again.message.body), (&put_aside.id, &put_aside.body));
    assert_eq!(
        again.message.header("safeguarding-ledger-proof"),
        put_aside.header("safeguarding-ledger-proof"),
        "with its proof"
    );
    let logs = stack.logs();
    for canary in ["Nightheron", "Petronella"] {
        assert!(!listed.contains(canary) && !shown.contains(canary) && !logs.contains(canary), "{canary}");
    }
}

async fn next(queue: &mut Consumer) -> transport::amqp::Delivered {
    let coming = async {
        loop {
            if let Some(came) = queue.next(1).await.into_iter().next() {
                return came;
            }
        }
    };
    tokio::time::timeout(PATIENCE, coming).await.expect("a delivery comes")
}
