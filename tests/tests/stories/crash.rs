//! The crash loop: kill -9 at random moments under load, again and again. What
//! was acknowledged must be there once and in order; what a rule said must have
//! left once, or be `unknown`. `CRASH_ROUNDS` says how often (default 3).

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use pointsman_tests::{Backend, Dice, Server};
use sqlx::Connection;

use crate::Scene;
use crate::ledger::{Ledger, WORK_OFF_LIMIT};

/// Rounds when nothing is said.
const ROUNDS_DEFAULT: u64 = 3;
/// Customers that write in one round; each round has its own.
const CUSTOMERS: u64 = 16;
/// Below the quota of automatic messages per conversation (10 in 10 minutes).
const MESSAGES_PER_CUSTOMER: u64 = 6;
/// The kill comes between these milliseconds after the start of a round.
const KILL_MS: (u64, u64) = (20, 900);
/// One round takes longer only when something hangs.
const ROUND_LIMIT: Duration = Duration::from_secs(120);

#[test]
fn nothing_is_lost_by_kill_9_on_sqlite() {
    run(Backend::Sqlite);
}

#[test]
fn nothing_is_lost_by_kill_9_on_postgres() {
    run(Backend::Postgres);
}

fn rounds() -> u64 {
    std::env::var("CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS_DEFAULT)
}

fn run(backend: Backend) {
    let limit = ROUND_LIMIT * u32::try_from(rounds()).unwrap_or(u32::MAX) + 2 * WORK_OFF_LIMIT;
    pointsman_tests::backend::run_within(limit, backend, nothing_is_lost_by_kill_9);
}

fn phone(round: u64, customer: u64) -> String {
    format!("+346{round:04}{customer:04}")
}

async fn nothing_is_lost_by_kill_9(backend: Backend) -> Result<()> {
    let mut dice = Dice::from_environment("crash");
    let mut scene = Scene::with_echo(Server::start(backend).await?).await?;
    let phones = (0..rounds()).flat_map(|round| (0..CUSTOMERS).map(move |customer| phone(round, customer)));
    let ledger = Arc::new(Ledger::new(phones.collect(), MESSAGES_PER_CUSTOMER));
    for round in 0..rounds() {
        let load: Vec<_> = (0..CUSTOMERS)
            .map(|customer| {
                let (twilio, ledger) = (scene.twilio.clone(), Arc::clone(&ledger));
                tokio::spawn(async move { ledger.write(&[twilio], round * CUSTOMERS + customer).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(dice.between(KILL_MS.0, KILL_MS.1))).await;
        scene.server.kill().await?;
        scene.server.restart().await.with_context(|| format!("round {round}"))?;
        let written = tokio::time::timeout(ROUND_LIMIT, join_all(load)).await;
        for result in written.with_context(|| format!("round {round} hangs"))? {
            result??;
        }
    }
    let report = ledger.balance(&scene).await?;
    eprintln!("crash on {}: {} kills, {report}", backend.name(), rounds());
    the_database_is_sound(&mut scene).await
}

async fn the_database_is_sound(scene: &mut Scene) -> Result<()> {
    if scene.server.backend() != Backend::Sqlite {
        return Ok(());
    }
    let status = scene.server.terminate(Duration::from_secs(60)).await?;
    ensure!(status.success(), "{status}");
    let entries = std::fs::read_dir(scene.server.data())?.collect::<std::io::Result<Vec<_>>>()?;
    let is_database =
        |path: &std::path::Path| std::fs::read(path).is_ok_and(|b| b.starts_with(b"SQLite format 3"));
    let file = entries.iter().map(std::fs::DirEntry::path).find(|path| path.is_file() && is_database(path));
    let file = file.context("no SQLite database in the data directory")?;
    let mut database = sqlx::SqliteConnection::connect(&format!("sqlite://{}", file.display())).await?;
    let verdict: String = sqlx::query_scalar("pragma integrity_check").fetch_one(&mut database).await?;
    ensure!(verdict == "ok", "integrity_check: {verdict}");
    Ok(())
}
