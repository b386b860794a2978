//! Waiting on conditions.

use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

/// How long a condition may take on a busy two-core machine before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Polls `look` until it gives a value. Fails with the last obstacle.
pub async fn until<T, E: Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    look: impl FnMut() -> F,
) -> T {
    within(PATIENCE, what, look).await
}

/// As [`until`], with a patience of its own.
pub async fn within<T, E: Debug, F: Future<Output = Result<T, E>>>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    loop {
        let obstacle = match look().await {
            Ok(value) => return value,
            Err(obstacle) => obstacle,
        };
        assert!(
            began.elapsed() < patience,
            "{what}: not within {patience:?}; last seen: {obstacle:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
