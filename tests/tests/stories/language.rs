//! The rule language seen from outside: what editors learn, forms that become
//! rules, and loops that are drawn before they are published.

use anyhow::{Context, Result, ensure};
use pointsman_tests::{Backend, Server, each_backend};
use serde_json::json;

use crate::{Scene, group, id, settled};

each_backend!(a_form_becomes_a_rule_that_runs, a_loop_is_drawn_and_the_language_told);

const CUSTOMER: &str = "+34600000005";

async fn a_form_becomes_a_rule_that_runs(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let billing = group(&scene.api, "Billing").await?;
    let form = json!({
        "name": "Refunds by form",
        "on": ["message.received"],
        "when": {"all": [
            {"test": {"fact": "message.text", "is": "contains_any", "value": ["refund"]}},
            {"none": [{"test": {"fact": "conversation.labels", "is": "has", "value": "vip"}}]},
        ]},
        "do": [{"call": "route_to_group", "with": ["Billing"]}, {"call": "set_priority", "with": ["high"]}],
    });
    let written = scene.api.post("/api/v1/rules/form", json!({"form": form})).await?.expect(200)?;
    ensure!(written["problems"] == json!([]), "{written}");
    let source = json!({"source": written["source"]});
    let read = scene.api.post("/api/v1/rules/form/read", source.clone()).await?.expect(200)?;
    ensure!(read["form"] == form, "{read}");
    scene.api.post("/api/v1/rules", source).await?.expect(201)?;
    scene.hear(CUSTOMER, 1, "I want a REFUND").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let with_billing =
        |row: &serde_json::Value| row["group"] == billing.as_str() && row["priority"] == "high";
    settled(&scene.api, id(&conversation)?, "the form's rule ran", with_billing).await?;
    Ok(())
}

async fn a_loop_is_drawn_and_the_language_told(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let api = server.api()?;
    let rule = |name: &str, on: &str, body: &str| json!({"source": format!("//! {name}\n//!\n//! on: {on}\n//! chain: true\n\n{body}\n")});
    api.post("/api/v1/rules", rule("Tag", "conversation.escalated", "add_labels(\"x\");"))
        .await?
        .expect(201)?;
    let closing = rule("Escalate", "conversation.updated", "escalate(1, \"x\");");
    let answer = api.post("/api/v1/rules/check", closing.clone()).await?.expect(200)?;
    let drawn = answer["problems"][0]["message"].as_str().context("no problem")?;
    ensure!(
        drawn.contains("Escalate → conversation.escalated → Tag → conversation.updated → Escalate"),
        "{drawn}"
    );
    let refused = api.post("/api/v1/rules", closing.clone()).await?.problem(422, "rule_loop")?;
    ensure!(
        refused["detail"].as_str().is_some_and(|it| it.contains("Tag → conversation.updated"))
            && refused["loop"].as_str().is_some_and(|it| it.starts_with("Escalate → ")),
        "{refused}"
    );
    let mut forced = closing;
    forced["override_loop"] = true.into();
    let made = api.post("/api/v1/rules", forced).await?.expect(201)?;
    let versions = api.list(&format!("/api/v1/rules/{}/versions", id(&made)?)).await?;
    let said = versions[0]["message"].as_str().context("no message")?;
    ensure!(said.starts_with("accepted the loop Escalate → "), "{said}");
    let language = api.get("/api/v1/rules/vocabulary").await?.expect(200)?;
    let functions = language["functions"].as_array().context("no functions")?;
    ensure!(!functions.is_empty() && language["events"].is_array(), "{language}");
    for function in functions {
        let source = format!(
            "//! Example\n//!\n//! on: message.received\n\nlet x = {};\n",
            function["example"].as_str().unwrap_or("")
        );
        let answer = api.post("/api/v1/rules/check", json!({"source": source})).await?.expect(200)?;
        let problems = answer["problems"].as_array().context("no problems")?;
        // Names in examples need not exist here.
        let broken = problems.iter().find(|it| {
            let code = it["code"].as_str().unwrap_or_default();
            it["severity"] == "error" && !code.starts_with("unknown_")
        });
        ensure!(broken.is_none(), "{}: {broken:?}", function["name"]);
    }
    Ok(())
}
