//! Lanes as tasks: a claim takes a lease on ready lanes and is emitted as a task;
//! the verb gives the lease back in the transaction that ends its work.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::Task;
use apalis_core::error::BoxDynError;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::WorkerSettings;
use super::backend::{self, Fetched};
use crate::flow::deliver::{self, Begun};
use crate::flow::webhook::send;
use crate::flow::{Flow, FlowError, turn};
use crate::store::lanes::{self, Claim, Task as Kind};
use crate::store::{Durability, StoreError};

/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// A lane whose work failed is taken up again after this long times its attempts, milliseconds.
const FAILED_PAUSE_MS: i64 = 300;

/// In a rush turns wait until it is over, at most so long before each claim: however long it lasts, so many lanes as one
/// claim takes are worked off in this time. What gathers meanwhile costs fewer statements and commits.
const RUSH_HOLD_MAX: Duration = Duration::from_millis(250);
/// How often is looked whether the rush is over.
const RUSH_LOOK: Duration = Duration::from_millis(10);
/// So many looks in a row must find no rush: one may fall between two commits, when everybody has just been answered.
const CALM_LOOKS: u32 = 3;

/// Claimed lanes, and the permit that lets them run.
#[derive(Clone)]
struct Job {
    claims: Arc<Vec<Claim>>,
    permit: Arc<OwnedSemaphorePermit>,
}

/// What a fetcher needs.
#[derive(Clone)]
struct Source {
    flow: Flow,
    kind: Kind,
    permits: Arc<Semaphore>,
    /// Lanes in one claim at most.
    lanes_max: u32,
    /// Is each claimed lane a task of its own, with its own permit?
    lane_by_lane: bool,
    sweep: Duration,
    stop: CancellationToken,
}

/// Works off inboxes until `stop`.
pub(super) async fn run_turns(
    flow: Flow,
    settings: WorkerSettings,
    permits: Arc<Semaphore>,
    deliveries: Arc<Semaphore>,
    stop: CancellationToken,
) {
    let (kind, lanes_max, sweep) = (Kind::Turn, settings.lanes_per_claim, settings.sweep);
    let (inside, lane_by_lane) = (flow.clone(), false);
    let source = Source { flow: inside, kind, permits, lanes_max, lane_by_lane, sweep, stop: stop.clone() };
    let work = move |job: Job| {
        let (flow, deliveries) = (flow.clone(), deliveries.clone());
        async move {
            // A task of its own: apalis polls all tasks of a worker in one.
            let _ = tokio::spawn(turns(flow, job, deliveries)).await;
            Ok::<(), BoxDynError>(())
        }
    };
    backend::run("turn", source, claims, settings.turns_max, work, stop).await;
}

/// Works off the turns that began with the commit of their entries, until `stop`.
pub(super) async fn run_begun_turns(
    flow: Flow,
    settings: WorkerSettings,
    permits: Arc<Semaphore>,
    deliveries: Arc<Semaphore>,
    stop: CancellationToken,
) {
    let mut begun = flow.begin_turns(permits, settings.lanes_per_claim as usize);
    while let Some(Some(it)) = stop.run_until_cancelled(begun.recv()).await {
        let job = Job { claims: Arc::new(it.claims), permit: Arc::new(it.place) };
        tokio::spawn(turns(flow.clone(), job, deliveries.clone()));
    }
}

async fn turns(flow: Flow, job: Job, deliveries: Arc<Semaphore>) {
    // Deliveries that begin with the turn need their places before the turn leases their lanes.
    let places: Vec<_> =
        job.claims.iter().map_while(|_| deliveries.clone().try_acquire_owned().ok()).collect();
    let together = {
        let (flow, claims, places) = (flow.clone(), job.claims.clone(), places.len());
        tokio::spawn(async move { turn::run(&flow, &claims, places).await }).await
    };
    match together {
        Ok(Ok(begun)) => {
            for (begun, place) in begun.into_iter().zip(places) {
                tokio::spawn(delivery(flow.clone(), begun.claim(), Some(begun), place));
            }
        }
        Ok(Err(error)) if job.claims.len() == 1 => failed(&flow, Kind::Turn, job.claims[0], &error).await,
        Ok(Err(_)) | Err(_) => {
            // One lane is at fault, perhaps by a panic: the others must not wait for it.
            for claim in job.claims.iter().copied() {
                let inner = flow.clone();
                let alone = tokio::spawn(async move { turn::run(&inner, &[claim], 0).await }).await;
                match alone {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => failed(&flow, Kind::Turn, claim, &error).await,
                    Err(panic) => failed(&flow, Kind::Turn, claim, &panic).await,
                }
            }
        }
    }
    drop(job.permit);
}

/// Delivers effects until `stop`.
pub(super) async fn run_deliveries(
    flow: Flow,
    settings: WorkerSettings,
    permits: Arc<Semaphore>,
    stop: CancellationToken,
) {
    let (kind, lanes_max, sweep) = (Kind::Deliver, settings.lanes_per_claim, settings.sweep);
    let (inside, lane_by_lane) = (flow.clone(), true);
    let source = Source { flow: inside, kind, permits, lanes_max, lane_by_lane, sweep, stop: stop.clone() };
    let work = move |job: Job| {
        let flow = flow.clone();
        async move {
            let _ = tokio::spawn(deliveries(flow, job)).await;
            Ok::<(), BoxDynError>(())
        }
    };
    backend::run("deliver", source, claims, settings.deliveries_max, work, stop).await;
}

async fn deliveries(flow: Flow, job: Job) {
    for claim in job.claims.iter().copied() {
        delivery(flow.clone(), claim, None, job.permit.clone()).await;
    }
}

/// One lane's delivery, perhaps begun by the turn that wanted it; `place` is held until it ends.
async fn delivery<P>(flow: Flow, claim: Claim, begun: Option<Begun>, place: P) {
    let inner = flow.clone();
    let run = async move {
        match begun {
            Some(begun) => deliver::go_on(&inner, begun).await,
            None => deliver::run(&inner, claim).await,
        }
    };
    match tokio::spawn(run).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => failed(&flow, Kind::Deliver, claim, &error).await,
        Err(panic) => failed(&flow, Kind::Deliver, claim, &panic).await,
    }
    drop(place);
}

/// Lanes of webhooks that are told something at once in one process.
pub(super) const WEBHOOKS_MAX: usize = 128;

/// Tells endpoints what happened until `stop`.
pub(super) async fn run_webhooks(
    flow: Flow,
    settings: WorkerSettings,
    permits: Arc<Semaphore>,
    stop: CancellationToken,
) {
    let (kind, lanes_max, sweep) = (Kind::Webhook, settings.lanes_per_claim, settings.sweep);
    let (inside, lane_by_lane) = (flow.clone(), true);
    let source = Source { flow: inside, kind, permits, lanes_max, lane_by_lane, sweep, stop: stop.clone() };
    let work = move |job: Job| {
        let flow = flow.clone();
        async move {
            for claim in job.claims.iter().copied() {
                let inner = flow.clone();
                match tokio::spawn(async move { send::run(&inner, claim).await }).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => failed(&flow, Kind::Webhook, claim, &error).await,
                    Err(panic) => failed(&flow, Kind::Webhook, claim, &panic).await,
                }
            }
            drop(job.permit);
            Ok::<(), BoxDynError>(())
        }
    };
    backend::run("webhook", source, claims, WEBHOOKS_MAX, work, stop).await;
}

/// Gives a lane back after its work failed. Should that fail too, the lease runs out.
async fn failed(
    flow: &Flow,
    kind: Kind,
    claim: Claim,
    error: &(dyn std::error::Error + Send + Sync + 'static),
) {
    report(claim, error);
    let ready_ms = flow.clock.now_ms() + FAILED_PAUSE_MS * claim.attempts.clamp(1, 100);
    let given = flow
        .db
        .write(Durability::Soft, move |tx| {
            Box::pin(async move { lanes::give_back(tx, kind, &claim, ready_ms).await })
        })
        .await;
    if let Err(error) = given {
        tracing::warn!(lane = %claim.lane, error = &error as &dyn std::error::Error, "a lease could not be given back");
    }
}

fn report(claim: Claim, error: &(dyn std::error::Error + 'static)) {
    tracing::error!(lane = %claim.lane, attempts = claim.attempts, error, "work on a lane failed; it is taken up again");
}

/// Claimed lanes, as they become ready. Never ends before `stop`.
fn claims(source: Source) -> BoxStream<'static, Fetched<Job>> {
    stream::unfold((source, VecDeque::new()), |(source, mut jobs)| async move {
        while jobs.is_empty() {
            if source.stop.is_cancelled() {
                return None;
            }
            if source.kind == Kind::Turn {
                let _ = tokio::time::timeout(RUSH_HOLD_MAX, until_calm(&source.flow)).await;
            }
            // First places to run in, then the leases: a lease must not wait.
            let permits = places(&source).await?;
            match claim(&source, permits.len()).await {
                Ok(claims) if !claims.is_empty() => {
                    jobs = split(&source, claims, permits);
                }
                Ok(_) => {
                    drop(permits);
                    tokio::select! {
                        () = source.flow.bus.rung(source.kind) => {}
                        () = tokio::time::sleep(source.sweep) => {}
                        () = source.stop.cancelled() => {}
                    }
                }
                Err(error) => {
                    drop(permits);
                    tracing::error!(error = &error as &dyn std::error::Error, "lanes cannot be claimed");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
        let job = jobs.pop_front()?;
        Some((Ok(Some(Task::new(job))), (source, jobs)))
    })
    .boxed()
}

/// Ends at once when there is no rush.
async fn until_calm(flow: &Flow) {
    let mut calm = if flow.is_rush() { 0 } else { CALM_LOOKS };
    while calm < CALM_LOOKS {
        tokio::time::sleep(RUSH_LOOK).await;
        calm = if flow.is_rush() { 0 } else { calm + 1 };
    }
}

/// At least one permit; where every lane needs its own, as many as are free now. `None`: we are stopping.
async fn places(source: &Source) -> Option<Vec<OwnedSemaphorePermit>> {
    let mut permits = vec![source.permits.clone().acquire_owned().await.ok()?];
    while source.lane_by_lane && permits.len() < source.lanes_max as usize {
        match source.permits.clone().try_acquire_owned() {
            Ok(permit) => permits.push(permit),
            Err(_) => break,
        }
    }
    Some(permits)
}

fn split(source: &Source, claims: Vec<Claim>, permits: Vec<OwnedSemaphorePermit>) -> VecDeque<Job> {
    if source.lane_by_lane {
        let alone = |(claim, permit)| Job { claims: Arc::new(vec![claim]), permit: Arc::new(permit) };
        return claims.into_iter().zip(permits).map(alone).collect();
    }
    let together = |permit| Job { claims: Arc::new(claims), permit: Arc::new(permit) };
    permits.into_iter().next().map(together).into_iter().collect()
}

async fn claim(source: &Source, places: usize) -> Result<Vec<Claim>, FlowError> {
    let lanes_max = if source.lane_by_lane { u32::try_from(places).unwrap_or(1) } else { source.lanes_max };
    let (kind, now_ms) = (source.kind, source.flow.clock.now_ms());
    // SQLite claims in place; on PostgreSQL a look costs less than a transaction that finds nothing.
    let db = &source.flow.db;
    if db.is_postgres() && !lanes::any_ready(&mut db.read().await?, kind, now_ms).await? {
        return Ok(Vec::new());
    }
    let (owner, lease_until_ms) = (source.flow.owner.clone(), now_ms + source.flow.settings.lease_ms);
    // Soft: losing a lease in a power cut harms nobody.
    let claims: Result<_, StoreError> = source
        .flow
        .db
        .write(Durability::Soft, move |tx| {
            let owner = owner.clone();
            Box::pin(async move { lanes::claim(tx, kind, &owner, now_ms, lease_until_ms, lanes_max).await })
        })
        .await;
    Ok(claims?)
}

#[cfg(test)]
mod tests {
    use pointsman_rules::ids::{ChannelId, LaneId, TenantId};

    use super::*;
    use crate::clock::Clock;
    use crate::flow::testing;
    use crate::store::lanes::Append;
    use crate::store::testing::each_db;

    const NOW_MS: i64 = 1_000;
    /// Longer than any pause here.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_rush_that_does_not_end_holds_turns_back_but_not_for_ever() {
        each_db(|db| async move {
            let folder = tempfile::tempdir().unwrap();
            let flow = testing::on(db, Clock::fixed(NOW_MS), folder.path());
            let (tenant, channel) = (TenantId::new(1, 1), ChannelId::new(1, 2));
            let ready = |lane| {
                let lane = LaneId::from_hash([lane; 16]);
                Append { tenant, lane, channel, count: 1, ready_ms: NOW_MS }
            };
            let ready = [ready(1), ready(2), ready(3)];
            let appended = flow.db.write(Durability::Hard, move |tx| {
                Box::pin(async move { lanes::append(tx, Kind::Turn, &ready).await })
            });
            appended.await.unwrap();
            testing::rush(&flow);
            let mut source = Box::pin(claims(Source {
                flow: flow.clone(),
                kind: Kind::Turn,
                permits: Arc::new(Semaphore::new(4)),
                lanes_max: 1,
                lane_by_lane: false,
                sweep: PATIENCE,
                stop: CancellationToken::new(),
            }));
            let begun = std::time::Instant::now();
            for _ in ready {
                let job = tokio::time::timeout(PATIENCE, source.next()).await.unwrap();
                assert_eq!(job.unwrap().unwrap().unwrap().args.claims.len(), 1);
            }
            assert!(begun.elapsed() >= 3 * RUSH_HOLD_MAX, "each claim waits");
        });
    }
}
