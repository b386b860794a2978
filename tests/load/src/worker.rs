//! The worker: one capability with an effect, which answers what it was asked.

use std::path::PathBuf;

use fulcrum_sdk::{
    Context, Contract, EffectClass, Failure, Idempotency, IdentityDir, Worker, capability, shutdown,
};

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Echo {
    n: u64,
    text: String,
}

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Echoed {
    n: u64,
    text: String,
}

/// 1 KiB comes in, about 256 B go out.
async fn echo(_context: Context, input: Echo) -> Result<Echoed, Failure> {
    let text = input.text.chars().take(200).collect();
    Ok(Echoed {
        n: input.n + 1,
        text,
    })
}

/// Serves until it is told to stop.
pub(crate) async fn serve(identity: PathBuf, slots: u32) -> anyhow::Result<()> {
    let contract =
        Contract::new("bench.echo", EffectClass::Reversible).idempotency(Idempotency::Keyed);
    Worker::new(IdentityDir::at(identity))
        .slots(slots)
        .capability(capability(contract, echo))
        .run(shutdown::on_signal())
        .await?;
    Ok(())
}
