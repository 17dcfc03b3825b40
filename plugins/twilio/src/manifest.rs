//! What this plugin says about itself: the form of a channel and what each kind
//! of channel can do. Figures after Twilio's documentation.

use pointsman_plugin::Extra;
use pointsman_plugin::descriptor::{
    Capabilities, ChannelKind, DeliveryReports, LengthUnit, Manifest, MediaFamily, MediaRule, Setting,
    SettingKind, Window,
};
use serde_json::json;

use crate::content::{BUTTONS_MAX, ROWS_MAX};
use crate::send::{MMS_FILES_MAX, TEXT_CHARS_MAX, WHATSAPP_FILES_MAX};
use crate::settings::{
    ACCOUNT_SID, ADDRESS, API, API_KEY_SECRET, API_KEY_SID, AUTH_TOKEN, AUTH_TOKEN_SECONDARY, BASE_URL,
    CONTENT, CONTENT_BASE_URL, MESSAGING, MESSAGING_BASE_URL, MESSAGING_SERVICE_SID, WEBHOOK_SHARED_SECRET,
};

const MIB: u64 = 1 << 20;
/// WhatsApp: 24 hours after the contact's last message.
const WINDOW_SECONDS: u32 = 86_400;
/// Largest file that is taken in, bytes (a rule of the product).
const RECEIVE_BYTES_MAX: u64 = 25 * MIB;
/// WhatsApp at Twilio: any file, bytes.
const WHATSAPP_BYTES_MAX: u64 = 16 * MIB;
/// Images, on WhatsApp and as MMS, bytes.
const IMAGE_BYTES_MAX: u64 = 5 * MIB;
/// MMS: image types that Twilio does not convert, bytes.
const MMS_OTHER_BYTES_MAX: u64 = 500 << 10;
/// A WhatsApp sender, messages a second.
const WHATSAPP_RATE: u32 = 80;
/// A US long code, messages a second; other kinds of number are faster.
const SMS_RATE: u32 = 1;

pub(crate) fn describe() -> Manifest {
    // The content network is not documented; these hosts were seen in redirects.
    let origins = [
        API,
        CONTENT,
        MESSAGING,
        "https://media.twiliocdn.com",
        "https://mms.twiliocdn.com",
        "https://s3.amazonaws.com",
        "https://s3-external-1.amazonaws.com",
    ];
    Manifest {
        publisher: "Pointsman".into(),
        docs_url: Some("https://www.twilio.com/docs/messaging".into()),
        license: Some("Apache-2.0".into()),
        settings: settings(),
        kinds: vec![
            ChannelKind { kind: "whatsapp".into(), label: "WhatsApp".into(), capabilities: whatsapp() },
            ChannelKind { kind: "sms".into(), label: "SMS and MMS".into(), capabilities: sms() },
        ],
        origins: origins.map(Into::into).into(),
        ..Manifest::new("twilio", "Twilio", env!("CARGO_PKG_VERSION"))
    }
}

fn settings() -> Vec<Setting> {
    use SettingKind::{EgressUrl, Secret, Text};
    let new = Setting::new;
    vec![
        new(ACCOUNT_SID, "Account SID", Text, "On the start page of the Twilio console.")
            .required()
            .example("AC00000000000000000000000000000001"),
        new(AUTH_TOKEN, "Auth token", Secret, "Beside the account SID. Twilio signs its webhooks with it, so it is needed even with an API key.").required(),
        new(ADDRESS, "Number", Text, "The number that customers write to, with its country code; for WhatsApp with or without `whatsapp:`.")
            .required()
            .example("whatsapp:+14155238886"),
        new(MESSAGING_SERVICE_SID, "Messaging service SID", Text, "Send through this messaging service instead of the number itself."),
        new(API_KEY_SID, "API key SID", Text, "Send with this API key instead of the auth token."),
        new(API_KEY_SECRET, "API key secret", Secret, "Belongs to the API key SID."),
        new(AUTH_TOKEN_SECONDARY, "Secondary auth token", Secret, "While tokens are rotated: webhooks signed with either are accepted."),
        new(WEBHOOK_SHARED_SECRET, "Webhook shared secret", Secret, "Only if Twilio signs this account's webhooks with a shared key.").sent_to([]),
        new(BASE_URL, "API address", EgressUrl, "For a region of Twilio, or a stand-in in tests.").default_value(&json!(API)),
        new(CONTENT_BASE_URL, "Content API address", EgressUrl, "Empty: Twilio's own, or the stand-in's."),
        new(MESSAGING_BASE_URL, "Messaging API address", EgressUrl, "Empty: Twilio's own, or the stand-in's."),
    ]
}

fn rule(family: MediaFamily, types: &[&str], send_bytes_max: u64, caption_max: Option<u32>) -> MediaRule {
    MediaRule {
        family,
        content_types: types.iter().map(|t| (*t).to_owned()).collect(),
        send_bytes_max,
        receive_bytes_max: RECEIVE_BYTES_MAX,
        caption_max,
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Types after Twilio's guidance on WhatsApp media; captions are sure only under images and videos.
fn whatsapp() -> Capabilities {
    use MediaFamily as F;
    let caption = Some(count(TEXT_CHARS_MAX));
    let media = vec![
        rule(F::Image, &["image/jpeg", "image/png"], IMAGE_BYTES_MAX, caption),
        rule(F::Sticker, &["image/webp"], IMAGE_BYTES_MAX, None),
        rule(F::Voice, &["audio/ogg"], WHATSAPP_BYTES_MAX, None),
        rule(
            F::Audio,
            &["audio/ogg", "audio/amr", "audio/3gpp", "audio/aac", "audio/mpeg"],
            WHATSAPP_BYTES_MAX,
            None,
        ),
        rule(F::Video, &["video/mp4"], WHATSAPP_BYTES_MAX, caption),
        rule(
            F::Document,
            &[
                "application/pdf",
                "application/msword",
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                "application/vnd.openxmlformats-officedocument.presentationml.presentation",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                "text/vcard",
            ],
            WHATSAPP_BYTES_MAX,
            None,
        ),
    ];
    Capabilities {
        attachments_max: count(WHATSAPP_FILES_MAX),
        media,
        window: Window::SinceLastInbound(WINDOW_SECONDS),
        first_message_needs_template: true,
        templates: true,
        buttons_max: count(BUTTONS_MAX),
        list_rows_max: count(ROWS_MAX),
        typing: true,
        delivery_reports: DeliveryReports::Read,
        messages_per_second: WHATSAPP_RATE,
        extras: vec![
            Extra::new("twilio.typing_needs_reply_to", &json!(true)),
            Extra::new("pointsman.standing", &json!("recommended")),
        ],
        ..text_only()
    }
}

fn sms() -> Capabilities {
    let media = vec![
        rule(
            MediaFamily::Image,
            &["image/jpeg", "image/png", "image/gif"],
            IMAGE_BYTES_MAX,
            Some(count(TEXT_CHARS_MAX)),
        ),
        rule(
            MediaFamily::Image,
            &["image/bmp", "image/webp"],
            MMS_OTHER_BYTES_MAX,
            Some(count(TEXT_CHARS_MAX)),
        ),
    ];
    Capabilities {
        attachments_max: count(MMS_FILES_MAX),
        media,
        messages_per_second: SMS_RATE,
        delivery_reports: DeliveryReports::Delivered,
        ..text_only()
    }
}

fn text_only() -> Capabilities {
    Capabilities::text_only(count(TEXT_CHARS_MAX), LengthUnit::Characters)
}
