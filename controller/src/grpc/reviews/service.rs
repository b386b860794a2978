//! The methods.

use std::sync::Arc;

use fulcrum_core::decide::Rejection;
use fulcrum_core::ids::ReviewId;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::review::v1 as wire;
use fulcrum_proto::review::v1::review_service_server::ReviewService;
use fulcrum_store::PgStore;
use fulcrum_store::views::StoredReview;
use tonic::{Request, Response, Status};

use crate::PgEngine;
use crate::engine::handle::{Addressed, Decided, EngineError};
use crate::engine::item::LaneError;
use crate::grpc::caller::{actor, caller};
use crate::grpc::convert::{payload, request as ids, trace};
use crate::grpc::page::PageKey;
use crate::grpc::payloads::Handles;
use crate::grpc::payloads::seal::Holder;
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
    /// Values that come and go apart.
    pub handles: Handles,
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
        let review = self
            .show(Holder::of(&caller, namespace.id), &namespace, stored)
            .await?;
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
    async fn decide(
        &self,
        caller: &Caller,
        request: wire::DecideReviewRequest,
    ) -> Result<wire::Review, Fault> {
        let namespace = self.namespace(caller, &request.namespace).await?;
        let holder = Holder::of(caller, namespace.id);
        let mut named = request.clone();
        self.handles.name_by_value(holder, &mut named.edited);
        let client = ids::client_request("DecideReview", &request.request_id, &named)?;
        let mut request = request;
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
        let _held = self.handles.redeem(holder, &mut request.edited).await?;
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
        self.show(holder, &namespace, stored).await
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

    pub(super) async fn namespace(&self, caller: &Caller, name: &str) -> Result<Namespace, Fault> {
        caller.reach(name)?;
        Ok(self.registry.namespace(name).await?)
    }
}
