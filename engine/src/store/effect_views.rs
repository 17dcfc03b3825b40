//! Work as operators read it: what gave up, what nobody knows the end of, and
//! how far the lanes are behind. Reading only.

use std::fmt;
use std::str::FromStr;

use pointsman_rules::ids::{ChannelId, ConversationId, EffectId, MessageId, TenantId};
use serde_json::Value;

use super::filter::Filter;
use super::{Row, StoreError, Tx};
use crate::args;

/// An effect with its last failure.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectView {
    /// Its id.
    pub id: EffectId,
    /// Its channel.
    pub channel: ChannelId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// The message it sends.
    pub message: Option<MessageId>,
    /// What kind of effect.
    pub kind: String,
    /// Where it is.
    pub state: String,
    /// Calls begun.
    pub attempts: i64,
    /// What went wrong, as JSON.
    pub failure: Option<Value>,
    /// Not before this moment; times in unix milliseconds.
    pub next_ms: i64,
    /// When it was asked for.
    pub created_ms: i64,
    /// When it ended.
    pub done_ms: Option<i64>,
}

/// A place in a list of effects: when it ended or was asked for, and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(pub i64, pub EffectId);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

impl FromStr for Place {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (at_ms, id) = text.split_once('/').ok_or(())?;
        Ok(Self(at_ms.parse().map_err(|_| ())?, id.parse().map_err(|_| ())?))
    }
}

impl EffectView {
    /// Its place in the list it came from.
    pub fn place(&self) -> Place {
        Place(self.done_ms.unwrap_or(self.created_ms), self.id)
    }
}

const HEAD: &str = "select e.id, e.channel_id, e.conversation_id, e.message_id, e.kind, e.state, e.attempts, \
    e.failure, e.next_ms, e.created_ms, e.done_ms from effects e";

/// Effects that wait or are being performed, the oldest first; `after` is the last one already seen.
///
/// # Errors
/// The database's own.
pub async fn under_way(
    tx: &mut Tx,
    tenant: TenantId,
    after: Option<Place>,
    rows_max: u32,
) -> Result<Vec<EffectView>, StoreError> {
    let mut filter = Filter::new("e", tenant);
    filter.and("e.state in ('queued', 'sending')", vec![]);
    if let Some(Place(at_ms, id)) = after {
        filter.and("(coalesce(e.done_ms, e.created_ms), e.id) > (?, ?)", args![at_ms, id]);
    }
    let (sql, args) = filter.finish(HEAD, "order by coalesce(e.done_ms, e.created_ms), e.id", rows_max);
    tx.all("list effects under way", &sql, args).await?.iter().map(read).collect()
}

/// Effects that gave up or whose end is unknown, the latest first; `after` is the last one already seen.
///
/// # Errors
/// The database's own.
pub async fn dead(
    tx: &mut Tx,
    tenant: TenantId,
    after: Option<Place>,
    rows_max: u32,
) -> Result<Vec<EffectView>, StoreError> {
    let mut filter = Filter::new("e", tenant);
    filter.and("e.state in ('failed', 'unknown')", vec![]);
    if let Some(Place(at_ms, id)) = after {
        filter.and("(coalesce(e.done_ms, e.created_ms), e.id) < (?, ?)", args![at_ms, id]);
    }
    let (sql, args) =
        filter.finish(HEAD, "order by coalesce(e.done_ms, e.created_ms) desc, e.id desc", rows_max);
    tx.all("list dead effects", &sql, args).await?.iter().map(read).collect()
}

/// One dead effect.
///
/// # Errors
/// The database's own.
pub async fn dead_one(tx: &mut Tx, tenant: TenantId, id: EffectId) -> Result<Option<EffectView>, StoreError> {
    let mut filter = Filter::new("e", tenant);
    filter.and("e.id = ? and e.state in ('failed', 'unknown')", args![id]);
    let (sql, args) = filter.finish(HEAD, "", 1);
    tx.first("read a dead effect", &sql, args).await?.as_ref().map(read).transpose()
}

/// Takes a dead effect off the list; its message keeps its status and failure. Answers whether it was there.
///
/// # Errors
/// The database's own.
pub async fn discard(tx: &mut Tx, tenant: TenantId, id: EffectId) -> Result<bool, StoreError> {
    let sql = "update effects set state = 'cancelled' where tenant_id = $1 and id = $2 and \
               state in ('failed', 'unknown')";
    Ok(tx.execute("discard an effect", sql, args![tenant, id]).await? > 0)
}

/// How one task of the lanes is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueView {
    /// `turn` or `deliver`.
    pub task: String,
    /// Lanes whose moment has come and that nobody works on.
    pub ready: i64,
    /// Lanes that a worker has.
    pub running: i64,
    /// Lanes that wait for a later moment (a retry, a channel's rate).
    pub waiting: i64,
    /// Lanes whose last try failed.
    pub failing: i64,
    /// How long the oldest ready lane has waited, milliseconds; 0 when none is ready.
    pub lag_ms: i64,
}

/// How the lanes of a tenant are doing at this moment.
///
/// # Errors
/// The database's own.
pub async fn queues(tx: &mut Tx, tenant: TenantId, now_ms: i64) -> Result<Vec<QueueView>, StoreError> {
    // Summed as bigint: PostgreSQL sums bigint to numeric, which is none of our column types.
    let sql = "select task, \
        cast(sum(case when not leased and ready_ms <= $2 then 1 else 0 end) as bigint), \
        cast(sum(case when leased then 1 else 0 end) as bigint), \
        cast(sum(case when not leased and ready_ms > $2 then 1 else 0 end) as bigint), \
        cast(sum(case when attempts > 0 then 1 else 0 end) as bigint), \
        min(case when not leased and ready_ms <= $2 then ready_ms end) \
        from lanes where tenant_id = $1 and task in ('turn', 'deliver', 'webhook') \
        and ready_ms is not null group by task order by task";
    let rows = tx.all("measure the lanes", sql, args![tenant, now_ms]).await?;
    rows.iter()
        .map(|row| {
            let c = &mut row.columns("lanes");
            Ok(QueueView {
                task: c.text("task")?,
                ready: c.int("ready")?,
                running: c.int("running")?,
                waiting: c.int("waiting")?,
                failing: c.int("failing")?,
                lag_ms: c.opt_int("oldest")?.map_or(0, |oldest| (now_ms - oldest).max(0)),
            })
        })
        .collect()
}

fn read(row: &Row) -> Result<EffectView, StoreError> {
    let c = &mut row.columns("effects");
    Ok(EffectView {
        id: c.id("id")?,
        channel: c.id("channel_id")?,
        conversation: c.id("conversation_id")?,
        message: c.opt_id("message_id")?,
        kind: c.text("kind")?,
        state: c.text("state")?,
        attempts: c.int("attempts")?,
        failure: c.opt_json("failure")?,
        next_ms: c.int("next_ms")?,
        created_ms: c.int("created_ms")?,
        done_ms: c.opt_int("done_ms")?,
    })
}

#[cfg(test)]
#[path = "effect_views_tests.rs"]
mod tests;
