//! Identifiers: what is read, what is refused, and that a refusal never repeats what it refused.
//!
//! Check digits are computed here by other means than in the product: the NHS number by one sum that must be
//! a multiple of eleven, the pupil number by sums of suffixes.

mod common;

use std::fmt::Display;

use expect_test::expect;
use proptest::prelude::*;
use referral::identifiers::*;
use referral::submission::Checked;
use referral::{DeliveryId, Digest, Endpoint, IdempotencyKey, ReferralId};

/// How `text` reads: its normal form, or what is wrong with it.
fn read<T>(parsed: Result<T, Malformed>, show: impl Fn(&T) -> String) -> String {
    parsed.map_or_else(|fault| fault.because.to_owned(), |value| show(&value))
}

// ---------------------------------------------------------------- NHS numbers

fn nhs(text: &str) -> String {
    read(NhsNumber::parse(text), |number| number.as_str().to_owned())
}

/// A number is valid when the sum of its ten digits, weighted 10 down to 1, is a multiple of eleven.
fn nhs_is_valid(digits: &str) -> bool {
    digits.bytes().zip((1..=10u32).rev()).map(|(byte, weight)| u32::from(byte - b'0') * weight).sum::<u32>() % 11 == 0
}

#[test]
fn an_nhs_number_is_read_with_or_without_spaces() {
    for valid in ["9434765919", "4010232137", "9990000018", "9990019991", "9999999999"] {
        assert_eq!(nhs(valid), valid);
        assert_eq!(nhs(&format!(" {} {}-{} ", &valid[..3], &valid[3..6], &valid[6..])), valid);
    }
}

#[test]
fn an_nhs_number_with_a_wrong_check_digit_is_refused_and_says_why() {
    for wrong in ["9990000019", "9990000124", "9990001236", "9434765918"] {
        assert_eq!(nhs(wrong), "the check digit does not fit the others");
    }
    for wrong in ["", "999000001", "99900000180", "999000001X", "９９９００００１８", "+990000018"] {
        assert_eq!(nhs(wrong), "it needs exactly ten digits");
    }
}

#[test]
fn nine_digits_whose_check_digit_would_be_ten_never_make_an_nhs_number() {
    let fits = |nine: &str| (0..10).filter(|last| NhsNumber::parse(&format!("{nine}{last}")).is_ok()).count();
    assert_eq!(nhs("9990000000"), "no such number is issued (its check digit would be 10)");
    let (mut none, mut one) = (0, 0);
    for nine in (0..2_000).map(|serial| format!("999{serial:06}")) {
        match fits(&nine) {
            0 => none += 1,
            1 => one += 1,
            more => panic!("{more} check digits fit {nine}"),
        }
    }
    // One in eleven has none.
    assert_eq!((none, one), (182, 1818));
}

proptest! {
    #[test]
    fn an_nhs_number_is_read_exactly_when_the_weighted_sum_is_a_multiple_of_eleven(digits in "[0-9]{10}") {
        prop_assert_eq!(NhsNumber::parse(&digits).is_ok(), nhs_is_valid(&digits));
    }
}

// ---------------------------------------------------------------- unique pupil numbers

const UPN_LETTERS: &str = "ABCDEFGHJKLMNPQRTUVWXYZ";

fn upn(text: &str) -> String {
    read(Upn::parse(text), |upn| format!("{}{}", upn.as_str(), if upn.is_temporary() { " temporary" } else { "" }))
}

/// The check letter of the twelve characters after it. The weights 2 to 13 are one of each, and the sum of
/// the sums of every suffix.
fn upn_check_letter(twelve: &str) -> char {
    let values: Vec<usize> =
        twelve.chars().map(|c| c.to_digit(10).map_or_else(|| UPN_LETTERS.find(c).unwrap(), |digit| digit as usize)).collect();
    let suffixes: usize = (0..values.len()).map(|from| values[from..].iter().sum::<usize>()).sum();
    let all: usize = values.iter().sum();
    UPN_LETTERS.chars().nth((suffixes + all) % 23).unwrap()
}

#[test]
fn a_pupil_number_has_a_check_letter_and_twelve_more_characters() {
    // The first is the example of the published guide; the others are of the worked cases.
    for valid in ["B801200005001", "G383201900001", "M383201900124", "B909201500042"] {
        assert_eq!(upn(valid), valid);
        assert_eq!(upn(&format!(" {} ", valid.to_lowercase())), valid);
        assert_eq!(upn_check_letter(&valid[1..]), valid.chars().next().unwrap());
    }
}

#[test]
fn a_pupil_number_that_ends_in_a_letter_is_temporary() {
    for valid in ["M80120000500A", "Y80120000500Z", "A99042019400T"] {
        assert_eq!(upn(valid), format!("{valid} temporary"));
    }
}

#[test]
fn a_pupil_number_that_is_wrong_says_why() {
    let (length, digits) =
        ("it needs a letter and twelve more characters", "after its first letter it needs digits; only the last may be a letter");
    for (wrong, why) in [
        ("A801200005001", "the check letter does not fit the digits"),
        ("Z383201900125", "the check letter does not fit the digits"),
        ("8801200005001", "the check letter does not fit the digits"),
        ("B80120000500", length),
        ("B8012000050010", length),
        ("", length),
        ("B80120000A001", digits),
        ("B80120000500?", digits),
        ("B80120000500é", length),
    ] {
        assert_eq!(upn(wrong), why, "{wrong}");
    }
}

#[test]
fn the_letters_i_o_and_s_are_in_no_pupil_number() {
    for letter in ['I', 'O', 'S'] {
        for serial in 0..1_000 {
            assert!(Upn::parse(&format!("{letter}801200005{serial:03}")).is_err());
        }
        for first in UPN_LETTERS.chars() {
            assert!(Upn::parse(&format!("{first}80120000500{letter}")).is_err());
        }
    }
}

proptest! {
    #[test]
    fn of_all_letters_only_the_check_letter_fits_a_pupil_number(rest in "[0-9]{11}[0-9A-HJ-NP-RT-Z]") {
        let fits: Vec<char> = ('A'..='Z').filter(|letter| Upn::parse(&format!("{letter}{rest}")).is_ok()).collect();
        prop_assert_eq!(fits, vec![upn_check_letter(&rest)]);
    }

    #[test]
    fn one_wrong_digit_of_a_pupil_number_is_always_found(rest in "[0-9]{12}", at in 1usize..13, other in 0u8..10) {
        let good = format!("{}{rest}", upn_check_letter(&rest));
        let mut bad = good.clone().into_bytes();
        bad[at] = b'0' + other;
        let bad = String::from_utf8(bad).unwrap();
        prop_assert_eq!(Upn::parse(&bad).is_ok(), bad == good);
    }
}

// ---------------------------------------------------------------- places

fn postcode(text: &str) -> String {
    read(Postcode::parse(text), |postcode| format!("{}{}", postcode.as_str(), if postcode.is_pseudo() { " pseudo" } else { "" }))
}

#[test]
fn a_postcode_has_one_normal_form_however_it_is_typed() {
    for (typed, normal) in [
        ("ls11ur", "LS1 1UR"),
        ("  L S 1 1 U R", "LS1 1UR"),
        ("QX1 1AA", "QX1 1AA"),
        ("VX99ZZ", "VX9 9ZZ"),
        ("XQ12 3AB", "XQ12 3AB"),
        ("w1a 0ax", "W1A 0AX"),
        ("EC1A1BB", "EC1A 1BB"),
        ("M1\t1AE", "M1 1AE"),
    ] {
        assert_eq!(postcode(typed), normal);
    }
}

#[test]
fn a_pseudo_postcode_is_read_and_known_to_locate_nobody() {
    for pseudo in ["ZZ99 3VZ", "ZZ99 3WZ", "ZZ99 3CZ", "ZZ99 3GZ", "ZZ99 1WZ", "ZZ99 2WZ"] {
        assert_eq!(postcode(&pseudo.to_lowercase().replace(' ', "")), format!("{pseudo} pseudo"));
    }
}

#[test]
fn what_is_no_postcode_is_refused() {
    for wrong in ["", "LS1", "LS1 1URX2", "1LS 1UR", "LS1 UR1", "LS111 1UR", "LSX 1UR", "ＬＳ1 1UR", "LS1-1UR"] {
        assert!(Postcode::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_property_number_has_one_to_twelve_digits() {
    let read_uprn = |text: &str| read(Uprn::parse(text), |uprn| uprn.as_str().to_owned());
    for valid in ["1", "72000001", "100032031210", "000000000001"] {
        assert_eq!(read_uprn(valid), valid);
    }
    for wrong in ["", "1000320312101", "7200000A", "-1", "1.0", "٣"] {
        assert_eq!(read_uprn(wrong), "it needs one to twelve digits", "{wrong}");
    }
}

#[test]
fn codes_of_areas_organisations_and_forces_are_read_as_published_or_refused() {
    fn check<T: Display>(parse: fn(&str) -> Result<T, Malformed>, valid: &[(&str, &str)], wrong: &[&str]) {
        for (text, normal) in valid {
            assert_eq!(read(parse(text), T::to_string), *normal);
        }
        for text in wrong {
            assert!(parse(text).is_err(), "{text}");
        }
    }
    check(
        GssCode::parse,
        &[
            ("E08000035", "E08000035"),
            (" e10000016 ", "E10000016"),
            ("W06000015", "W06000015"),
            ("S12000036", "S12000036"),
            ("N09000003", "N09000003"),
        ],
        &["", "E0800003", "E080000355", "F08000035", "E0800003X", "E08 000035", "٣08000035"],
    );
    check(
        Urn::parse,
        &[("999001", "999001"), ("888888", "888888"), (" 100000 ", "100000"), ("URN999001", "999001")],
        &["", "99900", "9990011", "99900A", "999 001"],
    );
    check(
        Laestab::parse,
        &[("888/4001", "8884001"), ("8884001", "8884001"), (" 383-2001 ", "3832001"), ("909 2015", "9092015")],
        &["", "888/400", "88/84001", "8884/001", "888/40011", "888/4O01", "888//4001", "٣٨٣/2001", "888 / 4001"],
    );
    check(
        OdsCode::parse,
        &[("RR8", "RR8"), ("zz101", "ZZ101"), ("V81997", "V81997"), ("Y02494", "Y02494")],
        &["", "RR", "RR8-1", "RR8.1", "ABCDEFGHIJK", "ÄRR"],
    );
    check(ForceCode::parse, &[("13", "13"), ("06", "06"), (" 46 ", "46")], &["", "6", "113", "1A", "BTP"]);
    check(
        VoluntaryCode::parse,
        &[("helpline", "helpline"), ("family-help-2", "family-help-2")],
        &["", "Helpline", "help line", "help.line", "hélp", &"a".repeat(41)],
    );
}

#[test]
fn the_kind_of_an_area_is_its_first_three_characters() {
    assert_eq!(GssCode::parse("E07000106").unwrap().kind(), "E07");
}

proptest! {
    #[test]
    fn a_school_number_is_read_exactly_when_it_has_three_and_four_digits(authority in "[0-9]{0,5}", between in "[/ -]?", establishment in "[0-9]{0,6}") {
        let text = format!("{authority}{between}{establishment}");
        let digits = format!("{authority}{establishment}");
        let is_one = digits.len() == 7 && (between.is_empty() || authority.len() == 3);
        // Leading and trailing blanks are trimmed, and then there is nothing between.
        let is_one = is_one || digits.len() == 7 && between == " " && (authority.is_empty() || establishment.is_empty());
        let read = Laestab::parse(&text).map(|number| number.as_str().to_owned()).ok();
        prop_assert_eq!(read, is_one.then_some(digits));
    }

    #[test]
    fn a_property_number_is_read_exactly_when_it_has_one_to_twelve_digits(text in "[0-9]{0,14}|[0-9]{1,6}[A-Z .-][0-9]{1,6}") {
        let is_one = (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let read = Uprn::parse(&format!(" {text} ")).map(|number| number.as_str().to_owned()).ok();
        prop_assert_eq!(read, is_one.then_some(text));
    }

    #[test]
    fn the_normal_form_of_a_postcode_is_its_own_normal_form(text in "[ ]?[A-Za-z]{1,2}[ ]?[0-9][0-9A-Za-z]?[ ]{0,2}[0-9][A-Za-z]{2}[ ]?") {
        let once = Postcode::parse(&text).unwrap();
        let twice = Postcode::parse(once.as_str()).unwrap();
        prop_assert_eq!(once.as_str(), twice.as_str());
        prop_assert_eq!(once.as_str().matches(' ').count(), 1);
        prop_assert_eq!(once.as_str().split(' ').next_back().unwrap().len(), 3);
        prop_assert_eq!(once.as_str().replace(' ', ""), text.replace(' ', "").to_uppercase());
    }
}

// ---------------------------------------------------------------- endpoints

const FORMS: &[&str] = &[
    "la.E08000035.front-door",
    "la.E08000035.edt",
    "la.E08000035.early-help",
    "la.E08000035.lado",
    "la.E08000035.restricted",
    "la.E08000035.front-door-manager",
    "la.E08000035.allocated-worker",
    "la.E08000035.child-protection",
    "la.E08000035.elective-home-education",
    "police.13",
    "police.13.prevent",
    "school.999001",
    "nhs.ZZ101",
    "adult.E08000035",
    "devolved.W06000015",
    "vcs.helpline",
];

#[test]
fn an_endpoint_is_written_as_it_is_read() {
    for form in FORMS {
        assert_eq!(read(Endpoint::parse(form), Endpoint::to_string), *form);
        let json = serde_json::to_string(&common::endpoint(form)).unwrap();
        assert_eq!(json, format!("\"{form}\""));
        assert_eq!(serde_json::from_str::<Endpoint>(&json).unwrap(), common::endpoint(form));
    }
}

#[test]
fn what_is_no_endpoint_is_refused() {
    for wrong in [
        "",
        ".",
        "la",
        "la.E08000035",
        "la.E08000035.",
        "la.E08000035.kitchen",
        "LA.E08000035.front-door",
        "la.E08000035.front-door.2",
        "police",
        "police.13.",
        "police.13.Prevent",
        "police.1",
        "school.",
        "school.99900",
        "school.999001.head",
        "nhs.Z",
        "adult.leeds",
        "devolved.",
        "vcs.",
        "vcs.Help",
        "parent.1",
        "service.router",
        "*",
        "#",
        "la.#.front-door",
    ] {
        assert!(Endpoint::parse(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn whatever_reads_as_an_endpoint_reads_back_from_its_written_form(
        text in prop_oneof!["[a-zA-Z0-9.# *é-]{0,40}", "(la|police|school|nhs|adult|devolved|vcs)[.][ A-Za-z0-9-]{1,12}([.][a-z-]{0,20})?"]
    ) {
        if let Ok(endpoint) = Endpoint::parse(&text) {
            let written = endpoint.to_string();
            prop_assert_eq!(Endpoint::parse(&written).unwrap(), endpoint);
            // It is a queue's name and a certificate's common name: nothing in it that either would read otherwise.
            prop_assert!(written.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')), "{}", written);
        }
    }
}

// ---------------------------------------------------------------- ids of our own

fn key(byte: u8) -> IdempotencyKey {
    IdempotencyKey::from_bytes([byte; 16])
}

#[test]
fn the_ids_of_a_submission_are_the_same_for_ever() {
    // Pinned: a change here would give every referral in every ledger another id.
    let first = ReferralId::of(&common::endpoint("school.999001"), key(1));
    let second = first.of_further_child(1);
    let third = first.of_further_child(2);
    let delivery = |nth| DeliveryId::of(first, &common::endpoint("la.E08000035.front-door"), nth);
    expect![[r#"
        first child       bcfde52e-06e2-8aae-9cd0-f4685a8213d2
        second child      bcfde52e-06e2-8aae-9306-f76809d87c7c
        third child       bcfde52e-06e2-8aae-8ab1-a10e51dcbb5b
        first delivery    aec1bd56-2044-8ed1-b548-0d307d330d5c
        second delivery   b3ffc41c-2a0a-8711-a554-991717284a74
    "#]]
    .assert_eq(&format!(
        "first child       {first}\nsecond child      {second}\nthird child       {third}\nfirst delivery    {}\nsecond delivery   {}\n",
        delivery(0),
        delivery(1)
    ));
}

#[test]
fn the_partition_of_a_referral_is_the_same_for_ever() {
    // Pinned: adapters and routers of different ages must agree on it.
    let partitions: Vec<u16> = (0..16).map(|byte| ReferralId::from_bytes([byte; 16]).partition(8)).collect();
    expect!["[2, 3, 2, 5, 0, 4, 7, 2, 1, 1, 2, 7, 7, 7, 7, 0]"].assert_eq(&format!("{partitions:?}"));
}

#[test]
fn partitions_are_used_evenly() {
    let mut counts = [0u32; 8];
    for nth in 0..4_000u32 {
        let mut bytes = [7; 16];
        bytes[..4].copy_from_slice(&nth.to_be_bytes());
        let id = ReferralId::of(&common::endpoint("nhs.ZZ101"), IdempotencyKey::from_bytes(bytes));
        counts[usize::from(id.partition(8))] += 1;
    }
    assert!(counts.iter().all(|&count| (400..=600).contains(&count)), "{counts:?}");
}

#[test]
fn no_partitions_at_all_is_one_partition() {
    assert_eq!(ReferralId::from_bytes([3; 16]).partition(0), 0);
}

/// Version 8, and the variant of RFC 9562.
fn is_uuid_8(bytes: &[u8; 16]) -> bool {
    bytes[6] >> 4 == 8 && bytes[8] >> 6 == 0b10
}

proptest! {
    #[test]
    fn our_own_ids_are_uuids_of_version_8(bytes: [u8; 16], nth: u16, form in 0..FORMS.len()) {
        let endpoint = common::endpoint(FORMS[form]);
        let referral = ReferralId::of(&endpoint, IdempotencyKey::from_bytes(bytes));
        prop_assert!(is_uuid_8(referral.as_bytes()));
        prop_assert!(is_uuid_8(referral.of_further_child(nth).as_bytes()));
        prop_assert!(is_uuid_8(DeliveryId::of(referral, &endpoint, u32::from(nth)).as_bytes()));
    }

    #[test]
    fn ids_are_written_as_they_are_read(bytes: [u8; 16]) {
        fn round<T: Display + PartialEq + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned>(id: T, parse: fn(&str) -> Result<T, Malformed>) {
            let text = id.to_string();
            assert_eq!(parse(&text).unwrap(), id);
            assert_eq!(parse(&text.to_uppercase()).unwrap(), id);
            assert_eq!(serde_json::from_str::<T>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        }
        round(ReferralId::from_bytes(bytes), ReferralId::parse);
        round(DeliveryId::from_bytes(bytes), DeliveryId::parse);
        round(IdempotencyKey::from_bytes(bytes), IdempotencyKey::parse);
        round(Digest::of_bytes(&bytes), Digest::parse);
    }

    #[test]
    fn only_hexadecimal_digits_in_the_right_places_are_an_id(text in "[0-9a-fA-F+ g-]{8}-[0-9a-f+]{4}-[0-9a-f-]{4}-[0-9a-f+]{4}-[0-9a-f+]{12}") {
        let read = IdempotencyKey::parse(&text);
        let fits = text.bytes().enumerate().all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() });
        prop_assert_eq!(read.is_ok(), fits);
        if let Ok(key) = read {
            prop_assert_eq!(key.to_string(), text.to_lowercase());
        }
    }

    #[test]
    fn further_children_share_the_first_childs_partition_and_nothing_else(bytes: [u8; 16], a in 1u16..500, b in 1u16..500, count in 1u16..64) {
        let first = ReferralId::of(&common::endpoint("police.13"), IdempotencyKey::from_bytes(bytes));
        prop_assert!(first.partition(count) < count);
        prop_assert_eq!(first.of_further_child(a).partition(count), first.partition(count));
        prop_assert_ne!(first.of_further_child(a), first);
        prop_assert_eq!(first.of_further_child(a) == first.of_further_child(b), a == b);
    }

    #[test]
    fn two_senders_or_two_keys_never_share_a_referral(a: [u8; 16], b: [u8; 16], one in 0..FORMS.len(), other in 0..FORMS.len()) {
        let id = |form: usize, key| ReferralId::of(&common::endpoint(FORMS[form]), IdempotencyKey::from_bytes(key));
        prop_assert_eq!(id(one, a) == id(other, b), one == other && a == b);
    }
}

#[test]
fn an_id_with_a_sign_in_it_is_refused() {
    assert!(IdempotencyKey::parse("+1+1+1+1-+1+1-+1+1-+1+1-+1+1+1+1+1+1").is_err());
    assert!(Digest::parse(&"+f".repeat(32)).is_err());
}

#[test]
fn a_digest_is_what_any_other_tool_computes() {
    assert_eq!(Digest::of_bytes(b"abc").to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn no_two_lists_of_parts_share_a_digest_by_moving_the_seam() {
    assert_ne!(Digest::of(&[b"ab", b"c"]), Digest::of(&[b"a", b"bc"]));
    assert_ne!(Digest::of(&[b"ab", b""]), Digest::of(&[b"ab"]));
}

// ---------------------------------------------------------------- whatever comes in

/// Every parser there is, each with the words of its refusal, if it refuses.
fn refusals(text: &str) -> Vec<String> {
    fn of<T>(parsed: Result<T, Malformed>) -> Option<String> {
        parsed.err().map(|fault| format!("{fault} {fault:?}"))
    }
    [
        of(NhsNumber::parse(text)),
        of(Upn::parse(text)),
        of(Postcode::parse(text)),
        of(Uprn::parse(text)),
        of(Urn::parse(text)),
        of(Laestab::parse(text)),
        of(GssCode::parse(text)),
        of(OdsCode::parse(text)),
        of(ForceCode::parse(text)),
        of(VoluntaryCode::parse(text)),
        of(Endpoint::parse(text)),
        of(ReferralId::parse(text)),
        of(DeliveryId::parse(text)),
        of(IdempotencyKey::parse(text)),
        of(Digest::parse(text)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

proptest! {
    #[test]
    fn whatever_the_text_no_parser_panics(text in any::<String>()) {
        refusals(&text);
    }

    #[test]
    fn no_refusal_repeats_what_it_refused(text in prop_oneof!["[0-9]{6,14}", "[A-Z]{2}[0-9]{4,12}[A-Z]?", "[A-Z][a-z]{5,9} [A-Z][a-z]{5,9}"]) {
        for refusal in refusals(&text) {
            prop_assert!(!refusal.contains(&text), "{}", refusal);
        }
    }

    #[test]
    fn an_identifier_that_was_checked_does_not_print_itself(text in "[0-9]{10}|[A-Z][0-9]{12}|ZQ[0-9]{1,2} [0-9]ZQ") {
        let printed = format!(
            "{:?} {:?} {:?} {:?} {:?} {:?}",
            Checked::new(&text, NhsNumber::parse), Checked::new(&text, Upn::parse), Checked::new(&text, Postcode::parse), Checked::new(&text, Uprn::parse),
            NhsNumber::parse(&text), Postcode::parse(&text)
        );
        prop_assert!(!printed.contains(&text), "{}", printed);
    }
}
