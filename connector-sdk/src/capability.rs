//! What a worker can do: a contract and the code behind it.
//!
//! Code with typed input and output uses [`capability`]; adapters whose schemas come from configuration
//! implement [`Capability`].

use std::{future::Future, marker::PhantomData};

use async_trait::async_trait;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Context, Contract, Failure, Sent, code};

/// Something a worker can do.
///
/// A call may be cancelled by dropping its future at any await: when the lease is lost, when the time is up, or
/// some seconds after cancellation was asked for. Code that holds something outside of Rust's ownership (a child
/// process, a file) must release it on drop.
#[async_trait]
pub trait Capability: Send + Sync + 'static {
    /// What it promises. Must not change while the worker lives.
    fn contract(&self) -> &Contract;

    /// Does it. `input` fits the contract's input schema; the output must fit its output schema.
    ///
    /// # Errors
    /// A [`Failure`] that says what happened. Say [`Failure::unknown`] when a write may have taken effect.
    async fn call(&self, ctx: &Context, input: Value) -> Result<Value, Failure>;
}

/// Makes a capability of an async function with typed input and output. The contract's schemas are derived from
/// the types.
///
/// ```
/// use fulcrum_sdk::{Capability, Context, Contract, EffectClass, Failure, capability};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Greet { name: String }
///
/// async fn greet(_ctx: Context, input: Greet) -> Result<String, Failure> {
///     Ok(format!("Hello, {}!", input.name))
/// }
///
/// let greet = capability(Contract::new("hello.greet", EffectClass::Read), greet);
/// assert_eq!(greet.contract().input_schema["required"][0], "name");
/// ```
pub fn capability<I, O, F, Fut>(contract: Contract, function: F) -> impl Capability
where
    I: DeserializeOwned + JsonSchema + Send + 'static,
    O: Serialize + JsonSchema + Send + 'static,
    F: Fn(Context, I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, Failure>> + Send + 'static,
{
    let input = SchemaSettings::draft2020_12().for_deserialize();
    let output = SchemaSettings::draft2020_12().for_serialize();
    Function {
        contract: contract.schemas(
            SchemaGenerator::new(input)
                .into_root_schema_for::<I>()
                .to_value(),
            SchemaGenerator::new(output)
                .into_root_schema_for::<O>()
                .to_value(),
        ),
        function,
        types: PhantomData,
    }
}

struct Function<I, O, F> {
    contract: Contract,
    function: F,
    types: PhantomData<fn(I) -> O>,
}

#[async_trait]
impl<I, O, F, Fut> Capability for Function<I, O, F>
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize + Send + 'static,
    F: Fn(Context, I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, Failure>> + Send + 'static,
{
    fn contract(&self) -> &Contract {
        &self.contract
    }

    async fn call(&self, ctx: &Context, input: Value) -> Result<Value, Failure> {
        let input = serde_json::from_value(input).map_err(|error| {
            Failure::fatal(
                code::INPUT_INVALID,
                format!("the input does not fit: {error}"),
            )
            .sent(Sent::No)
        })?;
        let output = (self.function)(ctx.clone(), input).await?;
        serde_json::to_value(output).map_err(|error| {
            Failure::fatal(
                code::OUTPUT_INVALID,
                format!("the output is not JSON: {error}"),
            )
            .sent(Sent::Yes)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::EffectClass;

    #[derive(serde::Deserialize, JsonSchema)]
    struct Sum {
        terms: Vec<i64>,
    }

    async fn sum(_ctx: Context, input: Sum) -> Result<i64, Failure> {
        Ok(input.terms.iter().sum())
    }

    #[tokio::test]
    async fn a_typed_function_answers_json_with_json() {
        let sum = capability(Contract::new("math.sum", EffectClass::Read), sum);
        let ctx = Context::detached("key");
        let output = sum.call(&ctx, json!({"terms": [1, 2, 3]})).await;
        assert_eq!(output, Ok(json!(6)));
    }

    #[tokio::test]
    async fn input_that_does_not_fit_is_fatal_and_was_not_sent() {
        let sum = capability(Contract::new("math.sum", EffectClass::Read), sum);
        let ctx = Context::detached("key");
        let failure = sum
            .call(&ctx, json!({"terms": "one"}))
            .await
            .expect_err("a string is no list");
        assert_eq!(failure.code, "INPUT_INVALID");
        assert_eq!(failure.sent, Sent::No);
    }
}
