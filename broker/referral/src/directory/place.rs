//! In what a postcode or a property lies, and how the files of ours that say so are read.

use crate::identifiers::GssCode;

/// What is wrong with a file of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged(pub(super) &'static str);

/// In what a postcode or a property lies, as its release says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The area of a council: an English district, or a council of Wales, Scotland or Northern Ireland.
    Council(GssCode),
    /// Jersey or Guernsey.
    ChannelIslands,
    /// The Isle of Man.
    IsleOfMan,
    /// A real one for which the release gives no district, such as a large user's.
    NoDistrict,
}

impl Place {
    /// Reads a district column. None for what is no district.
    pub fn read(code: &str) -> Option<Self> {
        match code {
            "" => Some(Place::NoDistrict),
            // The codes that ONS gives to what lies outside the United Kingdom.
            "L99999999" => Some(Place::ChannelIslands),
            "M99999999" => Some(Place::IsleOfMan),
            code => GssCode::parse(code).ok().map(Place::Council),
        }
    }

    pub(super) fn written(&self) -> &str {
        match self {
            Place::Council(gss) => gss.as_str(),
            Place::ChannelIslands => "L99999999",
            Place::IsleOfMan => "M99999999",
            Place::NoDistrict => "         ",
        }
    }
}

/// Places, each with a number.
#[derive(Debug, Default)]
pub(super) struct PlaceTable(pub(super) Vec<Place>);

impl PlaceTable {
    /// The number by which a place is meant from now on. None when there are more places than fit.
    pub(super) fn number(&mut self, place: Place) -> Option<u16> {
        let nth = match self.0.iter().position(|known| *known == place) {
            Some(nth) => nth,
            None => {
                self.0.push(place);
                self.0.len() - 1
            }
        };
        u16::try_from(nth).ok()
    }
}

/// Takes what is next off the front of a file.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Damaged("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn number(&mut self) -> Result<u32, Damaged> {
        let bytes = self.take(4)?.try_into().map_err(|_| Damaged("it is cut off"))?;
        Ok(u32::from_le_bytes(bytes))
    }

    pub(super) fn count(&mut self) -> Result<usize, Damaged> {
        usize::try_from(self.number()?).map_err(|_| Damaged("it counts more than fits"))
    }

    pub(super) fn numbers<const WIDTH: usize, T>(&mut self, count: usize, of: fn([u8; WIDTH]) -> T) -> Result<Vec<T>, Damaged> {
        let length = count.checked_mul(WIDTH).ok_or(Damaged("it counts more than fits"))?;
        let (whole, _) = self.take(length)?.as_chunks::<WIDTH>();
        Ok(whole.iter().map(|bytes| of(*bytes)).collect())
    }
}

pub(super) fn place_of(code: &[u8]) -> Result<Place, Damaged> {
    let code = std::str::from_utf8(code).ok();
    code.and_then(|code| Place::read(code.trim())).ok_or(Damaged("it lists a place that is none"))
}
