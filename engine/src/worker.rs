//! Runs the flow verbs on apalis: claims ready lanes and emits them as tasks,
//! limits how many run at once, keeps their leases alive, moves deadlines into
//! inboxes, does the jobs that come round, and stops in good order. The only room that knows apalis.

mod assistants;
mod backend;
mod files;
mod jobs;
mod lanes;
mod plugins;
mod relay;
mod tally;
mod watch;

pub use plugins::keep_plugins;
pub use tally::keep_tallies;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::flow::assistant::run;
use crate::flow::jobs::JOBS;
use crate::flow::{Flow, FlowError, fetch};
use crate::store::{Durability, jobs as job_rows, lanes as rows};

/// How much runs at once, and how long it may take to stop.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Turns at once; each works off up to `lanes_per_claim` lanes.
    pub turns_max: usize,
    /// Lanes in one claim.
    pub lanes_per_claim: u32,
    /// Lanes that are delivered at once.
    pub deliveries_max: usize,
    /// How often lanes are looked for when nobody rings.
    pub sweep: Duration,
    /// How long running work may take after the stop was asked for.
    pub drain: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            turns_max: 4,
            lanes_per_claim: 64,
            deliveries_max: 256,
            sweep: Duration::from_millis(500),
            drain: Duration::from_secs(20),
        }
    }
}

/// Runs until `stop` is cancelled, then finishes what runs (at most `drain`) and gives all leases back.
///
/// # Errors
/// The store's, at the start; later failures are logged and tried again.
pub async fn run(flow: Flow, settings: WorkerSettings, stop: CancellationToken) -> Result<(), FlowError> {
    if !flow.db.is_postgres() {
        free_all(&flow).await?;
    }
    let (turns, deliveries) =
        (Arc::new(Semaphore::new(settings.turns_max)), Arc::new(Semaphore::new(settings.deliveries_max)));
    let webhooks = Arc::new(Semaphore::new(lanes::WEBHOOKS_MAX));
    let tasks = TaskTracker::new();
    let jobs = Arc::new(Semaphore::new(jobs::JOBS_MAX));
    tasks.spawn(lanes::run_turns(
        flow.clone(),
        settings.clone(),
        turns.clone(),
        deliveries.clone(),
        stop.clone(),
    ));
    tasks.spawn(lanes::run_begun_turns(
        flow.clone(),
        settings.clone(),
        turns.clone(),
        deliveries.clone(),
        stop.clone(),
    ));
    tasks.spawn(lanes::run_deliveries(flow.clone(), settings.clone(), deliveries.clone(), stop.clone()));
    tasks.spawn(lanes::run_webhooks(flow.clone(), settings.clone(), webhooks.clone(), stop.clone()));
    tasks.spawn(jobs::run(flow.clone(), JOBS, jobs.clone(), stop.clone()));
    tasks.spawn(watch::fire_deadlines(flow.clone(), settings.clone(), stop.clone()));
    tasks.spawn(files::fetch_files(flow.clone(), settings.clone(), stop.clone()));
    tasks.spawn(assistants::ask(flow.clone(), settings.clone(), stop.clone()));
    tasks.spawn(watch::hand_out(flow.clone(), stop.clone()));
    tasks.spawn(watch::watch_presence(flow.clone(), stop.clone()));
    let keep_alive = CancellationToken::new();
    let heart = tokio::spawn(watch::renew_leases(flow.clone(), keep_alive.clone()));
    tasks.close();
    stop.cancelled().await;
    let all = async {
        // Everything that runs holds a permit.
        let _ = turns.acquire_many(permits(settings.turns_max)).await;
        let _ = deliveries.acquire_many(permits(settings.deliveries_max)).await;
        let _ = webhooks.acquire_many(permits(lanes::WEBHOOKS_MAX)).await;
        let _ = jobs.acquire_many(permits(jobs::JOBS_MAX)).await;
        tasks.wait().await;
    };
    if tokio::time::timeout(settings.drain, all).await.is_err() {
        tracing::warn!("work was still running when the drain time ended; it goes on after the restart");
    }
    keep_alive.cancel();
    let _ = heart.await; // it ends by itself
    let (owner, now_ms) = (flow.owner.clone(), flow.clock.now_ms());
    flow.db
        .write(Durability::Hard, move |tx| {
            let owner = owner.clone();
            Box::pin(async move {
                job_rows::free_owned(tx, &owner, now_ms).await?;
                rows::free_owned(tx, &owner, now_ms).await
            })
        })
        .await?;
    Ok(())
}

/// Carries news between the processes of one PostgreSQL until `stop`; every role needs it. SQLite has one process.
pub async fn relay_news(flow: Flow, stop: CancellationToken) {
    if flow.db.is_postgres() {
        tokio::join!(relay::send(flow.clone(), stop.clone()), relay::receive(flow, stop));
    }
}

fn permits(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// SQLite is served by one process, and it has just started: whoever held a lease is gone.
async fn free_all(flow: &Flow) -> Result<(), FlowError> {
    let now_ms = flow.clock.now_ms();
    let freed = flow
        .db
        .write(Durability::Hard, move |tx| {
            Box::pin(async move {
                job_rows::free_all(tx, now_ms).await?;
                rows::free_all(tx, now_ms).await
            })
        })
        .await?;
    if freed > 0 {
        tracing::info!(lanes = freed, "took up the lanes that the last run left");
    }
    fetch::free(flow, None).await?;
    run::free(flow, None).await?;
    Ok(())
}
