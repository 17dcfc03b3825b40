//! A channel's life: paused and resumed, broken and mended, taken over by another
//! installation, hidden from agents, and removed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pointsman_tests::twilio::{AUTH_TOKEN, ChannelPlan};
use pointsman_tests::{Api, Backend, Server, Twilio, Vendor, each_backend, eventually};
use serde_json::{Value, json};

use crate::{SOON, Scene, id, messages, publish, settled};

each_backend!(
    a_refused_token_turns_the_channel_red_once_and_its_messages_wait,
    new_credentials_let_go_what_waited,
    a_number_that_was_taken_over_is_found_and_taken_back,
    a_paused_channel_keeps_its_messages_and_a_resumed_one_sends_them,
    a_removed_channel_leaves_readable_conversations,
    a_masked_contact_is_hidden_from_agents,
    health_counts_what_went_through,
);

const CUSTOMER: &str = "+34600000021";

async fn state(scene: &Scene, wanted: &str) -> Result<Value> {
    let path = format!("/api/v1/channels/{}", scene.twilio.channel);
    eventually(&format!("the channel is {wanted}"), SOON, || async {
        let channel = scene.api.get(&path).await?.expect(200)?;
        ensure!(channel["state"] == wanted, "{channel}");
        Ok(Some(channel))
    })
    .await
}

async fn health(scene: &Scene) -> Result<Value> {
    scene.api.get(&format!("/api/v1/channels/{}/health", scene.twilio.channel)).await?.expect(200)
}

async fn act(scene: &Scene, action: &str) -> Result<Value> {
    scene
        .api
        .post(&format!("/api/v1/channels/{}/{action}", scene.twilio.channel), json!({}))
        .await?
        .expect(200)
}

/// How often the channel moved into this state.
async fn moves(scene: &Scene, to: &str) -> Result<usize> {
    let events = scene.api.list("/api/v1/events?type=channel.state_changed").await?;
    Ok(events.iter().filter(|event| event["to"] == to).count())
}

/// What people were told about channels.
async fn told(scene: &Scene) -> Result<usize> {
    let notices = scene.api.list("/api/v1/notifications").await?;
    Ok(notices.iter().filter(|notice| notice["kind"] == "channel").count())
}

/// An admin who can be told something.
async fn with_admin(scene: Scene) -> Result<Scene> {
    let admin = json!({"email": "ada@x.example", "name": "Ada", "role": "admin"});
    scene.api.post("/api/v1/users", admin).await?.expect(201)?;
    Ok(scene)
}

// S98, S103
async fn a_refused_token_turns_the_channel_red_once_and_its_messages_wait(backend: Backend) -> Result<()> {
    let scene = with_admin(Scene::with_echo(Server::start(backend).await?).await?).await?;
    scene.vendor.rotate_token("another token");
    for number in 1..5 {
        scene.hear(&format!("{CUSTOMER}{number}"), number, "hello").await?;
    }
    let red = state(&scene, "failed").await?;
    ensure!(red["state_reason"].as_str().is_some_and(|reason| reason.contains("credentials")), "{red}");
    let waiting = scene.outbound(&format!("{CUSTOMER}1"), "echo hello", &["queued"]).await?;
    eventually("everything waits", SOON, || async {
        let jobs = scene.api.list("/api/v1/jobs").await?;
        ensure!(jobs.len() == 4 && jobs.iter().all(|job| job["state"] == "queued"), "{jobs:?}");
        Ok(Some(()))
    })
    .await?;
    ensure!(scene.api.list("/api/v1/jobs/dead").await?.is_empty(), "nothing is burnt");
    ensure!(moves(&scene, "failed").await? == 1 && told(&scene).await? == 1, "told once");
    let tried = scene.vendor.sent().len();
    // More that comes now waits without a call.
    scene.hear(&format!("{CUSTOMER}5"), 5, "hello").await?;
    scene.outbound(&format!("{CUSTOMER}5"), "echo hello", &["queued"]).await?;
    ensure!(scene.vendor.sent().len() == tried, "a red channel is not tried");
    eventually("the problem is shown with what to do", SOON, || async {
        let health = health(&scene).await?;
        ensure!(health["last_problem"]["class"] == "auth", "{health}");
        ensure!(
            health["last_problem"]["advice"].as_str().is_some_and(|it| it.contains("credentials")),
            "{health}"
        );
        Ok(Some(()))
    })
    .await?;
    let report = act(&scene, "check").await?;
    ensure!(
        report["ok"] == false && told(&scene).await? == 1,
        "still refused, and nobody is told again: {report}"
    );
    // The vendor takes the token again.
    scene.vendor.rotate_token(AUTH_TOKEN);
    ensure!(act(&scene, "check").await?["ok"] == true, "the vendor knows us");
    scene.accepted(5).await?;
    state(&scene, "connected").await?;
    scene.outbound(&format!("{CUSTOMER}1"), "echo hello", &["sent"]).await?;
    let sent = scene.api.get(&format!("/api/v1/messages/{}", id(&waiting)?)).await?.expect(200)?;
    ensure!(
        sent["failure"].is_null() && sent["attempts"].as_array().is_some_and(|it| it.len() >= 2),
        "{sent}"
    );
    ensure!(told(&scene).await? == 1, "restored silently");
    Ok(())
}

async fn new_credentials_let_go_what_waited(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    scene.vendor.rotate_token("another token");
    scene.hear(CUSTOMER, 1, "hello").await?;
    state(&scene, "failed").await?;
    let path = format!("/api/v1/channels/{}", scene.twilio.channel);
    let secrets = json!({"secrets": {"auth_token": "another token"}});
    let changed = scene.api.patch(&path, secrets).await?.expect(200)?;
    ensure!(changed["state"] == "connecting", "{changed}");
    scene.accepted(1).await?;
    state(&scene, "connected").await?;
    Ok(())
}

// S43, S56, S108
async fn a_number_that_was_taken_over_is_found_and_taken_back(backend: Backend) -> Result<()> {
    let scene = with_admin(Scene::quiet(Server::start(backend).await?).await?).await?;
    ensure!(act(&scene, "connect").await?["webhook"]["state"] == "ok", "ours");
    ensure!(
        act(&scene, "check").await?["webhook"]["state"] == "ok",
        "also with the vendor's own wishes in it"
    );
    state(&scene, "connected").await?;
    scene.vendor.point_webhook_to("https://other.example/hooks/their-secret-key");
    for _ in 0..2 {
        let report = act(&scene, "check").await?;
        let webhook = &report["webhook"];
        ensure!(webhook["state"] == "elsewhere" && webhook["host"] == "other.example", "{report}");
        ensure!(
            webhook["advice"].as_str().is_some_and(|it| it.contains("only the last one connected")),
            "{report}"
        );
        ensure!(!report.to_string().contains("their-secret-key"), "{report}");
    }
    let degraded = state(&scene, "degraded").await?;
    ensure!(degraded["state_reason"].as_str().is_some_and(|it| it.contains("other.example")), "{degraded}");
    ensure!(moves(&scene, "degraded").await? == 1 && told(&scene).await? == 1, "told once");
    ensure!(health(&scene).await?["last_check"]["webhook"]["state"] == "elsewhere", "it is remembered");
    act(&scene, "connect").await?;
    state(&scene, "connected").await?;
    ensure!(
        health(&scene).await?["last_check"]["webhook"]["state"] == "ok" && told(&scene).await? == 1,
        "silently"
    );
    // S28
    ensure!(act(&scene, "disconnect").await?["ok"] == true, "the vendor was told");
    state(&scene, "disconnected").await?;
    ensure!(
        scene.vendor.webhook_urls().last().is_some_and(String::is_empty),
        "{:?}",
        scene.vendor.webhook_urls()
    );
    Ok(())
}

// S29, S40
async fn a_paused_channel_keeps_its_messages_and_a_resumed_one_sends_them(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    // The vendor asks to wait, so that something is on its way when the channel is paused.
    scene.vendor.fail_next([pointsman_tests::Fault::RateLimited(3)]);
    scene.hear(CUSTOMER, 1, "hello").await?;
    eventually("a first call", SOON, || async { Ok((!scene.vendor.sent().is_empty()).then_some(())) })
        .await?;
    ensure!(act(&scene, "pause").await?["state"] == "paused", "it is off");
    let form = scene.twilio.inbound(CUSTOMER, &crate::sid(2), "are you there?");
    ensure!(scene.twilio.deliver(&form).await?.status == 503, "the vendor is told to come back");
    let conversation = scene.conversation(CUSTOMER).await?;
    let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    scene.api.post(&path, json!({"text": "by hand"})).await?.problem(422, "channel_inactive")?;
    eventually("the time that the vendor asked for is over", SOON, || async {
        let first = scene.vendor.sent().into_iter().next().context("it was called")?;
        Ok((first.at.elapsed() > Duration::from_secs(4)).then_some(()))
    })
    .await?;
    ensure!(scene.vendor.accepted_count() == 0, "nothing leaves while it is off");
    ensure!(scene.api.list("/api/v1/jobs/dead").await?.is_empty(), "and nothing is given up");
    act(&scene, "resume").await?;
    scene.accepted(1).await?;
    ensure!((200..300).contains(&scene.twilio.deliver(&form).await?.status), "it takes webhooks again");
    scene.accepted(2).await?;
    Ok(())
}

// S28, S40
async fn a_removed_channel_leaves_readable_conversations(backend: Backend) -> Result<()> {
    let scene = Scene::with_echo(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    scene.accepted(1).await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let conversation = id(&conversation)?;
    let path = format!("/api/v1/channels/{}", scene.twilio.channel);
    scene.api.delete(&path).await?.problem(422, "confirmation_required")?;
    scene.api.delete(&format!("{path}?confirm=Sales%20WhatsApp")).await?.expect(204)?;
    let closed = settled(&scene.api, conversation, "it is closed", |it| it["status"] == "closed").await?;
    ensure!(closed["live"] == false, "{closed}");
    let events = scene.api.list(&format!("/api/v1/events?conversation={conversation}")).await?;
    let ended = events.iter().find(|event| event["type"] == "conversation.ended").context("it ended")?;
    ensure!(ended["reason"] == "channel_removed", "{ended}");
    ensure!(messages(&scene.api, conversation).await?.len() >= 2, "it can be read");
    let thread = format!("/api/v1/conversations/{conversation}/messages");
    scene.api.post(&thread, json!({"note": "he moved to the shop"})).await?.expect(201)?;
    scene.api.post(&thread, json!({"text": "hello?"})).await?.problem(422, "channel_removed")?;
    let form = scene.twilio.inbound(CUSTOMER, &crate::sid(2), "again");
    ensure!(scene.twilio.deliver(&form).await?.status == 404, "its address is gone");
    // The same number connects anew and starts afresh.
    let again = Twilio::connect(&scene.server, &scene.vendor).await?;
    ensure!((200..300).contains(&again.deliver(&form).await?.status), "a new channel takes it");
    crate::conversation_of(&scene.api, &again.channel, CUSTOMER).await?;
    Ok(())
}

// S04, S23
async fn a_masked_contact_is_hidden_from_agents(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let vendor = Vendor::start().await?;
    let plan = ChannelPlan { extra: json!({"masked": true}), ..ChannelPlan::default() };
    let twilio = Twilio::connect_as(&server, &vendor, plan).await?;
    let api = server.api()?;
    let scene = Scene { server, vendor, twilio, api };
    publish(&scene.api, "//! Ungroup\n//!\n//! on: conversation.created\n\nset_priority(\"low\");\n").await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    let seen = scene.conversation(CUSTOMER).await?;
    let conversation = id(&seen)?;
    scene
        .api
        .post(&format!("/api/v1/conversations/{conversation}/route"), json!({"group": null}))
        .await?
        .expect(200)?;
    let agent: Api = scene.api.with_key(Some(&scene.server.create_key("agent", "agent").await?));
    let digits = CUSTOMER.trim_start_matches('+');
    for path in [
        format!("/api/v1/conversations/{conversation}"),
        "/api/v1/conversations".to_owned(),
        format!("/api/v1/conversations/{conversation}/messages"),
        format!("/api/v1/conversations/{conversation}/timeline"),
        "/api/v1/events".to_owned(),
    ] {
        let answer = agent.get(&path).await?;
        ensure!(
            answer.status == 200 && !answer.text.contains(digits),
            "{path} shows the number: {}",
            answer.text
        );
    }
    let shown = agent.get(&format!("/api/v1/conversations/{conversation}")).await?.expect(200)?;
    ensure!(shown["contact"]["phone"] == "+34 •••• 0021", "{shown}");
    ensure!(shown["contact"]["address"] == "whatsapp:+34 •••• 0021", "{shown}");
    let path = format!("/api/v1/conversations/{conversation}/messages");
    agent.post(&path, json!({"text": "an answer all the same"})).await?.expect(201)?;
    scene.accepted(1).await?;
    ensure!(scene.vendor.accepted()[0].field("To").ends_with(digits), "it goes to the whole number");
    Ok(())
}

// S10
async fn health_counts_what_went_through(backend: Backend) -> Result<()> {
    let mut scene = Scene::with_echo(Server::start(backend).await?).await?;
    for number in 1..4 {
        scene.hear(CUSTOMER, number, "hello").await?;
    }
    scene.vendor.fail_next([pointsman_tests::Fault::Refused(21211)]);
    scene.hear("+34600000022", 4, "hello").await?;
    let counted = async |scene: &Scene| {
        eventually("all is counted", SOON, || async {
            let health = health(scene).await?;
            let counters = &health["counters"];
            ensure!(
                counters["received"] == 4 && counters["stored"] == 4 && counters["handled"] == 4,
                "{health}"
            );
            ensure!(counters["sent"] == 3 && counters["failed"] == 1, "{health}");
            ensure!(counters["waiting"] == 0 && health["lag_ms"] == 0, "{health}");
            ensure!(health["last_inbound_at"].is_string() && health["last_sent_at"].is_string(), "{health}");
            Ok(Some(health))
        })
        .await
    };
    let health = counted(&scene).await?;
    ensure!(health["last_problem"]["class"] == "invalid_recipient", "{health}");
    ensure!(health["last_problem"]["vendor_code"] == "21211", "{health}");
    // S103: and it survives a restart in good order.
    scene.server.terminate(SOON).await?;
    scene.server.restart().await?;
    scene.api = scene.server.api()?;
    counted(&scene).await?;
    Ok(())
}
