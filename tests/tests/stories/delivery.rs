//! Messages out: what leaves, what comes back about it, and what must not leave.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pointsman_tests::api::text_at;
use pointsman_tests::server::PUBLIC_URL;
use pointsman_tests::twilio::{NUMBER, status_form};
use pointsman_tests::{Backend, Callbacks, Dice, Server, each_backend, eventually};
use serde_json::json;

use crate::{Scene, id};

each_backend!(
    a_rule_answer_leaves_as_twilio_expects,
    delivery_moves_forward_only_whatever_the_order,
    a_failed_delivery_is_shown_with_its_class,
    free_text_to_a_stranger_is_refused_here,
    a_receive_only_channel_sends_nothing,
    a_channel_sends_no_faster_than_it_may,
    a_text_above_the_limit_is_refused_with_the_limit,
    a_template_leaves_with_every_hole_in_its_place_or_not_at_all,
);

const CUSTOMER: &str = "+34600000002";

// S01, S19
async fn a_rule_answer_leaves_as_twilio_expects(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "¡Olé! a&b=c+d").await?;
    scene.accepted(1).await?;
    let sent = scene.vendor.accepted().into_iter().next().context("one was accepted")?;
    ensure!(sent.field("To") == scene.twilio.address(CUSTOMER), "{sent:?}");
    ensure!(sent.field("From") == scene.twilio.address(NUMBER), "{sent:?}");
    ensure!(sent.field("Body") == "echo ¡Olé! a&b=c+d", "{sent:?}");
    let callback = sent.field("StatusCallback");
    ensure!(callback.starts_with(&format!("{PUBLIC_URL}/hooks/")), "{callback}");
    let row = scene.outbound(CUSTOMER, "echo ¡Olé! a&b=c+d", &["sent"]).await?;
    let effect = text_at(&row, "/effect")?;
    ensure!(callback.contains(effect), "{callback} does not name the effect {effect}");
    ensure!(scene.vendor.complaints().is_empty(), "{:?}", scene.vendor.complaints());
    Ok(())
}

// S65, S66
async fn delivery_moves_forward_only_whatever_the_order(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "one").await?;
    scene.accepted(1).await?;
    let sent = scene.vendor.accepted().into_iter().next().context("one was accepted")?;
    let (sid, to) = (sent.sid.clone().context("accepted")?, sent.field("To").to_owned());
    for (status, shown) in
        [("delivered", "delivered"), ("sent", "delivered"), ("read", "read"), ("delivered", "read")]
    {
        let answer = scene
            .twilio
            .callback(sent.field("StatusCallback"), &status_form(&sid, &to, status, None))
            .await?;
        ensure!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text);
        scene.outbound(CUSTOMER, "echo one", &[shown]).await?;
    }
    // And many at once, shuffled and doubled.
    scene.vendor.call_back(Callbacks::Shuffled(Dice::from_environment("delivery").bits()));
    for number in 2..8 {
        scene.hear(CUSTOMER, number, &format!("number {number}")).await?;
    }
    for number in 2..8 {
        scene.outbound(CUSTOMER, &format!("echo number {number}"), &["read"]).await?;
    }
    let events = scene.api.list("/api/v1/events?type=message.status_changed").await?;
    let rank =
        |name: &str| ["queued", "sending", "sent", "delivered", "read"].iter().position(|s| *s == name);
    for event in &events {
        let (from, to) = (text_at(event, "/from")?, text_at(event, "/to")?);
        ensure!(rank(from) < rank(to), "backwards: {event}");
    }
    ensure!(!events.is_empty(), "no event tells of the progress");
    Ok(())
}

// S70
async fn a_failed_delivery_is_shown_with_its_class(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "one").await?;
    scene.accepted(1).await?;
    let sent = scene.vendor.accepted().into_iter().next().context("one was accepted")?;
    let sid = sent.sid.clone().context("accepted")?;
    let form = status_form(&sid, sent.field("To"), "undelivered", Some(63016));
    scene.twilio.callback(sent.field("StatusCallback"), &form).await?;
    let row = scene.outbound(CUSTOMER, "echo one", &["failed"]).await?;
    ensure!(row["failure"]["class"] == "window_closed", "{row}");
    ensure!(row["failure"].to_string().contains("63016"), "the vendor's own code is lost: {row}");
    Ok(())
}

// S71
async fn free_text_to_a_stranger_is_refused_here(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let body = json!({"channel": scene.twilio.channel, "to": CUSTOMER, "text": "Hello stranger"});
    let problem = scene.api.post("/api/v1/messages", body).await?.problem(422, "template_required")?;
    let message = text_at(&problem, "/message")?;
    let row = scene.api.get(&format!("/api/v1/messages/{message}")).await?.expect(200)?;
    ensure!(row["status"] == "failed" && row["failure"]["class"] == "template_required", "{row}");
    ensure!(scene.vendor.sent().is_empty(), "it reached the vendor");
    Ok(())
}

// S05, S30
async fn a_receive_only_channel_sends_nothing(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    let path = format!("/api/v1/channels/{}", scene.twilio.channel);
    scene.api.patch(&path, json!({"receive_only": true})).await?.expect(200)?;
    scene.hear(CUSTOMER, 1, "one").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    scene.api.post(&path, json!({"text": "by hand"})).await?.problem(422, "receive_only")?;
    ensure!(scene.vendor.sent().is_empty(), "it reached the vendor");
    Ok(())
}

async fn a_channel_sends_no_faster_than_it_may(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    let path = format!("/api/v1/channels/{}", scene.twilio.channel);
    let wrong =
        scene.api.patch(&path, json!({"messages_per_second": 10_001})).await?.problem(422, "invalid")?;
    ensure!(wrong["errors"][0]["pointer"] == "/messages_per_second", "{wrong}");
    let slow = scene.api.patch(&path, json!({"messages_per_second": 1})).await?.expect(200)?;
    ensure!(slow["messages_per_second"] == 1, "{slow}");
    for number in 1..4 {
        scene.hear(&format!("{CUSTOMER}{number}"), number, "hello").await?;
    }
    scene.accepted(3).await?;
    let sent = scene.vendor.sent();
    // Two seconds lie between the first and the third; the way to the vendor may take a part of them.
    ensure!(sent[2].at - sent[0].at >= Duration::from_millis(1_500), "{sent:?}");
    Ok(())
}

// S59
async fn a_text_above_the_limit_is_refused_with_the_limit(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "one").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    // The limit counts characters, so these are 1,600 characters in 3,200 bytes, then one more.
    scene.api.post(&path, json!({"text": "ñ".repeat(1600)})).await?.expect(201)?;
    scene.accepted(1).await?;
    let problem =
        scene.api.post(&path, json!({"text": "ñ".repeat(1601)})).await?.problem(422, "content_too_long")?;
    ensure!(text_at(&problem, "/detail")?.replace(',', "").contains("1600"), "{problem}");
    ensure!(scene.vendor.complaints().is_empty(), "{:?}", scene.vendor.complaints());
    Ok(())
}

// S46, S74, S75, S77, S78, S79, S80, S81, S99, S105
async fn a_template_leaves_with_every_hole_in_its_place_or_not_at_all(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    let channel = &scene.twilio.channel;
    let refresh = format!("/api/v1/channels/{channel}/templates/refresh");
    let listed = scene.api.post(&refresh, json!({})).await?.expect(200)?;
    ensure!(listed.to_string().contains("header.2"), "{listed}");
    let template = |name: &str, slots: serde_json::Value| json!({"channel": channel, "to": CUSTOMER, "template": {"name": name, "language": "en", "slots": slots}});
    for (name, slots, says) in [
        ("invoice", json!({"1": "Ana"}), "[1, header.2]"),
        ("invoice", json!({"1": "Ana", "header.2": "881", "3": "x"}), "[1, header.2]"),
        ("old_offer", json!({"1": "Ana"}), "rejected"),
        ("nothing", json!({}), "refresh"),
    ] {
        let sent = scene.api.post("/api/v1/messages", template(name, slots)).await?.expect(201)?;
        let path = format!("/api/v1/messages/{}", id(&sent)?);
        eventually(&format!("{name} fails"), crate::SOON, || async {
            let row = scene.api.get(&path).await?.expect(200)?;
            ensure!(row["status"] == "failed" && row["failure"]["class"] == "template", "{row}");
            ensure!(row["failure"]["message"].as_str().is_some_and(|text| text.contains(says)), "{row}");
            Ok(Some(()))
        })
        .await?;
    }
    let good = template("invoice", json!({"1": "Ana", "header.2": "881"}));
    let written = scene.api.post("/api/v1/messages", good).await?.expect(201)?;
    scene.accepted(1).await?;
    let shown = scene.api.get(&format!("/api/v1/messages/{}", id(&written)?)).await?.expect(200)?;
    ensure!(
        shown["content"]["text"] == "Hello Ana, here it is.",
        "the thread shows what the contact reads: {shown}"
    );
    let sent = scene.vendor.sent();
    ensure!(sent.len() == 1, "what cannot leave is not tried: {sent:?}");
    ensure!(sent[0].field("ContentSid") == format!("HX{:032x}", 3), "{sent:?}");
    let variables: serde_json::Value = serde_json::from_str(sent[0].field("ContentVariables"))?;
    ensure!(variables == json!({"1": "Ana", "2": "881"}), "{variables}");
    Ok(())
}
