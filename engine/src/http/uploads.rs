//! `/uploads`: files that arrive in several requests and go on where they were
//! cut off, by the protocol tus 1.0 (tus.io/protocols/resumable-upload: core,
//! creation, termination). The upload's id is that of the attachment it becomes.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::options;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, TryStreamExt as _};
use pointsman_rules::ids::AttachmentId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::attachments::{too_large, visible};
use super::auth::Principal;
use super::hooks::flow_problem;
use super::orders::not_found;
use super::path::Id;
use super::problem::Problem;
use super::{Api, Refused};
use crate::flow::file::plain_name;
use crate::flow::upload::{self, UploadError};
use crate::plugins::BLOB_BYTES_MAX;
use crate::store::uploads::{self, Upload};

/// Where uploads begin. Their bodies are streams, so what reads whole bodies leaves them alone.
pub(super) const UPLOADS_PATH: &str = "/api/v1/uploads";
/// The version of the protocol.
const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const EXTENSIONS: HeaderValue = HeaderValue::from_static("creation,termination");
/// What a piece of a file must be sent as.
const PIECE: &str = "application/offset+octet-stream";
/// Uploads that one user or key may have under way.
const UNDER_WAY_MAX: i64 = 20;
/// When to try again where another request writes, or too many are under way, seconds.
const RETRY_S: u32 = 2;
/// Longest `Upload-Metadata`, bytes.
const METADATA_BYTES_MAX: usize = 4_096;

const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(begin)).routes(routes!(offset, go_on, give_up))
}

/// What the server can do, for clients that ask before they have a credential.
pub(super) fn about() -> Router<Api> {
    let path = format!("{UPLOADS_PATH}/{{id}}");
    Router::new().route(UPLOADS_PATH, options(abilities)).route(&path, options(abilities))
}

async fn abilities() -> Response {
    let mut response = answer(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert("tus-version", VERSION);
    headers.insert("tus-extension", EXTENSIONS);
    headers.insert("tus-max-size", BLOB_BYTES_MAX.into());
    response
}

fn answer(status: StatusCode) -> Response {
    let mut response = status.into_response();
    response.headers_mut().insert(RESUMABLE, VERSION);
    response
}

/// Begins an upload: `Tus-Resumable: 1.0.0`, `Upload-Length`, and `Upload-Metadata` with `filename` and `filetype`. The
/// answer's `Location` ends in the id of the attachment that it will become.
#[utoipa::path(post, path = "/api/v1/uploads", tag = "attachments", responses((status = 201)))]
async fn begin(State(api): State<Api>, who: Principal, headers: HeaderMap) -> Result<Response, Problem> {
    check_version(&headers)?;
    let length = number(&headers, &LENGTH)?;
    if length == 0 {
        return Err(Problem::malformed("empty_body", "the file is empty; say its length in Upload-Length"));
    }
    if length > BLOB_BYTES_MAX {
        return Err(too_large());
    }
    let about = metadata(&headers)?;
    let field = |name: &str| about.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let now_ms = api.flow.clock.now_ms();
    let row = Upload {
        id: AttachmentId::new(now_ms, api.flow.clock.random()),
        uploader: who.id(),
        length_bytes: i64::try_from(length).unwrap_or(i64::MAX),
        content_type: field("filetype"),
        file_name: field("filename").as_deref().and_then(plain_name),
        created_ms: now_ms,
    };
    let (tenant, id) = (who.tenant, row.id);
    api.write(move |tx| {
        let row = row.clone();
        Box::pin(async move {
            if uploads::count(tx, tenant, &row.uploader).await? >= UNDER_WAY_MAX {
                let detail = format!("{UNDER_WAY_MAX} uploads of yours are under way; finish or remove one");
                return Err(Problem::too_many(detail, RETRY_S).into());
            }
            Ok::<_, Refused>(uploads::insert(tx, tenant, &row).await?)
        })
    })
    .await?;
    let mut response = answer(StatusCode::CREATED);
    let location = HeaderValue::try_from(format!("{UPLOADS_PATH}/{id}"));
    response.headers_mut().extend(location.map(|location| (header::LOCATION, location)));
    Ok(response)
}

/// How much has arrived, in `Upload-Offset`.
#[utoipa::path(head, path = "/api/v1/uploads/{id}", tag = "attachments", params(("id" = String, Path)), responses((status = 200)))]
async fn offset(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<AttachmentId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    check_version(&headers)?;
    let mut response = answer(StatusCode::OK);
    let (arrived, length) = match own(&api, &who, id).await? {
        Some(upload) => {
            upload::complete(&api.flow, who.tenant, &upload).await.map_err(problem)?;
            let length = u64::try_from(upload.length_bytes).unwrap_or(0);
            (upload::arrived(&api.flow, who.tenant, &upload).await.map_err(problem)?, length)
        }
        // It is whole, and an attachment.
        None => {
            let file = visible(&api, &who, id).await?.ok_or_else(|| not_found("upload"))?;
            let size = file.size_bytes.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
            (size, size)
        }
    };
    response.headers_mut().insert(OFFSET, arrived.into());
    response.headers_mut().insert(LENGTH, length.into());
    Ok(response)
}

/// Sends a piece that begins at `Upload-Offset`, as `application/offset+octet-stream`. The last one makes the file an
/// attachment with the upload's id.
#[utoipa::path(patch, path = "/api/v1/uploads/{id}", tag = "attachments", params(("id" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"), responses((status = 204)))]
async fn go_on(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<AttachmentId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    check_version(&headers)?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind != PIECE {
        let detail = format!("send pieces of a file as `content-type: {PIECE}`");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    let from = number(&headers, &OFFSET)?;
    let upload = own(&api, &who, id).await?.ok_or_else(|| not_found("upload that is under way"))?;
    let content = body.into_data_stream().map_ok(Vec::from).map_err(std::io::Error::other).boxed();
    let arrived = upload::append(&api.flow, who.tenant, &upload, from, content).await.map_err(problem)?;
    let mut response = answer(StatusCode::NO_CONTENT);
    response.headers_mut().insert(OFFSET, arrived.into());
    Ok(response)
}

/// Gives an upload up.
#[utoipa::path(delete, path = "/api/v1/uploads/{id}", tag = "attachments", params(("id" = String, Path)), responses((status = 204)))]
async fn give_up(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<AttachmentId>,
) -> Result<Response, Problem> {
    own(&api, &who, id).await?.ok_or_else(|| not_found("upload that is under way"))?;
    upload::remove(&api.flow, who.tenant, id).await.map_err(flow_problem)?;
    Ok(answer(StatusCode::NO_CONTENT))
}

/// An upload of the caller's own.
async fn own(api: &Api, who: &Principal, id: AttachmentId) -> Result<Option<Upload>, Problem> {
    let found = uploads::get(&mut api.read().await?, who.tenant, id).await?;
    Ok(found.filter(|upload| upload.uploader == who.id()))
}

fn check_version(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(RESUMABLE).is_some_and(|version| version == VERSION) {
        return Ok(());
    }
    let detail = "uploads speak tus 1.0.0; send `Tus-Resumable: 1.0.0`";
    Err(Problem::new(StatusCode::PRECONDITION_FAILED, "unsupported_version", detail))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, Problem> {
    let given = headers.get(name).and_then(|value| value.to_str().ok()?.parse().ok());
    given.ok_or_else(|| Problem::malformed("bad_header", format!("`{name}` must be a number of bytes")))
}

/// `key base64,key base64`.
fn metadata(headers: &HeaderMap) -> Result<Vec<(String, String)>, Problem> {
    let bad = || {
        let detail = "`upload-metadata` must be pairs of a key and a base64 value, parted by commas";
        Problem::malformed("bad_header", detail)
    };
    let Some(given) = headers.get(METADATA) else { return Ok(Vec::new()) };
    let text = given.to_str().ok().filter(|text| text.len() <= METADATA_BYTES_MAX).ok_or_else(bad)?;
    text.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
            let value = STANDARD.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            Ok((key.to_owned(), value.ok_or_else(bad)?))
        })
        .collect()
}

fn problem(error: UploadError) -> Problem {
    match error {
        UploadError::Offset { arrived } => {
            let detail = format!("{arrived} bytes have arrived; go on from there");
            Problem::conflict("wrong_offset", detail).with("offset", arrived)
        }
        UploadError::Busy => {
            let detail = "another request writes to this upload; try again in a moment";
            Problem::new(StatusCode::LOCKED, "upload_busy", detail).retry_after(RETRY_S)
        }
        UploadError::TooLong => {
            let detail = "more came than Upload-Length announced; ask for the offset, or begin again";
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
        }
        UploadError::Broken => {
            Problem::malformed("broken_body", "the body ended early; ask for the offset and go on from there")
        }
        UploadError::Io(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            ) =>
        {
            Problem::unavailable("storage_full", "there is no room for files now; tell the operator")
        }
        UploadError::Io(error) => Problem::internal("an upload cannot be written", &error),
        UploadError::Flow(error) => flow_problem(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::auth::Role;
    use crate::http::testing::Stage;

    const TUS: (&str, &str) = ("tus-resumable", "1.0.0");

    #[tokio::test]
    async fn an_upload_begins_and_is_its_owners_alone() {
        let stage = Stage::new().await;
        let (one, other) = (stage.key(Role::Agent).await, stage.key(Role::Admin).await);
        let auth = |key: &str| format!("Bearer {key}");
        let (mine, theirs) = (auth(&one), auth(&other));
        let (mine, theirs) = (("authorization", mine.as_str()), ("authorization", theirs.as_str()));
        let about = ("upload-metadata", "filename cGxhbi5wbmc=, filetype aW1hZ2UvcG5n,relative");
        let post = async |headers: &[(&str, &str)]| stage.send("POST", UPLOADS_PATH, headers, None).await;
        post(&[mine, ("upload-length", "4")]).await.problem(412, "unsupported_version");
        post(&[mine, TUS]).await.problem(400, "bad_header");
        post(&[mine, TUS, ("upload-length", "0")]).await.problem(400, "empty_body");
        post(&[mine, TUS, ("upload-length", "999999999999")]).await.problem(413, "too_large");
        let broken = ("upload-metadata", "filename %%%");
        post(&[mine, TUS, ("upload-length", "4"), broken]).await.problem(400, "bad_header");
        let begun = post(&[mine, TUS, ("upload-length", "4"), about]).await;
        let at = begun.header("location").to_owned();
        begun.expect(201);
        let head = stage.send("HEAD", &at, &[mine, TUS], None).await;
        assert_eq!((head.header("upload-offset"), head.header("upload-length")), ("0", "4"));
        assert_eq!(stage.send("HEAD", &at, &[theirs, TUS], None).await.status, 404);
        let wrong = stage.send("PATCH", &at, &[mine, TUS], None).await;
        wrong.problem(415, "unsupported_media_type");
        let piece = ("content-type", PIECE);
        let wrong = stage.send("PATCH", &at, &[mine, TUS, piece, ("upload-offset", "2")], None).await;
        assert_eq!(wrong.problem(409, "wrong_offset")["offset"], 0);
        stage.send("DELETE", &at, &[theirs, TUS], None).await.problem(404, "not_found");
        stage.send("DELETE", &at, &[mine, TUS], None).await.expect(204);
        let able = stage.send("OPTIONS", UPLOADS_PATH, &[], None).await;
        assert_eq!(
            (able.header("tus-version"), able.header("tus-extension")),
            ("1.0.0", "creation,termination")
        );
        for _ in 0..UNDER_WAY_MAX {
            post(&[mine, TUS, ("upload-length", "4")]).await.expect(201);
        }
        post(&[mine, TUS, ("upload-length", "4")]).await.problem(429, "rate_limited");
    }
}
