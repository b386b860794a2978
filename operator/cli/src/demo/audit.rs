//! Every timeline of the demonstration, read and checked.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::client::connection::Connection;
use crate::client::events;
use crate::client::follow::{self, Steps};
use crate::command::run::timeline::verify;
use crate::error::CliError;
use crate::view::event::EventView;
use crate::view::run::RunView;

/// Timelines read at once.
const AT_ONCE: usize = 16;

/// One run with all its events; their chain holds.
#[derive(Debug, Clone)]
pub struct Story {
    /// The run as it ended, with its steps.
    pub run: RunView,
    /// Its events.
    pub events: Vec<EventView>,
}

impl Story {
    /// Why attempts failed and were made again: codes, and how often.
    #[must_use]
    pub fn retries(&self) -> BTreeMap<String, u64> {
        let mut codes = BTreeMap::new();
        for event in self
            .events
            .iter()
            .filter(|event| event.kind == "AttemptFailed")
        {
            *codes
                .entry(crate::timeline::shape::failure_code(&event.details))
                .or_default() += 1;
        }
        codes
    }
}

/// Reads the timelines of these runs and checks each chain, telling how many are done.
///
/// # Errors
/// When one cannot be read, or does not hold.
pub async fn read_all(
    connection: &Connection,
    run_ids: &[String],
    tell: impl Fn(u64),
) -> Result<Vec<Story>, CliError> {
    let read = |id: String| {
        let connection = connection.clone();
        async move {
            let run = follow::get(&connection, &id, Steps::Include).await?;
            let stored = events::all(&connection, &id).await?;
            verify(&run, &stored)?;
            Ok::<_, CliError>(Story {
                run,
                events: stored.iter().map(EventView::from).collect(),
            })
        }
    };
    let mut stories =
        futures_util::stream::iter(run_ids.iter().cloned().map(read)).buffered(AT_ONCE);
    let mut done = Vec::with_capacity(run_ids.len());
    while let Some(story) = stories.try_next().await? {
        done.push(story);
        tell(done.len() as u64);
    }
    Ok(done)
}

/// All retries of all runs: codes, and how often.
#[must_use]
pub fn retries(stories: &[Story]) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (code, count) in stories.iter().flat_map(Story::retries) {
        *all.entry(code).or_default() += count;
    }
    all
}

/// The run with the most to tell: one that asked a person, if any, with the most retries.
#[must_use]
pub fn most_eventful(stories: &[Story]) -> Option<&Story> {
    let asked = |story: &Story| {
        story
            .events
            .iter()
            .any(|event| event.kind == "ReviewDecided")
    };
    stories
        .iter()
        .max_by_key(|story| (asked(story), story.retries().values().sum::<u64>()))
}
