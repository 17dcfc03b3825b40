//! Pushes one message. A retry key made of the effect's id lets LINE drop repeats, so that an unclear outcome is no
//! danger: the repeat of a message that was taken is answered with 409.

use std::fmt::Write as _;

use pointsman_plugin::descriptor::MediaFamily;
use pointsman_plugin::http::{CallBuilder, Response};
use pointsman_plugin::sender::{Attachment, Choices, Content, Item, Message, Receipt};
use pointsman_plugin::{Context, Failure, FailureKind, Http, Retry, http};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::settings::{ACCESS_TOKEN, Settings};

/// Longest text, UTF-16 units.
pub(crate) const TEXT_UNITS_MAX: u32 = 5_000;
/// Quick replies under one message.
pub(crate) const BUTTONS_MAX: u32 = 13;
/// Longest label of a quick reply, characters; longer ones are cut.
const LABEL_CHARS_MAX: usize = 20;
/// Longest data of a quick reply, characters.
const DATA_CHARS_MAX: usize = 300;
/// Longest address of a picture, characters.
const URL_CHARS_MAX: usize = 2_000;
const RETRY_KEY: &str = "x-line-retry-key";
/// How LINE says that the plan's messages of this month are used up.
const MONTHLY: &str = "monthly limit";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Taken {
    #[serde(default)]
    sent_messages: Vec<Sent>,
}

#[derive(Deserialize)]
struct Sent {
    id: String,
}

pub(crate) async fn send(context: &Context, message: Message, http: &Http) -> Result<Receipt, Failure> {
    let body = json!({ "to": message.to.address, "messages": [content(&message.content)?] });
    let call = http::post(Settings::of(context)?.api("/v2/bot/message/push"))
        .bearer(http::secret(ACCESS_TOKEN))
        .header(RETRY_KEY, http::plain(retry_key(&message.effect_id)))
        .json(&body)
        .idempotent()
        .build();
    let answer = http.exchange(call.clone()).await?;
    // 409: LINE took it at an earlier try.
    if !answer.is_success() && answer.status != 409 {
        return Err(refusal(Failure::from_response(&call, &answer), &answer));
    }
    // LINE has it whatever the body says; without ids nothing can be joined later, and nothing comes later.
    let taken: Taken = answer.json().unwrap_or(Taken { sent_messages: vec![] });
    let message_ids = taken.sent_messages.into_iter().map(|sent| sent.id).collect();
    Ok(Receipt { message_ids, accepted_at: None, extras: vec![] })
}

/// The message in LINE's words.
fn content(content: &Content) -> Result<Value, Failure> {
    match content {
        Content::Text(words) => text(words),
        Content::Choices(choices) => buttons(choices),
        Content::Media(files) => match files.as_slice() {
            [file] if file.family == MediaFamily::Image => image(file),
            [_] => Err(Failure::unsupported("LINE takes no files but pictures; send a link instead")),
            _ => Err(Failure::unsupported("LINE takes one picture in a message")),
        },
        _ => Err(Failure::unsupported("LINE takes texts, pictures and buttons")),
    }
}

fn text(words: &str) -> Result<Value, Failure> {
    if words.encode_utf16().count() > TEXT_UNITS_MAX as usize {
        let message =
            format!("the text is longer than LINE's {TEXT_UNITS_MAX} UTF-16 units; shorten or split it");
        return Err(Failure::new(FailureKind::ContentTooLong, message));
    }
    Ok(json!({ "type": "text", "text": words }))
}

/// A text with quick replies. They are gone once somebody picks one, as LINE wants it.
fn buttons(choices: &Choices) -> Result<Value, Failure> {
    if choices.items.len() > BUTTONS_MAX as usize {
        return Err(Failure::unsupported(format!("LINE takes {BUTTONS_MAX} buttons at most")));
    }
    let parts = [choices.header.as_deref(), Some(choices.text.as_str()), choices.footer.as_deref()];
    let parts: Vec<_> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    let mut message = text(&parts.join("\n\n"))?;
    let items: Result<Vec<Value>, Failure> = choices.items.iter().map(button).collect();
    message["quickReply"] = json!({ "items": items? });
    Ok(message)
}

fn button(item: &Item) -> Result<Value, Failure> {
    let with_title = json!({ "id": item.id, "title": item.title }).to_string();
    let fits = |data: &String| data.chars().count() <= DATA_CHARS_MAX;
    let data = [with_title, json!({ "id": item.id }).to_string()].into_iter().find(fits);
    let data = data.ok_or_else(|| {
        Failure::new(FailureKind::ContentRejected, "the id of a button is too long for LINE; shorten it")
    })?;
    let label: String = item.title.chars().take(LABEL_CHARS_MAX).collect();
    let action = json!({ "type": "postback", "label": label, "data": data, "displayText": item.title });
    Ok(json!({ "type": "action", "action": action }))
}

fn image(file: &Attachment) -> Result<Value, Failure> {
    if file.caption.as_deref().is_some_and(|caption| !caption.is_empty()) {
        return Err(Failure::unsupported("LINE takes no caption; send the words as a message of their own"));
    }
    if !file.url.starts_with("https://") || file.url.chars().count() > URL_CHARS_MAX {
        return Err(Failure::new(
            FailureKind::MediaInvalid,
            "LINE fetches pictures over https; give this server a public https address",
        ));
    }
    Ok(json!({ "type": "image", "originalContentUrl": file.url, "previewImageUrl": file.url }))
}

/// LINE's own words, and a month's limit told apart from going too fast.
pub(crate) fn refusal(failure: Failure, answer: &Response) -> Failure {
    let body: Value = answer.json().unwrap_or_default();
    let words = body["message"].as_str();
    if answer.status == 429 && words.is_some_and(|words| words.contains(MONTHLY)) {
        let message = "the plan's messages of this month are used up; raise the plan at LINE";
        let failure =
            Failure { http_status: Some(429), ..Failure::new(FailureKind::QuotaExhausted, message) };
        return failure.retry(Retry::AfterOwnerActs).vendor(None, words);
    }
    failure.vendor(None, words)
}

/// A UUID that is the same for every try of an effect: FNV-1a of its id, 128 bits.
fn retry_key(effect_id: &str) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = effect_id.bytes().fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    let mut key = String::new();
    for (place, digit) in format!("{hash:032x}").chars().enumerate() {
        if matches!(place, 8 | 12 | 16 | 20) {
            key.push('-');
        }
        let _ = write!(key, "{digit}"); // writing to a String cannot fail
    }
    key
}

/// A call of LINE's API that may be repeated.
pub(crate) fn authorised(call: CallBuilder) -> CallBuilder {
    call.bearer(http::secret(ACCESS_TOKEN)).idempotent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_try_of_an_effect_has_the_same_uuid() {
        let key = retry_key("eff_1");
        assert_eq!(key, retry_key("eff_1"));
        assert_ne!(key, retry_key("eff_2"));
        let lengths: Vec<_> = key.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
    }
}
