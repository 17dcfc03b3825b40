//! Where the bytes of media go: a store behind a trait, and one that uses a
//! directory. A file's id is the hash of its content, so storing the same bytes
//! again is harmless, and never a path.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt, stream};
use ring::digest;
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::crypto::hex;

/// Largest file of any channel, bytes; storing more fails and leaves nothing behind.
pub const BLOB_BYTES_MAX: u64 = 100 << 20;
const CHUNK_BYTES: usize = 64 << 10;
const PREFIX: &str = "blb_";
/// Hex digits of a SHA-256.
const HASH_CHARS: usize = 64;
/// Longest owner, bytes.
const OWNER_BYTES_MAX: usize = 64;
/// Files on their way; a crash may leave some of them here.
const PARTIAL: &str = "partial";

/// A file in pieces.
pub type BlobStream = Pin<Box<dyn Stream<Item = std::io::Result<Vec<u8>>> + Send>>;

/// A stored file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    /// `blb_` and the SHA-256 of the content.
    pub id: String,
    /// Bytes.
    pub size: u64,
}

/// Keeps files, each for its owners only: the same bytes of two owners are two files.
pub trait BlobStore: Send + Sync {
    /// Stores a stream durably. More than `bytes_max` is an error of kind `FileTooLarge`.
    fn store<'a>(
        &'a self,
        owner: &'a str,
        content: BlobStream,
        bytes_max: u64,
    ) -> BoxFuture<'a, std::io::Result<StoredBlob>>;

    /// A file of this owner and its size. `NotFound` for another's.
    fn open<'a>(
        &'a self,
        owner: &'a str,
        blob_id: &'a str,
    ) -> BoxFuture<'a, std::io::Result<(BlobStream, u64)>>;

    /// Removes a file for good; it is no error when there is none.
    fn remove<'a>(&'a self, owner: &'a str, blob_id: &'a str) -> BoxFuture<'a, std::io::Result<()>>;
}

/// Files in `directory/<owner>/<two digits>/<hash>`.
pub struct DirectoryBlobs {
    directory: PathBuf,
    /// Random numbers for the names of files on their way.
    random: Arc<dyn Fn() -> u128 + Send + Sync>,
}

impl DirectoryBlobs {
    /// Uses a directory that is made when first needed.
    pub fn new(directory: PathBuf, random: Arc<dyn Fn() -> u128 + Send + Sync>) -> Self {
        Self { directory, random }
    }

    fn folder(&self, owner: &str) -> std::io::Result<PathBuf> {
        if !is_owner(owner) {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        Ok(self.directory.join(owner))
    }

    fn path(&self, owner: &str, blob_id: &str) -> std::io::Result<PathBuf> {
        let is_hash = |hash: &&str| hash.len() == HASH_CHARS && hash.bytes().all(|c| c.is_ascii_hexdigit());
        let hash = blob_id.strip_prefix(PREFIX).filter(is_hash).ok_or(std::io::ErrorKind::NotFound)?;
        Ok(self.folder(owner)?.join(&hash[..2]).join(hash))
    }
}

impl BlobStore for DirectoryBlobs {
    fn store<'a>(
        &'a self,
        owner: &'a str,
        mut content: BlobStream,
        bytes_max: u64,
    ) -> BoxFuture<'a, std::io::Result<StoredBlob>> {
        Box::pin(async move {
            let folder = self.folder(owner)?.join(PARTIAL);
            fs::create_dir_all(&folder).await?;
            let partial = folder.join(format!("{:032x}", (self.random)()));
            let stored = match write(&partial, &mut content, bytes_max).await {
                Ok(stored) => stored,
                Err(error) => {
                    let _ = fs::remove_file(&partial).await; // what stays is swept with the folder
                    return Err(error);
                }
            };
            let path = self.path(owner, &stored.id)?;
            put(&partial, &path).await?;
            Ok(stored)
        })
    }

    fn open<'a>(
        &'a self,
        owner: &'a str,
        blob_id: &'a str,
    ) -> BoxFuture<'a, std::io::Result<(BlobStream, u64)>> {
        Box::pin(async move {
            let file = File::open(self.path(owner, blob_id)?).await?;
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

    fn remove<'a>(&'a self, owner: &'a str, blob_id: &'a str) -> BoxFuture<'a, std::io::Result<()>> {
        Box::pin(async move {
            match fs::remove_file(self.path(owner, blob_id)?).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        })
    }
}

/// Could files belong to them? Anything else might be a path.
pub(super) fn is_owner(owner: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    (1..=OWNER_BYTES_MAX).contains(&owner.len()) && owner.bytes().all(plain)
}

/// Removes what a crash left of files on their way, in folders called `partial` and in `directory` itself: everything
/// that was not written to since `before`. Another process may be at the rest.
///
/// # Errors
/// The disk's.
pub fn sweep_partials(directory: &Path, before: SystemTime) -> std::io::Result<usize> {
    let mut folders = vec![directory.to_owned()];
    for owner in directory.read_dir()? {
        folders.push(owner?.path().join(PARTIAL));
    }
    let mut removed = 0;
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        for file in folder.read_dir()? {
            let file = file?;
            let metadata = file.metadata()?;
            if metadata.is_file() && metadata.modified()? < before {
                std::fs::remove_file(file.path())?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Writes a stream to a new file, durably; answers what it is.
///
/// # Errors
/// The stream's or the disk's; `FileTooLarge` above `bytes_max`.
pub(super) async fn write(
    path: &Path,
    content: &mut BlobStream,
    bytes_max: u64,
) -> std::io::Result<StoredBlob> {
    let bytes_max = bytes_max.min(BLOB_BYTES_MAX);
    let mut file = File::create(path).await?;
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut size = 0_u64;
    while let Some(piece) = content.next().await {
        let piece = piece?;
        size += piece.len() as u64;
        if size > bytes_max {
            return Err(std::io::Error::new(
                std::io::ErrorKind::FileTooLarge,
                format!("the file is larger than {bytes_max} bytes"),
            ));
        }
        hash.update(&piece);
        file.write_all(&piece).await?;
    }
    file.flush().await?;
    file.sync_all().await?;
    Ok(StoredBlob { id: format!("{PREFIX}{}", hex(hash.finish().as_ref())), size })
}

/// Moves a whole file to its place; it is there after a power cut too.
async fn put(partial: &Path, path: &Path) -> std::io::Result<()> {
    let Some(folder) = path.parent() else { return Err(std::io::ErrorKind::NotFound.into()) };
    fs::create_dir_all(folder).await?;
    fs::rename(partial, path).await?;
    File::open(folder).await?.sync_all().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(pieces: Vec<&'static [u8]>) -> BlobStream {
        Box::pin(stream::iter(pieces.into_iter().map(|p| Ok(p.to_vec()))))
    }

    fn partials(directory: &Path) -> usize {
        std::fs::read_dir(directory.join("tnt_1").join(PARTIAL)).unwrap().count()
    }

    #[tokio::test]
    async fn a_file_comes_back_whole_and_only_to_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = DirectoryBlobs::new(directory.path().into(), Arc::new(|| 7));
        let stored = blobs.store("tnt_1", pieces(vec![b"ab", b"cd"]), 4).await.unwrap();
        assert_eq!(stored.size, 4);
        let again = blobs.store("tnt_1", pieces(vec![b"abcd"]), 4).await.unwrap();
        assert_eq!((stored.id.as_str(), partials(directory.path())), (again.id.as_str(), 0));
        let (content, size) = blobs.open("tnt_1", &stored.id).await.unwrap();
        let content: Vec<u8> = content.map(|p| p.unwrap()).concat().await;
        assert_eq!((content.as_slice(), size), (b"abcd".as_slice(), 4));
        for (owner, id) in [
            ("tnt_2", stored.id.as_str()),
            ("tnt_1", "../tnt_1/x"),
            ("..", &stored.id),
            ("", ""),
            ("tnt_1", "/etc"),
        ] {
            assert!(blobs.open(owner, id).await.is_err(), "{owner} {id}");
        }
        blobs.remove("tnt_2", &stored.id).await.unwrap();
        assert!(blobs.open("tnt_1", &stored.id).await.is_ok(), "another owner's");
        blobs.remove("tnt_1", &stored.id).await.unwrap();
        blobs.remove("tnt_1", &stored.id).await.unwrap();
        assert!(blobs.open("tnt_1", &stored.id).await.is_err());
    }

    #[tokio::test]
    async fn what_a_crash_left_is_swept_and_whole_files_stay() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = DirectoryBlobs::new(directory.path().into(), Arc::new(|| 7));
        let stored = blobs.store("tnt_1", pieces(vec![b"ab"]), 4).await.unwrap();
        std::fs::write(directory.path().join("tnt_1").join(PARTIAL).join("left"), "x").unwrap();
        assert_eq!(sweep_partials(directory.path(), SystemTime::UNIX_EPOCH).unwrap(), 0, "it may be at work");
        let later = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1 << 34);
        assert_eq!((sweep_partials(directory.path(), later).unwrap(), partials(directory.path())), (1, 0));
        assert!(blobs.open("tnt_1", &stored.id).await.is_ok());
        assert!(sweep_partials(&directory.path().join("none"), later).is_err());
    }

    #[tokio::test]
    async fn a_broken_or_too_large_stream_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = DirectoryBlobs::new(directory.path().into(), Arc::new(|| 7));
        let broken = stream::iter([Ok(b"ab".to_vec()), Err(std::io::Error::other("cut"))]);
        assert!(blobs.store("tnt_1", Box::pin(broken), 9).await.is_err());
        let large = blobs.store("tnt_1", pieces(vec![b"ab", b"cd"]), 3).await.unwrap_err();
        assert_eq!(large.kind(), std::io::ErrorKind::FileTooLarge);
        assert_eq!(partials(directory.path()), 0);
    }
}
