//! The channels whose messages may go to an assistant, and what groups tell
//! assistants. Without a row here nothing of a channel goes anywhere.

use std::collections::HashMap;

use pointsman_rules::ids::{AssistantId, ChannelId, GroupId, TenantId};

use super::assistants::Limits;
use super::filter::of_table;
use super::{Columns, StoreError, Tx};
use crate::args;

/// A channel's consent: which assistant reads its messages, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Whose messages.
    pub channel: ChannelId,
    /// Who reads them.
    pub assistant: AssistantId,
    /// May it answer contacts?
    pub replies: bool,
    /// Does it judge and summarise every chat that ends?
    pub insights_at_end: bool,
    /// What it is told on this channel.
    pub instructions: String,
    /// Tokens of a UTC day on this channel; `None`: any number.
    pub tokens_per_day_max: Option<i64>,
    /// Cost of a UTC day on this channel, millionths of the tenant's currency; `None`: any.
    pub cost_micros_per_day_max: Option<i64>,
    /// Counts changes, from 1.
    pub version: i64,
    /// Unix milliseconds.
    pub created_ms: i64,
}

const CONSENT: &str = "channel_id, assistant_id, replies, insights_at_end, instructions, tokens_per_day_max, \
    cost_micros_per_day_max, version, created_ms";

fn consent(c: &mut Columns<'_>) -> Result<Consent, StoreError> {
    Ok(Consent {
        channel: c.id("channel_id")?,
        assistant: c.id("assistant_id")?,
        replies: c.bool("replies")?,
        insights_at_end: c.bool("insights_at_end")?,
        instructions: c.text("instructions")?,
        tokens_per_day_max: c.opt_int("tokens_per_day_max")?,
        cost_micros_per_day_max: c.opt_int("cost_micros_per_day_max")?,
        version: c.int("version")?,
        created_ms: c.int("created_ms")?,
    })
}

/// Gives a channel an assistant, or changes what for.
///
/// # Errors
/// The database's own.
pub async fn set_consent(tx: &mut Tx, tenant: TenantId, it: &Consent) -> Result<(), StoreError> {
    let sql = "insert into channel_assistants (tenant_id, channel_id, assistant_id, replies, insights_at_end, \
        instructions, tokens_per_day_max, cost_micros_per_day_max, version, created_ms) \
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (tenant_id, channel_id) do update set \
        assistant_id = excluded.assistant_id, replies = excluded.replies, \
        insights_at_end = excluded.insights_at_end, instructions = excluded.instructions, \
        tokens_per_day_max = excluded.tokens_per_day_max, \
        cost_micros_per_day_max = excluded.cost_micros_per_day_max, version = excluded.version";
    let values = args![
        tenant,
        it.channel,
        it.assistant,
        it.replies,
        it.insights_at_end,
        &it.instructions,
        it.tokens_per_day_max,
        it.cost_micros_per_day_max,
        it.version,
        it.created_ms
    ];
    tx.execute("give a channel an assistant", sql, values).await.map(|_| ())
}

/// Takes a channel's consent back.
///
/// # Errors
/// The database's own.
pub async fn withdraw(tx: &mut Tx, tenant: TenantId, channel: ChannelId) -> Result<bool, StoreError> {
    let sql = "delete from channel_assistants where tenant_id = $1 and channel_id = $2";
    Ok(tx.execute("take an assistant off a channel", sql, args![tenant, channel]).await? == 1)
}

/// A channel's consent.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn consent_of(
    tx: &mut Tx,
    tenant: TenantId,
    channel: ChannelId,
) -> Result<Option<Consent>, StoreError> {
    let sql = format!("select {CONSENT} from channel_assistants where tenant_id = $1 and channel_id = $2");
    let row = tx.first("read a channel's assistant", &sql, args![tenant, channel]).await?;
    row.map(|row| consent(&mut row.columns("channel_assistants"))).transpose()
}

/// Every channel's consent to an assistant that is switched on, with that assistant's limits.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn duties(tx: &mut Tx, tenant: TenantId) -> Result<Vec<(Consent, Limits)>, StoreError> {
    let sql = format!(
        "select {}, a.limits from assistants a join channel_assistants c on c.tenant_id = a.tenant_id \
         and c.assistant_id = a.id where a.tenant_id = $1 and a.active = $2",
        of_table("c", CONSENT)
    );
    let rows = tx.all("read duties of assistants", &sql, args![tenant, true]).await?;
    rows.iter()
        .map(|row| {
            let c = &mut row.columns("channel_assistants");
            Ok((consent(c)?, c.json("assistants.limits")?))
        })
        .collect()
}

/// Which assistant reads a channel, as everybody may know who sees the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Which.
    pub assistant: AssistantId,
    /// For people.
    pub name: String,
    /// Id of the plugin that speaks for it.
    pub plugin: String,
    /// May it answer contacts?
    pub replies: bool,
}

/// The channels that an assistant reads which is switched on.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn readers(tx: &mut Tx, tenant: TenantId) -> Result<HashMap<ChannelId, Reader>, StoreError> {
    let sql = "select c.channel_id, a.id, a.name, a.plugin, c.replies from assistants a \
        join channel_assistants c on c.tenant_id = a.tenant_id and c.assistant_id = a.id \
        where a.tenant_id = $1 and a.active = $2";
    let rows = tx.all("read who reads channels", sql, args![tenant, true]).await?;
    let readers = rows.iter().map(|row| {
        let mut c = row.columns("channel_assistants");
        let channel = c.id("channel_id")?;
        let reader = Reader {
            assistant: c.id("assistant_id")?,
            name: c.text("name")?,
            plugin: c.text("plugin")?,
            replies: c.bool("replies")?,
        };
        Ok((channel, reader))
    });
    readers.collect()
}

/// What a group tells assistants, and how often that was changed.
///
/// # Errors
/// The database's own.
pub async fn group_instructions(
    tx: &mut Tx,
    tenant: TenantId,
    group: GroupId,
) -> Result<Option<(String, i64)>, StoreError> {
    let sql = "select instructions, version from group_instructions where tenant_id = $1 and group_id = $2";
    let row = tx.first("read a group's instructions", sql, args![tenant, group]).await?;
    row.map(|row| {
        let mut c = row.columns("group_instructions");
        Ok((c.text("instructions")?, c.int("version")?))
    })
    .transpose()
}

/// Says what a group tells assistants; nothing when empty.
///
/// # Errors
/// The database's own.
pub async fn set_group_instructions(
    tx: &mut Tx,
    tenant: TenantId,
    group: GroupId,
    instructions: &str,
) -> Result<(), StoreError> {
    let sql = "insert into group_instructions (tenant_id, group_id, instructions, version) \
        values ($1, $2, $3, 1) on conflict (tenant_id, group_id) do update set \
        instructions = excluded.instructions, version = group_instructions.version + 1";
    tx.execute("write a group's instructions", sql, args![tenant, group, instructions]).await.map(|_| ())
}
