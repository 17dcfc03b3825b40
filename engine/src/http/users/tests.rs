//! Who may change whom.

use serde_json::json;

use crate::http::auth::Role;
use crate::http::testing::Stage;

#[tokio::test]
async fn an_agent_changes_own_things_only() {
    let stage = Stage::new().await;
    let (ana, ben) =
        (stage.user("ana@x.test", Role::Agent).await, stage.user("ben@x.test", Role::Agent).await);
    let (cookie, csrf) = stage.session(ana).await;
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", csrf.as_str())];
    let own = format!("/api/v1/users/{ana}");
    let away = stage.send("PATCH", &own, &headers, Some(json!({"presence": "away"}))).await.expect(200);
    assert_eq!(away["presence"], "away");
    stage.send("PATCH", &own, &headers, Some(json!({"role": "owner"}))).await.problem(403, "forbidden");
    let other = format!("/api/v1/users/{ben}");
    stage.send("PATCH", &other, &headers, Some(json!({"name": "x"}))).await.problem(403, "forbidden");
    let new = json!({"email": "c@x.test", "name": "C", "role": "agent"});
    stage.send("POST", "/api/v1/users", &headers, Some(new)).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_new_password_ends_other_sessions() {
    let stage = Stage::new().await;
    let ana = stage.user("ana@x.test", Role::Agent).await;
    let ((here, csrf), (elsewhere, _)) = (stage.session(ana).await, stage.session(ana).await);
    let headers = [("cookie", here.as_str()), ("x-csrf-token", csrf.as_str())];
    let body = json!({"password": "a new password"});
    stage.send("PATCH", &format!("/api/v1/users/{ana}"), &headers, Some(body)).await.expect(200);
    stage.send("GET", "/api/v1/me", &headers, None).await.expect(200);
    stage.send("GET", "/api/v1/me", &[("cookie", &elsewhere)], None).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn owners_are_made_by_owners_and_the_last_one_stays() {
    let stage = Stage::new().await;
    let (owner, admin) = (stage.key(Role::Owner).await, stage.key(Role::Admin).await);
    let new = json!({"email": "eve@x.test", "name": "Eve", "role": "owner", "password": "correct horse"});
    stage.post("/api/v1/users", &admin, new.clone()).await.problem(403, "forbidden");
    let eve = stage.post("/api/v1/users", &owner, new.clone()).await.expect(201);
    assert!(eve.get("password_hash").is_none() && eve["has_password"] == true, "{eve}");
    stage.post("/api/v1/users", &owner, new).await.problem(422, "invalid");
    let path = format!("/api/v1/users/{}", eve["id"].as_str().unwrap());
    stage.patch(&path, &admin, json!({"name": "Mallory"})).await.problem(403, "forbidden");
    stage.patch(&path, &owner, json!({"role": "agent"})).await.problem(409, "last_owner");
    stage.patch(&path, &owner, json!({"disabled": true})).await.problem(409, "last_owner");
    stage.patch(&path, &owner, json!({"email": "no address"})).await.problem(422, "invalid");
    assert_eq!(stage.get(&path, &admin).await.expect(200)["role"], "owner");
}
