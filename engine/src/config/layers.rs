//! Where settings come from: files, variables and flags, each turned into
//! (setting, value, place). Knows nothing about what the settings mean.

use std::fmt;

use toml::de::{DeTable, DeValue};

use super::{DATABASE_URL_VARIABLE, DEFAULTS, Flag, Mistake, Strings};

const PREFIX: &str = "POINTSMAN_";
/// Between section and name in a variable.
const SEPARATOR: &str = "__";

/// A value as it was given.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A text in a file.
    Text(String),
    /// A whole number in a file.
    Integer(i64),
    /// A variable or a flag: its type is what the setting wants.
    Untyped(String),
    /// Anything else in a file; the name of its type.
    Other(&'static str),
}

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Defaults,
    File { name: String, line: usize },
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("the compiled-in defaults"),
            Self::File { name, line } => write!(f, "{name} line {line}"),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// One setting at one place.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) place: Place,
}

/// Everything that was given, weakest source first, and what could not be read at all.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub(super) defaults: Vec<Given>,
    pub(super) given: Vec<Given>,
    pub(super) mistakes: Vec<Mistake>,
}

pub(super) fn collect(file: Option<(&str, &str)>, strings: &dyn Strings, flags: &[Flag]) -> Layers {
    let mut layers = Layers::default();
    let place = |_| Place::Defaults;
    layers.defaults = of_toml("the compiled-in defaults", DEFAULTS, &place, &mut layers.mistakes);
    if let Some((name, text)) = file {
        let place = |line| Place::File { name: name.to_owned(), line };
        layers.given = of_toml(name, text, &place, &mut layers.mistakes);
    }
    of_variables(strings, &mut layers);
    layers.given.extend(flags.iter().map(|flag| Given {
        key: flag.key.to_owned(),
        value: Value::Untyped(flag.value.clone()),
        place: Place::Flag(flag.flag),
    }));
    layers
}

fn of_toml(
    name: &str,
    text: &str,
    place: &dyn Fn(usize) -> Place,
    mistakes: &mut Vec<Mistake>,
) -> Vec<Given> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        mistakes.extend(errors.iter().map(|error| Mistake {
            place: match error.span() {
                Some(span) => format!("{name} line {}", line_of(text, span.start)),
                None => name.to_owned(),
            },
            message: format!("this is not TOML: {}", error.message().replace('\n', ", ")),
        }));
        return Vec::new();
    }
    let mut given = Vec::new();
    flatten("", table.get_ref(), text, place, &mut given);
    given.sort_by_key(|(at, _)| *at);
    given.into_iter().map(|(_, given)| given).collect()
}

fn flatten(
    above: &str,
    table: &DeTable<'_>,
    text: &str,
    place: &dyn Fn(usize) -> Place,
    out: &mut Vec<(usize, Given)>,
) {
    for (name, value) in table {
        let key =
            if above.is_empty() { name.get_ref().to_string() } else { format!("{above}.{}", name.get_ref()) };
        let start = name.span().start;
        let value = match value.get_ref() {
            DeValue::Table(inner) => {
                flatten(&key, inner, text, place, out);
                continue;
            }
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
                .map_or(Value::Other("integer that is too large"), Value::Integer),
            other => Value::Other(other.type_str()),
        };
        out.push((start, Given { key, value, place: place(line_of(text, start)) }));
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

fn of_variables(strings: &dyn Strings, layers: &mut Layers) {
    let mut names = strings.names();
    names.sort();
    for name in &names {
        // Without the separator it is not a setting of ours: it may be POINTSMAN_KEY, or one of the variables
        // that Kubernetes makes for a service called "pointsman" (POINTSMAN_PORT=tcp://…).
        let Some((section, rest)) = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once(SEPARATOR))
        else {
            continue;
        };
        let key = format!("{section}.{rest}").to_ascii_lowercase();
        layers.push_variable(name, key, strings);
    }
    if let Some(url) = strings.get(DATABASE_URL_VARIABLE) {
        let other =
            layers.given.iter().find(|g| g.key == "store.url" && matches!(g.place, Place::Variable(_)));
        match other {
            Some(other) if other.value != Value::Untyped(url) => layers.mistakes.push(Mistake {
                place: DATABASE_URL_VARIABLE.to_owned(),
                message: format!("names another database than {}; unset one of them", other.place),
            }),
            _ => layers.push_variable(DATABASE_URL_VARIABLE, "store.url".to_owned(), strings),
        }
    }
}

impl Layers {
    fn push_variable(&mut self, name: &str, key: String, strings: &dyn Strings) {
        let Some(text) = strings.get(name) else { return };
        self.given.push(Given { key, value: Value::Untyped(text), place: Place::Variable(name.to_owned()) });
    }
}
