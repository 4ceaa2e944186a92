//! What the ledger's tests share: somewhere to keep a ledger, and commits about synthetic people.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use router::record::log::{PublicKey, Signer, digest};
use router::record::memory::MemoryLedger;
use router::record::sqlite::SqliteLedger;
use router::record::{
    Commit, Committed, Content, Kind, Ledger, Moment, Owed, Progress, Recorded, ReferralId, Release, Salts, Version, Waiting,
};
use uuid::Uuid;

pub const ORIGIN: &str = "localhost/safeguarding-ledger";

pub fn signer() -> Signer {
    Signer::new(ORIGIN, &[7; 32])
}

pub fn public_key() -> PublicKey {
    signer().public().clone()
}

/// Salts that look like chance and are the same every time.
pub fn salts(seed: u64) -> Salts {
    let mut count = 0_u64;
    Box::new(move || {
        count += 1;
        digest(&[seed.to_be_bytes(), count.to_be_bytes()].concat())
    })
}

/// Somewhere a ledger lives. Opened again, it is the same ledger.
pub trait Home {
    type Ledger: Ledger;
    fn open(&self) -> Self::Ledger;
}

pub struct InMemory(MemoryLedger);

impl InMemory {
    pub fn new() -> InMemory {
        InMemory(MemoryLedger::new(signer(), salts(1)))
    }
}

impl Home for InMemory {
    type Ledger = MemoryLedger;

    fn open(&self) -> MemoryLedger {
        self.0.clone()
    }
}

/// A folder that goes with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("ledger-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub struct InSqlite(pub Folder);

impl InSqlite {
    pub fn new() -> InSqlite {
        InSqlite(Folder::new())
    }

    pub fn path(&self) -> PathBuf {
        self.0.path("ledger.db")
    }
}

impl Home for InSqlite {
    type Ledger = SqliteLedger;

    fn open(&self) -> SqliteLedger {
        SqliteLedger::open(&self.path(), signer(), salts(1)).unwrap()
    }
}

pub fn at(second: i64) -> Moment {
    Moment::from_second(1_800_000_000 + second).unwrap()
}

pub fn referral(number: u64) -> ReferralId {
    Uuid::from_u64_pair(0x8000_0000_0000_8000, number)
}

pub fn delivery_id(referral: ReferralId, order: u64) -> Uuid {
    let hash = digest(&[referral.as_bytes().as_slice(), &order.to_be_bytes()].concat());
    Uuid::from_slice(&hash[..16]).unwrap()
}

pub fn owed(referral: ReferralId, order: u64, recipient: &str) -> Owed {
    let body = format!("delivery {order} of {referral}: Robin Example, aged 9").into_bytes();
    Owed {
        id: delivery_id(referral, order),
        referral,
        order,
        exchange: "safeguarding.delivery".to_owned(),
        routing_key: recipient.to_owned(),
        kind: "referral".to_owned(),
        content_type: "application/x-protobuf".to_owned(),
        headers: vec![("traceparent".to_owned(), "00-11-22-01".to_owned())],
        digest: digest(&body),
        body,
    }
}

/// The step that follows `expected`: two deliveries, a word to the school, a piece of content.
pub fn step(referral: ReferralId, expected: u64) -> Commit {
    let text = format!("narrative {expected} about Robin Example");
    Commit {
        referral,
        expected: Version(expected),
        owner: "school.100000".to_owned(),
        state: format!("state {}", expected + 1).into_bytes(),
        wake: Some(at(1_000 + i64::try_from(expected).unwrap())),
        open: true,
        // Every other step waits for a person.
        waiting: (expected % 2 == 1).then(|| Waiting { since: at(500), urgent: expected % 4 == 1 }),
        content: vec![Content { id: digest(text.as_bytes()), kind: "narrative".to_owned(), bytes: text.into_bytes() }],
        record: format!("decision {expected} on {referral}").into_bytes(),
        kind: Kind::DECISION,
        at: at(i64::try_from(expected).unwrap()),
        owed: vec![
            owed(referral, expected * 2, "la.E09000001.front-door"),
            owed(referral, expected * 2 + 1, "police.metropolitan"),
        ],
        progress: vec![Progress { party: "school.100000".to_owned(), body: format!("step {expected}").into_bytes() }],
        settles: None,
    }
}

/// A step that delivers nothing and closes the case.
pub fn closing(referral: ReferralId, expected: u64) -> Commit {
    Commit { owed: vec![], progress: vec![], content: vec![], open: false, wake: None, waiting: None, ..step(referral, expected) }
}

pub fn recorded(committed: Committed) -> Vec<Recorded<Owed>> {
    match committed {
        Committed::Recorded { owed, .. } => owed,
        other => panic!("expected it to be recorded, got {other:?}"),
    }
}

pub async fn commit_one(ledger: &impl Ledger, commit: Commit) -> Committed {
    let mut committed = ledger.commit(vec![commit]).await.unwrap();
    assert_eq!(committed.len(), 1);
    committed.remove(0)
}

/// Lets a message out of quarantine.
pub fn release(id: uuid::Uuid) -> Release {
    Release {
        id,
        seen: at(5),
        by: "Petra Desk, operator (operator.desk)".to_owned(),
        reason: "read again".to_owned(),
        at: at(60),
    }
}
