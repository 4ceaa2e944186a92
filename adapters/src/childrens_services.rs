//! A council's answers. Each is checked against what was delivered before it goes anywhere: to whom it was
//! sent, and the digest of what it said. An answer to anything else is refused here, and nothing is published.

use proto::read::{self, Invalid, Violation};
use proto::wire::childrens_services::v1 as wire;
use proto::wire::childrens_services::v1::front_door_service_server::FrontDoorService;
use proto::wire::events::v1 as events;
use proto::wire::events::v1::answered::Says;
use proto::wire::events::v1::event::Event;
use referral::submission::What;
use referral::{Endpoint, ReferralId};
use tonic::{Request, Response, Status};

use crate::sender::Door;
use crate::status::Refusal;
use crate::submit::Doors;

impl Doors {
    /// Publishes what `front_door` says about a delivery to it.
    async fn answer_delivery(
        &self,
        front_door: &Endpoint,
        answer: Option<wire::Answer>,
        says: Says,
    ) -> Result<ReferralId, Refusal> {
        let wire::Answer { delivery_id, digest, by } = answer.unwrap_or_default();
        // Which referral it is about, the broker knows: this one only lets the rest be read before it is asked.
        let unknown = ReferralId::from_bytes([0; 16]).to_string();
        let mut event = events::Answered { referral_id: unknown, delivery_id, digest, by, says: Some(says) };
        let What::Answered { answer, .. } =
            read::answered(front_door, &event).map_err(|invalid| Refusal::Invalid(in_the_requests_words(invalid)))?
        else {
            return Err(Refusal::NoSuchDelivery);
        };
        let (referral, digest) = self.broker.find(front_door, answer.delivery).await?;
        if digest != answer.digest {
            return Err(Refusal::OtherContent);
        }
        event.referral_id = referral.to_string();
        self.publish(front_door, referral, self.clock.now(), Event::Answered(event)).await?;
        Ok(referral)
    }
}

/// In the requests, all but the outcome and its reason stands inside `answer`.
fn in_the_requests_words(Invalid(violations): Invalid) -> Invalid {
    let inside =
        |field: &str| ["delivery_id", "digest", "by"].iter().any(|part| field == *part || field.starts_with(&format!("{part}.")));
    let told = violations.into_iter().map(|violation| match inside(&violation.field) {
        true => Violation { field: format!("answer.{}", violation.field), ..violation },
        false => violation,
    });
    Invalid(told.collect())
}

/// The councils' door.
pub struct FrontDoor(pub Doors);

#[tonic::async_trait]
impl FrontDoorService for FrontDoor {
    async fn acknowledge(
        &self,
        request: Request<wire::AcknowledgeRequest>,
    ) -> Result<Response<wire::AcknowledgeResponse>, Status> {
        let work = |doors: Doors, front_door: Endpoint, request: wire::AcknowledgeRequest| async move {
            let referral =
                doors.answer_delivery(&front_door, request.answer, Says::Acknowledged(events::Acknowledged {})).await?;
            Ok(wire::AcknowledgeResponse { referral_id: referral.to_string() })
        };
        self.0.answer("Acknowledge", Door::Delivery, request, work).await
    }

    async fn decide(&self, request: Request<wire::DecideRequest>) -> Result<Response<wire::DecideResponse>, Status> {
        let work = |doors: Doors, front_door: Endpoint, request: wire::DecideRequest| async move {
            let says = Says::Decided(events::Decided { outcome: request.outcome, reason: request.reason });
            let referral = doors.answer_delivery(&front_door, request.answer, says).await?;
            Ok(wire::DecideResponse { referral_id: referral.to_string() })
        };
        self.0.answer("Decide", Door::FrontDoor, request, work).await
    }

    async fn collect(&self, request: Request<wire::CollectRequest>) -> Result<Response<wire::CollectResponse>, Status> {
        let work = |doors: Doors, front_door: Endpoint, request: wire::CollectRequest| async move {
            let referral = doors.answer_delivery(&front_door, request.answer, Says::Collected(events::Collected {})).await?;
            Ok(wire::CollectResponse { referral_id: referral.to_string() })
        };
        self.0.answer("Collect", Door::Delivery, request, work).await
    }

    async fn request_information(
        &self,
        request: Request<wire::RequestInformationRequest>,
    ) -> Result<Response<wire::RequestInformationResponse>, Status> {
        self.not_yet(
            "RequestInformation",
            request,
            "a question needs a way back for its answer. Ask the referrer by the contact given",
        )
        .await
    }

    async fn transfer(&self, request: Request<wire::TransferRequest>) -> Result<Response<wire::TransferResponse>, Status> {
        let why = "a case stays where it is until another area accepts it, and that exchange is not there. Telephone the other front door";
        self.not_yet("Transfer", request, why).await
    }

    async fn respond_to_transfer(
        &self,
        request: Request<wire::RespondToTransferRequest>,
    ) -> Result<Response<wire::RespondToTransferResponse>, Status> {
        self.not_yet("RespondToTransfer", request, "no case is offered through this broker, so none can be accepted").await
    }

    async fn record_strategy_discussion(
        &self,
        request: Request<wire::RecordStrategyDiscussionRequest>,
    ) -> Result<Response<wire::RecordStrategyDiscussionResponse>, Status> {
        self.not_yet("RecordStrategyDiscussion", request, "the clocks that a strategy discussion starts are not there").await
    }

    async fn report_plan_status(
        &self,
        request: Request<wire::ReportPlanStatusRequest>,
    ) -> Result<Response<wire::ReportPlanStatusResponse>, Status> {
        self.not_yet("ReportPlanStatus", request, "nobody is told of plans yet").await
    }

    async fn refer_on(&self, request: Request<wire::ReferOnRequest>) -> Result<Response<wire::ReferOnResponse>, Status> {
        self.not_yet("ReferOn", request, "services have no queues here yet. Refer on as you do today").await
    }
}

impl FrontDoor {
    async fn not_yet<Q: Send + 'static, A: Send + 'static>(
        &self,
        method: &'static str,
        request: Request<Q>,
        why: &'static str,
    ) -> Result<Response<A>, Status> {
        self.0.answer(method, Door::FrontDoor, request, move |_, _, _| async move { Err(Refusal::NotYet(why)) }).await
    }
}
