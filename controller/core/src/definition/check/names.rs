//! Expressions: do they parse, and does everything they read exist where they read it?

use crate::definition::check::Checker;
use crate::definition::check::order::Here;
use crate::definition::diagnostic::{Code, hint};
use crate::definition::walk::{self, Found, Site};
use crate::expr::{ErrorKind, Expression, Reference, Use};

/// What `run` has.
const RUN_FIELDS: &[&str] = &["id", "root", "workflow", "started_at"];
/// What `error` has.
const ERROR_FIELDS: &[&str] = &["code", "message", "class", "step"];

impl<'d> Checker<'d> {
    pub(super) fn site(&mut self, site: Site<'d>, path: &str, here: &Here<'d>) {
        let mut found = Vec::new();
        walk::expressions_of(site, path, &mut found);
        for found in found {
            if self.is_full() {
                return;
            }
            self.expression(&found, here);
        }
    }

    fn expression(&mut self, found: &Found<'d>, here: &Here<'d>) {
        match Expression::parse(&found.expr.0, self.context.limits) {
            Err(error) => {
                let code = match error.kind {
                    ErrorKind::Name => Code::UnknownName,
                    ErrorKind::Limit => Code::TooLarge,
                    ErrorKind::Syntax | ErrorKind::Evaluation => Code::Expression,
                };
                let place = self
                    .source
                    .locate_in_expression(&found.path, found.nth, error.at);
                self.collect(place.diagnostic(code, &found.path, error.message));
            }
            Ok(expression) => {
                for used in expression.uses() {
                    if let Err((code, message)) = self.used(used, &found.expr.0, here) {
                        let place =
                            self.source
                                .locate_in_expression(&found.path, found.nth, used.at);
                        self.collect(place.diagnostic(code, &found.path, message));
                    }
                }
            }
        }
    }

    fn used(&self, used: &Use, text: &str, here: &Here<'d>) -> Result<(), (Code, String)> {
        let unknown = |message: String| Err((Code::UnknownName, message));
        match &used.reference {
            Reference::Input => self.input_field(&used.fields),
            Reference::Step(id) | Reference::StepStatus(id) => self.step_output(id, text, here),
            Reference::Variable(name) if self.variables.contains(name.as_str()) => Ok(()),
            Reference::Variable(name) => {
                let hint = hint(name, self.variables.iter().copied());
                unknown(format!("no `set` step gives `vars.{name}` a value{hint}"))
            }
            Reference::Item | Reference::Index if here.item => Ok(()),
            Reference::Item | Reference::Index => unknown(format!(
                "`{}` exists only inside the `do` of a `foreach`",
                used.reference
            )),
            Reference::Error if !here.error => {
                unknown("`error` exists only inside a `catch`".to_owned())
            }
            Reference::Error => field_of("error", ERROR_FIELDS, &used.fields),
            Reference::Run => field_of("run", RUN_FIELDS, &used.fields),
        }
    }

    fn step_output(&self, id: &str, text: &str, here: &Here<'d>) -> Result<(), (Code, String)> {
        if here.closed.contains(id) {
            return Ok(());
        }
        let Some(known) = self.steps.get(id) else {
            return Err((
                Code::UnknownStep,
                format!("there is no step `{id}`{}", self.step_hint(id, text)),
            ));
        };
        let inside = known.around.iter().rev().find(|(_, foreach)| *foreach);
        let reason = match inside {
            Some((foreach, _)) if here.closed.contains(foreach) => format!(
                "it runs once per item; the outputs of all items are in `{}`",
                Reference::Step((*foreach).to_owned())
            ),
            Some(_) | None => "it cannot have closed when this is evaluated: only steps before it in the same block, \
                               steps before the blocks around it, and what it `needs` can"
                .to_owned(),
        };
        Err((
            Code::StepNotReady,
            format!("`{id}` has no output here; {reason}"),
        ))
    }

    fn step_hint(&self, id: &str, text: &str) -> String {
        // `steps.my-step.output` is `steps.my` minus something.
        let dashed = self.steps.keys().find(|known| {
            known
                .strip_prefix(id)
                .is_some_and(|rest| rest.starts_with('-'))
                && text.contains(&format!("steps.{known}"))
        });
        match dashed {
            Some(known) => {
                let written = Reference::Step((*known).to_owned());
                format!("; an id with `-` is written in brackets: `{written}`")
            }
            None => hint(id, self.steps.keys().copied()),
        }
    }
}

fn field_of(name: &str, known: &[&'static str], fields: &[String]) -> Result<(), (Code, String)> {
    match fields.first() {
        Some(field) if !known.contains(&field.as_str()) => {
            let hint = hint(field, known.iter().copied());
            Err((
                Code::UnknownName,
                format!(
                    "`{name}` has no `{field}`, only `{}`{hint}",
                    known.join("`, `")
                ),
            ))
        }
        Some(_) | None => Ok(()),
    }
}
