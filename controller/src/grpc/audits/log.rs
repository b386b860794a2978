//! The installation log, read from a place up to its head.

use std::collections::VecDeque;

use bytes::Bytes;
use fulcrum_proto::audit::v1 as wire;
use fulcrum_store::audit::{AuditLog, Batch};
use futures_util::stream::{self, StreamExt};

use super::service::{ANSWER_BYTES, Answers, hash, unsigned};
use crate::server::Fault;

/// Batches read at a time.
const BATCHES: u32 = 4;

/// The leaves from this place on, or from the first that is kept.
pub(super) async fn read(
    log: AuditLog,
    asked: u64,
) -> Result<Answers<wire::ReadLogResponse>, Fault> {
    let head = log.head(0).await?.ok_or_else(unsigned)?;
    let from = asked.max(head.first);
    if from > head.size {
        let problem = format!("is beyond the last of {} places", head.size);
        return Err(Fault::field("from_place", problem));
    }
    let edge = log.edge(from).await?;
    let edge = edge
        .and_then(|head| head.hashes)
        .ok_or_else(|| Fault::internal(&"the edge of a place that is kept is not"))?;
    let begin = Reading {
        log,
        next: from,
        end: head.size,
        edge: edge.into_iter().map(hash).collect(),
        ready: VecDeque::new(),
    };
    let answers = stream::unfold(Some(begin), |reading| async move {
        let mut reading = reading?;
        match reading.answer().await {
            Ok(Some(answer)) => Some((Ok(answer), Some(reading))),
            Ok(None) => None,
            Err(fault) => Some((Err(fault.into()), None)),
        }
    });
    Ok(answers.boxed())
}

/// A log that is being read up to a place.
struct Reading {
    log: AuditLog,
    next: u64,
    end: u64,
    edge: Vec<Bytes>,
    ready: VecDeque<wire::ReadLogResponse>,
}

impl Reading {
    async fn answer(&mut self) -> Result<Option<wire::ReadLogResponse>, Fault> {
        if self.ready.is_empty() && self.next < self.end {
            let batches = self.log.batches(self.next, BATCHES).await?;
            for batch in batches {
                self.take(batch);
            }
            if self.ready.is_empty() {
                // Whoever checks is told what is there, and finds out what is not.
                tracing::error!(
                    from = self.next,
                    to = self.end,
                    "leaves of the installation log are missing"
                );
                self.next = self.end;
            }
        }
        let answer = self.ready.pop_front();
        Ok(answer.map(|answer| wire::ReadLogResponse {
            edge: std::mem::take(&mut self.edge),
            ..answer
        }))
    }

    /// Cuts a batch into answers.
    fn take(&mut self, batch: Batch) {
        let passed = self.next.saturating_sub(batch.first);
        let mut rest = (batch.first..).zip(batch.leaves).peekable();
        rest.by_ref()
            .take(usize::try_from(passed).unwrap_or(usize::MAX))
            .for_each(drop);
        while let Some((first, _)) = rest.peek() {
            let mut answer = wire::ReadLogResponse {
                first_place: *first,
                ..wire::ReadLogResponse::default()
            };
            let mut bytes = 0;
            while let Some((place, leaf)) = rest.next_if(|_| bytes < ANSWER_BYTES) {
                bytes += leaf.len();
                answer.leaves.push(leaf.into());
                self.next = place + 1;
            }
            if rest.peek().is_none() {
                answer.note.clone_from(&batch.note);
            }
            self.ready.push_back(answer);
        }
    }
}
