//! Sends one message. Telegram takes it or not; there is nothing later about it.
//! A group that became a supergroup says so by refusing, and is written to again
//! under its new id.

use pointsman_plugin::http::{self, CallBuilder, Http, Part};
use pointsman_plugin::sender::{Choices, Content, Message, Receipt};
use pointsman_plugin::webhook::{Card, Location, Reaction};
use pointsman_plugin::{Certainty, Context, Extra, Failure, FailureKind};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Api, Outcome, result};
use crate::files;

/// Longest text; Telegram counts characters after its markup, UTF-16 units are never fewer.
pub(crate) const TEXT_UNITS_MAX: usize = 4_096;
/// Buttons under one message.
pub(crate) const BUTTONS_MAX: usize = 100;
/// What a button brings back, bytes.
const DATA_BYTES_MAX: usize = 64;

#[derive(Deserialize)]
struct Sent {
    message_id: i64,
    date: Option<u64>,
    chat: Chat,
}

#[derive(Deserialize)]
struct Chat {
    id: i64,
}

/// An album comes back as a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    One(Sent),
    Several(Vec<Sent>),
}

pub(crate) async fn send(context: &Context, message: &Message, http: &Http) -> Result<Receipt, Failure> {
    let api = Api::new(context, http)?;
    let address = message.to.address.as_str();
    let chat: i64 = address.parse().ok().filter(|_| !address.starts_with('+')).ok_or_else(|| {
        let words = "a Telegram chat is an id, no phone number; answer where the contact wrote";
        Failure::new(FailureKind::RecipientInvalid, words)
    })?;
    match &message.content {
        Content::Typing => {
            return done(&api, "sendChatAction", &json!({ "chat_id": chat, "action": "typing" })).await;
        }
        Content::Reaction(it) => return react(&api, chat, it).await,
        _ => {}
    }
    match api.send(call(&api, message, chat)?).await? {
        Outcome::Taken(response) => receipt(&response, vec![]),
        Outcome::Moved(chat) => match api.send(call(&api, message, chat)?).await? {
            Outcome::Taken(response) => {
                receipt(&response, vec![Extra::new("telegram.moved_to", &json!(chat))])
            }
            Outcome::Moved(_) => {
                Err(Failure::bad_response("Telegram says again and again that the group has moved"))
            }
        },
    }
}

fn receipt(response: &http::Response, extras: Vec<Extra>) -> Result<Receipt, Failure> {
    // Telegram has sent it: an answer that cannot be read must not lead to a second message.
    let answer: Answer = result(response).map_err(|failure| failure.effect(Certainty::Performed))?;
    let sent = match answer {
        Answer::One(sent) => vec![sent],
        Answer::Several(sent) => sent,
    };
    Ok(Receipt {
        accepted_at: sent.first().and_then(|sent| sent.date?.checked_mul(1_000)),
        message_ids: sent.iter().map(|sent| format!("{}:{}", sent.chat.id, sent.message_id)).collect(),
        extras,
    })
}

fn call(api: &Api<'_>, message: &Message, chat: i64) -> Result<CallBuilder, Failure> {
    let (method, mut body) = match &message.content {
        Content::Text(text) => ("sendMessage", json!({ "text": fits(text)? })),
        Content::Choices(choices) => ("sendMessage", self::choices(choices)?),
        Content::Location(place) => location(place),
        Content::Cards(cards) => ("sendContact", card(cards)?),
        Content::Media(files) => {
            let mut common: Vec<Part> = vec![http::field_part("chat_id", chat.to_string())];
            common.extend(
                quoted(message).map(|quoted| http::field_part("reply_parameters", quoted.to_string())),
            );
            return files::call(api, files, common);
        }
        Content::Template(_) => return Err(Failure::unsupported("Telegram has no templates; send text")),
        Content::Read(_) | Content::Typing | Content::Reaction(_) | Content::Other(_) => {
            return Err(Failure::unsupported("Telegram bots cannot mark messages as read"));
        }
    };
    body["chat_id"] = json!(chat);
    if let Some(quoted) = quoted(message) {
        body["reply_parameters"] = quoted;
    }
    Ok(api.method(method).json(&body))
}

/// The message that is quoted; it may be gone by now.
fn quoted(message: &Message) -> Option<Value> {
    let id = number(message.reply_to.as_deref()?)?;
    Some(json!({ "message_id": id, "allow_sending_without_reply": true }))
}

/// `chat:message`: a message's number is its chat's own.
fn number(id: &str) -> Option<i64> {
    id.rsplit_once(':').filter(|(chat, _)| chat.parse::<i64>().is_ok())?.1.parse().ok()
}

fn fits(text: &str) -> Result<&str, Failure> {
    if text.encode_utf16().count() <= TEXT_UNITS_MAX {
        return Ok(text);
    }
    let message = format!("the text is longer than {TEXT_UNITS_MAX} characters; shorten or split it");
    Err(Failure::new(FailureKind::ContentTooLong, message))
}

/// Buttons under the text, one in a row; a list looks the same.
fn choices(choices: &Choices) -> Result<Value, Failure> {
    let count = choices.items.len();
    if count == 0 || count > BUTTONS_MAX {
        return Err(Failure::unsupported(format!("Telegram shows 1 to {BUTTONS_MAX} buttons; offer fewer")));
    }
    if choices.items.iter().any(|item| !(1..=DATA_BYTES_MAX).contains(&item.id.len())) {
        let message = format!("the id of a choice must have 1 to {DATA_BYTES_MAX} bytes; shorten it");
        return Err(Failure::new(FailureKind::ContentTooLong, message));
    }
    let parts = [choices.header.as_deref(), Some(choices.text.as_str()), choices.footer.as_deref()];
    let text = parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n");
    let rows: Vec<Value> =
        choices.items.iter().map(|item| json!([{ "text": item.title, "callback_data": item.id }])).collect();
    Ok(json!({ "text": fits(&text)?, "reply_markup": { "inline_keyboard": rows } }))
}

/// A place with a name and an address is a venue.
fn location(place: &Location) -> (&'static str, Value) {
    let mut body = json!({ "latitude": place.latitude, "longitude": place.longitude });
    let (name, address) = (place.name.as_deref(), place.address.as_deref());
    let Some(title) = name.or(address) else { return ("sendLocation", body) };
    body["title"] = json!(title);
    body["address"] = json!(address.unwrap_or(title));
    ("sendVenue", body)
}

fn card(cards: &[Card]) -> Result<Value, Failure> {
    let [card] = cards else {
        return Err(Failure::unsupported(
            "a Telegram message takes one contact card; send the others by themselves",
        ));
    };
    let phone = card.phones.first().ok_or_else(|| {
        Failure::unsupported("a contact card needs a phone number on Telegram; write it as text")
    })?;
    Ok(json!({ "phone_number": phone, "first_name": card.name }))
}

async fn react(api: &Api<'_>, chat: i64, it: &Reaction) -> Result<Receipt, Failure> {
    let id = number(&it.message_id).ok_or_else(|| {
        Failure::new(FailureKind::NotFound, "the message to react to is not one of this chat")
    })?;
    let emoji = it.emoji.as_deref().filter(|emoji| !emoji.is_empty());
    let reaction: Vec<Value> =
        emoji.map(|emoji| json!({ "type": "emoji", "emoji": emoji })).into_iter().collect();
    let body = json!({ "chat_id": chat, "message_id": id, "reaction": reaction });
    done(api, "setMessageReaction", &body).await
}

/// A call that may be repeated and makes no message.
async fn done(api: &Api<'_>, method: &str, body: &Value) -> Result<Receipt, Failure> {
    let _: bool = api.read(api.method(method).json(body).idempotent()).await?;
    Ok(Receipt { message_ids: vec![], accepted_at: None, extras: vec![] })
}
