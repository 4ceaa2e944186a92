//! Which deliveries of a channel are in somebody's hands, and the fewest words that settle them.
//!
//! One acknowledgement can settle everything up to a tag ("multiple"). It is used only when all of that was
//! handed out and settled by its owner: a delivery that nobody has looked at is never acknowledged. Pure.

use std::collections::BTreeSet;

/// One acknowledgement to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) tag: u64,
    /// Settles every unsettled delivery up to the tag.
    pub(super) multiple: bool,
}

/// The deliveries of one channel. Tags start at 1 and are given out by the broker without gaps.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Every tag up to this one was handed out.
    handed_out_up_to: u64,
    /// Handed out, but after one that was not yet. Queues that share a channel are read in turn, so tags
    /// do not come in order.
    ahead: BTreeSet<u64>,
    /// Handed out and not settled.
    in_hand: BTreeSet<u64>,
}

impl Desk {
    /// Notes that somebody now holds this delivery.
    pub(super) fn hand_out(&mut self, tag: u64) {
        self.in_hand.insert(tag);
        self.ahead.insert(tag);
        while self.ahead.remove(&(self.handed_out_up_to + 1)) {
            self.handed_out_up_to += 1;
        }
    }

    /// Takes deliveries back as settled and says what to send, in order. Tags that nobody holds are left out.
    pub(super) fn settle(&mut self, tags: impl IntoIterator<Item = u64>) -> Vec<Ack> {
        let settled: BTreeSet<u64> = tags.into_iter().filter(|tag| self.in_hand.remove(tag)).collect();
        let lowest_in_hand = self.in_hand.first().copied().unwrap_or(u64::MAX);
        // The tag itself must be one that is settled now: RabbitMQ closes the channel over one it does not know.
        let covered = settled.iter().copied().rfind(|tag| *tag < lowest_in_hand && *tag <= self.handed_out_up_to);
        let rest = settled.iter().copied().filter(|tag| covered.is_none_or(|covered| *tag > covered));
        covered.map(|tag| Ack { tag, multiple: true }).into_iter().chain(rest.map(|tag| Ack { tag, multiple: false })).collect()
    }

    /// Takes one delivery back that is rejected or given back. False if nobody holds it.
    pub(super) fn release(&mut self, tag: u64) -> bool {
        self.in_hand.remove(&tag)
    }

    /// How many deliveries are in somebody's hands.
    pub(super) fn in_hand(&self) -> usize {
        self.in_hand.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ack(tag: u64, multiple: bool) -> Ack {
        Ack { tag, multiple }
    }

    #[test]
    fn a_whole_batch_is_settled_by_one_word() {
        let mut desk = Desk::default();
        (1..=5).for_each(|tag| desk.hand_out(tag));
        assert_eq!(desk.settle([3, 1, 2, 5, 4]), [ack(5, true)]);
    }

    #[test]
    fn what_is_still_in_hand_is_not_swept_up() {
        let mut desk = Desk::default();
        (1..=5).for_each(|tag| desk.hand_out(tag));
        assert_eq!(desk.settle([1, 2, 4]), [ack(2, true), ack(4, false)]);
        assert_eq!(desk.settle([3, 5]), [ack(5, true)]);
    }

    #[test]
    fn what_was_never_handed_out_is_not_swept_up() {
        let mut desk = Desk::default();
        desk.hand_out(1);
        desk.hand_out(3);
        assert_eq!(desk.settle([1, 3]), [ack(1, true), ack(3, false)]);
    }

    #[test]
    fn a_tag_is_settled_once() {
        let mut desk = Desk::default();
        desk.hand_out(1);
        assert_eq!(desk.settle([1, 1]), [ack(1, true)]);
        assert_eq!(desk.settle([1]), []);
        assert!(!desk.release(1));
    }

    proptest! {
        /// A broker that does what it is told ends with exactly the deliveries acknowledged that were settled,
        /// and is never told a tag that it does not know.
        #[test]
        fn exactly_what_is_settled_is_acknowledged(
            deliveries in Just((1..=40_u64).collect::<Vec<_>>()).prop_shuffle(),
            steps in proptest::collection::vec((0..6_usize, proptest::collection::vec(1..=40_u64, 0..8)), 1..20),
        ) {
            let mut desk = Desk::default();
            let mut handed_out = BTreeSet::new();
            let mut settled = BTreeSet::new();
            let mut at_broker: BTreeSet<u64> = (1..=40).collect();
            let mut deliveries = deliveries.into_iter();
            for (take, settle) in steps {
                for tag in deliveries.by_ref().take(take) {
                    desk.hand_out(tag);
                    handed_out.insert(tag);
                }
                for ack in desk.settle(settle.iter().copied()) {
                    prop_assert!(at_broker.contains(&ack.tag), "told twice of {}", ack.tag);
                    if ack.multiple {
                        at_broker = at_broker.split_off(&(ack.tag + 1));
                    } else {
                        at_broker.remove(&ack.tag);
                    }
                }
                settled.extend(settle.into_iter().filter(|tag| handed_out.contains(tag)));
                let acknowledged: BTreeSet<u64> = (1..=40).filter(|tag| !at_broker.contains(tag)).collect();
                prop_assert_eq!(&acknowledged, &settled);
            }
            prop_assert_eq!(desk.in_hand(), handed_out.len() - settled.len());
        }
    }
}
