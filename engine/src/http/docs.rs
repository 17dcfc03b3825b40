//! The API's document and a page that shows it. The page is ours, works
//! offline and asks nobody else.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use std::sync::LazyLock;

use super::{Api, document};

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(document);

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/api/openapi.json", get(|| async { Json(&*DOCUMENT) }))
        .route("/api/docs", get(|| async { page(include_str!("docs/page.html")) }))
        .route(
            "/api/docs.css",
            get(|| async { text("text/css; charset=utf-8", include_str!("docs/page.css")) }),
        )
        .route("/api/docs.js", get(|| async { script(include_str!("docs/page.js")) }))
        .route("/", get(home))
}

/// The front door leads to the console, which begins with signing in.
async fn home(State(_): State<Api>) -> (StatusCode, HeaderMap) {
    let mut headers = HeaderMap::new();
    headers.insert(header::LOCATION, HeaderValue::from_static("/signin"));
    (StatusCode::SEE_OTHER, headers)
}

/// An HTML page that may load what this server has and nothing else.
pub(super) fn page(html: &'static str) -> Response {
    let mut response = text("text/html; charset=utf-8", html);
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
             base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
    );
    response
}

/// A script of ours.
pub(super) fn script(source: &'static str) -> Response {
    text("text/javascript; charset=utf-8", source)
}

pub(super) fn text(kind: &'static str, body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], body).into_response()
}
