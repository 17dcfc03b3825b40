//! Contacts that are the same person: who may be, making them one, and taking them
//! apart again.

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::ids::{ContactId, MergeId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::view::Contact;
use super::{alive, shown, teller};
use crate::clock::rfc3339;
use crate::http::auth::Admin;
use crate::http::orders::{not_found, sight};
use crate::http::paging::{List, Page, Query};
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused, body};
use crate::store::audit::{self, Change};
use crate::store::contact_views::{self, Pair};
use crate::store::lanes::Task;
use crate::store::merges::{self, Merge};

/// Merges of one contact that are listed.
const MERGES_MAX: u32 = 100;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(duplicates))
        .routes(routes!(merge))
        .routes(routes!(list))
        .routes(routes!(undo))
}

/// Two contacts that may be the same person.
#[derive(Debug, Serialize, ToSchema)]
struct MaybeSame {
    /// The ids of both; the one known longer comes first.
    #[schema(value_type = Vec<String>)]
    contacts: [ContactId; 2],
    /// What they have in common: `phone` (in any writing), `scoped_id` (a vendor's stable id) or `email`.
    evidence: String,
}

/// A place in the list of pairs.
struct Place(ContactId, ContactId);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

impl FromStr for Place {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (one, two) = text.split_once('/').ok_or(())?;
        Ok(Self(one.parse().map_err(|_| ())?, two.parse().map_err(|_| ())?))
    }
}

/// Pairs of contacts that may be the same person.
#[utoipa::path(get, path = "/api/v1/contacts/duplicates", tag = "contacts", params(Page),
    responses((status = 200, body = List<MaybeSame>)))]
async fn duplicates(
    State(api): State<Api>,
    Admin(who): Admin,
    Query(page): Query<Page>,
) -> Result<Json<List<MaybeSame>>, Problem> {
    let (rows, after) = (page.rows()?, page.after::<Place>()?.map(|Place(one, two)| (one, two)));
    let found = contact_views::duplicates(&mut api.read().await?, who.tenant, after, rows as u32).await?;
    let show = |it: Pair| MaybeSame { contacts: [it.one, it.two], evidence: it.evidence };
    Ok(Json(List::page(found, rows, |it| Place(it.one, it.two), show)))
}

/// With whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct With {
    /// The contact that becomes a part of this one.
    #[schema(value_type = String)]
    with: ContactId,
}

/// A merge.
#[derive(Debug, Serialize, ToSchema)]
struct MergeView {
    /// `mrg_…`.
    #[schema(value_type = String)]
    id: MergeId,
    /// Who stayed.
    #[schema(value_type = String)]
    into: ContactId,
    /// Who became a part of them.
    #[schema(value_type = String)]
    from: ContactId,
    /// Id of the user or key who did it.
    by: String,
    /// When.
    at: String,
    /// When it was undone.
    undone_at: Option<String>,
}

impl From<Merge> for MergeView {
    fn from(it: Merge) -> Self {
        let (at, undone_at) = (rfc3339(it.at_ms), it.undone_ms.map(rfc3339));
        Self { id: it.id, into: it.into, from: it.from, by: it.actor, at, undone_at }
    }
}

/// The contact that stayed, and the merge.
#[derive(Debug, Serialize, ToSchema)]
struct Merged {
    /// What undoes it: `POST /contacts/merges/{id}/undo`.
    merge: MergeView,
    /// The contact that stayed.
    contact: Contact,
}

/// Makes another contact a part of this one: its addresses and conversations move here, gaps are filled from it, and
/// where one of the two was blocked or had opted out, both are.
#[utoipa::path(post, path = "/api/v1/contacts/{id}/merge", tag = "contacts", params(("id" = String, Path)),
    request_body = With, responses((status = 201, body = Merged)))]
async fn merge(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<ContactId>,
    body::Json(With { with }): body::Json<With>,
) -> Result<(StatusCode, Json<Merged>), Problem> {
    if with == id {
        return Err(Problem::field("/with", "must be another contact"));
    }
    let clock = &api.flow.clock;
    let merge = MergeId::new(clock.now_ms(), clock.random());
    let (caller, teller) = (who.clone(), teller(&api, &who));
    let made = api.write(move |tx| {
        let (who, teller) = (caller.clone(), teller.clone());
        Box::pin(async move {
            let into = alive(tx, &who, id).await?;
            let from = alive(tx, &who, with).await?;
            teller.merge(tx, (&into, &from), (merge, who.id())).await?;
            let detail = json!({"with": with.to_string(), "merge": merge.to_string()});
            audit::append(tx, who.tenant, &who.did(&teller.clock, "contact.merge", id, Change::act(detail)))
                .await?;
            Ok::<_, Refused>(merges::get(tx, who.tenant, merge).await?)
        })
    });
    let made = made.await?.ok_or_else(|| not_found("merge"))?;
    api.flow.bus.ring(Task::Turn);
    let contact = shown(&api, &who, id).await?.body;
    Ok((StatusCode::CREATED, Json(Merged { merge: made.into(), contact })))
}

/// The merges in which a contact took part, the newest first.
#[utoipa::path(get, path = "/api/v1/contacts/{id}/merges", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = List<MergeView>)))]
async fn list(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<ContactId>,
) -> Result<Json<List<MergeView>>, Problem> {
    let tx = &mut api.read().await?;
    contact_views::get(tx, who.tenant, sight(&who), id).await?.ok_or_else(|| not_found("contact"))?;
    let found = merges::of_contact(tx, who.tenant, id, MERGES_MAX).await?;
    Ok(Json(List::whole(found.into_iter().map(MergeView::from).collect())))
}

/// Takes two contacts apart again. What either wrote meanwhile stays with the address it came from.
#[utoipa::path(post, path = "/api/v1/contacts/merges/{id}/undo", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = Merged)))]
async fn undo(
    State(api): State<Api>,
    Admin(who): Admin,
    Id(id): Id<MergeId>,
) -> Result<Json<Merged>, Problem> {
    let (caller, teller) = (who.clone(), teller(&api, &who));
    let undone = api.write(move |tx| {
        let (who, teller) = (caller.clone(), teller.clone());
        Box::pin(async move {
            let found = merges::get(tx, who.tenant, id).await?;
            let merge = found.ok_or_else(|| not_found("merge"))?;
            if merge.undone_ms.is_some() {
                return Err(Refused::from(Problem::conflict("undone", "this merge was undone already")));
            }
            let into = teller.contact(tx, merge.into).await?.ok_or_else(|| not_found("contact"))?;
            let from = teller.contact(tx, merge.from).await?.ok_or_else(|| not_found("contact"))?;
            if into.merged_into.is_some() || from.merged_into != Some(into.id) {
                let detail =
                    "the contact that stayed was merged into another one since; undo that merge first";
                return Err(Problem::conflict("merged_again", detail).into());
            }
            teller.undo(tx, &merge, (&into, &from)).await?;
            let entry = who.did(
                &teller.clock,
                "contact.unmerge",
                into.id,
                Change::act(json!({"merge": id.to_string()})),
            );
            audit::append(tx, who.tenant, &entry).await?;
            Ok(merges::get(tx, who.tenant, id).await?)
        })
    });
    let undone = undone.await?.ok_or_else(|| not_found("merge"))?;
    api.flow.bus.ring(Task::Turn);
    let contact = shown(&api, &who, undone.into).await?.body;
    Ok(Json(Merged { merge: undone.into(), contact }))
}
