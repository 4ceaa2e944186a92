//! What came of a case, as its recipients and its sender saw it: from the queues, and from the status that the sender
//! asks for. Nothing here asks the core.

use std::collections::BTreeSet;

use proto::wire::common::v1 as common;
use proto::wire::common::v1::progress_entry::Step;
use proto::wire::common::v1::{Extent, RecipientRole, Stage};
use proto::wire::delivery::v1::{Delivery, Matter};
use proto::words::Word as _;
use referral::vocab::Category;
use referral::{Endpoint, Moment};
use router::cases::{Became, Observed, Started, Told};

use crate::queues::AtQueue;

/// What is known of one child's referral.
pub struct Referral {
    /// How its sender says that it stands.
    pub status: common::ReferralStatus,
    /// What lay on the queues about it.
    pub came: Vec<AtQueue>,
}

impl Referral {
    /// The deliveries with content, the newest of each recipient: what it acts on.
    fn newest(&self) -> Vec<&AtQueue> {
        let with_content = || self.came.iter().filter(|(_, delivery)| has_content(delivery));
        let is_newest = |(owner, delivery): &&AtQueue| {
            with_content().all(|(other, known)| other != owner || known.sequence <= delivery.sequence)
        };
        with_content().filter(is_newest).collect()
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        self.status.ladder.iter().filter_map(|entry| entry.step.as_ref())
    }

    fn routed(&self) -> Option<&common::Routed> {
        self.steps().filter_map(|step| if let Step::Routed(routed) = step { Some(routed) } else { None }).last()
    }

    fn held(&self) -> Option<&common::Held> {
        self.steps().filter_map(|step| if let Step::Held(held) = step { Some(held) } else { None }).last()
    }

    /// Those whom the sender is told of and who have no queue: a household, which the authority reaches itself.
    fn without_a_queue(&self) -> impl Iterator<Item = (Endpoint, &common::RoutedRecipient)> {
        let has_none: BTreeSet<&str> = self
            .steps()
            .filter_map(|step| if let Step::NotConnected(to) = step { Some(to.endpoint.as_str()) } else { None })
            .collect();
        let recipients = self.routed().map(|routed| routed.recipients.as_slice()).unwrap_or_default();
        recipients
            .iter()
            .filter(move |told| has_none.contains(told.endpoint.as_str()))
            .map(|told| (endpoint(&told.endpoint), told))
    }

    fn became(&self) -> Became {
        match self.status.stage() {
            Stage::ReturnedToSender | Stage::Refused => Became::Returned,
            Stage::Held => {
                let intended = self.held().map(|held| held.intended.as_str()).filter(|intended| !intended.is_empty());
                Became::Held { intended: intended.map(endpoint) }
            }
            _ => {
                let by_queue = self.newest().into_iter().find(|(_, delivery)| delivery.role() == RecipientRole::Responsible);
                let by_status = || self.without_a_queue().find(|(_, told)| told.role() == RecipientRole::Responsible);
                let to = by_queue.map(|(owner, _)| owner.clone()).or_else(|| by_status().map(|(to, _)| to));
                Became::Delivered { to: to.expect("somebody answers for what was delivered") }
            }
        }
    }

    fn told(&self) -> Vec<Told> {
        let recipients = self.routed().map(|routed| routed.recipients.as_slice()).unwrap_or_default();
        let at_queues = self.newest().into_iter().map(|(owner, delivery)| {
            let shown = recipients.iter().filter(|told| told.endpoint == owner.to_string()).flat_map(|told| &told.withheld);
            let given = delivery.items.iter().map(|item| category(item.category));
            told_of(owner.clone(), given, delivery.withheld.iter().chain(shown))
        });
        let without = self.without_a_queue().map(|(to, told)| {
            let given = told.given.iter().map(|given| category(given.category));
            told_of(to, given, told.withheld.iter())
        });
        at_queues.chain(without).collect()
    }

    /// In which law it was disclosed, and that of what was withheld was weighed (LB-11): the second the sender reads in
    /// words.
    fn bases(&self) -> impl Iterator<Item = String> {
        let at_queues = self.newest().into_iter().flat_map(|(_, delivery)| delivery.bases.clone());
        let sentences = self.routed().map(|routed| routed.sentences.as_slice()).unwrap_or_default();
        let basis = |text: &str| Some(text.strip_prefix("Lawful basis ")?.split_once(": ")?.0.to_owned());
        let in_words = sentences.iter().filter_map(move |sentence| basis(&sentence.text));
        at_queues.chain(self.without_a_queue().flat_map(|(_, told)| told.bases.clone())).chain(in_words)
    }

    /// The clocks, as whoever answers for the child reads them, or as the sender is told where nobody can be handed them.
    fn clocks(&self) -> Vec<Started> {
        let responsible = self.newest().into_iter().find(|(_, delivery)| delivery.role() == RecipientRole::Responsible);
        let routed = || self.routed().map(|routed| routed.clocks.as_slice()).unwrap_or_default();
        responsible.map_or_else(routed, |(_, delivery)| &delivery.clocks).iter().map(started).collect()
    }

    fn flags(&self) -> BTreeSet<String> {
        let shown = self.routed().map(|routed| &routed.flags).or(self.held().map(|held| &held.flags));
        let read = self.newest().into_iter().flat_map(|(_, delivery)| &delivery.flags);
        read.chain(shown.into_iter().flatten()).cloned().collect()
    }

    fn is_redirected(&self) -> bool {
        let sentences = self.routed().map(|routed| routed.sentences.as_slice()).unwrap_or_default();
        sentences.iter().any(|sentence| sentence.text.starts_with("The sender had addressed it to "))
    }

    /// Where the sender is told something else than what lies on the queues.
    pub fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (owner, delivery) in &self.came {
            if delivery.recipient != owner.to_string() {
                found.push(format!("what was made for {} lay on the queue of {owner}", delivery.recipient));
            }
        }
        // Of whoever reads what comes back the sender is told nothing (DM-09).
        let Some(routed) = self.routed() else { return found };
        let at_queues: BTreeSet<String> = self.newest().into_iter().map(|(owner, _)| owner.to_string()).collect();
        let without: BTreeSet<String> = self.without_a_queue().map(|(to, _)| to.to_string()).collect();
        let told: BTreeSet<String> = routed.recipients.iter().map(|told| told.endpoint.clone()).collect();
        if told != at_queues.union(&without).cloned().collect() {
            found.push(format!("the sender is told of {told:?}, and it lay on the queues of {at_queues:?}"));
        }
        for (owner, delivery) in self.newest() {
            let told = routed.recipients.iter().filter(|told| told.endpoint == owner.to_string());
            let told: BTreeSet<Category> = told.flat_map(|told| &told.given).map(|given| category(given.category)).collect();
            let lay: BTreeSet<Category> = delivery.items.iter().map(|item| category(item.category)).collect();
            if told != lay {
                found.push(format!("the sender is told that {owner} is given {told:?}, and its queue held {lay:?}"));
            }
        }
        let running: BTreeSet<&str> =
            self.status.clocks.iter().filter_map(|status| status.clock.as_ref()).map(|clock| clock.name.as_str()).collect();
        let read = self.clocks();
        let read: BTreeSet<&str> = read.iter().map(|clock| clock.name.as_str()).collect();
        if running != read {
            found.push(format!("the sender sees the clocks {running:?}, and whoever answers reads {read:?}"));
        }
        found
    }
}

/// What came of a case: `referrals`, one a child, and whom its sender had asked to be told.
pub fn observed(referrals: &[Referral], asked_to_tell: &[Endpoint]) -> Observed {
    let first = referrals.first().expect("a case has a child");
    let became = first.became();
    let told: Vec<Told> = referrals.iter().flat_map(Referral::told).collect();
    let is_told = |asked: &&Endpoint| told.iter().any(|told| told.to == **asked);
    let is_delivered = matches!(became, Became::Delivered { .. });
    let not_told = asked_to_tell.iter().filter(|asked| is_delivered && !is_told(asked)).cloned().collect();
    Observed {
        became,
        received: first.status.received.as_ref().and_then(proto::read::moment).expect("when it was received"),
        is_redirected: first.is_redirected(),
        not_told,
        told,
        bases: referrals.iter().flat_map(Referral::bases).collect(),
        clocks: first.clocks(),
        flags: first.flags(),
    }
}

/// What came of a message that changed nothing, or that its door turned away at `received`.
pub fn nothing(became: Became, received: Moment) -> Observed {
    Observed {
        became,
        received,
        is_redirected: false,
        not_told: BTreeSet::new(),
        told: Vec::new(),
        bases: BTreeSet::new(),
        clocks: Vec::new(),
        flags: BTreeSet::new(),
    }
}

/// Whether everything that is owed about a referral lies on a queue, as far as its sender is told: `versions` of it
/// were ruled on.
pub fn is_settled(status: &common::ReferralStatus, versions: usize) -> bool {
    let is_ruled = |entry: &&common::ProgressEntry| {
        matches!(entry.step, Some(Step::Routed(_) | Step::Held(_) | Step::ReturnedToSender(_) | Step::Refused(_)))
    };
    let without = |endpoint: &str| {
        let is_it =
            |entry: &common::ProgressEntry| matches!(&entry.step, Some(Step::NotConnected(to)) if to.endpoint == endpoint);
        status.ladder.iter().any(is_it)
    };
    let delivered = |recipient: &common::RecipientStatus| {
        let entries = status.ladder.iter();
        let times = entries.filter(|entry| matches!(&entry.step, Some(Step::Delivered(to)) if to.endpoint == recipient.endpoint));
        times.count() >= versions || without(&recipient.endpoint)
    };
    status.ladder.iter().filter(is_ruled).count() >= versions && status.recipients.iter().all(delivered)
}

fn has_content(delivery: &Delivery) -> bool {
    match delivery.matter() {
        Matter::Referral
        | Matter::Amendment
        | Matter::Correction
        | Matter::ConsentWithdrawn
        | Matter::TransferOffer
        | Matter::ReferredOn => true,
        Matter::Unspecified
        | Matter::Withdrawal
        | Matter::ClockBreached
        | Matter::TransferAccepted
        | Matter::TransferRefused
        | Matter::PassedToSuccessor
        | Matter::TransferWithdrawn
        | Matter::NotReferredOn
        | Matter::HandlingLifted
        | Matter::Disagreement => false,
    }
}

/// A form adds pieces of its own to a category, such as an incident's number to what happened: kept is a category of
/// which nothing at all is given.
fn told_of<'a>(
    to: Endpoint,
    given: impl Iterator<Item = Category>,
    withheld: impl Iterator<Item = &'a common::Withheld>,
) -> Told {
    let given: BTreeSet<Category> = given.collect();
    let is_nothing = |withheld: &&common::Withheld| matches!(withheld.given(), Extent::Nothing | Extent::Review);
    let kept = withheld.filter(is_nothing).map(|withheld| category(withheld.category));
    let kept = kept.filter(|category| !given.contains(category)).collect();
    Told { to, given, kept }
}

fn started(clock: &common::Clock) -> Started {
    Started {
        name: clock.name.clone(),
        date: clock.due_date.parse().ok(),
        by: clock.due.as_ref().and_then(proto::read::moment).expect("when it is due"),
    }
}

fn category(number: i32) -> Category {
    Category::of(number).expect("a category of this edition")
}

fn endpoint(text: &str) -> Endpoint {
    Endpoint::parse(text).expect("an endpoint")
}
