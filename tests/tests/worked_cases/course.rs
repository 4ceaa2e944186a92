//! What is said of a referral that is under way, by the call that is made for it: a front door acknowledges, decides,
//! hands over, refers on; a referrer disagrees; and the broker says that a clock ran out. The same cases go by `Submit`
//! too, as messages of their own.

use std::collections::BTreeSet;

use prost::Message as _;
use proto::wire::childrens_services::v1 as desk;
use proto::wire::childrens_services::v1::front_door_service_client::FrontDoorServiceClient;
use proto::wire::common::v1 as common;
use proto::wire::common::v1::RecipientRole;
use proto::wire::common::v1::progress_entry::Step;
use proto::wire::delivery::v1::{Delivery, Matter};
use proto::wire::referral::v1 as referral_v1;
use proto::wire::referral::v1::referral_service_client::ReferralServiceClient;
use proto::words::Word as _;
use referral::Endpoint;
use referral::time::london_date;
use referral::vocab::{Category, EventKind, Outcome, Vocabulary as _};
use router::cases::{Became, Bound};
use sha2::{Digest as _, Sha256};
use tests::client::{channel, key, person};
use tests::stack::Stack;
use tests::wait::until;
use tonic::transport::Channel;

use crate::Worked;
use crate::doors;
use crate::queues::{AtQueue, Queues};

/// What is said of a referral under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    Acknowledge,
    Decide,
    RecordStrategyDiscussion,
    TransferAndRefuse,
    TransferAndAccept,
    ReferOn,
    Disagree,
    ClockRunsOut,
}

impl Course {
    /// How a message of this kind is said of a referral under way; none where no call is made for it.
    pub fn of(kind: EventKind) -> Option<Course> {
        match kind {
            EventKind::Acknowledgement => Some(Course::Acknowledge),
            EventKind::ReferralOutcome => Some(Course::Decide),
            EventKind::StrategyDiscussionHeld => Some(Course::RecordStrategyDiscussion),
            EventKind::TransferRefused => Some(Course::TransferAndRefuse),
            EventKind::CpPlanTransferAccepted => Some(Course::TransferAndAccept),
            EventKind::ServiceRequest => Some(Course::ReferOn),
            EventKind::ProfessionalDisagreement => Some(Course::Disagree),
            EventKind::ClockBreached => Some(Course::ClockRunsOut),
            EventKind::Referral
            | EventKind::LowLevelConcern
            | EventKind::Allegation
            | EventKind::Correction
            | EventKind::ConsentWithdrawn
            | EventKind::CpFileTransfer
            | EventKind::CpisAttendance
            | EventKind::MissingChildReturn
            | EventKind::OperationEncompass
            | EventKind::PoliceProtectionS46
            | EventKind::PrivateFosteringNotification
            | EventKind::SeriousIncident
            | EventKind::OutcomeNotice
            | EventKind::OperatorQuery
            | EventKind::IcpcHeld => None,
        }
    }

    /// Whoever had referred hears this as the answer to the referral.
    fn answers_the_referrer(self) -> bool {
        match self {
            Course::Acknowledge | Course::Decide | Course::ClockRunsOut => true,
            Course::RecordStrategyDiscussion
            | Course::TransferAndRefuse
            | Course::TransferAndAccept
            | Course::ReferOn
            | Course::Disagree => false,
        }
    }

    fn is_said(self, step: &Step) -> bool {
        match self {
            Course::Acknowledge => matches!(step, Step::Acknowledged(_)),
            Course::Decide => matches!(step, Step::Decided(_)),
            Course::RecordStrategyDiscussion => matches!(step, Step::StrategyDiscussionHeld(_)),
            Course::TransferAndRefuse => matches!(step, Step::TransferRefused(_)),
            Course::TransferAndAccept => matches!(step, Step::TransferAccepted(_)),
            Course::ReferOn => matches!(step, Step::ReferredOn(_)),
            Course::Disagree => matches!(step, Step::Disagreed(_)),
            Course::ClockRunsOut => matches!(step, Step::ClockBreached(_)),
        }
    }
}

/// A referral on its way, before the case's own message is said of it.
pub struct UnderWay<'a> {
    worked: &'a Worked,
    course: Course,
    referrer: Endpoint,
    id: String,
    /// How much lay on the queues about it.
    before: usize,
    running_before: BTreeSet<String>,
}

impl UnderWay<'_> {
    /// Whoever had referred, of whom the case may say nothing.
    pub fn referrer(worked: &Worked) -> Endpoint {
        let said = &worked.bound.submission;
        match (&said.circumstances.reply_to, &said.sender) {
            (Some(referrer), _) => referrer.clone(),
            (None, school @ Endpoint::School(_)) => school.clone(),
            (None, _) => Endpoint::parse("school.999201").expect("an endpoint"),
        }
    }
}

impl<'a> UnderWay<'a> {
    /// A school refers the child of the case to the authority that the case says something of.
    pub async fn begin(stack: &Stack, queues: &Queues, worked: &'a Worked, course: Course) -> UnderWay<'a> {
        let referrer = UnderWay::referrer(worked);
        let at_school = channel(stack, &referrer.to_string()).await;
        let receipt = doors::submit(at_school.clone(), &key(), first(worked, course)).await.expect("received");
        let mut under_way =
            UnderWay { worked, course, referrer, id: receipt.referral_id, before: 0, running_before: BTreeSet::new() };
        under_way.responsible(queues).await;
        if course == Course::Disagree {
            let outcome = common::Outcome::NoFurtherAction as i32;
            under_way.decide(stack, queues, outcome).await;
            under_way.status(&at_school, |status| status.stage() == common::Stage::OutcomeReturned).await;
        }
        if matches!(course, Course::TransferAndRefuse | Course::TransferAndAccept) {
            under_way.offer(stack, queues).await;
        }
        // What is still on its way is part of what was before.
        let is_delivered = |to: &common::RecipientStatus| to.stage() as i32 >= common::Stage::Delivered as i32;
        let status = under_way.status(&at_school, |status| status.recipients.iter().all(is_delivered)).await;
        until(&format!("{} lies on every queue", worked.case.id), || async {
            let came: BTreeSet<String> = queues.about(&under_way.id).iter().map(|(owner, _)| owner.to_string()).collect();
            status.recipients.iter().all(|to| came.contains(&to.endpoint)).then_some(())
        })
        .await;
        under_way.before = queues.about(&under_way.id).len();
        under_way.running_before = running(&status).into_iter().map(|(name, _)| name).collect();
        under_way
    }

    /// Says what the case says, and waits until it is heard.
    pub async fn go_on(&self, stack: &Stack, queues: &Queues) -> common::ReferralStatus {
        let Bound { submission, .. } = &self.worked.bound;
        let at_school = channel(stack, &self.referrer.to_string()).await;
        match self.course {
            Course::Acknowledge => {
                let (mut door, answer) = self.answer(stack, queues).await;
                door.acknowledge(desk::AcknowledgeRequest { answer: Some(answer) }).await.expect("acknowledged");
            }
            Course::Decide => {
                let outcome = submission.circumstances.outcome.map_or(0, Outcome::number);
                self.decide(stack, queues, outcome).await;
            }
            Course::RecordStrategyDiscussion => {
                let (mut door, answer) = self.answer(stack, queues).await;
                let held_on = london_date(submission.received).to_string();
                let request = desk::RecordStrategyDiscussionRequest { answer: Some(answer), held_on, enquiries_started: true };
                door.record_strategy_discussion(request).await.expect("recorded");
            }
            Course::TransferAndRefuse | Course::TransferAndAccept => {
                let (to, offer) = self.came(queues, |(_, delivery)| delivery.matter() == Matter::TransferOffer).await;
                let mut door = FrontDoorServiceClient::new(channel(stack, &to.to_string()).await);
                let accepted = self.course == Course::TransferAndAccept;
                let reason = "The case says why.".to_owned();
                let request = desk::RespondToTransferRequest { answer: Some(answer_to(&offer)), accepted, reason };
                door.respond_to_transfer(request).await.expect("answered");
            }
            Course::ReferOn => {
                let (mut door, answer) = self.answer(stack, queues).await;
                let Became::Delivered { to } = &self.worked.in_core.became else { panic!("a service is asked") };
                let (to, reason) = (to.to_string(), "A place is needed.".to_owned());
                door.refer_on(desk::ReferOnRequest { answer: Some(answer), to, reason }).await.expect("referred on");
            }
            Course::Disagree => {
                let immediate_danger = submission.level == referral::vocab::Level::ImmediateDanger;
                let (referral_id, reason) = (self.id.clone(), "The child is not safe.".to_owned());
                let by = Some(person("A Referrer"));
                let request = referral_v1::DisagreeRequest { referral_id, by, reason, immediate_danger };
                ReferralServiceClient::new(at_school.clone()).disagree(request).await.expect("received");
            }
            // Nobody says anything, and the broker's clock has gone on.
            Course::ClockRunsOut => {}
        }
        let course = self.course;
        let is_said = move |status: &common::ReferralStatus| {
            status.ladder.iter().filter_map(|entry| entry.step.as_ref()).any(|step| course.is_said(step))
        };
        let status = self.status(&at_school, is_said).await;
        let expected = self.expected();
        until(&format!("what is said in {} is heard", self.worked.case.id), || async {
            let heard = self.heard(queues);
            expected.iter().filter(|name| !heard.contains(*name)).count().le(&self.never_heard()).then_some(())
        })
        .await;
        status
    }

    /// Where what was heard is not what the case expects: by whom, what of it, and which clocks it started.
    pub fn differences(&self, queues: &Queues, status: &common::ReferralStatus) -> Vec<String> {
        let Worked { case, bound, .. } = self.worked;
        let mut differences = Vec::new();
        let (expected, heard) = (self.expected(), self.heard(queues));
        if expected != heard {
            differences.push(format!("heard by: expected {expected:?}, found {heard:?}"));
        }
        for withheld in &case.expected.withheld {
            let category = Category::read(&withheld.category).unwrap_or(Category::Unknown);
            let came = queues.about(&self.id).into_iter().skip(self.before);
            let from = came.filter(|(owner, _)| bound.called(owner) == withheld.from);
            if from.into_iter().flat_map(|(_, delivery)| delivery.items).any(|item| item.category == category.number()) {
                differences.push(format!("withheld: {} must not reach {}, and does", withheld.category, withheld.from));
            }
        }
        let started: BTreeSet<(String, String)> =
            running(status).into_iter().filter(|(name, _)| !self.running_before.contains(name)).collect();
        let wanted: BTreeSet<(String, String)> =
            case.expected.clocks.iter().map(|clock| (clock.name.clone(), clock.due.clone())).collect();
        if started != wanted {
            differences.push(format!("clocks: expected {wanted:?}, started {started:?}"));
        }
        differences
    }

    /// Whoever is to hear of it, as the case calls them.
    fn expected(&self) -> BTreeSet<String> {
        let expected = &self.worked.case.expected;
        expected.responsible_authority.iter().chain(&expected.also_notify).cloned().collect()
    }

    /// Whoever heard of it since: at a queue, or whoever had referred, from what became of the referral.
    fn heard(&self, queues: &Queues) -> BTreeSet<String> {
        let came = queues.about(&self.id).into_iter().skip(self.before).map(|(owner, _)| owner);
        let referrer = self.course.answers_the_referrer().then(|| self.referrer.clone());
        came.chain(referrer).map(|owner| self.worked.bound.called(&owner)).collect()
    }

    /// How many of those whom the case names the call does not tell: of its own discussion an authority tells its team.
    fn never_heard(&self) -> usize {
        usize::from(self.course == Course::RecordStrategyDiscussion)
    }

    async fn answer(&self, stack: &Stack, queues: &Queues) -> (FrontDoorServiceClient<Channel>, desk::Answer) {
        let (owner, delivery) = self.responsible(queues).await;
        (FrontDoorServiceClient::new(channel(stack, &owner.to_string()).await), answer_to(&delivery))
    }

    async fn decide(&self, stack: &Stack, queues: &Queues, outcome: i32) {
        let (mut door, answer) = self.answer(stack, queues).await;
        let request = desk::DecideRequest { answer: Some(answer), outcome, reason: "The case says why.".to_owned() };
        door.decide(request).await.expect("decided");
    }

    /// The authority offers the case, with the plan that the child has, to the one of which the case speaks.
    async fn offer(&self, stack: &Stack, queues: &Queues) {
        let (mut door, answer) = self.answer(stack, queues).await;
        if self.course == Course::TransferAndAccept {
            let (answer, child_protection_plan, looked_after) = (Some(answer.clone()), true, false);
            let request = desk::ReportPlanStatusRequest { answer, child_protection_plan, looked_after };
            door.report_plan_status(request).await.expect("reported");
        }
        let other = match self.course {
            Course::TransferAndAccept => self.worked.bound.submission.child.places.home.as_ref(),
            _ => self.worked.bound.submission.sender.authority(),
        };
        let to_authority = other.expect("another authority").to_string();
        let request = desk::TransferRequest { answer: Some(answer), to_authority, reason: "The family has moved.".to_owned() };
        door.transfer(request).await.expect("offered");
        self.came(queues, |(_, delivery)| delivery.matter() == Matter::TransferOffer).await;
    }

    async fn responsible(&self, queues: &Queues) -> AtQueue {
        self.came(queues, |(_, delivery)| delivery.role() == RecipientRole::Responsible).await
    }

    async fn came(&self, queues: &Queues, is_it: impl Fn(&AtQueue) -> bool) -> AtQueue {
        let what = format!("something comes of {}", self.worked.case.id);
        until(&what, || async { queues.about(&self.id).into_iter().find(|came| is_it(came)) }).await
    }

    async fn status(&self, at_school: &Channel, holds: impl Fn(&common::ReferralStatus) -> bool) -> common::ReferralStatus {
        until(&format!("{} goes on", self.worked.case.id), || {
            let mut referrals = ReferralServiceClient::new(at_school.clone());
            let (holds, request) = (&holds, referral_v1::GetRequest { referral_id: self.id.clone() });
            async move { referrals.get(request).await.ok()?.into_inner().status.filter(holds) }
        })
        .await
    }
}

/// The referral of which the case says more: about its child, as serious, at the authority of which it speaks.
fn first(worked: &Worked, course: Course) -> common::Submission {
    let Worked { bound, in_core, .. } = worked;
    let mut content = doors::in_own_words(bound);
    content.kind = common::EventKind::Referral as i32;
    content.circumstances = None;
    content.items.retain(|item| item.category() != common::Category::Outcome);
    if content.agreement() == common::Agreement::NotSoughtNoReason {
        content.agreement = common::Agreement::NotSoughtWithReason as i32;
    }
    let answering = match (course, &in_core.became) {
        (Course::TransferAndAccept, _) => bound.submission.sender.authority(),
        (Course::TransferAndRefuse, Became::Delivered { to }) => to.authority(),
        _ => None,
    };
    if let (Some(answering), Some(child)) = (answering, content.child.as_mut()) {
        let (home, located) = (answering.to_string(), answering.to_string());
        child.places = Some(common::Places { home, located, ..common::Places::default() });
    }
    if course == Course::Disagree {
        content.level = common::Level::InNeed as i32;
    }
    content
}

/// The clocks that run, with the date or the moment at which they are due.
fn running(status: &common::ReferralStatus) -> BTreeSet<(String, String)> {
    let is_running = |clock: &&common::ClockStatus| clock.met.is_none() && clock.breached.is_none() && !clock.stopped;
    let clocks = status.clocks.iter().filter(is_running).filter_map(|status| status.clock.as_ref());
    let due = |clock: &common::Clock| match clock.due.as_ref().and_then(proto::read::moment) {
        Some(moment) if clock.due_date.is_empty() => moment.to_string(),
        Some(_) | None => clock.due_date.clone(),
    };
    clocks.map(|clock| (clock.name.clone(), due(clock))).collect()
}

/// An answer to a delivery by a named person. Encoded again it has the bytes that came: there is no map in it.
fn answer_to(delivery: &Delivery) -> desk::Answer {
    let digest = Sha256::digest(delivery.encode_to_vec()).to_vec();
    desk::Answer { delivery_id: delivery.delivery_id.clone(), digest, by: Some(person("Sam Worker")) }
}
