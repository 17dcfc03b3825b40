//! `/assistants/usage`: what assistants used, by day, channel and assistant.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::clock::{parse_rfc3339, rfc3339};
use crate::http::Api;
use crate::http::auth::Admin;
use crate::http::conversations::bad_query;
use crate::http::paging::{List, Query};
use crate::http::problem::Problem;
use crate::store::assistant_usage::{self, Line, begin_of, day_of};

/// Days that are shown when nobody says how many.
const DAYS: i64 = 30;
/// Lines of one answer at most.
const LINES_MAX: i64 = 5_000;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(usage))
}

/// Which days are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Days {
    /// A time of the first day, RFC 3339; thirty days ago when absent.
    from: Option<String>,
    /// A time of the last day; today when absent.
    to: Option<String>,
}

/// What an assistant used on a channel in a day.
#[derive(Debug, Serialize, ToSchema)]
struct UsageView {
    /// `YYYY-MM-DD`, UTC.
    day: String,
    /// On which channel.
    channel: String,
    /// By which assistant.
    assistant: String,
    /// How often it was asked.
    runs: i64,
    /// Tokens it read; about so many where the vendor does not tell.
    input_tokens: i64,
    /// Tokens it wrote.
    output_tokens: i64,
    /// What that cost, millionths of `currency`: as the vendor tells, else by the assistant's prices.
    cost_micros: i64,
    /// ISO 4217. Another one than the organisation's where it was changed since, or where only the vendor knows the
    /// price; such cost counts for no cap.
    #[schema(example = "USD")]
    currency: String,
}

impl From<Line> for UsageView {
    fn from(Line { place: at, currency, used }: Line) -> Self {
        Self {
            day: rfc3339(begin_of(at.day)).chars().take("YYYY-MM-DD".len()).collect(),
            channel: at.channel.to_string(),
            assistant: at.assistant.to_string(),
            runs: used.runs,
            input_tokens: used.input_tokens,
            output_tokens: used.output_tokens,
            cost_micros: used.cost_micros,
            currency,
        }
    }
}

/// What assistants used, the latest day first; at most 5,000 lines.
#[utoipa::path(get, path = "/api/v1/assistants/usage", tag = "assistants", params(Days), responses((status = 200, body = List<UsageView>)))]
async fn usage(
    State(api): State<Api>,
    Admin(who): Admin,
    Query(days): Query<Days>,
) -> Result<Json<List<UsageView>>, Problem> {
    let today = day_of(api.flow.clock.now_ms());
    let to = day("to", days.to.as_deref(), today)?;
    let from = day("from", days.from.as_deref(), to - DAYS + 1)?;
    let tx = &mut api.read().await?;
    let found = assistant_usage::list(tx, who.tenant, (from, to), LINES_MAX).await?;
    Ok(Json(List::whole(found.into_iter().map(UsageView::from).collect())))
}

fn day(name: &str, text: Option<&str>, usual: i64) -> Result<i64, Problem> {
    let Some(text) = text else { return Ok(usual) };
    let at_ms = parse_rfc3339(text);
    at_ms.map(day_of).map_err(|_| bad_query(name, "must be a time like 2026-05-01T00:00:00Z"))
}
