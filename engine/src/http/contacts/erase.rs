//! Erasing a contact, and how far that is.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::ids::{ContactId, ErasureId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::alive;
use crate::clock::rfc3339;
use crate::flow::erase::{self, Asked};
use crate::http::auth::Admin;
use crate::http::conversations::finish_erasure;
use crate::http::orders::not_found;
use crate::http::paging::{List, Page, Query};
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused};
use crate::store::audit::{self, Change};
use crate::store::erasures::{self, Erasure, Target};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(erase_contact)).routes(routes!(list)).routes(routes!(get))
}

/// An erasure.
#[derive(Debug, Serialize, ToSchema)]
struct ErasureView {
    /// `ers_…`.
    #[schema(value_type = String)]
    id: ErasureId,
    /// Id of the contact or conversation.
    target: String,
    /// `running` or `done`. Whatever was asked for cannot be found any more in either.
    state: &'static str,
    /// Rows that are gone so far: messages, events, files, …
    rows_gone: i64,
    /// Id of the user or key who asked for it.
    by: String,
    /// When it was asked for.
    created_at: String,
    /// When it ended.
    done_at: Option<String>,
}

impl From<Erasure> for ErasureView {
    fn from(it: Erasure) -> Self {
        Self {
            id: it.id,
            target: match it.target {
                Target::Contact(id) => id.to_string(),
                Target::Conversation(id) => id.to_string(),
            },
            state: if it.is_done { "done" } else { "running" },
            rows_gone: it.rows_gone,
            by: it.actor,
            created_at: rfc3339(it.created_ms),
            done_at: it.done_ms.map(rfc3339),
        }
    }
}

/// That it is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Consent {
    /// The id of the contact once more.
    confirm: Option<String>,
}

/// Erases a contact for good: name, numbers, addresses, attributes, messages, notes, files, events, webhooks. Ids, counts
/// and times stay. Who had opted out or was blocked is not written to either when they come back.
#[utoipa::path(post, path = "/api/v1/contacts/{id}/erase", tag = "contacts", params(("id" = String, Path), Consent),
    responses((status = 202, body = ErasureView)))]
async fn erase_contact(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<ContactId>,
    Query(consent): Query<Consent>,
) -> Result<(StatusCode, Json<ErasureView>), Problem> {
    let clock = &api.flow.clock;
    let confirmed = consent.confirm.as_deref() == Some(id.to_string().as_str());
    let asked =
        Asked { id: ErasureId::new(clock.now_ms(), clock.random()), tenant: who.tenant, actor: who.id() };
    let entry = who.did(clock, "contact.erase", id, Change::act(json!({"erasure": asked.id.to_string()})));
    let (flow, order) = (api.flow.clone(), asked.clone());
    api.write(move |tx| {
        let (flow, asked, who, entry) = (flow.clone(), order.clone(), who.clone(), entry.clone());
        Box::pin(async move {
            alive(tx, &who, id).await?;
            if !confirmed {
                let detail = "erasing cannot be undone; it needs `?confirm=` with the contact's id";
                return Err(Refused::from(Problem::refused("confirmation_required", detail)));
            }
            erase::begin_contact(&flow, tx, &asked, id).await?;
            Ok(audit::append(tx, asked.tenant, &entry).await?)
        })
    })
    .await?;
    let erasure = finish_erasure(&api, &asked).await?.ok_or_else(|| not_found("erasure"))?;
    Ok((StatusCode::ACCEPTED, Json(erasure.into())))
}

/// Erasures of contacts and conversations, the newest first.
#[utoipa::path(get, path = "/api/v1/contacts/erasures", tag = "contacts", params(Page),
    responses((status = 200, body = List<ErasureView>)))]
async fn list(
    State(api): State<Api>,
    Admin(who): Admin,
    Query(page): Query<Page>,
) -> Result<Json<List<ErasureView>>, Problem> {
    let (rows, before) = (page.rows()?, page.after::<ErasureId>()?);
    let found = erasures::list(&mut api.read().await?, who.tenant, before, rows as u32).await?;
    Ok(Json(List::page(found, rows, |it| it.id, ErasureView::from)))
}

/// How far an erasure is.
#[utoipa::path(get, path = "/api/v1/contacts/erasures/{id}", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = ErasureView)))]
async fn get(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<ErasureId>,
) -> Result<Json<ErasureView>, Problem> {
    let found = erasures::get(&mut api.read().await?, who.tenant, id).await?;
    Ok(Json(found.ok_or_else(|| not_found("erasure"))?.into()))
}
