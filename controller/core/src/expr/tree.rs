//! The compiled tree: every name resolved, every function known, every pattern compiled.

use regex::Regex;

use crate::expr::function::Function;
use crate::expr::scope::Reference;

#[derive(Debug)]
pub(super) enum Node {
    Literal(Literal),
    /// A value of the scope.
    Root(Reference),
    /// The variable of the comprehension at this level, counted from the outside.
    Local(usize),
    Select(Box<Node>, String),
    /// `has(x.y)`.
    Has(Box<Node>, String),
    /// `has(steps.x.output)`, `has(vars.x)`: there and not null.
    HasRoot(Reference),
    Index(Box<Node>, Box<Node>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Conditional(Box<[Node; 3]>),
    Binary(Binary, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
    /// `text.matches('pattern')`.
    Matches(Box<Node>, Box<Regex>),
    /// `range.all(x, p)` and its kin; the variable is the next [`Node::Local`].
    Quantify(Quantifier, Box<Node>, Box<Node>),
    /// `range.map(x, t)`, `range.map(x, p, t)`, `range.filter(x, p)`.
    Collect {
        range: Box<Node>,
        filter: Option<Box<Node>>,
        transform: Box<Node>,
    },
}

#[derive(Debug)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    All,
    Exists,
    ExistsOne,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
}
