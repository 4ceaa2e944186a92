//! The rules in force, which may be replaced while the broker runs.
//!
//! New packs are read, proved and held against their signatures, and only then take the place of the old, all of
//! them at once; packs that are refused replace nothing. What is in force is recorded in the ledger whenever that
//! changes. A shadow, the next edition, is ruled beside the real one and never acted on. Whoever judges asks
//! [`Rules::now`] once and judges by that, so no step is judged half by the old rules and half by the new. The
//! directory is changed in the same way by its own keeper ([`crate::directory::keeper`]).

use std::sync::Arc;
use std::time::Duration;

use referral::directory::Directory;
use referral::rules::{Library, Rulebook};
use referral::time::london_date;
use referral::{Digest, Moment};
use serde::Serialize;
use tokio::sync::watch;
use transport::clock::Clock;
use transport::shutdown::Shutdown;

use crate::config;
use crate::meters::Meters;
use crate::packs::{self, PackFile, Refused};
use crate::record::{Kind, Ledger, Note};

/// Warn so many days before rules end with nothing to follow them.
const RULES_END_DAYS: i64 = 30;
/// Warn so many days before the bank holidays are no longer known.
const CALENDAR_ENDS_DAYS: i64 = 90;
/// What the gauge shows where no end is known: a hundred years.
const NO_END_DAYS: i64 = 36_525;

/// What is ruled by.
#[derive(Debug)]
pub struct InForce {
    /// The rules.
    pub book: Rulebook,
    /// The next edition, as if its day had come: ruled beside, counted, never acted on.
    pub shadow: Option<Rulebook>,
}

/// The rules in force. Cheap to clone; all clones see a change at once.
#[derive(Clone)]
pub struct Rules(watch::Receiver<Arc<InForce>>);

/// Whoever may change what is in force: the keeper of the rules, and the one of the directory.
#[derive(Clone)]
pub struct Change(watch::Sender<Arc<InForce>>);

impl Change {
    /// What is in force, and who may change it, beginning with `book`.
    pub fn begin(book: Rulebook) -> (Change, Rules) {
        let (current, rules) = watch::channel(Arc::new(InForce { book, shadow: None }));
        (Change(current), Rules(rules))
    }

    fn now(&self) -> Arc<InForce> {
        self.0.borrow().clone()
    }

    /// Puts `directory` in the place of the one in use, for the shadow too. The rules stay as they are.
    pub fn directory(&self, directory: &Directory) {
        let with = |book: &Rulebook| Rulebook { directory: directory.clone(), ..book.clone() };
        self.0.send_modify(|now| {
            *now = Arc::new(InForce { book: with(&now.book), shadow: now.shadow.as_ref().map(with) });
        });
    }

    /// Puts libraries in the place of those in use; none for the rules that stay. The directory stays as it is.
    fn libraries(&self, rules: Option<Library>, shadow: Option<Library>) {
        self.0.send_modify(|now| {
            let with = |library: Library| Rulebook { library, ..now.book.clone() };
            let (book, shadow) = (rules.map_or_else(|| now.book.clone(), with), shadow.map(with));
            *now = Arc::new(InForce { book, shadow });
        });
    }
}

impl Rules {
    /// Rules that nobody will replace.
    pub fn fixed(book: Rulebook) -> Rules {
        Change::begin(book).1
    }

    /// The rules as they are at this moment.
    pub fn now(&self) -> Arc<InForce> {
        self.0.borrow().clone()
    }
}

/// What stands in the folders.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    packs: Option<Vec<PackFile>>,
    /// Or why it cannot be read: that stops nothing that is acted on.
    shadow: Result<Option<Vec<PackFile>>, String>,
}

impl Found {
    fn read(files: &config::Rules) -> Result<Found, Refused> {
        let read = |folder: &Option<std::path::PathBuf>| folder.as_deref().map(packs::read).transpose();
        Ok(Found { packs: read(&files.packs)?, shadow: read(&files.shadow).map_err(|refused| refused.to_string()) })
    }

    /// The packs of the folder, or those that come with the product.
    fn packs(&self) -> Vec<PackFile> {
        self.packs.clone().unwrap_or_else(packs::built_in)
    }

    /// The rules, and beside them the shadow.
    fn library(&self, files: &config::Rules) -> Result<Library, Refused> {
        let trusted = files.require_signature.then_some(files.trusted_keys.as_slice());
        packs::library(&self.packs(), trusted)
    }

    /// The packs in force with those of the shadow's folder, of which one with the same name takes the place of
    /// the other. Nobody has signed it yet, and nobody acts on it.
    fn shadow(&self) -> Result<Option<Library>, String> {
        let Some(shadow) = self.shadow.as_ref().map_err(String::clone)? else { return Ok(None) };
        let replaced = |file: &PackFile| shadow.iter().any(|next| next.name == file.name);
        let files: Vec<PackFile> =
            self.packs().into_iter().filter(|file| !replaced(file)).chain(shadow.iter().cloned()).collect();
        Ok(Some(packs::library(&files, None).map_err(|refused| refused.to_string())?.as_if_come()))
    }
}

/// The rules as `files` says, for one look: nothing is watched.
pub fn library(files: &config::Rules) -> Result<Library, Refused> {
    Found::read(files)?.library(files)
}

/// Keeps the rules: looks for new packs, swaps them in, records that, and warns before they end.
pub struct Keeper<L> {
    files: config::Rules,
    current: Change,
    found: Option<Found>,
    /// Seen once and not used yet: a folder that is being written to is left alone until it rests.
    unsettled: Option<Found>,
    /// Why the folders cannot be read, said once.
    unreadable: Option<String>,
    /// Why what stands in the folder does not rule. Said daily: at its next start the broker would have nothing else.
    refused: Option<String>,
    recorded: Option<Recorded>,
    warned: Option<(i64, i64)>,
    ledger: L,
    clock: Clock,
    meters: Meters,
}

/// What the ledger keeps of a change of rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Recorded {
    /// The edition in force with its overlays; none where no edition covers the day.
    edition: Option<String>,
    /// The digest of their files.
    hash: Option<Digest>,
    /// The digest of all the files together, those of later dates and of areas too.
    library: Digest,
}

impl<L: Ledger> Keeper<L> {
    /// Keeps the rules in `current`, which were read from `files` a moment ago.
    pub fn new(files: config::Rules, current: Change, ledger: L, clock: Clock, meters: Meters) -> Keeper<L> {
        Keeper {
            files,
            current,
            found: None,
            unsettled: None,
            unreadable: None,
            refused: None,
            recorded: None,
            warned: None,
            ledger,
            clock,
            meters,
        }
    }

    /// Keeps them until shutdown is requested.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut look = tokio::time::interval(Duration::from_secs(self.files.look_every_s.max(1)));
        loop {
            tokio::select! {
                _ = look.tick() => {}
                () = shutdown.requested() => return,
            }
            self.look().await;
        }
    }

    /// Looks once at the folders, at what is in force, and at how long it lasts.
    pub async fn look(&mut self) {
        if self.files.packs.is_some() || self.files.shadow.is_some() {
            let files = self.files.clone();
            // Reading and proving take their time, and others have work to do meanwhile.
            match tokio::task::spawn_blocking(move || Found::read(&files)).await {
                Ok(Ok(found)) => self.found(found).await,
                Ok(Err(refused)) => self.cannot_read(refused.to_string()),
                Err(_) => {}
            }
        }
        let now = self.clock.now();
        self.record(now).await;
        self.count_days(now);
    }

    fn cannot_read(&mut self, why: String) {
        if self.unreadable.as_ref() != Some(&why) {
            self.meters.rules_refused();
            tracing::error!("the rules stay as they are: {why}");
            self.unreadable = Some(why);
        }
    }

    async fn found(&mut self, found: Found) {
        self.unreadable = None;
        if self.found.as_ref() == Some(&found) {
            self.unsettled = None;
            return;
        }
        if self.found.is_some() && self.unsettled.as_ref() != Some(&found) {
            self.unsettled = Some(found);
            return;
        }
        self.unsettled = None;
        let (files, candidate) = (self.files.clone(), found.clone());
        let judged = tokio::task::spawn_blocking(move || (candidate.library(&files), candidate.shadow())).await;
        let Ok((library, shadow)) = judged else {
            self.cannot_read(
                "the rule packs could not be proved: the prover stopped, which is a fault of this program".to_owned(),
            );
            return;
        };
        // What was refused is not tried again until somebody changes it.
        self.found = Some(found);
        self.swap(library, shadow);
    }

    fn swap(&mut self, library: Result<Library, Refused>, shadow: Result<Option<Library>, String>) {
        let old = self.current.now();
        let today = london_date(self.clock.now());
        let covers = |library: &Library| library.in_force(today).is_some();
        let rules = match library {
            Ok(library) if library.hash() == old.book.library.hash() => {
                self.refused = None;
                None
            }
            Ok(library) if covers(&old.book.library) && !covers(&library) => {
                self.refuse(format!(
                    "{} have no edition that is in force today, so everything would wait for a person",
                    names(&library)
                ));
                None
            }
            Ok(library) => {
                self.refused = None;
                tracing::warn!("the rules were replaced: {}", names(&library));
                self.meters.rules_replaced();
                Some(library)
            }
            Err(refused) => {
                self.refuse(refused.to_string());
                None
            }
        };
        let shadow = shadow.unwrap_or_else(|refused| {
            self.meters.rules_refused();
            tracing::error!("the shadow was refused, and what was rehearsed before goes on: {refused}");
            old.shadow.as_ref().map(|shadow| shadow.library.clone())
        });
        self.current.libraries(rules, shadow);
    }

    fn refuse(&mut self, why: String) {
        self.meters.rules_refused();
        tracing::error!("new rules were refused, and those in force stay: {why}");
        self.refused = Some(why);
    }

    /// Records what is in force if that changed: other files, or another day.
    async fn record(&mut self, now: Moment) {
        let book = self.current.now();
        let pack = book.book.library.in_force(london_date(now)).map(|pack| pack.id());
        let in_force = Recorded {
            edition: pack.map(|pack| pack.edition.clone()),
            hash: pack.map(|pack| pack.hash),
            library: book.book.library.hash(),
        };
        if self.recorded.as_ref() == Some(&in_force) {
            return;
        }
        let record = serde_json::to_vec(&in_force).unwrap_or_default();
        match self.ledger.note(Note { kind: Kind::RULES, record, at: now }).await {
            Ok(_) => {
                tracing::info!("in force: {}", in_force.edition.as_deref().unwrap_or("no edition"));
                self.recorded = Some(in_force);
            }
            Err(error) => {
                self.meters.ledger_failed();
                tracing::error!("the ledger did not record which rules are in force; it is asked again: {error}");
            }
        }
    }

    fn count_days(&mut self, now: Moment) {
        let today = london_date(now);
        let rules = self.current.now();
        let days_to = |date: jiff::civil::Date| i64::from(date.since(today).map_or(0, |span| span.get_days()));
        let rules_left = match rules.book.library.in_force(today) {
            None => 0,
            Some(_) => rules.book.library.stands_until(today).map_or(NO_END_DAYS, |last| days_to(last) + 1),
        };
        let calendar_left = days_to(rules.book.calendar.covers_until()).max(0);
        self.meters.days_left(rules_left, calendar_left);
        // Once a day, as long as it lasts, and not once a look.
        if self.warned == Some((rules_left, calendar_left)) {
            return;
        }
        self.warned = Some((rules_left, calendar_left));
        if let Some(why) = &self.refused {
            tracing::error!("the folder still holds rules that were refused; the broker could not start again with them: {why}");
        }
        if rules_left == 0 {
            tracing::error!("no rules are in force today: every referral waits for a person until a pack covers the day");
        } else if rules_left <= RULES_END_DAYS {
            tracing::warn!("a rule pack ends in {rules_left} days: put the next one in place, or change its effective_until");
        }
        if calendar_left <= CALENDAR_ENDS_DAYS {
            tracing::warn!(
                "the bank holidays are known for {calendar_left} more days only: put in place the calendar as published"
            );
        }
    }
}

fn names(library: &Library) -> String {
    let names = library.listed().iter().filter(|pack| pack.head.enabled).map(|pack| pack.head.name());
    names.collect::<Vec<_>>().join(", ")
}
