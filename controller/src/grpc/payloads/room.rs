//! Room for values on their way: how many streams at once, in all and for one identity, and how many bytes in memory.
//!
//! Nobody waits for room. What there is none for is shed with a hint when to come again; so nobody who has some waits for
//! more, either, and nothing can stand still.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fulcrum_proto::common::v1::ErrorReason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Code;

use crate::entropy::Entropy;
use crate::identity::IdentityId;
use crate::loops::jitter;
use crate::server::{Fault, ServerLimits};

/// Hint to whoever was shed; spread, so that they do not come back together.
const COME_AGAIN: Duration = Duration::from_millis(500);

/// Places for streams.
#[derive(Clone)]
pub struct Streams {
    total_max: u32,
    per_identity_max: u32,
    open: Arc<Mutex<HashMap<IdentityId, u32>>>,
}

/// A place for one stream; given back when dropped.
pub struct Place {
    streams: Streams,
    identity: IdentityId,
}

impl Streams {
    /// Places under these limits.
    #[must_use]
    pub fn new(limits: &ServerLimits) -> Self {
        Self {
            total_max: limits.payload_streams_max,
            per_identity_max: limits.payload_streams_per_identity_max,
            open: Arc::default(),
        }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// `OVERLOADED` when a limit is reached.
    pub fn take(&self, identity: IdentityId) -> Result<Place, Fault> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<u32>() >= self.total_max {
            return Err(full("server.payload_streams_max"));
        }
        let own = open.entry(identity).or_default();
        if *own >= self.per_identity_max {
            return Err(full("server.payload_streams_per_identity_max"));
        }
        *own += 1;
        Ok(Place {
            streams: self.clone(),
            identity,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self
            .streams
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&self.identity) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.identity);
            }
        }
    }
}

/// Memory for whole values.
#[derive(Clone)]
pub struct Bytes {
    free: Arc<Semaphore>,
    limit: &'static str,
    bytes_max: u32,
}

/// Some of it; given back when dropped.
#[derive(Debug, Default)]
#[must_use]
pub struct Held(Option<OwnedSemaphorePermit>);

impl Held {
    /// Whether it is no room at all.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl Bytes {
    /// So much of it, by the limit of this name.
    #[must_use]
    pub fn new(limit: &'static str, bytes_max: u32) -> Self {
        Self {
            free: Arc::new(Semaphore::new(bytes_max as usize)),
            limit,
            bytes_max,
        }
    }

    /// Takes room for so many bytes, all at once.
    ///
    /// # Errors
    /// `OVERLOADED` when there is not so much now; `LIMIT_EXCEEDED` when there never is.
    pub fn hold(&self, bytes: u32) -> Result<Held, Fault> {
        if bytes == 0 {
            return Ok(Held(None));
        }
        if bytes > self.bytes_max {
            let Self {
                limit, bytes_max, ..
            } = self;
            let message = format!(
                "the values of one request have {bytes} bytes; `{limit}` allows {bytes_max} together"
            );
            let reason = ErrorReason::LimitExceeded;
            return Err(Fault::new(Code::ResourceExhausted, reason, message).fact("limit", *limit));
        }
        let permit = Arc::clone(&self.free).try_acquire_many_owned(bytes);
        permit
            .map(|permit| Held(Some(permit)))
            .map_err(|_| full(self.limit))
    }
}

fn full(limit: &'static str) -> Fault {
    let message = format!("the controller has reached `{limit}`");
    Fault::new(Code::ResourceExhausted, ErrorReason::Overloaded, message)
        .retry_after(jitter::around(COME_AGAIN, 50, &Entropy::system()))
        .fact("limit", limit)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn identity(n: u128) -> IdentityId {
        IdentityId(Uuid::from_u128(n))
    }

    fn limit_of<T>(taken: Result<T, Fault>) -> Option<String> {
        let fault = taken.err()?;
        assert!(fault.retry_after.is_some(), "it says when to come again");
        fault.facts.into_iter().next().map(|(_, limit)| limit)
    }

    #[test]
    fn places_are_counted_in_all_and_for_each_and_given_back() {
        let streams = Streams {
            total_max: 3,
            per_identity_max: 2,
            open: Arc::default(),
        };
        let first = streams.take(identity(1)).expect("free");
        let _second = streams.take(identity(1)).expect("free");
        let own = Some("server.payload_streams_per_identity_max".to_owned());
        assert_eq!(limit_of(streams.take(identity(1))), own);
        let _third = streams.take(identity(2)).expect("free");
        let all = Some("server.payload_streams_max".to_owned());
        assert_eq!(limit_of(streams.take(identity(3))), all);
        drop(first);
        assert!(streams.take(identity(1)).is_ok());
    }

    #[test]
    fn many_values_at_once_never_hold_more_than_there_is_and_nobody_waits() {
        let bytes = Bytes::new("bytes_max", 100);
        let mut held = Vec::new();
        let mut shed = 0;
        for _ in 0..50 {
            match bytes.hold(30) {
                Ok(one) => held.push(one),
                Err(_) => shed += 1,
            }
        }
        assert_eq!((held.len(), shed), (3, 47));
        assert_eq!(bytes.free.available_permits(), 10);
        held.clear();
        assert_eq!(bytes.free.available_permits(), 100);
        let never = bytes.hold(101).expect_err("nor will there ever be");
        assert!(never.retry_after.is_none());
    }
}
