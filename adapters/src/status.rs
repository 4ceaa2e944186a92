//! The one place where an error becomes a gRPC status. It says what happened, who has to act, and whether
//! trying again helps. It never repeats a value, and never lets through what a library said.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message as _;
use proto::read::{Invalid, Violation};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt, pb};
use transport::amqp::NotConfirmed;

/// Whose words the reasons are: the domain of every `ErrorInfo`.
const DOMAIN: &str = "safeguarding";
/// The type of the detail that says why, and who has to act.
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
/// Details travel in a header that gRPC libraries cut off at 8 KiB; in it they are a third longer.
const DETAIL_BYTES_MAX: usize = 4 * 1024;
/// When to try again: long enough for a queue's leader to be elected.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why a call is refused.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// The message breaks the contract.
    Invalid(Invalid),
    /// The certificate names no party that this broker knows how to read.
    Nobody,
    /// The party has no business at this door.
    WrongDoor,
    /// The message names another sender than its certificate.
    SpeaksForAnother,
    /// It is marked above OFFICIAL-SENSITIVE: this broker may not hold it (HR-08).
    MarkedTooHigh,
    /// There is no such referral, or it is another's: the same words for both.
    NoSuchReferral,
    /// There is no such delivery, or it is another's: the same words for both.
    NoSuchDelivery,
    /// The answer is to other content than was delivered.
    OtherContent,
    /// No queue has said that it has the message.
    NotReceived(NotConfirmed),
    /// The broker does not answer.
    BrokerAway,
    /// Too much at once from outside.
    TooMuch,
    /// Another authority answers for the child now, or whoever answers was only told.
    NotResponsible,
    /// Nothing is offered to whoever answers an offer.
    NothingOffered,
    /// Another authority was asked to take it over, and has not answered.
    TransferPending,
    /// The case is offered to nobody, so no offer can be taken back.
    NoOffer,
    /// No authority has the referral, so there is nobody whose decision could be disputed.
    NobodyHasIt,
    /// The referral came back to its sender, so there is nobody to tell.
    CameBack,
    /// The disagreement lies before somebody who has time left to answer it.
    DisagreementOpen,
    /// The disagreement has come to the last stage.
    NoStageAbove,
}

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhoActs {
    Sender,
    Broker,
    Receiver,
}

impl WhoActs {
    fn as_str(self) -> &'static str {
        match self {
            WhoActs::Sender => "SENDER",
            WhoActs::Broker => "BROKER",
            WhoActs::Receiver => "RECEIVER",
        }
    }
}

impl Refusal {
    /// The reason: a stable word, for machines and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::Invalid(_) => "INVALID",
            Refusal::Nobody => "UNKNOWN_PARTY",
            Refusal::WrongDoor => "NOT_YOUR_SERVICE",
            Refusal::SpeaksForAnother => "SENDER_IS_ANOTHER",
            Refusal::MarkedTooHigh => "MARKED_TOO_HIGH",
            Refusal::NoSuchReferral => "NO_SUCH_REFERRAL",
            Refusal::NoSuchDelivery => "NO_SUCH_DELIVERY",
            Refusal::OtherContent => "OTHER_CONTENT",
            Refusal::NotReceived(_) => "NOT_RECEIVED",
            Refusal::BrokerAway => "BROKER_AWAY",
            Refusal::TooMuch => "TOO_MUCH",
            Refusal::NobodyHasIt => "NOBODY_HAS_IT",
            Refusal::CameBack => "CAME_BACK",
            Refusal::DisagreementOpen => "DISAGREEMENT_OPEN",
            Refusal::NoStageAbove => "NO_STAGE_ABOVE",
            Refusal::NotResponsible => "NOT_RESPONSIBLE",
            Refusal::NothingOffered => "NOTHING_OFFERED",
            Refusal::TransferPending => "TRANSFER_PENDING",
            Refusal::NoOffer => "NO_OFFER",
        }
    }

    fn code(&self) -> Code {
        match self {
            Refusal::Invalid(_) => Code::InvalidArgument,
            Refusal::Nobody | Refusal::WrongDoor | Refusal::SpeaksForAnother => Code::PermissionDenied,
            Refusal::NoSuchReferral | Refusal::NoSuchDelivery => Code::NotFound,
            Refusal::OtherContent
            | Refusal::MarkedTooHigh
            | Refusal::NobodyHasIt
            | Refusal::CameBack
            | Refusal::DisagreementOpen
            | Refusal::NoStageAbove
            | Refusal::NotResponsible
            | Refusal::NothingOffered
            | Refusal::NoOffer
            | Refusal::TransferPending => Code::FailedPrecondition,
            // No retry would be answered otherwise, so no client should be led to try one.
            Refusal::NotReceived(NotConfirmed::TooLong) => Code::InvalidArgument,
            Refusal::NotReceived(_) | Refusal::BrokerAway => Code::Unavailable,
            Refusal::TooMuch => Code::ResourceExhausted,
        }
    }

    fn words(&self) -> String {
        match self {
            Refusal::Invalid(Invalid(violations)) => match violations.len() {
                1 => "one field is wrong; the details name it. Nothing was stored".to_owned(),
                many => format!("{many} fields are wrong; the details name them. Nothing was stored"),
            },
            Refusal::Nobody => "your certificate names no party that may speak here".to_owned(),
            Refusal::WrongDoor => "your certificate's party may not call this service".to_owned(),
            Refusal::SpeaksForAnother => {
                "the message names another sender than your certificate; you speak for yourself only. Nothing was stored".to_owned()
            }
            Refusal::MarkedTooHigh => {
                "it is marked above OFFICIAL-SENSITIVE, which may not be sent this way. Nothing was stored. Send it by a channel accredited \
                 for that marking, and telephone the front door now"
                    .to_owned()
            }
            Refusal::NoSuchReferral => "there is no such referral of yours".to_owned(),
            Refusal::NoSuchDelivery => "there is no such delivery to you. Nothing was stored".to_owned(),
            Refusal::OtherContent => {
                "the digest is not that of the delivery as it was sent: read it again and answer that. Nothing was stored".to_owned()
            }
            Refusal::NotReceived(NotConfirmed::TooLong) => "it is too long to be carried. Nothing was stored".to_owned(),
            // One sentence for all: whoever reads it has a child in front of them, not a queue.
            Refusal::NotReceived(_) => {
                "not received. Try again with the same idempotency key, or telephone the front door; if a child is in danger, call 999".to_owned()
            }
            Refusal::BrokerAway => {
                "what became of it cannot be asked just now; what was received stays received. Try again".to_owned()
            }
            Refusal::TooMuch => "you have too much open at once; close something and try again".to_owned(),
            Refusal::NotResponsible => {
                "you were told of this; another answers for the child, and only that one decides. If you think that you should, \
                 telephone them. Nothing was stored"
                    .to_owned()
            }
            Refusal::NothingOffered => {
                "nothing is offered to you by this delivery now: it was answered, or the referral has moved. Nothing was stored"
                    .to_owned()
            }
            Refusal::NoOffer => {
                "it is offered to nobody now: the other authority answered, or it never was offered. Nothing was stored".to_owned()
            }
            Refusal::TransferPending => {
                "another authority was asked to take it over and has not answered: telephone them. You answer for the child until \
                 one accepts. Nothing was stored"
                    .to_owned()
            }
            Refusal::NobodyHasIt => {
                "no authority has it, so there is nobody to disagree with yet: it waits for a person, or it came back to you. If the \
                 child is not safe now, say so with immediate_danger, and call 999. Nothing was stored"
                    .to_owned()
            }
            Refusal::CameBack => "it came back to you, so nobody has it who could be told. Nothing was stored".to_owned(),
            Refusal::DisagreementOpen => {
                "your disagreement lies before them and their time to answer has not passed: its clock says until when. Then, or \
                 once they answered, you can take it to the next stage. If the child is not safe now, say so with \
                 immediate_danger, and call 999. Nothing was stored"
                    .to_owned()
            }
            Refusal::NoStageAbove => {
                "your disagreement has come to the safeguarding partners, above whom there is no stage. What is new goes as a \
                 changed version. If the child is not safe now, say so with immediate_danger, and call 999. Nothing was stored"
                    .to_owned()
            }
        }
    }

    fn who_acts(&self) -> WhoActs {
        match self {
            Refusal::NotReceived(NotConfirmed::TooLong) => WhoActs::Sender,
            Refusal::NotReceived(_) | Refusal::BrokerAway => WhoActs::Broker,
            Refusal::DisagreementOpen => WhoActs::Receiver,
            Refusal::Invalid(_)
            | Refusal::Nobody
            | Refusal::WrongDoor
            | Refusal::SpeaksForAnother
            | Refusal::NoSuchReferral
            | Refusal::NoSuchDelivery
            | Refusal::OtherContent
            | Refusal::TooMuch
            | Refusal::NobodyHasIt
            | Refusal::NoStageAbove
            | Refusal::CameBack
            | Refusal::NotResponsible
            | Refusal::NothingOffered
            | Refusal::NoOffer
            | Refusal::TransferPending
            | Refusal::MarkedTooHigh => WhoActs::Sender,
        }
    }

    /// The rule or promise behind it.
    fn rule(&self) -> &'static str {
        match self {
            Refusal::Invalid(Invalid(violations)) => violations.first().map_or("", |violation| violation.rule),
            Refusal::Nobody
            | Refusal::WrongDoor
            | Refusal::SpeaksForAnother
            | Refusal::NoSuchReferral
            | Refusal::NoSuchDelivery => "P12",
            Refusal::MarkedTooHigh => "HR-08",
            Refusal::OtherContent => "P7",
            Refusal::NotReceived(_) => "P1",
            Refusal::NobodyHasIt | Refusal::DisagreementOpen | Refusal::NoStageAbove => "FB-03",
            Refusal::NotResponsible | Refusal::NothingOffered | Refusal::NoOffer | Refusal::TransferPending => "RA-02",
            Refusal::CameBack => "TC-11",
            Refusal::BrokerAway | Refusal::TooMuch => "",
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Refusal::NotReceived(NotConfirmed::TooLong) => None,
            Refusal::NotReceived(_) | Refusal::BrokerAway | Refusal::TooMuch => Some(RETRY_AFTER),
            Refusal::Invalid(_)
            | Refusal::Nobody
            | Refusal::WrongDoor
            | Refusal::SpeaksForAnother
            | Refusal::NoSuchReferral
            | Refusal::NoSuchDelivery
            | Refusal::OtherContent
            | Refusal::MarkedTooHigh
            | Refusal::NotResponsible
            | Refusal::NothingOffered
            | Refusal::TransferPending
            | Refusal::NoOffer
            | Refusal::CameBack
            | Refusal::DisagreementOpen
            | Refusal::NoStageAbove
            | Refusal::NobodyHasIt => None,
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        let mut details = ErrorDetails::new();
        if let Some(delay) = refusal.retry_after() {
            details.set_retry_info(Some(delay));
        }
        if let Refusal::Invalid(Invalid(violations)) = &refusal {
            details.set_bad_request(that_fit(violations));
        }
        let status = Status::with_error_details(refusal.code(), refusal.words(), details);
        with_info(status, &refusal)
    }
}

/// `google.rpc.ErrorInfo`, with its metadata in one order. The library keeps them in a hash map, whose order is
/// another each time: two refusals that nobody may tell apart would not be the same to the byte.
#[derive(Clone, PartialEq, prost::Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

fn with_info(status: Status, refusal: &Refusal) -> Status {
    let mut metadata = BTreeMap::from([("who_acts".to_owned(), refusal.who_acts().as_str().to_owned())]);
    if !refusal.rule().is_empty() {
        metadata.insert("rule".to_owned(), refusal.rule().to_owned());
    }
    let info = ErrorInfo { reason: refusal.reason().to_owned(), domain: DOMAIN.to_owned(), metadata };
    let info = prost_types::Any { type_url: ERROR_INFO.to_owned(), value: info.encode_to_vec() };
    // What the library wrote a line ago, it can read.
    let mut told = pb::Status::decode(status.details()).unwrap_or_default();
    told.details.insert(0, info);
    Status::with_details(status.code(), status.message(), told.encode_to_vec().into())
}

/// The violations that fit into a status, and a last one that says how many did not.
fn that_fit(violations: &[Violation]) -> Vec<tonic_types::FieldViolation> {
    let mut room = DETAIL_BYTES_MAX;
    let mut fitting = Vec::new();
    for violation in violations {
        let told = tonic_types::FieldViolation {
            field: violation.field.clone(),
            description: violation.because.clone(),
            reason: reason_of(violation.rule),
            localized_message: None,
        };
        // What protobuf adds to the texts is less than these twenty bytes.
        let size = told.field.len() + told.description.len() + told.reason.len() + 20;
        if size > room {
            let left = violations.len() - fitting.len();
            fitting.push(tonic_types::FieldViolation::new("", format!("and {left} more: mend these first")));
            break;
        }
        room -= size;
        fitting.push(told);
    }
    fitting
}

/// `ID-01` as `ID_01`: reasons are written in capitals and underscores.
fn reason_of(rule: &str) -> String {
    rule.replace('-', "_").to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(refusal: Refusal) -> (Code, String, ErrorDetails) {
        let status = Status::from(refusal);
        (status.code(), status.message().to_owned(), status.get_error_details())
    }

    fn violation(nth: usize) -> Violation {
        Violation { field: format!("content.items[{nth}].text"), rule: "ID-04", because: "is missing".to_owned() }
    }

    #[test]
    fn what_was_not_received_says_so_says_whom_to_telephone_and_when_to_try_again() {
        for why in [NotConfirmed::Unroutable, NotConfirmed::Refused, NotConfirmed::NoAnswer, NotConfirmed::NotConnected] {
            let (code, words, details) = status(Refusal::NotReceived(why));
            assert_eq!(code, Code::Unavailable, "{why:?}");
            assert!(words.starts_with("not received. Try again") && words.contains("telephone the front door"), "{words}");
            assert_eq!(details.retry_info().unwrap().retry_delay, Some(RETRY_AFTER));
            let info = details.error_info().unwrap();
            assert_eq!((info.reason.as_str(), info.domain.as_str()), ("NOT_RECEIVED", "safeguarding"));
            assert_eq!((info.metadata["who_acts"].as_str(), info.metadata["rule"].as_str()), ("BROKER", "P1"));
        }
    }

    #[test]
    fn what_no_retry_can_mend_does_not_invite_one() {
        for refusal in [
            Refusal::Nobody,
            Refusal::WrongDoor,
            Refusal::SpeaksForAnother,
            Refusal::NoSuchReferral,
            Refusal::NoSuchDelivery,
            Refusal::OtherContent,
            Refusal::NotReceived(NotConfirmed::TooLong),
            Refusal::NobodyHasIt,
            Refusal::CameBack,
            Refusal::DisagreementOpen,
            Refusal::NoStageAbove,
            Refusal::NotResponsible,
            Refusal::NothingOffered,
            Refusal::TransferPending,
            Refusal::NoOffer,
            Refusal::Invalid(Invalid(vec![violation(0)])),
        ] {
            let reason = refusal.reason();
            let (code, _, details) = status(refusal);
            assert!(details.retry_info().is_none(), "{reason}");
            assert_ne!(code, Code::Unavailable, "{reason}");
        }
    }

    #[test]
    fn the_same_refusal_is_the_same_to_the_byte() {
        let told: Vec<Vec<u8>> = (0..20).map(|_| Status::from(Refusal::NoSuchReferral).details().to_vec()).collect();
        assert!(told.iter().all(|bytes| *bytes == told[0]));
    }

    #[test]
    fn every_wrong_field_is_named_at_once_with_its_rule() {
        let (code, words, details) = status(Refusal::Invalid(Invalid((0..3).map(violation).collect())));
        assert_eq!(
            (code, words.as_str()),
            (Code::InvalidArgument, "3 fields are wrong; the details name them. Nothing was stored")
        );
        let violations = &details.bad_request().unwrap().field_violations;
        assert_eq!(
            violations.iter().map(|violation| violation.field.as_str()).collect::<Vec<_>>(),
            ["content.items[0].text", "content.items[1].text", "content.items[2].text"]
        );
        assert!(violations.iter().all(|violation| violation.reason == "ID_04"));
    }

    #[test]
    fn a_thousand_wrong_fields_still_fit_into_a_header() {
        let status = Status::from(Refusal::Invalid(Invalid((0..1000).map(violation).collect())));
        assert!(status.details().len() < 5 * 1024, "{}", status.details().len());
        let last = status.get_error_details().bad_request().unwrap().field_violations.last().unwrap().description.clone();
        assert!(last.ends_with("more: mend these first"), "{last}");
    }
}
