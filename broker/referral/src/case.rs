//! One referral's life. `step` is the whole of it: a total function from a case and an event to the next case
//! and what is owed because of it.
//!
//! Effects are data. The shell commits them with the case before it carries any out, so that recovery after a
//! crash is the same code as the normal path. A duplicate, a late answer, an answer to something never sent
//! are values ([`Surprise`]), not errors. A case holds no personal data: its type cannot.

mod again;
mod answers;
mod disagreement;

pub use answers::MayAnswer;
pub use disagreement::{DisagreementStage, DisagreementState};

use serde::{Deserialize, Serialize};

use crate::disclosure::{Disclosure, Matter, Notice, Remark};
use crate::identifiers::{DeliveryId, Digest, GssCode, ReferralId};
use crate::rules::explain::{Sentence, Withheld, explain, name_of};
use crate::rules::pack::{ClockEnd, ClockName, Extent, LawfulBasis};
use crate::rules::review::{Choice, Review, Reviewer};
use crate::rules::table::Reason;
use crate::rules::{ClockStart, Decision, PackId, Role, Rulebook, Ruling, View};
use crate::submission::{ChildStatus, ConsentWithdrawal, Disagreement, FrontDoorAnswer, Practitioner, Referral};
use crate::time::{Due, london_date};
use crate::vocab::{AgreementHolder, Category, Desk, EventKind, HandlingFlag, Level, Outcome, Vocabulary};
use crate::{Endpoint, Moment, Sealed};
use jiff::civil::Date;
use std::borrow::Cow;
use std::sync::Arc;

/// One child's referral, as far as it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    id: ReferralId,
    sender: Endpoint,
    linked: Vec<ReferralId>,
    received: Moment,
    level: Level,
    /// What kind of message the first version was.
    #[serde(default)]
    kind: Option<EventKind>,
    /// The digests of every version received, the first one first (DQ-01).
    versions: Vec<Digest>,
    /// The newest version that the rules, or a person, sent to somebody who answers for the child. One that waits, came
    /// back or was refused since is nobody's to hand on.
    #[serde(default)]
    routed: Option<Digest>,
    /// The digests of the messages that were taken in. One that the intake brings again changes nothing, whatever
    /// has happened since.
    #[serde(default)]
    heard: Vec<Digest>,
    standing: Standing,
    /// What waits for a person, whatever an authority has already.
    #[serde(default)]
    waiting: Option<Waiting>,
    /// How often something was put before a person.
    #[serde(default)]
    reviews: u32,
    /// The reviews about which a person decided.
    #[serde(default)]
    reviewed: Vec<u32>,
    recipients: Vec<Recipient>,
    clocks: Vec<Clock>,
    edition: Option<PackId>,
    outcome: Option<Outcome>,
    withdrawn: bool,
    /// The outcome, or the return, has reached the sender (P9).
    told: bool,
    /// Another authority was asked to take it over, and has not answered.
    #[serde(default)]
    transfer: Option<Transfer>,
    /// The authority that explicitly took it over from the one that the rules name. No change gives it back.
    #[serde(default)]
    taken_over: Option<GssCode>,
    /// Conditions that the authority lifted; no later version brings them back (HR-04).
    #[serde(default)]
    lifted: Vec<HandlingFlag>,
    /// Whoever had agreed agrees no longer, and no later version said otherwise (TC-11).
    #[serde(default)]
    consent_withdrawn: bool,
    /// How the child stands with the authority, as far as that said so.
    #[serde(default)]
    status: Option<ChildStatus>,
    /// The sender's disagreement: how high it has come, and whether it was answered there (FB-03).
    #[serde(default)]
    disagreement: Option<disagreement::Raised>,
    /// The sender disagrees about a child who is not safe now, and nobody has decided since.
    #[serde(default, alias = "disputed")]
    urgently_disputed: bool,
    /// The person under suspicion reads what goes back to the sender: only that it was received does (DM-09).
    #[serde(default)]
    feedback_suppressed: bool,
    /// Who was to have it and could not be reached. Each gets it once it is connected.
    #[serde(default)]
    not_connected: Vec<Endpoint>,
}

/// A case that was offered to another authority. It stays where it is until that one accepts (RA-02, RA-05).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The desk it was offered to.
    pub to: Endpoint,
    /// The desk that offered it.
    pub from: Endpoint,
    /// Since when.
    pub since: Moment,
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// An authority has it, or is about to.
    With {
        /// The responsible desk.
        responsible: Endpoint,
    },
    /// A person decides what happens to it.
    Held {
        /// Where it would go.
        intended: Option<Endpoint>,
    },
    /// It went back to the sender.
    Returned,
    /// It was refused, and nothing of it was kept.
    Refused,
}

impl Standing {
    /// Whether `who` belongs to whoever is responsible now: one authority's night desk speaks for its front door,
    /// an authority that was responsible before a change no longer speaks.
    fn is_with(&self, who: &Endpoint) -> bool {
        match self {
            Standing::With { responsible } => {
                responsible == who || (who.authority().is_some() && responsible.authority() == who.authority())
            }
            Standing::Held { .. } | Standing::Returned | Standing::Refused => false,
        }
    }
}

/// What waits for a person, and why: a whole version, or items of one that went without them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Which of the case's reviews this is, from 1. A choice names it, so that it is about nothing that came since.
    pub number: u32,
    /// The digest of the version: what a person opens and decides about.
    pub digest: Digest,
    /// Since when: the moment of receipt.
    pub since: Moment,
    /// How serious the sender says it is.
    pub level: Level,
    /// Where the rules would have sent it.
    pub intended: Option<Endpoint>,
    /// The rules that put it before a person.
    pub by: Vec<HeldBy>,
    /// What is withheld from whom until a person has looked; empty where the whole waits.
    #[serde(default)]
    pub items: Vec<HeldItem>,
}

impl Waiting {
    /// At significant harm or above it raises the alarm at once. Where only items wait, the alert itself has gone.
    pub fn is_urgent(&self) -> bool {
        self.level.is_significant_harm_or_above() && self.items.is_empty()
    }
}

/// A category that is withheld from a recipient until a person has looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldItem {
    /// From whom.
    pub from: Endpoint,
    /// What.
    pub category: Category,
}

/// A rule that put a referral before a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBy {
    /// The rule's id.
    pub rule: String,
    /// Why, in words.
    pub because: String,
}

/// A party that receives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Who.
    pub to: Endpoint,
    /// In which role.
    pub role: Role,
    /// What was sent to it, in order.
    pub deliveries: Vec<Delivered>,
}

/// One delivery and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Its id.
    pub id: DeliveryId,
    /// What it is about.
    pub matter: Matter,
    /// The digest of its bytes; an answer must name it.
    pub digest: Option<Digest>,
    /// The party whose inbox it went to, where that is another's: one that answers for several authorities (RA-23).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_by: Option<Endpoint>,
    /// How far it has come.
    pub rung: Rung,
}

/// The ladder of one delivery. A late lower rung never overwrites a higher one (P7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Recorded, and owed to the recipient.
    Owed,
    /// The recipient's queue confirmed it. No machine or person there has seen it.
    Delivered,
    /// The recipient's system took it. No person has.
    Collected,
    /// A named person has it.
    Acknowledged,
    /// The authority decided.
    Decided,
}

/// A clock on the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Which.
    pub name: ClockName,
    /// When it is due.
    pub due: Due,
    /// What stops it.
    pub ends_with: ClockEnd,
    /// How it stands.
    pub state: ClockState,
}

/// How a clock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockState {
    /// It runs.
    Running,
    /// What it waited for happened in time, or late.
    Met {
        /// When.
        at: Moment,
    },
    /// It ran out, and both sides were told.
    Breached {
        /// When that was noticed.
        at: Moment,
    },
    /// It no longer matters: a voluntary matter was withdrawn.
    Stopped,
}

/// What can happen to a case.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A referral arrived under its own key.
    Submitted(Box<Referral>),
    /// The sender changed it.
    Amended(Box<Referral>),
    /// The sender took it back.
    Withdrawn {
        /// Who speaks.
        from: Endpoint,
        /// The person.
        by: Practitioner,
        /// Why.
        reason: Sealed<String>,
    },
    /// A front door answered.
    Answered(FrontDoorAnswer),
    /// A front door answered with something for which the referral itself is needed: it hands it on.
    HandedOn {
        /// The answer.
        answer: FrontDoorAnswer,
        /// The version that counts, as it was received.
        referral: Box<Referral>,
    },
    /// Whoever had agreed agrees no longer (TC-11).
    ConsentWithdrawn {
        /// What the sender says of it.
        withdrawal: ConsentWithdrawal,
        /// The version that counts, as it was received; none where its content was erased.
        referral: Option<Box<Referral>>,
    },
    /// The sender disagrees (FB-03).
    Disagreed {
        /// What it says.
        disagreement: Disagreement,
        /// The version that counts, as it was received; none where its content was erased.
        referral: Option<Box<Referral>>,
    },
    /// A recipient's queue confirmed a delivery.
    Delivered(DeliveryId),
    /// A named person opened what waits for one. Recorded before they see any of it.
    Opened {
        /// Who opens it.
        by: Reviewer,
        /// Why.
        reason: Sealed<String>,
        /// Which of the case's reviews, from 1.
        number: u32,
    },
    /// A named person decided about what waited for one.
    Reviewed {
        /// What they decided.
        review: Box<Review>,
        /// The version that waits, as it was received.
        referral: Box<Referral>,
    },
    /// The sender was handed how it ended.
    SenderTold,
    /// Its time has come.
    Woken,
    /// The directory answers otherwise than it did: an authority ended, or somebody was connected.
    LookedAgain {
        /// The version that counts, as it was received; none where its content was erased.
        referral: Option<Box<Referral>>,
    },
}

/// What is owed because of an event. Committed with the case before any of it is carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A recipient is to have this.
    Deliver(Box<Disclosure>),
    /// A recipient is to be told this, which holds nothing of the content.
    Notify(Notice),
    /// The sender is to see this.
    TellSender(News),
    /// A person must look.
    AskPerson(Question),
}

/// A step on the ladder, as the sender sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// Durable here; nothing decided yet.
    Accepted,
    /// Decided: who receives what, and why.
    Routed(Box<Routing>),
    /// It waits for a person.
    Held(Box<Routing>),
    /// A person decided about what was held. What follows from it comes after it.
    Reviewed(Box<ReviewNews>),
    /// It came back.
    ReturnedToSender(Box<Routing>),
    /// It was refused.
    Refused(Box<Routing>),
    /// A changed version was received. The flag says that it came under the first one's key.
    Amended {
        /// The sender used the same key for other content (DQ-01).
        same_key: bool,
    },
    /// It was taken back, and the recipients are told.
    Withdrawn,
    /// Agreement was withdrawn, and the recipients are told.
    ConsentWithdrawn {
        /// Who withdrew it.
        holder: AgreementHolder,
        /// When, the London date.
        on: Date,
    },
    /// A recipient's queue has it. Nobody there has read it.
    Delivered(Endpoint),
    /// It cannot be delivered: this broker has no connection to that party. A person must.
    NotConnected(Endpoint),
    /// A recipient's system took it. No person has read it.
    Collected(Endpoint),
    /// A named person has it.
    Acknowledged {
        /// Where.
        at: Endpoint,
        /// Who.
        by: Practitioner,
    },
    /// The authority decided.
    Decided {
        /// Where.
        at: Endpoint,
        /// Who.
        by: Practitioner,
        /// What.
        outcome: Outcome,
        /// Why, for the referrer.
        reason: Sealed<String>,
    },
    /// The outcome reached the sender.
    OutcomeReturned,
    /// A clock ran out.
    ClockBreached {
        /// Which.
        clock: ClockName,
        /// When it was due.
        due: Due,
    },
    /// The authority needs to know more. The sender answers with a changed version.
    AskedForMore {
        /// Where.
        at: Endpoint,
        /// Who asks.
        by: Practitioner,
        /// What.
        question: Sealed<String>,
    },
    /// The authority offered it to another, and answers for the child until that one accepts.
    TransferOffered {
        /// Who offered it.
        from: Endpoint,
        /// To whom.
        to: Endpoint,
    },
    /// Another authority took it over: from now on that one answers for the child (FB-01).
    TransferAccepted {
        /// Who had it.
        from: Endpoint,
        /// Who has it.
        to: Endpoint,
        /// The person who accepted.
        by: Practitioner,
    },
    /// The other authority did not take it over: the first one answers for the child.
    TransferRefused {
        /// Who has it still.
        from: Endpoint,
        /// Who refused.
        to: Endpoint,
    },
    /// The authority that had it has ended; its successor answers for the child, with the clocks that run (RA-07, P8).
    PassedToSuccessor {
        /// Who had it.
        from: Endpoint,
        /// Who has it now.
        to: Endpoint,
    },
    /// The authority took its offer back before the other one answered: it answers for the child.
    TransferWithdrawn {
        /// Who has it still.
        from: Endpoint,
        /// To whom it was offered.
        to: Endpoint,
    },
    /// A strategy discussion was held. What it found is not the sender's to read.
    StrategyDiscussionHeld {
        /// Where.
        at: Endpoint,
    },
    /// A service was asked to help too.
    ReferredOn {
        /// By whom.
        at: Endpoint,
        /// Which.
        to: Endpoint,
    },
    /// A condition need not be kept any longer.
    HandlingLifted {
        /// By whom.
        at: Endpoint,
        /// Which.
        condition: HandlingFlag,
    },
    /// The sender's disagreement is on its way to whoever answers it.
    Disagreed {
        /// Before whom, and at which stage; none where it goes past every stage, as urgent.
        before: Option<(Endpoint, DisagreementStage)>,
    },
}

impl News {
    /// It says no more than that something was received, or that the sender has to act: that goes even to a sender
    /// whose post the person under suspicion reads (DM-09).
    fn is_receipt(&self) -> bool {
        match self {
            News::Accepted
            | News::Amended { .. }
            | News::Withdrawn
            | News::ConsentWithdrawn { .. }
            | News::ReturnedToSender(_)
            | News::Refused(_) => true,
            News::Routed(_)
            | News::Held(_)
            | News::Reviewed(_)
            | News::Delivered(_)
            | News::NotConnected(_)
            | News::Collected(_)
            | News::Acknowledged { .. }
            | News::Decided { .. }
            | News::OutcomeReturned
            | News::ClockBreached { .. }
            | News::AskedForMore { .. }
            | News::TransferOffered { .. }
            | News::TransferAccepted { .. }
            | News::TransferRefused { .. }
            | News::PassedToSuccessor { .. }
            | News::TransferWithdrawn { .. }
            | News::StrategyDiscussionHeld { .. }
            | News::ReferredOn { .. }
            | News::HandlingLifted { .. }
            | News::Disagreed { .. } => false,
        }
    }
}

/// What a person decided about a held referral, as the sender sees it. The person's role, not the name: no rule
/// gives the sender that.
#[derive(Clone, Debug, PartialEq)]
pub struct ReviewNews {
    /// What was chosen.
    pub choice: Choice,
    /// The role of whoever chose it.
    pub role: Sealed<String>,
    /// Why, where it came back: the sender acts on it.
    pub reason: Option<Sealed<String>>,
    /// The rules that had held it.
    pub lifted: Vec<HeldBy>,
    /// The categories that waited, each as often as there are recipients; empty where the whole did.
    pub items: Vec<Category>,
}

/// A ruling as the sender sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Routing {
    /// What is to happen.
    pub decision: Decision,
    /// The rules that decided.
    pub by: Vec<Arc<Reason>>,
    /// Who receives what.
    pub recipients: Vec<RecipientNews>,
    /// The clocks.
    pub clocks: Vec<ClockStart>,
    /// Alerts.
    pub flags: Vec<String>,
    /// In plain English.
    pub sentences: Vec<Sentence>,
    /// Which rules.
    pub pack: Option<PackId>,
}

/// What one recipient is given, as the sender sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecipientNews {
    /// Who.
    pub to: Endpoint,
    /// In which role.
    pub role: Role,
    /// What it is given.
    pub given: Vec<Category>,
    /// What it is not.
    pub withheld: Vec<Withheld>,
    /// In which law.
    pub bases: Vec<LawfulBasis>,
}

impl Routing {
    /// The ruling in the sender's view. `Preview` shows this and stores nothing. Where the person under suspicion reads
    /// what goes back, it says that the message was received and no more (DM-09).
    pub fn of(ruling: &Ruling, rules: &Rulebook) -> Routing {
        if ruling.is_feedback_suppressed() {
            // Of what comes back the sender has to read why, to act on it.
            let by = match ruling.decision() {
                Decision::ReturnToSender | Decision::Refuse => ruling.by().to_vec(),
                Decision::Deliver { .. } | Decision::HoldForReview { .. } => Vec::new(),
            };
            return Routing {
                decision: ruling.decision().clone(),
                by,
                recipients: Vec::new(),
                clocks: Vec::new(),
                flags: Vec::new(),
                sentences: Vec::new(),
                pack: ruling.pack().cloned(),
            };
        }
        let news = |view: &crate::rules::View| RecipientNews {
            to: view.to().clone(),
            role: view.role(),
            given: view.given(),
            withheld: view.withheld_for_the_record(),
            bases: view.bases().to_vec(),
        };
        Routing {
            decision: ruling.decision().clone(),
            by: ruling.by().to_vec(),
            recipients: ruling.views().iter().map(news).collect(),
            clocks: ruling.clocks().to_vec(),
            flags: ruling.flags().map(str::to_owned).collect(),
            sentences: explain(ruling, None, &rules.directory),
            pack: ruling.pack().cloned(),
        }
    }
}

/// Why a person must look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// A rule put it before a person.
    Review {
        /// At significant harm or above it raises the alarm at once.
        urgent: bool,
        /// The rules.
        rules: Vec<String>,
    },
    /// No connection to a recipient.
    NotConnected {
        /// To whom.
        to: Endpoint,
        /// At significant harm or above it raises the alarm at once.
        urgent: bool,
    },
}

/// Something that happened and changes nothing. Counted, and kept where it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Surprise {
    /// This very version is known already.
    Duplicate,
    /// There is no such referral.
    NeverSeen,
    /// It belongs to another sender.
    NotYours,
    /// No such delivery went to whoever answers.
    NotSentToYou,
    /// The answer is to other bytes than were sent.
    OtherContent,
    /// Only the responsible authority decides.
    NotResponsible,
    /// A higher rung was reached already.
    Late,
    /// Nothing was due.
    NothingDue,
    /// Nothing of it waits for a person.
    NotHeld,
    /// A person decided about this before.
    AlreadyReviewed,
    /// Something else waits than what was looked at.
    VersionChanged,
    /// It was released, and neither rules nor person say to whom.
    NowhereToGo,
    /// It was redirected to an endpoint that is not connected, or to its own sender.
    UnknownTarget,
    /// Only items of it wait, and those go where the rest went.
    OnlyItems,
    /// The items were released, and no basis carries any of them.
    NoBasis,
    /// Another authority was asked already, and has not answered.
    TransferPending,
    /// Nothing was offered to whoever answers an offer.
    NothingOffered,
    /// The condition is not the authority's to lift.
    NotYoursToLift,
    /// No authority has it, so there is nothing to disagree with.
    NotWithAnAuthority,
    /// The disagreement lies before somebody whose time to answer has not passed.
    AlreadyDisputed,
    /// The disagreement has come to the last stage.
    NoStageAbove,
    /// Its content was erased, so nobody can be given it any more.
    ContentErased,
}

impl Surprise {
    /// In words, for whoever caused it.
    pub fn words(self) -> &'static str {
        match self {
            Surprise::Duplicate => "this was received before",
            Surprise::NeverSeen => "there is no such referral",
            Surprise::NotYours => "there is no such referral of yours",
            Surprise::NotSentToYou => "no such delivery went to you",
            Surprise::OtherContent => "the answer is to other content than was delivered",
            Surprise::NotResponsible => "only the responsible authority decides",
            Surprise::Late => "a later step was reached already",
            Surprise::NothingDue => "nothing was due",
            Surprise::NotHeld => "nothing of it waits for a person",
            Surprise::AlreadyReviewed => "a person decided about this before",
            Surprise::VersionChanged => "it has changed since it was looked at: open it again",
            Surprise::NowhereToGo => {
                "the rules name nobody to whom it may go: redirect it to an endpoint, or return it to the sender"
            }
            Surprise::UnknownTarget => {
                "it can be redirected only to an endpoint that the directory knows and that is not its sender"
            }
            Surprise::OnlyItems => {
                "only items of it wait, and those go where the rest went: release them, or leave them withheld"
            }
            Surprise::NoBasis => "the rules name no lawful basis on which any of these items could be handed over",
            Surprise::TransferPending => "another authority was asked to take it over and has not answered",
            Surprise::NothingOffered => "no case that could be accepted or refused was offered to you by that delivery",
            Surprise::NotYoursToLift => {
                "this condition is its originator's: only do_not_inform_parents is the authority's to lift"
            }
            Surprise::NotWithAnAuthority => "no authority has it, so there is nothing to disagree with yet",
            Surprise::AlreadyDisputed => "the disagreement lies before somebody who has time left to answer it",
            Surprise::NoStageAbove => "the disagreement has come to the last stage: no stage is above it",
            Surprise::ContentErased => "its content was erased, so nobody can be given it any more",
        }
    }
}

/// What came of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The case as it stands now; none when there is no such referral.
    pub case: Option<Case>,
    /// What is owed.
    pub effects: Vec<Effect>,
    /// The ruling, where one was made: for the record.
    pub ruling: Option<Box<Ruling>>,
    /// Nothing changed, and why.
    pub surprise: Option<Surprise>,
}

impl Step {
    fn surprise(case: Option<Case>, surprise: Surprise) -> Step {
        Step { case, effects: Vec::new(), ruling: None, surprise: Some(surprise) }
    }

    fn changed(case: Case, effects: Vec<Effect>) -> Step {
        Step { case: Some(case), effects, ruling: None, surprise: None }
    }
}

/// What `event` makes of `case`, at `now`. Total.
pub fn step(case: Option<Case>, event: Event, now: Moment, rules: &Rulebook) -> Step {
    let mut step = next(case, event, now, rules);
    if let Some(case) = step.case.as_mut().filter(|case| case.feedback_suppressed) {
        step.effects.retain(|effect| match effect {
            Effect::TellSender(news) => news.is_receipt(),
            Effect::Deliver(_) | Effect::Notify(_) | Effect::AskPerson(_) => true,
        });
        // Nobody may hand it to this sender, so nothing waits for that.
        case.told = case.told || case.has_ended();
    }
    step
}

fn next(case: Option<Case>, event: Event, now: Moment, rules: &Rulebook) -> Step {
    match (case, event) {
        (None, Event::Submitted(referral)) => Case::open(&referral, rules),
        (
            None,
            Event::Amended(_)
            | Event::Withdrawn { .. }
            | Event::Answered(_)
            | Event::HandedOn { .. }
            | Event::ConsentWithdrawn { .. }
            | Event::Disagreed { .. }
            | Event::Delivered(_)
            | Event::Opened { .. }
            | Event::Reviewed { .. }
            | Event::SenderTold
            | Event::Woken
            | Event::LookedAgain { .. },
        ) => Step::surprise(None, Surprise::NeverSeen),
        (Some(case), Event::Submitted(referral)) => case.amend(&referral, true, rules),
        (Some(case), Event::Amended(referral)) => case.amend(&referral, false, rules),
        (Some(case), Event::Withdrawn { from, .. }) => case.withdraw(&from),
        (Some(case), Event::Answered(answer)) => case.answer(answer, None, now, rules),
        (Some(case), Event::HandedOn { answer, referral }) => case.answer(answer, Some(&referral), now, rules),
        (Some(case), Event::ConsentWithdrawn { withdrawal, referral }) => {
            case.withdraw_consent(withdrawal, referral.as_deref(), now, rules)
        }
        (Some(case), Event::Disagreed { disagreement, referral }) => case.disagree(disagreement, referral.as_deref(), now, rules),
        (Some(case), Event::Delivered(delivery)) => case.delivered(delivery),
        (Some(case), Event::Opened { number, .. }) => case.opened(number),
        (Some(case), Event::Reviewed { review, referral }) => case.review(*review, &referral, rules),
        (Some(case), Event::SenderTold) => case.sender_told(),
        (Some(case), Event::Woken) => case.wake(now, rules),
        (Some(case), Event::LookedAgain { referral }) => case.look_again(referral.as_deref(), now, rules),
    }
}

/// To which of a ruling's recipients it goes, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Goes {
    /// To all, as this.
    ToAllAs(Matter),
    /// To all: as a referral, or as the change to one, by what each had before.
    ByWhatEachHad,
    /// To these, who had it without what was withheld until now.
    ToThese(Vec<Endpoint>),
}

impl Goes {
    fn is_to(&self, recipient: &Endpoint) -> bool {
        match self {
            Goes::ToAllAs(_) | Goes::ByWhatEachHad => true,
            Goes::ToThese(these) => these.contains(recipient),
        }
    }

    fn matter(&self, had_it: bool, kind: EventKind) -> Matter {
        match self {
            Goes::ToAllAs(matter) => *matter,
            Goes::ByWhatEachHad | Goes::ToThese(_) if had_it => change(kind),
            Goes::ByWhatEachHad | Goes::ToThese(_) => Matter::Referral,
        }
    }
}

/// As what a changed version is told to those who had an earlier one.
fn change(kind: EventKind) -> Matter {
    if kind == EventKind::Correction {
        Matter::Correction
    } else if kind == EventKind::ConsentWithdrawn {
        Matter::ConsentWithdrawn
    } else {
        Matter::Amendment
    }
}

impl Case {
    fn open(referral: &Referral, rules: &Rulebook) -> Step {
        let case = Case {
            id: referral.id,
            sender: referral.sender.clone(),
            linked: referral.linked.clone(),
            received: referral.received,
            level: referral.level,
            kind: Some(referral.kind),
            versions: vec![referral.digest],
            routed: None,
            heard: Vec::new(),
            standing: Standing::Held { intended: None },
            waiting: None,
            reviews: 0,
            reviewed: Vec::new(),
            recipients: Vec::new(),
            clocks: Vec::new(),
            edition: None,
            outcome: None,
            withdrawn: false,
            told: false,
            transfer: None,
            taken_over: None,
            lifted: Vec::new(),
            consent_withdrawn: false,
            status: None,
            disagreement: None,
            urgently_disputed: false,
            feedback_suppressed: false,
            not_connected: Vec::new(),
        };
        case.ruled(referral, Goes::ToAllAs(Matter::Referral), vec![Effect::TellSender(News::Accepted)], rules)
    }

    /// A changed version is ruled on its own date and goes to everybody who had an earlier one (RK-02).
    fn amend(mut self, referral: &Referral, same_key: bool, rules: &Rulebook) -> Step {
        if referral.sender != self.sender {
            return Step::surprise(Some(self), Surprise::NotYours);
        }
        if self.versions.contains(&referral.digest) {
            return Step::surprise(Some(self), Surprise::Duplicate);
        }
        self.versions.push(referral.digest);
        self.told = false;
        // Whoever changes it wants it again.
        self.withdrawn = false;
        self.consent_withdrawn = referral.kind == EventKind::ConsentWithdrawn;
        self.begin_ladder_anew();
        self.ruled(referral, Goes::ByWhatEachHad, vec![Effect::TellSender(News::Amended { same_key })], rules)
    }

    /// Opening changes nothing; that it happened is what is recorded.
    fn opened(self, number: u32) -> Step {
        match self.not_waiting(number) {
            Some(surprise) => Step::surprise(Some(self), surprise),
            None => Step::changed(self, Vec::new()),
        }
    }

    /// Why nobody can decide about review `number` now, if nobody can.
    fn not_waiting(&self, number: u32) -> Option<Surprise> {
        match &self.waiting {
            Some(waiting) if waiting.number == number => None,
            _ if self.reviewed.contains(&number) => Some(Surprise::AlreadyReviewed),
            Some(_) => Some(Surprise::VersionChanged),
            None => Some(Surprise::NotHeld),
        }
    }

    /// TC-09: what a named person chose goes the way of any other ruling.
    fn review(mut self, review: Review, referral: &Referral, rules: &Rulebook) -> Step {
        if let Some(surprise) = self.not_waiting(review.number) {
            return Step::surprise(Some(self), surprise);
        }
        let is_it = |waiting: &mut Waiting| waiting.digest == referral.digest && referral.id == self.id;
        let Some(waiting) = self.waiting.take_if(is_it) else {
            return Step::surprise(Some(self), Surprise::VersionChanged);
        };
        let referral = &self.as_it_stands(referral);
        let (ruling, goes) = match self.lifted(&review.choice, &waiting, referral, rules) {
            Ok(lifted) => lifted,
            Err(surprise) => return Step::surprise(Some(Case { waiting: Some(waiting), ..self }), surprise),
        };
        self.reviewed.push(review.number);
        if matches!(review.choice, Choice::Redirect { .. }) {
            // A named person said where it goes now, whoever had taken it over before.
            self.taken_over = None;
        }
        let reason = match review.choice {
            Choice::Return => Some(review.reason),
            Choice::Release | Choice::Redirect { .. } => None,
        };
        let items = waiting.items.iter().map(|item| item.category).collect();
        let news = ReviewNews { choice: review.choice, role: review.by.person.role, reason, lifted: waiting.by, items };
        let effects = vec![Effect::TellSender(News::Reviewed(Box::new(news)))];
        match ruling {
            Some(ruling) => self.carry_out(ruling, referral, goes, effects, rules),
            None => Step::changed(self, effects),
        }
    }

    /// What a choice makes of what waited: a ruling, or none where items stay withheld, which changes nothing.
    fn lifted(
        &self,
        choice: &Choice,
        waiting: &Waiting,
        referral: &Referral,
        rules: &Rulebook,
    ) -> Result<(Option<Ruling>, Goes), Surprise> {
        let earlier = self.had_content();
        // An authority that has ended can be given nothing, and what it had is not its sender's to start again.
        let is_without_successor = waiting.intended.is_none() && waiting.by.iter().any(|held| held.rule == "RA-07");
        let ruling = match (choice, &self.standing) {
            (Choice::Release | Choice::Return, Standing::With { .. }) if is_without_successor => {
                return Err(Surprise::NowhereToGo);
            }
            (Choice::Redirect { .. }, _) if !waiting.items.is_empty() => return Err(Surprise::OnlyItems),
            (Choice::Redirect { to }, _) if rules.directory.party(to).is_none() || *to == self.sender => {
                return Err(Surprise::UnknownTarget);
            }
            (Choice::Return, _) if !waiting.items.is_empty() => return Ok((None, Goes::ByWhatEachHad)),
            (Choice::Release, Standing::With { responsible }) if !waiting.items.is_empty() => {
                let ruling = rules.rule_items_reviewed(&self.as_ruled(referral), &earlier, responsible);
                let gets = |item: &&HeldItem| {
                    let view = ruling.views().iter().find(|view| *view.to() == item.from);
                    view.is_some_and(|view| view.given().contains(&item.category))
                };
                let to: Vec<Endpoint> = waiting.items.iter().filter(gets).map(|item| item.from.clone()).collect();
                return if to.is_empty() { Err(Surprise::NoBasis) } else { Ok((Some(ruling), Goes::ToThese(to))) };
            }
            (Choice::Release | Choice::Redirect { .. } | Choice::Return, _) => {
                rules.rule_reviewed(&self.as_ruled(referral), &earlier, self.taken_over.as_ref(), choice)
            }
        };
        match ruling.decision() {
            Decision::HoldForReview { .. } => Err(Surprise::NowhereToGo),
            Decision::Deliver { .. } | Decision::ReturnToSender | Decision::Refuse => Ok((Some(ruling), Goes::ByWhatEachHad)),
        }
    }

    /// A version waits for a person, and nothing of it went.
    fn is_whole_waiting(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.items.is_empty())
    }

    /// The last delivery by which `to` had a version of it.
    fn last_content_of(&self, to: &Endpoint) -> Option<DeliveryId> {
        let recipient = self.recipients.iter().find(|recipient| recipient.to == *to)?;
        recipient.deliveries.iter().rfind(|delivery| delivery.matter.has_content()).map(|delivery| delivery.id)
    }

    /// Those who had a version of it. A manager who was told of a breach had none.
    fn had_content(&self) -> Vec<Endpoint> {
        let had_content = |recipient: &&Recipient| recipient.deliveries.iter().any(|delivery| delivery.matter.has_content());
        self.recipients.iter().filter(had_content).map(|recipient| recipient.to.clone()).collect()
    }

    fn ruled(self, referral: &Referral, goes: Goes, effects: Vec<Effect>, rules: &Rulebook) -> Step {
        // Those who had a version of it get the change.
        let referral = self.as_it_stands(referral);
        let ruling = self.rule(&referral, rules);
        self.carry_out(ruling, &referral, goes, effects, rules)
    }

    fn rule(&self, referral: &Referral, rules: &Rulebook) -> Ruling {
        let referral = &self.as_ruled(referral);
        match &self.taken_over {
            Some(by) => rules.rule_taken_over(referral, &self.had_content(), by),
            None => rules.rule(referral, &self.had_content()),
        }
    }

    /// The referral as the kind of message that the rules look at. A correction of what no authority was to read gives it
    /// to none, nor does agreement to it that is withdrawn; and what waits for a person does not go because of that.
    fn as_ruled<'a>(&self, referral: &'a Referral) -> Cow<'a, Referral> {
        let is_about_a_referral = matches!(self.kind, None | Some(EventKind::Referral | EventKind::ServiceRequest));
        let keeps_its_kind = match (referral.kind == EventKind::ConsentWithdrawn, referral.kind == EventKind::Correction) {
            (true, _) => is_about_a_referral && !self.had_content().is_empty() && !self.is_whole_waiting(),
            (_, true) => is_about_a_referral,
            (false, false) => true,
        };
        match self.kind {
            Some(kind) if !keeps_its_kind => Cow::Owned(Referral { kind, ..referral.clone() }),
            Some(_) | None => Cow::Borrowed(referral),
        }
    }

    /// What a ruling makes of the case.
    fn carry_out(mut self, ruling: Ruling, referral: &Referral, goes: Goes, mut effects: Vec<Effect>, rules: &Rulebook) -> Step {
        let earlier = self.had_content();
        let before = self.standing.responsible().cloned();
        let routing = Box::new(Routing::of(&ruling, rules));
        let urgent = referral.level.is_significant_harm_or_above();
        self.edition = ruling.pack().cloned();
        // No later version undoes it: it would come from the same hands.
        self.feedback_suppressed |= ruling.is_feedback_suppressed();
        // What is refused leaves nothing behind, so it replaces nothing: what waited before it waits on.
        let waits_on = *ruling.decision() == Decision::Refuse && self.waiting.is_some();
        if !waits_on && !matches!(goes, Goes::ToThese(_)) {
            self.waiting = self.waits(&ruling, referral);
            self.reviews = self.reviews.saturating_add(u32::from(self.waiting.is_some()));
        }
        if let Some(waiting) = self.waiting.as_ref().filter(|waiting| !waits_on && !waiting.items.is_empty()) {
            let rules = waiting.by.iter().map(|held| held.rule.clone()).collect();
            effects.push(Effect::AskPerson(Question::Review { urgent: waiting.is_urgent(), rules }));
        }
        if matches!(ruling.decision(), Decision::Deliver { .. }) {
            self.routed = Some(referral.digest);
        }
        let (standing, news) = match ruling.decision() {
            Decision::Deliver { to } => (Standing::With { responsible: to.clone() }, News::Routed(routing)),
            Decision::HoldForReview { intended } => {
                let rules = ruling.by().iter().map(|reason| reason.rule.to_string()).collect();
                effects.push(Effect::AskPerson(Question::Review { urgent, rules }));
                (Standing::Held { intended: intended.clone() }, News::Held(routing))
            }
            Decision::ReturnToSender => (Standing::Returned, News::ReturnedToSender(routing)),
            Decision::Refuse => (Standing::Refused, News::Refused(routing)),
        };
        effects.push(Effect::TellSender(news));
        // A change that would be held or returned takes nothing back from an authority that has the referral: not
        // the referral, and not how serious it was said to be.
        let is_raised = urgent && !self.level.is_significant_harm_or_above();
        if goes == Goes::ToAllAs(Matter::Referral)
            || matches!(standing, Standing::With { .. })
            || !(waits_on || matches!(self.standing, Standing::With { .. }))
        {
            // What one authority offered is not another's to hand over.
            if self.transfer.take_if(|transfer| !standing.is_with(&transfer.from)).is_some() {
                self.end_offer(ClockState::Stopped);
            }
            self.standing = standing;
            self.level = referral.level;
        }
        if !matches!(goes, Goes::ToThese(_)) && matches!(ruling.decision(), Decision::Deliver { .. }) {
            // Whom this version does not name, it is not kept for.
            self.not_connected.retain(|to| ruling.views().iter().any(|view| view.to() == to));
        }
        let today = london_date(referral.received);
        let has_ended = |view: &&View| {
            let gss = view.to().authority().filter(|_| view.role() == Role::EarlierRecipient);
            gss.is_some_and(|gss| rules.directory.register().has_ended(gss, today))
        };
        for view in ruling.views().iter().filter(|view| goes.is_to(view.to()) && !has_ended(view)) {
            if rules.directory.party(view.to()).is_none() {
                effects.extend(self.cannot_reach(view.to()));
                continue;
            }
            self.not_connected.retain(|to| to != view.to());
            let matter = goes.matter(earlier.contains(view.to()), referral.kind);
            let before = self.last_content_of(view.to());
            let delivery = self.owe(view.to(), view.role(), matter);
            let disclosure = Disclosure::under(&ruling, view, referral, delivery, matter, &rules.directory).replacing(before);
            effects.push(Effect::Deliver(Box::new(disclosure)));
        }
        self.start_clocks(ruling.clocks(), is_raised);
        let is_elsewhere = |before: &Endpoint| self.standing.responsible().and_then(Endpoint::authority) != before.authority();
        if let Some(before) = before.filter(is_elsewhere) {
            effects.extend(self.hand_on_disagreement(&before, rules));
        }
        Step { case: Some(self), effects, ruling: Some(Box::new(ruling)), surprise: None }
    }

    /// What of it waits for a person under `ruling`.
    fn waits(&self, ruling: &Ruling, referral: &Referral) -> Option<Waiting> {
        let held_by = |reason: &Arc<Reason>| HeldBy { rule: reason.rule.to_string(), because: reason.because.clone() };
        let mut by: Vec<HeldBy> = Vec::new();
        let mut items: Vec<HeldItem> = Vec::new();
        let intended = match ruling.decision() {
            // Where it would go is known by a rule that stands first and holds nothing.
            Decision::HoldForReview { intended } => {
                by.extend(ruling.by().iter().skip(usize::from(intended.is_some())).map(held_by));
                intended.clone()
            }
            Decision::Deliver { to } => {
                for view in ruling.views() {
                    for verdict in view.verdicts().iter().filter(|verdict| verdict.given == Extent::Review) {
                        let item = HeldItem { from: view.to().clone(), category: verdict.category };
                        if !items.contains(&item) {
                            items.push(item);
                        }
                        for reason in verdict.by.iter().map(held_by) {
                            if !by.contains(&reason) {
                                by.push(reason);
                            }
                        }
                    }
                }
                if items.is_empty() {
                    return None;
                }
                Some(to.clone())
            }
            Decision::ReturnToSender | Decision::Refuse => return None,
        };
        let (digest, since, level) = (referral.digest, referral.received, referral.level);
        Some(Waiting { number: self.reviews.saturating_add(1), digest, since, level, intended, by, items })
    }

    /// A clock that runs already keeps its first due moment: a change never gives an authority more time. One that
    /// a withdrawal stopped starts again with the change, and one that ended, when the change raises the referral
    /// to significant harm: what was decided was decided about less.
    fn start_clocks(&mut self, starts: &[ClockStart], is_raised: bool) {
        for start in starts {
            let clock = Clock { name: start.name, due: start.due, ends_with: start.ends_with, state: ClockState::Running };
            match self.clocks.iter_mut().find(|known| known.name == start.name) {
                None => self.clocks.push(clock),
                Some(known) => match known.state {
                    ClockState::Running => {}
                    ClockState::Stopped => *known = clock,
                    ClockState::Met { .. } if is_raised => *known = clock,
                    // That it ran out at this moment was told already.
                    ClockState::Breached { .. } if is_raised && known.due.by < clock.due.by => *known = clock,
                    ClockState::Met { .. } | ClockState::Breached { .. } => {}
                },
            }
        }
    }

    /// Writes down that `to` is owed something, and gives it its id.
    fn owe(&mut self, to: &Endpoint, role: Role, matter: Matter) -> DeliveryId {
        let id = self.id;
        let recipient = match self.recipients.iter().position(|recipient| recipient.to == *to) {
            Some(at) => self.recipients.get_mut(at),
            None => {
                self.recipients.push(Recipient { to: to.clone(), role, deliveries: Vec::new() });
                self.recipients.last_mut()
            }
        };
        let nth = recipient.as_ref().map_or(0, |recipient| recipient.deliveries.len() as u32);
        let delivery = DeliveryId::of(id, to, nth);
        if let Some(recipient) = recipient {
            if role != Role::EarlierRecipient {
                recipient.role = role;
            }
            recipient.deliveries.push(Delivered { id: delivery, matter, digest: None, read_by: None, rung: Rung::Owed });
        }
        delivery
    }

    fn notice(&mut self, to: &Endpoint, role: Role, matter: Matter, text: String, clock: Option<ClockName>) -> Effect {
        let delivery = self.owe(to, role, matter);
        let (referral, sender, received) = (self.id, self.sender.clone(), self.received);
        let (to, remark, stage) = (to.clone(), None, None);
        Effect::Notify(Notice { delivery, matter, referral, to, role, sender, received, text, clock, remark, stage })
    }

    /// TC-11: recipients are told, nothing is erased, and at significant harm everything goes on.
    fn withdraw(mut self, from: &Endpoint) -> Step {
        if *from != self.sender {
            return Step::surprise(Some(self), Surprise::NotYours);
        }
        if self.withdrawn {
            return Step::surprise(Some(self), Surprise::Duplicate);
        }
        self.withdrawn = true;
        let goes_on = self.level.is_significant_harm_or_above();
        let text = self.words_of_withdrawal();
        if !goes_on {
            self.clocks
                .iter_mut()
                .filter(|clock| clock.state == ClockState::Running)
                .for_each(|clock| clock.state = ClockState::Stopped);
        }
        let told: Vec<(Endpoint, Role)> =
            self.recipients.iter().map(|recipient| (recipient.to.clone(), recipient.role)).collect();
        let mut effects: Vec<Effect> =
            told.iter().map(|(to, role)| self.notice(to, *role, Matter::Withdrawal, text.to_owned(), None)).collect();
        effects.push(Effect::TellSender(News::Withdrawn));
        Step::changed(self, effects)
    }

    /// TC-11: what goes on under another basis goes on, and everybody who received it is told. What rests on agreement
    /// alone stops: below significant harm that is the assessment, a voluntary service. That the authority decides what
    /// follows does not rest on it.
    fn withdraw_consent(
        mut self,
        withdrawal: ConsentWithdrawal,
        referral: Option<&Referral>,
        now: Moment,
        rules: &Rulebook,
    ) -> Step {
        let ConsentWithdrawal { from, by, holder, on, reason } = withdrawal;
        if from != self.sender {
            return Step::surprise(Some(self), Surprise::NotYours);
        }
        if self.consent_withdrawn {
            return Step::surprise(Some(self), Surprise::Duplicate);
        }
        if matches!(self.standing, Standing::Returned | Standing::Refused) {
            return Step::surprise(Some(self), Surprise::NotWithAnAuthority);
        }
        self.consent_withdrawn = true;
        let why = reason.map(|reason| format!(" {}", reason.open())).unwrap_or_default();
        let remark = Remark { by, text: Sealed::new(format!("The {} withdrew agreement on {on}.{why}", holder.words())) };
        let news = Effect::TellSender(News::ConsentWithdrawn { holder, on });
        let had_it: Vec<(Endpoint, Role)> = self
            .recipients
            .iter()
            .filter(|recipient| recipient.deliveries.iter().any(|delivery| delivery.matter.has_content()))
            .map(|recipient| (recipient.to.clone(), recipient.role))
            .collect();
        let mut step = match referral {
            Some(referral) => {
                let referral = Referral { kind: EventKind::ConsentWithdrawn, received: now, ..self.as_it_stands(referral) };
                let ruling = self.rule(&referral, rules);
                self.stop_what_rests_on_agreement(ruling.is_significant_harm_or_above());
                self.carry_out(ruling, &referral, Goes::ByWhatEachHad, vec![news], rules)
            }
            None => {
                self.stop_what_rests_on_agreement(self.level.is_significant_harm_or_above());
                Step::changed(self, vec![news])
            }
        };
        let mut told = Vec::new();
        for effect in &mut step.effects {
            if let Effect::Deliver(disclosure) = effect {
                told.push(disclosure.to().clone());
                **disclosure = (**disclosure).clone().with_remark(remark.clone());
            }
        }
        // Whose version was erased, or waits for a person, hears of it all the same.
        for (to, role) in had_it.iter().filter(|(to, _)| !told.contains(to)) {
            let text = "Agreement to this referral was withdrawn. Nothing that you were given is erased. A voluntary service is to \
                        stop; what you do under a duty goes on.";
            let notice = |case: &mut Case| case.remark(to, *role, Matter::ConsentWithdrawn, text.to_owned(), remark.clone());
            step.effects.extend(step.case.as_mut().map(notice));
        }
        step
    }

    fn stop_what_rests_on_agreement(&mut self, goes_on: bool) {
        let rests = |clock: &&mut Clock| clock.name == ClockName::Assessment45Wd && clock.state == ClockState::Running;
        self.clocks.iter_mut().filter(rests).filter(|_| !goes_on).for_each(|clock| clock.state = ClockState::Stopped);
    }

    fn words_of_withdrawal(&self) -> &'static str {
        if self.level.is_significant_harm_or_above() {
            "The sender withdrew this referral. It was made at significant harm or above, so your duties and its clocks go on."
        } else {
            "The sender withdrew this referral. Nothing you were given is erased; a voluntary service is to stop."
        }
    }

    fn delivered(mut self, delivery: DeliveryId) -> Step {
        let found = self.recipients.iter_mut().find_map(|recipient| {
            let to = recipient.to.clone();
            recipient.deliveries.iter_mut().find(|known| known.id == delivery).map(|known| (to, known))
        });
        match found {
            None => Step::surprise(Some(self), Surprise::NotSentToYou),
            Some((_, known)) if known.rung >= Rung::Delivered => Step::surprise(Some(self), Surprise::Late),
            Some((to, known)) => {
                known.rung = Rung::Delivered;
                let is_news = known.matter.has_content();
                let effects = if is_news { vec![Effect::TellSender(News::Delivered(to))] } else { Vec::new() };
                Step::changed(self, effects)
            }
        }
    }

    /// P9: it stays open until how it ended has reached the sender.
    fn sender_told(mut self) -> Step {
        if self.told || !self.has_ended() {
            return Step::surprise(Some(self), Surprise::NothingDue);
        }
        self.told = true;
        Step::changed(self, vec![Effect::TellSender(News::OutcomeReturned)])
    }

    /// FB-02: a breach is told to the front door's manager and to the referrer, without content.
    fn wake(mut self, now: Moment, rules: &Rulebook) -> Step {
        let due: Vec<Clock> =
            self.clocks.iter().filter(|clock| clock.state == ClockState::Running && clock.due.by <= now).copied().collect();
        if due.is_empty() {
            return Step::surprise(Some(self), Surprise::NothingDue);
        }
        let mut effects = Vec::new();
        for clock in due {
            self.clocks
                .iter_mut()
                .filter(|own| own.name == clock.name)
                .for_each(|own| own.state = ClockState::Breached { at: now });
            effects.push(Effect::TellSender(News::ClockBreached { clock: clock.name, due: clock.due }));
            let (told, text) = self.told_of_breach(clock.name, rules);
            for manager in told {
                if rules.directory.party(&manager).is_some() {
                    effects.push(self.notice(&manager, Role::Notified, Matter::ClockBreached, text.clone(), Some(clock.name)));
                } else {
                    let urgent = self.level.is_significant_harm_or_above();
                    effects.push(Effect::AskPerson(Question::NotConnected { to: manager, urgent }));
                }
            }
        }
        Step::changed(self, effects)
    }

    /// Who is told that `clock` ran out, and in which words: the manager of the authority that answers for the child, and
    /// whoever was late where that is somebody else: whoever a disagreement lies before, or the manager of the authority
    /// that was offered the case.
    fn told_of_breach(&self, clock: ClockName, rules: &Rulebook) -> (Vec<Endpoint>, String) {
        let Standing::With { responsible } = &self.standing else { return (Vec::new(), String::new()) };
        let with = name_of(responsible, &rules.directory);
        let manager = |gss: &GssCode| Endpoint::Authority(gss.clone(), Desk::FrontDoorManager);
        let mut told: Vec<Endpoint> = responsible.authority().map(manager).into_iter().collect();
        let text = match DisagreementStage::of(clock) {
            None if clock == ClockName::TransferAnswer => {
                let offered = self.transfer.as_ref().map(|transfer| &transfer.to);
                told.extend(offered.and_then(Endpoint::authority).map(manager));
                let to = offered.map(|to| name_of(to, &rules.directory)).unwrap_or_default();
                format!(
                    "The clock {clock} ran out: {to} was offered a referral by {with}, and has not answered. It stays with {with}, \
                     until another authority explicitly accepts."
                )
            }
            None => {
                format!("The clock {clock} ran out on a referral that is with {with}. Nobody there has said what was decided.")
            }
            Some(stage) => {
                let own = responsible.authority().and_then(|gss| self.within_reach(stage, gss, rules)).map(|(to, _)| to);
                let is_news = own.as_ref().is_some_and(|own| !told.contains(own));
                told.extend(own.filter(|_| is_news));
                let next = if stage.above().is_some() { "; they may take it to the next stage" } else { "" };
                format!(
                    "The clock {clock} ran out on a referral that is with {with}. The referrer disagrees, and nobody has \
                     answered{next}."
                )
            }
        };
        (told, text)
    }

    /// The shell encodes a disclosure once and says here what came out, which an answer must name, and whose inbox it
    /// goes to: whoever reads there answers in the recipient's name.
    pub fn was_encoded(&mut self, delivery: DeliveryId, digest: Digest, inbox: &Endpoint) {
        for recipient in &mut self.recipients {
            for known in recipient.deliveries.iter_mut().filter(|known| known.id == delivery) {
                known.digest = Some(digest);
                known.read_by = (recipient.to != *inbox).then(|| inbox.clone());
            }
        }
    }

    /// Whether this very message was taken in before.
    pub fn has_heard(&self, message: Digest) -> bool {
        self.heard.contains(&message)
    }

    /// The shell says which message a step came from, and commits that with the step.
    pub fn was_heard(&mut self, message: Digest) {
        self.heard.push(message);
    }

    /// The referral's id.
    pub fn id(&self) -> ReferralId {
        self.id
    }
    /// Who sent it.
    pub fn sender(&self) -> &Endpoint {
        &self.sender
    }
    /// The other children's referrals of the same submission.
    pub fn linked(&self) -> &[ReferralId] {
        &self.linked
    }
    /// When it was received.
    pub fn received(&self) -> Moment {
        self.received
    }
    /// How serious the sender says it is.
    pub fn level(&self) -> Level {
        self.level
    }
    /// The digest of the version that counts: the newest.
    pub fn digest(&self) -> Option<Digest> {
        self.versions.last().copied()
    }
    /// The digest of the version that is handed on: the newest that went to somebody who answers for the child, or the
    /// newest of all where none did.
    pub fn digest_to_hand_on(&self) -> Option<Digest> {
        self.routed.or_else(|| self.digest())
    }
    /// Where it stands.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }
    /// What waits for a person.
    pub fn waiting(&self) -> Option<&Waiting> {
        self.waiting.as_ref()
    }
    /// A person decided about this review.
    pub fn was_reviewed(&self, number: u32) -> bool {
        self.reviewed.contains(&number)
    }
    /// The messages that were taken in, the first one first.
    pub fn heard(&self) -> &[Digest] {
        &self.heard
    }
    /// Who receives.
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }
    /// The clocks.
    pub fn clocks(&self) -> &[Clock] {
        &self.clocks
    }
    /// Which rules ruled last.
    pub fn edition(&self) -> Option<&PackId> {
        self.edition.as_ref()
    }
    /// What was decided.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }
    /// The sender took it back.
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn
    }
    /// It ended: an authority decided, and the sender does not dispute that; or it came back; or somebody who decides
    /// nothing, such as a child's new school, has it.
    pub fn has_ended(&self) -> bool {
        let ended = match &self.standing {
            Standing::With { responsible } => {
                let is_there = |recipient: &Recipient| {
                    recipient.to == *responsible && recipient.deliveries.iter().any(|own| own.rung >= Rung::Acknowledged)
                };
                self.outcome.is_some() || (responsible.authority().is_none() && self.recipients.iter().any(is_there))
            }
            Standing::Held { .. } => self.outcome.is_some(),
            Standing::Returned | Standing::Refused => true,
        };
        ended && !self.is_disputed()
    }
    /// Whoever had agreed agrees no longer, and no later version said otherwise (TC-11).
    pub fn is_consent_withdrawn(&self) -> bool {
        self.consent_withdrawn
    }
    /// Nothing but that it was received goes back to the sender (DM-09).
    pub fn is_feedback_suppressed(&self) -> bool {
        self.feedback_suppressed
    }
    /// Another authority was asked to take it over, and has not answered.
    pub fn transfer(&self) -> Option<&Transfer> {
        self.transfer.as_ref()
    }
    /// How the child stands with the authority, as far as that said so.
    pub fn child_status(&self) -> Option<ChildStatus> {
        self.status
    }
    /// It is open until how it ended has reached the sender (P9).
    pub fn is_open(&self) -> bool {
        !self.told
    }
    /// The same as its sender sees it: of a referral about whoever reads what goes back, that it ended would be more
    /// than that it was received (DM-09).
    pub fn is_open_to_its_sender(&self) -> bool {
        let came_back = matches!(self.standing, Standing::Returned | Standing::Refused);
        self.is_open() || (self.feedback_suppressed && !came_back)
    }
    /// When it wants to be woken: at the first running clock's due moment.
    pub fn wake_at(&self) -> Option<Moment> {
        self.clocks.iter().filter(|clock| clock.state == ClockState::Running).map(|clock| clock.due.by).min()
    }
    /// How far it has come: the responsible recipient's highest rung.
    pub fn stage(&self) -> Stage {
        match &self.standing {
            Standing::Held { .. } => Stage::Held,
            Standing::Returned => Stage::Returned,
            Standing::Refused => Stage::Refused,
            Standing::With { responsible } => {
                let own = self.recipients.iter().filter(|recipient| recipient.to == *responsible);
                let highest = own.flat_map(|recipient| &recipient.deliveries).map(|delivery| delivery.rung).max();
                match highest {
                    None => Stage::NotConnected,
                    Some(Rung::Owed) => Stage::Routed,
                    Some(Rung::Delivered) => Stage::Delivered,
                    Some(Rung::Collected) => Stage::Collected,
                    Some(Rung::Acknowledged) => Stage::Acknowledged,
                    Some(Rung::Decided) if self.told => Stage::OutcomeReturned,
                    Some(Rung::Decided) => Stage::Decided,
                }
            }
        }
    }
}

crate::vocab::vocabulary! {
    /// How far a referral has come, in one word (P7).
    pub enum Stage = "stage" {
        /// A person decides what happens to it.
        Held => "held",
        /// It went back to the sender.
        Returned => "returned",
        /// It was refused.
        Refused => "refused",
        /// It is known who is responsible, and there is no connection to them.
        NotConnected => "not_connected",
        /// It is decided who receives it.
        Routed => "routed",
        /// The responsible queue has it.
        Delivered => "delivered",
        /// The responsible system took it.
        Collected => "collected",
        /// A named person has it.
        Acknowledged => "acknowledged",
        /// The authority decided.
        Decided => "decided",
        /// The outcome reached the sender.
        OutcomeReturned => "outcome_returned",
    }
}
