//! Webhooks in: who is believed, what is kept, what the vendor is answered.

use anyhow::{Result, ensure};
use pointsman_tests::twilio::{AUTH_TOKEN, encode, signature};
use pointsman_tests::{Api, Backend, Server, each_backend, eventually};
use serde_json::Value;

use crate::{SOON, Scene, id, sid};

each_backend!(
    a_signed_message_is_stored_and_answered_as_twilio_expects,
    a_forged_webhook_is_refused_counted_and_not_stored,
    an_unknown_hook_key_is_not_found,
    an_oversized_webhook_is_refused,
    a_malformed_webhook_is_refused_without_a_trace,
    an_authentic_webhook_nobody_can_read_is_quarantined_and_listed,
    a_repeated_webhook_is_one_message,
    an_inactive_channel_does_not_lose_messages,
);

const CUSTOMER: &str = "+34600000001";

/// Bytes just above the limit of vendor webhooks, 4 MiB.
const OVERSIZE_BYTES: usize = 4 * 1024 * 1024 + 1;

async fn raw_webhooks(api: &Api, outcome: &str) -> Result<Vec<Value>> {
    let rows = api.list("/api/v1/raw-webhooks").await?;
    Ok(rows.into_iter().filter(|row| row["outcome"] == outcome).collect())
}

// S50
async fn a_signed_message_is_stored_and_answered_as_twilio_expects(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let form = scene.twilio.inbound(CUSTOMER, &sid(1), "Hola, ¿tienen citas? 🙏");
    let answer = scene.twilio.deliver(&form).await?;
    // Twilio reads a body only as TwiML; anything else must be empty, or it would be sent as a text.
    let media = pointsman_tests::api::header(&answer.headers, "content-type").unwrap_or_default();
    let is_twiml = media.starts_with("text/xml") && answer.text.contains("<Response");
    ensure!(matches!(answer.status, 200 | 204), "{}", answer.status);
    ensure!(answer.text.is_empty() || is_twiml, "{media}: {}", answer.text);
    let conversation = scene.conversation(CUSTOMER).await?;
    ensure!(conversation["live"] == true && conversation["status"] == "open", "{conversation}");
    ensure!(conversation["window"]["is_open"] == true, "{conversation}");
    ensure!(conversation["preview"] == "Hola, ¿tienen citas? 🙏", "{conversation}");
    let support = crate::group(&scene.api, "Support").await?;
    ensure!(conversation["group"] == support.as_str(), "{conversation}");
    Ok(())
}

async fn a_forged_webhook_is_refused_counted_and_not_stored(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let form = scene.twilio.inbound(CUSTOMER, &sid(1), "pay me");
    let body = encode(&form).into_bytes();
    let wrong_key = signature("another token", &scene.twilio.webhook_url, &form);
    let other_url = signature(AUTH_TOKEN, "https://elsewhere.example/hooks/1", &form);
    let mut other_body = form.clone();
    other_body.push(("Body".to_owned(), "x".to_owned()));
    let other_body = signature(AUTH_TOKEN, &scene.twilio.webhook_url, &other_body);
    for signed in [None, Some(""), Some(wrong_key.as_str()), Some(&other_url), Some(&other_body)] {
        let answer = scene.twilio.deliver_raw(body.clone(), signed).await?;
        ensure!(answer.status == 401, "{signed:?}: {} {}", answer.status, answer.text);
    }
    eventually("five refused webhooks are counted", SOON, || async {
        let metrics = scene.server.metrics().await?;
        let count = metrics.sum_where("pointsman_webhooks_total", "outcome=\"forged\"");
        ensure!(count == Some(5.0), "{count:?}");
        Ok(Some(()))
    })
    .await?;
    // A true one afterwards proves that the forged ones are not merely late.
    scene.hear(CUSTOMER, 2, "I am real").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    let rows = scene.api.list(&path).await?;
    ensure!(!serde_json::to_string(&rows)?.contains("pay me"), "a forged message was kept: {rows:?}");
    Ok(())
}

async fn an_unknown_hook_key_is_not_found(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    for key in ["nobody", "0", "%00", "..%2f..%2fhealthz"] {
        let answer = scene.api.with_key(None).post(&format!("/hooks/{key}"), Value::Null).await?;
        ensure!(answer.status == 404, "{key}: {} {}", answer.status, answer.text);
    }
    Ok(())
}

async fn an_oversized_webhook_is_refused(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    // The server may answer and close before it has read everything; both ends are a refusal.
    if let Ok(answer) = scene.twilio.deliver_raw(vec![b'a'; OVERSIZE_BYTES], Some("x")).await {
        ensure!(answer.status == 413, "{} {}", answer.status, answer.text);
    }
    scene.hear(CUSTOMER, 1, "still there").await?;
    scene.conversation(CUSTOMER).await?;
    ensure!(raw_webhooks(&scene.api, "quarantined").await?.is_empty());
    Ok(())
}

async fn a_malformed_webhook_is_refused_without_a_trace(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let before = scene.api.list("/api/v1/raw-webhooks").await?.len();
    // Not UTF-8 after decoding: no form, so nothing a signature could have been made over.
    let answer = scene.twilio.deliver_raw(b"Body=%ff%fe&From=%c3".to_vec(), Some("AAAA")).await?;
    ensure!(answer.status == 400, "{} {}", answer.status, answer.text);
    ensure!(scene.api.list("/api/v1/raw-webhooks").await?.len() == before, "it was stored");
    Ok(())
}

async fn an_authentic_webhook_nobody_can_read_is_quarantined_and_listed(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    // Truly signed, but neither a message nor a status: no MessageSid at all.
    let form = vec![("AccountSid".to_owned(), pointsman_tests::twilio::ACCOUNT_SID.to_owned())];
    let answer = scene.twilio.deliver(&form).await?;
    ensure!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text);
    let row = eventually("it is listed", SOON, || async {
        Ok(raw_webhooks(&scene.api, "quarantined").await?.into_iter().next())
    })
    .await?;
    ensure!(row["channel"] == scene.twilio.channel.as_str(), "{row}");
    // The plugin is not mended, so a replay says so and leaves the webhook in quarantine.
    let path = format!("/api/v1/raw-webhooks/{}/replay", id(&row)?);
    scene.api.post(&path, serde_json::json!({})).await?.problem(422, "still_unreadable")?;
    ensure!(raw_webhooks(&scene.api, "quarantined").await?.len() == 1, "a replay multiplies");
    Ok(())
}

async fn a_repeated_webhook_is_one_message(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    let form = scene.twilio.inbound(CUSTOMER, &sid(1), "only once");
    // At the same time, then later again: vendors do both.
    let together = (0..8).map(|_| scene.twilio.deliver(&form));
    for answer in futures_util::future::join_all(together).await {
        let answer = answer?;
        ensure!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text);
    }
    scene.accepted(1).await?;
    scene.twilio.deliver(&form).await?;
    scene.hear(CUSTOMER, 2, "last").await?;
    scene.accepted(2).await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let rows = scene.api.list(&format!("/api/v1/conversations/{}/messages", id(&conversation)?)).await?;
    let inbound = rows.iter().filter(|row| row["direction"] == "inbound").count();
    ensure!(inbound == 2, "{inbound} inbound messages: {rows:?}");
    ensure!(scene.vendor.accepted_count() == 2, "the rule answered a duplicate");
    Ok(())
}

async fn an_inactive_channel_does_not_lose_messages(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let path = format!("/api/v1/channels/{}", scene.twilio.channel);
    scene.api.patch(&path, serde_json::json!({"active": false})).await?.expect(200)?;
    let form = scene.twilio.inbound(CUSTOMER, &sid(1), "are you there?");
    let answer = scene.twilio.deliver(&form).await?;
    // Either it takes the message, or it refuses so that the vendor keeps it; a 2xx must mean "kept".
    if (200..300).contains(&answer.status) {
        scene.conversation(CUSTOMER).await?;
    }
    Ok(())
}
