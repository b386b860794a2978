//! What `model.chat` takes, and how it is put to the service.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A question to a model.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatInput {
    /// The model, by its name in the executor's configuration; `default` when absent.
    pub model: Option<String>,
    /// The conversation so far.
    #[schemars(length(min = 1, max = 1_000))]
    pub messages: Vec<Message>,
    /// How freely it answers, from 0 to 2.
    #[schemars(range(min = 0.0, max = 2.0))]
    pub temperature: Option<f64>,
    /// Most tokens of the answer.
    #[schemars(range(min = 1))]
    pub output_tokens_max: Option<u32>,
    /// Texts that end the answer.
    #[serde(default)]
    #[schemars(length(max = 4))]
    pub stop: Vec<String>,
    /// A number that makes answers repeatable where the service can do that.
    pub seed: Option<i64>,
    /// A JSON Schema that the answer must fit.
    pub json_schema: Option<Value>,
}

/// One message.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What.
    pub content: String,
}

/// Who said it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The one who sets the rules.
    System,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

impl ChatInput {
    /// The body of the request, for the model the service knows as `model`.
    pub(super) fn request(&self, model: &str, output_tokens_max: Option<u32>) -> Value {
        let mut body = json!({
            "model": model,
            "messages": self.messages,
            "stream": false,
        });
        let limit = match (self.output_tokens_max, output_tokens_max) {
            (Some(asked), Some(allowed)) => Some(asked.min(allowed)),
            (asked, allowed) => asked.or(allowed),
        };
        if let Some(limit) = limit {
            // The older name, which every compatible service knows.
            body["max_tokens"] = json!(limit);
        }
        if let Some(temperature) = self.temperature {
            body["temperature"] = json!(temperature);
        }
        if !self.stop.is_empty() {
            body["stop"] = json!(self.stop);
        }
        if let Some(seed) = self.seed {
            body["seed"] = json!(seed);
        }
        if let Some(schema) = &self.json_schema {
            body["response_format"] = json!({
                "type": "json_schema",
                "json_schema": { "name": "answer", "schema": schema },
            });
        }
        body
    }
}
