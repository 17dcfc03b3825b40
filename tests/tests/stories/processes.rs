//! Several processes on one PostgreSQL: they share the work, one dies by kill -9
//! while it holds leases, another takes over. Nothing is lost, doubled or
//! reordered, and what one process does is seen live at the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use pointsman_tests::sse::Events;
use pointsman_tests::{Backend, Fault, Server, Setup, Twilio, eventually};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;

use crate::ledger::Ledger;
use crate::{SOON, Scene};

const CUSTOMERS: u64 = 100;
/// Below the quota of automatic messages per conversation (10 in 10 minutes).
const MESSAGES_PER_CUSTOMER: u64 = 6;
/// The leases of a dead process end after this, milliseconds.
const LEASE_MS: &str = "3000";
/// Each process claims few lanes at once, so that none has all of them.
const LANES_PER_CLAIM: &str = "4";
/// The vendor takes its time, so that leases are held when the kill comes.
const VENDOR_PAUSE: Duration = Duration::from_millis(150);
/// A debug build on two busy cores needs minutes.
const LIMIT: Duration = Duration::from_secs(900);
/// The kill comes after so many answers.
const ANSWERS_BEFORE_KILL: usize = 100;
/// Writes after the load, to be seen live.
const VISITOR: &str = "+34699000001";
/// Messages of that visitor, and how many of them must be seen promptly by all.
const VISITS: u64 = 5;
const PROMPT_MIN: usize = 4;
/// Prompt: well below the five seconds after which a process looks without being told.
const PROMPT: Duration = Duration::from_secs(2);

#[test]
fn of_two_processes_one_takes_over_from_the_other() {
    pointsman_tests::backend::run_within(LIMIT, Backend::Postgres, |backend| async move {
        let first = setup(backend, "all")?.start().await?;
        let mut second = setup(backend, "all")?.start_beside(&first).await?;
        let scene = Scene::with_echo(first).await?;
        let doors = [scene.twilio.clone(), door(&scene, &second).await?];
        let (ledger, load) = load(&scene, &doors);
        kill_while_it_holds_leases(&scene, &mut second, 2).await?;
        arrive(load).await?;
        eprintln!("two processes, one killed: {}", ledger.balance(&scene).await?);
        second.restart().await?;
        everybody_sees_it_live(&scene, &doors[1], &[&scene.server, &second]).await
    });
}

#[test]
fn a_new_worker_takes_over_from_one_that_was_killed() {
    pointsman_tests::backend::run_within(LIMIT, Backend::Postgres, |backend| async move {
        let http = setup(backend, "http")?.start().await?;
        let mut worker = setup(backend, "worker")?.start_beside(&http).await?;
        let scene = Scene::with_echo(http).await?;
        let (ledger, load) = load(&scene, std::slice::from_ref(&scene.twilio));
        kill_while_it_holds_leases(&scene, &mut worker, 1).await?;
        worker.restart().await?;
        arrive(load).await?;
        eprintln!("a worker killed and started again: {}", ledger.balance(&scene).await?);
        everybody_sees_it_live(&scene, &scene.twilio, &[&scene.server]).await
    });
}

fn setup(backend: Backend, role: &str) -> Result<Setup> {
    Ok(Setup::new(backend)?
        .arg("--role")
        .arg(role)
        .env("POINTSMAN_WORKER__LEASE_MS", LEASE_MS)
        .env("POINTSMAN_WORKER__LANES_PER_CLAIM", LANES_PER_CLAIM))
}

/// The scene's channel as another process serves it.
async fn door(scene: &Scene, server: &Server) -> Result<Twilio> {
    let path = format!("/api/v1/channels/{}", scene.twilio.channel);
    Twilio::of(server, &scene.api.get(&path).await?.expect(200)?, scene.twilio.kind)
}

type Load = Vec<JoinHandle<Result<()>>>;

/// All customers begin to write, by turns to each process.
fn load(scene: &Scene, doors: &[Twilio]) -> (Arc<Ledger>, Load) {
    scene.vendor.fail_by(|_| Some(Fault::Slow(VENDOR_PAUSE)));
    let phones = (0..CUSTOMERS).map(|customer| format!("+3465{customer:07}")).collect();
    let ledger = Arc::new(Ledger::new(phones, MESSAGES_PER_CUSTOMER));
    let write = |customer| {
        let (ledger, doors) = (Arc::clone(&ledger), doors.to_vec());
        tokio::spawn(async move { ledger.write(&doors, customer).await })
    };
    let load = (0..CUSTOMERS).map(write).collect();
    (ledger, load)
}

/// Waits until every webhook was acknowledged.
async fn arrive(load: Load) -> Result<()> {
    for written in join_all(load).await {
        written??;
    }
    Ok(())
}

/// Kills `victim`, one of so many workers, in the middle of deliveries, and makes sure that it left leases behind.
async fn kill_while_it_holds_leases(scene: &Scene, victim: &mut Server, workers: i64) -> Result<()> {
    let url = scene.server.database_url().context("it is PostgreSQL")?;
    let mut database = PgConnection::connect(url).await?;
    let sql = "select count(distinct owner) from lanes where leased and task = 'deliver'";
    let mut holders = 0;
    let start = Instant::now();
    while holders < workers || scene.vendor.accepted_count() < ANSWERS_BEFORE_KILL {
        ensure!(start.elapsed() < SOON, "{holders} of {workers} workers hold leases");
        holders = sqlx::query_scalar(sql).fetch_one(&mut database).await?;
    }
    victim.kill().await?;
    let holders: i64 = sqlx::query_scalar(sql).fetch_one(&mut database).await?;
    ensure!(holders == workers, "the killed process held no lease");
    Ok(())
}

/// A message that arrives at `door` is told to the listeners of each of these servers, whoever works it off.
async fn everybody_sees_it_live(scene: &Scene, door: &Twilio, servers: &[&Server]) -> Result<()> {
    scene.vendor.recover();
    let http = pointsman_tests::http_client()?;
    let mut streams = Vec::new();
    for server in servers {
        let request = http.get(format!("{}/api/v1/stream", server.url())).bearer_auth(server.key());
        streams.push(Events::open(request).await?);
    }
    let mut prompt = 0;
    for number in 0..VISITS {
        let sid = crate::sid(CUSTOMERS * MESSAGES_PER_CUSTOMER + number + 1);
        let start = Instant::now();
        eventually("the webhook is acknowledged", SOON, || async {
            let answer = door.deliver(&door.inbound(VISITOR, &sid, &format!("v{number}"))).await?;
            Ok((200..300).contains(&answer.status).then_some(()))
        })
        .await?;
        for stream in &mut streams {
            let heard = stream
                .wait_for("message.received", SOON, |event| (event.kind == "message.received").then_some(()));
            heard.await?;
        }
        prompt += usize::from(start.elapsed() < PROMPT);
    }
    ensure!(prompt >= PROMPT_MIN, "only {prompt} of {VISITS} messages were told to all within {PROMPT:?}");
    Ok(())
}
