//! One-time links to sign in with. Only the SHA-256 of a token is kept.

use pointsman_rules::ids::{TenantId, UserId};

use super::users::Role;
use super::{StoreError, Tx};
use crate::args;

/// A link that still holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The tenant.
    pub tenant: TenantId,
    /// The role of the user who is made with it.
    pub role: Role,
    /// Who signs in with it; `None`: it makes a user.
    pub user: Option<UserId>,
}

/// Adds a link.
///
/// # Errors
/// The database's own.
pub async fn insert(
    tx: &mut Tx,
    link: &Link,
    token_hash: &str,
    now_ms: i64,
    expires_ms: i64,
) -> Result<(), StoreError> {
    let sql = "insert into signin_links (tenant_id, token_hash, role, user_id, created_ms, expires_ms) \
        values ($1, $2, $3, $4, $5, $6)";
    let values = args![link.tenant, token_hash, link.role.word(), link.user, now_ms, expires_ms];
    tx.execute("add a sign-in link", sql, values).await.map(|_| ())
}

/// The link with this token, if it holds.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, token_hash: &str, now_ms: i64) -> Result<Option<Link>, StoreError> {
    let sql = "select tenant_id, role, user_id from signin_links \
        where token_hash = $1 and used_ms is null and expires_ms > $2";
    let row = tx.first("read a sign-in link", sql, args![token_hash, now_ms]).await?;
    row.map(|row| {
        let mut c = row.columns("signin_links");
        Ok(Link {
            tenant: c.id("tenant_id")?,
            role: c.word("role", Role::from_word)?,
            user: c.opt_id("user_id")?,
        })
    })
    .transpose()
}

/// Uses a link up; `false`: somebody else did.
///
/// # Errors
/// The database's own.
pub async fn spend(tx: &mut Tx, tenant: TenantId, token_hash: &str, now_ms: i64) -> Result<bool, StoreError> {
    let sql =
        "update signin_links set used_ms = $3 where tenant_id = $1 and token_hash = $2 and used_ms is null";
    Ok(tx.execute("use a sign-in link", sql, args![tenant, token_hash, now_ms]).await? == 1)
}

/// Forgets links that would make an owner.
///
/// # Errors
/// The database's own.
pub async fn delete_owner_links(tx: &mut Tx, tenant: TenantId) -> Result<(), StoreError> {
    let sql = "delete from signin_links where tenant_id = $1 and user_id is null and role = 'owner'";
    tx.execute("forget sign-in links", sql, args![tenant]).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    #[test]
    fn a_link_works_once_and_in_time() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let tenant = TenantId::new(1, 1);
                    let link = Link { tenant, role: Role::Owner, user: None };
                    insert(tx, &link, "h", 1, 100).await?;
                    assert_eq!(get(tx, "h", 99).await?, Some(link.clone()));
                    assert_eq!(get(tx, "h", 100).await?, None);
                    assert!(spend(tx, tenant, "h", 50).await? && !spend(tx, tenant, "h", 51).await?);
                    assert_eq!(get(tx, "h", 60).await?, None);
                    insert(tx, &link, "h2", 1, 100).await?;
                    delete_owner_links(tx, tenant).await?;
                    assert_eq!(get(tx, "h2", 60).await?, None);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
