//! Sending. Everything but a template needs the contact's 24-hour window. Numbers
//! are written as chat ids, which every endpoint takes in the same form.

use pointsman_plugin::descriptor::MediaFamily;
use pointsman_plugin::sender::{Attachment, Choices, Content, Item, Message, Receipt};
use pointsman_plugin::{Context, Failure, FailureKind, Http};
use serde_json::{Value, json};

use crate::api::Api;
use crate::template;

/// A text, characters.
pub(crate) const TEXT_CHARS_MAX: usize = 4_096;
/// A text under a file, characters.
pub(crate) const CAPTION_CHARS_MAX: usize = 1_024;
/// Buttons of a message within the window; more become a list.
pub(crate) const BUTTONS_MAX: usize = 3;
/// Rows of a list.
pub(crate) const ROWS_MAX: usize = 10;
/// Title of a button and label that opens a list, characters.
const BUTTON_CHARS_MAX: usize = 20;
/// Title of a row, characters.
const ROW_CHARS_MAX: usize = 24;
/// Small print of a row, characters.
const DESCRIPTION_CHARS_MAX: usize = 72;

pub(crate) async fn send(context: &Context, message: &Message, http: &Http) -> Result<Receipt, Failure> {
    let api = Api::new(context, http)?;
    let chat = chat(&message.to.address)?;
    let (path, mut body) = match &message.content {
        Content::Text(text) => ("sendMessage", json!({ "body": fitting(text)? })),
        Content::Media(files) => ("sendFile", file(files)?),
        Content::Choices(it) => choices(it)?,
        Content::Location(it) => (
            "sendLocation",
            json!({
                "lat": it.latitude.to_string(), "lng": it.longitude.to_string(),
                "name": it.name.as_deref().unwrap_or(""), "address": it.address.as_deref().unwrap_or(""),
            }),
        ),
        Content::Cards(cards) => match cards.as_slice() {
            [card] => {
                let phone = card.phones.first().map_or("", String::as_str);
                ("sendContact", json!({ "contact": { "name": card.name, "phone": phone } }))
            }
            _ => {
                return Err(Failure::unsupported(
                    "1msg sends one contact at a time; send the others by themselves",
                ));
            }
        },
        Content::Reaction(it) => {
            let emoji = it.emoji.as_deref().unwrap_or("");
            ("sendReaction", json!({ "body": emoji, "quotedMsgId": it.message_id }))
        }
        Content::Template(it) => {
            let body = template::body(it, &chat)?;
            return api.send("sendTemplate", &body).await.map(one);
        }
        Content::Read(id) => return read(&api, id, false).await,
        Content::Typing => match &message.reply_to {
            Some(id) => return read(&api, id, true).await,
            None => {
                return Err(Failure::unsupported(
                    "typing can only be shown as an answer to a message of the contact",
                ));
            }
        },
        Content::Other(_) => return Err(Failure::unsupported("1msg cannot send this kind of message")),
    };
    body["chatId"] = json!(chat);
    if let Some(quoted) =
        message.reply_to.as_deref().filter(|_| !matches!(message.content, Content::Reaction(_)))
    {
        body["quotedMsgId"] = json!(quoted);
    }
    api.send(path, &body).await.map(one)
}

/// `12020721369@c.us`, from a chat id or a number.
fn chat(address: &str) -> Result<String, Failure> {
    if address.contains('@') {
        return Ok(address.to_owned());
    }
    let digits: String = address.chars().filter(char::is_ascii_digit).collect();
    if digits.is_empty() {
        return Err(Failure::new(
            FailureKind::RecipientInvalid,
            "the contact has no number that 1msg could write to",
        ));
    }
    Ok(format!("{digits}@c.us"))
}

/// 1msg fetches the file from its link. Voice notes are Ogg.
fn file(files: &[Attachment]) -> Result<Value, Failure> {
    let [file] = files else {
        return Err(Failure::unsupported("1msg sends one file at a time; send the others by themselves"));
    };
    let mut body = json!({ "body": file.url, "filename": file.file_name });
    if let Some(caption) = file.caption.as_deref().filter(|caption| !caption.is_empty()) {
        body["caption"] = json!(caption);
    }
    if file.family == MediaFamily::Voice {
        body["voice"] = json!(true);
    }
    Ok(body)
}

/// Up to three plain choices are buttons, others a list.
fn choices(it: &Choices) -> Result<(&'static str, Value), Failure> {
    let count = it.items.len();
    if count == 0 || count > ROWS_MAX {
        return Err(Failure::unsupported(format!("WhatsApp shows 1 to {ROWS_MAX} choices; offer fewer")));
    }
    let plain = it.items.iter().all(|item| item.description.is_none());
    let is_buttons = it.list_label.is_none() && plain && count <= BUTTONS_MAX;
    for item in &it.items {
        short(&item.title, if is_buttons { BUTTON_CHARS_MAX } else { ROW_CHARS_MAX }, "title")?;
        short(item.description.as_deref().unwrap_or("-"), DESCRIPTION_CHARS_MAX, "description")?;
    }
    let (header, footer) = (it.header.as_deref().unwrap_or(""), it.footer.as_deref().unwrap_or(""));
    if is_buttons {
        let text = if header.is_empty() { it.text.clone() } else { format!("{header}\n\n{}", it.text) };
        let button =
            |item: &Item| json!({ "type": "reply", "reply": { "id": item.id, "title": item.title } });
        let sections: Vec<Value> = it.items.iter().map(button).collect();
        return Ok(("sendButton", json!({ "body": text, "footer": footer, "sections": sections })));
    }
    let label = it.list_label.as_deref().unwrap_or("…");
    short(label, BUTTON_CHARS_MAX, "label of the list")?;
    let row = |item: &Item| json!({ "id": item.id, "title": item.title, "description": item.description.as_deref().unwrap_or("") });
    let rows: Vec<Value> = it.items.iter().map(row).collect();
    // Two documents of 1msg name the label differently.
    let body = json!({
        "body": it.text, "header": header, "footer": footer, "action": label, "buttonText": label,
        "sections": [{ "title": label, "rows": rows }],
    });
    Ok(("sendList", body))
}

fn fitting(text: &str) -> Result<&str, Failure> {
    if text.chars().count() <= TEXT_CHARS_MAX {
        return Ok(text);
    }
    let message = format!("the text is longer than {TEXT_CHARS_MAX} characters; shorten or split it");
    Err(Failure::new(FailureKind::ContentTooLong, message))
}

fn short(text: &str, chars_max: usize, what: &str) -> Result<(), Failure> {
    if (1..=chars_max).contains(&text.chars().count()) {
        return Ok(());
    }
    let message = format!("the {what} of a choice must have 1 to {chars_max} characters; shorten it");
    Err(Failure::new(FailureKind::ContentTooLong, message))
}

/// Marks as read; WhatsApp shows "typing…" for up to 25 s with it.
async fn read(api: &Api<'_>, id: &str, typing: bool) -> Result<Receipt, Failure> {
    let body = json!({ "messageId": id, "typingIndicator": typing });
    api.read(api.post("readMessage", &body).idempotent()).await?;
    Ok(Receipt { message_ids: vec![], accepted_at: None, extras: vec![] })
}

fn one(id: String) -> Receipt {
    Receipt { message_ids: vec![id], accepted_at: None, extras: vec![] }
}
