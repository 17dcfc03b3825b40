//! Rule timers: durable, named, one of a name per conversation.

use pointsman_rules::ids::{ChannelId, ConversationId, LaneId, RuleId, RuleVersionId, TenantId, TimerId};

use super::{Row, StoreError, Tx};
use crate::args;

/// A durable deadline.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Unique in the conversation.
    pub name: String,
    /// This start of it.
    pub id: TimerId,
    /// Its lane.
    pub lane: LaneId,
    /// Its channel.
    pub channel: ChannelId,
    /// When, unix milliseconds.
    pub due_ms: i64,
    /// The conversation's reopen count when it was started: a later one means another episode.
    pub episode: i64,
    /// Who started it.
    pub rule: Option<RuleId>,
    /// In which version.
    pub rule_version: Option<RuleVersionId>,
}

const COLUMNS: &str =
    "conversation_id, name, id, lane_id, channel_id, due_ms, episode, rule_id, rule_version_id";

/// The timers of these conversations.
///
/// # Errors
/// The database's own.
pub async fn load(tx: &mut Tx, of: &[(TenantId, ConversationId)]) -> Result<Vec<Timer>, StoreError> {
    let sql = format!("select {COLUMNS} from timers where tenant_id = $1 and conversation_id = $2");
    let rows: Vec<_> = of.iter().map(|(tenant, id)| args![*tenant, *id]).collect();
    let rows = tx.all_of_each("read timers", &sql, Vec::new(), &rows).await?;
    rows.iter().map(|row| read(&mut row.columns("timers"))).collect()
}

/// Starts or moves a timer.
///
/// # Errors
/// The database's own.
pub async fn upsert(tx: &mut Tx, tenant: TenantId, it: &Timer, now_ms: i64) -> Result<(), StoreError> {
    let sql = format!(
        "insert into timers (tenant_id, {COLUMNS}, created_ms) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         on conflict (tenant_id, conversation_id, name) do update set id = excluded.id, due_ms = excluded.due_ms, \
         episode = excluded.episode, rule_id = excluded.rule_id, rule_version_id = excluded.rule_version_id"
    );
    let args = args![
        tenant,
        it.conversation,
        it.name.as_str(),
        it.id,
        it.lane,
        it.channel,
        it.due_ms,
        it.episode,
        it.rule,
        it.rule_version,
        now_ms
    ];
    tx.execute("start a timer", &sql, args).await.map(|_| ())
}

/// Stops a timer.
///
/// # Errors
/// The database's own.
pub async fn cancel(
    tx: &mut Tx,
    tenant: TenantId,
    conversation: ConversationId,
    name: &str,
) -> Result<(), StoreError> {
    let sql = "delete from timers where tenant_id = $1 and conversation_id = $2 and name = $3";
    tx.execute("cancel a timer", sql, args![tenant, conversation, name]).await.map(|_| ())
}

/// Timers that ran out, the oldest first.
///
/// # Errors
/// The database's own.
pub async fn due(tx: &mut Tx, now_ms: i64, rows_max: u32) -> Result<Vec<(TenantId, Timer)>, StoreError> {
    let sql = format!("select tenant_id, {COLUMNS} from timers where due_ms <= $1 order by due_ms limit $2");
    let rows: Vec<Row> = tx.all("find due timers", &sql, args![now_ms, rows_max]).await?;
    rows.iter()
        .map(|row| {
            let columns = &mut row.columns("timers");
            Ok((columns.id("tenant_id")?, read(columns)?))
        })
        .collect()
}

/// Hides a timer whose entry lies in the inbox now; the turn deletes it. Does nothing when it was moved meanwhile.
///
/// # Errors
/// The database's own.
pub async fn hide(tx: &mut Tx, tenant: TenantId, it: &Timer, until_ms: i64) -> Result<(), StoreError> {
    let sql = "update timers set due_ms = $5 where tenant_id = $1 and conversation_id = $2 and name = $3 and id = $4";
    let args = args![tenant, it.conversation, it.name.as_str(), it.id, until_ms];
    tx.execute("fire a timer", sql, args).await.map(|_| ())
}

fn read(c: &mut super::Columns<'_>) -> Result<Timer, StoreError> {
    Ok(Timer {
        conversation: c.id("conversation_id")?,
        name: c.text("name")?,
        id: c.id("id")?,
        lane: c.id("lane_id")?,
        channel: c.id("channel_id")?,
        due_ms: c.int("due_ms")?,
        episode: c.int("episode")?,
        rule: c.opt_id("rule_id")?,
        rule_version: c.opt_id("rule_version_id")?,
    })
}
