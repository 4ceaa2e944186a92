//! One referral from end to end, with the two real programs, a real RabbitMQ and mutual TLS.

use proto::wire::common::v1 as common;
use proto::wire::common::v1::progress_entry::Step;
use proto::wire::delivery::v1::Matter;
use proto::wire::referral::v1 as referral;
use tests::client::{FrontDoor, Sender, content, key, person};
use tests::stack::Stack;
use tests::wait::until;
use tonic::Code;

/// Leeds' front door is open or shut when this runs: whichever desk is responsible receives.
async fn responsible(stack: &Stack, school: &mut Sender, referral_id: &str) -> (String, FrontDoor) {
    let status =
        reaches(school, referral_id, "delivered", |status| status.stage() as i32 >= common::Stage::Delivered as i32).await;
    let responsible = status
        .recipients
        .iter()
        .find(|recipient| recipient.role() == common::RecipientRole::Responsible)
        .expect("somebody is responsible");
    (responsible.endpoint.clone(), FrontDoor::of(stack, &responsible.endpoint).await)
}

async fn reaches(
    school: &mut Sender,
    referral_id: &str,
    what: &str,
    holds: impl Fn(&common::ReferralStatus) -> bool,
) -> common::ReferralStatus {
    let school = &*school;
    until(&format!("referral {referral_id} is {what}"), || {
        let (mut school, holds) = (school.clone(), &holds);
        async move { school.get(referral_id).await.ok().filter(holds) }
    })
    .await
}

fn rungs(status: &common::ReferralStatus) -> Vec<&'static str> {
    let name = |entry: &common::ProgressEntry| match entry.step {
        Some(Step::Accepted(_)) => "accepted",
        Some(Step::Routed(_)) => "routed",
        Some(Step::Delivered(_)) => "delivered",
        Some(Step::Collected(_)) => "collected",
        Some(Step::Acknowledged(_)) => "acknowledged",
        Some(Step::Decided(_)) => "decided",
        Some(Step::OutcomeReturned(_)) => "outcome returned",
        Some(Step::Amended(_)) => "amended",
        Some(Step::Withdrawn(_)) => "withdrawn",
        Some(Step::ClockBreached(_)) => "clock breached",
        Some(Step::Held(_)) => "held",
        Some(Step::ReturnedToSender(_)) => "returned",
        _ => "something else",
    };
    status.ladder.iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_school_raises_a_concern_and_hears_what_the_council_decided() {
    let stack = Stack::start("journey").await;
    let mut school = Sender::of(&stack, "school.999001").await;

    // Raised: the receipt comes only once the intake has it, and the same submission gets the same receipt.
    let own_key = key();
    let receipt = school.submit(&own_key, content("Alpha", "Comes to school hungry.")).await.expect("accepted");
    let again = school.submit(&own_key, content("Alpha", "Comes to school hungry.")).await.expect("accepted");
    assert_eq!((&receipt.referral_id, &receipt.content_digest), (&again.referral_id, &again.content_digest));

    let (desk, mut council) = responsible(&stack, &mut school, &receipt.referral_id).await;
    let received = council.next().await;
    assert_eq!(received.delivery.referral_id, receipt.referral_id);
    assert!(received.categories().contains(&common::Category::ConcernNarrative));
    assert!(received.delivery.rendering.contains("Comes to school hungry."));
    let proof = received.message.header("safeguarding-ledger-proof").expect("the ledger's proof");
    let (_, key_text) = stack.broker_command(&["ledger", "key"]);
    let public = evidence::PublicKey::parse(&key_text).expect("the public key");
    let body = evidence::digest(&received.message.body);
    evidence::Proof::parse(proof)
        .and_then(|proof| proof.check(&public, received.message.id.parse().unwrap(), &desk, &body))
        .expect("recorded before it was sent");

    // A machine's receipt is not an acknowledgement.
    council.collect(received.answer("the desk's system")).await.expect("collected");
    let status =
        reaches(&mut school, &receipt.referral_id, "collected", |status| status.stage() == common::Stage::Collected).await;
    assert!(!rungs(&status).contains(&"acknowledged"));

    council.acknowledge(received.answer("Sam Worker")).await.expect("acknowledged");
    reaches(&mut school, &receipt.referral_id, "acknowledged", |status| status.stage() == common::Stage::Acknowledged).await;
    council
        .decide(received.answer("Sam Worker"), common::Outcome::S17Assessment, "An assessment begins.")
        .await
        .expect("decided");

    let status = reaches(&mut school, &receipt.referral_id, "closed", |status| !status.open).await;
    assert!(status.stage() == common::Stage::OutcomeReturned);
    assert_eq!(rungs(&status), ["accepted", "routed", "delivered", "collected", "acknowledged", "decided", "outcome returned"]);
    let by = status
        .ladder
        .iter()
        .find_map(|entry| match &entry.step {
            Some(Step::Acknowledged(step)) => step.by.clone(),
            _ => None,
        })
        .expect("a named person");
    assert_eq!(by.name, "Sam Worker");
    let decided = status
        .ladder
        .iter()
        .find_map(|entry| match &entry.step {
            Some(Step::Decided(step)) => Some(step.clone()),
            _ => None,
        })
        .expect("a decision");
    assert!(decided.outcome() == common::Outcome::S17Assessment);
    assert_eq!(decided.reason, "An assessment begins.");
    // The decision stops the clocks, and starts the one of what was decided.
    let running = status.clocks.iter().filter(|clock| clock.met.is_none()).filter_map(|clock| clock.clock.as_ref());
    assert_eq!(running.map(|clock| clock.name.as_str()).collect::<Vec<_>>(), ["assessment_45wd"]);

    let (holds, said) = stack.broker_command(&["ledger", "verify"]);
    assert!(holds, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amendment_goes_to_whoever_had_the_first_version_and_a_changed_repeat_is_flagged() {
    let stack = Stack::start("amendment").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let own_key = key();
    let receipt = school.submit(&own_key, content("Beta", "First.")).await.expect("accepted");
    let (_, mut council) = responsible(&stack, &mut school, &receipt.referral_id).await;
    let first = council.next().await;

    let amend = referral::AmendRequest {
        referral_id: receipt.referral_id.clone(),
        idempotency_key: key(),
        content: Some(content("Beta", "Second.")),
        sender: String::new(),
    };
    school.referrals.amend(amend).await.expect("amended");
    let second = council.next().await;
    assert!(second.delivery.matter() == Matter::Amendment);
    assert_ne!(first.delivery.delivery_id, second.delivery.delivery_id);
    assert!(second.delivery.rendering.contains("Second."));

    let same = school.submit(&own_key, content("Beta", "Third.")).await.expect("accepted: never an overwrite");
    assert_eq!(same.referral_id, receipt.referral_id);
    let third = council.next().await;
    assert!(third.delivery.rendering.contains("Third."));
    let status = school.get(&receipt.referral_id).await.expect("status");
    let flagged = status.ladder.iter().any(|entry| matches!(&entry.step, Some(Step::Amended(step)) if step.under_the_same_key));
    assert!(flagged, "the same key with other content is flagged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_reaches_the_council_and_at_significant_harm_the_clocks_go_on() {
    let stack = Stack::start("withdrawal").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let receipt = school.submit(&key(), content("Gamma", "Withdrawn later.")).await.expect("accepted");
    let (_, mut council) = responsible(&stack, &mut school, &receipt.referral_id).await;
    council.next().await;
    let withdraw = referral::WithdrawRequest {
        referral_id: receipt.referral_id.clone(),
        by: Some(person("Dora Lead")),
        reason: "Sent by mistake.".to_owned(),
    };
    school.referrals.withdraw(withdraw).await.expect("withdrawn");
    let notice = council.next().await;
    assert!(notice.delivery.matter() == Matter::Withdrawal);
    assert!(notice.delivery.items.is_empty());
    let status = reaches(&mut school, &receipt.referral_id, "withdrawn", |status| rungs(status).contains(&"withdrawn")).await;
    assert!(status.clocks.iter().all(|clock| clock.met.is_none() && clock.breached.is_none()), "the duties go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_is_told_to_the_manager_and_the_school_also_after_a_restart() {
    let mut stack = Stack::start("deadline").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let receipt = school.submit(&key(), content("Delta", "Nobody answers.")).await.expect("accepted");
    responsible(&stack, &mut school, &receipt.referral_id).await;

    // Nine days later, after a restart: every clock of working days has run out, bank holidays or not.
    stack.stop_broker();
    stack.start_broker(9 * 24).await;
    let status =
        reaches(&mut school, &receipt.referral_id, "late", |status| status.clocks.iter().all(|clock| clock.breached.is_some()))
            .await;
    assert_eq!(rungs(&status).iter().filter(|rung| **rung == "clock breached").count(), 2, "each clock is told once");
    let mut manager = FrontDoor::of(&stack, "la.E08000035.front-door-manager").await;
    let notice = manager.next().await;
    assert!(notice.delivery.matter() == Matter::ClockBreached);
    assert!(notice.delivery.items.is_empty() && !notice.delivery.rendering.contains("Nobody answers."), "without content");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_school_that_lost_its_connection_goes_on_watching_where_it_was() {
    let stack = Stack::start("watch").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let receipt = school.submit(&key(), content("Epsilon", "Watched.")).await.expect("accepted");
    let watch = |after| referral::WatchRequest { after, referral_id: receipt.referral_id.clone() };
    let mut stream = school.referrals.watch(watch(0)).await.expect("a stream").into_inner();
    let first = stream.message().await.expect("an entry").expect("an entry").entry.expect("an entry");
    assert!(matches!(first.step, Some(Step::Accepted(_))));
    drop(stream);

    let mut again = Sender::of(&stack, "school.999001").await;
    let mut stream = again.referrals.watch(watch(first.position)).await.expect("a stream").into_inner();
    let second = stream.message().await.expect("an entry").expect("an entry").entry.expect("an entry");
    assert!(matches!(second.step, Some(Step::Routed(_))), "nothing twice, nothing left out");
    assert!(second.position > first.position);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_for_another_council_goes_to_the_right_one_and_the_wrong_one_gets_nothing() {
    let stack = Stack::start("misaddressed").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let mut submission = content("Zeta", "Addressed to Kent.");
    submission.addressed_to = "la.E10000016.front-door".to_owned();
    let receipt = school.submit(&key(), submission).await.expect("accepted");
    let (desk, _) = responsible(&stack, &mut school, &receipt.referral_id).await;
    assert!(desk.starts_with("la.E08000035."));
    let status = school.get(&receipt.referral_id).await.expect("status");
    assert!(status.recipients.iter().all(|recipient| !recipient.endpoint.starts_with("la.E10000016.")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_what_would_happen_and_stores_nothing() {
    let stack = Stack::start("preview").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let preview = school
        .referrals
        .preview(referral::PreviewRequest { content: Some(content("Eta", "Only asked.")) })
        .await
        .expect("a preview")
        .into_inner();
    assert_eq!(preview.children.len(), 1);
    let list =
        school.referrals.list(referral::ListRequest { page_size: 10, ..Default::default() }).await.expect("a list").into_inner();
    assert!(list.referrals.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_marked_secret_turns_back_at_the_door_and_nothing_of_it_is_kept() {
    let stack = Stack::start("secret").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let mut submission = content("Theta", "Marked above what may be held here.");
    submission.items[0].handling.push(common::HandlingFlag::Secret as i32);
    let refused = school.submit(&key(), submission).await.err().expect("refused");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("telephone the front door"), "{}", refused.message());
    let list =
        school.referrals.list(referral::ListRequest { page_size: 10, ..Default::default() }).await.expect("a list").into_inner();
    assert!(list.referrals.is_empty());
}
