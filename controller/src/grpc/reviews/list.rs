//! Listings of reviews. What a review shows may be large, so that a page closes early where an answer is full.

use fulcrum_core::ids::ReviewId;
use fulcrum_core::time::Timestamp;
use fulcrum_proto::review::v1 as wire;
use fulcrum_store::catalog::Page;
use fulcrum_store::views::ReviewPosition;

use super::Reviews;
use crate::grpc::convert::request as ids;
use crate::grpc::page::{self, Listing};
use crate::grpc::payloads::seal::Holder;
use crate::server::{Caller, Fault};

impl Reviews {
    pub(super) async fn list(
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
            asked_at: Timestamp(at),
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
        let (shown, more) = self
            .show_all(Holder::of(caller, namespace.id), &namespace, stored, more)
            .await?;
        let next_page_token =
            listing.next(more, shown.last().map(|(at, _)| (at.asked_at.0, at.review)));
        let reviews = shown.into_iter().map(|(_, review)| review);
        Ok(wire::ListReviewsResponse {
            reviews: reviews
                .filter(|review| state == wire::ReviewState::Unspecified || review.state() == state)
                .collect(),
            next_page_token,
        })
    }
}
