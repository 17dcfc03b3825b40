//! A channel as the API shows it. Secrets are never shown, only that they are
//! set; settings and the webhook address are for those who set it up, since with some vendors
//! knowing the address is the proof.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::access;
use super::health::CountersView;
use crate::clock::rfc3339;
use crate::http::Api;
use crate::http::auth::Principal;
use crate::http::etag::Tagged;
use crate::http::problem::Problem;
use crate::store::channel_assistants::{self, Reader};
use crate::store::channels::Channel;

/// The plugin of our own chat page.
const WEBCHAT: &str = "webchat";
/// Kind of the channels on WhatsApp, whatever the vendor.
const WHATSAPP: &str = "whatsapp";
pub(super) const MINUTE_MS: i64 = 60_000;

/// A connected number or account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelView {
    /// `chn_…`.
    id: String,
    /// Id of the plugin that speaks for it.
    provider: String,
    /// `whatsapp`, `sms`, `webchat`, …
    kind: String,
    /// For people.
    name: String,
    /// Our number or account, as the vendor writes it; empty: not known yet.
    address: String,
    /// As the plugin's manifest describes them; for those who may change it.
    #[schema(value_type = Option<Object>)]
    settings: Option<Value>,
    /// Which secrets are set, and since when. They are never shown.
    secrets: BTreeMap<String, SecretView>,
    /// What the vendor must call; for those who may change it.
    webhook_url: Option<String>,
    /// Where a contact begins a chat: our page for provider `webchat`, WhatsApp's own link where the number is known.
    chat_url: Option<String>,
    /// Does it take and send messages?
    active: bool,
    /// Do we only read along?
    receive_only: bool,
    /// Are addresses hidden from agents?
    masked: bool,
    /// May its settings point into a private network?
    allow_private_egress: bool,
    /// `connecting`, `qr_required`, `connected`, `degraded`, `failed`, `paused`, `disconnected`.
    state: String,
    /// Why.
    state_reason: Option<String>,
    /// Since when.
    #[schema(format = DateTime)]
    state_since: String,
    /// Team for new conversations.
    default_group: Option<String>,
    /// Agent for new conversations.
    assigned_agent: Option<String>,
    /// Whose own it is; `null`: the company's.
    owner: Option<String>,
    /// BCP 47.
    language: Option<String>,
    /// A live chat ends after so much silence; 0: never.
    idle_end_minutes: i64,
    /// Messages that may leave per second, 0 for any number; `null`: as many as the provider says.
    messages_per_second: Option<i64>,
    /// What an inbound message does to a closed conversation: `policy` is `reopen`, `new` or `reopen_within`.
    #[schema(value_type = Object)]
    reopen: Value,
    /// What the vendor can do there; `null` when the plugin is missing.
    #[schema(value_type = Option<Object>)]
    capabilities: Option<Value>,
    /// Which assistant reads what is written there; `null`: none does.
    assistant: Option<ReaderView>,
    /// How much went through; only when one channel is asked for.
    counters: Option<CountersView>,
    /// When it was connected.
    #[schema(format = DateTime)]
    created_at: String,
    /// Also the `ETag`.
    version: i64,
}

/// The assistant that reads a channel.
#[derive(Debug, Serialize, ToSchema)]
struct ReaderView {
    /// `ast_…`.
    id: String,
    /// For people.
    name: String,
    /// Id of the plugin that speaks for it; its manifest says what it can do.
    plugin: String,
    /// May it answer contacts, where the AI of their conversation is on?
    replies: bool,
}

impl From<&Reader> for ReaderView {
    fn from(it: &Reader) -> Self {
        Self {
            id: it.assistant.to_string(),
            name: it.name.clone(),
            plugin: it.plugin.clone(),
            replies: it.replies,
        }
    }
}

/// A secret that is not shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretView {
    /// Always true.
    set: bool,
    /// When it was set last.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl SecretView {
    /// `set`: when each was set, unix milliseconds.
    pub(in crate::http) fn shown(set: BTreeMap<String, i64>) -> BTreeMap<String, Self> {
        set.into_iter().map(|(name, at)| (name, Self { set: true, updated_at: rfc3339(at) })).collect()
    }
}

/// A channel after a change.
///
/// # Errors
/// The store's.
pub(super) async fn changed(api: &Api, who: &Principal, ch: Channel) -> Result<Tagged<ChannelView>, Problem> {
    let readers = channel_assistants::readers(&mut api.read().await?, who.tenant).await?;
    let (version, reader) = (ch.version, readers.get(&ch.id));
    Ok(Tagged::ok(version, view(api, who, ch, reader, None)))
}

pub(super) fn view(
    api: &Api,
    who: &Principal,
    ch: Channel,
    reader: Option<&Reader>,
    counters: Option<CountersView>,
) -> ChannelView {
    let (public_url, manages) = (&api.flow.settings.public_url, access::manages(who, &ch));
    let plugin = api.flow.host.get(&ch.provider);
    let capabilities =
        plugin.and_then(|p| p.capabilities(&ch.kind).and_then(|c| serde_json::to_value(c).ok()));
    ChannelView {
        webhook_url: manages.then(|| format!("{public_url}/hooks/{}", ch.hook_key)),
        chat_url: chat_url(public_url, &ch),
        id: ch.id.to_string(),
        provider: ch.provider,
        kind: ch.kind,
        name: ch.name,
        address: ch.address,
        settings: manages.then_some(ch.settings),
        secrets: SecretView::shown(ch.secrets_set),
        active: ch.active,
        receive_only: ch.receive_only,
        masked: ch.masked,
        allow_private_egress: ch.allow_private_egress,
        state: ch.state,
        state_reason: ch.state_reason,
        state_since: rfc3339(ch.state_since_ms),
        default_group: ch.default_group.map(|id| id.to_string()),
        assigned_agent: ch.assigned_user.map(|id| id.to_string()),
        owner: ch.owner.map(|id| id.to_string()),
        language: ch.language,
        idle_end_minutes: ch.idle_end_ms / MINUTE_MS,
        messages_per_second: ch.messages_per_second,
        reopen: reopen(&ch.reopen_policy),
        capabilities,
        assistant: reader.map(ReaderView::from),
        counters,
        created_at: rfc3339(ch.created_ms),
        version: ch.version,
    }
}

/// A channel as the audit log keeps it: what people set, without what the plugin or the vendor says.
pub(super) fn record(api: &Api, who: &Principal, ch: &Channel) -> Value {
    let mut shown = serde_json::to_value(view(api, who, ch.clone(), None, None)).unwrap_or_default();
    if let Some(fields) = shown.as_object_mut() {
        for name in ["capabilities", "assistant", "counters", "webhook_url", "chat_url", "version"] {
            fields.remove(name);
        }
    }
    shown
}

/// `https://wa.me/` and the digits of the number is WhatsApp's "click to chat".
fn chat_url(public_url: &str, ch: &Channel) -> Option<String> {
    if ch.provider == WEBCHAT {
        return Some(format!("{public_url}/chat/{}", ch.hook_key));
    }
    let number = ch.address.strip_prefix("whatsapp:").unwrap_or(&ch.address);
    let digits = number.strip_prefix('+').filter(|digits| digits.bytes().all(|c| c.is_ascii_digit()))?;
    (ch.kind == WHATSAPP && !digits.is_empty()).then(|| format!("https://wa.me/{digits}"))
}

fn reopen(policy: &Value) -> Value {
    match policy.get("ms").and_then(Value::as_i64) {
        Some(ms) => json!({"policy": policy["policy"], "within_minutes": ms / MINUTE_MS}),
        None => policy.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::channels::tests::example;

    // S44
    #[test]
    fn a_whatsapp_number_has_a_chat_link() {
        for (kind, address, link) in [
            ("whatsapp", "+12025550100", Some("https://wa.me/12025550100")),
            ("whatsapp", "whatsapp:+12025550100", Some("https://wa.me/12025550100")),
            ("whatsapp", "MX.4566", None),
            ("whatsapp", "", None),
            ("sms", "+12025550100", None),
        ] {
            let channel = Channel { kind: kind.into(), address: address.into(), ..example(1) };
            assert_eq!(chat_url("https://us.test", &channel).as_deref(), link, "{kind} {address}");
        }
    }
}
