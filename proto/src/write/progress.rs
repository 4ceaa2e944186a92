//! What became of a referral, in the contract's words: the ladder, the status, a preview.

use referral::case::{Case, Clock, ClockState, News, RecipientNews, Routing, Rung, Stage};
use referral::rules::explain::{Sentence, Withheld};
use referral::rules::pack::{ClockEnd, Extent};
use referral::rules::table::{Evidence, Reason};
use referral::rules::{ClockStart, Decision, PackId, Role};
use referral::time::Due;
use referral::vocab::{Category, Vocabulary};
use referral::{Digest, Endpoint, Moment, ReferralId};

use super::{practitioner, timestamp};
use crate::wire::common::v1 as common;
use crate::wire::common::v1::progress_entry::Step;
use crate::words::Word;

/// One rung of the ladder, as the sender sees it.
pub fn progress(position: u64, referral: ReferralId, time: Moment, news: &News) -> common::ProgressEntry {
    common::ProgressEntry { position, referral_id: referral.to_string(), time: Some(timestamp(time)), step: Some(step(news)) }
}

fn step(news: &News) -> Step {
    let endpoint = |endpoint: &Endpoint| endpoint.to_string();
    match news {
        News::Accepted => Step::Accepted(common::Accepted {}),
        News::Routed(routing) => Step::Routed(routed(routing)),
        News::Held(routing) => Step::Held(held(routing)),
        News::ReturnedToSender(routing) => Step::ReturnedToSender(returned(routing)),
        News::Refused(routing) => Step::Refused(refused(routing)),
        News::Amended { same_key } => Step::Amended(common::Amended { same_key: *same_key }),
        News::Withdrawn => Step::Withdrawn(common::Withdrawn {}),
        News::Delivered(to) => Step::Delivered(common::Delivered { endpoint: endpoint(to) }),
        News::NotConnected(to) => Step::NotConnected(common::NotConnected { endpoint: endpoint(to) }),
        News::Collected(at) => Step::Collected(common::Collected { endpoint: endpoint(at) }),
        News::Acknowledged { at, by } => {
            Step::Acknowledged(common::Acknowledged { endpoint: endpoint(at), by: Some(practitioner(by)) })
        }
        News::Decided { at, by, outcome, reason } => Step::Decided(common::Decided {
            endpoint: endpoint(at),
            by: Some(practitioner(by)),
            outcome: outcome.number(),
            reason: reason.open().clone(),
        }),
        News::OutcomeReturned => Step::OutcomeReturned(common::OutcomeReturned {}),
        News::ClockBreached { clock, due } => {
            Step::ClockBreached(common::ClockBreached { clock: Some(of_due(clock.as_str(), due)) })
        }
    }
}

/// A message that could not be processed, as its sender sees it. `why` is without content.
pub fn quarantined(position: u64, referral: ReferralId, time: Moment, why: &str) -> common::ProgressEntry {
    let step = Step::Quarantined(common::Quarantined { why: why.to_owned() });
    common::ProgressEntry { position, referral_id: referral.to_string(), time: Some(timestamp(time)), step: Some(step) }
}

/// What would happen to the `nth` child of a submission.
pub fn preview(nth: u16, routing: &Routing) -> common::ChildPreview {
    use common::child_preview::Verdict;
    let verdict = match &routing.decision {
        Decision::Deliver { .. } => Verdict::Routed(routed(routing)),
        Decision::HoldForReview { .. } => Verdict::Held(held(routing)),
        Decision::ReturnToSender => Verdict::ReturnedToSender(returned(routing)),
        Decision::Refuse => Verdict::Refused(refused(routing)),
    };
    common::ChildPreview { child: u32::from(nth), verdict: Some(verdict) }
}

fn routed(routing: &Routing) -> common::Routed {
    common::Routed {
        recipients: routing.recipients.iter().map(recipient).collect(),
        clocks: routing.clocks.iter().map(clock_start).collect(),
        sentences: sentences(&routing.sentences),
        flags: routing.flags.clone(),
        edition: routing.pack.as_ref().map(edition),
    }
}

fn held(routing: &Routing) -> common::Held {
    let (why, rule_id) = decisive(routing);
    let intended = match &routing.decision {
        Decision::HoldForReview { intended } => intended.as_ref().map(Endpoint::to_string),
        Decision::Deliver { .. } | Decision::ReturnToSender | Decision::Refuse => None,
    };
    common::Held {
        why,
        rule_id,
        who_acts: common::WhoActs::Broker as i32,
        intended: intended.unwrap_or_default(),
        sentences: sentences(&routing.sentences),
        flags: routing.flags.clone(),
        edition: routing.pack.as_ref().map(edition),
    }
}

fn returned(routing: &Routing) -> common::ReturnedToSender {
    let (why, rule_id) = decisive(routing);
    let edition = routing.pack.as_ref().map(edition);
    common::ReturnedToSender { why, rule_id, sentences: sentences(&routing.sentences), edition }
}

fn refused(routing: &Routing) -> common::Refused {
    let (why, rule_id) = decisive(routing);
    let edition = routing.pack.as_ref().map(edition);
    common::Refused { why, rule_id, sentences: sentences(&routing.sentences), edition }
}

/// Why, and by which rule. The route stands first among the reasons; what held the referral back, after it.
fn decisive(routing: &Routing) -> (String, String) {
    routing.by.last().map(|reason| (reason.because.clone(), reason.rule.to_string())).unwrap_or_default()
}

fn recipient(news: &RecipientNews) -> common::RoutedRecipient {
    let minimum_only = |category: Category| {
        news.withheld.iter().any(|withheld| withheld.category == category && withheld.given == Extent::Minimum)
    };
    let given = |&category: &Category| common::Given {
        category: category.number(),
        extent: extent(if minimum_only(category) { Extent::Minimum } else { Extent::Whole }) as i32,
    };
    common::RoutedRecipient {
        endpoint: news.to.to_string(),
        role: role(news.role) as i32,
        given: news.given.iter().map(given).collect(),
        withheld: news.withheld.iter().map(withheld).collect(),
        bases: news.bases.iter().map(ToString::to_string).collect(),
    }
}

pub(super) fn withheld(withheld: &Withheld) -> common::Withheld {
    common::Withheld {
        category: withheld.category.number(),
        rule_id: withheld.rule.clone(),
        reason: withheld.because.clone(),
        given: extent(withheld.given) as i32,
    }
}

pub(super) fn sentences(sentences: &[Sentence]) -> Vec<common::Sentence> {
    sentences.iter().map(|sentence| of_sentence(&sentence.text, sentence.reason.as_deref())).collect()
}

fn of_sentence(text: &str, reason: Option<&Reason>) -> common::Sentence {
    common::Sentence {
        text: text.to_owned(),
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

pub(super) fn clock_start(clock: &ClockStart) -> common::Clock {
    common::Clock {
        stopped_by: stopped_by(clock.ends_with) as i32,
        rule_id: clock.by.rule.to_string(),
        ..of_due(clock.name.as_str(), &clock.due)
    }
}

fn of_due(name: &str, due: &Due) -> common::Clock {
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
    }
}

pub(super) fn edition(pack: &PackId) -> common::Edition {
    common::Edition { name: pack.edition.clone(), hash: pack.hash.to_string() }
}

pub(super) fn role(role: Role) -> common::RecipientRole {
    match role {
        Role::Responsible => common::RecipientRole::Responsible,
        Role::Notified => common::RecipientRole::Notified,
        Role::EarlierRecipient => common::RecipientRole::EarlierRecipient,
    }
}

pub(super) fn extent(extent: Extent) -> common::Extent {
    match extent {
        Extent::Nothing => common::Extent::Nothing,
        Extent::Review => common::Extent::Review,
        Extent::Minimum => common::Extent::Minimum,
        Extent::Whole => common::Extent::Whole,
    }
}

/// How far a referral has come, as its sender sees it.
pub fn stage(case: &Case) -> common::Stage {
    match case.stage() {
        // What was decided stands, whatever is withdrawn afterwards.
        stage if case.is_withdrawn() && stage < Stage::Decided => common::Stage::Withdrawn,
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

/// How a referral stands, with the ladder that the sender has seen so far.
pub fn status(case: &Case, ladder: Vec<common::ProgressEntry>) -> common::ReferralStatus {
    let recipients = case.recipients().iter().map(|recipient| {
        let highest = recipient.deliveries.iter().map(|delivery| delivery.rung).max();
        common::RecipientStatus {
            endpoint: recipient.to.to_string(),
            role: role(recipient.role) as i32,
            stage: highest.map_or(common::Stage::Unspecified, rung) as i32,
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
        level: case.level().number(),
        outcome: case.outcome().map_or(0, Word::number),
        withdrawn: case.is_withdrawn(),
        edition: case.edition().map(edition),
        content_digest: case.digest().map(|digest: Digest| digest.to_string()).unwrap_or_default(),
    }
}

/// A referral in a list.
pub fn summary(case: &Case) -> common::ReferralSummary {
    let running = case.clocks().iter().filter(|clock| clock.state == ClockState::Running);
    common::ReferralSummary {
        referral_id: case.id().to_string(),
        stage: stage(case) as i32,
        open: case.is_open(),
        received: Some(timestamp(case.received())),
        next_due: running.min_by_key(|clock| clock.due.by).map(clock),
    }
}

fn clock(clock: &Clock) -> common::Clock {
    common::Clock { stopped_by: stopped_by(clock.ends_with) as i32, ..of_due(clock.name.as_str(), &clock.due) }
}

fn clock_status(own: &Clock) -> common::ClockStatus {
    let status = common::ClockStatus { clock: Some(clock(own)), ..common::ClockStatus::default() };
    match own.state {
        ClockState::Running => status,
        ClockState::Met { at } => common::ClockStatus { met: Some(timestamp(at)), ..status },
        ClockState::Breached { at } => common::ClockStatus { breached: Some(timestamp(at)), ..status },
        ClockState::Stopped => common::ClockStatus { stopped: true, ..status },
    }
}
