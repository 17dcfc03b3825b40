//! What an expression and its parts come to, worked out beside the run.

use std::sync::Arc;

use rhai::{AST, BinaryExpr, Dynamic, Expr, FnCallExpr, Scope, Stmt};
use serde_json::Value;

use super::{Functions, Read, show};
use crate::sandbox::{Stopwatch, run};
use crate::view::{Snapshot, to_json};

/// Texts in a trace are cut after so many characters.
const TEXT_CHARS_MAX: usize = 500;
/// Parts within parts, so deep.
const DEPTH_MAX: usize = 8;

/// Where a run stands.
pub(super) struct Probe<'a> {
    pub(super) functions: Functions,
    pub(super) scope: &'a Scope<'a>,
    pub(super) snapshot: &'a Arc<Snapshot>,
}

impl Probe<'_> {
    pub(super) fn look(&self, expr: &Expr) -> Read {
        self.part(expr, DEPTH_MAX).0
    }

    /// The part and its raw value.
    fn part(&self, expr: &Expr, depth: usize) -> (Read, Dynamic) {
        let parts = match expr {
            _ if depth == 0 => Vec::new(),
            Expr::And(sides, _) => return self.until(expr, sides, false, depth),
            Expr::Or(sides, _) => return self.until(expr, sides, true, depth),
            Expr::FnCall(call, _) => self.arguments(call, depth),
            Expr::Dot(..) => self.subject(expr, depth),
            Expr::Coalesce(sides, _) => {
                sides.first().map(|side| self.part(side, depth - 1).0).into_iter().collect()
            }
            _ => Vec::new(),
        };
        let (value, problem) = self.value(expr);
        let shown = shown(&value);
        let problem = problem.map(|it| it.message);
        (Read { text: show::text(expr), value: shown, is_skipped: false, problem, parts }, value)
    }

    /// `&&` and `||`: the sides up to the one that decides.
    fn until(&self, whole: &Expr, sides: &[Expr], decides: bool, depth: usize) -> (Read, Dynamic) {
        let (mut parts, mut value, mut is_decided) = (Vec::new(), Dynamic::from(!decides), false);
        for side in sides {
            if is_decided {
                let text = show::text(side);
                parts.push(Read { text, value: None, is_skipped: true, problem: None, parts: Vec::new() });
                continue;
            }
            let (part, came) = self.part(side, depth - 1);
            // A failure ends the rule here, too.
            is_decided = part.problem.is_some() || came.as_bool().is_ok_and(|it| it == decides);
            if is_decided {
                value = came;
            }
            parts.push(part);
        }
        let read =
            Read { text: show::text(whole), value: shown(&value), is_skipped: false, problem: None, parts };
        (read, value)
    }

    fn arguments(&self, call: &FnCallExpr, depth: usize) -> Vec<Read> {
        call.args.iter().filter(|arg| !arg.is_constant()).map(|arg| self.part(arg, depth - 1).0).collect()
    }

    /// What stands before the last dot if a method follows, and the method's arguments.
    fn subject(&self, expr: &Expr, depth: usize) -> Vec<Read> {
        let Some((subject, call)) = split(expr) else { return Vec::new() };
        let mut parts = Vec::new();
        if !subject.is_constant() {
            parts.push(self.part(&subject, depth - 1).0);
        }
        parts.extend(self.arguments(call, depth));
        parts
    }

    fn value(&self, expr: &Expr) -> (Dynamic, Option<crate::problem::Problem>) {
        let ast = AST::new([Stmt::Expr(Box::new(expr.clone()))], self.functions.clone());
        let mut scope = self.scope.clone();
        let ran = run::execute(&ast, &mut scope, self.snapshot, &Stopwatch::stopped());
        (ran.value, ran.failure)
    }
}

/// `a.b.c(d)` as `a.b` and `c(d)`; `None` when it does not end in a call.
fn split(expr: &Expr) -> Option<(Expr, &FnCallExpr)> {
    let Expr::Dot(sides, flags, at) = expr else { return None };
    match &sides.rhs {
        Expr::MethodCall(call, _) => Some((sides.lhs.clone(), call)),
        nested @ Expr::Dot(..) => {
            let (rhs, call) = split(nested)?;
            let sides = BinaryExpr { lhs: sides.lhs.clone(), rhs };
            Some((Expr::Dot(Box::new(sides), *flags, *at), call))
        }
        _ => None,
    }
}

fn shown(value: &Dynamic) -> Option<Value> {
    to_json(value).map(cut)
}

fn cut(value: Value) -> Value {
    match value {
        Value::String(text) if text.chars().count() > TEXT_CHARS_MAX => {
            Value::String(text.chars().take(TEXT_CHARS_MAX).chain(['…']).collect())
        }
        Value::Array(items) => items.into_iter().map(cut).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, cut(value))).collect(),
        other => other,
    }
}
