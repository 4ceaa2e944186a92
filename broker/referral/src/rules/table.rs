//! Typed decision tables: columns over the facts, cells that are sets of values, rows that match or not.
//!
//! A cell that is absent means any value. There are no expressions, no order and no priorities, so a table's
//! meaning is set algebra: a row is a cube in the space of all situations, and what a table does or does not
//! cover can be computed, not sampled.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::facts::{Addressed, Facts, ItemFacts};
use crate::vocab::*;

/// How many columns there are.
pub const COLUMNS: usize = 56;

/// When a column is known. A table may speak of what is known by the time it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Before the authority is.
    Referral,
    /// Once the authority is.
    Routed,
    /// For each recipient and item.
    Item,
}

macro_rules! columns {
    ($facts:ident $recipient:ident $item:ident:
     $($(#[$meta:meta])* $column:ident: $vocabulary:ty = $name:literal => $value:expr, in $scope:ident;)+) => {
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

            /// When it is known.
            pub fn scope(self) -> Scope {
                match self { $(Column::$column => Scope::$scope,)+ }
            }

            /// The written forms of its values, in order.
            pub fn values(self) -> Vec<&'static str> {
                match self { $(Column::$column => <$vocabulary>::ALL.iter().map(|value| value.as_str()).collect(),)+ }
            }

            fn size(self) -> usize {
                match self { $(Column::$column => <$vocabulary>::ALL.len(),)+ }
            }
        }

        impl Situation {
            /// The situation of a referral, a recipient and an item.
            pub fn of_item($facts: &Facts, $recipient: RecipientKind, $item: &ItemFacts) -> Situation {
                Situation([$(Vocabulary::ordinal($value) as u8,)+])
            }
        }

        // A cell is a set of at most 64 values; the compiler says when a vocabulary outgrows it.
        $(const _: () = assert!(<$vocabulary>::ALL.len() <= 64);)+
        const _: () = assert!([$(Column::$column,)+].len() == COLUMNS);
    };
}

columns! {
    facts recipient item:
    /// Which kind of agency sends.
    Sender: SenderKind = "sender" => facts.sender, in Referral;
    /// What kind of message.
    Event: EventKind = "event" => facts.event, in Referral;
    /// How serious it is handled as.
    Level: Level = "level" => facts.level, in Referral;
    /// How serious the sender says it is.
    StatedLevel: Level = "stated_level" => facts.stated_level, in Referral;
    /// How the stated level fits the harm.
    LevelFit: LevelFit = "level_fit" => facts.level_fit, in Referral;
    /// What harm.
    Harm: HarmType = "harm" => facts.harm, in Referral;
    /// Whether the family agrees.
    Agreement: Agreement = "agreement" => facts.agreement, in Referral;
    /// Whether another holder of parental responsibility refused.
    OtherHolderRefused: YesNo = "other_holder_refused" => facts.other_holder_refused, in Referral;
    /// Whether the duty reaches the sender.
    Duty: DutyScope = "duty" => facts.duty, in Referral;
    /// What the sender recorded under s16LA.
    DutyDecision: DutyDecision = "duty_decision" => facts.duty_decision, in Referral;
    /// How old.
    Age: AgeBand = "age" => facts.age, in Referral;
    /// Whether the child turns 18 within seven days.
    Turns18: YesNo = "turns_18" => facts.turns_18, in Referral;
    /// Where the child lives.
    Home: Area = "home" => facts.home, in Referral;
    /// Where the child was found.
    Located: Area = "located" => facts.located, in Referral;
    /// Whether both are one authority's.
    SameAuthority: YesNo = "same_authority" => facts.same_authority, in Referral;
    /// Whether there is a second home.
    SecondHome: SecondHome = "second_home" => facts.second_home, in Referral;
    /// Who placed a looked-after child.
    Placing: Holder = "placing" => facts.placing, in Referral;
    /// Whether the child is looked after.
    LookedAfter: YesNo = "looked_after" => facts.looked_after, in Referral;
    /// Who holds a child protection plan.
    Plan: Holder = "plan" => facts.plan, in Referral;
    /// Who has enquiries under way.
    Enquiry: Holder = "enquiry" => facts.enquiry, in Referral;
    /// Who has an open case.
    OpenCase: Holder = "open_case" => facts.open_case, in Referral;
    /// Whether the area is known where the subject of an allegation works.
    Workplace: YesNo = "workplace" => facts.workplace, in Referral;
    /// The place of education.
    School: Schooling = "school" => facts.school, in Referral;
    /// In whose area the sending authority is.
    SenderArea: SenderArea = "sender_area" => facts.sender_area, in Referral;
    /// Whether the child is on a ward.
    Inpatient: YesNo = "inpatient" => facts.inpatient, in Referral;
    /// Whether the child has died.
    Deceased: YesNo = "deceased" => facts.deceased, in Referral;
    /// Whether it is private fostering.
    Fostering: Fostering = "fostering" => facts.fostering, in Referral;
    /// Where the harm happened.
    HarmPlace: HarmPlace = "harm_place" => facts.harm_place, in Referral;
    /// As what the reporter works.
    Reporter: Reporter = "reporter" => facts.reporter, in Referral;
    /// Whether the child can be told apart.
    Identified: YesNo = "identified" => facts.identified, in Referral;
    /// What tracing the NHS number found.
    Trace: TraceResult = "trace" => facts.trace, in Referral;
    /// Whether a purpose was stated.
    Purpose: YesNo = "purpose" => facts.purpose, in Referral;
    /// How it is marked.
    Marking: Marking = "marking" => facts.marking, in Referral;
    /// Whether an address is protected.
    Address: AddressStatus = "address" => facts.address, in Referral;
    /// Whether the parents must not be told.
    ParentsNotTold: YesNo = "parents_not_told" => facts.parents_not_told, in Referral;
    /// Whether the referrer stays anonymous to the family.
    ReferrerAnonymous: YesNo = "referrer_anonymous" => facts.referrer_anonymous, in Referral;
    /// Whether somebody at the recipient is the subject.
    Conflict: YesNo = "conflict" => facts.conflict, in Referral;
    /// Whether the person under suspicion reads what is sent back.
    AccusedControlsFeedback: YesNo = "accused_controls_feedback" => facts.accused_controls_feedback, in Referral;
    /// What the sender ticked as its lawful basis.
    ClaimedBasis: ClaimedBasis = "claimed_basis" => facts.claimed_basis, in Referral;
    /// Whether others may report the same.
    PossiblyRelated: YesNo = "possibly_related" => facts.possibly_related, in Referral;
    /// Whether it came by telephone.
    ByTelephone: YesNo = "by_telephone" => facts.by_telephone, in Referral;
    /// The hub's own rating.
    Rating: Rating = "rating" => facts.rating, in Referral;
    /// What the authority decided.
    Decided: Decided = "decided" => facts.decided, in Referral;
    /// Whether it is known to whom this answers.
    ReferrerKnown: YesNo = "referrer_known" => facts.referrer_known, in Referral;
    /// Whether a provider is named.
    Provider: YesNo = "provider" => facts.provider, in Referral;
    /// Whether a household is named.
    Household: YesNo = "household" => facts.household, in Referral;
    /// Whether the front door is open.
    Hours: Hours = "hours" => facts.hours, in Routed;
    /// Whether the responsible authority's code is published.
    AuthorityCode: AuthorityCode = "authority_code" => facts.authority_code, in Routed;
    /// How it was addressed.
    Addressed: Addressed = "addressed" => facts.addressed, in Routed;
    /// As what the recipient receives.
    Recipient: RecipientKind = "recipient" => recipient, in Item;
    /// What the item is about.
    Category: Category = "category" => item.category, in Item;
    /// How police graded the item.
    PoliceHandling: PoliceHandling = "police_handling" => item.police_handling, in Item;
    /// Whether the item could name a source.
    Unsanitised: YesNo = "unsanitised" => item.unsanitised, in Item;
    /// Whether the item is not for education.
    BarredFromEducation: YesNo = "barred_from_education" => item.barred_from_education, in Item;
    /// Whether the item is not for the family.
    BarredFromFamily: YesNo = "barred_from_family" => item.barred_from_family, in Item;
    /// Whether the item is for police only.
    PoliceOnly: YesNo = "police_only" => item.police_only, in Item;
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
    /// The situation of a referral, a recipient and a category with no condition on it. Tables that know neither item
    /// nor recipient hand in *unknown*, and the parser refuses rows there that would ask.
    pub fn of(facts: &Facts, recipient: RecipientKind, category: Category) -> Situation {
        Situation::of_item(facts, recipient, &ItemFacts::plain(category))
    }

    /// The same referral and recipient, and another item.
    pub fn about(mut self, item: &ItemFacts) -> Situation {
        let values = [
            (Column::Category, item.category.ordinal()),
            (Column::PoliceHandling, item.police_handling.ordinal()),
            (Column::Unsanitised, item.unsanitised.ordinal()),
            (Column::BarredFromEducation, item.barred_from_education.ordinal()),
            (Column::BarredFromFamily, item.barred_from_family.ordinal()),
            (Column::PoliceOnly, item.police_only.ordinal()),
        ];
        for (column, ordinal) in values {
            if let Some(own) = self.0.get_mut(column as usize) {
                *own = ordinal as u8;
            }
        }
        self
    }

    /// The same, had nobody at the front door been the subject (HR-10).
    pub fn without_conflict(mut self) -> Situation {
        if let Some(conflict) = self.0.get_mut(Column::Conflict as usize) {
            *conflict = YesNo::No.ordinal() as u8;
        }
        self
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

    /// Whether it holds `situation` as far as that is known before recipients and items are.
    pub fn may_hold(&self, situation: &Situation) -> bool {
        let known = |column: Column| column.scope() != Scope::Item;
        self.0.iter().all(|&(column, values)| !known(column) || situation.bit(column) & values != 0)
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
