//! Values that are too large for a message: uploaded before the call that needs them, read after the one that shows them.

use fulcrum_proto::common::v1::Payload;
use fulcrum_sdk::transfer::TransferError;

use super::connection::Connection;
use super::refusal::Refusal;
use crate::error::CliError;

/// What to send in the place of a value: itself, or its handle after an upload.
///
/// # Errors
/// When the upload is refused.
pub async fn lighten(
    connection: &Connection,
    payload: Option<Payload>,
) -> Result<Option<Payload>, CliError> {
    let Some(payload) = payload else {
        return Ok(None);
    };
    let namespace = connection.namespace();
    let lighter = connection.transfer().lighten(&namespace, payload).await;
    lighter.map(Some).map_err(failed)
}

/// Puts the values in the place of the handles among these payloads.
///
/// # Errors
/// When one cannot be read.
pub async fn whole(
    connection: &Connection,
    payloads: impl IntoIterator<Item = &mut Payload>,
) -> Result<(), CliError> {
    let namespace = connection.namespace();
    for payload in payloads {
        let read = connection
            .transfer()
            .whole(&namespace, std::mem::take(payload));
        *payload = read.await.map_err(failed)?;
    }
    Ok(())
}

fn failed(error: TransferError) -> CliError {
    match error {
        TransferError::Refused(refusal) => CliError::Refused(Box::new(Refusal::from_sdk(refusal))),
        TransferError::Damaged(_) => CliError::BadAnswer(error.to_string()),
    }
}
