//! The one place that asks what time it is.
//!
//! Everybody else is handed a [`Clock`]. It can run ahead by a fixed shift, so that a rehearsal shows
//! today what a missed deadline looks like tomorrow; it never jumps while a program runs.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// Tells the time: the system's, plus the shift of a rehearsal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    shift: SignedDuration,
}

impl Clock {
    /// The time as it is.
    pub fn system() -> Clock {
        Clock::default()
    }

    /// The time as it will be after `shift`. For rehearsals; the program refuses it in earnest.
    pub fn shifted(shift: SignedDuration) -> Clock {
        Clock { shift }
    }

    /// Now. A shift that would leave the calendar stays at its end, as there is no later moment to tell.
    pub fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
        let now = Timestamp::now();
        now.checked_add(self.shift).unwrap_or(if self.shift.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
    }

    /// How far ahead of the system this clock runs.
    pub fn shift(&self) -> SignedDuration {
        self.shift
    }

    /// Starts measuring how long something takes. Never goes backwards, whatever is done to the calendar.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch(Instant::now())
    }
}

/// A clock that runs ahead, or behind, as a program's configuration asks for it: `[rehearsal]`. Both programs are
/// given the same one: the doors write down when a message was received, the broker when something is late.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearsal {
    /// Must be true for the shift to be used: a deployment with real people never sets it.
    #[serde(default)]
    pub allowed: bool,
    /// How far ahead, in seconds.
    #[serde(default)]
    pub time_shift_s: i64,
}

/// A shifted clock among real people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("[rehearsal] time_shift_s is set without allowed = true: a shifted clock is for rehearsals only")]
pub struct RehearsalNotAllowed;

impl Rehearsal {
    /// The clock, unless a shift is asked for and nobody said that this is a rehearsal.
    pub fn clock(&self) -> Result<Clock, RehearsalNotAllowed> {
        match (self.time_shift_s, self.allowed) {
            (0, _) => Ok(Clock::system()),
            (shift_s, true) => Ok(Clock::shifted(SignedDuration::from_secs(shift_s))),
            (_, false) => Err(RehearsalNotAllowed),
        }
    }
}

/// Measures how long something took; for latency metrics, not for deadlines of people.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// The time since it was started.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// The same in seconds, the unit of Prometheus.
    pub fn elapsed_s(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_clock_runs_ahead_by_its_shift() {
        let day = SignedDuration::from_hours(24);
        let ahead = Clock::shifted(day).now().duration_since(Clock::system().now());
        assert!((ahead - day).abs() < SignedDuration::from_secs(5), "{ahead:?}");
    }

    #[test]
    fn a_clock_is_shifted_in_a_rehearsal_only() {
        let of = |allowed, time_shift_s| Rehearsal { allowed, time_shift_s }.clock().map(|clock| clock.shift().as_secs());
        assert_eq!(of(true, -90), Ok(-90));
        assert_eq!((of(false, 0), of(false, 1)), (Ok(0), Err(RehearsalNotAllowed)));
    }

    #[test]
    fn a_shift_beyond_the_calendar_stays_at_its_end() {
        assert_eq!(Clock::shifted(SignedDuration::MAX).now(), Timestamp::MAX);
        assert_eq!(Clock::shifted(SignedDuration::MIN).now(), Timestamp::MIN);
    }
}
