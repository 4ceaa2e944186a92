//! Every postcode and the district it lies in, small enough to stay in memory: 4 bytes each and a megabyte.
//!
//! A postcode is evidence of a place, not proof. One that the release does not hold is not held: it is never
//! replaced by its neighbour's. A file is read whole and checked whole (magic, version, lengths, order, hash)
//! before anything is answered from it.
//!
//! Layout, little-endian: magic, version, counts, the names of release and source, the table of places, one offset
//! for each outward code there can be, then for each postcode its inward part and its place, then a SHA-256 of all
//! of that.

use std::fmt;

use super::place::{Damaged, Place, PlaceTable, Reader, place_of};
use crate::identifiers::{Digest, Postcode};

const MAGIC: &[u8; 8] = b"SGPCODE\n";
const VERSION: u32 = 1;
/// How many inward parts there are: a digit and two of twenty letters.
const INWARD: u32 = 10 * 20 * 20;
/// How many outward parts can be written: one or two letters, a digit, and nothing, a digit or a letter.
const OUTWARD: usize = 26 * 27 * 10 * 37;
/// The bit that marks a postcode as no longer in use.
const ENDED: u16 = 0x8000;
/// Longer than this no name of a release is.
const NAME_MAX: usize = 200;

/// A postcode packed into a number: no two postcodes share one, and numbers sort as postcodes do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PostcodeKey(u32);

impl PostcodeKey {
    /// Packs a text, with spaces or without, in either case. None for what can be no postcode.
    pub fn of(text: &[u8]) -> Option<Self> {
        let mut compact = [0_u8; 7];
        let mut length = 0;
        for byte in text.iter().filter(|byte| **byte != b' ') {
            *compact.get_mut(length)? = byte.to_ascii_uppercase();
            length += 1;
        }
        let (outward, inward) = compact.get(..length)?.split_at_checked(length.checked_sub(3)?)?;
        let [digit, first, second] = inward else { return None };
        let inward = tens(*digit)? * 400 + inward_letter(*first)? * 20 + inward_letter(*second)?;
        Some(PostcodeKey(outward_key(outward)? * INWARD + inward))
    }

    fn outward(self) -> u32 {
        self.0 / INWARD
    }

    fn inward(self) -> u16 {
        // Below 4,000 by construction.
        u16::try_from(self.0 % INWARD).unwrap_or(u16::MAX)
    }
}

impl From<&Postcode> for Option<PostcodeKey> {
    fn from(postcode: &Postcode) -> Self {
        PostcodeKey::of(postcode.as_str().as_bytes())
    }
}

/// The front of a postcode: an outward code, or an outward code with the digit after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialPostcode {
    outward: u32,
    sector: Option<u16>,
}

impl PartialPostcode {
    /// Reads `LS1` or `LS1 4`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        let mut parts = text.split_ascii_whitespace();
        let outward = outward_key(parts.next()?.as_bytes())?;
        let sector = match parts.next().map(str::as_bytes) {
            None => None,
            Some([digit]) => Some(u16::try_from(tens(*digit)?).ok()?),
            Some(_) => return None,
        };
        parts.next().is_none().then_some(PartialPostcode { outward, sector })
    }
}

fn tens(byte: u8) -> Option<u32> {
    byte.is_ascii_digit().then(|| u32::from(byte - b'0'))
}

fn letter(byte: u8) -> Option<u32> {
    byte.is_ascii_uppercase().then(|| u32::from(byte - b'A'))
}

/// The last two letters are never C, I, K, M, O or V.
fn inward_letter(byte: u8) -> Option<u32> {
    let nth = letter(byte)?;
    match nth {
        0..=1 => Some(nth),
        3..=7 => Some(nth - 1),
        9 => Some(nth - 2),
        11 => Some(nth - 3),
        13 => Some(nth - 4),
        15..=20 => Some(nth - 5),
        22..=25 => Some(nth - 6),
        _ => None,
    }
}

fn outward_key(outward: &[u8]) -> Option<u32> {
    let (first, second, digit, last) = match outward {
        [first, digit] => (first, None, digit, None),
        [first, second, last] if second.is_ascii_digit() => (first, None, second, Some(last)),
        [first, second, digit] => (first, Some(second), digit, None),
        [first, second, digit, last] => (first, Some(second), digit, Some(last)),
        _ => return None,
    };
    let second = second.map_or(Some(0), |byte| letter(*byte).map(|nth| nth + 1))?;
    let last = match last {
        None => 0,
        Some(byte) if byte.is_ascii_digit() => tens(*byte)? + 1,
        Some(byte) => letter(*byte)? + 11,
    };
    Some(((letter(*first)? * 27 + second) * 10 + tens(*digit)?) * 37 + last)
}

/// Where a release puts a postcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located<'a> {
    /// In what it lies.
    pub place: &'a Place,
    /// It is no longer in use.
    pub ended: bool,
}

/// Which publication it is, and what was in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// What it is called, such as `NSPL 2026-08`.
    pub name: String,
    /// The digest of the file that was imported.
    pub source: Digest,
    /// How many postcodes, in use or not.
    pub postcodes: u32,
    /// How many of them are no longer in use.
    pub ended: u32,
    /// How many have no district.
    pub without_district: u32,
}

/// Why a postcode file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostcodesFault(pub &'static str);

impl fmt::Display for PostcodesFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the postcode file cannot be used: {}; import the release again", self.0)
    }
}

impl std::error::Error for PostcodesFault {}

impl From<Damaged> for PostcodesFault {
    fn from(Damaged(because): Damaged) -> PostcodesFault {
        PostcodesFault(because)
    }
}

/// All postcodes of a release.
#[derive(Debug)]
pub struct Postcodes {
    release: Release,
    digest: Digest,
    places: Vec<Place>,
    offsets: Vec<u32>,
    inward: Vec<u16>,
    place: Vec<u16>,
}

/// Postcodes as they are gathered from a publication.
#[derive(Debug, Default)]
pub struct Gathered {
    rows: Vec<(PostcodeKey, u16)>,
    places: PlaceTable,
}

/// Why what was gathered is no release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatherFault {
    /// So many postcodes stand there twice.
    Twice(usize),
    /// Nothing was gathered.
    Empty,
    /// More places than there are councils, or more postcodes than can be counted.
    TooMany,
}

impl fmt::Display for GatherFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GatherFault::Twice(count) => write!(f, "{count} postcodes stand there more than once"),
            GatherFault::Empty => f.write_str("there is no postcode in it"),
            GatherFault::TooMany => f.write_str("there are more places or postcodes in it than the country has"),
        }
    }
}

impl std::error::Error for GatherFault {}

impl Gathered {
    /// The number by which a place is meant from now on. None when there are more places than fit.
    pub fn place(&mut self, place: Place) -> Option<u16> {
        self.places.number(place).filter(|nth| *nth < ENDED)
    }

    /// Adds a postcode. `place` is a number that [`Gathered::place`] gave.
    pub fn add(&mut self, postcode: PostcodeKey, place: u16, ended: bool) {
        self.rows.push((postcode, if ended { place | ENDED } else { place }));
    }

    /// How many were added.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Lays them out.
    pub fn lay_out(mut self, name: &str, source: Digest) -> Result<Postcodes, GatherFault> {
        let Gathered { rows, places: PlaceTable(places) } = &mut self;
        if rows.is_empty() {
            return Err(GatherFault::Empty);
        }
        if !rows.is_sorted_by_key(|(key, _)| *key) {
            rows.sort_unstable_by_key(|(key, _)| *key);
        }
        let twice = rows.windows(2).filter(|pair| matches!(pair, [(before, _), (after, _)] if before == after)).count();
        if twice > 0 {
            return Err(GatherFault::Twice(twice));
        }
        let without: Vec<bool> = places.iter().map(|place| *place == Place::NoDistrict).collect();
        let mut offsets = Vec::with_capacity(OUTWARD + 1);
        let (mut inward, mut place) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        let (mut ended, mut without_district) = (0, 0);
        for (key, at) in rows.iter() {
            let before = u32::try_from(inward.len()).map_err(|_| GatherFault::TooMany)?;
            while offsets.len() <= usize::try_from(key.outward()).map_err(|_| GatherFault::TooMany)? {
                offsets.push(before);
            }
            inward.push(key.inward());
            place.push(*at);
            ended += u32::from(at & ENDED != 0);
            without_district += u32::from(without.get(usize::from(at & !ENDED)).copied().unwrap_or_default());
        }
        let postcodes = u32::try_from(inward.len()).map_err(|_| GatherFault::TooMany)?;
        offsets.resize(OUTWARD + 1, postcodes);
        let name = name.chars().take(NAME_MAX / 4).collect();
        let release = Release { name, source, postcodes, ended, without_district };
        let digest = Digest::from_bytes([0; 32]);
        let mut laid_out = Postcodes { release, digest, places: std::mem::take(places), offsets, inward, place };
        laid_out.digest = Digest::of_bytes(&laid_out.body());
        Ok(laid_out)
    }
}

impl Postcodes {
    /// Reads and checks a file.
    pub fn read(bytes: &[u8]) -> Result<Self, PostcodesFault> {
        let (body, digest) = bytes.split_at_checked(bytes.len().saturating_sub(32)).ok_or(PostcodesFault("it is cut off"))?;
        let mut reader = Reader(body);
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(PostcodesFault("it is not one of ours"));
        }
        if reader.number()? != VERSION {
            return Err(PostcodesFault("its version is another program's"));
        }
        let computed = Digest::of_bytes(body);
        if computed.as_bytes() != digest {
            return Err(PostcodesFault("its digest does not fit its content"));
        }
        let source = reader.take(32)?.try_into().map_err(|_| PostcodesFault("it is cut off"))?;
        let (postcodes, ended, without_district) = (reader.number()?, reader.number()?, reader.number()?);
        let (name, places) = (reader.count()?, reader.count()?);
        let name = std::str::from_utf8(reader.take(name)?).map_err(|_| PostcodesFault("its name is not text"))?;
        let places = (0..places).map(|_| place_of(reader.take(9)?)).collect::<Result<Vec<_>, _>>()?;
        let count = usize::try_from(postcodes).map_err(|_| PostcodesFault("it counts more than fits"))?;
        let read = Postcodes {
            release: Release { name: name.to_owned(), source: Digest::from_bytes(source), postcodes, ended, without_district },
            digest: computed,
            places,
            offsets: reader.numbers(OUTWARD + 1, u32::from_le_bytes)?,
            inward: reader.numbers(count, u16::from_le_bytes)?,
            place: reader.numbers(count, u16::from_le_bytes)?,
        };
        if !reader.0.is_empty() {
            return Err(PostcodesFault("there is more in it than it says"));
        }
        let ordered = read.offsets.is_sorted()
            && read.offsets.last() == Some(&postcodes)
            && read.offsets.windows(2).all(|pair| match pair {
                [from, until] => read.bucket(*from, *until).is_some_and(|bucket| bucket.is_sorted_by(|a, b| a < b)),
                _ => false,
            });
        if !ordered {
            return Err(PostcodesFault("its postcodes are not in order"));
        }
        if read.place.iter().any(|at| read.placed(*at).is_none()) {
            return Err(PostcodesFault("it names a place that it does not list"));
        }
        Ok(read)
    }

    fn body(&self) -> Vec<u8> {
        let Release { name, source, postcodes, ended, without_district } = &self.release;
        let mut body = Vec::with_capacity(1024 * 1024 + 9 * self.places.len() + 4 * self.inward.len() + 512);
        body.extend_from_slice(MAGIC);
        body.extend_from_slice(&VERSION.to_le_bytes());
        body.extend_from_slice(source.as_bytes());
        // Both are far below the limit: a name is cut at its maximum, and a place is numbered in fifteen bits.
        let short = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        for number in [*postcodes, *ended, *without_district, short(name.len()), short(self.places.len())] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        body.extend_from_slice(name.as_bytes());
        self.places.iter().for_each(|place| body.extend_from_slice(place.written().as_bytes()));
        self.offsets.iter().for_each(|offset| body.extend_from_slice(&offset.to_le_bytes()));
        self.inward.iter().chain(&self.place).for_each(|number| body.extend_from_slice(&number.to_le_bytes()));
        body
    }

    /// The file.
    pub fn write(&self) -> Vec<u8> {
        let mut file = self.body();
        file.extend_from_slice(self.digest.as_bytes());
        file
    }

    /// Which publication it is.
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// The digest of the file: stored with a decision, it says for ever which one it was made with.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Where the release puts a postcode. None when it does not hold it.
    pub fn find(&self, postcode: PostcodeKey) -> Option<Located<'_>> {
        let outward = usize::try_from(postcode.outward()).ok()?;
        let (from, until) = (*self.offsets.get(outward)?, *self.offsets.get(outward + 1)?);
        let nth = self.bucket(from, until)?.binary_search(&postcode.inward()).ok()?;
        self.placed(*self.place.get(usize::try_from(from).ok()? + nth)?)
    }

    /// Where the release puts the postcodes that begin so, each place once, in order.
    pub fn beginning(&self, partial: PartialPostcode) -> Vec<&Place> {
        let within = |inward: &u16| partial.sector.is_none_or(|sector| inward / 400 == sector);
        let rows = || {
            let outward = usize::try_from(partial.outward).ok()?;
            let (from, until) = (*self.offsets.get(outward)?, *self.offsets.get(outward + 1)?);
            let places = self.place.get(usize::try_from(from).ok()?..usize::try_from(until).ok()?)?;
            Some(self.bucket(from, until)?.iter().zip(places))
        };
        let found: std::collections::BTreeSet<&Place> = rows()
            .into_iter()
            .flatten()
            .filter(|(inward, _)| within(inward))
            .filter_map(|(_, at)| self.placed(*at))
            .map(|located| located.place)
            .collect();
        found.into_iter().collect()
    }

    /// Every place that the release names, in no order.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    fn bucket(&self, from: u32, until: u32) -> Option<&[u16]> {
        self.inward.get(usize::try_from(from).ok()?..usize::try_from(until).ok()?)
    }

    fn placed(&self, at: u16) -> Option<Located<'_>> {
        self.places.get(usize::from(at & !ENDED)).map(|place| Located { place, ended: at & ENDED != 0 })
    }
}
