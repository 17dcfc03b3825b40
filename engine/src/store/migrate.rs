//! The schema's history, compiled in: one portable set, forward only.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr as _, SqliteConnection};

use super::{StoreError, Tx};

/// (version, what it does, SQL). Never change one that has been released; add the next.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../../../migrations/0001_initial.sql")),
    (2, "jobs", include_str!("../../../migrations/0002_jobs.sql")),
    (3, "retention", include_str!("../../../migrations/0003_retention.sql")),
    (4, "installation", include_str!("../../../migrations/0004_installation.sql")),
    (5, "rule starts", include_str!("../../../migrations/0005_rule_starts.sql")),
    (6, "attachments", include_str!("../../../migrations/0006_attachments.sql")),
    (8, "webhooks", include_str!("../../../migrations/0008_webhooks.sql")),
    (9, "tenants", include_str!("../../../migrations/0009_tenants.sql")),
    (7, "contacts", include_str!("../../../migrations/0007_contacts.sql")),
    (12, "assignment", include_str!("../../../migrations/0012_assignment.sql")),
    (13, "templates", include_str!("../../../migrations/0013_templates.sql")),
    (14, "lists", include_str!("../../../migrations/0014_lists.sql")),
    (10, "channels", include_str!("../../../migrations/0010_channels.sql")),
    (20, "pace", include_str!("../../../migrations/0020_pace.sql")),
    (17, "trials", include_str!("../../../migrations/0017_trials.sql")),
    (11, "media", include_str!("../../../migrations/0011_media.sql")),
    (16, "rule calls", include_str!("../../../migrations/0016_rule_calls.sql")),
    (15, "rule life", include_str!("../../../migrations/0015_rule_life.sql")),
    (24, "gaps", include_str!("../../../migrations/0024_gaps.sql")),
    (19, "sessions", include_str!("../../../migrations/0019_sessions.sql")),
    (21, "assistants", include_str!("../../../migrations/0021_assistants.sql")),
    (22, "assistant tasks", include_str!("../../../migrations/0022_assistant_tasks.sql")),
    (25, "labels", include_str!("../../../migrations/0025_labels.sql")),
    (23, "installed plugins", include_str!("../../../migrations/0023_installed_plugins.sql")),
    (27, "assistant calls", include_str!("../../../migrations/0027_assistant_calls.sql")),
    (28, "assistant currency", include_str!("../../../migrations/0028_assistant_currency.sql")),
    (29, "woken jobs", include_str!("../../../migrations/0029_woken.sql")),
    (30, "plans", include_str!("../../../migrations/0030_plans.sql")),
    (31, "runs", include_str!("../../../migrations/0031_runs.sql")),
];

/// The texts of a JSON list as rows: the one thing that the two databases spell differently in a migration.
const LIST_ON_SQLITE: &str = "json_each(c.labels)";
const LIST_ON_POSTGRES: &str = "json_array_elements_text(c.labels::json)";

fn migrator(is_postgres: bool) -> Migrator {
    let list = if is_postgres { LIST_ON_POSTGRES } else { LIST_ON_SQLITE };
    Migrator::with_migrations(
        MIGRATIONS
            .iter()
            .map(|(version, what, sql)| {
                Migration::new(
                    *version,
                    Cow::Borrowed(what),
                    MigrationType::Simple,
                    AssertSqlSafe(sql.replace(LIST_ON_SQLITE, list)).into_sql_str(),
                    false,
                )
            })
            .collect(),
    )
}

/// How the schema of a database compares with this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaState {
    /// The same.
    Current,
    /// So many migrations are missing.
    Behind(usize),
    /// Made by a newer program.
    Ahead,
}

/// Compares without changing anything.
///
/// # Errors
/// The database's own; also when nothing was ever migrated.
pub async fn schema_state(tx: &mut Tx) -> Result<SchemaState, StoreError> {
    let sql = "select version from _sqlx_migrations where success order by version";
    let mut applied = Vec::new();
    for row in tx.all("read the schema's version", sql, Vec::new()).await? {
        applied.push(row.columns("_sqlx_migrations").int("version")?);
    }
    let is_ours = |version: &i64| MIGRATIONS.iter().any(|(ours, ..)| ours == version);
    if applied.iter().any(|version| !is_ours(version)) {
        return Ok(SchemaState::Ahead);
    }
    Ok(match MIGRATIONS.len() - applied.len() {
        0 => SchemaState::Current,
        missing => SchemaState::Behind(missing),
    })
}

pub(super) async fn run_sqlite(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    migrator(false).run_direct(None, conn, false).await.map_err(StoreError::Migrate)
}

pub(super) async fn run_postgres(conn: &mut PgConnection) -> Result<(), StoreError> {
    migrator(true).run_direct(None, conn, false).await.map_err(StoreError::Migrate)
}

#[cfg(test)]
mod tests {
    use super::super::Durability;
    use super::super::testing::each_db;
    use super::*;
    use crate::args;

    #[test]
    fn an_older_and_a_newer_schema_are_told_apart() {
        each_db(|db| async move {
            assert_eq!(schema_state(&mut db.read().await.unwrap()).await.unwrap(), SchemaState::Current);
            let change = |sql: &'static str| {
                db.write(Durability::Soft, move |tx| {
                    Box::pin(async move { tx.execute("change the history", sql, args![]).await })
                })
            };
            change("update _sqlx_migrations set version = 9999 where version = 5").await.unwrap();
            assert_eq!(schema_state(&mut db.read().await.unwrap()).await.unwrap(), SchemaState::Ahead);
            change("delete from _sqlx_migrations where version = 9999").await.unwrap();
            assert_eq!(schema_state(&mut db.read().await.unwrap()).await.unwrap(), SchemaState::Behind(1));
        });
    }
}
