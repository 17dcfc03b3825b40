//! What an expression names: facts, their fields, and the answers of look-ups.

use rhai::Expr;

use crate::sandbox::names;
use crate::view::{FACTS, Fact, Shape};
use crate::vocabulary::{AnswerField, Word, word};

/// Is it a plain name that no variable of the rule hides?
pub(super) fn is_variable(expr: &Expr) -> bool {
    matches!(expr, Expr::Variable(parts, None, _) if parts.0.is_none())
}

/// The fact that an expression names.
pub(super) fn fact(expr: &Expr) -> Option<&'static Fact> {
    match expr {
        Expr::Variable(parts, ..) if is_variable(expr) => {
            FACTS.iter().find(|f| f.name == parts.1.as_str()).copied()
        }
        _ => None,
    }
}

/// The language's own name at the root of an expression.
pub(super) fn root(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) => root(&parts.lhs),
        Expr::Variable(parts, ..) if is_variable(expr) => names().find(|name| *name == parts.1.as_str()),
        _ => None,
    }
}

/// The links of a chain of dots, from left to right.
pub(crate) fn chain_of(expr: &Expr) -> Vec<&Expr> {
    let mut links = Vec::new();
    flatten(expr, &mut links);
    links
}

fn flatten<'a>(expr: &'a Expr, links: &mut Vec<&'a Expr>) {
    match expr {
        Expr::Dot(parts, ..) => {
            flatten(&parts.lhs, links);
            flatten(&parts.rhs, links);
        }
        other => links.push(other),
    }
}

/// The fields of what a look-up answers: `calendar("Office").is_open`.
pub(super) fn fields_of_call(expr: &Expr) -> Option<(&'static Word, &'static [AnswerField])> {
    let Expr::FnCall(call, _) = expr else { return None };
    word(&call.name).filter(|w| !w.fields().is_empty()).map(|w| (w, w.fields()))
}

/// The shape of a fact's field, when the expression is nothing but that.
pub(super) fn shape_of(expr: &Expr) -> Option<Shape> {
    let links = chain_of(expr);
    let (first, rest) = links.split_first()?;
    if let Expr::Variable(parts, ..) = first
        && is_variable(first)
        && parts.1 == "now"
        && rest.is_empty()
    {
        return Some(Shape::Moment);
    }
    rest.iter().try_fold(Shape::Fields(fact(first)?), |shape, link| match (shape, link) {
        (Shape::Fields(fact), Expr::Property(parts, _)) => fact.field(&parts.2).map(|f| f.shape),
        _ => None,
    })
}
