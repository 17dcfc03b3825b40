//! What contacts write, and what was typed on the linked phone. WAHA names no
//! type of a message: it is what its fields say. Everything but a few fields may be
//! missing or null, whatever the OpenAPI document calls required.

use pointsman_plugin::Extra;
use pointsman_plugin::descriptor::MediaFamily;
use pointsman_plugin::webhook::{
    Card, Choice, Content, Edit, Event, EventBody, Location, Media, MediaSource, Message, Party, Reaction,
};
use serde_json::{Value, json};

use crate::ids::{self, Chat, MessageId};
use crate::media;
use crate::webhook::Envelope;

/// Ids that web clients and WAHA itself give; phones give others.
const WEB_CLIENT: &str = "3EB0";
/// Largest seconds that are taken for seconds; anything above is milliseconds.
const SECONDS_MAX: f64 = 100_000_000_000.0;

/// `message` or `message.any`: the same message may come as both.
pub(crate) fn message(envelope: &Envelope<'_>) -> Event {
    let payload = envelope.payload();
    if is_ours(payload) {
        return envelope.other("waha.own_message", &payload["id"]);
    }
    let content = |id: &MessageId| content(payload, id);
    event(envelope, payload, "message", content)
}

/// Sent over the API, by us. Versions before `source` are judged by the id: a phone gives no such ids.
fn is_ours(payload: &Value) -> bool {
    let by_id = || {
        let id = payload["id"].as_str().and_then(MessageId::parse);
        id.is_some_and(|id| id.from_me && id.bare.starts_with(WEB_CLIENT))
    };
    match payload["source"].as_str() {
        Some(source) => source == "api" && payload["fromMe"] == true,
        None => by_id(),
    }
}

/// An empty text takes the reaction back.
pub(crate) fn reaction(envelope: &Envelope<'_>) -> Event {
    let payload = envelope.payload();
    let content = |_: &MessageId| {
        let of = payload["reaction"]["messageId"].as_str().and_then(MessageId::parse)?;
        let emoji = payload["reaction"]["text"].as_str().filter(|text| !text.is_empty()).map(cleaned);
        Some(Content::Reaction(Reaction { message_id: of.ours(), emoji }))
    };
    event(envelope, payload, "reaction", content)
}

pub(crate) fn edited(envelope: &Envelope<'_>) -> Event {
    let payload = envelope.payload();
    let content = |id: &MessageId| {
        let original = payload["editedMessageId"].as_str().unwrap_or(&id.bare);
        let text = cleaned(payload["body"].as_str().unwrap_or(""));
        Some(Content::Edited(Edit { message_id: id.sibling(original), text }))
    };
    event(envelope, payload, "edit", content)
}

pub(crate) fn revoked(envelope: &Envelope<'_>) -> Event {
    let payload = envelope.payload();
    let after = if payload["after"].is_object() { &payload["after"] } else { &payload["before"] };
    let content = |id: &MessageId| {
        let gone = payload["revokedMessageId"].as_str().or_else(|| payload["before"]["id"].as_str());
        Some(Content::Deleted(id.sibling(gone.unwrap_or(&id.bare))))
    };
    event(envelope, after, "revoke", content)
}

/// A vote in a poll of ours is a choice.
pub(crate) fn vote(envelope: &Envelope<'_>) -> Event {
    let vote = &envelope.payload()["vote"];
    let content = |_: &MessageId| {
        let options = vote["selectedOptions"].as_array()?;
        let titles: Vec<&str> = options.iter().filter_map(Value::as_str).collect();
        if titles.is_empty() {
            return Some(Content::Other(Extra::new("waha.vote_taken_back", &Value::Null)));
        }
        let title = cleaned(&titles.join(", "));
        Some(Content::Choice(Choice { id: title.clone(), title }))
    };
    event(envelope, vote, "vote", content)
}

/// The event of a message-like payload; `what` tells several about one message apart.
fn event(
    envelope: &Envelope<'_>,
    payload: &Value,
    what: &str,
    content: impl FnOnce(&MessageId) -> Option<Content>,
) -> Event {
    let Some(id) = payload["id"].as_str().and_then(MessageId::parse) else {
        return envelope.unreadable("the message has no id that WAHA documents");
    };
    match ids::kind(&id.chat) {
        Chat::Broadcast => return envelope.other("waha.broadcast", &json!(id.chat)),
        Chat::Group if !envelope.settings.groups() => return envelope.other("waha.group", &json!(what)),
        Chat::Group | Chat::Person => {}
    }
    let sent_at = millis(&payload["timestamp"]).unwrap_or_else(|| envelope.at_ms());
    let Some(content) = content(&id) else {
        return envelope.unreadable("the message says nothing that WAHA documents");
    };
    let dedupe_key = match what {
        // An edit may keep the id of what it edits.
        "edit" => format!("edit:{}:{sent_at}", id.bare),
        _ => format!("{what}:{}:{}", id.from_me, id.bare),
    };
    let is_group = ids::kind(&id.chat) == Chat::Group;
    let name = if is_group || id.from_me { None } else { name(payload) };
    let message = Message {
        id: id.ours(),
        contact: ids::party(&id.chat, number(payload, &id).filter(|_| !is_group), name),
        to: envelope.own_address(),
        sent_at,
        reply_to: payload["replyTo"]["id"].as_str().map(|quoted| quoted_id(quoted, &id)),
        group_id: is_group.then(|| id.chat.clone()),
        author: author(payload).filter(|_| is_group),
        echo: id.from_me,
        window_closes_at: None,
        content,
        extras: vec![],
    };
    Event { dedupe_key, body: EventBody::Message(message) }
}

/// Who is quoted is only known by the bare id; it may be either side's.
fn quoted_id(quoted: &str, id: &MessageId) -> String {
    match MessageId::parse(quoted) {
        Some(whole) => whole.ours(),
        None if quoted.starts_with(WEB_CLIENT) => quoted.to_owned(),
        None => id.sibling(quoted),
    }
}

/// The name that a contact gave themself, where an engine passes it on.
fn name(payload: &Value) -> Option<String> {
    let data = &payload["_data"];
    let names = [&data["notifyName"], &data["pushName"], &data["Info"]["PushName"]];
    names.into_iter().find_map(Value::as_str).map(cleaned).filter(|name| !name.is_empty())
}

/// Who wrote it, in a group.
fn author(payload: &Value) -> Option<Party> {
    let author = payload["participant"].as_str().or_else(|| payload["author"].as_str())?;
    let number = said(payload, &["/_data/Info/SenderAlt", "/_data/key/participantAlt"]);
    Some(ids::party(&ids::chat_id(author), number, name(payload)))
}

/// The number of somebody whose chat hides it (`@lid`). GOWS passes on `SenderAlt` and `RecipientAlt` of whatsmeow's
/// `MessageSource`, NOWEB `remoteJidAlt` of Baileys' `WAMessageKey`. Often there is none: then nobody knows it.
fn number<'p>(payload: &'p Value, id: &MessageId) -> Option<&'p str> {
    let theirs = if id.from_me { "/_data/Info/RecipientAlt" } else { "/_data/Info/SenderAlt" };
    said(payload, &[theirs, "/_data/key/remoteJidAlt"])
}

fn said<'p>(payload: &'p Value, places: &[&str]) -> Option<&'p str> {
    places.iter().find_map(|place| payload.pointer(place)?.as_str()).filter(|text| !text.is_empty())
}

fn content(payload: &Value, id: &MessageId) -> Option<Content> {
    let text = payload["body"].as_str().map(cleaned).filter(|text| !text.is_empty());
    if payload["hasMedia"] == true || payload["media"].is_object() {
        return Some(Content::Media(vec![file(&payload["media"], id, text)]));
    }
    if let Some(place) = location(&payload["location"]) {
        return Some(Content::Location(place));
    }
    let cards: Vec<Card> = payload["vCards"].as_array().into_iter().flatten().filter_map(card).collect();
    if !cards.is_empty() {
        return Some(Content::Cards(cards));
    }
    Some(match text {
        Some(text) => Content::Text(text),
        // Polls, and whatever an engine does not read: shown as unsupported.
        None => Content::Other(Extra::new("waha.message", &json!("empty"))),
    })
}

fn file(file: &Value, id: &MessageId, caption: Option<String>) -> Media {
    let content_type = file["mimetype"].as_str().map(str::to_ascii_lowercase);
    let url = file["url"].as_str().filter(|url| !url.is_empty());
    let source = match url {
        // Only with a store of files outside of WAHA; its links are signed.
        Some(url) if file["s3"].is_object() && url.starts_with("https://") => {
            MediaSource::Url(url.to_owned())
        }
        _ => MediaSource::VendorRef(media::reference(url, id)),
    };
    Media {
        family: family(content_type.as_deref().unwrap_or("")),
        source,
        content_type,
        file_name: file["filename"].as_str().map(cleaned).filter(|name| !name.is_empty()),
        size: None,
        caption,
    }
}

fn family(content_type: &str) -> MediaFamily {
    let essence = content_type.split(';').next().unwrap_or("").trim();
    match essence {
        "image/webp" => MediaFamily::Sticker,
        "audio/ogg" => MediaFamily::Voice,
        "application/zip" | "application/vnd.rar" | "application/x-7z-compressed" | "application/gzip" => {
            MediaFamily::Archive
        }
        _ if essence.starts_with("image/") => MediaFamily::Image,
        _ if essence.starts_with("audio/") => MediaFamily::Audio,
        _ if essence.starts_with("video/") => MediaFamily::Video,
        _ => MediaFamily::Document,
    }
}

/// Degrees come as numbers or, after the OpenAPI document, as texts.
fn location(place: &Value) -> Option<Location> {
    let degrees = |name: &str, limit: f64| {
        let value = place[name].as_f64().or_else(|| place[name].as_str()?.trim().parse().ok())?;
        (value.is_finite() && value.abs() <= limit).then_some(value)
    };
    let text = |name: &str| place[name].as_str().map(cleaned).filter(|text| !text.is_empty());
    Some(Location {
        latitude: degrees("latitude", 90.0)?,
        longitude: degrees("longitude", 180.0)?,
        name: text("name").or_else(|| text("description")),
        address: text("address"),
    })
}

/// A vCard's name, numbers and mail addresses; the rest is left out.
fn card(raw: &Value) -> Option<Card> {
    let mut card = Card { name: String::new(), phones: vec![], emails: vec![] };
    for line in raw.as_str()?.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = cleaned(value.trim());
        match name
            .split([';', '.'])
            .find(|part| !part.starts_with("item"))
            .unwrap_or("")
            .to_ascii_uppercase()
            .as_str()
        {
            "FN" => card.name = value,
            "TEL" if !value.is_empty() => card.phones.push(value),
            "EMAIL" if !value.is_empty() => card.emails.push(value),
            _ => {}
        }
    }
    (!card.name.is_empty() || !card.phones.is_empty()).then_some(card)
}

/// Unix milliseconds of seconds, which may have a fraction or be a text.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within range")]
pub(crate) fn millis(time: &Value) -> Option<u64> {
    let seconds = time.as_f64().or_else(|| time.as_str()?.parse().ok())?;
    let ms = if seconds < SECONDS_MAX { seconds * 1_000.0 } else { seconds };
    (ms.is_finite() && ms > 0.0 && ms < SECONDS_MAX * 1_000.0).then_some(ms.round() as u64)
}

/// Without NUL, which databases refuse.
fn cleaned(text: &str) -> String {
    text.replace('\0', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_with_or_without_fraction() {
        for (time, ms) in [
            (json!(1_710_481_111), Some(1_710_481_111_000)),
            (json!(1_710_481_111.853), Some(1_710_481_111_853)),
            (json!("1710481111"), Some(1_710_481_111_000)),
            (json!(1_710_481_111_853_u64), Some(1_710_481_111_853)),
            (json!(-1), None),
            (json!(null), None),
            (json!("x"), None),
        ] {
            assert_eq!(millis(&time), ms, "{time}");
        }
    }

    #[test]
    fn a_vcard_gives_its_name_and_numbers() {
        let raw = json!(
            "BEGIN:VCARD\nFN:Jane Doe\nitem1.TEL;waid=12132132139:+1 213 213 2139\nEMAIL:j@x.test\nEND:VCARD"
        );
        let card = card(&raw).unwrap();
        assert_eq!((card.name.as_str(), card.phones.len(), card.emails.len()), ("Jane Doe", 1, 1));
    }
}
