//! Work that comes round, as tasks: plans the jobs of every tenant, claims what
//! is due, one job at a time in this process, and has it done.

use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::Task;
use apalis_core::error::BoxDynError;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::backend::{self, Fetched};
use crate::flow::jobs::{self, Job};
use crate::flow::{Flow, FlowError};
use crate::store::Durability;
use crate::store::jobs::{self as rows, Claim};

/// Jobs at once in one process: they wait for the database, and must leave it to messages.
pub(super) const JOBS_MAX: usize = 1;
/// How often due jobs are looked for. Most come round by the hour; somebody waits for a backtest.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the jobs of tenants are planned that were made meanwhile, milliseconds.
const PLAN_EVERY_MS: i64 = 60_000;

/// A claimed job, and the permit that lets it run.
#[derive(Clone)]
struct Claimed {
    job: &'static Job,
    claim: Arc<Claim>,
    permit: Arc<OwnedSemaphorePermit>,
}

/// What the fetcher needs.
#[derive(Clone)]
struct Source {
    flow: Flow,
    jobs: &'static [Job],
    permits: Arc<Semaphore>,
    stop: CancellationToken,
}

/// Does what is due until `stop`.
pub(super) async fn run(flow: Flow, jobs: &'static [Job], permits: Arc<Semaphore>, stop: CancellationToken) {
    let source = Source { flow: flow.clone(), jobs, permits, stop: stop.clone() };
    let stopped = stop.clone();
    let work = move |it: Claimed| {
        let (flow, stop) = (flow.clone(), stop.clone());
        async move {
            if let Err(error) = jobs::run(&flow, it.job, &it.claim, &stop).await {
                let (job, error) = (it.job.name, &error as &dyn std::error::Error);
                tracing::error!(job, error, "the end of a job could not be written; it is done again");
            }
            drop(it.permit);
            Ok::<(), BoxDynError>(())
        }
    };
    backend::run("job", source, claims, JOBS_MAX, work, stopped).await;
}

/// Claimed jobs, as they become due. Never ends before `stop`.
fn claims(source: Source) -> BoxStream<'static, Fetched<Claimed>> {
    stream::unfold((source, None), |(source, mut planned_ms)| async move {
        loop {
            // First a place to run in, then the lease: a lease must not wait.
            let permit = tokio::select! {
                permit = source.permits.clone().acquire_owned() => permit.ok()?,
                () = source.stop.cancelled() => return None,
            };
            match claim(&source, &mut planned_ms).await {
                Ok(Some((job, claim))) => {
                    let claimed = Claimed { job, claim: Arc::new(claim), permit: Arc::new(permit) };
                    return Some((Ok(Some(Task::new(claimed))), (source, planned_ms)));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "jobs cannot be claimed");
                }
            }
            drop(permit);
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = source.stop.cancelled() => return None,
            }
        }
    })
    .boxed()
}

async fn claim(
    source: &Source,
    planned_ms: &mut Option<i64>,
) -> Result<Option<(&'static Job, Claim)>, FlowError> {
    let flow = &source.flow;
    let now_ms = flow.clock.now_ms();
    if planned_ms.is_none_or(|planned_ms| now_ms - planned_ms >= PLAN_EVERY_MS) {
        jobs::plan(flow, source.jobs).await?;
        *planned_ms = Some(now_ms);
    }
    let names: Vec<&'static str> = source.jobs.iter().map(|job| job.name).collect();
    if !rows::any_due(&mut flow.db.read().await?, &names, now_ms).await? {
        return Ok(None);
    }
    let (owner, lease_until_ms) = (flow.owner.clone(), now_ms + flow.settings.lease_ms);
    let claimed = flow.db.write(Durability::Soft, move |tx| {
        let (owner, names) = (owner.clone(), names.clone());
        Box::pin(async move { rows::claim(tx, &names, &owner, now_ms, lease_until_ms).await })
    });
    let Some(claim) = claimed.await? else { return Ok(None) };
    let job = source.jobs.iter().find(|job| job.name == claim.name);
    Ok(job.map(|job| (job, claim)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use pointsman_rules::ids::TenantId;

    use super::*;
    use crate::clock::Clock;
    use crate::flow::jobs::Outcome;
    use crate::flow::testing;
    use crate::store::testing::each_db;
    use crate::store::{Db, tenants};

    static DONE: AtomicUsize = AtomicUsize::new(0);
    static TRIED: &[Job] = &[
        Job { name: "t.breaks", every_ms: 1_000_000, work: |_| Box::pin(async { panic!("a broken job") }) },
        Job {
            name: "t.fails",
            every_ms: 1_000_000,
            work: |_| Box::pin(async { Ok(Outcome::Failed("the disk is full".into())) }),
        },
        Job {
            name: "t.works",
            every_ms: 1_000_000,
            work: |_| {
                Box::pin(async {
                    // Twice in a row, then done.
                    let first = DONE.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
                    Ok(if first { Outcome::Snoozed } else { Outcome::Done })
                })
            },
        },
    ];

    async fn finished(db: &Db, tenant: TenantId) -> Vec<rows::JobView> {
        loop {
            let found = rows::list(&mut db.read().await.unwrap(), tenant).await.unwrap();
            let is_over = |it: &rows::JobView| {
                it.last_outcome.as_deref().is_some_and(|word| word != "snoozed") && !it.is_running
            };
            if found.len() == TRIED.len() && found.iter().all(is_over) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[test]
    fn two_processes_do_each_job_once_and_failures_stay_with_their_job() {
        each_db(|db| async move {
            DONE.store(0, Ordering::SeqCst);
            let tenant = TenantId::new(1, 1);
            let row = tenants::Tenant { id: tenant, name: "Default".into() };
            let added = db.write(Durability::Hard, move |tx| {
                let row = row.clone();
                Box::pin(async move { tenants::insert(tx, &row, 1).await })
            });
            added.await.unwrap();
            let folder = tempfile::tempdir().unwrap();
            let stop = CancellationToken::new();
            let start = || {
                let flow = testing::on(db.clone(), Clock::system(), folder.path());
                let permits = Arc::new(Semaphore::new(JOBS_MAX));
                (flow.job_runs.clone(), tokio::spawn(run(flow, TRIED, permits, stop.clone())))
            };
            let processes = [start(), start()];
            let found = finished(&db, tenant).await;
            stop.cancel();
            for (_, process) in processes {
                process.await.unwrap();
            }
            let outcomes: Vec<_> = found.iter().map(|it| it.last_outcome.as_deref().unwrap()).collect();
            assert_eq!(outcomes, ["failed", "failed", "done"], "{found:?}");
            assert!(found[0].last_problem.as_deref().unwrap().contains("panicked"), "{found:?}");
            assert_eq!(found[1].last_problem.as_deref(), Some("the disk is full"));
            assert_eq!(found.iter().map(|it| it.attempts).collect::<Vec<_>>(), [1, 1, 0]);
            assert_eq!(DONE.load(Ordering::SeqCst), 2, "once, and once more after it snoozed");
        });
    }
}
