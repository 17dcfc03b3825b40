//! `pointsman key create`: an API key, printed once.

use clap::{Args, Subcommand};
use pointsman_rules::ids::KeyId;
use serde_json::json;

use super::database::{self, DatabaseArgs};
use super::error::CliError;
use super::output::Out;
use super::tenant::entry;
use super::user::role;
use crate::clock::Clock;
use crate::crypto;
use crate::store::audit::{self, Change};
use crate::store::users::Role;
use crate::store::{Durability, api_keys};

/// What every key begins with.
const KEY_PREFIX: &str = "pm_";

/// API keys
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Key {
    /// Make a key; it is printed on standard output and never again
    Create(Create),
}

/// Make a key
#[derive(Debug, Clone, Args)]
pub(super) struct Create {
    /// What it is for
    #[arg(long)]
    name: String,
    /// owner, admin or agent
    #[arg(long, value_parser = role)]
    role: Role,
    /// Id or name of the organisation; the first when absent
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Key {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        let Self::Create(create) = self;
        create.run(out).await
    }
}

impl Create {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let name = self.name.trim().to_owned();
        if name.is_empty() {
            return Err(CliError::Usage("--name must not be empty".to_owned()));
        }
        let db = database::open(&self.database.settings(Vec::new())?).await?;
        let tenant = database::tenant(&db, self.tenant.as_deref()).await?;
        let clock = Clock::system();
        let secret = crypto::random_token(&clock, KEY_PREFIX);
        let hash = crypto::sha256_hex(secret.as_bytes());
        let key = api_keys::ApiKey {
            id: KeyId::new(clock.now_ms(), clock.random()),
            name: name.clone(),
            role: self.role,
            created_ms: clock.now_ms(),
            expires_ms: None,
            revoked_ms: None,
        };
        let id = key.id;
        db.write(Durability::Hard, move |tx| {
            let (key, hash, clock) = (key.clone(), hash.clone(), clock.clone());
            Box::pin(async move {
                api_keys::insert(tx, tenant, &key, &hash).await?;
                let change = Change::made(&json!({"name": key.name, "role": key.role.word()}));
                audit::append(tx, tenant, &entry(&clock, "api_key.create", key.id, change)).await
            })
        })
        .await?;
        if !out.json {
            // Only the key itself is the result: POINTSMAN_KEY=$(pointsman key create …) has to work.
            out.remark(&format!("{id} ({}): keep it now, it is not shown again", self.role.word()));
        }
        Ok(out.result(&json!({"id": id, "name": name, "role": self.role.word(), "key": secret}), || {
            secret.clone()
        })?)
    }
}
