//! `/channels/{id}/session` and `/qr`: linking a phone to a channel, by a QR code or
//! by a code that is typed on it. The vendor is asked at once and what it says
//! becomes the channel's state. Changes are on `/stream` as
//! `channel.session_changed`, also each new QR code.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use pointsman_rules::ids::ChannelId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Manager;
use super::account;
use super::qr;
use crate::clock::rfc3339;
use crate::flow::session;
use crate::http::auth::Principal;
use crate::http::paging::Query;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused, body};
use crate::plugins::{ChannelContext, Failure, FailureKind, Plugin, QrImage, SessionOutcome, SessionTask};
use crate::store::audit::{self, Change};
use crate::store::{channel_sessions, channels};

/// Ask for the QR code again after so long, milliseconds: the shortest that a vendor shows one is 20 s.
const QR_REFRESH_MS: u32 = 15_000;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(state))
        .routes(routes!(start))
        .routes(routes!(stop))
        .routes(routes!(restart))
        .routes(routes!(logout))
        .routes(routes!(pairing_code))
        .routes(routes!(qr_code))
}

/// The phone that a channel is linked to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionView {
    /// `stopped`, `starting`, `needs_qr`, `needs_code`, `working`, `degraded`, `failed`, or the vendor's own word.
    state: String,
    /// Why, and what to do.
    reason: Option<String>,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// The linked account.
    profile: Option<SessionProfile>,
    /// The channel's own state.
    channel_state: String,
}

/// The account of a linked phone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionProfile {
    /// As its owner called it.
    name: Option<String>,
    /// Its number, E.164.
    phone: Option<String>,
    /// Where its picture is; the link is the vendor's and expires. `…/session/picture` fetches it.
    picture_url: Option<String>,
}

/// How the session is. Asks the vendor, and changes nothing there.
#[utoipa::path(get, path = "/api/v1/channels/{id}/session", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = SessionView)))]
async fn state(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
) -> Result<Json<SessionView>, Problem> {
    let (plugin, context) = linked(&api, &who, id).await?;
    act(&api, &who, id, (&plugin, &context), &SessionTask::State).await
}

/// Starts the session, after making it at the vendor where there is none. Safe to repeat. Then scan the QR code.
#[utoipa::path(post, path = "/api/v1/channels/{id}/session/start", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = SessionView)))]
async fn start(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
) -> Result<Json<SessionView>, Problem> {
    change(&api, &who, id, &SessionTask::Start, "channel.session.start").await
}

/// Stops the session: nothing is taken or sent. The phone stays linked.
#[utoipa::path(post, path = "/api/v1/channels/{id}/session/stop", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = SessionView)))]
async fn stop(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
) -> Result<Json<SessionView>, Problem> {
    change(&api, &who, id, &SessionTask::Stop, "channel.session.stop").await
}

/// Stops and starts the session, as after it failed.
#[utoipa::path(post, path = "/api/v1/channels/{id}/session/restart", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = SessionView)))]
async fn restart(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
) -> Result<Json<SessionView>, Problem> {
    change(&api, &who, id, &SessionTask::Restart, "channel.session.restart").await
}

/// Unlinks the phone. It must be linked again before anything is taken or sent.
#[utoipa::path(post, path = "/api/v1/channels/{id}/session/logout", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = SessionView)))]
async fn logout(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
) -> Result<Json<SessionView>, Problem> {
    change(&api, &who, id, &SessionTask::Logout, "channel.session.logout").await
}

/// Whose phone is to be linked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PairingPhone {
    /// The phone's number with its country code.
    phone: String,
}

/// What to type on the phone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PairingCodeView {
    /// On the phone: Linked devices, Link a device, Link with phone number instead.
    code: String,
    /// When it is of no use any more, where the provider says so.
    expires_at: Option<String>,
}

/// A code that is typed on the phone instead of scanning the QR code.
#[utoipa::path(post, path = "/api/v1/channels/{id}/session/pairing-code", tag = "channels", params(("id" = String, Path)), request_body = PairingPhone, responses((status = 200, body = PairingCodeView)))]
async fn pairing_code(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
    body::Json(asked): body::Json<PairingPhone>,
) -> Result<Json<PairingCodeView>, Problem> {
    let (plugin, context) = linked(&api, &who, id).await?;
    let answer = plugin.session(&context, &SessionTask::PairingCode(asked.phone)).await;
    note(&api, &who, id, "channel.session.pairing_code", answer.is_ok()).await?;
    match answer.map_err(not_now)? {
        SessionOutcome::PairingCode { code, expires_at_ms } => {
            Ok(Json(PairingCodeView { code, expires_at: expires_at_ms.map(rfc3339) }))
        }
        _ => Err(Problem::refused("unsupported", "this provider links phones by QR code only")),
    }
}

/// How the QR code is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct QrWanted {
    /// `png` (default) or `text`.
    format: Option<String>,
}

/// What the QR code holds, for drawing it yourself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QrTextView {
    /// The text of the code. A secret: whoever scans it links their phone.
    text: String,
    /// Ask again after so many milliseconds: codes live for less than half a minute.
    refresh_after_ms: u32,
    /// When it is of no use any more, where the provider says so.
    expires_at: Option<String>,
}

/// What the phone has to scan now, as a picture or as text. 409 `session_not_ready` when there is nothing to scan. The
/// code changes; `/stream` tells each new one with `channel.session_changed`.
#[utoipa::path(get, path = "/api/v1/channels/{id}/qr", tag = "channels", params(("id" = String, Path), QrWanted),
    responses((status = 200, content((QrTextView = "application/json"), (Vec<u8> = "image/png")))))]
async fn qr_code(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
    Query(wanted): Query<QrWanted>,
) -> Result<Response, Problem> {
    let is_text = match wanted.format.as_deref() {
        None | Some("png") => false,
        Some("text") => true,
        Some(_) => return Err(Problem::field("/format", "must be `png` or `text`")),
    };
    let (plugin, context) = linked(&api, &who, id).await?;
    let answer = plugin.session(&context, &SessionTask::Qr).await.map_err(not_now)?;
    let png = match answer {
        SessionOutcome::Qr { image: QrImage::Text(text), expires_at_ms } if is_text => {
            let expires_at = expires_at_ms.map(rfc3339);
            return Ok(Json(QrTextView { text, refresh_after_ms: QR_REFRESH_MS, expires_at }).into_response());
        }
        SessionOutcome::Qr { image: QrImage::Text(text), .. } => qr::png(&text)?,
        SessionOutcome::Qr { .. } if is_text => {
            return Err(Problem::refused(
                "unsupported",
                "this provider only draws the code; ask for format=png",
            ));
        }
        SessionOutcome::Qr { image: QrImage::Png(png), .. } => png,
        _ => return Err(Problem::refused("unsupported", "this provider has no QR code")),
    };
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}

/// The plugin of a channel that is linked to a phone.
///
/// # Errors
/// 422 `unsupported` for other channels, and what [`account::context`] refuses.
pub(super) async fn linked(
    api: &Api,
    who: &Principal,
    id: ChannelId,
) -> Result<(Arc<Plugin>, ChannelContext), Problem> {
    let (plugin, context) = account::context(api, who, id).await?;
    if !plugin.exports().sessions {
        return Err(Problem::refused("unsupported", "channels of this provider are not linked to a phone"));
    }
    Ok((plugin, context))
}

async fn change(
    api: &Api,
    who: &Principal,
    id: ChannelId,
    task: &SessionTask,
    action: &'static str,
) -> Result<Json<SessionView>, Problem> {
    let (plugin, context) = linked(api, who, id).await?;
    let view = act(api, who, id, (&plugin, &context), task).await;
    note(api, who, id, action, view.is_ok()).await?;
    view
}

async fn note(api: &Api, who: &Principal, id: ChannelId, action: &str, ok: bool) -> Result<(), Problem> {
    let entry = who.did(&api.flow.clock, action, id, Change::act(json!({ "ok": ok })));
    let tenant = who.tenant;
    api.write(move |tx| {
        let entry = entry.clone();
        Box::pin(async move { Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?) })
    })
    .await
}

async fn act(
    api: &Api,
    who: &Principal,
    id: ChannelId,
    with: (&Plugin, &ChannelContext),
    task: &SessionTask,
) -> Result<Json<SessionView>, Problem> {
    session::act(&api.flow, (who.tenant, id), with, task, who.actor()).await?.map_err(not_now)?;
    let tx = &mut api.read().await?;
    let channel = channels::get(tx, who.tenant, id).await?;
    let known = channel_sessions::get(tx, who.tenant, id).await?;
    let (Some(channel), Some(known)) = (channel, known) else { return Err(Problem::not_found("channel")) };
    let (name, phone, picture_url) = (known.account_name, known.address, known.picture_url);
    let has_profile = name.is_some() || phone.is_some();
    Ok(Json(SessionView {
        state: known.state,
        reason: known.reason,
        since: rfc3339(known.since_ms),
        profile: has_profile.then_some(SessionProfile { name, phone, picture_url }),
        channel_state: channel.state,
    }))
}

/// A session that has to do something else first is no fault of the request.
fn not_now(failure: Failure) -> Problem {
    if failure.kind == FailureKind::SessionNotReady {
        return Problem::conflict("session_not_ready", failure.message);
    }
    account::refused(failure)
}
