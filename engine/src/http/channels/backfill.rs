//! Reading a channel's past: asking for it, and how far it is.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::ids::ChannelId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{self, Manager};
use super::account;
use crate::clock::{parse_rfc3339, rfc3339};
use crate::flow::backfill::{JOB, PAST_MS_MAX};
use crate::http::auth::Principal;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused, body};
use crate::store::audit::{self, Change};
use crate::store::backfills::{self, Backfill};
use crate::store::jobs;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(begin, state))
}

/// Which past is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PastWanted {
    /// Older messages are left out; at most 90 days ago.
    #[schema(format = DateTime)]
    since: String,
}

/// How far a channel's past is read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BackfillView {
    /// `running`, `done` or `failed`.
    state: String,
    /// Older messages are left out.
    #[schema(format = DateTime)]
    since: String,
    /// Messages that the provider told.
    found: i64,
    /// Those of them that were not known.
    added: i64,
    /// Why it failed, or what it waits for.
    problem: Option<String>,
    /// When it was asked for.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
}

impl From<Backfill> for BackfillView {
    fn from(it: Backfill) -> Self {
        Self {
            state: it.state,
            since: rfc3339(it.since_ms),
            found: it.found,
            added: it.added,
            problem: it.problem,
            started_at: rfc3339(it.started_ms),
            ended_at: it.ended_ms.map(rfc3339),
        }
    }
}

/// Reads messages that the provider has and no webhook told, as after an outage. What is known is left out, and no rule
/// is shown them. Asking again begins anew.
#[utoipa::path(post, path = "/api/v1/channels/{id}/backfill", tag = "channels", params(("id" = String, Path)), request_body = PastWanted, responses((status = 202, body = BackfillView)))]
async fn begin(
    State(api): State<Api>,
    Manager(who): Manager,
    Id(id): Id<ChannelId>,
    body::Json(asked): body::Json<PastWanted>,
) -> Result<(StatusCode, Json<BackfillView>), Problem> {
    let channel = access::managed(&mut api.read().await?, &who, id).await?;
    let (plugin, _) = account::context(&api, &who, id).await?;
    if !plugin.exports().backfill {
        return Err(Problem::refused("unsupported", "this provider does not tell what happened before"));
    }
    if !channel.active {
        return Err(Problem::conflict("channel_paused", "the channel is switched off; resume it first"));
    }
    let now_ms = api.flow.clock.now_ms();
    let since_ms = parse_rfc3339(&asked.since)
        .ok()
        .filter(|since_ms| (now_ms - PAST_MS_MAX..now_ms).contains(since_ms))
        .ok_or_else(|| {
            Problem::field("/since", "must be a time of the last 90 days like 2026-12-31T00:00:00Z")
        })?;
    let it = Backfill {
        channel: id,
        since_ms,
        cursor: None,
        state: backfills::RUNNING.to_owned(),
        found: 0,
        added: 0,
        problem: None,
        started_ms: now_ms,
        ended_ms: None,
    };
    let (tenant, row) = (who.tenant, it.clone());
    let what = Change::act(json!({ "since": rfc3339(since_ms) }));
    let entry = who.did(&api.flow.clock, "channel.backfill", id, what);
    api.write(move |tx| {
        let (row, entry) = (row.clone(), entry.clone());
        Box::pin(async move {
            backfills::put(tx, tenant, &row).await?;
            jobs::wake(tx, tenant, JOB, now_ms).await?;
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    Ok((StatusCode::ACCEPTED, Json(it.into())))
}

/// How far the channel's past is read.
#[utoipa::path(get, path = "/api/v1/channels/{id}/backfill", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = BackfillView)))]
async fn state(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ChannelId>,
) -> Result<Json<BackfillView>, Problem> {
    let mut tx = api.read().await?;
    access::seen(&mut tx, &who, id).await?;
    let found = backfills::get(&mut tx, who.tenant, id).await?;
    Ok(Json(found.ok_or_else(|| Problem::not_found("backfill"))?.into()))
}
