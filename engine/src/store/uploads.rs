//! Files on their way to us in several requests. What has arrived lies on disk;
//! here is only what was said about each at its beginning.

use pointsman_rules::ids::{AttachmentId, TenantId};

use super::{Row, StoreError, Tx};
use crate::args;

/// An upload that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The id of the attachment that it will become.
    pub id: AttachmentId,
    /// Which user or key began it; nobody else may go on with it.
    pub uploader: String,
    /// Bytes of the whole file.
    pub length_bytes: i64,
    /// MIME type, as claimed.
    pub content_type: Option<String>,
    /// What people see.
    pub file_name: Option<String>,
    /// When it began, unix milliseconds.
    pub created_ms: i64,
}

const COLUMNS: &str = "id, uploader_id, length_bytes, content_type, file_name, created_ms";

/// Begins an upload.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, tenant: TenantId, it: &Upload) -> Result<(), StoreError> {
    let sql = format!("insert into uploads (tenant_id, {COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7)");
    let args = args![
        tenant,
        it.id,
        it.uploader.as_str(),
        it.length_bytes,
        it.content_type.clone(),
        it.file_name.clone(),
        it.created_ms
    ];
    tx.execute("begin an upload", &sql, args).await.map(|_| ())
}

/// One upload that is under way.
///
/// # Errors
/// The database's own.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: AttachmentId) -> Result<Option<Upload>, StoreError> {
    let sql = format!("select {COLUMNS} from uploads where tenant_id = $1 and id = $2");
    tx.first("read an upload", &sql, args![tenant, id]).await?.as_ref().map(read).transpose()
}

/// How many uploads somebody has under way.
///
/// # Errors
/// The database's own.
pub async fn count(tx: &mut Tx, tenant: TenantId, uploader: &str) -> Result<i64, StoreError> {
    let sql = "select count(*) from uploads where tenant_id = $1 and uploader_id = $2";
    let row = tx.first("count uploads", sql, args![tenant, uploader]).await?;
    row.map_or(Ok(0), |row| row.columns("uploads").int("count"))
}

/// Ends an upload; answers whether it was under way.
///
/// # Errors
/// The database's own.
pub async fn delete(tx: &mut Tx, tenant: TenantId, id: AttachmentId) -> Result<bool, StoreError> {
    let sql = "delete from uploads where tenant_id = $1 and id = $2";
    Ok(tx.execute("end an upload", sql, args![tenant, id]).await? > 0)
}

/// Uploads that began before `before_ms`, the oldest first.
///
/// # Errors
/// The database's own.
pub async fn begun_before(
    tx: &mut Tx,
    tenant: TenantId,
    before_ms: i64,
    rows_max: u32,
) -> Result<Vec<AttachmentId>, StoreError> {
    let sql = "select id from uploads where tenant_id = $1 and created_ms < $2 order by created_ms limit $3";
    let rows = tx.all("list old uploads", sql, args![tenant, before_ms, rows_max]).await?;
    rows.iter().map(|row| row.columns("uploads").id("id")).collect()
}

fn read(row: &Row) -> Result<Upload, StoreError> {
    let c = &mut row.columns("uploads");
    Ok(Upload {
        id: c.id("id")?,
        uploader: c.text("uploader_id")?,
        length_bytes: c.int("length_bytes")?,
        content_type: c.opt_text("content_type")?,
        file_name: c.opt_text("file_name")?,
        created_ms: c.int("created_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    #[test]
    fn an_upload_is_kept_until_it_ends() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let tenant = TenantId::new(1, 1);
                    let upload = |n: i64| Upload {
                        id: AttachmentId::new(n, 1),
                        uploader: "usr_1".into(),
                        length_bytes: 9,
                        content_type: None,
                        file_name: Some("plan.png".into()),
                        created_ms: n,
                    };
                    let (old, new) = (upload(1), upload(5));
                    insert(tx, tenant, &old).await?;
                    insert(tx, tenant, &new).await?;
                    assert_eq!(get(tx, tenant, old.id).await?, Some(old.clone()));
                    assert_eq!(get(tx, TenantId::new(1, 2), old.id).await?, None);
                    let (mine, others) =
                        (count(tx, tenant, "usr_1").await?, count(tx, tenant, "usr_2").await?);
                    assert_eq!((mine, others), (2, 0));
                    assert_eq!(begun_before(tx, tenant, 5, 9).await?, [old.id]);
                    assert!(delete(tx, tenant, old.id).await? && !delete(tx, tenant, old.id).await?);
                    assert_eq!(get(tx, tenant, old.id).await?, None);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
