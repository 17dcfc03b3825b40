//! SQLite's connections, called in place: a statement costs a function call,
//! where an asynchronous driver changes threads twice for each. Reads go by
//! index and are short; what is long must be cut into pages.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, Statement, ToSql};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Arg, StoreError};

/// Prepared statements kept per connection; those over many rows come in seven sizes each.
const STATEMENTS_MAX: usize = 512;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages of the database that the writing connection keeps in memory at most, KiB; the default is 2,000.
const WRITER_CACHE_KIB: u32 = 16_000;
const READERS_MAX: usize = 8;

thread_local! {
    /// SQLite tells it at each commit, on the thread that commits.
    static LOG_PAGES: Cell<u32> = const { Cell::new(0) };
}

/// A connection.
pub(super) struct Sqlite(Connection);

/// Connections that read, opened when they are needed.
pub(super) struct Readers {
    file: PathBuf,
    places: Arc<Semaphore>,
    free: Mutex<Vec<Sqlite>>,
}

/// A connection that reads; goes back when dropped.
pub(super) struct Reader {
    /// Taken out by `drop` only.
    conn: Option<Sqlite>,
    home: Arc<Readers>,
    _place: OwnedSemaphorePermit,
}

impl Readers {
    pub(super) fn new(file: &Path) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(READERS_MAX));
        Arc::new(Self { file: file.to_owned(), places, free: Mutex::default() })
    }

    /// A connection for one caller.
    pub(super) async fn acquire(self: &Arc<Self>) -> Result<Reader, StoreError> {
        let place = tokio::time::timeout(ACQUIRE_TIMEOUT, self.places.clone().acquire_owned()).await;
        let place = place.map_err(|_| StoreError::Busy)?.map_err(|_| StoreError::Closed)?;
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let conn = match free {
            Some(conn) => conn,
            None => Sqlite::reader(&self.file)
                .map_err(|source| StoreError::Sqlite { what: "open its file for reading", source })?,
        };
        Ok(Reader { conn: Some(conn), home: self.clone(), _place: place })
    }
}

impl Reader {
    pub(super) fn conn(&self) -> Result<&Sqlite, StoreError> {
        self.conn.as_ref().ok_or(StoreError::Closed)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.home.free.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
    }
}

impl ToSql for Arg {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match self {
            Self::Text(value) => value.as_ref().map(|text| ValueRef::Text(text.as_bytes())),
            Self::Int(value) => value.map(ValueRef::Integer),
            Self::Bool(value) => value.map(|yes| ValueRef::Integer(yes.into())),
        };
        Ok(ToSqlOutput::Borrowed(value.unwrap_or(ValueRef::Null)))
    }
}

impl Sqlite {
    /// The one connection that writes. The file exists, in the mode that it was given when it was made.
    pub(super) fn writer(file: &Path) -> rusqlite::Result<Self> {
        let pragmas = [
            // Commits are brought to disk by `disk`, which answers for them. At checkpoints SQLite itself syncs the log
            // and then the database, also on macOS past the drive's own cache.
            ("synchronous", "normal".to_owned()),
            ("checkpoint_fullfsync", "on".to_owned()),
            ("foreign_keys", "on".to_owned()),
            ("cache_size", format!("-{WRITER_CACHE_KIB}")),
            ("temp_store", "memory".to_owned()),
        ];
        let writer = Self::open(file, OpenFlags::SQLITE_OPEN_READ_WRITE, &pragmas)?;
        // Instead of SQLite's own checkpoints, which are made by such a hook, too.
        writer.0.wal_hook(Some(|_, pages| {
            LOG_PAGES.set(u32::try_from(pages).unwrap_or_default());
            Ok(())
        }));
        Ok(writer)
    }

    /// A connection that only moves the log into the database.
    pub(super) fn mover(file: &Path) -> rusqlite::Result<Self> {
        let pragmas = [
            ("synchronous", "normal".to_owned()),
            ("checkpoint_fullfsync", "on".to_owned()),
            ("wal_autocheckpoint", "0".to_owned()),
        ];
        Self::open(file, OpenFlags::SQLITE_OPEN_READ_WRITE, &pragmas)
    }

    /// Pages in the log after this thread's last commit.
    pub(super) fn log_pages() -> u32 {
        LOG_PAGES.get()
    }

    /// Moves as much of the log as no reader needs, while others write. Answers how many of its pages are moved now; 0
    /// while another connection is at it.
    ///
    /// # Errors
    /// `StorageFull` where the database has no room; all others leave unknown what is on disk.
    pub(super) fn checkpoint(&self) -> io::Result<u32> {
        let moved = self.0.query_row("pragma wal_checkpoint(passive)", [], |row| row.get::<_, i64>(2));
        moved.map(|pages| u32::try_from(pages).unwrap_or_default()).map_err(|error| {
            match error.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => io::Error::new(io::ErrorKind::StorageFull, error),
                _ => io::Error::other(error),
            }
        })
    }

    fn reader(file: &Path) -> rusqlite::Result<Self> {
        Self::open(file, OpenFlags::SQLITE_OPEN_READ_ONLY, &[])
    }

    fn open(file: &Path, mode: OpenFlags, pragmas: &[(&str, String)]) -> rusqlite::Result<Self> {
        let connection = Connection::open_with_flags(file, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        for (name, value) in pragmas {
            connection.pragma_update(None, name, value)?;
        }
        Ok(Self(connection))
    }

    /// Its file, with links followed.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.0.path().map(PathBuf::from)
    }

    fn prepare(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        #[cfg(test)]
        super::plan::check(&self.0, sql);
        self.0.prepare_cached(sql)
    }

    /// Answers the number of rows touched.
    pub(super) fn execute<'a>(
        &self,
        sql: &str,
        args: impl IntoIterator<Item = &'a Arg>,
    ) -> rusqlite::Result<u64> {
        self.execute_each(sql, [args])
    }

    /// Runs one statement with each of these values; answers the number of rows touched.
    pub(super) fn execute_each<'a, R>(
        &self,
        sql: &str,
        rows: impl IntoIterator<Item = R>,
    ) -> rusqlite::Result<u64>
    where
        R: IntoIterator<Item = &'a Arg>,
    {
        let mut statement = self.prepare(sql)?;
        let mut touched = 0;
        for args in rows {
            bind(&mut statement, args)?;
            touched += statement.raw_execute()? as u64;
        }
        Ok(touched)
    }

    /// Answers all rows, column by column.
    pub(super) fn all<'a>(
        &self,
        sql: &str,
        args: impl IntoIterator<Item = &'a Arg>,
    ) -> rusqlite::Result<Vec<Vec<Value>>> {
        self.all_of_each(sql, [args])
    }

    /// Answers all rows of one statement with each of these values.
    pub(super) fn all_of_each<'a, R>(
        &self,
        sql: &str,
        rows: impl IntoIterator<Item = R>,
    ) -> rusqlite::Result<Vec<Vec<Value>>>
    where
        R: IntoIterator<Item = &'a Arg>,
    {
        let mut statement = self.prepare(sql)?;
        let columns = statement.column_count();
        let mut out = Vec::new();
        for args in rows {
            bind(&mut statement, args)?;
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                out.push((0..columns).map(|at| row.get(at)).collect::<Result<_, _>>()?);
            }
        }
        Ok(out)
    }
}

fn bind<'a>(statement: &mut Statement<'_>, args: impl IntoIterator<Item = &'a Arg>) -> rusqlite::Result<()> {
    for (index, arg) in args.into_iter().enumerate() {
        statement.raw_bind_parameter(index + 1, arg)?;
    }
    Ok(())
}
