//! The ledger's process is killed in the middle of writing, and its disk fills up. Whatever it
//! answered is there, whatever is there is whole, and the log verifies.

mod ledger_support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use ledger_support::*;
use router::record::sqlite::SqliteLedger;
use router::record::verify::verify;
use router::record::{Committed, Ledger, LedgerError};

/// Set for the child: the ledger it writes.
const LEDGER: &str = "LEDGER_CRASH_TEST_LEDGER";
const LIVES: u64 = 16;

/// In the child: writes steps of several referrals for as long as it lives, settles some of what is
/// owed, and says on its output what was answered, after it was answered.
fn write_for_ever(path: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let ledger = SqliteLedger::open(path.as_ref(), signer(), salts(u64::from(std::process::id()))).unwrap();
    let say = |what: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{what}").and_then(|()| out.flush()).unwrap();
    };
    runtime.block_on(async {
        let lives = (0..LIVES).map(|number| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                let id = referral(number);
                let mut version = ledger.load(&[id]).await.unwrap().remove(0).map_or(0, |stored| stored.version.0);
                loop {
                    match ledger.commit(vec![step(id, version)]).await {
                        Ok(mut committed) => match committed.remove(0) {
                            Committed::Recorded { owed, .. } => {
                                version += 1;
                                say(format!("recorded {number} {version}"));
                                if version % 3 == 0 && ledger.settle(vec![owed[0].id], at(9)).await.is_ok() {
                                    say(format!("settled {}", owed[0].id));
                                }
                            }
                            other => panic!("{other:?}"),
                        },
                        // The disk is full. Nobody is told it was recorded.
                        Err(LedgerError::Failed { .. }) => return say(format!("failed {number}")),
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        });
        for life in lives.collect::<Vec<_>>() {
            life.await.unwrap();
        }
        say("all failed".to_owned());
    });
}

/// Starts this very test again as a child that writes.
fn child(test: &str, home: &InSqlite, shell: Option<&str>) -> Child {
    let me = std::env::current_exe().unwrap();
    let mut command = match shell {
        None => Command::new(me),
        Some(before) => {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("{before}; exec \"$0\" \"$@\"")]).arg(me);
            command
        }
    };
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(LEDGER, home.path());
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

#[derive(Default)]
struct Answered {
    versions: BTreeMap<u64, u64>,
    settled: BTreeSet<uuid::Uuid>,
    lines: u64,
    failed: u64,
    all_failed: bool,
}

impl Answered {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["recorded", number, version] => {
                let last = self.versions.entry(number.parse().unwrap()).or_default();
                *last = (*last).max(version.parse().unwrap());
            }
            ["settled", id] => drop(self.settled.insert(id.parse().unwrap())),
            ["failed", _] => self.failed += 1,
            ["all", "failed"] => self.all_failed = true,
            _ => return,
        }
        self.lines += 1;
    }
}

/// All that was answered is there, all that is there is whole, and the log verifies.
async fn everything_answered_is_there(home: &InSqlite, answered: &Answered) {
    let report = verify(&home.path(), &public_key(), None).unwrap();
    assert!(report.holds(), "{report}");
    let ledger = home.open();
    let referrals: Vec<uuid::Uuid> = (0..LIVES).map(referral).collect();
    let mut entries = 0;
    let mut steps = 0;
    for (number, stored) in (0..LIVES).zip(ledger.load(&referrals).await.unwrap()) {
        let version = stored.map_or(0, |stored| stored.version.0);
        assert!(version >= answered.versions.get(&number).copied().unwrap_or(0), "referral {number} lost a step");
        for order in 0..version * 2 {
            assert!(ledger.find_delivery(delivery_id(referral(number), order)).await.unwrap().is_some());
        }
        assert!(ledger.find_delivery(delivery_id(referral(number), version * 2)).await.unwrap().is_none());
        steps += version;
        entries += version * 3;
    }
    assert_eq!(report.entries, entries);
    for id in &answered.settled {
        assert!(ledger.find_delivery(*id).await.unwrap().unwrap().settled_at.is_some(), "{id} is owed again");
    }
    let told = ledger.progress("school.100000", 0, usize::MAX).await.unwrap();
    assert!(told.iter().map(|told| told.sequence).eq(1..=steps));
    // A signature is slow without optimisation; the first, the last and some between will do.
    for owed in ledger.owed(None, usize::MAX).await.unwrap().iter().rev().step_by(17) {
        owed.proof().check(&public_key(), owed.id, &owed.routing_key, &owed.digest).unwrap();
    }
}

#[test]
fn what_was_answered_survives_being_killed_in_the_middle() {
    if let Ok(path) = std::env::var(LEDGER) {
        return write_for_ever(&path);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let home = InSqlite::new();
    let mut answered = Answered::default();
    // Five lives on the same ledger, each begun where the last was cut off.
    for enough in [1, 60, 150, 37, 250] {
        let mut child = child("what_was_answered_survives_being_killed_in_the_middle", &home, None);
        let before = answered.lines;
        let mut killed = false;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            answered.hear(&line.unwrap());
            if !killed && answered.lines - before >= enough {
                // SIGKILL. What it said until then is still in the pipe, and still counts.
                child.kill().unwrap();
                killed = true;
            }
        }
        let status = child.wait().unwrap();
        assert!(killed && !status.success(), "the child ended by itself: {status}");
        runtime.block_on(everything_answered_is_there(&home, &answered));
    }
    assert!(answered.settled.len() > 5 && answered.versions.len() == LIVES as usize);
}

#[test]
fn when_the_disk_is_full_nothing_is_answered_as_recorded_and_nothing_answered_is_lost() {
    if let Ok(path) = std::env::var(LEDGER) {
        return write_for_ever(&path);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let home = InSqlite::new();
    // No file may grow beyond this many blocks of 512 bytes, and being told so does not kill: a full disk, near
    // enough. There is room for far more than one step of every life, however they come to be grouped into
    // transactions: how many that are is up to the machine.
    let test = "when_the_disk_is_full_nothing_is_answered_as_recorded_and_nothing_answered_is_lost";
    let mut child = child(test, &home, Some("trap '' XFSZ; ulimit -f 6000"));
    let mut answered = Answered::default();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        answered.hear(&line.unwrap());
    }
    assert!(child.wait().unwrap().success());
    assert!(answered.all_failed && answered.failed == LIVES && answered.lines > 50, "the disk never filled");
    assert_eq!(answered.versions.len() as u64, LIVES, "the disk was full before everybody had written once");
    runtime.block_on(everything_answered_is_there(&home, &answered));
    // With room again it goes on where it stood.
    runtime.block_on(async {
        let ledger = home.open();
        let version = ledger.load(&[referral(0)]).await.unwrap().remove(0).unwrap().version;
        recorded(commit_one(&ledger, step(referral(0), version.0)).await);
    });
}
