//! Starting many runs, and waiting for them all.

use std::collections::HashMap;
use std::time::Duration;

use fulcrum_proto::workflow::v1::batch_start_runs_result::Result as Started;
use fulcrum_proto::workflow::v1::{BatchStartRunsRequest, ListRunsRequest, RunSpec, RunStatus};

use super::connection::Connection;
use super::patience::{self, CALLS_MAX};
use super::refusal::Refusal;
use super::request_id;
use crate::error::CliError;
use crate::view::started::StartedView;
use crate::view::word::is_closed;

/// Runs started by one call: few enough to keep one message small, many enough to share commits.
const CHUNK: usize = 200;
/// Most runs in one page of a listing.
const PAGE: u32 = 1000;
/// How often the statuses of waited-for runs are asked for.
const POLL: Duration = Duration::from_millis(400);

/// Starts runs; one result for each, in order. Rows are counted from 1.
///
/// # Errors
/// When a whole call is refused. What earlier calls started is started.
pub async fn start(
    connection: &Connection,
    specs: Vec<RunSpec>,
) -> Result<Vec<StartedView>, CliError> {
    let mut results = Vec::with_capacity(specs.len());
    let mut specs = specs.into_iter().peekable();
    while specs.peek().is_some() {
        let chunk: Vec<_> = specs.by_ref().take(CHUNK).collect();
        let request = BatchStartRunsRequest {
            namespace: connection.namespace(),
            specs: chunk,
            request_id: request_id::fresh()?,
        };
        for outcome in start_chunk(connection, request).await? {
            let row = results.len() + 1;
            results.push(match outcome {
                Started::Started(started) => StartedView::started(row, &started),
                Started::Error(error) => StartedView::refused(row, &Refusal::from_item(&error)),
            });
        }
    }
    Ok(results)
}

/// One call, made again for as long as some of its starts are refused for now: under one request id nothing starts twice.
async fn start_chunk(
    connection: &Connection,
    request: BatchStartRunsRequest,
) -> Result<Vec<Started>, CliError> {
    let mut outcomes = send(connection, request.clone()).await?;
    for call in 1..CALLS_MAX {
        let Some(pause) = outcomes.iter().filter_map(come_back).max() else {
            break;
        };
        tokio::time::sleep(patience::spread(pause, call)).await;
        for (first, again) in outcomes
            .iter_mut()
            .zip(send(connection, request.clone()).await?)
        {
            // What the first call started is told as new: the second one only found it.
            if matches!(first, Started::Error(_)) {
                *first = again;
            }
        }
    }
    Ok(outcomes)
}

async fn send(
    connection: &Connection,
    request: BatchStartRunsRequest,
) -> Result<Vec<Started>, CliError> {
    let asked = request.specs.len();
    let answer = connection.runs().batch_start_runs(request).await?;
    let results = answer.into_inner().results;
    if results.len() != asked {
        let detail = format!("{} results for {asked} starts", results.len());
        return Err(CliError::BadAnswer(detail));
    }
    let outcomes = results.into_iter().map(|result| result.result);
    let outcomes: Option<Vec<Started>> = outcomes.collect();
    outcomes.ok_or_else(|| CliError::BadAnswer("a start has no result".to_owned()))
}

/// When a start may be asked for again, if it was refused for now.
fn come_back(outcome: &Started) -> Option<Duration> {
    match outcome {
        Started::Started(_) => None,
        Started::Error(error) => Refusal::from_item(error).retry_after,
    }
}

/// How far a group of runs has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many there are.
    pub total: u64,
    /// How many completed.
    pub completed: u64,
    /// How many failed.
    pub failed: u64,
    /// How many were cancelled.
    pub cancelled: u64,
}

impl Tally {
    /// How many have ended.
    #[must_use]
    pub fn closed(self) -> u64 {
        self.completed + self.failed + self.cancelled
    }

    /// Whether all have ended.
    #[must_use]
    pub fn is_done(self) -> bool {
        self.closed() == self.total
    }

    /// What is worth saying besides how many have ended.
    #[must_use]
    pub fn remark(self) -> String {
        let count = |n: u64, word: &str| {
            if n == 0 {
                String::new()
            } else {
                format!(", {n} {word}")
            }
        };
        format!(
            "runs closed{}{}",
            count(self.failed, "failed"),
            count(self.cancelled, "cancelled")
        )
    }
}

/// Waits until all these runs have ended, telling how far they have come after each look.
///
/// # Errors
/// When the runs cannot be listed.
pub async fn wait<'a>(
    connection: &Connection,
    run_ids: impl IntoIterator<Item = &'a str>,
    mut tell: impl FnMut(Tally),
) -> Result<Tally, CliError> {
    let mut statuses: HashMap<String, RunStatus> = run_ids
        .into_iter()
        .map(|id| (id.to_owned(), RunStatus::Running))
        .collect();
    loop {
        look(connection, &mut statuses).await?;
        let count = |wanted| {
            statuses
                .values()
                .filter(|status| **status == wanted)
                .count() as u64
        };
        let tally = Tally {
            total: statuses.len() as u64,
            completed: count(RunStatus::Completed),
            failed: count(RunStatus::Failed),
            cancelled: count(RunStatus::Cancelled),
        };
        tell(tally);
        if tally.is_done() {
            return Ok(tally);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Reads the listing, newest first, until each run that was still open has been met.
async fn look(
    connection: &Connection,
    statuses: &mut HashMap<String, RunStatus>,
) -> Result<(), CliError> {
    let mut client = connection.runs();
    let mut unseen = statuses
        .values()
        .filter(|status| !is_closed(**status))
        .count();
    let mut page_token = String::new();
    while unseen > 0 {
        let request = ListRunsRequest {
            namespace: connection.namespace(),
            filter: String::new(),
            page_size: PAGE,
            page_token,
        };
        let page = client.list_runs(request).await?.into_inner();
        for run in page.runs {
            if let Some(status) = statuses
                .get_mut(&run.run_id)
                .filter(|status| !is_closed(**status))
            {
                *status = run.status();
                unseen = unseen.saturating_sub(1);
            }
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
    Ok(())
}
