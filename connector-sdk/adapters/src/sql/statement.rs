//! A statement with `:name` parameters, and its translation to positional ones.

use std::collections::BTreeSet;

use super::scan::Scan;

/// Longest statement, in bytes.
const STATEMENT_BYTES_MAX: usize = 64 * 1024;

/// Whose SQL it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Postgres: `$1`, dollar quotes, nested comments, `E'…'`, `::` casts.
    Postgres,
    /// SQLite: `?1`, `[name]` and `` `name` `` quotes.
    Sqlite,
}

/// What a statement is declared to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It changes nothing; the database is told so and enforces it.
    Read,
    /// It changes something.
    Write,
}

/// One statement, ready to be prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The text with positional parameters.
    pub text: String,
    /// The names, in the order of their positions; none twice.
    pub parameters: Vec<String>,
    /// Read or write.
    pub access: Access,
}

/// A text that is not one usable statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Longer than allowed.
    #[error("the statement is longer than {STATEMENT_BYTES_MAX} bytes")]
    TooLong,
    /// A quote or comment that does not end.
    #[error("{0} does not end")]
    Unclosed(&'static str),
    /// Something follows the semicolon.
    #[error("there is more than one statement; a capability runs exactly one")]
    Several,
    /// Parameters that have no name.
    #[error("`{0}` is a positional parameter; write `:name`")]
    Positional(String),
    /// A statement of another kind.
    #[error("a {access} begins with one of {allowed}; this begins with `{found}`")]
    Verb {
        /// `read` or `write`.
        access: &'static str,
        /// What it may begin with.
        allowed: String,
        /// What it begins with.
        found: String,
    },
}

const READ_VERBS: &[&str] = &["SELECT", "WITH", "VALUES"];
const WRITE_VERBS: &[&str] = &[
    "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "WITH", "SELECT", "CALL",
];

impl Statement {
    /// Translates `source`.
    ///
    /// # Errors
    /// When it is not one statement of the declared kind, or has unnamed parameters.
    pub fn parse(source: &str, dialect: Dialect, access: Access) -> Result<Self, StatementError> {
        if source.len() > STATEMENT_BYTES_MAX {
            return Err(StatementError::TooLong);
        }
        let scan = Scan::whole(source, dialect)?;
        let (name, verbs) = match access {
            Access::Read => ("read", READ_VERBS),
            Access::Write => ("write", WRITE_VERBS),
        };
        let verb = scan.verb.unwrap_or_default();
        if !verbs.contains(&verb.as_str()) {
            return Err(StatementError::Verb {
                access: name,
                allowed: verbs.join(", "),
                found: verb,
            });
        }
        Ok(Self {
            text: scan.text,
            parameters: scan.parameters,
            access,
        })
    }

    /// The names of the parameters, sorted.
    pub fn names(&self) -> BTreeSet<&str> {
        self.parameters.iter().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(source: &str) -> Result<Statement, StatementError> {
        Statement::parse(source, Dialect::Postgres, Access::Write)
    }

    fn sqlite(source: &str) -> Result<Statement, StatementError> {
        Statement::parse(source, Dialect::Sqlite, Access::Write)
    }

    #[test]
    fn a_name_used_twice_is_one_parameter() {
        let statement = postgres("UPDATE c SET a = :a, b = :b WHERE a <> :a;").expect("parsed");
        assert_eq!(statement.text, "UPDATE c SET a = $1, b = $2 WHERE a <> $1");
        assert_eq!(statement.parameters, ["a", "b"]);
        assert_eq!(
            sqlite("DELETE FROM c WHERE a = :a").expect("parsed").text,
            "DELETE FROM c WHERE a = ?1"
        );
    }

    #[test]
    fn what_looks_like_a_parameter_inside_quotes_comments_and_casts_is_left_alone() {
        for source in [
            "SELECT ':a', \":b\", 'it''s :c', x::text -- :d",
            "SELECT E'\\':a', $$ :b $$, $t$ :c $t$ /* :d /* :e */ */",
            "SELECT arr[1:2]",
        ] {
            let statement = postgres(source).expect(source);
            assert_eq!(statement.text, source);
            assert!(statement.parameters.is_empty());
        }
        let source = "SELECT [:a], `:b`, ':c' /* :d */";
        assert_eq!(sqlite(source).expect(source).text, source);
    }

    #[test]
    fn a_cast_may_follow_a_parameter() {
        let statement = postgres("SELECT :at::timestamptz").expect("parsed");
        assert_eq!(statement.text, "SELECT $1::timestamptz");
    }

    #[test]
    fn two_statements_are_refused_and_a_trailing_comment_is_not() {
        assert_eq!(
            postgres("DELETE FROM a; DROP TABLE b"),
            Err(StatementError::Several)
        );
        assert!(postgres("DELETE FROM a; -- done\n /* really */").is_ok());
    }

    #[test]
    fn positional_parameters_are_refused() {
        assert!(matches!(
            postgres("SELECT $1"),
            Err(StatementError::Positional(_))
        ));
        for source in ["SELECT ?", "SELECT ?1", "SELECT @a", "SELECT $a"] {
            assert!(
                matches!(sqlite(source), Err(StatementError::Positional(_))),
                "{source}"
            );
        }
        // In Postgres `?` is an operator of jsonb.
        assert!(postgres("SELECT a ? 'b' FROM c").is_ok());
    }

    #[test]
    fn only_the_declared_kind_of_statement_is_taken() {
        for source in [
            "PRAGMA query_only = 0",
            "ATTACH 'x' AS y",
            "DROP TABLE c",
            "COMMIT",
            "",
        ] {
            assert!(
                matches!(sqlite(source), Err(StatementError::Verb { .. })),
                "{source}"
            );
        }
        let read = Statement::parse("DELETE FROM c", Dialect::Postgres, Access::Read);
        assert!(matches!(read, Err(StatementError::Verb { .. })));
    }

    #[test]
    fn an_open_quote_is_refused() {
        for source in [
            "SELECT 'a",
            "SELECT \"a",
            "SELECT /* a",
            "SELECT $$ a",
            "SELECT E'a\\'",
        ] {
            assert!(
                matches!(postgres(source), Err(StatementError::Unclosed(_))),
                "{source}"
            );
        }
    }
}
