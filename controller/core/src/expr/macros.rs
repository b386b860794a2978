//! The parser expands `all`, `exists`, `exists_one`, `map` and `filter` into one general loop with an accumulator.
//! That loop would append to a list by copying it. Here the five shapes are recognised again, so that the evaluator
//! can run each of them directly.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};

/// What a comprehension was written as.
pub(super) enum Expansion<'e> {
    All(&'e IdedExpr),
    Exists(&'e IdedExpr),
    ExistsOne(&'e IdedExpr),
    /// `filter(x, p)` is `map(x, p, x)`.
    Map {
        filter: Option<&'e IdedExpr>,
        transform: &'e IdedExpr,
    },
}

/// Undoes the parser's expansion; nothing if it is none of the five.
pub(super) fn recognise(of: &ComprehensionExpr) -> Option<Expansion<'_>> {
    if of.iter_var2.is_some() {
        return None;
    }
    let Expr::Call(step) = &of.loop_step.expr else {
        return None;
    };
    match &of.accu_init.expr {
        // accu && p
        Expr::Literal(LiteralValue::Boolean(all)) if *all.inner() => {
            operands(step, operators::LOGICAL_AND).map(|[_, p]| Expansion::All(p))
        }
        // accu || p
        Expr::Literal(LiteralValue::Boolean(_)) => {
            operands(step, operators::LOGICAL_OR).map(|[_, p]| Expansion::Exists(p))
        }
        // p ? accu + 1 : accu
        Expr::Literal(LiteralValue::Int(_)) => {
            operands(step, operators::CONDITIONAL).map(|[p, _, _]| Expansion::ExistsOne(p))
        }
        // accu + [t], or p ? accu + [t] : accu
        Expr::List(_) => match operands(step, operators::CONDITIONAL) {
            Some([p, append, _]) => appended(append).map(|transform| Expansion::Map {
                filter: Some(p),
                transform,
            }),
            None => appended(&of.loop_step).map(|transform| Expansion::Map {
                filter: None,
                transform,
            }),
        },
        _ => None,
    }
}

fn operands<'e, const N: usize>(call: &'e CallExpr, operator: &str) -> Option<&'e [IdedExpr; N]> {
    (call.func_name == operator && call.target.is_none())
        .then(|| call.args.as_array())
        .flatten()
}

fn appended(expr: &IdedExpr) -> Option<&IdedExpr> {
    let Expr::Call(call) = &expr.expr else {
        return None;
    };
    let [_, list] = operands(call, operators::ADD)?;
    match &list.expr {
        Expr::List(list) => list.elements.first(),
        _ => None,
    }
}
