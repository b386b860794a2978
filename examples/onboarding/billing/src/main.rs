//! A small billing service for the onboarding example: real HTTP, invoices that survive a crash, and bad moods.
//!
//! It does what the better payment services do: an `Idempotency-Key` makes a repeated request harmless, 429 says when
//! to come back, and now and then it answers 503, sometimes after it has done the work. Its moods follow the number of
//! the request, so two runs of the example see the same ones.

mod api;
mod ledger;
mod mood;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::ledger::Ledger;
use crate::mood::Moods;

/// A billing service with the moods of a real one
#[derive(Parser)]
#[command(name = "onboarding-billing", version)]
struct Args {
    /// Where to listen; port 0 takes a free one. The address is printed as the first line of standard output
    #[arg(
        long,
        env = "BILLING_LISTEN",
        default_value = "127.0.0.1:7410",
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,
    /// The file that holds the invoices, one JSON object a line; made when it is not there
    #[arg(
        long,
        env = "BILLING_LEDGER",
        default_value = "invoices.jsonl",
        value_name = "FILE"
    )]
    ledger: PathBuf,
    #[command(flatten)]
    moods: Moods,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let ledger = Ledger::open(&args.ledger)
        .with_context(|| format!("cannot open the ledger {}", args.ledger.display()))?;
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    println!("http://{}", listener.local_addr()?);
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can be handled")?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    axum::serve(listener, api::router(ledger, args.moods))
        .with_graceful_shutdown(stop)
        .await?;
    Ok(())
}
