//! The operator in a demonstration: looks at each review, and approves it.

use std::time::Duration;

use fulcrum_proto::review::v1::{Decision, ReviewState};

use crate::client::connection::Connection;
use crate::client::decide::{self, Verdict, Which};
use crate::error::CliError;
use crate::view::review::ReviewView;

const POLL: Duration = Duration::from_millis(300);

/// Approves reviews as they come, for ever; drop it to stop. `first` sees the first one as it is shown to a person,
/// `decided` how many were decided so far.
///
/// # Errors
/// When reviews cannot be listed or decided.
pub async fn approve_all(
    connection: &Connection,
    first: impl Fn(&ReviewView),
    decided: impl Fn(u64),
) -> Result<(), CliError> {
    let which = Which {
        state: ReviewState::Open,
        run_id: String::new(),
        limit: 1000,
    };
    let mut count = 0;
    loop {
        for review in decide::list(connection, &which).await? {
            if count == 0 {
                first(&ReviewView::from(&review));
            }
            let comment = "approved in the demonstration".to_owned();
            let verdict = Verdict {
                decision: Decision::Approve,
                edited: None,
                comment,
            };
            decide::decide(connection, &review, verdict).await?;
            count += 1;
            decided(count);
        }
        tokio::time::sleep(POLL).await;
    }
}
