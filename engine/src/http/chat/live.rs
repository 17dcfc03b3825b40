//! The stream of one visitor: our messages once they are delivered, and the
//! receipt of the visitor's own. Resumable: every event carries its id in the
//! log, and a message is told by exactly one event.

use std::collections::HashMap;

use axum::extract::{Path, Request, State};
use axum::response::{Response, sse};
use pointsman_rules::ids::{ConversationId, EventId, MessageId};

use super::LOOKS_PER_VISITOR;
use super::thread::show;
use super::visitor::{Known, channel, known, take};
use crate::bus::News;
use crate::http::Api;
use crate::http::follow::{Source, follow};
use crate::http::problem::Problem;
use crate::store::event_views::{self, EventView};
use crate::store::message_views;

/// Statuses of a message that has left.
const LEFT: [&str; 3] = ["sent", "delivered", "read"];

pub(super) async fn stream(
    State(api): State<Api>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let channel = channel(&api, &key).await?;
    let visitor = known(&channel, &parts)?;
    take(&api, "chat-look", &visitor.id, LOOKS_PER_VISITOR)?;
    follow(api, &parts.headers, Thread { visitor, conversations: Vec::new() }).await
}

/// A visitor's conversations.
struct Thread {
    visitor: Known,
    /// As of the last look.
    conversations: Vec<ConversationId>,
}

impl Source for Thread {
    fn concerns(&self, news: &News) -> bool {
        match news {
            News::Event { tenant, conversation, .. } => {
                // Before the first conversation, and after it was closed, any news may be about a new one.
                let may_be_ours = conversation.is_none_or(|it| self.conversations.contains(&it));
                *tenant == self.visitor.in_store.tenant && (may_be_ours || self.conversations.is_empty())
            }
            News::Elsewhere => true,
            _ => false,
        }
    }

    async fn read(&mut self, api: &Api, after: EventId, rows_max: u32) -> Result<Vec<EventView>, Problem> {
        let tx = &mut api.read().await?;
        self.conversations = message_views::conversations_of(tx, &self.visitor.in_store).await?;
        let tenant = self.visitor.in_store.tenant;
        Ok(event_views::about_messages(tx, tenant, &self.conversations, after, rows_max).await?)
    }

    async fn show(&mut self, api: &Api, events: Vec<EventView>) -> Result<Vec<sse::Event>, Problem> {
        let told: Vec<(EventId, MessageId, Told)> = events.iter().filter_map(tells).collect();
        let ids: Vec<MessageId> = told.iter().map(|(_, message, _)| *message).collect();
        let found = message_views::visible_to(&mut api.read().await?, &self.visitor.in_store, &ids).await?;
        let mut messages: HashMap<MessageId, _> = found.into_iter().map(|it| (it.message.id, it)).collect();
        let mut out = Vec::new();
        for (event, message, what) in told {
            let Some(message) = messages.remove(&message).map(|it| show(it, &self.visitor.id)) else {
                continue;
            };
            let name = match what {
                Told::Received => "received",
                Told::Left => "message",
            };
            let data = serde_json::to_string(&message).unwrap_or_default(); // strings and JSON values only
            out.push(sse::Event::default().id(event.to_string()).event(name).data(data));
        }
        Ok(out)
    }
}

/// What an event means to a visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// We have the visitor's message.
    Received,
    /// Our message has left.
    Left,
}

/// The message that an event tells the visitor of. Ours is told when it leaves, by the one step that takes it there,
/// not when it is queued: what the gate refuses is never shown.
fn tells(event: &EventView) -> Option<(EventId, MessageId, Told)> {
    let word = |name: &str| event.body.get(name).and_then(|value| value.as_str());
    let message = word("message")?.parse().ok()?;
    let what = match event.kind.as_str() {
        "message.received" => Told::Received,
        "message.status_changed" if LEFT.contains(&word("to")?) && !LEFT.contains(&word("from")?) => {
            Told::Left
        }
        _ => return None,
    };
    Some((event.id, message, what))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(body: serde_json::Value) -> EventView {
        let kind = body["type"].as_str().unwrap().to_owned();
        EventView {
            id: EventId::new(1, 1),
            conversation: None,
            channel: None,
            seq: 1,
            kind,
            body,
            cause: json!({}),
            at_ms: 1,
            is_masked: false,
        }
    }

    #[test]
    fn a_message_is_told_by_exactly_one_event() {
        let id = MessageId::new(1, 1);
        let what = |body| tells(&event(body)).map(|(_, _, what)| what);
        assert_eq!(what(json!({"type": "message.received", "message": id})), Some(Told::Received));
        assert_eq!(what(json!({"type": "message.sent", "message": id})), None, "only queued");
        let moved =
            |from, to| what(json!({"type": "message.status_changed", "message": id, "from": from, "to": to}));
        assert_eq!(moved("queued", "sending"), None);
        assert_eq!(moved("sending", "sent"), Some(Told::Left));
        assert_eq!(moved("sending", "delivered"), Some(Told::Left), "a receipt overtook us");
        assert_eq!(moved("sent", "delivered"), None);
        assert_eq!(moved("sending", "unknown"), None);
        assert_eq!(what(json!({"type": "message.failed", "message": id, "class": "x", "code": null})), None);
    }
}
