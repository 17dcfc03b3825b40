//! SQLite's writing connection, called in place: a statement costs a function
//! call. The asynchronous driver, which reads, changes threads twice for each.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OpenFlags, Statement, ToSql};

use super::Arg;

/// The one connection that writes.
pub(super) struct Writer(Connection);

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

impl Writer {
    /// Opens a file that exists, in the mode that it was given when it was made. `pragmas`: names and values.
    pub(super) fn open(
        file: &Path,
        statements_max: usize,
        busy_timeout: Duration,
        pragmas: &[(&str, String)],
    ) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(statements_max);
        for (name, value) in pragmas {
            connection.pragma_update(None, name, value)?;
        }
        Ok(Self(connection))
    }

    /// Answers the number of rows touched.
    pub(super) fn execute(&self, sql: &str, args: &[Arg]) -> rusqlite::Result<u64> {
        let mut statement = self.0.prepare_cached(sql)?;
        bind(&mut statement, args)?;
        statement.raw_execute().map(|rows| rows as u64)
    }

    /// Answers all rows, column by column.
    pub(super) fn all(&self, sql: &str, args: &[Arg]) -> rusqlite::Result<Vec<Vec<Value>>> {
        let mut statement = self.0.prepare_cached(sql)?;
        bind(&mut statement, args)?;
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            out.push((0..columns).map(|at| row.get(at)).collect::<Result<_, _>>()?);
        }
        Ok(out)
    }
}

fn bind(statement: &mut Statement<'_>, args: &[Arg]) -> rusqlite::Result<()> {
    for (index, arg) in args.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, arg)?;
    }
    Ok(())
}
