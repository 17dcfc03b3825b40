//! Conversations as people read them: lists, one of them, and its removal.
//! Reading only, but for `remove`; a conversation's state belongs to its turn.

use std::sync::LazyLock;

use pointsman_rules::facts::Status;
use pointsman_rules::ids::{ChannelId, ContactId, ConversationId, GroupId, TenantId, UserId};

use super::conversations::{self, Conversation};
use super::filter::{Filter, Sight, of_table};
use super::{Row, StoreError, Tx};
use crate::args;

/// A conversation with the name of its contact.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationView {
    /// As it is kept.
    pub conversation: Conversation,
    /// What its contact is called, if known.
    pub contact_name: Option<String>,
    /// E.164, when known.
    pub contact_phone: Option<String>,
    /// Where answers go, as the vendor writes it.
    pub contact_address: String,
    /// Is the contact hidden from agents there?
    pub is_masked: bool,
}

impl ConversationView {
    /// Its place in a list.
    pub fn place(&self) -> ConversationCursor {
        (self.conversation.last_activity_ms, self.conversation.facts.id)
    }
}

/// Whom a conversation must be assigned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssigneeFilter {
    /// To this person.
    User(UserId),
    /// To nobody.
    Nobody,
}

/// What a list is narrowed to; `None` does not narrow.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConversationFilter {
    /// Live chats only, or ended ones only.
    pub live: Option<bool>,
    /// One status.
    pub status: Option<Status>,
    /// One team.
    pub group: Option<GroupId>,
    /// One person, or nobody.
    pub assignee: Option<AssigneeFilter>,
    /// One channel.
    pub channel: Option<ChannelId>,
    /// One contact.
    pub contact: Option<ContactId>,
    /// One label.
    pub label: Option<String>,
    /// Put away, or not.
    pub archived: Option<bool>,
}

/// Where the next page begins: after this activity and id.
pub type ConversationCursor = (i64, ConversationId);

static HEAD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {}, p.name, p.phone, i.address, coalesce(h.masked, false) from conversations c \
        left join contacts p on p.tenant_id = c.tenant_id and p.id = c.contact_id \
        left join identities i on i.tenant_id = c.tenant_id and i.id = c.identity_id \
        left join channels h on h.tenant_id = c.tenant_id and h.id = c.channel_id",
        of_table("c", conversations::COLUMNS)
    )
});

/// Conversations, the latest activity first.
///
/// # Errors
/// The database's own.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    sight: Sight,
    wanted: &ConversationFilter,
    after: Option<ConversationCursor>,
    rows_max: u32,
) -> Result<Vec<ConversationView>, StoreError> {
    let mut filter = Filter::new("c", tenant);
    filter.seen_by(sight);
    filter.and_if("c.live = ?", wanted.live);
    filter.and_if("c.status = ?", wanted.status.map(Status::word));
    filter.and_if("c.group_id = ?", wanted.group);
    match wanted.assignee {
        None => {}
        Some(AssigneeFilter::User(user)) => filter.and("c.assignee_id = ?", args![user]),
        Some(AssigneeFilter::Nobody) => filter.and("c.assignee_id is null", vec![]),
    }
    filter.and_if("c.channel_id = ?", wanted.channel);
    filter.and_if("c.contact_id = ?", wanted.contact);
    match wanted.archived {
        None => {}
        Some(true) => filter.and("c.archived_ms is not null", vec![]),
        Some(false) => filter.and("c.archived_ms is null", vec![]),
    }
    if let Some(label) = &wanted.label {
        filter.and("c.labels like ? escape '!'", args![like_json_word(label)]);
    }
    if let Some((activity_ms, id)) = after {
        filter.and("(c.last_activity_ms, c.id) < (?, ?)", args![activity_ms, id]);
    }
    let (sql, args) = filter.finish(&HEAD, "order by c.last_activity_ms desc, c.id desc", rows_max);
    tx.all("list conversations", &sql, args).await?.iter().map(read).collect()
}

/// Matches a JSON array of words that holds this one.
fn like_json_word(word: &str) -> String {
    let json = serde_json::Value::from(word).to_string();
    let mut pattern = String::with_capacity(json.len() + 2);
    pattern.push('%');
    for character in json.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// One conversation, if these eyes may see it.
///
/// # Errors
/// The database's own.
pub async fn get(
    tx: &mut Tx,
    tenant: TenantId,
    sight: Sight,
    id: ConversationId,
) -> Result<Option<ConversationView>, StoreError> {
    let mut filter = Filter::new("c", tenant);
    filter.seen_by(sight);
    filter.and("c.id = ?", args![id]);
    let (sql, args) = filter.finish(&HEAD, "", 1);
    tx.first("read a conversation", &sql, args).await?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<ConversationView, StoreError> {
    let c = &mut row.columns("conversations");
    Ok(ConversationView {
        conversation: conversations::read_from(c)?,
        contact_name: c.opt_text("contacts.name")?,
        contact_phone: c.opt_text("contacts.phone")?,
        contact_address: c.opt_text("identities.address")?.unwrap_or_default(),
        is_masked: c.bool("channels.masked")?,
    })
}

/// Removes a conversation with everything that belongs to it; answers whether there was one. What still waits in
/// its lane's inbox (a webhook that just arrived) stays and begins a new conversation.
///
/// # Errors
/// The database's own.
pub async fn remove(tx: &mut Tx, tenant: TenantId, id: ConversationId) -> Result<bool, StoreError> {
    let sql = "delete from attempts where tenant_id = $1 and effect_id in \
               (select id from effects where tenant_id = $1 and conversation_id = $2)";
    tx.execute("remove attempts", sql, args![tenant, id]).await?;
    for (what, table) in [
        ("remove effects", "effects"),
        ("remove timers", "timers"),
        ("remove runs", "runs"),
        ("remove events", "events"),
        ("remove files", "attachments"),
        ("remove messages", "messages"),
        ("remove notifications", "notifications"),
    ] {
        let sql = format!("delete from {table} where tenant_id = $1 and conversation_id = $2");
        tx.execute(what, &sql, args![tenant, id]).await?;
    }
    let sql = "delete from conversations where tenant_id = $1 and id = $2";
    Ok(tx.execute("remove a conversation", sql, args![tenant, id]).await? > 0)
}

#[cfg(test)]
#[path = "conversation_views_tests.rs"]
mod tests;
