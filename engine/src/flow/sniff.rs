//! What a file is, by its first bytes. What the sender claims counts only where
//! the bytes cannot say, and never for what a browser would run.

/// Bytes to look at.
pub const HEAD_BYTES: usize = 8 << 10;
/// A file of no known type; browsers only save it.
pub const UNKNOWN: &str = "application/octet-stream";
/// What is inside these, their first bytes do not tell.
const CONTAINERS: [&str; 2] = ["application/zip", "application/x-ole-storage"];
const ARCHIVES: [&str; 8] = [
    "application/zip",
    "application/gzip",
    "application/x-tar",
    "application/x-7z-compressed",
    "application/vnd.rar",
    "application/x-bzip2",
    "application/x-xz",
    "application/zstd",
];
/// Raster images, which browsers show and never run.
const SHOWN_IMAGES: [&str; 6] =
    ["image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp", "image/avif"];

/// The type of a file, without parameters.
pub fn content_type(head: &[u8], claimed: Option<&str>) -> String {
    let claimed = claimed.and_then(essence).filter(|claimed| !is_active(claimed));
    let found = infer::get(head).map(|found| found.mime_type());
    match (found, claimed) {
        (Some(found), _) if is_active(found) => UNKNOWN.to_owned(),
        (Some(found), Some(claimed)) if is_detail(found, &claimed) => claimed,
        (Some(found), _) => found.to_owned(),
        // Every image type has a signature: without one it is none.
        (None, Some(claimed)) if !claimed.starts_with("image/") => claimed,
        (None, _) => UNKNOWN.to_owned(),
    }
}

/// Does the claim only say more than the bytes can?
fn is_detail(found: &str, claimed: &str) -> bool {
    let is_office = CONTAINERS.contains(&found) && claimed.starts_with("application/");
    // A container of video may hold sound alone: voice messages are such files.
    let is_sound = found.starts_with("video/") && claimed.starts_with("audio/");
    is_office || is_sound
}

/// `type/subtype` in lower case; `None` when it is not of that form.
fn essence(claimed: &str) -> Option<String> {
    let essence = claimed.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_token = |part: &str| {
        (1..=80).contains(&part.len())
            && part.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'+' | b'_'))
    };
    let (kind, detail) = essence.split_once('/')?;
    (is_token(kind) && is_token(detail)).then_some(essence)
}

/// Could a browser run it?
fn is_active(content_type: &str) -> bool {
    content_type.contains("html")
        || content_type.contains("xml") && !content_type.contains("openxml")
        || content_type.contains("script")
        || content_type.contains("svg")
}

/// May a browser show it in a page, or is it only offered for saving?
pub fn is_shown(content_type: &str) -> bool {
    SHOWN_IMAGES.contains(&content_type)
        || content_type.starts_with("audio/")
        || content_type.starts_with("video/")
}

/// The family of a file that nobody named.
pub fn family(content_type: &str) -> &'static str {
    match content_type.split('/').next() {
        Some("image") => "image",
        Some("audio") => "audio",
        Some("video") => "video",
        _ if ARCHIVES.contains(&content_type) => "archive",
        _ => "document",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const ZIP: &[u8] = b"PK\x03\x04\x14\0\0\0\0\0";
    const MP4: &[u8] = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom";

    #[test]
    fn the_bytes_say_what_a_file_is() {
        let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        for (head, claimed, expected) in [
            (PNG, Some("image/jpeg"), "image/png"),
            (PNG, None, "image/png"),
            (b"%PDF-1.7 ", Some("text/html"), "application/pdf"),
            (ZIP, Some(docx), docx),
            (ZIP, Some("image/png"), "application/zip"),
            (MP4, Some("audio/mp4"), "audio/mp4"),
            (b"BEGIN:VCARD", Some("Text/VCard; charset=utf-8"), "text/vcard"),
            (b"<html><script>", Some("text/plain"), UNKNOWN),
            (b"<svg onload=x>", Some("image/svg+xml"), UNKNOWN),
            (b"nothing known", Some("image/png"), UNKNOWN),
            (b"nothing known", Some("not a type"), UNKNOWN),
            (b"", None, UNKNOWN),
        ] {
            assert_eq!(content_type(head, claimed), expected, "{claimed:?} {head:?}");
        }
    }

    #[test]
    fn only_what_cannot_run_is_shown() {
        assert!(is_shown("image/png") && is_shown("audio/ogg"));
        assert!(!is_shown("image/svg+xml") && !is_shown("text/html") && !is_shown("application/pdf"));
    }
}
