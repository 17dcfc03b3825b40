//! Erasing a contact or a conversation: what is kept of the work itself, and the
//! steps in which rows go. Each step is a transaction of the caller's and may be
//! repeated; the first one makes sure that no turn brings anything back.

use pointsman_rules::ids::{ContactId, ConversationId, ErasureId, TenantId};
use serde::{Deserialize, Serialize};

use super::conversations::json;
use super::lanes::Fenced;
use super::text::places;
use super::{Arg, Row, StoreError, Tx, labels};
use crate::args;

/// What is erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A person, with everything they wrote; their conversations stay as dates and counts.
    Contact(ContactId),
    /// One conversation.
    Conversation(ConversationId),
}

impl Target {
    fn words(self) -> (&'static str, String) {
        match self {
            Self::Contact(id) => ("contact", id.to_string()),
            Self::Conversation(id) => ("conversation", id.to_string()),
        }
    }
}

/// What the steps need to know; emptied at the end.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Whose rows go.
    pub conversations: Vec<ConversationId>,
    /// How far the inbox of each lane goes.
    pub lanes: Vec<Fenced>,
    /// Texts by which the person is found in webhooks that nobody could read.
    pub needles: Vec<String>,
}

/// An erasure.
#[derive(Debug, Clone, PartialEq)]
pub struct Erasure {
    /// Its id.
    pub id: ErasureId,
    /// What is erased.
    pub target: Target,
    /// Id of the user or key who asked for it.
    pub actor: String,
    /// Has it ended?
    pub is_done: bool,
    /// What is left to do.
    pub plan: Plan,
    /// Rows that are gone.
    pub rows_gone: i64,
    /// When it was asked for, unix milliseconds.
    pub created_ms: i64,
    /// When it ended.
    pub done_ms: Option<i64>,
}

const SELECT: &str = "select id, kind, target_id, actor, state, body, rows_gone, created_ms, done_ms from erasures \
    where tenant_id = $1";
const DONE: &str = "done";

/// Records that something is to be erased.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, tenant: TenantId, it: &Erasure) -> Result<(), StoreError> {
    let sql = "insert into erasures (tenant_id, id, kind, target_id, actor, state, body, rows_gone, created_ms) \
               values ($1, $2, $3, $4, $5, 'running', $6, 0, $7)";
    let (kind, target) = it.target.words();
    let args = args![tenant, it.id, kind, target, &it.actor, json("body", &it.plan)?, it.created_ms];
    tx.execute("record an erasure", sql, args).await.map(|_| ())
}

/// The erasure with this id.
///
/// # Errors
/// The database's own.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: ErasureId) -> Result<Option<Erasure>, StoreError> {
    let sql = format!("{SELECT} and id = $2");
    tx.first("read an erasure", &sql, args![tenant, id]).await?.as_ref().map(read).transpose()
}

/// The erasure that was begun first and has not ended.
///
/// # Errors
/// The database's own.
pub async fn next(tx: &mut Tx, tenant: TenantId) -> Result<Option<Erasure>, StoreError> {
    let sql = format!("{SELECT} and state <> '{DONE}' order by created_ms, id limit 1");
    tx.first("find an erasure", &sql, args![tenant]).await?.as_ref().map(read).transpose()
}

/// The erasures of a target, the newest first.
///
/// # Errors
/// The database's own.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    before: Option<ErasureId>,
    rows_max: u32,
) -> Result<Vec<Erasure>, StoreError> {
    // `f` sorts after every id's prefix.
    let before = before.map_or_else(|| "f".to_owned(), |id| id.to_string());
    let sql = format!("{SELECT} and id < $2 order by id desc limit $3");
    tx.all("list erasures", &sql, args![tenant, before, rows_max]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Erasure, StoreError> {
    let mut c = row.columns("erasures");
    let id = c.id("id")?;
    let target = match c.text("kind")?.as_str() {
        "contact" => Target::Contact(c.id("target_id")?),
        _ => Target::Conversation(c.id("target_id")?),
    };
    Ok(Erasure {
        id,
        target,
        actor: c.text("actor")?,
        is_done: c.text("state")? == DONE,
        plan: c.json("body")?,
        rows_gone: c.int("rows_gone")?,
        created_ms: c.int("created_ms")?,
        done_ms: c.opt_int("done_ms")?,
    })
}

/// Counts rows that are gone.
///
/// # Errors
/// The database's own.
pub async fn count(tx: &mut Tx, tenant: TenantId, id: ErasureId, rows: u64) -> Result<(), StoreError> {
    let sql = "update erasures set rows_gone = rows_gone + $3 where tenant_id = $1 and id = $2";
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    tx.execute("count erased rows", sql, args![tenant, id, rows]).await.map(|_| ())
}

/// Ends an erasure and forgets what it needed to know.
///
/// # Errors
/// The database's own.
pub async fn finish(tx: &mut Tx, tenant: TenantId, id: ErasureId, now_ms: i64) -> Result<(), StoreError> {
    let sql = format!(
        "update erasures set state = '{DONE}', body = $3, done_ms = $4 where tenant_id = $1 and id = $2"
    );
    let args = args![tenant, id, json("body", &Plan::default())?, now_ms];
    tx.execute("end an erasure", &sql, args).await.map(|_| ())
}

/// A contact and all that were merged into it, whether directly or not.
///
/// # Errors
/// The database's own.
pub async fn family(tx: &mut Tx, tenant: TenantId, contact: ContactId) -> Result<Vec<ContactId>, StoreError> {
    let sql = "select id from contacts where tenant_id = $1 and merged_into = $2 order by id";
    let mut all = vec![contact];
    let mut at = 0;
    while let Some(id) = all.get(at).copied() {
        for row in tx.all("list merged contacts", sql, args![tenant, id]).await? {
            all.push(row.columns("contacts").id("id")?);
        }
        at += 1;
    }
    Ok(all)
}

/// Leaves of contacts only their ids and times: names, numbers, identities, opt-outs and what merges remember go.
///
/// # Errors
/// The database's own.
pub async fn strip_contacts(
    tx: &mut Tx,
    tenant: TenantId,
    contacts: &[ContactId],
    now_ms: i64,
) -> Result<(), StoreError> {
    for contact in contacts {
        // The contact first: it waits for turns that are giving it one more identity, and none begins afterwards.
        let sql = "update contacts set name = null, name_key = null, phone = null, phone_key = null, \
                   language = null, attributes = '{}', email_key = null, blocked_ms = null, \
                   version = version + 1, erased_ms = coalesce(erased_ms, $3) where tenant_id = $1 and id = $2";
        tx.execute("erase a contact", sql, args![tenant, *contact, now_ms]).await?;
        let sql = "delete from identities where tenant_id = $1 and contact_id = $2";
        tx.execute("erase identities", sql, args![tenant, *contact]).await?;
        let sql = "delete from opt_outs where tenant_id = $1 and contact_id = $2";
        tx.execute("erase opt-outs", sql, args![tenant, *contact]).await?;
        let sql = "delete from contact_merges where tenant_id = $1 and (into_id = $2 or from_id = $2)";
        tx.execute("erase merges", sql, args![tenant, *contact]).await?;
    }
    Ok(())
}

/// Leaves of conversations only ids, counts and times; they are closed and out of every turn's reach.
///
/// # Errors
/// The database's own.
pub async fn strip_conversations(
    tx: &mut Tx,
    tenant: TenantId,
    conversations: &[ConversationId],
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "update conversations set status = 'closed', live = false, labels = '[]', attributes = '{}', \
               language = null, sentiment = null, summary = null, insights = null, assist = null, \
               preview = null, unread = 0, automatic = '[]', rule_starts = '{}', deadlines = '{}', \
               due_ms = null, queue = null, queued_ms = null, holder_id = null, waiting_since_ms = null, \
               ended_ms = coalesce(ended_ms, $3), archived_ms = coalesce(archived_ms, $3), \
               version = version + 1 where tenant_id = $1 and id = $2";
    for conversation in conversations {
        tx.execute("erase a conversation's fields", sql, args![tenant, *conversation, now_ms]).await?;
        labels::forget_all(tx, tenant, *conversation).await?;
    }
    Ok(())
}

/// Removes a conversation's own row; answers whether there was one.
///
/// # Errors
/// The database's own.
pub async fn remove_conversation(
    tx: &mut Tx,
    tenant: TenantId,
    id: ConversationId,
) -> Result<bool, StoreError> {
    labels::forget_all(tx, tenant, id).await?;
    let sql = "delete from conversations where tenant_id = $1 and id = $2";
    Ok(tx.execute("remove a conversation", sql, args![tenant, id]).await? > 0)
}

/// Stops what a conversation still wants: its timers go, and nothing of it leaves any more.
///
/// # Errors
/// The database's own.
pub async fn silence(tx: &mut Tx, tenant: TenantId, conversation: ConversationId) -> Result<(), StoreError> {
    let sql = "delete from effects where tenant_id = $1 and conversation_id = $2 and state = 'queued'";
    tx.execute("drop what waits to leave", sql, args![tenant, conversation]).await?;
    let sql = "delete from placements where tenant_id = $1 and conversation_id = $2";
    tx.execute("drop a placement", sql, args![tenant, conversation]).await?;
    let sql = "delete from assistant_tasks where tenant_id = $1 and conversation_id = $2";
    tx.execute("drop work for assistants", sql, args![tenant, conversation]).await?;
    let sql = "delete from timers where tenant_id = $1 and conversation_id = $2";
    tx.execute("drop timers", sql, args![tenant, conversation]).await.map(|_| ())
}

/// What belongs to a conversation, in the order in which it goes: what points to something goes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Calls to other programs.
    Calls,
    /// What other programs are told.
    Deliveries,
    /// Calls to vendors.
    Attempts,
    /// What left, or should have.
    Effects,
    /// Timers.
    Timers,
    /// What rules saw and did.
    Runs,
    /// What trials of rules found in it.
    Findings,
    /// The log.
    Events,
    /// Files; their bytes are the caller's.
    Files,
    /// Messages and notes.
    Messages,
    /// What people were told.
    Notifications,
}

impl Part {
    /// All of them, in order.
    pub const ALL: [Self; 11] = [
        Self::Calls,
        Self::Deliveries,
        Self::Attempts,
        Self::Effects,
        Self::Timers,
        Self::Runs,
        Self::Findings,
        Self::Events,
        Self::Files,
        Self::Messages,
        Self::Notifications,
    ];

    /// What is being done, the table, its key, and which rows belong to a conversation.
    fn plan(self) -> (&'static str, &'static str, &'static str, &'static str) {
        const OWN: &str = "conversation_id = $2";
        match self {
            Self::Calls => (
                "erase calls",
                "webhook_attempts",
                "delivery_id, number",
                "delivery_id in (select id from webhook_deliveries where tenant_id = $1 and conversation_id = $2)",
            ),
            Self::Deliveries => ("erase deliveries", "webhook_deliveries", "id", OWN),
            Self::Attempts => (
                "erase attempts",
                "attempts",
                "effect_id, number",
                "effect_id in (select id from effects where tenant_id = $1 and conversation_id = $2)",
            ),
            Self::Effects => ("erase effects", "effects", "id", OWN),
            Self::Timers => ("erase timers", "timers", "name, conversation_id", OWN),
            Self::Runs => (
                "erase runs",
                "runs",
                "event_id",
                "(conversation_id = $2 \
                 or event_id in (select id from events where tenant_id = $1 and conversation_id = $2))",
            ),
            Self::Findings => ("erase findings", "trial_findings", "trial_id, event_id", OWN),
            Self::Events => ("erase events", "events", "id", OWN),
            Self::Files => ("erase files", "attachments", "id", OWN),
            Self::Messages => ("erase messages", "messages", "id", OWN),
            Self::Notifications => ("erase notifications", "notifications", "id", OWN),
        }
    }
}

/// Removes at most `rows_max` rows of one part of a conversation; answers how many went.
///
/// # Errors
/// The database's own.
pub async fn remove_part(
    tx: &mut Tx,
    tenant: TenantId,
    conversation: ConversationId,
    part: Part,
    rows_max: u32,
) -> Result<u64, StoreError> {
    let (what, table, key, is_own) = part.plan();
    let sql = format!(
        "delete from {table} where tenant_id = $1 and ({key}) in \
         (select {key} from {table} where tenant_id = $1 and {is_own} limit $3)"
    );
    tx.execute(what, &sql, args![tenant, conversation, rows_max]).await
}

/// Empties at most `rows_max` entries of a lane's inbox that were worked off, and removes the webhooks they came from;
/// answers how many. The entries themselves stay until they are too old to come again: by them a redelivery is known.
///
/// # Errors
/// The database's own.
pub async fn empty_inbox(
    tx: &mut Tx,
    tenant: TenantId,
    lane: &Fenced,
    rows_max: u32,
) -> Result<u64, StoreError> {
    let sql = "update inbox set body = '{}', problem = null where tenant_id = $1 and lane_id = $2 and seq in \
               (select seq from inbox where tenant_id = $1 and lane_id = $2 and seq <= $3 and body <> '{}' \
               order by seq limit $4) returning raw_id";
    let rows = tx.all("empty an inbox", sql, args![tenant, lane.lane, lane.done, rows_max]).await?;
    let mut webhooks: Vec<Arg> = Vec::new();
    for row in &rows {
        webhooks.extend(row.columns("inbox").opt_text("raw_id")?.map(Arg::from));
    }
    for some in webhooks.chunks(PLACES_MAX) {
        let sql =
            format!("delete from raw_webhooks where tenant_id = $1 and id in ({})", places(2, some.len()));
        let mut args = args![tenant];
        args.extend(some.iter().cloned());
        tx.execute("erase webhooks", &sql, args).await?;
    }
    Ok(rows.len() as u64)
}

/// Ids in one statement at most.
const PLACES_MAX: usize = 64;

#[cfg(test)]
#[path = "erasures_tests.rs"]
mod tests;
