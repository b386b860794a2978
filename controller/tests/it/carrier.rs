//! Values in pieces, as a client sends and reads them.

use std::pin::Pin;

use fulcrum_proto::common::v1::{Payload, PayloadHandle};
use fulcrum_proto::payload::v1 as wire;
use fulcrum_proto::payload::v1::payload_service_client::PayloadServiceClient;
use fulcrum_proto::payload::v1::upload_payload_request::Part;
use fulcrum_proto::workflow::v1 as workflow;
use futures_util::stream::{self, Stream, StreamExt};
use sha2::{Digest, Sha256};
use tonic::Status;
use tonic::transport::Channel;

use crate::stack::{Member, NAMESPACE};

const PIECE: usize = 200_000;

pub(crate) type Parts = Pin<Box<dyn Stream<Item = wire::UploadPayloadRequest> + Send>>;

pub(crate) fn header(size_bytes: u64) -> Part {
    header_in(NAMESPACE, size_bytes)
}

pub(crate) fn header_in(namespace: &str, size_bytes: u64) -> Part {
    Part::Header(wire::UploadHeader {
        namespace: namespace.to_owned(),
        encoding: "json".to_owned(),
        size_bytes,
    })
}

pub(crate) fn parts(parts: impl IntoIterator<Item = Part>) -> Parts {
    let parts: Vec<_> = parts.into_iter().collect();
    let messages = parts
        .into_iter()
        .map(|part| wire::UploadPayloadRequest { part: Some(part) });
    stream::iter(messages).boxed()
}

/// And then nothing more, for ever.
pub(crate) fn open_ended(first: impl IntoIterator<Item = Part>) -> Parts {
    parts(first).chain(stream::pending()).boxed()
}

pub(crate) fn pieces(value: &str) -> impl Iterator<Item = Part> {
    let pieces = value.as_bytes().chunks(PIECE);
    pieces.map(|piece| Part::Piece(piece.to_vec().into()))
}

/// A JSON text of about so many bytes.
pub(crate) fn text(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes))
}

impl Member {
    pub(crate) fn values(&self) -> PayloadServiceClient<Channel> {
        PayloadServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn send(&self, parts: Parts) -> Result<PayloadHandle, Status> {
        let answer = self.values().upload_payload(parts).await?.into_inner();
        assert!(answer.expires_at.is_some());
        Ok(answer.handle.expect("a handle"))
    }

    /// Uploads a value and gives what stands for it.
    pub(crate) async fn upload(&self, value: &str) -> Payload {
        let size = value.len() as u64;
        let handle = self.send(parts(std::iter::once(header(size)).chain(pieces(value))));
        let handle = handle.await.expect("uploads");
        assert_eq!(handle.size_bytes, size);
        assert_eq!(handle.sha256, Sha256::digest(value).to_vec());
        handle.into()
    }

    /// What is behind a handle, from an offset on.
    pub(crate) async fn read_from(
        &self,
        handle: &PayloadHandle,
        offset_bytes: u64,
    ) -> Result<Vec<u8>, Status> {
        let request = wire::ReadPayloadRequest {
            namespace: NAMESPACE.to_owned(),
            handle: handle.handle.clone(),
            offset_bytes,
        };
        let mut answers = self.values().read_payload(request).await?.into_inner();
        let mut value = Vec::new();
        while let Some(answer) = answers.message().await? {
            assert!(answer.piece.len() <= 256 * 1024, "{}", answer.piece.len());
            value.extend_from_slice(&answer.piece);
        }
        Ok(value)
    }

    /// What is behind the handle of a payload, held against what the handle says.
    pub(crate) async fn read(&self, payload: &Payload) -> Result<String, Status> {
        let handle = payload.handle().expect("readable").expect("a handle");
        let value = self.read_from(&handle, 0).await?;
        assert_eq!(handle.size_bytes, value.len() as u64);
        assert_eq!(handle.sha256, Sha256::digest(&value).to_vec());
        Ok(String::from_utf8(value).expect("text"))
    }

    /// Starts a run of `greet`.
    pub(crate) async fn greet_with(
        &self,
        request_id: &str,
        input: Payload,
    ) -> Result<String, Status> {
        let spec = workflow::RunSpec {
            definition: Some(workflow::run_spec::Definition::Workflow("greet".to_owned())),
            input: Some(input),
            ..Default::default()
        };
        let request = workflow::StartRunRequest {
            namespace: NAMESPACE.to_owned(),
            spec: Some(spec),
            request_id: request_id.to_owned(),
            ..Default::default()
        };
        let started = self.runs().start_run(request).await?.into_inner();
        Ok(started.run.expect("a run").run_id)
    }
}
