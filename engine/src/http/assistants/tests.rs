//! Configuration of assistants over the API, without a plugin behind them.

use pointsman_rules::ids::{AssistantId, ChannelId};
use serde_json::{Value, json};

use crate::http::auth::Role;
use crate::http::testing::{NOW_MS, Stage};
use crate::store::assistants::{Assistant, Limits};
use crate::store::channels::{self, tests::example};

/// An assistant as if its plugin were installed.
async fn assistant(stage: &Stage, name: &str) -> AssistantId {
    let id = AssistantId::new(NOW_MS, stage.api.flow.clock.random());
    let (tenant, name) = (stage.tenant, name.to_owned());
    stage
        .write(move |tx| {
            let row = Assistant {
                id,
                plugin: "gone".into(),
                name: name.clone(),
                settings: json!({}),
                secrets: String::new(),
                secrets_set: [("api_key".to_owned(), NOW_MS)].into(),
                allow_private_egress: false,
                active: true,
                instructions: String::new(),
                limits: Limits::default(),
                version: 1,
                created_ms: NOW_MS,
            };
            Box::pin(async move { crate::store::assistants::insert(tx, tenant, &row).await })
        })
        .await;
    id
}

async fn put(stage: &Stage, path: &str, key: &str, body: Value) -> crate::http::testing::Answer {
    stage.send("PUT", path, &[("authorization", &format!("Bearer {key}"))], Some(body)).await
}

#[tokio::test]
async fn limits_are_checked_and_shown_and_a_plugin_must_be_there() {
    let stage = Stage::new().await;
    let key = stage.key(Role::Admin).await;
    let new = json!({"plugin": "nobody", "name": "Ada"});
    let refused = stage.post("/api/v1/assistants", &key, new).await.problem(422, "invalid");
    assert_eq!(refused["errors"][0]["pointer"], "/plugin");
    let path = format!("/api/v1/assistants/{}", assistant(&stage, "Ada").await);
    let shown = stage.get(&path, &key).await.expect(200);
    assert_eq!(shown["limits"]["silence_seconds"], 4);
    assert_eq!(shown["secrets"]["api_key"]["set"], true);
    let wrong = json!({"limits": {"answers_max": 0, "think_seconds_max": 500}});
    let refused = stage.patch(&path, &key, wrong).await.problem(422, "invalid");
    assert_eq!(refused["errors"].as_array().unwrap().len(), 2, "{refused}");
    let change = json!({"limits": {"silence_seconds": 0, "tokens_per_day_max": 9}, "active": false});
    let changed = stage.patch(&path, &key, change).await.expect(200);
    assert_eq!((&changed["limits"]["tokens_per_day_max"], &changed["active"]), (&json!(9), &json!(false)));
    assert_eq!((&changed["limits"]["answers_max"], &changed["version"]), (&json!(10), &json!(2)));
    let agent = stage.key(Role::Agent).await;
    stage.get(&path, &agent).await.problem(403, "forbidden");
    stage.delete(&path, &key).await.expect(204);
    stage.get(&path, &key).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_channel_has_no_assistant_until_an_admin_gives_it_one() {
    let stage = Stage::new().await;
    let key = stage.key(Role::Admin).await;
    let id = assistant(&stage, "Ada").await;
    let nowhere = format!("/api/v1/channels/{}/assistant", ChannelId::new(1, 1));
    put(&stage, &nowhere, &key, json!({"assistant": id})).await.problem(404, "not_found");
    stage.get(&nowhere, &key).await.problem(404, "not_found");
    let strange = json!({"assistant": id, "replys": true});
    let refused = put(&stage, &nowhere, &key, strange).await.problem(422, "invalid");
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("`replies`"), "{refused}");
}

#[tokio::test]
async fn whoever_sees_a_channel_knows_which_assistant_reads_it() {
    let stage = Stage::new().await;
    let (admin, agent) = (stage.key(Role::Admin).await, stage.key(Role::Agent).await);
    let (id, tenant, channel) = (assistant(&stage, "Ada").await, stage.tenant, example(1).id);
    stage.write(move |tx| Box::pin(async move { channels::insert(tx, tenant, &example(1)).await })).await;
    let path = format!("/api/v1/channels/{channel}");
    assert_eq!(stage.get(&path, &agent).await.expect(200)["assistant"], Value::Null);
    let consent = json!({"assistant": id, "replies": true});
    put(&stage, &format!("{path}/assistant"), &admin, consent).await.expect(200);
    let reader = json!({"id": id, "name": "Ada", "plugin": "gone", "replies": true});
    assert_eq!(stage.get(&path, &agent).await.expect(200)["assistant"], reader);
    assert_eq!(stage.get("/api/v1/channels", &agent).await.expect(200)["items"][0]["assistant"], reader);
    let paused = stage.post(&format!("{path}/pause"), &admin, json!({})).await.expect(200);
    assert_eq!(paused["assistant"], reader, "also right after a change");
    stage.patch(&format!("/api/v1/assistants/{id}"), &admin, json!({"active": false})).await.expect(200);
    assert_eq!(stage.get(&path, &agent).await.expect(200)["assistant"], Value::Null, "it is switched off");
}

#[tokio::test]
async fn knowledge_is_written_changed_and_removed_under_its_version() {
    let stage = Stage::new().await;
    let key = stage.key(Role::Admin).await;
    let refused = stage.post("/api/v1/knowledge", &key, json!({"title": "Hours"})).await;
    assert_eq!(refused.problem(422, "invalid")["errors"][0]["pointer"], "/text");
    let new = json!({"title": "Hours", "text": "We open at nine."});
    let made = stage.post("/api/v1/knowledge", &key, new).await.expect(201);
    let path = format!("/api/v1/knowledge/{}", made["id"].as_str().unwrap());
    let changed = stage.patch(&path, &key, json!({"text": "We open at ten."})).await.expect(200);
    assert_eq!((&changed["title"], &changed["version"]), (&json!("Hours"), &json!(2)));
    let stale = [("authorization", format!("Bearer {key}")), ("if-match", "\"1\"".to_owned())];
    let stale: Vec<(&str, &str)> = stale.iter().map(|(name, value)| (*name, value.as_str())).collect();
    stage.send("DELETE", &path, &stale, None).await.problem(412, "stale");
    stage.delete(&path, &key).await.expect(204);
    assert_eq!(stage.get("/api/v1/knowledge", &key).await.expect(200)["items"], json!([]));
    let audit = stage.get("/api/v1/audit", &stage.key(Role::Owner).await).await.expect(200);
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().filter_map(|it| it["action"].as_str()).collect();
    assert_eq!(actions, ["knowledge.delete", "knowledge.change", "knowledge.create"]);
}

#[tokio::test]
async fn nothing_used_is_an_empty_list_and_days_are_times() {
    let stage = Stage::new().await;
    let key = stage.key(Role::Admin).await;
    assert_eq!(stage.get("/api/v1/assistants/usage", &key).await.expect(200)["items"], json!([]));
    stage.get("/api/v1/assistants/usage?from=yesterday", &key).await.problem(400, "bad_query");
}
