//! What an operator asks: what waits for a person, and what could not be processed. Only an operator's
//! certificate is answered. Content is shown to a named person who says why, after that was recorded; whatever
//! changes something is an event like any other, and is answered only once it is recorded.

use std::sync::Arc;

use proto::wire::common::v1 as common;
use proto::wire::operator::v1 as wire;
use proto::wire::operator::v1::operator_service_server::{OperatorService, OperatorServiceServer};
use proto::words::Word;
use proto::{tell, write};
use referral::case::{Case, Event, HeldItem, Routing, Surprise, Waiting, step};
use referral::rules::review::{Choice, Review, Reviewer};
use referral::submission::{Arrival, Practitioner, Referral};
use referral::{DeliveryId, Digest, Endpoint, ReferralId, Sealed};
use tokio::sync::{mpsc, oneshot};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};
use transport::amqp::{Message, Road, Token};
use transport::clock::Clock;

use super::not_now;
use crate::decide::{Input, kept_version};
use crate::deliver::Post;
use crate::record::{Ledger, Quarantined, QuarantinedEntry, Release, log};
use crate::roads;
use crate::rules::Rules;

/// An operator's certificate is named `operator.` and something.
const OPERATOR: &str = "operator.";
/// The most of a list that goes on one page.
const PAGE_MAX: usize = 200;
/// The longest name, role or contact, and the longest reason, in bytes.
const PERSON_BYTES_MAX: usize = 1024;
const REASON_BYTES_MAX: usize = 4 * 1024;

/// Answers operators.
pub struct Operators<L, P> {
    /// What was recorded.
    pub ledger: L,
    /// The rules, for previews.
    pub rules: Rules,
    /// What the time is.
    pub clock: Clock,
    /// To whoever decides, with room for an answer.
    pub inputs: mpsc::Sender<Input<Token>>,
    /// To recipients' queues, for a delivery that one of them put aside.
    pub post: P,
}

impl<L: Ledger, P: Post> Operators<L, P> {
    /// The gRPC service.
    pub fn service(self) -> OperatorServiceServer<Caller<L, P>> {
        OperatorServiceServer::new(Caller(Arc::new(self)))
    }

    async fn case(&self, text: &str) -> Result<Case, Status> {
        let id = ReferralId::parse(text).map_err(|_| no_such_referral())?;
        let stored = self.ledger.load(&[roads::ledger_id(id)]).await.map_err(not_now)?;
        let stored = stored.into_iter().flatten().next().ok_or_else(no_such_referral)?;
        serde_json::from_slice(&stored.state).map_err(|_| Status::internal("the case cannot be read"))
    }

    /// The version that waits, as it was received. The case knows which messages it was made of.
    async fn content(&self, case: &Case, waiting: &Waiting) -> Result<Referral, Status> {
        let found = kept_version(&self.ledger, case, waiting.digest).await.map_err(not_now)?;
        found.ok_or_else(|| {
            refusal(
                Code::FailedPrecondition,
                "CONTENT_ERASED",
                "its content was erased, or this program can no longer read it (its log says which): ask the sender to send it again",
            )
        })
    }

    /// Has events decided, and waits until what came of them is recorded.
    async fn decided(&self, input: Input<Token>) -> Result<Vec<Option<Surprise>>, Status> {
        let (answer, answered) = oneshot::channel();
        let input = Input { answer: Some(answer), ..input };
        self.inputs.send(input).await.map_err(|_| Status::unavailable("the broker is stopping; try again"))?;
        answered.await.map_err(|_| {
            Status::internal("the ledger refused to record it, so nothing was done: tell whoever maintains the broker")
        })
    }

    async fn happened(&self, case: &Case, event: Event) -> Result<(), Status> {
        let surprises = self.decided(Input::inside(case.id(), event)).await?;
        surprises.into_iter().flatten().next().map_or(Ok(()), |surprise| Err(refused(surprise)))
    }

    async fn quarantined(&self, text: &str) -> Result<Quarantined, Status> {
        let none = || Status::not_found("there is no such message in quarantine");
        let id = uuid::Uuid::parse_str(text).map_err(|_| none())?;
        self.ledger.quarantined_message(id).await.map_err(not_now)?.ok_or_else(none)
    }

    /// What a release of `message` would do now.
    async fn outlook(&self, message: &Quarantined) -> Result<Outlook, Status> {
        let header = |name: &str| message.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let delivery = header("cloudEvents:id")
            .filter(|_| header("cloudEvents:type") == Some(roads::DELIVERY_TYPE))
            .and_then(|id| uuid::Uuid::parse_str(id).ok());
        if let Some(id) = delivery {
            // Nothing goes to a recipient but the very bytes that were recorded for it (P3).
            let known = self.ledger.find_delivery(id).await.map_err(not_now)?;
            return Ok(match known.filter(|known| known.digest == Some(log::digest(&message.bytes))) {
                Some(known) => {
                    let since = self.since_then(id, known.referral).await?;
                    Outlook::Deliver { id, referral: known.referral, to: known.routing_key, kind: known.kind, since }
                }
                None => Outlook::Nothing("these are not the bytes of any delivery that was recorded".to_owned()),
            });
        }
        Ok(match proto::read::arrival(&message.bytes) {
            Ok(arrival) => Outlook::Decide(Box::new(arrival)),
            Err(unreadable) => Outlook::Nothing(unreadable.to_string()),
        })
    }
}

impl<L: Ledger, P: Post> Operators<L, P> {
    /// What has happened to the referral since a delivery about it was made, in words for whoever would release that.
    async fn since_then(&self, delivery: uuid::Uuid, referral: uuid::Uuid) -> Result<&'static str, Status> {
        let stored = self.ledger.load(&[referral]).await.map_err(not_now)?;
        let case = stored.into_iter().flatten().next().and_then(|stored| serde_json::from_slice::<Case>(&stored.state).ok());
        let Some(case) = case else { return Ok("; what became of its referral since cannot be read") };
        let id = DeliveryId::from_bytes(*delivery.as_bytes());
        let mut recipients = case.recipients().iter().map(|recipient| &recipient.deliveries);
        let own = recipients.find(|deliveries| deliveries.iter().any(|known| known.id == id));
        let is_last = own.and_then(|deliveries| deliveries.last()).is_some_and(|last| last.id == id);
        Ok(match (case.is_withdrawn(), is_last) {
            (true, _) => "; the sender has withdrawn the referral since",
            (false, false) => "; the same recipient was sent something later about the referral since",
            (false, true) => "",
        })
    }
}

/// What a release from quarantine would do.
enum Outlook {
    /// Decide it, as if it came off the intake now.
    Decide(Box<Arrival>),
    /// Hand it once more to the recipient that put it aside.
    Deliver { id: uuid::Uuid, referral: uuid::Uuid, to: String, kind: String, since: &'static str },
    /// It cannot be processed now either, and why.
    Nothing(String),
}

/// The operators' desk, shared by all calls.
pub struct Caller<L, P>(Arc<Operators<L, P>>);

fn no_such_referral() -> Status {
    Status::not_found("there is no such referral")
}

/// A refusal with its stable reason and who has to act. A retry with the same words helps in none of them.
fn refusal(code: Code, reason: &str, because: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, "safeguarding", [("who_acts".to_owned(), "BROKER".to_owned())]);
    Status::with_error_details(code, because, details)
}

fn refused(surprise: Surprise) -> Status {
    let (code, reason) = match surprise {
        Surprise::NeverSeen => return no_such_referral(),
        Surprise::VersionChanged => (Code::Aborted, "VERSION_CHANGED"),
        Surprise::UnknownTarget => (Code::InvalidArgument, "UNKNOWN_TARGET"),
        Surprise::NotHeld => (Code::FailedPrecondition, "NOT_HELD"),
        Surprise::AlreadyReviewed => (Code::FailedPrecondition, "ALREADY_REVIEWED"),
        Surprise::NowhereToGo => (Code::FailedPrecondition, "NOWHERE_TO_GO"),
        Surprise::OnlyItems => (Code::FailedPrecondition, "ONLY_ITEMS"),
        Surprise::NoBasis => (Code::FailedPrecondition, "NO_BASIS"),
        Surprise::Duplicate
        | Surprise::NotYours
        | Surprise::NotSentToYou
        | Surprise::OtherContent
        | Surprise::NotResponsible
        | Surprise::Late
        | Surprise::TransferPending
        | Surprise::NothingOffered
        | Surprise::NotYoursToLift
        | Surprise::NotWithAnAuthority
        | Surprise::AlreadyDisputed
        | Surprise::NoStageAbove
        | Surprise::ContentErased
        | Surprise::NothingDue => (Code::FailedPrecondition, "NOTHING_CHANGED"),
    };
    refusal(code, reason, surprise.words())
}

/// The operator's certificate, or a refusal: nobody else is answered.
pub(super) fn operator<T>(request: &Request<T>) -> Result<String, Status> {
    let certificates = request.peer_certs();
    let first = certificates.as_ref().and_then(|chain| chain.first());
    let name = first.and_then(|der| transport::tls::common_name(der).ok());
    name.filter(|name| name.len() > OPERATOR.len() && name.starts_with(OPERATOR))
        .ok_or_else(|| Status::permission_denied("only an operator's certificate may ask this"))
}

/// The named person and the reason, without which nothing is shown or changed. Every fault at once.
fn person_and_reason(
    certificate: String,
    by: Option<common::Practitioner>,
    reason: &str,
) -> Result<(Reviewer, Sealed<String>), Status> {
    let by = by.unwrap_or_default();
    let (name, role, contact) = (by.name.trim(), by.role.trim(), by.contact.trim());
    let reason = reason.trim();
    let mut details = ErrorDetails::new();
    let mut check = |field: &str, text: &str, longest: usize, needed: bool| {
        if needed && text.is_empty() {
            details.add_bad_request_violation(field, "is missing: a named person acts here, in a role, for a reason");
        } else if text.len() > longest {
            details.add_bad_request_violation(field, format!("is longer than {longest} bytes"));
        }
    };
    check("by.name", name, PERSON_BYTES_MAX, true);
    check("by.role", role, PERSON_BYTES_MAX, true);
    check("by.contact", contact, PERSON_BYTES_MAX, false);
    check("reason", reason, REASON_BYTES_MAX, true);
    if details.has_bad_request_violations() {
        let faults = details.bad_request().map(|faults| faults.field_violations.as_slice()).unwrap_or_default();
        let words: Vec<String> = faults.iter().map(|fault| format!("{} {}", fault.field, fault.description)).collect();
        return Err(Status::with_error_details(Code::InvalidArgument, words.join("; "), details));
    }
    let person = Practitioner { name: name.into(), role: role.into(), contact: contact.into() };
    Ok((Reviewer { person, certificate: certificate.into() }, reason.into()))
}

fn choice(choice: Option<wire::Choice>) -> Result<Choice, Status> {
    use wire::choice::Choice as Given;
    match choice.and_then(|choice| choice.choice) {
        Some(Given::Release(_)) => Ok(Choice::Release),
        Some(Given::ReturnToSender(_)) => Ok(Choice::Return),
        Some(Given::Redirect(redirect)) => match Endpoint::parse(&redirect.endpoint) {
            Ok(to) => Ok(Choice::Redirect { to }),
            Err(_) => Err(refusal(
                Code::InvalidArgument,
                "UNKNOWN_TARGET",
                "choice.redirect.endpoint is not an endpoint such as la.E08000035.front-door",
            )),
        },
        None => Err(refusal(Code::InvalidArgument, "NO_CHOICE", "choice is missing: release, redirect or return it")),
    }
}

/// What waits, without content.
fn waiting_review(case: &Case, waiting: &Waiting) -> wire::WaitingReview {
    wire::WaitingReview {
        referral_id: case.id().to_string(),
        number: waiting.number,
        since: Some(write::timestamp(waiting.since)),
        level: waiting.level.number(),
        urgent: waiting.is_urgent(),
        held_by: tell::held_by(&waiting.by),
        intended: waiting.intended.as_ref().map(Endpoint::to_string).unwrap_or_default(),
        sender: case.sender().to_string(),
        withdrawn: case.is_withdrawn(),
        items: waiting.items.iter().map(held_item).collect(),
    }
}

fn unreadable_review(id: ReferralId) -> wire::WaitingReview {
    tracing::error!(referral.id = %id, "the case of referral {id}, which waits for a person, cannot be read by this program");
    let because = "this program cannot read the case, so nobody can decide about it: tell whoever maintains the broker";
    let held_by = vec![common::HeldBy { rule_id: "P10".to_owned(), reason: because.to_owned() }];
    wire::WaitingReview { referral_id: id.to_string(), urgent: true, held_by, ..Default::default() }
}

fn held_item(item: &HeldItem) -> wire::HeldItem {
    wire::HeldItem { endpoint: item.from.to_string(), category: item.category.number() }
}

fn quarantined_entry(entry: &QuarantinedEntry) -> wire::QuarantinedMessage {
    wire::QuarantinedMessage {
        id: entry.id.to_string(),
        reason: entry.reason.clone(),
        since: Some(write::timestamp(entry.at)),
        length: entry.length,
        queue: entry.queue.clone(),
    }
}

/// Where a page begins, and how long it is.
fn page(page_size: u32, page_token: &str) -> Result<(u64, usize), Status> {
    let after = match page_token {
        "" => 0,
        token => token.parse().map_err(|_| Status::invalid_argument("page_token is not one of ours"))?,
    };
    let size = usize::try_from(page_size).unwrap_or(PAGE_MAX);
    Ok((after, if size == 0 { PAGE_MAX } else { size.min(PAGE_MAX) }))
}

#[tonic::async_trait]
impl<L: Ledger, P: Post> OperatorService for Caller<L, P> {
    async fn list_reviews(
        &self,
        request: Request<wire::ListReviewsRequest>,
    ) -> Result<Response<wire::ListReviewsResponse>, Status> {
        operator(&request)?;
        let wire::ListReviewsRequest { page_size, page_token } = request.into_inner();
        let (after, size) = page(page_size, &page_token)?;
        let listed = self.0.ledger.waiting(after, size).await.map_err(not_now)?;
        let next_page_token = match listed.last() {
            Some(last) if listed.len() == size => last.number.to_string(),
            Some(_) | None => String::new(),
        };
        let mut reviews = Vec::with_capacity(listed.len());
        for listed in listed {
            match serde_json::from_slice::<Case>(&listed.state) {
                Ok(case) => reviews.extend(case.waiting().map(|waiting| waiting_review(&case, waiting))),
                // One that nobody can read hides none of the others, and is not hidden itself.
                Err(_) => reviews.push(unreadable_review(roads::referral_id(listed.referral))),
            }
        }
        Ok(Response::new(wire::ListReviewsResponse { reviews, next_page_token }))
    }

    async fn open_review(&self, request: Request<wire::OpenReviewRequest>) -> Result<Response<wire::OpenReviewResponse>, Status> {
        let certificate = operator(&request)?;
        let wire::OpenReviewRequest { referral_id, by, reason } = request.into_inner();
        let (by, reason) = person_and_reason(certificate, by, &reason)?;
        let case = self.0.case(&referral_id).await?;
        let waiting = case.waiting().ok_or_else(|| refused(Surprise::NotHeld))?;
        let content = self.0.content(&case, waiting).await?;
        self.0.happened(&case, Event::Opened { by, reason, number: waiting.number }).await?;
        tracing::info!(referral.id = %case.id(), "what waits of referral {} was opened by a named person", case.id());
        Ok(Response::new(wire::OpenReviewResponse {
            review: Some(waiting_review(&case, waiting)),
            kind: content.kind.number(),
            harm: content.harm.number(),
            agreement: content.agreement.number(),
            duty_decision: content.duty_decision.number(),
            handling: content.handling.iter().map(|flag| flag.number()).collect(),
            items: content.items.iter().map(write::item).collect(),
        }))
    }

    async fn preview_review(
        &self,
        request: Request<wire::PreviewReviewRequest>,
    ) -> Result<Response<wire::PreviewReviewResponse>, Status> {
        let certificate = operator(&request)?;
        let wire::PreviewReviewRequest { referral_id, number, choice: chosen } = request.into_inner();
        let choice = choice(chosen)?;
        let case = self.0.case(&referral_id).await?;
        let waiting = case.waiting().ok_or_else(|| refused(Surprise::NotHeld))?;
        let referral = Box::new(self.0.content(&case, waiting).await?);
        // The very step that the choice would be, taken on a copy.
        let nobody = Practitioner { name: "".into(), role: "".into(), contact: "".into() };
        let by = Reviewer { person: nobody, certificate: certificate.into() };
        let review = Box::new(Review { by, reason: "".into(), number, choice });
        let rules = self.0.rules.now();
        let would_be = step(Some(case), Event::Reviewed { review, referral }, self.0.clock.now(), &rules.book);
        match (would_be.surprise, would_be.ruling) {
            (None, Some(ruling)) => {
                let preview = tell::preview(0, &Routing::of(&ruling, &rules.book));
                Ok(Response::new(wire::PreviewReviewResponse { preview: Some(preview) }))
            }
            (Some(surprise), _) => Err(refused(surprise)),
            // Items that stay withheld: nothing would go anywhere.
            (None, None) => Ok(Response::new(wire::PreviewReviewResponse { preview: None })),
        }
    }

    async fn decide_review(
        &self,
        request: Request<wire::DecideReviewRequest>,
    ) -> Result<Response<wire::DecideReviewResponse>, Status> {
        let certificate = operator(&request)?;
        let wire::DecideReviewRequest { referral_id, number, choice: chosen, by, reason } = request.into_inner();
        let (by, reason) = person_and_reason(certificate, by, &reason)?;
        let choice = choice(chosen)?;
        let case = self.0.case(&referral_id).await?;
        let Some(waiting) = case.waiting() else {
            let was_reviewed = case.was_reviewed(number);
            return Err(refused(if was_reviewed { Surprise::AlreadyReviewed } else { Surprise::NotHeld }));
        };
        let referral = Box::new(self.0.content(&case, waiting).await?);
        let review = Box::new(Review { by, reason, number, choice });
        self.0.happened(&case, Event::Reviewed { review, referral }).await?;
        tracing::info!(referral.id = %case.id(), "a named person decided what happens to referral {}", case.id());
        let stage = tell::stage(&self.0.case(&referral_id).await?) as i32;
        Ok(Response::new(wire::DecideReviewResponse { stage }))
    }

    async fn list_quarantined(
        &self,
        request: Request<wire::ListQuarantinedRequest>,
    ) -> Result<Response<wire::ListQuarantinedResponse>, Status> {
        operator(&request)?;
        let wire::ListQuarantinedRequest { page_size, page_token } = request.into_inner();
        let (after, size) = page(page_size, &page_token)?;
        let entries = self.0.ledger.quarantined(after, size).await.map_err(not_now)?;
        let next_page_token = match entries.last() {
            Some(last) if entries.len() == size => last.number.to_string(),
            Some(_) | None => String::new(),
        };
        let messages = entries.iter().map(quarantined_entry).collect();
        Ok(Response::new(wire::ListQuarantinedResponse { messages, next_page_token }))
    }

    async fn show_quarantined(
        &self,
        request: Request<wire::ShowQuarantinedRequest>,
    ) -> Result<Response<wire::ShowQuarantinedResponse>, Status> {
        operator(&request)?;
        let message = self.0.quarantined(&request.into_inner().id).await?;
        let (can_be_released, outlook) = match self.0.outlook(&message).await? {
            Outlook::Decide(arrival) => {
                (true, format!("it would be decided as a message of {} about referral {}", arrival.from, arrival.what.referral()))
            }
            Outlook::Deliver { id, to, since, .. } => (true, format!("delivery {id} would go to {to} once more{since}")),
            Outlook::Nothing(why) => (false, why),
        };
        let entry = QuarantinedEntry {
            number: 0,
            id: message.id,
            queue: message.queue.clone(),
            reason: message.reason.clone(),
            at: message.at,
            length: message.bytes.len() as u64,
        };
        Ok(Response::new(wire::ShowQuarantinedResponse {
            message: Some(quarantined_entry(&entry)),
            digest: Digest::of_bytes(&message.bytes).as_bytes().to_vec(),
            can_be_released,
            outlook,
        }))
    }

    async fn release_quarantined(
        &self,
        request: Request<wire::ReleaseQuarantinedRequest>,
    ) -> Result<Response<wire::ReleaseQuarantinedResponse>, Status> {
        let certificate = operator(&request)?;
        let wire::ReleaseQuarantinedRequest { id, by, reason } = request.into_inner();
        let (by, reason) = person_and_reason(certificate, by, &reason)?;
        let message = self.0.quarantined(&id).await?;
        let (referral_ids, outcome) = match self.0.outlook(&message).await? {
            Outlook::Decide(arrival) => self.0.decide_now(*arrival, &message).await?,
            Outlook::Deliver { id, referral, to, kind, since } => {
                let road = Road::new(roads::DELIVERY, to.clone());
                self.0.post.post(road, delivery_again(id, kind, &message)).await.map_err(|why| {
                    tracing::warn!(delivery.id = %id, "a delivery out of quarantine was not confirmed: {why}");
                    Status::unavailable("its queue did not confirm it, so it stays in quarantine; try again")
                })?;
                (vec![referral.to_string()], format!("delivery {id} is in the queue of {to} once more{since}"))
            }
            Outlook::Nothing(why) => {
                let because = format!("it cannot be processed now either, so it stays: {why}");
                return Err(refusal(Code::FailedPrecondition, "STILL_UNREADABLE", &because));
            }
        };
        // Out of quarantine only now: a crash before this leaves it there, and a second release changes nothing. What a
        // recipient put aside again meanwhile stays: this release was not of that.
        let (person, role) = (by.person.name.open(), by.person.role.open());
        let release = Release {
            id: message.id,
            seen: message.at,
            by: format!("{person}, {role} ({})", by.certificate.open()),
            reason: reason.open().clone(),
            at: self.0.clock.now(),
        };
        if !self.0.ledger.release(release).await.map_err(not_now)? {
            let because =
                format!("{outcome}; and meanwhile it came back into quarantine, or somebody else let it out: look again");
            return Err(refusal(Code::Aborted, "CAME_BACK", &because));
        }
        tracing::info!(quarantine.id = %message.id, "message {} was released from quarantine by a named person", message.id);
        Ok(Response::new(wire::ReleaseQuarantinedResponse { referral_ids, outcome }))
    }
}

impl<L: Ledger, P: Post> Operators<L, P> {
    /// Decides a message out of quarantine, as if it came off the intake now, with the bytes as they came.
    async fn decide_now(&self, arrival: Arrival, message: &Quarantined) -> Result<(Vec<String>, String), Status> {
        let input = Input::read(arrival, &message.bytes);
        let referrals: Vec<String> = input.events.iter().map(|(id, _)| id.to_string()).collect();
        let surprises = self.decided(input).await?;
        // What was heard before needs nothing more. What nobody can use is not let go of in silence.
        let is_done = |surprise: &Surprise| matches!(surprise, Surprise::Duplicate | Surprise::Late);
        let outcome = match surprises.iter().flatten().next() {
            None => "it was decided and recorded",
            Some(_) if surprises.contains(&None) => "it was decided and recorded",
            Some(surprise) if is_done(surprise) => "it had been decided before, and nothing more was to be done",
            Some(surprise) => {
                let because = format!("nothing can be done with it, so it stays in quarantine: {}", surprise.words());
                return Err(refusal(Code::FailedPrecondition, "NOTHING_CHANGED", &because));
            }
        };
        Ok((referrals, outcome.to_owned()))
    }
}

/// A delivery as it was first published, less what RabbitMQ wrote on it when it put it aside.
fn delivery_again(id: uuid::Uuid, kind: String, message: &Quarantined) -> Message {
    let ours = |name: &str| name.starts_with("cloudEvents:") || name == roads::TRACEPARENT || name == roads::PROOF_HEADER;
    // An envelope in protobuf never begins with a brace.
    let is_text = message.bytes.first() == Some(&b'{');
    Message {
        id: id.to_string(),
        kind,
        content_type: if is_text { proto::JSON_CONTENT_TYPE } else { proto::CONTENT_TYPE }.to_owned(),
        headers: message.headers.iter().filter(|(name, _)| ours(name)).cloned().collect(),
        timestamp: None,
        body: message.bytes.clone().into(),
    }
}

#[cfg(test)]
mod tests {
    use proto::wire::events::v1 as events;
    use referral::IdempotencyKey;
    use referral::rules::Rulebook;
    use transport::amqp::NotConfirmed;

    use super::*;
    use crate::decide::Decider;
    use crate::meters::Meters;
    use crate::record::memory::MemoryLedger;
    use crate::record::{Commit, Committed, Erased, Erasure, Kind, Version};

    /// Nothing is posted here.
    #[derive(Clone)]
    struct NoPost;

    impl Post for NoPost {
        async fn post(&self, _: Road, _: Message) -> Result<(), NotConfirmed> {
            panic!("nothing is to be posted")
        }
    }

    fn rules() -> Rules {
        let parties = "[[endpoint]]\nname = \"la.E08000035.front-door\"\n[[endpoint]]\nname = \"school.999001\"\nauthority = \"E08000035\"\n";
        Rules::fixed(Rulebook::built_in(parties).unwrap())
    }

    fn ledger() -> MemoryLedger {
        let mut count = 0_u8;
        let salts = Box::new(move || {
            count = count.wrapping_add(1);
            [count; 32]
        });
        MemoryLedger::new(log::Signer::new("localhost/safeguarding-ledger", &[7; 32]), salts)
    }

    fn content(worry: &str) -> common::Submission {
        common::Submission {
            kind: common::EventKind::Referral as i32,
            level: common::Level::SignificantHarm as i32,
            harm: common::HarmType::Neglect as i32,
            harm_place: common::HarmPlace::Home as i32,
            agreement: common::Agreement::NotSoughtWithReason as i32,
            duty_decision: common::DutyDecision::MoreDetrimental as i32,
            child: Some(common::Child {
                identity: Some(common::Identity { family_name: "Dabchick".to_owned(), ..Default::default() }),
                places: Some(common::Places { home: "E08000035".to_owned(), ..Default::default() }),
                ..Default::default()
            }),
            referrer: Some(common::Practitioner { name: "Dora Lead".to_owned(), role: "lead".to_owned(), ..Default::default() }),
            items: vec![common::InformationItem {
                category: common::Category::ConcernNarrative as i32,
                subject: common::Subject::Child as i32,
                knowledge: common::Knowledge::Direct as i32,
                body: Some(common::information_item::Body::Text(worry.to_owned())),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    /// What a door puts on the intake, read; the key of a later version is another one.
    fn arrived(first: Option<ReferralId>, worry: &str) -> Input<Token> {
        let sender = Endpoint::parse("school.999001").unwrap();
        let key = IdempotencyKey::from_bytes([if first.is_some() { 2 } else { 1 }; 16]);
        let (id, event) = match first {
            None => {
                let event = events::Submitted { idempotency_key: key.to_string(), content: Some(content(worry)) };
                (ReferralId::of(&sender, key), events::event::Event::Submitted(event))
            }
            Some(id) => {
                let (referral_id, idempotency_key) = (id.to_string(), key.to_string());
                let event = events::Amended { referral_id, idempotency_key, content: Some(content(worry)) };
                (id, events::event::Event::Amended(event))
            }
        };
        let received = "2026-11-23T10:00:00Z".parse().unwrap();
        let bytes = write::intake(&sender, id, received, "", event);
        Input::read(proto::read::arrival(&bytes).unwrap(), &bytes)
    }

    async fn decided(ledger: &MemoryLedger, input: Input<Token>) -> (ReferralId, Vec<Option<Surprise>>) {
        let meters = Meters::unread().unwrap();
        let decider = Decider { ledger: ledger.clone(), rules: rules(), clock: Clock::system(), meters };
        let id = input.events[0].0;
        let (answer, answered) = oneshot::channel();
        assert!(decider.decide(vec![Input { answer: Some(answer), ..input }]).await.is_ok());
        (id, answered.await.unwrap())
    }

    #[tokio::test]
    async fn the_version_that_waits_is_found_and_once_it_is_erased_that_is_said() {
        let ledger = ledger();
        let (inputs, _nobody_decides) = mpsc::channel(1);
        let desk = Operators { ledger: ledger.clone(), rules: rules(), clock: Clock::system(), inputs, post: NoPost };
        let (id, surprises) = decided(&ledger, arrived(None, "The first version.")).await;
        assert_eq!(surprises, [None]);
        decided(&ledger, arrived(Some(id), "The second version.")).await;
        // Whoever asks about what was heard before hears that it was.
        let (_, surprises) = decided(&ledger, arrived(None, "The first version.")).await;
        assert_eq!(surprises, [Some(Surprise::Duplicate)]);

        let case = desk.case(&id.to_string()).await.unwrap();
        let waiting = case.waiting().unwrap();
        let found = desk.content(&case, waiting).await.unwrap();
        assert_eq!((found.id, found.digest, waiting.number), (id, waiting.digest, 2));
        let says = |text: &str| {
            found.items.iter().any(|item| matches!(&item.body, referral::submission::Body::Text(body) if body.open() == text))
        };
        assert!(says("The second version.") && !says("The first version."));

        let referral = roads::ledger_id(id);
        let at = desk.clock.now();
        let closing = Commit {
            referral,
            expected: Version(2),
            owner: String::new(),
            state: serde_json::to_vec(&case).unwrap(),
            wake: None,
            open: false,
            waiting: None,
            content: vec![],
            record: vec![],
            kind: Kind::DECISION,
            at,
            owed: vec![],
            progress: vec![],
            settles: None,
        };
        assert!(matches!(ledger.commit(vec![closing]).await.unwrap()[0], Committed::Recorded { .. }));
        let erasure = Erasure { referral, by: "records".to_owned(), reason: "retention over".to_owned(), at };
        assert!(matches!(ledger.erase(erasure).await.unwrap(), Erased::Leaf(_)));
        let refused = desk.content(&case, waiting).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("its content was erased"), "{}", refused.message());
    }

    #[test]
    fn nothing_is_done_by_nobody_or_for_no_reason_and_every_fault_is_named_at_once() {
        let nobody = person_and_reason("operator.desk".to_owned(), None, "  ").unwrap_err();
        for field in ["by.name", "by.role", "reason"] {
            assert!(nobody.message().contains(field), "{}", nobody.message());
        }
        let long = common::Practitioner { name: "n".repeat(2000), role: "r".to_owned(), contact: String::new() };
        let long = person_and_reason("operator.desk".to_owned(), Some(long), "because").unwrap_err();
        assert!(long.message().contains("by.name is longer") && !long.message().contains("nnn"));
    }
}
