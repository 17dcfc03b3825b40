//! What SQLite is told about its tables, so that it reads a large one as well as
//! a small one: without it, it believes that a tenant has ten rows, and likes to
//! walk all of them in the order that is asked for. The figures are made up from
//! the indexes and never change, so neither does the way a statement is run.
//! PostgreSQL counts for itself.

use sqlx::{AssertSqlSafe, Executor as _, Row as _, SqliteConnection};

use super::StoreError;

/// Rows of a table.
const ROWS: u64 = 1_000_000;
/// Of which an index over some of them has this many.
const ROWS_OF_PARTIAL: u64 = 10_000;
/// Tenants, and tasks of lanes, share a table.
const SHARES: u64 = 20;
/// How many times fewer rows a second key leaves, or a first one that is no tenant.
const BY_KEY: u64 = 1_000;
/// How many times fewer each later one.
const BY_LATER_KEY: u64 = 10;

/// One index: its table, its name, whether it is unique, whether it leaves rows out, its columns.
type Index = (String, String, bool, bool, Vec<String>);

/// Writes the figures, if they are not there yet. Connections that are opened afterwards go by them.
///
/// # Errors
/// The database's own.
pub(super) async fn write(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    told(conn).await.map_err(|source| StoreError::Database { what: "keep statistics", source })
}

async fn told(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let wanted: Vec<(String, String, String)> = indexes(conn)
        .await?
        .into_iter()
        .map(|(table, name, is_unique, is_partial, columns)| {
            let figures = figures(&columns, is_unique, is_partial);
            (table, name, figures)
        })
        .collect();
    if kept(conn).await? == wanted {
        return Ok(());
    }
    // The one way to make the tables of statistics; this table has a handful of rows.
    conn.execute("analyze installation").await?;
    conn.execute("begin immediate").await?;
    conn.execute("delete from sqlite_stat1").await?;
    // Samples of what an `analyze` by hand found outweigh our figures.
    if exists(conn, "sqlite_stat4").await? {
        conn.execute("delete from sqlite_stat4").await?;
    }
    for (table, name, figures) in wanted {
        let insert = sqlx::query("insert into sqlite_stat1 (tbl, idx, stat) values ($1, $2, $3)");
        insert.bind(table).bind(name).bind(figures).execute(&mut *conn).await?;
    }
    conn.execute("commit").await.map(|_| ())
}

/// Table, index and figures, as [`told`] orders them.
async fn kept(conn: &mut SqliteConnection) -> Result<Vec<(String, String, String)>, sqlx::Error> {
    if !exists(conn, "sqlite_stat1").await? {
        return Ok(Vec::new());
    }
    let sql = "select tbl, coalesce(idx, ''), stat from sqlite_stat1 order by tbl, idx";
    sqlx::query_as(sql).fetch_all(conn).await
}

async fn exists(conn: &mut SqliteConnection, table: &str) -> Result<bool, sqlx::Error> {
    let found = sqlx::query("select 1 from sqlite_schema where type = 'table' and name = $1");
    Ok(found.bind(table).fetch_optional(conn).await?.is_some())
}

async fn indexes(conn: &mut SqliteConnection) -> Result<Vec<Index>, sqlx::Error> {
    let sql = "select t.name, l.name, l.\"unique\", l.partial, i.name from sqlite_schema t, pragma_index_list(t.name) l, \
               pragma_index_info(l.name) i where t.type = 'table' and t.name not like '\\_%' escape '\\' \
               and t.name not like 'sqlite\\_%' escape '\\' order by t.name, l.name, i.seqno";
    let mut out: Vec<Index> = Vec::new();
    for row in conn.fetch_all(AssertSqlSafe(sql)).await? {
        let (table, name, column): (String, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(4)?);
        match out.last_mut() {
            Some((_, last, _, _, columns)) if *last == name => columns.push(column),
            _ => out.push((table, name, row.try_get(2)?, row.try_get(3)?, vec![column])),
        }
    }
    Ok(out)
}

/// As `sqlite_stat1` wants them: rows in all, then rows with the same first, first two, … columns.
fn figures(columns: &[String], is_unique: bool, is_partial: bool) -> String {
    let rows = if is_partial { ROWS_OF_PARTIAL } else { ROWS };
    let mut left = rows;
    let mut out = rows.to_string();
    for (place, column) in columns.iter().enumerate() {
        let fewer = match place {
            0 if ["tenant_id", "task"].contains(&column.as_str()) => SHARES,
            0 | 1 => BY_KEY,
            _ => BY_LATER_KEY,
        };
        left = if is_unique && place + 1 == columns.len() { 1 } else { (left / fewer).max(2) };
        out.push_str(&format!(" {left}"));
    }
    // Without it a missing key in the middle is filled in with all its values, one by one.
    out + " noskipscan"
}

#[cfg(test)]
mod tests {
    use super::super::migrate;
    use super::*;
    use sqlx::Connection as _;

    #[test]
    fn figures_follow_from_the_columns() {
        let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let key = columns(&["tenant_id", "id"]);
        assert_eq!(figures(&key, true, false), "1000000 50000 1 noskipscan");
        let of = columns(&["tenant_id", "conversation_id", "seq"]);
        assert_eq!(figures(&of, false, false), "1000000 50000 50 5 noskipscan");
        assert_eq!(figures(&columns(&["due_ms"]), false, true), "10000 10 noskipscan");
    }

    #[tokio::test]
    async fn they_are_written_once_and_again_when_somebody_changed_them() {
        let conn = &mut SqliteConnection::connect("sqlite::memory:").await.unwrap();
        migrate::run_sqlite(conn).await.unwrap();
        write(conn).await.unwrap();
        let first = kept(conn).await.unwrap();
        let of = first.iter().find(|(_, index, _)| index == "messages_conversation").unwrap();
        assert_eq!((of.0.as_str(), of.2.as_str()), ("messages", "1000000 50000 50 5 noskipscan"));
        let changes = async |conn: &mut SqliteConnection| {
            sqlx::query_scalar::<_, i64>("select total_changes()").fetch_one(conn).await.unwrap()
        };
        let before = changes(conn).await;
        write(conn).await.unwrap();
        assert_eq!(changes(conn).await, before, "nothing is written twice");
        conn.execute("analyze").await.unwrap();
        assert_ne!(kept(conn).await.unwrap(), first);
        write(conn).await.unwrap();
        assert_eq!(kept(conn).await.unwrap(), first);
    }
}
