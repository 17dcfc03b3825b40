//! Conversations: the state that a lane's turn reads and writes. Only a turn
//! that holds the lane's lease writes here.

use std::collections::BTreeMap;

use pointsman_rules::assign::Policy;
use pointsman_rules::event::Actor;
use pointsman_rules::facts::{ConversationFacts, Priority, Status};
use pointsman_rules::ids::{
    AssistantId, ChannelId, ContactId, ConversationId, GroupId, IdentityId, JobId, LaneId, TenantId, UserId,
};
use pointsman_rules::sla::Target;
use serde::{Deserialize, Serialize};

use super::{Columns, Row, StoreError, Tx, labels};
use crate::args;

/// A conversation with what the engine keeps besides the facts that rules see.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// What rules see. `timers` is not stored here.
    pub facts: ConversationFacts,
    /// Where it takes place.
    pub channel: ChannelId,
    /// With whom.
    pub contact: ContactId,
    /// Under which of the contact's identities.
    pub identity: IdentityId,
    /// Its ordering key.
    pub lane: LaneId,
    /// Last message either way, unix milliseconds.
    pub last_activity_ms: i64,
    /// Inbound messages nobody has read.
    pub unread: i64,
    /// The first characters of the last message.
    pub preview: Option<String>,
    /// Which agent answered last.
    pub last_responder: Option<UserId>,
    /// When the live chat ended, unix milliseconds.
    pub ended_ms: Option<i64>,
    /// Which deadlines were already announced.
    pub deadlines: Deadlines,
    /// Where the assistant is with it.
    pub assist: Assist,
    /// Where sentiment and summary come from; `None`: nobody was asked yet.
    pub insights: Option<Insights>,
    /// Whom it waits for; `None`: nobody is looked for.
    pub queue: Option<Queue>,
    /// The next moment at which something is due, unix milliseconds.
    pub due_ms: Option<i64>,
    /// Number of the last message or event.
    pub seq: i64,
    /// Raised by every turn that writes it.
    pub version: i64,
}

/// Where the assistant is with a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Assist {
    /// The contact's last message that nobody has answered: its number among theirs, and when it came, unix
    /// milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<(i64, i64)>,
    /// What is waited for: the asking, and the number of the message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<(JobId, i64)>,
    /// Its answers since a person last wrote or switched it on.
    #[serde(default)]
    pub answers: i64,
    /// Who switched it last; `None`: nobody has yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched: Option<Switched>,
}

/// Who switched the assistant on or off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    /// Who did.
    pub by: Actor,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When, unix milliseconds.
    pub at_ms: i64,
}

/// Where sentiment and summary come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Insights {
    /// Who said so.
    pub assistant: AssistantId,
    /// What answered, as the vendor calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// From -1 (negative) to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// BCP 47, of what the contact writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// When, unix milliseconds.
    pub at_ms: i64,
}

/// A conversation that waits for somebody to take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Since when, unix milliseconds.
    pub since_ms: i64,
    /// How it is handed out.
    pub policy: Policy,
    /// Did a rule ask for this policy? Otherwise it is the group's.
    #[serde(default)]
    pub asked: bool,
    /// Whom it is offered to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// Who passed on it, and when (unix milliseconds).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<(UserId, i64)>,
}

/// A conversation that is offered to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// To whom.
    pub agent: UserId,
    /// How long they may think, unix milliseconds.
    pub until_ms: i64,
}

impl Conversation {
    /// Whose place it takes: the assignee's of a live chat, or that of whoever it is offered to.
    pub fn holder(&self) -> Option<UserId> {
        let offered = self.queue.as_ref().and_then(|queue| queue.offer).map(|offer| offer.agent);
        offered.or(self.facts.assignee.filter(|_| self.facts.live && self.facts.status != Status::Closed))
    }
}

/// Which deadlines were already announced, by the value that made them due: a new window or new activity makes a
/// new episode by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Deadlines {
    /// `window.expiring` was raised for the window that closes then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiring_for_ms: Option<i64>,
    /// `window.expired` was raised for the window that closed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_for_ms: Option<i64>,
    /// `conversation.idle_warning` was raised for this last activity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned_for_ms: Option<i64>,
    /// Somebody postponed the idle end: idle time counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_from_ms: Option<i64>,
    /// `sla.warning` was raised for the clock of this target that runs since then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sla_warned: BTreeMap<Target, i64>,
    /// `sla.breached` was raised for the clock of this target that runs since then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sla_breached: BTreeMap<Target, i64>,
    /// The group's calendar opened or closed then, and that was announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours_ms: Option<i64>,
}

/// In the order in which [`read_from`] reads them.
pub(super) const COLUMNS: &str = "id, channel_id, contact_id, identity_id, lane_id, live, status, group_id, assignee_id, \
    priority, labels, attributes, language, sentiment, summary, ai, window_closes_ms, last_inbound_ms, last_outbound_ms, \
    last_activity_ms, inbound_count, outbound_count, reopen_count, unread, preview, last_responder_id, automatic, \
    rule_starts, deadlines, due_ms, created_ms, ended_ms, archived_ms, snoozed_until_ms, opened_ms, waiting_since_ms, \
    first_reply_ms, queue, assist, insights, seq, version";

/// The conversations with these ids, in no order.
///
/// # Errors
/// The database's own.
pub async fn load(tx: &mut Tx, ids: &[(TenantId, ConversationId)]) -> Result<Vec<Conversation>, StoreError> {
    let sql = format!("select {COLUMNS} from conversations where tenant_id = $1 and id = $2");
    let rows: Vec<_> = ids.iter().map(|(tenant, id)| args![*tenant, *id]).collect();
    tx.all_of_each("read conversations", &sql, Vec::new(), &rows).await?.iter().map(read).collect()
}

/// The lane and channel of a conversation.
///
/// # Errors
/// The database's own.
pub async fn lane_of(
    tx: &mut Tx,
    tenant: TenantId,
    id: ConversationId,
) -> Result<Option<(LaneId, ChannelId)>, StoreError> {
    let sql = "select lane_id, channel_id from conversations where tenant_id = $1 and id = $2";
    let Some(row) = tx.first("find a lane", sql, args![tenant, id]).await? else { return Ok(None) };
    let mut columns = row.columns("conversations");
    Ok(Some((columns.id("lane_id")?, columns.id("channel_id")?)))
}

fn read(row: &Row) -> Result<Conversation, StoreError> {
    read_from(&mut row.columns("conversations"))
}

/// Reads [`COLUMNS`].
///
/// # Errors
/// A column that cannot be read.
pub(super) fn read_from(c: &mut Columns<'_>) -> Result<Conversation, StoreError> {
    let id = c.id("id")?;
    let (channel, contact, identity, lane) =
        (c.id("channel_id")?, c.id("contact_id")?, c.id("identity_id")?, c.id("lane_id")?);
    let mut facts = read_case(c, id)?;
    facts.window_closes_ms = c.opt_int("window_closes_ms")?;
    facts.last_inbound_ms = c.opt_int("last_inbound_ms")?;
    facts.last_outbound_ms = c.opt_int("last_outbound_ms")?;
    let last_activity_ms = c.int("last_activity_ms")?;
    facts.inbound_count = c.int("inbound_count")?;
    facts.outbound_count = c.int("outbound_count")?;
    facts.reopen_count = c.int("reopen_count")?;
    let (unread, preview, last_responder) =
        (c.int("unread")?, c.opt_text("preview")?, c.opt_id("last_responder_id")?);
    facts.automatic_ms = c.json("automatic")?;
    facts.rule_starts = c.json("rule_starts")?;
    let (deadlines, due_ms) = (c.json("deadlines")?, c.opt_int("due_ms")?);
    facts.created_ms = c.int("created_ms")?;
    let ended_ms = c.opt_int("ended_ms")?;
    facts.archived_ms = c.opt_int("archived_ms")?;
    facts.snoozed_until_ms = c.opt_int("snoozed_until_ms")?;
    facts.opened_ms = c.int("opened_ms")?;
    facts.waiting_since_ms = c.opt_int("waiting_since_ms")?;
    facts.first_reply_ms = c.opt_int("first_reply_ms")?;
    let queue = c.opt_json("queue")?;
    let (assist, insights) = (c.opt_json("assist")?.unwrap_or_default(), c.opt_json("insights")?);
    let (seq, version) = (c.int("seq")?, c.int("version")?);
    Ok(Conversation {
        facts,
        channel,
        contact,
        identity,
        lane,
        last_activity_ms,
        unread,
        preview,
        last_responder,
        ended_ms,
        deadlines,
        assist,
        insights,
        queue,
        due_ms,
        seq,
        version,
    })
}

/// The columns from `live` to `ai`.
fn read_case(c: &mut Columns<'_>, id: ConversationId) -> Result<ConversationFacts, StoreError> {
    Ok(ConversationFacts {
        id,
        live: c.bool("live")?,
        status: c.word("status", Status::from_word)?,
        group: c.opt_id("group_id")?,
        assignee: c.opt_id("assignee_id")?,
        priority: c.word("priority", Priority::from_word)?,
        labels: c.json("labels")?,
        attributes: c.json("attributes")?,
        language: c.opt_text("language")?,
        sentiment: c.opt_text("sentiment")?,
        summary: c.opt_text("summary")?,
        ai: c.json("ai")?,
        window_closes_ms: None,
        last_inbound_ms: None,
        last_outbound_ms: None,
        inbound_count: 0,
        outbound_count: 0,
        reopen_count: 0,
        created_ms: 0,
        opened_ms: 0,
        waiting_since_ms: None,
        first_reply_ms: None,
        archived_ms: None,
        snoozed_until_ms: None,
        automatic_ms: Vec::new(),
        rule_starts: BTreeMap::new(),
        timers: Vec::new(),
    })
}

/// Writes conversations, new or changed. What labels were taken away is told `labels::forget`.
///
/// # Errors
/// The database's own; a second open conversation of one identity is refused by the index.
pub async fn upsert(tx: &mut Tx, rows: &[(TenantId, Conversation)]) -> Result<(), StoreError> {
    let head = format!("insert into conversations (tenant_id, {COLUMNS}, queued_ms, holder_id)");
    let values = rows.iter().map(|(tenant, it)| values(*tenant, it)).collect::<Result<Vec<_>, _>>()?;
    tx.insert_many("write conversations", &head, values, UPDATE).await?;
    labels::keep(tx, rows).await
}

/// Without the contact: merging moves conversations between turns, and a turn's working copy may be older than that.
const UPDATE: &str = "on conflict (tenant_id, id) do update set live = excluded.live, status = excluded.status, group_id = excluded.group_id, \
    assignee_id = excluded.assignee_id, priority = excluded.priority, labels = excluded.labels, \
    attributes = excluded.attributes, language = excluded.language, sentiment = excluded.sentiment, \
    summary = excluded.summary, assist = excluded.assist, insights = excluded.insights, ai = excluded.ai, \
    window_closes_ms = excluded.window_closes_ms, last_inbound_ms = excluded.last_inbound_ms, \
    last_outbound_ms = excluded.last_outbound_ms, last_activity_ms = excluded.last_activity_ms, \
    inbound_count = excluded.inbound_count, outbound_count = excluded.outbound_count, \
    reopen_count = excluded.reopen_count, unread = excluded.unread, preview = excluded.preview, \
    last_responder_id = excluded.last_responder_id, automatic = excluded.automatic, \
    rule_starts = excluded.rule_starts, \
    deadlines = excluded.deadlines, due_ms = excluded.due_ms, ended_ms = excluded.ended_ms, \
    archived_ms = excluded.archived_ms, snoozed_until_ms = excluded.snoozed_until_ms, \
    opened_ms = excluded.opened_ms, waiting_since_ms = excluded.waiting_since_ms, \
    first_reply_ms = excluded.first_reply_ms, queue = excluded.queue, queued_ms = excluded.queued_ms, \
    holder_id = excluded.holder_id, seq = excluded.seq, version = excluded.version";

fn values(tenant: TenantId, it: &Conversation) -> Result<Vec<crate::store::Arg>, StoreError> {
    let facts = &it.facts;
    Ok(args![
        tenant,
        facts.id,
        it.channel,
        it.contact,
        it.identity,
        it.lane,
        facts.live,
        facts.status.word(),
        facts.group,
        facts.assignee,
        facts.priority.word(),
        json("labels", &facts.labels)?,
        json("attributes", &facts.attributes)?,
        facts.language.clone(),
        facts.sentiment.clone(),
        facts.summary.clone(),
        json("ai", &facts.ai)?,
        facts.window_closes_ms,
        facts.last_inbound_ms,
        facts.last_outbound_ms,
        it.last_activity_ms,
        facts.inbound_count,
        facts.outbound_count,
        facts.reopen_count,
        it.unread,
        it.preview.clone(),
        it.last_responder,
        json("automatic", &facts.automatic_ms)?,
        json("rule_starts", &facts.rule_starts)?,
        json("deadlines", &it.deadlines)?,
        it.due_ms,
        facts.created_ms,
        it.ended_ms,
        facts.archived_ms,
        facts.snoozed_until_ms,
        facts.opened_ms,
        facts.waiting_since_ms,
        facts.first_reply_ms,
        it.queue.as_ref().map(|queue| json("queue", queue)).transpose()?,
        json("assist", &it.assist)?,
        it.insights.as_ref().map(|insights| json("insights", insights)).transpose()?,
        it.seq,
        it.version,
        it.queue.as_ref().map(|queue| queue.since_ms),
        it.holder(),
    ])
}

pub(super) fn json<T: Serialize>(column: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::BadRow {
        table: "(to be written)",
        column,
        reason: error.to_string(),
    })
}

/// Has every open conversation of a group looked at soon, because the group's calendar or targets changed.
///
/// # Errors
/// The database's own.
pub async fn look_again(
    tx: &mut Tx,
    tenant: TenantId,
    group: GroupId,
    now_ms: i64,
) -> Result<u64, StoreError> {
    let sql = "update conversations set due_ms = $3 where tenant_id = $1 and group_id = $2 \
               and status <> 'closed' and (due_ms is null or due_ms > $3)";
    tx.execute("look at a group again", sql, args![tenant, group, now_ms]).await
}

/// A conversation with something due.
#[derive(Debug, Clone)]
pub struct Due {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub conversation: ConversationId,
    /// Its lane.
    pub lane: LaneId,
    /// Its channel.
    pub channel: ChannelId,
    /// What made it due, unix milliseconds.
    pub due_ms: i64,
    /// The state it was due in.
    pub version: i64,
}

/// Conversations with something due, the oldest first.
///
/// # Errors
/// The database's own.
pub async fn due(tx: &mut Tx, now_ms: i64, rows_max: u32) -> Result<Vec<Due>, StoreError> {
    let sql = "select tenant_id, id, lane_id, channel_id, due_ms, version from conversations \
               where due_ms <= $1 order by due_ms limit $2";
    let rows = tx.all("find due conversations", sql, args![now_ms, rows_max]).await?;
    rows.iter()
        .map(|row| {
            let mut c = row.columns("conversations");
            Ok(Due {
                tenant: c.id("tenant_id")?,
                conversation: c.id("id")?,
                lane: c.id("lane_id")?,
                channel: c.id("channel_id")?,
                due_ms: c.int("due_ms")?,
                version: c.int("version")?,
            })
        })
        .collect()
}

/// Takes a deadline off, if it is still the same; the lane's inbox has it now.
///
/// # Errors
/// The database's own.
pub async fn clear_due(tx: &mut Tx, due: &Due) -> Result<(), StoreError> {
    let sql = "update conversations set due_ms = null where tenant_id = $1 and id = $2 and due_ms = $3";
    tx.execute("clear a deadline", sql, args![due.tenant, due.conversation, due.due_ms]).await.map(|_| ())
}

/// The earliest moment at which any conversation or timer is due, unix milliseconds.
///
/// # Errors
/// The database's own.
pub async fn next_due(tx: &mut Tx) -> Result<Option<i64>, StoreError> {
    let sql = "select min(due_ms) from (select min(due_ms) as due_ms from conversations where due_ms is not null \
               union all select min(due_ms) as due_ms from timers) as d";
    match tx.first("find the next deadline", sql, Vec::new()).await? {
        Some(row) => row.columns("conversations").opt_int("due_ms"),
        None => Ok(None),
    }
}
