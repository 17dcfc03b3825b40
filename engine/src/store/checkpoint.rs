//! Moves SQLite's log into the database. A thread of its own begins while the
//! writer goes on, so that nobody waits for thousands of pages and for the disk
//! that takes them. Only the writer can let the log begin anew: it moves what
//! came meanwhile.
//!
//! SQLite syncs the log before a page is moved, and the database before the log
//! begins anew. When a sync fails, what of the database is on disk is not known,
//! and a later sync that succeeds says nothing about it; the log still has
//! everything, so the store ends and the next start moves all of it again.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::sqlite::Sqlite;

/// The thread begins when the log has so many pages of 4 KiB: hot pages are then written once for many commits.
const BEGIN_PAGES: u32 = 6_000;
/// With so many pages in the log the writer waits for no thread.
const LOG_PAGES_MAX: u32 = 16_000;
/// How long the thread does nothing after it failed.
const PAUSE: Duration = Duration::from_secs(10);

/// What both sides know.
struct Shared {
    /// The thread has done its part; the rest is the writer's.
    is_ready: AtomicBool,
    /// Cancelled when it is not known what is on disk.
    broken: CancellationToken,
}

/// The writer's side.
pub(super) struct Checkpoints {
    begin: SyncSender<()>,
    is_asked: bool,
    shared: Arc<Shared>,
}

/// The thread's side.
pub(super) struct Mover {
    conn: Sqlite,
    begins: Receiver<()>,
    shared: Arc<Shared>,
}

/// The two sides for the database in this file.
///
/// # Errors
/// It cannot be opened once more.
pub(super) fn pair(file: &Path, broken: CancellationToken) -> io::Result<(Checkpoints, Mover)> {
    let (begin, begins) = sync_channel(1);
    let shared = Arc::new(Shared { is_ready: AtomicBool::new(false), broken });
    let conn = Sqlite::mover(file).map_err(io::Error::other)?;
    let mover = Mover { conn, begins, shared: shared.clone() };
    Ok((Checkpoints { begin, is_asked: false, shared }, mover))
}

impl Checkpoints {
    /// To be called by the writer after each commit, which left so many pages in the log.
    pub(super) fn after_commit(&mut self, writer: &Sqlite, pages: u32) {
        if pages < BEGIN_PAGES {
            self.is_asked = false; // the log has begun anew
        } else if !self.is_asked {
            self.is_asked = true;
            self.shared.is_ready.store(false, Ordering::Release);
            let _ = self.begin.try_send(()); // where that fails, it was asked before
        } else if self.shared.is_ready.load(Ordering::Acquire) || pages >= LOG_PAGES_MAX {
            self.is_asked = false;
            if let Err(error) = writer.checkpoint() {
                self.shared.failed(&error);
            }
        }
    }
}

impl Mover {
    /// Works until the writer has ended; `sync` brings the database to disk.
    pub(super) fn run(self, mut sync: impl FnMut() -> io::Result<()>) {
        while self.begins.recv().is_ok() {
            match self.conn.checkpoint().and_then(|_| sync()) {
                Ok(()) => self.shared.is_ready.store(true, Ordering::Release),
                Err(error) => {
                    self.shared.failed(&error);
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }
}

impl Shared {
    fn failed(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::StorageFull {
            // Nothing is lost; the log grows until there is room, and commits say when there is none for it.
            tracing::warn!(%error, "the database's log could not be moved");
        } else {
            tracing::error!(%error, "the database could not be brought to disk");
            self.broken.cancel();
        }
    }
}

/// The database's own file, for syncing it. Never closed: that would free the locks on it that SQLite holds in this
/// process (<https://www.sqlite.org/howtocorrupt.html>, 2.2).
pub(super) struct Database(ManuallyDrop<File>);

impl Database {
    pub(super) fn open(file: &Path) -> io::Result<Self> {
        OpenOptions::new().write(true).open(file).map(ManuallyDrop::new).map(Self)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::PathBuf;
    use std::sync::mpsc::{Sender, channel};

    use tempfile::TempDir;

    use super::*;
    use crate::args;
    use crate::store::{Db, Durability};

    /// Rows of about a page each.
    struct Rows {
        folder: TempDir,
        writer: Sqlite,
        checkpoints: Checkpoints,
        readers: Vec<rusqlite::Connection>,
        broken: CancellationToken,
        written: u32,
    }

    impl Rows {
        fn file(&self) -> PathBuf {
            self.folder.path().join("rows.db")
        }

        fn log(&self) -> PathBuf {
            self.folder.path().join("rows.db-wal")
        }

        /// One commit that leaves so many more pages in the log; then what the writer does after it.
        fn add(&mut self, pages: u32) -> u32 {
            self.writer.execute("begin immediate", &[]).unwrap();
            for _ in 0..pages {
                let sql = "insert into rows (body) values (zeroblob(4000))";
                self.writer.execute(sql, &[]).unwrap();
            }
            self.writer.execute("commit", &[]).unwrap();
            self.written += pages;
            let pages = Sqlite::log_pages();
            self.checkpoints.after_commit(&self.writer, pages);
            pages
        }

        /// Fills the log. The thread that is asked then cannot move all of it, as when others write meanwhile.
        fn fill(&mut self) -> u32 {
            self.add(BEGIN_PAGES / 2);
            let reader = rusqlite::Connection::open(self.file()).unwrap();
            reader.execute_batch("begin; select count(*) from rows /* of a test */").unwrap();
            self.readers.push(reader);
            self.add(BEGIN_PAGES / 2)
        }
    }

    fn rows() -> (Rows, Mover) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rows.db");
        let made = rusqlite::Connection::open(&file).unwrap();
        made.pragma_update(None, "journal_mode", "wal").unwrap();
        made.execute("create table rows (id integer primary key, body blob not null)", []).unwrap();
        drop(made); // what it wrote is in the database now
        let (writer, broken) = (Sqlite::writer(&file).unwrap(), CancellationToken::new());
        let (checkpoints, mover) = pair(&file, broken.clone()).unwrap();
        (Rows { folder, writer, checkpoints, readers: Vec::new(), broken, written: 0 }, mover)
    }

    /// Starts the thread, with syncs that are told when they begin and let go one by one.
    fn held(mover: Mover) -> (Receiver<()>, Sender<io::Result<()>>) {
        let (begun, begins) = channel();
        let (go, goes) = channel();
        std::thread::spawn(move || {
            mover.run(|| {
                begun.send(()).unwrap();
                goes.recv().unwrap_or_else(|_| Err(io::Error::other("the test is over")))
            });
        });
        (begins, go)
    }

    /// How many rows a database has after a power cut that leaves this of it and this log.
    fn left_of(database: &[u8], log: &[u8]) -> u32 {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("copy.db"), database).unwrap();
        std::fs::write(folder.path().join("copy.db-wal"), log).unwrap();
        let copy = rusqlite::Connection::open(folder.path().join("copy.db")).unwrap();
        copy.query_row("select count(*) from rows /* of a test */", [], |row| row.get(0)).unwrap()
    }

    fn until(is_so: impl Fn() -> bool) {
        while !is_so() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn the_thread_moves_what_is_written_and_the_writer_only_the_rest() {
        let (mut rows, mover) = rows();
        let (begins, go) = held(mover);
        let filled = rows.fill();
        begins.recv().unwrap();
        rows.readers.clear();
        assert!(rows.add(1_000) > filled + 1_000, "the writer goes on meanwhile");
        go.send(Ok(())).unwrap();
        until(|| rows.checkpoints.shared.is_ready.load(Ordering::Acquire));
        assert!(rows.add(1) > filled + 1_000, "it moves the rest after this commit");
        assert!(rows.add(1) < 10, "the log has begun anew");
        assert!(begins.try_recv().is_err(), "the thread has nothing to do");
        rows.add(BEGIN_PAGES);
        begins.recv().unwrap();
        assert!(!rows.checkpoints.shared.is_ready.load(Ordering::Acquire), "it was, for the log before");
    }

    #[test]
    fn until_the_database_is_synced_the_log_has_everything() {
        let (mut rows, mover) = rows();
        let (begins, go) = held(mover);
        let before = std::fs::read(rows.file()).unwrap();
        rows.fill();
        begins.recv().unwrap();
        assert!(
            std::fs::metadata(rows.file()).unwrap().len() > before.len() as u64,
            "it is moved, not synced"
        );
        rows.readers.clear();
        rows.add(10);
        assert_eq!(left_of(&before, &std::fs::read(rows.log()).unwrap()), rows.written);
        go.send(Ok(())).unwrap();
        until(|| rows.checkpoints.shared.is_ready.load(Ordering::Acquire));
        rows.add(1);
        assert!(rows.add(1) < 10);
        let now = std::fs::read(rows.file()).unwrap();
        assert_eq!(left_of(&now, &std::fs::read(rows.log()).unwrap()), rows.written);
    }

    #[test]
    fn after_a_sync_that_failed_the_store_ends_and_the_log_stays() {
        let (mut rows, mover) = rows();
        let (begins, go) = held(mover);
        let before = std::fs::read(rows.file()).unwrap();
        rows.fill();
        begins.recv().unwrap();
        rows.readers.clear();
        go.send(Err(io::Error::other("the disk is gone"))).unwrap();
        until(|| rows.broken.is_cancelled());
        assert!(rows.add(1) > BEGIN_PAGES && rows.add(1) > BEGIN_PAGES);
        assert_eq!(left_of(&before, &std::fs::read(rows.log()).unwrap()), rows.written);
    }

    #[test]
    fn a_full_disk_is_not_the_end() {
        let (rows, _mover) = rows();
        let shared = &rows.checkpoints.shared;
        shared.failed(&io::ErrorKind::StorageFull.into());
        assert!(!rows.broken.is_cancelled());
        shared.failed(&io::Error::other("a sync failed"));
        assert!(rows.broken.is_cancelled());
    }

    #[test]
    fn the_writer_waits_for_no_thread_that_has_ended() {
        let (mut rows, mover) = rows();
        drop(mover);
        rows.add(BEGIN_PAGES);
        assert!(rows.add(10) > BEGIN_PAGES);
        assert!(rows.add(LOG_PAGES_MAX - BEGIN_PAGES) > LOG_PAGES_MAX);
        assert!(rows.add(1) < 10, "the log has begun anew");
    }

    #[test]
    fn a_checkpoint_while_there_is_another_moves_nothing() {
        let (mut rows, mover) = rows();
        rows.add(10);
        let reader = rusqlite::Connection::open(rows.file()).unwrap();
        reader.execute_batch("begin; select count(*) from rows /* of a test */").unwrap();
        let file = rows.file();
        let other = std::thread::spawn(move || {
            let conn = rusqlite::Connection::open(file).unwrap();
            conn.busy_timeout(PAUSE).unwrap();
            // Keeps others from moving anything while it waits for the reader.
            let restart =
                || conn.query_row("pragma wal_checkpoint(restart)", [], |row| row.get::<_, bool>(0));
            until(|| !restart().unwrap());
        });
        until(|| mover.conn.checkpoint().unwrap() == 0);
        reader.execute_batch("commit").unwrap();
        other.join().unwrap();
        assert!(!rows.broken.is_cancelled());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_log_of_a_store_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("busy.db");
        let db = Db::synced_by(&file, || Ok(())).await;
        let add = |key: String, rows: u32| {
            db.write(Durability::Hard, move |tx| {
                let key = key.clone();
                Box::pin(async move {
                    let sql = "insert into tenants (id, name, settings, created_ms) values ($1, 'n', $2, 0)";
                    for row in 0..rows {
                        let body = "x".repeat(4_000);
                        tx.execute("add a tenant", sql, args![format!("{key}-{row}"), body]).await?;
                    }
                    Ok(())
                })
            })
        };
        // Drawn anew with each log (https://www.sqlite.org/fileformat2.html#the_write_ahead_log).
        let salt = || {
            let mut head = [0; 24];
            File::open(folder.path().join("busy.db-wal")).unwrap().read_exact(&mut head).unwrap();
            head[16..].to_vec()
        };
        add("many".to_owned(), BEGIN_PAGES).await.unwrap();
        let (before, room) = (salt(), LOG_PAGES_MAX - BEGIN_PAGES);
        for number in 0..room / 8 {
            add(format!("one {number}"), 1).await.unwrap();
            if salt() != before {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("the log only grows");
    }
}
