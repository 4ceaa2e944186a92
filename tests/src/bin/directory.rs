//! The directory at full size: makes a postcode file as large as the published ones, imports it, measures, and
//! checks a real one row by row. Run by `tests/directory`, which builds for release.
//!
//! Nothing here is a real postcode's place: the made file takes the shape of the NSPL and the register's districts,
//! and deals them out by a fixed seed, so that its digest is the same every time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use referral::directory::{Directory, PostcodeKey};
use referral::identifiers::{GssCode, Postcode};
use router::directory::{Import, with_imported};
use transport::clock::Clock;

/// As many as the ONS Postcode Directory of May 2026 holds.
const ROWS: usize = 2_726_476;
const REGISTER: &str = include_str!("../../../policies/directory/england.toml");
const INWARD_LETTERS: &[u8; 20] = b"ABDEFGHJLNPQRSTUWXYZ";
const USAGE: &str = "usage: directory make FILE [ROWS] | measure FILE FOLDER | check POSTCODES.csv DISTRICTS.csv FOLDER";
const LOOKUPS: usize = 5_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["make", file] => make(Path::new(file), ROWS),
        ["make", file, rows] => make(Path::new(file), rows.parse().expect("ROWS is a number")),
        ["measure", file, folder] => measure(Path::new(file), Path::new(folder)),
        ["check", postcodes, districts, folder] => check(Path::new(postcodes), Path::new(districts), Path::new(folder)),
        _ => {
            eprintln!("{USAGE}");
            std::process::exit(2);
        }
    }
}

fn register() -> Directory {
    Directory::parse(REGISTER, "").expect("the register that ships")
}

fn today() -> Date {
    referral::time::london_date(Clock::system().now())
}

/// Chance that is the same every time.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.throw() >> 11).unwrap_or_default() % bound.max(1)
    }
}

/// Outward codes in order: fifty areas of 58 districts each, about as many as there are.
fn outward_codes() -> Vec<String> {
    let mut codes: Vec<String> = Vec::new();
    for first in b'A'..=b'E' {
        for second in b'A'..=b'J' {
            codes.extend((1..=58).map(|nth| format!("{}{}{nth}", char::from(first), char::from(second))));
        }
    }
    codes.sort_by_key(|code| PostcodeKey::of(format!("{code}1AA").as_bytes()));
    codes
}

fn make(file: &Path, rows: usize) {
    let directory = register();
    let mut places: Vec<String> = directory.register().districts(today()).map(ToString::to_string).collect();
    places.extend(directory.register().all_beyond().map(|beyond| beyond.gss.to_string()));
    let codes = outward_codes();
    let mut dice = Dice(0x5AFE_6A4D_0000_0001);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file).expect("the file can be made"));
    let header = "pcd7,pcd8,pcds,dointr,doterm,usrtypind,east1m,north1m,gridind,oa21cd,cty26cd,ced25cd,lad26cd,wd26cd,nhser24cd,\
                  ctry26cd,rgn26cd,pcon24cd,ttwa15cd,itl25cd,npark16cd,lsoa21cd,msoa21cd,wz11cd,sicbl26cd,bua24cd,ruc21ind,\
                  oac21ind,lat,long,lep21cd1,lep21cd2,pfa23cd,imd25ind,icb26cd";
    writeln!(out, "{header}").expect("written");
    for (nth, outward) in codes.iter().enumerate() {
        // So many that the whole comes out exactly.
        let wanted = rows * (nth + 1) / codes.len() - rows * nth / codes.len();
        let mut inward: Vec<usize> = Vec::with_capacity(wanted);
        let mut taken = vec![false; 4_000];
        while inward.len() < wanted.min(4_000) {
            let one = dice.below(4_000);
            if !std::mem::replace(&mut taken[one], true) {
                inward.push(one);
            }
        }
        inward.sort_unstable();
        let near = [dice.below(places.len()), dice.below(places.len())];
        for part in inward {
            let (digit, first, second) = (part / 400, INWARD_LETTERS[part / 20 % 20], INWARD_LETTERS[part % 20]);
            let inward = format!("{digit}{}{}", char::from(first), char::from(second));
            // A sixth of the outward code lies in another district, a third has ended, one in two hundred has none.
            let place = match dice.below(200) {
                0 => "",
                1..=33 => places[near[1]].as_str(),
                _ => places[near[0]].as_str(),
            };
            let ended = if dice.below(3) == 0 { "201412" } else { "" };
            writeln!(
                out,
                "\"{outward:<4}{inward}\",\"{outward:<5}{inward}\",\"{outward} {inward}\",\"198001\",\"{ended}\",\"0\",\"429{:03}\",\
                 \"433{:03}\",\"1\",\"E00{:06}\",\"E99999999\",\"E99999999\",\"{place}\",\"E05{:06}\",\"E40000012\",\"E92000001\",\
                 \"E12000003\",\"E14{:06}\",\"E30{:06}\",\"E05{:06}\",\"E65000001\",\"E01{:06}\",\"E02{:06}\",\"E33{:06}\",\"E38{:06}\",\
                 \"E63{:06}\",\"UN1\",\"7A2\",53.{:06},-1.{:06},\"E37000016\",\"\",\"E23000010\",{},\"E54000054\"",
                dice.below(1000),
                dice.below(1000),
                dice.below(1_000_000),
                dice.below(1_000_000),
                dice.below(1_000_000),
                dice.below(1_000_000),
                dice.below(1_000_000),
                dice.below(1_000_000),
                dice.below(1_000_000),
                dice.below(1_000_000),
                dice.below(1_000_000),
                dice.below(1_000_000),
                dice.below(1_000_000),
                dice.below(1_000_000),
                dice.below(33_755),
            )
            .expect("written");
        }
    }
    out.flush().expect("written");
    println!("{}: {rows} postcodes, {} bytes", file.display(), fs::metadata(file).map(|file| file.len()).unwrap_or_default());
}

fn import(file: &Path, folder: &Path) -> String {
    let import = Import { into: folder.to_owned(), release: None, as_at: today(), smaller: true };
    let done = import.files(&[PathBuf::from(file)], register().register(), &mut |progress| eprintln!("{progress}"));
    done.unwrap_or_else(|refused| panic!("{refused}"))
}

/// This process's memory, in KiB: now, and at its highest.
fn memory_kib() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_ascii_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default()
    };
    (of("VmRSS:"), of("VmHWM:"))
}

fn measure(file: &Path, folder: &Path) {
    let clock = Clock::system();
    let size = fs::metadata(file).map(|file| file.len()).unwrap_or_default();
    let watch = clock.stopwatch();
    println!("{}", import(file, folder));
    println!("{:<44}{:>12.2} s", "import, checked, hashed and written", watch.elapsed_s());
    println!("{:<44}{:>12}", "bytes of the published file", size);
    let index = folder.join("postcodes.index");
    println!("{:<44}{:>12}", "bytes of the index", fs::metadata(&index).map(|file| file.len()).unwrap_or_default());
    println!("{:<44}{:>12} KiB", "memory at its highest while importing", memory_kib().1);

    let (before, _) = memory_kib();
    let watch = clock.stopwatch();
    let directory = with_imported(register(), folder).expect("what was just imported");
    println!("{:<44}{:>12.1} ms", "read back, digest and order proved", watch.elapsed_s() * 1e3);
    println!("{:<44}{:>12} KiB", "memory that it takes", memory_kib().0.saturating_sub(before));

    let postcodes = directory.postcodes().expect("postcodes");
    let texts = some_postcodes(file);
    let keys: Vec<PostcodeKey> = texts.iter().filter_map(|text| PostcodeKey::of(text.as_bytes())).collect();
    let mut dice = Dice(42);
    let order: Vec<usize> = (0..LOOKUPS).map(|_| dice.below(keys.len())).collect();
    let watch = clock.stopwatch();
    let found = order.iter().filter(|&&nth| keys.get(nth).is_some_and(|key| postcodes.find(*key).is_some())).count();
    report("look-ups by number, at random", LOOKUPS, watch.elapsed_s());
    let watch = clock.stopwatch();
    let from_text = |nth: usize| PostcodeKey::of(texts.get(nth)?.as_bytes()).and_then(|key| postcodes.find(key));
    let again = order.iter().filter(|&&nth| from_text(nth).is_some()).count();
    report("look-ups of a text, at random", LOOKUPS, watch.elapsed_s());
    assert_eq!(found, again);
    println!("{:<44}{:>12.1} %", "of them held", found as f64 * 100.0 / LOOKUPS as f64);
    let on = today();
    let asked: Vec<Postcode> = texts.iter().take(200_000).filter_map(|text| Postcode::parse(text).ok()).collect();
    let watch = clock.stopwatch();
    let answered = asked.iter().filter(|postcode| directory.by_postcode(postcode, on).council.is_some()).count();
    report("whole answers with basis and reason", asked.len(), watch.elapsed_s());
    println!("{:<44}{:>12}", "of them with a council", answered);
}

fn report(what: &str, count: usize, elapsed_s: f64) {
    println!("{what:<44}{:>12.0} a second, {:>6.0} ns each", count as f64 / elapsed_s, elapsed_s * 1e9 / count as f64);
}

/// A million postcodes of the file, spread over it, and one in ten that it does not hold.
fn some_postcodes(file: &Path) -> Vec<String> {
    let every = (ROWS / 900_000).max(1);
    let mut texts = Vec::new();
    for (nth, line) in BufReader::new(File::open(file).expect("the file")).lines().skip(1).enumerate() {
        if nth % every != 0 {
            continue;
        }
        let line = line.expect("text");
        let columns: Vec<&str> = line.split(',').take(3).collect();
        let text = columns.get(2).or(columns.first()).copied().unwrap_or_default().trim_matches('"').to_owned();
        if nth % (every * 10) == 0 {
            // An area that nothing was dealt to, and that is never issued.
            texts.push(text.replacen(|_: char| true, "Q", 1));
        }
        texts.push(text);
    }
    texts
}

/// Every postcode of a real table resolves to the authority above its district, by a list of districts that is not ours.
fn check(postcodes: &Path, districts: &Path, folder: &Path) {
    println!("{}", import(postcodes, folder));
    let directory = with_imported(register(), folder).expect("what was just imported");
    let above: BTreeMap<String, String> =
        rows(districts, &["lad_gss", "upper_gss"]).map(|columns| (columns[0].clone(), columns[1].clone())).collect();
    let on = today();
    let (mut english, mut devolved, mut nowhere) = (0_usize, 0_usize, 0_usize);
    for columns in rows(postcodes, &["postcode", "lad_gss"]) {
        let postcode = Postcode::parse(&columns[0]).expect("a postcode");
        let answer = directory.by_postcode(&postcode, on);
        let council = answer.council.as_ref().map(GssCode::as_str);
        match (columns[1].as_str(), above.get(&columns[1])) {
            ("", _) => {
                assert_eq!(council, None);
                nowhere += 1;
            }
            (_, Some(authority)) => {
                assert_eq!(council, Some(authority.as_str()), "a postcode of {}", columns[1]);
                english += 1;
            }
            (district, None) => {
                assert_eq!(council, Some(district));
                devolved += 1;
            }
        }
    }
    println!("checked: {english} in England, {devolved} beyond, {nowhere} without a district, each as it should be");
}

/// Named columns of a table.
fn rows(file: &Path, names: &[&str]) -> impl Iterator<Item = Vec<String>> {
    let mut table = csv::Reader::from_path(file).expect("the file");
    let header = table.headers().expect("a header").clone();
    let at: Vec<usize> = names
        .iter()
        .map(|name| header.iter().position(|column| column == *name).unwrap_or_else(|| panic!("no column {name}")))
        .collect();
    table.into_records().map(move |row| {
        let row = row.expect("a row");
        at.iter().map(|&nth| row.get(nth).unwrap_or_default().to_owned()).collect()
    })
}
