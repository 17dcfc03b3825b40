//! Files of messages: uploading one that is to be sent, reading one, and showing
//! with a message how far its files are.

use std::collections::BTreeMap;

use axum::Json as JsonAnswer;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::{StreamExt as _, TryStreamExt as _};
use pointsman_rules::ids::{AttachmentId, MessageId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Principal, Role};
use super::body::escape;
use super::conversations::bad_query;
use super::orders::{not_found, sight};
use super::paging::Query;
use super::path::Id;
use super::problem::Problem;
use super::{Api, Refused, files};
use crate::clock::rfc3339;
use crate::flow::file::{File, plain_name};
use crate::flow::{fetch, sniff, thumbnail};
use crate::plugins::{BLOB_BYTES_MAX, StoredBlob};
use crate::store::attachments::{self, Attachment, FileState};
use crate::store::message_views::{self, MessageView};
use crate::store::{StoreError, Tx};

/// Files of one message at most; a channel may take fewer.
const FILES_MAX: usize = 10;
/// How long a link is good when nobody says, minutes.
const LINK_MINUTES: i64 = 15;
/// A week.
const LINK_MINUTES_MAX: i64 = 7 * 24 * 60;
/// The bytes under an id never change; a browser may keep them, a proxy may not.
const FOR_GOOD: HeaderValue = HeaderValue::from_static("private, max-age=86400, immutable");
/// Where files are uploaded. Its bodies are streams, so what reads whole bodies leaves it alone.
pub(super) const UPLOAD_PATH: &str = "/api/v1/attachments";

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(upload))
        .routes(routes!(download))
        .routes(routes!(small))
        .routes(routes!(link))
}

/// A file.
#[derive(Debug, Serialize, ToSchema)]
struct Shown {
    /// Its id, to send it with a message.
    #[schema(value_type = String)]
    id: AttachmentId,
    /// `pending`, `stored` or `failed`.
    state: &'static str,
    /// What it is, found by its first bytes.
    content_type: Option<String>,
    /// `image`, `audio`, `video`, `archive` or `document`.
    family: String,
    file_name: Option<String>,
    /// Bytes.
    size: Option<i64>,
    created_at: String,
}

/// What is known about an upload besides its bytes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct About {
    /// What people will see; a path in front of it is left out.
    file_name: Option<String>,
}

/// Uploads a file that a message will be sent with. The body is the file itself; nobody but who uploaded it, owners
/// and admins see it until then.
#[utoipa::path(post, path = "/api/v1/attachments", tag = "attachments", params(About),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = Shown)))]
async fn upload(
    State(api): State<Api>,
    who: Principal,
    Query(about): Query<About>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, JsonAnswer<Shown>), Problem> {
    let owner = who.tenant.to_string();
    let stored = store(&api, &owner, &headers, body).await?;
    let head = fetch::head(&api.flow, &owner, &stored.id).await;
    let head = head.map_err(|error| Problem::internal("an uploaded file cannot be read", &error))?;
    let claimed = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = sniff::content_type(&head, claimed);
    let now_ms = api.flow.clock.now_ms();
    let row = Attachment {
        id: AttachmentId::new(now_ms, api.flow.clock.random()),
        place: None,
        family: sniff::family(&content_type).to_owned(),
        content_type: Some(content_type),
        file_name: about.file_name.as_deref().and_then(plain_name),
        size_bytes: i64::try_from(stored.size).ok(),
        source: None,
        state: FileState::Stored,
        problem: None,
        blob: Some(stored.id),
        attempts: 0,
        uploader: Some(who.id()),
        created_ms: now_ms,
    };
    let (tenant, kept) = (who.tenant, row.clone());
    api.write(move |tx| {
        let row = row.clone();
        Box::pin(async move { Ok::<_, Refused>(attachments::insert(tx, &[(tenant, row)]).await?) })
    })
    .await?;
    // Nobody waits for the picture: whoever looks before it is there makes it.
    let (flow, pictured) = (api.flow.clone(), kept.clone());
    tokio::spawn(async move {
        if let Err(error) = thumbnail::of(&flow, tenant, &pictured).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a small picture cannot be kept");
        }
    });
    let shown = Shown {
        id: kept.id,
        state: kept.state.word(),
        content_type: kept.content_type,
        family: kept.family,
        file_name: kept.file_name,
        size: kept.size_bytes,
        created_at: rfc3339(kept.created_ms),
    };
    Ok((StatusCode::CREATED, JsonAnswer(shown)))
}

/// 413 for a file that no channel could take.
pub(super) fn too_large() -> Problem {
    let detail = format!("the file is larger than {} MiB", BLOB_BYTES_MAX >> 20);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
}

/// Streams the body into the file store.
async fn store(api: &Api, owner: &str, headers: &HeaderMap, body: Body) -> Result<StoredBlob, Problem> {
    let said = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if said.is_some_and(|length: u64| length > BLOB_BYTES_MAX) {
        return Err(too_large());
    }
    let content = body.into_data_stream().map_ok(Vec::from).map_err(std::io::Error::other).boxed();
    let stored = api.flow.host.blobs().store(owner, content, BLOB_BYTES_MAX).await;
    let stored = stored.map_err(|error| match error.kind() {
        std::io::ErrorKind::FileTooLarge => too_large(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Problem::unavailable("storage_full", "there is no room for files now; tell the operator")
        }
        std::io::ErrorKind::Other => Problem::malformed("broken_body", "the body ended early; send it again"),
        _ => Problem::internal("an uploaded file cannot be stored", &error),
    })?;
    if stored.size == 0 {
        return Err(Problem::malformed("empty_body", "the file is empty; send its bytes as the body"));
    }
    Ok(stored)
}

/// The file itself. 409 while it is still being fetched from the vendor, 410 with the reason when it will not come.
#[utoipa::path(get, path = "/api/v1/attachments/{id}", tag = "attachments", params(("id" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream")))]
async fn download(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<AttachmentId>,
) -> Result<Response, Problem> {
    let file = visible(&api, &who, id).await?.ok_or_else(|| not_found("attachment"))?;
    files::serve(&api, who.tenant, &file).await
}

/// A small picture of an image, JPEG, at most 320 pixels wide and high. 404 for what is no image or too large.
#[utoipa::path(get, path = "/api/v1/attachments/{id}/thumbnail", tag = "attachments", params(("id" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "image/jpeg")))]
async fn small(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<AttachmentId>,
) -> Result<Response, Problem> {
    let file = visible(&api, &who, id).await?.ok_or_else(|| not_found("attachment"))?;
    let picture = thumbnail::of(&api.flow, who.tenant, &file).await?.ok_or_else(|| {
        let detail = "this file has no small picture; only images of a usual size have one";
        Problem::new(StatusCode::NOT_FOUND, "no_thumbnail", detail)
    })?;
    let mut response = files::bytes(&api, who.tenant, &picture, (thumbnail::CONTENT_TYPE, None)).await?;
    response.headers_mut().insert(header::CACHE_CONTROL, FOR_GOOD);
    Ok(response)
}

/// How long a link is to be good.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Lasting {
    /// 1 to 10080, which is a week; 15 when absent.
    minutes: Option<i64>,
}

/// A link to a file.
#[derive(Debug, Serialize, ToSchema)]
struct Linked {
    /// Whoever has it has the file until then; give it to those only who may.
    url: String,
    #[schema(format = DateTime)]
    expires_at: String,
}

/// A link that opens the file without signing in, for a while.
#[utoipa::path(get, path = "/api/v1/attachments/{id}/link", tag = "attachments", params(("id" = String, Path), Lasting),
    responses((status = 200, body = Linked)))]
async fn link(
    State(api): State<Api>,
    who: Principal,
    Id(id): Id<AttachmentId>,
    Query(asked): Query<Lasting>,
) -> Result<JsonAnswer<Linked>, Problem> {
    let minutes = asked.minutes.unwrap_or(LINK_MINUTES);
    if !(1..=LINK_MINUTES_MAX).contains(&minutes) {
        return Err(bad_query("minutes", format!("must be from 1 to {LINK_MINUTES_MAX}")));
    }
    let file = visible(&api, &who, id).await?.ok_or_else(|| not_found("attachment"))?;
    files::stored(&file)?;
    let until_ms = api.flow.clock.now_ms() + minutes * 60_000;
    let url = api.flow.links.until(who.tenant, id, until_ms);
    Ok(JsonAnswer(Linked { url, expires_at: rfc3339(until_ms) }))
}

/// A file that the caller may see: of a conversation that they may see, or uploaded by themselves.
pub(super) async fn visible(
    api: &Api,
    who: &Principal,
    id: AttachmentId,
) -> Result<Option<Attachment>, Problem> {
    let tx = &mut api.read().await?;
    let Some(file) = attachments::get(tx, who.tenant, id).await? else { return Ok(None) };
    let may_see = match file.place {
        Some(place) => message_views::get(tx, who.tenant, sight(who), place.message).await?.is_some(),
        None => who.role >= Role::Admin || file.uploader.as_deref() == Some(who.id().as_str()),
    };
    Ok(may_see.then_some(file))
}

/// A file to be sent with a message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachmentUse {
    /// An uploaded file, or one of a message that you may see.
    #[schema(value_type = String)]
    id: AttachmentId,
    /// Text under the file.
    caption: Option<String>,
}

/// The files as a new message's own.
///
/// # Errors
/// 422 that names the file which is not there, not yet here, or one too many.
pub(super) async fn to_send(
    api: &Api,
    who: &Principal,
    wanted: Vec<AttachmentUse>,
) -> Result<Vec<File>, Problem> {
    if wanted.len() > FILES_MAX {
        return Err(Problem::field("/attachments", format!("must be {FILES_MAX} at most")));
    }
    let mut ready = Vec::with_capacity(wanted.len());
    for (index, use_of) in wanted.into_iter().enumerate() {
        let caption = use_of.caption.filter(|caption| !caption.trim().is_empty());
        let file = own(api, who, use_of.id, &format!("/attachments/{index}/id")).await?;
        ready.push(File { caption, ..file });
    }
    Ok(ready)
}

/// The files that fill holes of a template, by hole.
///
/// # Errors
/// As for [`to_send`].
pub(super) async fn to_fill(
    api: &Api,
    who: &Principal,
    wanted: &BTreeMap<String, AttachmentId>,
) -> Result<BTreeMap<String, File>, Problem> {
    if wanted.len() > FILES_MAX {
        return Err(Problem::field("/template/files", format!("must be {FILES_MAX} at most")));
    }
    let mut ready = BTreeMap::new();
    for (slot, id) in wanted {
        let pointer = format!("/template/files/{}", escape(slot));
        ready.insert(slot.clone(), own(api, who, *id, &pointer).await?);
    }
    Ok(ready)
}

/// A file as a new message's own: the same bytes under a new id.
async fn own(api: &Api, who: &Principal, id: AttachmentId, pointer: &str) -> Result<File, Problem> {
    let found = visible(api, who, id).await?.filter(|file| file.state == FileState::Stored);
    let file =
        found.ok_or_else(|| Problem::field(pointer, "there is no such file, or it is not here yet"))?;
    Ok(File {
        attachment: Some(AttachmentId::new(api.flow.clock.now_ms(), api.flow.clock.random())),
        family: file.family,
        content_type: file.content_type,
        file_name: file.file_name,
        size: file.size_bytes.and_then(|size| u64::try_from(size).ok()),
        caption: None,
        blob: file.blob,
    })
}

/// Puts into messages how far their files are and where they can be read.
///
/// # Errors
/// The database's own.
pub(super) async fn show(
    tx: &mut Tx,
    tenant: TenantId,
    messages: &mut [MessageView],
) -> Result<(), StoreError> {
    let ids: Vec<MessageId> = messages
        .iter_mut()
        .filter_map(|it| (!files_of(&mut it.content).is_empty()).then_some(it.message.id))
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let rows = attachments::of_messages(tx, tenant, &ids).await?;
    for file in messages.iter_mut().flat_map(|message| files_of(&mut message.content)) {
        let id = file["attachment"].as_str().and_then(|id| id.parse().ok());
        let row = id.and_then(|id: AttachmentId| rows.iter().find(|row| row.id == id));
        *file = shown(file, row);
    }
    Ok(())
}

/// The places of files in a message's content.
fn files_of(content: &mut Value) -> Vec<&mut Value> {
    match content["kind"].as_str() {
        Some("media" | "linked") => content["items"].as_array_mut().into_iter().flatten().collect(),
        Some("template") => {
            content["files"].as_object_mut().into_iter().flat_map(|it| it.values_mut()).collect()
        }
        _ => Vec::new(),
    }
}

/// A file of a message. Where the vendor keeps it and where we do is nobody's business.
fn shown(item: &Value, row: Option<&Attachment>) -> Value {
    let Some(row) = row else {
        return json!({"family": item["family"], "content_type": item["content_type"],
            "file_name": item["file_name"], "caption": item["caption"]});
    };
    json!({
        "id": row.id, "family": row.family, "state": row.state.word(),
        "reason": row.problem.as_deref().filter(|_| row.state == FileState::Failed),
        "content_type": row.content_type, "file_name": row.file_name, "size": row.size_bytes,
        "caption": item["caption"],
        "url": (row.state == FileState::Stored).then(|| format!("{UPLOAD_PATH}/{}", row.id)),
        "thumbnail_url": thumbnail::may_have(row).then(|| format!("{UPLOAD_PATH}/{}/thumbnail", row.id)),
    })
}
