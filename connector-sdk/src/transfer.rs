//! Values that come and go in pieces: uploaded to stand in a request by their handle, read where an answer carried one.
//!
//! ```no_run
//! # async fn example(channel: fulcrum_sdk::channel::Channel, input: fulcrum_proto::common::v1::Payload)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use fulcrum_sdk::transfer::{Patience, Transfer};
//!
//! let transfer = Transfer::new(channel, Patience::Tries(5));
//! // To be sent in its place: small values stay as they are.
//! let input = transfer.lighten("default", input).await?;
//! // And the other way round.
//! let value = transfer.whole("default", input).await?;
//! # Ok(()) }
//! ```

use std::{ops::ControlFlow, time::Duration};

use bytes::Bytes;
use fulcrum_proto::{
    common::v1::{ErrorReason, Payload, PayloadHandle},
    payload::v1::{
        ReadPayloadRequest, UploadHeader, UploadPayloadRequest,
        payload_service_client::PayloadServiceClient, upload_payload_request::Part,
    },
};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Request};

use crate::{Refusal, backoff::Backoff, channel::Channel, client};

/// A value with more bytes goes by its handle.
pub const WHOLE_BYTES_MAX: usize = 1 << 20;
/// Bytes of one piece.
const PIECE_BYTES: usize = 256 << 10;
/// Longest time of one upload.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Longest wait for the next piece of a value that is read.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a transfer is begun again that the controller fails on.
const DEFECTS_MAX: u32 = 10;

/// How long to go on while the controller says that it cannot now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Until the caller gives up.
    Endless,
    /// So many times without getting any further.
    Tries(u32),
}

/// Why a value did not come or go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// The controller refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What came is not what the handle says.
    #[error("a value came otherwise than it was stored: {0}")]
    Damaged(String),
}

/// Carries values. Cheap to clone.
#[derive(Clone)]
pub struct Transfer {
    client: PayloadServiceClient<Channel>,
    patience: Patience,
}

impl Transfer {
    /// Over this connection.
    pub fn new(channel: Channel, patience: Patience) -> Self {
        Self {
            client: client::payloads(channel),
            patience,
        }
    }

    /// What to send in the place of a payload: itself if it is small, or its handle, after an upload. A controller that
    /// knows no uploads is sent the payload itself.
    ///
    /// # Errors
    /// The controller's refusal.
    pub async fn lighten(
        &self,
        namespace: &str,
        payload: Payload,
    ) -> Result<Payload, TransferError> {
        if payload.data.len() <= WHOLE_BYTES_MAX || payload.is_handle() {
            return Ok(payload);
        }
        let mut tries = Tries::new(self.patience);
        loop {
            match self.upload(namespace, &payload).await {
                Ok(handle) => return Ok(handle.into()),
                // An older controller: it takes what fits into a message, and refuses the rest.
                Err(refusal) if is_unknown(&refusal) => return Ok(payload),
                Err(refusal) => tries.again(refusal, "cannot upload a value").await?,
            }
        }
    }

    /// The value that a payload stands for, held against its length and hash; a payload that is a value already is given
    /// back. A read that breaks off is resumed.
    ///
    /// # Errors
    /// The controller's refusal, or that what came is not what was stored.
    pub async fn whole(&self, namespace: &str, payload: Payload) -> Result<Payload, TransferError> {
        let damaged = |what: &str| TransferError::Damaged(what.to_owned());
        let handle = payload
            .handle()
            .map_err(|_| damaged("the handle is none"))?;
        let Some(handle) = handle else {
            return Ok(payload);
        };
        let mut data = Vec::new();
        let mut tries = Tries::new(self.patience);
        loop {
            let before = data.len();
            match self.read(namespace, &handle, &mut data).await {
                Ok(()) if data.len() as u64 == handle.size_bytes => break,
                Ok(()) => return Err(damaged("its length is another")),
                Err(TransferError::Refused(refusal)) => {
                    if data.len() > before {
                        tries = Tries::new(self.patience);
                    }
                    tries.again(refusal, "cannot read a value").await?;
                }
                Err(error) => return Err(error),
            }
        }
        if Sha256::digest(&data)[..] != handle.sha256[..] {
            return Err(damaged("its hash is another"));
        }
        Ok(Payload {
            encoding: handle.encoding,
            data: data.into(),
        })
    }

    async fn upload(&self, namespace: &str, payload: &Payload) -> Result<PayloadHandle, Refusal> {
        let header = UploadHeader {
            namespace: namespace.to_owned(),
            encoding: payload.encoding.clone(),
            size_bytes: payload.data.len() as u64,
        };
        let data = payload.data.clone();
        let pieces = (0..data.len())
            .step_by(PIECE_BYTES)
            .map(move |at| Part::Piece(data.slice(at..data.len().min(at + PIECE_BYTES))));
        let parts = std::iter::once(Part::Header(header)).chain(pieces);
        let parts = parts.map(|part| UploadPayloadRequest { part: Some(part) });
        let mut request = Request::new(futures_util::stream::iter(parts));
        request.set_timeout(UPLOAD_TIMEOUT);
        let answer = self.client.clone().upload_payload(request).await?;
        let handle = answer.into_inner().handle;
        handle.ok_or_else(|| broken("the answer to an upload has no handle"))
    }

    /// Reads on from what is here.
    async fn read(
        &self,
        namespace: &str,
        handle: &PayloadHandle,
        data: &mut Vec<u8>,
    ) -> Result<(), TransferError> {
        let request = ReadPayloadRequest {
            namespace: namespace.to_owned(),
            handle: handle.handle.clone(),
            offset_bytes: data.len() as u64,
        };
        let silent = |_elapsed| broken("the controller sends nothing");
        let reading = self.client.clone().read_payload(request).await;
        let mut pieces = reading.map_err(Refusal::from)?.into_inner();
        loop {
            let next = tokio::time::timeout(PIECE_TIMEOUT, pieces.message()).await;
            let piece: Bytes = match next.map_err(silent)?.map_err(Refusal::from)? {
                Some(answer) => answer.piece,
                None => return Ok(()),
            };
            if (data.len() + piece.len()) as u64 > handle.size_bytes {
                return Err(TransferError::Damaged("more came than it has".to_owned()));
            }
            data.extend_from_slice(&piece);
        }
    }
}

/// Tries without getting any further.
struct Tries {
    patience: Patience,
    made: u32,
    defects: u32,
    backoff: Backoff,
}

impl Tries {
    fn new(patience: Patience) -> Self {
        Self {
            patience,
            made: 0,
            defects: 0,
            backoff: Backoff::default(),
        }
    }

    /// Waits before the next try, if there is to be one.
    async fn again(&mut self, refusal: Refusal, what: &str) -> Result<(), Refusal> {
        match self.next(&refusal) {
            ControlFlow::Continue(pause) => {
                tracing::warn!(%refusal, ?pause, "{what}; will try again");
                tokio::time::sleep(pause).await;
                Ok(())
            }
            ControlFlow::Break(()) => Err(refusal),
        }
    }

    fn next(&mut self, refusal: &Refusal) -> ControlFlow<(), Duration> {
        // A broken frame may come again whole; what is spoiled in the store does not.
        let is_for_now = refusal.is_temporary() && refusal.reason != Some(ErrorReason::DataCorrupt);
        self.made += 1;
        let is_defect = match refusal.reason {
            Some(reason) => reason == ErrorReason::Internal,
            None => matches!(
                refusal.code,
                Code::Internal | Code::Unknown | Code::DataLoss
            ),
        };
        self.defects += u32::from(is_defect);
        let too_often = match self.patience {
            Patience::Endless => self.defects >= DEFECTS_MAX,
            Patience::Tries(tries) => self.made >= tries,
        };
        if !is_for_now || too_often {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(self.backoff.next(refusal.retry_after))
    }
}

/// Whether the controller does not know the call. One that may not be made is refused the same way; whoever has work may
/// make it.
fn is_unknown(refusal: &Refusal) -> bool {
    matches!(refusal.code, Code::Unimplemented | Code::PermissionDenied)
}

fn broken(message: &str) -> Refusal {
    Refusal {
        code: Code::Unavailable,
        reason: None,
        message: message.to_owned(),
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: Code, reason: Option<ErrorReason>) -> Refusal {
        Refusal {
            code,
            reason,
            message: String::new(),
            retry_after: None,
        }
    }

    #[test]
    fn tries_end_where_waiting_does_not_help() {
        let tries = |patience, refusal: Refusal| {
            let mut tries = Tries::new(patience);
            (0..100)
                .take_while(|_| tries.next(&refusal).is_continue())
                .count()
        };
        let away = refusal(Code::Unavailable, None);
        assert_eq!(tries(Patience::Endless, away.clone()), 100);
        assert_eq!(tries(Patience::Tries(3), away), 2);
        let spoiled = refusal(Code::DataLoss, Some(ErrorReason::DataCorrupt));
        assert_eq!(tries(Patience::Endless, spoiled), 0);
        let expired = refusal(Code::FailedPrecondition, Some(ErrorReason::HandleExpired));
        assert_eq!(tries(Patience::Endless, expired), 0);
        let defect = refusal(Code::Internal, Some(ErrorReason::Internal));
        assert_eq!(tries(Patience::Endless, defect), 9);
    }
}
