//! Whether a contact may be written to: `block`, `unblock`, `opt-out`, `opt-in`.

use axum::Json;
use axum::extract::State;
use pointsman_rules::ids::ContactId;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::view::Contact;
use super::{alive, shown, teller};
use crate::flow::command::ContactNews;
use crate::http::auth::{Principal, Who};
use crate::http::path::Id;
use crate::http::problem::Problem;
use crate::http::{Api, Refused, body};
use crate::store::audit::{self, Change};
use crate::store::contact_changes::{self, OptIn};
use crate::store::contacts::BY_VENDOR;
use crate::store::lanes::Task;

/// Longest reason, characters.
const REASON_CHARS_MAX: usize = 200;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(block))
        .routes(routes!(unblock))
        .routes(routes!(opt_out))
        .routes(routes!(opt_in))
}

/// Blocks a contact: nothing is written to them, and what they write starts nothing.
#[utoipa::path(post, path = "/api/v1/contacts/{id}/block", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = Contact)))]
async fn block(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ContactId>,
) -> Result<Json<Contact>, Problem> {
    set_blocked(&api, who, id, true).await
}

/// Unblocks a contact.
#[utoipa::path(post, path = "/api/v1/contacts/{id}/unblock", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = Contact)))]
async fn unblock(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ContactId>,
) -> Result<Json<Contact>, Problem> {
    set_blocked(&api, who, id, false).await
}

async fn set_blocked(api: &Api, who: Principal, id: ContactId, on: bool) -> Result<Json<Contact>, Problem> {
    let (caller, teller) = (who.clone(), teller(api, &who));
    api.write(move |tx| {
        let (who, teller) = (caller.clone(), teller.clone());
        Box::pin(async move {
            let before = alive(tx, &who, id).await?;
            if before.blocked_ms.is_some() == on {
                return Ok(());
            }
            let changes = [("blocked".to_owned(), [json!(!on), json!(on)])].into();
            teller.tell(tx, id, None, &ContactNews::Updated { changes }).await?;
            let since_ms = on.then(|| teller.clock.now_ms());
            contact_changes::set_blocked(tx, who.tenant, (id, before.version), since_ms).await?;
            let action = if on { "contact.block" } else { "contact.unblock" };
            let entry = who.did(&teller.clock, action, id, Change::act(json!({})));
            Ok::<_, Refused>(audit::append(tx, who.tenant, &entry).await?)
        })
    })
    .await?;
    api.flow.bus.ring(Task::Turn);
    Ok(Json(shown(api, &who, id).await?.body))
}

/// On which kind of channel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Consent {
    /// `whatsapp`, `sms`, …
    channel_kind: String,
    /// How they said so; for the audit log.
    reason: Option<String>,
}

impl Consent {
    fn checked(self) -> Result<Self, Problem> {
        if self.reason.as_ref().is_some_and(|it| it.chars().count() > REASON_CHARS_MAX) {
            return Err(Problem::field("/reason", format!("takes {REASON_CHARS_MAX} characters")));
        }
        Ok(self)
    }
}

/// Notes that a contact wants no messages on a kind of channel. Nothing is sent to them there any more.
#[utoipa::path(post, path = "/api/v1/contacts/{id}/opt-out", tag = "contacts", params(("id" = String, Path)),
    request_body = Consent, responses((status = 200, body = Contact)))]
async fn opt_out(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ContactId>,
    body::Json(wish): body::Json<Consent>,
) -> Result<Json<Contact>, Problem> {
    let wish = wish.checked()?;
    let (caller, teller) = (who.clone(), teller(&api, &who));
    let source = match who.who {
        Who::User { .. } => "agent",
        Who::Key { .. } => "api",
    };
    api.write(move |tx| {
        let (who, teller) = (caller.clone(), teller.clone());
        let (kind, reason) = (wish.channel_kind.clone(), wish.reason.clone());
        Box::pin(async move {
            let before = alive(tx, &who, id).await?;
            let is_known = |kind: &str| before.identities.iter().any(|it| it.channel_kind == kind);
            if !is_known(&kind) {
                let detail = "the contact has no address on this kind of channel; add one first";
                return Err(Refused::from(Problem::field("/channel_kind", detail)));
            }
            if before.opt_outs.iter().any(|it| it.channel_kind == kind) {
                return Ok(());
            }
            let news = ContactNews::OptedOut { channel_kind: kind.clone() };
            teller.tell(tx, id, Some(&kind), &news).await?;
            contact_changes::opt_out(tx, who.tenant, (id, &kind), teller.clock.now_ms(), source).await?;
            let detail = json!({"channel_kind": kind, "reason": reason});
            let entry = who.did(&teller.clock, "contact.opt_out", id, Change::act(detail));
            Ok(audit::append(tx, who.tenant, &entry).await?)
        })
    })
    .await?;
    api.flow.bus.ring(Task::Turn);
    Ok(Json(shown(&api, &who, id).await?.body))
}

/// Notes that a contact wants messages again. Where the vendor has the opt-out, only the contact can lift it, by writing
/// START to the number; that is refused as `opted_out_at_vendor`.
#[utoipa::path(post, path = "/api/v1/contacts/{id}/opt-in", tag = "contacts", params(("id" = String, Path)),
    request_body = Consent, responses((status = 200, body = Contact)))]
async fn opt_in(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ContactId>,
    body::Json(wish): body::Json<Consent>,
) -> Result<Json<Contact>, Problem> {
    let wish = wish.checked()?;
    let (caller, teller) = (who.clone(), teller(&api, &who));
    api.write(move |tx| {
        let (who, teller) = (caller.clone(), teller.clone());
        let (kind, reason) = (wish.channel_kind.clone(), wish.reason.clone());
        Box::pin(async move {
            let before = alive(tx, &who, id).await?;
            match before.opt_outs.iter().find(|it| it.channel_kind == kind) {
                None => return Ok(()),
                Some(out) if out.source == BY_VENDOR => return Err(Refused::from(at_vendor())),
                Some(_) => {}
            }
            let news = ContactNews::OptedIn { channel_kind: kind.clone() };
            teller.tell(tx, id, Some(&kind), &news).await?;
            if contact_changes::opt_in(tx, who.tenant, (id, &kind)).await? != OptIn::Done {
                // The vendor, or somebody else, was faster: read again.
                return Err(crate::store::StoreError::Moved("the contact").into());
            }
            let detail = json!({"channel_kind": kind, "reason": reason});
            let entry = who.did(&teller.clock, "contact.opt_in", id, Change::act(detail));
            Ok(audit::append(tx, who.tenant, &entry).await?)
        })
    })
    .await?;
    api.flow.bus.ring(Task::Turn);
    Ok(Json(shown(&api, &who, id).await?.body))
}

fn at_vendor() -> Problem {
    let detail = "the vendor blocks messages to this contact because they wrote STOP; ask them to write START to your \
                  number, which lifts it here and there";
    Problem::conflict("opted_out_at_vendor", detail)
}
