//! Taking a value in pieces.

use std::time::Duration;

use fulcrum_core::ids::{PayloadId, Shard};
use fulcrum_core::payload::{NewPayload, Payload, PayloadRef};
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::payload::v1 as wire;
use fulcrum_proto::payload::v1::upload_payload_request::Part;
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tonic::{Code, Status};

use super::Payloads;
use super::room::Held;
use super::seal::Holder;
use crate::engine::handle::EngineError;
use crate::entropy::Entropy;
use crate::identity::registry::Namespace;
use crate::server::{Caller, Fault};

/// The largest piece that is taken or given.
pub(super) const PIECE_BYTES_MAX: usize = 256 * 1024;

impl Payloads {
    pub(super) async fn upload(
        &self,
        caller: &Caller,
        parts: impl Stream<Item = Result<wire::UploadPayloadRequest, Status>> + Unpin,
    ) -> Result<wire::UploadPayloadResponse, Fault> {
        let _place = self.streams.take(caller.principal().id)?;
        let mut parts = Parts {
            stream: parts,
            idle: self.idle,
        };
        let header = match self.unless_draining(parts.next()).await? {
            Some(Part::Header(header)) => header,
            Some(Part::Piece(_)) | None => {
                return Err(Fault::field("header", "must come first"));
            }
        };
        caller.reach(&header.namespace)?;
        let namespace = self.registry.namespace(&header.namespace).await?;
        let holder = Holder::of(caller, namespace.id);
        let (value, hash, held) = self.taken(header, parts).await?;
        let reference = PayloadRef {
            id: self.new_id(&namespace)?,
            hash,
            bytes: u32::try_from(value.data.len()).unwrap_or(u32::MAX),
        };
        let value = NewPayload::new(reference, value);
        let staged = self.handles.store.transfer().stage(value, held).await?;
        let (handle, expires_at) = self.handles.to_use(holder, staged);
        Ok(wire::UploadPayloadResponse {
            handle: Some(handle),
            expires_at: Some(expires_at),
        })
    }

    /// The value that follows a header, its hash, and the room that it takes.
    async fn taken<S>(
        &self,
        header: wire::UploadHeader,
        mut parts: Parts<S>,
    ) -> Result<(Payload, [u8; 32], Held), Fault>
    where
        S: Stream<Item = Result<wire::UploadPayloadRequest, Status>> + Unpin,
    {
        if !matches!(header.encoding.as_str(), "" | "json") {
            let problem = format!("`{}` is not `json`", header.encoding);
            return Err(Fault::field("header.encoding", problem));
        }
        self.fits(header.size_bytes)?;
        let declared = u32::try_from(header.size_bytes).unwrap_or(u32::MAX);
        let kept = if declared == 0 {
            self.payload_bytes_max
        } else {
            declared
        };
        let held = self.uploads.hold(kept)?;
        let mut data = Vec::with_capacity(declared as usize);
        // Piece by piece: the whole would keep a thread from everything else for a while.
        let mut hash = Sha256::new();
        while let Some(part) = self.unless_draining(parts.next()).await? {
            let Part::Piece(piece) = part else {
                return Err(Fault::field("header", "must come once"));
            };
            if piece.is_empty() || piece.len() > PIECE_BYTES_MAX {
                let problem = format!("must have 1 to {PIECE_BYTES_MAX} bytes");
                return Err(Fault::field("piece", problem));
            }
            let bytes = (data.len() + piece.len()) as u64;
            self.fits(bytes)?;
            if declared > 0 && bytes > u64::from(declared) {
                return Err(other_than_declared(declared, bytes));
            }
            hash.update(&piece);
            data.extend_from_slice(&piece);
        }
        if declared > 0 && data.len() != declared as usize {
            return Err(other_than_declared(declared, data.len() as u64));
        }
        if data.is_empty() {
            return Err(Fault::field(
                "piece",
                "nothing came; a value has at least one byte",
            ));
        }
        let encoding = "json".to_owned();
        Ok((Payload { encoding, data }, hash.finalize().into(), held))
    }

    fn fits(&self, bytes: u64) -> Result<(), Fault> {
        if bytes <= u64::from(self.payload_bytes_max) {
            return Ok(());
        }
        Err(EngineError::PayloadTooLarge {
            max: self.payload_bytes_max,
            actual: bytes,
        }
        .into())
    }

    async fn unless_draining<T>(
        &self,
        next: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        tokio::select! {
            next = next => next,
            () = self.polls_end.cancelled() => Err(Fault::draining("begin the upload again")),
        }
    }

    /// An id born now, in any shard of the namespace.
    fn new_id(&self, namespace: &Namespace) -> Result<PayloadId, Fault> {
        let random = Entropy::system()
            .block()
            .map_err(|error| Fault::internal(&error))?;
        let [high, low] = [0, 8].map(|at| {
            let bytes = random[at..at + 8].try_into();
            u64::from_be_bytes(bytes.expect("eight of thirty-two bytes"))
        });
        let shard = u16::try_from(high % u64::from(namespace.shards.max(1)));
        let shard = Shard(shard.expect("a namespace has at most 4,096 shards"));
        Ok(PayloadId::staged(self.handles.clock.now(), shard, low))
    }
}

/// The parts of an upload. Whoever sends nothing for too long is not waited for.
struct Parts<S> {
    stream: S,
    idle: Duration,
}

impl<S> Parts<S>
where
    S: Stream<Item = Result<wire::UploadPayloadRequest, Status>> + Unpin,
{
    async fn next(&mut self) -> Result<Option<Part>, Fault> {
        let next = tokio::time::timeout(self.idle, self.stream.next()).await;
        match next.map_err(|_elapsed| stalled("nothing came", self.idle))? {
            None => Ok(None),
            Some(Ok(message)) => message
                .part
                .map(Some)
                .ok_or_else(|| Fault::field("part", "is missing")),
            // The stream broke off, or a message of it is too large.
            Some(Err(status)) => Err(Fault::new(
                status.code(),
                ErrorReason::Unspecified,
                status.message(),
            )),
        }
    }
}

fn other_than_declared(declared: u32, came: u64) -> Fault {
    let problem = format!("said {declared}, and {came} bytes came");
    Fault::field("header.size_bytes", problem)
}

pub(super) fn stalled(what: &str, idle: Duration) -> Fault {
    let message = format!(
        "{what} for {} ms (server.payload_idle_ms)",
        idle.as_millis()
    );
    Fault::new(Code::Aborted, ErrorReason::StreamStalled, message)
        .fact("limit", "server.payload_idle_ms")
}
