//! The directory in use, which may be replaced while the broker runs: its parties, and what was imported.
//!
//! What changed is read whole, with every fault named at once; what is refused replaces nothing. A new party is known
//! to nobody before its queue and its permissions are there, and nothing is decided by a change before the ledger has it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use referral::Digest;
use referral::directory::{Changes, Directory, Releases};
use serde::Serialize;
use transport::clock::Clock;
use transport::shutdown::Shutdown;

use super::{HEALTH, POSTCODES, PROPERTIES, SCHOOLS, with_imported};
use crate::config::DirectoryFiles;
use crate::meters::Meters;
use crate::record::{Kind, Ledger, Note};
use crate::rules::{Change, Rules};
use crate::topology::Cluster;

/// What stands in the files: the endpoints, and which imports there are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    endpoints: String,
    imported: [Option<(SystemTime, u64)>; 4],
}

impl Found {
    fn read(files: &DirectoryFiles) -> Result<Found, String> {
        let stamp = |name| {
            let about = std::fs::metadata(files.imported.join(name)).ok()?;
            Some((about.modified().ok()?, about.len()))
        };
        Ok(Found { endpoints: read_endpoints(&files.endpoints)?, imported: [POSTCODES, PROPERTIES, SCHOOLS, HEALTH].map(stamp) })
    }

    fn directory(&self, files: &DirectoryFiles, is_rehearsal: bool) -> Result<Directory, String> {
        let directory = Directory::built_in(&self.endpoints).map_err(|faults| faults.to_string())?;
        if directory.parties().next().is_none() {
            return Err(format!("{} names nobody, so nothing could be delivered", files.endpoints.display()));
        }
        nobody_real_in_a_rehearsal(&directory, is_rehearsal)?;
        with_imported(directory, &files.imported).map_err(|unusable| unusable.to_string())
    }
}

/// A rehearsal never sends to real people.
pub fn nobody_real_in_a_rehearsal(directory: &Directory, is_rehearsal: bool) -> Result<(), String> {
    let live: Vec<String> = directory.parties().filter(|party| party.live).map(|party| party.endpoint.to_string()).collect();
    if !is_rehearsal || live.is_empty() {
        return Ok(());
    }
    Err(format!(
        "real people are behind {}, and [rehearsal] is allowed: take that out of the configuration, or connect test endpoints",
        live.join(", ")
    ))
}

/// The endpoints' file, as text.
pub fn read_endpoints(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("cannot read the endpoints {}: {error}", file.display()))
}

/// Keeps the directory: looks for changes, makes what they need, records them, swaps them in.
pub struct Keeper<L> {
    /// Where it is read.
    pub files: DirectoryFiles,
    /// Whether this is a rehearsal.
    pub is_rehearsal: bool,
    /// Where its queues are.
    pub cluster: Cluster,
    /// What is in force.
    pub rules: Rules,
    /// To change it.
    pub change: Change,
    /// Where changes are recorded.
    pub ledger: L,
    /// What the time is.
    pub clock: Clock,
    /// What operators see.
    pub meters: Meters,
}

/// What the keeper has seen so far.
#[derive(Default)]
struct Seen {
    /// In use, or refused: not tried again until somebody changes it.
    done_with: Option<Found>,
    /// Seen once and not used yet: a file that is being written to is left alone until it rests.
    unsettled: Option<Found>,
    /// A change was begun and not brought to its end.
    unsure: bool,
    /// What was said last, so that it is said once.
    said: Option<String>,
    recorded: Option<InUse>,
}

/// Which directory is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct InUse {
    /// The digest of the endpoints' file.
    endpoints: Digest,
    /// How many parties it connects.
    parties: usize,
    releases: Releases,
}

/// What the ledger keeps of it.
#[derive(Serialize)]
struct Recorded<'a> {
    #[serde(flatten)]
    in_use: &'a InUse,
    #[serde(flatten)]
    changes: &'a Changes,
}

impl<L: Ledger> Keeper<L> {
    /// Keeps it until shutdown is requested.
    pub async fn run(self, shutdown: Shutdown) {
        let mut look = tokio::time::interval(Duration::from_secs(self.files.look_every_s.max(1)));
        let mut seen = Seen::default();
        loop {
            tokio::select! {
                _ = look.tick() => {}
                () = shutdown.requested() => return,
            }
            self.look(&mut seen).await;
        }
    }

    async fn look(&self, seen: &mut Seen) {
        let files = self.files.clone();
        let found = match tokio::task::spawn_blocking(move || Found::read(&files)).await {
            Ok(Ok(found)) => found,
            Ok(Err(why)) => return self.stays(seen, why),
            Err(_) => return,
        };
        if seen.done_with.as_ref() == Some(&found) {
            seen.unsettled = None;
            return;
        }
        // The first look is at what the broker has just started with.
        if seen.done_with.is_some() && seen.unsettled.as_ref() != Some(&found) {
            seen.unsettled = Some(found);
            return;
        }
        let (files, candidate, is_rehearsal) = (self.files.clone(), found.clone(), self.is_rehearsal);
        match tokio::task::spawn_blocking(move || candidate.directory(&files, is_rehearsal)).await {
            // What could not be established or recorded is tried again at the next look.
            Ok(Ok(directory)) => match self.take(seen, &found, directory).await {
                Ok(()) => seen.done_with = Some(found),
                Err(why) => {
                    // What was made or taken away by then, the next look puts right, whichever file it finds.
                    seen.done_with = None;
                    seen.unsure = true;
                    self.stays(seen, why);
                }
            },
            Ok(Err(why)) => {
                self.stays(seen, why);
                seen.done_with = Some(found);
            }
            Err(_) => self.stays(seen, "the new files could not be read: the reader stopped, a fault of this program".to_owned()),
        }
    }

    fn stays(&self, seen: &mut Seen, why: String) {
        if seen.said.as_ref() != Some(&why) {
            self.meters.directory_refused();
            tracing::error!("the directory in use stays: {why}");
            seen.said = Some(why);
        }
    }

    /// Makes what a directory needs, records it, and puts it in the place of the one in use.
    async fn take(&self, seen: &mut Seen, found: &Found, directory: Directory) -> Result<(), String> {
        let before = self.rules.now();
        let before = &before.book.directory;
        let changes = directory.changes_since(before);
        if directory.lacks_a_release_of(before) {
            return Err("a release that places are looked up in is not there any more; import one".to_owned());
        }
        if !changes.are_none() || seen.unsure {
            self.cluster.establish(&directory).await.map_err(|faults| faults.to_string())?;
        }
        let in_use = InUse {
            endpoints: Digest::of_bytes(found.endpoints.as_bytes()),
            parties: directory.parties().count(),
            releases: directory.releases(),
        };
        if seen.recorded.as_ref() != Some(&in_use) || !changes.are_none() {
            let record = serde_json::to_vec(&Recorded { in_use: &in_use, changes: &changes }).unwrap_or_default();
            let note = Note { kind: Kind::DIRECTORY, record, at: self.clock.now() };
            if let Err(error) = self.ledger.note(note).await {
                self.meters.ledger_failed();
                return Err(format!("the ledger did not record the new one; it is asked again: {error}"));
            }
            seen.recorded = Some(in_use);
        }
        (seen.said, seen.unsure) = (None, false);
        for desk in directory.missing_desks() {
            tracing::warn!("{desk} is not connected: what is meant for it, an operator is asked to say by telephone");
        }
        if !changes.are_none() {
            self.change.directory(&directory);
            self.meters.directory_replaced();
            tracing::warn!("the directory was replaced: {changes}");
            for (endpoint, waiting) in self.cluster.left_behind(&changes.no_longer).await {
                tracing::error!("{waiting} messages stay in the queue of {endpoint}, which nobody may read any more");
            }
        }
        Ok(())
    }
}
