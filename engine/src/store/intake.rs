//! The way in: raw webhooks as they arrived, and the lane inboxes that hold
//! their normalised events until a turn works them off.

use std::borrow::Borrow;
use std::collections::HashMap;

use pointsman_rules::ids::{ChannelId, InboxId, LaneId, RawWebhookId, TenantId};

use super::lanes::{Append, Claim, Task, append};
use super::{Row, StoreError, Tx};
use crate::args;

/// A webhook as it arrived.
#[derive(Debug, Clone)]
pub struct RawWebhook {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: RawWebhookId,
    /// Which channel.
    pub channel: ChannelId,
    /// Unix milliseconds.
    pub received_ms: i64,
    /// The request as JSON.
    pub request: String,
    /// `stored` or `quarantined`.
    pub outcome: &'static str,
    /// Why it could not be parsed.
    pub problem: Option<String>,
}

/// Something to be worked off by a lane's turn.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// Whose.
    pub tenant: TenantId,
    /// Which lane.
    pub lane: LaneId,
    /// Its id.
    pub id: InboxId,
    /// Which channel.
    pub channel: ChannelId,
    /// The webhook it came from.
    pub raw: Option<RawWebhookId>,
    /// The same for every redelivery; unique per channel.
    pub dedupe_key: String,
    /// JSON.
    pub body: String,
    /// Unix milliseconds.
    pub received_ms: i64,
}

/// An entry of a lane's inbox.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place in the lane.
    pub seq: i64,
    /// JSON.
    pub body: String,
}

/// Keeps webhooks.
///
/// # Errors
/// The database's own.
pub async fn insert_raw(tx: &mut Tx, webhooks: impl Iterator<Item = &RawWebhook>) -> Result<(), StoreError> {
    let rows = webhooks
        .map(|raw| {
            let request = raw.request.as_str();
            args![raw.tenant, raw.id, raw.channel, raw.received_ms, request, raw.outcome, raw.problem.clone()]
        })
        .collect();
    let head = "insert into raw_webhooks (tenant_id, id, channel_id, received_ms, request, outcome, problem)";
    tx.insert_many("keep a webhook", head, rows, "").await.map(|_| ())
}

/// Puts entries into their lanes' inboxes and wakes the lanes. Entries whose dedupe key is known are dropped.
/// Answers each entry's number in its lane (a dropped entry's number is simply skipped).
///
/// # Errors
/// The database's own.
pub async fn enqueue<E: Borrow<NewEntry> + Sync>(
    tx: &mut Tx,
    entries: &[E],
    now_ms: i64,
) -> Result<Vec<i64>, StoreError> {
    let mut appends: Vec<Append> = Vec::new();
    let mut places: HashMap<LaneId, usize> = HashMap::with_capacity(entries.len());
    for entry in entries.iter().map(Borrow::borrow) {
        let (tenant, lane, channel) = (entry.tenant, entry.lane, entry.channel);
        let place = *places.entry(lane).or_insert_with(|| {
            appends.push(Append { tenant, lane, channel, count: 0, ready_ms: now_ms });
            appends.len() - 1
        });
        appends[place].count += 1;
    }
    let gens = append(tx, Task::Turn, &appends).await?;
    let mut next: Vec<i64> = gens.iter().zip(&appends).map(|(gen_now, a)| gen_now - a.count + 1).collect();
    let mut seqs = Vec::with_capacity(entries.len());
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries.iter().map(Borrow::borrow) {
        let seq = &mut next[places[&entry.lane]];
        seqs.push(*seq);
        rows.push(args![
            entry.tenant,
            entry.lane,
            *seq,
            entry.id,
            entry.channel,
            entry.raw,
            entry.dedupe_key.as_str(),
            entry.body.as_str(),
            entry.received_ms
        ]);
        *seq += 1;
    }
    let head =
        "insert into inbox (tenant_id, lane_id, seq, id, channel_id, raw_id, dedupe_key, body, received_ms)";
    let tail = "on conflict (tenant_id, channel_id, dedupe_key) do nothing";
    tx.insert_many("fill an inbox", head, rows, tail).await?;
    Ok(seqs)
}

/// What waits in claimed lanes, per lane in order, at most `entries_max` per lane.
///
/// # Errors
/// The database's own.
pub async fn pending(
    tx: &mut Tx,
    claims: &[Claim],
    entries_max: u32,
) -> Result<Vec<(LaneId, Entry)>, StoreError> {
    let sql = "select lane_id, seq, body from inbox where tenant_id = $2 and lane_id = $3 and seq > $4 \
               order by seq limit $1";
    let rows: Vec<_> = claims.iter().map(|claim| args![claim.tenant, claim.lane, claim.done]).collect();
    let read = |row: &Row| {
        let mut columns = row.columns("inbox");
        let lane = columns.id("lane_id")?;
        Ok((lane, Entry { seq: columns.int("seq")?, body: columns.text("body")? }))
    };
    tx.all_of_each("read inboxes", sql, args![entries_max], &rows).await?.iter().map(read).collect()
}

/// Says why an entry was refused; it is done with and shown. JSON: `{"code", "detail"}`.
///
/// # Errors
/// The database's own.
pub async fn set_problem(
    tx: &mut Tx,
    tenant: TenantId,
    lane: LaneId,
    seq: i64,
    problem: &str,
) -> Result<(), StoreError> {
    let sql = "update inbox set problem = $4 where tenant_id = $1 and lane_id = $2 and seq = $3";
    tx.execute("mark an entry", sql, args![tenant, lane, seq, problem]).await.map(|_| ())
}

/// Forgets what an entry says. The entry stays: by it a redelivery is known.
///
/// # Errors
/// The database's own.
pub async fn empty(tx: &mut Tx, tenant: TenantId, lane: LaneId, seq: i64) -> Result<(), StoreError> {
    let sql = "update inbox set body = '{}' where tenant_id = $1 and lane_id = $2 and seq = $3";
    tx.execute("empty an entry", sql, args![tenant, lane, seq]).await.map(|_| ())
}

/// Why an entry was refused, as JSON, if it was.
///
/// # Errors
/// The database's own.
pub async fn problem(
    tx: &mut Tx,
    tenant: TenantId,
    lane: LaneId,
    seq: i64,
) -> Result<Option<String>, StoreError> {
    let sql = "select problem from inbox where tenant_id = $1 and lane_id = $2 and seq = $3";
    match tx.first("read an entry", sql, args![tenant, lane, seq]).await? {
        Some(row) => row.columns("inbox").opt_text("problem"),
        None => Ok(None),
    }
}
