//! `/knowledge`: short texts that assistants may use. They go to the vendors of
//! assistants and from there to contacts: nothing secret belongs here.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::ids::KnowledgeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::clock::rfc3339;
use crate::flow::assistant::ask::KNOWLEDGE_MAX;
use crate::http::auth::Admin;
use crate::http::etag::{IfMatch, Tagged};
use crate::http::paging::{List, Page, Query};
use crate::http::path::Id;
use crate::http::problem::{FieldProblem, Problem};
use crate::http::{Api, Refused, body};
use crate::store::audit::{self, Change};
use crate::store::knowledge::{self, Snippet};

const TITLE_CHARS_MAX: usize = 200;
const TEXT_CHARS_MAX: usize = 8_000;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list, create)).routes(routes!(get, change, remove))
}

/// A text that assistants may use.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct KnowledgeView {
    /// `kno_…`.
    id: String,
    /// What it is about.
    title: String,
    /// What it says.
    text: String,
    /// When it was written.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was changed last.
    #[schema(format = DateTime)]
    changed_at: String,
    /// Also the `ETag`.
    version: i64,
}

impl From<Snippet> for KnowledgeView {
    fn from(it: Snippet) -> Self {
        Self {
            id: it.id.to_string(),
            title: it.title,
            text: it.body,
            created_at: rfc3339(it.created_ms),
            changed_at: rfc3339(it.changed_ms),
            version: it.version,
        }
    }
}

/// A text. Changing one: what is left out stays.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KnowledgeForm {
    /// What it is about, 1 to 200 characters.
    #[schema(example = "Opening hours")]
    title: Option<String>,
    /// What it says, 1 to 8,000 characters.
    #[schema(example = "We open at nine.")]
    text: Option<String>,
}

impl KnowledgeForm {
    fn applied(self, mut it: Snippet, now_ms: i64) -> Result<Snippet, Problem> {
        let mut problems = Vec::new();
        let mut checked = |text: String, pointer: &str, chars_max: usize| {
            let text = text.trim().to_owned();
            if text.is_empty() || text.chars().count() > chars_max {
                let message = format!("must have 1 to {chars_max} characters");
                problems.push(FieldProblem::new(pointer, message));
            }
            text
        };
        it.title = checked(self.title.unwrap_or(it.title), "/title", TITLE_CHARS_MAX);
        it.body = checked(self.text.unwrap_or(it.body), "/text", TEXT_CHARS_MAX);
        it.changed_ms = now_ms;
        if problems.is_empty() { Ok(it) } else { Err(Problem::invalid(problems)) }
    }
}

/// Texts that assistants may use, oldest first.
#[utoipa::path(get, path = "/api/v1/knowledge", tag = "assistants", params(Page), responses((status = 200, body = List<KnowledgeView>)))]
async fn list(
    State(api): State<Api>,
    Admin(who): Admin,
    Query(page): Query<Page>,
) -> Result<Json<List<KnowledgeView>>, Problem> {
    let (rows, after) = (page.rows()?, page.after()?);
    let found = knowledge::list(&mut api.read().await?, who.tenant, after, rows).await?;
    Ok(Json(List::page(found, rows, |it| it.id, KnowledgeView::from)))
}

/// Adds a text. Of all texts an assistant is given those that fit the conversation best, as many as its limits allow.
#[utoipa::path(post, path = "/api/v1/knowledge", tag = "assistants", request_body = KnowledgeForm, responses((status = 201, body = KnowledgeView)))]
async fn create(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(new): body::Json<KnowledgeForm>,
) -> Result<Tagged<KnowledgeView>, Problem> {
    let (clock, tenant, now_ms) = (&api.flow.clock, who.tenant, api.flow.clock.now_ms());
    let id = KnowledgeId::new(now_ms, clock.random());
    let (title, body) = (String::new(), String::new());
    let blank = Snippet { id, title, body, version: 1, created_ms: now_ms, changed_ms: now_ms };
    let row = new.applied(blank, now_ms)?;
    let view = KnowledgeView::from(row.clone());
    let entry = who.did(clock, "knowledge.create", id, Change::made(&view));
    api.write(move |tx| {
        let (row, entry) = (row.clone(), entry.clone());
        Box::pin(async move {
            if knowledge::count(tx, tenant).await? >= KNOWLEDGE_MAX {
                let detail = format!("there are {KNOWLEDGE_MAX} texts already; put some of them together");
                return Err(Problem::refused("too_much_knowledge", detail).into());
            }
            knowledge::insert(tx, tenant, &row).await?;
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    Ok(Tagged::created(1, view))
}

/// One text.
#[utoipa::path(get, path = "/api/v1/knowledge/{id}", tag = "assistants", params(("id" = String, Path)), responses((status = 200, body = KnowledgeView)))]
async fn get(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<KnowledgeId>,
) -> Result<Tagged<KnowledgeView>, Problem> {
    let found = knowledge::get(&mut api.read().await?, who.tenant, id).await?.ok_or_else(not_found)?;
    Ok(Tagged::ok(found.version, found.into()))
}

/// Changes a text.
#[utoipa::path(patch, path = "/api/v1/knowledge/{id}", tag = "assistants", params(("id" = String, Path)), request_body = KnowledgeForm, responses((status = 200, body = KnowledgeView)))]
async fn change(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<KnowledgeId>,
    seen: IfMatch,
    body::Json(change): body::Json<KnowledgeForm>,
) -> Result<Tagged<KnowledgeView>, Problem> {
    let (tenant, inside) = (who.tenant, api.clone());
    let after = api.write(move |tx| {
        let (api, who, seen, change) = (inside.clone(), who.clone(), seen.clone(), change.clone());
        Box::pin(async move {
            let before = knowledge::get(tx, tenant, id).await?.ok_or_else(not_found)?;
            seen.check(before.version)?;
            let mut after = change.applied(before.clone(), api.flow.clock.now_ms())?;
            knowledge::update(tx, tenant, &after).await?;
            after.version += 1;
            let of = |it: &Snippet| KnowledgeView::from(it.clone());
            let what = Change::edited(&of(&before), &of(&after));
            audit::append(tx, tenant, &who.did(&api.flow.clock, "knowledge.change", id, what)).await?;
            Ok::<_, Refused>(after)
        })
    });
    let after = after.await?;
    Ok(Tagged::ok(after.version, after.into()))
}

/// Removes a text.
#[utoipa::path(delete, path = "/api/v1/knowledge/{id}", tag = "assistants", params(("id" = String, Path)), responses((status = 204)))]
async fn remove(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<KnowledgeId>,
    seen: IfMatch,
) -> Result<StatusCode, Problem> {
    let (tenant, inside) = (who.tenant, api.clone());
    api.write(move |tx| {
        let (api, who, seen) = (inside.clone(), who.clone(), seen.clone());
        Box::pin(async move {
            let before = knowledge::get(tx, tenant, id).await?.ok_or_else(not_found)?;
            seen.check(before.version)?;
            knowledge::delete(tx, tenant, id).await?;
            let what = Change::removed(&KnowledgeView::from(before));
            let entry = who.did(&api.flow.clock, "knowledge.delete", id, what);
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn not_found() -> Problem {
    Problem::not_found("text")
}
