//! Every property and the district it lies in, by its unique property reference number: about two bytes each.
//!
//! Where a postcode is evidence, this is as near to proof as a register comes: a postcode may straddle a border, a
//! property does not. A file is read whole and checked whole before anything is answered from it.
//!
//! Layout, little-endian: magic, version, counts, the names of release and source, the table of places, one entry for
//! each block of properties (its first number, and where its rows begin), the rows, then a SHA-256 of all of that. A
//! row is how far its number is from the one before, and its place where that is another than the one before.

use std::fmt;

use super::place::{Damaged, Place, PlaceTable, Reader, place_of};
use crate::identifiers::{Digest, Uprn};

const MAGIC: &[u8; 8] = b"SGUPRNS\n";
const VERSION: u32 = 1;
/// How many rows are read through, at most, to find one.
const BLOCK: usize = 128;
/// A number has twelve digits at most, which fit into forty bits; a place goes into the sixteen below.
const PLACE_BITS: u32 = 16;
/// Longer than this no name of a release is.
const NAME_MAX: usize = 200;

/// Which publication it is, and what was in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UprnRelease {
    /// What it is called, such as `ONSUD 2026-10`.
    pub name: String,
    /// The digest of the files that were imported.
    pub source: Digest,
    /// How many properties.
    pub properties: u32,
}

/// Why a file of properties cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UprnsFault(pub &'static str);

impl fmt::Display for UprnsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file of properties cannot be used: {}; import the release again", self.0)
    }
}

impl std::error::Error for UprnsFault {}

impl From<Damaged> for UprnsFault {
    fn from(Damaged(because): Damaged) -> UprnsFault {
        UprnsFault(because)
    }
}

/// All properties of a release.
#[derive(Debug)]
pub struct Uprns {
    release: UprnRelease,
    digest: Digest,
    places: Vec<Place>,
    /// The first number of each block, and where its rows begin.
    blocks: Vec<(u64, u32)>,
    rows: Vec<u8>,
}

/// Properties as they are gathered from a publication, in any order.
#[derive(Debug, Default)]
pub struct GatheredUprns {
    rows: Vec<u64>,
    places: PlaceTable,
}

/// Why what was gathered is no release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UprnGatherFault {
    /// So many properties stand there twice.
    Twice(usize),
    /// Nothing was gathered.
    Empty,
    /// More properties than can be counted.
    TooMany,
}

impl fmt::Display for UprnGatherFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UprnGatherFault::Twice(count) => write!(f, "{count} properties stand there more than once"),
            UprnGatherFault::Empty => f.write_str("there is no property in it"),
            UprnGatherFault::TooMany => f.write_str("there are more properties in it than can be counted"),
        }
    }
}

impl std::error::Error for UprnGatherFault {}

impl GatheredUprns {
    /// The number by which a place is meant from now on. None when there are more places than fit.
    pub fn place(&mut self, place: Place) -> Option<u16> {
        self.places.number(place)
    }

    /// Adds a property. `place` is a number that [`GatheredUprns::place`] gave.
    pub fn add(&mut self, uprn: &Uprn, place: u16) {
        self.rows.push(uprn.number() << PLACE_BITS | u64::from(place));
    }

    /// How many were added.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Lays them out.
    pub fn lay_out(mut self, name: &str, source: Digest) -> Result<Uprns, UprnGatherFault> {
        if self.rows.is_empty() {
            return Err(UprnGatherFault::Empty);
        }
        self.rows.sort_unstable();
        let property = |row: &u64| row >> PLACE_BITS;
        let is_twice = |pair: &&[u64]| matches!(pair, [before, after] if property(before) == property(after));
        let twice = self.rows.windows(2).filter(is_twice).count();
        if twice > 0 {
            return Err(UprnGatherFault::Twice(twice));
        }
        let (mut blocks, mut rows) = (Vec::new(), Vec::with_capacity(2 * self.rows.len()));
        for block in self.rows.chunks(BLOCK) {
            let Some(first) = block.first() else { continue };
            blocks.push((property(first), u32::try_from(rows.len()).map_err(|_| UprnGatherFault::TooMany)?));
            let mut before = (property(first), None);
            for row in block {
                let place = (row & u64::from(u16::MAX)) as u16;
                let is_other = before.1 != Some(place);
                put(&mut rows, (property(row) - before.0) << 1 | u64::from(is_other));
                if is_other {
                    rows.extend_from_slice(&place.to_le_bytes());
                }
                before = (property(row), Some(place));
            }
        }
        let properties = u32::try_from(self.rows.len()).map_err(|_| UprnGatherFault::TooMany)?;
        let name = name.chars().take(NAME_MAX / 4).collect();
        let release = UprnRelease { name, source, properties };
        let digest = Digest::from_bytes([0; 32]);
        let mut laid_out = Uprns { release, digest, places: self.places.0, blocks, rows };
        laid_out.digest = Digest::of_bytes(&laid_out.body());
        Ok(laid_out)
    }
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn put(rows: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        rows.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    rows.push(number as u8);
}

/// The rows of one block, from its first number on.
struct Rows<'a> {
    rest: &'a [u8],
    number: u64,
    place: Option<u16>,
}

impl Rows<'_> {
    /// The next number and its place; none where a row is no row, or the rows end.
    fn next(&mut self) -> Option<(u64, u16)> {
        let mut value = 0_u64;
        for shift in (0..63).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if value & 1 == 1 {
                    let (place, rest) = self.rest.split_first_chunk::<2>()?;
                    self.rest = rest;
                    self.place = Some(u16::from_le_bytes(*place));
                }
                self.number = self.number.checked_add(value >> 1)?;
                return Some((self.number, self.place?));
            }
        }
        None
    }
}

impl Uprns {
    /// Reads and checks a file.
    pub fn read(bytes: &[u8]) -> Result<Self, UprnsFault> {
        let (body, digest) = bytes.split_at_checked(bytes.len().saturating_sub(32)).ok_or(UprnsFault("it is cut off"))?;
        let mut reader = Reader(body);
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(UprnsFault("it is not one of ours"));
        }
        if reader.number()? != VERSION {
            return Err(UprnsFault("its version is another program's"));
        }
        let computed = Digest::of_bytes(body);
        if computed.as_bytes() != digest {
            return Err(UprnsFault("its digest does not fit its content"));
        }
        let source = reader.take(32)?.try_into().map_err(|_| UprnsFault("it is cut off"))?;
        let properties = reader.number()?;
        let (name, places, blocks, rows) = (reader.count()?, reader.count()?, reader.count()?, reader.count()?);
        let name = std::str::from_utf8(reader.take(name)?).map_err(|_| UprnsFault("its name is not text"))?;
        let places = (0..places).map(|_| place_of(reader.take(9)?)).collect::<Result<Vec<_>, _>>()?;
        let firsts = reader.numbers(blocks, u64::from_le_bytes)?;
        let begins = reader.numbers(blocks, u32::from_le_bytes)?;
        let read = Uprns {
            release: UprnRelease { name: name.to_owned(), source: Digest::from_bytes(source), properties },
            digest: computed,
            places,
            blocks: firsts.into_iter().zip(begins).collect(),
            rows: reader.take(rows)?.to_vec(),
        };
        if !reader.0.is_empty() {
            return Err(UprnsFault("there is more in it than it says"));
        }
        read.checked()
    }

    /// Every row is there, in order, and in a place that is listed.
    fn checked(self) -> Result<Self, UprnsFault> {
        let (mut count, mut before) = (0_u32, None);
        for (nth, (first, _)) in self.blocks.iter().enumerate() {
            let mut rows = self.block(nth).ok_or(UprnsFault("its blocks are not in order"))?;
            let is_last = nth + 1 == self.blocks.len();
            let mut of_block = 0;
            while !rows.rest.is_empty() {
                let (number, place) = rows.next().ok_or(UprnsFault("a row of it is none"))?;
                let begins_well = of_block > 0 || number == *first;
                if !begins_well || before.is_some_and(|before| before >= number) {
                    return Err(UprnsFault("its properties are not in order"));
                }
                if self.places.get(usize::from(place)).is_none() {
                    return Err(UprnsFault("it names a place that it does not list"));
                }
                before = Some(number);
                of_block += 1;
            }
            if of_block > BLOCK || (of_block < BLOCK && !is_last) {
                return Err(UprnsFault("its blocks are not as long as they should be"));
            }
            count = count.saturating_add(u32::try_from(of_block).unwrap_or(u32::MAX));
        }
        if count == self.release.properties { Ok(self) } else { Err(UprnsFault("it holds another count than it says")) }
    }

    fn block(&self, nth: usize) -> Option<Rows<'_>> {
        let (first, begins) = self.blocks.get(nth)?;
        let ends = self.blocks.get(nth + 1).map_or(Some(self.rows.len()), |(_, ends)| usize::try_from(*ends).ok())?;
        let rest = self.rows.get(usize::try_from(*begins).ok()?..ends)?;
        Some(Rows { rest, number: *first, place: None })
    }

    fn body(&self) -> Vec<u8> {
        let UprnRelease { name, source, properties } = &self.release;
        let mut body = Vec::with_capacity(self.rows.len() + 12 * self.blocks.len() + 9 * self.places.len() + 512);
        body.extend_from_slice(MAGIC);
        body.extend_from_slice(&VERSION.to_le_bytes());
        body.extend_from_slice(source.as_bytes());
        // All are below the limit: rows are counted in 32 bits when they are laid out, and the rest is smaller.
        let short = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let counts = [name.len(), self.places.len(), self.blocks.len(), self.rows.len()].map(short);
        for number in [*properties].into_iter().chain(counts) {
            body.extend_from_slice(&number.to_le_bytes());
        }
        body.extend_from_slice(name.as_bytes());
        self.places.iter().for_each(|place| body.extend_from_slice(place.written().as_bytes()));
        self.blocks.iter().for_each(|(first, _)| body.extend_from_slice(&first.to_le_bytes()));
        self.blocks.iter().for_each(|(_, begins)| body.extend_from_slice(&begins.to_le_bytes()));
        body.extend_from_slice(&self.rows);
        body
    }

    /// The file.
    pub fn write(&self) -> Vec<u8> {
        let mut file = self.body();
        file.extend_from_slice(self.digest.as_bytes());
        file
    }

    /// Every place that the release names, in no order.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Which publication it is.
    pub fn release(&self) -> &UprnRelease {
        &self.release
    }

    /// The digest of the file: stored with a decision, it says for ever which one it was made with.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Where the release puts a property. None when it does not hold it.
    pub fn find(&self, uprn: &Uprn) -> Option<&Place> {
        let wanted = uprn.number();
        let nth = self.blocks.partition_point(|(first, _)| *first <= wanted).checked_sub(1)?;
        let mut rows = self.block(nth)?;
        while let Some((number, place)) = rows.next() {
            if number >= wanted {
                return (number == wanted).then(|| self.places.get(usize::from(place))).flatten();
            }
        }
        None
    }
}
