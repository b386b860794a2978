//! `fulcrum review`

use std::io::Write as _;

use clap::{Args, Subcommand, ValueEnum};
use fulcrum_proto::common::v1::Payload;
use fulcrum_proto::review::v1::{Decision, Review as Shown, ReviewState};

use crate::client::connection::Connection;
use crate::client::decide::{self, Verdict, Which};
use crate::client::payload;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::printer::Page as _;
use crate::output::table::details;
use crate::session::Session;
use crate::view::review::ReviewView;

/// See what you are asked, and decide
#[derive(Debug, Subcommand)]
pub enum Review {
    List(List),
    Show(Show),
    Approve(Approve),
    Reject(Reject),
}

/// List reviews, the most pressing first
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum review list
  fulcrum review list --state all --run run_01k…")]
pub struct List {
    /// Only reviews in this state
    #[arg(short, long, value_enum, default_value_t)]
    state: State,

    /// Only reviews of this run
    #[arg(short, long, value_name = "ID")]
    run: Option<String>,

    /// At most so many
    #[arg(short, long, default_value_t = 100, value_name = "N")]
    limit: usize,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum State {
    #[default]
    Open,
    Approved,
    Rejected,
    Expired,
    Withdrawn,
    All,
}

/// Show a review in full
#[derive(Debug, Args)]
pub struct Show {
    /// Id of the review
    review: String,
}

/// Approve reviews
///
/// Each is shown first, and the decision is bound to what was shown: if it changed in between, nothing is decided. At a
/// terminal you are asked to confirm; --yes skips that.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum review approve rev_01k…
  fulcrum review approve rev_01k… --edited '{\"subject\": \"Welcome\", \"body\": \"…\"}' --comment 'shorter'
  fulcrum review list -q | xargs fulcrum review approve --yes")]
pub struct Approve {
    #[command(flatten)]
    common: Deciding,

    /// Go on with this instead of what is shown: JSON, @FILE, or - for stdin
    #[arg(short, long, value_name = "JSON")]
    edited: Option<String>,
}

/// Reject reviews
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum review reject rev_01k… --comment 'wrong tone'")]
pub struct Reject {
    #[command(flatten)]
    common: Deciding,
}

#[derive(Debug, Args)]
struct Deciding {
    /// Ids of the reviews
    #[arg(required = true, value_name = "REVIEW")]
    reviews: Vec<String>,

    /// Anything to say about it, for the timeline
    #[arg(short, long, default_value = "", hide_default_value = true)]
    comment: String,

    /// Digest of what you saw, from `review show`; anything else is not decided
    #[arg(long, value_name = "HEX")]
    digest: Option<String>,

    /// Do not ask to confirm
    #[arg(short, long)]
    yes: bool,
}

impl Review {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        match self {
            Review::List(list) => list.run(session).await,
            Review::Show(show) => {
                let connection = session.connect().await?;
                let review = decide::get(&connection, &show.review).await?;
                session.printer().page(&ReviewView::from(&review))?;
                Ok(Exit::Ok)
            }
            Review::Approve(approve) => {
                let edited = approve
                    .edited
                    .as_deref()
                    .map(|text| payload::read("--edited", text))
                    .transpose()?;
                approve.common.run(session, Decision::Approve, edited).await
            }
            Review::Reject(reject) => reject.common.run(session, Decision::Reject, None).await,
        }
    }
}

impl List {
    async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let state = match self.state {
            State::All => ReviewState::Unspecified,
            State::Open => ReviewState::Open,
            State::Approved => ReviewState::Approved,
            State::Rejected => ReviewState::Rejected,
            State::Expired => ReviewState::Expired,
            State::Withdrawn => ReviewState::Withdrawn,
        };
        let which = Which {
            state,
            run_id: self.run.unwrap_or_default(),
            limit: self.limit,
        };
        let connection = session.connect().await?;
        let reviews = decide::list(&connection, &which).await?;
        let views: Vec<_> = reviews
            .iter()
            .map(|review| ReviewView::from(review).seen_at(session.now()))
            .collect();
        if views.is_empty() {
            session.notice().say("nothing to decide");
        }
        session.printer().list(&views)?;
        Ok(Exit::Ok)
    }
}

impl Deciding {
    async fn run(
        self,
        session: &Session,
        decision: Decision,
        edited: Option<Payload>,
    ) -> Result<Exit, CliError> {
        let several = self.reviews.len() > 1;
        if several && (edited.is_some() || self.digest.is_some()) {
            return Err(CliError::usage(
                "--edited and --digest are for one review",
                "decide the reviews one by one",
            ));
        }
        let connection = session.connect().await?;
        let mut decided = Vec::new();
        for id in &self.reviews {
            let shown = decide::get(&connection, id).await?;
            if let Some(review) = self
                .one(session, &connection, shown, decision, edited.clone())
                .await?
            {
                decided.push(ReviewView::from(&review));
            }
        }
        session.printer().list(&decided)?;
        Ok(Exit::Ok)
    }

    async fn one(
        &self,
        session: &Session,
        connection: &Connection,
        shown: Shown,
        decision: Decision,
        edited: Option<Payload>,
    ) -> Result<Option<Shown>, CliError> {
        let notice = session.notice();
        let view = ReviewView::from(&shown);
        if self
            .digest
            .as_ref()
            .is_some_and(|digest| *digest != view.digest)
        {
            return Err(CliError::CheckFailed {
                message: format!(
                    "{} is not what it was: its digest is {}",
                    view.review_id, view.digest
                ),
                fix: format!("look again with `fulcrum review show {}`", view.review_id),
            });
        }
        notice.say(&details(&view.pairs(), notice.palette));
        let verb = match decision {
            Decision::Approve => "approve",
            Decision::Reject | Decision::Unspecified => "reject",
        };
        if !self.yes && session.can_ask() && !confirmed(verb)? {
            notice.say("not decided");
            return Ok(None);
        }
        let verdict = Verdict {
            decision,
            edited,
            comment: self.comment.clone(),
        };
        decide::decide(connection, &shown, verdict).await.map(Some)
    }
}

/// Asks on stderr, so that stdout stays data.
fn confirmed(verb: &str) -> Result<bool, CliError> {
    let broken = |source| CliError::Io {
        what: "cannot ask".to_owned(),
        source,
    };
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "{verb} this? [y/N] ")
        .and_then(|()| stderr.flush())
        .map_err(broken)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(broken)?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}
