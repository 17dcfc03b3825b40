//! News about the account: templates, quality, bans. Whatever an admin should see
//! goes to the channel's log or its state.

use pointsman_plugin::Extra;
use pointsman_plugin::log::{self, Level};
use pointsman_plugin::sessions::{Session, SessionState};
use pointsman_plugin::webhook::{Event, EventBody, TemplateChange};
use serde_json::{Value, json};

use crate::errors;
use crate::json::{id, seconds, text};
use crate::webhook::{digest, other};

/// A change that is neither messages nor statuses.
pub(crate) fn event(entry: &Value, change: &Value, now: u64) -> Event {
    let (field, value) = (change["field"].as_str().unwrap_or(""), &change["value"]);
    let at = seconds(entry, "time").unwrap_or(now);
    let item = json!([entry["id"], entry["time"], change]);
    let known = match field {
        "message_template_status_update" => template(value, at),
        "phone_number_quality_update" => quality(value, at),
        "account_update" => account(value, at),
        _ => None,
    };
    if let Some(body) = known {
        return Event { dedupe_key: digest(&item), body };
    }
    if field == "message_template_quality_update" {
        let (name, from) = (id(value, "message_template_name"), id(value, "previous_quality_score"));
        let to = id(value, "new_quality_score").unwrap_or_default();
        log::write(
            Level::Warn,
            &format!(
                "template {}: quality {} → {to}",
                name.unwrap_or_default(),
                from.unwrap_or_else(|| "unknown".into())
            ),
        );
    }
    other(&format!("meta.{}", if field.is_empty() { "change" } else { field }), &item, summary(value))
}

/// Members that are names, words and scores of the account's own things.
const KEPT: [&str; 7] = [
    "event",
    "message_template_name",
    "message_template_language",
    "previous_quality_score",
    "new_quality_score",
    "previous_category",
    "new_category",
];

fn summary(value: &Value) -> Value {
    let kept = KEPT.into_iter().filter(|member| !value[*member].is_null());
    Value::Object(kept.map(|member| (member.to_owned(), value[member].clone())).collect())
}

fn template(value: &Value, at: u64) -> Option<EventBody> {
    let reason = text(value, "reason").filter(|reason| reason != "NONE");
    let more = text(&value["rejection_info"], "reason").or_else(|| text(&value["other_info"], "description"));
    Some(EventBody::Template(TemplateChange {
        name: text(value, "message_template_name")?,
        language: text(value, "message_template_language").unwrap_or_default(),
        status: state(&text(value, "event")?),
        at,
        reason: more.or(reason),
        extras: vec![],
    }))
}

/// A template's state in our words: a reinstated one can be sent again.
pub(crate) fn state(word: &str) -> String {
    match word {
        "REINSTATED" => "approved".into(),
        word => word.to_lowercase(),
    }
}

fn quality(value: &Value, at: u64) -> Option<EventBody> {
    let (state, reason) = match value["event"].as_str()? {
        "FLAGGED" => (
            SessionState::Degraded,
            Some("Meta flagged the number because of low quality; fewer people may be written to if it stays so".to_owned()),
        ),
        "UNFLAGGED" => (SessionState::Working, None),
        _ => return None,
    };
    Some(EventBody::Session(session(state, at, reason)))
}

fn account(value: &Value, at: u64) -> Option<EventBody> {
    let (state, words) = match value["event"].as_str()? {
        "DISABLED_UPDATE" => (SessionState::Failed, "Meta disabled the WhatsApp business account"),
        "ACCOUNT_DELETED" => (SessionState::Failed, "the WhatsApp business account was deleted"),
        "ACCOUNT_RESTRICTION" => (SessionState::Degraded, "Meta restricted the WhatsApp business account"),
        "ACCOUNT_VIOLATION" => (SessionState::Degraded, "Meta reports a violation of its rules"),
        _ => return None,
    };
    Some(EventBody::Session(session(state, at, Some(format!("{words}; look into Meta's Business Manager")))))
}

fn session(state: SessionState, at: u64, reason: Option<String>) -> Session {
    Session { state, at, reason, account_name: None, picture_url: None, address: None, extras: vec![] }
}

/// Trouble with the account that Meta reports without a message.
pub(crate) fn trouble(error: &Value) -> Event {
    let failure = errors::failure(error);
    log::write(
        Level::Warn,
        &format!("Meta reports {}: {}", failure.vendor_code.as_deref().unwrap_or("trouble"), failure.message),
    );
    let about = Extra::new("meta.error", &json!({ "code": failure.vendor_code }));
    Event { dedupe_key: digest(error), body: EventBody::Other(about) }
}
