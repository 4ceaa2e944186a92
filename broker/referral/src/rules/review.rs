//! What a person decides about a referral that the rules put before a person (TC-09, TC-12).
//!
//! A person can lift a hold, say where it goes, or give it back; the ruling that follows is made by the same
//! tables as any other. A person never widens what a recipient may have, and never lifts a refusal (HR-08).

use std::sync::Arc;

use super::pack::Hold;
use super::table::{Evidence, Reason, Row};
use super::{Decision, Rulebook, Ruling, own_reason};
use crate::identifiers::GssCode;
use crate::submission::{Practitioner, Referral};
use crate::{Endpoint, Sealed};

/// Who looks: the person, and the certificate under which they came.
#[derive(Clone, Debug, PartialEq)]
pub struct Reviewer {
    /// The named person.
    pub person: Practitioner,
    /// The common name of the operator's certificate. It can hold a person's name, so it is sealed.
    pub certificate: Sealed<String>,
}

/// What a named person decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    /// Who decides.
    pub by: Reviewer,
    /// Why. The sender reads it when the referral comes back.
    pub reason: Sealed<String>,
    /// Which of the case's reviews this is, from 1: nobody decides about what they have not seen.
    pub number: u32,
    /// What is to happen.
    pub choice: Choice,
}

/// What a person can choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It goes on as the rules intended; where single items wait, those go.
    Release,
    /// It goes to this endpoint.
    Redirect {
        /// The endpoint that answers for the child.
        to: Endpoint,
    },
    /// It goes back to the sender; where single items wait, those stay withheld.
    Return,
}

/// What a person lifted, as a ruling sees it.
#[derive(Clone, Copy)]
pub(super) enum Lift<'a> {
    /// The hold on the whole.
    Whole(&'a Choice),
    /// What was withheld until a person has looked, from a referral that went to this desk.
    Items(&'a Endpoint),
}

impl<'a> Lift<'a> {
    /// The desk that is responsible whatever the rules say: named by a person, or the one that has it.
    pub(super) fn target(self) -> Option<&'a Endpoint> {
        match self {
            Lift::Whole(Choice::Redirect { to }) => Some(to),
            Lift::Whole(Choice::Release | Choice::Return) => None,
            Lift::Items(responsible) => Some(responsible),
        }
    }

    /// Whether an item that waited for a person goes.
    pub(super) fn lifts_items(self) -> bool {
        match self {
            Lift::Whole(_) => false,
            Lift::Items(_) => true,
        }
    }

    pub(super) fn reason(self) -> Arc<Reason> {
        let because = match self {
            Lift::Whole(Choice::Release) => "A named person looked at what the rules had held, and released it",
            Lift::Whole(Choice::Redirect { .. }) => "A named person looked at what the rules had held, and decided where it goes",
            Lift::Whole(Choice::Return) => "A named person looked at what the rules had held, and gave it back to the sender",
            Lift::Items(_) => "A named person looked at what the rules had withheld until then, and handed it over",
        };
        own_reason("TC-09", because, "Data (Use and Access) Act 2025 s80", Evidence::Verified)
    }

    /// What is to happen once the review is lifted. What is refused stays refused.
    pub(super) fn decision(self, to: Option<Endpoint>, holds: &[&Row<Hold>]) -> Decision {
        let any = |hold: Hold| holds.iter().any(|row| row.outcome == hold);
        if any(Hold::Refuse) {
            return Decision::Refuse;
        }
        match (self, to) {
            (Lift::Whole(Choice::Return), _) => Decision::ReturnToSender,
            (Lift::Whole(Choice::Release), _) if any(Hold::ReturnToSender) => Decision::ReturnToSender,
            (Lift::Whole(Choice::Release | Choice::Redirect { .. }) | Lift::Items(_), Some(to)) => Decision::Deliver { to },
            (Lift::Whole(Choice::Release | Choice::Redirect { .. }) | Lift::Items(_), None) => {
                Decision::HoldForReview { intended: None }
            }
        }
    }
}

impl Rulebook {
    /// The ruling on `referral` once a person chose. Minimisation, bases and clocks are those of any ruling; where
    /// neither the rules nor the person name anybody, it is held still.
    pub fn rule_reviewed(
        &self,
        referral: &Referral,
        earlier: &[Endpoint],
        taken_over: Option<&GssCode>,
        choice: &Choice,
    ) -> Ruling {
        let lift = Lift::Whole(choice);
        let mut ruling = self.rule_with(referral, earlier, taken_over, Some(lift));
        // Without a matrix nobody may have anything; giving it back discloses nothing.
        if ruling.pack.is_none() && *choice == Choice::Return {
            ruling.decision = Decision::ReturnToSender;
            ruling.by.push(lift.reason());
        }
        ruling
    }

    /// The ruling on a referral that `responsible` has, once a person handed over what was withheld until then. An
    /// item for which no basis stands in the pack stays withheld: nothing leaves without one.
    pub fn rule_items_reviewed(&self, referral: &Referral, earlier: &[Endpoint], responsible: &Endpoint) -> Ruling {
        self.rule_with(referral, earlier, None, Some(Lift::Items(responsible)))
    }
}
