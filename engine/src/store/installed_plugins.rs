//! Plugins that were installed over the API: one row each, with the file. They
//! belong to the installation and to no tenant. What is in a file is not known here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{StoreError, Tx};
use crate::args;

/// A plugin that was installed, without its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledPlugin {
    /// `acme`.
    pub id: String,
    /// The plugin's own version.
    pub version: String,
    /// SHA-256 of the file, hex.
    pub digest: String,
    /// Id of the user or key.
    pub installed_by: String,
    /// Unix milliseconds.
    pub installed_ms: i64,
}

/// All of them, by id, without their files.
///
/// # Errors
/// The database's own.
pub async fn list(tx: &mut Tx) -> Result<Vec<InstalledPlugin>, StoreError> {
    let sql = "select plugin_id, version, digest, installed_by, installed_ms from installed_plugins order by plugin_id";
    let mut all = Vec::new();
    for row in tx.all("list installed plugins", sql, args![]).await? {
        let mut c = row.columns("installed_plugins");
        all.push(InstalledPlugin {
            id: c.text("plugin_id")?,
            version: c.text("version")?,
            digest: c.text("digest")?,
            installed_by: c.text("installed_by")?,
            installed_ms: c.int("installed_ms")?,
        });
    }
    Ok(all)
}

/// The file of one, if it is still the one with this digest.
///
/// # Errors
/// The database's own, or a row that is no base64.
pub async fn file(tx: &mut Tx, id: &str, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "select wasm from installed_plugins where plugin_id = $1 and digest = $2";
    let Some(row) = tx.first("read an installed plugin", sql, args![id, digest]).await? else {
        return Ok(None);
    };
    let text = row.columns("installed_plugins").text("wasm")?;
    let bad = |error: base64::DecodeError| StoreError::BadRow {
        table: "installed_plugins",
        column: "wasm",
        reason: error.to_string(),
    };
    STANDARD.decode(text).map(Some).map_err(bad)
}

/// Keeps a plugin in place of an older one of its id.
///
/// # Errors
/// The database's own.
pub async fn put(tx: &mut Tx, plugin: &InstalledPlugin, wasm: &[u8]) -> Result<(), StoreError> {
    remove(tx, &plugin.id).await?;
    let sql = "insert into installed_plugins (plugin_id, version, digest, wasm, installed_by, installed_ms) \
               values ($1, $2, $3, $4, $5, $6)";
    let text = STANDARD.encode(wasm);
    let args =
        args![&plugin.id, &plugin.version, &plugin.digest, text, &plugin.installed_by, plugin.installed_ms];
    tx.execute("keep an installed plugin", sql, args).await.map(|_| ())
}

/// Forgets a plugin; false when there is none of this id.
///
/// # Errors
/// The database's own.
pub async fn remove(tx: &mut Tx, id: &str) -> Result<bool, StoreError> {
    let sql = "delete from installed_plugins where plugin_id = $1";
    Ok(tx.execute("forget an installed plugin", sql, args![id]).await? > 0)
}

/// Kinds of the channels, of all tenants, that a plugin speaks for.
///
/// # Errors
/// The database's own.
pub async fn kinds_in_use(tx: &mut Tx, id: &str) -> Result<Vec<String>, StoreError> {
    let sql = "select distinct kind from channels where provider = $1 and deleted_ms is null order by kind";
    let rows = tx.all("list kinds of channels in use", sql, args![id]).await?;
    rows.iter().map(|row| row.columns("channels").text("kind")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Durability;
    use super::super::testing::each_db;
    use super::*;

    fn acme(version: &str) -> InstalledPlugin {
        InstalledPlugin {
            id: "acme".into(),
            version: version.into(),
            digest: format!("digest of {version}"),
            installed_by: "key_1".into(),
            installed_ms: 7,
        }
    }

    #[test]
    fn the_last_file_of_an_id_is_the_one_that_is_kept() {
        each_db(|db| async move {
            db.write(Durability::Hard, |tx| {
                Box::pin(async move {
                    put(tx, &acme("1"), b"\0asm old").await?;
                    put(tx, &acme("2"), b"\0asm new").await?;
                    assert_eq!(list(tx).await?, [acme("2")]);
                    assert_eq!(file(tx, "acme", "digest of 1").await?, None);
                    assert_eq!(file(tx, "acme", "digest of 2").await?.as_deref(), Some(&b"\0asm new"[..]));
                    assert_eq!(kinds_in_use(tx, "acme").await?, Vec::<String>::new());
                    assert!(remove(tx, "acme").await? && !remove(tx, "acme").await?);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
