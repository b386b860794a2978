//! One call of `model.chat`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fulcrum_adapters::http::{Endpoint, Outcome, StatusTable, Terms};
use fulcrum_adapters::operation::{Call, Operation, Repeat, Schema};
use fulcrum_sdk::{Contract, EffectClass, Failure, Sent};
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::input::ChatInput;
use super::output::{ChatOutput, Completion, Usage};

const RESPONSE_BYTES_MAX: usize = 4 * 1024 * 1024;
const MODEL_DEFAULT: &str = "default";

/// A model that can be asked.
pub(crate) struct Model {
    pub(crate) endpoint: Arc<Endpoint>,
    /// Its name at the service.
    pub(crate) name: String,
    pub(crate) timeout: Duration,
    pub(crate) output_tokens_max: Option<u32>,
}

/// The contract and operation of `model.chat` for these models.
pub(crate) fn model_chat(models: BTreeMap<String, Model>) -> (Contract, Box<dyn Operation>) {
    let longest = models.values().map(|model| model.timeout).max();
    let input = SchemaSettings::draft2020_12().for_deserialize();
    let output = SchemaSettings::draft2020_12().for_serialize();
    let contract = Contract::new("model.chat", EffectClass::Read)
        .description("Asks a language model and gives its answer and what it used.")
        .timeout(longest.unwrap_or_default() + Duration::from_secs(1))
        .schemas(
            input
                .into_generator()
                .into_root_schema_for::<ChatInput>()
                .to_value(),
            output
                .into_generator()
                .into_root_schema_for::<ChatOutput>()
                .to_value(),
        );
    (contract, Box::new(Chat { models }))
}

struct Chat {
    models: BTreeMap<String, Model>,
}

#[async_trait]
impl Operation for Chat {
    async fn perform(&self, call: &Call<'_>) -> Result<Value, Failure> {
        let input: ChatInput = serde_json::from_value(call.input.clone())
            .map_err(|error| unusable(format!("the input does not fit: {error}")))?;
        let alias = input.model.as_deref().unwrap_or(MODEL_DEFAULT);
        let model = self.models.get(alias).ok_or_else(|| {
            let known: Vec<&str> = self.models.keys().map(String::as_str).collect();
            let message = format!(
                "no model is named `{alias}`; configured: {}",
                known.join(", ")
            );
            Failure::fatal("MODEL_UNKNOWN", message).sent(Sent::No)
        })?;
        let schema = match &input.json_schema {
            None => None,
            Some(document) => Some(
                Schema::compile(document)
                    .map_err(|error| unusable(format!("json_schema: {error}")))?,
            ),
        };
        let output = model
            .ask(alias, &input, schema.as_ref(), call.remaining())
            .await?;
        serde_json::to_value(output)
            .map_err(|error| Failure::fatal("OUTPUT_INVALID", error.to_string()).sent(Sent::Yes))
    }
}

fn unusable(message: String) -> Failure {
    Failure::fatal("INPUT_INVALID", message).sent(Sent::No)
}

impl Model {
    async fn ask(
        &self,
        alias: &str,
        input: &ChatInput,
        schema: Option<&Schema>,
        remaining: Duration,
    ) -> Result<ChatOutput, Failure> {
        let terms = Terms {
            title: format!("model.chat {alias} ({})", self.name),
            statuses: statuses(),
            repeat: Repeat::Harmless,
            response_bytes_max: RESPONSE_BYTES_MAX,
        };
        let body = input.request(&self.name, self.output_tokens_max);
        let within = self.timeout.min(remaining);
        let answer = self
            .endpoint
            .post_json("/chat/completions", &body, &terms, within)
            .await?;
        let answered = |class: fn(&'static str, String) -> Failure, code, what: String| {
            class(code, format!("{}: {what}", terms.title)).sent(Sent::Yes)
        };
        let completion: Completion = serde_json::from_value(answer.body).map_err(|error| {
            let what = format!("the answer is not a chat completion: {error}");
            answered(Failure::fatal, "MODEL_RESPONSE_INVALID", what)
        })?;
        let Some(choice) = completion.choices.into_iter().next() else {
            let what = "the answer has no choice in it".to_owned();
            return Err(answered(Failure::transient, "MODEL_RESPONSE_EMPTY", what));
        };
        if let Some(refusal) = choice.message.refusal {
            return Err(answered(Failure::recoverable, "MODEL_REFUSED", refusal));
        }
        let text = choice.message.content.unwrap_or_default();
        let json = match schema {
            None => None,
            Some(schema) => {
                let fitting = serde_json::from_str(&text)
                    .map_err(|error| error.to_string())
                    .and_then(|value| schema.check(&value).map(|()| value));
                // Another try may fit: models draw lots.
                let fitting = fitting
                    .map_err(|what| answered(Failure::transient, "MODEL_OUTPUT_INVALID", what))?;
                Some(fitting)
            }
        };
        Ok(ChatOutput {
            text,
            json,
            finish_reason: choice.finish_reason.unwrap_or_else(|| "unknown".to_owned()),
            model: alias.to_owned(),
            served_by: match completion.model.is_empty() {
                true => self.name.clone(),
                false => completion.model,
            },
            answer_id: completion.id,
            usage: completion.usage.map_or_else(Usage::default, Usage::from),
        })
    }
}

/// A question that is too long, or a model that is gone, may be answered by another model.
fn statuses() -> StatusTable {
    let mut statuses = StatusTable::default();
    for status in ["404", "413", "422"] {
        statuses
            .set(status, Outcome::Recoverable)
            .expect("these are statuses");
    }
    statuses
}
