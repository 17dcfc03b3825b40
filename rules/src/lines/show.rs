//! Writes an expression as a rule would say it. What is long or cannot be said in
//! one line becomes `…`.

use rhai::{ASTFlags, Dynamic, Expr, FnCallExpr};

use crate::view::to_json;

/// Longest text of one expression, characters.
const CHARS_MAX: usize = 200;

pub(super) fn text(expr: &Expr) -> String {
    let text = whole(expr);
    if text.chars().count() <= CHARS_MAX {
        return text;
    }
    text.chars().take(CHARS_MAX).chain(['…']).collect()
}

fn whole(expr: &Expr) -> String {
    if let Some(value) = expr.get_literal_value(None) {
        return literal(&value);
    }
    match expr {
        Expr::Variable(parts, ..) => parts.1.to_string(),
        Expr::Property(parts, _) => parts.2.to_string(),
        Expr::Dot(sides, flags, _) => {
            let dot = if flags.contains(ASTFlags::NEGATED) { "?." } else { "." };
            format!("{}{dot}{}", inner(&sides.lhs), whole(&sides.rhs))
        }
        // The index of a chain stands before what follows it: `a[0].b` is `a` and `[0].b`.
        Expr::Index(sides, flags, _) => {
            let open = if flags.contains(ASTFlags::NEGATED) { "?[" } else { "[" };
            format!("{}{open}{}]", inner(&sides.lhs), whole(&sides.rhs))
        }
        Expr::And(sides, _) => joined(sides, " && "),
        Expr::Or(sides, _) => joined(sides, " || "),
        Expr::Coalesce(sides, _) => joined(sides, " ?? "),
        Expr::Array(items, _) => format!("[{}]", list(items)),
        Expr::FnCall(call, _) | Expr::MethodCall(call, _) => called(call),
        Expr::InterpolatedString(..) => "`…`".to_owned(),
        _ => "…".to_owned(),
    }
}

fn called(call: &FnCallExpr) -> String {
    match (call.is_operator_call(), call.args.as_slice()) {
        (true, [one]) => format!("{}{}", call.name, inner(one)),
        (true, [left, right]) => format!("{} {} {}", inner(left), call.name, inner(right)),
        // `x in list` is a call that the engine itself writes.
        (false, [list, item]) if call.name == "contains" && call.op_token.is_none() && !is_text(list) => {
            format!("{} in {}", inner(item), inner(list))
        }
        (_, args) => format!("{}({})", call.name, list(args)),
    }
}

/// A part of a larger expression; what binds weaker gets its parentheses back.
fn inner(expr: &Expr) -> String {
    let is_loose = match expr {
        Expr::And(..) | Expr::Or(..) | Expr::Coalesce(..) => true,
        Expr::FnCall(call, _) => call.is_operator_call() && call.args.len() > 1,
        _ => false,
    };
    if is_loose { format!("({})", whole(expr)) } else { whole(expr) }
}

fn is_text(expr: &Expr) -> bool {
    expr.get_literal_value(None).is_some_and(|value| value.is_string())
}

fn joined(sides: &[Expr], word: &str) -> String {
    sides.iter().map(inner).collect::<Vec<_>>().join(word)
}

fn list(items: &[Expr]) -> String {
    items.iter().map(whole).collect::<Vec<_>>().join(", ")
}

fn literal(value: &Dynamic) -> String {
    match to_json(value) {
        Some(serde_json::Value::Null) => "()".to_owned(),
        Some(json) => json.to_string(),
        None => "…".to_owned(),
    }
}
