//! Files of messages: those of a contact are to be fetched, those of ours are
//! here already.

use pointsman_rules::ids::{AttachmentId, MessageId};

use super::{Case, Refused, to_json};
use crate::flow::content::Content;
use crate::flow::file::File;
use crate::plugins::Media;
use crate::store::attachments::{Attachment, FileState, Place};

impl Case<'_> {
    /// A contact's files, which will be fetched once the message is stored.
    ///
    /// # Errors
    /// There is no conversation.
    pub(in crate::flow) fn receive_files(
        &mut self,
        message: MessageId,
        media: Vec<Media>,
    ) -> Result<Content, Refused> {
        let mut items = Vec::with_capacity(media.len());
        for media in media {
            let source = to_json(&media.source);
            let mut file = File::of_inbound(media);
            file.attachment = Some(AttachmentId::new(self.now_ms, self.clock.random()));
            self.keep_file(message, items.len(), &file, Some(source))?;
            items.push(file);
        }
        Ok(Content::Media { items })
    }

    /// Files of ours, as this message's.
    ///
    /// # Errors
    /// There is no conversation.
    pub(super) fn attach_files(&mut self, message: MessageId, files: Vec<&File>) -> Result<(), Refused> {
        for (position, file) in files.into_iter().enumerate() {
            self.keep_file(message, position, file, None)?;
        }
        Ok(())
    }

    fn keep_file(
        &mut self,
        message: MessageId,
        position: usize,
        file: &File,
        source: Option<String>,
    ) -> Result<(), Refused> {
        let conversation = self.open_case()?.facts.id;
        let Some(id) = file.attachment else { return Ok(()) };
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let place = Place { channel: self.channel_id(), conversation, message, position };
        self.out.files.push(Attachment {
            id,
            place: Some(place),
            family: file.family.clone(),
            content_type: file.content_type.clone(),
            file_name: file.file_name.clone(),
            size_bytes: file.size.and_then(|size| i64::try_from(size).ok()),
            state: if source.is_some() { FileState::Pending } else { FileState::Stored },
            source,
            problem: None,
            blob: file.blob.clone(),
            attempts: 0,
            uploader: None,
            created_ms: self.now_ms,
        });
        Ok(())
    }
}
