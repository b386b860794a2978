//! `TimelineService`: the story of a run, entry by entry, with the hash chain.

use std::pin::Pin;
use std::sync::Arc;

use fulcrum_core::event::ChainHash;
use fulcrum_core::ids::RunId;
use fulcrum_core::store::Store;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::workflow::v1 as wire;
use fulcrum_proto::workflow::v1::timeline_service_server::TimelineService;
use fulcrum_store::PgStore;
use fulcrum_store::catalog::Page;
use futures_util::stream::{self, Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::caller::caller;
use super::convert::{event as convert, request as ids};
use super::page::{self, More, READ_BYTES_MAX};
use crate::PgEngine;
use crate::identity::registry::Registry;
use crate::server::{Caller, Fault};

/// Entries that a stream reads at a time.
const STREAM_ROWS: u32 = 500;

/// The service.
#[derive(Clone)]
pub struct Timelines {
    /// The engine.
    pub engine: Arc<PgEngine>,
    /// Timelines.
    pub store: PgStore,
    /// Namespaces.
    pub registry: Registry,
    /// Streams end when this is cancelled.
    pub polls_end: CancellationToken,
}

#[tonic::async_trait]
impl TimelineService for Timelines {
    async fn list_events(
        &self,
        request: Request<wire::ListEventsRequest>,
    ) -> Result<Response<wire::ListEventsResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let run = self
            .run(&caller, &request.namespace, &request.run_id)
            .await?;
        let rows = page::rows(request.page_size, self.engine.limits.page_rows_max)?;
        let (events, more) = self.page(run, request.after_seq, rows).await?;
        Ok(Response::new(wire::ListEventsResponse {
            events,
            more: more == More::Yes,
        }))
    }

    type StreamEventsStream =
        Pin<Box<dyn Stream<Item = Result<wire::StreamEventsResponse, Status>> + Send>>;

    async fn stream_events(
        &self,
        request: Request<wire::StreamEventsRequest>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let run = self
            .run(&caller, &request.namespace, &request.run_id)
            .await?;
        let pages = self.clone().pages(run, request.after_seq);
        let events = pages.flat_map(|page| match page {
            Ok(events) => {
                let responses = events
                    .into_iter()
                    .map(|event| Ok(wire::StreamEventsResponse { event: Some(event) }));
                stream::iter(responses.collect::<Vec<_>>())
            }
            Err(fault) => stream::iter(vec![Err(fault.into())]),
        });
        Ok(Response::new(events.boxed()))
    }
}

impl Timelines {
    /// The run, if it is one of this namespace.
    async fn run(&self, caller: &Caller, namespace: &str, run: &str) -> Result<RunId, Fault> {
        caller.reach(namespace)?;
        let namespace = self.registry.namespace(namespace).await?;
        let id = ids::run_id(run)?;
        let head = self
            .store
            .heads(&[id])
            .await?
            .pop()
            .filter(|head| head.namespace == namespace.id);
        head.map(|head| head.run)
            .ok_or_else(|| Fault::not_found(ErrorReason::RunNotFound, "run", run))
    }

    /// Entries after `after_seq`, at most `rows` and as many as an answer has room for, and whether there are more.
    async fn page(
        &self,
        run: RunId,
        after_seq: u64,
        rows: u32,
    ) -> Result<(Vec<wire::Event>, More), Fault> {
        // The entry before the page gives the hash that the page continues.
        let (after, extra) = if after_seq == 0 {
            (0, 0)
        } else {
            (after_seq - 1, 1)
        };
        let page = Page {
            after: Some(after),
            rows: rows + extra,
        };
        let read = self
            .store
            .timelines()
            .page(run, page, READ_BYTES_MAX)
            .await?;
        let mut previous = ChainHash::default();
        let mut stored = read.items.into_iter();
        if extra == 1 {
            match stored.next() {
                Some(before) => previous = before.hash,
                None => return Ok((Vec::new(), More::No)),
            }
        }
        let mut events = Vec::with_capacity(stored.len());
        for event in stored {
            events.push(convert::event(run, &event, previous)?);
            previous = event.hash;
        }
        Ok(page::fit(events, read.rest.into()))
    }

    /// Pages as they come, until the run is closed and everything has been sent.
    fn pages(
        self,
        run: RunId,
        after_seq: u64,
    ) -> impl Stream<Item = Result<Vec<wire::Event>, Fault>> + Send {
        let changes = self.engine.watch(run);
        stream::unfold(Some((self, changes, after_seq)), move |state| async move {
            let (service, mut changes, mut after) = state?;
            loop {
                changes.borrow_and_update();
                let closed = match service.store.heads(&[run]).await {
                    Ok(heads) => heads.first().is_none_or(|head| head.status.is_closed()),
                    Err(error) => return Some((Err(error.into()), None)),
                };
                match service.page(run, after, STREAM_ROWS).await {
                    Err(fault) => return Some((Err(fault), None)),
                    Ok((events, more)) => {
                        if let Some(last) = events.last() {
                            after = last.seq;
                            let done = closed && more == More::No;
                            return Some((
                                Ok(events),
                                (!done).then_some((service, changes, after)),
                            ));
                        }
                    }
                }
                if closed {
                    return None;
                }
                tokio::select! {
                    changed = changes.changed() => changed.ok()?,
                    () = service.polls_end.cancelled() => {
                        let fault = Fault::draining("stream again from the last event");
                        return Some((Err(fault), None));
                    }
                }
            }
        })
    }
}
