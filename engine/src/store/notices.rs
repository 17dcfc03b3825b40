//! Writing notifications; reading them is the API's.

use pointsman_rules::ids::{ConversationId, EventId, NotificationId, TenantId, UserId};

use super::{StoreError, Tx};
use crate::args;

/// Owners and admins, whom everything that nobody else can mend is told.
///
/// # Errors
/// The database's own.
pub async fn admins(tx: &mut Tx, tenant: TenantId) -> Result<Vec<UserId>, StoreError> {
    let sql =
        "select id from users where tenant_id = $1 and role in ('owner', 'admin') and disabled_ms is null";
    tx.all("find admins", sql, args![tenant]).await?.iter().map(|row| row.columns("users").id("id")).collect()
}

/// What a user is told about a conversation.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    /// Who.
    pub user: UserId,
    /// `escalation`, `message`, `assignment`, `offer`, `rule`, …
    pub kind: &'a str,
    /// What it is about.
    pub conversation: ConversationId,
    /// For people.
    pub text: &'a str,
    /// The event that everybody who is told has in common.
    pub event: Option<EventId>,
}

/// Tells a user something. Of new messages in one conversation they are told once, until they have read that.
///
/// # Errors
/// The database's own.
pub async fn insert(
    tx: &mut Tx,
    tenant: TenantId,
    id: NotificationId,
    of: &Of<'_>,
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "insert into notifications (tenant_id, id, user_id, kind, conversation_id, text, at_ms, event_id) \
               values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing";
    let args = args![tenant, id, of.user, of.kind, of.conversation, of.text, now_ms, of.event];
    tx.execute("notify", sql, args).await.map(|_| ())
}

/// Tells a user something about a channel.
///
/// # Errors
/// The database's own.
pub async fn insert_about_channel(
    tx: &mut Tx,
    tenant: TenantId,
    id: NotificationId,
    user: UserId,
    text: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "insert into notifications (tenant_id, id, user_id, kind, text, at_ms) \
               values ($1, $2, $3, 'channel', $4, $5)";
    tx.execute("notify", sql, args![tenant, id, user, text, now_ms]).await.map(|_| ())
}
