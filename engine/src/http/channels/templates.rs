//! Provider-approved messages of a channel: as listed last, and listed anew.

use axum::Json;
use axum::extract::State;
use pointsman_rules::ids::{ChannelId, TemplateId};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{self, Manager};
use super::account;
use crate::clock::rfc3339;
use crate::crypto::hash16;
use crate::flow::slot;
use crate::http::auth::Principal;
use crate::http::paging::List;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused};
use crate::plugins::VendorTemplate;
use crate::store::audit;
use crate::store::templates::{self, Template};

/// Pages of the vendor's list at most; beyond it the rest is left out.
const PAGES_MAX: usize = 100;

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
    let (plugin, context) = account::context(&api, &who, id).await?;
    let (mut found, mut cursor) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let page = plugin.list_templates(&context, cursor.as_deref()).await.map_err(account::refused)?;
        found.extend(page.templates.into_iter().map(|template| kept(id, template, api.flow.clock.now_ms())));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let (tenant, count) = (who.tenant, found.len());
    let entry = who.did(&api.flow.clock, "channel.templates", id, json!({"templates": count}));
    let rows = found.clone();
    api.write(move |tx| {
        let (rows, entry) = (rows.clone(), entry.clone());
        Box::pin(async move {
            templates::replace(tx, tenant, id, &rows).await?;
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, Some(id));
    Ok(Json(List::whole(found.into_iter().map(TemplateView::from).collect())))
}

fn kept(channel: ChannelId, template: VendorTemplate, now_ms: i64) -> Template {
    let parts = ["template", &channel.to_string(), &template.name, &template.language];
    let slot = |it: crate::plugins::TemplateSlot| slot::key(&it.place, &it.name);
    Template {
        id: TemplateId::from_hash(hash16(&parts)),
        vendor_id: Some(template.vendor_id).filter(|id| !id.is_empty()),
        name: template.name,
        language: template.language,
        category: template.category,
        status: template.status.to_lowercase(),
        body: template.body,
        slots: template.slots.into_iter().map(slot).collect(),
        buttons: serde_json::to_value(template.buttons).unwrap_or_else(|_| json!([])),
        synced_ms: now_ms,
    }
}
