//! Texts of statements over many rows, and what SQLite and PostgreSQL want
//! different about them.

use std::fmt::Write as _;

use super::Arg;

/// What stands for the rows in the statement of `Tx::join_rows`.
pub(super) const ROWS: &str = ":rows";

/// Queries that share a statement of PostgreSQL at most.
pub(super) const QUERIES_PER_STATEMENT_MAX: usize = 32;

/// Rows per statement of PostgreSQL at most; 64 rows of 30 columns stay far below its 65,535 placeholders.
pub(super) const INSERT_ROWS_MAX: usize = 64;

/// The largest power of two that fits.
pub(super) fn chunk(rows: usize) -> usize {
    let rows = rows.min(INSERT_ROWS_MAX);
    1 << (usize::BITS - 1 - rows.leading_zeros())
}

/// The statement that inserts one of these rows on SQLite. Its tail has no places.
pub(super) fn one_row(head: &str, rows: &[Vec<Arg>], tail: &str) -> String {
    let places = vec!["?"; rows.first().map_or(0, Vec::len)].join(", ");
    format!("{head} values ({places}) {tail}")
}

pub(super) fn values(head: &str, rows: &[Vec<Arg>], tail: &str) -> String {
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

/// `(values ($1, cast($2 as bigint)), …)`. PostgreSQL takes values for text unless told.
pub(super) fn table(first: usize, rows: &[&Vec<Arg>]) -> String {
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

/// The statement of `Tx::join_rows` for one row: its values stand where the columns of the table stood.
pub(super) fn for_one(sql: &str, first: usize, rows: &[Vec<Arg>]) -> String {
    let width = rows.first().map_or(0, Vec::len);
    let alone = sql.replace(" from :rows as v where", " where");
    if alone.contains(ROWS) {
        let columns: Vec<_> =
            (1..=width).map(|column| format!("${} as column{column}", first + column)).collect();
        return alone.replace(ROWS, &format!("(select {})", columns.join(", ")));
    }
    (1..=width)
        .rev()
        .fold(alone, |sql, column| sql.replace(&format!("v.column{column}"), &format!("${}", first + column)))
}

/// The places of `sql` as they follow each other: the text before each, and its number from 0. Last the rest.
fn cut_at_places(sql: &str) -> (Vec<(&str, usize)>, &str) {
    let mut parts = Vec::new();
    let mut rest = sql;
    let mut from = 0;
    while let Some(found) = rest[from..].find('$') {
        let at = from + found;
        let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let number: Option<usize> = rest[at + 1..=at + digits].parse().ok();
        match number.and_then(|number| number.checked_sub(1)) {
            Some(place) => {
                parts.push((&rest[..at], place));
                rest = &rest[at + 1 + digits..];
                from = 0;
            }
            None => from = at + 1, // a `$` in a text
        }
    }
    (parts, rest)
}

/// The same statement with its places from `first` on further back by `by`.
pub(super) fn moved_places(sql: &str, first: usize, by: usize) -> String {
    let (parts, rest) = cut_at_places(sql);
    let mut moved = String::with_capacity(sql.len() + parts.len() * 2);
    for (before, place) in parts {
        let place = if place < first { place } else { place + by };
        let _ = write!(moved, "{before}${}", place + 1); // writing to a String cannot fail
    }
    moved.push_str(rest);
    moved
}

/// The same statement with plain `?` places, and which of `count` values each of them is: SQLite takes `$1` for a name,
/// and searches its list of names for every one of them.
pub(super) fn unnumbered(sql: &str, count: usize) -> (String, Vec<usize>) {
    let (parts, rest) = cut_at_places(sql);
    let mut plain = String::with_capacity(sql.len());
    let mut order = Vec::with_capacity(parts.len());
    for (before, place) in parts {
        plain.push_str(before);
        if place < count {
            // A bare place for a limit would have SQLite plan the statement again at every use.
            plain.push_str(if before.ends_with("limit ") { "?+0" } else { "?" });
            order.push(place);
        } else {
            // A place without a value: the database says so.
            let _ = write!(plain, "${}", place + 1); // writing to a String cannot fail
        }
    }
    plain.push_str(rest);
    (plain, order)
}

/// `$first, $first+1, …` for an `in (…)` list of `count` values.
pub(super) fn places(first: usize, count: usize) -> String {
    (first..first + count).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;

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
        let (sql, order) = unnumbered("select $2, '$', '$.a', $1 where a = $12 limit $2", 2);
        assert_eq!(sql, "select ?, '$', '$.a', ? where a = $12 limit ?+0");
        assert_eq!(order, [1, 0, 1]);
    }

    #[test]
    fn a_statement_over_rows_is_run_for_one() {
        let rows = [args!["a", 1i64]];
        let update = "update t set b = v.column2 from :rows as v where a = v.column1 and c = $1 returning a";
        assert_eq!(for_one(update, 1, &rows), "update t set b = $3 where a = $2 and c = $1 returning a");
        let select = "select t.b from :rows as v join t on t.a = v.column1";
        assert_eq!(
            for_one(select, 0, &rows),
            "select t.b from (select $1 as column1, $2 as column2) as v join t on t.a = v.column1"
        );
    }

    #[test]
    fn queries_that_share_a_statement_have_places_of_their_own() {
        let sql = "select a from t where a = $2 and b > $3 limit $1";
        assert_eq!(moved_places(sql, 1, 0), sql);
        assert_eq!(moved_places(sql, 1, 4), "select a from t where a = $6 and b > $7 limit $1");
    }
}
