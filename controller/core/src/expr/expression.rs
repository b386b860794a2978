//! One expression: parsed once, evaluated often.

use std::collections::BTreeSet;
use std::sync::Arc;

use cel::common::ast::IdedExpr;
use cel::parser::PrattParser;
use serde_json::Value;

use crate::expr::budget::Budget;
use crate::expr::compile::Compiler;
use crate::expr::error::{ErrorKind, ExpressionError, Position};
use crate::expr::eval::Evaluation;
use crate::expr::json;
use crate::expr::lex::Tokens;
use crate::expr::scope::{Reference, Scope};
use crate::expr::tree::Node;
use crate::limits::Limits;

/// A parsed and resolved expression. Cheap to clone; shared between threads.
#[derive(Debug, Clone)]
pub struct Expression {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    text: String,
    tree: Node,
    references: BTreeSet<Reference>,
    uses: Vec<Use>,
    limits: Limits,
}

/// One place where an expression reads something from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// What it reads.
    pub reference: Reference,
    /// The fields selected on it by name: `["a", "b"]` for `input.a.b[0].c`.
    pub fields: Vec<String>,
    /// Where, in the expression's own text.
    pub at: Option<Position>,
}

impl Expression {
    /// Parses, resolves and checks an expression (without the `${ }`).
    ///
    /// # Errors
    /// Too long or too deep (`expression_bytes_max`, `expression_depth_max`), not CEL, or naming a variable or function
    /// that does not exist. Takes well under a millisecond and little memory for any text.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, ExpressionError> {
        let tokens = Tokens::scan(text, limits)?;
        let parsed = read(text, limits)?;
        let tree = Compiler::new(&tokens, limits.expression_depth_max).node(&parsed)?;
        let mut uses = Vec::new();
        collect(&tree, &mut Vec::new(), &mut uses);
        for used in &mut uses {
            used.at = position(&tokens, used);
        }
        let references = uses.iter().map(|u| u.reference.clone()).collect();
        Ok(Self {
            inner: Arc::new(Inner {
                text: text.to_owned(),
                tree,
                references,
                uses,
                limits: *limits,
            }),
        })
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// What it needs in its scope, no more and no less.
    #[must_use]
    pub fn references(&self) -> &BTreeSet<Reference> {
        &self.inner.references
    }

    /// The same with fields and places, for checking a definition.
    #[must_use]
    pub fn uses(&self) -> &[Use] {
        &self.inner.uses
    }

    /// Evaluates to a value that may be JSON or text, on a budget shared with others.
    pub(super) fn evaluate_to_json(
        &self,
        scope: &Scope<'_>,
        budget: &Budget,
    ) -> Result<Value, ExpressionError> {
        Evaluation::new(scope, budget)
            .node(&self.inner.tree)
            .and_then(|value| json::to_json(&value, budget))
            .map_err(|fault| self.explain(fault.into_error()))
    }

    /// Evaluates to the text that interpolation shows.
    pub(super) fn evaluate_to_text(
        &self,
        scope: &Scope<'_>,
        budget: &Budget,
    ) -> Result<String, ExpressionError> {
        Evaluation::new(scope, budget)
            .node(&self.inner.tree)
            .and_then(|value| json::to_text(&value, budget))
            .map_err(|fault| self.explain(fault.into_error()))
    }

    /// Says which expression it was: the reader sees the message on a timeline, far from the definition.
    fn explain(&self, error: ExpressionError) -> ExpressionError {
        let shown: String = self.inner.text.chars().take(120).collect();
        let dots = if shown.len() < self.inner.text.len() {
            "…"
        } else {
            ""
        };
        ExpressionError {
            message: format!("{} (in `{shown}{dots}`)", error.message),
            ..error
        }
    }
}

/// Evaluates an expression over a scope.
///
/// # Errors
/// [`ErrorKind::Evaluation`] when the data does not fit, [`ErrorKind::Limit`] when it is too much work or too large
/// (`expression_steps_max`, four times `payload_bytes_max`). It never panics.
pub fn evaluate(expression: &Expression, scope: &Scope<'_>) -> Result<Value, ExpressionError> {
    expression.evaluate_to_json(scope, &Budget::new(&expression.inner.limits))
}

/// The parser's tree of a text whose size and nesting have been bounded first.
pub(super) fn read(text: &str, limits: &Limits) -> Result<IdedExpr, ExpressionError> {
    Tokens::scan(text, limits)?;
    PrattParser::new()
        .max_recursion_depth(u16::try_from(limits.expression_depth_max).unwrap_or(u16::MAX))
        .error_recovery_limit(8)
        .enable_ident_escape_syntax(true)
        .parse(text)
        .map_err(|errors| first(text, &errors))
}

fn first(text: &str, errors: &cel::ParseErrors) -> ExpressionError {
    let Some(error) = errors
        .errors
        .iter()
        .find(|e| e.pos.0 > 0)
        .or(errors.errors.first())
    else {
        return ExpressionError::new(ErrorKind::Syntax, "this is not an expression");
    };
    let message = error
        .msg
        .trim_start_matches("Syntax error: ")
        .replace("<EOF>", "the end");
    let (Ok(line), Ok(column)) = (u32::try_from(error.pos.0), usize::try_from(error.pos.1)) else {
        return ExpressionError::new(ErrorKind::Syntax, message);
    };
    if line == 0 {
        return ExpressionError::new(ErrorKind::Syntax, message);
    }
    // The parser counts columns in bytes.
    let of_line = text.split('\n').nth(line as usize - 1).unwrap_or_default();
    let column = Position::of(of_line, column.saturating_sub(1)).column;
    ExpressionError::at(ErrorKind::Syntax, message, Position { line, column })
}

fn position(tokens: &Tokens<'_>, used: &Use) -> Option<Position> {
    let mut path: Vec<&str> = match &used.reference {
        Reference::Input => vec!["input"],
        Reference::Step(id) => vec!["steps", id, "output"],
        Reference::StepStatus(id) => vec!["steps", id, "status"],
        Reference::Variable(name) => vec!["vars", name],
        Reference::Item => vec!["item"],
        Reference::Index => vec!["index"],
        Reference::Run => vec!["run"],
        Reference::Error => vec!["error"],
    };
    path.extend(used.fields.iter().map(String::as_str));
    tokens.position_of(&path)
}

/// Collects what a tree reads; `fields` are the selections around this node, innermost last.
fn collect(node: &Node, fields: &mut Vec<String>, uses: &mut Vec<Use>) {
    let mut all = |nodes: &[&Node]| nodes.iter().for_each(|n| collect(n, &mut Vec::new(), uses));
    match node {
        Node::Root(reference) | Node::HasRoot(reference) => {
            let fields = fields.iter().rev().cloned().collect();
            uses.push(Use {
                reference: reference.clone(),
                fields,
                at: None,
            });
        }
        Node::Select(operand, field) | Node::Has(operand, field) => {
            fields.push(field.clone());
            collect(operand, fields, uses);
        }
        Node::Index(operand, index) => {
            all(&[index]);
            if let Node::Literal(crate::expr::tree::Literal::Text(field)) = &**index {
                fields.push(field.clone());
            } else {
                fields.clear();
            }
            collect(operand, fields, uses);
        }
        Node::Literal(_) | Node::Local(_) => {}
        Node::List(nodes) | Node::Call(_, nodes) => all(&nodes.iter().collect::<Vec<_>>()),
        Node::Map(entries) => all(&entries.iter().flat_map(|(k, v)| [k, v]).collect::<Vec<_>>()),
        Node::Not(operand) | Node::Negate(operand) | Node::Matches(operand, _) => all(&[operand]),
        Node::And(left, right) | Node::Or(left, right) | Node::Binary(_, left, right) => {
            all(&[left, right])
        }
        Node::Conditional(parts) => all(&parts.iter().collect::<Vec<_>>()),
        Node::Quantify(_, range, predicate) => all(&[range, predicate]),
        Node::Collect {
            range,
            filter,
            transform,
        } => {
            all(&[range, transform]);
            filter
                .iter()
                .for_each(|f| collect(f, &mut Vec::new(), uses));
        }
    }
}
