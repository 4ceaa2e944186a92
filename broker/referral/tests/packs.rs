//! Rule packs: every fault planted in one is refused, in words that name it, its line or the situations; and
//! the set algebra behind the proofs agrees with plain enumeration.

mod common;

use expect_test::{Expect, expect};
use referral::rules::pack::{ClockName, Draft};
use referral::rules::table::*;
use referral::rules::{Decision, Library};
use referral::vocab::*;

const EDITION: &str = include_str!("editions/small.toml");
const OVERLAY: &str = include_str!("editions/duty.toml");

/// Where the row `id` begins and ends.
fn row(pack: &str, id: &str) -> std::ops::Range<usize> {
    let at = pack.find(&format!("id = \"{id}\"\n")).expect("the row is there");
    let start = pack[..at].rfind("[[").expect("a row begins with its table");
    let end = pack[at..].find("\n\n").map_or(pack.len(), |end| at + end + 2);
    start..end
}

fn without(pack: &str, id: &str) -> String {
    let mut pack = pack.to_owned();
    pack.replace_range(row(&pack, id), "");
    pack
}

/// The pack with `from` replaced by `to` in the row `id`.
fn changed(pack: &str, id: &str, from: &str, to: &str) -> String {
    let range = row(pack, id);
    assert!(pack[range.clone()].contains(from), "{id} has no {from}");
    let mut changed = pack.to_owned();
    changed.replace_range(range.clone(), &pack[range].replace(from, to));
    changed
}

/// A row to add; `cells` in TOML.
fn added(table: &str, id: &str, cells: &str) -> String {
    format!("\n[[{table}]]\nid = \"{id}\"\nbecause = \"planted\"\nsource = \"planted\"\nevidence = \"P\"\n{cells}\n")
}

fn line_of(pack: &str, id: &str) -> usize {
    pack[..row(pack, id).start].lines().count() + 1
}

/// What a library of these packs is refused with.
fn refusal(packs: &[(&str, &str)]) -> String {
    match Library::parse(packs.iter().copied()) {
        Ok(_) => "accepted".to_owned(),
        Err(fault) => fault.to_string(),
    }
}

fn check(pack: &str, expected: Expect) {
    expected.assert_eq(&refusal(&[("pack.toml", pack)]));
}

/// As `check`, where one fault breaks it in many situations: the first, and how many more.
fn check_first(pack: &str, expected: Expect) {
    let refusal = refusal(&[("pack.toml", pack)]);
    let (first, others) = refusal.split_once("; ").unwrap_or((&refusal, ""));
    expected.assert_eq(&format!("{first}; and {} more", others.split("; ").count()));
}

/// As `check`, for a fault in the row `id`: its line is counted from the row's own first line, so that an
/// unrelated change of the pack changes nothing here.
fn check_row(id: &str, from: &str, to: &str, expected: Expect) {
    let first = line_of(EDITION, id);
    let refusal = refusal(&[("pack.toml", &changed(EDITION, id, from, to))]);
    let relative = refusal.lines().map(|line| match line.trim().strip_prefix("line ").and_then(|rest| rest.split_once(':')) {
        Some((number, text)) => format!("  row line {}:{text}\n", number.parse::<usize>().unwrap() - first),
        None => format!("{line}\n"),
    });
    expected.assert_eq(&relative.collect::<String>());
}

fn check_added(table: &str, cells: &str, expected: Expect) {
    check(&format!("{EDITION}{}", added(table, "PLANTED", cells)), expected);
}

fn check_overlay(head: &str, rows: &str, expected: Expect) {
    let overlay =
        format!("[pack]\nedition = \"LOCAL\"\nversion = 1\neffective_from = \"2026-10-01\"\nkind = \"overlay\"\n{head}\n{rows}");
    expected.assert_eq(&refusal(&[("edition.toml", EDITION), ("local.toml", &overlay)]));
}

// ---------------------------------------------------------------- what is wrong in one cell, with its line

#[test]
fn a_typo_in_a_value_is_named_with_the_values_there_are() {
    check_row(
        "RA-14",
        "\"adult\"",
        "\"adlut\"",
        expect![[r#"
            rule pack pack.toml was refused:
              row line 5: not a value of age; there are unborn, under_5, 5_to_12, 13_to_15, 16_to_17, adult, unknown
        "#]],
    );
    check_row(
        "RA-14",
        "\"adult_services\"",
        "\"adult-services\"",
        expect![[r#"
            rule pack pack.toml was refused:
              row line 6: not a value of authority; there are home, located, placing, plan_holder, enquiry, workplace, school, referrer, provider, household, review_panel, adult_services, devolved_home, devolved_located, nobody
        "#]],
    );
    check_row(
        "HR-08",
        "\"refuse\"",
        "\"reject\"",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 6: not a value of hold; there are review, return_to_sender, refuse
    "#]],
    );
    check_row(
        "CL-01",
        "\"decided\"",
        "\"done\"",
        expect![[r#"
            rule pack pack.toml was refused:
              row line 10: not a value of ends_with; there are acknowledged, decided, answered
        "#]],
    );
}

#[test]
fn a_typo_in_a_column_is_named_with_the_columns_there_are() {
    check_row(
        "RA-14",
        "age =",
        "agee =",
        expect![[r#"
            rule pack pack.toml was refused:
              row line 5: there is no column "agee"; there are sender, event, level, stated_level, level_fit, harm, agreement, other_holder_refused, duty, duty_decision, age, turns_18, home, located, same_authority, second_home, placing, looked_after, plan, enquiry, open_case, workplace, school, sender_area, inpatient, deceased, fostering, harm_place, reporter, identified, trace, purpose, marking, address, parents_not_told, referrer_anonymous, conflict, accused_controls_feedback, claimed_basis, possibly_related, by_telephone, rating, decided, referrer_known, provider, household, hours, authority_code, addressed, recipient, category, police_handling, unsanitised, barred_from_education, barred_from_family, police_only
        "#]],
    );
    check_row(
        "RA-03",
        "not.age",
        "not.aeg",
        expect![[r#"
            rule pack pack.toml was refused:
              row line 5: there is no column "aeg"; there are sender, event, level, stated_level, level_fit, harm, agreement, other_holder_refused, duty, duty_decision, age, turns_18, home, located, same_authority, second_home, placing, looked_after, plan, enquiry, open_case, workplace, school, sender_area, inpatient, deceased, fostering, harm_place, reporter, identified, trace, purpose, marking, address, parents_not_told, referrer_anonymous, conflict, accused_controls_feedback, claimed_basis, possibly_related, by_telephone, rating, decided, referrer_known, provider, household, hours, authority_code, addressed, recipient, category, police_handling, unsanitised, barred_from_education, barred_from_family, police_only
        "#]],
    );
}

#[test]
fn a_typo_in_a_tables_name_is_named_with_the_tables_there_are() {
    let pack = EDITION.replace("[[withhold]]", "[[withold]]");
    let refusal = refusal(&[("pack.toml", &pack)]);
    assert!(
        refusal.contains(
            "there is no table \"withold\"; there are pack, diversion, route, desk, hold, notify, share, withhold, basis, clock, flag"
        ),
        "{refusal}"
    );
}

#[test]
fn a_value_that_stands_twice_is_refused() {
    check_row(
        "RA-20.below",
        "[\"in_need\", \"information\"]",
        "[\"in_need\", \"information\", \"in_need\"]",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 5: this value stands here twice
    "#]],
    );
}

#[test]
fn a_cell_that_allows_nothing_is_refused() {
    check_row(
        "RA-14",
        "[\"adult\"]",
        "[]",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 5: age allows no value, so this row could never match
    "#]],
    );
    check_row(
        "RA-14",
        "[\"adult\"]",
        "\"adult\"",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 5: age needs a list of values in brackets
    "#]],
    );
}

#[test]
fn a_rule_without_its_reason_its_source_or_its_evidence_is_refused() {
    check_row(
        "RA-14",
        "because = ",
        "# because = ",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 0: every rule says its because
    "#]],
    );
    check_row(
        "RA-14",
        "source = \"Family Law Reform Act 1969 s9; Care Act 2014 s42\"",
        "source = \" \"",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 0: every rule says its source
    "#]],
    );
    check_row(
        "RA-14",
        "evidence = \"M\"",
        "evidence = \"X\"",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 0: evidence "X" is not V, M or P
    "#]],
    );
    check_row(
        "RA-14",
        "evidence = \"M\"",
        "",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 0: every rule says its evidence
    "#]],
    );
    check_row(
        "RA-14",
        "id = \"RA-14\"",
        "",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 0: every rule says its id
    "#]],
    );
}

#[test]
fn a_column_used_before_it_is_known_is_refused() {
    check_row(
        "RA-14",
        "age =",
        "hours = [\"closed\"]\nage =",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 5: route is decided before hours is known
    "#]],
    );
    check_row(
        "RA-14",
        "age =",
        "addressed = [\"wrongly\"]\nage =",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 5: route is decided before addressed is known
    "#]],
    );
    check_row(
        "RA-20",
        "hours = [\"closed\"]",
        "category = [\"identity\"]",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 6: desk is decided before category is known
    "#]],
    );
    check_row(
        "TC-01",
        "level =",
        "recipient = [\"school\"]\nlevel =",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 6: notify is decided before recipient is known
    "#]],
    );
    check_row(
        "CL-01",
        "level =",
        "not.category = [\"identity\"]\nlevel =",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 7: clock is decided before category is known
    "#]],
    );
}

#[test]
fn a_row_without_its_outcome_is_refused() {
    check_row(
        "RA-14",
        "authority = \"adult_services\"\n",
        "",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 0: this row of route lacks authority
    "#]],
    );
    check_row(
        "CL-01",
        "working_days = 1\n",
        "",
        expect![[r#"
            rule pack pack.toml was refused:
              row line 0: this row of clock lacks clock, starts, working_days, school_days, elapsed_hours, months, next_school_day, ends_with
        "#]],
    );
    check_row(
        "CL-01",
        "working_days = 1",
        "working_days = 1\nelapsed_hours = 24",
        expect![[r#"
            rule pack pack.toml was refused:
              row line 10: a clock runs for one of working_days, school_days, elapsed_hours, months, next_school_day, not for two
        "#]],
    );
    check_row(
        "CL-01",
        "working_days = 1",
        "working_days = \"1\"",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 9: working_days needs a whole number
    "#]],
    );
    check_row(
        "CL-01",
        "working_days = 1",
        "working_days = 70000",
        expect![[r#"
            rule pack pack.toml was refused:
              row line 9: a clock runs for at most 65535 days, hours or months
        "#]],
    );
    check_row(
        "RA-26",
        "flag = \"redirected\"",
        "flag = \"Re-directed\"",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 6: flag needs lower-case letters, digits and underscores
    "#]],
    );
    check_row(
        "TC-01",
        "even_when_held = true",
        "even_when_held = \"yes\"",
        expect![[r#"
        rule pack pack.toml was refused:
          row line 8: even_when_held is true or false
    "#]],
    );
}

#[test]
fn a_pack_whose_head_is_wrong_is_refused_at_its_line() {
    let head = |head: &str| {
        EDITION.replacen("edition = \"WT2026\"\nversion = 1\neffective_from = \"2026-03-01\"   # published in March 2026; the day is not verified\nkind = \"edition\"", head, 1)
    };
    assert_ne!(head(""), EDITION);
    let good = "edition = \"WT2026\"\nversion = 1\neffective_from = \"2026-03-01\"\nkind = \"edition\"";
    check(&head(good), expect!["accepted"]);
    check(
        &head(&good.replace("2026-03-01", "1 March 2026")),
        expect![[r#"
        rule pack pack.toml was refused:
          line 12: [pack] effective_from needs a date as text, such as "2026-09-30""#]],
    );
    check(
        &head(&good.replace("\"2026-03-01\"", "2026-03-01")),
        expect![[r#"
        rule pack pack.toml was refused:
          line 12: effective_from needs text in quotation marks
          line 12: [pack] effective_from needs a date as text, such as "2026-09-30""#]],
    );
    check(
        &head(&good.replace("kind = \"edition\"", "kind = \"patch\"")),
        expect![[r#"
            rule pack pack.toml was refused:
              line 13: [pack] kind is "edition", "overlay" or "area""#]],
    );
    check(
        &head(&good.replace("kind = \"edition\"", "")),
        expect![[r#"
            rule pack pack.toml was refused:
              line 9: [pack] kind is "edition", "overlay" or "area""#]],
    );
    check(
        &head(&good.replace("version = 1", "")),
        expect![[r#"
        rule pack pack.toml was refused:
          line 9: [pack] version needs a whole number"#]],
    );
    check(
        &head(&good.replace("edition = \"WT2026\"\n", "")),
        expect![[r#"
        rule pack pack.toml was refused:
          line 9: [pack] edition needs a name, such as "WT2026""#]],
    );
    check(
        &head(&format!("{good}\nsupersedes = \"WT2023\"")),
        expect![[r#"
        rule pack pack.toml was refused:
          line 14: [pack] has no "supersedes""#]],
    );
    check(
        &head(&format!("{good}\nends = \"TC-03\"")),
        expect![[r#"
        rule pack pack.toml was refused:
          line 14: [pack] ends is a list of rule ids in quotation marks"#]],
    );
    check(
        &head(&format!("{good}\nends = [3]")),
        expect![[r#"
        rule pack pack.toml was refused:
          line 14: [pack] ends is a list of rule ids in quotation marks"#]],
    );
    check(
        &head(&format!("{good}\nends = [\"TC-03\"]")),
        expect![[r#"
            rule pack pack.toml was refused:
              line 14: only an overlay, or an edition based on another, ends rules; an edition replaces the one before"#]],
    );
    check(
        "",
        expect![[r#"
        rule pack pack.toml was refused:
          line 1: a pack begins with [pack]: edition, version, effective_from, kind"#]],
    );
    check(
        "[pack]\n",
        expect![[r#"
            rule pack pack.toml was refused:
              line 1: [pack] edition needs a name, such as "WT2026"
              line 1: [pack] version needs a whole number
              line 1: [pack] effective_from needs a date as text, such as "2026-09-30"
              line 1: [pack] kind is "edition", "overlay" or "area""#]],
    );
}

#[test]
fn text_that_is_no_toml_is_refused_at_its_line() {
    check(
        "[pack]\nedition = \"x\nversion = 1\n",
        expect![[r#"
        rule pack pack.toml was refused:
          line 2: invalid basic string, expected `"`"#]],
    );
    check(
        "[pack]\nedition = \"x\"\nedition = \"y\"\n",
        expect![[r#"
        rule pack pack.toml was refused:
          line 3: duplicate key"#]],
    );
    check(
        "route = 3\n[pack]\nedition = \"X\"\nversion = 1\neffective_from = \"2026-01-01\"\nkind = \"edition\"\n",
        expect![[r#"
        rule pack pack.toml was refused:
          line 1: route is a list of rows: write [[route]]"#]],
    );
}

#[test]
fn several_faults_are_reported_at_once() {
    let pack = changed(EDITION, "RA-14", "age = [\"adult\"]", "age = [\"adlut\"]\nplace = [\"home\"]");
    let pack = changed(&pack, "RA-20", "because = ", "# because = ");
    let pack = changed(&pack, "HR-08", "\"refuse\"", "\"reject\"");
    let pack = format!("{pack}{}", added("rout", "X", ""));
    let faults = pack.parse::<Draft>().unwrap_err();
    let words: Vec<&str> =
        faults.iter().map(|fault| fault.text.split_once(';').map_or(fault.text.as_str(), |(first, _)| first)).collect();
    expect![[r#"
        there is no table "rout"
        not a value of age
        there is no column "place"
        every rule says its because
        not a value of hold"#]]
    .assert_eq(&words.join("\n"));
    assert!(faults.iter().all(|fault| fault.line > 1), "{faults:?}");
}

#[test]
fn every_pack_that_is_refused_names_its_file() {
    assert_eq!(refusal(&[("a.toml", EDITION), ("b.toml", "[pack")]).lines().next(), Some("rule pack b.toml was refused:"));
}

// ---------------------------------------------------------------- what breaks a promise, with the situations

#[test]
fn a_route_that_is_missing_is_named_by_the_situations_it_leaves() {
    check(
        &without(EDITION, "RA-13"),
        expect![[r#"
            the rules in force from 2026-03-01 break a promise:
              Every referral has a route. This breaks it: level is immediate danger, and age is anything but adult, and home is unknown, and located is england; level is significant harm, and age is anything but adult, and home is unknown, and located is england; level is in need or early help or information, and age is anything but adult, and home is unknown, and located is england"#]],
    );
    check(
        &without(EDITION, "RA-14"),
        expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          Every referral has a route. This breaks it: level is immediate danger, and age is adult; level is significant harm, and age is adult; level is in need or early help or information, and age is adult"#]],
    );
}

#[test]
fn two_routes_for_one_situation_are_refused() {
    check_added(
        "route",
        "age = [\"unborn\"]\nlevel = [\"in_need\"]\nhome = [\"england\"]\nauthority = \"home\"",
        expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          No referral has two routes. This breaks it: RA-03 and PLANTED both match when level is in need, and age is unborn, and home is england"#]],
    );
    check(
        &changed(EDITION, "RA-01", "not.harm_place = [\"found\"]\n", ""),
        expect![[r#"
            the rules in force from 2026-03-01 break a promise:
              No referral has two routes. This breaks it: RA-01 and RA-01.found both match when level is significant harm, and age is anything but adult, and home is england, and located is england, and harm place is found; RA-01 and RA-01.found-elsewhere both match when level is significant harm, and age is anything but adult, and home is england, and located is wales or scotland or northern ireland or unknown, and harm place is found"#]],
    );
}

#[test]
fn a_desk_that_is_missing_and_two_desks_are_refused() {
    check(
        &without(EDITION, "TC-04.desk"),
        expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          Every referral has a desk. This breaks it: level is early help"#]],
    );
    check(
        &changed(EDITION, "RA-20", "hours = [\"closed\"]\n", ""),
        expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          No referral has two desks. This breaks it: RA-20 and RA-20.open both match when level is immediate danger or significant harm, and hours is open"#]],
    );
}

#[test]
fn a_route_to_nobody_at_significant_harm_is_refused_where_a_place_is_known() {
    check(
        &changed(EDITION, "RA-01", "authority = \"home\"", "authority = \"nobody\""),
        expect![[r#"
            the rules in force from 2026-03-01 break a promise:
              Nothing at significant harm or above is held back, but for the three exceptions. This breaks it: RA-01 names an authority that is not known when event is anything but acknowledgement or referral outcome or outcome notice or operator query, and level is significant harm, and age is anything but adult, and home is england, and harm place is home or elsewhere or not stated"#]],
    );
    check(
        &changed(EDITION, "RA-13", "authority = \"located\"", "authority = \"home\""),
        expect![[r#"
            the rules in force from 2026-03-01 break a promise:
              Nothing at significant harm or above is held back, but for the three exceptions. This breaks it: RA-13 names an authority that is not known when level is immediate danger or significant harm, and age is anything but adult, and home is unknown, and located is england"#]],
    );
}

#[test]
fn a_hold_at_significant_harm_is_refused() {
    check(
        &changed(EDITION, "TC-03", "[\"in_need\"]", "[\"significant_harm\", \"in_need\"]"),
        expect![[r#"
            the rules in force from 2026-03-01 break a promise:
              Nothing at significant harm or above is held back, but for the three exceptions. This breaks it: TC-03 holds it when event is anything but outcome notice, and level is significant harm, and agreement is refused or awaited, and duty decision is share or not recorded, and age is anything but adult"#]],
    );
    check_added(
        "hold",
        "sender = [\"public\"]\nhold = \"return_to_sender\"",
        expect![[r#"
            the rules in force from 2026-03-01 break a promise:
              Nothing at significant harm or above is held back, but for the three exceptions. This breaks it: PLANTED holds it when sender is public, and event is anything but operator query, and level is immediate danger or significant harm"#]],
    );
    check(
        &changed(EDITION, "TC-12", "\"review\"", "\"return_to_sender\""),
        expect![[r#"
            the rules in force from 2026-03-01 break a promise:
              Nothing at significant harm or above is held back, but for the three exceptions. This breaks it: TC-12 holds it when event is anything but operator query, and level is immediate danger or significant harm, and duty decision is more detrimental"#]],
    );
    check(
        &changed(EDITION, "HR-08", "\"refuse\"", "\"review\""),
        expect![[r#"
            the rules in force from 2026-03-01 break a promise:
              Nothing at significant harm or above is held back, but for the three exceptions. This breaks it: HR-08 holds it when event is anything but outcome notice, and level is immediate danger or significant harm, and duty decision is share or not recorded, and marking is above official sensitive"#]],
    );
    check_added(
        "hold",
        "level = [\"immediate_danger\"]\nhours = [\"closed\"]\nhold = \"review\"",
        expect![[r#"
            the rules in force from 2026-03-01 break a promise:
              Nothing at significant harm or above is held back, but for the three exceptions. This breaks it: PLANTED holds it when event is anything but outcome notice, and level is immediate danger, and duty decision is share or not recorded, and hours is closed"#]],
    );
}

#[test]
fn agreement_asked_at_significant_harm_is_refused_wherever_it_would_change_what_is_disclosed() {
    check(
        &changed(EDITION, "DM-01.child_health.whole", "extent = ", "agreement = [\"given\"]\nextent = "),
        expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          No agreement, refused or missing, changes what is disclosed at significant harm or above. This breaks it: DM-01.child_health.whole asks for agreement"#]],
    );
    check_added(
        "withhold",
        "category = [\"child_voice\"]\nagreement = [\"refused\"]",
        expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          No agreement, refused or missing, changes what is disclosed at significant harm or above. This breaks it: PLANTED asks for agreement"#]],
    );
    check(
        &changed(EDITION, "TC-01", "level = ", "not.agreement = [\"refused\"]\nlevel = "),
        expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          No agreement, refused or missing, changes what is disclosed at significant harm or above. This breaks it: TC-01 asks for agreement"#]],
    );
    check_added(
        "notify",
        "level = [\"significant_harm\"]\nagreement = [\"given\"]\nto = \"police\"",
        expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          No agreement, refused or missing, changes what is disclosed at significant harm or above. This breaks it: PLANTED asks for agreement"#]],
    );
    let desk = changed(EDITION, "RA-20.open", "hours = [\"open\"]", "hours = [\"open\"]\nnot.agreement = [\"given\"]");
    check(
        &format!(
            "{desk}{}",
            added(
                "desk",
                "PLANTED",
                "level = [\"immediate_danger\", \"significant_harm\"]\nhours = [\"open\"]\nagreement = [\"given\"]\ndesk = \"restricted\""
            )
        ),
        expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          No agreement, refused or missing, changes what is disclosed at significant harm or above. This breaks it: RA-20.open asks for agreement; PLANTED asks for agreement"#]],
    );
}

#[test]
fn agreement_may_be_asked_below_significant_harm() {
    check_added(
        "withhold",
        "level = [\"early_help\"]\ncategory = [\"child_voice\"]\nagreement = [\"refused\"]",
        expect![["accepted"]],
    );
    check_added("notify", "level = [\"in_need\"]\nagreement = [\"given\"]\nto = \"located\"", expect![["accepted"]]);
}

#[test]
fn a_cell_that_must_stay_closed_cannot_be_opened() {
    check(
        &changed(EDITION, "DM-01.sexual_health.minimum", "recipient = [", "recipient = [\"school\", "),
        expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          No cell that must stay closed is opened. This breaks it: DM-01.sexual_health.minimum opens it when recipient is school, and category is sexual health"#]],
    );
    for (recipient, category) in [
        ("other_household", "protected_address"),
        ("school", "sexual_health"),
        ("parent", "sexual_health"),
        ("school", "parent_health"),
        ("parent", "third_party"),
        ("parent", "referrer_identity"),
        ("school", "criminal_offence"),
        ("other_household", "domestic_abuse_detail"),
        ("employer", "allegation_against_professional"),
    ] {
        for extent in ["whole", "minimum", "review"] {
            let row = added(
                "share",
                "PLANTED",
                &format!(
                    "level = [\"information\"]\nrecipient = [\"{recipient}\"]\ncategory = [\"{category}\"]\nextent = \"{extent}\""
                ),
            );
            let refusal = refusal(&[("pack.toml", &format!("{EDITION}{row}"))]);
            assert!(refusal.contains("No cell that must stay closed is opened"), "{recipient} {category} {extent}: {refusal}");
        }
    }
}

#[test]
fn nothing_can_be_given_to_the_unknown() {
    check_added(
        "share",
        "category = [\"unknown\"]\nrecipient = [\"front_door\"]\nextent = \"whole\"",
        expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          An unknown category or kind of recipient is given nothing. This breaks it: PLANTED"#]],
    );
    check_added(
        "share",
        "category = [\"identity\"]\nextent = \"minimum\"",
        expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          An unknown category or kind of recipient is given nothing. This breaks it: PLANTED"#]],
    );
}

#[test]
fn a_disclosure_without_a_basis_is_refused() {
    check_first(
        &without(EDITION, "LB-03"),
        expect![[r#"
            the rules in force from 2026-03-01 break a promise:
              Every disclosure has an Article 6 basis. This breaks it: DM-01.identity.whole shares when sender is independent school or vcs, and recipient is anything but referrer or other household or employer or operator or marac or nrm or national body or unknown, and category is identity; and 60 more"#]],
    );
    check_first(
        &changed(
            EDITION,
            "LB-01",
            "not.sender = [\"independent_school\", \"vcs\"]",
            "not.sender = [\"independent_school\", \"vcs\", \"public\"]",
        ),
        expect![[r#"
            the rules in force from 2026-03-01 break a promise:
              Every disclosure has an Article 6 basis. This breaks it: DM-01.identity.whole shares when sender is public, and recipient is anything but referrer or other household or employer or operator or marac or nrm or national body or unknown, and category is identity; and 60 more"#]],
    );
    check(
        &changed(EDITION, "LB-07", "\"third_party\", ", ""),
        expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          Every disclosure of special category data has an Article 9 condition. This breaks it: DM-01.third_party.whole shares when recipient is front door, and category is third party; DM-01.third_party.minimum shares when recipient is lado or police or other authority or devolved, and category is third party"#]],
    );
}

#[test]
fn an_id_that_stands_twice_is_refused() {
    check(
        &changed(EDITION, "RA-26", "id = \"RA-26\"", "id = \"TC-02\""),
        expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          Every rule has an id of its own. This breaks it: TC-02 stands there twice"#]],
    );
}

#[test]
fn a_row_that_can_never_match_is_refused() {
    check(
        &changed(
            EDITION,
            "RA-26",
            "addressed = [\"wrongly\"]",
            "addressed = [\"wrongly\"]\nnot.addressed = [\"wrongly\", \"nobody\"]",
        ),
        expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          Every row can match some situation. This breaks it: RA-26: addressed is nothing at all"#]],
    );
}

// ---------------------------------------------------------------- overlays, and what is in force when

#[test]
fn an_overlay_that_ends_a_row_that_does_not_stand_is_refused() {
    check_overlay(
        "ends = [\"TC-99\"]",
        "",
        expect![[r#"
            the rules in force from 2026-10-01 break a promise:
              An overlay fits the edition it lies on. This breaks it: LOCAL ends TC-99, which does not stand in what it lies on"#]],
    );
}

#[test]
fn an_overlay_is_proved_together_with_what_it_lies_on() {
    check_overlay(
        "ends = [\"RA-13.nobody\"]",
        "",
        expect![[r#"
            the rules in force from 2026-10-01 break a promise:
              Every referral has a route. This breaks it: level is immediate danger, and age is anything but adult, and home is unknown, and located is unknown; level is significant harm, and age is anything but adult, and home is unknown, and located is unknown; level is in need or early help or information, and age is anything but adult, and home is unknown, and located is unknown"#]],
    );
    check_overlay(
        "",
        &added("hold", "PLANTED", "sender = [\"vcs\"]\nhold = \"review\""),
        expect![[r#"
            the rules in force from 2026-10-01 break a promise:
              Nothing at significant harm or above is held back, but for the three exceptions. This breaks it: PLANTED holds it when sender is vcs, and event is anything but outcome notice, and level is immediate danger or significant harm, and duty decision is share or not recorded"#]],
    );
    check_overlay(
        "",
        &added("flag", "TC-02", "flag = \"again\""),
        expect![[r#"
        the rules in force from 2026-10-01 break a promise:
          Every rule has an id of its own. This breaks it: TC-02 stands there twice"#]],
    );
    check_overlay(
        "ends = [\"DM-01.referrer_identity.never\"]",
        &added("share", "PLANTED", "recipient = [\"parent\"]\ncategory = [\"referrer_identity\"]\nextent = \"whole\""),
        expect![[r#"
        the rules in force from 2026-10-01 break a promise:
          No cell that must stay closed is opened. This breaks it: PLANTED opens it when recipient is parent, and category is referrer identity"#]],
    );
}

#[test]
fn an_overlay_that_withholds_more_is_accepted() {
    check_overlay(
        "",
        &added("withhold", "PLANTED", "recipient = [\"police\"]\ncategory = [\"child_health\"]"),
        expect![["accepted"]],
    );
}

#[test]
fn packs_without_an_edition_are_refused() {
    assert_eq!(refusal(&[("overlay.toml", OVERLAY)]), "there is no edition among the rule packs");
    assert_eq!(refusal(&[]), "there is no edition among the rule packs");
}

#[test]
fn two_editions_from_one_date_are_refused() {
    let other = EDITION.replace("edition = \"WT2026\"", "edition = \"WT2026-DRAFT\"");
    expect![[r#"
        the rules in force from 2026-03-01 break a promise:
          One edition rules from one date. This breaks it: WT2026-DRAFT/1 and WT2026/1"#]]
    .assert_eq(&refusal(&[("a.toml", EDITION), ("b.toml", &other)]));
}

fn edition_at(received: &str) -> String {
    let mut one = common::referral();
    one.received = received.parse().unwrap();
    let ruling = common::rulebook().rule(&one, &[]);
    match (ruling.pack(), ruling.decision()) {
        (Some(pack), _) => pack.edition.clone(),
        (None, Decision::HoldForReview { intended: None }) => {
            let by: Vec<&str> = ruling.by().iter().map(|reason| reason.rule.0.as_str()).collect();
            assert!(ruling.views().is_empty() && ruling.clocks().is_empty());
            format!("a person decides by {}", by.join(" "))
        }
        (None, other) => format!("without a pack: {other:?}"),
    }
}

#[test]
fn the_edition_is_chosen_by_the_london_date_of_receipt() {
    const BEFORE: &str = "WT2023+KCSIE2025/1";
    const ENCOMPASS: &str = "WT2023+KCSIE2025/1+ENCOMPASS-2025-11-07/1";
    const INTERESTS: &str = "WT2023+KCSIE2025/1+ENCOMPASS-2025-11-07/1+RLI-2026-02-05/1";
    const WT2026: &str = "WT2023+KCSIE2025/1+WT2026/1+ENCOMPASS-2025-11-07/1+RLI-2026-02-05/1";
    const KCSIE: &str = "WT2023+KCSIE2025/1+WT2026/1+ENCOMPASS-2025-11-07/1+RLI-2026-02-05/1+KCSIE2026-09-01/1";
    let duty = format!("{KCSIE}+ISD-2026-09-30/1");
    let surrey = format!("{duty}+LGR-SURREY-2027-04-01/1");
    for (received, edition) in [
        ("2023-12-14T23:59:59Z", "a person decides by VR-01"),
        ("2023-12-15T00:00:00Z", BEFORE),
        ("2025-11-06T23:59:59Z", BEFORE),
        ("2025-11-07T00:00:00Z", ENCOMPASS),
        ("2026-02-05T00:00:00Z", INTERESTS),
        ("2026-02-28T23:59:59Z", INTERESTS),
        ("2026-03-01T00:00:00Z", WT2026),
        ("2026-08-31T22:59:59Z", WT2026),
        ("2026-08-31T23:00:00Z", KCSIE), // midnight in British Summer Time
        ("2026-09-29T22:59:59Z", KCSIE),
        ("2026-09-29T23:00:00Z", &duty),
        ("2027-03-31T22:59:59Z", &duty),
        ("2027-03-31T23:00:00Z", &surrey),
        ("2031-01-01T00:00:00Z", &surrey),
    ] {
        assert_eq!(edition_at(received), edition, "{received}");
    }
}

#[test]
fn a_later_edition_replaces_the_one_before_and_overlays_lie_on_it_too() {
    let later = EDITION.replace("edition = \"WT2026\"", "edition = \"WT2029\"").replace("2026-03-01", "2029-09-01");
    // The order of the files does not matter.
    let library = Library::parse([("c", OVERLAY), ("b", later.as_str()), ("a", EDITION)]).unwrap();
    let on = |date: &str| library.in_force(date.parse().unwrap()).map(|pack| pack.id().edition.clone());
    assert_eq!(on("2026-02-28"), None);
    assert_eq!(on("2026-03-01").as_deref(), Some("WT2026/1"));
    assert_eq!(on("2029-08-31").as_deref(), Some("WT2026/1+ISD-2026-09-30/1"));
    assert_eq!(on("2029-09-01").as_deref(), Some("WT2029/1+ISD-2026-09-30/1"));
}

#[test]
fn a_packs_digest_changes_with_every_byte_of_it() {
    let hash = |edition: &str| {
        Library::parse([("a", edition), ("b", OVERLAY)]).unwrap().packs().map(|(_, pack)| pack.id().hash).collect::<Vec<_>>()
    };
    let (one, same, other) = (hash(EDITION), hash(EDITION), hash(&format!("{EDITION}\n# seen\n")));
    assert_eq!(one, same);
    assert!(one.iter().zip(&other).all(|(one, other)| one != other));
}

// ---------------------------------------------------------------- editions that stand on others, ends, what is off

/// An edition of its own name based on another.
fn based(name: &str, from: &str, head: &str, rows: &str) -> String {
    format!("[pack]\nedition = \"{name}\"\nversion = 1\neffective_from = \"{from}\"\nkind = \"edition\"\n{head}\n{rows}")
}

fn names(packs: &[(&str, &str)]) -> Vec<String> {
    let library = Library::parse(packs.iter().copied()).unwrap_or_else(|fault| panic!("{fault}"));
    library.packs().map(|(from, pack)| format!("{from} {}", pack.id())).collect()
}

#[test]
fn an_edition_based_on_another_has_its_rows_without_those_it_ends_and_with_its_own() {
    let next = based(
        "WT2028",
        "2028-03-01",
        "based_on = \"WT2026\"\nends = [\"HR-08\"]",
        &added("hold", "HR-08.new", "marking = [\"above_official_sensitive\"]\nhold = \"refuse\""),
    );
    let packs = [("a.toml", EDITION), ("b.toml", OVERLAY), ("c.toml", next.as_str())];
    assert_eq!(
        names(&packs),
        ["2026-03-01 WT2026/1", "2026-09-30 WT2026/1+ISD-2026-09-30/1", "2028-03-01 WT2026/1+WT2028/1+ISD-2026-09-30/1"]
    );
    let library = Library::parse(packs).unwrap();
    let holds = |date: &str| -> Vec<String> {
        let pack = library.in_force(date.parse().unwrap()).unwrap();
        pack.tables().hold.0.iter().map(|row| row.reason.rule.0.clone()).filter(|id| id.starts_with("HR-08")).collect()
    };
    assert_eq!((holds("2028-02-29"), holds("2028-03-01")), (vec!["HR-08".to_owned()], vec!["HR-08.new".to_owned()]));
}

#[test]
fn an_edition_based_on_one_that_is_not_there_or_on_itself_is_refused_with_its_line() {
    let check = |base: &str, expected: Expect| {
        let next = based("WT2028", "2028-03-01", &format!("based_on = \"{base}\""), "");
        expected.assert_eq(&refusal(&[("a.toml", EDITION), ("b.toml", &next)]));
    };
    check(
        "WT2023",
        expect![[r#"
        rule pack b.toml was refused:
          line 6: there is no edition "WT2023" to be based on"#]],
    );
    check(
        "WT2028",
        expect![[r#"
        rule pack b.toml was refused:
          line 6: "WT2028" stands on this one in turn"#]],
    );
    let other = EDITION.replace("version = 1\n", "version = 2\n").replace("2026-03-01", "2026-05-01");
    let next = based("WT2028", "2028-03-01", "based_on = \"WT2026\"", "");
    expect![[r#"
        rule pack b.toml was refused:
          line 6: there are several editions "WT2026": write its version too, such as "WT2026/1""#]]
    .assert_eq(&refusal(&[("a.toml", EDITION), ("a2.toml", &other), ("b.toml", &next)]));
    assert_eq!(refusal(&[("a.toml", EDITION), ("a2.toml", &other), ("b.toml", &next.replace("WT2026", "WT2026/2"))]), "accepted");
}

#[test]
fn only_an_edition_is_based_on_another() {
    check_overlay(
        "based_on = \"WT2026\"",
        "",
        expect![[r#"
        rule pack local.toml was refused:
          line 6: only an edition is based on another; an overlay lies on whichever edition is in force"#]],
    );
    check(
        &EDITION.replacen("kind = \"edition\"", "kind = \"edition\"\nends = [\"RA-14\"]", 1),
        expect![[r#"
        rule pack pack.toml was refused:
          line 14: only an overlay, or an edition based on another, ends rules; an edition replaces the one before"#]],
    );
}

#[test]
fn a_pack_that_ends_rules_until_its_last_day_and_nothing_older_comes_back() {
    let first = EDITION.replace("edition = \"WT2026\"", "edition = \"WT2020\"").replace("2026-03-01", "2020-03-01");
    let second = EDITION.replacen("kind = \"edition\"", "kind = \"edition\"\neffective_until = \"2026-12-31\"", 1);
    let library = Library::parse([("a", first.as_str()), ("b", second.as_str())]).unwrap();
    let on = |date: &str| library.in_force(date.parse().unwrap()).map(|pack| pack.id().edition.clone());
    assert_eq!(on("2026-02-28").as_deref(), Some("WT2020/1"));
    assert_eq!(on("2026-12-31").as_deref(), Some("WT2026/1"));
    assert_eq!(on("2027-01-01"), None);
    let overlay = OVERLAY.replace("kind = \"overlay\"", "kind = \"overlay\"\neffective_until = \"2026-10-31\"");
    assert_eq!(
        names(&[("a", EDITION), ("b", &overlay)]),
        ["2026-03-01 WT2026/1", "2026-09-30 WT2026/1+ISD-2026-09-30/1", "2026-11-01 WT2026/1"]
    );
}

#[test]
fn an_end_before_the_beginning_is_refused() {
    check(
        &EDITION.replacen("kind = \"edition\"", "kind = \"edition\"\neffective_until = \"2026-02-28\"", 1),
        expect![[r#"
        rule pack pack.toml was refused:
          line 14: [pack] effective_until needs a date as text, not before effective_from: the last day on which it rules"#]],
    );
}

#[test]
fn a_pack_that_is_off_is_listed_and_proved_and_rules_nobody() {
    let off = OVERLAY.replace("kind = \"overlay\"", "kind = \"overlay\"\nenabled = false");
    let packs = [("a.toml", EDITION), ("b.toml", off.as_str())];
    assert_eq!(names(&packs), ["2026-03-01 WT2026/1"]);
    let library = Library::parse(packs).unwrap();
    let listed: Vec<String> =
        library.listed().iter().map(|pack| format!("{} {} {}", pack.file, pack.head.name(), pack.head.enabled)).collect();
    assert_eq!(listed, ["a.toml WT2026/1 true", "b.toml ISD-2026-09-30/1 false"]);
    check_overlay(
        "enabled = false",
        &added("route", "PLANTED", "age = [\"adult\"]\nauthority = \"home\""),
        expect![[r#"
        the rules in force from 2026-10-01 break a promise:
          No referral has two routes. This breaks it: RA-14 and PLANTED both match when age is adult
          Nothing at significant harm or above is held back, but for the three exceptions. This breaks it: PLANTED names an authority that is not known when level is immediate danger or significant harm, and age is adult, and home is wales or scotland or northern ireland or unknown"#]],
    );
}

#[test]
fn an_edition_may_stand_on_one_that_is_off() {
    let off = EDITION.replacen("kind = \"edition\"", "kind = \"edition\"\nenabled = false", 1);
    let next = based("WT2028", "2028-03-01", "based_on = \"WT2026\"", "");
    assert_eq!(names(&[("a", &off), ("b", &next)]), ["2028-03-01 WT2026/1+WT2028/1"]);
}

// ---------------------------------------------------------------- areas

fn area(head: &str, rows: &str) -> String {
    format!(
        "[pack]\nedition = \"LEEDS\"\nversion = 1\neffective_from = \"2026-10-01\"\nkind = \"area\"\nauthority = \"E08000035\"\n{head}\n{rows}"
    )
}

fn check_area(head: &str, rows: &str, expected: Expect) {
    expected.assert_eq(&refusal(&[("edition.toml", EDITION), ("leeds.toml", &area(head, rows))]));
}

#[test]
fn an_area_rules_where_its_authority_is_responsible_and_nowhere_else() {
    let leeds = area("", &added("withhold", "PLANTED", "recipient = [\"police\"]\ncategory = [\"child_health\"]"));
    let library = Library::parse([("a", EDITION), ("b", OVERLAY), ("c", leeds.as_str())]).unwrap();
    let on = |date: &str, gss: &str| library.in_force_for(date.parse().unwrap(), &common::gss(gss)).unwrap().id().edition.clone();
    assert_eq!(on("2026-09-30", "E08000035"), "WT2026/1+ISD-2026-09-30/1");
    assert_eq!(on("2026-10-01", "E08000035"), "WT2026/1+ISD-2026-09-30/1+LEEDS/1");
    assert_eq!(on("2026-10-01", "E08000036"), "WT2026/1+ISD-2026-09-30/1");
    assert_eq!(library.in_force("2026-10-01".parse().unwrap()).unwrap().id().edition, "WT2026/1+ISD-2026-09-30/1");
}

#[test]
fn an_area_that_routes_shares_gives_a_basis_or_ends_a_rule_is_refused() {
    for (table, outcome) in [
        ("route", "authority = \"home\""),
        ("desk", "desk = \"front-door\""),
        ("share", "extent = \"whole\""),
        ("basis", "basis = \"UKGDPR.6.1.e\""),
        ("flag", "flag = \"seen\""),
    ] {
        let pack = area("", &added(table, "PLANTED", outcome));
        let refusal = refusal(&[("edition.toml", EDITION), ("leeds.toml", &pack)]);
        let expected =
            format!("an area has no rows of {table}: it may tighten, never loosen; it has withhold, notify, hold, clock");
        assert!(refusal.contains(&expected), "{refusal}");
    }
    check_area(
        "ends = [\"RA-14\"]",
        "",
        expect![[r#"
        rule pack leeds.toml was refused:
          line 7: an area ends no rule: it may tighten, never loosen"#]],
    );
}

#[test]
fn an_area_says_whose_it_is() {
    let edition = area("", "").replace("authority = \"E08000035\"\n", "");
    expect![[r#"
        rule pack leeds.toml was refused:
          line 1: [pack] authority says whose area it is, by its GSS code, such as "E08000035""#]]
    .assert_eq(&refusal(&[("edition.toml", EDITION), ("leeds.toml", &edition)]));
    expect![[r#"
        rule pack leeds.toml was refused:
          line 6: [pack] authority is not a GSS code: it needs E, N, S or W and eight digits"#]]
    .assert_eq(&refusal(&[("edition.toml", EDITION), ("leeds.toml", &area("", "").replace("E08000035", "Leeds"))]));
    check(
        &EDITION.replacen("kind = \"edition\"", "kind = \"edition\"\nauthority = \"E08000035\"", 1),
        expect![[r#"
        rule pack pack.toml was refused:
          line 14: only a pack of kind "area" is one authority's"#]],
    );
}

#[test]
fn an_area_that_lengthens_a_clock_or_ends_it_otherwise_is_refused_with_the_situation() {
    let clock =
        |cells: &str| added("clock", "PLANTED", &format!("clock = \"la_ack_decision_1wd\"\nlevel = [\"in_need\"]\n{cells}"));
    check_area(
        "",
        &clock("working_days = 2\nends_with = \"decided\""),
        expect![[r#"
            the rules in force from 2026-10-01 break a promise:
              No clock of an area runs longer, or ends otherwise, than the rules beneath it say. This breaks it: PLANTED loosens CL-01 when event is referral, and level is in need, and age is anything but adult"#]],
    );
    check_area(
        "",
        &clock("elapsed_hours = 25\nends_with = \"decided\""),
        expect![[r#"
            the rules in force from 2026-10-01 break a promise:
              No clock of an area runs longer, or ends otherwise, than the rules beneath it say. This breaks it: PLANTED loosens CL-01 when event is referral, and level is in need, and age is anything but adult"#]],
    );
    check_area(
        "",
        &clock("working_days = 1\nends_with = \"acknowledged\""),
        expect![[r#"
            the rules in force from 2026-10-01 break a promise:
              No clock of an area runs longer, or ends otherwise, than the rules beneath it say. This breaks it: PLANTED loosens CL-01 when event is referral, and level is in need, and age is anything but adult"#]],
    );
    check_area("", &clock("elapsed_hours = 24\nends_with = \"decided\""), expect![["accepted"]]);
}

#[test]
fn an_area_that_would_empty_or_stop_a_referral_at_significant_harm_is_refused_with_the_situation() {
    let withheld = |cells: &str| added("withhold", "PLANTED", &format!("category = [\"child_health\"]\n{cells}"));
    check_area(
        "",
        &withheld("recipient = [\"front_door\", \"police\"]"),
        expect![[r#"
        the rules in force from 2026-10-01 break a promise:
          At significant harm or above an area leaves whoever is responsible all that the rules beneath it give. This breaks it: PLANTED withholds it when level is immediate danger or significant harm, and recipient is front door, and category is child health"#]],
    );
    check_area(
        "",
        &withheld("recipient = [\"front_door\"]\nlevel = [\"significant_harm\"]\nleaves = \"minimum\""),
        expect![[r#"
            the rules in force from 2026-10-01 break a promise:
              At significant harm or above an area leaves whoever is responsible all that the rules beneath it give. This breaks it: PLANTED withholds it when level is significant harm, and recipient is front door, and category is child health"#]],
    );
    check_area("", &withheld("recipient = [\"front_door\"]\nlevel = [\"in_need\"]"), expect![["accepted"]]);
    check_area("", &withheld("recipient = [\"police\", \"school\"]"), expect![["accepted"]]);
    check_area(
        "",
        &added("hold", "PLANTED", "sender = [\"vcs\"]\nhold = \"review\""),
        expect![[r#"
            the rules in force from 2026-10-01 break a promise:
              Nothing at significant harm or above is held back, but for the three exceptions. This breaks it: PLANTED holds it when sender is vcs, and event is anything but outcome notice, and level is immediate danger or significant harm, and duty decision is share or not recorded"#]],
    );
    check_area(
        "",
        &added("hold", "PLANTED", "sender = [\"vcs\"]\nlevel = [\"in_need\"]\nhold = \"review\""),
        expect![["accepted"]],
    );
}

#[test]
fn an_area_that_is_off_is_proved_too() {
    let planted = added("hold", "PLANTED", "sender = [\"vcs\"]\nhold = \"review\"");
    let refusal = refusal(&[("edition.toml", EDITION), ("leeds.toml", &area("enabled = false", &planted))]);
    assert!(refusal.contains("PLANTED holds it when"), "{refusal}");
}

#[test]
fn an_areas_clock_is_due_first_where_it_is_responsible_and_nobody_elses_changes() {
    let clock = added(
        "clock",
        "LEEDS-1",
        "clock = \"la_ack_decision_1wd\"\nevent = [\"referral\"]\nlevel = [\"significant_harm\"]\nelapsed_hours = 4\nends_with = \"decided\"",
    );
    let mut rules = common::rulebook();
    rules.library = Library::parse([("a", EDITION), ("b", OVERLAY), ("c", &area("", &clock))]).unwrap();
    let due = |gss: &str| {
        let mut one = common::referral();
        one.places.home = Some(common::gss(gss));
        let ruling = rules.rule(&one, &[]);
        let clocks: Vec<String> = ruling
            .clocks()
            .iter()
            .filter(|clock| clock.name.to_string() == "la_ack_decision_1wd")
            .map(|clock| format!("{} by {}", clock.due.by, clock.by.rule))
            .collect();
        format!("{}: {}", ruling.pack().unwrap(), clocks.join(" and "))
    };
    expect!["WT2026/1+ISD-2026-09-30/1+LEEDS/1: 2026-11-23T14:00:00Z by LEEDS-1"].assert_eq(&due("E08000035"));
    expect!["WT2026/1+ISD-2026-09-30/1: 2026-11-25T00:00:00Z by CL-01"].assert_eq(&due("E10000016"));
}

// ---------------------------------------------------------------- what a step of the case starts

/// A row that says how long the leads have to answer a disagreement, and what else it says.
fn leads(row: &str) -> String {
    added("clock", "LEEDS-2", &format!("clock = \"disagreement_leads\"\nends_with = \"decided\"\n{row}"))
}

#[test]
fn an_area_gives_a_stage_of_a_disagreement_less_time_and_never_more() {
    let mut rules = common::rulebook();
    let shorter = area("", &leads("starts = \"step\"\nworking_days = 2"));
    rules.library = Library::parse([("a", EDITION), ("b", OVERLAY), ("c", &shorter)]).unwrap();
    let limit = |gss: &str| {
        let monday = "2026-11-23T10:00:00Z".parse().unwrap();
        let limit = rules.limit(ClockName::DisagreementLeads, &common::gss(gss), monday).unwrap();
        format!("{} by {}", limit.due.by, limit.by.rule)
    };
    expect!["2026-11-26T00:00:00Z by LEEDS-2"].assert_eq(&limit("E08000035"));
    expect!["2026-12-01T00:00:00Z by FB-03.leads"].assert_eq(&limit("E10000016"));
    check_area(
        "",
        &leads("starts = \"step\"\nworking_days = 6"),
        expect![[r#"
        the rules in force from 2026-10-01 break a promise:
          No clock of an area runs longer, or ends otherwise, than the rules beneath it say. This breaks it: LEEDS-2 loosens FB-03.leads when always"#]],
    );
}

#[test]
fn a_clock_that_a_step_starts_asks_about_no_situation() {
    check_area(
        "",
        &leads("starts = \"step\"\nlevel = [\"in_need\"]\nworking_days = 2"),
        expect![[r#"
        rule pack leeds.toml was refused:
          line 17: a clock that a step of the case starts runs in every situation: this row can ask about none"#]],
    );
    check_area(
        "",
        &leads("working_days = 2"),
        expect![[r#"
        rule pack leeds.toml was refused:
          line 14: a step of the case starts disagreement_leads: write starts = "step""#]],
    );
    let other = "clock = \"hub_red\"\nstarts = \"step\"\nelapsed_hours = 4\nends_with = \"decided\"";
    check_area(
        "",
        &added("clock", "LEEDS-3", other),
        expect![[r#"
        rule pack leeds.toml was refused:
          line 14: no step of the case starts hub_red"#]],
    );
}

#[test]
fn an_edition_that_leaves_a_stage_without_a_limit_is_refused() {
    let without = EDITION.replacen("clock = \"disagreement_partners\"", "clock = \"disagreement_leads\"", 1);
    let refusal = refusal(&[("edition.toml", &without)]);
    assert!(refusal.contains("no row says how long disagreement_partners runs"), "{refusal}");
}

// ---------------------------------------------------------------- set algebra against plain enumeration

mod algebra {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    /// Five columns of 5, 7, 7, 4 and 2 values: 1,960 situations.
    const AMONG: [Column; 5] = [Column::Level, Column::Agreement, Column::Age, Column::HarmPlace, Column::Hours];

    /// A row as plainly as can be: the values allowed in each of the five columns; none means any.
    type Plain = [Option<u8>; 5];

    fn plain() -> impl Strategy<Value = Plain> {
        // Few narrow cells and many wide ones, so that rows meet, cover, and now and then allow nothing.
        let cell = prop_oneof![3 => Just(None), 4 => any::<u8>().prop_map(Some), 1 => Just(Some(0))];
        [cell.clone(), cell.clone(), cell.clone(), cell.clone(), cell]
    }

    fn cube(plain: &Plain) -> Cube {
        AMONG.iter().zip(plain).fold(Cube::everything(), |cube, (&column, cell)| {
            cell.map_or(cube.clone(), |values| cube.clone().and(column, u64::from(values)))
        })
    }

    fn table(rows: &[Plain]) -> Table<usize> {
        let reason = |at| {
            Arc::new(Reason {
                rule: RuleId(format!("R{at}")),
                because: String::new(),
                source: String::new(),
                evidence: Evidence::Convention,
                contested: false,
            })
        };
        Table(rows.iter().enumerate().map(|(at, row)| Row { reason: reason(at), when: cube(row), outcome: at }).collect())
    }

    /// Every situation, with the ordinals it is made of.
    fn situations() -> Vec<([u8; 5], Situation)> {
        let mut all = vec![];
        for level in 0..5 {
            for agreement in 0..7 {
                for age in 0..7 {
                    for place in 0..4 {
                        for hours in 0..2 {
                            let five = [level, agreement, age, place, hours];
                            let mut ordinals = [0; COLUMNS];
                            AMONG.iter().zip(five).for_each(|(&column, ordinal)| ordinals[column as usize] = ordinal);
                            all.push((five, Situation::from_ordinals(ordinals)));
                        }
                    }
                }
            }
        }
        all
    }

    fn holds(plain: &Plain, five: &[u8; 5]) -> bool {
        plain.iter().zip(five).all(|(cell, ordinal)| cell.is_none_or(|values| values >> ordinal & 1 == 1))
    }

    fn how_many_hold(cubes: &[Cube], situation: &Situation) -> usize {
        cubes.iter().filter(|cube| cube.holds(situation)).count()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

        #[test]
        fn what_is_left_of_one_cube_is_each_situation_once(one in plain(), other in plain()) {
            let left = cube(&one).subtract(&cube(&other));
            for (five, situation) in situations() {
                prop_assert_eq!(how_many_hold(&left, &situation), usize::from(holds(&one, &five) && !holds(&other, &five)));
            }
        }

        #[test]
        fn a_cube_holds_what_each_of_its_cells_allows(one in plain(), other in plain()) {
            let (this, that) = (cube(&one), cube(&other));
            let both = this.intersect(&that);
            let mut any = false;
            for (five, situation) in situations() {
                prop_assert_eq!(this.holds(&situation), holds(&one, &five));
                prop_assert_eq!(both.holds(&situation), holds(&one, &five) && holds(&other, &five));
                any |= holds(&one, &five);
            }
            prop_assert_eq!(this.is_empty(), !any);
        }

        #[test]
        fn what_no_row_covers_is_what_enumeration_finds(rows in prop::collection::vec(plain(), 0..7)) {
            let uncovered = table(&rows).uncovered();
            for (five, situation) in situations() {
                prop_assert_eq!(how_many_hold(&uncovered, &situation), usize::from(!rows.iter().any(|row| holds(row, &five))));
            }
        }

        #[test]
        fn rows_that_overlap_are_those_that_enumeration_finds(rows in prop::collection::vec(plain(), 0..6)) {
            let table = table(&rows);
            let all = situations();
            let mut found = table.overlaps().into_iter().map(|(one, other, both)| (one.outcome, other.outcome, both));
            for one in 0..rows.len() {
                for other in one + 1..rows.len() {
                    let shared: Vec<bool> = all.iter().map(|(five, _)| holds(&rows[one], five) && holds(&rows[other], five)).collect();
                    if shared.contains(&true) {
                        let (a, b, both) = found.next().expect("an overlap was missed");
                        prop_assert_eq!((a, b), (one, other));
                        prop_assert!(all.iter().zip(&shared).all(|((_, situation), shared)| both.holds(situation) == *shared));
                    }
                }
            }
            prop_assert!(found.next().is_none());
        }

        #[test]
        fn the_rows_that_match_are_those_whose_cells_all_allow_it(rows in prop::collection::vec(plain(), 0..7)) {
            let table = table(&rows);
            for (five, situation) in situations() {
                let ours: Vec<usize> = table.matching(&situation).map(|row| row.outcome).collect();
                let theirs: Vec<usize> = (0..rows.len()).filter(|&at| holds(&rows[at], &five)).collect();
                prop_assert_eq!(ours, theirs);
            }
        }
    }

    #[test]
    fn a_cube_says_itself_in_words() {
        let say = |cells: &[(Column, u64)]| {
            cells.iter().fold(Cube::everything(), |cube, &(column, values)| cube.and(column, values)).to_string()
        };
        let check = |cells: &[(Column, u64)], expected: &str| assert_eq!(say(cells), expected);
        check(&[], "always");
        check(&[(Column::Level, u64::MAX)], "always");
        check(
            &[(Column::Level, 0b1000), (Column::Agreement, 0b1010)],
            "level is early help, and agreement is refused or awaited",
        );
        check(&[(Column::Recipient, !1)], "recipient is anything but front door");
        check(&[(Column::Hours, 0)], "hours is nothing at all");
    }

    #[test]
    fn every_column_reads_back_from_its_name_and_has_all_its_values() {
        for column in Column::ALL {
            assert_eq!(Column::read(column.name()), Some(column));
            assert_eq!(column.all_values().count_ones() as usize, column.values().len(), "{}", column.name());
        }
        assert_eq!(Column::read("colour"), None);
        assert_eq!(Column::Category.values().len(), Category::ALL.len());
    }
}
