//! `/rules`: drafts, checks, publishing. What a rule may say is the rule room's
//! business; here its problems become problem documents with line and caret.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::ids::{RuleId, RuleVersionId};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Admin, Principal};
use super::etag::{IfMatch, Tagged};
use super::paging::{List, Page, Query};
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
mod record;
mod runs;
mod shadow;
mod shown;
mod view;

use view::{CheckView, RuleView, VersionView};

/// Rules of one tenant at most; all of them are looked at for every event.
const RULES_MAX: i64 = 500;
const MESSAGE_CHARS_MAX: usize = 500;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(check_source))
        .routes(routes!(get, change, remove))
        .routes(routes!(publish))
        .routes(routes!(versions))
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

/// Why it is published.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Publication {
    /// For the history.
    message: Option<String>,
}

/// Rules in the order in which they run.
#[utoipa::path(get, path = "/api/v1/rules", tag = "rules", responses((status = 200, body = List<RuleView>)))]
async fn list(State(api): State<Api>, who: Principal) -> Result<Json<List<RuleView>>, Problem> {
    let found = rules::list(&mut api.read().await?, who.tenant).await?;
    Ok(Json(List::whole(found.into_iter().map(|(rule, version)| view::rule(rule, version)).collect())))
}

/// Adds a rule and, unless told otherwise, publishes it.
#[utoipa::path(post, path = "/api/v1/rules", tag = "rules", request_body = NewRule, responses((status = 201, body = RuleView)))]
async fn create(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(new): body::Json<NewRule>,
) -> Result<Tagged<RuleView>, Problem> {
    let (clock, tenant) = (&api.flow.clock, who.tenant);
    let script = check::checked(&api, tenant, &new.source, new.cases.as_deref()).await?;
    let (now_ms, header, publish) = (clock.now_ms(), script.header(), new.publish.unwrap_or(true));
    let id = RuleId::new(now_ms, clock.random());
    let version = publish.then(|| Version {
        id: RuleVersionId::new(now_ms, clock.random()),
        rule: id,
        number: 1,
        source: new.source.clone(),
        author: who.id(),
        message: None,
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
    Ok(Tagged::created(1, view::rule(rule, version)))
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
    let rule = rules::get(&mut tx, who.tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
    let version = match rule.published {
        Some(version) => rules::get_version(&mut tx, who.tenant, version).await?,
        None => None,
    };
    Ok(Tagged::ok(rule.version, view::rule(rule, version)))
}

/// Changes the draft, the cases, or whether it runs.
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
    let (source, enabled, cases) = (change.source, change.enabled, change.cases);
    let (rule, version) = api
        .write(move |tx| {
            let (source, cases, seen) = (source.clone(), cases.clone(), seen.clone());
            let (who, clock) = (who.clone(), clock.clone());
            Box::pin(async move {
                let mut rule = rules::get(tx, tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
                seen.check(rule.version)?;
                let version = match rule.published {
                    Some(version) => rules::get_version(tx, tenant, version).await?,
                    None => None,
                };
                let before = view::rule(rule.clone(), version.clone());
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
    Ok(Tagged::ok(rule.version, view::rule(rule, version)))
}

/// Publishes the draft: it runs from the next event on. Its cases must pass.
#[utoipa::path(post, path = "/api/v1/rules/{id}/publish", tag = "rules", params(("id" = String, Path)), request_body = Publication, responses((status = 200, body = RuleView)))]
async fn publish(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RuleId>,
    seen: IfMatch,
    body::Json(publication): body::Json<Publication>,
) -> Result<Tagged<RuleView>, Problem> {
    if publication.message.as_ref().is_some_and(|message| message.chars().count() > MESSAGE_CHARS_MAX) {
        return Err(Problem::field("/message", format!("must have at most {MESSAGE_CHARS_MAX} characters")));
    }
    let (clock, tenant) = (&api.flow.clock, who.tenant);
    let mut tx = api.read().await?;
    let read = rules::get(&mut tx, tenant, id).await?;
    let read = read.ok_or_else(|| Problem::not_found("rule"))?;
    seen.check(read.version)?;
    let running = match read.published {
        Some(version) => rules::get_version(&mut tx, tenant, version).await?,
        None => None,
    };
    drop(tx);
    let before = view::rule(read.clone(), running);
    let Some(source) = read.draft.clone() else {
        return Err(Problem::conflict(
            "nothing_to_publish",
            "there is no draft; change the rule's source first",
        ));
    };
    let script = check::checked(&api, tenant, &source, read.cases.as_deref()).await?;
    let now_ms = clock.now_ms();
    let version = Version {
        id: RuleVersionId::new(now_ms, clock.random()),
        rule: id,
        number: read.published_number + 1,
        source,
        author: who.id(),
        message: publication.message,
        created_ms: now_ms,
    };
    let (read_version, header) = (read.version, script.header());
    let rule = Rule {
        name: header.name.clone(),
        position: header.position,
        draft: None,
        published: Some(version.id),
        published_number: version.number,
        updated_ms: now_ms,
        ..read
    };
    let what = Change::edited(&before, &view::rule(rule.clone(), Some(version.clone())));
    let entry = who.did(clock, "rule.publish", id, what);
    let (row, row_version) = (rule.clone(), version.clone());
    api.write(move |tx| {
        let (row, version, entry) = (row.clone(), row_version.clone(), entry.clone());
        Box::pin(async move {
            let now = rules::get(tx, tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
            if now.version != read_version {
                let detail = "somebody changed this rule at the same moment; read it and try again";
                return Err(Problem::conflict("changed_meanwhile", detail).into());
            }
            check_name(tx, &row, tenant).await?;
            rules::insert_version(tx, tenant, &version).await?;
            rules::update(tx, tenant, &row).await?;
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, None);
    Ok(Tagged::ok(read_version + 1, view::rule(Rule { version: read_version + 1, ..rule }, Some(version))))
}

/// Published versions of a rule, newest first.
#[utoipa::path(get, path = "/api/v1/rules/{id}/versions", tag = "rules", params(("id" = String, Path), Page), responses((status = 200, body = List<VersionView>)))]
async fn versions(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<RuleId>,
    Query(page): Query<Page>,
) -> Result<Json<List<VersionView>>, Problem> {
    let (rows, below) = (page.rows()?, page.after::<i64>()?);
    let mut tx = api.read().await?;
    rules::get(&mut tx, who.tenant, id).await?.ok_or_else(|| Problem::not_found("rule"))?;
    let found = rules::versions(&mut tx, who.tenant, id, below, rows).await?;
    Ok(Json(List::page(found, rows, |v| v.number, VersionView::from)))
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

async fn check_name(tx: &mut Tx, rule: &Rule, tenant: pointsman_rules::ids::TenantId) -> Result<(), Refused> {
    if rules::is_name_taken(tx, tenant, &rule.name, rule.id).await? {
        let message = format!("another rule is called `{}`; change the first line of the header", rule.name);
        return Err(Problem::field("/source", message).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
