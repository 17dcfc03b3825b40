//! Connected numbers and accounts. Secrets arrive sealed and leave sealed; this
//! file never sees one.

use std::collections::BTreeMap;

use pointsman_rules::ids::{ChannelId, ConversationId, GroupId, LaneId, TenantId, UserId};

use super::filter::Sight;
use super::{Arg, Row, StoreError, Tx};
use crate::args;

/// A channel as kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// Id of the plugin that speaks for it.
    pub provider: String,
    /// `whatsapp`, `sms`, `webchat`, …
    pub kind: String,
    /// For people.
    pub name: String,
    /// Our number or account, as the vendor writes it; empty: not known yet.
    pub address: String,
    /// Settings without secrets.
    pub settings: serde_json::Value,
    /// Sealed JSON object: name to value.
    pub secrets: String,
    /// When each secret was set, unix milliseconds.
    pub secrets_set: BTreeMap<String, i64>,
    /// The unguessable part of its webhook address.
    pub hook_key: String,
    /// Team for new conversations.
    pub default_group: Option<GroupId>,
    /// Agent for new conversations.
    pub assigned_user: Option<UserId>,
    /// The agent whose own channel it is.
    pub owner: Option<UserId>,
    /// BCP 47.
    pub language: Option<String>,
    /// Does it take and send messages?
    pub active: bool,
    /// Do we only read along?
    pub receive_only: bool,
    /// Are addresses hidden from agents?
    pub masked: bool,
    /// May its settings point into a private network?
    pub allow_private_egress: bool,
    /// End a live chat after so much silence, milliseconds; 0: never.
    pub idle_end_ms: i64,
    /// Messages that may leave per second; `None`: as many as the provider says, 0: no limit.
    pub messages_per_second: Option<i64>,
    /// What an inbound message does to a closed conversation.
    pub reopen_policy: serde_json::Value,
    /// `connecting`, `qr_required`, `connected`, `degraded`, `failed`, `paused`, `disconnected`.
    pub state: String,
    /// Why it is in this state.
    pub state_reason: Option<String>,
    /// Since when, unix milliseconds.
    pub state_since_ms: i64,
    /// Counts changes, from 1.
    pub version: i64,
    /// Unix milliseconds.
    pub created_ms: i64,
}

const COLUMNS: &str = "id, provider, kind, name, address, settings, secrets, secrets_set, hook_key, \
    default_group_id, assigned_user_id, owner_user_id, language, active, receive_only, masked, \
    allow_private_egress, idle_end_ms, messages_per_second, reopen_policy, state, state_reason, state_since_ms, \
    version, created_ms";

fn channel(row: &Row) -> Result<Channel, StoreError> {
    let mut c = row.columns("channels");
    Ok(Channel {
        id: c.id("id")?,
        provider: c.text("provider")?,
        kind: c.text("kind")?,
        name: c.text("name")?,
        address: c.text("address")?,
        settings: c.json("settings")?,
        secrets: c.text("secrets")?,
        secrets_set: c.json("secrets_set")?,
        hook_key: c.text("hook_key")?,
        default_group: c.opt_id("default_group_id")?,
        assigned_user: c.opt_id("assigned_user_id")?,
        owner: c.opt_id("owner_user_id")?,
        language: c.opt_text("language")?,
        active: c.bool("active")?,
        receive_only: c.bool("receive_only")?,
        masked: c.bool("masked")?,
        allow_private_egress: c.bool("allow_private_egress")?,
        idle_end_ms: c.int("idle_end_ms")?,
        messages_per_second: c.opt_int("messages_per_second")?,
        reopen_policy: c.json("reopen_policy")?,
        state: c.text("state")?,
        state_reason: c.opt_text("state_reason")?,
        state_since_ms: c.int("state_since_ms")?,
        version: c.int("version")?,
        created_ms: c.int("created_ms")?,
    })
}

fn values(tenant: TenantId, ch: &Channel) -> Vec<Arg> {
    let secrets_set =
        serde_json::Value::from_iter(ch.secrets_set.iter().map(|(name, at)| (name.as_str(), *at)));
    args![
        tenant,
        ch.id,
        &ch.provider,
        &ch.kind,
        &ch.name,
        &ch.address,
        ch.settings.to_string(),
        &ch.secrets,
        secrets_set.to_string(),
        &ch.hook_key,
        ch.default_group,
        ch.assigned_user,
        ch.owner,
        ch.language.clone(),
        ch.active,
        ch.receive_only,
        ch.masked,
        ch.allow_private_egress,
        ch.idle_end_ms,
        ch.messages_per_second,
        ch.reopen_policy.to_string(),
        &ch.state,
        ch.state_reason.clone(),
        ch.state_since_ms,
        ch.version,
        ch.created_ms,
    ]
}

/// Adds a channel.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, tenant: TenantId, ch: &Channel) -> Result<(), StoreError> {
    let head = format!("insert into channels (tenant_id, {COLUMNS})");
    tx.insert_many("add a channel", &head, vec![values(tenant, ch)], "").await.map(|_| ())
}

/// Writes everything that may change and counts the version up; `false`: there is none.
///
/// # Errors
/// The database's own.
pub async fn update(tx: &mut Tx, tenant: TenantId, ch: &Channel) -> Result<bool, StoreError> {
    let sql = "update channels set name = $3, address = $4, settings = $5, secrets = $6, secrets_set = $7, \
        default_group_id = $8, assigned_user_id = $9, owner_user_id = $10, language = $11, active = $12, \
        receive_only = $13, masked = $14, allow_private_egress = $15, idle_end_ms = $16, \
        messages_per_second = $17, reopen_policy = $18, state = $19, state_reason = $20, state_since_ms = $21, \
        version = version + 1 \
        where tenant_id = $1 and id = $2 and deleted_ms is null";
    let mut values = values(tenant, ch);
    values.truncate(24); // without version and creation time, which the caller does not write
    values.remove(9); // hook key
    values.drain(2..4); // provider and kind
    Ok(tx.execute("change a channel", sql, values).await? == 1)
}

/// Removes a channel; its conversations stay readable.
///
/// # Errors
/// The database's own.
pub async fn delete(tx: &mut Tx, tenant: TenantId, id: ChannelId, now_ms: i64) -> Result<bool, StoreError> {
    let sql = "update channels set deleted_ms = $3, active = $4, secrets = '', secrets_set = '{}', \
        version = version + 1 where tenant_id = $1 and id = $2 and deleted_ms is null";
    Ok(tx.execute("remove a channel", sql, args![tenant, id, now_ms, false]).await? == 1)
}

/// The channel with this id.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: ChannelId) -> Result<Option<Channel>, StoreError> {
    let sql =
        format!("select {COLUMNS} from channels where tenant_id = $1 and id = $2 and deleted_ms is null");
    tx.first("read a channel", &sql, args![tenant, id]).await?.as_ref().map(channel).transpose()
}

/// The channel with this webhook key, and its tenant: a vendor's call comes before knowing the tenant.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn by_hook_key(tx: &mut Tx, key: &str) -> Result<Option<(TenantId, ChannelId)>, StoreError> {
    let sql = "select tenant_id, id from channels where hook_key = $1 and deleted_ms is null";
    let row = tx.first("look for a channel", sql, args![key]).await?;
    row.map(|row| {
        let mut c = row.columns("channels");
        Ok((c.id("tenant_id")?, c.id("id")?))
    })
    .transpose()
}

/// Channels after `after` that these eyes may see, in order of their ids: personal ones are for their owner and for
/// those who see everything.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    sight: Sight,
    after: Option<ChannelId>,
    limit: i64,
) -> Result<Vec<Channel>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from channels where tenant_id = $1 and id > $2 and deleted_ms is null \
         and (owner_user_id is null or owner_user_id = $4 or $5) order by id limit $3"
    );
    let after = after.map_or_else(String::new, |id| id.to_string());
    let eyes = match sight {
        Sight::Agent(user) => Some(user),
        Sight::All | Sight::Ungrouped => None,
    };
    let args = args![tenant, after, limit, eyes, sight == Sight::All];
    tx.all("list channels", &sql, args).await?.iter().map(channel).collect()
}

/// Moves a channel that is switched on into another state; answers the state it had, if it changed. Of several
/// transactions that want the same at once, one gets an answer. One that we stopped stays so until a person resumes it.
///
/// # Errors
/// The database's own.
pub async fn move_state(
    tx: &mut Tx,
    tenant: TenantId,
    id: ChannelId,
    (to, reason): (&str, Option<&str>),
    now_ms: i64,
) -> Result<Option<String>, StoreError> {
    let sql = "select state from channels where tenant_id = $1 and id = $2 and active and deleted_ms is null";
    let Some(row) = tx.first("read a channel's state", sql, args![tenant, id]).await? else {
        return Ok(None);
    };
    let from = row.columns("channels").text("state")?;
    if from == PAUSED && to != PAUSED {
        return Ok(None);
    }
    if from == to {
        let sql = "update channels set state_reason = $3 where tenant_id = $1 and id = $2 and state = $4";
        tx.execute("say why a channel is in its state", sql, args![tenant, id, reason, to]).await?;
        return Ok(None);
    }
    let sql = "update channels set state = $3, state_reason = $4, state_since_ms = $5 \
               where tenant_id = $1 and id = $2 and state = $6";
    let moved = tx
        .execute("move a channel's state", sql, args![tenant, id, to, reason, now_ms, from.as_str()])
        .await?;
    Ok((moved == 1).then_some(from))
}

/// Must what leaves by this channel wait now? It is switched off, its vendor refuses us, or its plugin was stopped.
///
/// # Errors
/// The database's own.
pub async fn is_held(tx: &mut Tx, tenant: TenantId, id: ChannelId) -> Result<bool, StoreError> {
    let sql = "select 1 from channels where tenant_id = $1 and id = $2 and deleted_ms is null \
               and (not active or state in ($3, $4, $5))";
    let held = args![tenant, id, FAILED, QR_REQUIRED, PAUSED];
    Ok(tx.first("look whether a channel waits", sql, held).await?.is_some())
}

/// Was its plugin stopped because it crashed again and again?
///
/// # Errors
/// The database's own.
pub async fn is_stopped(tx: &mut Tx, tenant: TenantId, id: ChannelId) -> Result<bool, StoreError> {
    let sql = "select 1 from channels where tenant_id = $1 and id = $2 and active and state = $3";
    let found = tx.first("look whether a channel was stopped", sql, args![tenant, id, PAUSED]).await?;
    Ok(found.is_some())
}

/// The state of a channel whose vendor refuses us until its owner acts.
pub const FAILED: &str = "failed";
/// The state of a channel that we stopped: switched off, or, while it is on, because its plugin crashed again and again.
pub const PAUSED: &str = "paused";
/// The state of a channel that has to be linked to a phone.
pub const QR_REQUIRED: &str = "qr_required";

/// The ids of all channels that are switched on.
///
/// # Errors
/// The database's own.
pub async fn active(tx: &mut Tx, tenant: TenantId) -> Result<Vec<ChannelId>, StoreError> {
    let sql = "select id from channels where tenant_id = $1 and active and deleted_ms is null order by id";
    let rows = tx.all("list active channels", sql, args![tenant]).await?;
    rows.iter().map(|row| row.columns("channels").id("id")).collect()
}

/// Removed channels that still have conversations which are not closed.
///
/// # Errors
/// The database's own.
pub async fn removed_with_open_cases(tx: &mut Tx, tenant: TenantId) -> Result<Vec<ChannelId>, StoreError> {
    let sql = "select id from channels h where tenant_id = $1 and deleted_ms is not null and exists \
               (select 1 from conversations c where c.tenant_id = h.tenant_id and c.channel_id = h.id \
               and c.status <> 'closed')";
    let rows = tx.all("find removed channels with open conversations", sql, args![tenant]).await?;
    rows.iter().map(|row| row.columns("channels").id("id")).collect()
}

/// Conversations of a channel that are not closed, with their lanes, after `after`.
///
/// # Errors
/// The database's own.
pub async fn open_cases(
    tx: &mut Tx,
    tenant: TenantId,
    channel: ChannelId,
    after: Option<ConversationId>,
    rows_max: u32,
) -> Result<Vec<(ConversationId, LaneId)>, StoreError> {
    let sql = "select id, lane_id from conversations where tenant_id = $1 and channel_id = $2 \
               and status <> 'closed' and id > $3 order by id limit $4";
    let after = after.map_or_else(String::new, |id| id.to_string());
    let rows =
        tx.all("list a channel's open conversations", sql, args![tenant, channel, after, rows_max]).await?;
    rows.iter()
        .map(|row| {
            let c = &mut row.columns("conversations");
            Ok((c.id("id")?, c.id("lane_id")?))
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    pub(crate) fn example(n: u128) -> Channel {
        Channel {
            id: ChannelId::new(1, n),
            provider: "twilio".into(),
            kind: "sms".into(),
            name: "Sales".into(),
            address: "+34600000000".into(),
            settings: serde_json::json!({"sender": "+34600000000"}),
            secrets: "v1.sealed".into(),
            secrets_set: BTreeMap::from([("auth_token".to_owned(), 5)]),
            hook_key: format!("key{n}"),
            default_group: Some(GroupId::new(1, 1)),
            assigned_user: None,
            owner: None,
            language: Some("es".into()),
            active: true,
            receive_only: false,
            masked: false,
            allow_private_egress: false,
            idle_end_ms: 600_000,
            messages_per_second: Some(80),
            reopen_policy: serde_json::json!({"policy": "reopen"}),
            state: "connecting".into(),
            state_reason: None,
            state_since_ms: 1,
            version: 1,
            created_ms: 1,
        }
    }

    #[test]
    fn a_state_is_entered_once() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, one) = (TenantId::new(1, 1), example(1));
                    insert(tx, tenant, &one).await?;
                    let failed = ("failed", Some("token revoked"));
                    let from = move_state(tx, tenant, one.id, failed, 10).await?;
                    assert_eq!(from.as_deref(), Some("connecting"));
                    assert!(is_held(tx, tenant, one.id).await?);
                    assert_eq!(move_state(tx, tenant, one.id, ("failed", Some("locked")), 11).await?, None);
                    let now = get(tx, tenant, one.id).await?.unwrap();
                    assert_eq!((now.state_reason.as_deref(), now.state_since_ms), (Some("locked"), 10));
                    assert!(move_state(tx, tenant, one.id, ("connected", None), 12).await?.is_some());
                    assert!(delete(tx, tenant, one.id, 13).await?);
                    assert_eq!(move_state(tx, tenant, one.id, failed, 14).await?, None, "it is gone");
                    assert_eq!(removed_with_open_cases(tx, tenant).await?, []);
                    assert_eq!(open_cases(tx, tenant, one.id, None, 9).await?, []);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }

    #[test]
    fn a_channel_comes_back_changes_and_goes() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, one, two) = (TenantId::new(1, 1), example(1), example(2));
                    insert(tx, tenant, &one).await?;
                    insert(tx, tenant, &two).await?;
                    assert_eq!(get(tx, tenant, one.id).await?, Some(one.clone()));
                    assert_eq!(get(tx, TenantId::new(1, 2), one.id).await?, None);
                    assert_eq!(
                        list(tx, tenant, Sight::All, Some(one.id), 9).await?,
                        std::slice::from_ref(&two)
                    );
                    assert_eq!(by_hook_key(tx, "key2").await?, Some((tenant, two.id)));
                    let changed = Channel {
                        name: "Ventas".into(),
                        settings: serde_json::json!({}),
                        secrets: "v1.other".into(),
                        secrets_set: BTreeMap::new(),
                        default_group: None,
                        assigned_user: Some(UserId::new(1, 7)),
                        active: false,
                        masked: true,
                        idle_end_ms: 0,
                        state: "failed".into(),
                        state_reason: Some("token revoked".into()),
                        state_since_ms: 9,
                        ..one.clone()
                    };
                    assert!(update(tx, tenant, &changed).await?);
                    assert_eq!(get(tx, tenant, one.id).await?, Some(Channel { version: 2, ..changed }));
                    assert_eq!(
                        move_state(tx, tenant, one.id, ("failed", None), 10).await?,
                        None,
                        "it is off"
                    );
                    assert!(is_held(tx, tenant, one.id).await? && !is_held(tx, tenant, two.id).await?);
                    assert_eq!(active(tx, tenant).await?, [two.id]);
                    assert!(delete(tx, tenant, one.id, 12).await? && !delete(tx, tenant, one.id, 13).await?);
                    assert_eq!(get(tx, tenant, one.id).await?, None);
                    assert_eq!(by_hook_key(tx, "key1").await?, None);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
