//! Sending. The answer's form depends on WAHA's engine; the id is found in all of
//! them. Nothing here is repeated by itself: WAHA knows no key that would drop a
//! second copy.

use pointsman_plugin::descriptor::MediaFamily;
use pointsman_plugin::sender::{Attachment, Choices, Content, Item, Message, Receipt};
use pointsman_plugin::webhook::Card;
use pointsman_plugin::{Certainty, Context, Extra, Failure, FailureKind, Http, Retry};
use serde_json::{Value, json};

use crate::api::Api;
use crate::ids::{self, MessageId};

/// Files of one message; each is a call and a message of its own (a rule of the product).
pub(crate) const FILES_MAX: usize = 10;
/// Longest text, characters (a rule of the product).
pub(crate) const TEXT_CHARS_MAX: u32 = 1_600;
/// Rows of a list (WhatsApp's own limit).
pub(crate) const ROWS_MAX: usize = 10;
/// WAHA wants a label for what opens a list.
const LIST_LABEL: &str = "…";

fn fits(text: &str) -> Result<(), Failure> {
    if text.chars().count() <= TEXT_CHARS_MAX as usize {
        return Ok(());
    }
    let message = format!("the text is longer than {TEXT_CHARS_MAX} characters; shorten or split it");
    Err(Failure::new(FailureKind::ContentTooLong, message))
}

pub(crate) async fn send(context: &Context, message: &Message, http: &Http) -> Result<Receipt, Failure> {
    if let Content::Text(text) = &message.content {
        fits(text)?;
    }
    let api = Api::new(context, http)?;
    let chat = chat(&api, &message.to.address).await?;
    let to = To { api: &api, chat, reply_to: message.reply_to.as_deref() };
    match &message.content {
        Content::Text(text) => to.post("sendText", json!({ "text": text })).await.map(one),
        Content::Media(files) => to.files(files).await,
        Content::Choices(choices) => to.choices(choices).await.map(one),
        Content::Location(place) => {
            let title = place.name.as_deref().or(place.address.as_deref()).unwrap_or("");
            let body = json!({ "latitude": place.latitude, "longitude": place.longitude, "title": title });
            to.post("sendLocation", body).await.map(one)
        }
        Content::Cards(cards) => {
            let contacts: Vec<Value> = cards.iter().map(|card| json!({ "vcard": vcard(card) })).collect();
            to.post("sendContactVcard", json!({ "contacts": contacts })).await.map(one)
        }
        Content::Reaction(it) => {
            let body = json!({
                "session": api.settings.session(),
                "messageId": ids::full(&it.message_id, &to.chat),
                "reaction": it.emoji.as_deref().unwrap_or(""),
            });
            to.done(api.at("PUT", "reaction").idempotent().json(&body)).await
        }
        Content::Read(id) => {
            let body = json!({ "chatId": to.chat, "messageIds": [id], "session": api.settings.session() });
            to.done(api.at("POST", "sendSeen").idempotent().json(&body)).await
        }
        Content::Typing => {
            let body = json!({ "chatId": to.chat, "session": api.settings.session() });
            to.done(api.at("POST", "startTyping").idempotent().json(&body)).await
        }
        Content::Template(_) => Err(Failure::unsupported("WAHA has no templates; send a text")),
        Content::Other(_) => Err(Failure::unsupported("WAHA cannot send this kind of message")),
    }
}

/// Whom to write to. A number that never wrote is asked for first: WhatsApp may know it by another id, as in
/// Brazil, and writing to strangers that are not there is what gets a number blocked.
async fn chat(api: &Api<'_>, address: &str) -> Result<String, Failure> {
    if address.contains('@') {
        return Ok(ids::chat_id(address));
    }
    let digits: String = address.chars().filter(char::is_ascii_digit).collect();
    let call = api
        .at("GET", "contacts/check-exists")
        .query("phone", digits)
        .query("session", api.settings.session());
    let answer: Value = api.read(call).await?;
    match (answer["numberExists"] == true, answer["chatId"].as_str()) {
        (true, Some(chat)) => Ok(ids::chat_id(chat)),
        _ => Err(Failure::new(FailureKind::RecipientInvalid, "this number is not on WhatsApp")),
    }
}

/// A chat to send to.
struct To<'a> {
    api: &'a Api<'a>,
    chat: String,
    reply_to: Option<&'a str>,
}

impl To<'_> {
    /// Sends one message and gives its id.
    async fn post(&self, path: &str, body: Value) -> Result<String, Failure> {
        self.deliver(path, body, None).await
    }

    /// The same with a file in it: as base64, so that WAHA needs no way to our public URL.
    async fn deliver(
        &self,
        path: &str,
        mut body: Value,
        file: Option<&Attachment>,
    ) -> Result<String, Failure> {
        body["session"] = json!(self.api.settings.session());
        body["chatId"] = json!(self.chat);
        if let Some(quoted) = self.reply_to {
            body["reply_to"] = json!(ids::full(quoted, &self.chat));
        }
        let call = self.api.at("POST", path).json(&body);
        let call = match file {
            Some(file) => call.json_file("/file/data", file),
            None => call,
        };
        let response = self.api.succeed(call).await?;
        // WAHA has taken the message: an answer that cannot be read must not lead to a second one.
        let answer: Value = response.json().map_err(|failure| failure.effect(Certainty::Performed))?;
        id(&answer).ok_or_else(|| {
            Failure::bad_response("WAHA sent the message but does not say under which id")
                .effect(Certainty::Performed)
        })
    }

    /// A call that makes no message.
    async fn done(&self, call: pointsman_plugin::http::CallBuilder) -> Result<Receipt, Failure> {
        self.api.succeed(call).await?;
        Ok(receipt(vec![]))
    }

    /// One call for each file. What left before a file that fails has left.
    async fn files(&self, files: &[Attachment]) -> Result<Receipt, Failure> {
        if files.is_empty() || files.len() > FILES_MAX {
            return Err(Failure::unsupported(format!(
                "one message takes 1 to {FILES_MAX} files; send the others by themselves"
            )));
        }
        let mut sent = vec![];
        for file in files {
            let (path, body) = file_body(file);
            match self.deliver(path, body, Some(file)).await {
                Ok(id) => sent.push(id),
                Err(failure) if sent.is_empty() => return Err(failure),
                Err(failure) => {
                    let message = format!(
                        "{} of {} files were sent, then: {}",
                        sent.len(),
                        files.len(),
                        failure.message
                    );
                    return Err(Failure { message, ..failure }
                        .retry(Retry::Never)
                        .effect(Certainty::Performed));
                }
            }
        }
        Ok(receipt(sent))
    }

    /// A list where the engine can, else a text with numbers.
    async fn choices(&self, choices: &Choices) -> Result<String, Failure> {
        if choices.items.is_empty() || choices.items.len() > ROWS_MAX {
            return Err(Failure::unsupported(format!("WhatsApp shows 1 to {ROWS_MAX} choices; offer fewer")));
        }
        // Lists are for chats with one person.
        if ids::kind(&self.chat) == ids::Chat::Person {
            match self.post("sendList", list(choices)).await {
                Err(failure) if failure.kind == FailureKind::Unsupported => {}
                other => return other,
            }
        }
        self.post("sendText", json!({ "text": numbered(choices) })).await
    }
}

fn file_body(file: &Attachment) -> (&'static str, Value) {
    let content = json!({ "mimetype": file.content_type, "filename": file.file_name, "data": "" });
    let caption = file.caption.as_deref().filter(|caption| !caption.is_empty());
    let mut body = json!({ "file": content });
    let path = match file.family {
        MediaFamily::Image | MediaFamily::Sticker => "sendImage",
        MediaFamily::Voice => "sendVoice",
        MediaFamily::Video => "sendVideo",
        MediaFamily::Audio | MediaFamily::Document | MediaFamily::Archive => "sendFile",
    };
    if matches!(file.family, MediaFamily::Voice | MediaFamily::Video) {
        // WhatsApp plays Opus and MP4 only; WAHA makes them of the rest.
        body["convert"] =
            json!(!matches!(file.content_type.as_str(), "video/mp4" | "audio/ogg; codecs=opus"));
    }
    if let Some(caption) = caption {
        body["caption"] = json!(caption);
    }
    (path, body)
}

fn list(choices: &Choices) -> Value {
    let row = |item: &Item| match &item.description {
        Some(text) => json!({ "title": item.title, "rowId": item.id, "description": text }),
        None => json!({ "title": item.title, "rowId": item.id }),
    };
    let rows: Vec<Value> = choices.items.iter().map(row).collect();
    let label = choices.list_label.as_deref().unwrap_or(LIST_LABEL);
    let mut message = json!({
        "title": choices.header.as_deref().unwrap_or(&choices.text),
        "button": label,
        "sections": [{ "title": label, "rows": rows }],
    });
    if choices.header.is_some() {
        message["description"] = json!(choices.text);
    }
    if let Some(footer) = &choices.footer {
        message["footer"] = json!(footer);
    }
    json!({ "message": message })
}

fn numbered(choices: &Choices) -> String {
    let rows = choices.items.iter().enumerate().map(|(at, item)| format!("{}. {}", at + 1, item.title));
    let rows = rows.collect::<Vec<_>>().join("\n");
    let parts =
        [choices.header.as_deref(), Some(choices.text.as_str()), Some(&rows), choices.footer.as_deref()];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

/// A vCard 3.0. Line breaks would start a line of their own.
fn vcard(card: &Card) -> String {
    let one_line = |text: &str| text.replace(['\r', '\n'], " ");
    let mut lines =
        vec!["BEGIN:VCARD".to_owned(), "VERSION:3.0".to_owned(), format!("FN:{}", one_line(&card.name))];
    for phone in &card.phones {
        let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
        lines.push(format!("TEL;type=CELL;waid={digits}:{}", one_line(phone)));
    }
    lines.extend(card.emails.iter().map(|mail| format!("EMAIL:{}", one_line(mail))));
    lines.push("END:VCARD".to_owned());
    lines.join("\n")
}

/// GOWS: a whole id as text. WEBJS: an object. NOWEB: the key of the protocol.
fn id(answer: &Value) -> Option<String> {
    let id = &answer["id"];
    let whole = id.as_str().or_else(|| id["_serialized"].as_str());
    let bare = || id["id"].as_str().or_else(|| answer["key"]["id"].as_str()).map(str::to_owned);
    whole.map(|whole| MessageId::parse(whole).map_or_else(|| whole.to_owned(), |id| id.bare)).or_else(bare)
}

fn one(id: String) -> Receipt {
    receipt(vec![id])
}

fn receipt(message_ids: Vec<String>) -> Receipt {
    Receipt { message_ids, accepted_at: None, extras: Vec::<Extra>::new() }
}
