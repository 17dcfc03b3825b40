//! Files in a bucket of anything that speaks S3. A file's name is the hash of its
//! content, so it is gathered on this disk first and sent when it is whole: the
//! bucket never holds half a file, and sending it again is harmless.

use std::io::{Error, ErrorKind};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ClientOptions, MultipartUpload, ObjectStoreExt as _, PutPayload};
use tokio::fs::{self, File};
use tokio::io::AsyncReadExt as _;

use super::blob::{BlobStore, BlobStream, StoredBlob, is_owner, write};
use crate::config::Bucket;
use crate::crypto::Secret;

/// Larger files are sent in parts of this size, bytes; S3 wants 5 MiB at least.
const PART_BYTES: usize = 8 << 20;

/// A bucket.
pub struct BucketBlobs {
    store: AmazonS3,
    prefix: String,
    /// Where files are gathered.
    spool: PathBuf,
    /// Random numbers for their names there.
    random: Arc<dyn Fn() -> u128 + Send + Sync>,
}

/// The settings do not make a client.
#[derive(Debug, thiserror::Error)]
#[error("the bucket of files cannot be used; check [files]")]
pub struct BucketError(#[source] object_store::Error);

impl BucketBlobs {
    /// A client of the bucket; `spool` is made when first needed.
    ///
    /// # Errors
    /// The settings contradict each other. The bucket itself is not asked.
    pub fn new(
        bucket: &Bucket,
        spool: PathBuf,
        random: Arc<dyn Fn() -> u128 + Send + Sync>,
    ) -> Result<Self, BucketError> {
        // Only one provider is compiled in; a second installation is refused and changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let secret: &Secret = &bucket.secret_access_key;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&bucket.name)
            .with_region(&bucket.region)
            .with_access_key_id(&bucket.access_key_id)
            .with_secret_access_key(secret.expose());
        if let Some(endpoint) = &bucket.endpoint {
            let options = ClientOptions::new().with_allow_http(endpoint.starts_with("http://"));
            builder = builder.with_endpoint(endpoint).with_client_options(options);
        }
        let store = builder.build().map_err(BucketError)?;
        Ok(Self { store, prefix: bucket.prefix.trim_matches('/').to_owned(), spool, random })
    }

    /// `prefix/owner/blb_…`; what is no id of ours names nothing.
    fn path(&self, owner: &str, blob_id: &str) -> std::io::Result<Path> {
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
        if !is_owner(owner) || blob_id.is_empty() || !blob_id.bytes().all(is_plain) {
            return Err(ErrorKind::NotFound.into());
        }
        let parts = self.prefix.split('/').filter(|part| !part.is_empty()).chain([owner, blob_id]);
        Ok(Path::from_iter(parts))
    }

    async fn send(&self, file: &FilePath, to: &Path, size: u64) -> std::io::Result<()> {
        if size <= PART_BYTES as u64 {
            let content = PutPayload::from(fs::read(file).await?);
            return self.store.put(to, content).await.map(|_| ()).map_err(failed);
        }
        let mut upload = self.store.put_multipart(to).await.map_err(failed)?;
        let sent = parts(file, &mut *upload).await;
        let ended = match sent {
            Ok(()) => upload.complete().await.map(|_| ()).map_err(failed),
            Err(error) => Err(error),
        };
        if ended.is_err() {
            let _ = upload.abort().await; // what stays of it is invisible; buckets can expire it
        }
        ended
    }
}

async fn parts(file: &FilePath, upload: &mut dyn MultipartUpload) -> std::io::Result<()> {
    let mut file = File::open(file).await?;
    loop {
        let mut part = Vec::with_capacity(PART_BYTES);
        let read = (&mut file).take(PART_BYTES as u64).read_to_end(&mut part).await?;
        if read == 0 {
            return Ok(());
        }
        upload.put_part(PutPayload::from(part)).await.map_err(failed)?;
    }
}

fn failed(error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound.into(),
        other => Error::other(other),
    }
}

impl BlobStore for BucketBlobs {
    fn store<'a>(
        &'a self,
        owner: &'a str,
        mut content: BlobStream,
        bytes_max: u64,
    ) -> BoxFuture<'a, std::io::Result<StoredBlob>> {
        Box::pin(async move {
            fs::create_dir_all(&self.spool).await?;
            let partial = self.spool.join(format!("{:032x}", (self.random)()));
            let sent = match write(&partial, &mut content, bytes_max).await {
                Ok(stored) => match self.path(owner, &stored.id) {
                    Ok(to) => self.send(&partial, &to, stored.size).await.map(|()| stored),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            let _ = fs::remove_file(&partial).await; // what stays is swept with the next start
            sent
        })
    }

    fn open<'a>(
        &'a self,
        owner: &'a str,
        blob_id: &'a str,
    ) -> BoxFuture<'a, std::io::Result<(BlobStream, u64)>> {
        Box::pin(async move {
            let found = self.store.get(&self.path(owner, blob_id)?).await.map_err(failed)?;
            let size = found.meta.size;
            let pieces = found.into_stream().map_ok(Vec::from).map_err(failed);
            Ok((Box::pin(pieces) as BlobStream, size))
        })
    }

    fn remove<'a>(&'a self, owner: &'a str, blob_id: &'a str) -> BoxFuture<'a, std::io::Result<()>> {
        Box::pin(async move {
            match self.store.delete(&self.path(owner, blob_id)?).await.map_err(failed) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        })
    }
}
