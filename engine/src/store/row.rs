//! Reading rows in column order, with errors that name table and column.

use std::str::FromStr;

use rusqlite::types::{FromSql as _, Value, ValueRef};
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::StoreError;

/// A row of either database.
pub enum Row {
    /// From SQLite.
    Sqlite(Vec<Value>),
    /// From PostgreSQL.
    Postgres(PgRow),
}

impl Row {
    /// Reads the columns of this row from left to right; `table` is for error messages.
    pub fn columns(&self, table: &'static str) -> Columns<'_> {
        Columns { row: self, table, at: 0 }
    }
}

/// Reads a row's columns from left to right.
pub struct Columns<'r> {
    row: &'r Row,
    table: &'static str,
    at: usize,
}

macro_rules! readers {
    ($($(#[$doc:meta])* $name:ident -> $ty:ty;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// The column holds another type.
        pub fn $name(&mut self, column: &'static str) -> Result<$ty, StoreError> {
            let at = self.at;
            self.at += 1;
            match self.row {
                Row::Sqlite(row) => match row.get(at) {
                    Some(value) => <$ty>::column_result(value.into()).map_err(|error| error.to_string()),
                    None => Err(format!("there are {} columns", row.len())),
                },
                Row::Postgres(row) => row.try_get::<$ty, _>(at).map_err(|error| error.to_string()),
            }
            .map_err(|reason| self.bad(column, reason))
        }
    )*};
}

impl<'r> Columns<'r> {
    readers! {
        /// A text.
        text -> String;
        /// A text that may be absent.
        opt_text -> Option<String>;
        /// A whole number.
        int -> i64;
        /// A whole number that may be absent.
        opt_int -> Option<i64>;
        /// Yes or no.
        bool -> bool;
        /// Yes or no, that may be absent.
        opt_bool -> Option<bool>;
    }

    /// An id, or anything else that parses from text.
    ///
    /// # Errors
    /// The text does not parse.
    pub fn id<T: FromStr<Err: std::fmt::Display>>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let text = self.lent(column)?;
        text.parse().map_err(|error: T::Err| self.bad(column, error.to_string()))
    }

    /// An id that may be absent.
    ///
    /// # Errors
    /// The text does not parse.
    pub fn opt_id<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        match self.opt_lent(column)? {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|error: T::Err| self.bad(column, error.to_string())),
        }
    }

    /// A JSON value of a known shape.
    ///
    /// # Errors
    /// The text is not JSON of this shape.
    pub fn json<T: DeserializeOwned>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let text = self.lent(column)?;
        serde_json::from_str(text).map_err(|error| self.bad(column, error.to_string()))
    }

    /// A JSON value that may be absent.
    ///
    /// # Errors
    /// The text is not JSON of this shape.
    pub fn opt_json<T: DeserializeOwned>(&mut self, column: &'static str) -> Result<Option<T>, StoreError> {
        match self.opt_lent(column)? {
            None => Ok(None),
            Some(text) => {
                serde_json::from_str(text).map(Some).map_err(|error| self.bad(column, error.to_string()))
            }
        }
    }

    /// A word of a closed set, e.g. `Status::from_word`.
    ///
    /// # Errors
    /// The word is not one of the set.
    pub fn word<T>(
        &mut self,
        column: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        let text = self.lent(column)?;
        read(text).ok_or_else(|| self.bad(column, format!("`{text}` is not a known word")))
    }

    /// A text as it lies in the row.
    fn lent(&mut self, column: &'static str) -> Result<&'r str, StoreError> {
        self.opt_lent(column)?.ok_or_else(|| self.bad(column, "it is empty".to_owned()))
    }

    fn opt_lent(&mut self, column: &'static str) -> Result<Option<&'r str>, StoreError> {
        let at = self.at;
        self.at += 1;
        match self.row {
            Row::Sqlite(row) => match row.get(at) {
                Some(value) => ValueRef::from(value).as_str_or_null().map_err(|error| error.to_string()),
                None => Err(format!("there are {} columns", row.len())),
            },
            Row::Postgres(row) => row.try_get(at).map_err(|error| error.to_string()),
        }
        .map_err(|reason| self.bad(column, reason))
    }

    fn bad(&self, column: &'static str, reason: String) -> StoreError {
        StoreError::BadRow { table: self.table, column, reason }
    }
}
