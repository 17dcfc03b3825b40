//! A file as a part of a message. How far it is and where its bytes are stands in
//! its own row (`store::attachments`); here is what belongs to the message.

use pointsman_rules::ids::{AttachmentId, TenantId};
use serde::{Deserialize, Serialize};

use super::{Flow, FlowError};
use crate::plugins::{Media, OutAttachment};
use crate::store::attachments;

/// What a file is called that has no name.
const UNNAMED: &str = "file";
/// Longest file name, characters; the rest is cut.
const NAME_CHARS_MAX: usize = 120;

/// One file of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its row; none in messages that are older than the keeping of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<AttachmentId>,
    /// `image`, `audio`, `voice`, `video`, `document`, `sticker` or `archive`.
    pub family: String,
    /// MIME type: as claimed for a received file, as found for ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// What people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Bytes: as claimed for a received file, counted for ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Text under the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Id of the bytes of a file of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
}

impl File {
    /// A file that a contact sent, before it has a row.
    pub fn of_inbound(media: Media) -> Self {
        Self {
            attachment: None,
            family: media.family,
            content_type: media.content_type,
            file_name: media.file_name.as_deref().and_then(plain_name),
            size: media.size,
            caption: media.caption,
            blob: None,
        }
    }

    /// The file for the plugin that sends it; `None` when its bytes are not here.
    pub fn to_outbound(&self, family: String, url: String) -> Option<OutAttachment> {
        Some(OutAttachment {
            blob: self.blob.clone()?,
            family,
            content_type: self.content_type.clone()?,
            file_name: self.file_name.clone().unwrap_or_else(|| UNNAMED.to_owned()),
            size: self.size?,
            caption: self.caption.clone(),
            url,
        })
    }
}

/// Removes the bytes of files whose rows are gone, unless other messages have the same. Call it after the rows'
/// transaction: what a crash leaves behind is only bytes.
///
/// # Errors
/// The store's.
pub async fn forget(flow: &Flow, tenant: TenantId, blobs: Vec<String>) -> Result<(), FlowError> {
    for blob in blobs {
        if attachments::is_used(&mut flow.db.read().await?, tenant, &blob).await? {
            continue;
        }
        if let Err(error) = flow.host.blobs().remove(&tenant.to_string(), &blob).await {
            tracing::error!(blob, %error, "the bytes of a removed file stay behind; remove them by hand");
        }
    }
    Ok(())
}

/// A name that is safe to show and to offer for saving: no path, no control characters.
pub fn plain_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    let plain = plain.trim().trim_start_matches('.');
    (!plain.is_empty()).then(|| plain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_paths() {
        assert_eq!(plain_name("../../etc/passwd").as_deref(), Some("passwd"));
        assert_eq!(plain_name("D:\\a\\r\u{0}echnung.pdf").as_deref(), Some("rechnung.pdf"));
        assert_eq!(plain_name("..").as_deref(), None);
        assert_eq!(plain_name(&"x".repeat(500)).map(|name| name.len()), Some(NAME_CHARS_MAX));
    }

    #[test]
    fn messages_from_before_files_were_kept_can_be_read() {
        let old =
            r#"{"family":"image","source":{"kind":"vendor_ref","value":"x"},"content_type":"image/png"}"#;
        let file: File = serde_json::from_str(old).unwrap();
        assert_eq!((file.attachment, file.content_type.as_deref()), (None, Some("image/png")));
    }
}
