//! `/webhooks`: endpoints of other programs that are told what happens, and
//! their secrets, which are told once. What they were told is in `deliveries`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::event::EventKind;
use pointsman_rules::ids::WebhookId;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Admin;
use super::etag::{IfMatch, Tagged};
use super::paging::{List, Page, Query};
use super::path::Id;
use super::problem::{FieldProblem, Problem};
use super::{Api, Refused, body};
use crate::flow::webhook;
use crate::plugins::post_url;
use crate::store::audit::{self, Change};
use crate::store::webhooks::{self, ALL_EVENTS, Webhook};
use crate::store::{webhook_deliveries, webhook_views};

mod deliveries;
mod view;

use deliveries::AttemptView;
use view::{MadeWebhook, QueueView, WebhookView};

/// Endpoints of one tenant at most; each of them costs a row per event.
const WEBHOOKS_MAX: i64 = 50;
const NAME_CHARS_MAX: usize = 100;
const DESCRIPTION_CHARS_MAX: usize = 500;
const SWITCHED_OFF: &str = "the webhook was switched off";
const REMOVED: &str = "the webhook was removed";

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, change, remove))
        .routes(routes!(rotate))
        .routes(routes!(test))
        .merge(deliveries::router())
}

/// A new endpoint.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// Unique, whatever its case; what rules call it.
    #[schema(example = "crm")]
    name: String,
    /// Where it listens: https, or anything in a private network that is allowed.
    #[schema(example = "https://crm.example.com/pointsman")]
    url: String,
    /// Types of events, e.g. `message.received`, or `["*"]` for all; empty: only what rules tell it.
    events: Vec<String>,
    /// For people.
    description: Option<String>,
    /// Is it told anything? Yes when absent.
    active: Option<bool>,
    /// May it be in a private network, and speak plain HTTP?
    #[serde(default)]
    allow_private_egress: bool,
}

/// What may be changed. What is left out stays.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookChange {
    /// Unique, whatever its case.
    name: Option<String>,
    /// Where it listens.
    url: Option<String>,
    /// Types of events, or `["*"]`.
    events: Option<Vec<String>>,
    /// For people; `null` for none.
    #[serde(default, deserialize_with = "body::given")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
    /// Is it told anything? Switching it off gives up what waits for it; that can be replayed.
    active: Option<bool>,
    /// May it be in a private network, and speak plain HTTP?
    allow_private_egress: Option<bool>,
}

/// Endpoints, oldest first.
#[utoipa::path(get, path = "/api/v1/webhooks", tag = "webhooks", params(Page), responses((status = 200, body = List<WebhookView>)))]
async fn list(
    State(api): State<Api>,
    Admin(who): Admin,
    Query(page): Query<Page>,
) -> Result<Json<List<WebhookView>>, Problem> {
    let (rows, after) = (page.rows()?, page.after()?);
    let found = webhooks::list(&mut api.read().await?, who.tenant, after, rows).await?;
    Ok(Json(List::page(found, rows, |w| w.id, |w| view::show(&api, &w, None))))
}

/// Adds an endpoint. The answer is the only time that its secret is shown.
#[utoipa::path(post, path = "/api/v1/webhooks", tag = "webhooks", request_body = NewWebhook, responses((status = 201, body = MadeWebhook)))]
async fn create(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(new): body::Json<NewWebhook>,
) -> Result<Tagged<MadeWebhook>, Problem> {
    let (clock, tenant, now_ms) = (&api.flow.clock, who.tenant, api.flow.clock.now_ms());
    let id = WebhookId::new(now_ms, clock.random());
    let secret = webhook::new_secret(clock);
    let blank = Webhook {
        id,
        name: String::new(),
        description: None,
        url: String::new(),
        events: Vec::new(),
        active: false,
        off_reason: None,
        allow_private_egress: new.allow_private_egress,
        secrets: webhook::seal(&api.flow.keyring, clock, id, &webhook::sign::Secrets::new(&secret)),
        secret_ms: now_ms,
        failing_since_ms: None,
        version: 1,
        created_ms: now_ms,
    };
    let change = WebhookChange {
        name: Some(new.name),
        url: Some(new.url),
        events: Some(new.events),
        description: Some(new.description),
        active: Some(new.active.unwrap_or(true)),
        allow_private_egress: Some(new.allow_private_egress),
    };
    let row = change.applied(blank)?;
    let shown = view::show(&api, &row, None);
    let entry = who.did(clock, "webhook.create", id, Change::made(&shown));
    api.write(move |tx| {
        let (row, entry) = (row.clone(), entry.clone());
        Box::pin(async move {
            if webhooks::count(tx, tenant).await? >= WEBHOOKS_MAX {
                let detail = format!("there are {WEBHOOKS_MAX} webhooks already; remove one first");
                return Err(Problem::refused("too_many_webhooks", detail).into());
            }
            if !webhooks::insert(tx, tenant, &row).await? {
                return Err(name_taken().into());
            }
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, None);
    Ok(Tagged::created(1, MadeWebhook { view: shown, secret: secret.expose().to_owned() }))
}

/// One endpoint, with its queue.
#[utoipa::path(get, path = "/api/v1/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)), responses((status = 200, body = WebhookView)))]
async fn get(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<WebhookId>,
) -> Result<Tagged<WebhookView>, Problem> {
    let mut tx = api.read().await?;
    let found = webhooks::get(&mut tx, who.tenant, id).await?.ok_or_else(not_found)?;
    let queue = webhook_views::queue(&mut tx, who.tenant, Some(id)).await?;
    Ok(Tagged::ok(found.version, view::show(&api, &found, Some(QueueView::from(queue)))))
}

/// Changes an endpoint. Switching it on forgets its failures.
#[utoipa::path(patch, path = "/api/v1/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)), request_body = WebhookChange, responses((status = 200, body = WebhookView)))]
async fn change(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<WebhookId>,
    seen: IfMatch,
    body::Json(change): body::Json<WebhookChange>,
) -> Result<Tagged<WebhookView>, Problem> {
    let (tenant, inside) = (who.tenant, api.clone());
    let after = api.write(move |tx| {
        let (api, who, seen, change) = (inside.clone(), who.clone(), seen.clone(), change.clone());
        Box::pin(async move {
            let before = webhooks::get(tx, tenant, id).await?.ok_or_else(not_found)?;
            seen.check(before.version)?;
            let mut after = change.applied(before.clone())?;
            if before.active && !after.active {
                let now_ms = api.flow.clock.now_ms();
                webhook_deliveries::give_up(tx, tenant, id, SWITCHED_OFF, now_ms).await?;
            }
            if !webhooks::update(tx, tenant, &after).await? {
                return Err(name_taken().into());
            }
            after.version += 1;
            let of = |row: &Webhook| view::show(&api, row, None);
            let what = Change::edited(&of(&before), &of(&after));
            audit::append(tx, tenant, &who.did(&api.flow.clock, "webhook.change", id, what)).await?;
            Ok::<_, Refused>(after)
        })
    });
    let after = after.await?;
    api.changed(tenant, None);
    Ok(Tagged::ok(after.version, view::show(&api, &after, None)))
}

/// Removes an endpoint. What it was told stays in the log of deliveries for as long as that of others.
#[utoipa::path(delete, path = "/api/v1/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)), responses((status = 204)))]
async fn remove(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<WebhookId>,
    seen: IfMatch,
) -> Result<StatusCode, Problem> {
    let (tenant, inside) = (who.tenant, api.clone());
    api.write(move |tx| {
        let (api, who, seen) = (inside.clone(), who.clone(), seen.clone());
        Box::pin(async move {
            let before = webhooks::get(tx, tenant, id).await?.ok_or_else(not_found)?;
            seen.check(before.version)?;
            webhook_deliveries::give_up(tx, tenant, id, REMOVED, api.flow.clock.now_ms()).await?;
            webhooks::delete(tx, tenant, id).await?;
            let what = Change::removed(&view::show(&api, &before, None));
            let entry = who.did(&api.flow.clock, "webhook.delete", id, what);
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, None);
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a new secret and shows it once. The old one signs beside it for 24 hours.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/rotate", tag = "webhooks", params(("id" = String, Path)), responses((status = 200, body = MadeWebhook)))]
async fn rotate(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<WebhookId>,
    seen: IfMatch,
) -> Result<Tagged<MadeWebhook>, Problem> {
    let (tenant, inside) = (who.tenant, api.clone());
    let secret = webhook::new_secret(&api.flow.clock);
    let new = secret.clone();
    let after = api.write(move |tx| {
        let (api, who, seen, new) = (inside.clone(), who.clone(), seen.clone(), new.clone());
        Box::pin(async move {
            let (flow, now_ms) = (&api.flow, api.flow.clock.now_ms());
            let before = webhooks::get(tx, tenant, id).await?.ok_or_else(not_found)?;
            seen.check(before.version)?;
            let secrets = webhook::open(&flow.keyring, &before)
                .map_err(|error| Problem::internal("a webhook's secrets cannot be opened", &error))?
                .rotated(&new, now_ms);
            let secrets = webhook::seal(&flow.keyring, &flow.clock, id, &secrets);
            let mut after = Webhook { secrets, secret_ms: now_ms, ..before.clone() };
            webhooks::update(tx, tenant, &after).await?;
            after.version += 1;
            let of = |row: &Webhook| view::show(&api, row, None);
            let what = Change::edited(&of(&before), &of(&after));
            audit::append(tx, tenant, &who.did(&flow.clock, "webhook.rotate", id, what)).await?;
            Ok::<_, Refused>(after)
        })
    });
    let after = after.await?;
    let view = view::show(&api, &after, None);
    Ok(Tagged::ok(after.version, MadeWebhook { view, secret: secret.expose().to_owned() }))
}

/// Sends a `webhook.test` now and tells what came back. Works for one that is switched off, too.
#[utoipa::path(post, path = "/api/v1/webhooks/{id}/test", tag = "webhooks", params(("id" = String, Path)), responses((status = 200, body = AttemptView)))]
async fn test(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<WebhookId>,
) -> Result<Json<AttemptView>, Problem> {
    let found = webhooks::get(&mut api.read().await?, who.tenant, id).await?.ok_or_else(not_found)?;
    let called = webhook::test(&api.flow, &found).await?;
    Ok(Json(called.attempt.into()))
}

impl WebhookChange {
    /// The endpoint with this change.
    ///
    /// # Errors
    /// 422 with everything that is wrong with it.
    fn applied(self, mut it: Webhook) -> Result<Webhook, Problem> {
        let mut problems = Vec::new();
        if let Some(name) = self.name {
            it.name = name.trim().to_owned();
            if it.name.is_empty() || it.name.chars().count() > NAME_CHARS_MAX {
                let message = format!("must have 1 to {NAME_CHARS_MAX} characters");
                problems.push(FieldProblem::new("/name", message));
            }
        }
        it.description = self.description.unwrap_or(it.description);
        if it.description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_CHARS_MAX) {
            let message = format!("must have at most {DESCRIPTION_CHARS_MAX} characters");
            problems.push(FieldProblem::new("/description", message));
        }
        it.allow_private_egress = self.allow_private_egress.unwrap_or(it.allow_private_egress);
        it.url = self.url.map_or(it.url, |url| url.trim().to_owned());
        if let Err(message) = post_url(&it.url, it.allow_private_egress) {
            problems.push(FieldProblem::new("/url", message));
        }
        if let Some(mut events) = self.events {
            problems.extend(events.iter().enumerate().filter_map(|(at, event)| unknown(at, event)));
            events.sort_unstable();
            events.dedup();
            it.events = events;
        }
        match self.active {
            Some(true) if !it.active => {
                (it.active, it.off_reason, it.failing_since_ms) = (true, None, None);
            }
            Some(false) if it.active => {
                (it.active, it.off_reason) = (false, Some("it was switched off".to_owned()));
            }
            _ => {}
        }
        if problems.is_empty() { Ok(it) } else { Err(Problem::invalid(problems)) }
    }
}

fn unknown(at: usize, event: &str) -> Option<FieldProblem> {
    if event == ALL_EVENTS || EventKind::from_name(event).is_some() {
        return None;
    }
    let near = EventKind::ALL.iter().map(|it| it.name()).min_by_key(|name| strsim::levenshtein(name, event));
    let message = format!("no event has this type; did you mean `{}`?", near.unwrap_or(ALL_EVENTS));
    Some(FieldProblem::new(format!("/events/{at}"), message))
}

fn name_taken() -> Problem {
    Problem::field("/name", "another webhook has this name")
}

fn not_found() -> Problem {
    Problem::not_found("webhook")
}

#[cfg(test)]
mod tests;
