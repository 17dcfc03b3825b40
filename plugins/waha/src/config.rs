//! A session's configuration at WAHA: our webhook in it, beside those of others.
//! WAHA only replaces the whole, so that it is read first.

use pointsman_plugin::http::{Body, Call, CallBuilder, JsonBody, SecretAt};
use pointsman_plugin::{Context, Failure};
use serde_json::{Value, json};

use crate::api::Api;
use crate::settings::{HMAC_KEY, Settings};

/// What we want to hear: `message.any` holds also what is typed on the phone, so `message` would come twice.
const EVENTS: [&str; 8] = [
    "session.status",
    "message.any",
    "message.reaction",
    "message.ack",
    "message.ack.group",
    "message.edited",
    "message.revoked",
    "poll.vote",
];

/// Is the channel's webhook among the session's?
pub(crate) fn has_ours(session: &Value, context: &Context) -> bool {
    urls(session).any(|url| url == context.webhook_url)
}

/// Where WAHA sends this session's events: to us, or else to the first of others.
pub(crate) fn webhook_url(session: &Value, context: &Context) -> Option<String> {
    let ours = urls(session).find(|url| *url == context.webhook_url);
    ours.or_else(|| urls(session).next()).map(str::to_owned)
}

fn urls(session: &Value) -> impl Iterator<Item = &str> {
    session["config"]["webhooks"].as_array().into_iter().flatten().filter_map(|it| it["url"].as_str())
}

/// Makes the session, or gives it our webhook; a running one is restarted by that.
pub(crate) async fn write(api: &Api<'_>, session: Option<&Value>) -> Result<Value, Failure> {
    let (context, settings) = (api.context, &api.settings);
    match session {
        Some(session) => {
            let (config, place) = with_ours(session["config"].clone(), context);
            let body = json!({ "config": config });
            api.read(with_key(api.session("PUT", "").idempotent(), &body, place)).await
        }
        None => {
            let (config, place) = with_ours(fresh(context, settings), context);
            let body = json!({ "name": settings.session(), "start": true, "config": config });
            api.read(with_key(api.at("POST", "sessions"), &body, place)).await
        }
    }
}

/// Takes our webhook away.
pub(crate) async fn leave(api: &Api<'_>, session: &Value) -> Result<(), Failure> {
    let mut config = session["config"].clone();
    if let Some(webhooks) = config["webhooks"].as_array_mut() {
        webhooks.retain(|it| it["url"] != api.context.webhook_url.as_str());
    }
    api.succeed(api.session("PUT", "").idempotent().json(&json!({ "config": config }))).await.map(drop)
}

/// What a new session gets: no events of what the product does not show, and a store, which NOWEB needs to quote.
fn fresh(context: &Context, settings: &Settings) -> Value {
    json!({
        "metadata": { "channel.id": context.channel_id },
        "ignore": { "status": true, "groups": !settings.groups(), "channels": true, "broadcast": true },
        "noweb": { "markOnline": false, "store": { "enabled": true, "fullSync": false } },
    })
}

/// The configuration with our webhook as its last, and where that is.
fn with_ours(mut config: Value, context: &Context) -> (Value, usize) {
    if !config.is_object() {
        config = json!({});
    }
    let mut webhooks = config["webhooks"].as_array().cloned().unwrap_or_default();
    webhooks.retain(|it| it["url"] != context.webhook_url.as_str());
    webhooks.push(json!({
        "url": context.webhook_url,
        "events": EVENTS,
        "hmac": { "key": "" },
        "retries": { "policy": "exponential", "delaySeconds": 2, "attempts": 8 },
    }));
    let place = webhooks.len() - 1;
    config["webhooks"] = Value::Array(webhooks);
    (config, place)
}

/// The host writes the key that signs webhooks into our webhook.
fn with_key(call: CallBuilder, body: &Value, place: usize) -> Call {
    let secrets =
        vec![SecretAt { pointer: format!("/config/webhooks/{place}/hmac/key"), secret: HMAC_KEY.into() }];
    Call { body: Body::Json(JsonBody { text: body.to_string(), secrets, blobs: vec![] }), ..call.build() }
}
