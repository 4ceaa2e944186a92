//! The ledger in SQLite: one file, one process, one writer.
//!
//! A thread owns the writing connection. It takes everything that is waiting, writes it in one
//! transaction together with the leaves and one signed checkpoint, and answers only after the
//! commit is on the disk (WAL, synchronous FULL). A second thread reads, so that nobody who asks
//! waits behind a write. When a write fails nothing of its batch is answered as recorded.
//!
//! Cost: a commit is about six small statements, and four more for each delivery; a signature and
//! a sync of the disk are shared by the batch. The log grows by about 150 bytes a leaf and 250 a
//! batch, and is read at the start only along its right edge.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::log::{self, Checkpoint, Frontier, Growth, Hash, Leaf, Proof, Signer, Subtree};
use super::{
    Commit, Committed, Content, Counts, Decision, Delivery, DeliveryId, Digest, Erased, Erasure, ErasureRecord, Kind, Ledger,
    LedgerError, Listed, Moment, Note, Owed, Quarantined, QuarantinedEntry, Recorded, ReferralId, Refusal, Release,
    ReleaseRecord, Salts, Stored, Told, Version, WaitingCounts, lawful, micros, micros_not_before, moment,
};

/// Each entry takes the file from the format before to the next.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql"), include_str!("waiting.sql"), include_str!("received.sql")];

// Once so many steps share a transaction nobody else joins it: enough that the disk's sync is shared by all who wait, few
// enough that nobody waits long for the others.
const STEPS_PER_TRANSACTION_MAX: usize = 512;
// So many requests wait in line before those who ask are made to wait themselves.
const REQUESTS_WAITING_MAX: usize = 1024;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A handle on a ledger in SQLite. The last one to go closes it, after all that is waiting was written.
#[derive(Clone)]
pub struct SqliteLedger {
    threads: Arc<Threads>,
}

type Answer<T> = oneshot::Sender<Result<T, LedgerError>>;
type Question = Box<dyn FnOnce(&mut Connection) + Send>;

/// What is asked of the writer, with room for what became of it before its batch is on the disk.
enum Request {
    Commit { commits: Vec<Commit>, written: Vec<Written>, answer: Answer<Vec<Committed>> },
    Settle { deliveries: Vec<DeliveryId>, at: Moment, answer: Answer<()> },
    Quarantine { message: Quarantined, answer: Answer<()> },
    Release { release: Release, released: bool, answer: Answer<bool> },
    Erase { erasure: Erasure, erased: Erased, answer: Answer<Erased> },
    Note { note: Note, leaf: u64, answer: Answer<u64> },
}

enum Written {
    Recorded { leaf: u64, salts: Vec<[u8; 32]> },
    Stale,
    Refused(Refusal),
}

struct Threads {
    writes: Option<mpsc::Sender<Request>>,
    questions: Option<mpsc::Sender<Question>>,
    writer: Option<JoinHandle<()>>,
    reader: Option<JoinHandle<()>>,
    // Held until both threads ended: whoever opens the ledger next finds it at rest.
    _lock: File,
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.questions.take();
        self.writes.take();
        // The reader first, so that the writer is the last to close and folds the WAL into the file.
        for thread in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            let _ = thread.join();
        }
    }
}

impl SqliteLedger {
    /// Opens the ledger, or makes it. Refuses while another process has it, when it was signed with
    /// another key, or when the log's edge is not what its last checkpoint says.
    pub fn open(path: &Path, signer: Signer, salts: Salts) -> Result<SqliteLedger, LedgerError> {
        let lock = lock(path)?;
        let mut connection = connect(path).map_err(failed("open its file"))?;
        migrate(&mut connection, path)?;
        let mut writer = Writer { path: path.to_owned(), connection, signer, salts, frontier: None, erased_in_wal: false };
        writer.begin()?;
        let reader = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .and_then(|connection| {
                connection.busy_timeout(BUSY_TIMEOUT)?;
                connection.set_prepared_statement_cache_capacity(64);
                Ok(connection)
            })
            .map_err(failed("open its file"))?;

        let (writes, requests) = mpsc::channel(REQUESTS_WAITING_MAX);
        let (questions, asked) = mpsc::channel(REQUESTS_WAITING_MAX);
        Ok(SqliteLedger {
            threads: Arc::new(Threads {
                writes: Some(writes),
                questions: Some(questions),
                writer: Some(spawn("ledger-writer", move || writer.serve(requests))?),
                reader: Some(spawn("ledger-reader", move || answer(reader, asked))?),
                _lock: lock,
            }),
        })
    }

    async fn write<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, LedgerError> {
        let (answer, answered) = oneshot::channel();
        let writes = self.threads.writes.as_ref().ok_or(LedgerError::Closed)?;
        writes.send(request(answer)).await.map_err(|_| LedgerError::Closed)?;
        answered.await.map_err(|_| LedgerError::Closed)?
    }

    async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        question: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (answer, answered) = oneshot::channel();
        let ask: Question = Box::new(move |connection| {
            // One transaction for one question: it sees one moment of the ledger.
            let result = connection.transaction().and_then(|snapshot| question(&snapshot));
            let _ = answer.send(result.map_err(failed(doing)));
        });
        let questions = self.threads.questions.as_ref().ok_or(LedgerError::Closed)?;
        questions.send(ask).await.map_err(|_| LedgerError::Closed)?;
        answered.await.map_err(|_| LedgerError::Closed)?
    }
}

fn failed(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> LedgerError {
    move |cause| LedgerError::Failed { doing, cause: cause.into() }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, LedgerError> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|cause| LedgerError::Failed { doing: "start its thread", cause: cause.into() })
}

/// One process at a time: two writers would each sign a log of their own.
fn lock(path: &Path) -> Result<File, LedgerError> {
    let failed = |cause: std::io::Error| LedgerError::Failed { doing: "lock its file", cause: cause.into() };
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(name).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
            return Err(LedgerError::InUse { path: path.display().to_string(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let mut say = || {
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "process {}", std::process::id())
    };
    say().map_err(failed)?;
    Ok(file)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // Made by us, not by SQLite, so that nobody else can read it; its WAL takes over the permissions.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    if made.is_ok() {
        let _ = super::key::sync_folder(path);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         -- Every commit is synced to the disk before it is answered.
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         -- What is erased is overwritten, and nothing spills into temporary files.
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA journal_size_limit = 67108864;
         -- 16 MiB: a page that is written again and again is folded into the file once.
         PRAGMA wal_autocheckpoint = 4096;",
    )?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed("read its format"))?;
    if found > known {
        return Err(LedgerError::TooNew { path: path.display().to_string(), found, known });
    }
    for (format, migration) in (1..=known).zip(MIGRATIONS) {
        if format > found {
            let migrated = || {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
                transaction.execute_batch(migration)?;
                transaction.pragma_update(None, "user_version", format)?;
                transaction.commit()
            };
            let mut migrated = migrated;
            migrated().map_err(failed("bring its file to the current format"))?;
        }
    }
    Ok(())
}

// ---------------------------------------------------------------------------------------------
// Writing

struct Writer {
    path: PathBuf,
    connection: Connection,
    signer: Signer,
    salts: Salts,
    // None: unknown, after a write failed. The disk is asked before the next one.
    frontier: Option<Frontier>,
    // Set when something was erased and the WAL may still hold it.
    erased_in_wal: bool,
}

impl Writer {
    fn serve(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut steps = first.steps();
            let mut batch = vec![first];
            while steps < STEPS_PER_TRANSACTION_MAX {
                let Ok(next) = requests.try_recv() else { break };
                steps += next.steps();
                batch.push(next);
            }
            self.write(batch);
        }
    }

    /// Signs the empty log at the very first start; afterwards checks that the log is ours and whole at its edge.
    fn begin(&mut self) -> Result<(), LedgerError> {
        const IS_NEW: &str = "SELECT NOT EXISTS (SELECT 1 FROM checkpoint) AND NOT EXISTS (SELECT 1 FROM leaf)";
        if self.connection.query_row(IS_NEW, [], |row| row.get(0)).map_err(failed("read its log"))? {
            let note = self.signer.checkpoint(&Frontier::default());
            let signed = self.connection.execute("INSERT INTO checkpoint (size, note) VALUES (0, ?1)", [note]);
            signed.map_err(failed("sign its log"))?;
        }
        self.frontier().map(|_| ())
    }

    fn frontier(&mut self) -> Result<Frontier, LedgerError> {
        if let Some(frontier) = &self.frontier {
            return Ok(frontier.clone());
        }
        let damaged = |what: String| LedgerError::Damaged { path: self.path.display().to_string(), what };
        let size = count_leaves(&self.connection).map_err(failed("read its log"))?;
        let frontier = Frontier::restore(size, |subtree| completed_hash(&self.connection, subtree));
        let frontier = frontier.map_err(|error| match error {
            rusqlite::Error::QueryReturnedNoRows => damaged("a part of its log is missing".to_owned()),
            error => failed("read its log")(error),
        })?;
        let note = last_checkpoint(&self.connection).map_err(failed("read its log"))?;
        let checkpoint = Checkpoint::open(&note, self.signer.public())
            .map_err(|because| damaged(format!("its last checkpoint cannot be believed: {because}")))?;
        if checkpoint.size != size || checkpoint.root != frontier.root() {
            return Err(damaged(format!(
                "its log has {size} entries that do not match its last checkpoint, which covers {}",
                checkpoint.size
            )));
        }
        self.frontier = Some(frontier.clone());
        Ok(frontier)
    }

    fn write(&mut self, mut batch: Vec<Request>) {
        match self.try_write(&mut batch) {
            Ok(sealed) => {
                let is_erasure = |request: &Request| matches!(request, Request::Erase { erased: Erased::Leaf(_), .. });
                self.erased_in_wal |= batch.iter().any(is_erasure);
                if self.erased_in_wal {
                    self.fold_in_wal();
                }
                batch.into_iter().for_each(|request| request.done(&sealed));
            }
            Err(error) => {
                // It may be on the disk or not: nobody is told it was recorded, and the disk is asked
                // where the log ends before anything else is written.
                self.frontier = None;
                let because = error.to_string();
                batch.into_iter().for_each(|request| request.failed(&because));
            }
        }
    }

    /// The WAL still holds the pages as they were before something was erased; folding it into the
    /// file overwrites them. Nobody is made to wait for it: when somebody reads just then, the next
    /// write tries again.
    fn fold_in_wal(&mut self) {
        let folded = self
            .connection
            .busy_timeout(Duration::ZERO)
            .and_then(|()| self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0)));
        self.erased_in_wal = !matches!(folded, Ok(false));
        let _ = self.connection.busy_timeout(BUSY_TIMEOUT);
    }

    /// Writes a batch whole, or not at all.
    fn try_write(&mut self, batch: &mut [Request]) -> Result<Sealed, Box<dyn std::error::Error + Send + Sync>> {
        let frontier = self.frontier()?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut page = Page { transaction: &transaction, growth: Growth::of(&frontier), salts: &mut self.salts };
        for request in batch {
            request.write_on(&mut page)?;
        }
        let growth = page.growth;
        let mut checkpoint = String::new();
        if growth.frontier().size() > frontier.size() {
            checkpoint = self.signer.checkpoint(growth.frontier());
            transaction
                .prepare_cached("INSERT INTO checkpoint (size, note) VALUES (?1, ?2)")?
                .execute(params![signed(growth.frontier().size()), checkpoint])?;
        }
        transaction.commit()?;
        self.frontier = Some(growth.frontier().clone());
        Ok(Sealed { growth, checkpoint })
    }
}

/// A batch that is on the disk, under its checkpoint.
struct Sealed {
    growth: Growth,
    checkpoint: String,
}

impl Sealed {
    fn committed(&self, commit: Commit, written: Written) -> Result<Committed, LedgerError> {
        match written {
            Written::Stale => Ok(Committed::Stale),
            Written::Refused(refusal) => Ok(Committed::Refused(refusal)),
            Written::Recorded { leaf, salts } => {
                let owed = (leaf + 1..).zip(commit.owed).zip(salts);
                let owed = owed.map(|((index, owed), salt)| self.recorded(owed, index, salt, commit.at));
                Ok(Committed::Recorded { owed: owed.collect::<Result<_, _>>()?, leaf })
            }
        }
    }

    fn recorded(&self, what: Owed, index: u64, salt: [u8; 32], at: Moment) -> Result<Recorded<Owed>, LedgerError> {
        let path = self.growth.inclusion(index);
        let path = path.map_err(|cause| LedgerError::Failed { doing: "prove what it recorded", cause: cause.into() })?;
        let (size, checkpoint) = (self.growth.frontier().size(), self.checkpoint.clone());
        Ok(Recorded { what, proof: Proof { index, size, path, salt, at_micros: micros(at), checkpoint } })
    }
}

impl Request {
    fn steps(&self) -> usize {
        match self {
            Request::Commit { commits, .. } => commits.len(),
            Request::Settle { .. }
            | Request::Quarantine { .. }
            | Request::Release { .. }
            | Request::Erase { .. }
            | Request::Note { .. } => 1,
        }
    }

    fn write_on(&mut self, page: &mut Page<'_>) -> rusqlite::Result<()> {
        match self {
            Request::Commit { commits, written, .. } => {
                let mut stale = HashSet::new();
                let mut write = |commit: &Commit| {
                    // Another's step can leave the very version that this one expects of its own forerunner.
                    if stale.contains(&commit.referral) {
                        return Ok(Written::Stale);
                    }
                    let written = page.commit(commit)?;
                    if matches!(written, Written::Stale) {
                        stale.insert(commit.referral);
                    }
                    Ok(written)
                };
                *written = commits.iter().map(&mut write).collect::<rusqlite::Result<_>>()?;
            }
            Request::Settle { deliveries, at, .. } => page.settle(deliveries, *at)?,
            Request::Quarantine { message, .. } => page.quarantine(message)?,
            Request::Release { release, released, .. } => *released = page.release(release)?,
            Request::Erase { erasure, erased, .. } => *erased = page.erase(erasure)?,
            Request::Note { note, leaf, .. } => *leaf = page.note(note)?,
        }
        Ok(())
    }

    // Whoever asked may be gone; what was written stays written.
    fn done(self, sealed: &Sealed) {
        match self {
            Request::Commit { commits, written, answer } => {
                let committed = commits.into_iter().zip(written);
                let _ = answer.send(committed.map(|(commit, written)| sealed.committed(commit, written)).collect());
            }
            Request::Settle { answer, .. } | Request::Quarantine { answer, .. } => drop(answer.send(Ok(()))),
            Request::Release { released, answer, .. } => drop(answer.send(Ok(released))),
            Request::Erase { erased, answer, .. } => drop(answer.send(Ok(erased))),
            Request::Note { leaf, answer, .. } => drop(answer.send(Ok(leaf))),
        }
    }

    fn failed(self, because: &str) {
        fn error<T>(doing: &'static str, because: &str) -> Result<T, LedgerError> {
            Err(LedgerError::Failed { doing, cause: because.into() })
        }
        match self {
            Request::Commit { answer, .. } => drop(answer.send(error("record the step", because))),
            Request::Settle { answer, .. } => drop(answer.send(error("settle what was delivered", because))),
            Request::Quarantine { answer, .. } => drop(answer.send(error("keep a message in quarantine", because))),
            Request::Release { answer, .. } => drop(answer.send(error("release a message from quarantine", because))),
            Request::Erase { answer, .. } => drop(answer.send(error("erase a referral", because))),
            Request::Note { answer, .. } => drop(answer.send(error("record what is true of the broker", because))),
        }
    }
}

/// A transaction being written, and the log growing with it.
struct Page<'a> {
    transaction: &'a Transaction<'a>,
    growth: Growth,
    salts: &'a mut Salts,
}

impl Page<'_> {
    fn run(&self, statement: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<usize> {
        self.transaction.prepare_cached(statement)?.execute(parameters)
    }

    fn ask<T>(
        &self,
        statement: &str,
        parameters: impl rusqlite::Params,
        answer: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.transaction.prepare_cached(statement)?.query_row(parameters, answer)
    }

    fn append(&mut self, kind: Kind, at: Moment, record: &[u8]) -> rusqlite::Result<(u64, [u8; 32])> {
        let salt = (self.salts)();
        let leaf = Leaf::new(kind.as_str(), at, &salt, record);
        let (index, completed) = self.growth.append(&leaf);
        self.transaction
            .prepare_cached("INSERT INTO leaf (position, kind, at, commitment, completed) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![signed(index), leaf.kind, leaf.at_micros, leaf.commitment, completed.concat()])?;
        Ok((index, salt))
    }

    fn keep_record(&self, leaf: u64, referral: Option<ReferralId>, salt: &[u8; 32], bytes: &[u8]) -> rusqlite::Result<()> {
        let referral = referral.map(|referral| referral.into_bytes());
        self.run(
            "INSERT INTO record (leaf, referral, salt, bytes) VALUES (?1, ?2, ?3, ?4)",
            params![signed(leaf), referral, salt, bytes],
        )?;
        Ok(())
    }

    /// Everything that could keep the step out is asked before the first row of it is written.
    fn commit(&mut self, commit: &Commit) -> rusqlite::Result<Written> {
        let version = self
            .ask("SELECT version FROM referral WHERE id = ?1", [commit.referral.as_bytes()], |row| number(row, 0))
            .optional()?;
        if version.unwrap_or(0) != commit.expected.0 {
            return Ok(Written::Stale);
        }
        if let Err(refusal) = lawful(commit) {
            return Ok(Written::Refused(refusal));
        }
        for owed in &commit.owed {
            if self.ask("SELECT EXISTS (SELECT 1 FROM delivery WHERE id = ?1)", [owed.id.as_bytes()], |row| row.get(0))? {
                return Ok(Written::Refused(Refusal::DeliveryRepeated(owed.id)));
            }
        }
        self.case(commit)?;
        self.settle(commit.settles.as_slice(), commit.at)?;
        for content in &commit.content {
            self.run(
                "INSERT INTO content (referral, id, kind, bytes) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![commit.referral.as_bytes(), content.id, content.kind, content.bytes],
            )?;
        }
        for told in &commit.progress {
            self.run(
                "INSERT INTO progress (party, sequence, referral, at, body)
                 SELECT ?1, coalesce(max(sequence), 0) + 1, ?2, ?3, ?4 FROM progress WHERE party = ?1",
                params![told.party, commit.referral.as_bytes(), micros(commit.at), told.body],
            )?;
        }
        let (leaf, salt) = self.append(commit.kind, commit.at, &commit.record)?;
        self.keep_record(leaf, Some(commit.referral), &salt, &commit.record)?;
        let salts = commit.owed.iter().map(|owed| self.owe(owed, commit.at)).collect::<Result<_, _>>()?;
        Ok(Written::Recorded { leaf, salts })
    }

    fn case(&self, commit: &Commit) -> rusqlite::Result<()> {
        let (version, wake) = (signed(commit.expected.next().0), commit.wake.map(micros_not_before));
        let since = commit.waiting.map(|waiting| micros(waiting.since));
        let urgent = commit.waiting.is_some_and(|waiting| waiting.urgent);
        if commit.expected == Version::NEW {
            self.run(
                "INSERT INTO referral (id, version, state, wake, open, waiting_since, waiting_urgent, owner)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![commit.referral.as_bytes(), version, commit.state, wake, commit.open, since, urgent, commit.owner],
            )?;
        } else {
            self.run(
                "UPDATE referral SET version = ?2, state = ?3, wake = ?4, open = ?5, waiting_since = ?6, waiting_urgent = ?7
                 WHERE id = ?1",
                params![commit.referral.as_bytes(), version, commit.state, wake, commit.open, since, urgent],
            )?;
        }
        Ok(())
    }

    fn owe(&mut self, owed: &Owed, at: Moment) -> rusqlite::Result<[u8; 32]> {
        let record = log::delivery_record(owed.id, &owed.routing_key, &owed.digest);
        let (leaf, salt) = self.append(Kind::DELIVERY, at, &record)?;
        self.run(
            "INSERT INTO delivery (leaf, id, referral, recipient, kind, salt, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![signed(leaf), owed.id.as_bytes(), owed.referral.as_bytes(), owed.routing_key, owed.kind, salt, owed.digest],
        )?;
        self.run(
            "INSERT INTO owed (leaf, place, exchange, content_type, headers, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![signed(leaf), signed(owed.order), owed.exchange, owed.content_type, json(&owed.headers)?, owed.body],
        )?;
        Ok(salt)
    }

    fn settle(&self, deliveries: &[DeliveryId], at: Moment) -> rusqlite::Result<()> {
        for id in deliveries {
            let settled = self
                .ask(
                    "UPDATE delivery SET settled_at = ?2 WHERE id = ?1 AND settled_at IS NULL RETURNING leaf",
                    params![id.as_bytes(), micros(at)],
                    |row| row.get::<_, i64>(0),
                )
                .optional()?;
            if let Some(leaf) = settled {
                self.run("DELETE FROM owed WHERE leaf = ?1", [leaf])?;
            }
        }
        Ok(())
    }

    fn quarantine(&self, message: &Quarantined) -> rusqlite::Result<()> {
        self.run(
            "UPDATE quarantine SET reason = ?2, at = ?3 WHERE id = ?1",
            params![message.id.as_bytes(), message.reason, micros(message.at)],
        )?;
        self.run(
            // Asked first, not left to a conflict: a conflict would use up a number.
            "INSERT INTO quarantine (id, queue, reason, at, headers, bytes) SELECT ?1, ?2, ?3, ?4, ?5, ?6
             WHERE NOT EXISTS (SELECT 1 FROM quarantine WHERE id = ?1)",
            params![
                message.id.as_bytes(),
                message.queue,
                message.reason,
                micros(message.at),
                json(&message.headers)?,
                message.bytes
            ],
        )?;
        Ok(())
    }

    fn release(&mut self, release: &Release) -> rusqlite::Result<bool> {
        let id = release.id.as_bytes();
        let body = self.ask(
            "DELETE FROM quarantine WHERE id = ?1 AND at = ?2 RETURNING bytes",
            params![id, micros(release.seen)],
            |row| row.get::<_, Vec<u8>>(0),
        );
        let Some(body) = body.optional()? else { return Ok(false) };
        let bytes = ReleaseRecord::of(release, &body).bytes();
        let (leaf, salt) = self.append(Kind::RELEASED, release.at, &bytes)?;
        self.keep_record(leaf, None, &salt, &bytes)?;
        Ok(true)
    }

    fn note(&mut self, note: &Note) -> rusqlite::Result<u64> {
        let (leaf, salt) = self.append(note.kind, note.at, &note.record)?;
        self.keep_record(leaf, None, &salt, &note.record)?;
        Ok(leaf)
    }

    fn erase(&mut self, erasure: &Erasure) -> rusqlite::Result<Erased> {
        let referral = erasure.referral.as_bytes();
        let unfinished = "SELECT EXISTS (SELECT 1 FROM referral WHERE id = ?1 AND open)
                              OR EXISTS (SELECT 1 FROM delivery WHERE referral = ?1 AND settled_at IS NULL)";
        if self.ask(unfinished, [referral], |row| row.get(0))? {
            return Ok(Erased::StillOpen);
        }
        let leaves = {
            let mut statement = self.transaction.prepare_cached(
                "SELECT leaf FROM record WHERE referral = ?1
                 UNION SELECT leaf FROM delivery WHERE referral = ?1 AND salt IS NOT NULL ORDER BY 1",
            )?;
            statement.query_map([referral], |row| number(row, 0))?.collect::<Result<Vec<_>, _>>()?
        };
        if leaves.is_empty() {
            return Ok(Erased::Nothing);
        }
        self.run("DELETE FROM record WHERE referral = ?1", [referral])?;
        self.run("DELETE FROM content WHERE referral = ?1", [referral])?;
        // Nobody can look at it any more.
        self.run("UPDATE referral SET waiting_since = NULL, waiting_urgent = 0 WHERE id = ?1", [referral])?;
        self.run("UPDATE delivery SET salt = NULL, digest = NULL WHERE referral = ?1", [referral])?;
        self.run("UPDATE progress SET body = x'' WHERE referral = ?1", [referral])?;
        let bytes = ErasureRecord::new(erasure, leaves).bytes();
        let (leaf, salt) = self.append(Kind::ERASED, erasure.at, &bytes)?;
        self.keep_record(leaf, None, &salt, &bytes)?;
        Ok(Erased::Leaf(leaf))
    }
}

// ---------------------------------------------------------------------------------------------
// Reading

fn answer(mut connection: Connection, mut asked: mpsc::Receiver<Question>) {
    while let Some(question) = asked.blocking_recv() {
        question(&mut connection);
    }
}

fn count_leaves(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(position) + 1, 0) FROM leaf", [], |row| number(row, 0))
}

fn last_checkpoint(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1", [], |row| row.get(0))
}

fn completed_hash(connection: &Connection, subtree: Subtree) -> rusqlite::Result<Hash> {
    connection
        .prepare_cached("SELECT substr(completed, ?2, 32) FROM leaf WHERE position = ?1")?
        .query_row(params![signed(subtree.last), i64::from(subtree.level) * 32 + 1], |row| row.get(0))
}

fn owed(snapshot: &Connection, after: Option<u64>, limit: usize) -> rusqlite::Result<Vec<Recorded<Owed>>> {
    let (size, checkpoint) = (count_leaves(snapshot)?, last_checkpoint(snapshot)?);
    let mut statement = snapshot.prepare_cached(
        "SELECT leaf, id, referral, recipient, delivery.kind, salt, digest, place, exchange, content_type, headers,
                body, leaf.at
         FROM owed JOIN delivery USING (leaf) JOIN leaf ON leaf.position = owed.leaf
         WHERE owed.leaf > ?1 ORDER BY owed.leaf LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after.map_or(-1, signed), row_limit(limit)])?;
    let mut owed = Vec::new();
    while let Some(row) = rows.next()? {
        let index = number(row, 0)?;
        let what = Owed {
            id: uuid(row, 1)?,
            referral: uuid(row, 2)?,
            routing_key: row.get(3)?,
            kind: row.get(4)?,
            digest: row.get(6)?,
            order: number(row, 7)?,
            exchange: row.get(8)?,
            content_type: row.get(9)?,
            headers: headers(row, 10)?,
            body: row.get(11)?,
        };
        let proof = Proof {
            index,
            size,
            path: log::inclusion(index, size, |subtree| completed_hash(snapshot, subtree))?,
            salt: row.get(5)?,
            at_micros: row.get(12)?,
            checkpoint: checkpoint.clone(),
        };
        owed.push(Recorded { what, proof });
    }
    Ok(owed)
}

// SQLite counts in signed numbers; none of ours comes near the end of them.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn row_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get(column).map(Uuid::from_bytes)
}

fn at(row: &Row<'_>, column: usize) -> rusqlite::Result<Moment> {
    let value: i64 = row.get(column)?;
    moment(value).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn json(headers: &[(String, String)]) -> rusqlite::Result<String> {
    serde_json::to_string(headers).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn headers(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<(String, String)>> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into()))
}

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    Ok(Listed {
        number: number(row, 0)?,
        referral: uuid(row, 1)?,
        open: row.get(2)?,
        version: Version(number(row, 3)?),
        state: row.get(4)?,
    })
}

fn waiting_counts(snapshot: &Connection, urgent: bool) -> rusqlite::Result<WaitingCounts> {
    let question = "SELECT count(*), min(waiting_since) FROM referral WHERE waiting_since IS NOT NULL AND waiting_urgent = ?1";
    snapshot.prepare_cached(question)?.query_row([urgent], |row| {
        let oldest = row.get::<_, Option<i64>>(1)?.map(|_| at(row, 1)).transpose()?;
        Ok(WaitingCounts { referrals: number(row, 0)?, oldest })
    })
}

fn told(row: &Row<'_>) -> rusqlite::Result<Told> {
    Ok(Told { sequence: number(row, 0)?, referral: uuid(row, 1)?, at: at(row, 2)?, body: row.get(3)? })
}

impl Ledger for SqliteLedger {
    async fn load(&self, referrals: &[ReferralId]) -> Result<Vec<Option<Stored>>, LedgerError> {
        let referrals = referrals.to_vec();
        self.read("load a case", move |snapshot| {
            let mut statement = snapshot.prepare_cached("SELECT version, state FROM referral WHERE id = ?1")?;
            let stored = |row: &Row<'_>| Ok(Stored { version: Version(number(row, 0)?), state: row.get(1)? });
            referrals.iter().map(|id| statement.query_row([id.as_bytes()], stored).optional()).collect()
        })
        .await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Committed>, LedgerError> {
        self.write(|answer| Request::Commit { commits, written: Vec::new(), answer }).await
    }

    async fn owed(&self, after: Option<u64>, limit: usize) -> Result<Vec<Recorded<Owed>>, LedgerError> {
        self.read("list what is owed", move |snapshot| owed(snapshot, after, limit)).await
    }

    async fn settle(&self, deliveries: Vec<DeliveryId>, at: Moment) -> Result<(), LedgerError> {
        self.write(|answer| Request::Settle { deliveries, at, answer }).await
    }

    async fn overdue(&self, now: Moment, limit: usize) -> Result<Vec<ReferralId>, LedgerError> {
        self.read("find the cases to wake", move |snapshot| {
            let mut statement =
                snapshot.prepare_cached("SELECT id FROM referral WHERE wake <= ?1 ORDER BY wake, number LIMIT ?2")?;
            statement.query_map(params![micros(now), row_limit(limit)], |row| uuid(row, 0))?.collect()
        })
        .await
    }

    async fn next_wake(&self) -> Result<Option<Moment>, LedgerError> {
        self.read("find the next case to wake", |snapshot| {
            let mut statement =
                snapshot.prepare_cached("SELECT wake FROM referral WHERE wake IS NOT NULL ORDER BY wake LIMIT 1")?;
            statement.query_row([], |row| at(row, 0)).optional()
        })
        .await
    }

    async fn list(&self, owner: &str, after: u64, limit: usize) -> Result<Vec<Listed>, LedgerError> {
        let owner = owner.to_owned();
        self.read("list a party's referrals", move |snapshot| {
            let mut statement = snapshot.prepare_cached(
                "SELECT number, id, open, version, state FROM referral
                 WHERE owner = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
            )?;
            statement.query_map(params![owner, signed(after), row_limit(limit)], listed)?.collect()
        })
        .await
    }

    async fn received(&self, recipient: &str, after: u64, limit: usize) -> Result<Vec<Listed>, LedgerError> {
        let recipient = recipient.to_owned();
        self.read("list what a recipient was sent", move |snapshot| {
            let mut statement = snapshot.prepare_cached(
                "SELECT number, id, open, version, state FROM referral
                 WHERE id IN (SELECT referral FROM delivery WHERE recipient = ?1) AND number > ?2 ORDER BY number LIMIT ?3",
            )?;
            statement.query_map(params![recipient, signed(after), row_limit(limit)], listed)?.collect()
        })
        .await
    }

    async fn unfinished(&self, after: u64, limit: usize) -> Result<Vec<Listed>, LedgerError> {
        self.read("list what is not finished", move |snapshot| {
            let mut statement = snapshot.prepare_cached(
                "SELECT number, id, open, version, state FROM referral
                 WHERE (open = 1 OR wake IS NOT NULL) AND number > ?1 ORDER BY number LIMIT ?2",
            )?;
            statement.query_map(params![signed(after), row_limit(limit)], listed)?.collect()
        })
        .await
    }

    async fn waiting(&self, after: u64, limit: usize) -> Result<Vec<Listed>, LedgerError> {
        self.read("list what waits for a person", move |snapshot| {
            let mut statement = snapshot.prepare_cached(
                "SELECT number, id, open, version, state FROM referral
                 WHERE waiting_since IS NOT NULL AND number > ?1 ORDER BY number LIMIT ?2",
            )?;
            statement.query_map(params![signed(after), row_limit(limit)], listed)?.collect()
        })
        .await
    }

    async fn progress(&self, party: &str, after: u64, limit: usize) -> Result<Vec<Told>, LedgerError> {
        let party = party.to_owned();
        self.read("say what a party was told", move |snapshot| {
            let mut statement = snapshot.prepare_cached(
                "SELECT sequence, referral, at, body FROM progress
                 WHERE party = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
            )?;
            statement.query_map(params![party, signed(after), row_limit(limit)], told)?.collect()
        })
        .await
    }

    async fn told_about(&self, party: &str, referral: ReferralId) -> Result<Vec<Told>, LedgerError> {
        let party = party.to_owned();
        self.read("say what a party was told about a referral", move |snapshot| {
            let mut statement = snapshot.prepare_cached(
                "SELECT sequence, referral, at, body FROM progress
                 WHERE referral = ?1 AND party = ?2 ORDER BY sequence",
            )?;
            statement.query_map(params![referral.as_bytes(), party], told)?.collect()
        })
        .await
    }

    async fn find_delivery(&self, delivery: DeliveryId) -> Result<Option<Delivery>, LedgerError> {
        self.read("find a delivery", move |snapshot| {
            let mut statement = snapshot
                .prepare_cached("SELECT referral, recipient, kind, digest, leaf, settled_at FROM delivery WHERE id = ?1")?;
            let found = |row: &Row<'_>| {
                Ok(Delivery {
                    referral: uuid(row, 0)?,
                    routing_key: row.get(1)?,
                    kind: row.get(2)?,
                    digest: row.get(3)?,
                    leaf: number(row, 4)?,
                    settled_at: row.get::<_, Option<i64>>(5)?.map(|_| at(row, 5)).transpose()?,
                })
            };
            statement.query_row([delivery.as_bytes()], found).optional()
        })
        .await
    }

    async fn content(&self, referral: ReferralId, id: Digest) -> Result<Option<Content>, LedgerError> {
        self.read("fetch content", move |snapshot| {
            let mut statement = snapshot.prepare_cached("SELECT kind, bytes FROM content WHERE referral = ?1 AND id = ?2")?;
            let content = |row: &Row<'_>| Ok(Content { id, kind: row.get(0)?, bytes: row.get(1)? });
            statement.query_row(params![referral.as_bytes(), id], content).optional()
        })
        .await
    }

    async fn latest_record(&self, referral: ReferralId) -> Result<Option<Decision>, LedgerError> {
        self.read("fetch a decision", move |snapshot| {
            let mut statement = snapshot.prepare_cached(
                "SELECT leaf, leaf.kind, leaf.at, bytes FROM record JOIN leaf ON position = record.leaf
                 WHERE referral = ?1 ORDER BY record.leaf DESC LIMIT 1",
            )?;
            let decision =
                |row: &Row<'_>| Ok(Decision { leaf: number(row, 0)?, kind: row.get(1)?, at: at(row, 2)?, record: row.get(3)? });
            statement.query_row([referral.as_bytes()], decision).optional()
        })
        .await
    }

    async fn counts(&self) -> Result<Counts, LedgerError> {
        self.read("count what it holds", |snapshot| {
            let count = |statement: &str| snapshot.prepare_cached(statement)?.query_row([], |row| number(row, 0));
            let oldest = "SELECT leaf.at FROM delivery JOIN leaf ON position = delivery.leaf
                          WHERE settled_at IS NULL ORDER BY delivery.leaf LIMIT 1";
            Ok(Counts {
                open: count("SELECT count(*) FROM referral WHERE open = 1")?,
                owed: count("SELECT count(*) FROM delivery WHERE settled_at IS NULL")?,
                oldest_owed: snapshot.prepare_cached(oldest)?.query_row([], |row| at(row, 0)).optional()?,
                quarantined: count("SELECT count(*) FROM quarantine")?,
                waiting: waiting_counts(snapshot, false)?,
                waiting_urgently: waiting_counts(snapshot, true)?,
                leaves: count_leaves(snapshot)?,
            })
        })
        .await
    }

    async fn checkpoint(&self) -> Result<String, LedgerError> {
        self.read("fetch its checkpoint", |snapshot| last_checkpoint(snapshot)).await
    }

    async fn quarantine(&self, message: Quarantined) -> Result<(), LedgerError> {
        self.write(|answer| Request::Quarantine { message, answer }).await
    }

    async fn quarantined(&self, after: u64, limit: usize) -> Result<Vec<QuarantinedEntry>, LedgerError> {
        self.read("list the quarantine", move |snapshot| {
            let mut statement = snapshot.prepare_cached(
                "SELECT number, id, queue, reason, at, length(bytes) FROM quarantine
                 WHERE number > ?1 ORDER BY number LIMIT ?2",
            )?;
            let entry = |row: &Row<'_>| {
                Ok(QuarantinedEntry {
                    number: number(row, 0)?,
                    id: uuid(row, 1)?,
                    queue: row.get(2)?,
                    reason: row.get(3)?,
                    at: at(row, 4)?,
                    length: number(row, 5)?,
                })
            };
            statement.query_map(params![signed(after), row_limit(limit)], entry)?.collect()
        })
        .await
    }

    async fn quarantined_message(&self, id: Uuid) -> Result<Option<Quarantined>, LedgerError> {
        self.read("fetch a message from quarantine", move |snapshot| {
            let mut statement =
                snapshot.prepare_cached("SELECT queue, reason, at, headers, bytes FROM quarantine WHERE id = ?1")?;
            let message = |row: &Row<'_>| {
                Ok(Quarantined {
                    id,
                    queue: row.get(0)?,
                    reason: row.get(1)?,
                    at: at(row, 2)?,
                    headers: headers(row, 3)?,
                    bytes: row.get(4)?,
                })
            };
            statement.query_row([id.as_bytes()], message).optional()
        })
        .await
    }

    async fn release(&self, release: Release) -> Result<bool, LedgerError> {
        self.write(|answer| Request::Release { release, released: false, answer }).await
    }

    async fn erase(&self, erasure: Erasure) -> Result<Erased, LedgerError> {
        self.write(|answer| Request::Erase { erasure, erased: Erased::Nothing, answer }).await
    }

    async fn note(&self, note: Note) -> Result<u64, LedgerError> {
        self.write(|answer| Request::Note { note, leaf: 0, answer }).await
    }
}
