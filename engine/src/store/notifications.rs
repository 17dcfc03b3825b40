//! What users are told, for reading and ticking off; raising them is the turn's
//! business (`notices`).

use pointsman_rules::ids::{ConversationId, EventId, NotificationId, TenantId, UserId};

use super::{Row, StoreError, Tx};
use crate::args;

/// Something a user is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its id.
    pub id: NotificationId,
    /// Who is told.
    pub user: UserId,
    /// `escalation`, `message`, `assignment`, `channel`, `rule`, …
    pub kind: String,
    /// What it is about.
    pub conversation: Option<ConversationId>,
    /// For people.
    pub text: String,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// Unix milliseconds.
    pub read_ms: Option<i64>,
    /// The event that everybody who was told has in common.
    pub event: Option<EventId>,
    /// Who took it, and when (unix milliseconds).
    pub taken: Option<(UserId, i64)>,
}

const COLUMNS: &str =
    "id, user_id, kind, conversation_id, text, at_ms, read_ms, event_id, taken_by, taken_ms";

/// What to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Only of this user; `None`: of everybody.
    pub user: Option<UserId>,
    /// Only what was not read.
    pub unread: bool,
    /// Only older than this one.
    pub before: Option<NotificationId>,
}

fn notification(row: &Row) -> Result<Notification, StoreError> {
    let mut c = row.columns("notifications");
    Ok(Notification {
        id: c.id("id")?,
        user: c.id("user_id")?,
        kind: c.text("kind")?,
        conversation: c.opt_id("conversation_id")?,
        text: c.text("text")?,
        at_ms: c.int("at_ms")?,
        read_ms: c.opt_int("read_ms")?,
        event: c.opt_id("event_id")?,
        taken: c.opt_id("taken_by")?.zip(c.opt_int("taken_ms")?),
    })
}

fn whose(user: Option<UserId>) -> String {
    user.map_or_else(String::new, |id| id.to_string())
}

/// Notifications, newest first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    filter: Filter,
    limit: i64,
) -> Result<Vec<Notification>, StoreError> {
    // `o` sorts after every id's prefix.
    let before = filter.before.map_or_else(|| "o".to_owned(), |id| id.to_string());
    let mut values = args![tenant, before, limit];
    // Said only when wanted, so that each list has an index of its own.
    let whose = filter.user.map_or("", |_| "and user_id = $4");
    values.extend(filter.user.map(|user| args![user]).into_iter().flatten());
    let unread = if filter.unread { "and read_ms is null" } else { "" };
    let sql = format!(
        "select {COLUMNS} from notifications where tenant_id = $1 and id < $2 {whose} {unread} \
        order by id desc limit $3"
    );
    tx.all("list notifications", &sql, values).await?.iter().map(notification).collect()
}

/// One of a user's.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(
    tx: &mut Tx,
    tenant: TenantId,
    user: UserId,
    id: NotificationId,
) -> Result<Option<Notification>, StoreError> {
    let sql =
        format!("select {COLUMNS} from notifications where tenant_id = $1 and id = $2 and user_id = $3");
    let row = tx.first("read a notification", &sql, args![tenant, id, user]).await?;
    row.as_ref().map(notification).transpose()
}

/// Somebody takes what an event told people of; whoever was first keeps it.
///
/// # Errors
/// The database's own.
pub async fn take(
    tx: &mut Tx,
    tenant: TenantId,
    event: EventId,
    user: UserId,
    now_ms: i64,
) -> Result<u64, StoreError> {
    let sql = "update notifications set taken_by = $3, taken_ms = $4 \
        where tenant_id = $1 and event_id = $2 and kind = 'escalation' and taken_by is null";
    tx.execute("take an escalation", sql, args![tenant, event, user, now_ms]).await
}

/// How many were not read.
///
/// # Errors
/// The database's own.
pub async fn count_unread(tx: &mut Tx, tenant: TenantId, user: Option<UserId>) -> Result<i64, StoreError> {
    let (whose, values) = match user {
        Some(user) => ("and user_id = $2", args![tenant, user]),
        None => ("", args![tenant]),
    };
    let sql = format!("select count(*) from notifications where tenant_id = $1 {whose} and read_ms is null");
    let row = tx.first("count notifications", &sql, values).await?;
    row.map_or(Ok(0), |row| row.columns("notifications").int("count"))
}

/// Ticks one off; `false`: there is none. Ticking it off again changes nothing.
///
/// # Errors
/// The database's own.
pub async fn mark_read(
    tx: &mut Tx,
    tenant: TenantId,
    user: Option<UserId>,
    id: NotificationId,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let sql = "update notifications set read_ms = coalesce(read_ms, $4) \
        where tenant_id = $1 and id = $2 and ($3 = '' or user_id = $3)";
    Ok(tx.execute("mark a notification", sql, args![tenant, id, whose(user), now_ms]).await? == 1)
}

/// Ticks all off; answers how many.
///
/// # Errors
/// The database's own.
pub async fn mark_all_read(
    tx: &mut Tx,
    tenant: TenantId,
    user: Option<UserId>,
    now_ms: i64,
) -> Result<u64, StoreError> {
    let sql = "update notifications set read_ms = $3 \
        where tenant_id = $1 and ($2 = '' or user_id = $2) and read_ms is null";
    tx.execute("mark notifications", sql, args![tenant, whose(user), now_ms]).await
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError, notices};
    use super::*;

    #[test]
    fn everybody_ticks_off_their_own() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, ana, ben) = (TenantId::new(1, 1), UserId::new(1, 1), UserId::new(1, 2));
                    for (n, user) in [(1, ana), (2, ben), (3, ana)] {
                        let id = NotificationId::new(n, 0);
                        notices::insert_general(tx, tenant, id, (user, "channel", "down"), n).await?;
                    }
                    let of = |user, unread| Filter { user, unread, before: None };
                    let at = |found: Vec<Notification>| found.iter().map(|n| n.at_ms).collect::<Vec<_>>();
                    assert_eq!(at(list(tx, tenant, of(Some(ana), false), 9).await?), [3, 1]);
                    assert_eq!(at(list(tx, tenant, of(None, false), 2).await?), [3, 2]);
                    let bens = NotificationId::new(2, 0);
                    assert!(!mark_read(tx, tenant, Some(ana), bens, 9).await?, "not hers");
                    assert!(mark_read(tx, tenant, Some(ben), bens, 9).await?);
                    assert!(mark_read(tx, tenant, Some(ben), bens, 10).await?);
                    assert_eq!(list(tx, tenant, of(Some(ben), false), 9).await?[0].read_ms, Some(9));
                    assert_eq!(at(list(tx, tenant, of(None, true), 9).await?), [3, 1]);
                    assert_eq!(count_unread(tx, tenant, Some(ana)).await?, 2);
                    assert_eq!(mark_all_read(tx, tenant, Some(ana), 11).await?, 2);
                    assert_eq!(count_unread(tx, tenant, None).await?, 0);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
