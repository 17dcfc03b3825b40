//! Channels without their plugin: what is shown to whom, what is refused.

use pointsman_rules::ids::{GroupId, UserId};
use serde_json::json;

use super::{check_people, view};
use crate::http::Refused;
use crate::http::auth::{Principal, Role, Who};
use crate::http::testing::Stage;
use crate::store::channels::{self, Channel, tests::example};
use crate::store::groups::{self, Group};

async fn with_channel() -> (Stage, Channel) {
    let (stage, channel) = (Stage::new().await, example(1));
    let (tenant, row) = (stage.tenant, channel.clone());
    stage
        .write(move |tx| {
            let row = row.clone();
            Box::pin(async move { channels::insert(tx, tenant, &row).await })
        })
        .await;
    (stage, channel)
}

#[tokio::test]
async fn secrets_are_never_shown_and_the_webhook_address_only_to_admins() {
    let (stage, channel) = with_channel().await;
    let (admin, agent) = (stage.key(Role::Admin).await, stage.key(Role::Agent).await);
    let path = format!("/api/v1/channels/{}", channel.id);
    let answer = stage.get(&path, &admin).await;
    assert_eq!(answer.header("etag"), "\"1\"");
    assert!(!answer.text.contains("v1.sealed"), "{}", answer.text);
    let shown = answer.expect(200);
    assert_eq!(
        shown["secrets"],
        json!({"auth_token": {"set": true, "updated_at": "1970-01-01T00:00:00.005Z"}})
    );
    assert_eq!(shown["webhook_url"], "http://localhost:8080/hooks/key1");
    assert_eq!((&shown["idle_end_minutes"], &shown["counters"]["received"]), (&json!(10), &json!(0)));
    assert_eq!((&shown["chat_url"], &shown["capabilities"]), (&json!(null), &json!(null)));
    let shown = stage.get(&path, &agent).await;
    assert!(!shown.text.contains("key1"), "{}", shown.text);
    let list = stage.get("/api/v1/channels", &agent).await;
    assert!(list.text.contains("Sales") && !list.text.contains("key1"), "{}", list.text);
    let stranger = stage.key_of(pointsman_rules::ids::TenantId::new(9, 9), Role::Owner).await;
    stage.get(&path, &stranger).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_channel_is_removed_only_by_its_name() {
    let (stage, channel) = with_channel().await;
    let admin = stage.key(Role::Admin).await;
    let path = format!("/api/v1/channels/{}", channel.id);
    stage.delete(&path, &admin).await.problem(422, "confirmation_required");
    stage.delete(&format!("{path}?confirm=Other"), &admin).await.problem(422, "confirmation_required");
    stage.delete(&format!("{path}?confirm=Sales"), &admin).await.expect(204);
    stage.get(&path, &admin).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_missing_plugin_is_named_with_what_is_there() {
    let (stage, channel) = with_channel().await;
    let admin = stage.key(Role::Admin).await;
    let new = json!({"provider": "twillio", "kind": "sms", "name": "Sales"});
    let problem = stage.post("/api/v1/channels", &admin, new).await.problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/provider");
    let path = format!("/api/v1/channels/{}", channel.id);
    stage.patch(&path, &admin, json!({"name": "x"})).await.problem(422, "invalid");
    stage.post(&format!("{path}/check"), &admin, json!({})).await.problem(422, "no_plugin");
    stage.post(&format!("{path}/templates/refresh"), &admin, json!({})).await.problem(422, "no_plugin");
    assert_eq!(stage.get(&format!("{path}/templates"), &admin).await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn an_active_channel_needs_somebody_who_answers() {
    let (stage, channel) = with_channel().await;
    let (tenant, ana) = (stage.tenant, stage.user("ana@x.test", Role::Agent).await);
    let support = GroupId::new(1, 1);
    let outcome = stage
        .write(move |tx| {
            let channel = channel.clone();
            Box::pin(async move {
                let group = Group {
                    id: support,
                    name: "Support".into(),
                    language: None,
                    calendar: None,
                    assignment: pointsman_rules::assign::Assignment::default(),
                    targets: pointsman_rules::sla::Targets::default(),
                    members: vec![],
                    version: 1,
                    created_ms: 1,
                };
                let mut pointers = Vec::new();
                for (there, group_id, agent) in [
                    (false, Some(support), None),
                    (true, Some(support), None),
                    (true, None, None),
                    (true, None, Some(UserId::new(7, 7))),
                    (true, None, Some(ana)),
                ] {
                    if there {
                        groups::insert(tx, tenant, &group).await?;
                    }
                    let row = Channel {
                        active: true,
                        default_group: group_id,
                        assigned_user: agent,
                        ..channel.clone()
                    };
                    pointers.push(match check_people(tx, tenant, &row).await {
                        Ok(()) => "fine".to_owned(),
                        Err(Refused::Problem(problem)) => problem.errors[0].pointer.clone(),
                        Err(Refused::Store(error)) => return Err(error),
                    });
                }
                Ok(pointers)
            })
        })
        .await;
    assert_eq!(outcome, ["/default_group", "fine", "/active", "/assigned_agent", "fine"]);
}

#[tokio::test]
async fn only_the_chat_page_has_a_chat_address() {
    let (stage, channel) = with_channel().await;
    let who = Principal {
        tenant: stage.tenant,
        role: Role::Admin,
        who: Who::Key { id: pointsman_rules::ids::KeyId::new(1, 1) },
    };
    let webchat = Channel { provider: "webchat".into(), ..channel };
    let shown = serde_json::to_value(view::view(&stage.api, &who, webchat, None)).unwrap();
    assert_eq!(shown["chat_url"], "http://localhost:8080/chat/key1");
}
