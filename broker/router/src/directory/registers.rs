//! Schools and NHS organisations as published: the DfE's register (GIAS) and the Organisation Data Service.
//!
//! Only the columns that say which organisation it is, where, and whether it is still there are read. The register
//! also names head teachers and proprietors; they are never looked at.

use std::path::{Path, PathBuf};

use csv::ByteRecord;
use jiff::civil::Date;
use referral::directory::{Extract, HealthBody, List, School, Standing};
use referral::identifiers::{OdsCode, Postcode, Urn};

use super::source::{Refused, Source, column};

/// The 27 columns of an ODS extract, which names none: those that are read.
const ODS_COLUMNS: usize = 27;

/// Whether a first line is one of the schools' register.
pub fn are_schools(first: &ByteRecord) -> bool {
    SchoolColumns::of(first).is_some()
}

/// Whether a first line is one of the successions that the schools' register publishes beside it.
pub fn are_links(first: &ByteRecord) -> bool {
    link_columns(first).is_some()
}

/// Whether a first line is one of an ODS extract.
pub fn are_health_bodies(first: &ByteRecord) -> bool {
    HealthColumns::of(first).is_some()
}

struct SchoolColumns {
    urn: usize,
    dfe: usize,
    establishment: usize,
    name: usize,
    status: usize,
    opened: Option<usize>,
    closed: Option<usize>,
    postcode: Option<usize>,
}

impl SchoolColumns {
    fn of(header: &ByteRecord) -> Option<Self> {
        Some(SchoolColumns {
            urn: column(header, &["URN"])?,
            dfe: column(header, &["LA (code)"])?,
            establishment: column(header, &["EstablishmentNumber"])?,
            name: column(header, &["EstablishmentName"])?,
            status: column(header, &["EstablishmentStatus (name)"])?,
            opened: column(header, &["OpenDate"]),
            closed: column(header, &["CloseDate"]),
            postcode: column(header, &["Postcode"]),
        })
    }
}

/// Windows-1252 where it differs from Latin-1; five bytes mean nothing in it.
const WINDOWS_1252: [Option<char>; 32] = [
    Some('\u{20AC}'),
    None,
    Some('\u{201A}'),
    Some('\u{0192}'),
    Some('\u{201E}'),
    Some('\u{2026}'),
    Some('\u{2020}'),
    Some('\u{2021}'),
    Some('\u{02C6}'),
    Some('\u{2030}'),
    Some('\u{0160}'),
    Some('\u{2039}'),
    Some('\u{0152}'),
    None,
    Some('\u{017D}'),
    None,
    None,
    Some('\u{2018}'),
    Some('\u{2019}'),
    Some('\u{201C}'),
    Some('\u{201D}'),
    Some('\u{2022}'),
    Some('\u{2013}'),
    Some('\u{2014}'),
    Some('\u{02DC}'),
    Some('\u{2122}'),
    Some('\u{0161}'),
    Some('\u{203A}'),
    Some('\u{0153}'),
    None,
    Some('\u{017E}'),
    Some('\u{0178}'),
];

/// A name in Windows-1252, as the register is published; or in UTF-8, where its bytes can be nothing else.
fn name(source: &Source, at: usize) -> Result<String, Refused> {
    let field = source.record().get(at).unwrap_or_default();
    let wrong = || source.refuse("holds bytes that this file cannot have: its encoding is another");
    if field.contains(&0) {
        return Err(wrong());
    }
    if let Ok(text) = std::str::from_utf8(field) {
        return Ok(text.trim().to_owned());
    }
    let decoded: Option<String> = field
        .iter()
        .map(|byte| match byte {
            0x80..=0x9F => WINDOWS_1252.get(usize::from(byte - 0x80)).copied().flatten(),
            _ => Some(char::from(*byte)),
        })
        .collect();
    decoded.map(|text| text.trim().to_owned()).ok_or_else(wrong)
}

/// A column that may be missing or empty, read by `read`, or the row is refused.
fn maybe<T>(source: &Source, at: Option<usize>, what: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Refused> {
    let text = at.map_or(Ok(""), |at| source.ascii(at))?;
    if text.is_empty() { Ok(None) } else { read(text).map(Some).ok_or_else(|| source.refuse(format!("holds no {what}"))) }
}

/// `31-08-2020` or `31/08/2020`.
fn british_date(text: &str) -> Option<Date> {
    let parts: Vec<&str> = text.split(['-', '/']).collect();
    let [day, month, year] = parts.as_slice() else { return None };
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// `20200831`.
fn compact_date(text: &str) -> Option<Date> {
    let (year, rest) = text.split_at_checked(4)?;
    let (month, day) = rest.split_at_checked(2)?;
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

fn school_standing(text: &str) -> Option<Standing> {
    match text {
        "Open" => Some(Standing::Open),
        "Open, but proposed to close" => Some(Standing::Closing),
        "Closed" => Some(Standing::Closed),
        "Proposed to open" => Some(Standing::Proposed),
        _ => None,
    }
}

/// Reads the schools' register, and the successions beside it where they are given.
pub fn schools(file: &Path, links: Option<&PathBuf>, name_of_it: &str, as_at: Date) -> Result<List<School>, Refused> {
    let mut source = Source::open(file, None)?;
    let columns = source.next()?.and_then(SchoolColumns::of);
    let columns = columns.ok_or_else(|| source.refuse("is no header of the schools' register"))?;
    let mut rows = Vec::new();
    while source.next()?.is_some() {
        let dfe = source.ascii(columns.dfe)?.to_owned();
        if dfe.len() != 3 || !dfe.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(source.refuse("holds no three digits of an authority"));
        }
        let school = School {
            urn: Urn::parse(source.ascii(columns.urn)?).map_err(|why| source.refuse(format!("the URN {why}")))?,
            dfe,
            establishment: maybe(&source, Some(columns.establishment), "establishment number", |text| Some(text.to_owned()))?,
            name: name(&source, columns.name)?,
            standing: school_standing(source.ascii(columns.status)?)
                .ok_or_else(|| source.refuse("holds a status that the register does not have"))?,
            opened: maybe(&source, columns.opened, "date in OpenDate", british_date)?,
            closed: maybe(&source, columns.closed, "date in CloseDate", british_date)?,
            successors: Vec::new(),
            // The register holds a few that are none; they are left out, the school is not.
            postcode: maybe(&source, columns.postcode, "text", |text| Some(Postcode::parse(text).ok()))?.flatten(),
        };
        rows.push((source.line(), school));
    }
    let mut list = List::of(Extract { name: name_of_it.to_owned(), as_at, source: source.digest() });
    for (line, school) in rows {
        if !list.add(school) {
            let because = "its URN stands there twice".to_owned();
            return Err(Refused { file: file.to_owned(), line: Some(line), because });
        }
    }
    if let Some(links) = links {
        add_successions(&mut list, links)?;
    }
    Ok(list)
}

fn link_columns(header: &ByteRecord) -> Option<(usize, usize, usize)> {
    Some((column(header, &["URN"])?, column(header, &["LinkURN"])?, column(header, &["LinkType"])?))
}

fn add_successions(list: &mut List<School>, file: &Path) -> Result<(), Refused> {
    let mut source = Source::open(file, None)?;
    let columns = source.next()?.and_then(link_columns);
    let (urn, link, kind) = columns.ok_or_else(|| source.refuse("is no header of the register's links"))?;
    while source.next()?.is_some() {
        // "Successor", "Successor - merged", "Successor - amalgamated" and the like.
        if !source.ascii(kind)?.starts_with("Successor") {
            continue;
        }
        let read = |at| Urn::parse(source.ascii(at)?).map_err(|why| source.refuse(format!("the URN {why}")));
        let (urn, successor) = (read(urn)?, read(link)?);
        // A link may lead to or from a school that this extract leaves out.
        if let Some(school) = list.get_mut(&urn)
            && !school.successors.contains(&successor)
        {
            school.successors.push(successor);
        }
    }
    Ok(())
}

struct HealthColumns {
    ods: usize,
    name: usize,
    postcode: usize,
    opened: usize,
    closed: usize,
    status: Option<usize>,
    named: bool,
}

impl HealthColumns {
    fn of(first: &ByteRecord) -> Option<Self> {
        if let Some(ods) = column(first, &["ods_code", "Organisation Code", "OrganisationCode"]) {
            return Some(HealthColumns {
                ods,
                name: column(first, &["name", "Name"])?,
                postcode: column(first, &["postcode"])?,
                opened: column(first, &["open_date", "Open Date"])?,
                closed: column(first, &["close_date", "Close Date"])?,
                status: column(first, &["status_code", "Status Code"]),
                named: true,
            });
        }
        // As published, without names: code, name, grouping, geography, five lines of address, postcode, open, close,
        // status, and more. A region's code, Y and two digits, stands third.
        let text = |at: usize| first.get(at).and_then(|field| std::str::from_utf8(field).ok()).unwrap_or_default();
        let grouping = text(2);
        let published = first.len() == ODS_COLUMNS
            && OdsCode::parse(text(0)).is_ok()
            && grouping.len() == 3
            && grouping.starts_with(['Y', 'W']);
        let status = Some(12);
        published.then_some(HealthColumns { ods: 0, name: 1, postcode: 9, opened: 10, closed: 11, status, named: false })
    }
}

fn health_standing(status: &str, closed: Option<Date>) -> Option<Standing> {
    match (status, closed) {
        ("A", _) | ("", None) => Some(Standing::Open),
        ("C", _) | ("", Some(_)) => Some(Standing::Closed),
        ("D", _) => Some(Standing::Dormant),
        ("P", _) => Some(Standing::Proposed),
        _ => None,
    }
}

/// Reads one or several ODS extracts into one list.
pub fn health_bodies(files: &[PathBuf], name_of_it: &str, as_at: Date) -> Result<List<HealthBody>, Refused> {
    let mut rows = Vec::new();
    let mut digests = Vec::new();
    for file in files {
        let mut source = Source::open(file, None)?;
        let columns = source.next()?.and_then(HealthColumns::of);
        let columns = columns.ok_or_else(|| source.refuse("is no first line of an ODS extract"))?;
        let mut more = !columns.named || source.next()?.is_some();
        while more {
            let closed = maybe(&source, Some(columns.closed), "closing date", compact_date)?;
            let status = columns.status.map_or(Ok(""), |at| source.ascii(at))?;
            let body = HealthBody {
                ods: OdsCode::parse(source.ascii(columns.ods)?).map_err(|why| source.refuse(format!("the code {why}")))?,
                name: name(&source, columns.name)?,
                standing: health_standing(status, closed)
                    .ok_or_else(|| source.refuse("holds a status that the service does not have"))?,
                opened: maybe(&source, Some(columns.opened), "opening date", compact_date)?,
                closed,
                postcode: maybe(&source, Some(columns.postcode), "text", |text| Some(Postcode::parse(text).ok()))?.flatten(),
            };
            rows.push((file, source.line(), body));
            more = source.next()?.is_some();
        }
        digests.push(source.digest());
    }
    let parts: Vec<&[u8]> = digests.iter().map(|digest| digest.as_bytes().as_slice()).collect();
    let mut list = List::of(Extract { name: name_of_it.to_owned(), as_at, source: referral::Digest::of(&parts) });
    for (file, line, body) in rows {
        if !list.add(body) {
            let because = "its code stands there twice".to_owned();
            return Err(Refused { file: file.clone(), line: Some(line), because });
        }
    }
    Ok(list)
}
