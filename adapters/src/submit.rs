//! Submit: translate, publish, and only then answer (P1).
//!
//! What a caller began goes on in a task of its own when the caller hangs up: the queue may have it already,
//! and half of a submission is worse than either end. Nothing is remembered here; the same key with the same
//! content is the same message, with the same id, for ever (P2).

use std::future::Future;

use bytes::Bytes;
use jiff::civil::Date;
use prost::Message as _;
use proto::wire::common::v1 as common;
use proto::wire::events::v1 as events;
use proto::wire::events::v1::event::Event;
use proto::wire::health::v1 as health_v1;
use proto::wire::health::v1::health_service_server::HealthService;
use proto::wire::police::v1 as police_v1;
use proto::wire::police::v1::police_service_server::PoliceService;
use proto::wire::referral::v1 as referral_v1;
use proto::wire::school::v1 as school_v1;
use proto::wire::school::v1::school_service_server::SchoolService;
use proto::{CONTENT_TYPE, read, write};
use referral::submission::{Submission, What};
use referral::time::london_date;
use referral::vocab::HandlingFlag;
use referral::{Digest, Endpoint, Moment, ReferralId};
use tonic::{Request, Response, Status};
use tracing::{Instrument, Span, info, info_span};
use transport::amqp::{Message, NotConfirmed, Publisher, Road};
use transport::clock::Clock;
use transport::telemetry;

use crate::follow::Broker;
use crate::form::Translated;
use crate::health::{self, fhir};
use crate::meters::Meters;
use crate::police;
use crate::school;
use crate::sender::{self, Door};
use crate::status::Refusal;

/// Where everything that is submitted goes.
const INTAKE: &str = "safeguarding.intake";
/// Over how many partitions. A referral's partition must never change while it is open, so neither does this.
const PARTITIONS: u16 = 8;
/// The type of what lies there.
const INTAKE_TYPE: &str = "safeguarding.events.v1.Intake";

const RECEIVED: &str = "Received and kept; no person has read it yet. You will hear when one has. If a child is in danger now, call 999: \
                        this does not replace it.";

/// What every door has.
#[derive(Clone)]
pub struct Doors {
    /// To the queues.
    pub publisher: Publisher,
    /// To the broker.
    pub broker: Broker,
    /// What the time is.
    pub clock: Clock,
    /// What is counted.
    pub meters: Meters,
}

impl Doors {
    /// Answers one call: finds out who calls, then does `work` to its end, whoever is still there to hear.
    pub async fn answer<Q, A, W>(
        &self,
        method: &'static str,
        door: Door,
        request: Request<Q>,
        work: impl FnOnce(Doors, Endpoint, Q) -> W + Send,
    ) -> Result<Response<A>, Status>
    where
        Q: Send + 'static,
        A: Send + 'static,
        W: Future<Output = Result<A, Refusal>> + Send + 'static,
    {
        let since = self.meters.start();
        let span = info_span!(
            "answer a call",
            otel.name = method,
            otel.kind = "server",
            rpc.system = "grpc",
            rpc.method = method,
            sender.code = tracing::field::Empty
        );
        let trace = request.metadata().get("traceparent").and_then(|trace| trace.to_str().ok());
        if let Some(trace) = trace {
            telemetry::follow(&span, trace);
        }
        let party = sender::of(&request).and_then(|party| {
            span.record("sender.code", party.to_string());
            sender::may_enter(&party, door).map(|()| party)
        });
        let party = match party {
            Ok(party) => party,
            Err(refusal) => return span.in_scope(|| self.meters.ended(method, since, Err(refusal))),
        };
        let (doors, work) = (self.clone(), work(self.clone(), party, request.into_inner()));
        let task = async move { doors.meters.ended(method, since, work.await) }.instrument(span);
        let ended = tokio::spawn(task).await;
        // A task that panicked told nobody whether it published: the caller must ask again, with the same key.
        let unknown = |_| Err(Refusal::NotReceived(NotConfirmed::NoAnswer).into());
        ended.unwrap_or_else(unknown).map(Response::new)
    }

    /// Answers a call that brings a form: `form` gives its key and the form in the contract's words, and `response` is made
    /// around the receipt.
    async fn form<Q: Send + 'static, A: Send + 'static>(
        &self,
        method: &'static str,
        door: Door,
        request: Request<Q>,
        form: fn(Q) -> (String, Translated),
        response: fn(Option<referral_v1::Receipt>) -> A,
    ) -> Result<Response<A>, Status> {
        let work = move |doors: Doors, sender: Endpoint, request: Q| async move {
            let (key, translated) = form(request);
            Ok(response(Some(doors.submit_form(&sender, key, translated).await?)))
        };
        self.answer(method, door, request, work).await
    }

    /// Puts `event` on the intake, and comes back when a queue has it.
    pub async fn publish(&self, from: &Endpoint, referral: ReferralId, received: Moment, event: Event) -> Result<(), Refusal> {
        let kind = kind_of(&event);
        let span = info_span!(
            "publish",
            otel.name = "publish safeguarding.intake",
            otel.kind = "producer",
            messaging.system = "rabbitmq",
            messaging.operation.name = "publish",
            messaging.operation.r#type = "send",
            messaging.destination.name = INTAKE,
            referral.id = %referral,
            message.kind = kind,
        );
        let message = message(from, referral, received, event, &span);
        let road = Road::new(INTAKE, referral.partition(PARTITIONS).to_string());
        let outcome = self.publisher.publish(road, message).instrument(span.clone()).await;
        span.in_scope(|| match outcome {
            Ok(_confirmed) => {
                info!("a queue has what {from} sent about referral {referral}");
                Ok(())
            }
            Err(why) => {
                tracing::warn!("no queue has said that it has what {from} sent about referral {referral}: {why}");
                Err(Refusal::NotReceived(why))
            }
        })
    }

    /// Publishes a submission that was read, and makes its receipt.
    pub async fn submit(
        &self,
        sender: &Endpoint,
        submission: Submission,
        content: common::Submission,
    ) -> Result<referral_v1::Receipt, Refusal> {
        may_be_held(&submission)?;
        let receipt = receipt(&submission);
        let event = Event::Submitted(events::Submitted { idempotency_key: submission.key.to_string(), content: Some(content) });
        self.publish(sender, submission.referral_id(), submission.received, event).await?;
        Ok(receipt)
    }

    /// Publishes a change to a referral, if it is the sender's.
    pub async fn amend(&self, sender: &Endpoint, request: referral_v1::AmendRequest) -> Result<referral_v1::Receipt, Refusal> {
        sender::names_itself(sender, &request.sender)?;
        let received = self.clock.now();
        let event = events::Amended {
            referral_id: request.referral_id,
            idempotency_key: request.idempotency_key,
            content: request.content,
        };
        let what = read::amended(sender, received, &event).map_err(Refusal::Invalid)?;
        let What::Amended { referral, submission } = what else { return Err(Refusal::NoSuchReferral) };
        may_be_held(&submission)?;
        self.broker.get(sender, referral).await?;
        self.publish(sender, referral, received, Event::Amended(event)).await?;
        Ok(referral_v1::Receipt {
            referral_id: referral.to_string(),
            further_referral_ids: Vec::new(),
            content_digest: submission.digest.to_string(),
            meaning: RECEIVED.to_owned(),
        })
    }

    /// Publishes a correction of a referral, if it is the sender's: a change that says so (RK-02).
    pub async fn correct(
        &self,
        sender: &Endpoint,
        request: referral_v1::CorrectRequest,
    ) -> Result<referral_v1::Receipt, Refusal> {
        let referral_v1::CorrectRequest { referral_id, idempotency_key, mut content, sender: named } = request;
        if let Some(content) = &mut content {
            is_a_correction(content)?;
        }
        self.amend(sender, referral_v1::AmendRequest { referral_id, idempotency_key, content, sender: named }).await
    }

    /// Publishes that agreement to a referral was withdrawn, if the referral is the sender's and somebody may have it.
    pub async fn withdraw_consent(
        &self,
        sender: &Endpoint,
        request: referral_v1::WithdrawConsentRequest,
    ) -> Result<ReferralId, Refusal> {
        let referral_v1::WithdrawConsentRequest { referral_id, by, withdrawn_by, withdrawn_on, reason } = request;
        let event = events::ConsentWithdrawn { referral_id, by, withdrawn_by, withdrawn_on, reason };
        let now = self.clock.now();
        let referral = read::consent_withdrawn(sender, &event).map_err(Refusal::Invalid)?.referral();
        not_ahead("withdrawn_on", "TC-11", &event.withdrawn_on, now)?;
        let stage = self.broker.get(sender, referral).await?.stage();
        if [common::Stage::ReturnedToSender, common::Stage::Refused].contains(&stage) {
            return Err(Refusal::CameBack);
        }
        self.publish(sender, referral, now, Event::ConsentWithdrawn(event)).await?;
        Ok(referral)
    }

    /// Publishes that a sender takes a referral back, if it is the sender's.
    pub async fn withdraw(&self, sender: &Endpoint, request: referral_v1::WithdrawRequest) -> Result<ReferralId, Refusal> {
        let event = events::Withdrawn { referral_id: request.referral_id, by: request.by, reason: request.reason };
        let referral = read::withdrawn(&event).map_err(Refusal::Invalid)?.referral();
        self.broker.get(sender, referral).await?;
        self.publish(sender, referral, self.clock.now(), Event::Withdrawn(event)).await?;
        Ok(referral)
    }

    /// Publishes that a sender disagrees, if the referral is its own, somebody has it who could be disagreed with, and
    /// nobody has time left to answer an earlier disagreement. In immediate danger only the first is asked.
    pub async fn disagree(&self, sender: &Endpoint, request: referral_v1::DisagreeRequest) -> Result<ReferralId, Refusal> {
        let referral_v1::DisagreeRequest { referral_id, by, reason, immediate_danger } = request;
        let event = events::Disagreed { referral_id, by, reason, immediate_danger };
        let referral = read::disagreed(sender, &event).map_err(Refusal::Invalid)?.referral();
        let status = self.broker.get(sender, referral).await?;
        if !immediate_danger {
            may_be_disputed(&status)?;
        }
        self.publish(sender, referral, self.clock.now(), Event::Disagreed(event)).await?;
        Ok(referral)
    }

    async fn submit_form(&self, sender: &Endpoint, key: String, translated: Translated) -> Result<referral_v1::Receipt, Refusal> {
        if !translated.may_come_from(sender) {
            return Err(Refusal::SpeaksForAnother);
        }
        let received = self.clock.now();
        let event = events::Submitted { idempotency_key: key, content: Some(translated.content.clone()) };
        let submission = read::submitted(sender, received, &event)
            .map_err(|invalid| Refusal::Invalid(translated.in_the_forms_words(invalid)))?;
        if !translated.faults.is_empty() {
            return Err(Refusal::Invalid(read::Invalid(translated.faults)));
        }
        self.submit(sender, submission, translated.content).await
    }
}

/// What is marked above OFFICIAL-SENSITIVE turns back here, before any queue or disk has seen it (HR-08).
fn may_be_held(submission: &Submission) -> Result<(), Refusal> {
    let all = submission.handling.iter().chain(submission.items.iter().flat_map(|item| &item.handling));
    if all.into_iter().any(|flag| *flag == HandlingFlag::Secret) { Err(Refusal::MarkedTooHigh) } else { Ok(()) }
}

/// A correction says so. Who leaves the kind out means one, for that is what was called.
fn is_a_correction(content: &mut common::Submission) -> Result<(), Refusal> {
    match common::EventKind::try_from(content.kind) {
        Ok(common::EventKind::Unspecified) => content.kind = common::EventKind::Correction as i32,
        Ok(common::EventKind::Correction) => {}
        Ok(_) | Err(_) => return Err(wrong("content.kind", "RK-02", "is not a correction: leave it out, or call Amend")),
    }
    Ok(())
}

/// What was said was said today or before. What is no date at all, the reading says.
pub(crate) fn not_ahead(field: &str, rule: &'static str, on: &str, now: Moment) -> Result<(), Refusal> {
    match on.parse::<Date>() {
        Ok(on) if on > london_date(now) => Err(wrong(field, rule, "is in the future")),
        Ok(_) | Err(_) => Ok(()),
    }
}

pub(crate) fn wrong(field: &str, rule: &'static str, because: &str) -> Refusal {
    Refusal::Invalid(read::Invalid(vec![read::Violation { field: field.to_owned(), rule, because: because.to_owned() }]))
}

fn may_be_disputed(status: &common::ReferralStatus) -> Result<(), Refusal> {
    if [common::Stage::Held, common::Stage::ReturnedToSender, common::Stage::Refused].contains(&status.stage()) {
        return Err(Refusal::NobodyHasIt);
    }
    match &status.disagreement {
        Some(disagreement) if !disagreement.may_be_raised => Err(match disagreement.state() {
            common::DisagreementState::Open => Refusal::DisagreementOpen,
            common::DisagreementState::Late | common::DisagreementState::Answered | common::DisagreementState::Unspecified => {
                Refusal::NoStageAbove
            }
        }),
        Some(_) | None => Ok(()),
    }
}

/// The receipt follows from the content alone: it is the same whenever and however often it is asked for.
fn receipt(submission: &Submission) -> referral_v1::Receipt {
    let first = submission.referral_id();
    let further = submission.further_children.iter().zip(1u16..).map(|(_, nth)| first.of_further_child(nth).to_string());
    referral_v1::Receipt {
        referral_id: first.to_string(),
        further_referral_ids: further.collect(),
        content_digest: submission.digest.to_string(),
        meaning: RECEIVED.to_owned(),
    }
}

fn kind_of(event: &Event) -> &'static str {
    match event {
        Event::Submitted(_) => "safeguarding.events.v1.Submitted",
        Event::Amended(_) => "safeguarding.events.v1.Amended",
        Event::Withdrawn(_) => "safeguarding.events.v1.Withdrawn",
        Event::Answered(_) => "safeguarding.events.v1.Answered",
        Event::Disagreed(_) => "safeguarding.events.v1.Disagreed",
        Event::ConsentWithdrawn(_) => "safeguarding.events.v1.ConsentWithdrawn",
    }
}

/// The message around an event. Its id follows from who says what about which referral, not from when: a
/// repeat is known by it.
fn message(from: &Endpoint, referral: ReferralId, received: Moment, event: Event, span: &Span) -> Message {
    let kind = kind_of(&event);
    let said = events::Event { event: Some(event.clone()) }.encode_to_vec();
    let digest = Digest::of(&[b"safeguarding.intake.v1", from.to_string().as_bytes(), referral.as_bytes(), &said]);
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    let id = uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string();
    let trace = telemetry::traceparent_of(span);
    let mut headers = vec![
        ("cloudEvents:specversion".to_owned(), "1.0".to_owned()),
        ("cloudEvents:id".to_owned(), id.clone()),
        ("cloudEvents:source".to_owned(), format!("urn:safeguarding:{from}")),
        ("cloudEvents:type".to_owned(), kind.to_owned()),
    ];
    headers.extend(trace.iter().map(|trace| ("traceparent".to_owned(), trace.clone())));
    let body = write::intake(from, referral, received, trace.as_deref().unwrap_or_default(), event);
    Message {
        id,
        kind: INTAKE_TYPE.to_owned(),
        content_type: CONTENT_TYPE.to_owned(),
        headers,
        timestamp: Some(received),
        body: Bytes::from(body),
    }
}

/// The schools' door.
pub struct SchoolDoor(pub Doors);

#[tonic::async_trait]
impl SchoolService for SchoolDoor {
    async fn refer(&self, request: Request<school_v1::ReferRequest>) -> Result<Response<school_v1::ReferResponse>, Status> {
        let form = |asked: school_v1::ReferRequest| (asked.idempotency_key, school::referral(asked.form.unwrap_or_default()));
        let response = |receipt| school_v1::ReferResponse { receipt };
        self.0.form("Refer", Door::School, request, form, response).await
    }

    async fn raise_concern(
        &self,
        request: Request<school_v1::RaiseConcernRequest>,
    ) -> Result<Response<school_v1::RaiseConcernResponse>, Status> {
        let form =
            |asked: school_v1::RaiseConcernRequest| (asked.idempotency_key, school::concern(asked.form.unwrap_or_default()));
        let response = |receipt| school_v1::RaiseConcernResponse { receipt };
        self.0.form("RaiseConcern", Door::School, request, form, response).await
    }

    async fn report_low_level_concern(
        &self,
        request: Request<school_v1::ReportLowLevelConcernRequest>,
    ) -> Result<Response<school_v1::ReportLowLevelConcernResponse>, Status> {
        let form = |asked: school_v1::ReportLowLevelConcernRequest| {
            (asked.idempotency_key, school::low_level_concern(asked.form.unwrap_or_default()))
        };
        let response = |receipt| school_v1::ReportLowLevelConcernResponse { receipt };
        self.0.form("ReportLowLevelConcern", Door::School, request, form, response).await
    }

    async fn report_allegation(
        &self,
        request: Request<school_v1::ReportAllegationRequest>,
    ) -> Result<Response<school_v1::ReportAllegationResponse>, Status> {
        let form = |asked: school_v1::ReportAllegationRequest| {
            (asked.idempotency_key, school::allegation(asked.form.unwrap_or_default()))
        };
        let response = |receipt| school_v1::ReportAllegationResponse { receipt };
        self.0.form("ReportAllegation", Door::School, request, form, response).await
    }

    async fn transfer_child_protection_file(
        &self,
        request: Request<school_v1::TransferChildProtectionFileRequest>,
    ) -> Result<Response<school_v1::TransferChildProtectionFileResponse>, Status> {
        let form = |asked: school_v1::TransferChildProtectionFileRequest| {
            (asked.idempotency_key, school::file_transfer(asked.form.unwrap_or_default()))
        };
        let response = |receipt| school_v1::TransferChildProtectionFileResponse { receipt };
        self.0.form("TransferChildProtectionFile", Door::School, request, form, response).await
    }
}

/// The door of health.
pub struct HealthDoor(pub Doors);

#[tonic::async_trait]
impl HealthService for HealthDoor {
    async fn refer(&self, request: Request<health_v1::ReferRequest>) -> Result<Response<health_v1::ReferResponse>, Status> {
        let form = |asked: health_v1::ReferRequest| (asked.idempotency_key, health::referral(asked.form.unwrap_or_default()));
        let response = |receipt| health_v1::ReferResponse { receipt };
        self.0.form("Refer", Door::Health, request, form, response).await
    }

    async fn report_fgm(
        &self,
        request: Request<health_v1::ReportFgmRequest>,
    ) -> Result<Response<health_v1::ReportFgmResponse>, Status> {
        let form = |asked: health_v1::ReportFgmRequest| (asked.idempotency_key, health::fgm(asked.form.unwrap_or_default()));
        let response = |receipt| health_v1::ReportFgmResponse { receipt };
        self.0.form("ReportFgm", Door::Health, request, form, response).await
    }

    async fn notify_unscheduled_attendance(
        &self,
        request: Request<health_v1::NotifyUnscheduledAttendanceRequest>,
    ) -> Result<Response<health_v1::NotifyUnscheduledAttendanceResponse>, Status> {
        let form = |asked: health_v1::NotifyUnscheduledAttendanceRequest| {
            (asked.idempotency_key, health::unscheduled_attendance(asked.form.unwrap_or_default()))
        };
        let response = |receipt| health_v1::NotifyUnscheduledAttendanceResponse { receipt };
        self.0.form("NotifyUnscheduledAttendance", Door::Health, request, form, response).await
    }

    async fn submit_fhir_message(
        &self,
        request: Request<health_v1::SubmitFhirMessageRequest>,
    ) -> Result<Response<health_v1::SubmitFhirMessageResponse>, Status> {
        let work = |doors: Doors, sender, request: health_v1::SubmitFhirMessageRequest| async move {
            // Whoever names no form of FHIR is told so in the one that every library reads.
            let format = fhir::format_of(&request.media_type);
            let answer_in = format.as_ref().map_or(fhir::Format::Json, |format| *format);
            let read = format
                .map_err(|issue| vec![issue])
                .and_then(|format| fhir::translate(format, &request.body, &sender, doors.clock.now()));
            let received = match read {
                Ok(translated) => match doors.submit_form(&sender, request.idempotency_key, translated).await {
                    Err(Refusal::Invalid(invalid)) => Err(fhir::issues_of(&invalid)),
                    other => Ok(other?),
                },
                Err(issues) => Err(issues),
            };
            let (receipt, outcome) = match received {
                Ok(receipt) => {
                    let outcome = fhir::accepted(answer_in, &receipt.meaning);
                    (Some(receipt), outcome)
                }
                Err(issues) => {
                    let speaks_for_another = issues.iter().any(|issue| issue.wrong == fhir::Wrong::Forbidden);
                    let refusal =
                        if speaks_for_another { Refusal::SpeaksForAnother } else { Refusal::Invalid(read::Invalid(Vec::new())) };
                    doors.meters.turned_back("SubmitFhirMessage", refusal.reason());
                    (None, fhir::refused(answer_in, &issues))
                }
            };
            let media_type = answer_in.media_type().to_owned();
            Ok(health_v1::SubmitFhirMessageResponse { receipt, outcome: outcome.into_bytes(), media_type })
        };
        self.0.answer("SubmitFhirMessage", Door::Health, request, work).await
    }

    async fn get_fhir_feedback(
        &self,
        request: Request<health_v1::GetFhirFeedbackRequest>,
    ) -> Result<Response<health_v1::GetFhirFeedbackResponse>, Status> {
        let work = |doors: Doors, sender, request: health_v1::GetFhirFeedbackRequest| async move {
            let faults = fhir::faults_of_feedback(&request);
            if !faults.is_empty() {
                return Err(Refusal::Invalid(read::Invalid(faults)));
            }
            let format = fhir::format_of(&request.media_type).unwrap_or(fhir::Format::Json);
            let referral = ReferralId::parse(&request.referral_id).map_err(|_| Refusal::NoSuchReferral)?;
            let status = doors.broker.get(&sender, referral).await?;
            let fhir::Feedback { request_id, body } = fhir::feedback(format, &request.message_id, &status, doors.clock.now());
            Ok(health_v1::GetFhirFeedbackResponse {
                request_id,
                correlation_id: request.correlation_id,
                body: body.into_bytes(),
                media_type: format.media_type().to_owned(),
            })
        };
        self.0.answer("GetFhirFeedback", Door::Health, request, work).await
    }
}

/// The door of the police.
pub struct PoliceDoor(pub Doors);

#[tonic::async_trait]
impl PoliceService for PoliceDoor {
    async fn send_public_protection_notice(
        &self,
        request: Request<police_v1::SendPublicProtectionNoticeRequest>,
    ) -> Result<Response<police_v1::SendPublicProtectionNoticeResponse>, Status> {
        let form = |asked: police_v1::SendPublicProtectionNoticeRequest| {
            (asked.idempotency_key, police::notice(asked.form.unwrap_or_default()))
        };
        let response = |receipt| police_v1::SendPublicProtectionNoticeResponse { receipt };
        self.0.form("SendPublicProtectionNotice", Door::Police, request, form, response).await
    }

    async fn report_police_protection(
        &self,
        request: Request<police_v1::ReportPoliceProtectionRequest>,
    ) -> Result<Response<police_v1::ReportPoliceProtectionResponse>, Status> {
        let form = |asked: police_v1::ReportPoliceProtectionRequest| {
            (asked.idempotency_key, police::police_protection(asked.form.unwrap_or_default()))
        };
        let response = |receipt| police_v1::ReportPoliceProtectionResponse { receipt };
        self.0.form("ReportPoliceProtection", Door::Police, request, form, response).await
    }

    async fn report_missing_child(
        &self,
        request: Request<police_v1::ReportMissingChildRequest>,
    ) -> Result<Response<police_v1::ReportMissingChildResponse>, Status> {
        let form = |asked: police_v1::ReportMissingChildRequest| {
            (asked.idempotency_key, police::missing_child(asked.form.unwrap_or_default()))
        };
        let response = |receipt| police_v1::ReportMissingChildResponse { receipt };
        self.0.form("ReportMissingChild", Door::Police, request, form, response).await
    }

    async fn report_missing_child_return(
        &self,
        request: Request<police_v1::ReportMissingChildReturnRequest>,
    ) -> Result<Response<police_v1::ReportMissingChildReturnResponse>, Status> {
        let form = |asked: police_v1::ReportMissingChildReturnRequest| {
            (asked.idempotency_key, police::missing_child_return(asked.form.unwrap_or_default()))
        };
        let response = |receipt| police_v1::ReportMissingChildReturnResponse { receipt };
        self.0.form("ReportMissingChildReturn", Door::Police, request, form, response).await
    }

    async fn notify_operation_encompass(
        &self,
        request: Request<police_v1::NotifyOperationEncompassRequest>,
    ) -> Result<Response<police_v1::NotifyOperationEncompassResponse>, Status> {
        let form = |asked: police_v1::NotifyOperationEncompassRequest| {
            (asked.idempotency_key, police::operation_encompass(asked.form.unwrap_or_default()))
        };
        let response = |receipt| police_v1::NotifyOperationEncompassResponse { receipt };
        self.0.form("NotifyOperationEncompass", Door::Police, request, form, response).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use referral::IdempotencyKey;

    fn sent(key: &str, purpose: &str, at: &str) -> Message {
        let from = Endpoint::parse("school.999001").unwrap();
        let content = common::Submission { purpose: purpose.to_owned(), ..common::Submission::default() };
        let referral = ReferralId::of(&from, IdempotencyKey::parse(key).unwrap());
        let event = Event::Submitted(events::Submitted { idempotency_key: key.to_owned(), content: Some(content) });
        message(&from, referral, at.parse().unwrap(), event, &Span::none())
    }

    const KEY: &str = "6f1c0c1e-58a4-4f5a-9b3b-1f4f0e6a7d11";
    const OTHER_KEY: &str = "6f1c0c1e-58a4-4f5a-9b3b-1f4f0e6a7d12";

    #[test]
    fn a_message_sent_twice_has_one_id_and_another_message_another() {
        let first = sent(KEY, "as it was", "2026-11-23T10:00:00Z");
        assert_eq!(first.id, sent(KEY, "as it was", "2026-11-23T11:00:00Z").id);
        assert_ne!(first.id, sent(KEY, "changed", "2026-11-23T10:00:00Z").id);
        assert_ne!(first.id, sent(OTHER_KEY, "as it was", "2026-11-23T10:00:00Z").id);
    }

    #[test]
    fn the_outside_of_a_message_tells_nothing_of_what_is_inside() {
        let Message { id, kind, content_type, headers, timestamp: _, body } = sent(KEY, "Zebedee Canary", "2026-11-23T10:00:00Z");
        let outside = format!("{id} {kind} {content_type} {headers:?}");
        assert!(!outside.contains("Canary") && !outside.contains(KEY), "{outside}");
        assert!(body.windows(6).any(|bytes| bytes == b"Canary"));
    }
}
