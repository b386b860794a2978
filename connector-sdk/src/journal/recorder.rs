//! The way of a completed operation to where it is durable.

use async_trait::async_trait;

use super::operation::Entry;
use crate::Failure;

/// Records completed operations.
#[async_trait]
pub(crate) trait Recorder: Send + Sync + 'static {
    /// Returns once `entry` is durable.
    async fn record(&self, entry: Entry) -> Result<(), Failure>;
}

/// Keeps nothing: the recorder of a context without a task.
pub(crate) struct Detached;

#[async_trait]
impl Recorder for Detached {
    async fn record(&self, _entry: Entry) -> Result<(), Failure> {
        Ok(())
    }
}
