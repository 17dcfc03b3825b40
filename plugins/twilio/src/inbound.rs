//! What contacts write. Content is picked by fields, not by `MessageType`, which
//! is young and not fully documented. Unknown fields are ignored: Twilio adds some
//! without notice.

use pointsman_plugin::descriptor::MediaFamily;
use pointsman_plugin::webhook::{
    Choice, Content, Event, EventBody, Location, Media, MediaSource, Message, Party, Request,
};
use pointsman_plugin::{Context, Extra, Failure, Form};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::address;
use crate::signature::Payload;
use crate::status;

/// Files of one message: MMS carries up to 10, WhatsApp one.
const MEDIA_MAX: usize = 10;

pub(crate) fn parse(context: &Context, request: &Request) -> Result<Vec<Event>, Failure> {
    let form = match Payload::of(request) {
        Payload::Fields(form) => form,
        Payload::Body => return Ok(vec![unmapped(request)]),
    };
    if form.get("PayloadType").is_some() && form.get("Level").is_some() {
        return Ok(vec![alarm(&form)]);
    }
    let Some(sid) = form.filled("MessageSid").or_else(|| form.filled("SmsSid")) else {
        return Err(Failure::bad_response(
            "the webhook has no MessageSid; point only the messaging webhooks of Twilio at this channel",
        ));
    };
    if status::is_status(&form) {
        return Ok(vec![status::event(context, request, &form, sid)]);
    }
    let Some(from) = form.filled("From") else {
        return Ok(vec![Event {
            dedupe_key: sid.to_owned(),
            body: EventBody::Unreadable("the message has no From".into()),
        }]);
    };
    let message = Message {
        id: sid.to_owned(),
        contact: party(&form, from),
        to: form.filled("To").unwrap_or(&context.address).to_owned(),
        sent_at: context.now,
        reply_to: form.filled("OriginalRepliedMessageSid").map(str::to_owned),
        group_id: None,
        author: None,
        echo: false,
        window_closes_at: None,
        content: content(&form, from),
        extras: extras(&form),
    };
    Ok(vec![Event { dedupe_key: sid.to_owned(), body: EventBody::Message(message) }])
}

/// The contact at `address`. The id that WhatsApp gives per business survives a hidden number.
pub(crate) fn party(form: &Form, address: &str) -> Party {
    let digits = form.filled("WaId").filter(|id| id.bytes().all(|c| c.is_ascii_digit()));
    let scoped = form.filled("ExternalUserId").map(str::to_owned);
    let hidden = address.starts_with(address::WHATSAPP) && address::phone(address).is_none();
    Party {
        address: address.to_owned(),
        phone: digits.map(|digits| format!("+{digits}")).or_else(|| address::phone(address)),
        scoped_id: scoped.or_else(|| hidden.then(|| address.to_owned())),
        username: None,
        display_name: form.filled("ProfileName").map(cleaned),
        extras: vec![],
    }
}

/// Without NUL, which Twilio lets through and databases refuse.
fn cleaned(text: &str) -> String {
    text.replace('\0', "")
}

fn content(form: &Form, from: &str) -> Content {
    let body = form.filled("Body").map(cleaned).filter(|text| !text.is_empty());
    if let Some(location) = location(form) {
        return Content::Location(location);
    }
    let button = form.filled("ButtonPayload").or_else(|| form.filled("ButtonText"));
    if let Some(id) = button {
        let title = form.filled("ButtonText").map(cleaned).or(body).unwrap_or_else(|| cleaned(id));
        return Content::Choice(Choice { id: cleaned(id), title });
    }
    if let Some(id) = form.filled("ListId") {
        let title = form.filled("ListTitle").map(cleaned).or(body).unwrap_or_else(|| cleaned(id));
        return Content::Choice(Choice { id: cleaned(id), title });
    }
    let files = files(form, from, body.clone());
    if !files.is_empty() {
        return Content::Media(files);
    }
    match body {
        Some(text) => Content::Text(text),
        None => {
            let kind = form.filled("MessageType").unwrap_or("empty");
            Content::Other(Extra::new("twilio.message_type", &json!(kind)))
        }
    }
}

fn location(form: &Form) -> Option<Location> {
    let degrees = |name: &str, limit: f64| {
        let value: f64 = form.filled(name)?.trim().parse().ok()?;
        (value.is_finite() && value.abs() <= limit).then_some(value)
    };
    Some(Location {
        latitude: degrees("Latitude", 90.0)?,
        longitude: degrees("Longitude", 180.0)?,
        name: form.filled("Label").map(cleaned),
        address: form.filled("Address").map(cleaned),
    })
}

/// The files; a caption belongs to the first.
fn files(form: &Form, from: &str, caption: Option<String>) -> Vec<Media> {
    let count = form.filled("NumMedia").and_then(|count| count.trim().parse::<usize>().ok()).unwrap_or(0);
    let on_whatsapp = from.starts_with(address::WHATSAPP);
    let mut caption = caption;
    let file = |at: usize| {
        let url = form.filled(&format!("MediaUrl{at}"))?;
        let content_type = form.filled(&format!("MediaContentType{at}")).map(str::to_ascii_lowercase);
        Some(Media {
            family: family(content_type.as_deref().unwrap_or(""), on_whatsapp),
            source: MediaSource::VendorRef(url.to_owned()),
            content_type,
            file_name: None,
            size: None,
            caption: caption.take(),
        })
    };
    (0..count.min(MEDIA_MAX)).filter_map(file).collect()
}

/// WhatsApp sends voice notes as Ogg and stickers as WebP.
fn family(content_type: &str, on_whatsapp: bool) -> MediaFamily {
    let essence = content_type.split(';').next().unwrap_or("").trim();
    match essence.split_once('/').unwrap_or((essence, "")) {
        ("image", "webp") if on_whatsapp => MediaFamily::Sticker,
        ("image", _) => MediaFamily::Image,
        ("audio", "ogg") if on_whatsapp => MediaFamily::Voice,
        ("audio", _) => MediaFamily::Audio,
        ("video", _) => MediaFamily::Video,
        ("application", "zip" | "x-zip-compressed" | "gzip" | "x-7z-compressed" | "vnd.rar" | "x-tar") => {
            MediaFamily::Archive
        }
        _ => MediaFamily::Document,
    }
}

fn extras(form: &Form) -> Vec<Extra> {
    let mut extras = vec![];
    for (field, key) in [
        ("OptOutType", "twilio.opt_out_type"),
        ("MessageType", "twilio.message_type"),
        ("MessagingServiceSid", "twilio.messaging_service_sid"),
    ] {
        extras.extend(form.filled(field).map(|value| Extra::new(key, &json!(value))));
    }
    for (field, key) in
        [("Forwarded", "twilio.forwarded"), ("FrequentlyForwarded", "twilio.frequently_forwarded")]
    {
        extras.extend((form.get(field) == Some("true")).then(|| Extra::new(key, &json!(true))));
    }
    // `ReferralNumMedia=0` comes with ordinary messages too.
    if form.filled("ReferralSourceId").or_else(|| form.filled("ReferralSourceUrl")).is_some() {
        extras.push(Extra::new("twilio.referral", &gathered(form, "Referral")));
    }
    let origin = gathered(form, "From");
    if origin.as_object().is_some_and(|origin| !origin.is_empty()) {
        extras.push(Extra::new("twilio.from_place", &origin));
    }
    if location(form).is_some()
        && let Some(text) = form.filled("Body")
    {
        extras.push(Extra::new("twilio.body", &json!(cleaned(text))));
    }
    extras
}

/// The filled fields `<prefix>Xyz` as an object with members `Xyz`; `From` itself has no rest.
fn gathered(form: &Form, prefix: &str) -> Value {
    let members: Map<String, Value> = form
        .pairs()
        .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value)))
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .map(|(name, value)| (name.to_owned(), json!(cleaned(value))))
        .collect();
    Value::Object(members)
}

/// Twilio's debugger reports an error or warning of the account.
fn alarm(form: &Form) -> Event {
    let payload: Value =
        form.get("Payload").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let alarm = json!({ "level": form.get("Level"), "error_code": payload["error_code"], "resource_sid": payload["resource_sid"] });
    Event {
        dedupe_key: form.filled("Sid").unwrap_or("debugger").to_owned(),
        body: EventBody::Other(Extra::new("twilio.debugger", &alarm)),
    }
}

/// A JSON webhook (Conversations, Event Streams): kept, not mapped.
fn unmapped(request: &Request) -> Event {
    let token = request.header("i-twilio-idempotency-token").map(str::to_owned);
    let digest = || Sha256::digest(&request.body).iter().map(|byte| format!("{byte:02x}")).collect();
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    Event {
        dedupe_key: token.unwrap_or_else(digest),
        body: EventBody::Other(Extra::new(
            "twilio.json_webhook",
            &json!({ "event_type": body["EventType"] }),
        )),
    }
}
