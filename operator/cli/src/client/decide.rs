//! Reviews: reading them, and deciding them as they were shown.

use fulcrum_proto::common::v1::Payload;
use fulcrum_proto::review::v1::{
    DecideReviewRequest, Decision, GetReviewRequest, ListReviewsRequest, Review, ReviewState,
};

use super::connection::Connection;
use super::request_id;
use super::transfer;
use crate::error::CliError;

/// Most reviews in one page of a listing.
const PAGE: u32 = 1000;

/// Which reviews to list.
#[derive(Debug, Clone, Default)]
pub struct Which {
    /// Those in this state; unspecified for all.
    pub state: ReviewState,
    /// Those of this run; empty for all.
    pub run_id: String,
    /// At most so many.
    pub limit: usize,
}

/// Reviews, most pressing first.
///
/// # Errors
/// When a call is refused.
pub async fn list(connection: &Connection, which: &Which) -> Result<Vec<Review>, CliError> {
    let mut client = connection.reviews();
    let mut reviews = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListReviewsRequest {
            namespace: connection.namespace(),
            state: which.state.into(),
            run_id: which.run_id.clone(),
            page_size: PAGE,
            page_token,
        };
        let page = client.list_reviews(request).await?.into_inner();
        reviews.extend(page.reviews);
        page_token = page.next_page_token;
        if page_token.is_empty() || reviews.len() >= which.limit {
            reviews.truncate(which.limit);
            return Ok(reviews);
        }
    }
}

/// One review.
///
/// # Errors
/// When the call is refused.
pub async fn get(connection: &Connection, review_id: &str) -> Result<Review, CliError> {
    let request = GetReviewRequest {
        namespace: connection.namespace(),
        review_id: review_id.to_owned(),
    };
    let answer = connection.reviews().get_review(request).await?.into_inner();
    let mut review = answer
        .review
        .ok_or_else(|| CliError::BadAnswer("it names no review".to_owned()))?;
    let payloads = review.show.iter_mut().chain(review.edited.iter_mut());
    transfer::whole(connection, payloads).await?;
    Ok(review)
}

/// What was decided about a review as it was shown.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Yes or no.
    pub decision: Decision,
    /// What to go on with instead of what was shown.
    pub edited: Option<Payload>,
    /// Anything said about it.
    pub comment: String,
}

/// Decides a review. The digest of what was shown goes with it, so that a review that changed since is not decided.
///
/// # Errors
/// When the call is refused.
pub async fn decide(
    connection: &Connection,
    shown: &Review,
    verdict: Verdict,
) -> Result<Review, CliError> {
    let request = DecideReviewRequest {
        namespace: connection.namespace(),
        review_id: shown.review_id.clone(),
        decision: verdict.decision.into(),
        edited: transfer::lighten(connection, verdict.edited).await?,
        comment: verdict.comment,
        shown_digest: shown.digest.clone(),
        request_id: request_id::fresh()?,
    };
    let answer = connection
        .reviews()
        .decide_review(request)
        .await?
        .into_inner();
    answer
        .review
        .ok_or_else(|| CliError::BadAnswer("it names no review".to_owned()))
}
