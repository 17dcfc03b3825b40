//! A rule's runs, the newest first, read from what was kept with every event.

use axum::Json;
use axum::extract::State;
use pointsman_rules::ids::{ConversationId, EventId, RuleId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::shown::{self, RunShown};
use crate::clock::rfc3339;
use crate::http::Api;
use crate::http::auth::Admin;
use crate::http::conversations::bad_query;
use crate::http::paging::{List, Query, decode, rows};
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::store::{replay, rules};

/// Events that one page looks through at most; a page may therefore be short, or empty, and still have a next one.
const EVENTS_MAX: usize = 5_000;
/// Events read at once.
const EVENTS_PER_READ: u32 = 500;
const OUTCOMES: [&str; 4] = ["matched", "not_matched", "skipped", "failed"];

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list))
}

/// Which runs are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct WantedRuns {
    /// Items on the page, 1 to 200; 50 when absent.
    limit: Option<i64>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// `matched`, `not_matched`, `skipped` or `failed`.
    outcome: Option<String>,
}

/// A run and what it was about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleRunView {
    /// Id of the event.
    #[schema(value_type = String)]
    event: EventId,
    /// Its conversation.
    #[schema(value_type = Option<String>)]
    conversation: Option<ConversationId>,
    /// When.
    at: String,
    /// What the rule made of it.
    #[serde(flatten)]
    run: RunShown,
}

/// A rule's runs, the newest first. A page looks through 5,000 events, so it may be short while there is a `next`.
#[utoipa::path(get, path = "/api/v1/rules/{id}/runs", tag = "rules", params(("id" = String, Path), WantedRuns),
    responses((status = 200, body = List<RuleRunView>)))]
async fn list(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RuleId>,
    Query(wanted): Query<WantedRuns>,
) -> Result<Json<List<RuleRunView>>, Problem> {
    let size = usize::try_from(rows(wanted.limit)? - 1).unwrap_or(0);
    let outcome = wanted.outcome.as_deref();
    if let Some(outcome) = outcome.filter(|outcome| !OUTCOMES.contains(outcome)) {
        return Err(bad_query("outcome", format!("`{outcome}` is not one of {}", OUTCOMES.join(", "))));
    }
    let mut before = wanted.cursor.as_deref().map(decode::<EventId>).transpose()?;
    let tx = &mut api.read().await?;
    rules::get(tx, who.tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
    let (mut items, mut looked, mut is_last) = (Vec::new(), 0, false);
    while !is_last && looked < EVENTS_MAX && items.len() < size {
        let traces = replay::traces(tx, who.tenant, before, EVENTS_PER_READ).await?;
        is_last = traces.len() < EVENTS_PER_READ as usize;
        for it in traces {
            if items.len() == size {
                is_last = false;
                break;
            }
            looked += 1;
            before = Some(it.event);
            let run = it.runs.iter().find(|run| run.rule == id).map(shown::run);
            if let Some(run) = run.filter(|run| outcome.is_none_or(|outcome| run.outcome == outcome)) {
                let (event, conversation, at) = (it.event, it.conversation, rfc3339(it.at_ms));
                items.push(RuleRunView { event, conversation, at, run });
            }
        }
    }
    let next = before.filter(|_| !is_last).map(|event| crate::http::paging::cursor(&event));
    Ok(Json(List { items, next }))
}
