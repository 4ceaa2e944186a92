//! Rule packs as files: read from a folder, and held against the signatures of the people who approved them.
//!
//! A signature stands beside its pack, in `NAME.toml.sig`: a signed note (C2SP) whose text names the pack and the
//! SHA-256 of its bytes, so that any number of people can sign one pack. A pack that nobody trusted has signed, or
//! that was changed since, is refused in words. Nothing here decides which rules apply.

use std::path::{Path, PathBuf};

use evidence::{PublicKey, Signer};
use referral::Digest;
use referral::rules::library::{BUILT_IN, drafts};
use referral::rules::{Library, LibraryFault};

/// The first line of what is signed: a signature for one purpose is none for another.
const PURPOSE: &str = "safeguarding rule pack";

/// Why packs were refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A file or folder cannot be read.
    #[error("cannot read the rule packs in {path}: {source}. Put the files there, or allow the broker to read them")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody signed it.
    #[error(
        "rule pack {file} is not signed: whoever approves it signs it with `safeguarding-broker rules sign`, and {file}.sig is put beside it"
    )]
    NotSigned {
        /// The pack.
        file: String,
    },
    /// Signed, but by nobody whose key is trusted, or not this text.
    #[error("the signature of rule pack {file} was refused: {because}")]
    WronglySigned {
        /// The pack.
        file: String,
        /// Why, and what to do.
        because: &'static str,
    },
    /// They are no rules, or break a promise.
    #[error(transparent)]
    Rules(#[from] LibraryFault),
}

/// A pack and what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackFile {
    /// Its name in its folder.
    pub name: String,
    /// The pack.
    pub text: String,
    /// The note of those who signed it.
    pub signatures: Option<String>,
}

impl PackFile {
    /// Reads one.
    pub fn read(path: &Path) -> Result<PackFile, Refused> {
        let unreadable = |source| Refused::Unreadable { path: path.to_owned(), source };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let signatures = match std::fs::read_to_string(beside(path)) {
            Ok(note) => Some(note),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(Refused::Unreadable { path: beside(path), source }),
        };
        Ok(PackFile { name, text, signatures })
    }

    /// Whoever of `trusted` signed this very text.
    pub fn signed_by<'key>(&self, trusted: &'key [PublicKey]) -> Result<&'key PublicKey, Refused> {
        let note = self.signatures.as_ref().ok_or_else(|| Refused::NotSigned { file: self.name.clone() })?;
        let refused = |because| Refused::WronglySigned { file: self.name.clone(), because };
        let opened = trusted.iter().find_map(|key| key.open(note).ok().map(|text| (key, text)));
        let (key, text) = opened.ok_or_else(|| {
            refused("none of the trusted keys made it. Ask one of the people whose keys are trusted to sign the pack")
        })?;
        if text == self.to_sign()? {
            Ok(key)
        } else {
            Err(refused(
                "it is for another text: the pack was changed since, or this is another pack's. Read the difference (`rules diff`) and sign again",
            ))
        }
    }

    /// What is signed: the purpose, the pack's name, its digest.
    fn to_sign(&self) -> Result<String, Refused> {
        let names = drafts([(self.name.as_str(), self.text.as_str())])?;
        let name: String = names.iter().map(|draft| draft.head.name()).collect();
        Ok(format!("{PURPOSE}\n{name}\n{}\n", Digest::of_bytes(self.text.as_bytes())))
    }

    /// A note by which `signer` approves this very text, with the signatures that stand there for it already.
    pub fn sign(&self, signer: &Signer) -> Result<String, Refused> {
        let text = self.to_sign()?;
        let note = signer.note(&text);
        let head = format!("{text}\n");
        // Signatures of another text approve nothing here and are not carried on.
        let others = self.signatures.as_ref().and_then(|note| note.strip_prefix(&head)).unwrap_or_default();
        let own = note.strip_prefix(&head).unwrap_or_default();
        let kept: String = others.split_inclusive('\n').filter(|line| *line != own).collect();
        Ok(format!("{head}{kept}{own}"))
    }
}

/// Where the signatures of the pack at `path` stand.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

/// The packs of a folder, and those of areas in its folder `areas`, by name; or the one at a path.
pub fn read(path: &Path) -> Result<Vec<PackFile>, Refused> {
    if !path.is_dir() {
        return Ok(vec![PackFile::read(path)?]);
    }
    let mut files = of_folder(path, "")?;
    let areas = path.join("areas");
    if areas.is_dir() {
        files.extend(of_folder(&areas, "areas/")?);
    }
    Ok(files)
}

fn of_folder(folder: &Path, prefix: &str) -> Result<Vec<PackFile>, Refused> {
    let unreadable = |source| Refused::Unreadable { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: &PathBuf| PackFile::read(path).map(|file| PackFile { name: format!("{prefix}{}", file.name), ..file });
    paths.iter().map(read).collect()
}

/// Those that come with the product. Nobody needs to sign what the program itself was built with.
pub fn built_in() -> Vec<PackFile> {
    let file = |&(name, text): &(&str, &str)| PackFile { name: name.to_owned(), text: text.to_owned(), signatures: None };
    BUILT_IN.iter().map(file).collect()
}

/// Rules made of `files`. Where `trusted` is given, somebody of them must have signed each.
pub fn library(files: &[PackFile], trusted: Option<&[PublicKey]>) -> Result<Library, Refused> {
    // What is no pack is said before who did not sign it.
    let library = Library::parse(texts(files))?;
    if let Some(trusted) = trusted {
        for file in files {
            file.signed_by(trusted)?;
        }
    }
    Ok(library)
}

/// Name and text of each.
pub fn texts(files: &[PackFile]) -> impl Iterator<Item = (&str, &str)> {
    files.iter().map(|file| (file.name.as_str(), file.text.as_str()))
}
