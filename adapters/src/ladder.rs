//! The ladder on a screen: each rung in words, and when the rung that somebody waits for is reached.

use std::fmt::Write as _;

use proto::wire::common::v1 as common;
use proto::wire::common::v1::progress_entry::Step;

use crate::console::{due, in_london, printable};

/// A rung to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Until {
    /// A queue has it.
    Accepted,
    /// It is known who receives it.
    Routed,
    /// The responsible queue has it.
    Delivered,
    /// The responsible system has taken it.
    Collected,
    /// A named person has it.
    Acknowledged,
    /// A named person has decided.
    Decided,
    /// You were told how it ended.
    #[value(aliases = ["outcome-returned", "outcome_returned"])]
    Closed,
}

/// How far a climb has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Not there yet.
    Climbing,
    /// The rung that was waited for, or a higher one.
    There,
    /// It will not climb further: it was returned or refused.
    Ended,
}

/// Follows one referral's ladder.
#[derive(Default)]
pub struct Climb {
    responsible: String,
}

impl Climb {
    /// What `entry` means to somebody who waits for `until`. What happens at recipients who are only told is
    /// shown, and is no rung.
    pub fn step(&mut self, entry: &common::ProgressEntry, until: Until) -> Reached {
        let by_responsible = |endpoint: &str, rung| (endpoint == self.responsible).then_some(rung);
        let rung = match &entry.step {
            Some(Step::Accepted(_)) => Some(Until::Accepted),
            Some(Step::Routed(routed)) => {
                let responsible =
                    routed.recipients.iter().find(|recipient| recipient.role() == common::RecipientRole::Responsible);
                self.responsible = responsible.map(|recipient| recipient.endpoint.clone()).unwrap_or_default();
                Some(Until::Routed)
            }
            Some(Step::Delivered(at)) => by_responsible(&at.endpoint, Until::Delivered),
            Some(Step::Collected(at)) => by_responsible(&at.endpoint, Until::Collected),
            Some(Step::Acknowledged(at)) => by_responsible(&at.endpoint, Until::Acknowledged),
            Some(Step::Decided(_)) => Some(Until::Decided),
            Some(Step::OutcomeReturned(_)) => Some(Until::Closed),
            Some(Step::ReturnedToSender(_) | Step::Refused(_)) => return Reached::Ended,
            Some(
                Step::Held(_)
                | Step::Reviewed(_)
                | Step::Amended(_)
                | Step::Withdrawn(_)
                | Step::ConsentWithdrawn(_)
                | Step::ClockBreached(_)
                | Step::NotConnected(_)
                | Step::Quarantined(_)
                | Step::AskedForMore(_)
                | Step::TransferOffered(_)
                | Step::TransferRefused(_)
                | Step::TransferWithdrawn(_)
                | Step::StrategyDiscussionHeld(_)
                | Step::ReferredOn(_)
                | Step::HandlingLifted(_)
                | Step::Disagreed(_),
            )
            | None => None,
            // From now on the rungs are climbed there.
            Some(
                Step::TransferAccepted(common::TransferAccepted { to, .. })
                | Step::PassedToSuccessor(common::PassedToSuccessor { to, .. }),
            ) => {
                self.responsible.clone_from(to);
                None
            }
        };
        if rung.is_some_and(|rung| rung >= until) { Reached::There } else { Reached::Climbing }
    }
}

/// An entry in words: a first line, and reasons below it.
pub fn words(entry: &common::ProgressEntry) -> String {
    // What would happen has no time yet.
    let mut text = entry.time.as_ref().map(|time| format!("{}  ", in_london(Some(time)))).unwrap_or_default();
    match &entry.step {
        None => text.push_str("something that this program is too old to know"),
        Some(Step::Accepted(_)) => rung(&mut text, "accepted", "it is kept; no person has read it yet"),
        Some(Step::Routed(routed)) => {
            let to: Vec<String> = routed
                .recipients
                .iter()
                .map(|recipient| format!("{} ({})", recipient.endpoint, role_words(recipient.role())))
                .collect();
            rung(&mut text, "routed", &format!("to {}", to.join(", ")));
            reasons(&mut text, &routed.sentences);
            flags(&mut text, &routed.flags);
            edition(&mut text, routed.edition.as_ref());
        }
        Some(Step::Held(held)) => {
            let intended = if held.intended.is_empty() { String::new() } else { format!("; it would go to {}", held.intended) };
            rung(&mut text, "HELD", &format!("for a person to decide: {} [{}]{intended}", held.why, held.rule_id));
            reasons(&mut text, &held.sentences);
            flags(&mut text, &held.flags);
        }
        Some(Step::Reviewed(reviewed)) => {
            let whole = reviewed.items.is_empty();
            let what = match reviewed.choice() {
                common::ReviewChoice::Released if !whole => "what was withheld until a person looked was handed over".to_owned(),
                common::ReviewChoice::Returned if !whole => {
                    "a person looked, and what was withheld until then stays withheld".to_owned()
                }
                common::ReviewChoice::Unspecified => "decided about in a way that this program is too old to know".to_owned(),
                common::ReviewChoice::Released => "it was held, and a person released it".to_owned(),
                common::ReviewChoice::Redirected => {
                    format!("it was held, and a person redirected it to {}", reviewed.redirected_to)
                }
                common::ReviewChoice::Returned => "it was held, and a person gives it back to you".to_owned(),
            };
            let lifted: Vec<&str> = reviewed.lifted.iter().map(|held| held.rule_id.as_str()).collect();
            let role = on_one_line(&reviewed.by_role);
            rung(&mut text, "REVIEWED", &format!("{what} ({role}); held by {}", lifted.join(", ")));
            for line in reviewed.reason.lines() {
                let _ = write!(text, "\n    {line}");
            }
        }
        Some(Step::ReturnedToSender(returned)) => {
            rung(&mut text, "RETURNED", &format!("to you: {} [{}]", returned.why, returned.rule_id));
            reasons(&mut text, &returned.sentences);
        }
        Some(Step::Refused(refused)) => {
            rung(&mut text, "REFUSED", &format!("and not kept: {} [{}]", refused.why, refused.rule_id));
            reasons(&mut text, &refused.sentences);
        }
        Some(Step::Delivered(at)) => {
            rung(&mut text, "delivered", &format!("the queue of {} has it; nobody there has read it", at.endpoint))
        }
        Some(Step::NotConnected(at)) => {
            rung(
                &mut text,
                "NOT CONNECTED",
                &format!("there is no connection to {}; an operator was told. If it cannot wait, telephone them", at.endpoint),
            );
        }
        Some(Step::Collected(at)) => {
            rung(&mut text, "collected", &format!("the system at {} took it; no person has read it", at.endpoint))
        }
        Some(Step::Acknowledged(at)) => rung(&mut text, "acknowledged", &format!("by {} at {}", by(at.by.as_ref()), at.endpoint)),
        Some(Step::Decided(decided)) => {
            let outcome = decided.outcome().as_str_name().trim_start_matches("OUTCOME_").to_ascii_lowercase().replace('_', " ");
            rung(&mut text, "decided", &format!("{outcome}, by {} at {}", by(decided.by.as_ref()), decided.endpoint));
            // Each line set in, so that no reason can look like a rung of its own.
            for line in decided.reason.lines() {
                let _ = write!(text, "\n    {line}");
            }
        }
        Some(Step::OutcomeReturned(_)) => rung(&mut text, "closed", "you have been told how it ended"),
        Some(Step::Amended(amended)) => {
            let key = if amended.under_the_same_key { ", under the key of an earlier one: somebody should look" } else { "" };
            rung(&mut text, "amended", &format!("a changed version was received{key}"));
        }
        Some(Step::Withdrawn(_)) => rung(&mut text, "withdrawn", "by you; those who received it are told"),
        Some(Step::ConsentWithdrawn(withdrawn)) => {
            let name = withdrawn.withdrawn_by().as_str_name().trim_start_matches("AGREEMENT_HOLDER_");
            let holder = name.to_ascii_lowercase().replace('_', " ");
            let on = &withdrawn.withdrawn_on;
            rung(&mut text, "agreement", &format!("withdrawn on {on} ({holder}); those who received it are told"));
        }
        Some(Step::ClockBreached(breached)) => {
            let clock = breached.clock.as_ref();
            let name = clock.map(|clock| clock.name.as_str()).unwrap_or_default();
            let due = clock.map(due).unwrap_or_default();
            rung(&mut text, "LATE", &format!("{name} was due by {due}; they were told too. If it cannot wait, telephone them"));
        }
        Some(Step::Quarantined(quarantined)) => {
            rung(&mut text, "QUARANTINED", &format!("it could not be processed: {}; an operator was told", quarantined.why));
        }
        Some(Step::AskedForMore(asked)) => {
            rung(
                &mut text,
                "ASKED",
                &format!("by {} at {}; answer with a changed version", by(asked.by.as_ref()), asked.endpoint),
            );
            for line in asked.question.lines() {
                let _ = write!(text, "\n    {line}");
            }
        }
        Some(Step::TransferOffered(offered)) => {
            let until = format!("to {}; until they accept, {} answers for the child", offered.to, offered.from);
            rung(&mut text, "offered", &until);
        }
        Some(Step::TransferAccepted(taken)) => {
            rung(&mut text, "taken over", &format!("by {} at {}, from {}", by(taken.by.as_ref()), taken.to, taken.from));
        }
        Some(Step::PassedToSuccessor(passed)) => {
            rung(&mut text, "passed on", &format!("to {}, which follows {}; the clocks go on", passed.to, passed.from));
        }
        Some(Step::TransferRefused(refused)) => {
            rung(&mut text, "not taken", &format!("over by {}; {} answers for the child", refused.to, refused.from));
        }
        Some(Step::TransferWithdrawn(withdrawn)) => {
            let to = &withdrawn.to;
            rung(&mut text, "not offered", &format!("to {to} any longer; {} answers for the child", withdrawn.from));
        }
        Some(Step::StrategyDiscussionHeld(held)) => {
            rung(&mut text, "discussed", &format!("a strategy discussion was held at {}", held.endpoint));
        }
        Some(Step::ReferredOn(referred)) => {
            rung(&mut text, "referred on", &format!("by {} to {}, which helps too", referred.endpoint, referred.to));
        }
        Some(Step::HandlingLifted(lifted)) => {
            let name = lifted.condition().as_str_name().trim_start_matches("HANDLING_FLAG_");
            let condition = name.to_ascii_lowercase().replace('_', " ");
            rung(&mut text, "lifted", &format!("{condition}: {} says that it need not be kept any longer", lifted.endpoint));
        }
        Some(Step::Disagreed(disagreed)) => {
            let words = match disagreed.stage {
                0 => "your disagreement goes to whoever is on duty, as urgent".to_owned(),
                stage => format!("your disagreement ({}) goes to {}", stage_of_disagreement(stage), disagreed.endpoint),
            };
            rung(&mut text, "disagreed", &words);
        }
    }
    printable(&text)
}

fn rung(text: &mut String, name: &str, what: &str) {
    // Writing to a String cannot fail.
    let _ = write!(text, "{name:<13} {what}");
}

fn reasons(text: &mut String, sentences: &[common::Sentence]) {
    for sentence in sentences {
        let evidence = match sentence.evidence() {
            common::Evidence::Unspecified => "",
            common::Evidence::Verified => "; verified",
            common::Evidence::ToConfirm => "; to be confirmed",
            common::Evidence::Convention => "; a convention",
        };
        let contested = if sentence.contested { "; contested" } else { "" };
        let _ = write!(text, "\n    {}", sentence.text);
        if !sentence.rule_id.is_empty() {
            let _ = write!(text, " [{}; {}{evidence}{contested}]", sentence.rule_id, sentence.source);
        }
    }
}

fn flags(text: &mut String, flags: &[String]) {
    if !flags.is_empty() {
        let _ = write!(text, "\n    flagged: {}", flags.join(", ").replace('_', " "));
    }
}

fn edition(text: &mut String, edition: Option<&common::Edition>) {
    if let Some(edition) = edition {
        let _ = write!(text, "\n    under the rules {}", edition.name);
    }
}

fn role_words(role: common::RecipientRole) -> &'static str {
    match role {
        common::RecipientRole::Unspecified => "in a role that this program is too old to know",
        common::RecipientRole::Responsible => "responsible",
        common::RecipientRole::Notified => "told",
        common::RecipientRole::EarlierRecipient => "told of the change",
    }
}

fn by(person: Option<&common::Practitioner>) -> String {
    match person {
        Some(person) if person.role.is_empty() => on_one_line(&person.name),
        Some(person) => on_one_line(&format!("{}, {}", person.name, person.role)),
        None => "somebody".to_owned(),
    }
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A stage of the escalation procedure (FB-03).
fn stage_of_disagreement(stage: u32) -> String {
    let before = match stage {
        1 => ", the manager",
        2 => ", the safeguarding leads",
        3 => ", the heads of service",
        4 => ", the safeguarding partners",
        _ => "",
    };
    format!("stage {stage}{before}")
}

/// How a disagreement stands, in a line.
pub fn disagreement_words(disagreement: &common::DisagreementStatus) -> String {
    let stands = match disagreement.state() {
        common::DisagreementState::Unspecified => "stands in a way that this program is too old to know",
        common::DisagreementState::Open => "waits for an answer",
        common::DisagreementState::Late => "was not answered in time",
        common::DisagreementState::Answered => "was answered",
    };
    let higher = if disagreement.may_be_raised { "; it can go one stage higher" } else { "" };
    format!("your disagreement ({}) {stands}{higher}", stage_of_disagreement(disagreement.stage))
}

/// A stage in a word or two.
pub fn stage_words(stage: common::Stage) -> String {
    stage.as_str_name().trim_start_matches("STAGE_").to_ascii_lowercase().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(step: Step) -> common::ProgressEntry {
        common::ProgressEntry { step: Some(step), ..common::ProgressEntry::default() }
    }

    fn routed_to(endpoint: &str) -> common::ProgressEntry {
        let responsible = common::RoutedRecipient {
            endpoint: endpoint.to_owned(),
            role: common::RecipientRole::Responsible as i32,
            ..common::RoutedRecipient::default()
        };
        entry(Step::Routed(common::Routed { recipients: vec![responsible], ..common::Routed::default() }))
    }

    #[test]
    fn a_rung_is_climbed_where_the_responsibility_lies() {
        let mut climb = Climb::default();
        let delivered = |to: &str| entry(Step::Delivered(common::Delivered { endpoint: to.to_owned() }));
        assert_eq!(climb.step(&routed_to("la.E08000035.front-door"), Until::Delivered), Reached::Climbing);
        assert_eq!(climb.step(&delivered("police.13"), Until::Delivered), Reached::Climbing);
        assert_eq!(climb.step(&delivered("la.E08000035.front-door"), Until::Delivered), Reached::There);
    }

    #[test]
    fn a_higher_rung_is_there_too_and_what_came_back_climbs_no_more() {
        let mut climb = Climb::default();
        assert_eq!(climb.step(&entry(Step::OutcomeReturned(common::OutcomeReturned {})), Until::Routed), Reached::There);
        assert_eq!(
            climb.step(&entry(Step::ReturnedToSender(common::ReturnedToSender::default())), Until::Routed),
            Reached::Ended
        );
        assert_eq!(climb.step(&entry(Step::Held(common::Held::default())), Until::Routed), Reached::Climbing);
    }

    #[test]
    fn a_reason_cannot_look_like_a_rung() {
        let by = common::Practitioner {
            name: "Priya\nShah".to_owned(),
            role: "social worker".to_owned(),
            ..common::Practitioner::default()
        };
        let words = words(&entry(Step::Decided(common::Decided {
            endpoint: "la.E08000035.front-door".to_owned(),
            by: Some(by),
            outcome: common::Outcome::S17Assessment as i32,
            reason: "It begins today.\n2026-11-25 10:00:00  closed        you have been told".to_owned(),
        })));
        let lines: Vec<&str> = words.lines().collect();
        assert_eq!(
            lines,
            [
                "decided       s17 assessment, by Priya Shah, social worker at la.E08000035.front-door",
                "    It begins today.",
                "    2026-11-25 10:00:00  closed        you have been told",
            ]
        );
    }

    #[test]
    fn what_waits_for_a_person_says_why_and_where_it_would_go() {
        let held = common::Held {
            why: "Early help is voluntary".to_owned(),
            rule_id: "TC-04".to_owned(),
            intended: "la.E08000035.early-help".to_owned(),
            flags: vec!["level_mismatch".to_owned()],
            ..common::Held::default()
        };
        assert_eq!(
            words(&entry(Step::Held(held))),
            "HELD          for a person to decide: Early help is voluntary [TC-04]; it would go to la.E08000035.early-help\n    flagged: level mismatch"
        );
    }

    #[test]
    fn who_is_late_is_told_with_the_day_in_london() {
        let clock = common::Clock {
            name: "la_ack_decision_1wd".to_owned(),
            due_date: "2026-11-24".to_owned(),
            ..common::Clock::default()
        };
        let words = words(&entry(Step::ClockBreached(common::ClockBreached { clock: Some(clock) })));
        assert!(words.contains("la_ack_decision_1wd was due by the end of Tuesday 24 November 2026 in London"), "{words}");
    }
}
