//! What the engine logs goes into the trace; what it calls an error must have been caused.

use std::fmt::Write as _;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::Stage;

/// Errors that faults of ours bring about.
const EXPECTED: &[&str] = &["a clock jumped"];

/// Hears the engine's log.
#[derive(Debug)]
pub struct Listener(pub Arc<Stage>);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > Level::DEBUG || !event.metadata().target().starts_with("fulcrum") {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let Text { message, fields } = text;
        if level == Level::ERROR && !EXPECTED.iter().any(|known| message.starts_with(known)) {
            self.0
                .problem(format!("the engine says: {message}{fields}"));
        } else {
            self.0.note("log", format!("{message}{fields}"));
        }
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let written = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
        written.expect("a string takes everything");
    }
}
