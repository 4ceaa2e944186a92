//! The verifier: recomputes everything and names, in plain English, every entry that was altered,
//! is missing or changed its place. It trusts the ledger's public key and nothing in the file.
//!
//! It works on a ledger's database, also while the broker runs, and on a bundle exported from one,
//! which needs no database and no broker. Until somebody else keeps checkpoints, whoever holds the
//! signing key could rewrite the whole log; a checkpoint seen earlier, handed in, shows that too.
//!
//! What it says is for operators: indexes, sizes and referral ids, never what a record holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{BufRead, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rusqlite::{Connection, OpenFlags, Row};
use serde::{Deserialize, Serialize};

use super::log::{self, Checkpoint, Frontier, Hash, Leaf, PublicKey, Unproved};
use super::{ErasureRecord, Kind, LedgerError, ReferralId};

/// So many faults are told one by one; the rest is counted.
const FAULTS_TOLD_MAX: usize = 200;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The entry, when it is known which; the first, when it is one among several.
    pub entry: Option<u64>,
    /// What is wrong, as a sentence.
    pub what: String,
}

/// What the verifier found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries read.
    pub entries: u64,
    /// Checkpoints read.
    pub checkpoints: u64,
    /// Entries whose record was erased, as a later entry says.
    pub erased: u64,
    /// Entries whose record is not in the bundle, because it was exported without.
    pub closed: u64,
    /// The last checkpoint that can be believed: worth keeping, to be handed in next time.
    pub checkpoint: Option<String>,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// How many more faults there are than are told.
    pub more_faults: u64,
}

impl Report {
    /// Whether everything is as it was written.
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }

    fn fault(&mut self, entry: Option<u64>, what: String) {
        if self.faults.len() < FAULTS_TOLD_MAX {
            self.faults.push(Fault { entry, what });
        } else {
            self.more_faults += 1;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { entries, checkpoints, erased, closed, .. } = self;
        write!(f, "{entries} entries under {checkpoints} checkpoints; {erased} erased")?;
        if *closed > 0 {
            write!(f, "; {closed} without their record here")?;
        }
        if self.holds() {
            return write!(f, ".\nNothing was altered, dropped or reordered.");
        }
        write!(f, ".\nThis log is not as it was written:")?;
        for fault in &self.faults {
            write!(f, "\n- {}", fault.what)?;
        }
        if self.more_faults > 0 {
            write!(f, "\n- and {} more faults", self.more_faults)?;
        }
        Ok(())
    }
}

// ---------------------------------------------------------------------------------------------
// The audit: entries and checkpoints go by in order; a log of any length needs little memory.

/// What goes by: a line of a bundle, or the same read from a database.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    /// First: what this is, and whose records are in it ("all", "none" or one referral's id).
    Ledger {
        format: String,
        records: String,
    },
    Entry(Entry),
    Checkpoint {
        size: u64,
        note: String,
    },
    /// Last: so that a bundle cut short is noticed.
    End {
        entries: u64,
    },
}

/// One entry as it is found, before anything of it is believed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    index: u64,
    kind: String,
    at_micros: i64,
    #[serde(with = "in_base64")]
    commitment: Vec<u8>,
    /// The hashes kept with it in the database; a bundle leaves them to be recomputed.
    #[serde(skip)]
    completed: Option<Vec<u8>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<Record>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivery: Option<Delivery>,
}

/// What an entry commits to.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    #[serde(with = "in_base64")]
    salt: Vec<u8>,
    #[serde(with = "in_base64")]
    bytes: Vec<u8>,
}

/// What a delivery's entry commits to.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivery {
    id: String,
    recipient: String,
    #[serde(with = "in_base64")]
    digest: Vec<u8>,
    #[serde(with = "in_base64")]
    salt: Vec<u8>,
}

mod in_base64 {
    use super::{BASE64, Engine};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        BASE64.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Entry {
    /// The salt and the record its commitment has to open with, if they are there.
    fn opening(self) -> Option<(Vec<u8>, Vec<u8>)> {
        if self.kind != Kind::DELIVERY.as_str() {
            return self.record.map(|record| (record.salt, record.bytes));
        }
        let delivery = self.delivery?;
        // A digest that is not one opens nothing, which is then said.
        let digest = delivery.digest.try_into().unwrap_or_default();
        Some((delivery.salt, log::delivery_record(delivery.id.parse().ok()?, &delivery.recipient, &digest)))
    }
}

struct Audit<'a> {
    key: &'a PublicKey,
    seen: Option<Checkpoint>,
    /// Whether some records were left out on purpose.
    partial: bool,
    report: Report,
    frontier: Frontier,
    /// Set once the tree cannot be recomputed any further, because an entry is missing or differs.
    tree_is_lost: bool,
    /// Everything before was found under a checkpoint whose root is right.
    sound_up_to: u64,
    covered_up_to: u64,
    unopened: BTreeSet<u64>,
    erased: BTreeSet<u64>,
    erased_referrals: BTreeSet<String>,
    /// Entries that do not open, with what they and their openings say, to find out who changed places.
    mismatched: BTreeMap<u64, (Hash, Vec<u8>, Vec<u8>)>,
}

impl<'a> Audit<'a> {
    fn new(key: &'a PublicKey, seen: Option<&str>) -> Result<Audit<'a>, Unproved> {
        let seen = seen.map(|note| Checkpoint::open(note, key)).transpose()?;
        let mut audit = Audit {
            key,
            seen,
            partial: false,
            report: Report::default(),
            frontier: Frontier::default(),
            tree_is_lost: false,
            sound_up_to: 0,
            covered_up_to: 0,
            unopened: BTreeSet::new(),
            erased: BTreeSet::new(),
            erased_referrals: BTreeSet::new(),
            mismatched: BTreeMap::new(),
        };
        audit.compare_with_seen();
        Ok(audit)
    }

    fn line(&mut self, line: Line) {
        match line {
            Line::Entry(entry) => self.entry(entry),
            Line::Checkpoint { size, note } => self.checkpoint(size, &note),
            Line::Ledger { .. } | Line::End { .. } => {}
        }
    }

    fn entry(&mut self, entry: Entry) {
        let index = entry.index;
        let expected = self.report.entries;
        if index < expected {
            return self.report.fault(Some(index), format!("entry {index} stands here a second time"));
        }
        if index > expected {
            self.report.fault(Some(expected), format!("{} missing", entries_are(expected, index)));
            self.tree_is_lost = true;
        }
        self.report.entries = index + 1;
        let Ok(commitment) = Hash::try_from(entry.commitment.as_slice()) else {
            self.tree_is_lost = true;
            return self.report.fault(Some(index), format!("entry {index} was altered: its commitment is not a hash"));
        };
        let leaf = Leaf { kind: entry.kind.clone(), at_micros: entry.at_micros, commitment };
        self.grow(index, &leaf, entry.completed.as_deref());
        self.open(index, commitment, entry);
        self.compare_with_seen();
    }

    /// Adds the entry to the tree and compares the hashes that were kept with it.
    fn grow(&mut self, index: u64, leaf: &Leaf, completed: Option<&[u8]>) {
        let hash = leaf.hash();
        if self.tree_is_lost {
            // The tree is not known any more, but an entry still has its own hash.
            if completed.is_some_and(|kept| !kept.starts_with(&hash)) {
                self.report.fault(Some(index), altered(index));
            }
            return;
        }
        let ours = self.frontier.append(hash);
        let Some(kept) = completed else { return };
        if kept == ours.concat() {
            return;
        }
        self.tree_is_lost = true;
        if !kept.starts_with(&hash) {
            return self.report.fault(Some(index), altered(index));
        }
        if kept.len() != ours.len() * 32 {
            let what = format!("entry {index} was moved: it was not made for the place it stands in");
            return self.report.fault(Some(index), what);
        }
        let level = kept.chunks(32).zip(&ours).position(|(kept, ours)| kept != ours).unwrap_or(ours.len());
        let first = index + 1 - (1_u64 << level.min(63)).min(index + 1);
        self.report
            .fault(Some(first), format!("{} altered or moved: the hash kept over them is another one", one_among(first, index)));
    }

    /// Checks what the entry commits to.
    fn open(&mut self, index: u64, commitment: Hash, entry: Entry) {
        let is_erasure = entry.kind == Kind::ERASED.as_str();
        match entry.opening() {
            None if self.partial => self.report.closed += 1,
            None => drop(self.unopened.insert(index)),
            Some((salt, record)) if !opens(&commitment, &salt, &record) => {
                self.mismatched.insert(index, (commitment, salt, record));
            }
            Some((_, record)) if is_erasure => self.note_erasure(index, &record),
            Some(_) => {}
        }
    }

    fn note_erasure(&mut self, index: u64, record: &[u8]) {
        match serde_json::from_slice::<ErasureRecord>(record) {
            Ok(erasure) => {
                self.erased.extend(erasure.leaves);
                self.erased_referrals.insert(erasure.referral);
            }
            Err(_) => self.report.fault(Some(index), format!("entry {index} is an erasure that cannot be read")),
        }
    }

    fn checkpoint(&mut self, size: u64, note: &str) {
        self.report.checkpoints += 1;
        let checkpoint = match Checkpoint::open(note, self.key) {
            Ok(checkpoint) => checkpoint,
            Err(because) => {
                let what = format!("the checkpoint over {size} entries was altered: {because}");
                return self.report.fault(size.checked_sub(1), what);
            }
        };
        if checkpoint.size != size {
            let what = format!("the checkpoint over {} entries stands in the place of the one over {size}", checkpoint.size);
            return self.report.fault(size.checked_sub(1), what);
        }
        self.covered_up_to = self.covered_up_to.max(size);
        self.report.checkpoint = Some(note.to_owned());
        if self.tree_is_lost || self.frontier.size() != size {
            return;
        }
        if checkpoint.root == self.frontier.root() {
            self.sound_up_to = size;
        } else {
            self.tree_is_lost = true;
            let first = self.sound_up_to;
            let what = format!(
                "{} altered or moved: the checkpoint over {size} entries was signed over something else",
                one_among(first, size.saturating_sub(1))
            );
            self.report.fault(Some(first), what);
        }
    }

    fn compare_with_seen(&mut self) {
        let Some(seen) = self.seen.as_ref().filter(|seen| !self.tree_is_lost && seen.size == self.frontier.size()) else {
            return;
        };
        if seen.root != self.frontier.root() {
            let what = format!(
                "{} altered or moved since the checkpoint over {} entries was seen: this is not the log that was seen then",
                one_among(0, seen.size.saturating_sub(1)),
                seen.size
            );
            self.report.fault(Some(0), what);
        }
        self.seen = None;
    }

    fn finish(mut self) -> (Report, BTreeSet<String>) {
        let entries = self.report.entries;
        if let Some(seen) = self.seen.take().filter(|seen| seen.size > entries) {
            let what = format!(
                "{} missing: a checkpoint seen earlier covers {} entries, and the log has {entries}",
                entries_are(entries, seen.size),
                seen.size
            );
            self.report.fault(Some(entries), what);
        }
        if self.covered_up_to > entries {
            let what = format!(
                "{} missing: the last checkpoint covers {} entries, and the log has {entries}",
                entries_are(entries, self.covered_up_to),
                self.covered_up_to
            );
            self.report.fault(Some(entries), what);
        }
        if self.covered_up_to < entries {
            let what = format!("{} not covered by any checkpoint", entries_are(self.covered_up_to, entries));
            self.report.fault(Some(self.covered_up_to), what);
        }
        for index in &self.unopened {
            if !self.erased.contains(index) {
                let what = format!("entry {index}: what it commits to is missing, and no erasure says so");
                self.report.fault(Some(*index), what);
            }
        }
        self.report.erased = self.unopened.intersection(&self.erased).count() as u64;
        self.name_mismatches();
        self.report.faults.sort_by_key(|fault| fault.entry.unwrap_or(u64::MAX));
        (self.report, self.erased_referrals)
    }

    fn name_mismatches(&mut self) {
        // Few are compared with each other: when very many do not open, it is not that two changed places.
        let comparable = self.mismatched.len() <= 64;
        for (index, (commitment, _, _)) in &self.mismatched {
            let fits = |(_, salt, record): &(Hash, Vec<u8>, Vec<u8>)| opens(commitment, salt, record);
            let other = self.mismatched.iter().find(|(other, opening)| comparable && *other != index && fits(opening));
            let what = match other {
                Some((other, _)) => {
                    format!("entry {index} was moved: it commits to what stands at entry {other}")
                }
                None => format!("entry {index} was altered: it does not commit to the record and salt that stand with it"),
            };
            self.report.fault(Some(*index), what);
        }
    }
}

fn opens(commitment: &Hash, salt: &[u8], record: &[u8]) -> bool {
    <[u8; 32]>::try_from(salt).is_ok_and(|salt| log::commitment(&salt, record) == *commitment)
}

fn altered(index: u64) -> String {
    format!("entry {index} was altered: its hash is not the one that was kept")
}

/// Names the entries from `first` up to and without `end`.
fn entries_are(first: u64, end: u64) -> String {
    match end.saturating_sub(first) {
        0 | 1 => format!("entry {first} is"),
        _ => format!("entries {first} to {} are", end - 1),
    }
}

fn one_among(first: u64, last: u64) -> String {
    if first >= last { format!("entry {last} was") } else { format!("one of the entries {first} to {last} was") }
}

// ---------------------------------------------------------------------------------------------
// From a database

fn failed(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LedgerError {
    LedgerError::Failed { doing: "be read by the verifier", cause: cause.into() }
}

/// Verifies a ledger's database against its public key and, if there is one, against a checkpoint
/// that was seen earlier. Reads one moment of the ledger; the broker may go on writing.
pub fn verify(path: &Path, key: &PublicKey, seen: Option<&str>) -> Result<Report, LedgerError> {
    let mut connection = read_only(path)?;
    let snapshot = connection.transaction().map_err(failed)?;
    let mut audit = Audit::new(key, seen).map_err(useless)?;
    walk(
        &snapshot,
        |_| true,
        |line| {
            audit.line(line);
            Ok(())
        },
    )?;
    let (mut report, erased_referrals) = audit.finish();
    cross_check(&snapshot, &mut report, &erased_referrals).map_err(failed)?;
    Ok(report)
}

fn useless(because: Unproved) -> LedgerError {
    failed(format!("the checkpoint seen earlier is of no use: {because}"))
}

fn read_only(path: &Path) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
    Ok(connection)
}

/// Hands over the log in order, each checkpoint after the last entry it covers. Records are given
/// only of the referrals that are `wanted`; an erasure's own record belongs to none and always goes.
fn walk(
    snapshot: &Connection,
    wanted: impl Fn(Option<ReferralId>) -> bool,
    mut hand_over: impl FnMut(Line) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let mut checkpoints = snapshot.prepare("SELECT size, note FROM checkpoint ORDER BY size").map_err(failed)?;
    let checkpoint = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get(1)?));
    let mut checkpoints = checkpoints.query_map([], checkpoint).map_err(failed)?.peekable();
    let mut entries = snapshot
        .prepare(
            "SELECT position, leaf.kind, leaf.at, commitment, completed, record.referral, record.salt, bytes,
                    delivery.referral, delivery.salt, delivery.id, recipient, digest
             FROM leaf LEFT JOIN record ON record.leaf = position LEFT JOIN delivery ON delivery.leaf = position
             WHERE position >= 0 ORDER BY position",
        )
        .map_err(failed)?;
    let mut rows = entries.query([]).map_err(failed)?;
    loop {
        let row = rows.next().map_err(failed)?;
        let position = row.map(|row| row.get::<_, i64>(0)).transpose().map_err(failed)?;
        // Those that cover what went by; after the last entry, all that are left.
        let is_due = |next: &Result<(i64, String), _>| match (next, position) {
            (Ok((size, _)), Some(position)) => *size <= position,
            _ => true,
        };
        while let Some(next) = checkpoints.next_if(is_due) {
            let (size, note) = next.map_err(failed)?;
            hand_over(Line::Checkpoint { size: u64::try_from(size).unwrap_or(0), note })?;
        }
        let Some(row) = row else { return Ok(()) };
        hand_over(Line::Entry(entry(row, &wanted).map_err(failed)?))?;
    }
}

fn entry(row: &Row<'_>, wanted: impl Fn(Option<ReferralId>) -> bool) -> rusqlite::Result<Entry> {
    let id = |column: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<[u8; 16]>>(column)?.map(ReferralId::from_bytes));
    let record = match row.get(6)? {
        Some(salt) if wanted(id(5)?) => Some(Record { salt, bytes: row.get(7)? }),
        _ => None,
    };
    let delivery = match (row.get(9)?, row.get(12)?, id(10)?) {
        (Some(salt), Some(digest), Some(delivery)) if wanted(id(8)?) => {
            Some(Delivery { id: delivery.to_string(), recipient: row.get(11)?, digest, salt })
        }
        _ => None,
    };
    Ok(Entry {
        index: row.get::<_, i64>(0)?.unsigned_abs(),
        kind: row.get(1)?,
        at_micros: row.get(2)?,
        commitment: row.get(3)?,
        completed: row.get(4)?,
        record,
        delivery,
    })
}

/// What has to be true between the log and the tables beside it. Each asks for the leaves of which it is not.
const CROSS_CHECKS: &[(&str, &str)] = &[
    ("SELECT position FROM leaf WHERE position < 0", "stands before the first: the log begins with entry 0"),
    (
        "SELECT delivery.leaf FROM delivery LEFT JOIN leaf ON position = delivery.leaf WHERE leaf.kind IS NOT 'delivery'",
        "is named by a delivery, and the log has no delivery there: nothing proves it was recorded",
    ),
    (
        "SELECT record.leaf FROM record LEFT JOIN leaf ON position = record.leaf WHERE leaf.kind IS NULL OR leaf.kind = 'delivery'",
        "is named by a record, and the log has no decision there",
    ),
    (
        "SELECT owed.leaf FROM owed LEFT JOIN delivery ON delivery.leaf = owed.leaf WHERE delivery.leaf IS NULL",
        "is owed, and no delivery of it was recorded",
    ),
    (
        "SELECT owed.leaf FROM owed JOIN delivery ON delivery.leaf = owed.leaf WHERE settled_at IS NOT NULL",
        "was settled, and is still owed",
    ),
    (
        "SELECT delivery.leaf FROM delivery LEFT JOIN owed ON owed.leaf = delivery.leaf
         WHERE settled_at IS NULL AND owed.leaf IS NULL",
        "is a delivery that was never settled, and what was to be delivered is missing",
    ),
];

fn cross_check(snapshot: &Connection, report: &mut Report, erased_referrals: &BTreeSet<String>) -> rusqlite::Result<()> {
    for (question, what) in CROSS_CHECKS {
        let mut statement = snapshot.prepare(question)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let index: i64 = row.get(0)?;
            report.fault(u64::try_from(index).ok(), format!("entry {index} {what}"));
        }
    }
    let mut bodies = snapshot.prepare("SELECT leaf, body, digest FROM owed JOIN delivery USING (leaf) ORDER BY leaf")?;
    let mut rows = bodies.query([])?;
    while let Some(row) = rows.next()? {
        let (index, body, digest): (i64, Vec<u8>, Option<Vec<u8>>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if digest.as_deref() != Some(&log::digest(&body)) {
            let what = format!("entry {index}: what is owed was altered: its body is not the one that was recorded");
            report.fault(u64::try_from(index).ok(), what);
        }
    }
    let mut decided = snapshot.prepare(
        "SELECT referral, max(version), max(decisions) FROM (
             SELECT id AS referral, version, 0 AS decisions FROM referral
             UNION ALL SELECT referral, 0, count(*) FROM record WHERE referral IS NOT NULL GROUP BY referral)
         GROUP BY referral HAVING max(version) <> max(decisions)",
    )?;
    let mut rows = decided.query([])?;
    while let Some(row) = rows.next()? {
        let referral = ReferralId::from_bytes(row.get(0)?);
        // Decisions that were erased are not counted any more, and that is in order.
        if !erased_referrals.contains(&referral.to_string()) {
            let (version, decisions): (i64, i64) = (row.get(1)?, row.get(2)?);
            let what = format!("referral {referral} stands at step {version}, and {decisions} decisions on it are recorded");
            report.fault(None, what);
        }
    }
    Ok(())
}

// ---------------------------------------------------------------------------------------------
// As a bundle

const BUNDLE_FORMAT: &str = "safeguarding-ledger-bundle/1";

/// Whose records go into a bundle. The log itself always goes whole: it tells nothing about anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// Everybody's, for a backup or a full audit. Personal data.
    All,
    /// One referral's, for an ombudsman: nobody else's goes along.
    Of(ReferralId),
    /// Nobody's, for a witness.
    None,
}

/// Writes a ledger as a bundle of JSON lines. Returns how many entries went.
pub fn export(path: &Path, records: Records, out: &mut impl Write) -> Result<u64, LedgerError> {
    let mut connection = read_only(path)?;
    let snapshot = connection.transaction().map_err(failed)?;
    let whose = match records {
        Records::All => "all".to_owned(),
        Records::Of(referral) => referral.to_string(),
        Records::None => "none".to_owned(),
    };
    let wanted = |referral: Option<ReferralId>| match records {
        Records::All => true,
        Records::Of(one) => referral.is_none_or(|referral| referral == one),
        Records::None => false,
    };
    let mut entries = 0;
    let mut write = |line: &Line| {
        serde_json::to_writer(&mut *out, line).map_err(failed)?;
        out.write_all(b"\n").map_err(failed)
    };
    write(&Line::Ledger { format: BUNDLE_FORMAT.to_owned(), records: whose })?;
    walk(&snapshot, wanted, |line| {
        entries += u64::from(matches!(line, Line::Entry(_)));
        write(&line)
    })?;
    write(&Line::End { entries })?;
    out.flush().map_err(failed)?;
    Ok(entries)
}

/// Verifies a bundle, with nothing but the bundle, the public key and, if there is one, a checkpoint seen earlier.
pub fn verify_bundle(bundle: impl BufRead, key: &PublicKey, seen: Option<&str>) -> Result<Report, LedgerError> {
    let mut audit = Audit::new(key, seen).map_err(useless)?;
    let mut ended = None;
    for (number, line) in (1_u64..).zip(bundle.lines()) {
        let line = line.map_err(failed)?;
        let is_first = number == 1;
        match serde_json::from_str(&line) {
            Ok(Line::Ledger { format, records }) if is_first && format == BUNDLE_FORMAT => audit.partial = records != "all",
            Ok(_) if is_first => {
                return Err(failed("this is not a bundle of a ledger, or of a newer format"));
            }
            Ok(Line::End { entries }) if ended.is_none() => ended = Some(entries),
            Ok(line @ (Line::Entry(_) | Line::Checkpoint { .. })) if ended.is_none() => audit.line(line),
            Ok(_) => audit.report.fault(None, format!("line {number} of the bundle should not be there")),
            Err(_) if is_first => return Err(failed("this is not a bundle of a ledger")),
            Err(_) => audit.report.fault(None, format!("line {number} of the bundle cannot be read")),
        }
    }
    if ended != Some(audit.report.entries) {
        audit.report.fault(None, "the bundle was cut short: its last line is not the one that was written".to_owned());
    }
    Ok(audit.finish().0)
}
