//! A rule's versions: publishing one now or later, reading and comparing them,
//! and going back. What was published never changes; going back publishes the
//! old text once more.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::ids::{RuleId, TenantId};
use pointsman_rules::script::Script;
use serde::{Deserialize, Serialize};
use similar::TextDiff;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::view::{self, RuleView, VersionView};
use super::{check, find, name_taken};
use crate::clock::parse_rfc3339;
use crate::flow::publishing::{self, Kept};
use crate::http::auth::{Admin, Principal};
use crate::http::etag::{IfMatch, Tagged};
use crate::http::paging::{List, Page, Query};
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused, body};
use crate::store::audit::{self, Change};
use crate::store::rules::{self, Plan, Rule, Version};
use crate::store::{Tx, authors};

const MESSAGE_CHARS_MAX: usize = 500;
/// A plan may lie so far ahead: a year, milliseconds.
const PLAN_MS_MAX: i64 = 366 * 24 * 3_600_000;
/// Lines around a difference.
const DIFF_CONTEXT_LINES: usize = 3;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(publish, cancel))
        .routes(routes!(versions))
        .routes(routes!(version))
        .routes(routes!(diff))
        .routes(routes!(roll_back))
        .routes(routes!(discard))
}

/// Why it is published, and when.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Publication {
    /// For the history.
    message: Option<String>,
    /// Not now but at this moment. The draft is checked now and again then; changing it cancels the plan.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Publish it although it closes a loop with other rules? The history names the loop. Not for later moments.
    #[serde(default)]
    override_loop: bool,
}

/// Where to go back to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RollBack {
    /// Number of the version whose text runs again.
    version: i64,
    /// For the history; says the number when absent.
    message: Option<String>,
    /// Publish it although it closes a loop with other rules?
    #[serde(default)]
    override_loop: bool,
}

/// Which two texts are compared: `draft`, `published`, or the number of a version.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Sides {
    /// The old one; `published` when absent.
    from: Option<String>,
    /// The new one; `draft` when absent.
    to: Option<String>,
}

/// What differs between two texts of a rule.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RuleDiff {
    /// The old one: `version 3`, `draft`.
    from: String,
    /// The new one.
    to: String,
    /// As `diff -u` shows it; empty when they are the same.
    diff: String,
}

/// Publishes the draft: it runs from the next event on, or from the moment that is given. Its cases must pass.
#[utoipa::path(post, path = "/api/v1/rules/{id}/publish", tag = "rules", params(("id" = String, Path)), request_body = Publication, responses((status = 200, body = RuleView)))]
async fn publish(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RuleId>,
    seen: IfMatch,
    body::Json(publication): body::Json<Publication>,
) -> Result<Tagged<RuleView>, Problem> {
    check_message(publication.message.as_deref())?;
    let at_ms = publication.at.as_deref().map(|at| moment(&api, at)).transpose()?;
    let (read, running) = read(&api, who.tenant, id, &seen).await?;
    let Some(source) = read.draft.clone() else {
        return Err(nothing_to_publish());
    };
    let script = check::checked(&api, who.tenant, &source, read.cases.as_deref()).await?;
    let is_accepted = publication.override_loop && at_ms.is_none();
    let message = check::accept_loop(&api, who.tenant, &script, publication.message, is_accepted).await?;
    let Some(at_ms) = at_ms else {
        let next = Next { read: Rule { draft: None, ..read.clone() }, source, message };
        return put(&api, &who, &view::rule(read, running), next, &script).await;
    };
    let plan = Plan { at_ms, author: who.id(), message };
    edit(&api, &who, id, "rule.plan", IfMatch::Tags(vec![read.version.to_string()]), move |rule| {
        Ok(Rule { plan: Some(plan.clone()), plan_problem: None, ..rule })
    })
    .await
}

/// The draft does not publish itself any more; it stays.
#[utoipa::path(delete, path = "/api/v1/rules/{id}/publish", tag = "rules", params(("id" = String, Path)), responses((status = 200, body = RuleView)))]
async fn cancel(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RuleId>,
    seen: IfMatch,
) -> Result<Tagged<RuleView>, Problem> {
    edit(&api, &who, id, "rule.plan_cancel", seen, |rule| Ok(Rule { plan: None, plan_problem: None, ..rule }))
        .await
}

/// Throws the draft away; what was published stays.
#[utoipa::path(delete, path = "/api/v1/rules/{id}/draft", tag = "rules", params(("id" = String, Path)), responses((status = 200, body = RuleView)))]
async fn discard(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RuleId>,
    seen: IfMatch,
) -> Result<Tagged<RuleView>, Problem> {
    edit(&api, &who, id, "rule.discard", seen, |rule| match (&rule.draft, rule.published) {
        (None, _) => Err(Problem::conflict("no_draft", "there is no draft")),
        (_, None) => {
            let detail = "it was never published, so the draft is all there is; remove the rule instead";
            Err(Problem::conflict("never_published", detail))
        }
        _ => Ok(Rule { draft: None, plan: None, plan_problem: None, ..rule }),
    })
    .await
}

/// Publishes the text of an older version as a new one. Today's cases must pass; the draft stays as it is.
#[utoipa::path(post, path = "/api/v1/rules/{id}/rollback", tag = "rules", params(("id" = String, Path)), request_body = RollBack, responses((status = 200, body = RuleView)))]
async fn roll_back(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<RuleId>,
    seen: IfMatch,
    body::Json(to): body::Json<RollBack>,
) -> Result<Tagged<RuleView>, Problem> {
    check_message(to.message.as_deref())?;
    let (read, running) = read(&api, who.tenant, id, &seen).await?;
    let old = rules::numbered(&mut api.read().await?, who.tenant, id, to.version).await?;
    let old = old.ok_or_else(|| Problem::not_found("version of this rule"))?;
    if read.published == Some(old.id) {
        return Err(Problem::conflict("already_published", format!("version {} runs already", old.number)));
    }
    let script = check::checked(&api, who.tenant, &old.source, read.cases.as_deref()).await?;
    let message = to.message.unwrap_or_else(|| format!("back to version {}", old.number));
    let message = check::accept_loop(&api, who.tenant, &script, Some(message), to.override_loop).await?;
    let next = Next { read: read.clone(), source: old.source, message };
    put(&api, &who, &view::rule(read, running), next, &script).await
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
    let names = authors::names(&mut tx, who.tenant, found.iter().map(|v| v.author.as_str())).await?;
    Ok(Json(List::page(found, rows, |v| v.number, |v| VersionView::show(v, &names))))
}

/// One published version.
#[utoipa::path(get, path = "/api/v1/rules/{id}/versions/{number}", tag = "rules", params(("id" = String, Path), ("number" = i64, Path)), responses((status = 200, body = VersionView)))]
async fn version(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<RuleId>,
    axum::extract::Path((_, number)): axum::extract::Path<(String, String)>,
) -> Result<Json<VersionView>, Problem> {
    let missing = || Problem::not_found("version of this rule");
    let number = number.parse().map_err(|_| missing())?;
    let tx = &mut api.read().await?;
    let found = rules::numbered(tx, who.tenant, id, number).await?.ok_or_else(missing)?;
    let names = authors::names(tx, who.tenant, [found.author.as_str()]).await?;
    Ok(Json(VersionView::show(found, &names)))
}

/// What differs between two versions, or a version and the draft.
#[utoipa::path(get, path = "/api/v1/rules/{id}/diff", tag = "rules", params(("id" = String, Path), Sides), responses((status = 200, body = RuleDiff)))]
async fn diff(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<RuleId>,
    Query(sides): Query<Sides>,
) -> Result<Json<RuleDiff>, Problem> {
    let mut tx = api.read().await?;
    let (rule, running) = find(&mut tx, who.tenant, id).await?;
    let (from, old) =
        side(&mut tx, who.tenant, &rule, running.as_ref(), sides.from.as_deref(), "published").await?;
    let (to, new) = side(&mut tx, who.tenant, &rule, running.as_ref(), sides.to.as_deref(), "draft").await?;
    let diff = TextDiff::from_lines(&old, &new);
    let diff = diff.unified_diff().context_radius(DIFF_CONTEXT_LINES).header(&from, &to).to_string();
    Ok(Json(RuleDiff { from, to, diff }))
}

async fn side(
    tx: &mut Tx,
    tenant: TenantId,
    rule: &Rule,
    running: Option<&Version>,
    given: Option<&str>,
    usual: &str,
) -> Result<(String, String), Problem> {
    let missing = |what: String| Problem::new(StatusCode::NOT_FOUND, "not_found", what);
    match given.unwrap_or(usual) {
        "draft" => {
            let none = || Problem::conflict("no_draft", "this rule has no draft; name two versions");
            let draft = rule.draft.clone().ok_or_else(none)?;
            Ok(("draft".to_owned(), draft))
        }
        "published" => {
            let none = || Problem::conflict("never_published", "this rule was never published");
            let it = running.ok_or_else(none)?;
            Ok((format!("version {}", it.number), it.source.clone()))
        }
        number => {
            let parsed = number.parse().ok();
            let number = parsed.ok_or_else(|| {
                let message =
                    format!("`{number}` is neither `draft` nor `published` nor the number of a version");
                Problem::field(if usual == "draft" { "/to" } else { "/from" }, message)
            })?;
            let found = rules::numbered(tx, tenant, rule.id, number).await?;
            let it = found.ok_or_else(|| missing(format!("this rule has no version {number}")))?;
            Ok((format!("version {number}"), it.source))
        }
    }
}

/// What is to be published.
struct Next {
    read: Rule,
    source: String,
    message: Option<String>,
}

async fn put(
    api: &Api,
    who: &Principal,
    before: &RuleView,
    next: Next,
    script: &Script,
) -> Result<Tagged<RuleView>, Problem> {
    let (clock, tenant, id) = (&api.flow.clock, who.tenant, next.read.id);
    let by = (who.id(), next.message);
    let (rule, version) = publishing::published(clock, next.read, next.source, script.header(), by);
    let what = Change::edited(before, &view::rule(rule.clone(), Some(version.clone())));
    let entry = who.did(clock, "rule.publish", id, what);
    let (row, row_version) = (rule.clone(), version.clone());
    api.write(move |tx| {
        let (row, version, entry) = (row.clone(), row_version.clone(), entry.clone());
        Box::pin(async move {
            match publishing::write(tx, tenant, &row, &version).await? {
                Kept::Yes => Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?),
                Kept::Gone => Err(Problem::not_found("rule").into()),
                Kept::NameTaken => Err(name_taken(&row.name).into()),
                Kept::Stale => {
                    let detail = "somebody changed this rule at the same moment; read it and try again";
                    Err(Problem::conflict("changed_meanwhile", detail).into())
                }
            }
        })
    })
    .await?;
    api.changed(tenant, None);
    let revision = rule.version + 1;
    Ok(Tagged::ok(revision, view::rule(Rule { version: revision, ..rule }, Some(version))))
}

/// Changes a rule without publishing anything.
async fn edit(
    api: &Api,
    who: &Principal,
    id: RuleId,
    action: &'static str,
    seen: IfMatch,
    change: impl Fn(Rule) -> Result<Rule, Problem> + Clone + Send + Sync + 'static,
) -> Result<Tagged<RuleView>, Problem> {
    let (tenant, clock, who) = (who.tenant, api.flow.clock.clone(), who.clone());
    let (rule, version) = api
        .write(move |tx| {
            let (seen, who, clock, change) = (seen.clone(), who.clone(), clock.clone(), change.clone());
            Box::pin(async move {
                let (read, version) = find(tx, tenant, id).await?;
                seen.check(read.version)?;
                let before = view::rule(read.clone(), version.clone());
                let mut rule = Rule { updated_ms: clock.now_ms(), ..change(read)? };
                rules::update(tx, tenant, &rule).await?;
                rule.version += 1;
                let what = Change::edited(&before, &view::rule(rule.clone(), version.clone()));
                audit::append(tx, tenant, &who.did(&clock, action, id, what)).await?;
                Ok::<_, Refused>((rule, version))
            })
        })
        .await?;
    Ok(Tagged::ok(rule.version, view::rule(rule, version)))
}

async fn read(
    api: &Api,
    tenant: TenantId,
    id: RuleId,
    seen: &IfMatch,
) -> Result<(Rule, Option<Version>), Problem> {
    let (rule, version) = find(&mut api.read().await?, tenant, id).await?;
    seen.check(rule.version)?;
    Ok((rule, version))
}

fn nothing_to_publish() -> Problem {
    Problem::conflict("nothing_to_publish", "there is no draft; change the rule's source first")
}

fn check_message(message: Option<&str>) -> Result<(), Problem> {
    if message.is_some_and(|message| message.chars().count() > MESSAGE_CHARS_MAX) {
        return Err(Problem::field("/message", format!("must have at most {MESSAGE_CHARS_MAX} characters")));
    }
    Ok(())
}

fn moment(api: &Api, at: &str) -> Result<i64, Problem> {
    let now_ms = api.flow.clock.now_ms();
    let at_ms = parse_rfc3339(at)
        .map_err(|_| Problem::field("/at", "must be a time with an offset, like 2026-05-01T09:00:00Z"))?;
    if at_ms <= now_ms || at_ms - now_ms > PLAN_MS_MAX {
        return Err(Problem::field("/at", "must lie ahead, by a year at most; leave it out to publish now"));
    }
    Ok(at_ms)
}
