//! Role × endpoint: every documented operation is in this table, with the least
//! role whose API key may call it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::http::auth::Role;
use crate::http::document;
use crate::http::testing::Stage;

const PUBLIC: &str = "public";

/// `METHOD path least-role`, in the order of the document.
const TABLE: &str = "
GET /api/v1/api-keys admin
POST /api/v1/api-keys admin
DELETE /api/v1/api-keys/{id} admin
GET /api/v1/assistants admin
POST /api/v1/assistants admin
GET /api/v1/assistants/usage admin
GET /api/v1/assistants/{id} admin
PATCH /api/v1/assistants/{id} admin
DELETE /api/v1/assistants/{id} admin
POST /api/v1/assistants/{id}/check admin
POST /api/v1/attachments agent
GET /api/v1/attachments/{id} agent
GET /api/v1/attachments/{id}/link agent
GET /api/v1/attachments/{id}/thumbnail agent
GET /api/v1/audit admin
GET /api/v1/backtests/{id} admin
DELETE /api/v1/backtests/{id} admin
GET /api/v1/calendars agent
POST /api/v1/calendars admin
GET /api/v1/calendars/{id} agent
PATCH /api/v1/calendars/{id} admin
DELETE /api/v1/calendars/{id} admin
POST /api/v1/calendars/{id}/holidays admin
GET /api/v1/channels agent
POST /api/v1/channels admin
POST /api/v1/channels/addresses admin
GET /api/v1/channels/{id} agent
PATCH /api/v1/channels/{id} admin
DELETE /api/v1/channels/{id} admin
GET /api/v1/channels/{id}/addresses admin
GET /api/v1/channels/{id}/assistant admin
PUT /api/v1/channels/{id}/assistant admin
DELETE /api/v1/channels/{id}/assistant admin
GET /api/v1/channels/{id}/backfill agent
POST /api/v1/channels/{id}/backfill admin
POST /api/v1/channels/{id}/check admin
POST /api/v1/channels/{id}/connect admin
POST /api/v1/channels/{id}/disconnect admin
GET /api/v1/channels/{id}/health agent
POST /api/v1/channels/{id}/pause admin
GET /api/v1/channels/{id}/qr admin
POST /api/v1/channels/{id}/resume admin
GET /api/v1/channels/{id}/session admin
GET /api/v1/channels/{id}/session/picture admin
POST /api/v1/channels/{id}/session/logout admin
POST /api/v1/channels/{id}/session/pairing-code admin
POST /api/v1/channels/{id}/session/restart admin
POST /api/v1/channels/{id}/session/start admin
POST /api/v1/channels/{id}/session/stop admin
GET /api/v1/channels/{id}/templates agent
POST /api/v1/channels/{id}/templates/refresh admin
GET /api/v1/contacts agent
POST /api/v1/contacts admin
GET /api/v1/contacts/duplicates admin
GET /api/v1/contacts/erasures admin
GET /api/v1/contacts/erasures/{id} admin
POST /api/v1/contacts/merges/{id}/undo admin
GET /api/v1/contacts/{id} agent
PATCH /api/v1/contacts/{id} agent
POST /api/v1/contacts/{id}/block agent
POST /api/v1/contacts/{id}/erase admin
GET /api/v1/contacts/{id}/export admin
POST /api/v1/contacts/{id}/identities agent
DELETE /api/v1/contacts/{id}/identities/{identity} agent
POST /api/v1/contacts/{id}/merge admin
GET /api/v1/contacts/{id}/merges admin
POST /api/v1/contacts/{id}/opt-in agent
POST /api/v1/contacts/{id}/opt-out agent
POST /api/v1/contacts/{id}/unblock agent
GET /api/v1/conversations agent
GET /api/v1/conversations/{id} agent
DELETE /api/v1/conversations/{id} admin
POST /api/v1/conversations/{id}/insights agent
GET /api/v1/conversations/{id}/messages agent
POST /api/v1/conversations/{id}/messages agent
POST /api/v1/conversations/{id}/suggest agent
GET /api/v1/conversations/{id}/timeline agent
POST /api/v1/conversations/{id}/{action} agent
GET /api/v1/events agent
GET /api/v1/events/{id}/explain agent
GET /api/v1/groups agent
POST /api/v1/groups admin
GET /api/v1/groups/{id} agent
GET /api/v1/groups/{id}/instructions admin
PUT /api/v1/groups/{id}/instructions admin
PATCH /api/v1/groups/{id} admin
DELETE /api/v1/groups/{id} admin
GET /api/v1/jobs admin
GET /api/v1/jobs/dead admin
DELETE /api/v1/jobs/{id} admin
POST /api/v1/jobs/{id}/retry admin
GET /api/v1/me agent
PUT /api/v1/me/presence agent
GET /api/v1/knowledge admin
POST /api/v1/knowledge admin
GET /api/v1/knowledge/{id} admin
PATCH /api/v1/knowledge/{id} admin
DELETE /api/v1/knowledge/{id} admin
POST /api/v1/messages agent
GET /api/v1/messages/{id} agent
DELETE /api/v1/messages/{id} agent
POST /api/v1/messages/{id}/retry agent
GET /api/v1/notifications admin
POST /api/v1/notifications/read-all admin
POST /api/v1/notifications/{id}/read admin
POST /api/v1/notifications/{id}/take agent
GET /api/v1/plugins agent
POST /api/v1/plugins owner
POST /api/v1/plugins/inspect owner
GET /api/v1/plugins/{id} admin
DELETE /api/v1/plugins/{id} owner
GET /api/v1/raw-webhooks admin
GET /api/v1/raw-webhooks/{id} admin
POST /api/v1/raw-webhooks/{id}/replay admin
GET /api/v1/rule-hooks admin
POST /api/v1/rule-hooks admin
DELETE /api/v1/rule-hooks/{id} admin
POST /api/v1/rule-hooks/{id}/rotate admin
GET /api/v1/rules agent
POST /api/v1/rules admin
POST /api/v1/rules/check admin
POST /api/v1/rules/dry-run admin
POST /api/v1/rules/form admin
POST /api/v1/rules/form/read admin
POST /api/v1/rules/order admin
GET /api/v1/rules/stats agent
GET /api/v1/rules/vocabulary agent
GET /api/v1/rules/{id} agent
PATCH /api/v1/rules/{id} admin
DELETE /api/v1/rules/{id} admin
POST /api/v1/rules/{id}/backtest admin
GET /api/v1/rules/{id}/backtests admin
POST /api/v1/rules/{id}/cases admin
GET /api/v1/rules/{id}/diff agent
DELETE /api/v1/rules/{id}/draft admin
GET /api/v1/rules/{id}/parked admin
DELETE /api/v1/rules/{id}/publish admin
POST /api/v1/rules/{id}/publish admin
POST /api/v1/rules/{id}/resume admin
POST /api/v1/rules/{id}/rollback admin
GET /api/v1/rules/{id}/runs admin
GET /api/v1/rules/{id}/schedule agent
GET /api/v1/rules/{id}/shadow admin
POST /api/v1/rules/{id}/shadow admin
GET /api/v1/rules/{id}/stats agent
GET /api/v1/rules/{id}/versions agent
GET /api/v1/rules/{id}/versions/{number} agent
GET /api/v1/rules/{id}/why agent
POST /api/v1/signin public
POST /api/v1/signout agent
GET /api/v1/stream agent
GET /api/v1/tenant admin
PATCH /api/v1/tenant admin
DELETE /api/v1/tenant owner
GET /api/v1/tenant/export owner
POST /api/v1/uploads agent
HEAD /api/v1/uploads/{id} agent
PATCH /api/v1/uploads/{id} agent
DELETE /api/v1/uploads/{id} agent
GET /api/v1/users agent
POST /api/v1/users admin
GET /api/v1/users/{id} agent
PATCH /api/v1/users/{id} admin
GET /api/v1/webhooks admin
POST /api/v1/webhooks admin
GET /api/v1/webhooks/deliveries/{id} admin
POST /api/v1/webhooks/deliveries/{id}/replay admin
GET /api/v1/webhooks/{id} admin
PATCH /api/v1/webhooks/{id} admin
DELETE /api/v1/webhooks/{id} admin
GET /api/v1/webhooks/{id}/deliveries admin
POST /api/v1/webhooks/{id}/replay admin
POST /api/v1/webhooks/{id}/rotate admin
POST /api/v1/webhooks/{id}/test admin
";

fn table() -> BTreeMap<(String, String), &'static str> {
    let lines = TABLE.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let [method, path, role] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            ((method.to_owned(), path.to_owned()), role)
        })
        .collect()
}

/// An id that is well formed and belongs to nobody.
fn filled(path: &str) -> String {
    let prefix = match path.split('/').nth(3).unwrap() {
        "webhooks" if path.contains("/deliveries/") => "dlv",
        "webhooks" => "whk",
        "api-keys" => "key",
        "assistants" => "ast",
        "knowledge" => "kno",
        "calendars" => "cal",
        "channels" => "chn",
        "groups" => "grp",
        "messages" => "msg",
        "contacts" => "cnt",
        "conversations" => "cnv",
        "notifications" => "ntf",
        "raw-webhooks" => "raw",
        "events" => "evt",
        "backtests" => "trl",
        "rules" => "rul",
        "rule-hooks" => "hok",
        "users" => "usr",
        "jobs" => "eff",
        _ => "none",
    };
    path.replace("{action}", "archive")
        .replace("{number}", "1")
        .replace("{id}", &format!("{prefix}_01jd0000000000000000000000"))
}

// S93
#[tokio::test]
async fn every_operation_lets_in_whom_it_should_and_nobody_else() {
    let stage = Stage::new().await;
    let bearer = async |role| format!("Bearer {}", stage.key(role).await);
    let (agent, admin, owner) =
        (bearer(Role::Agent).await, bearer(Role::Admin).await, bearer(Role::Owner).await);
    let mut table = table();
    let document = serde_json::to_value(document()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let Some(role) = table.remove(&(method.clone(), path.clone())) else {
                panic!("{method} {path} is not in the table of roles");
            };
            let body: Option<Value> = (method != "GET" && method != "DELETE").then(|| json!({}));
            let at = filled(path);
            let status =
                async |headers: &[(&str, &str)]| stage.status(&method, &at, headers, body.clone()).await;
            let (nobody, as_agent, as_admin, as_owner) = (
                status(&[]).await,
                status(&[("authorization", &agent)]).await,
                status(&[("authorization", &admin)]).await,
                status(&[("authorization", &owner)]).await,
            );
            let is_in = |status: u16| status != 401 && status != 403;
            let who = (nobody == 401, is_in(as_agent), is_in(as_admin));
            let wanted = match role {
                PUBLIC => (false, true, true),
                "agent" => (true, true, true),
                "admin" => (true, false, true),
                "owner" => (true, false, false),
                other => panic!("{other} is no role of this table"),
            };
            assert_eq!(who, wanted, "{method} {path}: {nobody}, {as_agent}, {as_admin}");
            assert!(is_in(as_owner), "{method} {path}: an owner may everything, not {as_owner}");
        }
    }
    assert!(table.is_empty(), "these operations are gone: {table:?}");
}

#[tokio::test]
async fn pages_and_documents_are_public_and_ask_nobody_else() {
    let stage = Stage::new().await;
    for path in ["/signin", "/app", "/api/docs", "/api/docs.js", "/api/docs.css", "/api/openapi.json"] {
        let answer = stage.send("GET", path, &[], None).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}");
        let outside = answer.text.contains("//cdn") || answer.text.contains("src=\"http");
        assert!(!outside, "{path} loads something from elsewhere");
    }
    let page = stage.send("GET", "/api/docs", &[], None).await;
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    let document = stage.send("GET", "/api/openapi.json", &[], None).await.expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(stage.send("GET", "/", &[], None).await.header("location"), "/signin");
}
