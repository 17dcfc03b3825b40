//! What a WhatsApp message holds, by its `type`. A kind that is not mapped is
//! kept under its name; it never fails.

use pointsman_plugin::Extra;
use pointsman_plugin::descriptor::MediaFamily;
use pointsman_plugin::webhook::{Card, Choice, Content, Edit, Location, Media, MediaSource, Reaction};
use serde_json::Value;

use crate::json::{list, text};

pub(crate) fn of(message: &Value) -> Content {
    let kind = message["type"].as_str().unwrap_or("");
    let it = &message[kind];
    let known = match kind {
        "text" => text(it, "body").map(Content::Text),
        "image" | "video" | "audio" | "document" | "sticker" => media(kind, it),
        "location" => location(it).map(Content::Location),
        "contacts" => cards(message),
        "reaction" => text(it, "message_id")
            .map(|message_id| Content::Reaction(Reaction { message_id, emoji: text(it, "emoji") })),
        "button" => choice(text(it, "payload"), text(it, "text")),
        "interactive" => interactive(it),
        "order" => text(it, "text").map(Content::Text),
        "edit" => edit(it),
        "revoke" => text(it, "original_message_id").map(Content::Deleted),
        _ => None,
    };
    known.unwrap_or_else(|| unmapped(message, kind))
}

fn unmapped(message: &Value, kind: &str) -> Content {
    let what = match kind {
        "" => "unknown",
        "unsupported" | "unknown" => message["unsupported"]["type"].as_str().unwrap_or(kind),
        "interactive" => message["interactive"]["type"].as_str().unwrap_or(kind),
        _ => kind,
    };
    Content::Other(Extra::new(&format!("meta.{what}"), &Value::Null))
}

fn media(kind: &str, it: &Value) -> Option<Content> {
    let family = match kind {
        "image" => MediaFamily::Image,
        "video" => MediaFamily::Video,
        "audio" if it["voice"] == true => MediaFamily::Voice,
        "audio" => MediaFamily::Audio,
        "sticker" => MediaFamily::Sticker,
        _ => MediaFamily::Document,
    };
    let file = Media {
        family,
        source: MediaSource::VendorRef(text(it, "id")?),
        // `audio/ogg; codecs=opus`
        content_type: text(it, "mime_type")
            .and_then(|mime| mime.split(';').next().map(|essence| essence.trim().to_ascii_lowercase())),
        file_name: text(it, "filename"),
        size: None,
        caption: text(it, "caption"),
    };
    Some(Content::Media(vec![file]))
}

fn location(it: &Value) -> Option<Location> {
    let degrees = |member: &str, limit: f64| {
        let value = match &it[member] {
            Value::String(text) => text.parse().ok(),
            number => number.as_f64(),
        };
        value.filter(|value: &f64| value.is_finite() && value.abs() <= limit)
    };
    Some(Location {
        latitude: degrees("latitude", 90.0)?,
        longitude: degrees("longitude", 180.0)?,
        name: text(it, "name"),
        address: text(it, "address"),
    })
}

fn cards(message: &Value) -> Option<Content> {
    let card = |it: &Value| {
        let phone = |phone: &Value| {
            text(phone, "phone").or_else(|| text(phone, "wa_id").map(|digits| format!("+{digits}")))
        };
        let phones: Vec<String> = list(it, "phones").iter().filter_map(phone).collect();
        let name = text(&it["name"], "formatted_name").or_else(|| phones.first().cloned());
        Card {
            name: name.unwrap_or_default(),
            phones,
            emails: list(it, "emails").iter().filter_map(|email| text(email, "email")).collect(),
        }
    };
    let cards: Vec<Card> = list(message, "contacts").iter().map(card).collect();
    (!cards.is_empty()).then_some(Content::Cards(cards))
}

fn choice(id: Option<String>, title: Option<String>) -> Option<Content> {
    let id = id.or_else(|| title.clone())?;
    let title = title.unwrap_or_else(|| id.clone());
    Some(Content::Choice(Choice { id, title }))
}

fn interactive(it: &Value) -> Option<Content> {
    let kind = it["type"].as_str()?;
    let reply = &it[kind];
    match kind {
        "button_reply" | "list_reply" => choice(text(reply, "id"), text(reply, "title")),
        // A form that was filled in: its answers are in the extras.
        "nfm_reply" => choice(text(reply, "name"), text(reply, "body")),
        _ => None,
    }
}

/// The new text of an earlier message; a new caption counts as its text.
fn edit(it: &Value) -> Option<Content> {
    let message = &it["message"];
    let kind = message["type"].as_str()?;
    let new = text(&message[kind], "body").or_else(|| text(&message[kind], "caption"))?;
    Some(Content::Edited(Edit { message_id: text(it, "original_message_id")?, text: new }))
}
