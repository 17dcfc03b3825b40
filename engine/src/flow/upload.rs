//! Files that come to us in several requests: each is appended to a part file on
//! this disk, whose length says how much has arrived, also after a crash. When it
//! is whole it moves to the file store and becomes an attachment.

use std::fs::TryLockError;
use std::io::{Error, ErrorKind};
use std::path::PathBuf;

use futures_util::{StreamExt as _, stream};
use pointsman_rules::ids::{AttachmentId, TenantId};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::jobs::{Outcome, Round};
use super::{Flow, FlowError, fetch, sniff};
use crate::plugins::{BLOB_BYTES_MAX, BlobStream};
use crate::store::attachments::{self, Attachment, FileState};
use crate::store::uploads::{self, Upload};
use crate::store::{Durability, StoreError};

/// An upload that was not finished is removed after this long, milliseconds: a day.
const UNFINISHED_MS: i64 = 24 * 3_600_000;
/// Uploads removed in one step.
const ROWS_PER_STEP: u32 = 100;
const PIECE_BYTES: usize = 64 << 10;

/// Why an upload does not go on.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It goes on elsewhere in the file.
    #[error("{arrived} bytes have arrived")]
    Offset {
        /// How much has arrived, bytes.
        arrived: u64,
    },
    /// Another request writes to it.
    #[error("another request writes to it")]
    Busy,
    /// More came than was announced.
    #[error("more came than was announced")]
    TooLong,
    /// The body ended early; what came of it is kept.
    #[error("the body ended early")]
    Broken,
    /// The disk or the file store failed.
    #[error("the file cannot be written")]
    Io(#[from] Error),
    /// The flow room failed.
    #[error(transparent)]
    Flow(#[from] FlowError),
}

impl From<StoreError> for UploadError {
    fn from(error: StoreError) -> Self {
        Self::Flow(error.into())
    }
}

/// How much has arrived, bytes.
///
/// # Errors
/// The disk's.
pub async fn arrived(flow: &Flow, tenant: TenantId, upload: &Upload) -> Result<u64, UploadError> {
    match fs::metadata(path(flow, tenant, upload.id)).await {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Adds what comes to a file of which `from` bytes have arrived; answers how much has arrived then. The last piece makes
/// it an attachment.
///
/// # Errors
/// What came until then is kept.
pub async fn append(
    flow: &Flow,
    tenant: TenantId,
    upload: &Upload,
    from: u64,
    content: BlobStream,
) -> Result<u64, UploadError> {
    let mut part = open(flow, tenant, upload).await?;
    let arrived = part.metadata().await?.len();
    if arrived != from {
        return Err(UploadError::Offset { arrived });
    }
    let length = length(upload);
    let written = write(&mut part, content, length - arrived.min(length)).await;
    part.flush().await?;
    part.sync_all().await?; // what we say has arrived is there after a power cut, too
    let arrived = part.metadata().await?.len();
    written?;
    if arrived == length {
        finish(flow, tenant, upload).await?;
    }
    Ok(arrived)
}

/// Makes a whole file an attachment that a crash has kept from it; nothing happens to others.
///
/// # Errors
/// The disk's, the file store's or the database's.
pub async fn complete(flow: &Flow, tenant: TenantId, upload: &Upload) -> Result<(), UploadError> {
    if arrived(flow, tenant, upload).await? < length(upload) {
        return Ok(());
    }
    match open(flow, tenant, upload).await {
        Ok(_part) => finish(flow, tenant, upload).await,
        Err(UploadError::Busy) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes an upload that is under way.
///
/// # Errors
/// The database's; what stays of it on the disk is removed with the next start of the same upload, which never comes.
pub async fn remove(flow: &Flow, tenant: TenantId, id: AttachmentId) -> Result<bool, FlowError> {
    let _ = fs::remove_file(path(flow, tenant, id)).await; // perhaps nothing has arrived
    let gone = flow
        .db
        .write(Durability::Hard, move |tx| Box::pin(async move { uploads::delete(tx, tenant, id).await }));
    Ok(gone.await?)
}

/// Removes uploads that nobody went on with for a day.
///
/// # Errors
/// The store's.
pub async fn sweep(round: &Round) -> Result<Outcome, FlowError> {
    let (flow, tenant) = (&round.flow, round.tenant);
    loop {
        let before_ms = flow.clock.now_ms() - UNFINISHED_MS;
        let old = uploads::begun_before(&mut flow.db.read().await?, tenant, before_ms, ROWS_PER_STEP).await?;
        for id in &old {
            if round.stop.is_cancelled() {
                return Ok(Outcome::Snoozed);
            }
            remove(flow, tenant, *id).await?;
        }
        if old.len() < ROWS_PER_STEP as usize {
            return Ok(Outcome::Done);
        }
    }
}

fn path(flow: &Flow, tenant: TenantId, id: AttachmentId) -> PathBuf {
    flow.settings.uploads_dir.join(tenant.to_string()).join(format!("{id}.part"))
}

fn length(upload: &Upload) -> u64 {
    u64::try_from(upload.length_bytes).unwrap_or(0)
}

/// The part file, to append to, for this request alone: the system frees the lock even when the process dies.
async fn open(flow: &Flow, tenant: TenantId, upload: &Upload) -> Result<File, UploadError> {
    let path = path(flow, tenant, upload.id);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).await?;
    }
    let part = std::fs::File::options().append(true).create(true).open(path)?;
    match part.try_lock() {
        Ok(()) => Ok(File::from_std(part)),
        Err(TryLockError::WouldBlock) => Err(UploadError::Busy),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

async fn write(part: &mut File, mut content: BlobStream, bytes_max: u64) -> Result<(), UploadError> {
    let mut left = bytes_max;
    while let Some(piece) = content.next().await {
        let piece = piece.map_err(|_| UploadError::Broken)?;
        let size = piece.len() as u64;
        if size > left {
            return Err(UploadError::TooLong);
        }
        part.write_all(&piece).await?;
        left -= size;
    }
    Ok(())
}

/// Into the file store, and from an upload to an attachment in one transaction. Whoever repeats it finds the upload gone.
async fn finish(flow: &Flow, tenant: TenantId, upload: &Upload) -> Result<(), UploadError> {
    let owner = tenant.to_string();
    let part = File::open(path(flow, tenant, upload.id)).await?;
    let pieces = stream::try_unfold(part, |mut part| async move {
        let mut piece = vec![0; PIECE_BYTES];
        let read = part.read(&mut piece).await?;
        piece.truncate(read);
        Ok((read > 0).then_some((piece, part)))
    });
    let stored = flow.host.blobs().store(&owner, pieces.boxed(), BLOB_BYTES_MAX).await?;
    let head = fetch::head(flow, &owner, &stored.id).await?;
    let content_type = sniff::content_type(&head, upload.content_type.as_deref());
    let row = Attachment {
        id: upload.id,
        place: None,
        family: sniff::family(&content_type).to_owned(),
        content_type: Some(content_type),
        file_name: upload.file_name.clone(),
        size_bytes: i64::try_from(stored.size).ok(),
        source: None,
        state: FileState::Stored,
        problem: None,
        blob: Some(stored.id),
        attempts: 0,
        uploader: Some(upload.uploader.clone()),
        // Its day to be sent begins now.
        created_ms: flow.clock.now_ms(),
    };
    let id = upload.id;
    let kept = flow.db.write(Durability::Hard, move |tx| {
        let row = row.clone();
        Box::pin(async move {
            if uploads::delete(tx, tenant, id).await? {
                attachments::insert(tx, &[(tenant, row)]).await?;
            }
            Ok(())
        })
    });
    kept.await?;
    fs::remove_file(path(flow, tenant, upload.id)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::clock::Clock;
    use crate::flow::testing;
    use crate::store::testing::each_db;

    const NOW_MS: i64 = 1_763_712_000_000;
    const TENANT: i64 = 1;

    fn pieces(pieces: Vec<std::io::Result<&'static [u8]>>) -> BlobStream {
        stream::iter(pieces.into_iter().map(|piece| piece.map(<[u8]>::to_vec))).boxed()
    }

    async fn begun(flow: &Flow, n: u128, length_bytes: i64) -> Upload {
        let (tenant, uploader) = (TenantId::new(TENANT, 1), "usr_1".to_owned());
        let (content_type, file_name, created_ms) = (None, Some("a.txt".to_owned()), flow.clock.now_ms());
        let upload = Upload {
            id: AttachmentId::new(1, n),
            uploader,
            length_bytes,
            content_type,
            file_name,
            created_ms,
        };
        let row = upload.clone();
        let kept = flow.db.write(Durability::Hard, move |tx| {
            let row = row.clone();
            Box::pin(async move { uploads::insert(tx, tenant, &row).await })
        });
        kept.await.unwrap();
        upload
    }

    #[test]
    fn a_file_arrives_in_pieces_and_survives_a_cut() {
        each_db(|db| async move {
            let folder = tempfile::tempdir().unwrap();
            let flow = testing::on(db, Clock::fixed(NOW_MS), folder.path());
            let tenant = TenantId::new(TENANT, 1);
            let upload = begun(&flow, 1, 10).await;
            let cut = pieces(vec![Ok(b"%PDF"), Err(Error::other("cut"))]);
            assert!(matches!(append(&flow, tenant, &upload, 0, cut).await, Err(UploadError::Broken)));
            assert_eq!(arrived(&flow, tenant, &upload).await.unwrap(), 4, "what came is kept");
            let wrong = append(&flow, tenant, &upload, 0, pieces(vec![Ok(b"%PDF")])).await;
            assert!(matches!(wrong, Err(UploadError::Offset { arrived: 4 })));
            let long = append(&flow, tenant, &upload, 4, pieces(vec![Ok(b"-1.7 and more")])).await;
            assert!(matches!(long, Err(UploadError::TooLong)));
            let other = open(&flow, tenant, &upload).await.unwrap();
            let busy = append(&flow, tenant, &upload, 4, pieces(vec![Ok(b"-")])).await;
            assert!(matches!(busy, Err(UploadError::Busy)));
            drop(other);
            let rest = pieces(vec![Ok(b"-1."), Ok(b"7 x")]);
            assert_eq!(append(&flow, tenant, &upload, 4, rest).await.unwrap(), 10);
            let tx = &mut flow.db.read().await.unwrap();
            let file = attachments::get(tx, tenant, upload.id).await.unwrap().unwrap();
            assert_eq!((file.content_type.as_deref(), file.size_bytes), (Some("application/pdf"), Some(10)));
            assert_eq!(uploads::get(tx, tenant, upload.id).await.unwrap(), None);
            let left =
                std::fs::read_dir(folder.path().join("uploads").join(tenant.to_string())).unwrap().count();
            assert_eq!(left, 0, "the part file is gone");
        });
    }

    #[test]
    fn a_crash_before_the_end_is_made_good_and_old_uploads_go() {
        each_db(|db| async move {
            let folder = tempfile::tempdir().unwrap();
            let flow = testing::on(db, Clock::fixed(NOW_MS), folder.path());
            let tenant = TenantId::new(TENANT, 1);
            let (whole, half) = (begun(&flow, 1, 2).await, begun(&flow, 2, 9).await);
            for upload in [&whole, &half] {
                open(&flow, tenant, upload).await.unwrap().write_all(b"ab").await.unwrap();
            }
            complete(&flow, tenant, &whole).await.unwrap();
            complete(&flow, tenant, &half).await.unwrap();
            let found = async |id| {
                let tx = &mut flow.db.read().await.unwrap();
                let is_file = attachments::get(tx, tenant, id).await.unwrap().is_some();
                (is_file, uploads::get(tx, tenant, id).await.unwrap().is_some())
            };
            assert_eq!((found(whole.id).await, found(half.id).await), ((true, false), (false, true)));
            let round = Round { flow: flow.clone(), tenant, stop: CancellationToken::new() };
            flow.clock.advance(UNFINISHED_MS);
            assert_eq!(sweep(&round).await.unwrap(), Outcome::Done);
            assert_eq!(found(half.id).await, (false, true), "not a millisecond early");
            flow.clock.advance(1);
            assert_eq!(sweep(&round).await.unwrap(), Outcome::Done);
            assert_eq!(found(half.id).await, (false, false));
            assert!(!path(&flow, tenant, half.id).exists());
        });
    }
}
