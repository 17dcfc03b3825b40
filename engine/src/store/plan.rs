//! In tests every statement is looked at before it runs: none may walk through a
//! table that grows, for then everything takes longer with every message. Whoever
//! reads page by page says `limit`.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex};

use rusqlite::Connection;

/// Tables with rows for messages, contacts or days.
const GROWING: [&str; 24] = [
    "attachments",
    "attempts",
    "audit",
    "contact_merges",
    "contacts",
    "conversation_labels",
    "conversations",
    "effects",
    "events",
    "idempotency",
    "identities",
    "inbox",
    "lanes",
    "messages",
    "notifications",
    "opt_outs",
    "placements",
    "raw_webhooks",
    "runs",
    "suppressions",
    "timers",
    "trial_findings",
    "webhook_attempts",
    "webhook_deliveries",
];

static SEEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Panics when the statement walks through a table.
pub(super) fn check(conn: &Connection, sql: &str) {
    let verb = sql.split_whitespace().next().unwrap_or_default();
    let is_of_a_test = sql.contains("/* of a test */") || sql.starts_with("select count(*) from ");
    // What is changed in portions is found by an index as well, unless all of a tenant goes.
    let is_page = sql.contains(if verb == "select" { " limit " } else { " where tenant_id = ? limit " });
    if !["select", "insert", "update", "delete"].contains(&verb) || is_page || is_of_a_test {
        return;
    }
    if !SEEN.lock().unwrap().insert(sql.to_owned()) {
        return;
    }
    let Ok(mut statement) = conn.prepare(&format!("explain query plan {sql}")) else { return };
    let details: Vec<String> =
        statement.raw_query().mapped(|row| row.get("detail")).collect::<Result<_, _>>().unwrap();
    for detail in details {
        assert!(
            !walks(conn, sql, &detail),
            "{detail}: read by an index of more than the tenant, or with a limit: {sql}"
        );
    }
}

/// Does this step read all rows, or all of a tenant?
fn walks(conn: &Connection, sql: &str, detail: &str) -> bool {
    let (kind, rest) = detail.split_once(' ').unwrap_or((detail, ""));
    let name = rest.split(' ').next().unwrap_or_default();
    let grows = GROWING.iter().any(|table| *table == name || sql.contains(&format!("{table} {name} ")));
    let is_walk = kind == "SCAN" || (kind == "SEARCH" && detail.contains("(tenant_id=?)"));
    let index = rest.split_once("INDEX ").and_then(|(_, rest)| rest.split(' ').next());
    grows && is_walk && !index.is_some_and(|index| leaves_out(conn, index))
}

/// Does the index have only some of the rows: what waits, what failed?
fn leaves_out(conn: &Connection, index: &str) -> bool {
    let sql = "select 1 from sqlite_schema where type = 'index' and name = ?1 and sql like '% where %'";
    conn.prepare(sql).unwrap().exists([index]).unwrap()
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use crate::args;

    #[test]
    #[should_panic(expected = "SEARCH effects USING INDEX")]
    fn a_walk_through_all_of_a_tenant_is_found() {
        each_db(|db| async move {
            let sql = "select id from effects where tenant_id = $1 and channel_id = $2";
            let _ = db.read().await.unwrap().all("walk", sql, args!["t", "c"]).await;
        });
    }
}
