//! One run: as it is now, and again whenever it changed.

use fulcrum_core::ids::{RunId, TaskId};
use fulcrum_core::payload::Payload;
use fulcrum_core::run::Run;
use fulcrum_core::store::Store;
use fulcrum_proto::workflow::v1 as wire;
use futures_util::stream::{self, Stream};
use tonic::Status;

use super::Runs;
use super::service::detail;
use crate::engine::watch::Closed;
use crate::grpc::convert::payload::Carriage;
use crate::grpc::convert::run::{self as convert, Detail};
use crate::grpc::convert::step::{self, Standings};
use crate::identity::registry::Namespace;
use crate::server::Fault;

impl Runs {
    /// Snapshots of a run whenever it has changed, until it is closed.
    pub(super) fn watch(
        self,
        namespace: Namespace,
        run: RunId,
        request: wire::WatchRunRequest,
    ) -> impl Stream<Item = Result<wire::WatchRunResponse, Status>> + Send {
        let changes = self.engine.watch(run);
        let detail = detail(request.include_steps);
        let state = Some((self, namespace, changes, request.after_version));
        stream::unfold(state, move |state| async move {
            let (service, namespace, mut changes, seen) = state?;
            loop {
                // Marked before reading: a change that comes while we read is seen by the next look.
                changes.borrow_and_update();
                let shown = match service.show(&namespace, run, detail, Carriage::Whole).await {
                    Ok(shown) => shown,
                    Err(fault) => return Some((Err(fault.into()), None)),
                };
                let closed = shown.closed_at.is_some();
                if shown.version > seen || closed {
                    let version = shown.version;
                    let response = wire::WatchRunResponse { run: Some(shown) };
                    let next = (!closed).then_some((service, namespace, changes, version));
                    return Some((Ok(response), next));
                }
                tokio::select! {
                    changed = changes.changed() => changed.ok()?,
                    () = service.polls_end.cancelled() => {
                        let fault = Fault::draining("watch again from the last version");
                        return Some((Err(fault.into()), None));
                    }
                }
            }
        })
    }

    pub(super) async fn show(
        &self,
        namespace: &Namespace,
        run: RunId,
        detail: Detail,
        carriage: Carriage<'_>,
    ) -> Result<wire::Run, Fault> {
        let (state, head) = self.engine.run(namespace.id, run).await?;
        let references = convert::references(&state, detail, carriage);
        let payloads = self.store.payloads(&references).await?;
        let payloads = payloads
            .into_iter()
            .map(|new| (new.reference.id, new.payload))
            .collect();
        let standings = match detail {
            Detail::Brief => Standings::default(),
            Detail::Run | Detail::Steps => self.standings(&state).await?,
        };
        let plan = match detail {
            Detail::Brief | Detail::Run => None,
            Detail::Steps => self.engine.catalog.plan(head.definition).await?.ok(),
        };
        Ok(convert::run(
            namespace.name.as_str(),
            &state,
            &head,
            &payloads,
            &standings,
            plan.as_deref(),
            carriage,
        ))
    }

    /// A run as it closed here, shown without reading what is at hand: its input from its caller, its output from the
    /// commit that closed it.
    pub(super) async fn show_closed(
        &self,
        namespace: &Namespace,
        closed: &Closed,
        input: Option<Payload>,
    ) -> Result<wire::Run, Fault> {
        let mut payloads = closed.payloads.clone();
        if let (Some(reference), Some(input)) = (closed.run.origin.input, input) {
            payloads.insert(reference.id, input);
        }
        let mut unread = convert::references(&closed.run, Detail::Brief, Carriage::Whole);
        unread.retain(|reference| !payloads.contains_key(&reference.id));
        if !unread.is_empty() {
            let read = self.store.payloads(&unread).await?;
            payloads.extend(read.into_iter().map(|new| (new.reference.id, new.payload)));
        }
        Ok(convert::run(
            namespace.name.as_str(),
            &closed.run,
            &closed.head,
            &payloads,
            &Standings::default(),
            None,
            Carriage::Whole,
        ))
    }

    /// How its tasks stand. They are read after the run and may be ahead of it; a step whose task is gone is shown as
    /// the run has it.
    async fn standings(&self, run: &Run) -> Result<Standings, Fault> {
        let ids: Vec<TaskId> = run
            .open_steps()
            .filter_map(|step| step::task(run, step))
            .collect();
        let tasks = self.store.tasks();
        let read = tasks.standing(run.id.shard(), &ids, self.silence_max);
        Ok(Standings::new(read.await?))
    }
}
