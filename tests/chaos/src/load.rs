//! A client that starts one run after the other while something else happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::field::Work;
use crate::oracle::{Accepted, ClientLog};

/// It goes on until it is asked for its tally. One start that fails ends it, and whoever asks is told.
pub struct Load {
    ends: CancellationToken,
    starts: JoinHandle<anyhow::Result<Tally>>,
}

/// What came of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Starts, all of them accepted.
    pub starts: usize,
    /// The longest that one took.
    pub slowest: Duration,
}

impl Load {
    /// Begins. `start` is given the key of a run and gives its id; keys begin with `name`.
    pub fn begin<F>(
        log: &Arc<ClientLog>,
        name: &str,
        work: Work,
        start: impl Fn(String) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<String>> + Send,
    {
        let ends = CancellationToken::new();
        let (until, log, name) = (ends.clone(), Arc::clone(log), name.to_owned());
        let starts = tokio::spawn(async move {
            let mut tally = Tally::default();
            let mut beat = tokio::time::interval(Duration::from_millis(100));
            while until.run_until_cancelled(beat.tick()).await.is_some() {
                let key = format!("{name}-{}", tally.starts);
                let began = Instant::now();
                let run_id = start(key.clone()).await?;
                tally.slowest = tally.slowest.max(began.elapsed());
                tally.starts += 1;
                log.note(Accepted {
                    run_id,
                    key,
                    steps: work.steps,
                });
            }
            Ok(tally)
        });
        Self { ends, starts }
    }

    /// Ends it.
    ///
    /// # Errors
    /// What a start failed with.
    pub async fn over(self) -> anyhow::Result<Tally> {
        self.ends.cancel();
        self.starts.await?
    }
}
