//! Values in pieces, as the small controller takes and gives them.

use std::pin::Pin;

use fulcrum_proto::{
    common::v1::{ErrorReason, Payload, PayloadHandle},
    payload::v1::{payload_service_server::PayloadService, upload_payload_request::Part, *},
};
use futures_util::{Stream, StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::service::{Shared, State, busy, status};

const PIECE: usize = 100_000;

impl State {
    /// Keeps a value and gives a payload that stands for it.
    pub(crate) fn keep(&mut self, value: Vec<u8>) -> Payload {
        let handle = format!("value {}", self.values.len());
        let described = PayloadHandle {
            handle: handle.clone().into(),
            encoding: "json".into(),
            size_bytes: value.len() as u64,
            sha256: Sha256::digest(&value).to_vec().into(),
        };
        self.values.insert(handle.into_bytes(), value);
        described.into()
    }

    /// The value that a payload stands for.
    pub(crate) fn kept(&self, payload: &Payload) -> Vec<u8> {
        let handle = payload.handle().unwrap().expect("a handle");
        self.values[&handle.handle[..]].clone()
    }
}

#[tonic::async_trait]
impl PayloadService for Shared {
    async fn upload_payload(
        &self,
        request: Request<Streaming<UploadPayloadRequest>>,
    ) -> Result<Response<UploadPayloadResponse>, Status> {
        let mut parts = request.into_inner();
        if self.state.lock().unwrap().knows_no_uploads {
            return Err(status(
                Code::PermissionDenied,
                ErrorReason::PermissionDenied,
            ));
        }
        let mut value = Vec::new();
        let mut size = 0;
        while let Some(message) = parts.message().await? {
            match message.part {
                Some(Part::Header(header)) => size = header.size_bytes,
                Some(Part::Piece(piece)) => value.extend_from_slice(&piece),
                None => return Err(status(Code::InvalidArgument, ErrorReason::InvalidRequest)),
            }
        }
        assert_eq!(value.len() as u64, size, "as it was declared");
        let mut state = self.state.lock().unwrap();
        if state.upload_failures > 0 {
            state.upload_failures -= 1;
            return Err(busy());
        }
        let handle = state.keep(value).handle().unwrap();
        let expires_at = None;
        Ok(Response::new(UploadPayloadResponse { handle, expires_at }))
    }

    type ReadPayloadStream =
        Pin<Box<dyn Stream<Item = Result<ReadPayloadResponse, Status>> + Send>>;

    async fn read_payload(
        &self,
        request: Request<ReadPayloadRequest>,
    ) -> Result<Response<Self::ReadPayloadStream>, Status> {
        let request = request.into_inner();
        let mut state = self.state.lock().unwrap();
        state.reads_from.push(request.offset_bytes);
        let unknown = || status(Code::FailedPrecondition, ErrorReason::HandleExpired);
        let value = state.values.get(&request.handle[..]);
        let rest = value.ok_or_else(unknown)?[request.offset_bytes as usize..].to_vec();
        let pieces = rest.chunks(PIECE).map(|piece| {
            Ok(ReadPayloadResponse {
                piece: piece.to_vec().into(),
            })
        });
        let mut pieces: Vec<_> = pieces.collect();
        if state.read_failures > 0 {
            state.read_failures -= 1;
            pieces.truncate(1);
            pieces.push(Err(Status::unavailable("cut")));
        }
        Ok(Response::new(stream::iter(pieces).boxed()))
    }
}
