//! A capability made of a contract and an operation.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fulcrum_sdk::{Capability, Context, Contract, EffectClass, Failure, Sent};
use serde_json::Value;
use tokio::time::Instant;

use super::{Call, Operation, Repeat, Schema};
use crate::secret::Redactor;

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// An operation behind its contract.
///
/// Guarantees, whatever the operation does: it sees only input that fits the schema, it ends by the deadline, and
/// neither its output nor its failure holds a known secret.
pub struct Adapted {
    contract: Contract,
    timeout: Duration,
    input: Schema,
    output: Schema,
    redactor: Arc<Redactor>,
    operation: Box<dyn Operation>,
}

impl Adapted {
    /// Puts `operation` behind `contract`, whose schemas are `input` and `output`.
    pub fn new(
        contract: Contract,
        input: Schema,
        output: Schema,
        redactor: Arc<Redactor>,
        operation: Box<dyn Operation>,
    ) -> Self {
        Self {
            timeout: contract.timeout.unwrap_or(TIMEOUT_DEFAULT),
            contract,
            input,
            output,
            redactor,
            operation,
        }
    }

    async fn perform(&self, context: &Context, input: &Value) -> Result<Value, Failure> {
        let name = &self.contract.name;
        self.input.check(input).map_err(|reason| {
            let message = format!("the input of {name} does not fit its schema: {reason}");
            Failure::fatal("INPUT_INVALID", message).sent(Sent::No)
        })?;
        let own = Instant::now() + self.timeout;
        let call = Call {
            context,
            input,
            deadline: context.deadline().map_or(own, |granted| granted.min(own)),
        };
        let output = tokio::time::timeout_at(call.deadline, self.operation.perform(&call))
            .await
            .map_err(|_| {
                let message = format!("{name} did not end in time ({:?})", self.timeout);
                Repeat::of(&self.contract).lost("CALL_TIMEOUT", message)
            })??;
        self.output.check(&output).map_err(|reason| {
            let message = format!("the output of {name} does not fit its schema: {reason}");
            Failure::fatal("OUTPUT_INVALID", message).sent(match self.contract.effect {
                EffectClass::Read => Sent::No,
                EffectClass::Reversible | EffectClass::Irreversible | EffectClass::Outward => {
                    Sent::Yes
                }
            })
        })?;
        Ok(output)
    }
}

#[async_trait]
impl Capability for Adapted {
    fn contract(&self) -> &Contract {
        &self.contract
    }

    async fn call(&self, context: &Context, input: Value) -> Result<Value, Failure> {
        match self.perform(context, &input).await {
            Ok(output) => Ok(self.redactor.value(output)),
            Err(mut failure) => {
                failure.message = self.redactor.text(&failure.message).into_owned();
                failure.details = failure.details.map(|details| self.redactor.value(details));
                Err(failure)
            }
        }
    }
}
