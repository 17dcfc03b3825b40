//! Who changed which configuration, when. Appended in the transaction of the
//! change itself; never holds a secret.

use pointsman_rules::ids::{AuditId, TenantId};

use super::{StoreError, Tx};
use crate::args;

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its id.
    pub id: AuditId,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// Id of the user or key; `system` for the first start and the command line.
    pub actor: String,
    /// `channel.create`, `rule.publish`, …
    pub action: String,
    /// Id of what was changed.
    pub target: String,
    /// What was said, without secrets.
    pub detail: serde_json::Value,
}

/// Appends an entry.
///
/// # Errors
/// The database's own.
pub async fn append(tx: &mut Tx, tenant: TenantId, e: &Entry) -> Result<(), StoreError> {
    let sql = "insert into audit (tenant_id, id, at_ms, actor, action, target, detail) \
        values ($1, $2, $3, $4, $5, $6, $7)";
    let values = args![tenant, e.id, e.at_ms, &e.actor, &e.action, &e.target, e.detail.to_string()];
    tx.execute("append to the audit log", sql, values).await.map(|_| ())
}

/// Entries before `before`, newest first.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    before: Option<AuditId>,
    limit: i64,
) -> Result<Vec<Entry>, StoreError> {
    let sql = "select id, at_ms, actor, action, target, detail from audit where tenant_id = $1 and id < $2 \
        order by id desc limit $3";
    // `b` sorts after every id's prefix.
    let before = before.map_or_else(|| "b".to_owned(), |id| id.to_string());
    let rows = tx.all("list the audit log", sql, args![tenant, before, limit]).await?;
    rows.iter()
        .map(|row| {
            let mut c = row.columns("audit");
            Ok(Entry {
                id: c.id("id")?,
                at_ms: c.int("at_ms")?,
                actor: c.text("actor")?,
                action: c.text("action")?,
                target: c.text("target")?,
                detail: c.json("detail")?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    #[test]
    fn the_newest_entry_comes_first() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let tenant = TenantId::new(1, 1);
                    let entry = |n: i64| Entry {
                        id: AuditId::new(n, 0),
                        at_ms: n,
                        actor: "usr_x".into(),
                        action: "group.create".into(),
                        target: "grp_x".into(),
                        detail: serde_json::json!({"name": "Support"}),
                    };
                    for n in 1..=3 {
                        append(tx, tenant, &entry(n)).await?;
                    }
                    assert_eq!(list(tx, tenant, None, 2).await?, [entry(3), entry(2)]);
                    assert_eq!(list(tx, tenant, Some(AuditId::new(2, 0)), 2).await?, [entry(1)]);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
