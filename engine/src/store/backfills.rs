//! What is read of channels' past: one row for each channel, its last run.

use pointsman_rules::ids::{ChannelId, TenantId};

use super::{Row, StoreError, Tx};
use crate::args;

/// It goes on.
pub const RUNNING: &str = "running";
/// It came to its end.
pub const DONE: &str = "done";
/// It was given up; `problem` says why.
pub const FAILED: &str = "failed";

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// Of which channel.
    pub channel: ChannelId,
    /// Older events are not wanted, unix milliseconds.
    pub since_ms: i64,
    /// Where the next batch begins; the plugin's own words.
    pub cursor: Option<String>,
    /// [`RUNNING`], [`DONE`] or [`FAILED`].
    pub state: String,
    /// Events that the vendor told.
    pub found: i64,
    /// Those of them that were not known.
    pub added: i64,
    /// Why it was given up, or what it waits for; one sentence.
    pub problem: Option<String>,
    /// Unix milliseconds.
    pub started_ms: i64,
    /// Unix milliseconds.
    pub ended_ms: Option<i64>,
}

const COLUMNS: &str = "channel_id, since_ms, cursor, state, found, added, problem, started_ms, ended_ms";

fn read(row: &Row) -> Result<Backfill, StoreError> {
    let mut c = row.columns("backfills");
    Ok(Backfill {
        channel: c.id("channel_id")?,
        since_ms: c.int("since_ms")?,
        cursor: c.opt_text("cursor")?,
        state: c.text("state")?,
        found: c.int("found")?,
        added: c.int("added")?,
        problem: c.opt_text("problem")?,
        started_ms: c.int("started_ms")?,
        ended_ms: c.opt_int("ended_ms")?,
    })
}

/// Writes a run over the one before.
///
/// # Errors
/// The database's own.
pub async fn put(tx: &mut Tx, tenant: TenantId, it: &Backfill) -> Result<(), StoreError> {
    let sql = format!(
        "insert into backfills (tenant_id, {COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         on conflict (tenant_id, channel_id) do update set since_ms = excluded.since_ms, cursor = excluded.cursor, \
         state = excluded.state, found = excluded.found, added = excluded.added, problem = excluded.problem, \
         started_ms = excluded.started_ms, ended_ms = excluded.ended_ms"
    );
    let values = args![
        tenant,
        it.channel,
        it.since_ms,
        it.cursor.clone(),
        it.state.as_str(),
        it.found,
        it.added,
        it.problem.clone(),
        it.started_ms,
        it.ended_ms
    ];
    tx.execute("keep how far a past is read", &sql, values).await.map(|_| ())
}

/// A channel's last run.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, channel: ChannelId) -> Result<Option<Backfill>, StoreError> {
    let sql = format!("select {COLUMNS} from backfills where tenant_id = $1 and channel_id = $2");
    let row = tx.first("read how far a past is read", &sql, args![tenant, channel]).await?;
    row.as_ref().map(read).transpose()
}

/// Runs that go on.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn running(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Backfill>, StoreError> {
    let sql =
        format!("select {COLUMNS} from backfills where tenant_id = $1 and state = $2 order by channel_id");
    tx.all("list pasts that are read", &sql, args![tenant, RUNNING]).await?.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Durability;
    use super::super::testing::each_db;
    use super::*;

    #[test]
    fn a_channel_has_one_run_and_only_those_that_go_on_are_listed() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, channel) = (TenantId::new(1, 1), ChannelId::new(1, 1));
                    let first = Backfill {
                        channel,
                        since_ms: 5,
                        cursor: None,
                        state: RUNNING.into(),
                        found: 0,
                        added: 0,
                        problem: None,
                        started_ms: 9,
                        ended_ms: None,
                    };
                    put(tx, tenant, &first).await?;
                    assert_eq!(running(tx, tenant).await?, std::slice::from_ref(&first));
                    assert_eq!(running(tx, TenantId::new(1, 2)).await?, []);
                    let cursor = Some("1.0".to_owned());
                    let then = Backfill { cursor, state: DONE.into(), found: 2, ended_ms: Some(10), ..first };
                    put(tx, tenant, &then).await?;
                    assert_eq!(get(tx, tenant, channel).await?, Some(then));
                    assert_eq!(running(tx, tenant).await?, []);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
