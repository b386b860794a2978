//! Filters of listings: CEL read as conditions on indexed columns, never evaluated. What an index cannot answer is
//! refused, so a filter never becomes a scan.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};

use crate::expr::error::{ErrorKind, ExpressionError};
use crate::expr::expression::read;
use crate::ids::RunId;
use crate::limits::Limits;
use crate::store::RunStatus;
use crate::time::Timestamp;

/// What a filter of runs asks for; every part narrows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunConditions {
    /// `workflow == "…"`.
    pub workflow: Option<String>,
    /// `status == "…"` or `status in ["…", …]`; any when empty.
    pub statuses: Vec<RunStatus>,
    /// `parent_run_id == "…"`.
    pub parent: Option<RunId>,
    /// `started_at >= timestamp("…")`.
    pub since: Option<Timestamp>,
    /// `health == "stalled"`.
    pub health: Option<Health>,
}

/// How a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// A step of it waits for a worker that does not exist.
    Stalled,
}

const HELP: &str = "a filter joins with `&&`: workflow == \"…\", status == \"running\" (or status in [\"failed\", …]), \
                    parent_run_id == \"run_…\", started_at >= timestamp(\"…\"), health == \"stalled\"";

impl RunConditions {
    /// Reads a filter; the empty text asks for everything.
    ///
    /// # Errors
    /// Not CEL, longer than `expression_bytes_max`, or asking what is not indexed.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, ExpressionError> {
        let mut conditions = Self::default();
        if !text.trim().is_empty() {
            conditions.add(&read(text, limits)?)?;
        }
        Ok(conditions)
    }

    fn add(&mut self, expr: &IdedExpr) -> Result<(), ExpressionError> {
        let Expr::Call(call) = &expr.expr else {
            return Err(refused(HELP));
        };
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND, [left, right]) => {
                self.add(left)?;
                self.add(right)
            }
            (operators::EQUALS, [left, right]) => self.equals(field(left)?, text(right)?),
            (operators::IN, [left, right]) => self.one_of(field(left)?, right),
            (operators::GREATER_EQUALS, [left, right]) => self.at_least(field(left)?, right),
            _ => Err(refused(HELP)),
        }
    }

    fn equals(&mut self, field: &str, value: &str) -> Result<(), ExpressionError> {
        match field {
            "workflow" => once(&mut self.workflow, value.to_owned(), field),
            "status" if self.statuses.is_empty() => {
                self.statuses.push(status(value)?);
                Ok(())
            }
            "status" => Err(refused(
                "`status` is given twice; write status in [\"…\", \"…\"]",
            )),
            "parent_run_id" => {
                let parent = value
                    .parse()
                    .map_err(|e: crate::ids::InvalidId| refused(&e.to_string()))?;
                once(&mut self.parent, parent, field)
            }
            "health" => once(&mut self.health, health(value)?, field),
            other => Err(not_indexed(other)),
        }
    }

    fn one_of(&mut self, field: &str, list: &IdedExpr) -> Result<(), ExpressionError> {
        match (field, &list.expr) {
            ("status", Expr::List(list)) if self.statuses.is_empty() => {
                self.statuses = list
                    .elements
                    .iter()
                    .map(|e| status(text(e)?))
                    .collect::<Result<_, _>>()?;
                Ok(())
            }
            ("status", _) => Err(refused(HELP)),
            (other, _) => Err(not_indexed(other)),
        }
    }

    fn at_least(&mut self, field: &str, value: &IdedExpr) -> Result<(), ExpressionError> {
        let instant = match &value.expr {
            Expr::Call(CallExpr {
                func_name, args, ..
            }) if func_name == "timestamp" && args.len() == 1 => &args[0],
            _ => value,
        };
        let at: jiff::Timestamp = text(instant)?
            .parse()
            .map_err(|e: jiff::Error| refused(&format!("not an RFC 3339 instant: {e}")))?;
        match field {
            "started_at" => once(&mut self.since, Timestamp(at.as_microsecond()), field),
            other => Err(not_indexed(other)),
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T, field: &str) -> Result<(), ExpressionError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(refused(&format!("`{field}` is given twice"))),
    }
}

fn field(expr: &IdedExpr) -> Result<&str, ExpressionError> {
    match &expr.expr {
        Expr::Ident(name) => Ok(name),
        Expr::Select(select) => match &select.operand.expr {
            Expr::Ident(name) => Err(not_indexed(&format!("{name}.{}", select.field))),
            _ => Err(refused(HELP)),
        },
        _ => Err(refused(HELP)),
    }
}

fn text(expr: &IdedExpr) -> Result<&str, ExpressionError> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Ok(text.inner()),
        _ => Err(refused(HELP)),
    }
}

fn status(text: &str) -> Result<RunStatus, ExpressionError> {
    match text.to_ascii_lowercase().as_str() {
        "running" => Ok(RunStatus::Running),
        "cancelling" => Ok(RunStatus::Cancelling),
        "completed" => Ok(RunStatus::Completed),
        "failed" => Ok(RunStatus::Failed),
        "cancelled" => Ok(RunStatus::Cancelled),
        other => Err(refused(&format!(
            "`{other}` is not a status; there are running, cancelling, completed, failed, cancelled"
        ))),
    }
}

fn health(text: &str) -> Result<Health, ExpressionError> {
    match text.to_ascii_lowercase().as_str() {
        "stalled" => Ok(Health::Stalled),
        other => Err(refused(&format!(
            "`{other}` cannot be asked for; runs are found by health == \"stalled\""
        ))),
    }
}

fn not_indexed(field: &str) -> ExpressionError {
    refused(&format!("`{field}` is not indexed; {HELP}"))
}

fn refused(message: &str) -> ExpressionError {
    ExpressionError::new(ErrorKind::Name, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RunConditions, String> {
        RunConditions::parse(text, &Limits::default()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_filter_becomes_conditions() {
        let filter = "workflow == 'onboarding' && (status in ['failed', 'running']) && started_at >= timestamp('2026-11-22T00:00:00Z')";
        let conditions = parse(filter).expect("a filter");
        assert_eq!(conditions.workflow.as_deref(), Some("onboarding"));
        assert_eq!(conditions.statuses, [RunStatus::Failed, RunStatus::Running]);
        assert_eq!(conditions.since, Some(Timestamp(1_795_305_600_000_000)));
        assert_eq!(parse(""), Ok(RunConditions::default()));
        let stalled = parse("health == 'stalled' && workflow == 'onboarding'");
        assert_eq!(stalled.expect("a filter").health, Some(Health::Stalled));
    }

    #[test]
    fn what_is_not_indexed_is_refused_by_name() {
        assert!(
            parse("input.email == 'a@b.c'")
                .expect_err("refused")
                .contains("`input.email` is not indexed")
        );
        assert!(
            parse("status == 'bored'")
                .expect_err("refused")
                .contains("not a status")
        );
        assert!(
            parse("health == 'ok'")
                .expect_err("refused")
                .contains("health == \"stalled\"")
        );
        assert!(parse("workflow == 'a' || workflow == 'b'").is_err());
        assert!(
            parse("workflow == 'a' && workflow == 'b'")
                .expect_err("refused")
                .contains("twice")
        );
    }
}
