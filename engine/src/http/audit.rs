//! `/audit`: who changed which configuration.

use axum::Json;
use axum::extract::State;
use pointsman_rules::ids::AuditId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::auth::Admin;
use super::paging::{List, Page, Query};
use super::problem::Problem;
use crate::clock::rfc3339;
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
    /// Id of the user or key; `system` for the first start and the command line.
    actor: String,
    /// `channel.create`, `rule.publish`, …
    action: String,
    /// Id of what was changed.
    target: String,
    /// What was said, without secrets.
    detail: serde_json::Value,
}

/// Changes of configuration, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(Page), responses((status = 200, body = List<AuditEntry>)))]
async fn list(
    State(api): State<Api>,
    Admin(who): Admin,
    Query(page): Query<Page>,
) -> Result<Json<List<AuditEntry>>, Problem> {
    let (rows, before) = (page.rows()?, page.after::<AuditId>()?);
    let found = audit::list(&mut api.read().await?, who.tenant, before, rows).await?;
    Ok(Json(List::page(
        found,
        rows,
        |e| e.id,
        |e| AuditEntry {
            id: e.id.to_string(),
            at: rfc3339(e.at_ms),
            actor: e.actor,
            action: e.action,
            target: e.target,
            detail: e.detail,
        },
    )))
}
