//! What assistants may cost: caps hold also when many ask at once, and what was
//! asked is counted.

use anyhow::{Result, ensure};
use pointsman_tests::{Backend, each_backend, eventually};
use reqwest::Method;
use serde_json::json;

use crate::assistants::{CUSTOMER, Desk, OTHER, SILENCE, quick};
use crate::{SOON, id};

each_backend!(
    a_used_up_budget_goes_to_people,
    many_at_once_stay_under_a_cap,
    what_a_model_was_asked_is_counted_when_nobody_waits_any_more,
);

/// More than one call may use: the plugin's words, a short thread, the longest answer.
const ONE_CALL: i64 = 1_600;

async fn a_used_up_budget_goes_to_people(backend: Backend) -> Result<()> {
    let mut limits = quick();
    limits["tokens_per_day_max"] = json!(ONE_CALL);
    let desk = Desk::start(backend, limits).await?;
    let first = desk.begin(CUSTOMER, "Hello").await?;
    desk.asked(1).await?;
    desk.scene.outbound(CUSTOMER, "answer 1", &["sent", "delivered"]).await?;
    let second = desk.begin(OTHER, "Hello").await?;
    desk.scene.server.advance(SILENCE)?;
    let reason = desk.handed_over(&second).await?;
    ensure!(reason.contains("too little is left: tokens"), "{reason}");
    ensure!(desk.model.asked().len() == 1 && desk.said(&first).await?.len() == 1);
    Ok(())
}

async fn many_at_once_stay_under_a_cap(backend: Backend) -> Result<()> {
    const AT_ONCE: usize = 8;
    let mut limits = quick();
    limits["tokens_per_day_max"] = json!(2 * ONE_CALL);
    limits["input_price_micros"] = json!(2_000_000);
    limits["output_price_micros"] = json!(2_000_000);
    let desk = Desk::start(backend, limits).await?;
    let settings = json!({"settings": {"currency": "EUR"}});
    desk.scene.api.call(Method::PATCH, "/api/v1/tenant", Some(&settings), &[]).await?.expect(200)?;
    desk.model.hold();
    let mut conversations = Vec::new();
    for number in 0..AT_ONCE {
        conversations.push(desk.begin(&format!("+346000001{number:02}"), "Hello").await?);
    }
    desk.asked(2).await?;
    desk.are_with_people(AT_ONCE - 2).await?;
    ensure!(desk.model.asked().len() == 2, "as many as fit under the cap, however slow the model is");
    desk.model.go_on();
    let mut sent = 0;
    for conversation in &conversations {
        let ran = desk.events(conversation, "ai.ran", 1).await?;
        match ran[0]["outcome"].as_str() {
            Some("sent") => sent += 1,
            _ => ensure!(ran[0].to_string().contains("too little is left"), "{ran:?}"),
        }
    }
    ensure!(sent == 2, "{sent}");
    // What they may have used and did not is free again.
    let late = desk.begin(CUSTOMER, "Hello").await?;
    desk.asked(3).await?;
    desk.events(&late, "ai.ran", 1).await?;
    let usage = desk.scene.api.get("/api/v1/assistants/usage").await?.expect(200)?;
    let line = &usage["items"][0];
    ensure!(line["runs"] == 3 && line["input_tokens"] == 3 * 420, "{usage}");
    ensure!(line["cost_micros"] == 3 * 902 && line["currency"] == "EUR", "{usage}");
    Ok(())
}

async fn what_a_model_was_asked_is_counted_when_nobody_waits_any_more(backend: Backend) -> Result<()> {
    let desk = Desk::start(backend, quick()).await?;
    let api = &desk.scene.api;
    desk.scene.hear(CUSTOMER, 1, "Where is my red bicycle?").await?;
    let conversation = desk.scene.conversation(CUSTOMER).await?;
    desk.model.hold();
    let path = format!("/api/v1/conversations/{}/insights", id(&conversation)?);
    // Whoever asked leaves as soon as the model thinks.
    tokio::select! {
        answer = api.post(&path, json!({})) => anyhow::bail!("the model has not answered: {:?}", answer?.text),
        asked = eventually("the model is asked", SOON, || async {
            Ok((!desk.model.asked().is_empty()).then_some(()))
        }) => asked?,
    }
    desk.model.go_on();
    let ran = desk.events(id(&conversation)?, "ai.ran", 1).await?;
    ensure!(ran[0]["outcome"] == "given", "what it said is kept: {ran:?}");
    let usage = api.get("/api/v1/assistants/usage").await?.expect(200)?;
    ensure!(usage["items"][0]["runs"] == 1 && usage["items"][0]["input_tokens"] == 420, "{usage}");
    Ok(())
}
