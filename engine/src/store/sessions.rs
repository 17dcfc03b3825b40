//! Console sessions. Only hashes of their tokens are kept.

use pointsman_rules::ids::{SessionId, TenantId, UserId};

use super::users::{self, User};
use super::{StoreError, Tx};
use crate::args;

/// A session to keep.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// SHA-256 of the cookie, hex.
    pub token_hash: String,
    /// SHA-256 of the token that writes must carry, hex.
    pub csrf_hash: String,
    /// Whose.
    pub user: UserId,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub expires_ms: i64,
}

/// A session that holds, and whose it is.
#[derive(Debug, Clone)]
pub struct Active {
    /// The tenant.
    pub tenant: TenantId,
    /// The session.
    pub id: SessionId,
    /// SHA-256 of the token that writes must carry, hex.
    pub csrf_hash: String,
    /// The person.
    pub user: User,
}

/// Begins a session.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, tenant: TenantId, s: &Session) -> Result<(), StoreError> {
    let sql = "insert into sessions (tenant_id, id, token_hash, csrf_hash, user_id, created_ms, expires_ms) \
        values ($1, $2, $3, $4, $5, $6, $7)";
    let values = args![tenant, s.id, &s.token_hash, &s.csrf_hash, s.user, s.created_ms, s.expires_ms];
    tx.execute("begin a session", sql, values).await.map(|_| ())
}

/// The session with this token, if it has not expired and its user may sign in.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn by_token(tx: &mut Tx, token_hash: &str, now_ms: i64) -> Result<Option<Active>, StoreError> {
    let sql = "select s.tenant_id, s.id, s.csrf_hash, u.id, u.email, u.name, u.role, u.password_hash, u.presence, \
        u.created_ms, u.disabled_ms, u.chats_max from sessions s join users u on u.tenant_id = s.tenant_id and u.id = s.user_id \
        where s.token_hash = $1 and s.expires_ms > $2 and u.disabled_ms is null";
    let row = tx.first("read a session", sql, args![token_hash, now_ms]).await?;
    row.map(|row| {
        let mut c = row.columns("sessions");
        Ok(Active {
            tenant: c.id("tenant_id")?,
            id: c.id("id")?,
            csrf_hash: c.text("csrf_hash")?,
            user: users::read(&mut c)?,
        })
    })
    .transpose()
}

/// Ends a session.
///
/// # Errors
/// The database's own.
pub async fn delete(tx: &mut Tx, tenant: TenantId, id: SessionId) -> Result<(), StoreError> {
    let sql = "delete from sessions where tenant_id = $1 and id = $2";
    tx.execute("end a session", sql, args![tenant, id]).await.map(|_| ())
}

/// Ends all sessions of a person but one, as after a new password.
///
/// # Errors
/// The database's own.
pub async fn delete_of_user(
    tx: &mut Tx,
    tenant: TenantId,
    user: UserId,
    but: Option<SessionId>,
) -> Result<(), StoreError> {
    let sql = "delete from sessions where tenant_id = $1 and user_id = $2 and id <> $3";
    let but = but.map_or_else(String::new, |id| id.to_string());
    tx.execute("end sessions", sql, args![tenant, user, but]).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::users::{Presence, Role};
    use super::super::{Durability, StoreError};
    use super::*;

    #[test]
    fn a_session_holds_until_it_expires_or_its_user_is_disabled() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, id) = (TenantId::new(1, 1), UserId::new(1, 1));
                    let user = User {
                        id,
                        email: "a@x.test".into(),
                        name: "Ana".into(),
                        role: Role::Admin,
                        password_hash: None,
                        presence: Presence::Offline,
                        chats_max: None,
                        created_ms: 1,
                        disabled_ms: None,
                    };
                    users::insert(tx, tenant, &user).await?;
                    let session = |n: u128, hash: &str| Session {
                        id: SessionId::new(1, n),
                        token_hash: hash.into(),
                        csrf_hash: "c".into(),
                        user: id,
                        created_ms: 1,
                        expires_ms: 100,
                    };
                    for (n, hash) in [(1, "t1"), (2, "t2"), (3, "t3")] {
                        insert(tx, tenant, &session(n, hash)).await?;
                    }
                    let found = by_token(tx, "t1", 99).await?.unwrap();
                    assert_eq!(
                        (found.tenant, found.user, found.csrf_hash.as_str()),
                        (tenant, user.clone(), "c")
                    );
                    assert!(by_token(tx, "t1", 100).await?.is_none());
                    delete(tx, tenant, found.id).await?;
                    assert!(by_token(tx, "t1", 50).await?.is_none());
                    delete_of_user(tx, tenant, id, Some(SessionId::new(1, 3))).await?;
                    assert!(
                        by_token(tx, "t2", 50).await?.is_none() && by_token(tx, "t3", 50).await?.is_some()
                    );
                    users::update(tx, tenant, &User { disabled_ms: Some(5), ..user }).await?;
                    assert!(by_token(tx, "t3", 50).await?.is_none());
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
