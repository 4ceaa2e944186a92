//! One journey through each door, over the wire and the real queues: police, school, children's services, and the
//! referrer who disagrees.

use proto::wire::childrens_services::v1 as desk;
use proto::wire::childrens_services::v1::front_door_service_client::FrontDoorServiceClient;
use proto::wire::common::v1 as common;
use proto::wire::common::v1::progress_entry::Step;
use proto::wire::delivery::v1::Matter;
use proto::wire::police::v1 as police;
use proto::wire::police::v1::police_service_client::PoliceServiceClient;
use proto::wire::referral::v1 as referral;
use proto::wire::school::v1 as school;
use proto::wire::school::v1::school_service_client::SchoolServiceClient;
use tests::client::{FrontDoor, Received, Sender, channel, content, key, person};
use tests::stack::Stack;
use tests::wait::until;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const LEEDS: &str = "la.E08000035.front-door";
const LEEDS_MANAGER: &str = "la.E08000035.front-door-manager";
const LEEDS_LEADS: &str = "la.E08000035.safeguarding-lead";
const KENT: &str = "la.E10000016.front-door";
const KENT_MANAGER: &str = "la.E10000016.front-door-manager";

/// A referral below significant harm: at any hour the front door is responsible, whose area the home is in.
fn in_need(family: &str) -> common::Submission {
    common::Submission {
        level: common::Level::InNeed as i32,
        agreement: common::Agreement::Given as i32,
        ..content(family, "Hungry and cold.")
    }
}

async fn reaches(
    sender: &Sender,
    id: &str,
    what: &str,
    holds: impl Fn(&common::ReferralStatus) -> bool,
) -> common::ReferralStatus {
    until(&format!("referral {id} is {what}"), || {
        let (mut sender, holds) = (sender.clone(), &holds);
        async move { sender.get(id).await.ok().filter(holds) }
    })
    .await
}

fn has(status: &common::ReferralStatus, step: impl Fn(&Step) -> bool) -> bool {
    status.ladder.iter().filter_map(|entry| entry.step.as_ref()).any(step)
}

/// Where a stranger's mistake is: the fields that a refusal names.
fn fields(refused: Status) -> Vec<String> {
    let named = refused.get_details_bad_request().map(|details| details.field_violations);
    named.unwrap_or_default().into_iter().map(|violation| violation.field).collect()
}

async fn desk_of(stack: &Stack, party: &str) -> FrontDoorServiceClient<Channel> {
    FrontDoorServiceClient::new(channel(stack, party).await)
}

// ---------------------------------------------------------------- police

fn said(text: &str) -> Option<police::Statement> {
    Some(police::Statement { text: text.to_owned(), ..police::Statement::default() })
}

fn child_of(submission: &common::Submission) -> police::Child {
    let child = submission.child.clone().unwrap_or_default();
    police::Child { identity: child.identity, address: child.address, places: child.places, ..police::Child::default() }
}

fn report(family: &str) -> police::Report {
    let account = police::AccountPart {
        topic: police::Topic::Circumstances as i32,
        statement: said("Shouting was heard from the flat."),
        ..police::AccountPart::default()
    };
    police::Report {
        incident: Some(police::Incident { number: "0412 of today".to_owned(), ..police::Incident::default() }),
        officer: Some(person("PC Dunmore")),
        marking: police::Marking::OfficialSensitive as i32,
        child: Some(child_of(&in_need(family))),
        account: vec![account],
        voice_of_child: said("\"He shouts at night.\""),
        ..police::Report::default()
    }
}

fn intelligence(text: &str, other_condition: &str) -> police::Intelligence {
    police::Intelligence {
        statement: said(text),
        handling_code: police::HandlingCode::P as i32,
        other_condition: other_condition.to_owned(),
        ..police::Intelligence::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_informs_the_front_door_and_intelligence_goes_no_further_than_its_conditions() {
    let stack = Stack::start("police").await;
    let mut force = PoliceServiceClient::new(channel(&stack, "police.13").await);
    let mut leeds = FrontDoor::of(&stack, LEEDS).await;
    let form = police::PublicProtectionNotice {
        report: Some(police::Report {
            intelligence: vec![intelligence("Seen with a van.", ""), intelligence("Heard it from her.", "Ask DS Farrow first.")],
            ..report("Kestrel")
        }),
        purpose: "To complete the picture of the family.".to_owned(),
        ..police::PublicProtectionNotice::default()
    };
    let sent = police::SendPublicProtectionNoticeRequest { idempotency_key: key(), form: Some(form.clone()) };
    let receipt = force.send_public_protection_notice(sent).await.expect("received").into_inner().receipt.expect("a receipt");

    let received = leeds.next().await;
    assert!(received.delivery.level() == common::Level::Information && received.delivery.sender == "police.13");
    let texts: Vec<&str> = received.delivery.items.iter().filter_map(text_of).collect();
    assert!(texts.iter().any(|text| text.contains("Seen with a van.")), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("Heard it from her.")), "{texts:?}");
    let withheld: Vec<common::Category> = received.delivery.withheld.iter().map(|withheld| withheld.category()).collect();
    assert!(withheld.contains(&common::Category::PoliceIntelligence));
    leeds.acknowledge(received.answer("Priya Shah")).await.expect("acknowledged");
    let sender = Sender::of(&stack, "police.13").await;
    reaches(&sender, &receipt.referral_id, "acknowledged", |status| status.stage() == common::Stage::Acknowledged).await;

    // What is marked too high turns back, and what contradicts itself is told in the form's own words.
    let secret = police::Report { marking: police::Marking::Secret as i32, ..report("Kestrel") };
    let secret = police::PublicProtectionNotice { report: Some(secret), ..form.clone() };
    let secret = police::SendPublicProtectionNoticeRequest { idempotency_key: key(), form: Some(secret) };
    assert_eq!(force.send_public_protection_notice(secret).await.err().expect("refused").code(), Code::FailedPrecondition);
    let unsaid = police::PublicProtectionNotice { purpose: String::new(), ..form };
    let unsaid = police::SendPublicProtectionNoticeRequest { idempotency_key: key(), form: Some(unsaid) };
    assert_eq!(fields(force.send_public_protection_notice(unsaid).await.err().expect("refused")), ["form.purpose"]);
}

fn text_of(item: &proto::wire::delivery::v1::DisclosedItem) -> Option<&str> {
    match &item.body {
        Some(proto::wire::delivery::v1::disclosed_item::Body::Text(text)) => Some(text),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_school_is_told_before_its_next_day_and_its_acknowledgement_ends_it() {
    let stack = Stack::start("encompass").await;
    let mut force = PoliceServiceClient::new(channel(&stack, "police.13").await);
    let mut at_school = FrontDoor::of(&stack, "school.999001").await;
    let mut report = report("Dunnock");
    report.child.as_mut().expect("a child").school_urn = "999001".to_owned();
    let form = police::OperationEncompass { report: Some(report), next_school_day: "2026-11-30T08:00:00Z".to_owned() };
    let told = police::NotifyOperationEncompassRequest { idempotency_key: key(), form: Some(form) };
    let receipt = force.notify_operation_encompass(told).await.expect("received").into_inner().receipt.expect("a receipt");

    let notice = at_school.next().await;
    assert!(notice.delivery.kind() == common::EventKind::OperationEncompass);
    assert!(notice.delivery.clocks.iter().any(|clock| clock.name == "encompass_next_school_day"));
    at_school.collect(notice.answer("the school's system")).await.expect("collected");
    at_school.acknowledge(notice.answer("Morag Ellwood")).await.expect("acknowledged");
    // A school says that it has it; it decides nothing.
    let decided = at_school.decide(notice.answer("Morag Ellwood"), common::Outcome::NoFurtherAction, "Seen.").await;
    assert_eq!(decided.expect_err("refused").code(), Code::PermissionDenied);
    let sender = Sender::of(&stack, "police.13").await;
    reaches(&sender, &receipt.referral_id, "closed", |status| !status.open).await;
}

// ---------------------------------------------------------------- school

fn form_school(urn: &str) -> Option<school::School> {
    let designated_safeguarding_lead = Some(person("Morag Ellwood"));
    Some(school::School { urn: urn.to_owned(), designated_safeguarding_lead, ..school::School::default() })
}

fn pupil(family: &str) -> Option<school::Pupil> {
    let child = in_need(family).child.unwrap_or_default();
    Some(school::Pupil { identity: child.identity, address: child.address, places: child.places, ..school::Pupil::default() })
}

fn stated(text: &str) -> Option<school::Statement> {
    Some(school::Statement { text: text.to_owned(), ..school::Statement::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_follows_the_child_and_the_next_school_gives_the_receipt() {
    let stack = Stack::start("file").await;
    let mut from = SchoolServiceClient::new(channel(&stack, "school.999001").await);
    let mut to = FrontDoor::of(&stack, "school.999002").await;
    let form = school::FileTransferForm {
        school: form_school("999001"),
        pupil: pupil("Siskin"),
        new_school_urn: "999002".to_owned(),
        handover: stated("Her father may not fetch her."),
        ..school::FileTransferForm::default()
    };
    let sent = school::TransferChildProtectionFileRequest { idempotency_key: key(), form: Some(form.clone()) };
    let receipt = from.transfer_child_protection_file(sent).await.expect("received").into_inner().receipt.expect("a receipt");
    let file = to.next().await;
    assert!(file.delivery.kind() == common::EventKind::CpFileTransfer);
    assert!(file.delivery.items.iter().filter_map(text_of).any(|text| text.contains("may not fetch her")));
    let sender = Sender::of(&stack, "school.999001").await;
    let waiting = reaches(&sender, &receipt.referral_id, "delivered", |status| status.stage() == common::Stage::Delivered).await;
    assert!(waiting.open);
    to.acknowledge(file.answer("Aled Pryce")).await.expect("acknowledged");
    reaches(&sender, &receipt.referral_id, "closed", |status| !status.open).await;

    let nowhere = school::FileTransferForm { new_school_urn: "the next one".to_owned(), ..form };
    let nowhere = school::TransferChildProtectionFileRequest { idempotency_key: key(), form: Some(nowhere) };
    let refused = fields(from.transfer_child_protection_file(nowhere).await.err().expect("refused"));
    assert!(refused.contains(&"form.new_school_urn".to_owned()), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_allegation_against_the_head_the_school_hears_that_it_was_received() {
    let stack = Stack::start("allegation").await;
    let mut at_school = SchoolServiceClient::new(channel(&stack, "school.999001").await);
    let mut leeds = FrontDoor::of(&stack, LEEDS).await;
    let account = school::AccountPart {
        topic: school::Topic::StaffAllegation as i32,
        statement: stated("A pupil says that the head held her by the arm."),
        ..school::AccountPart::default()
    };
    let position = school::Position::Head as i32;
    let form = school::AllegationForm {
        school: form_school("999001"),
        pupil: pupil("Merlin"),
        accused: Some(school::StaffMember { name: "Auberon Vane".to_owned(), position, ..school::StaffMember::default() }),
        level: common::Level::InNeed as i32,
        harm: common::HarmType::PhysicalAbuse as i32,
        account: vec![account],
        ..school::AllegationForm::default()
    };
    let sent = school::ReportAllegationRequest { idempotency_key: key(), form: Some(form) };
    let receipt = at_school.report_allegation(sent).await.expect("received").into_inner().receipt.expect("a receipt");
    let mut sender = Sender::of(&stack, "school.999001").await;
    let status = reaches(&sender, &receipt.referral_id, "taken up", |status| !status.ladder.is_empty()).await;
    assert!(status.stage() == common::Stage::Accepted && status.recipients.is_empty() && status.clocks.is_empty());
    assert!(status.ladder.iter().all(|entry| matches!(entry.step, Some(Step::Accepted(_)))));

    // A low-level concern is the school's own to record: it comes back, and nobody else is told.
    let form = school::LowLevelConcernForm {
        school: form_school("999001"),
        subject: Some(school::StaffMember {
            name: "Ivo Marsh".to_owned(),
            position: school::Position::Staff as i32,
            ..school::StaffMember::default()
        }),
        concern: stated("He gives pupils lifts home."),
        ..school::LowLevelConcernForm::default()
    };
    let sent = school::ReportLowLevelConcernRequest { idempotency_key: key(), form: Some(form) };
    let receipt = at_school.report_low_level_concern(sent).await.expect("received").into_inner().receipt.expect("a receipt");
    reaches(&sender, &receipt.referral_id, "returned", |status| status.stage() == common::Stage::ReturnedToSender).await;

    // Nothing of either lies before the front door but what came after them.
    sender.submit(&key(), in_need("Linnet")).await.expect("accepted");
    let next = leeds.next().await;
    assert!(next.delivery.kind() != common::EventKind::LowLevelConcern);
}

// ---------------------------------------------------------------- children's services

fn turned_back<T>(answer: Result<T, Status>, reason: &str) {
    let status = answer.err().expect(reason);
    let told = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    assert_eq!((status.code(), told.as_str()), (Code::FailedPrecondition, reason), "{status}");
}

async fn offer(leeds: &mut FrontDoorServiceClient<Channel>, received: &Received) {
    let request = desk::TransferRequest {
        answer: Some(received.answer("Priya Shah")),
        to_authority: "E07000106".to_owned(),
        reason: "The family has moved to Canterbury.".to_owned(),
    };
    leeds.transfer(request).await.expect("offered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_is_asked_about_offered_refused_offered_again_and_taken_over() {
    let stack = Stack::start("transfer").await;
    let mut at_school = Sender::of(&stack, "school.999001").await;
    let (mut leeds, mut leeds_manager) = (FrontDoor::of(&stack, LEEDS).await, FrontDoor::of(&stack, LEEDS_MANAGER).await);
    let (mut kent, mut kent_manager) = (FrontDoor::of(&stack, KENT).await, FrontDoor::of(&stack, KENT_MANAGER).await);
    let (mut leeds_desk, mut kent_desk) = (desk_of(&stack, LEEDS).await, desk_of(&stack, KENT).await);
    let id = at_school.submit(&key(), in_need("Heron")).await.expect("accepted").referral_id;
    let received = leeds.next().await;

    let question = desk::RequestInformationRequest {
        answer: Some(received.answer("Priya Shah")),
        question: "Who fetched her on Friday?".to_owned(),
    };
    leeds_desk.request_information(question).await.expect("asked");
    let asked = reaches(&at_school, &id, "asked about", |status| {
        has(status, |step| matches!(step, Step::AskedForMore(asked) if asked.question == "Who fetched her on Friday?"))
    })
    .await;
    let due: Vec<_> = asked.clocks.iter().filter_map(|clock| clock.clock.clone()).collect();

    offer(&mut leeds_desk, &received).await;
    let offered = kent.next().await;
    assert!(offered.delivery.matter() == Matter::TransferOffer);
    let remark = offered.delivery.remark.clone().expect("why");
    assert_eq!(remark.text, "The family has moved to Canterbury.");
    let refusal = desk::RespondToTransferRequest {
        answer: Some(offered.answer("Tobias Field")),
        accepted: false,
        reason: "They have moved back.".to_owned(),
    };
    kent_desk.respond_to_transfer(refusal).await.expect("refused");
    for party in [&mut leeds, &mut leeds_manager, &mut kent_manager] {
        let told = party.next().await;
        assert!(told.delivery.matter() == Matter::TransferRefused);
        assert_eq!(told.delivery.remark.expect("why").text, "They have moved back.");
    }

    // Whoever offered it takes it back until it is answered.
    let back =
        desk::WithdrawTransferRequest { answer: Some(received.answer("Priya Shah")), reason: "They came home.".to_owned() };
    turned_back(leeds_desk.withdraw_transfer(back.clone()).await, "NO_OFFER");
    offer(&mut leeds_desk, &received).await;
    let offered = kent.next().await;
    let answer_due = |status: &common::ReferralStatus| {
        status.clocks.iter().any(|clock| clock.clock.as_ref().is_some_and(|clock| clock.name == "transfer_answer"))
    };
    reaches(&at_school, &id, "offered again", answer_due).await;
    let unsaid = desk::WithdrawTransferRequest { reason: String::new(), ..back.clone() };
    assert_eq!(fields(leeds_desk.withdraw_transfer(unsaid).await.err().expect("refused")), ["reason"]);
    leeds_desk.withdraw_transfer(back).await.expect("taken back");
    let told = kent.next().await;
    assert!(told.delivery.matter() == Matter::TransferWithdrawn);
    assert_eq!(told.delivery.remark.expect("why").text, "They came home.");
    let accept_late =
        desk::RespondToTransferRequest { answer: Some(offered.answer("Tobias Field")), accepted: true, reason: String::new() };
    turned_back(kent_desk.respond_to_transfer(accept_late).await, "NOTHING_OFFERED");

    offer(&mut leeds_desk, &received).await;
    let offered = kent.next().await;
    // One offer at a time; and until it accepts, the other area decides nothing.
    let again = desk::TransferRequest {
        answer: Some(received.answer("Priya Shah")),
        to_authority: "E07000106".to_owned(),
        reason: "They have moved.".to_owned(),
    };
    turned_back(leeds_desk.transfer(again).await, "TRANSFER_PENDING");
    let accept = |answer| desk::RespondToTransferRequest { answer: Some(answer), accepted: true, reason: String::new() };
    kent_desk.respond_to_transfer(accept(offered.answer("Tobias Field"))).await.expect("accepted");
    let whole = kent.next().await;
    assert!(whole.delivery.role() == common::RecipientRole::Responsible);
    assert!(leeds.next().await.delivery.matter() == Matter::TransferAccepted);
    // Whoever had it before reads that nothing came of it, and does not believe that it decided.
    let late = desk::DecideRequest {
        answer: Some(received.answer("Priya Shah")),
        outcome: common::Outcome::NoFurtherAction as i32,
        reason: "We had seen them.".to_owned(),
    };
    turned_back(leeds_desk.decide(late).await, "NOT_RESPONSIBLE");
    turned_back(leeds_desk.respond_to_transfer(accept(received.answer("Priya Shah"))).await, "NOTHING_OFFERED");
    let moved =
        reaches(&at_school, &id, "taken over", |status| has(status, |step| matches!(step, Step::TransferAccepted(_)))).await;
    let is_own = |clock: &common::Clock| clock.name != "transfer_answer";
    let still_due: Vec<_> = moved.clocks.iter().filter_map(|clock| clock.clock.clone()).filter(is_own).collect();
    assert!(still_due == due, "the clocks went along as they were");
    kent.decide(whole.answer("Tobias Field"), common::Outcome::EarlyHelp, "We will see the family on Monday.")
        .await
        .expect("decided");
    let ended = reaches(&at_school, &id, "closed", |status| !status.open).await;
    assert!(ended.outcome() == common::Outcome::EarlyHelp);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_discussion_starts_its_clock_and_a_service_is_asked_to_help() {
    let stack = Stack::start("strategy").await;
    let mut at_school = Sender::of(&stack, "school.999001").await;
    let mut leeds = FrontDoor::of(&stack, LEEDS).await;
    let mut early_help = FrontDoor::of(&stack, "la.E08000035.early-help").await;
    let mut leeds_desk = desk_of(&stack, LEEDS).await;
    let submission = common::Submission { handling: vec![common::HandlingFlag::DoNotInformParents as i32], ..in_need("Avocet") };
    let id = at_school.submit(&key(), submission).await.expect("accepted").referral_id;
    let received = leeds.next().await;
    let by = || Some(received.answer("Priya Shah"));

    let ahead = desk::RecordStrategyDiscussionRequest { answer: by(), held_on: "2999-01-01".to_owned(), enquiries_started: true };
    let refused = leeds_desk.record_strategy_discussion(ahead.clone()).await.err().expect("refused");
    assert_eq!(fields(refused), ["held_on"]);
    let held_on = "2026-11-27".to_owned();
    let held = desk::RecordStrategyDiscussionRequest { held_on, ..ahead };
    leeds_desk.record_strategy_discussion(held).await.expect("recorded");
    let status = desk::ReportPlanStatusRequest { answer: by(), child_protection_plan: false, looked_after: false };
    let clock = |status: &common::ReferralStatus, name: &str| {
        status.clocks.iter().find(|one| one.clock.as_ref().is_some_and(|clock| clock.name == name)).cloned()
    };
    reaches(&at_school, &id, "enquired about", |status| clock(status, "icpc_15wd").is_some()).await;
    leeds_desk.report_plan_status(status).await.expect("recorded");
    let met = |status: &common::ReferralStatus| clock(status, "icpc_15wd").is_some_and(|clock| clock.met.is_some());
    reaches(&at_school, &id, "conferred about", met).await;

    let to = "la.E08000035.early-help".to_owned();
    let refer_on = desk::ReferOnRequest { answer: by(), to, reason: "Help with the mornings.".to_owned() };
    leeds_desk.refer_on(refer_on).await.expect("referred on");
    let helping = early_help.next().await;
    assert!(helping.delivery.matter() == Matter::ReferredOn);
    assert_eq!(helping.delivery.handling, [common::HandlingFlag::DoNotInformParents as i32]);

    let lift = |condition: common::HandlingFlag| desk::LiftHandlingRequest {
        answer: by(),
        condition: condition as i32,
        reason: "The mother knows now.".to_owned(),
    };
    let refused = leeds_desk.lift_handling(lift(common::HandlingFlag::PoliceOnly)).await.err().expect("refused");
    assert_eq!(fields(refused), ["condition"]);
    leeds_desk.lift_handling(lift(common::HandlingFlag::DoNotInformParents)).await.expect("lifted");
    assert!(early_help.next().await.delivery.matter() == Matter::HandlingLifted);
}

// ---------------------------------------------------------------- what was wrong, and what is agreed no longer

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_goes_to_everybody_who_was_told_what_was_wrong_and_says_what_it_replaces() {
    let stack = Stack::start("correct").await;
    let mut at_school = Sender::of(&stack, "school.999001").await;
    let mut leeds = FrontDoor::of(&stack, LEEDS).await;
    let mut on_patrol = FrontDoor::of(&stack, "police.13").await;
    let danger = common::Submission { level: common::Level::ImmediateDanger as i32, ..content("Plover", "He has a knife.") };
    let id = at_school.submit(&key(), danger).await.expect("accepted").referral_id;
    let first = on_patrol.next().await;

    // It was somebody else's child, and police would not be told of this today.
    let corrected = common::Submission { kind: 0, ..in_need("Plover") };
    let correct = |content: common::Submission| referral::CorrectRequest {
        referral_id: id.clone(),
        idempotency_key: key(),
        content: Some(content),
        sender: String::new(),
    };
    let other_kind = common::Submission { kind: common::EventKind::Allegation as i32, ..corrected.clone() };
    assert_eq!(fields(at_school.referrals.correct(correct(other_kind)).await.err().expect("refused")), ["content.kind"]);
    at_school.referrals.correct(correct(corrected)).await.expect("received");
    let replaced = on_patrol.next().await;
    assert!(replaced.delivery.matter() == Matter::Correction);
    assert_eq!(replaced.delivery.replaces_delivery_id, first.delivery.delivery_id);
    assert!(!replaced.delivery.items.iter().filter_map(text_of).any(|text| text.contains("knife")));
    // At night it had gone to whoever was on duty, so that to the front door it is new.
    let mut at_leeds = leeds.next().await;
    if at_leeds.delivery.kind() == common::EventKind::Referral {
        at_leeds = leeds.next().await;
    }
    assert_eq!(at_leeds.delivery.matter() == Matter::Correction, !at_leeds.delivery.replaces_delivery_id.is_empty());
    assert!(at_leeds.delivery.kind() == common::EventKind::Correction);
    assert!(at_leeds.delivery.flags.iter().any(|flag| flag == "supersedes_earlier"), "{:?}", at_leeds.delivery.flags);
}

#[tokio::test(flavor = "multi_thread")]
async fn agreement_that_is_withdrawn_is_told_to_everybody_who_helps_and_stops_what_rests_on_it() {
    let stack = Stack::start("consent").await;
    let mut at_school = Sender::of(&stack, "school.999001").await;
    let mut leeds = FrontDoor::of(&stack, LEEDS).await;
    let mut early_help = FrontDoor::of(&stack, "la.E08000035.early-help").await;
    let mut leeds_desk = desk_of(&stack, LEEDS).await;
    let id = at_school.submit(&key(), in_need("Wheatear")).await.expect("accepted").referral_id;
    let received = leeds.next().await;
    leeds.decide(received.answer("Priya Shah"), common::Outcome::S17Assessment, "It begins.").await.expect("decided");
    let refer_on = desk::ReferOnRequest {
        answer: Some(received.answer("Priya Shah")),
        to: "la.E08000035.early-help".to_owned(),
        reason: "Help with the mornings.".to_owned(),
    };
    leeds_desk.refer_on(refer_on).await.expect("referred on");
    let helping = early_help.next().await;

    let withdraw = referral::WithdrawConsentRequest {
        referral_id: id.clone(),
        by: Some(person("Morag Ellwood")),
        withdrawn_by: common::AgreementHolder::ParentalResponsibility as i32,
        withdrawn_on: "2026-11-24".to_owned(),
        reason: "She wants to manage alone.".to_owned(),
    };
    let unsaid = referral::WithdrawConsentRequest { withdrawn_by: 0, withdrawn_on: String::new(), by: None, ..withdraw.clone() };
    let refused = fields(at_school.referrals.withdraw_consent(unsaid).await.err().expect("refused"));
    assert_eq!(refused, ["by", "withdrawn_by", "withdrawn_on"]);
    let ahead = referral::WithdrawConsentRequest { withdrawn_on: "2999-01-01".to_owned(), ..withdraw.clone() };
    assert_eq!(fields(at_school.referrals.withdraw_consent(ahead).await.err().expect("refused")), ["withdrawn_on"]);
    let mut stranger = Sender::of(&stack, "school.999002").await;
    assert_eq!(stranger.referrals.withdraw_consent(withdraw.clone()).await.err().expect("refused").code(), Code::NotFound);

    at_school.referrals.withdraw_consent(withdraw).await.expect("received");
    let told = early_help.next().await;
    assert!(told.delivery.matter() == Matter::ConsentWithdrawn);
    assert_eq!(told.delivery.replaces_delivery_id, helping.delivery.delivery_id);
    let remark = told.delivery.remark.expect("who and when");
    assert!(remark.text.contains("holder of parental responsibility") && remark.text.contains("2026-11-24"), "{}", remark.text);
    let at_leeds = leeds.next().await;
    assert!(at_leeds.delivery.kind() == common::EventKind::ConsentWithdrawn);
    assert!(at_leeds.delivery.flags.iter().any(|flag| flag == "agreement_withdrawn"), "{:?}", at_leeds.delivery.flags);
    let status = reaches(&at_school, &id, "without agreement", |status| status.consent_withdrawn).await;
    assert!(has(&status, |step| matches!(step, Step::ConsentWithdrawn(withdrawn) if withdrawn.withdrawn_on == "2026-11-24")));
    let assessment = |clock: &&common::ClockStatus| clock.clock.as_ref().is_some_and(|clock| clock.name == "assessment_45wd");
    assert!(status.clocks.iter().find(assessment).is_some_and(|clock| clock.stopped));
}

// ---------------------------------------------------------------- the loop

#[tokio::test(flavor = "multi_thread")]
async fn a_disagreement_rises_from_the_manager_and_in_danger_goes_to_whoever_is_on_duty() {
    let stack = Stack::start("disagree").await;
    let mut at_school = Sender::of(&stack, "school.999001").await;
    let (mut leeds, mut manager) = (FrontDoor::of(&stack, LEEDS).await, FrontDoor::of(&stack, LEEDS_MANAGER).await);
    let mut leads = FrontDoor::of(&stack, LEEDS_LEADS).await;
    let mut on_patrol = FrontDoor::of(&stack, "police.13").await;
    let id = at_school.submit(&key(), in_need("Curlew")).await.expect("accepted").referral_id;
    let received = leeds.next().await;
    leeds.decide(received.answer("Priya Shah"), common::Outcome::NoFurtherAction, "Not for us.").await.expect("decided");
    reaches(&at_school, &id, "closed", |status| !status.open).await;

    let disagree = |immediate_danger| referral::DisagreeRequest {
        referral_id: id.clone(),
        by: Some(person("Morag Ellwood")),
        reason: "The bruises were not looked at.".to_owned(),
        immediate_danger,
    };
    at_school.referrals.disagree(disagree(false)).await.expect("received");
    let disputed = manager.next().await;
    assert!(disputed.delivery.matter() == Matter::Disagreement);
    assert_eq!(disputed.delivery.remark.as_ref().expect("why").text, "The bruises were not looked at.");
    reaches(&at_school, &id, "open again", |status| status.open).await;
    manager
        .decide(disputed.answer("Ottoline Grey"), common::Outcome::NoFurtherAction, "We looked again.")
        .await
        .expect("decided");
    reaches(&at_school, &id, "closed again", |status| !status.open).await;

    // Still dissatisfied, it goes one stage higher, and there again it first has to be answered.
    at_school.referrals.disagree(disagree(false)).await.expect("received");
    let raised = leads.next().await;
    assert!(raised.delivery.matter() == Matter::Disagreement && raised.delivery.disagreement_stage == 2);
    let before_the_leads = |status: &common::ReferralStatus| {
        status.disagreement.is_some_and(|disagreement| {
            disagreement.stage == 2 && disagreement.state() == common::DisagreementState::Open && !disagreement.may_be_raised
        })
    };
    let open = reaches(&at_school, &id, "before the leads", before_the_leads).await;
    assert!(has(
        &open,
        |step| matches!(step, Step::Disagreed(disagreed) if disagreed.stage == 2 && disagreed.endpoint == LEEDS_LEADS)
    ));
    let runs = |clock: &common::ClockStatus| clock.clock.as_ref().is_some_and(|clock| clock.name == "disagreement_leads");
    assert!(open.clocks.iter().any(|clock| runs(clock) && clock.met.is_none()));
    turned_back(at_school.referrals.disagree(disagree(false)).await, "DISAGREEMENT_OPEN");
    leads
        .decide(raised.answer("Ines Marlow"), common::Outcome::EarlyHelp, "She needs more than nothing.")
        .await
        .expect("decided");
    reaches(&at_school, &id, "answered by the leads", |status| status.outcome() == common::Outcome::EarlyHelp && !status.open)
        .await;

    at_school.referrals.disagree(disagree(true)).await.expect("received");
    let urgent = on_patrol.next().await;
    assert!(urgent.delivery.kind() == common::EventKind::ProfessionalDisagreement);
    assert!(urgent.delivery.level() == common::Level::ImmediateDanger);
    let open = reaches(&at_school, &id, "open once more", |status| status.open).await;
    assert!(open.level() == common::Level::ImmediateDanger);

    // Another's referral is not found, as ever.
    let mut stranger = Sender::of(&stack, "school.999002").await;
    assert_eq!(stranger.referrals.disagree(disagree(false)).await.err().expect("refused").code(), Code::NotFound);
}
