//! The bytes of files: to people and programs that may see the conversation, and
//! to vendors that hold a signed link. Served so that no browser runs them.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pointsman_rules::ids::TenantId;

use super::Api;
use super::problem::Problem;
use crate::flow::sniff;
use crate::store::attachments::{self, Attachment, FileState};

/// When to look for a pending file again, seconds.
const PENDING_RETRY_S: u32 = 2;
/// Even a file that a browser shows may load, run and submit nothing.
const HARMLESS: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");
/// RFC 8187: what a file name may hold as it is.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

pub(super) fn router() -> Router<Api> {
    Router::new().route("/media/{signed}", get(signed))
}

/// A file for whoever holds a link to it. What is wrong with a link is not told.
async fn signed(State(api): State<Api>, Path(signed): Path<String>) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("file, or its link has expired");
    let (tenant, id) = api.flow.links.read(&signed, api.flow.clock.now_ms()).ok_or_else(unknown)?;
    let found = attachments::get(&mut api.read().await?, tenant, id).await?.ok_or_else(unknown)?;
    serve(&api, tenant, &found).await
}

/// The answer with a file's bytes.
///
/// # Errors
/// 409 while it is not here yet, 410 when it will not come.
pub(super) async fn serve(api: &Api, tenant: TenantId, file: &Attachment) -> Result<Response, Problem> {
    let content_type = file.content_type.as_deref().unwrap_or(sniff::UNKNOWN);
    bytes(api, tenant, stored(file)?, (content_type, file.file_name.as_deref())).await
}

/// The id of a file's bytes.
///
/// # Errors
/// 409 while it is not here yet, 410 when it will not come.
pub(super) fn stored(file: &Attachment) -> Result<&str, Problem> {
    match (file.state, &file.blob) {
        (FileState::Stored, Some(blob)) => Ok(blob),
        (FileState::Pending, _) => {
            let detail = "the file is still being fetched from the vendor; try again in a moment";
            Err(Problem::conflict("attachment_pending", detail).retry_after(PENDING_RETRY_S))
        }
        _ => {
            let reason = file.problem.as_deref().unwrap_or("the file could not be fetched");
            Err(Problem::new(StatusCode::GONE, "attachment_failed", reason))
        }
    }
}

/// The answer with bytes of the file store: their type, and the name under which a browser saves them.
///
/// # Errors
/// They cannot be opened.
pub(super) async fn bytes(
    api: &Api,
    tenant: TenantId,
    blob: &str,
    (content_type, name): (&str, Option<&str>),
) -> Result<Response, Problem> {
    let opened = api.flow.host.blobs().open(&tenant.to_string(), blob).await;
    let (content, size) =
        opened.map_err(|error| Problem::internal("a stored file cannot be opened", &error))?;
    let mut response = Response::new(Body::from_stream(content));
    let headers = response.headers_mut();
    let typed = HeaderValue::from_str(content_type);
    headers
        .insert(header::CONTENT_TYPE, typed.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    headers.insert(header::CONTENT_LENGTH, size.into());
    headers.insert(header::CONTENT_DISPOSITION, disposition(content_type, name));
    headers.insert(header::CONTENT_SECURITY_POLICY, HARMLESS);
    Ok(response)
}

/// Shown in a page or saved, and under which name.
fn disposition(content_type: &str, name: Option<&str>) -> HeaderValue {
    let how = if sniff::is_shown(content_type) { "inline" } else { "attachment" };
    let named = name.map(|name| format!("{how}; filename*=UTF-8''{}", utf8_percent_encode(name, NAME)));
    named.and_then(|named| HeaderValue::try_from(named).ok()).unwrap_or_else(|| HeaderValue::from_static(how))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_types_are_shown_and_names_are_encoded() {
        assert_eq!(disposition("image/png", None), "inline");
        assert_eq!(
            disposition("application/pdf", Some("Año \"1\".pdf")),
            "attachment; filename*=UTF-8''A%C3%B1o%20%221%22.pdf"
        );
    }
}
