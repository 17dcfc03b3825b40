//! A case written down from something that really happened. Names, numbers and
//! addresses of people are replaced by harmless ones, because cases are kept with
//! rules and may end up where anybody can read them.

use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::given;
use crate::decide::{RuleRun, RunOutcome};
use crate::duration;
use crate::event::Event;
use crate::facts::Facts;
use crate::intent::Intent;
use crate::names::Thing;
use crate::script::Script;

/// Stands for the contact, as in the plain situation.
const NAME: &str = "Kim";
/// Stands for every number.
const PHONE: &str = "+34600000001";
/// Stands for every e-mail address.
const EMAIL: &str = "kim@example.com";
/// Stands for whoever has the conversation.
const AGENT: &str = "Ana";
/// Shorter parts of names are words like any other.
const NAME_PART_CHARS_MIN: usize = 3;
/// Facts that are ids, are large, or come by themselves.
const LEFT_OUT: &[&str] =
    &["id", "rule_starts", "media", "default_group", "assigned_agent", "now_ms", "changes", "at_ms"];
/// Fields of events that are ids and come by themselves.
const IDS: &[&str] = &["message", "rule", "timer", "attachment"];

/// The case as TOML, to be appended to a file of cases.
///
/// # Errors
/// The rule was skipped, so there is nothing to expect; one sentence.
pub fn write(
    name: &str,
    script: &Script,
    (event, facts): (&Event, &Facts),
    run: &RuleRun,
) -> Result<String, String> {
    if let RunOutcome::Skipped { .. } = run.outcome {
        return Err("the rule was skipped here, so there is nothing that a case could expect".to_owned());
    }
    let harmless = Harmless::of(facts);
    let body = told(event)?;
    let usual = script.header().on.first().map(|kind| json!(kind.name()));
    let is_usual = body.len() == 1 && body.get("type") == usual.as_ref();
    let names = names(script, facts);
    let case = Written {
        name: harmless.text(name),
        event: (!is_usual).then(|| harmless.value(&Value::Object(body))),
        caused_by_rule: (!event.cause.chain.is_empty()).then_some(true),
        directory: (!names.is_empty()).then_some(Value::Object(names)),
        given: harmless.value(&Value::Object(differences(event, facts)?)),
        ..expected(&harmless, run)
    };
    toml::to_string(&File { case: [case] }).map_err(|error| error.to_string())
}

/// A file with one case.
#[derive(Serialize)]
struct File {
    case: [Written; 1],
}

/// A case in the order in which people read it.
#[derive(Default, Serialize)]
struct Written {
    name: String,
    caused_by_rule: Option<bool>,
    expect: Option<Vec<String>>,
    refused: Option<Vec<String>>,
    fails: Option<String>,
    none: Option<bool>,
    event: Option<Value>,
    given: Value,
    directory: Option<Value>,
}

/// The event without what every such event has by itself.
fn told(event: &Event) -> Result<Map<String, Value>, String> {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(&event.body) else {
        return Err("the event cannot be written".to_owned());
    };
    fields.retain(|name, value| !value.is_null() && !IDS.contains(&name.as_str()));
    for field in ["assignee", "previous"] {
        if let Some(value) = fields.get_mut(field) {
            *value = json!(AGENT);
        }
    }
    Ok(fields)
}

/// What the rule names and the usual directory does not have.
fn names(script: &Script, facts: &Facts) -> Map<String, Value> {
    let usual = given::default_directory();
    let directory = &facts.directory;
    let mut found: Map<String, Value> = Map::new();
    let mut add = |list: &str, value: Value| {
        let list = found.entry(list).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut().filter(|list| !list.contains(&value)) {
            list.push(value);
        }
    };
    let group = facts.conversation.group.and_then(|id| directory.group_by_id(id));
    if let Some(group) = group.filter(|group| usual.group(&group.name).is_none()) {
        add("groups", json!(group.name));
    }
    for (thing, name) in script.names() {
        if thing.missing(name, &usual).is_none() || thing.missing(name, directory).is_some() {
            continue;
        }
        match thing {
            Thing::Group | Thing::Recipient => add("groups", json!(name)),
            Thing::Webhook => add("webhooks", json!(name)),
            Thing::Rule => add("rules", json!(name)),
            Thing::Calendar => {
                if let Some(it) = directory.calendar(name) {
                    let calendar = &it.calendar;
                    add(
                        "calendars",
                        json!({"name": it.name, "timezone": calendar.timezone, "intervals": calendar.intervals,
                            "holidays": calendar.holidays}),
                    );
                }
            }
            Thing::Template => {
                for it in directory.templates.iter().filter(|it| it.name == name) {
                    add(
                        "templates",
                        json!({"name": it.name, "language": it.language, "slots": it.slots, "status": it.status}),
                    );
                }
            }
            Thing::Agent => {} // people are not named in cases
        }
    }
    found
}

/// The facts in which this situation is not the plain one.
fn differences(event: &Event, facts: &Facts) -> Result<Map<String, Value>, String> {
    let plain = given::defaults(&event.body, &facts.channel.kind, facts.now_ms)?;
    let mut real = serde_json::to_value(facts).map_err(|error| error.to_string())?;
    let group = facts.conversation.group.and_then(|id| facts.directory.group_by_id(id));
    if let Some(Value::Object(conversation)) = real.get_mut("conversation") {
        conversation.insert("group".to_owned(), json!(group.map(|group| &group.name)));
        conversation.insert("assignee".to_owned(), json!(facts.conversation.assignee.map(|_| AGENT)));
        conversation.insert(
            "ai".to_owned(),
            json!(if facts.conversation.ai.is_on(facts.now_ms) { "on" } else { "off" }),
        );
    }
    // Who it is does not matter, only whether it is known.
    for (name, stands_in) in [("name", NAME), ("phone", PHONE)] {
        if let Some(value) = real.pointer_mut(&format!("/contact/{name}")).filter(|value| !value.is_null()) {
            *value = json!(stands_in);
        }
    }
    let mut found = Map::from_iter([("now".to_owned(), json!(duration::moment_to_text(facts.now_ms)))]);
    for part in ["message", "conversation", "contact", "channel"] {
        let (Some(real), Some(plain)) = (real.get(part), plain.get(part)) else { continue };
        let changed = match (real, plain) {
            (Value::Object(real), Value::Object(plain)) => different(real, plain),
            _ => Map::new(),
        };
        if !changed.is_empty() || part == "message" && real.is_object() {
            found.insert(part.to_owned(), Value::Object(changed));
        }
    }
    // The kind decides what else is usual, so it is always said.
    let channel = found.entry("channel").or_insert_with(|| json!({}));
    if let Value::Object(channel) = channel {
        channel.insert("kind".to_owned(), json!(facts.channel.kind));
    }
    Ok(found)
}

fn different(real: &Map<String, Value>, plain: &Map<String, Value>) -> Map<String, Value> {
    let mut found = Map::new();
    for (name, value) in real.iter().filter(|(name, _)| !LEFT_OUT.contains(&name.as_str())) {
        let usual = plain.get(name).unwrap_or(&Value::Null);
        if value == usual || name == "ai" && usual.get("state") == Some(value) {
            continue;
        }
        let (name, value) = match (name.strip_suffix("_ms"), value, usual) {
            (_, Value::Object(real), Value::Object(plain)) if name == "capabilities" => {
                (name.clone(), Value::Object(different(real, plain)))
            }
            (Some(plain), Value::Number(ms), _) => {
                (format!("{plain}_at"), json!(ms.as_i64().map(duration::moment_to_text)))
            }
            (Some(plain), Value::Null, _) => (format!("{plain}_at"), json!("()")),
            (_, Value::Null, _) => (name.clone(), json!("()")),
            _ => (name.clone(), value.clone()),
        };
        found.insert(name, value);
    }
    found
}

/// What is expected: what the rule did.
fn expected(harmless: &Harmless, run: &RuleRun) -> Written {
    if let RunOutcome::Failed { problem } = &run.outcome {
        return Written { fails: Some(problem.code.to_string()), ..Written::default() };
    }
    let is_refused =
        |line: u32, intent: &Intent| run.refusals.iter().any(|it| it.line == line && it.intent == *intent);
    let done = run.intents.iter().filter(|(line, intent)| !is_refused(*line, intent));
    let done: Vec<String> = done.map(|(_, intent)| harmless.text(&intent.as_call())).collect();
    let refused: Vec<String> = run.refusals.iter().map(|it| it.code.clone()).collect();
    Written {
        none: (done.is_empty() && refused.is_empty()).then_some(true),
        expect: (!done.is_empty()).then_some(done),
        refused: (!refused.is_empty()).then_some(refused),
        ..Written::default()
    }
}

/// Replaces what tells who somebody is.
struct Harmless {
    names: Vec<Regex>,
}

impl Harmless {
    fn of(facts: &Facts) -> Self {
        let whole = facts.contact.name.iter().map(String::as_str);
        let parts = facts.contact.name.iter().flat_map(|name| name.split_whitespace());
        let agents =
            facts.directory.agents.iter().flat_map(|agent| [agent.email.as_str(), agent.name.as_str()]);
        let contact = whole.chain(parts).map(|name| (name, false));
        let mut names: Vec<(&str, bool)> = contact.chain(agents.map(|name| (name, true))).collect();
        names.retain(|(name, _)| name.chars().count() >= NAME_PART_CHARS_MIN);
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let pattern = |name: &str| Regex::new(&format!(r"(?i)\b{}\b", regex::escape(name))).ok();
        Self { names: names.iter().filter_map(|(name, _)| pattern(name)).collect() }
    }

    fn text(&self, text: &str) -> String {
        static EMAILS: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"[\w.+-]+@[\w-]+(\.[\w-]+)+").ok());
        static NUMBERS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\+?\d[\d\s().-]{5,}\d").ok());
        let mut text = text.to_owned();
        for name in &self.names {
            text = name.replace_all(&text, NAME).into_owned();
        }
        for (pattern, stands_in) in [(&EMAILS, EMAIL), (&NUMBERS, PHONE)] {
            if let Some(pattern) = pattern.as_ref() {
                text = pattern.replace_all(&text, stands_in).into_owned();
            }
        }
        text
    }

    /// All texts in it, but moments.
    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if duration::parse_moment_ms(text).is_some() => value.clone(),
            Value::String(text) => json!(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), self.value(value))).collect()
            }
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Cases, run_cases};
    use crate::decide::{CompiledRule, RuleSet, decide};
    use crate::event::EventKind;
    use crate::facts::Status;
    use crate::ids::{RuleId, RuleVersionId};
    use crate::sandbox::Stopwatch;

    const RULE: &str = "//! Refunds\n//! on: message.received\n\nif message.text.contains_any([\"refund\"]) {\n    \
        send_message(\"Sorry, \" + contact.name + \"!\");\n    route_to_group(\"Complaints\");\n}\n";

    fn recorded(change: impl FnOnce(&mut Facts)) -> (String, Script) {
        let (event, mut facts) = given::situation_of(EventKind::MessageReceived);
        let mut directory = given::default_directory();
        let mut group = directory.groups[0].clone();
        group.id = crate::ids::GroupId::new(7, 7);
        group.name = "Complaints".to_owned();
        directory.groups.push(group);
        facts.directory = std::sync::Arc::new(directory);
        facts.contact.name = Some("Maria Lopez".to_owned());
        facts.contact.phone = Some("+34611222333".to_owned());
        change(&mut facts);
        let script = Script::parse(RULE).expect("sound");
        let rule =
            CompiledRule { id: RuleId::new(0, 1), version: RuleVersionId::new(0, 1), script: script.clone() };
        let decision = decide(&RuleSet::new(vec![rule]), &event, &facts, &Stopwatch::stopped());
        let text =
            write("Maria wants a refund", &script, (&event, &facts), &decision.runs[0]).expect("written");
        (text, script)
    }

    #[test]
    fn a_real_conversation_becomes_a_case_that_passes_and_names_nobody() {
        let (text, script) = recorded(|facts| {
            facts.conversation.status = Status::Pending;
            facts.conversation.group = Some(crate::ids::GroupId::new(7, 7));
            facts.conversation.window_closes_ms = None;
            if let Some(message) = &mut facts.message {
                message.text =
                    Some("refund for Maria Lopez, call +34 611 222 333 or maria@lopez.example".to_owned());
            }
        });
        for secret in ["Maria", "Lopez", "lopez", "611"] {
            assert!(!text.contains(secret), "{secret} in\n{text}");
        }
        assert!(text.contains("Complaints") && text.contains("pending"), "{text}");
        let cases = Cases::parse(&text).expect("readable");
        let results = run_cases(&script, &cases);
        assert!(results.iter().all(|it| it.passed), "{}\n{text}", results[0].diff);
        assert_eq!(results.len(), 1);
    }

    #[test]
    fn doing_nothing_is_a_case_too() {
        let (text, script) = recorded(|_| {});
        assert!(text.contains("none = true"), "{text}");
        let results = run_cases(&script, &Cases::parse(&text).expect("readable"));
        assert!(results[0].passed, "{}", results[0].diff);
    }
}
