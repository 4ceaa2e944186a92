//! A professional disagreement and its stages (FB-03).
//!
//! Practitioners speak with each other first; what they do not settle comes here. Each stage is answered by a decision
//! of the authority that answers for the child. A referrer who stays dissatisfied, or whom nobody answered in time,
//! takes the same disagreement one stage higher. A child who is not safe now waits for no stage.

use serde::{Deserialize, Serialize};

use super::{Case, Clock, ClockState, Effect, Goes, News, Question, Standing, Step, Surprise, name_of};
use crate::disclosure::{Matter, Notice, Remark};
use crate::identifiers::GssCode;
use crate::rules::pack::ClockName;
use crate::rules::{Role, Rulebook};
use crate::submission::{Body, Disagreement, Item, Referral};
use crate::vocab::{Category, Desk, EventKind, Knowledge, Level, Subject, Vocabulary};
use crate::{Endpoint, Moment, Sealed};

crate::vocab::vocabulary! {
    /// Before whom at the authority a disagreement lies, in the order in which it rises. Working Together asks every
    /// partnership for a clear policy and leaves its stages to it; these are how practice names them. How long each has
    /// is a row of the rules, which an area may tighten.
    pub enum DisagreementStage = "stage" {
        /// The front door's manager.
        Manager => "manager",
        /// The named and designated safeguarding leads.
        SafeguardingLeads => "safeguarding_leads",
        /// The heads of service.
        HeadsOfService => "heads_of_service",
        /// The safeguarding partners.
        SafeguardingPartners => "safeguarding_partners",
    }
}

impl DisagreementStage {
    /// Its place on the ladder, from 1.
    pub fn number(self) -> u8 {
        match self {
            DisagreementStage::Manager => 1,
            DisagreementStage::SafeguardingLeads => 2,
            DisagreementStage::HeadsOfService => 3,
            DisagreementStage::SafeguardingPartners => 4,
        }
    }

    /// The stage above it; none above the last.
    pub(super) fn above(self) -> Option<DisagreementStage> {
        match self {
            DisagreementStage::Manager => Some(DisagreementStage::SafeguardingLeads),
            DisagreementStage::SafeguardingLeads => Some(DisagreementStage::HeadsOfService),
            DisagreementStage::HeadsOfService => Some(DisagreementStage::SafeguardingPartners),
            DisagreementStage::SafeguardingPartners => None,
        }
    }

    fn desk(self) -> Desk {
        match self {
            DisagreementStage::Manager => Desk::FrontDoorManager,
            DisagreementStage::SafeguardingLeads => Desk::SafeguardingLead,
            DisagreementStage::HeadsOfService => Desk::HeadOfService,
            DisagreementStage::SafeguardingPartners => Desk::SafeguardingPartners,
        }
    }

    fn clock(self) -> ClockName {
        match self {
            DisagreementStage::Manager => ClockName::DisagreementAnswer,
            DisagreementStage::SafeguardingLeads => ClockName::DisagreementLeads,
            DisagreementStage::HeadsOfService => ClockName::DisagreementHeadsOfService,
            DisagreementStage::SafeguardingPartners => ClockName::DisagreementPartners,
        }
    }

    /// The stage that `clock` measures.
    pub(super) fn of(clock: ClockName) -> Option<DisagreementStage> {
        DisagreementStage::ALL.iter().copied().find(|stage| stage.clock() == clock)
    }
}

/// The sender's disagreement: how high it has come, and whether it was answered there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Raised {
    stage: DisagreementStage,
    is_answered: bool,
}

/// How a disagreement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisagreementState {
    /// It waits for an answer, and there is time left for one.
    Open,
    /// Nobody answered in time.
    Late,
    /// The authority answered.
    Answered,
}

impl Case {
    /// How high the sender's disagreement has come, and how it stands there.
    pub fn disagreement(&self) -> Option<(DisagreementStage, DisagreementState)> {
        let Raised { stage, is_answered } = self.disagreement?;
        let is_late = |clock: &Clock| clock.name == stage.clock() && matches!(clock.state, ClockState::Breached { .. });
        Some(match is_answered {
            true => (stage, DisagreementState::Answered),
            false if self.clocks.iter().any(is_late) => (stage, DisagreementState::Late),
            false => (stage, DisagreementState::Open),
        })
    }

    /// The stage at which the sender may disagree now.
    ///
    /// # Errors
    ///
    /// What stands against it.
    pub fn next_stage(&self) -> Result<DisagreementStage, Surprise> {
        match self.disagreement() {
            None => Ok(DisagreementStage::Manager),
            Some((_, DisagreementState::Open)) => Err(Surprise::AlreadyDisputed),
            Some((stage, DisagreementState::Late | DisagreementState::Answered)) => stage.above().ok_or(Surprise::NoStageAbove),
        }
    }

    /// The sender disagrees, and nobody has decided since.
    pub(super) fn is_disputed(&self) -> bool {
        self.urgently_disputed || self.disagreement.is_some_and(|raised| !raised.is_answered)
    }

    /// A decision answers whatever was disputed; it may stay the same.
    pub(super) fn answer_disagreement(&mut self) {
        self.urgently_disputed = false;
        if let Some(raised) = &mut self.disagreement {
            raised.is_answered = true;
        }
    }

    /// What was answered was about what stood then: about a changed version, or with another authority, the sender
    /// disagrees anew.
    pub(super) fn begin_ladder_anew(&mut self) {
        self.disagreement.take_if(|raised| raised.is_answered);
    }

    pub(super) fn disagree(
        mut self,
        disagreement: Disagreement,
        referral: Option<&Referral>,
        now: Moment,
        rules: &Rulebook,
    ) -> Step {
        let Disagreement { from, by, reason, is_immediate_danger } = disagreement;
        if from != self.sender {
            return Step::surprise(Some(self), Surprise::NotYours);
        }
        let remark = Remark { by, text: reason };
        if is_immediate_danger {
            return self.disagree_urgently(remark, referral, now, rules);
        }
        let Some(gss) = self.standing.responsible().and_then(Endpoint::authority).cloned() else {
            return Step::surprise(Some(self), Surprise::NotWithAnAuthority);
        };
        let stage = match self.next_stage() {
            Ok(stage) => stage,
            Err(surprise) => return Step::surprise(Some(self), surprise),
        };
        let effects = self.raise(stage, &gss, remark, now, rules);
        Step::changed(self, effects)
    }

    /// Puts the disagreement before `stage`, and says what is owed for that.
    fn raise(&mut self, stage: DisagreementStage, gss: &GssCode, remark: Remark, now: Moment, rules: &Rulebook) -> Vec<Effect> {
        let before = match self.disagreement() {
            None if self.outcome.is_some() => "The referrer disagrees with what was decided about this referral",
            None => "The referrer disagrees with nothing having been decided about this referral",
            Some((_, DisagreementState::Late)) => "The referrer disagrees about this referral, and nobody answered in time",
            Some((_, DisagreementState::Open | DisagreementState::Answered)) => {
                "The referrer disagrees with the answer to an earlier disagreement about this referral"
            }
        };
        self.disagreement = Some(Raised { stage, is_answered: false });
        self.told = false;
        let effects = self.put_before(stage, gss, before, Some(remark), rules);
        if let Some(limit) = rules.limit(stage.clock(), gss, now) {
            self.start_clock(Clock { name: limit.name, due: limit.due, ends_with: limit.ends_with, state: ClockState::Running });
        }
        effects
    }

    /// What nobody has answered goes along with the case to the authority that answers for the child from now on, before
    /// the same stage there; its clock runs on. The referrer's reason is with `from`: a case keeps no such text.
    pub(super) fn hand_on_disagreement(&mut self, from: &Endpoint, rules: &Rulebook) -> Vec<Effect> {
        let Some(responsible) = self.standing.responsible().cloned() else { return Vec::new() };
        let with_reason = name_of(from, &rules.directory);
        let mut effects = Vec::new();
        if self.urgently_disputed && rules.directory.party(&responsible).is_some() {
            let text = format!(
                "The referrer has said that the child is not safe now, and nobody has decided since. The reason \
                 is with {with_reason}. Telephone the referrer at once, then decide on this delivery."
            );
            effects.push(self.notice(&responsible, Role::Responsible, Matter::Disagreement, text, None));
        }
        if let Some(Raised { stage, is_answered: false }) = self.disagreement
            && let Some(gss) = responsible.authority()
        {
            let before = format!(
                "The referrer disagreed about this referral while it was with {with_reason}, which has the reason, and nobody has \
                 answered"
            );
            effects.extend(self.put_before(stage, gss, &before, None, rules));
        }
        effects
    }

    /// Puts the disagreement before `stage`, and tells the sender before whom it lies. `before` says what it is about.
    fn put_before(
        &mut self,
        stage: DisagreementStage,
        gss: &GssCode,
        before: &str,
        remark: Option<Remark>,
        rules: &Rulebook,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let meant = Endpoint::Authority(gss.clone(), stage.desk());
        let to = self.within_reach(stage, gss, rules);
        if to.as_ref().is_none_or(|(to, _)| *to != meant) {
            let urgent = self.level.is_significant_harm_or_above();
            effects.push(Effect::AskPerson(Question::NotConnected { to: meant.clone(), urgent }));
        }
        if let Some((to, role)) = &to {
            let hand_on = match *to == meant {
                true => "",
                false => " There is no connection to them: hand it on to them.",
            };
            let (number, last) = (stage.number(), DisagreementStage::ALL.len());
            let text = format!(
                "{before}: stage {number} of {last} of the escalation procedure, for the {}.{hand_on} Speak with them, then decide \
                 on this delivery; the decision that stands may stay the same.",
                stage.words()
            );
            let told = match self.notice(to, *role, Matter::Disagreement, text, None) {
                Effect::Notify(notice) => Effect::Notify(Notice { stage: Some(stage), remark, ..notice }),
                other @ (Effect::Deliver(_) | Effect::TellSender(_) | Effect::AskPerson(_)) => other,
            };
            effects.push(told);
        }
        let at = to.map_or(meant, |(to, _)| to);
        effects.push(Effect::TellSender(News::Disagreed { before: Some((at, stage)) }));
        effects
    }

    /// Whom the disagreement reaches: the stage's own desk, else the nearest one beneath it that is connected.
    pub(super) fn within_reach(&self, stage: DisagreementStage, gss: &GssCode, rules: &Rulebook) -> Option<(Endpoint, Role)> {
        let beneath = DisagreementStage::ALL.iter().rev().filter(|beneath| **beneath <= stage);
        let desks = beneath.map(|stage| (Endpoint::Authority(gss.clone(), stage.desk()), Role::Notified));
        let responsible = self.standing.responsible().cloned().map(|responsible| (responsible, Role::Responsible));
        desks.chain(responsible).find(|(to, _)| rules.directory.party(to).is_some())
    }

    /// In immediate danger it goes past every stage, as a new urgent referral to whoever is on duty, and to police.
    /// Where its content was erased, whoever answers for the child is told, and somebody has to telephone them.
    fn disagree_urgently(mut self, remark: Remark, referral: Option<&Referral>, now: Moment, rules: &Rulebook) -> Step {
        let news = Effect::TellSender(News::Disagreed { before: None });
        if let Some(referral) = referral {
            let urgent = self.as_it_stands(referral).made_urgent(&remark.text, now);
            let ruling = self.rule(&urgent, rules);
            let mut step = self.carry_out(ruling, &urgent, Goes::ByWhatEachHad, vec![news], rules);
            step.case.iter_mut().for_each(Case::dispute_urgently);
            return step;
        }
        let Standing::With { responsible } = self.standing.clone() else {
            return Step::surprise(Some(self), Surprise::NotWithAnAuthority);
        };
        self.dispute_urgently();
        let manager = responsible.authority().map(|gss| Endpoint::Authority(gss.clone(), Desk::FrontDoorManager));
        let told = std::iter::once((responsible.clone(), Role::Responsible)).chain(manager.map(|to| (to, Role::Notified)));
        let told: Vec<(Endpoint, Role)> = told.filter(|(to, _)| rules.directory.party(to).is_some()).collect();
        let text = "The referrer says that the child is not safe now, and disagrees about this referral. Its content was \
                    erased: telephone them at once, then decide on this delivery.";
        let mut effects: Vec<Effect> =
            told.iter().map(|(to, role)| self.remark(to, *role, Matter::Disagreement, text.to_owned(), remark.clone())).collect();
        effects.push(Effect::AskPerson(Question::NotConnected { to: responsible, urgent: true }));
        effects.push(news);
        Step::changed(self, effects)
    }

    fn dispute_urgently(&mut self) {
        self.urgently_disputed = true;
        self.told = false;
        self.outcome = None;
    }
}

impl Referral {
    /// The same as a disagreement about a child who is not safe now, made at `now`.
    fn made_urgent(self, reason: &Sealed<String>, now: Moment) -> Referral {
        let why = Item {
            category: Category::ConcernNarrative,
            subject: Subject::Child,
            knowledge: Knowledge::NotStated,
            handling: Vec::new(),
            about_child: None,
            body: Body::Text(Sealed::new(format!("The referrer disagrees with what was decided: {}", reason.open()))),
            summary: None,
        };
        let items = self.items.into_iter().chain([why]).collect();
        Referral { kind: EventKind::ProfessionalDisagreement, level: Level::ImmediateDanger, received: now, items, ..self }
    }
}
