//! Another tenant's owner × every operation that names something: what is not
//! theirs is not there, whatever they ask of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::http::auth::Role;
use crate::http::document;
use crate::http::testing::{NOW_MS, Stage};
use crate::store::channels::{self, tests::example};
use crate::store::tenants::{self, Tenant};
use crate::store::views_fixture::{self as rows, Thread};

/// One of each kind in the stage's tenant: the first word of its path to its id.
async fn furnish(stage: &Stage, owner: &str) -> BTreeMap<&'static str, String> {
    let made = async |path: &str, body: Value| {
        let row = stage.post(&format!("/api/v1/{path}"), owner, body).await.expect(201);
        row["id"].as_str().unwrap_or_default().to_owned()
    };
    let rule = "//! A rule\n//!\n//! on: message.received\n\nset_priority(\"low\");\n";
    let mut ids = BTreeMap::from([
        ("groups", made("groups", json!({"name": "Ours"})).await),
        ("users", made("users", json!({"email": "a@x.test", "name": "A", "role": "agent"})).await),
        ("api-keys", made("api-keys", json!({"name": "k", "role": "agent"})).await),
        ("calendars", made("calendars", json!({"name": "C", "timezone": "UTC", "intervals": []})).await),
        ("rules", made("rules", json!({"source": rule})).await),
        ("rule-hooks", made("rule-hooks", json!({"name": "shop"})).await),
        (
            "webhooks",
            made("webhooks", json!({"name": "w", "url": "https://example.com/in", "events": ["*"]})).await,
        ),
        ("knowledge", made("knowledge", json!({"title": "Hours", "text": "From nine."})).await),
        ("contacts", made("contacts", json!({"name": "Kim"})).await),
    ]);
    let (db, tenant) = (&stage.api.flow.db, stage.tenant);
    Thread::new(1).add(db).await;
    rows::add_message(db, 1, (1, 10), ("inbound", "contact", None), None).await;
    stage.write(move |tx| Box::pin(async move { channels::insert(tx, tenant, &example(1)).await })).await;
    ids.insert("conversations", rows::conversation(1).to_string());
    ids.insert("messages", rows::message(10).to_string());
    ids.insert("channels", example(1).id.to_string());
    ids
}

// S93
#[tokio::test]
async fn another_tenants_things_are_not_there() {
    let stage = Stage::new().await;
    let owner = stage.key(Role::Owner).await;
    let other = rows::tenant(2);
    stage
        .write(move |tx| {
            Box::pin(
                async move { tenants::insert(tx, &Tenant { id: other, name: "Other".into() }, NOW_MS).await },
            )
        })
        .await;
    let stranger = stage.key_of(other, Role::Owner).await;
    let ids = furnish(&stage, &owner).await;
    let document = serde_json::to_value(document()).unwrap();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let kind = path.split('/').nth(3).unwrap();
        // Only paths whose id is one of the things above; `/webhooks/deliveries/{id}` and the like name others.
        let Some(id) = ids.get(kind).filter(|_| path.starts_with(&format!("/api/v1/{kind}/{{id}}"))) else {
            continue;
        };
        let at = path.replace("{id}", id).replace("{action}", "archive").replace("{number}", "1");
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let body = (method != "GET" && method != "DELETE").then(|| json!({}));
            let status = async |key: &str| {
                let auth = format!("Bearer {key}");
                stage.status(&method, &at, &[("authorization", &auth)], body.clone()).await
            };
            let (theirs, ours) =
                (status(&stranger).await, if method == "GET" { status(&owner).await } else { 200 });
            // 400 and 422: what they sent was refused before anybody looked for the thing.
            assert!(matches!(theirs, 404 | 422 | 400), "{method} {at} tells a stranger {theirs}");
            assert!(
                ours != 404 || ["thumbnail", "assistant", "backfill"].iter().any(|it| path.ends_with(it)),
                "{method} {at} is not there for its owner either"
            );
            asked += 1;
        }
    }
    assert!(asked > 40, "only {asked} operations were asked");
    for kind in ids.keys() {
        let list = stage.get(&format!("/api/v1/{kind}"), &stranger).await;
        if list.status.as_u16() == 200 {
            let items = list.json()["items"].as_array().unwrap().len();
            let own = usize::from(*kind == "api-keys"); // the key that asks
            assert_eq!(items, own, "{kind} lists what is not theirs");
        }
    }
}
