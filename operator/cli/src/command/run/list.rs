//! `fulcrum run list`

use clap::{Args, ValueEnum};
use fulcrum_proto::workflow::v1::ListRunsRequest;

use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::view::run::RunView;

/// Most runs in one page.
const PAGE: usize = 1000;

/// List runs, newest first
#[derive(Debug, Args)]
#[command(after_long_help = "\
A filter is CEL over what is indexed: workflow, status, parent_run_id, started_at, joined with &&.

Examples:
  fulcrum run list --status failed
  fulcrum run list --workflow onboarding --limit 500 -o json
  fulcrum run list --filter 'status in [\"failed\", \"cancelled\"] && started_at >= timestamp(\"2026-11-01T00:00:00Z\")'
  fulcrum run list -q --status running | xargs -n1 fulcrum run cancel --reason 'wrong list'")]
pub struct List {
    /// Only runs of this workflow
    #[arg(short, long, value_name = "NAME")]
    workflow: Option<String>,

    /// Only runs with this status
    #[arg(short, long, value_enum)]
    status: Option<Status>,

    /// Only runs for which this holds
    #[arg(long, value_name = "CEL")]
    filter: Option<String>,

    /// At most so many
    #[arg(short, long, default_value_t = 50, value_name = "N")]
    limit: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Running,
    Paused,
    Cancelling,
    Completed,
    Failed,
    Cancelled,
}

impl List {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        let mut client = connection.runs();
        let filter = self.filter();
        let mut runs: Vec<RunView> = Vec::new();
        let mut page_token = String::new();
        let more = loop {
            let request = ListRunsRequest {
                namespace: connection.namespace(),
                filter: filter.clone(),
                page_size: u32::try_from((self.limit - runs.len()).clamp(1, PAGE))
                    .unwrap_or(u32::MAX),
                page_token,
            };
            let page = client.list_runs(request).await?.into_inner();
            runs.extend(
                page.runs
                    .iter()
                    .map(|run| RunView::from(run).seen_at(session.now())),
            );
            page_token = page.next_page_token;
            if page_token.is_empty() || runs.len() >= self.limit {
                break !page_token.is_empty();
            }
        };
        runs.truncate(self.limit);
        if runs.is_empty() {
            session
                .notice()
                .say("no runs; `fulcrum run start WORKFLOW` starts one");
        }
        session.printer().list(&runs)?;
        if more {
            session.notice().say(&format!(
                "there are more than {}; --limit shows them",
                runs.len()
            ));
        }
        Ok(Exit::Ok)
    }

    /// All conditions as one expression. Names are written as CEL strings, so that no name can end one.
    fn filter(&self) -> String {
        let literal = |text: &str| serde_json::Value::from(text).to_string();
        let workflow = self
            .workflow
            .as_deref()
            .map(|name| format!("workflow == {}", literal(name)));
        let status = self.status.and_then(|status| status.to_possible_value());
        let status = status.map(|status| format!("status == {}", literal(status.get_name())));
        let filter = self.filter.as_ref().map(|filter| format!("({filter})"));
        [workflow, status, filter]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" && ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_joined_and_names_cannot_break_out() {
        let list = List {
            workflow: Some("a\" || true".to_owned()),
            status: Some(Status::Failed),
            filter: Some("parent_run_id == 'y'".to_owned()),
            limit: 1,
        };
        assert_eq!(
            list.filter(),
            r#"workflow == "a\" || true" && status == "failed" && (parent_run_id == 'y')"#
        );
    }

    #[test]
    fn no_condition_is_no_filter() {
        assert_eq!(
            List {
                workflow: None,
                status: None,
                filter: None,
                limit: 1
            }
            .filter(),
            ""
        );
    }
}
