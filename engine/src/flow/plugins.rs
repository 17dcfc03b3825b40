//! Keeps the plugins of this process the same as those that were installed over
//! the API: at the start, when another process tells of a change, and every now
//! and then. One that does not load here leaves the one before it in use.

use std::collections::BTreeMap;

use super::Flow;
use crate::store::StoreError;
use crate::store::installed_plugins;

/// Compares the database with this process. Remembers what does not load, so that it is said once.
#[derive(Debug, Default)]
pub struct Keeper {
    /// Digest of the last file of each id that was refused here.
    refused: BTreeMap<String, String>,
}

impl Keeper {
    /// Takes new plugins into use and gives up removed ones.
    ///
    /// # Errors
    /// The database's own.
    pub async fn sync(&mut self, flow: &Flow) -> Result<(), StoreError> {
        let rows = installed_plugins::list(&mut flow.db.read().await?).await?;
        for id in flow.host.adopted_ids() {
            if rows.iter().all(|row| row.id != id) && flow.host.abandon(&id).is_some() {
                tracing::info!(plugin = id, "removed");
            }
        }
        for row in rows {
            let in_use = flow.host.adopted(&row.id).is_some_and(|plugin| plugin.digest() == row.digest);
            if in_use || self.refused.get(&row.id) == Some(&row.digest) {
                continue;
            }
            let mut tx = flow.db.read().await?;
            let Some(wasm) = installed_plugins::file(&mut tx, &row.id, &row.digest).await? else { continue };
            drop(tx);
            match flow.host.prepare(&wasm).await {
                Ok(plugin) => {
                    tracing::info!(plugin = row.id, version = row.version, "installed");
                    flow.host.adopt(plugin);
                    self.refused.remove(&row.id);
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(
                        plugin = row.id,
                        error,
                        "an installed plugin is refused; the one before it stays"
                    );
                    self.refused.insert(row.id, row.digest);
                }
            }
        }
        Ok(())
    }
}
