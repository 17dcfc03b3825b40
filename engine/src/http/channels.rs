//! `/channels`: connecting numbers and accounts. What may be filled in comes
//! from the plugin's manifest, so that a new provider needs no change here.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::ids::ChannelId;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Admin, Principal};
use super::etag::{IfMatch, Tagged};
use super::paging::{List, Page, Query};
use super::path::Id;
use super::problem::Problem;
use super::{Api, Refused, body};
use crate::crypto::random_token;
use crate::flow::templates::JOB;
use crate::store::channels::{self, Channel};
use crate::store::{Tx, audit, groups, jobs, users};

mod account;
mod change;
mod form;
mod templates;
mod view;

use change::{ChannelChange, NewChannel};
use view::ChannelView;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, change, remove))
        .merge(account::router())
        .merge(templates::router())
}

/// Channels, oldest first.
#[utoipa::path(get, path = "/api/v1/channels", tag = "channels", params(Page), responses((status = 200, body = List<ChannelView>)))]
async fn list(
    State(api): State<Api>,
    who: Principal,
    Query(page): Query<Page>,
) -> Result<Json<List<ChannelView>>, Problem> {
    let (rows, after) = (page.rows()?, page.after()?);
    let found = channels::list(&mut api.read().await?, who.tenant, after, rows).await?;
    Ok(Json(List::page(found, rows, |c| c.id, |c| view::view(&api, &who, c, None))))
}

/// Connects a channel. Settings and secrets are those of the plugin's manifest; mistakes come with pointers.
#[utoipa::path(post, path = "/api/v1/channels", tag = "channels", request_body = NewChannel, responses((status = 201, body = ChannelView)))]
async fn create(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(new): body::Json<NewChannel>,
) -> Result<Tagged<ChannelView>, Problem> {
    let clock = &api.flow.clock;
    let now_ms = clock.now_ms();
    let id = ChannelId::new(now_ms, clock.random());
    let channel = new.checked(&api, id, random_token(clock, "")).await?;
    let detail = json!({"name": channel.name, "provider": channel.provider, "kind": channel.kind});
    let (tenant, row, entry) = (who.tenant, channel.clone(), who.did(clock, "channel.create", id, detail));
    api.write(move |tx| {
        let (row, entry) = (row.clone(), entry.clone());
        Box::pin(async move {
            check_people(tx, tenant, &row).await?;
            channels::insert(tx, tenant, &row).await?;
            jobs::wake(tx, tenant, JOB, now_ms).await?;
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, Some(id));
    Ok(Tagged::created(1, view::view(&api, &who, channel, None)))
}

/// One channel, with counters.
#[utoipa::path(get, path = "/api/v1/channels/{id}", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = ChannelView)))]
async fn get(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ChannelId>,
) -> Result<Tagged<ChannelView>, Problem> {
    let mut tx = api.read().await?;
    let channel = load(&mut tx, &who, id).await?;
    let counters = channels::counters(&mut tx, who.tenant, id).await?;
    Ok(Tagged::ok(channel.version, view::view(&api, &who, channel, Some(counters))))
}

/// Changes a channel. What is left out stays, also secrets.
#[utoipa::path(patch, path = "/api/v1/channels/{id}", tag = "channels", params(("id" = String, Path)), request_body = ChannelChange, responses((status = 200, body = ChannelView)))]
async fn change(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<ChannelId>,
    seen: IfMatch,
    body::Json(change): body::Json<ChannelChange>,
) -> Result<Tagged<ChannelView>, Problem> {
    let before = load(&mut api.read().await?, &who, id).await?;
    seen.check(before.version)?;
    let (fields, read_version) = (change.fields(), before.version);
    // Asking the plugin takes too long for a transaction, so the row is checked for being the same afterwards.
    let mut channel = change.applied(&api, before).await?;
    let entry =
        who.did(&api.flow.clock, "channel.change", id, json!({"name": channel.name, "fields": fields}));
    let (tenant, row, now_ms) = (who.tenant, channel.clone(), api.flow.clock.now_ms());
    api.write(move |tx| {
        let (row, entry) = (row.clone(), entry.clone());
        Box::pin(async move {
            let now = channels::get(tx, tenant, id).await?.ok_or_else(|| Problem::not_found("channel"))?;
            if now.version != read_version {
                let detail = "somebody changed this channel at the same moment; read it and try again";
                return Err(Problem::conflict("changed_meanwhile", detail).into());
            }
            check_people(tx, tenant, &row).await?;
            channels::update(tx, tenant, &row).await?;
            jobs::wake(tx, tenant, JOB, now_ms).await?;
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, Some(id));
    channel.version += 1;
    Ok(Tagged::ok(channel.version, view::view(&api, &who, channel, None)))
}

/// Consent to a removal.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Confirm {
    /// The channel's name, as a proof that it is the one that is meant.
    confirm: Option<String>,
}

/// Removes a channel and its secrets. Its conversations stay readable.
#[utoipa::path(delete, path = "/api/v1/channels/{id}", tag = "channels", params(("id" = String, Path), Confirm), responses((status = 204)))]
async fn remove(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<ChannelId>,
    seen: IfMatch,
    Query(consent): Query<Confirm>,
) -> Result<StatusCode, Problem> {
    let channel = load(&mut api.read().await?, &who, id).await?;
    seen.check(channel.version)?;
    if consent.confirm.as_deref() != Some(channel.name.as_str()) {
        let detail = "removing a channel needs `?confirm=` with the channel's name";
        return Err(Problem::refused("confirmation_required", detail));
    }
    let (clock, tenant) = (&api.flow.clock, who.tenant);
    let (now_ms, entry) =
        (clock.now_ms(), who.did(clock, "channel.delete", id, json!({"name": channel.name})));
    api.write(move |tx| {
        let entry = entry.clone();
        Box::pin(async move {
            if !channels::delete(tx, tenant, id, now_ms).await? {
                return Err(Problem::not_found("channel").into());
            }
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, Some(id));
    Ok(StatusCode::NO_CONTENT)
}

async fn load(tx: &mut Tx, who: &Principal, id: ChannelId) -> Result<Channel, Problem> {
    channels::get(tx, who.tenant, id).await?.ok_or_else(|| Problem::not_found("channel"))
}

/// Team and agent must exist, and an active channel must have one of them.
async fn check_people(
    tx: &mut Tx,
    tenant: pointsman_rules::ids::TenantId,
    channel: &Channel,
) -> Result<(), Refused> {
    if let Some(group) = channel.default_group
        && groups::get(tx, tenant, group).await?.is_none()
    {
        return Err(Problem::field("/default_group", format!("there is no group {group}")).into());
    }
    if let Some(agent) = channel.assigned_user
        && users::get(tx, tenant, agent).await?.is_none_or(|user| user.disabled_ms.is_some())
    {
        return Err(Problem::field("/assigned_agent", format!("there is no user {agent}")).into());
    }
    if channel.active && channel.default_group.is_none() && channel.assigned_user.is_none() {
        let message =
            "needs a `default_group` or an `assigned_agent` first, so that nobody's message is lost";
        return Err(Problem::field("/active", message).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
