//! Effects: applied intents that leave the process, with a deterministic id
//! each. They leave their lane in order, at most once unless it is harmless.

use pointsman_rules::ids::{
    ChannelId, ConversationId, EffectId, EventId, LaneId, MessageId, RuleVersionId, TenantId,
};

use super::lanes::Claim;
use super::{Row, StoreError, Tx};
use crate::args;

/// Where an effect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectState {
    /// Waits for its turn in the lane.
    Queued,
    /// The vendor is being called; after a crash: maybe was.
    Sending,
    /// The vendor accepted it.
    Done,
    /// It will not be tried again.
    Failed,
    /// Nobody knows whether the vendor accepted it.
    Unknown,
    /// Somebody took it back.
    Cancelled,
}

impl EffectState {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Queued, Self::Sending, Self::Done, Self::Failed, Self::Unknown, Self::Cancelled]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// An effect as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// A hash of what asked for it.
    pub id: EffectId,
    /// Its lane.
    pub lane: LaneId,
    /// Its channel.
    pub channel: ChannelId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// The message it sends.
    pub message: Option<MessageId>,
    /// Its place in the conversation.
    pub seq: i64,
    /// `send`.
    pub kind: String,
    /// Where it is.
    pub state: EffectState,
    /// Calls begun so far.
    pub attempts: i64,
    /// Those of them before a person had it sent again.
    pub attempts_before: i64,
    /// Not before this moment, unix milliseconds.
    pub next_ms: i64,
    /// The rule version that asked for it.
    pub rule_version: Option<RuleVersionId>,
    /// The event it answers.
    pub event: Option<EventId>,
}

impl Effect {
    /// Calls since it was asked for, or asked for again.
    pub fn tries(&self) -> i64 {
        self.attempts - self.attempts_before
    }
}

/// Adds effects; one that exists already is left alone (same rule version, event and ordinal).
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, effects: &[(TenantId, Effect)], now_ms: i64) -> Result<(), StoreError> {
    let rows = effects
        .iter()
        .map(|(tenant, e)| {
            args![
                *tenant,
                e.id,
                e.lane,
                e.channel,
                e.conversation,
                e.message,
                e.seq,
                e.kind.as_str(),
                e.state.word(),
                e.attempts,
                e.next_ms,
                e.rule_version,
                e.event,
                now_ms
            ]
        })
        .collect();
    let head = "insert into effects (tenant_id, id, lane_id, channel_id, conversation_id, message_id, seq, kind, \
                state, attempts, next_ms, rule_version_id, event_id, created_ms)";
    tx.insert_many("add effects", head, rows, "on conflict (tenant_id, id) do nothing").await.map(|_| ())
}

const COLUMNS: &str = "id, lane_id, channel_id, conversation_id, message_id, seq, kind, state, attempts, next_ms, \
    rule_version_id, event_id, attempts_before";

/// What waits in lanes, each lane in order, at most `effects_max` per lane.
///
/// # Errors
/// The database's own.
pub async fn waiting(tx: &mut Tx, claims: &[Claim], effects_max: u32) -> Result<Vec<Effect>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from effects where tenant_id = $2 and lane_id = $3 and state in ('queued', 'sending') \
         order by seq limit $1"
    );
    let rows: Vec<_> = claims.iter().map(|claim| args![claim.tenant, claim.lane]).collect();
    tx.all_of_each("read effects", &sql, args![effects_max], &rows).await?.iter().map(read).collect()
}

/// One effect.
///
/// # Errors
/// The database's own.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: EffectId) -> Result<Option<Effect>, StoreError> {
    let sql = format!("select {COLUMNS} from effects where tenant_id = $1 and id = $2");
    tx.first("read an effect", &sql, args![tenant, id]).await?.map(|row| read(&row)).transpose()
}

fn read(row: &Row) -> Result<Effect, StoreError> {
    let c = &mut row.columns("effects");
    Ok(Effect {
        id: c.id("id")?,
        lane: c.id("lane_id")?,
        channel: c.id("channel_id")?,
        conversation: c.id("conversation_id")?,
        message: c.opt_id("message_id")?,
        seq: c.int("seq")?,
        kind: c.text("kind")?,
        state: c.word("state", EffectState::from_word)?,
        attempts: c.int("attempts")?,
        next_ms: c.int("next_ms")?,
        rule_version: c.opt_id("rule_version_id")?,
        event: c.opt_id("event_id")?,
        attempts_before: c.int("attempts_before")?,
    })
}

/// Marks the moment before the vendor is called.
///
/// # Errors
/// The database's own.
pub async fn begin(tx: &mut Tx, calls: &[(TenantId, EffectId, MessageId)]) -> Result<(), StoreError> {
    let sql = "update effects set state = 'sending', attempts = effects.attempts + 1 from :rows as v \
               where effects.tenant_id = v.column1 and effects.id = v.column2";
    let rows: Vec<_> = calls.iter().map(|(tenant, id, _)| args![*tenant, *id]).collect();
    tx.change_rows("begin effects", sql, Vec::new(), &rows).await
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// Where the effect is now.
    pub state: EffectState,
    /// Not before this moment, when it is queued again.
    pub next_ms: i64,
    /// JSON of the failure.
    pub failure: Option<String>,
}

/// Records how calls ended.
///
/// # Errors
/// The database's own.
pub async fn end(
    tx: &mut Tx,
    endings: &[(TenantId, EffectId, Ending)],
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "update effects set state = v.column3, next_ms = v.column4, \
               failure = coalesce(v.column5, effects.failure), done_ms = v.column6 from :rows as v \
               where effects.tenant_id = v.column1 and effects.id = v.column2";
    let row = |(tenant, id, ending): &(TenantId, EffectId, Ending)| {
        let done_ms = (ending.state != EffectState::Queued).then_some(now_ms);
        args![*tenant, *id, ending.state.word(), ending.next_ms, ending.failure.clone(), done_ms]
    };
    let rows: Vec<_> = endings.iter().map(row).collect();
    tx.change_rows("end effects", sql, Vec::new(), &rows).await
}

/// One call's story.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Whose.
    pub tenant: TenantId,
    /// Which effect.
    pub effect: EffectId,
    /// 1 for the first call.
    pub number: i64,
    /// Unix milliseconds.
    pub started_ms: i64,
    /// Unix milliseconds.
    pub ended_ms: i64,
    /// `sent`, `retry`, `unknown` or `failed`.
    pub outcome: &'static str,
    /// JSON.
    pub failure: Option<String>,
}

/// Keeps calls' stories; only effects with a call that failed have any, and those that were erased meanwhile have none.
///
/// # Errors
/// The database's own.
pub async fn record_attempts(tx: &mut Tx, attempts: &[Attempt]) -> Result<(), StoreError> {
    let row = |it: &Attempt| {
        let (failure, outcome) = (it.failure.clone(), it.outcome);
        args![it.tenant, it.effect, it.number, it.started_ms, it.ended_ms, outcome, failure]
    };
    let sql = "insert into attempts (tenant_id, effect_id, number, started_ms, ended_ms, outcome, failure) \
               select v.column1, v.column2, v.column3, v.column4, v.column5, v.column6, v.column7 from :rows as v \
               where exists (select 1 from effects e where e.tenant_id = v.column1 and e.id = v.column2) \
               on conflict (tenant_id, effect_id, number) do nothing";
    let rows: Vec<_> = attempts.iter().map(row).collect();
    tx.change_rows("record attempts", sql, Vec::new(), &rows).await
}

/// Puts an effect back into its lane, because a person wants its failed or unclear message sent again. The vendor may
/// have taken it before and failed later: then it was done. Its calls so far stay on record.
///
/// # Errors
/// The database's own.
pub async fn requeue(tx: &mut Tx, tenant: TenantId, id: EffectId, now_ms: i64) -> Result<(), StoreError> {
    let sql = "update effects set state = 'queued', attempts_before = attempts, next_ms = $3, done_ms = null \
               where tenant_id = $1 and id = $2 and state in ('done', 'failed', 'unknown', 'cancelled')";
    tx.execute("queue an effect again", sql, args![tenant, id, now_ms]).await.map(|_| ())
}

/// Takes an effect back whose message was deleted; nobody waits for it any more.
///
/// # Errors
/// The database's own.
pub async fn cancel(tx: &mut Tx, tenant: TenantId, id: EffectId) -> Result<(), StoreError> {
    let sql = "update effects set state = 'cancelled' where tenant_id = $1 and id = $2 \
               and state in ('done', 'failed', 'unknown')";
    tx.execute("cancel an effect", sql, args![tenant, id]).await.map(|_| ())
}

/// Contents of the lane's messages whose vendor is being called at this moment, JSON.
///
/// # Errors
/// The database's own.
pub async fn leaving(tx: &mut Tx, tenant: TenantId, lane: LaneId) -> Result<Vec<String>, StoreError> {
    let sql = "select m.content from effects e join messages m on m.tenant_id = e.tenant_id and m.id = e.message_id \
               where e.tenant_id = $1 and e.lane_id = $2 and e.state in ('queued', 'sending') and e.state = 'sending'";
    let rows = tx.all("read what is leaving", sql, args![tenant, lane]).await?;
    rows.iter().map(|row| row.columns("messages").text("content")).collect()
}

/// The lane by which the message with this vendor id left.
///
/// # Errors
/// The database's own.
pub async fn lane_of_vendor_id(
    tx: &mut Tx,
    tenant: TenantId,
    channel: ChannelId,
    vendor_id: &str,
) -> Result<Option<LaneId>, StoreError> {
    let sql = "select c.lane_id from messages m join conversations c on c.tenant_id = m.tenant_id \
               and c.id = m.conversation_id where m.tenant_id = $1 and m.channel_id = $2 and m.vendor_id = $3";
    match tx.first("find a lane", sql, args![tenant, channel, vendor_id]).await? {
        Some(row) => row.columns("conversations").id("lane_id").map(Some),
        None => Ok(None),
    }
}
