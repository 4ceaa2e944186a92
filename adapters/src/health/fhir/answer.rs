//! What a sender of FHIR gets back: an OperationOutcome in BaRS's shape, and the feedback message with what became of
//! its referral. Nothing of the referral's content is repeated: a path, and what is wrong there.

use proto::wire::common::v1 as common;
use referral::time::london_time;
use referral::{Digest, Moment};

use super::tree::{self, Element, Format};
use super::{Issue, Wrong};
use crate::ladder;

/// BaRS's codes of what is wrong.
const ERRORS: &str = "https://fhir.nhs.uk/CodeSystem/http-error-codes";
/// BaRS's events.
const EVENTS: &str = "https://fhir.nhs.uk/CodeSystem/message-events-bars";

impl Wrong {
    /// FHIR's word, and BaRS's.
    fn codes(self) -> (&'static str, &'static str) {
        match self {
            Wrong::Structure => ("structure", "REC_BAD_REQUEST"),
            Wrong::NotSupported => ("not-supported", "REC_UNPROCESSABLE_ENTITY"),
            Wrong::Required => ("required", "REC_UNPROCESSABLE_ENTITY"),
            Wrong::Value => ("value", "REC_UNPROCESSABLE_ENTITY"),
            Wrong::Elsewhere => ("business-rule", "REC_UNPROCESSABLE_ENTITY"),
            Wrong::Forbidden => ("forbidden", "REC_FORBIDDEN"),
        }
    }
}

/// How many issues one answer names: with more, whoever mends these sees the rest.
const ISSUES_MAX: usize = 100;
const NOT_RECEIVED: &str = "Nothing was stored. Mend what is named and send it again; no retry helps before. If a child is in danger now, \
                            call 999 and telephone the front door.";

/// The OperationOutcome of a message that was not received.
pub fn refused(format: Format, issues: &[Issue]) -> String {
    let more = match issues.len().saturating_sub(ISSUES_MAX) {
        0 => NOT_RECEIVED.to_owned(),
        more => format!("And {more} more. {NOT_RECEIVED}"),
    };
    let issues = issues.iter().take(ISSUES_MAX).map(|issue| {
        let (code, of_bars) = issue.wrong.codes();
        Element::branch(
            "issue",
            vec![
                Element::leaf("severity", "error"),
                Element::leaf("code", code),
                Element::branch("details", vec![coding("coding", ERRORS, of_bars)]),
                Element::leaf("diagnostics", &format!("{} {}", issue.at, issue.because)),
                Element::leaf("expression", &issue.at),
            ],
        )
    });
    let issues = issues.chain([informed(&more)]).collect();
    tree::write(format, &Element::resource("OperationOutcome", "OperationOutcome", issues))
}

/// The OperationOutcome of a message that was received.
pub fn accepted(format: Format, meaning: &str) -> String {
    tree::write(format, &Element::resource("OperationOutcome", "OperationOutcome", vec![informed(meaning)]))
}

fn informed(meaning: &str) -> Element {
    let said = ["severity", "code", "diagnostics"].into_iter().zip(["information", "informational", meaning]);
    Element::branch("issue", said.map(|(name, value)| Element::leaf(name, value)).collect())
}

/// The feedback message.
pub struct Feedback {
    /// Its id: another as soon as it says something else, and the same as long as it says the same.
    pub request_id: String,
    /// The message.
    pub body: String,
}

/// The feedback on a referral that was sent as the message `message_id`, in what its sender may see.
pub fn feedback(format: Format, message_id: &str, status: &common::ReferralStatus, received: Moment) -> Feedback {
    let last = status.ladder.last().map(|entry| entry.position).unwrap_or_default();
    let what = Digest::of(&[b"fhir.feedback", status.referral_id.as_bytes(), message_id.as_bytes(), &last.to_be_bytes()]);
    let id = |part: &[u8]| {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(Digest::of(&[what.as_bytes(), part]).as_bytes()).for_each(|(to, from)| *to = *from);
        uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
    };
    let (request_id, request) = (id(b"header"), id(b"request"));
    let request_url = format!("urn:uuid:{request}");
    let header = vec![
        Element::leaf("id", &request_id),
        coding("eventCoding", EVENTS, "servicerequest-response"),
        Element::branch("source", vec![Element::leaf("endpoint", "urn:safeguarding:service.adapter")]),
        Element::branch("response", vec![Element::leaf("identifier", message_id), Element::leaf("code", "ok")]),
        Element::branch("focus", vec![Element::leaf("reference", &request_url)]),
    ];
    let state = if status.withdrawn {
        "revoked"
    } else if status.open {
        "active"
    } else {
        "completed"
    };
    let identifier = vec![Element::leaf("system", "urn:safeguarding:referral"), Element::leaf("value", &status.referral_id)];
    let mut about = vec![
        Element::leaf("id", &request),
        Element::branch("identifier", identifier),
        Element::leaf("status", state),
        Element::leaf("intent", "order"),
        // A resource must name its subject; the broker's progress names no child.
        Element::branch("subject", vec![Element::leaf("display", "the child of the referral")]),
    ];
    about.extend(status.ladder.iter().map(|entry| Element::branch("note", vec![Element::leaf("text", &ladder::words(entry))])));
    let entry = |name: &str, resource: Element| Element::branch("entry", vec![Element::leaf("fullUrl", name), resource]);
    let bundle = vec![
        Element::leaf("type", "message"),
        Element::leaf("timestamp", &london_time(received).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()),
        entry(&format!("urn:uuid:{request_id}"), Element::resource("resource", "MessageHeader", header)),
        entry(&request_url, Element::resource("resource", "ServiceRequest", about)),
    ];
    Feedback { request_id, body: tree::write(format, &Element::resource("Bundle", "Bundle", bundle)) }
}

fn coding(name: &str, system: &str, code: &str) -> Element {
    Element::branch(name, vec![Element::leaf("system", system), Element::leaf("code", code)])
}
