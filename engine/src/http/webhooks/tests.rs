//! Endpoints over the API: what is refused, what is shown once, and what a test
//! and a sent delivery look like at the receiver.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use pointsman_rules::event::{Cause, Event, EventBody};
use pointsman_rules::ids::{ChannelId, EventId, WebhookId};
use serde_json::{Value, json};

use crate::flow::webhook::{outbox, send};
use crate::http::auth::Role;
use crate::http::testing::{NOW_MS, Stage};
use crate::store::Durability;
use crate::store::lanes::{self, Task};
use crate::store::log::Logged;

type Heard = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A receiver on this machine that answers with these statuses, then 204.
async fn receiver(statuses: &[u16]) -> (String, Heard) {
    let heard = Heard::default();
    let state = (heard.clone(), Arc::new(Mutex::new(statuses.to_vec())));
    let answer = |State((heard, statuses)): State<(Heard, Arc<Mutex<Vec<u16>>>)>,
                  headers: HeaderMap,
                  body: String| async move {
        heard.lock().unwrap().push((headers, body));
        let mut statuses = statuses.lock().unwrap();
        let status = if statuses.is_empty() { 204 } else { statuses.remove(0) };
        (StatusCode::from_u16(status).unwrap(), "x".repeat(5_000))
    };
    let router = Router::new().route("/in", post(answer)).with_state(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, heard)
}

async fn added(stage: &Stage, admin: &str, url: &str) -> (String, String) {
    let new = json!({"name": "crm", "url": url, "events": ["*"], "allow_private_egress": true});
    let made = stage.post("/api/v1/webhooks", admin, new).await.expect(201);
    (made["id"].as_str().unwrap().to_owned(), made["signing_secret"].as_str().unwrap().to_owned())
}

/// Something happens on a channel.
async fn happens(stage: &Stage, n: i64) -> EventId {
    let id = EventId::new(n, 1);
    let body = EventBody::ConversationCreated;
    let event = Event { id, at_ms: NOW_MS, conversation: None, cause: Cause::default(), body };
    let logged = Logged { event, channel: Some(ChannelId::new(1, 1)), seq: n };
    let flow = stage.api.flow.clone();
    let view = flow.catalog.view(&flow, stage.tenant).await.unwrap();
    let told: Vec<_> = outbox::of_event(&view, &logged).map(|it| (stage.tenant, it)).collect();
    let clock = flow.clock.clone();
    stage
        .write(move |tx| {
            let (told, clock) = (told.clone(), clock.clone());
            Box::pin(async move { outbox::put(tx, &clock, told).await })
        })
        .await;
    id
}

/// What a worker does with the lanes that are ready now; answers how many there were.
async fn work(stage: &Stage) -> usize {
    let flow = &stage.api.flow;
    let now_ms = flow.clock.now_ms();
    let claims = flow.db.write(Durability::Soft, move |tx| {
        Box::pin(async move { lanes::claim(tx, Task::Webhook, "test", now_ms, now_ms + 60_000, 9).await })
    });
    let claims = claims.await.unwrap();
    for claim in &claims {
        send::run(flow, *claim).await.unwrap();
    }
    claims.len()
}

#[tokio::test]
async fn mistakes_are_refused_with_their_place() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let new = json!({"name": " ", "url": "http://10.0.0.1/x", "events": ["message.recieved"]});
    let problem = stage.post("/api/v1/webhooks", &admin, new).await.problem(422, "invalid");
    let pointers: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
    assert_eq!(pointers, ["/name", "/url", "/events/0"]);
    assert!(problem.to_string().contains("did you mean `message.received`?"), "{problem}");
    let (_, secret) = added(&stage, &admin, "https://x.test/in").await;
    assert!(secret.starts_with("whsec_"));
    let twice = json!({"name": "CRM", "url": "https://x.test/in", "events": []});
    let problem = stage.post("/api/v1/webhooks", &admin, twice).await.problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/name");
}

#[tokio::test]
async fn a_secret_is_shown_once_and_changed_with_an_overlap() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let (id, secret) = added(&stage, &admin, "https://x.test/in").await;
    let path = format!("/api/v1/webhooks/{id}");
    let rotated = stage.post(&format!("{path}/rotate"), &admin, json!({})).await.expect(200);
    let new = rotated["signing_secret"].as_str().unwrap();
    assert_ne!(new, secret);
    for shown in [path.as_str(), "/api/v1/webhooks", "/api/v1/audit"] {
        let text = stage.get(shown, &admin).await.text;
        assert!(!text.contains(new) && !text.contains(&secret), "{shown}: {text}");
    }
    let shown = stage.get(&path, &admin).await.expect(200);
    assert_eq!(shown["secret"]["set"], true);
    assert_eq!(shown["secret"]["previous_until"], crate::clock::rfc3339(NOW_MS + 86_400_000));
    stage.api.flow.clock.advance(86_400_000);
    let shown = stage.get(&path, &admin).await.expect(200);
    assert_eq!(shown["secret"]["previous_until"], Value::Null);
    let auth = format!("Bearer {admin}");
    let stale = [("authorization", auth.as_str()), ("if-match", "\"1\"")];
    stage.send("PATCH", &path, &stale, Some(json!({"active": false}))).await.problem(412, "stale");
    stage.send("DELETE", &path, &stale, None).await.problem(412, "stale");
    stage.delete(&path, &admin).await.expect(204);
    stage.get(&path, &admin).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_test_tells_what_came_back() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let (url, heard) = receiver(&[418]).await;
    let (id, _) = added(&stage, &admin, &url).await;
    let path = format!("/api/v1/webhooks/{id}/test");
    let call = stage.post(&path, &admin, json!({})).await.expect(200);
    assert_eq!((&call["status"], call["answer"].as_str().unwrap().len()), (&json!(418), 2_048));
    assert!(call["problem"].as_str().unwrap().contains("418"), "{call}");
    let call = stage.post(&path, &admin, json!({})).await.expect(200);
    assert_eq!((&call["status"], &call["problem"]), (&json!(204), &json!(null)));
    let heard = heard.lock().unwrap();
    assert!(heard[0].1.contains("\"type\":\"webhook.test\""), "{}", heard[0].1);
    assert!(heard[0].0["webhook-signature"].to_str().unwrap().starts_with("v1,"));
}

#[tokio::test]
async fn order_and_ids_stay_over_failures_and_replays() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let (url, heard) = receiver(&[500, 503]).await;
    let (id, _) = added(&stage, &admin, &url).await;
    let (first, second) = (happens(&stage, 1).await, happens(&stage, 2).await);
    let clock = &stage.api.flow.clock;
    assert_eq!((work(&stage).await, work(&stage).await), (1, 0), "it waits five seconds");
    clock.advance(6_000);
    assert_eq!((work(&stage).await, work(&stage).await), (1, 0), "then five minutes");
    clock.advance(330_000);
    assert_eq!((work(&stage).await, work(&stage).await, work(&stage).await), (1, 1, 0));
    let ids = |heard: &Heard| {
        let heard = heard.lock().unwrap();
        heard
            .iter()
            .map(|(headers, _)| headers["webhook-id"].to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let [first, second] = [first.to_string(), second.to_string()];
    assert_eq!(ids(&heard), [first.as_str(), &first, &first, &second]);
    let log = stage.get(&format!("/api/v1/webhooks/{id}/deliveries"), &admin).await.expect(200);
    let shown: Vec<_> = log["items"].as_array().unwrap().iter().map(|it| it["attempts"].clone()).collect();
    assert_eq!(shown, [1, 3]);
    let one = log["items"][1]["id"].as_str().unwrap();
    let detail = stage.get(&format!("/api/v1/webhooks/deliveries/{one}"), &admin).await.expect(200);
    let statuses: Vec<_> =
        detail["calls"].as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
    assert_eq!(statuses, [500, 503, 204]);
    assert_eq!(detail["payload"]["data"]["id"], json!(first));
    let replayed = stage.post(&format!("/api/v1/webhooks/deliveries/{one}/replay"), &admin, json!({})).await;
    assert_eq!(replayed.expect(200)["queued"], 1);
    assert_eq!(work(&stage).await, 1);
    assert_eq!(ids(&heard).last(), Some(&first));
    let shown = stage.get(&format!("/api/v1/webhooks/{id}"), &admin).await.expect(200);
    assert_eq!((&shown["failing_since"], &shown["queue"]["waiting"]), (&json!(null), &json!(0)));
}

#[tokio::test]
async fn gone_switches_off_tells_admins_and_can_be_replayed() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    stage.user("ana@x.test", Role::Admin).await;
    let (url, heard) = receiver(&[410]).await;
    let (id, _) = added(&stage, &admin, &url).await;
    happens(&stage, 1).await;
    happens(&stage, 2).await;
    work(&stage).await;
    assert_eq!(heard.lock().unwrap().len(), 1);
    let path = format!("/api/v1/webhooks/{id}");
    let shown = stage.get(&path, &admin).await.expect(200);
    assert_eq!((&shown["active"], &shown["queue"]["failed"]), (&json!(false), &json!(2)));
    let told = stage.get("/api/v1/notifications", &admin).await.expect(200);
    assert_eq!(told["items"][0]["kind"], "webhook");
    let audit = stage.get("/api/v1/audit?actor=system", &admin).await.expect(200);
    assert_eq!(audit["items"][0]["after"]["active"], false);
    let since = json!({"since": "2020-01-01T00:00:00Z"});
    let replay = format!("{path}/replay");
    stage.post(&replay, &admin, since.clone()).await.problem(409, "webhook_off");
    stage.patch(&path, &admin, json!({"active": true})).await.expect(200);
    let replayed = stage.post(&replay, &admin, since).await.expect(200);
    assert_eq!((&replayed["queued"], &replayed["more"]), (&json!(2), &json!(false)));
    while work(&stage).await > 0 {}
    assert_eq!(heard.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn five_days_of_failures_switch_it_off() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let (url, _) = receiver(&[500; 40]).await;
    let (id, _) = added(&stage, &admin, &url).await;
    let path = format!("/api/v1/webhooks/{id}");
    for day in 0..6 {
        let shown = stage.get(&path, &admin).await.expect(200);
        assert_eq!(shown["active"], true, "day {day}");
        happens(&stage, day).await;
        work(&stage).await;
        stage.api.flow.clock.advance(27 * 3_600_000);
    }
    let shown = stage.get(&path, &admin).await.expect(200);
    assert_eq!(shown["off_reason"], "Every call has failed for 5 days.");
}

#[tokio::test]
async fn nothing_is_written_where_nobody_listens() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let new = json!({"name": "quiet", "url": "https://x.test/", "events": ["message.received"]});
    let made = stage.post("/api/v1/webhooks", &admin, new).await.expect(201);
    happens(&stage, 1).await;
    let path = format!("/api/v1/webhooks/{}/deliveries", made["id"].as_str().unwrap());
    assert_eq!(stage.get(&path, &admin).await.expect(200)["items"], json!([]));
    assert_eq!(work(&stage).await, 0);
    let nobody = format!("/api/v1/webhooks/{}/deliveries", WebhookId::new(1, 1));
    stage.get(&nobody, &admin).await.problem(404, "not_found");
}
