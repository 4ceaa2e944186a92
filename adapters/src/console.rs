//! What the two command lines share: words on a screen, errors a person can act on, and patience.
//!
//! Whatever came over the wire is printed without the control characters in it: a referral is text, and
//! must not be able to move a reader's cursor or rename the window.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use proto::wire::common::v1 as common;
use referral::Sealed;
use referral::submission::Practitioner;
use referral::time::{london_date, london_time};
use safeguarding_client::{Failed, causes, is_distrust};
use tonic::{Code, Status};
use tonic_types::StatusExt;

pub use safeguarding_client::{new_trace, traced};

use crate::client::BadAddress;
use crate::config::BadConfig;

/// Why a program ended before it had done what it was asked. The words are for the person at the keyboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The broker refused, could not be reached, or gave the referral back.
    Refused(String),
    /// The command line, the configuration or the disk is not as it must be.
    Unusable(String),
    /// There was nothing to show within the time that was given.
    Nothing(String),
}

impl Stopped {
    /// 1 refused, 2 wrong usage or configuration, 3 nothing to show in time.
    pub fn exit_code(&self) -> u8 {
        match self {
            Stopped::Refused(_) => 1,
            Stopped::Unusable(_) => 2,
            Stopped::Nothing(_) => 3,
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Stopped::Refused(why) | Stopped::Unusable(why) | Stopped::Nothing(why)) = self;
        f.write_str(why)
    }
}

impl From<Status> for Stopped {
    fn from(status: Status) -> Stopped {
        Stopped::Refused(in_words(&status))
    }
}

impl From<Failed> for Stopped {
    fn from(failed: Failed) -> Stopped {
        match failed {
            Failed::Refused(status) => Stopped::from(*status),
            Failed::GaveUp { status, tried } => {
                Stopped::Refused(format!("{}\n  tried for {} s", in_words(&status), tried.as_secs()))
            }
            Failed::KeyNotKept { .. } => {
                Stopped::Unusable(format!("{failed}. Name another folder with --outbox, or a key with --key"))
            }
        }
    }
}

impl From<BadConfig> for Stopped {
    fn from(fault: BadConfig) -> Stopped {
        Stopped::Unusable(fault.to_string())
    }
}

impl From<BadAddress> for Stopped {
    fn from(fault: BadAddress) -> Stopped {
        Stopped::Unusable(format!("[gateway] {fault}"))
    }
}

/// The exit code for how `program` ended; says on standard error why, if it was stopped.
pub fn exit(program: &str, ended: Result<(), Stopped>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(stopped) => {
            note(&format!("{program}: {stopped}"));
            ExitCode::from(stopped.exit_code())
        }
    }
}

/// Prints for the person who asked. When nobody reads any more the program ends: what was not shown must not
/// count as shown.
pub fn say(words: &str) -> Result<(), Stopped> {
    let mut out = io::stdout().lock();
    let said = writeln!(out, "{words}").and_then(|()| out.flush());
    said.map_err(|fault| Stopped::Unusable(format!("nobody reads what is printed: {fault}")))
}

/// Says beside it how things go. Never anything about a child.
pub fn note(words: &str) {
    // Whoever closed standard error does not want to know.
    let _ = writeln!(io::stderr().lock(), "{words}");
}

/// `text` without control characters, but for line breaks and tabs.
pub fn printable(text: &str) -> String {
    // Marks that turn the direction of writing can show a line as another than it is.
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    let shown = |c: char| if (c.is_control() && c != '\n' && c != '\t') || turns(c) { '\u{fffd}' } else { c };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

/// A status in words: what happened, every field that is wrong with the rule it breaks, and who has to act.
pub fn in_words(status: &Status) -> String {
    if let Some(cause) = status.source() {
        return on_this_side(status, cause);
    }
    let details = status.get_error_details();
    let mut words = match (status.code(), details.error_info()) {
        (Code::DeadlineExceeded | Code::Cancelled, None) => NO_ANSWER.to_owned(),
        _ => printable(status.message()),
    };
    for violation in details.bad_request().map(|wrong| wrong.field_violations.as_slice()).unwrap_or_default() {
        let rule = printable(&violation.reason).replace('_', "-");
        words.push_str(&format!("\n  {} {} [{rule}]", printable(&violation.field), printable(&violation.description)));
    }
    if let Some(info) = details.error_info() {
        let of_info = |key: &str| info.metadata.get(key).map(|text| printable(text)).filter(|text| !text.is_empty());
        let who = of_info("who_acts").unwrap_or_else(|| "nobody in particular".to_owned()).to_lowercase();
        // Where fields are wrong, each has its rule beside it.
        let rule = of_info("rule").filter(|_| details.bad_request().is_none()).map(|rule| format!(", {rule}"));
        words.push_str(&format!("\n  ({}{}; to act: {who})", printable(&info.reason), rule.unwrap_or_default()));
    }
    words
}

const NO_ANSWER: &str = "there was no answer in time, and it is not known whether it arrived. Asking again is safe";

/// What went wrong before there was an answer, down to its cause. It names addresses and certificates, no content.
fn on_this_side(status: &Status, cause: &(dyn Error + 'static)) -> String {
    if matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded) {
        return NO_ANSWER.to_owned();
    }
    let because = causes(cause).pop().unwrap_or_else(|| status.message().to_owned());
    let because = printable(&because);
    if is_distrust(cause) {
        return format!(
            "the gateway and this certificate do not trust each other ({because}). Check [tls], and [gateway] server_name"
        );
    }
    format!("the gateway does not answer ({because}). Is it up, and is the address right?")
}

/// A moment in London, to the second.
pub fn in_london(timestamp: Option<&prost_types::Timestamp>) -> String {
    match timestamp.and_then(proto::read::moment) {
        Some(moment) => format!("{} {}", london_date(moment), london_time(moment).strftime("%H:%M:%S")),
        None => "at a time not told".to_owned(),
    }
}

/// When a clock is due: at the end of a London day, or at a moment in London.
pub fn due(clock: &common::Clock) -> String {
    let when = match clock.due_date.parse::<jiff::civil::Date>() {
        Ok(date) => format!("the end of {} in London", date.strftime("%A %-d %B %Y")),
        Err(_) => format!("{} in London", in_london(clock.due.as_ref())),
    };
    let doubt = if clock.provisional { " (provisional: the calendar of bank holidays ends before)" } else { "" };
    format!("{when}{doubt}")
}

/// A person given as "Name, role".
pub fn person(text: &str) -> Result<common::Practitioner, String> {
    match text.split_once(',').map(|(name, role)| (name.trim(), role.trim())) {
        Some((name, role)) if !name.is_empty() && !role.is_empty() => {
            let by = Practitioner { name: Sealed::from(name), role: Sealed::from(role), contact: Sealed::from("") };
            Ok(proto::write::practitioner(&by))
        }
        _ => Err("a name and a role are needed, such as \"Priya Shah, duty social worker\"".to_owned()),
    }
}

/// Asks as the client does, and says on standard error when it has to ask again.
pub async fn patiently<A, W>(patience: Duration, ask: impl Fn() -> W) -> Result<A, Stopped>
where
    W: Future<Output = Result<A, Status>>,
{
    Ok(safeguarding_client::patiently(patience, again_soon, ask).await?)
}

/// Says that something is asked again.
pub fn again_soon(status: &Status, wait: Duration) {
    note(&format!("{}; trying again in {:.1} s", in_words(status).lines().next().unwrap_or_default(), wait.as_secs_f64()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Refusal;
    use proto::read::{Invalid, Violation};
    use transport::amqp::NotConfirmed;

    #[test]
    fn a_referral_cannot_move_the_readers_cursor() {
        assert_eq!(printable("worry\u{1b}[2J\u{202e}\r\n\tmore\u{7}"), "worry\u{fffd}[2J\u{fffd}\n\tmore\u{fffd}");
    }

    #[test]
    fn a_person_has_a_name_and_a_role() {
        let by = person("Priya Shah, duty social worker, Leeds").unwrap();
        assert_eq!((by.name.as_str(), by.role.as_str()), ("Priya Shah", "duty social worker, Leeds"));
        for nobody in ["", "Priya Shah", ", duty social worker", "Priya Shah,"] {
            assert!(person(nobody).is_err(), "{nobody:?}");
        }
    }

    #[test]
    fn a_line_that_broke_and_distrust_are_told_apart() {
        let broke = |because: &'static str| {
            let mut status = Status::unavailable("transport error");
            status.set_source(std::sync::Arc::new(io::Error::other(because)));
            status
        };
        assert!(in_words(&broke("connection refused")).contains("Is it up"));
        assert!(in_words(&broke("invalid peer certificate: UnknownIssuer")).contains("do not trust each other"));
        assert!(in_words(&broke("received fatal alert: CertificateExpired")).contains("[tls]"));
    }

    #[test]
    fn a_person_reads_who_has_to_act_and_by_which_rule() {
        let words = in_words(&Refusal::NotReceived(NotConfirmed::Refused).into());
        assert!(words.contains("telephone the front door") && words.ends_with(", P1; to act: broker)"), "{words}");
    }

    #[test]
    fn a_person_reads_every_field_that_is_wrong_with_its_rule() {
        let wrong = |field: &str, rule| Violation { field: field.to_owned(), rule, because: "is missing".to_owned() };
        let wrong = vec![wrong("form.level", "required"), wrong("form.pupil.identity.upn", "ID-02")];
        let words = in_words(&Refusal::Invalid(Invalid(wrong)).into());
        assert!(words.contains("\n  form.level is missing [REQUIRED]"), "{words}");
        assert!(words.contains("\n  form.pupil.identity.upn is missing [ID-02]"), "{words}");
        assert!(words.ends_with("to act: sender)"), "{words}");
    }

    #[test]
    fn a_clock_of_working_days_is_due_at_the_end_of_a_day_and_one_of_hours_at_a_moment_both_in_london() {
        let days = common::Clock { due_date: "2026-11-25".to_owned(), ..common::Clock::default() };
        assert_eq!(due(&days), "the end of Wednesday 25 November 2026 in London");
        let summer = "2026-07-01T08:30:00Z".parse().map(proto::write::timestamp).ok();
        let hours = common::Clock { due: summer, provisional: true, ..common::Clock::default() };
        assert_eq!(due(&hours), "2026-07-01 09:30:00 in London (provisional: the calendar of bank holidays ends before)");
    }
}
