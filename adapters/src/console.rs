//! What the two command lines share: words on a screen, errors a person can act on, and patience.
//!
//! Whatever came over the wire is printed without the control characters in it: a referral is text, and
//! must not be able to move a reader's cursor or rename the window.

use std::future::Future;
use std::time::Duration;

use proto::wire::common::v1 as common;
use referral::Sealed;
use referral::submission::Practitioner;
use referral::time::{london_date, london_time};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use transport::clock::Clock;

/// What a program says when it fails. Its text is for the person at the keyboard.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(pub String);

impl From<Status> for Failed {
    fn from(status: Status) -> Failed {
        Failed(in_words(&status))
    }
}

/// `text` without control characters, but for line breaks and tabs.
pub fn printable(text: &str) -> String {
    // Marks that turn the direction of writing can show a line as another than it is.
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    let shown = |c: char| if (c.is_control() && c != '\n' && c != '\t') || turns(c) { '\u{fffd}' } else { c };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

/// A status in words: what happened, every field that is wrong, and who has to act.
pub fn in_words(status: &Status) -> String {
    let details = status.get_error_details();
    let mut words = match status.code() {
        Code::Unavailable if details.error_info().is_none() => {
            format!("the gateway does not answer ({}). Is it up, and is the address right?", printable(status.message()))
        }
        _ => printable(status.message()),
    };
    for violation in details.bad_request().map(|wrong| wrong.field_violations.as_slice()).unwrap_or_default() {
        words.push_str(&format!(
            "\n  {} {} [{}]",
            printable(&violation.field),
            printable(&violation.description),
            printable(&violation.reason)
        ));
    }
    if let Some(info) = details.error_info() {
        let who = info.metadata.get("who_acts").map(String::as_str).unwrap_or("nobody in particular");
        words.push_str(&format!(
            "\n  ({}, {}; to act: {})",
            status.code(),
            printable(&info.reason),
            printable(who).to_lowercase()
        ));
    }
    words
}

/// A moment in London, to the second.
pub fn in_london(timestamp: Option<&prost_types::Timestamp>) -> String {
    match timestamp.and_then(proto::read::moment) {
        Some(moment) => format!("{} {}", london_date(moment), london_time(moment).strftime("%H:%M:%S")),
        None => "at a time not told".to_owned(),
    }
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

/// Asks until it is answered, for `patience` at most. It asks again only where the answer invites it (RetryInfo)
/// or where the line broke before there was one: whatever is asked carries its own key, so that asking twice is
/// asking once.
pub async fn patiently<A, W>(patience: Duration, ask: impl Fn() -> W) -> Result<A, Failed>
where
    W: Future<Output = Result<A, Status>>,
{
    let waited = Clock::system().stopwatch();
    loop {
        let status = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(status) => status,
        };
        let Some(delay) = retry_after(&status) else { return Err(status.into()) };
        let pause = jittered(delay);
        if waited.elapsed() + pause > patience {
            return Err(Failed(format!("{}\n  tried for {} s", in_words(&status), waited.elapsed().as_secs())));
        }
        eprintln!("{}; trying again in {:.0} s", in_words(&status).lines().next().unwrap_or_default(), pause.as_secs_f64());
        tokio::time::sleep(pause).await;
    }
}

/// When to ask again, if at all.
pub fn retry_after(status: &Status) -> Option<Duration> {
    // A status with a source was not sent by the gateway: it was made here, when the line broke.
    let broke = std::error::Error::source(status).is_some();
    let invited = status.get_details_retry_info().map(|retry| retry.retry_delay.unwrap_or(Duration::from_secs(1)));
    invited.or(broke.then_some(Duration::from_secs(2)))
}

/// Half as long again at most, so that those who were cut off together do not come back together.
pub fn jittered(delay: Duration) -> Duration {
    let [chance, ..] = *uuid::Uuid::new_v4().as_bytes();
    delay + delay.mul_f64(f64::from(chance) / 512.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Refusal;
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
    fn asking_again_needs_an_invitation() {
        assert!(retry_after(&Refusal::NotReceived(NotConfirmed::NoAnswer).into()).is_some());
        assert!(retry_after(&Refusal::SpeaksForAnother.into()).is_none());
        assert!(retry_after(&Status::unavailable("no details")).is_none());
    }

    #[test]
    fn a_person_reads_who_has_to_act() {
        let words = in_words(&Refusal::NotReceived(NotConfirmed::Refused).into());
        assert!(words.contains("telephone the front door") && words.ends_with("to act: broker)"), "{words}");
    }
}
