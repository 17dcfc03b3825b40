//! Settings that are merged and checked, an export that is whole, and an end.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::flow::jobs::{Outcome, Round};
use crate::flow::tenant;
use crate::http::auth::Role;
use crate::http::testing::Stage;
use crate::store::groups::{self, tests::example};

#[tokio::test]
async fn settings_are_merged_checked_and_audited() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let shown = stage.get("/api/v1/tenant", &admin).await.expect(200);
    assert_eq!((&shown["settings"]["idle_end_minutes"], &shown["version"]), (&json!(10), &json!(1)));
    let change = json!({"name": "Shop", "settings": {"country": "es", "retention": {"rule_runs_days": 90}}});
    let shown = stage.patch("/api/v1/tenant", &admin, change).await.expect(200);
    assert_eq!((&shown["settings"]["country"], &shown["name"]), (&json!("ES"), &json!("Shop")));
    let change = json!({"settings": {"idle_end_minutes": 3}});
    let shown = stage.patch("/api/v1/tenant", &admin, change).await.expect(200);
    assert_eq!(
        (&shown["settings"]["country"], &shown["settings"]["idle_end_minutes"]),
        (&json!("ES"), &json!(3))
    );
    assert_eq!(shown["settings"]["retention"]["rule_runs_days"], 90);
    let wrong = json!({"settings": {"country": "Spain", "retention": {"webhooks_days": 4},
        "quotas": {"starts": {"starts_max": 0, "minutes": 1}}}});
    let problem = stage.patch("/api/v1/tenant", &admin, wrong).await.problem(422, "invalid");
    let pointers: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
    let wanted =
        ["/settings/country", "/settings/quotas/starts/starts_max", "/settings/retention/redelivery_days"];
    assert_eq!(pointers, wanted);
    let wrong = json!({"settings": {"contry": "ES"}});
    let problem = stage.patch("/api/v1/tenant", &admin, wrong).await.problem(422, "invalid");
    assert!(problem.to_string().contains("did you mean `country`?"), "{problem}");
    let audit = stage.get("/api/v1/audit?action=tenant.", &admin).await.expect(200);
    assert_eq!(audit["items"][1]["before"]["name"], "Default");
    assert_eq!(audit["items"][0]["after"]["settings"]["idle_end_minutes"], 3);
    let flow = &stage.api.flow;
    let view = flow.catalog.view(flow, stage.tenant).await.unwrap();
    assert_eq!(view.settings.country.as_deref(), Some("ES"));
}

#[tokio::test]
async fn an_export_has_everything_and_says_that_it_is_whole() {
    let stage = Stage::new().await;
    let (owner, admin) = (stage.key(Role::Owner).await, stage.key(Role::Admin).await);
    let tenant = stage.tenant;
    stage
        .write(move |tx| {
            Box::pin(async move {
                for n in 0..205 {
                    let group = example(n, &format!("G{n}"));
                    groups::insert(tx, tenant, &group).await?;
                }
                Ok(())
            })
        })
        .await;
    stage.get("/api/v1/tenant/export", &admin).await.problem(403, "forbidden");
    let text = stage.get("/api/v1/tenant/export", &owner).await.text;
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["type"], "tenant");
    assert_eq!(lines.iter().filter(|line| line["type"] == "group").count(), 205, "over more than one page");
    let end = lines.last().unwrap();
    assert_eq!((&end["type"], &end["lines"]), (&json!("end"), &json!(lines.len())));
}

#[tokio::test]
async fn a_deleted_tenant_takes_no_writes_and_is_gone_in_the_end() {
    let stage = Stage::new().await;
    let (owner, admin) = (stage.key(Role::Owner).await, stage.key(Role::Admin).await);
    stage.post("/api/v1/groups", &owner, json!({"name": "G"})).await.expect(201);
    stage.delete("/api/v1/tenant?confirm=Default", &admin).await.problem(403, "forbidden");
    stage.delete("/api/v1/tenant?confirm=default", &owner).await.problem(422, "confirmation_required");
    let shown = stage.delete("/api/v1/tenant?confirm=Default", &owner).await.expect(202);
    assert!(shown["deleting_since"].is_string(), "{shown}");
    stage.post("/api/v1/groups", &owner, json!({"name": "H"})).await.problem(409, "tenant_deleting");
    stage.get("/api/v1/groups", &owner).await.expect(200);
    let round = Round { flow: stage.api.flow.clone(), tenant: stage.tenant, stop: CancellationToken::new() };
    assert_eq!(tenant::erase(&round).await.unwrap(), Outcome::Snoozed, "it looks once more");
    assert_eq!(tenant::erase(&round).await.unwrap(), Outcome::Done);
    stage.get("/api/v1/groups", &owner).await.problem(401, "unauthorized");
}
