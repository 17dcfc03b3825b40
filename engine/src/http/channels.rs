//! `/channels`: connecting numbers and accounts. What may be filled in comes
//! from the plugin's manifest, so that a new provider needs no change here.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::ids::ChannelId;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Principal;
use super::etag::{IfMatch, Tagged};
use super::paging::{List, Page, Query};
use super::path::Id;
use super::problem::Problem;
use super::{Api, Refused, body};
use crate::flow::channel_state::{self, Move};
use crate::flow::crash;
use crate::flow::removal;
use crate::flow::templates::JOB;
use crate::store::audit::{self, Change};
use crate::store::channels::{self, Channel};
use crate::store::{Tx, channel_assistants, groups, jobs, users};

mod access;
mod account;
mod addresses;
mod backfill;
mod change;
pub(super) mod form;
mod health;
mod picture;
mod qr;
mod session;
mod switch;
mod templates;
mod view;

use access::Manager;
use change::{ChannelChange, NewChannel};
use view::ChannelView;

pub(super) use view::SecretView;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, change, remove))
        .merge(switch::router())
        .merge(health::router())
        .merge(account::router())
        .merge(addresses::router())
        .merge(session::router())
        .merge(picture::router())
        .merge(templates::router())
        .merge(backfill::router())
}

/// Channels, oldest first.
#[utoipa::path(get, path = "/api/v1/channels", tag = "channels", params(Page), responses((status = 200, body = List<ChannelView>)))]
async fn list(
    State(api): State<Api>,
    who: Principal,
    Query(page): Query<Page>,
) -> Result<Json<List<ChannelView>>, Problem> {
    let (rows, after) = (page.rows()?, page.after()?);
    let tx = &mut api.read().await?;
    let found = channels::list(tx, who.tenant, access::sight(&who), after, rows).await?;
    let readers = channel_assistants::readers(tx, who.tenant).await?;
    let show = |c: Channel| {
        let reader = readers.get(&c.id);
        view::view(&api, &who, c, reader, None)
    };
    Ok(Json(List::page(found, rows, |c| c.id, show)))
}

/// Connects a channel; an agent a personal one. Settings and secrets are those of the plugin's manifest; mistakes come with pointers.
#[utoipa::path(post, path = "/api/v1/channels", tag = "channels", request_body = NewChannel, responses((status = 201, body = ChannelView)))]
async fn create(
    State(api): State<Api>,
    Manager(who): Manager,
    body::Json(new): body::Json<NewChannel>,
) -> Result<Tagged<ChannelView>, Problem> {
    let clock = &api.flow.clock;
    let now_ms = clock.now_ms();
    let id = ChannelId::new(now_ms, clock.random());
    let channel = new.checked(&api, &who, id).await?;
    let what = Change::made(&view::record(&api, &who, &channel));
    let (tenant, row, entry) = (who.tenant, channel.clone(), who.did(clock, "channel.create", id, what));
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
    Ok(Tagged::created(1, view::view(&api, &who, channel, None, None)))
}

/// One channel, with counters.
#[utoipa::path(get, path = "/api/v1/channels/{id}", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = ChannelView)))]
async fn get(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ChannelId>,
) -> Result<Tagged<ChannelView>, Problem> {
    let mut tx = api.read().await?;
    let channel = access::seen(&mut tx, &who, id).await?;
    let (health, backlog) = health::read(&mut tx, &who, id).await?;
    let counters = Some(health::counters(&health, backlog));
    let readers = channel_assistants::readers(&mut tx, who.tenant).await?;
    Ok(Tagged::ok(channel.version, view::view(&api, &who, channel, readers.get(&id), counters)))
}

/// Changes a channel. What is left out stays, also secrets.
#[utoipa::path(patch, path = "/api/v1/channels/{id}", tag = "channels", params(("id" = String, Path)), request_body = ChannelChange, responses((status = 200, body = ChannelView)))]
async fn change(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
    seen: IfMatch,
    body::Json(change): body::Json<ChannelChange>,
) -> Result<Tagged<ChannelView>, Problem> {
    let before = access::managed(&mut api.read().await?, &who, id).await?;
    seen.check(before.version)?;
    let channel = change.applied(&api, before.clone()).await?;
    access::check_owner_fields(&who, &before, &channel)?;
    let channel = keep(&api, &who, "channel.change", (before, channel)).await?;
    view::changed(&api, &who, channel).await
}

/// Keeps a changed channel, says so where its state is another now, and lets go what waited for it. Answers it with
/// its new version.
///
/// # Errors
/// 409 when somebody changed it since it was read: asking a plugin takes too long for a transaction.
async fn keep(
    api: &Api,
    who: &Principal,
    action: &'static str,
    (before, mut channel): (Channel, Channel),
) -> Result<Channel, Problem> {
    let (tenant, id, clock) = (who.tenant, channel.id, api.flow.clock.clone());
    let what = Change::edited(&view::record(api, who, &before), &view::record(api, who, &channel));
    let entry = who.did(&clock, action, id, what);
    let view = api.flow.catalog.view(&api.flow, tenant).await?;
    let (row, read_version, from) = (channel.clone(), before.version, before.state);
    let entered = (from != channel.state).then(|| Move {
        tenant,
        channel: id,
        to: channel.state.clone(),
        reason: channel.state_reason.clone(),
        notice: None,
        actor: who.actor(),
    });
    let news = api.write(move |tx| {
        let (row, entry, clock) = (row.clone(), entry.clone(), clock.clone());
        let (entered, from, view) = (entered.clone(), from.clone(), view.clone());
        Box::pin(async move {
            let now = channels::get(tx, tenant, id).await?.ok_or_else(|| Problem::not_found("channel"))?;
            // The vendor may have moved its state meanwhile; that is no change of what was set up.
            if now.version != read_version {
                let detail = "somebody changed this channel at the same moment; read it and try again";
                return Err(Problem::conflict("changed_meanwhile", detail).into());
            }
            // One that is switched off may have lost its team since.
            let people = |it: &Channel| (it.active, it.default_group, it.assigned_user);
            if row.active || people(&row) != (false, now.default_group, now.assigned_user) {
                check_people(tx, tenant, &row).await?;
            }
            let row = if entered.is_some() { row } else { with_state_of(row, &now) };
            channels::update(tx, tenant, &row).await?;
            jobs::wake(tx, tenant, JOB, clock.now_ms()).await?;
            jobs::wake(tx, tenant, crash::JOB, clock.now_ms()).await?;
            audit::append(tx, tenant, &entry).await?;
            let Some(entered) = entered else { return Ok(None) };
            let entered = channel_state::announce(tx, &clock, &entered, from).await?;
            Ok::<_, Refused>(Some(entered.tell(tx, &clock, &view).await?))
        })
    });
    let news = news.await?;
    channel_state::settle(&api.flow, tenant, id, news).await?;
    channel.version += 1;
    Ok(channel)
}

/// A state that was not meant to change stays what it is now.
fn with_state_of(row: Channel, now: &Channel) -> Channel {
    let (state, state_reason) = (now.state.clone(), now.state_reason.clone());
    Channel { state, state_reason, state_since_ms: now.state_since_ms, ..row }
}

/// Consent to a removal.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Confirm {
    /// The channel's name, as a proof that it is the one that is meant.
    confirm: Option<String>,
}

/// Removes a channel and its secrets, after telling the vendor to call us no more. Its conversations are closed and
/// stay readable; what was still to be sent by it fails, and its webhook address answers 404.
#[utoipa::path(delete, path = "/api/v1/channels/{id}", tag = "channels", params(("id" = String, Path), Confirm), responses((status = 204)))]
async fn remove(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
    seen: IfMatch,
    Query(consent): Query<Confirm>,
) -> Result<StatusCode, Problem> {
    let channel = access::managed(&mut api.read().await?, &who, id).await?;
    seen.check(channel.version)?;
    if consent.confirm.as_deref() != Some(channel.name.as_str()) {
        let detail = "removing a channel needs `?confirm=` with the channel's name";
        return Err(Problem::refused("confirmation_required", detail));
    }
    account::take_leave(&api, &who, id).await;
    let (clock, tenant) = (&api.flow.clock, who.tenant);
    let what = Change::removed(&view::record(&api, &who, &channel));
    let (now_ms, entry) = (clock.now_ms(), who.did(clock, "channel.delete", id, what));
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
    channel_state::settle(&api.flow, tenant, id, None).await?;
    removal::close_cases(&api.flow, tenant, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// As [`check_people`], before a write.
async fn checked_people(api: &Api, who: &Principal, channel: &Channel) -> Result<(), Problem> {
    match check_people(&mut api.read().await?, who.tenant, channel).await {
        Ok(()) => Ok(()),
        Err(Refused::Problem(problem)) => Err(*problem),
        Err(Refused::Store(error)) => Err(error.into()),
    }
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
