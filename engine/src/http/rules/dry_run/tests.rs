//! Dry runs on events that are made up; stored ones are tried by the stories.

use serde_json::json;

use crate::http::auth::Role;
use crate::http::testing::Stage;

const RULE: &str = "//! Refunds\n//! on: message.received\n//! stage: reply\n\n\
    if message.text.has_word(\"refund\") && conversation.priority == \"high\" {\n    send_message(\"Sorry!\");\n}\n";
const PATH: &str = "/api/v1/rules/dry-run";

#[tokio::test]
async fn a_text_is_tried_on_a_situation_that_never_was() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let given = json!({"message": {"text": "a refund"}, "conversation": {"priority": "high"}});
    let body = json!({"source": RULE, "given": given, "lines": true});
    let answer = stage.post(PATH, &admin, body).await.expect(200);
    assert_eq!(
        (&answer["facts_are"], &answer["event"]["type"]),
        (&json!("invented"), &json!("message.received"))
    );
    let run = &answer["rules"][0];
    assert_eq!((&run["outcome"], &run["version"]), (&json!("matched"), &json!(null)), "{answer}");
    assert_eq!(run["intents"][0]["call"], "send_message(\"Sorry!\")");
    assert_eq!(answer["planned"][0]["line"], 6);
    assert_eq!(run["lines"]["conditions"][0]["looks"][0]["parts"][1]["parts"][0]["value"], "high", "{run}");
    assert!(answer["facts"]["channel"].get("capabilities").is_none());

    let body = json!({"source": RULE, "given": {"message": {"text": "hello"}}});
    let run = stage.post(PATH, &admin, body).await.expect(200)["rules"][0].clone();
    assert_eq!((&run["outcome"], &run["lines"]), (&json!("not_matched"), &json!(null)));

    let body = json!({"source": RULE, "given": given, "caused_by_rule": true});
    let run = stage.post(PATH, &admin, body).await.expect(200)["rules"][0].clone();
    assert_eq!((&run["outcome"], &run["reason"]), (&json!("skipped"), &json!("caused_by_rule")));
    assert!(run["sentence"].as_str().unwrap().contains("chain: true"), "{run}");

    let body = json!({"source": RULE, "event": {"type": "conversation.ended"}});
    let run = stage.post(PATH, &admin, body).await.expect(200)["rules"][0].clone();
    assert_eq!(run["outcome"], "not_subscribed", "{run}");
}

#[tokio::test]
async fn what_cannot_be_is_named() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let body = json!({"source": RULE, "given": {"message": {"txt": "x"}}});
    let problem = stage.post(PATH, &admin, body).await.problem(422, "invalid");
    assert!(problem["errors"][0]["message"].as_str().unwrap().contains("`text`"), "{problem}");
    stage.post(PATH, &admin, json!({"source": "//! X\n"})).await.problem(422, "rule_invalid");
    let event = json!({"source": RULE, "event_id": "evt_01jd0000000000000000000000"});
    stage.post(PATH, &admin, event).await.problem(404, "not_found");
    stage.post(PATH, &admin, json!({"rule": "rul_x"})).await.problem(422, "invalid");
    let agent = stage.key(Role::Agent).await;
    stage.post(PATH, &agent, json!({"source": RULE})).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_draft_is_tried_before_it_is_published_and_all_published_rules_together() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let made = stage.post("/api/v1/rules", &admin, json!({"source": RULE})).await.expect(201);
    let id = made["id"].as_str().unwrap();
    let draft = RULE.replace("Sorry!", "So sorry!");
    stage.patch(&format!("/api/v1/rules/{id}"), &admin, json!({"source": draft})).await.expect(200);
    let given = json!({"message": {"text": "refund"}, "conversation": {"priority": "high"}});
    let tried = |body: serde_json::Value| {
        let mut body = body;
        body["given"] = given.clone();
        let (stage, admin) = (&stage, &admin);
        async move { stage.post(PATH, admin, body).await.expect(200)["planned"][0]["call"].clone() }
    };
    assert_eq!(tried(json!({"rule": id})).await, "send_message(\"So sorry!\")");
    assert_eq!(tried(json!({"rule": id, "published": true})).await, "send_message(\"Sorry!\")");
    assert_eq!(tried(json!({})).await, "send_message(\"Sorry!\")", "all published rules");
}
