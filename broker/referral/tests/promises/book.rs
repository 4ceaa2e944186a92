//! Every rule of the book is a row of a pack or is code, and whichever it is can be found.

use std::collections::BTreeSet;
use std::path::Path;

use referral::rules::pack::{Draft, Tables};
use referral::rules::table::Table;
use referral::rules::{RULES_IN_CODE, library};

/// The ids of rules.md, sections 1 and 2. There is no RA-25, DM-13 or ID-03; CL-03b is one of its own.
fn the_book() -> BTreeSet<String> {
    let families: [(&str, &[std::ops::RangeInclusive<u8>]); 11] = [
        ("RA", &[1..=24, 26..=27]),
        ("TC", &[1..=12]),
        ("LB", &[1..=11]),
        ("DM", &[1..=12, 14..=16]),
        ("HR", &[1..=11]),
        ("CL", &[0..=16]),
        ("FB", &[1..=3]),
        ("RK", &[1..=6]),
        ("DQ", &[1..=2]),
        ("ID", &[1..=2, 4..=5]),
        ("VR", &[1..=3]),
    ];
    let numbered = families
        .iter()
        .flat_map(|(family, ranges)| ranges.iter().cloned().flatten().map(move |number| format!("{family}-{number:02}")));
    numbered.chain(["CL-03b".to_owned()]).collect()
}

/// The rule to which a row belongs: what stands before the suffix.
fn rules_of(tables: &Tables) -> Vec<String> {
    fn of<Outcome>(table: &Table<Outcome>) -> impl Iterator<Item = String> {
        table.0.iter().map(|row| row.reason.rule.0.split('.').next().unwrap_or_default().to_owned())
    }
    let Tables { diversion, route, desk, hold, notify, share, withhold, basis, clock, flag } = tables;
    let who = of(diversion).chain(of(route)).chain(of(desk)).chain(of(notify));
    let what = of(hold).chain(of(share)).chain(of(withhold)).chain(of(basis));
    who.chain(what).chain(of(clock)).chain(of(flag)).collect()
}

fn drafts() -> Vec<Draft> {
    // Packs that are switched off are part of the book too; an area's example is not.
    let files = library::BUILT_IN.iter().copied().filter(|(file, _)| !file.starts_with("areas/"));
    library::drafts(files).unwrap_or_else(|fault| panic!("{fault}"))
}

#[test]
fn every_rule_of_the_book_is_a_row_or_code() {
    let rows: BTreeSet<String> = drafts().iter().flat_map(|draft| rules_of(&draft.tables)).collect();
    let code: BTreeSet<String> = RULES_IN_CODE.iter().map(|rule| rule.id.to_owned()).collect();
    let book = the_book();
    assert_eq!(book.len(), 111);
    let missing: Vec<&String> = book.iter().filter(|id| !rows.contains(*id) && !code.contains(*id)).collect();
    assert!(missing.is_empty(), "no row and no code for {missing:?}");
    let invented: Vec<&String> = rows.union(&code).filter(|id| !book.contains(*id)).collect();
    assert!(invented.is_empty(), "not in the book: {invented:?}");
}

#[test]
fn a_rule_that_is_code_says_what_and_names_a_module_that_is_there() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut known = BTreeSet::new();
    for rule in RULES_IN_CODE {
        assert!(known.insert(rule.id), "{} stands there twice", rule.id);
        assert!(rule.says.len() > 20 && !rule.says.ends_with('.'), "{}", rule.id);
        let module = source.join(format!("{}.rs", rule.kept_by.replace("::", "/")));
        assert!(module.is_file(), "{} is kept by {}, which is not there", rule.id, rule.kept_by);
    }
}
