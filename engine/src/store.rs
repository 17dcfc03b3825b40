//! Says in SQL what is kept; nobody else says SQL. One SQL text serves SQLite
//! and PostgreSQL: TEXT, BIGINT and BOOLEAN columns, times in unix milliseconds
//! named `_ms`, ids and JSON as TEXT, `$1` placeholders. Functions take a
//! transaction, never begin or commit one, and are scoped by tenant.

pub mod aging;
pub mod api_keys;
pub mod assistant_calls;
pub mod assistant_tasks;
pub mod assistant_usage;
pub mod assistants;
pub mod attachments;
pub mod audit;
pub mod authors;
pub mod backfills;
pub mod calendars;
pub mod catalog;
pub mod channel_assistants;
pub mod channel_health;
pub mod channel_sessions;
pub mod channels;
pub mod contact_changes;
pub mod contact_views;
pub mod contacts;
pub mod conversation_views;
pub mod conversations;
pub mod effect_views;
pub mod effects;
pub mod erase;
pub mod erasures;
pub mod event_views;
pub mod export;
pub mod filter;
pub mod groups;
pub mod idempotency;
pub mod installation;
pub mod installed_plugins;
pub mod intake;
pub mod jobs;
pub mod knowledge;
pub mod labels;
pub mod lanes;
pub mod log;
pub mod merges;
pub mod message_views;
pub mod messages;
pub mod notices;
pub mod notifications;
pub mod notify;
pub mod outgoing;
pub mod queue;
pub mod raw;
pub mod raw_webhooks;
pub mod replay;
pub mod rule_counts;
pub mod rule_health;
pub mod rule_hooks;
pub mod rule_ticks;
pub mod rules;
pub mod seed;
pub mod sessions;
pub mod signin_links;
pub mod suppressions;
pub mod templates;
pub mod tenants;
pub mod thumbnails;
pub mod timers;
pub mod trace;
pub mod trials;
pub mod uploads;
pub mod users;
pub mod webhook_deliveries;
pub mod webhook_views;
pub mod webhooks;

mod checkpoint;
mod connect;
mod disk;
mod migrate;
#[cfg(test)]
mod plan;
mod row;
mod sqlite;
mod statistics;
#[cfg(test)]
pub(crate) mod testing;
mod text;
mod tx;
#[cfg(test)]
pub(crate) mod views_fixture;
mod writer;

pub use connect::{Db, SqlStats};
pub use migrate::{SchemaState, schema_state};
pub use row::{Columns, Row};
pub use tx::{Arg, Tx};
pub use writer::Durability;

/// What can go wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or could not be reached.
    #[error("the database failed while it should {what}")]
    Database {
        /// What was being done.
        what: &'static str,
        /// The driver's error.
        #[source]
        source: sqlx::Error,
    },
    /// SQLite refused.
    #[error("the database failed while it should {what}")]
    Sqlite {
        /// What was being done.
        what: &'static str,
        /// The driver's error.
        #[source]
        source: rusqlite::Error,
    },
    /// A row holds something that this version cannot read.
    #[error("{table}.{column} holds a value that cannot be read: {reason}")]
    BadRow {
        /// Which table.
        table: &'static str,
        /// Which column.
        column: &'static str,
        /// Why.
        reason: String,
    },
    /// The database URL is of no known kind.
    #[error("`{0}` is not a database address: use sqlite://path or postgres://user@host/name")]
    Url(String),
    /// The schema is newer or was changed by hand.
    #[error("the database schema cannot be brought up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// Another process uses this SQLite file.
    #[error(
        "another process already serves this data directory; SQLite is for one process, use PostgreSQL for several"
    )]
    InUse,
    /// A row was changed or removed by somebody else since it was read: read again.
    #[error("{0} was changed meanwhile; try again")]
    Moved(&'static str),
    /// Every connection was in use for too long.
    #[error("the database is busy: no connection became free in time")]
    Busy,
    /// SQLite's log could not be brought to disk; nothing is written from then on.
    #[error(
        "the disk did not take what was written: the last of it may be gone after a power cut. Look at the disk and \
         the system's log, then start again"
    )]
    NotOnDisk,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// May the same transaction succeed when it is run again?
    pub(crate) fn is_transient(&self) -> bool {
        if matches!(self, Self::Moved(_)) {
            return true;
        }
        let Self::Database { source: sqlx::Error::Database(db), .. } = self else { return false };
        // PostgreSQL: serialization_failure, deadlock_detected.
        matches!(db.code().as_deref(), Some("40001" | "40P01"))
    }
}
