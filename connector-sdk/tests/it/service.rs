//! What the small controller says and remembers.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
    time::{Duration, Instant},
};

use fulcrum_proto::{
    common::v1::{ErrorReason, ItemError},
    reason::ERROR_DOMAIN,
    worker::v1::{
        append_journal_result, enrolment_service_server::EnrolmentService, task_report_result,
        worker_service_server::WorkerService, *,
    },
};
use tokio::sync::Notify;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::authority::Authority;

pub(crate) const BEAT: Duration = Duration::from_millis(50);
/// How long a busy controller asks to be left alone.
pub(crate) const COME_BACK: Duration = Duration::from_millis(300);

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
    /// What the next items of report calls are refused with, one each.
    pub(crate) item_errors: VecDeque<ErrorReason>,
    /// How often each lease was reported, whatever was answered.
    pub(crate) report_tries: HashMap<Vec<u8>, usize>,
    /// So many enrolments fail before one succeeds.
    pub(crate) enrolment_failures: usize,
    /// Each task is granted twice in one answer.
    pub(crate) stutters: bool,
    /// How long a lease lasts without a heartbeat; for ever if absent.
    pub(crate) lease_ttl: Option<Duration>,
    /// When each lease was granted, and when it was last renewed.
    pub(crate) leases: HashMap<Vec<u8>, (Instant, Instant)>,
    /// Largest payload, as the worker is told; the default if zero.
    pub(crate) payload_bytes_max: u64,
    /// The worker must register again before it gets tasks.
    pub(crate) forgot_worker: bool,
    /// How old certificates are at birth.
    pub(crate) certificate_age: Duration,
    /// Values in pieces, by their handles.
    pub(crate) values: HashMap<Vec<u8>, Vec<u8>>,
    /// So many uploads break off before one succeeds.
    pub(crate) upload_failures: usize,
    /// So many reads break off after a piece.
    pub(crate) read_failures: usize,
    /// Where reads began.
    pub(crate) reads_from: Vec<u64>,
    /// The controller is older than uploads.
    pub(crate) knows_no_uploads: bool,
}

impl State {
    fn granted(&mut self, tasks: &[Task]) {
        let now = Instant::now();
        for task in tasks {
            self.leases.insert(task.lease.to_vec(), (now, now));
        }
    }

    /// Renews a lease, unless its time is over.
    fn renew(&mut self, lease: &[u8]) -> bool {
        let Some((_, renewed)) = self.leases.get_mut(lease) else {
            return true;
        };
        let now = Instant::now();
        if self.lease_ttl.is_some_and(|ttl| now - *renewed > ttl) {
            return false;
        }
        *renewed = now;
        true
    }
}

pub(crate) struct Shared {
    pub(crate) authority: Authority,
    /// What enrolment tells: all doors.
    pub(crate) endpoint: Mutex<String>,
    pub(crate) state: Mutex<State>,
    pub(crate) changed: Notify,
}

pub(crate) fn status(code: Code, reason: ErrorReason) -> Status {
    let details = ErrorDetails::with_error_info(reason.name(), ERROR_DOMAIN, HashMap::new());
    Status::with_error_details(code, reason.name(), details)
}

/// What a controller says that wants to be left alone for a moment.
pub(crate) fn busy() -> Status {
    let mut details =
        ErrorDetails::with_error_info(ErrorReason::Draining.name(), ERROR_DOMAIN, HashMap::new());
    details.set_retry_info(Some(COME_BACK));
    Status::with_error_details(Code::Unavailable, "busy", details)
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
        if state.enrolment_failures > 0 {
            state.enrolment_failures -= 1;
            return Err(busy());
        }
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
            limits: Some(WorkerLimits {
                payload_bytes_max: state.payload_bytes_max,
                ..WorkerLimits::default()
            }),
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
                    let mut tasks = again.unwrap_or_else(|| state.queue.drain(..count).collect());
                    state.granted(&tasks);
                    if state.stutters {
                        tasks.extend(tasks.clone());
                    }
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
        let leases = request.into_inner().leases;
        let results = leases.iter().map(|held| {
            let standing = match state.renew(&held.lease) {
                true => state.standing,
                false => LeaseState::Lost,
            };
            HeartbeatResult {
                state: standing.into(),
                lease_ttl: None,
            }
        });
        let results = results.collect();
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
        let mut results = Vec::new();
        for report in request.reports {
            *state.report_tries.entry(report.lease.to_vec()).or_default() += 1;
            let refused = match state.renew(&report.lease) {
                true => state.item_errors.pop_front(),
                false => Some(ErrorReason::LeaseLost),
            };
            let result = match refused {
                Some(reason) => task_report_result::Result::Error(ItemError {
                    reason: reason.into(),
                    ..ItemError::default()
                }),
                None => {
                    let known = |known: &TaskReport| known.lease == report.lease;
                    if !state.reports.iter().any(known) {
                        state.reports.push(report);
                    }
                    task_report_result::Result::Accepted(ReportAccepted {})
                }
            };
            results.push(TaskReportResult {
                result: Some(result),
            });
        }
        let next = state.next_tasks.len().min(request.next_slots as usize);
        let next_tasks: Vec<_> = state.next_tasks.drain(..next).collect();
        state.granted(&next_tasks);
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
