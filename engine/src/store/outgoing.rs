//! What has to be known about a message at the moment it leaves, in one query.

use std::collections::HashMap;

use pointsman_rules::facts::{AiState, SenderKind};
use pointsman_rules::ids::{ConversationId, MessageId, TenantId};

use super::{StoreError, Tx};
use crate::args;

/// A message about to leave, with what the gate looks at.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its conversation.
    pub conversation: ConversationId,
    /// JSON.
    pub content: String,
    /// Who wrote it.
    pub sender: SenderKind,
    /// The vendor's id of the message that is answered.
    pub reply_to: Option<String>,
    /// When the window closes.
    pub window_closes_ms: Option<i64>,
    /// Messages from the contact so far.
    pub inbound_count: i64,
    /// May assistants speak?
    pub ai: AiState,
    /// Do we refuse to talk to them?
    pub blocked: bool,
    /// Did they opt out?
    pub opted_out: bool,
    /// Where it goes.
    pub address: String,
    /// E.164.
    pub phone: Option<String>,
    /// The vendor's stable id.
    pub scoped_id: Option<String>,
    /// A handle.
    pub username: Option<String>,
}

const SQL: &str = "select m.id, m.conversation_id, m.content, m.sender_kind, r.vendor_id, c.window_closes_ms, \
    c.inbound_count, c.ai, p.blocked_ms, o.since_ms, i.address, i.phone, i.scoped_id, i.username from :rows as v \
    join messages m on m.tenant_id = v.column1 and m.id = v.column2 \
    join conversations c on c.tenant_id = m.tenant_id and c.id = m.conversation_id \
    join identities i on i.tenant_id = c.tenant_id and i.id = c.identity_id \
    join contacts p on p.tenant_id = i.tenant_id and p.id = i.contact_id \
    left join opt_outs o on o.tenant_id = i.tenant_id and o.contact_id = i.contact_id \
    and o.channel_kind = i.channel_kind \
    left join messages r on r.tenant_id = m.tenant_id and r.id = m.reply_to";

/// Reads messages about to leave; on PostgreSQL their conversations stay as they are until the transaction ends.
///
/// # Errors
/// The database's own.
pub async fn load(
    tx: &mut Tx,
    messages: &[(TenantId, MessageId)],
) -> Result<HashMap<MessageId, Outgoing>, StoreError> {
    let locked;
    let sql = if tx.is_postgres() {
        locked = format!("{SQL} order by c.id for share of c");
        &locked
    } else {
        SQL
    };
    let rows: Vec<_> = messages.iter().map(|(tenant, id)| args![*tenant, *id]).collect();
    let mut out = HashMap::with_capacity(messages.len());
    for row in tx.join_rows("read outgoing messages", sql, Vec::new(), &rows).await? {
        let c = &mut row.columns("messages");
        out.insert(
            c.id("id")?,
            Outgoing {
                conversation: c.id("conversation_id")?,
                content: c.text("content")?,
                sender: c.word("sender_kind", SenderKind::from_word)?,
                reply_to: c.opt_text("reply_to.vendor_id")?,
                window_closes_ms: c.opt_int("conversations.window_closes_ms")?,
                inbound_count: c.int("conversations.inbound_count")?,
                ai: c.json("conversations.ai")?,
                blocked: c.opt_int("contacts.blocked_ms")?.is_some(),
                opted_out: c.opt_int("opt_outs.since_ms")?.is_some(),
                address: c.text("identities.address")?,
                phone: c.opt_text("identities.phone")?,
                scoped_id: c.opt_text("identities.scoped_id")?,
                username: c.opt_text("identities.username")?,
            },
        );
    }
    Ok(out)
}

/// Keeps what a message turned into at send (text or template).
///
/// # Errors
/// The database's own.
pub async fn set_content(
    tx: &mut Tx,
    tenant: TenantId,
    message: MessageId,
    content: &str,
) -> Result<(), StoreError> {
    let sql = "update messages set content = $3 where tenant_id = $1 and id = $2";
    tx.execute("settle a message's content", sql, args![tenant, message, content]).await.map(|_| ())
}
