//! Settings and database of the commands that work without a running server.

use std::path::PathBuf;

use clap::Args;
use pointsman_rules::ids::TenantId;

use super::error::CliError;
use crate::config::{Config, ConfigError, Environment, Flag};
use crate::store::{Db, tenants};

/// Where the data is.
#[derive(Debug, Clone, Args)]
pub(super) struct DatabaseArgs {
    /// Settings file; otherwise pointsman.toml, if there is one
    #[arg(long, env = "POINTSMAN_CONFIG", value_name = "FILE", help_heading = "Database")]
    pub(super) config: Option<PathBuf>,
    /// Data directory
    #[arg(long, value_name = "DIR", help_heading = "Database")]
    pub(super) data: Option<String>,
    /// postgres://… or sqlite://…; better in DATABASE_URL than here when it holds a password
    #[arg(long, value_name = "URL", help_heading = "Database")]
    pub(super) database_url: Option<String>,
}

impl DatabaseArgs {
    /// The checked settings; `more` are flags of the command itself.
    ///
    /// # Errors
    /// All mistakes.
    pub(super) fn settings(&self, more: Vec<Flag>) -> Result<Config, ConfigError> {
        let mut flags = more;
        flags.extend(flag("--data", "store.data_dir", self.data.as_deref()));
        flags.extend(flag("--database-url", "store.url", self.database_url.as_deref()));
        Config::load(self.config.as_deref(), &Environment, &flags)
    }
}

/// A flag that was given.
pub(super) fn flag(flag: &'static str, key: &'static str, value: Option<&str>) -> Option<Flag> {
    value.map(|value| Flag { flag, key, value: value.to_owned() })
}

/// Opens the database beside a server that may be running; never changes its schema.
///
/// # Errors
/// There is none yet, or it does not answer.
pub(super) async fn open(config: &Config) -> Result<Db, CliError> {
    if let Some(file) = config.store.sqlite_file()
        && !file.is_file()
    {
        let file = file.display();
        return Err(CliError::Failed(format!(
            "there is no database at {file}; start `pointsman serve` once, or give its directory with --data"
        )));
    }
    Ok(Db::connect(config.store.url.expose()).await?)
}

/// The tenant that new users and keys belong to: the first one.
///
/// # Errors
/// There is none yet, or the database does not answer.
pub(super) async fn first_tenant(db: &Db) -> Result<TenantId, CliError> {
    let mut tx = db.read().await?;
    let first = tenants::list(&mut tx).await?.into_iter().next();
    first.map(|tenant| tenant.id).ok_or_else(|| {
        CliError::Failed("the database is empty; start `pointsman serve` once, it fills it".to_owned())
    })
}
