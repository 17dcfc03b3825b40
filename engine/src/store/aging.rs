//! What is kept for a while only: one statement for each kind, which deletes few
//! rows at a time and finds them by an index, oldest first. How long each is
//! kept is not known here.

use pointsman_rules::ids::{EventId, TenantId};

use super::{StoreError, Tx};
use crate::args;

/// Rows that age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aged {
    /// Raw webhooks that were read. Those that wait for their plugin to be mended have no age: nobody has read them yet.
    Webhooks,
    /// Raw webhooks that could not be read.
    Quarantined,
    /// Inbox entries that a turn has worked off. An entry outlives its webhook: by it a replay is recognised.
    Entries,
    /// Answers to requests with an idempotency key.
    Answers,
    /// What rules made of events.
    Runs,
    /// What trials of rules found; their age counts from their event, like that of runs.
    Findings,
    /// Sessions; their age counts from their end.
    Sessions,
    /// Sign-in links, used or not; their age counts from their end.
    SigninLinks,
    /// Deliveries to webhooks that ended; their age counts from their end.
    Deliveries,
    /// Calls of webhooks. One is never younger than the end of its delivery.
    Calls,
}

/// How to find and delete old rows of a table.
struct Plan {
    /// What is being done, for errors.
    what: &'static str,
    table: &'static str,
    /// The primary key.
    key: &'static str,
    /// Which rows are old enough, `t` being the table and `$2` the moment.
    is_old: &'static str,
    /// The column that orders them.
    age: &'static str,
}

impl Aged {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Webhooks,
        Self::Quarantined,
        Self::Entries,
        Self::Answers,
        Self::Runs,
        Self::Findings,
        Self::Sessions,
        Self::SigninLinks,
        Self::Deliveries,
        Self::Calls,
    ];

    fn plan(self) -> Plan {
        let plan = |what, table, key, is_old, age| Plan { what, table, key, is_old, age };
        match self {
            Self::Webhooks => plan(
                "delete old webhooks",
                "raw_webhooks",
                "tenant_id, id",
                "t.received_ms < $2 and t.outcome <> 'quarantined' and t.outcome <> 'waiting'",
                "received_ms",
            ),
            Self::Quarantined => plan(
                "delete old quarantined webhooks",
                "raw_webhooks",
                "tenant_id, id",
                "t.received_ms < $2 and t.outcome = 'quarantined'",
                "received_ms",
            ),
            Self::Entries => plan(
                "delete old inbox entries",
                "inbox",
                "tenant_id, lane_id, seq",
                // A `case` over values, not `exists`: of that PostgreSQL makes joins over whole tables. Nor two plain
                // conditions: it takes them for so rare that it compiles the query, which costs more than running it.
                "t.received_ms < $2 and case when (select r.id from raw_webhooks r where r.tenant_id = t.tenant_id \
                 and r.id = t.raw_id) is null then (select l.done from lanes l where l.tenant_id = t.tenant_id \
                 and l.id = t.lane_id and l.task = 'turn') >= t.seq else false end",
                "received_ms",
            ),
            Self::Answers => {
                plan("delete old answers", "idempotency", "tenant_id, key", "t.at_ms < $2", "at_ms")
            }
            Self::Runs => {
                plan("delete old runs of rules", "runs", "tenant_id, event_id", "t.event_id < $2", "event_id")
            }
            Self::Findings => plan(
                "delete old findings of trials",
                "trial_findings",
                "tenant_id, trial_id, event_id",
                "t.at_ms < $2",
                "at_ms",
            ),
            Self::Sessions => plan(
                "delete expired sessions",
                "sessions",
                "tenant_id, id",
                "t.expires_ms < $2",
                "expires_ms",
            ),
            Self::SigninLinks => plan(
                "delete expired sign-in links",
                "signin_links",
                "tenant_id, token_hash",
                "t.expires_ms < $2",
                "expires_ms",
            ),
            Self::Deliveries => plan(
                "delete old deliveries",
                "webhook_deliveries",
                "tenant_id, id",
                "t.done_ms < $2 and t.done_ms is not null",
                "done_ms",
            ),
            Self::Calls => plan(
                "delete old calls of webhooks",
                "webhook_attempts",
                "tenant_id, delivery_id, number",
                "t.at_ms < $2",
                "at_ms",
            ),
        }
    }

    fn sql(self) -> String {
        let Plan { table, key, is_old, age, .. } = self.plan();
        format!(
            "delete from {table} where ({key}) in (select {key} from {table} t where t.tenant_id = $1 \
             and {is_old} order by t.{age} limit $3)"
        )
    }
}

/// Deletes at most `rows_max` rows that are older than `before_ms`, the oldest first; answers how many.
///
/// # Errors
/// The database's own.
pub async fn delete(
    tx: &mut Tx,
    aged: Aged,
    tenant: TenantId,
    before_ms: i64,
    rows_max: u32,
) -> Result<u64, StoreError> {
    let args = match aged {
        Aged::Runs => args![tenant, EventId::new(before_ms, 0), rows_max],
        _ => args![tenant, before_ms, rows_max],
    };
    tx.execute(aged.plan().what, &aged.sql(), args).await
}

#[cfg(test)]
#[path = "aging_tests.rs"]
mod tests;
