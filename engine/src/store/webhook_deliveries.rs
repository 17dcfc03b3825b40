//! What endpoints are told: written in the transaction of what happened, sent in
//! order within a lane, and recorded attempt by attempt. Reading them for people
//! is the business of `webhook_views`.

use std::collections::BTreeMap;

use pointsman_rules::ids::{ChannelId, ConversationId, DeliveryId, LaneId, TenantId, WebhookId};

use super::lanes::{self, Append, Task};
use super::text::places;
use super::{Arg, Row, StoreError, Tx};
use crate::args;

/// Something for an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: DeliveryId,
    /// For whom.
    pub webhook: WebhookId,
    /// Within which it is told in order.
    pub lane: LaneId,
    /// What the endpoint knows it by: the id of an event or effect.
    pub message_id: String,
    /// Type of the event.
    pub kind: String,
    /// About which conversation.
    pub conversation: Option<ConversationId>,
    /// Where it happened.
    pub channel: ChannelId,
    /// The body, as it is signed and sent.
    pub payload: String,
    /// Why it is kept and not sent, if so.
    pub refused: Option<&'static str>,
}

/// Appends to lanes and keeps what is told. Locks the lanes, so call it last in a transaction: whoever sends locks the
/// lane first and then what is written here.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, new: &[NewDelivery], now_ms: i64) -> Result<(), StoreError> {
    let mut appends: BTreeMap<(TenantId, LaneId), Append> = BTreeMap::new();
    for it in new.iter().filter(|it| it.refused.is_none()) {
        let (tenant, lane, channel) = (it.tenant, it.lane, it.channel);
        let blank = Append { tenant, lane, channel, count: 0, ready_ms: now_ms };
        appends.entry((tenant, lane)).or_insert(blank).count += 1;
    }
    let appends: Vec<Append> = appends.into_values().collect();
    let gens = lanes::append(tx, Task::Webhook, &appends).await?;
    let mut next: BTreeMap<(TenantId, LaneId), i64> =
        appends.iter().zip(gens).map(|(it, last)| ((it.tenant, it.lane), last - it.count)).collect();
    let rows = new
        .iter()
        .map(|it| {
            let seq = match (it.refused, next.get_mut(&(it.tenant, it.lane))) {
                (None, Some(seq)) => {
                    *seq += 1;
                    *seq
                }
                _ => 0,
            };
            args![
                it.tenant,
                it.id,
                it.webhook,
                it.lane,
                seq,
                &it.message_id,
                &it.kind,
                it.conversation,
                it.channel,
                &it.payload,
                if it.refused.is_some() { "failed" } else { "waiting" },
                it.refused,
                0i64,
                0i64,
                now_ms,
                now_ms,
                it.refused.map(|_| now_ms)
            ]
        })
        .collect();
    let head = "insert into webhook_deliveries (tenant_id, id, webhook_id, lane_id, seq, message_id, type, \
        conversation_id, channel_id, payload, state, problem, attempts, tries, next_ms, created_ms, done_ms)";
    tx.insert_many("keep deliveries", head, rows, "").await.map(|_| ())
}

/// The next delivery of a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its id.
    pub id: DeliveryId,
    /// Its place in the lane.
    pub seq: i64,
    /// For whom.
    pub webhook: WebhookId,
    /// What the endpoint knows it by.
    pub message_id: String,
    /// Type of the event.
    pub kind: String,
    /// The body.
    pub payload: String,
    /// Calls so far.
    pub attempts: i64,
    /// Calls since it was queued last.
    pub tries: i64,
    /// Not before this moment, unix milliseconds.
    pub next_ms: i64,
}

/// The next delivery of a lane, if any waits.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn next(tx: &mut Tx, tenant: TenantId, lane: LaneId) -> Result<Option<Due>, StoreError> {
    let sql = "select id, seq, webhook_id, message_id, type, payload, attempts, tries, next_ms \
        from webhook_deliveries where tenant_id = $1 and lane_id = $2 and state = 'waiting' order by seq limit 1";
    tx.first("find the next delivery", sql, args![tenant, lane]).await?.as_ref().map(due).transpose()
}

fn due(row: &Row) -> Result<Due, StoreError> {
    let mut c = row.columns("webhook_deliveries");
    Ok(Due {
        id: c.id("id")?,
        seq: c.int("seq")?,
        webhook: c.id("webhook_id")?,
        message_id: c.text("message_id")?,
        kind: c.text("type")?,
        payload: c.text("payload")?,
        attempts: c.int("attempts")?,
        tries: c.int("tries")?,
        next_ms: c.int("next_ms")?,
    })
}

/// One call of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: i64,
    /// When it began, unix milliseconds.
    pub at_ms: i64,
    /// How long it took, milliseconds.
    pub took_ms: i64,
    /// HTTP status, if there was an answer.
    pub status: Option<i64>,
    /// The first bytes of the answer.
    pub answer: Option<String>,
    /// What was wrong, for people.
    pub problem: Option<String>,
}

/// What becomes of a delivery after a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The endpoint has it.
    Delivered,
    /// Once more, not before this moment (unix milliseconds).
    Again(i64),
    /// It is given up.
    Failed,
}

/// Records a call and what becomes of the delivery. One that was given up meanwhile stays so, unless it arrived.
///
/// # Errors
/// The database's own.
pub async fn record(
    tx: &mut Tx,
    tenant: TenantId,
    id: DeliveryId,
    attempt: &Attempt,
    fate: &Fate,
) -> Result<(), StoreError> {
    let (state, next_ms, done_ms) = match fate {
        Fate::Delivered => ("delivered", attempt.at_ms, Some(attempt.at_ms + attempt.took_ms)),
        Fate::Again(next_ms) => ("waiting", *next_ms, None),
        Fate::Failed => ("failed", attempt.at_ms, Some(attempt.at_ms + attempt.took_ms)),
    };
    let sql = "update webhook_deliveries set state = $3, problem = $4, attempts = $5, tries = tries + 1, \
        next_ms = $6, done_ms = $7 where tenant_id = $1 and id = $2 and (state = 'waiting' or $3 = 'delivered')";
    let values = args![tenant, id, state, attempt.problem.clone(), attempt.number, next_ms, done_ms];
    tx.execute("record a delivery", sql, values).await?;
    let sql = "insert into webhook_attempts (tenant_id, delivery_id, number, at_ms, took_ms, status, answer, problem) \
        values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing";
    let Attempt { number, at_ms, took_ms, status, answer, problem } = attempt.clone();
    let values = args![tenant, id, number, at_ms, took_ms, status, answer, problem];
    tx.execute("record an attempt", sql, values).await.map(|_| ())
}

/// Gives up everything that waits for an endpoint. It can be replayed.
///
/// # Errors
/// The database's own.
pub async fn give_up(
    tx: &mut Tx,
    tenant: TenantId,
    webhook: WebhookId,
    reason: &str,
    now_ms: i64,
) -> Result<u64, StoreError> {
    let sql = "update webhook_deliveries set state = 'failed', problem = $3, done_ms = $4 \
        where tenant_id = $1 and webhook_id = $2 and state = 'waiting'";
    tx.execute("give deliveries up", sql, args![tenant, webhook, reason, now_ms]).await
}

/// Queues deliveries that do not wait once more, behind what waits in their lanes, in their old order. Answers how many.
///
/// # Errors
/// The database's own.
pub async fn requeue(
    tx: &mut Tx,
    tenant: TenantId,
    ids: &[DeliveryId],
    now_ms: i64,
) -> Result<u64, StoreError> {
    let mut by_lane: BTreeMap<LaneId, (ChannelId, Vec<DeliveryId>)> = BTreeMap::new();
    for ids in ids.chunks(IDS_PER_QUERY_MAX) {
        let sql = format!(
            "select id, lane_id, channel_id from webhook_deliveries where tenant_id = $1 and state <> 'waiting' \
             and id in ({}) order by created_ms, seq, id",
            places(2, ids.len())
        );
        let mut values = args![tenant];
        values.extend(ids.iter().map(|id| Arg::from(*id)));
        for row in tx.all("find deliveries", &sql, values).await? {
            let mut c = row.columns("webhook_deliveries");
            let (id, lane, channel) = (c.id("id")?, c.id("lane_id")?, c.id("channel_id")?);
            by_lane.entry(lane).or_insert((channel, Vec::new())).1.push(id);
        }
    }
    let appends: Vec<Append> = by_lane
        .iter()
        .map(|(lane, (channel, ids))| {
            let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
            Append { tenant, lane: *lane, channel: *channel, count, ready_ms: now_ms }
        })
        .collect();
    let gens = lanes::append(tx, Task::Webhook, &appends).await?;
    let sql = "update webhook_deliveries set state = 'waiting', problem = null, tries = 0, done_ms = null, \
        seq = $3, next_ms = $4 where tenant_id = $1 and id = $2 and state <> 'waiting'";
    let mut queued = 0;
    for ((append, last), (_, ids)) in appends.iter().zip(gens).zip(by_lane.values()) {
        for (seq, id) in (last - append.count + 1..).zip(ids) {
            queued += tx.execute("queue a delivery again", sql, args![tenant, *id, seq, now_ms]).await?;
        }
    }
    Ok(queued)
}

const IDS_PER_QUERY_MAX: usize = 64;

/// Failed deliveries of an endpoint from a moment on (unix milliseconds), the oldest first.
///
/// # Errors
/// The database's own.
pub async fn failed_since(
    tx: &mut Tx,
    tenant: TenantId,
    webhook: WebhookId,
    since_ms: i64,
    rows_max: u32,
) -> Result<Vec<DeliveryId>, StoreError> {
    let sql = "select id from webhook_deliveries where tenant_id = $1 and webhook_id = $2 and state = 'failed' \
        and id >= $3 order by id limit $4";
    let values = args![tenant, webhook, DeliveryId::new(since_ms, 0), rows_max];
    let rows = tx.all("find failed deliveries", sql, values).await?;
    rows.iter().map(|row| row.columns("webhook_deliveries").id("id")).collect()
}

#[cfg(test)]
#[path = "webhook_deliveries_tests.rs"]
mod tests;
