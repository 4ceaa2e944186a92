//! A case looked at again because the directory answers otherwise than it did: the authority that had it ended and
//! others follow it (RA-07, P8), or somebody whom it could not reach is connected by now.

use jiff::civil::Date;

use super::*;
use crate::directory::Directory;

impl Case {
    /// Whether the directory answers otherwise than it did, so that looking again would change something.
    pub fn wants_another_look(&self, today: Date, directory: &Directory) -> bool {
        let goes_on = match &self.standing {
            // What was about something voluntary, and was withdrawn or agreed to no longer, goes nowhere any more (TC-11).
            Standing::With { .. } | Standing::Held { .. } if self.withdrawn || self.consent_withdrawn => {
                self.level.is_significant_harm_or_above()
            }
            // What was decided is not told anew to anybody because its sender has not fetched that yet.
            Standing::With { .. } | Standing::Held { .. } => !self.has_ended() || self.wake_at().is_some(),
            Standing::Returned | Standing::Refused => false,
        };
        goes_on
            && (self.is_outlived(today, directory)
                || self.is_offered_to_nobody(today, directory)
                || self.is_cut_off(directory)
                || !self.now_reached(directory).is_empty())
    }

    /// The authority that has it has ended. What waits for a person about it already needs no other look.
    fn is_outlived(&self, today: Date, directory: &Directory) -> bool {
        let Some(gss) = self.standing.responsible().and_then(Endpoint::authority) else { return false };
        directory.register().has_ended(gss, today) && self.waiting.as_ref().is_none_or(|waiting| !waiting.items.is_empty())
    }

    /// The authority that was asked to take it over has ended, and cannot answer any more.
    fn is_offered_to_nobody(&self, today: Date, directory: &Directory) -> bool {
        let offered = self.transfer.as_ref().and_then(|transfer| transfer.to.authority());
        offered.is_some_and(|gss| directory.register().has_ended(gss, today))
    }

    /// Whoever answers for the child is connected no longer, and nobody there has said that they have it.
    fn is_cut_off(&self, directory: &Directory) -> bool {
        let Some(responsible) = self.standing.responsible() else { return false };
        let own = self.recipients.iter().filter(|recipient| recipient.to == *responsible);
        let is_acknowledged = own.flat_map(|recipient| &recipient.deliveries).any(|delivery| delivery.rung >= Rung::Acknowledged);
        directory.party(responsible).is_none() && !self.not_connected.contains(responsible) && !is_acknowledged
    }

    /// Who can be reached now and could not; and whoever answers for the child, where its inbox is another's now.
    fn now_reached(&self, directory: &Directory) -> Vec<Endpoint> {
        let connected = self.not_connected.iter().filter(|to| directory.party(to).is_some());
        let moved = self.standing.responsible().filter(|to| self.is_read_elsewhere(to, directory));
        connected.chain(moved).cloned().collect()
    }

    fn is_read_elsewhere(&self, to: &Endpoint, directory: &Directory) -> bool {
        let own = self.recipients.iter().filter(|recipient| recipient.to == *to);
        let last = own.flat_map(|recipient| &recipient.deliveries).rfind(|delivery| delivery.matter.has_content());
        let went_elsewhere = |last: &Delivered| last.read_by.as_ref().unwrap_or(to) != directory.inbox(to);
        directory.party(to).is_some() && !self.not_connected.contains(to) && last.is_some_and(went_elsewhere)
    }

    pub(super) fn look_again(self, referral: Option<&Referral>, now: Moment, rules: &Rulebook) -> Step {
        let today = london_date(now);
        if !self.wants_another_look(today, &rules.directory) {
            return Step::surprise(Some(self), Surprise::NothingDue);
        }
        let Some(referral) = referral.map(|referral| self.as_it_stands(referral)) else {
            return Step::surprise(Some(self), Surprise::ContentErased);
        };
        if !self.is_outlived(today, &rules.directory) {
            return self.catch_up(&referral, today, rules);
        }
        // What it is today, by the register of today.
        let of_today = Referral { received: now, ..referral.clone() };
        match self.successor(&of_today, today, rules) {
            Some(to) => self.pass_on(to, &referral, &of_today, rules),
            None => self.ask_who_follows(&of_today, rules),
        }
    }

    /// Those who could not be reached get what they would have had, and what nobody can answer any more is ended.
    fn catch_up(mut self, referral: &Referral, today: Date, rules: &Rulebook) -> Step {
        let mut effects = Vec::new();
        if self.is_offered_to_nobody(today, &rules.directory)
            && let Some(Transfer { to, from, .. }) = self.transfer.take()
        {
            self.end_offer(ClockState::Stopped);
            let text = format!("{} has ended, so it cannot take this over. It stays with you.", name_of(&to, &rules.directory));
            if rules.directory.party(&from).is_some() {
                effects.push(self.notice(&from, Role::Responsible, Matter::TransferRefused, text, None));
            }
            effects.push(Effect::TellSender(News::TransferRefused { from, to }));
        }
        if self.is_cut_off(&rules.directory)
            && let Some(responsible) = self.standing.responsible().cloned()
        {
            effects.extend(self.cannot_reach(&responsible));
        }
        let reached = self.now_reached(&rules.directory);
        // A new reader of an inbox has seen nothing of it.
        let is_new_there: Vec<bool> = reached.iter().map(|to| self.is_read_elsewhere(to, &rules.directory)).collect();
        if reached.is_empty() {
            return Step::changed(self, effects);
        }
        self.not_connected.retain(|to| !reached.contains(to));
        let had_content = self.had_content();
        // Where it stands a person may have settled, so that is not asked again.
        let ruling = match &self.standing {
            Standing::With { responsible } => {
                let others = reached.iter().filter(|to| *to != responsible).chain(&had_content).cloned();
                rules.rule_connected(&self.as_ruled(referral), responsible, &others.collect::<Vec<_>>(), &self.running())
            }
            Standing::Held { .. } | Standing::Returned | Standing::Refused => self.rule(referral, rules),
        };
        for (to, is_new_there) in reached.iter().zip(is_new_there) {
            let Some(view) = ruling.told(to) else { continue };
            let matter = if had_content.contains(to) && !is_new_there { Matter::Amendment } else { Matter::Referral };
            effects.extend(self.give(&view, &ruling, referral, matter, rules));
        }
        Step { case: Some(self), effects, ruling: Some(Box::new(ruling)), surprise: None }
    }

    /// What somebody is given late, and that its sender took it back since, if so.
    fn give(&mut self, view: &View, ruling: &Ruling, referral: &Referral, matter: Matter, rules: &Rulebook) -> Vec<Effect> {
        let delivery = self.owe(view.to(), view.role(), matter);
        let given = Disclosure::under(ruling, view, referral, delivery, matter, &rules.directory);
        let given = if view.role() == Role::Responsible { given.with_status(self.status) } else { given };
        let mut effects = vec![Effect::Deliver(Box::new(given))];
        if self.withdrawn {
            effects.push(self.notice(view.to(), view.role(), Matter::Withdrawal, self.words_of_withdrawal().to_owned(), None));
        }
        effects
    }

    fn running(&self) -> Vec<Clock> {
        self.clocks.iter().filter(|clock| clock.state == ClockState::Running).copied().collect()
    }

    /// The desk that follows the one that answers for the child; none where a person has to say which.
    fn successor(&self, of_today: &Referral, today: Date, rules: &Rulebook) -> Option<Endpoint> {
        let Some(Endpoint::Authority(gss, desk)) = self.standing.responsible() else { return None };
        let ruling = self.rule(of_today, rules);
        let by_rules = match ruling.decision() {
            Decision::Deliver { to } => Some(to),
            Decision::HoldForReview { intended } => intended.as_ref(),
            Decision::ReturnToSender | Decision::Refuse => None,
        };
        let follow = rules.directory.register().candidates(gss, today);
        let is_one = |gss: &GssCode| follow.iter().any(|authority| authority.gss == *gss);
        let by_place = by_rules.and_then(Endpoint::authority).filter(|by_place| is_one(by_place));
        let follows = match follow.as_slice() {
            [only] => &only.gss,
            // Several follow it, and the child's places say which of them.
            [] | [_, _, ..] => by_place?,
        };
        let desk = match (desk, by_rules) {
            // What the night team had is the other's by night, and the front door's by day (RA-20).
            (Desk::EmergencyDutyTeam, Some(Endpoint::Authority(gss, by_rules))) if gss == follows => *by_rules,
            (Desk::EmergencyDutyTeam, _) => Desk::FrontDoor,
            (other, _) => *other,
        };
        Some(Endpoint::Authority(follows.clone(), desk))
    }

    /// The successor answers for the child from now on, with the clocks as they run and what was decided.
    fn pass_on(mut self, to: Endpoint, referral: &Referral, of_today: &Referral, rules: &Rulebook) -> Step {
        let Some(from) = self.standing.responsible().cloned() else {
            return Step::surprise(Some(self), Surprise::NothingDue);
        };
        let is_before = |recipient: &&mut Recipient| recipient.to.authority() == from.authority();
        self.recipients.iter_mut().filter(is_before).for_each(|recipient| recipient.role = Role::Notified);
        self.standing = Standing::With { responsible: to.clone() };
        self.taken_over = self.taken_over.take().and(to.authority().cloned());
        self.not_connected.retain(|other| other.authority() != from.authority());
        let mut effects = vec![Effect::TellSender(News::PassedToSuccessor { from: from.clone(), to: to.clone() })];
        // What an authority offered that is no more, nobody can accept from it.
        if let Some(Transfer { to: asked, .. }) = self.transfer.take() {
            self.end_offer(ClockState::Stopped);
            if rules.directory.party(&asked).is_some() {
                let text = format!("{} has ended. Nothing is asked of you any more.", name_of(&from, &rules.directory));
                effects.push(self.notice(&asked, Role::Notified, Matter::TransferWithdrawn, text, None));
            }
            effects.push(Effect::TellSender(News::TransferWithdrawn { from: to.clone(), to: asked }));
        }
        // What waits for a person before it had it waits before its successor has it.
        let items = self.waiting.iter_mut().flat_map(|waiting| waiting.items.iter_mut());
        items.filter(|item| item.from == from).for_each(|item| item.from = to.clone());
        let ruling = rules.rule_succeeded(&self.as_ruled(of_today), &to, &self.running());
        match ruling.told(&to) {
            Some(view) if rules.directory.party(&to).is_some() => {
                effects.extend(self.give(&view, &ruling, referral, Matter::Referral, rules));
            }
            Some(_) | None => effects.extend(self.cannot_reach(&to)),
        }
        if rules.directory.party(&from).is_some() {
            let text = format!(
                "{} answers for this child from today, because {} has ended. The clocks that run are its own.",
                name_of(&to, &rules.directory),
                name_of(&from, &rules.directory)
            );
            effects.push(self.notice(&from, Role::Notified, Matter::PassedToSuccessor, text, None));
        }
        effects.extend(self.hand_on_disagreement(&from, rules));
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
