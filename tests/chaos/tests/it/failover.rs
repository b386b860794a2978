//! A standby that misses the last commits takes over.

use std::time::Instant;

use fulcrum_chaos::field::Field;
use fulcrum_chaos::hand::{Hand, Receipt};
use fulcrum_chaos::oracle::Accepted;
use fulcrum_chaos::scale::Scale;
use fulcrum_chaos::wire::{Weather, Wire};
use fulcrum_e2e::postgres::Postgres;
use fulcrum_e2e::wait;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::worker::v1::LeaseState;
use serde_json::{Value, json};

/// A field on a primary whose standby can be cut off.
struct Pair {
    field: Field,
    /// Between the controllers and whichever is primary.
    wire: Wire,
    /// Between the primary and its standby.
    replication: Wire,
    standby: Option<Postgres>,
}

impl Pair {
    async fn open(controllers: usize) -> anyhow::Result<Self> {
        let postgres = Postgres::start()?;
        let wire = Wire::to(postgres.address()).await?;
        let replication = Wire::to(postgres.address()).await?;
        let url = postgres.url_at(wire.address());
        let settings = [("database.url", url.as_str())];
        let field = Field::over(postgres, controllers, &settings, 0, 1).await?;
        let standby = field
            .stack
            .postgres
            .standby_through(replication.address())?;
        Ok(Self {
            field,
            wire,
            replication,
            standby: Some(standby),
        })
    }

    /// Waits until the standby has everything, and cuts it off: what is committed from now on will be lost.
    async fn part(&self) -> anyhow::Result<()> {
        let standby = self.standby.as_ref().expect("it was not promoted yet");
        wait::until("the standby has caught up", || async {
            let written = self
                .field
                .stack
                .postgres
                .value("select pg_current_wal_lsn()")?;
            let behind = standby.value(&format!(
                "select pg_wal_lsn_diff('{written}', pg_last_wal_replay_lsn()) > 0"
            ))?;
            anyhow::ensure!(behind == "f", "it is behind {written}");
            Ok(())
        })
        .await;
        self.replication.set(Weather::Cut);
        Ok(())
    }

    /// The primary is gone; the standby takes its place and its address.
    async fn fail_over(&mut self) -> anyhow::Result<()> {
        let standby = self.standby.take().expect("it was not promoted yet");
        self.field.stack.postgres.crash()?;
        standby.promote()?;
        self.wire.lead_to(standby.address());
        self.field.stack.postgres = standby;
        for controller in &self.field.stack.controllers {
            controller.ready().await;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_14_a_standby_without_the_last_commits_takes_over() -> anyhow::Result<()> {
    let _scale = Scale::asked("fault 14");
    let mut pair = Box::pin(Pair::open(1)).await?;
    let hand = Hand::join(&pair.field.stack, "hand", &["by.hand"]).await?;
    let other = Hand::join(&pair.field.stack, "other", &["by.hand"]).await?;
    let api = pair.field.stack.api.clone();
    api.apply("workflow: w\nsteps: [{ id: s, call: by.hand, with: { n: 1 } }]\noutput: \"${steps.s.output}\"")
        .await?;
    let kept = api.start("w", &json!({})).await?;
    pair.part().await?;
    // On the timeline that will be lost: a grant, and a run.
    let stale = hand.take(1).await?;
    let lost = api.start("w", &json!({})).await?;
    pair.fail_over().await?;
    let over = Instant::now();

    // The grant never was; whoever asks now gets the task with the same number and another nonce.
    wait::until("the hand is known", || hand.register()).await;
    wait::until("the other hand is known", || other.register()).await;
    let fresh = other.take(1).await?;
    assert_eq!(fresh[0].task_id, stale[0].task_id);
    assert_eq!(
        fresh[0].lease_seq, stale[0].lease_seq,
        "the counter repeats"
    );
    assert_eq!(fresh[0].effect_key, stale[0].effect_key);
    assert_eq!(hand.beat(&stale).await?, [LeaseState::Lost]);
    let refused = [Receipt::Refused(ErrorReason::LeaseLost)];
    assert_eq!(hand.complete(&stale, &json!("lost")).await?, refused);
    assert_eq!(
        other.complete(&fresh, &json!("kept")).await?,
        [Receipt::Accepted]
    );
    assert_eq!(api.output(&kept).await, json!("kept"));

    // What was accepted and lost can be submitted again.
    assert!(
        api.run(&lost).await.is_err(),
        "an asynchronous standby cannot have it"
    );
    let again = api.start("w", &json!({})).await?;
    let tasks = hand.take(1).await?;
    hand.complete(&tasks, &json!("again")).await?;
    assert_eq!(api.output(&again).await, json!("again"));
    for run in [kept, again] {
        pair.field.log.note(Accepted {
            run_id: run.clone(),
            key: run,
            steps: &[],
        });
    }
    let findings = pair.field.verdict(over).await?;
    eprintln!("fault 14: {findings}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_14_what_a_controller_remembers_of_the_lost_commits_is_not_built_on()
-> anyhow::Result<()> {
    let mut pair = Box::pin(Pair::open(2)).await?;
    let api = pair.field.stack.api.clone();
    api.apply("workflow: three\nsteps: [{ id: a, wait: go }, { id: b, wait: go }, { id: c, wait: go }]\noutput: \"${[steps.a.output, steps.b.output, steps.c.output]}\"")
        .await?;
    let run = api.start("three", &json!({})).await?;
    pair.part().await?;
    // The first controller remembers a version that will be lost …
    api.only(0).signal(&run, "go", &json!("lost")).await?;
    pair.fail_over().await?;
    let over = Instant::now();
    // … the second writes the same version with other content …
    api.only(1).signal(&run, "go", &json!("one")).await?;
    // … and the first goes on.
    api.only(0).signal(&run, "go", &json!("two")).await?;
    api.only(1).signal(&run, "go", &json!("three")).await?;
    let output: Value = api.output(&run).await;
    assert_eq!(output, json!(["one", "two", "three"]));
    pair.field.log.note(Accepted {
        run_id: run.clone(),
        key: run,
        steps: &[],
    });
    let findings = pair.field.verdict(over).await?;
    eprintln!("fault 14, two controllers: {findings}");
    Ok(())
}
