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
use adapters::console::{Stopped, again_soon, due, exit, in_london, new_trace, person, printable, say};
use adapters::ladder::{self, Climb, Reached, Until};
use adapters::police;
use adapters::samples::Sample;
use adapters::school::{self, Translated};
use clap::{Args, Parser, Subcommand};
use prost::Message as _;
use proto::json;
use proto::read::{Invalid, Violation};
use proto::wire::common::v1 as common;
use proto::wire::police::v1::PublicProtectionNotice;
use proto::wire::referral::v1::{self as wire, Receipt};
use proto::wire::school::v1 as form;
use proto::wire::school::v1::school_service_client::SchoolServiceClient;
use referral::{Digest, Endpoint, IdempotencyKey};
use safeguarding_client::{CALL_PATIENCE, Client, no_receipt};
use tokio::time::timeout;
use transport::clock::Clock;

mod fhir;
mod forms;

use forms::Form;

const EXAMPLES: &str = "Example:
  safeguarding-send --config school.999001.toml refer --sample neglect --follow-until acknowledged
  safeguarding-send --config school.999001.toml sample neglect >form.json   # a form to start from
  safeguarding-send --config school.999001.toml refer --form form.json

Ends with 0 when all went well, 1 when the broker refused, gave it back or could not be reached, 2 when the command
line or the configuration is wrong, 3 when what was waited for did not happen in time.";

/// Sends safeguarding referrals as the agency that your certificate names, and follows them.
#[derive(Parser)]
#[command(name = "safeguarding-send", version, after_help = EXAMPLES)]
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
        what: Source,
        #[command(flatten)]
        key: Key,
        /// Prints the ladder as it is climbed, until this rung.
        #[arg(long, value_name = "RUNG")]
        follow_until: Option<Until>,
        /// For how many seconds to follow.
        #[arg(long, default_value_t = 900)]
        follow_for: u64,
        /// As JSON, one line each, instead of text: the receipt, then the ladder.
        #[arg(long)]
        json: bool,
    },
    /// Shows what would happen to a referral, and why. Nothing is stored.
    Preview {
        #[command(flatten)]
        what: Source,
        /// As JSON on one line instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Sends a changed version: the whole as it now stands.
    Amend {
        /// The referral's id.
        referral: String,
        #[command(flatten)]
        what: Source,
        #[command(flatten)]
        key: Key,
        /// As JSON on one line instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Sends a correction: something in it was wrong. The whole as it should have been goes to everybody who received an
    /// earlier version.
    Correct {
        /// The referral's id.
        referral: String,
        #[command(flatten)]
        what: Source,
        #[command(flatten)]
        key: Key,
        /// As JSON on one line instead of text.
        #[arg(long)]
        json: bool,
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
    /// Says that whoever had agreed agrees no longer. What rests on agreement alone stops; the rest goes on.
    WithdrawConsent {
        /// The referral's id.
        referral: String,
        /// To whom it was said: "Name, role".
        #[arg(long = "as", value_parser = person)]
        by: common::Practitioner,
        /// Who withdrew it.
        #[arg(long, value_enum)]
        withdrawn_by: Holder,
        /// The London date on which it was withdrawn, such as 2026-11-24.
        #[arg(long, value_name = "DATE")]
        on: String,
        /// Why, as far as they said: those who received the referral read it.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Disagrees with what was decided, or with nothing having been decided. After the answer, or when nobody answered in
    /// time, it goes one stage higher.
    Disagree {
        /// The referral's id.
        referral: String,
        /// Who: "Name, role".
        #[arg(long = "as", value_parser = person)]
        by: common::Practitioner,
        /// With what, and why.
        #[arg(long)]
        reason: String,
        /// The child is not safe now: it goes past every stage, to whoever is on duty. This does not replace 999.
        #[arg(long)]
        immediate_danger: bool,
    },
    /// Sends another form of your own door than the referral that `refer` sends.
    Report {
        /// Which form.
        #[arg(value_enum)]
        which: Form,
        /// The form in JSON; `-` for the standard input.
        #[arg(long, value_name = "FILE")]
        form: PathBuf,
        #[command(flatten)]
        key: Key,
        /// As JSON on one line instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Sends a FHIR R4 message, a Bundle in the shape of BaRS, and prints the OperationOutcome that answers it.
    Fhir {
        /// The message in JSON or XML; `-` for the standard input.
        #[arg(value_name = "FILE")]
        message: PathBuf,
        #[command(flatten)]
        key: Key,
    },
    /// Prints the FHIR feedback message of a referral: what became of it.
    FhirFeedback {
        /// The referral's id.
        referral: String,
        /// The id of the MessageHeader that was sent: the feedback answers it.
        #[arg(long, value_name = "ID")]
        message_id: String,
        /// The correlation id of the exchange. Without any: the referral's id.
        #[arg(long, value_name = "ID")]
        correlation_id: Option<String>,
        /// In XML instead of JSON.
        #[arg(long)]
        xml: bool,
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
        /// As JSON, one line a page, instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Shows what happens to your referrals, as it happens, until it is stopped.
    Watch {
        /// Only this referral.
        #[arg(long)]
        referral: Option<String>,
        /// Only what came after this position.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Ends when nothing has happened for so many seconds.
        #[arg(long)]
        wait: Option<u64>,
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

/// Who can agree, and so withdraw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Holder {
    /// Somebody who holds parental responsibility.
    ParentalResponsibility,
    /// The young person, from 16.
    YoungPerson,
    /// A younger child who is competent to decide.
    CompetentChild,
}

impl Holder {
    fn number(self) -> i32 {
        let holder = match self {
            Holder::ParentalResponsibility => common::AgreementHolder::ParentalResponsibility,
            Holder::YoungPerson => common::AgreementHolder::YoungPerson,
            Holder::CompetentChild => common::AgreementHolder::CompetentChild,
        };
        holder as i32
    }
}

/// Where the content comes from. Without any: the synthetic sample `neglect`.
#[derive(Args, Clone)]
#[group(multiple = false)]
struct Source {
    /// A synthetic referral about nobody.
    #[arg(long, value_enum)]
    sample: Option<Sample>,
    /// Your form in JSON; `-` for the standard input. A school's is safeguarding.school.v1.ReferralForm, a force's
    /// safeguarding.police.v1.PublicProtectionNotice.
    #[arg(long, alias = "file", value_name = "FILE")]
    form: Option<PathBuf>,
    /// A canonical submission (safeguarding.common.v1.Submission) in JSON; `-` for the standard input.
    #[arg(long, value_name = "FILE")]
    submission: Option<PathBuf>,
}

impl Source {
    fn is_sample(&self) -> bool {
        self.form.is_none() && self.submission.is_none()
    }
}

/// Under which key it is sent. Without any: what was sent before, or cut off, is the same send again.
#[derive(Args, Clone)]
#[group(multiple = false)]
struct Key {
    /// Sends it as something new although the same was sent before.
    #[arg(long)]
    anew: bool,
    /// Sends it under this key (a UUID). The same key with other content is an amendment, flagged.
    #[arg(long, value_name = "UUID", value_parser = uuid_key)]
    key: Option<IdempotencyKey>,
    /// Sends it under the key in this file, which is made if it is not there.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl Key {
    /// As the client asks for it; `anew` where the same may be sent more than once.
    fn asked(self, anew: bool) -> safeguarding_client::Key {
        match (self.key, self.key_file) {
            (Some(key), _) => safeguarding_client::Key::This(key),
            (None, Some(path)) => safeguarding_client::Key::InFile(path),
            (None, None) if self.anew || anew => safeguarding_client::Key::Anew,
            (None, None) => safeguarding_client::Key::Kept,
        }
    }
}

fn uuid_key(text: &str) -> Result<IdempotencyKey, String> {
    IdempotencyKey::parse(text).map_err(|why| format!("it {why}"))
}

#[tokio::main]
async fn main() -> ExitCode {
    transport::tls::install_crypto();
    exit("safeguarding-send", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<(), Stopped> {
    let party = Party::read(&arguments.config)?;
    let identity = party.tls.identity()?;
    let us = Endpoint::parse(identity.common_name())
        .map_err(|why| Stopped::Unusable(format!("the name in the certificate under [tls] {why}")))?;
    let channel = client::channel(&party.gateway.address, &party.gateway.server_name, &identity, CALL_PATIENCE)?;
    let folder = arguments.outbox.unwrap_or_else(|| arguments.config.with_file_name("sent"));
    let trace = new_trace();
    let client = Client::new(channel, us.clone(), folder).in_trace(trace.clone()).telling(again_soon);
    let sender = Sender { us, client, trace };
    match arguments.command {
        Command::Refer { what, key, follow_until, follow_for, json } => {
            let receipt = sender.refer(&sender.content(&what)?, key, what.is_sample()).await?;
            if json {
                say(&as_json(&receipt)?)?;
            } else {
                say(&format!("referral {}", receipt.referral_id))?;
                for further in &receipt.further_referral_ids {
                    say(&format!("referral {further} (a further child)"))?;
                }
                sender.say_receipt(&receipt)?;
            }
            let Some(until) = follow_until else { return Ok(()) };
            let Receipt { referral_id, further_referral_ids, .. } = receipt;
            let referrals: Vec<String> = std::iter::once(referral_id).chain(further_referral_ids).collect();
            sender.follow(&referrals, until, Duration::from_secs(follow_for), json).await
        }
        Command::Preview { what, json } => sender.preview(sender.content(&what)?, json).await,
        Command::Amend { referral, what, key, json } => {
            let content = sender.content(&what)?;
            let receipt = sender.amend(&referral, content, key).await?;
            if json {
                return say(&as_json(&receipt)?);
            }
            say(&format!("amended  {}", receipt.referral_id))?;
            sender.say_receipt(&receipt)
        }
        Command::Correct { referral, what, key, json } => {
            let content = sender.content(&what)?.canonical(&sender.us)?.content;
            let receipt = sender.client.correct(&referral, &content, key.asked(true)).await?;
            if json {
                return say(&as_json(&receipt)?);
            }
            say(&format!("corrected {}", receipt.referral_id))?;
            sender.say_receipt(&receipt)
        }
        Command::Withdraw { referral, by, reason } => {
            let request = wire::WithdrawRequest { referral_id: referral, by: Some(by), reason };
            let answer = sender.client.withdraw(request).await?;
            say(&format!("withdrawn {}\n{}", answer.referral_id, printable(&answer.meaning)))
        }
        Command::WithdrawConsent { referral, by, withdrawn_by, on, reason } => {
            let (by, withdrawn_by) = (Some(by), withdrawn_by.number());
            let request = wire::WithdrawConsentRequest { referral_id: referral, by, withdrawn_by, withdrawn_on: on, reason };
            let answer = sender.client.withdraw_consent(request).await?;
            say(&format!("agreement withdrawn {}\n{}", answer.referral_id, printable(&answer.meaning)))
        }
        Command::Disagree { referral, by, reason, immediate_danger } => {
            let request = wire::DisagreeRequest { referral_id: referral, by: Some(by), reason, immediate_danger };
            let answer = sender.client.disagree(request).await?;
            say(&format!("disagreed {}\n{}", answer.referral_id, printable(&answer.meaning)))
        }
        Command::Report { which, form, key, json } => {
            let receipt = sender.report(which, &form, key).await?;
            if json {
                return say(&as_json(&receipt)?);
            }
            say(&format!("referral {}", receipt.referral_id))?;
            sender.say_receipt(&receipt)
        }
        Command::Fhir { message, key } => sender.fhir(&message, key).await,
        Command::FhirFeedback { referral, message_id, correlation_id, xml } => {
            sender.fhir_feedback(referral, message_id, correlation_id, xml).await
        }
        Command::Get { referral, json } => sender.get(referral, json).await,
        Command::List { open, json } => sender.list(open, json).await,
        Command::Watch { referral, after, wait, json } => sender.watch(referral, after, wait, json).await,
        Command::Sample { sample } if matches!(sender.us, Endpoint::Police(_)) => say(&indented(&as_json(&sample.notice())?)?),
        Command::Sample { sample } => say(&indented(&as_json(&sample.form(sender.urn()))?)?),
    }
}

fn as_json<M: json::Named>(message: &M) -> Result<String, Stopped> {
    json::write(message).map_err(|fault| Stopped::Unusable(format!("it cannot be written as JSON: {fault}")))
}

/// What is to be sent.
enum Content {
    Form(Box<form::ReferralForm>),
    Submission(Box<common::Submission>),
}

impl Content {
    /// In the contract's words, for services that know no school's form.
    fn canonical(self, us: &Endpoint) -> Result<Canonical, Stopped> {
        let form = match self {
            Content::Submission(content) => return Ok(Canonical { content: *content, form: None }),
            Content::Form(form) => form,
        };
        let translated = read_here_first(us, school::referral(*form))?;
        Ok(Canonical { content: translated.content.clone(), form: Some(translated) })
    }
}

/// The door would name our fields; read here first, faults are told in the form's.
fn read_here_first(us: &Endpoint, translated: Translated) -> Result<Translated, Stopped> {
    if !translated.may_come_from(us) {
        return Err(Stopped::Unusable("the form names another agency than your certificate".to_owned()));
    }
    let (no_key, now) = (IdempotencyKey::from_bytes([0; 16]), Clock::system().now());
    let invalid = proto::read::submission(us, no_key, now, &translated.content).err();
    let faults = translated.in_the_forms_words(invalid.unwrap_or(Invalid(Vec::new()))).0;
    if faults.is_empty() {
        return Ok(translated);
    }
    let told = faults.iter().map(|fault| format!("\n  {} {} [{}]", fault.field, fault.because, fault.rule));
    Err(Stopped::Refused(format!("the form cannot be sent as it is:{}", told.collect::<String>())))
}

/// Content in the contract's words.
struct Canonical {
    content: common::Submission,
    /// The form it was, if it was one.
    form: Option<Translated>,
}

impl Canonical {
    /// The name of a field as its writer knows it.
    fn field(&self, canonical: String) -> String {
        let Some(form) = &self.form else { return canonical };
        let asked = Invalid(vec![Violation { field: canonical.clone(), rule: "", because: String::new() }]);
        form.in_the_forms_words(asked).0.pop().map_or(canonical, |told| told.field)
    }
}

struct Sender {
    us: Endpoint,
    client: Client,
    /// All that one command asks is one trace.
    trace: String,
}

impl Sender {
    /// The rest of a receipt, as text.
    fn say_receipt(&self, receipt: &Receipt) -> Result<(), Stopped> {
        let trace = self.trace.split('-').nth(1).unwrap_or_default();
        say(&format!("digest   {}\ntrace    {trace}\n{}", receipt.content_digest, printable(&receipt.meaning)))
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
            | Endpoint::Voluntary(_)
            | Endpoint::NhsService(..)
            | Endpoint::Marac(_)
            | Endpoint::National(_)
            | Endpoint::Household(_)
            | Endpoint::Public
            | Endpoint::Operator => "999999",
        }
    }

    fn content(&self, what: &Source) -> Result<Content, Stopped> {
        let Source { sample, form, submission } = what;
        if let Some(path) = submission {
            return Ok(Content::Submission(Box::new(from_json(path)?)));
        }
        if let Endpoint::Police(_) = &self.us {
            let notice: PublicProtectionNotice = match form {
                Some(path) => from_json(path)?,
                None => sample.unwrap_or(Sample::Neglect).notice(),
            };
            return Ok(Content::Submission(Box::new(read_here_first(&self.us, police::notice(notice))?.content)));
        }
        let form = match form {
            Some(path) => from_json(path)?,
            None => sample.unwrap_or(Sample::Neglect).form(self.urn()),
        };
        match &self.us {
            Endpoint::School(_) => Ok(Content::Form(Box::new(form))),
            // Other senders have no form of their own here; its content is the same in the contract's words.
            Endpoint::Authority(..)
            | Endpoint::Police(_)
            | Endpoint::PolicePrevent(_)
            | Endpoint::Nhs(_)
            | Endpoint::Adult(_)
            | Endpoint::Devolved(_)
            | Endpoint::Voluntary(_)
            | Endpoint::NhsService(..)
            | Endpoint::Marac(_)
            | Endpoint::National(_)
            | Endpoint::Household(_)
            | Endpoint::Public
            | Endpoint::Operator => Ok(Content::Submission(Box::new(read_here_first(&self.us, school::referral(form))?.content))),
        }
    }

    /// Sends `what` under the key that `key` asks for, kept on the disk first. A sample may be sent as often as
    /// anybody likes; anything else is one referral until somebody says otherwise.
    async fn refer(&self, content: &Content, key: Key, is_sample: bool) -> Result<Receipt, Stopped> {
        let key = key.asked(is_sample);
        let form = match content {
            Content::Submission(content) => return Ok(self.client.submit(content, key).await?),
            Content::Form(form) => form,
        };
        let what = Digest::of(&[b"form", &form.encode_to_vec()]);
        let send = |idempotency_key| {
            let request = self.client.ask(form::ReferRequest { idempotency_key, form: Some((**form).clone()) });
            let mut service = SchoolServiceClient::new(self.client.channel());
            async move { service.refer(request).await?.into_inner().receipt.ok_or_else(no_receipt) }
        };
        Ok(self.client.send(&what, key, send).await?)
    }

    async fn amend(&self, referral: &str, content: Content, key: Key) -> Result<Receipt, Stopped> {
        let content = content.canonical(&self.us)?.content;
        Ok(self.client.amend(referral, &content, key.asked(true)).await?)
    }

    async fn preview(&self, content: Content, json: bool) -> Result<(), Stopped> {
        let canonical = content.canonical(&self.us)?;
        let request = wire::PreviewRequest { content: Some(canonical.content.clone()) };
        let call = || {
            let (mut service, request) = (self.client.referrals(), self.client.ask(request.clone()));
            async move { service.preview(request).await }
        };
        let preview = self.client.call(call).await?.into_inner();
        if json {
            return say(&as_json(&preview)?);
        }
        for child in preview.children {
            use common::child_preview::Verdict;
            use common::progress_entry::Step;
            let step = child.verdict.map(|verdict| match verdict {
                Verdict::Routed(routed) => Step::Routed(routed),
                Verdict::Held(held) => Step::Held(held),
                Verdict::ReturnedToSender(returned) => Step::ReturnedToSender(returned),
                Verdict::Refused(refused) => Step::Refused(refused),
            });
            let would = ladder::words(&common::ProgressEntry { step, ..common::ProgressEntry::default() });
            say(&format!("child {} would be:\n{would}", child.child.saturating_add(1)))?;
        }
        for missing in preview.missing {
            say(&printable(&format!("{} {}", canonical.field(missing.field), missing.because)))?;
        }
        say("nothing was stored")
    }

    async fn status_of(&self, referral: String) -> Result<common::ReferralStatus, Stopped> {
        let request = wire::GetRequest { referral_id: referral };
        let call = || {
            let (mut service, request) = (self.client.referrals(), self.client.ask(request.clone()));
            async move { service.get(request).await }
        };
        Ok(self.client.call(call).await?.into_inner().status.unwrap_or_default())
    }

    async fn get(&self, referral: String, json: bool) -> Result<(), Stopped> {
        let status = self.status_of(referral).await?;
        if json {
            return say(&as_json(&status)?);
        }
        let open = if status.open { "open" } else { "closed" };
        say(&format!("referral {}: {}, {open}", status.referral_id, ladder::stage_words(status.stage())))?;
        for clock in &status.clocks {
            let about = clock.clock.clone().unwrap_or_default();
            let how = match (clock.met.is_some(), clock.breached.is_some(), clock.stopped) {
                (true, _, _) => "met",
                (_, true, _) => "LATE",
                (_, _, true) => "stopped",
                _ => "running",
            };
            say(&printable(&format!("{} due by {}: {how}", about.name, due(&about))))?;
        }
        if let Some(disagreement) = &status.disagreement {
            say(&ladder::disagreement_words(disagreement))?;
        }
        status.ladder.iter().try_for_each(|entry| say(&ladder::words(entry)))
    }

    async fn list(&self, open_only: bool, json: bool) -> Result<(), Stopped> {
        let mut page_token = String::new();
        loop {
            let request = wire::ListRequest { page_size: 100, page_token: page_token.clone(), open_only };
            let call = || {
                let (mut service, request) = (self.client.referrals(), self.client.ask(request.clone()));
                async move { service.list(request).await }
            };
            let page = self.client.call(call).await?.into_inner();
            if json {
                say(&as_json(&page)?)?;
            } else {
                page.referrals.iter().try_for_each(|summary| say(&line(summary)))?;
            }
            if page.next_page_token.is_empty() {
                return Ok(());
            }
            page_token = page.next_page_token;
        }
    }

    async fn watch(&self, referral: Option<String>, after: u64, wait: Option<u64>, json: bool) -> Result<(), Stopped> {
        if let Some(referral) = &referral {
            // The stream of a referral that is not ours is empty and never ends: asked first, a slip of the pen is told.
            self.status_of(referral.clone()).await?;
        }
        let mut watching = self.client.watch(&referral.unwrap_or_default(), after);
        loop {
            let entry = match wait {
                None => watching.next().await?,
                Some(wait) => timeout(Duration::from_secs(wait), watching.next())
                    .await
                    .map_err(|_| Stopped::Nothing(format!("nothing happened for {wait} s")))??,
            };
            if json {
                say(&as_json(&entry)?)?;
            } else {
                say(&format!("{}  {}  {}", entry.position, entry.referral_id, ladder::words(&entry)))?;
            }
        }
    }

    /// Shows the ladders of `referrals` side by side until each has reached `until`.
    async fn follow(&self, referrals: &[String], until: Until, patience: Duration, json: bool) -> Result<(), Stopped> {
        let several = referrals.len() > 1;
        let climbing = referrals.iter().zip(1..).map(|(referral, nth)| async move {
            let mut watching = self.client.watch(referral, 0);
            let mut climb = Climb::default();
            loop {
                let entry = watching.next().await?;
                let words = if json { as_json(&entry)? } else { ladder::words(&entry) };
                say(&if several && !json { format!("child {nth}: {words}") } else { words })?;
                match climb.step(&entry, until) {
                    Reached::Climbing => continue,
                    Reached::There => return Ok(()),
                    Reached::Ended => {
                        let gone = format!("referral {referral} came back, and goes no further; the reasons stand above");
                        return Err(Stopped::Refused(gone));
                    }
                }
            }
        });
        // All to their end: that one child's came back says nothing of the others'.
        let climbed = timeout(patience, futures_util::future::join_all(climbing)).await;
        let not_yet = || {
            let (patience, referral) = (patience.as_secs(), referrals.first().map(String::as_str).unwrap_or_default());
            Stopped::Nothing(format!(
                "not there after {patience} s; nothing is lost. To go on following: watch --referral {referral}"
            ))
        };
        climbed.map_err(|_| not_yet())?.into_iter().collect()
    }
}

fn line(summary: &common::ReferralSummary) -> String {
    let open = if summary.open { "open" } else { "closed" };
    let next = summary.next_due.as_ref().map(|clock| format!(", {} due by {}", clock.name, due(clock))).unwrap_or_default();
    let (at, stage) = (in_london(summary.received.as_ref()), ladder::stage_words(summary.stage()));
    printable(&format!("{}  {at}  {stage}, {open}{next}", summary.referral_id))
}

/// The message that stands as JSON in the file at `path`, or comes from the standard input.
fn from_json<M: json::Named>(path: &Path) -> Result<M, Stopped> {
    json::read(&text_of(path)?)
        .map_err(|fault| Stopped::Unusable(format!("{}: {fault}. To see the form of one: sample neglect", path.display())))
}

/// What stands in the file at `path`, or comes from the standard input.
fn text_of(path: &Path) -> Result<String, Stopped> {
    let from_input = path == Path::new("-");
    let text = if from_input { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    text.map_err(|fault| Stopped::Unusable(format!("cannot read {}: {fault}", path.display())))
}

fn indented(json: &str) -> Result<String, Stopped> {
    let indented = serde_json::from_str::<serde_json::Value>(json).and_then(|value| serde_json::to_string_pretty(&value));
    indented.map_err(|fault| Stopped::Unusable(format!("it cannot be written as JSON: {fault}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(["safeguarding-send", "--config", "school.toml"].iter().chain(line))
    }

    #[test]
    fn the_command_line_is_one_that_clap_accepts() {
        Arguments::command().debug_assert();
        for line in [
            &["refer"][..],
            &["refer", "--sample", "neglect", "--follow-until", "closed"],
            &["refer", "--file", "form.json", "--follow-until", "outcome_returned"],
            &["refer", "--submission", "-", "--key-file", "it.key", "--json"],
            &["refer", "--key", "6f1c0c1e-58a4-4f5a-9b3b-1f4f0e6a7d11"],
            &["amend", "0f1c0c1e-58a4-8f5a-9b3b-1f4f0e6a7d11", "--form", "form.json"],
            &["withdraw", "0f1c0c1e-58a4-8f5a-9b3b-1f4f0e6a7d11", "--as", "Dora Lead, head", "--reason", "sent twice"],
            &["correct", "0f1c0c1e-58a4-8f5a-9b3b-1f4f0e6a7d11", "--form", "form.json"],
            &[
                "withdraw-consent",
                "0f1c0c1e-58a4-8f5a-9b3b-1f4f0e6a7d11",
                "--as",
                "Dora Lead, head",
                "--withdrawn-by",
                "parental-responsibility",
                "--on",
                "2026-11-24",
            ],
            &["disagree", "0f1c0c1e-58a4-8f5a-9b3b-1f4f0e6a7d11", "--as", "Dora Lead, head", "--reason", "not seen"],
            &["report", "police-protection", "--form", "form.json", "--key-file", "it.key"],
            &["report", "unscheduled-attendance", "--form", "-", "--json"],
            &["fhir", "message.xml", "--key-file", "it.key"],
            &["fhir-feedback", "0f1c0c1e-58a4-8f5a-9b3b-1f4f0e6a7d11", "--message-id", "m", "--xml"],
            &["list", "--open", "--json"],
            &["watch", "--after", "12"],
        ] {
            assert!(parse(line).is_ok(), "{line:?}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_wrong_usage() {
        for line in [
            &["refer", "--sample", "neglect", "--form", "form.json"][..],
            &["refer", "--anew", "--key-file", "it.key"],
            &["refer", "--key", "not a key"],
            &["report", "police-protection"],
            &["report", "nothing-of-ours", "--form", "form.json"],
            &["withdraw-consent", "0f1c0c1e-58a4-8f5a-9b3b-1f4f0e6a7d11", "--as", "Dora Lead, head", "--on", "2026-11-24"],
            &["withdraw", "0f1c0c1e-58a4-8f5a-9b3b-1f4f0e6a7d11", "--as", "Dora Lead", "--reason", "no role"],
        ] {
            assert_eq!(parse(line).map(|_| ()).unwrap_err().exit_code(), 2, "{line:?}");
        }
    }

    #[test]
    fn a_form_that_cannot_be_sent_is_told_in_its_own_fields() {
        let us = Endpoint::parse("school.999001").unwrap();
        let mut form = Sample::Neglect.form("999001");
        form.level = 0;
        if let Some(identity) = form.pupil.as_mut().and_then(|pupil| pupil.identity.as_mut()) {
            identity.age = Some(common::identity::Age::DateOfBirth("2017-02-30".to_owned()));
        }
        let refused = Content::Form(Box::new(form)).canonical(&us).err().unwrap();
        let words = refused.to_string();
        assert_eq!(refused.exit_code(), 1);
        assert!(words.contains("\n  form.level ") && words.contains("\n  form.pupil.identity.date_of_birth "), "{words}");
        assert!(!words.contains("2017-02-30"), "{words}");
    }

    #[test]
    fn a_form_of_another_school_is_not_even_asked_about() {
        let us = Endpoint::parse("school.999002").unwrap();
        assert!(Content::Form(Box::new(Sample::Neglect.form("999001"))).canonical(&us).is_err());
    }

    #[test]
    fn what_a_preview_misses_is_named_as_the_form_names_it() {
        let us = Endpoint::parse("school.999001").unwrap();
        let canonical = Content::Form(Box::new(Sample::Neglect.form("999001"))).canonical(&us).ok().unwrap();
        assert_eq!(canonical.field("content.child.places.home".to_owned()), "form.pupil.places.home");
    }
}
