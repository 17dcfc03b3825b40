//! Provider-approved messages of a channel: as listed last, and listed anew.

use axum::Json;
use axum::extract::State;
use pointsman_rules::ids::ChannelId;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{self, Manager};
use super::account;
use crate::clock::rfc3339;
use crate::flow::templates::{SyncError, sync};
use crate::http::auth::Principal;
use crate::http::hooks::flow_problem;
use crate::http::paging::List;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused};
use crate::store::audit::{self, Change};
use crate::store::templates::{self, Template};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(refresh))
}

/// A provider-approved message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateView {
    /// `tpl_…`.
    id: String,
    /// Its name at the vendor.
    name: String,
    /// The vendor's language code.
    language: String,
    /// `marketing`, `utility`, …
    category: Option<String>,
    /// `approved`, `pending`, `rejected`, `paused`, `disabled`.
    status: String,
    /// Its text with its holes.
    body: String,
    /// Names of the slots to fill.
    slots: Vec<String>,
    /// Its buttons: kind, title and value.
    #[schema(value_type = Vec<Object>)]
    buttons: serde_json::Value,
    /// When the vendor listed it last.
    #[schema(format = DateTime)]
    synced_at: String,
}

impl From<Template> for TemplateView {
    fn from(template: Template) -> Self {
        Self {
            id: template.id.to_string(),
            name: template.name,
            language: template.language,
            category: template.category,
            status: template.status,
            body: template.body,
            slots: template.slots,
            buttons: template.buttons,
            synced_at: rfc3339(template.synced_ms),
        }
    }
}

/// Templates of a channel, as listed last.
#[utoipa::path(get, path = "/api/v1/channels/{id}/templates", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = List<TemplateView>)))]
async fn list(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ChannelId>,
) -> Result<Json<List<TemplateView>>, Problem> {
    let mut tx = api.read().await?;
    access::seen(&mut tx, &who, id).await?;
    let found = templates::list(&mut tx, who.tenant, id).await?;
    Ok(Json(List::whole(found.into_iter().map(TemplateView::from).collect())))
}

/// Asks the vendor for its templates and keeps them.
#[utoipa::path(post, path = "/api/v1/channels/{id}/templates/refresh", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = List<TemplateView>)))]
async fn refresh(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
) -> Result<Json<List<TemplateView>>, Problem> {
    account::context(&api, &who, id).await?;
    let found = sync(&api.flow, who.tenant, id).await.map_err(|error| match error {
        SyncError::Vendor(failure) => account::refused(failure),
        SyncError::Gone => Problem::not_found("channel"),
        SyncError::Flow(error) => flow_problem(error),
    })?;
    let (tenant, count) = (who.tenant, found.len());
    let entry = who.did(&api.flow.clock, "channel.templates", id, Change::act(json!({"templates": count})));
    api.write(move |tx| {
        let entry = entry.clone();
        Box::pin(async move { Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?) })
    })
    .await?;
    Ok(Json(List::whole(found.into_iter().map(TemplateView::from).collect())))
}
