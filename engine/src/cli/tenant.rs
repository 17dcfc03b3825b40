//! `pointsman tenant`: organisations of one installation, for its operator.
//! Opens the database; works beside a running server.

use clap::{Args, Subcommand};
use pointsman_rules::ids::{AuditId, TenantId};
use serde_json::json;

use super::database::{self, DatabaseArgs};
use super::error::CliError;
use super::output::{Out, table};
use crate::app::{master_key, owner};
use crate::clock::{Clock, rfc3339};
use crate::store::audit::{self, Change, Entry, Origin};
use crate::store::tenants::{self, Tenant};
use crate::store::{Db, Durability, StoreError, seed};

const NAME_CHARS_MAX: usize = 100;

/// Organisations of this installation
#[derive(Debug, Clone, Subcommand)]
pub(super) enum TenantCommand {
    /// Add an organisation; prints the link that makes its owner
    Create(Create),
    /// List organisations
    List(List),
    /// Delete an organisation with everything it has; the running server does it
    Delete(Delete),
}

/// Add an organisation
#[derive(Debug, Clone, Args)]
pub(super) struct Create {
    /// Its name
    name: String,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// List organisations
#[derive(Debug, Clone, Args)]
pub(super) struct List {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Delete an organisation
#[derive(Debug, Clone, Args)]
pub(super) struct Delete {
    /// Its id
    tenant: String,
    /// Its name, as a proof that it is the one that is meant
    #[arg(long)]
    confirm: String,
    #[command(flatten)]
    database: DatabaseArgs,
}

impl TenantCommand {
    pub(super) async fn run(self, out: Out) -> Result<(), CliError> {
        match self {
            Self::Create(it) => it.run(out).await,
            Self::List(it) => it.run(out).await,
            Self::Delete(it) => it.run(out).await,
        }
    }
}

impl Create {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let name = self.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
            return Err(CliError::Usage(format!("the name must have 1 to {NAME_CHARS_MAX} characters")));
        }
        let config = self.database.settings(Vec::new())?;
        let (db, clock) = (database::open(&config).await?, Clock::system());
        let keyring = master_key::of_database(&db, &config.keys, &clock).await?;
        let tenant = Tenant { id: TenantId::new(clock.now_ms(), clock.random()), name };
        let (row, inside) = (tenant.clone(), clock.clone());
        let made = db.write(Durability::Hard, move |tx| {
            let (row, clock, keyring) = (row.clone(), inside.clone(), keyring.clone());
            Box::pin(async move {
                seed::fill(tx, &clock, &keyring, &row).await?;
                let change = Change::made(&json!({"name": row.name}));
                audit::append(tx, row.id, &entry(&clock, "tenant.create", row.id, change)).await
            })
        });
        made.await?;
        let token = owner::link_token(&db, &clock, tenant.id).await?;
        let base = config.http.public_url.clone().unwrap_or_else(|| format!("http://{}", config.http.listen));
        let link = token.map(|token| format!("{base}/signin#token={token}"));
        let link = link.unwrap_or_default();
        let shown = || format!("{}  {}\nowner link: {link}", tenant.id, tenant.name);
        Ok(out.result(&json!({"id": tenant.id, "name": tenant.name, "owner_link": link}), shown)?)
    }
}

impl List {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let db = database::open(&self.database.settings(Vec::new())?).await?;
        let mut tx = db.read().await?;
        let (mut items, mut rows) = (Vec::new(), Vec::new());
        for tenant in tenants::list(&mut tx).await? {
            let Some(it) = tenants::details(&mut tx, tenant.id).await? else { continue };
            let (created, deleting) = (rfc3339(it.created_ms), it.deleting_ms.map(rfc3339));
            let state = deleting.as_ref().map_or("active", |_| "being deleted").to_owned();
            rows.push(vec![tenant.id.to_string(), tenant.name.clone(), created.clone(), state]);
            items.push(json!({"id": tenant.id, "name": tenant.name, "created_at": created, "deleting_since": deleting}));
        }
        Ok(out.result(&json!({"items": items}), || table(&["ID", "NAME", "CREATED", "STATE"], &rows))?)
    }
}

impl Delete {
    async fn run(self, out: Out) -> Result<(), CliError> {
        let db = database::open(&self.database.settings(Vec::new())?).await?;
        let found = database::tenant(&db, Some(&self.tenant)).await?;
        let name = tenants::get(&mut db.read().await?, found).await?.map(|it| it.name).unwrap_or_default();
        if name != self.confirm {
            let say = format!("{found} has another name; give it with --confirm");
            return Err(CliError::Failed(say));
        }
        let is_new = condemn(&db, found).await?;
        let say = if is_new { "is being deleted by the running server" } else { "is being deleted already" };
        Ok(out.result(&json!({"id": found, "name": name, "deleting": true}), || format!("{found}  {say}"))?)
    }
}

async fn condemn(db: &Db, tenant: TenantId) -> Result<bool, StoreError> {
    let clock = Clock::system();
    db.write(Durability::Hard, move |tx| {
        let clock = clock.clone();
        Box::pin(async move {
            let is_new = tenants::condemn(tx, tenant, clock.now_ms()).await?;
            let change = Change::act(json!({}));
            audit::append(tx, tenant, &entry(&clock, "tenant.delete", tenant, change)).await?;
            Ok(is_new)
        })
    })
    .await
}

/// What the command line did, for the audit log.
pub(super) fn entry(clock: &Clock, action: &str, target: impl ToString, change: Change) -> Entry {
    let at_ms = clock.now_ms();
    Entry {
        id: AuditId::new(at_ms, clock.random()),
        at_ms,
        actor: audit::SYSTEM.to_owned(),
        action: action.to_owned(),
        target: target.to_string(),
        change,
        origin: Origin { address: None, user_agent: Some("command line".to_owned()) },
    }
}
