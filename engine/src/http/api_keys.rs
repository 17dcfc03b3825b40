//! `/api-keys`: credentials of programs. A key is told once, when it is made.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::ids::KeyId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Admin;
use super::paging::{List, Page, Query};
use super::path::Id;
use super::problem::Problem;
use super::users::{may_grant, parse_role};
use super::{Api, Refused, body};
use crate::clock::{parse_rfc3339, rfc3339};
use crate::crypto::{random_token, sha256_hex};
use crate::store::api_keys::{self, ApiKey};
use crate::store::audit::{self, Change};

/// What API keys begin with.
pub const KEY_PREFIX: &str = "pm_";
const NAME_CHARS_MAX: usize = 200;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(revoke))
}

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyView {
    /// `key_…`.
    id: String,
    /// For people.
    name: String,
    /// `owner`, `admin` or `agent`.
    role: &'static str,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// Does not hold from then on.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            role: key.role.word(),
            created_at: rfc3339(key.created_ms),
            expires_at: key.expires_ms.map(rfc3339),
        }
    }
}

/// A new key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// For people: what uses it.
    #[schema(example = "shop backend")]
    name: String,
    /// `owner`, `admin` or `agent`; not more than you are.
    #[schema(example = "agent")]
    role: String,
    /// Does not hold from then on.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeKey {
    /// All about it.
    #[serde(flatten)]
    view: KeyView,
    /// The secret. It is not kept: write it down now.
    key: String,
}

/// Keys that were not revoked, oldest first.
#[utoipa::path(get, path = "/api/v1/api-keys", tag = "api keys", params(Page), responses((status = 200, body = List<KeyView>)))]
async fn list(
    State(api): State<Api>,
    Admin(who): Admin,
    Query(page): Query<Page>,
) -> Result<Json<List<KeyView>>, Problem> {
    let (rows, after) = (page.rows()?, page.after()?);
    let found = api_keys::list(&mut api.read().await?, who.tenant, after, rows).await?;
    Ok(Json(List::page(found, rows, |k| k.id, KeyView::from)))
}

/// Makes a key. The answer is the only time that it is shown.
#[utoipa::path(post, path = "/api/v1/api-keys", tag = "api keys", request_body = NewKey, responses((status = 201, body = MadeKey)))]
async fn create(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(new): body::Json<NewKey>,
) -> Result<(StatusCode, Json<MadeKey>), Problem> {
    let (clock, role, name) = (&api.flow.clock, parse_role(&new.role)?, new.name.trim());
    may_grant(&who, role)?;
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(Problem::field("/name", format!("must have 1 to {NAME_CHARS_MAX} characters")));
    }
    let expires_ms = match new.expires_at.as_deref().map(parse_rfc3339).transpose() {
        Ok(Some(at)) if at <= clock.now_ms() => {
            return Err(Problem::field("/expires_at", "must be in the future"));
        }
        Ok(at) => at,
        Err(_) => return Err(Problem::field("/expires_at", "must be a time like 2026-12-31T00:00:00Z")),
    };
    let row = ApiKey {
        id: KeyId::new(clock.now_ms(), clock.random()),
        name: name.to_owned(),
        role,
        created_ms: clock.now_ms(),
        expires_ms,
        revoked_ms: None,
    };
    let key = random_token(clock, KEY_PREFIX);
    let hash = sha256_hex(key.as_bytes());
    let entry = who.did(clock, "api_key.create", row.id, Change::made(&KeyView::from(row.clone())));
    let (tenant, kept) = (who.tenant, row.clone());
    api.write(move |tx| {
        let (entry, kept, hash) = (entry.clone(), kept.clone(), hash.clone());
        Box::pin(async move {
            api_keys::insert(tx, tenant, &kept, &hash).await?;
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    Ok((StatusCode::CREATED, Json(MadeKey { view: row.into(), key })))
}

/// Revokes a key at once.
#[utoipa::path(delete, path = "/api/v1/api-keys/{id}", tag = "api keys", params(("id" = String, Path)), responses((status = 204)))]
async fn revoke(State(api): State<Api>, Admin(who): Admin, Id(id): Id<KeyId>) -> Result<StatusCode, Problem> {
    let (clock, tenant) = (&api.flow.clock, who.tenant);
    let found = api_keys::get(&mut api.read().await?, tenant, id).await?;
    let key = found.filter(|key| key.revoked_ms.is_none()).ok_or_else(|| Problem::not_found("API key"))?;
    may_grant(&who, key.role)?;
    let what = Change::removed(&KeyView::from(key));
    let (now_ms, entry) = (clock.now_ms(), who.did(clock, "api_key.revoke", id, what));
    api.write(move |tx| {
        let entry = entry.clone();
        Box::pin(async move {
            if !api_keys::revoke(tx, tenant, id, now_ms).await? {
                return Err(Problem::not_found("API key").into());
            }
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::auth::Role;
    use crate::http::testing::{NOW_MS, Stage};

    #[tokio::test]
    async fn a_key_is_shown_once_works_and_is_revoked() {
        let stage = Stage::new().await;
        let admin = stage.key(Role::Admin).await;
        let made = stage
            .post("/api/v1/api-keys", &admin, json!({"name": "shop", "role": "agent"}))
            .await
            .expect(201);
        let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
        assert!(key.starts_with("pm_") && key.len() > 40);
        let me = stage.get("/api/v1/me", key).await.expect(200);
        assert_eq!((&me["key"], &me["role"], &me["user"]), (&json!(id), &json!("agent"), &json!(null)));
        let list = stage.get("/api/v1/api-keys", &admin).await;
        assert!(list.text.contains(id) && !list.text.contains(key), "{}", list.text);
        stage.delete(&format!("/api/v1/api-keys/{id}"), &admin).await.expect(204);
        stage.delete(&format!("/api/v1/api-keys/{id}"), &admin).await.problem(404, "not_found");
        stage.get("/api/v1/me", key).await.problem(401, "unauthorized");
        let audit = stage.get("/api/v1/audit", &admin).await.expect(200);
        let actions: Vec<_> =
            audit["items"].as_array().unwrap().iter().map(|e| e["action"].clone()).collect();
        assert_eq!(actions, ["api_key.revoke", "api_key.create"]);
    }

    #[tokio::test]
    async fn nobody_makes_a_key_that_may_more_than_they() {
        let stage = Stage::new().await;
        let admin = stage.key(Role::Admin).await;
        let new = json!({"name": "x", "role": "owner"});
        stage.post("/api/v1/api-keys", &admin, new).await.problem(403, "forbidden");
        let new = json!({"name": "x", "role": "king"});
        let problem = stage.post("/api/v1/api-keys", &admin, new).await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/role");
        let past = crate::clock::rfc3339(NOW_MS - 1);
        let new = json!({"name": "x", "role": "agent", "expires_at": past});
        let problem = stage.post("/api/v1/api-keys", &admin, new).await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/expires_at");
    }

    #[tokio::test]
    async fn an_expired_key_does_not_hold() {
        let stage = Stage::new().await;
        let admin = stage.key(Role::Admin).await;
        let new = json!({"name": "x", "role": "agent", "expires_at": crate::clock::rfc3339(NOW_MS + 1_000)});
        let made = stage.post("/api/v1/api-keys", &admin, new).await.expect(201);
        let key = made["key"].as_str().unwrap();
        stage.get("/api/v1/me", key).await.expect(200);
        stage.api.flow.clock.advance(1_000);
        stage.get("/api/v1/me", key).await.problem(401, "unauthorized");
    }
}
