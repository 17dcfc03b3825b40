//! The check pass: walks a compiled rule without running it and finds unknown
//! functions and fields, wrong types, comparisons that can never be true, code
//! that can never run and writes to what is read-only. Collects what the rule
//! may ask for, and the names and templates that need the directory.

pub(super) mod chain;
mod flow;
mod types;

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Dynamic, Expr, FnCallExpr, Position, Stmt};

use super::functions::Functions;
use super::{NameRef, TemplateRef};
use crate::event::EventKind;
use crate::names::Thing;
use crate::problem::{Problem, Severity, nearest};
use crate::sandbox::{names, place};
use crate::view::{Shape, stored_as, unknown_field};
use crate::vocabulary::{AnswerField, Kind, Word, about, word};
use chain::{chain_of, fact, fields_of_call, root, shape_of};
use types::{Type, Variables};

/// What the pass found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) problems: Vec<Problem>,
    pub(super) names: Vec<NameRef>,
    pub(super) templates: Vec<TemplateRef>,
    /// Intents that it may ask for.
    pub(super) asks: BTreeSet<&'static str>,
}

/// `on`: the events that start the rule.
pub(super) fn check(ast: &AST, source: &str, on: &[EventKind]) -> Found {
    let (functions, variables) = (Functions::of(ast), Variables::of(ast));
    let mut found = Found::default();
    for name in functions.hiding_words() {
        // The engine does not keep where a function was declared.
        let line = source.lines().position(|l| l.trim_start().starts_with(&format!("fn {name}")));
        let line = line.and_then(|l| u32::try_from(l + 1).ok()).unwrap_or(0);
        let message = format!("`{name}` is a word of the language; name your function otherwise");
        found.problems.push(Problem::new(line, 1, "hides_word", message));
    }
    let mut pass =
        Pass { functions: &functions, variables: &variables, on, found: &mut found, is_function: false };
    flow::block(ast.statements(), pass.found);
    for statement in ast.statements() {
        statement.walk(&mut Vec::new(), &mut |path: &[ASTNode<'_>]| pass.node(path));
    }
    for function in ast.iter_functions() {
        let mut one = ast.clone_functions_only();
        one.retain_functions(|_, _, name, count| name == function.name && count == function.params.len());
        // Closures see what they capture; declared functions see their parameters only.
        pass.is_function = !function.name.starts_with("anon$");
        let mut has_ended = false;
        one.walk(&mut |path: &[ASTNode<'_>]| {
            if let [ASTNode::Stmt(statement)] = path {
                if has_ended {
                    flow::unreachable(statement, pass.found);
                }
                has_ended = flow::ends(statement);
            }
            pass.node(path)
        });
    }
    let is_sound = !found.problems.iter().any(Problem::is_error);
    if is_sound && found.asks.is_empty() && !ast.statements().is_empty() {
        let problem = Problem::new(1, 1, "asks_for_nothing", "the rule never asks for anything");
        let hint = "call a word such as `route_to_group(\"…\")` or `notify(\"admins\", \"…\")`";
        found.problems.push(problem.with_hint(hint).as_warning());
    }
    found
}

impl Found {
    fn add(&mut self, at: Position, code: &'static str, message: impl Into<String>) -> &mut Problem {
        let (line, column) = place(at);
        self.problems.push(Problem::new(line, column, code, message));
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    fn warn(&mut self, at: Position, code: &'static str, message: impl Into<String>) -> &mut Problem {
        let problem = self.add(at, code, message);
        problem.severity = Severity::Warning;
        problem
    }
}

struct Pass<'a> {
    functions: &'a Functions,
    variables: &'a Variables,
    on: &'a [EventKind],
    found: &'a mut Found,
    is_function: bool,
}

impl Pass<'_> {
    /// Looks at the last node of the path; always goes on.
    fn node(&mut self, path: &[ASTNode<'_>]) -> bool {
        match path.last() {
            Some(ASTNode::Stmt(statement)) => self.statement(statement),
            Some(ASTNode::Expr(expr)) => {
                let in_chain = matches!(path.iter().rev().nth(1), Some(ASTNode::Expr(Expr::Dot(..))));
                self.expression(expr, in_chain);
            }
            _ => {}
        }
        true
    }

    fn statement(&mut self, statement: &Stmt) {
        flow::statement(statement, self.found);
        if let Some((condition, at)) = flow::conditions(statement) {
            self.condition(condition, at);
        }
        match statement {
            Stmt::FnCall(call, at) => self.call(call, None, *at),
            Stmt::Assignment(parts) => {
                if let Some(name) = root(&parts.1.lhs) {
                    let hint = "a rule changes things by asking, e.g. `set_status(\"pending\")`";
                    self.found
                        .add(parts.1.lhs.start_position(), "read_only", format!("`{name}` is read-only"))
                        .hint = Some(hint.to_owned());
                }
            }
            Stmt::Var(parts, _, at) => self.declared(&parts.0.name, *at),
            Stmt::For(parts, at) => self.declared(&parts.0.name, *at),
            _ => {}
        }
    }

    /// Nothing but true and false decides; a missing value or a text is an error at run time.
    fn condition(&mut self, expr: &Expr, at: Position) {
        let Some(kind) = self.variables.type_of(expr).filter(|kind| *kind != Type::Flag) else { return };
        let hint = match kind {
            Type::Facts | Type::Text | Type::Moment => "is it there? Write `… != ()`",
            Type::List | Type::Map => "is there anything in it? Write `….len() > 0`",
            Type::Number | Type::Flag | Type::Missing => "compare it, e.g. `… > 0`",
        };
        let message = format!("a condition must be true or false, and this is {}", kind.word());
        self.found.add(at, "not_a_condition", message).hint = Some(hint.to_owned());
    }

    fn declared(&mut self, name: &str, at: Position) {
        if names().any(|known| known == name) {
            let message = format!("`{name}` is already a name of the language");
            self.found.add(at, "hides_fact", message).hint =
                Some(format!("choose another, e.g. `my_{name}`"));
        }
    }

    fn expression(&mut self, expr: &Expr, in_chain: bool) {
        match expr {
            Expr::Variable(_, _, at) if self.is_function => {
                if let Some(name) = root(expr) {
                    let hint = format!("pass it as an argument: `fn f({name}) {{ … }}`");
                    self.found
                        .add(*at, "fact_in_function", format!("a function does not see `{name}`"))
                        .hint = Some(hint);
                }
            }
            // Writes through `this` would escape the limits of size, which are kept by name.
            Expr::ThisPtr(at) => {
                let hint = Some("pass the value as an argument".to_owned());
                self.found.add(*at, "forbidden", "`this` is not available in rules").hint = hint;
            }
            Expr::FnCall(call, at) => self.call(call, None, *at),
            Expr::Dot(..) if !in_chain => self.chain(expr),
            Expr::And(parts, _) | Expr::Or(parts, _) => {
                parts.iter().for_each(|part| self.condition(part, part.start_position()));
            }
            _ => {}
        }
    }

    /// `a.b.c(…)`: every field on the way, and the words that follow.
    fn chain(&mut self, expr: &Expr) {
        let mut links = chain_of(expr).into_iter();
        let Some(first) = links.next() else { return };
        let mut fields = fields_of_call(first);
        let mut shape = fact(first).map(Shape::Fields);
        for link in links {
            match link {
                Expr::Property(parts, at) => {
                    if let Some((word, known)) = fields.take() {
                        self.answer_field(word, known, &parts.2, *at);
                    }
                    shape = shape.and_then(|shape| self.field(shape, &parts.2, *at));
                }
                Expr::MethodCall(call, at) => {
                    self.call(call, Some(shape), *at);
                    (shape, fields) = (None, None);
                }
                _ => (shape, fields) = (None, None),
            }
        }
    }

    fn field(&mut self, shape: Shape, name: &str, at: Position) -> Option<Shape> {
        let Shape::Fields(fact) = shape else { return None };
        let field = fact.field(name);
        if field.is_none() && fact.is_closed() {
            let names: Vec<_> = fact.fields.iter().map(|field| field.name).collect();
            self.found.add(at, "unknown_field", unknown_field(fact, name)).hint =
                Some(format!("known fields: {}", names.join(", ")));
        }
        if fact.name == "event" {
            self.event_field(name, at);
        }
        field.map(|f| f.shape)
    }

    /// A field of other events is always missing here.
    fn event_field(&mut self, name: &str, at: Position) {
        let has = |kind: &EventKind| kind.fields().iter().any(|(stored, _)| stored_as(name) == Some(*stored));
        let owners: Vec<&str> = EventKind::ALL.iter().filter(|k| has(k)).map(|k| k.name()).collect();
        if !owners.is_empty() && !self.on.is_empty() && !self.on.iter().any(has) {
            let message = format!("`event.{name}` is always missing for the events that start this rule");
            self.found.warn(at, "always_missing", message).hint =
                Some(format!("it belongs to {}", owners.join(", ")));
        }
    }

    fn answer_field(&mut self, word: &Word, known: &[AnswerField], name: &str, at: Position) {
        if known.iter().any(|field| field.name == name) {
            return;
        }
        let names = || known.iter().map(|field| field.name);
        let hint = nearest(name, names()).map_or_else(
            || format!("known fields: {}", names().collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        self.found.add(at, "unknown_field", format!("`{}` has no field `{name}`", word.name)).hint =
            Some(hint);
    }

    /// A call; `subject` is what stands before the dot, if there is a dot, and its shape, if known.
    fn call(&mut self, call: &FnCallExpr, subject: Option<Option<Shape>>, at: Position) {
        if call.is_operator_call() {
            if let ("!", [operand]) = (call.name.as_str(), call.args.as_slice()) {
                self.condition(operand, operand.start_position());
            }
            self.comparison(call, at);
            return;
        }
        let before = usize::from(subject.is_some());
        // `x in list` is a call that the engine itself writes.
        if call.name == "contains" && subject.is_none() {
            return;
        }
        let problem = self.functions.problem(&call.name, call.args.len() + before, place(at));
        if let Some(problem) = problem {
            self.found.problems.push(problem);
            return;
        }
        let Some(word) = word(&call.name) else { return };
        if let Some(Some(shape)) = subject
            && word.family() == "text"
            && !matches!(
                shape,
                Shape::Text | Shape::Word(_) | Shape::Group | Shape::Agent | Shape::Event | Shape::Any
            )
            && !(matches!(shape, Shape::List) && word.name == "contains")
        {
            let message = format!("`{}` works on text, and this is {}", word.name, shape.word());
            self.found.add(at, "wrong_type", message).hint = Some(format!("write `{}`", word.signature()));
        }
        if word.family() == "intent" {
            self.found.asks.insert(word.name);
        }
        for (index, arg) in call.args.iter().enumerate().map(|(i, a)| (i + before, a)) {
            let Some(param) = word.params.get(index) else { break };
            let at = arg.start_position();
            if let Some(value) = self.variables.value_of(arg) {
                self.literal(word, index, param.kind, &value, at);
            } else if let Some(kind) = self.variables.type_of(arg).filter(|kind| !kind.fits(param.kind)) {
                let message = format!(
                    "`{}`, {}: {} is needed here, not {}",
                    word.name,
                    param.name,
                    param.kind.word(),
                    kind.word()
                );
                self.found.add(at, "wrong_type", message).hint =
                    Some(format!("write `{}`", word.signature()));
            } else if let (Kind::Slots, Expr::Map(entries, _)) = (param.kind, arg) {
                self.slots(entries.0.iter().map(|(name, value)| (name.as_str(), value)));
            }
        }
        self.template(word, call, at);
    }

    /// Slots whose values are known to be no text.
    fn slots<'a>(&mut self, entries: impl Iterator<Item = (&'a str, &'a Expr)>) {
        for (name, value) in entries {
            let Some(kind) = self.variables.type_of(value).filter(|kind| !kind.fits_slot()) else { continue };
            let message = format!("slot `{name}` needs text, not {}", kind.word());
            self.found.add(value.start_position(), "bad_slots", message).hint =
                Some("give it text, e.g. `contact.name ?? \"there\"`".to_owned());
        }
    }

    /// A template that is named in so many words; the directory knows its languages and slots.
    fn template(&mut self, word: &Word, call: &FnCallExpr, at: Position) {
        let Some(first) = word.params.iter().position(|p| p.kind == Kind::Named(Thing::Template)) else {
            return;
        };
        let literal = |expr: &Expr| self.variables.value_of(expr)?.into_string().ok();
        let Some(name) = call.args.get(first).and_then(literal) else { return };
        let slots = match call.args.get(first + 2) {
            None | Some(Expr::Unit(_)) => Some(Vec::new()),
            Some(Expr::Map(entries, _)) => {
                Some(entries.0.iter().map(|(name, _)| name.name.to_string()).collect())
            }
            Some(other) => {
                let map = self.variables.value_of(other).and_then(|value| value.try_cast::<rhai::Map>());
                map.map(|map| map.keys().map(ToString::to_string).collect())
            }
        };
        let place = place(call.args.get(first + 2).map_or(at, Expr::start_position));
        let language = call.args.get(first + 1).and_then(literal);
        self.found.templates.push(TemplateRef { name, language, slots, place });
    }

    fn literal(&mut self, word: &Word, index: usize, kind: Kind, value: &Dynamic, at: Position) {
        if value.is_unit() && index >= word.required {
            return;
        }
        if let Err(wrong) = kind.check(value) {
            let wrong = about(word, index, wrong);
            let hint = wrong.hint.unwrap_or_else(|| format!("write `{}`", word.signature()));
            self.found.add(at, wrong.code, wrong.message).hint = Some(hint);
        } else if let Some((thing, name)) = kind.named(value) {
            self.name(thing, name, at);
        }
    }

    fn name(&mut self, thing: Thing, name: String, at: Position) {
        let (line, column) = place(at);
        self.found.names.push(NameRef { thing, name, line, column });
    }

    /// A field compared with a literal: would it ever be true?
    fn comparison(&mut self, call: &FnCallExpr, at: Position) {
        if !matches!(call.name.as_str(), "==" | "!=" | "<" | "<=" | ">" | ">=") {
            return;
        }
        let [left, right] = call.args.as_slice() else { return };
        for (side, other) in [(left, right), (right, left)] {
            if let (Some(shape), Some(value)) = (shape_of(side), self.variables.value_of(other)) {
                if !value.is_unit() {
                    self.compared(shape, &value, other.start_position(), at);
                }
                return;
            }
        }
        let types = (self.variables.type_of(left), self.variables.type_of(right));
        if let (Some(left), Some(right)) = types
            && left != right
            && left != Type::Missing
            && right != Type::Missing
        {
            let message = format!("this compares {} with {}", left.word(), right.word());
            self.found.add(at, "wrong_type", message).hint =
                Some("values of different types are never equal".to_owned());
        }
    }

    fn compared(&mut self, shape: Shape, value: &Dynamic, at: Position, operator: Position) {
        let text = value.read_lock::<rhai::ImmutableString>().map(|t| t.to_string());
        let fits = match shape {
            Shape::Any => true,
            Shape::Number => value.is_int() || value.is_float(),
            Shape::Flag => value.is_bool(),
            Shape::List => value.is_array(),
            Shape::Moment | Shape::Fields(_) => false,
            Shape::Text | Shape::Word(_) | Shape::Group | Shape::Agent | Shape::Event => text.is_some(),
        };
        if !fits {
            let hint = match shape {
                Shape::Fields(_) => "compare one of its fields",
                Shape::List => "write `\"word\" in list`",
                Shape::Moment => "compare with `now`, e.g. `now - \"2h\"`",
                _ => "values of different types are never equal",
            };
            let message = format!("this compares {} with another type", shape.word());
            self.found.add(operator, "wrong_type", message).hint = Some(hint.to_owned());
            return;
        }
        let Some(text) = text else { return };
        match shape {
            Shape::Word(words) => self.known_word(&text, words.to_vec(), at),
            Shape::Event => {
                self.known_word(&text, EventKind::ALL.iter().map(|k| k.name()).collect(), at);
                self.handler(&text, at);
            }
            Shape::Group => self.name(Thing::Group, text, at),
            Shape::Agent => self.name(Thing::Agent, text, at),
            _ => {}
        }
    }

    /// A branch for an event that does not start the rule.
    fn handler(&mut self, name: &str, at: Position) {
        let Some(kind) = EventKind::from_name(name) else { return };
        if !self.on.is_empty() && !self.on.contains(&kind) {
            let message = format!("`{name}` does not start this rule");
            self.found.warn(at, "unreachable_handler", message).hint =
                Some(format!("add `{name}` to the `on` line, or remove this"));
        }
    }

    fn known_word(&mut self, text: &str, words: Vec<&'static str>, at: Position) {
        if words.contains(&text) {
            return;
        }
        let hint = nearest(text, words.iter().copied()).map_or_else(
            || format!("known words: {}", words.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        self.found.add(at, "unknown_word", format!("`{text}` can never stand here")).hint = Some(hint);
    }
}
