//! `/notifications`: what the caller is told. A person sees their own; an API
//! key of an admin sees everybody's.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pointsman_rules::ids::{NotificationId, TenantId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Principal, Role};
use super::orders::order;
use super::paging::{List, Query, decode, rows};
use super::path::Id;
use super::problem::Problem;
use super::{Api, Refused};
use crate::clock::rfc3339;
use crate::flow::command::Command;
use crate::store::notifications::{self, Filter, Notification};
use crate::store::{StoreError, Tx};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(read_all))
        .routes(routes!(read))
        .routes(routes!(take))
}

/// Something a user is told.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotificationView {
    /// `ntf_…`.
    id: String,
    /// Who is told.
    user: String,
    /// `escalation`, `message`, `assignment`, `offer`, `channel`, `rule`, `webhook`, …
    kind: String,
    /// What it is about.
    conversation: Option<String>,
    /// For people.
    text: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// When it was ticked off.
    #[schema(format = DateTime)]
    read_at: Option<String>,
    /// Who took it; escalations only.
    taken_by: Option<String>,
    /// When they did.
    #[schema(format = DateTime)]
    taken_at: Option<String>,
}

impl From<Notification> for NotificationView {
    fn from(it: Notification) -> Self {
        Self {
            id: it.id.to_string(),
            user: it.user.to_string(),
            kind: it.kind,
            conversation: it.conversation.map(|id| id.to_string()),
            text: it.text,
            at: rfc3339(it.at_ms),
            read_at: it.read_ms.map(rfc3339),
            taken_by: it.taken.map(|(user, _)| user.to_string()),
            taken_at: it.taken.map(|(_, at_ms)| rfc3339(at_ms)),
        }
    }
}

/// A page of notifications.
#[derive(Debug, Serialize, ToSchema)]
pub struct Notifications {
    /// The page.
    #[serde(flatten)]
    list: List<NotificationView>,
    /// How many were not read, on all pages.
    unread: i64,
}

/// What a person who follows the stream is told of their notifications.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ring {
    /// How many were not read.
    unread: i64,
    /// The newest of them.
    latest: Option<NotificationView>,
}

/// Rings when a person's unread notifications change.
#[derive(Debug)]
pub(super) struct Bell {
    tenant: TenantId,
    user: UserId,
    /// How many there were and which was the newest when it last rang; never: `None`.
    rung: Option<(i64, Option<NotificationId>)>,
}

impl Bell {
    /// A bell that rings at the first look.
    pub(super) fn new(tenant: TenantId, user: UserId) -> Self {
        Self { tenant, user, rung: None }
    }

    /// What changed since the last look, if anything did.
    pub(super) async fn look(&mut self, tx: &mut Tx) -> Result<Option<Ring>, StoreError> {
        let unread = notifications::count_unread(tx, self.tenant, Some(self.user)).await?;
        let filter = Filter { user: Some(self.user), unread: true, before: None };
        let latest = notifications::list(tx, self.tenant, filter, 1).await?.pop();
        let now = (unread, latest.as_ref().map(|it| it.id));
        if self.rung.replace(now) == Some(now) {
            return Ok(None);
        }
        Ok(Some(Ring { unread, latest: latest.map(Into::into) }))
    }
}

/// Which page is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Only what was not read.
    #[serde(default)]
    unread: bool,
    /// Items on the page, 1 to 200; 50 when absent.
    limit: Option<i64>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Whose notifications the caller may see: their own, or everybody's.
fn whose(who: &Principal) -> Result<Option<UserId>, Problem> {
    match who.user() {
        Some(user) => Ok(Some(user)),
        None => who.require(Role::Admin).map(|()| None),
    }
}

/// What I am told, newest first.
#[utoipa::path(get, path = "/api/v1/notifications", tag = "notifications", params(Wanted), responses((status = 200, body = Notifications)))]
async fn list(
    State(api): State<Api>,
    who: Principal,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Notifications>, Problem> {
    let (user, count) = (whose(&who)?, rows(wanted.limit)?);
    let before = wanted.cursor.as_deref().map(decode).transpose()?;
    let mut tx = api.read().await?;
    let filter = Filter { user, unread: wanted.unread, before };
    let found = notifications::list(&mut tx, who.tenant, filter, count).await?;
    let unread = notifications::count_unread(&mut tx, who.tenant, user).await?;
    Ok(Json(Notifications { list: List::page(found, count, |n| n.id, NotificationView::from), unread }))
}

/// Ticks one off.
#[utoipa::path(post, path = "/api/v1/notifications/{id}/read", tag = "notifications", params(("id" = String, Path)), responses((status = 204)))]
async fn read(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<NotificationId>,
) -> Result<StatusCode, Problem> {
    let (user, tenant, now_ms) = (whose(&who)?, who.tenant, api.flow.clock.now_ms());
    let found = api.write(move |tx| {
        Box::pin(
            async move { Ok::<_, Refused>(notifications::mark_read(tx, tenant, user, id, now_ms).await?) },
        )
    });
    if found.await? { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found("notification")) }
}

/// Takes an escalation: the conversation is assigned to you, and everybody who was told sees that you have it. The
/// first one gets it; others are told who that was.
#[utoipa::path(post, path = "/api/v1/notifications/{id}/take", tag = "notifications", params(("id" = String, Path)), responses((status = 200, body = NotificationView)))]
async fn take(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<NotificationId>,
) -> Result<Json<NotificationView>, Problem> {
    let Some(user) = who.user() else {
        return Err(Problem::conflict("not_a_person", "an API key cannot take over; sign in as a person"));
    };
    let (tenant, now_ms) = (who.tenant, api.flow.clock.now_ms());
    let found = notifications::get(&mut api.read().await?, tenant, user, id).await?;
    let found = found.ok_or_else(|| Problem::not_found("notification"))?;
    let (Some(conversation), Some(event), "escalation") = (found.conversation, found.event, &*found.kind)
    else {
        return Err(Problem::conflict("not_an_escalation", "only an escalation can be taken"));
    };
    // Whoever cannot have the conversation cannot take the escalation; assigning it twice changes nothing.
    if found.taken.is_none() {
        order(&api, &who, conversation, Command::Assign { agent: Some(user) }).await?;
    }
    let taken = api.write(move |tx| {
        Box::pin(async move {
            notifications::take(tx, tenant, event, user, now_ms).await?;
            notifications::mark_read(tx, tenant, Some(user), id, now_ms).await?;
            Ok::<_, Refused>(notifications::get(tx, tenant, user, id).await?)
        })
    });
    let taken = taken.await?.ok_or_else(|| Problem::not_found("notification"))?;
    match taken.taken {
        Some((first, _)) if first != user => {
            let detail = "somebody else has taken this escalation already";
            Err(Problem::conflict("already_taken", detail).with("taken_by", first.to_string()))
        }
        _ => Ok(Json(taken.into())),
    }
}

/// Ticks all off.
#[utoipa::path(post, path = "/api/v1/notifications/read-all", tag = "notifications", responses((status = 204)))]
async fn read_all(State(api): State<Api>, who: Principal) -> Result<StatusCode, Problem> {
    let (user, tenant, now_ms) = (whose(&who)?, who.tenant, api.flow.clock.now_ms());
    api.write(move |tx| {
        Box::pin(
            async move { Ok::<_, Refused>(notifications::mark_all_read(tx, tenant, user, now_ms).await?) },
        )
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use pointsman_rules::ids::NotificationId;
    use serde_json::json;

    use crate::http::auth::Role;
    use crate::http::testing::Stage;
    use crate::store::notices;

    #[tokio::test]
    async fn a_person_sees_and_ticks_off_their_own() {
        let stage = Stage::new().await;
        let (ana, ben) =
            (stage.user("ana@x.test", Role::Agent).await, stage.user("ben@x.test", Role::Agent).await);
        let tenant = stage.tenant;
        stage
            .write(move |tx| {
                Box::pin(async move {
                    for (n, user) in [(1, ana), (2, ben), (3, ana)] {
                        let id = NotificationId::new(n, 0);
                        let of = (user, "channel", "Sales is down");
                        notices::insert_general(tx, tenant, id, of, n).await?;
                    }
                    Ok(())
                })
            })
            .await;
        let (cookie, csrf) = stage.session(ana).await;
        let headers = [("cookie", cookie.as_str()), ("x-csrf-token", csrf.as_str())];
        let list = stage.send("GET", "/api/v1/notifications", &headers, None).await.expect(200);
        assert_eq!((&list["unread"], list["items"].as_array().unwrap().len()), (&json!(2), 2));
        let first = format!("/api/v1/notifications/{}/read", list["items"][0]["id"].as_str().unwrap());
        stage.send("POST", &first, &headers, None).await.expect(204);
        let bens = format!("/api/v1/notifications/{}/read", NotificationId::new(2, 0));
        stage.send("POST", &bens, &headers, None).await.problem(404, "not_found");
        let list = stage.send("GET", "/api/v1/notifications?unread=true", &headers, None).await.expect(200);
        assert_eq!((&list["unread"], list["items"].as_array().unwrap().len()), (&json!(1), 1));
        stage.send("POST", "/api/v1/notifications/read-all", &headers, None).await.expect(204);
        let (admin, agent) = (stage.key(Role::Admin).await, stage.key(Role::Agent).await);
        let all = stage.get("/api/v1/notifications", &admin).await.expect(200);
        assert_eq!((&all["unread"], all["items"].as_array().unwrap().len()), (&json!(1), 3));
        stage.get("/api/v1/notifications", &agent).await.problem(403, "forbidden");
    }
}
