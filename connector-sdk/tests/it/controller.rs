//! A small controller: what a test tells it, it does; what it is told, it remembers.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use fulcrum_proto::{
    common::v1::{ErrorReason, ItemError},
    reason::ERROR_DOMAIN,
    worker::v1::{
        append_journal_result, enrolment_service_server::*, task_report_result,
        worker_service_server::*, *,
    },
};
use fulcrum_sdk::{Enrolment, IdentityDir, Worker, WorkerError, enrol};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{Notify, oneshot},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, transport::Server};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    authority::Authority,
    listener::{Cutter, incoming},
};

pub(crate) const BEAT: Duration = Duration::from_millis(50);

/// What the controller knows and does. Tests look at it and change it through [`Controller::state`].
#[derive(Default)]
pub(crate) struct State {
    pub(crate) queue: VecDeque<Task>,
    pub(crate) next_tasks: VecDeque<Task>,
    pub(crate) reports: Vec<TaskReport>,
    pub(crate) journals: HashMap<Vec<u8>, Vec<JournalEntry>>,
    pub(crate) polls: Vec<LeaseTasksRequest>,
    /// What each call was granted, for when it is repeated because its answer was lost.
    pub(crate) granted: HashMap<String, Vec<Task>>,
    pub(crate) registered: Option<RegisterRequest>,
    pub(crate) enrolled: Vec<EnrolRequest>,
    pub(crate) beats: usize,
    pub(crate) renewals: usize,
    /// What heartbeats are answered with.
    pub(crate) standing: LeaseState,
    /// So many report calls fail before one succeeds.
    pub(crate) report_failures: usize,
    /// The worker must register again before it gets tasks.
    pub(crate) forgot_worker: bool,
    /// How old certificates are at birth.
    pub(crate) certificate_age: Duration,
}

struct Shared {
    authority: Authority,
    endpoint: Mutex<String>,
    state: Mutex<State>,
    changed: Notify,
    cutter: Arc<Cutter>,
}

pub(crate) struct Controller {
    shared: Arc<Shared>,
    enrolment_endpoint: String,
    home: TempDir,
    _stop: oneshot::Sender<()>,
}

impl Controller {
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared {
            authority: Authority::new(),
            endpoint: Mutex::default(),
            state: Mutex::default(),
            changed: Notify::new(),
            cutter: Arc::default(),
        });
        let (addresses, ready) = std::sync::mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let enrolment = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let worker = TcpListener::bind("127.0.0.1:0").await.unwrap();
                addresses
                    .send((
                        enrolment.local_addr().unwrap().port(),
                        worker.local_addr().unwrap().port(),
                    ))
                    .unwrap();
                let enrolment = Server::builder()
                    .add_service(EnrolmentServiceServer::from_arc(Arc::clone(&serving)))
                    .serve_with_incoming(incoming(
                        enrolment,
                        serving.authority.enrolment_tls(),
                        Arc::default(),
                    ));
                let worker = Server::builder()
                    .add_service(WorkerServiceServer::from_arc(Arc::clone(&serving)))
                    .serve_with_incoming(incoming(
                        worker,
                        serving.authority.mutual_tls(),
                        Arc::clone(&serving.cutter),
                    ));
                tokio::select! {
                    _ = enrolment => {}
                    _ = worker => {}
                    _ = stopped => {}
                }
            });
        });
        let (enrolment_port, worker_port) = ready.recv().unwrap();
        *shared.endpoint.lock().unwrap() = format!("https://localhost:{worker_port}");
        Self {
            shared,
            enrolment_endpoint: format!("https://localhost:{enrolment_port}"),
            home: tempfile::tempdir().unwrap(),
            _stop: stop,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.shared.authority
    }

    pub(crate) fn identity(&self) -> IdentityDir {
        IdentityDir::at(self.home.path().join("identity"))
    }

    pub(crate) fn enrolment(&self, token: &str) -> Enrolment {
        Enrolment {
            endpoint: self.enrolment_endpoint.clone(),
            token: token.parse().unwrap(),
            name: None,
            version: "test".into(),
        }
    }

    /// Cuts the connections of all workers.
    pub(crate) fn cut_connections(&self) {
        self.shared.cutter.cut();
    }

    /// Offers a task.
    pub(crate) fn offer(&self, task: Task) {
        self.state().queue.push_back(task);
        self.shared.changed.notify_waiters();
    }

    /// Waits until `condition` gives something.
    pub(crate) async fn until<T>(&self, mut condition: impl FnMut(&State) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let changed = self.shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(found) = condition(&self.state()) {
                    return found;
                }
                changed.await;
            }
        };
        let patience = Duration::from_secs(20);
        let waited = tokio::time::timeout(patience, waiting).await;
        waited.expect("the condition comes true within 20 s")
    }

    /// Enrols and runs a worker on a thread of its own with a single-threaded runtime, so that a capability that
    /// blocks blocks everything but the heartbeat.
    pub(crate) async fn work(&self, build: impl FnOnce(Worker) -> Worker) -> Working {
        let dir = self.identity();
        let token = self.authority().token("secret");
        enrol(&self.enrolment(&token), &dir).await.unwrap();
        let worker = build(Worker::new(dir).drain_for(Duration::from_secs(10)));
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let (ended, end) = oneshot::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let _ = ended.send(runtime.block_on(worker.run(stop)));
        });
        Working { shutdown, end }
    }
}

pub(crate) struct Working {
    pub(crate) shutdown: CancellationToken,
    end: oneshot::Receiver<Result<(), WorkerError>>,
}

impl Working {
    pub(crate) async fn stop(self) -> Result<(), WorkerError> {
        self.shutdown.cancel();
        self.ended().await
    }

    pub(crate) async fn ended(self) -> Result<(), WorkerError> {
        let ended = tokio::time::timeout(Duration::from_secs(20), self.end).await;
        ended.expect("the worker ends within 20 s").unwrap()
    }
}

fn status(code: Code, reason: ErrorReason) -> Status {
    let details = ErrorDetails::with_error_info(reason.name(), ERROR_DOMAIN, HashMap::new());
    Status::with_error_details(code, reason.name(), details)
}

#[tonic::async_trait]
impl EnrolmentService for Shared {
    async fn enrol(
        &self,
        request: Request<EnrolRequest>,
    ) -> Result<Response<EnrolResponse>, Status> {
        let request = request.into_inner();
        let mut state = self.state.lock().unwrap();
        state.enrolled.push(request.clone());
        if request.token != self.authority.token("secret") {
            return Err(status(Code::Unauthenticated, ErrorReason::TokenInvalid));
        }
        let endpoint = self.endpoint.lock().unwrap().clone();
        let age = state.certificate_age;
        let response = self.authority.enrol(&request.csr_der, &endpoint, age);
        Ok(Response::new(response))
    }
}

#[tonic::async_trait]
impl WorkerService for Shared {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let mut state = self.state.lock().unwrap();
        state.registered = Some(request.into_inner());
        state.forgot_worker = false;
        self.changed.notify_waiters();
        Ok(Response::new(RegisterResponse {
            worker_id: "wrk_1".into(),
            heartbeat_interval: Some(BEAT.try_into().unwrap()),
            ..RegisterResponse::default()
        }))
    }

    async fn lease_tasks(
        &self,
        request: Request<LeaseTasksRequest>,
    ) -> Result<Response<LeaseTasksResponse>, Status> {
        let request = request.into_inner();
        self.state.lock().unwrap().polls.push(request.clone());
        self.changed.notify_waiters();
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state.lock().unwrap();
                if state.forgot_worker {
                    return Err(status(Code::FailedPrecondition, ErrorReason::NotRegistered));
                }
                let again = state.granted.get(&request.call_id).cloned();
                let count = state.queue.len().min(request.slots as usize);
                if again.is_some() || count > 0 || request.slots == 0 {
                    let tasks = again.unwrap_or_else(|| state.queue.drain(..count).collect());
                    state.granted.insert(request.call_id, tasks.clone());
                    let retry_after = None;
                    return Ok(Response::new(LeaseTasksResponse { tasks, retry_after }));
                }
            }
            changed.await;
        }
    }

    async fn heartbeat(
        &self,
        request: Request<HeartbeatRequest>,
    ) -> Result<Response<HeartbeatResponse>, Status> {
        let mut state = self.state.lock().unwrap();
        state.beats += 1;
        self.changed.notify_waiters();
        let result = HeartbeatResult {
            state: state.standing.into(),
            lease_ttl: None,
        };
        let results = request.into_inner().leases.iter().map(|_| result).collect();
        Ok(Response::new(HeartbeatResponse { results }))
    }

    async fn report_tasks(
        &self,
        request: Request<ReportTasksRequest>,
    ) -> Result<Response<ReportTasksResponse>, Status> {
        let request = request.into_inner();
        let mut state = self.state.lock().unwrap();
        if state.report_failures > 0 {
            state.report_failures -= 1;
            return Err(status(Code::Unavailable, ErrorReason::Overloaded));
        }
        let accepted = TaskReportResult {
            result: Some(task_report_result::Result::Accepted(ReportAccepted {})),
        };
        let results = request.reports.iter().map(|_| accepted.clone()).collect();
        state.reports.extend(request.reports);
        let next = state.next_tasks.len().min(request.next_slots as usize);
        let next_tasks = state.next_tasks.drain(..next).collect();
        self.changed.notify_waiters();
        Ok(Response::new(ReportTasksResponse {
            results,
            next_tasks,
        }))
    }

    async fn append_journal(
        &self,
        request: Request<AppendJournalRequest>,
    ) -> Result<Response<AppendJournalResponse>, Status> {
        let request = request.into_inner();
        let mut state = self.state.lock().unwrap();
        if state.standing == LeaseState::Lost {
            return Err(status(Code::FailedPrecondition, ErrorReason::LeaseLost));
        }
        let journal = state.journals.entry(request.lease.to_vec()).or_default();
        let results = request.entries.into_iter().map(|entry| {
            let same = journal.iter().find(|known| known.name == entry.name);
            let result = match same {
                Some(known) if known.input_digest != entry.input_digest => {
                    append_journal_result::Result::Error(ItemError {
                        reason: ErrorReason::JournalInputChanged.into(),
                        ..ItemError::default()
                    })
                }
                Some(_) => append_journal_result::Result::Recorded(JournalRecorded {}),
                None => {
                    journal.push(entry);
                    append_journal_result::Result::Recorded(JournalRecorded {})
                }
            };
            AppendJournalResult {
                result: Some(result),
            }
        });
        let results = results.collect();
        Ok(Response::new(AppendJournalResponse { results }))
    }

    async fn renew_certificate(
        &self,
        request: Request<RenewCertificateRequest>,
    ) -> Result<Response<RenewCertificateResponse>, Status> {
        let csr = request.into_inner().csr_der;
        let left = Duration::from_secs(3600);
        let chain = self.authority.certify(&csr, Duration::ZERO, left);
        self.state.lock().unwrap().renewals += 1;
        self.changed.notify_waiters();
        Ok(Response::new(RenewCertificateResponse {
            certificate_chain_pem: chain,
            ca_bundle_pem: self.authority.ca_pem(),
            expires_at: None,
        }))
    }
}
