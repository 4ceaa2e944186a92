//! Health's door from end to end: a form, a FHIR message and an attendance, over the wire to the queues, with what
//! each recipient received.

use proto::wire::common::v1 as common;
use proto::wire::health::v1 as health;
use proto::wire::health::v1::health_service_client::HealthServiceClient;
use safeguarding_client::{Client, Credentials, Key};
use serde_json::Value;
use tests::client::{FrontDoor, Sender, channel, content, key, person};
use tests::stack::{Stack, repository};
use tests::wait::until;
use tonic::Code;
use tonic::transport::Channel;

const HOSPITAL: &str = "nhs.ZZ304";

async fn hospital(stack: &Stack) -> HealthServiceClient<Channel> {
    HealthServiceClient::new(channel(stack, HOSPITAL).await)
}

fn organisation(ods_code: &str) -> Option<health::Organisation> {
    Some(health::Organisation { ods_code: ods_code.to_owned(), name: "Sample General".to_owned(), ..Default::default() })
}

fn part(topic: health::Topic, standing: health::Standing, text: &str) -> health::AccountPart {
    health::AccountPart {
        topic: topic as i32,
        standing: standing as i32,
        statement: Some(health::Statement { text: text.to_owned(), ..Default::default() }),
        ..Default::default()
    }
}

fn form(ods_code: &str) -> health::SafeguardingReferral {
    let child = content("Quillfeather", "").child.expect("a child");
    health::SafeguardingReferral {
        report: Some(health::Report {
            organisation: organisation(ods_code),
            referrer: Some(person("Dr Ines Carrow")),
            child: Some(health::Child { identity: child.identity, places: child.places, ..Default::default() }),
            account: vec![
                part(health::Topic::ChildHealth, health::Standing::Fact, "A bruise of 3 cm on the left cheek."),
                part(health::Topic::ChildHealth, health::Standing::Opinion, "A fall does not explain it."),
            ],
            ..Default::default()
        }),
        level: common::Level::SignificantHarm as i32,
        harm: common::HarmType::PhysicalAbuse as i32,
        ..Default::default()
    }
}

/// The desk that is responsible, once a queue has it: it depends on the hour at which this runs.
async fn responsible(sender: &Sender, referral_id: &str) -> String {
    until(&format!("referral {referral_id} is delivered"), || async {
        let status = sender.clone().get(referral_id).await.ok()?;
        let is_there = |one: &&common::RecipientStatus| {
            one.role() == common::RecipientRole::Responsible && one.stage() as i32 >= common::Stage::Delivered as i32
        };
        status.recipients.iter().find(is_there).map(|one| one.endpoint.clone())
    })
    .await
}

/// What lies on a desk's queue about a referral.
async fn delivered(stack: &Stack, desk: &str, referral_id: &str) -> tests::client::Received {
    let mut desk = FrontDoor::of(stack, desk).await;
    loop {
        let received = desk.next().await;
        if received.delivery.referral_id == referral_id {
            return received;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hospital_refers_by_form_and_by_fhir_and_hears_what_became_of_it() {
    let stack = Stack::start("health").await;
    let mut door = hospital(&stack).await;
    let sender = Sender::of(&stack, HOSPITAL).await;

    // The form: fact and opinion reach the front door apart.
    let request = health::ReferRequest { idempotency_key: key(), form: Some(form("ZZ304")) };
    let receipt = door.refer(request).await.expect("received").into_inner().receipt.expect("a receipt");
    let desk = responsible(&sender, &receipt.referral_id).await;
    let received = delivered(&stack, &desk, &receipt.referral_id).await;
    assert!(received.delivery.rendering.contains("Fact: A bruise of 3 cm"), "{}", received.delivery.rendering);
    assert!(received.delivery.rendering.contains("Opinion: A fall does not explain it."));

    // The message: received once, however often it is sent; feedback under a new id in the same exchange.
    let body = std::fs::read(repository().join("examples/fhir/referral.json")).expect("the example");
    let message =
        health::SubmitFhirMessageRequest { idempotency_key: key(), body, media_type: "application/fhir+json".to_owned() };
    let answer = door.submit_fhir_message(message.clone()).await.expect("answered").into_inner();
    let outcome = String::from_utf8_lossy(&answer.outcome).into_owned();
    let receipt = answer.receipt.unwrap_or_else(|| panic!("{outcome}"));
    let again = door.submit_fhir_message(message.clone()).await.expect("answered").into_inner().receipt;
    assert_eq!(again.map(|receipt| receipt.referral_id).as_ref(), Some(&receipt.referral_id));
    let desk = responsible(&sender, &receipt.referral_id).await;
    let received = delivered(&stack, &desk, &receipt.referral_id).await;
    assert!(received.categories().contains(&common::Category::ChildHealth));
    assert!(received.delivery.rendering.contains("Victim of child abuse"), "{}", received.delivery.rendering);

    let asked = health::GetFhirFeedbackRequest {
        referral_id: receipt.referral_id.clone(),
        message_id: "10000000-0000-4000-8000-000000000001".to_owned(),
        correlation_id: key(),
        media_type: "application/fhir+json".to_owned(),
    };
    let feedback = door.get_fhir_feedback(asked.clone()).await.expect("feedback").into_inner();
    let bundle: Value = serde_json::from_slice(&feedback.body).expect("JSON");
    assert_eq!(bundle["entry"][0]["resource"]["id"], feedback.request_id.as_str());
    assert_eq!(feedback.correlation_id, asked.correlation_id);
    assert_eq!(bundle["entry"][1]["resource"]["status"], "active");
    assert!(!String::from_utf8_lossy(&feedback.body).contains("Quillfeather"), "feedback repeats no content");

    // What is no message is answered with an outcome, received by nobody; what is huge is not even read.
    let broken = health::SubmitFhirMessageRequest { body: b"{\"resourceType\":\"Patient\"}".to_vec(), ..message.clone() };
    let answer = door.submit_fhir_message(broken).await.expect("answered").into_inner();
    assert!(answer.receipt.is_none());
    let outcome: Value = serde_json::from_slice(&answer.outcome).expect("JSON");
    assert_eq!(outcome["issue"][0]["details"]["coding"][0]["code"], "REC_BAD_REQUEST");
    let huge = health::SubmitFhirMessageRequest { body: vec![b' '; 20 * 1024 * 1024], ..message };
    let refused = door.submit_fhir_message(huge).await.err().expect("it is too large");
    assert!(matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attendance_reaches_whoever_holds_the_plan_and_nobody_speaks_for_another_hospital() {
    let stack = Stack::start("attendance").await;
    let mut door = hospital(&stack).await;
    let sender = Sender::of(&stack, HOSPITAL).await;
    let request = health::NotifyUnscheduledAttendanceRequest {
        idempotency_key: key(),
        form: Some(health::UnscheduledAttendance {
            organisation: organisation("ZZ304"),
            referrer: Some(person("Orla Finch")),
            identity: Some(common::Identity { nhs_number: "9990000026".to_owned(), ..Default::default() }),
            register: Some(health::RegisterStatus {
                status: health::PlanStatus::ChildProtectionPlan as i32,
                authority: "E10000016".to_owned(),
                ..Default::default()
            }),
            care: health::Care::EmergencyDepartment as i32,
            attended_at: "2026-10-10T23:30:00+01:00".to_owned(),
            ..Default::default()
        }),
    };
    let answer = door.notify_unscheduled_attendance(request).await.expect("received").into_inner();
    let referral_id = answer.receipt.expect("a receipt").referral_id;
    let desk = responsible(&sender, &referral_id).await;
    assert!(desk.starts_with("la.E10000016."), "{desk}");
    let received = delivered(&stack, &desk, &referral_id).await;
    assert!(received.categories().contains(&common::Category::AttendanceEvent));
    assert!(!received.categories().contains(&common::Category::ChildHealth));

    let another = health::ReferRequest { idempotency_key: key(), form: Some(form("RR8")) };
    assert_eq!(door.refer(another).await.err().expect("another body").code(), Code::PermissionDenied);
    let mut school = HealthServiceClient::new(channel(&stack, "school.999001").await);
    let own = health::ReferRequest { idempotency_key: key(), form: Some(form("ZZ304")) };
    assert_eq!(school.refer(own).await.err().expect("not its door").code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_sends_once_and_its_watch_survives_the_adapter() {
    let mut stack = Stack::start("client").await;
    let identity = stack.identity(HOSPITAL);
    let credentials =
        Credentials { ca_pem: identity.ca_pem(), certificate_pem: identity.certificate_pem(), key_pem: identity.key_pem() };
    let line = safeguarding_client::channel(&stack.gateway(), "localhost", credentials, safeguarding_client::CALL_PATIENCE);
    let party = referral::Endpoint::parse(HOSPITAL).expect("a party");
    let client = Client::new(line.expect("an address"), party, stack.folder.join("sent"));

    // Nobody is there: it is tried until somebody is, under one key.
    stack.kill_adapter();
    let (what, client_that_waits) = (content("Alpha", "Comes in hungry."), client.clone());
    let waiting = tokio::spawn(async move { client_that_waits.submit(&what, Key::Kept).await });
    stack.start_adapter().await;
    let receipt = waiting.await.expect("no panic").expect("received");
    let again = client.submit(&content("Alpha", "Comes in hungry."), Key::Kept).await.expect("received");
    assert_eq!(again.referral_id, receipt.referral_id);

    // The watch sees each rung once, though the door goes away between two of them.
    let mut watch = client.watch(&receipt.referral_id, 0);
    let first = watch.next().await.expect("an entry");
    stack.kill_adapter();
    stack.start_adapter().await;
    let next = watch.next().await.expect("an entry");
    assert!(next.position > first.position && watch.position() == next.position);
}
