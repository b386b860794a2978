//! What goes wrong inside the store, before it is told to the engine: SQLSTATEs become instructions to the caller.

use fulcrum_core::store::StoreError;
use sqlx::error::DatabaseError;

/// A failure of one unit of work.
#[derive(Debug)]
pub(crate) enum Problem {
    /// From the driver or the server.
    Sql(sqlx::Error),
    /// Decided here.
    Store(StoreError),
}

impl Problem {
    /// Stored data breaks a promise of the schema.
    pub(crate) fn schema(what: impl Into<String>) -> Self {
        Problem::Store(StoreError::Refused(what.into()))
    }

    fn database(&self) -> Option<&dyn DatabaseError> {
        match self {
            Problem::Sql(sqlx::Error::Database(error)) => Some(error.as_ref()),
            Problem::Sql(_) | Problem::Store(_) => None,
        }
    }

    /// The name of the constraint that was broken, to be mapped to a domain error.
    pub(crate) fn constraint(&self) -> Option<&str> {
        self.database().and_then(DatabaseError::constraint)
    }

    /// A row was born on a day that has no partition yet.
    pub(crate) fn is_missing_partition(&self) -> bool {
        self.database().is_some_and(|error| {
            error.code().as_deref() == Some("23514")
                && error.constraint().is_none()
                && matches!(error.table(), Some("events" | "payloads" | "blobs"))
        })
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Problem::Sql(error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Problem::Store(error)
    }
}

impl From<Problem> for StoreError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Store(error) => error,
            Problem::Sql(sqlx::Error::Database(error)) => by_sqlstate(error.as_ref()),
            Problem::Sql(
                error @ (sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::BeginFailed),
            ) => StoreError::Unavailable(error.to_string()),
            Problem::Sql(error) => StoreError::Refused(error.to_string()),
        }
    }
}

fn by_sqlstate(error: &dyn DatabaseError) -> StoreError {
    let code = error.code().unwrap_or_default().into_owned();
    let text = format!("{error} (SQLSTATE {code})");
    match classify(&code) {
        Class::Retry => StoreError::Retry(text),
        Class::Unavailable => StoreError::Unavailable(text),
        Class::Full => StoreError::Full(text),
        Class::Refused => StoreError::Refused(text),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Class {
    Retry,
    Unavailable,
    Full,
    Refused,
}

/// 57014 (statement timeout) and 55P03 (lock timeout) mean overload: shed, do not retry blindly. 25006 is a server
/// that became read-only, 25P02 a connection left in a failed transaction: another connection may do.
fn classify(code: &str) -> Class {
    match code {
        "40001" | "40P01" => Class::Retry,
        "57P01" | "57P02" | "57P03" | "57P05" | "25006" | "25P02" | "25P03" => Class::Unavailable,
        "57014" | "55P03" => Class::Full,
        code if code.starts_with("08") => Class::Unavailable,
        code if code.starts_with("53") => Class::Full,
        _ => Class::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_of_sqlstate_tells_the_caller_what_to_do() {
        assert_eq!(classify("40P01"), Class::Retry);
        assert_eq!(classify("08006"), Class::Unavailable);
        assert_eq!(classify("25006"), Class::Unavailable);
        assert_eq!(classify("53100"), Class::Full);
        assert_eq!(classify("57014"), Class::Full);
        assert_eq!(classify("23505"), Class::Refused);
    }
}
