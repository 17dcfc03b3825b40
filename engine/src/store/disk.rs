//! Brings SQLite's log to disk, on a thread of its own, and only then answers
//! those whose transactions are in it. The writer runs the next transactions
//! meanwhile, and one sync serves every commit before it.
//!
//! A log that cannot be synced ends the store: what of it is on disk is not
//! known, and a later sync that succeeds says nothing about it. The next start
//! reads the log as it is, and moves it into the database before anything else.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tokio_util::sync::CancellationToken;

use super::tx::count;
use super::writer::{Durability, Job};
use super::{SqlStats, StoreError};

/// Commits that may wait while another is synced; then the writer waits, too. More made smaller commits and no more
/// of them durable.
pub(super) const COMMITS_MAX: usize = 1;

/// Transactions of one commit that wait for their answers.
pub(super) type Committed = Vec<Box<dyn Job>>;

/// The file that holds what is committed until it is moved into the database.
pub(super) struct Log {
    path: PathBuf,
    file: Option<File>,
}

impl Log {
    /// `database`: its file as SQLite names it, with links followed.
    pub(super) fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Self { path: path.into(), file: None }
    }

    /// Everything that was committed before the call is on disk after it. The first commit made the file, and it stays
    /// the same one for as long as the writer has it open. Locks are on other files of SQLite, so opening and closing
    /// this one frees none.
    ///
    /// # Errors
    /// The system's own.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if let Some(file) = &self.file {
            return file.sync_data();
        }
        let file = OpenOptions::new().write(true).open(&self.path)?;
        file.sync_data()?;
        sync_entry(&self.path)?;
        self.file = Some(file);
        Ok(())
    }
}

/// A new file is found after a power cut once its folder is on disk, too.
#[cfg(unix)]
fn sync_entry(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_entry(_: &Path) -> io::Result<()> {
    Ok(()) // elsewhere a folder cannot be synced, and need not be
}

/// Answers what was committed, in its order, until the writer has ended. A transaction that may wait for its sync is
/// answered after those before it all the same: it may have read what they wrote.
pub(super) fn run(
    commits: &Receiver<Committed>,
    mut sync: impl FnMut() -> io::Result<()>,
    broken: &CancellationToken,
    stats: &Arc<SqlStats>,
) {
    while let Ok(first) = commits.recv() {
        let jobs: Committed = std::iter::once(first).chain(commits.try_iter()).flatten().collect();
        let must_last = jobs.iter().any(|job| job.durability() == Durability::Hard);
        if must_last && !broken.is_cancelled() {
            match sync() {
                Ok(()) => count(&stats.syncs),
                Err(error) => {
                    tracing::error!(%error, "the database's log could not be brought to disk");
                    broken.cancel();
                }
            }
        }
        for job in jobs {
            job.finish(if broken.is_cancelled() { Err(StoreError::NotOnDisk) } else { Ok(()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use tempfile::TempDir;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::args;
    use crate::store::Db;

    /// Long enough for a write that does not wait for anything.
    const A_WHILE: Duration = Duration::from_millis(50);

    /// A database whose syncs are held back, told when they begin and let go one by one.
    async fn held(folder: &TempDir) -> (Db, Receiver<()>, Sender<io::Result<()>>) {
        let (begun, begins) = channel();
        let (go, goes) = channel();
        let sync = move || {
            begun.send(()).unwrap();
            goes.recv().unwrap()
        };
        (Db::synced_by(&folder.path().join("held.db"), sync).await, begins, go)
    }

    fn add(db: &Db, id: &'static str, durability: Durability) -> JoinHandle<Result<(), StoreError>> {
        let db = db.clone();
        tokio::spawn(async move {
            db.write(durability, move |tx| {
                Box::pin(async move {
                    let sql = "insert into tenants (id, name, settings, created_ms) values ($1, $2, $3, $4)";
                    tx.execute("add a tenant", sql, args![id, "n", "{}", 1i64]).await.map(drop)
                })
            })
            .await
        })
    }

    async fn tenants(db: &Db) -> i64 {
        let mut tx = db.read().await.unwrap();
        let row = tx.first("count", "select count(*) as n from tenants", args![]).await.unwrap().unwrap();
        row.columns("tenants").int("n").unwrap()
    }

    async fn until_there_are(db: &Db, count: i64) {
        while tenants(db).await < count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nobody_is_answered_before_the_sync_and_others_are_written_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let (db, begins, go) = held(&folder).await;
        let first = add(&db, "a", Durability::Hard);
        begins.recv().unwrap();
        let second = add(&db, "b", Durability::Hard);
        until_there_are(&db, 2).await;
        // It may have read what the others wrote.
        let third = add(&db, "c", Durability::Soft);
        until_there_are(&db, 3).await;
        tokio::time::sleep(A_WHILE).await;
        assert!(!first.is_finished() && !second.is_finished() && !third.is_finished());
        go.send(Ok(())).unwrap();
        first.await.unwrap().unwrap();
        begins.recv().unwrap();
        tokio::time::sleep(A_WHILE).await;
        assert!(!second.is_finished() && !third.is_finished(), "they came after the first sync had begun");
        go.send(Ok(())).unwrap();
        second.await.unwrap().unwrap();
        third.await.unwrap().unwrap();
        assert_eq!(db.stats().syncs.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_writer_waits_for_a_disk_that_does_not_keep_up() {
        let folder = tempfile::tempdir().unwrap();
        let (db, begins, go) = held(&folder).await;
        let first = add(&db, "a", Durability::Hard);
        begins.recv().unwrap();
        let ids = ["b", "c", "d", "e", "f", "g", "h"];
        // One is being brought to disk, as many as may wait do, and one has nowhere to wait.
        let room = 1 + COMMITS_MAX + 1;
        let mut others = Vec::new();
        for (id, count) in ids.into_iter().zip(2..) {
            others.push(add(&db, id, Durability::Hard));
            if count <= room {
                until_there_are(&db, i64::try_from(count).unwrap()).await; // so that it has a commit of its own
            }
        }
        tokio::time::sleep(A_WHILE).await;
        assert_eq!(tenants(&db).await, i64::try_from(room).unwrap());
        drop(first);
        for _ in 0..=ids.len() {
            let _ = go.send(Ok(()));
        }
        for other in others {
            other.await.unwrap().unwrap();
        }
        assert_eq!(tenants(&db).await, 1 + i64::try_from(ids.len()).unwrap());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_may_be_lost_is_answered_without_a_sync() {
        let folder = tempfile::tempdir().unwrap();
        let (db, begins, _go) = held(&folder).await;
        add(&db, "a", Durability::Soft).await.unwrap().unwrap();
        assert!(begins.try_recv().is_err());
        assert_eq!(db.stats().syncs.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn after_a_sync_that_failed_nothing_is_written_or_promised() {
        let folder = tempfile::tempdir().unwrap();
        let (db, begins, go) = held(&folder).await;
        let first = add(&db, "a", Durability::Hard);
        begins.recv().unwrap();
        let second = add(&db, "b", Durability::Hard);
        until_there_are(&db, 2).await;
        go.send(Err(io::Error::other("the disk is gone"))).unwrap();
        db.broken().await;
        for answer in [first, second] {
            assert!(matches!(answer.await.unwrap(), Err(StoreError::NotOnDisk)));
        }
        let third = add(&db, "c", Durability::Soft).await.unwrap();
        assert!(matches!(third, Err(StoreError::NotOnDisk)));
        assert_eq!(tenants(&db).await, 2);
        assert!(begins.try_recv().is_err(), "a sync that succeeds now would say nothing");
    }

    /// The ids of tenants in a copy of this database whose log is as long as a power cut left it.
    fn left_of(database: &Path, log_len: u64) -> BTreeSet<String> {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.db");
        std::fs::copy(database, &copy).unwrap();
        let log = std::fs::read(Log::of(database).path).unwrap();
        std::fs::write(Log::of(&copy).path, &log[..usize::try_from(log_len).unwrap()]).unwrap();
        let conn = rusqlite::Connection::open(&copy).unwrap();
        let mut rows = conn.prepare("select id from tenants").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whatever_was_answered_is_there_after_a_power_cut() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cut.db");
        // What a sync makes last is what was in the log when it began.
        let lasting = Arc::new(AtomicU64::new(0));
        let (log, synced) = (Log::of(&file).path, lasting.clone());
        let sync = move || {
            let len = std::fs::metadata(&log)?.len();
            std::thread::sleep(Duration::from_millis(2));
            synced.store(len, Ordering::SeqCst);
            Ok(())
        };
        let db = Db::synced_by(&file, sync).await;
        let writers = (0..8).map(|writer| {
            let (db, lasting) = (db.clone(), lasting.clone());
            tokio::spawn(async move {
                let mut answered = Vec::new();
                for number in 0..20 {
                    let id: &'static str = format!("{writer}-{number}").leak();
                    add(&db, id, Durability::Hard).await.unwrap().unwrap();
                    answered.push((lasting.load(Ordering::SeqCst), id));
                }
                answered
            })
        });
        let mut answered: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        for writer in writers.collect::<Vec<_>>() {
            for (log_len, id) in writer.await.unwrap() {
                answered.entry(log_len).or_default().push(id);
            }
        }
        assert!(answered.len() > 10, "many syncs: {}", answered.len());
        let mut promised: BTreeSet<String> = BTreeSet::new();
        for (log_len, ids) in answered {
            promised.extend(ids.into_iter().map(str::to_owned));
            assert!(left_of(&file, log_len).is_superset(&promised), "cut at {log_len}");
        }
        assert_eq!(promised.len(), 160);
    }

    #[test]
    fn a_log_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("some.db");
        let missing = Log::of(&database).sync().unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        std::fs::write(folder.path().join("some.db-wal"), "frames").unwrap();
        let mut log = Log::of(&database);
        log.sync().unwrap();
        log.sync().unwrap();
    }

    #[cfg(unix)]
    #[tokio::test(flavor = "multi_thread")]
    async fn the_log_of_a_linked_database_is_found() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (file, link) = (folder.path().join("real.db"), other.path().join("link.db"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let db = Db::migrate_and_connect(&format!("sqlite://{}", link.display())).await.unwrap();
        add(&db, "a", Durability::Hard).await.unwrap().unwrap();
        assert_eq!(db.stats().syncs.load(Ordering::Relaxed), 1);
        assert!(folder.path().join("real.db-wal").exists());
    }
}
