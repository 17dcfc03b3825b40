//! The crash loop: kill -9 at random moments under load, again and again. What
//! was acknowledged must be there once and in order; what a rule said must have
//! left once, or be `unknown`. `CRASH_ROUNDS` says how often (default 3).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use pointsman_tests::{Backend, Dice, Form, Server, Twilio, eventually};
use serde_json::Value;
use sqlx::Connection;

use crate::{Scene, id, messages, texts};

/// Rounds when nothing is said.
const ROUNDS_DEFAULT: u64 = 3;
/// Customers that write in one round; each round has its own.
const CUSTOMERS: u64 = 16;
/// Below the quota of automatic messages per conversation (10 in 10 minutes).
const MESSAGES_PER_CUSTOMER: u64 = 6;
/// The kill comes between these milliseconds after the start of a round.
const KILL_MS: (u64, u64) = (20, 900);
/// Pause before the vendor repeats a webhook that got no 2xx.
const REPEAT_PAUSE: Duration = Duration::from_millis(25);
/// One round takes longer only when something hangs.
const ROUND_LIMIT: Duration = Duration::from_secs(120);
/// Time to work off everything after the last round.
const WORK_OFF_LIMIT: Duration = Duration::from_secs(300);

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
    let attempts = Arc::new(AtomicU64::new(0));
    for round in 0..rounds() {
        let load: Vec<_> = (0..CUSTOMERS)
            .map(|customer| {
                let (twilio, attempts) = (scene.twilio.clone(), Arc::clone(&attempts));
                tokio::spawn(async move { write(&twilio, round, customer, &attempts).await })
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
    no_work_is_left(&scene).await?;
    let report = judge(&scene).await?;
    let acknowledged = rounds() * CUSTOMERS * MESSAGES_PER_CUSTOMER;
    eprintln!(
        "crash on {}: {} kills, {acknowledged} acknowledged in {} attempts, {} answered once, {} unknown, 0 lost",
        backend.name(),
        rounds(),
        attempts.load(Ordering::Relaxed),
        report.sent,
        report.unknown,
    );
    ensure!(report.sent + report.unknown == acknowledged, "{} + {}", report.sent, report.unknown);
    the_database_is_sound(&mut scene).await
}

/// Writes one customer's numbered messages. As a patient vendor, it repeats each
/// until it is acknowledged, and never again afterwards.
async fn write(twilio: &Twilio, round: u64, customer: u64, attempts: &AtomicU64) -> Result<()> {
    for number in 0..MESSAGES_PER_CUSTOMER {
        let sid = ((round * CUSTOMERS) + customer) * MESSAGES_PER_CUSTOMER + number + 1;
        let form: Form = twilio.inbound(&phone(round, customer), &crate::sid(sid), &format!("n{number}"));
        loop {
            attempts.fetch_add(1, Ordering::Relaxed);
            match twilio.deliver(&form).await {
                Ok(answer) if (200..300).contains(&answer.status) => break,
                Ok(answer) => ensure!(answer.status >= 429, "refused: {} {}", answer.status, answer.text),
                Err(_) => {}
            }
            tokio::time::sleep(REPEAT_PAUSE).await;
        }
    }
    Ok(())
}

/// Waits until no lane has anything to do: every answer has an outcome and no job waits.
async fn no_work_is_left(scene: &Scene) -> Result<()> {
    let expected = rounds() * CUSTOMERS * MESSAGES_PER_CUSTOMER;
    eventually("every answer has an outcome", WORK_OFF_LIMIT, || async {
        let unclear = scene.api.list("/api/v1/jobs/dead").await?.len();
        let accepted = scene.vendor.accepted_count();
        ensure!((accepted + unclear) as u64 >= expected, "{accepted} + {unclear} of {expected}");
        let waiting = scene.api.list("/api/v1/jobs").await?;
        let is_done =
            |job: &Value| matches!(job["state"].as_str(), Some("unknown" | "dead" | "failed" | "gave_up"));
        let left: Vec<_> = waiting.iter().filter(|job| !is_done(job)).collect();
        ensure!(left.is_empty(), "{} jobs are left, e.g. {}", left.len(), left[0]);
        Ok(Some(()))
    })
    .await
}

/// What became of the answers.
#[derive(Default)]
struct Report {
    sent: u64,
    unknown: u64,
}

async fn judge(scene: &Scene) -> Result<Report> {
    let mut copies: HashMap<(String, String), usize> = HashMap::new();
    let mut order: HashMap<String, Vec<String>> = HashMap::new();
    for sent in scene.vendor.accepted() {
        let (to, body) = (sent.field("To").to_owned(), sent.field("Body").to_owned());
        *copies.entry((to.clone(), body.clone())).or_default() += 1;
        order.entry(to).or_default().push(body);
    }
    let written: Vec<String> = (0..MESSAGES_PER_CUSTOMER).map(|number| format!("n{number}")).collect();
    let echoes: Vec<String> = written.iter().map(|text| format!("echo {text}")).collect();
    let path = format!("/api/v1/conversations?channel={}", scene.twilio.channel);
    let conversations = scene.api.list(&path).await?;
    ensure!(conversations.len() as u64 == rounds() * CUSTOMERS, "{} conversations", conversations.len());
    let mut report = Report::default();
    for round in 0..rounds() {
        for customer in 0..CUSTOMERS {
            let phone = phone(round, customer);
            let row = conversations.iter().find(|row| row["contact"].to_string().contains(&phone));
            let row = row.with_context(|| format!("no conversation with {phone}"))?;
            let rows = messages(&scene.api, id(row)?).await?;
            ensure!(texts(&rows, "inbound") == written, "{phone}: {:?}", texts(&rows, "inbound"));
            ensure!(texts(&rows, "outbound") == echoes, "{phone}: {:?}", texts(&rows, "outbound"));
            let address = scene.twilio.address(&phone);
            let arrived = order.remove(&address).unwrap_or_default();
            ensure!(arrived.is_sorted(), "{phone}: the vendor got {arrived:?}");
            for answer in rows.iter().filter(|row| row["direction"] == "outbound") {
                let text = crate::text_of(answer).to_owned();
                let copies = copies.remove(&(address.clone(), text)).unwrap_or(0);
                match answer["status"].as_str() {
                    Some("sent" | "delivered" | "read") => {
                        ensure!(copies == 1, "{copies} copies of {answer}");
                        report.sent += 1;
                    }
                    Some("unknown") => {
                        ensure!(copies <= 1, "{copies} copies of {answer}");
                        report.unknown += 1;
                    }
                    _ => anyhow::bail!("left behind: {answer}"),
                }
            }
        }
    }
    ensure!(copies.is_empty() && order.is_empty(), "nobody asked for {copies:?}");
    Ok(report)
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
