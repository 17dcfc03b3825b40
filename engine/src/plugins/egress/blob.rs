//! Where the bytes of media go: a store behind a trait, and one that uses a
//! directory. Ids are ours, random and never a path.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Largest file, bytes; storing more fails and leaves nothing behind.
pub const BLOB_BYTES_MAX: u64 = 100 << 20;
const CHUNK_BYTES: usize = 64 << 10;

/// A file in pieces.
pub type BlobStream = Pin<Box<dyn Stream<Item = std::io::Result<Vec<u8>>> + Send>>;

/// A stored file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    /// `blb_…`.
    pub id: String,
    /// Bytes.
    pub size: u64,
}

/// Keeps files, each owned by one channel.
pub trait BlobStore: Send + Sync {
    /// Stores a stream of at most [`BLOB_BYTES_MAX`] bytes.
    fn store<'a>(
        &'a self,
        channel_id: &'a str,
        content: BlobStream,
    ) -> BoxFuture<'a, std::io::Result<StoredBlob>>;

    /// A file of this channel and its size. `NotFound` for another channel's.
    fn open<'a>(
        &'a self,
        channel_id: &'a str,
        blob_id: &'a str,
    ) -> BoxFuture<'a, std::io::Result<(BlobStream, u64)>>;
}

/// Files in `directory/<channel id>/<blob id>`.
pub struct DirectoryBlobs {
    directory: PathBuf,
    /// Random numbers for ids.
    random: Arc<dyn Fn() -> u128 + Send + Sync>,
}

impl DirectoryBlobs {
    /// Uses a directory that is made when first needed.
    pub fn new(directory: PathBuf, random: Arc<dyn Fn() -> u128 + Send + Sync>) -> Self {
        Self { directory, random }
    }

    fn path(&self, channel_id: &str, blob_id: &str) -> std::io::Result<PathBuf> {
        for part in [channel_id, blob_id] {
            let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
            if part.is_empty() || part.len() > 64 || !part.bytes().all(plain) {
                return Err(std::io::ErrorKind::NotFound.into());
            }
        }
        Ok(self.directory.join(channel_id).join(blob_id))
    }
}

impl BlobStore for DirectoryBlobs {
    fn store<'a>(
        &'a self,
        channel_id: &'a str,
        mut content: BlobStream,
    ) -> BoxFuture<'a, std::io::Result<StoredBlob>> {
        Box::pin(async move {
            let id = format!("blb_{:032x}", (self.random)());
            let path = self.path(channel_id, &id)?;
            tokio::fs::create_dir_all(self.directory.join(channel_id)).await?;
            let partial = path.with_extension("partial");
            let size = match write(&partial, &mut content).await {
                Ok(size) => size,
                Err(error) => {
                    let _ = tokio::fs::remove_file(&partial).await;
                    return Err(error);
                }
            };
            tokio::fs::rename(&partial, &path).await?;
            Ok(StoredBlob { id, size })
        })
    }

    fn open<'a>(
        &'a self,
        channel_id: &'a str,
        blob_id: &'a str,
    ) -> BoxFuture<'a, std::io::Result<(BlobStream, u64)>> {
        Box::pin(async move {
            let file = tokio::fs::File::open(self.path(channel_id, blob_id)?).await?;
            let size = file.metadata().await?.len();
            let pieces = stream::try_unfold(file, |mut file| async move {
                let mut piece = vec![0; CHUNK_BYTES];
                let read = file.read(&mut piece).await?;
                piece.truncate(read);
                Ok((read > 0).then_some((piece, file)))
            });
            Ok((Box::pin(pieces) as BlobStream, size))
        })
    }
}

async fn write(path: &std::path::Path, content: &mut BlobStream) -> std::io::Result<u64> {
    let mut file = tokio::fs::File::create(path).await?;
    let mut size = 0_u64;
    while let Some(piece) = content.next().await {
        let piece = piece?;
        size += piece.len() as u64;
        if size > BLOB_BYTES_MAX {
            return Err(std::io::Error::new(
                std::io::ErrorKind::FileTooLarge,
                format!("the file is larger than {} MiB", BLOB_BYTES_MAX >> 20),
            ));
        }
        file.write_all(&piece).await?;
    }
    file.sync_all().await?;
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(pieces: Vec<&'static [u8]>) -> BlobStream {
        Box::pin(stream::iter(pieces.into_iter().map(|p| Ok(p.to_vec()))))
    }

    #[tokio::test]
    async fn a_file_comes_back_whole_and_only_to_its_channel() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = DirectoryBlobs::new(directory.path().into(), Arc::new(|| 7));
        let stored = blobs.store("chn_1", pieces(vec![b"ab", b"cd"])).await.unwrap();
        assert_eq!(stored.size, 4);
        let (content, size) = blobs.open("chn_1", &stored.id).await.unwrap();
        let content: Vec<u8> = content.map(|p| p.unwrap()).concat().await;
        assert_eq!((content.as_slice(), size), (b"abcd".as_slice(), 4));
        for (channel, id) in
            [("chn_2", stored.id.as_str()), ("chn_1", "../chn_1/x"), ("..", "x"), ("", ""), ("chn_1", "/etc")]
        {
            assert!(blobs.open(channel, id).await.is_err(), "{channel} {id}");
        }
    }

    #[tokio::test]
    async fn a_broken_stream_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = DirectoryBlobs::new(directory.path().into(), Arc::new(|| 7));
        let broken = stream::iter([Ok(b"ab".to_vec()), Err(std::io::Error::other("cut"))]);
        assert!(blobs.store("chn_1", Box::pin(broken)).await.is_err());
        assert_eq!(std::fs::read_dir(directory.path().join("chn_1")).unwrap().count(), 0);
    }
}
