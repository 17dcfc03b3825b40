//! Other programs are told what happens: signed, in order, again after failures
//! and crashes under the same ids, and without waiting for one another.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pointsman_tests::{Api, Backend, Receiver, Server, Setup, each_backend, eventually};
use serde_json::{Value, json};

use crate::{SOON, Scene, id, publish};

each_backend!(
    failures_keep_order_and_ids,
    kill_9_loses_nothing,
    a_slow_receiver_delays_nobody,
    a_receiver_that_is_gone_is_left_alone,
    a_rule_calls_a_webhook_by_name,
);

const ANA: &str = "+34600000051";
const BEN: &str = "+34600000052";
const MESSAGES: u64 = 4;
/// Raised by turns alone, so that the log has them in the order in which they are told.
const TYPES: [&str; 2] = ["conversation.created", "message.received"];

/// An endpoint: its id and its secret.
async fn listen(api: &Api, receiver: &Receiver, name: &str, events: Value) -> Result<(String, String)> {
    let new = json!({"name": name, "url": receiver.url(), "events": events, "allow_private_egress": true});
    let made = api.post("/api/v1/webhooks", new).await?.expect(201)?;
    let secret = made["signing_secret"].as_str().context("no secret")?;
    Ok((id(&made)?.to_owned(), secret.to_owned()))
}

/// Ids of the events of these types in a conversation's log.
async fn logged(api: &Api, conversation: &str) -> Result<Vec<String>> {
    let events = api.list(&format!("/api/v1/events?conversation={conversation}")).await?;
    let wanted = events.iter().filter(|event| TYPES.iter().any(|kind| event["type"] == *kind));
    wanted.map(|event| id(event).map(str::to_owned)).collect()
}

/// Waits until the receiver has taken everything about the customer's conversation, and compares the order.
async fn heard_all(scene: &Scene, receiver: &Receiver, phone: &str) -> Result<()> {
    let conversation = scene.conversation(phone).await?;
    let conversation = id(&conversation)?;
    eventually(&format!("the receiver has heard all of {phone}"), SOON, || async {
        let (told, log) = (receiver.heard_of(conversation), logged(&scene.api, conversation).await?);
        ensure!(log.len() > MESSAGES as usize, "only {} events yet", log.len());
        ensure!(told.len() == log.len(), "{} of {} events", told.len(), log.len());
        ensure!(told == log, "another order: {told:?} instead of {log:?}");
        Ok(Some(()))
    })
    .await
}

async fn failures_keep_order_and_ids(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let receiver = Receiver::start().await?;
    let (webhook, secret) = listen(&scene.api, &receiver, "crm", json!(TYPES)).await?;
    receiver.answer_next([503, 500]);
    scene.hear(ANA, 1, "hello").await?;
    eventually("it has failed twice", SOON, || async { Ok((receiver.calls().len() == 2).then_some(())) })
        .await?;
    for number in 1..MESSAGES {
        scene.hear(ANA, 10 * number, "more").await?;
    }
    for number in 0..MESSAGES {
        scene.hear(BEN, 10 * number + 2, "hello").await?;
    }
    heard_all(&scene, &receiver, BEN).await?;
    let ana = scene.conversation(ANA).await?;
    ensure!(receiver.heard_of(id(&ana)?).is_empty(), "what comes later has overtaken what failed");
    scene.server.advance(Duration::from_secs(6 * 60))?;
    heard_all(&scene, &receiver, ANA).await?;
    receiver.check_signatures(&secret)?;
    let (calls, accepted) = (receiver.calls(), receiver.accepted());
    ensure!(calls.len() == accepted.len() + 2, "{} calls, {} accepted", calls.len(), accepted.len());
    for failed in calls.iter().filter(|call| call.status >= 500) {
        ensure!(
            accepted.iter().any(|call| call.id == failed.id && call.text == failed.text),
            "{}",
            failed.id
        );
    }
    let path = format!("/api/v1/webhooks/{webhook}/deliveries?state=delivered");
    let log = eventually("everything is in the log", SOON, || async {
        let log = scene.api.list(&path).await?;
        Ok((log.len() == accepted.len()).then_some(log))
    })
    .await?;
    let again = log.iter().find(|it| it["attempts"] == 3).context("nothing was tried three times")?;
    let detail = scene.api.get(&format!("/api/v1/webhooks/deliveries/{}", id(again)?)).await?.expect(200)?;
    ensure!(detail["calls"][1]["problem"].is_string() && detail["calls"][2]["problem"].is_null(), "{detail}");
    let metrics = scene.api.get("/metrics").await?.text;
    ensure!(metrics.contains("pointsman_webhook_calls_total{outcome=\"delivered\"}"), "{metrics}");
    Ok(())
}

async fn kill_9_loses_nothing(backend: Backend) -> Result<()> {
    let setup = Setup::new(backend)?.env("POINTSMAN_WORKER__LEASE_MS", "2000");
    let mut scene = Scene::quiet(setup.start().await?).await?;
    let receiver = Receiver::start().await?;
    let (_, secret) = listen(&scene.api, &receiver, "crm", json!(TYPES)).await?;
    receiver.slow_down(Duration::from_millis(150));
    for number in 0..MESSAGES {
        scene.hear(ANA, 2 * number, "hello").await?;
        scene.hear(BEN, 2 * number + 1, "hello").await?;
    }
    eventually("some calls are under way", SOON, || async {
        Ok((receiver.calls().len() >= 3).then_some(()))
    })
    .await?;
    scene.server.kill().await?;
    scene.server.restart().await?;
    heard_all(&scene, &receiver, ANA).await?;
    heard_all(&scene, &receiver, BEN).await?;
    receiver.check_signatures(&secret)
}

async fn a_slow_receiver_delays_nobody(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let (slow, fast) = (Receiver::start().await?, Receiver::start().await?);
    slow.slow_down(Duration::from_secs(600));
    listen(&scene.api, &slow, "slow", json!(["*"])).await?;
    listen(&scene.api, &fast, "fast", json!(TYPES)).await?;
    for customer in 0..30_u64 {
        scene.hear(&format!("+3460000{customer:04}"), customer, "hello").await?;
    }
    eventually("the fast one has heard all", SOON, || async {
        let heard = fast.accepted().len();
        ensure!(heard >= 60, "only {heard}");
        Ok(Some(()))
    })
    .await?;
    ensure!(slow.accepted().is_empty(), "the slow one has answered");
    Ok(())
}

async fn a_receiver_that_is_gone_is_left_alone(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let receiver = Receiver::start().await?;
    let made = json!({"email": "ana@shop.example", "name": "Ana", "role": "admin"});
    scene.api.post("/api/v1/users", made).await?.expect(201)?;
    let (webhook, _) = listen(&scene.api, &receiver, "crm", json!(TYPES)).await?;
    receiver.answer_next([410]);
    scene.hear(ANA, 1, "hello").await?;
    let path = format!("/api/v1/webhooks/{webhook}");
    let off = eventually("it is switched off", SOON, || async {
        let row = scene.api.get(&path).await?.expect(200)?;
        Ok((row["active"] == false).then_some(row))
    })
    .await?;
    ensure!(off["off_reason"].as_str().is_some_and(|text| text.contains("410")), "{off}");
    let told = scene.api.get("/api/v1/notifications").await?.expect(200)?;
    ensure!(
        told["items"].as_array().is_some_and(|all| all.iter().any(|it| it["kind"] == "webhook")),
        "{told}"
    );
    let audit = scene.api.get(&format!("/api/v1/audit?target={webhook}&actor=system")).await?.expect(200)?;
    ensure!(audit["items"][0]["after"]["active"] == false, "{audit}");
    // It is back: what it missed is told once more.
    scene.api.patch(&path, json!({"active": true})).await?.expect(200)?;
    let replay = json!({"since": "2020-01-01T00:00:00Z"});
    scene.api.post(&format!("{path}/replay"), replay).await?.expect(200)?;
    let conversation = scene.conversation(ANA).await?;
    let conversation = id(&conversation)?;
    eventually("it hears what it missed", SOON, || async {
        let (told, log) = (receiver.heard_of(conversation), logged(&scene.api, conversation).await?);
        Ok((!log.is_empty() && told == log).then_some(()))
    })
    .await
}

async fn a_rule_calls_a_webhook_by_name(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let receiver = Receiver::start().await?;
    let rule = "//! Tell the CRM\n//!\n//! on: message.received\n\n\
        call_webhook(\"crm\", #{ said: message.text, who: contact.name });\n";
    let body = json!({"source": rule, "publish": true, "enabled": true});
    let refused = scene.api.post("/api/v1/rules", body).await?;
    ensure!(refused.status == 422 && refused.text.contains("crm"), "{} {}", refused.status, refused.text);
    let (webhook, secret) = listen(&scene.api, &receiver, "crm", json!([])).await?;
    publish(&scene.api, rule).await?;
    scene.hear(ANA, 1, "order 7").await?;
    let call =
        eventually("the rule's call arrives", SOON, || async { Ok(receiver.accepted().into_iter().next()) })
            .await?;
    ensure!(call.body["type"] == "webhook.called", "{}", call.text);
    ensure!(call.body.pointer("/data/payload/said").is_some_and(|said| said == "order 7"), "{}", call.text);
    let conversation = scene.conversation(ANA).await?;
    ensure!(call.conversation() == id(&conversation)?, "{}", call.text);
    receiver.check_signatures(&secret)?;
    let tested = scene.api.post(&format!("/api/v1/webhooks/{webhook}/test"), json!({})).await?.expect(200)?;
    ensure!(tested["status"] == 204 && tested["problem"].is_null(), "{tested}");
    // Two secrets sign while one is being changed.
    let path = format!("/api/v1/webhooks/{webhook}/rotate");
    let rotated = scene.api.post(&path, json!({})).await?.expect(200)?;
    let new = rotated["signing_secret"].as_str().context("no secret")?;
    scene.api.post(&format!("/api/v1/webhooks/{webhook}/test"), json!({})).await?.expect(200)?;
    let last = receiver.calls().pop().context("no call")?;
    ensure!(last.is_signed_with(new) && last.is_signed_with(&secret), "{}", last.signature);
    Ok(())
}
