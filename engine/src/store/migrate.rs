//! The schema's history, compiled in: one portable set, forward only.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{PgConnection, SqlSafeStr as _, SqliteConnection};

use super::StoreError;

/// (version, what it does, SQL). Never change one that has been released; add the next.
const MIGRATIONS: &[(i64, &str, &str)] =
    &[(1, "initial", include_str!("../../../migrations/0001_initial.sql"))];

fn migrator() -> Migrator {
    Migrator::with_migrations(
        MIGRATIONS
            .iter()
            .map(|(version, what, sql)| {
                Migration::new(
                    *version,
                    Cow::Borrowed(what),
                    MigrationType::Simple,
                    sql.into_sql_str(),
                    false,
                )
            })
            .collect(),
    )
}

pub(super) async fn run_sqlite(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    migrator().run_direct(None, conn, false).await.map_err(StoreError::Migrate)
}

pub(super) async fn run_postgres(conn: &mut PgConnection) -> Result<(), StoreError> {
    migrator().run_direct(None, conn, false).await.map_err(StoreError::Migrate)
}
