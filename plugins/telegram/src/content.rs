//! What a message holds: Telegram has no word for its kind, so the field that is
//! there says it.

use pointsman_plugin::Extra;
use pointsman_plugin::descriptor::MediaFamily;
use pointsman_plugin::webhook::{Card, Content, Location, Media, MediaSource};
use serde_json::Value;

use crate::updates::text;

/// Fields of messages that tell what happened to a chat: nobody wrote them.
const SERVICE: [&str; 27] = [
    "new_chat_members",
    "left_chat_member",
    "new_chat_title",
    "new_chat_photo",
    "delete_chat_photo",
    "group_chat_created",
    "supergroup_chat_created",
    "channel_chat_created",
    "message_auto_delete_timer_changed",
    "migrate_to_chat_id",
    "migrate_from_chat_id",
    "pinned_message",
    "write_access_allowed",
    "proximity_alert_triggered",
    "boost_added",
    "chat_background_set",
    "forum_topic_created",
    "forum_topic_edited",
    "forum_topic_closed",
    "forum_topic_reopened",
    "general_forum_topic_hidden",
    "general_forum_topic_unhidden",
    "video_chat_scheduled",
    "video_chat_started",
    "video_chat_ended",
    "video_chat_participants_invited",
    "connected_website",
];
/// Content that is kept under its name.
const UNMAPPED: [&str; 9] =
    ["poll", "dice", "game", "story", "invoice", "paid_media", "giveaway", "checklist", "successful_payment"];

pub(crate) fn is_service(it: &Value) -> bool {
    SERVICE.iter().any(|field| !it[*field].is_null())
}

pub(crate) fn of(it: &Value) -> Content {
    let known = text(it, "text")
        .map(Content::Text)
        .or_else(|| file(it).map(|file| Content::Media(vec![file])))
        .or_else(|| place(it).map(Content::Location))
        .or_else(|| card(&it["contact"]).map(|card| Content::Cards(vec![card])));
    known.unwrap_or_else(|| {
        let kind = UNMAPPED.into_iter().find(|kind| !it[*kind].is_null()).unwrap_or("unknown");
        Content::Other(Extra::new(&format!("telegram.{kind}"), &Value::Null))
    })
}

/// A venue holds a place of its own, and its message holds both.
fn place(it: &Value) -> Option<Location> {
    let venue = &it["venue"];
    let at = if venue.is_object() { &venue["location"] } else { &it["location"] };
    let degrees = |member: &str, limit: f64| at[member].as_f64().filter(|value| value.abs() <= limit);
    Some(Location {
        latitude: degrees("latitude", 90.0)?,
        longitude: degrees("longitude", 180.0)?,
        name: text(venue, "title"),
        address: text(venue, "address"),
    })
}

fn card(it: &Value) -> Option<Card> {
    let phone = text(it, "phone_number")?;
    let names: Vec<String> = ["first_name", "last_name"].iter().filter_map(|name| text(it, name)).collect();
    Some(Card { name: names.join(" "), phones: vec![phone], emails: vec![] })
}

/// The contact's own number, which they shared by a button: Telegram vouches for it by the user's id.
pub(crate) fn own_phone(it: &Value) -> Option<String> {
    let shared = &it["contact"];
    let is_theirs = shared["user_id"].as_i64().is_some_and(|id| Some(id) == it["from"]["id"].as_i64());
    let phone = text(shared, "phone_number").filter(|_| is_theirs)?;
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    Some(format!("+{digits}"))
}

/// An animation comes as a document too, for old clients.
fn file(it: &Value) -> Option<Media> {
    use MediaFamily as F;
    if let Some(photo) = it["photo"].as_array().and_then(|sizes| sizes.iter().max_by_key(|size| area(size))) {
        return media(photo, it, F::Image, Some("image/jpeg"));
    }
    let sticker = &it["sticker"];
    let sticker_type = match (sticker["is_animated"] == true, sticker["is_video"] == true) {
        (true, _) => "application/x-tgsticker",
        (_, true) => "video/webm",
        _ => "image/webp",
    };
    [
        ("animation", F::Video, Some("video/mp4")),
        ("document", F::Document, None),
        ("voice", F::Voice, Some("audio/ogg")),
        ("audio", F::Audio, Some("audio/mpeg")),
        ("video", F::Video, Some("video/mp4")),
        ("video_note", F::Video, Some("video/mp4")),
        ("sticker", F::Sticker, Some(sticker_type)),
    ]
    .into_iter()
    .find_map(|(kind, family, content_type)| media(&it[kind], it, family, content_type))
}

fn area(size: &Value) -> u64 {
    let side = |member: &str| size[member].as_u64().unwrap_or(0);
    side("width").saturating_mul(side("height"))
}

fn media(file: &Value, it: &Value, family: MediaFamily, content_type: Option<&str>) -> Option<Media> {
    Some(Media {
        family,
        source: MediaSource::VendorRef(text(file, "file_id")?),
        content_type: text(file, "mime_type")
            .map(|mime| mime.to_ascii_lowercase())
            .or_else(|| content_type.map(str::to_owned)),
        file_name: text(file, "file_name"),
        size: file["file_size"].as_u64(),
        caption: text(it, "caption"),
    })
}
