//! Working days, London dates and due moments (CL-00). Pure: now is always an argument.
//!
//! Day 0 is the London date of receipt, whatever the hour; working days after it are counted; what is due is
//! due at the end of that local date. No guidance defines this; it is the stricter reading.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};
use serde::{Deserialize, Serialize};

use crate::Moment;

/// How long a clock runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// So many working days after the London date of the start; due at the end of the last.
    WorkingDays(u16),
    /// So many days on which schools are open, counted alike. Without the school's own calendar they are taken to be
    /// working days, and the due date is provisional.
    SchoolDays(u16),
    /// So many elapsed hours, across clock changes.
    ElapsedHours(u16),
    /// So many calendar months: the same day of a later month, or its last; due at the end of that local date.
    Months(u16),
    /// Until the next day at school begins, as the sender knows it; else at eight on the next working day, provisionally.
    NextSchoolDay,
}

/// When something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// The first moment at which it is late.
    pub by: Moment,
    /// The London date at whose end it is due; none for elapsed hours.
    pub date: Option<Date>,
    /// The calendar did not reach that far: bank holidays beyond its end are not known.
    pub provisional: bool,
}

/// The working days of an English authority: Monday to Friday except the bank holidays of England and Wales.
#[derive(Clone, Debug)]
pub struct Calendar {
    holidays: BTreeSet<Date>,
    covers_until: Date,
}

/// Why a calendar file was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarFault(pub String);

impl std::fmt::Display for CalendarFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the calendar was refused: {}", self.0)
    }
}

impl std::error::Error for CalendarFault {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalendarFile {
    #[serde(rename = "division")]
    _division: String,
    covers_from: Date,
    covers_until: Date,
    holidays: BTreeSet<Date>,
}

impl Calendar {
    /// Reads a calendar file of `policies/calendars`.
    pub fn parse(text: &str) -> Result<Self, CalendarFault> {
        let file: CalendarFile = toml::from_str(text).map_err(|fault| CalendarFault(fault.to_string()))?;
        if let Some(outside) = file.holidays.iter().find(|&&day| day < file.covers_from || day > file.covers_until) {
            return Err(CalendarFault(format!("{outside} lies outside the years it says it covers")));
        }
        Ok(Calendar { holidays: file.holidays, covers_until: file.covers_until })
    }

    /// The last date whose bank holidays are known. An alarm is due well before it.
    pub fn covers_until(&self) -> Date {
        self.covers_until
    }

    /// Whether offices work on `day`.
    pub fn is_working_day(&self, day: Date) -> bool {
        !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) && !self.holidays.contains(&day)
    }

    /// When something that starts at `start` and takes `amount` is due.
    pub fn due(&self, start: Moment, amount: Amount) -> Due {
        match amount {
            Amount::ElapsedHours(hours) => {
                let by = start.saturating_add(SignedDuration::from_hours(i64::from(hours))).unwrap_or(Moment::MAX);
                Due { by, date: None, provisional: false }
            }
            Amount::WorkingDays(count) => self.at_end_of(self.working_days_after(london_date(start), count)),
            Amount::SchoolDays(count) => {
                Due { provisional: true, ..self.at_end_of(self.working_days_after(london_date(start), count)) }
            }
            Amount::Months(months) => self.at_end_of(london_date(start).saturating_add(i32::from(months).months())),
            Amount::NextSchoolDay => {
                let day = self.working_days_after(london_date(start), 1);
                let opens = start_of_london_day(day).saturating_add(SignedDuration::from_hours(8)).unwrap_or(Moment::MAX);
                Due { by: opens, date: None, provisional: true }
            }
        }
    }

    fn working_days_after(&self, start: Date, count: u16) -> Date {
        let (mut day, mut left) = (start, count);
        while left > 0 && day < Date::MAX {
            day = day.saturating_add(1.day());
            left -= u16::from(self.is_working_day(day));
        }
        day
    }

    fn at_end_of(&self, day: Date) -> Due {
        Due { by: start_of_london_day(day.saturating_add(1.day())), date: Some(day), provisional: day > self.covers_until }
    }
}

fn london() -> TimeZone {
    // Every ruling asks a dozen times, so it is looked up once.
    static LONDON: LazyLock<TimeZone> = LazyLock::new(|| {
        // Bundled with the program, so it cannot be missing; UTC is only there to keep this total.
        TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC)
    });
    LONDON.clone()
}

/// The date in London at `moment`.
pub fn london_date(moment: Moment) -> Date {
    moment.to_zoned_datetime(london()).date()
}

/// The time of day in London at `moment`.
pub fn london_time(moment: Moment) -> Time {
    moment.to_zoned_datetime(london()).time()
}

/// The first moment of `day` in London.
pub fn start_of_london_day(day: Date) -> Moment {
    day.to_zoned_datetime(london()).map_or(Moment::MAX, |start| start.timestamp())
}

/// When a front door is open: on working days between two times of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpeningHours {
    opens: Time,
    closes: Time,
}

impl OpeningHours {
    /// What a front door has unless the directory says otherwise: 09:00 to 17:00.
    pub const OFFICE: OpeningHours = OpeningHours { opens: Time::constant(9, 0, 0, 0), closes: Time::constant(17, 0, 0, 0) };

    /// Reads `Mon-Fri 09:00-17:00`.
    pub fn parse(text: &str) -> Option<Self> {
        let (opens, closes) = text.strip_prefix("Mon-Fri ")?.split_once('-')?;
        let (opens, closes) = (opens.trim().parse().ok()?, closes.trim().parse().ok()?);
        (opens < closes).then_some(OpeningHours { opens, closes })
    }

    /// Whether the door is open at `moment`.
    pub fn are_open(&self, calendar: &Calendar, moment: Moment) -> bool {
        let time = london_time(moment);
        calendar.is_working_day(london_date(moment)) && self.opens <= time && time < self.closes
    }
}

impl std::fmt::Display for OpeningHours {
    /// The form that [`OpeningHours::parse`] reads.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mon-Fri {}-{}", self.opens.strftime("%H:%M"), self.closes.strftime("%H:%M"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar() -> Calendar {
        Calendar::parse(include_str!("../../../policies/calendars/england-and-wales.toml")).unwrap()
    }

    fn due_date(start: &str, days: u16) -> String {
        calendar().due(start.parse().unwrap(), Amount::WorkingDays(days)).date.unwrap().to_string()
    }

    #[test]
    fn a_working_day_is_counted_from_the_london_date_of_receipt() {
        assert_eq!(due_date("2026-11-03T10:15:00Z", 1), "2026-11-04");
        assert_eq!(due_date("2026-11-20T19:00:00Z", 1), "2026-11-23"); // Friday evening
        assert_eq!(due_date("2026-11-15T02:10:00Z", 1), "2026-11-16"); // Sunday
        assert_eq!(due_date("2026-12-24T09:00:00Z", 3), "2026-12-31"); // over Christmas
        assert_eq!(due_date("2027-03-28T23:30:00Z", 1), "2027-03-30"); // already Easter Monday in London
    }

    #[test]
    fn a_working_day_is_due_at_the_end_of_the_local_date() {
        let due = calendar().due("2026-06-10T10:00:00Z".parse().unwrap(), Amount::WorkingDays(1));
        assert_eq!(due.by.to_string(), "2026-06-11T23:00:00Z"); // midnight in British Summer Time
        assert!(!due.provisional);
    }

    #[test]
    fn elapsed_hours_ignore_the_clock_change() {
        let due = calendar().due("2026-10-25T00:30:00Z".parse().unwrap(), Amount::ElapsedHours(72));
        assert_eq!(due.by.to_string(), "2026-10-28T00:30:00Z");
    }

    #[test]
    fn beyond_the_calendar_a_due_date_is_provisional() {
        assert!(calendar().due("2029-01-02T10:00:00Z".parse().unwrap(), Amount::WorkingDays(1)).provisional);
    }

    #[test]
    fn a_front_door_is_shut_at_night_at_weekends_and_on_bank_holidays() {
        let open = |at: &str| OpeningHours::OFFICE.are_open(&calendar(), at.parse().unwrap());
        assert!(open("2026-11-23T09:00:00Z"));
        assert!(!open("2026-11-23T17:00:00Z"));
        assert!(!open("2026-11-22T12:00:00Z"));
        assert!(!open("2026-12-25T12:00:00Z"));
        assert!(open("2026-06-10T08:30:00Z")); // half past nine in British Summer Time
    }

    #[test]
    fn opening_hours_are_read_or_refused() {
        assert_eq!(OpeningHours::parse("Mon-Fri 09:00-17:00"), Some(OpeningHours::OFFICE));
        assert_eq!(OpeningHours::OFFICE.to_string(), "Mon-Fri 09:00-17:00");
        assert_eq!(OpeningHours::parse("Mon-Fri 17:00-09:00"), None);
        assert_eq!(OpeningHours::parse("always"), None);
    }
}
