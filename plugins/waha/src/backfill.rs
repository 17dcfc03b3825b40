//! The past: messages that WAHA has and no webhook told, chat by chat. One batch
//! is a page of one chat; the chat that was written in last comes first, so the
//! walk ends at the first that is older than what is wanted.

use pointsman_plugin::backfill::{Batch, Range};
use pointsman_plugin::http::CallBuilder;
use pointsman_plugin::webhook::{Event, EventBody};
use pointsman_plugin::{Context, Failure, Http};
use serde_json::{Value, json};

use crate::api::{Api, segment};
use crate::inbound;
use crate::webhook::Envelope;

/// Messages of one batch.
const PAGE: usize = 100;

/// How far the walk is: so many chats are done, and so many messages of the next one.
struct Place {
    chats: usize,
    messages: usize,
}

impl Place {
    fn read(cursor: Option<&str>) -> Result<Self, Failure> {
        let Some(cursor) = cursor else { return Ok(Self { chats: 0, messages: 0 }) };
        let place = cursor.split_once('.').and_then(|(chats, messages)| {
            Some(Self { chats: chats.parse().ok()?, messages: messages.parse().ok()? })
        });
        place.ok_or_else(|| Failure::bad_response("the cursor is none of WAHA's; begin anew"))
    }

    fn cursor(&self) -> Option<String> {
        Some(format!("{}.{}", self.chats, self.messages))
    }
}

pub(crate) async fn poll(context: &Context, range: &Range, http: &Http) -> Result<Batch, Failure> {
    let api = Api::new(context, http)?;
    let place = Place::read(range.cursor.as_deref())?;
    let over = Batch { events: vec![], cursor: None, more: false, extras: vec![] };
    let overview = at(&api, "chats/overview").query("limit", "1").query("offset", place.chats.to_string());
    let chats: Vec<Value> = api.read(overview).await?;
    let Some(chat) = chats.first() else { return Ok(over) };
    let last = inbound::millis(&chat["lastMessage"]["timestamp"]);
    if last.is_some_and(|last| last < range.since) {
        return Ok(over);
    }
    let next = Place { chats: place.chats + 1, messages: 0 };
    let Some(id) = chat["id"].as_str() else {
        return Ok(Batch { cursor: next.cursor(), more: true, ..over });
    };
    let call = at(&api, &format!("chats/{}/messages", segment(id)))
        .query("limit", PAGE.to_string())
        .query("offset", place.messages.to_string())
        .query("sortOrder", "asc")
        .query("downloadMedia", "false")
        .query("filter.timestamp.gte", (range.since / 1_000).to_string());
    let page: Vec<Value> = api.read(call).await?;
    let next = if page.len() < PAGE { next } else { Place { messages: place.messages + PAGE, ..place } };
    Ok(Batch { events: events(&api, &page), cursor: next.cursor(), more: true, extras: vec![] })
}

fn at(api: &Api<'_>, path: &str) -> CallBuilder {
    api.at("GET", &format!("{}/{path}", api.settings.session())).idempotent()
}

/// As the webhooks of these messages would have told them; what we sent ourselves is known.
fn events(api: &Api<'_>, page: &[Value]) -> Vec<Event> {
    let event = |message: &Value| {
        let body = json!({ "payload": message });
        inbound::message(&Envelope::of_past(api.context, api.settings.clone(), &body))
    };
    page.iter().map(event).filter(|event| matches!(event.body, EventBody::Message(_))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let place = Place::read(Some("3.200")).unwrap();
        assert_eq!((place.chats, place.messages, place.cursor().as_deref()), (3, 200, Some("3.200")));
        assert_eq!(Place::read(None).unwrap().cursor().as_deref(), Some("0.0"));
        for odd in ["", "3", "a.b", "1.2.3"] {
            assert!(Place::read(Some(odd)).is_err(), "{odd}");
        }
    }
}
