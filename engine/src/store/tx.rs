//! One transaction type over both drivers, with plain values in and rows out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};

use super::row::Row;
use super::sqlite::{Reader, Sqlite};
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
            fn from(id: pointsman_rules::ids::$id) -> Self { Self::Text(Some(id.to_string())) }
        }
        impl From<Option<pointsman_rules::ids::$id>> for Arg {
            fn from(id: Option<pointsman_rules::ids::$id>) -> Self { Self::Text(id.map(|id| id.to_string())) }
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
            Conn::SqliteWriter(conn) => return execute_sqlite(conn, what, sql, args),
            Conn::SqliteReader(reader) => return execute_sqlite(reader.conn()?, what, sql, args),
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
            Conn::SqliteWriter(conn) => return all_sqlite(conn, what, sql, args),
            Conn::SqliteReader(reader) => return all_sqlite(reader.conn()?, what, sql, args),
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
        if let Conn::SqliteWriter(conn) = &self.conn {
            self.stats.statements.fetch_add(rows.len() as u64, Ordering::Relaxed);
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
        if let Conn::SqliteWriter(conn) = &self.conn {
            self.stats.statements.fetch_add(rows.len() as u64, Ordering::Relaxed);
            let returned = conn.all_of_each(&one_row(head, &rows, tail), &rows);
            let returned = returned.map_err(|source| StoreError::Sqlite { what, source })?;
            return Ok(returned.into_iter().map(Row::Sqlite).collect());
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
    /// The last row is repeated up to a power of two, so that few statement texts exist: the statement must not mind.
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
        let mut out = Vec::new();
        for rows in rows.chunks(INSERT_ROWS_MAX) {
            let padding = rows.last().into_iter().cycle().take(rows.len().next_power_of_two() - rows.len());
            let rows: Vec<&Vec<Arg>> = rows.iter().chain(padding).collect();
            let sql = sql.replace(ROWS, &table(args.len() + 1, &rows));
            let values = args.iter().chain(rows.into_iter().flatten()).cloned().collect();
            out.extend(self.all(what, &sql, values).await?);
        }
        Ok(out)
    }
}

fn execute_sqlite(conn: &Sqlite, what: &'static str, sql: &str, args: Vec<Arg>) -> Result<u64, StoreError> {
    let (sql, args) = unnumbered(sql, args);
    conn.execute(&sql, &args).map_err(|source| StoreError::Sqlite { what, source })
}

fn all_sqlite(conn: &Sqlite, what: &'static str, sql: &str, args: Vec<Arg>) -> Result<Vec<Row>, StoreError> {
    let (sql, args) = unnumbered(sql, args);
    let rows = conn.all(&sql, &args).map_err(|source| StoreError::Sqlite { what, source })?;
    Ok(rows.into_iter().map(Row::Sqlite).collect())
}

async fn execute_postgres(conn: &mut PgConnection, sql: &str, args: Vec<Arg>) -> Result<u64, sqlx::Error> {
    let query = bind_all!(sqlx::query::<Postgres>(AssertSqlSafe(sql.to_owned())), args);
    query.execute(conn).await.map(|done| done.rows_affected())
}

async fn all_postgres(conn: &mut PgConnection, sql: &str, args: Vec<Arg>) -> Result<Vec<Row>, sqlx::Error> {
    let query = bind_all!(sqlx::query::<Postgres>(AssertSqlSafe(sql.to_owned())), args);
    query.fetch_all(conn).await.map(|rows| rows.into_iter().map(Row::Postgres).collect())
}

/// What stands for the rows in the statement of [`Tx::join_rows`].
const ROWS: &str = ":rows";

/// Rows per statement at most; 64 rows of 30 columns stay far below SQLite's 32,766 placeholders.
const INSERT_ROWS_MAX: usize = 64;

/// The largest power of two that fits.
fn chunk(rows: usize) -> usize {
    let rows = rows.min(INSERT_ROWS_MAX);
    1 << (usize::BITS - 1 - rows.leading_zeros())
}

/// The statement that inserts one of these rows on SQLite. Its tail has no places.
fn one_row(head: &str, rows: &[Vec<Arg>], tail: &str) -> String {
    let places = vec!["?"; rows.first().map_or(0, Vec::len)].join(", ");
    format!("{head} values ({places}) {tail}")
}

fn values(head: &str, rows: &[Vec<Arg>], tail: &str) -> String {
    use std::fmt::Write as _;
    let mut sql = String::with_capacity(head.len() + rows.len() * 40 + tail.len());
    sql.push_str(head);
    sql.push_str(" values ");
    let mut place = 0;
    for (index, row) in rows.iter().enumerate() {
        sql.push_str(if index == 0 { "(" } else { ", (" });
        for column in 0..row.len() {
            place += 1;
            let _ = write!(sql, "{}${place}", if column == 0 { "" } else { ", " }); // writing to a String cannot fail
        }
        sql.push(')');
    }
    sql.push(' ');
    sql.push_str(tail);
    sql
}

/// `(values ($1, cast($2 as bigint)), …)`. PostgreSQL takes values for text unless told; to SQLite the casts mean nothing.
fn table(first: usize, rows: &[&Vec<Arg>]) -> String {
    use std::fmt::Write as _;
    let mut sql = String::from("(values ");
    let mut place = first;
    for (index, row) in rows.iter().enumerate() {
        sql.push_str(if index == 0 { "(" } else { "), (" });
        for (column, value) in row.iter().enumerate() {
            let comma = if column == 0 { "" } else { ", " };
            let _ = match value {
                // writing to a String cannot fail
                Arg::Text(_) => write!(sql, "{comma}${place}"),
                Arg::Int(_) => write!(sql, "{comma}cast(${place} as bigint)"),
                Arg::Bool(_) => write!(sql, "{comma}cast(${place} as boolean)"),
            };
            place += 1;
        }
    }
    sql.push_str("))");
    sql
}

/// The same statement with plain `?` places, and one value for each of them: SQLite takes `$1` for a name, and searches
/// its list of names for every one of them.
fn unnumbered(sql: &str, args: Vec<Arg>) -> (String, Vec<Arg>) {
    let mut plain = String::with_capacity(sql.len());
    let mut order = Vec::with_capacity(args.len());
    let mut uses = vec![0_usize; args.len()];
    let mut rest = sql;
    while let Some(at) = rest.find('$') {
        let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let (before, after) = (&rest[..at], &rest[at + 1 + digits..]);
        let place = rest[at + 1..=at + digits].parse().ok().and_then(|place: usize| place.checked_sub(1));
        plain.push_str(before);
        match place.filter(|place| *place < args.len()) {
            Some(place) => {
                // A bare place for a limit would have SQLite plan the statement again at every use.
                plain.push_str(if before.ends_with("limit ") { "?+0" } else { "?" });
                order.push(place);
                uses[place] += 1;
            }
            // Not a place, or one without a value: the database says so.
            None => plain.push_str(&rest[at..=at + digits]),
        }
        rest = after;
    }
    plain.push_str(rest);
    let mut args = args;
    let mut value_of = |place: usize| {
        uses[place] -= 1;
        if uses[place] == 0 {
            std::mem::replace(&mut args[place], Arg::Int(None))
        } else {
            args[place].clone()
        }
    };
    let ordered = order.into_iter().map(&mut value_of).collect();
    (plain, ordered)
}

/// `$first, $first+1, …` for an `in (…)` list of `count` values.
pub(super) fn places(first: usize, count: usize) -> String {
    (first..first + count).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ")
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_statement_texts_serve_every_row_count() {
        assert_eq!([1, 2, 3, 63, 64, 900].map(chunk), [1, 2, 2, 32, 64, 64]);
        let rows = vec![args!["a", 1i64], args!["b", None::<i64>]];
        assert_eq!(
            values("insert into t (a, b)", &rows, "on conflict do nothing"),
            "insert into t (a, b) values ($1, $2), ($3, $4) on conflict do nothing"
        );
        assert_eq!(places(3, 2), "$3, $4");
    }

    #[test]
    fn rows_become_a_table_after_the_other_places() {
        let (one, two) = (args!["a", 1i64], args!["b", None::<i64>]);
        assert_eq!(table(3, &[&one, &two]), "(values ($3, cast($4 as bigint)), ($5, cast($6 as bigint)))");
    }

    #[test]
    fn numbered_places_become_plain_ones_in_the_order_of_their_use() {
        let (sql, values) = unnumbered("select $2, '$', '$.a', $1 where a = $12 limit $2", args!["a", "b"]);
        assert_eq!(sql, "select ?, '$', '$.a', ? where a = $12 limit ?+0");
        assert_eq!(values, args!["b", "a", "b"]);
    }
}
