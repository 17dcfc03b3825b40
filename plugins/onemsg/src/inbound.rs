//! What contacts write, and what leaves by the same number. Types are those that
//! 1msg documents and those seen in production; an unknown one keeps its name.

use pointsman_plugin::descriptor::MediaFamily;
use pointsman_plugin::webhook::{
    Card, Choice, Content, Delivery, Event, EventBody, Location, Media, MediaSource, Message, Party,
    Reaction, Status,
};
use pointsman_plugin::{Context, Extra};
use serde_json::{Value, json};

/// E.164: at most 15 digits; no country has numbers shorter than this.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

pub(crate) fn event(context: &Context, it: &Value) -> Event {
    let Some(id) = text(it, "id") else { return unreadable(it, "a message has no id") };
    let Some(chat) = text(it, "chatId").or_else(|| text(it, "author")) else {
        return unreadable(it, "a message has no chatId");
    };
    let dedupe_key = format!("message:{id}");
    if chat.ends_with("@g.us") {
        let body = EventBody::Other(Extra::new("onemsg.group", &json!(text(it, "type"))));
        return Event { dedupe_key, body };
    }
    let (from_us, by_api) = (is_set(&it["fromMe"]), is_set(&it["self"]));
    let sent_at = millis(&it["time"]).unwrap_or(context.now);
    let contact = party(&chat, it, from_us);
    if from_us && by_api {
        // Our own message comes back: it was sent.
        let status = Status {
            message_id: id,
            contact,
            to: context.address.clone(),
            at: sent_at,
            delivery: Delivery::Sent,
            effect_id: None,
            window_closes_at: None,
            extras: vec![],
        };
        return Event { dedupe_key, body: EventBody::Status(status) };
    }
    let message = Message {
        id,
        contact,
        to: context.address.clone(),
        sent_at,
        reply_to: text(it, "quotedMsgId"),
        group_id: None,
        author: None,
        echo: from_us,
        window_closes_at: None,
        content: content(it),
        extras: vec![],
    };
    Event { dedupe_key, body: EventBody::Message(message) }
}

/// The contact of a chat. Of an outgoing message the sender's name is the company's.
pub(crate) fn party(chat: &str, it: &Value, from_us: bool) -> Party {
    let name = text(it, "senderName")
        .or_else(|| text(it, "chatName"))
        .filter(|name| !from_us && !name.contains('@'));
    let scoped = text(it, "authorBsuid").or_else(|| text(it, "bsuid"));
    Party {
        address: chat.to_owned(),
        phone: phone(chat),
        scoped_id: scoped
            .filter(|_| !from_us)
            .or_else(|| chat.ends_with("@lid").then(|| chat.trim_end_matches("@lid").to_owned())),
        username: text(it, "authorUserName").or_else(|| text(it, "userName")).filter(|_| !from_us),
        display_name: name,
        extras: vec![],
    }
}

/// The number in a chat's id; `@lid` hides it.
fn phone(chat: &str) -> Option<String> {
    let digits = chat.strip_suffix("@c.us")?;
    let numeric = DIGITS.contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit());
    numeric.then(|| format!("+{digits}"))
}

fn content(it: &Value) -> Content {
    let (kind, body) = (text(it, "type").unwrap_or_default(), text(it, "body").unwrap_or_default());
    let quoted = text(it, "quotedMsgId");
    let other = || Content::Other(Extra::new("onemsg.type", &json!(kind)));
    match kind.as_str() {
        "chat" | "text" if !body.is_empty() => Content::Text(body),
        // 1msg hands on what the contact saw, not the id that we gave.
        "button" | "interactive" if !body.is_empty() => {
            Content::Choice(Choice { id: body.clone(), title: body })
        }
        "reaction" => match quoted {
            Some(message_id) => Content::Reaction(Reaction {
                message_id,
                emoji: Some(body).filter(|emoji| !emoji.is_empty()),
            }),
            None => other(),
        },
        "location" => location(&body).map_or_else(other, Content::Location),
        "contact" | "vcard" => card(&body).map_or_else(other, |card| Content::Cards(vec![card])),
        _ => match family(&kind) {
            Some(family) if body.starts_with("https://") => Content::Media(vec![file(family, it, body)]),
            _ => other(),
        },
    }
}

fn family(kind: &str) -> Option<MediaFamily> {
    Some(match kind {
        "image" => MediaFamily::Image,
        "video" => MediaFamily::Video,
        "audio" => MediaFamily::Audio,
        "voice" | "ptt" => MediaFamily::Voice,
        "sticker" => MediaFamily::Sticker,
        "document" => MediaFamily::Document,
        _ => return None,
    })
}

/// The body is a link that lives for a while. A document's caption is its name.
fn file(family: MediaFamily, it: &Value, url: String) -> Media {
    let caption = text(it, "caption");
    let (file_name, caption) =
        if family == MediaFamily::Document { (caption, None) } else { (None, caption) };
    Media { family, source: MediaSource::Url(url), content_type: None, file_name, size: None, caption }
}

/// Latitude and longitude, with `;` or `,` between; what follows is the name.
fn location(body: &str) -> Option<Location> {
    let mut parts = body.splitn(3, [';', ',']).map(str::trim);
    let mut degrees = |limit: f64| {
        let value: f64 = parts.next()?.parse().ok()?;
        (value.is_finite() && value.abs() <= limit).then_some(value)
    };
    let (latitude, longitude) = (degrees(90.0)?, degrees(180.0)?);
    let name = parts.next().filter(|name| !name.is_empty()).map(str::to_owned);
    Some(Location { latitude, longitude, name, address: None })
}

fn card(raw: &str) -> Option<Card> {
    let mut card = Card { name: String::new(), phones: vec![], emails: vec![] };
    for line in raw.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim().to_owned();
        match name.split([';', '.']).find(|part| !part.starts_with("item")).unwrap_or("") {
            "FN" => card.name = value,
            "TEL" if !value.is_empty() => card.phones.push(value),
            "EMAIL" if !value.is_empty() => card.emails.push(value),
            _ => {}
        }
    }
    (!card.name.is_empty() || !card.phones.is_empty()).then_some(card)
}

/// A filled text, without NUL, which databases refuse.
pub(crate) fn text(it: &Value, name: &str) -> Option<String> {
    it[name].as_str().map(|text| text.replace('\0', "")).filter(|text| !text.is_empty())
}

/// Truth is `true` in webhooks and `1` in the history.
fn is_set(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_i64() == Some(1))
}

/// Unix milliseconds of whole seconds, as number or text.
fn millis(time: &Value) -> Option<u64> {
    let seconds = time.as_u64().or_else(|| time.as_str()?.parse().ok())?;
    seconds.checked_mul(1_000).filter(|ms| *ms > 0)
}

/// The same for every delivery of the same item.
pub(crate) fn unreadable(it: &Value, why: &str) -> Event {
    let hash = it.to_string().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Event { dedupe_key: format!("unreadable:{hash:016x}"), body: EventBody::Unreadable(why.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_with_either_separator() {
        for (body, expected) in [
            ("45.01;-73.96", Some((45.01, -73.96, None))),
            ("45.01, -73.96", Some((45.01, -73.96, None))),
            ("45.01;-73.96;HQ", Some((45.01, -73.96, Some("HQ")))),
            ("91;0", None),
            ("here", None),
        ] {
            let found = location(body).map(|it| (it.latitude, it.longitude, it.name));
            assert_eq!(found, expected.map(|(a, b, name)| (a, b, name.map(str::to_owned))), "{body}");
        }
    }
}
