//! Properties as published: the ONS UPRN Directory and the National Statistics UPRN Lookup, a file for each region.

use std::path::PathBuf;

use csv::ByteRecord;
use referral::directory::{GatheredUprns, Register, Uprns};
use referral::identifiers::Uprn;

use super::districts::{Count, Districts, district_column, release, whole};
use super::source::{Refused, Source, column};

struct Columns {
    uprn: usize,
    district: usize,
}

impl Columns {
    fn of(first: &ByteRecord) -> Option<Self> {
        Some(Columns { uprn: column(first, &["uprn"])?, district: district_column(first)? })
    }
}

/// Whether a first line is one of a file of properties.
pub fn are_in(first: &ByteRecord) -> bool {
    Columns::of(first).is_some()
}

/// Reads files of one release, checks them whole, and lays them out.
pub fn read(
    files: &[PathBuf],
    name: &str,
    register: &Register,
    progress: &mut dyn FnMut(usize, u64),
) -> Result<(Uprns, Count), Refused> {
    let mut gathered = GatheredUprns::default();
    let mut each = |source: &mut Source, districts: &mut Districts<'_>| read_one(source, districts, &mut gathered, progress);
    let (count, digest) = release(files, "properties", register, &mut each)?;
    let uprns = gathered.lay_out(name, digest).map_err(|fault| Refused::whole(whole(files), fault))?;
    Ok((uprns, count))
}

fn read_one(
    source: &mut Source,
    districts: &mut Districts<'_>,
    gathered: &mut GatheredUprns,
    progress: &mut dyn FnMut(usize, u64),
) -> Result<(), Refused> {
    let Some(first) = source.next()? else { return Ok(()) };
    let columns = Columns::of(first)
        .ok_or_else(|| source.refuse("is no header of a file of properties: uprn with ladNNcd, ladcd, oslaua or laua"))?;
    while source.next()?.is_some() {
        let uprn = Uprn::parse(source.ascii(columns.uprn)?).map_err(|_| source.refuse("holds no number in the column uprn"))?;
        let place = districts.place(source, columns.district, &mut |place| gathered.place(place))?;
        gathered.add(&uprn, place);
        if gathered.count().is_multiple_of(500_000) {
            progress(gathered.count(), source.percent());
        }
    }
    Ok(())
}
