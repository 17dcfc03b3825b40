//! Reads a message to send from the engine's JSON of it.

use serde::Deserialize;
use serde_json::Value;

use crate::descriptor::MediaFamily;
use crate::sender::{Attachment, Choices, Content, Item, Message, Slot, Template};
use crate::webhook::{Card, Location, Party, Reaction};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageJson {
    effect_id: String,
    attempt: u32,
    to: PartyJson,
    reply_to: Option<String>,
    content: ContentJson,
    status_url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartyJson {
    address: String,
    phone: Option<String>,
    scoped_id: Option<String>,
    username: Option<String>,
    display_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
enum ContentJson {
    Text(String),
    Media(Vec<AttachmentJson>),
    Template(TemplateJson),
    Choices(ChoicesJson),
    Location { latitude: f64, longitude: f64, name: Option<String>, address: Option<String> },
    Cards(Vec<CardJson>),
    Reaction { message_id: String, emoji: Option<String> },
    Read(String),
    Typing,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AttachmentJson {
    blob: String,
    family: String,
    content_type: String,
    file_name: String,
    size: u64,
    caption: Option<String>,
    url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateJson {
    name: String,
    language: String,
    vendor_id: Option<String>,
    #[serde(default)]
    slots: Vec<SlotJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotJson {
    place: String,
    name: String,
    text: Option<String>,
    media: Option<AttachmentJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChoicesJson {
    header: Option<String>,
    text: String,
    footer: Option<String>,
    list_label: Option<String>,
    items: Vec<ItemJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemJson {
    id: String,
    title: String,
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardJson {
    name: String,
    #[serde(default)]
    phones: Vec<String>,
    #[serde(default)]
    emails: Vec<String>,
}

pub(super) fn read(json: &Value) -> Result<Message, String> {
    let message: MessageJson = serde_json::from_value(json.clone()).map_err(|e| format!("[message]: {e}"))?;
    let PartyJson { address, phone, scoped_id, username, display_name } = message.to;
    Ok(Message {
        effect_id: message.effect_id,
        attempt: message.attempt,
        to: Party { address, phone, scoped_id, username, display_name, extras: vec![] },
        reply_to: message.reply_to,
        content: content(message.content)?,
        status_url: message.status_url,
        extras: vec![],
    })
}

fn content(from: ContentJson) -> Result<Content, String> {
    Ok(match from {
        ContentJson::Text(text) => Content::Text(text),
        ContentJson::Media(files) => {
            Content::Media(files.into_iter().map(attachment).collect::<Result<_, _>>()?)
        }
        ContentJson::Template(from) => Content::Template(Template {
            name: from.name,
            language: from.language,
            vendor_id: from.vendor_id,
            slots: from.slots.into_iter().map(slot).collect::<Result<_, _>>()?,
        }),
        ContentJson::Choices(ChoicesJson { header, text, footer, list_label, items }) => {
            let item = |ItemJson { id, title, description }| Item { id, title, description };
            let items = items.into_iter().map(item).collect();
            Content::Choices(Choices { header, text, footer, list_label, items })
        }
        ContentJson::Location { latitude, longitude, name, address } => {
            Content::Location(Location { latitude, longitude, name, address })
        }
        ContentJson::Cards(cards) => {
            let card = |CardJson { name, phones, emails }| Card { name, phones, emails };
            Content::Cards(cards.into_iter().map(card).collect())
        }
        ContentJson::Reaction { message_id, emoji } => Content::Reaction(Reaction { message_id, emoji }),
        ContentJson::Read(id) => Content::Read(id),
        ContentJson::Typing => Content::Typing,
    })
}

fn slot(from: SlotJson) -> Result<Slot, String> {
    let media = from.media.map(attachment).transpose()?;
    Ok(Slot { place: from.place, name: from.name, text: from.text, media })
}

fn attachment(from: AttachmentJson) -> Result<Attachment, String> {
    let AttachmentJson { blob, family, content_type, file_name, size, caption, url } = from;
    let family = match family.as_str() {
        "image" => MediaFamily::Image,
        "audio" => MediaFamily::Audio,
        "voice" => MediaFamily::Voice,
        "video" => MediaFamily::Video,
        "document" => MediaFamily::Document,
        "sticker" => MediaFamily::Sticker,
        "archive" => MediaFamily::Archive,
        other => return Err(format!("there is no media family `{other}`")),
    };
    Ok(Attachment { blob, family, content_type, file_name, size, caption, url })
}
