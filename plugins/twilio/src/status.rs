//! News about messages of ours: status callbacks. Their order is not guaranteed
//! and they repeat; the engine ranks them.

use pointsman_plugin::webhook::{Delivery, Event, EventBody, Request, Status};
use pointsman_plugin::{Certainty, Context, Extra, Failure, FailureKind, Form, Retry};
use serde_json::json;

use crate::{errors, inbound};

/// Query field of the status URL with our effect id; the engine puts it there.
pub(crate) const EFFECT: &str = "effect";

/// Is it about a message of ours? A message from outside has only `SmsStatus`, and that is `received`.
pub(crate) fn is_status(form: &Form) -> bool {
    match form.filled("MessageStatus") {
        Some(status) => !matches!(status, "received" | "receiving"),
        None => form.filled("SmsStatus").is_some_and(|status| !matches!(status, "received" | "receiving")),
    }
}

pub(crate) fn event(context: &Context, request: &Request, form: &Form, sid: &str) -> Event {
    let status = form.filled("MessageStatus").or_else(|| form.filled("SmsStatus")).unwrap_or("");
    let to = form.filled("To").unwrap_or("");
    let carrier_date = form.filled("RawDlrDoneDate");
    let body = Status {
        message_id: sid.to_owned(),
        contact: inbound::party(form, to),
        to: form.filled("From").unwrap_or(&context.address).to_owned(),
        // Twilio sends no time of its own.
        at: context.now,
        delivery: delivery(form, status),
        effect_id: request.query_field(EFFECT).filter(|id| !id.is_empty()).map(str::to_owned),
        window_closes_at: None,
        extras: carrier_date
            .map(|date| Extra::new("twilio.carrier_date", &json!(date)))
            .into_iter()
            .collect(),
    };
    Event { dedupe_key: format!("{sid}:{status}"), body: EventBody::Status(body) }
}

fn delivery(form: &Form, status: &str) -> Delivery {
    match status {
        "sent" => Delivery::Sent,
        "delivered" => Delivery::Delivered,
        "read" => Delivery::Read,
        "failed" | "undelivered" => Delivery::Failed(failure(form)),
        "canceled" => Delivery::Failed(Failure::new(
            FailureKind::Other("canceled".into()),
            "the message was cancelled at Twilio before it was sent",
        )),
        other => Delivery::Other(other.to_owned()),
    }
}

/// Why it was not delivered. A code that nobody mapped is final.
fn failure(form: &Form) -> Failure {
    let code = form.filled("ErrorCode").filter(|code| *code != "0");
    let words = form.filled("ErrorMessage").or_else(|| form.filled("ChannelStatusMessage"));
    let failure = match code.and_then(|code| code.parse().ok()).and_then(errors::meaning) {
        Some(meaning) => {
            Failure::new(meaning.kind, meaning.message).retry(meaning.retry).effect(meaning.effect)
        }
        None => Failure::new(
            FailureKind::Other("undelivered".into()),
            "Twilio could not deliver the message; its error code says more",
        )
        .retry(Retry::Never)
        .effect(Certainty::NotPerformed),
    };
    failure.vendor(code, words)
}
