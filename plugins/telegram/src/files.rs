//! Files to send: one by the method of its kind, two to ten as an album. The
//! bytes go along; Telegram's own fetching of links takes less.

use pointsman_plugin::descriptor::MediaFamily;
use pointsman_plugin::http::{self, CallBuilder, Part};
use pointsman_plugin::sender::Attachment;
use pointsman_plugin::{Failure, FailureKind};
use serde_json::{Value, json};

use crate::api::Api;

/// Text under a file, UTF-16 units.
pub(crate) const CAPTION_UNITS_MAX: usize = 1_024;
/// Files of an album.
pub(crate) const FILES_MAX: usize = 10;

/// The call that sends them. `common`: the fields that every message has.
pub(crate) fn call(api: &Api<'_>, files: &[Attachment], common: Vec<Part>) -> Result<CallBuilder, Failure> {
    for file in files {
        let units = file.caption.as_deref().map_or(0, |caption| caption.encode_utf16().count());
        if units > CAPTION_UNITS_MAX {
            let message =
                format!("the text under a file is longer than {CAPTION_UNITS_MAX} characters; shorten it");
            return Err(Failure::new(FailureKind::ContentTooLong, message));
        }
    }
    match files {
        [file] => Ok(one(api, file, common)),
        [] => Err(Failure::unsupported("there is no file to send")),
        files if files.len() > FILES_MAX => Err(Failure::unsupported(format!(
            "one message takes 1 to {FILES_MAX} files; send the others by themselves"
        ))),
        files => album(api, files, common),
    }
}

fn one(api: &Api<'_>, file: &Attachment, mut parts: Vec<Part>) -> CallBuilder {
    let (method, field) = match file.family {
        MediaFamily::Image => ("sendPhoto", "photo"),
        MediaFamily::Audio => ("sendAudio", "audio"),
        MediaFamily::Voice => ("sendVoice", "voice"),
        MediaFamily::Video => ("sendVideo", "video"),
        MediaFamily::Sticker => ("sendSticker", "sticker"),
        MediaFamily::Document | MediaFamily::Archive => ("sendDocument", "document"),
    };
    let caption = file.caption.as_deref().filter(|caption| !caption.is_empty());
    parts.extend(caption.map(|caption| http::field_part("caption", caption)));
    parts.push(http::file_part(field, file));
    api.method(method).multipart(parts)
}

/// Pictures and films go together; sounds and documents only with their like.
fn album(api: &Api<'_>, files: &[Attachment], mut parts: Vec<Part>) -> Result<CallBuilder, Failure> {
    let word = |file: &Attachment| match file.family {
        MediaFamily::Image => Some(("photo", 0)),
        MediaFamily::Video => Some(("video", 0)),
        MediaFamily::Audio => Some(("audio", 1)),
        MediaFamily::Document | MediaFamily::Archive => Some(("document", 2)),
        MediaFamily::Voice | MediaFamily::Sticker => None,
    };
    let words: Option<Vec<(&str, u8)>> = files.iter().map(word).collect();
    let words =
        words.filter(|words| words.windows(2).all(|pair| pair[0].1 == pair[1].1)).ok_or_else(|| {
            Failure::unsupported("these files do not go together on Telegram; send each by itself")
        })?;
    let mut items = vec![];
    for (at, (file, (kind, _))) in files.iter().zip(words).enumerate() {
        let name = format!("file{at}");
        let mut item = json!({ "type": kind, "media": format!("attach://{name}") });
        if let Some(caption) = file.caption.as_deref().filter(|caption| !caption.is_empty()) {
            item["caption"] = json!(caption);
        }
        items.push(item);
        parts.push(http::file_part(&name, file));
    }
    parts.push(http::field_part("media", Value::Array(items).to_string()));
    Ok(api.method("sendMediaGroup").multipart(parts))
}
