//! What this plugin says about itself: the form of a channel and what each kind
//! of channel can do. Figures after Meta's pages "Cloud API: media", "Messages",
//! "Interactive messages" and "Throughput", and for pages after the Messenger
//! platform's.

use pointsman_plugin::Extra;
use pointsman_plugin::descriptor::{
    Capabilities, ChannelKind, DeliveryReports, LengthUnit, Manifest, MediaFamily, MediaRule, Setting,
    SettingKind, Window,
};
use serde_json::json;

use crate::choices::{BUTTONS_MAX, ROWS_MAX};
use crate::media::FILES;
use crate::page_send::{INSTAGRAM_BYTES_MAX, MESSENGER_CHARS_MAX, QUICK_REPLIES_MAX};
use crate::send::TEXT_CHARS_MAX;
use crate::settings::{
    ACCESS_TOKEN, API_VERSION, APP_SECRET, BASE_URL, BUSINESS_ACCOUNT_ID, GRAPH, INSTAGRAM, MESSENGER,
    PHONE_NUMBER_ID, VERIFY_TOKEN, VERSION, WHATSAPP,
};

/// Instagram accounts that sign in with Instagram itself are called here.
const INSTAGRAM_GRAPH: &str = "https://graph.instagram.com";
const MIB: u64 = 1 << 20;
/// 24 hours after the contact's last message.
const WINDOW_SECONDS: u32 = 86_400;
/// Text under a file, characters.
const CAPTION_CHARS_MAX: u32 = 1_024;
/// Largest file that is taken in, bytes (a rule of the product).
const RECEIVE_BYTES_MAX: u64 = 25 * MIB;
const IMAGE_BYTES_MAX: u64 = 5 * MIB;
const AUDIO_BYTES_MAX: u64 = 16 * MIB;
const VIDEO_BYTES_MAX: u64 = 16 * MIB;
const DOCUMENT_BYTES_MAX: u64 = 100 * MIB;
/// Animated stickers; still ones have 100 KiB.
const STICKER_BYTES_MAX: u64 = 500 << 10;
/// Pictures, films and sounds that WhatsApp does not play; they go as documents.
const AS_DOCUMENT: [&str; 9] = [
    "image/gif",
    "image/bmp",
    "image/tiff",
    "image/heic",
    "image/svg+xml",
    "video/quicktime",
    "video/webm",
    "audio/wav",
    "audio/flac",
];
/// Messenger and Instagram: images that Meta fetches from a link.
const PAGE_IMAGE_BYTES_MAX: u64 = 8 * MIB;
/// Messenger and Instagram: any other file.
const PAGE_FILE_BYTES_MAX: u64 = 25 * MIB;
/// A number, messages a second in both directions, before Meta raises it.
const WHATSAPP_RATE: u32 = 80;

pub(crate) fn describe() -> Manifest {
    let kind = |kind: &str, label: &str, capabilities| ChannelKind {
        kind: kind.into(),
        label: label.into(),
        capabilities,
    };
    Manifest {
        publisher: "Pointsman".into(),
        docs_url: Some("https://developers.facebook.com/docs/whatsapp/cloud-api".into()),
        license: Some("Apache-2.0".into()),
        settings: settings(),
        kinds: vec![
            kind(WHATSAPP, "WhatsApp", whatsapp()),
            kind(MESSENGER, "Messenger", messenger()),
            kind(INSTAGRAM, "Instagram", instagram()),
        ],
        origins: [GRAPH, FILES, INSTAGRAM_GRAPH].map(Into::into).into(),
        ..Manifest::new("meta-cloud", "Meta", env!("CARGO_PKG_VERSION"))
    }
}

fn settings() -> Vec<Setting> {
    use SettingKind::{EgressUrl, Secret, Text};
    let new = Setting::new;
    vec![
        new(PHONE_NUMBER_ID, "Phone number ID", Text, "In the app's dashboard under WhatsApp → API Setup. For Messenger the page's id, for Instagram the account's.")
            .required()
            .example("106540352242922"),
        new(BUSINESS_ACCOUNT_ID, "WhatsApp Business Account ID", Text, "Beside the phone number ID. Templates and the list of numbers need it.")
            .example("102290129340398"),
        new(ACCESS_TOKEN, "Permanent access token", Secret, "Of a system user, with whatsapp_business_messaging and whatsapp_business_management. For pages the page's token.").required(),
        new(APP_SECRET, "App secret", Secret, "In the app's dashboard under App settings → Basic. Meta signs its webhooks with it.").required().sent_to([]),
        new(VERIFY_TOKEN, "Verify token", Secret, "Any long random text. Connecting hands it to Meta, which presents it when it checks the webhook URL.").required(),
        new(API_VERSION, "Graph API version", Text, "Leave it, unless Meta has switched it off.").default_value(&json!(VERSION)),
        new(BASE_URL, "API address", EgressUrl, "For Instagram with Instagram login https://graph.instagram.com, or a stand-in in tests.").default_value(&json!(GRAPH)),
    ]
}

fn rule(family: MediaFamily, types: &[&str], send_bytes_max: u64, caption: bool) -> MediaRule {
    MediaRule {
        family,
        content_types: types.iter().map(|t| (*t).to_owned()).collect(),
        send_bytes_max,
        receive_bytes_max: RECEIVE_BYTES_MAX,
        caption_max: caption.then_some(CAPTION_CHARS_MAX),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Types and sizes after Meta's table of supported media. Documents may be of any type.
fn whatsapp() -> Capabilities {
    use MediaFamily as F;
    let audio = ["audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"];
    let media = vec![
        rule(F::Image, &["image/jpeg", "image/png"], IMAGE_BYTES_MAX, true),
        rule(F::Sticker, &["image/webp"], STICKER_BYTES_MAX, false),
        rule(F::Voice, &["audio/ogg"], AUDIO_BYTES_MAX, false),
        rule(F::Audio, &audio, AUDIO_BYTES_MAX, false),
        rule(F::Video, &["video/mp4", "video/3gpp"], VIDEO_BYTES_MAX, true),
        rule(F::Document, &[], DOCUMENT_BYTES_MAX, true),
        rule(F::Archive, &[], DOCUMENT_BYTES_MAX, true),
        rule(F::Document, &AS_DOCUMENT, DOCUMENT_BYTES_MAX, true),
    ];
    Capabilities {
        attachments_max: 1,
        media,
        window: Window::SinceLastInbound(WINDOW_SECONDS),
        first_message_needs_template: true,
        templates: true,
        buttons_max: count(BUTTONS_MAX),
        list_rows_max: count(ROWS_MAX),
        reactions: true,
        replies: true,
        read_receipts: true,
        typing: true,
        delivery_reports: DeliveryReports::Read,
        echoes: true,
        messages_per_second: WHATSAPP_RATE,
        extras: vec![Extra::new("meta.typing_needs_reply_to", &json!(true))],
        ..Capabilities::text_only(count(TEXT_CHARS_MAX), LengthUnit::Characters)
    }
}

/// Types and sizes after Meta's page on saving assets. What was read is told as a time and without ids, so that
/// `delivered` is the last one hears of a message.
fn messenger() -> Capabilities {
    let any = |family| rule(family, &[], PAGE_FILE_BYTES_MAX, false);
    use MediaFamily as F;
    let images = rule(F::Image, &["image/jpeg", "image/png", "image/gif"], PAGE_IMAGE_BYTES_MAX, false);
    Capabilities {
        media: vec![images, any(F::Voice), any(F::Audio), any(F::Video), any(F::Document)],
        delivery_reports: DeliveryReports::Delivered,
        ..page(MESSENGER_CHARS_MAX, LengthUnit::Characters)
    }
}

/// Types and sizes after Meta's table of media for Instagram; documents are received and not sent.
fn instagram() -> Capabilities {
    use MediaFamily as F;
    let sound = ["audio/aac", "audio/mp4", "audio/wav"];
    let film = ["video/mp4", "video/ogg", "video/x-msvideo", "video/quicktime", "video/webm"];
    Capabilities {
        media: vec![
            rule(F::Image, &["image/jpeg", "image/png"], PAGE_IMAGE_BYTES_MAX, false),
            rule(F::Voice, &sound, PAGE_FILE_BYTES_MAX, false),
            rule(F::Audio, &sound, PAGE_FILE_BYTES_MAX, false),
            rule(F::Video, &film, PAGE_FILE_BYTES_MAX, false),
            rule(F::Document, &[], 0, false),
        ],
        delivery_reports: DeliveryReports::Read,
        ..page(INSTAGRAM_BYTES_MAX, LengthUnit::Bytes)
    }
}

/// Only contacts who wrote can be written to.
fn page(text_max: usize, unit: LengthUnit) -> Capabilities {
    Capabilities {
        attachments_max: 1,
        window: Window::SinceLastInbound(WINDOW_SECONDS),
        buttons_max: count(QUICK_REPLIES_MAX),
        read_receipts: true,
        typing: true,
        echoes: true,
        ..Capabilities::text_only(count(text_max), unit)
    }
}
