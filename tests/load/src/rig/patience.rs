//! Waiting on conditions.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// How long anything may take to be there.
const MAX: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks until there is something to see.
///
/// # Errors
/// The last obstacle, after a minute and a half.
pub(crate) async fn until<T, E: Display>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        let obstacle = match look().await {
            Ok(seen) => return Ok(seen),
            Err(obstacle) => obstacle,
        };
        anyhow::ensure!(began.elapsed() < MAX, "{what}: not in {MAX:?}: {obstacle}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
