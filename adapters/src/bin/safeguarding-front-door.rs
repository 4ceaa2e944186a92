//! A front door without a system: read the council's own queue, show what came, and answer as a named person.
//!
//! A delivery is settled only after it was saved and printed: a crash before that shows it again, marked as
//! seen before. It writes to no queue; its answers go over gRPC.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use adapters::client;
use adapters::config::Party;
use adapters::console::{Stopped, due, exit, in_london, new_trace, note, patiently, person, printable, say, traced};
use adapters::desk::{self, Desk, Kept, Proof, Received};
use adapters::ladder::stage_words;
use clap::{Args, Parser, Subcommand};
use evidence::PublicKey;
use proto::json;
use proto::wire::childrens_services::v1::front_door_service_client::FrontDoorServiceClient;
use proto::wire::childrens_services::v1::{
    AcknowledgeRequest, Answer, CollectRequest, DecideRequest, LiftHandlingRequest, ListRequest, RecordStrategyDiscussionRequest,
    ReferOnRequest, ReportPlanStatusRequest, RequestInformationRequest, RespondToTransferRequest, TransferRequest,
    WithdrawTransferRequest,
};
use proto::wire::common::v1 as common;
use proto::wire::delivery::v1::{Matter, ReceivedReferral};
use proto::words::Word as _;
use referral::vocab::{Outcome, Vocabulary};
use referral::{DeliveryId, Endpoint};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Request, Status};
use transport::amqp::{Consumer, Delivered, Meters, Nodes, Subscription};

const EXAMPLES: &str = "Example:
  safeguarding-front-door --config la.E08000035.front-door.toml next
  safeguarding-front-door --config la.E08000035.front-door.toml acknowledge DELIVERY --as \"Priya Shah, duty social worker\"
  safeguarding-front-door --config la.E08000035.front-door.toml decide DELIVERY --as \"Priya Shah, duty social worker\" \\
      --outcome s17_assessment --reason \"An assessment begins today.\"

Ends with 0 when all went well, 1 when the broker refused or could not be reached, 2 when the command line or the
configuration is wrong, 3 when nothing came within --wait.";

/// A front door's desk: reads the queue that its certificate may read, and answers as a named person.
///
/// What came is kept in a folder that only you can read, so that an answer names exactly what was received.
#[derive(Parser)]
#[command(name = "safeguarding-front-door", version, after_help = EXAMPLES)]
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
        /// Ends when nothing has come for so many seconds.
        #[arg(long)]
        wait: Option<u64>,
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
    /// Says how what was sent here stands, as the broker has it: what is open for you to finish, and when it is due.
    Stands {
        /// Everything that was sent here, not only what is open and yours to finish.
        #[arg(long)]
        all: bool,
    },
    /// Says that a named person has it and is reading it.
    Acknowledge {
        #[command(flatten)]
        on: On,
    },
    /// Records what was decided, and why. A disagreement is answered so too: the decision may stay the same.
    Decide {
        #[command(flatten)]
        on: On,
        /// What was decided: nfa, information_advice, early_help, s17_assessment, strategy_discussion_s47,
        /// emergency_action, already_open, transfer_out_of_area, adult_services, lado, private_fostering or
        /// returned_more_information.
        #[arg(long, value_parser = outcome)]
        outcome: Outcome,
        /// Why, written for the referrer.
        #[arg(long)]
        reason: String,
    },
    /// Asks the referrer for more. Nothing waits for it; the answer comes as a changed version.
    RequestInformation {
        #[command(flatten)]
        on: On,
        /// What is asked, written for the referrer.
        #[arg(long)]
        question: String,
    },
    /// Offers the case to another area. It stays yours, and its clocks run on, until that one accepts.
    Transfer {
        #[command(flatten)]
        on: On,
        /// The other authority, by its GSS code such as E10000016.
        #[arg(long, value_name = "GSS")]
        to: String,
        /// Why, written for that authority.
        #[arg(long)]
        reason: String,
    },
    /// Takes an offer back that was not answered yet.
    WithdrawTransfer {
        #[command(flatten)]
        on: On,
        /// Why, written for the authority to which it was offered.
        #[arg(long)]
        reason: String,
    },
    /// Accepts a case that another area offers you: from then on you answer for the child. Name the delivery that
    /// offered it.
    AcceptTransfer {
        #[command(flatten)]
        on: On,
    },
    /// Refuses a case that another area offers you: it stays there, and both managers hear of it.
    RefuseTransfer {
        #[command(flatten)]
        on: On,
        /// Why, written for the authority that offers it.
        #[arg(long)]
        reason: String,
    },
    /// Records that a strategy discussion was held.
    StrategyDiscussion {
        #[command(flatten)]
        on: On,
        /// The London date on which it was held, such as 2026-11-24.
        #[arg(long, value_name = "DATE")]
        held_on: String,
        /// Section 47 enquiries were started: the clock to the conference runs (CL-03).
        #[arg(long)]
        enquiries_started: bool,
    },
    /// Tells how the child stands with you now: both are said each time.
    PlanStatus {
        #[command(flatten)]
        on: On,
        /// The child has a child protection plan: yes or no.
        #[arg(long, action = clap::ArgAction::Set, value_parser = yes_or_no)]
        child_protection_plan: bool,
        /// The child is looked after: yes or no.
        #[arg(long, action = clap::ArgAction::Set, value_parser = yes_or_no)]
        looked_after: bool,
    },
    /// Asks a service to help too. It is given what it may have; you go on answering for the child.
    ReferOn {
        #[command(flatten)]
        on: On,
        /// The service's endpoint, such as la.E08000035.early-help.
        #[arg(long, value_name = "ENDPOINT")]
        to: String,
        /// Why, written for the service.
        #[arg(long)]
        reason: String,
    },
    /// Lifts the condition not to inform the parents (HR-04); any other is its originator's to lift. Everybody who kept
    /// it hears so.
    LiftHandling {
        #[command(flatten)]
        on: On,
        /// Why, written for those who kept it.
        #[arg(long)]
        reason: String,
    },
}

/// What is answered, and by whom.
#[derive(Args, Clone)]
struct On {
    /// The delivery's id.
    delivery: String,
    /// Who: "Name, role".
    #[arg(long = "as", value_parser = person)]
    by: common::Practitioner,
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("it is yes or no".to_owned()),
    }
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
    exit("safeguarding-front-door", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<(), Stopped> {
    let party = Party::read(&arguments.config)?;
    let identity = party.tls.identity()?;
    let us = Endpoint::parse(identity.common_name())
        .map_err(|why| Stopped::Unusable(format!("the name in the certificate under [tls] {why}")))?;
    let folder = arguments.desk.or_else(|| party.desk.state.clone()).unwrap_or_else(|| arguments.config.with_extension("desk"));
    let desk = Desk::open(&folder, &us).map_err(|fault| {
        Stopped::Unusable(format!("the desk in {} cannot be opened: {fault}. Name another folder with --desk", folder.display()))
    })?;
    let channel = client::channel(&party.gateway.address, &party.gateway.server_name, &identity, CALL_PATIENCE)?;
    let answers = FrontDoorServiceClient::new(channel);
    match arguments.command {
        Command::Next { json, wait } => {
            let mut reading = Reading::start(party.nodes(identity)?, us, desk, party.ledger_key()?, answers, &arguments.config);
            let shown = reading.next(json, Some(Duration::from_secs(wait))).await;
            reading.queue.close().await;
            shown
        }
        Command::Watch { json, wait } => {
            let mut reading = Reading::start(party.nodes(identity)?, us, desk, party.ledger_key()?, answers, &arguments.config);
            loop {
                reading.next(json, wait.map(Duration::from_secs)).await?;
            }
        }
        Command::List => {
            for received in desk.all().map_err(unreadable)? {
                say(&line(&received))?;
            }
            Ok(())
        }
        Command::Show { delivery, json } => say(&shown(&find(&desk, &delivery)?, Kept::Again, None, json)?),
        Command::Stands { all } => stands(&answers, !all).await,
        Command::Acknowledge { on } => {
            let call =
                |mut answers: Answers, request| async move { Ok(answers.acknowledge(request).await?.into_inner().referral_id) };
            let said = answers_with(&desk, &on, |answer| AcknowledgeRequest { answer })?;
            said.send(&answers, "acknowledged", call).await
        }
        Command::Decide { on, outcome, reason } => {
            let call = |mut answers: Answers, request| async move { Ok(answers.decide(request).await?.into_inner().referral_id) };
            let said = answers_with(&desk, &on, |answer| DecideRequest { answer, outcome: outcome.number(), reason })?;
            said.send(&answers, &format!("decided, {},", outcome.words()), call).await
        }
        Command::RequestInformation { on, question } => {
            let call = |mut answers: Answers, request| async move {
                Ok(answers.request_information(request).await?.into_inner().referral_id)
            };
            let said = answers_with(&desk, &on, |answer| RequestInformationRequest { answer, question })?;
            said.send(&answers, "asked", call).await
        }
        Command::Transfer { on, to, reason } => {
            let call =
                |mut answers: Answers, request| async move { Ok(answers.transfer(request).await?.into_inner().referral_id) };
            let what = format!("offered to {}", printable(&to));
            let said = answers_with(&desk, &on, |answer| TransferRequest { answer, to_authority: to, reason })?;
            said.send(&answers, &what, call).await
        }
        Command::WithdrawTransfer { on, reason } => {
            let call = |mut answers: Answers, request| async move {
                Ok(answers.withdraw_transfer(request).await?.into_inner().referral_id)
            };
            let said = answers_with(&desk, &on, |answer| WithdrawTransferRequest { answer, reason })?;
            said.send(&answers, "offer taken back", call).await
        }
        Command::AcceptTransfer { on } => respond(&desk, &answers, &on, None).await,
        Command::RefuseTransfer { on, reason } => respond(&desk, &answers, &on, Some(reason)).await,
        Command::StrategyDiscussion { on, held_on, enquiries_started } => {
            let call = |mut answers: Answers, request| async move {
                Ok(answers.record_strategy_discussion(request).await?.into_inner().referral_id)
            };
            let ask = |answer| RecordStrategyDiscussionRequest { answer, held_on, enquiries_started };
            answers_with(&desk, &on, ask)?.send(&answers, "strategy discussion recorded", call).await
        }
        Command::PlanStatus { on, child_protection_plan, looked_after } => {
            let call = |mut answers: Answers, request| async move {
                Ok(answers.report_plan_status(request).await?.into_inner().referral_id)
            };
            let ask = |answer| ReportPlanStatusRequest { answer, child_protection_plan, looked_after };
            answers_with(&desk, &on, ask)?.send(&answers, "status recorded", call).await
        }
        Command::ReferOn { on, to, reason } => {
            let call =
                |mut answers: Answers, request| async move { Ok(answers.refer_on(request).await?.into_inner().referral_id) };
            let what = format!("referred on to {}", printable(&to));
            let said = answers_with(&desk, &on, |answer| ReferOnRequest { answer, to, reason })?;
            said.send(&answers, &what, call).await
        }
        Command::LiftHandling { on, reason } => {
            let call =
                |mut answers: Answers, request| async move { Ok(answers.lift_handling(request).await?.into_inner().referral_id) };
            let condition = common::HandlingFlag::DoNotInformParents as i32;
            let said = answers_with(&desk, &on, |answer| LiftHandlingRequest { answer, condition, reason })?;
            said.send(&answers, "condition lifted", call).await
        }
    }
}

type Answers = FrontDoorServiceClient<Channel>;

/// An answer about what lies on the desk, ready to be sent.
struct Said<Q> {
    request: Q,
    traceparent: Option<String>,
    name: String,
}

fn answers_with<Q>(desk: &Desk, on: &On, ask: impl FnOnce(Option<Answer>) -> Q) -> Result<Said<Q>, Stopped> {
    let received = find(desk, &on.delivery)?;
    let request = ask(Some(answer(&received, on.by.clone())));
    Ok(Said { request, traceparent: received.traceparent, name: printable(&on.by.name) })
}

impl<Q: Clone> Said<Q> {
    /// Sends it as often as it takes, and says what was done to which referral.
    async fn send<W>(self, answers: &Answers, done: &str, call: impl Fn(Answers, Request<Q>) -> W) -> Result<(), Stopped>
    where
        W: Future<Output = Result<String, Status>>,
    {
        let call = || call(answers.clone(), traced(self.request.clone(), self.traceparent.as_deref()));
        let referral = patiently(PATIENCE, call).await?;
        say(&format!("{done} by {}: referral {}", self.name, printable(&referral)))
    }
}

/// Refuses an offer for a reason; without one, accepts it.
async fn respond(desk: &Desk, answers: &Answers, on: &On, refused: Option<String>) -> Result<(), Stopped> {
    let (accepted, done) = (refused.is_none(), if refused.is_none() { "taken over" } else { "not taken over" });
    let ask = |answer| RespondToTransferRequest { answer, accepted, reason: refused.unwrap_or_default() };
    let call =
        |mut answers: Answers, request| async move { Ok(answers.respond_to_transfer(request).await?.into_inner().referral_id) };
    answers_with(desk, on, ask)?.send(answers, done, call).await
}

/// Asks for every page, and says each referral in a line.
async fn stands(answers: &Answers, open_only: bool) -> Result<(), Stopped> {
    let mut page_token = String::new();
    loop {
        let request = ListRequest { page_size: 0, page_token, open_only };
        let ask = || {
            let (mut answers, request) = (answers.clone(), request.clone());
            async move { answers.list(request).await }
        };
        let page = patiently(PATIENCE, ask).await?.into_inner();
        for received in &page.referrals {
            say(&standing(received))?;
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

/// One referral: for whom, how far, and what is due next. The delivery is the one that an answer names.
fn standing(received: &ReceivedReferral) -> String {
    let delivery = received.deliveries.last().map(|delivery| delivery.delivery_id.as_str()).unwrap_or_default();
    let (referral, recipient) = (printable(&received.referral_id), printable(&received.recipient));
    let Some(in_charge) = &received.in_charge else {
        return format!("referral {referral}, delivery {}: {recipient} is told, and decides nothing", printable(delivery));
    };
    let running = in_charge.clocks.iter().filter(|status| status.met.is_none() && status.breached.is_none() && !status.stopped);
    let due: Vec<String> = running.filter_map(|status| status.clock.as_ref()).map(due).collect();
    let due = if due.is_empty() { "nothing is due".to_owned() } else { due.join("; ") };
    let stage = stage_words(in_charge.stage());
    format!("referral {referral}, delivery {}: {recipient} answers for the child; {stage}; {due}", printable(delivery))
}

fn unreadable(fault: std::io::Error) -> Stopped {
    Stopped::Unusable(format!("what is on the desk cannot be read: {fault}"))
}

fn find(desk: &Desk, delivery: &str) -> Result<Received, Stopped> {
    let id = DeliveryId::parse(delivery).map_err(|_| {
        Stopped::Unusable("DELIVERY is the id that stands at the top of what `next` showed; `list` shows them all".to_owned())
    })?;
    let on_it = "`list` shows what is; `next` reads the queue";
    desk.find(id).map_err(unreadable)?.ok_or_else(|| Stopped::Unusable(format!("delivery {id} is not on this desk: {on_it}")))
}

fn answer(received: &Received, by: common::Practitioner) -> Answer {
    Answer { delivery_id: received.id.to_string(), digest: received.digest().as_bytes().to_vec(), by: Some(by) }
}

/// Reads the queue.
struct Reading<'a> {
    us: Endpoint,
    desk: Desk,
    key: Option<PublicKey>,
    queue: Consumer,
    answers: FrontDoorServiceClient<Channel>,
    /// Our own trace, for what came with none.
    trace: String,
    /// For telling how to answer.
    config: &'a Path,
}

impl<'a> Reading<'a> {
    fn start(
        nodes: Nodes,
        us: Endpoint,
        desk: Desk,
        key: Option<PublicKey>,
        answers: FrontDoorServiceClient<Channel>,
        config: &'a Path,
    ) -> Reading<'a> {
        // One at a time: what this program does not show, another at the same front door may.
        let subscription = Subscription { queues: vec![format!("delivery.{us}")], prefetch: 1, name: "front-door".to_owned() };
        let queue = Consumer::subscribe(nodes, subscription, Meters::unread());
        Reading { us, desk, key, queue, answers, trace: new_trace(), config }
    }

    /// Waits for the next delivery, keeps it, shows it, and only then takes it off the queue.
    async fn next(&mut self, json: bool, wait: Option<Duration>) -> Result<(), Stopped> {
        loop {
            let Delivered { message, token, .. } = self.come(wait).await?;
            let (received, proof) = match desk::read(&message, &self.us, self.key.as_ref()) {
                Ok(read) => read,
                Err(why) => {
                    // Into quarantine, where an operator sees it; those behind it go on (P10).
                    note(&format!(
                        "a message was not put on the desk: {why}. It goes to quarantine; tell whoever runs the broker"
                    ));
                    self.queue.reject(token).await;
                    continue;
                }
            };
            let kept = self.desk.keep(&received).map_err(|fault| {
                Stopped::Unusable(format!("a delivery cannot be kept, so it stays on the queue: {fault}. Is the disk full?"))
            })?;
            say(&shown(&received, kept, Some((proof, self.config)), json)?)?;
            if self.queue.settle(&[token]).await.told == 0 {
                note("the line broke before it was taken off the queue: it will be shown again, as seen before");
            }
            self.say_collected(&received).await;
            return Ok(());
        }
    }

    /// The next message. The wait ends here and nowhere else: what has come is kept, shown and settled in full.
    async fn come(&mut self, wait: Option<Duration>) -> Result<Delivered, Stopped> {
        let coming = async {
            loop {
                if let Some(came) = self.queue.next(1).await.into_iter().next() {
                    return came;
                }
            }
        };
        let Some(wait) = wait else { return Ok(coming.await) };
        match timeout(wait, coming).await {
            Ok(came) => Ok(came),
            Err(_) if self.queue.is_connected() => Err(Stopped::Nothing(format!("nothing came within {} s", wait.as_secs()))),
            Err(_) => Err(Stopped::Refused(format!(
                "the queue delivery.{} could not be read within {} s: is RabbitMQ up at the nodes under [rabbitmq], does it know this \
                 certificate, and is this endpoint in the broker's directory?",
                self.us,
                wait.as_secs()
            ))),
        }
    }

    /// The sender may see that it was taken. Not an acknowledgement, and not worth holding anybody up.
    async fn say_collected(&self, received: &Received) {
        let name = common::Practitioner {
            name: "safeguarding-front-door".to_owned(),
            role: "program".to_owned(),
            contact: String::new(),
        };
        let request = CollectRequest { answer: Some(answer(received, name)) };
        let trace = received.traceparent.as_deref().unwrap_or(&self.trace);
        let call = || {
            let (mut answers, request) = (self.answers.clone(), traced(request.clone(), Some(trace)));
            async move { answers.collect(request).await }
        };
        if let Err(why) = patiently(Duration::from_secs(10), call).await {
            note(&format!("the sender could not be told that it was collected: {why}"));
        }
    }
}

/// A delivery as it is shown. Its id stands first. `fresh` is what is known only of one that came just now: its
/// proof, and with which configuration to answer it.
fn shown(received: &Received, kept: Kept, fresh: Option<(Proof, &Path)>, json: bool) -> Result<String, Stopped> {
    let proof = fresh.map(|(proof, _)| proof);
    if json {
        return as_json(received, kept, proof);
    }
    let mut text = format!("Delivery {}{}\n", received.id, if kept == Kept::Again { " (seen before)" } else { "" });
    if let Some(proof) = proof {
        text.push_str(&format!("{}\n", in_words(proof)));
    }
    text.push_str(&format!("\n{}\n", printable(&received.delivery.rendering).trim_end()));
    if let Some((_, config)) = fresh {
        text.push_str(&format!("\n{}", how_to_answer(received, config)));
    }
    Ok(text)
}

fn as_json(received: &Received, kept: Kept, proof: Option<Proof>) -> Result<String, Stopped> {
    let unwritable = |_| Stopped::Unusable(format!("delivery {} cannot be written as JSON; leave out --json", received.id));
    let delivery = json::write(&received.delivery).map_err(|_| ()).and_then(|text| serde_json::from_str(&text).map_err(|_| ()));
    let delivery: serde_json::Value = delivery.map_err(unwritable)?;
    let (proof, recorded_at) = match proof {
        Some(Proof::Holds { index }) => ("holds", Some(index)),
        Some(Proof::NotChecked) | None => ("not checked", None),
        Some(Proof::Missing) => ("missing", None),
        Some(Proof::False(_)) => ("does not hold", None),
    };
    let told = serde_json::json!({
        "digest": received.digest().to_string(),
        "seenBefore": kept == Kept::Again,
        "proof": proof,
        "recordedAt": recorded_at,
        "delivery": delivery,
    });
    Ok(told.to_string())
}

fn in_words(proof: Proof) -> String {
    let doubt = "Act on it as the child needs; tell whoever runs the broker, and telephone the sender to make sure of it";
    match proof {
        Proof::Holds { index } => format!("Recorded before it was sent: entry {index} of the ledger's log, checked"),
        Proof::NotChecked => {
            "Not checked that it was recorded before it was sent: the configuration has no [ledger] public_key".to_owned()
        }
        Proof::Missing => format!("WARNING: it carries no proof that it was recorded before it was sent. {doubt}"),
        Proof::False(why) => format!("WARNING: its proof that it was recorded before it was sent does not hold: {why}. {doubt}"),
    }
}

/// How to answer with this program: the delivery itself says it for those with a system.
fn how_to_answer(received: &Received, config: &Path) -> String {
    let program = format!("safeguarding-front-door --config {}", config.display());
    let mut text = format!("With this program:\n  {program} acknowledge {} --as \"Name, role\"", received.id);
    let matter = received.delivery.matter();
    if matter == Matter::TransferOffer {
        for answer in ["accept-transfer", "refuse-transfer"] {
            let reason = if answer == "refuse-transfer" { " --reason \"...\"" } else { "" };
            text.push_str(&format!("\n  {program} {answer} {} --as \"Name, role\"{reason}", received.id));
        }
    }
    if received.delivery.role() == common::RecipientRole::Responsible || matter == Matter::Disagreement {
        text.push_str(&format!(
            "\n  {program} decide {} --as \"Name, role\" --outcome s17_assessment --reason \"...\"",
            received.id
        ));
    }
    text
}

fn line(received: &Received) -> String {
    let matter = received.delivery.matter().as_str_name().trim_start_matches("MATTER_").to_ascii_lowercase().replace('_', " ");
    let at = in_london(received.delivery.received.as_ref());
    printable(&format!("{}  {matter:<14} from {:<16} received {at}", received.id, received.delivery.sender))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::wire::delivery::v1 as wire;

    fn received(role: common::RecipientRole) -> Received {
        let delivery = wire::Delivery {
            delivery_id: ID.to_owned(),
            referral_id: "0f1c0c1e-58a4-8f5a-9b3b-1f4f0e6a7d11".to_owned(),
            role: role as i32,
            sender: "school.999001".to_owned(),
            rendering: "SAFEGUARDING REFERRAL\nRobin\u{1b}[2J\n".to_owned(),
            ..wire::Delivery::default()
        };
        Received { delivery, bytes: b"as it came".to_vec(), id: DeliveryId::parse(ID).unwrap(), traceparent: None }
    }

    const ID: &str = "6f1c0c1e-58a4-8f5a-9b3b-1f4f0e6a7d11";

    fn text(role: common::RecipientRole, kept: Kept, proof: Proof) -> String {
        shown(&received(role), kept, Some((proof, Path::new("desk.toml"))), false).unwrap()
    }

    #[test]
    fn the_first_thing_shown_is_the_id_that_an_answer_names_and_the_last_how_to_answer() {
        let shown = text(common::RecipientRole::Responsible, Kept::New, Proof::Holds { index: 7 });
        let expected = "Delivery 6f1c0c1e-58a4-8f5a-9b3b-1f4f0e6a7d11\n\
            Recorded before it was sent: entry 7 of the ledger's log, checked\n\n\
            SAFEGUARDING REFERRAL\nRobin\u{fffd}[2J\n\n\
            With this program:\n  \
            safeguarding-front-door --config desk.toml acknowledge 6f1c0c1e-58a4-8f5a-9b3b-1f4f0e6a7d11 --as \"Name, role\"\n  \
            safeguarding-front-door --config desk.toml decide 6f1c0c1e-58a4-8f5a-9b3b-1f4f0e6a7d11 --as \"Name, role\" \
            --outcome s17_assessment --reason \"...\"";
        assert_eq!(shown, expected);
    }

    #[test]
    fn who_is_only_told_is_not_asked_to_decide() {
        assert!(!text(common::RecipientRole::Notified, Kept::New, Proof::NotChecked).contains("decide"));
    }

    #[test]
    fn who_is_offered_a_case_or_disagreed_with_reads_how_to_answer_that() {
        let how = |matter: Matter| {
            let mut received = received(common::RecipientRole::Notified);
            received.delivery.matter = matter as i32;
            how_to_answer(&received, Path::new("desk.toml"))
        };
        let offered = how(Matter::TransferOffer);
        assert!(offered.contains(" accept-transfer ") && offered.contains(" refuse-transfer ") && !offered.contains(" decide "));
        assert!(how(Matter::Disagreement).contains(" decide "));
    }

    #[test]
    fn a_repeat_and_a_doubt_are_told_before_the_content() {
        let shown = text(common::RecipientRole::Responsible, Kept::Again, Proof::False(evidence::Unproved::NotSigned));
        let content = shown.find("Robin").unwrap();
        assert!(shown.find("(seen before)").unwrap() < content);
        assert!(shown.find("WARNING").unwrap() < content);
    }

    #[test]
    fn as_json_it_is_one_line_with_the_digest_that_an_answer_names() {
        let received = received(common::RecipientRole::Responsible);
        let line = shown(&received, Kept::Again, Some((Proof::Missing, Path::new("desk.toml"))), true).unwrap();
        assert!(!line.contains('\n'));
        let told: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(told["digest"], received.digest().to_string());
        assert_eq!((told["seenBefore"].as_bool(), told["proof"].as_str()), (Some(true), Some("missing")));
        assert_eq!(told["delivery"]["deliveryId"], ID);
    }

    #[test]
    fn the_command_line_is_one_that_clap_accepts() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
        let parse = |line: &[&str]| {
            Arguments::try_parse_from(["safeguarding-front-door", "--config", "x.toml"].iter().chain(line)).is_ok()
        };
        assert!(parse(&["next", "--wait", "5"]));
        assert!(parse(&["decide", ID, "--as", "Priya Shah, social worker", "--outcome", "nfa", "--reason", "why"]));
        assert!(!parse(&["decide", ID, "--as", "Priya Shah, social worker", "--outcome", "nothing", "--reason", "why"]));
        assert!(!parse(&["acknowledge", ID, "--as", "Priya Shah"]));
        for (command, more) in [
            ("request-information", &["--question", "Who fetched her?"][..]),
            ("transfer", &["--to", "E10000016", "--reason", "moved"]),
            ("withdraw-transfer", &["--reason", "moved back"]),
            ("accept-transfer", &[]),
            ("refuse-transfer", &["--reason", "not here"]),
            ("strategy-discussion", &["--held-on", "2026-11-24", "--enquiries-started"]),
            ("plan-status", &["--child-protection-plan", "yes", "--looked-after", "no"]),
            ("refer-on", &["--to", "la.E08000035.early-help", "--reason", "mornings"]),
            ("lift-handling", &["--reason", "she knows"]),
        ] {
            let line = [&[command, ID, "--as", "Priya Shah, social worker"], more].concat();
            assert!(parse(&line), "{command}");
            // Nobody answers without a name and a role, and nothing that is needed may be left out.
            assert!(!parse(&[&[command, ID], more].concat()), "{command}");
            let first = [&[command, ID, "--as", "Priya Shah, social worker"], more.get(2..).unwrap_or_default()].concat();
            assert!(more.is_empty() || !parse(&first), "{command}");
        }
        assert!(!parse(&[
            "plan-status",
            ID,
            "--as",
            "Priya Shah, social worker",
            "--child-protection-plan",
            "maybe",
            "--looked-after",
            "no"
        ]));
    }
}
