//! Somebody with all rights on the database, and the record that tells on them.

use std::path::Path;

use anyhow::Context as _;
use fulcrum_e2e::stack::Stack;
use fulcrum_e2e::wait;
use serde_json::{Value, json};

const WORKFLOW: &str = "workflow: w\nsteps: [{ id: a, set: { x: \"${1}\" } }, { id: b, sleep: 1ms }, { id: c, set: { y: \"${2}\" } }]";

/// The tables of the installation log.
const LOG: [&str; 4] = ["audit_log", "audit_batches", "audit_tiles", "audit_inbox"];

struct Scene {
    stack: Stack,
    runs: Vec<String>,
}

impl Scene {
    async fn open() -> anyhow::Result<Self> {
        let stack = Stack::start().await?;
        stack.overseer("auditor").await?;
        stack.api.apply(WORKFLOW).await?;
        let mut scene = Self {
            stack,
            runs: Vec::new(),
        };
        scene.work(3).await?;
        Ok(scene)
    }

    /// Has so many runs done, and waits until nothing is left to be signed.
    async fn work(&mut self, runs: usize) -> anyhow::Result<()> {
        for _ in 0..runs {
            let run = self.stack.api.start("w", &json!({})).await?;
            self.stack.api.closed(&run).await;
            self.runs.push(run);
        }
        let signed = || async {
            let left = self.sql("select count(*) from audit_inbox")?;
            anyhow::ensure!(left == "0", "{left} wait");
            Ok(())
        };
        wait::until("all commits are in the log", signed).await;
        Ok(())
    }

    fn sql(&self, statement: &str) -> anyhow::Result<String> {
        self.stack.postgres.value(statement)
    }

    fn audit(&self, args: &[&str]) -> anyhow::Result<String> {
        let args: Vec<&str> = ["audit"].iter().chain(args).copied().collect();
        self.stack.fulcrum("auditor", 0, &args)
    }

    fn verified(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(
            &self.audit(&["verify", "-o", "json"])?,
        )?)
    }

    /// What is said of a record that does not hold.
    fn broken(&self, args: &[&str]) -> anyhow::Result<String> {
        match self.audit(args) {
            Ok(said) => anyhow::bail!("{args:?} found nothing: {said}"),
            Err(error) => Ok(error.to_string()),
        }
    }

    /// The id of a run as the database has it.
    fn uuid(&self, run: usize) -> anyhow::Result<String> {
        let sql = format!("select run_id from runs order by run_id offset {run} limit 1");
        self.sql(&sql)
    }

    /// Everything that is about a run, or all of the log, put aside under this name or put back from there.
    fn keep(&self, tables: &[&str], name: &str) -> anyhow::Result<()> {
        for table in tables {
            self.sql(&format!("create table {name}_{table} as table {table}"))?;
        }
        Ok(())
    }

    fn put_back(&self, tables: &[&str], name: &str) -> anyhow::Result<()> {
        for table in tables {
            self.sql(&format!("begin; delete from {table}; insert into {table} overriding system value table {name}_{table}; commit"))?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn attack_29_whoever_owns_the_database_cannot_rewrite_the_story() -> anyhow::Result<()> {
    let mut scene = Box::pin(Scene::open()).await?;
    let file = scene.stack.dir().join("record.jsonl");
    let untouched = scene.verified()?;
    assert_eq!(untouched["verdict"], "holds", "{untouched}");
    assert_eq!(untouched["runs"], 3);
    let shown: Value = serde_json::from_str(&scene.audit(&["show", "-o", "json"])?)?;
    let verifier = shown["verifier"].as_str().context("a key")?.to_owned();
    scene.audit(&["export", text(&file)?])?;
    let of_file = ["verify", "--file", text(&file)?, "--verifier", &verifier];
    scene.audit(&of_file)?;
    let story = ["runs", "events"];
    scene.keep(&story, "good")?;

    // The end of a run is cut off, and its row made to fit.
    let run = scene.uuid(0)?;
    scene.sql(&format!(
        "begin; delete from events where stream = '{run}' and seq = (select last_seq from runs where run_id = '{run}');
         update runs r set status = 'running', closed_at = null, last_seq = e.seq, chain = e.hash
         from (select seq, hash from events where stream = '{run}' order by seq desc limit 1) e where r.run_id = '{run}'; commit"
    ))?;
    let said = scene.broken(&["verify"])?;
    assert!(
        said.contains(&format!("the timeline of {}", scene.runs[0])),
        "{said}"
    );
    assert!(said.contains("its end is missing"), "{said}");
    let said = scene.broken(&["verify", &scene.runs[0]])?;
    assert!(said.contains("its end is missing"), "{said}");
    scene.audit(&["verify", &scene.runs[1]])?;
    scene.put_back(&story, "good")?;

    // A run is gone.
    scene.sql(&format!("begin; delete from events where stream = '{run}'; delete from runs where run_id = '{run}'; commit"))?;
    let said = scene.broken(&["verify"])?;
    assert!(
        said.contains(&format!("{} was recorded with", scene.runs[0])),
        "{said}"
    );
    scene.put_back(&story, "good")?;

    // A byte of an event is changed.
    scene.sql(&format!("update events set body = set_byte(body, octet_length(body) - 1, 255 - get_byte(body, octet_length(body) - 1)) where stream = '{run}' and seq = (select max(seq) from events where stream = '{run}')"))?;
    let said = scene.broken(&["verify"])?;
    assert!(said.contains("was changed"), "{said}");
    scene.put_back(&story, "good")?;
    assert_eq!(scene.verified()?["verdict"], "holds");

    // An entry of the log is changed, taken out.
    scene.keep(&LOG, "early")?;
    scene.sql("update audit_batches set body = set_byte(body, 20, 255 - get_byte(body, 20)) where first = (select max(first) from audit_batches)")?;
    let said = scene.broken(&["verify"])?;
    assert!(said.contains("are not those that were signed"), "{said}");
    scene.put_back(&LOG, "early")?;
    scene.sql("delete from audit_batches where first = (select max(first) from audit_batches)")?;
    let said = scene.broken(&["verify"])?;
    assert!(
        said.contains("of the installation log are missing"),
        "{said}"
    );
    scene.put_back(&LOG, "early")?;

    // Later work is seen by the auditor, and then a backup from before it is put back.
    scene.work(1).await?;
    assert_eq!(scene.verified()?["runs"], 4);
    scene.put_back(&LOG, "early")?;
    let said = scene.broken(&["show"])?;
    assert!(
        said.contains("ALARM") && said.contains("its end is missing"),
        "{said}"
    );
    // It grows beyond what was seen, with another history.
    scene.work(6).await?;
    let said = scene.broken(&["show"])?;
    assert!(
        said.contains("ALARM") && said.contains("written anew"),
        "{said}"
    );
    // The file knows nothing of all this.
    scene.audit(&of_file)?;
    Ok(())
}

#[tokio::test]
async fn an_operator_of_one_namespace_is_not_told_of_the_others() -> anyhow::Result<()> {
    let stack = Box::pin(Stack::start()).await?;
    stack.identity("narrow", "operator").await?;
    stack.api.apply(WORKFLOW).await?;
    let run = stack.api.start("w", &json!({})).await?;
    stack.api.closed(&run).await;
    for args in [&["audit", "verify"][..], &["audit", "export", "record"]] {
        match stack.fulcrum("narrow", 0, args) {
            Ok(said) => anyhow::bail!("{args:?} was allowed: {said}"),
            Err(error) => assert!(error.to_string().contains("all namespaces"), "{error}"),
        }
    }
    Ok(())
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the path is text")
}
