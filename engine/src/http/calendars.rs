//! `/calendars`: working hours and holidays, which groups, targets and rules go by.

mod ical;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::calendar::{Calendar, CalendarError, HOLIDAYS_MAX, Interval};
use pointsman_rules::ids::{CalendarId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Admin, Principal};
use super::body::BODY_BYTES_MAX;
use super::etag::{IfMatch, Tagged};
use super::paging::{List, Page, Query};
use super::path::Id;
use super::problem::Problem;
use super::{Api, Refused, body};
use crate::clock::rfc3339;
use crate::store::calendars::{self, CalendarRow};
use crate::store::{StoreError, Tx, audit, conversations};

const NAME_CHARS_MAX: usize = 100;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, change, remove))
        .routes(routes!(import))
}

/// Working hours.
#[derive(Debug, Serialize, ToSchema)]
pub struct CalendarView {
    /// `cal_…`.
    id: String,
    /// For people and rules.
    name: String,
    /// IANA name.
    timezone: String,
    /// Opening intervals, wall clock of the zone.
    intervals: Vec<Hours>,
    /// Days without any, `YYYY-MM-DD`.
    holidays: Vec<String>,
    /// Is it open now?
    is_open: bool,
    /// When it opens next; now, while it is open.
    #[schema(format = DateTime)]
    next_open: Option<String>,
    /// Also the `ETag`.
    version: i64,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

/// One opening interval.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// `mon` to `sun`: the day it begins on.
    #[schema(example = "mon")]
    day: String,
    /// `HH:MM`.
    #[schema(example = "09:00")]
    from: String,
    /// `HH:MM`; not later than `from` means the next day; `24:00` is midnight.
    #[schema(example = "17:30")]
    to: String,
}

impl From<Interval> for Hours {
    fn from(it: Interval) -> Self {
        Self { day: it.day, from: it.from, to: it.to }
    }
}

impl From<Hours> for Interval {
    fn from(it: Hours) -> Self {
        Self { day: it.day, from: it.from, to: it.to }
    }
}

impl CalendarView {
    fn show(row: CalendarRow, now_ms: i64) -> Self {
        let (is_open, next_open) = (row.calendar.is_open(now_ms), row.calendar.next_open(now_ms));
        Self {
            id: row.id.to_string(),
            name: row.name,
            timezone: row.calendar.timezone,
            intervals: row.calendar.intervals.into_iter().map(Hours::from).collect(),
            holidays: row.calendar.holidays,
            is_open,
            next_open: next_open.map(rfc3339),
            version: row.version,
            created_at: rfc3339(row.created_ms),
        }
    }
}

/// New working hours.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCalendar {
    /// Unique, whatever its case.
    #[schema(example = "Office hours")]
    name: String,
    /// IANA name.
    #[schema(example = "Europe/Madrid")]
    timezone: String,
    /// Opening intervals; several a day are fine.
    intervals: Vec<Hours>,
    /// Days without any, `YYYY-MM-DD`.
    #[serde(default)]
    holidays: Vec<String>,
}

/// What may be changed. What is left out stays.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarChange {
    /// Unique, whatever its case.
    name: Option<String>,
    /// IANA name.
    timezone: Option<String>,
    /// All intervals from now on.
    intervals: Option<Vec<Hours>>,
    /// All holidays from now on.
    holidays: Option<Vec<String>>,
}

/// Calendars, oldest first.
#[utoipa::path(get, path = "/api/v1/calendars", tag = "calendars", params(Page), responses((status = 200, body = List<CalendarView>)))]
async fn list(
    State(api): State<Api>,
    who: Principal,
    Query(page): Query<Page>,
) -> Result<Json<List<CalendarView>>, Problem> {
    let (rows, after) = (page.rows()?, page.after()?);
    let found = calendars::list(&mut api.read().await?, who.tenant, after, rows).await?;
    let now_ms = api.flow.clock.now_ms();
    Ok(Json(List::page(found, rows, |it| it.id, |it| CalendarView::show(it, now_ms))))
}

/// Makes a calendar.
#[utoipa::path(post, path = "/api/v1/calendars", tag = "calendars", request_body = NewCalendar, responses((status = 201, body = CalendarView)))]
async fn create(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(new): body::Json<NewCalendar>,
) -> Result<Tagged<CalendarView>, Problem> {
    let clock = &api.flow.clock;
    let intervals = new.intervals.into_iter().map(Interval::from).collect();
    let row = CalendarRow {
        id: CalendarId::new(clock.now_ms(), clock.random()),
        name: checked_name(&new.name)?,
        calendar: checked(Calendar { timezone: new.timezone, intervals, holidays: new.holidays })?,
        version: 1,
        created_ms: clock.now_ms(),
    };
    let entry = who.did(clock, "calendar.create", row.id, json!({"name": row.name}));
    let (tenant, kept) = (who.tenant, row.clone());
    api.write(move |tx| {
        let (row, entry) = (kept.clone(), entry.clone());
        Box::pin(async move {
            if !calendars::insert(tx, tenant, &row).await? {
                return Err(name_taken().into());
            }
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, None);
    Ok(Tagged::created(1, CalendarView::show(row, clock.now_ms())))
}

/// One calendar.
#[utoipa::path(get, path = "/api/v1/calendars/{id}", tag = "calendars", params(("id" = String, Path)), responses((status = 200, body = CalendarView)))]
async fn get(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<CalendarId>,
) -> Result<Tagged<CalendarView>, Problem> {
    let row = load(&mut api.read().await?, who.tenant, id).await?;
    Ok(Tagged::ok(row.version, CalendarView::show(row, api.flow.clock.now_ms())))
}

/// Changes a calendar. Conversations that go by it are looked at again. `If-Match` with the `ETag` that you read keeps
/// you from overwriting others' changes.
#[utoipa::path(patch, path = "/api/v1/calendars/{id}", tag = "calendars", params(("id" = String, Path)), request_body = CalendarChange, responses((status = 200, body = CalendarView)))]
async fn change(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<CalendarId>,
    seen: IfMatch,
    body::Json(change): body::Json<CalendarChange>,
) -> Result<Tagged<CalendarView>, Problem> {
    let name = change.name.as_deref().map(checked_name).transpose()?;
    edit(&api, &who, id, seen, "calendar.change", move |mut row| {
        let change = change.clone();
        row.name = name.clone().unwrap_or(row.name);
        row.calendar.timezone = change.timezone.unwrap_or(row.calendar.timezone);
        if let Some(intervals) = change.intervals {
            row.calendar.intervals = intervals.into_iter().map(Interval::from).collect();
        }
        row.calendar.holidays = change.holidays.unwrap_or(row.calendar.holidays);
        Ok(row)
    })
    .await
}

/// What an import may leave behind.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Import {
    /// Forget the holidays that were there (`true`), or keep them (`false`, the default).
    #[serde(default)]
    replace: bool,
}

/// Adds the all-day events of an iCalendar file (RFC 5545) as holidays. Events that come back every year are taken for
/// the next ten years; other recurrences are refused.
#[utoipa::path(post, path = "/api/v1/calendars/{id}/holidays", tag = "calendars", params(("id" = String, Path), Import),
    request_body(content = String, content_type = "text/calendar"), responses((status = 200, body = CalendarView)))]
async fn import(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<CalendarId>,
    Query(how): Query<Import>,
    seen: IfMatch,
    request: axum::extract::Request,
) -> Result<Tagged<CalendarView>, Problem> {
    let bytes = body::bytes(request, BODY_BYTES_MAX).await?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Problem::malformed("not_a_calendar", "an iCalendar file is UTF-8 text"))?;
    let days = ical::holidays(text, api.flow.clock.now_ms())
        .map_err(|message| Problem::malformed("not_a_calendar", message))?;
    edit(&api, &who, id, seen, "calendar.import", move |mut row| {
        if how.replace {
            row.calendar.holidays.clear();
        }
        row.calendar.holidays.extend(days.iter().cloned());
        row.calendar.holidays.sort_unstable();
        row.calendar.holidays.dedup();
        Ok(row)
    })
    .await
}

async fn edit(
    api: &Api,
    who: &super::auth::Principal,
    id: CalendarId,
    seen: IfMatch,
    action: &str,
    change: impl Fn(CalendarRow) -> Result<CalendarRow, Problem> + Send + Sync + Clone + 'static,
) -> Result<Tagged<CalendarView>, Problem> {
    let (tenant, now_ms) = (who.tenant, api.flow.clock.now_ms());
    let entry = who.did(&api.flow.clock, action, id, json!({}));
    let row = api.write(move |tx| {
        let (seen, entry, change) = (seen.clone(), entry.clone(), change.clone());
        Box::pin(async move {
            let before = load(tx, tenant, id).await?;
            seen.check(before.version)?;
            let mut row = change(before)?;
            row.calendar = checked(row.calendar)?;
            if !calendars::update(tx, tenant, &row).await? {
                return Err(name_taken().into());
            }
            for group in calendars::groups_of(tx, tenant, id).await? {
                conversations::look_again(tx, tenant, group, now_ms).await?;
            }
            row.version += 1;
            audit::append(tx, tenant, &entry).await?;
            Ok::<_, Refused>(row)
        })
    });
    let row = row.await?;
    api.changed(tenant, None);
    Ok(Tagged::ok(row.version, CalendarView::show(row, now_ms)))
}

/// Removes a calendar that no group goes by. Rules that name it fail visibly from then on.
#[utoipa::path(delete, path = "/api/v1/calendars/{id}", tag = "calendars", params(("id" = String, Path)), responses((status = 204)))]
async fn remove(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<CalendarId>,
    seen: IfMatch,
) -> Result<StatusCode, Problem> {
    let tenant = who.tenant;
    let entry = who.did(&api.flow.clock, "calendar.delete", id, json!({}));
    api.write(move |tx| {
        let (seen, entry) = (seen.clone(), entry.clone());
        Box::pin(async move {
            let row = load(tx, tenant, id).await?;
            seen.check(row.version)?;
            if !calendars::groups_of(tx, tenant, id).await?.is_empty() {
                let detail = "a group goes by this calendar; give it another one first";
                return Err(Problem::conflict("in_use", detail).into());
            }
            calendars::delete(tx, tenant, id).await?;
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    api.changed(tenant, None);
    Ok(StatusCode::NO_CONTENT)
}

/// A read of the store, or 404.
async fn load(tx: &mut Tx, tenant: TenantId, id: CalendarId) -> Result<CalendarRow, Problem> {
    let found: Result<_, StoreError> = calendars::get(tx, tenant, id).await;
    found?.ok_or_else(|| Problem::not_found("calendar"))
}

fn checked(calendar: Calendar) -> Result<Calendar, Problem> {
    match calendar.validate() {
        Ok(()) => Ok(calendar),
        Err(error) => {
            let at = match &error {
                CalendarError::Timezone(_) => "/timezone".to_owned(),
                CalendarError::Day(n, _) => format!("/intervals/{}/day", n - 1),
                CalendarError::Time(n, _) => format!("/intervals/{}", n - 1),
                CalendarError::Holiday(n, _) => format!("/holidays/{}", n - 1),
                CalendarError::TooMany(HOLIDAYS_MAX, _) => "/holidays".to_owned(),
                CalendarError::TooMany(..) => "/intervals".to_owned(),
            };
            Err(Problem::field(at, error.to_string()))
        }
    }
}

fn name_taken() -> Problem {
    Problem::field("/name", "another calendar has this name")
}

fn checked_name(name: &str) -> Result<String, Problem> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(Problem::field("/name", format!("must have 1 to {NAME_CHARS_MAX} characters")));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests;
