//! The district column of what ONS publishes, of postcodes and of properties alike.
//!
//! It is found by name, because ONS puts the year of a geography into it. A file in which too many districts are unknown
//! is refused: it is a new geography read with an old register. So is one in which most have none: its column is empty.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use referral::Digest;
use referral::directory::{Place, Register};

use super::source::{Refused, Source, column, of_all};

/// One row in so many may name a district that the register does not know.
const UNKNOWN_ONE_IN: usize = 1_000;
/// A release of which more than one in so many has no district is refused: its column is empty. Of the real ones it is
/// one in a thousand or so.
const NOWHERE_ONE_IN: usize = 2;

/// Where the district column is, by the names in the first line.
pub fn district_column(first: &ByteRecord) -> Option<usize> {
    let dated = |field: &[u8]| {
        let lower = field.to_ascii_lowercase();
        matches!(lower.as_slice(), [b'l', b'a', b'd', a, b, b'c', b'd'] if a.is_ascii_digit() && b.is_ascii_digit())
    };
    first.iter().position(dated).or_else(|| column(first, &["ladcd", "oslaua", "laua", "lad_gss"]))
}

/// What was in the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Of English districts.
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

impl Count {
    fn all(&self) -> usize {
        self.english + self.devolved + self.crown + self.nowhere + self.unknown
    }
}

#[derive(Clone, Copy)]
enum Kind {
    English,
    Devolved,
    Crown,
    Nowhere,
    Unknown,
}

/// Reads the files of one release, each by `read_one`, and refuses them all if too much of them is not known. Gives what
/// was in them, and one digest for all of them.
pub fn release(
    files: &[PathBuf],
    of: &'static str,
    register: &Register,
    read_one: &mut dyn FnMut(&mut Source, &mut Districts<'_>) -> Result<(), Refused>,
) -> Result<(Count, Digest), Refused> {
    let mut districts = Districts::of(of, register);
    let mut digests = Vec::new();
    for file in files {
        let mut source = Source::open(file, Some(b'#'))?;
        read_one(&mut source, &mut districts)?;
        digests.push(source.digest());
    }
    districts.known_enough(whole(files))?;
    Ok((districts.count, of_all(&digests)))
}

/// The file that stands for all of a release where a fault lies in none of its lines.
pub fn whole(files: &[PathBuf]) -> &Path {
    files.first().map(PathBuf::as_path).unwrap_or(Path::new("nothing"))
}

/// The districts met so far.
pub struct Districts<'a> {
    register: &'a Register,
    /// Of what the rows are: "postcodes".
    of: &'static str,
    /// What was in the rows.
    pub count: Count,
    first_unknown: Option<Refused>,
    met: BTreeMap<Vec<u8>, (u16, Kind)>,
    /// Rows of one district mostly follow each other.
    before: Option<(Vec<u8>, (u16, Kind))>,
}

impl<'a> Districts<'a> {
    /// None met yet.
    fn of(of: &'static str, register: &'a Register) -> Districts<'a> {
        Districts { register, of, count: Count::default(), first_unknown: None, met: BTreeMap::new(), before: None }
    }

    /// The number of the place in a row's district column; `number` gives a new place its own.
    pub fn place(
        &mut self,
        source: &Source,
        column: usize,
        number: &mut dyn FnMut(Place) -> Option<u16>,
    ) -> Result<u16, Refused> {
        let district = source.ascii(column)?;
        let known = self.before.as_ref().filter(|(before, _)| before == district.as_bytes()).map(|(_, meant)| *meant);
        let (place, kind) = match known {
            Some(meant) => meant,
            None => {
                let meant = match self.met.get(district.as_bytes()) {
                    Some(meant) => *meant,
                    None => self.meet(district, number).ok_or_else(|| source.refuse("holds no code in the district column"))?,
                };
                self.met.insert(district.as_bytes().to_vec(), meant);
                self.before = Some((district.as_bytes().to_vec(), meant));
                meant
            }
        };
        match kind {
            Kind::English => self.count.english += 1,
            Kind::Devolved => self.count.devolved += 1,
            Kind::Crown => self.count.crown += 1,
            Kind::Nowhere => self.count.nowhere += 1,
            Kind::Unknown => {
                self.count.unknown += 1;
                self.first_unknown.get_or_insert_with(|| source.refuse(format!("names district {district}")));
            }
        }
        Ok(place)
    }

    fn meet(&self, district: &str, number: &mut dyn FnMut(Place) -> Option<u16>) -> Option<(u16, Kind)> {
        let place = Place::read(district)?;
        let kind = match &place {
            Place::Council(gss) if self.register.knows(gss) => Kind::English,
            Place::Council(gss) if self.register.beyond(gss).is_some() => Kind::Devolved,
            Place::Council(_) => Kind::Unknown,
            Place::ChannelIslands | Place::IsleOfMan => Kind::Crown,
            Place::NoDistrict => Kind::Nowhere,
        };
        Some((number(place)?, kind))
    }

    /// Refuses a release in which too much is not known, once it was read to its end.
    fn known_enough(&mut self, whole: &Path) -> Result<(), Refused> {
        let (count, all, of) = (self.count, self.count.all(), self.of);
        if count.unknown > all / UNKNOWN_ONE_IN
            && let Some(first) = self.first_unknown.take()
        {
            let because = format!(
                "{}; {} of {all} {of} lie in districts that the register does not know, which is more than one in \
                 {UNKNOWN_ONE_IN}: the release is newer than the register, so a newer version of this program, with a newer \
                 register, is needed first",
                first.because, count.unknown
            );
            return Err(Refused { because, ..first });
        }
        if count.nowhere > all / NOWHERE_ONE_IN {
            let because = format!(
                "{} of {all} {of} have no district, which is more than one in {NOWHERE_ONE_IN}: the district column is empty",
                count.nowhere
            );
            return Err(Refused::whole(whole, because));
        }
        Ok(())
    }
}
