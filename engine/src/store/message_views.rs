//! Messages as people read them: a conversation's thread, one message with its
//! attempts, and what a webchat visitor may see. Reading only.

use std::sync::LazyLock;

use pointsman_rules::facts::SenderKind;
use pointsman_rules::ids::{ChannelId, ConversationId, EffectId, MessageId, TenantId};
use serde_json::Value;

use super::filter::{Filter, Sight, of_table};
use super::messages::{self, Message};
use super::text::places;
use super::{Arg, Row, StoreError, Tx};
use crate::args;

/// A message as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageView {
    /// As it is kept.
    pub message: Message,
    /// What that holds, as JSON with a `kind`.
    pub content: Value,
    /// Why it failed, as JSON.
    pub failure: Option<Value>,
    /// What the sending user or rule is called now.
    pub sender_name: Option<String>,
    /// When its delivery status changed last, unix milliseconds.
    pub status_ms: Option<i64>,
    /// The message it answers, when that is of the same conversation.
    pub quote: Option<Quote>,
}

/// A message that another one answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Quote {
    /// What kind of sender.
    pub sender: SenderKind,
    /// What it holds.
    pub content: Value,
}

/// One call to the vendor.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// 1 is the first.
    pub number: i64,
    /// When it began, unix milliseconds.
    pub started_ms: i64,
    /// When it ended; `None`: it is going on, or the process died.
    pub ended_ms: Option<i64>,
    /// How it ended, one word.
    pub outcome: Option<String>,
    /// What went wrong, as JSON.
    pub failure: Option<Value>,
}

static HEAD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {}, coalesce(u.name, r.name), m.status_ms, q.sender_kind, q.content from messages m \
        join conversations c on c.tenant_id = m.tenant_id and c.id = m.conversation_id \
        left join users u on u.tenant_id = m.tenant_id and u.id = m.sender_id \
        left join rules r on r.tenant_id = m.tenant_id and r.id = m.sender_id \
        left join messages q on q.tenant_id = m.tenant_id and q.id = m.reply_to and \
        q.conversation_id = m.conversation_id",
        of_table("m", messages::COLUMNS)
    )
});

/// Which end of a thread a page begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The beginning.
    OldestFirst,
    /// The end.
    NewestFirst,
}

/// A conversation's messages by their place in it; `after` is the place of the last one already seen.
///
/// # Errors
/// The database's own.
pub async fn of_conversation(
    tx: &mut Tx,
    tenant: TenantId,
    conversation: ConversationId,
    order: Order,
    after: Option<i64>,
    rows_max: u32,
) -> Result<Vec<MessageView>, StoreError> {
    let mut filter = Filter::new("m", tenant);
    filter.and("m.conversation_id = ?", args![conversation]);
    let (beyond, tail) = match order {
        Order::OldestFirst => ("m.seq > ?", "order by m.seq"),
        Order::NewestFirst => ("m.seq < ?", "order by m.seq desc"),
    };
    filter.and_if(beyond, after);
    let (sql, args) = filter.finish(&HEAD, tail, rows_max);
    tx.all("list messages", &sql, args).await?.iter().map(read).collect()
}

/// One message, if these eyes may see its conversation.
///
/// # Errors
/// The database's own.
pub async fn get(
    tx: &mut Tx,
    tenant: TenantId,
    sight: Sight,
    id: MessageId,
) -> Result<Option<MessageView>, StoreError> {
    let mut filter = Filter::new("m", tenant);
    filter.seen_by(sight);
    filter.and("m.id = ?", args![id]);
    let (sql, args) = filter.finish(&HEAD, "", 1);
    tx.first("read a message", &sql, args).await?.as_ref().map(read).transpose()
}

/// The calls to the vendor that one effect made, the first one first.
///
/// # Errors
/// The database's own.
pub async fn attempts(tx: &mut Tx, tenant: TenantId, effect: EffectId) -> Result<Vec<Attempt>, StoreError> {
    let sql = "select number, started_ms, ended_ms, outcome, failure from attempts \
               where tenant_id = $1 and effect_id = $2 order by number";
    let rows = tx.all("list attempts", sql, args![tenant, effect]).await?;
    rows.iter()
        .map(|row| {
            let c = &mut row.columns("attempts");
            Ok(Attempt {
                number: c.int("number")?,
                started_ms: c.int("started_ms")?,
                ended_ms: c.opt_int("ended_ms")?,
                outcome: c.opt_text("outcome")?,
                failure: c.opt_json("failure")?,
            })
        })
        .collect()
}

/// One visitor of one webchat channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// Whose channel.
    pub tenant: TenantId,
    /// Which channel.
    pub channel: ChannelId,
    /// The identity's value: the visitor's own id.
    pub value: String,
}

/// A visitor sees what was written, not notes, and of ours only what was delivered.
const FOR_VISITORS: &str = "m.direction <> 'internal' and (m.direction = 'inbound' or \
    m.status in ('sent', 'delivered', 'read')) and c.channel_id = ? and exists (select 1 from identities i \
    where i.tenant_id = c.tenant_id and i.id = c.identity_id and i.value = ?)";

/// Which part of a visitor's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The end.
    Latest,
    /// What was written before this message.
    Before(MessageId),
    /// What was written after this message.
    After(MessageId),
}

/// What a visitor and we wrote, over all their conversations; oldest first whichever page it is.
///
/// # Errors
/// The database's own.
pub async fn of_visitor(
    tx: &mut Tx,
    visitor: &Visitor,
    page: Page,
    rows_max: u32,
) -> Result<Vec<MessageView>, StoreError> {
    let mut filter = Filter::new("m", visitor.tenant);
    filter.and(FOR_VISITORS, args![visitor.channel, visitor.value.as_str()]);
    let (beyond, mark, tail) = match page {
        Page::Latest => (None, None, DESCENDING),
        Page::Before(id) => (Some("<"), Some(id), DESCENDING),
        Page::After(id) => (Some(">"), Some(id), "order by m.created_ms, m.seq, m.id"),
    };
    if let (Some(beyond), Some(id)) = (beyond, mark) {
        let condition = format!(
            "(m.created_ms, m.seq, m.id) {beyond} (select o.created_ms, o.seq, o.id from messages o \
             where o.tenant_id = m.tenant_id and o.id = ?)"
        );
        filter.and(&condition, args![id]);
    }
    let (sql, args) = filter.finish(&HEAD, tail, rows_max);
    let mut found: Vec<_> =
        tx.all("list a visitor's messages", &sql, args).await?.iter().map(read).collect::<Result<_, _>>()?;
    found.sort_by_key(|it: &MessageView| (it.message.created_ms, it.message.seq, it.message.id));
    Ok(found)
}

/// Ids are no order here: those of one turn are of one moment.
const DESCENDING: &str = "order by m.created_ms desc, m.seq desc, m.id desc";

/// Those of these messages that a visitor may see, in no order.
///
/// # Errors
/// The database's own.
pub async fn visible_to(
    tx: &mut Tx,
    visitor: &Visitor,
    ids: &[MessageId],
) -> Result<Vec<MessageView>, StoreError> {
    let mut out = Vec::with_capacity(ids.len());
    for ids in ids.chunks(LOAD_MAX) {
        let mut args = args![visitor.tenant, visitor.channel, visitor.value.as_str()];
        args.extend(ids.iter().map(|id| Arg::from(*id)));
        let condition = FOR_VISITORS.replacen('?', "$2", 1).replacen('?', "$3", 1);
        let sql = format!(
            "{} where m.tenant_id = $1 and {condition} and m.id in ({})",
            *HEAD,
            places(4, ids.len())
        );
        for row in tx.all("read a visitor's messages", &sql, args).await? {
            out.push(read(&row)?);
        }
    }
    Ok(out)
}

const LOAD_MAX: usize = 64;

/// The visitor's conversations on the channel.
///
/// # Errors
/// The database's own.
pub async fn conversations_of(tx: &mut Tx, visitor: &Visitor) -> Result<Vec<ConversationId>, StoreError> {
    let sql = "select c.id from conversations c join identities i on i.tenant_id = c.tenant_id and \
               i.id = c.identity_id where c.tenant_id = $1 and c.channel_id = $2 and i.value = $3";
    let args = args![visitor.tenant, visitor.channel, visitor.value.as_str()];
    let rows = tx.all("list a visitor's conversations", sql, args).await?;
    rows.iter().map(|row| row.columns("conversations").id("id")).collect()
}

fn read(row: &Row) -> Result<MessageView, StoreError> {
    let c = &mut row.columns("messages");
    let message = messages::read_from(c)?;
    Ok(MessageView {
        content: json("content", &message.content)?,
        failure: message.failure.as_deref().map(|failure| json("failure", failure)).transpose()?,
        sender_name: c.opt_text("users.name")?,
        status_ms: c.opt_int("status_ms")?,
        quote: match (c.opt_text("reply_to.sender_kind")?, c.opt_text("reply_to.content")?) {
            (Some(sender), Some(content)) => Some(quote(&sender, &content)?),
            _ => None,
        },
        message,
    })
}

fn quote(sender: &str, content: &str) -> Result<Quote, StoreError> {
    let reason = format!("unknown sender `{sender}`");
    let bad = StoreError::BadRow { table: "messages", column: "sender_kind", reason };
    Ok(Quote { sender: SenderKind::from_word(sender).ok_or(bad)?, content: json("content", content)? })
}

fn json(column: &'static str, text: &str) -> Result<Value, StoreError> {
    let bad = |error: serde_json::Error| StoreError::BadRow {
        table: "messages",
        column,
        reason: error.to_string(),
    };
    serde_json::from_str(text).map_err(bad)
}

#[cfg(test)]
#[path = "message_views_tests.rs"]
mod tests;
