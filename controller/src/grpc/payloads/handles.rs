//! Handles in requests and in answers.

use std::sync::Arc;

use fulcrum_core::payload::PayloadRef;
use fulcrum_core::store::{Store, StoreError};
use fulcrum_core::time::Millis;
use fulcrum_proto::common::v1::{ErrorReason, Payload, PayloadHandle};
use fulcrum_store::PgStore;
use tonic::Code;

use super::room::{Bytes, Held};
use super::seal::{Handle, HandleRefusal, HandleSeal, Holder, Purpose};
use crate::clock::DatabaseClock;
use crate::grpc::convert::time;
use crate::server::Fault;

/// An upload may be used for so long: longer than anybody repeats a call, and no longer than the shortest retention
/// keeps the day on which it came.
const USE_LIFE: Millis = Millis::from_secs(24 * 60 * 60);
/// A value may be read for so long after the answer that did not carry it.
const READ_LIFE: Millis = Millis::from_secs(60 * 60);
/// The only encoding of values.
const JSON: &str = "json";

/// Makes handles and puts values in their place. Cheap to clone.
#[derive(Clone)]
pub struct Handles {
    /// Values.
    pub store: PgStore,
    /// For the life of handles.
    pub clock: Arc<DatabaseClock>,
    /// Makes them.
    pub seal: HandleSeal,
    /// Memory for values that handles of calls under way stand for.
    pub room: Bytes,
}

impl Handles {
    /// What stands for a staged value, and until when.
    #[must_use]
    pub(super) fn to_use(
        &self,
        holder: Holder,
        payload: PayloadRef,
    ) -> (PayloadHandle, prost_types::Timestamp) {
        let handle = self.handle(Purpose::Use, holder, payload, USE_LIFE);
        let until = time::instant(handle.expires_at);
        (self.sealed(&handle), until)
    }

    /// What an answer carries in place of a value.
    #[must_use]
    pub fn to_read(&self, holder: Holder, payload: PayloadRef) -> Payload {
        let handle = self.handle(Purpose::Read, holder, payload, READ_LIFE);
        self.sealed(&handle).into()
    }

    /// The value to read behind a handle.
    pub(super) fn readable(&self, holder: Holder, bytes: &[u8]) -> Result<PayloadRef, Fault> {
        let read = || {
            let handle = self.seal.open(bytes, Purpose::Read, holder)?;
            handle.at(self.clock.now())
        };
        read().map_err(|refusal| refused("handle", refusal))
    }

    /// Puts values in the place of the handles among these payloads of a request. Keep what it gives for as long as the
    /// values take memory here.
    ///
    /// # Errors
    /// `HANDLE_INVALID`, `HANDLE_EXPIRED`; `OVERLOADED` when there is no room for the values now.
    pub async fn redeem(
        &self,
        holder: Holder,
        payloads: impl IntoIterator<Item = &mut Payload>,
    ) -> Result<Held, Fault> {
        let mut places: Vec<&mut Payload> = payloads
            .into_iter()
            .filter(|payload| payload.is_handle())
            .collect();
        if places.is_empty() {
            return Ok(Held::default());
        }
        let now = self.clock.now();
        let mut references = Vec::with_capacity(places.len());
        for place in &places {
            let opened = self.opened(holder, place).and_then(|handle| handle.at(now));
            references.push(opened.map_err(|refusal| refused("data", refusal))?);
        }
        let bytes = references
            .iter()
            .fold(0_u32, |sum, reference| sum.saturating_add(reference.bytes));
        let held = self.room.hold(bytes)?;
        let values = self.store.payloads(&references).await.map_err(lost)?;
        for (place, value) in places.iter_mut().zip(values) {
            **place = Payload {
                encoding: value.payload.encoding,
                data: value.payload.data.into(),
            };
        }
        Ok(held)
    }

    /// A handle told by the value that it stands for: a request is the same if it is made again with another handle for
    /// the same value. What is no handle, or not a good one, is left as it is.
    pub fn name_by_value<'p>(
        &self,
        holder: Holder,
        payloads: impl IntoIterator<Item = &'p mut Payload>,
    ) {
        for payload in payloads {
            if let Ok(handle) = self.opened(holder, payload) {
                *payload = described(handle.payload, Vec::new()).into();
            }
        }
    }

    fn opened(&self, holder: Holder, payload: &Payload) -> Result<Handle, HandleRefusal> {
        let carried = payload.handle().ok().flatten();
        let carried = carried.ok_or(HandleRefusal::Invalid)?;
        self.seal.open(&carried.handle, Purpose::Use, holder)
    }

    fn handle(
        &self,
        purpose: Purpose,
        holder: Holder,
        payload: PayloadRef,
        life: Millis,
    ) -> Handle {
        Handle {
            purpose,
            namespace: holder.namespace,
            holder: holder.identity.0,
            payload,
            expires_at: self.clock.now().plus(life),
        }
    }

    fn sealed(&self, handle: &Handle) -> PayloadHandle {
        described(handle.payload, self.seal.close(handle))
    }
}

fn described(payload: PayloadRef, handle: Vec<u8>) -> PayloadHandle {
    PayloadHandle {
        handle: handle.into(),
        encoding: JSON.to_owned(),
        size_bytes: u64::from(payload.bytes),
        sha256: payload.hash.to_vec().into(),
    }
}

fn refused(field: &str, refusal: HandleRefusal) -> Fault {
    let message = refusal.to_string();
    match refusal {
        HandleRefusal::Invalid => {
            let mut fault = Fault::new(
                Code::InvalidArgument,
                ErrorReason::HandleInvalid,
                message.clone(),
            );
            fault.fields.push((field.to_owned(), message));
            fault
        }
        HandleRefusal::Expired(_) => expired(message),
    }
}

/// What was staged is in no backup's chain and on no timeline: if it is gone, its sender has it.
fn lost(error: StoreError) -> Fault {
    match error {
        StoreError::CorruptPayload { .. } => {
            tracing::warn!(%error, "an upload cannot be read any more");
            expired("what was uploaded cannot be read any more; upload it again".to_owned())
        }
        error => error.into(),
    }
}

fn expired(message: String) -> Fault {
    Fault::new(
        Code::FailedPrecondition,
        ErrorReason::HandleExpired,
        message,
    )
}
