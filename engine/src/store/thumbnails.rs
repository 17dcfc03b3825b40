//! Which small picture belongs to which image, by the ids of their bytes. The
//! bytes themselves are in the file store.

use pointsman_rules::ids::TenantId;

use super::{StoreError, Tx};
use crate::args;

/// What is known of an image's small picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thumbnail {
    /// Nobody has tried to make one.
    Unknown,
    /// None can be made.
    Impossible,
    /// The id of its bytes.
    Made(String),
}

/// The small picture of an image.
///
/// # Errors
/// The database's own.
pub async fn get(tx: &mut Tx, tenant: TenantId, blob: &str) -> Result<Thumbnail, StoreError> {
    let sql = "select picture from thumbnails where tenant_id = $1 and blob = $2";
    let Some(row) = tx.first("look for a thumbnail", sql, args![tenant, blob]).await? else {
        return Ok(Thumbnail::Unknown);
    };
    let picture = row.columns("thumbnails").opt_text("picture")?;
    Ok(picture.map_or(Thumbnail::Impossible, Thumbnail::Made))
}

/// Keeps what came of making one; the first answer stays.
///
/// # Errors
/// The database's own.
pub async fn insert(
    tx: &mut Tx,
    tenant: TenantId,
    (blob, picture): (&str, Option<&str>),
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "insert into thumbnails (tenant_id, blob, picture, made_ms) values ($1, $2, $3, $4) \
               on conflict (tenant_id, blob) do nothing";
    tx.execute("keep a thumbnail", sql, args![tenant, blob, picture, now_ms]).await.map(|_| ())
}

/// Forgets an image's small picture; answers the id of its bytes.
///
/// # Errors
/// The database's own.
pub async fn delete(tx: &mut Tx, tenant: TenantId, blob: &str) -> Result<Option<String>, StoreError> {
    let sql = "delete from thumbnails where tenant_id = $1 and blob = $2 returning picture";
    let row = tx.first("forget a thumbnail", sql, args![tenant, blob]).await?;
    row.map_or(Ok(None), |row| row.columns("thumbnails").opt_text("picture"))
}

/// Is this the small picture of any image?
///
/// # Errors
/// The database's own.
pub async fn is_picture(tx: &mut Tx, tenant: TenantId, blob: &str) -> Result<bool, StoreError> {
    let sql = "select 1 from thumbnails where tenant_id = $1 and picture = $2 limit 1";
    Ok(tx.first("look for a thumbnail's images", sql, args![tenant, blob]).await?.is_some())
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    #[test]
    fn the_first_answer_stays_until_the_image_goes() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let tenant = TenantId::new(1, 1);
                    assert_eq!(get(tx, tenant, "blb_a").await?, Thumbnail::Unknown);
                    insert(tx, tenant, ("blb_a", Some("blb_s")), 1).await?;
                    insert(tx, tenant, ("blb_a", None), 2).await?;
                    insert(tx, tenant, ("blb_b", None), 3).await?;
                    assert_eq!(get(tx, tenant, "blb_a").await?, Thumbnail::Made("blb_s".into()));
                    assert_eq!(get(tx, tenant, "blb_b").await?, Thumbnail::Impossible);
                    assert!(is_picture(tx, tenant, "blb_s").await?);
                    assert!(!is_picture(tx, TenantId::new(1, 2), "blb_s").await?);
                    assert_eq!(delete(tx, tenant, "blb_a").await?.as_deref(), Some("blb_s"));
                    assert_eq!(delete(tx, tenant, "blb_b").await?, None);
                    assert!(!is_picture(tx, tenant, "blb_s").await?);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
