//! The check pass: walks a compiled rule without running it and finds unknown
//! functions and fields, wrong literals, comparisons that can never be true and
//! writes to what is read-only. Collects the names that need the directory.

use rhai::{AST, ASTNode, Dynamic, Expr, FnCallExpr, Position, Stmt};

use super::NameRef;
use super::functions::Functions;
use crate::event::EventKind;
use crate::names::Thing;
use crate::problem::{Problem, nearest};
use crate::sandbox::{names, place};
use crate::view::{FACTS, Fact, Shape, unknown_field};
use crate::vocabulary::{Kind, Word, about, word};

/// What the pass found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) problems: Vec<Problem>,
    pub(super) names: Vec<NameRef>,
}

pub(super) fn check(ast: &AST, source: &str) -> Found {
    let functions = Functions::of(ast);
    let mut found = Found::default();
    for name in functions.hiding_words() {
        // The engine does not keep where a function was declared.
        let line = source.lines().position(|l| l.trim_start().starts_with(&format!("fn {name}")));
        let line = line.and_then(|l| u32::try_from(l + 1).ok()).unwrap_or(0);
        let message = format!("`{name}` is a word of the language; name your function otherwise");
        found.problems.push(Problem::new(line, 1, "hides_word", message));
    }
    let mut pass = Pass { functions: &functions, found: &mut found, is_function: false };
    for statement in ast.statements() {
        statement.walk(&mut Vec::new(), &mut |path: &[ASTNode<'_>]| pass.node(path));
    }
    // Closures see what they capture; declared functions see their parameters only.
    let mut closures = ast.clone_functions_only();
    closures.retain_functions(|_, _, name, _| name.starts_with("anon$"));
    closures.walk(&mut |path: &[ASTNode<'_>]| pass.node(path));
    let mut declared = ast.clone_functions_only();
    declared.retain_functions(|_, _, name, _| !name.starts_with("anon$"));
    pass.is_function = true;
    declared.walk(&mut |path: &[ASTNode<'_>]| pass.node(path));
    found
}

impl Found {
    fn add(&mut self, at: Position, code: &'static str, message: impl Into<String>) -> &mut Problem {
        let (line, column) = place(at);
        self.problems.push(Problem::new(line, column, code, message));
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }
}

struct Pass<'a> {
    functions: &'a Functions,
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

    fn declared(&mut self, name: &str, at: Position) {
        if names().any(|known| known == name) {
            self.found.add(
                at,
                "hides_fact",
                format!("`{name}` is already a name of the language; choose another"),
            );
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
            _ => {}
        }
    }

    /// `a.b.c(…)`: every field on the way, and the words that follow.
    fn chain(&mut self, expr: &Expr) {
        let mut links = Vec::new();
        flatten(expr, &mut links);
        let mut links = links.into_iter();
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
            self.found.add(at, "unknown_field", unknown_field(fact, name));
        }
        field.map(|f| f.shape)
    }

    fn answer_field(&mut self, word: &Word, known: &[&str], name: &str, at: Position) {
        if known.contains(&name) {
            return;
        }
        let hint = nearest(name, known.iter().copied()).map_or_else(
            || format!("known fields: {}", known.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        self.found.add(at, "unknown_field", format!("`{}` has no field `{name}`", word.name)).hint =
            Some(hint);
    }

    /// A call; `subject` is what stands before the dot, if there is a dot, and its shape, if known.
    fn call(&mut self, call: &FnCallExpr, subject: Option<Option<Shape>>, at: Position) {
        if call.is_operator_call() {
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
            self.found.add(at, "wrong_type", message);
        }
        for (index, arg) in call.args.iter().enumerate().map(|(i, a)| (i + before, a)) {
            let Some(param) = word.params.get(index) else { break };
            if let Some(value) = arg.get_literal_value(None) {
                self.literal(word, index, param.kind, &value, arg.start_position());
            }
        }
    }

    fn literal(&mut self, word: &Word, index: usize, kind: Kind, value: &Dynamic, at: Position) {
        if value.is_unit() && index >= word.required {
            return;
        }
        if let Err(wrong) = kind.check(value) {
            let wrong = about(word, index, wrong);
            self.found.add(at, wrong.code, wrong.message).hint = wrong.hint;
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
            if let (Some(shape), Some(value)) = (shape_of(side), other.get_literal_value(None))
                && !value.is_unit()
            {
                self.compared(shape, &value, other.start_position(), at);
            }
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
            Shape::Event => self.known_word(&text, EventKind::ALL.iter().map(|k| k.name()).collect(), at),
            Shape::Group => self.name(Thing::Group, text, at),
            Shape::Agent => self.name(Thing::Agent, text, at),
            _ => {}
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

/// The fact that an expression names, unless a variable of the rule hides it.
fn fact(expr: &Expr) -> Option<&'static Fact> {
    let Expr::Variable(parts, index, _) = expr else { return None };
    if index.is_some() || parts.0.is_some() {
        return None;
    }
    FACTS.iter().find(|f| f.name == parts.1.as_str()).copied()
}

/// The language's own name at the root of an expression.
fn root(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) => root(&parts.lhs),
        Expr::Variable(parts, index, _) if index.is_none() && parts.0.is_none() => {
            names().find(|name| *name == parts.1.as_str())
        }
        _ => None,
    }
}

/// The links of a chain of dots, from left to right.
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
fn fields_of_call(expr: &Expr) -> Option<(&'static Word, &'static [&'static str])> {
    let Expr::FnCall(call, _) = expr else { return None };
    word(&call.name).filter(|w| !w.fields().is_empty()).map(|w| (w, w.fields()))
}

/// The shape of a fact's field, when the expression is nothing but that.
fn shape_of(expr: &Expr) -> Option<Shape> {
    let mut links = Vec::new();
    flatten(expr, &mut links);
    let (first, rest) = links.split_first()?;
    if let Expr::Variable(parts, None, _) = first
        && parts.0.is_none()
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
