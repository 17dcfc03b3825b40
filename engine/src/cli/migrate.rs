//! `pointsman migrate`: brings the schema up to date without serving.

use clap::Args;
use serde_json::json;

use super::database::DatabaseArgs;
use super::error::CliError;
use super::output::Out;
use crate::app::data;
use crate::store::Db;

/// Bring the database schema up to date
#[derive(Debug, Clone, Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Migrate {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let config = self.database.settings(Vec::new())?;
        let _lock = data::prepare(&config)?;
        Db::migrate_and_connect(config.store.url.expose()).await?;
        let shown = config.store.shown();
        let text = format!("the schema of {shown} is up to date");
        Ok(out.result(&json!({"database": shown, "up_to_date": true}), || text)?)
    }
}
