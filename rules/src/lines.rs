//! Repeats one run of a rule and watches it: which lines ran, what every
//! condition read and came to. For people who ask why; production runs on an
//! engine that knows nothing of this. Performs nothing, like every run.

mod probe;
mod show;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use rhai::debugger::DebuggerCommand;
use rhai::{ASTNode, Engine, Expr, Module, Position, Scope, Shared, Stmt};
use serde::Serialize;
use serde_json::Value;

use crate::event::Event;
use crate::facts::Facts;
use crate::intent::Intent;
use crate::problem::Problem;
use crate::sandbox::{self, Stopwatch, place, run};
use crate::script::Script;
use crate::view::Snapshot;

/// Conditions of one run that are looked into at most, repetitions counted; later ones only count as run.
pub const LOOKS_MAX: u32 = 1_000;
/// Of a condition that is met again and again, so many looks are kept.
pub const LOOKS_KEPT_MAX: usize = 5;

/// A run, watched.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LineTrace {
    /// The lines on which something began that ran, from the top.
    pub lines: Vec<Line>,
    /// Every condition that was met and every value that was given a name, from the top.
    pub conditions: Vec<Condition>,
    /// Everything it asked for, with the line.
    pub intents: Vec<(u32, Intent)>,
    /// Why it ended early, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Problem>,
    /// Operations of the script engine.
    pub operations: u64,
    /// There was more to look into than [`LOOKS_MAX`].
    pub is_cut: bool,
}

/// A line that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// From 1.
    pub line: u32,
    /// How many statements began on it.
    pub times: u32,
}

/// A place where the rule decided or named something.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Condition {
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// `if`, `while`, `until`, `switch`, `for`, `let` or `=`.
    pub kind: &'static str,
    /// How often it was met.
    pub times: u32,
    /// What was found there, the first [`LOOKS_KEPT_MAX`] times.
    pub looks: Vec<Read>,
}

/// A part of a rule and what it came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Read {
    /// As a rule would write it.
    pub text: String,
    /// What it came to; none for what has no value of its own, like a whole message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// It was not looked at, because what came before had decided already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_skipped: bool,
    /// Why it has no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What it was made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Read>,
}

/// Runs the rule once more on these facts and watches. Only the limit of operations holds: time does not pass.
pub fn trace(script: &Script, event: &Event, facts: &Facts) -> LineTrace {
    let snapshot = Snapshot::new(event, facts);
    let mut scope = sandbox::scope(&snapshot);
    WATCH.replace(Some(Watch::of(script)));
    let ran = run::execute_on(watching(), script.ast(), &mut scope, &snapshot, &Stopwatch::stopped());
    let watch = WATCH.take().unwrap_or_default();
    let mut conditions: Vec<Condition> = watch.conditions.into_values().collect();
    conditions.sort_by_key(|it| (it.line, it.column));
    LineTrace {
        lines: watch.lines.into_iter().map(|(line, times)| Line { line, times }).collect(),
        conditions,
        intents: ran.intents,
        failure: ran.failure,
        operations: ran.operations,
        is_cut: watch.looks >= LOOKS_MAX,
    }
}

/// The functions that a rule declares.
type Functions = Shared<Module>;

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// What is known of the rule and was seen of its run. Parts of the rule are told apart by where they lie in memory,
/// which does not change while the rule is held.
#[derive(Default)]
struct Watch {
    kinds: HashMap<usize, &'static str>,
    /// Expressions that are statements of their own.
    statements: HashMap<usize, Position>,
    functions: Option<Functions>,
    lines: BTreeMap<u32, u32>,
    conditions: BTreeMap<usize, Condition>,
    looks: u32,
}

impl Watch {
    fn of(script: &Script) -> Self {
        let mut watch = Self { functions: Some(script.ast().shared_lib().clone()), ..Self::default() };
        script.ast().walk(&mut |path: &[ASTNode<'_>]| {
            if let Some(ASTNode::Stmt(statement)) = path.last() {
                watch.learn(statement);
            }
            true
        });
        watch
    }

    fn learn(&mut self, statement: &Stmt) {
        let (kind, expr) = match statement {
            Stmt::If(parts, _) => ("if", &parts.expr),
            // A `loop` has no condition.
            Stmt::While(parts, _) if !matches!(parts.expr, Expr::Unit(_)) => ("while", &parts.expr),
            Stmt::Do(parts, ..) => ("until", &parts.expr),
            Stmt::Switch(parts, _) => ("switch", &parts.0),
            Stmt::For(parts, _) => ("for", &parts.2.expr),
            Stmt::Var(parts, ..) => ("let", &parts.1),
            Stmt::Assignment(parts) => ("=", &parts.1.rhs),
            Stmt::Expr(expr) => {
                self.statements.insert(address(expr), expr.start_position());
                return;
            }
            _ => return,
        };
        self.kinds.insert(address(expr), kind);
    }

    fn count(&mut self, at: Position) {
        if let (line @ 1.., _) = place(at) {
            *self.lines.entry(line).or_default() += 1;
        }
    }

    /// Something is about to happen here. Answers with the functions of the rule if it is to be looked into.
    fn meet(&mut self, node: ASTNode<'_>) -> Option<(usize, Functions)> {
        let expr = match node {
            ASTNode::Stmt(Stmt::Noop(_) | Stmt::Block(_)) => return None,
            ASTNode::Stmt(statement) => {
                self.count(statement.position());
                return None;
            }
            ASTNode::Expr(expr) => expr,
            _ => return None,
        };
        let key = address(expr);
        if let Some(at) = self.statements.get(&key).copied() {
            self.count(at);
        }
        let kind = *self.kinds.get(&key)?;
        let (line, column) = place(expr.start_position());
        let fresh = || Condition { line, column, kind, times: 0, looks: Vec::new() };
        let condition = self.conditions.entry(key).or_insert_with(fresh);
        condition.times += 1;
        if condition.looks.len() >= LOOKS_KEPT_MAX || self.looks >= LOOKS_MAX {
            return None;
        }
        self.looks += 1;
        Some((key, self.functions.clone()?))
    }
}

fn address(expr: &Expr) -> usize {
    std::ptr::from_ref(expr).addr()
}

/// The engine that watches, built when somebody first asks.
#[expect(deprecated, reason = "marked as volatile, not as outdated; tests watch over it")]
fn watching() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
        sandbox::engine_with(|engine| {
            engine.register_debugger(
                |_, debugger| debugger,
                |context, _, node, _, _| {
                    if let ASTNode::Expr(expr) = node {
                        look(node, expr, context.scope());
                    } else {
                        WATCH.with_borrow_mut(|watch| watch.as_mut().and_then(|it| it.meet(node)));
                    }
                    Ok(DebuggerCommand::StepInto)
                },
            );
        })
    });
    &ENGINE
}

/// Looks into a condition beside the run: on a copy of its variables, and without its intents.
fn look(node: ASTNode<'_>, expr: &Expr, scope: &Scope<'_>) {
    let met = WATCH.with_borrow_mut(|watch| watch.as_mut().and_then(|it| it.meet(node)));
    let Some((key, functions)) = met else { return };
    let found = run::aside(|snapshot| probe::Probe { functions, scope, snapshot }.look(expr));
    WATCH.with_borrow_mut(|watch| {
        let condition = watch.as_mut().and_then(|it| it.conditions.get_mut(&key));
        if let (Some(condition), Some(found)) = (condition, found) {
            condition.looks.push(found);
        }
    });
}

#[cfg(test)]
mod tests;
