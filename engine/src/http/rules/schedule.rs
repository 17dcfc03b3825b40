//! `/rules/{id}/schedule`: when a rule with a schedule runs next, and how it went.

use axum::Json;
use axum::extract::State;
use pointsman_rules::header::Header;
use pointsman_rules::ids::RuleId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::find;
use crate::clock::rfc3339;
use crate::http::Api;
use crate::http::auth::Principal;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::store::rule_ticks;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(schedule))
}

/// The schedule of the version that runs; all `null` for a rule that has none.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct RuleSchedule {
    /// Minute, hour, day of month, month and weekday.
    cron: Option<String>,
    /// The zone whose wall clock counts.
    timezone: Option<String>,
    /// The next tick.
    #[schema(format = DateTime)]
    next_at: Option<String>,
    /// Since when ticks count: a new schedule is taken up within a minute.
    #[schema(format = DateTime)]
    counts_from: Option<String>,
    /// The last tick that every conversation got.
    #[schema(format = DateTime)]
    last_at: Option<String>,
    /// The last time that ticks came more than an hour late and were skipped: the first of them.
    #[schema(format = DateTime)]
    skipped_at: Option<String>,
}

/// When a rule with a schedule runs next, and how it went.
#[utoipa::path(get, path = "/api/v1/rules/{id}/schedule", tag = "rules", params(("id" = String, Path)), responses((status = 200, body = RuleSchedule)))]
async fn schedule(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<RuleId>,
) -> Result<Json<RuleSchedule>, Problem> {
    let mut tx = api.read().await?;
    let (_, version) = find(&mut tx, who.tenant, id).await?;
    let header = version.and_then(|it| Header::parse(&it.source).ok()).unwrap_or_default();
    let Some(schedule) = header.schedule else { return Ok(Json(RuleSchedule::default())) };
    let ticks = rule_ticks::list(&mut tx, who.tenant).await?.into_iter().find(|it| it.rule == id);
    Ok(Json(RuleSchedule {
        next_at: schedule.next_after(api.flow.clock.now_ms()).map(rfc3339),
        counts_from: ticks.as_ref().map(|it| rfc3339(it.after_ms)),
        last_at: ticks.as_ref().and_then(|it| it.ran_ms).map(rfc3339),
        skipped_at: ticks.as_ref().and_then(|it| it.skipped_ms).map(rfc3339),
        cron: Some(schedule.cron),
        timezone: Some(schedule.zone),
    }))
}
