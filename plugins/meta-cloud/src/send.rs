//! Sends one message: `POST /{phone number id}/messages`, JSON. A file is
//! uploaded first; nobody gets anything by that.

use pointsman_plugin::descriptor::MediaFamily;
use pointsman_plugin::http::{self, CallBuilder};
use pointsman_plugin::sender::{Attachment, Content, Message, Receipt};
use pointsman_plugin::webhook::{Card, Location};
use pointsman_plugin::{Certainty, Context, Extra, Failure, FailureKind, Http};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::Api;
use crate::inbound::is_number;
use crate::settings::WHATSAPP;
use crate::{choices, media, page_send, template};

/// Longest text on WhatsApp, characters.
pub(crate) const TEXT_CHARS_MAX: usize = 4_096;

/// The part of Meta's answer that matters. WhatsApp lists messages; pages have one id.
#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    messages: Vec<SentMessage>,
    message_id: Option<String>,
}

#[derive(Deserialize)]
struct SentMessage {
    id: String,
    message_status: Option<String>,
}

pub(crate) async fn send(context: &Context, message: &Message, http: &Http) -> Result<Receipt, Failure> {
    let api = Api::new(context, http)?;
    let on_whatsapp = context.kind == WHATSAPP;
    match &message.content {
        Content::Read(id) if on_whatsapp => return mark(&api, json!({ "message_id": id })).await,
        Content::Typing if on_whatsapp => return typing(&api, message).await,
        _ => {}
    }
    if let Some(action) = page_send::action(message) {
        return act(&api, &action).await;
    }
    let body = if on_whatsapp { whatsapp(&api, message).await? } else { page_send::body(context, message)? };
    let response = api.succeed(post(&api)?.json(&body)).await?;
    // Meta has taken the message: an answer that cannot be read must not lead to a second one.
    let sent: Sent = response.json().map_err(|failure| failure.effect(Certainty::Performed))?;
    let state = sent.messages.first().and_then(|message| message.message_status.clone());
    let message_ids: Vec<String> =
        sent.messages.into_iter().map(|message| message.id).chain(sent.message_id).collect();
    if message_ids.is_empty() {
        let failure = Failure::bad_response("Meta took the message and gave no id for it");
        return Err(failure.effect(Certainty::Performed));
    }
    // `held_for_quality_assessment`, `paused`: a template that Meta has not sent yet.
    let held = state.filter(|state| state != "accepted");
    let extras = held.map(|state| Extra::new("meta.message_status", &json!(state))).into_iter().collect();
    Ok(Receipt { message_ids, accepted_at: None, extras })
}

fn post(api: &Api<'_>) -> Result<CallBuilder, Failure> {
    Ok(http::post(api.url(&format!("{}/messages", api.own_id()?))))
}

async fn whatsapp(api: &Api<'_>, message: &Message) -> Result<Value, Failure> {
    let (kind, object) = match &message.content {
        Content::Text(text) => ("text", self::text(text)?),
        Content::Media(files) => file(api, files).await?,
        Content::Template(template) => ("template", template::object(api, template).await?),
        Content::Choices(choices) => ("interactive", choices::object(choices)?),
        Content::Location(place) => ("location", location(place)),
        Content::Cards(cards) => ("contacts", cards.iter().map(card).collect()),
        Content::Reaction(it) => {
            ("reaction", json!({ "message_id": it.message_id, "emoji": it.emoji.as_deref().unwrap_or("") }))
        }
        Content::Read(_) | Content::Typing | Content::Other(_) => {
            return Err(Failure::unsupported("WhatsApp does not take this kind of message"));
        }
    };
    let mut body = Map::from_iter([
        ("messaging_product".to_owned(), json!("whatsapp")),
        ("type".to_owned(), json!(kind)),
        (kind.to_owned(), object),
        ("biz_opaque_callback_data".to_owned(), json!(message.effect_id)),
    ]);
    address(&mut body, &message.to.address);
    let quotes = !matches!(message.content, Content::Reaction(_) | Content::Template(_));
    if let Some(id) = message.reply_to.as_ref().filter(|_| quotes) {
        body.insert("context".to_owned(), json!({ "message_id": id }));
    }
    Ok(body.into())
}

/// A number, an id of this business only (`MX.4566…`), or a group.
fn address(body: &mut Map<String, Value>, address: &str) {
    let digits = address.trim_start_matches('+');
    let (kind, member, to) = match address.split_once('.') {
        _ if is_number(digits) => ("individual", "to", digits),
        Some((country, _)) if country.len() == 2 && country.bytes().all(|c| c.is_ascii_uppercase()) => {
            ("individual", "recipient", address)
        }
        _ => ("group", "to", address),
    };
    body.insert("recipient_type".to_owned(), json!(kind));
    body.insert(member.to_owned(), json!(to));
}

fn text(text: &str) -> Result<Value, Failure> {
    let chars = text.chars().count();
    if chars > TEXT_CHARS_MAX {
        return Err(too_long(format!("{TEXT_CHARS_MAX} characters")));
    }
    Ok(json!({ "body": text, "preview_url": text.contains("https://") }))
}

pub(crate) fn too_long(limit: String) -> Failure {
    Failure::new(FailureKind::ContentTooLong, format!("the text is longer than {limit}; shorten or split it"))
}

async fn file(api: &Api<'_>, files: &[Attachment]) -> Result<(&'static str, Value), Failure> {
    let [file] = files else {
        return Err(Failure::unsupported("a WhatsApp message takes one file; send the others by themselves"));
    };
    let kind = kind_of(file.family);
    let mut object = json!({ "id": media::upload(api, file).await? });
    let caption = file.caption.as_deref().filter(|caption| !caption.is_empty());
    match (kind, caption) {
        ("audio" | "sticker", Some(_)) => {
            return Err(Failure::unsupported(
                "on WhatsApp audio and stickers carry no text; send the text by itself",
            ));
        }
        (_, Some(caption)) => object["caption"] = json!(caption),
        (_, None) => {}
    }
    match file.family {
        MediaFamily::Document | MediaFamily::Archive => object["filename"] = json!(file.file_name),
        MediaFamily::Voice => object["voice"] = json!(true),
        _ => {}
    }
    Ok((kind, object))
}

/// WhatsApp's word for a file of this family.
pub(crate) fn kind_of(family: MediaFamily) -> &'static str {
    match family {
        MediaFamily::Image => "image",
        MediaFamily::Audio | MediaFamily::Voice => "audio",
        MediaFamily::Video => "video",
        MediaFamily::Sticker => "sticker",
        MediaFamily::Document | MediaFamily::Archive => "document",
    }
}

/// A place; name and address are left out when there is none.
pub(crate) fn location(place: &Location) -> Value {
    let mut object = json!({ "latitude": place.latitude, "longitude": place.longitude });
    for (member, value) in [("name", &place.name), ("address", &place.address)] {
        if let Some(value) = value {
            object[member] = json!(value);
        }
    }
    object
}

/// WhatsApp wants one part of the name beside the whole of it.
fn card(card: &Card) -> Value {
    let phones: Vec<Value> = card.phones.iter().map(|phone| json!({ "phone": phone })).collect();
    let emails: Vec<Value> = card.emails.iter().map(|email| json!({ "email": email })).collect();
    json!({
        "name": { "formatted_name": card.name, "first_name": card.name },
        "phones": phones,
        "emails": emails,
    })
}

/// Marks a message of the contact, and those before it, as read.
async fn mark(api: &Api<'_>, what: Value) -> Result<Receipt, Failure> {
    let mut body = json!({ "messaging_product": "whatsapp", "status": "read" });
    if let (Some(body), Value::Object(what)) = (body.as_object_mut(), what) {
        body.extend(what);
    }
    act(api, &body).await
}

/// A call that makes no message, and may be repeated.
async fn act(api: &Api<'_>, body: &Value) -> Result<Receipt, Failure> {
    api.succeed(post(api)?.json(body).idempotent()).await?;
    Ok(Receipt { message_ids: vec![], accepted_at: None, extras: vec![] })
}

/// Shows "typing…" for up to 25 seconds. Meta ties it to a message of the contact, and marks that as read.
async fn typing(api: &Api<'_>, message: &Message) -> Result<Receipt, Failure> {
    let id = message.reply_to.as_ref().ok_or_else(|| {
        Failure::unsupported("typing can only be shown as an answer to a message of the contact")
    })?;
    mark(api, json!({ "message_id": id, "typing_indicator": { "type": "text" } })).await
}
