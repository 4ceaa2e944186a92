//! safeguarding-broker: the command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use prometheus::Registry;
use router::broker::{CannotStart, Ready};
use router::config::Config;
use tokio::sync::watch;
use transport::shutdown::Shutdown;

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
    /// Check configuration, certificates, rules and directory, declare the topology and read it back.
    Check {
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
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("safeguarding-broker: {why}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve { config } => serve(Config::read(&config)?).await?,
            Command::Check { config } => {
                let ready = Ready::check(Config::read(&config)?)?;
                ready.establish().await?;
                println!("configuration, certificates, rules, directory and topology are in order");
            }
        }
        Ok(())
    })
}

async fn serve(config: Config) -> Result<(), CannotStart> {
    let shutdown = Shutdown::on_signals(DRAIN).map_err(CannotStart::because)?;
    let registry = Registry::new();
    let (ready, _is_ready) = watch::channel(false);
    Ready::check(config)?.serve(&registry, ready, shutdown).await
}
