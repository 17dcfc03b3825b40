//! What this plugin says about itself: the form of a channel and what a bot can
//! do. Figures after the Bot API's pages and python-telegram-bot's constants.

use pointsman_plugin::descriptor::{
    Capabilities, ChannelKind, DeliveryReports, LengthUnit, Manifest, MediaFamily, MediaRule, Setting,
    SettingKind, Window,
};
use serde_json::json;

use crate::files::{CAPTION_UNITS_MAX, FILES_MAX};
use crate::send::{BUTTONS_MAX, TEXT_UNITS_MAX};
use crate::settings::{ADDRESS, API, BASE_URL, BOT_TOKEN, WEBHOOK_SECRET};

const MB: u64 = 1_000_000;
/// A picture that is uploaded, bytes.
const PHOTO_BYTES_MAX: u64 = 10 * MB;
/// Any other file that is uploaded, bytes.
const FILE_BYTES_MAX: u64 = 50 * MB;
/// A still sticker, bytes.
const STICKER_BYTES_MAX: u64 = 512_000;
/// The largest file that a bot can download, bytes.
const RECEIVE_BYTES_MAX: u64 = 20 * MB;
/// Of a bot to all of its chats, messages a second; one a second to each.
const RATE: u32 = 30;
/// Pictures, films and sounds that Telegram does not play; they go as documents.
const AS_DOCUMENT: [&str; 10] = [
    "image/gif",
    "image/bmp",
    "image/tiff",
    "image/heic",
    "image/svg+xml",
    "video/quicktime",
    "video/webm",
    "video/3gpp",
    "audio/wav",
    "audio/flac",
];

pub(crate) fn describe() -> Manifest {
    use SettingKind::{EgressUrl, GeneratedSecret, Secret, Text};
    let new = Setting::new;
    Manifest {
        publisher: "Pointsman".into(),
        docs_url: Some("https://core.telegram.org/bots/api".into()),
        license: Some("Apache-2.0".into()),
        settings: vec![
            new(BOT_TOKEN, "Bot token", Secret, "@BotFather gives it when it makes a bot, or with /token.")
                .required()
                .pattern("[0-9]{1,20}:[A-Za-z0-9_-]{20,100}")
                .example("123456789:AAabcdefghijklmnopqrstuvwxyz0123456"),
            new(WEBHOOK_SECRET, "Webhook secret", GeneratedSecret, "Made up by the server when left empty; else a long random text of letters, digits, `_` and `-`. Connecting hands it to Telegram, which sends it with every message.")
                .pattern("[A-Za-z0-9_-]{16,256}"),
            new(ADDRESS, "User name", Text, "Of the bot; for people.").example("@desk_bot"),
            new(BASE_URL, "API address", EgressUrl, "For a Bot API server of your own, or a stand-in in tests.").default_value(&json!(API)),
        ],
        kinds: vec![ChannelKind { kind: "telegram".into(), label: "Telegram".into(), capabilities: capabilities() }],
        origins: vec![API.into()],
        ..Manifest::new("telegram", "Telegram", env!("CARGO_PKG_VERSION"))
    }
}

fn rule(family: MediaFamily, types: &[&str], send_bytes_max: u64, caption: bool) -> MediaRule {
    MediaRule {
        family,
        content_types: types.iter().map(|t| (*t).to_owned()).collect(),
        send_bytes_max,
        receive_bytes_max: RECEIVE_BYTES_MAX,
        caption_max: caption.then_some(count(CAPTION_UNITS_MAX)),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A bot cannot write first, and there are no receipts.
fn capabilities() -> Capabilities {
    use MediaFamily as F;
    let media = vec![
        rule(F::Image, &["image/jpeg", "image/png"], PHOTO_BYTES_MAX, true),
        rule(F::Sticker, &["image/webp"], STICKER_BYTES_MAX, false),
        rule(F::Voice, &["audio/ogg"], FILE_BYTES_MAX, true),
        rule(F::Audio, &["audio/mpeg", "audio/mp4"], FILE_BYTES_MAX, true),
        rule(F::Video, &["video/mp4"], FILE_BYTES_MAX, true),
        rule(F::Document, &[], FILE_BYTES_MAX, true),
        rule(F::Archive, &[], FILE_BYTES_MAX, true),
        rule(F::Document, &AS_DOCUMENT, FILE_BYTES_MAX, true),
    ];
    Capabilities {
        attachments_max: count(FILES_MAX),
        media,
        window: Window::AfterFirstInbound,
        buttons_max: count(BUTTONS_MAX),
        reactions: true,
        replies: true,
        typing: true,
        delivery_reports: DeliveryReports::Sent,
        messages_per_second: RATE,
        ..Capabilities::text_only(count(TEXT_UNITS_MAX), LengthUnit::Utf16Units)
    }
}
