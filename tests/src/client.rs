//! Schools and front doors as tests play them: over the wire, with their own certificates.

use std::time::Duration;

use prost::Message as _;
use proto::wire::childrens_services::v1::front_door_service_client::FrontDoorServiceClient;
use proto::wire::childrens_services::v1::{AcknowledgeRequest, Answer, CollectRequest, DecideRequest};
use proto::wire::common::v1 as common;
use proto::wire::delivery::v1 as delivery;
use proto::wire::referral::v1 as referral;
use proto::wire::referral::v1::referral_service_client::ReferralServiceClient;
use sha2::{Digest as _, Sha256};
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use transport::amqp::{Consumer, Meters, Subscription};

use crate::stack::Stack;
use crate::wait::PATIENCE;

/// A channel to the gateway as `party`.
pub async fn channel(stack: &Stack, party: &str) -> Channel {
    let identity = stack.identity(party);
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(identity.ca_pem()))
        .identity(Identity::from_pem(identity.certificate_pem(), identity.key_pem()))
        .domain_name("localhost");
    let endpoint = Endpoint::from_shared(stack.gateway()).expect("the gateway's address").tls_config(tls).expect("TLS");
    endpoint.connect_lazy()
}

/// A school, or any other sender.
#[derive(Clone)]
pub struct Sender {
    /// The service every sender uses.
    pub referrals: ReferralServiceClient<Channel>,
}

/// A referral at significant harm in Leeds, about `family`, with `worry` in its narrative. Synthetic.
pub fn content(family: &str, worry: &str) -> common::Submission {
    let text = |category: common::Category, text: &str, summary: &str| common::InformationItem {
        category: category as i32,
        subject: common::Subject::Child as i32,
        knowledge: common::Knowledge::Direct as i32,
        summary: summary.to_owned(),
        body: Some(common::information_item::Body::Text(text.to_owned())),
        ..common::InformationItem::default()
    };
    common::Submission {
        kind: common::EventKind::Referral as i32,
        level: common::Level::SignificantHarm as i32,
        harm: common::HarmType::Neglect as i32,
        harm_place: common::HarmPlace::Home as i32,
        child: Some(common::Child {
            identity: Some(common::Identity {
                given_name: "Robin".to_owned(),
                family_name: family.to_owned(),
                age: Some(common::identity::Age::DateOfBirth("2015-02-03".to_owned())),
                ..common::Identity::default()
            }),
            address: Some(common::Address { lines: "1 Test Street".to_owned(), ..common::Address::default() }),
            places: Some(common::Places {
                home: "E08000035".to_owned(),
                located: "E08000035".to_owned(),
                ..common::Places::default()
            }),
            circumstances: None,
        }),
        agreement: common::Agreement::NotSoughtWithReason as i32,
        duty_decision: common::DutyDecision::NotRecorded as i32,
        referrer: Some(person("Dora Lead")),
        items: vec![
            text(common::Category::ConcernNarrative, worry, ""),
            text(common::Category::ChildHealth, "Asthma, inhaler at school.", "Has asthma."),
        ],
        ..common::Submission::default()
    }
}

/// A named person at work.
pub fn person(name: &str) -> common::Practitioner {
    common::Practitioner { name: name.to_owned(), role: "Practitioner".to_owned(), contact: String::new() }
}

/// A fresh idempotency key.
pub fn key() -> String {
    uuid::Uuid::new_v4().to_string()
}

impl Sender {
    /// `party`, connected to the stack's gateway.
    pub async fn of(stack: &Stack, party: &str) -> Sender {
        Sender { referrals: ReferralServiceClient::new(channel(stack, party).await) }
    }

    /// Submits.
    pub async fn submit(&mut self, key: &str, content: common::Submission) -> Result<referral::Receipt, Status> {
        let request = referral::SubmitRequest { idempotency_key: key.to_owned(), content: Some(content), sender: String::new() };
        Ok(self.referrals.submit(request).await?.into_inner().receipt.expect("a receipt"))
    }

    /// How a referral stands.
    pub async fn get(&mut self, referral_id: &str) -> Result<common::ReferralStatus, Status> {
        let request = referral::GetRequest { referral_id: referral_id.to_owned() };
        Ok(self.referrals.get(request).await?.into_inner().status.expect("a status"))
    }
}

/// A council's front door, or any other recipient: reads its own queue, answers over gRPC.
pub struct FrontDoor {
    consumer: Consumer,
    answers: FrontDoorServiceClient<Channel>,
}

/// One delivery as it came.
pub struct Received {
    /// What it says.
    pub delivery: delivery::Delivery,
    /// SHA-256 of the delivery inside the envelope: what an answer names.
    pub digest: Vec<u8>,
    /// The AMQP message.
    pub message: transport::amqp::Message,
}

impl Received {
    /// The categories of the items it holds.
    pub fn categories(&self) -> Vec<common::Category> {
        self.delivery.items.iter().map(|item| item.category()).collect()
    }

    /// An answer to it by a named person.
    pub fn answer(&self, by: &str) -> Answer {
        Answer { delivery_id: self.delivery.delivery_id.clone(), digest: self.digest.clone(), by: Some(person(by)) }
    }
}

/// Reads an envelope off a queue.
pub fn read(message: transport::amqp::Message) -> Received {
    let envelope = delivery::DeliveryEnvelope::decode(message.body.clone()).expect("an envelope");
    let Some(delivery::delivery_envelope::Body::Plain(plain)) = envelope.body else { panic!("a plain body") };
    let delivery = delivery::Delivery::decode(plain.as_slice()).expect("a delivery");
    Received { delivery, digest: Sha256::digest(&plain).to_vec(), message }
}

impl FrontDoor {
    /// `party`, connected to its queue and to the gateway.
    pub async fn of(stack: &Stack, party: &str) -> FrontDoor {
        let subscription =
            Subscription { queues: vec![format!("delivery.{party}")], prefetch: 64, name: format!("test {party}") };
        let consumer = Consumer::subscribe(stack.nodes(party), subscription, Meters::unread());
        FrontDoor { consumer, answers: FrontDoorServiceClient::new(channel(stack, party).await) }
    }

    /// What comes next, up to `max`; settled once it is in our hands.
    pub async fn receive(&mut self, max: usize) -> Vec<Received> {
        self.receive_for(max, PATIENCE).await
    }

    /// The same, waiting so long.
    pub async fn receive_for(&mut self, max: usize, patience: Duration) -> Vec<Received> {
        let batch = tokio::time::timeout(patience, self.consumer.next(max)).await.expect("a delivery within the deadline");
        let tokens: Vec<_> = batch.iter().map(|delivered| delivered.token).collect();
        self.consumer.settle(&tokens).await;
        batch.into_iter().map(|delivered| read(delivered.message)).collect()
    }

    /// The next one.
    pub async fn next(&mut self) -> Received {
        self.receive(1).await.remove(0)
    }

    /// A named person has it.
    pub async fn acknowledge(&mut self, answer: Answer) -> Result<String, Status> {
        Ok(self.answers.acknowledge(AcknowledgeRequest { answer: Some(answer) }).await?.into_inner().referral_id)
    }

    /// The same, going on in the trace that the delivery came with.
    pub async fn acknowledge_in_its_trace(&mut self, received: &Received, by: &str) -> Result<String, Status> {
        let mut request = tonic::Request::new(AcknowledgeRequest { answer: Some(received.answer(by)) });
        let traceparent = received.message.header("traceparent").expect("the delivery's trace");
        request.metadata_mut().insert("traceparent", traceparent.parse().expect("a header"));
        Ok(self.answers.acknowledge(request).await?.into_inner().referral_id)
    }

    /// The system took it.
    pub async fn collect(&mut self, answer: Answer) -> Result<String, Status> {
        Ok(self.answers.collect(CollectRequest { answer: Some(answer) }).await?.into_inner().referral_id)
    }

    /// The authority decided.
    pub async fn decide(&mut self, answer: Answer, outcome: common::Outcome, reason: &str) -> Result<String, Status> {
        let request = DecideRequest { answer: Some(answer), outcome: outcome as i32, reason: reason.to_owned() };
        Ok(self.answers.decide(request).await?.into_inner().referral_id)
    }
}
