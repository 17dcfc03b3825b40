//! What becomes of our messages. 1msg's document says `viewed`, its webhooks say
//! `read`; a failure comes as a sentence. Order is not kept: the host lets a
//! status only move forward.

use pointsman_plugin::webhook::{Delivery, Event, EventBody, Status};
use pointsman_plugin::{Context, Extra, Failure, FailureKind};
use serde_json::{Value, json};

use crate::errors;
use crate::inbound::{party, text, unreadable};

pub(crate) fn event(context: &Context, it: &Value) -> Event {
    let (Some(id), Some(word)) = (text(it, "id"), text(it, "status")) else {
        return unreadable(it, "an ack has no id or no status");
    };
    let chat = text(it, "chatId").or_else(|| text(it, "phone").map(|digits| format!("{digits}@c.us")));
    let delivery = match word.as_str() {
        "sent" => Delivery::Sent,
        "delivered" => Delivery::Delivered,
        "viewed" | "read" | "played" => Delivery::Read,
        "failed" => Delivery::Failed(failure(it)),
        other => Delivery::Other(other.to_owned()),
    };
    let category = text(it, "category").map(|category| Extra::new("onemsg.category", &json!(category)));
    let status = Status {
        message_id: id.clone(),
        contact: party(&chat.unwrap_or_default(), it, false),
        to: context.address.clone(),
        at: context.now,
        delivery,
        effect_id: None,
        window_closes_at: None,
        extras: category.into_iter().collect(),
    };
    Event { dedupe_key: format!("ack:{id}:{word}"), body: EventBody::Status(status) }
}

fn failure(it: &Value) -> Failure {
    let said = errors::words(it);
    let failure = said.and_then(errors::meaning).unwrap_or_else(|| {
        Failure::new(
            FailureKind::ContentRejected,
            "WhatsApp did not deliver the message; 1msg's own words say more",
        )
    });
    let code = failure.vendor_code.clone();
    failure.vendor(code.as_deref(), said)
}
