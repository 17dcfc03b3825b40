//! AI plugins as tenants set them up. Secrets arrive sealed and leave sealed;
//! this file never sees one.

use std::collections::BTreeMap;

use pointsman_rules::ids::{AssistantId, TenantId};
use serde::{Deserialize, Serialize};

use super::conversations::json;
use super::{Row, StoreError, Tx};
use crate::args;

/// What an assistant may do and use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Silence of the contact before it answers, milliseconds: a burst of messages gets one answer.
    pub silence_ms: i64,
    /// Answers in a row without a person; with the next message a person takes over.
    pub answers_max: i64,
    /// How much it reads in one go, tokens; older messages are left out.
    pub context_tokens_max: i64,
    /// How much it may write in one go, tokens.
    pub output_tokens_max: i64,
    /// How long it may think, milliseconds; then a person takes over.
    pub think_ms_max: i64,
    /// How sure it must be of an answer, percent, where it can tell; below that a person takes over.
    pub confidence_percent_min: i64,
    /// Tokens of a UTC day over all channels; `None`: any number.
    pub tokens_per_day_max: Option<i64>,
    /// Cost of a UTC day over all channels, millionths of the tenant's currency; `None`: any.
    pub cost_micros_per_day_max: Option<i64>,
    /// Price of a million tokens read, millionths of the tenant's currency.
    pub input_price_micros: i64,
    /// Price of a million tokens written, millionths of the tenant's currency.
    pub output_price_micros: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            silence_ms: 4_000,
            answers_max: 10,
            context_tokens_max: 6_000,
            output_tokens_max: 500,
            think_ms_max: 20_000,
            confidence_percent_min: 0,
            tokens_per_day_max: None,
            cost_micros_per_day_max: None,
            input_price_micros: 0,
            output_price_micros: 0,
        }
    }
}

/// An assistant as kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Assistant {
    /// Its id.
    pub id: AssistantId,
    /// Id of the plugin that speaks for it; never changes.
    pub plugin: String,
    /// For people.
    pub name: String,
    /// Settings without secrets.
    pub settings: serde_json::Value,
    /// Sealed JSON object: name to value; empty: none.
    pub secrets: String,
    /// When each secret was set, unix milliseconds.
    pub secrets_set: BTreeMap<String, i64>,
    /// May its settings point into a private network?
    pub allow_private_egress: bool,
    /// Is it asked anything?
    pub active: bool,
    /// What it is told, whatever the channel.
    pub instructions: String,
    /// What it may do and use.
    pub limits: Limits,
    /// Counts changes, from 1.
    pub version: i64,
    /// Unix milliseconds.
    pub created_ms: i64,
}

const COLUMNS: &str = "id, plugin, name, settings, secrets, secrets_set, allow_private_egress, active, instructions, \
    limits, version, created_ms";

fn assistant(row: &Row) -> Result<Assistant, StoreError> {
    let mut c = row.columns("assistants");
    Ok(Assistant {
        id: c.id("id")?,
        plugin: c.text("plugin")?,
        name: c.text("name")?,
        settings: c.json("settings")?,
        secrets: c.text("secrets")?,
        secrets_set: c.json("secrets_set")?,
        allow_private_egress: c.bool("allow_private_egress")?,
        active: c.bool("active")?,
        instructions: c.text("instructions")?,
        limits: c.json("limits")?,
        version: c.int("version")?,
        created_ms: c.int("created_ms")?,
    })
}

/// Adds an assistant; `false`: the name is taken.
///
/// # Errors
/// The database's own.
pub async fn insert(tx: &mut Tx, tenant: TenantId, it: &Assistant) -> Result<bool, StoreError> {
    let sql = "insert into assistants (tenant_id, id, plugin, name, name_key, settings, secrets, secrets_set, \
        allow_private_egress, active, instructions, limits, version, created_ms) \
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) on conflict do nothing";
    let values = args![
        tenant,
        it.id,
        &it.plugin,
        &it.name,
        it.name.to_lowercase(),
        it.settings.to_string(),
        &it.secrets,
        json("secrets_set", &it.secrets_set)?,
        it.allow_private_egress,
        it.active,
        &it.instructions,
        json("limits", &it.limits)?,
        it.version,
        it.created_ms
    ];
    Ok(tx.execute("add an assistant", sql, values).await? == 1)
}

/// Writes everything that may change and counts the version up; `false`: there is none, or the name is taken.
///
/// # Errors
/// The database's own.
pub async fn update(tx: &mut Tx, tenant: TenantId, it: &Assistant) -> Result<bool, StoreError> {
    let key = it.name.to_lowercase();
    let sql = "select id from assistants where tenant_id = $1 and name_key = $2 and id <> $3";
    if tx.first("look for an assistant", sql, args![tenant, &key, it.id]).await?.is_some() {
        return Ok(false);
    }
    let sql = "update assistants set name = $3, name_key = $4, settings = $5, secrets = $6, secrets_set = $7, \
        allow_private_egress = $8, active = $9, instructions = $10, limits = $11, version = version + 1 \
        where tenant_id = $1 and id = $2";
    let values = args![
        tenant,
        it.id,
        &it.name,
        key,
        it.settings.to_string(),
        &it.secrets,
        json("secrets_set", &it.secrets_set)?,
        it.allow_private_egress,
        it.active,
        &it.instructions,
        json("limits", &it.limits)?
    ];
    Ok(tx.execute("change an assistant", sql, values).await? == 1)
}

/// Removes an assistant, and every channel's consent to it.
///
/// # Errors
/// The database's own.
pub async fn delete(tx: &mut Tx, tenant: TenantId, id: AssistantId) -> Result<bool, StoreError> {
    let sql = "delete from channel_assistants where tenant_id = $1 and assistant_id = $2";
    tx.execute("take an assistant off its channels", sql, args![tenant, id]).await?;
    let sql = "delete from assistants where tenant_id = $1 and id = $2";
    Ok(tx.execute("remove an assistant", sql, args![tenant, id]).await? == 1)
}

/// One assistant.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, id: AssistantId) -> Result<Option<Assistant>, StoreError> {
    let sql = format!("select {COLUMNS} from assistants where tenant_id = $1 and id = $2");
    tx.first("read an assistant", &sql, args![tenant, id]).await?.as_ref().map(assistant).transpose()
}

/// Assistants after `after`, in order of their ids.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    after: Option<AssistantId>,
    rows_max: i64,
) -> Result<Vec<Assistant>, StoreError> {
    let sql =
        format!("select {COLUMNS} from assistants where tenant_id = $1 and id > $2 order by id limit $3");
    let after = after.map_or_else(String::new, |id| id.to_string());
    tx.all("list assistants", &sql, args![tenant, after, rows_max]).await?.iter().map(assistant).collect()
}

/// How many assistants there are.
///
/// # Errors
/// The database's own.
pub async fn count(tx: &mut Tx, tenant: TenantId) -> Result<i64, StoreError> {
    let sql = "select count(*) from assistants where tenant_id = $1";
    let row = tx.first("count assistants", sql, args![tenant]).await?;
    row.map_or(Ok(0), |row| row.columns("assistants").int("count"))
}

#[cfg(test)]
#[path = "assistants_tests.rs"]
mod tests;
