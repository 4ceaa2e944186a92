//! For an agency's own system: sends once, however often the line breaks, and hears what became of it.
//!
//! Keys are on the disk before anything is sent, so that an interrupted send is the same send again. Nothing is
//! asked twice unless the answer invites it or the line broke, never sooner than asked for, and not in step with
//! others. A watch goes on where it was cut off. No content is kept, logged or repeated in an error.
//!
//! ```no_run
//! # async fn example(content: proto::wire::common::v1::Submission) -> Result<(), Box<dyn std::error::Error>> {
//! use safeguarding_client::{CALL_PATIENCE, Client, Credentials, Key, channel};
//!
//! let (ca, certificate, key) = (std::fs::read("ca.pem")?, std::fs::read("us.pem")?, std::fs::read("us.key")?);
//! let credentials = Credentials { ca_pem: &ca, certificate_pem: &certificate, key_pem: &key };
//! let channel = channel("https://gateway.example:7643", "gateway.example", credentials, CALL_PATIENCE)?;
//! let client = Client::new(channel, referral::Endpoint::parse("nhs.ZZ304")?, "sent".into());
//! let receipt = client.submit(&content, Key::Kept).await?;
//! let mut watch = client.watch(&receipt.referral_id, 0);
//! while let Ok(entry) = watch.next().await {
//!     println!("{} {}", entry.position, entry.referral_id);
//! }
//! # Ok(()) }
//! ```

mod channel;
pub mod outbox;
mod patience;
mod watch;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use prost::Message as _;
use proto::wire::common::v1::{EventKind, Submission};
use proto::wire::referral::v1::referral_service_client::ReferralServiceClient;
use proto::wire::referral::v1::{
    AmendRequest, CorrectRequest, DisagreeRequest, DisagreeResponse, Receipt, SubmitRequest, WithdrawConsentRequest,
    WithdrawConsentResponse, WithdrawRequest, WithdrawResponse,
};
use referral::{Digest, Endpoint, IdempotencyKey};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status};

pub use channel::{BadAddress, CALL_PATIENCE, Credentials, channel};
pub use patience::{Told, causes, chance, is_distrust, patiently, pause};
pub use watch::Watch;

use outbox::{Entry, Outbox, key_in_file};

/// How long something is tried before the caller hears that it could not be had.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// It was refused, and asking again would not help.
    #[error("refused: {0}")]
    Refused(#[source] Box<Status>),
    /// Nobody took it in time. Under the same key it can be sent again.
    #[error("not received after {} s: {status}", tried.as_secs())]
    GaveUp {
        /// The last answer.
        #[source]
        status: Box<Status>,
        /// For how long it was tried.
        tried: Duration,
    },
    /// The key could not be kept, so nothing was sent.
    #[error("the key cannot be kept in {}, so nothing was sent: {fault}", place.display())]
    KeyNotKept {
        /// Where it should have been kept.
        place: PathBuf,
        /// Why it is not.
        #[source]
        fault: io::Error,
    },
}

impl From<Status> for Failed {
    fn from(status: Status) -> Failed {
        Failed::Refused(Box::new(status))
    }
}

/// Under which key something is sent.
#[derive(Clone, Debug)]
pub enum Key {
    /// The one under which the same content was sent before or cut off; a new one for other content.
    Kept,
    /// A new one, unless a send of the same content was cut off: that is the same send again.
    Anew,
    /// This one. The same key with other content is an amendment, flagged.
    This(IdempotencyKey),
    /// The one in this file, which is made if it is not there.
    InFile(PathBuf),
}

/// A party's way to the broker.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    party: Endpoint,
    folder: PathBuf,
    trace: Option<String>,
    told: Told,
}

impl Client {
    /// The client of `party`, whose certificate `channel` was made with; it keeps its keys in `folder`.
    pub fn new(channel: Channel, party: Endpoint, folder: PathBuf) -> Client {
        Client { channel, party, folder, trace: None, told: |_, _| () }
    }

    /// All that it asks from here on is a part of the trace `traceparent` (W3C Trace Context).
    pub fn in_trace(self, traceparent: String) -> Client {
        Client { trace: Some(traceparent), ..self }
    }

    /// `told` hears of every answer that is not the last one, and how long it now waits.
    pub fn telling(self, told: Told) -> Client {
        Client { told, ..self }
    }

    /// The channel, for an agency's own service.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The service that every sender has.
    pub fn referrals(&self) -> ReferralServiceClient<Channel> {
        ReferralServiceClient::new(self.channel())
    }

    /// `asked` as a part of the trace.
    pub fn ask<Q>(&self, asked: Q) -> Request<Q> {
        traced(asked, self.trace.as_deref())
    }

    /// Calls as often as it takes. Whatever is called carries its own key, or changes nothing.
    pub async fn call<A, W>(&self, call: impl Fn() -> W) -> Result<A, Failed>
    where
        W: Future<Output = Result<A, Status>>,
    {
        patiently(PATIENCE, self.told, call).await
    }

    /// Sends content in the contract's words.
    pub async fn submit(&self, content: &Submission, key: Key) -> Result<Receipt, Failed> {
        let what = Digest::of(&[b"submission", &content.encode_to_vec()]);
        let send = |idempotency_key| {
            let request = SubmitRequest { idempotency_key, content: Some(content.clone()), sender: String::new() };
            let (mut service, request) = (self.referrals(), self.ask(request));
            async move { service.submit(request).await?.into_inner().receipt.ok_or_else(no_receipt) }
        };
        self.send(&what, key, send).await
    }

    /// Sends a changed version of a referral: the whole as it now stands.
    pub async fn amend(&self, referral: &str, content: &Submission, key: Key) -> Result<Receipt, Failed> {
        let what = Digest::of(&[b"amend", referral.as_bytes(), &content.encode_to_vec()]);
        // Changed, and changed back, is two changes: only one that was cut off is the same again.
        let key = if matches!(key, Key::Kept) { Key::Anew } else { key };
        let send = |idempotency_key| {
            let (referral_id, content, sender) = (referral.to_owned(), Some(content.clone()), String::new());
            let request = AmendRequest { referral_id, idempotency_key, content, sender };
            let (mut service, request) = (self.referrals(), self.ask(request));
            async move { service.amend(request).await?.into_inner().receipt.ok_or_else(no_receipt) }
        };
        self.send(&what, key, send).await
    }

    /// Sends a correction of a referral: the whole as it should have been (RK-02). Its kind is a correction's, whatever it
    /// says.
    pub async fn correct(&self, referral: &str, content: &Submission, key: Key) -> Result<Receipt, Failed> {
        let content = Submission { kind: EventKind::Correction as i32, ..content.clone() };
        let what = Digest::of(&[b"correct", referral.as_bytes(), &content.encode_to_vec()]);
        // As with a change: only one that was cut off is the same again.
        let key = if matches!(key, Key::Kept) { Key::Anew } else { key };
        let send = |idempotency_key| {
            let (referral_id, content, sender) = (referral.to_owned(), Some(content.clone()), String::new());
            let request = CorrectRequest { referral_id, idempotency_key, content, sender };
            let (mut service, request) = (self.referrals(), self.ask(request));
            async move { service.correct(request).await?.into_inner().receipt.ok_or_else(no_receipt) }
        };
        self.send(&what, key, send).await
    }

    /// Says that agreement to a referral was withdrawn (TC-11). Said again, it is the same.
    pub async fn withdraw_consent(&self, request: WithdrawConsentRequest) -> Result<WithdrawConsentResponse, Failed> {
        let call = || {
            let (mut service, request) = (self.referrals(), self.ask(request.clone()));
            async move { Ok(service.withdraw_consent(request).await?.into_inner()) }
        };
        self.call(call).await
    }

    /// Takes a referral back. Said again, it is the same.
    pub async fn withdraw(&self, request: WithdrawRequest) -> Result<WithdrawResponse, Failed> {
        let call = || {
            let (mut service, request) = (self.referrals(), self.ask(request.clone()));
            async move { Ok(service.withdraw(request).await?.into_inner()) }
        };
        self.call(call).await
    }

    /// Disagrees with what was decided, or with nothing having been decided (FB-03). After the answer, or when nobody
    /// answered in time, the next call takes the disagreement one stage higher.
    ///
    /// # Errors
    ///
    /// `DISAGREEMENT_OPEN` too where the line broke and the first try had been received.
    pub async fn disagree(&self, request: DisagreeRequest) -> Result<DisagreeResponse, Failed> {
        let call = || {
            let (mut service, request) = (self.referrals(), self.ask(request.clone()));
            async move { Ok(service.disagree(request).await?.into_inner()) }
        };
        self.call(call).await
    }

    /// Sends by `send` what has the digest `what`, as often as it takes and under one key, which is on the disk
    /// first; then keeps the receipt's referral beside it.
    pub async fn send<F>(&self, what: &Digest, key: Key, send: impl Fn(String) -> F) -> Result<Receipt, Failed>
    where
        F: Future<Output = Result<Receipt, Status>>,
    {
        let anew = match key {
            Key::Kept => false,
            Key::Anew => true,
            Key::This(key) => return self.call(|| send(key.to_string())).await,
            Key::InFile(place) => {
                let key = key_in_file(&place, new_key()).map_err(|fault| Failed::KeyNotKept { place, fault })?;
                return self.call(|| send(key.to_string())).await;
            }
        };
        let not_kept = |fault| Failed::KeyNotKept { place: self.folder.clone(), fault };
        let outbox = Outbox::open(&self.folder, &self.party).map_err(not_kept)?;
        // What was cut off is always the same send again.
        let again = outbox.entry(what).map_err(not_kept)?.filter(|entry| entry.referral_id.is_none() || !anew);
        let entry = again.unwrap_or_else(|| Entry { key: new_key(), referral_id: None });
        outbox.remember(what, &entry).map_err(not_kept)?;
        let receipt = self.call(|| send(entry.key.to_string())).await?;
        // If it cannot be kept it is received all the same; sent again, it would be the same referral.
        let _ = outbox.remember(what, &Entry { referral_id: Some(receipt.referral_id.clone()), ..entry });
        Ok(receipt)
    }

    /// What happens to a referral, or to all of the party's where `referral` is empty, after the position `after`.
    pub fn watch(&self, referral: &str, after: u64) -> Watch<'_> {
        Watch::new(self, referral.to_owned(), after)
    }
}

/// What a gateway that answers without a receipt has said: nothing.
pub fn no_receipt() -> Status {
    Status::data_loss("the gateway answered without a receipt: send it again under the same key")
}

fn new_key() -> IdempotencyKey {
    IdempotencyKey::from_bytes(*uuid::Uuid::new_v4().as_bytes())
}

/// The beginning of a trace, as W3C Trace Context writes it.
pub fn new_trace() -> String {
    let (trace, span) = (uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple().to_string());
    format!("00-{trace}-{}-01", span.get(..16).unwrap_or_default())
}

/// `asked` as a part of the trace `traceparent`, if there is one.
pub fn traced<Q>(asked: Q, traceparent: Option<&str>) -> Request<Q> {
    let mut request = Request::new(asked);
    if let Some(traceparent) = traceparent.and_then(|text| MetadataValue::try_from(text).ok()) {
        request.metadata_mut().insert("traceparent", traceparent);
    }
    request
}

#[cfg(test)]
mod tests;
