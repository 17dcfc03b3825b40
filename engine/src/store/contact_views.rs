//! Contacts as people read them: lists, one of them with its identities, its open
//! conversations, and who may be the same person. Reading only.

use std::collections::{BTreeMap, HashMap, HashSet};

use pointsman_rules::ids::{ChannelId, ContactId, ConversationId, IdentityId, LaneId, TenantId};
use serde_json::Value;

use super::filter::{Filter, Sight, like_part};
use super::text::places;
use super::{Arg, Row, StoreError, Tx};
use crate::args;

/// A contact as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct ContactView {
    /// Its id.
    pub id: ContactId,
    /// What they are called.
    pub name: Option<String>,
    /// E.164, when known.
    pub phone: Option<String>,
    /// BCP 47.
    pub language: Option<String>,
    /// Typed values.
    pub attributes: BTreeMap<String, Value>,
    /// We refuse to talk to them since then, unix milliseconds.
    pub blocked_ms: Option<i64>,
    /// Counts changes, from 1.
    pub version: i64,
    /// When they were first seen, unix milliseconds.
    pub created_ms: i64,
    /// The contact that this one became a part of.
    pub merged_into: Option<ContactId>,
    /// When they were erased, unix milliseconds.
    pub erased_ms: Option<i64>,
    /// Where they can be reached.
    pub identities: Vec<IdentityView>,
    /// What they do not want.
    pub opt_outs: Vec<OptOut>,
    /// Are phone numbers hidden from these eyes?
    pub is_masked: bool,
}

/// One address of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityView {
    /// Its id.
    pub id: IdentityId,
    /// The kind of channel it is valid on.
    pub channel_kind: String,
    /// What makes it unique there.
    pub value: String,
    /// Where answers go, as the vendor writes it.
    pub address: String,
    /// E.164, when known.
    pub phone: Option<String>,
    /// The same for all variants of the number.
    pub phone_key: Option<String>,
    /// The vendor's stable id.
    pub scoped_id: Option<String>,
    /// A handle.
    pub username: Option<String>,
    /// Who says so.
    pub evidence: String,
    /// When it became known, unix milliseconds.
    pub created_ms: i64,
}

/// A kind of channel on which somebody wants no messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptOut {
    /// Which kind.
    pub channel_kind: String,
    /// Since when, unix milliseconds.
    pub since_ms: i64,
    /// Who says so: `vendor`, `rule`, `agent` or `api`.
    pub source: String,
}

/// What a list is narrowed to; `None` does not narrow.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ContactFilter {
    /// A part of the name, of a handle or of an address.
    pub text: Option<String>,
    /// The key of a whole phone number.
    pub phone_key: Option<String>,
    /// Digits of a phone number.
    pub digits: Option<String>,
    /// Blocked, or not.
    pub blocked: Option<bool>,
    /// Opted out of any kind of channel, or of none.
    pub opted_out: Option<bool>,
    /// Can be reached on this kind of channel.
    pub channel_kind: Option<String>,
}

const HEAD: &str = "select p.id, p.name, p.phone, p.language, p.attributes, p.blocked_ms, p.version, p.created_ms, \
    p.merged_into, p.erased_ms from contacts p";
const REACHED: &str =
    "exists (select 1 from identities i where i.tenant_id = p.tenant_id and i.contact_id = p.id";

/// Contacts, the newest first. Those that were merged into others or erased are left out.
///
/// # Errors
/// The database's own.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    sight: Sight,
    wanted: &ContactFilter,
    before: Option<ContactId>,
    rows_max: u32,
) -> Result<Vec<ContactView>, StoreError> {
    let mut filter = Filter::new("p", tenant);
    filter.and("p.merged_into is null and p.erased_ms is null", vec![]);
    filter.met_by(sight);
    search(&mut filter, sight, wanted);
    match wanted.blocked {
        None => {}
        Some(true) => filter.and("p.blocked_ms is not null", vec![]),
        Some(false) => filter.and("p.blocked_ms is null", vec![]),
    }
    if let Some(opted_out) = wanted.opted_out {
        let not = if opted_out { "" } else { "not " };
        let condition = format!(
            "{not}exists (select 1 from opt_outs o where o.tenant_id = p.tenant_id and o.contact_id = p.id)"
        );
        filter.and(&condition, vec![]);
    }
    if let Some(kind) = &wanted.channel_kind {
        filter.and(&format!("{REACHED} and i.channel_kind = ?)"), args![kind]);
    }
    filter.and_if("p.id < ?", before);
    let (sql, args) = filter.finish(HEAD, "order by p.id desc", rows_max);
    let rows = tx.all("list contacts", &sql, args).await?;
    let mut found = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    complete(tx, tenant, sight, &mut found).await?;
    Ok(found)
}

/// Numbers are searched by their digits only by those who may see all of them.
fn search(filter: &mut Filter, sight: Sight, wanted: &ContactFilter) {
    let (mut any, mut values) = (Vec::new(), Vec::new());
    if let Some(text) = &wanted.text {
        let pattern = like_part(&text.to_lowercase());
        any.push("p.name_key like ? escape '!'".to_owned());
        any.push(format!("{REACHED} and lower(i.username) like ? escape '!')"));
        values.extend(args![&pattern, &pattern]);
        if sight == Sight::All {
            any.push(format!("{REACHED} and lower(i.address) like ? escape '!')"));
            values.extend(args![&pattern]);
        }
    }
    if let Some(key) = &wanted.phone_key {
        any.push("p.phone_key = ?".to_owned());
        any.push(format!("{REACHED} and i.phone_key = ?)"));
        values.extend(args![key, key]);
    }
    if let Some(digits) = wanted.digits.as_ref().filter(|_| sight == Sight::All) {
        let pattern = like_part(digits);
        any.push("p.phone like ? escape '!'".to_owned());
        any.push(format!("{REACHED} and i.address like ? escape '!')"));
        values.extend(args![&pattern, &pattern]);
    }
    if !any.is_empty() {
        filter.and(&format!("({})", any.join(" or ")), values);
    }
}

/// One contact, if these eyes may see them; also one that was merged or erased.
///
/// # Errors
/// The database's own.
pub async fn get(
    tx: &mut Tx,
    tenant: TenantId,
    sight: Sight,
    id: ContactId,
) -> Result<Option<ContactView>, StoreError> {
    let mut filter = Filter::new("p", tenant);
    filter.met_by(sight);
    filter.and("p.id = ?", args![id]);
    let (sql, args) = filter.finish(HEAD, "", 1);
    let Some(row) = tx.first("read a contact", &sql, args).await? else { return Ok(None) };
    let mut found = vec![read(&row)?];
    complete(tx, tenant, sight, &mut found).await?;
    Ok(found.pop())
}

fn read(row: &Row) -> Result<ContactView, StoreError> {
    let mut c = row.columns("contacts");
    Ok(ContactView {
        id: c.id("id")?,
        name: c.opt_text("name")?,
        phone: c.opt_text("phone")?,
        language: c.opt_text("language")?,
        attributes: c.json("attributes")?,
        blocked_ms: c.opt_int("blocked_ms")?,
        version: c.int("version")?,
        created_ms: c.int("created_ms")?,
        merged_into: c.opt_id("merged_into")?,
        erased_ms: c.opt_int("erased_ms")?,
        identities: Vec::new(),
        opt_outs: Vec::new(),
        is_masked: false,
    })
}

/// Adds identities and opt-outs, and whether numbers are hidden.
async fn complete(
    tx: &mut Tx,
    tenant: TenantId,
    sight: Sight,
    contacts: &mut [ContactView],
) -> Result<(), StoreError> {
    if contacts.is_empty() {
        return Ok(());
    }
    let ids: Vec<ContactId> = contacts.iter().map(|it| it.id).collect();
    let mut identities: HashMap<ContactId, Vec<IdentityView>> = HashMap::new();
    for (contact, identity) in identities_of(tx, tenant, &ids).await? {
        identities.entry(contact).or_default().push(identity);
    }
    let mut args = args![tenant];
    args.extend(ids.iter().map(|id| Arg::from(*id)));
    let sql = format!(
        "select contact_id, channel_kind, since_ms, source from opt_outs where tenant_id = $1 \
         and contact_id in ({}) order by channel_kind",
        places(2, ids.len())
    );
    let mut opt_outs: HashMap<ContactId, Vec<OptOut>> = HashMap::new();
    for row in tx.all("list opt-outs", &sql, args).await? {
        let mut c = row.columns("opt_outs");
        let contact = c.id("contact_id")?;
        let out = OptOut {
            channel_kind: c.text("channel_kind")?,
            since_ms: c.int("since_ms")?,
            source: c.text("source")?,
        };
        opt_outs.entry(contact).or_default().push(out);
    }
    let open = seen_unmasked(tx, tenant, sight, &ids).await?;
    for it in contacts {
        it.identities = identities.remove(&it.id).unwrap_or_default();
        it.opt_outs = opt_outs.remove(&it.id).unwrap_or_default();
        it.is_masked = sight != Sight::All && !open.contains(&it.id);
    }
    Ok(())
}

async fn identities_of(
    tx: &mut Tx,
    tenant: TenantId,
    contacts: &[ContactId],
) -> Result<Vec<(ContactId, IdentityView)>, StoreError> {
    let mut args = args![tenant];
    args.extend(contacts.iter().map(|id| Arg::from(*id)));
    let sql = format!(
        "select contact_id, id, channel_kind, value, address, phone, phone_key, scoped_id, username, evidence, \
         created_ms from identities where tenant_id = $1 and contact_id in ({}) order by id",
        places(2, contacts.len())
    );
    let rows = tx.all("list identities", &sql, args).await?;
    rows.iter()
        .map(|row| {
            let mut c = row.columns("identities");
            let contact = c.id("contact_id")?;
            let identity = IdentityView {
                id: c.id("id")?,
                channel_kind: c.text("channel_kind")?,
                value: c.text("value")?,
                address: c.text("address")?,
                phone: c.opt_text("phone")?,
                phone_key: c.opt_text("phone_key")?,
                scoped_id: c.opt_text("scoped_id")?,
                username: c.opt_text("username")?,
                evidence: c.text("evidence")?,
                created_ms: c.int("created_ms")?,
            };
            Ok((contact, identity))
        })
        .collect()
}

/// Those of whom these eyes see a conversation on a channel that hides nothing.
async fn seen_unmasked(
    tx: &mut Tx,
    tenant: TenantId,
    sight: Sight,
    contacts: &[ContactId],
) -> Result<HashSet<ContactId>, StoreError> {
    if sight == Sight::All {
        return Ok(HashSet::new());
    }
    let mut filter = Filter::new("c", tenant);
    filter.seen_by(sight);
    filter.and("not h.masked", vec![]);
    let condition = format!("c.contact_id in ({})", vec!["?"; contacts.len()].join(", "));
    filter.and(&condition, contacts.iter().map(|id| Arg::from(*id)).collect());
    let head = "select distinct c.contact_id from conversations c \
                join channels h on h.tenant_id = c.tenant_id and h.id = c.channel_id";
    let (sql, args) = filter.finish(head, "", u32::MAX);
    let rows = tx.all("look which numbers are open", &sql, args).await?;
    rows.iter().map(|row| row.columns("conversations").id("contact_id")).collect()
}

/// A conversation of a contact, as far as news of the contact need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Its id.
    pub conversation: ConversationId,
    /// Its lane.
    pub lane: LaneId,
    /// Its channel.
    pub channel: ChannelId,
    /// The channel's kind.
    pub channel_kind: String,
    /// Is it not closed?
    pub is_open: bool,
}

/// All conversations of these contacts, the oldest first.
///
/// # Errors
/// The database's own.
pub async fn threads(
    tx: &mut Tx,
    tenant: TenantId,
    contacts: &[ContactId],
) -> Result<Vec<Thread>, StoreError> {
    let mut args = args![tenant];
    args.extend(contacts.iter().map(|id| Arg::from(*id)));
    let sql = format!(
        "select c.id, c.lane_id, c.channel_id, coalesce(h.kind, ''), c.status from conversations c \
         left join channels h on h.tenant_id = c.tenant_id and h.id = c.channel_id \
         where c.tenant_id = $1 and c.contact_id in ({}) order by c.id",
        places(2, contacts.len())
    );
    let rows = tx.all("list a contact's conversations", &sql, args).await?;
    rows.iter()
        .map(|row| {
            let mut c = row.columns("conversations");
            Ok(Thread {
                conversation: c.id("id")?,
                lane: c.id("lane_id")?,
                channel: c.id("channel_id")?,
                channel_kind: c.text("channels.kind")?,
                is_open: c.text("status")? != "closed",
            })
        })
        .collect()
}

/// Two contacts that may be the same person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The one known longer.
    pub one: ContactId,
    /// The other.
    pub two: ContactId,
    /// Why: `phone`, `scoped_id` or `email`.
    pub evidence: String,
}

/// What tells contacts apart, or not: one row per contact and sign.
const SIGNS: &str = "with signs as (select contact_id, 'phone' as kind, phone_key as sign from identities \
    where tenant_id = $1 and phone_key is not null \
    union select id, 'phone', phone_key from contacts where tenant_id = $1 and phone_key is not null \
    and merged_into is null and erased_ms is null \
    union select contact_id, 'scoped_id', scoped_id from identities where tenant_id = $1 and scoped_id is not null \
    union select id, 'email', email_key from contacts where tenant_id = $1 and email_key is not null \
    and merged_into is null and erased_ms is null)";

/// Pairs of contacts with a sign in common, in order, after this pair.
///
/// # Errors
/// The database's own.
pub async fn duplicates(
    tx: &mut Tx,
    tenant: TenantId,
    after: Option<(ContactId, ContactId)>,
    rows_max: u32,
) -> Result<Vec<Pair>, StoreError> {
    let sql = format!(
        "{SIGNS} select a.contact_id, b.contact_id, min(a.kind) from signs a join signs b on b.kind = a.kind \
         and b.sign = a.sign and b.contact_id > a.contact_id where (a.contact_id, b.contact_id) > ($2, $3) \
         group by a.contact_id, b.contact_id order by a.contact_id, b.contact_id limit $4"
    );
    let (one, two) = after.unzip();
    let text = |id: Option<ContactId>| id.map_or_else(String::new, |id| id.to_string());
    let rows = tx.all("list duplicates", &sql, args![tenant, text(one), text(two), rows_max]).await?;
    rows.iter().map(pair).collect()
}

/// Who may be the same person as this contact.
///
/// # Errors
/// The database's own.
pub async fn duplicates_of(tx: &mut Tx, tenant: TenantId, id: ContactId) -> Result<Vec<Pair>, StoreError> {
    let sql = format!(
        "{SIGNS} select a.contact_id, b.contact_id, min(a.kind) from signs a join signs b on b.kind = a.kind \
         and b.sign = a.sign and b.contact_id <> a.contact_id where a.contact_id = $2 \
         group by a.contact_id, b.contact_id order by b.contact_id limit $3"
    );
    let rows = tx.all("look for duplicates", &sql, args![tenant, id, DUPLICATES_MAX]).await?;
    rows.iter().map(pair).collect()
}

/// Duplicates told about one contact at most.
const DUPLICATES_MAX: u32 = 20;

fn pair(row: &Row) -> Result<Pair, StoreError> {
    let mut c = row.columns("contacts");
    Ok(Pair { one: c.id("one")?, two: c.id("two")?, evidence: c.text("evidence")? })
}

#[cfg(test)]
#[path = "contact_views_tests.rs"]
mod tests;
