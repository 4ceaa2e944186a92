//! A sender's command line: make a referral, send it once however often the line breaks, and watch it climb
//! its ladder.
//!
//! The key is on the disk before anything is sent, so an interrupted send is the same send again. What is
//! printed goes to the person who asked, and nowhere else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use adapters::client;
use adapters::config::Party;
use adapters::console::{Failed, in_london, in_words, jittered, patiently, person, printable, retry_after};
use adapters::ladder::{self, Climb, Reached, Until};
use adapters::outbox::{Entry, Outbox};
use adapters::samples::Sample;
use adapters::school;
use clap::{Args, Parser, Subcommand};
use proto::json;
use proto::wire::common::v1 as common;
use proto::wire::referral::v1 as wire;
use proto::wire::referral::v1::referral_service_client::ReferralServiceClient;
use proto::wire::school::v1 as form;
use proto::wire::school::v1::school_service_client::SchoolServiceClient;
use referral::{Digest, Endpoint, IdempotencyKey};
use tonic::transport::Channel;
use tonic::{Code, Status};

/// Sends safeguarding referrals as the school or council that your certificate names, and follows them.
#[derive(Parser)]
#[command(
    name = "safeguarding-send",
    version,
    after_help = "Example:\n  \
    safeguarding-send --config school.999001.toml refer --sample neglect --follow-until acknowledged\n  \
    safeguarding-send --config school.999001.toml sample neglect >form.json   # a form to start from\n  \
    safeguarding-send --config school.999001.toml refer --form form.json"
)]
struct Arguments {
    /// How to reach the gateway, and who you are (TOML).
    #[arg(long)]
    config: PathBuf,
    /// Where the keys of what was sent are kept. Default: the folder `sent` beside the configuration.
    #[arg(long)]
    outbox: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sends a referral. The same file is the same referral, however often it is sent.
    Refer {
        #[command(flatten)]
        what: What,
        /// Sends it as a new referral although the same file was sent before.
        #[arg(long)]
        anew: bool,
        /// Prints the ladder as it is climbed, until this rung.
        #[arg(long, value_name = "RUNG")]
        follow_until: Option<Until>,
        /// For how many seconds to follow.
        #[arg(long, default_value_t = 900)]
        follow_for: u64,
    },
    /// Shows what would happen to a referral, and why. Nothing is stored.
    Preview {
        #[command(flatten)]
        what: What,
    },
    /// Sends a changed version: the whole as it now stands.
    Amend {
        /// The referral's id.
        referral: String,
        #[command(flatten)]
        what: What,
    },
    /// Takes a referral back. Those who received it are told; nothing is erased.
    Withdraw {
        /// The referral's id.
        referral: String,
        /// Who: "Name, role".
        #[arg(long = "as", value_parser = person)]
        by: common::Practitioner,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Shows how a referral stands.
    Get {
        /// The referral's id.
        referral: String,
        /// As JSON on one line instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Lists your referrals, the newest first.
    List {
        /// Only those on which something is still owed.
        #[arg(long)]
        open: bool,
    },
    /// Shows what happens to your referrals, as it happens, until it is stopped.
    Watch {
        /// Only this referral.
        #[arg(long)]
        referral: Option<String>,
        /// Only what came after this position.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// As JSON, one line each, instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Prints a synthetic form as JSON, to start your own from.
    Sample {
        /// Which.
        #[arg(value_enum)]
        sample: Sample,
    },
}

#[derive(Args)]
struct What {
    #[command(flatten)]
    source: Source,
}

impl What {
    fn is_sample(&self) -> bool {
        self.source.form.is_none() && self.source.submission.is_none()
    }
}

/// Where the content comes from. Without any: the synthetic sample `neglect`.
#[derive(Args, Clone)]
#[group(multiple = false)]
struct Source {
    /// A synthetic referral about nobody.
    #[arg(long, value_enum)]
    sample: Option<Sample>,
    /// A school's form (safeguarding.school.v1.ReferralForm) in JSON.
    #[arg(long, value_name = "FILE")]
    form: Option<PathBuf>,
    /// A canonical submission (safeguarding.common.v1.Submission) in JSON.
    #[arg(long, value_name = "FILE")]
    submission: Option<PathBuf>,
}

/// How long a submission is tried.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the gateway may take for one.
const CALL_PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> ExitCode {
    transport::tls::install_crypto();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("safeguarding-send: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let party = Party::read(&arguments.config)?;
    let identity = party.tls.identity()?;
    let us = Endpoint::parse(identity.common_name()).map_err(|why| Failed(format!("the certificate's name {why}")))?;
    let channel = client::channel(&party.gateway.address, &party.gateway.server_name, &identity, CALL_PATIENCE)?;
    let folder = arguments.outbox.unwrap_or_else(|| arguments.config.with_file_name("sent"));
    let sender = Sender { us, channel };
    match arguments.command {
        Command::Refer { what, anew, follow_until, follow_for } => {
            let content = sender.content(&what)?;
            let outbox = Outbox::open(&folder, &sender.us)?;
            // A sample may be sent as often as anybody likes; a file is one referral until somebody says otherwise.
            let anew = anew || what.is_sample();
            let receipt = sender.refer(&content, &outbox, anew).await?;
            println!("referral {}", receipt.referral_id);
            receipt.further_referral_ids.iter().for_each(|further| println!("referral {further} (a further child)"));
            println!("digest   {}", receipt.content_digest);
            println!("{}", printable(&receipt.meaning));
            if let Some(until) = follow_until {
                sender.follow(&receipt.referral_id, until, Duration::from_secs(follow_for)).await?;
            }
        }
        Command::Preview { what } => sender.preview(sender.content(&what)?).await?,
        Command::Amend { referral, what } => {
            let content = sender.content(&what)?.canonical(&sender.us)?;
            let outbox = Outbox::open(&folder, &sender.us)?;
            let receipt = sender.amend(&referral, content, &outbox).await?;
            println!("amended  {}\ndigest   {}\n{}", receipt.referral_id, receipt.content_digest, printable(&receipt.meaning));
        }
        Command::Withdraw { referral, by, reason } => {
            let call = || {
                let request =
                    wire::WithdrawRequest { referral_id: referral.clone(), by: Some(by.clone()), reason: reason.clone() };
                let mut service = sender.referrals();
                async move { service.withdraw(request).await }
            };
            let answer = patiently(PATIENCE, call).await?.into_inner();
            println!("withdrawn {}\n{}", answer.referral_id, printable(&answer.meaning));
        }
        Command::Get { referral, json } => sender.get(referral, json).await?,
        Command::List { open } => sender.list(open).await?,
        Command::Watch { referral, after, json } => sender.watch(referral, after, json).await?,
        Command::Sample { sample } => println!("{}", indented(&json::write(&sample.form(sender.urn()))?)?),
    }
    Ok(())
}

/// What is to be sent.
enum Content {
    Form(Box<form::ReferralForm>),
    Submission(Box<common::Submission>),
}

impl Content {
    fn digest(&self) -> Digest {
        use prost::Message as _;
        match self {
            Content::Form(form) => Digest::of(&[b"form", &form.encode_to_vec()]),
            Content::Submission(content) => Digest::of(&[b"submission", &content.encode_to_vec()]),
        }
    }

    /// In the contract's words, for services that know no school's form.
    fn canonical(self, us: &Endpoint) -> Result<common::Submission, Failed> {
        match self {
            Content::Submission(content) => Ok(*content),
            Content::Form(form) => {
                school::is_own(us, form.school.as_ref())
                    .map_err(|_| Failed("the form names another school than your certificate".to_owned()))?;
                let translated = school::referral(*form);
                let faults: Vec<String> =
                    translated.faults.iter().map(|fault| format!("\n  {} {}", fault.field, fault.because)).collect();
                if faults.is_empty() {
                    Ok(translated.content)
                } else {
                    Err(Failed(format!("the form is not complete:{}", faults.concat())))
                }
            }
        }
    }
}

struct Sender {
    us: Endpoint,
    channel: Channel,
}

impl Sender {
    fn referrals(&self) -> ReferralServiceClient<Channel> {
        ReferralServiceClient::new(self.channel.clone())
    }

    /// The school's number for a sample; another sender's samples come from a school that nobody has.
    fn urn(&self) -> &str {
        match &self.us {
            Endpoint::School(urn) => urn.as_str(),
            Endpoint::Authority(..)
            | Endpoint::Police(_)
            | Endpoint::PolicePrevent(_)
            | Endpoint::Nhs(_)
            | Endpoint::Adult(_)
            | Endpoint::Devolved(_)
            | Endpoint::Voluntary(_) => "999999",
        }
    }

    fn content(&self, what: &What) -> Result<Content, Failed> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|fault| Failed(format!("cannot read {}: {fault}", path.display())))
        };
        let wrong = |path: &Path, fault: json::NotTheMessage| Failed(format!("{}: {fault}", path.display()));
        let Source { sample, form, submission } = &what.source;
        if let Some(path) = submission {
            return Ok(Content::Submission(Box::new(json::read(&read(path)?).map_err(|fault| wrong(path, fault))?)));
        }
        let form = match form {
            Some(path) => json::read(&read(path)?).map_err(|fault| wrong(path, fault))?,
            None => sample.unwrap_or(Sample::Neglect).form(self.urn()),
        };
        match &self.us {
            Endpoint::School(_) => Ok(Content::Form(Box::new(form))),
            // Other senders have no form of their own here; its content is the same in the contract's words.
            _ => Ok(Content::Submission(Box::new(school::referral(form).content))),
        }
    }

    async fn refer(&self, content: &Content, outbox: &Outbox, anew: bool) -> Result<wire::Receipt, Box<dyn std::error::Error>> {
        let what = content.digest();
        let known = outbox.entry(&what)?;
        // What was cut off is always the same send again.
        let again = known.filter(|entry| entry.referral_id.is_none() || !anew);
        let entry = again.unwrap_or_else(|| Entry { key: new_key(), referral_id: None });
        outbox.remember(&what, &entry)?;
        let key = entry.key.to_string();
        let receipt = patiently(PATIENCE, || self.submit(content, key.clone())).await?;
        outbox.remember(&what, &Entry { referral_id: Some(receipt.referral_id.clone()), ..entry })?;
        Ok(receipt)
    }

    async fn submit(&self, content: &Content, idempotency_key: String) -> Result<wire::Receipt, Status> {
        let receipt = match content {
            Content::Form(form) => {
                let request = form::ReferRequest { idempotency_key, form: Some((**form).clone()) };
                SchoolServiceClient::new(self.channel.clone()).refer(request).await?.into_inner().receipt
            }
            Content::Submission(content) => {
                let request = wire::SubmitRequest { idempotency_key, content: Some((**content).clone()), sender: String::new() };
                self.referrals().submit(request).await?.into_inner().receipt
            }
        };
        receipt.ok_or_else(|| Status::data_loss("the gateway answered without a receipt"))
    }

    async fn amend(
        &self,
        referral: &str,
        content: common::Submission,
        outbox: &Outbox,
    ) -> Result<wire::Receipt, Box<dyn std::error::Error>> {
        use prost::Message as _;
        let what = Digest::of(&[b"amend", referral.as_bytes(), &content.encode_to_vec()]);
        let entry = outbox.entry(&what)?.unwrap_or_else(|| Entry { key: new_key(), referral_id: None });
        outbox.remember(&what, &entry)?;
        let call = || {
            let request = wire::AmendRequest {
                referral_id: referral.to_owned(),
                idempotency_key: entry.key.to_string(),
                content: Some(content.clone()),
                sender: String::new(),
            };
            let mut service = self.referrals();
            async move { service.amend(request).await }
        };
        let receipt = patiently(PATIENCE, call).await?.into_inner().receipt;
        receipt.ok_or_else(|| Failed("the gateway answered without a receipt".to_owned()).into())
    }

    async fn preview(&self, content: Content) -> Result<(), Failed> {
        let content = content.canonical(&self.us)?;
        let call = || {
            let (mut service, request) = (self.referrals(), wire::PreviewRequest { content: Some(content.clone()) });
            async move { service.preview(request).await }
        };
        let preview = patiently(PATIENCE, call).await?.into_inner();
        for child in preview.children {
            use common::child_preview::Verdict;
            use common::progress_entry::Step;
            println!("child {}:", child.child);
            let step = child.verdict.map(|verdict| match verdict {
                Verdict::Routed(routed) => Step::Routed(routed),
                Verdict::Held(held) => Step::Held(held),
                Verdict::ReturnedToSender(returned) => Step::ReturnedToSender(returned),
                Verdict::Refused(refused) => Step::Refused(refused),
            });
            println!("{}", ladder::words(&common::ProgressEntry { step, ..common::ProgressEntry::default() }));
        }
        for missing in preview.missing {
            println!("{}", printable(&format!("{} {}", missing.field, missing.because)));
        }
        Ok(())
    }

    async fn get(&self, referral: String, json: bool) -> Result<(), Box<dyn std::error::Error>> {
        let call = || {
            let (mut service, request) = (self.referrals(), wire::GetRequest { referral_id: referral.clone() });
            async move { service.get(request).await }
        };
        let status = patiently(PATIENCE, call).await?.into_inner().status.unwrap_or_default();
        if json {
            println!("{}", json::write(&status)?);
            return Ok(());
        }
        let open = if status.open { "open" } else { "closed" };
        println!("referral {}: {}, {open}", status.referral_id, ladder::stage_words(status.stage()));
        for clock in &status.clocks {
            let about = clock.clock.clone().unwrap_or_default();
            let how = match (clock.met.is_some(), clock.breached.is_some(), clock.stopped) {
                (true, _, _) => "met",
                (_, true, _) => "LATE",
                (_, _, true) => "stopped",
                _ => "running",
            };
            println!("{}", printable(&format!("{} due by {}: {how}", about.name, in_london(about.due.as_ref()))));
        }
        status.ladder.iter().for_each(|entry| println!("{}", ladder::words(entry)));
        Ok(())
    }

    async fn list(&self, open_only: bool) -> Result<(), Failed> {
        let mut page_token = String::new();
        loop {
            let call = || {
                let request = wire::ListRequest { page_size: 100, page_token: page_token.clone(), open_only };
                let mut service = self.referrals();
                async move { service.list(request).await }
            };
            let page = patiently(PATIENCE, call).await?.into_inner();
            for summary in &page.referrals {
                let open = if summary.open { "open" } else { "closed" };
                let next =
                    summary.next_due.as_ref().map(|clock| format!(", {} due by {}", clock.name, in_london(clock.due.as_ref())));
                let (at, stage) = (in_london(summary.received.as_ref()), ladder::stage_words(summary.stage()));
                println!("{}", printable(&format!("{}  {at}  {stage}, {open}{}", summary.referral_id, next.unwrap_or_default())));
            }
            if page.next_page_token.is_empty() {
                return Ok(());
            }
            page_token = page.next_page_token;
        }
    }

    async fn watch(&self, referral: Option<String>, after: u64, json: bool) -> Result<(), Box<dyn std::error::Error>> {
        let mut watching = Watching::new(self, referral.unwrap_or_default(), after);
        loop {
            let entry = watching.next().await?;
            if json {
                println!("{}", json::write(&entry)?);
            } else {
                println!("{}  {}  {}", entry.position, entry.referral_id, ladder::words(&entry));
            }
        }
    }

    async fn follow(&self, referral: &str, until: Until, patience: Duration) -> Result<(), Failed> {
        let mut watching = Watching::new(self, referral.to_owned(), 0);
        let mut climb = Climb::default();
        let climbing = async {
            loop {
                let entry = watching.next().await?;
                println!("{}", ladder::words(&entry));
                match climb.step(&entry, until) {
                    Reached::Climbing => continue,
                    Reached::There => return Ok(()),
                    Reached::Ended => {
                        return Err(Failed("it came back, and goes no further; the reasons stand above".to_owned()));
                    }
                }
            }
        };
        let how_to_go_on =
            format!("not there after {} s; nothing is lost. To go on following: watch --referral {referral}", patience.as_secs());
        tokio::time::timeout(patience, climbing).await.unwrap_or(Err(Failed(how_to_go_on)))
    }
}

/// A watch that survives lost connections: it goes on from the last position it saw.
struct Watching<'a> {
    sender: &'a Sender,
    referral: String,
    after: u64,
    stream: Option<tonic::Streaming<wire::WatchResponse>>,
}

impl<'a> Watching<'a> {
    fn new(sender: &'a Sender, referral: String, after: u64) -> Watching<'a> {
        Watching { sender, referral, after, stream: None }
    }

    async fn next(&mut self) -> Result<common::ProgressEntry, Failed> {
        loop {
            match self.try_next().await {
                Ok(Some(entry)) => {
                    self.after = entry.position;
                    return Ok(entry);
                }
                Ok(None) => self.pause(Duration::from_secs(1)).await,
                // It was received a moment ago; the broker may not have taken it up yet.
                Err(status) if status.code() == Code::NotFound && self.after == 0 => self.pause(Duration::from_millis(300)).await,
                Err(status) => match retry_after(&status) {
                    Some(delay) => {
                        eprintln!("{}", in_words(&status).lines().next().unwrap_or_default());
                        self.pause(delay).await;
                    }
                    None => return Err(status.into()),
                },
            }
        }
    }

    async fn try_next(&mut self) -> Result<Option<common::ProgressEntry>, Status> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let request = wire::WatchRequest { after: self.after, referral_id: self.referral.clone() };
                let stream = self.sender.referrals().watch(request).await?.into_inner();
                self.stream.insert(stream)
            }
        };
        Ok(stream.message().await?.and_then(|told| told.entry))
    }

    async fn pause(&mut self, delay: Duration) {
        self.stream = None;
        tokio::time::sleep(jittered(delay)).await;
    }
}

fn new_key() -> IdempotencyKey {
    IdempotencyKey::from_bytes(*uuid::Uuid::new_v4().as_bytes())
}

fn indented(json: &str) -> Result<String, serde_json::Error> {
    let value: serde_json::Value = serde_json::from_str(json)?;
    serde_json::to_string_pretty(&value)
}
