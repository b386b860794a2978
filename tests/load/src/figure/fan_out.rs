//! `fanout_items_per_s`: one run with a `foreach` of 10,000 items, from start to result, and the most memory that the
//! controller took meanwhile.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use fulcrum_proto::common::v1::Payload;
use fulcrum_proto::workflow::v1::{GetRunRequest, RunStatus, StartRunRequest};
use fulcrum_sdk::channel::Channel;
use fulcrum_sdk::client;

use crate::load::starter::Starter;
use crate::meter::memory;
use crate::rig::installation::Installation;
use crate::rig::workflow::Workflow;
use crate::sitting::{Options, Record};

const ITEMS: u64 = 10_000;
/// How long one run may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// One run of many items after the other.
pub(crate) async fn measure(options: &Options, record: &mut Record) -> anyhow::Result<()> {
    let installation = Installation::start(options).await?;
    for workflow in [Workflow::Steps(1), Workflow::FanOut] {
        installation.apply(workflow).await?;
    }
    let starter = Starter::new(&installation.channels().await?, Workflow::Steps(1));
    options.warm(&installation, &starter).await?;
    let channel = installation.channel().await?;
    let items = options.count(ITEMS);
    one(&channel, items / 10).await?;
    installation.analyse()?;
    for _ in 0..options.repetitions {
        let time = one(&channel, items).await?;
        record.put("fanout_items_per_s", items as f64 / time.as_secs_f64());
    }
    let pid = installation.controllers[0].pid();
    record.put("fanout_controller_rss_peak_mb", memory::rss_peak_mb(pid)?);
    Ok(())
}

async fn one(channel: &Channel, items: u64) -> anyhow::Result<Duration> {
    let numbers: Vec<u64> = (0..items).collect();
    let input = serde_json::json!({ "items": numbers, "text": "x".repeat(200) });
    let mut spec = Starter::new(std::slice::from_ref(channel), Workflow::FanOut).spec(0);
    spec.input = Some(Payload {
        encoding: "json".to_owned(),
        data: input.to_string().into_bytes().into(),
    });
    let request = StartRunRequest {
        namespace: "default".to_owned(),
        spec: Some(spec),
        wait: Some(Duration::from_secs(45).try_into().context("45 s")?),
        ..StartRunRequest::default()
    };
    let mut runs = client::runs(channel.clone());
    let began = Instant::now();
    let answer = runs.start_run(request).await?.into_inner();
    let mut run = answer.run.context("an answer without a run")?;
    while run.status() == RunStatus::Running {
        anyhow::ensure!(began.elapsed() < PATIENCE, "not done in {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let request = GetRunRequest {
            namespace: "default".to_owned(),
            run_id: run.run_id.clone(),
            include_steps: false,
            whole_bytes_max: 0,
        };
        let answer = runs.get_run(request).await?.into_inner();
        run = answer.run.context("an answer without a run")?;
    }
    let (status, failure) = (run.status(), &run.failure);
    anyhow::ensure!(
        status == RunStatus::Completed,
        "it is {status:?}: {failure:?}"
    );
    Ok(began.elapsed())
}
