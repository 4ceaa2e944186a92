//! Every kind of tampering is found, and named by its entry, in the database and in a bundle.

mod ledger_support;

use ledger_support::*;
use router::record::log::{Checkpoint, Frontier, Hash, Leaf, Signer};
use router::record::sqlite::SqliteLedger;
use router::record::verify::{Records, Report, export, verify, verify_bundle};
use router::record::{Erased, Erasure, Kind, Ledger, Note, Quarantined, Release};
use rusqlite::{Connection, params};

/// Fourteen entries under seven checkpoints:
/// 0 decision, 1 and 2 its deliveries (referral 1; delivery 1 is settled); 3 to 5 the same of referral 2;
/// 6 to 8 the second step of referral 1; 9 the only decision on referral 3, erased; 10 that erasure;
/// 11 to 13 the second step of referral 2.
async fn a_ledger() -> InSqlite {
    let home = InSqlite::new();
    let ledger = home.open();
    recorded(commit_one(&ledger, step(referral(1), 0)).await);
    recorded(commit_one(&ledger, step(referral(2), 0)).await);
    recorded(commit_one(&ledger, step(referral(1), 1)).await);
    recorded(commit_one(&ledger, closing(referral(3), 0)).await);
    let (by, reason) = ("records.manager".to_owned(), "retention over".to_owned());
    let erased = ledger.erase(Erasure { referral: referral(3), by, reason, at: at(99) }).await.unwrap();
    assert_eq!(erased, Erased::Leaf(10));
    recorded(commit_one(&ledger, step(referral(2), 1)).await);
    ledger.settle(vec![delivery_id(referral(1), 0)], at(50)).await.unwrap();
    home
}

#[tokio::test]
async fn a_ledger_that_says_which_rules_were_in_force_holds_and_a_changed_word_of_it_is_found() {
    let home = a_ledger().await;
    let note = Note { kind: Kind::RULES, record: b"WT2026/1".to_vec(), at: at(100) };
    let index = home.open().note(note).await.unwrap();
    let report = verified(&home, None);
    assert!(report.holds(), "{report}");
    by_hand(&home).execute("UPDATE record SET bytes = ?1 WHERE leaf = ?2", params![b"WT2023/1", index as i64]).unwrap();
    assert_eq!(verified(&home, None).faults.first().and_then(|fault| fault.entry), Some(index));
}

/// Whoever has the file can do anything to it, and first of all take off what protects it.
fn by_hand(home: &InSqlite) -> Connection {
    let connection = Connection::open(home.path()).unwrap();
    connection
        .execute_batch(
            "PRAGMA foreign_keys = OFF;
             DROP TRIGGER leaf_is_not_altered; DROP TRIGGER leaf_is_not_removed;
             DROP TRIGGER checkpoint_is_not_altered; DROP TRIGGER checkpoint_is_not_removed;",
        )
        .unwrap();
    connection
}

fn verified(home: &InSqlite, seen: Option<&str>) -> Report {
    verify(&home.path(), &public_key(), seen).unwrap()
}

fn bundle(home: &InSqlite, records: Records) -> String {
    let mut out = Vec::new();
    export(&home.path(), records, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn found(report: &Report) -> Vec<(Option<u64>, &str)> {
    report.faults.iter().map(|fault| (fault.entry, fault.what.as_str())).collect()
}

/// Tampers, and expects the first fault to name that entry in those words, in the database and in a
/// bundle made from it alike.
async fn check(tamper: &str, entry: u64, words: &str) {
    let home = a_ledger().await;
    by_hand(&home).execute_batch(tamper).unwrap();
    let in_database = verified(&home, None);
    expect_first(&in_database, tamper, entry, words);
    let in_bundle = verify_bundle(bundle(&home, Records::All).as_bytes(), &public_key(), None).unwrap();
    assert!(!in_bundle.holds(), "{tamper}: not found in the bundle");
}

/// The same for what stands only in the database.
async fn check_beside_the_log(tamper: &str, entry: u64, words: &str) {
    let home = a_ledger().await;
    by_hand(&home).execute_batch(tamper).unwrap();
    expect_first(&verified(&home, None), tamper, entry, words);
}

fn expect_first(report: &Report, tamper: &str, entry: u64, words: &str) {
    let first = report.faults.first().unwrap_or_else(|| panic!("{tamper}: not found"));
    assert!(first.entry == Some(entry) && first.what.contains(words), "{tamper}: {:#?}", found(report));
    assert!(report.to_string().contains(&first.what));
}

#[tokio::test]
async fn a_log_as_it_was_written_holds() {
    let home = a_ledger().await;
    let report = verified(&home, None);
    assert_eq!(found(&report), []);
    assert_eq!((report.entries, report.checkpoints, report.erased, report.closed), (14, 7, 1, 0));
    assert!(report.to_string().ends_with("Nothing was altered, dropped or reordered."), "{report}");

    // While the broker writes, and on the way from nothing.
    let open = home.open();
    assert_eq!(found(&verified(&home, None)), []);
    drop(open);
    let fresh = InSqlite::new();
    drop(fresh.open());
    assert_eq!(found(&verified(&fresh, None)), []);
}

#[tokio::test]
async fn an_altered_record_is_found() {
    let altered = "entry 3 was altered: it does not commit to the record and salt";
    check("UPDATE record SET bytes = CAST('released him to go home' AS BLOB) WHERE leaf = 3", 3, altered).await;
    check("UPDATE record SET salt = zeroblob(32) WHERE leaf = 3", 3, altered).await;
    check("UPDATE record SET salt = zeroblob(31) WHERE leaf = 3", 3, altered).await;
    check("UPDATE delivery SET salt = zeroblob(32) WHERE leaf = 5", 5, "entry 5 was altered").await;
    check("UPDATE delivery SET recipient = 'school.1' WHERE leaf = 5", 5, "entry 5 was altered").await;
    check("UPDATE delivery SET digest = zeroblob(32) WHERE leaf = 5", 5, "entry 5 was altered").await;
    check("UPDATE delivery SET id = zeroblob(16) WHERE leaf = 5", 5, "entry 5 was altered").await;
}

#[tokio::test]
async fn a_missing_record_is_found_unless_an_erasure_says_so() {
    check("DELETE FROM record WHERE leaf = 6", 6, "what it commits to is missing, and no erasure says so").await;
    check("UPDATE delivery SET salt = NULL, digest = NULL WHERE leaf = 1", 1, "no erasure says so").await;
    check("DELETE FROM delivery WHERE leaf = 1", 1, "no erasure says so").await;
    // An erasure's own record is not erased.
    check("DELETE FROM record WHERE leaf = 10", 9, "no erasure says so").await;
    // Nor can it be made to say more than it said.
    let more = "UPDATE record SET bytes = CAST(replace(CAST(bytes AS TEXT), '[9]', '[0,9]') AS BLOB) WHERE leaf = 10;
                DELETE FROM record WHERE leaf = 0";
    check(more, 0, "no erasure says so").await;
}

#[tokio::test]
async fn an_altered_leaf_is_found() {
    let altered = "entry 4 was altered: its hash is not the one that was kept";
    check("UPDATE leaf SET at = at + 1 WHERE position = 4", 4, altered).await;
    check("UPDATE leaf SET kind = 'answered' WHERE position = 4", 4, "entry 4").await;
    check("UPDATE leaf SET commitment = zeroblob(32) WHERE position = 4", 4, altered).await;
    check("UPDATE leaf SET commitment = zeroblob(5) WHERE position = 4", 4, "its commitment is not a hash").await;
    // The hashes beside a leaf are recomputed from a bundle, which leaves them out.
    check_beside_the_log("UPDATE leaf SET completed = zeroblob(32) WHERE position = 4", 4, altered).await;
    let home = a_ledger().await;
    let connection = by_hand(&home);
    let mut completed: Vec<u8> =
        connection.query_row("SELECT completed FROM leaf WHERE position = 5", [], |row| row.get(0)).unwrap();
    completed[40] ^= 1;
    connection.execute("UPDATE leaf SET completed = ?1 WHERE position = 5", [completed]).unwrap();
    expect_first(&verified(&home, None), "a hash over two", 4, "one of the entries 4 to 5 was altered or moved");
    // After a first fault the others are still found.
    let home = a_ledger().await;
    by_hand(&home)
        .execute_batch("UPDATE leaf SET at = 1 WHERE position IN (2, 12); UPDATE record SET salt = zeroblob(32) WHERE leaf = 6")
        .unwrap();
    let report = verified(&home, None);
    assert_eq!(report.faults.iter().map(|fault| fault.entry).collect::<Vec<_>>(), [Some(2), Some(6), Some(12)]);
}

/// Alters one entry and computes every hash in the file anew, as somebody thorough would.
fn recompute(connection: &Connection) {
    let mut statement = connection.prepare("SELECT position, kind, at, commitment FROM leaf ORDER BY position").unwrap();
    let leaves: Vec<(i64, Leaf)> = statement
        .query_map([], |row| {
            let leaf = Leaf { kind: row.get(1)?, at_micros: row.get(2)?, commitment: row.get::<_, Hash>(3)? };
            Ok((row.get(0)?, leaf))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut frontier = Frontier::default();
    for (position, leaf) in leaves {
        let completed = frontier.append(leaf.hash()).concat();
        connection.execute("UPDATE leaf SET completed = ?2 WHERE position = ?1", params![position, completed]).unwrap();
    }
}

#[tokio::test]
async fn an_altered_leaf_is_found_even_with_every_hash_computed_anew() {
    let home = a_ledger().await;
    let connection = by_hand(&home);
    connection.execute_batch("UPDATE leaf SET at = at + 1 WHERE position = 7").unwrap();
    recompute(&connection);
    let words = "one of the entries 6 to 8 was altered or moved: the checkpoint over 9 entries was signed over something else";
    assert_eq!(found(&verified(&home, None)), [(Some(6), words)]);

    // Signed anew with a key of their own: not our key.
    let stranger = Signer::new(ORIGIN, &[8; 32]);
    let mut frontier = Frontier::default();
    let completed: Vec<Vec<u8>> = {
        let mut statement = connection.prepare("SELECT completed FROM leaf ORDER BY position").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    for (index, completed) in completed.iter().enumerate() {
        frontier.append(completed[..32].try_into().unwrap());
        let note = stranger.checkpoint(&frontier);
        connection.execute("UPDATE checkpoint SET note = ?2 WHERE size = ?1", params![index as i64 + 1, note]).unwrap();
    }
    let report = verified(&home, None);
    assert!(report.faults.iter().any(|fault| fault.what.contains("not signed by the ledger's key")), "{report}");
}

#[tokio::test]
async fn an_altered_checkpoint_is_found() {
    check("UPDATE checkpoint SET note = replace(note, '9', '8') WHERE size = 9", 8, "the checkpoint over 9 entries was altered")
        .await;
    check("UPDATE checkpoint SET note = '' WHERE size = 9", 8, "the checkpoint over 9 entries was altered").await;
    check(
        "UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE size = 6) WHERE size = 9",
        8,
        "the checkpoint over 6 entries stands in the place of the one over 9",
    )
    .await;
    check("DELETE FROM checkpoint WHERE size = 14", 11, "entries 11 to 13 are not covered by any checkpoint").await;
    check("DELETE FROM checkpoint", 0, "entries 0 to 13 are not covered by any checkpoint").await;
}

/// Swaps whole rows: the second becomes the first and the other way round.
fn swap(table: &str, column: &str, one: u64, other: u64) -> String {
    format!(
        "UPDATE {table} SET {column} = -1 WHERE {column} = {one};
         UPDATE {table} SET {column} = {one} WHERE {column} = {other};
         UPDATE {table} SET {column} = {other} WHERE {column} = -1;"
    )
}

#[tokio::test]
async fn two_entries_that_changed_places_are_found() {
    // The leaves alone: what stands with them tells who is who.
    let home = a_ledger().await;
    by_hand(&home).execute_batch(&swap("leaf", "position", 0, 6)).unwrap();
    let report = verified(&home, None);
    let words: Vec<&str> = found(&report).into_iter().map(|(_, what)| what).collect();
    assert!(words.contains(&"entry 0 was moved: it commits to what stands at entry 6"), "{words:#?}");
    assert!(words.contains(&"entry 6 was moved: it commits to what stands at entry 0"), "{words:#?}");

    // Leaves and records together: the tree tells.
    let both = swap("leaf", "position", 0, 6) + &swap("record", "leaf", 0, 6);
    check(&both, 0, "altered or moved").await;
    // Also when every hash was computed anew.
    let home = a_ledger().await;
    let connection = by_hand(&home);
    connection.execute_batch(&both).unwrap();
    recompute(&connection);
    expect_first(&verified(&home, None), "swapped", 0, "one of the entries 0 to 2 was altered or moved");
}

#[tokio::test]
async fn a_dropped_entry_is_found() {
    let everywhere = |which: &str| {
        ["leaf WHERE position", "record WHERE leaf", "delivery WHERE leaf", "owed WHERE leaf"]
            .map(|table| format!("DELETE FROM {table} {which};"))
            .concat()
    };
    check(&everywhere("= 13"), 13, "entry 13 is missing: the last checkpoint covers 14 entries, and the log has 13").await;
    check(&everywhere("> 11"), 12, "entries 12 to 13 are missing").await;
    check(&everywhere("= 5"), 5, "entry 5 is missing").await;
    check(&everywhere("IN (5, 6)"), 5, "entries 5 to 6 are missing").await;
    check(&everywhere("= 0"), 0, "entry 0 is missing").await;
    // The gap closed, so that nothing seems to be missing.
    let closed = everywhere("= 5")
        + "UPDATE record SET leaf = leaf - 1 WHERE leaf > 5;
           UPDATE leaf SET position = -position WHERE position > 5; UPDATE leaf SET position = -position - 1 WHERE position < 0;
           UPDATE delivery SET leaf = leaf - 1 WHERE leaf > 5; UPDATE owed SET leaf = leaf - 1 WHERE leaf > 5;";
    check(&closed, 5, "entry 5").await;
}

#[tokio::test]
async fn a_log_cut_back_together_with_its_checkpoints_is_found_by_whoever_saw_a_later_one() {
    let home = a_ledger().await;
    let seen = home.open().checkpoint().await.unwrap();
    assert_eq!(found(&verified(&home, Some(&seen))), []);
    by_hand(&home)
        .execute_batch(
            "DELETE FROM leaf WHERE position >= 11; DELETE FROM record WHERE leaf >= 11; DELETE FROM delivery WHERE leaf >= 11;
             DELETE FROM owed WHERE leaf >= 11; DELETE FROM checkpoint WHERE size > 11; UPDATE referral SET version = 1 WHERE number = 2;",
        )
        .unwrap();
    // By itself it is a whole log, only an older one.
    assert_eq!(found(&verified(&home, None)), []);
    let words = "entries 11 to 13 are missing: a checkpoint seen earlier covers 14 entries, and the log has 11";
    assert_eq!(found(&verified(&home, Some(&seen))), [(Some(11), words)]);
    let in_bundle = verify_bundle(bundle(&home, Records::All).as_bytes(), &public_key(), Some(&seen)).unwrap();
    assert_eq!(found(&in_bundle), [(Some(11), words)]);
}

#[tokio::test]
async fn a_log_written_anew_with_the_right_key_is_found_by_whoever_saw_the_old_one() {
    let seen = a_ledger().await.open().checkpoint().await.unwrap();
    let other = InSqlite::new();
    let ledger = other.open();
    for expected in 0..6 {
        recorded(commit_one(&ledger, step(referral(1), expected)).await);
    }
    assert_eq!(found(&verified(&other, None)), []);
    let report = verified(&other, Some(&seen));
    expect_first(&report, "rewritten", 0, "this is not the log that was seen then");

    let forged = Signer::new(ORIGIN, &[8; 32]).checkpoint(&Frontier::default());
    assert!(verify(&other.path(), &public_key(), Some(&forged)).is_err());
}

#[tokio::test]
async fn what_does_not_agree_with_the_log_is_found() {
    check_beside_the_log("UPDATE owed SET body = CAST('another' AS BLOB) WHERE leaf = 5", 5, "its body is not the one").await;
    check_beside_the_log("DELETE FROM owed WHERE leaf = 5", 5, "never settled, and what was to be delivered is missing").await;
    check_beside_the_log("UPDATE delivery SET settled_at = 1 WHERE leaf = 5", 5, "was settled, and is still owed").await;
    check_beside_the_log(
        "INSERT INTO delivery (leaf, id, referral, recipient, kind, settled_at) VALUES (77, x'01', zeroblob(16), 'x', 'x', 1)",
        77,
        "nothing proves it was recorded",
    )
    .await;
    check_beside_the_log(
        "INSERT INTO owed (leaf, place, exchange, content_type, headers, body) VALUES (77, 0, '', '', '[]', x'')",
        77,
        "no delivery of it was recorded",
    )
    .await;
    check_beside_the_log(
        "INSERT INTO record (leaf, salt, bytes) VALUES (77, zeroblob(32), x'')",
        77,
        "the log has no decision there",
    )
    .await;
    check_beside_the_log("UPDATE delivery SET leaf = 6 WHERE leaf = 5", 5, "no erasure says so").await;

    let home = a_ledger().await;
    by_hand(&home)
        .execute_batch("UPDATE referral SET version = 1 WHERE number = 1; DELETE FROM referral WHERE number = 2")
        .unwrap();
    let report = verified(&home, None);
    let words: Vec<&str> = found(&report).into_iter().map(|(_, what)| what).collect();
    let (one, two) = (referral(1), referral(2));
    assert_eq!(
        words,
        [
            format!("referral {one} stands at step 1, and 2 decisions on it are recorded"),
            format!("referral {two} stands at step 0, and 2 decisions on it are recorded"),
        ]
    );
}

#[tokio::test]
async fn a_bundle_is_verified_without_a_database() {
    let home = a_ledger().await;
    let key = public_key();
    let whole = bundle(&home, Records::All);
    let report = verify_bundle(whole.as_bytes(), &key, None).unwrap();
    assert_eq!(found(&report), []);
    assert_eq!((report.entries, report.checkpoints, report.erased, report.closed), (14, 7, 1, 0));

    // One child's record, and nobody else's.
    let ombudsman = bundle(&home, Records::Of(referral(1)));
    let report = verify_bundle(ombudsman.as_bytes(), &key, None).unwrap();
    assert_eq!(found(&report), []);
    assert_eq!((report.entries, report.closed), (14, 7));
    let opened = |bundle: &str| bundle.lines().filter(|line| line.contains("\"salt\"")).count();
    assert_eq!((opened(&whole), opened(&ombudsman), opened(&bundle(&home, Records::None))), (13, 7, 0));

    // Any line altered, dropped or exchanged with its neighbour is found.
    let lines: Vec<&str> = whole.lines().collect();
    let broken = |lines: &[&str]| !verify_bundle(lines.join("\n").as_bytes(), &key, None).is_ok_and(|report| report.holds());
    assert!(!broken(&lines));
    for at in 0..lines.len() {
        let mut dropped = lines.clone();
        dropped.remove(at);
        // A checkpoint between others may be dropped: the later ones cover what it covered.
        let superseded = lines[at].starts_with("{\"checkpoint\"") && at + 2 < lines.len();
        assert_eq!(broken(&dropped), !superseded, "dropped {}", lines[at]);
        if at + 1 < lines.len() && !(superseded || lines[at + 1].starts_with("{\"checkpoint\"")) {
            let mut swapped = lines.clone();
            swapped.swap(at, at + 1);
            assert!(broken(&swapped), "swapped {}", lines[at]);
        }
        let digit = lines[at].rfind(|letter: char| letter.is_ascii_digit()).unwrap();
        let other = if &lines[at][digit..=digit] == "7" { "6" } else { "7" };
        let altered = format!("{}{other}{}", &lines[at][..digit], &lines[at][digit + 1..]);
        let mut with = lines.clone();
        with[at] = &altered;
        assert!(broken(&with), "altered {altered}");
    }
    assert!(verify_bundle("not a bundle".as_bytes(), &key, None).is_err());
    assert!(verify_bundle("".as_bytes(), &key, None).is_ok_and(|report| !report.holds()));
}

#[tokio::test]
async fn what_was_erased_is_nowhere_in_the_files() {
    let home = InSqlite::new();
    let ledger = home.open();
    let canary = "CANARY-Robin-Example-of-Nowhere-Street";
    let mut first = step(referral(1), 0);
    first.content[0].bytes = canary.repeat(300).into_bytes();
    first.record = canary.repeat(300).into_bytes();
    first.progress[0].body = canary.into();
    first.owed[0].body = canary.repeat(300).into_bytes();
    first.owed[0].digest = router::record::log::digest(&first.owed[0].body);
    let owed = recorded(commit_one(&ledger, first).await);
    let second = closing(referral(1), 1);
    recorded(commit_one(&ledger, second).await);
    let message = Quarantined {
        id: referral(9),
        queue: "intake.0".to_owned(),
        reason: "unreadable".to_owned(),
        at: at(1),
        headers: vec![],
        bytes: canary.into(),
    };
    ledger.quarantine(message).await.unwrap();
    assert!(ledger.release(Release { seen: at(1), ..release(referral(9)) }).await.unwrap());
    let holds_canary = || {
        ["ledger.db", "ledger.db-wal"].into_iter().any(|name| {
            let bytes = std::fs::read(home.0.path(name)).unwrap_or_default();
            bytes.windows(canary.len()).any(|window| window == canary.as_bytes())
        })
    };
    assert!(holds_canary());
    ledger.settle(owed.iter().map(|owed| owed.id).collect(), at(5)).await.unwrap();
    let (by, reason) = ("records.manager".to_owned(), "retention over".to_owned());
    assert_eq!(ledger.erase(Erasure { referral: referral(1), by, reason, at: at(9) }).await.unwrap(), Erased::Leaf(5));
    assert!(!holds_canary());
    assert_eq!(found(&verified(&home, None)), []);
}

/// What is left after somebody was killed in the middle is the affair of `ledger_crash.rs`; here,
/// that a ledger opened after tampering at its edge says where to look.
#[tokio::test]
async fn the_broker_does_not_start_on_a_log_that_was_cut() {
    let home = a_ledger().await;
    by_hand(&home).execute_batch("DELETE FROM leaf WHERE position = 13").unwrap();
    let Err(refused) = SqliteLedger::open(&home.path(), signer(), salts(2)) else { panic!("it started") };
    assert!(refused.to_string().contains("ledger verify"), "{refused}");
    let checkpoint = Checkpoint::open(verified(&home, None).checkpoint.as_deref().unwrap(), &public_key()).unwrap();
    assert_eq!(checkpoint.size, 14);
}
