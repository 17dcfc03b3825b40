//! A file as a part of a message. How far it is and where its bytes are stands in
//! its own row (`store::attachments`); here is what belongs to the message.

use pointsman_rules::ids::{AttachmentId, TenantId};
use serde::{Deserialize, Serialize};

use super::jobs::{Outcome, Round};
use super::{Flow, FlowError};
use crate::plugins::{Media, OutAttachment};
use crate::store::{Durability, attachments, thumbnails};

/// What a file is called that has no name.
const UNNAMED: &str = "file";
/// Longest file name, characters; the rest is cut.
const NAME_CHARS_MAX: usize = 120;

/// An upload that was not sent is removed after this long, milliseconds: a day.
const UNSENT_MS: i64 = 24 * 3_600_000;
/// Uploads removed in one transaction.
const ROWS_PER_STEP: u32 = 100;

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
        if is_used(flow, tenant, &blob).await? {
            continue;
        }
        let image = blob.clone();
        let picture = flow.db.write(Durability::Soft, move |tx| {
            let image = image.clone();
            Box::pin(async move { thumbnails::delete(tx, tenant, &image).await })
        });
        let picture = picture.await?;
        remove(flow, tenant, &blob).await;
        if let Some(picture) = picture
            && !is_used(flow, tenant, &picture).await?
        {
            remove(flow, tenant, &picture).await;
        }
    }
    Ok(())
}

/// Has any message these bytes, or are they the small picture of an image?
async fn is_used(flow: &Flow, tenant: TenantId, blob: &str) -> Result<bool, FlowError> {
    let tx = &mut flow.db.read().await?;
    Ok(attachments::is_used(tx, tenant, blob).await? || thumbnails::is_picture(tx, tenant, blob).await?)
}

async fn remove(flow: &Flow, tenant: TenantId, blob: &str) {
    if let Err(error) = flow.host.blobs().remove(&tenant.to_string(), blob).await {
        tracing::error!(blob, %error, "the bytes of a removed file stay behind; remove them by hand");
    }
}

/// Removes uploads that nobody sent in time, with their bytes.
///
/// # Errors
/// The store's.
pub async fn sweep(round: &Round) -> Result<Outcome, FlowError> {
    let (flow, tenant) = (&round.flow, round.tenant);
    loop {
        if round.stop.is_cancelled() {
            return Ok(Outcome::Snoozed);
        }
        let before_ms = flow.clock.now_ms() - UNSENT_MS;
        let gone = flow.db.write(Durability::Hard, move |tx| {
            Box::pin(async move { attachments::delete_unsent(tx, tenant, before_ms, ROWS_PER_STEP).await })
        });
        let gone = gone.await?;
        let is_last = gone.len() < ROWS_PER_STEP as usize;
        forget(flow, tenant, gone).await?;
        if is_last {
            return Ok(Outcome::Done);
        }
    }
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
