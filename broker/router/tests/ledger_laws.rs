//! The laws every ledger keeps. Each is written once and held against every ledger there is; a new
//! one is put under them with a `Home` to live in and one line in `laws!`.

mod ledger_support;

use std::collections::BTreeMap;

use ledger_support::*;
use proptest::prelude::*;
use router::record::log::{Checkpoint, Proof, digest};
use router::record::memory::{Fate, MemoryLedger, Write};
use router::record::sqlite::SqliteLedger;
use router::record::{
    Commit, Committed, Counts, Delivery, Erased, Erasure, Kind, Ledger, LedgerError, Note, Progress, Quarantined, Refusal,
    Stored, Version, Waiting, WaitingCounts, key,
};
use uuid::Uuid;

macro_rules! laws {
    ($($law:ident)*) => {
        laws! { @each memory InMemory::new() ; $($law)* }
        laws! { @each sqlite InSqlite::new() ; $($law)* }
    };
    (@each $module:ident $home:expr ; $($law:ident)*) => {
        mod $module {
            use super::*;
            $(#[tokio::test] async fn $law() { super::$law($home).await; })*
        }
    };
}

laws! {
    a_case_is_read_back_as_it_was_written
    a_step_on_an_old_version_is_stale_and_leaves_nothing
    two_steps_of_one_referral_may_share_a_batch
    a_step_that_stands_on_a_stale_one_is_stale_whatever_the_version
    a_step_that_breaks_a_law_leaves_nothing_and_its_neighbours_stand
    what_is_owed_comes_in_the_order_it_was_recorded
    what_is_owed_is_covered_by_a_signed_checkpoint
    settling_twice_changes_nothing
    a_step_settles_what_it_says_was_delivered_or_nothing
    each_party_is_told_in_its_own_sequence_without_gaps
    a_party_is_told_about_one_referral_what_it_was_told_and_nothing_else
    a_case_is_woken_when_its_time_has_come_and_not_before
    a_party_sees_its_own_referrals_page_by_page
    what_is_not_finished_is_listed_page_by_page
    what_a_recipient_was_sent_is_listed_page_by_page_and_nothing_else
    content_is_kept_once_and_apart
    the_last_decision_can_be_read
    what_waits_for_a_person_is_listed_and_counted_until_it_does_not
    the_counts_are_right
    the_quarantine_keeps_a_message_once_until_it_is_released
    erasing_removes_the_content_and_leaves_a_leaf
    a_note_is_a_leaf_of_the_log_and_belongs_to_no_referral
    everything_is_there_after_opening_again
    many_at_once_are_all_recorded_and_all_in_order
}

async fn a_case_is_read_back_as_it_was_written(home: impl Home) {
    let ledger = home.open();
    assert_eq!(ledger.load(&[referral(1)]).await.unwrap(), [None]);
    recorded(commit_one(&ledger, step(referral(1), 0)).await);
    recorded(commit_one(&ledger, step(referral(1), 1)).await);
    recorded(commit_one(&ledger, step(referral(2), 0)).await);
    let stored = |version: u64| Some(Stored { version: Version(version), state: format!("state {version}").into() });
    let asked = [referral(2), referral(3), referral(1), referral(2)];
    assert_eq!(ledger.load(&asked).await.unwrap(), [stored(1), None, stored(2), stored(1)]);
}

/// Everything a ledger would tell. Two equal ones are the same to everybody.
async fn everything(ledger: &impl Ledger, referrals: &[Uuid]) -> String {
    let mut told = String::new();
    let mut say = |what: &dyn std::fmt::Debug| told.push_str(&format!("{what:?}\n"));
    for stored in ledger.load(referrals).await.unwrap() {
        say(&stored.map(|stored| (stored.version, stored.state)));
    }
    for owed in ledger.owed(None, 10_000).await.unwrap() {
        say(&(&*owed, &owed.body, &owed.headers, owed.proof().text()));
    }
    for referral in referrals {
        let decision = ledger.latest_record(*referral).await.unwrap();
        say(&decision.map(|decision| (decision.leaf, decision.kind, decision.at, decision.record)));
        for order in 0..20 {
            say(&ledger.find_delivery(delivery_id(*referral, order)).await.unwrap());
        }
        for expected in 0..10 {
            let id = digest(format!("narrative {expected} about Robin Example").as_bytes());
            say(&ledger.content(*referral, id).await.unwrap().map(|content| (content.kind, content.bytes)));
        }
    }
    for listed in ledger.waiting(0, 10_000).await.unwrap() {
        say(&(listed.number, listed.referral, listed.version, listed.state));
    }
    for party in ["school.100000", "school.200000"] {
        for told in ledger.progress(party, 0, 10_000).await.unwrap() {
            say(&(told.sequence, told.referral, told.at, told.body));
        }
        for listed in ledger.list(party, 0, 10_000).await.unwrap() {
            say(&(listed.number, listed.referral, listed.open, listed.version, listed.state));
        }
    }
    say(&ledger.counts().await.unwrap());
    say(&ledger.checkpoint().await.unwrap());
    say(&ledger.overdue(at(1_000_000), 10_000).await.unwrap());
    say(&ledger.next_wake().await.unwrap());
    say(&ledger.quarantined(0, 10_000).await.unwrap());
    told
}

async fn a_step_on_an_old_version_is_stale_and_leaves_nothing(home: impl Home) {
    let ledger = home.open();
    recorded(commit_one(&ledger, step(referral(1), 0)).await);
    recorded(commit_one(&ledger, step(referral(1), 1)).await);
    let before = everything(&ledger, &[referral(1)]).await;
    // The very same step again, one from the past, one from a future nobody decided on.
    let mut from_the_past = step(referral(1), 0);
    from_the_past.owed = vec![owed(referral(1), 90, "school.100000")];
    for late in [step(referral(1), 1), from_the_past, step(referral(1), 7), step(referral(2), 1)] {
        assert!(matches!(commit_one(&ledger, late).await, Committed::Stale));
    }
    assert_eq!(everything(&ledger, &[referral(1)]).await, before);
}

async fn a_step_that_stands_on_a_stale_one_is_stale_whatever_the_version(home: impl Home) {
    let ledger = home.open();
    recorded(commit_one(&ledger, step(referral(1), 0)).await);
    // Somebody else writes the referral after two further steps were decided on what it was before.
    recorded(commit_one(&ledger, closing(referral(1), 1)).await);
    let before = everything(&ledger, &[referral(1)]).await;
    let decided = vec![step(referral(1), 1), step(referral(1), 2)];
    let committed = ledger.commit(decided).await.unwrap();
    assert!(matches!(committed.as_slice(), [Committed::Stale, Committed::Stale]));
    assert_eq!(everything(&ledger, &[referral(1)]).await, before);
    // On its own it stands on what is there.
    recorded(commit_one(&ledger, step(referral(1), 2)).await);
}

async fn two_steps_of_one_referral_may_share_a_batch(home: impl Home) {
    let ledger = home.open();
    let batch = vec![step(referral(1), 0), step(referral(2), 0), step(referral(1), 1), step(referral(1), 1)];
    let committed = ledger.commit(batch).await.unwrap();
    assert!(matches!(
        committed.as_slice(),
        [
            Committed::Recorded { leaf: 0, .. },
            Committed::Recorded { leaf: 3, .. },
            Committed::Recorded { leaf: 6, .. },
            Committed::Stale
        ]
    ));
    assert_eq!(ledger.load(&[referral(1)]).await.unwrap().remove(0).unwrap().version, Version(2));
}

async fn a_step_that_breaks_a_law_leaves_nothing_and_its_neighbours_stand(home: impl Home) {
    let ledger = home.open();
    recorded(commit_one(&ledger, step(referral(1), 0)).await);
    let old = delivery_id(referral(1), 0);

    let mut repeats = step(referral(2), 0);
    repeats.owed[1].id = old;
    let mut repeats_itself = step(referral(3), 0);
    repeats_itself.owed[1].id = repeats_itself.owed[0].id;
    let mut lies = step(referral(4), 0);
    lies.owed[0].body.push(b'!');
    let mut strays = step(referral(5), 0);
    strays.owed[0].referral = referral(1);
    let batch = vec![step(referral(6), 0), repeats, repeats_itself, lies, strays, step(referral(7), 0)];

    let refusals: Vec<Option<Refusal>> = ledger
        .commit(batch)
        .await
        .unwrap()
        .into_iter()
        .map(|committed| match committed {
            Committed::Refused(refusal) => Some(refusal),
            committed => {
                recorded(committed);
                None
            }
        })
        .collect();
    assert_eq!(
        refusals,
        [
            None,
            Some(Refusal::DeliveryRepeated(old)),
            Some(Refusal::DeliveryRepeated(delivery_id(referral(3), 0))),
            Some(Refusal::DigestDiffers(delivery_id(referral(4), 0))),
            Some(Refusal::OfAnotherReferral(delivery_id(referral(5), 0))),
            None
        ]
    );
    let refused = [referral(2), referral(3), referral(4), referral(5)];
    assert_eq!(ledger.load(&refused).await.unwrap(), [None, None, None, None]);
    assert_eq!(ledger.counts().await.unwrap().leaves, 9);
    assert_eq!(ledger.progress("school.100000", 0, 100).await.unwrap().len(), 3);
}

async fn what_is_owed_comes_in_the_order_it_was_recorded(home: impl Home) {
    let ledger = home.open();
    let mut answered = Vec::new();
    for expected in 0..4 {
        for number in [3, 1, 2] {
            answered.extend(recorded(commit_one(&ledger, step(referral(number), expected)).await));
        }
    }
    let ids =
        |owed: &[router::record::Recorded<router::record::Owed>]| -> Vec<Uuid> { owed.iter().map(|owed| owed.id).collect() };
    let whole = ledger.owed(None, 1_000).await.unwrap();
    assert_eq!(ids(&whole), ids(&answered));
    // Page by page it is the same.
    let mut paged: Vec<Uuid> = Vec::new();
    let mut after = None;
    loop {
        let page = ledger.owed(after, 5).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.proof().index);
        paged.extend(ids(&page));
    }
    assert_eq!(paged, ids(&answered));
    // What comes back is what was answered, to the byte.
    for (answered, again) in answered.iter().zip(&whole) {
        assert_eq!(**answered, **again);
        assert_eq!(answered.proof().index, again.proof().index);
    }
}

async fn what_is_owed_is_covered_by_a_signed_checkpoint(home: impl Home) {
    let ledger = home.open();
    let key = public_key();
    for number in 0..12 {
        let batch = (0..=number % 3).map(|more| step(referral(number * 10 + more), 0)).collect();
        let answered: Vec<_> = ledger.commit(batch).await.unwrap().into_iter().flat_map(recorded).collect();
        let standing = Checkpoint::open(&ledger.checkpoint().await.unwrap(), &key).unwrap();
        for owed in answered.iter().chain(&ledger.owed(None, 1_000).await.unwrap()) {
            let proof = Proof::parse(&owed.proof().text()).unwrap();
            assert_eq!(&proof, owed.proof());
            let signed = proof.check(&key, owed.id, &owed.routing_key, &digest(&owed.body)).unwrap();
            assert!(proof.index < signed.size && signed.size <= standing.size);
            // It proves this delivery, of this body, to this recipient, and nothing else.
            proof.check(&key, Uuid::nil(), &owed.routing_key, &owed.digest).unwrap_err();
            proof.check(&key, owed.id, "la.E09000002.front-door", &owed.digest).unwrap_err();
            proof.check(&key, owed.id, &owed.routing_key, &digest(b"another body")).unwrap_err();
        }
    }
}

async fn settling_twice_changes_nothing(home: impl Home) {
    let ledger = home.open();
    let all = recorded(commit_one(&ledger, step(referral(1), 0)).await);
    let settled = all[0].id;
    ledger.settle(vec![settled, Uuid::nil(), settled], at(50)).await.unwrap();
    let before = everything(&ledger, &[referral(1)]).await;
    ledger.settle(vec![settled], at(60)).await.unwrap();
    ledger.settle(vec![], at(60)).await.unwrap();
    assert_eq!(everything(&ledger, &[referral(1)]).await, before);
    let left = ledger.owed(None, 10).await.unwrap();
    assert_eq!(left.iter().map(|owed| owed.id).collect::<Vec<_>>(), [all[1].id]);
    let found = ledger.find_delivery(settled).await.unwrap();
    let expected = Delivery {
        referral: referral(1),
        routing_key: "la.E09000001.front-door".to_owned(),
        kind: "referral".to_owned(),
        digest: Some(all[0].digest),
        leaf: 1,
        settled_at: Some(at(50)),
    };
    assert_eq!(found, Some(expected));
    assert_eq!(ledger.find_delivery(all[1].id).await.unwrap().unwrap().settled_at, None);
    assert_eq!(ledger.find_delivery(Uuid::nil()).await.unwrap(), None);
}

async fn a_step_settles_what_it_says_was_delivered_or_nothing(home: impl Home) {
    let ledger = home.open();
    let all = recorded(commit_one(&ledger, step(referral(1), 0)).await);
    let delivered = |expected| Commit { settles: Some(all[0].id), ..closing(referral(1), expected) };
    assert!(matches!(commit_one(&ledger, delivered(0)).await, Committed::Stale));
    assert_eq!(ledger.owed(None, 10).await.unwrap().len(), 2, "what was not recorded is owed still");
    recorded(commit_one(&ledger, delivered(1)).await);
    let left = ledger.owed(None, 10).await.unwrap();
    assert_eq!(left.iter().map(|owed| owed.id).collect::<Vec<_>>(), [all[1].id]);
    assert!(ledger.find_delivery(all[0].id).await.unwrap().unwrap().settled_at.is_some());
}

async fn each_party_is_told_in_its_own_sequence_without_gaps(home: impl Home) {
    let ledger = home.open();
    let mut expected: BTreeMap<&str, Vec<Vec<u8>>> = BTreeMap::new();
    for round in 0..6_u64 {
        for (number, parties) in [(1, vec!["school.1"]), (2, vec!["school.2", "school.1", "school.2"]), (3, vec![])] {
            let told = |(count, party): (usize, &&'static str)| Progress {
                party: (*party).to_owned(),
                body: format!("{round} {number} {count}").into_bytes(),
            };
            let progress: Vec<Progress> = parties.iter().enumerate().map(told).collect();
            for (party, progress) in parties.iter().zip(&progress) {
                expected.entry(party).or_default().push(progress.body.clone());
            }
            recorded(commit_one(&ledger, Commit { progress, ..step(referral(number), round) }).await);
        }
        // A stale step tells nobody anything, and leaves no gap.
        let _ = commit_one(&ledger, step(referral(1), 99)).await;
    }
    for (party, bodies) in expected {
        let told = ledger.progress(party, 0, 1_000).await.unwrap();
        let sequence: Vec<u64> = told.iter().map(|told| told.sequence).collect();
        assert_eq!(sequence, (1..=bodies.len() as u64).collect::<Vec<_>>());
        assert_eq!(told.iter().map(|told| told.body.clone()).collect::<Vec<_>>(), bodies);
        let resumed = ledger.progress(party, 4, 2).await.unwrap();
        assert_eq!(resumed.iter().map(|told| told.sequence).collect::<Vec<_>>(), [5, 6]);
    }
    assert_eq!(ledger.progress("school.3", 0, 10).await.unwrap(), []);
}

async fn a_party_is_told_about_one_referral_what_it_was_told_and_nothing_else(home: impl Home) {
    let ledger = home.open();
    for expected in 0..2 {
        for number in [1, 2] {
            recorded(commit_one(&ledger, step(referral(number), expected)).await);
        }
    }
    let told = ledger.told_about("school.100000", referral(2)).await.unwrap();
    let all = ledger.progress("school.100000", 0, 10).await.unwrap();
    assert_eq!(told, [all[1].clone(), all[3].clone()]);
    assert_eq!(ledger.told_about("school.200000", referral(2)).await.unwrap(), []);
}

async fn a_case_is_woken_when_its_time_has_come_and_not_before(home: impl Home) {
    let ledger = home.open();
    assert_eq!(ledger.next_wake().await.unwrap(), None);
    let fine = at(30).checked_add(jiff::SignedDuration::from_nanos(1)).unwrap();
    for (number, wake) in [(1, Some(fine)), (2, None), (3, Some(at(10))), (4, Some(at(20)))] {
        recorded(commit_one(&ledger, Commit { wake, ..step(referral(number), 0) }).await);
    }
    assert_eq!(ledger.next_wake().await.unwrap(), Some(at(10)));
    assert_eq!(ledger.overdue(at(9), 10).await.unwrap(), Vec::<Uuid>::new());
    assert_eq!(ledger.overdue(at(10), 10).await.unwrap(), [referral(3)]);
    // A nanosecond is not lost: nobody is woken before the time.
    assert_eq!(ledger.overdue(at(30), 10).await.unwrap(), [referral(3), referral(4)]);
    assert_eq!(ledger.overdue(at(31), 10).await.unwrap(), [referral(3), referral(4), referral(1)]);
    assert_eq!(ledger.overdue(at(31), 1).await.unwrap(), [referral(3)]);
    recorded(commit_one(&ledger, Commit { wake: None, ..step(referral(3), 1) }).await);
    assert_eq!(ledger.overdue(at(20), 10).await.unwrap(), [referral(4)]);
    assert_eq!(ledger.next_wake().await.unwrap(), Some(at(20)));
}

async fn a_party_sees_its_own_referrals_page_by_page(home: impl Home) {
    let ledger = home.open();
    for number in 0..7 {
        let owner = if number % 2 == 0 { "school.100000" } else { "school.200000" };
        recorded(commit_one(&ledger, Commit { owner: owner.to_owned(), ..step(referral(number), 0) }).await);
    }
    // The list it shows in is set once.
    recorded(commit_one(&ledger, Commit { owner: "school.200000".to_owned(), open: false, ..step(referral(2), 1) }).await);
    let first = ledger.list("school.100000", 0, 3).await.unwrap();
    assert_eq!(first.iter().map(|listed| listed.referral).collect::<Vec<_>>(), [referral(0), referral(2), referral(4)]);
    assert_eq!(first.iter().map(|listed| listed.open).collect::<Vec<_>>(), [true, false, true]);
    let second = ledger.list("school.100000", first[2].number, 3).await.unwrap();
    assert_eq!(second.iter().map(|listed| listed.referral).collect::<Vec<_>>(), [referral(6)]);
    assert_eq!(ledger.list("school.300000", 0, 3).await.unwrap(), []);
}

async fn what_a_recipient_was_sent_is_listed_page_by_page_and_nothing_else(home: impl Home) {
    let ledger = home.open();
    for number in 1..=4 {
        recorded(commit_one(&ledger, step(referral(number), 0)).await);
    }
    let mut all = Vec::new();
    for party in parties(&ledger).await {
        let mut after = 0;
        loop {
            let page = ledger.received(&party, after, 1).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(last.number > after);
            after = last.number;
            all.push((party.clone(), last.referral));
        }
    }
    let mut sent: Vec<(String, Uuid)> =
        ledger.owed(None, 100).await.unwrap().iter().map(|owed| (owed.routing_key.clone(), owed.referral)).collect();
    sent.sort();
    sent.dedup();
    all.sort();
    assert_eq!(all, sent);
    assert_eq!(ledger.received("la.E06000001.front-door", 0, 10).await.unwrap(), []);
}

async fn parties(ledger: &impl Ledger) -> std::collections::BTreeSet<String> {
    ledger.owed(None, 100).await.unwrap().iter().map(|owed| owed.routing_key.clone()).collect()
}

async fn what_is_not_finished_is_listed_page_by_page(home: impl Home) {
    let ledger = home.open();
    // Open; ended, and with a clock that runs; ended.
    for (number, open, wake) in [(1, true, None), (2, false, Some(at(10))), (3, false, None), (4, true, Some(at(20)))] {
        recorded(commit_one(&ledger, Commit { open, wake, ..step(referral(number), 0) }).await);
    }
    let first = ledger.unfinished(0, 2).await.unwrap();
    assert_eq!(first.iter().map(|listed| listed.referral).collect::<Vec<_>>(), [referral(1), referral(2)]);
    let second = ledger.unfinished(first[1].number, 2).await.unwrap();
    assert_eq!(second.iter().map(|listed| listed.referral).collect::<Vec<_>>(), [referral(4)]);
    recorded(commit_one(&ledger, Commit { open: false, wake: None, ..step(referral(4), 1) }).await);
    assert_eq!(ledger.unfinished(first[1].number, 2).await.unwrap(), []);
}

async fn content_is_kept_once_and_apart(home: impl Home) {
    let ledger = home.open();
    let first = step(referral(1), 0);
    let content = first.content[0].clone();
    recorded(commit_one(&ledger, first).await);
    recorded(commit_one(&ledger, Commit { content: vec![content.clone(), content.clone()], ..step(referral(1), 1) }).await);
    assert_eq!(ledger.content(referral(1), content.id).await.unwrap(), Some(content.clone()));
    assert_eq!(ledger.content(referral(2), content.id).await.unwrap(), None);
    assert_eq!(ledger.content(referral(1), [0; 32]).await.unwrap(), None);
}

async fn the_last_decision_can_be_read(home: impl Home) {
    const ANSWERED: Kind = Kind::named("answered");
    let ledger = home.open();
    assert_eq!(ledger.latest_record(referral(1)).await.unwrap(), None);
    recorded(commit_one(&ledger, step(referral(1), 0)).await);
    recorded(commit_one(&ledger, Commit { kind: ANSWERED, ..step(referral(1), 1) }).await);
    recorded(commit_one(&ledger, step(referral(2), 0)).await);
    let last = ledger.latest_record(referral(1)).await.unwrap().unwrap();
    assert_eq!((last.leaf, last.kind.as_str(), last.at), (3, "answered", at(1)));
    assert_eq!(last.record, format!("decision 1 on {}", referral(1)).into_bytes());
}

async fn a_note_is_a_leaf_of_the_log_and_belongs_to_no_referral(home: impl Home) {
    let ledger = home.open();
    recorded(commit_one(&ledger, step(referral(1), 0)).await);
    let note = Note { kind: Kind::RULES, record: b"WT2026/1".to_vec(), at: at(5) };
    assert_eq!(ledger.note(note.clone()).await.unwrap(), 3);
    assert_eq!(ledger.note(note).await.unwrap(), 4);
    let checkpoint = Checkpoint::open(&ledger.checkpoint().await.unwrap(), &public_key()).unwrap();
    assert_eq!(checkpoint.size, 5);
    assert_eq!(ledger.latest_record(referral(1)).await.unwrap().unwrap().leaf, 0);
    assert_eq!(ledger.list("school.100000", 0, 10).await.unwrap().len(), 1);
}

async fn what_waits_for_a_person_is_listed_and_counted_until_it_does_not(home: impl Home) {
    let ledger = home.open();
    for (number, since, urgent) in [(1, 30, false), (2, 20, true), (3, 10, false), (4, 5, true)] {
        let waiting = Some(Waiting { since: at(since), urgent });
        recorded(commit_one(&ledger, Commit { waiting, ..step(referral(number), 0) }).await);
    }
    recorded(commit_one(&ledger, step(referral(5), 0)).await);
    // A person decided about the fourth, and its case may even be closed.
    recorded(commit_one(&ledger, closing(referral(4), 1)).await);
    let first = ledger.waiting(0, 2).await.unwrap();
    assert_eq!(first.iter().map(|listed| listed.referral).collect::<Vec<_>>(), [referral(1), referral(2)]);
    let rest = ledger.waiting(first[1].number, 2).await.unwrap();
    assert_eq!(rest.iter().map(|listed| listed.referral).collect::<Vec<_>>(), [referral(3)]);
    let counts = ledger.counts().await.unwrap();
    assert_eq!(counts.waiting, WaitingCounts { referrals: 2, oldest: Some(at(10)) });
    assert_eq!(counts.waiting_urgently, WaitingCounts { referrals: 1, oldest: Some(at(20)) });

    // What was erased can be looked at by nobody.
    let waiting = Some(Waiting { since: at(1), urgent: false });
    recorded(commit_one(&ledger, Commit { waiting, owed: vec![], ..closing(referral(6), 0) }).await);
    assert_eq!(ledger.counts().await.unwrap().waiting.oldest, Some(at(1)));
    let (by, reason) = ("records.manager".to_owned(), "retention over".to_owned());
    let erased = ledger.erase(Erasure { referral: referral(6), by, reason, at: at(90) }).await.unwrap();
    assert!(matches!(erased, Erased::Leaf(_)));
    assert_eq!(ledger.counts().await.unwrap().waiting, counts.waiting);
}

async fn the_counts_are_right(home: impl Home) {
    let ledger = home.open();
    assert_eq!(ledger.counts().await.unwrap(), Counts::default());
    let first = recorded(commit_one(&ledger, step(referral(1), 0)).await);
    recorded(commit_one(&ledger, Commit { at: at(77), ..step(referral(2), 0) }).await);
    recorded(commit_one(&ledger, closing(referral(1), 1)).await);
    ledger.settle(first.iter().map(|owed| owed.id).collect(), at(80)).await.unwrap();
    ledger.quarantine(unreadable(1)).await.unwrap();
    let counts = Counts { open: 1, owed: 2, oldest_owed: Some(at(77)), quarantined: 1, leaves: 7, ..Counts::default() };
    assert_eq!(ledger.counts().await.unwrap(), counts);
}

fn unreadable(number: u64) -> Quarantined {
    Quarantined {
        id: referral(number),
        queue: "intake.3".to_owned(),
        reason: "not a protobuf message".to_owned(),
        at: at(5),
        headers: vec![("content-type".to_owned(), "application/x-protobuf".to_owned())],
        bytes: vec![0xff; 300],
    }
}

async fn the_quarantine_keeps_a_message_once_until_it_is_released(home: impl Home) {
    let ledger = home.open();
    for number in [1, 2, 1, 3] {
        ledger.quarantine(unreadable(number)).await.unwrap();
    }
    let page = ledger.quarantined(0, 2).await.unwrap();
    assert_eq!(page.iter().map(|entry| entry.id).collect::<Vec<_>>(), [referral(1), referral(2)]);
    assert_eq!((page[0].length, page[0].reason.as_str()), (300, "not a protobuf message"));
    let rest = ledger.quarantined(page[1].number, 2).await.unwrap();
    assert_eq!(rest.iter().map(|entry| entry.id).collect::<Vec<_>>(), [referral(3)]);
    assert_eq!(ledger.quarantined_message(referral(3)).await.unwrap(), Some(unreadable(3)));
    // Put aside once more since it was looked at: nobody let that out.
    ledger.quarantine(Quarantined { at: at(6), ..unreadable(3) }).await.unwrap();
    assert!(!ledger.release(release(referral(3))).await.unwrap());
    ledger.quarantine(unreadable(3)).await.unwrap();
    assert!(ledger.release(release(referral(3))).await.unwrap());
    assert!(!ledger.release(release(referral(3))).await.unwrap());
    assert_eq!(ledger.quarantined_message(referral(3)).await.unwrap(), None);
    // Who let it out is in the log; that nothing was there is not.
    assert_eq!(ledger.counts().await.unwrap().leaves, 1);
    // A number is not given twice, or somebody paging would miss the next message.
    ledger.quarantine(unreadable(4)).await.unwrap();
    assert!(ledger.quarantined(0, 9).await.unwrap()[2].number > rest[0].number);
}

async fn erasing_removes_the_content_and_leaves_a_leaf(home: impl Home) {
    let ledger = home.open();
    let first = step(referral(1), 0);
    let content = first.content[0].id;
    let owed = recorded(commit_one(&ledger, first).await);
    recorded(commit_one(&ledger, step(referral(2), 0)).await);
    let erasure =
        Erasure { referral: referral(1), by: "records.manager".to_owned(), reason: "retention over".to_owned(), at: at(99) };

    assert_eq!(ledger.erase(erasure.clone()).await.unwrap(), Erased::StillOpen);
    recorded(commit_one(&ledger, closing(referral(1), 1)).await);
    assert_eq!(ledger.erase(erasure.clone()).await.unwrap(), Erased::StillOpen);
    ledger.settle(owed.iter().map(|owed| owed.id).collect(), at(90)).await.unwrap();
    assert_eq!(ledger.erase(erasure.clone()).await.unwrap(), Erased::Leaf(7));
    assert_eq!(ledger.erase(erasure.clone()).await.unwrap(), Erased::Nothing);
    assert_eq!(ledger.erase(Erasure { referral: referral(9), ..erasure }).await.unwrap(), Erased::Nothing);

    assert_eq!(ledger.content(referral(1), content).await.unwrap(), None);
    assert_eq!(ledger.latest_record(referral(1)).await.unwrap(), None);
    assert_eq!(ledger.find_delivery(owed[0].id).await.unwrap().unwrap().digest, None);
    let told = ledger.progress("school.100000", 0, 10).await.unwrap();
    assert_eq!(told.iter().map(|told| (told.sequence, told.body.is_empty())).collect::<Vec<_>>(), [(1, true), (2, false)]);
    // The other child's referral is untouched.
    assert!(ledger.content(referral(2), content).await.unwrap().is_some());
    assert!(ledger.latest_record(referral(2)).await.unwrap().is_some());
    assert_eq!(Checkpoint::open(&ledger.checkpoint().await.unwrap(), &public_key()).unwrap().size, 8);
}

async fn everything_is_there_after_opening_again(home: impl Home) {
    let referrals: Vec<Uuid> = (0..5).map(referral).collect();
    let mut before = String::new();
    for expected in 0..3 {
        let ledger = home.open();
        if expected > 0 {
            assert_eq!(everything(&ledger, &referrals).await, before);
        }
        ledger.commit(referrals.iter().map(|referral| step(*referral, expected)).collect()).await.unwrap();
        ledger.settle(vec![delivery_id(referral(0), expected * 2)], at(40)).await.unwrap();
        ledger.quarantine(unreadable(expected)).await.unwrap();
        before = everything(&ledger, &referrals).await;
    }
    assert_eq!(everything(&home.open(), &referrals).await, before);
}

async fn many_at_once_are_all_recorded_and_all_in_order(home: impl Home) {
    let ledger = home.open();
    let lives = (0..40).map(|number| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            for expected in 0..5 {
                let owed = recorded(commit_one(&ledger, step(referral(number), expected)).await);
                if expected % 2 == 0 {
                    ledger.settle(owed.iter().map(|owed| owed.id).collect(), at(9)).await.unwrap();
                }
            }
        })
    });
    for life in lives.collect::<Vec<_>>() {
        life.await.unwrap();
    }
    let told = ledger.progress("school.100000", 0, 1_000).await.unwrap();
    assert_eq!(told.iter().map(|told| told.sequence).collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
    let owed = ledger.owed(None, 1_000).await.unwrap();
    assert_eq!(owed.len(), 40 * 2 * 2);
    for number in 0..40 {
        let orders: Vec<u64> = owed.iter().filter(|owed| owed.referral == referral(number)).map(|owed| owed.order).collect();
        assert_eq!(orders, [2, 3, 6, 7]);
    }
    assert_eq!(ledger.counts().await.unwrap().leaves, 40 * 5 * 3);
}

// ---------------------------------------------------------------------------------------------
// What only one of them has

#[derive(Clone, Debug)]
enum Deed {
    Steps(Vec<(u64, u64)>),
    Close(u64),
    Settle(u64, u64),
    Quarantine(u64),
    Release(u64),
    Erase(u64),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        6 => prop::collection::vec((0..4_u64, 0..4_u64), 1..5).prop_map(Deed::Steps),
        2 => (0..4_u64).prop_map(Deed::Close),
        4 => (0..4_u64, 0..8_u64).prop_map(|(number, order)| Deed::Settle(number, order)),
        1 => (0..3_u64).prop_map(Deed::Quarantine),
        1 => (0..3_u64).prop_map(Deed::Release),
        2 => (0..4_u64).prop_map(Deed::Erase),
    ];
    prop::collection::vec(deed, 1..25)
}

async fn carry_out(ledger: &impl Ledger, deed: &Deed) -> String {
    match deed {
        Deed::Steps(steps) => {
            let commits = steps.iter().map(|(number, expected)| step(referral(*number), *expected)).collect();
            format!("{:?}", ledger.commit(commits).await.unwrap())
        }
        Deed::Close(number) => {
            let version = ledger.load(&[referral(*number)]).await.unwrap().remove(0).map_or(0, |stored| stored.version.0);
            format!("{:?}", commit_one(ledger, closing(referral(*number), version)).await)
        }
        Deed::Settle(number, order) => {
            format!("{:?}", ledger.settle(vec![delivery_id(referral(*number), *order)], at(70)).await.unwrap())
        }
        Deed::Quarantine(number) => format!("{:?}", ledger.quarantine(unreadable(*number)).await.unwrap()),
        Deed::Release(number) => format!("{:?}", ledger.release(release(referral(*number))).await.unwrap()),
        Deed::Erase(number) => {
            let (by, reason) = ("records.manager".to_owned(), "retention over".to_owned());
            format!("{:?}", ledger.erase(Erasure { referral: referral(*number), by, reason, at: at(88) }).await.unwrap())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Two ledgers that share no code, the same salts and the same deeds: the same answers, down to
    /// the signature under the log.
    #[test]
    fn the_ledger_on_disk_and_the_ledger_in_memory_cannot_be_told_apart(deeds in deeds()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (disk, memory) = (InSqlite::new(), InMemory::new());
            let (disk, memory) = (disk.open(), memory.open());
            let referrals: Vec<Uuid> = (0..4).map(referral).collect();
            for deed in &deeds {
                assert_eq!(carry_out(&disk, deed).await, carry_out(&memory, deed).await, "{deed:?}");
            }
            let (disk, memory) = (everything(&disk, &referrals).await, everything(&memory, &referrals).await);
            for (on_disk, in_memory) in disk.lines().zip(memory.lines()) {
                assert_eq!(on_disk, in_memory);
            }
            assert_eq!(disk.lines().count(), memory.lines().count());
        });
    }
}

#[tokio::test]
async fn in_memory_a_write_fails_both_ways_and_asking_again_is_safe() {
    let fates = [Fate::NotWritten, Fate::WrittenButReportedFailed, Fate::Written];
    let mut next = fates.into_iter().cycle();
    let ledger = MemoryLedger::with_fates(signer(), salts(1), Box::new(move |_: Write| next.next().unwrap()));
    // Not written: as if it had never been asked.
    assert!(matches!(ledger.commit(vec![step(referral(1), 0)]).await, Err(LedgerError::Failed { .. })));
    assert_eq!(ledger.load(&[referral(1)]).await.unwrap(), [None]);
    // Written and reported failed: the second attempt is stale, and what is owed is found all the same.
    assert!(ledger.commit(vec![step(referral(1), 0)]).await.is_err());
    assert!(matches!(commit_one(&ledger, step(referral(1), 0)).await, Committed::Stale));
    assert_eq!(ledger.owed(None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_second_process_is_told_who_has_the_ledger() {
    let home = InSqlite::new();
    let first = home.open();
    let Err(refused) = SqliteLedger::open(&home.path(), signer(), salts(2)) else { panic!("opened twice") };
    assert!(refused.to_string().contains(&format!("in use by process {}", std::process::id())), "{refused}");
    drop(first);
    drop(home.open());
}

#[tokio::test]
async fn a_ledger_is_not_opened_with_another_key_or_by_an_older_program() {
    let home = InSqlite::new();
    recorded(commit_one(&home.open(), step(referral(1), 0)).await);
    let stranger = router::record::log::Signer::new(ORIGIN, &[8; 32]);
    let Err(refused) = SqliteLedger::open(&home.path(), stranger, salts(2)) else { panic!("opened with another key") };
    assert!(refused.to_string().contains("not signed by the ledger's key"), "{refused}");
    let connection = rusqlite::Connection::open(home.path()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let Err(refused) = SqliteLedger::open(&home.path(), signer(), salts(2)) else { panic!("opened a newer format") };
    assert!(matches!(refused, LedgerError::TooNew { found: 99, known: 3, .. }), "{refused}");
}

#[tokio::test]
async fn a_ledger_cut_short_is_not_written_to() {
    let home = InSqlite::new();
    recorded(commit_one(&home.open(), step(referral(1), 0)).await);
    let connection = rusqlite::Connection::open(home.path()).unwrap();
    connection
        .execute_batch("PRAGMA foreign_keys = OFF; DROP TRIGGER leaf_is_not_removed; DELETE FROM leaf WHERE position = 2;")
        .unwrap();
    drop(connection);
    let Err(refused) = SqliteLedger::open(&home.path(), signer(), salts(2)) else { panic!("opened") };
    assert!(matches!(refused, LedgerError::Damaged { .. }), "{refused}");
}

#[tokio::test]
async fn the_log_is_only_added_to_even_by_hand() {
    let home = InSqlite::new();
    recorded(commit_one(&home.open(), step(referral(1), 0)).await);
    let connection = rusqlite::Connection::open(home.path()).unwrap();
    for deed in ["UPDATE leaf SET kind = 'x'", "DELETE FROM leaf", "UPDATE checkpoint SET note = ''", "DELETE FROM checkpoint"] {
        let refused = connection.execute(deed, []).unwrap_err();
        assert!(refused.to_string().contains("the log is only added to"), "{deed}: {refused}");
    }
}

#[tokio::test]
async fn when_the_disk_fails_nothing_is_answered_as_recorded_and_the_next_write_goes_on() {
    let home = InSqlite::new();
    let ledger = home.open();
    recorded(commit_one(&ledger, step(referral(1), 0)).await);
    let before = everything(&ledger, &[referral(1), referral(2)]).await;
    let connection = rusqlite::Connection::open(home.path()).unwrap();
    // The last row of the transaction fails, after everything else was written.
    let breaks = "CREATE TRIGGER broken BEFORE INSERT ON checkpoint BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END";
    connection.execute_batch(breaks).unwrap();
    for commit in [step(referral(1), 1), step(referral(2), 0)] {
        let Err(error) = ledger.commit(vec![commit]).await else { panic!("answered as recorded") };
        assert_eq!(error.to_string(), "the ledger could not record the step");
    }
    assert_eq!(everything(&ledger, &[referral(1), referral(2)]).await, before);
    connection.execute_batch("DROP TRIGGER broken").unwrap();
    recorded(commit_one(&ledger, step(referral(1), 1)).await);
    recorded(commit_one(&ledger, step(referral(2), 0)).await);
    drop(ledger);
    drop(home.open());
}

#[tokio::test]
async fn whoever_reads_does_not_wait_behind_a_write() {
    let home = InSqlite::new();
    let ledger = home.open();
    recorded(commit_one(&ledger, step(referral(1), 0)).await);
    // Somebody holds the file's write lock: the commit waits, and those who read do not.
    let mut connection = rusqlite::Connection::open(home.path()).unwrap();
    let held = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let writing = tokio::spawn({
        let ledger = ledger.clone();
        async move { commit_one(&ledger, step(referral(1), 1)).await }
    });
    assert_eq!(ledger.load(&[referral(1)]).await.unwrap()[0].as_ref().unwrap().version, Version(1));
    assert_eq!(ledger.owed(None, 10).await.unwrap().len(), 2);
    assert!(!writing.is_finished());
    held.commit().unwrap();
    recorded(writing.await.unwrap());
}

#[test]
fn nobody_else_can_read_the_ledger_or_its_key() {
    use std::os::unix::fs::PermissionsExt;
    let home = InSqlite::new();
    let path = home.0.path("ledger.key");
    let made = key::open_or_make(&path, ORIGIN, || [3; 32]).unwrap();
    let ledger = SqliteLedger::open(&home.path(), made.clone(), salts(1)).unwrap();
    let mode = |name: &str| std::fs::metadata(home.0.path(name)).unwrap().permissions().mode() & 0o777;
    for name in ["ledger.key", "ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    drop(ledger);

    // The second start finds the first one's key and asks for no other.
    let again = key::open_or_make(&path, ORIGIN, || panic!("a second key")).unwrap();
    assert_eq!(again.public(), made.public());
    assert_eq!(std::fs::read(&path).unwrap(), [3; 32]);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(key::open_or_make(&path, ORIGIN, || [4; 32]).unwrap_err().to_string().contains("chmod 600"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, [3; 31]).unwrap();
    assert!(key::open_or_make(&path, ORIGIN, || [4; 32]).unwrap_err().to_string().contains("not 32 bytes"));
    assert!(key::open_or_make(&path, "two words", || [4; 32]).unwrap_err().to_string().contains("origin"));
}

#[test]
fn nothing_a_child_is_written_about_in_is_shown_by_debug() {
    let commit = step(referral(1), 0);
    let shown = format!("{commit:?} {:?} {:?} {:#?} {:?}", commit.owed[0], commit.content[0], unreadable(1), commit.progress);
    for hidden in ["Robin", "Example", "narrative 0", "82, 111, 98, 105, 110"] {
        assert!(!shown.contains(hidden), "{hidden:?} in {shown}");
    }
    assert!(shown.contains(&referral(1).to_string()), "what can be looked up by is shown: {shown}");
}
