//! A front door without a system: read the council's own queue, show what came, and answer as a named person.
//!
//! A delivery is settled only after it was saved and printed: a crash before that shows it again, marked as
//! seen before. It writes to no queue; its answers go over gRPC.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use adapters::client;
use adapters::config::Party;
use adapters::console::{Failed, in_london, patiently, person, printable};
use adapters::desk::{self, Desk, Kept, PROOF_HEADER, Proof, Received};
use clap::{Parser, Subcommand};
use evidence::PublicKey;
use proto::json;
use proto::wire::childrens_services::v1::front_door_service_client::FrontDoorServiceClient;
use proto::wire::childrens_services::v1::{AcknowledgeRequest, Answer, CollectRequest, DecideRequest};
use proto::wire::common::v1 as common;
use referral::vocab::{Outcome, Vocabulary};
use referral::{DeliveryId, Endpoint};
use tokio::time::timeout;
use tonic::transport::Channel;
use transport::amqp::{Consumer, Delivered, Meters, Nodes, Subscription};

/// A front door's desk: reads the queue that its certificate may read, and answers as a named person.
///
/// What came is kept in a folder that only you can read, so that an answer names exactly what was received.
#[derive(Parser)]
#[command(
    name = "safeguarding-front-door",
    version,
    after_help = "Example:\n  \
    safeguarding-front-door --config la.E08000035.front-door.toml next\n  \
    safeguarding-front-door --config la.E08000035.front-door.toml acknowledge <delivery> --as \"Priya Shah, duty social worker\""
)]
struct Arguments {
    /// How to reach the gateway and RabbitMQ, and who you are (TOML).
    #[arg(long)]
    config: PathBuf,
    /// Where what came is kept. Default: what the configuration says, or a folder beside it.
    #[arg(long)]
    desk: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows the next delivery and takes it off the queue.
    Next {
        /// As JSON on one line instead of text.
        #[arg(long)]
        json: bool,
        /// How many seconds to wait for one.
        #[arg(long, default_value_t = 60)]
        wait: u64,
    },
    /// Shows each delivery as it comes, until it is stopped.
    Watch {
        /// As JSON, one line each, instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Lists what is on the desk.
    List,
    /// Shows a delivery again.
    Show {
        /// The delivery's id.
        delivery: String,
        /// As JSON on one line instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Says that a named person has it and is reading it.
    Acknowledge {
        /// The delivery's id.
        delivery: String,
        /// Who: "Name, role".
        #[arg(long = "as", value_parser = person)]
        by: common::Practitioner,
    },
    /// Records what was decided, and why.
    Decide {
        /// The delivery's id.
        delivery: String,
        /// Who: "Name, role".
        #[arg(long = "as", value_parser = person)]
        by: common::Practitioner,
        /// What was decided: nfa, information_advice, early_help, s17_assessment, strategy_discussion_s47,
        /// emergency_action, already_open, transfer_out_of_area, adult_services, lado, private_fostering or
        /// returned_more_information.
        #[arg(long, value_parser = outcome)]
        outcome: Outcome,
        /// Why, written for the referrer.
        #[arg(long)]
        reason: String,
    },
}

fn outcome(text: &str) -> Result<Outcome, String> {
    let all: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
    Outcome::read(text).ok_or_else(|| format!("it is one of {}", all.join(", ")))
}

/// How long an answer is tried.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the gateway may take for one.
const CALL_PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> ExitCode {
    transport::tls::install_crypto();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("safeguarding-front-door: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let party = Party::read(&arguments.config)?;
    let identity = party.tls.identity()?;
    let us = Endpoint::parse(identity.common_name()).map_err(|why| Failed(format!("the certificate's name {why}")))?;
    let folder = arguments.desk.or_else(|| party.desk.state.clone()).unwrap_or_else(|| arguments.config.with_extension("desk"));
    let desk = Desk::open(&folder, &us)?;
    let channel = client::channel(&party.gateway.address, &party.gateway.server_name, &identity, CALL_PATIENCE)?;
    let answers = FrontDoorServiceClient::new(channel);
    match arguments.command {
        Command::Next { json, wait } => {
            let mut reading = Reading::start(party.nodes(identity)?, us, desk, party.ledger_key()?, answers);
            let came = timeout(Duration::from_secs(wait), reading.next(json)).await;
            came.map_err(|_| Failed(format!("nothing came within {wait} s")))??;
            reading.queue.close().await;
        }
        Command::Watch { json } => {
            let mut reading = Reading::start(party.nodes(identity)?, us, desk, party.ledger_key()?, answers);
            loop {
                reading.next(json).await?;
            }
        }
        Command::List => {
            for received in desk.all()? {
                println!("{}", line(&received));
            }
        }
        Command::Show { delivery, json } => show(&find(&desk, &delivery)?, Kept::Again, None, json)?,
        Command::Acknowledge { delivery, by } => {
            let answer = answer(&find(&desk, &delivery)?, by.clone());
            let call = || {
                let (mut answers, answer) = (answers.clone(), answer.clone());
                async move { answers.acknowledge(AcknowledgeRequest { answer: Some(answer) }).await }
            };
            let referral = patiently(PATIENCE, call).await?.into_inner().referral_id;
            println!("acknowledged by {}: referral {referral}", printable(&by.name));
        }
        Command::Decide { delivery, by, outcome, reason } => {
            let answer = answer(&find(&desk, &delivery)?, by.clone());
            let call = || {
                let request = DecideRequest {
                    answer: Some(answer.clone()),
                    outcome: proto::words::Word::number(outcome),
                    reason: reason.clone(),
                };
                let mut answers = answers.clone();
                async move { answers.decide(request).await }
            };
            let referral = patiently(PATIENCE, call).await?.into_inner().referral_id;
            println!("decided by {}: {}: referral {referral}", printable(&by.name), outcome.words());
        }
    }
    Ok(())
}

fn find(desk: &Desk, delivery: &str) -> Result<Received, Failed> {
    let id = DeliveryId::parse(delivery).map_err(|why| Failed(format!("{delivery:?} {why}")))?;
    let found = desk.find(id).map_err(|fault| Failed(format!("delivery {id} cannot be read from the desk: {fault}")))?;
    found.ok_or_else(|| Failed(format!("delivery {id} is not on this desk. `list` shows what is; `next` reads the queue")))
}

fn answer(received: &Received, by: common::Practitioner) -> Answer {
    Answer { delivery_id: received.id.to_string(), digest: received.digest().as_bytes().to_vec(), by: Some(by) }
}

/// Reads the queue.
struct Reading {
    us: Endpoint,
    desk: Desk,
    key: Option<PublicKey>,
    queue: Consumer,
    answers: FrontDoorServiceClient<Channel>,
}

impl Reading {
    fn start(
        nodes: Nodes,
        us: Endpoint,
        desk: Desk,
        key: Option<PublicKey>,
        answers: FrontDoorServiceClient<Channel>,
    ) -> Reading {
        // One at a time: what this program does not show, another at the same front door may.
        let subscription = Subscription { queues: vec![format!("delivery.{us}")], prefetch: 1, name: "front-door".to_owned() };
        Reading { us, desk, key, queue: Consumer::subscribe(nodes, subscription, Meters::unread()), answers }
    }

    /// Waits for the next delivery, keeps it, shows it, and only then takes it off the queue.
    async fn next(&mut self, json: bool) -> Result<(), Failed> {
        loop {
            let Some(came) = self.queue.next(1).await.into_iter().next() else { continue };
            let Delivered { message, token, .. } = came;
            let read = desk::read(&message.body, message.header(PROOF_HEADER), &self.us, self.key.as_ref());
            let (received, proof) = match read {
                Ok(read) => read,
                Err(why) => {
                    // Into quarantine, where an operator sees it; those behind it go on (P10).
                    eprintln!("a message was not put on the desk: {why}. It goes to quarantine; tell whoever runs the broker");
                    self.queue.reject(token).await;
                    continue;
                }
            };
            let kept = self
                .desk
                .keep(&received)
                .map_err(|fault| Failed(format!("it cannot be kept, so it stays on the queue: {fault}")))?;
            show(&received, kept, Some(proof), json)
                .map_err(|fault| Failed(format!("it cannot be shown, so it stays on the queue: {fault}")))?;
            self.queue.settle(&[token]).await;
            self.say_collected(&received).await;
            return Ok(());
        }
    }

    /// The sender may see that it was taken. Not an acknowledgement, and not worth holding anybody up.
    async fn say_collected(&self, received: &Received) {
        let name = common::Practitioner {
            name: "safeguarding-front-door".to_owned(),
            role: "program".to_owned(),
            contact: String::new(),
        };
        let answer = answer(received, name);
        let call = || {
            let (mut answers, answer) = (self.answers.clone(), answer.clone());
            async move { answers.collect(CollectRequest { answer: Some(answer) }).await }
        };
        if let Err(why) = patiently(Duration::from_secs(10), call).await {
            eprintln!("the sender could not be told that it was collected: {why}");
        }
    }
}

fn show(received: &Received, kept: Kept, proof: Option<Proof>, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let delivery = json::write(&received.delivery).map_err(io::Error::other)?;
        let delivery: serde_json::Value = serde_json::from_str(&delivery)?;
        let seen = kept == Kept::Again;
        let index = match proof {
            Some(Proof::Holds { index }) => Some(index),
            Some(Proof::NotChecked) | None => None,
        };
        let told = serde_json::json!({ "digest": received.digest().to_string(), "seenBefore": seen, "recordedAt": index, "delivery": delivery });
        writeln!(out, "{told}")?;
    } else {
        writeln!(out, "Delivery {}{}", received.id, if kept == Kept::Again { " (seen before)" } else { "" })?;
        if let Some(Proof::Holds { index }) = proof {
            writeln!(out, "Recorded before it was sent: entry {index} of the ledger's log, checked")?;
        }
        writeln!(out, "\n{}", printable(&received.delivery.rendering).trim_end())?;
    }
    out.flush()
}

fn line(received: &Received) -> String {
    let matter = received.delivery.matter().as_str_name().trim_start_matches("MATTER_").to_ascii_lowercase().replace('_', " ");
    let at = in_london(received.delivery.received.as_ref());
    printable(&format!("{}  {matter:<14} from {:<16} received {at}", received.id, received.delivery.sender))
}
