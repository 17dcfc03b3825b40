//! API keys. Only the SHA-256 of a key is kept; a key is 256 random bits, so no
//! slow hash is needed.

use pointsman_rules::ids::{KeyId, TenantId};

use super::users::Role;
use super::{Row, StoreError, Tx};
use crate::args;

/// A key as kept, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// For people.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Does not hold from then on, unix milliseconds.
    pub expires_ms: Option<i64>,
    /// Was taken back then, unix milliseconds.
    pub revoked_ms: Option<i64>,
}

const COLUMNS: &str = "id, name, role, created_ms, expires_ms, revoked_ms";

fn key(row: &Row) -> Result<ApiKey, StoreError> {
    let mut c = row.columns("api_keys");
    Ok(ApiKey {
        id: c.id("id")?,
        name: c.text("name")?,
        role: c.word("role", Role::from_word)?,
        created_ms: c.int("created_ms")?,
        expires_ms: c.opt_int("expires_ms")?,
        revoked_ms: c.opt_int("revoked_ms")?,
    })
}

/// Adds a key.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, tenant: TenantId, key: &ApiKey, key_hash: &str) -> Result<(), StoreError> {
    let sql = format!(
        "insert into api_keys (tenant_id, key_hash, {COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8)"
    );
    let values = args![
        tenant,
        key_hash,
        key.id,
        &key.name,
        key.role.word(),
        key.created_ms,
        key.expires_ms,
        key.revoked_ms,
    ];
    tx.execute("add an API key", &sql, values).await.map(|_| ())
}

/// Whose key this is and what it may do, if it holds at this moment.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn by_hash(
    tx: &mut Tx,
    key_hash: &str,
    now_ms: i64,
) -> Result<Option<(TenantId, KeyId, Role)>, StoreError> {
    let sql = "select tenant_id, id, role from api_keys where key_hash = $1 and revoked_ms is null \
        and (expires_ms is null or expires_ms > $2)";
    let row = tx.first("read an API key", sql, args![key_hash, now_ms]).await?;
    row.map(|row| {
        let mut c = row.columns("api_keys");
        Ok((c.id("tenant_id")?, c.id("id")?, c.word("role", Role::from_word)?))
    })
    .transpose()
}

/// The key with this id, revoked or not.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    let sql = format!("select {COLUMNS} from api_keys where tenant_id = $1 and id = $2");
    tx.first("read an API key", &sql, args![tenant, id]).await?.as_ref().map(key).transpose()
}

/// Keys after `after` that were not revoked, in order of their ids.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    after: Option<KeyId>,
    limit: i64,
) -> Result<Vec<ApiKey>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from api_keys where tenant_id = $1 and id > $2 and revoked_ms is null order by id limit $3"
    );
    let after = after.map_or_else(String::new, |id| id.to_string());
    tx.all("list API keys", &sql, args![tenant, after, limit]).await?.iter().map(key).collect()
}

/// Takes a key back; `false`: there is none, or it was taken back already.
///
/// # Errors
/// The database's own.
pub async fn revoke(tx: &mut Tx, tenant: TenantId, id: KeyId, now_ms: i64) -> Result<bool, StoreError> {
    let sql = "update api_keys set revoked_ms = $3 where tenant_id = $1 and id = $2 and revoked_ms is null";
    Ok(tx.execute("revoke an API key", sql, args![tenant, id, now_ms]).await? == 1)
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    #[test]
    fn a_key_holds_until_it_expires_or_is_revoked() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let tenant = TenantId::new(1, 1);
                    let key = ApiKey {
                        id: KeyId::new(1, 1),
                        name: "shop".into(),
                        role: Role::Agent,
                        created_ms: 1,
                        expires_ms: Some(100),
                        revoked_ms: None,
                    };
                    insert(tx, tenant, &key, "h").await?;
                    assert_eq!(by_hash(tx, "h", 99).await?, Some((tenant, key.id, Role::Agent)));
                    assert_eq!(by_hash(tx, "h", 100).await?, None);
                    assert_eq!(by_hash(tx, "other", 1).await?, None);
                    assert_eq!(list(tx, tenant, None, 10).await?, std::slice::from_ref(&key));
                    assert!(!revoke(tx, TenantId::new(1, 2), key.id, 5).await?, "another tenant's");
                    assert!(revoke(tx, tenant, key.id, 5).await? && !revoke(tx, tenant, key.id, 6).await?);
                    assert_eq!(by_hash(tx, "h", 50).await?, None);
                    assert_eq!(get(tx, tenant, key.id).await?.unwrap().revoked_ms, Some(5));
                    assert!(list(tx, tenant, None, 10).await?.is_empty());
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
