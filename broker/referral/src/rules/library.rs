//! Which rules are in force on a date: editions, those they stand on, overlays and areas, laid together and proved.
//!
//! Every date on which what is in force changes is composed and proved when the library is read, packs that are
//! switched off too; so nothing is found out on the day. One bad pack refuses the library, and whoever held a
//! good one keeps it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;

use super::pack::{Draft, PackFault, PackKind, Tables};
use super::prove::{self, Examined, ProofFailure};
use super::table::{Row, Table};
use super::{PackId, RulePack};
use crate::Digest;
use crate::identifiers::GssCode;

/// Every edition with what lies on it, ordered by the London date from which it rules.
#[derive(Clone, Debug)]
pub struct Library {
    everywhere: Timeline,
    /// Where an authority has settings of its own.
    areas: BTreeMap<GssCode, Timeline>,
    listed: Vec<Listed>,
}

/// What is in force from each date on; none from the day after an edition ended with no other to follow it.
type Timeline = Vec<(Date, Option<Arc<RulePack>>)>;

/// One file of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The file.
    pub file: String,
    /// What it says of itself.
    pub head: super::pack::Head,
    /// The digest of its bytes.
    pub hash: Digest,
}

/// Why a set of packs was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LibraryFault {
    /// A file could not be read as a pack.
    Unreadable {
        /// Which file.
        file: String,
        /// Its faults, with lines.
        faults: Vec<PackFault>,
    },
    /// What stands together from `from` on breaks a promise.
    Unproved {
        /// From which date.
        from: Date,
        /// What breaks.
        failures: Vec<ProofFailure>,
    },
    /// There is no edition at all.
    Empty,
}

impl fmt::Display for LibraryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LibraryFault::Unreadable { file, faults } => {
                write!(f, "rule pack {file} was refused:")?;
                faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
            }
            LibraryFault::Unproved { from, failures } => {
                write!(f, "the rules in force from {from} break a promise:")?;
                failures.iter().try_for_each(|failure| write!(f, "\n  {failure}"))
            }
            LibraryFault::Empty => f.write_str("there is no edition among the rule packs"),
        }
    }
}

impl std::error::Error for LibraryFault {}

/// A draft and the file it came from.
struct Filed {
    file: String,
    draft: Draft,
}

impl Library {
    /// Reads packs (name and text of each), lays overlays over editions and areas over both, and proves what is
    /// in force on every date on which that changes.
    pub fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Library, LibraryFault> {
        let packs = filed(files)?;
        let shelf = Shelf(&packs);
        let on: Vec<&Filed> = packs.iter().filter(|filed| filed.draft.head.enabled).collect();
        let everywhere = shelf.timeline(&on, None, &Vec::new())?;
        if everywhere.is_empty() {
            return Err(LibraryFault::Empty);
        }
        let mut areas = BTreeMap::new();
        for authority in areas_of(&on).into_iter().flatten() {
            areas.insert(authority.clone(), shelf.timeline(&on, Some(authority), &everywhere)?);
        }
        // What is off is proved as if it were on, alone, so that switching it on holds no surprise.
        for off in packs.iter().filter(|filed| !filed.draft.head.enabled) {
            let packs = switched_on(&on, off);
            let area = match &off.draft.head.kind {
                PackKind::Area(authority) => Some(authority),
                PackKind::Edition | PackKind::Overlay => None,
            };
            shelf.timeline(&packs, area, &everywhere)?;
        }
        let listed =
            packs.into_iter().map(|Filed { file, draft: Draft { head, hash, .. } }| Listed { file, head, hash }).collect();
        Ok(Library { everywhere, areas, listed })
    }

    /// The packs that come with the product.
    pub fn built_in() -> Result<Library, LibraryFault> {
        Library::parse(BUILT_IN.iter().copied())
    }

    /// The rules in force on `on`, a London date of receipt.
    pub fn in_force(&self, on: Date) -> Option<&Arc<RulePack>> {
        in_force(&self.everywhere, on)
    }

    /// The rules in force on `on` where `authority` is responsible: its own settings lie on the rest.
    pub fn in_force_for(&self, on: Date, authority: &GssCode) -> Option<&Arc<RulePack>> {
        in_force(self.areas.get(authority).unwrap_or(&self.everywhere), on)
    }

    /// Every pack with the date from which it rules.
    pub fn packs(&self) -> impl Iterator<Item = (Date, &Arc<RulePack>)> {
        self.everywhere.iter().filter_map(|(from, pack)| pack.as_ref().map(|pack| (*from, pack)))
    }

    /// The last London date, from `on`, on which everything that is in force on `on` still is: the day before one
    /// with no edition, or the last day of an overlay or an area. None where no end is known.
    pub fn stands_until(&self, on: Date) -> Option<Date> {
        let gaps = self.everywhere.iter().filter(|(from, pack)| *from > on && pack.is_none());
        let last_covered = gaps.map(|(from, _)| from.saturating_sub(1.day()));
        let lying = self.listed.iter().filter(|pack| pack.head.enabled && pack.head.kind != PackKind::Edition);
        let ends = lying.filter(|pack| pack.head.covers(on)).filter_map(|pack| pack.head.effective_until);
        last_covered.chain(ends).min()
    }

    /// This library as if its last day had come: what rules then rules on every date. For rehearsing the next
    /// edition beside the one in force.
    pub fn as_if_come(&self) -> Library {
        let come = |timeline: &Timeline| -> Timeline {
            timeline
                .iter()
                .rev()
                .find(|(_, pack)| pack.is_some())
                .map(|(_, pack)| (Date::MIN, pack.clone()))
                .into_iter()
                .collect()
        };
        Library {
            everywhere: come(&self.everywhere),
            areas: self.areas.iter().map(|(authority, timeline)| (authority.clone(), come(timeline))).collect(),
            listed: self.listed.clone(),
        }
    }

    /// One digest of every file, those that are switched off too.
    pub fn hash(&self) -> Digest {
        let hashes: Vec<&[u8]> = self.listed.iter().map(|pack| pack.hash.as_bytes().as_slice()).collect();
        Digest::of(&hashes)
    }

    /// Every file, those that are switched off too.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }
}

/// What stands together from a date on, in one authority's area where one is named, and what became of every
/// property of it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// From this date.
    pub from: Date,
    /// Whose area; none for everybody else's.
    pub area: Option<GssCode>,
    /// Which packs.
    pub id: PackId,
    /// Their rows together.
    pub tables: Tables,
    /// Every property.
    pub examined: Vec<Examined>,
}

/// Lays packs together as a [`Library`] does, those that are switched off too, and examines every property
/// whether or not it holds: for the people who write packs.
pub fn examine<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Vec<Standing>, LibraryFault> {
    let packs = filed(files)?;
    let shelf = Shelf(&packs);
    let (on, off): (Vec<&Filed>, Vec<&Filed>) = packs.iter().partition(|filed| filed.draft.head.enabled);
    let rehearsals = off.iter().map(|off| (switched_on(&on, off), Some(*off)));
    let mut standing: Vec<Standing> = Vec::new();
    for (packs, only) in std::iter::once((on.clone(), None)).chain(rehearsals) {
        for area in areas_of(&packs) {
            for from in dates_of_change(&packs) {
                let Some((id, tables)) = shelf.composed(&packs, area, from)? else { continue };
                let known = standing.iter().any(|known| known.id == id);
                if !known && only.is_none_or(|off| off.draft.head.covers(from)) {
                    let mut examined = prove::examine(&tables);
                    examined.extend(shelf.of_area(&packs, area, from, &tables)?);
                    standing.push(Standing { from, area: area.cloned(), id, tables, examined });
                }
            }
        }
    }
    if standing.is_empty() { Err(LibraryFault::Empty) } else { Ok(standing) }
}

/// Reads packs without laying them together: name and text of each, in the order in which they begin to rule.
pub fn drafts<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Vec<Draft>, LibraryFault> {
    Ok(filed(files)?.into_iter().map(|filed| filed.draft).collect())
}

fn filed<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Vec<Filed>, LibraryFault> {
    let mut packs = Vec::new();
    for (file, text) in files {
        let draft = text.parse().map_err(|faults| LibraryFault::Unreadable { file: file.to_owned(), faults })?;
        packs.push(Filed { file: file.to_owned(), draft });
    }
    packs.sort_by(|a, b| {
        let order = |filed: &Filed| (filed.draft.head.effective_from, filed.draft.head.name());
        order(a).cmp(&order(b))
    });
    Ok(packs)
}

/// The packs that come with the product: name and text of each.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("wt2023.toml", include_str!("../../../../policies/packs/wt2023.toml")),
    ("wt2026.toml", include_str!("../../../../policies/packs/wt2026.toml")),
    ("encompass-2025-11-07.toml", include_str!("../../../../policies/packs/encompass-2025-11-07.toml")),
    ("rli-2026-02-05.toml", include_str!("../../../../policies/packs/rli-2026-02-05.toml")),
    ("kcsie2026-09-01.toml", include_str!("../../../../policies/packs/kcsie2026-09-01.toml")),
    ("isd-2026-09-30.toml", include_str!("../../../../policies/packs/isd-2026-09-30.toml")),
    ("lgr-surrey-2027-04-01.toml", include_str!("../../../../policies/packs/lgr-surrey-2027-04-01.toml")),
    ("csa-reporting.toml", include_str!("../../../../policies/packs/csa-reporting.toml")),
    ("macpt-2027.toml", include_str!("../../../../policies/packs/macpt-2027.toml")),
    ("consistent-id.toml", include_str!("../../../../policies/packs/consistent-id.toml")),
    ("local-clocks.toml", include_str!("../../../../policies/packs/local-clocks.toml")),
    ("vital-interests.toml", include_str!("../../../../policies/packs/vital-interests.toml")),
    ("areas/example.toml", include_str!("../../../../policies/areas/example.toml")),
];

fn in_force(timeline: &Timeline, on: Date) -> Option<&Arc<RulePack>> {
    timeline.iter().rfind(|(from, _)| *from <= on).and_then(|(_, pack)| pack.as_ref())
}

/// All the packs there are: an edition may stand on one that is switched off.
struct Shelf<'a>(&'a [Filed]);

impl<'a> Shelf<'a> {
    /// What is in force from each date on which that changes, as ruled everywhere or in one authority's area. What
    /// was `proved` before is not proved again.
    fn timeline(&self, packs: &[&'a Filed], area: Option<&GssCode>, proved: &Timeline) -> Result<Timeline, LibraryFault> {
        let mut timeline: Timeline = Vec::new();
        for from in dates_of_change(packs) {
            let pack = match self.composed(packs, area, from)? {
                Some((id, tables)) => Some(self.proved(packs, area, from, id, tables, proved)?),
                None => None,
            };
            if pack.is_some() || !timeline.is_empty() {
                timeline.push((from, pack));
            }
        }
        Ok(timeline)
    }

    fn proved(
        &self,
        packs: &[&'a Filed],
        area: Option<&GssCode>,
        from: Date,
        id: PackId,
        tables: Tables,
        proved: &Timeline,
    ) -> Result<Arc<RulePack>, LibraryFault> {
        // The same files laid together are the same pack.
        if let Some(known) = proved.iter().filter_map(|(_, pack)| pack.as_ref()).find(|pack| *pack.id() == id) {
            return Ok(known.clone());
        }
        let of_area = self.of_area(packs, area, from, &tables)?;
        prove::prove(id, tables, of_area).map(Arc::new).map_err(|failures| LibraryFault::Unproved { from, failures })
    }

    /// What is in force on `on`, not proved yet; none where no edition is.
    fn composed(&self, packs: &[&'a Filed], area: Option<&GssCode>, on: Date) -> Result<Option<(PackId, Tables)>, LibraryFault> {
        let editions = || packs.iter().filter(|filed| filed.draft.head.kind == PackKind::Edition);
        // The edition before does not come back when a later one ends: a gap is seen and asked about.
        let begun = editions().rfind(|filed| filed.draft.head.effective_from <= on);
        let Some(edition) = begun.filter(|filed| filed.draft.head.covers(on)) else { return Ok(None) };
        let from = edition.draft.head.effective_from;
        let rivals: Vec<String> =
            editions().filter(|filed| filed.draft.head.effective_from == from).map(|filed| filed.draft.head.name()).collect();
        if rivals.len() > 1 {
            // Which of two rules would be a guess.
            let situations = vec![rivals.join(" and ")];
            let failures = vec![ProofFailure { property: "One edition rules from one date", situations }];
            return Err(LibraryFault::Unproved { from, failures });
        }
        let mut layers = self.foundations(edition)?;
        layers.push(edition);
        let over = |kind: &PackKind| match kind {
            PackKind::Edition => false,
            PackKind::Overlay => true,
            PackKind::Area(authority) => area == Some(authority),
        };
        let lying = packs.iter().filter(|filed| over(&filed.draft.head.kind) && filed.draft.head.covers(on));
        // Areas lie on top of every overlay.
        let (areas, overlays): (Vec<&Filed>, Vec<&Filed>) =
            lying.partition(|filed| matches!(filed.draft.head.kind, PackKind::Area(_)));
        layers.extend(overlays.into_iter().chain(areas));
        match laid(&layers) {
            Ok(tables) => Ok(Some((identity(&layers), tables))),
            Err(failures) => Err(LibraryFault::Unproved { from: on, failures }),
        }
    }

    /// What an area has to keep beyond what every pack has: nothing where there is none.
    fn of_area(
        &self,
        packs: &[&'a Filed],
        area: Option<&GssCode>,
        on: Date,
        with: &Tables,
    ) -> Result<Vec<Examined>, LibraryFault> {
        match area {
            None => Ok(Vec::new()),
            Some(_) => {
                let beneath = self.composed(packs, None, on)?;
                Ok(beneath.map(|(_, beneath)| super::area::examine(&beneath, with)).unwrap_or_default())
            }
        }
    }

    /// The editions that `edition` stands on, the lowest first.
    fn foundations(&self, edition: &'a Filed) -> Result<Vec<&'a Filed>, LibraryFault> {
        let mut below = Vec::new();
        let mut upper = edition;
        while let Some(base) = &upper.draft.head.based_on {
            let refused = |text: String| LibraryFault::Unreadable {
                file: upper.file.clone(),
                faults: vec![PackFault { line: base.line, text }],
            };
            let called = |filed: &&Filed| {
                let head = &filed.draft.head;
                head.kind == PackKind::Edition && (head.edition == base.edition || head.name() == base.edition)
            };
            let found: Vec<&Filed> = self.0.iter().filter(called).collect();
            upper = match found.as_slice() {
                [one] => one,
                [] => return Err(refused(format!("there is no edition \"{}\" to be based on", base.edition))),
                [..] => {
                    let text = format!(
                        "there are several editions \"{}\": write its version too, such as \"{}/1\"",
                        base.edition, base.edition
                    );
                    return Err(refused(text));
                }
            };
            let loops =
                upper.draft.hash == edition.draft.hash || below.iter().any(|known: &&Filed| known.draft.hash == upper.draft.hash);
            if loops {
                return Err(refused(format!("\"{}\" stands on this one in turn", base.edition)));
            }
            below.push(upper);
        }
        below.reverse();
        Ok(below)
    }
}

/// Those that are on, and `off` as if it were on too.
fn switched_on<'a>(on: &[&'a Filed], off: &'a Filed) -> Vec<&'a Filed> {
    let head = &off.draft.head;
    // An edition takes the place of the one of its date.
    let gives_way = |other: &Filed| {
        let both_editions = head.kind == PackKind::Edition && other.draft.head.kind == PackKind::Edition;
        both_editions && other.draft.head.effective_from == head.effective_from
    };
    let mut packs: Vec<&Filed> = on.iter().copied().filter(|filed| !gives_way(filed)).collect();
    packs.push(off);
    packs.sort_by_key(|filed| filed.draft.head.effective_from);
    packs
}

/// Nobody's area, and then each authority's that has settings of its own.
fn areas_of<'a>(packs: &[&'a Filed]) -> Vec<Option<&'a GssCode>> {
    let mut areas = vec![None];
    for filed in packs {
        if let PackKind::Area(authority) = &filed.draft.head.kind
            && !areas.contains(&Some(authority))
        {
            areas.push(Some(authority));
        }
    }
    areas
}

/// Every date from which something else is in force.
fn dates_of_change(packs: &[&Filed]) -> Vec<Date> {
    let heads = packs.iter().map(|filed| &filed.draft.head);
    let ends = heads.clone().filter_map(|head| head.effective_until).map(|until| until.saturating_add(1.day()));
    let mut dates: Vec<Date> = heads.map(|head| head.effective_from).chain(ends).collect();
    dates.sort_unstable();
    dates.dedup();
    dates
}

/// The name and digest of everything that stands together.
fn identity(layers: &[&Filed]) -> PackId {
    let names: Vec<String> = layers.iter().map(|filed| filed.draft.head.name()).collect();
    let hashes: Vec<&[u8]> = layers.iter().map(|filed| filed.draft.hash.as_bytes().as_slice()).collect();
    PackId { edition: names.join("+"), hash: Digest::of(&hashes) }
}

/// The rows of all layers, each without those that a later one ends.
fn laid(layers: &[&Filed]) -> Result<Tables, Vec<ProofFailure>> {
    let mut tables = Tables::default();
    let mut unknown = Vec::new();
    for layer in layers.iter().map(|filed| &filed.draft) {
        for id in &layer.head.ends {
            if !prove::ids(&tables).any(|own| own == id.0) {
                unknown.push(format!("{} ends {id}, which does not stand in what it lies on", layer.head.edition));
            }
        }
        let ended = |id: &str| layer.head.ends.iter().any(|ended| ended.0 == id);
        fn lay<Outcome: Clone>(below: &mut Table<Outcome>, above: &Table<Outcome>, ended: impl Fn(&str) -> bool) {
            below.0.retain(|row: &Row<Outcome>| !ended(&row.reason.rule.0));
            below.0.extend(above.0.iter().cloned());
        }
        lay(&mut tables.diversion, &layer.tables.diversion, ended);
        lay(&mut tables.route, &layer.tables.route, ended);
        lay(&mut tables.desk, &layer.tables.desk, ended);
        lay(&mut tables.hold, &layer.tables.hold, ended);
        lay(&mut tables.notify, &layer.tables.notify, ended);
        lay(&mut tables.share, &layer.tables.share, ended);
        lay(&mut tables.withhold, &layer.tables.withhold, ended);
        lay(&mut tables.basis, &layer.tables.basis, ended);
        lay(&mut tables.clock, &layer.tables.clock, ended);
        lay(&mut tables.flag, &layer.tables.flag, ended);
    }
    if unknown.is_empty() {
        Ok(tables)
    } else {
        Err(vec![ProofFailure { property: "An overlay fits the edition it lies on", situations: unknown }])
    }
}
