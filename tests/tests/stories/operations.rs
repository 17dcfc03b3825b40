//! An operator's day: a wrong configuration, a restart, a probe, a quiet evening.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pointsman_tests::{Backend, Fault, Server, Setup, each_backend, eventually};
use serde_json::json;

use crate::{SOON, Scene, id, messages, texts};

each_backend!(
    a_graceful_stop_loses_nothing_and_is_quick,
    a_killed_server_goes_on_where_it_was,
    probes_and_metrics_tell_the_state,
    another_master_key_does_not_start,
    people_can_end_reopen_and_note,
);

const CUSTOMER: &str = "+34600000006";
/// Exit code of a wrong configuration (EX_USAGE of sysexits.h).
const EXIT_CONFIG: i32 = 64;
/// A stop with nothing to do takes no longer than this.
const STOP_LIMIT: Duration = Duration::from_secs(25);

#[test]
fn every_mistake_of_a_configuration_is_named_at_once() {
    pointsman_tests::backend::run(Backend::Sqlite, |backend| async move {
        let setup = Setup::new(backend)?
            .env("POINTSMAN_HTTP__LISTEN", "nowhere")
            .env("POINTSMAN_WORKER__CONCURENCY", "8")
            .env("POINTSMAN_WORKER__LEASE_MS", "-5");
        let dir = tempfile::tempdir()?;
        let output = setup.command().arg("serve").arg("--data").arg(dir.path()).output().await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(EXIT_CONFIG), "{}: {said}", output.status);
        for (mistake, advice) in [("listen", "nowhere"), ("concurency", "concurrency"), ("lease_ms", "1000")]
        {
            let line = said.lines().find(|line| line.to_lowercase().contains(mistake));
            let line = line.with_context(|| format!("{mistake} is not named: {said}"))?;
            ensure!(line.contains(advice), "{line:?} does not mention {advice}");
        }
        Ok(())
    });
}

async fn another_master_key_does_not_start(backend: Backend) -> Result<()> {
    let mut server = Server::start(backend).await?;
    server.kill().await?;
    let mut command = server.cli_command();
    command.arg("serve").arg("--listen").arg("127.0.0.1:0").args(server.database_args());
    command.env("POINTSMAN_MASTER_KEY", "YW5vdGhlciBrZXksIHdoaWNoIG9wZW5zIG5vdGhpbmc=");
    let output = tokio::time::timeout(SOON, command.output()).await.context("it starts")??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(EXIT_CONFIG), "{}: {said}", output.status);
    ensure!(said.contains("POINTSMAN_MASTER_KEY is not the master key"), "{said}");
    server.restart().await
}

async fn a_graceful_stop_loses_nothing_and_is_quick(backend: Backend) -> Result<()> {
    let mut scene = Scene::with_echo(Server::start(backend).await?).await?;
    // The first answer is on its way when the server is asked to stop.
    scene.vendor.fail_next([Fault::Slow(Duration::from_secs(2))]);
    for number in 1..6 {
        scene.hear(CUSTOMER, number, &format!("n{number}")).await?;
    }
    eventually("a call is under way", SOON, || async { Ok((!scene.vendor.sent().is_empty()).then_some(())) })
        .await?;
    let status = scene.server.terminate(STOP_LIMIT).await?;
    ensure!(status.success(), "{status}");
    scene.server.restart().await?;
    scene.accepted(5).await?;
    let row = scene.outbound(CUSTOMER, "echo n1", &["sent"]).await?;
    ensure!(row["status"] == "sent", "the call under way was cut off: {row}");
    let bodies: Vec<_> = scene.vendor.accepted().iter().map(|sent| sent.field("Body").to_owned()).collect();
    ensure!(bodies == ["echo n1", "echo n2", "echo n3", "echo n4", "echo n5"], "{bodies:?}");
    Ok(())
}

async fn a_killed_server_goes_on_where_it_was(backend: Backend) -> Result<()> {
    // On PostgreSQL other processes may live: the lanes of the dead one are free when its leases have run out.
    let server = Setup::new(backend)?.env("POINTSMAN_WORKER__LEASE_MS", "2000").start().await?;
    let mut scene = Scene::with_echo(server).await?;
    scene.vendor.fail_by(|_| Some(Fault::RateLimited(1)));
    scene.hear(CUSTOMER, 1, "before the crash").await?;
    scene.server.kill().await?;
    scene.vendor.recover();
    scene.server.restart().await?;
    ensure!(scene.server.ready().webchat_link.is_some(), "the seed is gone");
    scene.accepted(1).await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let rows = messages(&scene.api, id(&conversation)?).await?;
    ensure!(texts(&rows, "inbound") == ["before the crash"], "{rows:?}");
    ensure!(scene.api.list("/api/v1/channels").await?.len() == 2, "seeded twice");
    Ok(())
}

async fn probes_and_metrics_tell_the_state(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    let before = scene.server.metrics().await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    scene.accepted(1).await?;
    let anonymous = scene.api.with_key(None);
    for probe in ["/healthz", "/readyz"] {
        ensure!(anonymous.get(probe).await?.status == 200, "{probe}");
    }
    let after = scene.server.metrics().await?;
    for name in ["pointsman_sql_statements_total", "pointsman_sql_commits_total"] {
        let (before, after) =
            (before.sum(name).unwrap_or(0.0), after.sum(name).context("a metric is missing")?);
        ensure!(after > before, "{name}: {before} then {after}");
    }
    Ok(())
}

// S15
async fn people_can_end_reopen_and_note(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let path = format!("/api/v1/conversations/{}", id(&conversation)?);
    scene.api.post(&format!("{path}/messages"), json!({"note": "only for us"})).await?.expect(201)?;
    let row = scene.api.post(&format!("{path}/end"), json!({"status": "closed"})).await?.expect(200)?;
    ensure!(row["live"] == false && row["status"] == "closed", "{row}");
    let again = scene.api.post(&format!("{path}/end"), json!({"status": "closed"})).await?.expect(200)?;
    ensure!(again["ended_at"] == row["ended_at"], "ending twice is not the same as once");
    scene.hear(CUSTOMER, 2, "one more thing").await?;
    let row =
        crate::settled(&scene.api, id(&conversation)?, "it is reopened", |row| row["live"] == true).await?;
    ensure!(row["status"] == "open" && row["reopen_count"] == 1, "{row}");
    let labels = json!({"add": ["vip", "vip", "late"], "remove": ["late"]});
    let row = scene.api.post(&format!("{path}/labels"), labels).await?.expect(200)?;
    ensure!(row["labels"] == json!(["vip"]), "{row}");
    ensure!(scene.vendor.sent().is_empty(), "a note left the house: {:?}", scene.vendor.sent());
    Ok(())
}
