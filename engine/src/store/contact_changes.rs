//! What people and programs change about contacts. News about it go through the
//! lanes of their conversations; the caller locks those first.

use std::collections::BTreeMap;

use pointsman_rules::ids::{ContactId, IdentityId, TenantId};
use serde_json::Value;

use super::contacts::BY_VENDOR;
use super::conversations::json;
use super::{StoreError, Tx};
use crate::args;

/// What a person can write about a contact.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Card {
    /// What they are called.
    pub name: Option<String>,
    /// E.164.
    pub phone: Option<String>,
    /// The same for all variants of the number.
    pub phone_key: Option<String>,
    /// BCP 47.
    pub language: Option<String>,
    /// Typed values.
    pub attributes: BTreeMap<String, Value>,
}

/// The attribute by which contacts are recognised, too.
const EMAIL: &str = "email";

impl Card {
    fn name_key(&self) -> Option<String> {
        self.name.as_deref().map(str::to_lowercase)
    }

    fn email_key(&self) -> Option<String> {
        let email = self.attributes.get(EMAIL).and_then(Value::as_str)?;
        Some(email.trim().to_lowercase()).filter(|email| !email.is_empty())
    }
}

/// Adds a contact without an identity.
///
/// # Errors
/// The database's own.
pub async fn insert(
    tx: &mut Tx,
    tenant: TenantId,
    id: ContactId,
    it: &Card,
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "insert into contacts (tenant_id, id, name, name_key, phone, phone_key, language, attributes, \
               email_key, created_ms) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let args = args![
        tenant,
        id,
        it.name.clone(),
        it.name_key(),
        it.phone.clone(),
        it.phone_key.clone(),
        it.language.clone(),
        json("attributes", &it.attributes)?,
        it.email_key(),
        now_ms
    ];
    tx.execute("add a contact", sql, args).await.map(|_| ())
}

/// Writes a contact whose version is still this one, and counts it up.
///
/// # Errors
/// The database's own; [`StoreError::Moved`] when it has another version by now.
pub async fn update(
    tx: &mut Tx,
    tenant: TenantId,
    (id, version): (ContactId, i64),
    it: &Card,
) -> Result<(), StoreError> {
    let sql = "update contacts set name = $4, name_key = $5, phone = $6, phone_key = $7, language = $8, \
               attributes = $9, email_key = $10, version = version + 1 \
               where tenant_id = $1 and id = $2 and version = $3 and merged_into is null and erased_ms is null";
    let args = args![
        tenant,
        id,
        version,
        it.name.clone(),
        it.name_key(),
        it.phone.clone(),
        it.phone_key.clone(),
        it.language.clone(),
        json("attributes", &it.attributes)?,
        it.email_key()
    ];
    match tx.execute("change a contact", sql, args).await? {
        0 => Err(StoreError::Moved("the contact")),
        _ => Ok(()),
    }
}

/// Blocks a contact from then on, or unblocks them; they must have this version.
///
/// # Errors
/// The database's own; [`StoreError::Moved`] when it has another version by now.
pub async fn set_blocked(
    tx: &mut Tx,
    tenant: TenantId,
    (id, version): (ContactId, i64),
    since_ms: Option<i64>,
) -> Result<(), StoreError> {
    let sql = "update contacts set blocked_ms = $4, version = version + 1 where tenant_id = $1 and id = $2 \
               and version = $3 and merged_into is null and erased_ms is null";
    match tx.execute("block a contact", sql, args![tenant, id, version, since_ms]).await? {
        0 => Err(StoreError::Moved("the contact")),
        _ => Ok(()),
    }
}

/// Records that a contact wants no messages on a kind of channel; who said so first stays, but for the vendor. Answers
/// whether that is new.
///
/// # Errors
/// The database's own.
pub async fn opt_out(
    tx: &mut Tx,
    tenant: TenantId,
    (id, channel_kind): (ContactId, &str),
    since_ms: i64,
    source: &str,
) -> Result<bool, StoreError> {
    let sql = "insert into opt_outs (tenant_id, contact_id, channel_kind, since_ms, source) \
               values ($1, $2, $3, $4, $5) on conflict (tenant_id, contact_id, channel_kind) do nothing";
    Ok(tx.execute("opt out", sql, args![tenant, id, channel_kind, since_ms, source]).await? > 0)
}

/// How an opt-in ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptIn {
    /// They get messages again.
    Done,
    /// They had not opted out.
    NotOut,
    /// The vendor has it, and only the contact can lift it there.
    AtVendor,
}

/// Lifts an opt-out, unless the vendor has it too.
///
/// # Errors
/// The database's own.
pub async fn opt_in(
    tx: &mut Tx,
    tenant: TenantId,
    (id, channel_kind): (ContactId, &str),
) -> Result<OptIn, StoreError> {
    let sql = "delete from opt_outs where tenant_id = $1 and contact_id = $2 and channel_kind = $3 and source <> $4";
    if tx.execute("opt in", sql, args![tenant, id, channel_kind, BY_VENDOR]).await? > 0 {
        return Ok(OptIn::Done);
    }
    let sql = "select 1 from opt_outs where tenant_id = $1 and contact_id = $2 and channel_kind = $3";
    let left = tx.first("look for an opt-out", sql, args![tenant, id, channel_kind]).await?;
    Ok(if left.is_some() { OptIn::AtVendor } else { OptIn::NotOut })
}

/// An identity that a person adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdentity {
    /// Its id.
    pub id: IdentityId,
    /// The kind of channel it is valid on.
    pub channel_kind: String,
    /// Where answers go, as the vendor writes it; also what makes it unique.
    pub address: String,
    /// E.164, when it is a number.
    pub phone: Option<String>,
    /// The same for all variants of the number.
    pub phone_key: Option<String>,
    /// Who says so.
    pub evidence: &'static str,
}

/// Adds an identity; answers whose it is if somebody has it already.
///
/// # Errors
/// The database's own.
pub async fn add_identity(
    tx: &mut Tx,
    tenant: TenantId,
    contact: ContactId,
    it: &NewIdentity,
    now_ms: i64,
) -> Result<Option<ContactId>, StoreError> {
    // Another writing of the same number is the same identity.
    let sql = "select contact_id from identities where tenant_id = $1 and channel_kind = $2 \
               and (value = $3 or address = $3 or phone_key = $4) order by id limit 1";
    let args = args![tenant, &it.channel_kind, &it.address, it.phone_key.clone()];
    if let Some(row) = tx.first("look for an identity", sql, args).await? {
        return Ok(Some(row.columns("identities").id("contact_id")?));
    }
    let sql = "insert into identities (tenant_id, id, contact_id, channel_kind, kind, value, address, phone, \
               phone_key, evidence, created_ms) values ($1, $2, $3, $4, 'address', $5, $5, $6, $7, $8, $9)";
    let args = args![
        tenant,
        it.id,
        contact,
        &it.channel_kind,
        &it.address,
        it.phone.clone(),
        it.phone_key.clone(),
        it.evidence,
        now_ms
    ];
    tx.execute("add an identity", sql, args).await?;
    Ok(None)
}

/// How the removal of an identity ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Done,
    /// The contact has no such identity.
    NotFound,
    /// A conversation goes by it.
    InUse,
}

/// Removes an identity that no conversation goes by.
///
/// # Errors
/// The database's own.
pub async fn remove_identity(
    tx: &mut Tx,
    tenant: TenantId,
    contact: ContactId,
    id: IdentityId,
) -> Result<Removed, StoreError> {
    let lock = if tx.is_postgres() { " for update" } else { "" };
    let sql = format!("select 1 from identities where tenant_id = $1 and contact_id = $2 and id = $3{lock}");
    if tx.first("look for an identity", &sql, args![tenant, contact, id]).await?.is_none() {
        return Ok(Removed::NotFound);
    }
    let sql =
        "select 1 from conversations where tenant_id = $1 and contact_id = $2 and identity_id = $3 limit 1";
    if tx.first("look for conversations", sql, args![tenant, contact, id]).await?.is_some() {
        return Ok(Removed::InUse);
    }
    let sql = "delete from identities where tenant_id = $1 and id = $2";
    tx.execute("remove an identity", sql, args![tenant, id]).await?;
    Ok(Removed::Done)
}

#[cfg(test)]
#[path = "contact_changes_tests.rs"]
mod tests;
