//! `DecideReview`: a person says yes or no to what they were shown.

use crate::decide::command::{Approve, DecideReview};
use crate::decide::decision::Rejection;
use crate::decide::desk::Desk;
use crate::decide::report::cut;
use crate::event::{Activity, Event, ReviewAsked, StepKey, Verdict};

const COMMENT_BYTES_MAX: usize = 4 * 1024;

pub(super) fn decide(desk: &mut Desk<'_>, decision: &DecideReview) -> Result<(), Rejection> {
    let Some((step, asked, seq)) = find(desk, decision) else {
        return Err(Rejection::ReviewNotOpen(decision.review));
    };
    if decision.shown != asked.content.hash {
        return Err(Rejection::ReviewChanged {
            review: decision.review,
        });
    }
    desk.because_of(Some(seq));
    let comment = decision
        .comment
        .as_deref()
        .map(|comment| cut(comment, COMMENT_BYTES_MAX));
    let review = decision.review;
    match &decision.approve {
        Approve::Yes { edited } => {
            if edited.is_some() && !asked.edit {
                return Err(Rejection::NotEditable(review));
            }
            if let Some(new) = edited {
                let (max, actual) = (
                    u64::from(desk.inputs.limits.payload_bytes_max),
                    u64::from(new.reference.bytes),
                );
                if desk.take(new).is_err() {
                    return Err(Rejection::LimitExceeded {
                        limit: "payload_bytes_max",
                        max,
                        actual,
                    });
                }
            }
            let edited = edited.as_ref().map(|new| new.reference);
            let verdict = Verdict::Approved { edited };
            desk.emit(Event::ReviewDecided {
                step: step.clone(),
                review,
                verdict,
                comment: comment.clone(),
            });
            desk.review_approved(&step, &asked, edited, comment.as_deref())
        }
        Approve::No => {
            let verdict = Verdict::Rejected;
            desk.emit(Event::ReviewDecided {
                step: step.clone(),
                review,
                verdict,
                comment: comment.clone(),
            });
            desk.review_rejected(&step, &asked, comment.as_deref())
        }
    }
}

fn find(desk: &Desk<'_>, decision: &DecideReview) -> Option<(StepKey, ReviewAsked, u64)> {
    desk.run
        .open_steps()
        .find_map(|state| match &state.activity {
            Some(Activity::Review(asked)) if asked.review == decision.review => {
                Some((state.key.clone(), asked.clone(), state.last_seq))
            }
            Some(
                Activity::Call(_)
                | Activity::Review(_)
                | Activity::Sleep { .. }
                | Activity::Wait { .. }
                | Activity::Parallel
                | Activity::Switch { .. }
                | Activity::Try
                | Activity::Foreach(_)
                | Activity::Child { .. },
            )
            | None => None,
        })
}
