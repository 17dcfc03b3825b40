//! `/audit`: who changed which configuration, from where, and what was there
//! before and after it.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::auth::Admin;
use super::conversations::bad_query;
use super::paging::{List, Query, decode, rows};
use super::problem::Problem;
use crate::clock::{parse_rfc3339, rfc3339};
use crate::store::audit;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list))
}

/// A change.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Its id.
    id: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Id of the user or key; `system` for the engine itself, the first start and the command line.
    actor: String,
    /// `channel.create`, `rule.publish`, …
    action: String,
    /// Id of what was changed.
    target: String,
    /// What was there: all of what was removed, the fields that differ of what was changed. Never a secret.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// What is there now: all of what was made, the fields that differ of what was changed.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
    /// What else was said.
    #[schema(value_type = Object)]
    detail: Value,
    /// The address it was asked for from.
    address: Option<String>,
    /// The program that asked.
    user_agent: Option<String>,
}

/// Which changes are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Id of a user or key, or `system`.
    actor: Option<String>,
    /// How the action begins: `channel.`.
    action: Option<String>,
    /// Id of what was changed.
    target: Option<String>,
    /// From this moment on.
    since: Option<String>,
    /// Before this moment.
    until: Option<String>,
    /// Items on the page, 1 to 200; 50 when absent.
    limit: Option<i64>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Changes of configuration, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(Wanted), responses((status = 200, body = List<AuditEntry>)))]
async fn list(
    State(api): State<Api>,
    Admin(who): Admin,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<AuditEntry>>, Problem> {
    let count = rows(wanted.limit)?;
    let filter = audit::Wanted {
        actor: wanted.actor,
        action: wanted.action,
        target: wanted.target,
        since_ms: moment("since", wanted.since.as_deref())?,
        until_ms: moment("until", wanted.until.as_deref())?,
        before: wanted.cursor.as_deref().map(decode).transpose()?,
    };
    let found = audit::list(&mut api.read().await?, who.tenant, &filter, count as u32).await?;
    Ok(Json(List::page(found, count, |e| e.id, show)))
}

fn show(e: audit::Entry) -> AuditEntry {
    AuditEntry {
        id: e.id.to_string(),
        at: rfc3339(e.at_ms),
        actor: e.actor,
        action: e.action,
        target: e.target,
        before: e.change.before().cloned(),
        after: e.change.after().cloned(),
        detail: e.change.detail().clone(),
        address: e.origin.address,
        user_agent: e.origin.user_agent,
    }
}

fn moment(name: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let wrong = |_| bad_query(name, "must be a time like 2026-12-31T00:00:00Z");
    text.map(parse_rfc3339).transpose().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::http::auth::Role;
    use crate::http::testing::Stage;

    #[tokio::test]
    async fn a_change_tells_what_was_there_before_and_after_and_from_where() {
        let stage = Stage::new().await;
        let admin = stage.key(Role::Admin).await;
        let made = stage.post("/api/v1/groups", &admin, json!({"name": "Sales"})).await.expect(201);
        let id = made["id"].as_str().unwrap();
        let auth = format!("Bearer {admin}");
        let headers = [("authorization", auth.as_str()), ("user-agent", "probe/1")];
        let path = format!("/api/v1/groups/{id}");
        stage.send("PATCH", &path, &headers, Some(json!({"name": "Help"}))).await.expect(200);
        stage.delete(&path, &admin).await.expect(204);
        let list = async |query: &str| {
            let found = stage.get(&format!("/api/v1/audit{query}"), &admin).await.expect(200);
            found["items"].as_array().unwrap().clone()
        };
        let entries = list("?action=group.").await;
        let actions: Vec<&Value> = entries.iter().map(|it| &it["action"]).collect();
        assert_eq!(actions, ["group.delete", "group.change", "group.create"]);
        let [removed, changed, created] = entries.try_into().unwrap();
        assert_eq!(
            (&changed["before"]["name"], &changed["after"]["name"]),
            (&json!("Sales"), &json!("Help"))
        );
        assert!(changed["after"].get("members").is_none(), "only what differs: {changed}");
        assert_eq!(changed["user_agent"], "probe/1");
        assert_eq!((&created["before"], &created["after"]["name"]), (&json!(null), &json!("Sales")));
        assert_eq!((&removed["before"]["name"], &removed["after"]), (&json!("Help"), &json!(null)));
        assert!(list("?action=channel.").await.is_empty());
        assert_eq!(list(&format!("?target={id}&limit=1")).await.len(), 1);
        assert!(list("?since=2100-01-01T00:00:00Z").await.is_empty());
        stage.get("/api/v1/audit?since=yesterday", &admin).await.problem(400, "bad_query");
    }

    #[tokio::test]
    async fn a_password_is_never_written_down() {
        let stage = Stage::new().await;
        let admin = stage.key(Role::Admin).await;
        let new = json!({"email": "a@x.test", "name": "A", "role": "agent", "password": "correct horse"});
        let made = stage.post("/api/v1/users", &admin, new).await.expect(201);
        let path = format!("/api/v1/users/{}", made["id"].as_str().unwrap());
        stage.patch(&path, &admin, json!({"password": "battery staple"})).await.expect(200);
        let answer = stage.get("/api/v1/audit?action=user.", &admin).await;
        assert!(!answer.text.contains("horse") && !answer.text.contains("staple"), "{}", answer.text);
        let entries = answer.expect(200);
        assert_eq!(entries["items"][0]["detail"], json!({"password_changed": true}));
    }
}
