//! What front doors say about a case once it was delivered.
//!
//! Each answer is bound to one delivery and its digest. Whoever answers for the child goes on doing so until
//! another authority has explicitly accepted, and no clock that runs ever gets more time.

use super::{Case, Clock, ClockState, Delivered, Effect, News, Question, Recipient, Rung, Standing, Step, Surprise, Transfer};
use crate::directory::Directory;
use crate::disclosure::{Disclosure, Matter, Remark};
use crate::identifiers::{DeliveryId, GssCode};
use crate::rules::explain::name_of;
use crate::rules::pack::{ClockEnd, ClockName};
use crate::rules::{Role, Rulebook};
use crate::submission::{ChildStatus, FrontDoorAnswer, Practitioner, Referral, Says};
use crate::time::{Amount, london_date, start_of_london_day};
use crate::vocab::{Agreement, Desk, HandlingFlag, Outcome, Vocabulary};
use crate::{Endpoint, Moment, Sealed};
use jiff::civil::Date;

/// The initial child protection conference after the strategy discussion that started enquiries (CL-03).
const CONFERENCE: Amount = Amount::WorkingDays(15);
/// The assessment, from receipt of the referral (CL-04).
const ASSESSMENT: Amount = Amount::WorkingDays(45);
/// The conference at which a plan is taken over, from acceptance (CL-08; local procedures differ).
const TRANSFER_IN: Amount = Amount::WorkingDays(15);

/// What a recipient may say about a delivery, beyond that it has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayAnswer {
    /// All: it answers for the child.
    ForTheChild,
    /// Whether it takes over what was offered to it.
    TheOffer,
    /// Nothing: it is told, or another answers for the child now.
    Nothing,
}

/// Who answers, and what.
struct Answering {
    at: Endpoint,
    by: Practitioner,
    delivery: DeliveryId,
    matter: Matter,
    rung: Rung,
    /// It speaks for the authority that answers for the child.
    is_responsible: bool,
}

impl Case {
    pub(super) fn answer(self, answer: FrontDoorAnswer, referral: Option<&Referral>, now: Moment, rules: &Rulebook) -> Step {
        let FrontDoorAnswer { from, delivery, digest, by, says } = answer;
        let Some((to, known)) = self.delivery_to(&from, delivery) else {
            return Step::surprise(Some(self), Surprise::NotSentToYou);
        };
        if known.digest != Some(digest) {
            return Step::surprise(Some(self), Surprise::OtherContent);
        }
        // Whoever reads another's inbox answers in that one's name.
        let (at, matter, rung) = (to.to.clone(), known.matter, known.rung);
        // That it has it, anybody may say who was given it; what is to come of it, only whoever reads there still.
        let only_has_it = matches!(says, Says::Collected | Says::Acknowledged);
        if !only_has_it && !reads_for(&at, &from, &rules.directory) {
            return Step::surprise(Some(self), Surprise::NotResponsible);
        }
        let is_responsible = self.speaks_for_the_child(to, matter);
        let answering = Answering { at, by, delivery, matter, rung, is_responsible };
        match says {
            Says::Collected => self.climb(answering, Rung::Collected, now),
            Says::Acknowledged => self.climb(answering, Rung::Acknowledged, now),
            Says::TransferAccepted => self.accept_transfer(answering, referral, now, rules),
            Says::TransferRefused { reason } => self.refuse_transfer(answering, &reason, now, rules),
            Says::Decided { .. }
            | Says::AskedForMore { .. }
            | Says::TransferOffered { .. }
            | Says::TransferWithdrawn { .. }
            | Says::StrategyDiscussionHeld { .. }
            | Says::StatusRecorded(_)
            | Says::ReferredOn { .. }
            | Says::HandlingLifted { .. }
                if !answering.is_responsible =>
            {
                Step::surprise(Some(self), Surprise::NotResponsible)
            }
            Says::Decided { outcome, reason } => self.decide(answering, outcome, reason, now, rules),
            Says::AskedForMore { question } => self.ask_for_more(answering, question, now),
            Says::TransferOffered { to, reason } => self.offer_transfer(answering, &to, reason, referral, now, rules),
            Says::TransferWithdrawn { reason } => self.withdraw_transfer(answering, reason, now, rules),
            Says::StrategyDiscussionHeld { held, enquiries_started } => {
                self.hold_strategy_discussion(answering, held, enquiries_started, now, rules)
            }
            Says::StatusRecorded(status) => self.record_status(answering, status, now),
            Says::ReferredOn { to, reason } => self.refer_on(answering, to, reason, referral, now, rules),
            Says::HandlingLifted { condition, reason } => self.lift(answering, condition, &reason, now),
        }
    }

    /// What `who` may say about a delivery as things stand, beyond that it has it; none where there is no such delivery.
    pub fn may_answer(&self, who: &Endpoint, delivery: DeliveryId, directory: &Directory) -> Option<MayAnswer> {
        let (to, known) = self.delivery_to(who, delivery)?;
        if !reads_for(&to.to, who, directory) {
            return Some(MayAnswer::Nothing);
        }
        let is_offered =
            self.transfer.as_ref().is_some_and(|transfer| transfer.to == to.to) && known.matter == Matter::TransferOffer;
        Some(if self.speaks_for_the_child(to, known.matter) {
            MayAnswer::ForTheChild
        } else if is_offered {
            MayAnswer::TheOffer
        } else {
            MayAnswer::Nothing
        })
    }

    /// A disagreement lies before the manager, who answers it for the authority.
    fn speaks_for_the_child(&self, who: &Recipient, matter: Matter) -> bool {
        self.is_in_charge(who) || (matter == Matter::Disagreement && self.standing.is_with(&who.to))
    }

    /// The delivery that `who` was given, and the recipient it was for: itself, or one whose inbox it reads (RA-23).
    fn delivery_to(&self, who: &Endpoint, delivery: DeliveryId) -> Option<(&Recipient, &Delivered)> {
        let all = self.recipients.iter().flat_map(|to| to.deliveries.iter().map(move |known| (to, known)));
        let mut own = all.filter(|(to, known)| *known.read_by.as_ref().unwrap_or(&to.to) == *who);
        own.find(|(_, known)| known.id == delivery)
    }

    /// What lies in an inbox of this referral: for each recipient whose it is, or for whom it is read, what that one was
    /// sent.
    pub fn received_in<'a>(&'a self, inbox: &'a Endpoint) -> impl Iterator<Item = (&'a Recipient, Vec<&'a Delivered>)> {
        self.recipients.iter().filter_map(move |to| {
            let read = |known: &&Delivered| *known.read_by.as_ref().unwrap_or(&to.to) == *inbox;
            let sent: Vec<&Delivered> = to.deliveries.iter().filter(read).collect();
            (!sent.is_empty()).then_some((to, sent))
        })
    }

    /// Whether a recipient answers for the child now.
    pub fn is_in_charge(&self, who: &Recipient) -> bool {
        who.role == Role::Responsible && self.standing.is_with(&who.to)
    }

    /// A named person spoke about a delivery, so one has it.
    fn heard_from(&mut self, answering: &Answering, rung: Rung, outcome: Option<Outcome>, now: Moment) {
        let all = self.recipients.iter_mut().flat_map(|recipient| recipient.deliveries.iter_mut());
        all.filter(|known| known.id == answering.delivery).for_each(|known| known.rung = known.rung.max(rung));
        if answering.is_responsible {
            self.meet_clocks(rung, outcome, now);
        }
    }

    fn climb(mut self, answering: Answering, rung: Rung, now: Moment) -> Step {
        if answering.rung >= rung {
            return Step::surprise(Some(self), Surprise::Late);
        }
        self.heard_from(&answering, rung, None, now);
        let Answering { at, by, .. } = answering;
        let news = if rung == Rung::Collected { News::Collected(at) } else { News::Acknowledged { at, by } };
        Step::changed(self, vec![Effect::TellSender(news)])
    }

    fn decide(mut self, answering: Answering, outcome: Outcome, reason: Sealed<String>, now: Moment, rules: &Rulebook) -> Step {
        // The same decision again is a repeat off the intake, not news; another one is.
        if answering.rung == Rung::Decided && self.outcome == Some(outcome) {
            return Step::surprise(Some(self), Surprise::Late);
        }
        self.outcome = Some(outcome);
        self.told = false;
        self.answer_disagreement();
        self.heard_from(&answering, Rung::Decided, Some(outcome), now);
        if outcome == Outcome::S17Assessment {
            let due = rules.calendar.due(self.received, ASSESSMENT);
            self.start_clock(Clock {
                name: ClockName::Assessment45Wd,
                due,
                ends_with: ClockEnd::Decided,
                state: ClockState::Running,
            });
        }
        let Answering { at, by, .. } = answering;
        Step::changed(self, vec![Effect::TellSender(News::Decided { at, by, outcome, reason })])
    }

    fn ask_for_more(mut self, answering: Answering, question: Sealed<String>, now: Moment) -> Step {
        self.heard_from(&answering, Rung::Acknowledged, None, now);
        let Answering { at, by, .. } = answering;
        Step::changed(self, vec![Effect::TellSender(News::AskedForMore { at, by, question })])
    }

    /// The other authority reads it as one who is told; whoever offers it goes on answering for the child.
    fn offer_transfer(
        mut self,
        answering: Answering,
        area: &GssCode,
        reason: Sealed<String>,
        referral: Option<&Referral>,
        now: Moment,
        rules: &Rulebook,
    ) -> Step {
        if self.transfer.is_some() {
            return Step::surprise(Some(self), Surprise::TransferPending);
        }
        let Some(referral) = referral.map(|referral| self.as_it_stands(referral)) else {
            return Step::surprise(Some(self), Surprise::ContentErased);
        };
        self.heard_from(&answering, Rung::Acknowledged, None, now);
        let Answering { at, by, .. } = answering;
        let authority = rules.directory.on(london_date(now)).authority(area).map(|authority| authority.gss.clone());
        let to = authority.filter(|gss| at.authority() != Some(gss)).map(Endpoint::front_door);
        let Some(to) = to else {
            let why =
                "It could not be offered: this area is not another English children's services authority. It stays with you.";
            let told = self.notice(&at, Role::Responsible, Matter::TransferRefused, why.to_owned(), None);
            return Step::changed(self, vec![told]);
        };
        let ruling = rules.rule_handed_on(&self.as_ruled(&referral), &at, std::slice::from_ref(&to));
        let view = ruling.told(&to).filter(|_| rules.directory.party(&to).is_some());
        let Some(view) = view else {
            let urgent = self.level.is_significant_harm_or_above();
            let why =
                format!("It could not be offered to {to}: there is no connection to them. It stays with you. Telephone them.");
            let told = self.notice(&at, Role::Responsible, Matter::TransferRefused, why, None);
            return Step::changed(self, vec![told, Effect::AskPerson(Question::NotConnected { to, urgent })]);
        };
        let delivery = self.owe(&to, Role::Notified, Matter::TransferOffer);
        let offer = Disclosure::under(&ruling, &view, &referral, delivery, Matter::TransferOffer, &rules.directory)
            .with_remark(Remark { by, text: reason })
            .with_status(self.status);
        let news = News::TransferOffered { from: at.clone(), to: to.clone() };
        // An answer is asked for, and asked for again where none comes; the clocks that run are still whoever's offers it.
        if let Some(limit) = to.authority().and_then(|gss| rules.limit(ClockName::TransferAnswer, gss, now)) {
            self.start_clock(Clock { name: limit.name, due: limit.due, ends_with: limit.ends_with, state: ClockState::Running });
        }
        self.transfer = Some(Transfer { to, from: at, since: now });
        let effects = vec![Effect::Deliver(Box::new(offer)), Effect::TellSender(news)];
        Step { case: Some(self), effects, ruling: Some(Box::new(ruling)), surprise: None }
    }

    /// RA-02, P8: from now on the other authority answers for the child, and has what time is left.
    fn accept_transfer(mut self, answering: Answering, referral: Option<&Referral>, now: Moment, rules: &Rulebook) -> Step {
        let Some(referral) = referral.map(|referral| self.as_it_stands(referral)) else {
            return Step::surprise(Some(self), Surprise::ContentErased);
        };
        let Some(transfer) = self.transfer.take_if(|transfer| answering.answers(transfer)) else {
            return Step::surprise(Some(self), Surprise::NothingOffered);
        };
        self.heard_from(&answering, Rung::Acknowledged, None, now);
        self.end_offer(ClockState::Met { at: now });
        let Transfer { to, from, .. } = transfer;
        let before = self.standing.responsible().cloned().unwrap_or_else(|| from.clone());
        let is_before = |recipient: &&mut Recipient| recipient.to.authority() == before.authority();
        self.recipients.iter_mut().filter(is_before).for_each(|recipient| recipient.role = Role::Notified);
        self.standing = Standing::With { responsible: to.clone() };
        self.taken_over = to.authority().cloned();
        // The one that was responsible decides no more; this one has not yet.
        self.outcome = None;
        self.told = false;
        self.begin_ladder_anew();
        let ruling = rules.rule_handed_on(&self.as_ruled(&referral), &to, &[]);
        let mut effects = Vec::new();
        if let Some(view) = ruling.told(&to) {
            let delivery = self.owe(&to, Role::Responsible, Matter::Referral);
            let whole = Disclosure::under(&ruling, &view, &referral, delivery, Matter::Referral, &rules.directory)
                .with_status(self.status);
            effects.push(Effect::Deliver(Box::new(whole)));
        }
        if self.status.is_some_and(|status| status.child_protection_plan) {
            let due = rules.calendar.due(now, TRANSFER_IN);
            let (name, ends_with) = (ClockName::TransferInConference15Wd, ClockEnd::Decided);
            self.start_clock(Clock { name, due, ends_with, state: ClockState::Running });
        }
        let text = format!(
            "{} accepted what you offered. It answers for the child from now on, and the clocks that run are its own.",
            name_of(&to, &rules.directory)
        );
        if rules.directory.party(&before).is_some() {
            effects.push(self.notice(&before, Role::Notified, Matter::TransferAccepted, text, None));
        }
        effects.push(Effect::TellSender(News::TransferAccepted { from: before.clone(), to, by: answering.by }));
        effects.extend(self.hand_on_disagreement(&before, rules));
        Step { case: Some(self), effects, ruling: Some(Box::new(ruling)), surprise: None }
    }

    /// It stays where it is, and both managers hear that two authorities do not agree (RA-02).
    fn refuse_transfer(mut self, answering: Answering, reason: &Sealed<String>, now: Moment, rules: &Rulebook) -> Step {
        let Some(transfer) = self.transfer.take_if(|transfer| answering.answers(transfer)) else {
            return Step::surprise(Some(self), Surprise::NothingOffered);
        };
        let all = self.recipients.iter_mut().flat_map(|recipient| recipient.deliveries.iter_mut());
        all.filter(|known| known.id == answering.delivery).for_each(|known| known.rung = known.rung.max(Rung::Acknowledged));
        self.end_offer(ClockState::Met { at: now });
        let Transfer { to, from, .. } = transfer;
        let with = self.standing.responsible().cloned().unwrap_or(from);
        let text = format!(
            "{} did not take it over. It stays with {}, until another authority explicitly accepts.",
            name_of(&to, &rules.directory),
            name_of(&with, &rules.directory)
        );
        let remark = Remark { by: answering.by, text: reason.clone() };
        let managers = [&with, &to].map(|endpoint| endpoint.authority().cloned());
        let managers = managers.into_iter().flatten().map(|gss| Endpoint::Authority(gss, Desk::FrontDoorManager));
        let told = std::iter::once((with.clone(), Role::Responsible)).chain(managers.map(|manager| (manager, Role::Notified)));
        let mut effects = Vec::new();
        for (told, role) in told {
            if rules.directory.party(&told).is_some() {
                effects.push(self.remark(&told, role, Matter::TransferRefused, text.clone(), remark.clone()));
            } else {
                let urgent = self.level.is_significant_harm_or_above();
                effects.push(Effect::AskPerson(Question::NotConnected { to: told, urgent }));
            }
        }
        effects.push(Effect::TellSender(News::TransferRefused { from: with, to }));
        Step::changed(self, effects)
    }

    /// The authority that offered it keeps it, and whoever was asked need not answer any more.
    fn withdraw_transfer(mut self, answering: Answering, reason: Sealed<String>, now: Moment, rules: &Rulebook) -> Step {
        let Some(Transfer { to, .. }) = self.transfer.take() else {
            return Step::surprise(Some(self), Surprise::NothingOffered);
        };
        self.heard_from(&answering, Rung::Acknowledged, None, now);
        self.end_offer(ClockState::Stopped);
        let Answering { at, by, .. } = answering;
        let text = format!(
            "{} took back what it had offered to you, and goes on answering for the child. Nothing is asked of you any more.",
            name_of(&at, &rules.directory)
        );
        let mut effects = Vec::new();
        if rules.directory.party(&to).is_some() {
            effects.push(self.remark(&to, Role::Notified, Matter::TransferWithdrawn, text, Remark { by, text: reason }));
        }
        effects.push(Effect::TellSender(News::TransferWithdrawn { from: at, to }));
        Step::changed(self, effects)
    }

    /// What the receiving authority owed as an answer, it owes no longer.
    pub(super) fn end_offer(&mut self, state: ClockState) {
        let waits = |clock: &&mut Clock| clock.name == ClockName::TransferAnswer && clock.state == ClockState::Running;
        self.clocks.iter_mut().filter(waits).for_each(|clock| clock.state = state);
    }

    fn hold_strategy_discussion(
        mut self,
        answering: Answering,
        held: Date,
        enquiries_started: bool,
        now: Moment,
        rules: &Rulebook,
    ) -> Step {
        self.heard_from(&answering, Rung::Acknowledged, None, now);
        if enquiries_started {
            // What is dated ahead gives nobody more time.
            let held = held.min(london_date(now));
            let due = rules.calendar.due(start_of_london_day(held), CONFERENCE);
            let (name, ends_with) = (ClockName::Icpc15Wd, ClockEnd::Decided);
            self.start_clock(Clock { name, due, ends_with, state: ClockState::Running });
        }
        Step::changed(self, vec![Effect::TellSender(News::StrategyDiscussionHeld { at: answering.at })])
    }

    /// A conference has decided whether there is a plan; the sender does not read that (DM-12).
    fn record_status(mut self, answering: Answering, status: ChildStatus, now: Moment) -> Step {
        self.heard_from(&answering, Rung::Acknowledged, None, now);
        self.status = Some(status);
        let conferences = [ClockName::Icpc15Wd, ClockName::TransferInConference15Wd];
        let running = self.clocks.iter_mut().filter(|clock| clock.state == ClockState::Running);
        running.filter(|clock| conferences.contains(&clock.name)).for_each(|clock| clock.state = ClockState::Met { at: now });
        Step::changed(self, Vec::new())
    }

    fn refer_on(
        mut self,
        answering: Answering,
        to: Endpoint,
        reason: Sealed<String>,
        referral: Option<&Referral>,
        now: Moment,
        rules: &Rulebook,
    ) -> Step {
        let Some(referral) = referral.map(|referral| self.as_it_stands(referral)) else {
            return Step::surprise(Some(self), Surprise::ContentErased);
        };
        if to == self.sender || to == answering.at {
            return Step::surprise(Some(self), Surprise::UnknownTarget);
        }
        self.heard_from(&answering, Rung::Acknowledged, None, now);
        let Answering { at, by, .. } = answering;
        let ruling = rules.rule_handed_on(&self.as_ruled(&referral), &at, std::slice::from_ref(&to));
        let view = ruling.told(&to).filter(|view| view.role() != Role::Responsible && rules.directory.party(&to).is_some());
        let Some(view) = view else {
            let urgent = self.level.is_significant_harm_or_above();
            let why = format!("It could not be referred on to {to}: there is no connection to them. Telephone them.");
            let told = self.notice(&at, Role::Responsible, Matter::NotReferredOn, why, None);
            return Step::changed(self, vec![told, Effect::AskPerson(Question::NotConnected { to, urgent })]);
        };
        let delivery = self.owe(&to, Role::Notified, Matter::ReferredOn);
        let given = Disclosure::under(&ruling, &view, &referral, delivery, Matter::ReferredOn, &rules.directory)
            .with_remark(Remark { by, text: reason });
        let effects = vec![Effect::Deliver(Box::new(given)), Effect::TellSender(News::ReferredOn { at, to })];
        Step { case: Some(self), effects, ruling: Some(Box::new(ruling)), surprise: None }
    }

    /// HR-04: it is inherited through everything until the authority lifts it; then everybody who kept it hears so.
    fn lift(mut self, answering: Answering, condition: HandlingFlag, reason: &Sealed<String>, now: Moment) -> Step {
        if condition != HandlingFlag::DoNotInformParents {
            return Step::surprise(Some(self), Surprise::NotYoursToLift);
        }
        if self.lifted.contains(&condition) {
            return Step::surprise(Some(self), Surprise::Late);
        }
        self.heard_from(&answering, Rung::Acknowledged, None, now);
        self.lifted.push(condition);
        let text = format!("The authority lifted a condition that you were given: {}.", condition.words());
        let remark = Remark { by: answering.by, text: reason.clone() };
        let told: Vec<(Endpoint, Role)> = self
            .recipients
            .iter()
            .filter(|recipient| recipient.deliveries.iter().any(|delivery| delivery.matter.has_content()))
            .map(|recipient| (recipient.to.clone(), recipient.role))
            .collect();
        let mut effects: Vec<Effect> =
            told.iter().map(|(to, role)| self.remark(to, *role, Matter::HandlingLifted, text.clone(), remark.clone())).collect();
        effects.push(Effect::TellSender(News::HandlingLifted { at: answering.at, condition }));
        Step::changed(self, effects)
    }

    pub(super) fn remark(&mut self, to: &Endpoint, role: Role, matter: Matter, text: String, remark: Remark) -> Effect {
        match self.notice(to, role, matter, text, None) {
            Effect::Notify(notice) => Effect::Notify(crate::disclosure::Notice { remark: Some(remark), ..notice }),
            other @ (Effect::Deliver(_) | Effect::TellSender(_) | Effect::AskPerson(_)) => other,
        }
    }

    /// A clock that runs keeps its first due moment; one that ended starts again.
    pub(super) fn start_clock(&mut self, clock: Clock) {
        match self.clocks.iter_mut().find(|known| known.name == clock.name) {
            None => self.clocks.push(clock),
            Some(known) if known.state == ClockState::Running => {}
            Some(known) => *known = clock,
        }
    }

    fn meet_clocks(&mut self, rung: Rung, outcome: Option<Outcome>, at: Moment) {
        let met = |clock: &Clock| match clock.ends_with {
            ClockEnd::Acknowledged => rung >= Rung::Acknowledged,
            ClockEnd::Decided => rung >= Rung::Decided && outcome.is_none_or(|outcome| ends(clock.name, outcome)),
            // Another authority owes that.
            ClockEnd::Answered => false,
        };
        for clock in self.clocks.iter_mut().filter(|clock| clock.state == ClockState::Running && met(clock)) {
            clock.state = ClockState::Met { at };
        }
    }

    /// The referral as those who handle it now have to: without the conditions that the authority lifted, and without
    /// the agreement that was withdrawn.
    pub(super) fn as_it_stands(&self, referral: &Referral) -> Referral {
        let stays = |flag: &HandlingFlag| !self.lifted.contains(flag);
        let mut referral = referral.clone();
        referral.handling.retain(stays);
        referral.items.iter_mut().for_each(|item| item.handling.retain(stays));
        if self.consent_withdrawn {
            referral.agreement = Agreement::Refused;
        }
        referral
    }
}

/// Whether `who` is connected and reads for `to`, now: a company that served an authority once decides nothing for it.
fn reads_for(to: &Endpoint, who: &Endpoint, directory: &Directory) -> bool {
    directory.party(to).is_some_and(|party| party.endpoint == *who)
}

/// Whether a decision ends what `clock` waits for: to assess is no assessment, and to discuss or to enquire is no
/// conference.
fn ends(clock: ClockName, outcome: Outcome) -> bool {
    let goes_on = matches!(outcome, Outcome::S17Assessment | Outcome::StrategyDiscussionS47 | Outcome::EmergencyAction);
    let waits_for_the_end = [ClockName::Assessment45Wd, ClockName::Icpc15Wd, ClockName::TransferInConference15Wd];
    !(goes_on && waits_for_the_end.contains(&clock))
}

impl Answering {
    /// Whether it answers this offer.
    fn answers(&self, transfer: &Transfer) -> bool {
        self.at == transfer.to && self.matter == Matter::TransferOffer
    }
}

impl Standing {
    /// Who answers for the child.
    pub(super) fn responsible(&self) -> Option<&Endpoint> {
        match self {
            Standing::With { responsible } => Some(responsible),
            Standing::Held { .. } | Standing::Returned | Standing::Refused => None,
        }
    }
}
