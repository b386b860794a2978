//! What the workers of a world can do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fulcrum_controller::engine::delivery::{ClosedOperation, Delivery};
use fulcrum_controller::engine::token::LeaseToken;
use fulcrum_core::contract::{Compiled, Contract, EffectClass, Idempotency};
use fulcrum_core::failure::{Failure, FailureClass};
use fulcrum_core::ids::WorkerId;
use serde_json::{Value, json};

use super::gate::Gate;
use crate::Stage;
use crate::cluster::call::{Call, Outcome, Refusal, Wanted};
use crate::cluster::network::Wire;
use crate::stage::dice::{Dice, PerMille};
use crate::stage::sometimes::Sometimes;

/// Reads and gives back its input.
pub const ECHO: &str = "sim.echo";
/// Changes the target, which recognises the effect key.
pub const CHARGE: &str = "sim.charge";
/// Changes the target, which recognises nothing.
pub const WIRE: &str = "sim.wire";
/// Thinks in several sittings, with a journal.
pub const THINK: &str = "sim.think";
/// Fails for good.
pub const DOOM: &str = "sim.doom";

/// All of them.
pub const CAPABILITIES: &[&str] = &[ECHO, CHARGE, WIRE, THINK, DOOM];

/// How long an append may take.
const APPEND_PATIENCE: Duration = Duration::from_secs(5);

/// Their contracts.
#[must_use]
pub fn contracts() -> BTreeMap<String, Arc<Contract>> {
    let contract = |name: &str, effect, idempotency| {
        let contract = Contract {
            name: name.to_owned(),
            version: "1".to_owned(),
            description: String::new(),
            input_schema: json!({}),
            output_schema: json!({}),
            effect,
            idempotency,
            start_to_close: None,
            compiled: Compiled::default(),
        };
        (name.to_owned(), Arc::new(contract))
    };
    BTreeMap::from([
        contract(ECHO, EffectClass::Read, Idempotency::Natural),
        contract(CHARGE, EffectClass::Reversible, Idempotency::Keyed),
        contract(WIRE, EffectClass::Irreversible, Idempotency::None),
        contract(THINK, EffectClass::Reversible, Idempotency::Keyed),
        contract(DOOM, EffectClass::Read, Idempotency::Natural),
    ])
}

/// Where work is done.
#[derive(Clone)]
pub struct Bench {
    /// The world.
    pub stage: Arc<Stage>,
    /// The worker.
    pub worker: WorkerId,
    /// Its name in the trace.
    pub name: &'static str,
    /// Its way to the controllers.
    pub wire: Wire,
    /// What it stands before when it stands still.
    pub gate: Gate,
    /// Its dice.
    pub dice: Dice,
}

impl Bench {
    /// Does a task. `None` when its lease turned out to be lost.
    pub async fn work(&self, delivery: &Delivery) -> Option<Outcome> {
        let input = delivery.input.value().unwrap_or(Value::Null);
        match delivery.task.capability.as_str() {
            ECHO => {
                self.take(0, 150).await;
                Some(Outcome::Completed(input))
            }
            CHARGE => Some(self.charge(delivery, &input).await),
            WIRE => Some(self.wire(delivery, &input).await),
            THINK => self.think(delivery, &input).await,
            DOOM => {
                self.take(0, 100).await;
                Some(Outcome::Failed(Failure::fatal("DOOMED", "on purpose")))
            }
            other => {
                self.stage
                    .problem(format_args!("{} was granted `{other}`", self.name));
                None
            }
        }
    }

    async fn charge(&self, delivery: &Delivery, input: &Value) -> Outcome {
        self.take_sometimes_long().await;
        if self.trouble(100) {
            return busy();
        }
        let receipt = self.apply(delivery);
        self.take(0, 300).await;
        if self.trouble(80) {
            // The answer of the target was lost; it recognises the key when it is asked again.
            return busy();
        }
        Outcome::Completed(json!({ "n": input["n"], "receipt": receipt }))
    }

    async fn wire(&self, delivery: &Delivery, input: &Value) -> Outcome {
        self.take_sometimes_long().await;
        let receipt = self.apply(delivery);
        self.take(0, 300).await;
        if self.trouble(80) {
            let message = "the answer was lost";
            return Outcome::Failed(Failure::new(FailureClass::Unknown, "NO_ANSWER", message));
        }
        Outcome::Completed(json!({ "n": input["n"], "receipt": receipt }))
    }

    async fn think(&self, delivery: &Delivery, input: &Value) -> Option<Outcome> {
        let closed = |name: &str| delivery.journal.iter().find(|done| done.name == name);
        self.take(0, 200).await;
        let note = match closed("note") {
            Some(done) => value(done),
            None => {
                let note = json!({ "noted": input["n"] });
                self.append(delivery, "note", note.clone()).await?;
                note
            }
        };
        match (closed("pay"), closed("nap")) {
            (Some(pay), Some(_)) => {
                self.take(0, 200).await;
                Some(Outcome::Completed(json!({
                    "n": value(pay)["n"],
                    "noted": note["noted"],
                })))
            }
            _ => Some(Outcome::Parked(vec![
                Wanted::Call {
                    name: "pay".to_owned(),
                    capability: CHARGE,
                    input: json!({ "n": input["n"] }),
                },
                Wanted::Sleep {
                    name: "nap".to_owned(),
                    span_ms: 700,
                },
            ])),
        }
    }

    async fn append(&self, delivery: &Delivery, name: &str, output: Value) -> Option<()> {
        let lease: Bytes = LeaseToken::of(&delivery.task).encode().into();
        loop {
            let call = Call::Append {
                worker: self.worker,
                lease: lease.clone(),
                name: name.to_owned(),
                output: output.clone(),
            };
            let heard = self.wire.ask(call, APPEND_PATIENCE).await;
            self.gate.pass().await;
            match heard {
                Ok(Ok(_)) => return Some(()),
                Ok(Err(Refusal::Later(_))) | Err(_) => {
                    self.wire.turn_elsewhere();
                    self.take(100, 500).await;
                }
                Ok(Err(Refusal::Never(text))) => {
                    self.stage
                        .problem(format_args!("an append is refused for good: {text}"));
                    return None;
                }
                Ok(Err(
                    Refusal::LeaseLost
                    | Refusal::RunClosed
                    | Refusal::RunNotFound
                    | Refusal::ReviewClosed,
                )) => return None,
            }
        }
    }

    fn apply(&self, delivery: &Delivery) -> u64 {
        let task = &delivery.task;
        let applied = self
            .stage
            .target()
            .apply(&delivery.effect_key, task.run, &task.step);
        match applied {
            Ok(applied) => {
                self.stage.note(
                    self.name,
                    format_args!(
                        "effect {} of {} {}, asked {} times",
                        applied.receipt, task.run, task.step, applied.asked
                    ),
                );
                if applied.asked > 1 {
                    self.stage.saw(Sometimes::EffectAskedTwice);
                    if task.capability == WIRE {
                        self.stage.problem(format_args!(
                            "{} {} cannot be repeated, and was",
                            task.run, task.step
                        ));
                    }
                }
                applied.receipt
            }
            Err(problem) => {
                self.stage.problem(problem);
                0
            }
        }
    }

    /// Does the target give trouble this time? Not in calm weather.
    fn trouble(&self, per_mille: u32) -> bool {
        self.dice.happens(PerMille(per_mille)) && !self.stage.storm.is_over()
    }

    async fn take(&self, from_ms: u64, to_ms: u64) {
        tokio::time::sleep(self.dice.span_ms(from_ms, to_ms)).await;
        self.gate.pass().await;
    }

    /// Now and then longer than a lease lasts.
    async fn take_sometimes_long(&self) {
        if self.dice.happens(PerMille(80)) {
            self.take(2_500, 7_000).await;
        } else {
            self.take(0, 700).await;
        }
    }
}

fn busy() -> Outcome {
    Outcome::Failed(Failure::new(
        FailureClass::Transient,
        "BUSY",
        "come again later",
    ))
}

fn value(done: &ClosedOperation) -> Value {
    match &done.result {
        Ok(Some(payload)) => payload.value().unwrap_or(Value::Null),
        Ok(None) => Value::Null,
        Err(failure) => json!({ "failed": failure.code }),
    }
}
