//! SQLite's one writer: takes whatever transactions wait, runs them in one
//! database transaction and commits once. Those that failed are answered here,
//! the others once their commit is on disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::checkpoint::Checkpoints;
use super::disk::Committed;
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

/// Runs until every sender is dropped, on a thread of its own: its statements block, and so does a disk that does not
/// keep up. When the disk is broken, nothing is written any more.
pub(super) async fn run(
    (conn, mut checkpoints): (Sqlite, Checkpoints),
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    committed: SyncSender<Committed>,
    broken: CancellationToken,
    stats: Arc<SqlStats>,
) {
    let mut tx = Tx { conn: Conn::SqliteWriter(conn), stats };
    let mut waiting: Vec<Box<dyn Job>> = Vec::new();
    while queue.recv_many(&mut waiting, BATCH_MAX).await > 0 {
        let mut jobs = std::mem::take(&mut waiting);
        if broken.is_cancelled() {
            finish_all(jobs, || StoreError::NotOnDisk);
            continue;
        }
        if let Err(error) = batch(&mut tx, &mut jobs).await {
            jobs = one_by_one(&mut tx, jobs, error).await;
        }
        if jobs.is_empty() {
            continue;
        }
        if let Err(unsent) = committed.send(jobs) {
            finish_all(unsent.0, || StoreError::Closed);
        }
        if let Conn::SqliteWriter(conn) = &tx.conn {
            checkpoints.after_commit(conn, Sqlite::log_pages());
        }
    }
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
    Ok(())
}

/// A batch failed with this error: one of its members is at fault, the others must not suffer. Answers those that are
/// committed now.
async fn one_by_one(tx: &mut Tx, mut jobs: Committed, error: StoreError) -> Committed {
    if jobs.len() == 1 {
        if let Some(job) = jobs.pop() {
            job.finish(Err(error));
        }
        return jobs;
    }
    tx.stats.batches_split.fetch_add(1, Ordering::Relaxed);
    let mut committed = Vec::with_capacity(jobs.len());
    for mut job in jobs {
        match batch(tx, std::slice::from_mut(&mut job)).await {
            Ok(()) => committed.push(job),
            Err(error) => job.finish(Err(error)),
        }
    }
    committed
}

async fn rollback(tx: &mut Tx) {
    if let Err(error) = tx.execute("roll back", "rollback", Vec::new()).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a transaction could not be rolled back");
    }
}

fn finish_all(jobs: Committed, error: impl Fn() -> StoreError) {
    for job in jobs {
        job.finish(Err(error()));
    }
}
