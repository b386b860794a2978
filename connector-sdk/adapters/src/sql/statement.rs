//! A statement with `:name` parameters, and its translation to positional ones.

use std::collections::BTreeSet;

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
        let mut scan = Scan {
            rest: source,
            dialect,
            text: String::with_capacity(source.len()),
            parameters: Vec::new(),
            verb: None,
            ended: false,
        };
        while !scan.rest.is_empty() {
            scan.step()?;
        }
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

struct Scan<'a> {
    rest: &'a str,
    dialect: Dialect,
    text: String,
    parameters: Vec<String>,
    verb: Option<String>,
    ended: bool,
}

impl Scan<'_> {
    /// Takes one token: a quoted text, a comment, a parameter, a word or a character.
    fn step(&mut self) -> Result<(), StatementError> {
        let postgres = self.dialect == Dialect::Postgres;
        if self.rest.starts_with("--") {
            let until = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
            self.copy(until);
            return Ok(());
        }
        if self.rest.starts_with("/*") {
            let until = comment_end(self.rest, postgres)?;
            self.copy(until);
            return Ok(());
        }
        let Some(first) = self.rest.chars().next() else {
            return Ok(());
        };
        if first.is_whitespace() {
            self.copy(first.len_utf8());
            return Ok(());
        }
        if self.ended {
            return Err(StatementError::Several);
        }
        match first {
            ';' => {
                // Not copied: a statement is prepared without it.
                self.ended = true;
                self.rest = &self.rest[1..];
            }
            '\'' => self.copy(quote_end(self.rest, '\'', "a string")?),
            '"' => self.copy(quote_end(self.rest, '"', "a quoted name")?),
            '`' if !postgres => self.copy(quote_end(self.rest, '`', "a quoted name")?),
            '[' if !postgres => {
                let end = self
                    .rest
                    .find(']')
                    .ok_or(StatementError::Unclosed("a quoted name"))?;
                self.copy(end + 1);
            }
            '$' if postgres => self.dollar()?,
            '$' | '@' | '?' if !postgres => return Err(self.positional()),
            ':' if self.rest.starts_with("::") => self.copy(2),
            ':' => self.parameter(),
            _ if is_word_start(first) => self.word()?,
            // A digit begins a number; its letters (`1e5`, `0xff`) must not be taken for words.
            _ if first.is_ascii_digit() => self.copy(word_length(self.rest)),
            _ => self.copy(first.len_utf8()),
        }
        Ok(())
    }

    fn copy(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.text.push_str(taken);
        self.rest = rest;
    }

    fn word(&mut self) -> Result<(), StatementError> {
        let length = word_length(self.rest);
        let word = &self.rest[..length];
        if self.verb.is_none() {
            self.verb = Some(word.to_ascii_uppercase());
        }
        let escapes = self.dialect == Dialect::Postgres
            && word.eq_ignore_ascii_case("e")
            && self.rest[length..].starts_with('\'');
        self.copy(length);
        if escapes {
            let end = escape_string_end(self.rest)?;
            self.copy(end);
        }
        Ok(())
    }

    fn parameter(&mut self) {
        let name_length = match self.rest[1..].chars().next() {
            Some(first) if is_word_start(first) => word_length(&self.rest[1..]),
            Some(_) | None => 0,
        };
        if name_length == 0 {
            return self.copy(1);
        }
        let name = &self.rest[1..=name_length];
        let position = match self.parameters.iter().position(|known| known == name) {
            Some(known) => known + 1,
            None => {
                self.parameters.push(name.to_owned());
                self.parameters.len()
            }
        };
        self.text.push(match self.dialect {
            Dialect::Postgres => '$',
            Dialect::Sqlite => '?',
        });
        self.text.push_str(&position.to_string());
        self.rest = &self.rest[1 + name_length..];
    }

    /// `$1` is refused; `$tag$ … $tag$` is copied.
    fn dollar(&mut self) -> Result<(), StatementError> {
        let tag_length = self.rest[1..]
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(self.rest.len() - 1);
        let opens = self.rest[1 + tag_length..].starts_with('$');
        let numbered = self.rest[1..].starts_with(|c: char| c.is_ascii_digit());
        if numbered {
            return Err(self.positional());
        }
        if !opens {
            self.copy(1);
            return Ok(());
        }
        let tag = &self.rest[..tag_length + 2];
        let close = self.rest[tag.len()..]
            .find(tag)
            .ok_or(StatementError::Unclosed("a dollar-quoted string"))?;
        let end = tag.len() + close + tag.len();
        self.copy(end);
        Ok(())
    }

    fn positional(&self) -> StatementError {
        let length = 1 + word_length(&self.rest[1..]);
        StatementError::Positional(self.rest[..length].to_owned())
    }
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len())
}

/// The end of a text quoted by `quote`, which is doubled inside.
fn quote_end(text: &str, quote: char, what: &'static str) -> Result<usize, StatementError> {
    let mut from = 1;
    loop {
        let at = from
            + text[from..]
                .find(quote)
                .ok_or(StatementError::Unclosed(what))?;
        if !text[at + 1..].starts_with(quote) {
            return Ok(at + 1);
        }
        from = at + 2;
    }
}

/// The end of `'…'` with backslash escapes, as after `E`.
fn escape_string_end(text: &str) -> Result<usize, StatementError> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => {
                characters.next();
            }
            '\'' if characters.peek().is_some_and(|(_, next)| *next == '\'') => {
                characters.next();
            }
            '\'' => return Ok(at + 1),
            _ => {}
        }
    }
    Err(StatementError::Unclosed("a string"))
}

fn comment_end(text: &str, nests: bool) -> Result<usize, StatementError> {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") && (nests || depth == 0) {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Ok(at);
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    Err(StatementError::Unclosed("a comment"))
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
