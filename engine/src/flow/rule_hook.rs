//! Calls of rules' own URLs: is it who it says it is, which conversation is it
//! about, and then an entry in that conversation's lane, like everything else.

use pointsman_rules::event::Actor;
use pointsman_rules::ids::{ChannelId, ConversationId, HookId, InboxId, LaneId};
use serde_json::Value;

use super::accept::{Arrived, Arriving, COME_BACK_S};
use super::case::to_json;
use super::command::{Command, Order};
use super::gather::Full;
use super::turn::Entry;
use super::webhook::sign::{Claimed, Secrets};
use super::{Flow, FlowError, phone};
use crate::clock::Clock;
use crate::crypto::{CryptoError, Keyring};
use crate::store::intake::NewEntry;
use crate::store::rule_hooks::{self, Hook};
use crate::store::{Durability, StoreError, conversations};

/// Largest payload, bytes: it becomes part of an event, which rules read whole.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024;
/// Longest id of a call, bytes.
const ID_BYTES_MAX: usize = 200;
/// What `Hook::about` says when the payload names a conversation.
pub const CONVERSATION: &str = "conversation";
/// What it says when the payload names a contact's number or address.
pub const CONTACT: &str = "contact";

/// Why a call was not taken. Nothing is kept then.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// No rule has this URL.
    #[error("no rule has this address; copy it again")]
    Unknown,
    /// The signature does not hold.
    #[error("the signature of this call does not hold, or is too old")]
    Forged,
    /// It is not a JSON object.
    #[error("the call must carry a JSON object")]
    Malformed,
    /// The payload does not say whom it is about.
    #[error("the payload has no text at `{0}`, which should say whom it is about")]
    Nobody(String),
    /// There is no such conversation.
    #[error("there is no conversation with whom this call is about")]
    NoConversation,
    /// Too much at once; nothing is kept.
    #[error("too many calls are waiting; come back in {retry_after_s} s")]
    Overloaded {
        /// Seconds.
        retry_after_s: u32,
    },
    /// The flow room failed.
    #[error(transparent)]
    Flow(#[from] FlowError),
}

impl HookError {
    /// Stable.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown_hook",
            Self::Forged => "forged",
            Self::Malformed => "malformed",
            Self::Nobody(_) => "nobody_named",
            Self::NoConversation => "no_conversation",
            Self::Overloaded { .. } => "overloaded",
            Self::Flow(_) => "failed",
        }
    }
}

impl From<StoreError> for HookError {
    fn from(error: StoreError) -> Self {
        Self::Flow(error.into())
    }
}

/// A call as it came.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// `webhook-id`; also keeps a repeated call from counting twice.
    pub id: Option<String>,
    /// `webhook-timestamp`.
    pub timestamp: Option<String>,
    /// `webhook-signature`.
    pub signature: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Takes a call; answers the conversation that hears of it.
///
/// # Errors
/// Nothing is kept then, but that it was refused.
pub async fn call(flow: &Flow, key: &str, call: &Call) -> Result<ConversationId, HookError> {
    let _arriving = Arriving::new(flow.head_start.arriving());
    let hook = rule_hooks::by_key(&mut flow.db.read().await?, key).await?.ok_or(HookError::Unknown)?;
    let taken = take(flow, &hook, call).await;
    if matches!(taken, Err(HookError::Overloaded { .. })) {
        return taken; // what is too much already is not made more by noting it
    }
    let outcome = match &taken {
        Ok(_) => "accepted",
        Err(refused) => refused.code(),
    };
    let now_ms = flow.clock.now_ms();
    let noted = flow.db.write(Durability::Soft, move |tx| {
        let hook = hook.clone();
        Box::pin(async move { rule_hooks::note(tx, &hook, outcome, now_ms).await })
    });
    noted.await?;
    taken
}

async fn take(flow: &Flow, hook: &Hook, call: &Call) -> Result<ConversationId, HookError> {
    let now_ms = flow.clock.now_ms();
    if hook.signed {
        let secrets = open(&flow.keyring, hook).map_err(FlowError::from)?;
        let (Some(id), Some(timestamp), Some(signatures)) = (&call.id, &call.timestamp, &call.signature)
        else {
            return Err(HookError::Forged);
        };
        let body = std::str::from_utf8(&call.body).map_err(|_| HookError::Malformed)?;
        if !secrets.verify(&Claimed { id, timestamp, signatures }, now_ms, body) {
            return Err(HookError::Forged);
        }
    }
    let payload: Value = serde_json::from_slice(&call.body).map_err(|_| HookError::Malformed)?;
    if !payload.is_object() {
        return Err(HookError::Malformed);
    }
    let (conversation, lane, channel) = find(flow, hook, &payload).await?;
    let id = InboxId::new(now_ms, flow.clock.random());
    let call_id = call.id.as_deref().filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX);
    let command = Command::Hook { name: hook.name.clone(), payload };
    let order = Order { conversation: Some(conversation), actor: Actor::System, command };
    let entry = NewEntry {
        tenant: hook.tenant,
        lane,
        id,
        channel,
        raw: None,
        dedupe_key: call_id.map_or_else(|| id.to_string(), |id| format!("hook:{}:{id}", hook.id)),
        body: to_json(&Entry::Order(order)),
        received_ms: now_ms,
    };
    let kept = flow.intake.try_put(Arrived { raw: None, entries: vec![entry] }).await;
    kept.map_err(|_: Full| HookError::Overloaded { retry_after_s: COME_BACK_S })??;
    Ok(conversation)
}

async fn find(
    flow: &Flow,
    hook: &Hook,
    payload: &Value,
) -> Result<(ConversationId, LaneId, ChannelId), HookError> {
    let named = payload.pointer(&hook.pointer).and_then(Value::as_str).map(str::trim);
    let named = named.filter(|it| !it.is_empty()).ok_or_else(|| HookError::Nobody(hook.pointer.clone()))?;
    let tx = &mut flow.db.read().await?;
    if hook.about == CONVERSATION {
        let id = named.parse().map_err(|_| HookError::NoConversation)?;
        let lane = conversations::lane_of(tx, hook.tenant, id).await?;
        return lane.map(|(lane, channel)| (id, lane, channel)).ok_or(HookError::NoConversation);
    }
    let phone_key = phone::key(named);
    let by = (named, phone_key.as_deref());
    rule_hooks::conversation_with(tx, hook.tenant, by, hook.channel).await?.ok_or(HookError::NoConversation)
}

/// Where a URL's secrets are sealed for.
fn secrets_place(id: HookId) -> String {
    format!("rule_hook:{id}")
}

/// Seals the secrets of a URL.
pub fn seal(keyring: &Keyring, clock: &Clock, id: HookId, secrets: &Secrets) -> String {
    keyring.seal(clock, &secrets_place(id), secrets.to_json().as_bytes())
}

/// Opens them.
///
/// # Errors
/// They were sealed by another key, or for another URL.
pub fn open(keyring: &Keyring, hook: &Hook) -> Result<Secrets, CryptoError> {
    let plain = keyring.open(&secrets_place(hook.id), &hook.secrets)?;
    Secrets::from_json(&plain).ok_or(CryptoError::NotOurs)
}
