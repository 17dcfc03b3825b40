//! What assistants may know: short texts of a tenant.

use pointsman_rules::ids::{KnowledgeId, TenantId};

use super::{Row, StoreError, Tx};
use crate::args;

/// A text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// Its id.
    pub id: KnowledgeId,
    /// What it is about.
    pub title: String,
    /// What it says.
    pub body: String,
    /// Counts changes, from 1.
    pub version: i64,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub changed_ms: i64,
}

const COLUMNS: &str = "id, title, body, version, created_ms, changed_ms";

fn snippet(row: &Row) -> Result<Snippet, StoreError> {
    let mut c = row.columns("knowledge");
    Ok(Snippet {
        id: c.id("id")?,
        title: c.text("title")?,
        body: c.text("body")?,
        version: c.int("version")?,
        created_ms: c.int("created_ms")?,
        changed_ms: c.int("changed_ms")?,
    })
}

/// Adds a text.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, tenant: TenantId, it: &Snippet) -> Result<(), StoreError> {
    let values = args![tenant, it.id, &it.title, &it.body, it.version, it.created_ms, it.changed_ms];
    let head = format!("insert into knowledge (tenant_id, {COLUMNS})");
    tx.insert_many("add knowledge", &head, vec![values], "").await.map(|_| ())
}

/// Writes title and text, and counts the version up.
///
/// # Errors
/// The database's own.
pub async fn update(tx: &mut Tx, tenant: TenantId, it: &Snippet) -> Result<bool, StoreError> {
    let sql = "update knowledge set title = $3, body = $4, changed_ms = $5, version = version + 1 \
        where tenant_id = $1 and id = $2";
    let values = args![tenant, it.id, &it.title, &it.body, it.changed_ms];
    Ok(tx.execute("change knowledge", sql, values).await? == 1)
}

/// Removes a text.
///
/// # Errors
/// The database's own.
pub async fn delete(tx: &mut Tx, tenant: TenantId, id: KnowledgeId) -> Result<bool, StoreError> {
    let sql = "delete from knowledge where tenant_id = $1 and id = $2";
    Ok(tx.execute("remove knowledge", sql, args![tenant, id]).await? == 1)
}

/// One text.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: KnowledgeId) -> Result<Option<Snippet>, StoreError> {
    let sql = format!("select {COLUMNS} from knowledge where tenant_id = $1 and id = $2");
    tx.first("read knowledge", &sql, args![tenant, id]).await?.as_ref().map(snippet).transpose()
}

/// Texts after `after`, in order of their ids.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    after: Option<KnowledgeId>,
    rows_max: i64,
) -> Result<Vec<Snippet>, StoreError> {
    let sql =
        format!("select {COLUMNS} from knowledge where tenant_id = $1 and id > $2 order by id limit $3");
    let after = after.map_or_else(String::new, |id| id.to_string());
    tx.all("list knowledge", &sql, args![tenant, after, rows_max]).await?.iter().map(snippet).collect()
}

/// How many texts there are.
///
/// # Errors
/// The database's own.
pub async fn count(tx: &mut Tx, tenant: TenantId) -> Result<i64, StoreError> {
    let sql = "select count(*) from knowledge where tenant_id = $1";
    let row = tx.first("count knowledge", sql, args![tenant]).await?;
    row.map_or(Ok(0), |row| row.columns("knowledge").int("count"))
}

#[cfg(test)]
mod tests {
    use super::super::Durability;
    use super::super::testing::each_db;
    use super::*;

    #[test]
    fn knowledge_is_its_tenants_alone() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (ours, theirs) = (TenantId::new(1, 1), TenantId::new(1, 2));
                    let row = Snippet {
                        id: KnowledgeId::new(1, 1),
                        title: "Hours".into(),
                        body: "We open at nine.".into(),
                        version: 1,
                        created_ms: 1,
                        changed_ms: 1,
                    };
                    insert(tx, ours, &row).await?;
                    let ten = Snippet { body: "We open at ten.".into(), changed_ms: 5, ..row.clone() };
                    assert!(!update(tx, theirs, &ten).await? && update(tx, ours, &ten).await?);
                    assert_eq!(get(tx, ours, row.id).await?, Some(Snippet { version: 2, ..ten.clone() }));
                    assert_eq!(get(tx, theirs, row.id).await?, None);
                    assert_eq!((count(tx, ours).await?, count(tx, theirs).await?), (1, 0));
                    assert!(list(tx, ours, Some(row.id), 10).await?.is_empty());
                    assert_eq!(list(tx, ours, None, 10).await?.len(), 1);
                    assert!(!delete(tx, theirs, row.id).await? && delete(tx, ours, row.id).await?);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
