//! `/assistants`: AI plugins with their settings, secrets and limits. Which
//! channels they may read is in `channels`; without that they read nothing.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::ids::AssistantId;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Admin;
use super::channels::SecretView;
use super::etag::{IfMatch, Tagged};
use super::hooks::flow_problem;
use super::paging::{List, Page, Query};
use super::path::Id;
use super::problem::Problem;
use super::{Api, Refused, body};
use crate::clock::rfc3339;
use crate::flow::assistant::ask;
use crate::plugins::AccountTask;
use crate::store::assistants::{self, Assistant};
use crate::store::audit::{self, Change};

mod change;
mod channels;
mod groups;
mod knowledge;
mod limits;
#[cfg(test)]
mod tests;
mod usage;

use change::{AssistantChange, NewAssistant};
use limits::LimitsForm;

/// Assistants of one tenant at most.
const ASSISTANTS_MAX: i64 = 20;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, change_one, remove))
        .routes(routes!(check))
        .merge(channels::router())
        .merge(groups::router())
        .merge(knowledge::router())
        .merge(usage::router())
}

/// An AI plugin as you set it up.
#[derive(Debug, Serialize, ToSchema)]
pub struct AssistantView {
    /// `ast_…`.
    id: String,
    /// Id of the plugin that speaks for it.
    plugin: String,
    /// For people.
    name: String,
    /// As the plugin's manifest describes them.
    #[schema(value_type = Object)]
    settings: Value,
    /// Which secrets are set, and since when. They are never shown.
    secrets: BTreeMap<String, SecretView>,
    /// May its settings point into a private network?
    allow_private_egress: bool,
    /// Is it asked anything?
    active: bool,
    /// What it is told, whatever the channel.
    instructions: String,
    /// What it may do and use.
    limits: LimitsForm,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// Also the `ETag`.
    version: i64,
}

impl From<Assistant> for AssistantView {
    fn from(it: Assistant) -> Self {
        Self {
            id: it.id.to_string(),
            plugin: it.plugin,
            name: it.name,
            settings: it.settings,
            secrets: SecretView::shown(it.secrets_set),
            allow_private_egress: it.allow_private_egress,
            active: it.active,
            instructions: it.instructions,
            limits: LimitsForm::from(it.limits),
            created_at: rfc3339(it.created_ms),
            version: it.version,
        }
    }
}

/// Assistants, oldest first.
#[utoipa::path(get, path = "/api/v1/assistants", tag = "assistants", params(Page), responses((status = 200, body = List<AssistantView>)))]
async fn list(
    State(api): State<Api>,
    Admin(who): Admin,
    Query(page): Query<Page>,
) -> Result<Json<List<AssistantView>>, Problem> {
    let (rows, after) = (page.rows()?, page.after()?);
    let found = assistants::list(&mut api.read().await?, who.tenant, after, rows).await?;
    Ok(Json(List::page(found, rows, |it| it.id, AssistantView::from)))
}

/// Adds an assistant. It reads nothing until a channel is given to it.
#[utoipa::path(post, path = "/api/v1/assistants", tag = "assistants", request_body = NewAssistant, responses((status = 201, body = AssistantView)))]
async fn create(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(new): body::Json<NewAssistant>,
) -> Result<Tagged<AssistantView>, Problem> {
    let (clock, tenant, now_ms) = (&api.flow.clock, who.tenant, api.flow.clock.now_ms());
    let id = AssistantId::new(now_ms, clock.random());
    let row = new.checked(&api, id).await?;
    let view = AssistantView::from(row.clone());
    let entry = who.did(clock, "assistant.create", id, Change::made(&view));
    api.write(move |tx| {
        let (row, entry) = (row.clone(), entry.clone());
        Box::pin(async move {
            if assistants::count(tx, tenant).await? >= ASSISTANTS_MAX {
                let detail = format!("there are {ASSISTANTS_MAX} assistants already; remove one first");
                return Err(Problem::refused("too_many_assistants", detail).into());
            }
            if !assistants::insert(tx, tenant, &row).await? {
                return Err(name_taken().into());
            }
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    Ok(Tagged::created(1, view))
}

/// One assistant.
#[utoipa::path(get, path = "/api/v1/assistants/{id}", tag = "assistants", params(("id" = String, Path)), responses((status = 200, body = AssistantView)))]
async fn get(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<AssistantId>,
) -> Result<Tagged<AssistantView>, Problem> {
    let found = assistants::get(&mut api.read().await?, who.tenant, id).await?.ok_or_else(not_found)?;
    Ok(Tagged::ok(found.version, found.into()))
}

/// Changes an assistant. What is left out stays, also secrets.
#[utoipa::path(patch, path = "/api/v1/assistants/{id}", tag = "assistants", params(("id" = String, Path)), request_body = AssistantChange, responses((status = 200, body = AssistantView)))]
async fn change_one(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<AssistantId>,
    seen: IfMatch,
    body::Json(change): body::Json<AssistantChange>,
) -> Result<Tagged<AssistantView>, Problem> {
    let tenant = who.tenant;
    let before = assistants::get(&mut api.read().await?, tenant, id).await?.ok_or_else(not_found)?;
    seen.check(before.version)?;
    // The plugin is asked outside of the transaction; a change at the same moment is refused in it.
    let mut after = change.applied(&api, before.clone()).await?;
    let of = |row: &Assistant| AssistantView::from(row.clone());
    let what = Change::edited(&of(&before), &of(&after));
    let (row, entry) = (after.clone(), who.did(&api.flow.clock, "assistant.change", id, what));
    api.write(move |tx| {
        let (row, entry) = (row.clone(), entry.clone());
        Box::pin(async move {
            let now = assistants::get(tx, tenant, id).await?.ok_or_else(not_found)?;
            if now.version != row.version {
                let detail = "somebody changed this assistant at the same moment; read it and try again";
                return Err(Problem::conflict("changed_meanwhile", detail).into());
            }
            if !assistants::update(tx, tenant, &row).await? {
                return Err(name_taken().into());
            }
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, None);
    after.version += 1;
    Ok(Tagged::ok(after.version, after.into()))
}

/// Removes an assistant with its secrets, and takes it off its channels. What it was waited for is handed to people.
#[utoipa::path(delete, path = "/api/v1/assistants/{id}", tag = "assistants", params(("id" = String, Path)), responses((status = 204)))]
async fn remove(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<AssistantId>,
    seen: IfMatch,
) -> Result<StatusCode, Problem> {
    let (tenant, inside) = (who.tenant, api.clone());
    api.write(move |tx| {
        let (api, who, seen) = (inside.clone(), who.clone(), seen.clone());
        Box::pin(async move {
            let before = assistants::get(tx, tenant, id).await?.ok_or_else(not_found)?;
            seen.check(before.version)?;
            assistants::delete(tx, tenant, id).await?;
            let what = Change::removed(&AssistantView::from(before));
            let entry = who.did(&api.flow.clock, "assistant.delete", id, what);
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, None);
    Ok(StatusCode::NO_CONTENT)
}

/// What a check of an assistant found.
#[derive(Debug, Serialize, ToSchema)]
struct AssistantCheck {
    /// Do its credentials work?
    ok: bool,
    /// Why not, and what to do.
    problem: Option<String>,
    /// Models to choose from, as far as the vendor tells.
    models: Vec<String>,
    /// What is not as it should be.
    warnings: Vec<String>,
}

/// Asks the vendor whether the credentials work, and which models there are. Nothing of any conversation is sent.
#[utoipa::path(post, path = "/api/v1/assistants/{id}/check", tag = "assistants", params(("id" = String, Path)), responses((status = 200, body = AssistantCheck)))]
async fn check(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<AssistantId>,
) -> Result<Json<AssistantCheck>, Problem> {
    let found = assistants::get(&mut api.read().await?, who.tenant, id).await?.ok_or_else(not_found)?;
    let Some(plugin) = api.flow.host.get(&found.plugin) else {
        let detail = format!("the plugin `{}` is not installed; install it first", found.plugin);
        return Err(Problem::refused("no_plugin", detail));
    };
    let blank = AssistantCheck { ok: true, problem: None, models: Vec::new(), warnings: Vec::new() };
    if !plugin.exports().account {
        return Ok(Json(blank)); // it has no account that could be wrong
    }
    let context = ask::context_of(&api.flow, who.tenant, &found).map_err(flow_problem)?;
    let report = match plugin.account(&context, AccountTask::Check).await {
        Ok(report) => report,
        Err(failure) => {
            return Ok(Json(AssistantCheck { ok: false, problem: Some(failure.message), ..blank }));
        }
    };
    // Not every vendor lists its models; that is nothing to complain about.
    let models = plugin.account(&context, AccountTask::ListAddresses).await.map(|it| it.addresses);
    let models = models.unwrap_or_default().into_iter().map(|it| it.address).collect();
    Ok(Json(AssistantCheck { models, warnings: report.warnings, ..blank }))
}

fn name_taken() -> Problem {
    Problem::field("/name", "another assistant has this name")
}

fn not_found() -> Problem {
    Problem::not_found("assistant")
}
