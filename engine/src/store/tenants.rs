//! Tenants. Most installations have one.

use pointsman_rules::ids::TenantId;

use super::{StoreError, Tx, jobs};
use crate::args;

/// Name of the job that removes a tenant. In the database: it never changes.
pub const ERASE: &str = "tenant.erase";

/// A customer organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// For people.
    pub name: String,
}

/// A tenant with what it set for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// For people.
    pub name: String,
    /// JSON object.
    pub settings: String,
    /// Counts changes, from 1.
    pub version: i64,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// It is to be deleted since then, unix milliseconds.
    pub deleting_ms: Option<i64>,
}

/// Adds a tenant; `false`: it exists.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, tenant: &Tenant, now_ms: i64) -> Result<bool, StoreError> {
    let sql =
        "insert into tenants (id, name, settings, created_ms) values ($1, $2, $3, $4) on conflict do nothing";
    Ok(tx.execute("add a tenant", sql, args![tenant.id, &tenant.name, "{}", now_ms]).await? == 1)
}

/// The tenant with this id.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, id: TenantId) -> Result<Option<Tenant>, StoreError> {
    let row = tx.first("read a tenant", "select id, name from tenants where id = $1", args![id]).await?;
    row.map(|row| {
        let mut c = row.columns("tenants");
        Ok(Tenant { id: c.id("id")?, name: c.text("name")? })
    })
    .transpose()
}

/// The tenant with this id, with its settings.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn details(tx: &mut Tx, id: TenantId) -> Result<Option<Details>, StoreError> {
    let sql = "select name, settings, version, created_ms, deleting_ms from tenants where id = $1";
    let row = tx.first("read a tenant's settings", sql, args![id]).await?;
    row.map(|row| {
        let mut c = row.columns("tenants");
        Ok(Details {
            name: c.text("name")?,
            settings: c.text("settings")?,
            version: c.int("version")?,
            created_ms: c.int("created_ms")?,
            deleting_ms: c.opt_int("deleting_ms")?,
        })
    })
    .transpose()
}

/// Writes name and settings, and counts the version up; `false`: there is none.
///
/// # Errors
/// The database's own.
pub async fn update(tx: &mut Tx, id: TenantId, name: &str, settings: &str) -> Result<bool, StoreError> {
    let sql = "update tenants set name = $2, settings = $3, version = version + 1 where id = $1";
    Ok(tx.execute("change a tenant", sql, args![id, name, settings]).await? == 1)
}

/// From now on the tenant is to be deleted: its channels and webhooks take nothing any more, and the job that removes it
/// is due. `false`: there is no such tenant, or it was told already.
///
/// # Errors
/// The database's own.
pub async fn condemn(tx: &mut Tx, id: TenantId, now_ms: i64) -> Result<bool, StoreError> {
    let sql =
        "update tenants set deleting_ms = $2, version = version + 1 where id = $1 and deleting_ms is null";
    if tx.execute("delete a tenant", sql, args![id, now_ms]).await? == 0 {
        return Ok(false);
    }
    let sql =
        "update channels set deleted_ms = $2, active = false where tenant_id = $1 and deleted_ms is null";
    tx.execute("close a tenant's channels", sql, args![id, now_ms]).await?;
    let sql = "update webhooks set active = false where tenant_id = $1";
    tx.execute("close a tenant's webhooks", sql, args![id]).await?;
    jobs::plan(tx, ERASE, now_ms).await?;
    let sql = "update jobs set ready_ms = $3 where tenant_id = $1 and name = $2 and not leased";
    tx.execute("hurry a job", sql, args![id, ERASE, now_ms]).await?;
    Ok(true)
}

/// Holds the tenant's row until the end of the transaction: what must happen one after the other in a tenant begins
/// with it. On SQLite there is one writer anyway.
///
/// # Errors
/// The database's own.
pub async fn lock(tx: &mut Tx, id: TenantId) -> Result<(), StoreError> {
    if tx.is_postgres() {
        tx.first("lock a tenant", "select 1 from tenants where id = $1 for update", args![id]).await?;
    }
    Ok(())
}

/// All tenants, oldest first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(tx: &mut Tx) -> Result<Vec<Tenant>, StoreError> {
    let rows =
        tx.all("list tenants", "select id, name from tenants order by created_ms, id", args![]).await?;
    rows.iter()
        .map(|row| {
            let mut c = row.columns("tenants");
            Ok(Tenant { id: c.id("id")?, name: c.text("name")? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    #[test]
    fn a_tenant_is_added_once() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let tenant = Tenant { id: TenantId::new(1, 1), name: "Default".into() };
                    assert!(insert(tx, &tenant, 1).await? && !insert(tx, &tenant, 2).await?);
                    assert_eq!(get(tx, tenant.id).await?, Some(tenant.clone()));
                    assert_eq!(list(tx).await?, std::slice::from_ref(&tenant));
                    assert!(update(tx, tenant.id, "Shop", "{\"country\":\"ES\"}").await?);
                    let now = details(tx, tenant.id).await?.unwrap();
                    assert_eq!((now.name.as_str(), now.version, now.created_ms), ("Shop", 2, 1));
                    assert_eq!(now.settings, "{\"country\":\"ES\"}");
                    assert!(!update(tx, TenantId::new(9, 9), "x", "{}").await?);
                    assert!(condemn(tx, tenant.id, 5).await?);
                    assert!(!condemn(tx, tenant.id, 6).await?, "it was told already");
                    assert_eq!(details(tx, tenant.id).await?.unwrap().deleting_ms, Some(5));
                    assert!(jobs::any_due(tx, &[ERASE], 5).await?);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
