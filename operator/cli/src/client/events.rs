//! The events of a run.

use fulcrum_proto::workflow::v1::{Event, ListEventsRequest, StreamEventsRequest};
use tonic::Code;

use super::connection::Connection;
use super::follow::Lost;
use crate::error::CliError;

/// Most events in one answer.
const PAGE: u32 = 1000;

/// Tells the events of a run so far, oldest first, a page at a time; only one page is held.
///
/// # Errors
/// When a call is refused, or telling fails.
pub async fn pages(
    connection: &Connection,
    run_id: &str,
    mut tell: impl FnMut(Vec<Event>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut client = connection.timelines();
    let mut after_seq = 0;
    loop {
        let request = ListEventsRequest {
            namespace: connection.namespace(),
            run_id: run_id.to_owned(),
            after_seq,
            page_size: PAGE,
        };
        let page = client.list_events(request).await?.into_inner();
        let Some(last) = page.events.last() else {
            return Ok(());
        };
        after_seq = last.seq;
        tell(page.events)?;
        if !page.more {
            return Ok(());
        }
    }
}

/// All events of a run so far, oldest first. For runs that are known to be short.
///
/// # Errors
/// When a call is refused.
pub async fn all(connection: &Connection, run_id: &str) -> Result<Vec<Event>, CliError> {
    let mut all = Vec::new();
    pages(connection, run_id, |page| {
        all.extend(page);
        Ok(())
    })
    .await?;
    Ok(all)
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
