//! Channels without their plugin: what is shown to whom, what is refused.

use pointsman_rules::ids::{GroupId, UserId};
use serde_json::json;

use super::{check_people, view};
use crate::http::Refused;
use crate::http::auth::{Principal, Role, Who};
use crate::http::testing::Stage;
use crate::store::audit::Origin;
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
    let account = json!({"provider": "twillio", "kind": "sms", "secrets": {"auth_token": "x"}});
    let problem = stage.post("/api/v1/channels/addresses", &admin, account).await.problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/provider");
    let path = format!("/api/v1/channels/{}", channel.id);
    stage.get(&format!("{path}/session/picture"), &admin).await.problem(422, "no_plugin");
    stage.patch(&path, &admin, json!({"name": "x"})).await.problem(422, "invalid");
    stage.post(&format!("{path}/check"), &admin, json!({})).await.problem(422, "no_plugin");
    stage.post(&format!("{path}/templates/refresh"), &admin, json!({})).await.problem(422, "no_plugin");
    assert_eq!(stage.get(&format!("{path}/templates"), &admin).await.expect(200)["items"], json!([]));
}

// S36, S41, S88, S97
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

/// As a person with a session.
async fn person(stage: &Stage, email: &str) -> (UserId, (String, String)) {
    let user = stage.user(email, Role::Agent).await;
    (user, stage.session(user).await)
}

async fn as_person(
    stage: &Stage,
    (cookie, csrf): &(String, String),
    method: &str,
    path: &str,
    body: Option<serde_json::Value>,
) -> crate::http::testing::Answer {
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", csrf.as_str())];
    stage.send(method, path, &headers, body).await
}

// S02, S94
#[tokio::test]
async fn a_personal_channel_is_its_owners_and_the_admins() {
    let stage = Stage::new().await;
    let ((ana, anas), (_, bens)) = (person(&stage, "ana@x.test").await, person(&stage, "ben@x.test").await);
    let (admin, program) = (stage.key(Role::Admin).await, stage.key(Role::Agent).await);
    let (tenant, own, ours) = (stage.tenant, Channel { owner: Some(ana), ..example(1) }, example(2));
    let (own_id, our_id) = (own.id, ours.id);
    stage
        .write(move |tx| {
            let (own, ours) = (own.clone(), ours.clone());
            Box::pin(async move {
                channels::insert(tx, tenant, &own).await?;
                channels::insert(tx, tenant, &ours).await
            })
        })
        .await;
    let at = |id| format!("/api/v1/channels/{id}");
    let listed = |answer: crate::http::testing::Answer| answer.expect(200)["items"].as_array().unwrap().len();
    // Who sees it, and who sees how it is set up.
    assert_eq!(listed(as_person(&stage, &anas, "GET", "/api/v1/channels", None).await), 2);
    assert_eq!(listed(as_person(&stage, &bens, "GET", "/api/v1/channels", None).await), 1);
    assert_eq!(listed(stage.get("/api/v1/channels", &program).await), 1);
    assert_eq!(listed(stage.get("/api/v1/channels", &admin).await), 2);
    let shown = as_person(&stage, &anas, "GET", &at(own_id), None).await.expect(200);
    assert_eq!(
        (&shown["owner"], &shown["webhook_url"]),
        (&json!(ana), &json!("http://localhost:8080/hooks/key1"))
    );
    let shown = as_person(&stage, &anas, "GET", &at(our_id), None).await.expect(200);
    assert_eq!((&shown["owner"], &shown["webhook_url"]), (&json!(null), &json!(null)));
    // Who sets it up: (path, of the owner, of another agent, of an admin); 422: past the door.
    for (path, method, body) in [
        ("", "PATCH", json!({"name": "Mine"})),
        ("/check", "POST", json!({})),
        ("/connect", "POST", json!({})),
        ("/disconnect", "POST", json!({})),
        ("/templates/refresh", "POST", json!({})),
        ("/addresses", "GET", json!({})),
        ("", "DELETE", json!({})),
    ] {
        let body = || (method == "POST" || method == "PATCH").then(|| body.clone());
        for (channel, owner, other) in [(own_id, 422, 404), (our_id, 403, 403)] {
            let path = format!("{}{path}", at(channel));
            let status =
                async |who: &(String, String)| as_person(&stage, who, method, &path, body()).await.status;
            let statuses = (status(&anas).await.as_u16(), status(&bens).await.as_u16());
            assert_eq!(statuses, (owner, other), "{method} {path}");
        }
    }
    let health = format!("{}/health", at(own_id));
    assert_eq!(as_person(&stage, &bens, "GET", &health, None).await.status.as_u16(), 404);
    assert_eq!(as_person(&stage, &anas, "GET", &health, None).await.expect(200)["state"], "connecting");
    let pause = format!("{}/pause", at(own_id));
    as_person(&stage, &bens, "POST", &pause, Some(json!({}))).await.problem(404, "not_found");
    as_person(&stage, &anas, "POST", &pause, Some(json!({}))).await.expect(200);
    let gone = format!("{}?confirm=Sales", at(own_id));
    as_person(&stage, &anas, "DELETE", &gone, None).await.expect(204);
    stage.get(&at(own_id), &admin).await.problem(404, "not_found");
}

// S26, S32, S94
#[tokio::test]
async fn agents_connect_personal_channels_only_and_programs_none() {
    let stage = Stage::new().await;
    let (_, anas) = person(&stage, "ana@x.test").await;
    let (admin, program) = (stage.key(Role::Admin).await, stage.key(Role::Agent).await);
    let new =
        |personal| json!({"provider": "waha", "kind": "whatsapp", "name": "Mine", "personal": personal});
    let path = "/api/v1/channels";
    as_person(&stage, &anas, "POST", path, Some(new(false))).await.problem(403, "forbidden");
    stage.post(path, &program, new(true)).await.problem(403, "forbidden");
    let problem = stage.post(path, &admin, new(true)).await.problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/personal", "a program is nobody's own");
    // Past the door: only the plugin is missing.
    let problem = as_person(&stage, &anas, "POST", path, Some(new(true))).await.problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/provider");
}

#[tokio::test]
async fn an_owner_does_not_set_what_is_the_admins() {
    let stage = Stage::new().await;
    let ana = stage.user("ana@x.test", Role::Agent).await;
    let who = |role| Principal {
        tenant: stage.tenant,
        role,
        who: Who::User { id: ana, session: pointsman_rules::ids::SessionId::new(1, 1) },
        origin: Origin::default(),
    };
    let before = Channel { owner: Some(ana), default_group: None, ..example(1) };
    let changed = Channel {
        allow_private_egress: true,
        default_group: Some(GroupId::new(1, 1)),
        assigned_user: Some(UserId::new(7, 7)),
        ..before.clone()
    };
    let problem = super::access::check_owner_fields(&who(Role::Agent), &before, &changed).unwrap_err();
    let pointers: Vec<_> = problem.errors.iter().map(|it| it.pointer.as_str()).collect();
    assert_eq!(pointers, ["/allow_private_egress", "/default_group", "/assigned_agent"]);
    assert!(super::access::check_owner_fields(&who(Role::Admin), &before, &changed).is_ok());
    let own = Channel { assigned_user: Some(ana), ..before.clone() };
    assert!(super::access::check_owner_fields(&who(Role::Agent), &before, &own).is_ok());
    let sessions = crate::plugins::Exports { sessions: true, ..Default::default() };
    assert!(super::access::may_be_personal(sessions) && !super::access::may_be_personal(Default::default()));
}

// S29, S37, S40
#[tokio::test]
async fn pausing_and_resuming_is_told_once_and_needs_somebody_who_answers() {
    let (stage, channel) = with_channel().await;
    let admin = stage.key(Role::Admin).await;
    let at = |action: &str| format!("/api/v1/channels/{}/{action}", channel.id);
    let paused = stage.post(&at("pause"), &admin, json!({"reason": "stocktaking"})).await.expect(200);
    assert_eq!((&paused["state"], &paused["state_reason"]), (&json!("paused"), &json!("stocktaking")));
    assert_eq!((&paused["active"], &paused["version"]), (&json!(false), &json!(2)));
    stage.post(&at("pause"), &admin, json!({})).await.expect(200);
    let long = json!({"reason": "x".repeat(201)});
    stage.post(&at("pause"), &admin, long).await.problem(422, "invalid");
    // Its default group does not exist on this stage.
    stage.post(&at("resume"), &admin, json!({})).await.problem(422, "invalid");
    let events = stage.get("/api/v1/events?type=channel.state_changed", &admin).await.expect(200);
    let events = events["items"].as_array().unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0]["from"], &events[0]["to"]), (&json!("connecting"), &json!("paused")));
}

// S48, S102
#[tokio::test]
async fn health_names_what_went_wrong_and_what_to_do() {
    let (stage, channel) = with_channel().await;
    let agent = stage.key(Role::Agent).await;
    let path = format!("/api/v1/channels/{}/health", channel.id);
    let fresh = stage.get(&path, &agent).await.expect(200);
    assert_eq!((&fresh["counters"]["sent"], &fresh["last_problem"]), (&json!(0), &json!(null)));
    let flow = &stage.api.flow;
    let problem = json!({"class": "auth", "message": "no", "vendor_code": "20003"}).to_string();
    let tally = crate::store::channel_health::Tally {
        received: 2,
        stored: 3,
        failed: 1,
        problem: Some((problem, 5)),
        ..Default::default()
    };
    flow.tallies.add(stage.tenant, channel.id, tally);
    crate::flow::tally::flush(flow).await.unwrap();
    crate::flow::tally::flush(flow).await.unwrap();
    let shown = stage.get(&path, &agent).await.expect(200);
    let counters = &shown["counters"];
    assert_eq!(
        (&counters["received"], &counters["handled"], &counters["failed"]),
        (&json!(2), &json!(3), &json!(1))
    );
    let problem = &shown["last_problem"];
    assert_eq!((&problem["class"], &problem["vendor_code"]), (&json!("auth"), &json!("20003")));
    assert!(problem["advice"].as_str().unwrap().contains("credentials"), "{problem}");
}

#[tokio::test]
async fn only_the_chat_page_has_a_chat_address() {
    let (stage, channel) = with_channel().await;
    let who = Principal {
        tenant: stage.tenant,
        role: Role::Admin,
        who: Who::Key { id: pointsman_rules::ids::KeyId::new(1, 1) },
        origin: crate::store::audit::Origin::default(),
    };
    let webchat = Channel { provider: "webchat".into(), ..channel };
    let shown = serde_json::to_value(view::view(&stage.api, &who, webchat, None, None)).unwrap();
    assert_eq!(shown["chat_url"], "http://localhost:8080/chat/key1");
}
