//! The ledger's signing key: 32 bytes of seed in a file that only its owner can read.
//!
//! Made once, at the first start, and never replaced: a ledger whose key is lost can still be
//! verified, but nothing can be recorded in it, so nothing can be sent. Keep a copy in a safe.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::LedgerError;
use super::log::Signer;

/// Reads the key, or makes it from `seed` if there is none. The origin names the log it signs for.
pub fn open_or_make(path: &Path, origin: &str, seed: impl FnOnce() -> [u8; 32]) -> Result<Signer, LedgerError> {
    if !path.exists() {
        make(path, &seed()).map_err(|error| not_a_key(path, format!("could not be made: {error}")))?;
    }
    // Read back what stands there: when two make it at once, one of them wins and both use it.
    open(path, origin)
}

/// Reads the key that is there.
pub fn open(path: &Path, origin: &str) -> Result<Signer, LedgerError> {
    if origin.is_empty() || origin.contains(|c: char| c.is_whitespace() || c == '+') {
        let what = format!("the log's origin {origin:?} has to be a name without blanks and plus signs");
        return Err(not_a_key(path, what));
    }
    let read = read(path).map_err(|error| not_a_key(path, format!("could not be read: {error}")))?;
    let seed = read.map_err(|what| not_a_key(path, what.to_owned()))?;
    Ok(Signer::new(origin, &seed))
}

fn not_a_key(path: &Path, what: String) -> LedgerError {
    LedgerError::Key { path: path.display().to_string(), what }
}

fn read(path: &Path) -> io::Result<Result<[u8; 32], &'static str>> {
    let file = File::open(path)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        return Ok(Err("others can read it; allow only its owner (chmod 600)"));
    }
    let mut seed = Vec::new();
    // One byte more than a key has, so that a longer file is noticed.
    file.take(33).read_to_end(&mut seed)?;
    Ok(seed.try_into().map_err(|_| "it is not 32 bytes long; put back the right file from its copy"))
}

// Written aside, made durable, and only then given its name: there is never half a key.
fn make(path: &Path, seed: &[u8; 32]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}", std::process::id()));
    let aside = Path::new(&aside);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(aside)?;
    file.write_all(seed)?;
    file.sync_all()?;
    let named = match fs::hard_link(aside, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    };
    fs::remove_file(aside)?;
    named?;
    sync_folder(path)
}

/// A new file survives a power cut only once its folder was synced.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
