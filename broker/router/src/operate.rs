//! Operate: what the doors ask the broker. They have no memory and no ledger; the broker answers them over
//! mutual TLS, and nobody else. A party is told of its own referrals only: another's is not found, in the same
//! words as one that never was.

pub mod operators;
pub mod places;

use std::pin::Pin;

use futures_util::Stream;
use prost::Message as _;
use proto::tell;
use proto::wire::broker::v1 as wire;
use proto::wire::broker::v1::case_service_server::{CaseService, CaseServiceServer};
use proto::wire::common::v1 as common;
use proto::wire::common::v1::progress_entry::Step;
use proto::wire::delivery::v1 as delivery;
use referral::case::{Case, Event, MayAnswer, Routing};
use referral::{Endpoint, IdempotencyKey, ReferralId};
use tokio::sync::{mpsc, watch};
use tonic::{Request, Response, Status};
use transport::clock::Clock;
use transport::shutdown::Shutdown;

use crate::record::{Ledger, LedgerError, Listed, Stored, Told};
use crate::roads;
use crate::rules::Rules;

/// The doors' certificates carry this name.
const ADAPTER: &str = "service.adapter";
/// How many rungs are read at once.
const PAGE: usize = 200;

/// Answers the doors.
pub struct Desk<L> {
    /// What was recorded.
    pub ledger: L,
    /// The rules, for previews.
    pub rules: Rules,
    /// What the time is.
    pub clock: Clock,
    /// Grows whenever somebody has news.
    pub news: watch::Receiver<u64>,
    /// To whoever decides.
    pub events: mpsc::Sender<(ReferralId, Event)>,
    /// Streams end when the broker stops.
    pub shutdown: Shutdown,
}

impl<L: Ledger> Desk<L> {
    /// The gRPC service.
    pub fn service(self) -> CaseServiceServer<Caller<L>> {
        CaseServiceServer::new(Caller(std::sync::Arc::new(self)))
    }

    /// The case, if it is `party`'s.
    async fn case_of(&self, party: &Endpoint, referral: ReferralId) -> Result<Case, Status> {
        self.stored(referral).await?.filter(|case| case.sender() == party).ok_or_else(no_such_referral)
    }

    async fn stored(&self, referral: ReferralId) -> Result<Option<Case>, Status> {
        let stored = self.ledger.load(&[roads::ledger_id(referral)]).await.map_err(not_now)?;
        let read =
            |stored: Stored| serde_json::from_slice(&stored.state).map_err(|_| Status::internal("the case cannot be read"));
        stored.into_iter().flatten().next().map(read).transpose()
    }

    /// Every rung of one referral that `party` may see, in order.
    async fn ladder(&self, party: &Endpoint, referral: ReferralId) -> Result<Vec<common::ProgressEntry>, Status> {
        let told = self.ledger.told_about(&party.to_string(), roads::ledger_id(referral)).await.map_err(not_now)?;
        Ok(told.into_iter().filter_map(entry).collect())
    }

    /// The case, if it is `party`'s, and its ladder as they stood together: what was written between the two readings is
    /// read again, so that no rung is told without the clocks and recipients that came with it.
    async fn standing_of(&self, party: &Endpoint, referral: ReferralId) -> Result<(Case, Vec<common::ProgressEntry>), Status> {
        let mut case = self.case_of(party, referral).await?;
        loop {
            let ladder = self.ladder(party, referral).await?;
            let still = self.case_of(party, referral).await?;
            if still == case {
                return Ok((case, ladder));
            }
            case = still;
        }
    }

    /// Once how it ended has been handed to the sender, the case may close (P9).
    async fn told_how_it_ended(&self, referral: ReferralId) {
        // Fails only while the broker stops; then it stays open, and is told again.
        let _ = self.events.send((referral, Event::SenderTold)).await;
    }
}

/// The desk, shared by all calls.
pub struct Caller<L>(std::sync::Arc<Desk<L>>);

fn no_such_referral() -> Status {
    Status::not_found("there is no such referral of yours")
}

fn not_now(error: LedgerError) -> Status {
    tracing::error!("a question could not be answered: {error}");
    Status::unavailable("the ledger does not answer just now; try again")
}

/// An entry with its position. What was erased is passed over.
fn entry(told: Told) -> Option<common::ProgressEntry> {
    let mut entry = common::ProgressEntry::decode(told.body.as_slice()).ok()?;
    entry.position = told.sequence;
    entry.step.is_some().then_some(entry)
}

/// It may have ended: a person has it who decides nothing, such as a child's new school, or somebody decided.
fn may_end_it(entry: &common::ProgressEntry) -> bool {
    matches!(entry.step, Some(Step::Acknowledged(_) | Step::Decided(_) | Step::ReturnedToSender(_) | Step::Refused(_)))
}

fn party(text: &str) -> Result<Endpoint, Status> {
    Endpoint::parse(text).map_err(|_| Status::invalid_argument("party is not an endpoint"))
}

fn referral(text: &str) -> Result<ReferralId, Status> {
    ReferralId::parse(text).map_err(|_| no_such_referral())
}

/// After which number a page begins.
fn after(page_token: &str) -> Result<u64, Status> {
    match page_token {
        "" => Ok(0),
        token => token.parse().map_err(|_| Status::invalid_argument("page_token is not one of ours")),
    }
}

fn size(page_size: u32) -> usize {
    usize::try_from(page_size.clamp(1, 200)).unwrap_or(200)
}

fn next_page(page: &[Listed], size: usize) -> String {
    match page.last() {
        Some(last) if page.len() == size => last.number.to_string(),
        Some(_) | None => String::new(),
    }
}

/// Nobody but the doors is answered.
fn only_the_doors<T>(request: &Request<T>) -> Result<(), Status> {
    let certificates = request.peer_certs();
    let first = certificates.as_ref().and_then(|chain| chain.first());
    let name = first.and_then(|der| transport::tls::common_name(der).ok());
    if name.as_deref() == Some(ADAPTER) { Ok(()) } else { Err(Status::permission_denied("only the doors may ask the broker")) }
}

type WatchStream = Pin<Box<dyn Stream<Item = Result<wire::WatchResponse, Status>> + Send>>;

#[tonic::async_trait]
impl<L: Ledger> CaseService for Caller<L> {
    async fn preview(&self, request: Request<wire::PreviewRequest>) -> Result<Response<wire::PreviewResponse>, Status> {
        only_the_doors(&request)?;
        let desk = &self.0;
        let wire::PreviewRequest { party: sender, content } = request.into_inner();
        let sender = party(&sender)?;
        let content = content.ok_or_else(|| Status::invalid_argument("content is missing"))?;
        let nothing_is_stored = IdempotencyKey::from_bytes([0; 16]);
        let submission = proto::read::submission(&sender, nothing_is_stored, desk.clock.now(), &content)
            .map_err(|invalid| Status::invalid_argument(invalid.to_string()))?;
        let referrals = submission.split();
        let rules = desk.rules.now();
        let children = referrals.iter().zip(0u32..).map(|(referral, nth)| {
            let ruling = rules.book.rule(referral, &[]);
            tell::preview(nth, &Routing::of(&ruling, &rules.book))
        });
        Ok(Response::new(wire::PreviewResponse { children: children.collect() }))
    }

    async fn get(&self, request: Request<wire::GetRequest>) -> Result<Response<wire::GetResponse>, Status> {
        only_the_doors(&request)?;
        let wire::GetRequest { party: sender, referral_id } = request.into_inner();
        let (sender, id) = (party(&sender)?, referral(&referral_id)?);
        let (case, ladder) = self.0.standing_of(&sender, id).await?;
        if case.is_open() && case.has_ended() {
            self.0.told_how_it_ended(id).await;
        }
        Ok(Response::new(wire::GetResponse { status: Some(tell::status(&case, ladder)) }))
    }

    async fn list(&self, request: Request<wire::ListRequest>) -> Result<Response<wire::ListResponse>, Status> {
        only_the_doors(&request)?;
        let wire::ListRequest { party: sender, page_size, page_token, open_only } = request.into_inner();
        let sender = party(&sender)?;
        let (after, size) = (after(&page_token)?, size(page_size));
        let page = self.0.ledger.list(&sender.to_string(), after, size).await.map_err(not_now)?;
        let next_page_token = next_page(&page, size);
        let cases = page
            .into_iter()
            .filter_map(|listed| serde_json::from_slice::<Case>(&listed.state).ok())
            .filter(|case| !open_only || case.is_open_to_its_sender());
        Ok(Response::new(wire::ListResponse { referrals: cases.map(|case| tell::summary(&case)).collect(), next_page_token }))
    }

    type WatchStream = WatchStream;

    async fn watch(&self, request: Request<wire::WatchRequest>) -> Result<Response<WatchStream>, Status> {
        only_the_doors(&request)?;
        let wire::WatchRequest { party: sender, after, referral_id } = request.into_inner();
        let sender = party(&sender)?;
        // A referral that was accepted a moment ago may not have been decided yet: its rungs come when it is. One
        // that is another's has no rungs here, now or ever, so there is nothing to refuse and nothing to tell.
        let only = if referral_id.is_empty() { None } else { Some(referral(&referral_id)?) };
        let (entries, stream) = mpsc::channel(64);
        tokio::spawn(follow(self.0.clone(), sender, only, after, entries));
        let stream: WatchStream = Box::pin(tokio_stream::wrappers::ReceiverStream::new(stream));
        Ok(Response::new(stream))
    }

    async fn list_received(
        &self,
        request: Request<wire::ListReceivedRequest>,
    ) -> Result<Response<wire::ListReceivedResponse>, Status> {
        only_the_doors(&request)?;
        let wire::ListReceivedRequest { party: inbox, page_size, page_token, open_only } = request.into_inner();
        let inbox = party(&inbox)?;
        let (after, size) = (after(&page_token)?, size(page_size));
        let page = self.0.ledger.received(&inbox.to_string(), after, size).await.map_err(not_now)?;
        let next_page_token = next_page(&page, size);
        let cases = page.into_iter().filter_map(|listed| serde_json::from_slice::<Case>(&listed.state).ok());
        let received = cases.flat_map(|case| tell::received(&case, &inbox));
        let is_wanted =
            |one: &delivery::ReceivedReferral| !open_only || one.in_charge.as_ref().is_some_and(|in_charge| in_charge.open);
        Ok(Response::new(wire::ListReceivedResponse { referrals: received.filter(is_wanted).collect(), next_page_token }))
    }

    async fn get_received(
        &self,
        request: Request<wire::GetReceivedRequest>,
    ) -> Result<Response<wire::GetReceivedResponse>, Status> {
        only_the_doors(&request)?;
        let wire::GetReceivedRequest { party: inbox, referral_id } = request.into_inner();
        let (inbox, id) = (party(&inbox)?, referral(&referral_id)?);
        let referrals = self.0.stored(id).await?.map(|case| tell::received(&case, &inbox)).unwrap_or_default();
        // What was sent to others is not found, in the same words as what never was.
        if referrals.is_empty() { Err(no_such_referral()) } else { Ok(Response::new(wire::GetReceivedResponse { referrals })) }
    }

    async fn find_delivery(
        &self,
        request: Request<wire::FindDeliveryRequest>,
    ) -> Result<Response<wire::FindDeliveryResponse>, Status> {
        only_the_doors(&request)?;
        let wire::FindDeliveryRequest { party: recipient, delivery_id } = request.into_inner();
        let recipient = party(&recipient)?;
        let not_found = || Status::not_found("there is no such delivery to you");
        let delivery = uuid::Uuid::parse_str(&delivery_id).map_err(|_| not_found())?;
        let found = self.0.ledger.find_delivery(delivery).await.map_err(not_now)?;
        let found = found.filter(|found| found.routing_key == recipient.to_string()).ok_or_else(not_found)?;
        let stored = self.0.ledger.load(&[found.referral]).await.map_err(not_now)?;
        let case: Case = stored
            .into_iter()
            .flatten()
            .next()
            .and_then(|stored| serde_json::from_slice(&stored.state).ok())
            .ok_or_else(not_found)?;
        let id = referral::DeliveryId::from_bytes(*delivery.as_bytes());
        let digest = case
            .recipients()
            .iter()
            .flat_map(|recipient| &recipient.deliveries)
            .find(|known| known.id == id)
            .and_then(|known| known.digest);
        let digest = digest.ok_or_else(not_found)?.as_bytes().to_vec();
        let may_answer = match case.may_answer(&recipient, id, &self.0.rules.now().book.directory).ok_or_else(not_found)? {
            MayAnswer::ForTheChild => wire::MayAnswer::ForTheChild,
            MayAnswer::TheOffer => wire::MayAnswer::TheOffer,
            MayAnswer::Nothing => wire::MayAnswer::Nothing,
        };
        Ok(Response::new(wire::FindDeliveryResponse {
            referral_id: case.id().to_string(),
            digest,
            may_answer: may_answer as i32,
            is_offered: case.transfer().is_some(),
        }))
    }
}

/// Sends every rung after `after`, and then each one as it is climbed, until the listener has gone.
async fn follow<L: Ledger>(
    desk: std::sync::Arc<Desk<L>>,
    sender: Endpoint,
    only: Option<ReferralId>,
    mut after: u64,
    entries: mpsc::Sender<Result<wire::WatchResponse, Status>>,
) {
    let mut news = desk.news.clone();
    loop {
        news.mark_unchanged();
        let page = match desk.ledger.progress(&sender.to_string(), after, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                let _ = entries.send(Err(not_now(error))).await;
                return;
            }
        };
        let read_all = page.len() < PAGE;
        for told in page {
            after = told.sequence;
            let id = roads::referral_id(told.referral);
            if only.is_some_and(|only| only != id) {
                continue;
            }
            let Some(entry) = entry(told) else { continue };
            let ends = may_end_it(&entry);
            if entries.send(Ok(wire::WatchResponse { entry: Some(entry) })).await.is_err() {
                return;
            }
            if ends {
                desk.told_how_it_ended(id).await;
            }
        }
        if read_all {
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return },
                () = entries.closed() => return,
                () = desk.shutdown.requested() => return,
            }
        }
    }
}
