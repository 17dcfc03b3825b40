//! Work that comes round by the clock: which jobs there are, doing one, and
//! writing down how it ended. A job works in short steps, each its own
//! transaction, so that a run that is cut off loses nothing and starts over.

use futures_util::future::BoxFuture;
use pointsman_rules::ids::TenantId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio_util::sync::CancellationToken;

use super::{
    Flow, FlowError, account, backfill, crash, erase, file, publishing, removal, retention, rule_watch,
    schedule, session, templates, tenant, trials, upload,
};
use crate::store::aging::Aged;
use crate::store::jobs::{self, Claim, Ending};
use crate::store::{Durability, tenants};

/// All jobs, one line each. Their names are in the database: they never change.
pub static JOBS: &[Job] = &[
    Job { name: "contacts.erase", every_ms: MINUTE_MS, work: |round| Box::pin(erase::resume(round)) },
    hourly("channels.check", |round| Box::pin(account::check_all(round))),
    Job { name: backfill::JOB, every_ms: MINUTE_MS, work: |round| Box::pin(backfill::run(round)) },
    Job { name: crash::JOB, every_ms: MINUTE_MS, work: |round| Box::pin(crash::read_waiting(round)) },
    hourly(session::JOB, |round| Box::pin(session::ask_all(round))),
    hourly("channels.removed", |round| Box::pin(removal::sweep(round))),
    hourly("retention.rule_counts", |round| Box::pin(rule_watch::sweep(round))),
    hourly("retention.answers", |round| retention::delete(round, Aged::Answers)),
    hourly("retention.calls", |round| retention::delete(round, Aged::Calls)),
    hourly("retention.deliveries", |round| retention::delete(round, Aged::Deliveries)),
    hourly("retention.inbox", |round| retention::delete(round, Aged::Entries)),
    hourly("retention.quarantine", |round| retention::delete(round, Aged::Quarantined)),
    hourly("retention.rule_findings", |round| retention::delete(round, Aged::Findings)),
    hourly("retention.rule_runs", |round| retention::delete(round, Aged::Runs)),
    hourly("retention.sessions", |round| retention::delete(round, Aged::Sessions)),
    hourly("retention.signin_links", |round| retention::delete(round, Aged::SigninLinks)),
    hourly("retention.unfinished", |round| Box::pin(upload::sweep(round))),
    hourly("retention.uploads", |round| Box::pin(file::sweep(round))),
    hourly("retention.webhooks", |round| retention::delete(round, Aged::Webhooks)),
    Job { name: "rules.tick", every_ms: MINUTE_MS, work: |round| Box::pin(schedule::run(round)) },
    Job {
        name: "rules.publish",
        every_ms: MINUTE_MS,
        work: |round| Box::pin(publishing::publish_due(round)),
    },
    Job { name: trials::BACKTESTS, every_ms: MINUTE_MS, work: |round| Box::pin(trials::backtests(round)) },
    Job { name: trials::SHADOWS, every_ms: MINUTE_MS, work: |round| Box::pin(trials::shadows(round)) },
    hourly(templates::JOB, templates::refresh),
    hourly(tenants::ERASE, |round| tenant::erase(round)),
];

const fn hourly(name: &'static str, work: Work) -> Job {
    Job { name, every_ms: HOUR_MS, work }
}

/// One minute, milliseconds.
const MINUTE_MS: i64 = 60_000;
/// One hour, milliseconds.
const HOUR_MS: i64 = 3_600_000;
/// A job that failed is tried again after this long, milliseconds; the pause doubles with each failure, up to the
/// job's own round.
const RETRY_FIRST_MS: i64 = 30_000;
/// Doublings of that pause at most; more would only overflow.
const RETRY_DOUBLINGS_MAX: u32 = 16;

/// What a job does in one run.
pub type Work = for<'r> fn(&'r Round) -> BoxFuture<'r, Result<Outcome, FlowError>>;

/// A job that comes round in every tenant.
#[derive(Debug)]
pub struct Job {
    /// Stable; `family.what`.
    pub name: &'static str,
    /// From the begin of one run to the begin of the next, milliseconds.
    pub every_ms: i64,
    /// What it does.
    pub work: Work,
}

/// One run of a job.
#[derive(Clone)]
pub struct Round {
    /// The shared parts.
    pub flow: Flow,
    /// For whom.
    pub tenant: TenantId,
    /// The process is going down: snooze at the next step.
    pub stop: CancellationToken,
}

/// How a run ended. Nothing that comes round is ever given up: a failed run is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Until the next round.
    Done,
    /// There is more to do: go on as soon as other jobs that are due had their turn.
    Snoozed,
    /// There is more to do after so many milliseconds, or when the next round comes.
    Rests(i64),
    /// One sentence for operators; the full chain is in the log.
    Failed(String),
}

impl Outcome {
    /// The stable word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Snoozed | Self::Rests(_) => "snoozed",
            Self::Failed(_) => "failed",
        }
    }
}

/// Counts ended runs by job and outcome since the start of this process; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct JobRuns(pub Family<JobLabels, Counter>);

/// What a counter of [`JobRuns`] counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct JobLabels {
    /// The job's name.
    pub job: &'static str,
    /// The outcome's word.
    pub outcome: &'static str,
}

/// Makes sure that every tenant has these jobs. New ones may run at once.
///
/// # Errors
/// The store's; nothing is planned then.
pub async fn plan(flow: &Flow, jobs: &'static [Job]) -> Result<(), FlowError> {
    let now_ms = flow.clock.now_ms();
    let planned = flow.db.write(Durability::Hard, move |tx| {
        Box::pin(async move {
            for job in jobs {
                jobs::plan(tx, job.name, now_ms).await?;
            }
            Ok(())
        })
    });
    Ok(planned.await?)
}

/// Does a claimed job once and writes down how that ended. A panic counts as a failure.
///
/// # Errors
/// The store's: the end could not be written; the lease runs out and the job is done again.
pub async fn run(
    flow: &Flow,
    job: &'static Job,
    claim: &Claim,
    stop: &CancellationToken,
) -> Result<(), FlowError> {
    let run_ms = flow.clock.now_ms();
    let round = Round { flow: flow.clone(), tenant: claim.tenant, stop: stop.clone() };
    let worked = tokio::spawn(async move { (job.work)(&round).await }).await;
    let outcome = worked
        .map_err(|_| "it panicked; see the log".to_owned())
        .and_then(|it| it.map_err(|error| told(&error)));
    let outcome = outcome.unwrap_or_else(Outcome::Failed);
    let took_ms = flow.clock.now_ms() - run_ms;
    note(flow, job, claim, &outcome, took_ms);
    let next_ms = next(job, claim, &outcome, run_ms, flow.clock.now_ms());
    let problem = match &outcome {
        Outcome::Failed(problem) => Some(problem.clone()),
        Outcome::Done | Outcome::Snoozed | Outcome::Rests(_) => None,
    };
    let ending = Ending { run_ms, took_ms, outcome: outcome.word(), problem, next_ms };
    let claim = claim.clone();
    flow.db
        .write(Durability::Soft, move |tx| {
            let (claim, ending) = (claim.clone(), ending.clone());
            Box::pin(async move { jobs::finish(tx, &claim, &ending).await })
        })
        .await?;
    Ok(())
}

/// What admins read about a failure: the store's errors say what was being done, never with which values.
fn told(error: &FlowError) -> String {
    tracing::error!(error = error as &dyn std::error::Error, "a job's work failed");
    match error {
        FlowError::Store(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn note(flow: &Flow, job: &Job, claim: &Claim, outcome: &Outcome, took_ms: i64) {
    flow.job_runs.0.get_or_create(&JobLabels { job: job.name, outcome: outcome.word() }).inc();
    let (job, tenant, attempts) = (job.name, claim.tenant, claim.attempts);
    match outcome {
        Outcome::Failed(problem) => {
            tracing::error!(job, %tenant, attempts, took_ms, problem, "a job failed; it is tried again");
        }
        Outcome::Done | Outcome::Snoozed | Outcome::Rests(_) => {
            tracing::debug!(job, %tenant, took_ms, outcome = outcome.word(), "a job ended");
        }
    }
}

fn next(job: &Job, claim: &Claim, outcome: &Outcome, run_ms: i64, now_ms: i64) -> i64 {
    match outcome {
        Outcome::Done => (run_ms + job.every_ms).max(now_ms),
        Outcome::Snoozed => now_ms,
        Outcome::Rests(ms) => (now_ms + ms).min(run_ms + job.every_ms),
        Outcome::Failed(_) => {
            let doublings = u32::try_from(claim.attempts - 1).unwrap_or(0).min(RETRY_DOUBLINGS_MAX);
            now_ms + (RETRY_FIRST_MS << doublings).min(job.every_ms)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(outcome: &Outcome, attempts: i64) -> i64 {
        let claim = Claim { tenant: TenantId::new(1, 1), name: "x".into(), token: 1, attempts };
        next(&hourly("x", |_| Box::pin(async { Ok(Outcome::Done) })), &claim, outcome, 1_000, 5_000)
    }

    #[test]
    fn a_failure_is_tried_again_sooner_than_the_next_round_but_ever_more_rarely() {
        let failed = Outcome::Failed("broken".into());
        assert_eq!(after(&Outcome::Done, 1), 1_000 + HOUR_MS, "measured from the begin");
        assert_eq!(after(&Outcome::Snoozed, 1), 5_000);
        assert_eq!(after(&Outcome::Rests(300), 1), 5_300);
        assert_eq!([1, 2, 3].map(|attempts| after(&failed, attempts) - 5_000), [30_000, 60_000, 120_000]);
        assert_eq!(after(&failed, 1_000_000) - 5_000, HOUR_MS, "never later than a round");
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = JOBS.iter().map(|job| job.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), JOBS.len());
    }
}
