//! What the rules may look at: closed enums only. Dates, places and text are turned into bands here, by
//! functions with tests of their own, so that a rule never sees a child and always sees *unknown*.

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::Moment;
use crate::directory::Directory;
use crate::submission::{Age, Referral};
use crate::time::london_date;
use crate::vocab::*;

/// The facts of one child's referral.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Facts {
    /// Which kind of agency sends.
    pub sender: SenderKind,
    /// What kind of message.
    pub event: EventKind,
    /// How serious.
    pub level: Level,
    /// What harm.
    pub harm: HarmType,
    /// Whether the family agrees.
    pub agreement: Agreement,
    /// Whether the duty to share reaches the sender.
    pub duty: DutyScope,
    /// What the sender recorded under s16LA.
    pub duty_decision: DutyDecision,
    /// How old the child is.
    pub age: AgeBand,
    /// Where the child lives.
    pub home: Area,
    /// Where the child was found.
    pub located: Area,
    /// Whether the two are the same authority's area.
    pub same_authority: YesNo,
    /// Where the harm happened.
    pub harm_place: HarmPlace,
    /// Whether the child can be told apart from others.
    pub identified: YesNo,
    /// Whether a purpose was stated.
    pub purpose: YesNo,
    /// How it is marked.
    pub marking: Marking,
    /// Whether the responsible front door is open. Known only once the authority is.
    pub hours: Hours,
    /// Whether the sender addressed it to the authority that is responsible. Known only once that is.
    pub addressed: Addressed,
}

crate::vocab::vocabulary! {
    /// How the sender addressed it (RA-26: advice, not an instruction).
    pub enum Addressed = "addressed" {
        /// To nobody.
        Nobody => "nobody",
        /// To the authority that is responsible.
        Rightly => "rightly",
        /// To another.
        Wrongly => "wrongly",
    }
}

impl Facts {
    /// The facts of `referral` before its authority is known: the door counts as open, and as addressed by
    /// nobody, until [`Facts::once_routed`].
    pub fn derive(referral: &Referral, directory: &Directory) -> Facts {
        let party = directory.party(&referral.sender);
        let on = london_date(referral.received);
        let home = referral.places.home.as_ref();
        // A child whom a school reports is found at the school unless it says otherwise (RA-01, "found").
        let located = referral.places.located.as_ref().or(party.and_then(|party| party.located.as_ref()));
        Facts {
            sender: party.map_or_else(|| referral.sender.sender_kind(), |party| party.kind),
            event: referral.kind,
            level: referral.level,
            harm: referral.harm,
            agreement: referral.agreement,
            duty: party.map_or(DutyScope::Unknown, |party| party.duty),
            duty_decision: referral.duty_decision,
            age: age_band(&referral.age, referral.received),
            home: directory.area(home, on),
            located: directory.area(located, on),
            same_authority: match (home, located) {
                (Some(home), Some(located)) => match (directory.authority(home, on), directory.authority(located, on)) {
                    (Some(home), Some(located)) if home.gss == located.gss => YesNo::Yes,
                    (Some(_), Some(_)) => YesNo::No,
                    _ if home == located => YesNo::Yes,
                    // One in England and the other not: two systems, so two authorities.
                    _ => match (directory.area(Some(home), on), directory.area(Some(located), on)) {
                        (Area::Unknown, _) | (_, Area::Unknown) => YesNo::Unknown,
                        (home, located) if home != located => YesNo::No,
                        _ => YesNo::Unknown,
                    },
                },
                _ => YesNo::Unknown,
            },
            harm_place: referral.harm_place,
            identified: if referral.child_is_identified { YesNo::Yes } else { YesNo::No },
            purpose: if referral.purpose_stated { YesNo::Yes } else { YesNo::No },
            marking: marking(referral),
            hours: Hours::Open,
            addressed: Addressed::Nobody,
        }
    }

    /// The facts once the responsible authority is known.
    pub fn once_routed(self, hours: Hours, addressed: Addressed) -> Facts {
        Facts { hours, addressed, ..self }
    }
}

fn marking(referral: &Referral) -> Marking {
    let secret = |flags: &[HandlingFlag]| flags.contains(&HandlingFlag::Secret);
    if secret(&referral.handling) || referral.items.iter().any(|item| secret(&item.handling)) {
        Marking::AboveOfficialSensitive
    } else {
        Marking::Official
    }
}

/// The age band at `received`. A child until the start of the 18th birthday in London (Family Law Reform Act
/// 1969 s9); one born on 29 February turns 18 on 1 March of a common year: in doubt, a child (RA-14).
pub fn age_band(age: &Age, received: Moment) -> AgeBand {
    match age {
        Age::Expected(_) => AgeBand::Unborn,
        Age::About(years) => match years {
            0..=15 => AgeBand::Under16,
            16..=17 => AgeBand::From16To17,
            18.. => AgeBand::Adult,
        },
        Age::NotStated => AgeBand::Unknown,
        Age::Born(date) => {
            let today = london_date(received);
            if today >= birthday(*date.open(), 18) {
                AgeBand::Adult
            } else if today >= birthday(*date.open(), 16) {
                AgeBand::From16To17
            } else {
                AgeBand::Under16
            }
        }
    }
}

fn birthday(born: Date, years: i16) -> Date {
    let day = born.saturating_add(years.years());
    // jiff answers 28 February for a 29 February that the year lacks; the birthday is the day after.
    if day.day() == born.day() { day } else { day.saturating_add(1.day()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sealed;

    fn band(born: &str, at: &str) -> AgeBand {
        age_band(&Age::Born(Sealed::new(born.parse().unwrap())), at.parse().unwrap())
    }

    #[test]
    fn a_child_is_a_child_until_the_eighteenth_birthday_begins_in_london() {
        assert_eq!(band("2008-11-24", "2026-11-23T23:59:00Z"), AgeBand::From16To17);
        assert_eq!(band("2008-11-24", "2026-11-24T00:00:00Z"), AgeBand::Adult);
        assert_eq!(band("2008-06-10", "2026-06-09T23:00:00Z"), AgeBand::Adult); // midnight in British Summer Time
        assert_eq!(band("2010-11-24", "2026-11-23T12:00:00Z"), AgeBand::Under16);
    }

    #[test]
    fn a_child_born_on_29_february_turns_18_on_1_march_of_a_common_year() {
        assert_eq!(band("2008-02-29", "2026-02-28T10:00:00Z"), AgeBand::From16To17);
        assert_eq!(band("2008-02-29", "2026-03-01T10:00:00Z"), AgeBand::Adult);
    }

    #[test]
    fn an_age_that_nobody_knows_is_a_value() {
        assert_eq!(age_band(&Age::NotStated, Moment::UNIX_EPOCH), AgeBand::Unknown);
        assert_eq!(age_band(&Age::About(17), Moment::UNIX_EPOCH), AgeBand::From16To17);
    }
}
