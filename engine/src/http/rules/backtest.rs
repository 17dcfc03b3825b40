//! Backtests over the API: begin one, watch it, stop it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::ids::{ConversationId, EventId, RuleId, RuleVersionId, TrialId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::dry_run::parsed;
use crate::clock::rfc3339;
use crate::flow::backtest::{DAYS_MAX, KEPT_MAX};
use crate::flow::trials::BACKTESTS;
use crate::http::auth::{Admin, Principal};
use crate::http::paging::List;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused, body};
use crate::store::audit::{self, Change};
use crate::store::rules::Rule;
use crate::store::trials::{self, Finding, Kind, State as Stage, Trial};
use crate::store::{jobs, replay, rules};

const DAY_MS: i64 = 86_400_000;
/// Days that are looked back when nobody says how many.
const DAYS_DEFAULT: i64 = 7;
/// Backtests of a tenant at one time; the others of its people must not wait for hours.
const RUNNING_MAX: usize = 5;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(begin)).routes(routes!(list)).routes(routes!(get, cancel))
}

/// What to try.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBacktest {
    /// Days to look back, 1 to 90; 7 when absent. Only what is still kept can be looked at.
    days: Option<i64>,
    /// The text to try: the draft when absent, or what is published.
    source: Option<String>,
}

/// A backtest.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Backtest {
    /// `trl_…`.
    #[schema(value_type = String)]
    id: TrialId,
    /// Its rule.
    #[schema(value_type = String)]
    rule: RuleId,
    /// The version it is compared with; `null`: the rule was never published.
    #[schema(value_type = Option<String>)]
    against: Option<RuleVersionId>,
    /// `running`, `done`, `cancelled`, `failed`.
    state: &'static str,
    /// Why it failed.
    problem: Option<String>,
    /// Events from here on.
    from: String,
    /// Events before this.
    until: Option<String>,
    /// How many events there are to look at; 200,000 stands for that many or more.
    events_total: i64,
    /// What was counted so far: `events`, `exact`, `left_out`, `fires`, `conversations`, `failures`, `running_fires`,
    /// `messages` by kind, `would_fire`, `no_longer_fires`, `other_intents`.
    #[schema(value_type = Object)]
    counts: Value,
    /// The first 50 events on which the text does something else than what is published.
    differences: Vec<DifferenceView>,
    /// Who began it.
    author: String,
    /// When.
    created_at: String,
    /// When it ended.
    ended_at: Option<String>,
}

/// An event on which two texts of a rule do not do the same.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DifferenceView {
    /// `would_fire` (only the tried text asks for something), `no_longer_fires` (only what is published), `other_intents`.
    kind: String,
    /// The event.
    #[schema(value_type = String)]
    event: EventId,
    /// Its conversation.
    #[schema(value_type = String)]
    conversation: ConversationId,
    /// When it happened.
    at: String,
    /// `tried` and `running`: the `intents` of each as a rule writes them, codes of what was `refused`, a `failure`;
    /// `is_exact`: were the facts kept, or worked out from the log?
    #[schema(value_type = Object)]
    doing: Value,
}

impl DifferenceView {
    pub(super) fn of(it: Finding) -> Self {
        Self {
            kind: it.kind,
            event: it.event,
            conversation: it.conversation,
            at: rfc3339(it.at_ms),
            doing: serde_json::from_str(&it.body).unwrap_or_default(),
        }
    }
}

impl Backtest {
    fn of(it: Trial, found: Vec<Finding>) -> Self {
        Self {
            id: it.id,
            rule: it.rule,
            against: it.against,
            state: it.state.word(),
            problem: it.problem,
            from: rfc3339(it.from_ms),
            until: it.until_ms.map(rfc3339),
            events_total: it.events_total,
            counts: serde_json::from_str(&it.counts).unwrap_or_default(),
            differences: found.into_iter().map(DifferenceView::of).collect(),
            author: it.author,
            created_at: rfc3339(it.created_ms),
            ended_at: it.ended_ms.map(rfc3339),
        }
    }
}

/// Begins to try a text of a rule on the stored events of the last days. It runs in the background and reaches no
/// vendor; ask for it until its state is not `running`.
#[utoipa::path(post, path = "/api/v1/rules/{id}/backtest", tag = "rules", params(("id" = String, Path)),
    request_body = NewBacktest, responses((status = 202, body = Backtest)))]
async fn begin(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RuleId>,
    body::Json(wanted): body::Json<NewBacktest>,
) -> Result<(StatusCode, Json<Backtest>), Problem> {
    let days = wanted.days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(Problem::field("/days", format!("must be from 1 to {DAYS_MAX}")));
    }
    let tenant = who.tenant;
    let (rule, source) = text(&api, &who, id, wanted.source).await?;
    let now_ms = api.flow.clock.now_ms();
    let from_ms = now_ms - days * DAY_MS;
    let span = (EventId::new(from_ms, 0), EventId::new(now_ms, 0));
    let mut tx = api.read().await?;
    let events_total = replay::count(&mut tx, tenant, span.0, span.1).await?;
    drop(tx);
    let trial = Trial {
        id: TrialId::new(now_ms, api.flow.clock.random()),
        kind: Kind::Backtest,
        rule: id,
        source,
        against: rule.published,
        state: Stage::Running,
        from_ms,
        until_ms: Some(now_ms),
        place: String::new(),
        events_total,
        counts: "{}".to_owned(),
        problem: None,
        author: who.id(),
        created_ms: now_ms,
        updated_ms: now_ms,
        ended_ms: None,
    };
    let what = Change::made(&serde_json::json!({"rule": id, "days": days}));
    let entry = who.did(&api.flow.clock, "rule.backtest", trial.id, what);
    let row = trial.clone();
    api.write(move |tx| {
        let (row, entry) = (row.clone(), entry.clone());
        Box::pin(async move {
            if trials::running(tx, tenant, Kind::Backtest).await?.len() >= RUNNING_MAX {
                let detail = format!("{RUNNING_MAX} backtests are running; wait for one or stop it");
                return Err(Problem::conflict("too_many_backtests", detail).into());
            }
            trials::insert(tx, tenant, &row).await?;
            trials::prune(tx, tenant, row.rule, Kind::Backtest, KEPT_MAX).await?;
            jobs::wake(tx, tenant, BACKTESTS, now_ms).await?;
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    Ok((StatusCode::ACCEPTED, Json(Backtest::of(trial, Vec::new()))))
}

/// The rule, and the text of it that is to be tried.
pub(super) async fn text(
    api: &Api,
    who: &Principal,
    id: RuleId,
    given: Option<String>,
) -> Result<(Rule, String), Problem> {
    let mut tx = api.read().await?;
    let rule = rules::get(&mut tx, who.tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
    let published = match rule.published {
        Some(version) => rules::get_version(&mut tx, who.tenant, version).await?,
        None => None,
    };
    drop(tx);
    let source = given.or_else(|| rule.draft.clone()).or(published.map(|version| version.source));
    let source = source.unwrap_or_default();
    parsed(api, who, &source).await?;
    Ok((rule, source))
}

/// The last backtests of a rule, the newest first, without their differences.
#[utoipa::path(get, path = "/api/v1/rules/{id}/backtests", tag = "rules", params(("id" = String, Path)),
    responses((status = 200, body = List<Backtest>)))]
async fn list(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RuleId>,
) -> Result<Json<List<Backtest>>, Problem> {
    let tx = &mut api.read().await?;
    rules::get(tx, who.tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
    let found = trials::of_rule(tx, who.tenant, id, Kind::Backtest, KEPT_MAX).await?;
    Ok(Json(List::whole(found.into_iter().map(|it| Backtest::of(it, Vec::new())).collect())))
}

/// A backtest: how far it is, what it counted, and the first differences.
#[utoipa::path(get, path = "/api/v1/backtests/{id}", tag = "rules", params(("id" = String, Path)),
    responses((status = 200, body = Backtest)))]
async fn get(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<TrialId>,
) -> Result<Json<Backtest>, Problem> {
    let tx = &mut api.read().await?;
    let found = trials::get(tx, who.tenant, id).await?.filter(|it| it.kind == Kind::Backtest);
    let found = found.ok_or_else(|| Problem::not_found("backtest"))?;
    let differences = trials::findings(tx, who.tenant, id).await?;
    Ok(Json(Backtest::of(found, differences)))
}

/// Stops a backtest. What it counted so far stays.
#[utoipa::path(delete, path = "/api/v1/backtests/{id}", tag = "rules", params(("id" = String, Path)), responses((status = 204)))]
async fn cancel(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<TrialId>,
) -> Result<StatusCode, Problem> {
    let (tenant, now_ms, clock) = (who.tenant, api.flow.clock.now_ms(), api.flow.clock.clone());
    api.write(move |tx| {
        let (who, clock) = (who.clone(), clock.clone());
        Box::pin(async move {
            let found = trials::get(tx, tenant, id).await?.filter(|it| it.kind == Kind::Backtest);
            let found = found.ok_or_else(|| Problem::not_found("backtest"))?;
            if trials::end(tx, tenant, id, (Stage::Cancelled, None), now_ms).await? {
                let what = Change::removed(&serde_json::json!({"rule": found.rule}));
                audit::append(tx, tenant, &who.did(&clock, "rule.backtest_cancel", id, what)).await?;
            }
            Ok::<_, Refused>(())
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
