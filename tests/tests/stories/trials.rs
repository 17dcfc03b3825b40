//! Rules are tried before they count, and explained afterwards: on one event, on
//! the last days, and beside what runs. None of it reaches the vendor.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pointsman_tests::server::succeeded;
use pointsman_tests::{Api, Backend, Server, each_backend, eventually};
use serde_json::{Value, json};

use crate::{SOON, Scene, id, publish};

each_backend!(
    a_rule_is_tried_on_a_real_event_and_explained,
    a_real_conversation_becomes_a_case_that_names_nobody,
    a_backtest_finds_the_differences_and_reaches_no_vendor,
    a_backtest_goes_on_after_a_crash,
    a_shadow_sees_what_happens_and_does_nothing,
    rules_are_tried_and_explained_from_the_command_line,
);

const CUSTOMER: &str = "+34600000091";
const OTHER: &str = "+34600000092";
const RULE: &str = "//! Parcels\n//!\n//! on: message.received\n//! stage: reply\n//! position: 1\n\n\
    if message.text.has_word(\"parcel\") {\n    send_message(\"We look for your parcel\");\n}\n";

/// The event of a customer's message, once it is there.
async fn heard(api: &Api, conversation: &str, count: usize) -> Result<String> {
    let path = format!("/api/v1/events?conversation={conversation}&type=message.received");
    eventually(&format!("{count} messages"), SOON, || async {
        let rows = api.list(&path).await?;
        ensure!(rows.len() >= count, "{} messages", rows.len());
        Ok(rows.last().and_then(|row| row["id"].as_str()).map(str::to_owned))
    })
    .await
}

/// Waits until a trial looks as wanted.
async fn watched(api: &Api, path: &str, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    eventually(what, SOON, || async {
        let row = api.get(path).await?.expect(200)?;
        ensure!(is_wanted(&row), "it is {row}");
        Ok(Some(row))
    })
    .await
}

fn run_of<'v>(answer: &'v Value, name: &str) -> Result<&'v Value> {
    let runs = answer["rules"].as_array().context("no rules")?;
    runs.iter().find(|run| run["name"] == name).with_context(|| format!("no {name} in {answer}"))
}

async fn a_rule_is_tried_on_a_real_event_and_explained(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let made = publish(&scene.api, RULE).await?;
    scene.hear(CUSTOMER, 1, "where is my parcel").await?;
    scene.outbound(CUSTOMER, "We look for your parcel", &["sent"]).await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let event = heard(&scene.api, id(&conversation)?, 1).await?;
    let sent = scene.vendor.sent().len();

    let draft = RULE.replace("We look", "We do not look");
    let body = json!({"source": draft, "event_id": event, "lines": true});
    let tried = scene.api.post("/api/v1/rules/dry-run", body).await?.expect(200)?;
    ensure!(tried["facts_are"] == "kept", "a rule saw the event: {tried}");
    ensure!(tried["planned"][0]["call"] == "send_message(\"We do not look for your parcel\")", "{tried}");
    let read = &tried["rules"][0]["lines"]["conditions"][0]["looks"][0]["parts"][0];
    ensure!(read["text"] == "message.text" && read["value"] == "where is my parcel", "{read}");
    let edited = json!({"source": draft, "event_id": event, "given": {"message": {"text": "nothing"}}});
    let tried = scene.api.post("/api/v1/rules/dry-run", edited).await?.expect(200)?;
    ensure!(tried["facts_are"] == "edited" && tried["planned"] == json!([]), "{tried}");
    ensure!(scene.vendor.sent().len() == sent, "a dry run sent something");

    let told = scene.api.get(&format!("/api/v1/events/{event}/explain?lines=true")).await?.expect(200)?;
    let run = run_of(&told, "Parcels")?;
    let effect = &run["intents"][0]["effect"];
    ensure!(run["outcome"] == "matched" && effect["state"] == "done", "{run}");
    ensure!(run["lines"]["lines"].as_array().is_some_and(|lines| lines.len() == 2), "{run}");
    let late = RULE.replace("Parcels", "Second answer").replace("position: 1", "position: 2");
    let late = publish(&scene.api, &late).await?;
    let why = format!("/api/v1/rules/{}/why?event={event}", id(&late)?);
    let told = scene.api.get(&why).await?.expect(200)?;
    ensure!(told["events"][0]["run"]["outcome"] == "not_yet", "it came after the event: {told}");
    scene.hear(CUSTOMER, 2, "parcel again").await?;
    scene.accepted(2).await?;
    let event = heard(&scene.api, id(&conversation)?, 2).await?;
    let why = format!("/api/v1/rules/{}/why?conversation={}", id(&late)?, id(&conversation)?);
    let told = scene.api.get(&why).await?.expect(200)?;
    let answers = told["events"].as_array().context("events")?;
    let answer =
        answers.iter().find(|it| it["event"]["id"] == event.as_str()).context("the second message")?;
    ensure!(answer["run"]["reason"] == "reply_taken", "{answer}");
    let runs =
        scene.api.get(&format!("/api/v1/rules/{}/runs?outcome=matched", id(&made)?)).await?.expect(200)?;
    ensure!(runs["items"].as_array().is_some_and(|items| items.len() == 2), "{runs}");
    Ok(())
}

async fn a_real_conversation_becomes_a_case_that_names_nobody(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let made = publish(&scene.api, RULE).await?;
    let path = format!("/api/v1/rules/{}", id(&made)?);
    scene.hear(CUSTOMER, 1, "the parcel for +34 611 222 333, please").await?;
    scene.accepted(1).await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let event = heard(&scene.api, id(&conversation)?, 1).await?;
    let body = json!({"event_id": event, "name": "a parcel is looked for"});
    let saved = scene.api.post(&format!("{path}/cases"), body.clone()).await?.expect(201)?;
    let case = saved["case"].as_str().context("toml")?;
    ensure!(!case.contains("611") && !case.contains(CUSTOMER), "{case}");
    let rule = scene.api.get(&path).await?.expect(200)?;
    ensure!(rule["cases"] == saved["cases"] && saved["saved"] == true, "{rule}");
    scene.api.post(&format!("{path}/cases"), body).await?.expect(201)?;
    // From now on a draft that does something else cannot be published.
    let draft = RULE.replace("We look", "Nobody looks");
    scene.api.patch(&path, json!({"source": draft})).await?.expect(200)?;
    scene.api.post(&format!("{path}/publish"), json!({})).await?.problem(422, "cases_failed")?;
    Ok(())
}

async fn a_backtest_finds_the_differences_and_reaches_no_vendor(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let made = publish(&scene.api, RULE).await?;
    scene.hear(CUSTOMER, 1, "where is my parcel").await?;
    scene.hear(OTHER, 2, "my umbrella is lost").await?;
    scene.accepted(1).await?;
    for customer in [CUSTOMER, OTHER] {
        let conversation = scene.conversation(customer).await?;
        heard(&scene.api, id(&conversation)?, 1).await?;
    }
    scene.outbound(CUSTOMER, "We look for your parcel", &["sent"]).await?;
    let sent = scene.vendor.sent().len();
    scene.server.advance(Duration::from_secs(60))?;
    let draft = RULE.replace("\"parcel\"", "\"umbrella\"");
    let begin = format!("/api/v1/rules/{}/backtest", id(&made)?);
    let begun = scene.api.post(&begin, json!({"days": 2, "source": draft})).await?.expect(202)?;
    ensure!(begun["state"] == "running", "{begun}");
    let path = format!("/api/v1/backtests/{}", id(&begun)?);
    let done = watched(&scene.api, &path, "the backtest ends", |row| row["state"] != "running").await?;
    ensure!(done["state"] == "done", "{done}");
    let counts = &done["counts"];
    let told =
        [&counts["fires"], &counts["running_fires"], &counts["would_fire"], &counts["no_longer_fires"]];
    ensure!(told == [&json!(1), &json!(1), &json!(1), &json!(1)], "{done}");
    ensure!(counts["conversations"] == 1 && counts["messages"] == json!({"text": 1}), "{done}");
    ensure!(counts["events"] == done["events_total"], "{done}");
    let kinds: Vec<_> =
        done["differences"].as_array().context("list")?.iter().map(|it| &it["kind"]).collect();
    ensure!(kinds.contains(&&json!("would_fire")) && kinds.contains(&&json!("no_longer_fires")), "{done}");
    ensure!(scene.vendor.sent().len() == sent, "a backtest sent something");
    Ok(())
}

async fn a_backtest_goes_on_after_a_crash(backend: Backend) -> Result<()> {
    let mut scene = Scene::quiet(Server::start(backend).await?).await?;
    let made = publish(&scene.api, RULE).await?;
    scene.hear(CUSTOMER, 1, "where is my parcel").await?;
    scene.accepted(1).await?;
    let begin = format!("/api/v1/rules/{}/backtest", id(&made)?);
    let begun = scene.api.post(&begin, json!({"days": 1})).await?.expect(202)?;
    scene.server.kill().await?;
    scene.server.restart().await?;
    let api = scene.server.api()?;
    // A lease of the process that died runs out first.
    scene.server.advance(Duration::from_secs(600))?;
    let path = format!("/api/v1/backtests/{}", id(&begun)?);
    let done = watched(&api, &path, "the backtest ends", |row| row["state"] != "running").await?;
    ensure!(done["state"] == "done" && done["counts"]["fires"] == 1, "{done}");
    Ok(())
}

async fn a_shadow_sees_what_happens_and_does_nothing(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let made = publish(&scene.api, RULE).await?;
    let path = format!("/api/v1/rules/{}", id(&made)?);
    let draft = RULE.replace("\"parcel\"", "\"umbrella\"");
    scene.api.patch(&path, json!({"source": draft})).await?.expect(200)?;
    scene.api.post(&format!("{path}/shadow"), json!({"on": true})).await?.expect(200)?;
    scene.hear(CUSTOMER, 1, "an umbrella").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let event = heard(&scene.api, id(&conversation)?, 1).await?;
    scene.server.advance(Duration::from_secs(10))?;
    let shadow = format!("{path}/shadow");
    let seen =
        watched(&scene.api, &shadow, "the shadow sees it", |row| row["counts"]["would_fire"] == 1).await?;
    let found = &seen["differences"][0];
    ensure!(found["event"] == event.as_str() && found["kind"] == "would_fire", "{seen}");
    ensure!(found["doing"]["running"]["intents"] == json!([]), "{seen}");
    ensure!(scene.vendor.sent().is_empty(), "a shadow sent something");
    let off = scene.api.post(&shadow, json!({"on": false})).await?.expect(200)?;
    ensure!(off["on"] == false && off["counts"]["would_fire"] == 1, "what it saw stays: {off}");
    Ok(())
}

async fn rules_are_tried_and_explained_from_the_command_line(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    publish(&scene.api, RULE).await?;
    scene.hear(CUSTOMER, 1, "where is my parcel").await?;
    scene.accepted(1).await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let conversation = id(&conversation)?;
    let event = heard(&scene.api, conversation, 1).await?;
    let dir = tempfile::tempdir()?;
    let (file, cases) = (dir.path().join("parcels.rhai"), dir.path().join("situation.toml"));
    std::fs::write(&file, RULE.replace("We look", "Nobody looks"))?;
    std::fs::write(&cases, "given.message.text = \"a parcel\"\n")?;
    let (file, cases) = (file.display().to_string(), cases.display().to_string());
    let cli = |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let server = &scene.server;
        async move { anyhow::Ok(succeeded(&server.cli(&args).await?)?) }
    };
    let said = cli(&["rules", "run", &file, "--event", &event, "--lines"]).await?;
    ensure!(
        said.contains("Nobody looks") && said.contains("message.text → \"where is my parcel\""),
        "{said}"
    );
    let said = cli(&["rules", "run", &file, "--given", &cases]).await?;
    ensure!(said.contains("matched"), "{said}");
    let said = cli(&["rules", "explain", "Parcels", "--conversation", conversation]).await?;
    ensure!(said.contains("message.received  matched"), "{said}");
    let said = cli(&["rules", "explain", "--event", &event, "--lines"]).await?;
    ensure!(said.contains("Parcels: matched") && said.contains("1x"), "{said}");
    let said = cli(&["--json", "rules", "backtest", &file, "--days", "1"]).await?;
    let report: Value = serde_json::from_str(&said)?;
    ensure!(report["state"] == "done" && report["counts"]["other_intents"] == 1, "{report}");
    Ok(())
}
