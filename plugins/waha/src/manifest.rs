//! What this plugin says about itself. WAHA itself limits neither texts nor
//! files; what is here are rules of the product, which keep a personal number from
//! looking like a machine, and what its API can do (OpenAPI 2026.7.1).

use pointsman_plugin::descriptor::{
    Capabilities, ChannelKind, DeliveryReports, LengthUnit, Manifest, MediaFamily, MediaRule, Setting,
    SettingKind,
};
use serde_json::json;

use crate::send::{FILES_MAX, ROWS_MAX, TEXT_CHARS_MAX};
use crate::settings::{API_KEY, BASE_URL, GROUPS, HMAC_KEY, SESSION, SESSION_DEFAULT};

/// Largest file that is sent, bytes (a rule of the product).
const SEND_BYTES_MAX: u64 = 3 << 19;
/// Largest file that is taken in, bytes (a rule of the product).
const RECEIVE_BYTES_MAX: u64 = 25 << 20;
/// WAHA publishes no rate and advises to write slowly ("how to avoid blocking").
const RATE: u32 = 1;

pub(crate) fn describe() -> Manifest {
    Manifest {
        publisher: "Pointsman".into(),
        docs_url: Some("https://waha.devlike.pro/docs".into()),
        license: Some("Apache-2.0".into()),
        settings: settings(),
        kinds: vec![ChannelKind {
            kind: "whatsapp".into(),
            label: "WhatsApp on an own number (WAHA, use with caution)".into(),
            capabilities: capabilities(),
        }],
        // Self-hosted: the only server that is called is the one in the settings.
        origins: vec![],
        ..Manifest::new("waha", "WAHA", env!("CARGO_PKG_VERSION"))
    }
}

fn settings() -> Vec<Setting> {
    use SettingKind::{EgressUrl, GeneratedSecret, Secret, Text, Toggle};
    let new = Setting::new;
    vec![
        new(
            BASE_URL,
            "WAHA address",
            EgressUrl,
            "Where your WAHA server is. In a private network it needs an admin's consent.",
        )
        .required()
        .example("http://waha.internal:3000"),
        new(SESSION, "Session", Text, "Name of the session in WAHA; every number needs one of its own.")
            .default_value(&json!(SESSION_DEFAULT)),
        new(API_KEY, "API key", Secret, "WAHA_API_KEY of the server, or better a key of this session alone.")
            .required(),
        new(
            HMAC_KEY,
            "Webhook key",
            GeneratedSecret,
            "Made up by the server when left empty. WAHA is told and signs its webhooks with it.",
        ),
        new(
            GROUPS,
            "Take messages of groups",
            Toggle,
            "A group becomes one conversation. Off: groups are ignored.",
        )
        .default_value(&json!(false)),
    ]
}

/// Any type of a family is taken; archives are not (a rule of the product). Only images, videos and
/// documents carry a caption in WAHA's API.
fn rule(family: MediaFamily, types: &[&str], has_caption: bool) -> MediaRule {
    MediaRule {
        family,
        content_types: types.iter().map(|t| (*t).to_owned()).collect(),
        send_bytes_max: SEND_BYTES_MAX,
        receive_bytes_max: RECEIVE_BYTES_MAX,
        caption_max: has_caption.then_some(TEXT_CHARS_MAX),
    }
}

/// Echoes: the event `message.any`. Lists: `sendList` of the engines GOWS and NOWEB; buttons "do not work"
/// in WAHA's own words. No templates and no window: it is a phone.
fn capabilities() -> Capabilities {
    use MediaFamily as F;
    let documents = [
        "application/pdf",
        "application/msword",
        "application/vnd.ms-excel",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "text/plain",
        "text/csv",
    ];
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Capabilities {
        attachments_max: count(FILES_MAX),
        media: vec![
            rule(F::Image, &["image/jpeg", "image/png"], true),
            rule(F::Voice, &["audio/ogg", "audio/mpeg", "audio/aac", "audio/mp4"], false),
            rule(F::Audio, &["audio/ogg", "audio/mpeg", "audio/aac", "audio/mp4"], true),
            rule(F::Video, &["video/mp4"], true),
            rule(F::Document, &documents, true),
            rule(F::Sticker, &["image/webp"], false),
        ],
        list_rows_max: count(ROWS_MAX),
        reactions: true,
        replies: true,
        read_receipts: true,
        typing: true,
        delivery_reports: DeliveryReports::Read,
        echoes: true,
        messages_per_second: RATE,
        beta: true,
        ..Capabilities::text_only(TEXT_CHARS_MAX, LengthUnit::Characters)
    }
}
