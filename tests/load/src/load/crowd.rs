//! Many runs started at once by batches, without waiting for their ends.

use anyhow::Context as _;
use fulcrum_proto::workflow::v1::BatchStartRunsRequest;
use fulcrum_proto::workflow::v1::batch_start_runs_result::Result as BatchResult;
use fulcrum_sdk::channel::Channel;
use fulcrum_sdk::client;

use crate::load::starter::Starter;

/// Runs in one call: about half a megabyte of inputs.
const BATCH: u64 = 500;
/// Calls at once.
const CALLS: usize = 2;

/// Starts `runs` runs.
pub(crate) async fn start(channel: &Channel, starter: &Starter, runs: u64) -> anyhow::Result<()> {
    let mut calls = tokio::task::JoinSet::new();
    let mut first = 0;
    while first < runs || !calls.is_empty() {
        if first < runs && calls.len() < CALLS {
            let batch = first..(first + BATCH).min(runs);
            first = batch.end;
            let request = BatchStartRunsRequest {
                namespace: "default".to_owned(),
                specs: batch.map(|n| starter.spec(n)).collect(),
                ..BatchStartRunsRequest::default()
            };
            let mut client = client::runs(channel.clone());
            calls.spawn(async move { client.batch_start_runs(request).await });
            continue;
        }
        let answer = calls.join_next().await.context("a call is under way")??;
        for result in answer?.into_inner().results {
            match result.result {
                Some(BatchResult::Started(_)) => {}
                Some(BatchResult::Error(error)) => anyhow::bail!("a start was refused: {error:?}"),
                None => anyhow::bail!("a start without a result"),
            }
        }
    }
    Ok(())
}
