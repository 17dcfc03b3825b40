//! One webhook: a batch of entries, each with changes, each with messages or
//! statuses. A bad item must not lose the others, and what is not ours or not
//! mapped is kept as such.

use pointsman_plugin::log::{self, Level};
use pointsman_plugin::webhook::{Event, EventBody, Request};
use pointsman_plugin::{Context, Extra, Failure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::json::{clean, list};
use crate::settings::Settings;
use crate::{inbound, news, page, status};

/// How JSON writes the character that databases refuse.
const NUL: &[u8] = b"\\u0000";

pub(crate) fn parse(context: &Context, request: &Request) -> Result<Vec<Event>, Failure> {
    let settings: Settings = context.settings()?;
    let mut body: Value = pointsman_plugin::json(&request.body).map_err(|_| {
        Failure::bad_response("the webhook is not JSON; point only Meta's webhooks at this channel")
    })?;
    if request.body.windows(NUL.len()).any(|window| window == NUL) {
        clean(&mut body);
    }
    if !body["entry"].is_array() {
        return Err(Failure::bad_response(
            "the webhook has no entries; point only Meta's webhooks at this channel",
        ));
    }
    let own = settings.own_id(context);
    let entries = list(&body, "entry");
    Ok(match body["object"].as_str() {
        Some("whatsapp_business_account") => {
            entries.iter().flat_map(|entry| changes(entry, own, context)).collect()
        }
        Some("page" | "instagram") => entries.iter().flat_map(|entry| page::events(entry, own)).collect(),
        _ => entries.iter().map(|entry| other("meta.object", entry, body["object"].clone())).collect(),
    })
}

fn changes(entry: &Value, own: &str, context: &Context) -> Vec<Event> {
    list(entry, "changes").iter().flat_map(|change| of_change(entry, change, own, context)).collect()
}

fn of_change(entry: &Value, change: &Value, own: &str, context: &Context) -> Vec<Event> {
    let value = &change["value"];
    // Meta calls one URL for all numbers of an app, unless each has its own.
    if value["metadata"]["phone_number_id"].as_str().is_some_and(|id| id != own) {
        log::write(
            Level::Info,
            "a message for another number of the account was left out; connect that number's own channel",
        );
        return vec![other("meta.other_number", change, Value::Null)];
    }
    match change["field"].as_str() {
        Some("messages") => {
            let errors = list(value, "errors").iter().map(news::trouble);
            let messages = list(value, "messages").iter().map(|it| inbound::event(it, value, own));
            let statuses = list(value, "statuses").iter().map(|it| status::event(it, own, context.now));
            messages.chain(statuses).chain(errors).collect()
        }
        Some("smb_message_echoes") => {
            list(value, "message_echoes").iter().map(|it| inbound::echo(it, value, own)).collect()
        }
        _ => vec![news::event(entry, change, context.now)],
    }
}

/// Something that is not mapped: its name is kept, its text stays in the raw webhook.
pub(crate) fn other(key: &str, item: &Value, about: Value) -> Event {
    Event { dedupe_key: digest(item), body: EventBody::Other(Extra::new(key, &about)) }
}

/// An item that cannot be read.
pub(crate) fn unreadable(item: &Value, why: &str) -> Event {
    Event { dedupe_key: digest(item), body: EventBody::Unreadable(why.to_owned()) }
}

/// The same for every redelivery of an item that has no id.
pub(crate) fn digest(item: &Value) -> String {
    let digest = Sha256::digest(json!(item).to_string());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
