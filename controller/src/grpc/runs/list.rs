//! Listings of runs.

use fulcrum_core::expr::{Health, RunConditions};
use fulcrum_core::ids::RunId;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::workflow::v1 as wire;
use fulcrum_store::catalog::Page;
use fulcrum_store::views::{Family, RunFilter, Stalled};
use tonic::Code;

use super::Runs;
use crate::grpc::convert::run as convert;
use crate::grpc::page::{self, Listing};
use crate::server::{Caller, Fault};

impl Runs {
    pub(super) async fn list(
        &self,
        caller: &Caller,
        request: wire::ListRunsRequest,
    ) -> Result<wire::ListRunsResponse, Fault> {
        let namespace = self.namespace(caller, &request.namespace).await?;
        let conditions =
            RunConditions::parse(&request.filter, &self.engine.limits).map_err(|error| {
                Fault::new(
                    Code::InvalidArgument,
                    ErrorReason::FilterInvalid,
                    format!("filter: {error}"),
                )
            })?;
        let rows = page::rows(request.page_size, self.engine.limits.page_rows_max)?;
        let filter: [&str; 2] = [&request.namespace, &request.filter];
        let listing = Listing {
            key: &self.page_key,
            method: "ListRuns",
            filter: &filter,
        };
        let after: Option<RunId> = listing.cursor(&request.page_token)?;
        let filter = RunFilter {
            namespace: namespace.id,
            workflow: conditions.workflow,
            statuses: conditions.statuses,
            family: match (conditions.parent, conditions.health) {
                (Some(parent), _) => Family::ChildrenOf(parent),
                // Work that nobody takes may be at any depth, and is what is looked for.
                (None, Some(Health::Stalled)) => Family::All,
                (None, None) => Family::Roots,
            },
            since: conditions.since,
        };
        let page = Page {
            after,
            rows: rows + 1,
        };
        let runs = self.store.runs();
        let silence = self.silence_max;
        let read = match conditions.health {
            Some(Health::Stalled) => runs.list_stalled(filter, Stalled { silence }, page).await?,
            None => runs.list(filter, page).await?,
        };
        let (heads, more) = page::cut(read, rows);
        let next_page_token = listing.next(more, heads.last().map(|last| last.run));
        let name = namespace.name.as_str();
        let runs = heads
            .iter()
            .map(|head| convert::summary(name, head))
            .collect();
        Ok(wire::ListRunsResponse {
            runs,
            next_page_token,
        })
    }
}
