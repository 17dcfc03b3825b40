//! Small pictures of images: made when an image arrives or when somebody first
//! looks, one at a time and away from messages, and kept with the bytes they show.
//! What a stranger sent is decoded here, so everything is bounded.

use std::io::Cursor;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder as _, ImageReader, Limits, Rgba};
use pointsman_rules::ids::TenantId;
use tokio::sync::Semaphore;

use super::{Flow, FlowError};
use crate::plugins::BLOB_BYTES_MAX;
use crate::store::Durability;
use crate::store::attachments::{Attachment, FileState};
use crate::store::thumbnails::{self, Thumbnail};

/// What small pictures are.
pub const CONTENT_TYPE: &str = "image/jpeg";
/// Longer side of a small picture, pixels.
const SIDE_PIXELS: u32 = 320;
/// What browsers show well at this size.
const QUALITY: u8 = 80;
/// Larger images get no small picture, pixels: a photograph of a telephone has 12 million.
const PIXELS_MAX: u64 = 30_000_000;
/// Longest side of an image that is decoded, pixels.
const SIDE_PIXELS_MAX: u32 = 16_384;
/// Memory that decoding may take, bytes: four for each pixel.
const DECODING_BYTES_MAX: u64 = 4 * PIXELS_MAX + (16 << 20);
/// Larger files get no small picture, bytes.
const SOURCE_BYTES_MAX: u64 = 25 << 20;
/// Images that are decoded at once in one process.
const AT_ONCE_MAX: usize = 1;
/// What can be decoded.
const DECODED: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
/// JPEG knows no transparency: what is behind it is white.
const BEHIND: [u8; 3] = [255; 3];

/// Where images wait to be decoded; cheap to clone.
#[derive(Debug, Clone)]
pub struct Studio(Arc<Semaphore>);

impl Default for Studio {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE_MAX)))
    }
}

/// Is it an image of a kind that can be decoded? It may be too large all the same.
pub fn may_have(file: &Attachment) -> bool {
    file.state == FileState::Stored && file.content_type.as_deref().is_some_and(|it| DECODED.contains(&it))
}

/// The id of the bytes of a file's small picture; made now if nobody has. `None`: it has none.
///
/// # Errors
/// The store's.
pub async fn of(flow: &Flow, tenant: TenantId, file: &Attachment) -> Result<Option<String>, FlowError> {
    let Some(blob) = file.blob.as_ref().filter(|_| may_have(file)) else { return Ok(None) };
    match thumbnails::get(&mut flow.db.read().await?, tenant, blob).await? {
        Thumbnail::Made(picture) => return Ok(Some(picture)),
        Thumbnail::Impossible => return Ok(None),
        Thumbnail::Unknown => {}
    }
    let picture = match make(flow, tenant, blob).await {
        Ok(picture) => picture,
        Err(error) => {
            // The file store is away: it is tried again when somebody looks.
            tracing::warn!(blob, %error, "a small picture cannot be made now");
            return Ok(None);
        }
    };
    let (blob, kept, now_ms) = (blob.clone(), picture.clone(), flow.clock.now_ms());
    let written = flow.db.write(Durability::Soft, move |tx| {
        let (blob, kept) = (blob.clone(), kept.clone());
        Box::pin(async move { thumbnails::insert(tx, tenant, (&blob, kept.as_deref()), now_ms).await })
    });
    written.await?;
    Ok(picture)
}

async fn make(flow: &Flow, tenant: TenantId, blob: &str) -> std::io::Result<Option<String>> {
    let owner = tenant.to_string();
    // Waiting here, before the image is in memory.
    let Ok(_place) = flow.studio.0.acquire().await else { return Ok(None) };
    let (mut content, size) = flow.host.blobs().open(&owner, blob).await?;
    if size > SOURCE_BYTES_MAX {
        return Ok(None);
    }
    let mut source = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    while let Some(piece) = content.next().await {
        source.extend(piece?);
    }
    // A decoder that panics has met an image that has no small picture.
    let drawn = tokio::task::spawn_blocking(move || draw(source)).await.unwrap_or(None);
    let Some(picture) = drawn else { return Ok(None) };
    let content = stream::iter([Ok(picture)]).boxed();
    flow.host.blobs().store(&owner, content, BLOB_BYTES_MAX).await.map(|stored| Some(stored.id))
}

/// The small picture of bytes that are not kept; `None` for what is no image or too large.
pub async fn once(flow: &Flow, source: Vec<u8>) -> Option<Vec<u8>> {
    let _place = flow.studio.0.acquire().await.ok()?;
    // A decoder that panics has met an image that has no small picture.
    tokio::task::spawn_blocking(move || draw(source)).await.unwrap_or(None)
}

/// The small picture of an image, upright and flat; `None` for what is none or too large.
fn draw(source: Vec<u8>) -> Option<Vec<u8>> {
    let mut reader = ImageReader::new(Cursor::new(source)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_PIXELS_MAX);
    limits.max_image_height = Some(SIDE_PIXELS_MAX);
    limits.max_alloc = Some(DECODING_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return None;
    }
    let orientation = decoder.orientation().ok()?;
    let image = DynamicImage::from_decoder(decoder).ok()?;
    let is_small = width <= SIDE_PIXELS && height <= SIDE_PIXELS;
    let mut small = if is_small { image } else { image.thumbnail(SIDE_PIXELS, SIDE_PIXELS) };
    small.apply_orientation(orientation);
    let mut flat = small.to_rgba8();
    for Rgba([red, green, blue, alpha]) in flat.pixels_mut() {
        for (channel, behind) in [red, green, blue].into_iter().zip(BEHIND) {
            let (over, under) =
                (u32::from(*channel) * u32::from(*alpha), u32::from(behind) * (255 - u32::from(*alpha)));
            *channel = u8::try_from((over + under) / 255).unwrap_or(u8::MAX);
        }
    }
    let mut out = Vec::new();
    let flat = DynamicImage::ImageRgba8(flat).to_rgb8();
    JpegEncoder::new_with_quality(&mut out, QUALITY).encode_image(&flat).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, RgbaImage};

    use super::*;

    fn png(width: u32, height: u32, pixel: [u8; 4]) -> Vec<u8> {
        let image = DynamicImage::ImageRgba8(RgbaImage::from_pixel(width, height, Rgba(pixel)));
        let mut out = Cursor::new(Vec::new());
        image.write_to(&mut out, ImageFormat::Png).unwrap();
        out.into_inner()
    }

    #[test]
    fn an_image_becomes_small_and_flat() {
        let small = image::load_from_memory(&draw(png(1_280, 640, [255, 0, 0, 0])).unwrap()).unwrap();
        assert_eq!((small.width(), small.height()), (320, 160));
        let pixel = small.to_rgb8().get_pixel(5, 5).0;
        assert!(pixel.iter().all(|value| *value > 250), "what shows nothing is white: {pixel:?}");
        let small = image::load_from_memory(&draw(png(3, 2, [0, 0, 255, 255])).unwrap()).unwrap();
        assert_eq!((small.width(), small.height()), (3, 2), "nothing is blown up");
    }

    #[test]
    fn what_is_no_image_or_claims_to_be_huge_has_none() {
        assert_eq!(draw(b"<svg onload=x>".to_vec()), None);
        assert_eq!(draw(Vec::new()), None);
        let mut bomb = png(2, 2, [0; 4]);
        bomb[16..24].copy_from_slice(&[0, 0, 64, 0, 0, 0, 64, 0]); // 16,384 by 16,384 in its header
        assert_eq!(draw(bomb), None);
        let mut cut = png(64, 64, [1, 2, 3, 255]);
        cut.truncate(60);
        assert_eq!(draw(cut), None);
    }
}
