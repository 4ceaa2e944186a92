//! Postcodes as published: the ONS Postcode Directory, the NSPL, and Code-Point Open.
//!
//! Columns are found by name, because ONS puts the year of a geography into them; a file without them is refused,
//! and so is one in which too many districts are unknown, which is a new geography read with an old register.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use referral::Digest;
use referral::directory::{Gathered, Place, PostcodeKey, Postcodes, Register};

use super::source::{Refused, Source, column};

/// One row in so many may name a district that the register does not know.
const UNKNOWN_ONE_IN: usize = 1_000;
/// A release of which more than one in so many postcodes has no district is refused: its column is empty. Of the real
/// ones it is one in a thousand or so.
const NOWHERE_ONE_IN: usize = 2;

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
        let dated = |field: &[u8]| {
            let lower = field.to_ascii_lowercase();
            matches!(lower.as_slice(), [b'l', b'a', b'd', a, b, b'c', b'd'] if a.is_ascii_digit() && b.is_ascii_digit())
        };
        let district = first.iter().position(dated).or_else(|| column(first, &["ladcd", "oslaua", "laua", "lad_gss"]));
        if let (Some(postcode), Some(district)) = (column(first, &["pcds", "postcode"]), district) {
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

/// What was in the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Postcodes of English districts.
    pub english: usize,
    /// Of Wales, Scotland and Northern Ireland.
    pub devolved: usize,
    /// Of the Crown dependencies.
    pub crown: usize,
    /// Without a district.
    pub nowhere: usize,
    /// Of districts that the register does not know.
    pub unknown: usize,
    /// Rows passed over: Girobank's GIR 0AA has no postcode's shape.
    pub passed_over: usize,
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
    let mut count = Count::default();
    let mut digests = Vec::new();
    let mut first_unknown = None;
    for file in files {
        let mut source = Source::open(file, Some(b'#'))?;
        read_one(&mut source, register, &mut gathered, &mut count, &mut first_unknown, progress)?;
        digests.push(source.digest());
    }
    let whole = files.first().map(PathBuf::as_path).unwrap_or(Path::new("nothing"));
    if count.unknown > gathered.count() / UNKNOWN_ONE_IN
        && let Some(refused) = first_unknown
    {
        return Err(refused_for_unknown(refused, count.unknown, gathered.count()));
    }
    if count.nowhere > gathered.count() / NOWHERE_ONE_IN {
        let because = format!(
            "{} of {} postcodes have no district, which is more than one in {NOWHERE_ONE_IN}: the district column is empty",
            count.nowhere,
            gathered.count()
        );
        return Err(Refused::whole(whole, because));
    }
    let digest = match digests.as_slice() {
        [one] => *one,
        several => Digest::of(&several.iter().map(|digest| digest.as_bytes().as_slice()).collect::<Vec<_>>()),
    };
    let postcodes = gathered.lay_out(name, digest).map_err(|fault| Refused::whole(whole, fault))?;
    Ok((postcodes, count))
}

fn refused_for_unknown(first: Refused, unknown: usize, of: usize) -> Refused {
    let because = format!(
        "{}; {unknown} of {of} postcodes lie in districts that the register does not know, which is more than one in \
         {UNKNOWN_ONE_IN}: the release is newer than the register, so a newer version of this program, with a newer register, is needed first",
        first.because
    );
    Refused { because, ..first }
}

fn read_one(
    source: &mut Source,
    register: &Register,
    gathered: &mut Gathered,
    count: &mut Count,
    first_unknown: &mut Option<Refused>,
    progress: &mut dyn FnMut(usize, u64),
) -> Result<(), Refused> {
    let Some(first) = source.next()? else { return Ok(()) };
    let columns = Columns::of(first).ok_or_else(|| {
        source.refuse("is no header of a postcode file: neither pcds with ladNNcd, ladcd, oslaua or laua, nor Code-Point Open")
    })?;
    let mut order = InOrder::default();
    // The number and the kind of each district met so far.
    let mut met: BTreeMap<Vec<u8>, (u16, Kind)> = BTreeMap::new();
    let mut before: (Vec<u8>, (u16, Kind)) = (b"none".to_vec(), (0, Kind::Unknown));
    let mut more = columns.named.then(|| source.next()).transpose()?.is_none_or(|row| row.is_some());
    while more {
        let written = source.ascii(columns.postcode)?;
        match PostcodeKey::of(written.as_bytes()) {
            None if written.replace(' ', "") == "GIR0AA" => count.passed_over += 1,
            None => return Err(source.refuse("holds no postcode in the postcode column")),
            Some(key) => {
                order.take(key, written).map_err(|because| source.refuse(because))?;
                let district = source.ascii(columns.district)?;
                if before.0 != district.as_bytes() {
                    let known = met.get(district.as_bytes()).copied();
                    let meant = match known {
                        Some(meant) => meant,
                        None => meet(district, register, gathered)
                            .ok_or_else(|| source.refuse("holds no code in the district column"))?,
                    };
                    met.insert(district.as_bytes().to_vec(), meant);
                    before = (district.as_bytes().to_vec(), meant);
                }
                let (place, kind) = before.1;
                match kind {
                    Kind::English => count.english += 1,
                    Kind::Devolved => count.devolved += 1,
                    Kind::Crown => count.crown += 1,
                    Kind::Nowhere => count.nowhere += 1,
                    Kind::Unknown => {
                        count.unknown += 1;
                        first_unknown.get_or_insert_with(|| source.refuse(format!("names district {district}")));
                    }
                }
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

#[derive(Clone, Copy)]
enum Kind {
    English,
    Devolved,
    Crown,
    Nowhere,
    Unknown,
}

fn meet(district: &str, register: &Register, gathered: &mut Gathered) -> Option<(u16, Kind)> {
    let place = Place::read(district)?;
    let kind = match &place {
        Place::Council(gss) if register.knows(gss) => Kind::English,
        Place::Council(gss) if register.beyond(gss).is_some() => Kind::Devolved,
        Place::Council(_) => Kind::Unknown,
        Place::ChannelIslands | Place::IsleOfMan => Kind::Crown,
        Place::NoDistrict => Kind::Nowhere,
    };
    Some((gathered.place(place)?, kind))
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
