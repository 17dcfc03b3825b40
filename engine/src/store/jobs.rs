//! Work that comes round: when each job may run next, who has it, and how its
//! last run ended. A lease and its token make sure that one process at a time
//! does it; what a job does is not known here.

use pointsman_rules::ids::TenantId;

use super::text::places;
use super::{StoreError, Tx};
use crate::args;

/// A lease on a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose.
    pub tenant: TenantId,
    /// Which job.
    pub name: String,
    /// Fences the end of the run.
    pub token: i64,
    /// How often the job was begun since it last ended well; this time included.
    pub attempts: i64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// When it began, unix milliseconds.
    pub run_ms: i64,
    /// How long it took, milliseconds.
    pub took_ms: i64,
    /// The stable word.
    pub outcome: &'static str,
    /// Why it failed; nothing: it ended well.
    pub problem: Option<String>,
    /// Not again before this moment unless it is woken, unix milliseconds.
    pub next_ms: i64,
}

/// A job as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    /// Which job.
    pub name: String,
    /// Does a worker have it now?
    pub is_running: bool,
    /// When it may run next (while it runs: when its lease ends), unix milliseconds.
    pub ready_ms: i64,
    /// Runs that were begun since one ended well.
    pub attempts: i64,
    /// When the last run that ended began.
    pub last_run_ms: Option<i64>,
    /// How long it took, milliseconds.
    pub last_took_ms: Option<i64>,
    /// How it ended.
    pub last_outcome: Option<String>,
    /// Why it failed.
    pub last_problem: Option<String>,
}

/// Makes sure that every tenant has this job; a new one may run from `first_ms` on. Answers how many were made.
///
/// # Errors
/// The database's own.
pub async fn plan(tx: &mut Tx, name: &str, first_ms: i64) -> Result<u64, StoreError> {
    // `where true` keeps SQLite from reading `on conflict` as a join.
    let sql = "insert into jobs (tenant_id, name, ready_ms, leased, token, attempts) \
               select id, $1, cast($2 as bigint), false, 0, 0 from tenants where true on conflict do nothing";
    tx.execute("plan a job", sql, args![name, first_ms]).await
}

/// Has a job run at once. One that is running may have looked already, so it runs again when it ends.
///
/// # Errors
/// The database's own.
pub async fn wake(tx: &mut Tx, tenant: TenantId, name: &str, now_ms: i64) -> Result<(), StoreError> {
    let sql = "update jobs set woken = leased, ready_ms = case when leased then ready_ms else $3 end \
               where tenant_id = $1 and name = $2 and (leased or ready_ms > $3)";
    tx.execute("wake a job", sql, args![tenant, name, now_ms]).await.map(|_| ())
}

/// Is one of these jobs due? A cheap look before the write.
///
/// # Errors
/// The database's own.
pub async fn any_due(tx: &mut Tx, names: &[&str], now_ms: i64) -> Result<bool, StoreError> {
    let sql =
        format!("select 1 from jobs where ready_ms <= $1 and name in ({}) limit 1", places(2, names.len()));
    let mut args = args![now_ms];
    args.extend(names.iter().map(|name| (*name).into()));
    Ok(tx.first("look for due jobs", &sql, args).await?.is_some())
}

/// Takes the job among these that has been due longest, until `lease_until_ms`.
///
/// # Errors
/// The database's own.
pub async fn claim(
    tx: &mut Tx,
    names: &[&str],
    owner: &str,
    now_ms: i64,
    lease_until_ms: i64,
) -> Result<Option<Claim>, StoreError> {
    let skip = if tx.is_postgres() { "for update skip locked" } else { "" };
    let sql = format!(
        "update jobs set leased = true, owner = $1, token = token + 1, attempts = attempts + 1, ready_ms = $2, woken = false \
         where (tenant_id, name) in (select tenant_id, name from jobs where ready_ms <= $3 and name in ({}) \
         order by ready_ms limit 1 {skip}) returning tenant_id, name, token, attempts",
        places(4, names.len())
    );
    let mut args = args![owner, lease_until_ms, now_ms];
    args.extend(names.iter().map(|name| (*name).into()));
    let row = tx.first("claim a job", &sql, args).await?;
    row.map(|row| {
        let mut c = row.columns("jobs");
        Ok(Claim {
            tenant: c.id("tenant_id")?,
            name: c.text("name")?,
            token: c.int("token")?,
            attempts: c.int("attempts")?,
        })
    })
    .transpose()
}

/// Ends a run and its lease; the next one begins at once if the job was woken meanwhile. Answers whether the lease was
/// still ours.
///
/// # Errors
/// The database's own.
pub async fn finish(tx: &mut Tx, claim: &Claim, end: &Ending) -> Result<bool, StoreError> {
    let sql = "update jobs set leased = false, ready_ms = case when woken then cast($6 as bigint) else cast($4 as bigint) end, attempts = $5, last_run_ms = $6, last_took_ms = $7, \
               last_outcome = $8, last_problem = $9 where tenant_id = $1 and name = $2 and token = $3";
    let attempts = if end.problem.is_some() { claim.attempts } else { 0 };
    let args = args![
        claim.tenant,
        &claim.name,
        claim.token,
        end.next_ms,
        attempts,
        end.run_ms,
        end.took_ms,
        end.outcome,
        end.problem.clone()
    ];
    Ok(tx.execute("finish a job", sql, args).await? > 0)
}

/// Lengthens the leases of a process; answers how many it has.
///
/// # Errors
/// The database's own.
pub async fn renew(tx: &mut Tx, owner: &str, lease_until_ms: i64) -> Result<u64, StoreError> {
    let sql = "update jobs set ready_ms = $2 where owner = $1 and leased";
    tx.execute("renew leases of jobs", sql, args![owner, lease_until_ms]).await
}

/// Frees the leases of a process that ends in good order.
///
/// # Errors
/// The database's own.
pub async fn free_owned(tx: &mut Tx, owner: &str, now_ms: i64) -> Result<u64, StoreError> {
    let sql = "update jobs set leased = false, ready_ms = $2 where owner = $1 and leased";
    tx.execute("free leases of jobs", sql, args![owner, now_ms]).await
}

/// Frees every lease, for the start of the only process of a database.
///
/// # Errors
/// The database's own.
pub async fn free_all(tx: &mut Tx, now_ms: i64) -> Result<u64, StoreError> {
    let sql = "update jobs set leased = false, ready_ms = $1 where leased";
    tx.execute("free leases of jobs", sql, args![now_ms]).await
}

/// The jobs of a tenant by name.
///
/// # Errors
/// The database's own, or a row that cannot be read.
pub async fn list(tx: &mut Tx, tenant: TenantId) -> Result<Vec<JobView>, StoreError> {
    let sql = "select name, leased, ready_ms, attempts, last_run_ms, last_took_ms, last_outcome, last_problem \
               from jobs where tenant_id = $1 order by name";
    let rows = tx.all("list jobs", sql, args![tenant]).await?;
    rows.iter()
        .map(|row| {
            let mut c = row.columns("jobs");
            Ok(JobView {
                name: c.text("name")?,
                is_running: c.bool("leased")?,
                ready_ms: c.int("ready_ms")?,
                attempts: c.int("attempts")?,
                last_run_ms: c.opt_int("last_run_ms")?,
                last_took_ms: c.opt_int("last_took_ms")?,
                last_outcome: c.opt_text("last_outcome")?,
                last_problem: c.opt_text("last_problem")?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::each_db;
    use super::super::{Db, Durability, tenants};
    use super::*;

    const NAMES: [&str; 2] = ["a", "b"];

    async fn planned(db: &Db) -> TenantId {
        db.write(Durability::Hard, |tx| {
            Box::pin(async move {
                let tenant = tenants::Tenant { id: TenantId::new(1, 1), name: "Default".into() };
                tenants::insert(tx, &tenant, 1).await?;
                assert_eq!((plan(tx, "a", 10).await?, plan(tx, "a", 99).await?), (1, 0));
                assert_eq!((plan(tx, "b", 20).await?, plan(tx, "of_a_newer_version", 0).await?), (1, 1));
                Ok(tenant.id)
            })
        })
        .await
        .unwrap()
    }

    async fn take(db: &Db, owner: &'static str, now_ms: i64) -> Option<Claim> {
        let claimed = db.write(Durability::Soft, move |tx| {
            Box::pin(async move { claim(tx, &NAMES, owner, now_ms, now_ms + 100).await })
        });
        claimed.await.unwrap()
    }

    fn ending(run_ms: i64, problem: Option<&str>, next_ms: i64) -> Ending {
        let outcome = if problem.is_some() { "failed" } else { "done" };
        Ending { run_ms, took_ms: 3, outcome, problem: problem.map(str::to_owned), next_ms }
    }

    #[test]
    fn a_job_woken_while_it_runs_runs_again_at_once_and_only_once() {
        each_db(|db| async move {
            let tenant = planned(&db).await;
            let woken_then_done = |claim: Claim, is_woken: bool, run_ms: i64| {
                db.write(Durability::Hard, move |tx| {
                    let claim = claim.clone();
                    Box::pin(async move {
                        if is_woken {
                            wake(tx, tenant, "a", run_ms + 1).await?;
                        }
                        let running = list(tx, tenant).await?.remove(0);
                        assert_eq!(
                            (running.is_running, running.ready_ms),
                            (true, run_ms + 100),
                            "its lease stays"
                        );
                        finish(tx, &claim, &ending(run_ms, None, 1_000)).await
                    })
                })
            };
            let first = take(&db, "p1", 10).await.unwrap();
            assert!(woken_then_done(first, true, 10).await.unwrap());
            assert_eq!(take(&db, "p1", 13).await.map(|it| it.name).as_deref(), Some("a"));
            // A run that was begun after the call has seen what the call was about.
            let again = Claim { tenant, name: "a".to_owned(), token: 2, attempts: 1 };
            assert!(woken_then_done(again, false, 13).await.unwrap());
            assert_eq!(take(&db, "p1", 19).await, None);
            // At rest it is only pulled forward.
            db.write(Durability::Hard, move |tx| Box::pin(async move { wake(tx, tenant, "a", 20).await }))
                .await
                .unwrap();
            let names = [take(&db, "p1", 20).await, take(&db, "p1", 20).await].map(|it| it.map(|it| it.name));
            assert!(names.contains(&Some("a".to_owned())), "{names:?}");
        });
    }

    #[test]
    fn one_process_at_a_time_has_a_job_and_a_late_one_changes_nothing() {
        each_db(|db| async move {
            let tenant = planned(&db).await;
            assert!(!any_due(&mut db.read().await.unwrap(), &NAMES, 9).await.unwrap());
            assert!(any_due(&mut db.read().await.unwrap(), &NAMES, 10).await.unwrap());
            let (one, other) = tokio::join!(take(&db, "p1", 10), take(&db, "p2", 10));
            let first = one.clone().or(other.clone()).unwrap();
            assert!(one.is_some() != other.is_some(), "{one:?} {other:?}");
            // Its process died: the lease ends at 110.
            assert_eq!(take(&db, "p2", 30).await.unwrap().name, "b");
            assert_eq!(take(&db, "p3", 109).await, None);
            let second = take(&db, "p3", 110).await.unwrap();
            assert_eq!((second.name.as_str(), second.attempts), ("a", 2));
            db.write(Durability::Hard, move |tx| {
                let (first, second) = (first.clone(), second.clone());
                Box::pin(async move {
                    assert!(!finish(tx, &first, &ending(10, None, 500)).await?, "the lease ran out");
                    assert_eq!(renew(tx, "p3", 300).await?, 1);
                    assert!(finish(tx, &second, &ending(110, Some("broken"), 400)).await?);
                    let failed = list(tx, tenant).await?.remove(0);
                    assert_eq!((failed.attempts, failed.ready_ms, failed.is_running), (2, 400, false));
                    assert_eq!((failed.last_run_ms, failed.last_took_ms), (Some(110), Some(3)));
                    assert_eq!(failed.last_problem.as_deref(), Some("broken"));
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
            assert_eq!(take(&db, "p2", 400).await.unwrap().name, "b", "the one that has been due longest");
            let third = take(&db, "p1", 400).await.unwrap();
            db.write(Durability::Hard, move |tx| {
                let third = third.clone();
                Box::pin(async move {
                    assert!(finish(tx, &third, &ending(400, None, 900)).await?);
                    let done = list(tx, tenant).await?.remove(0);
                    assert_eq!((done.attempts, done.last_outcome.as_deref()), (0, Some("done")));
                    assert_eq!(done.last_problem, None);
                    assert_eq!((free_owned(tx, "p2", 401).await?, free_all(tx, 401).await?), (1, 0));
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
        });
    }
}
