//! The log as people and streams read it: filtered lists, a conversation's
//! timeline, and what came after a point. Reading only.

use std::fmt;
use std::str::FromStr;

use pointsman_rules::decide::RuleRun;
use pointsman_rules::ids::{ChannelId, ConversationId, EventId, TenantId};
use serde_json::Value;

use super::filter::{Filter, Sight};
use super::text::places;
use super::trace::{self, Packed};
use super::{Arg, Row, StoreError, Tx};
use crate::args;

/// An entry of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct EventView {
    /// Its place in the log.
    pub id: EventId,
    /// Its conversation; none for channel events.
    pub conversation: Option<ConversationId>,
    /// Where it happened.
    pub channel: Option<ChannelId>,
    /// Its place in the conversation.
    pub seq: i64,
    /// Its stable name, e.g. `message.received`.
    pub kind: String,
    /// What happened, as JSON with a `type`.
    pub body: Value,
    /// Who did it and what led to it, as JSON.
    pub cause: Value,
    /// When it was recorded, unix milliseconds.
    pub at_ms: i64,
    /// Is the contact hidden from agents there?
    pub is_masked: bool,
}

/// What a list is narrowed to; `None` does not narrow.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventFilter {
    /// One conversation.
    pub conversation: Option<ConversationId>,
    /// One name, or every name below it: `message.` is all of `message.…`.
    pub kind: Option<String>,
    /// The newest first, instead of the oldest.
    pub is_newest_first: bool,
}

const HEAD: &str = "select e.id, e.conversation_id, e.channel_id, e.seq, e.type, e.body, e.cause, e.at_ms, \
    coalesce(h.masked, false) from events e \
    left join conversations c on c.tenant_id = e.tenant_id and c.id = e.conversation_id \
    left join channels h on h.tenant_id = e.tenant_id and h.id = e.channel_id";

/// Events behind a point of the log, in the order that is wanted. Agents see those of conversations they may see.
///
/// # Errors
/// The database's own.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    sight: Sight,
    wanted: &EventFilter,
    after: Option<EventId>,
    rows_max: u32,
) -> Result<Vec<EventView>, StoreError> {
    let mut filter = Filter::new("e", tenant);
    if sight != Sight::All {
        filter.and("c.id is not null", vec![]); // channel events are for admins
        filter.seen_by(sight);
    }
    filter.and_if("e.conversation_id = ?", wanted.conversation);
    match wanted.kind.as_deref() {
        None => {}
        // Event names are lower-case words with points; nothing in them means something to `like`.
        Some(kind) if kind.ends_with('.') => filter.and("e.type like ?", args![format!("{kind}%")]),
        Some(kind) => filter.and("e.type = ?", args![kind]),
    }
    let (behind, order) = match wanted.is_newest_first {
        true => ("e.id < ?", "order by e.id desc"),
        false => ("e.id > ?", "order by e.id"),
    };
    filter.and_if(behind, after);
    let (sql, args) = filter.finish(HEAD, order, rows_max);
    tx.all("list events", &sql, args).await?.iter().map(read).collect()
}

/// Message events of these conversations after a point of the log, oldest first.
///
/// # Errors
/// The database's own.
pub async fn about_messages(
    tx: &mut Tx,
    tenant: TenantId,
    conversations: &[ConversationId],
    after: EventId,
    rows_max: u32,
) -> Result<Vec<EventView>, StoreError> {
    if conversations.is_empty() {
        return Ok(Vec::new());
    }
    let mut filter = Filter::new("e", tenant);
    filter.and("e.id > ? and e.type like 'message.%'", args![after]);
    let condition = format!("e.conversation_id in ({})", vec!["?"; conversations.len()].join(", "));
    filter.and(&condition, conversations.iter().map(|id| Arg::from(*id)).collect());
    let (sql, args) = filter.finish(HEAD, "order by e.id", rows_max);
    tx.all("list message events", &sql, args).await?.iter().map(read).collect()
}

/// What the rules made of one event.
#[derive(Debug, Clone, PartialEq)]
pub struct RunView {
    /// The event.
    pub event: EventId,
    /// What each rule did.
    pub runs: Vec<RuleRun>,
    /// When, unix milliseconds.
    pub at_ms: i64,
}

/// An event with what the rules made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineEntry {
    /// The event.
    pub event: EventView,
    /// The rules' runs; none if no rule wanted it.
    pub run: Option<RunView>,
}

/// A place in a timeline: when, where in the conversation, which event. Events of one turn have one time, and those
/// about delivery have the place of their message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64, pub i64, pub EventId);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.0, self.1, self.2)
    }
}

impl FromStr for Moment {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '/');
        let mut next = || parts.next().ok_or(());
        let (at_ms, seq, id) = (next()?, next()?, next()?);
        Ok(Self(at_ms.parse().map_err(|_| ())?, seq.parse().map_err(|_| ())?, id.parse().map_err(|_| ())?))
    }
}

impl EventView {
    /// Its place in the timeline.
    pub fn moment(&self) -> Moment {
        Moment(self.at_ms, self.seq, self.id)
    }
}

/// A conversation's history, oldest first; `after` is the last event already seen.
///
/// # Errors
/// The database's own.
pub async fn timeline(
    tx: &mut Tx,
    tenant: TenantId,
    conversation: ConversationId,
    after: Option<Moment>,
    rows_max: u32,
) -> Result<Vec<TimelineEntry>, StoreError> {
    let mut filter = Filter::new("e", tenant);
    filter.and("e.conversation_id = ?", args![conversation]);
    if let Some(Moment(at_ms, seq, id)) = after {
        filter.and("(e.at_ms, e.seq, e.id) > (?, ?, ?)", args![at_ms, seq, id]);
    }
    let (sql, args) = filter.finish(HEAD, "order by e.at_ms, e.seq, e.id", rows_max);
    let events: Vec<_> =
        tx.all("read a timeline", &sql, args).await?.iter().map(read).collect::<Result<_, _>>()?;
    let ids: Vec<_> = events.iter().map(|event: &EventView| event.id).collect();
    let mut runs = runs(tx, tenant, &ids).await?;
    Ok(events
        .into_iter()
        .map(|event| {
            let run = runs.iter().position(|run| run.event == event.id).map(|at| runs.swap_remove(at));
            TimelineEntry { event, run }
        })
        .collect())
}

/// What the rules made of these events, in no order.
async fn runs(tx: &mut Tx, tenant: TenantId, events: &[EventId]) -> Result<Vec<RunView>, StoreError> {
    let (mut found, mut packed) = (Vec::new(), Vec::new());
    for events in events.chunks(LOAD_MAX) {
        let sql = format!(
            "select event_id, at_ms, trace from runs where tenant_id = $1 and event_id in ({})",
            places(2, events.len())
        );
        let mut args = args![tenant];
        args.extend(events.iter().map(|id| Arg::from(*id)));
        for row in tx.all("read runs", &sql, args).await? {
            let c = &mut row.columns("runs");
            found.push((c.id("event_id")?, c.int("at_ms")?));
            packed.push(Packed::of(c)?);
        }
    }
    let runs = trace::unpack(tx, tenant, packed).await?;
    let views = found.into_iter().zip(runs);
    Ok(views.map(|((event, at_ms), runs)| RunView { event, runs, at_ms }).collect())
}

const LOAD_MAX: usize = 64;

/// What rules are called now, by id; removed rules are missing.
///
/// # Errors
/// The database's own.
pub async fn rule_names(tx: &mut Tx, tenant: TenantId) -> Result<Vec<(String, String)>, StoreError> {
    let rows =
        tx.all("list rule names", "select id, name from rules where tenant_id = $1", args![tenant]).await?;
    rows.iter()
        .map(|row| {
            let c = &mut row.columns("rules");
            Ok((c.text("id")?, c.text("name")?))
        })
        .collect()
}

fn read(row: &Row) -> Result<EventView, StoreError> {
    let c = &mut row.columns("events");
    Ok(EventView {
        id: c.id("id")?,
        conversation: c.opt_id("conversation_id")?,
        channel: c.opt_id("channel_id")?,
        seq: c.int("seq")?,
        kind: c.text("type")?,
        body: c.json("body")?,
        cause: c.json("cause")?,
        at_ms: c.int("at_ms")?,
        is_masked: c.bool("channels.masked")?,
    })
}

#[cfg(test)]
#[path = "event_views_tests.rs"]
mod tests;
