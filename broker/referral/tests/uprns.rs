//! Properties laid out and read back: what goes in comes out, and nothing that was changed is believed.

use proptest::prelude::*;
use referral::Digest;
use referral::directory::{GatheredUprns, Place, UprnGatherFault, Uprns, UprnsFault};
use referral::identifiers::Uprn;

fn uprn(number: u64) -> Uprn {
    Uprn::parse(&number.to_string()).unwrap()
}

fn place(nth: u16) -> Place {
    Place::read(&format!("E0800{nth:04}")).unwrap()
}

fn laid_out(rows: &[(u64, u16)]) -> Result<Uprns, UprnGatherFault> {
    let mut gathered = GatheredUprns::default();
    for (number, nth) in rows {
        let place = gathered.place(place(*nth)).unwrap();
        gathered.add(&uprn(*number), place);
    }
    gathered.lay_out("made for a test", Digest::of_bytes(b"nothing"))
}

#[test]
fn a_property_is_found_however_its_number_is_written_and_its_neighbour_is_not() {
    let uprns = laid_out(&[(100_023_336_956, 1), (1, 2), (999_999_999_999, 3)]).unwrap();
    assert_eq!(uprns.find(&uprn(1)), Some(&place(2)));
    assert_eq!(uprns.find(&Uprn::parse("000000000001").unwrap()), Some(&place(2)));
    assert_eq!(uprns.find(&uprn(999_999_999_999)), Some(&place(3)));
    for other in [0, 2, 100_023_336_955, 100_023_336_957, 999_999_999_998] {
        assert_eq!(uprns.find(&uprn(other)), None, "{other}");
    }
}

#[test]
fn a_property_that_stands_there_twice_is_refused() {
    assert_eq!(laid_out(&[(7, 1), (8, 1), (7, 2)]).unwrap_err(), UprnGatherFault::Twice(1));
    assert_eq!(laid_out(&[]).unwrap_err(), UprnGatherFault::Empty);
}

#[test]
fn a_file_with_any_byte_changed_or_any_end_missing_is_refused() {
    let rows: Vec<(u64, u16)> = (0..300).map(|nth| (nth * nth * 37 + 1, (nth % 3) as u16)).collect();
    let file = laid_out(&rows).unwrap().write();
    assert!(Uprns::read(&file).is_ok());
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x10;
        assert!(Uprns::read(&changed).is_err(), "byte {at} of {}", file.len());
        assert!(Uprns::read(&file[..at]).is_err(), "cut off at {at}");
    }
}

/// A file that says of itself that it is whole is still held to its order and its counts.
#[test]
fn a_file_whose_digest_fits_and_whose_rows_do_not_is_refused() {
    let sealed = |body: &[u8]| [body, Digest::of_bytes(body).as_bytes().as_slice()].concat();
    let file = laid_out(&[(5, 0), (6, 0), (9, 1)]).unwrap().write();
    let body = &file[..file.len() - 32];
    assert!(Uprns::read(&sealed(body)).is_ok());
    // The rows are the last bytes: 0|new place, +1, +3|new place.
    let last = body.len();
    for (at, byte, because) in [
        (last - 1, 0xff, "it names a place that it does not list"),
        (last - 3, 0x01, "its properties are not in order"),
        (last - 4, 0x80, "a row of it is none"),
    ] {
        let mut other = body.to_vec();
        other[at] = byte;
        let found = Uprns::read(&sealed(&other)).err();
        // A row that goes on into the next may be any of several faults; that it is one is what counts.
        assert!(found.is_some(), "{because}");
        if because != "a row of it is none" {
            assert_eq!(found, Some(UprnsFault(because)));
        }
    }
}

/// Councils number their properties in ranges of their own, some hundreds apart at most.
#[test]
fn a_property_takes_about_two_bytes() {
    let rows: Vec<(u64, u16)> = (0..100_000).map(|nth| (100_000_000 + nth * 60 + nth % 7, (nth / 1_000) as u16)).collect();
    let bytes = laid_out(&rows).unwrap().write().len();
    assert!(bytes < rows.len() * 5 / 2, "{bytes} bytes for {} properties", rows.len());
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(numbers in proptest::collection::btree_set(0_u64..1_000_000_000_000, 1..700), seed in any::<u16>()) {
        let rows: Vec<(u64, u16)> = numbers.iter().zip(0_u16..).map(|(number, nth)| (*number, (nth / 5 + seed % 350) % 350)).collect();
        let read = Uprns::read(&laid_out(&rows).unwrap().write()).unwrap();
        prop_assert_eq!(read.release().properties as usize, rows.len());
        for (number, nth) in &rows {
            prop_assert_eq!(read.find(&uprn(*number)), Some(&place(*nth)));
            if !numbers.contains(&(number + 1)) {
                prop_assert_eq!(read.find(&uprn(number + 1)), None);
            }
        }
    }

    #[test]
    fn no_bytes_end_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Uprns::read(&bytes).is_err());
    }
}
