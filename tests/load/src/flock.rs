//! Many workers with nothing to do, in one process.

use std::path::PathBuf;

use fulcrum_sdk::{IdentityDir, Worker, shutdown};

use crate::worker::bench_echo;

/// Serves until it is told to stop. Ends with the first worker that cannot go on.
pub(crate) async fn serve(identities: Vec<PathBuf>, endpoint: String) -> anyhow::Result<()> {
    let stop = shutdown::on_signal();
    let mut workers = tokio::task::JoinSet::new();
    for identity in identities {
        let worker = Worker::new(IdentityDir::at(identity))
            .endpoint(endpoint.clone())
            .slots(1)
            .capability(bench_echo());
        workers.spawn(worker.run(stop.clone()));
    }
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    Ok(())
}
