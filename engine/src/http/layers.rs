//! What surrounds every request: its id and span, a net under panics, a time
//! limit, a closed door while the process goes down, and safe headers.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use pointsman_rules::ids::RequestId;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;

use super::attachments::UPLOAD_PATH;
use super::problem::Problem;
use super::uploads::UPLOADS_PATH;
use super::{Api, plugins, request_id};

/// Longest time until the head of an answer; the client gets 503 then. Streams go on after their head.
const REQUEST_SECONDS_MAX: u64 = 30;
/// The same for an upload: the largest file in this time needs 1.4 Mbit/s.
const UPLOAD_SECONDS_MAX: u64 = 600;
const REQUEST_ID: &str = "x-request-id";
/// For answers that are no page: a browser that shows one all the same loads and runs nothing, and no site frames it.
/// Pages name what they need themselves; the chat page lets sites frame it.
const NO_PAGE: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn around(router: Router<Api>, api: Api) -> Router<Api> {
    router
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_that_way)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(api, identify))
}

async fn nothing_here() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_such_path",
        "there is nothing at this path; /api/docs lists what there is",
    )
}

async fn not_that_way() -> Problem {
    let detail = "this path does not know this method; /api/docs lists what there is";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

/// Gives the request its id and span, counts it, and adds the headers that every answer has.
async fn identify(State(api): State<Api>, request: Request, next: Next) -> Response {
    let id = RequestId::new(api.flow.clock.now_ms(), api.flow.clock.random());
    let route = request.extensions().get::<MatchedPath>().map_or("none", |path| path.as_str()).to_owned();
    let method = request.method().clone();
    let span = tracing::info_span!("http.request", request = %id, %method, route);
    let begun = api.flow.clock.micros();
    let mut response = request_id::scope(id, let_in(&api, request, next)).instrument(span.clone()).await;
    let took_micros = api.flow.clock.micros().saturating_sub(begun);
    api.metrics.request(&route, &method, response.status(), took_micros);
    span.in_scope(|| tracing::debug!(status = response.status().as_u16(), took_micros, "answered"));
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(NO_PAGE));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Answers in time, and while the door is open.
async fn let_in(api: &Api, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // Liveness and figures are of interest until the end.
    if api.is_draining() && !matches!(path, "/healthz" | "/readyz" | "/metrics") {
        return Problem::unavailable("draining", "this process is going down; try again in a moment")
            .into_response();
    }
    let is_upload = path == UPLOAD_PATH || plugins::takes_a_file(path) || path.starts_with(UPLOADS_PATH);
    let seconds_max = if is_upload { UPLOAD_SECONDS_MAX } else { REQUEST_SECONDS_MAX };
    match tokio::time::timeout(Duration::from_secs(seconds_max), next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!("a request took longer than {seconds_max} s and was given up");
            let detail = format!("the answer took longer than {seconds_max} s; try again");
            Problem::unavailable("timed_out", detail).into_response()
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(panic = message, "a handler panicked");
    Problem::broken().into_response()
}
