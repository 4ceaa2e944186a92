//! What an operator reads when looking something up: who answers, on what that stands, and the doubts.

use std::fmt::Write as _;

use jiff::civil::Date;
use referral::Endpoint;
use referral::directory::{Answer, Asked, Directory, Party};
use referral::identifiers::GssCode;
use referral::time::OpeningHours;
use referral::vocab::{Desk, Vocabulary as _};

/// An answer in lines. What was asked is not repeated: a postcode may be a child's.
pub fn in_words(directory: &Directory, asked: &Asked, on: Date) -> String {
    let answer = directory.look_up(asked, on);
    let mut text = String::new();
    let mut line = |what: &str, said: &str| {
        let _ = writeln!(text, "{what:<14}{said}");
    };
    match asked {
        Asked::School(urn) => {
            if let Some(school) = directory.school(urn) {
                line("school", &school.name);
                line("number", &school.laestab().unwrap_or_default());
                line("standing", school.standing.as_str());
                let successors: Vec<String> = school.successors.iter().map(ToString::to_string).collect();
                if !successors.is_empty() {
                    line("became", &successors.join(", "));
                }
            }
        }
        Asked::Health(ods) => {
            if let Some(body) = directory.health_body(ods) {
                line("organisation", &body.name);
                line("standing", body.standing.as_str());
            }
        }
        Asked::Gss(gss) => line("place", directory.name(gss).unwrap_or("not known")),
        Asked::Postcode(_) | Asked::PartialPostcode(_) | Asked::Uprn(_) => {}
    }
    match &answer.council {
        Some(council) => answered(directory, council, on, &answer, &mut line),
        None => line("answers", "nobody can be named"),
    }
    for candidate in &answer.candidates {
        line("candidate", &format!("{} ({candidate})", directory.name(candidate).unwrap_or_default()));
    }
    line("on", &on.to_string());
    line("basis", answer.basis.as_str());
    if let Some(release) = &answer.release {
        line("release", release);
    }
    line("because", &answer.reason);
    for doubt in &answer.doubts {
        line("doubt", &doubt.words());
    }
    text
}

/// When people answer there. Only a front door has hours; the duty team is there when it is shut.
pub fn hours_of(desk: &Endpoint, party: &Party) -> Option<OpeningHours> {
    matches!(desk, Endpoint::Authority(_, Desk::FrontDoor)).then_some(party.hours)
}

fn answered(directory: &Directory, council: &GssCode, on: Date, answer: &Answer, line: &mut dyn FnMut(&str, &str)) {
    let register = directory.register();
    line("answers", &format!("{} ({council})", directory.name(council).unwrap_or_default()));
    line("area", answer.area.as_str());
    if let Some(authority) = directory.authority(council, on) {
        line("number", authority.dfe.as_deref().unwrap_or("not issued yet"));
        line("region", register.region(&authority.region).unwrap_or_default());
        let force = register.force(&authority.police).map(|force| force.name.as_str()).unwrap_or_default();
        line("police", &format!("{force} ({})", authority.police));
        if let Some(body) = register.delivery_body(council, on) {
            line("delivered by", &body.name);
        }
    }
    let mut desks = directory.desks_of(council).peekable();
    if desks.peek().is_none() {
        line("reached at", "no desk of it is connected: what is meant for it, an operator is asked to say by telephone");
    }
    for (desk, party) in desks {
        let read_by = if party.endpoint == *desk { String::new() } else { format!(", read by {}", party.endpoint) };
        let live = if party.live { "live" } else { "test" };
        let hours = hours_of(desk, party).map(|hours| format!("{hours}, ")).unwrap_or_default();
        line("reached at", &format!("{desk}{read_by}: {hours}{}, {live}", party.format.as_str()));
    }
    for body in register.beyond(council).map(|beyond| beyond.bodies.as_slice()).unwrap_or_default() {
        line("body", body);
    }
}
