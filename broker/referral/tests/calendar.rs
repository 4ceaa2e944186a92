//! Working days, held against a second computation that shares nothing with the product's but the list of bank
//! holidays as published: days are plain numbers here, the weekday is a remainder, summer time is a rule about
//! last Sundays, and the nth working day is looked up in a list.

use proptest::prelude::*;
use referral::Moment;
use referral::time::{Amount, Calendar, Due, OpeningHours, london_date};

/// Bank holidays of England and Wales, as published on gov.uk (rules.md CL-00 repeats the first two years).
const BANK_HOLIDAYS: &str = "
    2026: 01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28
    2027: 01-01 03-26 03-29 05-03 05-31 08-30 12-27 12-28
    2028: 01-03 04-14 04-17 05-01 05-29 08-28 12-25 12-26
";

const DAY: i64 = 86_400;

/// Days since 1 January 1970.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let years = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (years.div_euclid(400), years.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn number_of(date: jiff::civil::Date) -> i64 {
    day_number(i64::from(date.year()), i64::from(date.month()), i64::from(date.day()))
}

/// 0 is Sunday. 1 January 1970 was a Thursday.
fn weekday(day: i64) -> i64 {
    (day + 4).rem_euclid(7)
}

/// British Summer Time runs from 01:00 UTC on the last Sunday of March to 01:00 UTC on the last of October.
fn is_summer(second: i64) -> bool {
    let last_sunday = |year, month| {
        let last = day_number(year, month, 31);
        (last - weekday(last)) * DAY + 3_600
    };
    let year = (1996..2040).rev().find(|&year| day_number(year, 1, 1) * DAY <= second).unwrap();
    (last_sunday(year, 3)..last_sunday(year, 10)).contains(&second)
}

/// Seconds since the start of 1 January 1970 on a London wall clock.
fn london_second(second: i64) -> i64 {
    second + if is_summer(second) { 3_600 } else { 0 }
}

/// The first second of a London day: an hour before midnight UTC in summer.
fn start_of_london_day(day: i64) -> i64 {
    let midnight = day * DAY;
    if is_summer(midnight - 3_600) { midnight - 3_600 } else { midnight }
}

fn bank_holidays() -> Vec<i64> {
    let lines = BANK_HOLIDAYS.lines().filter_map(|line| line.trim().split_once(": "));
    let day = |year: &str, text: &str| {
        let (month, day) = text.split_once('-').unwrap();
        day_number(year.parse().unwrap(), month.parse().unwrap(), day.parse().unwrap())
    };
    lines.flat_map(|(year, days)| days.split(' ').map(move |text| day(year, text))).collect()
}

/// Every working day from 2026 to 2031, in order; bank holidays from 2029 on are not published yet.
fn working_days() -> Vec<i64> {
    let holidays = bank_holidays();
    (day_number(2026, 1, 1)..day_number(2032, 1, 1))
        .filter(|day| (1..=5).contains(&weekday(*day)) && !holidays.contains(day))
        .collect()
}

/// The day on which `count` working days after `second` are up, and the first second at which that is late.
fn due(days: &[i64], second: i64, count: usize) -> (i64, i64) {
    let received = london_second(second).div_euclid(DAY);
    let later = days.partition_point(|day| *day <= received);
    let day = if count == 0 { received } else { days[later + count - 1] };
    (day, start_of_london_day(day + 1))
}

fn calendar() -> Calendar {
    Calendar::parse(include_str!("../../../policies/calendars/england-and-wales.toml")).unwrap()
}

fn moment(second: i64) -> Moment {
    Moment::from_second(second).unwrap()
}

fn check(received: &str, count: u16, expected: &str) {
    let due = calendar().due(received.parse().unwrap(), Amount::WorkingDays(count));
    let provisional = if due.provisional { " provisional" } else { "" };
    assert_eq!(format!("{} until {}{provisional}", due.date.unwrap(), due.by), expected, "{received} + {count}");
}

#[test]
fn the_worked_examples_of_the_rules_hold() {
    check("2026-11-03T10:15:00Z", 1, "2026-11-04 until 2026-11-05T00:00:00Z"); // Tuesday
    check("2026-11-20T16:59:00Z", 1, "2026-11-23 until 2026-11-24T00:00:00Z"); // Friday afternoon
    check("2026-11-21T03:00:00Z", 1, "2026-11-23 until 2026-11-24T00:00:00Z"); // Saturday
    check("2026-12-24T09:00:00Z", 1, "2026-12-29 until 2026-12-30T00:00:00Z"); // over Christmas
    check("2026-12-24T09:00:00Z", 3, "2026-12-31 until 2027-01-01T00:00:00Z");
    check("2026-12-31T23:59:59Z", 1, "2027-01-04 until 2027-01-05T00:00:00Z");
    check("2027-03-25T12:00:00Z", 1, "2027-03-30 until 2027-03-30T23:00:00Z"); // over Easter, into summer time
    check("2028-12-22T12:00:00Z", 3, "2028-12-29 until 2028-12-30T00:00:00Z");
    check("2026-06-10T10:00:00Z", 45, "2026-08-12 until 2026-08-12T23:00:00Z");
}

#[test]
fn the_day_of_receipt_is_the_day_in_london() {
    check("2027-03-28T22:59:59Z", 1, "2027-03-30 until 2027-03-30T23:00:00Z"); // still Sunday
    check("2027-03-28T23:00:00Z", 1, "2027-03-30 until 2027-03-30T23:00:00Z"); // Easter Monday
    check("2026-07-06T22:59:59Z", 1, "2026-07-07 until 2026-07-07T23:00:00Z");
    check("2026-07-06T23:00:00Z", 1, "2026-07-08 until 2026-07-08T23:00:00Z");
    check("2026-11-09T23:30:00Z", 1, "2026-11-10 until 2026-11-11T00:00:00Z");
}

#[test]
fn the_last_day_is_23_or_25_hours_long_when_the_clocks_change() {
    // Nothing working falls on a Sunday, so the change lies between receipt and due day.
    check("2026-03-27T12:00:00Z", 1, "2026-03-30 until 2026-03-30T23:00:00Z");
    check("2026-10-23T12:00:00Z", 1, "2026-10-26 until 2026-10-27T00:00:00Z");
    check("2026-10-25T00:30:00Z", 0, "2026-10-25 until 2026-10-26T00:00:00Z");
    check("2026-03-29T12:00:00Z", 0, "2026-03-29 until 2026-03-29T23:00:00Z");
}

#[test]
fn no_working_days_at_all_is_due_at_the_end_of_the_day_of_receipt() {
    check("2026-12-25T10:00:00Z", 0, "2026-12-25 until 2026-12-26T00:00:00Z");
}

#[test]
fn beyond_the_published_bank_holidays_a_due_date_says_that_it_is_provisional() {
    check("2028-12-28T10:00:00Z", 1, "2028-12-29 until 2028-12-30T00:00:00Z");
    check("2028-12-29T10:00:00Z", 1, "2029-01-01 until 2029-01-02T00:00:00Z provisional");
    check("2030-06-03T10:00:00Z", 3, "2030-06-06 until 2030-06-06T23:00:00Z provisional");
}

/// 1,826 days, six moments of each, six lengths: 65,736 due dates.
#[test]
fn every_due_date_until_2030_agrees_with_the_second_computation() {
    let (calendar, days) = (calendar(), working_days());
    let until_known = day_number(2028, 12, 31);
    let mut count = 0;
    for day in day_number(2026, 1, 1)..day_number(2031, 1, 1) {
        for (hour, minute) in [(0, 0), (0, 59), (9, 30), (22, 59), (23, 0), (23, 59)] {
            let second = day * DAY + hour * 3_600 + minute * 60;
            for length in [0, 1, 2, 3, 10, 15] {
                let ours = calendar.due(moment(second), Amount::WorkingDays(length));
                let (last, by) = due(&days, second, usize::from(length));
                let theirs = (last, by, last > until_known);
                assert_eq!(
                    (number_of(ours.date.unwrap()), ours.by.as_second(), ours.provisional),
                    theirs,
                    "{} + {length}",
                    moment(second)
                );
                count += 1;
            }
        }
    }
    assert_eq!(count, 65_736);
}

/// 1,826 days, six moments of each, four lengths: 43,824 due dates. Without a school's own calendar its days are taken
/// to be working days, and what is due says that nobody is sure.
#[test]
fn school_days_are_counted_like_working_days_and_always_provisional() {
    let (calendar, days) = (calendar(), working_days());
    let mut count = 0;
    for day in day_number(2026, 1, 1)..day_number(2031, 1, 1) {
        for (hour, minute) in [(0, 0), (0, 59), (9, 30), (22, 59), (23, 0), (23, 59)] {
            let second = day * DAY + hour * 3_600 + minute * 60;
            for length in [0, 1, 5, 15] {
                let ours = calendar.due(moment(second), Amount::SchoolDays(length));
                let (last, by) = due(&days, second, usize::from(length));
                assert_eq!((number_of(ours.date.unwrap()), ours.by.as_second()), (last, by), "{} + {length}", moment(second));
                assert!(ours.provisional);
                count += 1;
            }
        }
    }
    assert_eq!(count, 43_824);
}

/// Year, month and day of a day number: by trying, which shares nothing with anybody's arithmetic.
fn civil(number: i64) -> (i64, i64, i64) {
    let year = (1990..2100).rev().find(|&year| day_number(year, 1, 1) <= number).unwrap();
    let month = (1..=12).rev().find(|&month| day_number(year, month, 1) <= number).unwrap();
    (year, month, number - day_number(year, month, 1) + 1)
}

/// The same day so many months later, or the last day of a month that is too short.
fn months_later(number: i64, months: i64) -> i64 {
    let (year, month, day) = civil(number);
    let (year, month) = (year + (month - 1 + months).div_euclid(12), (month - 1 + months).rem_euclid(12) + 1);
    let next = if month == 12 { day_number(year + 1, 1, 1) } else { day_number(year, month + 1, 1) };
    (day_number(year, month, 1) + day - 1).min(next - 1)
}

/// 1,826 days, three moments of each, six lengths: 32,868 due dates.
#[test]
fn a_month_ends_with_the_same_day_of_a_later_month_or_with_its_last() {
    let calendar = calendar();
    let until_known = day_number(2028, 12, 31);
    let mut count = 0;
    for day in day_number(2026, 1, 1)..day_number(2031, 1, 1) {
        for hour in [0, 12, 23] {
            let second = day * DAY + hour * 3_600;
            for months in [0, 1, 3, 6, 12, 13] {
                let ours = calendar.due(moment(second), Amount::Months(months));
                let last = months_later(london_second(second).div_euclid(DAY), i64::from(months));
                let theirs = (last, start_of_london_day(last + 1), last > until_known);
                assert_eq!((number_of(ours.date.unwrap()), ours.by.as_second(), ours.provisional), theirs, "{}", moment(second));
                count += 1;
            }
        }
    }
    assert_eq!(count, 32_868);
    let of = |start: &str, months| calendar.due(start.parse().unwrap(), Amount::Months(months)).date.unwrap().to_string();
    assert_eq!(of("2027-01-31T12:00:00Z", 1), "2027-02-28");
    assert_eq!(of("2028-01-31T12:00:00Z", 1), "2028-02-29");
    assert_eq!(of("2026-11-30T12:00:00Z", 3), "2027-02-28");
}

/// 43,824 hours: whoever does not know when school begins takes eight in the morning, London time, of the next working day.
#[test]
fn the_next_school_day_begins_at_eight_in_london_on_the_next_working_day() {
    let (calendar, days) = (calendar(), working_days());
    let mut count = 0;
    for hour in day_number(2026, 1, 1) * 24..day_number(2031, 1, 1) * 24 {
        let second = hour * 3_600;
        let ours = calendar.due(moment(second), Amount::NextSchoolDay);
        let (day, _) = due(&days, second, 1);
        // No clock changes on a working day, so eight o'clock is eight hours in.
        let theirs = Due { by: moment(start_of_london_day(day) + 8 * 3_600), date: None, provisional: true };
        assert_eq!(ours, theirs, "{}", moment(second));
        count += 1;
    }
    assert_eq!(count, 43_824);
}

#[test]
fn every_working_day_until_2028_is_one_in_the_second_computation() {
    let (calendar, days) = (calendar(), working_days());
    let mut date: jiff::civil::Date = "2026-01-01".parse().unwrap();
    while date <= calendar.covers_until() {
        assert_eq!(calendar.is_working_day(date), days.binary_search(&number_of(date)).is_ok(), "{date}");
        date = date.tomorrow().unwrap();
    }
}

#[test]
fn a_front_door_is_open_when_the_second_computation_says_so() {
    let (calendar, days) = (calendar(), working_days());
    for half_hour in 0..365 * 48 {
        let second = day_number(2026, 3, 1) * DAY + half_hour * 1_800;
        let wall = london_second(second);
        let open = days.binary_search(&wall.div_euclid(DAY)).is_ok() && (9 * 3_600..17 * 3_600).contains(&wall.rem_euclid(DAY));
        assert_eq!(OpeningHours::OFFICE.are_open(&calendar, moment(second)), open, "{}", moment(second));
    }
}

#[test]
fn elapsed_hours_are_the_same_length_in_every_season() {
    let check = |start: &str, hours, by: &str| {
        let due = calendar().due(start.parse().unwrap(), Amount::ElapsedHours(hours));
        assert_eq!(due, Due { by: by.parse().unwrap(), date: None, provisional: false });
    };
    check("2026-03-28T12:00:00Z", 72, "2026-03-31T12:00:00Z");
    check("2026-10-24T12:00:00Z", 72, "2026-10-27T12:00:00Z");
    check("2026-12-24T12:00:00Z", 4, "2026-12-24T16:00:00Z");
}

#[test]
fn a_calendar_file_that_contradicts_itself_is_refused() {
    let check = |holidays: &str, expected: &str| {
        let text =
            format!("division = \"x\"\ncovers_from = \"2026-01-01\"\ncovers_until = \"2026-12-31\"\nholidays = [{holidays}]\n");
        assert!(Calendar::parse(&text).unwrap_err().to_string().contains(expected));
    };
    check("\"2027-01-01\"", "2027-01-01 lies outside the years it says it covers");
    check("\"2026-02-30\"", "the calendar was refused");
    check("\"tomorrow\"", "the calendar was refused");
}

proptest! {
    #[test]
    fn the_date_in_london_agrees_with_the_second_computation(second in 820_454_400i64..2_200_000_000) {
        prop_assert_eq!(number_of(london_date(moment(second))), london_second(second).div_euclid(DAY));
    }

    #[test]
    fn a_due_date_is_a_working_day_after_receipt_and_more_days_are_never_due_sooner(second in 1_767_225_600i64..1_893_456_000, count in 1u16..60) {
        let calendar = calendar();
        let (one, next) = (calendar.due(moment(second), Amount::WorkingDays(count)), calendar.due(moment(second), Amount::WorkingDays(count + 1)));
        prop_assert!(calendar.is_working_day(one.date.unwrap()));
        prop_assert!(one.by > moment(second) && one.by < next.by);
    }

    #[test]
    fn whatever_the_moment_and_the_length_there_is_an_answer(second in -377_705_023_201i64..=253_402_207_200, count in 0u16..2_000) {
        let amounts = [Amount::ElapsedHours(count), Amount::WorkingDays(count), Amount::SchoolDays(count), Amount::Months(count), Amount::NextSchoolDay];
        for amount in amounts {
            prop_assert!(calendar().due(moment(second), amount).by >= moment(second));
        }
    }
}

#[test]
fn at_the_ends_of_time_there_is_an_answer_too() {
    for amount in [Amount::WorkingDays(u16::MAX), Amount::ElapsedHours(u16::MAX), Amount::WorkingDays(1)] {
        assert!(calendar().due(Moment::MAX, amount).by == Moment::MAX);
        assert!(calendar().due(Moment::MIN, amount).by > Moment::MIN);
    }
}
