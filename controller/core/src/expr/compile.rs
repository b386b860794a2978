//! From the parser's tree to our own: names, functions and patterns are resolved once, here.

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use regex::RegexBuilder;

use crate::expr::error::{ErrorKind, ExpressionError};
use crate::expr::function::{Function, Receiver};
use crate::expr::lex::Tokens;
use crate::expr::macros;
use crate::expr::scope::Reference;
use crate::expr::tree::{Binary, Literal, Node, Quantifier};

/// Comprehensions inside comprehensions: each level multiplies the work.
const COMPREHENSION_DEPTH_MAX: usize = 3;
/// Memory of one compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 256 * 1024;

/// Names that stand for themselves.
pub(super) const ROOTS: &[&str] = &["input", "steps", "vars", "item", "index", "run", "error"];

pub(super) struct Compiler<'t> {
    tokens: &'t Tokens<'t>,
    depth_max: usize,
    depth: usize,
    locals: Vec<String>,
}

/// `steps`, `steps.x` and `vars` are not values; more of the path must follow.
enum Partial<'e> {
    Steps,
    StepOf(&'e str),
    Vars,
}

type Compiled = Result<Node, ExpressionError>;

impl<'t> Compiler<'t> {
    pub(super) fn new(tokens: &'t Tokens<'t>, depth_max: u32) -> Self {
        Self {
            tokens,
            depth_max: depth_max as usize,
            depth: 0,
            locals: Vec::new(),
        }
    }

    pub(super) fn node(&mut self, expr: &IdedExpr) -> Compiled {
        self.depth += 1;
        if self.depth > self.depth_max {
            let message = format!(
                "the expression's tree is deeper than {} (expression_depth_max); split it with a `set` step",
                self.depth_max
            );
            return Err(ExpressionError::new(ErrorKind::Limit, message));
        }
        let node = self.node_inner(expr);
        self.depth -= 1;
        node
    }

    fn boxed(&mut self, expr: &IdedExpr) -> Result<Box<Node>, ExpressionError> {
        self.node(expr).map(Box::new)
    }

    fn node_inner(&mut self, expr: &IdedExpr) -> Compiled {
        match &expr.expr {
            Expr::Literal(literal) => literal_node(literal),
            Expr::Ident(name) => self.ident(name),
            Expr::Select(select) if select.test => self.has(&select.operand, &select.field),
            Expr::Select(select) => self.select(&select.operand, &select.field),
            Expr::List(list) => Ok(Node::List(self.nodes(&list.elements)?)),
            Expr::Map(map) => {
                let mut entries = Vec::with_capacity(map.entries.len());
                for entry in &map.entries {
                    match &entry.expr {
                        EntryExpr::MapEntry(entry) => {
                            entries.push((self.node(&entry.key)?, self.node(&entry.value)?))
                        }
                        EntryExpr::StructField(_) => return Err(unsupported("a structure")),
                    }
                }
                Ok(Node::Map(entries))
            }
            Expr::Struct(of) => Err(self.name_error(
                &[&of.type_name],
                format!(
                    "there is no type `{}`; write a map: {{'key': value}}",
                    of.type_name
                ),
            )),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Call(call) => match &call.target {
                Some(target) => self.member(target, &call.func_name, &call.args),
                None => self.global(&call.func_name, &call.args),
            },
            Expr::Unspecified => Err(unsupported("this construct")),
        }
    }

    fn nodes(&mut self, exprs: &[IdedExpr]) -> Result<Vec<Node>, ExpressionError> {
        exprs.iter().map(|e| self.node(e)).collect()
    }

    fn ident(&mut self, name: &str) -> Compiled {
        if let Some(level) = self.locals.iter().rposition(|local| local == name) {
            return Ok(Node::Local(level));
        }
        match name {
            "input" => Ok(Node::Root(Reference::Input)),
            "item" => Ok(Node::Root(Reference::Item)),
            "index" => Ok(Node::Root(Reference::Index)),
            "run" => Ok(Node::Root(Reference::Run)),
            "error" => Ok(Node::Root(Reference::Error)),
            "steps" => {
                Err(self.name_error(&["steps"], "name the step: `steps.<id>.output`".to_owned()))
            }
            "vars" => {
                Err(self.name_error(&["vars"], "name the variable: `vars.<name>`".to_owned()))
            }
            _ => {
                let known = ROOTS
                    .iter()
                    .copied()
                    .chain(self.locals.iter().map(String::as_str));
                let hint = crate::definition::diagnostic::hint(name, known);
                Err(self.name_error(&[name], format!("`{name}` means nothing here{hint}")))
            }
        }
    }

    fn partial<'e>(&self, expr: &'e IdedExpr) -> Option<Partial<'e>> {
        let (operand, field) = match &expr.expr {
            Expr::Ident(name) if self.locals.contains(name) => return None,
            Expr::Ident(name) if name == "steps" => return Some(Partial::Steps),
            Expr::Ident(name) if name == "vars" => return Some(Partial::Vars),
            Expr::Select(select) if !select.test => (&*select.operand, select.field.as_str()),
            Expr::Call(call) if call.func_name == operators::INDEX && call.args.len() == 2 => {
                (&call.args[0], text_literal(&call.args[1])?)
            }
            _ => return None,
        };
        match self.partial(operand)? {
            Partial::Steps => Some(Partial::StepOf(field)),
            Partial::StepOf(_) | Partial::Vars => None,
        }
    }

    /// The reference that `operand.field` is, if the operand is only the beginning of one.
    fn reference(
        &self,
        operand: &IdedExpr,
        field: &str,
    ) -> Result<Option<Reference>, ExpressionError> {
        match self.partial(operand) {
            None => Ok(None),
            Some(Partial::Vars) => Ok(Some(Reference::Variable(field.to_owned()))),
            Some(Partial::StepOf(id)) if field == "output" => {
                Ok(Some(Reference::Step(id.to_owned())))
            }
            Some(Partial::StepOf(id)) if field == "status" => {
                Ok(Some(Reference::StepStatus(id.to_owned())))
            }
            Some(Partial::StepOf(id)) => {
                let message = format!(
                    "a step has only an output and a status: `{}`, `{}`",
                    Reference::Step(id.to_owned()),
                    Reference::StepStatus(id.to_owned())
                );
                Err(self.name_error(&["steps", id, field], message))
            }
            Some(Partial::Steps) => {
                let message = format!(
                    "a step is not a value; its output is: `{}`",
                    Reference::Step(field.to_owned())
                );
                Err(self.name_error(&["steps", field], message))
            }
        }
    }

    fn select(&mut self, operand: &IdedExpr, field: &str) -> Compiled {
        if let Some(reference) = self.reference(operand, field)? {
            return Ok(Node::Root(reference));
        }
        Ok(Node::Select(self.boxed(operand)?, field.to_owned()))
    }

    fn has(&mut self, operand: &IdedExpr, field: &str) -> Compiled {
        if let Some(reference) = self.reference(operand, field)? {
            return Ok(Node::HasRoot(reference));
        }
        Ok(Node::Has(self.boxed(operand)?, field.to_owned()))
    }

    fn global(&mut self, name: &str, args: &[IdedExpr]) -> Compiled {
        if let Some(operator) = binary(name)
            && let [left, right] = args
        {
            return Ok(Node::Binary(
                operator,
                self.boxed(left)?,
                self.boxed(right)?,
            ));
        }
        match (name, args) {
            (operators::LOGICAL_AND, [left, right]) => {
                Ok(Node::And(self.boxed(left)?, self.boxed(right)?))
            }
            (operators::LOGICAL_OR, [left, right]) => {
                Ok(Node::Or(self.boxed(left)?, self.boxed(right)?))
            }
            (operators::LOGICAL_NOT, [operand]) => Ok(Node::Not(self.boxed(operand)?)),
            (operators::NEGATE, [operand]) => Ok(Node::Negate(self.boxed(operand)?)),
            (operators::CONDITIONAL, [condition, yes, no]) => Ok(Node::Conditional(Box::new([
                self.node(condition)?,
                self.node(yes)?,
                self.node(no)?,
            ]))),
            (operators::INDEX, [operand, index]) => {
                if let Some(field) = text_literal(index)
                    && let Some(reference) = self.reference(operand, field)?
                {
                    return Ok(Node::Root(reference));
                }
                if self.partial(operand).is_some() {
                    let message = "steps and variables are named, not computed: `steps['my-step'].output`, `vars.x`";
                    return Err(self.name_error(&["steps"], message.to_owned()));
                }
                Ok(Node::Index(self.boxed(operand)?, self.boxed(index)?))
            }
            _ => {
                let function = Function::find(name, Receiver::None, args.len())
                    .map_err(|message| self.call_error(name, message))?;
                Ok(Node::Call(function, self.nodes(args)?))
            }
        }
    }

    fn member(&mut self, target: &IdedExpr, name: &str, args: &[IdedExpr]) -> Compiled {
        if name == "matches" {
            let [pattern] = args else {
                return Err(self.call_error(name, "`matches` takes one pattern".to_owned()));
            };
            let Some(pattern) = text_literal(pattern) else {
                let message = "the pattern of `matches` must be written as a text, not computed";
                return Err(self.call_error(name, message.to_owned()));
            };
            let regex = RegexBuilder::new(pattern)
                .size_limit(PATTERN_BYTES_MAX)
                .dfa_size_limit(PATTERN_BYTES_MAX)
                .nest_limit(32)
                .build()
                .map_err(|e| {
                    self.call_error(
                        name,
                        format!("the pattern is not valid: {}", last_line(&e.to_string())),
                    )
                })?;
            return Ok(Node::Matches(self.boxed(target)?, Box::new(regex)));
        }
        let function = Function::find(name, Receiver::Some, args.len())
            .map_err(|message| self.call_error(name, message))?;
        let mut nodes = vec![self.node(target)?];
        nodes.extend(self.nodes(args)?);
        Ok(Node::Call(function, nodes))
    }

    fn comprehension(&mut self, of: &cel::common::ast::ComprehensionExpr) -> Compiled {
        let Some(expansion) = macros::recognise(of) else {
            return Err(unsupported("this comprehension"));
        };
        // The range is outside the variable's scope.
        let range = self.boxed(&of.iter_range)?;
        if self.locals.len() >= COMPREHENSION_DEPTH_MAX {
            let message = format!("comprehensions nest deeper than {COMPREHENSION_DEPTH_MAX}");
            return Err(ExpressionError::new(ErrorKind::Limit, message));
        }
        if ROOTS.contains(&of.iter_var.as_str()) {
            let message = format!(
                "`{}` has a meaning already; choose another variable",
                of.iter_var
            );
            return Err(self.name_error(&[&of.iter_var], message));
        }
        self.locals.push(of.iter_var.clone());
        let node = match expansion {
            macros::Expansion::All(p) => self
                .boxed(p)
                .map(|p| Node::Quantify(Quantifier::All, range, p)),
            macros::Expansion::Exists(p) => self
                .boxed(p)
                .map(|p| Node::Quantify(Quantifier::Exists, range, p)),
            macros::Expansion::ExistsOne(p) => self
                .boxed(p)
                .map(|p| Node::Quantify(Quantifier::ExistsOne, range, p)),
            macros::Expansion::Map { filter, transform } => {
                let filter = filter.map(|f| self.boxed(f)).transpose();
                filter.and_then(|filter| {
                    Ok(Node::Collect {
                        range,
                        filter,
                        transform: self.boxed(transform)?,
                    })
                })
            }
        };
        self.locals.pop();
        node
    }

    fn name_error(&self, path: &[&str], message: String) -> ExpressionError {
        ExpressionError {
            kind: ErrorKind::Name,
            message,
            at: self.tokens.position_of(path),
        }
    }

    fn call_error(&self, name: &str, message: String) -> ExpressionError {
        ExpressionError {
            kind: ErrorKind::Name,
            message,
            at: self.tokens.position_of_call(name),
        }
    }
}

fn unsupported(what: &str) -> ExpressionError {
    ExpressionError::new(ErrorKind::Syntax, format!("{what} is not supported"))
}

fn last_line(text: &str) -> &str {
    text.lines()
        .last()
        .unwrap_or(text)
        .trim_start_matches("error: ")
}

fn text_literal(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn literal_node(literal: &LiteralValue) -> Compiled {
    Ok(Node::Literal(match literal {
        LiteralValue::Null => Literal::Null,
        LiteralValue::Boolean(b) => Literal::Bool(*b.inner()),
        LiteralValue::Int(i) => Literal::Int(*i.inner()),
        LiteralValue::UInt(u) => Literal::Uint(*u.inner()),
        LiteralValue::Double(d) => Literal::Double(*d.inner()),
        LiteralValue::String(text) => Literal::Text(text.inner().to_owned()),
        LiteralValue::Bytes(_) => return Err(unsupported("a bytes literal")),
    }))
}

fn binary(name: &str) -> Option<Binary> {
    Some(match name {
        operators::ADD => Binary::Add,
        operators::SUBSTRACT => Binary::Subtract,
        operators::MULTIPLY => Binary::Multiply,
        operators::DIVIDE => Binary::Divide,
        operators::MODULO => Binary::Remainder,
        operators::EQUALS => Binary::Equal,
        operators::NOT_EQUALS => Binary::NotEqual,
        operators::LESS => Binary::Less,
        operators::LESS_EQUALS => Binary::LessEqual,
        operators::GREATER => Binary::Greater,
        operators::GREATER_EQUALS => Binary::GreaterEqual,
        operators::IN => Binary::In,
        _ => return None,
    })
}
