//! What happened, read back to be looked at again: events with what the rules saw
//! and made of them. Reading only.

use std::collections::HashMap;

use pointsman_rules::decide::RuleRun;
use pointsman_rules::event::Event;
use pointsman_rules::ids::{ChannelId, ConversationId, EventId, TenantId};

use super::messages::{self, Message};
use super::text::places;
use super::trace::{self, Packed};
use super::{Arg, StoreError, Tx};
use crate::args;

/// Conversations that are asked for at once, at most.
pub const CONVERSATIONS_MAX: usize = 64;

/// An event and where it happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// The event.
    pub event: Event,
    /// Its channel.
    pub channel: Option<ChannelId>,
    /// Its place in the conversation.
    pub seq: i64,
}

/// What was kept of the rules' look at an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// What they saw, as JSON.
    pub facts: String,
    /// What each of them did.
    pub runs: Vec<RuleRun>,
}

/// What the rules made of one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// The event.
    pub event: EventId,
    /// Its conversation.
    pub conversation: Option<ConversationId>,
    /// What each rule did.
    pub runs: Vec<RuleRun>,
    /// When, unix milliseconds.
    pub at_ms: i64,
}

/// One event.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn event(tx: &mut Tx, tenant: TenantId, id: EventId) -> Result<Option<Past>, StoreError> {
    let sql = format!("select {EVENT} from events where tenant_id = $1 and id = $2");
    tx.first("read an event", &sql, args![tenant, id]).await?.as_ref().map(past).transpose()
}

/// The rules' look at one event; `None`: no rule wanted it, or it is too long ago.
///
/// # Errors
/// The database's own.
pub async fn seen(tx: &mut Tx, tenant: TenantId, event: EventId) -> Result<Option<Seen>, StoreError> {
    let sql = "select facts, trace from runs where tenant_id = $1 and event_id = $2";
    let Some(row) = tx.first("read a run", sql, args![tenant, event]).await? else { return Ok(None) };
    let c = &mut row.columns("runs");
    let (facts, packed) = (c.text("facts")?, Packed::of(c)?);
    let runs = trace::unpack(tx, tenant, vec![packed]).await?.into_iter().flatten().collect();
    Ok(Some(Seen { facts, runs }))
}

const EVENT: &str = "id, conversation_id, channel_id, seq, body, cause, at_ms";

fn past(row: &super::Row) -> Result<Past, StoreError> {
    let c = &mut row.columns("events");
    let (id, conversation, channel, seq) =
        (c.id("id")?, c.opt_id("conversation_id")?, c.opt_id("channel_id")?, c.int("seq")?);
    let (body, cause, at_ms) = (c.json("body")?, c.json("cause")?, c.int("at_ms")?);
    Ok(Past { event: Event { id, at_ms, conversation, cause, body }, channel, seq })
}

/// The events of these conversations since a moment, in the order in which they happened.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn events(
    tx: &mut Tx,
    tenant: TenantId,
    conversations: &[ConversationId],
    from_ms: i64,
) -> Result<Vec<Past>, StoreError> {
    let sql = format!(
        "select {EVENT} from events where tenant_id = $1 and conversation_id in ({}) and at_ms >= $2 \
         order by conversation_id, at_ms, seq, id",
        places(3, conversations.len())
    );
    let rows = tx.all("read events again", &sql, of(tenant, conversations, from_ms)).await?;
    rows.iter().map(past).collect()
}

/// What the rules saw of events of these conversations since a moment.
///
/// # Errors
/// The database's own.
pub async fn facts(
    tx: &mut Tx,
    tenant: TenantId,
    conversations: &[ConversationId],
    from_ms: i64,
) -> Result<HashMap<EventId, String>, StoreError> {
    let sql = format!(
        "select r.event_id, r.facts from events e join runs r on r.tenant_id = e.tenant_id and r.event_id = e.id \
         where e.tenant_id = $1 and e.conversation_id in ({}) and e.at_ms >= $2 and r.facts <> ''",
        places(3, conversations.len())
    );
    let rows = tx.all("read runs again", &sql, of(tenant, conversations, from_ms)).await?;
    rows.iter()
        .map(|row| {
            let c = &mut row.columns("runs");
            Ok((c.id("event_id")?, c.text("facts")?))
        })
        .collect()
}

/// The messages of these conversations that were stored since a moment.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn messages(
    tx: &mut Tx,
    tenant: TenantId,
    conversations: &[ConversationId],
    from_ms: i64,
) -> Result<Vec<Message>, StoreError> {
    let sql = format!(
        "select {} from messages where tenant_id = $1 and conversation_id in ({}) and created_ms >= $2",
        messages::COLUMNS,
        places(3, conversations.len())
    );
    let rows = tx.all("read messages again", &sql, of(tenant, conversations, from_ms)).await?;
    rows.iter().map(|row| messages::read_from(&mut row.columns("messages"))).collect()
}

fn of(tenant: TenantId, conversations: &[ConversationId], from_ms: i64) -> Vec<Arg> {
    let mut args = args![tenant, from_ms];
    args.extend(conversations.iter().map(|id| Arg::from(*id)));
    args
}

/// Conversations with events in a span of time and how many those are, in the order of their ids. `after`: the last one
/// already seen, or nothing.
///
/// # Errors
/// The database's own.
pub async fn conversations(
    tx: &mut Tx,
    tenant: TenantId,
    after: &str,
    (from_ms, until_ms): (i64, i64),
) -> Result<Vec<(ConversationId, i64)>, StoreError> {
    let sql = "select conversation_id, count(*) from events where tenant_id = $1 and conversation_id > $2 \
               and at_ms >= $3 and at_ms < $4 group by conversation_id order by conversation_id limit $5";
    let args = args![tenant, after, from_ms, until_ms, CONVERSATIONS_MAX as i64];
    let rows = tx.all("list conversations with events", sql, args).await?;
    rows.iter()
        .map(|row| {
            let c = &mut row.columns("events");
            Ok((c.id("conversation_id")?, c.int("count")?))
        })
        .collect()
}

/// Counting stops here: nobody waits for the exact number of more.
pub const COUNT_MAX: u32 = 200_000;

/// How many events of conversations a tenant has between two places of the log, or [`COUNT_MAX`] if there are more.
///
/// # Errors
/// The database's own.
pub async fn count(tx: &mut Tx, tenant: TenantId, from: EventId, until: EventId) -> Result<i64, StoreError> {
    let sql = "select count(*) from (select 1 from events where tenant_id = $1 and id >= $2 and id < $3 \
               and conversation_id is not null limit $4) as some_events";
    let row = tx.first("count events", sql, args![tenant, from, until, COUNT_MAX]).await?;
    row.map_or(Ok(0), |row| row.columns("events").int("count"))
}

/// Events of conversations between two places of the log, without the first, oldest first.
///
/// # Errors
/// The database's own.
pub async fn between(
    tx: &mut Tx,
    tenant: TenantId,
    (after, until): (EventId, EventId),
    rows_max: u32,
) -> Result<Vec<(EventId, ConversationId)>, StoreError> {
    let sql = "select id, conversation_id from events where tenant_id = $1 and id > $2 and id < $3 \
               and conversation_id is not null order by id limit $4";
    let rows = tx.all("list new events", sql, args![tenant, after, until, rows_max]).await?;
    rows.iter()
        .map(|row| {
            let c = &mut row.columns("events");
            Ok((c.id("id")?, c.id("conversation_id")?))
        })
        .collect()
}

/// What the rules made of events, the latest first, before one already seen; whether a rule is among them is for the
/// caller to find out.
///
/// # Errors
/// The database's own.
pub async fn traces(
    tx: &mut Tx,
    tenant: TenantId,
    before: Option<EventId>,
    rows_max: u32,
) -> Result<Vec<Trace>, StoreError> {
    // `f` sorts after every id's prefix.
    let before = before.map_or_else(|| "f".to_owned(), |id| id.to_string());
    let sql = "select r.event_id, coalesce(r.conversation_id, e.conversation_id) as conversation_id, r.at_ms, r.trace \
               from runs r join events e on e.tenant_id = r.tenant_id and e.id = r.event_id \
               where r.tenant_id = $1 and r.event_id < $2 order by r.event_id desc limit $3";
    let rows = tx.all("list runs", sql, args![tenant, before, rows_max]).await?;
    let (mut found, mut packed) = (Vec::new(), Vec::new());
    for row in rows {
        let c = &mut row.columns("runs");
        found.push((c.id("event_id")?, c.opt_id("conversation_id")?, c.int("at_ms")?));
        packed.push(Packed::of(c)?);
    }
    let runs = trace::unpack(tx, tenant, packed).await?;
    let traces = found.into_iter().zip(runs);
    Ok(traces
        .map(|((event, conversation, at_ms), runs)| Trace { event, conversation, runs, at_ms })
        .collect())
}

/// The newest events of a conversation, the newest first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn newest(
    tx: &mut Tx,
    tenant: TenantId,
    conversation: ConversationId,
    rows_max: u32,
) -> Result<Vec<Past>, StoreError> {
    let sql = format!(
        "select {EVENT} from events where tenant_id = $1 and conversation_id = $2 \
         order by at_ms desc, seq desc, id desc limit $3"
    );
    let rows = tx.all("read the newest events", &sql, args![tenant, conversation, rows_max]).await?;
    rows.iter().map(past).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::views_fixture::{self as rows, NOW_MS};
    use super::*;

    #[test]
    fn what_happened_is_read_by_conversation_and_by_place() {
        each_db(|db| async move {
            for n in [1, 2] {
                rows::Thread::new(n).add(&db).await;
            }
            let body = |kind: &str| serde_json::json!({"type": kind});
            rows::add_event(&db, Some(1), 1, 10, body("conversation.created")).await;
            rows::add_event(&db, Some(1), 2, 20, body("conversation.idle")).await;
            rows::add_event(&db, Some(2), 1, 30, body("conversation.created")).await;
            rows::add_event(&db, None, 0, 40, body("conversation.created")).await;
            let tenant = rows::tenant(1);
            let tx = &mut db.read().await.unwrap();
            let (one, two) = (rows::conversation(1), rows::conversation(2));
            let span = (NOW_MS, NOW_MS + 100);
            assert_eq!(conversations(tx, tenant, "", span).await.unwrap(), [(one, 2), (two, 1)]);
            assert_eq!(conversations(tx, tenant, &one.to_string(), span).await.unwrap(), [(two, 1)]);
            let from = |at_ms| EventId::new(NOW_MS + at_ms, 0);
            assert_eq!(count(tx, tenant, from(0), from(100)).await.unwrap(), 3);
            let found = between(tx, tenant, (rows::event(10), from(100)), 9).await.unwrap();
            assert_eq!(found, [(rows::event(20), one), (rows::event(30), two)]);
            let found = events(tx, tenant, &[one, two], NOW_MS + 20).await.unwrap();
            assert_eq!(
                found.iter().map(|it| it.event.id).collect::<Vec<_>>(),
                [rows::event(20), rows::event(30)]
            );
            let newest = newest(tx, tenant, one, 1).await.unwrap();
            assert_eq!((newest.len(), newest[0].event.id), (1, rows::event(20)));
            assert_eq!(event(tx, tenant, rows::event(40)).await.unwrap().unwrap().event.conversation, None);
            assert_eq!(event(tx, rows::tenant(2), rows::event(10)).await.unwrap(), None);
            rows::add_message(&db, 1, (3, 50), ("inbound", "contact", None), None).await;
            assert_eq!(messages(tx, tenant, &[one, two], NOW_MS).await.unwrap().len(), 1);
            let values = args![tenant, rows::event(20), one, "{}", "[]", NOW_MS + 20];
            rows::insert(&db, "runs", "tenant_id, event_id, conversation_id, facts, trace, at_ms", values)
                .await;
            let kept = facts(tx, tenant, &[one], NOW_MS).await.unwrap();
            assert_eq!(kept.get(&rows::event(20)).map(String::as_str), Some("{}"));
            let listed = traces(tx, tenant, None, 9).await.unwrap();
            assert_eq!(listed.iter().map(|it| it.event).collect::<Vec<_>>(), [rows::event(20)]);
            assert!(traces(tx, tenant, Some(rows::event(20)), 9).await.unwrap().is_empty());
            let kept = seen(tx, tenant, rows::event(20)).await.unwrap();
            assert_eq!(kept, Some(Seen { facts: "{}".into(), runs: Vec::new() }));
        });
    }
}
