//! Postcodes as published: the ONS Postcode Directory, the NSPL, and Code-Point Open.
//!
//! Columns are found by name; a file without them is refused.

use std::path::PathBuf;

use csv::ByteRecord;
use referral::directory::{Gathered, Place, PostcodeKey, Postcodes, Register};

use super::districts::{Count, Districts, district_column, release, whole};
use super::source::{Refused, Source, column};

/// Which columns hold what.
struct Columns {
    postcode: usize,
    district: usize,
    ended: Option<usize>,
    /// The first line holds names.
    named: bool,
}

impl Columns {
    /// By the names in the first line; or by the ten columns of Code-Point Open, which names none.
    fn of(first: &ByteRecord) -> Option<Self> {
        if let (Some(postcode), Some(district)) = (column(first, &["pcds", "postcode"]), district_column(first)) {
            return Some(Columns { postcode, district, ended: column(first, &["doterm"]), named: true });
        }
        let is_place = |field: &[u8]| std::str::from_utf8(field).ok().and_then(Place::read).is_some();
        let code_point = first.len() == 10
            && first.get(0).is_some_and(|field| PostcodeKey::of(field).is_some())
            && first.get(8).is_some_and(is_place);
        code_point.then_some(Columns { postcode: 0, district: 8, ended: None, named: false })
    }
}

/// Whether a first line is one of a postcode file.
pub fn are_in(first: &ByteRecord) -> bool {
    Columns::of(first).is_some()
}

/// The postcodes that went by, in the two orders in which they are published: as written with a space, and as
/// written without.
#[derive(Default)]
struct InOrder {
    before: Option<(PostcodeKey, [u8; 7])>,
    spaced_broken: bool,
    unspaced_broken: bool,
}

impl InOrder {
    fn take(&mut self, key: PostcodeKey, text: &str) -> Result<(), &'static str> {
        let mut unspaced = [0; 7];
        for (slot, byte) in unspaced.iter_mut().zip(text.bytes().filter(|byte| *byte != b' ')) {
            *slot = byte.to_ascii_uppercase();
        }
        if let Some((key_before, unspaced_before)) = self.before.replace((key, unspaced)) {
            if key_before == key {
                return Err("is the postcode of the line before again");
            }
            self.spaced_broken |= key_before > key;
            self.unspaced_broken |= unspaced_before > unspaced;
            if self.spaced_broken && self.unspaced_broken {
                return Err("is out of order: the file was sorted again, or two files were put together");
            }
        }
        Ok(())
    }
}

/// Reads files of one release, checks them whole, and lays them out.
pub fn read(
    files: &[PathBuf],
    name: &str,
    register: &Register,
    progress: &mut dyn FnMut(usize, u64),
) -> Result<(Postcodes, Count), Refused> {
    let mut gathered = Gathered::default();
    let mut each = |source: &mut Source, districts: &mut Districts<'_>| read_one(source, districts, &mut gathered, progress);
    let (count, digest) = release(files, "postcodes", register, &mut each)?;
    let postcodes = gathered.lay_out(name, digest).map_err(|fault| Refused::whole(whole(files), fault))?;
    Ok((postcodes, count))
}

fn read_one(
    source: &mut Source,
    districts: &mut Districts<'_>,
    gathered: &mut Gathered,
    progress: &mut dyn FnMut(usize, u64),
) -> Result<(), Refused> {
    let Some(first) = source.next()? else { return Ok(()) };
    let columns = Columns::of(first).ok_or_else(|| {
        source.refuse("is no header of a postcode file: neither pcds with ladNNcd, ladcd, oslaua or laua, nor Code-Point Open")
    })?;
    let mut order = InOrder::default();
    let mut more = columns.named.then(|| source.next()).transpose()?.is_none_or(|row| row.is_some());
    while more {
        let written = source.ascii(columns.postcode)?;
        match PostcodeKey::of(written.as_bytes()) {
            None if written.replace(' ', "") == "GIR0AA" => districts.count.passed_over += 1,
            None => return Err(source.refuse("holds no postcode in the postcode column")),
            Some(key) => {
                order.take(key, written).map_err(|because| source.refuse(because))?;
                let place = districts.place(source, columns.district, &mut |place| gathered.place(place))?;
                gathered.add(key, place, has_ended(source, columns.ended)?);
                if gathered.count().is_multiple_of(100_000) {
                    progress(gathered.count(), source.percent());
                }
            }
        }
        more = source.next()?.is_some();
    }
    Ok(())
}

/// The month from which it is no longer in use, or nothing.
fn has_ended(source: &Source, column: Option<usize>) -> Result<bool, Refused> {
    let Some(column) = column else { return Ok(false) };
    match source.ascii(column)?.as_bytes() {
        [] => Ok(false),
        [year @ .., _, _] if year.len() == 4 && source.ascii(column)?.bytes().all(|byte| byte.is_ascii_digit()) => Ok(true),
        _ => Err(source.refuse("holds no month in the column doterm")),
    }
}
