//! Walking a definition: every step with its place, every expression with its place.
//!
//! A place is the path that an author would follow in the source: `steps[2].parallel[0].with.email`.

use crate::definition::model::{Definition, Expr, Step, StepKind, Template, TextPart};

/// Something in a step that is evaluated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Site<'d> {
    /// A value with expressions in it.
    Template(&'d Template),
    /// A lone expression.
    Expr(&'d Expr),
}

/// The lists of steps inside a step, with the key and index that lead to each.
pub(crate) fn blocks(step: &Step) -> Vec<(String, &[Step])> {
    match &step.kind {
        StepKind::Parallel { steps } => vec![("parallel".to_owned(), steps)],
        StepKind::Foreach(foreach) => vec![("do".to_owned(), &foreach.steps)],
        StepKind::Switch { cases, default } => {
            let mut blocks: Vec<(String, &[Step])> = Vec::new();
            for (i, case) in cases.iter().enumerate() {
                blocks.push((format!("switch[{i}].do"), &case.steps));
            }
            blocks.push((format!("switch[{}].default", cases.len()), default));
            blocks
        }
        StepKind::Try {
            steps,
            catch,
            finally,
        } => {
            vec![
                ("try".to_owned(), steps),
                ("catch".to_owned(), catch),
                ("finally".to_owned(), finally),
            ]
        }
        StepKind::Call { .. }
        | StepKind::Review(_)
        | StepKind::Sleep { .. }
        | StepKind::Until { .. }
        | StepKind::Wait { .. }
        | StepKind::Run { .. }
        | StepKind::Checkpoint { .. }
        | StepKind::Set { .. }
        | StepKind::Return { .. }
        | StepKind::Fail { .. } => Vec::new(),
    }
}

/// What a step itself evaluates, without the steps inside it, with the key that leads there.
pub(crate) fn sites(step: &Step) -> Vec<(String, Site<'_>)> {
    let mut sites = Vec::new();
    if let Some(when) = &step.when {
        sites.push(("when".to_owned(), Site::Expr(when)));
    }
    match &step.kind {
        StepKind::Call { with, .. } | StepKind::Run { with, .. } => {
            sites.push(("with".to_owned(), Site::Template(with)));
        }
        StepKind::Review(review) => {
            sites.push(("review.title".to_owned(), Site::Template(&review.title)));
            sites.push(("review.show".to_owned(), Site::Template(&review.show)));
        }
        StepKind::Sleep { span } => sites.push(("sleep".to_owned(), Site::Template(span))),
        StepKind::Until { at } => sites.push(("until".to_owned(), Site::Template(at))),
        StepKind::Foreach(foreach) => {
            sites.push(("foreach".to_owned(), Site::Expr(&foreach.items)));
            if let Some(output) = &foreach.output {
                sites.push(("output".to_owned(), Site::Template(output)));
            }
        }
        StepKind::Switch { cases, .. } => {
            for (i, case) in cases.iter().enumerate() {
                sites.push((format!("switch[{i}].when"), Site::Expr(&case.when)));
            }
        }
        StepKind::Set { vars } => {
            for (name, value) in vars {
                sites.push((format!("set.{name}"), Site::Template(value)));
            }
        }
        StepKind::Return { value } => sites.push(("return".to_owned(), Site::Template(value))),
        StepKind::Fail { message, .. } => {
            sites.push(("fail.message".to_owned(), Site::Template(message)))
        }
        StepKind::Wait { .. }
        | StepKind::Parallel { .. }
        | StepKind::Try { .. }
        | StepKind::Checkpoint { .. } => {}
    }
    sites
}

/// Every expression of a site with its place; `nth` counts the expressions of one text.
pub(crate) fn expressions_of<'d>(site: Site<'d>, path: &str, found: &mut Vec<Found<'d>>) {
    match site {
        Site::Expr(expr) | Site::Template(Template::Expr(expr)) => {
            found.push(Found {
                path: path.to_owned(),
                nth: 0,
                expr,
            });
        }
        Site::Template(Template::Literal(_)) => {}
        Site::Template(Template::Text(parts)) => {
            let exprs = parts.iter().filter_map(|part| match part {
                TextPart::Text(_) => None,
                TextPart::Expr(expr) => Some(expr),
            });
            found.extend(exprs.enumerate().map(|(nth, expr)| Found {
                path: path.to_owned(),
                nth,
                expr,
            }));
        }
        Site::Template(Template::List(items)) => {
            for (i, item) in items.iter().enumerate() {
                expressions_of(Site::Template(item), &format!("{path}[{i}]"), found);
            }
        }
        Site::Template(Template::Object(entries)) => {
            for (name, entry) in entries {
                expressions_of(Site::Template(entry), &format!("{path}.{name}"), found);
            }
        }
    }
}

/// An expression and its place.
#[derive(Debug)]
pub(crate) struct Found<'d> {
    /// The text that it stands in.
    pub(crate) path: String,
    /// Its number in that text, from 0.
    pub(crate) nth: usize,
    /// Itself.
    pub(crate) expr: &'d Expr,
}

/// Every expression of a definition.
pub(crate) fn expressions(definition: &Definition) -> Vec<&Expr> {
    let mut found = Vec::new();
    let mut open: Vec<&[Step]> = vec![&definition.steps];
    while let Some(steps) = open.pop() {
        for step in steps {
            for (key, site) in sites(step) {
                expressions_of(site, &key, &mut found);
            }
            open.extend(blocks(step).into_iter().map(|(_, steps)| steps));
        }
    }
    if let Some(output) = &definition.output {
        expressions_of(Site::Template(output), "output", &mut found);
    }
    found.into_iter().map(|f| f.expr).collect()
}
