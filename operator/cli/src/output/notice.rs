//! Words to the person, on stderr. `--quiet` silences all but errors.

use std::io::{self, Write as _};

use super::safe_text;
use super::style::{Palette, Tone};
use crate::error::CliError;

/// Whether anything but errors is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volume {
    /// Everything.
    Normal,
    /// Errors only.
    Quiet,
}

/// Speaks on stderr. A closed stderr is nobody listening, not an error.
#[derive(Debug, Clone, Copy)]
pub struct Notice {
    /// What is said.
    pub volume: Volume,
    /// Colours on stderr.
    pub palette: Palette,
}

impl Notice {
    /// Something worth knowing.
    pub fn say(&self, text: &str) {
        if self.volume == Volume::Normal {
            self.write(text);
        }
    }

    /// Something that must be said, even under `--quiet`.
    pub fn insist(&self, text: &str) {
        self.write(text);
    }

    /// A command to type next.
    pub fn next(&self, command: &str) {
        self.say(&format!(
            "{} {command}",
            self.palette.paint(Tone::Faint, "next:")
        ));
    }

    /// Something that deserves a look.
    pub fn warn(&self, text: &str) {
        if self.volume == Volume::Normal {
            self.write(&format!(
                "{} {text}",
                self.palette.paint(Tone::Warn, "warning:")
            ));
        }
    }

    /// Why the command ended: what happened, why, what to do, and the code to look up.
    pub fn error(&self, error: &CliError) {
        self.write(&describe(error, self.palette));
    }

    fn write(&self, text: &str) {
        drop(writeln!(io::stderr().lock(), "{text}"));
    }
}

/// The error as it is printed.
#[must_use]
pub fn describe(error: &CliError, palette: Palette) -> String {
    let mut lines = vec![format!(
        "{} {}",
        palette.paint(Tone::Bad, "error:"),
        safe_text::block(&error.to_string())
    )];
    let mut add = |label: &str, text: &str| {
        lines.push(format!(
            "  {} {}",
            palette.paint(Tone::Faint, label),
            safe_text::block(text)
        ));
    };
    if let CliError::Refused(refusal) = error {
        for fault in &refusal.fields {
            // With one fault the message is often the fault itself; its place is news all the same.
            let is_news = fault.description != refusal.message;
            let description = if is_news {
                format!(": {}", fault.description)
            } else {
                String::new()
            };
            add("at", &format!("{}{description}", fault.field));
        }
    }
    if let Some(cause) = error.cause() {
        add("because", &cause);
    }
    if let Some(fix) = error.fix() {
        add("fix:", &fix);
    }
    if let Some(code) = error.code() {
        add("code:", code);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    #[test]
    fn an_error_says_what_happened_where_what_to_do_and_its_code() {
        let mut details =
            ErrorDetails::with_error_info("DEFINITION_INVALID", "fulcrum", HashMap::new());
        details.add_bad_request_violation("12:7", "no step is called `contcat`");
        details.add_bad_request_violation("14:3", "unknown key `wiht`\u{1b}[2J");
        let status = Status::with_error_details(
            Code::InvalidArgument,
            "the definition has 2 errors",
            details,
        );
        insta::assert_snapshot!(describe(&status.into(), Palette::Plain));
    }

    #[test]
    fn an_unreachable_controller_is_told_with_its_cause() {
        let error = CliError::Unreachable {
            address: "127.0.0.1:7400".to_owned(),
            cause: "Connection refused (os error 111)".to_owned(),
        };
        insta::assert_snapshot!(describe(&error, Palette::Plain));
    }
}
