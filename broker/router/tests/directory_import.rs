//! Importing what registers publish: every layout is read, and every damaged file is refused with its line while
//! what was in use stays in use.

use std::fs;
use std::path::{Path, PathBuf};

use referral::directory::{Asked, Directory, Doubt};
use router::directory::{Import, with_imported};

const REGISTER: &str = include_str!("../../../policies/directory/england.toml");
const TODAY: &str = "2026-11-23";

const NSPL_2021: &str = "pcd,pcd2,pcds,dointr,doterm,usertype,oseast1m,osnrth1m,osgrdind,oa11,cty,ced,laua,ward\n\
    AB1 0AA,AB1  0AA,AB1 0AA,198001,199606,0,385386,0801193,1,,S99999999,,S12000033,\n\
    HG1 1AA,HG1  1AA,HG1 1AA,198001,,0,430000,0455000,1,,E10000023,,E07000165,\n\
    IM1 1AA,IM1  1AA,IM1 1AA,198001,,0,,,9,,M99999999,,M99999999,\n\
    JE2 3AA,JE2  3AA,JE2 3AA,198001,,0,,,9,,L99999999,,L99999999,\n\
    LS1 4AP,LS1  4AP,LS1 4AP,198001,,0,429000,0433000,1,,E99999999,,E08000035,\n\
    LS1 4AW,LS1  4AW,LS1 4AW,198001,200001,1,,,9,,,,,\n";

const ONSPD_2023: &str = "pcd,pcd2,pcds,dointr,doterm,oscty,ced,oslaua,osward\n\
    BT1 1AA,BT1  1AA,BT1 1AA,198001,,N99999999,,N09000003,\n\
    LS1 4AP,LS1  4AP,LS1 4AP,198001,,E99999999,,E08000035,\n";

const NSPL_2026: &str = "pcd7,pcd8,pcds,dointr,doterm,usrtypind,lad26cd,lat\n\
    \"CF101AA\",\"CF10 1AA\",\"CF10 1AA\",\"198001\",\"\",\"0\",\"W06000015\",51.5\n\
    \"GU1 1AA\",\"GU1  1AA\",\"GU1 1AA\",\"198001\",\"\",\"0\",\"E07000209\",51.2\n\
    \"LS1 4AP\",\"LS1  4AP\",\"LS1 4AP\",\"198001\",\"\",\"0\",\"E08000035\",53.8\n";

const CODE_POINT_AL: &str = "\"AL100AA\",10,522000,208000,\"E92000001\",\"E19000003\",\"E18000006\",\"E10000015\",\"E07000241\",\"E05009122\"\n\
    \"AL1 1AG\",10,515000,206000,\"E92000001\",\"E19000003\",\"E18000006\",\"E10000015\",\"E07000240\",\"E05009022\"\n";
const CODE_POINT_LS: &str = "\"LS1 4AP\",10,429000,433000,\"E92000001\",\"\",\"\",\"\",\"E08000035\",\"E05011395\"\n\
    \"LS1 4AW\",90,0,0,\"\",\"\",\"\",\"\",\"\",\"\"\n";

fn folder(test: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("directory-{test}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn directory() -> Directory {
    Directory::parse(REGISTER, "").unwrap()
}

fn import(folder: &Path, files: &[(&str, &[u8])]) -> Result<String, String> {
    import_as(folder, files, false)
}

fn import_as(folder: &Path, files: &[(&str, &[u8])], smaller: bool) -> Result<String, String> {
    let mut paths = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        paths.push(path);
    }
    let import = Import { into: folder.join("in-use"), release: None, as_at: TODAY.parse().unwrap(), smaller };
    import.files(&paths, directory().register(), &mut |_| ()).map_err(|refused| refused.to_string())
}

fn in_use(folder: &Path) -> Directory {
    with_imported(directory(), &folder.join("in-use")).unwrap()
}

fn answers(folder: &Path, what: &str) -> (Option<String>, Vec<Doubt>) {
    let directory = in_use(folder);
    let answer = directory.look_up(&directory.asked(what).unwrap(), TODAY.parse().unwrap());
    (answer.council.map(|gss| gss.to_string()), answer.doubts)
}

fn council(folder: &Path, what: &str) -> Option<String> {
    answers(folder, what).0
}

#[test]
fn every_published_layout_is_read() {
    for (name, text) in [("nspl-2021.csv", NSPL_2021), ("onspd-2023.csv", ONSPD_2023), ("nspl-2026.csv", NSPL_2026)] {
        let folder = folder(name);
        import(&folder, &[(name, text.as_bytes())]).unwrap();
        assert_eq!(council(&folder, "LS1 4AP").as_deref(), Some("E08000035"), "{name}");
        let release = in_use(&folder).postcodes().unwrap().release().name.clone();
        assert_eq!(format!("{release}.csv"), name);
    }
}

#[test]
fn what_lies_outside_england_or_nowhere_is_kept_as_that() {
    let folder = folder("outside");
    let done = import(&folder, &[("nspl.csv", NSPL_2021.as_bytes())]).unwrap();
    assert!(done.contains("6 postcodes") && done.contains("2 in England") && done.contains("2 no longer in use"), "{done}");
    assert_eq!(answers(&folder, "AB1 0AA"), (Some("S12000033".to_owned()), vec![Doubt::EndedPostcode]));
    assert_eq!(answers(&folder, "HG1 1AA"), (Some("E06000065".to_owned()), vec![]));
    assert_eq!(answers(&folder, "JE2 3AA"), (None, vec![Doubt::CrownDependency]));
    assert_eq!(answers(&folder, "LS1 4AW"), (None, vec![Doubt::NoDistrict, Doubt::EndedPostcode]));
}

#[test]
fn code_point_open_is_read_from_its_folder_of_files() {
    let folder = folder("code-point");
    let data = folder.join("data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("al.csv"), CODE_POINT_AL).unwrap();
    fs::write(data.join("ls.csv"), CODE_POINT_LS).unwrap();
    let import = Import {
        into: folder.join("in-use"),
        release: Some("Code-Point Open 2025.4.0".to_owned()),
        as_at: TODAY.parse().unwrap(),
        smaller: false,
    };
    import.files(&[data], directory().register(), &mut |_| ()).unwrap();
    assert_eq!(council(&folder, "AL10 0AA").as_deref(), Some("E10000015"));
    assert_eq!(council(&folder, "LS1 4AP").as_deref(), Some("E08000035"));
    assert_eq!(answers(&folder, "LS1 4AW").1, [Doubt::NoDistrict]);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let folder = folder("mark");
    let text = format!("\u{feff}{}", NSPL_2026.replace('\n', "\r\n"));
    import(&folder, &[("nspl.csv", text.as_bytes())]).unwrap();
    assert_eq!(council(&folder, "LS1 4AP").as_deref(), Some("E08000035"));
    let unmarked = in_use(&folder).postcodes().unwrap().release().source;
    assert_eq!(unmarked, referral::Digest::of_bytes(text.as_bytes()), "the digest is the file's own");
}

#[test]
fn a_damaged_file_is_refused_with_its_line_and_what_was_in_use_stays() {
    let folder = folder("refused");
    import(&folder, &[("good.csv", NSPL_2026.as_bytes())]).unwrap();
    let with = |from: &str, to: &str| NSPL_2026.replace(from, to).into_bytes();
    let gu = "\"GU1 1AA\",\"GU1  1AA\",\"GU1 1AA\",\"198001\",\"\",\"0\",\"E07000209\",51.2\n";
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (with(",51.2\n", "\n"), "line 3: has 7 columns where the lines before have 8"),
        (NSPL_2026.trim_end().as_bytes().to_vec(), "the last line has no end"),
        (NSPL_2026.as_bytes()[..NSPL_2026.len() - 20].to_vec(), "cut off"),
        (with("\"GU1 1AA\",\"198001\"", "\"GU1\",\"198001\""), "line 3: holds no postcode"),
        (with("\"E07000209\"", "\"Guildford\""), "line 3: holds no code in the district column"),
        (with("\"E07000209\"", "\"E07999999\""), "line 3: names district E07999999"),
        (with("\"198001\",\"\",\"0\",\"E07000209\"", "\"198001\",\"soon\",\"0\",\"E07000209\""), "line 3: holds no month"),
        (with(gu, &format!("{gu}{gu}")), "line 4: is the postcode of the line before again"),
        (with("lad26cd", "district"), "is no first line that is known"),
        (with("pcds", "postal"), "is no first line that is known"),
        (with("\"GU1 1AA\",\"198001\"", "\"GU1 1\u{c4}A\",\"198001\""), "line 3: holds bytes that this file cannot have"),
        (NSPL_2026.encode_utf16().flat_map(u16::to_be_bytes).collect(), "is no first line that is known"),
        (
            [&[0xFF, 0xFE], NSPL_2026.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>().as_slice()].concat(),
            "is UTF-16",
        ),
        (b"PK\x03\x04".to_vec(), "is packed"),
        (Vec::new(), "is empty"),
        (b"pcds,lad26cd\n".to_vec(), "there is no postcode in it"),
    ];
    for (bytes, because) in cases {
        let refused = import(&folder, &[("bad.csv", &bytes)]).unwrap_err();
        assert!(refused.contains(because), "{refused} should say: {because}");
        assert!(refused.contains("nothing was replaced"), "{refused}");
        assert_eq!(council(&folder, "GU1 1AA").as_deref(), Some("E10000030"));
    }
}

#[test]
fn rows_in_another_order_are_refused_with_the_line() {
    let folder = folder("order");
    let head = "pcds,doterm,lad26cd\n";
    let row = |postcode: &str| format!("{postcode},,E08000035\n");
    let file = |postcodes: &[&str]| head.to_owned() + &postcodes.iter().map(|postcode| row(postcode)).collect::<String>();
    // Both published orders are right: with the space counted, and without it.
    import(&folder, &[("spaced.csv", file(&["AL1 1AG", "AL10 0AA", "LS1 4AP"]).as_bytes())]).unwrap();
    import(&folder, &[("unspaced.csv", file(&["AL10 0AA", "AL1 1AG", "LS1 4AP"]).as_bytes())]).unwrap();
    let refused = import(&folder, &[("mixed.csv", file(&["AL1 1AG", "LS1 4AP", "AL1 1AH"]).as_bytes())]).unwrap_err();
    assert!(refused.contains("mixed.csv, line 4: is out of order"), "{refused}");
    // Twice, but not in neighbouring lines: found when they are laid out.
    let twice = [("al.csv", CODE_POINT_AL.as_bytes()), ("again.csv", CODE_POINT_AL.as_bytes())];
    assert!(import(&folder, &twice).unwrap_err().contains("2 postcodes stand there more than once"));
}

#[test]
fn a_release_whose_district_column_is_empty_replaces_nothing() {
    let folder = folder("empty-column");
    import(&folder, &[("al.csv", CODE_POINT_AL.as_bytes())]).unwrap();
    let empty = CODE_POINT_AL.replace("E07000241", "").replace("E07000240", "");
    let refused = import(&folder, &[("empty.csv", empty.as_bytes())]).unwrap_err();
    assert!(refused.contains("2 of 2 postcodes have no district"), "{refused}");
    assert!(council(&folder, "AL1 1AG").is_some());
}

#[test]
fn a_release_that_holds_far_less_is_refused_unless_that_is_right() {
    let folder = folder("smaller");
    import(&folder, &[("whole.csv", NSPL_2021.as_bytes())]).unwrap();
    let half: String = NSPL_2021.lines().take(4).map(|line| format!("{line}\n")).collect();
    let refused = import(&folder, &[("half.csv", half.as_bytes())]).unwrap_err();
    assert!(refused.contains("holds 3 where the one in use holds 6"), "{refused}");
    import_as(&folder, &[("half.csv", half.as_bytes())], true).unwrap();
    assert_eq!(in_use(&folder).postcodes().unwrap().release().postcodes, 3);
    assert!(folder.join("in-use/postcodes.index.previous").exists(), "the one before is kept");
}

#[test]
fn until_something_is_imported_the_sample_answers_and_says_so() {
    let folder = folder("sample");
    let directory = in_use(&folder);
    let mut checked = 0;
    for line in include_str!("../../../policies/directory/sample-postcodes.csv").lines() {
        let columns: Vec<&str> = line.split(',').collect();
        let [postcode, ended, district, authority] = columns.as_slice() else { continue };
        if line.starts_with('#') || *postcode == "pcds" {
            continue;
        }
        let answer = directory.look_up(&Asked::parse(postcode).unwrap(), TODAY.parse().unwrap());
        let english = answer.council.as_ref().filter(|gss| gss.as_str().starts_with('E'));
        assert_eq!(english.map(|gss| gss.as_str()).unwrap_or_default(), *authority, "{district}");
        assert_eq!(answer.doubts.contains(&Doubt::EndedPostcode), !ended.is_empty(), "{district}");
        assert!(answer.doubts.contains(&Doubt::OnlyASample));
        checked += 1;
    }
    assert!(checked > 1_000);
}

#[test]
fn a_damaged_file_in_use_is_named_when_it_is_read() {
    let folder = folder("in-use-damaged");
    import(&folder, &[("good.csv", NSPL_2026.as_bytes())]).unwrap();
    let file = folder.join("in-use/postcodes.index");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let fault = with_imported(directory(), &folder.join("in-use")).unwrap_err().to_string();
    assert!(fault.contains("postcodes.index") && fault.contains("digest"), "{fault}");
}

/// The register's own column names, with those that name people among them. The people are invented.
fn gias(rows: &str) -> Vec<u8> {
    let header = "URN,LA (code),LA (name),EstablishmentNumber,EstablishmentName,EstablishmentStatus (name),OpenDate,\
                  CloseDate,Postcode,HeadFirstName,HeadLastName,PropsName\r\n";
    let mut bytes = header.as_bytes().to_vec();
    // Windows-1252: the one curly apostrophe, the one accented letter.
    bytes.extend(rows.chars().map(|c| if c == '\u{2019}' { 0x92 } else { u8::try_from(u32::from(c)).unwrap() }));
    bytes
}

const SCHOOLS: &str = "990001,383,Leeds,4001,\"St Mary\u{2019}s, Caf\u{e9} Lane\",Open,01-09-1999,,LS1 4AP,Zebedee,Quux,Quuxprops\r\n\
    990002,909,Cumbria,4002,Lakes School,Closed,,31-08-2020,,Zebedee,Quux,\r\n";
const LINKS: &str = "URN,LinkURN,LinkName,LinkType,LinkEstablishedDate\r\n\
    990002,990003,Lakes Academy,Successor,01-09-2020\r\n990003,990002,Lakes School,Predecessor,01-09-2020\r\n";

#[test]
fn schools_are_imported_with_their_successors_and_without_their_people() {
    let folder = folder("schools");
    import(&folder, &[("edubase.csv", &gias(SCHOOLS)), ("links.csv", LINKS.as_bytes())]).unwrap();
    let directory = in_use(&folder);
    let Asked::School(first) = Asked::parse("990001").unwrap() else { panic!() };
    let school = directory.school(&first).unwrap();
    assert_eq!(school.name, "St Mary\u{2019}s, Caf\u{e9} Lane");
    assert_eq!(school.laestab().as_deref(), Some("3834001"));
    assert_eq!(council(&folder, "990001").as_deref(), Some("E08000035"));
    let Asked::School(second) = Asked::parse("990002").unwrap() else { panic!() };
    assert_eq!(directory.school(&second).unwrap().successors.iter().map(|urn| urn.as_str()).collect::<Vec<_>>(), ["990003"]);
    assert_eq!(answers(&folder, "990002"), (None, vec![Doubt::Several, Doubt::NotOpen]));
    let kept = fs::read_to_string(folder.join("in-use/schools.list")).unwrap();
    for name in ["Zebedee", "Quux"] {
        assert!(!kept.contains(name), "a person's name was kept");
    }
}

#[test]
fn a_damaged_schools_register_is_refused_with_its_line() {
    let folder = folder("schools-refused");
    for (rows, because) in [
        (SCHOOLS.replace("990002", "990001"), "line 3: its URN stands there twice"),
        (SCHOOLS.replace("990002", "99000"), "line 3: the URN is not a school's unique reference number"),
        (SCHOOLS.replace(",909,", ",Cumbria,"), "line 3: holds no three digits"),
        (SCHOOLS.replace("Closed", "Gone"), "line 3: holds a status"),
        (SCHOOLS.replace("31-08-2020", "31-09-2020"), "line 3: holds no date in CloseDate"),
        (SCHOOLS.replace("Lakes", "L\u{81}kes"), "line 3: holds bytes that this file cannot have"),
    ] {
        let refused = import(&folder, &[("edubase.csv", &gias(&rows))]).unwrap_err();
        assert!(refused.contains(because), "{refused} should say: {because}");
    }
}

#[test]
fn nhs_organisations_are_imported_as_published() {
    let folder = folder("health");
    import(&folder, &[("nspl.csv", NSPL_2021.as_bytes())]).unwrap();
    let published = format!(
        "\"R0X\",\"A TRUST\",\"Y63\",\"QWO\",\"1 ROAD\",,\"LEEDS\",,,\"LS1 4AP\",\"20100401\",,\"A\"{}\n\
         \"A99999\",\"A PRACTICE\",\"Y63\",\"QWO\",\"1 ROAD\",,,,,\"ZZ99 3CZ\",\"19740401\",\"20171031\",\"C\"{}\n",
        ",".repeat(14),
        ",".repeat(14)
    );
    import(&folder, &[("epraccur.csv", published.as_bytes())]).unwrap();
    assert_eq!(answers(&folder, "R0X"), (Some("E08000035".to_owned()), vec![]));
    assert_eq!(answers(&folder, "A99999"), (None, vec![Doubt::PseudoPostcode, Doubt::NotOpen]));
    assert_eq!(answers(&folder, "R0Y"), (None, vec![Doubt::UnknownOrganisation]));
}

#[test]
fn files_of_two_kinds_are_not_imported_together() {
    let folder = folder("kinds");
    let refused = import(&folder, &[("nspl.csv", NSPL_2026.as_bytes()), ("edubase.csv", &gias(SCHOOLS))]).unwrap_err();
    assert!(refused.contains("several kinds"), "{refused}");
}

const ONSUD: &str = "UPRN,GRIDGB1E,GRIDGB1N,PCDS,CTY25CD,CED25CD,LAD25CD,WD25CD\n\
    100023336956,531000,180000,SW1A 2AA,E99999999,E99999999,E09000033,E05013806\n\
    72000001,429000,433000,LS1 4AP,E99999999,E99999999,E08000035,E05011395\n";
const NSUL_OTHER_REGION: &str = "UPRN,GRIDGB1E,GRIDGB1N,PCDS,LAD25CD\n\
    10033000001,318000,176000,CF10 1AA,W06000015\n";

#[test]
fn properties_of_several_regions_are_one_release_and_each_is_found() {
    let folder = folder("properties");
    let said = import(&folder, &[("EL.csv", ONSUD.as_bytes()), ("WA.csv", NSUL_OTHER_REGION.as_bytes())]).unwrap();
    assert!(said.starts_with("imported 3 properties of EL: 2 in England, 1 in Wales, Scotland and Northern Ireland"), "{said}");
    // Nobody would miss the file of a region that was forgotten.
    assert!(said.contains("; nothing of it lies in 151 of 153 authorities, such as Hartlepool, "), "{said}");
    let directory = with_imported(directory(), &folder.join("in-use")).unwrap();
    let council = |text: &str| directory.look_up(&Asked::parse(text).unwrap(), TODAY.parse().unwrap()).council;
    assert_eq!(council("uprn:100023336956").unwrap().as_str(), "E09000033");
    assert_eq!(council("uprn:10033000001").unwrap().as_str(), "W06000015");
    assert_eq!(council("uprn:5"), None);
}

#[test]
fn a_damaged_file_of_properties_is_refused_with_its_line_and_what_is_in_use_stays() {
    let folder = folder("damaged-properties");
    import(&folder, &[("good.csv", ONSUD.as_bytes())]).unwrap();
    let with = |row: &str| format!("{ONSUD}{row}\n");
    for (row, because) in [
        ("12 34,1,1,SW1A 2AA,x,x,E09000033,x", "line 4: holds no number in the column uprn"),
        ("5,1,1,SW1A 2AA,x,x,nowhere,x", "line 4: holds no code in the district column"),
        ("5,1,1,SW1A 2AA,x,x,E07999999,x", "line 4: names district E07999999"),
        ("5,1,1", "line 4: has 3 columns where the lines before have 8"),
        ("72000001,1,1,LS1 4AP,x,x,E08000035,x", "1 properties stand there more than once"),
    ] {
        let refused = import(&folder, &[("bad.csv", with(row).as_bytes())]).unwrap_err();
        assert!(refused.contains(because), "{refused}");
    }
    let cut = import(&folder, &[("bad.csv", ONSUD.trim_end().as_bytes())]).unwrap_err();
    assert!(cut.contains("cut off"), "{cut}");
    let shrunk = import(&folder, &[("bad.csv", NSUL_OTHER_REGION.as_bytes())]).unwrap_err();
    assert!(shrunk.contains("holds 1 where the one in use holds 2"), "{shrunk}");
    let directory = with_imported(directory(), &folder.join("in-use")).unwrap();
    let asked = Asked::parse("uprn:72000001").unwrap();
    assert_eq!(directory.look_up(&asked, TODAY.parse().unwrap()).council.unwrap().as_str(), "E08000035");
}
