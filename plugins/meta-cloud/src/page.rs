//! Messages to a Facebook page or an Instagram account: the same webhooks with
//! another inside. After Meta's pages on the Messenger platform and Instagram
//! messaging.

use pointsman_plugin::Extra;
use pointsman_plugin::descriptor::MediaFamily;
use pointsman_plugin::log::{self, Level};
use pointsman_plugin::webhook::{
    Choice, Content, Delivery, Edit, Event, EventBody, Media, MediaSource, Message, Reaction, Status,
};
use serde_json::Value;

use crate::inbound::bare;
use crate::json::{list, text};
use crate::webhook::{digest, other, unreadable};

/// Our effects' ids begin so; we send them as metadata, and echoes carry it.
const EFFECT: &str = "eff_";

pub(crate) fn events(entry: &Value, own: &str) -> Vec<Event> {
    if entry["id"].as_str().is_some_and(|id| id != own) {
        log::write(
            Level::Info,
            "a message for another page of the app was left out; connect that page's own channel",
        );
        return vec![other("meta.other_page", entry, Value::Null)];
    }
    // Another app answers in a thread on standby.
    let standby = list(entry, "standby").iter().map(|event| other("meta.standby", event, Value::Null));
    list(entry, "messaging").iter().flat_map(|event| of(event, own)).chain(standby).collect()
}

fn of(event: &Value, own: &str) -> Vec<Event> {
    let message = &event["message"];
    let at = event["timestamp"].as_u64().unwrap_or(0);
    if message["is_echo"] == true {
        return vec![echo(event, own, at)];
    }
    if event["delivery"].is_object() {
        let ids = list(&event["delivery"], "mids").iter().filter_map(Value::as_str);
        return ids.map(|id| status(event, own, id, ("delivered", Delivery::Delivered), at)).collect();
    }
    if let Some(id) = text(&event["read"], "mid") {
        return vec![status(event, own, &id, ("read", Delivery::Read), at)];
    }
    let Some(sender) = text(&event["sender"], "id") else {
        return vec![unreadable(event, "an event has no sender")];
    };
    vec![match content(event) {
        Some((id, content)) => said(event, own, id, sender, content, at),
        None => {
            let kind = ["read", "optin", "referral", "account_linking", "pass_thread_control"];
            let kind = kind.into_iter().find(|kind| !event[*kind].is_null()).unwrap_or("event");
            other(&format!("meta.{kind}"), event, Value::Null)
        }
    }]
}

fn said(event: &Value, own: &str, id: String, contact: String, content: Content, at: u64) -> Event {
    let message = &event["message"];
    let mut extras = vec![];
    for (value, key) in
        [(&message["referral"], "meta.referral"), (&event["postback"]["referral"], "meta.referral")]
    {
        extras.extend(value.is_object().then(|| Extra::new(key, value)));
    }
    let body = Message {
        id: id.clone(),
        contact: bare(contact),
        to: own.to_owned(),
        sent_at: at,
        reply_to: text(&message["reply_to"], "mid"),
        group_id: None,
        author: None,
        echo: message["is_echo"] == true,
        window_closes_at: None,
        content,
        extras,
    };
    Event { dedupe_key: id, body: EventBody::Message(body) }
}

/// A message that left the page: ours, which we marked, or another program's.
fn echo(event: &Value, own: &str, at: u64) -> Event {
    let message = &event["message"];
    let Some(contact) = text(&event["recipient"], "id") else {
        return unreadable(event, "an echo has no recipient");
    };
    let effect = text(message, "metadata").filter(|metadata| metadata.starts_with(EFFECT));
    match (content(event), effect) {
        (Some((id, _)), Some(effect)) => {
            let body = Status {
                message_id: id.clone(),
                contact: bare(contact),
                to: own.to_owned(),
                at,
                delivery: Delivery::Sent,
                effect_id: Some(effect),
                window_closes_at: None,
                extras: vec![],
            };
            Event { dedupe_key: format!("{id}:sent"), body: EventBody::Status(body) }
        }
        (Some((id, content)), None) => said(event, own, id, contact, content, at),
        (None, _) => unreadable(event, "an echo has no message id"),
    }
}

fn status(event: &Value, own: &str, id: &str, (word, delivery): (&str, Delivery), at: u64) -> Event {
    let body = Status {
        message_id: id.to_owned(),
        contact: bare(text(&event["sender"], "id").unwrap_or_default()),
        to: own.to_owned(),
        at,
        delivery,
        effect_id: None,
        window_closes_at: None,
        extras: vec![],
    };
    Event { dedupe_key: format!("{id}:{word}"), body: EventBody::Status(body) }
}

/// What it says, with an id of its own; `None` when nobody wrote.
fn content(event: &Value) -> Option<(String, Content)> {
    if let Some(mid) = text(&event["message"], "mid") {
        let message = &event["message"];
        if message["is_deleted"] == true {
            return Some((format!("{mid}:deleted"), Content::Deleted(mid)));
        }
        return Some((mid, written(message)));
    }
    if event["postback"].is_object() {
        let press = &event["postback"];
        let title = text(press, "title");
        let id = text(press, "payload").or_else(|| title.clone())?;
        let choice = Choice { title: title.unwrap_or_else(|| id.clone()), id };
        return Some((text(press, "mid").unwrap_or_else(|| digest(event)), Content::Choice(choice)));
    }
    if let Some(message_id) = text(&event["reaction"], "mid") {
        let gone = event["reaction"]["action"] == "unreact";
        let emoji = text(&event["reaction"], "emoji").filter(|_| !gone);
        return Some((digest(event), Content::Reaction(Reaction { message_id, emoji })));
    }
    let edit = &event["message_edit"];
    let edited = Edit { message_id: text(edit, "mid")?, text: text(edit, "text")? };
    Some((digest(event), Content::Edited(edited)))
}

fn written(message: &Value) -> Content {
    let body = text(message, "text");
    if let Some(id) = text(&message["quick_reply"], "payload") {
        return Content::Choice(Choice { title: body.unwrap_or_else(|| id.clone()), id });
    }
    let mut caption = body.clone();
    let file = |it: &Value| {
        let family = match it["type"].as_str()? {
            "image" => MediaFamily::Image,
            "video" => MediaFamily::Video,
            "audio" => MediaFamily::Voice,
            "file" => MediaFamily::Document,
            _ => return None,
        };
        let url = text(&it["payload"], "url")?;
        Some(Media {
            family,
            source: MediaSource::Url(url),
            content_type: None,
            file_name: None,
            size: None,
            caption: caption.take(),
        })
    };
    let files: Vec<Media> = list(message, "attachments").iter().filter_map(file).collect();
    match (files.is_empty(), body) {
        (false, _) => Content::Media(files),
        (true, Some(text)) => Content::Text(text),
        (true, None) => {
            let kind = message["attachments"][0]["type"].as_str().unwrap_or("unsupported");
            Content::Other(Extra::new(&format!("meta.{kind}"), &Value::Null))
        }
    }
}
