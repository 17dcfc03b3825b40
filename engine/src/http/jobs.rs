//! `/jobs`: what is on its way out, what gave up, how far the lanes are behind,
//! and what comes round by the clock. A job's id is the id of its effect.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use pointsman_rules::ids::{ChannelId, ConversationId, EffectId, MessageId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Admin;
use super::messages;
use super::messages::failed::retry_message;
use super::orders::{Pending, not_found};
use super::paging::{List, Page, Query};
use super::path::Id;
use super::problem::Problem;
use super::{Api, Refused};
use crate::clock::rfc3339;
use crate::store::audit::{self, Change};
use crate::store::effect_views::{self, EffectView, Place, QueueView};
use crate::store::jobs::{self, JobView};
use crate::store::webhook_views;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(dead))
        .routes(routes!(retry))
        .routes(routes!(discard))
}

/// A piece of work.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Job {
    /// Its id.
    #[schema(value_type = String)]
    id: EffectId,
    /// What kind of work: `send`.
    kind: String,
    /// `queued`, `sending`, `failed`, or `unknown`: nobody knows whether the vendor has it.
    state: String,
    #[schema(value_type = String)]
    channel: ChannelId,
    #[schema(value_type = String)]
    conversation: ConversationId,
    /// The message it sends.
    #[schema(value_type = Option<String>)]
    message: Option<MessageId>,
    /// Calls begun.
    attempts: i64,
    /// What went wrong last.
    failure: Option<serde_json::Value>,
    created_at: String,
    /// Not before this moment.
    next_at: Option<String>,
    /// When it was given up.
    given_up_at: Option<String>,
}

/// How one task of the lanes is doing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Queue {
    /// `turn`, `deliver` or `webhook`.
    task: String,
    /// Lanes whose moment has come and that nobody works on.
    ready: i64,
    /// Lanes that a worker has.
    running: i64,
    /// Lanes that wait for a later moment.
    waiting: i64,
    /// Lanes whose last try failed.
    failing: i64,
    /// How long the oldest ready lane has waited, milliseconds.
    lag_ms: i64,
}

/// Work that comes round by the clock, e.g. the deletion of what is old.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Periodic {
    /// Stable, e.g. `retention.webhooks`.
    name: String,
    /// `waiting` or `running`.
    state: String,
    /// When it may run next; not while it runs.
    next_at: Option<String>,
    /// Runs that were begun since one ended well: more than one means trouble.
    attempts: i64,
    /// When the last run that ended began.
    last_run_at: Option<String>,
    /// How long that run took, milliseconds.
    last_took_ms: Option<i64>,
    /// `done`, `snoozed` (more was left; it goes on at once) or `failed`.
    last_outcome: Option<String>,
    /// Why it failed.
    last_problem: Option<String>,
}

/// A page of work with how the lanes are doing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Work {
    #[serde(flatten)]
    list: List<Job>,
    /// Per task.
    queues: Vec<Queue>,
    /// By name.
    periodic: Vec<Periodic>,
    /// Deliveries to webhooks, of all endpoints; see `/webhooks/{id}/deliveries`.
    webhooks: Deliveries,
}

/// Deliveries to webhooks.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Deliveries {
    /// Those that wait.
    waiting: i64,
    /// How long ago the oldest of them happened, milliseconds.
    lag_ms: i64,
    /// Those that were given up and are still kept.
    failed: i64,
}

fn show(it: EffectView) -> Job {
    let is_over = matches!(it.state.as_str(), "failed" | "unknown");
    Job {
        id: it.id,
        kind: it.kind,
        state: it.state,
        channel: it.channel,
        conversation: it.conversation,
        message: it.message,
        attempts: it.attempts,
        failure: it.failure,
        created_at: rfc3339(it.created_ms),
        next_at: (!is_over).then(|| rfc3339(it.next_ms)),
        given_up_at: it.done_ms.filter(|_| is_over).map(rfc3339),
    }
}

fn show_queue(it: QueueView) -> Queue {
    Queue {
        task: it.task,
        ready: it.ready,
        running: it.running,
        waiting: it.waiting,
        failing: it.failing,
        lag_ms: it.lag_ms,
    }
}

fn show_periodic(it: JobView) -> Periodic {
    Periodic {
        name: it.name,
        state: if it.is_running { "running" } else { "waiting" }.to_owned(),
        next_at: (!it.is_running).then(|| rfc3339(it.ready_ms)),
        attempts: it.attempts,
        last_run_at: it.last_run_ms.map(rfc3339),
        last_took_ms: it.last_took_ms,
        last_outcome: it.last_outcome,
        last_problem: it.last_problem,
    }
}

/// Messages on their way out, the oldest first, how far the lanes are behind, and what comes round by the clock.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(Page), responses((status = 200, body = Work)))]
async fn list(
    State(api): State<Api>,
    Admin(who): Admin,
    Query(page): Query<Page>,
) -> Result<Json<Work>, Problem> {
    let (rows, after) = (page.rows()?, page.after::<Place>()?);
    let tx = &mut api.read().await?;
    let found = effect_views::under_way(tx, who.tenant, after, rows as u32).await?;
    let queues = effect_views::queues(tx, who.tenant, api.flow.clock.now_ms()).await?;
    let list = List::page(found, rows, EffectView::place, show);
    let periodic = jobs::list(tx, who.tenant).await?.into_iter().map(show_periodic).collect();
    let told = webhook_views::queue(tx, who.tenant, None).await?;
    let now_ms = api.flow.clock.now_ms();
    let lag_ms = told.oldest_ms.map_or(0, |oldest_ms| (now_ms - oldest_ms).max(0));
    let webhooks = Deliveries { waiting: told.waiting, lag_ms, failed: told.failed };
    Ok(Json(Work { list, queues: queues.into_iter().map(show_queue).collect(), periodic, webhooks }))
}

/// What gave up or has an unclear end, the latest first.
#[utoipa::path(get, path = "/api/v1/jobs/dead", tag = "jobs", params(Page),
    responses((status = 200, body = List<Job>)))]
async fn dead(
    State(api): State<Api>,
    Admin(who): Admin,
    Query(page): Query<Page>,
) -> Result<Json<List<Job>>, Problem> {
    let (rows, after) = (page.rows()?, page.after::<Place>()?);
    let found = effect_views::dead(&mut api.read().await?, who.tenant, after, rows as u32).await?;
    Ok(Json(List::page(found, rows, EffectView::place, show)))
}

/// Does it once more. An unclear message may then reach the contact twice.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/retry", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = messages::Message), (status = 202, body = Pending)))]
async fn retry(State(api): State<Api>, Admin(who): Admin, Id(id): Id<EffectId>) -> Result<Response, Problem> {
    let found = effect_views::dead_one(&mut api.read().await?, who.tenant, id).await?;
    let message = found.and_then(|it| it.message).ok_or_else(|| not_found("job that gave up"))?;
    retry_message(&api, &who, message).await
}

/// Takes it off the list; its message stays visible as it is.
#[utoipa::path(delete, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)),
    responses((status = 204)))]
async fn discard(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<EffectId>,
) -> Result<StatusCode, Problem> {
    let entry = who.did(&api.flow.clock, "job.discard", id, Change::act(serde_json::json!({})));
    let tenant = who.tenant;
    let discarded = api.write(move |tx| {
        let entry = entry.clone();
        Box::pin(async move {
            if !effect_views::discard(tx, tenant, id).await? {
                return Err(Refused::from(not_found("job that gave up")));
            }
            audit::append(tx, tenant, &entry).await?;
            Ok(())
        })
    });
    discarded.await?;
    Ok(StatusCode::NO_CONTENT)
}
