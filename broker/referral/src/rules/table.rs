//! Typed decision tables: columns over the facts, cells that are sets of values, rows that match or not.
//!
//! A cell that is absent means any value. There are no expressions, no order and no priorities, so a table's
//! meaning is set algebra: a row is a cube in the space of all situations, and what a table does or does not
//! cover can be computed, not sampled.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::facts::{Addressed, Facts};
use crate::vocab::*;

/// How many columns there are.
pub const COLUMNS: usize = 19;

macro_rules! columns {
    ($($(#[$meta:meta])* $column:ident: $vocabulary:ty = $name:literal,)+) => {
        /// A column that rules may speak of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Column { $($(#[$meta])* $column,)+ }

        impl Column {
            /// Every column.
            pub const ALL: [Column; COLUMNS] = [$(Column::$column,)+];

            /// Its name in a rule pack.
            pub fn name(self) -> &'static str {
                match self { $(Column::$column => $name,)+ }
            }

            /// The written forms of its values, in order.
            pub fn values(self) -> Vec<&'static str> {
                match self { $(Column::$column => <$vocabulary>::ALL.iter().map(|value| value.as_str()).collect(),)+ }
            }

            fn size(self) -> usize {
                match self { $(Column::$column => <$vocabulary>::ALL.len(),)+ }
            }
        }

        // A cell is a set of at most 64 values; the compiler says when a vocabulary outgrows it.
        $(const _: () = assert!(<$vocabulary>::ALL.len() <= 64);)+
        const _: () = assert!([$(Column::$column,)+].len() == COLUMNS);
    };
}

columns! {
    /// Which kind of agency sends.
    Sender: SenderKind = "sender",
    /// What kind of message.
    Event: EventKind = "event",
    /// How serious.
    Level: Level = "level",
    /// What harm.
    Harm: HarmType = "harm",
    /// Whether the family agrees.
    Agreement: Agreement = "agreement",
    /// Whether the duty reaches the sender.
    Duty: DutyScope = "duty",
    /// What the sender recorded under s16LA.
    DutyDecision: DutyDecision = "duty_decision",
    /// How old.
    Age: AgeBand = "age",
    /// Where the child lives.
    Home: Area = "home",
    /// Where the child was found.
    Located: Area = "located",
    /// Whether both are one authority's.
    SameAuthority: YesNo = "same_authority",
    /// Where the harm happened.
    HarmPlace: HarmPlace = "harm_place",
    /// Whether the child can be told apart.
    Identified: YesNo = "identified",
    /// Whether a purpose was stated.
    Purpose: YesNo = "purpose",
    /// How it is marked.
    Marking: Marking = "marking",
    /// Whether the front door is open.
    Hours: Hours = "hours",
    /// How it was addressed.
    Addressed: Addressed = "addressed",
    /// As what the recipient receives.
    Recipient: RecipientKind = "recipient",
    /// What the item is about.
    Category: Category = "category",
}

impl Column {
    /// The column called `name` in a rule pack.
    pub fn read(name: &str) -> Option<Column> {
        Column::ALL.into_iter().find(|column| column.name() == name)
    }

    /// The set of all its values.
    pub fn all_values(self) -> u64 {
        u64::MAX >> (64 - self.size() as u32)
    }
}

/// One situation: a value in every column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation([u8; COLUMNS]);

impl Situation {
    /// The situation of a referral, an item and a recipient. Tables that know neither item nor recipient hand
    /// in *unknown*, and the parser refuses rows there that would ask.
    pub fn of(facts: &Facts, recipient: RecipientKind, category: Category) -> Situation {
        Situation([
            facts.sender.ordinal() as u8,
            facts.event.ordinal() as u8,
            facts.level.ordinal() as u8,
            facts.harm.ordinal() as u8,
            facts.agreement.ordinal() as u8,
            facts.duty.ordinal() as u8,
            facts.duty_decision.ordinal() as u8,
            facts.age.ordinal() as u8,
            facts.home.ordinal() as u8,
            facts.located.ordinal() as u8,
            facts.same_authority.ordinal() as u8,
            facts.harm_place.ordinal() as u8,
            facts.identified.ordinal() as u8,
            facts.purpose.ordinal() as u8,
            facts.marking.ordinal() as u8,
            facts.hours.ordinal() as u8,
            facts.addressed.ordinal() as u8,
            recipient.ordinal() as u8,
            category.ordinal() as u8,
        ])
    }

    /// A situation put together from ordinals, for sweeps over all there are.
    pub fn from_ordinals(ordinals: [u8; COLUMNS]) -> Situation {
        Situation(ordinals)
    }

    fn bit(&self, column: Column) -> u64 {
        self.0.get(column as usize).map_or(0, |&ordinal| 1 << ordinal)
    }
}

/// A set of situations: for each column that it speaks of, the values it allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cube(Vec<(Column, u64)>);

impl Cube {
    /// Every situation there is.
    pub fn everything() -> Cube {
        Cube::default()
    }

    /// This cube, with `column` held to `values` as well.
    pub fn and(mut self, column: Column, values: u64) -> Cube {
        match self.0.iter_mut().find(|(own, _)| *own == column) {
            Some((_, held)) => *held &= values,
            None => {
                self.0.push((column, values & column.all_values()));
                self.0.sort_unstable_by_key(|&(column, _)| column);
            }
        }
        self
    }

    /// The values it allows in `column`.
    pub fn values(&self, column: Column) -> u64 {
        self.0.iter().find(|(own, _)| *own == column).map_or_else(|| column.all_values(), |&(_, values)| values)
    }

    /// The columns it speaks of.
    pub fn columns(&self) -> impl Iterator<Item = (Column, u64)> + '_ {
        self.0.iter().copied()
    }

    /// Every situation is in it.
    pub fn is_everything(&self) -> bool {
        self.columns().all(|(column, values)| values == column.all_values())
    }

    /// This cube, speaking of `column` no more.
    pub fn without(&self, column: Column) -> Cube {
        Cube(self.columns().filter(|&(own, _)| own != column).collect())
    }

    /// Whether it holds `situation`.
    pub fn holds(&self, situation: &Situation) -> bool {
        self.0.iter().all(|&(column, values)| situation.bit(column) & values != 0)
    }

    /// No situation is in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().any(|&(_, values)| values == 0)
    }

    /// The situations in both.
    pub fn intersect(&self, other: &Cube) -> Cube {
        other.0.iter().fold(self.clone(), |cube, &(column, values)| cube.and(column, values))
    }

    /// The situations in this one and not in `other`, as cubes that do not overlap.
    pub fn subtract(&self, other: &Cube) -> Vec<Cube> {
        if self.intersect(other).is_empty() {
            return vec![self.clone()];
        }
        let mut rest = Vec::new();
        let mut inside = self.clone();
        for &(column, values) in &other.0 {
            let outside = inside.clone().and(column, !values);
            if !outside.is_empty() {
                rest.push(outside);
            }
            inside = inside.and(column, values);
        }
        rest
    }

    /// The situations in this one and in none of `others`.
    pub fn subtract_all<'a>(&self, others: impl IntoIterator<Item = &'a Cube>) -> Vec<Cube> {
        others.into_iter().fold(vec![self.clone()], |left, other| left.iter().flat_map(|cube| cube.subtract(other)).collect())
    }
}

impl fmt::Display for Cube {
    /// In words: "level is early help, and agreement is refused or awaited".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for &(column, values) in self.0.iter().filter(|&&(column, values)| values != column.all_values()) {
            let words = |set: u64| -> Vec<String> {
                column
                    .values()
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| set & (1 << at) != 0)
                    .map(|(_, value)| value.replace('_', " "))
                    .collect()
            };
            let (within, without) = (words(values), words(!values & column.all_values()));
            f.write_str(if first { "" } else { ", and " })?;
            first = false;
            let name = column.name().replace('_', " ");
            if within.is_empty() {
                write!(f, "{name} is nothing at all")?;
            } else if within.len() > 4 && without.len() < within.len() {
                write!(f, "{name} is anything but {}", without.join(" or "))?;
            } else {
                write!(f, "{name} is {}", within.join(" or "))?;
            }
        }
        if first { f.write_str("always") } else { Ok(()) }
    }
}

/// How well a rule is founded (rules.md's marks).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// Confirmed in a published text.
    #[serde(rename = "V")]
    Verified,
    /// Well known, still to be confirmed against the instrument.
    #[serde(rename = "M")]
    ToBeConfirmed,
    /// A convention of this product that no source requires.
    #[serde(rename = "P")]
    Convention,
}

impl Evidence {
    /// The mark's words.
    pub fn words(self) -> &'static str {
        match self {
            Evidence::Verified => "confirmed in a published text",
            Evidence::ToBeConfirmed => "well known, still to be confirmed against the instrument",
            Evidence::Convention => "a convention of this product that no source requires",
        }
    }
}

/// A rule's id, such as `RA-03`; further rows of the same rule carry a suffix, such as `RA-01.found`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(pub String);

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why: what a rule says of itself, shown with every explanation. In a record it stands as the rule's id alone: the
/// edition's hash, beside it, says which text that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The rule.
    pub rule: RuleId,
    /// Why, in a sentence for a practitioner.
    pub because: String,
    /// The source.
    pub source: String,
    /// How well founded.
    pub evidence: Evidence,
    /// The sector does not agree on it.
    pub contested: bool,
}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.rule.serialize(serializer)
    }
}

/// One row: one rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<Outcome> {
    /// Why.
    pub reason: Arc<Reason>,
    /// The situations in which it matches.
    pub when: Cube,
    /// What follows.
    pub outcome: Outcome,
}

/// Rows of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Table<Outcome>(pub Vec<Row<Outcome>>);

impl<Outcome> Default for Table<Outcome> {
    fn default() -> Self {
        Table(Vec::new())
    }
}

impl<Outcome> Table<Outcome> {
    /// The rows that match.
    pub fn matching<'a>(&'a self, situation: &'a Situation) -> impl Iterator<Item = &'a Row<Outcome>> {
        self.0.iter().filter(|row| row.when.holds(situation))
    }

    /// The situations that no row matches.
    pub fn uncovered(&self) -> Vec<Cube> {
        Cube::everything().subtract_all(self.0.iter().map(|row| &row.when))
    }

    /// The situations that two rows match, with the rows.
    pub fn overlaps(&self) -> Vec<(&Row<Outcome>, &Row<Outcome>, Cube)> {
        let pairs = self.0.iter().enumerate().flat_map(|(at, row)| self.0.iter().skip(at + 1).map(move |other| (row, other)));
        pairs.map(|(row, other)| (row, other, row.when.intersect(&other.when))).filter(|(_, _, both)| !both.is_empty()).collect()
    }
}
