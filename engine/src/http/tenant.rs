//! `/tenant`: the caller's own organisation: its name and settings, everything
//! it has as a file, and its end.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use pointsman_rules::ids::TenantId;
use pointsman_rules::quota::Quotas;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Admin, Owner, Principal};
use super::etag::{IfMatch, Tagged};
use super::paging::Query;
use super::problem::{FieldProblem, Problem};
use super::{Api, Refused, body};
use crate::clock::rfc3339;
use crate::config::DAYS;
use crate::flow::tenant::{self, KeptDays, TenantSettings};
use crate::store::audit::{self, Change};
use crate::store::tenants::{self, Details};
use crate::store::{StoreError, export};

const NAME_CHARS_MAX: usize = 100;
/// A week, as for a channel.
const IDLE_END_MINUTES_MAX: u32 = 7 * 24 * 60;
/// Rows of an export read at once.
const EXPORT_ROWS: u32 = 200;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(get, change, remove)).routes(routes!(export_all))
}

/// The organisation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TenantDetail)]
struct TenantView {
    /// `tnt_…`.
    id: String,
    /// For people.
    name: String,
    /// `country` (ISO 3166-1, for phone numbers without a country code), `quotas` of what rules do on their own,
    /// `retention` in days (`null`: as the installation has it), `idle_end_minutes` of new channels,
    /// `large_files_as_link`, and what all assistants together may use in a UTC day:
    /// `assistant_tokens_per_day_max` and `assistant_cost_micros_per_day_max`; `currency` (ISO 4217) of every price and
    /// every cap in money.
    #[schema(value_type = Object)]
    settings: TenantSettings,
    /// It is being deleted since then and takes no writes any more.
    #[schema(format = DateTime)]
    deleting_since: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// Also the `ETag`.
    version: i64,
}

/// What may be changed. What is left out stays.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TenantChange {
    /// For people.
    name: Option<String>,
    /// Settings to change.
    settings: Option<SettingsChange>,
}

/// Settings to change. What is left out stays.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SettingsChange {
    /// ISO 3166-1 alpha-2, e.g. `ES`; `null` for none.
    #[serde(default, deserialize_with = "body::given")]
    #[schema(value_type = Option<String>)]
    country: Option<Option<String>>,
    /// `messages`: a list of `messages_max` in `minutes`; `starts`: `starts_max` in `minutes`. All of them at once.
    #[schema(value_type = Option<Object>)]
    quotas: Option<Quotas>,
    /// `webhooks_days`, `quarantine_days`, `redelivery_days`, `rule_runs_days`, `deliveries_days`. All of them at once;
    /// what is left out is as the installation has it.
    #[schema(value_type = Option<Object>)]
    retention: Option<KeptDays>,
    /// Silence after which a live chat of a new channel ends; 0: never.
    idle_end_minutes: Option<u32>,
    /// Send a file that is too large for a channel as a link?
    large_files_as_link: Option<bool>,
    /// Tokens that all assistants together may use in a UTC day; `null`: any number.
    #[serde(default, deserialize_with = "body::given")]
    #[schema(value_type = Option<i64>)]
    assistant_tokens_per_day_max: Option<Option<i64>>,
    /// What all assistants together may cost in a UTC day, millionths of `currency`; `null`: any.
    #[serde(default, deserialize_with = "body::given")]
    #[schema(value_type = Option<i64>)]
    assistant_cost_micros_per_day_max: Option<Option<i64>>,
    /// Of every price and every cap in money: ISO 4217, e.g. `EUR`. What was counted keeps its currency, and prices
    /// and caps keep their numbers: change them, too.
    currency: Option<String>,
}

fn show(id: TenantId, it: &Details) -> TenantView {
    TenantView {
        id: id.to_string(),
        name: it.name.clone(),
        settings: tenant::read(id, &it.settings),
        deleting_since: it.deleting_ms.map(rfc3339),
        created_at: rfc3339(it.created_ms),
        version: it.version,
    }
}

/// The organisation of the caller.
#[utoipa::path(get, path = "/api/v1/tenant", tag = "tenant", responses((status = 200, body = TenantView)))]
async fn get(State(api): State<Api>, Admin(who): Admin) -> Result<Tagged<TenantView>, Problem> {
    let found = tenants::details(&mut api.read().await?, who.tenant).await?.ok_or_else(not_found)?;
    Ok(Tagged::ok(found.version, show(who.tenant, &found)))
}

/// Changes name or settings.
#[utoipa::path(patch, path = "/api/v1/tenant", tag = "tenant", request_body = TenantChange, responses((status = 200, body = TenantView)))]
async fn change(
    State(api): State<Api>,
    Admin(who): Admin,
    seen: IfMatch,
    body::Json(change): body::Json<TenantChange>,
) -> Result<Tagged<TenantView>, Problem> {
    let (id, inside) = (who.tenant, api.clone());
    let after = api.write(move |tx| {
        let (api, who, seen, change) = (inside.clone(), who.clone(), seen.clone(), change.clone());
        Box::pin(async move {
            let before = tenants::details(tx, id).await?.ok_or_else(not_found)?;
            seen.check(before.version)?;
            let mut after = change.applied(&api, id, before.clone())?;
            tenants::update(tx, id, &after.name, &after.settings).await?;
            after.version += 1;
            let what = Change::edited(&show(id, &before), &show(id, &after));
            audit::append(tx, id, &who.did(&api.flow.clock, "tenant.change", id, what)).await?;
            Ok::<_, Refused>(after)
        })
    });
    let after = after.await?;
    api.changed(id, None);
    Ok(Tagged::ok(after.version, show(id, &after)))
}

impl TenantChange {
    fn applied(self, api: &Api, id: TenantId, mut it: Details) -> Result<Details, Problem> {
        let mut problems = Vec::new();
        if let Some(name) = self.name {
            it.name = name.trim().to_owned();
            if it.name.is_empty() || it.name.chars().count() > NAME_CHARS_MAX {
                let message = format!("must have 1 to {NAME_CHARS_MAX} characters");
                problems.push(FieldProblem::new("/name", message));
            }
        }
        if let Some(change) = self.settings {
            let settings = change.applied(api, tenant::read(id, &it.settings), &mut problems);
            it.settings = json!(settings).to_string();
        }
        if problems.is_empty() { Ok(it) } else { Err(Problem::invalid(problems)) }
    }
}

impl SettingsChange {
    fn applied(self, api: &Api, mut it: TenantSettings, problems: &mut Vec<FieldProblem>) -> TenantSettings {
        let mut wrong = |place: &str, message: String| {
            problems.push(FieldProblem::new(format!("/settings{place}"), message));
        };
        it.country = self.country.unwrap_or(it.country).map(|code| code.trim().to_ascii_uppercase());
        if it
            .country
            .as_ref()
            .is_some_and(|code| code.len() != 2 || !code.bytes().all(|c| c.is_ascii_uppercase()))
        {
            wrong("/country", "must be two letters like ES".to_owned());
        }
        it.quotas = self.quotas.unwrap_or(it.quotas);
        for (place, message) in it.quotas.problems() {
            wrong(&format!("/quotas{place}"), message);
        }
        it.retention = self.retention.unwrap_or(it.retention);
        for (name, days) in it.retention.named() {
            if days.is_some_and(|days| !DAYS.contains(&days)) {
                wrong(
                    &format!("/retention/{name}"),
                    format!("must be from {} to {}", DAYS.start(), DAYS.end()),
                );
            }
        }
        let kept = it.retention.over(&api.flow.settings.retention);
        for (name, days) in
            [("quarantine_days", kept.quarantine_days), ("redelivery_days", kept.redelivery_days)]
        {
            if days < kept.webhooks_days {
                let message = format!("must not be less than webhooks_days, which is {}", kept.webhooks_days);
                wrong(&format!("/retention/{name}"), message);
            }
        }
        it.idle_end_minutes = self.idle_end_minutes.unwrap_or(it.idle_end_minutes);
        if it.idle_end_minutes > IDLE_END_MINUTES_MAX {
            wrong("/idle_end_minutes", format!("must be at most {IDLE_END_MINUTES_MAX}; 0 for never"));
        }
        it.large_files_as_link = self.large_files_as_link.unwrap_or(it.large_files_as_link);
        it.assistant_tokens_per_day_max =
            self.assistant_tokens_per_day_max.unwrap_or(it.assistant_tokens_per_day_max);
        it.assistant_cost_micros_per_day_max =
            self.assistant_cost_micros_per_day_max.unwrap_or(it.assistant_cost_micros_per_day_max);
        for (name, cap) in [
            ("tokens", it.assistant_tokens_per_day_max),
            ("cost_micros", it.assistant_cost_micros_per_day_max),
        ] {
            if cap.is_some_and(|cap| cap < 0) {
                wrong(&format!("/assistant_{name}_per_day_max"), "must not be negative".to_owned());
            }
        }
        it.currency = self.currency.map_or(it.currency, |code| code.trim().to_ascii_uppercase());
        if it.currency.len() != 3 || !it.currency.bytes().all(|c| c.is_ascii_uppercase()) {
            wrong("/currency", "must be three letters like EUR".to_owned());
        }
        it
    }
}

/// Consent to a removal.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Confirm {
    /// The organisation's name, as a proof that it is the one that is meant.
    confirm: Option<String>,
}

/// Deletes the organisation with everything it has, for good. Channels take nothing from now on; the rest is removed by
/// and by (`tenant.erase` in `/jobs`), and credentials hold for looking until the end.
#[utoipa::path(delete, path = "/api/v1/tenant", tag = "tenant", params(Confirm), responses((status = 202, body = TenantView)))]
async fn remove(
    State(api): State<Api>,
    Owner(who): Owner,
    seen: IfMatch,
    Query(consent): Query<Confirm>,
) -> Result<(StatusCode, Json<TenantView>), Problem> {
    let (id, inside) = (who.tenant, api.clone());
    let after = api.write(move |tx| {
        let (api, who, seen, consent) = (inside.clone(), who.clone(), seen.clone(), consent.confirm.clone());
        Box::pin(async move {
            let before = tenants::details(tx, id).await?.ok_or_else(not_found)?;
            seen.check(before.version)?;
            if consent.as_deref() != Some(before.name.as_str()) {
                let detail = "deleting everything needs `?confirm=` with the organisation's name";
                return Err(Problem::refused("confirmation_required", detail).into());
            }
            let now_ms = api.flow.clock.now_ms();
            tenants::condemn(tx, id, now_ms).await?;
            let what = Change::removed(&show(id, &before));
            audit::append(tx, id, &who.did(&api.flow.clock, "tenant.delete", id, what)).await?;
            let after = tenants::details(tx, id).await?.ok_or_else(not_found)?;
            Ok::<_, Refused>(after)
        })
    });
    let after = after.await?;
    api.changed(id, None);
    Ok((StatusCode::ACCEPTED, Json(show(id, &after))))
}

/// Everything the organisation has, one JSON object a line with its `type`: configuration, contacts, conversations,
/// messages, events, the audit log. No secrets. The last line is `{"type":"end"}`; without it the file is not whole.
#[utoipa::path(get, path = "/api/v1/tenant/export", tag = "tenant",
    responses((status = 200, content_type = "application/jsonl", body = String)))]
async fn export_all(State(api): State<Api>, Owner(who): Owner) -> Result<Response, Problem> {
    note_export(&api, &who).await?;
    let tenant = who.tenant;
    let found = tenants::details(&mut api.read().await?, tenant).await?.ok_or_else(not_found)?;
    let mut head = json!(show(tenant, &found));
    head["type"] = "tenant".into();
    let start = Exporting { api, tenant, kind: 0, after: Vec::new(), lines: 1 };
    let pages = stream::try_unfold(Some(start), |state| async move {
        match state {
            Some(state) => state.next().await.map(Some),
            None => Ok(None),
        }
    });
    let first = stream::once(async move { Ok::<_, StoreError>(format!("{head}\n")) });
    let body = Body::from_stream(futures_util::StreamExt::chain(first, pages));
    let mut response = body.into_response();
    let kind = HeaderValue::from_static("application/jsonl");
    let name = HeaderValue::from_static("attachment; filename=\"pointsman-export.jsonl\"");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

async fn note_export(api: &Api, who: &Principal) -> Result<(), Problem> {
    let tenant = who.tenant;
    let entry = who.did(&api.flow.clock, "tenant.export", tenant, Change::act(json!({})));
    let noted = api.write(move |tx| {
        let entry = entry.clone();
        Box::pin(async move { Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?) })
    });
    noted.await
}

/// An export under way.
struct Exporting {
    api: Api,
    tenant: TenantId,
    /// Index of the kind of line.
    kind: usize,
    /// Key of the last line of this kind.
    after: Vec<String>,
    lines: u64,
}

impl Exporting {
    /// The next lines, and how it goes on.
    async fn next(mut self) -> Result<(String, Option<Self>), StoreError> {
        let Some(kind) = export::KINDS.get(self.kind) else {
            return Ok((format!("{}\n", json!({"type": "end", "lines": self.lines + 1})), None));
        };
        let mut tx = self.api.flow.db.read().await?;
        let found = export::page(&mut tx, self.tenant, kind, &self.after, EXPORT_ROWS).await?;
        drop(tx);
        self.lines += found.len() as u64;
        let text: String = found.iter().map(|(_, line): &(_, Value)| format!("{line}\n")).collect();
        if found.len() < EXPORT_ROWS as usize {
            (self.kind, self.after) = (self.kind + 1, Vec::new());
        } else if let Some((key, _)) = found.into_iter().next_back() {
            self.after = key;
        }
        Ok((text, Some(self)))
    }
}

fn not_found() -> Problem {
    Problem::not_found("tenant")
}

#[cfg(test)]
mod tests;
