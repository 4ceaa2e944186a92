//! FHIR messages of a health body's system, and the feedback that answers them. What is printed is what FHIR says, an
//! OperationOutcome or the feedback message; below an outcome, if there is one, the receipt.

use std::path::Path;
use std::sync::Mutex;

use adapters::console::{Stopped, say};
use proto::wire::health::v1::health_service_client::HealthServiceClient;
use proto::wire::health::v1::{GetFhirFeedbackRequest, SubmitFhirMessageRequest};
use referral::Digest;
use tonic::Status;

use crate::{Key, Sender, text_of};

const JSON: &str = "application/fhir+json";
const XML: &str = "application/fhir+xml";

impl Sender {
    /// Sends the message in the file at `path`: the same file is the same referral. The outcome is printed whether it was
    /// received or not.
    pub async fn fhir(&self, path: &Path, key: Key) -> Result<(), Stopped> {
        let body = text_of(path)?;
        let media_type = if body.trim_start().starts_with('<') { XML } else { JSON };
        let what = Digest::of(&[b"fhir", body.as_bytes()]);
        let said = Mutex::new(String::new());
        let send = |idempotency_key| {
            let (body, media_type) = (body.clone().into_bytes(), media_type.to_owned());
            let request = self.client.ask(SubmitFhirMessageRequest { idempotency_key, body, media_type });
            let (mut service, said) = (HealthServiceClient::new(self.client.channel()), &said);
            async move {
                let answer = service.submit_fhir_message(request).await?.into_inner();
                if let Ok(mut said) = said.lock() {
                    *said = String::from_utf8_lossy(&answer.outcome).into_owned();
                }
                answer.receipt.ok_or_else(|| Status::invalid_argument("the message was not received: the outcome says why"))
            }
        };
        let sent = self.client.send(&what, key.asked(false), send).await;
        let outcome = said.into_inner().unwrap_or_default();
        if !outcome.is_empty() {
            say(&outcome)?;
        }
        let receipt = sent?;
        say(&format!("referral {}", receipt.referral_id))?;
        self.say_receipt(&receipt)
    }

    /// Prints the feedback message of a referral.
    pub async fn fhir_feedback(
        &self,
        referral_id: String,
        message_id: String,
        correlation_id: Option<String>,
        xml: bool,
    ) -> Result<(), Stopped> {
        let correlation_id = correlation_id.unwrap_or_else(|| referral_id.clone());
        let media_type = if xml { XML } else { JSON }.to_owned();
        let request = GetFhirFeedbackRequest { referral_id, message_id, correlation_id, media_type };
        let call = || {
            let (mut service, request) = (HealthServiceClient::new(self.client.channel()), self.client.ask(request.clone()));
            async move { service.get_fhir_feedback(request).await }
        };
        say(&String::from_utf8_lossy(&self.client.call(call).await?.into_inner().body))
    }
}
