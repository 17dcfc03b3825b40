//! What a visitor and we wrote: reading it back, and writing more.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use pointsman_rules::facts::{Direction, SenderKind};
use pointsman_rules::ids::MessageId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::visitor::{Known, VISITOR_HEADER, address, channel, known, query, take};
use super::{LOOKS_PER_VISITOR, MESSAGES_PER_ADDRESS, MESSAGES_PER_VISITOR};
use crate::clock::rfc3339;
use crate::http::Api;
use crate::http::body::{self, BODY_BYTES_MAX};
use crate::http::hooks;
use crate::http::problem::Problem;
use crate::plugins::WebhookRequest;
use crate::store::message_views::{self, MessageView, Page};

/// Longest text, characters; the page counts the same.
const TEXT_CHARS_MAX: usize = 4_096;
/// Longest id that a page gives a message, bytes.
const ID_BYTES_MAX: usize = 64;
/// Longest id or title of a pressed button, characters.
const CHOICE_CHARS_MAX: usize = 256;
/// Longest name that a visitor gives itself, characters.
const NAME_CHARS_MAX: usize = 80;
/// Messages of one look at the history.
const HISTORY_ROWS: u32 = 100;

/// A message as its visitor sees it. Nothing internal: no rule names, no failures, no vendor ids.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Shown {
    id: MessageId,
    /// The page's own id of a message that it sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// Its place in the thread: smaller numbers first, compared one after the other.
    order: [i64; 2],
    direction: &'static str,
    from: From,
    /// What to show; a caption or a title when it is not a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Buttons under the text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<Value>,
    /// What it is when there is no text: `media`, `location`, …
    kind: String,
    at: String,
}

/// Who wrote.
#[derive(Debug, Clone, Serialize)]
struct From {
    /// `visitor`, `agent` or `automatic`.
    kind: &'static str,
    /// A person's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// A message for its visitor.
pub(super) fn show(it: MessageView, visitor: &str) -> Shown {
    let message = it.message;
    let from = match (message.direction, message.sender) {
        (Direction::Inbound, _) => From { kind: "visitor", name: None },
        (_, SenderKind::Agent) => From { kind: "agent", name: it.sender_name },
        _ => From { kind: "automatic", name: None },
    };
    let content = &it.content;
    let word = |name: &str| content.get(name).and_then(Value::as_str).map(str::to_owned);
    let choices = content.get("items").and_then(Value::as_array).filter(|_| content["kind"] == "choices");
    let pick =
        |item: &Value| Some(json!({"id": item.get("id")?.as_str()?, "title": item.get("title")?.as_str()?}));
    Shown {
        id: message.id,
        client_id: message
            .vendor_id
            .filter(|_| message.direction == Direction::Inbound)
            .map(|id| own_id(&id, visitor)),
        order: [message.created_ms, message.seq],
        direction: message.direction.word(),
        from,
        text: word("text").or_else(|| word("title")),
        choices: choices.into_iter().flatten().filter_map(pick).collect(),
        kind: word("kind").unwrap_or_default(),
        at: rfc3339(message.at_ms),
    }
}

/// The page's id of a message: ids are kept with the visitor in front, since two visitors may pick the same one.
fn own_id(kept: &str, visitor: &str) -> String {
    kept.strip_prefix(visitor).and_then(|rest| rest.strip_prefix(':')).unwrap_or(kept).to_owned()
}

/// The latest messages, or those `before` or `after` one; oldest first.
pub(super) async fn history(
    State(api): State<Api>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let (parts, _) = request.into_parts();
    let channel = channel(&api, &key).await?;
    let visitor = known(&channel, &parts)?;
    take(&api, "chat-look", &visitor.id, LOOKS_PER_VISITOR)?;
    let id = |name: &str| -> Result<Option<MessageId>, Problem> {
        let bad = |_| Problem::malformed("bad_query", format!("`{name}` must be the id of a message"));
        query(&parts, name).map(|text| text.parse().map_err(bad)).transpose()
    };
    let page = match (id("after")?, id("before")?) {
        (Some(after), _) => Page::After(after),
        (None, Some(before)) => Page::Before(before),
        (None, None) => Page::Latest,
    };
    let rows =
        message_views::of_visitor(&mut api.read().await?, &visitor.in_store, page, HISTORY_ROWS).await?;
    let more = rows.len() == HISTORY_ROWS as usize;
    let items: Vec<Shown> = rows.into_iter().map(|it| show(it, &visitor.id)).collect();
    Ok(Json(json!({"items": items, "more": more})))
}

/// What a page sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The page's own id: the same one again is the same message.
    id: String,
    text: Option<String>,
    choice: Option<Choice>,
    name: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    id: String,
    title: String,
}

/// Takes a message; 202 means that it lies on disk.
pub(super) async fn write(
    State(api): State<Api>,
    Path(key): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (parts, body) = request.into_parts();
    let channel = channel(&api, &key).await?;
    let visitor = known(&channel, &parts)?;
    let from = address(&parts);
    take(&api, "chat-message", &visitor.id, MESSAGES_PER_VISITOR)?;
    take(&api, "chat-messages", &from, MESSAGES_PER_ADDRESS)?;
    let bytes = body::bytes(Request::from_parts(parts, body), BODY_BYTES_MAX).await?;
    let written: Written = body::parse(&bytes)?;
    check(&written)?;
    let id = written.id.clone();
    let hook = hook(&api, &key, &visitor, written, from);
    let reply = api.flow.accept(&key, hook).await.map_err(|error| hooks::refusal(error).1)?;
    if !(200..300).contains(&reply.status) {
        tracing::error!(status = reply.status, "the webchat plugin refused a message that was checked");
        return Err(Problem::broken());
    }
    Ok((StatusCode::ACCEPTED, Json(json!({"id": id}))))
}

fn check(written: &Written) -> Result<(), Problem> {
    let is_id = (1..=ID_BYTES_MAX).contains(&written.id.len())
        && written.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !is_id {
        let message = format!("must be 1 to {ID_BYTES_MAX} letters, digits, `-` and `_`");
        return Err(Problem::field("/id", message));
    }
    let fits = |text: &str, max: usize| !text.trim().is_empty() && text.chars().count() <= max;
    match (&written.text, &written.choice) {
        (Some(text), None) if fits(text, TEXT_CHARS_MAX) => {}
        (Some(_), None) => {
            return Err(Problem::field("/text", format!("must have 1 to {TEXT_CHARS_MAX} characters")));
        }
        (None, Some(choice))
            if fits(&choice.id, CHOICE_CHARS_MAX) && fits(&choice.title, CHOICE_CHARS_MAX) => {}
        (None, Some(_)) => {
            return Err(Problem::field(
                "/choice",
                format!("id and title must have 1 to {CHOICE_CHARS_MAX} characters"),
            ));
        }
        _ => return Err(Problem::field("", "give exactly one of `text` and `choice`")),
    }
    match &written.name {
        Some(name) if !fits(name, NAME_CHARS_MAX) => {
            Err(Problem::field("/name", format!("must have 1 to {NAME_CHARS_MAX} characters")))
        }
        _ => Ok(()),
    }
}

/// What the page wrote, as a webhook of a vendor would look.
fn hook(api: &Api, key: &str, visitor: &Known, written: Written, from: String) -> WebhookRequest {
    let mut body = json!({"visitor": visitor.id, "id": written.id, "sent_at_ms": api.flow.clock.now_ms()});
    if let Some(text) = written.text {
        body["text"] = text.into();
    }
    if let Some(choice) = written.choice {
        body["choice"] = json!({"id": choice.id, "title": choice.title});
    }
    if let Some(name) = written.name {
        body["name"] = name.into();
    }
    WebhookRequest {
        method: "POST".into(),
        url: format!("{}/hooks/{key}", api.flow.settings.public_url),
        query: Vec::new(),
        headers: vec![
            ("content-type".into(), "application/json".into()),
            (VISITOR_HEADER.into(), visitor.token.clone()),
        ],
        body: body.to_string().into_bytes(),
        remote_address: Some(from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: Value) -> Result<(), String> {
        let written: Written = serde_json::from_value(json).unwrap();
        check(&written).map_err(|problem| problem.errors[0].pointer.clone())
    }

    #[test]
    fn what_a_page_sends_is_checked() {
        assert_eq!(written(json!({"id": "m-1", "text": "ñ".repeat(TEXT_CHARS_MAX)})), Ok(()));
        assert_eq!(written(json!({"id": "m-1", "choice": {"id": "yes", "title": "Yes"}})), Ok(()));
        let bad = [
            (json!({"id": "", "text": "a"}), "/id"),
            (json!({"id": "a:b", "text": "a"}), "/id"),
            (json!({"id": "a", "text": "x".repeat(TEXT_CHARS_MAX + 1)}), "/text"),
            (json!({"id": "a", "text": " \n"}), "/text"),
            (json!({"id": "a"}), ""),
            (json!({"id": "a", "text": "a", "choice": {"id": "y", "title": "Y"}}), ""),
            (json!({"id": "a", "choice": {"id": "", "title": "Y"}}), "/choice"),
            (json!({"id": "a", "text": "a", "name": ""}), "/name"),
        ];
        for (json, pointer) in bad {
            assert_eq!(written(json.clone()), Err(pointer.to_owned()), "{json}");
        }
    }

    #[test]
    fn the_pages_own_id_comes_back() {
        assert_eq!(own_id("v_a:m1", "v_a"), "m1");
        assert_eq!(own_id("v_b:m1", "v_a"), "v_b:m1");
    }
}
