//! Ways in: the owner's link, passwords, sessions and their proofs.

use pointsman_rules::ids::{TenantId, UserId};
use serde_json::{Value, json};

use crate::crypto::sha256_hex;
use crate::http::auth::Role;
use crate::http::testing::{Answer, NOW_MS, Stage};
use crate::store::signin_links::{self, Link};
use crate::store::users::{Presence, User};
use crate::store::{tenants, users};

async fn owner_link(stage: &Stage, token: &'static str) {
    let tenant = stage.tenant;
    stage
        .write(move |tx| {
            Box::pin(async move {
                let link = Link { tenant, role: Role::Owner, user: None };
                signin_links::insert(tx, &link, &sha256_hex(token.as_bytes()), NOW_MS, NOW_MS + 1_000).await
            })
        })
        .await;
}

async fn sign_in(stage: &Stage, body: Value) -> Answer {
    stage.send("POST", "/api/v1/signin", &[], Some(body)).await
}

#[tokio::test]
async fn the_first_owner_is_made_with_the_link_and_only_once() {
    let stage = Stage::new().await;
    owner_link(&stage, "once").await;
    let problem = sign_in(&stage, json!({"token": "once"})).await.problem(422, "owner_details_required");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 3);
    let weak = json!({"token": "once", "email": "ana@x.test", "name": "Ana", "password": "short"});
    let problem = sign_in(&stage, weak).await.problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/password");
    let body = json!({"token": "once", "email": "Ana@X.test", "name": "Ana", "password": "correct horse"});
    let answer = sign_in(&stage, body.clone()).await;
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let json = answer.expect(200);
    assert_eq!((&json["user"]["email"], &json["user"]["role"]), (&json!("ana@x.test"), &json!("owner")));
    sign_in(&stage, body).await.problem(401, "unauthorized");
    owner_link(&stage, "second").await;
    let body = json!({"token": "second", "email": "eve@x.test", "name": "Eve", "password": "correct horse"});
    sign_in(&stage, body).await.problem(409, "owner_exists");

    let pair = cookie.split(';').next().unwrap();
    let me = stage.send("GET", "/api/v1/me", &[("cookie", pair)], None).await.expect(200);
    assert_eq!((&me["role"], &me["csrf"]), (&json!("owner"), &json["csrf"]));
    let csrf = json["csrf"].as_str().unwrap();
    let write = json!({"name": "Support"});
    stage.send("POST", "/api/v1/groups", &[("cookie", pair)], Some(write.clone())).await.problem(403, "csrf");
    let wrong = [("cookie", pair), ("x-csrf-token", "guess")];
    stage.send("POST", "/api/v1/groups", &wrong, Some(write.clone())).await.problem(403, "csrf");
    let right = [("cookie", pair), ("x-csrf-token", csrf)];
    stage.send("POST", "/api/v1/groups", &right, Some(write)).await.expect(201);
    stage.send("POST", "/api/v1/signout", &right, None).await.expect(204);
    stage.send("GET", "/api/v1/me", &[("cookie", pair)], None).await.problem(401, "unauthorized");

    let known = json!({"email": "ANA@x.test ", "password": "correct horse"});
    sign_in(&stage, known).await.expect(200);
    sign_in(&stage, json!({"email": "ana@x.test", "password": "wrong horse"}))
        .await
        .problem(401, "unauthorized");
    sign_in(&stage, json!({"email": "bob@x.test", "password": "wrong horse"}))
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn who_belongs_to_several_tenants_says_which_one_they_mean() {
    let stage = Stage::new().await;
    let other = TenantId::new(NOW_MS, 2);
    let hash = crate::crypto::hash_password(&stage.api.flow.clock, "correct horse").unwrap();
    let tenant = stage.tenant;
    stage
        .write(move |tx| {
            let hash = hash.clone();
            Box::pin(async move {
                tenants::insert(tx, &tenants::Tenant { id: other, name: "Shop".into() }, NOW_MS).await?;
                for (n, tenant) in [(1, tenant), (2, other)] {
                    let user = User {
                        id: UserId::new(NOW_MS, n),
                        email: "ana@x.test".into(),
                        name: "Ana".into(),
                        role: Role::Agent,
                        password_hash: Some(hash.clone()),
                        presence: Presence::Offline,
                        created_ms: NOW_MS,
                        disabled_ms: None,
                        chats_max: None,
                    };
                    users::insert(tx, tenant, &user).await?;
                }
                Ok(())
            })
        })
        .await;
    let mut body = json!({"email": "ana@x.test", "password": "correct horse"});
    let problem = sign_in(&stage, body.clone()).await.problem(409, "which_tenant");
    assert_eq!(problem["tenants"][1], json!({"id": other, "name": "Shop"}));
    body["tenant"] = json!(other);
    let signed_in = sign_in(&stage, body.clone()).await.expect(200);
    assert_eq!(signed_in["user"]["id"], json!(UserId::new(NOW_MS, 2)));
    body["tenant"] = json!(TenantId::new(NOW_MS, 3));
    sign_in(&stage, body).await.problem(401, "unauthorized");
    // The wrong password tells nobody where somebody belongs.
    let wrong = json!({"email": "ana@x.test", "password": "wrong horse"});
    sign_in(&stage, wrong).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn guessing_passwords_becomes_slow() {
    let stage = Stage::new().await;
    let limit = crate::http::rate::SIGN_IN.burst as usize;
    for _ in 0..limit {
        sign_in(&stage, json!({"token": "guess"})).await.problem(401, "unauthorized");
    }
    sign_in(&stage, json!({"token": "guess"})).await.problem(429, "rate_limited");
}

#[tokio::test]
async fn a_request_is_served_once_per_idempotency_key() {
    let stage = Stage::new().await;
    let (admin, other) = (stage.key(Role::Admin).await, stage.key(Role::Admin).await);
    let (auth, auth_other) = (format!("Bearer {admin}"), format!("Bearer {other}"));
    let headers = [("authorization", auth.as_str()), ("idempotency-key", "k1")];
    let body = json!({"name": "shop", "role": "agent"});
    let first = stage.send("POST", "/api/v1/api-keys", &headers, Some(body.clone())).await.expect(201);
    let again = stage.send("POST", "/api/v1/api-keys", &headers, Some(body.clone())).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(201), first);
    let changed = json!({"name": "shop", "role": "admin"});
    stage
        .send("POST", "/api/v1/api-keys", &headers, Some(changed))
        .await
        .problem(409, "idempotency_key_reused");
    let theirs = [("authorization", auth_other.as_str()), ("idempotency-key", "k1")];
    let own = stage.send("POST", "/api/v1/api-keys", &theirs, Some(body.clone())).await.expect(201);
    assert_ne!(own["id"], first["id"], "another caller's key is another key");
    let listed = stage.get("/api/v1/api-keys", &admin).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 4);
    stage
        .send("POST", "/api/v1/api-keys", &[("idempotency-key", "k1")], Some(body))
        .await
        .problem(401, "unauthorized");
}
