//! Beginning, stopping and listing backtests, and switching shadows; what they
//! find is told by the stories.

use serde_json::json;

use crate::http::auth::Role;
use crate::http::testing::Stage;

const RULE: &str = "//! Refunds\n//! on: message.received\n\narchive();\n";

async fn rule(stage: &Stage, admin: &str) -> String {
    let made = stage.post("/api/v1/rules", admin, json!({"source": RULE})).await.expect(201);
    format!("/api/v1/rules/{}", made["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_backtest_is_begun_watched_and_stopped() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let path = rule(&stage, &admin).await;
    let begin = format!("{path}/backtest");
    stage.post(&begin, &admin, json!({"days": 0})).await.problem(422, "invalid");
    stage.post(&begin, &admin, json!({"source": "//! X\n"})).await.problem(422, "rule_invalid");
    let begun = stage.post(&begin, &admin, json!({"days": 3})).await.expect(202);
    assert_eq!((&begun["state"], &begun["events_total"]), (&json!("running"), &json!(0)));
    let one = format!("/api/v1/backtests/{}", begun["id"].as_str().unwrap());
    stage.delete(&one, &admin).await.expect(204);
    stage.delete(&one, &admin).await.expect(204);
    assert_eq!(stage.get(&one, &admin).await.expect(200)["state"], "cancelled");
    for _ in 0..5 {
        stage.post(&begin, &admin, json!({})).await.expect(202);
    }
    stage.post(&begin, &admin, json!({})).await.problem(409, "too_many_backtests");
    let all = stage.get(&format!("{path}/backtests"), &admin).await.expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 6);
    let agent = stage.key(Role::Agent).await;
    stage.get(&one, &agent).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_shadow_needs_a_draft_and_is_switched_off() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let path = rule(&stage, &admin).await;
    let shadow = format!("{path}/shadow");
    assert_eq!(stage.get(&shadow, &admin).await.expect(200)["on"], false);
    stage.post(&shadow, &admin, json!({"on": true})).await.problem(409, "no_draft");
    stage.patch(&path, &admin, json!({"source": RULE.replace("archive", "reopen")})).await.expect(200);
    let on = stage.post(&shadow, &admin, json!({"on": true})).await.expect(200);
    assert_eq!((&on["on"], on["source"].as_str().unwrap().contains("reopen")), (&json!(true), true));
    let again = stage.post(&shadow, &admin, json!({"on": true})).await.expect(200);
    assert_ne!(again["id"], on["id"], "it begins anew");
    let off = stage.post(&shadow, &admin, json!({"on": false})).await.expect(200);
    assert_eq!((&off["on"], &off["id"]), (&json!(false), &again["id"]));
}
