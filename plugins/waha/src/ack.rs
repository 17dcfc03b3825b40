//! What becomes of messages that the number sent. Acks come in any order and
//! several times; the host lets a status only move forward.

use pointsman_plugin::webhook::{Delivery, Event, EventBody, Status};
use pointsman_plugin::{Certainty, Failure, FailureKind};
use serde_json::{Value, json};

use crate::ids::{self, Chat, MessageId};
use crate::webhook::Envelope;

/// WhatsApp's levels: -1 error, 0 pending, 1 server, 2 device, 3 read, 4 played. In groups the first device counts.
pub(crate) fn event(envelope: &Envelope<'_>) -> Event {
    let payload = envelope.payload();
    let Some(id) = payload["id"].as_str().and_then(MessageId::parse) else {
        return envelope.unreadable("the ack has no message id that WAHA documents");
    };
    let Some((level, delivery)) = delivery(payload).filter(|_| id.from_me) else {
        return envelope.other("waha.ack", &json!({ "ack": payload["ack"], "name": payload["ackName"] }));
    };
    if ids::kind(&id.chat) == Chat::Group && !envelope.settings.groups() {
        return envelope.other("waha.group", &json!("ack"));
    }
    let status = Status {
        message_id: id.bare.clone(),
        contact: ids::party(&id.chat, None, None),
        to: envelope.own_address(),
        at: envelope.at_ms(),
        delivery,
        effect_id: None,
        window_closes_at: None,
        extras: vec![],
    };
    Event { dedupe_key: format!("ack:{}:{level}", id.bare), body: EventBody::Status(status) }
}

fn delivery(payload: &Value) -> Option<(i64, Delivery)> {
    let level = payload["ack"].as_i64().or_else(|| by_name(payload["ackName"].as_str()?))?;
    let delivery = match level {
        -1 => Delivery::Failed(
            Failure::new(
                FailureKind::ContentRejected,
                "WhatsApp did not take the message; look at the linked phone before you send it again",
            )
            .effect(Certainty::NotPerformed)
            .vendor(Some("-1"), Some("ERROR")),
        ),
        0 => Delivery::Other("pending".into()),
        1 => Delivery::Sent,
        2 => Delivery::Delivered,
        3 | 4 => Delivery::Read,
        _ => return None,
    };
    Some((level, delivery))
}

fn by_name(name: &str) -> Option<i64> {
    let names = ["ERROR", "PENDING", "SERVER", "DEVICE", "READ", "PLAYED"];
    let at = names.iter().position(|known| *known == name)?;
    i64::try_from(at).ok().map(|at| at - 1)
}
