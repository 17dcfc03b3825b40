//! A channel's past: what happened at the vendor while nobody listened is asked
//! for, batch by batch, and put beside what webhooks told. What is known already
//! is dropped; rules are shown nothing of it, since it is over.

use std::collections::HashSet;

use pointsman_rules::ids::{InboxId, TenantId};

use super::accept::AcceptError;
use super::case::to_json;
use super::catalog::Channel;
use super::jobs::{Outcome, Round};
use super::turn::Entry;
use super::{Flow, FlowError};
use crate::plugins::{Failure, InboundBody, InboundEvent, Retry};
use crate::store::backfills::{self, Backfill};
use crate::store::intake::{self, NewEntry};
use crate::store::lanes::Task;
use crate::store::{Durability, StoreError, messages};

/// The job that reads pasts.
pub const JOB: &str = "channels.backfill";
/// The farthest past that may be asked for, milliseconds: 90 days.
pub const PAST_MS_MAX: i64 = 90 * 24 * 3_600_000;
/// Batches of one channel in one run of the job; then others have their turn.
const BATCHES_PER_RUN: usize = 20;
/// Batches of one run at most; a vendor that tells more is going in circles.
const FOUND_MAX: i64 = 1_000_000;

/// Reads on in every channel of a tenant whose past is wanted.
///
/// # Errors
/// The store's.
pub async fn run(round: &Round) -> Result<Outcome, FlowError> {
    let (flow, tenant) = (&round.flow, round.tenant);
    let running = backfills::running(&mut flow.db.read().await?, tenant).await?;
    let mut is_over = true;
    for mut it in running {
        for _ in 0..BATCHES_PER_RUN {
            if round.stop.is_cancelled() {
                return Ok(Outcome::Snoozed);
            }
            let Some(next) = batch(flow, tenant, it.clone()).await? else { break };
            it = next;
            if it.state != backfills::RUNNING {
                break;
            }
        }
        // One that waits for its vendor is looked at in the next round.
        is_over &= it.state != backfills::RUNNING || it.problem.is_some();
    }
    Ok(if is_over { Outcome::Done } else { Outcome::Snoozed })
}

/// One batch; answers how far it is then. `None`: not now, another process or person began anew.
async fn batch(flow: &Flow, tenant: TenantId, mut it: Backfill) -> Result<Option<Backfill>, FlowError> {
    let channel = flow.catalog.channel(flow, tenant, it.channel).await?;
    let plugin = channel.as_ref().and_then(|channel| flow.host.get(&channel.facts.provider));
    let (Some(channel), Some(plugin)) = (channel.filter(|it| it.active && !it.is_removed), plugin) else {
        return end(
            flow,
            tenant,
            it,
            Some("the channel is switched off or its plugin is not there".to_owned()),
        )
        .await;
    };
    if channel.is_stopped() {
        return Ok(None);
    }
    let context = channel.context(&flow.settings.public_url, flow.clock.now_ms());
    let batch = match plugin.poll(&context, it.since_ms, it.cursor.as_deref()).await {
        Ok(batch) => batch,
        Err(failure) => {
            flow.heed_crashes(&plugin, &channel).await?;
            return failed(flow, tenant, it, &failure).await;
        }
    };
    let events: Vec<InboundEvent> = batch.events.into_iter().filter(is_wanted(it.since_ms)).collect();
    it.found += i64::try_from(events.len()).unwrap_or(i64::MAX);
    let entries = unknown(flow, &channel, events).await?;
    it.problem = None;
    it.cursor = batch.cursor.filter(|_| batch.more);
    if it.cursor.is_none() || it.found > FOUND_MAX {
        backfills::DONE.clone_into(&mut it.state);
        it.ended_ms = Some(flow.clock.now_ms());
    }
    keep(flow, tenant, it, entries).await
}

/// Messages alone: receipts and news of the channel that are over say nothing now.
fn is_wanted(since_ms: i64) -> impl Fn(&InboundEvent) -> bool {
    move |event| matches!(&event.body, InboundBody::Message(it) if it.sent_at_ms >= since_ms)
}

/// What no webhook told. Dedupe keys are forgotten after a while, ids of messages are not.
async fn unknown(
    flow: &Flow,
    channel: &Channel,
    events: Vec<InboundEvent>,
) -> Result<Vec<NewEntry>, FlowError> {
    let (tenant, now_ms) = (channel.tenant, flow.clock.now_ms());
    let known: HashSet<String> = {
        let ids: Vec<&str> = events.iter().filter_map(|event| id_of(&event.body)).collect();
        let tx = &mut flow.db.read().await?;
        let found = messages::by_vendor_id(tx, tenant, channel.facts.id, &ids).await?;
        found.into_iter().filter_map(|message| message.vendor_id).collect()
    };
    let mut entries = Vec::new();
    for event in events.into_iter().filter(|it| id_of(&it.body).is_none_or(|id| !known.contains(id))) {
        entries.push(NewEntry {
            tenant,
            lane: flow.lane_of_event(channel, &event.body).await.map_err(flow_error)?,
            id: InboxId::new(now_ms, flow.clock.random()),
            channel: channel.facts.id,
            raw: None,
            dedupe_key: event.dedupe_key.clone(),
            body: to_json(&Entry::Past(event)),
            received_ms: now_ms,
        });
    }
    Ok(entries)
}

fn id_of(body: &InboundBody) -> Option<&str> {
    match body {
        InboundBody::Message(message) => Some(message.id.as_str()),
        _ => None,
    }
}

fn flow_error(error: AcceptError) -> FlowError {
    match error {
        AcceptError::Flow(error) => error,
        other => FlowError::Store(StoreError::BadRow {
            table: "backfills",
            column: "cursor",
            reason: other.to_string(),
        }),
    }
}

async fn failed(
    flow: &Flow,
    tenant: TenantId,
    mut it: Backfill,
    failure: &Failure,
) -> Result<Option<Backfill>, FlowError> {
    match failure.retry {
        Retry::After { .. } => {
            it.problem = Some(failure.message.clone());
            keep(flow, tenant, it, Vec::new()).await?;
            Ok(None)
        }
        Retry::Never | Retry::AfterOwnerActs => end(flow, tenant, it, Some(failure.message.clone())).await,
    }
}

async fn end(
    flow: &Flow,
    tenant: TenantId,
    mut it: Backfill,
    problem: Option<String>,
) -> Result<Option<Backfill>, FlowError> {
    it.state = if problem.is_some() { backfills::FAILED } else { backfills::DONE }.to_owned();
    it.ended_ms = Some(flow.clock.now_ms());
    it.problem = problem;
    keep(flow, tenant, it, Vec::new()).await
}

/// Keeps how far it is together with what was found, unless somebody began anew meanwhile.
async fn keep(
    flow: &Flow,
    tenant: TenantId,
    it: Backfill,
    entries: Vec<NewEntry>,
) -> Result<Option<Backfill>, FlowError> {
    let now_ms = flow.clock.now_ms();
    let is_new = !entries.is_empty();
    let kept = flow.db.write(Durability::Hard, move |tx| {
        let (mut it, entries) = (it.clone(), entries.clone());
        Box::pin(async move {
            let now = backfills::get(tx, tenant, it.channel).await?;
            if now.is_none_or(|now| now.started_ms != it.started_ms || now.state != backfills::RUNNING) {
                return Ok(None);
            }
            it.added += i64::try_from(entries.len()).unwrap_or(i64::MAX);
            intake::enqueue(tx, &entries, now_ms).await?;
            backfills::put(tx, tenant, &it).await?;
            Ok::<_, StoreError>(Some(it))
        })
    });
    let kept = kept.await?;
    if is_new {
        flow.bus.ring(Task::Turn);
    }
    Ok(kept)
}
