//! What the hand-out reads and writes: conversations that wait for somebody,
//! the people who are there, and who is on the way to whom.

use pointsman_rules::assign::Seat;
use pointsman_rules::ids::{ChannelId, ConversationId, GroupId, LaneId, TenantId, UserId};

use super::conversations::Queue;
use super::{StoreError, Tx};
use crate::args;

/// A conversation that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Which.
    pub conversation: ConversationId,
    /// Its lane.
    pub lane: LaneId,
    /// Its channel.
    pub channel: ChannelId,
    /// The group that it waits for.
    pub group: GroupId,
    /// Since when, and who passed.
    pub queue: Queue,
}

/// Groups in which something waits, with their tenants.
///
/// # Errors
/// The database's own.
pub async fn groups(tx: &mut Tx) -> Result<Vec<(TenantId, GroupId)>, StoreError> {
    let sql = "select distinct tenant_id, group_id from conversations \
               where queued_ms is not null and holder_id is null and group_id is not null \
               order by tenant_id, group_id";
    tx.all("find queues", sql, Vec::new())
        .await?
        .iter()
        .map(|row| {
            let mut c = row.columns("conversations");
            Ok((c.id("tenant_id")?, c.id("group_id")?))
        })
        .collect()
}

/// What waits in a group and is not on its way to somebody since `placed_after_ms`, the most urgent first, then the
/// oldest.
///
/// # Errors
/// The database's own.
pub async fn waiting(
    tx: &mut Tx,
    tenant: TenantId,
    group: GroupId,
    placed_after_ms: i64,
    rows_max: u32,
) -> Result<Vec<Waiting>, StoreError> {
    let sql = "select id, lane_id, channel_id, queue from conversations c where tenant_id = $1 and group_id = $2 \
               and queued_ms is not null and holder_id is null and not exists (select 1 from placements p \
               where p.tenant_id = c.tenant_id and p.conversation_id = c.id and p.at_ms > $3) \
               order by case priority when 'urgent' then 0 when 'high' then 1 when 'normal' then 2 else 3 end, \
               queued_ms, id limit $4";
    tx.all("read a queue", sql, args![tenant, group, placed_after_ms, rows_max])
        .await?
        .iter()
        .map(|row| {
            let mut c = row.columns("conversations");
            Ok(Waiting {
                conversation: c.id("id")?,
                lane: c.id("lane_id")?,
                channel: c.id("channel_id")?,
                group,
                queue: c.json("queue")?,
            })
        })
        .collect()
}

/// Everybody who is online, with what they have, were offered, or is on its way to them since `placed_after_ms`.
///
/// # Errors
/// The database's own.
pub async fn seats(tx: &mut Tx, tenant: TenantId, placed_after_ms: i64) -> Result<Vec<Seat>, StoreError> {
    let sql = "select u.id, u.chats_max, u.given_ms, (select count(*) from conversations c \
               where c.tenant_id = u.tenant_id and c.holder_id = u.id) + (select count(*) from placements p \
               where p.tenant_id = u.tenant_id and p.agent_id = u.id and p.at_ms > $2) from users u \
               where u.tenant_id = $1 and u.presence = 'online' and u.disabled_ms is null order by u.id";
    tx.all("read who is there", sql, args![tenant, placed_after_ms])
        .await?
        .iter()
        .map(|row| {
            let mut c = row.columns("users");
            let (agent, most) = (c.id("id")?, c.opt_int("chats_max")?);
            let (given_ms, chats) = (c.int("given_ms")?, c.int("chats")?);
            Ok(Seat {
                agent,
                chats: u32::try_from(chats).unwrap_or(u32::MAX),
                chats_max: most.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
                given_ms,
            })
        })
        .collect()
}

/// These conversations are on their way to these people.
///
/// # Errors
/// The database's own.
pub async fn place(
    tx: &mut Tx,
    tenant: TenantId,
    pairs: &[(ConversationId, UserId)],
    now_ms: i64,
) -> Result<(), StoreError> {
    let rows =
        pairs.iter().map(|(conversation, agent)| args![tenant, *conversation, *agent, now_ms]).collect();
    let head = "insert into placements (tenant_id, conversation_id, agent_id, at_ms)";
    let tail = "on conflict (tenant_id, conversation_id) do update set agent_id = excluded.agent_id, \
                at_ms = excluded.at_ms";
    tx.insert_many("place conversations", head, rows, tail).await?;
    for (index, (_, agent)) in pairs.iter().enumerate() {
        // The order in which they were given something, also within a millisecond.
        let given_ms = now_ms.saturating_add(i64::try_from(index).unwrap_or(0));
        let sql = "update users set given_ms = $3 where tenant_id = $1 and id = $2";
        tx.execute("note who was given something", sql, args![tenant, *agent, given_ms]).await?;
    }
    Ok(())
}

/// A conversation is not on its way any more.
///
/// # Errors
/// The database's own.
pub async fn arrived(tx: &mut Tx, tenant: TenantId, conversation: ConversationId) -> Result<(), StoreError> {
    let sql = "delete from placements where tenant_id = $1 and conversation_id = $2";
    tx.execute("a conversation arrived", sql, args![tenant, conversation]).await.map(|_| ())
}

/// How many wait in each group, and since when the oldest does (unix milliseconds).
///
/// # Errors
/// The database's own.
pub async fn lengths(tx: &mut Tx, tenant: TenantId) -> Result<Vec<(GroupId, i64, i64)>, StoreError> {
    let sql = "select group_id, count(*), min(queued_ms) from conversations where tenant_id = $1 \
               and queued_ms is not null and holder_id is null and group_id is not null \
               group by group_id order by group_id";
    tx.all("measure queues", sql, args![tenant])
        .await?
        .iter()
        .map(|row| {
            let mut c = row.columns("conversations");
            Ok((c.id("group_id")?, c.int("count")?, c.int("min")?))
        })
        .collect()
}
