//! Switching a channel off and on again. What waits to be sent goes on waiting
//! while it is off; vendors are told to come back.

use axum::extract::State;
use pointsman_rules::ids::ChannelId;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{self, Manager};
use super::view::{self, ChannelView};
use super::{checked_people, keep};
use crate::flow::channel_state::{CONNECTED, CONNECTING, PAUSED};
use crate::http::etag::Tagged;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, body};
use crate::store::channels::Channel;

const REASON_CHARS_MAX: usize = 200;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(pause)).routes(routes!(resume))
}

/// Why a channel is switched off.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pause {
    /// One sentence for colleagues.
    reason: Option<String>,
}

/// Switches a channel off: nothing is taken or sent until it is resumed. What is on its way out waits.
#[utoipa::path(post, path = "/api/v1/channels/{id}/pause", tag = "channels", params(("id" = String, Path)), request_body = Pause, responses((status = 200, body = ChannelView)))]
async fn pause(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
    body::Json(asked): body::Json<Pause>,
) -> Result<Tagged<ChannelView>, Problem> {
    let before = access::managed(&mut api.read().await?, &who, id).await?;
    let reason = asked.reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
        return Err(Problem::field("/reason", format!("must have {REASON_CHARS_MAX} characters at most")));
    }
    let mut channel = before.clone();
    switch_off(&mut channel, reason, api.flow.clock.now_ms());
    let channel = keep(&api, &who, "channel.pause", (before, channel)).await?;
    view::changed(&api, &who, channel).await
}

/// Switches a channel on again, also one that was stopped because its plugin crashed again and again; what waited goes on
/// and webhooks that were kept meanwhile are read. It needs a default group or an assigned agent.
#[utoipa::path(post, path = "/api/v1/channels/{id}/resume", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = ChannelView)))]
async fn resume(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
) -> Result<Tagged<ChannelView>, Problem> {
    let before = access::managed(&mut api.read().await?, &who, id).await?;
    let mut channel = before.clone();
    let has_account = api.flow.host.get(&channel.provider).is_some_and(|plugin| plugin.exports().account);
    switch_on(&mut channel, has_account, api.flow.clock.now_ms());
    checked_people(&api, &who, &channel).await?;
    let channel = keep(&api, &who, "channel.resume", (before, channel)).await?;
    view::changed(&api, &who, channel).await
}

/// Off; nothing changes in a channel that is off, but for the reason.
pub(super) fn switch_off(channel: &mut Channel, reason: Option<String>, now_ms: i64) {
    if channel.active {
        channel.active = false;
        PAUSED.clone_into(&mut channel.state);
        channel.state_since_ms = now_ms;
        channel.state_reason = Some("it was switched off".to_owned());
    }
    channel.state_reason = reason.or_else(|| channel.state_reason.take());
}

/// On; nothing changes in a channel that is on and was not stopped. `has_account`: can the vendor be asked about it?
pub(super) fn switch_on(channel: &mut Channel, has_account: bool, now_ms: i64) {
    if !channel.active || channel.state == PAUSED {
        channel.active = true;
        connecting(channel, has_account, now_ms);
    }
}

/// What was known of the account does not count any more.
pub(super) fn connecting(channel: &mut Channel, has_account: bool, now_ms: i64) {
    let (state, reason) = match has_account {
        true => (CONNECTING, Some("the account was not checked yet".to_owned())),
        false => (CONNECTED, None),
    };
    state.clone_into(&mut channel.state);
    channel.state_reason = reason;
    channel.state_since_ms = now_ms;
}
