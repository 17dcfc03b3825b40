//! Contacts, their identities and their opt-outs, as a turn reads and writes them.

use pointsman_rules::facts::ContactFacts;
use pointsman_rules::ids::{ContactId, IdentityId, TenantId};

use super::conversations::json;
use super::lanes::pairs;
use super::tx::places;
use super::{StoreError, Tx};
use crate::args;

/// A contact under one of its identities.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// What rules see; `opted_out` is about the identity's channel kind.
    pub facts: ContactFacts,
    /// The identity.
    pub identity: Identity,
}

/// One address of a contact.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Its id.
    pub id: IdentityId,
    /// The kind of channel it is valid on.
    pub channel_kind: String,
    /// What makes it unique there: the vendor's scoped id, else the address.
    pub value: String,
    /// Where answers go, as the vendor wrote it.
    pub address: String,
    /// E.164, when known.
    pub phone: Option<String>,
    /// The vendor's stable id.
    pub scoped_id: Option<String>,
    /// A handle.
    pub username: Option<String>,
    /// Who says so: `webhook`, `api`, …
    pub evidence: String,
}

const SELECT: &str = "select i.id, i.channel_kind, i.value, i.address, i.phone, i.scoped_id, i.username, \
    i.evidence, c.id, c.name, c.phone, c.language, c.blocked_ms, c.attributes, o.since_ms from identities i \
    join contacts c on c.tenant_id = i.tenant_id and c.id = i.contact_id \
    left join opt_outs o on o.tenant_id = i.tenant_id and o.contact_id = i.contact_id \
    and o.channel_kind = i.channel_kind";

/// The people behind these identities.
///
/// # Errors
/// The database's own.
pub async fn by_identity(tx: &mut Tx, ids: &[(TenantId, IdentityId)]) -> Result<Vec<Person>, StoreError> {
    let mut out = Vec::with_capacity(ids.len());
    for ids in ids.chunks(LOAD_MAX) {
        let sql = format!("{SELECT} where (i.tenant_id, i.id) in ({})", pairs(1, ids.len()));
        let args = ids.iter().flat_map(|(tenant, id)| args![*tenant, *id]).collect();
        for row in tx.all("read contacts", &sql, args).await? {
            out.push(read(&row)?);
        }
    }
    Ok(out)
}

/// The people with these identity values on one kind of channel.
///
/// # Errors
/// The database's own.
pub async fn by_value(
    tx: &mut Tx,
    tenant: TenantId,
    channel_kind: &str,
    values: &[&str],
) -> Result<Vec<Person>, StoreError> {
    let mut out = Vec::with_capacity(values.len());
    for values in values.chunks(LOAD_MAX) {
        let sql = format!(
            "{SELECT} where i.tenant_id = $1 and i.channel_kind = $2 and i.kind = 'address' and i.value in ({})",
            places(3, values.len())
        );
        let mut args = args![tenant, channel_kind];
        args.extend(values.iter().map(|value| crate::store::Arg::from(*value)));
        for row in tx.all("find contacts", &sql, args).await? {
            out.push(read(&row)?);
        }
    }
    Ok(out)
}

const LOAD_MAX: usize = 64;

fn read(row: &super::Row) -> Result<Person, StoreError> {
    let c = &mut row.columns("identities");
    let identity = Identity {
        id: c.id("id")?,
        channel_kind: c.text("channel_kind")?,
        value: c.text("value")?,
        address: c.text("address")?,
        phone: c.opt_text("phone")?,
        scoped_id: c.opt_text("scoped_id")?,
        username: c.opt_text("username")?,
        evidence: c.text("evidence")?,
    };
    let facts = ContactFacts {
        id: c.id("contacts.id")?,
        name: c.opt_text("contacts.name")?,
        phone: c.opt_text("contacts.phone")?,
        language: c.opt_text("contacts.language")?,
        blocked: c.opt_int("contacts.blocked_ms")?.is_some(),
        attributes: c.json("contacts.attributes")?,
        opted_out: c.opt_int("opt_outs.since_ms")?.is_some(),
    };
    Ok(Person { facts, identity })
}

/// Adds new people.
///
/// # Errors
/// The database's own; an identity that another lane added meanwhile is refused by the index and the turn repeated.
pub async fn insert(tx: &mut Tx, people: &[(TenantId, Person)], now_ms: i64) -> Result<(), StoreError> {
    let contacts = people
        .iter()
        .map(|(tenant, it)| {
            let facts = &it.facts;
            let attributes = json("attributes", &facts.attributes)?;
            Ok(args![
                *tenant,
                facts.id,
                facts.name.clone(),
                facts.phone.clone(),
                facts.language.clone(),
                attributes,
                now_ms
            ])
        })
        .collect::<Result<_, StoreError>>()?;
    let head = "insert into contacts (tenant_id, id, name, phone, language, attributes, created_ms)";
    tx.insert_many("add contacts", head, contacts, "").await?;
    let identities = people
        .iter()
        .map(|(tenant, it)| {
            let i = &it.identity;
            args![
                *tenant,
                i.id,
                it.facts.id,
                i.channel_kind.as_str(),
                "address",
                i.value.as_str(),
                i.address.as_str(),
                i.phone.clone(),
                i.scoped_id.clone(),
                i.username.clone(),
                i.evidence.as_str(),
                now_ms
            ]
        })
        .collect();
    let head = "insert into identities (tenant_id, id, contact_id, channel_kind, kind, value, address, phone, \
                scoped_id, username, evidence, created_ms)";
    tx.insert_many("add identities", head, identities, "").await.map(|_| ())
}

/// Writes what a vendor said about a known contact: name and reply address.
///
/// # Errors
/// The database's own.
pub async fn update(tx: &mut Tx, tenant: TenantId, it: &Person) -> Result<(), StoreError> {
    let sql = "update contacts set name = $3, phone = $4 where tenant_id = $1 and id = $2";
    let args = args![tenant, it.facts.id, it.facts.name.clone(), it.facts.phone.clone()];
    tx.execute("update a contact", sql, args).await?;
    let sql =
        "update identities set address = $3, phone = $4, username = $5 where tenant_id = $1 and id = $2";
    let i = &it.identity;
    let args = args![tenant, i.id, i.address.as_str(), i.phone.clone(), i.username.clone()];
    tx.execute("update an identity", sql, args).await.map(|_| ())
}

/// Blocks or unblocks.
///
/// # Errors
/// The database's own.
pub async fn set_blocked(
    tx: &mut Tx,
    tenant: TenantId,
    contact: ContactId,
    since_ms: Option<i64>,
) -> Result<(), StoreError> {
    let sql = "update contacts set blocked_ms = $3 where tenant_id = $1 and id = $2";
    tx.execute("block a contact", sql, args![tenant, contact, since_ms]).await.map(|_| ())
}

/// Records that the contact does not want messages on this kind of channel, or does again.
///
/// # Errors
/// The database's own.
pub async fn set_opted_out(
    tx: &mut Tx,
    tenant: TenantId,
    contact: ContactId,
    channel_kind: &str,
    since: Option<(i64, &str)>,
) -> Result<(), StoreError> {
    let Some((since_ms, source)) = since else {
        let sql = "delete from opt_outs where tenant_id = $1 and contact_id = $2 and channel_kind = $3";
        return tx.execute("opt in", sql, args![tenant, contact, channel_kind]).await.map(|_| ());
    };
    let sql = "insert into opt_outs (tenant_id, contact_id, channel_kind, since_ms, source) \
               values ($1, $2, $3, $4, $5) on conflict (tenant_id, contact_id, channel_kind) do nothing";
    let args = args![tenant, contact, channel_kind, since_ms, source];
    tx.execute("opt out", sql, args).await.map(|_| ())
}
