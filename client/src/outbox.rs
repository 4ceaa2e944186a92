//! A sender's memory, on its own disk: under which key what was sent. No content, only digests.
//!
//! The key is there before anything is sent. A send that was cut off is the same send again, whichever way it
//! was cut off; the broker sees one submission.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use referral::{Digest, Endpoint, IdempotencyKey};
use serde::{Deserialize, Serialize};

/// One thing sent, or about to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its key.
    pub key: IdempotencyKey,
    /// The referral, once the receipt came.
    pub referral_id: Option<String>,
}

/// What a sender sent.
#[derive(Clone, Debug)]
pub struct Outbox {
    folder: PathBuf,
}

impl Outbox {
    /// The outbox of `party` in `folder`.
    pub fn open(folder: &Path, party: &Endpoint) -> io::Result<Outbox> {
        let folder = folder.join(party.to_string());
        make_private_folder(&folder)?;
        Ok(Outbox { folder })
    }

    fn path(&self, what: &Digest) -> PathBuf {
        self.folder.join(format!("{what}.json"))
    }

    /// What is remembered of the content with the digest `what`.
    pub fn entry(&self, what: &Digest) -> io::Result<Option<Entry>> {
        match fs::read_to_string(self.path(what)) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(io::Error::other),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Remembers `entry`. On return it survives a power cut.
    pub fn remember(&self, what: &Digest, entry: &Entry) -> io::Result<()> {
        let text = serde_json::to_string(entry).map_err(io::Error::other)?;
        write_whole(&self.path(what), text.as_bytes())
    }
}

/// The key in the file at `path`, which the sender named. If there is none yet, `new` is put there first: on return
/// it survives a power cut, and whatever is sent under it can be sent again.
pub fn key_in_file(path: &Path, new: IdempotencyKey) -> io::Result<IdempotencyKey> {
    match fs::read_to_string(path) {
        Ok(text) => IdempotencyKey::parse(text.trim()).map_err(|why| io::Error::other(format!("what stands in it {why}"))),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            write_whole(path, format!("{new}\n").as_bytes())?;
            Ok(new)
        }
        Err(fault) => Err(fault),
    }
}

/// Makes a folder that only its owner can enter.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a file that only its owner can read: whole or not at all, and durable on return.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Written aside first: a crash leaves the old file or the new one, never half of one.
    let aside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_that_was_cut_off_is_found_again_under_its_key() {
        let folder = std::env::temp_dir().join(format!("outbox-{}", uuid::Uuid::new_v4()));
        let school = Endpoint::parse("school.999001").unwrap();
        let what = Digest::of_bytes(b"content");
        let entry = Entry { key: IdempotencyKey::from_bytes([5; 16]), referral_id: None };
        Outbox::open(&folder, &school).unwrap().remember(&what, &entry).unwrap();
        let again = Outbox::open(&folder, &school).unwrap();
        assert_eq!(again.entry(&what).unwrap().unwrap().key, entry.key);
        assert!(again.entry(&Digest::of_bytes(b"other content")).unwrap().is_none());
        let other = Endpoint::parse("school.999002").unwrap();
        assert!(Outbox::open(&folder, &other).unwrap().entry(&what).unwrap().is_none());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_key_file_keeps_its_first_key_and_is_nobody_elses_to_read() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("key-{}", uuid::Uuid::new_v4()));
        let (first, second) = (IdempotencyKey::from_bytes([5; 16]), IdempotencyKey::from_bytes([6; 16]));
        assert_eq!(key_in_file(&path, first).unwrap(), first);
        assert_eq!(key_in_file(&path, second).unwrap(), first);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "not a key").unwrap();
        assert!(key_in_file(&path, second).is_err());
        fs::remove_file(&path).unwrap();
    }
}
