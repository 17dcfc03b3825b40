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

/// The tenant that is meant: by its id or name, or the first one.
///
/// # Errors
/// There is none such, several have the name, or the database does not answer.
pub(super) async fn tenant(db: &Db, wanted: Option<&str>) -> Result<TenantId, CliError> {
    let mut tx = db.read().await?;
    let all = tenants::list(&mut tx).await?;
    let Some(first) = all.first() else {
        let say = "the database is empty; start `pointsman serve` once, it fills it";
        return Err(CliError::Failed(say.to_owned()));
    };
    let Some(wanted) = wanted else { return Ok(first.id) };
    let matching: Vec<_> = all.iter().filter(|it| it.id.to_string() == wanted || it.name == wanted).collect();
    match matching.as_slice() {
        [one] => Ok(one.id),
        [] => {
            Err(CliError::Failed(format!("there is no tenant `{wanted}`; `pointsman tenant list` shows all")))
        }
        _ => Err(CliError::Failed(format!("several tenants are called `{wanted}`; give an id"))),
    }
}
