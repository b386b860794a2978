//! Where faults are staged: an installation, the outside world, a client that remembers what it was promised.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fulcrum_e2e::api;
use fulcrum_e2e::postgres::Postgres;
use fulcrum_e2e::process::Build;
use fulcrum_e2e::program::Program;
use fulcrum_e2e::stack::Stack;
use fulcrum_e2e::wait;
use fulcrum_proto::workflow::v1::GetRunRequest;
use fulcrum_sdk::client;
use serde_json::json;

use crate::oracle::{self, Accepted, ClientLog, Evidence, Findings, Footprint, Terms};
use crate::target::Target;

/// Starts in one call.
const BATCH: usize = 100;

/// One order at the target.
pub const SHIP: Work = Work {
    workflow: "ship",
    steps: &["apply"],
};
/// Three orders, one after the other.
pub const RELAY: Work = Work {
    workflow: "relay",
    steps: &["first", "second", "third"],
};

/// A workflow and the orders it places.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Its name.
    pub workflow: &'static str,
    /// The steps that place an order each.
    pub steps: &'static [&'static str],
}

const WORKFLOWS: &[&str] = &[
    r#"
workflow: ship
steps:
  - id: apply
    call: target.apply
    with: { item: "${input.item}", step: apply }
    retry: { max_attempts: 50, initial: 100ms, max: 1s }
output: "${steps.apply.output}"
"#,
    r#"
workflow: relay
steps:
  - id: first
    call: target.apply
    with: { item: "${input.item}", step: first }
    retry: { max_attempts: 50, initial: 100ms, max: 1s }
  - id: second
    call: target.apply
    with: { item: "${input.item}", step: second }
    retry: { max_attempts: 50, initial: 100ms, max: 1s }
  - id: third
    call: target.apply
    with: { item: "${input.item}", step: third }
    retry: { max_attempts: 50, initial: 100ms, max: 1s }
output: "${steps.third.output}"
"#,
];

/// The field. What runs on it ends with it.
pub struct Field {
    /// Connectors that place orders at the target.
    pub edges: Vec<Program>,
    /// The installation.
    pub stack: Stack,
    /// The outside world.
    pub target: Target,
    /// What the client was promised.
    pub log: Arc<ClientLog>,
    /// What the verdict goes by.
    pub terms: Terms,
    footprints: Vec<Footprint>,
    started: AtomicUsize,
}

impl Field {
    /// One controller, and so many connectors of `slots` slots each.
    pub async fn open(connectors: usize, slots: u32) -> anyhow::Result<Self> {
        Self::over(Postgres::start()?, 1, &[], connectors, slots).await
    }

    /// Controllers with these settings on this cluster, and connectors, each at a controller in turn.
    pub async fn over(
        postgres: Postgres,
        controllers: usize,
        settings: &[(&str, &str)],
        connectors: usize,
        slots: u32,
    ) -> anyhow::Result<Self> {
        Self::of(
            Build::This,
            postgres,
            controllers,
            settings,
            connectors,
            slots,
        )
        .await
    }

    /// As [`Field::over`], of this build.
    pub async fn of(
        build: Build,
        postgres: Postgres,
        controllers: usize,
        settings: &[(&str, &str)],
        connectors: usize,
        slots: u32,
    ) -> anyhow::Result<Self> {
        let mut stack = Stack::of(build, postgres, controllers, settings).await?;
        stack.slots = slots;
        let target = Target::open().await?;
        let mut field = Self {
            edges: Vec::new(),
            stack,
            target,
            log: Arc::default(),
            terms: Terms::default(),
            footprints: Vec::new(),
            started: AtomicUsize::new(0),
        };
        for n in 0..connectors {
            let edge = field.edge(&format!("edge-{n}"), n % controllers).await?;
            field.edges.push(edge);
        }
        field.learn().await?;
        Ok(field)
    }

    /// Applies the workflows, once somebody offers their capability.
    pub async fn learn(&mut self) -> anyhow::Result<()> {
        if !self.edges.is_empty() {
            for workflow in WORKFLOWS {
                self.stack.api.apply(workflow).await?;
            }
        }
        self.footprints = self.footprints_now()?;
        Ok(())
    }

    /// Starts another connector of this field.
    pub async fn edge(&self, name: &str, at: usize) -> anyhow::Result<Program> {
        self.stack.connector(name, at, &self.edge_config()).await
    }

    /// What a connector of this field offers.
    pub fn edge_config(&self) -> String {
        format!(
            r#"
endpoints:
  target:
    base_url: "http://{}"
    allow_addresses: [loopback]
capabilities:
  - name: target.apply
    effect: irreversible
    idempotency: keyed
    timeout: 600s
    http:
      endpoint: target
      method: POST
      path: /apply
      json: {{ item: "{{{{ input.item }}}}", step: "{{{{ input.step }}}}" }}
      output: {{ receipt: "{{{{ body.receipt }}}}" }}
"#,
            self.target.address()
        )
    }

    /// Starts so many runs and notes each that was accepted. Calls that nobody answers are repeated.
    pub async fn start(&self, work: Work, runs: usize) -> anyhow::Result<Vec<String>> {
        let first = self.started.fetch_add(runs, Ordering::Relaxed);
        let keys: Vec<String> = (first..first + runs)
            .map(|n| format!("item-{n:06}"))
            .collect();
        let mut all = Vec::new();
        for keys in keys.chunks(BATCH) {
            let ids = self.accepted(work, keys).await?;
            for (run_id, key) in ids.iter().zip(keys) {
                self.log.note(Accepted {
                    run_id: run_id.clone(),
                    key: key.clone(),
                    steps: work.steps,
                });
            }
            all.extend(ids);
        }
        Ok(all)
    }

    /// Starts runs under these keys, again and again while they are refused for a while: a key stands for one run.
    async fn accepted(&self, work: Work, keys: &[String]) -> anyhow::Result<Vec<String>> {
        let began = Instant::now();
        loop {
            let specs = keys
                .iter()
                .map(|key| api::spec(work.workflow, &json!({ "item": key }), key));
            match self.stack.api.start_many(specs.collect()).await {
                Ok(ids) => return Ok(ids),
                Err(error) => {
                    let told = error.to_string();
                    let passes = ["StoreUnavailable", "Overloaded", "Draining"];
                    let passes = passes.iter().any(|reason| told.contains(reason));
                    anyhow::ensure!(passes && began.elapsed() < wait::PATIENCE, error);
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    /// How many events of these kinds (a list of their numbers) there are in all timelines.
    pub fn events(&self, kinds: &str) -> anyhow::Result<String> {
        self.stack.postgres.value(&format!(
            "select count(*) from runs r cross join lateral fulcrum_timeline(r.shard, r.run_id) e where e.kind in ({kinds})"
        ))
    }

    /// Waits until so many of the accepted runs are closed, or all of them if there are fewer.
    pub async fn closed(&self, at_least: usize) {
        let wanted = at_least.min(self.log.accepted().len());
        let patience = wait::PATIENCE.max(self.terms.recovery_max);
        wait::within(patience, &format!("{wanted} runs closed"), || async {
            let closed: usize = self
                .stack
                .postgres
                .value(
                    "select count(*) from runs where closed_at is not null and parent_id is null",
                )?
                .parse()?;
            anyhow::ensure!(closed >= wanted, "{closed} are");
            Ok(())
        })
        .await;
    }

    /// Waits until so many tasks are leased.
    pub async fn leased(&self, at_least: usize) {
        wait::until(&format!("{at_least} tasks leased"), || async {
            let leased: usize = self
                .stack
                .postgres
                .value("select count(*) from tasks where state = 'leased'")?
                .parse()?;
            anyhow::ensure!(leased >= at_least, "{leased} are");
            Ok(())
        })
        .await;
    }

    /// Waits for the end of every accepted run and judges what became of it all. `since` is the end of the fault.
    ///
    /// # Errors
    /// Every violation of an invariant.
    pub async fn verdict(&self, since: Instant) -> anyhow::Result<Findings> {
        self.closed(usize::MAX).await;
        let recovery = since.elapsed();
        let accepted = self.log.accepted();
        // What the engine tidies up after the last answer may take a moment; what stays is evidence.
        let began = Instant::now();
        let counts = loop {
            let counts = oracle::counts(&self.stack.postgres)?;
            if counts.iter().all(|(.., count)| *count == 0) || began.elapsed().as_secs() > 15 {
                break counts;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let mut timelines = std::collections::BTreeMap::new();
        for run in &accepted {
            let events = self.stack.api.events(&run.run_id).await?;
            timelines.insert(run.run_id.clone(), events);
        }
        let footprints = self.footprints_now()?.into_iter().map(|now| {
            let before = self.footprints.iter().find(|before| before.pid == now.pid);
            (before.copied(), now)
        });
        self.isolated(&accepted).await?;
        let evidence = Evidence {
            terms: self.terms,
            rows: oracle::rows(
                &self.stack.postgres,
                accepted.iter().map(|run| run.run_id.as_str()),
            )?,
            accepted,
            timelines,
            counts,
            calls: self.target.calls(),
            footprints: footprints.collect(),
            recovery,
        };
        oracle::judge(&evidence)
    }

    /// I10, asked from outside: a run is not found through another namespace.
    async fn isolated(&self, accepted: &[Accepted]) -> anyhow::Result<()> {
        let Some(run) = accepted.first() else {
            return Ok(());
        };
        let request = GetRunRequest {
            namespace: "elsewhere".to_owned(),
            run_id: run.run_id.clone(),
            include_steps: false,
            whole_bytes_max: 0,
        };
        let answer = client::runs(self.stack.api.channel())
            .get_run(request)
            .await;
        anyhow::ensure!(
            answer.is_err(),
            "I10: {} is found in another namespace",
            run.run_id
        );
        Ok(())
    }

    fn footprints_now(&self) -> anyhow::Result<Vec<Footprint>> {
        let running = self.stack.controllers.iter();
        running
            .filter_map(|controller| controller.program.process().ok())
            .map(|process| Footprint::of(process.pid()))
            .collect()
    }
}
