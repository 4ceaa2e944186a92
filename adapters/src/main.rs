//! safeguarding-adapter: configure, check, open the doors, and close them in order.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use adapters::config::Config;
use adapters::gateway::Gateway;
use clap::{Parser, Subcommand};
use prometheus::Registry;
use transport::shutdown::Shutdown;
use transport::telemetry;

/// The doors of the safeguarding referral broker: one gRPC server for every agency, over mutual TLS.
#[derive(Parser)]
#[command(name = "safeguarding-adapter", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Opens the doors, until SIGTERM; then finishes what is in hand.
    Serve {
        /// The configuration, TOML.
        #[arg(long)]
        config: PathBuf,
    },
    /// Checks the configuration and its certificates, and opens nothing.
    Check {
        /// The configuration, TOML.
        #[arg(long)]
        config: PathBuf,
    },
}

/// What calls in hand get after SIGTERM.
const DRAIN: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> ExitCode {
    transport::tls::install_crypto();
    match run(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("safeguarding-adapter: {why}");
            ExitCode::from(2)
        }
    }
}

async fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    let (Command::Serve { config } | Command::Check { config }) = &command;
    let config = Config::read(config)?;
    let settings = telemetry::Settings {
        service: "safeguarding-adapter",
        version: env!("CARGO_PKG_VERSION"),
        own_crates: &["adapters", "safeguarding_adapter"],
        keys: adapters::TELEMETRY_KEYS,
        log: config.telemetry.log.clone(),
        otlp: config.telemetry.otlp.clone(),
    };
    let clock = config.rehearsal.clock()?;
    let gateway = Gateway::check(config)?;
    if let Command::Check { .. } = command {
        println!("configuration and certificates are in order");
        return Ok(());
    }
    let registry = Registry::new();
    let telemetry = telemetry::start(&settings)?;
    telemetry.register(&registry)?;
    let shutdown = Shutdown::on_signals(DRAIN)?;
    let served = gateway.serve(registry, clock, shutdown).await;
    telemetry.stop().await;
    Ok(served?)
}
