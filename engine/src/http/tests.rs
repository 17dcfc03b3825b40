//! What holds for every endpoint: who may enter, how problems look, and what
//! surrounds a request.

use axum::Router;
use axum::routing::get;
use serde_json::json;
use tower::ServiceExt as _;

use super::auth::Role;
use super::testing::Stage;
use super::{layers, rate};

mod roles;
mod strangers;

#[tokio::test]
async fn callers_without_a_valid_credential_are_turned_away() {
    let stage = Stage::new().await;
    let problem = stage.send("GET", "/api/v1/audit", &[], None).await;
    assert_eq!(problem.header("www-authenticate"), "Bearer");
    assert!(problem.header("x-request-id").starts_with("req_"));
    problem.problem(401, "unauthorized");
    stage.get("/api/v1/audit", "pm_wrong").await.problem(401, "unauthorized");
    stage
        .send("GET", "/api/v1/audit", &[("authorization", "Basic eDp5")], None)
        .await
        .problem(401, "unauthorized");
    stage
        .send("GET", "/api/v1/audit", &[("cookie", "pm_session=x")], None)
        .await
        .problem(401, "unauthorized");
    let agent = stage.key(Role::Agent).await;
    let problem = stage.get("/api/v1/audit", &agent).await.problem(403, "forbidden");
    assert!(problem["detail"].as_str().unwrap().contains("role admin"), "{problem}");
    let admin = stage.key(Role::Admin).await;
    assert_eq!(stage.get("/api/v1/audit", &admin).await.expect(200), json!({"items": [], "next": null}));
}

#[tokio::test]
async fn unknown_paths_methods_and_parameters_are_told() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    stage.get("/api/v1/nothing", &admin).await.problem(404, "no_such_path");
    stage.delete("/api/v1/audit", &admin).await.problem(405, "method_not_allowed");
    stage.get("/api/v1/audit?limit=0", &admin).await.problem(400, "bad_query");
    stage.get("/api/v1/audit?limt=5", &admin).await.problem(400, "bad_query");
    stage.get("/api/v1/audit?cursor=zzz", &admin).await.problem(400, "bad_cursor");
}

#[tokio::test]
async fn a_key_that_is_too_fast_has_to_wait() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let id = admin.strip_prefix("pm_").unwrap();
    while stage.api.limits.take(id, rate::CALLER).is_ok() {}
    let answer = stage.get("/api/v1/audit", &admin).await;
    assert_eq!(answer.header("retry-after"), "1");
    answer.problem(429, "rate_limited");
}

#[tokio::test]
async fn a_rules_url_that_is_called_without_measure_has_to_wait() {
    let stage = Stage::new().await;
    let key = "a-key-that-no-rule-has";
    let path = format!("/hooks/rules/{key}");
    stage.send("POST", &path, &[], None).await.problem(404, "unknown_hook");
    while stage.api.limits.take(&format!("rule hook {key}"), rate::RULE_HOOK).is_ok() {}
    let answer = stage.send("POST", &path, &[], None).await;
    assert_eq!(answer.header("retry-after"), "1");
    answer.problem(429, "rate_limited");
}

#[tokio::test]
async fn a_panic_becomes_a_problem_without_its_text() {
    let stage = Stage::new().await;
    async fn broken() -> &'static str {
        panic!("secret detail")
    }
    let router = layers::around(Router::new().route("/broken", get(broken)), stage.api.clone());
    let request = axum::http::Request::get("/broken").body(axum::body::Body::empty()).unwrap();
    let response = router.with_state(stage.api.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.status().as_u16(), 500);
    let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(json["code"], "internal");
    assert!(!json.to_string().contains("secret detail"));
}

#[tokio::test]
async fn no_answer_but_the_chat_page_may_be_framed_or_load_anything() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let answers = [
        stage.get("/api/v1/audit", &admin).await,
        stage.get("/api/v1/nothing", &admin).await,
        stage.send("POST", "/hooks/nobody", &[], None).await,
        stage.send("GET", "/chat/nobody", &[], None).await,
        stage.send("GET", "/healthz", &[], None).await,
    ];
    for answer in answers {
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
    }
    let page = stage.send("GET", "/signin", &[], None).await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
}

#[tokio::test]
async fn a_process_that_goes_down_closes_its_door_but_stays_visible() {
    let stage = Stage::new().await;
    assert_eq!(stage.send("GET", "/readyz", &[], None).await.status.as_u16(), 200);
    stage.api.drain();
    let answer = stage.send("GET", "/api/v1/audit", &[], None).await;
    assert_eq!(answer.header("retry-after"), "5");
    answer.problem(503, "draining");
    assert_eq!(stage.send("GET", "/healthz", &[], None).await.status.as_u16(), 200);
    assert_eq!(stage.send("GET", "/readyz", &[], None).await.status.as_u16(), 503);
}

#[tokio::test]
async fn metrics_are_for_admins_and_name_what_was_done() {
    let stage = Stage::new().await;
    stage.send("GET", "/metrics", &[], None).await.problem(401, "unauthorized");
    stage.api.metrics.webhook("stored");
    let admin = stage.key(Role::Admin).await;
    let answer = stage.get("/metrics", &admin).await;
    for name in [
        "pointsman_sql_statements_total ",
        "pointsman_sql_commits_total ",
        "pointsman_sql_syncs_total ",
        "pointsman_webhooks_total{outcome=\"stored\"} 1",
        "pointsman_http_requests_total{route=\"/metrics\",method=\"GET\",status=\"401\"} 1",
    ] {
        assert!(answer.text.contains(name), "{name} is missing in {}", answer.text);
    }
    let forwarded = [("x-forwarded-for", "1.2.3.4")];
    stage.send("GET", "/metrics", &forwarded, None).await.problem(401, "unauthorized");
}
