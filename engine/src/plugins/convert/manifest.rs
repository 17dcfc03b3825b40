//! The parts of a plugin's manifest in our words.

use pointsman_rules::facts::{Capabilities, MediaRule, Window};

use super::super::bindings::provider::exports::pointsman::plugin::descriptor;
use super::super::bindings::provider::pointsman::plugin::types::Extra;
use super::super::manifest::{ChannelKind, SettingKind, Standing};
use super::family;

/// In the extras of a kind's capabilities: `"recommended"` or `"legacy"`. The record has no field for it, and never will.
const STANDING: &str = "pointsman.standing";

pub(in crate::plugins) fn setting_kind(kind: descriptor::SettingKind) -> SettingKind {
    use descriptor::SettingKind as From;
    match kind {
        From::Text => SettingKind::Text,
        From::Multiline => SettingKind::Multiline,
        From::Integer => SettingKind::Integer,
        From::Toggle => SettingKind::Toggle,
        From::Choice(options) => SettingKind::Choice { options },
        From::Phone => SettingKind::Phone,
        From::Secret => SettingKind::Secret,
        From::EgressUrl => SettingKind::EgressUrl,
        From::GeneratedSecret => SettingKind::GeneratedSecret,
        From::Other(_) => SettingKind::Text,
    }
}

pub(in crate::plugins) fn channel_kind(kind: descriptor::ChannelKind) -> ChannelKind {
    ChannelKind {
        kind: kind.kind,
        label: kind.label,
        standing: standing(&kind.capabilities.extras),
        capabilities: capabilities(kind.capabilities),
    }
}

/// A word that this host does not know is no advice.
fn standing(extras: &[Extra]) -> Option<Standing> {
    let said = extras.iter().find(|extra| extra.key == STANDING)?;
    serde_json::from_str(&said.json).ok()
}

fn capabilities(can: descriptor::Capabilities) -> Capabilities {
    use descriptor::LengthUnit as U;
    Capabilities {
        text_max: can.text_max,
        text_unit: match can.text_unit {
            U::Characters => "characters",
            U::Utf16Units => "utf16_units",
            U::Bytes => "bytes",
            U::SmsSegments => "sms_segments",
        }
        .to_owned(),
        attachments_max: can.attachments_max,
        media: can
            .media
            .into_iter()
            .map(|m| MediaRule {
                family: family(m.family).to_owned(),
                content_types: m.content_types,
                send_bytes_max: m.send_bytes_max,
                receive_bytes_max: m.receive_bytes_max,
                caption_max: m.caption_max,
            })
            .collect(),
        window: match can.window {
            descriptor::Window::None => Window::None,
            descriptor::Window::SinceLastInbound(seconds) => Window::SinceLastInbound { seconds },
            descriptor::Window::AfterFirstInbound => Window::AfterFirstInbound,
        },
        first_message_needs_template: can.first_message_needs_template,
        templates: can.templates,
        buttons_max: can.buttons_max,
        list_rows_max: can.list_rows_max,
        reactions: can.reactions,
        replies: can.replies,
        read_receipts: can.read_receipts,
        typing: can.typing,
        delivery_reports: match can.delivery_reports {
            descriptor::DeliveryReports::None => "none",
            descriptor::DeliveryReports::Sent => "sent",
            descriptor::DeliveryReports::Delivered => "delivered",
            descriptor::DeliveryReports::Read => "read",
        }
        .to_owned(),
        echoes: can.echoes,
        idempotent_send: can.idempotent_send,
        messages_per_second: can.messages_per_second,
        unsigned_webhooks: can.unsigned_webhooks,
        beta: can.beta,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // S34
    #[test]
    fn a_kind_says_what_its_publisher_advises_and_unknown_words_say_nothing() {
        let said = |key: &str, json: &str| standing(&[Extra { key: key.into(), json: json.into() }]);
        assert_eq!(said(STANDING, "\"recommended\""), Some(Standing::Recommended));
        assert_eq!(said(STANDING, "\"legacy\""), Some(Standing::Legacy));
        assert_eq!(said(STANDING, "\"best\""), None);
        assert_eq!(said(STANDING, "recommended"), None);
        assert_eq!(said("acme.standing", "\"legacy\""), None);
        assert_eq!(standing(&[]), None);
    }
}
