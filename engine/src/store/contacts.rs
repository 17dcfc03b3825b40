//! Contacts, their identities and their opt-outs, as a turn reads and writes them.

use std::collections::HashMap;

use pointsman_rules::facts::ContactFacts;
use pointsman_rules::ids::{ContactId, IdentityId, TenantId};

use super::conversations::json;
use super::text::places;
use super::{Arg, StoreError, Tx};
use crate::args;

/// A contact under one of its identities.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// What rules see; `opted_out` is about the identity's channel kind.
    pub facts: ContactFacts,
    /// The identity.
    pub identity: Identity,
    /// Who said that they opted out of this kind of channel; see [`BY_VENDOR`].
    pub opted_out_by: Option<String>,
}

/// The source of an opt-out that the vendor enforces itself: only the contact can lift it, by writing to the vendor.
pub const BY_VENDOR: &str = "vendor";

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
    /// The same for all variants of the number.
    pub phone_key: Option<String>,
    /// The vendor's stable id.
    pub scoped_id: Option<String>,
    /// A handle.
    pub username: Option<String>,
    /// Who says so: `webhook`, `api`, …
    pub evidence: String,
}

const SELECT: &str = "select i.id, i.channel_kind, i.value, i.address, i.phone, i.phone_key, i.scoped_id, i.username, \
    i.evidence, c.id, c.name, c.phone, c.language, c.blocked_ms, c.attributes, o.since_ms, o.source from identities i \
    join contacts c on c.tenant_id = i.tenant_id and c.id = i.contact_id \
    left join opt_outs o on o.tenant_id = i.tenant_id and o.contact_id = i.contact_id \
    and o.channel_kind = i.channel_kind";

/// The people behind these identities.
///
/// # Errors
/// The database's own.
pub async fn by_identity(tx: &mut Tx, ids: &[(TenantId, IdentityId)]) -> Result<Vec<Person>, StoreError> {
    let sql = format!("{SELECT} where i.tenant_id = $1 and i.id = $2");
    let rows: Vec<_> = ids.iter().map(|(tenant, id)| args![*tenant, *id]).collect();
    tx.all_of_each("read contacts", &sql, Vec::new(), &rows).await?.iter().map(read).collect()
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

/// The people with these phone keys on one kind of channel, those known longest first.
///
/// # Errors
/// The database's own.
pub async fn by_phone(
    tx: &mut Tx,
    tenant: TenantId,
    channel_kind: &str,
    keys: &[&str],
) -> Result<Vec<Person>, StoreError> {
    let mut out = Vec::new();
    for keys in keys.chunks(LOAD_MAX) {
        let sql = format!(
            "{SELECT} where i.tenant_id = $1 and i.channel_kind = $2 and i.phone_key in ({}) order by i.id",
            places(3, keys.len())
        );
        let mut args = args![tenant, channel_kind];
        args.extend(keys.iter().map(|key| crate::store::Arg::from(*key)));
        for row in tx.all("find contacts by phone", &sql, args).await? {
            out.push(read(&row)?);
        }
    }
    Ok(out)
}

/// A contact without regard to an identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Namesake {
    /// What rules see; `opted_out` is about the kind of channel that was asked for.
    pub facts: ContactFacts,
    /// Who said that they opted out of it.
    pub opted_out_by: Option<String>,
}

impl From<&Person> for Namesake {
    fn from(person: &Person) -> Self {
        Self { facts: person.facts.clone(), opted_out_by: person.opted_out_by.clone() }
    }
}

/// The one contact whose card has this phone key; `None` when there are several.
///
/// # Errors
/// The database's own.
pub async fn card_by_phone(
    tx: &mut Tx,
    tenant: TenantId,
    channel_kind: &str,
    key: &str,
) -> Result<Option<Namesake>, StoreError> {
    let sql = "select c.id, c.name, c.phone, c.language, c.blocked_ms, c.attributes, o.since_ms, o.source \
               from contacts c left join opt_outs o on o.tenant_id = c.tenant_id and o.contact_id = c.id \
               and o.channel_kind = $2 where c.tenant_id = $1 and c.phone_key = $3 and c.merged_into is null \
               and c.erased_ms is null limit 2";
    let rows = tx.all("find a contact's card", sql, args![tenant, channel_kind, key]).await?;
    let [row] = rows.as_slice() else { return Ok(None) };
    let c = &mut row.columns("contacts");
    Ok(Some(Namesake { facts: read_facts(c)?, opted_out_by: c.opt_text("opt_outs.source")? }))
}

fn read_facts(c: &mut super::Columns<'_>) -> Result<ContactFacts, StoreError> {
    Ok(ContactFacts {
        id: c.id("contacts.id")?,
        name: c.opt_text("contacts.name")?,
        phone: c.opt_text("contacts.phone")?,
        language: c.opt_text("contacts.language")?,
        blocked: c.opt_int("contacts.blocked_ms")?.is_some(),
        attributes: c.json("contacts.attributes")?,
        opted_out: c.opt_int("opt_outs.since_ms")?.is_some(),
    })
}

/// How a party is looked for on one kind of channel: any of these may be what it is known by.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What makes its identity unique.
    pub value: &'a str,
    /// The vendor's stable id.
    pub scoped_id: Option<&'a str>,
    /// The key of its phone.
    pub phone_key: Option<&'a str>,
}

/// The value of the identity that a party is known under: by the same value, else by the vendor's id, else by the
/// phone, the oldest first. A phone does not join identities to which the vendor gave different ids.
///
/// # Errors
/// The database's own.
pub async fn known_value(
    tx: &mut Tx,
    tenant: TenantId,
    channel_kind: &str,
    by: Known<'_>,
) -> Result<Option<String>, StoreError> {
    let sql = "select value, scoped_id from identities where tenant_id = $1 and channel_kind = $2 \
               and (value = $3 or scoped_id = $4 or phone_key = $5) order by id";
    let values = args![
        tenant,
        channel_kind,
        by.value,
        by.scoped_id.map(str::to_owned),
        by.phone_key.map(str::to_owned)
    ];
    let mut found = Vec::new();
    for row in tx.all("find an identity", sql, values).await? {
        let mut c = row.columns("identities");
        found.push((c.text("value")?, c.opt_text("scoped_id")?));
    }
    let same_value = found.iter().find(|(value, _)| value == by.value);
    let same_id = || found.iter().find(|(_, id)| by.scoped_id.is_some() && id.as_deref() == by.scoped_id);
    let same_phone = || found.iter().find(|(_, id)| id.is_none() || by.scoped_id.is_none());
    Ok(same_value.or_else(same_id).or_else(same_phone).map(|(value, _)| value.clone()))
}

/// The contacts that these identities belong to at this moment; on PostgreSQL the identities stay as they are until
/// the transaction ends, so that merging waits.
///
/// # Errors
/// The database's own.
pub async fn hold(
    tx: &mut Tx,
    ids: &[(TenantId, IdentityId)],
) -> Result<HashMap<IdentityId, ContactId>, StoreError> {
    let lock = if tx.is_postgres() { " order by i.id for share of i" } else { "" };
    let sql = format!(
        "select i.id, i.contact_id from :rows as v join identities i on i.tenant_id = v.column1 \
         and i.id = v.column2{lock}"
    );
    let rows: Vec<_> = ids.iter().map(|(tenant, id)| args![*tenant, *id]).collect();
    let mut out = HashMap::with_capacity(ids.len());
    for row in tx.join_rows("hold identities", &sql, Vec::new(), &rows).await? {
        let mut c = row.columns("identities");
        out.insert(c.id("id")?, c.id("contact_id")?);
    }
    Ok(out)
}

/// Whom this contact was merged into, itself otherwise; on PostgreSQL that stays so until the transaction ends.
///
/// # Errors
/// The database's own; [`StoreError::Moved`] when the contact was erased meanwhile.
pub async fn survivor(tx: &mut Tx, tenant: TenantId, id: ContactId) -> Result<ContactId, StoreError> {
    let lock = if tx.is_postgres() { " for share" } else { "" };
    let sql = format!("select merged_into, erased_ms from contacts where tenant_id = $1 and id = $2{lock}");
    let mut id = id;
    loop {
        let row = tx.first("look for a contact", &sql, args![tenant, id]).await?;
        let row = row.ok_or(StoreError::Moved("the contact"))?;
        let mut c = row.columns("contacts");
        match (c.opt_id("merged_into")?, c.opt_int("erased_ms")?) {
            (_, Some(_)) => return Err(StoreError::Moved("the contact")),
            (None, None) => return Ok(id),
            (Some(into), None) => id = into,
        }
    }
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
        phone_key: c.opt_text("phone_key")?,
        scoped_id: c.opt_text("scoped_id")?,
        username: c.opt_text("username")?,
        evidence: c.text("evidence")?,
    };
    let facts = read_facts(c)?;
    Ok(Person { facts, identity, opted_out_by: c.opt_text("opt_outs.source")? })
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
            let name_key = facts.name.as_deref().map(str::to_lowercase);
            Ok(args![
                *tenant,
                facts.id,
                facts.name.clone(),
                name_key,
                facts.phone.clone(),
                it.identity.phone_key.clone(),
                facts.language.clone(),
                attributes,
                now_ms
            ])
        })
        .collect::<Result<_, StoreError>>()?;
    let head = "insert into contacts (tenant_id, id, name, name_key, phone, phone_key, language, attributes, created_ms)";
    tx.insert_many("add contacts", head, contacts, "").await?;
    insert_identities(tx, people, now_ms).await
}

/// Adds identities of contacts that are there.
///
/// # Errors
/// The database's own; an identity that somebody else added meanwhile is refused by the index.
pub async fn insert_identities(
    tx: &mut Tx,
    people: &[(TenantId, Person)],
    now_ms: i64,
) -> Result<(), StoreError> {
    let identities = people.iter().map(|(tenant, it)| identity_row(*tenant, it, now_ms)).collect();
    tx.insert_many("add identities", INSERT_IDENTITY, identities, "").await.map(|_| ())
}

/// Adds an identity that the vendor says is also this contact's, unless somebody has it already.
///
/// # Errors
/// The database's own.
pub async fn add_identity(
    tx: &mut Tx,
    tenant: TenantId,
    person: &Person,
    now_ms: i64,
) -> Result<(), StoreError> {
    let row = vec![identity_row(tenant, person, now_ms)];
    let unless = "on conflict (tenant_id, channel_kind, kind, value) do nothing";
    tx.insert_many("add identity", INSERT_IDENTITY, row, unless).await.map(|_| ())
}

const INSERT_IDENTITY: &str = "insert into identities (tenant_id, id, contact_id, channel_kind, kind, value, \
                               address, phone, phone_key, scoped_id, username, evidence, created_ms)";

fn identity_row(tenant: TenantId, it: &Person, now_ms: i64) -> Vec<Arg> {
    let i = &it.identity;
    args![
        tenant,
        i.id,
        it.facts.id,
        i.channel_kind.as_str(),
        "address",
        i.value.as_str(),
        i.address.as_str(),
        i.phone.clone(),
        i.phone_key.clone(),
        i.scoped_id.clone(),
        i.username.clone(),
        i.evidence.as_str(),
        now_ms
    ]
}

/// Which contact an identity belongs to is asked when it is written: merging may have moved it since the turn read it.
const OWNER: &str = "(select contact_id from identities where tenant_id = $1 and id = $2)";

/// Writes what a vendor said about a known contact: its reply address, and a name and phone where there was none.
///
/// # Errors
/// The database's own.
pub async fn update(tx: &mut Tx, tenant: TenantId, it: &Person) -> Result<(), StoreError> {
    let i = &it.identity;
    let sql = format!(
        "update contacts set name = coalesce(name, $3), name_key = coalesce(name_key, $4), \
         phone_key = case when phone is null or (phone_key is null and phone = $5) then $6 else phone_key end, phone = coalesce(phone, $5), \
         version = version + 1 where tenant_id = $1 and id = {OWNER} \
         and ((name is null and $3 is not null) or (phone is null and $5 is not null) \
         or (phone_key is null and phone = $5 and $6 is not null))"
    );
    let name_key = it.facts.name.as_deref().map(str::to_lowercase);
    let (name, phone) = (it.facts.name.clone(), it.facts.phone.clone());
    let args = args![tenant, i.id, name, name_key, phone, i.phone_key.clone()];
    tx.execute("update a contact", &sql, args).await?;
    let sql = "update identities set address = $3, phone = $4, phone_key = $5, username = $6, \
               scoped_id = coalesce(scoped_id, $7) where tenant_id = $1 and id = $2";
    let (phone, key, username) = (i.phone.clone(), i.phone_key.clone(), i.username.clone());
    let args = args![tenant, i.id, i.address.as_str(), phone, key, username, i.scoped_id.clone()];
    tx.execute("update an identity", sql, args).await.map(|_| ())
}

/// Blocks or unblocks the contact with this identity.
///
/// # Errors
/// The database's own.
pub async fn set_blocked(
    tx: &mut Tx,
    tenant: TenantId,
    identity: IdentityId,
    since_ms: Option<i64>,
) -> Result<(), StoreError> {
    let sql = format!(
        "update contacts set blocked_ms = $3, version = version + 1 where tenant_id = $1 and id = {OWNER}"
    );
    tx.execute("block a contact", &sql, args![tenant, identity, since_ms]).await.map(|_| ())
}

/// Records that the contact with this identity does not want messages on this kind of channel (since when, who says
/// so), or does again. That the vendor says so outweighs whoever said it before.
///
/// # Errors
/// The database's own.
pub async fn set_opted_out(
    tx: &mut Tx,
    tenant: TenantId,
    identity: IdentityId,
    channel_kind: &str,
    since: Option<(i64, &str)>,
) -> Result<(), StoreError> {
    let Some((since_ms, source)) = since else {
        let sql = format!(
            "delete from opt_outs where tenant_id = $1 and contact_id = {OWNER} and channel_kind = $3"
        );
        return tx.execute("opt in", &sql, args![tenant, identity, channel_kind]).await.map(|_| ());
    };
    let sql = "insert into opt_outs (tenant_id, contact_id, channel_kind, since_ms, source) \
               select tenant_id, contact_id, $3, cast($4 as bigint), $5 from identities \
               where tenant_id = $1 and id = $2 \
               on conflict (tenant_id, contact_id, channel_kind) do update set source = case \
               when excluded.source = 'vendor' then excluded.source else opt_outs.source end";
    let args = args![tenant, identity, channel_kind, since_ms, source];
    tx.execute("opt out", sql, args).await.map(|_| ())
}

#[cfg(test)]
#[path = "contacts_tests.rs"]
mod tests;
