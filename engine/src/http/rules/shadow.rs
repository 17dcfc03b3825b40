//! Shadows over the API: let a text of a rule run beside what is published, and
//! see where it does something else.

use axum::Json;
use axum::extract::State;
use pointsman_rules::ids::{RuleId, TrialId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::backtest::{DifferenceView, text};
use crate::clock::rfc3339;
use crate::flow::backtest::KEPT_MAX;
use crate::flow::shadow::SHADOWS_MAX;
use crate::flow::trials::SHADOWS;
use crate::http::auth::Admin;
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused, body};
use crate::store::audit::{self, Change};
use crate::store::trials::{self, Finding, Kind, State as Stage, Trial};
use crate::store::{jobs, rules};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(get, switch))
}

/// On or off.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShadowSwitch {
    /// Shall it run?
    on: bool,
    /// The text to try: the draft when absent.
    source: Option<String>,
}

/// A rule's shadow.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shadow {
    /// Does it run?
    on: bool,
    /// `trl_…`; `null`: there never was one.
    #[schema(value_type = Option<String>)]
    id: Option<TrialId>,
    /// The text that is tried.
    source: Option<String>,
    /// Why it could not go on.
    problem: Option<String>,
    /// Since when it runs, or ran.
    since: Option<String>,
    /// When it was switched off.
    ended_at: Option<String>,
    /// What was counted: `events`, `exact`, `fires`, `failures`, `running_fires`, `messages` by kind, `would_fire`,
    /// `no_longer_fires`, `other_intents`.
    #[schema(value_type = Object)]
    counts: Value,
    /// The last 50 differences, oldest first.
    differences: Vec<DifferenceView>,
}

impl Shadow {
    fn of(it: Option<Trial>, found: Vec<Finding>) -> Self {
        let differences = found.into_iter().map(DifferenceView::of).collect();
        let Some(it) = it else {
            let (on, counts) = (false, Value::Object(serde_json::Map::new()));
            return Self {
                on,
                id: None,
                source: None,
                problem: None,
                since: None,
                ended_at: None,
                counts,
                differences,
            };
        };
        Self {
            on: it.state == Stage::Running,
            id: Some(it.id),
            source: Some(it.source),
            problem: it.problem,
            since: Some(rfc3339(it.from_ms)),
            ended_at: it.ended_ms.map(rfc3339),
            counts: serde_json::from_str(&it.counts).unwrap_or_default(),
            differences,
        }
    }
}

/// A rule's shadow and where it does something else than what is published. It is a few seconds behind.
#[utoipa::path(get, path = "/api/v1/rules/{id}/shadow", tag = "rules", params(("id" = String, Path)),
    responses((status = 200, body = Shadow)))]
async fn get(State(api): State<Api>, Admin(who): Admin, Id(id): Id<RuleId>) -> Result<Json<Shadow>, Problem> {
    let tx = &mut api.read().await?;
    rules::get(tx, who.tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
    let newest = trials::of_rule(tx, who.tenant, id, Kind::Shadow, 1).await?.into_iter().next();
    let found = match &newest {
        Some(trial) => trials::findings(tx, who.tenant, trial.id).await?,
        None => Vec::new(),
    };
    Ok(Json(Shadow::of(newest, found)))
}

/// Lets a draft run beside the published version, without effects; or ends that. Switching on again begins anew.
#[utoipa::path(post, path = "/api/v1/rules/{id}/shadow", tag = "rules", params(("id" = String, Path)),
    request_body = ShadowSwitch, responses((status = 200, body = Shadow)))]
async fn switch(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RuleId>,
    body::Json(wanted): body::Json<ShadowSwitch>,
) -> Result<Json<Shadow>, Problem> {
    let (tenant, now_ms) = (who.tenant, api.flow.clock.now_ms());
    if wanted.source.is_some() && !wanted.on {
        return Err(Problem::field("/source", "goes with `on: true` only"));
    }
    let has_text = wanted.source.is_some();
    let (rule, source) = text(&api, &who, id, wanted.source).await?;
    if wanted.on && !has_text && rule.draft.is_none() {
        let detail =
            "there is no draft that could run beside what is published; change the rule's source first";
        return Err(Problem::conflict("no_draft", detail));
    }
    let fresh = wanted.on.then(|| Trial {
        id: TrialId::new(now_ms, api.flow.clock.random()),
        kind: Kind::Shadow,
        rule: id,
        source,
        against: rule.published,
        state: Stage::Running,
        from_ms: now_ms,
        until_ms: None,
        place: String::new(),
        events_total: 0,
        counts: "{}".to_owned(),
        problem: None,
        author: who.id(),
        created_ms: now_ms,
        updated_ms: now_ms,
        ended_ms: None,
    });
    let what = Change::made(&serde_json::json!({"on": wanted.on}));
    let entry = who.did(&api.flow.clock, "rule.shadow", id, what);
    let row = fresh.clone();
    api.write(move |tx| {
        let (row, entry) = (row.clone(), entry.clone());
        Box::pin(async move {
            let running = trials::running(tx, tenant, Kind::Shadow).await?;
            let (mine, others): (Vec<_>, Vec<_>) = running.into_iter().partition(|it| it.rule == id);
            if row.is_some() && others.len() >= SHADOWS_MAX {
                let detail = format!("{SHADOWS_MAX} rules have a shadow; switch one off first");
                return Err(Problem::conflict("too_many_shadows", detail).into());
            }
            for old in mine {
                trials::end(tx, tenant, old.id, (Stage::Done, None), now_ms).await?;
            }
            if let Some(row) = row {
                trials::insert(tx, tenant, &row).await?;
                trials::prune(tx, tenant, id, Kind::Shadow, KEPT_MAX).await?;
                jobs::wake(tx, tenant, SHADOWS, now_ms).await?;
            }
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    match fresh {
        Some(trial) => Ok(Json(Shadow::of(Some(trial), Vec::new()))),
        None => get(State(api), Admin(who), Id(id)).await,
    }
}
