//! Follow: the sender hears what became of it. A door remembers nothing, so it asks the broker; when the
//! broker does not answer, it says so, and never that there is nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use proto::read;
use proto::wire::broker::v1 as broker_v1;
use proto::wire::broker::v1::case_service_client::CaseServiceClient;
use proto::wire::childrens_services::v1 as desk;
use proto::wire::common::v1 as common;
use proto::wire::referral::v1 as wire;
use proto::wire::referral::v1::referral_service_server::ReferralService;
use referral::submission::{Body, Submission};
use referral::vocab::{Agreement, Level};
use referral::{DeliveryId, Digest, Endpoint, IdempotencyKey, ReferralId};
use tokio::sync::Semaphore;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use transport::shutdown::Shutdown;
use transport::tls::Identity;

use crate::client::{self, BadAddress};
use crate::sender::{self, Door};
use crate::status::Refusal;
use crate::submit::Doors;

/// How long the broker may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many may watch at once. A watcher holds a stream here and another at the broker.
const WATCHERS_MAX: usize = 2048;
/// The page of a list that asks for none.
const PAGE: u32 = 50;
/// The largest page.
const PAGE_MAX: u32 = 200;

/// The broker, asked over mutual TLS.
#[derive(Clone)]
pub struct Broker {
    cases: CaseServiceClient<Channel>,
}

impl Broker {
    /// The broker at `address`. Connects when first asked.
    pub fn at(address: &str, server_name: &str, identity: &Identity) -> Result<Broker, BadAddress> {
        let channel = client::channel(address, server_name, identity, PATIENCE)?;
        Ok(Broker { cases: CaseServiceClient::new(channel) })
    }

    /// How a referral of `party`'s stands.
    pub async fn get(&self, party: &Endpoint, referral: ReferralId) -> Result<common::ReferralStatus, Refusal> {
        let asked = broker_v1::GetRequest { party: party.to_string(), referral_id: referral.to_string() };
        let answer = self.cases.clone().get(asked).await.map_err(|status| not_answered(&status, Refusal::NoSuchReferral))?;
        answer.into_inner().status.ok_or(Refusal::BrokerAway)
    }

    /// Which referral a delivery to `party` was about, and how it stands.
    pub async fn find(&self, party: &Endpoint, delivery: DeliveryId) -> Result<Found, Refusal> {
        let asked = broker_v1::FindDeliveryRequest { party: party.to_string(), delivery_id: delivery.to_string() };
        let answer =
            self.cases.clone().find_delivery(asked).await.map_err(|status| not_answered(&status, Refusal::NoSuchDelivery))?;
        let answer = answer.into_inner();
        let digest = <[u8; 32]>::try_from(answer.digest.as_slice()).map_err(|_| Refusal::BrokerAway)?;
        let referral = ReferralId::parse(&answer.referral_id).map_err(|_| Refusal::BrokerAway)?;
        let (may_answer, is_offered) = (answer.may_answer(), answer.is_offered);
        Ok(Found { referral, digest: Digest::from_bytes(digest), may_answer, is_offered })
    }
}

impl Broker {
    /// A page of what `party` was sent.
    pub async fn list_received(&self, party: &Endpoint, request: desk::ListRequest) -> Result<desk::ListResponse, Refusal> {
        let desk::ListRequest { page_size, page_token, open_only } = request;
        let asked =
            broker_v1::ListReceivedRequest { party: party.to_string(), page_size: page_of(page_size), page_token, open_only };
        let answer = self.cases.clone().list_received(asked).await.map_err(|status| no_page(&status))?;
        let broker_v1::ListReceivedResponse { referrals, next_page_token } = answer.into_inner();
        Ok(desk::ListResponse { referrals, next_page_token })
    }

    /// How a referral stands that `party` was sent.
    pub async fn get_received(&self, party: &Endpoint, referral: ReferralId) -> Result<desk::GetResponse, Refusal> {
        let asked = broker_v1::GetReceivedRequest { party: party.to_string(), referral_id: referral.to_string() };
        let answer = self.cases.clone().get_received(asked).await;
        let answer = answer.map_err(|status| not_answered(&status, Refusal::NoSuchReferral))?;
        Ok(desk::GetResponse { referrals: answer.into_inner().referrals })
    }
}

/// A delivery that the broker made, as its referral stands.
pub struct Found {
    /// What it was about.
    pub referral: ReferralId,
    /// The digest of what it said.
    pub digest: Digest,
    /// What its recipient may say, beyond that it has it.
    pub may_answer: broker_v1::MayAnswer,
    /// Another authority was asked to take it over, and has not answered.
    pub is_offered: bool,
}

fn page_of(page_size: u32) -> u32 {
    if page_size == 0 { PAGE } else { page_size.min(PAGE_MAX) }
}

/// Why there is no page.
fn no_page(status: &Status) -> Refusal {
    match status.code() {
        Code::InvalidArgument => wrong("page_token", "is not one that a list gave"),
        _ => not_answered(status, Refusal::NoSuchReferral),
    }
}

/// What the broker's refusal means to whoever called us. Its words are for us; they go no further.
fn not_answered(status: &Status, not_found: Refusal) -> Refusal {
    if status.code() == Code::NotFound {
        return not_found;
    }
    tracing::warn!(rpc.grpc.status_code = status.code() as i32, "the broker did not answer a question of ours");
    Refusal::BrokerAway
}

type Watching = Pin<Box<dyn Stream<Item = Result<wire::WatchResponse, Status>> + Send>>;

/// Every sender's door.
pub struct ReferralDoor {
    doors: Doors,
    shutdown: Shutdown,
    watchers: Arc<Semaphore>,
}

impl ReferralDoor {
    /// The door. Its streams end when `shutdown` is requested.
    pub fn new(doors: Doors, shutdown: Shutdown) -> ReferralDoor {
        ReferralDoor { doors, shutdown, watchers: Arc::new(Semaphore::new(WATCHERS_MAX)) }
    }
}

#[tonic::async_trait]
impl ReferralService for ReferralDoor {
    async fn preview(&self, request: Request<wire::PreviewRequest>) -> Result<Response<wire::PreviewResponse>, Status> {
        let work = |doors: Doors, sender: Endpoint, request: wire::PreviewRequest| async move {
            let content = request.content.unwrap_or_default();
            let no_key = IdempotencyKey::from_bytes([0; 16]);
            let submission = read::submission(&sender, no_key, doors.clock.now(), &content).map_err(Refusal::Invalid)?;
            let asked = broker_v1::PreviewRequest { party: sender.to_string(), content: Some(content) };
            let answer =
                doors.broker.cases.clone().preview(asked).await.map_err(|status| not_answered(&status, Refusal::BrokerAway))?;
            Ok(wire::PreviewResponse { children: answer.into_inner().children, missing: missing(&submission) })
        };
        self.doors.answer("Preview", Door::Referral, request, work).await
    }

    async fn submit(&self, request: Request<wire::SubmitRequest>) -> Result<Response<wire::SubmitResponse>, Status> {
        let work = |doors: Doors, sender: Endpoint, request: wire::SubmitRequest| async move {
            sender::names_itself(&sender, &request.sender)?;
            let submitted =
                proto::wire::events::v1::Submitted { idempotency_key: request.idempotency_key, content: request.content };
            let submission = read::submitted(&sender, doors.clock.now(), &submitted).map_err(Refusal::Invalid)?;
            let receipt = doors.submit(&sender, submission, submitted.content.unwrap_or_default()).await?;
            Ok(wire::SubmitResponse { receipt: Some(receipt) })
        };
        self.doors.answer("Submit", Door::Referral, request, work).await
    }

    async fn amend(&self, request: Request<wire::AmendRequest>) -> Result<Response<wire::AmendResponse>, Status> {
        let work = |doors: Doors, sender: Endpoint, request| async move {
            Ok(wire::AmendResponse { receipt: Some(doors.amend(&sender, request).await?) })
        };
        self.doors.answer("Amend", Door::Referral, request, work).await
    }

    async fn withdraw(&self, request: Request<wire::WithdrawRequest>) -> Result<Response<wire::WithdrawResponse>, Status> {
        let work = |doors: Doors, sender: Endpoint, request| async move {
            let referral = doors.withdraw(&sender, request).await?;
            let meaning =
                "Those who received it are told. Nothing is erased, and at significant harm or above everything goes on.";
            Ok(wire::WithdrawResponse { referral_id: referral.to_string(), meaning: meaning.to_owned() })
        };
        self.doors.answer("Withdraw", Door::Referral, request, work).await
    }

    async fn get(&self, request: Request<wire::GetRequest>) -> Result<Response<wire::GetResponse>, Status> {
        let work = |doors: Doors, sender: Endpoint, request: wire::GetRequest| async move {
            // What is no id names nothing: the same answer, so that ids cannot be told apart by trying.
            let referral = ReferralId::parse(&request.referral_id).map_err(|_| Refusal::NoSuchReferral)?;
            Ok(wire::GetResponse { status: Some(doors.broker.get(&sender, referral).await?) })
        };
        self.doors.answer("Get", Door::Referral, request, work).await
    }

    async fn list(&self, request: Request<wire::ListRequest>) -> Result<Response<wire::ListResponse>, Status> {
        let work = |doors: Doors, sender: Endpoint, request: wire::ListRequest| async move {
            let wire::ListRequest { page_size, page_token, open_only } = request;
            let asked =
                broker_v1::ListRequest { party: sender.to_string(), page_size: page_of(page_size), page_token, open_only };
            let answer = doors.broker.cases.clone().list(asked).await.map_err(|status| no_page(&status))?;
            let broker_v1::ListResponse { referrals, next_page_token } = answer.into_inner();
            Ok(wire::ListResponse { referrals, next_page_token })
        };
        self.doors.answer("List", Door::Referral, request, work).await
    }

    type WatchStream = Watching;

    async fn watch(&self, request: Request<wire::WatchRequest>) -> Result<Response<Watching>, Status> {
        let (shutdown, watchers) = (self.shutdown.clone(), self.watchers.clone());
        let work = |doors: Doors, sender: Endpoint, request: wire::WatchRequest| async move {
            let place = watchers.try_acquire_owned().map_err(|_| Refusal::TooMuch)?;
            let wire::WatchRequest { after, referral_id } = request;
            if !referral_id.is_empty() {
                ReferralId::parse(&referral_id).map_err(|_| Refusal::NoSuchReferral)?;
            }
            let asked = broker_v1::WatchRequest { party: sender.to_string(), after, referral_id };
            let answer =
                doors.broker.cases.clone().watch(asked).await.map_err(|status| not_answered(&status, Refusal::NoSuchReferral))?;
            let entries = answer.into_inner().map(move |told| {
                let _kept_while_watching = &place;
                told.map(|told| wire::WatchResponse { entry: told.entry })
                    .map_err(|status| not_answered(&status, Refusal::NoSuchReferral).into())
            });
            let stopping = async move { shutdown.requested().await };
            // A stream that ends is a stream that broke: the watcher goes on from the last position it saw.
            let broke = stream::once(async { Err(Refusal::BrokerAway.into()) });
            Ok(Box::pin(entries.take_until(stopping).chain(broke)) as Watching)
        };
        self.doors.answer("Watch", Door::Referral, request, work).await
    }

    async fn correct(&self, request: Request<wire::CorrectRequest>) -> Result<Response<wire::CorrectResponse>, Status> {
        let work = |doors: Doors, sender: Endpoint, request: wire::CorrectRequest| async move {
            let receipt = doors.correct(&sender, request).await?;
            Ok(wire::CorrectResponse { receipt: Some(receipt) })
        };
        self.doors.answer("Correct", Door::Referral, request, work).await
    }

    async fn withdraw_consent(
        &self,
        request: Request<wire::WithdrawConsentRequest>,
    ) -> Result<Response<wire::WithdrawConsentResponse>, Status> {
        let work = |doors: Doors, sender: Endpoint, request: wire::WithdrawConsentRequest| async move {
            let referral = doors.withdraw_consent(&sender, request).await?;
            let meaning = "Received. Everybody who received the referral is told. What rests on agreement alone stops; what is done \
                           under a duty, and everything at significant harm or above, goes on. Nothing is erased.";
            Ok(wire::WithdrawConsentResponse { referral_id: referral.to_string(), meaning: meaning.to_owned() })
        };
        self.doors.answer("WithdrawConsent", Door::Referral, request, work).await
    }

    async fn disagree(&self, request: Request<wire::DisagreeRequest>) -> Result<Response<wire::DisagreeResponse>, Status> {
        let work = |doors: Doors, sender: Endpoint, request: wire::DisagreeRequest| async move {
            let meaning = match request.immediate_danger {
                true => {
                    "Received. It goes to whoever is on duty as a new urgent referral, and to police. If a child is in danger \
                     now, call 999: this does not replace it."
                }
                false => {
                    "Received. It goes to the front door's manager, or to the next stage after the last answer; you hear before \
                     whom it lies, and what they decide. If the child is not safe now, say so, and call 999."
                }
            };
            let referral = doors.disagree(&sender, request).await?;
            Ok(wire::DisagreeResponse { referral_id: referral.to_string(), meaning: meaning.to_owned() })
        };
        self.doors.answer("Disagree", Door::Referral, request, work).await
    }
}

fn wrong(field: &str, because: &str) -> Refusal {
    let violation = read::Violation { field: field.to_owned(), rule: "form", because: because.to_owned() };
    Refusal::Invalid(read::Invalid(vec![violation]))
}

/// What is missing that would help the rules or a reader. None of it stops a submission.
fn missing(submission: &Submission) -> Vec<wire::MissingField> {
    let mut missing = Vec::new();
    let mut lacks = |field: String, because: &str| missing.push(wire::MissingField { field, because: because.to_owned() });
    let further = submission.further_children.iter().enumerate();
    let children = std::iter::once(("content.child".to_owned(), &submission.child))
        .chain(further.map(|(nth, child)| (format!("content.further_children[{nth}]"), child)));
    for (path, child) in children {
        if child.places.home.is_none() {
            lacks(format!("{path}.places.home"), "is missing: the home decides which authority is responsible");
        }
        if !child.identity.tells_apart() {
            lacks(
                format!("{path}.identity"),
                "does not tell the child apart: a family name with a date of birth does, or an NHS number or UPN",
            );
        }
    }
    if submission.level == Level::Information && submission.purpose.is_none() {
        lacks("content.purpose".to_owned(), "is missing: information alone needs a stated purpose");
    }
    if matches!(submission.agreement, Agreement::NotStated | Agreement::NotSoughtNoReason) {
        lacks("content.agreement".to_owned(), "says nothing of why the family was not asked");
    }
    for (nth, item) in submission.items.iter().enumerate() {
        if item.summary.is_none() && matches!(item.body, Body::Text(_) | Body::Attachment { .. }) {
            lacks(
                format!("content.items[{nth}].summary"),
                "is missing: recipients who may have the minimum only get nothing of this item",
            );
        }
    }
    missing
}
