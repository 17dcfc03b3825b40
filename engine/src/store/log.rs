//! The append-only log: events, and the runs of rules over them.

use pointsman_rules::event::Event;
use pointsman_rules::ids::{ChannelId, ConversationId, EventId, TenantId};

use super::conversations::json;
use super::{StoreError, Tx};
use crate::args;

/// An event on its way into the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// What happened.
    pub event: Event,
    /// Where.
    pub channel: Option<ChannelId>,
    /// Its place in the conversation.
    pub seq: i64,
}

/// Appends events.
///
/// # Errors
/// The database's own.
pub async fn append(tx: &mut Tx, events: &[(TenantId, Logged)]) -> Result<(), StoreError> {
    let rows = events
        .iter()
        .map(|(tenant, it)| {
            let event = &it.event;
            let (body, cause) = (json("body", &event.body)?, json("cause", &event.cause)?);
            let kind = event.body.kind().name();
            Ok(args![
                *tenant,
                event.id,
                event.conversation,
                it.channel,
                it.seq,
                kind,
                body,
                cause,
                event.at_ms
            ])
        })
        .collect::<Result<_, StoreError>>()?;
    let head =
        "insert into events (tenant_id, id, conversation_id, channel_id, seq, type, body, cause, at_ms)";
    tx.insert_many("append events", head, rows, "").await.map(|_| ())
}

/// What the rules made of one event.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    /// The event.
    pub event: EventId,
    /// The conversation that they saw, if it is another than the event's: the one that followed it in the same turn.
    pub conversation: Option<ConversationId>,
    /// JSON of what the rules saw; empty if none of them got to see it.
    pub facts: String,
    /// What each rule did, from [`trace::pack`](super::trace::pack).
    pub trace: String,
    /// When.
    pub at_ms: i64,
}

/// Keeps runs; an event's rules are recorded once.
///
/// # Errors
/// The database's own.
pub async fn record_runs(tx: &mut Tx, runs: &[(TenantId, RunRecord)]) -> Result<(), StoreError> {
    let rows = runs
        .iter()
        .map(|(tenant, it)| {
            args![*tenant, it.event, it.conversation, it.facts.as_str(), it.trace.as_str(), it.at_ms]
        })
        .collect();
    let head = "insert into runs (tenant_id, event_id, conversation_id, facts, trace, at_ms)";
    tx.insert_many("record runs", head, rows, "").await.map(|_| ())
}
