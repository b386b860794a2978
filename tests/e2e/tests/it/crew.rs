//! A worker inside the test, on the same mTLS path as any other.

use std::sync::Arc;

use fulcrum_e2e::{stack::Stack, wait};
use fulcrum_sdk::{Capability, IdentityDir, Worker, WorkerError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A worker with an identity of its own, at work or not.
pub(crate) struct Crew {
    name: String,
    identity: IdentityDir,
    capabilities: Vec<Arc<dyn Capability>>,
    slots: u32,
    shift: Option<Shift>,
}

struct Shift {
    stop: CancellationToken,
    task: JoinHandle<Result<(), WorkerError>>,
}

impl Crew {
    /// Joins, and works from now on.
    pub(crate) async fn join(
        stack: &Stack,
        name: &str,
        slots: u32,
        capabilities: Vec<Arc<dyn Capability>>,
    ) -> anyhow::Result<Self> {
        let identity = stack.identity(name, "executor").await?;
        let mut crew = Self {
            name: name.to_owned(),
            identity,
            capabilities,
            slots,
            shift: None,
        };
        crew.work();
        wait::until(&format!("{} connected", crew.name), || {
            stack.api.connected(&crew.name)
        })
        .await;
        Ok(crew)
    }

    /// Begins to work (again), as the same worker.
    pub(crate) fn work(&mut self) {
        assert!(self.shift.is_none(), "{} is at work already", self.name);
        let stop = CancellationToken::new();
        let worker = Worker::new(self.identity.clone())
            .capabilities(self.capabilities.iter().cloned())
            .slots(self.slots);
        let task = tokio::spawn(Box::pin(worker.run(stop.clone())));
        self.shift = Some(Shift { stop, task });
    }

    /// Ends in the middle of whatever it does: nothing is reported, no lease is given back.
    pub(crate) async fn die(&mut self) {
        let shift = self.shift.take().expect("it is at work");
        shift.task.abort();
        let ended = shift.task.await;
        assert!(
            ended.is_err_and(|error| error.is_cancelled()),
            "{} ended by itself",
            self.name
        );
    }

    /// Drains and ends.
    pub(crate) async fn leave(&mut self) -> anyhow::Result<()> {
        let shift = self.shift.take().expect("it is at work");
        shift.stop.cancel();
        shift.task.await??;
        Ok(())
    }
}
