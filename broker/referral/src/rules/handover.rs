//! The ruling under which an authority hands a referral on: to another authority, or to a service.
//!
//! Who is responsible a person at the authority has settled; what anybody may read of it the same tables rule as
//! always. A handover widens nothing.

use std::sync::Arc;

use super::review::{Choice, Lift};
use super::table::{Evidence, Reason};
use super::{Role, Rulebook, Ruling, View, own_reason};
use crate::Endpoint;
use crate::identifiers::GssCode;
use crate::submission::Referral;

impl Rulebook {
    /// The ruling on `referral` while `responsible` answers for it. Those in `others` receive too, each what it may
    /// have.
    pub fn rule_handed_on(&self, referral: &Referral, responsible: &Endpoint, others: &[Endpoint]) -> Ruling {
        let choice = Choice::Redirect { to: responsible.clone() };
        let mut ruling = self.rule_reviewed(referral, others, None, &choice);
        // Nobody reviewed anything: an authority that answers for the child said where it goes.
        let reviewed = Lift::Whole(&choice).reason();
        ruling.by.iter_mut().filter(|reason| reason.rule == reviewed.rule).for_each(|reason| *reason = handed_on());
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

impl Ruling {
    /// What `to` may have of it, as one who is told.
    pub(crate) fn told(&self, to: &Endpoint) -> Option<View> {
        let view = self.views.iter().find(|view| view.to == *to)?;
        let role = if view.role == Role::Responsible { Role::Responsible } else { Role::Notified };
        Some(View { role, ..view.clone() })
    }
}
