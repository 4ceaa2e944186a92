//! The worked cases of `policies/cases` through the same core as a real referral. A partnership adds files of its own
//! there; each is a test.

use std::fs;
use std::path::Path;

use referral::rules::Rulebook;
use router::cases::{self, Report};

fn rules() -> Rulebook {
    Rulebook::built_in("").expect("the built-in rules")
}

fn run(text: &str) -> Report {
    cases::run(text, &rules())
}

/// The first worked case, with one part of it replaced.
fn planted(from: &str, to: &str) -> Report {
    let text = fs::read_to_string(folder().join("worked.jsonl")).expect("the worked cases");
    let first = text.lines().next().expect("a case").to_owned();
    assert!(first.contains(from), "the first case holds {from}");
    run(&first.replacen(from, to, 1))
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/cases")
}

#[test]
fn every_worked_case_comes_out_as_a_practitioner_expects() {
    let mut files = 0;
    for entry in fs::read_dir(folder()).expect("policies/cases") {
        let path = entry.expect("a file").path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        files += 1;
        let report = run(&fs::read_to_string(&path).expect("cases"));
        println!("{}\n{report}", path.display());
        assert!(report.passed() > 0, "{} holds no case", path.display());
        assert_eq!(report.failed(), 0, "{}:\n{report}", path.display());
    }
    assert!(files > 0, "policies/cases holds no cases");
}

#[test]
fn a_wrong_expectation_fails_and_says_the_difference() {
    for (from, to, says) in [
        ("\"action\": \"deliver\"", "\"action\": \"reject\"", "action: expected reject, found deliver"),
        ("LA:E10000016:front_door", "LA:E10000017:front_door", "responsible: expected LA:E10000017:front_door"),
        ("\"also_notify\": []", "\"also_notify\": [\"POLICE:46\"]", "also told: expected POLICE:46, found none"),
        (
            "\"withheld\": []",
            "\"withheld\": [{\"category\": \"identity\", \"from\": \"LA:E10000016:front_door\"}]",
            "withheld: identity",
        ),
        ("CA1989.s17", "CA1989.s47", "lawful basis: not recorded CA1989.s47"),
        ("2026-11-04", "2026-11-05", "clocks: expected la_ack_decision_1wd due 2026-11-05"),
    ] {
        let report = planted(from, to);
        assert_eq!((report.passed(), report.failed()), (0, 1), "{report}");
        assert!(report.to_string().contains(says), "{says}: {report}");
    }
}

#[test]
fn an_unknown_key_or_word_is_named_with_its_line() {
    for (from, to, says) in [
        ("\"child\": {", "\"shoe_size\": 4, \"child\": {", "unknown field `shoe_size`"),
        ("\"harm_type\": \"neglect\"", "\"harm_type\": \"sadness\"", "harm_type is no word of harm"),
        ("URN999002", "URN9", "a school's unique reference number"),
        ("\"home_la\": \"E07000106\"", "\"home_la\": \"Kent\"", "a place is neither a GSS code nor a name"),
    ] {
        let report = planted(from, to);
        assert_eq!((report.passed(), report.failed()), (0, 1), "{report}");
        assert!(report.to_string().contains("line 1:") && report.to_string().contains(says), "{says}: {report}");
    }
}

#[test]
fn a_contested_case_is_reported_apart_and_fails_nothing() {
    let report = planted("\"title\"", "\"contested\": true, \"title\"");
    assert_eq!((report.passed(), report.failed(), report.contested().count()), (0, 0, 1));
    let text = fs::read_to_string(folder().join("worked.jsonl")).expect("the worked cases");
    let first = text.lines().next().expect("a case").replace("\"action\": \"deliver\"", "\"action\": \"reject\"");
    let report = run(&first.replacen("\"title\"", "\"contested\": true, \"title\"", 1));
    assert_eq!(report.failed(), 0);
    assert!(report.to_string().contains("0 as expected, 1 otherwise"), "{report}");
}
