//! Facts of the whole installation, which belong to no tenant.

use super::{StoreError, Tx};
use crate::args;

/// Names the fingerprint of the key that seals this database's secrets.
const MASTER_KEY: &str = "master_key_fingerprint";

/// The fingerprint of the master key that this database was first used with; none: it was never used.
///
/// # Errors
/// The database's own.
pub async fn master_key(tx: &mut Tx) -> Result<Option<String>, StoreError> {
    let sql = "select value from installation where name = $1";
    let row = tx.first("read the master key's fingerprint", sql, args![MASTER_KEY]).await?;
    row.map(|row| row.columns("installation").text("value")).transpose()
}

/// Keeps the fingerprint of the first master key; later ones change nothing.
///
/// # Errors
/// The database's own.
pub async fn keep_master_key(tx: &mut Tx, fingerprint: &str) -> Result<(), StoreError> {
    let sql = "insert into installation (name, value) values ($1, $2) on conflict do nothing";
    tx.execute("keep the master key's fingerprint", sql, args![MASTER_KEY, fingerprint]).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::Durability;
    use super::super::testing::each_db;
    use super::*;

    #[test]
    fn the_first_master_key_stays_the_one() {
        each_db(|db| async move {
            db.write(Durability::Hard, |tx| {
                Box::pin(async move {
                    assert_eq!(master_key(tx).await?, None);
                    keep_master_key(tx, "first").await?;
                    keep_master_key(tx, "second").await?;
                    assert_eq!(master_key(tx).await?.as_deref(), Some("first"));
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
