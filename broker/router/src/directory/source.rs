//! A published file as it comes: read once, hashed while it is read, with a line to blame.
//!
//! Refuses what is not the file it says it is: another encoding, a row that is cut off, a last line without an end.
//! Never repeats a row in a refusal.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use referral::Digest;
use sha2::{Digest as _, Sha256};

/// Why a file was refused. What was in use before stays in use.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {because}; nothing was replaced", .file.display(), .line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct Refused {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; none when it is about the whole.
    pub line: Option<u64>,
    /// What is wrong and what to do.
    pub because: String,
}

impl Refused {
    /// About a whole file.
    pub fn whole(file: &Path, because: impl ToString) -> Self {
        Refused { file: file.to_owned(), line: None, because: because.to_string() }
    }
}

/// Reads on, keeping the digest, the count and the last byte of what went by.
struct Watched<R> {
    inner: R,
    hash: Sha256,
    read: u64,
    last: Option<u8>,
    /// Lines end as on Windows; known once the first has ended.
    windows: Option<bool>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        self.hash.update(bytes);
        self.read += count as u64;
        if self.windows.is_none()
            && let Some(end) = bytes.iter().position(|byte| *byte == b'\n')
        {
            let before = end.checked_sub(1).map_or(self.last, |before| bytes.get(before).copied());
            self.windows = Some(before == Some(b'\r'));
        }
        self.last = bytes.last().copied().or(self.last);
        Ok(count)
    }
}

/// What some programs write in front of UTF-8.
const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];
/// How large a piece is read at once.
const PIECE: usize = 1 << 20;

/// A file of rows.
pub struct Source {
    file: PathBuf,
    size: u64,
    rows: csv::Reader<Watched<std::io::Chain<Cursor<Vec<u8>>, File>>>,
    record: ByteRecord,
}

impl Source {
    /// Opens a file. Lines that begin with `comment`, if given, are passed over.
    pub fn open(path: &Path, comment: Option<u8>) -> Result<Self, Refused> {
        let unreadable = |error: std::io::Error| Refused::whole(path, format!("cannot be read: {error}"));
        let mut opened = File::open(path).map_err(unreadable)?;
        let size = opened.metadata().map_err(unreadable)?.len();
        let mut front = Vec::with_capacity(3);
        opened.by_ref().take(3).read_to_end(&mut front).map_err(unreadable)?;
        if front.starts_with(&[0xFF, 0xFE]) || front.starts_with(&[0xFE, 0xFF]) {
            return Err(Refused::whole(path, "is UTF-16; save it as published, not from a spreadsheet"));
        }
        if front.starts_with(b"PK") || front.starts_with(&[0x1F, 0x8B]) {
            return Err(Refused::whole(path, "is packed; unpack it first and name the CSV file in it"));
        }
        let mut hash = Sha256::new();
        if front == BYTE_ORDER_MARK {
            // No part of the first column's name, but of the file's digest.
            hash.update(BYTE_ORDER_MARK);
            front.clear();
        }
        let watched = Watched { inner: Cursor::new(front).chain(opened), hash, read: 0, last: None, windows: None };
        let rows = csv::ReaderBuilder::new().has_headers(false).comment(comment).buffer_capacity(PIECE).from_reader(watched);
        Ok(Source { file: path.to_owned(), size, rows, record: ByteRecord::new() })
    }

    /// The next row. None after the last.
    pub fn next(&mut self) -> Result<Option<&ByteRecord>, Refused> {
        match self.rows.read_byte_record(&mut self.record) {
            Ok(true) => Ok(Some(&self.record)),
            Ok(false) => self.whole_to_the_end().map(|()| None),
            Err(error) => {
                let line = error.position().map(|position| self.line_of(position));
                let because = match error.into_kind() {
                    csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        format!("has {len} columns where the lines before have {expected_len}: it is cut off or damaged")
                    }
                    csv::ErrorKind::Io(error) => format!("cannot be read: {error}"),
                    _ => "is no line of a CSV file".to_owned(),
                };
                Err(Refused { file: self.file.clone(), line, because })
            }
        }
    }

    fn whole_to_the_end(&self) -> Result<(), Refused> {
        match self.rows.get_ref().last {
            Some(b'\n') => Ok(()),
            Some(_) => Err(Refused {
                line: Some(self.rows.position().line()),
                ..Refused::whole(&self.file, "the last line has no end: the file is cut off")
            }),
            None => Err(Refused::whole(&self.file, "is empty")),
        }
    }

    /// A refusal of the row that [`Source::next`] gave last.
    pub fn refuse(&self, because: impl ToString) -> Refused {
        let line = self.record.position().map(|position| self.line_of(position));
        Refused { file: self.file.clone(), line, because: because.to_string() }
    }

    /// The line that [`Source::next`] gave last.
    pub fn line(&self) -> u64 {
        self.record.position().map(|position| self.line_of(position)).unwrap_or_default()
    }

    /// The reader takes a row to begin between the two characters of a Windows line end, so it counts one too few.
    fn line_of(&self, position: &csv::Position) -> u64 {
        let windows = self.rows.get_ref().windows == Some(true);
        position.line() + u64::from(windows && position.byte() > 0)
    }

    /// The row that [`Source::next`] gave last.
    pub fn record(&self) -> &ByteRecord {
        &self.record
    }

    /// How much of it was read, in hundredths.
    pub fn percent(&self) -> u64 {
        (self.rows.get_ref().read * 100).checked_div(self.size).unwrap_or(100).min(100)
    }

    /// A column of the row given last, as text in ASCII.
    pub fn ascii(&self, column: usize) -> Result<&str, Refused> {
        let field = self.record.get(column).unwrap_or_default();
        let text = std::str::from_utf8(field).ok().filter(|text| text.is_ascii() && !text.contains('\0'));
        text.map(str::trim).ok_or_else(|| self.refuse("holds bytes that this file cannot have: its encoding is another"))
    }

    /// The digest of the whole file, once it was read to its end.
    pub fn digest(&self) -> Digest {
        Digest::from_bytes(self.rows.get_ref().hash.clone().finalize().into())
    }
}

/// One digest for all the files of a release.
pub fn of_all(digests: &[Digest]) -> Digest {
    match digests {
        [one] => *one,
        several => Digest::of(&several.iter().map(|digest| digest.as_bytes().as_slice()).collect::<Vec<_>>()),
    }
}

/// Where a column is, by the first of several names, in any case.
pub fn column(header: &ByteRecord, names: &[&str]) -> Option<usize> {
    let is = |field: &[u8], name: &str| std::str::from_utf8(field).is_ok_and(|field| field.trim().eq_ignore_ascii_case(name));
    names.iter().find_map(|name| header.iter().position(|field| is(field, name)))
}
