//! The ruling under which an authority hands a referral on: to another authority, or to a service.
//!
//! Who is responsible a person at the authority has settled; what anybody may read of it the same tables rule as
//! always. A handover widens nothing.

use std::sync::Arc;

use super::review::{Choice, Lift};
use super::table::{Evidence, Reason};
use super::{ClockStart, Decision, Role, Rulebook, Ruling, View, own_reason};
use crate::Endpoint;
use crate::case::Clock;
use crate::identifiers::GssCode;
use crate::submission::Referral;

impl Rulebook {
    /// The ruling on `referral` while `responsible` answers for it, which says that those in `others` receive too, each
    /// what it may have.
    pub fn rule_handed_on(&self, referral: &Referral, responsible: &Endpoint, others: &[Endpoint]) -> Ruling {
        self.rule_while_with(referral, responsible, others, handed_on())
    }

    /// The ruling on a referral that `responsible` has, for those in `others` who could not be reached until now. Its
    /// clocks are those that run: no new ones.
    pub fn rule_connected(&self, referral: &Referral, responsible: &Endpoint, others: &[Endpoint], running: &[Clock]) -> Ruling {
        self.rule_while_with(referral, responsible, others, connected()).with_the_clocks(running, &connected())
    }

    /// The ruling on a referral whose authority has ended, for `successor`, which answers for the child now (RA-07) and
    /// has the clocks that run: no new ones (P8).
    pub fn rule_succeeded(&self, referral: &Referral, successor: &Endpoint, running: &[Clock]) -> Ruling {
        self.rule_while_with(referral, successor, &[], succeeded()).with_the_clocks(running, &succeeded())
    }

    /// The same where neither the register nor the child's places tell which authority follows: a person does.
    pub fn rule_without_successor(&self, referral: &Referral) -> Ruling {
        let ruling = self.rule(referral, &[]);
        Ruling {
            decision: Decision::HoldForReview { intended: None },
            by: vec![without_successor()],
            redirected_from: None,
            not_told: Vec::new(),
            views: Vec::new(),
            notified_by: Vec::new(),
            clocks: Vec::new(),
            flags: Vec::new(),
            bases: Vec::new(),
            ..ruling
        }
    }

    /// Who is responsible is settled, and `why` says how; nobody reviewed anything.
    fn rule_while_with(&self, referral: &Referral, responsible: &Endpoint, others: &[Endpoint], why: Arc<Reason>) -> Ruling {
        let choice = Choice::Redirect { to: responsible.clone() };
        let mut ruling = self.rule_reviewed(referral, others, None, &choice);
        let reviewed = Lift::Whole(&choice).reason();
        ruling.by.iter_mut().filter(|reason| reason.rule == reviewed.rule).for_each(|reason| *reason = why.clone());
        ruling
    }

    /// The ruling on a referral that another authority took over: a change to it does not give it back (RA-02).
    pub fn rule_taken_over(&self, referral: &Referral, earlier: &[Endpoint], by: &GssCode) -> Ruling {
        self.rule_with(referral, earlier, Some(by), None)
    }
}

pub(super) fn taken_over() -> Arc<Reason> {
    let because = "Another authority explicitly took it over, so that one answers for the child, whatever changes";
    own_reason("RA-02", because, "Local inter-authority procedures", Evidence::Verified)
}

fn handed_on() -> Arc<Reason> {
    let because = "The authority that answers for the child said who receives it; it stays responsible until another accepts";
    own_reason("RA-02", because, "Local inter-authority procedures", Evidence::Verified)
}

fn connected() -> Arc<Reason> {
    let because = "It is with the authority that answers for the child; whoever could not be reached then is connected now";
    own_reason("RA-01", because, "product convention", Evidence::Convention)
}

fn succeeded() -> Arc<Reason> {
    let because = "The authority that had it has ended, and this one follows it for the child's place; open clocks pass to it";
    own_reason("RA-07", because, "Children Act 2004 s65; reorganisation orders", Evidence::Verified)
}

fn without_successor() -> Arc<Reason> {
    let because = "The authority that had it has ended, and neither the register nor the child's places say who follows it: \
                   redirect it to the authority that answers for the child now";
    own_reason("RA-07", because, "Children Act 2004 s65; reorganisation orders", Evidence::Verified)
}

impl Ruling {
    fn with_the_clocks(self, running: &[Clock], by: &Arc<Reason>) -> Ruling {
        let as_it_runs = |&Clock { name, due, ends_with, .. }: &Clock| ClockStart { name, due, ends_with, by: by.clone() };
        Ruling { clocks: running.iter().map(as_it_runs).collect(), ..self }
    }

    /// What `to` may have of it, as one who is told.
    pub(crate) fn told(&self, to: &Endpoint) -> Option<View> {
        let view = self.views.iter().find(|view| view.to == *to)?;
        let role = if view.role == Role::Responsible { Role::Responsible } else { Role::Notified };
        Some(View { role, ..view.clone() })
    }
}
