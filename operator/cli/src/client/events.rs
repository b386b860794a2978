//! The events of a run.

use fulcrum_proto::workflow::v1::{Event, ListEventsRequest, StreamEventsRequest};
use tonic::Code;

use super::connection::Connection;
use super::follow::Lost;
use crate::error::CliError;

/// Most events in one answer.
const PAGE: u32 = 1000;

/// All events of a run so far, oldest first.
///
/// # Errors
/// When a call is refused.
pub async fn all(connection: &Connection, run_id: &str) -> Result<Vec<Event>, CliError> {
    let mut client = connection.timelines();
    let mut events: Vec<Event> = Vec::new();
    loop {
        let request = ListEventsRequest {
            namespace: connection.namespace(),
            run_id: run_id.to_owned(),
            after_seq: events.last().map_or(0, |event| event.seq),
            page_size: PAGE,
        };
        let page = client.list_events(request).await?.into_inner();
        let is_last = !page.more || page.events.is_empty();
        events.extend(page.events);
        if is_last {
            return Ok(events);
        }
    }
}

/// Tells each event of a run, and new ones as they come, until the run is closed.
///
/// # Errors
/// When the timeline cannot be read, or the controller stays away.
pub async fn follow(
    connection: &Connection,
    run_id: &str,
    mut tell: impl FnMut(&Event) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut client = connection.timelines();
    let mut after_seq = 0;
    let mut lost = Lost::default();
    loop {
        let request = StreamEventsRequest {
            namespace: connection.namespace(),
            run_id: run_id.to_owned(),
            after_seq,
        };
        let status = match client.stream_events(request).await {
            Ok(answer) => {
                let mut stream = answer.into_inner();
                loop {
                    match stream.message().await {
                        Ok(Some(answer)) => {
                            if let Some(event) = answer.event {
                                after_seq = event.seq;
                                tell(&event)?;
                            }
                        }
                        Ok(None) => return Ok(()),
                        Err(status) => break status,
                    }
                }
            }
            Err(status) => status,
        };
        if status.code() != Code::Unavailable || lost.wait().await.is_err() {
            return Err(status.into());
        }
    }
}
