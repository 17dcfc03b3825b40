//! Lanes: the ordering key and the coalesced job. Appending wakes a lane,
//! claiming takes a lease on it, finishing gives it back. Everything is fenced
//! by the lease's token, so a worker whose lease ran out changes nothing.

use std::collections::HashMap;

use pointsman_rules::ids::{ChannelId, ConversationId, LaneId, TenantId};

use serde::{Deserialize, Serialize};

use super::{Row, StoreError, Tx};
use crate::args;

/// What a lane's lease is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Inbox → state.
    Turn,
    /// Effects → vendor.
    Deliver,
    /// Events → endpoints of other programs. A lane of its own for each endpoint and conversation.
    Webhook,
}

impl Task {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Deliver => "deliver",
            Self::Webhook => "webhook",
        }
    }
}

/// Entries to append to one lane.
#[derive(Debug, Clone, Copy)]
pub struct Append {
    /// Whose.
    pub tenant: TenantId,
    /// Which lane.
    pub lane: LaneId,
    /// The lane's channel.
    pub channel: ChannelId,
    /// How many entries; they get the numbers `gen - count + 1 ..= gen`.
    pub count: i64,
    /// When work may start, unix milliseconds.
    pub ready_ms: i64,
}

/// A lease on a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Whose.
    pub tenant: TenantId,
    /// Which lane.
    pub lane: LaneId,
    /// The lane's channel.
    pub channel: ChannelId,
    /// The lane's newest conversation.
    pub conversation: Option<ConversationId>,
    /// Number of the last entry that was worked off.
    pub done: i64,
    /// Entries up to this number are visible to later statements. Numbers of redelivered ones belong to nothing.
    pub gen_seen: i64,
    /// Fences later writes.
    pub token: i64,
    /// How often the lane was claimed since work on it last ended well.
    pub attempts: i64,
}

/// How a lease ends.
#[derive(Debug, Clone, Copy)]
pub struct Finish {
    /// The lease.
    pub claim: Claim,
    /// Number of the last entry that is worked off now.
    pub done: i64,
    /// The lane's newest conversation now.
    pub conversation: Option<ConversationId>,
}

/// Appends to lanes and answers each lane's new `gen`, in the order given. Locks the lanes first (in one order, so
/// that two callers cannot deadlock), so that numbers are drawn in commit order. Lanes must not repeat.
///
/// # Errors
/// The database's own.
pub async fn append(tx: &mut Tx, task: Task, appends: &[Append]) -> Result<Vec<i64>, StoreError> {
    let mut order: Vec<usize> = (0..appends.len()).collect();
    order.sort_by_key(|index| (appends[*index].tenant, appends[*index].lane));
    let rows = order
        .iter()
        .map(|index| {
            let it = &appends[*index];
            let (tenant, lane, channel) = (it.tenant, it.lane, it.channel);
            args![tenant, lane, task.word(), channel, it.ready_ms, false, 0i64, it.count, 0i64, 0i64]
        })
        .collect();
    let head =
        "insert into lanes (tenant_id, id, task, channel_id, ready_ms, leased, token, gen, done, attempts)";
    let tail = "on conflict (tenant_id, id, task) do update set gen = lanes.gen + excluded.gen, \
                ready_ms = case when lanes.leased then lanes.ready_ms \
                when lanes.ready_ms < excluded.ready_ms then lanes.ready_ms else excluded.ready_ms end \
                returning id, gen";
    let returned = tx.insert_many_returning("append to lanes", head, rows, tail).await?;
    let mut gens: HashMap<LaneId, i64> = HashMap::with_capacity(appends.len());
    for row in returned {
        let mut columns = row.columns("lanes");
        gens.insert(columns.id("id")?, columns.int("gen")?);
    }
    Ok(appends.iter().map(|it| gens.get(&it.lane).copied().unwrap_or_default()).collect())
}

/// Is there a lane that may be claimed? A cheap look before the write.
///
/// # Errors
/// The database's own.
pub async fn any_ready(tx: &mut Tx, task: Task, now_ms: i64) -> Result<bool, StoreError> {
    let sql = "select 1 from lanes where task = $1 and ready_ms <= $2 limit 1";
    Ok(tx.first("look for ready lanes", sql, args![task.word(), now_ms]).await?.is_some())
}

/// Takes up to `lanes_max` ready lanes until `lease_until_ms`. What lies in them must be read in later statements.
///
/// # Errors
/// The database's own.
pub async fn claim(
    tx: &mut Tx,
    task: Task,
    owner: &str,
    now_ms: i64,
    lease_until_ms: i64,
    lanes_max: u32,
) -> Result<Vec<Claim>, StoreError> {
    let sql = if tx.is_postgres() { CLAIM_POSTGRES } else { CLAIM_SQLITE };
    let rows =
        tx.all("claim lanes", sql, args![task.word(), now_ms, lanes_max, lease_until_ms, owner]).await?;
    rows.iter().map(read_claim).collect()
}

/// Takes these lanes until `lease_until_ms`, but for those that somebody has or that wait for a later moment.
///
/// # Errors
/// The database's own.
pub async fn take(
    tx: &mut Tx,
    task: Task,
    owner: &str,
    (now_ms, lease_until_ms): (i64, i64),
    lanes: &[(TenantId, LaneId)],
) -> Result<Vec<Claim>, StoreError> {
    let sql = "update lanes set leased = true, token = lanes.token + 1, attempts = lanes.attempts + 1, \
               ready_ms = $3, owner = $4 from :rows as v where lanes.tenant_id = v.column1 \
               and lanes.id = v.column2 and lanes.task = $1 and not lanes.leased and lanes.ready_ms <= $2 \
               returning lanes.tenant_id, lanes.id, lanes.channel_id, lanes.conversation_id, lanes.done, lanes.gen, \
               lanes.token, lanes.attempts";
    let rows: Vec<_> = lanes.iter().map(|(tenant, lane)| args![*tenant, *lane]).collect();
    let args = args![task.word(), now_ms, lease_until_ms, owner];
    tx.join_rows("take lanes", sql, args, &rows).await?.iter().map(read_claim).collect()
}

fn read_claim(row: &Row) -> Result<Claim, StoreError> {
    let mut columns = row.columns("lanes");
    Ok(Claim {
        tenant: columns.id("tenant_id")?,
        lane: columns.id("id")?,
        channel: columns.id("channel_id")?,
        conversation: columns.opt_id("conversation_id")?,
        done: columns.int("done")?,
        gen_seen: columns.int("gen")?,
        token: columns.int("token")?,
        attempts: columns.int("attempts")?,
    })
}

const CLAIM_SQLITE: &str = "update lanes set leased = true, token = token + 1, attempts = attempts + 1, \
    ready_ms = $4, owner = $5 where (tenant_id, id, task) in (select tenant_id, id, task from lanes \
    where task = $1 and ready_ms <= $2 order by ready_ms limit $3) \
    returning tenant_id, id, channel_id, conversation_id, done, gen, token, attempts";
const CLAIM_POSTGRES: &str = "update lanes set leased = true, token = token + 1, attempts = attempts + 1, \
    ready_ms = $4, owner = $5 where (tenant_id, id, task) in (select tenant_id, id, task from lanes \
    where task = $1 and ready_ms <= $2 order by ready_ms limit $3 for update skip locked) \
    returning tenant_id, id, channel_id, conversation_id, done, gen, token, attempts";

/// Gives lanes back. A lane that got entries meanwhile is ready again at once. Answers those that were still ours, and
/// whether they are ready again; the caller must not write anything for the others.
///
/// # Errors
/// The database's own.
pub async fn finish(
    tx: &mut Tx,
    task: Task,
    now_ms: i64,
    ends: &[Finish],
) -> Result<Vec<(LaneId, bool)>, StoreError> {
    let sql = "update lanes set leased = false, attempts = 0, done = v.column4, conversation_id = v.column5, \
               ready_ms = case when lanes.gen > v.column4 then cast($1 as bigint) end from :rows as v \
               where lanes.tenant_id = v.column1 and lanes.id = v.column2 and lanes.task = $2 \
               and lanes.token = v.column3 returning lanes.id, lanes.ready_ms";
    let row =
        |end: &Finish| args![end.claim.tenant, end.claim.lane, end.claim.token, end.done, end.conversation];
    let rows: Vec<_> = ends.iter().map(row).collect();
    lock(tx, task, ends.iter().map(|end| &end.claim)).await?;
    let returned = tx.join_rows("finish lanes", sql, args![now_ms, task.word()], &rows).await?;
    returned
        .iter()
        .map(|row| {
            let mut columns = row.columns("lanes");
            Ok((columns.id("id")?, columns.opt_int("ready_ms")?.is_some()))
        })
        .collect()
}

/// How a delivery lease ends.
#[derive(Debug, Clone, Copy)]
pub struct Rest {
    /// The lease.
    pub claim: Claim,
    /// The lane's `gen` up to which its effects were looked at.
    pub seen_gen: i64,
    /// When the lane is ready again; effects that were added meanwhile make it ready at once.
    pub ready_ms: Option<i64>,
}

/// Ends delivery leases; those that are not ours any more stay as they are.
///
/// # Errors
/// The database's own.
pub async fn rest(tx: &mut Tx, ends: &[Rest], now_ms: i64) -> Result<(), StoreError> {
    let sql = "update lanes set leased = false, attempts = 0, done = v.column4, \
               ready_ms = case when v.column5 is not null then v.column5 \
               when lanes.gen > v.column4 then cast($1 as bigint) end from :rows as v \
               where lanes.tenant_id = v.column1 and lanes.id = v.column2 and lanes.task = 'deliver' \
               and lanes.token = v.column3";
    let row =
        |end: &Rest| args![end.claim.tenant, end.claim.lane, end.claim.token, end.seen_gen, end.ready_ms];
    let rows: Vec<_> = ends.iter().map(row).collect();
    tx.change_rows("rest lanes", sql, args![now_ms], &rows).await
}

/// Lengthens all leases of a process; answers how many it has.
///
/// # Errors
/// The database's own.
pub async fn renew(tx: &mut Tx, owner: &str, lease_until_ms: i64) -> Result<u64, StoreError> {
    // A lane that is locked is being worked on at this moment; it lengthens or ends its lease itself.
    let sql = if tx.is_postgres() {
        "update lanes set ready_ms = $2 where (tenant_id, id, task) in (select tenant_id, id, task from lanes \
         where owner = $1 and leased for update skip locked)"
    } else {
        "update lanes set ready_ms = $2 where owner = $1 and leased"
    };
    tx.execute("renew leases", sql, args![owner, lease_until_ms]).await
}

/// Locks these lanes' turns until the end of the transaction, so that no turn of theirs is written meanwhile.
///
/// # Errors
/// The database's own.
pub async fn lock_turns(tx: &mut Tx, tenant: TenantId, lanes: &[LaneId]) -> Result<(), StoreError> {
    lock_in_order(tx, Task::Turn, lanes.iter().map(|lane| (tenant, *lane)).collect()).await
}

/// Takes these lanes away from whoever works on them: what a worker would write now is refused, and what waits is worked
/// off afresh. `gone`: the conversation that is taken off them, `None` for whichever it is, together with all that waits
/// in them. Answers how far the turns of each lane are.
///
/// # Errors
/// The database's own.
pub async fn fence(
    tx: &mut Tx,
    tenant: TenantId,
    lanes: &[LaneId],
    gone: Option<ConversationId>,
    now_ms: i64,
) -> Result<Vec<Fenced>, StoreError> {
    let done = if gone.is_none() { "gen" } else { "done" };
    let sql = format!(
        "update lanes set token = token + 1, leased = false, attempts = 0, done = {done}, \
         conversation_id = case when $5 = '' or conversation_id = $5 then null else conversation_id end, \
         ready_ms = case when task = 'deliver' or gen > {done} then cast($4 as bigint) end \
         where tenant_id = $1 and id = $2 and task = $3 returning done"
    );
    let gone = gone.map_or_else(String::new, |id| id.to_string());
    let mut lanes = lanes.to_vec();
    lanes.sort_unstable();
    let mut out = Vec::with_capacity(lanes.len());
    // All turns before all deliveries: the order in which everybody locks them.
    for task in [Task::Turn, Task::Deliver] {
        for lane in &lanes {
            let row =
                tx.first("fence a lane", &sql, args![tenant, *lane, task.word(), now_ms, &gone]).await?;
            if let (Some(row), Task::Turn) = (row, task) {
                out.push(Fenced { lane: *lane, done: row.columns("lanes").int("done")? });
            }
        }
    }
    Ok(out)
}

/// A lane that was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fenced {
    /// Which.
    pub lane: LaneId,
    /// Number of the last entry that was worked off, or dropped.
    pub done: i64,
}

/// Locks lanes in one order, so that two transactions that want the same ones do not wait for each other in a circle.
/// On SQLite there is one writer.
async fn lock(tx: &mut Tx, task: Task, lanes: impl Iterator<Item = &Claim>) -> Result<(), StoreError> {
    lock_in_order(tx, task, lanes.map(|claim| (claim.tenant, claim.lane)).collect()).await
}

async fn lock_in_order(
    tx: &mut Tx,
    task: Task,
    mut lanes: Vec<(TenantId, LaneId)>,
) -> Result<(), StoreError> {
    if !tx.is_postgres() {
        return Ok(());
    }
    let sql = "select 1 from :rows as v join lanes on lanes.tenant_id = v.column1 and lanes.id = v.column2 \
               where lanes.task = $1 order by lanes.tenant_id, lanes.id for update of lanes";
    lanes.sort_unstable();
    let rows: Vec<_> = lanes.into_iter().map(|(tenant, lane)| args![tenant, lane]).collect();
    tx.join_rows("lock lanes", sql, args![task.word()], &rows).await.map(|_| ())
}

/// Which of these leases are still ours? Locks their lanes until the end of the transaction and answers, by lane and
/// token, the lane's `gen`: whatever it counts is visible to later statements. A lease of which less than half is left
/// is lengthened; the others are not written, because [`renew`] comes round for all of them.
///
/// A process whose lease ran out may have claimed the same lane again: both leases may be asked for at once, and only
/// one of them holds.
///
/// # Errors
/// The database's own.
pub async fn hold(
    tx: &mut Tx,
    task: Task,
    claims: &[Claim],
    (now_ms, lease_ms): (i64, i64),
) -> Result<HashMap<(LaneId, i64), i64>, StoreError> {
    let sql = "select lanes.tenant_id, lanes.id, lanes.token, lanes.gen, lanes.ready_ms from :rows as v \
               join lanes on lanes.tenant_id = v.column1 and lanes.id = v.column2 and lanes.task = $1 \
               and lanes.token = v.column3 and lanes.leased";
    let rows: Vec<_> = claims.iter().map(|claim| args![claim.tenant, claim.lane, claim.token]).collect();
    lock(tx, task, claims.iter()).await?;
    let mut held = HashMap::with_capacity(claims.len());
    let mut ending = Vec::new();
    for row in tx.join_rows("hold leases", sql, args![task.word()], &rows).await? {
        let mut columns = row.columns("lanes");
        let tenant: TenantId = columns.id("tenant_id")?;
        let (lane, token, gen_now) = (columns.id("id")?, columns.int("token")?, columns.int("gen")?);
        if columns.opt_int("ready_ms")?.is_none_or(|until_ms| until_ms < now_ms + lease_ms / 2) {
            ending.push(args![tenant, lane]);
        }
        held.insert((lane, token), gen_now);
    }
    let sql = "update lanes set ready_ms = $1 from :rows as v where lanes.tenant_id = v.column1 \
               and lanes.id = v.column2 and lanes.task = $2";
    tx.change_rows("lengthen leases", sql, args![now_ms + lease_ms, task.word()], &ending).await?;
    Ok(held)
}

/// Gives up a lease without having done anything: the lane is ready again at `ready_ms`.
///
/// # Errors
/// The database's own.
pub async fn give_back(tx: &mut Tx, task: Task, claim: &Claim, ready_ms: i64) -> Result<(), StoreError> {
    let sql = "update lanes set leased = false, ready_ms = $5 where tenant_id = $1 and id = $2 and task = $3 \
               and token = $4";
    let args = args![claim.tenant, claim.lane, task.word(), claim.token, ready_ms];
    tx.execute("give a lease back", sql, args).await.map(|_| ())
}

/// Makes a channel's deliveries ready that wait for a later moment; answers how many. Lanes that somebody has stay as
/// they are.
///
/// # Errors
/// The database's own.
pub async fn wake_deliveries(
    tx: &mut Tx,
    tenant: TenantId,
    channel: ChannelId,
    now_ms: i64,
) -> Result<u64, StoreError> {
    if tx.is_postgres() {
        let sql = "select 1 from lanes where task = 'deliver' and ready_ms is not null and tenant_id = $1 \
                   and channel_id = $2 order by tenant_id, id for update";
        tx.all("lock a channel's lanes", sql, args![tenant, channel]).await?;
    }
    let sql = "update lanes set ready_ms = $3 where task = 'deliver' and ready_ms > $3 and not leased \
               and tenant_id = $1 and channel_id = $2";
    tx.execute("wake a channel's deliveries", sql, args![tenant, channel, now_ms]).await
}

/// Frees the leases of a process that ends in good order.
///
/// # Errors
/// The database's own.
pub async fn free_owned(tx: &mut Tx, owner: &str, now_ms: i64) -> Result<u64, StoreError> {
    let sql = "update lanes set leased = false, ready_ms = $2 where owner = $1 and leased";
    tx.execute("free leases", sql, args![owner, now_ms]).await
}

/// Frees every lease, for the start of the only process of a database.
///
/// # Errors
/// The database's own.
pub async fn free_all(tx: &mut Tx, now_ms: i64) -> Result<u64, StoreError> {
    let sql = "update lanes set leased = false, ready_ms = $1 where leased";
    tx.execute("free leases", sql, args![now_ms]).await
}

/// How many lanes wait or run, and since when the oldest waits (unix milliseconds).
///
/// # Errors
/// The database's own.
pub async fn backlog(tx: &mut Tx, task: Task, now_ms: i64) -> Result<(i64, Option<i64>), StoreError> {
    let sql = "select count(*), min(ready_ms) from lanes where task = $1 and ready_ms is not null \
               and (leased or ready_ms <= $2)";
    let row = tx.first("count lanes", sql, args![task.word(), now_ms]).await?;
    let Some(row) = row else { return Ok((0, None)) };
    let mut columns = row.columns("lanes");
    Ok((columns.int("count")?, columns.opt_int("min")?))
}

/// Which of these lanes have entries that no turn has worked off up to `seq`? Used to wait for a command.
///
/// # Errors
/// The database's own.
pub async fn is_done(tx: &mut Tx, tenant: TenantId, lane: LaneId, seq: i64) -> Result<bool, StoreError> {
    let sql = "select 1 from lanes where tenant_id = $1 and id = $2 and task = 'turn' and done >= $3";
    Ok(tx.first("look at a lane", sql, args![tenant, lane, seq]).await?.is_some())
}

#[cfg(test)]
mod tests;
