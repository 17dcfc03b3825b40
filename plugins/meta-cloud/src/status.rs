//! News about messages of ours. Their order is not guaranteed and they repeat;
//! the engine ranks them. Our effect's id comes back as callback data.

use pointsman_plugin::webhook::{Delivery, Event, EventBody, Status};
use pointsman_plugin::{Extra, Failure, FailureKind};
use serde_json::{Value, json};

use crate::errors;
use crate::inbound::{Person, bare};
use crate::json::{list, seconds, text};
use crate::webhook::unreadable;

/// Where a free entry point (a chat that an advertisement opened) says that it is one.
const FREE_ENTRY_POINT: &str = "referral_conversion";

pub(crate) fn event(status: &Value, own: &str, now: u64) -> Event {
    let (Some(id), Some(word)) = (text(status, "id"), text(status, "status")) else {
        return unreadable(status, "a status has no message id or no state");
    };
    let recipient = Person { phone: text(status, "recipient_id"), scoped: text(status, "recipient_user_id") };
    let is_group = status["recipient_type"] == "group";
    let contact = if is_group { recipient.phone.map(bare) } else { recipient.party(&Value::Null) };
    let body = Status {
        message_id: id.clone(),
        contact: contact.unwrap_or_else(|| bare(String::new())),
        to: own.to_owned(),
        at: seconds(status, "timestamp").unwrap_or(now),
        delivery: delivery(status, &word),
        effect_id: text(status, "biz_opaque_callback_data"),
        window_closes_at: None,
        extras: extras(status),
    };
    Event { dedupe_key: format!("{id}:{word}"), body: EventBody::Status(body) }
}

fn delivery(status: &Value, word: &str) -> Delivery {
    match word {
        "sent" => Delivery::Sent,
        "delivered" => Delivery::Delivered,
        // A voice note that was listened to was read before.
        "read" | "played" => Delivery::Read,
        "failed" => Delivery::Failed(list(status, "errors").first().map_or_else(
            || Failure::new(FailureKind::Other("undelivered".into()), "Meta could not deliver the message"),
            errors::failure,
        )),
        other => Delivery::Other(other.to_owned()),
    }
}

/// What it cost, and until when a free entry point lasts. That one is about prices: free text still needs an open
/// window, so it opens none.
fn extras(status: &Value) -> Vec<Extra> {
    let conversation = &status["conversation"];
    let mut extras = vec![];
    extras.extend(status["pricing"].is_object().then(|| Extra::new("meta.pricing", &status["pricing"])));
    if conversation["origin"]["type"] == FREE_ENTRY_POINT {
        let closes = seconds(conversation, "expiration_timestamp");
        extras.push(Extra::new("meta.free_entry_point", &json!({ "closes_at_ms": closes })));
    }
    extras
}
