//! Expressions: CEL in `${ … }`, the only expression language of the system.
//!
//! Expressions are hostile input. Three rules keep them harmless, and each has a test:
//!
//! 1. **Bounded before it is parsed.** [`Expression::parse`] counts bytes, tokens and nesting with the lexer alone, then
//!    calls `cel`'s hand-written Pratt parser. (`cel::Program::compile` would use the ANTLR parser, whose memory grows
//!    exponentially on short input.)
//! 2. **Checked before it is stored.** The tree is compiled into our own: names resolve to what a [`Scope`] can hold,
//!    functions to a closed list, patterns to compiled regular expressions. What does not resolve is an error with a
//!    position, so a saved expression can only fail for its data.
//! 3. **Metered while it runs.** The evaluator is ours, not `cel`'s, because that one has no budget, copies values
//!    deeply and iterates hash maps. Ours borrows the JSON it reads, charges every step and every byte it makes
//!    against [`Limits`](crate::limits::Limits), visits map keys in order, and cannot panic on any value.
//!
//! Where JSON and CEL differ, JSON wins: whole numbers and fractions mix in arithmetic (the result is a fraction),
//! there are no protobuf messages, no bytes and no optional syntax; `has(x.y)` is the test for presence.
//!
//! [`Expressions`] is the set that one definition uses, parsed once; [`template`] splits texts with `${ … }` in them.

mod budget;
mod compile;
mod error;
mod eval;
mod expression;
mod filter;
mod function;
mod json;
mod lex;
mod library;
mod macros;
mod operator;
mod scope;
pub mod template;
#[cfg(test)]
mod tests;
mod text;
pub(crate) mod time;
mod tree;
mod value;

pub use error::{ErrorKind, ExpressionError, Position};
pub use expression::{Expression, Use, evaluate};
pub use filter::{Health, RunConditions};
pub use library::Expressions;
pub use scope::{Reference, Scope};
