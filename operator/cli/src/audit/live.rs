//! The record, from a controller.

use std::time::Duration;

use fulcrum_proto::audit::v1::{
    ReadLogRequest, ReadLogResponse, ReadTimelinesRequest, ReadTimelinesResponse,
};
use fulcrum_sdk::IdentityDir;
use fulcrum_sdk::witness::{self, Seen, WitnessError};

use crate::client::connection::Connection;
use crate::client::refusal::Refusal;
use crate::error::CliError;

/// What commits leave gets its place and signature within a second; waited for so often, and so long each time.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);

/// Looks at the newest signed head and holds it against what this identity has seen before.
///
/// # Errors
/// When the log is not what was seen, or the controller cannot be asked.
pub async fn look(connection: &Connection) -> Result<Seen, CliError> {
    let dir = IdentityDir::at(&connection.target().identity);
    witness::look(&mut connection.audits(), &dir)
        .await
        .map_err(|error| witness_error(error, &dir))
}

fn witness_error(error: WitnessError, dir: &IdentityDir) -> CliError {
    match error {
        WitnessError::Refused(refusal) => CliError::Refused(Box::new(Refusal::from_sdk(refusal))),
        WitnessError::Memory(error) => CliError::NotFound {
            message: error.to_string(),
            fix: "see that the identity's directory can be read and written".to_owned(),
        },
        WitnessError::BadAnswer => CliError::BadAnswer(error.to_string()),
        alarm @ (WitnessError::Alarm(_)
        | WitnessError::OtherKey { .. }
        | WitnessError::TooOld { .. }) => CliError::CheckFailed {
            message: format!("ALARM: {alarm}"),
            fix: format!(
                "keep a copy of the database first. If you know why (a restore from a backup that you wanted, say), remove {} to begin again from what is there now",
                dir.path().join("witness.json").display()
            ),
        },
    }
}

/// Reads the log from a place on up to its newest head.
///
/// # Errors
/// What the controller says, and what `each` does.
pub async fn log(
    connection: &Connection,
    from_place: u64,
    mut each: impl FnMut(ReadLogResponse) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let request = ReadLogRequest { from_place };
    let mut parts = connection.audits().read_log(request).await?.into_inner();
    while let Some(part) = parts.message().await? {
        each(part)?;
    }
    Ok(())
}

/// Reads timelines: of these runs, or of all.
///
/// # Errors
/// What the controller says, and what `each` does.
pub async fn timelines(
    connection: &Connection,
    run_ids: Vec<String>,
    mut each: impl FnMut(ReadTimelinesResponse) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let request = ReadTimelinesRequest { run_ids };
    let answer = connection.audits().read_timelines(request).await?;
    let mut parts = answer.into_inner();
    while let Some(part) = parts.message().await? {
        each(part)?;
    }
    Ok(())
}

/// Follows the log until `is_enough`, or until it should long have been.
///
/// # Errors
/// What the controller says, and what `each` does.
pub async fn follow(
    connection: &Connection,
    mut size: u64,
    mut each: impl FnMut(ReadLogResponse) -> Result<(), CliError>,
    mut is_enough: impl FnMut() -> bool,
) -> Result<(), CliError> {
    for tried in 0..TRIES {
        // What became of the days that left meanwhile is told by what came into the log meanwhile.
        if tried > 0 && is_enough() {
            break;
        }
        let seen = look(connection).await?;
        if seen.head.size > size {
            log(connection, size, &mut each).await?;
            size = seen.head.size;
        } else if !is_enough() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}
