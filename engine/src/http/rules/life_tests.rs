//! A rule's life over the API: drafts with failing cases, versions and their
//! differences, going back, planned publication, order, and what parks a rule.

use pointsman_rules::ids::{EventId, RuleId, RuleVersionId};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::flow::jobs::{Outcome, Round};
use crate::flow::publishing::publish_due;
use crate::flow::rule_watch::FAILURES_MAX;
use crate::http::auth::Role;
use crate::http::testing::{NOW_MS, Stage};
use crate::store::rule_health::{self, Failure};

fn rule(name: &str, keys: &str, body: &str) -> String {
    format!("//! {name}\n//! on: message.received\n{keys}\n{body}\n")
}

async fn made(stage: &Stage, admin: &str, source: &str) -> (String, Value) {
    let made = stage.post("/api/v1/rules", admin, json!({"source": source})).await.expect(201);
    (format!("/api/v1/rules/{}", made["id"].as_str().unwrap()), made)
}

#[tokio::test]
async fn a_version_is_read_compared_and_gone_back_to() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let (one, two) = (rule("Tidies", "", "archive();"), rule("Tidies", "", "reopen();"));
    let (path, _) = made(&stage, &admin, &one).await;
    stage.get(&format!("{path}/diff"), &admin).await.problem(409, "no_draft");
    stage.patch(&path, &admin, json!({"source": two})).await.expect(200);
    let diff = stage.get(&format!("{path}/diff"), &admin).await.expect(200);
    assert_eq!((&diff["from"], &diff["to"]), (&json!("version 1"), &json!("draft")));
    let text = diff["diff"].as_str().unwrap();
    assert!(text.contains("\n-archive();\n+reopen();\n") && !text.contains("+//!"), "{text}");
    stage.post(&format!("{path}/publish"), &admin, json!({})).await.expect(200);
    stage.get(&format!("{path}/diff?from=x&to=2"), &admin).await.problem(422, "invalid");
    let same = stage.get(&format!("{path}/diff?from=2&to=published"), &admin).await.expect(200);
    assert_eq!(same["diff"], "");
    let first = stage.get(&format!("{path}/versions/1"), &admin).await.expect(200);
    assert_eq!(first["source"], one);
    stage.get(&format!("{path}/versions/3"), &admin).await.problem(404, "not_found");

    stage.patch(&path, &admin, json!({"source": rule("Tidies", "", "snooze(\"x\");")})).await;
    stage
        .post(&format!("{path}/rollback"), &admin, json!({"version": 2}))
        .await
        .problem(409, "already_published");
    let back = stage.post(&format!("{path}/rollback"), &admin, json!({"version": 1})).await.expect(200);
    assert_eq!((&back["source"], &back["version"]["number"]), (&json!(one), &json!(3)));
    let versions = stage.get(&format!("{path}/versions"), &admin).await.expect(200);
    assert_eq!(versions["items"][0]["message"], "back to version 1");
    assert_eq!(versions["items"][0]["author_name"], "test", "the key's name");
    // The gate applies: today's cases judge the old text.
    let cases = "[[case]]\nname = \"reopens\"\nexpect = ['reopen()']\n";
    let saved = stage.patch(&path, &admin, json!({"cases": cases})).await.expect(200);
    assert_eq!(saved["cases_result"][0]["passed"], false, "{saved}");
    stage.post(&format!("{path}/rollback"), &admin, json!({"version": 1})).await.problem(422, "cases_failed");
    let back = stage.post(&format!("{path}/rollback"), &admin, json!({"version": 2})).await.expect(200);
    assert_eq!(back["version"]["number"], 4);
}

// Semantics 12.
#[tokio::test]
async fn a_draft_is_saved_with_failing_cases_and_not_published() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let cases = "[[case]]\nname = \"archives\"\nexpect = ['archive()']\n";
    let draft = json!({"source": rule("Tidies", "", "reopen();"), "cases": cases, "publish": false});
    let made = stage.post("/api/v1/rules", &admin, draft).await.expect(201);
    assert_eq!(made["cases_result"][0]["passed"], false, "{made}");
    let path = format!("/api/v1/rules/{}", made["id"].as_str().unwrap());
    stage.post(&format!("{path}/publish"), &admin, json!({})).await.problem(422, "cases_failed");
    stage.delete(&format!("{path}/draft"), &admin).await.problem(409, "never_published");
    let good = json!({"source": rule("Tidies", "", "archive();")});
    let saved = stage.patch(&path, &admin, good).await.expect(200);
    assert_eq!(saved["cases_result"][0]["passed"], true, "{saved}");
    stage.post(&format!("{path}/publish"), &admin, json!({})).await.expect(200);
    stage.delete(&format!("{path}/draft"), &admin).await.problem(409, "no_draft");
    let saved = stage.patch(&path, &admin, json!({"enabled": true})).await.expect(200);
    assert!(saved.get("cases_result").is_none(), "nothing was saved that cases judge");
}

#[tokio::test]
async fn a_planned_draft_publishes_itself_or_says_why_not() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let boss = stage.user("boss@example.com", Role::Admin).await;
    let (path, _) = made(&stage, &admin, &rule("Tidies", "", "archive();")).await;
    let next = rule("Tidies", "", "reopen();");
    stage.patch(&path, &admin, json!({"source": next})).await.expect(200);
    let publish = format!("{path}/publish");
    stage.post(&publish, &admin, json!({"at": "2025-11-21T07:59:00Z"})).await.problem(422, "invalid");
    let plan = json!({"at": "2025-11-21T09:00:00Z", "message": "from nine on"});
    let planned = stage.post(&publish, &admin, plan.clone()).await.expect(200);
    assert_eq!(planned["publish_at"], "2025-11-21T09:00:00.000Z");
    assert_eq!(stage.delete(&publish, &admin).await.expect(200)["publish_at"], json!(null));
    stage.post(&publish, &admin, plan.clone()).await.expect(200);
    let changed = stage.patch(&path, &admin, json!({"source": format!("{next}\n")})).await.expect(200);
    assert_eq!(changed["publish_at"], json!(null), "another text was planned");
    stage.patch(&path, &admin, json!({"source": next})).await.expect(200);
    stage.post(&publish, &admin, plan.clone()).await.expect(200);

    let flow = stage.api.flow.clone();
    let round = Round { flow, tenant: stage.tenant, stop: CancellationToken::new() };
    stage.api.flow.clock.advance(3_599_000);
    publish_due(&round).await.unwrap();
    assert_eq!(stage.get(&path, &admin).await.expect(200)["version"]["number"], 1, "not a second early");
    stage.api.flow.clock.advance(1_000);
    assert_eq!(publish_due(&round).await.unwrap(), Outcome::Done);
    let published = stage.get(&path, &admin).await.expect(200);
    assert_eq!((&published["source"], &published["publish_at"]), (&json!(next), &json!(null)));
    let versions = stage.get(&format!("{path}/versions"), &admin).await.expect(200);
    assert_eq!(versions["items"][0]["message"], "from nine on");
    publish_due(&round).await.unwrap();
    assert_eq!(stage.get(&path, &admin).await.expect(200)["version"]["number"], 2, "once");

    let group = stage.post("/api/v1/groups", &admin, json!({"name": "Billing"})).await.expect(201);
    let routes = rule("Tidies", "", "route_to_group(\"Billing\");");
    stage.patch(&path, &admin, json!({"source": routes})).await.expect(200);
    stage.post(&publish, &admin, json!({"at": "2025-11-21T10:00:00Z"})).await.expect(200);
    stage.delete(&format!("/api/v1/groups/{}", group["id"].as_str().unwrap()), &admin).await.expect(204);
    stage.api.flow.clock.advance(3_600_000);
    publish_due(&round).await.unwrap();
    let kept = stage.get(&path, &admin).await.expect(200);
    assert_eq!((&kept["source"], &kept["draft"]), (&json!(next), &json!(routes)));
    assert_eq!(kept["publish_problem"]["code"], "rule_invalid");
    let told = stage.get("/api/v1/notifications", &admin).await.expect(200);
    assert_eq!(
        (&told["items"][0]["kind"], &told["items"][0]["user"]),
        (&json!("rule"), &json!(boss.to_string()))
    );
}

// Semantics 1.
#[tokio::test]
async fn an_order_stands_in_the_texts() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let (a, first) = made(&stage, &admin, &rule("A", "//! position: 10\n", "archive();")).await;
    let (b, second) = made(&stage, &admin, &rule("B", "", "archive();")).await;
    let draft = json!({"source": rule("C", "", "archive();"), "publish": false});
    let third = stage.post("/api/v1/rules", &admin, draft).await.expect(201);
    let ids = |rules: &[&Value]| json!({"ids": rules.iter().map(|it| &it["id"]).collect::<Vec<_>>()});
    stage.post("/api/v1/rules/order", &admin, ids(&[&first, &second])).await.problem(422, "order_incomplete");
    let doubled = ids(&[&first, &second, &second]);
    stage.post("/api/v1/rules/order", &admin, doubled).await.problem(422, "order_incomplete");
    let wanted = ids(&[&third, &second, &first]);
    let ordered = stage.post("/api/v1/rules/order", &admin, wanted.clone()).await.expect(200);
    let listed = stage.get("/api/v1/rules", &admin).await.expect(200);
    assert_eq!(ordered["items"], listed["items"]);
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["C", "B", "A"]);
    assert!(listed["items"][0]["draft"].as_str().unwrap().contains("//! position: 10\n"));
    let moved = stage.get(&a, &admin).await.expect(200);
    assert_eq!((&moved["position"], &moved["version"]["number"]), (&json!(30), &json!(2)));
    assert!(moved["source"].as_str().unwrap().contains("//! position: 30\n"), "{moved}");
    stage.post("/api/v1/rules/order", &admin, wanted).await.expect(200);
    assert_eq!(stage.get(&b, &admin).await.expect(200)["version"]["number"], 2, "nothing moved");
}

// Semantics 9.
#[tokio::test]
async fn a_parked_rule_says_why_and_is_resumed_or_mended() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let (path, rule_view) = made(&stage, &admin, &rule("Fails", "", "archive();")).await;
    stage.post(&format!("{path}/resume"), &admin, json!({})).await.problem(409, "not_parked");
    let id: RuleId = rule_view["id"].as_str().unwrap().parse().unwrap();
    let version: RuleVersionId = rule_view["version"]["id"].as_str().unwrap().parse().unwrap();
    let tenant = stage.tenant;
    let park = || {
        stage.write(move |tx| {
            Box::pin(async move {
                for n in 1..=5 {
                    let event = EventId::new(NOW_MS, n);
                    let it = Failure { version, event, problem: format!("problem {n}"), at_ms: NOW_MS };
                    rule_health::failed(tx, tenant, id, &it, FAILURES_MAX).await?;
                }
                Ok(())
            })
        })
    };
    park().await;
    stage.api.changed(tenant, None);
    let shown = stage.get(&path, &admin).await.expect(200);
    assert_eq!((&shown["parked"]["failures"], &shown["parked"]["problem"]), (&json!(5), &json!("problem 5")));
    let view = stage.api.flow.catalog.view(&stage.api.flow, tenant).await.unwrap();
    assert!(view.rules.rules().is_empty(), "it does not run");
    let holds = stage.get(&format!("{path}/parked"), &admin).await.expect(200);
    assert_eq!((&holds["parked"], &holds["conversations"]), (&shown["parked"], &json!([])));
    let resumed = stage.post(&format!("{path}/resume"), &admin, json!({})).await.expect(200);
    assert_eq!(resumed["parked"], json!(null));
    assert_eq!(stage.get(&path, &admin).await.expect(200), resumed);
    let view = stage.api.flow.catalog.view(&stage.api.flow, tenant).await.unwrap();
    assert_eq!(view.rules.rules().len(), 1);

    park().await;
    stage.patch(&path, &admin, json!({"source": rule("Fails", "", "reopen();")})).await.expect(200);
    assert!(stage.get(&path, &admin).await.expect(200)["parked"].is_object(), "a draft mends nothing");
    let mended = stage.post(&format!("{path}/publish"), &admin, json!({})).await.expect(200);
    assert_eq!(mended["parked"], json!(null));
    assert_eq!(stage.get(&path, &admin).await.expect(200), mended);
}

// Semantics 14.
#[tokio::test]
async fn agents_see_what_they_may_run_by_hand() {
    let stage = Stage::new().await;
    let (admin, agent) = (stage.key(Role::Admin).await, stage.key(Role::Agent).await);
    made(&stage, &admin, &rule("By itself", "", "archive();")).await;
    made(&stage, &admin, "//! By hand\n//! on: rule.manual\n\narchive();\n").await;
    let listed = stage.get("/api/v1/rules?on=rule.manual", &agent).await.expect(200);
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["By hand"]);
    stage.get("/api/v1/rules?on=rule.manuel", &agent).await.problem(422, "invalid");
}
