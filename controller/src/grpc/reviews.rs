//! `ReviewService`: the inbox.

use std::sync::Arc;

use fulcrum_core::decide::Rejection;
use fulcrum_core::event::{Actor, Verdict};
use fulcrum_core::ids::ReviewId;
use fulcrum_core::payload::Payload;
use fulcrum_core::store::Store;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::review::v1 as wire;
use fulcrum_proto::review::v1::review_service_server::ReviewService;
use fulcrum_store::PgStore;
use fulcrum_store::catalog::Page;
use fulcrum_store::views::{ReviewPosition, StoredReview};
use tonic::{Request, Response, Status};

use super::caller::{actor, caller};
use super::convert::{payload, request as ids, time, trace};
use super::page::{self, Listing, More, PageKey};
use crate::PgEngine;
use crate::engine::handle::{Addressed, Decided, EngineError};
use crate::engine::item::LaneError;
use crate::identity::registry::{Namespace, Registry};
use crate::server::{Caller, Fault};

/// Longest comment, in bytes.
const COMMENT_BYTES_MAX: usize = 4_096;

/// The service.
pub struct Reviews {
    /// The engine.
    pub engine: Arc<PgEngine>,
    /// The inbox.
    pub store: PgStore,
    /// Namespaces.
    pub registry: Registry,
    /// For page tokens.
    pub page_key: Arc<PageKey>,
}

#[tonic::async_trait]
impl ReviewService for Reviews {
    async fn list_reviews(
        &self,
        request: Request<wire::ListReviewsRequest>,
    ) -> Result<Response<wire::ListReviewsResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.list(&caller, request.into_inner()).await?,
        ))
    }

    async fn get_review(
        &self,
        request: Request<wire::GetReviewRequest>,
    ) -> Result<Response<wire::GetReviewResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let namespace = self.namespace(&caller, &request.namespace).await?;
        let stored = self.find(&namespace, &request.review_id).await?;
        let review = self.show(&namespace, stored).await?;
        Ok(Response::new(wire::GetReviewResponse {
            review: Some(review),
        }))
    }

    async fn decide_review(
        &self,
        request: Request<wire::DecideReviewRequest>,
    ) -> Result<Response<wire::DecideReviewResponse>, Status> {
        let caller = caller(&request)?;
        let review = self.decide(&caller, request.into_inner()).await?;
        Ok(Response::new(wire::DecideReviewResponse {
            review: Some(review),
        }))
    }
}

impl Reviews {
    async fn list(
        &self,
        caller: &Caller,
        request: wire::ListReviewsRequest,
    ) -> Result<wire::ListReviewsResponse, Fault> {
        let namespace = self.namespace(caller, &request.namespace).await?;
        let rows = page::rows(request.page_size, self.engine.limits.page_rows_max)?;
        let (state, run) = (request.state(), &request.run_id);
        let run_id = if run.is_empty() {
            None
        } else {
            Some(ids::run_id(run)?)
        };
        let filter: [&str; 3] = [&request.namespace, state.as_str_name(), run];
        let listing = Listing {
            key: &self.page_key,
            method: "ListReviews",
            filter: &filter,
        };
        let after: Option<(i64, ReviewId)> = listing.cursor(&request.page_token)?;
        let after = after.map(|(at, review)| ReviewPosition {
            asked_at: fulcrum_core::time::Timestamp(at),
            review,
        });
        let position = Page {
            after,
            rows: rows + 1,
        };
        let read = if state == wire::ReviewState::Open && run_id.is_none() {
            self.store.reviews().inbox(namespace.id, position).await?
        } else {
            self.store
                .reviews()
                .list(namespace.id, run_id, position)
                .await?
        };
        let (stored, more) = page::cut(read, rows);
        let next_page_token = match (more, stored.last()) {
            (More::Yes, Some(last)) => {
                let at = last.position();
                listing.token(&(at.asked_at.0, at.review))
            }
            (More::Yes | More::No, _) => String::new(),
        };
        let mut reviews = Vec::with_capacity(stored.len());
        for stored in stored {
            let review = self.show(&namespace, stored).await?;
            if state == wire::ReviewState::Unspecified || review.state() == state {
                reviews.push(review);
            }
        }
        Ok(wire::ListReviewsResponse {
            reviews,
            next_page_token,
        })
    }

    async fn decide(
        &self,
        caller: &Caller,
        request: wire::DecideReviewRequest,
    ) -> Result<wire::Review, Fault> {
        let client = ids::client_request("DecideReview", &request.request_id, &request)?;
        let namespace = self.namespace(caller, &request.namespace).await?;
        let stored = self.find(&namespace, &request.review_id).await?;
        let (review, run) = (stored.review.review, stored.review.run);
        let shown: [u8; 32] = request.shown_digest.as_ref().try_into().map_err(|_| {
            Fault::field(
                "shown_digest",
                "must be the 32 bytes of the digest of the review that was shown",
            )
        })?;
        if request.comment.len() > COMMENT_BYTES_MAX {
            return Err(Fault::field(
                "comment",
                format!("must have at most {COMMENT_BYTES_MAX} bytes"),
            ));
        }
        let verdict = match request.decision() {
            wire::Decision::Unspecified => {
                return Err(Fault::field("decision", "approve or reject"));
            }
            wire::Decision::Reject => Decided::Rejected,
            wire::Decision::Approve => {
                let edited = request
                    .edited
                    .map(|edited| payload::to_payload("edited", edited))
                    .transpose()?;
                Decided::Approved { edited }
            }
        };
        let comment = (!request.comment.is_empty()).then_some(request.comment);
        let to = Addressed {
            actor: actor(caller),
            namespace: namespace.id,
            run,
            request: client,
            trace: trace::current(),
        };
        let decided = self
            .engine
            .decide_review(to, review, verdict, shown, comment);
        decided.await.map_err(|error| match error {
            // Its run has ended, and with it the question.
            EngineError::Lane(LaneError::Rejected(Rejection::RunClosed(_))) => {
                Fault::from(Rejection::ReviewNotOpen(review))
            }
            error => error.into(),
        })?;
        let stored = self.find(&namespace, &request.review_id).await?;
        self.show(&namespace, stored).await
    }

    async fn find(&self, namespace: &Namespace, text: &str) -> Result<StoredReview, Fault> {
        let not_found = || Fault::not_found(ErrorReason::ReviewNotFound, "review", text);
        let id: ReviewId = text.parse().map_err(|_| not_found())?;
        let stored = self.store.reviews().get(id).await?.ok_or_else(not_found)?;
        if stored.review.namespace == namespace.id {
            Ok(stored)
        } else {
            Err(not_found())
        }
    }

    /// The row says what was asked; how it ended is read from the run's timeline, the only record of decisions.
    async fn show(
        &self,
        namespace: &Namespace,
        stored: StoredReview,
    ) -> Result<wire::Review, Fault> {
        let row = stored.review;
        let mut references = vec![row.content, row.show];
        let ending = if stored.closed_at.is_some() {
            self.ending(&row).await?
        } else {
            None
        };
        if let Some(Ending {
            verdict: Verdict::Approved {
                edited: Some(edited),
            },
            ..
        }) = &ending
        {
            references.push(*edited);
        }
        references.dedup();
        let loaded = self.store.payloads(&references).await?;
        let find = |id| {
            loaded
                .iter()
                .find(|new| new.reference.id == id)
                .map(|new| new.payload.clone())
        };
        let content = find(row.content.id)
            .as_ref()
            .and_then(|content| Payload::to_value(content).ok());
        let title = content
            .as_ref()
            .and_then(|content| content["title"].as_str())
            .unwrap_or_default()
            .to_owned();
        let (head, _) = self
            .engine
            .run(namespace.id, row.run)
            .await
            .map(|(run, head)| (head, run))?;
        let mut review = wire::Review {
            review_id: row.review.to_string(),
            namespace: namespace.name.to_string(),
            run_id: row.run.to_string(),
            step_key: row.step.to_string(),
            workflow: head.workflow,
            title,
            show: find(row.show.id).map(payload::payload),
            editable: row.edit,
            asked_at: Some(time::instant(row.asked_at)),
            expires_at: row.expires_at.map(time::instant),
            state: wire::ReviewState::Open.into(),
            digest: row.content.hash.to_vec().into(),
            ..wire::Review::default()
        };
        if let Some(closed_at) = stored.closed_at {
            review.decided_at = Some(time::instant(closed_at));
            review.state = match &ending {
                None => wire::ReviewState::Withdrawn,
                Some(ending) => match &ending.verdict {
                    Verdict::Approved { .. } => wire::ReviewState::Approved,
                    Verdict::Rejected => wire::ReviewState::Rejected,
                    Verdict::Expired(_) => wire::ReviewState::Expired,
                },
            }
            .into();
            if let Some(ending) = ending {
                review.decided_by = ending.by;
                review.comment = ending.comment.unwrap_or_default();
                if let Verdict::Approved {
                    edited: Some(edited),
                } = ending.verdict
                {
                    review.edited = find(edited.id).map(payload::payload);
                }
            }
        }
        Ok(review)
    }

    async fn ending(&self, row: &fulcrum_core::store::ReviewRow) -> Result<Option<Ending>, Fault> {
        const ROWS: u32 = 500;
        let (mut after, mut previous) = (0, fulcrum_core::event::ChainHash::default());
        let mut ending = None;
        loop {
            let events = self.store.runs().timeline(row.run, after, ROWS).await?;
            let full = events.len() == ROWS as usize;
            for stored in events {
                let envelope = stored
                    .open(row.run, previous)
                    .map_err(|problem| Fault::internal(&problem))?;
                (previous, after) = (stored.hash, stored.seq);
                if let fulcrum_core::event::Event::ReviewDecided {
                    review,
                    verdict,
                    comment,
                    ..
                } = envelope.event
                    && review == row.review
                {
                    ending = Some(Ending {
                        verdict,
                        comment,
                        by: name(&envelope.actor),
                    });
                }
            }
            if !full {
                return Ok(ending);
            }
        }
    }

    async fn namespace(&self, caller: &Caller, name: &str) -> Result<Namespace, Fault> {
        caller.reach(name)?;
        Ok(self.registry.namespace(name).await?)
    }
}

struct Ending {
    verdict: Verdict,
    comment: Option<String>,
    by: String,
}

fn name(actor: &Actor) -> String {
    match actor {
        Actor::Operator(name) | Actor::Client(name) => name.clone(),
        Actor::System => "fulcrum".to_owned(),
        Actor::Worker(worker) => worker.to_string(),
        Actor::Run(run) => run.to_string(),
    }
}
