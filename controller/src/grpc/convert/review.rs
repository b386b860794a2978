//! Reviews.

use std::collections::HashMap;

use fulcrum_core::event::Verdict;
use fulcrum_core::ids::PayloadId;
use fulcrum_core::payload::{Payload, PayloadRef};
use fulcrum_proto::review::v1 as wire;
use fulcrum_store::views::StoredReview;

use super::{payload, time};

/// Bytes of a review without the values in it: ids, names, title, a comment of 4 KiB, what stands for values.
pub const ENVELOPE_BYTES_MAX: u64 = 16 << 10;

/// The largest value in a review: with two of them, an answer is not too large.
const WHOLE_BYTES_MAX: u32 = 2 << 20;
/// The longest title, in bytes; the rest is cut. The digest is over all of it.
const TITLE_BYTES_MAX: usize = 4 << 10;

/// How a review ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// What was decided.
    pub verdict: Verdict,
    /// What was said about it.
    pub comment: Option<String>,
    /// Who decided.
    pub by: String,
}

impl Ending {
    /// What goes on instead of what was shown.
    #[must_use]
    pub fn edited(&self) -> Option<PayloadRef> {
        match self.verdict {
            Verdict::Approved { edited } => edited,
            Verdict::Rejected | Verdict::Expired(_) => None,
        }
    }
}

/// A review for the wire. One that is closed and has no ending was withdrawn with its run.
#[must_use]
pub fn review(
    namespace: &str,
    workflow: String,
    stored: StoredReview,
    ending: Option<Ending>,
    payloads: &HashMap<PayloadId, Payload>,
    give: &payload::Give<'_>,
) -> wire::Review {
    let row = stored.review;
    let find = |reference: PayloadRef| payloads.get(&reference.id).cloned();
    let show = |reference: PayloadRef| match find(reference) {
        Some(value) if is_whole(reference) => payload::payload(value),
        Some(_) | None => give(reference),
    };
    let title = find(row.content)
        .and_then(|content| content.to_value().ok())
        .and_then(|content| Some(content.get("title")?.as_str()?.to_owned()));
    let mut review = wire::Review {
        review_id: row.review.to_string(),
        namespace: namespace.to_owned(),
        run_id: row.run.to_string(),
        step_key: row.step.to_string(),
        workflow,
        title: title.map(cut).unwrap_or_default(),
        show: Some(show(row.show)),
        editable: row.edit,
        asked_at: Some(time::instant(row.asked_at)),
        expires_at: row.expires_at.map(time::instant),
        state: wire::ReviewState::Open.into(),
        digest: row.content.hash.to_vec().into(),
        ..wire::Review::default()
    };
    let Some(closed_at) = stored.closed_at else {
        return review;
    };
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
        review.edited = ending.edited().map(show);
        review.decided_by = ending.by;
        review.comment = ending.comment.unwrap_or_default();
    }
    review
}

/// Whether a review carries this value, or its handle.
#[must_use]
pub fn is_whole(value: PayloadRef) -> bool {
    value.bytes <= WHOLE_BYTES_MAX
}

fn cut(mut title: String) -> String {
    title.truncate(title.floor_char_boundary(TITLE_BYTES_MAX));
    title
}
