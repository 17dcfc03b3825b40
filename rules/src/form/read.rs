//! From a rule file to the form that would have written it. Refuses everything
//! that a form could not say, rather than losing it.

use rhai::{ASTFlags, Expr, FnCallExpr, Position, Stmt};
use serde_json::{Map, Value};

use super::{Action, Condition, Form, FormError, Operator, Test, Written};
use crate::header::{Header, Stage};
use crate::sandbox::place;
use crate::script::{self, Script, chain_of};
use crate::view::{FACTS, to_json};
use crate::vocabulary::word;

type Read<T> = Result<T, FormError>;

fn cannot(at: Position, what: &str) -> FormError {
    FormError::Rule { line: place(at).0, what: what.to_owned() }
}

pub(super) fn form(source: &str) -> Read<Form> {
    let script = Script::parse(source).map_err(|_| FormError::Broken)?;
    // Constants are folded in what runs; here the file counts as it was written.
    let ast = script::compile(source).map_err(|_| FormError::Broken)?;
    if let Some(line) = comment_line(source) {
        return Err(FormError::Rule { line, what: "a comment below the header".to_owned() });
    }
    if let Some(function) = ast.iter_functions().next() {
        let what = format!("the function `{}`", function.name);
        return Err(FormError::Rule { line: 0, what });
    }
    let mut form = read_header(source, script.header());
    let statements = ast.statements();
    let body = match statements {
        [Stmt::If(parts, _)] if parts.branch.is_empty() => {
            form.when = Some(condition(&parts.expr)?);
            parts.body.statements()
        }
        other => other,
    };
    form.actions = body.iter().filter(|it| !matches!(it, Stmt::Noop(_))).map(action).collect::<Read<_>>()?;
    if form.actions.is_empty() {
        return Err(FormError::Rule { line: 0, what: "a rule that asks for nothing".to_owned() });
    }
    match form.to_source() {
        Ok(_) => Ok(form),
        Err(_) => {
            Err(FormError::Rule { line: 0, what: "so many or so deep conditions and actions".to_owned() })
        }
    }
}

/// The keys as they are written: what a rule leaves out, its form leaves out.
fn read_header(source: &str, header: &Header) -> Form {
    let mut form = Form {
        name: header.name.clone(),
        on: header.on.iter().map(|kind| kind.name().to_owned()).collect(),
        channels: header.channels.clone(),
        ..Form::default()
    };
    let lines = source.lines().map_while(|line| match line.trim_start().strip_prefix("//!") {
        Some(text) => Some(text.trim()),
        None => line.trim().is_empty().then_some(""),
    });
    let mut about = Vec::new();
    for line in lines.skip_while(|line| line.is_empty()).skip(1) {
        let key = line.split_once(':').map(|(key, value)| (key, value.trim()));
        match key.filter(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_')) {
            Some(("stage", _)) => form.stage = Some(Stage::word(header.stage).to_owned()),
            Some(("position", _)) => form.position = Some(header.position),
            Some(("enabled", _)) => form.enabled = Some(header.enabled),
            Some(("chain", _)) => form.chain = Some(header.chain),
            Some(("cron", _)) => form.cron = header.schedule.as_ref().map(|schedule| schedule.cron.clone()),
            Some(("timezone", zone)) => form.timezone = Some(zone.to_owned()),
            Some(("where", filter)) => form.filter = Some(filter.to_owned()),
            Some(_) => {}
            None => about.push(line),
        }
    }
    form.about = about.join("\n").trim().to_owned();
    form
}

/// The first line below the header with a comment: a form would lose it.
fn comment_line(source: &str) -> Option<u32> {
    let is_header = |line: &str| line.trim_start().starts_with("//!") || line.trim().is_empty();
    let below = source.lines().position(|line| !is_header(line))?;
    let mut quote: Option<char> = None;
    for (index, line) in source.lines().enumerate().skip(below) {
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match (quote, c) {
                (Some('"' | '\''), '\\') => {
                    chars.next();
                }
                (Some(open), _) if open == c => quote = None,
                (None, '"' | '`' | '\'') => quote = Some(c),
                (None, '/') if matches!(chars.peek(), Some('/' | '*')) => {
                    return u32::try_from(index + 1).ok();
                }
                _ => {}
            }
        }
    }
    None
}

fn condition(expr: &Expr) -> Read<Condition> {
    let all = |parts: &[Expr]| parts.iter().map(condition).collect::<Read<Vec<_>>>();
    Ok(match expr {
        Expr::And(parts, _) => Condition::All(all(parts)?),
        Expr::Or(parts, _) => Condition::Any(all(parts)?),
        Expr::FnCall(call, _) if call.name == "!" => match call.args.as_slice() {
            [Expr::Or(parts, _)] => Condition::None(all(parts)?),
            [operand] => Condition::None(vec![condition(operand)?]),
            _ => return Err(cannot(expr.start_position(), "this condition")),
        },
        other => Condition::Test(test(other)?),
    }
    .simplified())
}

fn test(expr: &Expr) -> Read<Test> {
    let at = expr.start_position();
    match expr {
        Expr::FnCall(call, _) => compared(call).ok_or_else(|| cannot(at, "this comparison")),
        Expr::Dot(..) => match chain_of(expr).as_slice() {
            [.., Expr::MethodCall(call, _)] => asked(expr, call).ok_or_else(|| cannot(at, "this condition")),
            // A flag alone is a condition.
            _ => {
                let (fact, of) = fact(expr).ok_or_else(|| cannot(at, "this condition"))?;
                Ok(Test { fact, of, is: Operator::Equals, value: Value::Bool(true) })
            }
        },
        _ => Err(cannot(at, "this condition")),
    }
}

/// `fact == value`, `fact in [values]`, `value in fact`, `fact < now - "value"`.
fn compared(call: &FnCallExpr) -> Option<Test> {
    let [left, right] = call.args.as_slice() else { return None };
    let operator = |written: Written| Operator::ALL.iter().find(|op| op.written() == written).copied();
    if call.name == "contains" {
        // The engine puts the container first.
        if let (Some(value), Some((fact, of))) = (plain(left), fact(right)) {
            return Some(Test { fact, of, is: operator(Written::Inside("in"))?, value });
        }
        let (fact, of) = fact(left)?;
        return Some(Test { fact, of, is: operator(Written::Around("in"))?, value: plain(right)? });
    }
    let sign = ["==", "!=", "<", "<=", ">", ">="].into_iter().find(|sign| *sign == call.name.as_str())?;
    let (fact, of) = fact(left)?;
    if let Expr::FnCall(minus, _) = right
        && minus.name == "-"
        && let [Expr::Variable(now, ..), ago] = minus.args.as_slice()
        && now.1 == "now"
    {
        return Some(Test { fact, of, is: operator(Written::Ago(sign))?, value: plain(ago)? });
    }
    match plain(right)? {
        Value::Null => Some(Test { fact, of, is: operator(Written::Nothing(sign))?, value: Value::Null }),
        value => Some(Test { fact, of, is: operator(Written::Between(sign))?, value }),
    }
}

/// `fact.has_word(value)`.
fn asked(expr: &Expr, call: &FnCallExpr) -> Option<Test> {
    let is = Operator::ALL
        .iter()
        .find(|op| matches!(op.written(), Written::Word(name) if name == call.name.as_str()))?;
    let [value] = call.args.as_slice() else { return None };
    let (fact, of) = fact_of_links(chain_of(expr).split_last()?.1, expr)?;
    Some(Test { fact, of, is: *is, value: plain(value)? })
}

/// The path of a fact, and the name that it is looked up by.
fn fact(expr: &Expr) -> Option<(String, Option<String>)> {
    fact_of_links(&chain_of(expr), expr)
}

fn fact_of_links(links: &[&Expr], whole: &Expr) -> Option<(String, Option<String>)> {
    if has_elvis(whole) {
        return None;
    }
    let (first, rest) = links.split_first()?;
    let (root, of) = match first {
        Expr::Variable(parts, ..) if FACTS.iter().any(|fact| fact.name == parts.1.as_str()) => {
            (parts.1.as_str(), None)
        }
        Expr::FnCall(call, _) => {
            let word = word(&call.name).filter(|word| !word.fields().is_empty() && rest.len() == 1)?;
            let [name] = call.args.as_slice() else { return None };
            (word.name, Some(name.get_literal_value(None)?.into_string().ok()?))
        }
        _ => return None,
    };
    let mut path = root.to_owned();
    for link in rest {
        let Expr::Property(parts, _) = link else { return None };
        path.push('.');
        path.push_str(&parts.2);
    }
    Some((path, of))
}

/// `a?.b` means something else than `a.b`, and a form has no field for it.
fn has_elvis(expr: &Expr) -> bool {
    match expr {
        Expr::Dot(parts, flags, _) => {
            flags.intersects(ASTFlags::NEGATED) || has_elvis(&parts.lhs) || has_elvis(&parts.rhs)
        }
        _ => false,
    }
}

fn action(statement: &Stmt) -> Read<Action> {
    let (call, at) = match statement {
        Stmt::FnCall(call, at) => (call, *at),
        Stmt::Expr(expr) => match &**expr {
            Expr::FnCall(call, at) => (call, *at),
            other => return Err(cannot(other.start_position(), "this expression")),
        },
        other => return Err(cannot(other.position(), what(other))),
    };
    if word(&call.name).is_none_or(|word| word.family() != "intent") {
        return Err(cannot(at, &format!("a call of `{}`", call.name)));
    }
    let argument = |arg: &Expr| value(arg).ok_or_else(|| cannot(arg.start_position(), "this argument"));
    Ok(Action { call: call.name.to_string(), with: call.args.iter().map(argument).collect::<Read<_>>()? })
}

fn what(statement: &Stmt) -> &'static str {
    match statement {
        Stmt::If(..) => "a condition beside other statements, or one with `else`",
        Stmt::Switch(..) => "a `switch`",
        Stmt::While(..) | Stmt::Do(..) | Stmt::For(..) => "a loop",
        Stmt::Var(..) | Stmt::Assignment(..) => "a variable",
        Stmt::Return(..) => "a `return` or `throw`",
        _ => "this statement",
    }
}

/// A value that is written down, without references.
fn plain(expr: &Expr) -> Option<Value> {
    expr.get_literal_value(None).as_ref().and_then(to_json).filter(|value| !has_reference(value))
}

/// An object with this key would be read back as a reference.
fn has_reference(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_reference),
        Value::Object(fields) => fields.contains_key("fact") || fields.values().any(has_reference),
        _ => false,
    }
}

/// An argument: written down, a fact, or made of such.
fn value(expr: &Expr) -> Option<Value> {
    if let Some(value) = plain(expr) {
        return Some(value);
    }
    match expr {
        Expr::Variable(parts, ..) if parts.1 == "on" || parts.1 == "off" => {
            Some(Value::Bool(parts.1 == "on"))
        }
        Expr::Array(items, _) => items.iter().map(value).collect::<Option<Vec<_>>>().map(Value::Array),
        Expr::Map(entries, _) if !entries.0.iter().any(|(name, _)| name.name == "fact") => {
            let field = |(name, expr): &(rhai::Ident, Expr)| Some((name.name.to_string(), value(expr)?));
            entries.0.iter().map(field).collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        Expr::Coalesce(parts, _) => match parts.as_slice() {
            [left, right] => {
                let Value::Object(mut reference) = reference(left)? else { return None };
                reference.insert("or".to_owned(), value(right)?);
                Some(Value::Object(reference))
            }
            _ => None,
        },
        Expr::Dot(..) => reference(expr),
        _ => None,
    }
}

fn reference(expr: &Expr) -> Option<Value> {
    let (path, of) = fact(expr)?;
    of.is_none().then(|| Value::Object([("fact".to_owned(), Value::String(path))].into_iter().collect()))
}
