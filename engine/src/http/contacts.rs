//! `/contacts`: people outside. Finding, reading and editing them; their addresses,
//! consent, merging, export and erasing are in the files of this family. Agents see
//! those with whom they may see a conversation, and on masked channels no numbers.

mod card;
mod consent;
mod erase;
mod export;
mod identities;
mod merge;
mod view;

use axum::Json;
use axum::extract::State;
use pointsman_rules::event::Changes;
use pointsman_rules::ids::ContactId;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Admin, Principal, Role};
use super::body;
use super::etag::{IfMatch, Tagged};
use super::orders::{not_found, sight};
use super::paging::{List, Query, decode, rows};
use super::path::Id;
use super::problem::Problem;
use super::{Api, Refused};
use crate::flow::command::ContactNews;
use crate::flow::contact::{Teller, change as changed};
use crate::flow::phone::{self, Phone};
use crate::store::Tx;
use crate::store::audit::{self, Change};
use crate::store::contact_changes::{self, Card};
use crate::store::contact_views::{self, ContactFilter, ContactView};
use crate::store::lanes::Task;
use card::{ContactChange, NewContact};
use view::Contact;

/// Digits that are searched for at least; fewer are found in everybody's number.
const DIGITS_MIN: usize = 4;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, change))
        .merge(identities::router())
        .merge(consent::router())
        .merge(merge::router())
        .merge(export::router())
        .merge(erase::router())
}

/// Which contacts are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Items on the page, 1 to 200; 50 when absent.
    limit: Option<i64>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// A part of a name or handle, a phone number in any writing, or (admins) a part of a number or address.
    q: Option<String>,
    /// Blocked (`true`) or not.
    blocked: Option<bool>,
    /// Opted out of any kind of channel (`true`) or of none.
    opted_out: Option<bool>,
    /// Can be reached on this kind of channel: `whatsapp`, `sms`, …
    channel_kind: Option<String>,
}

impl Wanted {
    fn filter(self, country: Option<&str>) -> ContactFilter {
        let text = self.q.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let digits = text.map(|text| text.chars().filter(char::is_ascii_digit).collect::<String>());
        ContactFilter {
            phone_key: text.and_then(|text| Phone::parse(text, country).ok()).map(|phone| phone.key),
            digits: digits.filter(|digits| digits.len() >= DIGITS_MIN),
            text: text.map(str::to_owned),
            blocked: self.blocked,
            opted_out: self.opted_out,
            channel_kind: self.channel_kind,
        }
    }
}

/// Contacts that you may see, the newest first.
#[utoipa::path(get, path = "/api/v1/contacts", tag = "contacts", params(Wanted),
    responses((status = 200, body = List<Contact>)))]
async fn list(
    State(api): State<Api>,
    who: Principal,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Contact>>, Problem> {
    let rows = rows(wanted.limit)?;
    let before = wanted.cursor.as_deref().map(decode::<ContactId>).transpose()?;
    let view = api.flow.catalog.view(&api.flow, who.tenant).await?;
    let filter = wanted.filter(view.settings.country.as_deref());
    let tx = &mut api.read().await?;
    let found = contact_views::list(tx, who.tenant, sight(&who), &filter, before, rows as u32).await?;
    Ok(Json(List::page(found, rows, |it| it.id, Contact::show)))
}

/// Makes a contact without an address; add those afterwards.
#[utoipa::path(post, path = "/api/v1/contacts", tag = "contacts", request_body = NewContact,
    responses((status = 201, body = Contact)))]
async fn create(
    State(api): State<Api>,
    Admin(who): Admin,
    body::Json(new): body::Json<NewContact>,
) -> Result<Tagged<Contact>, Problem> {
    let clock = &api.flow.clock;
    let view = api.flow.catalog.view(&api.flow, who.tenant).await?;
    let (card, now_ms) = (new.card(view.settings.country.as_deref())?, clock.now_ms());
    let (tenant, id) = (who.tenant, ContactId::new(now_ms, clock.random()));
    let entry = who.did(clock, "contact.create", id, Change::act(json!({})));
    api.write(move |tx| {
        let (card, entry) = (card.clone(), entry.clone());
        Box::pin(async move {
            contact_changes::insert(tx, tenant, id, &card, now_ms).await?;
            Ok::<_, Refused>(audit::append(tx, tenant, &entry).await?)
        })
    })
    .await?;
    let contact = shown(&api, &who, id).await?;
    Ok(Tagged { status: axum::http::StatusCode::CREATED, ..contact })
}

/// One contact. Admins are told who may be the same person.
#[utoipa::path(get, path = "/api/v1/contacts/{id}", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = Contact)))]
async fn get(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ContactId>,
) -> Result<Tagged<Contact>, Problem> {
    shown(&api, &who, id).await
}

/// Changes a contact. What is left out stays; `null` empties it. `If-Match` with the `ETag` that you read keeps you from
/// overwriting others' changes.
#[utoipa::path(patch, path = "/api/v1/contacts/{id}", tag = "contacts", params(("id" = String, Path)),
    request_body = ContactChange, responses((status = 200, body = Contact)))]
async fn change(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ContactId>,
    seen: IfMatch,
    body::Json(change): body::Json<ContactChange>,
) -> Result<Tagged<Contact>, Problem> {
    let (caller, teller) = (who.clone(), teller(&api, &who));
    let view = api.flow.catalog.view(&api.flow, who.tenant).await?;
    let change = change.checked(view.settings.country.as_deref())?;
    api.write(move |tx| {
        let (who, teller, change, seen) = (caller.clone(), teller.clone(), change.clone(), seen.clone());
        Box::pin(async move {
            let before = alive(tx, &who, id).await?;
            seen.check(before.version)?;
            let old = card_of(&before);
            let card = change.applied(old.clone())?;
            let changes = differences(&old, &card);
            if changes.is_empty() {
                return Ok(());
            }
            let fields: Vec<String> = changes.keys().cloned().collect();
            teller.tell(tx, id, None, &ContactNews::Updated { changes }).await?;
            contact_changes::update(tx, who.tenant, (id, before.version), &card).await?;
            let entry = who.did(&teller.clock, "contact.change", id, Change::act(json!({"fields": fields})));
            Ok::<_, Refused>(audit::append(tx, who.tenant, &entry).await?)
        })
    })
    .await?;
    api.flow.bus.ring(Task::Turn);
    shown(&api, &who, id).await
}

fn card_of(it: &ContactView) -> Card {
    Card {
        name: it.name.clone(),
        phone: it.phone.clone(),
        phone_key: it.phone.as_deref().and_then(phone::key),
        language: it.language.clone(),
        attributes: it.attributes.clone(),
    }
}

fn differences(before: &Card, after: &Card) -> Changes {
    let mut changes = Changes::new();
    changed(&mut changes, "name", &before.name, &after.name);
    changed(&mut changes, "phone", &before.phone, &after.phone);
    changed(&mut changes, "language", &before.language, &after.language);
    changed(&mut changes, "attributes", &before.attributes, &after.attributes);
    changes
}

/// Who tells the lanes what this caller did to a contact.
fn teller(api: &Api, who: &Principal) -> Teller {
    Teller { tenant: who.tenant, actor: who.actor(), clock: api.flow.clock.clone() }
}

/// A contact that the caller may see and that can still be changed.
async fn alive(tx: &mut Tx, who: &Principal, id: ContactId) -> Result<ContactView, Refused> {
    let found = contact_views::get(tx, who.tenant, sight(who), id).await?;
    let contact = found.ok_or_else(|| not_found("contact"))?;
    if let Some(into) = contact.merged_into {
        let detail = "this contact became a part of another one, which `into` names; work on that one";
        return Err(Problem::conflict("merged", detail).with("into", into.to_string()).into());
    }
    if contact.erased_ms.is_some() {
        return Err(
            Problem::conflict("erased", "this contact was erased; there is nothing left to change").into()
        );
    }
    Ok(contact)
}

/// The contact as the caller may see it now.
async fn shown(api: &Api, who: &Principal, id: ContactId) -> Result<Tagged<Contact>, Problem> {
    let tx = &mut api.read().await?;
    let found = contact_views::get(tx, who.tenant, sight(who), id).await?;
    let contact = found.ok_or_else(|| not_found("contact"))?;
    let version = contact.version;
    let mut body = Contact::show(contact);
    if who.role >= Role::Admin {
        body.may_be(contact_views::duplicates_of(tx, who.tenant, id).await?);
    }
    Ok(Tagged::ok(version, body))
}

/// A phone number in any writing, with its country code or of the tenant's own country.
fn checked_phone(text: &str, country: Option<&str>, pointer: &str) -> Result<Phone, Problem> {
    Phone::parse(text, country).map_err(|error| Problem::field(pointer, error.to_string()))
}

#[cfg(test)]
mod tests;
