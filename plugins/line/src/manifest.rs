//! What this plugin says about itself: the form of a channel and what LINE can do.

use pointsman_plugin::descriptor::{
    Capabilities, ChannelKind, DeliveryReports, LengthUnit, Manifest, MediaFamily, MediaRule, Setting,
    SettingKind, Window,
};

use crate::send::{BUTTONS_MAX, TEXT_UNITS_MAX};
use crate::settings::{ACCESS_TOKEN, ADDRESS, API, BASE_URL, CHANNEL_SECRET, CONTENT, CONTENT_URL};

const MB: u64 = 1_000_000;
/// A picture that LINE fetches, bytes.
const IMAGE_BYTES_MAX: u64 = 10 * MB;
/// A received file, bytes; LINE names no limit, its clients allow so much.
const RECEIVE_BYTES_MAX: u64 = 200 * MB;
/// Of one channel, messages a second.
const RATE: u32 = 2_000;

pub(crate) fn describe() -> Manifest {
    use SettingKind::{EgressUrl, Secret, Text};
    let new = Setting::new;
    Manifest {
        publisher: "Pointsman".into(),
        docs_url: Some("https://developers.line.biz/en/reference/messaging-api/".into()),
        license: Some("Apache-2.0".into()),
        settings: vec![
            new(
                ACCESS_TOKEN,
                "Channel access token",
                Secret,
                "In the LINE Developers Console, Messaging API, Channel access token (long-lived).",
            )
            .required(),
            new(
                CHANNEL_SECRET,
                "Channel secret",
                Secret,
                "In the LINE Developers Console, Basic settings. It signs webhooks.",
            )
            .required()
            .pattern("[0-9a-f]{32}")
            .example("0123456789abcdef0123456789abcdef"),
            new(ADDRESS, "Basic id", Text, "Of the official account; for people.").example("@desk"),
            new(BASE_URL, "API address", EgressUrl, "Only for a stand-in in tests; LINE's own when empty."),
            new(
                CONTENT_URL,
                "Address of files",
                EgressUrl,
                "Only for a stand-in in tests; LINE's own when empty.",
            ),
        ],
        kinds: vec![ChannelKind { kind: "line".into(), label: "LINE".into(), capabilities: capabilities() }],
        origins: vec![API.into(), CONTENT.into()],
        ..Manifest::new("line", "LINE", env!("CARGO_PKG_VERSION"))
    }
}

/// LINE knows nobody who did not add the account or write first, and tells nothing after it took a message.
fn capabilities() -> Capabilities {
    use MediaFamily as F;
    let received = |family| MediaRule {
        family,
        content_types: vec![],
        send_bytes_max: 0,
        receive_bytes_max: RECEIVE_BYTES_MAX,
        caption_max: None,
    };
    let image = MediaRule {
        content_types: vec!["image/jpeg".into(), "image/png".into()],
        send_bytes_max: IMAGE_BYTES_MAX,
        ..received(F::Image)
    };
    Capabilities {
        attachments_max: 1,
        media: vec![image, received(F::Video), received(F::Audio), received(F::Document)],
        window: Window::AfterFirstInbound,
        buttons_max: BUTTONS_MAX,
        delivery_reports: DeliveryReports::Sent,
        idempotent_send: true,
        messages_per_second: RATE,
        beta: true,
        ..Capabilities::text_only(TEXT_UNITS_MAX, LengthUnit::Utf16Units)
    }
}
