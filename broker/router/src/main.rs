//! safeguarding-broker: the command line.

mod console;
mod rules_command;

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use console::{QuarantineCommand, ReviewCommand};
use prometheus::Registry;
use prost::Message as _;
use proto::wire::common::v1::Submission;
use referral::case::Routing;
use referral::rules::Rulebook;
use referral::{Endpoint, IdempotencyKey, Moment};
use router::broker::Ready;
use router::cases;
use router::config::Config;
use router::directory::Import;
use router::record::log::PublicKey;
use router::record::verify::{self, Records};
use router::record::{LedgerError, key};
use tokio::sync::watch;
use transport::clock::Clock;
use transport::metrics::MetricsListener;
use transport::shutdown::Shutdown;
use transport::telemetry::{self, Settings};

/// The inter-agency safeguarding referral broker: receives, decides, records, delivers and chases.
#[derive(Parser)]
#[command(name = "safeguarding-broker", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the broker until SIGTERM; what is in hand is finished first.
    Serve {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Check configuration, certificates, rules and directory, declare the topology and read it back. Parties that stand
    /// in the endpoints' file no longer may read nothing after it, as at a start.
    Check {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Verify or export the ledger. Works beside a running broker.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Import what registers publish, or look up who answers for a place.
    #[command(subcommand)]
    Directory(DirectoryCommand),
    /// Render, compare, prove and sign rule packs.
    #[command(subcommand)]
    Rules(rules_command::RulesCommand),
    /// What the rules put before a person: list it, open it, release, redirect or return it.
    #[command(subcommand)]
    Review(ReviewCommand),
    /// What could not be processed: list it, and process it again.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Say how a submission would be ruled, and why. Nothing is stored or sent.
    Explain {
        /// The configuration file, for its rules and its directory.
        #[arg(long)]
        config: PathBuf,
        /// The endpoint that would send it, such as school.999001.
        #[arg(long)]
        sender: String,
        /// The moment of receipt, RFC 3339; now if left out.
        #[arg(long)]
        received: Option<String>,
        /// A file with an encoded safeguarding.common.v1.Submission, or in protobuf's JSON mapping.
        submission: PathBuf,
    },
    /// Run worked cases, one JSON object a line, through the rules, and say where they answer otherwise.
    ///
    /// Ends with "N passed, N failed", and with status 1 if any failed. Contested cases are reported apart.
    Cases {
        /// The configuration file, for its rules; the built-in ones if left out.
        #[arg(long)]
        config: Option<PathBuf>,
        /// Files of cases.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// What can be done with the directory.
#[derive(Subcommand)]
enum DirectoryCommand {
    /// Import postcodes (ONS Postcode Directory, NSPL, Code-Point Open), properties (ONS UPRN Directory, NSUL: the files of
    /// all regions at once), schools (the DfE's register, and its links) or NHS organisations (ODS extracts), as published. Checked whole; what is in use stays until the new is proved.
    Import {
        /// The configuration file: into which folder.
        #[arg(long)]
        config: PathBuf,
        /// What the release is called, such as "NSPL 2026-08"; the file's name if left out.
        #[arg(long)]
        release: Option<String>,
        /// The day that schools and NHS organisations are shown as of; today if left out.
        #[arg(long)]
        as_at: Option<jiff::civil::Date>,
        /// The release rightly holds far less than the one in use.
        #[arg(long)]
        smaller: bool,
        /// The files of one release; a folder stands for the CSV files in it.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Say who answers, on what that stands, and what speaks against it.
    Lookup {
        /// The configuration file: which endpoints, and what was imported.
        #[arg(long)]
        config: PathBuf,
        /// The day that is asked about; today if left out.
        #[arg(long)]
        on: Option<jiff::civil::Date>,
        /// A postcode or its front, a property's or a school's number, an ODS or a GSS code. `urn:`, `uprn:` or `ods:` in
        /// front where it could be two things.
        #[arg(required = true)]
        what: Vec<String>,
    },
}

/// What can be done with a ledger.
#[derive(Subcommand)]
enum LedgerCommand {
    /// Recompute everything and name every entry that was altered, is missing, or changed its place.
    Verify {
        /// The configuration file: where the ledger and its key are.
        #[arg(long, required_unless_present = "bundle")]
        config: Option<PathBuf>,
        /// A bundle to verify instead; needs no ledger and no broker.
        #[arg(long, requires = "key")]
        bundle: Option<PathBuf>,
        /// The ledger's public key, as `ledger key` prints it.
        #[arg(long)]
        key: Option<String>,
        /// A file with a checkpoint seen earlier: shows whether history was rewritten since.
        #[arg(long)]
        seen: Option<PathBuf>,
    },
    /// Write the ledger as a bundle of JSON lines.
    Export {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// With the records of this referral only, for an ombudsman.
        #[arg(long, conflicts_with = "without_records")]
        referral: Option<uuid::Uuid>,
        /// With no records at all, for a witness: the bundle then tells nothing about anybody.
        #[arg(long)]
        without_records: bool,
    },
    /// Print the public key with which recipients and auditors check what the ledger signed.
    Key {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
}

/// How long work in hand gets to finish.
const DRAIN: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    transport::tls::install_crypto();
    match run(Cli::parse()) {
        Ok(status) => status,
        Err(why) => {
            eprintln!("safeguarding-broker: {why}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve { config } => serve(Config::read(&config)?).await?,
            Command::Check { config } => {
                let ready = Ready::check(Config::read(&config)?)?;
                ready.establish().await?;
                println!("configuration, certificates, rules, directory and topology are in order");
            }
            Command::Ledger(command) => ledger(command)?,
            Command::Directory(command) => directory(command)?,
            Command::Cases { config, files } => return run_cases(config.as_deref(), &files),
            Command::Rules(command) => rules_command::run(command)?,
            Command::Review(command) => print!("{}", console::review(command).await?),
            Command::Quarantine(command) => print!("{}", console::quarantine(command).await?),
            Command::Explain { config, sender, received, submission } => {
                print!("{}", explain(&Config::read(&config)?, &sender, received.as_deref(), &submission)?);
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn directory(command: DirectoryCommand) -> Result<(), Box<dyn std::error::Error>> {
    let today = || referral::time::london_date(Clock::system().now());
    match command {
        DirectoryCommand::Import { config, release, as_at, smaller, files } => {
            let config = Config::read(&config)?;
            // The register alone: what was imported before may be the very thing that cannot be read any more.
            let rules = Rulebook::built_in("")?;
            let import = Import { into: config.directory.imported, release, as_at: as_at.unwrap_or_else(today), smaller };
            let done = import.files(&files, rules.directory.register(), &mut |progress| eprintln!("{progress}"))?;
            println!("{done}");
            println!("a running broker takes it up by itself, and says so in its log");
        }
        DirectoryCommand::Lookup { config, on, what } => {
            let config = Config::read(&config)?;
            let rules = router::broker::rulebook(&config)?;
            let asked = rules
                .directory
                .asked(&what.join(" "))
                .ok_or("that is no postcode or front of one, no number of a school or a property, and no ODS or GSS code")?;
            print!("{}", router::directory::lookup::in_words(&rules.directory, &asked, on.unwrap_or_else(today)));
        }
    }
    Ok(())
}

/// Runs worked cases and says what came of them.
fn run_cases(config: Option<&Path>, files: &[PathBuf]) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let rules = match config {
        Some(config) => router::broker::rulebook(&Config::read(config)?)?,
        None => Rulebook::built_in("")?,
    };
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        let text = std::fs::read_to_string(file).map_err(|fault| format!("{}: {fault}", file.display()))?;
        let report = cases::run(&text, &rules);
        print!("{}\n{report}\n", file.display());
        passed += report.passed();
        failed += report.failed();
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn public_key(config: &Config) -> Result<PublicKey, LedgerError> {
    Ok(key::open(&config.ledger.key, &config.ledger.origin)?.public().clone())
}

fn ledger(command: LedgerCommand) -> Result<(), Box<dyn std::error::Error>> {
    match command {
        LedgerCommand::Verify { config, bundle, key, seen } => {
            let seen = seen.map(std::fs::read_to_string).transpose()?;
            let given = key
                .map(|key| PublicKey::parse(&key).map_err(|_| "the key is not a public key as `ledger key` prints it"))
                .transpose()?;
            let report = match (bundle, config) {
                (Some(bundle), _) => {
                    let key = given.ok_or("a bundle is verified with --key")?;
                    verify::verify_bundle(BufReader::new(File::open(bundle)?), &key, seen.as_deref())?
                }
                (None, Some(config)) => {
                    let config = Config::read(&config)?;
                    let key = given.map_or_else(|| public_key(&config), Ok)?;
                    verify::verify(&config.ledger.path, &key, seen.as_deref())?
                }
                (None, None) => return Err("name a ledger by --config, or a --bundle".into()),
            };
            println!("{report}");
            if report.holds() { Ok(()) } else { Err("the ledger does not hold".into()) }
        }
        LedgerCommand::Export { config, referral, without_records } => {
            let records = match referral {
                _ if without_records => Records::None,
                Some(referral) => Records::Of(referral),
                None => Records::All,
            };
            verify::export(&Config::read(&config)?.ledger.path, records, &mut BufWriter::new(std::io::stdout().lock()))?;
            Ok(())
        }
        LedgerCommand::Key { config } => {
            println!("{}", public_key(&Config::read(&config)?)?);
            Ok(())
        }
    }
}

fn explain(config: &Config, sender: &str, received: Option<&str>, file: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let rules = router::broker::rulebook(config)?;
    let sender = Endpoint::parse(sender)?;
    let received: Moment = received.map_or_else(|| Ok(Clock::system().now()), str::parse)?;
    let bytes = std::fs::read(file)?;
    let content: Submission = match std::str::from_utf8(&bytes) {
        Ok(text) if text.trim_start().starts_with('{') => proto::json::read(text)?,
        _ => Submission::decode(bytes.as_slice())
            .map_err(|_| "the file is neither a Submission in protobuf nor in its JSON mapping")?,
    };
    let nothing_is_stored = IdempotencyKey::from_bytes([0; 16]);
    let submission = proto::read::submission(&sender, nothing_is_stored, received, &content)?;
    let mut text = String::new();
    for (referral, nth) in submission.split().iter().zip(1..) {
        text.push_str(&format!("child {nth}\n"));
        for sentence in Routing::of(&rules.rule(referral, &[]), &rules).sentences {
            match sentence.reason {
                Some(reason) => text.push_str(&format!(
                    "  {} [{}; {}; {}]\n",
                    sentence.text,
                    reason.rule,
                    reason.source,
                    reason.evidence.words()
                )),
                None => text.push_str(&format!("  {}\n", sentence.text)),
            }
        }
    }
    Ok(text)
}

/// The attributes of this program's spans and logs: names of things, never of people.
const KEYS: &[&str] = &["referral.id", "delivery.id", "authority.code", "event.kind", "quarantine.id", "quarantine.reason"];

async fn serve(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let shutdown = Shutdown::on_signals(DRAIN)?;
    let settings = Settings {
        service: "safeguarding-broker",
        version: env!("CARGO_PKG_VERSION"),
        own_crates: &["router", "safeguarding_broker", "transport"],
        keys: KEYS,
        log: config.telemetry.log.clone(),
        otlp: config.telemetry.otlp.clone(),
    };
    let listen = config.metrics.listen;
    let checked = Ready::check(config)?;
    let telemetry = telemetry::start(&settings)?;
    let registry = Registry::new();
    telemetry.register(&registry)?;
    let metrics = MetricsListener::bind(&listen.to_string())
        .await
        .map_err(|error| format!("cannot listen on {listen} for metrics: {error}"))?;
    let (ready, is_ready) = watch::channel(false);
    let not_ready = move || if *is_ready.borrow() { Vec::new() } else { vec!["the broker is starting or stopping".to_owned()] };
    tokio::spawn(metrics.serve(registry.clone(), not_ready, shutdown.clone()));
    let served = checked.serve(&registry, ready, shutdown).await;
    telemetry.stop().await;
    Ok(served?)
}
