//! The floors: what the same web server and the same database can do on this
//! machine when nothing else is done. *Group-commit floor*: a handler hands the
//! bytes to one writing task, which commits what has gathered (SQLite, WAL,
//! `synchronous=FULL`) and only then lets the handlers answer. *Pipe floor*: the
//! same, then each message is posted to the sink, in order per customer, and its
//! done mark goes into the same batches. No signature, no rule, no retry.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use pointsman_tests::Twilio;
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot};

use crate::load::{self, Target};
use crate::report::Sample;
use crate::sink::Sink;
use crate::{Options, process};

/// The hidden command of this binary.
pub(crate) const COMMAND: &str = "floor";
/// Statements that share one commit.
const BATCH_MAX: usize = 512;
/// Messages that wait for the writer.
const QUEUE_MAX: usize = 8192;
/// Ordered lanes of the pipe; a customer always takes the same one.
const LANES: usize = 64;

/// Which floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Store, commit, answer.
    Commit,
    /// The same, then post to the sink.
    Pipe,
}

/// Runs one floor in a process of its own and measures it.
pub(crate) async fn measure(options: &Options, kind: Kind) -> Result<Sample> {
    let mut sink = Sink::start(options.messages).await?;
    let dir = tempfile::tempdir()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(COMMAND).arg(dir.path()).stdout(Stdio::piped()).kill_on_drop(true);
    if kind == Kind::Pipe {
        command.arg(&sink.url);
    }
    let mut child = command.spawn()?;
    let output = child.stdout.take().context("the pipe was asked for")?;
    let address = BufReader::new(output).lines().next_line().await?.context("the floor did not start")?;
    let pid = child.id().context("the floor ended")?;
    let target = Target {
        public_url: format!("{}/hooks/floor", pointsman_tests::server::PUBLIC_URL),
        address,
        path: "/hooks/floor".to_owned(),
    };
    let requests = load::requests(&target, &unconnected(&target)?, options.messages);
    let (cpu_before, start) = (process::cpu(pid)?, Instant::now());
    let load = load::run(&target, requests, options.connections).await?;
    let took = match kind {
        Kind::Commit => load.took,
        Kind::Pipe => {
            let arrived = sink.all(options.messages).await?;
            arrived.iter().max().map_or(load.took, |last| last.duration_since(start))
        }
    };
    let cpu = process::cpu(pid)?.saturating_sub(cpu_before);
    child.kill().await?;
    Ok(Sample::of(options.messages, took, &load.latencies, cpu))
}

/// A channel that exists nowhere: it only makes forms.
fn unconnected(target: &Target) -> Result<Twilio> {
    let channel = json!({"id": "none", "webhook_url": target.public_url});
    Twilio::for_requests(&channel)
}

/// The floor's own process: `floor DIR [SINK-URL]`; prints its address.
pub(crate) async fn serve(args: &[String]) -> Result<()> {
    let (dir, sink) = match args {
        [dir] => (dir, None),
        [dir, sink] => (dir, Some(sink.clone())),
        _ => bail!("usage: {COMMAND} DIR [SINK-URL]"),
    };
    let database = open(&Path::new(dir).join("floor.db")).await?;
    let (sender, queue) = mpsc::channel(QUEUE_MAX);
    let lanes = match sink {
        Some(sink) => Some(Arc::new(start_lanes(&sink, &sender)?)),
        None => None,
    };
    let writer = tokio::spawn(write(database, queue));
    let routes = Router::new().route("/hooks/floor", post(accept)).with_state(Floor { sender, lanes });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    tokio::select! {
        served = axum::serve(listener, routes) => served?,
        written = writer => written??,
    }
    Ok(())
}

/// One thing for the writer to do.
enum Work {
    /// Keep these bytes and tell the handler their number.
    Keep(axum::body::Bytes, oneshot::Sender<i64>),
    /// Mark this number as done.
    Done(i64),
}

/// A kept message on its way to the sink.
type Kept = (i64, axum::body::Bytes);

#[derive(Clone)]
struct Floor {
    sender: mpsc::Sender<Work>,
    lanes: Option<Arc<Vec<mpsc::UnboundedSender<Kept>>>>,
}

async fn accept(State(floor): State<Floor>, body: axum::body::Bytes) -> StatusCode {
    let (answer, kept) = oneshot::channel();
    if floor.sender.send(Work::Keep(body.clone(), answer)).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let Ok(number) = kept.await else { return StatusCode::SERVICE_UNAVAILABLE };
    if let Some(lanes) = &floor.lanes {
        // A closed lane means that the process ends.
        drop(lanes[lane_of(&body)].send((number, body)));
    }
    StatusCode::NO_CONTENT
}

/// The lane of the customer in `From=…`.
fn lane_of(body: &[u8]) -> usize {
    let start = body.windows(5).position(|bytes| bytes == b"From=").unwrap_or(0);
    let from = body[start..].split(|byte| *byte == b'&').next().unwrap_or_default();
    from.iter().fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(*byte))) % LANES
}

async fn open(path: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut database = options.connect().await?;
    let table = "create table hooks (id integer primary key, body blob not null, done integer not null)";
    sqlx::query(table).execute(&mut database).await?;
    Ok(database)
}

async fn write(mut database: SqliteConnection, mut queue: mpsc::Receiver<Work>) -> Result<()> {
    let mut next = 1_i64;
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while queue.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let mut answers = Vec::with_capacity(batch.len());
        let mut tx = database.begin().await?;
        for work in batch.drain(..) {
            match work {
                Work::Keep(body, answer) => {
                    let insert = sqlx::query("insert into hooks (id, body, done) values (?, ?, 0)");
                    insert.bind(next).bind(body.to_vec()).execute(&mut *tx).await?;
                    answers.push((answer, next));
                    next += 1;
                }
                Work::Done(id) => {
                    sqlx::query("update hooks set done = 1 where id = ?").bind(id).execute(&mut *tx).await?;
                }
            }
        }
        tx.commit().await?;
        for (answer, number) in answers {
            // The client may have left; its message is kept all the same.
            let _ = answer.send(number);
        }
    }
    Ok(())
}

fn start_lanes(sink: &str, writer: &mpsc::Sender<Work>) -> Result<Vec<mpsc::UnboundedSender<Kept>>> {
    let http = pointsman_tests::http_client()?;
    let url = format!("{sink}/2010-04-01/Accounts/floor/Messages.json");
    let lanes = (0..LANES).map(|_| {
        let (sender, mut queue) = mpsc::unbounded_channel::<Kept>();
        let (http, url, writer) = (http.clone(), url.clone(), writer.clone());
        tokio::spawn(async move {
            while let Some((number, body)) = queue.recv().await {
                let request = http.post(&url).header("content-type", "application/x-www-form-urlencoded");
                let is_taken = match request.body(body).send().await {
                    Ok(response) => response.status().is_success() && response.bytes().await.is_ok(),
                    Err(_) => false,
                };
                if is_taken && writer.send(Work::Done(number)).await.is_err() {
                    return;
                }
            }
        });
        sender
    });
    Ok(lanes.collect())
}
