//! The worker: one capability with an effect, which answers what it was asked.

use std::path::PathBuf;

use fulcrum_sdk::{
    Capability, Context, Contract, EffectClass, Failure, Idempotency, IdentityDir, Worker,
    capability, shutdown,
};

use crate::meter::clock;

/// What comes in: 1 KiB.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Echo {
    n: u64,
    text: String,
}

/// What goes out: 256 B.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct Echoed {
    n: u64,
    text: String,
    /// When the work began, in microseconds since 1970.
    pub(crate) started_us: i64,
}

async fn echo(_context: Context, input: Echo) -> Result<Echoed, Failure> {
    let started_us = clock::unix_us();
    let mut text = input.text;
    text.truncate(200);
    Ok(Echoed {
        n: input.n + 1,
        text,
        started_us,
    })
}

/// The one capability.
pub(crate) fn bench_echo() -> impl Capability {
    let contract = Contract::new("bench.echo", EffectClass::Reversible);
    capability(contract.idempotency(Idempotency::Keyed), echo)
}

/// Serves until it is told to stop.
pub(crate) async fn serve(identity: PathBuf, endpoint: String, slots: u32) -> anyhow::Result<()> {
    Worker::new(IdentityDir::at(identity))
        .endpoint(endpoint)
        .slots(slots)
        .capability(bench_echo())
        .run(shutdown::on_signal())
        .await?;
    Ok(())
}
