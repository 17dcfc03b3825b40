//! How channels are doing: counts, the last problem and the vendor's last word on
//! the account, one row per channel. The counts arrive added up; nothing here
//! counts a table that grows.

use pointsman_rules::ids::{ChannelId, TenantId};
use serde_json::Value;

use super::{Row, StoreError, Tx};
use crate::args;

/// What went through a channel in some time, or since ever.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Webhooks that were taken.
    pub received: i64,
    /// Events that were read from them.
    pub stored: i64,
    /// Webhooks that are authentic but could not be read.
    pub quarantined: i64,
    /// Messages that the vendor took.
    pub sent: i64,
    /// Messages that failed.
    pub failed: i64,
    /// When the vendor called last, unix milliseconds.
    pub last_inbound_ms: Option<i64>,
    /// When the vendor took a message last, unix milliseconds.
    pub last_sent_ms: Option<i64>,
    /// The vendor's last refusal as JSON, and when it came, unix milliseconds.
    pub problem: Option<(String, i64)>,
}

impl Tally {
    /// Adds what came later.
    pub fn add(&mut self, later: Self) {
        self.received += later.received;
        self.stored += later.stored;
        self.quarantined += later.quarantined;
        self.sent += later.sent;
        self.failed += later.failed;
        self.last_inbound_ms = later.last_inbound_ms.max(self.last_inbound_ms);
        self.last_sent_ms = later.last_sent_ms.max(self.last_sent_ms);
        self.problem = later.problem.or_else(|| self.problem.take());
    }
}

/// How a channel is doing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Health {
    /// Since it was connected.
    pub tally: Tally,
    /// What the vendor said when it was last asked, as JSON.
    pub report: Option<Value>,
    /// When that was, unix milliseconds.
    pub checked_ms: Option<i64>,
}

/// Events that wait for their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// How many.
    pub waiting: i64,
    /// When the oldest arrived, unix milliseconds.
    pub oldest_ms: Option<i64>,
}

/// Adds up. Give the channels in one order everywhere, so that two processes do not wait for each other in a circle.
///
/// # Errors
/// The database's own.
pub async fn add(tx: &mut Tx, tallies: &[(TenantId, ChannelId, Tally)]) -> Result<(), StoreError> {
    let rows = tallies
        .iter()
        .map(|(tenant, channel, it)| {
            let (problem, problem_ms) = it.problem.clone().unzip();
            args![
                *tenant,
                *channel,
                it.received,
                it.stored,
                it.quarantined,
                it.sent,
                it.failed,
                it.last_inbound_ms,
                it.last_sent_ms,
                problem,
                problem_ms
            ]
        })
        .collect();
    let head = "insert into channel_health (tenant_id, channel_id, received, stored, quarantined, sent, failed, \
                last_inbound_ms, last_sent_ms, problem, problem_ms)";
    let tail = "on conflict (tenant_id, channel_id) do update set \
                received = channel_health.received + excluded.received, \
                stored = channel_health.stored + excluded.stored, \
                quarantined = channel_health.quarantined + excluded.quarantined, \
                sent = channel_health.sent + excluded.sent, failed = channel_health.failed + excluded.failed, \
                last_inbound_ms = coalesce(excluded.last_inbound_ms, channel_health.last_inbound_ms), \
                last_sent_ms = coalesce(excluded.last_sent_ms, channel_health.last_sent_ms), \
                problem = coalesce(excluded.problem, channel_health.problem), \
                problem_ms = coalesce(excluded.problem_ms, channel_health.problem_ms)";
    tx.insert_many("add up what went through channels", head, rows, tail).await.map(|_| ())
}

/// Keeps what the vendor said about the account; `report` is JSON.
///
/// # Errors
/// The database's own.
pub async fn record_check(
    tx: &mut Tx,
    tenant: TenantId,
    channel: ChannelId,
    report: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "insert into channel_health (tenant_id, channel_id, received, stored, quarantined, sent, failed, \
               report, checked_ms) values ($1, $2, 0, 0, 0, 0, 0, $3, $4) \
               on conflict (tenant_id, channel_id) do update set report = excluded.report, \
               checked_ms = excluded.checked_ms";
    tx.execute("keep a check of a channel", sql, args![tenant, channel, report, now_ms]).await.map(|_| ())
}

/// How a channel is doing; all zero before anything happened.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn get(tx: &mut Tx, tenant: TenantId, channel: ChannelId) -> Result<Health, StoreError> {
    let sql = "select received, stored, quarantined, sent, failed, last_inbound_ms, last_sent_ms, problem, \
               problem_ms, report, checked_ms from channel_health where tenant_id = $1 and channel_id = $2";
    let row = tx.first("read how a channel is doing", sql, args![tenant, channel]).await?;
    row.as_ref().map(read).transpose().map(Option::unwrap_or_default)
}

fn read(row: &Row) -> Result<Health, StoreError> {
    let c = &mut row.columns("channel_health");
    let mut tally = Tally {
        received: c.int("received")?,
        stored: c.int("stored")?,
        quarantined: c.int("quarantined")?,
        sent: c.int("sent")?,
        failed: c.int("failed")?,
        last_inbound_ms: c.opt_int("last_inbound_ms")?,
        last_sent_ms: c.opt_int("last_sent_ms")?,
        problem: None,
    };
    tally.problem = c.opt_text("problem")?.zip(c.opt_int("problem_ms")?);
    Ok(Health { tally, report: c.opt_json("report")?, checked_ms: c.opt_int("checked_ms")? })
}

/// What of a channel's webhooks no turn has worked off. Looks only at lanes that have work.
///
/// # Errors
/// The database's own.
pub async fn backlog(tx: &mut Tx, tenant: TenantId, channel: ChannelId) -> Result<Backlog, StoreError> {
    let sql = "select count(*), min(i.received_ms) from lanes l join inbox i on i.tenant_id = l.tenant_id \
               and i.lane_id = l.id and i.seq > l.done where l.task = 'turn' and l.ready_ms is not null \
               and l.tenant_id = $1 and l.channel_id = $2 and i.raw_id is not null";
    let Some(row) = tx.first("look at what waits in a channel", sql, args![tenant, channel]).await? else {
        return Ok(Backlog::default());
    };
    let c = &mut row.columns("inbox");
    Ok(Backlog { waiting: c.int("count")?, oldest_ms: c.opt_int("min")? })
}

#[cfg(test)]
mod tests {
    use pointsman_rules::ids::{InboxId, LaneId, RawWebhookId};

    use super::super::intake::{self, NewEntry};
    use super::super::testing::each_db;
    use super::super::{Durability, StoreError};
    use super::*;

    fn entry(n: u128, raw: bool) -> NewEntry {
        NewEntry {
            tenant: TenantId::new(1, 1),
            lane: LaneId::new(1, 1),
            id: InboxId::new(1, n),
            channel: ChannelId::new(1, 1),
            raw: raw.then(|| RawWebhookId::new(1, n)),
            dedupe_key: n.to_string(),
            body: "{}".into(),
            received_ms: 100 + i64::try_from(n).unwrap(),
        }
    }

    #[test]
    fn counts_add_up_and_the_latest_problem_stays() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, channel) = (TenantId::new(1, 1), ChannelId::new(1, 1));
                    assert_eq!(get(tx, tenant, channel).await?, Health::default());
                    record_check(tx, tenant, channel, r#"{"ok":true}"#, 3).await?;
                    let first = Tally {
                        received: 2,
                        stored: 3,
                        last_inbound_ms: Some(5),
                        problem: Some(("{}".into(), 6)),
                        ..Tally::default()
                    };
                    let second = Tally { sent: 1, failed: 1, last_sent_ms: Some(7), ..Tally::default() };
                    add(tx, &[(tenant, channel, first.clone())]).await?;
                    add(tx, &[(tenant, channel, second.clone())]).await?;
                    let mut sum = first;
                    sum.add(second);
                    let found = get(tx, tenant, channel).await?;
                    assert_eq!((found.tally, found.checked_ms), (sum, Some(3)));
                    assert_eq!(found.report, Some(serde_json::json!({"ok": true})));
                    assert_eq!(get(tx, TenantId::new(1, 2), channel).await?, Health::default());
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }

    #[test]
    fn only_webhooks_that_wait_are_behind() {
        each_db(|db| async move {
            db.write(Durability::Hard, move |tx| {
                Box::pin(async move {
                    let (tenant, channel) = (TenantId::new(1, 1), ChannelId::new(1, 1));
                    assert_eq!(backlog(tx, tenant, channel).await?, Backlog::default());
                    // The second is a command of ours.
                    intake::enqueue(tx, &[entry(1, true), entry(2, false), entry(3, true)], 1).await?;
                    let behind = Backlog { waiting: 2, oldest_ms: Some(101) };
                    assert_eq!(backlog(tx, tenant, channel).await?, behind);
                    assert_eq!(backlog(tx, tenant, ChannelId::new(1, 2)).await?, Backlog::default());
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
