//! Schools and NHS organisations, as their registers publish them: who they are, whether they are still there, and
//! who came after them.
//!
//! One that has ended is refused as a sender's new address but recognised in old messages; one that is not held is
//! unknown, and blocks no referral at significant harm. Held in a text file of our own, one line each, with its
//! release in the first line and its digest in the last. Of a school's or practice's people it holds nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::civil::Date;

use crate::identifiers::{Digest, OdsCode, Postcode, Urn};
use crate::vocab::{Vocabulary as _, vocabulary};

vocabulary! {
    /// Whether an organisation is there.
    pub enum Standing = "standing" {
        /// It is open.
        Open => "open",
        /// It is open and proposed to close.
        Closing => "closing",
        /// It has closed.
        Closed => "closed",
        /// It is proposed to open.
        Proposed => "proposed",
        /// It does nothing at present.
        Dormant => "dormant",
    }
}

/// A school, as the DfE's register has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct School {
    /// Its number. An academy has another than the school it followed.
    pub urn: Urn,
    /// The three digits of the authority in whose area it is.
    pub dfe: String,
    /// Its number within that authority; changes with the authority.
    pub establishment: Option<String>,
    /// Its name.
    pub name: String,
    /// Whether it is there.
    pub standing: Standing,
    /// Its first day, if known.
    pub opened: Option<Date>,
    /// Its last day, if it has one.
    pub closed: Option<Date>,
    /// Who came after it.
    pub successors: Vec<Urn>,
    /// Its own postcode.
    pub postcode: Option<Postcode>,
}

/// An NHS organisation, as the Organisation Data Service has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthBody {
    /// Its code.
    pub ods: OdsCode,
    /// Its name.
    pub name: String,
    /// Whether it is there.
    pub standing: Standing,
    /// Its first day, if known.
    pub opened: Option<Date>,
    /// Its last day, if it has one.
    pub closed: Option<Date>,
    /// Its own postcode: where it has its office, not where it sees a child.
    pub postcode: Option<Postcode>,
}

impl School {
    /// Its seven-digit number: authority and establishment.
    pub fn laestab(&self) -> Option<String> {
        self.establishment.as_ref().map(|number| format!("{}{number}", self.dfe))
    }

    /// Whether it was there on that day, as far as its dates say.
    pub fn is_open(&self, on: Date) -> bool {
        is_open(self.standing, self.opened, self.closed, on)
    }
}

impl HealthBody {
    /// Whether it was there on that day, as far as its dates say.
    pub fn is_open(&self, on: Date) -> bool {
        is_open(self.standing, self.opened, self.closed, on)
    }
}

fn is_open(standing: Standing, opened: Option<Date>, closed: Option<Date>, on: Date) -> bool {
    let begun = opened.is_none_or(|opened| opened <= on);
    let ended = closed.is_some_and(|closed| closed < on);
    match standing {
        Standing::Open | Standing::Closing => begun && !ended,
        // What closed was open before, if we know until when.
        Standing::Closed => begun && !ended && closed.is_some(),
        Standing::Proposed => opened.is_some_and(|opened| opened <= on) && !ended,
        Standing::Dormant => false,
    }
}

/// Which publication a list is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extract {
    /// What it is called.
    pub name: String,
    /// The day it shows.
    pub as_at: Date,
    /// The digest of the file that was imported.
    pub source: Digest,
}

/// One kind of organisation that a list can hold.
pub trait Listed: Sized {
    /// By what one is told from another.
    type Code: Ord + Clone;
    /// What the first line calls the list.
    const KIND: &'static str;
    /// By what this one is told from others.
    fn code(&self) -> &Self::Code;
    /// Its line, without its end.
    fn line(&self) -> String;
    /// Reads a line. None when it is not one.
    fn read(line: &str) -> Option<Self>;
}

/// The organisations of one extract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T: Listed> {
    extract: Extract,
    rows: BTreeMap<T::Code, T>,
}

/// Why a list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFault {
    /// The line, from 1; none when it is about the whole.
    pub line: Option<usize>,
    /// What is wrong.
    pub because: &'static str,
}

impl std::fmt::Display for ListFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}; import the extract again", self.because),
            None => write!(f, "{}; import the extract again", self.because),
        }
    }
}

impl std::error::Error for ListFault {}

impl<T: Listed> List<T> {
    /// An empty list of that extract.
    pub fn of(extract: Extract) -> Self {
        List { extract, rows: BTreeMap::new() }
    }

    /// Adds one. False when its code is there already.
    pub fn add(&mut self, listed: T) -> bool {
        self.rows.insert(listed.code().clone(), listed).is_none()
    }

    /// Which publication it is from.
    pub fn extract(&self) -> &Extract {
        &self.extract
    }

    /// The one with that code.
    pub fn get(&self, code: &T::Code) -> Option<&T> {
        self.rows.get(code)
    }

    /// The one with that code, to complete it.
    pub fn get_mut(&mut self, code: &T::Code) -> Option<&mut T> {
        self.rows.get_mut(code)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// All of them, in order of code.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.rows.values()
    }

    /// The file.
    pub fn write(&self) -> String {
        let Extract { name, as_at, source } = &self.extract;
        let mut text = format!("{}\t1\t{}\t{as_at}\t{source}\t{}\n", T::KIND, plain(name), self.rows.len());
        for listed in self.rows.values() {
            let _ = writeln!(text, "{}", listed.line());
        }
        let digest = Digest::of_bytes(text.as_bytes());
        let _ = writeln!(text, "end\t{digest}");
        text
    }

    /// Reads and checks a file.
    pub fn read(text: &str) -> Result<Self, ListFault> {
        let whole = |because| ListFault { line: None, because };
        let cut_off = || whole("it is cut off");
        let (body, end) = text.strip_suffix('\n').and_then(|text| text.rsplit_once('\n')).ok_or_else(cut_off)?;
        let digest = end.strip_prefix("end\t").ok_or_else(cut_off)?;
        let covered = text.get(..body.len() + 1).ok_or_else(cut_off)?;
        if Digest::of_bytes(covered.as_bytes()).to_string() != digest {
            return Err(whole("its digest does not fit its content"));
        }
        let mut lines = body.split('\n').zip(1..);
        let not_ours = || ListFault { line: Some(1), because: "it is no list of this kind and version" };
        let first: Vec<&str> = lines.next().map(|(line, _)| line.split('\t').collect()).unwrap_or_default();
        let [kind, "1", name, as_at, source, count] = first.as_slice() else { return Err(not_ours()) };
        if *kind != T::KIND {
            return Err(not_ours());
        }
        let extract = Extract {
            name: (*name).to_owned(),
            as_at: as_at.parse().map_err(|_| not_ours())?,
            source: Digest::parse(source).map_err(|_| not_ours())?,
        };
        let mut list = List::of(extract);
        for (line, number) in lines {
            let fault = |because| ListFault { line: Some(number), because };
            let listed = T::read(line).ok_or_else(|| fault("it is no line of this list"))?;
            if !list.add(listed) {
                return Err(fault("its code stands there twice"));
            }
        }
        if list.rows.len().to_string() != *count {
            return Err(whole("it holds another number than it says"));
        }
        Ok(list)
    }
}

/// A name without what would end a column or a line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn shown<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

/// An empty column is none; anything else has to be read.
fn optional<T>(column: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if column.is_empty() { Some(None) } else { read(column).map(Some) }
}

impl Listed for School {
    type Code = Urn;
    const KIND: &'static str = "safeguarding-schools";

    fn code(&self) -> &Urn {
        &self.urn
    }

    fn line(&self) -> String {
        let successors: Vec<&str> = self.successors.iter().map(Urn::as_str).collect();
        [
            self.urn.to_string(),
            self.dfe.clone(),
            self.establishment.clone().unwrap_or_default(),
            plain(&self.name),
            self.standing.to_string(),
            shown(self.opened.as_ref()),
            shown(self.closed.as_ref()),
            successors.join(" "),
            self.postcode.as_ref().map(|postcode| postcode.as_str().to_owned()).unwrap_or_default(),
        ]
        .join("\t")
    }

    fn read(line: &str) -> Option<Self> {
        let columns: Vec<&str> = line.split('\t').collect();
        let [urn, dfe, establishment, name, standing, opened, closed, successors, postcode] = columns.as_slice() else {
            return None;
        };
        Some(School {
            urn: Urn::parse(urn).ok()?,
            dfe: (*dfe).to_owned(),
            establishment: optional(establishment, |number| Some(number.to_owned()))?,
            name: (*name).to_owned(),
            standing: Standing::read(standing)?,
            opened: optional(opened, |date| date.parse().ok())?,
            closed: optional(closed, |date| date.parse().ok())?,
            successors: successors.split_ascii_whitespace().map(|urn| Urn::parse(urn).ok()).collect::<Option<_>>()?,
            postcode: optional(postcode, |text| Postcode::parse(text).ok())?,
        })
    }
}

impl Listed for HealthBody {
    type Code = OdsCode;
    const KIND: &'static str = "safeguarding-health";

    fn code(&self) -> &OdsCode {
        &self.ods
    }

    fn line(&self) -> String {
        [
            self.ods.to_string(),
            plain(&self.name),
            self.standing.to_string(),
            shown(self.opened.as_ref()),
            shown(self.closed.as_ref()),
            self.postcode.as_ref().map(|postcode| postcode.as_str().to_owned()).unwrap_or_default(),
        ]
        .join("\t")
    }

    fn read(line: &str) -> Option<Self> {
        let columns: Vec<&str> = line.split('\t').collect();
        let [ods, name, standing, opened, closed, postcode] = columns.as_slice() else { return None };
        Some(HealthBody {
            ods: OdsCode::parse(ods).ok()?,
            name: (*name).to_owned(),
            standing: Standing::read(standing)?,
            opened: optional(opened, |date| date.parse().ok())?,
            closed: optional(closed, |date| date.parse().ok())?,
            postcode: optional(postcode, |text| Postcode::parse(text).ok())?,
        })
    }
}
