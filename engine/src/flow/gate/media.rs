//! Which files a channel takes: number, type, size and caption, as the vendor's
//! capabilities say. Every limit is named in the refusal.

use pointsman_rules::facts::{Capabilities, MediaRule};

use super::{Refusal, refuse};
use crate::flow::file::File;

/// Types named in a refusal at most.
const TYPES_SHOWN_MAX: usize = 12;

/// May these files leave together?
pub(super) fn check(capabilities: &Capabilities, files: &[File]) -> Result<(), Refusal> {
    let most = capabilities.attachments_max as usize;
    if most == 0 {
        return refuse("media_unsupported", "This channel cannot send files; send a link as text.");
    }
    if files.len() > most {
        let detail = format!("One message takes {most} files here; send the others by themselves.");
        return refuse("too_many_files", detail);
    }
    check_each(capabilities, files.iter())
}

/// May each of these files leave?
pub(super) fn check_each<'f>(
    capabilities: &Capabilities,
    mut files: impl Iterator<Item = &'f File>,
) -> Result<(), Refusal> {
    files.try_for_each(|file| one(capabilities, file))
}

fn one(capabilities: &Capabilities, file: &File) -> Result<(), Refusal> {
    let content_type = file.content_type.as_deref().unwrap_or_default();
    let Some(rule) = rule(capabilities, file) else {
        let mut types: Vec<&str> =
            capabilities.media.iter().flat_map(|rule| &rule.content_types).map(String::as_str).collect();
        types.truncate(TYPES_SHOWN_MAX);
        let detail = format!("This channel does not take {content_type}; it takes {}.", types.join(", "));
        return refuse("media_type", detail);
    };
    let (size, most) = (file.size.unwrap_or(0), rule.send_bytes_max);
    if most > 0 && size > most {
        let (kind, most) = (&rule.family, in_mb(most));
        let detail = format!(
            "The file has {}; this channel takes files of kind {kind} up to {most}. Make it smaller, or send a link.",
            in_mb(size)
        );
        return refuse("media_too_large", detail);
    }
    let length = file.caption.as_deref().map_or(0, |caption| caption.chars().count());
    match rule.caption_max {
        Some(most) if length > most as usize => {
            let detail = format!("The caption has {length} characters; this channel takes {most}.");
            refuse("caption_too_long", detail)
        }
        None if length > 0 => {
            refuse("caption_unsupported", "Files of this type carry no text here; send the text by itself.")
        }
        _ => Ok(()),
    }
}

/// As people say it.
fn in_mb(bytes: u64) -> String {
    if bytes < 1_000_000 {
        format!("{bytes} bytes")
    } else {
        format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
    }
}

/// Is its size all that keeps the channel from taking this file?
pub fn is_too_large(capabilities: &Capabilities, file: &File) -> bool {
    let most = rule(capabilities, file).map_or(0, |rule| rule.send_bytes_max);
    most > 0 && file.size.unwrap_or(0) > most
}

/// What the vendor calls this file: an image may be a sticker there.
pub fn family(capabilities: &Capabilities, file: &File) -> String {
    rule(capabilities, file).map_or_else(|| file.family.clone(), |rule| rule.family.clone())
}

/// The vendor's rule for this file, best one of the same family.
fn rule<'a>(capabilities: &'a Capabilities, file: &File) -> Option<&'a MediaRule> {
    let is_listed = |rule: &MediaRule| {
        let content_type = file.content_type.as_deref().unwrap_or_default();
        rule.content_types.iter().any(|listed| listed.eq_ignore_ascii_case(content_type))
    };
    let same = |rule: &&MediaRule| rule.family == file.family;
    let takes = |rule: &&MediaRule| rule.content_types.is_empty() || is_listed(rule);
    let rules = || capabilities.media.iter();
    rules().find(|rule| same(rule) && takes(rule)).or_else(|| rules().find(|rule| is_listed(rule)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::capabilities;
    use super::*;

    fn rule_of(family: &str, content_type: &str, caption_max: Option<u32>) -> MediaRule {
        MediaRule {
            family: family.into(),
            content_types: vec![content_type.into()],
            send_bytes_max: 100,
            receive_bytes_max: 100,
            caption_max,
        }
    }

    fn file(content_type: &str, size: u64, caption: Option<&str>) -> File {
        File {
            attachment: None,
            family: crate::flow::sniff::family(content_type).into(),
            content_type: Some(content_type.into()),
            file_name: None,
            size: Some(size),
            caption: caption.map(Into::into),
            blob: None,
        }
    }

    // S62
    #[test]
    fn each_limit_is_named() {
        let media = vec![
            rule_of("image", "image/png", Some(5)),
            rule_of("sticker", "image/webp", None),
            rule_of("document", "application/pdf", None),
        ];
        let caps = Capabilities { media, ..capabilities() };
        for (files, code, says) in [
            (vec![file("image/png", 100, Some("hello"))], "ok", ""),
            (vec![file("image/webp", 1, None)], "ok", ""),
            (vec![file("image/png", 101, None)], "media_too_large", "kind image up to 100 bytes"),
            (vec![file("image/gif", 1, None)], "media_type", "image/png, image/webp"),
            (vec![file("image/png", 1, Some("hello!"))], "caption_too_long", "takes 5"),
            (vec![file("application/pdf", 1, Some("x"))], "caption_unsupported", "by itself"),
            (vec![file("image/png", 1, None), file("image/png", 1, None)], "too_many_files", "takes 1"),
        ] {
            let refusal = check(&caps, &files).err();
            assert_eq!(refusal.as_ref().map_or("ok", |it| it.code), code, "{files:?}");
            assert!(refusal.is_none_or(|it| it.detail.contains(says)), "{files:?}");
        }
        assert_eq!([999, 1_500_000, 16_777_216].map(in_mb), ["999 bytes", "1.5 MB", "16.7 MB"]);
        let none = Capabilities { attachments_max: 0, ..caps.clone() };
        assert_eq!(check(&none, &[file("image/png", 1, None)]).unwrap_err().code, "media_unsupported");
        assert_eq!(family(&caps, &file("image/webp", 1, None)), "sticker");
    }
}
