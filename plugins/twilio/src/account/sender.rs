//! WhatsApp senders: `v2/Channels/Senders`.

use pointsman_plugin::{Failure, http};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Line, PAGES_MAX};
use crate::api::Api;

/// Members of a sender's webhook that belong to others and are sent back unchanged.
const OTHERS: [&str; 4] =
    ["fallback_url", "fallback_method", "status_callback_url", "status_callback_method"];

#[derive(Deserialize)]
struct Listing {
    senders: Vec<Sender>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Deserialize, Default)]
struct Meta {
    next_page_url: Option<String>,
}

#[derive(Deserialize)]
struct Sender {
    sid: String,
    sender_id: String,
    status: Option<String>,
    #[serde(default)]
    webhook: Option<Map<String, Value>>,
}

pub(super) async fn all(api: &Api<'_>) -> Result<Vec<Line>, Failure> {
    let base = api.settings.messaging_base();
    let mut call = http::get(senders(api)).query("Channel", "whatsapp").query("PageSize", "100");
    let mut lines = vec![];
    for _ in 0..PAGES_MAX {
        let listing: Listing = api.read(api.signed(call)).await?;
        lines.extend(listing.senders.into_iter().map(line));
        let next = listing.meta.next_page_url;
        let Some(next) = next.filter(|url| url.strip_prefix(base).is_some_and(|rest| rest.starts_with('/')))
        else {
            break;
        };
        call = http::get(next);
    }
    Ok(lines)
}

fn senders(api: &Api<'_>) -> String {
    format!("{}/v2/Channels/Senders", api.settings.messaging_base())
}

fn line(sender: Sender) -> Line {
    let webhook = sender.webhook.unwrap_or_default();
    let mut warnings = vec![];
    if let Some(status) = sender.status.filter(|status| !status.starts_with("ONLINE")) {
        warnings.push(format!("This sender is {status} at Twilio; it works when it is ONLINE."));
    }
    let webhook_url = webhook.get("callback_url").and_then(Value::as_str).map(str::to_owned);
    let others =
        webhook.into_iter().filter(|(name, value)| OTHERS.contains(&name.as_str()) && value.is_string());
    Line {
        sid: sender.sid,
        label: sender.sender_id.clone(),
        address: sender.sender_id,
        webhook_url,
        warnings,
        others: others.collect(),
    }
}

/// Only the callback; fallback and status URLs stay as they are.
pub(super) async fn set_webhook(api: &Api<'_>, line: &Line, url: &str) -> Result<(), Failure> {
    let mut webhook = line.others.clone();
    webhook.insert("callback_url".into(), json!(url));
    webhook.insert("callback_method".into(), json!("POST"));
    let resource = format!("{}/{}", senders(api), line.sid);
    let call = api.signed(http::post(resource)).json(&json!({ "webhook": webhook })).idempotent();
    api.succeed(call).await.map(drop)
}
