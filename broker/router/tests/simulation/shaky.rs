//! A ledger on bad ground: every write may not happen, may happen and be reported failed, may happen late, or be
//! overtaken by somebody else's; every read may fail; and everything takes its time, so that a crash can come
//! between any two of them. What is written is told to the oracle as it is written.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use router::record::log::Signer;
use router::record::memory::{Fate, Fates, MemoryLedger};
use router::record::*;

use crate::oracle::Drawn;
use crate::world::World;

/// What becomes of the next write.
type Next = Arc<Mutex<Fate>>;

#[derive(Clone)]
pub struct ShakyLedger {
    inner: MemoryLedger,
    next: Next,
    world: World,
    /// Written to, reported failed, and not there yet.
    late: Arc<Mutex<Vec<Vec<Commit>>>>,
}

impl ShakyLedger {
    pub fn new(signer: Signer, seed: u64, drawn: Drawn, world: World) -> ShakyLedger {
        let next: Next = Arc::new(Mutex::new(Fate::Written));
        let fates: Fates = Box::new({
            let next = next.clone();
            move |_| *next.lock().expect("no test panics with it")
        });
        let mut count = 0_u64;
        let salts: Salts = Box::new(move || {
            count += 1;
            let salt = log::digest(&[seed.to_be_bytes(), count.to_be_bytes()].concat());
            drawn.lock().expect("no test panics with it").push_back(salt);
            salt
        });
        ShakyLedger { inner: MemoryLedger::with_fates(signer, salts, fates), next, world, late: Arc::default() }
    }

    /// The ledger as it is, for whoever looks at it when all is over.
    pub fn itself(&self) -> &MemoryLedger {
        &self.inner
    }

    /// What had not been written when the broker died is written after all, or never.
    pub async fn broker_died(&self) {
        let late = std::mem::take(&mut *self.late.lock().expect("no test panics with it"));
        for commits in late {
            if self.world.lock().chance.percent(50) {
                self.write(commits, Fate::Written).await.ok();
            }
        }
    }

    fn fate(&self) -> Fate {
        let mut state = self.world.lock();
        let (not, unheard) = (state.weather.not_written, state.weather.written_unheard);
        if state.chance.percent(not) {
            state.tally.not_written += 1;
            Fate::NotWritten
        } else if state.chance.percent(unheard) {
            state.tally.written_unheard += 1;
            Fate::WrittenButReportedFailed
        } else {
            Fate::Written
        }
    }

    /// Writes steps, and tells the oracle which of them were.
    async fn write(&self, commits: Vec<Commit>, fate: Fate) -> Result<Vec<Committed>, LedgerError> {
        *self.next.lock().expect("no test panics with it") = fate;
        self.world.lock().trace(|| format!("{} steps: {fate:?}", commits.len()));
        let answer = self.inner.commit(commits.clone()).await;
        if fate == Fate::NotWritten {
            return answer;
        }
        let mut state = self.world.lock();
        let mut stale = BTreeSet::new();
        for (at, commit) in commits.iter().enumerate() {
            let is_next = !stale.contains(&commit.referral) && state.oracle.version(commit.referral) == commit.expected.0;
            if let Ok(answers) = &answer {
                let agrees = match answers.get(at) {
                    Some(Committed::Recorded { .. }) => is_next,
                    Some(Committed::Stale) => !is_next,
                    Some(Committed::Refused(_)) | None => false,
                };
                if !agrees {
                    state.complain(vec![format!("the ledger gave a wrong answer to a step of referral {}", commit.referral)]);
                }
            }
            if is_next {
                let complaints = state.oracle.written(commit);
                state.trace(|| {
                    format!("recorded {} of {}, on version {}", commit.kind.as_str(), commit.referral, commit.expected.0)
                });
                state.complain(complaints);
            } else {
                stale.insert(commit.referral);
                state.tally.stale += 1;
                state.trace(|| {
                    format!("too late: {} of {}, on version {}", commit.kind.as_str(), commit.referral, commit.expected.0)
                });
            }
        }
        state.oracle.sealed();
        answer
    }

    /// Somebody else writes one of these referrals first, without changing anything about it.
    async fn overtake(&self, commits: &[Commit]) {
        let at = {
            let mut state = self.world.lock();
            let overtaken = state.weather.overtaken;
            if !state.chance.percent(overtaken) {
                return;
            }
            state.chance.below(commits.len())
        };
        let commit = &commits[at];
        let Ok(stored) = self.inner.load(&[commit.referral]).await else { return };
        let Some(stored) = stored.into_iter().flatten().next() else { return };
        let known: referral::case::Case = serde_json::from_slice(&stored.state).expect("a case that we wrote");
        let unchanged = Commit {
            expected: stored.version,
            state: stored.state,
            wake: known.wake_at(),
            open: known.is_open(),
            waiting: known.waiting().map(|waiting| Waiting { since: waiting.since, urgent: waiting.is_urgent() }),
            kind: Kind::DECISION,
            content: Vec::new(),
            record: Vec::new(),
            owed: Vec::new(),
            progress: Vec::new(),
            settles: None,
            ..commit.clone()
        };
        *self.next.lock().expect("no test panics with it") = Fate::Written;
        let written = self.inner.commit(vec![unchanged.clone()]).await;
        assert!(matches!(written.as_deref(), Ok([Committed::Recorded { .. }])), "the rival writes");
        let mut state = self.world.lock();
        state.trace(|| format!("overtaken: {} on version {}", unchanged.referral, unchanged.expected.0));
        state.oracle.rewritten(&unchanged);
        state.oracle.sealed();
    }

    /// The write will happen, but whoever asked for it has stopped waiting.
    fn write_late(&self, commits: Vec<Commit>) {
        let wait = Duration::from_millis(1 + self.world.lock().chance.below(900) as u64);
        self.late.lock().expect("no test panics with it").push(commits.clone());
        let ledger = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let still = {
                let mut late = ledger.late.lock().expect("no test panics with it");
                late.iter().position(|known| *known == commits).map(|at| late.remove(at))
            };
            if let Some(commits) = still {
                ledger.write(commits, Fate::Written).await.ok();
            }
        });
    }

    async fn read<T>(&self, answer: impl Future<Output = Result<T, LedgerError>>) -> Result<T, LedgerError> {
        self.world.pause().await;
        let fails = {
            let mut state = self.world.lock();
            let unread = state.weather.unread;
            state.chance.percent(unread)
        };
        if fails {
            self.world.lock().tally.unread += 1;
            return Err(failed("read"));
        }
        let answer = answer.await;
        self.world.pause().await;
        answer
    }

    async fn change<T>(&self, change: impl Future<Output = Result<T, LedgerError>>) -> Result<T, LedgerError> {
        self.world.pause().await;
        *self.next.lock().expect("no test panics with it") = self.fate();
        let answer = change.await;
        self.world.pause().await;
        answer
    }
}

fn failed(doing: &'static str) -> LedgerError {
    LedgerError::Failed { doing, cause: "the simulation lets it fail".into() }
}

impl Ledger for ShakyLedger {
    async fn load(&self, referrals: &[ReferralId]) -> Result<Vec<Option<Stored>>, LedgerError> {
        self.read(self.inner.load(referrals)).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Committed>, LedgerError> {
        self.world.pause().await;
        self.overtake(&commits).await;
        let late = {
            let mut state = self.world.lock();
            let written_late = state.weather.written_late;
            let late = state.chance.percent(written_late);
            state.tally.written_late += u64::from(late);
            late
        };
        if late {
            self.world.lock().trace(|| format!("{} steps: will be written late", commits.len()));
            self.write_late(commits);
            return Err(failed("record the step in time"));
        }
        let answer = self.write(commits, self.fate()).await;
        self.world.pause().await;
        answer
    }

    async fn owed(&self, after: Option<u64>, limit: usize) -> Result<Vec<Recorded<Owed>>, LedgerError> {
        // Small pages, so that there are several.
        self.read(self.inner.owed(after, limit.min(5))).await
    }

    async fn settle(&self, deliveries: Vec<DeliveryId>, at: Moment) -> Result<(), LedgerError> {
        self.change(self.inner.settle(deliveries, at)).await
    }

    async fn overdue(&self, now: Moment, limit: usize) -> Result<Vec<ReferralId>, LedgerError> {
        self.read(self.inner.overdue(now, limit)).await
    }

    async fn next_wake(&self) -> Result<Option<Moment>, LedgerError> {
        self.read(self.inner.next_wake()).await
    }

    async fn list(&self, owner: &str, after: u64, limit: usize) -> Result<Vec<Listed>, LedgerError> {
        self.read(self.inner.list(owner, after, limit)).await
    }

    async fn received(&self, recipient: &str, after: u64, limit: usize) -> Result<Vec<Listed>, LedgerError> {
        self.read(self.inner.received(recipient, after, limit)).await
    }

    async fn unfinished(&self, after: u64, limit: usize) -> Result<Vec<Listed>, LedgerError> {
        self.read(self.inner.unfinished(after, limit)).await
    }

    async fn waiting(&self, after: u64, limit: usize) -> Result<Vec<Listed>, LedgerError> {
        self.read(self.inner.waiting(after, limit)).await
    }

    async fn progress(&self, party: &str, after: u64, limit: usize) -> Result<Vec<Told>, LedgerError> {
        self.read(self.inner.progress(party, after, limit)).await
    }

    async fn told_about(&self, party: &str, referral: ReferralId) -> Result<Vec<Told>, LedgerError> {
        self.read(self.inner.told_about(party, referral)).await
    }

    async fn find_delivery(&self, delivery: DeliveryId) -> Result<Option<Delivery>, LedgerError> {
        self.read(self.inner.find_delivery(delivery)).await
    }

    async fn content(&self, referral: ReferralId, id: Digest) -> Result<Option<Content>, LedgerError> {
        self.read(self.inner.content(referral, id)).await
    }

    async fn latest_record(&self, referral: ReferralId) -> Result<Option<Decision>, LedgerError> {
        self.read(self.inner.latest_record(referral)).await
    }

    async fn counts(&self) -> Result<Counts, LedgerError> {
        self.inner.counts().await
    }

    async fn checkpoint(&self) -> Result<String, LedgerError> {
        self.read(self.inner.checkpoint()).await
    }

    async fn quarantine(&self, message: Quarantined) -> Result<(), LedgerError> {
        self.change(self.inner.quarantine(message)).await
    }

    async fn quarantined(&self, after: u64, limit: usize) -> Result<Vec<QuarantinedEntry>, LedgerError> {
        self.read(self.inner.quarantined(after, limit)).await
    }

    async fn quarantined_message(&self, id: uuid::Uuid) -> Result<Option<Quarantined>, LedgerError> {
        self.read(self.inner.quarantined_message(id)).await
    }

    async fn release(&self, release: Release) -> Result<bool, LedgerError> {
        self.change(self.inner.release(release)).await
    }

    async fn erase(&self, erasure: Erasure) -> Result<Erased, LedgerError> {
        self.change(self.inner.erase(erasure)).await
    }

    async fn note(&self, note: Note) -> Result<u64, LedgerError> {
        self.change(self.inner.note(note)).await
    }
}
