//! What the directory answers, on what it stands, and what it does not dare to say.

use std::sync::Arc;

use referral::Digest;
use referral::directory::{
    Answer, Asked, Basis, Directory, Doubt, Extract, Gathered, GatheredUprns, List, Place, PostcodeKey, School, Standing,
};
use referral::identifiers::{GssCode, Postcode, Uprn, Urn};
use referral::vocab::Area;

mod common;
use common::{gss, referral};

const REGISTER: &str = include_str!("../../../policies/directory/england.toml");
const TODAY: &str = "2026-11-23";

/// Districts as releases of several years name them: Harrogate's code ended in 2023, Guildford's will in 2027.
const POSTCODES: &[(&str, &str, bool)] = &[
    ("LS1 4AP", "E08000035", false),
    ("LS1 5AA", "E08000036", false),
    ("HG1 1AA", "E07000165", false),
    ("GU1 1AA", "E07000209", false),
    ("KT10 8AA", "E07000207", false),
    ("CT1 1AA", "E07000106", true),
    ("CF10 1AA", "W06000015", false),
    ("BT1 1AA", "N09000003", false),
    ("JE2 3AA", "L99999999", false),
    ("B99 9AA", "", false),
    ("NN1 1AA", "E07000154", false),
    ("XX1 1AA", "E07999999", false),
];

fn directory() -> Directory {
    with_lists(Directory::parse(REGISTER, "").unwrap())
}

fn with_lists(directory: Directory) -> Directory {
    let mut gathered = Gathered::default();
    for (postcode, district, ended) in POSTCODES {
        let place = gathered.place(Place::read(district).unwrap()).unwrap();
        gathered.add(PostcodeKey::of(postcode.as_bytes()).unwrap(), place, *ended);
    }
    let postcodes = gathered.lay_out("made for a test", Digest::of_bytes(b"nothing")).unwrap();
    let extract = Extract { name: "schools".to_owned(), as_at: TODAY.parse().unwrap(), source: Digest::of_bytes(b"") };
    let mut schools = List::of(extract);
    for (urn, dfe, standing, closed, postcode) in [
        ("990001", "383", Standing::Open, None, None),
        ("990002", "909", Standing::Open, None, None),
        ("990003", "928", Standing::Open, None, Some("NN1 1AA")),
        ("990004", "383", Standing::Closed, Some("2020-08-31"), None),
    ] {
        let school = School {
            urn: Urn::parse(urn).unwrap(),
            dfe: dfe.to_owned(),
            establishment: Some("4001".to_owned()),
            name: "A school".to_owned(),
            standing,
            opened: None,
            closed: closed.map(|closed| closed.parse().unwrap()),
            successors: Vec::new(),
            postcode: postcode.map(|postcode| Postcode::parse(postcode).unwrap()),
        };
        assert!(schools.add(school));
    }
    let schools = List::read(&schools.write()).unwrap();
    directory.with_postcodes(Arc::new(postcodes), false).with_schools(Arc::new(schools))
}

fn ask(text: &str, on: &str) -> Answer {
    directory().look_up(&Asked::parse(text).unwrap_or_else(|| panic!("{text} can be asked")), on.parse().unwrap())
}

fn council(text: &str, on: &str) -> Option<String> {
    ask(text, on).council.map(|gss| gss.to_string())
}

fn doubts(text: &str) -> Vec<Doubt> {
    ask(text, TODAY).doubts
}

#[test]
fn a_postcode_answers_with_its_authority_and_its_release() {
    let answer = ask("ls1 4ap", TODAY);
    assert_eq!((answer.council, answer.area, answer.basis), (Some(gss("E08000035")), Area::England, Basis::Postcode));
    assert_eq!((answer.release.as_deref(), answer.doubts.as_slice()), (Some("made for a test"), [].as_slice()));
    assert!(!answer.reason.contains("LS1"), "a reason never repeats what was asked");
}

#[test]
fn an_old_release_answers_with_whoever_has_the_place_now() {
    assert_eq!(council("HG1 1AA", "2023-03-31").as_deref(), Some("E10000023"));
    assert_eq!(council("HG1 1AA", "2023-04-01").as_deref(), Some("E06000065"));
    assert_eq!(council("GU1 1AA", "2027-03-31").as_deref(), Some("E10000030"));
    assert_eq!(council("GU1 1AA", "2027-04-01"), directory().called("WEST_SURREY").map(ToString::to_string));
    assert_eq!(council("KT10 8AA", "2027-04-01"), directory().called("EAST_SURREY").map(ToString::to_string));
    assert_eq!(ask("KT10 8AA", "2027-04-01").doubts, [Doubt::Provisional]);
}

#[test]
fn what_cannot_be_told_is_not_told() {
    assert_eq!(doubts("ZZ99 3VZ"), [Doubt::PseudoPostcode]);
    assert_eq!(doubts("BF1 1AA"), [Doubt::ForcesPost]);
    assert_eq!(doubts("LS1 4AQ"), [Doubt::NotInRelease]);
    assert_eq!(doubts("B99 9AA"), [Doubt::NoDistrict]);
    assert_eq!(doubts("JE2 3AA"), [Doubt::CrownDependency]);
    assert_eq!(doubts("XX1 1AA"), [Doubt::UnknownCode]);
    assert_eq!(doubts("E06999999"), [Doubt::UnknownCode]);
    assert_eq!(doubts("100012345678"), [Doubt::NoUprnTable]);
    assert_eq!(doubts("urn:999999"), [Doubt::UnknownOrganisation]);
    for text in ["ZZ99 3VZ", "BF1 1AA", "LS1 4AQ", "B99 9AA", "JE2 3AA", "XX1 1AA", "E06999999", "100012345678", "urn:999999"] {
        assert_eq!(council(text, TODAY), None, "{text}");
    }
}

#[test]
fn the_front_of_a_postcode_gives_candidates_and_chooses_none() {
    let answer = ask("LS1", TODAY);
    assert_eq!((answer.council, answer.candidates), (None, vec![gss("E08000035"), gss("E08000036")]));
    let answer = ask("LS1 4", TODAY);
    assert_eq!((answer.council, answer.candidates), (None, vec![gss("E08000035")]), "one candidate is still only one");
    assert_eq!(ask("SW1", TODAY).doubts, [Doubt::NotInRelease]);
}

#[test]
fn a_postcode_no_longer_in_use_still_answers_and_says_so() {
    assert_eq!(council("CT1 1AA", TODAY).as_deref(), Some("E10000016"));
    assert_eq!(doubts("CT1 1AA"), [Doubt::EndedPostcode]);
}

#[test]
fn a_place_outside_england_answers_with_its_own_council() {
    let area = |text: &str| (ask(text, TODAY).area, council(text, TODAY));
    assert_eq!(area("CF10 1AA"), (Area::Wales, Some("W06000015".to_owned())));
    assert_eq!(area("BT1 1AA"), (Area::NorthernIreland, Some("N09000003".to_owned())));
    assert_eq!(area("S12000015"), (Area::Scotland, Some("S12000047".to_owned())));
    assert_eq!(area("W06999999"), (Area::Wales, None));
}

#[test]
fn a_code_used_outside_its_days_finds_whoever_has_the_place() {
    assert_eq!(doubts("E07000165"), [Doubt::NotOfThatDay]);
    assert_eq!(doubts("E07000106"), []);
    let split = ask("E10000021", TODAY);
    assert_eq!((split.council, split.candidates), (None, vec![gss("E06000061"), gss("E06000062")]));
}

#[test]
fn a_school_answers_with_the_authority_around_it() {
    assert_eq!(council("990001", TODAY).as_deref(), Some("E08000035"));
    assert_eq!(ask("990002", TODAY).candidates, [gss("E06000063"), gss("E06000064")]); // Cumbria's number became two
    assert_eq!(council("990003", TODAY).as_deref(), Some("E06000062")); // its own postcode tells which
    assert_eq!(doubts("990004"), [Doubt::NotOpen]);
    assert_eq!(ask("990004", "2020-08-31").doubts, []);
}

fn home(stated: Option<&str>, postcode: Option<&str>) -> (Option<GssCode>, Basis, Vec<Doubt>) {
    let mut referral = referral();
    referral.places.home = stated.map(gss);
    referral.home_postcode = postcode.map(|text| Postcode::parse(text).unwrap());
    let answer = directory().home_of(&referral, TODAY.parse().unwrap());
    (answer.council, answer.basis, answer.doubts)
}

#[test]
fn what_a_person_stated_wins_over_what_a_postcode_suggests() {
    assert_eq!(home(Some("E08000036"), Some("LS1 4AP")), (Some(gss("E08000036")), Basis::Stated, vec![Doubt::StatedDiffers]));
    assert_eq!(home(Some("E08000035"), Some("LS1 4AP")), (Some(gss("E08000035")), Basis::Stated, vec![]));
    assert_eq!(home(None, Some("LS1 4AP")), (Some(gss("E08000035")), Basis::Postcode, vec![]));
    assert_eq!(home(None, None), (None, Basis::Nothing, vec![]));
    // Northamptonshire's code alone does not tell; the postcode gives one of the two.
    assert_eq!(home(Some("E10000021"), Some("NN1 1AA")), (Some(gss("E06000062")), Basis::Postcode, vec![]));
    // A postcode elsewhere does not decide between the two.
    assert_eq!(home(Some("E10000021"), Some("LS1 4AP")).0, None);
}

#[test]
fn a_list_of_schools_with_anything_changed_is_refused() {
    let extract = Extract { name: "x".to_owned(), as_at: TODAY.parse().unwrap(), source: Digest::of_bytes(b"") };
    let text = List::<School>::of(extract).write();
    assert!(List::<School>::read(&text).is_ok());
    assert!(List::<School>::read(&text.replace(TODAY, "2026-11-24")).is_err());
    assert!(List::<School>::read(text.trim_end()).is_err());
    assert!(List::<referral::directory::HealthBody>::read(&text).is_err());
}

fn rulebook() -> referral::rules::Rulebook {
    let mut rules = common::rulebook();
    let endpoints = format!("{}\n[[endpoint]]\nname = \"school.990001\"\n", common::ENDPOINTS);
    rules.directory = with_lists(Directory::parse(REGISTER, &endpoints).unwrap());
    rules
}

/// The same with one property of Leeds, and one of Guildford.
fn with_properties(directory: Directory) -> Directory {
    let mut gathered = GatheredUprns::default();
    for (uprn, district) in [("72000001", "E08000035"), ("100060000001", "E07000209"), ("10033000001", "W06000015")] {
        let place = gathered.place(Place::read(district).unwrap()).unwrap();
        gathered.add(&Uprn::parse(uprn).unwrap(), place);
    }
    directory.with_uprns(Arc::new(gathered.lay_out("ONSUD made for a test", Digest::of_bytes(b"nothing")).unwrap()))
}

#[test]
fn the_number_of_a_property_wins_over_its_postcode_and_what_was_stated_over_both() {
    let mut rules = rulebook();
    rules.directory = with_properties(rules.directory);
    let ruled = |uprn: &str, postcode: Option<&str>, stated: Option<&str>| {
        let mut referral = referral();
        referral.sender = common::endpoint("nhs.ZZ101");
        referral.places.home = stated.map(gss);
        referral.places.located = None;
        referral.home_uprn = Some(Uprn::parse(uprn).unwrap());
        referral.home_postcode = postcode.map(|text| Postcode::parse(text).unwrap());
        let ruling = rules.rule(&referral, &[]);
        let flags: Vec<String> = ruling.flags().filter(|flag| flag.starts_with("home_")).map(str::to_owned).collect();
        (common::goes_to(&ruling), flags.join(" "))
    };
    let to = |endpoint: &str, flag: &str| (endpoint.to_owned(), flag.to_owned());
    assert_eq!(ruled("72000001", None, None), to("la.E08000035.front-door", "home_by_uprn"));
    assert_eq!(ruled("000072000001", Some("CT1 1AA"), None), to("la.E08000035.front-door", "home_by_uprn"));
    // One that the release does not hold leaves it to the postcode.
    assert_eq!(ruled("72000002", Some("CT1 1AA"), None), to("la.E10000016.front-door", "home_by_postcode"));
    assert_eq!(ruled("72000001", None, Some("E10000016")), to("la.E10000016.front-door", "home_postcode_differs"));
    assert_eq!(ruled("10033000001", None, None).0, "devolved.W06000015");
}

#[test]
fn a_property_is_looked_up_on_a_day_and_where_no_table_is_held_that_is_said() {
    let asked = Asked::parse("uprn:100060000001").unwrap();
    let none = directory().look_up(&asked, TODAY.parse().unwrap());
    assert_eq!((none.council, none.doubts), (None, vec![Doubt::NoUprnTable]));
    let directory = with_properties(directory());
    let on = |day: &str| directory.look_up(&asked, day.parse().unwrap());
    assert_eq!(on("2027-03-31").council, Some(gss("E10000030")));
    let after = on("2027-04-01");
    assert_eq!((after.council, after.basis), (Some(gss("E06990002")), Basis::Uprn));
    assert_eq!(after.release.as_deref(), Some("ONSUD made for a test"));
    assert!(!after.reason.contains("100060000001"), "{}", after.reason);
}

/// Where a referral goes, by its home, by where the child was found, and by the home's postcode.
fn routed(sender: &str, home: Option<&str>, located: Option<&str>, postcode: Option<&str>) -> (String, Vec<String>) {
    let mut referral = referral();
    referral.sender = common::endpoint(sender);
    referral.places.home = home.map(gss);
    referral.places.located = located.map(gss);
    referral.home_postcode = postcode.map(|text| Postcode::parse(text).unwrap());
    let ruling = rulebook().rule(&referral, &[]);
    let flags = ruling.flags().filter(|flag| flag.starts_with("home_")).map(str::to_owned).collect();
    (common::goes_to(&ruling), flags)
}

#[test]
fn a_referral_with_only_a_postcode_goes_to_the_authority_of_the_home_and_says_how() {
    assert_eq!(routed("nhs.ZZ101", None, None, Some("LS1 4AP")).0, "la.E08000035.front-door");
    assert_eq!(routed("nhs.ZZ101", None, None, Some("LS1 4AP")).1, ["home_by_postcode"]);
    assert_eq!(routed("nhs.ZZ101", None, None, Some("HG1 1AA")).0, "la.E06000065.front-door");
}

#[test]
fn a_referral_with_only_a_school_goes_to_the_authority_around_the_school() {
    assert_eq!(routed("school.990001", None, None, None).0, "la.E08000035.front-door");
}

#[test]
fn a_referral_with_a_districts_code_goes_to_its_county() {
    assert_eq!(routed("nhs.ZZ101", Some("E07000106"), None, None).0, "la.E10000016.front-door");
}

#[test]
fn a_referral_with_an_address_in_wales_goes_to_wales() {
    assert_eq!(routed("nhs.ZZ101", None, None, Some("CF10 1AA")).0, "devolved.W06000015");
}

#[test]
fn a_referral_with_no_place_waits_for_a_person() {
    assert_eq!(routed("nhs.ZZ101", None, None, None).0, "held for nobody");
    assert_eq!(
        routed("nhs.ZZ101", None, None, Some("ZZ99 3VZ")),
        ("held for nobody".to_owned(), vec!["home_not_located".to_owned()])
    );
}

#[test]
fn what_was_stated_is_used_and_a_postcode_that_differs_is_pointed_out() {
    let (to, flags) = routed("nhs.ZZ101", Some("E08000035"), None, Some("CT1 1AA"));
    assert_eq!((to.as_str(), flags), ("la.E08000035.front-door", vec!["home_postcode_differs".to_owned()]));
}
