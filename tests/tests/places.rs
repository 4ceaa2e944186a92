//! Where a referral goes by what is known of the place, with the two real programs and a real RabbitMQ. Nothing was
//! imported here, so the postcode is one of the sample that ships.

use proto::wire::common::v1 as common;
use proto::wire::common::v1::progress_entry::Step;
use tests::client::{Sender, content, key};
use tests::stack::Stack;
use tests::wait::until;

/// What is known of the place: the home's code, and its postcode.
fn at(home: &str, postcode: &str) -> common::Submission {
    let mut submission = content("Place", "Comes to school hungry.");
    let child = submission.child.as_mut().expect("a child");
    child.places = Some(common::Places { home: home.to_owned(), ..common::Places::default() });
    child.address.as_mut().expect("an address").postcode = postcode.to_owned();
    submission
}

async fn goes_to(sender: &mut Sender, submission: common::Submission) -> String {
    let receipt = sender.submit(&key(), submission).await.expect("accepted");
    let sender = &*sender;
    let status = until("the referral is delivered", || {
        let (mut sender, id) = (sender.clone(), receipt.referral_id.clone());
        async move {
            let status = sender.get(&id).await.ok()?;
            (status.stage() as i32 >= common::Stage::Delivered as i32).then_some(status)
        }
    })
    .await;
    let responsible = status.recipients.iter().find(|to| to.role() == common::RecipientRole::Responsible);
    responsible.expect("somebody is responsible").endpoint.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postcode_a_district_or_a_school_alone_finds_the_council() {
    let stack = Stack::start("places").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    // Canterbury: a district of Kent, by its postcode and by its code.
    assert!(goes_to(&mut school, at("", "CT1 9QP")).await.starts_with("la.E10000016."), "by postcode");
    assert!(goes_to(&mut school, at("E07000106", "")).await.starts_with("la.E10000016."), "by district");
    // Nothing is known but the school, which is in Leeds.
    assert!(goes_to(&mut school, at("", "")).await.starts_with("la.E08000035."), "by school");
}

async fn stands_at(sender: &Sender, submission: common::Submission, stage: common::Stage) -> common::ReferralStatus {
    let receipt = sender.clone().submit(&key(), submission).await.expect("accepted");
    until(&format!("it stands at {}", stage.as_str_name()), || {
        let (mut sender, id) = (sender.clone(), receipt.referral_id.clone());
        async move { sender.get(&id).await.ok().filter(|status| status.stage() == stage) }
    })
    .await
}

/// Cardiff is not connected here, so its child is said to be Cardiff's and an operator is asked to telephone; a child of
/// no place is never guessed and never dropped.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_who_lives_in_wales_is_wales_and_a_child_of_no_place_waits_for_a_person() {
    let stack = Stack::start("no-places").await;
    let school = Sender::of(&stack, "school.999001").await;
    let status = stands_at(&school, at("W06000015", ""), common::Stage::NotConnected).await;
    let says_so = |step: &Step| matches!(step, Step::NotConnected(to) if to.endpoint == "devolved.W06000015");
    assert!(status.ladder.iter().filter_map(|entry| entry.step.as_ref()).any(says_so), "the sender reads that it is Cardiff's");
    assert!(stack.logs().contains("cannot be delivered to devolved.W06000015"));

    let trust = Sender::of(&stack, "nhs.ZZ304").await;
    let held = stands_at(&trust, at("", ""), common::Stage::Held).await;
    assert!(held.recipients.iter().all(|to| to.role() != common::RecipientRole::Responsible), "nobody is guessed");
    assert!(stack.logs().contains("waits for a person, at significant harm or above: RA-13"));
}
