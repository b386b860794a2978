//! Texts with `${ … }` in them.

use serde_json::Value;

use crate::definition::model::{Expr, Template, TextPart};
use crate::expr::error::{ErrorKind, ExpressionError, Position};
use crate::expr::lex;

/// A piece of a text, with the byte offset of an expression's own text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it stands, `$${` already turned into `${`.
    Text(String),
    /// What stands between `${` and `}`, trimmed.
    Expr { text: String, offset: usize },
}

/// Splits a text at its expressions. Braces and strings inside an expression do not end it; `$${` is a literal `${`.
///
/// # Errors
/// A `${` without its `}`, or with nothing in between.
pub fn split(text: &str) -> Result<Vec<Piece>, ExpressionError> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let open = at + found;
        if text[..open].ends_with('$') && open > at {
            plain.push_str(&text[at..open - 1]);
            plain.push_str("${");
            at = open + 2;
            continue;
        }
        plain.push_str(&text[at..open]);
        let start = open + 2;
        let Some(length) = lex::closing_brace(&text[start..]) else {
            let message = "this `${` is not closed; write `$${` for a literal `${`";
            return Err(ExpressionError::at(
                ErrorKind::Syntax,
                message,
                Position::of(text, open),
            ));
        };
        let inner = &text[start..start + length];
        let trimmed = inner.trim();
        if trimmed.is_empty() {
            let message = "there is nothing between `${` and `}`";
            return Err(ExpressionError::at(
                ErrorKind::Syntax,
                message,
                Position::of(text, open),
            ));
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        let offset = start + (inner.len() - inner.trim_start().len());
        pieces.push(Piece::Expr {
            text: trimmed.to_owned(),
            offset,
        });
        at = start + length + 1;
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

/// The template that a text is: a literal, one expression, or text with expressions inside.
///
/// # Errors
/// As [`split`].
pub fn parse(text: &str) -> Result<Template, ExpressionError> {
    let mut pieces = split(text)?;
    if pieces.len() == 1 {
        return Ok(match pieces.remove(0) {
            Piece::Text(text) => Template::Literal(Value::String(text)),
            Piece::Expr { text, .. } => Template::Expr(Expr(text)),
        });
    }
    let parts = pieces.into_iter().map(|piece| match piece {
        Piece::Text(text) => TextPart::Text(text),
        Piece::Expr { text, .. } => TextPart::Expr(Expr(text)),
    });
    Ok(Template::Text(parts.collect()))
}

/// Every expression of a template, in order.
#[must_use]
pub fn expressions(template: &Template) -> Vec<&Expr> {
    match template {
        Template::Literal(_) => Vec::new(),
        Template::Expr(expr) => vec![expr],
        Template::Text(parts) => parts
            .iter()
            .filter_map(|part| match part {
                TextPart::Text(_) => None,
                TextPart::Expr(expr) => Some(expr),
            })
            .collect(),
        Template::List(items) => items.iter().flat_map(expressions).collect(),
        Template::Object(entries) => entries.values().flat_map(expressions).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn expr(text: &str, offset: usize) -> Piece {
        Piece::Expr {
            text: text.to_owned(),
            offset,
        }
    }

    #[test]
    fn a_text_is_split_at_its_expressions() {
        assert_eq!(split("").unwrap(), [text("")]);
        assert_eq!(split("plain $5 {x}").unwrap(), [text("plain $5 {x}")]);
        assert_eq!(split("${ input.x }").unwrap(), [expr("input.x", 3)]);
        assert_eq!(
            split("Hi ${a}, ${b}!").unwrap(),
            [
                text("Hi "),
                expr("a", 5),
                text(", "),
                expr("b", 11),
                text("!")
            ]
        );
    }

    #[test]
    fn braces_and_strings_inside_do_not_end_an_expression() {
        assert_eq!(
            split("${ {'a': {}}['}'] }x").unwrap(),
            [expr("{'a': {}}['}']", 3), text("x")]
        );
        assert_eq!(split(r#"${ "\"}" }"#).unwrap(), [expr(r#""\"}""#, 3)]);
        assert_eq!(split("${ '''}'}''' }").unwrap(), [expr("'''}'}'''", 3)]);
    }

    #[test]
    fn a_doubled_dollar_escapes() {
        assert_eq!(
            split("$${HOME} is ${x}").unwrap(),
            [text("${HOME} is "), expr("x", 14)]
        );
        assert_eq!(split("$$${x}").unwrap(), [text("$${x}")]);
        assert_eq!(split("${x}${y}").unwrap(), [expr("x", 2), expr("y", 6)]);
    }

    #[test]
    fn what_is_not_closed_or_empty_is_refused_with_its_place() {
        assert_eq!(
            split("ab ${ x").unwrap_err().at,
            Some(Position { line: 1, column: 4 })
        );
        assert_eq!(
            split("ä\n ${ 'x }").unwrap_err().at,
            Some(Position { line: 2, column: 2 })
        );
        assert_eq!(
            split("${}").unwrap_err().at,
            Some(Position { line: 1, column: 1 })
        );
        assert!(split("${ é").is_err());
    }
}
