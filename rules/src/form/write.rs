//! From a form to a rule file that reads as if a person had written it.

use serde_json::Value;

use super::{Action, Condition, DEPTH_MAX, ENTRIES_MAX, Form, FormError, Test, Written};
use crate::intent::{key, quoted};
use crate::view::{FACTS, Fact, Shape};
use crate::vocabulary::word;

type Text = Result<String, FormError>;

/// Longest line of conditions or arguments before each gets a line of its own, characters.
const LINE_CHARS_MAX: usize = 100;

fn wrong(pointer: &str, message: impl Into<String>) -> FormError {
    FormError::Form { pointer: pointer.to_owned(), message: message.into() }
}

pub(super) fn source(form: &Form) -> Text {
    let mut out = header(form)?;
    let actions = actions(&form.actions)?;
    match form.when.clone().map(Condition::simplified) {
        None => actions.iter().for_each(|line| out.push_str(&format!("\n{line}"))),
        Some(when) => {
            let condition = condition(&when, "/when", 1)?;
            out.push_str(&format!("\nif {condition} {{\n"));
            actions.iter().for_each(|line| out.push_str(&format!("    {line}\n")));
            out.push('}');
        }
    }
    out.push('\n');
    Ok(out)
}

fn header(form: &Form) -> Text {
    let one_line = |pointer: &str, text: &str| match text.trim() {
        "" => Err(wrong(pointer, "must not be empty")),
        _ if text.contains(['\n', '\r']) => Err(wrong(pointer, "must be one line")),
        trimmed => Ok(trimmed.to_owned()),
    };
    let mut out = format!("//! {}\n//!\n", one_line("/name", &form.name)?);
    if !form.about.is_empty() {
        for line in form.about.trim().lines().map(str::trim) {
            if line
                .split_once(':')
                .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            {
                return Err(wrong(
                    "/about",
                    "a line must not look like a key of the header, a word before a colon",
                ));
            }
            out.push_str(format!("//! {line}").trim_end());
            out.push('\n');
        }
        out.push_str("//!\n");
    }
    if form.on.is_empty() {
        return Err(wrong("/on", "name at least one event"));
    }
    let stage = form.stage.clone();
    let lines = [
        ("on", Some(form.on.join(", "))),
        ("channels", (!form.channels.is_empty()).then(|| form.channels.join(", "))),
        ("stage", stage),
        ("position", form.position.map(|position| position.to_string())),
        ("enabled", form.enabled.map(|enabled| enabled.to_string())),
        ("chain", form.chain.map(|chain| chain.to_string())),
        ("cron", form.cron.clone()),
        ("timezone", form.timezone.clone()),
        ("where", form.filter.clone()),
    ];
    for (key, value) in lines {
        if let Some(value) = value {
            out.push_str(&format!("//! {key}: {}\n", one_line(&format!("/{key}"), &value)?));
        }
    }
    Ok(out)
}

fn condition(condition: &Condition, pointer: &str, depth: usize) -> Text {
    if depth > DEPTH_MAX {
        return Err(wrong(pointer, format!("groups are nested more than {DEPTH_MAX} deep")));
    }
    let group = |name: &str, list: &[Condition], sign: &str| -> Text {
        let pointer = format!("{pointer}/{name}");
        if list.is_empty() || list.len() > ENTRIES_MAX {
            return Err(wrong(&pointer, format!("a group has 1 to {ENTRIES_MAX} conditions")));
        }
        let part = |(index, it): (usize, &Condition)| {
            let text = self::condition(it, &format!("{pointer}/{index}"), depth + 1)?;
            Ok(if matches!(it, Condition::All(_) | Condition::Any(_)) { format!("({text})") } else { text })
        };
        let parts: Vec<String> = list.iter().enumerate().map(part).collect::<Result<_, FormError>>()?;
        let line = parts.join(&format!(" {sign} "));
        let is_long = depth == 1 && line.chars().count() > LINE_CHARS_MAX;
        Ok(if is_long { parts.join(&format!("\n    {sign} ")) } else { line })
    };
    match condition {
        Condition::All(list) => group("all", list, "&&"),
        Condition::Any(list) => group("any", list, "||"),
        Condition::None(list) => Ok(format!("!({})", group("none", list, "||")?)),
        Condition::Test(it) => test(it, &format!("{pointer}/test")),
    }
}

fn test(test: &Test, pointer: &str) -> Text {
    let fact = fact(&test.fact, test.of.as_deref(), pointer)?;
    let value = || match &test.value {
        Value::Null => Err(wrong(&format!("{pointer}/value"), "must be given")),
        value => literal(value, &format!("{pointer}/value")),
    };
    let text = || match test.value.as_str() {
        Some(text) => Ok(quoted(text)),
        None => Err(wrong(&format!("{pointer}/value"), "must be text")),
    };
    Ok(match test.is.written() {
        Written::Between(sign) => format!("{fact} {sign} {}", value()?),
        Written::Nothing(sign) => format!("{fact} {sign} ()"),
        Written::Inside(sign) if test.value.is_array() => format!("{fact} {sign} {}", value()?),
        Written::Inside(_) => return Err(wrong(&format!("{pointer}/value"), "must be a list")),
        Written::Around(sign) => format!("{} {sign} {fact}", text()?),
        Written::Ago(sign) => format!("{fact} {sign} now - {}", text()?),
        Written::Word(name) => format!("{fact}.{name}({})", value()?),
    })
}

/// A fact as a rule reads it. Only known names get through, so a form can bring in no code.
fn fact(path: &str, of: Option<&str>, pointer: &str) -> Text {
    let unknown = || wrong(&format!("{pointer}/fact"), format!("`{path}` is not a fact"));
    let mut names = path.split('.');
    let first = names.next().unwrap_or_default();
    if let Some(of) = of {
        let look_up = word(first).filter(|word| !word.fields().is_empty()).ok_or_else(unknown)?;
        let name = names.next().ok_or_else(unknown)?;
        let field = look_up.fields().iter().find(|field| field.name == name).ok_or_else(unknown)?;
        return match names.next() {
            None => Ok(format!("{first}({}).{}", quoted(of), field.name)),
            Some(_) => Err(unknown()),
        };
    }
    let mut at: Option<&Fact> = FACTS.iter().find(|fact| fact.name == first).copied();
    at.ok_or_else(unknown)?;
    for name in names {
        let here = at.ok_or_else(unknown)?;
        let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let field = here.field(name);
        if !is_plain || (field.is_none() && here.is_closed()) {
            return Err(unknown());
        }
        at = match field.map(|field| field.shape) {
            Some(Shape::Fields(inner)) => Some(inner),
            _ => None,
        };
    }
    Ok(path.to_owned())
}

fn actions(actions: &[Action]) -> Result<Vec<String>, FormError> {
    if actions.is_empty() || actions.len() > ENTRIES_MAX {
        return Err(wrong("/do", format!("a rule asks for 1 to {ENTRIES_MAX} things")));
    }
    let line = |(index, action): (usize, &Action)| {
        let pointer = format!("/do/{index}");
        let known = word(&action.call).filter(|word| word.family() == "intent");
        let word = known.ok_or_else(|| {
            wrong(&format!("{pointer}/call"), format!("`{}` asks for nothing", action.call))
        })?;
        if action.with.len() > word.params.len() {
            return Err(wrong(&format!("{pointer}/with"), format!("write `{}`", word.signature())));
        }
        let argument = |(index, value): (usize, &Value)| literal(value, &format!("{pointer}/with/{index}"));
        let arguments: Vec<String> =
            action.with.iter().enumerate().map(argument).collect::<Result<_, _>>()?;
        Ok(format!("{}({});", word.name, arguments.join(", ")))
    };
    actions.iter().enumerate().map(line).collect()
}

/// A value as a rule writes it, with facts where the form has references to them.
fn literal(value: &Value, pointer: &str) -> Text {
    Ok(match value {
        Value::Null => "()".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) if number.is_i64() || number.is_f64() => number.to_string(),
        Value::Number(_) => return Err(wrong(pointer, "the number is too large")),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let item = |(index, item): (usize, &Value)| literal(item, &format!("{pointer}/{index}"));
            let items: Vec<String> = items.iter().enumerate().map(item).collect::<Result<_, _>>()?;
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => match fields.get("fact") {
            Some(Value::String(path)) => {
                if fields.keys().any(|key| key != "fact" && key != "or") {
                    return Err(wrong(pointer, "a reference has the fields `fact` and `or`"));
                }
                let fact = fact(path, None, pointer)?;
                match fields.get("or") {
                    None => fact,
                    Some(other) => format!("{fact} ?? {}", literal(other, &format!("{pointer}/or"))?),
                }
            }
            Some(_) => return Err(wrong(pointer, "`fact` must be the name of a fact")),
            None => {
                let field = |(name, value): (&String, &Value)| {
                    Ok(format!("{}: {}", key(name), literal(value, &format!("{pointer}/{name}"))?))
                };
                let fields: Vec<String> = fields.iter().map(field).collect::<Result<_, FormError>>()?;
                if fields.is_empty() { "#{}".to_owned() } else { format!("#{{ {} }}", fields.join(", ")) }
            }
        },
    })
}
