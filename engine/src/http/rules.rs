//! `/rules`: drafts, checks, publishing. What a rule may say is the rule room's
//! business; here its problems become problem documents with line and caret.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::event::EventKind;
use pointsman_rules::ids::{RuleId, RuleVersionId, TenantId};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Admin, Principal};
use super::etag::{IfMatch, Tagged};
use super::paging::{List, Query};
use super::path::Id;
use super::problem::Problem;
use super::{Api, Refused, body};
use crate::store::Tx;
use crate::store::audit::{self, Change};
use crate::store::rules::{self, Rule, Version};

mod backtest;
mod check;
mod dry_run;
mod explain;
mod form;
mod order;
mod parked;
mod record;
mod runs;
mod schedule;
mod shadow;
mod shown;
mod standing;
mod stats;
mod versions;
mod view;
mod vocabulary;

use view::{CheckView, RuleView};

/// Rules of one tenant at most; all of them are looked at for every event.
const RULES_MAX: i64 = 500;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(check_source))
        .merge(vocabulary::router())
        .merge(form::router())
        .routes(routes!(get, change, remove))
        .merge(order::router())
        .merge(parked::router())
        .merge(schedule::router())
        .merge(stats::router())
        .merge(versions::router())
        .merge(dry_run::router())
        .merge(explain::router())
        .merge(runs::router())
        .merge(record::router())
        .merge(backtest::router())
        .merge(shadow::router())
}

/// A new rule.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// The rule file. Its header says when it runs and what it is called.
    source: String,
    /// Does it run? As its header says when absent.
    enabled: Option<bool>,
    /// Publish it at once? Yes when absent.
    publish: Option<bool>,
    /// Cases, TOML; they must pass before it is published.
    cases: Option<String>,
    /// Publish it although it closes a loop with other rules? The history names the loop.
    #[serde(default)]
    override_loop: bool,
}

/// What may be changed. What is left out stays. A new source is a draft until it is published.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleChange {
    /// The new draft.
    source: Option<String>,
    /// Does it run?
    enabled: Option<bool>,
    /// Cases, TOML; `null` for none.
    #[serde(default, deserialize_with = "body::given")]
    #[schema(value_type = Option<String>)]
    cases: Option<Option<String>>,
}

/// A rule to check.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSource {
    /// The rule file.
    source: String,
    /// Cases to run, TOML.
    cases: Option<String>,
}

/// Which rules are listed. The list has no pages; what other lists take is let through.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RuleFilter {
    /// Only those that run on this event, e.g. `rule.manual`: what an agent may run by hand.
    on: Option<String>,
}

/// Rules in the order in which they run.
#[utoipa::path(get, path = "/api/v1/rules", tag = "rules", params(RuleFilter), responses((status = 200, body = List<RuleView>)))]
async fn list(
    State(api): State<Api>,
    who: Principal,
    Query(filter): Query<RuleFilter>,
) -> Result<Json<List<RuleView>>, Problem> {
    let wanted = filter.on.as_deref().map(|name| EventKind::from_name(name).ok_or(name)).transpose();
    let wanted = wanted.map_err(|name| Problem::field("/on", format!("`{name}` is not an event")))?;
    let found = rules::list(&mut api.read().await?, who.tenant).await?;
    let shown = found.into_iter().map(|(rule, version)| view::rule(rule, version));
    Ok(Json(List::whole(shown.filter(|it| wanted.is_none_or(|kind| it.runs_on(kind))).collect())))
}

/// Adds a rule and, unless told otherwise, publishes it.
#[utoipa::path(post, path = "/api/v1/rules", tag = "rules", request_body = NewRule, responses((status = 201, body = RuleView)))]
async fn create(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(new): body::Json<NewRule>,
) -> Result<Tagged<RuleView>, Problem> {
    let (clock, tenant) = (&api.flow.clock, who.tenant);
    let publish = new.publish.unwrap_or(true);
    // A draft may have cases that fail; the answer shows them.
    let cases = new.cases.as_deref();
    cases.map_or(Ok(()), check::readable_cases)?;
    let script = check::checked(&api, tenant, &new.source, cases.filter(|_| publish)).await?;
    let results = check::results(&api, tenant, Some(&new.source), cases).await?;
    let message = match publish {
        true => check::accept_loop(&api, tenant, &script, None, new.override_loop).await?,
        false => None,
    };
    let (now_ms, header) = (clock.now_ms(), script.header());
    let id = RuleId::new(now_ms, clock.random());
    let version = publish.then(|| Version {
        id: RuleVersionId::new(now_ms, clock.random()),
        rule: id,
        number: 1,
        source: new.source.clone(),
        author: who.id(),
        message,
        created_ms: now_ms,
    });
    let rule = Rule {
        id,
        name: header.name.clone(),
        position: header.position,
        enabled: new.enabled.unwrap_or(header.enabled),
        draft: version.is_none().then_some(new.source),
        cases: new.cases,
        published: version.as_ref().map(|v| v.id),
        published_number: i64::from(publish),
        plan: None,
        plan_problem: None,
        parked: None,
        version: 1,
        created_ms: now_ms,
        updated_ms: now_ms,
    };
    let what = Change::made(&view::rule(rule.clone(), version.clone()));
    let entry = who.did(clock, "rule.create", id, what);
    let (row, row_version) = (rule.clone(), version.clone());
    api.write(move |tx| {
        let (row, version, entry) = (row.clone(), row_version.clone(), entry.clone());
        Box::pin(async move {
            if rules::count(tx, tenant).await? >= RULES_MAX {
                let detail = format!("there are {RULES_MAX} rules already; remove one first");
                return Err(Problem::refused("too_many_rules", detail).into());
            }
            check_name(tx, &row, tenant).await?;
            rules::insert(tx, tenant, &row).await?;
            if let Some(version) = version {
                rules::insert_version(tx, tenant, &version).await?;
            }
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, None);
    Ok(Tagged::created(1, view::rule(rule, version).with_cases(results)))
}

/// Checks a rule, and its cases if given, without keeping anything.
#[utoipa::path(post, path = "/api/v1/rules/check", tag = "rules", request_body = RuleSource, responses((status = 200, body = CheckView)))]
async fn check_source(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(given): body::Json<RuleSource>,
) -> Result<Json<CheckView>, Problem> {
    check::report(&api, who.tenant, &given.source, given.cases.as_deref()).await.map(Json)
}

/// One rule.
#[utoipa::path(get, path = "/api/v1/rules/{id}", tag = "rules", params(("id" = String, Path)), responses((status = 200, body = RuleView)))]
async fn get(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<RuleId>,
) -> Result<Tagged<RuleView>, Problem> {
    let mut tx = api.read().await?;
    let (rule, version) = find(&mut tx, who.tenant, id).await?;
    Ok(Tagged::ok(rule.version, view::rule(rule, version)))
}

/// Changes the draft, the cases, or whether it runs. The cases are run and their results shown; they refuse nothing
/// before the rule is published.
#[utoipa::path(patch, path = "/api/v1/rules/{id}", tag = "rules", params(("id" = String, Path)), request_body = RuleChange, responses((status = 200, body = RuleView)))]
async fn change(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RuleId>,
    seen: IfMatch,
    body::Json(change): body::Json<RuleChange>,
) -> Result<Tagged<RuleView>, Problem> {
    let tenant = who.tenant;
    if let Some(source) = &change.source {
        check::checked(&api, tenant, source, None).await?;
    }
    if let Some(Some(cases)) = &change.cases {
        check::readable_cases(cases)?;
    }
    if change.enabled == Some(true) {
        check::runnable(&api, tenant, id).await?;
    }
    let now_ms = api.flow.clock.now_ms();
    let clock = api.flow.clock.clone();
    let is_saved = change.source.is_some() || change.cases.is_some();
    let (source, enabled, cases) = (change.source, change.enabled, change.cases);
    let (rule, version) = api
        .write(move |tx| {
            let (source, cases, seen) = (source.clone(), cases.clone(), seen.clone());
            let (who, clock) = (who.clone(), clock.clone());
            Box::pin(async move {
                let (mut rule, version) = find(tx, tenant, id).await?;
                seen.check(rule.version)?;
                let before = view::rule(rule.clone(), version.clone());
                if source.is_some() && source != rule.draft {
                    // What was planned was another text.
                    (rule.plan, rule.plan_problem) = (None, None);
                }
                rule.draft = source.or(rule.draft);
                rule.enabled = enabled.unwrap_or(rule.enabled);
                rule.cases = cases.unwrap_or(rule.cases);
                rule.updated_ms = now_ms;
                rules::update(tx, tenant, &rule).await?;
                rule.version += 1;
                let what = Change::edited(&before, &view::rule(rule.clone(), version.clone()));
                audit::append(tx, tenant, &who.did(&clock, "rule.change", id, what)).await?;
                Ok::<_, Refused>((rule, version))
            })
        })
        .await?;
    api.changed(tenant, None);
    let text = rule.draft.as_ref().or(version.as_ref().map(|it| &it.source));
    let cases = rule.cases.as_deref().filter(|_| is_saved);
    let results = check::results(&api, tenant, text.map(String::as_str), cases).await?;
    Ok(Tagged::ok(rule.version, view::rule(rule, version).with_cases(results)))
}

/// Removes a rule. What it did stays explained.
#[utoipa::path(delete, path = "/api/v1/rules/{id}", tag = "rules", params(("id" = String, Path)), responses((status = 204)))]
async fn remove(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RuleId>,
    seen: IfMatch,
) -> Result<StatusCode, Problem> {
    let (tenant, clock) = (who.tenant, api.flow.clock.clone());
    api.write(move |tx| {
        let (seen, who, clock) = (seen.clone(), who.clone(), clock.clone());
        Box::pin(async move {
            let rule = rules::get(tx, tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
            seen.check(rule.version)?;
            rules::delete(tx, tenant, id).await?;
            let entry = who.did(&clock, "rule.delete", id, Change::removed(&view::rule(rule, None)));
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, None);
    Ok(StatusCode::NO_CONTENT)
}

/// A rule with the version that runs.
async fn find(tx: &mut Tx, tenant: TenantId, id: RuleId) -> Result<(Rule, Option<Version>), Refused> {
    let rule = rules::get(tx, tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
    let version = match rule.published {
        Some(version) => rules::get_version(tx, tenant, version).await?,
        None => None,
    };
    Ok((rule, version))
}

async fn check_name(tx: &mut Tx, rule: &Rule, tenant: TenantId) -> Result<(), Refused> {
    if rules::is_name_taken(tx, tenant, &rule.name, rule.id).await? {
        return Err(name_taken(&rule.name).into());
    }
    Ok(())
}

fn name_taken(name: &str) -> Problem {
    Problem::field("/source", format!("another rule is called `{name}`; change the first line of the header"))
}

#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod tests;
