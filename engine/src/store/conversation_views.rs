//! Conversations as people read them: lists and one of them. Reading only; a
//! conversation's state belongs to its turn.

use std::sync::LazyLock;

use pointsman_rules::facts::Status;
use pointsman_rules::ids::{ChannelId, ContactId, ConversationId, GroupId, TenantId, UserId};

use super::conversations::{self, Conversation};
use super::filter::{Filter, Sight, like_part, of_table};
use super::{Row, StoreError, Tx, groups};
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
    /// Are phone numbers of this channel's contacts hidden from these eyes?
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
    /// One sentiment.
    pub sentiment: Option<String>,
}

/// Where the next page begins: after this activity and id.
pub type ConversationCursor = (i64, ConversationId);

static HEAD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {}, p.name, p.phone, i.address, coalesce(h.masked, false) from conversations c \
        left join channels h on h.tenant_id = c.tenant_id and h.id = c.channel_id \
        left join contacts p on p.tenant_id = c.tenant_id and p.id = c.contact_id \
        left join identities i on i.tenant_id = c.tenant_id and i.id = c.identity_id",
        of_table("c", conversations::COLUMNS)
    )
});

/// The same, read by the rows of one label.
static LABEL_HEAD: LazyLock<String> = LazyLock::new(|| {
    let labelled = "from conversation_labels l join conversations c on c.tenant_id = l.tenant_id and \
                    c.id = l.conversation_id";
    HEAD.replacen("from conversations c", labelled, 1)
});

/// Conversations, the latest activity first. However many there are, few rows more than the page are read: a list is
/// put together from branches that each run down one index.
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
    let mut found = Vec::new();
    for branch in branches(tx, tenant, sight, wanted).await? {
        let (sql, args) = statement(tenant, sight, wanted, &branch, after, rows_max);
        for row in tx.all("list conversations", &sql, args).await? {
            found.push(read(&row)?);
        }
    }
    found.sort_by_key(|it| std::cmp::Reverse(it.place()));
    found.dedup_by_key(|it| it.conversation.facts.id);
    found.truncate(usize::try_from(rows_max).unwrap_or(usize::MAX));
    Ok(found)
}

/// The rows of one index that a list is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Branch {
    State(bool, Status),
    Group(Option<GroupId>),
    Assignee(UserId),
    Contact(ContactId),
    Channel(ChannelId),
    Label(String),
}

/// What goes on is little, what is over is much: open work is found by its state, the rest by whose it is.
async fn branches(
    tx: &mut Tx,
    tenant: TenantId,
    sight: Sight,
    wanted: &ConversationFilter,
) -> Result<Vec<Branch>, StoreError> {
    let is_open_work =
        wanted.live == Some(true) || wanted.status.is_some_and(|status| status != Status::Closed);
    Ok(match (wanted.contact, wanted.assignee, wanted.group, sight) {
        (Some(contact), ..) => vec![Branch::Contact(contact)],
        (_, Some(AssigneeFilter::User(user)), ..) => vec![Branch::Assignee(user)],
        _ if is_open_work => states(wanted),
        _ if let Some(label) = &wanted.label => vec![Branch::Label(label.clone())],
        (_, _, Some(group), _) => vec![Branch::Group(Some(group))],
        (.., Sight::Agent(user)) => {
            let own = groups::of_user(tx, tenant, user).await?.into_iter().map(|id| Branch::Group(Some(id)));
            own.chain([Branch::Group(None), Branch::Assignee(user)]).collect()
        }
        (.., Sight::Ungrouped) => vec![Branch::Group(None)],
        (.., Sight::All) if let Some(channel) = wanted.channel => vec![Branch::Channel(channel)],
        (.., Sight::All) => states(wanted),
    })
}

fn states(wanted: &ConversationFilter) -> Vec<Branch> {
    let statuses = Status::WORDS.iter().filter_map(|word| Status::from_word(word));
    let statuses = statuses.filter(|status| wanted.status.is_none_or(|wanted| wanted == *status));
    let both = |status| [true, false].map(|live| Branch::State(live, status));
    statuses
        .flat_map(both)
        .filter(|it| matches!(it, Branch::State(live, _) if wanted.live.is_none_or(|wanted| wanted == *live)))
        .collect()
}

fn statement(
    tenant: TenantId,
    sight: Sight,
    wanted: &ConversationFilter,
    branch: &Branch,
    after: Option<ConversationCursor>,
    rows_max: u32,
) -> (String, Vec<super::Arg>) {
    let mut filter = Filter::new("c", tenant);
    match branch {
        Branch::State(live, status) => {
            filter.and("c.live = ? and c.status = ?", args![*live, status.word()]);
        }
        Branch::Group(Some(group)) => filter.and("c.group_id = ?", args![*group]),
        Branch::Group(None) => filter.and("c.group_id is null", vec![]),
        Branch::Assignee(user) => filter.and("c.assignee_id = ?", args![*user]),
        Branch::Contact(contact) => filter.and("c.contact_id = ?", args![*contact]),
        Branch::Channel(channel) => filter.and("c.channel_id = ?", args![*channel]),
        Branch::Label(label) => filter.and("l.tenant_id = ? and l.label = ?", args![tenant, label]),
    }
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
    filter.and_if("c.sentiment = ?", wanted.sentiment.clone());
    match wanted.archived {
        None => {}
        Some(true) => filter.and("c.archived_ms is not null", vec![]),
        Some(false) => filter.and("c.archived_ms is null", vec![]),
    }
    if let Some(label) = &wanted.label {
        filter.and(
            "c.labels like ? escape '!'",
            args![like_part(&serde_json::Value::from(label.as_str()).to_string())],
        );
    }
    let (place, head) = match branch {
        Branch::Label(_) => ("(l.last_activity_ms, l.conversation_id) < (?, ?)", &*LABEL_HEAD),
        _ => ("(c.last_activity_ms, c.id) < (?, ?)", &*HEAD),
    };
    if let Some((activity_ms, id)) = after {
        filter.and(place, args![activity_ms, id]);
    }
    let order = match branch {
        Branch::Label(_) => "order by l.last_activity_ms desc, l.conversation_id desc",
        // PostgreSQL does not see that `is null` leaves nothing to sort by this column.
        Branch::Group(None) => "order by c.group_id desc, c.last_activity_ms desc, c.id desc",
        _ => "order by c.last_activity_ms desc, c.id desc",
    };
    filter.finish(head, order, rows_max)
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
    let row = tx.first("read a conversation", &sql, args).await?;
    row.as_ref().map(read).transpose()
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

#[cfg(test)]
#[path = "conversation_views_tests.rs"]
mod tests;
