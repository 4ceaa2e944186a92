//! `safeguarding-broker rules`: for the people who write, read and sign rule packs. Needs no broker, no
//! configuration and no network, and changes nothing but the files it is told to write.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use jiff::civil::Date;
use referral::rules::diff::diff;
use referral::rules::library::{BUILT_IN, Standing, drafts, examine};
use referral::rules::pack::PackKind;
use referral::rules::render;
use router::packs::{self, PackFile};
use router::record::key;
use router::record::log::PublicKey;

type Failure = Box<dyn std::error::Error>;

/// What can be done with rule packs. A folder stands for all the packs in it.
#[derive(Subcommand)]
pub enum RulesCommand {
    /// Write packs in words, as Markdown: a page per table, a sentence per row. Makes policies/RULEBOOK.md.
    Render {
        /// The packs; those that come with the product if none is named.
        files: Vec<PathBuf>,
    },
    /// Say in which situations NEW rules otherwise than OLD, and in no others.
    Diff {
        /// The rules as they are.
        old: PathBuf,
        /// The rules as they would be: an edition, or what would lie or stand on OLD.
        new: PathBuf,
        /// Packs that stand or lie with both.
        #[arg(long)]
        with: Vec<PathBuf>,
        /// The London date whose rules are compared; the last on which anything changes if left out.
        #[arg(long)]
        on: Option<Date>,
    },
    /// Prove every promise over every situation there is, and name the situations that break one.
    Prove {
        /// The packs; those that come with the product if none is named.
        files: Vec<PathBuf>,
    },
    /// Make a signing key if there is none yet, and print the public key to be trusted.
    Key {
        /// The key's file.
        #[arg(long)]
        key: PathBuf,
        /// Whose key it is, such as `leeds-caldicott-guardian`.
        #[arg(long)]
        name: String,
    },
    /// Approve packs: write a signature beside each.
    Sign {
        /// The key's file.
        #[arg(long)]
        key: PathBuf,
        /// Whose key it is.
        #[arg(long)]
        name: String,
        /// The packs.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Say who signed each pack.
    Verify {
        /// A public key that is trusted, as `rules key` prints it.
        #[arg(long, required = true)]
        trusted: Vec<String>,
        /// The packs.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Runs it.
pub fn run(command: RulesCommand) -> Result<(), Failure> {
    match command {
        RulesCommand::Render { files } => {
            let named = read(&files)?;
            let packs = drafts(if files.is_empty() { built_in() } else { texts(&named) })?;
            print!("{}", render::rulebook(&packs));
        }
        RulesCommand::Diff { old, new, with, on } => print!("{}", difference(&old, &new, &with, on)?),
        RulesCommand::Prove { files } => {
            let named = read(&files)?;
            let standing = examine(if files.is_empty() { built_in() } else { texts(&named) })?;
            print!("{}", proofs(&standing));
            if standing.iter().any(breaks) {
                return Err("a promise is broken; these packs must not rule".into());
            }
        }
        RulesCommand::Key { key, name } => println!("{}", key::open_or_make(&key, &name, router::broker::salt)?.public()),
        RulesCommand::Sign { key, name, files } => {
            let signer = key::open(&key, &name)?;
            for path in files {
                let note = PackFile::read(&path)?.sign(&signer)?;
                std::fs::write(packs::beside(&path), note)?;
                println!("{} is signed by {name}", path.display());
            }
        }
        RulesCommand::Verify { trusted, files } => {
            let keys: Result<Vec<PublicKey>, _> = trusted.iter().map(|key| PublicKey::parse(key)).collect();
            let keys = keys.map_err(|_| "a trusted key is not a public key as `rules key` prints it")?;
            for file in read(&files)? {
                println!("{} is signed by {}", file.name, file.signed_by(&keys)?.name());
            }
        }
    }
    Ok(())
}

fn read(paths: &[PathBuf]) -> Result<Vec<PackFile>, packs::Refused> {
    let read: Result<Vec<_>, _> = paths.iter().map(|path| packs::read(path)).collect();
    Ok(read?.concat())
}

fn built_in() -> Vec<(&'static str, &'static str)> {
    BUILT_IN.to_vec()
}

fn texts(files: &[PackFile]) -> Vec<(&str, &str)> {
    packs::texts(files).collect()
}

fn difference(old: &Path, new: &Path, with: &[PathBuf], on: Option<Date>) -> Result<String, Failure> {
    let (old, new, with) = (packs::read(old)?, packs::read(new)?, read(with)?);
    let alone = drafts(texts(&new))?.iter().any(|draft| draft.head.kind == PackKind::Edition && draft.head.based_on.is_none());
    let before = [old.clone(), with.clone()].concat();
    let after = if alone { [new, with].concat() } else { [old, new, with].concat() };
    let (before, after) = (examine(texts(&before))?, examine(texts(&after))?);
    let last = |standing: &[Standing]| -> Result<Standing, Failure> {
        let begun = standing.iter().filter(|standing| on.is_none_or(|on| standing.from <= on));
        begun.max_by_key(|standing| standing.from).cloned().ok_or_else(|| "there are no rules on that date".into())
    };
    let (before, after) = (last(&before)?, last(&after)?);
    let changes = diff(&before.tables, &after.tables);
    let mut text = format!("From {} to {}:\n", before.id, after.id);
    if changes.is_empty() {
        text.push_str("No situation is ruled differently.\n");
    }
    for change in changes {
        text.push_str(&format!("  {}: {change}\n", change.table));
    }
    Ok(text)
}

fn breaks(standing: &Standing) -> bool {
    standing.examined.iter().any(|examined| !examined.situations.is_empty())
}

fn proofs(standing: &[Standing]) -> String {
    let mut text = String::new();
    for standing in standing {
        let area = standing.area.as_ref().map_or_else(String::new, |area| format!(", where {area} is responsible"));
        text.push_str(&format!("{} from {}{area}\n", standing.id, standing.from));
        for examined in &standing.examined {
            let result = if examined.situations.is_empty() { "holds" } else { "BROKEN" };
            text.push_str(&format!("  {result}: {}\n", examined.property));
            for situation in &examined.situations {
                text.push_str(&format!("    {situation}\n"));
            }
        }
    }
    text
}
