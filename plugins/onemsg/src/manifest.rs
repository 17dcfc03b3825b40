//! What this plugin says about itself. Lengths after 1msg's contract of 2026
//! (text 4096, caption 1024, rows of lists); sizes of files are those of WhatsApp's
//! Cloud API, which 1msg sits on.

use pointsman_plugin::descriptor::{
    Capabilities, ChannelKind, DeliveryReports, LengthUnit, Manifest, MediaFamily, MediaRule, Setting,
    SettingKind, Window,
};

use crate::send::{BUTTONS_MAX, CAPTION_CHARS_MAX, ROWS_MAX, TEXT_CHARS_MAX};
use crate::settings::{API, API_URL, PHONE, TOKEN};

const MIB: u64 = 1 << 20;
/// WhatsApp: 24 hours after the contact's last message.
const WINDOW_SECONDS: u32 = 86_400;
/// Largest file that is taken in, bytes (a rule of the product).
const RECEIVE_BYTES_MAX: u64 = 25 * MIB;
/// Images, bytes.
const IMAGE_BYTES_MAX: u64 = 5 * MIB;
/// Stickers, bytes.
const STICKER_BYTES_MAX: u64 = 512 << 10;
/// Everything else, bytes (a rule of the product; the Cloud API takes documents of 100 MB).
const FILE_BYTES_MAX: u64 = 16 * MIB;

pub(crate) fn describe() -> Manifest {
    Manifest {
        publisher: "Pointsman".into(),
        docs_url: Some("https://docs.1msg.io".into()),
        license: Some("Apache-2.0".into()),
        settings: settings(),
        kinds: vec![ChannelKind {
            kind: "whatsapp".into(),
            label: "WhatsApp".into(),
            capabilities: capabilities(),
        }],
        origins: vec![API.into()],
        ..Manifest::new("onemsg", "1msg", env!("CARGO_PKG_VERSION"))
    }
}

fn settings() -> Vec<Setting> {
    use SettingKind::{EgressUrl, Phone, Secret};
    let new = Setting::new;
    vec![
        new(API_URL, "API URL", EgressUrl, "On the channel's page in the 1msg cabinet, with the channel's id at its end. The channel must be a paid one: a trial only writes to its own number.")
            .required()
            .example("https://api.1msg.io/371267300/"),
        new(TOKEN, "Token", Secret, "Beside the API URL.").required(),
        new(PHONE, "WhatsApp number", Phone, "The number that the channel is linked to; chat links are made of it.").example("+12025550100"),
    ]
}

fn rule(family: MediaFamily, types: &[&str], send_bytes_max: u64, has_caption: bool) -> MediaRule {
    MediaRule {
        family,
        content_types: types.iter().map(|t| (*t).to_owned()).collect(),
        send_bytes_max,
        receive_bytes_max: RECEIVE_BYTES_MAX,
        caption_max: has_caption.then_some(count(CAPTION_CHARS_MAX)),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// 1msg publishes no rate. Its webhooks are not signed.
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
    ];
    Capabilities {
        attachments_max: 1,
        media: vec![
            rule(F::Image, &["image/jpeg", "image/png"], IMAGE_BYTES_MAX, true),
            rule(F::Sticker, &["image/webp"], STICKER_BYTES_MAX, false),
            rule(F::Voice, &["audio/ogg"], FILE_BYTES_MAX, false),
            rule(
                F::Audio,
                &["audio/ogg", "audio/amr", "audio/aac", "audio/mp4", "audio/mpeg"],
                FILE_BYTES_MAX,
                false,
            ),
            rule(F::Video, &["video/mp4", "video/3gpp"], FILE_BYTES_MAX, true),
            rule(F::Document, &documents, FILE_BYTES_MAX, true),
        ],
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
        unsigned_webhooks: true,
        ..Capabilities::text_only(count(TEXT_CHARS_MAX), LengthUnit::Characters)
    }
}
