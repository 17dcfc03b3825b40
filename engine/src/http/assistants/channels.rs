//! `/channels/{id}/assistant`: an admin's consent that what is written on a
//! channel goes to an assistant, and what for.

use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::ids::{AssistantId, ChannelId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::change::checked_instructions;
use crate::http::auth::Admin;
use crate::http::etag::{IfMatch, Tagged};
use crate::http::path::Id;
use crate::http::problem::{FieldProblem, Problem};
use crate::http::{Api, Refused, body};
use crate::store::audit::{self, Change};
use crate::store::channel_assistants::{self, Consent};
use crate::store::{assistants, channels};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(get, set, withdraw))
}

/// Which assistant reads a channel, and what for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChannelAssistant {
    /// Which assistant.
    #[schema(value_type = String)]
    assistant: AssistantId,
    /// May it answer contacts, where the AI of their conversation is on?
    #[serde(default)]
    replies: bool,
    /// Does it judge and sum up every chat that ends?
    #[serde(default)]
    insights_at_end: bool,
    /// What it is told on this channel.
    #[serde(default)]
    instructions: String,
    /// Tokens of a UTC day on this channel; `null`: any number.
    #[serde(default)]
    tokens_per_day_max: Option<i64>,
    /// Cost of a UTC day on this channel, millionths of the organisation's `currency`; `null`: any.
    #[serde(default)]
    cost_micros_per_day_max: Option<i64>,
}

impl From<Consent> for ChannelAssistant {
    fn from(it: Consent) -> Self {
        Self {
            assistant: it.assistant,
            replies: it.replies,
            insights_at_end: it.insights_at_end,
            instructions: it.instructions,
            tokens_per_day_max: it.tokens_per_day_max,
            cost_micros_per_day_max: it.cost_micros_per_day_max,
        }
    }
}

impl ChannelAssistant {
    fn checked(self, channel: ChannelId, now_ms: i64) -> Result<Consent, Problem> {
        let mut problems = Vec::new();
        let instructions = checked_instructions(&self.instructions, "/instructions", &mut problems);
        for (name, cap) in [
            ("tokens_per_day_max", self.tokens_per_day_max),
            ("cost_micros_per_day_max", self.cost_micros_per_day_max),
        ] {
            if cap.is_some_and(|cap| cap < 0) {
                problems.push(FieldProblem::new(format!("/{name}"), "must not be negative"));
            }
        }
        if !problems.is_empty() {
            return Err(Problem::invalid(problems));
        }
        Ok(Consent {
            channel,
            assistant: self.assistant,
            replies: self.replies,
            insights_at_end: self.insights_at_end,
            instructions,
            tokens_per_day_max: self.tokens_per_day_max,
            cost_micros_per_day_max: self.cost_micros_per_day_max,
            version: 1,
            created_ms: now_ms,
        })
    }
}

/// Which assistant reads a channel; 404: none does.
#[utoipa::path(get, path = "/api/v1/channels/{id}/assistant", tag = "assistants", params(("id" = String, Path)), responses((status = 200, body = ChannelAssistant)))]
async fn get(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<ChannelId>,
) -> Result<Tagged<ChannelAssistant>, Problem> {
    let found = channel_assistants::consent_of(&mut api.read().await?, who.tenant, id).await?;
    let found = found.ok_or_else(no_consent)?;
    Ok(Tagged::ok(found.version, found.into()))
}

/// Gives a channel an assistant: from now on what is written there goes to the assistant's vendor. Given as a whole.
#[utoipa::path(put, path = "/api/v1/channels/{id}/assistant", tag = "assistants", params(("id" = String, Path)), request_body = ChannelAssistant, responses((status = 200, body = ChannelAssistant)))]
async fn set(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<ChannelId>,
    seen: IfMatch,
    body::Json(given): body::Json<ChannelAssistant>,
) -> Result<Tagged<ChannelAssistant>, Problem> {
    let (tenant, inside) = (who.tenant, api.clone());
    let wanted = given.checked(id, api.flow.clock.now_ms())?;
    let kept = api.write(move |tx| {
        let (api, who, seen, wanted) = (inside.clone(), who.clone(), seen.clone(), wanted.clone());
        Box::pin(async move {
            if channels::get(tx, tenant, id).await?.is_none() {
                return Err(Problem::not_found("channel").into());
            }
            if assistants::get(tx, tenant, wanted.assistant).await?.is_none() {
                let message = format!("there is no assistant {}", wanted.assistant);
                return Err(Problem::field("/assistant", message).into());
            }
            let before = channel_assistants::consent_of(tx, tenant, id).await?;
            let version = before.as_ref().map_or(0, |it| it.version);
            seen.check(version)?;
            let after = Consent { version: version + 1, ..wanted };
            channel_assistants::set_consent(tx, tenant, &after).await?;
            let of = |it: &Consent| ChannelAssistant::from(it.clone());
            let what = match &before {
                Some(before) => Change::edited(&of(before), &of(&after)),
                None => Change::made(&of(&after)),
            };
            audit::append(tx, tenant, &who.did(&api.flow.clock, "channel.assistant", id, what)).await?;
            Ok::<_, Refused>(after)
        })
    });
    let kept = kept.await?;
    api.changed(tenant, Some(id));
    Ok(Tagged::ok(kept.version, kept.into()))
}

/// Takes the assistant off a channel: nothing that is written there goes to it any more.
#[utoipa::path(delete, path = "/api/v1/channels/{id}/assistant", tag = "assistants", params(("id" = String, Path)), responses((status = 204)))]
async fn withdraw(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<ChannelId>,
    seen: IfMatch,
) -> Result<StatusCode, Problem> {
    let (tenant, inside) = (who.tenant, api.clone());
    api.write(move |tx| {
        let (api, who, seen) = (inside.clone(), who.clone(), seen.clone());
        Box::pin(async move {
            let before = channel_assistants::consent_of(tx, tenant, id).await?.ok_or_else(no_consent)?;
            seen.check(before.version)?;
            channel_assistants::withdraw(tx, tenant, id).await?;
            let what = Change::removed(&ChannelAssistant::from(before));
            let entry = who.did(&api.flow.clock, "channel.assistant_withdrawn", id, what);
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, Some(id));
    Ok(StatusCode::NO_CONTENT)
}

fn no_consent() -> Problem {
    Problem::not_found("assistant of this channel")
}
