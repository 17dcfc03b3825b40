//! A decision is a function of its event: the same event gives the same decision
//! again, after a restart and on the other database.

use anyhow::{Context, Result, ensure};
use pointsman_tests::{Api, Backend, Dice, Server, each_backend, eventually};
use serde_json::{Value, json};

use crate::{SOON, Scene, id, publish};

each_backend!(an_event_decides_the_same_after_a_restart_and_on_the_other_database);

const CUSTOMERS: [&str; 3] = ["+34600000051", "+34600000052", "+34600000053"];
const MESSAGES: u64 = 12;
const WORDS: [&str; 8] = ["refund", "Parcel", "late", "hello", "LÁTE", "refunded?", "my", "123"];

/// Reads texts, counts, times and what earlier runs left behind.
const RULE: &str = r#"//! Replayed
//!
//! on: message.received
//! position: 1

if message.text.contains_any(["refund", "parcel"]) {
    add_labels(["topic"]);
    set_priority("high");
}
if message.text.has_word("late") && window.minutes_left > 10 {
    add_note(`late, message ${conversation.inbound_count}`);
}
if conversation.inbound_count % 3 == 0 && "topic" in conversation.labels {
    set_attribute("third", conversation.inbound_count);
    start_timer("again", "2h");
}
"#;

// Semantics 3, 6: a run is a function of its snapshot.
async fn an_event_decides_the_same_after_a_restart_and_on_the_other_database(backend: Backend) -> Result<()> {
    let mut scene = Scene::quiet(Server::start(backend).await?).await?;
    let rule = publish(&scene.api, RULE).await?;
    let mut dice = Dice::from_environment("replayed");
    for number in 1..=MESSAGES {
        let count = usize::try_from(dice.between(1, 4))?;
        let mut word = || -> Result<&str> { Ok(WORDS[usize::try_from(dice.between(0, 7))?]) };
        let text = (0..count).map(|_| word()).collect::<Result<Vec<_>>>()?.join(" ");
        let customer = CUSTOMERS[usize::try_from(number % 3)?];
        scene.hear(customer, number, &text).await?;
    }
    let events = eventually("all messages are there", SOON, || async {
        let events = scene.api.list("/api/v1/events?type=message.received").await?;
        ensure!(events.len() as u64 == MESSAGES, "{} events", events.len());
        Ok(Some(events))
    })
    .await?;

    let (mut decided, mut cases, mut compared) = (Vec::new(), Vec::new(), 0);
    for event in &events {
        let again = decision(&scene.api, id(event)?).await?;
        if let Some(happened) = ran(&scene.api, id(event)?).await? {
            ensure!(calls(&again["planned"]) == happened, "{again} instead of {happened:?}");
            compared += 1;
        }
        decided.push(again);
        let asked = json!({"event_id": id(event)?, "name": id(event)?, "save": false});
        let path = format!("/api/v1/rules/{}/cases", id(&rule)?);
        let case = scene.api.post(&path, asked).await?.expect(201)?;
        cases.push(case["case"].as_str().context("TOML")?.to_owned());
    }
    ensure!(compared > 0 && decided.iter().any(|it| it["planned"] != json!([])), "nothing was decided");
    scene.server.restart().await?;
    for (event, before) in events.iter().zip(&decided) {
        let after = decision(&scene.api, id(event)?).await?;
        ensure!(after == *before, "after a restart {after} instead of {before}");
    }

    let other = match backend {
        Backend::Sqlite => Backend::Postgres,
        Backend::Postgres => Backend::Sqlite,
    };
    if !other.is_there() {
        return Ok(());
    }
    let there = Server::start(other).await?;
    let asked = json!({"source": RULE, "cases": cases.join("\n\n")});
    let checked = there.api()?.post("/api/v1/rules/check", asked).await?.expect(200)?;
    ensure!(checked["ok"] == true, "the other database decides otherwise: {checked}");
    ensure!(checked["cases"].as_array().map(Vec::len) == Some(events.len()), "{checked}");
    Ok(())
}

/// What the rule asked for when the event came; `None`: this machine was so busy that the run took too long.
async fn ran(api: &Api, event: &str) -> Result<Option<Vec<String>>> {
    let told = api.get(&format!("/api/v1/events/{event}/explain")).await?.expect(200)?;
    let runs = told["rules"].as_array().context("rules")?;
    let run = runs.iter().find(|run| run["name"] == "Replayed").context("it ran")?;
    if run["outcome"] == "failed" {
        ensure!(run["problem"]["code"] == "too_slow", "it failed: {run}");
        return Ok(None);
    }
    Ok(Some(calls(&run["intents"])))
}

/// What it asks for now, and on which facts, without doing it.
async fn decision(api: &Api, event: &str) -> Result<Value> {
    let body = json!({"source": RULE, "event_id": event});
    let answer = api.post("/api/v1/rules/dry-run", body).await?.expect(200)?;
    Ok(json!({"planned": answer["planned"], "facts": answer["facts"], "are": answer["facts_are"]}))
}

fn calls(intents: &Value) -> Vec<String> {
    let calls = intents.as_array().into_iter().flatten();
    calls.filter_map(|it| it["call"].as_str().map(str::to_owned)).collect()
}
