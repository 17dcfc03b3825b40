//! Tenants. Most installations have one.

use pointsman_rules::ids::TenantId;

use super::{StoreError, Tx};
use crate::args;

/// A customer organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// For people.
    pub name: String,
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
                    assert_eq!(list(tx).await?, [tenant]);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
