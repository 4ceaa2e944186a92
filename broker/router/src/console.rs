//! The operator's command line: reviews and quarantine, asked of the running broker over mutual TLS.
//!
//! What it lists says nothing about a child; content is shown by `review open` only. Nothing that was written
//! elsewhere can move the cursor or colour the screen.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use proto::wire::common::v1 as common;
use proto::wire::operator::v1 as wire;
use proto::wire::operator::v1::operator_service_client::OperatorServiceClient;
use proto::words::Word;
use referral::Moment;
use referral::time::{london_date, london_time};
use referral::vocab::{
    Agreement, Category, DutyDecision, EventKind, HandlingFlag, HarmType, Knowledge, Level, Subject, Vocabulary,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as Pem};
use tonic::{Code, Status};
use transport::tls::{Files, Identity};

use router::config::OperatorConfig;

/// How long a connection, and an answer, may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the broker is, and who asks.
#[derive(Args)]
pub struct Reach {
    /// The operator's configuration: where the broker is, and the certificate to show it.
    #[arg(long)]
    config: PathBuf,
}

/// Who acts, and why. Recorded.
#[derive(Args)]
pub struct Who {
    /// The person who acts: "Name, role".
    #[arg(long = "as", value_name = "NAME, ROLE", value_parser = person)]
    by: Person,
    /// Why.
    #[arg(long)]
    reason: String,
}

/// A name and a role.
#[derive(Clone)]
pub struct Person(common::Practitioner);

/// Which review of which referral.
#[derive(Args)]
pub struct Which {
    /// The referral's id, as `review list` shows it.
    referral: String,
    /// The review that was looked at: its number, as `review list` and `review open` show it.
    #[arg(long = "looked-at", value_name = "NUMBER")]
    number: u32,
}

/// What the rules put before a person.
#[derive(Subcommand)]
pub enum ReviewCommand {
    /// List what waits: since when, how serious, and by which rule. No content.
    List {
        #[command(flatten)]
        reach: Reach,
    },
    /// Show the content. Who opened it, and why, is recorded before anything is shown.
    Open {
        /// The referral's id, as `review list` shows it.
        referral: String,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        reach: Reach,
    },
    /// Say what a choice would do: who would receive what. Nothing is stored or sent.
    Preview {
        #[command(flatten)]
        which: Which,
        /// As if it were redirected to this endpoint; if left out, as if it were released.
        #[arg(long, conflicts_with = "returned")]
        to: Option<String>,
        /// As if it were returned to the sender.
        #[arg(long)]
        returned: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Let it go on as the rules intended; where only items wait, hand those over.
    Release {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        reach: Reach,
    },
    /// Send it to another endpoint, which receives what the rules allow it.
    Redirect {
        #[command(flatten)]
        which: Which,
        /// The endpoint, such as la.E08000035.front-door; the directory must know it.
        #[arg(long)]
        to: String,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        reach: Reach,
    },
    /// Give it back to the sender, who reads the reason; where only items wait, leave those withheld.
    Return {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        reach: Reach,
    },
}

/// What could not be processed.
#[derive(Subcommand)]
pub enum QuarantineCommand {
    /// List it: why, since when, how long, from which queue. No content.
    List {
        #[command(flatten)]
        reach: Reach,
    },
    /// Say what a release of one message would do now. No content.
    Show {
        /// The message's id, as `quarantine list` shows it.
        message: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Process the same bytes once more, as if they came now.
    Release {
        /// The message's id, as `quarantine list` shows it.
        message: String,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        reach: Reach,
    },
}

/// Why a command was not carried out, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotDone(String);

impl From<Status> for NotDone {
    fn from(status: Status) -> NotDone {
        let advice = match status.code() {
            // A client's own patience ends as cancelled.
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
                ". If it was to change something, whether that was done is not known: look with `list`, then try again"
            }
            Code::PermissionDenied => ". Name an operator's certificate under [tls]",
            _ => "",
        };
        NotDone(printable(&format!("{}{advice}", status.message())))
    }
}

type Client = OperatorServiceClient<Channel>;

impl Reach {
    fn client(&self) -> Result<Client, NotDone> {
        let fault = |why: &dyn std::fmt::Display| NotDone(format!("{why}"));
        let config = OperatorConfig::read(&self.config).map_err(|why| fault(&why))?;
        let files = Files { ca: config.tls.ca, certificate: config.tls.certificate, key: config.tls.key };
        let identity = Identity::load(&files).map_err(|why| fault(&why))?;
        let address = config.broker.address;
        let bad = || NotDone(format!("[broker] address {address:?} is not an address such as https://127.0.0.1:7644"));
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(identity.ca_pem()))
            .identity(Pem::from_pem(identity.certificate_pem(), identity.key_pem()))
            .domain_name(config.broker.server_name);
        let endpoint = Some(&address).filter(|address| address.starts_with("https://")).ok_or_else(bad)?;
        let endpoint = Endpoint::from_shared(endpoint.clone()).map_err(|_| bad())?.tls_config(tls).map_err(|_| bad())?;
        Ok(OperatorServiceClient::new(endpoint.connect_timeout(CONNECT_PATIENCE).timeout(PATIENCE).connect_lazy()))
    }
}

/// A person given as "Name, role".
fn person(text: &str) -> Result<Person, String> {
    match text.split_once(',').map(|(name, role)| (name.trim(), role.trim())) {
        Some((name, role)) if !name.is_empty() && !role.is_empty() => {
            Ok(Person(common::Practitioner { name: name.to_owned(), role: role.to_owned(), contact: String::new() }))
        }
        Some(_) | None => Err("a name and a role are needed, such as \"Priya Shah, safeguarding lead\"".to_owned()),
    }
}

/// Carries a command about reviews out, and says what is to be shown.
pub async fn review(command: ReviewCommand) -> Result<String, NotDone> {
    match command {
        ReviewCommand::List { reach } => list(reach.client()?, &reach).await,
        ReviewCommand::Open { referral, who, reach } => {
            let request = wire::OpenReviewRequest { referral_id: referral, by: Some(who.by.0), reason: who.reason };
            let opened = reach.client()?.open_review(request).await?.into_inner();
            Ok(printable(&content(&opened, &reach)))
        }
        ReviewCommand::Preview { which, to, returned, reach } => {
            let choice = match to {
                Some(endpoint) => redirect(endpoint),
                None if returned => give_back(),
                None => release(),
            };
            let request = wire::PreviewReviewRequest { referral_id: which.referral, number: which.number, choice: Some(choice) };
            let previewed = reach.client()?.preview_review(request).await?.into_inner();
            Ok(match previewed.preview {
                Some(previewed) => printable(&preview(previewed)),
                None => "the items would stay withheld, and the sender would read why\n".to_owned(),
            })
        }
        ReviewCommand::Release { which, who, reach } => decide(which, release(), who, &reach).await,
        ReviewCommand::Redirect { which, to, who, reach } => decide(which, redirect(to), who, &reach).await,
        ReviewCommand::Return { which, who, reach } => decide(which, give_back(), who, &reach).await,
    }
}

fn release() -> wire::Choice {
    wire::Choice { choice: Some(wire::choice::Choice::Release(wire::Release {})) }
}

fn redirect(endpoint: String) -> wire::Choice {
    wire::Choice { choice: Some(wire::choice::Choice::Redirect(wire::Redirect { endpoint })) }
}

fn give_back() -> wire::Choice {
    wire::Choice { choice: Some(wire::choice::Choice::ReturnToSender(wire::ReturnToSender {})) }
}

async fn decide(which: Which, choice: wire::Choice, who: Who, reach: &Reach) -> Result<String, NotDone> {
    let request = wire::DecideReviewRequest {
        referral_id: which.referral.clone(),
        number: which.number,
        choice: Some(choice),
        by: Some(who.by.0),
        reason: who.reason,
    };
    let decided = reach.client()?.decide_review(request).await?.into_inner();
    let stage = decided.stage().as_str_name().trim_start_matches("STAGE_").to_ascii_lowercase().replace('_', " ");
    Ok(format!("recorded; referral {} is now: {stage}\n", printable(&which.referral)))
}

async fn list(mut client: Client, reach: &Reach) -> Result<String, NotDone> {
    let mut waiting = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = client.list_reviews(wire::ListReviewsRequest { page_size: 0, page_token }).await?.into_inner();
        waiting.extend(page.reviews);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    if waiting.is_empty() {
        return Ok("nothing waits for a person\n".to_owned());
    }
    // What cannot wait stands first; within each, what waits longest.
    waiting.sort_by_key(|review| (!review.urgent, review.since.map(|since| (since.seconds, since.nanos))));
    let mut text = String::new();
    waiting.iter().for_each(|review| listed(&mut text, review));
    let config = reach.config.display();
    let _ = writeln!(
        text,
        "\nTo read one: safeguarding-broker review open REFERRAL --as \"Name, role\" --reason \"...\" --config {config}"
    );
    Ok(printable(&text))
}

// Writing to a String cannot fail.
fn listed(text: &mut String, review: &wire::WaitingReview) {
    let urgent = if review.urgent { "URGENT  " } else { "" };
    let level = words::<Level>(review.level);
    let withdrawn = if review.withdrawn { "; withdrawn by its sender" } else { "" };
    let intended = if review.intended.is_empty() { "the rules know nobody" } else { &review.intended };
    let _ = writeln!(text, "{}  {urgent}{level}{withdrawn}", review.referral_id);
    let _ = writeln!(text, "    review {}, from {}, waits since {}", review.number, review.sender, since(review.since));
    if review.items.is_empty() {
        let _ = writeln!(text, "    would go to: {intended}");
    } else {
        let _ = writeln!(text, "    went to: {intended}, without what a person must look at first:");
    }
    for item in &review.items {
        let _ = writeln!(text, "    {} waits for {}", words::<Category>(item.category), item.endpoint);
    }
    for held in &review.held_by {
        let _ = writeln!(text, "    {}: {}", held.rule_id, held.reason);
    }
}

fn content(opened: &wire::OpenReviewResponse, reach: &Reach) -> String {
    let mut text = String::new();
    let review = opened.review.clone().unwrap_or_default();
    listed(&mut text, &review);
    let _ = writeln!(text, "    kind: {}", words::<EventKind>(opened.kind));
    let _ = writeln!(text, "    harm: {}", words::<HarmType>(opened.harm));
    let _ = writeln!(text, "    agreement of the family: {}", words::<Agreement>(opened.agreement));
    let _ = writeln!(text, "    decided under the duty to share: {}", words::<DutyDecision>(opened.duty_decision));
    for flag in &opened.handling {
        let _ = writeln!(text, "    CONDITION: {}", words::<HandlingFlag>(*flag));
    }
    for item in &opened.items {
        let about = item.about_child.map_or_else(String::new, |nth| format!(", child {}", nth.saturating_add(1)));
        let (subject, known) = (words::<Subject>(item.subject), words::<Knowledge>(item.knowledge));
        let _ =
            writeln!(text, "\n{} (about the {subject}{about}; known: {known})", words::<Category>(item.category).to_uppercase());
        for flag in &item.handling {
            let _ = writeln!(text, "  CONDITION: {}", words::<HandlingFlag>(*flag));
        }
        if !item.summary.is_empty() {
            let _ = writeln!(text, "  in short: {}", item.summary.lines().collect::<Vec<_>>().join("\n    "));
        }
        match &item.body {
            Some(common::information_item::Body::Text(body)) => {
                body.lines().for_each(|line| {
                    let _ = writeln!(text, "  {line}");
                });
            }
            Some(common::information_item::Body::Fields(fields)) => {
                for field in &fields.fields {
                    // Each line set in, so that no value can look like a heading or a command of ours.
                    let value = field.value.lines().collect::<Vec<_>>().join("\n    ");
                    let _ = writeln!(text, "  {}: {value}", field.name.replace('_', " "));
                }
            }
            Some(common::information_item::Body::Attachment(_)) => {
                let _ = writeln!(text, "  a document that the sender holds");
            }
            None => {}
        }
    }
    let which = format!("{} --looked-at {}", review.referral_id, review.number);
    let who = format!("--as \"Name, role\" --reason \"...\" --config {}", reach.config.display());
    let _ = writeln!(text, "\nWhat you can do (preview shows first what it would do):");
    let _ = writeln!(text, "  safeguarding-broker review preview  {which} --config {}", reach.config.display());
    let _ = writeln!(text, "  safeguarding-broker review release  {which} {who}");
    let _ = writeln!(text, "  safeguarding-broker review redirect {which} --to ENDPOINT {who}");
    let _ = writeln!(text, "  safeguarding-broker review return   {which} {who}");
    text
}

fn preview(preview: common::ChildPreview) -> String {
    use common::child_preview::Verdict;
    let mut text = String::new();
    let sentences = match preview.verdict {
        Some(Verdict::Routed(routed)) => {
            for recipient in &routed.recipients {
                let role = recipient.role().as_str_name().trim_start_matches("RECIPIENT_ROLE_").to_ascii_lowercase();
                let given: Vec<String> = recipient.given.iter().map(|given| words::<Category>(given.category)).collect();
                let _ = writeln!(text, "{} ({}) would receive: {}", recipient.endpoint, role.replace('_', " "), given.join(", "));
            }
            routed.sentences
        }
        Some(Verdict::Held(held)) => held.sentences,
        Some(Verdict::ReturnedToSender(returned)) => {
            let _ = writeln!(text, "it would go back to the sender, with your reason");
            returned.sentences
        }
        Some(Verdict::Refused(refused)) => refused.sentences,
        None => Vec::new(),
    };
    for sentence in sentences {
        let rule = if sentence.rule_id.is_empty() { String::new() } else { format!(" [{}]", sentence.rule_id) };
        let _ = writeln!(text, "  {}{rule}", sentence.text);
    }
    let _ = writeln!(text, "nothing was stored, and nothing was sent");
    text
}

/// Carries a command about quarantine out, and says what is to be shown.
pub async fn quarantine(command: QuarantineCommand) -> Result<String, NotDone> {
    match command {
        QuarantineCommand::List { reach } => {
            let mut client = reach.client()?;
            let (mut text, mut page_token) = (String::new(), String::new());
            loop {
                let request = wire::ListQuarantinedRequest { page_size: 0, page_token };
                let page = client.list_quarantined(request).await?.into_inner();
                page.messages.iter().for_each(|message| quarantined(&mut text, message));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            Ok(if text.is_empty() { "nothing is in quarantine\n".to_owned() } else { printable(&text) })
        }
        QuarantineCommand::Show { message, reach } => {
            let shown = reach.client()?.show_quarantined(wire::ShowQuarantinedRequest { id: message }).await?.into_inner();
            let mut text = String::new();
            quarantined(&mut text, &shown.message.unwrap_or_default());
            let digest: String = shown.digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let _ = writeln!(text, "    SHA-256 of its body {digest}");
            let word = if shown.can_be_released { "if it is released" } else { "it cannot be released" };
            let _ = writeln!(text, "    {word}: {}", shown.outlook);
            Ok(printable(&text))
        }
        QuarantineCommand::Release { message, who, reach } => {
            let request = wire::ReleaseQuarantinedRequest { id: message, by: Some(who.by.0), reason: who.reason };
            let released = reach.client()?.release_quarantined(request).await?.into_inner();
            Ok(printable(&format!("{}: referral {}\n", released.outcome, released.referral_ids.join(", "))))
        }
    }
}

fn quarantined(text: &mut String, message: &wire::QuarantinedMessage) {
    let _ = writeln!(
        text,
        "{}  since {}, {} bytes, from the queue {}",
        message.id,
        since(message.since),
        message.length,
        message.queue
    );
    let _ = writeln!(text, "    {}", message.reason);
}

fn words<W: Word + Vocabulary>(number: i32) -> String {
    W::of(number).map_or_else(|_| "not stated".to_owned(), Vocabulary::words)
}

fn since(time: Option<prost_types::Timestamp>) -> String {
    let moment = time.and_then(|time| Moment::new(time.seconds, time.nanos).ok());
    moment.map_or_else(String::new, |moment| {
        format!("{} {} London time", london_date(moment), london_time(moment).strftime("%H:%M"))
    })
}

/// Text that somebody else wrote, with nothing in it that a terminal obeys.
fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    let shown = |c: char| if (c.is_control() && c != '\n' && c != '\t') || turns(c) { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_needs_a_name_and_a_role() {
        for wrong in ["", "Priya Shah", ", manager", "Priya Shah,"] {
            assert!(person(wrong).is_err(), "{wrong}");
        }
        let Person(person) = person("Priya Shah, duty manager, Leeds").map_err(|_| ()).unwrap();
        assert_eq!((person.name.as_str(), person.role.as_str()), ("Priya Shah", "duty manager, Leeds"));
    }

    #[test]
    fn what_somebody_wrote_cannot_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}c\nd"), "a\u{fffd}[2Jb\u{fffd}c\nd");
    }

    #[test]
    fn a_list_says_what_waits_and_why_and_nothing_else() {
        let review = wire::WaitingReview {
            referral_id: "0f1c0c1e-58a4-8f5a-9b3b-1f4f0e6a7d11".to_owned(),
            number: 2,
            since: Some(prost_types::Timestamp { seconds: 1_795_428_000, nanos: 0 }),
            level: common::Level::SignificantHarm as i32,
            urgent: true,
            held_by: vec![common::HeldBy { rule_id: "TC-12".to_owned(), reason: "A person looks first".to_owned() }],
            intended: String::new(),
            sender: "school.999001".to_owned(),
            withdrawn: false,
            items: Vec::new(),
        };
        let mut text = String::new();
        listed(&mut text, &review);
        let expected = "0f1c0c1e-58a4-8f5a-9b3b-1f4f0e6a7d11  URGENT  significant harm\n    \
            review 2, from school.999001, waits since 2026-11-23 10:00 London time\n    \
            would go to: the rules know nobody\n    TC-12: A person looks first\n";
        assert_eq!(text, expected);
    }
}
