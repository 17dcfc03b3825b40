//! The web console: static files that the build put into the binary. It is a
//! client of the API like any other, so nothing here knows a tenant or a
//! session. Nothing inline, nothing from elsewhere.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::Api;
use super::problem::Problem;

/// What the page may load or call. Pictures of messages come from the API; `blob:` is a file before it is uploaded.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data: blob:; media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Files whose name changes with their content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const PAGE: &str = "index.html";
/// Shown by a binary that was built without the console.
const UNBUILT: &[u8] = include_bytes!("console/unbuilt.html");

/// Name and bytes of every file; `x.gz` is the packed `x`.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/console.rs"));

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/signin", get(page))
        .route("/app", get(page))
        .route("/app/{*path}", get(page))
        .route("/app/assets/{file}", get(asset))
}

/// The page, whatever the path behind `/app/`: the script in it reads the path.
async fn page(headers: HeaderMap) -> Response {
    let mut response = match file(PAGE) {
        Some(bytes) => answer(PAGE, bytes, &headers),
        None => ([(header::CONTENT_TYPE, kind(PAGE))], UNBUILT).into_response(),
    };
    let own = response.headers_mut();
    own.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    own.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let name = format!("assets/{name}");
    let bytes = file(&name).ok_or_else(|| Problem::not_found("file"))?;
    let mut response = answer(&name, bytes, &headers);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(FOR_EVER));
    Ok(response)
}

/// The file, packed for those who can unpack it.
fn answer(name: &str, plain: &'static [u8], headers: &HeaderMap) -> Response {
    let about = [(header::CONTENT_TYPE, kind(name)), (header::VARY, "accept-encoding")];
    match file(&format!("{name}.gz")).filter(|_| takes_gzip(headers)) {
        Some(packed) => (about, [(header::CONTENT_ENCODING, "gzip")], packed).into_response(),
        None => (about, plain).into_response(),
    }
}

fn file(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let wanted =
        headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    wanted.split(',').any(|coding| coding.trim() == "gzip")
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
