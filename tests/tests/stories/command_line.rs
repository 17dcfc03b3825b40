//! The command line as an operator types it.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use pointsman_tests::server::succeeded;
use pointsman_tests::twilio::{ACCOUNT_SID, AUTH_TOKEN, NUMBER};
use pointsman_tests::{Backend, Server, Twilio, Vendor, each_backend};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::{SOON, Scene, id};

each_backend!(
    a_channel_is_connected_from_the_command_line,
    sending_and_tailing,
    the_doctor_looks_at_the_database,
    rules_are_checked_tested_and_pushed,
);

const CUSTOMER: &str = "+34600000007";
const RULE: &str = "//! Urgent\n//!\n//! on: message.received\n\nif message.text.contains_any([\"fire\"]) { set_priority(\"urgent\"); }\n";

// S12, S22, S38, S42
async fn a_channel_is_connected_from_the_command_line(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let vendor = Vendor::start().await?;
    let settings = [
        format!("account_sid={ACCOUNT_SID}"),
        format!("address={NUMBER}"),
        format!("base_url={}", vendor.url()),
        format!("auth_token={AUTH_TOKEN}"),
    ];
    let mut args = vec!["--json", "channel", "connect", "twilio", "--name", "CLI", "--kind", "whatsapp"];
    for (position, setting) in settings.iter().enumerate() {
        args.push(if position == 3 { "--secret" } else { "--set" });
        args.push(setting);
    }
    args.extend(["--group", "Support", "--allow-private-egress", "--active"]);
    let channel: Value = serde_json::from_str(&succeeded(&server.cli(&args).await?)?)?;
    let twilio = Twilio::of(&server, &channel, "whatsapp")?;
    let answer = twilio.deliver(&twilio.inbound(CUSTOMER, &crate::sid(1), "hello")).await?;
    ensure!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text);
    crate::conversation_of(&server.api()?, &twilio.channel, CUSTOMER).await?;
    let listed = succeeded(&server.cli(&["channel", "list"]).await?)?;
    ensure!(listed.contains("CLI") && !listed.contains(AUTH_TOKEN), "{listed}");
    let health = succeeded(&server.cli(&["channel", "health", "CLI"]).await?)?;
    ensure!(health.contains("connecting since") && health.contains("received"), "{health}");
    let paused = succeeded(&server.cli(&["channel", "pause", "CLI", "--reason", "stocktaking"]).await?)?;
    ensure!(paused.contains("CLI is paused"), "{paused}");
    succeeded(&server.cli(&["channel", "resume", "CLI"]).await?)?;
    let other = server.cli(&["channel", "delete", "CLI", "--confirm", "Another"]).await?;
    ensure!(!other.status.success(), "it is removed by its name only");
    succeeded(&server.cli(&["channel", "delete", "CLI", "--confirm", "CLI"]).await?)?;
    ensure!(!succeeded(&server.cli(&["channel", "list"]).await?)?.contains("CLI"), "it is gone");
    let wrong = server.cli(&["channel", "connect", "twilo", "--name", "X", "--kind", "whatsapp"]).await?;
    ensure!(!wrong.status.success(), "an unknown provider is taken");
    Ok(())
}

async fn sending_and_tailing(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let conversation = id(&conversation)?;
    let mut command = scene.server.cli_command();
    command
        .args(["--json", "tail", "--conversation", conversation])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut tail = command.spawn()?;
    let mut lines = BufReader::new(tail.stdout.take().context("the pipe was asked for")?).lines();
    // The tail says nothing when it is connected, so events are made until it shows one.
    let shown = tokio::time::timeout(SOON, async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_secs(2));
        loop {
            tokio::select! {
                line = lines.next_line() => match line? {
                    Some(line) if line.contains("message.sent") => return anyhow::Ok(line),
                    Some(_) => {}
                    None => anyhow::bail!("tail ended"),
                },
                _ = ticks.tick() => {
                    let sent = scene.server.cli(&["send", "--conversation", conversation, "--text", "by hand"]).await?;
                    succeeded(&sent)?;
                }
            }
        }
    });
    let line = shown.await.context("tail shows nothing")??;
    ensure!(line.contains(conversation) || line.contains("msg_"), "{line}");
    tail.kill().await?;
    scene.outbound(CUSTOMER, "by hand", &["sent"]).await?;
    let wrong = scene.server.cli(&["send", "--conversation", "cnv_nope", "--text", "x"]).await?;
    ensure!(!wrong.status.success() && !wrong.stderr.is_empty(), "a wrong id goes through silently");
    Ok(())
}

async fn the_doctor_looks_at_the_database(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let mut args = vec!["doctor".to_owned()];
    args.extend(server.database_args());
    let said = succeeded(&server.cli(&args).await?)?;
    ensure!(!said.trim().is_empty(), "the doctor says nothing");
    let broken = ["doctor", "--database-url", "postgres://nobody:x@127.0.0.1:1/none"];
    let output = server.cli(&broken).await?;
    ensure!(!output.status.success(), "the doctor finds a missing database healthy");
    Ok(())
}

async fn rules_are_checked_tested_and_pushed(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let dir = tempfile::tempdir()?;
    let (good, bad) = (dir.path().join("good.rhai"), dir.path().join("bad.rhai"));
    std::fs::write(&good, RULE)?;
    std::fs::write(&bad, RULE.replace("set_priority", "set_prioritty"))?;
    let (good, bad) = (good.display().to_string(), bad.display().to_string());
    succeeded(&server.cli(&["rules", "check", &good]).await?)?;
    let refused = server.cli(&["rules", "check", &bad]).await?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    ensure!(!refused.status.success(), "{said}");
    ensure!(said.contains("bad.rhai:5:") || said.contains("line 5"), "no place: {said}");
    ensure!(said.contains("set_priority"), "no hint: {said}");
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    succeeded(&server.cli(&["rules", "test", examples]).await?)?;
    succeeded(&server.cli(&["rules", "push", "--yes", &good]).await?)?;
    let rules = server.api()?.list("/api/v1/rules").await?;
    ensure!(rules.iter().any(|rule| rule["name"] == "Urgent"), "{rules:?}");
    Ok(())
}
