//! A controller that dies around the commit of each mutating call.
//!
//! The failpoints are on the wire to PostgreSQL, so the product has none: the connection that sends COMMIT in a
//! transaction that writes is broken before it arrives, or its answer is kept.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fulcrum_chaos::field::Field;
use fulcrum_chaos::hand::{Hand, Receipt};
use fulcrum_chaos::oracle::Accepted;
use fulcrum_chaos::scale::Scale;
use fulcrum_chaos::wire::{Inspect, Verdict, Wire};
use fulcrum_e2e::api::{self, NAMESPACE};
use fulcrum_e2e::postgres::Postgres;
use fulcrum_e2e::wait;
use fulcrum_proto::admin::v1::{
    CreateJoinTokenRequest, CreateNamespaceRequest, RevokeWorkerRequest, WhoAmIRequest,
};
use fulcrum_proto::common::v1::IdentityKind;
use fulcrum_proto::review::v1::{DecideReviewRequest, Decision};
use fulcrum_proto::workflow::v1::batch_start_runs_result::Result as Started;
use fulcrum_proto::workflow::v1::{
    ApplyDefinitionRequest, BatchStartRunsRequest, CancelRunRequest, SignalRunRequest,
    SourceFormat, StartRunRequest,
};
use fulcrum_sdk::channel::{self, Channel};
use fulcrum_sdk::{Refusal, client};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// When the controller dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    BeforeCommit,
    AfterCommit,
    AfterReply,
}

const POINTS: [Point; 3] = [Point::BeforeCommit, Point::AfterCommit, Point::AfterReply];

/// Every call that changes something.
const SWEPT: &[&str] = &[
    "ApplyDefinition",
    "StartRun",
    "BatchStartRuns",
    "SignalRun",
    "CancelRun",
    "DecideReview",
    "CreateJoinToken",
    "RevokeWorker",
    "Register",
    "LeaseTasks",
    "AppendJournal",
    "ReportTasks",
    "Heartbeat",
    "CreateNamespace",
];

/// Two that cannot be repeated, because a token or key is used up by the first answer, one that can be made only once in the
/// life of an installation, and one that stages anew each time: what the first staged has no handle and leaves with its day.
const NOT_SWEPT: &[&str] = &[
    "Enrol",
    "RenewCertificate",
    "RaiseFeatureLevel",
    "UploadPayload",
];
/// Calls that change nothing.
const READS: &[&str] = &[
    "Examine", "Get", "List", "Read", "Watch", "Stream", "Validate", "WhoAmI",
];

#[test]
fn every_mutating_call_is_swept() -> anyhow::Result<()> {
    let set = FileDescriptorSet::decode(fulcrum_proto::FILE_DESCRIPTOR_SET)?;
    let services = set.file.iter().flat_map(|file| &file.service);
    let methods: BTreeSet<&str> = services
        .flat_map(|service| &service.method)
        .map(|method| method.name())
        .collect();
    let forgotten: Vec<&str> = methods
        .into_iter()
        .filter(|name| !READS.iter().any(|read| name.starts_with(read)))
        .filter(|name| !SWEPT.contains(name) && !NOT_SWEPT.contains(name))
        .collect();
    assert!(forgotten.is_empty(), "crash it too: {forgotten:?}");
    Ok(())
}

/// Crashes what it is told to.
struct Sweep {
    field: Field,
    wire: Wire,
    overseer: Channel,
    crashes: usize,
}

impl Sweep {
    async fn open() -> anyhow::Result<Self> {
        let postgres = Postgres::start()?;
        let wire = Wire::to(postgres.address()).await?;
        let url = postgres.url_at(wire.address());
        let settings = [("database.url", url.as_str())];
        let field = Field::over(postgres, 1, &settings, 0, 1).await?;
        let overseer = field.stack.overseer("overseer").await?;
        let endpoint = field.stack.controllers[0].endpoint();
        let overseer = channel::connect_lazy(&endpoint, &overseer.load()?)?;
        wait::until("the overseer is known", || {
            let mut client = client::identities(overseer.clone());
            async move { client.who_am_i(WhoAmIRequest {}).await }
        })
        .await;
        wire.inspect(at_rest());
        Ok(Self {
            field,
            wire,
            overseer,
            crashes: 0,
        })
    }

    /// Makes a call, kills the controller at this point of it, and repeats the call at the next controller, twice: both
    /// answers must be the same, and the same as the first one's if there was one.
    async fn crash<T: PartialEq + Debug>(
        &mut self,
        what: &str,
        point: Point,
        call: impl AsyncFn() -> Result<T, Status>,
    ) -> anyhow::Result<T> {
        self.crashes += 1;
        let first = match point {
            Point::AfterReply => Some(call().await.map_err(|status| {
                anyhow::anyhow!("{what} was refused before anything happened: {status}")
            })?),
            Point::BeforeCommit | Point::AfterCommit => {
                let reached = CancellationToken::new();
                self.wire.inspect(at_commit(point, reached.clone()));
                tokio::select! {
                    biased;
                    () = reached.cancelled() => {}
                    answer = call() => anyhow::bail!("{what} answered without a commit: {answer:?}"),
                }
                None
            }
        };
        let controller = &mut self.field.stack.controllers[0];
        controller.program.kill()?;
        self.wire.inspect(at_rest());
        controller.up().await?;
        let again = answered(what, &call).await?;
        if let Some(first) = first {
            anyhow::ensure!(
                first == again,
                "{what} {point:?}: {first:?}, then {again:?}"
            );
        }
        let third = answered(what, &call).await?;
        anyhow::ensure!(
            again == third,
            "{what} {point:?}: {again:?}, then {third:?}"
        );
        Ok(again)
    }

    /// Starts a run and notes it.
    async fn run(&self, workflow: &str) -> anyhow::Result<String> {
        let run = self.field.stack.api.start(workflow, &json!({})).await?;
        self.note(&run);
        Ok(run)
    }

    fn note(&self, run: &str) {
        self.field.log.note(Accepted {
            run_id: run.to_owned(),
            key: run.to_owned(),
            steps: &[],
        });
    }

    /// How often this kind of event is on a run's timeline.
    async fn count(&self, run: &str, kind: &str) -> anyhow::Result<usize> {
        let events = self.field.stack.api.events(run).await?;
        Ok(events.iter().filter(|event| event.kind == kind).count())
    }
}

/// Repeats a call until somebody answers, as a client does.
async fn answered<T>(what: &str, call: impl AsyncFn() -> Result<T, Status>) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        match call().await {
            Ok(answer) => return Ok(answer),
            Err(status) if Refusal::from(status.clone()).is_temporary() => {
                anyhow::ensure!(began.elapsed() < wait::PATIENCE, "{what}: {status}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            // A worker that the new controller does not know yet would register; the hand does it in its call.
            Err(status) => anyhow::bail!("{what}: {status}"),
        }
    }
}

/// Strikes at the first commit: COMMIT of a transaction that was begun to write, or a call of the function that commits a
/// plain batch by itself.
fn at_commit(point: Point, reached: CancellationToken) -> Inspect {
    let struck = CancellationToken::new();
    Arc::new(move |memory, bytes| {
        if !commits(memory, &String::from_utf8_lossy(bytes).to_lowercase()) || struck.is_cancelled()
        {
            return Verdict::Pass;
        }
        struck.cancel();
        match point {
            Point::BeforeCommit | Point::AfterReply => {
                reached.cancel();
                Verdict::Break
            }
            Point::AfterCommit => Verdict::PassAndHush(reached.clone()),
        }
    })
}

/// Strikes at nothing, but learns what is prepared for later.
fn at_rest() -> Inspect {
    Arc::new(|memory, bytes| {
        commits(memory, &String::from_utf8_lossy(bytes).to_lowercase());
        Verdict::Pass
    })
}

/// Whether these messages commit something. A connection remembers how its transaction began, and, behind a line break,
/// under which names statements that commit by themselves were prepared.
fn commits(memory: &mut String, sent: &str) -> bool {
    let (mut begun, mut prepared) = match memory.split_once('\n') {
        Some((begun, prepared)) => (begun.to_owned(), prepared.to_owned()),
        None => (String::new(), String::new()),
    };
    if let Some(at) = sent.rfind("begin") {
        begun = sent[at..].chars().take(40).collect();
    }
    let calls = prepared
        .split(' ')
        .any(|name| !name.is_empty() && sent.contains(&format!("\0{name}\0")));
    if let Some(at) = sent.find("fulcrum_commit")
        && let Some(name) = sent[..at].rfind("sqlx_s_")
    {
        let name: String = sent[name..at]
            .chars()
            .take_while(|letter| *letter != '\0')
            .collect();
        prepared.push_str(&name);
        prepared.push(' ');
    }
    let ends = sent.contains("commit\0") && !begun.contains("read only");
    *memory = format!("{begun}\n{prepared}");
    calls || ends
}

const WAITS: &str = "workflow: waits\nsteps: [{ id: w, wait: go }]";
const ASKS: &str = "workflow: asks\nsteps: [{ id: r, review: 'Go on?' }]";
const CALLS: &str = "workflow: calls\nsteps: [{ id: s, call: by.hand, with: { n: 1 }, retry: { max_attempts: 5, initial: 10ms, max: 20ms } }]";
const NOTHING: &str = "workflow: nothing\nsteps: [{ id: s, set: { x: \"${1}\" } }]";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_03_controller_crashes_around_the_commit_of_every_mutating_call() -> anyhow::Result<()>
{
    let scale = Scale::asked("fault 3");
    let mut sweep = Box::pin(Sweep::open()).await?;
    let hand = Hand::join(&sweep.field.stack, "hand", &["by.hand"]).await?;
    for workflow in [WAITS, ASKS, CALLS, NOTHING] {
        sweep.field.stack.api.apply(workflow).await?;
    }
    // In the short run each call dies at one of the points in turn; in the full one, at each.
    let rounds = scale.pick(1, POINTS.len());
    for round in 0..rounds {
        for (n, method) in SWEPT.iter().enumerate() {
            let point = POINTS[(n + round) % POINTS.len()];
            Box::pin(crash_one(&mut sweep, &hand, method, point)).await?;
        }
    }
    sweep.field.terms.all_complete = false;
    let crashes = sweep.crashes;
    let findings = sweep.field.verdict(Instant::now()).await?;
    eprintln!("fault 3: {crashes} crashes; {findings}");
    Ok(())
}

async fn crash_one(
    sweep: &mut Sweep,
    hand: &Hand,
    method: &str,
    point: Point,
) -> anyhow::Result<()> {
    let channel = sweep.field.stack.api.channel();
    let request_id = api::request_id()?;
    match method {
        "ApplyDefinition" => {
            let request = ApplyDefinitionRequest {
                namespace: NAMESPACE.to_owned(),
                source: format!("workflow: new\nsteps: [{{ id: w, wait: '{request_id}' }}]")
                    .into_bytes()
                    .into(),
                format: SourceFormat::Unspecified.into(),
                request_id,
                ..ApplyDefinitionRequest::default()
            };
            let call = async || {
                let answer = client::definitions(channel.clone())
                    .apply_definition(request.clone())
                    .await?
                    .into_inner();
                Ok(answer.definition.map(|one| one.definition_hash))
            };
            sweep.crash(method, point, call).await?;
        }
        "StartRun" => {
            let request = StartRunRequest {
                namespace: NAMESPACE.to_owned(),
                spec: Some(api::spec("nothing", &json!({}), &request_id)),
                request_id,
                wait: None,
            };
            let call = async || {
                let answer = client::runs(channel.clone())
                    .start_run(request.clone())
                    .await?;
                Ok(answer.into_inner().run.map(|run| run.run_id))
            };
            let run = sweep.crash(method, point, call).await?;
            sweep.note(&run.expect("a started run has an id"));
        }
        "BatchStartRuns" => {
            let specs =
                (0..3).map(|n| api::spec("nothing", &json!({}), &format!("{request_id} {n}")));
            let request = BatchStartRunsRequest {
                namespace: NAMESPACE.to_owned(),
                specs: specs.collect(),
                request_id,
            };
            let call = async || {
                let answer = client::runs(channel.clone())
                    .batch_start_runs(request.clone())
                    .await?
                    .into_inner();
                let ids = answer.results.into_iter().map(|one| match one.result {
                    Some(Started::Started(run)) => Ok(run.run_id),
                    Some(Started::Error(error)) => Err(Status::unavailable(error.message)),
                    None => Err(Status::internal("no result")),
                });
                ids.collect::<Result<Vec<String>, Status>>()
            };
            for run in sweep.crash(method, point, call).await? {
                sweep.note(&run);
            }
        }
        "SignalRun" => {
            let run = sweep.run("waits").await?;
            let request = SignalRunRequest {
                namespace: NAMESPACE.to_owned(),
                run_id: run.clone(),
                signal: "go".to_owned(),
                payload: Some(api::from_json(&json!(1))),
                request_id,
            };
            let call = async || {
                let answer = client::runs(channel.clone())
                    .signal_run(request.clone())
                    .await?;
                Ok(answer.into_inner())
            };
            sweep.crash(method, point, call).await?;
            assert_eq!(sweep.count(&run, "SignalReceived").await?, 1);
        }
        "CancelRun" => {
            let run = sweep.run("waits").await?;
            let request = CancelRunRequest {
                namespace: NAMESPACE.to_owned(),
                run_id: run.clone(),
                reason: "crashed".to_owned(),
                request_id,
            };
            let call = async || {
                let answer = client::runs(channel.clone())
                    .cancel_run(request.clone())
                    .await?;
                Ok(answer.into_inner().run.map(|run| run.run_id))
            };
            sweep.crash(method, point, call).await?;
            assert_eq!(sweep.count(&run, "RunCancelRequested").await?, 1);
        }
        "DecideReview" => {
            let run = sweep.run("asks").await?;
            let reviews = sweep.field.stack.api.open_reviews().await?;
            let review = reviews.into_iter().find(|review| review.run_id == run);
            let review = review.expect("the review is open");
            let request = DecideReviewRequest {
                namespace: NAMESPACE.to_owned(),
                review_id: review.review_id.clone(),
                decision: Decision::Approve.into(),
                shown_digest: review.digest.clone(),
                request_id,
                ..DecideReviewRequest::default()
            };
            let call = async || {
                let answer = client::reviews(channel.clone())
                    .decide_review(request.clone())
                    .await?;
                Ok(answer.into_inner().review.map(|review| review.state))
            };
            sweep.crash(method, point, call).await?;
            assert_eq!(sweep.count(&run, "ReviewDecided").await?, 1);
        }
        "CreateNamespace" => {
            let request = CreateNamespaceRequest {
                name: format!("ns-{}", &request_id[..8]),
                request_id,
                ..CreateNamespaceRequest::default()
            };
            let channel = sweep.overseer.clone();
            let call = async || {
                let answer = client::namespaces(channel.clone())
                    .create_namespace(request.clone())
                    .await?;
                Ok(answer
                    .into_inner()
                    .namespace
                    .map(|namespace| namespace.name))
            };
            sweep.crash(method, point, call).await?;
        }
        "CreateJoinToken" => {
            let request = CreateJoinTokenRequest {
                namespace: NAMESPACE.to_owned(),
                name: format!("w-{}", &request_id[..8]),
                kind: IdentityKind::Executor.into(),
                request_id,
                ..CreateJoinTokenRequest::default()
            };
            let call = async || {
                let answer = client::workers(channel.clone())
                    .create_join_token(request.clone())
                    .await?;
                Ok(answer.into_inner().enrolment_endpoint)
            };
            sweep.crash(method, point, call).await?;
        }
        "RevokeWorker" => {
            let name = format!("leaver-{}", &request_id[..8]);
            let leaver = Hand::join(&sweep.field.stack, &name, &["by.leaver"]).await?;
            let workers = sweep.field.stack.api.workers().await?;
            let worker = workers.iter().find(|worker| worker.name == name);
            let request = RevokeWorkerRequest {
                namespace: NAMESPACE.to_owned(),
                worker_id: worker.expect("it has registered").worker_id.clone(),
                reason: "crashed".to_owned(),
                request_id,
            };
            let call = async || {
                let answer = client::workers(channel.clone())
                    .revoke_worker(request.clone())
                    .await?;
                Ok(answer.into_inner().worker.map(|worker| worker.state))
            };
            sweep.crash(method, point, call).await?;
            wait::until("the revoked worker is refused", || async {
                match leaver.register().await {
                    Ok(()) => Err("it is served"),
                    Err(_) => Ok(()),
                }
            })
            .await;
        }
        "Register" => {
            sweep
                .crash(method, point, async || hand.register().await)
                .await?;
        }
        "LeaseTasks" => {
            let run = sweep.run("calls").await?;
            // What was granted, and lost with the controller's memory, is granted again once its lease is over.
            let call = async || {
                hand.register().await?;
                let tasks = hand.lease(1, Duration::from_secs(20), &request_id).await?;
                let task = tasks.into_iter().next();
                task.map(|task| (task.task_id, task.effect_key))
                    .ok_or_else(|| Status::unavailable("no task yet"))
            };
            sweep.crash(method, point, call).await?;
            finish(sweep, hand, &run).await?;
        }
        "Heartbeat" | "AppendJournal" | "ReportTasks" => {
            let run = sweep.run("calls").await?;
            hand.settled().await;
            let tasks = hand.take(1).await?;
            match method {
                "Heartbeat" => {
                    let call = async || {
                        hand.register().await?;
                        hand.beat(&tasks).await
                    };
                    sweep.crash(method, point, call).await?;
                }
                "AppendJournal" => {
                    let call = async || {
                        hand.register().await?;
                        hand.append(&tasks[0], "op", &json!(1)).await
                    };
                    sweep.crash(method, point, call).await?;
                    assert_eq!(sweep.count(&run, "JournalRecorded").await?, 1);
                }
                _ => {
                    let call = async || {
                        hand.register().await?;
                        hand.complete(&tasks, &Value::Null).await
                    };
                    let receipts = sweep.crash(method, point, call).await?;
                    assert_eq!(receipts, [Receipt::Accepted], "{point:?}");
                    return Ok(());
                }
            }
            finish(sweep, hand, &run).await?;
        }
        unknown => anyhow::bail!("{unknown} has no crash of its own"),
    }
    if matches!(method, "SignalRun" | "CancelRun" | "DecideReview") {
        wait::until("nothing is open", || async {
            let open = sweep
                .field
                .stack
                .postgres
                .value("select count(*) from runs where closed_at is null")?;
            anyhow::ensure!(open == "0", "{open} runs are open");
            Ok(())
        })
        .await;
    }
    Ok(())
}

/// Brings a run with one call by hand to its end, whoever holds its task.
async fn finish(sweep: &Sweep, hand: &Hand, run: &str) -> anyhow::Result<()> {
    wait::until(&format!("{run} finished"), || async {
        hand.register().await?;
        let tasks = hand
            .lease(10, Duration::from_secs(1), &api::request_id()?)
            .await?;
        if !tasks.is_empty() {
            hand.complete(&tasks, &Value::Null).await?;
        }
        let run = sweep.field.stack.api.run(run).await?;
        anyhow::ensure!(api::is_closed(run.status()), "{:?}", run.status());
        Ok(())
    })
    .await;
    Ok(())
}
