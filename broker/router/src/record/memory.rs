//! A ledger in memory, for the simulation: every write can fail in both ways, not written, or
//! written and reported failed. It keeps the same laws and the same log as the ledger on disk and
//! shares no storage code with it. Handles share one ledger, so a handle kept over a simulated
//! crash is the disk that survived it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::log::{self, Frontier, Hash, Leaf, Proof, Signer, Unproved};
use super::{
    Commit, Committed, Content, Counts, Decision, Delivery, DeliveryId, Digest, Erased, Erasure, ErasureRecord, Kind, Ledger,
    LedgerError, Listed, Moment, Note, Owed, Quarantined, QuarantinedEntry, Recorded, ReferralId, Refusal, Release,
    ReleaseRecord, Salts, Stored, Told, Version, Waiting, WaitingCounts, lawful, micros, micros_not_before, moment,
};

/// What happens to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is written and reported so.
    Written,
    /// It is not written, and reported failed.
    NotWritten,
    /// It is written, and reported failed.
    WrittenButReportedFailed,
}

/// Which write is about to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Steps are recorded.
    Commit,
    /// Deliveries are settled.
    Settle,
    /// A message goes into quarantine.
    Quarantine,
    /// A message leaves quarantine.
    Release,
    /// A referral is erased.
    Erase,
    /// Something about the broker itself is recorded.
    Note,
}

/// Decides the fate of each write.
pub type Fates = Box<dyn FnMut(Write) -> Fate + Send>;

/// A ledger in memory.
#[derive(Clone)]
pub struct MemoryLedger {
    inner: Arc<Mutex<Inner>>,
}

struct Case {
    number: u64,
    version: Version,
    owner: String,
    state: Vec<u8>,
    wake: Option<i64>,
    open: bool,
    waiting: Option<Waiting>,
}

struct Record {
    // None: an erasure's own record, which stays.
    referral: Option<ReferralId>,
    bytes: Vec<u8>,
}

struct Sent {
    owed: Owed,
    salt: Option<[u8; 32]>,
    settled_at: Option<i64>,
}

struct Inner {
    signer: Signer,
    salts: Salts,
    fates: Fates,
    cases: HashMap<ReferralId, Case>,
    content: HashMap<(ReferralId, Digest), Content>,
    progress: HashMap<String, Vec<Told>>,
    quarantine: BTreeMap<u64, Quarantined>,
    quarantined_so_far: u64,
    // The log: leaves with the hashes they complete, and what they commit to, by index.
    leaves: Vec<(Leaf, Vec<Hash>)>,
    records: BTreeMap<u64, Record>,
    deliveries: BTreeMap<u64, Sent>,
    delivery_ids: HashMap<DeliveryId, u64>,
    frontier: Frontier,
    checkpoint: String,
}

impl MemoryLedger {
    /// An empty ledger whose every write succeeds.
    pub fn new(signer: Signer, salts: Salts) -> MemoryLedger {
        MemoryLedger::with_fates(signer, salts, Box::new(|_| Fate::Written))
    }

    /// An empty ledger whose writes end as `fates` has it.
    pub fn with_fates(signer: Signer, salts: Salts, fates: Fates) -> MemoryLedger {
        let frontier = Frontier::default();
        let inner = Inner {
            checkpoint: signer.checkpoint(&frontier),
            frontier,
            signer,
            salts,
            fates,
            cases: HashMap::new(),
            content: HashMap::new(),
            progress: HashMap::new(),
            quarantine: BTreeMap::new(),
            quarantined_so_far: 0,
            leaves: Vec::new(),
            records: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            delivery_ids: HashMap::new(),
        };
        MemoryLedger { inner: Arc::new(Mutex::new(inner)) }
    }

    fn read<T>(&self, read: impl FnOnce(&Inner) -> T) -> Result<T, LedgerError> {
        Ok(read(&self.lock()))
    }

    fn write<T>(&self, write: Write, doing: &'static str, act: impl FnOnce(&mut Inner) -> T) -> Result<T, LedgerError> {
        let mut inner = self.lock();
        let failed = || LedgerError::Failed { doing, cause: "the simulation lets this write fail".into() };
        match (inner.fates)(write) {
            Fate::Written => Ok(act(&mut inner)),
            Fate::NotWritten => Err(failed()),
            Fate::WrittenButReportedFailed => {
                act(&mut inner);
                Err(failed())
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn admit(&self, commit: &Commit) -> Result<(), Committed> {
        let version = self.cases.get(&commit.referral).map_or(Version::NEW, |case| case.version);
        if version != commit.expected {
            return Err(Committed::Stale);
        }
        lawful(commit).map_err(Committed::Refused)?;
        match commit.owed.iter().find(|owed| self.delivery_ids.contains_key(&owed.id)) {
            Some(repeated) => Err(Committed::Refused(Refusal::DeliveryRepeated(repeated.id))),
            None => Ok(()),
        }
    }

    fn append(&mut self, kind: Kind, at: Moment, salt: &[u8; 32], record: &[u8]) -> u64 {
        let leaf = Leaf::new(kind.as_str(), at, salt, record);
        let index = self.frontier.size();
        let completed = self.frontier.append(leaf.hash());
        self.leaves.push((leaf, completed));
        index
    }

    /// Writes a step that may be written. Returns its leaf; its deliveries follow it in the log.
    fn apply(&mut self, commit: Commit) -> u64 {
        let number = self.cases.len() as u64 + 1;
        let case = self.cases.entry(commit.referral).or_insert_with(|| Case {
            number,
            version: Version::NEW,
            owner: commit.owner,
            state: Vec::new(),
            wake: None,
            open: true,
            waiting: None,
        });
        case.version = commit.expected.next();
        case.state = commit.state;
        case.wake = commit.wake.map(micros_not_before);
        case.open = commit.open;
        case.waiting = commit.waiting.map(|waiting| Waiting { since: to_the_micro(waiting.since), ..waiting });
        for content in commit.content {
            self.content.entry((commit.referral, content.id)).or_insert(content);
        }
        for told in commit.progress {
            let sequence = self.progress.entry(told.party).or_default();
            let (next, referral) = (sequence.len() as u64 + 1, commit.referral);
            sequence.push(Told { sequence: next, referral, at: to_the_micro(commit.at), body: told.body });
        }
        let salt = (self.salts)();
        let leaf = self.append(commit.kind, commit.at, &salt, &commit.record);
        self.records.insert(leaf, Record { referral: Some(commit.referral), bytes: commit.record });
        for owed in commit.owed {
            let salt = (self.salts)();
            let record = log::delivery_record(owed.id, &owed.routing_key, &owed.digest);
            let index = self.append(Kind::DELIVERY, commit.at, &salt, &record);
            self.delivery_ids.insert(owed.id, index);
            self.deliveries.insert(index, Sent { owed, salt: Some(salt), settled_at: None });
        }
        self.settle(commit.settles.as_slice(), commit.at);
        leaf
    }

    fn settle(&mut self, deliveries: &[DeliveryId], at: Moment) {
        for index in deliveries.iter().filter_map(|id| self.delivery_ids.get(id)) {
            if let Some(sent) = self.deliveries.get_mut(index).filter(|sent| sent.settled_at.is_none()) {
                sent.settled_at = Some(micros(at));
                sent.owed.body.clear();
            }
        }
    }

    fn seal(&mut self) {
        self.checkpoint = self.signer.checkpoint(&self.frontier);
    }

    fn recorded(&self, index: u64, sent: &Sent) -> Option<Recorded<Owed>> {
        let size = self.frontier.size();
        let path = log::inclusion(index, size, |subtree| {
            let (_, completed) =
                usize::try_from(subtree.last).ok().and_then(|at| self.leaves.get(at)).ok_or(Unproved::HashMissing)?;
            log::kept(completed, subtree.level).ok_or(Unproved::HashMissing)
        });
        let (leaf, _) = self.leaves.get(usize::try_from(index).ok()?)?;
        let proof = Proof {
            index,
            size,
            path: path.ok()?,
            salt: sent.salt?,
            at_micros: leaf.at_micros,
            checkpoint: self.checkpoint.clone(),
        };
        Some(Recorded { what: sent.owed.clone(), proof })
    }

    fn listed(&self, after: u64, limit: usize, is_wanted: impl Fn(&ReferralId, &Case) -> bool) -> Vec<Listed> {
        let wanted = self.cases.iter().filter(|(referral, case)| case.number > after && is_wanted(referral, case));
        let mut listed: Vec<Listed> = wanted
            .map(|(referral, case)| Listed {
                number: case.number,
                referral: *referral,
                open: case.open,
                version: case.version,
                state: case.state.clone(),
            })
            .collect();
        listed.sort_unstable_by_key(|listed| listed.number);
        listed.truncate(limit);
        listed
    }

    fn waiting_counts(&self, urgent: bool) -> WaitingCounts {
        let waiting = || self.cases.values().filter_map(|case| case.waiting).filter(|waiting| waiting.urgent == urgent);
        WaitingCounts { referrals: waiting().count() as u64, oldest: waiting().map(|waiting| waiting.since).min() }
    }

    fn unsettled(&self) -> impl Iterator<Item = (u64, &Sent)> {
        self.deliveries.iter().filter(|(_, sent)| sent.settled_at.is_none()).map(|(index, sent)| (*index, sent))
    }

    fn commit(&mut self, commits: Vec<Commit>) -> Vec<Committed> {
        // First everything is written, then one checkpoint covers it, and only then is anything answered.
        let mut stale = HashSet::new();
        let mut write = |commit: Commit| {
            // Another's step can leave the very version that this one expects of its own forerunner.
            if stale.contains(&commit.referral) {
                return Err(Committed::Stale);
            }
            let admitted = self.admit(&commit);
            if matches!(admitted, Err(Committed::Stale)) {
                stale.insert(commit.referral);
            }
            admitted.map(|()| self.apply(commit))
        };
        let written: Vec<Result<u64, Committed>> = commits.into_iter().map(&mut write).collect();
        self.seal();
        written
            .into_iter()
            .map(|written| match written {
                Ok(leaf) => Committed::Recorded { owed: self.deliveries_after(leaf), leaf },
                Err(not_written) => not_written,
            })
            .collect()
    }

    fn deliveries_after(&self, decision: u64) -> Vec<Recorded<Owed>> {
        (decision + 1..).map_while(|index| self.recorded(index, self.deliveries.get(&index)?)).collect()
    }

    fn release(&mut self, release: &Release) -> bool {
        let is_it = |message: &Quarantined| message.id == release.id && message.at == to_the_micro(release.seen);
        let number = self.quarantine.iter().find(|(_, message)| is_it(message)).map(|(number, _)| *number);
        let Some(message) = number.and_then(|number| self.quarantine.remove(&number)) else { return false };
        let bytes = ReleaseRecord::of(release, &message.bytes).bytes();
        let salt = (self.salts)();
        let leaf = self.append(Kind::RELEASED, release.at, &salt, &bytes);
        self.records.insert(leaf, Record { referral: None, bytes });
        self.seal();
        true
    }

    fn erase(&mut self, erasure: &Erasure) -> Erased {
        let of_it = |sent: &Sent| sent.owed.referral == erasure.referral;
        let open = self.cases.get(&erasure.referral).is_some_and(|case| case.open);
        if open || self.unsettled().any(|(_, sent)| of_it(sent)) {
            return Erased::StillOpen;
        }
        let records = self.records.iter().filter(|(_, record)| record.referral == Some(erasure.referral));
        let sent = self.deliveries.iter().filter(|(_, sent)| of_it(sent) && sent.salt.is_some());
        let mut leaves: Vec<u64> = records.map(|(index, _)| *index).chain(sent.map(|(index, _)| *index)).collect();
        if leaves.is_empty() {
            return Erased::Nothing;
        }
        leaves.sort_unstable();
        self.records.retain(|_, record| record.referral != Some(erasure.referral));
        self.content.retain(|(referral, _), _| *referral != erasure.referral);
        if let Some(case) = self.cases.get_mut(&erasure.referral) {
            case.waiting = None;
        }
        self.deliveries.values_mut().filter(|sent| of_it(sent)).for_each(|sent| sent.salt = None);
        for told in self.progress.values_mut().flatten().filter(|told| told.referral == erasure.referral) {
            told.body.clear();
        }
        let bytes = ErasureRecord::new(erasure, leaves).bytes();
        let salt = (self.salts)();
        let leaf = self.append(Kind::ERASED, erasure.at, &salt, &bytes);
        self.records.insert(leaf, Record { referral: None, bytes });
        self.seal();
        Erased::Leaf(leaf)
    }

    fn note(&mut self, note: &Note) -> u64 {
        let salt = (self.salts)();
        let leaf = self.append(note.kind, note.at, &salt, &note.record);
        self.records.insert(leaf, Record { referral: None, bytes: note.record.clone() });
        self.seal();
        leaf
    }
}

/// What is read back is what a ledger on disk would give back.
fn to_the_micro(at: Moment) -> Moment {
    moment(micros(at)).unwrap_or(at)
}

impl Ledger for MemoryLedger {
    async fn load(&self, referrals: &[ReferralId]) -> Result<Vec<Option<Stored>>, LedgerError> {
        self.read(|ledger| {
            let stored = |case: &Case| Stored { version: case.version, state: case.state.clone() };
            referrals.iter().map(|referral| ledger.cases.get(referral).map(stored)).collect()
        })
    }

    async fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Committed>, LedgerError> {
        self.write(Write::Commit, "record the step", |ledger| ledger.commit(commits))
    }

    async fn owed(&self, after: Option<u64>, limit: usize) -> Result<Vec<Recorded<Owed>>, LedgerError> {
        self.read(|ledger| {
            let next = ledger.unsettled().filter(|(index, _)| after.is_none_or(|after| *index > after));
            next.take(limit).filter_map(|(index, sent)| ledger.recorded(index, sent)).collect()
        })
    }

    async fn settle(&self, deliveries: Vec<DeliveryId>, at: Moment) -> Result<(), LedgerError> {
        self.write(Write::Settle, "settle what was delivered", |ledger| ledger.settle(&deliveries, at))
    }

    async fn overdue(&self, now: Moment, limit: usize) -> Result<Vec<ReferralId>, LedgerError> {
        self.read(|ledger| {
            let woken = |(id, case): (&ReferralId, &Case)| Some((case.wake?, case.number, *id));
            let mut due: Vec<_> = ledger.cases.iter().filter_map(woken).filter(|(wake, ..)| *wake <= micros(now)).collect();
            due.sort_unstable();
            due.into_iter().take(limit).map(|(_, _, id)| id).collect()
        })
    }

    async fn next_wake(&self) -> Result<Option<Moment>, LedgerError> {
        self.read(|ledger| ledger.cases.values().filter_map(|case| case.wake).min().and_then(moment))
    }

    async fn list(&self, owner: &str, after: u64, limit: usize) -> Result<Vec<Listed>, LedgerError> {
        self.read(|ledger| ledger.listed(after, limit, |_, case| case.owner == owner))
    }

    async fn received(&self, recipient: &str, after: u64, limit: usize) -> Result<Vec<Listed>, LedgerError> {
        self.read(|ledger| {
            let sent = ledger.deliveries.values().filter(|sent| sent.owed.routing_key == recipient);
            let sent: HashSet<ReferralId> = sent.map(|sent| sent.owed.referral).collect();
            ledger.listed(after, limit, |referral, _| sent.contains(referral))
        })
    }

    async fn unfinished(&self, after: u64, limit: usize) -> Result<Vec<Listed>, LedgerError> {
        self.read(|ledger| ledger.listed(after, limit, |_, case| case.open || case.wake.is_some()))
    }

    async fn waiting(&self, after: u64, limit: usize) -> Result<Vec<Listed>, LedgerError> {
        self.read(|ledger| ledger.listed(after, limit, |_, case| case.waiting.is_some()))
    }

    async fn progress(&self, party: &str, after: u64, limit: usize) -> Result<Vec<Told>, LedgerError> {
        self.read(|ledger| {
            let told = ledger.progress.get(party).into_iter().flatten();
            told.filter(|told| told.sequence > after).take(limit).cloned().collect()
        })
    }

    async fn told_about(&self, party: &str, referral: ReferralId) -> Result<Vec<Told>, LedgerError> {
        self.read(|ledger| {
            let told = ledger.progress.get(party).into_iter().flatten();
            told.filter(|told| told.referral == referral).cloned().collect()
        })
    }

    async fn find_delivery(&self, delivery: DeliveryId) -> Result<Option<Delivery>, LedgerError> {
        self.read(|ledger| {
            let leaf = *ledger.delivery_ids.get(&delivery)?;
            let sent = ledger.deliveries.get(&leaf)?;
            Some(Delivery {
                referral: sent.owed.referral,
                routing_key: sent.owed.routing_key.clone(),
                kind: sent.owed.kind.clone(),
                digest: sent.salt.map(|_| sent.owed.digest),
                leaf,
                settled_at: sent.settled_at.and_then(moment),
            })
        })
    }

    async fn content(&self, referral: ReferralId, id: Digest) -> Result<Option<Content>, LedgerError> {
        self.read(|ledger| ledger.content.get(&(referral, id)).cloned())
    }

    async fn latest_record(&self, referral: ReferralId) -> Result<Option<Decision>, LedgerError> {
        self.read(|ledger| {
            let (leaf, record) = ledger.records.iter().rev().find(|(_, record)| record.referral == Some(referral))?;
            let (entry, _) = ledger.leaves.get(usize::try_from(*leaf).ok()?)?;
            let at = moment(entry.at_micros)?;
            Some(Decision { leaf: *leaf, kind: entry.kind.clone(), at, record: record.bytes.clone() })
        })
    }

    async fn counts(&self) -> Result<Counts, LedgerError> {
        self.read(|ledger| {
            let oldest = ledger.unsettled().next().and_then(|(index, _)| ledger.leaves.get(usize::try_from(index).ok()?));
            Counts {
                open: ledger.cases.values().filter(|case| case.open).count() as u64,
                owed: ledger.unsettled().count() as u64,
                oldest_owed: oldest.and_then(|(leaf, _)| moment(leaf.at_micros)),
                quarantined: ledger.quarantine.len() as u64,
                waiting: ledger.waiting_counts(false),
                waiting_urgently: ledger.waiting_counts(true),
                leaves: ledger.frontier.size(),
            }
        })
    }

    async fn checkpoint(&self) -> Result<String, LedgerError> {
        self.read(|ledger| ledger.checkpoint.clone())
    }

    async fn quarantine(&self, message: Quarantined) -> Result<(), LedgerError> {
        self.write(Write::Quarantine, "keep a message in quarantine", |ledger| {
            let at = to_the_micro(message.at);
            match ledger.quarantine.values_mut().find(|kept| kept.id == message.id) {
                Some(kept) => (kept.at, kept.reason) = (at, message.reason),
                None => {
                    ledger.quarantined_so_far += 1;
                    ledger.quarantine.insert(ledger.quarantined_so_far, Quarantined { at, ..message });
                }
            }
        })
    }

    async fn quarantined(&self, after: u64, limit: usize) -> Result<Vec<QuarantinedEntry>, LedgerError> {
        self.read(|ledger| {
            let entry = |(number, message): (&u64, &Quarantined)| QuarantinedEntry {
                number: *number,
                id: message.id,
                queue: message.queue.clone(),
                reason: message.reason.clone(),
                at: message.at,
                length: message.bytes.len() as u64,
            };
            ledger.quarantine.iter().filter(|(number, _)| **number > after).take(limit).map(entry).collect()
        })
    }

    async fn quarantined_message(&self, id: uuid::Uuid) -> Result<Option<Quarantined>, LedgerError> {
        self.read(|ledger| ledger.quarantine.values().find(|message| message.id == id).cloned())
    }

    async fn release(&self, release: Release) -> Result<bool, LedgerError> {
        self.write(Write::Release, "release a message from quarantine", |ledger| ledger.release(&release))
    }

    async fn erase(&self, erasure: Erasure) -> Result<Erased, LedgerError> {
        self.write(Write::Erase, "erase a referral", |ledger| ledger.erase(&erasure))
    }

    async fn note(&self, note: Note) -> Result<u64, LedgerError> {
        self.write(Write::Note, "record what is true of the broker", |ledger| ledger.note(&note))
    }
}
