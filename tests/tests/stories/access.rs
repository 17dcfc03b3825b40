//! Who may do what: keys, roles, sign-in, and the promises around writes.

use anyhow::{Context, Result, ensure};
use pointsman_tests::api::header;
use pointsman_tests::{Backend, Server, each_backend};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Scene, group, id, messages};

each_backend!(
    nothing_is_shown_without_a_key,
    roles_are_enforced,
    an_agent_sees_only_what_concerns_them,
    a_revoked_key_ends_at_once,
    the_owner_link_works_once,
    a_repeated_request_is_done_once,
    a_stale_write_is_refused,
    unknown_fields_are_named,
);

const CUSTOMER: &str = "+34600000005";

/// Every list of the API that needs a credential.
const LISTS: [&str; 14] = [
    "me",
    "api-keys",
    "users",
    "groups",
    "plugins",
    "channels",
    "rules",
    "conversations",
    "events",
    "jobs",
    "raw-webhooks",
    "webhooks",
    "tenant",
    "audit",
];

async fn nothing_is_shown_without_a_key(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let owner = server.api()?;
    for key in [None, Some("pm_wrong"), Some(""), Some("pm_' or 1=1 --")] {
        let api = owner.with_key(key);
        for list in LISTS {
            let path = format!("/api/v1/{list}");
            let answer = api.get(&path).await?;
            let challenge = header(&answer.headers, "www-authenticate");
            ensure!(answer.status == 401, "{path} with {key:?}: {}", answer.status);
            ensure!(challenge.is_none_or(|text| text.contains("Bearer")), "{path}");
        }
    }
    for path in ["/healthz", "/readyz", "/api/openapi.json"] {
        let answer = owner.with_key(None).get(path).await?;
        ensure!(answer.status == 200, "{path}: {}", answer.status);
    }
    Ok(())
}

async fn roles_are_enforced(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let owner = server.api()?;
    let mut keys = vec![("owner", server.key().to_owned())];
    for role in ["admin", "agent"] {
        let made = owner.post("/api/v1/api-keys", json!({"name": role, "role": role})).await?.expect(201)?;
        keys.push((role, made["key"].as_str().context("shown once")?.to_owned()));
    }
    let listed = owner.get("/api/v1/api-keys").await?.text;
    ensure!(keys.iter().all(|(_, key)| !listed.contains(key.as_str())), "a key is shown again");
    let rule = json!({"source": "//! A ROLE\n//!\n//! on: message.received\n\nset_priority(\"low\");\n"});
    // Call, body, and who may: the others get 403.
    let cases = [
        (Method::GET, "conversations", Value::Null, "owner admin agent"),
        (Method::GET, "me", Value::Null, "owner admin agent"),
        (Method::POST, "groups", json!({"name": "G-ROLE"}), "owner admin"),
        (Method::POST, "rules", rule, "owner admin"),
        (Method::GET, "api-keys", Value::Null, "owner admin"),
        (Method::GET, "raw-webhooks", Value::Null, "owner admin"),
        (Method::POST, "api-keys", json!({"name": "k-ROLE", "role": "owner"}), "owner"),
        (Method::POST, "users", json!({"email": "ROLE@x.example", "name": "N", "role": "owner"}), "owner"),
    ];
    for (method, path, body, allowed) in cases {
        for (role, key) in &keys {
            let body: Value = serde_json::from_str(&body.to_string().replace("ROLE", role))?;
            let body = (!body.is_null()).then_some(&body);
            let answer =
                owner.with_key(Some(key)).call(method.clone(), &format!("/api/v1/{path}"), body, &[]).await?;
            let is_allowed = allowed.split(' ').any(|name| name == *role);
            let expected = if is_allowed { 200..300 } else { 403..404 };
            ensure!(
                expected.contains(&answer.status),
                "{role} {}: {} {}",
                answer.call,
                answer.status,
                answer.text
            );
        }
    }
    Ok(())
}

async fn an_agent_sees_only_what_concerns_them(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "private matter").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let made =
        scene.api.post("/api/v1/api-keys", json!({"name": "a", "role": "agent"})).await?.expect(201)?;
    let agent = scene.api.with_key(made["key"].as_str());
    let billing = group(&scene.api, "Billing").await?;
    let path = format!("/api/v1/conversations/{}", id(&conversation)?);
    scene.api.post(&format!("{path}/route"), json!({"group": billing})).await?.expect(200)?;
    // The agent is in no group: neither lists nor direct paths may show it, nor say that it exists.
    ensure!(agent.list("/api/v1/conversations").await?.is_empty(), "listed");
    for part in ["", "/messages", "/timeline"] {
        agent.get(&format!("{path}{part}")).await?.problem(404, "not_found")?;
    }
    agent.post(&format!("{path}/messages"), json!({"text": "hi"})).await?.problem(404, "not_found")?;
    let answer = agent.delete(&path).await?;
    ensure!(matches!(answer.status, 403 | 404), "{}", answer.status);
    scene.api.get(&path).await?.expect(200)?;
    Ok(())
}

async fn a_revoked_key_ends_at_once(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let owner = server.api()?;
    let made =
        owner.post("/api/v1/api-keys", json!({"name": "short", "role": "admin"})).await?.expect(201)?;
    let admin = owner.with_key(made["key"].as_str());
    admin.get("/api/v1/me").await?.expect(200)?;
    let answer = owner.delete(&format!("/api/v1/api-keys/{}", id(&made)?)).await?;
    ensure!(matches!(answer.status, 200 | 204), "{} {}", answer.status, answer.text);
    ensure!(admin.get("/api/v1/me").await?.status == 401, "a revoked key works");
    Ok(())
}

async fn the_owner_link_works_once(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let link = server.ready().owner_link.clone().context("no owner link at the first start")?;
    let token =
        link.split_once("#token=").context("the token is in the fragment, so that no proxy logs it")?.1;
    let anonymous = server.api()?.with_key(None);
    let body = json!({"token": token, "email": "ana@shop.example", "name": "Ana", "password": "correct horse battery"});
    let answer = anonymous.post("/api/v1/signin", body.clone()).await?;
    let cookie = header(&answer.headers, "set-cookie").context("no session")?;
    ensure!(cookie.starts_with("pm_session=") && cookie.contains("HttpOnly"), "{cookie}");
    ensure!(cookie.contains("SameSite=Lax"), "{cookie}");
    let session = answer.expect(200)?;
    ensure!(session["user"]["role"] == "owner", "{session}");
    let again = anonymous.post("/api/v1/signin", body).await?;
    ensure!(again.status == 401, "the link works twice: {}", again.status);
    let wrong = json!({"email": "ana@shop.example", "password": "wrong"});
    ensure!(anonymous.post("/api/v1/signin", wrong).await?.status == 401);
    let right = json!({"email": "ana@shop.example", "password": "correct horse battery"});
    anonymous.post("/api/v1/signin", right).await?.expect(200)?;

    // The session writes only with its token against forged requests.
    let pair = cookie.split(';').next().unwrap_or_default();
    let csrf = session["csrf"].as_str().context("no csrf token")?;
    let body = json!({"name": "From the console"});
    let without = anonymous.call(Method::POST, "/api/v1/groups", Some(&body), &[("cookie", pair)]).await?;
    ensure!(without.status == 403, "{}", without.status);
    let headers = [("cookie", pair), ("x-csrf-token", csrf)];
    anonymous.call(Method::POST, "/api/v1/groups", Some(&body), &headers).await?.expect(201)?;
    anonymous.call(Method::POST, "/api/v1/signout", Some(&json!({})), &headers).await?.expect(204)?;
    let after = anonymous.call(Method::GET, "/api/v1/me", None, &[("cookie", pair)]).await?;
    ensure!(after.status == 401, "the session survives its end");
    Ok(())
}

async fn a_repeated_request_is_done_once(backend: Backend) -> Result<()> {
    let scene = Scene::quiet(Server::start(backend).await?).await?;
    scene.hear(CUSTOMER, 1, "hello").await?;
    let conversation = scene.conversation(CUSTOMER).await?;
    let path = format!("/api/v1/conversations/{}/messages", id(&conversation)?);
    let key = [("idempotency-key", "b1946ac92492d234")];
    let body = json!({"text": "only once"});
    let first = scene.api.call(Method::POST, &path, Some(&body), &key).await?.expect(201)?;
    let second = scene.api.call(Method::POST, &path, Some(&body), &key).await?.expect(201)?;
    ensure!(first["id"] == second["id"], "{first} {second}");
    let other = json!({"text": "something else"});
    let clash = scene.api.call(Method::POST, &path, Some(&other), &key).await?;
    ensure!(clash.status == 409, "{} {}", clash.status, clash.text);
    scene.outbound(CUSTOMER, "only once", &["sent"]).await?;
    let rows = messages(&scene.api, id(&conversation)?).await?;
    ensure!(crate::texts(&rows, "outbound") == ["only once"], "{rows:?}");
    ensure!(scene.vendor.sent().len() == 1, "{:?}", scene.vendor.sent());
    Ok(())
}

async fn a_stale_write_is_refused(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let api = server.api()?;
    let path = format!("/api/v1/groups/{}", group(&api, "Billing").await?);
    let read = api.get(&path).await?;
    let tag = header(&read.headers, "etag").context("no ETag")?;
    let fresh = [("if-match", tag.as_str())];
    api.call(Method::PATCH, &path, Some(&json!({"name": "Accounts"})), &fresh).await?.expect(200)?;
    let stale = api.call(Method::PATCH, &path, Some(&json!({"name": "Money"})), &fresh).await?;
    ensure!(stale.status == 412, "{} {}", stale.status, stale.text);
    ensure!(api.get(&path).await?.expect(200)?["name"] == "Accounts");
    Ok(())
}

async fn unknown_fields_are_named(backend: Backend) -> Result<()> {
    let server = Server::start(backend).await?;
    let answer = server.api()?.post("/api/v1/groups", json!({"nmae": "Typo"})).await?;
    ensure!(matches!(answer.status, 400 | 422), "{}", answer.status);
    ensure!(answer.text.contains("nmae") && answer.text.contains("name"), "{}", answer.text);
    Ok(())
}
