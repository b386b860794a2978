//! What `model.chat` gives, and how it is read from the service.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChatOutput {
    /// The answer.
    pub text: String,
    /// The answer as a value, when a schema was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// Why it ends there: `stop`, `length`, `content_filter`, or what the service says.
    pub finish_reason: String,
    /// The model, by its name in the executor's configuration.
    pub model: String,
    /// The model that answered, as the service names it.
    pub served_by: String,
    /// The service's name for the answer, for asking it about it.
    pub answer_id: Option<String>,
    /// What was used.
    pub usage: Usage,
}

/// What an answer used, as the service counted it; zero where it did not.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub struct Usage {
    /// Tokens of the question.
    pub input_tokens: u64,
    /// Those of them that the service had cached.
    pub cached_input_tokens: u64,
    /// Tokens of the answer, reasoning among them.
    pub output_tokens: u64,
    /// All of them.
    pub total_tokens: u64,
}

/// The service's answer. Services add to it; what is not used here is ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Completion {
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) model: String,
    pub(super) choices: Vec<Choice>,
    pub(super) usage: Option<CompletionUsage>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    pub(super) message: ChoiceMessage,
    pub(super) finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ChoiceMessage {
    pub(super) content: Option<String>,
    /// Why the model will not answer.
    pub(super) refusal: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct CompletionUsage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    #[serde(default)]
    total_tokens: u64,
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Debug, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: u64,
}

impl From<CompletionUsage> for Usage {
    fn from(usage: CompletionUsage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens,
            cached_input_tokens: usage
                .prompt_tokens_details
                .map_or(0, |details| details.cached_tokens),
            output_tokens: usage.completion_tokens,
            total_tokens: usage.total_tokens,
        }
    }
}
