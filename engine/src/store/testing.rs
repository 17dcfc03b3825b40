//! Runs a store test on both databases: SQLite in a temporary folder, always;
//! PostgreSQL where `POINTSMAN_TEST_PG_URL` names a server (always in CI).

use std::future::Future;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::Db;
use crate::clock::Clock;

const PG_URL: &str = "POINTSMAN_TEST_PG_URL";

/// Runs `test` with a fresh, migrated database of each kind.
pub(crate) fn each_db<F: Future<Output = ()>>(test: impl Fn(Db) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        test(Db::migrate_and_connect(&url).await.unwrap()).await;
        match std::env::var(PG_URL) {
            Ok(server) => test(Db::migrate_and_connect(&fresh_database(&server).await).await.unwrap()).await,
            Err(_) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
                panic!("{PG_URL} is not set; in CI every store test runs on PostgreSQL too")
            }
            Err(_) => eprintln!("SKIPPED on PostgreSQL: {PG_URL} is not set (use `make test`)"),
        }
    });
}

async fn fresh_database(server: &str) -> String {
    let name = format!("store_{:032x}", Clock::system().random());
    let mut conn = PgConnection::connect(server).await.unwrap();
    conn.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
    conn.close().await.unwrap();
    let (base, query) = server.split_once('?').map_or((server, None), |(base, query)| (base, Some(query)));
    let stem = base.rsplit_once('/').map_or(base, |(stem, _)| stem);
    query.map_or_else(|| format!("{stem}/{name}"), |query| format!("{stem}/{name}?{query}"))
}
