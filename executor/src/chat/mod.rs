//! `model.chat`: an answer of a language model, from any service with an OpenAI-compatible interface.
//!
//! The call reads: asking twice changes nothing but the bill, so a lost answer is asked for again. What was used is
//! in the output. With `json_schema` the answer is JSON that fits it, or the failure `MODEL_OUTPUT_INVALID`.

mod input;
mod operation;
mod output;

pub use input::{ChatInput, Message, Role};
pub(crate) use operation::{Model, model_chat};
pub use output::{ChatOutput, Usage};
