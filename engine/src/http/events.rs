//! The log: `/events`, and a conversation's `/timeline` with what the rules made
//! of each event.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use pointsman_rules::event::EventKind;
use pointsman_rules::ids::{ChannelId, ConversationId, EventId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Principal;
use super::conversations::{bad_query, query_id};
use super::orders::{conversation, sight};
use super::paging::{List, Page, Query, decode, rows};
use super::path::Id;
use super::problem::Problem;
use super::{Api, mask};
use crate::clock::rfc3339;
use crate::store::event_views::{self, EventFilter, EventView, Moment, TimelineEntry};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(timeline))
}

/// Something that happened.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Event {
    /// Its place in the log.
    #[schema(value_type = String)]
    pub id: EventId,
    /// When it was recorded.
    pub at: String,
    /// Its conversation; none for channel events.
    #[schema(value_type = Option<String>)]
    pub conversation: Option<ConversationId>,
    /// Where it happened.
    #[schema(value_type = Option<String>)]
    pub channel: Option<ChannelId>,
    /// Who did it and what led to it.
    pub cause: Value,
    /// `type` and what belongs to the type.
    #[serde(flatten)]
    pub body: Value,
}

impl Event {
    /// As clients see it.
    pub fn show(it: EventView) -> Self {
        Self {
            id: it.id,
            at: rfc3339(it.at_ms),
            conversation: it.conversation,
            channel: it.channel,
            cause: it.cause,
            body: it.body,
        }
    }
}

/// Which events are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Items on the page, 1 to 200; 50 when absent.
    limit: Option<i64>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Id of a conversation.
    conversation: Option<String>,
    /// A type like `message.received`, or all that begin so: `message.`.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    kind: Option<String>,
    /// Only what came after this event.
    after: Option<String>,
    /// `asc` (oldest first, the default) or `desc`, which goes without `after`.
    order: Option<String>,
}

/// The log, oldest first unless asked otherwise. Agents see the events of conversations that they may see.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(Wanted),
    responses((status = 200, body = List<Event>)))]
async fn list(
    State(api): State<Api>,
    who: Principal,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Event>>, Problem> {
    let rows = rows(wanted.limit)?;
    let is_newest_first = match wanted.order.as_deref() {
        None | Some("asc") => false,
        Some("desc") if wanted.after.is_none() => true,
        Some("desc") => return Err(bad_query("order", "`desc` goes without `after`; use `cursor`")),
        Some(_) => return Err(bad_query("order", "must be asc or desc")),
    };
    let filter = EventFilter {
        conversation: query_id("conversation", wanted.conversation.as_deref())?,
        kind: wanted.kind.map(known_kind).transpose()?,
        is_newest_first,
    };
    let cursor = wanted.cursor.as_deref().map(decode::<EventId>).transpose()?;
    let after = query_id("after", wanted.after.as_deref())?.max(cursor);
    let tx = &mut api.read().await?;
    let mut found = event_views::list(tx, who.tenant, sight(&who), &filter, after, rows as u32).await?;
    found.iter_mut().for_each(|it| mask::event(mask::hides(&who), it));
    Ok(Json(List::page(found, rows, |it| it.id, Event::show)))
}

fn known_kind(kind: String) -> Result<String, Problem> {
    let is_known = |it: &EventKind| match kind.ends_with('.') {
        true => it.name().starts_with(kind.as_str()),
        false => it.name() == kind,
    };
    if EventKind::ALL.iter().any(is_known) {
        return Ok(kind);
    }
    let nearest =
        EventKind::ALL.iter().map(|it| it.name()).min_by_key(|name| strsim::levenshtein(name, &kind));
    Err(bad_query("type", format!("no event has this type; did you mean `{}`?", nearest.unwrap_or_default())))
}

/// A part of a conversation's history.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum TimelineItem {
    /// Something happened.
    Event {
        /// When.
        at: String,
        /// What.
        #[schema(value_type = Object)]
        event: Box<Event>,
        /// Who did it and what led to it, with the names of rules.
        cause: Value,
    },
    /// The rules looked at an event.
    Run {
        /// When.
        at: String,
        /// Which event.
        #[schema(value_type = String)]
        event: EventId,
        /// What each rule did: `name`, `outcome`, `intents` with their lines, `refusals`.
        rules: Value,
    },
}

/// A conversation's history, oldest first: every event, and after it what the rules made of it.
#[utoipa::path(get, path = "/api/v1/conversations/{id}/timeline", tag = "conversations",
    params(("id" = String, Path), Page), responses((status = 200, body = List<TimelineItem>)))]
async fn timeline(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<ConversationId>,
    Query(page): Query<Page>,
) -> Result<Json<List<TimelineItem>>, Problem> {
    let (rows, after) = (page.rows()?, page.after::<Moment>()?);
    conversation(&api, &who, id).await?;
    let tx = &mut api.read().await?;
    let mut found = event_views::timeline(tx, who.tenant, id, after, rows as u32).await?;
    found.iter_mut().for_each(|it| mask::event(mask::hides(&who), &mut it.event));
    let names: HashMap<String, String> = event_views::rule_names(tx, who.tenant).await?.into_iter().collect();
    let page = List::page(found, rows, |it| it.event.moment(), |it| show(it, &names));
    Ok(Json(List { items: page.items.into_iter().flatten().collect(), next: page.next }))
}

fn show(entry: TimelineEntry, names: &HashMap<String, String>) -> Vec<TimelineItem> {
    let mut event = Event::show(entry.event);
    name_rules(&mut event.cause, names);
    let (at, id, cause) = (event.at.clone(), event.id, event.cause.clone());
    let mut items = vec![TimelineItem::Event { at, event: Box::new(event), cause }];
    if let Some(run) = entry.run {
        items.push(TimelineItem::Run {
            at: rfc3339(run.at_ms),
            event: id,
            rules: serde_json::json!(run.runs),
        });
    }
    items
}

/// Writes what a rule is called next to its id, for the actor and every step of the chain.
fn name_rules(cause: &mut Value, names: &HashMap<String, String>) {
    let name_of = |id: &Value| id.as_str().and_then(|id| names.get(id)).cloned();
    if let Some(actor) = cause.get_mut("actor").and_then(Value::as_object_mut)
        && let Some(name) = actor.get("id").and_then(name_of)
    {
        actor.insert("name".into(), name.into());
    }
    let steps = cause.get_mut("chain").and_then(Value::as_array_mut);
    for step in steps.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(name) = step.get("rule").and_then(name_of) {
            step.insert("name".into(), name.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_type_is_told_the_nearest_one() {
        assert!(known_kind("message.".into()).is_ok() && known_kind("message.received".into()).is_ok());
        let problem = known_kind("message.recieved".into()).unwrap_err();
        assert!(problem.detail.contains("message.received"), "{}", problem.detail);
        assert!(known_kind(".".into()).is_err());
    }

    #[test]
    fn causes_carry_the_names_of_rules() {
        let names = HashMap::from([("rul_1".to_owned(), "Refunds".to_owned())]);
        let mut cause = serde_json::json!({"actor": {"kind": "rule", "id": "rul_1"},
            "chain": [{"event": "evt_1", "rule": "rul_1"}, {"event": "evt_2", "rule": "rul_gone"}]});
        name_rules(&mut cause, &names);
        assert_eq!(cause["actor"]["name"], "Refunds");
        assert_eq!(cause["chain"][0]["name"], "Refunds");
        assert!(cause["chain"][1].get("name").is_none());
    }
}
