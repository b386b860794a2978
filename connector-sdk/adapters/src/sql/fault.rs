//! What went wrong on a database, and what that means for the step.
//!
//! Everything runs in one transaction, so a failure before the commit changed nothing, whatever it was. Only a lost
//! answer to COMMIT leaves the outcome open.

use fulcrum_sdk::{Failure, Sent};
use sqlx::error::DatabaseError;

use super::job::ShapeError;
use super::statement::Dialect;
use crate::operation::Repeat;

/// A failed execution.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SqlFault {
    #[error("cannot connect: {0}")]
    Connect(#[source] sqlx::Error),
    #[error("the database's setup failed: {0}")]
    Setup(#[source] sqlx::Error),
    #[error("{0}")]
    Statement(#[source] sqlx::Error),
    #[error("the answer to COMMIT was lost: {0}")]
    Commit(#[source] sqlx::Error),
    #[error("{0}")]
    Shape(#[from] ShapeError),
    #[error("column `{column}`: {reason}")]
    Column { column: String, reason: String },
    #[error("a call with the same effect key is committing right now")]
    SameEffectInProgress,
    #[error("the statement did not end in time")]
    Timeout,
    #[error("the server stopped answering")]
    Silent,
    #[error("the task that ran the statement broke off: {0}")]
    Broken(#[source] tokio::task::JoinError),
}

impl SqlFault {
    /// The failure to report. `title` names the capability and database.
    pub(crate) fn into_failure(self, title: &str, dialect: Dialect, repeat: Repeat) -> Failure {
        let message = format!("{title}: {self}");
        let failure = match &self {
            Self::Commit(sqlx::Error::Database(error))
            | Self::Statement(sqlx::Error::Database(error)) => {
                refused(error.as_ref(), dialect, message)
            }
            Self::Connect(sqlx::Error::Database(error))
            | Self::Setup(sqlx::Error::Database(error)) => {
                refused(error.as_ref(), dialect, message)
            }
            Self::Commit(_) => return repeat.lost("SQL_COMMIT_LOST", message),
            Self::Silent => return repeat.lost("SQL_SILENT", message),
            Self::Broken(_) => return repeat.lost("SQL_BROKEN", message),
            Self::Connect(sqlx::Error::Configuration(_)) => {
                Failure::fatal("SQL_CONFIGURATION", message)
            }
            Self::Connect(_) | Self::Setup(_) => Failure::transient("SQL_CONNECT_FAILED", message),
            Self::Statement(
                sqlx::Error::Encode(_)
                | sqlx::Error::Decode(_)
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::InvalidArgument(_),
            ) => Failure::fatal("SQL_DATA_INVALID", message),
            Self::Statement(_) => Failure::transient("SQL_CONNECTION_LOST", message),
            Self::Shape(ShapeError::RowMissing) => Failure::fatal("SQL_ROW_MISSING", message),
            Self::Shape(ShapeError::TooManyRows(_)) => Failure::fatal("SQL_TOO_MANY_ROWS", message),
            Self::Column { .. } => Failure::fatal("SQL_COLUMN_UNSUPPORTED", message),
            Self::SameEffectInProgress => {
                Failure::transient("SQL_SAME_EFFECT_IN_PROGRESS", message)
            }
            Self::Timeout => Failure::transient("SQL_TIMEOUT", message),
        };
        failure.sent(Sent::No)
    }
}

fn refused(error: &dyn DatabaseError, dialect: Dialect, message: String) -> Failure {
    let code = error.code().unwrap_or_default();
    match dialect {
        Dialect::Postgres => postgres(&code, message),
        Dialect::Sqlite => sqlite(&code, message),
    }
}

/// By SQLSTATE (Postgres manual, appendix A).
fn postgres(state: &str, message: String) -> Failure {
    let class = state.get(..2).unwrap_or_default();
    match (state, class) {
        ("23505", _) => Failure::fatal("SQL_UNIQUE_VIOLATION", message),
        ("23503", _) => Failure::fatal("SQL_FOREIGN_KEY_VIOLATION", message),
        ("23502", _) => Failure::fatal("SQL_NOT_NULL_VIOLATION", message),
        ("23514" | "23P01", _) => Failure::fatal("SQL_CHECK_VIOLATION", message),
        ("40001" | "40P01", _) => Failure::transient("SQL_SERIALIZATION", message),
        ("55P03", _) => Failure::transient("SQL_LOCKED", message),
        ("57014", _) => Failure::transient("SQL_TIMEOUT", message),
        // A server that became read-only (a fail-over) gets another chance; a read that writes never does, and a
        // declared read cannot tell the two apart, but its verb was checked.
        ("25006", _) => Failure::fatal("SQL_READ_ONLY", message),
        ("28000" | "28P01" | "42501", _) => Failure::fatal("SQL_ACCESS_DENIED", message),
        (_, "08" | "53" | "57" | "58") => Failure::transient("SQL_UNAVAILABLE", message),
        (_, "22") => Failure::fatal("SQL_DATA_INVALID", message),
        (_, "42" | "3D" | "3F") => Failure::fatal("SQL_STATEMENT_INVALID", message),
        _ => Failure::fatal("SQL_REFUSED", message),
    }
}

/// By result code (sqlite.org/rescode.html); the low byte is the primary code.
fn sqlite(code: &str, message: String) -> Failure {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    const READ_ONLY: u32 = 8;
    const INTERRUPT: u32 = 9;
    const IO: u32 = 10;
    const FULL: u32 = 13;
    const CANNOT_OPEN: u32 = 14;
    let code: u32 = code.parse().unwrap_or_default();
    match (code, code & 0xff) {
        (2067 | 1555 | 2579, _) => Failure::fatal("SQL_UNIQUE_VIOLATION", message),
        (787, _) => Failure::fatal("SQL_FOREIGN_KEY_VIOLATION", message),
        (1299, _) => Failure::fatal("SQL_NOT_NULL_VIOLATION", message),
        (275, _) => Failure::fatal("SQL_CHECK_VIOLATION", message),
        (_, BUSY | LOCKED) => Failure::transient("SQL_LOCKED", message),
        (_, INTERRUPT) => Failure::transient("SQL_TIMEOUT", message),
        (_, READ_ONLY) => Failure::fatal("SQL_READ_ONLY", message),
        (_, IO | FULL | CANNOT_OPEN) => Failure::transient("SQL_UNAVAILABLE", message),
        (_, 1) => Failure::fatal("SQL_STATEMENT_INVALID", message),
        (_, 20 | 18) => Failure::fatal("SQL_DATA_INVALID", message),
        _ => Failure::fatal("SQL_REFUSED", message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulcrum_sdk::FailureClass;

    #[test]
    fn states_that_pass_are_transient_and_the_rest_fatal() {
        for (state, class) in [
            ("40001", FailureClass::Transient),
            ("40P01", FailureClass::Transient),
            ("57P01", FailureClass::Transient),
            ("53300", FailureClass::Transient),
            ("08006", FailureClass::Transient),
            ("23505", FailureClass::Fatal),
            ("42P01", FailureClass::Fatal),
            ("28P01", FailureClass::Fatal),
            ("P0001", FailureClass::Fatal),
        ] {
            assert_eq!(postgres(state, String::new()).class, class, "{state}");
        }
    }

    #[test]
    fn a_lost_commit_is_unknown_only_where_a_repeat_would_double() {
        let lost = || SqlFault::Commit(sqlx::Error::WorkerCrashed);
        let doubles = lost().into_failure("t", Dialect::Postgres, Repeat::Doubles);
        assert_eq!(doubles.class, FailureClass::Unknown);
        let harmless = lost().into_failure("t", Dialect::Postgres, Repeat::Harmless);
        assert_eq!(harmless.class, FailureClass::Transient);
    }
}
