//! One start at a time: the request, made of bytes prepared beforehand, and its answer.

use std::time::Duration;

use anyhow::Context as _;
use fulcrum_proto::common::v1::Payload;
use fulcrum_proto::workflow::v1::run_service_client::RunServiceClient;
use fulcrum_proto::workflow::v1::run_spec::Definition;
use fulcrum_proto::workflow::v1::{Run, RunSpec, RunStatus, StartRunRequest};
use fulcrum_sdk::channel::Channel;
use fulcrum_sdk::client;

use crate::rig::workflow::Workflow;

/// Size of a run's input.
const INPUT_BYTES: usize = 1_024;
/// Where the number stands in the input, after `{"n":`, padded with blanks.
const NUMBER_AT: usize = 5;
const NUMBER_BYTES: usize = 12;
/// Longest wait for a run's end.
const PATIENCE: Duration = Duration::from_secs(45);

/// Starts runs of one workflow over a few connections.
#[derive(Clone)]
pub(crate) struct Starter {
    clients: Vec<RunServiceClient<Channel>>,
    workflow: String,
    input: Vec<u8>,
}

/// What became of a start.
pub(crate) enum Started {
    /// The run ended well.
    Completed(Box<Run>),
    /// The controller was too busy, or not there: try again later.
    Refused,
}

impl Starter {
    /// Starts runs of `workflow` over these connections in turn.
    pub(crate) fn new(channels: &[Channel], workflow: Workflow) -> Self {
        let clients = channels.iter().cloned().map(client::runs);
        Self {
            clients: clients.collect(),
            workflow: workflow.name(),
            input: input(),
        }
    }

    /// What to start as the `n`th run.
    pub(crate) fn spec(&self, n: u64) -> RunSpec {
        let mut data = self.input.clone();
        let number = format!("{n:>NUMBER_BYTES$}");
        data[NUMBER_AT..NUMBER_AT + NUMBER_BYTES].copy_from_slice(number.as_bytes());
        RunSpec {
            definition: Some(Definition::Workflow(self.workflow.clone())),
            input: Some(Payload {
                encoding: "json".to_owned(),
                data: data.into(),
            }),
            ..RunSpec::default()
        }
    }

    /// Starts the `n`th run and waits for its end. With a `request_id` the call may be repeated.
    pub(crate) async fn start(&self, n: u64, request_id: String) -> anyhow::Result<Started> {
        let request = StartRunRequest {
            namespace: "default".to_owned(),
            spec: Some(self.spec(n)),
            request_id,
            wait: Some(PATIENCE.try_into().context("a few seconds")?),
        };
        let mut client = self.clients[n as usize % self.clients.len()].clone();
        let answer = match client.start_run(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) if may_pass(status.code() as i32) => return Ok(Started::Refused),
            Err(status) => return Err(status.into()),
        };
        let run = answer.run.context("an answer without a run")?;
        let (id, status) = (&run.run_id, run.status());
        anyhow::ensure!(
            status == RunStatus::Completed,
            "{id} is {status:?} after {PATIENCE:?}"
        );
        Ok(Started::Completed(Box::new(run)))
    }
}

/// CANCELLED and UNKNOWN (a cut connection), DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, UNAVAILABLE.
fn may_pass(code: i32) -> bool {
    matches!(code, 1 | 2 | 4 | 8 | 10 | 14)
}

/// `{"n":           0,"text":"…"}`, with a text that does not compress well.
fn input() -> Vec<u8> {
    let mut input = format!("{{\"n\":{:>NUMBER_BYTES$},\"text\":\"", 0).into_bytes();
    let mut noise: u64 = 0x9e37_79b9_7f4a_7c15;
    while input.len() < INPUT_BYTES - 2 {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let letter = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        input.push(letter[(noise >> 58) as usize]);
    }
    input.extend_from_slice(b"\"}");
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_is_one_kibibyte_of_json_with_the_number_in_it() {
        let starter = Starter {
            clients: Vec::new(),
            workflow: "bench-1".to_owned(),
            input: input(),
        };
        let data = starter.spec(1_234).input.unwrap().data;
        assert_eq!(data.len(), INPUT_BYTES);
        let value: serde_json::Value = serde_json::from_slice(&data).unwrap();
        assert_eq!(value["n"], 1_234);
    }
}
