//! The operator's calls, as a careful client makes them: each mutation has a request id, and what fails because nobody
//! answered is asked again, at another controller if there is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fulcrum_proto::admin::v1::{ListWorkersRequest, WhoAmIRequest, Worker, WorkerState};
use fulcrum_proto::common::v1::{ItemError, Payload};
use fulcrum_proto::review::v1::{
    DecideReviewRequest, Decision, ListReviewsRequest, Review, ReviewState,
};
use fulcrum_proto::workflow::v1::batch_start_runs_result::Result as Started;
use fulcrum_proto::workflow::v1::run_spec::Definition as Which;
use fulcrum_proto::workflow::v1::{
    ApplyDefinitionRequest, BatchStartRunsRequest, BatchStartRunsResult, CancelRunRequest,
    Definition, Event, GetRunRequest, ListEventsRequest, ListRunsRequest, Run, RunSpec, RunStatus,
    SignalRunRequest, SourceFormat, StartRunRequest,
};
use fulcrum_sdk::channel::{self, Channel};
use fulcrum_sdk::{IdentityDir, Refusal, client};
use serde_json::Value;
use tonic::{Code, Response, Status};

use crate::wait;

/// The namespace of all tests.
pub const NAMESPACE: &str = "default";
/// Longest time one try of a call may take.
const TRY_PATIENCE: Duration = Duration::from_secs(15);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);
const PAGE: u32 = 1000;

/// An operator's client. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    channels: Arc<[Channel]>,
    at: Arc<AtomicUsize>,
}

impl Api {
    /// A client of these controllers; connects on first use.
    pub fn new(endpoints: &[String], identity: &IdentityDir) -> anyhow::Result<Self> {
        let identity = identity.load()?;
        let channels: Result<Vec<_>, _> = endpoints
            .iter()
            .map(|endpoint| channel::connect_lazy(endpoint, &identity))
            .collect();
        Ok(Self {
            channels: channels?.into(),
            at: Arc::default(),
        })
    }

    /// The connection in use, for calls that are not made here; they are not repeated.
    pub fn channel(&self) -> Channel {
        self.channels[self.at.load(Ordering::Relaxed) % self.channels.len()].clone()
    }

    /// A client that talks to one of the controllers alone.
    pub fn only(&self, controller: usize) -> Self {
        Self {
            channels: Arc::new([self.channels[controller].clone()]),
            at: Arc::default(),
        }
    }

    /// Makes a call until somebody answers it.
    ///
    /// # Errors
    /// The answer, if it is a refusal; the last obstacle after [`wait::PATIENCE`].
    pub async fn call<T, F>(&self, mut call: impl FnMut(Channel) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let began = Instant::now();
        loop {
            let at = self.at.load(Ordering::Relaxed);
            let channel = self.channels[at % self.channels.len()].clone();
            let status = match tokio::time::timeout(TRY_PATIENCE, call(channel)).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) if is_silence(&status) => status,
                Ok(Err(status)) => return Err(status),
                Err(_) => Status::deadline_exceeded("no answer in time"),
            };
            if began.elapsed() > wait::PATIENCE {
                return Err(status);
            }
            let _moved = self
                .at
                .compare_exchange(at, at + 1, Ordering::Relaxed, Ordering::Relaxed);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the controllers know this identity: their list is a moment behind.
    pub async fn settled(&self) {
        for channel in self.channels.iter() {
            wait::until("the operator is known", || async {
                client::identities(channel.clone())
                    .who_am_i(WhoAmIRequest {})
                    .await
            })
            .await;
        }
    }

    /// Stores a definition whose capabilities are all registered; fails with its diagnostics.
    pub async fn apply(&self, source: &str) -> anyhow::Result<Definition> {
        let request = ApplyDefinitionRequest {
            namespace: NAMESPACE.to_owned(),
            source: source.as_bytes().to_vec().into(),
            format: SourceFormat::Unspecified.into(),
            allow_unregistered: false,
            validate_only: false,
            request_id: request_id()?,
        };
        let answer = self
            .call(|channel| {
                let request = request.clone();
                async move { client::definitions(channel).apply_definition(request).await }
            })
            .await?;
        answer
            .definition
            .ok_or_else(|| anyhow::anyhow!("refused: {:#?}", answer.diagnostics))
    }

    /// Starts one run; gives its id.
    pub async fn start(&self, workflow: &str, input: &Value) -> anyhow::Result<String> {
        let request = StartRunRequest {
            namespace: NAMESPACE.to_owned(),
            spec: Some(spec(workflow, input, "")),
            request_id: request_id()?,
            wait: None,
        };
        let answer = self
            .call(|channel| {
                let request = request.clone();
                async move { client::runs(channel).start_run(request).await }
            })
            .await?;
        Ok(answer
            .run
            .ok_or_else(|| anyhow::anyhow!("no run in the answer"))?
            .run_id)
    }

    /// Starts many runs in one call; gives their ids in order. The call is made again, under the same request id, as long
    /// as some of the starts are refused for now.
    ///
    /// # Errors
    /// A start is refused for good, or still for now after [`wait::PATIENCE`].
    pub async fn start_many(&self, specs: Vec<RunSpec>) -> anyhow::Result<Vec<String>> {
        let request = BatchStartRunsRequest {
            namespace: NAMESPACE.to_owned(),
            specs,
            request_id: request_id()?,
        };
        let began = Instant::now();
        loop {
            let answer = self
                .call(|channel| {
                    let request = request.clone();
                    async move { client::runs(channel).batch_start_runs(request).await }
                })
                .await?;
            let again = answer.results.iter().find_map(for_now).cloned();
            match again {
                Some(error) if began.elapsed() > wait::PATIENCE => {
                    anyhow::bail!("still not started: {error:?}")
                }
                Some(_) => tokio::time::sleep(PAUSE).await,
                None => return answer.results.into_iter().map(started).collect(),
            }
        }
    }

    /// One run, with its steps.
    pub async fn run(&self, run_id: &str) -> anyhow::Result<Run> {
        let request = GetRunRequest {
            namespace: NAMESPACE.to_owned(),
            run_id: run_id.to_owned(),
            include_steps: true,
            whole_bytes_max: 0,
        };
        let answer = self
            .call(|channel| {
                let request = request.clone();
                async move { client::runs(channel).get_run(request).await }
            })
            .await?;
        answer
            .run
            .ok_or_else(|| anyhow::anyhow!("no run in the answer"))
    }

    /// Waits for a run's end, however it ends.
    pub async fn closed(&self, run_id: &str) -> Run {
        wait::until(&format!("{run_id} closed"), || async {
            let run = self.run(run_id).await?;
            anyhow::ensure!(is_closed(run.status()), "{run:#?}");
            Ok(run)
        })
        .await
    }

    /// Waits for a run's completion and gives its output; panics if it ends in another way.
    pub async fn output(&self, run_id: &str) -> Value {
        let run = self.closed(run_id).await;
        assert_eq!(run.status(), RunStatus::Completed, "{run:#?}");
        run.output.as_ref().map_or(Value::Null, to_json)
    }

    /// All root runs, newest first, without steps and payloads.
    pub async fn runs(&self) -> anyhow::Result<Vec<Run>> {
        let mut request = ListRunsRequest {
            namespace: NAMESPACE.to_owned(),
            page_size: PAGE,
            ..ListRunsRequest::default()
        };
        let mut runs = Vec::new();
        loop {
            let page = self
                .call(|channel| {
                    let request = request.clone();
                    async move { client::runs(channel).list_runs(request).await }
                })
                .await?;
            runs.extend(page.runs);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return Ok(runs);
            }
        }
    }

    /// A run's whole timeline.
    pub async fn events(&self, run_id: &str) -> anyhow::Result<Vec<Event>> {
        let mut events: Vec<Event> = Vec::new();
        loop {
            let request = ListEventsRequest {
                namespace: NAMESPACE.to_owned(),
                run_id: run_id.to_owned(),
                after_seq: events.last().map_or(0, |event| event.seq),
                page_size: PAGE,
            };
            let page = self
                .call(|channel| {
                    let request = request.clone();
                    async move { client::timelines(channel).list_events(request).await }
                })
                .await?;
            let is_last = !page.more || page.events.is_empty();
            events.extend(page.events);
            if is_last {
                return Ok(events);
            }
        }
    }

    /// The inbox: open reviews, at most 1,000.
    pub async fn open_reviews(&self) -> anyhow::Result<Vec<Review>> {
        let request = ListReviewsRequest {
            namespace: NAMESPACE.to_owned(),
            state: ReviewState::Open.into(),
            page_size: PAGE,
            ..ListReviewsRequest::default()
        };
        let page = self
            .call(|channel| {
                let request = request.clone();
                async move { client::reviews(channel).list_reviews(request).await }
            })
            .await?;
        Ok(page.reviews)
    }

    /// Decides a review as it was shown.
    pub async fn decide(
        &self,
        shown: &Review,
        decision: Decision,
        edited: Option<&Value>,
    ) -> anyhow::Result<Review> {
        let request = DecideReviewRequest {
            namespace: NAMESPACE.to_owned(),
            review_id: shown.review_id.clone(),
            decision: decision.into(),
            edited: edited.map(from_json),
            comment: "decided in a test".to_owned(),
            shown_digest: shown.digest.clone(),
            request_id: request_id()?,
        };
        let answer = self
            .call(|channel| {
                let request = request.clone();
                async move { client::reviews(channel).decide_review(request).await }
            })
            .await?;
        answer
            .review
            .ok_or_else(|| anyhow::anyhow!("no review in the answer"))
    }

    /// Sends a signal.
    pub async fn signal(&self, run_id: &str, signal: &str, payload: &Value) -> anyhow::Result<()> {
        let request = SignalRunRequest {
            namespace: NAMESPACE.to_owned(),
            run_id: run_id.to_owned(),
            signal: signal.to_owned(),
            payload: Some(from_json(payload)),
            request_id: request_id()?,
        };
        self.call(|channel| {
            let request = request.clone();
            async move { client::runs(channel).signal_run(request).await }
        })
        .await?;
        Ok(())
    }

    /// Asks a run to stop.
    pub async fn cancel(&self, run_id: &str) -> anyhow::Result<()> {
        let request = CancelRunRequest {
            namespace: NAMESPACE.to_owned(),
            run_id: run_id.to_owned(),
            reason: "cancelled in a test".to_owned(),
            request_id: request_id()?,
        };
        self.call(|channel| {
            let request = request.clone();
            async move { client::runs(channel).cancel_run(request).await }
        })
        .await?;
        Ok(())
    }

    /// All workers.
    pub async fn workers(&self) -> anyhow::Result<Vec<Worker>> {
        let request = ListWorkersRequest {
            namespace: NAMESPACE.to_owned(),
            page_size: PAGE,
            ..ListWorkersRequest::default()
        };
        let page = self
            .call(|channel| {
                let request = request.clone();
                async move { client::workers(channel).list_workers(request).await }
            })
            .await?;
        Ok(page.workers)
    }

    /// The worker of this name, if it is connected and its capabilities are known.
    ///
    /// # Errors
    /// What there is instead.
    pub async fn connected(&self, name: &str) -> anyhow::Result<Worker> {
        let workers = self.workers().await?;
        let worker = workers.iter().find(|worker| worker.name == name);
        let is_ready = |worker: &&Worker| {
            worker.state() == WorkerState::Connected && !worker.capabilities.is_empty()
        };
        worker
            .filter(is_ready)
            .cloned()
            .ok_or_else(|| anyhow::anyhow!("{workers:?}"))
    }
}

/// What to start; `key` is the run's idempotency key, empty for none.
pub fn spec(workflow: &str, input: &Value, key: &str) -> RunSpec {
    RunSpec {
        definition: Some(Which::Workflow(workflow.to_owned())),
        input: Some(from_json(input)),
        idempotency_key: key.to_owned(),
    }
}

/// A value as a payload.
pub fn from_json(value: &Value) -> Payload {
    Payload {
        encoding: "json".to_owned(),
        data: value.to_string().into_bytes().into(),
    }
}

/// A payload's value; panics if it is not JSON.
pub fn to_json(payload: &Payload) -> Value {
    serde_json::from_slice(&payload.data).expect("payloads of these tests are JSON")
}

/// Whether a run's status is terminal.
pub fn is_closed(status: RunStatus) -> bool {
    matches!(
        status,
        RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled
    )
}

/// An id that makes a repeated call harmless.
pub fn request_id() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string())
}

fn started(result: BatchStartRunsResult) -> anyhow::Result<String> {
    match result.result {
        Some(Started::Started(started)) => Ok(started.run_id),
        refused => Err(anyhow::anyhow!("not started: {refused:?}")),
    }
}

/// Why a start is refused for now, if it is: an error that says when to come back.
fn for_now(result: &BatchStartRunsResult) -> Option<&ItemError> {
    match &result.result {
        Some(Started::Error(error)) => error.retry_after.and(Some(error)),
        Some(Started::Started(_)) | None => None,
    }
}

/// Whether nobody answered: the controller says so itself, or the connection broke.
fn is_silence(status: &Status) -> bool {
    let broke = matches!(
        status.code(),
        Code::Unknown | Code::Cancelled | Code::Internal
    );
    status.code() == Code::Unavailable || (broke && Refusal::from(status.clone()).reason.is_none())
}
