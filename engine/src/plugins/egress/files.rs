//! The files that one operation may use: those it was given to send on, and
//! those it fetches itself. Files of other messages do not exist for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::blob::{BLOB_BYTES_MAX, BlobStore, BlobStream, StoredBlob};
use crate::plugins::media::FetchedFile;
use crate::plugins::{ChannelContext, OutAttachment, OutboundContent, OutboundMessage};

/// What one operation may do with files.
#[derive(Debug, Default)]
pub(in crate::plugins) struct Files {
    owner: String,
    given: Vec<String>,
    /// Largest file that it may fetch.
    bytes_max: u64,
    fetched: Mutex<Vec<FetchedFile>>,
    too_large: AtomicBool,
}

impl Files {
    /// An operation that fetches files of at most `bytes_max` bytes.
    pub(in crate::plugins) fn fetching(context: &ChannelContext, bytes_max: u64) -> Self {
        Self { owner: context.files_of.clone(), bytes_max, ..Self::default() }
    }

    /// An operation that sends this message's files.
    pub(in crate::plugins) fn sending(context: &ChannelContext, message: &OutboundMessage) -> Self {
        let files: Vec<&OutAttachment> = match &message.content {
            OutboundContent::Media(files) => files.iter().collect(),
            OutboundContent::Template(template) => {
                template.slots.iter().filter_map(|slot| slot.media.as_ref()).collect()
            }
            _ => Vec::new(),
        };
        let given = files.into_iter().map(|file| file.blob.clone()).collect();
        Self { owner: context.files_of.clone(), given, bytes_max: BLOB_BYTES_MAX, ..Self::default() }
    }

    /// Was a file refused because of its size?
    pub(in crate::plugins) fn was_too_large(&self) -> bool {
        self.too_large.load(Ordering::Relaxed)
    }

    /// A file that this operation fetched.
    pub(in crate::plugins) fn kept(&self, blob: &str) -> Option<FetchedFile> {
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.iter().find(|file| file.blob == blob).cloned()
    }

    pub(super) async fn open(&self, blobs: &dyn BlobStore, blob: &str) -> std::io::Result<(BlobStream, u64)> {
        if !self.given.iter().any(|given| given == blob) {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        blobs.open(&self.owner, blob).await
    }

    pub(super) async fn store(
        &self,
        blobs: &dyn BlobStore,
        content: BlobStream,
        content_type: &str,
    ) -> std::io::Result<StoredBlob> {
        let stored = blobs.store(&self.owner, content, self.bytes_max).await;
        match &stored {
            Ok(stored) => self.fetched.lock().unwrap_or_else(PoisonError::into_inner).push(FetchedFile {
                blob: stored.id.clone(),
                content_type: content_type.to_owned(),
                size: stored.size,
            }),
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                self.too_large.store(true, Ordering::Relaxed);
            }
            Err(_) => {}
        }
        stored
    }
}
