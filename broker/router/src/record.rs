//! Record: the ledger. A contract, and the roads to it in `record/`.
//!
//! What a recipient gets is recorded before it is sent: delivery takes nothing but a [`Recorded`],
//! and only a ledger makes one, with the proof that the record came first.
//! The ledger knows bytes, identifiers, times and roads. It knows no rule and no message format,
//! never asks the time, and never shows what it holds in an error or in `Debug`.

pub mod key;
pub mod memory;
pub mod sqlite;
pub mod verify;

use std::fmt;
use std::future::Future;
use std::ops::Deref;

/// The log itself, which recipients verify with too.
pub use evidence as log;
pub use evidence::{DeliveryId, Digest, Moment, Proof};

/// The name of a referral.
pub type ReferralId = uuid::Uuid;
/// Where salts come from. Chance is the shell's to give; a simulation gives a seeded one.
pub type Salts = Box<dyn FnMut() -> [u8; 32] + Send>;

/// How often a referral was written. Zero: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// Of a referral the ledger has never seen.
    pub const NEW: Version = Version(0);

    /// What a commit that expected this one leaves behind.
    pub fn next(self) -> Version {
        Version(self.0.saturating_add(1))
    }
}

/// What a leaf of the log is about. It stands in the open part of the log, so it says nothing of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind(&'static str);

impl Kind {
    /// A step of a case that was decided.
    pub const DECISION: Kind = Kind("decision");
    /// Which rules are in force.
    pub const RULES: Kind = Kind("rules");
    /// Which directory is in use.
    pub const DIRECTORY: Kind = Kind("directory");
    pub(crate) const DELIVERY: Kind = Kind(evidence::DELIVERY);
    pub(crate) const ERASED: Kind = Kind("erased");
    pub(crate) const RELEASED: Kind = Kind("released");

    /// A kind of the caller's own: lower-case letters and hyphens, 32 at most, and not one the
    /// ledger writes itself. Meant for constants, where a bad name does not compile.
    pub const fn named(name: &'static str) -> Kind {
        let bytes = name.as_bytes();
        assert!(!bytes.is_empty() && bytes.len() <= 32, "a kind has 1 to 32 letters");
        let mut at = 0;
        while at < bytes.len() {
            assert!(bytes[at].is_ascii_lowercase() || bytes[at] == b'-', "a kind is lower-case letters and hyphens");
            at += 1;
        }
        let ours = same(bytes, b"delivery") || same(bytes, b"erased") || same(bytes, b"released");
        assert!(!ours, "the ledger writes this kind itself");
        Kind(name)
    }

    /// The word itself.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// One step of one referral, recorded whole or not at all.
#[derive(Clone, PartialEq, Eq)]
pub struct Commit {
    /// Whose step.
    pub referral: ReferralId,
    /// The version the step was decided on. Another one in the ledger makes the commit [`Committed::Stale`].
    pub expected: Version,
    /// The party whose list shows the referral. Set by the first commit; later ones leave it as it is.
    pub owner: String,
    /// The case after the step. It holds no personal data.
    pub state: Vec<u8>,
    /// When the case wants to be woken next.
    pub wake: Option<Moment>,
    /// Whether the case is still open.
    pub open: bool,
    /// Whether something of it waits for a person.
    pub waiting: Option<Waiting>,
    /// Personal content, kept apart so that it can be erased. Writing the same one again changes nothing.
    pub content: Vec<Content>,
    /// The decision in full. Erasable: the log keeps only a salted commitment to it.
    pub record: Vec<u8>,
    /// What the decision's leaf is about.
    pub kind: Kind,
    /// When it was decided.
    pub at: Moment,
    /// What has to be delivered because of it, in order.
    pub owed: Vec<Owed>,
    /// What parties are told about it, in order.
    pub progress: Vec<Progress>,
    /// The delivery that its queue has confirmed, where that is what happened: settled with the step that says so.
    pub settles: Option<DeliveryId>,
}

/// Something waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Since when.
    pub since: Moment,
    /// It cannot wait.
    pub urgent: bool,
}

/// A piece of personal content.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// Its digest, by which the case refers to it.
    pub id: Digest,
    /// What sort of content it is.
    pub kind: String,
    /// The content.
    pub bytes: Vec<u8>,
}

/// One message that has to reach one recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct Owed {
    /// Its id, stable for ever: a repeat carries the same.
    pub id: DeliveryId,
    /// Of which referral.
    pub referral: ReferralId,
    /// Its place among the deliveries of the referral, for the recipient to see.
    pub order: u64,
    /// The exchange it goes to.
    pub exchange: String,
    /// The routing key: the recipient's endpoint.
    pub routing_key: String,
    /// What sort of delivery it is.
    pub kind: String,
    /// The media type of the body.
    pub content_type: String,
    /// Headers. Never personal.
    pub headers: Vec<(String, String)>,
    /// The body. Dropped by the ledger once settled.
    pub body: Vec<u8>,
    /// SHA-256 of the body.
    pub digest: Digest,
}

/// Something a party is told. Each party has its own sequence, without gaps, from 1.
#[derive(Clone, PartialEq, Eq)]
pub struct Progress {
    /// Who is told.
    pub party: String,
    /// What.
    pub body: Vec<u8>,
}

/// A case as it was last written.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its version.
    pub version: Version,
    /// The case.
    pub state: Vec<u8>,
}

/// What became of one commit.
#[derive(Debug)]
#[must_use]
pub enum Committed {
    /// Written, and it survives a power cut.
    Recorded {
        /// What may now be delivered, in the order it was owed.
        owed: Vec<Recorded<Owed>>,
        /// The decision's place in the log.
        leaf: u64,
    },
    /// Somebody else wrote the referral in between. Nothing of the commit was written: load and decide again.
    Stale,
    /// The commit breaks a law of the ledger and always will. Nothing of it was written.
    Refused(Refusal),
}

/// Why a commit can never be recorded. A mistake of ours, so it names the delivery and no one else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A delivery id is for ever.
    #[error("delivery {0} was recorded before, or twice in this commit")]
    DeliveryRepeated(DeliveryId),
    /// The commitment would be to something else than what is sent.
    #[error("delivery {0}: the digest is not the SHA-256 of the body")]
    DigestDiffers(DeliveryId),
    /// A commit speaks of one referral.
    #[error("delivery {0} belongs to another referral than the commit")]
    OfAnotherReferral(DeliveryId),
}

/// Proof that `T` was recorded: it is covered by a signed checkpoint that survived the commit.
///
/// Only a ledger can make one. Delivery takes nothing else, so what was not recorded cannot be sent:
///
/// ```compile_fail,E0451
/// use router::record::{Owed, Proof, Recorded};
/// fn forge(what: Owed, proof: Proof) -> Recorded<Owed> {
///     Recorded { what, proof }
/// }
/// ```
///
/// Nor can one be filled with something else afterwards:
///
/// ```compile_fail,E0594
/// use router::record::{Owed, Recorded};
/// fn tamper(mut recorded: Recorded<Owed>) {
///     recorded.body = vec![];
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded<T> {
    what: T,
    proof: Proof,
}

impl<T> Recorded<T> {
    /// What a recipient needs to check that the record came first.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Gives up the guarantee and keeps the rest.
    pub fn into_parts(self) -> (T, Proof) {
        (self.what, self.proof)
    }
}

impl<T> Deref for Recorded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.what
    }
}

/// One line of a party's list of referrals.
#[derive(Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its place in the ledger; hand the last one back to get the next page.
    pub number: u64,
    /// The referral.
    pub referral: ReferralId,
    /// Whether it is still open.
    pub open: bool,
    /// Its version.
    pub version: Version,
    /// The case.
    pub state: Vec<u8>,
}

/// Something a party was told.
#[derive(Clone, PartialEq, Eq)]
pub struct Told {
    /// The party's own count, from 1.
    pub sequence: u64,
    /// About which referral.
    pub referral: ReferralId,
    /// When it was recorded.
    pub at: Moment,
    /// What. Empty once the referral was erased.
    pub body: Vec<u8>,
}

/// What is known of a delivery, sent or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Of which referral.
    pub referral: ReferralId,
    /// To which endpoint.
    pub routing_key: String,
    /// What sort of delivery.
    pub kind: String,
    /// SHA-256 of its body; gone once the referral was erased.
    pub digest: Option<Digest>,
    /// Its place in the log.
    pub leaf: u64,
    /// When it was settled, if it was.
    pub settled_at: Option<Moment>,
}

/// A decision as it was recorded.
#[derive(Clone, PartialEq, Eq)]
pub struct Decision {
    /// Its place in the log.
    pub leaf: u64,
    /// What its leaf is about.
    pub kind: String,
    /// When it was decided.
    pub at: Moment,
    /// The decision in full.
    pub record: Vec<u8>,
}

/// For the gauges. Numbers only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Referrals still open.
    pub open: u64,
    /// Deliveries recorded and not settled.
    pub owed: u64,
    /// When the oldest of those was recorded.
    pub oldest_owed: Option<Moment>,
    /// Messages in quarantine.
    pub quarantined: u64,
    /// What waits for a person and can wait.
    pub waiting: WaitingCounts,
    /// What waits for a person and cannot.
    pub waiting_urgently: WaitingCounts,
    /// Leaves in the log.
    pub leaves: u64,
}

/// What waits for a person, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitingCounts {
    /// How many referrals.
    pub referrals: u64,
    /// Since when the longest of them.
    pub oldest: Option<Moment>,
}

/// A message nobody could read or process, as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its name here; the same message gets the same one, so keeping it twice keeps it once.
    pub id: uuid::Uuid,
    /// The queue it came from.
    pub queue: String,
    /// Why it is here, quoting nothing of it.
    pub reason: String,
    /// Since when.
    pub at: Moment,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub bytes: Vec<u8>,
}

/// A message in quarantine as an operator may see it: without content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedEntry {
    /// Its place; hand the last one back to get the next page.
    pub number: u64,
    /// Its name.
    pub id: uuid::Uuid,
    /// The queue it came from.
    pub queue: String,
    /// Why it is here.
    pub reason: String,
    /// Since when.
    pub at: Moment,
    /// How long its body is, in bytes.
    pub length: u64,
}

/// Something about the broker itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What its leaf is about.
    pub kind: Kind,
    /// What it says, in full. No personal data.
    pub record: Vec<u8>,
    /// Since when.
    pub at: Moment,
}

/// Who let a message out of quarantine, and why. Kept, and committed to in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Which message.
    pub id: uuid::Uuid,
    /// When it had been put aside, as whoever lets it out saw it.
    pub seen: Moment,
    /// On whose word.
    pub by: String,
    /// For what reason. Not about the child.
    pub reason: String,
    /// When.
    pub at: Moment,
}

/// Who erased a referral's content, and why. Kept, and committed to in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Whose content goes.
    pub referral: ReferralId,
    /// On whose word.
    pub by: String,
    /// For what reason. Not about the child.
    pub reason: String,
    /// When.
    pub at: Moment,
}

/// What became of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Erased {
    /// The content, the decisions and the salts are gone; this leaf says so.
    Leaf(u64),
    /// Nothing was erased: no such referral, or it was erased before.
    Nothing,
    /// Nothing was erased: the referral is still open, or something of it is still owed.
    StillOpen,
}

/// Why the ledger did not answer. Never what it holds.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Whether the write happened is unknown. Load again before deciding again.
    #[error("the ledger could not {doing}")]
    Failed {
        /// What was asked of it.
        doing: &'static str,
        /// What went wrong.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Somebody else has it.
    #[error("the ledger {path} is in use by {holder}; stop that first, or give this one a ledger of its own")]
    InUse {
        /// Which ledger.
        path: String,
        /// By whom, as far as can be told.
        holder: String,
    },
    /// It is not what was written.
    #[error("the ledger {path} is damaged: {what}; run `safeguarding-broker ledger verify`, and do not delete it")]
    Damaged {
        /// Which ledger.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// A newer program wrote it.
    #[error("the ledger {path} has format {found}, this program knows up to {known}; run the newer program")]
    TooNew {
        /// Which ledger.
        path: String,
        /// Its format.
        found: u32,
        /// The newest known here.
        known: u32,
    },
    /// The key file is not one.
    #[error("the signing key {path}: {what}")]
    Key {
        /// Which file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// It was closed.
    #[error("the ledger is closed")]
    Closed,
}

/// The ledger.
///
/// On return of a write it survives a power cut. After an error it is unknown whether the write
/// happened; asking again is always safe: a commit that did happen is then `Stale`, and what it
/// owes comes with `owed`. Handles are cheap to clone and share one ledger.
pub trait Ledger: Clone + Send + Sync + 'static {
    /// The cases, in the order asked for.
    fn load(&self, referrals: &[ReferralId]) -> impl Future<Output = Result<Vec<Option<Stored>>, LedgerError>> + Send;

    /// Records steps, in order, each whole or not at all, and answers in the same order. Two steps
    /// of one referral may stand in one call; the second expects the version the first leaves, and
    /// is stale with it: what it stands on was not written, whatever the version says by then.
    fn commit(&self, commits: Vec<Commit>) -> impl Future<Output = Result<Vec<Committed>, LedgerError>> + Send;

    /// Everything recorded and not settled, in the order it was recorded. `after` is the
    /// `proof().index` of the last one of the page before.
    fn owed(&self, after: Option<u64>, limit: usize) -> impl Future<Output = Result<Vec<Recorded<Owed>>, LedgerError>> + Send;

    /// These reached their queues. Settling again, or settling what is unknown, changes nothing.
    fn settle(&self, deliveries: Vec<DeliveryId>, at: Moment) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Cases whose wake has come, the longest overdue first.
    fn overdue(&self, now: Moment, limit: usize) -> impl Future<Output = Result<Vec<ReferralId>, LedgerError>> + Send;

    /// When the next case wants to be woken.
    fn next_wake(&self) -> impl Future<Output = Result<Option<Moment>, LedgerError>> + Send;

    /// A party's referrals, oldest first, after the given number.
    fn list(&self, owner: &str, after: u64, limit: usize) -> impl Future<Output = Result<Vec<Listed>, LedgerError>> + Send;

    /// Of which a recipient was sent something, in the order of arrival, after the given number.
    fn received(
        &self,
        recipient: &str,
        after: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Listed>, LedgerError>> + Send;

    /// What is open still or wants to be woken, in the order of arrival, after the given number.
    fn unfinished(&self, after: u64, limit: usize) -> impl Future<Output = Result<Vec<Listed>, LedgerError>> + Send;

    /// What waits for a person, in the order of arrival, after the given number.
    fn waiting(&self, after: u64, limit: usize) -> impl Future<Output = Result<Vec<Listed>, LedgerError>> + Send;

    /// What a party was told after the given sequence number.
    fn progress(&self, party: &str, after: u64, limit: usize) -> impl Future<Output = Result<Vec<Told>, LedgerError>> + Send;

    /// What a party was told about one referral, in order.
    fn told_about(&self, party: &str, referral: ReferralId) -> impl Future<Output = Result<Vec<Told>, LedgerError>> + Send;

    /// What is known of a delivery.
    fn find_delivery(&self, delivery: DeliveryId) -> impl Future<Output = Result<Option<Delivery>, LedgerError>> + Send;

    /// A piece of a referral's content.
    fn content(&self, referral: ReferralId, id: Digest) -> impl Future<Output = Result<Option<Content>, LedgerError>> + Send;

    /// A referral's last decision.
    fn latest_record(&self, referral: ReferralId) -> impl Future<Output = Result<Option<Decision>, LedgerError>> + Send;

    /// For the gauges.
    fn counts(&self) -> impl Future<Output = Result<Counts, LedgerError>> + Send;

    /// The last signed checkpoint, as a note for anyone to keep.
    fn checkpoint(&self) -> impl Future<Output = Result<String, LedgerError>> + Send;

    /// Keeps a message nobody could read. Kept again, it is the same message, put aside later.
    fn quarantine(&self, message: Quarantined) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// What is in quarantine, without content, oldest first, after the given number.
    fn quarantined(&self, after: u64, limit: usize) -> impl Future<Output = Result<Vec<QuarantinedEntry>, LedgerError>> + Send;

    /// One message in quarantine, whole, to be replayed.
    fn quarantined_message(&self, id: uuid::Uuid) -> impl Future<Output = Result<Option<Quarantined>, LedgerError>> + Send;

    /// Removes a message from quarantine and records who let it out; true if it was there, and had not been put aside
    /// once more since it was looked at.
    fn release(&self, release: Release) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Removes the content, the decisions and the salts of a closed referral, which then waits for nobody. The log
    /// still verifies.
    fn erase(&self, erasure: Erasure) -> impl Future<Output = Result<Erased, LedgerError>> + Send;

    /// Records something about the broker itself, such as which rules are in force. It belongs to no referral, says
    /// nothing of anybody, and is kept for ever. Answers with its place in the log.
    fn note(&self, note: Note) -> impl Future<Output = Result<u64, LedgerError>> + Send;
}

/// The laws a commit must keep by itself, whatever the ledger holds.
pub(crate) fn lawful(commit: &Commit) -> Result<(), Refusal> {
    let mut seen = std::collections::HashSet::with_capacity(commit.owed.len());
    for owed in &commit.owed {
        if owed.referral != commit.referral {
            return Err(Refusal::OfAnotherReferral(owed.id));
        }
        if log::digest(&owed.body) != owed.digest {
            return Err(Refusal::DigestDiffers(owed.id));
        }
        if !seen.insert(owed.id) {
            return Err(Refusal::DeliveryRepeated(owed.id));
        }
    }
    Ok(())
}

/// What an erasure's leaf commits to: who, why, and which leaves lost their record. Kept for ever,
/// so that the verifier can tell what was erased from what was removed.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct ErasureRecord {
    pub referral: String,
    pub by: String,
    pub reason: String,
    pub leaves: Vec<u64>,
}

impl ErasureRecord {
    pub(crate) fn new(erasure: &Erasure, leaves: Vec<u64>) -> ErasureRecord {
        ErasureRecord { referral: erasure.referral.to_string(), by: erasure.by.clone(), reason: erasure.reason.clone(), leaves }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        // Text and numbers only: writing these as JSON cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What a release's leaf commits to. Like an erasure's it belongs to no referral, so it is kept for ever.
#[derive(serde::Serialize)]
pub(crate) struct ReleaseRecord<'a> {
    message: String,
    digest: String,
    by: &'a str,
    reason: &'a str,
}

impl<'a> ReleaseRecord<'a> {
    pub(crate) fn of(release: &'a Release, body: &[u8]) -> ReleaseRecord<'a> {
        let digest = referral::Digest::from_bytes(log::digest(body)).to_string();
        ReleaseRecord { message: release.id.to_string(), digest, by: &release.by, reason: &release.reason }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        // Text only: writing it as JSON cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

pub(crate) use evidence::micros;

/// The same, rounded up: nobody is woken before the time.
pub(crate) fn micros_not_before(at: Moment) -> i64 {
    let whole = at.as_microsecond();
    let exact = Moment::from_microsecond(whole).is_ok_and(|floor| floor >= at);
    if exact { whole } else { whole.saturating_add(1) }
}

/// Back again. Nothing we wrote is out of range, so what is out of range is not ours.
pub(crate) fn moment(micros: i64) -> Option<Moment> {
    Moment::from_microsecond(micros).ok()
}

// What a child or a worker wrote is in these; `Debug` shows how long it is, and no more.
macro_rules! debug_without_content {
    ($($name:ident { $($shown:ident),* ; $($hidden:ident),* })*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($shown), &self.$shown))*
                    $(.field(stringify!($hidden), &format_args!("{} withheld", self.$hidden.len())))*
                    .finish()
            }
        }
    )*};
}

debug_without_content! {
    Commit { referral, expected, wake, open, waiting, kind, at, owed, progress ; owner, state, content, record }
    Content { kind ; bytes }
    Owed { id, referral, order, exchange, routing_key, kind, content_type ; headers, body }
    Progress { party ; body }
    Stored { version ; state }
    Listed { number, referral, open, version ; state }
    Told { sequence, referral, at ; body }
    Decision { leaf, kind, at ; record }
    Quarantined { id, queue, at ; reason, headers, bytes }
}
