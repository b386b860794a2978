//! The methods.

use std::pin::Pin;
use std::time::Duration;

use fulcrum_proto::payload::v1 as wire;
use fulcrum_proto::payload::v1::payload_service_server::PayloadService;
use futures_util::stream::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::Handles;
use super::room::{Bytes, Streams};
use crate::grpc::caller::caller;
use crate::identity::registry::Registry;
use crate::shutdown::Tasks;

/// The service.
#[derive(Clone)]
pub struct Payloads {
    /// Makes handles, and knows where values are.
    pub handles: Handles,
    /// Namespaces.
    pub registry: Registry,
    /// How many streams there may be.
    pub streams: Streams,
    /// Memory for what is being uploaded.
    pub uploads: Bytes,
    /// The largest value.
    pub payload_bytes_max: u32,
    /// Longest wait for the next piece, either way.
    pub idle: Duration,
    /// Where reads go on.
    pub tasks: Tasks,
    /// Streams end when this is cancelled.
    pub polls_end: CancellationToken,
}

#[tonic::async_trait]
impl PayloadService for Payloads {
    async fn upload_payload(
        &self,
        request: Request<Streaming<wire::UploadPayloadRequest>>,
    ) -> Result<Response<wire::UploadPayloadResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.upload(&caller, request.into_inner()).await?,
        ))
    }

    type ReadPayloadStream =
        Pin<Box<dyn Stream<Item = Result<wire::ReadPayloadResponse, Status>> + Send>>;

    async fn read_payload(
        &self,
        request: Request<wire::ReadPayloadRequest>,
    ) -> Result<Response<Self::ReadPayloadStream>, Status> {
        let caller = caller(&request)?;
        let pieces = self.read(&caller, request.into_inner()).await?;
        Ok(Response::new(pieces.boxed()))
    }
}
