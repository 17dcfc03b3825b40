//! An intent as the line of a rule that asks for it: for cases and traces, never
//! for logs, since it holds what is said to contacts.

use serde_json::Value;

use super::{Assignee, Button, Intent, TemplateCall};
use crate::duration;

impl Intent {
    /// The call that asks for this, e.g. `route_to_group("Billing")`.
    pub fn as_call(&self) -> String {
        let arguments = match self {
            Self::Archive
            | Self::Reopen
            | Self::AskInsights
            | Self::OptOut
            | Self::BlockContact
            | Self::StopRules => vec![],
            Self::RouteToGroup { group: text }
            | Self::AssignByPolicy { policy: text }
            | Self::AddNote { text }
            | Self::CancelTimer { name: text }
            | Self::RunRule { name: text } => vec![quoted(text)],
            Self::AssignAgent { agent: Assignee::Agent { name } } => vec![quoted(name)],
            Self::AssignAgent { agent: Assignee::LastResponding } => vec![quoted("last_responding")],
            Self::AssignAgent { agent: Assignee::Nobody } => vec!["()".to_owned()],
            Self::EndChat { status } | Self::SetStatus { status } => vec![quoted(status.word())],
            Self::Snooze { until_ms } => vec![quoted(&duration::moment_to_text(*until_ms))],
            Self::SetPriority { priority } => vec![quoted(priority.word())],
            Self::AddLabels { labels } | Self::RemoveLabels { labels } => {
                vec![list(labels.iter().map(|l| quoted(l)))]
            }
            Self::SetAttribute { key, value } => vec![quoted(key), literal(value)],
            Self::Escalate { level, reason } => vec![level.to_string(), quoted(reason)],
            Self::SetAi { on, for_ms, reason } => {
                let for_ms = for_ms.map(|ms| quoted(&duration::to_text(ms)));
                let on = if *on { "on" } else { "off" };
                optional(vec![on.to_owned()], [for_ms, reason.as_deref().map(quoted)])
            }
            Self::SendMessage { text, buttons } if buttons.is_empty() => vec![quoted(text)],
            Self::SendMessage { text, buttons } => vec![message(text, buttons)],
            Self::SendTemplate(call) => template(vec![], call),
            Self::SendMessageOrTemplate { text, template: call } => template(vec![quoted(text)], call),
            Self::Notify { who, text } => vec![quoted(who), quoted(text)],
            Self::CallWebhook { name, payload } => {
                optional(vec![quoted(name)], [(!payload.is_null()).then(|| literal(payload))])
            }
            Self::StartTimer { name, after_ms, calendar, keep } => {
                let options = match (calendar, keep) {
                    (None, false) => None,
                    (Some(calendar), false) => Some(quoted(calendar)),
                    (None, true) => Some("#{ keep: true }".to_owned()),
                    (Some(calendar), true) => {
                        Some(format!("#{{ calendar: {}, keep: true }}", quoted(calendar)))
                    }
                };
                optional(vec![quoted(name), quoted(&duration::to_text(*after_ms))], [options])
            }
        };
        format!("{}({})", self.word(), arguments.join(", "))
    }
}

/// Leaves trailing missing arguments out and writes `()` for the others.
fn optional<const N: usize>(mut given: Vec<String>, rest: [Option<String>; N]) -> Vec<String> {
    let count = rest.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    given.extend(rest.into_iter().take(count).map(|argument| argument.unwrap_or_else(|| "()".to_owned())));
    given
}

fn template(mut before: Vec<String>, call: &TemplateCall) -> Vec<String> {
    before.push(quoted(&call.name));
    let slots = call.slots.iter().map(|(name, text)| format!("{}: {}", key(name), quoted(text)));
    let slots = (!call.slots.is_empty()).then(|| format!("#{{ {} }}", slots.collect::<Vec<_>>().join(", ")));
    optional(before, [call.language.as_deref().map(quoted), slots])
}

fn message(text: &str, buttons: &[Button]) -> String {
    let button = |b: &Button| format!("#{{ id: {}, title: {} }}", quoted(&b.id), quoted(&b.title));
    format!("#{{ text: {}, buttons: {} }}", quoted(text), list(buttons.iter().map(button)))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// Text as a rule writes it.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Map keys need quotes unless they are plain words.
pub(crate) fn key(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { quoted(name) }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "()".to_owned(),
        Value::String(text) => quoted(text),
        Value::Array(items) => list(items.iter().map(literal)),
        Value::Object(fields) => {
            let pairs: Vec<String> =
                fields.iter().map(|(k, v)| format!("{}: {}", key(k), literal(v))).collect();
            format!("#{{ {} }}", pairs.join(", "))
        }
        plain => plain.to_string(),
    }
}
