//! The directory's files: imported from what the registers publish, replaced whole or not at all, taken up by a broker
//! that runs.
//!
//! A published file is checked to its last line before anything is replaced; what was in use before stays in use
//! when it is refused, and beside the new one when it is not. Until somebody imports postcodes, the small sample
//! that ships answers, and says so.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;
use referral::Digest;
use referral::directory::{
    Directory, Gathered, HealthBody, List, Listed, Place, PostcodeKey, Postcodes, Register, School, Uprns,
};
use referral::identifiers::GssCode;

mod districts;
pub mod keeper;
pub mod lookup;
mod postcodes;
mod registers;
mod source;
mod uprns;

use districts::Count;
pub use source::Refused;
use source::Source;

/// What ships.
const SAMPLE: &str = include_str!("../../../policies/directory/sample-postcodes.csv");
const POSTCODES: &str = "postcodes.index";
const PROPERTIES: &str = "properties.index";
const SCHOOLS: &str = "schools.list";
const HEALTH: &str = "health.list";
/// A release that holds less than so many hundredths of the one in use was cut short somewhere.
const SHRUNK_PERCENT: usize = 90;

/// Which kind of publication a file is.
enum Kind {
    Postcodes,
    Properties,
    Schools,
    Links,
    HealthBodies,
}

fn kind_of(file: &Path) -> Result<Kind, Refused> {
    let mut source = Source::open(file, Some(b'#'))?;
    let Some(first) = source.next()? else { return Err(Refused::whole(file, "is empty")) };
    // A file of properties names their postcodes too.
    if uprns::are_in(first) {
        Ok(Kind::Properties)
    } else if postcodes::are_in(first) {
        Ok(Kind::Postcodes)
    } else if registers::are_schools(first) {
        Ok(Kind::Schools)
    } else if registers::are_links(first) {
        Ok(Kind::Links)
    } else if registers::are_health_bodies(first) {
        Ok(Kind::HealthBodies)
    } else {
        Err(source.refuse(
            "is no first line that is known: ONS Postcode Directory, NSPL, Code-Point Open, ONS UPRN Directory, NSUL, the \
             schools' register or its links, or an ODS extract",
        ))
    }
}

/// How an import is done.
pub struct Import {
    /// Into which folder.
    pub into: PathBuf,
    /// What the release is called; the file's name if none is given.
    pub release: Option<String>,
    /// The day that schools and NHS organisations are shown as of.
    pub as_at: Date,
    /// The release is rightly smaller than the one in use.
    pub smaller: bool,
}

impl Import {
    /// Imports files of one kind; the links of the schools' register may come with it. Folders stand for the CSV
    /// files in them. Says in a sentence what was imported.
    pub fn files(&self, given: &[PathBuf], register: &Register, say: &mut dyn FnMut(&str)) -> Result<String, Refused> {
        let (mut post, mut properties) = (Vec::new(), Vec::new());
        let (mut schools, mut links, mut health) = (Vec::new(), Vec::new(), Vec::new());
        for file in expanded(given)? {
            match kind_of(&file)? {
                Kind::Postcodes => post.push(file),
                Kind::Properties => properties.push(file),
                Kind::Schools => schools.push(file),
                Kind::Links => links.push(file),
                Kind::HealthBodies => health.push(file),
            }
        }
        fs::create_dir_all(&self.into).map_err(|error| Refused::whole(&self.into, error))?;
        match (post.as_slice(), properties.as_slice(), schools.as_slice(), links.as_slice(), health.as_slice()) {
            ([_, ..], [], [], [], []) => self.postcodes(&post, register, say),
            ([], [_, ..], [], [], []) => self.properties(&properties, register, say),
            ([], [], [file], [] | [_], []) => {
                let list = registers::schools(file, links.first(), &self.name(file), self.as_at)?;
                self.list(SCHOOLS, list, "schools")
            }
            ([], [], [], [], [file, ..]) => {
                let list = registers::health_bodies(&health, &self.name(file), self.as_at)?;
                self.list(HEALTH, list, "NHS organisations")
            }
            _ => {
                let first = given.first().map(PathBuf::as_path).unwrap_or(Path::new("nothing"));
                Err(Refused::whole(first, "the files are of several kinds, or of none; import one kind at a time"))
            }
        }
    }

    fn name(&self, file: &Path) -> String {
        let stem = || file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        self.release.clone().unwrap_or_else(stem)
    }

    fn postcodes(&self, files: &[PathBuf], register: &Register, say: &mut dyn FnMut(&str)) -> Result<String, Refused> {
        let first = files.first().map(PathBuf::as_path).unwrap_or(Path::new("nothing"));
        let mut progress = in_tenths(say, "postcodes");
        let (postcodes, count) = postcodes::read(files, &self.name(first), register, &mut progress)?;
        let place = self.into.join(POSTCODES);
        let held = postcodes.release().postcodes as usize;
        let before = read_postcodes(&place).ok().flatten().map(|before| before.release().postcodes as usize);
        self.not_shrunk(first, held, before)?;
        let bytes = postcodes.write();
        // What was written is what will be read: proved before it replaces anything.
        Postcodes::read(&bytes).map_err(|fault| Refused::whole(first, fault))?;
        replace(&place, &bytes).map_err(|error| Refused::whole(&place, format!("cannot be written: {error}")))?;
        let of = postcodes.release();
        Ok(format!(
            "imported {held} postcodes of {}: {}; {} no longer in use; {}{}",
            of.name,
            in_words(&count),
            of.ended,
            stored(&bytes, postcodes.digest()),
            self.left_out(postcodes.places(), register)
        ))
    }

    fn properties(&self, files: &[PathBuf], register: &Register, say: &mut dyn FnMut(&str)) -> Result<String, Refused> {
        let first = files.first().map(PathBuf::as_path).unwrap_or(Path::new("nothing"));
        let mut progress = in_tenths(say, "properties");
        let (properties, count) = uprns::read(files, &self.name(first), register, &mut progress)?;
        let place = self.into.join(PROPERTIES);
        let held = properties.release().properties as usize;
        let before = read_properties(&place).ok().flatten().map(|before| before.release().properties as usize);
        self.not_shrunk(first, held, before)?;
        let bytes = properties.write();
        Uprns::read(&bytes).map_err(|fault| Refused::whole(first, fault))?;
        replace(&place, &bytes).map_err(|error| Refused::whole(&place, format!("cannot be written: {error}")))?;
        let name = &properties.release().name;
        let (count, stored) = (in_words(&count), stored(&bytes, properties.digest()));
        Ok(format!("imported {held} properties of {name}: {count}; {stored}{}", self.left_out(properties.places(), register)))
    }

    /// The authorities of that day in which nothing of a release lies, as the end of a sentence: ONS publishes properties in
    /// a file for each region, and one that was forgotten is missed by nobody until somebody lives there.
    fn left_out(&self, places: &[Place], register: &Register) -> String {
        let reached: BTreeSet<&GssCode> = places
            .iter()
            .filter_map(|place| match place {
                Place::Council(gss) => Some(register.candidates(gss, self.as_at)),
                Place::ChannelIslands | Place::IsleOfMan | Place::NoDistrict => None,
            })
            .flatten()
            .map(|authority| &authority.gss)
            .collect();
        let all = register.authorities(self.as_at).count();
        let left_out: Vec<&str> = register
            .authorities(self.as_at)
            .filter(|authority| !reached.contains(&authority.gss))
            .map(|authority| authority.name.as_str())
            .collect();
        let Some(named) = left_out.get(..left_out.len().min(3)).filter(|named| !named.is_empty()) else { return String::new() };
        format!(
            "; nothing of it lies in {} of {all} authorities, such as {}: if a file of the release is missing, import all of \
             them together",
            left_out.len(),
            named.join(", ")
        )
    }

    fn list<T: Listed>(&self, file: &str, list: List<T>, of: &str) -> Result<String, Refused> {
        let place = self.into.join(file);
        let before = read_list::<T>(&place).ok().flatten().map(|before| before.count());
        self.not_shrunk(&place, list.count(), before)?;
        let text = list.write();
        List::<T>::read(&text).map_err(|fault| Refused::whole(&place, fault))?;
        replace(&place, text.as_bytes()).map_err(|error| Refused::whole(&place, format!("cannot be written: {error}")))?;
        let digest = Digest::of_bytes(text.as_bytes());
        Ok(format!("imported {} {of} of {}, as of {}; digest {digest}", list.count(), list.extract().name, list.extract().as_at))
    }

    fn not_shrunk(&self, file: &Path, held: usize, before: Option<usize>) -> Result<(), Refused> {
        match before {
            Some(before) if !self.smaller && held * 100 < before * SHRUNK_PERCENT => Err(Refused::whole(
                file,
                format!("holds {held} where the one in use holds {before}; if that is right, say --smaller"),
            )),
            Some(_) | None => Ok(()),
        }
    }
}

/// Says how far it is, ten times.
fn in_tenths<'a>(say: &'a mut dyn FnMut(&str), what: &'a str) -> impl FnMut(usize, u64) + 'a {
    let mut told = 0;
    move |count, percent| {
        if percent >= told + 10 || percent < told {
            told = percent / 10 * 10;
            say(&format!("{count} {what}, {told}% of the file"));
        }
    }
}

fn in_words(count: &Count) -> String {
    format!(
        "{} in England, {} in Wales, Scotland and Northern Ireland, {} in Crown dependencies, {} without a district, {} in \
         districts that the register does not know; {} rows passed over",
        count.english, count.devolved, count.crown, count.nowhere, count.unknown, count.passed_over
    )
}

fn stored(bytes: &[u8], digest: Digest) -> String {
    format!("{} bytes, digest {digest}", bytes.len())
}

/// The files given, and the CSV files in the folders given, in order of name.
fn expanded(given: &[PathBuf]) -> Result<Vec<PathBuf>, Refused> {
    let mut files = Vec::new();
    for path in given {
        if path.is_dir() {
            let unreadable = |error: std::io::Error| Refused::whole(path, format!("cannot be read: {error}"));
            let mut within = Vec::new();
            for entry in fs::read_dir(path).map_err(unreadable)? {
                let file = entry.map_err(unreadable)?.path();
                if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
                    within.push(file);
                }
            }
            within.sort();
            files.extend(within);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Writes beside, makes it durable, keeps what was there as the previous one, and swaps in one step.
fn replace(place: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = |what: &str| {
        let mut name = place.as_os_str().to_owned();
        name.push(what);
        PathBuf::from(name)
    };
    let (new, previous) = (beside(&format!(".{}.new", std::process::id())), beside(".previous"));
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    if place.exists() {
        match fs::remove_file(&previous) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => fs::hard_link(place, &previous)?,
        }
    }
    fs::rename(&new, place)?;
    place.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Why the imported files cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {because}", .file.display())]
pub struct Unusable {
    /// The file.
    file: PathBuf,
    /// What is wrong and what to do.
    because: String,
}

fn present(file: &Path) -> Result<Option<Vec<u8>>, Unusable> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Unusable { file: file.to_owned(), because: format!("cannot be read: {error}") }),
    }
}

fn read_postcodes(file: &Path) -> Result<Option<Postcodes>, Unusable> {
    let Some(bytes) = present(file)? else { return Ok(None) };
    let read = Postcodes::read(&bytes);
    read.map(Some).map_err(|fault| Unusable { file: file.to_owned(), because: fault.to_string() })
}

fn read_properties(file: &Path) -> Result<Option<Uprns>, Unusable> {
    let Some(bytes) = present(file)? else { return Ok(None) };
    let read = Uprns::read(&bytes);
    read.map(Some).map_err(|fault| Unusable { file: file.to_owned(), because: fault.to_string() })
}

fn read_list<T: Listed>(file: &Path) -> Result<Option<List<T>>, Unusable> {
    let Some(bytes) = present(file)? else { return Ok(None) };
    let unusable = |because: String| Unusable { file: file.to_owned(), because };
    let text = String::from_utf8(bytes).map_err(|_| unusable("is not UTF-8; import the extract again".to_owned()))?;
    List::read(&text).map(Some).map_err(|fault| unusable(fault.to_string()))
}

/// The sample that ships.
fn sample() -> Result<Postcodes, Unusable> {
    let mut gathered = Gathered::default();
    let unusable = |line: &str| Unusable { file: PathBuf::from("the sample that ships"), because: line.to_owned() };
    for line in SAMPLE.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let columns: Vec<&str> = line.split(',').collect();
        let [postcode, ended, district, _] = columns.as_slice() else { return Err(unusable(line)) };
        let key = PostcodeKey::of(postcode.as_bytes()).ok_or_else(|| unusable(line))?;
        let place = Place::read(district).and_then(|place| gathered.place(place));
        gathered.add(key, place.ok_or_else(|| unusable(line))?, !ended.is_empty());
    }
    gathered.lay_out("the sample that ships", Digest::of_bytes(SAMPLE.as_bytes())).map_err(|fault| unusable(&fault.to_string()))
}

/// `directory` with what was imported into a folder.
pub fn with_imported(directory: Directory, folder: &Path) -> Result<Directory, Unusable> {
    let (postcodes, only_a_sample) = match read_postcodes(&folder.join(POSTCODES))? {
        Some(postcodes) => (postcodes, false),
        None => (sample()?, true),
    };
    let directory = directory.with_postcodes(Arc::new(postcodes), only_a_sample);
    let directory = match read_properties(&folder.join(PROPERTIES))? {
        Some(properties) => directory.with_uprns(Arc::new(properties)),
        None => directory,
    };
    let directory = match read_list::<School>(&folder.join(SCHOOLS))? {
        Some(schools) => directory.with_schools(Arc::new(schools)),
        None => directory,
    };
    Ok(match read_list::<HealthBody>(&folder.join(HEALTH))? {
        Some(health) => directory.with_health_bodies(Arc::new(health)),
        None => directory,
    })
}
