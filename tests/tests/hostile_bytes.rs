//! Every parser that meets a stranger's bytes takes any bytes: it reads them or says why not, and never ends the
//! program. Bytes are made from a corpus by small changes, from a fixed seed: the same run is the same bytes.
//!
//! `FUZZ_ROUNDS` and `FUZZ_SEED` make it longer and another run; what fails is kept in the corpus.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use adapters::health::fhir::{self, Format};
use proto::{read, write};
use referral::identifiers::{
    Digest, ForceCode, GssCode, IdempotencyKey, NhsNumber, OdsCode, Postcode, ReferralId, Upn, Uprn, Urn,
};
use referral::rules::Library;
use referral::{Endpoint, Moment};
use tests::stack::repository;

/// How often each parser is asked, unless FUZZ_ROUNDS says otherwise.
const ROUNDS: u64 = 3000;

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

/// Numbers that look random and are the same for the same seed (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One of `count`, from 0.
    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.roll() % (count.max(1) as u64)).unwrap()
    }
}

/// What parsers have stumbled over elsewhere.
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"1e999",
    b"-0",
    b"null",
    b"<",
    b">",
    b"<!--",
    b"<![CDATA[",
    b"]]>",
    b"&#0;",
    b"&#x110000;",
    b"&lt;",
    b"<!DOCTYPE",
    b"<?",
    b"xmlns=\"\"",
    b"resourceType",
    b"2026-02-30",
    b"9999999999999999999",
    b"\xc3\x28",
    b"\xf0\x9f\x92\xa9",
    b"\xe2\x80\xae",
    b"\n",
    b"'''",
    b"[[route]]",
    b"=",
];

/// Something near `seeds`: one of them with a few changes.
fn changed(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        let to = (at + dice.below(24)).min(bytes.len());
        match dice.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = dice.roll() as u8,
            2 => drop(bytes.drain(at..to)),
            3 => {
                let again = bytes[at..to].to_vec();
                bytes.splice(at..at, again.repeat(1 + dice.below(40)));
            }
            4 => drop(bytes.splice(at..at, WORDS[dice.below(WORDS.len())].iter().copied())),
            5 => bytes.truncate(at),
            6 => {
                let other = &seeds[dice.below(seeds.len())];
                let from = dice.below(other.len() + 1);
                let end = (from + dice.below(200)).min(other.len());
                bytes.splice(at..to, other[from..end].iter().copied());
            }
            _ => bytes.insert(at, dice.roll() as u8),
        }
    }
    bytes
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|fault| panic!("{}: {fault}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    // The order of a folder is another on another machine.
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Asks a parser about its corpus, about `seeds`, and about what is near them.
fn ask(parser: &str, share_of_rounds: u64, seeds: Vec<Vec<u8>>, parse: impl Fn(&[u8])) {
    let corpus = repository().join("tests/corpus").join(parser);
    let seeds: Vec<Vec<u8>> = files(&corpus).into_iter().chain(seeds).collect();
    let mut dice = Dice(setting("FUZZ_SEED", 0x5afe_9a2d) | 1);
    let rounds = setting("FUZZ_ROUNDS", ROUNDS) / share_of_rounds;
    let near = (0..rounds).map(|_| changed(&mut dice, &seeds)).collect::<Vec<_>>();
    for bytes in seeds.iter().chain(&near) {
        if catch_unwind(AssertUnwindSafe(|| parse(bytes))).is_err() {
            let kept = corpus.join(format!("failed-{}", &Digest::of_bytes(bytes).to_string()[..16]));
            fs::write(&kept, bytes).unwrap();
            panic!("the parser of {parser} failed on what is now in {}", kept.display());
        }
    }
}

#[test]
fn the_intake_reads_any_bytes_or_says_why_not_and_reads_what_it_writes() {
    let seeds = files(&repository().join("proto/frozen/arrivals"));
    ask("intake", 1, seeds, |bytes| {
        if let Ok(arrival) = read::arrival(bytes) {
            // The digest is of what came; written in our own way, a number without its spaces has another.
            let written = write::arrival(&arrival, "");
            let again = read::arrival(&written).unwrap_or_else(|why| panic!("what was read cannot be read again: {why:?}"));
            assert!(write::arrival(&again, "") == written, "what was read and written again is something else");
        }
    });
}

fn received() -> Moment {
    "2026-11-23T10:00:00Z".parse().unwrap()
}

#[test]
fn fhir_takes_any_bytes_and_answers_what_it_refuses_in_both_forms() {
    let sender = Endpoint::parse("nhs.ZZ304").unwrap();
    ask("fhir", 3, files(&repository().join("examples/fhir")), |bytes| {
        for format in [Format::Json, Format::Xml] {
            let issues = match fhir::translate(format, bytes, &sender, received()) {
                Ok(translated) => {
                    let key = IdempotencyKey::from_bytes([1; 16]);
                    let read = read::submission(&sender, key, received(), &translated.content);
                    read.err().map(|invalid| fhir::issues_of(&translated.in_the_forms_words(invalid))).unwrap_or_default()
                }
                Err(issues) => {
                    assert!(!issues.is_empty(), "refused, and nobody is told why");
                    issues
                }
            };
            assert!(issues.iter().all(|issue| issue.at.len() < 16 * 1024), "a path is as long as what a stranger wrote");
            let json: serde_json::Value = serde_json::from_str(&fhir::refused(Format::Json, &issues)).unwrap();
            assert_eq!(json["resourceType"], "OperationOutcome");
            fhir::refused(Format::Xml, &issues);
        }
    });
}

#[test]
fn identifiers_take_any_text_keep_what_they_took_and_repeat_none_of_it() {
    let lines = fs::read(repository().join("tests/corpus/identifiers/all.txt")).unwrap();
    let seeds = lines.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    ask("identifiers", 1, seeds, |bytes| {
        let text = &*String::from_utf8_lossy(bytes);
        macro_rules! kept {
            ($($name:ident),+) => {$(
                match $name::parse(text) {
                    Ok(read) => assert!($name::parse(read.as_str()).is_ok_and(|again| again == read), stringify!($name)),
                    Err(why) => assert!(text.len() < 12 || !why.to_string().contains(text), "it is repeated"),
                }
            )+};
        }
        kept!(NhsNumber, Upn, Postcode, Uprn, GssCode, Urn, OdsCode, ForceCode);
        for (read, again) in [
            (
                Endpoint::parse(text).map(|it| it.to_string()).ok(),
                (|text: &str| Endpoint::parse(text).map(|it| it.to_string()).ok()) as fn(&str) -> _,
            ),
            (ReferralId::parse(text).map(|it| it.to_string()).ok(), |text| ReferralId::parse(text).map(|it| it.to_string()).ok()),
            (IdempotencyKey::parse(text).map(|it| it.to_string()).ok(), |text| {
                IdempotencyKey::parse(text).map(|it| it.to_string()).ok()
            }),
            (Digest::parse(text).map(|it| it.to_string()).ok(), |text| Digest::parse(text).map(|it| it.to_string()).ok()),
        ] {
            if let Some(read) = read {
                assert_eq!(again(&read).as_ref(), Some(&read), "what it is written as is something else");
            }
        }
    });
}

#[test]
fn rule_packs_take_any_text_or_say_what_is_wrong_with_it() {
    ask("packs", 60, files(&repository().join("policies/packs")), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Err(fault) = Library::parse([("changed.toml", &*text)]) {
            assert!(!fault.to_string().is_empty(), "refused, and nobody is told why");
        }
    });
}
