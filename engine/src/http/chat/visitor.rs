//! Who writes on a chat page: a random id and its signature with the channel's
//! secret. Nothing is stored until the visitor writes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use pointsman_rules::ids::ChannelId;
use serde::Serialize;

use super::SESSIONS_PER_ADDRESS;
use crate::crypto::{constant_time_eq, hmac_sha256_hex, random_token};
use crate::flow::catalog::Channel;
use crate::http::hooks::{flow_problem, is_hook_key, remote_address};
use crate::http::problem::Problem;
use crate::http::{Api, rate};
use crate::store::message_views;

/// Header with the visitor's token; where a header cannot be set, `?token=` says the same.
pub(super) const VISITOR_HEADER: &str = "x-pointsman-visitor";
/// The channel's secret that signs visitors.
const VISITOR_KEY: &str = "visitor_key";
/// What every visitor's id begins with.
const PREFIX: &str = "v_";
/// Longest token; ours have about 110 characters.
const TOKEN_BYTES_MAX: usize = 256;

/// A new visitor.
#[derive(Debug, Serialize)]
pub(super) struct Session {
    /// The visitor's id.
    visitor: String,
    /// Proves that the visitor is this one; whoever has it reads and writes as them.
    token: String,
}

/// The switched-on webchat channel with this key.
pub(super) async fn channel(api: &Api, key: &str) -> Result<Arc<Channel>, Problem> {
    let nothing = || Problem::new(StatusCode::NOT_FOUND, "unknown_chat", "there is no chat at this address");
    if !is_hook_key(key) {
        return Err(nothing());
    }
    let found = api.flow.catalog.channel_by_hook(&api.flow, key).await.map_err(flow_problem)?;
    found.filter(|channel| channel.active && channel.facts.kind == "webchat").ok_or_else(nothing)
}

/// Makes a new visitor.
pub(super) async fn session(
    State(api): State<Api>,
    Path(key): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<Session>), Problem> {
    let (parts, _) = request.into_parts();
    let channel = channel(&api, &key).await?;
    take(&api, "chat-session", &address(&parts), SESSIONS_PER_ADDRESS)?;
    let visitor = random_token(&api.flow.clock, PREFIX);
    let token = format!("{visitor}.{}", sign(&channel, &visitor)?);
    Ok((StatusCode::CREATED, Json(Session { visitor, token })))
}

fn sign(channel: &Channel, visitor: &str) -> Result<String, Problem> {
    let Some(secret) = channel.secrets.get(VISITOR_KEY) else {
        tracing::error!(channel = %channel.facts.id, "a webchat channel has no `{VISITOR_KEY}`: set the secret");
        return Err(Problem::broken());
    };
    Ok(hmac_sha256_hex(secret.expose().as_bytes(), visitor.as_bytes()))
}

/// A visitor whose signature holds.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The token, for the plugin, which checks it again.
    pub(super) token: String,
    /// The visitor's id.
    pub(super) id: String,
    /// As the store finds their messages.
    pub(super) in_store: message_views::Visitor,
}

/// The visitor of a request.
///
/// # Errors
/// 401 when the token is missing or not ours.
pub(super) fn known(channel: &Channel, parts: &Parts) -> Result<Known, Problem> {
    let refused = || Problem::unauthorized("this visitor's token is not ours; begin a new session");
    let header = parts.headers.get(VISITOR_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let token = header.or_else(|| query(parts, "token")).ok_or_else(refused)?;
    let (id, signature) = token.rsplit_once('.').ok_or_else(refused)?;
    let is_ours = token.len() <= TOKEN_BYTES_MAX
        && id.starts_with(PREFIX)
        && constant_time_eq(sign(channel, id)?.as_bytes(), signature.as_bytes());
    if !is_ours {
        return Err(refused());
    }
    let (tenant, id) = (channel.tenant, id.to_owned());
    let channel: ChannelId = channel.facts.id;
    Ok(Known { in_store: message_views::Visitor { tenant, channel, value: id.clone() }, id, token })
}

/// A parameter of the query.
pub(super) fn query(parts: &Parts, name: &str) -> Option<String> {
    let query = parts.uri.query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// Where the request comes from, as limits name it. An IPv6 network is one address: a household has 2^64 of them.
pub(super) fn address(parts: &Parts) -> String {
    match remote_address(parts) {
        Some(std::net::IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Some(address) => address.to_string(),
        None => "unknown".to_owned(),
    }
}

/// Takes a token from a bucket of its own kind.
pub(super) fn take(api: &Api, what: &str, who: &str, rate: rate::Rate) -> Result<(), Problem> {
    api.limits.take(&format!("{what} {who}"), rate)
}
