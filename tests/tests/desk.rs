//! What a desk sees of what it was sent: the ladder from the other side, with the two real programs and a real RabbitMQ.

use proto::wire::childrens_services::v1 as desk;
use proto::wire::childrens_services::v1::front_door_service_client::FrontDoorServiceClient;
use proto::wire::common::v1 as common;
use proto::wire::delivery::v1::{Matter, ReceivedReferral};
use tests::client::{FrontDoor, Sender, channel, content, key};
use tests::stack::Stack;
use tests::wait::until;
use tonic::Code;
use tonic::transport::Channel;

type Desk = FrontDoorServiceClient<Channel>;

async fn desk_of(stack: &Stack, party: &str) -> Desk {
    FrontDoorServiceClient::new(channel(stack, party).await)
}

async fn listed(desk: &Desk, open_only: bool) -> Vec<ReceivedReferral> {
    // One at a time, so that the pages are turned.
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = desk::ListRequest { page_size: 1, page_token, open_only };
        let page = desk.clone().list(asked).await.expect("a page").into_inner();
        all.extend(page.referrals);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

async fn got(desk: &Desk, id: &str) -> Result<ReceivedReferral, tonic::Status> {
    let answer = desk.clone().get(desk::GetRequest { referral_id: id.to_owned() }).await?;
    Ok(answer.into_inner().referrals.remove(0))
}

async fn responsible(sender: &Sender, id: &str) -> String {
    until("it is delivered", || {
        let mut sender = sender.clone();
        async move {
            let status = sender.get(id).await.ok().filter(|status| status.stage() == common::Stage::Delivered)?;
            let is_it = |to: &&common::RecipientStatus| to.role() == common::RecipientRole::Responsible;
            status.recipients.iter().find(is_it).map(|to| to.endpoint.clone())
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_sees_what_it_was_sent_and_how_it_stands_and_nobody_elses() {
    let stack = Stack::start("desk").await;
    let mut school = Sender::of(&stack, "school.999001").await;
    let mut danger = content("Plover", "She is not safe tonight.");
    danger.level = common::Level::ImmediateDanger as i32;
    let first = school.submit(&key(), danger).await.expect("accepted").referral_id;
    let leeds = responsible(&school, &first).await;
    let second = school.submit(&key(), content("Dunlin", "Comes to school hungry.")).await.expect("accepted").referral_id;
    responsible(&school, &second).await;

    let at_leeds = desk_of(&stack, &leeds).await;
    let all = listed(&at_leeds, false).await;
    let ids: Vec<&str> = all.iter().map(|one| one.referral_id.as_str()).collect();
    assert_eq!(ids, [first.as_str(), second.as_str()]);
    let mut council = FrontDoor::of(&stack, &leeds).await;
    let received = council.next().await;
    let one = got(&at_leeds, &first).await.expect("it was sent here");
    assert!(one.recipient == leeds && one.role() == common::RecipientRole::Responsible);
    // With what it says, a desk that lost everything but its certificate can answer.
    let sent = one.deliveries.first().expect("what was sent");
    assert_eq!((sent.delivery_id.as_str(), &sent.digest), (received.delivery.delivery_id.as_str(), &received.digest));
    assert!(sent.matter() == Matter::Referral && sent.stage() == common::Stage::Delivered);
    let in_charge = one.in_charge.expect("it answers for the child");
    assert!(in_charge.open && in_charge.stage() == common::Stage::Delivered);
    let clocks: Vec<String> =
        in_charge.clocks.iter().filter_map(|status| status.clock.as_ref()).map(|clock| clock.name.clone()).collect();
    assert!(clocks.contains(&"la_ack_decision_1wd".to_owned()), "{clocks:?}");

    // Police are told of the danger, and not how it goes on; Kent was sent nothing.
    let at_police = desk_of(&stack, "police.13").await;
    let told = listed(&at_police, false).await;
    assert_eq!(told.len(), 1);
    assert!(told[0].referral_id == first && told[0].role() == common::RecipientRole::Notified);
    assert!(told[0].in_charge.is_none());
    assert!(listed(&at_police, true).await.is_empty(), "nothing is theirs to finish");
    let at_kent = desk_of(&stack, "la.E10000016.front-door").await;
    assert!(listed(&at_kent, false).await.is_empty());
    let refused = |answer: Result<ReceivedReferral, tonic::Status>| {
        let status = answer.err().expect("refused");
        (status.code(), status.message().to_owned())
    };
    let anothers = refused(got(&at_kent, &first).await);
    assert_eq!(anothers.0, Code::NotFound);
    assert_eq!(
        anothers,
        refused(got(&at_kent, &uuid::Uuid::new_v4().to_string()).await),
        "in the same words as one that never was"
    );

    // Decided, and handed to the sender: then nothing of it is open.
    council.decide(received.answer("Sam Worker"), common::Outcome::EarlyHelp, "Help begins.").await.expect("decided");
    until("the school has read it", || {
        let (mut school, first) = (school.clone(), first.clone());
        async move { school.get(&first).await.ok().filter(|status| !status.open) }
    })
    .await;
    let ended = until("it is closed at the desk too", || {
        let (at_leeds, first) = (at_leeds.clone(), first.clone());
        async move { got(&at_leeds, &first).await.ok()?.in_charge.filter(|in_charge| !in_charge.open) }
    })
    .await;
    assert!(ended.outcome() == common::Outcome::EarlyHelp && ended.stage() == common::Stage::OutcomeReturned);
    let open: Vec<String> = listed(&at_leeds, true).await.into_iter().map(|one| one.referral_id).collect();
    assert_eq!(open, [second]);

    let wrong = desk::ListRequest { page_token: "the next".to_owned(), ..desk::ListRequest::default() };
    let refused = at_leeds.clone().list(wrong).await.err().expect("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
}
