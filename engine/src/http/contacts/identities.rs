//! `/contacts/{id}/identities`: where a contact can be reached.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use pointsman_rules::ids::{ContactId, IdentityId};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::view::Contact;
use super::{alive, shown};
use crate::flow::phone;
use crate::http::auth::{Principal, Who};
use crate::http::etag::Tagged;
use crate::http::messages::party;
use crate::http::orders::{not_found, sight};
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused, body};
use crate::store::audit::{self, Change};
use crate::store::channels;
use crate::store::contact_changes::{self, NewIdentity, Removed};

/// Channels that are looked through for one of the wanted kind at most.
const CHANNELS_MAX: i64 = 1_000;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(add)).routes(routes!(remove))
}

/// A new address of a contact.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Address {
    /// `whatsapp`, `sms`, … There must be a channel of this kind.
    #[schema(example = "whatsapp")]
    channel_kind: String,
    /// A number like `+34600000000`, or an address as the vendor writes it.
    address: String,
}

/// Adds an address. When another contact has it, merge the two instead; the problem's `contact` names it.
#[utoipa::path(post, path = "/api/v1/contacts/{id}/identities", tag = "contacts", params(("id" = String, Path)),
    request_body = Address, responses((status = 201, body = Contact)))]
async fn add(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ContactId>,
    body::Json(new): body::Json<Address>,
) -> Result<Tagged<Contact>, Problem> {
    let channels =
        channels::list(&mut api.read().await?, who.tenant, sight(&who), None, CHANNELS_MAX).await?;
    let channel = channels.into_iter().find(|channel| channel.kind == new.channel_kind);
    let channel = channel.ok_or_else(|| {
        Problem::field(
            "/channel_kind",
            "there is no channel of this kind; connect one, or use the kind of one",
        )
    })?;
    let view = api.flow.catalog.view(&api.flow, who.tenant).await?;
    let country = view.settings.country.as_deref();
    let party =
        party(&new.address, &channel.address, None, country).map_err(|problem| moved(problem, "/address"))?;
    let clock = api.flow.clock.clone();
    let identity = NewIdentity {
        id: IdentityId::new(clock.now_ms(), clock.random()),
        channel_kind: new.channel_kind,
        phone_key: party.phone.as_deref().and_then(phone::key),
        address: party.address,
        phone: party.phone,
        evidence: match who.who {
            Who::User { .. } => "agent",
            Who::Key { .. } => "api",
        },
    };
    let (caller, kind) = (who.clone(), identity.channel_kind.clone());
    api.write(move |tx| {
        let (who, identity, clock) = (caller.clone(), identity.clone(), clock.clone());
        let entry = who.did(&clock, "contact.identity_add", id, Change::act(json!({"channel_kind": kind})));
        Box::pin(async move {
            alive(tx, &who, id).await?;
            match contact_changes::add_identity(tx, who.tenant, id, &identity, clock.now_ms()).await? {
                None => Ok(audit::append(tx, who.tenant, &entry).await?),
                Some(owner) if owner == id => Ok(()),
                Some(owner) => Err(Refused::from(taken(owner))),
            }
        })
    })
    .await?;
    Ok(Tagged { status: StatusCode::CREATED, ..shown(&api, &who, id).await? })
}

fn taken(owner: ContactId) -> Problem {
    let detail =
        "another contact has this address, which `contact` names; merge the two if they are the same person";
    Problem::conflict("identity_taken", detail).with("contact", owner.to_string())
}

/// The same problem about another field.
fn moved(mut problem: Problem, pointer: &str) -> Problem {
    for error in &mut problem.errors {
        pointer.clone_into(&mut error.pointer);
    }
    Problem::invalid(problem.errors)
}

/// Removes an address that no conversation goes by.
#[utoipa::path(delete, path = "/api/v1/contacts/{id}/identities/{identity}", tag = "contacts",
    params(("id" = String, Path), ("identity" = String, Path)), responses((status = 204)))]
async fn remove(
    State(api): State<Api>,
    who: Principal,
    Path((id, identity)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let id: ContactId = id.parse().map_err(|_| not_found("contact"))?;
    let identity: IdentityId = identity.parse().map_err(|_| not_found("identity"))?;
    let clock = api.flow.clock.clone();
    api.write(move |tx| {
        let who = who.clone();
        let entry = who.did(
            &clock,
            "contact.identity_remove",
            id,
            Change::act(json!({"identity": identity.to_string()})),
        );
        Box::pin(async move {
            alive(tx, &who, id).await?;
            match contact_changes::remove_identity(tx, who.tenant, id, identity).await? {
                Removed::Done => Ok(audit::append(tx, who.tenant, &entry).await?),
                Removed::NotFound => Err(Refused::from(not_found("identity"))),
                Removed::InUse => {
                    let detail =
                        "a conversation goes by this address; delete the conversation first, or leave it";
                    Err(Problem::conflict("in_use", detail).into())
                }
            }
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
