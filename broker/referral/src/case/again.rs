//! A case looked at again because the directory answers otherwise than it did: the authority that had it ended and
//! others follow it (RA-07, P8), or somebody whom it could not reach is connected by now.

use jiff::civil::Date;

use super::*;
use crate::directory::Directory;
use crate::time::london_date;

/// Who follows the authority that answers for a child.
enum Successor {
    /// It has not ended.
    None,
    /// This one.
    Is(GssCode),
    /// One of several, or none that the register knows: a person decides.
    Unclear,
}

impl Case {
    /// Whether the directory answers otherwise than it did, so that looking again would change something.
    pub fn wants_another_look(&self, today: Date, directory: &Directory) -> bool {
        let goes_on = match &self.standing {
            // What was about something voluntary, and was withdrawn or agreed to no longer, goes nowhere any more (TC-11).
            Standing::With { .. } | Standing::Held { .. } if self.withdrawn || self.consent_withdrawn => {
                self.level.is_significant_harm_or_above()
            }
            Standing::With { .. } | Standing::Held { .. } => self.is_open() || self.wake_at().is_some(),
            Standing::Returned | Standing::Refused => false,
        };
        goes_on && (self.has_ended_since(today, directory) || self.now_connected(directory).next().is_some())
    }

    /// What waits for a person about it already needs no other look.
    fn has_ended_since(&self, today: Date, directory: &Directory) -> bool {
        let Some(gss) = self.standing.responsible().and_then(Endpoint::authority) else { return false };
        directory.register().has_ended(gss, today) && self.waiting.as_ref().is_none_or(|waiting| !waiting.items.is_empty())
    }

    fn now_connected<'a>(&'a self, directory: &'a Directory) -> impl Iterator<Item = &'a Endpoint> {
        self.not_connected.iter().filter(|to| directory.party(to).is_some())
    }

    pub(super) fn look_again(self, referral: Option<&Referral>, now: Moment, rules: &Rulebook) -> Step {
        let today = london_date(now);
        if !self.wants_another_look(today, &rules.directory) {
            return Step::surprise(Some(self), Surprise::NothingDue);
        }
        let Some(referral) = referral.map(|referral| self.as_it_stands(referral)) else {
            return Step::surprise(Some(self), Surprise::ContentErased);
        };
        if !self.has_ended_since(today, &rules.directory) {
            return self.catch_up(&referral, rules);
        }
        // What it is today, by the register of today.
        let of_today = Referral { received: now, ..referral.clone() };
        match self.successor(&of_today, today, rules) {
            Successor::Is(gss) => self.pass_on(gss, &referral, &of_today, rules),
            Successor::None | Successor::Unclear => self.ask_who_follows(&of_today, rules),
        }
    }

    /// Those who could not be reached get what they would have had.
    fn catch_up(mut self, referral: &Referral, rules: &Rulebook) -> Step {
        let reached: Vec<Endpoint> = self.now_connected(&rules.directory).cloned().collect();
        self.not_connected.retain(|to| !reached.contains(to));
        let had_content = self.had_content();
        // Where it stands a person may have settled, so that is not asked again.
        let ruling = match &self.standing {
            Standing::With { responsible } => {
                let others: Vec<Endpoint> = reached.iter().filter(|to| *to != responsible).cloned().chain(had_content).collect();
                rules.rule_connected(referral, responsible, &others)
            }
            Standing::Held { .. } | Standing::Returned | Standing::Refused => self.rule(referral, rules),
        };
        let mut effects = Vec::new();
        for view in reached.iter().filter_map(|to| ruling.told(to)) {
            let delivery = self.owe(view.to(), view.role(), Matter::Referral);
            let late = Disclosure::under(&ruling, &view, referral, delivery, Matter::Referral, &rules.directory);
            effects.push(Effect::Deliver(Box::new(late)));
        }
        Step { case: Some(self), effects, ruling: Some(Box::new(ruling)), surprise: None }
    }

    fn successor(&self, of_today: &Referral, today: Date, rules: &Rulebook) -> Successor {
        let Some(gss) = self.standing.responsible().and_then(Endpoint::authority) else { return Successor::None };
        if let Some(follows) = rules.directory.on(today).authority(gss) {
            return Successor::Is(follows.gss.clone());
        }
        // Several follow it, and the child's places say which of them.
        let ruling = self.rule(of_today, rules);
        let by_place = match ruling.decision() {
            Decision::Deliver { to } => to.authority(),
            Decision::HoldForReview { intended } => intended.as_ref().and_then(Endpoint::authority),
            Decision::ReturnToSender | Decision::Refuse => None,
        };
        let follow = rules.directory.register().candidates(gss, today);
        match by_place.filter(|by_place| follow.iter().any(|authority| authority.gss == **by_place)) {
            Some(by_place) => Successor::Is(by_place.clone()),
            None => Successor::Unclear,
        }
    }

    /// The successor answers for the child from now on, with the clocks as they run and what was decided.
    fn pass_on(mut self, gss: GssCode, referral: &Referral, of_today: &Referral, rules: &Rulebook) -> Step {
        let Some(from @ Endpoint::Authority(_, desk)) = &self.standing.responsible().cloned() else {
            return Step::surprise(Some(self), Surprise::NothingDue);
        };
        // What the night team had is the front door's by day; every other desk has its like.
        let by_day = if *desk == Desk::EmergencyDutyTeam { Desk::FrontDoor } else { *desk };
        let to = Endpoint::Authority(gss.clone(), by_day);
        let is_before = |recipient: &&mut Recipient| recipient.to.authority() == from.authority();
        self.recipients.iter_mut().filter(is_before).for_each(|recipient| recipient.role = Role::Notified);
        self.standing = Standing::With { responsible: to.clone() };
        self.taken_over = self.taken_over.take().map(|_| gss);
        self.not_connected.retain(|other| other.authority() != from.authority());
        // What an authority offered that is no more, nobody can accept from it.
        self.transfer = None;
        self.end_offer(ClockState::Stopped);
        // What waits for a person before it had it waits before its successor has it.
        let items = self.waiting.iter_mut().flat_map(|waiting| waiting.items.iter_mut());
        items.filter(|item| item.from == *from).for_each(|item| item.from = to.clone());
        let running = self.clocks.iter().filter(|clock| clock.state == ClockState::Running);
        let ruling = rules.rule_succeeded(of_today, &to, &running.copied().collect::<Vec<_>>());
        let mut effects = vec![Effect::TellSender(News::PassedToSuccessor { from: from.clone(), to: to.clone() })];
        match ruling.told(&to) {
            Some(view) if rules.directory.party(&to).is_some() => {
                let delivery = self.owe(&to, Role::Responsible, Matter::Referral);
                let whole = Disclosure::under(&ruling, &view, referral, delivery, Matter::Referral, &rules.directory);
                effects.push(Effect::Deliver(Box::new(whole.with_status(self.status))));
            }
            Some(_) | None => effects.extend(self.cannot_reach(&to)),
        }
        if rules.directory.party(from).is_some() {
            let text = format!(
                "{} has ended, and {} answers for this child from today. The clocks that run are its own.",
                name_of(from, &rules.directory),
                name_of(&to, &rules.directory)
            );
            effects.push(self.notice(from, Role::Notified, Matter::PassedToSuccessor, text, None));
        }
        Step { case: Some(self), effects, ruling: Some(Box::new(ruling)), surprise: None }
    }

    /// Nobody is guessed (P4): it waits for a person to say which authority follows.
    fn ask_who_follows(mut self, of_today: &Referral, rules: &Rulebook) -> Step {
        let ruling = rules.rule_without_successor(of_today);
        let by: Vec<HeldBy> =
            ruling.by().iter().map(|reason| HeldBy { rule: reason.rule.to_string(), because: reason.because.clone() }).collect();
        self.reviews = self.reviews.saturating_add(1);
        self.waiting = Some(Waiting {
            number: self.reviews,
            digest: of_today.digest,
            since: of_today.received,
            level: self.level,
            intended: None,
            by,
            items: Vec::new(),
        });
        let urgent = self.level.is_significant_harm_or_above();
        let mut effects = vec![Effect::AskPerson(Question::Review { urgent, rules: vec!["RA-07".to_owned()] })];
        effects.push(Effect::TellSender(News::Held(Box::new(Routing::of(&ruling, rules)))));
        Step { case: Some(self), effects, ruling: Some(Box::new(ruling)), surprise: None }
    }

    /// It is told to the sender and asked of a person, and tried again once it is connected.
    pub(super) fn cannot_reach(&mut self, to: &Endpoint) -> [Effect; 2] {
        if !self.not_connected.contains(to) {
            self.not_connected.push(to.clone());
        }
        let urgent = self.level.is_significant_harm_or_above();
        [Effect::TellSender(News::NotConnected(to.clone())), Effect::AskPerson(Question::NotConnected { to: to.clone(), urgent })]
    }
}
