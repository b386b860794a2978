//! How many calls are worked on at once, by class. What is over is shed at once, with a hint when to come again:
//! a queue in front of a full server helps nobody.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_proto::common::v1::ErrorReason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Code;

use super::fault::Fault;
use super::limits::ServerLimits;
use crate::entropy::Entropy;
use crate::identity::CallClass;
use crate::loops::jitter;

/// Hint to a caller that was shed; spread, so that they do not come back together.
const COME_AGAIN: Duration = Duration::from_millis(500);

/// Permits by class.
#[derive(Clone)]
pub struct Admission {
    unary: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Admission {
    /// Permits under these limits.
    #[must_use]
    pub fn new(limits: &ServerLimits) -> Self {
        let permits = |n: u32| Arc::new(Semaphore::new(n as usize));
        Self {
            unary: permits(limits.unary_calls_max),
            waiting: permits(limits.waiting_calls_max),
        }
    }

    /// A permit for a call, held until its answer begins.
    pub(super) fn admit(&self, class: CallClass) -> Result<OwnedSemaphorePermit, Fault> {
        let (permits, limit) = match class {
            CallClass::Unary => (&self.unary, "server.unary_calls_max"),
            CallClass::LongPoll | CallClass::Stream | CallClass::Upload => {
                (&self.waiting, "server.waiting_calls_max")
            }
        };
        Arc::clone(permits).try_acquire_owned().map_err(|_| {
            let message = format!("the controller has reached `{limit}`");
            Fault::new(Code::ResourceExhausted, ErrorReason::Overloaded, message)
                .retry_after(jitter::around(COME_AGAIN, 50, &Entropy::system()))
                .fact("limit", limit)
        })
    }
}
