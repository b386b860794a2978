//! Timelines as they are stored, run by run.

use std::collections::VecDeque;

use fulcrum_core::ids::RunId;
use fulcrum_core::store::StoredEvent;
use fulcrum_proto::audit::v1 as wire;
use fulcrum_store::PgStore;
use fulcrum_store::audit::RecordedRun;
use fulcrum_store::catalog::{Page, Rest};
use futures_util::stream::{self, StreamExt};

use super::service::{ANSWER_BYTES, Answers};
use crate::server::Fault;

/// Runs read at a time.
const RUNS: u32 = 200;
/// Events read at a time.
const EVENTS: u32 = 1_000;

/// Which runs are wanted.
pub(super) enum Runs {
    /// All after this one.
    All { after: Option<RunId> },
    /// These.
    Some(Vec<RecordedRun>),
}

/// Their timelines.
pub(super) fn read(store: PgStore, runs: Runs) -> Answers<wire::ReadTimelinesResponse> {
    let begin = Reading {
        store,
        runs,
        queue: VecDeque::new(),
        under_way: None,
    };
    stream::unfold(Some(begin), |reading| async move {
        let mut reading = reading?;
        match reading.answer().await {
            Ok(Some(answer)) => Some((Ok(answer), Some(reading))),
            Ok(None) => None,
            Err(fault) => Some((Err(fault.into()), None)),
        }
    })
    .boxed()
}

struct Reading {
    store: PgStore,
    runs: Runs,
    queue: VecDeque<RecordedRun>,
    /// The run that is being told, and its last event that was.
    under_way: Option<(RecordedRun, u64)>,
}

impl Reading {
    async fn answer(&mut self) -> Result<Option<wire::ReadTimelinesResponse>, Fault> {
        let Some((run, after)) = self.next().await? else {
            return Ok(None);
        };
        let page = Page {
            after: Some(after),
            rows: EVENTS,
        };
        let timelines = self.store.timelines();
        let read = timelines.page(run.run, page, ANSWER_BYTES as u64).await?;
        let end = read.items.last().map(|event| event.seq);
        let is_last = read.rest == Rest::Nothing;
        let is_short = is_last && end.unwrap_or(after) < run.last_seq;
        let answer = wire::ReadTimelinesResponse {
            run_id: run.run.to_string(),
            namespace: run.namespace.clone(),
            closed: run.closed,
            events: read.items.into_iter().map(event).collect(),
            last: is_last,
            gone: is_short && self.store.audit().some_runs(&[run.run]).await?.is_empty(),
        };
        if let (Some(end), Rest::More) = (end, read.rest) {
            self.under_way = Some((run, end));
        }
        Ok(Some(answer))
    }

    async fn next(&mut self) -> Result<Option<(RecordedRun, u64)>, Fault> {
        if let Some(under_way) = self.under_way.take() {
            return Ok(Some(under_way));
        }
        if self.queue.is_empty() {
            match &mut self.runs {
                Runs::All { after } => {
                    self.queue = self.store.audit().runs(*after, RUNS).await?.into();
                    *after = self.queue.back().map(|run| run.run).or(*after);
                }
                Runs::Some(runs) => self.queue = std::mem::take(runs).into(),
            }
        }
        Ok(self.queue.pop_front().map(|run| (run, 0)))
    }
}

fn event(event: StoredEvent) -> wire::RecordedEvent {
    wire::RecordedEvent {
        seq: event.seq,
        kind_number: event.kind.into(),
        schema: event.schema.into(),
        body: event.body.into(),
        hash: event.hash.0.to_vec().into(),
    }
}
