//! Two contacts that became one: moving what belongs to one to the other, what has
//! to be known to take them apart again, and doing that. The caller locks the lanes
//! of both contacts' conversations first.

use std::collections::BTreeMap;

use pointsman_rules::ids::{ContactId, IdentityId, MergeId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::contact_changes::{self, Card};
use super::contact_views::{ContactView, OptOut};
use super::conversations::json;
use super::{Row, StoreError, Tx};
use crate::args;

/// A merge as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Merge {
    /// Its id.
    pub id: MergeId,
    /// Who stayed.
    pub into: ContactId,
    /// Who became a part of them.
    pub from: ContactId,
    /// Id of the user or key who did it.
    pub actor: String,
    /// What undoing needs.
    pub kept: Kept,
    /// When, unix milliseconds.
    pub at_ms: i64,
    /// When it was undone.
    pub undone_ms: Option<i64>,
}

/// What undoing a merge needs: no values, so that nothing has to be erased here.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Kept {
    /// The identities that moved.
    pub identities: Vec<IdentityId>,
    /// Names of the fields that were filled from the other contact.
    pub filled: Vec<String>,
    /// Names of the attributes that were.
    pub attributes: Vec<String>,
    /// Kinds of channels out of which only the other contact had opted.
    pub opted_out: Vec<String>,
    /// Only the other contact was blocked.
    pub blocked: bool,
}

/// What becomes of the contact that stays: its own values, gaps filled from the other. Which identities move is asked when
/// they do.
pub fn joined(into: &ContactView, from: &ContactView, keys: [Option<String>; 2]) -> (Card, Kept) {
    let mut kept =
        Kept { blocked: into.blocked_ms.is_none() && from.blocked_ms.is_some(), ..Kept::default() };
    let mut fill = |name: &str, own: &Option<String>, other: &Option<String>| {
        if own.is_none() && other.is_some() {
            kept.filled.push(name.to_owned());
        }
        own.clone().or_else(|| other.clone())
    };
    let name = fill("name", &into.name, &from.name);
    let phone = fill("phone", &into.phone, &from.phone);
    let language = fill("language", &into.language, &from.language);
    let [own_key, other_key] = keys;
    let phone_key = if into.phone.is_some() { own_key } else { other_key };
    let mut attributes = into.attributes.clone();
    for (key, value) in &from.attributes {
        if !attributes.contains_key(key) {
            attributes.insert(key.clone(), value.clone());
            kept.attributes.push(key.clone());
        }
    }
    let is_out = |it: &&OptOut| !into.opt_outs.iter().any(|own| own.channel_kind == it.channel_kind);
    kept.opted_out = from.opt_outs.iter().filter(is_out).map(|it| it.channel_kind.clone()).collect();
    (Card { name, phone, phone_key, language, attributes }, kept)
}

/// Makes two contacts one: identities and conversations move, gaps are filled, and the stricter of both wins where one
/// of them was blocked or opted out.
///
/// # Errors
/// The database's own; [`StoreError::Moved`] when one of them changed since it was read.
pub async fn merge(
    tx: &mut Tx,
    tenant: TenantId,
    (into, from): (&ContactView, &ContactView),
    card: &Card,
    merge: &Merge,
) -> Result<(), StoreError> {
    // First, so that turns that are giving it one more identity are waited for, and later ones give it to the other.
    let sql = "update contacts set merged_into = $4, version = version + 1 where tenant_id = $1 and id = $2 \
               and version = $3 and merged_into is null and erased_ms is null";
    if tx.execute("merge a contact", sql, args![tenant, from.id, from.version, into.id]).await? == 0 {
        return Err(StoreError::Moved("the contact"));
    }
    let sql = "select id from identities where tenant_id = $1 and contact_id = $2 order by id";
    let rows = tx.all("list identities", sql, args![tenant, from.id]).await?;
    let identities: Vec<IdentityId> =
        rows.iter().map(|row| row.columns("identities").id("id")).collect::<Result<_, _>>()?;
    move_all(tx, tenant, &identities, from.id, into.id).await?;
    contact_changes::update(tx, tenant, (into.id, into.version), card).await?;
    let since_ms = into.blocked_ms.or(from.blocked_ms);
    contact_changes::set_blocked(tx, tenant, (into.id, into.version + 1), since_ms).await?;
    copy_opt_outs(tx, tenant, from.id, into.id, 0).await?;
    let sql = "insert into contact_merges (tenant_id, id, into_id, from_id, actor, body, at_ms) \
               values ($1, $2, $3, $4, $5, $6, $7)";
    let body = json("body", &Kept { identities, ..merge.kept.clone() })?;
    let args = args![tenant, merge.id, into.id, from.id, &merge.actor, body, merge.at_ms];
    tx.execute("record a merge", sql, args).await.map(|_| ())
}

/// Moves identities, and the conversations that go by them.
async fn move_all(
    tx: &mut Tx,
    tenant: TenantId,
    identities: &[IdentityId],
    from: ContactId,
    to: ContactId,
) -> Result<(), StoreError> {
    // Identities first, and waiting for whoever holds one: a turn then reads where its new conversation belongs.
    for identity in identities {
        let sql =
            "update identities set contact_id = $4 where tenant_id = $1 and id = $2 and contact_id = $3";
        if tx.execute("move an identity", sql, args![tenant, *identity, from, to]).await? == 0 {
            return Err(StoreError::Moved("the contact"));
        }
        let sql = "update conversations set contact_id = $4 where tenant_id = $1 and contact_id = $3 \
                   and identity_id = $2";
        tx.execute("move conversations", sql, args![tenant, *identity, from, to]).await?;
    }
    Ok(())
}

/// Copies opt-outs that are not older than this; where both have one, the vendor's word stays.
async fn copy_opt_outs(
    tx: &mut Tx,
    tenant: TenantId,
    from: ContactId,
    to: ContactId,
    since_ms: i64,
) -> Result<(), StoreError> {
    let sql = "insert into opt_outs (tenant_id, contact_id, channel_kind, since_ms, source) \
               select tenant_id, $3, channel_kind, since_ms, source from opt_outs \
               where tenant_id = $1 and contact_id = $2 and since_ms >= $4 \
               on conflict (tenant_id, contact_id, channel_kind) do update set source = case \
               when excluded.source = 'vendor' then excluded.source else opt_outs.source end";
    tx.execute("copy opt-outs", sql, args![tenant, from, to, since_ms]).await.map(|_| ())
}

/// A merge.
///
/// # Errors
/// The database's own.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: MergeId) -> Result<Option<Merge>, StoreError> {
    let sql = format!("{SELECT} and id = $2");
    tx.first("read a merge", &sql, args![tenant, id]).await?.as_ref().map(read).transpose()
}

/// The merges in which a contact took part, the newest first.
///
/// # Errors
/// The database's own.
pub async fn of_contact(
    tx: &mut Tx,
    tenant: TenantId,
    contact: ContactId,
    rows_max: u32,
) -> Result<Vec<Merge>, StoreError> {
    let sql = format!("{SELECT} and (into_id = $2 or from_id = $2) order by id desc limit $3");
    tx.all("list merges", &sql, args![tenant, contact, rows_max]).await?.iter().map(read).collect()
}

const SELECT: &str =
    "select id, into_id, from_id, actor, body, at_ms, undone_ms from contact_merges where tenant_id = $1";

fn read(row: &Row) -> Result<Merge, StoreError> {
    let mut c = row.columns("contact_merges");
    Ok(Merge {
        id: c.id("id")?,
        into: c.id("into_id")?,
        from: c.id("from_id")?,
        actor: c.text("actor")?,
        kept: c.json("body")?,
        at_ms: c.int("at_ms")?,
        undone_ms: c.opt_int("undone_ms")?,
    })
}

/// Takes two contacts apart again: identities go back with all conversations that go by them, the gaps are gaps again
/// where their filling was not changed. What the contact forbade meanwhile is forbidden for both.
///
/// # Errors
/// The database's own; [`StoreError::Moved`] when something changed since it was read.
pub async fn undo(
    tx: &mut Tx,
    tenant: TenantId,
    merge: &Merge,
    (into, from): (&ContactView, &ContactView),
    into_key: Option<String>,
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql =
        "update contact_merges set undone_ms = $3 where tenant_id = $1 and id = $2 and undone_ms is null";
    if tx.execute("undo a merge", sql, args![tenant, merge.id, now_ms]).await? == 0 {
        return Err(StoreError::Moved("the merge"));
    }
    // One that was removed meanwhile is not missed.
    let there = |id: &&IdentityId| into.identities.iter().any(|it| it.id == **id);
    let identities: Vec<_> = merge.kept.identities.iter().filter(there).copied().collect();
    move_all(tx, tenant, &identities, into.id, from.id).await?;
    let card = emptied(into, from, &merge.kept, into_key);
    contact_changes::update(tx, tenant, (into.id, into.version), &card).await?;
    let was_merged_in = merge.kept.blocked && into.blocked_ms == from.blocked_ms;
    let blocked_ms = into.blocked_ms.filter(|_| !was_merged_in);
    contact_changes::set_blocked(tx, tenant, (into.id, into.version + 1), blocked_ms).await?;
    let sql = "update contacts set merged_into = null, version = version + 1, blocked_ms = $4 \
               where tenant_id = $1 and id = $2 and merged_into = $3 and erased_ms is null";
    let both_ms = from.blocked_ms.or(blocked_ms.filter(|since_ms| *since_ms >= merge.at_ms));
    if tx.execute("take a contact out", sql, args![tenant, from.id, into.id, both_ms]).await? == 0 {
        return Err(StoreError::Moved("the contact"));
    }
    copy_opt_outs(tx, tenant, into.id, from.id, merge.at_ms).await?;
    for kind in &merge.kept.opted_out {
        let theirs = from.opt_outs.iter().find(|it| it.channel_kind == *kind);
        let now = into.opt_outs.iter().find(|it| it.channel_kind == *kind);
        if theirs.is_some() && theirs == now {
            let sql = "delete from opt_outs where tenant_id = $1 and contact_id = $2 and channel_kind = $3";
            tx.execute("take an opt-out back", sql, args![tenant, into.id, kind]).await?;
        }
    }
    Ok(())
}

/// The contact that stayed, without what was filled in and is still as it was.
fn emptied(into: &ContactView, from: &ContactView, kept: &Kept, into_key: Option<String>) -> Card {
    let was_filled = |name: &str| kept.filled.iter().any(|it| it == name);
    let empty = |name: &str, own: &Option<String>, other: &Option<String>| {
        own.clone().filter(|_| !(was_filled(name) && own == other))
    };
    let mut attributes: BTreeMap<String, Value> = into.attributes.clone();
    attributes
        .retain(|key, value| !(kept.attributes.contains(key) && from.attributes.get(key) == Some(value)));
    let phone = empty("phone", &into.phone, &from.phone);
    Card {
        name: empty("name", &into.name, &from.name),
        phone_key: into_key.filter(|_| phone.is_some()),
        phone,
        language: empty("language", &into.language, &from.language),
        attributes,
    }
}

#[cfg(test)]
#[path = "merges_tests.rs"]
mod tests;
