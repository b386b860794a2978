//! Reading a statement token by token, as far as it takes to tell a parameter from what only looks like one.

use super::statement::{Dialect, StatementError};

/// The scanner's place in the source, and what it has made of it so far.
pub(super) struct Scan<'a> {
    rest: &'a str,
    dialect: Dialect,
    /// The text with positional parameters.
    pub(super) text: String,
    /// The names, in the order of their positions.
    pub(super) parameters: Vec<String>,
    /// The first word, in capitals.
    pub(super) verb: Option<String>,
    ended: bool,
}

impl<'a> Scan<'a> {
    /// Scans all of `source`.
    pub(super) fn whole(source: &'a str, dialect: Dialect) -> Result<Self, StatementError> {
        let mut scan = Self {
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
        Ok(scan)
    }

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
