//! A review for the wire: its row says what was asked; how it ended is read from its run's timeline, the only record of
//! decisions. What many reviews need is read for all of them at once.

use std::collections::HashMap;

use fulcrum_core::event::{Actor, Envelope, Event};
use fulcrum_core::ids::{PayloadId, ReviewId, RunId};
use fulcrum_core::payload::{Payload, PayloadRef};
use fulcrum_core::store::Store;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::review::v1 as wire;
use fulcrum_store::views::{ReviewPosition, StoredReview};

use super::Reviews;
use crate::grpc::convert::review::{self as convert, Ending};
use crate::grpc::page::{ANSWER_BYTES_MAX, More};
use crate::grpc::payloads::seal::Holder;
use crate::identity::registry::Namespace;
use crate::server::Fault;

/// The stored kind of `Event::ReviewDecided`.
const REVIEW_DECIDED: u16 = 8;

impl Reviews {
    pub(super) async fn show(
        &self,
        holder: Holder,
        namespace: &Namespace,
        stored: StoredReview,
    ) -> Result<wire::Review, Fault> {
        let id = stored.review.review;
        let (shown, _) = self
            .show_all(holder, namespace, vec![stored], More::No)
            .await?;
        let review = shown.into_iter().next().map(|(_, review)| review);
        review.ok_or_else(|| Fault::not_found(ErrorReason::ReviewNotFound, "review", id))
    }

    /// These reviews with their positions, as far as an answer has room for them; at least one.
    pub(super) async fn show_all(
        &self,
        holder: Holder,
        namespace: &Namespace,
        mut stored: Vec<StoredReview>,
        mut more: More,
    ) -> Result<(Vec<(ReviewPosition, wire::Review)>, More), Fault> {
        let mut endings = self.endings(&stored).await?;
        let fitting = fitting(&stored, &endings);
        if fitting < stored.len() {
            stored.truncate(fitting);
            more = More::Yes;
        }
        let workflows = self.workflows(&stored).await?;
        let payloads = self.payloads(&stored, &endings).await?;
        let give = |reference| self.handles.to_read(holder, reference);
        let mut shown = Vec::with_capacity(stored.len());
        for stored in stored {
            let position = stored.position();
            let ending = endings.remove(&position.review);
            let workflow = workflows.get(&stored.review.run).cloned();
            let review = convert::review(
                namespace.name.as_str(),
                workflow.unwrap_or_default(),
                stored,
                ending,
                &payloads,
                &give,
            );
            shown.push((position, review));
        }
        Ok((shown, more))
    }

    /// How those that were decided ended.
    async fn endings(&self, stored: &[StoredReview]) -> Result<HashMap<ReviewId, Ending>, Fault> {
        let closed = stored.iter().filter(|stored| stored.closed_at.is_some());
        let mut runs: Vec<RunId> = closed.map(|stored| stored.review.run).collect();
        runs.sort_unstable();
        runs.dedup();
        let mut endings = HashMap::new();
        let events = self
            .store
            .timelines()
            .of_kind(&runs, REVIEW_DECIDED)
            .await?;
        for linked in events {
            let opened = linked.event.open(linked.run, linked.previous);
            let Envelope { actor, event, .. } =
                opened.map_err(|problem| Fault::from(problem.of(linked.run)))?;
            if let Event::ReviewDecided {
                review,
                verdict,
                comment,
                ..
            } = event
            {
                let by = name(&actor);
                endings.insert(
                    review,
                    Ending {
                        verdict,
                        comment,
                        by,
                    },
                );
            }
        }
        Ok(endings)
    }

    async fn workflows(&self, stored: &[StoredReview]) -> Result<HashMap<RunId, String>, Fault> {
        let mut runs: Vec<RunId> = stored.iter().map(|stored| stored.review.run).collect();
        runs.sort_unstable();
        runs.dedup();
        let heads = self.store.heads(&runs).await?;
        Ok(heads
            .into_iter()
            .map(|head| (head.run, head.workflow))
            .collect())
    }

    async fn payloads(
        &self,
        stored: &[StoredReview],
        endings: &HashMap<ReviewId, Ending>,
    ) -> Result<HashMap<PayloadId, Payload>, Fault> {
        let mut references: Vec<PayloadRef> = Vec::new();
        for stored in stored {
            let edited = endings.get(&stored.review.review).and_then(Ending::edited);
            let row = &stored.review;
            let wanted = [Some(row.content), Some(row.show), edited].into_iter();
            references.extend(wanted.flatten().filter(|value| convert::is_whole(*value)));
        }
        references.sort_unstable();
        references.dedup();
        let loaded = self.store.payloads(&references).await?;
        Ok(loaded
            .into_iter()
            .map(|new| (new.reference.id, new.payload))
            .collect())
    }
}

/// How many of these an answer has room for; at least one. The title is a part of the content, which is nearly what is
/// shown once more, and is read for it.
fn fitting(stored: &[StoredReview], endings: &HashMap<ReviewId, Ending>) -> usize {
    let mut room = ANSWER_BYTES_MAX as u64;
    let fits = |stored: &&StoredReview| {
        let row = &stored.review;
        let ending = endings.get(&row.review);
        let values = [Some(row.show), ending.and_then(Ending::edited)].into_iter();
        let whole = values.flatten().filter(|value| convert::is_whole(*value));
        let bytes: u64 = whole.map(|value| u64::from(value.bytes)).sum();
        let title = match convert::is_whole(row.content) {
            true => row.content.bytes.saturating_sub(row.show.bytes),
            false => 0,
        };
        let rest = room.checked_sub(convert::ENVELOPE_BYTES_MAX + bytes + u64::from(title));
        room = rest.unwrap_or_default();
        rest.is_some()
    };
    stored.iter().take_while(fits).count().max(1)
}

fn name(actor: &Actor) -> String {
    match actor {
        Actor::Operator(name) | Actor::Client(name) => name.clone(),
        Actor::System => "fulcrum".to_owned(),
        Actor::Worker(worker) => worker.to_string(),
        Actor::Run(run) => run.to_string(),
    }
}
