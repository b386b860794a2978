//! Ids that make a repeated call harmless.

use crate::error::CliError;

/// A fresh request id: a random UUID, as the contract asks for.
///
/// # Errors
/// When the operating system has no randomness.
pub fn fresh() -> Result<String, CliError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| CliError::Io {
        what: "cannot draw a request id".to_owned(),
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string())
}
