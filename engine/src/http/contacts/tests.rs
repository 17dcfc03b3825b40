//! Who sees which contacts and numbers, and what is refused with which sentence.

use serde_json::json;

use crate::args;
use crate::http::auth::Role;
use crate::http::testing::Stage;
use crate::store::views_fixture::{self as rows, Thread};

const PHONE: &str = "+34600000001";

/// Contact `n` gets a WhatsApp number, its conversation a channel that hides numbers or not.
async fn add(stage: &Stage, n: u128, group: Option<u128>, masked: bool) -> String {
    let db = &stage.api.flow.db;
    let group = group.map(rows::group);
    Thread { tenant: stage.tenant, group, ..Thread::new(n) }.add(db).await;
    let id = rows::contact(n);
    let phone = format!("phone = '+3460000000{n}', phone_key = '+3460000000{n}'");
    rows::set(db, stage.tenant, "contacts", &phone, &format!("id = '{id}'")).await;
    mask(stage, masked).await;
    format!("/api/v1/contacts/{id}")
}

async fn mask(stage: &Stage, masked: bool) {
    rows::set(&stage.api.flow.db, stage.tenant, "channels", &format!("masked = {masked}"), "true").await;
}

async fn add_channel(stage: &Stage) {
    let columns = "tenant_id, id, provider, kind, name, address, settings, secrets, secrets_set, hook_key, active, \
        receive_only, masked, allow_private_egress, idle_end_ms, reopen_policy, state, state_since_ms, version, \
        created_ms";
    let values = args![
        stage.tenant,
        rows::channel(1),
        "webchat",
        "webchat",
        "Page",
        "",
        "{}",
        "{}",
        "{}",
        "h",
        true,
        false,
        false,
        false,
        1i64,
        r#"{"policy":"reopen"}"#,
        "ok",
        1i64,
        1i64,
        1i64
    ];
    rows::insert(&stage.api.flow.db, "channels", columns, values).await;
}

#[tokio::test]
async fn agents_see_whom_they_talk_to_and_numbers_only_where_the_channel_shows_them() {
    let stage = Stage::new().await;
    add_channel(&stage).await;
    let (open, other) = (add(&stage, 1, None, false).await, add(&stage, 2, Some(1), false).await);
    let (admin, agent) = (stage.key(Role::Admin).await, stage.key(Role::Agent).await);
    assert_eq!(stage.get("/api/v1/contacts", &admin).await.expect(200)["items"].as_array().unwrap().len(), 2);
    let seen = stage.get("/api/v1/contacts", &agent).await.expect(200);
    assert_eq!(seen["items"].as_array().unwrap().len(), 1, "{seen}");
    assert_eq!(seen["items"][0]["phone"], "+34600000001");
    stage.get(&other, &agent).await.problem(404, "not_found");
    stage.post(&format!("{other}/block"), &agent, json!({})).await.problem(404, "not_found");
    let stranger = stage.key_of(pointsman_rules::ids::TenantId::new(1, 9), Role::Owner).await;
    stage.get(&open, &stranger).await.problem(404, "not_found");
    mask(&stage, true).await;
    assert_eq!(stage.get(&open, &agent).await.expect(200)["phone"], "+34 •••• 0001");
    assert_eq!(stage.get(&open, &admin).await.expect(200)["phone"], PHONE);
    let list = stage.get("/api/v1/conversations", &agent).await.expect(200);
    assert_eq!(list["items"][0]["contact"]["phone"], "+34 •••• 0001", "{list}");
    let found = |q: &str| format!("/api/v1/contacts?q={q}");
    for (query, key, count) in
        [("000001", &agent, 0), ("000001", &admin, 1), ("%2B34600000001", &agent, 1), ("VISITOR", &agent, 1)]
    {
        let list = stage.get(&found(query), key).await.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), count, "{query}: {list}");
    }
}

#[tokio::test]
async fn two_people_do_not_overwrite_each_other_and_mistakes_are_told() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let new = json!({"name": " Ana ", "phone": "0034 600-000-001", "attributes": {"plan": "gold", "age": 3}});
    let made = stage.post("/api/v1/contacts", &admin, new).await;
    assert_eq!(made.header("etag"), "\"1\"");
    let made = made.expect(201);
    assert_eq!((made["name"].as_str(), made["phone"].as_str()), (Some("Ana"), Some(PHONE)));
    let path = format!("/api/v1/contacts/{}", made["id"].as_str().unwrap());
    let auth = format!("Bearer {admin}");
    let seen = [("authorization", auth.as_str()), ("if-match", "\"1\"")];
    let change = json!({"attributes": {"plan": null, "vip": true}});
    let changed = stage.send("PATCH", &path, &seen, Some(change)).await;
    assert_eq!(changed.header("etag"), "\"2\"");
    assert_eq!(changed.expect(200)["attributes"], json!({"age": 3, "vip": true}));
    stage.send("PATCH", &path, &seen, Some(json!({"name": "Late"}))).await.problem(412, "stale");
    let same = stage.patch(&path, &admin, json!({"name": "Ana"})).await;
    assert_eq!(same.header("etag"), "\"2\"", "nothing changed");
    for (body, pointer) in [
        (json!({"phone": "600000001"}), "/phone"),
        (json!({"phone": "+34 •••• 0001"}), "/phone"),
        (json!({"name": "  "}), "/name"),
        (json!({"language": "not a tag"}), "/language"),
        (json!({"attributes": {"a": [1]}}), "/attributes/a"),
    ] {
        let problem = stage.patch(&path, &admin, body.clone()).await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
    let emptied = stage.patch(&path, &admin, json!({"phone": null})).await.expect(200);
    assert!(emptied["phone"].is_null(), "{emptied}");
    let audit = stage.get("/api/v1/audit", &admin).await.text;
    assert!(
        audit.contains("contact.change") && !audit.contains("600000001") && !audit.contains("Ana"),
        "{audit}"
    );
}

// S95
/// S95: a number that another contact has proposes the merge; the other keeps what it had.
#[tokio::test]
async fn a_number_that_somebody_else_has_proposes_a_merge_that_can_be_undone() {
    let stage = Stage::new().await;
    let admin = stage.key(Role::Admin).await;
    let new = async |body| stage.post("/api/v1/contacts", &admin, body).await.expect(201);
    let one = new(json!({"name": "Ana", "phone": "+55 11 98765-4321"})).await;
    let two = new(json!({"attributes": {"email": "Ana@x.test", "plan": "gold"}})).await;
    let three = new(json!({"attributes": {"email": " ana@X.test"}})).await;
    let id = |row: &serde_json::Value| row["id"].as_str().unwrap().to_owned();
    let path = |row: &serde_json::Value, rest: &str| format!("/api/v1/contacts/{}{rest}", id(row));
    let changed = stage.patch(&path(&two, ""), &admin, json!({"phone": "+551187654321"})).await.expect(200);
    let mut evidence: Vec<_> =
        changed["duplicates"].as_array().unwrap().iter().map(|it| it["evidence"].as_str().unwrap()).collect();
    evidence.sort_unstable();
    assert_eq!(evidence, ["email", "phone"], "{changed}");
    let pairs = stage.get("/api/v1/contacts/duplicates?limit=1", &admin).await.expect(200);
    assert!(pairs["next"].is_string(), "{pairs}");
    let next = format!("/api/v1/contacts/duplicates?cursor={}", pairs["next"].as_str().unwrap());
    assert_eq!(stage.get(&next, &admin).await.expect(200)["items"].as_array().unwrap().len(), 1);

    let merge = json!({"with": id(&two)});
    stage.post(&path(&two, "/merge"), &admin, merge.clone()).await.problem(422, "invalid");
    let merged = stage.post(&path(&one, "/merge"), &admin, merge).await.expect(201);
    assert_eq!(
        (&merged["contact"]["name"], &merged["contact"]["attributes"]["plan"]),
        (&json!("Ana"), &json!("gold"))
    );
    assert_eq!(stage.get(&path(&two, ""), &admin).await.expect(200)["merged_into"], one["id"]);
    let problem = stage.patch(&path(&two, ""), &admin, json!({"name": "x"})).await.problem(409, "merged");
    assert_eq!(problem["into"], one["id"]);
    let again = stage.post(&path(&three, "/merge"), &admin, json!({"with": id(&one)})).await.expect(201);
    let undo = |merged: &serde_json::Value| {
        format!("/api/v1/contacts/merges/{}/undo", merged["merge"]["id"].as_str().unwrap())
    };
    stage.post(&undo(&merged), &admin, json!({})).await.problem(409, "merged_again");
    stage.post(&undo(&again), &admin, json!({})).await.expect(200);
    let apart = stage.post(&undo(&merged), &admin, json!({})).await.expect(200);
    assert_eq!(apart["contact"]["attributes"], json!({}));
    assert_eq!(stage.get(&path(&two, ""), &admin).await.expect(200)["attributes"]["plan"], "gold");
    let merges = stage.get(&path(&one, "/merges"), &admin).await.expect(200);
    assert_eq!(merges["items"].as_array().unwrap().len(), 2, "{merges}");
}

#[tokio::test]
async fn addresses_are_added_once_and_removed_when_nobody_talks_there() {
    let stage = Stage::new().await;
    add_channel(&stage).await;
    let first = add(&stage, 1, None, false).await;
    let admin = stage.key(Role::Admin).await;
    let other = stage.post("/api/v1/contacts", &admin, json!({"name": "B"})).await.expect(201);
    let other = format!("/api/v1/contacts/{}", other["id"].as_str().unwrap());
    let add = async |path: &str, kind: &str, address: &str| {
        stage
            .post(&format!("{path}/identities"), &admin, json!({"channel_kind": kind, "address": address}))
            .await
    };
    add(&first, "fax", "+34600000001").await.problem(422, "invalid");
    let bad = add(&first, "webchat", "+34").await.problem(422, "invalid");
    assert_eq!(bad["errors"][0]["pointer"], "/address");
    let problem = add(&other, "webchat", "v_1").await.problem(409, "identity_taken");
    assert!(first.ends_with(problem["contact"].as_str().unwrap()), "{problem}");
    let row = add(&other, "webchat", "+5511987654321").await.expect(201);
    let identity = row["identities"][0]["id"].as_str().unwrap().to_owned();
    let again = add(&other, "webchat", "+551187654321").await.expect(201);
    assert_eq!(again["identities"].as_array().unwrap().len(), 1, "the same number in another writing");
    let used = format!("{first}/identities/{}", rows::identity(1));
    stage.delete(&used, &admin).await.problem(409, "in_use");
    stage.delete(&format!("{first}/identities/{identity}"), &admin).await.problem(404, "not_found");
    stage.delete(&format!("{other}/identities/{identity}"), &admin).await.expect(204);
    stage.delete(&format!("{other}/identities/{identity}"), &admin).await.problem(404, "not_found");
}

#[tokio::test]
async fn consent_is_kept_by_kind_of_channel_and_blocking_is_idempotent() {
    let stage = Stage::new().await;
    add_channel(&stage).await;
    let path = add(&stage, 1, None, false).await;
    let agent = stage.key(Role::Agent).await;
    let post =
        async |what: &str, body: serde_json::Value| stage.post(&format!("{path}/{what}"), &agent, body).await;
    assert!(post("block", json!({})).await.expect(200)["blocked_at"].is_string());
    let version = post("block", json!({})).await.expect(200)["version"].clone();
    assert_eq!(version, 2, "twice is once");
    assert!(post("unblock", json!({})).await.expect(200)["blocked_at"].is_null());
    post("opt-out", json!({"channel_kind": "sms"})).await.problem(422, "invalid");
    let kind = json!({"channel_kind": "webchat", "reason": "on the phone"});
    assert_eq!(post("opt-out", kind.clone()).await.expect(200)["opt_outs"][0]["source"], "api");
    assert_eq!(post("opt-in", kind.clone()).await.expect(200)["opt_outs"], json!([]));
    let columns = "tenant_id, contact_id, channel_kind, since_ms, source";
    let values = args![stage.tenant, rows::contact(1), "webchat", 1i64, "vendor"];
    rows::insert(&stage.api.flow.db, "opt_outs", columns, values).await;
    let problem = post("opt-in", kind).await.problem(409, "opted_out_at_vendor");
    assert!(problem["detail"].as_str().unwrap().contains("START"), "{problem}");
    // Every change went to the conversation's lane: block, unblock, out, in.
    assert_eq!(rows::count(&stage.api.flow.db, stage.tenant, "inbox").await, 4);
}

#[tokio::test]
async fn erasing_is_confirmed_and_leaves_a_tombstone_and_export_names_the_file() {
    let stage = Stage::new().await;
    add_channel(&stage).await;
    let path = add(&stage, 1, None, false).await;
    let admin = stage.key(Role::Admin).await;
    let export = stage.get(&format!("{path}/export"), &admin).await;
    assert!(export.header("content-disposition").contains("cnt_"), "{:?}", export.headers);
    let export = export.expect(200);
    assert_eq!(export["contact"]["phone"], PHONE);
    assert_eq!(export["conversations"].as_array().unwrap().len(), 1, "{export}");
    stage
        .post(&format!("{path}/erase?confirm=no"), &admin, json!({}))
        .await
        .problem(422, "confirmation_required");
    let confirm = format!("{path}/erase?confirm={}", rows::contact(1));
    let erasure = stage.post(&confirm, &admin, json!({})).await.expect(202);
    assert_eq!(erasure["state"], "done", "{erasure}");
    let one = format!("/api/v1/contacts/erasures/{}", erasure["id"].as_str().unwrap());
    assert_eq!(stage.get(&one, &admin).await.expect(200), erasure);
    let left = stage.get(&path, &admin).await.expect(200);
    assert!(left["erased_at"].is_string() && left["phone"].is_null() && left["name"].is_null(), "{left}");
    stage.post(&confirm, &admin, json!({})).await.problem(409, "erased");
    let list = stage.get("/api/v1/contacts", &admin).await.expect(200);
    assert_eq!(list["items"], json!([]));
}
