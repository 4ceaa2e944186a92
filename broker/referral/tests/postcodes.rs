//! The postcode file: what goes in comes out, nothing else does, and a damaged file is refused.

use proptest::prelude::*;
use referral::Digest;
use referral::directory::{GatherFault, Gathered, PartialPostcode, Place, PostcodeKey, Postcodes};
use referral::identifiers::GssCode;

fn key(text: &str) -> PostcodeKey {
    PostcodeKey::of(text.as_bytes()).unwrap_or_else(|| panic!("{text} is a postcode"))
}

fn council(gss: &str) -> Place {
    Place::Council(GssCode::parse(gss).unwrap())
}

fn laid_out(rows: &[(&str, Place, bool)]) -> Result<Postcodes, GatherFault> {
    let mut gathered = Gathered::default();
    for (postcode, place, ended) in rows {
        let place = gathered.place(place.clone()).unwrap();
        gathered.add(key(postcode), place, *ended);
    }
    gathered.lay_out("made for a test", Digest::of_bytes(b"nothing"))
}

fn sample() -> Postcodes {
    laid_out(&[
        ("LS1 4AP", council("E08000035"), false),
        ("LS1 4AW", council("E08000035"), true),
        ("LS1 5AA", council("E08000036"), false),
        ("M1 1AE", council("E08000003"), false),
        ("SW1A 1AA", council("E09000033"), false),
        ("JE2 3AA", Place::ChannelIslands, false),
        ("IM1 1AA", Place::IsleOfMan, false),
        ("B99 9AA", Place::NoDistrict, false),
    ])
    .unwrap()
}

#[test]
fn a_postcode_is_found_with_its_place_and_whether_it_ended() {
    let postcodes = Postcodes::read(&sample().write()).unwrap();
    let find = |text: &str| postcodes.find(key(text)).map(|located| (located.place.clone(), located.ended));
    assert_eq!(find("LS1 4AP"), Some((council("E08000035"), false)));
    assert_eq!(find("ls14aw"), Some((council("E08000035"), true)));
    assert_eq!(find("JE2 3AA"), Some((Place::ChannelIslands, false)));
    assert_eq!(find("B99 9AA"), Some((Place::NoDistrict, false)));
    assert_eq!(find("LS1 4AQ"), None); // its neighbours are held, it is not
    let release = postcodes.release();
    assert_eq!((release.postcodes, release.ended, release.without_district), (8, 1, 1));
    assert_eq!(release.name, "made for a test");
}

#[test]
fn the_front_of_a_postcode_gives_every_place_it_may_be() {
    let postcodes = sample();
    let places = |text: &str| postcodes.beginning(PartialPostcode::parse(text).unwrap()).into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(places("LS1"), [council("E08000035"), council("E08000036")]);
    assert_eq!(places("ls1 4"), [council("E08000035")]);
    assert_eq!(places("LS2"), []);
    for no_front in ["", "L", "LS1 4AP", "LS1 4 5", "1AA", "LS14AP"] {
        assert_eq!(PartialPostcode::parse(no_front), None, "{no_front:?}");
    }
}

#[test]
fn what_can_be_no_postcode_has_no_number() {
    // The last two letters are never C, I, K, M, O or V; Girobank's GIR 0AA is of no shape at all.
    for text in ["", "LS1", "LS1 4AC", "GIR 0AA", "123 4AB", "LS1 44P", "LS1 4AP X", "L\u{e9}1 4AP"] {
        assert_eq!(PostcodeKey::of(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn a_postcode_that_stands_there_twice_is_refused() {
    let twice = [("LS1 4AP", council("E08000035"), false), ("LS1 4AP", council("E08000036"), false)];
    assert_eq!(laid_out(&twice).unwrap_err(), GatherFault::Twice(1));
    assert_eq!(laid_out(&[]).unwrap_err(), GatherFault::Empty);
}

#[test]
fn a_file_with_any_byte_changed_or_any_end_missing_is_refused() {
    let file = sample().write();
    for at in (0..file.len()).step_by(9_973).chain(file.len() - 80..file.len()).chain(0..120) {
        let mut damaged = file.clone();
        damaged[at] ^= 1;
        assert!(Postcodes::read(&damaged).is_err(), "byte {at}");
    }
    for length in [0, 5, 31, 40, 100, file.len() / 2, file.len() - 1] {
        assert!(Postcodes::read(&file[..length]).is_err(), "cut to {length}");
    }
    assert!(Postcodes::read(&[file.as_slice(), b"x"].concat()).is_err());
}

proptest! {
    #[test]
    fn whatever_comes_in_an_answer_comes_out(bytes in proptest::collection::vec(any::<u8>(), 0..400), text in ".{0,10}") {
        let _ = Postcodes::read(&bytes);
        let _ = PartialPostcode::parse(&text);
        let _ = PostcodeKey::of(text.as_bytes());
    }

    #[test]
    fn numbers_sort_as_postcodes_do_and_no_two_share_one(
        a in "[A-Z]{1,2}[0-9][0-9A-Z]? [0-9][ABDEFGHJLNPQRSTUWXYZ]{2}",
        b in "[A-Z]{1,2}[0-9][0-9A-Z]? [0-9][ABDEFGHJLNPQRSTUWXYZ]{2}",
    ) {
        prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
    }
}
