//! What is sent on Messenger and Instagram, in Meta's words. Meta fetches a file
//! from our public https address; a text under it would be a message of its own.
//! After Meta's pages on sending messages, saving assets, quick replies and sender
//! actions of both platforms (2026).

use std::collections::BTreeSet;

use pointsman_plugin::descriptor::MediaFamily;
use pointsman_plugin::sender::{Attachment, Choices, Content, Item, Message};
use pointsman_plugin::{Context, Failure, FailureKind};
use serde_json::{Value, json};

use crate::send::too_long;
use crate::settings::MESSENGER;

/// Longest text on Messenger, characters.
pub(crate) const MESSENGER_CHARS_MAX: usize = 2_000;
/// Longest text on Instagram, bytes of UTF-8.
pub(crate) const INSTAGRAM_BYTES_MAX: usize = 1_000;
/// Quick replies under one text.
pub(crate) const QUICK_REPLIES_MAX: usize = 13;
/// Title of a quick reply, characters.
const TITLE_CHARS_MAX: usize = 20;
/// What a quick reply hands back, characters.
const PAYLOAD_CHARS_MAX: usize = 1_000;

/// The call's body. Messenger hands the metadata back in its echo of the message.
pub(crate) fn body(context: &Context, message: &Message) -> Result<Value, Failure> {
    let mut object = match &message.content {
        Content::Text(words) => json!({ "text": text(context, words)? }),
        Content::Media(files) => json!({ "attachment": attachment(files)? }),
        Content::Choices(choices) => quick_replies(context, choices)?,
        _ => {
            let words = "Messenger and Instagram take texts, files and buttons; write it as text";
            return Err(Failure::unsupported(words));
        }
    };
    if context.kind == MESSENGER {
        object["metadata"] = json!(message.effect_id);
    }
    Ok(json!({
        "recipient": { "id": message.to.address },
        "messaging_type": "RESPONSE",
        "message": object,
    }))
}

/// What shows that somebody reads or types; `None` for a message.
pub(crate) fn action(message: &Message) -> Option<Value> {
    let action = match &message.content {
        Content::Read(_) => "mark_seen",
        Content::Typing => "typing_on",
        _ => return None,
    };
    Some(json!({ "recipient": { "id": message.to.address }, "sender_action": action }))
}

fn text<'t>(context: &Context, text: &'t str) -> Result<&'t str, Failure> {
    if context.kind == MESSENGER {
        if text.chars().count() > MESSENGER_CHARS_MAX {
            return Err(too_long(format!("{MESSENGER_CHARS_MAX} characters")));
        }
    } else if text.len() > INSTAGRAM_BYTES_MAX {
        return Err(too_long(format!("{INSTAGRAM_BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn attachment(files: &[Attachment]) -> Result<Value, Failure> {
    let [file] = files else {
        return Err(Failure::unsupported("a message takes one file here; send the others by themselves"));
    };
    if file.caption.as_deref().is_some_and(|caption| !caption.is_empty()) {
        return Err(Failure::unsupported("a file carries no text here; send the text by itself"));
    }
    if !file.url.starts_with("https://") {
        let words = "Meta fetches files over https; give this server a public https address";
        return Err(Failure::new(FailureKind::MediaInvalid, words));
    }
    let kind = match file.family {
        MediaFamily::Image | MediaFamily::Sticker => "image",
        MediaFamily::Audio | MediaFamily::Voice => "audio",
        MediaFamily::Video => "video",
        MediaFamily::Document | MediaFamily::Archive => "file",
    };
    Ok(json!({ "type": kind, "payload": { "url": file.url, "is_reusable": false } }))
}

/// A text with buttons, which are gone once one of them is pressed.
fn quick_replies(context: &Context, choices: &Choices) -> Result<Value, Failure> {
    let count = choices.items.len();
    if count == 0 || count > QUICK_REPLIES_MAX {
        let words = format!("1 to {QUICK_REPLIES_MAX} buttons are shown; offer fewer");
        return Err(Failure::unsupported(words));
    }
    let distinct: BTreeSet<&str> = choices.items.iter().map(|item| item.id.as_str()).collect();
    if distinct.len() < count {
        let words = "two choices have the same id; give each its own";
        return Err(Failure::new(FailureKind::ContentRejected, words));
    }
    let buttons: Result<Vec<Value>, Failure> = choices.items.iter().map(button).collect();
    let parts = [choices.header.as_deref(), Some(choices.text.as_str()), choices.footer.as_deref()];
    let words = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n");
    Ok(json!({ "text": text(context, &words)?, "quick_replies": buttons? }))
}

fn button(item: &Item) -> Result<Value, Failure> {
    let fits = |text: &str, chars_max: usize| (1..=chars_max).contains(&text.chars().count());
    if !fits(&item.title, TITLE_CHARS_MAX) {
        let words = format!("the title of a button must have 1 to {TITLE_CHARS_MAX} characters; shorten it");
        return Err(Failure::new(FailureKind::ContentTooLong, words));
    }
    if !fits(&item.id, PAYLOAD_CHARS_MAX) {
        let words = format!("the id of a button must have 1 to {PAYLOAD_CHARS_MAX} characters; shorten it");
        return Err(Failure::new(FailureKind::ContentTooLong, words));
    }
    Ok(json!({ "content_type": "text", "title": item.title, "payload": item.id }))
}
