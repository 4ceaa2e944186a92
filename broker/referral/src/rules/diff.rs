//! What changes between two sets of rules: the exact situations whose outcome differs, and how.
//!
//! Computed on outcomes, not on rows: a rule that was only reworded, split or moved changes nothing here, and no
//! situation is listed that is ruled as before. A person signs a new edition by reading this.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::Ruling;
use super::pack::{Extent, Tables};
use super::render;
use super::table::{Column, Cube, Row, Table};
use crate::vocab::{Category, RecipientKind, Vocabulary};

/// A set of situations that are ruled differently, all in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What of the ruling changes: a table's name; `share` for what a recipient is given in the end.
    pub table: &'static str,
    /// What followed before, in words; none where nothing did.
    pub was: Option<String>,
    /// What follows now, in words; none where nothing does.
    pub becomes: Option<String>,
    /// In which situations.
    pub when: Cube,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = match (&self.was, &self.becomes) {
            (Some(was), Some(becomes)) => format!("until now {was}; from now on {becomes}"),
            (None, Some(becomes)) => format!("newly, {becomes}"),
            (Some(was), None) => format!("no longer: {was}"),
            (None, None) => "nothing changes".to_owned(),
        };
        write!(f, "{}.", render::situation(&self.when, &change))
    }
}

/// Every change from `old` to `new`.
pub fn diff(old: &Tables, new: &Tables) -> Vec<Change> {
    let mut changes = Vec::new();
    // A diversion goes before any route, and of each there is one: laid in this order, the first that matches rules.
    let routes = |tables: &Tables| Table(tables.diversion.0.iter().chain(&tables.route.0).cloned().collect());
    changes.extend(the_one("route", &routes(old), &routes(new), render::route));
    changes.extend(the_one("desk", &old.desk, &new.desk, render::desk));
    changes.extend(each("hold", &old.hold, &new.hold, |hold| render::held(*hold).to_owned()));
    changes.extend(each("notify", &old.notify, &new.notify, render::notify));
    changes.extend(extents(old, new));
    changes.extend(each("basis", &old.basis, &new.basis, render::basis));
    changes.extend(each("clock", &old.clock, &new.clock, render::clock));
    changes.extend(each("flag", &old.flag, &new.flag, render::flag));
    changes
}

/// What changes, and the situations in which it does so.
type Changed = BTreeMap<(Option<String>, Option<String>), Vec<Cube>>;

fn told(table: &'static str, changed: Changed) -> impl Iterator<Item = Change> {
    changed.into_iter().flat_map(move |((was, becomes), cubes)| {
        joined(cubes).into_iter().map(move |when| Change { table, was: was.clone(), becomes: becomes.clone(), when })
    })
}

/// Tables of which one row rules: the first that matches, and in a proved pack the only one.
fn the_one<Outcome: PartialEq>(
    table: &'static str,
    old: &Table<Outcome>,
    new: &Table<Outcome>,
    say: fn(&Outcome) -> String,
) -> impl Iterator<Item = Change> {
    fn pieces<Outcome>(table: &Table<Outcome>) -> Vec<(Cube, Option<&Outcome>)> {
        let mut pieces = Vec::new();
        let mut left = vec![Cube::everything()];
        for row in &table.0 {
            pieces.extend(within(&left, &row.when).map(|both| (both, Some(&row.outcome))));
            left = left.iter().flat_map(|cube| cube.subtract(&row.when)).collect();
        }
        pieces.extend(left.into_iter().map(|cube| (cube, None)));
        pieces
    }
    let (before, after) = (pieces(old), pieces(new));
    let mut changed = Changed::new();
    for (was_when, was) in &before {
        for (when, becomes) in after.iter().filter(|(_, becomes)| becomes != was) {
            let both = was_when.intersect(when);
            if !both.is_empty() {
                changed.entry((was.map(say), becomes.map(say))).or_default().push(both);
            }
        }
    }
    told(table, changed)
}

fn within<'a>(cubes: &'a [Cube], region: &'a Cube) -> impl Iterator<Item = Cube> + 'a {
    cubes.iter().map(|cube| cube.intersect(region)).filter(|both| !both.is_empty())
}

/// Tables of which every row that matches rules: each outcome comes or goes by itself.
fn each<Outcome: PartialEq>(
    table: &'static str,
    old: &Table<Outcome>,
    new: &Table<Outcome>,
    say: fn(&Outcome) -> String,
) -> impl Iterator<Item = Change> {
    let mut outcomes: Vec<&Outcome> = Vec::new();
    for row in old.0.iter().chain(&new.0) {
        if !outcomes.contains(&&row.outcome) {
            outcomes.push(&row.outcome);
        }
    }
    let mut changed = Changed::new();
    for outcome in outcomes {
        let region = |table: &Table<Outcome>| -> Vec<Cube> {
            table.0.iter().filter(|row| row.outcome == *outcome).map(|row| row.when.clone()).collect()
        };
        let (before, after) = (region(old), region(new));
        let mut note = |key, cubes: Vec<Cube>| {
            if !cubes.is_empty() {
                changed.entry(key).or_default().extend(cubes);
            }
        };
        note((Some(say(outcome)), None), difference(&before, &after));
        note((None, Some(say(outcome))), difference(&after, &before));
    }
    told(table, changed)
}

/// What is in one of `these` and in none of `those`, each situation once.
fn difference(these: &[Cube], those: &[Cube]) -> Vec<Cube> {
    let each = these.iter().enumerate().map(|(at, cube)| {
        // What is the same in both costs nothing.
        if those.contains(cube) { Vec::new() } else { cube.subtract_all(those.iter().chain(these.iter().take(at))) }
    });
    each.flatten().collect()
}

/// What a recipient is given of a category in the end.
fn extents(old: &Tables, new: &Tables) -> impl Iterator<Item = Change> {
    let say = |extent| Some(format!("the recipient is given {}", render::given(extent)));
    let mut changed = Changed::new();
    for (when, was, becomes) in given_otherwise(old, new, &Cube::everything()) {
        changed.entry((say(was), say(becomes))).or_default().push(when);
    }
    told("share", changed)
}

/// Where in `region` a recipient is given of a category something else by `new` than by `old`, and what: withholding
/// beats giving. Worked out cell by cell of the matrix, of which few rows speak.
pub(super) fn given_otherwise(old: &Tables, new: &Tables, region: &Cube) -> Vec<(Cube, Extent, Extent)> {
    let mut otherwise = Vec::new();
    for recipient in RecipientKind::ALL {
        for category in Category::ALL {
            let cell =
                region.clone().and(Column::Recipient, 1 << recipient.ordinal()).and(Column::Category, 1 << category.ordinal());
            let rows = |table: &Table<Extent>| -> Vec<(Cube, Extent)> {
                let inside = table.0.iter().map(|row: &Row<Extent>| (row.when.intersect(&cell), row.outcome));
                inside.filter(|(when, _)| !when.is_empty()).collect()
            };
            let (before, after) = ((rows(&old.share), rows(&old.withhold)), (rows(&new.share), rows(&new.withhold)));
            if cell.is_empty() || before == after {
                continue;
            }
            let (before, after) = (given(&cell, &before.0, &before.1), given(&cell, &after.0, &after.1));
            for (was_when, was) in &before {
                for (when, becomes) in after.iter().filter(|(_, becomes)| becomes != was) {
                    let both = was_when.intersect(when);
                    if !both.is_empty() {
                        otherwise.push((both, *was, *becomes));
                    }
                }
            }
        }
    }
    otherwise
}

/// The cell cut into pieces, each with what is given in it.
fn given(cell: &Cube, share: &[(Cube, Extent)], withhold: &[(Cube, Extent)]) -> Vec<(Cube, Extent)> {
    let mut pieces = Vec::new();
    let mut left = vec![cell.clone()];
    for extent in Extent::ALL.iter().rev() {
        for (when, _) in share.iter().filter(|(_, shared)| shared == extent) {
            pieces.extend(within(&left, when).map(|both| (both, *extent)));
            left = left.iter().flat_map(|cube| cube.subtract(when)).collect();
        }
    }
    pieces.extend(left.into_iter().map(|cube| (cube, Extent::Nothing)));
    for (when, leaves) in withhold {
        pieces = pieces
            .into_iter()
            .flat_map(|(cube, extent)| {
                let cut = cube.intersect(when);
                if extent <= *leaves || cut.is_empty() {
                    return vec![(cube, extent)];
                }
                let kept = cube.subtract(when).into_iter().map(|cube| (cube, extent));
                kept.chain(std::iter::once((cut, *leaves))).collect()
            })
            .collect();
    }
    pieces
}

/// The same situations in fewer cubes: those that differ in one column only become one.
fn joined(mut cubes: Vec<Cube>) -> Vec<Cube> {
    loop {
        let before = cubes.len();
        for column in Column::ALL {
            let mut places: HashMap<Cube, usize> = HashMap::new();
            let mut together: Vec<(Cube, u64)> = Vec::new();
            for cube in &cubes {
                let (others, values) = (cube.without(column), cube.values(column));
                let at = *places.entry(others.clone()).or_insert(together.len());
                match together.get_mut(at) {
                    Some((_, known)) => *known |= values,
                    None => together.push((others, values)),
                }
            }
            let whole = |values| values == column.all_values();
            cubes = together
                .into_iter()
                .map(|(others, values)| if whole(values) { others } else { others.and(column, values) })
                .collect();
        }
        if cubes.len() == before {
            return cubes;
        }
    }
}

crate::vocab::vocabulary! {
    /// In what two rulings on the same referral differ.
    pub enum Difference = "difference" {
        /// What happens to it.
        Decision => "decision",
        /// Who receives it, as what, in which role.
        Recipients => "recipients",
        /// What somebody is given of an item.
        Extents => "extents",
        /// In which law somebody is given it.
        Bases => "bases",
        /// Which clocks start, and when they are due.
        Clocks => "clocks",
    }
}

/// In what `other` differs from `ruling`; which rules decided it is no difference.
pub fn between(ruling: &Ruling, other: &Ruling) -> Vec<Difference> {
    let recipients =
        |ruling: &Ruling| -> Vec<_> { ruling.views().iter().map(|view| (view.to().clone(), view.kind(), view.role())).collect() };
    let extents = |ruling: &Ruling| -> Vec<_> {
        let verdicts = ruling.views().iter().flat_map(|view| view.verdicts().iter().map(move |verdict| (view.to(), verdict)));
        verdicts.map(|(to, verdict)| (to.clone(), verdict.item, verdict.given)).collect()
    };
    let bases = |ruling: &Ruling| -> Vec<_> {
        let bases = ruling.views().iter().flat_map(|view| view.bases().iter().map(move |basis| (view.to().clone(), *basis)));
        let mut bases: Vec<_> = bases.collect();
        bases.sort();
        bases
    };
    let clocks = |ruling: &Ruling| -> Vec<_> {
        let mut clocks: Vec<_> = ruling.clocks().iter().map(|clock| (clock.name, clock.due.by, clock.ends_with)).collect();
        clocks.sort();
        clocks
    };
    let differs = |difference: Difference| match difference {
        Difference::Decision => ruling.decision() != other.decision(),
        Difference::Recipients => recipients(ruling) != recipients(other),
        // Where somebody else receives it, what each is given differs for that reason alone.
        Difference::Extents => recipients(ruling) == recipients(other) && extents(ruling) != extents(other),
        Difference::Bases => recipients(ruling) == recipients(other) && bases(ruling) != bases(other),
        Difference::Clocks => clocks(ruling) != clocks(other),
    };
    Difference::ALL.iter().copied().filter(|&difference| differs(difference)).collect()
}
