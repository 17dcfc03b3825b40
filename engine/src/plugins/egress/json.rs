//! JSON bodies with secrets and files put in place. Files are streamed as
//! base64: a video never lies in memory as a whole.

use futures_util::stream::{self, StreamExt, TryStreamExt};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::blob::{BlobStore, BlobStream};
use super::files::Files;
use super::request::{bounded, open};
use super::secrets::Secrets;
use super::{Refusal, http};

/// Bytes of all files in one JSON body; more is refused.
const FILES_BYTES_MAX: u64 = 16 << 20;
/// What of a pointer is repeated in a refusal, characters.
const POINTER_CHARS_MAX: usize = 100;

/// A body that is ready to be sent.
pub(super) enum Filled {
    Text(Vec<u8>),
    /// With its length.
    WithFiles(BlobStream, u64),
}

/// Overwrites the strings that are named with secrets, and adds files to others.
pub(super) async fn fill(
    json: http::JsonBody,
    secrets: &Secrets<'_>,
    files: (&Files, &dyn BlobStore),
) -> Result<Filled, Refusal> {
    if json.secrets.is_empty() && json.blobs.is_empty() {
        return Ok(Filled::Text(bounded(json.text.into_bytes())?));
    }
    let mut body: serde_json::Value = serde_json::from_str(&json.text)
        .map_err(|e| Refusal::new(format!("the JSON body is not valid: {e}")))?;
    for place in &json.secrets {
        secrets.get(&place.secret)?.clone_into(string_at(&mut body, &place.pointer)?);
    }
    let mark = mark(&body.to_string());
    for (index, place) in json.blobs.iter().enumerate() {
        string_at(&mut body, &place.pointer)?.push_str(&format!("{mark}{index}}}"));
    }
    let text = String::from_utf8(bounded(body.to_string().into_bytes())?)
        .map_err(|_| Refusal::new("the JSON body is not UTF-8"))?;
    if json.blobs.is_empty() {
        return Ok(Filled::Text(text.into_bytes()));
    }
    with_files(&text, &mark, &json.blobs, files).await
}

fn string_at<'b>(body: &'b mut serde_json::Value, pointer: &str) -> Result<&'b mut String, Refusal> {
    match body.pointer_mut(pointer) {
        Some(serde_json::Value::String(text)) => Ok(text),
        _ => {
            let pointer: String = pointer.chars().take(POINTER_CHARS_MAX).collect();
            Err(Refusal(format!("the JSON body has no string at `{pointer}`; put an empty string there")))
        }
    }
}

/// Stands before the number of a file while the body is written; nothing else in the body looks like it.
fn mark(text: &str) -> String {
    (0_u32..).map(|n| format!("{{file:{n}:")).find(|mark| !text.contains(mark.as_str())).unwrap_or_default()
}

/// The files in the order in which they stand in the text, which need not be that of the list.
async fn with_files(
    text: &str,
    mark: &str,
    places: &[http::BlobAt],
    files: (&Files, &dyn BlobStore),
) -> Result<Filled, Refusal> {
    let mut pieces = text.split(mark);
    let first = pieces.next().unwrap_or_default();
    let (mut content, mut length, mut files_bytes) = (plain(first), first.len() as u64, 0);
    for piece in pieces {
        let place = piece
            .split_once('}')
            .and_then(|(index, rest)| Some((places.get(index.parse::<usize>().ok()?)?, rest)));
        let Some((place, rest)) = place else {
            return Err(Refusal::new("the JSON body has no place for its file"));
        };
        let (file, size) = open(files, &place.blob).await?;
        files_bytes += size;
        if files_bytes > FILES_BYTES_MAX {
            return Err(Refusal(format!(
                "files in a JSON body may have {FILES_BYTES_MAX} bytes; send larger ones as multipart or by URL"
            )));
        }
        length += size.div_ceil(3) * 4 + rest.len() as u64;
        content = Box::pin(content.chain(base64(file)).chain(plain(rest)));
    }
    Ok(Filled::WithFiles(content, length))
}

fn plain(text: &str) -> BlobStream {
    Box::pin(stream::iter([Ok(text.as_bytes().to_vec())]))
}

/// A file in base64. Pieces end anywhere, so up to two bytes wait for the next one.
fn base64(content: BlobStream) -> impl futures_util::Stream<Item = std::io::Result<Vec<u8>>> + Send {
    stream::try_unfold((content, Vec::new(), false), |(mut content, mut rest, ended)| async move {
        if ended {
            return Ok(None);
        }
        let Some(piece) = content.try_next().await? else {
            return Ok(Some((STANDARD.encode(&rest).into_bytes(), (content, Vec::new(), true))));
        };
        rest.extend_from_slice(&piece);
        let whole = rest.len() - rest.len() % 3;
        let next = rest.split_off(whole);
        Ok(Some((STANDARD.encode(&rest).into_bytes(), (content, next, false))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_of_any_length_make_one_base64() {
        for cut in 1..8 {
            let bytes: Vec<u8> = (0..=40).collect();
            let pieces: Vec<_> = bytes.chunks(cut).map(|piece| Ok(piece.to_vec())).collect();
            let encoded: Vec<Vec<u8>> = base64(Box::pin(stream::iter(pieces))).try_collect().await.unwrap();
            assert_eq!(String::from_utf8(encoded.concat()).unwrap(), STANDARD.encode(&bytes), "{cut}");
        }
    }

    #[test]
    fn the_mark_is_nowhere_in_the_text() {
        assert_eq!(mark("{}"), "{file:0:");
        assert_eq!(mark("{file:0:0} {file:1:}"), "{file:2:");
    }
}
