//! What endpoints were told: the log of deliveries with every call, and telling
//! it once more.

use axum::Json;
use axum::extract::State;
use pointsman_rules::ids::{DeliveryId, WebhookId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::not_found;
use crate::clock::{parse_rfc3339, rfc3339};
use crate::http::auth::{Admin, Principal};
use crate::http::body;
use crate::http::conversations::bad_query;
use crate::http::paging::{List, Query, decode, rows};
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused};
use crate::store::audit::{self, Change};
use crate::store::lanes::Task;
use crate::store::webhook_deliveries::{self, Attempt};
use crate::store::webhook_views::{self, DeliveryView as Row, STATES};
use crate::store::webhooks;

/// Deliveries replayed with one request at most; `more` says that some are left.
const REPLAYS_MAX: u32 = 1_000;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(replay))
        .routes(routes!(replay_failed))
}

/// Something that an endpoint is told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    /// `dlv_…`.
    id: String,
    /// The endpoint.
    webhook: String,
    /// What the endpoint gets as `webhook-id`: the id of the event, or of a rule's effect.
    message_id: String,
    /// Type of the event.
    #[serde(rename = "type")]
    kind: String,
    /// About which conversation.
    conversation: Option<String>,
    /// `waiting`, `delivered` or `failed`.
    state: String,
    /// What was wrong last.
    problem: Option<String>,
    /// Calls so far.
    attempts: i64,
    /// When it is tried again, while it waits.
    #[schema(format = DateTime)]
    next_at: Option<String>,
    /// When it happened.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was delivered or given up.
    #[schema(format = DateTime)]
    done_at: Option<String>,
}

impl From<Row> for DeliveryView {
    fn from(it: Row) -> Self {
        Self {
            id: it.id.to_string(),
            webhook: it.webhook.to_string(),
            message_id: it.message_id,
            kind: it.kind,
            conversation: it.conversation.map(|id| id.to_string()),
            next_at: (it.state == STATES[0]).then(|| rfc3339(it.next_ms)),
            state: it.state,
            problem: it.problem,
            attempts: it.attempts,
            created_at: rfc3339(it.created_ms),
            done_at: it.done_ms.map(rfc3339),
        }
    }
}

/// One call of an endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptView {
    /// From 1.
    number: i64,
    /// When it began.
    #[schema(format = DateTime)]
    at: String,
    /// How long it took, milliseconds.
    took_ms: i64,
    /// HTTP status; `null`: there was no answer.
    status: Option<i64>,
    /// The first 2 KiB of the answer.
    answer: Option<String>,
    /// What was wrong; `null`: the endpoint has it.
    problem: Option<String>,
}

impl From<Attempt> for AttemptView {
    fn from(it: Attempt) -> Self {
        let Attempt { number, at_ms, took_ms, status, answer, problem } = it;
        Self { number, at: rfc3339(at_ms), took_ms, status, answer, problem }
    }
}

/// A delivery with its body and every call.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryDetail {
    /// All about it.
    #[serde(flatten)]
    delivery: DeliveryView,
    /// The body, as it is signed and sent.
    #[schema(value_type = Object)]
    payload: serde_json::Value,
    /// Every call, the first first.
    calls: Vec<AttemptView>,
}

/// Which deliveries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// `waiting`, `delivered` or `failed`.
    state: Option<String>,
    /// Items on the page, 1 to 200; 50 when absent.
    limit: Option<i64>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// What an endpoint was told, the newest first.
#[utoipa::path(get, path = "/api/v1/webhooks/{id}/deliveries", tag = "webhooks", params(("id" = String, Path), Wanted),
    responses((status = 200, body = List<DeliveryView>)))]
async fn list(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<WebhookId>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<DeliveryView>>, Problem> {
    let (count, before) = (rows(wanted.limit)?, wanted.cursor.as_deref().map(decode).transpose()?);
    let state = wanted.state.as_deref();
    if state.is_some_and(|state| !STATES.contains(&state)) {
        return Err(bad_query("state", format!("must be one of {}", STATES.join(", "))));
    }
    let mut tx = api.read().await?;
    webhooks::get(&mut tx, who.tenant, id).await?.ok_or_else(not_found)?;
    let found = webhook_views::list(&mut tx, who.tenant, id, state, before, count as u32).await?;
    Ok(Json(List::page(found, count, |it| it.id, DeliveryView::from)))
}

/// One delivery with its body and every call.
#[utoipa::path(get, path = "/api/v1/webhooks/deliveries/{id}", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 200, body = DeliveryDetail)))]
async fn get(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<DeliveryId>,
) -> Result<Json<DeliveryDetail>, Problem> {
    let mut tx = api.read().await?;
    let found = webhook_views::get(&mut tx, who.tenant, id).await?;
    let found = found.ok_or_else(|| Problem::not_found("delivery"))?;
    let calls = webhook_views::attempts(&mut tx, who.tenant, id).await?;
    let payload = serde_json::from_str(&found.payload).unwrap_or_default(); // written by us
    let calls = calls.into_iter().map(AttemptView::from).collect();
    Ok(Json(DeliveryDetail { delivery: found.into(), payload, calls }))
}

/// Tells it once more, under the same `webhook-id`. One that waits is left as it is.
#[utoipa::path(post, path = "/api/v1/webhooks/deliveries/{id}/replay", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 200, body = Replayed)))]
async fn replay(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<DeliveryId>,
) -> Result<Json<Replayed>, Problem> {
    let mut tx = api.read().await?;
    let found = webhook_views::get(&mut tx, who.tenant, id).await?;
    let found = found.ok_or_else(|| Problem::not_found("delivery"))?;
    check_active(&mut tx, &who, found.webhook).await?;
    drop(tx);
    again(&api, &who, found.webhook, vec![id], false).await
}

/// Since when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Since {
    /// Everything that failed of what happened from this moment on.
    #[schema(format = DateTime)]
    since: String,
}

/// What is told once more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replayed {
    /// How many deliveries wait again.
    queued: u64,
    /// Are there more that failed? Then ask again.
    more: bool,
}

/// Tells an endpoint once more what failed since a moment, in its old order.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/replay", tag = "webhooks", params(("id" = String, Path)),
    request_body = Since, responses((status = 200, body = Replayed)))]
async fn replay_failed(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<WebhookId>,
    body::Json(given): body::Json<Since>,
) -> Result<Json<Replayed>, Problem> {
    let since_ms = parse_rfc3339(&given.since)
        .map_err(|_| Problem::field("/since", "must be a time like 2026-12-31T00:00:00Z"))?;
    let mut tx = api.read().await?;
    check_active(&mut tx, &who, id).await?;
    let mut found =
        webhook_deliveries::failed_since(&mut tx, who.tenant, id, since_ms, REPLAYS_MAX + 1).await?;
    drop(tx);
    let more = found.len() > REPLAYS_MAX as usize;
    found.truncate(REPLAYS_MAX as usize);
    again(&api, &who, id, found, more).await
}

async fn check_active(tx: &mut crate::store::Tx, who: &Principal, id: WebhookId) -> Result<(), Problem> {
    if webhooks::get(tx, who.tenant, id).await?.ok_or_else(not_found)?.active {
        return Ok(());
    }
    Err(Problem::conflict("webhook_off", "this webhook is switched off; switch it on first"))
}

async fn again(
    api: &Api,
    who: &Principal,
    webhook: WebhookId,
    ids: Vec<DeliveryId>,
    more: bool,
) -> Result<Json<Replayed>, Problem> {
    let (inside, who) = (api.clone(), who.clone());
    let queued = api.write(move |tx| {
        let (api, who, ids) = (inside.clone(), who.clone(), ids.clone());
        Box::pin(async move {
            let clock = &api.flow.clock;
            let queued = webhook_deliveries::requeue(tx, who.tenant, &ids, clock.now_ms()).await?;
            let what = Change::act(json!({"deliveries": queued}));
            audit::append(tx, who.tenant, &who.did(clock, "webhook.replay", webhook, what)).await?;
            Ok::<_, Refused>(queued)
        })
    });
    let queued = queued.await?;
    api.flow.bus.ring(Task::Webhook);
    Ok(Json(Replayed { queued, more }))
}
