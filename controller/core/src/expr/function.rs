//! The closed list of functions.

use std::fmt;

/// A function. The receiver of a member call is its first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    String,
    Int,
    Uint,
    Double,
    Bool,
    Dyn,
    Timestamp,
    Duration,
    Contains,
    StartsWith,
    EndsWith,
    LowerAscii,
    UpperAscii,
    Trim,
    Split,
    Join,
    Replace,
    Substring,
    IndexOf,
    Sort,
    Distinct,
    GetFullYear,
    GetMonth,
    GetDate,
    GetDayOfMonth,
    GetDayOfWeek,
    GetDayOfYear,
    GetHours,
    GetMinutes,
    GetSeconds,
}

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `f(x)`.
    Global,
    /// `x.f()`.
    Member,
    /// Both.
    Either,
}

/// (name, function, style, fewest arguments, most arguments), receivers not counted for members.
const TABLE: &[(&str, Function, Style, usize, usize)] = &[
    ("size", Function::Size, Style::Either, 0, 0),
    ("string", Function::String, Style::Global, 0, 0),
    ("int", Function::Int, Style::Global, 0, 0),
    ("uint", Function::Uint, Style::Global, 0, 0),
    ("double", Function::Double, Style::Global, 0, 0),
    ("bool", Function::Bool, Style::Global, 0, 0),
    ("dyn", Function::Dyn, Style::Global, 0, 0),
    ("timestamp", Function::Timestamp, Style::Global, 0, 0),
    ("duration", Function::Duration, Style::Global, 0, 0),
    ("contains", Function::Contains, Style::Member, 1, 1),
    ("startsWith", Function::StartsWith, Style::Member, 1, 1),
    ("endsWith", Function::EndsWith, Style::Member, 1, 1),
    ("lowerAscii", Function::LowerAscii, Style::Member, 0, 0),
    ("upperAscii", Function::UpperAscii, Style::Member, 0, 0),
    ("trim", Function::Trim, Style::Member, 0, 0),
    ("split", Function::Split, Style::Member, 1, 1),
    ("join", Function::Join, Style::Member, 0, 1),
    ("replace", Function::Replace, Style::Member, 2, 2),
    ("substring", Function::Substring, Style::Member, 1, 2),
    ("indexOf", Function::IndexOf, Style::Member, 1, 1),
    ("sort", Function::Sort, Style::Member, 0, 0),
    ("distinct", Function::Distinct, Style::Member, 0, 0),
    ("getFullYear", Function::GetFullYear, Style::Member, 0, 0),
    ("getMonth", Function::GetMonth, Style::Member, 0, 0),
    ("getDate", Function::GetDate, Style::Member, 0, 0),
    (
        "getDayOfMonth",
        Function::GetDayOfMonth,
        Style::Member,
        0,
        0,
    ),
    ("getDayOfWeek", Function::GetDayOfWeek, Style::Member, 0, 0),
    ("getDayOfYear", Function::GetDayOfYear, Style::Member, 0, 0),
    ("getHours", Function::GetHours, Style::Member, 0, 0),
    ("getMinutes", Function::GetMinutes, Style::Member, 0, 0),
    ("getSeconds", Function::GetSeconds, Style::Member, 0, 0),
];

/// Names that the parser itself expands or that [`compile`](super::compile) treats apart.
const MACROS: &[&str] = &[
    "has",
    "all",
    "exists",
    "exists_one",
    "map",
    "filter",
    "matches",
];

impl Function {
    /// Finds a function by how it is called; `args` are those in the brackets.
    pub(super) fn find(name: &str, receiver: Receiver, args: usize) -> Result<Self, String> {
        let Some((_, function, style, fewest, most)) =
            TABLE.iter().find(|(known, ..)| *known == name)
        else {
            return Err(unknown(name));
        };
        match (style, receiver) {
            (Style::Member, Receiver::None) => {
                return Err(format!("`{name}` is called on a value: `x.{name}(…)`"));
            }
            (Style::Global, Receiver::Some) => {
                return Err(format!("`{name}` is called as `{name}(x)`"));
            }
            (Style::Member | Style::Either, Receiver::Some)
            | (Style::Global | Style::Either, Receiver::None) => {}
        }
        // A global call has its operand among the brackets.
        let operand = match receiver {
            Receiver::Some => 0,
            Receiver::None => 1,
        };
        if (fewest + operand..=most + operand).contains(&args) {
            return Ok(*function);
        }
        let wanted = match (fewest + operand, most + operand) {
            (few, many) if few == many => few.to_string(),
            (few, many) => format!("{few} to {many}"),
        };
        Err(format!("`{name}` takes {wanted} arguments, not {args}"))
    }
}

impl fmt::Display for Function {
    /// As it is called.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = TABLE.iter().find(|(_, known, ..)| known == self);
        f.write_str(name.map_or("this function", |(name, ..)| name))
    }
}

/// Is there a value before the dot?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiver {
    Some,
    None,
}

fn unknown(name: &str) -> String {
    let names = TABLE
        .iter()
        .map(|(known, ..)| *known)
        .chain(MACROS.iter().copied());
    if MACROS.contains(&name) {
        return format!("`{name}` is not called like this; see the workflow language guide");
    }
    match crate::definition::diagnostic::nearest(name, names) {
        Some(near) => format!("there is no function `{name}`; did you mean `{near}`?"),
        None => format!("there is no function `{name}`"),
    }
}
