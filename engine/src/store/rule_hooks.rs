//! URLs of rules, and the conversation that a call of one is about.

use pointsman_rules::ids::{ChannelId, ConversationId, HookId, LaneId, TenantId};

use super::{Row, StoreError, Tx};
use crate::args;

/// A URL that other programs call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: HookId,
    /// As rules see it in `event.name`.
    pub name: String,
    /// The unguessable part of the URL.
    pub key: String,
    /// Sealed JSON.
    pub secrets: String,
    /// Must calls be signed?
    pub signed: bool,
    /// What the payload names: `conversation` or `contact`.
    pub about: String,
    /// Where it does; a JSON pointer.
    pub pointer: String,
    /// Only conversations of this channel; contacts only.
    pub channel: Option<ChannelId>,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// When it was called last.
    pub last_ms: Option<i64>,
    /// How that ended: `accepted`, or why it was refused.
    pub last_outcome: Option<String>,
}

const COLUMNS: &str = "tenant_id, id, name, key, secrets, signed, about, pointer, channel_id, created_ms, last_ms, \
    last_outcome";

fn read(row: &Row) -> Result<Hook, StoreError> {
    let c = &mut row.columns("rule_hooks");
    Ok(Hook {
        tenant: c.id("tenant_id")?,
        id: c.id("id")?,
        name: c.text("name")?,
        key: c.text("key")?,
        secrets: c.text("secrets")?,
        signed: c.bool("signed")?,
        about: c.text("about")?,
        pointer: c.text("pointer")?,
        channel: c.opt_id("channel_id")?,
        created_ms: c.int("created_ms")?,
        last_ms: c.opt_int("last_ms")?,
        last_outcome: c.opt_text("last_outcome")?,
    })
}

/// Adds one.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, it: &Hook) -> Result<(), StoreError> {
    let row = args![
        it.tenant,
        it.id,
        &it.name,
        &it.key,
        &it.secrets,
        it.signed,
        &it.about,
        &it.pointer,
        it.channel,
        it.created_ms,
        it.last_ms,
        it.last_outcome.clone()
    ];
    let head = format!("insert into rule_hooks ({COLUMNS})");
    tx.insert_many("add a URL of rules", &head, vec![row], "").await.map(|_| ())
}

/// All of a tenant, the oldest first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Hook>, StoreError> {
    let sql = format!("select {COLUMNS} from rule_hooks where tenant_id = $1 order by id");
    tx.all("list URLs of rules", &sql, args![tenant]).await?.iter().map(read).collect()
}

/// One.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: HookId) -> Result<Option<Hook>, StoreError> {
    let sql = format!("select {COLUMNS} from rule_hooks where tenant_id = $1 and id = $2");
    tx.first("read a URL of rules", &sql, args![tenant, id]).await?.as_ref().map(read).transpose()
}

/// The one with this key, whosever it is: a caller knows nothing else.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn by_key(tx: &mut Tx, key: &str) -> Result<Option<Hook>, StoreError> {
    let sql = format!("select {COLUMNS} from rule_hooks where key = $1");
    tx.first("find a URL of rules", &sql, args![key]).await?.as_ref().map(read).transpose()
}

/// Gives one other secrets.
///
/// # Errors
/// The database's own.
pub async fn set_secrets(tx: &mut Tx, tenant: TenantId, id: HookId, secrets: &str) -> Result<(), StoreError> {
    let sql = "update rule_hooks set secrets = $3 where tenant_id = $1 and id = $2";
    tx.execute("change a secret of a URL of rules", sql, args![tenant, id, secrets]).await.map(|_| ())
}

/// Notes a call.
///
/// # Errors
/// The database's own.
pub async fn note(tx: &mut Tx, of: &Hook, outcome: &str, now_ms: i64) -> Result<(), StoreError> {
    let sql = "update rule_hooks set last_ms = $3, last_outcome = $4 where tenant_id = $1 and id = $2";
    tx.execute("note a call of a URL of rules", sql, args![of.tenant, of.id, now_ms, outcome])
        .await
        .map(|_| ())
}

/// Removes one; `false`: there is none.
///
/// # Errors
/// The database's own.
pub async fn delete(tx: &mut Tx, tenant: TenantId, id: HookId) -> Result<bool, StoreError> {
    let sql = "delete from rule_hooks where tenant_id = $1 and id = $2";
    Ok(tx.execute("remove a URL of rules", sql, args![tenant, id]).await? == 1)
}

/// The conversation that had the last activity with a contact of this address or number.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn conversation_with(
    tx: &mut Tx,
    tenant: TenantId,
    (value, phone_key): (&str, Option<&str>),
    channel: Option<ChannelId>,
) -> Result<Option<(ConversationId, LaneId, ChannelId)>, StoreError> {
    // Two indexes, one each; an `or` would read neither.
    let found = "select id from identities where tenant_id = $1 and channel_kind in \
                 (select kind from channels where tenant_id = $1) and kind = 'address' and value = $2 union \
                 select id from identities where tenant_id = $1 and phone_key = $3";
    let mut args = args![tenant, value, phone_key.map(str::to_owned)];
    let mut only = "";
    if let Some(channel) = channel {
        args.push(channel.into());
        only = "and c.channel_id = $4";
    }
    let sql = format!(
        "select c.id, c.lane_id, c.channel_id from ({found}) i join identities j on j.tenant_id = $1 \
         and j.id = i.id join conversations c on c.tenant_id = $1 and c.contact_id = j.contact_id \
         and c.identity_id = j.id where true {only} order by c.last_activity_ms desc, c.id desc limit 1"
    );
    let Some(row) = tx.first("find whom a call is about", &sql, args).await? else { return Ok(None) };
    let c = &mut row.columns("conversations");
    Ok(Some((c.id("id")?, c.id("lane_id")?, c.id("channel_id")?)))
}

#[cfg(test)]
mod tests {
    use super::super::Durability;
    use super::super::testing::each_db;
    use super::super::views_fixture::{self, NOW_MS, Thread, conversation, tenant};
    use super::*;

    #[test]
    fn a_hook_is_found_by_its_key_and_only_by_its_owner_otherwise() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (ours, theirs) = (TenantId::new(1, 1), TenantId::new(1, 2));
                    let hook = Hook {
                        tenant: ours,
                        id: HookId::new(1, 1),
                        name: "shop".into(),
                        key: "secret".into(),
                        secrets: "sealed".into(),
                        signed: true,
                        about: "contact".into(),
                        pointer: "/phone".into(),
                        channel: None,
                        created_ms: 1,
                        last_ms: None,
                        last_outcome: None,
                    };
                    insert(tx, &hook).await?;
                    assert_eq!(by_key(tx, "secret").await?, Some(hook.clone()));
                    assert_eq!(by_key(tx, "Secret").await?, None);
                    assert_eq!(list(tx, ours).await?, std::slice::from_ref(&hook));
                    assert!(list(tx, theirs).await?.is_empty());
                    assert_eq!(get(tx, theirs, hook.id).await?, None);
                    set_secrets(tx, ours, hook.id, "others").await?;
                    note(tx, &hook, "accepted", 9).await?;
                    let now = get(tx, ours, hook.id).await?.unwrap();
                    assert_eq!((now.secrets.as_str(), now.last_ms), ("others", Some(9)));
                    assert!(!delete(tx, theirs, hook.id).await?);
                    assert!(delete(tx, ours, hook.id).await? && list(tx, ours).await?.is_empty());
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }

    #[test]
    fn a_call_is_about_the_last_conversation_of_the_number() {
        each_db(|db| async move {
            Thread::new(1).add(&db).await;
            Thread { status: "closed", ..Thread::new(2) }.add(&db).await;
            views_fixture::set(&db, tenant(1), "identities", "phone_key = '+34600'", "true").await;
            views_fixture::add_channel(&db).await;
            let tx = &mut db.read().await.unwrap();
            let newest = conversation_with(tx, tenant(1), ("?", Some("+34600")), None).await.unwrap();
            assert_eq!(newest.map(|it| it.0), Some(conversation(2)));
            let by_value = conversation_with(tx, tenant(1), ("v_1", None), None).await.unwrap();
            assert_eq!(by_value.map(|it| it.0), Some(conversation(1)));
            let elsewhere = Some(ChannelId::new(NOW_MS, 9));
            assert_eq!(conversation_with(tx, tenant(1), ("v_1", None), elsewhere).await.unwrap(), None);
            assert_eq!(conversation_with(tx, tenant(2), ("v_1", None), None).await.unwrap(), None);
        });
    }
}
