//! A council's answers. Each is checked against what was delivered before it goes anywhere: to whom it was
//! sent, and the digest of what it said. An answer to anything else is refused here, and nothing is published.
//! Whoever else has a queue may say that it has what lay there; only a council decides, transfers, refers on.

use proto::read::{self, Invalid, Violation};
use proto::wire::broker::v1::MayAnswer;
use proto::wire::childrens_services::v1 as wire;
use proto::wire::childrens_services::v1::front_door_service_server::FrontDoorService;
use proto::wire::common::v1 as common;
use proto::wire::events::v1 as events;
use proto::wire::events::v1::answered::Says;
use proto::wire::events::v1::event::Event;
use referral::submission::{Says as Said, What};
use referral::{Endpoint, ReferralId};
use tonic::{Request, Response, Status};

use crate::follow::Found;
use crate::sender::Door;
use crate::status::Refusal;
use crate::submit::{Doors, not_ahead, wrong};

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
        let Found { referral, digest, may_answer, is_offered } = self.broker.find(front_door, answer.delivery).await?;
        if digest != answer.digest {
            return Err(Refusal::OtherContent);
        }
        would_be_heard(&answer.says, may_answer, is_offered)?;
        event.referral_id = referral.to_string();
        self.publish(front_door, referral, self.clock.now(), Event::Answered(event)).await?;
        Ok(referral)
    }
}

/// An answer that would change nothing is refused while somebody is there to read why. The broker decides: what is still
/// on its way to it may change what is so.
fn would_be_heard(says: &Said, may_answer: MayAnswer, is_offered: bool) -> Result<(), Refusal> {
    match (says, may_answer) {
        (Said::Collected | Said::Acknowledged, _) | (_, MayAnswer::Unspecified) => Ok(()),
        // Whoever accepted answers for the child already, or is about to.
        (Said::TransferAccepted | Said::TransferRefused { .. }, MayAnswer::Nothing) => Err(Refusal::NothingOffered),
        (Said::TransferAccepted | Said::TransferRefused { .. }, MayAnswer::TheOffer | MayAnswer::ForTheChild) => Ok(()),
        (_, MayAnswer::Nothing) => Err(Refusal::NotResponsible),
        (Said::TransferOffered { .. }, MayAnswer::ForTheChild) if is_offered => Err(Refusal::TransferPending),
        (Said::TransferWithdrawn { .. }, MayAnswer::ForTheChild) if !is_offered => Err(Refusal::NoOffer),
        (_, MayAnswer::TheOffer | MayAnswer::ForTheChild) => Ok(()),
    }
}

/// In the requests, the delivery and the person stand inside `answer`.
fn in_the_requests_words(Invalid(violations): Invalid) -> Invalid {
    let inside =
        |field: &str| ["delivery_id", "digest", "by"].iter().any(|part| field == *part || field.starts_with(&format!("{part}.")));
    let told = violations.into_iter().map(|violation| match inside(&violation.field) {
        true => Violation { field: format!("answer.{}", violation.field), ..violation },
        false => Violation { field: in_the_requests_word(&violation.field).to_owned(), ..violation },
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
        let work = |doors: Doors, front_door: Endpoint, request: wire::RequestInformationRequest| async move {
            let says = Says::AskedForMore(events::AskedForMore { question: request.question });
            let referral = doors.answer_delivery(&front_door, request.answer, says).await?;
            Ok(wire::RequestInformationResponse { referral_id: referral.to_string() })
        };
        self.0.answer("RequestInformation", Door::FrontDoor, request, work).await
    }

    async fn transfer(&self, request: Request<wire::TransferRequest>) -> Result<Response<wire::TransferResponse>, Status> {
        let work = |doors: Doors, front_door: Endpoint, request: wire::TransferRequest| async move {
            let wire::TransferRequest { answer, to_authority, reason } = request;
            let says = Says::TransferOffered(events::TransferOffered { to_area: to_authority, reason });
            let referral = doors.answer_delivery(&front_door, answer, says).await?;
            Ok(wire::TransferResponse { referral_id: referral.to_string() })
        };
        self.0.answer("Transfer", Door::FrontDoor, request, work).await
    }

    async fn respond_to_transfer(
        &self,
        request: Request<wire::RespondToTransferRequest>,
    ) -> Result<Response<wire::RespondToTransferResponse>, Status> {
        let work = |doors: Doors, front_door: Endpoint, request: wire::RespondToTransferRequest| async move {
            let wire::RespondToTransferRequest { answer, accepted, reason } = request;
            let says = match accepted {
                true => Says::TransferAccepted(events::TransferAccepted {}),
                false => Says::TransferRefused(events::TransferRefused { reason }),
            };
            let referral = doors.answer_delivery(&front_door, answer, says).await?;
            Ok(wire::RespondToTransferResponse { referral_id: referral.to_string() })
        };
        self.0.answer("RespondToTransfer", Door::FrontDoor, request, work).await
    }

    async fn withdraw_transfer(
        &self,
        request: Request<wire::WithdrawTransferRequest>,
    ) -> Result<Response<wire::WithdrawTransferResponse>, Status> {
        let work = |doors: Doors, front_door: Endpoint, request: wire::WithdrawTransferRequest| async move {
            let says = Says::TransferWithdrawn(events::TransferWithdrawn { reason: request.reason });
            let referral = doors.answer_delivery(&front_door, request.answer, says).await?;
            Ok(wire::WithdrawTransferResponse { referral_id: referral.to_string() })
        };
        self.0.answer("WithdrawTransfer", Door::FrontDoor, request, work).await
    }

    async fn record_strategy_discussion(
        &self,
        request: Request<wire::RecordStrategyDiscussionRequest>,
    ) -> Result<Response<wire::RecordStrategyDiscussionResponse>, Status> {
        let work = |doors: Doors, front_door: Endpoint, request: wire::RecordStrategyDiscussionRequest| async move {
            let wire::RecordStrategyDiscussionRequest { answer, held_on, enquiries_started } = request;
            not_ahead("held_on", "CL-03", &held_on, doors.clock.now())?;
            let says = Says::StrategyDiscussionHeld(events::StrategyDiscussionHeld { held_on, enquiries_started });
            let referral = doors.answer_delivery(&front_door, answer, says).await?;
            Ok(wire::RecordStrategyDiscussionResponse { referral_id: referral.to_string() })
        };
        self.0.answer("RecordStrategyDiscussion", Door::FrontDoor, request, work).await
    }

    async fn report_plan_status(
        &self,
        request: Request<wire::ReportPlanStatusRequest>,
    ) -> Result<Response<wire::ReportPlanStatusResponse>, Status> {
        let work = |doors: Doors, front_door: Endpoint, request: wire::ReportPlanStatusRequest| async move {
            let wire::ReportPlanStatusRequest { answer, child_protection_plan, looked_after } = request;
            let status = Some(common::ChildStatus { child_protection_plan, looked_after });
            let says = Says::StatusRecorded(events::StatusRecorded { status });
            let referral = doors.answer_delivery(&front_door, answer, says).await?;
            Ok(wire::ReportPlanStatusResponse { referral_id: referral.to_string() })
        };
        self.0.answer("ReportPlanStatus", Door::FrontDoor, request, work).await
    }

    async fn refer_on(&self, request: Request<wire::ReferOnRequest>) -> Result<Response<wire::ReferOnResponse>, Status> {
        let work = |doors: Doors, front_door: Endpoint, request: wire::ReferOnRequest| async move {
            let wire::ReferOnRequest { answer, to, reason } = request;
            let says = Says::ReferredOn(events::ReferredOn { to, reason });
            let referral = doors.answer_delivery(&front_door, answer, says).await?;
            Ok(wire::ReferOnResponse { referral_id: referral.to_string() })
        };
        self.0.answer("ReferOn", Door::FrontDoor, request, work).await
    }

    async fn lift_handling(
        &self,
        request: Request<wire::LiftHandlingRequest>,
    ) -> Result<Response<wire::LiftHandlingResponse>, Status> {
        let work = |doors: Doors, front_door: Endpoint, request: wire::LiftHandlingRequest| async move {
            let wire::LiftHandlingRequest { answer, condition, reason } = request;
            is_an_authoritys_to_lift(condition)?;
            let says = Says::HandlingLifted(events::HandlingLifted { condition, reason });
            let referral = doors.answer_delivery(&front_door, answer, says).await?;
            Ok(wire::LiftHandlingResponse { referral_id: referral.to_string() })
        };
        self.0.answer("LiftHandling", Door::FrontDoor, request, work).await
    }

    async fn list(&self, request: Request<wire::ListRequest>) -> Result<Response<wire::ListResponse>, Status> {
        let work = |doors: Doors, recipient: Endpoint, request: wire::ListRequest| async move {
            doors.broker.list_received(&recipient, request).await
        };
        self.0.answer("ListReceived", Door::Delivery, request, work).await
    }

    async fn get(&self, request: Request<wire::GetRequest>) -> Result<Response<wire::GetResponse>, Status> {
        let work = |doors: Doors, recipient: Endpoint, request: wire::GetRequest| async move {
            let referral = ReferralId::parse(&request.referral_id).map_err(|_| Refusal::NoSuchReferral)?;
            doors.broker.get_received(&recipient, referral).await
        };
        self.0.answer("GetReceived", Door::Delivery, request, work).await
    }
}

/// Every other condition is its originator's (HR-01, HR-02). What is no condition at all, the reading says.
fn is_an_authoritys_to_lift(condition: i32) -> Result<(), Refusal> {
    match common::HandlingFlag::try_from(condition) {
        Ok(common::HandlingFlag::DoNotInformParents | common::HandlingFlag::Unspecified) | Err(_) => Ok(()),
        Ok(_) => Err(wrong("condition", "HR-02", "is its originator's to lift: ask whoever set it")),
    }
}

/// In the request to transfer, the area is the other authority.
fn in_the_requests_word(field: &str) -> &str {
    if field == "to_area" { "to_authority" } else { field }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_as_the_request_names_it() {
        let violation = |field: &str| Violation { field: field.to_owned(), rule: "required", because: "is missing".to_owned() };
        let told = in_the_requests_words(Invalid(["by.name", "digest", "to_area", "reason", "question"].map(violation).into())).0;
        let fields: Vec<&str> = told.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["answer.by.name", "answer.digest", "to_authority", "reason", "question"]);
    }

    #[test]
    fn what_nobody_would_hear_is_refused_and_what_was_heard_may_be_said_again() {
        let offer =
            || Said::TransferOffered { to: referral::identifiers::GssCode::parse("E10000016").unwrap(), reason: "r".into() };
        let refuses =
            |says: Said, may: MayAnswer, is_offered: bool| would_be_heard(&says, may, is_offered).err().map(|no| no.reason());
        for may in [MayAnswer::Nothing, MayAnswer::TheOffer, MayAnswer::ForTheChild] {
            assert_eq!(refuses(Said::Acknowledged, may, true), None);
        }
        assert_eq!(refuses(offer(), MayAnswer::Nothing, false), Some("NOT_RESPONSIBLE"));
        assert_eq!(refuses(offer(), MayAnswer::ForTheChild, true), Some("TRANSFER_PENDING"));
        assert_eq!(refuses(offer(), MayAnswer::ForTheChild, false), None);
        assert_eq!(refuses(Said::TransferAccepted, MayAnswer::Nothing, false), Some("NOTHING_OFFERED"));
        let back = || Said::TransferWithdrawn { reason: "r".into() };
        assert_eq!(refuses(back(), MayAnswer::ForTheChild, true), None);
        assert_eq!(refuses(back(), MayAnswer::ForTheChild, false), Some("NO_OFFER"));
        assert_eq!(refuses(back(), MayAnswer::Nothing, true), Some("NOT_RESPONSIBLE"));
        // The acceptance may still be on its way to the broker, or its answer to whoever accepted.
        assert_eq!(refuses(Said::TransferAccepted, MayAnswer::ForTheChild, false), None);
        assert_eq!(refuses(Said::AskedForMore { question: "q".into() }, MayAnswer::TheOffer, true), None);
    }

    #[test]
    fn a_discussion_that_is_dated_ahead_is_turned_back_by_the_london_date() {
        let late_in_june = "2026-06-10T23:30:00Z".parse().unwrap();
        assert!(not_ahead("held_on", "CL-03", "2026-06-11", late_in_june).is_ok());
        assert!(matches!(not_ahead("held_on", "CL-03", "2026-06-12", late_in_june), Err(Refusal::Invalid(_))));
    }

    #[test]
    fn only_what_the_parents_are_told_is_an_authoritys_to_lift() {
        assert!(is_an_authoritys_to_lift(common::HandlingFlag::DoNotInformParents as i32).is_ok());
        for flag in [common::HandlingFlag::AddressProtected, common::HandlingFlag::PoliceHandlingC] {
            assert!(matches!(is_an_authoritys_to_lift(flag as i32), Err(Refusal::Invalid(_))));
        }
    }
}
