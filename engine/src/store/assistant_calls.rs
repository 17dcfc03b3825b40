//! Calls of assistants that are under way: what each may use at most, so that
//! caps count it before it is known. A row goes with the call's end; one that its
//! process left behind counts until its time has passed.

use pointsman_rules::ids::{JobId, TenantId};

use super::assistant_usage::{Place, Used};
use super::{StoreError, Tx};
use crate::args;

/// A call that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Which; the same when it is tried again.
    pub id: JobId,
    /// What it will be counted for.
    pub place: Place,
    /// What it may use at most; the tokens count together.
    pub at_most: Used,
    /// When it has ended for certain, unix milliseconds.
    pub until_ms: i64,
}

/// Calls of one day that are looked at: far more than a process makes at once.
const CALLS_MAX: i64 = 10_000;

/// Notes that a call begins, in place of what was noted of it before, and forgets those that nobody ended.
///
/// # Errors
/// The database's own.
pub async fn begin(tx: &mut Tx, tenant: TenantId, it: &Call, now_ms: i64) -> Result<(), StoreError> {
    let sql = "delete from assistant_calls where tenant_id = $1 and until_ms <= $2";
    tx.execute("forget calls of assistants", sql, args![tenant, now_ms]).await?;
    let sql = "insert into assistant_calls (tenant_id, id, day, channel_id, assistant_id, tokens, cost_micros, \
        until_ms) values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (tenant_id, id) do update set \
        day = excluded.day, channel_id = excluded.channel_id, assistant_id = excluded.assistant_id, \
        tokens = excluded.tokens, cost_micros = excluded.cost_micros, until_ms = excluded.until_ms";
    let (at, most) = (it.place, it.at_most);
    let values =
        args![tenant, it.id, at.day, at.channel, at.assistant, most.tokens(), most.cost_micros, it.until_ms];
    tx.execute("begin a call of an assistant", sql, values).await.map(|_| ())
}

/// Notes that a call has ended.
///
/// # Errors
/// The database's own.
pub async fn end(tx: &mut Tx, tenant: TenantId, id: JobId) -> Result<(), StoreError> {
    let sql = "delete from assistant_calls where tenant_id = $1 and id = $2";
    tx.execute("end a call of an assistant", sql, args![tenant, id]).await.map(|_| ())
}

/// Forgets all calls of all tenants: the process that made them is gone.
///
/// # Errors
/// The database's own.
pub async fn forget_all(tx: &mut Tx) -> Result<(), StoreError> {
    tx.execute("forget calls of assistants", "delete from assistant_calls", args![]).await.map(|_| ())
}

/// What calls of a day that are under way may use at most, and where; but for the call `besides`.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn under_way(
    tx: &mut Tx,
    tenant: TenantId,
    day: i64,
    besides: JobId,
    now_ms: i64,
) -> Result<Vec<(Place, Used)>, StoreError> {
    let sql = "select day, channel_id, assistant_id, tokens, cost_micros from assistant_calls \
        where tenant_id = $1 and day = $2 and id <> $3 and until_ms > $4 limit $5";
    let values = args![tenant, day, besides, now_ms, CALLS_MAX];
    let rows = tx.all("list calls of assistants", sql, values).await?;
    rows.iter()
        .map(|row| {
            let mut c = row.columns("assistant_calls");
            let at =
                Place { day: c.int("day")?, channel: c.id("channel_id")?, assistant: c.id("assistant_id")? };
            let (tokens, cost_micros) = (c.int("tokens")?, c.int("cost_micros")?);
            Ok((at, Used { runs: 1, input_tokens: tokens, output_tokens: 0, cost_micros }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use pointsman_rules::ids::{AssistantId, ChannelId};

    use super::super::Durability;
    use super::super::testing::each_db;
    use super::*;

    fn call(id: u128, tokens: i64, until_ms: i64) -> Call {
        let place = Place { day: 9, channel: ChannelId::new(1, 1), assistant: AssistantId::new(1, 1) };
        let at_most = Used { runs: 1, input_tokens: tokens, output_tokens: 1, cost_micros: 7 };
        Call { id: JobId::new(1, id), place, at_most, until_ms }
    }

    #[test]
    fn a_call_counts_until_its_end_or_its_time_and_never_against_itself() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (ours, theirs) = (TenantId::new(1, 1), TenantId::new(1, 2));
                    let other = JobId::new(1, 99);
                    let sum = |found: Vec<(Place, Used)>| -> i64 {
                        found.iter().map(|(_, used)| used.tokens()).sum()
                    };
                    begin(tx, ours, &call(1, 100, 500), 0).await?;
                    begin(tx, ours, &call(2, 10, 900), 0).await?;
                    begin(tx, theirs, &call(1, 5_000, 900), 0).await?;
                    assert_eq!(sum(under_way(tx, ours, 9, other, 0).await?), 112);
                    assert_eq!(sum(under_way(tx, ours, 9, JobId::new(1, 1), 0).await?), 11);
                    assert_eq!(sum(under_way(tx, ours, 8, other, 0).await?), 0, "another day");
                    begin(tx, ours, &call(1, 200, 800), 0).await?;
                    assert_eq!(
                        sum(under_way(tx, ours, 9, other, 0).await?),
                        212,
                        "tried again, counted once"
                    );
                    assert_eq!(sum(under_way(tx, ours, 9, other, 800).await?), 11, "nobody ended it");
                    end(tx, ours, JobId::new(1, 2)).await?;
                    assert_eq!(sum(under_way(tx, ours, 9, other, 0).await?), 201);
                    begin(tx, ours, &call(3, 1, 2_000), 1_000).await?;
                    assert_eq!(sum(under_way(tx, ours, 9, other, 0).await?), 2, "what is over is gone");
                    forget_all(tx).await?;
                    assert_eq!(sum(under_way(tx, theirs, 9, other, 0).await?), 0);
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
