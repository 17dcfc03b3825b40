//! Opening a database and running transactions on it.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _, PgPool};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::checkpoint::{self, Database};
use super::disk::{self, COMMITS_MAX, Log};
use super::sqlite::{Readers, Sqlite};
use super::tx::{Conn, count};
use super::writer::{Body, Durability, Job, QUEUE_MAX};
use super::{StoreError, Tx, migrate, statistics, writer};

/// Prepared statements kept per connection of PostgreSQL; multi-row inserts come in seven sizes each.
const STATEMENTS_MAX: usize = 512;
/// How long a caller waits for a connection to PostgreSQL.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const POSTGRES_CONNECTIONS_MAX: u32 = 24;
/// PostgreSQL joins in the order in which a statement says it. Every key begins with the tenant, and
/// as long as the statistics of a young database do not know that one tenant owns nearly all rows,
/// the planner likes to join by tenant alone: 64 keys then cost a million comparisons.
const JOINS_AS_WRITTEN: (&str, &str) = ("join_collapse_limit", "1");
/// How often a transaction is run again after a deadlock or serialization failure.
const ATTEMPTS_MAX: u32 = 4;

/// What the database was asked to do since the start.
#[derive(Debug, Default)]
pub struct SqlStats {
    /// Statements.
    pub statements: AtomicU64,
    /// Commits.
    pub commits: AtomicU64,
    /// Times that commits were brought to disk: on SQLite several at once, on PostgreSQL each by itself.
    pub syncs: AtomicU64,
    /// SQLite batches that had to be run one by one.
    pub batches_split: AtomicU64,
}

/// A database, cheap to clone.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    pools: Pools,
    stats: Arc<SqlStats>,
}

enum Pools {
    Sqlite(Sqlites),
    Postgres { pool: PgPool },
}

struct Sqlites {
    readers: Arc<Readers>,
    writer: mpsc::Sender<Box<dyn Job>>,
    file: PathBuf,
    /// Cancelled when the log or the database cannot be brought to disk.
    broken: CancellationToken,
}

impl Db {
    /// Opens `sqlite://path` (made when missing) or `postgres://…` without changing the schema.
    ///
    /// # Errors
    /// A bad address, no database there, or an older or newer schema.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::open(url, false).await
    }

    /// Brings the schema up to date first, on one connection of its own.
    ///
    /// # Errors
    /// As `connect`, or a migration that fails.
    pub async fn migrate_and_connect(url: &str) -> Result<Self, StoreError> {
        Self::open(url, true).await
    }

    async fn open(url: &str, migrate_first: bool) -> Result<Self, StoreError> {
        let stats = Arc::new(SqlStats::default());
        let pools = if let Some(path) = url.strip_prefix("sqlite://") {
            open_sqlite(Path::new(path), migrate_first, &stats).await?
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            open_postgres(url, migrate_first).await?
        } else {
            return Err(StoreError::Url(url.split('@').next_back().unwrap_or_default().to_owned()));
        };
        Ok(Self { inner: Arc::new(Inner { pools, stats }) })
    }

    /// Is this PostgreSQL?
    pub fn is_postgres(&self) -> bool {
        matches!(self.inner.pools, Pools::Postgres { .. })
    }

    /// The SQLite file, if it is one.
    pub fn sqlite_file(&self) -> Option<&Path> {
        match &self.inner.pools {
            Pools::Sqlite(sqlite) => Some(&sqlite.file),
            Pools::Postgres { .. } => None,
        }
    }

    /// The PostgreSQL pool, for a LISTEN connection.
    pub fn postgres_pool(&self) -> Option<&PgPool> {
        match &self.inner.pools {
            Pools::Sqlite(_) => None,
            Pools::Postgres { pool } => Some(pool),
        }
    }

    /// Ends when this store can keep nothing any more: the disk did not take what was written. Start again to go on.
    pub async fn broken(&self) {
        match &self.inner.pools {
            Pools::Sqlite(sqlite) => sqlite.broken.cancelled().await,
            Pools::Postgres { .. } => std::future::pending().await,
        }
    }

    /// Counters.
    pub fn stats(&self) -> &SqlStats {
        &self.inner.stats
    }

    /// A connection for reading. Statements see what was committed before each of them.
    ///
    /// # Errors
    /// No connection within ten seconds.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        let failed = |source| StoreError::Database { what: "give a connection", source };
        let conn = match &self.inner.pools {
            Pools::Sqlite(sqlite) => Conn::SqliteReader(sqlite.readers.acquire().await?),
            Pools::Postgres { pool } => Conn::Postgres(pool.acquire().await.map_err(failed)?),
        };
        Ok(Tx { conn, stats: self.inner.stats.clone() })
    }

    /// Runs `body` in a transaction and commits. On SQLite, transactions that wait at the same moment share one
    /// commit; `body` may be run again, so it must start from its own inputs every time.
    ///
    /// # Errors
    /// The body's own, or the database's; nothing is kept then. With [`StoreError::NotOnDisk`] that is not known, as after
    /// a crash between the commit and its answer.
    pub async fn write<T, F>(&self, durability: Durability, body: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + Sync + 'static,
    {
        match &self.inner.pools {
            Pools::Sqlite(sqlite) => {
                let (answer, answered) = oneshot::channel();
                let job = Box::new(Body { durability, body, value: None, answer });
                sqlite.writer.send(job).await.map_err(|_| StoreError::Closed)?;
                answered.await.map_err(|_| StoreError::Closed)?
            }
            Pools::Postgres { pool } => self.write_postgres(pool, durability, body).await,
        }
    }

    async fn write_postgres<T, F>(
        &self,
        pool: &PgPool,
        durability: Durability,
        body: F,
    ) -> Result<T, StoreError>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>>,
    {
        let mut attempt = 1;
        loop {
            let begun =
                pool.begin().await.map_err(|source| StoreError::Database { what: "begin", source })?;
            let mut tx = Tx { conn: Conn::PostgresTx(begun), stats: self.inner.stats.clone() };
            if durability == Durability::Soft {
                tx.execute("set its durability", "set local synchronous_commit = off", Vec::new()).await?;
            }
            let outcome = match body(&mut tx).await {
                Ok(value) => commit(tx, durability).await.map(|()| value),
                Err(error) => Err(error), // dropping the transaction rolls it back
            };
            match outcome {
                Err(error) if error.is_transient() && attempt < ATTEMPTS_MAX => attempt += 1,
                outcome => return outcome,
            }
        }
    }
}

async fn commit(tx: Tx, durability: Durability) -> Result<(), StoreError> {
    let Conn::PostgresTx(begun) = tx.conn else { return Err(StoreError::Closed) };
    begun.commit().await.map_err(|source| StoreError::Database { what: "commit", source })?;
    count(&tx.stats.commits);
    if durability == Durability::Hard {
        count(&tx.stats.syncs);
    }
    Ok(())
}

async fn open_sqlite(path: &Path, migrate_first: bool, stats: &Arc<SqlStats>) -> Result<Pools, StoreError> {
    prepare_sqlite(path, migrate_first).await?;
    let conn = Sqlite::writer(path)
        .map_err(|source| StoreError::Sqlite { what: "open its file for writing", source })?;
    let mut log = Log::of(&conn.file().unwrap_or_else(|| path.to_owned()));
    let (writer, broken) = start_threads(path, conn, stats, move || log.sync())?;
    Ok(Pools::Sqlite(Sqlites { readers: Readers::new(path), writer, file: path.to_owned(), broken }))
}

/// Moves what the last process left in its log into the database, too.
async fn prepare_sqlite(path: &Path, migrate_first: bool) -> Result<(), StoreError> {
    let failed = |source| StoreError::Database { what: "open its file", source };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(migrate_first)
        .journal_mode(SqliteJournalMode::Wal)
        .foreign_keys(true)
        .disable_statement_logging();
    // One connection migrates before any other exists; a pool that opens meanwhile would race it.
    let mut conn = options.connect().await.map_err(failed)?;
    if migrate_first {
        migrate::run_sqlite(&mut conn).await?;
        statistics::write(&mut conn).await?;
    }
    conn.close().await.map_err(failed)
}

/// Starts who writes, who brings it to disk with `sync`, and who moves it into the database; all end with the last
/// sender.
fn start_threads(
    path: &Path,
    conn: Sqlite,
    stats: &Arc<SqlStats>,
    sync: impl FnMut() -> io::Result<()> + Send + 'static,
) -> Result<(mpsc::Sender<Box<dyn Job>>, CancellationToken), StoreError> {
    let (writer, queue) = mpsc::channel(QUEUE_MAX);
    let (committed, commits) = sync_channel(COMMITS_MAX);
    let broken = CancellationToken::new();
    let (checkpoints, mover) = checkpoint::pair(path, broken.clone()).map_err(failed_to_start)?;
    let database = Database::open(path).map_err(failed_to_start)?;
    spawn("sqlite-mover", move || mover.run(|| database.sync()))?;
    let (told, seen, counts) = (broken.clone(), broken.clone(), stats.clone());
    spawn("sqlite-disk", move || disk::run(&commits, sync, &told, &counts))?;
    let (runtime, counts) = (tokio::runtime::Handle::current(), stats.clone());
    spawn("sqlite-writer", move || {
        runtime.block_on(writer::run((conn, checkpoints), queue, committed, seen, counts))
    })?;
    Ok((writer, broken))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map(drop).map_err(failed_to_start)
}

fn failed_to_start(source: io::Error) -> StoreError {
    StoreError::Database { what: "start its writing threads", source: sqlx::Error::Io(source) }
}

async fn open_postgres(url: &str, migrate_first: bool) -> Result<Pools, StoreError> {
    let failed = |source| StoreError::Database { what: "connect", source };
    let options = PgConnectOptions::from_str(url)
        .map_err(failed)?
        .statement_cache_capacity(STATEMENTS_MAX)
        .options([JOINS_AS_WRITTEN])
        .disable_statement_logging();
    let mut conn = options.connect().await.map_err(failed)?;
    if migrate_first {
        migrate::run_postgres(&mut conn).await?;
    }
    conn.close().await.map_err(failed)?;
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .connect_lazy_with(options);
    Ok(Pools::Postgres { pool })
}

#[cfg(test)]
impl Db {
    /// A new SQLite database whose log is brought to disk by `sync`.
    pub(super) async fn synced_by(
        path: &Path,
        sync: impl FnMut() -> io::Result<()> + Send + 'static,
    ) -> Self {
        prepare_sqlite(path, true).await.unwrap();
        let stats = Arc::new(SqlStats::default());
        let (writer, broken) = start_threads(path, Sqlite::writer(path).unwrap(), &stats, sync).unwrap();
        let sqlites = Sqlites { readers: Readers::new(path), writer, file: path.to_owned(), broken };
        Self { inner: Arc::new(Inner { pools: Pools::Sqlite(sqlites), stats }) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::*;
    use crate::args;

    #[test]
    fn a_failing_transaction_does_not_take_its_batch_with_it() {
        each_db(|db| async move {
            let insert = |id: &'static str, fail: bool| {
                db.write(Durability::Hard, move |tx| {
                    Box::pin(async move {
                        let sql =
                            "insert into tenants (id, name, settings, created_ms) values ($1, $2, $3, $4)";
                        tx.execute("add a tenant", sql, args![id, "n", "{}", 1i64]).await?;
                        if fail { Err(StoreError::Closed) } else { Ok(()) }
                    })
                })
            };
            let (a, b, c) = tokio::join!(insert("a", false), insert("b", true), insert("c", false));
            assert!(a.is_ok() && b.is_err() && c.is_ok(), "{a:?} {b:?} {c:?}");
            let mut tx = db.read().await.unwrap();
            let rows = tx.all("list", "select id from tenants order by id", vec![]).await.unwrap();
            let ids: Vec<_> = rows.iter().map(|row| row.columns("tenants").text("id").unwrap()).collect();
            assert_eq!(ids, ["a", "c"]);
        });
    }

    #[test]
    fn values_of_every_type_come_back() {
        each_db(|db| async move {
            db.write(Durability::Soft, |tx| {
                Box::pin(async move {
                    let rows = vec![
                        args!["t", "l1", "turn", "c", Some(5i64), true, 1i64, 2i64, 0i64, 0i64],
                        args!["t", "l2", "turn", "c", None::<i64>, false, 1i64, 2i64, 0i64, 0i64],
                        args!["t", "l3", "turn", "c", None::<i64>, false, 1i64, 2i64, 0i64, 0i64],
                    ];
                    let head = "insert into lanes (tenant_id, id, task, channel_id, ready_ms, leased, token, gen, done, attempts)";
                    let done = tx.insert_many_returning("add", head, rows, "on conflict do nothing returning id").await?;
                    assert_eq!(done.len(), 3);
                    Ok(())
                })
            })
            .await
            .unwrap();
            let mut tx = db.read().await.unwrap();
            let row = tx
                .first("read", "select ready_ms, leased from lanes where id = $1 limit 1", args!["l1"])
                .await
                .unwrap();
            let row = row.unwrap();
            let mut columns = row.columns("lanes");
            assert_eq!(
                (columns.opt_int("ready_ms").unwrap(), columns.bool("leased").unwrap()),
                (Some(5), true)
            );
            let error = row.columns("lanes").text("ready_ms").unwrap_err();
            assert!(error.to_string().contains("lanes.ready_ms"), "{error}");
        });
    }
}
