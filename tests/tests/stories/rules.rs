//! Rules seen from outside: what is refused and how it is said, how they are
//! published and what they do at once.

use anyhow::{Context, Result, ensure};
use pointsman_tests::api::text_at;
use pointsman_tests::{Backend, Server, each_backend};
use serde_json::{Value, json};

use crate::{Scene, group, id, publish, settled};

each_backend!(
    a_bad_rule_is_refused_with_line_column_and_hint,
    an_unknown_group_is_named_with_the_nearest_one,
    checking_changes_nothing,
    a_new_version_counts_from_the_next_event,
    a_disabled_rule_does_nothing,
    one_failing_rule_does_not_stop_the_others,
);

const CUSTOMER: &str = "+34600000004";

fn rule(name: &str, keys: &str, body: &str) -> String {
    format!("//! {name}\n//!\n//! on: message.received\n{keys}\n{body}\n")
}

async fn a_bad_rule_is_refused_with_line_column_and_hint(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let api = server.api()?;
    // (body on line 5, line, what the message or hint must contain)
    let cases = [
        ("if message.text == {", 6, "terminate"),
        ("send_mesage(\"hi\");", 5, "send_message"),
        ("if message.txt == \"a\" { archive(); }", 5, "text"),
        ("set_status(\"opened\");", 5, "open"),
        ("eval(\"1\");", 5, "eval"),
    ];
    for (body, line, hint) in cases {
        let source = rule("Bad", "", body);
        let answer = api.post("/api/v1/rules", json!({"source": source, "publish": true})).await?;
        let problem = answer.problem(422, "rule_invalid")?;
        let first = problem.pointer("/errors/0").with_context(|| format!("no place: {problem}"))?;
        ensure!(first["pointer"] == "/source", "{body}: {first}");
        ensure!(first["line"] == line, "{body}: line {} instead of {line}: {first}", first["line"]);
        ensure!(first["column"].as_u64().is_some_and(|column| column > 0), "{body}: no column: {first}");
        let said = format!("{} {}", first["message"], first["hint"]);
        ensure!(said.contains(hint), "{body}: does not mention {hint}: {said}");
    }
    for header in ["//! on: message.recieved", "//! whenever: message.received", "//! on:"] {
        let source = format!("//! Bad header\n//!\n{header}\n\narchive();\n");
        let problem =
            api.post("/api/v1/rules", json!({"source": source})).await?.problem(422, "rule_invalid")?;
        let errors = problem["errors"].as_array().context("no errors")?;
        ensure!(errors.iter().any(|error| error["line"] == 3), "{header}: {problem}");
    }
    Ok(())
}

async fn an_unknown_group_is_named_with_the_nearest_one(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let source = rule("Typo", "", "route_to_group(\"Biling\");");
    let answer = server.api()?.post("/api/v1/rules", json!({"source": source, "publish": true})).await?;
    let problem = answer.problem(422, "rule_invalid")?;
    let said = problem["errors"].to_string();
    ensure!(said.contains("Biling") && said.contains("Billing"), "{problem}");
    Ok(())
}

async fn checking_changes_nothing(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let api = server.api()?;
    let before = api.list("/api/v1/rules").await?.len();
    let good = json!({"source": rule("Fine", "", "set_priority(\"high\");")});
    let answer = api.post("/api/v1/rules/check", good).await?.expect(200)?;
    ensure!(answer["ok"] == true && answer["problems"] == json!([]), "{answer}");
    let bad = json!({"source": rule("Broken", "", "set_priority(")});
    let answer = api.post("/api/v1/rules/check", bad).await?.expect(200)?;
    ensure!(
        answer["ok"] == false && answer["problems"].as_array().is_some_and(|list| !list.is_empty()),
        "{answer}"
    );
    ensure!(api.list("/api/v1/rules").await?.len() == before, "a check left a rule behind");
    Ok(())
}

async fn a_new_version_counts_from_the_next_event(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let keys = "//! stage: reply\n//! position: 1\n";
    let made = publish(&scene.api, &rule("Greeting", keys, "send_message(\"version one\");")).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    scene.outbound(CUSTOMER, "version one", &["sent"]).await?;
    let path = format!("/api/v1/rules/{}", id(&made)?);
    let draft = json!({"source": rule("Greeting", keys, "send_message(\"version two\");")});
    scene.api.patch(&path, draft).await?.expect(200)?;
    scene.hear(CUSTOMER, 2, "hello").await?;
    scene.accepted(2).await?;
    let last = scene.vendor.accepted().pop().context("two were accepted")?;
    ensure!(last.field("Body") == "version one", "a draft is live: {last:?}");
    scene.api.post(&format!("{path}/publish"), json!({"message": "friendlier"})).await?.expect(200)?;
    scene.hear(CUSTOMER, 3, "hello").await?;
    scene.outbound(CUSTOMER, "version two", &["sent"]).await?;
    let versions = scene.api.list(&format!("{path}/versions")).await?;
    ensure!(versions.len() == 2, "{versions:?}");
    Ok(())
}

async fn a_disabled_rule_does_nothing(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let made = publish(&scene.api, crate::ECHO_RULE).await?;
    let path = format!("/api/v1/rules/{}", id(&made)?);
    scene.api.patch(&path, json!({"enabled": false})).await?.expect(200)?;
    publish(&scene.api, &rule("Marker", "", "set_priority(\"urgent\");")).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    settled(&scene.api, id(&conversation)?, "the marker ran", |row| row["priority"] == "urgent").await?;
    ensure!(scene.vendor.sent().is_empty(), "{:?}", scene.vendor.sent());
    Ok(())
}

async fn one_failing_rule_does_not_stop_the_others(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    publish(&scene.api, &rule("Endless", "//! position: 1\n", "let n = 0; while true { n += 1; }")).await?;
    let billing = group(&scene.api, "Billing").await?;
    publish(&scene.api, &rule("Router", "//! position: 2\n", "route_to_group(\"Billing\");")).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let path = id(&conversation)?;
    settled(&scene.api, path, "it is with Billing", |row| row["group"] == billing.as_str()).await?;
    let timeline = scene.api.list(&format!("/api/v1/conversations/{path}/timeline")).await?;
    let runs = timeline.iter().filter(|item| item["type"] == "run").map(Value::to_string).collect::<String>();
    ensure!(runs.contains("Endless"), "the failed run is not shown: {timeline:?}");
    ensure!(text_at(&conversation, "/status")? == "open", "{conversation}");
    Ok(())
}
