//! `/channels/{id}/health`: how a channel is doing, what went wrong last and what
//! to do about it.

use axum::Json;
use axum::extract::State;
use pointsman_rules::ids::ChannelId;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access;
use crate::clock::rfc3339;
use crate::flow::account::{Kept, Webhook};
use crate::flow::advice::advice;
use crate::http::Api;
use crate::http::auth::Principal;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::store::Tx;
use crate::store::channel_health::{self, Backlog, Health};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(health))
}

/// How a channel is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthView {
    /// `connecting`, `qr_required`, `connected`, `degraded`, `failed`, `paused`, `disconnected`.
    state: String,
    /// Why.
    reason: Option<String>,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// Since it was connected.
    counters: CountersView,
    /// How long the oldest event has waited for its turn, milliseconds; 0 when none waits.
    lag_ms: i64,
    /// When the vendor called last.
    #[schema(format = DateTime)]
    last_inbound_at: Option<String>,
    /// When the vendor took a message last.
    #[schema(format = DateTime)]
    last_sent_at: Option<String>,
    /// What the vendor refused last, and what to do about it.
    last_problem: Option<ProblemView>,
    /// What the vendor said about the account when it was last asked; it is asked every hour.
    last_check: Option<LastCheck>,
}

/// How much went through a channel. Written every few seconds; a process that is killed loses the last of them.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct CountersView {
    /// Webhooks that were taken.
    received: i64,
    /// Webhooks that are authentic but could not be read; they wait for their plugin to be mended.
    quarantined: i64,
    /// Events that were read from webhooks, repeated ones included.
    stored: i64,
    /// Those of them that had their turn.
    handled: i64,
    /// Those of them that wait for it.
    waiting: i64,
    /// Messages that the vendor took.
    sent: i64,
    /// Messages that failed.
    failed: i64,
}

/// A refusal of the vendor.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemView {
    #[schema(format = DateTime)]
    at: String,
    /// `auth`, `rate_limited`, `provider_down`, …
    class: String,
    /// One sentence.
    message: String,
    /// What to do.
    advice: &'static str,
    /// As the vendor sent it.
    vendor_code: Option<String>,
}

/// What the vendor said about the account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LastCheck {
    #[schema(format = DateTime)]
    at: String,
    /// Did the vendor know our credentials?
    ok: bool,
    /// Why not, one sentence.
    problem: Option<String>,
    /// What to look at.
    warnings: Vec<String>,
    /// Whom the vendor calls.
    webhook: WhomItCalls,
}

/// Whom the vendor calls.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhomItCalls {
    /// `ok`, `elsewhere` or `unknown`.
    pub(super) state: &'static str,
    /// The host that is called instead of ours.
    host: Option<String>,
    /// What is wrong and what to do.
    pub(super) advice: Option<String>,
}

impl From<&Webhook> for WhomItCalls {
    fn from(webhook: &Webhook) -> Self {
        let (state, host) = match webhook {
            Webhook::Ok => ("ok", None),
            Webhook::Elsewhere { host } => ("elsewhere", Some(host.clone())),
            Webhook::Unknown => ("unknown", None),
        };
        Self { state, host, advice: webhook.sentence() }
    }
}

/// How a channel is doing: its state, what went through it, how far it is behind, and the last problem with what to do.
#[utoipa::path(get, path = "/api/v1/channels/{id}/health", tag = "channels", params(("id" = String, Path)), responses((status = 200, body = HealthView)))]
async fn health(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ChannelId>,
) -> Result<Json<HealthView>, Problem> {
    let mut tx = api.read().await?;
    let channel = access::seen(&mut tx, &who, id).await?;
    let (health, backlog) = read(&mut tx, &who, id).await?;
    let now_ms = api.flow.clock.now_ms();
    Ok(Json(HealthView {
        state: channel.state,
        reason: channel.state_reason,
        since: rfc3339(channel.state_since_ms),
        counters: counters(&health, backlog),
        lag_ms: backlog.oldest_ms.map_or(0, |oldest_ms| (now_ms - oldest_ms).max(0)),
        last_inbound_at: health.tally.last_inbound_ms.map(rfc3339),
        last_sent_at: health.tally.last_sent_ms.map(rfc3339),
        last_problem: health.tally.problem.as_ref().map(problem),
        last_check: health.checked_ms.zip(health.report).and_then(|(at_ms, report)| check(at_ms, report)),
    }))
}

/// What is kept of a channel, and what waits in it now.
pub(super) async fn read(tx: &mut Tx, who: &Principal, id: ChannelId) -> Result<(Health, Backlog), Problem> {
    let health = channel_health::get(tx, who.tenant, id).await?;
    Ok((health, channel_health::backlog(tx, who.tenant, id).await?))
}

pub(super) fn counters(health: &Health, backlog: Backlog) -> CountersView {
    let tally = &health.tally;
    CountersView {
        received: tally.received,
        quarantined: tally.quarantined,
        stored: tally.stored,
        handled: (tally.stored - backlog.waiting).max(0),
        waiting: backlog.waiting,
        sent: tally.sent,
        failed: tally.failed,
    }
}

fn problem((failure, at_ms): &(String, i64)) -> ProblemView {
    let failure: Value = serde_json::from_str(failure).unwrap_or_default();
    let text = |name: &str| failure[name].as_str().map(str::to_owned);
    let class = text("class").unwrap_or_else(|| "rejected".to_owned());
    ProblemView {
        at: rfc3339(*at_ms),
        advice: advice(&class),
        class,
        message: text("message").unwrap_or_default(),
        vendor_code: text("vendor_code"),
    }
}

/// `None` for what another version kept.
fn check(at_ms: i64, report: Value) -> Option<LastCheck> {
    let kept: Kept = serde_json::from_value(report).ok()?;
    let webhook = WhomItCalls::from(&kept.webhook);
    let Kept { ok, problem, warnings, .. } = kept;
    Some(LastCheck { at: rfc3339(at_ms), ok, problem, warnings, webhook })
}
