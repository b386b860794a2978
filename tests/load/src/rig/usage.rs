//! Processor time of everything that takes part, told apart.

use crate::meter::cpu;
use crate::rig::installation::Installation;

/// Seconds of processor time.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    /// The database server with all its backends.
    pub(crate) postgres: f64,
    /// All controllers.
    pub(crate) controller: f64,
    /// All workers.
    pub(crate) worker: f64,
    /// This process.
    pub(crate) generator: f64,
}

impl Usage {
    /// What was used so far.
    pub(crate) fn read(installation: &Installation) -> anyhow::Result<Self> {
        let sum = |pids: Vec<u32>| pids.into_iter().map(cpu::of).sum::<anyhow::Result<f64>>();
        let controllers = installation.controllers.iter();
        let workers = installation.workers.iter();
        Ok(Self {
            postgres: cpu::of_server(installation.postgres.pid()?)?,
            controller: sum(controllers.map(|controller| controller.pid()).collect())?,
            worker: sum(workers.map(|worker| worker.pid()).collect())?,
            generator: cpu::of(std::process::id())?,
        })
    }

    /// What was used since an earlier reading.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            postgres: self.postgres - earlier.postgres,
            controller: self.controller - earlier.controller,
            worker: self.worker - earlier.worker,
            generator: self.generator - earlier.generator,
        }
    }

    /// All but the generator.
    pub(crate) fn served(&self) -> f64 {
        self.postgres + self.controller + self.worker
    }

    /// By name, for the report.
    pub(crate) fn parts(&self) -> [(&'static str, f64); 4] {
        [
            ("postgres", self.postgres),
            ("controller", self.controller),
            ("worker", self.worker),
            ("generator", self.generator),
        ]
    }
}
