//! The register that ships: who answers for which place, counted, proved and checked place by place.

use std::sync::LazyLock;

use referral::directory::Directory;
use referral::identifiers::{ForceCode, GssCode};
use referral::vocab::Area;

const REGISTER: &str = include_str!("../../../policies/directory/england.toml");

fn directory() -> &'static Directory {
    static DIRECTORY: LazyLock<Directory> = LazyLock::new(|| Directory::parse(REGISTER, "").unwrap());
    &DIRECTORY
}

fn answers_for(gss: &str, on: &str) -> Option<String> {
    directory().authority(&GssCode::parse(gss).unwrap(), on.parse().unwrap()).map(|authority| authority.gss.to_string())
}

const TODAY: &str = "2026-11-23";

#[test]
fn the_register_holds_every_english_authority_and_district() {
    let directory = directory();
    let count = |on: &str| {
        let on = on.parse().unwrap();
        (directory.authorities(on).count(), directory.register().districts(on).count())
    };
    assert_eq!(count(TODAY), (153, 296));
    assert_eq!(count("2027-04-01"), (154, 287));
    assert_eq!(count("2023-03-31"), (152, 309));
}

#[test]
fn every_district_has_one_authority_on_every_day_of_change_and_on_the_day_before() {
    let directory = directory();
    let days = directory.register().days_of_change();
    assert!(days.len() >= 5, "{days:?}");
    for day in days.into_iter().flat_map(|day| [day.yesterday().unwrap(), day]) {
        for district in directory.register().districts(day) {
            assert_eq!(directory.register().candidates(district, day).len(), 1, "{district} on {day}");
        }
    }
}

#[test]
fn a_district_answers_with_its_county() {
    assert_eq!(answers_for("E07000106", TODAY).as_deref(), Some("E10000016")); // Canterbury: Kent
    assert_eq!(answers_for("E08000035", TODAY).as_deref(), Some("E08000035")); // Leeds: itself
}

#[test]
fn a_retired_code_answers_with_its_successor_or_is_unknown() {
    assert_eq!(answers_for("E06000028", TODAY).as_deref(), Some("E06000058")); // Bournemouth
    assert_eq!(answers_for("E10000021", TODAY), None); // Northamptonshire became two
    assert_eq!(answers_for("E06999999", TODAY), None);
}

#[test]
fn a_place_answers_with_whoever_has_it_on_the_day() {
    let surrey = [("E07000209", "WEST_SURREY"), ("E07000207", "EAST_SURREY")];
    for (district, name) in surrey {
        let new = directory().called(name).unwrap().to_string();
        assert_eq!(answers_for(district, "2027-03-31").as_deref(), Some("E10000030"));
        assert_eq!(answers_for(district, "2027-04-01"), Some(new.clone()));
        assert_eq!(answers_for(&new, "2027-03-31").as_deref(), Some("E10000030")); // addressed before its day
    }
    assert_eq!(answers_for("E10000030", "2027-04-01"), None); // the county's code no longer tells which
    assert_eq!(answers_for("E07000165", "2023-03-31").as_deref(), Some("E10000023")); // Harrogate
    assert_eq!(answers_for("E07000165", "2023-04-01").as_deref(), Some("E06000065"));
    assert_eq!(answers_for("E07000190", "2020-01-01").as_deref(), Some("E10000027")); // Taunton Deane, twice merged
    assert_eq!(answers_for("E07000190", TODAY).as_deref(), Some("E06000066"));
    assert_eq!(answers_for("E06000063", "2023-03-31").as_deref(), Some("E10000006")); // Cumberland before its day
}

#[test]
fn a_code_that_was_exchanged_means_the_same_council_before_and_after() {
    for (old, new) in [("E08000016", "E08000038"), ("E08000019", "E08000039"), ("E06000048", "E06000057")] {
        for day in ["2025-03-31", "2025-04-15", TODAY] {
            assert_eq!(answers_for(old, day).as_deref(), Some(new), "{old} on {day}");
            assert_eq!(answers_for(new, day).as_deref(), Some(new), "{new} on {day}");
        }
    }
}

#[test]
fn the_register_holds_every_police_force() {
    let directory = directory();
    let register = directory.register();
    let of = |nation: Option<Area>| register.forces().filter(|force| force.nation == nation && force.area.is_some()).count();
    assert_eq!((of(Some(Area::England)), of(Some(Area::Wales))), (39, 4));
    let special: Vec<&str> = register.forces().filter(|force| force.special.is_some()).map(|force| force.name.as_str()).collect();
    assert_eq!(special, ["Ministry of Defence Police", "Civil Nuclear Constabulary", "British Transport Police"]);
    let today = TODAY.parse().unwrap();
    let with_authorities: std::collections::BTreeSet<&ForceCode> =
        directory.authorities(today).map(|authority| &authority.police).collect();
    assert_eq!(with_authorities.len(), 39);
    let second = register.force(&ForceCode::parse("02").unwrap()).unwrap();
    assert_eq!((second.name.as_str(), second.code.as_str()), ("Metropolitan Police", "01"));
}

#[test]
fn the_register_holds_every_council_outside_england() {
    let directory = directory();
    let count = |nation: Area| directory.register().all_beyond().filter(|beyond| beyond.nation == nation).count();
    assert_eq!((count(Area::Wales), count(Area::Scotland), count(Area::NorthernIreland)), (22, 32, 11));
    let code = |text: &str| GssCode::parse(text).unwrap();
    assert_eq!(directory.name(&code("W06000015")), Some("Cardiff"));
    assert_eq!(directory.name(&code("S12000015")), Some("Fife")); // an older code of the same council
    let trusts = &directory.register().beyond(&code("N09000009")).unwrap().bodies;
    assert_eq!(trusts.len(), 2, "Mid Ulster lies in two trusts' areas");
}

#[test]
fn a_number_of_the_department_for_education_outlives_its_council() {
    let directory = directory();
    let of = |dfe: &str, on: &str| -> Vec<String> {
        directory.register().by_dfe_number(dfe, on.parse().unwrap()).iter().map(|authority| authority.name.clone()).collect()
    };
    assert_eq!(of("383", TODAY), ["Leeds"]);
    assert_eq!(of("837", TODAY), ["Bournemouth, Christchurch and Poole"]);
    assert_eq!(of("837", "2019-03-31"), ["Bournemouth"]);
    assert_eq!(of("909", TODAY), ["Cumberland", "Westmorland and Furness"]); // a postcode has to tell which
    assert_eq!(of("815", "2023-03-31"), ["North Yorkshire (county)"]);
    assert_eq!(of("815", "2023-04-01"), ["North Yorkshire"]);
    assert_eq!(of("875", TODAY), ["Cheshire East", "Cheshire West and Chester"]);
    assert!(of("990", TODAY).is_empty());
}

#[test]
fn every_authority_has_its_own_number_on_every_day_until_surreys_are_issued() {
    let directory = directory();
    for day in directory.register().days_of_change() {
        let numbered: Vec<&str> = directory.authorities(day).filter_map(|authority| authority.dfe.as_deref()).collect();
        let distinct: std::collections::BTreeSet<&&str> = numbered.iter().collect();
        assert_eq!(numbered.len(), distinct.len(), "on {day}");
        let provisional = directory.authorities(day).filter(|authority| authority.provisional).count();
        assert_eq!(numbered.len() + provisional, directory.authorities(day).count(), "on {day}");
    }
}

#[test]
fn a_company_answers_for_an_authority_from_its_first_day_to_its_last() {
    let directory = directory();
    let body = |gss: &str, on: &str| {
        let body = directory.register().delivery_body(&GssCode::parse(gss).unwrap(), on.parse().unwrap());
        body.map(|body| body.name.clone())
    };
    assert_eq!(body("E08000025", TODAY).as_deref(), Some("Birmingham Children's Trust"));
    assert_eq!(body("E10000034", "2024-09-30").as_deref(), Some("Worcestershire Children First"));
    assert_eq!(body("E10000034", "2024-10-01"), None);
    let today = TODAY.parse().unwrap();
    let delivering =
        directory.authorities(today).filter(|authority| directory.register().delivery_body(&authority.gss, today).is_some());
    assert_eq!(delivering.count(), 10);
}

#[test]
fn a_register_that_contradicts_itself_is_refused_with_every_fault() {
    let broken = REGISTER.replace("county = \"E10000016\"", "county = \"E10000099\"").replace(
        "until = \"2027-03-31\"\nbecomes = [\"E06990001\", \"E06990002\"]",
        "until = \"2027-02-28\"\nbecomes = [\"E06990001\"]",
    );
    let faults = Directory::parse(&broken, "").unwrap_err().0;
    let about = |text: &str| faults.iter().filter(|fault| fault.contains(text)).count();
    assert_eq!(about("is no county of this register"), 12, "Kent's districts: {faults:?}");
    assert_eq!(about("which does not begin on the day after"), 1, "{faults:?}");
    assert_eq!(about("has days on which its county E10000030 does not exist"), 11, "{faults:?}");
}

#[test]
fn every_known_place_has_its_authority_on_its_day() {
    let directory = directory();
    let mut answered = std::collections::BTreeSet::new();
    for line in include_str!("known-places.csv").lines().filter(|line| !line.starts_with('#')).skip(1) {
        // A place's name may hold commas; the three columns after it do not.
        let columns: Vec<&str> = line.rsplitn(4, ',').collect();
        let [expected, on, code, place] = columns.as_slice() else { panic!("{line}") };
        let expected = match directory.called(expected) {
            Some(code) => code.to_string(),
            None => (*expected).to_owned(),
        };
        let answer = answers_for(code, on);
        assert_eq!(answer.clone().unwrap_or_default(), expected, "{place} ({code}) on {on}");
        answered.extend(answer.filter(|_| *on == TODAY));
    }
    assert_eq!(answered.len(), 153, "one place at least in every authority");
}
