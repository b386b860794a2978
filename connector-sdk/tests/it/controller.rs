//! A small controller: what a test tells it, it does; what it is told, it remembers.

use std::{
    sync::{Arc, MutexGuard},
    thread,
    time::Duration,
};

use fulcrum_proto::{
    payload::v1::payload_service_server::PayloadServiceServer,
    worker::v1::{
        Task, enrolment_service_server::EnrolmentServiceServer,
        worker_service_server::WorkerServiceServer,
    },
};
use fulcrum_sdk::{Enrolment, IdentityDir, Worker, WorkerError, enrol};
use futures_util::future;
use tempfile::TempDir;
use tokio::{
    runtime::Builder,
    sync::{Notify, oneshot},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    service::{Interceptor, interceptor::InterceptedService},
    transport::Server,
};

use crate::{
    authority::Authority,
    listener::{Door, incoming},
    service::{Shared, State},
};

pub(crate) struct Controller {
    shared: Arc<Shared>,
    enrolment: Arc<Door>,
    doors: Vec<Arc<Door>>,
    home: TempDir,
    _stop: oneshot::Sender<()>,
}

impl Controller {
    pub(crate) fn start() -> Self {
        Self::with_doors(1)
    }

    /// A controller that workers can reach at several addresses, as if it were several.
    pub(crate) fn with_doors(count: usize) -> Self {
        let enrolment = Arc::new(Door::bind());
        let doors: Vec<_> = (0..count).map(|_| Arc::new(Door::bind())).collect();
        let endpoints: Vec<_> = doors
            .iter()
            .map(|door| door.endpoint().to_owned())
            .collect();
        let shared = Arc::new(Shared {
            authority: Authority::new(),
            endpoint: endpoints.join(",").into(),
            state: Default::default(),
            changed: Notify::new(),
        });
        let (stop, stopped) = oneshot::channel();
        let serving = serve(Arc::clone(&shared), Arc::clone(&enrolment), doors.clone());
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(future::select(Box::pin(serving), stopped));
        });
        Self {
            shared,
            enrolment,
            doors,
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
            endpoint: self.enrolment.endpoint().to_owned(),
            token: token.parse().unwrap(),
            name: None,
            version: "test".into(),
        }
    }

    /// The place where joining machines come in.
    pub(crate) fn enrolment_door(&self) -> &Door {
        &self.enrolment
    }

    /// The places where workers come in, as if each were a controller of its own.
    pub(crate) fn doors(&self) -> &[Arc<Door>] {
        &self.doors
    }

    /// Cuts the connections of all workers.
    pub(crate) fn cut_connections(&self) {
        for door in &self.doors {
            door.cut();
        }
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
        self.work_on(Builder::new_current_thread(), build).await
    }

    /// As [`work`](Self::work), on a runtime of the caller's making.
    pub(crate) async fn work_on(
        &self,
        mut runtime: Builder,
        build: impl FnOnce(Worker) -> Worker,
    ) -> Working {
        let dir = self.identity();
        let token = self.authority().token("secret");
        enrol(&self.enrolment(&token), &dir).await.unwrap();
        let worker = build(Worker::new(dir).drain_for(Duration::from_secs(10)));
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let (ended, end) = oneshot::channel();
        thread::spawn(move || {
            let runtime = runtime.enable_all().build().unwrap();
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

async fn serve(shared: Arc<Shared>, enrolment: Arc<Door>, doors: Vec<Arc<Door>>) {
    let tls = shared.authority.enrolment_tls();
    let service = EnrolmentServiceServer::from_arc(Arc::clone(&shared));
    let enrolling = Server::builder()
        .add_service(InterceptedService::new(service, guard(&enrolment)))
        .serve_with_incoming(incoming(enrolment, tls));
    let working = doors.into_iter().map(|door| {
        let tls = shared.authority.mutual_tls();
        let service = WorkerServiceServer::from_arc(Arc::clone(&shared));
        let values = PayloadServiceServer::from_arc(Arc::clone(&shared));
        Server::builder()
            .add_service(InterceptedService::new(service, guard(&door)))
            .add_service(values)
            .serve_with_incoming(incoming(door, tls))
    });
    let (enrolled, worked) = future::join(enrolling, future::join_all(working)).await;
    enrolled.unwrap();
    worked.into_iter().for_each(Result::unwrap);
}

/// Notes each call at the door, and refuses it if the door is told to.
fn guard(door: &Arc<Door>) -> impl Interceptor + Clone + Send + Sync + 'static {
    let door = Arc::clone(door);
    move |request| door.admit().map(|()| request)
}
