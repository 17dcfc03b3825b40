//! One transaction type over both drivers, with plain values in and rows out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::types::Value;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};

use super::row::Row;
use super::sqlite::{Reader, Sqlite};
use super::text::{
    INSERT_ROWS_MAX, QUERIES_PER_STATEMENT_MAX, ROWS, chunk, for_one, moved_places, one_row, table,
    unnumbered, values,
};
use super::{SqlStats, StoreError};

/// A value for a placeholder. Nulls are typed, as PostgreSQL wants them.
#[derive(Debug, Clone, PartialEq)]
pub enum Arg {
    /// TEXT.
    Text(Option<String>),
    /// BIGINT.
    Int(Option<i64>),
    /// BOOLEAN.
    Bool(Option<bool>),
}

macro_rules! arg_from {
    ($($from:ty => $variant:ident via $how:expr;)*) => {$(
        impl From<$from> for Arg {
            fn from(value: $from) -> Self { Self::$variant(Some($how(value))) }
        }
        impl From<Option<$from>> for Arg {
            fn from(value: Option<$from>) -> Self { Self::$variant(value.map($how)) }
        }
    )*};
}
arg_from! {
    &str => Text via str::to_owned;
    String => Text via std::convert::identity;
    &String => Text via String::clone;
    i64 => Int via std::convert::identity;
    i32 => Int via i64::from;
    u32 => Int via i64::from;
    bool => Bool via std::convert::identity;
}

macro_rules! arg_from_id {
    ($($id:ident),* $(,)?) => {$(
        impl From<pointsman_rules::ids::$id> for Arg {
            fn from(id: pointsman_rules::ids::$id) -> Self { Self::Text(Some(id.text().as_str().to_owned())) }
        }
        impl From<Option<pointsman_rules::ids::$id>> for Arg {
            fn from(id: Option<pointsman_rules::ids::$id>) -> Self { Self::Text(id.map(|id| id.text().as_str().to_owned())) }
        }
    )*};
}
arg_from_id!(
    TenantId,
    UserId,
    SessionId,
    KeyId,
    GroupId,
    ChannelId,
    ContactId,
    IdentityId,
    ConversationId,
    MessageId,
    TemplateId,
    RuleId,
    RuleVersionId,
    EventId,
    EffectId,
    TimerId,
    CalendarId,
    NotificationId,
    AttachmentId,
    RawWebhookId,
    JobId,
    LaneId,
    InboxId,
    RequestId,
    AuditId,
    WebhookId,
    HookId,
    DeliveryId,
    MergeId,
    ErasureId,
    TrialId,
    AssistantId,
    KnowledgeId,
);

/// `args![a, b, c]`: values for `$1, $2, $3`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::Arg::from($value)),*] };
}

/// A connection inside a transaction (writes) or outside of one (reads).
pub struct Tx {
    pub(super) conn: Conn,
    pub(super) stats: Arc<SqlStats>,
}

pub(super) enum Conn {
    SqliteReader(Reader),
    SqliteWriter(Sqlite),
    Postgres(PoolConnection<Postgres>),
    PostgresTx(sqlx::Transaction<'static, Postgres>),
}

macro_rules! bind_all {
    ($query:expr, $args:expr) => {{
        let mut query = $query;
        for arg in $args {
            query = match arg {
                Arg::Text(value) => query.bind(value),
                Arg::Int(value) => query.bind(value),
                Arg::Bool(value) => query.bind(value),
            };
        }
        query
    }};
}

impl Tx {
    /// Is this PostgreSQL? Only for the few places where the SQL truly differs.
    pub fn is_postgres(&self) -> bool {
        matches!(self.conn, Conn::Postgres(_) | Conn::PostgresTx(_))
    }

    /// Runs a statement; answers the number of rows it touched. `what` continues "failed while it should".
    ///
    /// # Errors
    /// The database's own.
    pub async fn execute(
        &mut self,
        what: &'static str,
        sql: &str,
        args: Vec<Arg>,
    ) -> Result<u64, StoreError> {
        count(&self.stats.statements);
        // Statements are built from constants in this room only.
        let done = match &mut self.conn {
            Conn::SqliteWriter(conn) => return execute_sqlite(conn, what, sql, &args),
            Conn::SqliteReader(reader) => return execute_sqlite(reader.conn()?, what, sql, &args),
            Conn::Postgres(conn) => execute_postgres(conn, sql, args).await,
            Conn::PostgresTx(tx) => execute_postgres(tx, sql, args).await,
        };
        done.map_err(|source| StoreError::Database { what, source })
    }

    /// Runs a query; answers all its rows.
    ///
    /// # Errors
    /// The database's own.
    pub async fn all(
        &mut self,
        what: &'static str,
        sql: &str,
        args: Vec<Arg>,
    ) -> Result<Vec<Row>, StoreError> {
        count(&self.stats.statements);
        let rows = match &mut self.conn {
            Conn::SqliteWriter(conn) => return all_sqlite(conn, what, sql, &args),
            Conn::SqliteReader(reader) => return all_sqlite(reader.conn()?, what, sql, &args),
            Conn::Postgres(conn) => all_postgres(conn, sql, args).await,
            Conn::PostgresTx(tx) => all_postgres(tx, sql, args).await,
        };
        rows.map_err(|source| StoreError::Database { what, source })
    }

    /// Runs a query; answers its first row, if any.
    ///
    /// # Errors
    /// The database's own.
    pub async fn first(
        &mut self,
        what: &'static str,
        sql: &str,
        args: Vec<Arg>,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.all(what, sql, args).await?.into_iter().next())
    }

    /// Inserts many rows. `head` is `insert into t (a, b)`, `tail` what follows the values (`on conflict … do nothing`).
    /// On PostgreSQL with few statements, cut into powers of two so that few texts exist; on SQLite row by row, because
    /// there a statement costs less than keeping what a longer one would have to undo.
    ///
    /// # Errors
    /// The database's own.
    pub async fn insert_many(
        &mut self,
        what: &'static str,
        head: &str,
        mut rows: Vec<Vec<Arg>>,
        tail: &str,
    ) -> Result<u64, StoreError> {
        if rows.is_empty() {
            return Ok(0);
        }
        if let Some(conn) = self.sqlite(rows.len())? {
            let done = conn.execute_each(&one_row(head, &rows, tail), &rows);
            return done.map_err(|source| StoreError::Sqlite { what, source });
        }
        let mut touched = 0;
        while !rows.is_empty() {
            let take = chunk(rows.len());
            let rest = rows.split_off(take);
            let sql = values(head, &rows, tail);
            touched += self.execute(what, &sql, rows.into_iter().flatten().collect()).await?;
            rows = rest;
        }
        Ok(touched)
    }

    /// Like `insert_many`, with `returning` in the tail: answers the rows that were inserted.
    ///
    /// # Errors
    /// The database's own.
    pub async fn insert_many_returning(
        &mut self,
        what: &'static str,
        head: &str,
        mut rows: Vec<Vec<Arg>>,
        tail: &str,
    ) -> Result<Vec<Row>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(conn) = self.sqlite(rows.len())? {
            return sqlite_rows(what, conn.all_of_each(&one_row(head, &rows, tail), &rows));
        }
        let mut out = Vec::new();
        while !rows.is_empty() {
            let take = chunk(rows.len());
            let rest = rows.split_off(take);
            let sql = values(head, &rows, tail);
            out.extend(self.all(what, &sql, rows.into_iter().flatten().collect()).await?);
            rows = rest;
        }
        Ok(out)
    }

    /// Runs a statement that reads or changes many rows by their keys: `:rows` in it becomes a table of `rows`, with the
    /// columns `column1`, `column2`, … after the places of `args`. Answers what it selects or returns.
    ///
    /// On PostgreSQL the last row is repeated up to a power of two, so that few statement texts exist; on SQLite the
    /// statement is run for each row by itself. It must not mind either.
    ///
    /// # Errors
    /// The database's own.
    pub async fn join_rows(
        &mut self,
        what: &'static str,
        sql: &str,
        args: Vec<Arg>,
        rows: &[Vec<Arg>],
    ) -> Result<Vec<Row>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(conn) = self.sqlite(rows.len())? {
            let sql = for_one(sql, args.len(), rows);
            return sqlite_rows(what, each(conn, &sql, &args, rows));
        }
        let mut out = Vec::new();
        for rows in rows.chunks(INSERT_ROWS_MAX) {
            let (sql, values) = joined(sql, &args, rows);
            out.extend(self.all(what, &sql, values).await?);
        }
        Ok(out)
    }

    /// Like `join_rows`, for a statement that answers nothing. What a statement of SQLite returns goes through a table of
    /// its own, so one that only changes rows should not return them.
    ///
    /// # Errors
    /// The database's own.
    pub async fn change_rows(
        &mut self,
        what: &'static str,
        sql: &str,
        args: Vec<Arg>,
        rows: &[Vec<Arg>],
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        if let Some(conn) = self.sqlite(rows.len())? {
            let sql = for_one(sql, args.len(), rows);
            let (plain, order) = unnumbered(&sql, args.len() + rows.first().map_or(0, Vec::len));
            let done = conn.execute_each(&plain, rows.iter().map(|row| in_order(&order, &args, row)));
            return done.map(drop).map_err(|source| StoreError::Sqlite { what, source });
        }
        for rows in rows.chunks(INSERT_ROWS_MAX) {
            let (sql, values) = joined(sql, &args, rows);
            self.execute(what, &sql, values).await?;
        }
        Ok(())
    }

    /// Runs a query once for each of `rows`, whose places come after those of `args`; answers all that they find,
    /// what belongs to one row in the query's order. On PostgreSQL several share a statement.
    ///
    /// # Errors
    /// The database's own.
    pub async fn all_of_each(
        &mut self,
        what: &'static str,
        sql: &str,
        args: Vec<Arg>,
        rows: &[Vec<Arg>],
    ) -> Result<Vec<Row>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(conn) = self.sqlite(rows.len())? {
            return sqlite_rows(what, each(conn, sql, &args, rows));
        }
        let mut out = Vec::new();
        for rows in rows.chunks(QUERIES_PER_STATEMENT_MAX) {
            let of_row = |(index, row): (usize, &Vec<Arg>)| {
                let moved = moved_places(sql, args.len(), index * row.len());
                format!("select * from ({moved}) as l{index}")
            };
            let parts: Vec<_> = rows.iter().enumerate().map(of_row).collect();
            let values = args.iter().chain(rows.iter().flatten()).cloned().collect();
            out.extend(self.all(what, &parts.join(" union all "), values).await?);
        }
        Ok(out)
    }

    /// The connection, if it is to SQLite; counts the statements that it will run.
    fn sqlite(&self, statements: usize) -> Result<Option<&Sqlite>, StoreError> {
        let conn = match &self.conn {
            Conn::SqliteWriter(conn) => conn,
            Conn::SqliteReader(reader) => reader.conn()?,
            Conn::Postgres(_) | Conn::PostgresTx(_) => return Ok(None),
        };
        self.stats.statements.fetch_add(statements as u64, Ordering::Relaxed);
        Ok(Some(conn))
    }
}

fn sqlite_rows(what: &'static str, found: rusqlite::Result<Vec<Vec<Value>>>) -> Result<Vec<Row>, StoreError> {
    let found = found.map_err(|source| StoreError::Sqlite { what, source })?;
    Ok(found.into_iter().map(Row::Sqlite).collect())
}

/// Runs a statement for each row, whose places come after those of `args`.
fn each(conn: &Sqlite, sql: &str, args: &[Arg], rows: &[Vec<Arg>]) -> rusqlite::Result<Vec<Vec<Value>>> {
    let (plain, order) = unnumbered(sql, args.len() + rows.first().map_or(0, Vec::len));
    conn.all_of_each(&plain, rows.iter().map(|row| in_order(&order, args, row)))
}

/// The statement of `Tx::join_rows` for these rows on PostgreSQL, and its values.
fn joined(sql: &str, args: &[Arg], rows: &[Vec<Arg>]) -> (String, Vec<Arg>) {
    let padding = rows.last().into_iter().cycle().take(rows.len().next_power_of_two() - rows.len());
    let rows: Vec<&Vec<Arg>> = rows.iter().chain(padding).collect();
    let sql = sql.replace(ROWS, &table(args.len() + 1, &rows));
    (sql, args.iter().chain(rows.into_iter().flatten()).cloned().collect())
}

/// Values as a statement with plain places wants them: of `args`, and of `row` behind them.
fn in_order<'a>(order: &'a [usize], args: &'a [Arg], row: &'a [Arg]) -> impl Iterator<Item = &'a Arg> {
    order.iter().filter_map(|at| args.get(*at).or_else(|| row.get(*at - args.len())))
}

fn execute_sqlite(conn: &Sqlite, what: &'static str, sql: &str, args: &[Arg]) -> Result<u64, StoreError> {
    let (plain, order) = unnumbered(sql, args.len());
    let done = conn.execute(&plain, in_order(&order, args, &[]));
    done.map_err(|source| StoreError::Sqlite { what, source })
}

fn all_sqlite(conn: &Sqlite, what: &'static str, sql: &str, args: &[Arg]) -> Result<Vec<Row>, StoreError> {
    let (plain, order) = unnumbered(sql, args.len());
    sqlite_rows(what, conn.all(&plain, in_order(&order, args, &[])))
}

async fn execute_postgres(conn: &mut PgConnection, sql: &str, args: Vec<Arg>) -> Result<u64, sqlx::Error> {
    let query = bind_all!(sqlx::query::<Postgres>(AssertSqlSafe(sql.to_owned())), args);
    query.execute(conn).await.map(|done| done.rows_affected())
}

async fn all_postgres(conn: &mut PgConnection, sql: &str, args: Vec<Arg>) -> Result<Vec<Row>, sqlx::Error> {
    let query = bind_all!(sqlx::query::<Postgres>(AssertSqlSafe(sql.to_owned())), args);
    query.fetch_all(conn).await.map(|rows| rows.into_iter().map(Row::Postgres).collect())
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
