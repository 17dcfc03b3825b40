//! The command line as an operator types it.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use pointsman_tests::server::succeeded;
use pointsman_tests::twilio::{ACCOUNT_SID, AUTH_TOKEN, NUMBER};
use pointsman_tests::{Backend, Server, Twilio, Vendor, each_backend};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::{SOON, Scene, id};

each_backend!(
    a_channel_is_connected_from_the_command_line,
    sending_and_tailing,
    the_doctor_looks_at_the_database,
    rules_are_checked_tested_and_pushed,
    a_rules_life_from_the_command_line,
    rules_that_start_each_other_are_not_pushed_and_stopped_when_forced,
    a_team_and_its_hours_from_the_command_line,
    an_assistant_and_what_it_knows_from_the_command_line,
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
    // Channels are checked when the round comes to them, which may have been now.
    let has_state = health.contains("connecting since") || health.contains("connected since");
    ensure!(has_state && health.contains("received"), "{health}");
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

async fn said(server: &Server, args: &[&str]) -> Result<String> {
    succeeded(&server.cli(args).await?)
}

async fn a_rules_life_from_the_command_line(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let (server, api) = (&scene.server, &scene.api);
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("urgent.rhai");
    let path = file.display().to_string();
    std::fs::write(&file, RULE)?;
    said(server, &["rules", "push", "--yes", &path]).await?;
    std::fs::write(&file, RULE.replace("\"urgent\"", "\"high\""))?;
    said(server, &["rules", "push", "--draft", "--yes", &path]).await?;
    let diff = said(server, &["rules", "diff", "urgent", "--to", "draft"]).await?;
    ensure!(diff.contains("+if") && diff.contains("set_priority(\"high\")"), "{diff}");
    let shadow = said(server, &["rules", "shadow", "Urgent", "on"]).await?;
    ensure!(shadow.contains("running since"), "{shadow}");
    said(server, &["rules", "shadow", "Urgent", "off"]).await?;
    ensure!(said(server, &["rules", "shadow", "Urgent"]).await?.contains("off since"), "it runs on");
    said(server, &["rules", "push", "--yes", "--message", "calmer", &path]).await?;
    let versions = said(server, &["rules", "versions", "Urgent"]).await?;
    ensure!(versions.contains("calmer") && versions.lines().count() == 3, "{versions}");
    let back = said(server, &["rules", "rollback", "Urgent", "1", "--message", "it was better"]).await?;
    ensure!(back.contains("version 3"), "{back}");
    let rule = api.find("/api/v1/rules", "name", "Urgent").await?;
    ensure!(rule["source"].as_str().is_some_and(|it| it.contains("\"urgent\"")), "{rule}");

    let order = said(server, &["rules", "order", "Urgent"]).await?;
    ensure!(order.lines().nth(1).is_some_and(|line| line.contains("Urgent")), "it is not the first: {order}");
    let unknown = server.cli(&["rules", "order", "Nobody"]).await?;
    ensure!(!unknown.status.success(), "an unknown rule is ordered");
    let not_parked = server.cli(&["rules", "resume", "Urgent"]).await?;
    ensure!(String::from_utf8_lossy(&not_parked.stderr).contains("not parked"), "{not_parked:?}");

    scene.hear(CUSTOMER, 1, "there is a fire").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let at = format!("/api/v1/events?conversation={}&type=message.received", id(&conversation)?);
    let events = pointsman_tests::eventually("the message", SOON, || async {
        let events = api.list(&at).await?;
        Ok((!events.is_empty()).then_some(events))
    })
    .await?;
    let case =
        said(server, &["rules", "case", "Urgent", "--event", id(&events[0])?, "--name", "a fire"]).await?;
    ensure!(case.contains("a fire") && case.contains("set_priority"), "{case}");
    let rule = api.find("/api/v1/rules", "name", "Urgent").await?;
    ensure!(rule["cases"].as_str().is_some_and(|it| it.contains("a fire")), "{rule}");
    Ok(())
}

// Semantics 4, 12
async fn rules_that_start_each_other_are_not_pushed_and_stopped_when_forced(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let (server, api) = (&scene.server, &scene.api);
    let dir = tempfile::tempdir()?;
    for (name, at, to) in [("Ping", "low", "high"), ("Pong", "high", "low")] {
        let head = format!("//! {name}\n//!\n//! on: conversation.updated\n//! chain: true\n\n");
        let body = format!("if conversation.priority == \"{at}\" {{ set_priority(\"{to}\"); }}\n");
        std::fs::write(dir.path().join(format!("{name}.rhai")), head + &body)?;
    }
    let at = dir.path().display().to_string();
    let refused = server.cli(&["rules", "push", "--yes", &at]).await?;
    let told = String::from_utf8_lossy(&refused.stdout).into_owned();
    ensure!(!refused.status.success() && told.contains("nothing was changed"), "{refused:?}");
    let drawing = "Ping → conversation.updated → Pong → conversation.updated → Ping";
    ensure!(told.contains(drawing) && told.contains("--override-loop"), "the loop is not drawn: {told}");
    let rules = api.list("/api/v1/rules").await?;
    ensure!(!rules.iter().any(|rule| rule["name"] == "Ping"), "half of it was pushed");
    said(server, &["rules", "push", "--yes", "--override-loop", &at]).await?;
    let pong = said(server, &["--json", "rules", "versions", "Pong"]).await?;
    ensure!(pong.contains("accepted the loop"), "nobody will know: {pong}");

    scene.hear(CUSTOMER, 1, "hello").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let conversation = id(&conversation)?;
    let high = json!({"priority": "high"});
    api.post(&format!("/api/v1/conversations/{conversation}/priority"), high).await?.expect(200)?;
    let at = format!("/api/v1/events?conversation={conversation}&type=conversation.updated");
    let last = api.list(&at).await?.pop().context("an update")?;
    let told = api.get(&format!("/api/v1/events/{}/explain", id(&last)?)).await?.expect(200)?;
    let runs = told["rules"].as_array().context("rules")?;
    let pong = runs.iter().find(|run| run["name"] == "Pong").context("Pong")?;
    ensure!(pong["reason"] == "already_in_chain", "it was not stopped: {told}");
    Ok(())
}

async fn a_team_and_its_hours_from_the_command_line(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let api = server.api()?;
    let ana = json!({"email": "ana@team.example", "name": "Ana", "role": "agent"});
    let ana = api.post("/api/v1/users", ana).await?.expect(201)?;
    let hours =
        ["calendar", "create", "Shop", "--timezone", "Europe/Madrid", "--open", "mon-sun 00:00-24:00"];
    said(&server, &hours).await?;
    let file = server.dir().join("holidays.ics");
    let lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Shop//EN",
        "BEGIN:VEVENT",
        "UID:1@shop.example",
        "DTSTAMP:20260101T000000Z",
        "DTSTART;VALUE=DATE:20300106",
        "SUMMARY:Kings",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ];
    std::fs::write(&file, lines.join("\r\n"))?;
    let imported = said(&server, &["calendar", "import", "shop", &file.display().to_string()]).await?;
    ensure!(imported.contains("holidays of Shop: 1"), "{imported}");
    let listed = said(&server, &["calendar", "list"]).await?;
    ensure!(listed.contains("Shop") && listed.contains("open"), "{listed}");

    let new = [
        "group",
        "create",
        "Refunds",
        "--add",
        "ana@team.example",
        "--calendar",
        "Shop",
        "--policy",
        "round_robin",
        "--chats-max",
        "3",
        "--first-reply",
        "15",
    ];
    said(&server, &new).await?;
    let group = api.find("/api/v1/groups", "name", "Refunds").await?;
    ensure!(group["members"] == json!([ana["id"]]) && group["assignment"]["chats_max"] == 3, "{group}");
    ensure!(group["targets"]["first_reply_minutes"] == 15, "{group}");
    let change = ["group", "set", "refunds", "--offer-seconds", "30", "--chats-max", "0", "--no-calendar"];
    said(&server, &change).await?;
    let group = api.find("/api/v1/groups", "name", "Refunds").await?;
    let assignment =
        json!({"policy": "round_robin", "chats_max": null, "offer_seconds": 30, "keep_assignee": true});
    ensure!(group["assignment"] == assignment && group["calendar"].is_null(), "{group}");
    ensure!(group["members"] == json!([ana["id"]]), "they are gone: {group}");
    let listed = said(&server, &["group", "list"]).await?;
    ensure!(listed.contains("Refunds") && listed.contains("ana@team.example"), "{listed}");

    said(&server, &["presence", "ana@team.example", "away"]).await?;
    let there = said(&server, &["presence"]).await?;
    let of_ana = there.lines().find(|line| line.contains("ana@team.example")).context("Ana")?;
    ensure!(of_ana.contains("away"), "{there}");
    let nobody = server.cli(&["presence", "bob@team.example", "away"]).await?;
    ensure!(!nobody.status.success(), "Bob is away");
    said(&server, &["group", "delete", "Refunds"]).await?;
    said(&server, &["calendar", "delete", "Shop"]).await?;
    ensure!(!said(&server, &["calendar", "list"]).await?.contains("Shop"), "it is still there");
    Ok(())
}

// S90
async fn an_assistant_and_what_it_knows_from_the_command_line(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let (server, api) = (&scene.server, &scene.api);
    said(server, &["assistant", "create", "lexicon", "--name", "Lex", "--limit", "tokens_per_day_max=50000"])
        .await?;
    said(server, &["assistant", "set", "lex", "--instructions", "Be brief.", "--limit", "answers_max=3"])
        .await?;
    let all = api.list("/api/v1/assistants").await?;
    let limits = (&all[0]["limits"]["answers_max"], &all[0]["limits"]["tokens_per_day_max"]);
    ensure!(limits == (&json!(3), &json!(50_000)) && all[0]["instructions"] == "Be brief.", "{all:?}");
    ensure!(said(server, &["assistant", "check", "Lex"]).await?.starts_with("ok"));
    let channel = scene.twilio.channel.as_str();
    let connect = ["assistant", "connect", "Lex", "--channel", channel, "--insights-at-end"];
    said(server, &[&connect[..], &["--cost-per-day", "1000000"]].concat()).await?;
    let given = said(server, &["channel", "assistant", channel]).await?;
    ensure!(given.contains("insights_at_end") && given.contains("1000000"), "{given}");

    said(server, &["knowledge", "add", "Hours", "--text", "We open at nine."]).await?;
    said(server, &["knowledge", "edit", "hours", "--text", "We open at ten.\n# is no heading"]).await?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("knowledge.md");
    let path = file.display().to_string();
    said(server, &["knowledge", "pull", &path]).await?;
    let pulled = std::fs::read_to_string(&file)?;
    ensure!(said(server, &["knowledge", "push", &path]).await?.contains("0 added, 0 changed"), "{pulled}");
    std::fs::write(&file, format!("{pulled}\n# Returns\n\nWithin 30 days.\n"))?;
    ensure!(said(server, &["knowledge", "push", &path]).await?.contains("1 added, 0 changed, 0 removed"));
    std::fs::write(&file, "# Returns\n\nWithin 14 days.\n")?;
    let replaced = said(server, &["knowledge", "push", &path, "--replace"]).await?;
    ensure!(replaced.contains("0 added, 1 changed, 1 removed"), "{replaced}");
    let known = api.list("/api/v1/knowledge").await?;
    ensure!(known.len() == 1 && known[0]["text"] == "Within 14 days.", "{known:?}");
    said(server, &["knowledge", "remove", "Returns"]).await?;
    let none = server.cli(&["knowledge", "remove", "Returns"]).await?;
    ensure!(!none.status.success(), "it is gone");

    said(server, &["group", "instructions", "Support", "--text", "Offer a call back."]).await?;
    let told = said(server, &["group", "instructions", "Support"]).await?;
    ensure!(told.trim() == "Offer a call back.", "{told}");
    said(server, &["group", "instructions", "Support", "--clear"]).await?;
    ensure!(said(server, &["group", "instructions", "Support"]).await?.trim().is_empty());

    scene.hear(CUSTOMER, 1, "This is terrible.").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let path = format!("/api/v1/conversations/{}/insights", id(&conversation)?);
    api.post(&path, json!({})).await?.expect(200)?;
    let used = said(server, &["assistant", "usage"]).await?;
    ensure!(used.contains("Lex") && used.contains("0.000000 USD"), "{used}");
    let before = said(server, &["assistant", "usage", "--to", "2020-01-01"]).await?;
    ensure!(!before.contains("Lex"), "{before}");
    said(server, &["assistant", "disconnect", "--channel", channel]).await?;
    said(server, &["assistant", "delete", "Lex"]).await?;
    ensure!(api.list("/api/v1/assistants").await?.is_empty());
    Ok(())
}
