//! What LINE reports: messages of every kind, pressed quick replies, taken-back messages, and who follows or blocks the
//! account. What is written in a group or room is the group's: an answer goes there.

use pointsman_plugin::descriptor::MediaFamily;
use pointsman_plugin::webhook::{
    Choice, Content, Event, EventBody, Location, Media, MediaSource, Message, Party, Request,
};
use pointsman_plugin::{Context, Extra, Failure};
use serde_json::{Value, json};

/// Says that LINE itself stops or resumes messages to somebody.
const OPT_OUT: &str = "line.opt_out_type";

pub(crate) fn parse(context: &Context, request: &Request) -> Result<Vec<Event>, Failure> {
    let body: Value = pointsman_plugin::json(&request.body).map_err(|_| {
        Failure::bad_response("the webhook is not JSON; point only LINE's webhook at this channel")
    })?;
    let events = body["events"].as_array().ok_or_else(|| {
        Failure::bad_response("the webhook has no list `events`; point only LINE's webhook at this channel")
    })?;
    Ok(events.iter().enumerate().map(|(place, it)| event(context, place, it)).collect())
}

/// One event. Redeliveries have the same id.
fn event(context: &Context, place: usize, it: &Value) -> Event {
    let Some(id) = text(it, "webhookEventId") else {
        let why = "an event has no id".to_owned();
        return Event { dedupe_key: format!("unreadable:{place}"), body: EventBody::Unreadable(why) };
    };
    let kind = it["type"].as_str().unwrap_or_default();
    let message = match kind {
        "message" => written(context, it, &id),
        "postback" => pressed(context, it, &id),
        "unsend" => text(&it["unsend"], "messageId")
            .and_then(|taken_back| said(context, it, &id, Content::Deleted(taken_back))),
        "follow" | "unfollow" => follows(context, it, &id, kind),
        _ => None,
    };
    let body = message.map_or_else(|| other(kind), EventBody::Message);
    Event { dedupe_key: id, body }
}

fn other(kind: &str) -> EventBody {
    EventBody::Other(Extra::new(&format!("line.{kind}"), &Value::Null))
}

fn written(context: &Context, it: &Value, id: &str) -> Option<Message> {
    let message = &it["message"];
    let own_id = text(message, "id")?;
    let content = content(message, &own_id)?;
    let mut said = said(context, it, id, content)?;
    said.id = own_id;
    said.reply_to = text(message, "quotedMessageId");
    Some(said)
}

fn content(message: &Value, id: &str) -> Option<Content> {
    let file = |family| Content::Media(vec![media(message, id, family)]);
    Some(match message["type"].as_str()? {
        "text" => Content::Text(text(message, "text")?),
        "image" => file(MediaFamily::Image),
        "video" => file(MediaFamily::Video),
        "audio" => file(MediaFamily::Voice),
        "file" => file(MediaFamily::Document),
        "location" => Content::Location(Location {
            latitude: message["latitude"].as_f64()?,
            longitude: message["longitude"].as_f64()?,
            name: text(message, "title"),
            address: text(message, "address"),
        }),
        // A sticker is LINE's own picture; there is no file to fetch.
        kind => Content::Other(Extra::new(&format!("line.{kind}"), &sticker(message))),
    })
}

fn sticker(message: &Value) -> Value {
    let ids = json!({ "package": message["packageId"], "sticker": message["stickerId"] });
    if message["type"] == "sticker" { ids } else { Value::Null }
}

/// A file at LINE, or at another place where LINE says so.
fn media(message: &Value, id: &str, family: MediaFamily) -> Media {
    let provider = &message["contentProvider"];
    let external = text(provider, "originalContentUrl").filter(|_| provider["type"] == "external");
    Media {
        family,
        source: external.map_or_else(|| MediaSource::VendorRef(id.to_owned()), MediaSource::Url),
        content_type: None,
        file_name: text(message, "fileName"),
        size: message["fileSize"].as_u64(),
        caption: None,
    }
}

/// A quick reply of ours carries id and title; one of somebody else only its data.
fn pressed(context: &Context, it: &Value, id: &str) -> Option<Message> {
    let data = text(&it["postback"], "data")?;
    let ours: Value = pointsman_plugin::json(data.as_bytes()).unwrap_or_default();
    let choice = Choice {
        title: text(&ours, "title").or_else(|| text(&ours, "id")).unwrap_or_else(|| data.clone()),
        id: text(&ours, "id").unwrap_or(data),
    };
    said(context, it, id, Content::Choice(choice))
}

/// Who blocks the account has opted out, and who adds it again is back.
fn follows(context: &Context, it: &Value, id: &str, kind: &str) -> Option<Message> {
    let word = if kind == "follow" { "START" } else { "STOP" };
    let mut said = said(context, it, id, Content::Other(Extra::new(&format!("line.{kind}"), &Value::Null)))?;
    said.extras.push(Extra::new(OPT_OUT, &json!(word)));
    Some(said)
}

/// A message of whoever an event is about; `None`: nobody.
fn said(context: &Context, it: &Value, id: &str, content: Content) -> Option<Message> {
    let source = &it["source"];
    let group = text(source, "groupId").or_else(|| text(source, "roomId"));
    let person = text(source, "userId");
    let address = group.clone().or_else(|| person.clone())?;
    let bare = |address: String| Party {
        address,
        phone: None,
        scoped_id: None,
        username: None,
        display_name: None,
        extras: vec![],
    };
    let author = person.filter(|_| group.is_some()).map(bare);
    let standby = it["mode"] == "standby";
    let standby = standby.then(|| Extra::new("line.standby", &json!(true)));
    Some(Message {
        id: id.to_owned(),
        contact: bare(address),
        to: context.address.clone(),
        sent_at: it["timestamp"].as_u64().map_or(context.now, |at| at.min(context.now)),
        reply_to: None,
        group_id: group,
        author,
        echo: false,
        window_closes_at: None,
        content,
        extras: standby.into_iter().collect(),
    })
}

/// A member that is a text and not empty, without the character that databases refuse.
fn text(of: &Value, member: &str) -> Option<String> {
    of[member].as_str().map(|text| text.replace('\0', "")).filter(|text| !text.is_empty())
}
