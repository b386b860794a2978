//! Giving a value in pieces.
//!
//! A task of its own reads ahead of the caller by a few pieces and no more: the caller's window decides the pace, and
//! whoever takes nothing for too long is not waited for. A stream has its place until its caller is gone, too: so long there
//! are pieces of it here.

use std::sync::Arc;

use bytes::Bytes;
use fulcrum_core::payload::PayloadRef;
use fulcrum_proto::payload::v1::{ReadPayloadRequest, ReadPayloadResponse};
use futures_util::stream::{self, Stream};
use tokio::sync::mpsc;
use tonic::Status;

use super::Payloads;
use super::room::Place;
use super::seal::Holder;
use super::upload::{PIECE_BYTES_MAX, stalled};
use crate::server::{Caller, Fault};
use crate::shutdown::Stage;

/// Bytes read from the store at a time.
const READ_BYTES_MAX: u32 = 1 << 20;
/// Pieces that are ready and not taken.
const PIECES_AHEAD: usize = 1;

/// What goes to the caller. The end is told, so that a task that is gone is no end.
enum Sent {
    Piece(Bytes),
    Failed(Fault),
    End,
}

impl Payloads {
    pub(super) async fn read(
        &self,
        caller: &Caller,
        request: ReadPayloadRequest,
    ) -> Result<impl Stream<Item = Result<ReadPayloadResponse, Status>> + Send + use<>, Fault> {
        let place = self.streams.take(caller.principal().id)?;
        caller.reach(&request.namespace)?;
        let namespace = self.registry.namespace(&request.namespace).await?;
        let holder = Holder::of(caller, namespace.id);
        let payload = self.handles.readable(holder, &request.handle)?;
        let offset = u32::try_from(request.offset_bytes).ok();
        let offset = offset.filter(|offset| *offset <= payload.bytes);
        let offset = offset.ok_or_else(|| {
            let problem = format!("is beyond the end: there are {} bytes", payload.bytes);
            Fault::field("offset_bytes", problem)
        })?;
        let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
        let place = Arc::new(place);
        let sending = self
            .clone()
            .send(payload, offset, sender, Arc::clone(&place));
        self.tasks.spawn(Stage::Polls, "payload", sending);
        let (idle, drain) = (self.idle, self.polls_end.clone());
        let coming = Some((receiver, place, drain));
        Ok(stream::unfold(coming, move |coming| async move {
            let (mut receiver, place, drain) = coming?;
            match receiver.recv().await {
                Some(Sent::Piece(piece)) => {
                    let coming = Some((receiver, place, drain));
                    Some((Ok(ReadPayloadResponse { piece }), coming))
                }
                Some(Sent::Failed(fault)) => Some((Err(fault.into()), None)),
                Some(Sent::End) => None,
                None if drain.is_cancelled() => Some((Err(leaving().into()), None)),
                None => Some((Err(stalled("nothing was taken", idle).into()), None)),
            }
        }))
    }

    async fn send(
        self,
        payload: PayloadRef,
        mut from: u32,
        sender: mpsc::Sender<Sent>,
        _place: Arc<Place>,
    ) {
        let transfer = self.handles.store.transfer();
        while from < payload.bytes {
            let to = payload.bytes.min(from.saturating_add(READ_BYTES_MAX));
            let part = tokio::select! {
                part = transfer.part(payload, from..to) => part.map_err(Fault::from),
                () = self.polls_end.cancelled() => Err(leaving()),
            };
            let part = match part {
                Ok(part) => Bytes::from(part),
                Err(fault) => {
                    self.pass(&sender, Sent::Failed(fault)).await;
                    return;
                }
            };
            for at in (0..part.len()).step_by(PIECE_BYTES_MAX) {
                let piece = part.slice(at..part.len().min(at + PIECE_BYTES_MAX));
                if !self.pass(&sender, Sent::Piece(piece)).await {
                    return;
                }
            }
            from = to;
        }
        self.pass(&sender, Sent::End).await;
    }

    /// Passes something on; false if the caller has gone, or takes nothing.
    async fn pass(&self, sender: &mpsc::Sender<Sent>, sent: Sent) -> bool {
        tokio::select! {
            passed = sender.send_timeout(sent, self.idle) => passed.is_ok(),
            () = self.polls_end.cancelled() => false,
        }
    }
}

fn leaving() -> Fault {
    Fault::draining("read on from the offset")
}
