//! Messages and their delivery status, which only moves forward: every update
//! names the statuses it may replace.

use std::collections::BTreeSet;

use pointsman_rules::facts::{Direction, SenderKind};
use pointsman_rules::ids::{ChannelId, ConversationId, EffectId, LaneId, MessageId, TenantId};

use super::text::places;
use super::{Arg, Columns, StoreError, Tx};
use crate::args;

/// A message as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its channel.
    pub channel: ChannelId,
    /// Its place in the conversation.
    pub seq: i64,
    /// Which way.
    pub direction: Direction,
    /// What kind of sender.
    pub sender: SenderKind,
    /// Which user, key or rule.
    pub sender_id: Option<String>,
    /// JSON of `flow::content::Content`.
    pub content: String,
    /// Delivery status of an outbound message.
    pub status: Option<String>,
    /// JSON of the failure.
    pub failure: Option<String>,
    /// The vendor's id.
    pub vendor_id: Option<String>,
    /// The effect that sends it.
    pub effect: Option<EffectId>,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// The vendor's time for inbound, ours for outbound.
    pub at_ms: i64,
    /// When it was stored.
    pub created_ms: i64,
}

/// In the order in which [`read_from`] reads them.
pub(super) const COLUMNS: &str = "id, conversation_id, channel_id, seq, direction, sender_kind, sender_id, content, status, \
    failure, vendor_id, effect_id, reply_to, at_ms, created_ms";

/// Adds messages.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, messages: &[(TenantId, Message)]) -> Result<(), StoreError> {
    let rows = messages
        .iter()
        .map(|(tenant, m)| {
            args![
                *tenant,
                m.id,
                m.conversation,
                m.channel,
                m.seq,
                m.direction.word(),
                m.sender.word(),
                m.sender_id.clone(),
                m.content.as_str(),
                m.status.clone(),
                m.failure.clone(),
                m.vendor_id.clone(),
                m.effect,
                m.reply_to,
                m.at_ms,
                m.created_ms
            ]
        })
        .collect();
    let head = format!("insert into messages (tenant_id, {COLUMNS})");
    tx.insert_many("add messages", &head, rows, "").await.map(|_| ())
}

/// A change of a message's delivery status.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusUpdate {
    /// Which message.
    pub message: MessageId,
    /// The new status.
    pub status: &'static str,
    /// Statuses it may replace.
    pub over: &'static [&'static str],
    /// JSON of the failure.
    pub failure: Option<String>,
    /// The vendor's id, if it is news.
    pub vendor_id: Option<String>,
    /// When.
    pub at_ms: i64,
}

/// Moves messages' statuses forward; answers those that moved. A vendor id is kept in any case.
///
/// # Errors
/// The database's own.
pub async fn set_status(
    tx: &mut Tx,
    updates: &[(TenantId, StatusUpdate)],
) -> Result<BTreeSet<MessageId>, StoreError> {
    let mut moved = BTreeSet::new();
    for status in updates.iter().map(|(_, update)| update.status).collect::<BTreeSet<_>>() {
        let alike = || updates.iter().filter(move |(_, update)| update.status == status);
        let over = alike().next().map_or(&[][..], |(_, update)| update.over);
        // What went well has no failure any more, also when an earlier try had one.
        let is_bad = matches!(status, "queued" | "failed" | "unknown");
        let failure = if is_bad { "coalesce(v.column3, messages.failure)" } else { "null" };
        let sql = format!(
            "update messages set status = $1, failure = {failure}, \
             vendor_id = coalesce(messages.vendor_id, v.column4), status_ms = v.column5 from :rows as v \
             where messages.tenant_id = v.column1 and messages.id = v.column2 and messages.status in ({}) \
             returning messages.id",
            places(2, over.len())
        );
        let mut args = args![status];
        args.extend(over.iter().map(|word| Arg::from(*word)));
        let row = |(tenant, it): &(TenantId, StatusUpdate)| {
            args![*tenant, it.message, it.failure.clone(), it.vendor_id.clone(), it.at_ms]
        };
        let rows: Vec<_> = alike().map(row).collect();
        for row in tx.join_rows("move messages on", &sql, args, &rows).await? {
            moved.insert(row.columns("messages").id("id")?);
        }
    }
    let late = updates.iter().filter(|(_, it)| it.vendor_id.is_some() && !moved.contains(&it.message));
    let rows: Vec<_> = late.map(|(tenant, it)| args![*tenant, it.message, it.vendor_id.clone()]).collect();
    let sql = "update messages set vendor_id = v.column3 from :rows as v where messages.tenant_id = v.column1 \
               and messages.id = v.column2 and messages.vendor_id is null";
    tx.change_rows("keep vendor ids", sql, Vec::new(), &rows).await?;
    Ok(moved)
}

/// Marks messages whose vendor is called next.
///
/// # Errors
/// The database's own.
pub async fn begin(
    tx: &mut Tx,
    calls: &[(TenantId, EffectId, MessageId)],
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "update messages set status = 'sending', failure = null, status_ms = $1 from :rows as v \
               where messages.tenant_id = v.column1 and messages.id = v.column2 and messages.status = 'queued'";
    let rows: Vec<_> = calls.iter().map(|(tenant, _, id)| args![*tenant, *id]).collect();
    tx.change_rows("begin messages", sql, args![now_ms], &rows).await
}

/// One message.
///
/// # Errors
/// The database's own.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: MessageId) -> Result<Option<Message>, StoreError> {
    let sql = format!("select {COLUMNS} from messages where tenant_id = $1 and id = $2");
    tx.first("read a message", &sql, args![tenant, id]).await?.map(|row| read(&row)).transpose()
}

/// Messages with these vendor ids on a channel.
///
/// # Errors
/// The database's own.
pub async fn by_vendor_id(
    tx: &mut Tx,
    tenant: TenantId,
    channel: ChannelId,
    vendor_ids: &[&str],
) -> Result<Vec<Message>, StoreError> {
    if vendor_ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select {COLUMNS} from messages where tenant_id = $1 and channel_id = $2 and vendor_id in ({})",
        places(3, vendor_ids.len())
    );
    let mut args = args![tenant, channel];
    args.extend(vendor_ids.iter().map(|id| Arg::from(*id)));
    tx.all("find messages", &sql, args).await?.iter().map(read).collect()
}

/// Messages that these effects send.
///
/// # Errors
/// The database's own.
pub async fn by_effect(tx: &mut Tx, effects: &[(TenantId, EffectId)]) -> Result<Vec<Message>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from messages where tenant_id = $1 and id = (select message_id from effects \
         where tenant_id = $1 and id = $2)"
    );
    let rows: Vec<_> = effects.iter().map(|(tenant, id)| args![*tenant, *id]).collect();
    tx.all_of_each("find messages", &sql, Vec::new(), &rows).await?.iter().map(read).collect()
}

/// Puts a failed or unclear message back to `queued`, because a person asked for it. What the vendor called it belongs to
/// the last try.
///
/// # Errors
/// The database's own.
pub async fn requeue(tx: &mut Tx, tenant: TenantId, id: MessageId) -> Result<(), StoreError> {
    let sql = "update messages set status = 'queued', failure = null, vendor_id = null \
               where tenant_id = $1 and id = $2 and status in ('failed', 'unknown')";
    tx.execute("queue a message again", sql, args![tenant, id]).await.map(|_| ())
}

/// The newest message beside this one in its conversation, notes aside.
///
/// # Errors
/// The database's own.
pub async fn newest_beside(
    tx: &mut Tx,
    tenant: TenantId,
    id: MessageId,
) -> Result<Option<Message>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from messages where tenant_id = $1 and conversation_id = (select m.conversation_id \
         from messages m where m.tenant_id = $1 and m.id = $2) and id <> $2 and direction <> 'internal' \
         order by seq desc limit 1"
    );
    tx.first("read the newest message", &sql, args![tenant, id]).await?.map(|row| read(&row)).transpose()
}

/// Removes a failed message.
///
/// # Errors
/// The database's own.
pub async fn delete_failed(tx: &mut Tx, tenant: TenantId, id: MessageId) -> Result<(), StoreError> {
    let sql = "delete from messages where tenant_id = $1 and id = $2 and status = 'failed'";
    tx.execute("delete a failed message", sql, args![tenant, id]).await.map(|_| ())
}

/// Messages with these vendor ids on a channel: the vendor's id, ours, and the lane.
///
/// # Errors
/// The database's own.
pub async fn mentioned(
    tx: &mut Tx,
    tenant: TenantId,
    channel: ChannelId,
    vendor_ids: &[&str],
) -> Result<Vec<(String, MessageId, LaneId)>, StoreError> {
    let sql = format!(
        "select m.vendor_id, m.id, c.lane_id from messages m join conversations c on c.tenant_id = m.tenant_id \
         and c.id = m.conversation_id where m.tenant_id = $1 and m.channel_id = $2 and m.vendor_id in ({})",
        places(3, vendor_ids.len())
    );
    let mut args = args![tenant, channel];
    args.extend(vendor_ids.iter().map(|id| Arg::from(*id)));
    let rows = tx.all("find mentioned messages", &sql, args).await?;
    rows.iter()
        .map(|row| {
            let c = &mut row.columns("messages");
            Ok((c.text("vendor_id")?, c.id("id")?, c.id("lane_id")?))
        })
        .collect()
}

fn read(row: &super::Row) -> Result<Message, StoreError> {
    read_from(&mut row.columns("messages"))
}

/// Reads [`COLUMNS`].
///
/// # Errors
/// A column that cannot be read.
pub(super) fn read_from(c: &mut Columns<'_>) -> Result<Message, StoreError> {
    Ok(Message {
        id: c.id("id")?,
        conversation: c.id("conversation_id")?,
        channel: c.id("channel_id")?,
        seq: c.int("seq")?,
        direction: c.word("direction", Direction::from_word)?,
        sender: c.word("sender_kind", SenderKind::from_word)?,
        sender_id: c.opt_text("sender_id")?,
        content: c.text("content")?,
        status: c.opt_text("status")?,
        failure: c.opt_text("failure")?,
        vendor_id: c.opt_text("vendor_id")?,
        effect: c.opt_id("effect_id")?,
        reply_to: c.opt_id("reply_to")?,
        at_ms: c.int("at_ms")?,
        created_ms: c.int("created_ms")?,
    })
}
