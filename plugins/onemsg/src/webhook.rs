//! Webhooks: envelope and acks beside messages. 1msg signs nothing. The proof is
//! the channel's secret URL, and the id of the channel in the body must be right.

use pointsman_plugin::webhook::{Claim, Event, EventBody, Reply, Request, Verdict};
use pointsman_plugin::{Context, Extra, Failure, Pair};
use serde_json::Value;

use crate::settings::Settings;
use crate::{ack, inbound};

/// Longest challenge that is handed back, bytes.
const CHALLENGE_BYTES_MAX: usize = 256;

/// 1msg may look whether somebody is there with a GET, as Meta does.
pub(crate) fn authenticate(context: &Context, request: &Request) -> Verdict {
    if request.method == "GET" {
        let challenge = request.query_field("hub.challenge").filter(|it| it.len() <= CHALLENGE_BYTES_MAX);
        let plain = Pair { name: "content-type".into(), value: "text/plain".into() };
        let body = challenge.unwrap_or("").as_bytes().to_vec();
        return Verdict::Answer(Claim {
            proofs: vec![],
            reply: Reply { status: 200, headers: vec![plain], body },
        });
    }
    let Ok(settings) = context.settings::<Settings>() else {
        return Verdict::refuse("the channel's settings do not fit");
    };
    let body: Value = pointsman_plugin::json(&request.body).unwrap_or_default();
    if !is_of(&body, settings.instance()) {
        return Verdict::refuse("the webhook is not of this channel's id at 1msg");
    }
    Verdict::Accept(Claim { proofs: vec![], reply: Reply { status: 200, headers: vec![], body: vec![] } })
}

/// The id is a text or a number, with or without `instance` in front.
fn is_of(body: &Value, instance: &str) -> bool {
    let id = match &body["instanceId"] {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        _ => return false,
    };
    !instance.is_empty() && id.strip_prefix("instance").unwrap_or(&id) == instance
}

/// One webhook may hold several messages and acks.
pub(crate) fn parse(context: &Context, request: &Request) -> Result<Vec<Event>, Failure> {
    let body: Value = pointsman_plugin::json(&request.body)
        .map_err(|_| Failure::bad_response("the webhook is not JSON"))?;
    let (messages, acks) = (items(&body["messages"]), items(&body["ack"]));
    if messages.is_empty() && acks.is_empty() {
        if body["entry"].is_array() {
            let message =
                "1msg passes Meta's raw webhooks on; switch `rawHooks` off in the channel's settings at 1msg";
            return Err(Failure::bad_response(message));
        }
        let what = &body["type"];
        let key = format!("other:{}:{}", what.as_str().unwrap_or(""), context.now);
        return Ok(vec![Event {
            dedupe_key: key,
            body: EventBody::Other(Extra::new("onemsg.webhook", what)),
        }]);
    }
    let messages = messages.into_iter().map(|it| inbound::event(context, it));
    Ok(messages.chain(acks.into_iter().map(|it| ack::event(context, it))).collect())
}

/// A list; old samples have a single object in its place.
fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(_) => vec![value],
        _ => vec![],
    }
}
