//! The whole language as data: what editors, the console and the documentation
//! show. Made from the tables that check and run rules, so that it cannot say
//! anything else than they do.

pub mod markdown;

use serde::Serialize;

use crate::event::EventKind;
use crate::form::Operator;
use crate::schedule::filter::FIELDS as FILTER_FIELDS;
use crate::view::{FACTS, Fact, Shape, stored_as};
use crate::vocabulary::{Kind, words};

/// Every word of the language.
#[derive(Debug, Serialize)]
pub struct Vocabulary {
    /// Keys of the header, in the order of the documentation.
    pub header: Vec<KeyDoc>,
    /// Fields of the header's `where`.
    pub filter: Vec<FilterDoc>,
    /// What can start a rule.
    pub events: Vec<EventDoc>,
    /// What a rule can read.
    pub facts: Vec<FactDoc>,
    /// What a rule can call.
    pub functions: Vec<FunctionDoc>,
    /// What the types of arguments take.
    pub types: Vec<TypeDoc>,
    /// How forms compare facts.
    pub operators: Vec<OperatorDoc>,
}

/// A key of the header.
#[derive(Debug, Serialize)]
pub struct KeyDoc {
    /// As it is written before the colon.
    pub key: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Without the line; absent when there must be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<&'static str>,
    /// A line that works.
    pub example: &'static str,
}

/// A field of `where`.
#[derive(Debug, Serialize)]
pub struct FilterDoc {
    /// Its name.
    pub field: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// A condition that works.
    pub example: &'static str,
}

/// An event.
#[derive(Debug, Serialize)]
pub struct EventDoc {
    /// As `on` names it.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// What `event` has for it beyond what every event has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldDoc>,
}

/// A name that rules can read.
#[derive(Debug, Serialize)]
pub struct FactDoc {
    /// The name.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Its fields; free names when there are none.
    pub fields: Vec<FieldDoc>,
}

/// A field.
#[derive(Debug, Serialize)]
pub struct FieldDoc {
    /// With dots when it belongs to another field.
    pub name: String,
    /// The type of its value; any value may also be missing.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// The only words that it can hold.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub words: &'static [&'static str],
}

/// A function.
#[derive(Debug, Serialize)]
pub struct FunctionDoc {
    /// Its name.
    pub name: &'static str,
    /// `intent`: asks for something; `text`: compares the text before the dot; `fact`: looks something up.
    pub family: &'static str,
    /// How it is written.
    pub signature: String,
    /// What it takes, in order. A text helper's first one stands before the dot.
    pub arguments: Vec<ArgumentDoc>,
    /// One sentence.
    pub doc: &'static str,
    /// A line that works.
    pub example: &'static str,
    /// The fields of what it answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldDoc>,
}

/// An argument.
#[derive(Debug, Serialize)]
pub struct ArgumentDoc {
    /// Its name in the documentation.
    pub name: &'static str,
    /// Its type; see `types`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Must it be given?
    pub required: bool,
    /// The only words that it can be.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub words: &'static [&'static str],
}

/// A type of argument.
#[derive(Debug, Serialize)]
pub struct TypeDoc {
    /// Its name.
    pub name: &'static str,
    /// What may stand there.
    pub doc: &'static str,
}

/// A comparison of a form.
#[derive(Debug, Serialize)]
pub struct OperatorDoc {
    /// What stands after `is`.
    pub name: Operator,
    /// What it says about the fact.
    pub doc: &'static str,
    /// The types of facts that it compares; every type when absent.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub types: &'static [&'static str],
}

/// All of it.
pub fn describe() -> Vocabulary {
    let filter = FILTER_FIELDS.iter().map(|(field, doc, example)| FilterDoc { field, doc, example });
    let now = FactDoc { name: "now", doc: "The moment of the decision.", fields: Vec::new() };
    let facts = FACTS.iter().map(|f| FactDoc { name: f.name, doc: f.doc, fields: fields_of(f, "") });
    Vocabulary {
        header: HEADER
            .iter()
            .map(|(key, doc, default, example)| KeyDoc { key, doc, default: *default, example })
            .collect(),
        filter: filter.collect(),
        events: EventKind::ALL.iter().copied().map(event).collect(),
        facts: facts.chain([now]).collect(),
        functions: words().iter().map(|word| function(word)).collect(),
        operators: Operator::ALL
            .iter()
            .map(|operator| OperatorDoc { name: *operator, doc: operator.doc(), types: operator.types() })
            .collect(),
        types: Kind::ALL.iter().map(|kind| TypeDoc { name: kind.word(), doc: kind.doc() }).collect(),
    }
}

type Key = (&'static str, &'static str, Option<&'static str>, &'static str);

const HEADER: &[Key] = &[
    (
        "on",
        "The events that start the rule, with commas between them.",
        None,
        "on: message.received, conversation.reopened",
    ),
    (
        "channels",
        "Only on these kinds of channels, or channels by id.",
        Some("every channel"),
        "channels: whatsapp, sms",
    ),
    (
        "stage",
        "`reply` talks to the customer and only the first such rule that asks for something counts; `background` works unseen and all of them run.",
        Some("background"),
        "stage: reply",
    ),
    ("position", "Lower runs earlier.", Some("100"), "position: 20"),
    (
        "enabled",
        "Does it run once it is published for the first time? Later the switch of the rule counts.",
        Some("true"),
        "enabled: false",
    ),
    ("chain", "May it also run on what other rules caused?", Some("false"), "chain: true"),
    ("cron", "For `schedule.tick`: minute, hour, day of month, month, weekday.", None, "cron: 0 9 * * 1-5"),
    (
        "timezone",
        "For `schedule.tick`: whose wall clock `cron` means.",
        Some("UTC"),
        "timezone: Europe/Madrid",
    ),
    (
        "where",
        "For `schedule.tick`: which conversations a tick is for.",
        Some("status != closed"),
        "where: status = open and waiting > 30m",
    ),
];

fn event(kind: EventKind) -> EventDoc {
    let table = FACTS.iter().find(|fact| fact.name == "event");
    let own = table.map_or(&[][..], |fact| fact.fields).iter().filter_map(|field| {
        let stored = stored_as(field.name)?;
        let (_, doc) = kind.fields().iter().find(|(name, _)| *name == stored)?;
        Some(FieldDoc { doc: doc.trim_ascii(), ..field_doc(field.name.to_owned(), field.shape, "") })
    });
    EventDoc { name: kind.name(), doc: kind.doc(), fields: own.collect() }
}

fn function(word: &crate::vocabulary::Word) -> FunctionDoc {
    let arguments = word.params.iter().enumerate().map(|(index, param)| ArgumentDoc {
        name: param.name,
        kind: param.kind.word(),
        required: index < word.required,
        words: param.kind.words(),
    });
    let fields = word.fields().iter().map(|f| field_doc(f.name.to_owned(), f.shape, f.doc));
    FunctionDoc {
        name: word.name,
        family: word.family(),
        signature: word.signature(),
        arguments: arguments.collect(),
        doc: word.doc,
        example: word.example,
        fields: fields.collect(),
    }
}

fn field_doc(name: String, shape: Shape, doc: &'static str) -> FieldDoc {
    let words = if let Shape::Word(words) = shape { words } else { &[] };
    FieldDoc { name, kind: shape.word(), doc, words }
}

fn fields_of(fact: &Fact, prefix: &str) -> Vec<FieldDoc> {
    let mut out = Vec::new();
    for field in fact.fields {
        let name = format!("{prefix}{}", field.name);
        let nested = match field.shape {
            Shape::Fields(inner) => fields_of(inner, &format!("{name}.")),
            _ => Vec::new(),
        };
        out.push(field_doc(name, field.shape, field.doc));
        out.extend(nested);
    }
    out
}

#[cfg(test)]
mod tests;
