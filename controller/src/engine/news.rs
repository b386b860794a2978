//! What other controllers should know at once of what happened here.
//!
//! News is a courtesy: what is lost or late is found by the next tick. It names no more than where to look, and when
//! there is too much to name it says so.

use std::collections::BTreeSet;

use fulcrum_core::ids::{NamespaceId, RunId};
use fulcrum_core::store::LineKey;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Lines that are named.
const LINES_MAX: usize = 32;
/// Runs that are named. With as many lines as may be, the text stays below 8,000 bytes, which is what a notification
/// carries.
const RUNS_MAX: usize = 100;
/// Bytes of a message.
const MESSAGE_BYTES_MAX: usize = 7_900;

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct News {
    /// Tasks were left to claims in these lines.
    pub lines: BTreeSet<LineKey>,
    /// These runs changed, and nobody watches them where they did.
    pub runs: BTreeSet<RunId>,
    /// Something changed that a tick tells of.
    pub tick: bool,
    /// There is more than can be named.
    pub everywhere: bool,
}

/// News as it goes out.
#[derive(Serialize, Deserialize)]
struct Message {
    from: Uuid,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lines: Vec<(Uuid, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    runs: Vec<Uuid>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    tick: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    everywhere: bool,
}

impl News {
    /// Is there nothing to tell?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Tasks were left to claims in this line.
    pub fn line(&mut self, line: LineKey) {
        if !self.everywhere {
            self.lines.insert(line);
            self.bound();
        }
    }

    /// This run changed.
    pub fn run(&mut self, run: RunId) {
        if !self.everywhere {
            self.runs.insert(run);
            self.bound();
        }
    }

    fn bound(&mut self) {
        if self.lines.len() > LINES_MAX || self.runs.len() > RUNS_MAX {
            *self = Self {
                everywhere: true,
                ..Self::default()
            };
        }
    }

    /// As a text of less than 8,000 bytes.
    #[must_use]
    pub fn to_text(&self, from: Uuid) -> String {
        let lines = self.lines.iter();
        let full = Message {
            from,
            lines: lines
                .map(|line| (line.namespace.0, line.capability.clone()))
                .collect(),
            runs: self.runs.iter().map(|run| run.0).collect(),
            tick: self.tick,
            everywhere: self.everywhere,
        };
        let write = |message: &Message| {
            serde_json::to_string(message).expect("ids and names are always JSON")
        };
        let text = write(&full);
        if text.len() <= MESSAGE_BYTES_MAX {
            return text;
        }
        write(&Message {
            from,
            lines: Vec::new(),
            runs: Vec::new(),
            tick: true,
            everywhere: true,
        })
    }

    /// From what came in; `None` for one's own. What cannot be read means: look everywhere.
    #[must_use]
    pub fn from_text(text: &str, me: Uuid) -> Option<Self> {
        let message: Message = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => {
                tracing::debug!(%error, "news of another version");
                return Some(Self::of_everything());
            }
        };
        let line = |(namespace, capability)| LineKey {
            namespace: NamespaceId(namespace),
            capability,
        };
        (message.from != me).then(|| Self {
            lines: message.lines.into_iter().map(line).collect(),
            runs: message.runs.into_iter().map(RunId).collect(),
            tick: message.tick,
            everywhere: message.everywhere,
        })
    }

    /// Nobody knows what happened.
    #[must_use]
    pub fn of_everything() -> Self {
        Self {
            tick: true,
            everywhere: true,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulcrum_core::ids::Shard;
    use fulcrum_core::time::Timestamp;

    const ME: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn line(n: usize) -> LineKey {
        LineKey {
            namespace: NamespaceId(Uuid::from_u128(n as u128)),
            capability: format!("{n:0>128}"),
        }
    }

    fn run(n: u64) -> RunId {
        RunId::new(Timestamp::from_millis(1), Shard(0), n)
    }

    #[test]
    fn others_read_what_was_told_and_oneself_does_not() {
        let mut news = News {
            tick: true,
            ..News::default()
        };
        news.line(line(7));
        news.run(run(8));
        let text = news.to_text(OTHER);
        assert_eq!(News::from_text(&text, ME), Some(news));
        assert_eq!(News::from_text(&text, OTHER), None);
    }

    #[test]
    fn too_much_to_name_says_look_everywhere() {
        let mut news = News::default();
        (0..=RUNS_MAX as u64).for_each(|n| news.run(run(n)));
        assert!(news.everywhere && news.runs.is_empty());
        let garbage = News::from_text("news from the future", ME);
        assert_eq!(garbage, Some(News::of_everything()));
    }

    #[test]
    fn a_message_fits_into_a_notification() {
        let mut news = News::default();
        (0..LINES_MAX).for_each(|n| news.line(line(n)));
        (0..RUNS_MAX as u64).for_each(|n| news.run(run(n)));
        assert!(!news.everywhere);
        let text = news.to_text(OTHER);
        assert!(text.len() <= MESSAGE_BYTES_MAX, "{}", text.len());
        assert!(News::from_text(&text, ME).is_some_and(|news| news.everywhere));
    }
}
