//! The situation of a case: a plain WhatsApp conversation with "Hello" just
//! received on Friday 2025-11-21 10:00 UTC, and whatever the case says otherwise.
//!
//! `given` uses the names of the facts. Groups and agents may be named, moments
//! written as RFC 3339 or relative to now (`"-2h"`), and a channel's `kind` brings
//! its usual capabilities; `"()"` is a missing value.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::assign::Assignment;
use crate::calendar::{Calendar, Interval};
use crate::duration;
use crate::event::{Cause, Event, EventBody, EventKind};
use crate::facts::{
    AgentFacts, CalendarFacts, Capabilities, ChannelFacts, Directory, Facts, GroupFacts, TemplateFacts,
    Window,
};
use crate::ids::{
    CalendarId, ChannelId, ConversationId, EventId, GroupId, MessageId, RuleId, TemplateId, TimerId, UserId,
};
use crate::names::Thing;
use crate::problem::{Problem, nearest};
use crate::quota::Quotas;
use crate::sla::Targets;

/// When cases happen: Friday 2025-11-21 10:00 UTC.
pub const NOW_MS: i64 = 1_763_719_200_000;

const DAY_MS: i64 = 86_400_000;
/// Facts that are not written when empty, so that the default does not show them.
const LEFT_OUT: &[&str] = &["changes", "automatic_ms", "rule_starts", "timers"];
/// Facts whose keys are free.
const FREE: &[&str] = &["attributes", "changes"];

/// What a file of cases adds to the default directory.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DirectoryExtra {
    groups: Vec<String>,
    calendars: Vec<CalendarExtra>,
    templates: Vec<TemplateExtra>,
    webhooks: Vec<String>,
    rules: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CalendarExtra {
    name: String,
    timezone: String,
    intervals: Vec<Interval>,
    #[serde(default)]
    holidays: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateExtra {
    name: String,
    language: String,
    #[serde(default)]
    slots: Vec<String>,
    #[serde(default = "approved")]
    status: String,
}

fn approved() -> String {
    "approved".to_owned()
}

/// A number that no other default id of the same kind has.
fn nth(index: usize) -> u128 {
    index as u128 + 1
}

fn channel_id() -> ChannelId {
    ChannelId::new(0, 1)
}

/// Groups Support, Billing and Sales; agents Ana (online, in all of them) and Ben
/// (offline, in Support); calendar `Office hours` (Madrid, weekdays 9 to 17);
/// template `follow_up` with slot `name` in `en` and `es`; webhook `crm`; rule `Tag orders`.
pub fn default_directory() -> Directory {
    let agent = |index, name: &str, online| AgentFacts {
        id: UserId::new(0, nth(index)),
        email: format!("{}@example.com", name.to_lowercase()),
        name: name.to_owned(),
        online,
        sees_all: false,
    };
    let agents = vec![agent(0, "Ana", true), agent(1, "Ben", false)];
    let group = |index, name: &str, members: usize| GroupFacts {
        id: GroupId::new(0, nth(index)),
        name: name.to_owned(),
        members: agents.iter().take(members).map(|a| a.id).collect(),
        calendar: None,
        language: None,
        assignment: Assignment::default(),
        targets: Targets::default(),
    };
    let groups = vec![group(0, "Support", 2), group(1, "Billing", 1), group(2, "Sales", 1)];
    let weekday =
        |day: &str| Interval { day: day.to_owned(), from: "09:00".to_owned(), to: "17:00".to_owned() };
    let office = Calendar {
        timezone: "Europe/Madrid".to_owned(),
        intervals: ["mon", "tue", "wed", "thu", "fri"].map(weekday).to_vec(),
        holidays: Vec::new(),
    };
    let template = |index, language: &str| TemplateFacts {
        id: TemplateId::new(0, nth(index)),
        channel: channel_id(),
        name: "follow_up".to_owned(),
        language: language.to_owned(),
        status: approved(),
        slots: vec!["name".to_owned()],
    };
    Directory {
        groups,
        agents,
        calendars: vec![CalendarFacts {
            id: CalendarId::new(0, 1),
            name: "Office hours".to_owned(),
            calendar: office,
        }],
        templates: vec![template(0, "en"), template(1, "es")],
        webhooks: vec!["crm".to_owned()],
        quotas: Quotas::default(),
        rules: vec![("Tag orders".to_owned(), RuleId::new(0, 3))],
    }
}

impl DirectoryExtra {
    /// Adds what is not there yet.
    pub(super) fn add_to(self, directory: &mut Directory) -> Result<(), Problem> {
        let members: Vec<UserId> = directory.agents.iter().map(|a| a.id).collect();
        for name in self.groups {
            if directory.group(&name).is_some() {
                continue;
            }
            directory.groups.push(GroupFacts {
                id: GroupId::new(1, nth(directory.groups.len())),
                name,
                members: members.clone(),
                calendar: None,
                language: None,
                assignment: Assignment::default(),
                targets: Targets::default(),
            });
        }
        for CalendarExtra { name, timezone, intervals, holidays } in self.calendars {
            let calendar = Calendar { timezone, intervals, holidays };
            let wrong = |error| Problem::new(0, 0, "bad_case", format!("calendar `{name}`: {error}"));
            calendar.validate().map_err(wrong)?;
            if directory.calendar(&name).is_none() {
                let id = CalendarId::new(1, nth(directory.calendars.len()));
                directory.calendars.push(CalendarFacts { id, name, calendar });
            }
        }
        for TemplateExtra { name, language, slots, status } in self.templates {
            let is_there = |it: &TemplateFacts| it.name == name && it.language == language;
            if !directory.templates.iter().any(is_there) {
                let id = TemplateId::new(1, nth(directory.templates.len()));
                let channel = channel_id();
                directory.templates.push(TemplateFacts { id, channel, name, language, status, slots });
            }
        }
        directory.webhooks.extend(self.webhooks);
        for name in self.rules {
            if !directory.rules.iter().any(|(known, _)| *known == name) {
                directory.rules.push((name, RuleId::new(1, nth(directory.rules.len()))));
            }
        }
        Ok(())
    }
}

/// What a kind of channel usually can do, for cases only; the truth is the plugin's manifest.
pub fn usual_capabilities(kind: &str) -> Capabilities {
    let whatsapp = kind == "whatsapp";
    let (text_max, buttons_max) = match kind {
        "whatsapp" => (4_096, 3),
        "sms" => (1_600, 0),
        _ => (4_096, 10),
    };
    Capabilities {
        text_max,
        text_unit: "characters".to_owned(),
        attachments_max: 10,
        media: Vec::new(),
        window: if whatsapp { Window::SinceLastInbound { seconds: 86_400 } } else { Window::None },
        first_message_needs_template: whatsapp,
        templates: whatsapp,
        buttons_max,
        list_rows_max: buttons_max,
        reactions: whatsapp,
        replies: kind != "sms",
        read_receipts: kind != "sms",
        typing: kind == "webchat",
        delivery_reports: if kind == "webchat" { "sent" } else { "read" }.to_owned(),
        echoes: false,
        idempotent_send: false,
        messages_per_second: 0,
        unsigned_webhooks: false,
        beta: false,
    }
}

/// The event and facts of a case.
pub(super) fn situation(
    kind: Option<EventKind>,
    event: Option<&toml::Table>,
    given: &toml::Table,
    directory: &Directory,
    rule: RuleId,
) -> Result<(Event, Facts), String> {
    let fields = match event.map(serde_json::to_value) {
        Some(Ok(Value::Object(fields))) => fields,
        Some(Err(error)) => return Err(error.to_string()),
        _ => Map::new(),
    };
    let given = serde_json::to_value(given).map_err(|error| error.to_string())?;
    invented(kind, fields, &given, (directory, None), rule, NOW_MS)
}

/// A situation that never was: the plain one with what `event` and `given` say otherwise, in the words of cases.
/// `kind`: the event if `event` has no `type`; a `channel` of the tenant brings its own capabilities.
///
/// # Errors
/// One sentence about what cannot be, naming the field.
pub fn invented(
    kind: Option<EventKind>,
    event: Map<String, Value>,
    given: &Value,
    (directory, channel): (&Directory, Option<&ChannelFacts>),
    rule: RuleId,
    usual_now_ms: i64,
) -> Result<(Event, Facts), String> {
    let now_ms = match given.get("now").or_else(|| given.get("now_ms")) {
        None => usual_now_ms,
        Some(value) => {
            moment(value, usual_now_ms).ok_or("`now` is not a moment; write e.g. 2025-11-21T10:00:00Z")?
        }
    };
    let body = body(kind, event, now_ms, directory, rule)?;
    let usual_kind = channel.map_or("whatsapp", |channel| channel.kind.as_str());
    let kind_word = given.pointer("/channel/kind").and_then(Value::as_str).unwrap_or(usual_kind);
    let mut facts = defaults(&body, kind_word, now_ms)?;
    if let Some(channel) = channel {
        facts["channel"] = serde_json::to_value(channel).map_err(|error| error.to_string())?;
    }
    let merge = Merge { now_ms, directory };
    merge.object("", &mut facts, given)?;
    let mut facts: Facts = serde_json::from_value(facts).map_err(|error| format!("`given`: {error}"))?;
    facts.directory = Arc::new(directory.clone());
    let id = EventId::new(now_ms, 1);
    let conversation = Some(facts.conversation.id);
    Ok((Event { id, at_ms: now_ms, conversation, cause: Cause::default(), body }, facts))
}

/// A situation that was, with what `event` and `given` say otherwise.
///
/// # Errors
/// One sentence about what cannot be, naming the field.
pub fn edited(
    (event, facts): (&Event, &Facts),
    fields: Map<String, Value>,
    given: &Value,
) -> Result<(Event, Facts), String> {
    let json = |value: Result<Value, serde_json::Error>| value.map_err(|error| error.to_string());
    let mut body = json(serde_json::to_value(&event.body))?;
    if let Value::Object(body) = &mut body {
        body.extend(fields);
    }
    let body: EventBody = serde_json::from_value(body).map_err(|error| format!("`event`: {error}"))?;
    let mut base = json(serde_json::to_value(facts))?;
    if let Some(Value::Object(conversation)) = base.get_mut("conversation") {
        for name in ["waiting_since_ms", "first_reply_ms"] {
            conversation.entry(name).or_insert(Value::Null); // not written when absent
        }
    }
    Merge { now_ms: facts.now_ms, directory: &facts.directory }.object("", &mut base, given)?;
    let mut edited: Facts = serde_json::from_value(base).map_err(|error| format!("`given`: {error}"))?;
    edited.directory = facts.directory.clone();
    if body != event.body {
        edited.changes.clear(); // they are read from the event then
    }
    Ok((Event { body, ..event.clone() }, edited))
}

/// The event's body: what the case says, completed with ids that every such event has.
fn body(
    kind: Option<EventKind>,
    mut fields: Map<String, Value>,
    now_ms: i64,
    directory: &Directory,
    rule: RuleId,
) -> Result<EventBody, String> {
    if let Some(kind) = kind {
        fields.entry("type").or_insert_with(|| kind.name().into());
    }
    let name = fields.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if EventKind::from_name(&name).is_none() {
        let near = nearest(&name, EventKind::ALL.iter().map(|k| k.name()));
        return Err(format!(
            "`{name}` is not an event{}",
            near.map_or(String::new(), |n| format!("; did you mean `{n}`?"))
        ));
    }
    for field in ["assignee", "previous"] {
        if let Some(agent) = fields.get(field).and_then(Value::as_str).and_then(|n| directory.agent(n)) {
            fields.insert(field.to_owned(), json!(agent.id));
        }
    }
    let usual = json!({
        "message": MessageId::new(now_ms, 1), "rule": rule, "timer": TimerId::new(now_ms, 1),
        "ends_at_ms": now_ms + 60_000, "closes_at_ms": now_ms + DAY_MS, "closed_at_ms": now_ms,
        "changes": {}, "reason": "idle", "name": "reminder", "payload": null, "channel_kind": "whatsapp",
        "from": "open", "to": "closed", "on": false, "level": 1, "target": "first_reply", "class": "rejected",
        "calendar": "Office hours", "template": "follow_up", "language": "en", "status": "approved",
        "assignee": UserId::new(0, 1), "previous": UserId::new(0, 1),
    });
    let Value::Object(mut all) = usual else { return Err("the event cannot be built".to_owned()) };
    all.extend(fields);
    serde_json::from_value(Value::Object(all)).map_err(|error| format!("`event`: {error}"))
}

/// The facts of a plain conversation, as JSON.
pub(super) fn defaults(body: &EventBody, kind: &str, now_ms: i64) -> Result<Value, String> {
    let windowed = kind == "whatsapp";
    let expired = matches!(body, EventBody::WindowExpired { .. });
    let last_inbound_ms = if expired { now_ms - DAY_MS } else { now_ms };
    let message = match body {
        EventBody::MessageReceived { message } => json!({
            "id": message, "direction": "inbound", "sender": "contact", "kind": "text", "text": "Hello",
            "choice": null, "attachments": 0, "status": null, "failure": null, "at_ms": now_ms,
        }),
        EventBody::MessageSent { message }
        | EventBody::MessageStatusChanged { message, .. }
        | EventBody::MessageFailed { message, .. } => json!({
            "id": message, "direction": "outbound", "sender": "agent", "kind": "text", "text": "How can I help?",
            "choice": null, "attachments": 0, "status": "sent", "failure": null, "at_ms": now_ms,
        }),
        _ => Value::Null,
    };
    let capabilities = serde_json::to_value(usual_capabilities(kind)).map_err(|error| error.to_string())?;
    Ok(json!({
        "now_ms": now_ms,
        "message": message,
        "conversation": {
            "id": ConversationId::new(0, 1), "live": true, "status": "open", "group": null, "assignee": null,
            "priority": "normal", "labels": [], "attributes": {}, "language": null, "ai": { "state": "on" },
            "window_closes_ms": windowed.then_some(last_inbound_ms + DAY_MS),
            "last_inbound_ms": last_inbound_ms, "last_outbound_ms": null, "inbound_count": 1, "outbound_count": 0,
            "reopen_count": 0, "created_ms": last_inbound_ms,
            "opened_ms": last_inbound_ms, "waiting_since_ms": null, "first_reply_ms": null, "archived_ms": null, "snoozed_until_ms": null,
        },
        "contact": {
            "id": crate::ids::ContactId::new(0, 1), "name": "Kim", "phone": "+34600000001", "language": null,
            "blocked": false, "opted_out": false, "attributes": {},
        },
        "channel": {
            "id": channel_id(), "name": "Main", "kind": kind, "provider": "example", "language": null,
            "default_group": null, "assigned_agent": null, "receive_only": false, "capabilities": capabilities,
        },
    }))
}

/// Lays what a case says over the defaults.
struct Merge<'a> {
    now_ms: i64,
    directory: &'a Directory,
}

impl Merge<'_> {
    fn object(&self, path: &str, base: &mut Value, given: &Value) -> Result<(), String> {
        let (Value::Object(base), Value::Object(given)) = (base, given) else {
            return Err(format!("`given.{path}` must be a table; this event may have none"));
        };
        let free = FREE.iter().any(|name| path.ends_with(name));
        for (key, value) in given {
            let key = stored_name(key, base);
            let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            if !free && !base.contains_key(&key) && !LEFT_OUT.contains(&key.as_str()) {
                let near = nearest(&key, base.keys().map(String::as_str));
                let hint = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                return Err(format!("`given.{at}` is not known{hint}"));
            }
            let slot = base.entry(key.clone()).or_insert(if FREE.contains(&key.as_str()) {
                json!({})
            } else {
                Value::Null
            });
            if slot.is_object() && value.is_object() {
                self.object(&at, slot, value)?;
            } else {
                *slot = self.value(&at, value)?;
            }
        }
        Ok(())
    }

    fn value(&self, at: &str, value: &Value) -> Result<Value, String> {
        if value == "()" {
            return Ok(Value::Null);
        }
        let unreadable = |what: &str| format!("`given.{at}` is not {what}");
        if at.ends_with("_ms") {
            let many = value
                .as_array()
                .map(|list| list.iter().map(|v| moment(v, self.now_ms)).collect::<Option<Vec<_>>>());
            return match many {
                Some(list) => list.map(|list| json!(list)),
                None => moment(value, self.now_ms).map(|ms| json!(ms)),
            }
            .ok_or_else(|| unreadable("a moment; write RFC 3339 or e.g. \"-2h\""));
        }
        let Some(text) = value.as_str() else { return Ok(value.clone()) };
        let missing = |thing: Thing| thing.missing(text, self.directory).map_or(String::new(), |m| m.message);
        match at {
            "conversation.group" | "channel.default_group" => {
                self.directory.group(text).map(|g| json!(g.id)).ok_or_else(|| missing(Thing::Group))
            }
            "conversation.assignee" | "channel.assigned_agent" => {
                self.directory.agent(text).map(|a| json!(a.id)).ok_or_else(|| missing(Thing::Agent))
            }
            "conversation.ai" => Ok(json!({ "state": text })),
            _ => Ok(value.clone()),
        }
    }
}

/// `last_inbound_at` is stored as `last_inbound_ms`, `now` as `now_ms`.
fn stored_name(key: &str, base: &Map<String, Value>) -> String {
    let plain = key.strip_suffix("_at").unwrap_or(key);
    let stored = format!("{plain}_ms");
    if !base.contains_key(key) && base.contains_key(&stored) { stored } else { key.to_owned() }
}

/// Unix milliseconds, RFC 3339, or `-2h` and `+30m` from now.
fn moment(value: &Value, now_ms: i64) -> Option<i64> {
    if let Some(ms) = value.as_i64() {
        return Some(ms);
    }
    let text = value.as_str()?;
    match (text.strip_prefix('-'), text.strip_prefix('+')) {
        (Some(back), _) => Some(now_ms - duration::parse_ms(back)?),
        (_, Some(ahead)) => Some(now_ms + duration::parse_ms(ahead)?),
        _ => duration::parse_moment_ms(text),
    }
}

/// The plain situation for an event, for tests of other rooms.
#[cfg(test)]
pub(crate) fn situation_of(kind: EventKind) -> (Event, Facts) {
    situation(Some(kind), None, &toml::Table::new(), &default_directory(), RuleId::new(0, 1))
        .expect("the defaults are whole")
}
