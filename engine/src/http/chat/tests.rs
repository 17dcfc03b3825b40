//! The chat's addresses over the whole router; what the plugin does with a
//! message is shown by the stories, which run the real one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt as _;
use pointsman_rules::case::given::usual_capabilities;
use pointsman_rules::facts::ChannelFacts;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::visitor::VISITOR_HEADER;
use crate::bus::News;
use crate::crypto::Secret;
use crate::flow::catalog::{Channel, Reopen};
use crate::http::testing::{Answer, NOW_MS, Stage};
use crate::store::views_fixture as rows;

const KEY: &str = "hook-key_1";

/// A stage with a switched-on webchat channel.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    add_channel(&stage, KEY, "webchat", true);
    stage
}

fn add_channel(stage: &Stage, key: &str, kind: &str, active: bool) {
    let secrets = BTreeMap::from([("visitor_key".to_owned(), Secret::new("s3cret"))]);
    let channel = Channel {
        tenant: stage.tenant,
        facts: Arc::new(ChannelFacts {
            id: rows::channel(1),
            name: "Shop & Co".into(),
            kind: kind.into(),
            provider: kind.into(),
            language: Some("en".into()),
            default_group: None,
            assigned_agent: None,
            receive_only: false,
            capabilities: usual_capabilities(kind),
        }),
        address: String::new(),
        settings: r#"{"greeting":"Hi <there>"}"#.into(),
        secrets: Arc::new(secrets),
        hook_key: key.into(),
        active,
        allow_private_egress: false,
        idle_end_ms: 0,
        reopen: Reopen::Reopen,
        state: "connected".into(),
        is_removed: false,
    };
    stage.api.flow.catalog.stage(channel, NOW_MS);
}

async fn session(stage: &Stage) -> (String, String) {
    let json = stage.send("POST", &format!("/chat/{KEY}/session"), &[], None).await.expect(201);
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    (text("visitor"), text("token"))
}

async fn write(stage: &Stage, token: &str, body: Value) -> Answer {
    stage.send("POST", &format!("/chat/{KEY}/messages"), &[(VISITOR_HEADER, token)], Some(body)).await
}

#[tokio::test]
async fn the_page_may_be_framed_and_loads_nothing_from_elsewhere() {
    let stage = stage().await;
    let page = stage.send("GET", &format!("/chat/{KEY}"), &[], None).await;
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("frame-ancestors *") && policy.contains("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(page.text.contains("Shop &amp; Co") && page.text.contains("Hi &lt;there&gt;"), "{}", page.text);
    let script = page.text.split("src=\"").nth(1).unwrap().split('"').next().unwrap();
    let script = stage.send("GET", &format!("/chat/{script}"), &[], None).await;
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert!(script.header("cache-control").contains("immutable"));
    let embed = stage.send("GET", &format!("/chat/{KEY}/embed.js"), &[], None).await;
    assert!(embed.text.contains("pointsman-chat"));
}

#[tokio::test]
async fn only_a_switched_on_chat_has_an_address() {
    let stage = stage().await;
    add_channel(&stage, "sleeping", "webchat", false);
    add_channel(&stage, "phone", "sms", true);
    for key in ["sleeping", "phone", "nobody", "%00", "..%2fhealthz"] {
        for (method, path) in [("GET", ""), ("GET", "/embed.js"), ("POST", "/session"), ("GET", "/stream")] {
            let answer = stage.send(method, &format!("/chat/{key}{path}"), &[], None).await;
            answer.problem(404, "unknown_chat");
        }
    }
}

#[tokio::test]
async fn a_token_is_for_one_visitor_of_one_channel() {
    let stage = stage().await;
    let (visitor, token) = session(&stage).await;
    let (other, other_token) = session(&stage).await;
    assert_ne!(visitor, other);
    assert_eq!(token, format!("{visitor}.{}", crate::crypto::hmac_sha256_hex(b"s3cret", visitor.as_bytes())));
    let path = format!("/chat/{KEY}/messages");
    let history = stage.send("GET", &path, &[(VISITOR_HEADER, &token)], None).await.expect(200);
    assert_eq!(history, json!({"items": [], "more": false}));
    let signature = other_token.rsplit_once('.').unwrap().1;
    for forged in [format!("{visitor}.{signature}"), format!("{visitor}.00"), visitor, String::new()] {
        stage.send("GET", &path, &[(VISITOR_HEADER, &forged)], None).await.problem(401, "unauthorized");
        write(&stage, &forged, json!({"id": "m1", "text": "a"})).await.problem(401, "unauthorized");
        let stream = format!("/chat/{KEY}/stream?token={forged}");
        stage.send("GET", &stream, &[], None).await.problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn mistakes_and_floods_are_refused_before_the_plugin() {
    let stage = stage().await;
    let (_, token) = session(&stage).await;
    let problem = write(&stage, &token, json!({"id": "m1", "txt": "a"})).await.problem(422, "invalid");
    assert!(problem["detail"].as_str().unwrap().contains("text"), "{problem}");
    write(&stage, &token, json!({"id": "m1", "text": "x".repeat(4_097)})).await.problem(422, "invalid");
    for _ in 0..18 {
        write(&stage, &token, json!({"id": "m1"})).await.problem(422, "invalid");
    }
    let answer = write(&stage, &token, json!({"id": "m1"})).await;
    assert_eq!(answer.header("retry-after"), "2");
    answer.problem(429, "rate_limited");
    let (_, fresh) = session(&stage).await;
    write(&stage, &fresh, json!({"id": "m1"})).await.problem(422, "invalid");
}

#[tokio::test]
async fn a_visitor_sees_the_conversation_without_what_is_internal() {
    let stage = stage().await;
    let db = &stage.api.flow.db;
    rows::Thread::new(1).add(db).await;
    rows::add_message(db, 1, (1, 10), ("inbound", "contact", None), None).await;
    rows::add_message(db, 1, (2, 20), ("outbound", "rule", Some(rows::rule(1).to_string())), Some("sent"))
        .await;
    rows::add_message(db, 1, (3, 30), ("internal", "agent", None), None).await;
    let token = format!("v_1.{}", crate::crypto::hmac_sha256_hex(b"s3cret", b"v_1"));
    let path = format!("/chat/{KEY}/messages");
    let history = stage.send("GET", &path, &[(VISITOR_HEADER, &token)], None).await.expect(200);
    let items = history["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{history}");
    assert_eq!((&items[0]["client_id"], &items[0]["from"]["kind"]), (&json!("1"), &json!("visitor")));
    assert_eq!(items[1]["from"], json!({"kind": "automatic"}));
    assert!(!history.to_string().contains("rul_") && !history.to_string().contains("eff_"), "{history}");
    let after = format!("{path}?after={}", rows::message(10));
    let rest = stage.send("GET", &after, &[(VISITOR_HEADER, &token)], None).await.expect(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    stage
        .send("GET", &format!("{path}?after=x"), &[(VISITOR_HEADER, &token)], None)
        .await
        .problem(400, "bad_query");
}

/// Opens a stream, does something meanwhile, and reads what came until nothing comes any more.
async fn listen(stage: &Stage, path: &str, last: Option<&str>, meanwhile: impl AsyncFnOnce()) -> String {
    let mut request = Request::builder().uri(path);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let router = crate::http::router(stage.api.clone());
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body().into_data_stream();
    meanwhile().await;
    let mut text = String::new();
    while let Ok(Some(Ok(bytes))) = tokio::time::timeout(Duration::from_millis(400), body.next()).await {
        text.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    text
}

#[tokio::test]
async fn the_stream_tells_late_commits_once_and_resumes_after_the_last_event() {
    let stage = stage().await;
    let (db, bus) = (stage.api.flow.db.clone(), stage.api.flow.bus.clone());
    rows::Thread::new(1).add(&db).await;
    for (seq, at_ms) in [(1, -30), (2, -20), (3, -10)] {
        rows::add_message(&db, 1, (seq, at_ms), ("outbound", "agent", None), Some("sent")).await;
    }
    let left = |at_ms: i64| json!({"type": "message.status_changed", "message": rows::message(at_ms), "from": "sending", "to": "sent"});
    let token = format!("v_1.{}", crate::crypto::hmac_sha256_hex(b"s3cret", b"v_1"));
    let path = format!("/chat/{KEY}/stream?token={token}");
    let commit = async |seq: i64, at_ms: i64| {
        rows::add_event(&db, Some(1), seq, at_ms, left(at_ms)).await;
        let (tenant, event) = (rows::tenant(1), rows::event(at_ms));
        bus.publish(News::Event { tenant, event, conversation: Some(rows::conversation(1)) });
        tokio::time::sleep(Duration::from_millis(80)).await;
    };
    commit(1, -30).await;
    let text = listen(&stage, &path, None, async || {
        tokio::time::sleep(Duration::from_millis(80)).await;
        commit(3, -10).await;
        commit(2, -20).await; // drawn before, committed after
    })
    .await;
    let at = |event: i64| text.find(&rows::event(event).to_string());
    assert!(at(-30).is_none(), "what was there before is in the history: {text}");
    assert!(at(-10).unwrap() < at(-20).unwrap(), "{text}");
    assert_eq!(text.matches("event: message").count(), 2, "{text}");

    let last = rows::event(-20).to_string();
    let text = listen(&stage, &path, Some(&last), async || {}).await;
    assert_eq!(text.matches("event: message").count(), 1, "{text}");
    assert!(text.contains(&rows::event(-10).to_string()), "{text}");
    let answer = stage.send("GET", &path, &[("last-event-id", "nonsense")], None).await;
    answer.problem(400, "bad_event_id");
}

#[tokio::test]
async fn a_stream_ends_when_the_process_goes_down() {
    let stage = stage().await;
    let (_, token) = session(&stage).await;
    let path = format!("/chat/{KEY}/stream?token={token}");
    let text = listen(&stage, &path, None, async || {
        stage.api.drain();
        tokio::time::sleep(Duration::from_millis(700)).await;
    })
    .await;
    assert!(text.trim_end().ends_with("come back with Last-Event-ID"), "{text}");
}
