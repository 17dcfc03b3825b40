//! What the actions promise, on both databases where they read one.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::http::auth::Role;
use crate::http::testing::{NOW_MS, Stage};
use crate::store::conversation_views;
use crate::store::filter::Sight;
use crate::store::views_fixture as rows;

async fn known() -> crate::store::conversation_views::ConversationView {
    let stage = Stage::new().await;
    rows::Thread::new(1).add(&stage.api.flow.db).await;
    let tx = &mut stage.api.read().await.unwrap();
    conversation_views::get(tx, rows::tenant(1), Sight::All, rows::conversation(1)).await.unwrap().unwrap()
}

#[tokio::test]
async fn every_action_becomes_its_command() {
    let known = known().await;
    let asked = |action: &str, body: Value| command(action, body.to_string().as_bytes(), &known);
    let (user, group, rule) = (rows::user(1), rows::group(1), rows::rule(1));
    let until = "2025-11-21T09:00:00+01:00";
    let cases = [
        ("assign", json!({"agent": user}), Command::Assign { agent: Some(user) }),
        ("assign", json!({"agent": null}), Command::Assign { agent: None }),
        ("route", json!({"group": group}), Command::Route { group: Some(group) }),
        ("end", json!({"status": "closed"}), Command::End { status: Status::Closed }),
        ("status", json!({"status": "on_hold"}), Command::SetStatus { status: Status::OnHold }),
        ("archive", json!({}), Command::Archive),
        ("reopen", json!({}), Command::Reopen),
        ("read", json!({}), Command::MarkRead),
        ("postpone-idle", json!({}), Command::PostponeIdle),
        ("snooze", json!({"until": until}), Command::Snooze { until_ms: NOW_MS }),
        ("ai", json!({"on": true}), Command::SetAi { state: AiState::On, reason: None }),
        (
            "ai",
            json!({"on": false, "until": until, "reason": "lunch"}),
            Command::SetAi { state: AiState::Suspended { until_ms: NOW_MS }, reason: Some("lunch".into()) },
        ),
        ("priority", json!({"priority": "urgent"}), Command::SetPriority { priority: Priority::Urgent }),
        (
            "labels",
            json!({"add": ["vip", "late"], "remove": ["late"]}),
            Command::Label { add: vec!["vip".into()], remove: vec!["late".into()] },
        ),
        ("block", json!({"on": true}), Command::Block { contact: known.conversation.contact, on: true }),
        ("run-rule", json!({"rule": rule}), Command::RunRule { rule }),
    ];
    for (action, body, expected) in cases {
        assert_eq!(asked(action, body.clone()).unwrap(), expected, "{action} {body}");
    }
    let bad = [
        ("assign", json!({}), "/agent"),
        ("assign", json!({"agnet": null}), "/agnet"),
        ("end", json!({"status": "shut"}), "/status"),
        ("archive", json!({"status": "open"}), "/status"),
        ("snooze", json!({"until": "tomorrow"}), "/until"),
        ("ai", json!({"on": true, "until": until}), "/until"),
        ("priority", json!({"priority": null}), "/priority"),
    ];
    for (action, body, pointer) in bad {
        let problem = asked(action, body.clone()).unwrap_err();
        assert_eq!(problem.errors[0].pointer, pointer, "{action} {body}: {}", problem.detail);
    }
    assert_eq!(asked("explode", json!({})).unwrap_err().code, "no_such_action");
    assert_eq!(command("archive", b"", &known).unwrap(), Command::Archive, "an empty body is fine");
}

#[tokio::test]
async fn what_an_agent_may_not_see_is_not_there() {
    let stage = Stage::new().await;
    let db = &stage.api.flow.db;
    rows::Thread { group: Some(rows::group(1)), ..rows::Thread::new(1) }.add(db).await;
    rows::Thread::new(2).add(db).await;
    rows::add_message(db, 1, (1, 10), ("outbound", "agent", None), Some("failed")).await;
    let (agent, owner) = (stage.key(Role::Agent).await, stage.key(Role::Owner).await);
    let (hidden, open) = (rows::conversation(1), rows::conversation(2));
    let list = stage.get("/api/v1/conversations", &agent).await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["items"][0]["id"], open.to_string());
    assert_eq!(list["items"][0]["contact"]["address"], "v_2");
    for path in ["", "/messages", "/timeline"] {
        let path = format!("/api/v1/conversations/{hidden}{path}");
        stage.get(&path, &agent).await.problem(404, "not_found");
        stage.get(&path, &owner).await.expect(200);
    }
    let hidden_path = format!("/api/v1/conversations/{hidden}");
    stage.post(&format!("{hidden_path}/archive"), &agent, json!({})).await.problem(404, "not_found");
    stage
        .post(&format!("{hidden_path}/messages"), &agent, json!({"text": "a"}))
        .await
        .problem(404, "not_found");
    let message = format!("/api/v1/messages/{}", rows::message(10));
    stage.get(&message, &agent).await.problem(404, "not_found");
    stage.post(&format!("{message}/retry"), &agent, json!({})).await.problem(404, "not_found");
    assert_eq!(stage.get(&message, &owner).await.expect(200)["attempts"], json!([]));
    let stream = format!("/api/v1/stream?conversation={hidden}");
    stage.get(&stream, &agent).await.problem(404, "not_found");
    stage.get("/api/v1/jobs/dead", &agent).await.problem(403, "forbidden");
    stage.delete(&hidden_path, &agent).await.problem(403, "forbidden");
    stage.delete(&hidden_path, &owner).await.expect(204);
    stage.get(&hidden_path, &owner).await.problem(404, "not_found");
}

#[tokio::test]
async fn lists_are_paged_and_their_mistakes_are_told() {
    let stage = Stage::new().await;
    for n in 1..=3 {
        rows::Thread::new(n).add(&stage.api.flow.db).await;
    }
    let key = stage.key(Role::Admin).await;
    let first = stage.get("/api/v1/conversations?limit=2&status=open&assignee=none", &key).await.expect(200);
    let cursor = first["next"].as_str().unwrap();
    let second = stage.get(&format!("/api/v1/conversations?limit=2&cursor={cursor}"), &key).await.expect(200);
    assert_eq!((first["items"].as_array().unwrap().len(), second["items"].as_array().unwrap().len()), (2, 1));
    assert_eq!(second["next"], Value::Null);
    for query in ["status=shut", "group=x", "assignee=x", "limit=0", "nonsense=1"] {
        stage.get(&format!("/api/v1/conversations?{query}"), &key).await.problem(400, "bad_query");
    }
    for query in ["order=up", "order=desc&after=evt_00000000000000000000000001"] {
        stage.get(&format!("/api/v1/events?{query}"), &key).await.problem(400, "bad_query");
    }
    let problem = stage.get("/api/v1/events?type=message.recieved", &key).await.problem(400, "bad_query");
    assert!(problem["detail"].as_str().unwrap().contains("message.received"), "{problem}");
    let jobs = stage.get("/api/v1/jobs", &key).await.expect(200);
    let webhooks = json!({"waiting": 0, "lag_ms": 0, "failed": 0});
    assert_eq!(jobs, json!({"items": [], "next": null, "queues": [], "periodic": [], "webhooks": webhooks}));
}

#[tokio::test]
async fn webhooks_that_cannot_be_one_are_refused_at_the_door() {
    let stage = Stage::new().await;
    let post = async |kind: &str, body: Vec<u8>| {
        let request = Request::builder().method("POST").uri("/hooks/some-key").header("content-type", kind);
        let router = crate::http::router(stage.api.clone());
        router.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap().status().as_u16()
    };
    let oversized = vec![b'a'; crate::http::hooks::WEBHOOK_BYTES_MAX + 1];
    assert_eq!(post("application/json", oversized).await, 413);
    assert_eq!(post("application/x-www-form-urlencoded", b"Body=%ff".to_vec()).await, 400);
    assert_eq!(post("application/x-www-form-urlencoded", b"Body=%C3%B1".to_vec()).await, 404);
    for (method, key) in [("GET", "%00"), ("PUT", "..%2fhealthz"), ("POST", "nobody")] {
        let path = format!("/hooks/{key}");
        stage.send(method, &path, &[], None).await.problem(404, "unknown_hook");
    }
}
