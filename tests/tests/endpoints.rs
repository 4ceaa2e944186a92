//! Who is connected changes while the broker runs: with the two real programs and a real RabbitMQ.

use proto::wire::common::v1 as common;
use tests::client::{FrontDoor, Sender, content, key};
use tests::stack::{Node, Stack, certify};
use tests::wait::until;

/// The desks of an authority.
fn desks(gss: &str, more: &str) -> String {
    ["front-door", "edt", "front-door-manager"].map(|desk| format!("[[endpoint]]\nname = \"la.{gss}.{desk}\"\n{more}\n")).concat()
}

const LEEDS: &str = "E08000035";
const NEWHAM: &str = "E09000025";
const KINGSTON: &str = "E09000021";
const RICHMOND: &str = "E09000027";

fn school() -> String {
    format!("[[endpoint]]\nname = \"school.999001\"\nauthority = {LEEDS:?}\n")
}

async fn started(name: &str, endpoints: &str) -> Stack {
    let mut stack = Stack::prepare(name, Node::of_the_run());
    stack.connect(endpoints);
    stack.start_broker(0).await;
    stack.start_adapter().await;
    stack
}

async fn logged(stack: &Stack, what: &str) {
    until(what, || async { stack.logs().contains(what).then_some(()) }).await;
}

fn living_in(gss: &str) -> common::Submission {
    let mut submission = content("Reload", "Comes to school hungry.");
    let places = common::Places { home: gss.to_owned(), located: gss.to_owned(), ..common::Places::default() };
    submission.child.as_mut().expect("a child").places = Some(places);
    submission
}

async fn stands_at(sender: &Sender, id: &str, stage: common::Stage) -> common::ReferralStatus {
    until(&format!("it stands at {}", stage.as_str_name()), || {
        let mut sender = sender.clone();
        async move { sender.get(id).await.ok().filter(|status| status.stage() == stage) }
    })
    .await
}

fn responsible(status: &common::ReferralStatus) -> String {
    let mut recipients = status.recipients.iter();
    recipients.find(|to| to.role() == common::RecipientRole::Responsible).expect("somebody is responsible").endpoint.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_connected_and_taken_out_while_the_broker_runs_and_a_bad_file_changes_nothing() {
    let before = desks(LEEDS, "") + &school();
    let mut stack = started("reload", &before).await;
    let mut sender = Sender::of(&stack, "school.999001").await;
    let early = sender.submit(&key(), living_in(NEWHAM)).await.expect("accepted");
    stands_at(&sender, &early.referral_id, common::Stage::NotConnected).await;

    // Both faults are named at once, and what was connected goes on.
    let newham = desks(NEWHAM, "");
    stack.connect(&format!("{before}{newham}[[endpoint]]\nname = \"police.13\"\nhours = \"always\"\nschemas = []\n"));
    logged(&stack, "the directory in use stays").await;
    let log = stack.logs();
    assert!(log.contains("hours need the form") && log.contains("schemas names no version"), "{log}");
    // This broker's clock may be shifted, so it never sends to real people.
    stack.connect(&format!("{before}[[endpoint]]\nname = \"police.13\"\nlive = true\n"));
    logged(&stack, "real people are behind police.13, and [rehearsal] is allowed").await;

    stack.connect(&format!("{before}{newham}"));
    logged(&stack, "the directory was replaced: connected: la.E09000025.front-door, la.E09000025.edt").await;
    let receipt = sender.submit(&key(), living_in(NEWHAM)).await.expect("accepted");
    let desk = responsible(&stands_at(&sender, &receipt.referral_id, common::Stage::Delivered).await);
    assert!(desk.starts_with("la.E09000025."), "{desk}");
    let management = stack.node.management();
    let queue = format!("delivery.{desk}");
    let vhost = stack.vhost.clone();
    let depth = || async {
        let depths = management.queue_depths(&vhost).await.expect("the queues");
        depths.into_iter().find(|depth| depth.name == queue).expect("its queue")
    };
    // What could not be delivered goes by itself, now that there is a road.
    let late = responsible(&stands_at(&sender, &early.referral_id, common::Stage::Delivered).await);
    let mut reading = FrontDoor::of(&stack, &desk).await;
    assert_eq!((reading.next().await.delivery.recipient, late), (desk.clone(), desk.clone()));

    // Taken out: whoever was reading is put off, and what lies there stays.
    let next = sender.submit(&key(), living_in(NEWHAM)).await.expect("accepted");
    stands_at(&sender, &next.referral_id, common::Stage::Delivered).await;
    stack.connect(&before);
    logged(&stack, "no longer connected: la.E09000025.front-door").await;
    let permissions = format!("/permissions/{}/{desk}", stack.vhost);
    assert!(management.find::<serde_json::Value>(&permissions).await.expect("asked").is_none(), "it may read nothing");
    until("nobody reads its queue, which stays", || async {
        let depth = depth().await;
        (depth.consumers == 0 && depth.messages_ready == 2).then_some(())
    })
    .await;
    drop(reading);

    // Each change is in the ledger, which holds.
    let (holds, said) = stack.broker_command(&["ledger", "verify"]);
    assert!(holds, "{said}");
    let (_, ledger) = stack.broker_command(&["ledger", "export"]);
    let changes = ledger.lines().filter(|line| line.contains("\"directory\"")).count();
    assert_eq!(changes, 3, "the one it began with, and two changes");
}

/// Kingston and Richmond have one company for both (RA-23): the message names Richmond, and Kingston's desk reads it and
/// answers in Richmond's name.
#[tokio::test(flavor = "multi_thread")]
async fn one_inbox_answers_for_two_authorities_each_in_its_own_name() {
    let endpoints = desks(KINGSTON, &format!("serves = [{RICHMOND:?}]")) + &school();
    let parties = ["front-door", "edt"].map(|desk| format!("la.{KINGSTON}.{desk}"));
    let mut stack = started("shared-inbox", &endpoints).await;
    certify(&stack.node.certificates(), &[], &parties.each_ref().map(String::as_str));
    let mut sender = Sender::of(&stack, "school.999001").await;
    let receipt = sender.submit(&key(), living_in(RICHMOND)).await.expect("accepted");
    let desk = responsible(&stands_at(&sender, &receipt.referral_id, common::Stage::Delivered).await);
    assert!(desk.starts_with("la.E09000027."), "{desk}");
    let inbox = desk.replace(RICHMOND, KINGSTON);
    let mut company = FrontDoor::of(&stack, &inbox).await;
    let received = company.next().await;
    assert_eq!(received.delivery.recipient, desk);
    company.acknowledge(received.answer("Sam Worker")).await.expect("acknowledged");
    company.decide(received.answer("Sam Worker"), common::Outcome::EarlyHelp, "Help begins.").await.expect("decided");
    let status = until("it is decided", || {
        let (mut sender, id) = (sender.clone(), receipt.referral_id.clone());
        async move { sender.get(&id).await.ok().filter(|status| !status.open) }
    })
    .await;
    let decided = status.ladder.iter().find_map(|entry| match &entry.step {
        Some(common::progress_entry::Step::Decided(step)) => Some(step.clone()),
        _ => None,
    });
    assert_eq!(decided.expect("a decision").endpoint, desk);
    // Once Richmond has a desk of its own, what is open is its own, and the company decides nothing for it.
    let open = sender.submit(&key(), living_in(RICHMOND)).await.expect("accepted");
    let at_the_company = company.next().await;
    assert_eq!(at_the_company.delivery.referral_id, open.referral_id);
    stack.connect(&(desks(KINGSTON, "") + &desks(RICHMOND, "") + &school()));
    logged(&stack, "the directory was replaced: connected: la.E09000027.front-door").await;
    certify(&stack.node.certificates(), &[], &[&desk]);
    let mut richmond = FrontDoor::of(&stack, &desk).await;
    let at_richmond = richmond.next().await;
    assert_eq!((&at_richmond.delivery.referral_id, &at_richmond.delivery.recipient), (&open.referral_id, &desk));
    let late = company.decide(at_the_company.answer("Sam Worker"), common::Outcome::EarlyHelp, "Help begins.").await;
    assert!(late.expect_err("refused").message().contains("answers for the child"), "it decides for Richmond no longer");
    richmond.decide(at_richmond.answer("Una Grey"), common::Outcome::EarlyHelp, "Help begins.").await.expect("decided");
    let next = sender.submit(&key(), living_in(RICHMOND)).await.expect("accepted");
    stands_at(&sender, &next.referral_id, common::Stage::Delivered).await;
    let queue = format!("delivery.{desk}");
    until("Richmond's own queue has the next", || async {
        let depths = stack.node.management().queue_depths(&stack.vhost).await.ok()?;
        depths.iter().any(|depth| depth.name == queue && depth.messages_ready + depth.messages_unacknowledged == 1).then_some(())
    })
    .await;
    // Whoever was taken out while the broker did not run keeps it from nothing.
    stack.stop_broker();
    stack.connect(&(desks(RICHMOND, "") + &school()));
    stack.start_broker(0).await;
    let permissions = format!("/permissions/{}/{inbox}", stack.vhost);
    let found = stack.node.management().find::<serde_json::Value>(&permissions).await.expect("asked");
    assert!(found.is_none(), "it may read nothing");
}

/// Until a release is imported, the sample that ships knows few postcodes.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_of_postcodes_is_taken_up_while_the_broker_runs() {
    let stack = started("import", &(desks(LEEDS, "") + &desks(NEWHAM, "") + &school())).await;
    let sender = Sender::of(&stack, "school.999001").await;
    let in_newham = || {
        let mut submission = living_in("");
        submission.child.as_mut().expect("a child").address.as_mut().expect("an address").postcode = "E15 4LZ".to_owned();
        submission
    };
    let receipt = sender.clone().submit(&key(), in_newham()).await.expect("accepted");
    let before = responsible(&stands_at(&sender, &receipt.referral_id, common::Stage::Delivered).await);
    assert!(before.starts_with("la.E08000035."), "by the school's place alone: {before}");

    let release = stack.folder.join("release.csv");
    let rows = "pcd7,pcd8,pcds,doterm,lad26cd\n\"E15 4LZ\",\"E15  4LZ\",\"E15 4LZ\",\"\",E09000025\n";
    std::fs::write(&release, rows).expect("a file");
    let (imported, said) = stack.broker_command(&["directory", "import", release.to_str().expect("a path"), "--smaller"]);
    assert!(imported, "{said}");
    logged(&stack, "the directory was replaced: another release of what was imported").await;
    let receipt = sender.clone().submit(&key(), in_newham()).await.expect("accepted");
    let after = responsible(&stands_at(&sender, &receipt.referral_id, common::Stage::Delivered).await);
    assert!(after.starts_with("la.E09000025."), "by its postcode: {after}");

    // A release that is gone, such as with a disk that is not there, takes nothing away.
    std::fs::remove_file(stack.folder.join("directory/postcodes.index")).expect("it was imported");
    logged(&stack, "a release that places are looked up in is not there any more").await;
    let receipt = sender.clone().submit(&key(), in_newham()).await.expect("accepted");
    let still = responsible(&stands_at(&sender, &receipt.referral_id, common::Stage::Delivered).await);
    assert!(still.starts_with("la.E09000025."), "by its postcode: {still}");
}

/// How far a rehearsal's clock has to run ahead to show this moment, in whole hours.
fn hours_until(moment: &str) -> i64 {
    let moment: jiff::Timestamp = moment.parse().expect("a moment");
    moment.duration_since(transport::clock::Clock::system().now()).as_hours()
}

/// Surrey ends on 31 March 2027. What it had open is West Surrey's the day after, with the same deadline, though the
/// broker was not running at midnight.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_case_passes_to_the_authority_that_follows() {
    let surrey = desks("E10000030", "") + &desks("E06990001", "") + &desks("E06990002", "") + &school();
    let mut stack = Stack::prepare("reorganised", Node::of_the_run());
    stack.connect(&surrey);
    stack.start_broker(hours_until("2027-03-31T12:00:00Z")).await;
    stack.start_adapter().await;
    certify(&stack.node.certificates(), &[], &["la.E06990002.front-door"]);
    let mut sender = Sender::of(&stack, "school.999001").await;
    // Guildford, in the words of a school that knows the district.
    let receipt = sender.submit(&key(), living_in("E07000209")).await.expect("accepted");
    let before = stands_at(&sender, &receipt.referral_id, common::Stage::Delivered).await;
    assert!(responsible(&before).starts_with("la.E10000030."), "{}", responsible(&before));

    stack.stop_broker();
    stack.start_broker(hours_until("2027-04-01T12:00:00+01:00")).await;
    let mut west = FrontDoor::of(&stack, "la.E06990002.front-door").await;
    let received = west.next().await;
    assert_eq!(received.delivery.referral_id, receipt.referral_id);
    west.acknowledge(received.answer("Sam Worker")).await.expect("it answers for the child now");
    let after = stands_at(&sender, &receipt.referral_id, common::Stage::Acknowledged).await;
    assert_eq!(responsible(&after), "la.E06990002.front-door");
    let passed = after.ladder.iter().filter_map(|entry| entry.step.as_ref());
    let is_it = |step: &common::progress_entry::Step| matches!(step, common::progress_entry::Step::PassedToSuccessor(_));
    assert_eq!(passed.filter(|step| is_it(step)).count(), 1);
    let due = |status: &common::ReferralStatus| {
        let clocks = status.clocks.iter().filter_map(|running| running.clock.as_ref());
        clocks.map(|clock| (clock.name.clone(), format!("{:?}", clock.due))).collect::<Vec<_>>()
    };
    assert_eq!(due(&after), due(&before));
}
