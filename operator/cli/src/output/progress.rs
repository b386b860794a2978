//! Progress of long waits, on stderr, when it is a terminal.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::notice::{Notice, Volume};
use super::safe_text;

/// How often the spinner turns, in milliseconds.
const TICK_MS: u64 = 120;

/// A bar or spinner that disappears when it is dropped. Silent when stderr is no terminal or `--quiet` is set.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A spinner for a wait of unknown length.
    #[must_use]
    pub fn spinner(notice: &Notice, message: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, target(notice));
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg} {elapsed}")
                .expect("the template is constant"),
        );
        bar.enable_steady_tick(Duration::from_millis(TICK_MS));
        Self(bar).with(message)
    }

    /// A bar for a known number of things.
    #[must_use]
    pub fn bar(notice: &Notice, total: u64, message: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), target(notice));
        let template = "{bar:32} {pos:>4}/{len} {msg} {elapsed}";
        bar.set_style(ProgressStyle::with_template(template).expect("the template is constant"));
        bar.enable_steady_tick(Duration::from_millis(TICK_MS));
        Self(bar).with(message)
    }

    /// How far it has come.
    pub fn set(&self, done: u64, message: &str) {
        self.0.set_position(done);
        self.0.set_message(safe_text::line(message));
    }

    /// Prints a line above the bar, on stderr.
    pub fn say(&self, notice: &Notice, text: &str) {
        self.0.suspend(|| notice.say(text));
    }

    fn with(self, message: &str) -> Self {
        self.0.set_message(safe_text::line(message));
        self
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn target(notice: &Notice) -> ProgressDrawTarget {
    if notice.volume == Volume::Normal && std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}
