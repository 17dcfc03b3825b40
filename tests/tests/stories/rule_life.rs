//! The life of a rule seen from outside: planned, parked and resumed, run by
//! hand, by the clock and by other programs, and kept in files.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pointsman_tests::api::text_at;
use pointsman_tests::server::succeeded;
use pointsman_tests::{Api, Backend, Server, each_backend, eventually};
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};

use crate::{SOON, Scene, id, publish, settled};

each_backend!(
    a_rule_that_keeps_failing_is_parked_until_it_is_resumed,
    agents_run_rules_by_hand,
    rules_start_each_other_only_where_both_want_it,
    a_schedule_visits_what_its_filter_takes_once,
    a_call_of_a_rules_url_reaches_its_conversation_once,
    a_planned_draft_publishes_itself,
    rules_are_pulled_planned_and_pushed,
);

const CUSTOMER: &str = "+34600000031";
const OTHER: &str = "+34600000032";
const MINUTE: Duration = Duration::from_secs(60);

fn rule(name: &str, on: &str, keys: &str, body: &str) -> String {
    format!("//! {name}\n//!\n//! on: {on}\n{keys}\n{body}\n")
}

fn path(made: &Value) -> Result<String> {
    Ok(format!("/api/v1/rules/{}", id(made)?))
}

/// The rule as soon as it looks as wanted.
async fn becomes(api: &Api, path: &str, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    eventually(what, SOON, || async {
        let row = api.get(path).await?.expect(200)?;
        ensure!(is_wanted(&row), "it is {row}");
        Ok(Some(row))
    })
    .await
}

async fn label(scene: &Scene, phone: &str, wanted: &str) -> Result<Value> {
    let conversation = scene.conversation(phone).await?;
    let has = |row: &Value| row["labels"].as_array().is_some_and(|all| all.iter().any(|it| it == wanted));
    settled(&scene.api, id(&conversation)?, &format!("the label {wanted}"), has).await
}

/// How many events of this type a conversation has.
async fn count(api: &Api, conversation: &str, event: &str) -> Result<usize> {
    let path = format!("/api/v1/events?conversation={conversation}&type={event}");
    Ok(api.list(&path).await?.len())
}

// Semantics 9: five distinct events in a row, over a restart.
async fn a_rule_that_keeps_failing_is_parked_until_it_is_resumed(backend: Backend) -> Result<()> {
    let mut scene = Scene::quiet(Server::start(backend).await?).await?;
    let boss = json!({"email": "boss@example.com", "name": "Boss", "role": "admin"});
    scene.api.post("/api/v1/users", boss).await?.expect(201)?;
    let body =
        "if message.text == \"break\" { let n = 0; while true { n += 1; } }\nadd_labels([message.text]);";
    let made = publish(&scene.api, &rule("Breaks", "message.received", "//! position: 1\n", body)).await?;
    let path = path(&made)?;
    for n in 1..=4 {
        scene.hear(CUSTOMER, n, "break").await?;
    }
    scene.hear(CUSTOMER, 5, "fine").await?;
    label(&scene, CUSTOMER, "fine").await?;
    for n in 6..=9 {
        scene.hear(CUSTOMER, n, "break").await?;
    }
    let failed = |wanted: i64| move |row: &Value| row["total"]["failed"] == wanted;
    becomes(&scene.api, &format!("{path}/stats"), "eight failures are counted", failed(8)).await?;
    let sums = scene.api.get("/api/v1/rules/stats").await?.expect(200)?;
    let mine = sums["items"].as_array().and_then(|items| items.iter().find(|it| it["rule"] == made["id"]));
    ensure!(mine.is_some_and(|it| it["failed"] == 8), "all rules' counts name them too: {sums}");
    ensure!(scene.api.get(&path).await?.expect(200)?["parked"].is_null(), "never five in a row");
    scene.server.restart().await?;
    scene.hear(CUSTOMER, 10, "break").await?;
    let parked = becomes(&scene.api, &path, "it is parked", |row| row["parked"].is_object()).await?;
    ensure!(parked["parked"]["failures"] == 5 && parked["enabled"] == true, "{parked}");
    let told = scene.api.list("/api/v1/notifications").await?;
    let about =
        |it: &&Value| it["kind"] == "rule" && it["text"].as_str().is_some_and(|t| t.contains("Breaks"));
    ensure!(told.iter().any(|it| about(&it)), "nobody is told: {told:?}");
    publish(&scene.api, &rule("Marker", "message.received", "", "add_labels([\"marked\"]);")).await?;
    scene.hear(CUSTOMER, 11, "held").await?;
    let row = label(&scene, CUSTOMER, "marked").await?;
    ensure!(!row["labels"].to_string().contains("held"), "a parked rule ran: {row}");
    scene.server.restart().await?;
    ensure!(scene.api.get(&format!("{path}/parked")).await?.expect(200)?["parked"].is_object(), "it is lost");
    let resumed = scene.api.post(&format!("{path}/resume"), json!({})).await?.expect(200)?;
    ensure!(resumed["parked"].is_null(), "{resumed}");
    scene.hear(CUSTOMER, 12, "again").await?;
    label(&scene, CUSTOMER, "again").await?;
    Ok(())
}

// Semantics 14.
async fn agents_run_rules_by_hand(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let by_hand = rule("Vip", "rule.manual", "", "set_priority(\"urgent\");\nadd_labels([\"vip\"]);");
    let by_hand = publish(&scene.api, &by_hand).await?;
    let alone = publish(&scene.api, &rule("Alone", "conversation.idle", "", "archive();")).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let run = format!("/api/v1/conversations/{}/run-rule", id(&conversation)?);
    let listed = scene.api.list("/api/v1/rules?on=rule.manual").await?;
    ensure!(listed.len() == 1 && listed[0]["name"] == "Vip", "{listed:?}");
    let row = scene.api.post(&run, json!({"rule": id(&by_hand)?})).await?.expect(200)?;
    ensure!(row["priority"] == "urgent" && row["labels"] == json!(["vip"]), "{row}");
    scene.api.post(&run, json!({"rule": id(&alone)?})).await?.problem(422, "rule_not_manual")?;
    scene.api.patch(&path(&by_hand)?, json!({"enabled": false})).await?.expect(200)?;
    scene.api.post(&run, json!({"rule": id(&by_hand)?})).await?.problem(422, "rule_inactive")?;
    Ok(())
}

// Semantics 4, and `run_rule`.
async fn rules_start_each_other_only_where_both_want_it(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let first = "set_priority(\"high\");\nrun_rule(\"Helper\");";
    publish(&scene.api, &rule("Helper", "rule.manual", "", "add_labels([\"helped\"]);")).await?;
    publish(&scene.api, &rule("First", "message.received", "", first)).await?;
    let updated = "conversation.updated";
    let says = |label: &str| format!("if changes.priority != () {{ add_labels([\"{label}\"]); }}");
    publish(&scene.api, &rule("Deaf", updated, "", &says("deaf"))).await?;
    publish(&scene.api, &rule("Listens", updated, "//! chain: true\n", &says("listens"))).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    let row = label(&scene, CUSTOMER, "listens").await?;
    let labels = row["labels"].to_string();
    ensure!(labels.contains("helped") && !labels.contains("deaf"), "{row}");
    Ok(())
}

async fn a_schedule_visits_what_its_filter_takes_once(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    scene.hear(OTHER, 2, "hello").await?;
    let (open, closed) = (scene.conversation(CUSTOMER).await?, scene.conversation(OTHER).await?);
    let (open, closed) = (id(&open)?, id(&closed)?);
    let end = json!({"status": "closed"});
    scene.api.post(&format!("/api/v1/conversations/{closed}/end"), end).await?.expect(200)?;
    let keys = "//! cron: */5 * * * *\n//! where: status != closed\n";
    let made =
        publish(&scene.api, &rule("Visits", "schedule.tick", keys, "add_labels([\"visited\"]);")).await?;
    let schedule = format!("{}/schedule", path(&made)?);
    scene.server.advance(MINUTE)?;
    let counts = |row: &Value| row["counts_from"].is_string();
    let begun = becomes(&scene.api, &schedule, "the schedule is taken up", counts).await?;
    ensure!(begun["next_at"].is_string() && begun["cron"] == "*/5 * * * *", "{begun}");
    let begun = begun["last_at"].clone(); // five minutes may have just begun
    let before = count(&scene.api, open, "schedule.tick").await?;
    scene.server.advance(MINUTE * 6)?; // shorter than what ends an idle chat
    becomes(&scene.api, &schedule, "the tick is given out", |row| row["last_at"] != begun).await?;
    label(&scene, CUSTOMER, "visited").await?;
    ensure!(count(&scene.api, open, "schedule.tick").await? == before + 1, "not exactly once");
    ensure!(count(&scene.api, closed, "schedule.tick").await? == 0, "a closed conversation was visited");
    Ok(())
}

fn signed(secret: &str, id: &str, timestamp: i64, body: &str) -> Result<String> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").context("a secret begins with whsec_")?)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let tag = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(tag)))
}

async fn a_call_of_a_rules_url_reaches_its_conversation_once(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let conversation = id(&conversation)?;
    let body = "if event.name == \"shop\" { add_labels([event.payload.state]); }";
    publish(&scene.api, &rule("Orders", "webhook.received", "", body)).await?;
    let new = json!({"name": "shop", "pointer": "/customer/phone"});
    let hook = scene.api.post("/api/v1/rule-hooks", new).await?.expect(201)?;
    let (url, secret) = (text_at(&hook, "/url")?, text_at(&hook, "/secret")?);
    let at = scene.server.local(url);
    let at = at.strip_prefix(scene.server.url()).context("another address")?;
    let payload = json!({"customer": {"phone": CUSTOMER}, "state": "paid"});
    let outside = scene.api.with_key(None);
    outside.post(at, payload.clone()).await?.problem(401, "unauthorized")?;
    let now = text_at(&hook, "/created_at")?.parse::<jiff::Timestamp>()?.as_second();
    let (text, time) = (payload.to_string(), now.to_string());
    let signature = signed(secret, "msg_1", now, &text)?;
    let headers =
        [("webhook-id", "msg_1"), ("webhook-timestamp", &time), ("webhook-signature", signature.as_str())];
    for _ in 0..2 {
        let taken = outside.call(Method::POST, at, Some(&payload), &headers).await?.expect(202)?;
        ensure!(taken["conversation"] == conversation, "{taken}");
    }
    label(&scene, CUSTOMER, "paid").await?;
    let other = json!({"customer": {"phone": CUSTOMER}, "state": "stolen"});
    outside.call(Method::POST, at, Some(&other), &headers).await?.problem(401, "unauthorized")?;
    let open = json!({"name": "open", "signed": false, "about": "conversation"});
    let open = scene.api.post("/api/v1/rule-hooks", open).await?.expect(201)?;
    let open_at = scene.server.local(text_at(&open, "/url")?);
    let open_at = open_at.strip_prefix(scene.server.url()).context("another address")?;
    outside.post(open_at, json!({"conversation": conversation})).await?.expect(202)?;
    outside.post(open_at, json!({"phone": CUSTOMER})).await?.problem(422, "nobody_named")?;
    let nobody = json!({"conversation": "cnv_01jd0000000000000000000000"});
    outside.post(open_at, nobody).await?.problem(422, "no_conversation")?;
    eventually("both calls are events, once each", SOON, || async {
        let events = count(&scene.api, conversation, "webhook.received").await?;
        ensure!(events == 2, "{events} events");
        Ok(Some(()))
    })
    .await?;
    let one = format!("/api/v1/rule-hooks/{}", id(&hook)?);
    let rotated = scene.api.post(&format!("{one}/rotate"), json!({})).await?.expect(200)?;
    ensure!(rotated["secret"] != hook["secret"] && rotated["url"] == hook["url"], "{rotated}");
    scene.api.delete(&one).await?.expect(204)?;
    outside.post(at, payload).await?.problem(404, "unknown_hook")?;
    Ok(())
}

async fn a_planned_draft_publishes_itself(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let made = publish(&scene.api, &rule("Plans", "message.received", "", "add_labels([\"one\"]);")).await?;
    let path = path(&made)?;
    let draft = json!({"source": rule("Plans", "message.received", "", "add_labels([\"two\"]);")});
    scene.api.patch(&path, draft).await?.expect(200)?;
    let now: jiff::Timestamp = text_at(&made, "/updated_at")?.parse()?;
    let at = now + jiff::SignedDuration::from_mins(10);
    let planned = json!({"at": at.to_string(), "message": "by itself"});
    let planned = scene.api.post(&format!("{path}/publish"), planned).await?.expect(200)?;
    ensure!(planned["publish_at"].is_string() && planned["version"]["number"] == 1, "{planned}");
    scene.server.advance(MINUTE * 11)?;
    becomes(&scene.api, &path, "version 2 runs", |row| row["version"]["number"] == 2).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    label(&scene, CUSTOMER, "two").await?;
    let back = scene.api.post(&format!("{path}/rollback"), json!({"version": 1})).await?.expect(200)?;
    ensure!(back["source"] == made["source"] && back["version"]["number"] == 3, "{back}");
    Ok(())
}

fn rule_files(dir: &Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(dir)? {
        for file in std::fs::read_dir(folder?.path())? {
            let path = file?.path();
            found.push((path.display().to_string(), std::fs::read_to_string(&path)?));
        }
    }
    found.sort();
    Ok(found)
}

async fn rules_are_pulled_planned_and_pushed(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let api = server.api()?;
    let dir = tempfile::tempdir()?;
    let at = dir.path().display().to_string();
    succeeded(&server.cli(&["rules", "pull", &at]).await?)?;
    let (pulled, rules) = (rule_files(dir.path())?, api.list("/api/v1/rules").await?);
    ensure!(
        pulled.iter().filter(|(path, _)| path.ends_with("rule.rhai")).count() == rules.len(),
        "{pulled:?}"
    );
    succeeded(&server.cli(&["rules", "check", &at]).await?)?;
    let same = succeeded(&server.cli(&["rules", "push", "--prune", &at]).await?)?;
    ensure!(same.contains("0 rules to change"), "a round trip changes something: {same}");
    ensure!(api.list("/api/v1/rules").await? == rules, "a round trip changed something");

    let mine = dir.path().join("urgent");
    std::fs::create_dir(&mine)?;
    let file = mine.join("rule.rhai");
    std::fs::write(&file, rule("Urgent", "message.received", "", "set_priority(\"urgent\");"))?;
    let report = dir.path().join("report.xml");
    let junit = report.display().to_string();
    let planned = server.cli(&["rules", "push", &at, "--junit", &junit]).await?;
    ensure!(planned.status.code() == Some(3), "a plan alone: {:?}", planned.status);
    ensure!(String::from_utf8_lossy(&planned.stdout).contains("+ Urgent"), "{planned:?}");
    ensure!(std::fs::read_to_string(&report)?.contains("<testcase name=\"Urgent\""), "no report");
    ensure!(api.list("/api/v1/rules").await?.len() == rules.len(), "a plan was carried out");
    succeeded(&server.cli(&["rules", "push", "--yes", &at]).await?)?;
    std::fs::write(&file, rule("Urgent", "message.received", "", "set_priority(\"high\");"))?;
    let pushed = succeeded(&server.cli(&["rules", "push", "--yes", "--message", "calmer", &at]).await?)?;
    ensure!(
        pushed.contains("-set_priority(\"urgent\");") && pushed.contains("+set_priority(\"high\");"),
        "{pushed}"
    );
    let urgent = api.find("/api/v1/rules", "name", "Urgent").await?;
    ensure!(urgent["version"]["number"] == 2, "{urgent}");
    let stats = succeeded(&server.cli(&["rules", "stats", "Urgent"]).await?)?;
    ensure!(stats.contains("FIRED") && stats.contains("Urgent"), "{stats}");

    std::fs::remove_dir_all(&mine)?;
    let kept = succeeded(&server.cli(&["rules", "push", "--yes", &at]).await?)?;
    ensure!(kept.contains("0 rules to change"), "removed without --prune: {kept}");
    succeeded(&server.cli(&["rules", "push", "--yes", "--prune", &at]).await?)?;
    ensure!(api.list("/api/v1/rules").await? == rules, "it is not gone");
    Ok(())
}
