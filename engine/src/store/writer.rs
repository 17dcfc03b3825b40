//! SQLite's one writer: takes whatever transactions wait, runs them in one
//! database transaction, commits once, and only then answers all of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::sqlite::Sqlite;
use super::tx::{Conn, count};
use super::{SqlStats, StoreError, Tx};

/// Transactions in one commit at most.
const BATCH_MAX: usize = 256;
/// Transactions that may wait; beyond it, callers wait to be queued.
pub(super) const QUEUE_MAX: usize = 4_096;

/// Must the commit be on disk before the caller goes on?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Yes: state, acknowledgements, effects.
    Hard,
    /// No: leases and other rows whose loss in a power cut is harmless.
    Soft,
}

/// A transaction's body. May be run again when its batch fails, so it starts from its own inputs every time.
pub(super) trait Job: Send {
    fn durability(&self) -> Durability;
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, Result<(), StoreError>>;
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>);
}

pub(super) struct Body<T, F> {
    pub(super) durability: Durability,
    pub(super) body: F,
    pub(super) value: Option<T>,
    pub(super) answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Body<T, F>
where
    T: Send + 'static,
    F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + Sync,
{
    fn durability(&self) -> Durability {
        self.durability
    }

    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.value = Some((self.body)(tx).await?);
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>, outcome: Result<(), StoreError>) {
        let value = outcome.and_then(|()| self.value.take().ok_or(StoreError::Closed));
        let _ = self.answer.send(value); // the caller may have gone away
    }
}

/// Runs until every sender is dropped, on a thread of its own: its statements block.
pub(super) async fn run(conn: Sqlite, mut queue: mpsc::Receiver<Box<dyn Job>>, stats: Arc<SqlStats>) {
    let mut tx = Tx { conn: Conn::SqliteWriter(conn), stats };
    let mut waiting: Vec<Box<dyn Job>> = Vec::new();
    let mut synced = true;
    while queue.recv_many(&mut waiting, BATCH_MAX).await > 0 {
        let hard = waiting.iter().any(|job| job.durability() == Durability::Hard);
        if hard != synced && set_synchronous(&mut tx, hard).await.is_ok() {
            synced = hard;
        }
        let together = batch(&mut tx, &mut waiting).await;
        if let Err(error) = together {
            if waiting.len() == 1 {
                finish_all(&mut waiting, Err(error));
            } else {
                one_by_one(&mut tx, &mut waiting).await;
            }
        } else {
            finish_all(&mut waiting, Ok(()));
        }
    }
}

/// `FULL` syncs the log at every commit, `NORMAL` at checkpoints only.
async fn set_synchronous(tx: &mut Tx, hard: bool) -> Result<(), StoreError> {
    let sql = if hard { "pragma synchronous = full" } else { "pragma synchronous = normal" };
    tx.execute("set its durability", sql, Vec::new()).await.map(|_| ())
}

async fn batch(tx: &mut Tx, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    tx.execute("begin", "begin immediate", Vec::new()).await?;
    for job in jobs.iter_mut() {
        if let Err(error) = job.run(tx).await {
            rollback(tx).await;
            return Err(error);
        }
    }
    if let Err(error) = tx.execute("commit", "commit", Vec::new()).await {
        rollback(tx).await;
        return Err(error);
    }
    count(&tx.stats.commits);
    if jobs.iter().any(|job| job.durability() == Durability::Hard) {
        count(&tx.stats.syncs);
    }
    Ok(())
}

/// A batch failed: one of its members is at fault, the others must not suffer.
async fn one_by_one(tx: &mut Tx, jobs: &mut Vec<Box<dyn Job>>) {
    tx.stats.batches_split.fetch_add(1, Ordering::Relaxed);
    for mut job in jobs.drain(..) {
        let outcome = batch(tx, std::slice::from_mut(&mut job)).await;
        job.finish(outcome);
    }
}

async fn rollback(tx: &mut Tx) {
    if let Err(error) = tx.execute("roll back", "rollback", Vec::new()).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a transaction could not be rolled back");
    }
}

fn finish_all(jobs: &mut Vec<Box<dyn Job>>, outcome: Result<(), StoreError>) {
    let mut first = Some(outcome);
    for job in jobs.drain(..) {
        job.finish(first.take().unwrap_or(Ok(())));
    }
}
