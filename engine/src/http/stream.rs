//! `/stream`: everything that happens and the caller may see, as server-sent
//! events, resumable by `Last-Event-ID`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::response::sse;
use pointsman_rules::ids::{ConversationId, EventId, TenantId, UserId};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Principal;
use super::conversations::query_id;
use super::events::Event;
use super::follow::{Source, follow};
use super::notifications::Bell;
use super::orders::{conversation, sight};
use super::paging::Query;
use super::problem::Problem;
use super::{Api, mask};
use crate::bus::News;
use crate::store::event_views::{self, EventFilter, EventView};
use crate::store::filter::Sight;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(stream))
}

/// What is to be followed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Id of a conversation; everything when absent.
    conversation: Option<String>,
}

/// Everything that happens and you may see, as server-sent events: `id` is the event's id, `event` its type, `data`
/// the event as in `/events`. A browser or client that comes back with `Last-Event-ID` goes on after that event.
///
/// A person who follows everything is also told of their notifications: `event: notifications`, without an id, at the
/// beginning and whenever something changed; `data` has `unread`, how many there are, and the `latest` of them.
#[utoipa::path(get, path = "/api/v1/stream", tag = "events", params(Wanted),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
async fn stream(
    State(api): State<Api>,
    who: Principal,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let wanted: Option<ConversationId> = query_id("conversation", wanted.conversation.as_deref())?;
    if let Some(id) = wanted {
        conversation(&api, &who, id).await?;
    }
    let filter = EventFilter { conversation: wanted, ..EventFilter::default() };
    let (sight, hides) = (sight(&who), mask::hides(&who));
    let bell = who.user().filter(|_| wanted.is_none()).map(|user| Bell::new(who.tenant, user));
    let log = Log { tenant: who.tenant, sight, user: who.user(), hides, filter, bell };
    follow(api, &headers, log).await
}

/// The log of a tenant as one caller may see it.
struct Log {
    tenant: TenantId,
    sight: Sight,
    user: Option<UserId>,
    /// Are contacts of masked channels hidden from them?
    hides: bool,
    filter: EventFilter,
    /// What rings for the person who follows everything.
    bell: Option<Bell>,
}

impl Source for Log {
    fn person(&self) -> Option<(TenantId, UserId)> {
        self.user.map(|user| (self.tenant, user))
    }

    fn concerns(&self, news: &News) -> bool {
        match news {
            News::Event { tenant, conversation, .. } => {
                // An event that was published without its conversation may be of any.
                let is_other = self
                    .filter
                    .conversation
                    .is_some_and(|wanted| conversation.is_some_and(|it| it != wanted));
                *tenant == self.tenant && !is_other
            }
            News::Elsewhere => true,
            _ => false,
        }
    }

    async fn read(&mut self, api: &Api, after: EventId, rows_max: u32) -> Result<Vec<EventView>, Problem> {
        let tx = &mut api.read().await?;
        Ok(event_views::list(tx, self.tenant, self.sight, &self.filter, Some(after), rows_max).await?)
    }

    async fn show(&mut self, _: &Api, mut events: Vec<EventView>) -> Result<Vec<sse::Event>, Problem> {
        events.iter_mut().for_each(|it| mask::event(self.hides, it));
        Ok(events.into_iter().map(show).collect())
    }

    async fn aside(&mut self, api: &Api) -> Result<Option<sse::Event>, Problem> {
        let Some(bell) = &mut self.bell else { return Ok(None) };
        let ring = bell.look(&mut api.read().await?).await?;
        Ok(ring.map(|ring| {
            let data = serde_json::to_string(&ring).unwrap_or_default(); // strings and numbers only
            sse::Event::default().event("notifications").data(data)
        }))
    }
}

fn show(event: EventView) -> sse::Event {
    let (id, kind) = (event.id.to_string(), event.kind.clone());
    let data = serde_json::to_string(&Event::show(event)).unwrap_or_default(); // strings and JSON values only
    sse::Event::default().id(id).event(kind).data(data)
}
