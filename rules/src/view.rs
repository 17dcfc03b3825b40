//! What scripts see: read-only views of the facts, each a table of fields with a
//! type and a sentence. The tables serve reading, checking and documentation.
//! A missing value is `()`; an unknown field is an error that names the nearest.

mod moment;
mod tables;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use rhai::{Array, Dynamic, EvalAltResult, ImmutableString, Map};
use serde_json::Value;

use crate::event::{Changes, Event, EventBody};
use crate::facts::Facts;
use crate::problem::nearest;
use crate::vocabulary::Wrong;

pub(crate) use moment::Moment;
pub use tables::FACTS;

/// One event and its facts, shared by all rules that run on it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) facts: Facts,
    pub(crate) event: Event,
    body: OnceLock<Value>,
}

impl Snapshot {
    pub(crate) fn new(event: &Event, facts: &Facts) -> Arc<Self> {
        let mut facts = facts.clone();
        if facts.changes.is_empty() {
            facts.changes = changes_of(&event.body);
        }
        Arc::new(Self { facts, event: event.clone(), body: OnceLock::new() })
    }

    /// A field of the event's body, under its stored name.
    fn body(&self, name: &str) -> Dynamic {
        let body = self.body.get_or_init(|| serde_json::to_value(&self.event.body).unwrap_or(Value::Null));
        body.get(name).map_or(Dynamic::UNIT, from_json)
    }
}

/// What an event itself says about changes, for callers that brought none.
fn changes_of(body: &EventBody) -> Changes {
    match body {
        EventBody::ConversationUpdated { changes } | EventBody::ContactUpdated { changes } => changes.clone(),
        EventBody::ConversationStatusChanged { from, to } => {
            Changes::from([("status".to_owned(), [from.as_str().into(), to.as_str().into()])])
        }
        _ => Changes::new(),
    }
}

/// What kind of value a field holds. Any of them may also be missing.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Text.
    Text,
    /// An integer.
    Number,
    /// True or false.
    Flag,
    /// A moment in time.
    Moment,
    /// A list of texts.
    List,
    /// Whatever was stored.
    Any,
    /// One of these words.
    Word(&'static [&'static str]),
    /// The name of a group.
    Group,
    /// The e-mail of an agent.
    Agent,
    /// The name of an event.
    Event,
    /// Fields of its own.
    Fields(&'static Fact),
}

impl Shape {
    /// How the documentation calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Flag => "true or false",
            Self::Moment => "moment",
            Self::List => "list of texts",
            Self::Any => "any value",
            Self::Word(_) => "word",
            Self::Group => "group name",
            Self::Agent => "agent e-mail",
            Self::Event => "event name",
            Self::Fields(_) => "fields",
        }
    }
}

/// One field of a fact.
pub struct Field {
    /// As scripts write it.
    pub name: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// One sentence.
    pub doc: &'static str,
    get: fn(&Arc<Snapshot>) -> Dynamic,
}

/// Answers for a name; `None` when it has no opinion.
type ByName = fn(&Arc<Snapshot>, &str) -> Option<Dynamic>;

/// One of the names that scripts can read.
pub struct Fact {
    /// As scripts write it.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
    /// Answers before the fields do; `None` leaves it to them.
    by_name: Option<ByName>,
    /// Is there anything to see for this event?
    is_present: fn(&Snapshot) -> bool,
}

impl Fact {
    /// The field with this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.name == name)
    }

    /// Are its fields a fixed list, so that another name is a mistake?
    pub fn is_closed(&self) -> bool {
        !self.fields.is_empty()
    }
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What a script holds when it names a fact.
#[derive(Clone)]
pub(crate) struct View {
    fact: &'static Fact,
    snapshot: Arc<Snapshot>,
}

impl View {
    pub(crate) fn new(fact: &'static Fact, snapshot: &Arc<Snapshot>) -> Self {
        Self { fact, snapshot: snapshot.clone() }
    }

    fn get(&mut self, name: ImmutableString) -> Result<Dynamic, Box<EvalAltResult>> {
        if let Some(value) = self.fact.by_name.and_then(|by_name| by_name(&self.snapshot, &name)) {
            return Ok(value);
        }
        match self.fact.field(&name) {
            Some(field) => Ok((field.get)(&self.snapshot)),
            None => Err(Wrong::new("unknown_field", unknown_field(self.fact, &name)).into()),
        }
    }
}

/// The stored name of a field of `event` that belongs to some events only; `None` for those of every event.
pub(crate) fn stored_as(name: &str) -> Option<&str> {
    Some(match name {
        "type" | "id" | "at" | "actor" | "depth" => return None,
        "ends_at" => "ends_at_ms",
        "closes_at" => "closes_at_ms",
        "closed_at" => "closed_at_ms",
        "until" => "until_ms",
        "is_on" => "on",
        same => same,
    })
}

/// The sentence for a field that a fact does not have.
pub(crate) fn unknown_field(fact: &Fact, name: &str) -> String {
    let message = format!("`{}` has no field `{name}`", fact.name);
    match nearest(name, fact.fields.iter().map(|f| f.name)) {
        Some(near) => format!("{message}; did you mean `{near}`?"),
        None => message,
    }
}

/// Teaches the engine to read views and moments.
pub(crate) fn register(engine: &mut rhai::Engine) {
    engine
        .register_type_with_name::<View>("facts")
        .register_indexer_get(View::get)
        .register_fn("==", |a: View, _: ()| !(a.fact.is_present)(&a.snapshot))
        .register_fn("!=", |a: View, _: ()| (a.fact.is_present)(&a.snapshot))
        .register_fn("==", |_: (), a: View| !(a.fact.is_present)(&a.snapshot))
        .register_fn("!=", |_: (), a: View| (a.fact.is_present)(&a.snapshot));
    moment::register(engine);
}

/// JSON as a script value; null is `()`.
pub(crate) fn from_json(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer.into(),
            (None, Some(float)) => float.into(),
            (None, None) => Dynamic::UNIT,
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(from_json).collect::<Array>().into(),
        Value::Object(fields) => {
            fields.iter().map(|(k, v)| (k.as_str().into(), from_json(v))).collect::<Map>().into()
        }
    }
}

/// A script value as JSON; `None` when it holds something that JSON has no word for.
pub(crate) fn to_json(value: &Dynamic) -> Option<Value> {
    if let Some(moment) = value.read_lock::<Moment>() {
        return Some(Value::String(moment.to_string()));
    }
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().map(to_json).collect::<Option<Vec<_>>>().map(Value::Array);
    }
    if let Some(fields) = value.read_lock::<Map>() {
        let pairs = fields.iter().map(|(k, v)| Some((k.to_string(), to_json(v)?)));
        return pairs.collect::<Option<serde_json::Map<_, _>>>().map(Value::Object);
    }
    match value.type_id() {
        _ if value.is_unit() => Some(Value::Null),
        _ if value.is_bool() => value.as_bool().ok().map(Value::Bool),
        _ if value.is_int() => value.as_int().ok().map(Value::from),
        _ if value.is_float() => {
            value.as_float().ok().and_then(serde_json::Number::from_f64).map(Value::Number)
        }
        _ if value.is_string() => {
            value.clone().into_immutable_string().ok().map(|t| Value::String(t.to_string()))
        }
        _ if value.is_char() => value.as_char().ok().map(|c| Value::String(c.to_string())),
        _ => None,
    }
}

/// Whatever a fact holds, as a script value.
trait Shown {
    fn shown(self) -> Dynamic;
}

macro_rules! shown {
    ($($type:ty => |$value:ident| $dynamic:expr;)*) => {$(
        impl Shown for $type { fn shown(self) -> Dynamic { let $value = self; $dynamic } }
    )*};
}
shown! {
    bool => |v| v.into();
    i64 => |v| v.into();
    u32 => |v| i64::from(v).into();
    &str => |v| v.into();
    String => |v| v.into();
    Moment => |v| Dynamic::from(v);
    View => |v| Dynamic::from(v);
    Dynamic => |v| v;
    &[String] => |v| v.iter().map(|t| t.as_str().into()).collect::<Array>().into();
}

impl<T: Shown> Shown for Option<T> {
    fn shown(self) -> Dynamic {
        self.map_or(Dynamic::UNIT, Shown::shown)
    }
}

fn stored(values: &BTreeMap<String, Value>, name: &str) -> Option<Dynamic> {
    Some(values.get(name).map_or(Dynamic::UNIT, from_json))
}
