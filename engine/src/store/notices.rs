//! Writing notifications; reading them is the API's.

use pointsman_rules::ids::{ConversationId, NotificationId, TenantId, UserId};

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

/// Tells a user something: (who, kind, about which conversation, text).
///
/// # Errors
/// The database's own.
pub async fn insert(
    tx: &mut Tx,
    tenant: TenantId,
    id: NotificationId,
    of: (UserId, &str, ConversationId, &str),
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "insert into notifications (tenant_id, id, user_id, kind, conversation_id, text, at_ms) \
               values ($1, $2, $3, $4, $5, $6, $7)";
    tx.execute("notify", sql, args![tenant, id, of.0, of.1, of.2, of.3, now_ms]).await.map(|_| ())
}

/// Tells a user something that concerns no conversation: (who, kind, text).
///
/// # Errors
/// The database's own.
pub async fn insert_general(
    tx: &mut Tx,
    tenant: TenantId,
    id: NotificationId,
    (user, kind, text): (UserId, &str, &str),
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "insert into notifications (tenant_id, id, user_id, kind, text, at_ms) \
               values ($1, $2, $3, $4, $5, $6)";
    tx.execute("notify", sql, args![tenant, id, user, kind, text, now_ms]).await.map(|_| ())
}
