//! PostgreSQL's NOTIFY; listening is the worker's.

use super::{StoreError, Tx};
use crate::args;

/// What processes of one database talk on.
pub const TOPIC: &str = "pointsman";

/// Tells every process that listens. Payloads stay far below PostgreSQL's 8,000 bytes.
///
/// # Errors
/// The database's own.
pub async fn send(tx: &mut Tx, text: &str) -> Result<(), StoreError> {
    let sql = "select 1 from (select pg_notify($1, $2)) as sent";
    tx.all("notify", sql, args![TOPIC, text]).await.map(|_| ())
}
