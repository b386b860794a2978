//! The evaluator: a walk over the compiled tree, metered, without any state but the comprehension variables.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::expr::budget::{Budget, Fault};
use crate::expr::operator;
use crate::expr::scope::{Reference, Scope};
use crate::expr::tree::{Literal, Node, Quantifier};
use crate::expr::value::{Key, List, Map, Text, Val};
use crate::expr::{text, time};

pub(super) struct Evaluation<'a, 's> {
    pub(super) scope: &'s Scope<'a>,
    pub(super) budget: &'s Budget,
    locals: Vec<Val<'a>>,
}

pub(super) type Evaluated<'a> = Result<Val<'a>, Fault>;

impl<'a, 's> Evaluation<'a, 's> {
    pub(super) fn new(scope: &'s Scope<'a>, budget: &'s Budget) -> Self {
        Self {
            scope,
            budget,
            locals: Vec::new(),
        }
    }

    pub(super) fn node(&mut self, node: &'a Node) -> Evaluated<'a> {
        self.budget.step()?;
        match node {
            Node::Literal(literal) => Ok(literal_value(literal)),
            Node::Root(reference) => self.root(reference),
            Node::Local(level) => self
                .locals
                .get(*level)
                .cloned()
                .ok_or_else(|| Fault::data("a comprehension variable is out of scope")),
            Node::Select(operand, field) => {
                let operand = self.node(operand)?;
                select(&operand, field)
            }
            Node::Has(operand, field) => match self.node(operand)? {
                Val::Map(map) => Ok(Val::Bool(map.get_text(field).is_some())),
                // Asking a skipped step's output for a field is a fair question.
                Val::Null => Ok(Val::Bool(false)),
                other => Err(Fault::data(format!(
                    "has(): {} has no field `{field}`",
                    other.kind()
                ))),
            },
            Node::HasRoot(reference) => Ok(Val::Bool(
                self.scope.get(reference).is_some_and(|v| !v.is_null()),
            )),
            Node::Index(operand, index) => {
                let operand = self.node(operand)?;
                let index = self.node(index)?;
                at(&operand, &index)
            }
            Node::List(items) => {
                let items = items
                    .iter()
                    .map(|n| self.node(n))
                    .collect::<Result<Vec<_>, _>>()?;
                Val::list(items, self.budget)
            }
            Node::Map(entries) => self.map(entries),
            Node::Not(operand) => Ok(Val::Bool(!self.truth(operand)?)),
            Node::Negate(operand) => {
                let operand = self.node(operand)?;
                operator::negate(&operand)
            }
            Node::And(left, right) => self.logic(left, right, false),
            Node::Or(left, right) => self.logic(left, right, true),
            Node::Conditional(parts) => {
                let [condition, yes, no] = &**parts;
                if self.truth(condition)? {
                    self.node(yes)
                } else {
                    self.node(no)
                }
            }
            Node::Binary(operator, left, right) => {
                let left = self.node(left)?;
                let right = self.node(right)?;
                operator::binary(*operator, &left, &right, self.budget)
            }
            Node::Call(function, args) => {
                let args = args
                    .iter()
                    .map(|n| self.node(n))
                    .collect::<Result<Vec<_>, _>>()?;
                match time::call(*function, &args) {
                    Some(result) => result,
                    None => text::call(*function, &args, self.budget),
                }
            }
            Node::Matches(operand, regex) => match self.node(operand)? {
                Val::Text(text) => {
                    // A pattern may look at each character once per instruction.
                    self.budget.scan(
                        text.as_str()
                            .len()
                            .saturating_mul(regex.as_str().len().max(1)),
                    )?;
                    Ok(Val::Bool(regex.is_match(text.as_str())))
                }
                other => Err(Fault::data(format!(
                    "matches() is for a text, not {}",
                    other.kind()
                ))),
            },
            Node::Quantify(quantifier, range, predicate) => {
                self.quantify(*quantifier, range, predicate)
            }
            Node::Collect {
                range,
                filter,
                transform,
            } => self.collect(range, filter.as_deref(), transform),
        }
    }

    fn root(&self, reference: &Reference) -> Evaluated<'a> {
        self.scope
            .get(reference)
            .map(Val::json)
            .ok_or_else(|| Fault::data(format!("`{reference}` has no value here")))
    }

    fn truth(&mut self, node: &'a Node) -> Result<bool, Fault> {
        match self.node(node)? {
            Val::Bool(b) => Ok(b),
            other => Err(Fault::data(format!(
                "a condition must be true or false, not {}",
                other.kind()
            ))),
        }
    }

    /// `&&` (decided by false) and `||` (decided by true). As CEL has it, a side that decides absorbs the other's error.
    fn logic(&mut self, left: &'a Node, right: &'a Node, decisive: bool) -> Evaluated<'a> {
        let left = match self.truth(left) {
            Ok(b) if b == decisive => return Ok(Val::Bool(decisive)),
            Err(Fault::Exhausted(message)) => return Err(Fault::Exhausted(message)),
            other => other,
        };
        match (left, self.truth(right)?) {
            (_, right) if right == decisive => Ok(Val::Bool(decisive)),
            (Ok(_), right) => Ok(Val::Bool(right)),
            (Err(fault), _) => Err(fault),
        }
    }

    fn map(&mut self, entries: &'a [(Node, Node)]) -> Evaluated<'a> {
        let mut map = BTreeMap::new();
        for (key, value) in entries {
            let key = self.node(key)?;
            let key = Key::of(&key)?;
            let value = self.node(value)?;
            if let Some(twice) = map.insert(key.clone(), value).map(|_| key) {
                return Err(Fault::data(format!("the map has the key `{twice}` twice")));
            }
        }
        self.budget.bytes(map.len() * size_of::<(Key, Val<'_>)>())?;
        Ok(Val::Map(Map::Made(Rc::new(map))))
    }

    /// The elements of a list, or the keys of a map in order.
    fn range(&mut self, range: &'a Node) -> Result<List<'a>, Fault> {
        match self.node(range)? {
            Val::List(list) => Ok(list),
            Val::Map(map) => {
                let keys: Vec<Val<'a>> = map.keys(self.budget)?.iter().map(Key::value).collect();
                Ok(List::Made(keys.into()))
            }
            other => Err(Fault::data(format!(
                "a list or a map is needed to go through, not {}",
                other.kind()
            ))),
        }
    }

    fn quantify(
        &mut self,
        quantifier: Quantifier,
        range: &'a Node,
        predicate: &'a Node,
    ) -> Evaluated<'a> {
        let range = self.range(range)?;
        let mut fault = None;
        let mut hits = 0_u32;
        for element in range.iter() {
            self.locals.push(element);
            let holds = self.truth(predicate);
            self.locals.pop();
            match (quantifier, holds) {
                (_, Err(Fault::Exhausted(message))) => return Err(Fault::Exhausted(message)),
                (Quantifier::ExistsOne, Err(data)) => return Err(data),
                (Quantifier::All, Ok(false)) => return Ok(Val::Bool(false)),
                (Quantifier::Exists, Ok(true)) => return Ok(Val::Bool(true)),
                (Quantifier::All | Quantifier::Exists, Err(data)) => fault = fault.or(Some(data)),
                (Quantifier::ExistsOne, Ok(true)) => hits = hits.saturating_add(1),
                (Quantifier::All, Ok(true))
                | (Quantifier::Exists | Quantifier::ExistsOne, Ok(false)) => {}
            }
        }
        match (quantifier, fault) {
            (_, Some(fault)) => Err(fault),
            (Quantifier::All, None) => Ok(Val::Bool(true)),
            (Quantifier::Exists, None) => Ok(Val::Bool(false)),
            (Quantifier::ExistsOne, None) => Ok(Val::Bool(hits == 1)),
        }
    }

    fn collect(
        &mut self,
        range: &'a Node,
        filter: Option<&'a Node>,
        transform: &'a Node,
    ) -> Evaluated<'a> {
        let range = self.range(range)?;
        let mut made = Vec::new();
        for element in range.iter() {
            self.locals.push(element);
            let result = match filter.map_or(Ok(true), |filter| self.truth(filter)) {
                Ok(true) => self.node(transform).map(Some),
                Ok(false) => Ok(None),
                Err(fault) => Err(fault),
            };
            self.locals.pop();
            made.extend(result?);
        }
        Val::list(made, self.budget)
    }
}

fn literal_value(literal: &Literal) -> Val<'_> {
    match literal {
        Literal::Null => Val::Null,
        Literal::Bool(b) => Val::Bool(*b),
        Literal::Int(i) => Val::Int(*i),
        Literal::Uint(u) => Val::Uint(*u),
        Literal::Double(d) => Val::Double(*d),
        Literal::Text(text) => Val::Text(Text::Borrowed(text)),
    }
}

fn select<'a>(operand: &Val<'a>, field: &str) -> Evaluated<'a> {
    match operand {
        Val::Map(map) => map
            .get_text(field)
            .ok_or_else(|| Fault::data(format!("there is no `{field}`"))),
        Val::Null => Err(Fault::data(format!("null has no `{field}`"))),
        other => Err(Fault::data(format!("{} has no `{field}`", other.kind()))),
    }
}

fn at<'a>(operand: &Val<'a>, index: &Val<'a>) -> Evaluated<'a> {
    match operand {
        Val::Map(map) => {
            let key = Key::of(index)?;
            map.get(&key)
                .ok_or_else(|| Fault::data(format!("there is no `{key}`")))
        }
        Val::List(list) => match Key::of(index)? {
            Key::Int(i) => usize::try_from(i)
                .ok()
                .and_then(|i| list.get(i))
                .ok_or_else(|| {
                    Fault::data(format!(
                        "there is no element {i}: the list has {}, counted from 0",
                        list.len()
                    ))
                }),
            Key::Bool(_) | Key::Text(_) => Err(Fault::data(format!(
                "a list is indexed by a number, not {}",
                index.kind()
            ))),
        },
        other => Err(Fault::data(format!("{} cannot be indexed", other.kind()))),
    }
}
