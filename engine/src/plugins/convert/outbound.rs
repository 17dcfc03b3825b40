//! Our outbound message in the contract's words.

use super::super::bindings::provider::exports::pointsman::plugin::descriptor;
use super::super::bindings::sender::exports::pointsman::plugin::sender;
use super::super::bindings::webhook::exports::pointsman::plugin::webhook;
use super::super::wire;

pub(in crate::plugins) fn outbound(message: &wire::OutboundMessage) -> sender::Message {
    sender::Message {
        effect_id: message.effect_id.clone(),
        attempt: message.attempt,
        to: party_out(&message.to),
        reply_to: message.reply_to.clone(),
        content: outbound_content(&message.content),
        status_url: message.status_url.clone(),
        extras: Vec::new(),
    }
}

fn outbound_content(content: &wire::OutboundContent) -> sender::Content {
    use sender::Content as To;
    use wire::OutboundContent as From;
    match content {
        From::Text(text) => To::Text(text.clone()),
        From::Media(files) => To::Media(files.iter().map(attachment).collect()),
        From::Template(t) => To::Template(sender::Template {
            name: t.name.clone(),
            language: t.language.clone(),
            vendor_id: t.vendor_id.clone(),
            slots: t.slots.iter().map(slot).collect(),
        }),
        From::Choices(c) => To::Choices(sender::Choices {
            header: c.header.clone(),
            text: c.text.clone(),
            footer: c.footer.clone(),
            list_label: c.list_label.clone(),
            items: c
                .items
                .iter()
                .map(|i| sender::Item {
                    id: i.id.clone(),
                    title: i.title.clone(),
                    description: i.description.clone(),
                })
                .collect(),
        }),
        From::Location(place) => To::Location(webhook::Location {
            latitude: place.latitude,
            longitude: place.longitude,
            name: place.name.clone(),
            address: place.address.clone(),
        }),
        From::Cards(cards) => To::Cards(
            cards
                .iter()
                .map(|c| webhook::Card {
                    name: c.name.clone(),
                    phones: c.phones.clone(),
                    emails: c.emails.clone(),
                })
                .collect(),
        ),
        From::Reaction(r) => {
            To::Reaction(webhook::Reaction { message_id: r.message_id.clone(), emoji: r.emoji.clone() })
        }
        From::Read(id) => To::Read(id.clone()),
        From::Typing => To::Typing,
    }
}

fn attachment(file: &wire::OutAttachment) -> sender::Attachment {
    sender::Attachment {
        blob: file.blob.clone(),
        family: family_out(&file.family),
        content_type: file.content_type.clone(),
        file_name: file.file_name.clone(),
        size: file.size,
        caption: file.caption.clone(),
        url: file.url.clone(),
    }
}

fn slot(slot: &wire::OutSlot) -> sender::Slot {
    sender::Slot {
        place: slot.place.clone(),
        name: slot.name.clone(),
        text: slot.text.clone(),
        media: slot.media.as_ref().map(attachment),
    }
}

fn party_out(party: &wire::Party) -> webhook::Party {
    webhook::Party {
        address: party.address.clone(),
        phone: party.phone.clone(),
        scoped_id: party.scoped_id.clone(),
        username: party.username.clone(),
        display_name: party.display_name.clone(),
        extras: Vec::new(),
    }
}

/// Families are our own words by now; one that is not is a file like any other.
fn family_out(word: &str) -> descriptor::MediaFamily {
    use descriptor::MediaFamily as F;
    match word {
        "image" => F::Image,
        "audio" => F::Audio,
        "voice" => F::Voice,
        "video" => F::Video,
        "sticker" => F::Sticker,
        "archive" => F::Archive,
        _ => F::Document,
    }
}
