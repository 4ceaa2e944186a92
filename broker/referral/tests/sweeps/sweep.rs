//! Every situation there is, in groups that no row tells apart.
//!
//! A column is split only where a row that can still match speaks of it, and two values of it fall into one group
//! only where every such row allows both or neither. So one representative stands for its whole group, and the rest
//! cannot differ. That the groups together are all situations, none left out and none twice, is counted and asserted.

use std::time::Instant;

use referral::rules::pack::{Extent, Tables};
use referral::rules::table::{COLUMNS, Column, Cube, Situation, Table};
use referral::vocab::Vocabulary;

/// How long a sweep takes is printed, and nothing depends on it.
#[expect(clippy::disallowed_methods, reason = "a stopwatch, not a clock that the core reads")]
pub fn stopwatch() -> Instant {
    Instant::now()
}

/// One situation, a place in each column's list of values.
pub type Ordinals = [u8; COLUMNS];

/// What tells most situations apart goes first, so that the groups are few.
const FIRST: [Column; 3] = [Column::Event, Column::Recipient, Column::Category];

struct Sweep<'a> {
    columns: Vec<(Column, u64)>,
    each: &'a mut dyn FnMut(&Ordinals),
    groups: usize,
    situations: u128,
}

impl Sweep<'_> {
    fn split(&mut self, rows: &[&[u64; COLUMNS]], mut at: usize, ordinals: Ordinals, mut weight: u128) {
        // A column of which nobody speaks any more: one value stands for all.
        while let Some(&(column, all)) = self.columns.get(at)
            && rows.iter().all(|row| row[column as usize] == all)
        {
            weight *= u128::from(all.count_ones());
            at += 1;
        }
        let Some(&(column, all)) = self.columns.get(at) else {
            (self.each)(&ordinals);
            self.groups += 1;
            self.situations += weight;
            return;
        };
        let of = |row: &[u64; COLUMNS]| row[column as usize];
        let mut left = all;
        while left != 0 {
            let value = left.trailing_zeros();
            // Every value that each row allows exactly when it allows this one.
            let same = rows.iter().fold(left, |same, row| same & if of(row) & (1 << value) != 0 { of(row) } else { !of(row) });
            let still: Vec<&[u64; COLUMNS]> = rows.iter().filter(|row| of(row) & (1 << value) != 0).copied().collect();
            let mut ordinals = ordinals;
            ordinals[column as usize] = value as u8;
            self.split(&still, at + 1, ordinals, weight * u128::from(same.count_ones()));
            left &= !same;
        }
    }
}

/// Calls `each` with a representative of every group of situations that `rows` or `apart` can tell apart. Answers how
/// many groups there were.
pub fn every_situation<'a>(
    name: &str,
    rows: impl IntoIterator<Item = &'a Cube>,
    apart: impl IntoIterator<Item = Cube>,
    mut each: impl FnMut(&Ordinals),
) -> usize {
    let began = stopwatch();
    let values = |cube: &Cube| Column::ALL.map(|column| cube.values(column));
    let rows: Vec<[u64; COLUMNS]> = rows.into_iter().map(values).chain(apart.into_iter().map(|cube| values(&cube))).collect();
    let rest = Column::ALL.into_iter().filter(|column| !FIRST.contains(column));
    let columns = FIRST.into_iter().chain(rest).map(|column| (column, column.all_values())).collect();
    let mut sweep = Sweep { columns, each: &mut each, groups: 0, situations: 0 };
    sweep.split(&rows.iter().collect::<Vec<_>>(), 0, [0; COLUMNS], 1);
    let all: u128 = Column::ALL.into_iter().map(|column| column.values().len() as u128).product();
    assert_eq!(sweep.situations, all, "{name}: the groups are not all there is");
    println!("{name}: {} groups stand for {all} situations, {:?}", sweep.groups, began.elapsed());
    sweep.groups
}

/// Tells these values apart from the others of their column.
pub fn tell<Word: Vocabulary>(column: Column, words: &[Word]) -> Cube {
    Cube::everything().and(column, words.iter().fold(0, |set, word| set | 1 << word.ordinal()))
}

/// Tells every value of these columns apart.
pub fn tell_all(columns: &[Column]) -> Vec<Cube> {
    let values = |column: Column| (0..column.values().len()).map(move |value| Cube::everything().and(column, 1 << value));
    columns.iter().flat_map(|&column| values(column)).collect()
}

/// The rows' cubes.
pub fn cubes<Outcome>(table: &Table<Outcome>) -> impl Iterator<Item = &Cube> {
    table.0.iter().map(|row| &row.when)
}

/// The value of a column.
pub fn value<Word: Vocabulary>(ordinals: &Ordinals, column: Column) -> Word {
    Word::ALL[usize::from(ordinals[column as usize])]
}

/// The same situation with another value in a column.
pub fn with<Word: Vocabulary>(ordinals: &Ordinals, column: Column, value: Word) -> Ordinals {
    let mut ordinals = *ordinals;
    ordinals[column as usize] = value.ordinal() as u8;
    ordinals
}

/// What a table's matching rows say.
pub fn outcomes<Outcome: Clone>(table: &Table<Outcome>, ordinals: &Ordinals) -> Vec<Outcome> {
    table.matching(&Situation::from_ordinals(*ordinals)).map(|row| row.outcome.clone()).collect()
}

/// What is given: the most that any row shares, and of that the least that any row leaves.
pub fn given(tables: &Tables, ordinals: &Ordinals) -> Extent {
    let shared = outcomes(&tables.share, ordinals).into_iter().max().unwrap_or(Extent::Nothing);
    if shared == Extent::Nothing {
        return shared;
    }
    outcomes(&tables.withhold, ordinals).into_iter().fold(shared, Extent::min)
}
