//! The expressions of one definition, parsed once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::definition::model::{Definition, Expr, Template, TextPart};
use crate::definition::walk;
use crate::expr::budget::{Budget, Fault};
use crate::expr::error::{ErrorKind, ExpressionError};
use crate::expr::expression::Expression;
use crate::expr::scope::{Reference, Scope};
use crate::expr::template;
use crate::limits::Limits;

/// Parsed expressions by their text. Immutable once built; a plan holds one.
#[derive(Debug, Clone)]
pub struct Expressions {
    parsed: BTreeMap<Expr, Expression>,
    limits: Limits,
}

impl Expressions {
    /// None yet.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            parsed: BTreeMap::new(),
            limits: *limits,
        }
    }

    /// All that a definition contains.
    ///
    /// # Errors
    /// The first expression that does not parse. A stored definition has been checked, so this means that the limits
    /// were lowered or the language changed since.
    pub fn of(definition: &Definition, limits: &Limits) -> Result<Self, ExpressionError> {
        let mut all = Self::new(limits);
        for expr in walk::expressions(definition) {
            all.add(expr)?;
        }
        Ok(all)
    }

    /// Parses one more.
    ///
    /// # Errors
    /// As [`Expression::parse`].
    pub fn add(&mut self, expr: &Expr) -> Result<&Expression, ExpressionError> {
        if !self.parsed.contains_key(expr) {
            let parsed = Expression::parse(&expr.0, &self.limits)?;
            self.parsed.insert(expr.clone(), parsed);
        }
        self.get(expr)
    }

    /// One of them.
    ///
    /// # Errors
    /// It is not one of them: a fault of the caller's.
    pub fn get(&self, expr: &Expr) -> Result<&Expression, ExpressionError> {
        self.parsed.get(expr).ok_or_else(|| {
            ExpressionError::new(
                ErrorKind::Name,
                format!("`{}` is not an expression of this definition", expr.0),
            )
        })
    }

    /// What an expression needs in its scope.
    #[must_use]
    pub fn references(&self, expr: &Expr) -> BTreeSet<Reference> {
        self.get(expr)
            .map(|e| e.references().clone())
            .unwrap_or_default()
    }

    /// What a template needs in its scope.
    #[must_use]
    pub fn template_references(&self, template: &Template) -> BTreeSet<Reference> {
        template::expressions(template)
            .into_iter()
            .flat_map(|e| self.references(e))
            .collect()
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// As [`evaluate`](crate::expr::evaluate).
    pub fn evaluate(&self, expr: &Expr, scope: &Scope<'_>) -> Result<Value, ExpressionError> {
        self.get(expr)?
            .evaluate_to_json(scope, &Budget::new(&self.limits))
    }

    /// The truth of a condition.
    ///
    /// # Errors
    /// As [`evaluate`](crate::expr::evaluate), and when the value is not a bool.
    pub fn condition(&self, expr: &Expr, scope: &Scope<'_>) -> Result<bool, ExpressionError> {
        match self.evaluate(expr, scope)? {
            Value::Bool(b) => Ok(b),
            Value::Null
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => {
                let message = format!("a condition must be true or false; `{}` is neither", expr.0);
                Err(ExpressionError::new(ErrorKind::Evaluation, message))
            }
        }
    }

    /// The value of a template, all its expressions on one budget.
    ///
    /// # Errors
    /// As [`evaluate`](crate::expr::evaluate).
    pub fn render(&self, template: &Template, scope: &Scope<'_>) -> Result<Value, ExpressionError> {
        self.render_within(template, scope, &Budget::new(&self.limits))
    }

    fn render_within(
        &self,
        template: &Template,
        scope: &Scope<'_>,
        budget: &Budget,
    ) -> Result<Value, ExpressionError> {
        Ok(match template {
            Template::Literal(value) => value.clone(),
            Template::Expr(expr) => self.get(expr)?.evaluate_to_json(scope, budget)?,
            Template::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        TextPart::Text(plain) => text.push_str(plain),
                        TextPart::Expr(expr) => {
                            text.push_str(&self.get(expr)?.evaluate_to_text(scope, budget)?)
                        }
                    }
                }
                budget.bytes(text.len()).map_err(Fault::into_error)?;
                Value::String(text)
            }
            Template::List(items) => {
                let items = items
                    .iter()
                    .map(|item| self.render_within(item, scope, budget));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Template::Object(entries) => {
                let entries = entries.iter().map(|(name, entry)| {
                    Ok((name.clone(), self.render_within(entry, scope, budget)?))
                });
                Value::Object(entries.collect::<Result<_, ExpressionError>>()?)
            }
        })
    }
}
