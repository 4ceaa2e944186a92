//! What the broker tells, domain to wire: deliveries to recipients, and the ladder to senders. Cannot fail.

use prost::Message as _;
use referral::case::{
    Case, Clock, ClockState, Delivered, DisagreementState, HeldBy, News, Recipient, RecipientNews, ReviewNews, Routing, Rung,
    Stage,
};
use referral::directory::Format;
use referral::disclosure::{DisclosedItem, Disclosure, Matter, Notice, Remark};
use referral::rules::explain::{Sentence, Withheld};
use referral::rules::pack::{ClockEnd, Extent};
use referral::rules::review::Choice;
use referral::rules::table::Evidence;
use referral::rules::{ClockStart, Decision, PackId, Role};
use referral::time::Due;
use referral::vocab::{Category, Vocabulary};
use referral::{Digest, Endpoint, Moment, ReferralId};

use crate::rendering;
use crate::wire::common::v1 as common;
use crate::wire::common::v1::progress_entry::Step;
use crate::wire::delivery::v1 as wire;
use crate::words::Word;
use crate::write::{body, child_status, handling, practitioner, timestamp};

const HOW_TO_ANSWER: &str = "Acknowledge as a named person, then decide, with FrontDoorService.Acknowledge and Decide: name this delivery's id and the SHA-256 of the delivery inside the envelope (of the whole text, if you receive JSON).";
const ANSWER_AN_OFFER: &str = "Accept or refuse as a named person with FrontDoorService.RespondToTransfer: name this delivery's id and its digest. Until you accept, the authority that offers it answers for the child.";
const NO_ANSWER: &str =
    "For your information; no answer is needed. You may acknowledge it as a named person with FrontDoorService.Acknowledge.";

/// A delivery as it goes on a recipient's queue.
pub struct Encoded {
    /// The body of the AMQP message.
    pub body: Vec<u8>,
    /// How the body is written.
    pub content_type: &'static str,
    /// What an answer must name: SHA-256 of the delivery inside the envelope, or of the JSON text.
    pub digest: Digest,
}

impl Encoded {
    fn of(delivery: &wire::Delivery, format: Format) -> Encoded {
        // That the mapping fails is not known to happen; a recipient that asked for text then gets protobuf.
        let text = match format {
            Format::Json => crate::json::write(delivery).ok(),
            Format::Protobuf => None,
        };
        match text {
            Some(text) => Encoded {
                digest: Digest::of_bytes(text.as_bytes()),
                body: text.into_bytes(),
                content_type: crate::JSON_CONTENT_TYPE,
            },
            None => {
                let plain = delivery.encode_to_vec();
                let digest = Digest::of_bytes(&plain);
                let envelope = wire::DeliveryEnvelope { body: Some(wire::delivery_envelope::Body::Plain(plain)) };
                Encoded { body: envelope.encode_to_vec(), content_type: crate::CONTENT_TYPE, digest }
            }
        }
    }
}

/// What one recipient receives, encoded. `sequence` is its place among everything it was sent about the referral.
pub fn disclosure(disclosure: &Disclosure, sequence: u32, format: Format) -> Encoded {
    Encoded::of(&delivery_of(disclosure, sequence), format)
}

/// What a recipient is told that holds nothing of the content, encoded.
pub fn notice(notice: &Notice, sequence: u32, format: Format) -> Encoded {
    Encoded::of(&delivery_of_notice(notice, sequence), format)
}

fn delivery_of(disclosure: &Disclosure, sequence: u32) -> wire::Delivery {
    wire::Delivery {
        delivery_id: disclosure.delivery().to_string(),
        referral_id: disclosure.referral().to_string(),
        linked_referral_ids: disclosure.linked().iter().map(ReferralId::to_string).collect(),
        recipient: disclosure.to().to_string(),
        role: role(disclosure.role()) as i32,
        matter: matter(disclosure.matter()) as i32,
        sender: disclosure.sender().to_string(),
        received: Some(timestamp(disclosure.received())),
        kind: disclosure.kind().number(),
        level: disclosure.level().number(),
        harm: disclosure.harm().number(),
        items: disclosure.items().iter().map(item).collect(),
        withheld: disclosure.withheld().iter().map(withheld).collect(),
        bases: disclosure.bases().iter().map(ToString::to_string).collect(),
        handling: handling(disclosure.handling()),
        clocks: disclosure.clocks().iter().map(|clock| clock_start(clock, Some(disclosure.to()))).collect(),
        sentences: disclosure.sentences().iter().map(sentence).collect(),
        flags: disclosure.flags().to_vec(),
        notice: String::new(),
        how_to_answer: how_to_answer(disclosure.role(), disclosure.matter()).to_owned(),
        rendering: rendering::of_disclosure(disclosure, how_to_answer(disclosure.role(), disclosure.matter())),
        edition: disclosure.pack().map(edition),
        sequence,
        remark: disclosure.remark().map(remark),
        child_status: disclosure.status().map(child_status),
        disagreement_stage: 0,
        replaces_delivery_id: disclosure.replaces().map(|before| before.to_string()).unwrap_or_default(),
    }
}

fn remark(remark: &Remark) -> wire::Remark {
    wire::Remark { by: Some(practitioner(&remark.by)), text: remark.text.open().clone() }
}

fn delivery_of_notice(notice: &Notice, sequence: u32) -> wire::Delivery {
    wire::Delivery {
        delivery_id: notice.delivery.to_string(),
        referral_id: notice.referral.to_string(),
        recipient: notice.to.to_string(),
        role: role(notice.role) as i32,
        matter: matter(notice.matter) as i32,
        sender: notice.sender.to_string(),
        received: Some(timestamp(notice.received)),
        clocks: notice
            .clock
            .map(|name| common::Clock { name: name.to_string(), ..common::Clock::default() })
            .into_iter()
            .collect(),
        notice: notice.text.clone(),
        how_to_answer: how_to_answer(Role::Notified, notice.matter).to_owned(),
        rendering: rendering::of_notice(notice, how_to_answer(Role::Notified, notice.matter)),
        sequence,
        remark: notice.remark.as_ref().map(remark),
        disagreement_stage: notice.stage.map_or(0, |stage| u32::from(stage.number())),
        ..wire::Delivery::default()
    }
}

/// A rung of the ladder, as a sender sees it. Its position is filled in when it is read back.
pub fn entry(referral: ReferralId, at: Moment, digest: Digest, linked: &[ReferralId], news: &News) -> common::ProgressEntry {
    let step = step(digest, linked, news);
    common::ProgressEntry { position: 0, referral_id: referral.to_string(), time: Some(timestamp(at)), step: Some(step) }
}

/// A message that could not be processed, as its sender sees it. `why` is without content.
pub fn quarantined(referral: ReferralId, at: Moment, why: &str) -> common::ProgressEntry {
    let step = Step::Quarantined(common::Quarantined { why: why.to_owned() });
    common::ProgressEntry { position: 0, referral_id: referral.to_string(), time: Some(timestamp(at)), step: Some(step) }
}

fn step(digest: Digest, linked: &[ReferralId], news: &News) -> Step {
    match news {
        News::Accepted => Step::Accepted(common::Accepted {
            content_digest: digest.to_string(),
            linked_referral_ids: linked.iter().map(ReferralId::to_string).collect(),
        }),
        News::Routed(routing) => Step::Routed(routed(routing)),
        News::Held(routing) => Step::Held(held(routing)),
        News::Reviewed(news) => Step::Reviewed(reviewed(news)),
        News::ReturnedToSender(routing) => Step::ReturnedToSender(returned(routing)),
        News::Refused(routing) => Step::Refused(refused(routing)),
        News::Amended { same_key } => {
            Step::Amended(common::Amended { content_digest: digest.to_string(), under_the_same_key: *same_key })
        }
        News::Withdrawn => Step::Withdrawn(common::Withdrawn {}),
        News::ConsentWithdrawn { holder, on } => {
            Step::ConsentWithdrawn(common::ConsentWithdrawn { withdrawn_by: holder.number(), withdrawn_on: on.to_string() })
        }
        News::Delivered(to) => Step::Delivered(common::Delivered { endpoint: to.to_string() }),
        News::NotConnected(to) => Step::NotConnected(common::NotConnected { endpoint: to.to_string() }),
        News::Collected(at) => Step::Collected(common::Collected { endpoint: at.to_string() }),
        News::Acknowledged { at, by } => {
            Step::Acknowledged(common::Acknowledged { endpoint: at.to_string(), by: Some(practitioner(by)) })
        }
        News::Decided { at, by, outcome, reason } => Step::Decided(common::Decided {
            endpoint: at.to_string(),
            by: Some(practitioner(by)),
            outcome: outcome.number(),
            reason: reason.open().clone(),
        }),
        News::OutcomeReturned => Step::OutcomeReturned(common::OutcomeReturned {}),
        News::ClockBreached { clock, due } => {
            Step::ClockBreached(common::ClockBreached { clock: Some(clock_of(clock.as_str(), *due)) })
        }
        News::AskedForMore { at, by, question } => Step::AskedForMore(common::AskedForMore {
            endpoint: at.to_string(),
            by: Some(practitioner(by)),
            question: question.open().clone(),
        }),
        News::TransferOffered { from, to } => {
            Step::TransferOffered(common::TransferOffered { from: from.to_string(), to: to.to_string() })
        }
        News::TransferAccepted { from, to, by } => Step::TransferAccepted(common::TransferAccepted {
            from: from.to_string(),
            to: to.to_string(),
            by: Some(practitioner(by)),
        }),
        News::TransferRefused { from, to } => {
            Step::TransferRefused(common::TransferRefused { from: from.to_string(), to: to.to_string() })
        }
        News::PassedToSuccessor { from, to } => {
            Step::PassedToSuccessor(common::PassedToSuccessor { from: from.to_string(), to: to.to_string() })
        }
        News::TransferWithdrawn { from, to } => {
            Step::TransferWithdrawn(common::TransferWithdrawn { from: from.to_string(), to: to.to_string() })
        }
        News::StrategyDiscussionHeld { at } => {
            Step::StrategyDiscussionHeld(common::StrategyDiscussionHeld { endpoint: at.to_string() })
        }
        News::ReferredOn { at, to } => Step::ReferredOn(common::ReferredOn { endpoint: at.to_string(), to: to.to_string() }),
        News::HandlingLifted { at, condition } => {
            Step::HandlingLifted(common::HandlingLifted { endpoint: at.to_string(), condition: condition.number() })
        }
        News::Disagreed { before: Some((to, stage)) } => {
            Step::Disagreed(common::Disagreed { endpoint: to.to_string(), stage: u32::from(stage.number()) })
        }
        News::Disagreed { before: None } => Step::Disagreed(common::Disagreed::default()),
    }
}

/// What would happen to one child's referral.
pub fn preview(child: u32, routing: &Routing) -> common::ChildPreview {
    use common::child_preview::Verdict;
    let verdict = match &routing.decision {
        Decision::Deliver { .. } => Verdict::Routed(routed(routing)),
        Decision::HoldForReview { .. } => Verdict::Held(held(routing)),
        Decision::ReturnToSender => Verdict::ReturnedToSender(returned(routing)),
        Decision::Refuse => Verdict::Refused(refused(routing)),
    };
    common::ChildPreview { child, verdict: Some(verdict) }
}

/// How a referral stands, with what happened so far.
pub fn status(case: &Case, ladder: Vec<common::ProgressEntry>) -> common::ReferralStatus {
    // A person under suspicion may read this: it says that it was received, and no more (DM-09).
    if case.is_feedback_suppressed() {
        return common::ReferralStatus {
            referral_id: case.id().to_string(),
            stage: stage(case) as i32,
            open: case.is_open_to_its_sender(),
            ladder,
            sender: case.sender().to_string(),
            received: Some(timestamp(case.received())),
            content_digest: case.digest().map(|digest| digest.to_string()).unwrap_or_default(),
            level: case.level().number(),
            withdrawn: case.is_withdrawn(),
            consent_withdrawn: case.is_consent_withdrawn(),
            ..common::ReferralStatus::default()
        };
    }
    let recipients = case.recipients().iter().map(|recipient| {
        let highest = recipient.deliveries.iter().map(|delivery| delivery.rung).max();
        common::RecipientStatus {
            endpoint: recipient.to.to_string(),
            role: role(recipient.role) as i32,
            stage: highest.map_or(common::Stage::Routed, rung) as i32,
        }
    });
    common::ReferralStatus {
        referral_id: case.id().to_string(),
        stage: stage(case) as i32,
        open: case.is_open(),
        linked_referral_ids: case.linked().iter().map(ReferralId::to_string).collect(),
        recipients: recipients.collect(),
        clocks: case.clocks().iter().map(clock_status).collect(),
        ladder,
        sender: case.sender().to_string(),
        received: Some(timestamp(case.received())),
        content_digest: case.digest().map(|digest| digest.to_string()).unwrap_or_default(),
        level: case.level().number(),
        outcome: case.outcome().map_or(0, Word::number),
        withdrawn: case.is_withdrawn(),
        edition: case.edition().map(edition),
        disagreement: case.disagreement().map(|(stage, state)| common::DisagreementStatus {
            stage: u32::from(stage.number()),
            state: match state {
                DisagreementState::Open => common::DisagreementState::Open,
                DisagreementState::Late => common::DisagreementState::Late,
                DisagreementState::Answered => common::DisagreementState::Answered,
            } as i32,
            may_be_raised: case.next_stage().is_ok(),
        }),
        consent_withdrawn: case.is_consent_withdrawn(),
    }
}

/// How a referral stands that lies in `inbox`, once for each recipient whose inbox that is. How it goes on is for whoever
/// answers for the child, and for nobody else who was told.
pub fn received(case: &Case, inbox: &Endpoint) -> Vec<wire::ReceivedReferral> {
    let one = |(recipient, sent): (&Recipient, Vec<&Delivered>)| wire::ReceivedReferral {
        referral_id: case.id().to_string(),
        recipient: recipient.to.to_string(),
        role: role(recipient.role) as i32,
        received: Some(timestamp(case.received())),
        deliveries: sent.into_iter().map(received_delivery).collect(),
        withdrawn: case.is_withdrawn(),
        in_charge: case.is_in_charge(recipient).then(|| wire::InCharge {
            stage: progress(case) as i32,
            clocks: case.clocks().iter().map(clock_status).collect(),
            outcome: case.outcome().map_or(0, Word::number),
            open: case.is_open(),
            offered_to: case.transfer().map(|transfer| transfer.to.to_string()).unwrap_or_default(),
        }),
    };
    case.received_in(inbox).map(one).collect()
}

fn received_delivery(delivered: &Delivered) -> wire::ReceivedDelivery {
    wire::ReceivedDelivery {
        delivery_id: delivered.id.to_string(),
        digest: delivered.digest.map(|digest| digest.as_bytes().to_vec()).unwrap_or_default(),
        matter: matter(delivered.matter) as i32,
        stage: rung(delivered.rung) as i32,
    }
}

/// A referral in a list.
pub fn summary(case: &Case) -> common::ReferralSummary {
    let running = case.clocks().iter().filter(|clock| clock.state == ClockState::Running);
    let next = running.min_by_key(|clock| clock.due.by);
    common::ReferralSummary {
        referral_id: case.id().to_string(),
        stage: stage(case) as i32,
        open: case.is_open_to_its_sender(),
        received: Some(timestamp(case.received())),
        next_due: next.filter(|_| !case.is_feedback_suppressed()).map(clock_running),
    }
}

/// How far a referral has come, as its sender sees it.
pub fn stage(case: &Case) -> common::Stage {
    let came_back = matches!(case.stage(), Stage::Returned | Stage::Refused);
    // How far it went, the sender is not told (DM-09).
    if case.is_feedback_suppressed() && !came_back { common::Stage::Accepted } else { progress(case) }
}

/// How far a referral has come.
fn progress(case: &Case) -> common::Stage {
    match case.stage() {
        _ if case.is_withdrawn() && case.stage() < Stage::Decided => common::Stage::Withdrawn,
        Stage::Held => common::Stage::Held,
        Stage::Returned => common::Stage::ReturnedToSender,
        Stage::Refused => common::Stage::Refused,
        Stage::NotConnected => common::Stage::NotConnected,
        Stage::Routed => common::Stage::Routed,
        Stage::Delivered => common::Stage::Delivered,
        Stage::Collected => common::Stage::Collected,
        Stage::Acknowledged => common::Stage::Acknowledged,
        Stage::Decided => common::Stage::Decided,
        Stage::OutcomeReturned => common::Stage::OutcomeReturned,
    }
}

fn rung(rung: Rung) -> common::Stage {
    match rung {
        Rung::Owed => common::Stage::Routed,
        Rung::Delivered => common::Stage::Delivered,
        Rung::Collected => common::Stage::Collected,
        Rung::Acknowledged => common::Stage::Acknowledged,
        Rung::Decided => common::Stage::Decided,
    }
}

fn routed(routing: &Routing) -> common::Routed {
    let owner = match &routing.decision {
        Decision::Deliver { to } => Some(to),
        Decision::HoldForReview { .. } | Decision::ReturnToSender | Decision::Refuse => None,
    };
    common::Routed {
        recipients: routing.recipients.iter().map(recipient).collect(),
        clocks: routing.clocks.iter().map(|clock| clock_start(clock, owner)).collect(),
        sentences: routing.sentences.iter().map(sentence).collect(),
        flags: routing.flags.clone(),
        edition: routing.pack.as_ref().map(edition),
    }
}

fn recipient(news: &RecipientNews) -> common::RoutedRecipient {
    let minimum = |category: Category| {
        news.withheld.iter().any(|withheld| withheld.category == category && withheld.given == Extent::Minimum)
    };
    let given = |&category: &Category| common::Given {
        category: category.number(),
        extent: if minimum(category) { common::Extent::Minimum } else { common::Extent::Whole } as i32,
    };
    common::RoutedRecipient {
        endpoint: news.to.to_string(),
        role: role(news.role) as i32,
        given: news.given.iter().map(given).collect(),
        withheld: news.withheld.iter().map(withheld).collect(),
        bases: news.bases.iter().map(ToString::to_string).collect(),
    }
}

fn held(routing: &Routing) -> common::Held {
    let (why, rule_id) = decisive(routing);
    let intended = match &routing.decision {
        Decision::HoldForReview { intended } => intended.as_ref().map(ToString::to_string),
        Decision::Deliver { .. } | Decision::ReturnToSender | Decision::Refuse => None,
    };
    common::Held {
        why,
        rule_id,
        who_acts: common::WhoActs::Broker as i32,
        intended: intended.unwrap_or_default(),
        sentences: routing.sentences.iter().map(sentence).collect(),
        flags: routing.flags.clone(),
        edition: routing.pack.as_ref().map(edition),
    }
}

fn reviewed(news: &ReviewNews) -> common::Reviewed {
    let (choice, redirected_to) = match &news.choice {
        Choice::Release => (common::ReviewChoice::Released, String::new()),
        Choice::Redirect { to } => (common::ReviewChoice::Redirected, to.to_string()),
        Choice::Return => (common::ReviewChoice::Returned, String::new()),
    };
    common::Reviewed {
        choice: choice as i32,
        redirected_to,
        by_role: news.role.open().clone(),
        reason: news.reason.as_ref().map(|reason| reason.open().clone()).unwrap_or_default(),
        lifted: held_by(&news.lifted),
        items: news.items.iter().map(|category| category.number()).collect(),
    }
}

/// The rules that hold a referral, or held it.
pub fn held_by(rules: &[HeldBy]) -> Vec<common::HeldBy> {
    rules.iter().map(|held| common::HeldBy { rule_id: held.rule.clone(), reason: held.because.clone() }).collect()
}

fn returned(routing: &Routing) -> common::ReturnedToSender {
    let (why, rule_id) = decisive(routing);
    let sentences = routing.sentences.iter().map(sentence).collect();
    common::ReturnedToSender { why, rule_id, sentences, edition: routing.pack.as_ref().map(edition) }
}

fn refused(routing: &Routing) -> common::Refused {
    let (why, rule_id) = decisive(routing);
    let sentences = routing.sentences.iter().map(sentence).collect();
    common::Refused { why, rule_id, sentences, edition: routing.pack.as_ref().map(edition) }
}

/// Why, and by which rule. The route stands first among the reasons; what held the referral back, after it.
fn decisive(routing: &Routing) -> (String, String) {
    routing.by.last().map(|reason| (reason.because.clone(), reason.rule.to_string())).unwrap_or_default()
}

fn sentence(sentence: &Sentence) -> common::Sentence {
    let reason = sentence.reason.as_deref();
    common::Sentence {
        text: sentence.text.clone(),
        rule_id: reason.map(|reason| reason.rule.to_string()).unwrap_or_default(),
        source: reason.map(|reason| reason.source.clone()).unwrap_or_default(),
        evidence: match reason.map(|reason| reason.evidence) {
            None => common::Evidence::Unspecified,
            Some(Evidence::Verified) => common::Evidence::Verified,
            Some(Evidence::ToBeConfirmed) => common::Evidence::ToConfirm,
            Some(Evidence::Convention) => common::Evidence::Convention,
        } as i32,
        contested: reason.is_some_and(|reason| reason.contested),
    }
}

fn withheld(withheld: &Withheld) -> common::Withheld {
    common::Withheld {
        category: withheld.category.number(),
        rule_id: withheld.rule.clone(),
        reason: withheld.because.clone(),
        given: extent(withheld.given) as i32,
    }
}

fn extent(extent: Extent) -> common::Extent {
    match extent {
        Extent::Nothing => common::Extent::Nothing,
        Extent::Review => common::Extent::Review,
        Extent::Minimum => common::Extent::Minimum,
        Extent::Whole => common::Extent::Whole,
    }
}

fn clock_start(clock: &ClockStart, owner: Option<&Endpoint>) -> common::Clock {
    common::Clock {
        owner: owner.map(ToString::to_string).unwrap_or_default(),
        stopped_by: stopped_by(clock.ends_with) as i32,
        rule_id: clock.by.rule.to_string(),
        ..clock_of(clock.name.as_str(), clock.due)
    }
}

fn clock_running(clock: &Clock) -> common::Clock {
    common::Clock { stopped_by: stopped_by(clock.ends_with) as i32, ..clock_of(clock.name.as_str(), clock.due) }
}

fn clock_of(name: &str, due: Due) -> common::Clock {
    common::Clock {
        name: name.to_owned(),
        due: Some(timestamp(due.by)),
        due_date: due.date.map(|date| date.to_string()).unwrap_or_default(),
        provisional: due.provisional,
        ..common::Clock::default()
    }
}

fn stopped_by(end: ClockEnd) -> common::Stage {
    match end {
        ClockEnd::Acknowledged => common::Stage::Acknowledged,
        ClockEnd::Decided => common::Stage::Decided,
        ClockEnd::Answered => common::Stage::Unspecified,
    }
}

fn clock_status(clock: &Clock) -> common::ClockStatus {
    let status = common::ClockStatus { clock: Some(clock_running(clock)), ..common::ClockStatus::default() };
    match clock.state {
        ClockState::Running => status,
        ClockState::Met { at } => common::ClockStatus { met: Some(timestamp(at)), ..status },
        ClockState::Breached { at } => common::ClockStatus { breached: Some(timestamp(at)), ..status },
        ClockState::Stopped => common::ClockStatus { stopped: true, ..status },
    }
}

fn edition(pack: &PackId) -> common::Edition {
    common::Edition { name: pack.edition.clone(), hash: pack.hash.to_string() }
}

fn role(role: Role) -> common::RecipientRole {
    match role {
        Role::Responsible => common::RecipientRole::Responsible,
        Role::Notified => common::RecipientRole::Notified,
        Role::EarlierRecipient => common::RecipientRole::EarlierRecipient,
    }
}

fn matter(matter: Matter) -> wire::Matter {
    match matter {
        Matter::Referral => wire::Matter::Referral,
        Matter::Amendment => wire::Matter::Amendment,
        Matter::Correction => wire::Matter::Correction,
        Matter::ConsentWithdrawn => wire::Matter::ConsentWithdrawn,
        Matter::Withdrawal => wire::Matter::Withdrawal,
        Matter::ClockBreached => wire::Matter::ClockBreached,
        Matter::TransferOffer => wire::Matter::TransferOffer,
        Matter::TransferAccepted => wire::Matter::TransferAccepted,
        Matter::TransferRefused => wire::Matter::TransferRefused,
        Matter::PassedToSuccessor => wire::Matter::PassedToSuccessor,
        Matter::TransferWithdrawn => wire::Matter::TransferWithdrawn,
        Matter::NotReferredOn => wire::Matter::NotReferredOn,
        Matter::ReferredOn => wire::Matter::ReferredOn,
        Matter::HandlingLifted => wire::Matter::HandlingLifted,
        Matter::Disagreement => wire::Matter::Disagreement,
    }
}

fn how_to_answer(role: Role, matter: Matter) -> &'static str {
    match matter {
        Matter::TransferOffer => ANSWER_AN_OFFER,
        Matter::Disagreement => HOW_TO_ANSWER,
        Matter::Referral
        | Matter::Amendment
        | Matter::Correction
        | Matter::ConsentWithdrawn
        | Matter::Withdrawal
        | Matter::ClockBreached
        | Matter::TransferAccepted
        | Matter::TransferRefused
        | Matter::PassedToSuccessor
        | Matter::TransferWithdrawn
        | Matter::NotReferredOn
        | Matter::ReferredOn
        | Matter::HandlingLifted => match role {
            Role::Responsible => HOW_TO_ANSWER,
            Role::Notified | Role::EarlierRecipient => NO_ANSWER,
        },
    }
}

fn item(item: &DisclosedItem) -> wire::DisclosedItem {
    use common::information_item::Body as Whole;
    use wire::disclosed_item::Body as Given;
    wire::DisclosedItem {
        category: item.category.number(),
        subject: item.subject.number(),
        knowledge: item.knowledge.number(),
        extent: extent(item.extent) as i32,
        handling: handling(&item.handling),
        body: Some(match body(&item.body) {
            Whole::Text(text) => Given::Text(text),
            Whole::Fields(fields) => Given::Fields(fields),
            Whole::Attachment(attachment) => Given::Attachment(attachment),
        }),
    }
}
