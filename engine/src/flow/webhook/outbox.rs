//! What is told to whom: an event becomes one delivery for each endpoint that
//! wants its type. Where nobody listens this costs no statement.

use pointsman_rules::ids::{
    ChannelId, ConversationId, DeliveryId, EffectId, EventId, LaneId, RuleId, TenantId, WebhookId,
};
use serde_json::{Value, json};

use crate::clock::{Clock, rfc3339};
use crate::crypto::hash16;
use crate::flow::catalog::TenantView;
use crate::store::log::{self, Logged};
use crate::store::webhook_deliveries::{self, NewDelivery};
use crate::store::webhooks::Subscriber;
use crate::store::{StoreError, Tx};

/// Type of what a rule's `call_webhook` tells.
pub const CALLED: &str = "webhook.called";
/// Why a delivery is kept and not queued.
const QUEUE_FULL: &str = "too many deliveries waited for this endpoint; replay it when they are gone";
/// The channel of what happens on none.
const NO_CHANNEL: [u8; 16] = [0; 16];

/// Something that one endpoint is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    webhook: WebhookId,
    is_full: bool,
    message_id: String,
    kind: String,
    conversation: Option<ConversationId>,
    channel: ChannelId,
    payload: String,
}

/// What a rule tells an endpoint.
#[derive(Debug, Clone)]
pub struct Called<'a> {
    /// Deterministic: the same call of the same rule and event is the same for ever.
    pub effect: EffectId,
    /// Which rule.
    pub rule: RuleId,
    /// On which event.
    pub event: EventId,
    /// In which conversation.
    pub conversation: Option<ConversationId>,
    /// On which channel.
    pub channel: ChannelId,
    /// Anything.
    pub payload: &'a Value,
    /// Now, unix milliseconds.
    pub now_ms: i64,
}

/// What an event is for the endpoints that want its type.
pub fn of_event<'a>(view: &'a TenantView, logged: &'a Logged) -> impl Iterator<Item = Told> + 'a {
    let kind = logged.event.body.kind().name();
    view.webhooks.iter().filter(move |it| it.wants(kind)).map(move |it| {
        let event = &logged.event;
        let data = json!({
            "id": event.id,
            "conversation": event.conversation,
            "channel": logged.channel,
            "seq": logged.seq,
            "cause": event.cause,
            "body": event.body,
        });
        let channel = logged.channel.unwrap_or(ChannelId::from_hash(NO_CHANNEL));
        let place = (event.conversation, channel);
        told(it, (event.id.to_string(), kind), place, payload(kind, event.at_ms, data))
    })
}

/// What a rule's call is for its endpoint.
pub fn of_call(webhook: &Subscriber, it: &Called<'_>) -> Told {
    let data = json!({
        "id": it.effect,
        "rule": it.rule,
        "event": it.event,
        "conversation": it.conversation,
        "channel": it.channel,
        "payload": it.payload,
    });
    let id = (it.effect.to_string(), CALLED);
    told(webhook, id, (it.conversation, it.channel), payload(CALLED, it.now_ms, data))
}

fn payload(kind: &str, at_ms: i64, data: Value) -> String {
    json!({"type": kind, "timestamp": rfc3339(at_ms), "data": data}).to_string()
}

fn told(
    webhook: &Subscriber,
    (message_id, kind): (String, &str),
    (conversation, channel): (Option<ConversationId>, ChannelId),
    payload: String,
) -> Told {
    let (webhook, is_full, kind) = (webhook.id, webhook.is_full, kind.to_owned());
    Told { webhook, is_full, message_id, kind, conversation, channel, payload }
}

/// Puts what is told into the outbox. Call it last in a transaction, see [`webhook_deliveries::insert`]. Answers whether
/// there is something to send.
///
/// # Errors
/// The database's own.
pub async fn put(tx: &mut Tx, clock: &Clock, told: Vec<(TenantId, Told)>) -> Result<bool, StoreError> {
    if told.is_empty() {
        return Ok(false);
    }
    let now_ms = clock.now_ms();
    let new: Vec<NewDelivery> = told
        .into_iter()
        .enumerate()
        .map(|(index, (tenant, it))| NewDelivery {
            tenant,
            id: delivery_id(now_ms, index, clock.random()),
            webhook: it.webhook,
            lane: lane_of(tenant, &it),
            message_id: it.message_id,
            kind: it.kind,
            conversation: it.conversation,
            channel: it.channel,
            payload: it.payload,
            refused: it.is_full.then_some(QUEUE_FULL),
        })
        .collect();
    webhook_deliveries::insert(tx, &new, now_ms).await?;
    Ok(new.iter().any(|it| it.refused.is_none()))
}

/// Appends events of one tenant to the log and tells them: for what happens outside of turns. Call it last in a
/// transaction. Answers whether there is something to send.
///
/// # Errors
/// The database's own.
pub async fn append(
    tx: &mut Tx,
    clock: &Clock,
    view: &TenantView,
    events: &[(TenantId, Logged)],
) -> Result<bool, StoreError> {
    log::append(tx, events).await?;
    let told = events.iter().flat_map(|(tenant, it)| of_event(view, it).map(|told| (*tenant, told)));
    put(tx, clock, told.collect()).await
}

/// In the order in which things were told, also within a millisecond.
fn delivery_id(now_ms: i64, index: usize, random: u128) -> DeliveryId {
    const RANDOM_BITS: u32 = 64;
    let index = (index & 0xffff) as u128;
    DeliveryId::new(now_ms, (index << RANDOM_BITS) | (random & u128::from(u64::MAX)))
}

/// Within which a delivery is in order: one endpoint and one conversation, or one channel outside of them.
fn lane_of(tenant: TenantId, it: &Told) -> LaneId {
    let place = it.conversation.map_or_else(|| it.channel.to_string(), |id| id.to_string());
    LaneId::from_hash(hash16(&["webhook", &tenant.to_string(), &it.webhook.to_string(), &place]))
}
