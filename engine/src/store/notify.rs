//! PostgreSQL's NOTIFY and LISTEN, by which processes of one database ring each other.

use sqlx::postgres::PgListener;

use super::{Db, StoreError, Tx};
use crate::args;

/// What processes of one database talk on.
const TOPIC: &str = "pointsman";

/// Tells every process that listens. Payloads stay far below PostgreSQL's 8,000 bytes.
///
/// # Errors
/// The database's own.
pub async fn send(tx: &mut Tx, text: &str) -> Result<(), StoreError> {
    let sql = "select 1 from (select pg_notify($1, $2)) as sent";
    tx.all("notify", sql, args![TOPIC, text]).await.map(|_| ())
}

/// Hears what other processes (and this one) say.
pub struct Listener(PgListener);

impl Listener {
    /// Starts listening; `None` on SQLite, which one process serves alone.
    ///
    /// # Errors
    /// The database's own.
    pub async fn start(db: &Db) -> Result<Option<Self>, StoreError> {
        let Some(pool) = db.postgres_pool() else { return Ok(None) };
        let failed = |source| StoreError::Database { what: "listen", source };
        let mut listener = PgListener::connect_with(pool).await.map_err(failed)?;
        listener.listen(TOPIC).await.map_err(failed)?;
        Ok(Some(Self(listener)))
    }

    /// The next text that somebody sent. Reconnects by itself; texts sent meanwhile are lost.
    ///
    /// # Errors
    /// The database cannot be reached any more.
    pub async fn next(&mut self) -> Result<String, StoreError> {
        let failed = |source| StoreError::Database { what: "listen", source };
        self.0.recv().await.map(|note| note.payload().to_owned()).map_err(failed)
    }
}
