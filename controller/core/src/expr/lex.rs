//! A look at an expression's tokens before any parser sees them: cheap, flat, and without recursion.

use cel::parser::pratt_parser::{Lexer, Token, TokenKind};

use crate::expr::error::{ErrorKind, ExpressionError, Position};
use crate::limits::Limits;

/// Tokens in one expression. It bounds the depth of the parser's tree, which is built and dropped recursively: chains
/// such as `a + b + c` nest without brackets.
const TOKENS_MAX: usize = 1_000;

/// The tokens of an expression that is small enough to be parsed.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    text: &'a str,
    tokens: Vec<Token>,
}

impl<'a> Tokens<'a> {
    /// Counts bytes, tokens and nesting, and refuses what no parser should see.
    pub(super) fn scan(text: &'a str, limits: &Limits) -> Result<Self, ExpressionError> {
        let bytes_max = limits.expression_bytes_max as usize;
        if text.len() > bytes_max {
            let message = format!(
                "the expression is {} bytes long; expression_bytes_max is {bytes_max}",
                text.len()
            );
            return Err(ExpressionError::new(ErrorKind::Limit, message));
        }
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        let mut depth: u32 = 0;
        loop {
            let token = lexer.lex();
            match token.kind {
                TokenKind::TokEnd => return Ok(Self { text, tokens }),
                TokenKind::TokError => {
                    let message = lexer
                        .get_error()
                        .map_or("unexpected character", |e| e.message.as_str());
                    return Err(ExpressionError::at(
                        ErrorKind::Syntax,
                        message,
                        Position::of(text, token.start),
                    ));
                }
                TokenKind::TokWhitespace | TokenKind::TokComment => continue,
                TokenKind::TokLeftBrace | TokenKind::TokLeftBracket | TokenKind::TokLeftParen => {
                    depth += 1
                }
                TokenKind::TokRightBrace
                | TokenKind::TokRightBracket
                | TokenKind::TokRightParen => {
                    depth = depth.saturating_sub(1);
                }
                _ => {}
            }
            tokens.push(token);
            let limit = if depth > limits.expression_depth_max {
                format!(
                    "the expression nests deeper than {} (expression_depth_max)",
                    limits.expression_depth_max
                )
            } else if tokens.len() > TOKENS_MAX {
                format!(
                    "the expression has more than {TOKENS_MAX} words and signs; split it with a `set` step"
                )
            } else {
                continue;
            };
            return Err(ExpressionError::at(
                ErrorKind::Limit,
                limit,
                Position::of(text, token.start),
            ));
        }
    }

    /// Where a dotted name starts: the first word, not itself behind a dot, that goes on with as many of the further
    /// words as possible. The parser keeps no offsets, and this is exact but for a name used twice.
    pub(super) fn position_of(&self, path: &[&str]) -> Option<Position> {
        let first = path.first()?;
        let mut best: Option<(usize, usize)> = None;
        for (i, token) in self.tokens.iter().enumerate() {
            let after_dot = i > 0 && self.tokens[i - 1].kind == TokenKind::TokDot;
            if after_dot || self.word(i) != Some(first) {
                continue;
            }
            let length = path
                .iter()
                .enumerate()
                .take_while(|(n, word)| self.word(i + 2 * n) == Some(**word))
                .count();
            if best.is_none_or(|(_, longest)| length > longest) {
                best = Some((token.start, length));
            }
        }
        best.map(|(start, _)| Position::of(self.text, start))
    }

    /// Where a function's name stands, plain or behind a dot.
    pub(super) fn position_of_call(&self, name: &str) -> Option<Position> {
        (0..self.tokens.len())
            .find(|i| {
                self.word(*i) == Some(name)
                    && self
                        .tokens
                        .get(i + 1)
                        .is_some_and(|t| t.kind == TokenKind::TokLeftParen)
            })
            .map(|i| Position::of(self.text, self.tokens[i].start))
    }

    fn word(&self, i: usize) -> Option<&'a str> {
        let token = self.tokens.get(i)?;
        match token.kind {
            TokenKind::TokIdent => self
                .text
                .get(token.start..token.end)
                .map(|w| w.trim_matches('`')),
            TokenKind::TokString => self
                .text
                .get(token.start..token.end)
                .map(|w| w.trim_matches(['\'', '"'])),
            _ => None,
        }
    }
}

/// The byte offset of the `}` that closes an expression whose text starts at the beginning of `text`.
/// Braces inside, and inside strings, are skipped.
pub(super) fn closing_brace(text: &str) -> Option<usize> {
    let mut lexer = Lexer::new(text);
    let mut depth: u32 = 0;
    loop {
        let token = lexer.lex();
        match token.kind {
            TokenKind::TokEnd => return None,
            TokenKind::TokLeftBrace => depth += 1,
            TokenKind::TokRightBrace if depth == 0 => return Some(token.start),
            TokenKind::TokRightBrace => depth -= 1,
            // An unknown character: the parser will say so; here only the brace matters.
            TokenKind::TokError if lexer.save_position().pos >= text.len() => return None,
            _ => {}
        }
    }
}
