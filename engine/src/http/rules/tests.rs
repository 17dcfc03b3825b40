//! From a draft with mistakes to a published version.

use serde_json::json;

use crate::http::auth::Role;
use crate::http::testing::Stage;

const RULE: &str =
    "//! Greets\n//! on: message.received\n//! stage: reply\n//! position: 5\n\nsend_message(\"Hello\");\n";

#[tokio::test]
async fn a_rule_is_published_changed_and_published_again() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let made = stage.post("/api/v1/rules", &admin, json!({"source": RULE})).await;
    assert_eq!(made.header("etag"), "\"1\"");
    let made = made.expect(201);
    assert_eq!(
        (&made["name"], &made["stage"], &made["position"]),
        (&json!("Greets"), &json!("reply"), &json!(5))
    );
    assert_eq!((&made["on"], &made["version"]["number"]), (&json!(["message.received"]), &json!(1)));
    let path = format!("/api/v1/rules/{}", made["id"].as_str().unwrap());
    stage.post(&format!("{path}/publish"), &admin, json!({})).await.problem(409, "nothing_to_publish");

    let source = RULE.replace("Hello", "Good day");
    let changed = stage.patch(&path, &admin, json!({"source": source})).await.expect(200);
    assert_eq!(
        (&changed["source"], &changed["draft"]),
        (&json!(RULE), &json!(source)),
        "the old one still runs"
    );
    let published =
        stage.post(&format!("{path}/publish"), &admin, json!({"message": "politer"})).await.expect(200);
    assert_eq!((&published["source"], &published["draft"]), (&json!(source), &json!(null)));
    let versions = stage.get(&format!("{path}/versions?limit=1"), &admin).await.expect(200);
    assert_eq!(
        (&versions["items"][0]["number"], &versions["items"][0]["message"]),
        (&json!(2), &json!("politer"))
    );
    let next = versions["next"].as_str().unwrap();
    let older = stage.get(&format!("{path}/versions?cursor={next}"), &admin).await.expect(200);
    assert_eq!((&older["items"][0]["source"], &older["next"]), (&json!(RULE), &json!(null)));

    let off = stage.patch(&path, &admin, json!({"enabled": false})).await.expect(200);
    assert_eq!((&off["enabled"], &off["revision"]), (&json!(false), &json!(4)));
    assert_eq!(stage.get(&path, &admin).await.expect(200), off);
    let list = stage.get("/api/v1/rules", &admin).await.expect(200);
    assert_eq!(list["items"], json!([off]));
    stage.delete(&path, &admin).await.expect(204);
    stage.get(&path, &admin).await.problem(404, "not_found");
}

#[tokio::test]
async fn mistakes_come_with_line_advice_and_a_caret() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let source = "//! Greets\n//! on: message.received\n\nsend_mesage(\"Hello\");\n";
    let problem =
        stage.post("/api/v1/rules", &admin, json!({"source": source})).await.problem(422, "rule_invalid");
    let error = &problem["errors"][0];
    assert_eq!((&error["pointer"], &error["line"]), (&json!("/source"), &json!(4)), "{problem}");
    assert!(error["hint"].as_str().unwrap().contains("send_message"), "{problem}");
    assert!(error["excerpt"].as_str().unwrap().contains('^'), "{problem}");
    let checked = stage.post("/api/v1/rules/check", &admin, json!({"source": source})).await.expect(200);
    assert_eq!((&checked["ok"], &checked["problems"][0]["line"]), (&json!(false), &json!(4)));
    let source = "//! Routes\n//! on: message.received\n\nroute_to_group(\"Biling\");\n";
    stage.post("/api/v1/groups", &admin, json!({"name": "Billing"})).await.expect(201);
    let checked = stage.post("/api/v1/rules/check", &admin, json!({"source": source})).await.expect(200);
    assert!(checked["problems"][0]["hint"].as_str().unwrap().contains("Billing"), "{checked}");
    let sound = stage.post("/api/v1/rules/check", &admin, json!({"source": RULE})).await.expect(200);
    assert_eq!(sound, json!({"ok": true, "problems": [], "cases": []}));
}

#[tokio::test]
async fn failing_cases_keep_a_rule_from_being_published() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let case = |expect: &str| format!("[[case]]\nname = \"greets\"\nexpect = ['{expect}']\n");
    let bad = json!({"source": RULE, "cases": case("set_priority")});
    let problem = stage.post("/api/v1/rules", &admin, bad).await.problem(422, "cases_failed");
    assert_eq!(
        (&problem["errors"][0]["pointer"], &problem["errors"][0]["line"]),
        (&json!("/cases"), &json!(1))
    );
    let good = json!({"source": RULE, "cases": case("send_message(\"Hello\")")});
    stage.post("/api/v1/rules", &admin, good).await.expect(201);
    let twin = stage.post("/api/v1/rules", &admin, json!({"source": RULE})).await.problem(422, "invalid");
    assert!(twin["detail"].as_str().unwrap().contains("another rule is called"), "{twin}");
}

#[tokio::test]
async fn a_rule_is_not_switched_on_while_it_names_what_is_not_there() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let group = stage.post("/api/v1/groups", &admin, json!({"name": "Billing"})).await.expect(201);
    let source = "//! Routes\n//! on: message.received\n\nroute_to_group(\"Billing\");\n";
    let new = json!({"source": source, "enabled": false});
    let made = stage.post("/api/v1/rules", &admin, new).await.expect(201);
    let path = format!("/api/v1/rules/{}", made["id"].as_str().unwrap());
    stage.delete(&format!("/api/v1/groups/{}", group["id"].as_str().unwrap()), &admin).await.expect(204);
    stage.patch(&path, &admin, json!({"enabled": true})).await.problem(422, "rule_invalid");
    stage.post("/api/v1/groups", &admin, json!({"name": "Billing"})).await.expect(201);
    assert_eq!(stage.patch(&path, &admin, json!({"enabled": true})).await.expect(200)["enabled"], true);
}

#[tokio::test]
async fn a_warning_keeps_nothing_from_being_published() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let source = "//! Escalates\n//! on: conversation.updated\n//! chain: true\n\nif true {\n    escalate(1, \"x\");\n}\n";
    let answer = stage.post("/api/v1/rules/check", &admin, json!({"source": source})).await.expect(200);
    let problem = &answer["problems"][0];
    assert_eq!((&answer["ok"], &problem["line"]), (&json!(true), &json!(5)), "{answer}");
    assert_eq!((&problem["code"], &problem["severity"]), (&json!("constant_condition"), &json!("warning")));
    stage.post("/api/v1/rules", &admin, json!({"source": source})).await.expect(201);
    let both = source.replace("escalate(1,", "escalate(9,");
    let refused =
        stage.post("/api/v1/rules", &admin, json!({"source": both})).await.problem(422, "rule_invalid");
    assert_eq!(refused["errors"].as_array().map(Vec::len), Some(1), "{refused}");
    assert_eq!(refused["errors"][0]["severity"], "error");
}

// Semantics 12.
#[tokio::test]
async fn a_check_draws_the_loop_that_a_rule_would_close() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let rule =
        |name: &str, on: &str, body: &str| format!("//! {name}\n//! on: {on}\n//! chain: true\n\n{body}\n");
    let tag = rule("Tag", "conversation.escalated", "add_labels(\"x\");");
    stage.post("/api/v1/rules", &admin, json!({"source": tag})).await.expect(201);
    let source = rule("Escalate", "conversation.updated", "escalate(1, \"x\");");
    let answer = stage.post("/api/v1/rules/check", &admin, json!({"source": source})).await.expect(200);
    let problem = &answer["problems"][0];
    assert_eq!((&answer["ok"], &problem["code"]), (&json!(true), &json!("rule_loop")), "{answer}");
    let drawing = "Escalate → conversation.escalated → Tag → conversation.updated → Escalate";
    assert!(problem["message"].as_str().unwrap().ends_with(drawing), "{problem}");
}

#[tokio::test]
async fn editors_can_read_the_whole_language() {
    let stage = Stage::new().await;
    let agent = stage.key(Role::Agent).await;
    let language = stage.get("/api/v1/rules/vocabulary", &agent).await.expect(200);
    let names = |list: &str, key: &str| -> Vec<String> {
        language[list].as_array().unwrap().iter().map(|it| it[key].as_str().unwrap().to_owned()).collect()
    };
    assert!(names("events", "name").contains(&"schedule.tick".to_owned()));
    assert!(names("functions", "name").contains(&"route_to_group".to_owned()));
    assert!(names("facts", "name").contains(&"conversation".to_owned()));
    assert!(names("header", "key").contains(&"where".to_owned()));
}

#[tokio::test]
async fn a_form_is_written_checked_and_read_again() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    stage.post("/api/v1/groups", &admin, json!({"name": "Billing"})).await.expect(201);
    let mut form = json!({
        "name": "Billing questions", "on": ["message.received"],
        "when": {"test": {"fact": "message.text", "is": "contains_any", "value": ["refund"]}},
        "do": [{"call": "route_to_group", "with": ["Biling"]}],
    });
    let written = stage.post("/api/v1/rules/form", &admin, json!({"form": form})).await.expect(200);
    assert_eq!(written["problems"][0]["hint"], "did you mean `Billing`?", "{written}");
    form["do"][0]["with"][0] = json!("Billing");
    let written = stage.post("/api/v1/rules/form", &admin, json!({"form": form})).await.expect(200);
    assert_eq!(written["problems"], json!([]));
    let source = &written["source"];
    stage.post("/api/v1/rules", &admin, json!({"source": source})).await.expect(201);
    let read = stage.post("/api/v1/rules/form/read", &admin, json!({"source": source})).await.expect(200);
    assert_eq!(read, json!({"form": form, "why": null}));
    let loops = json!({"source": "//! A\n//! on: message.received\nfor x in [1] { archive(); }"});
    let read = stage.post("/api/v1/rules/form/read", &admin, loops).await.expect(200);
    assert_eq!(read, json!({"form": null, "why": "line 3: a form has no field for a loop"}));
    form["do"][0]["call"] = json!("archive(); evil");
    let refused =
        stage.post("/api/v1/rules/form", &admin, json!({"form": form})).await.problem(422, "invalid");
    assert_eq!(refused["errors"][0]["pointer"], "/form/do/0/call", "{refused}");
    form["when"]["test"]["sign"] = json!("==");
    stage.post("/api/v1/rules/form", &admin, json!({"form": form})).await.problem(422, "invalid");
}
