//! `Idempotency-Key` on POST: the answer to a request is kept for a day, and a
//! repeat gets the same answer instead of a second effect. Answers are sealed,
//! since some of them carry a secret that is shown once.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::attachments::UPLOAD_PATH;
use super::auth::Principal;
use super::body::{self, BODY_BYTES_MAX};
use super::problem::Problem;
use super::uploads::UPLOADS_PATH;
use super::{Api, Refused, plugins};
use crate::crypto::{hmac_sha256_hex, sha256_hex};
use crate::flow::retention::{ANSWERS_MS, answer_place as place};
use crate::store::idempotency::{Claim, claim, finish, release};

/// A request without an answer for so long, milliseconds, died with its process; twice the limit of a request.
const BUSY_MS_MAX: i64 = 60_000;
/// Longest key.
const KEY_BYTES_MAX: usize = 255;
const HEADER: &str = "idempotency-key";
const REPLAYED: &str = "idempotency-replayed";
const RETRY_AFTER_S: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Kept {
    headers: Vec<(String, String)>,
    body: String,
}

/// Wraps the API's routes.
pub(super) async fn layer(State(api): State<Api>, request: Request, next: Next) -> Response {
    let key = request.headers().get(HEADER).filter(|_| request.method() == Method::POST).cloned();
    // Signing in has no caller yet, and its answer is a cookie. An upload may be large, and a second one is harmless.
    match key {
        Some(key) if !is_exempt(request.uri().path()) => {
            once(&api, &key, request, next).await.unwrap_or_else(|problem| problem.into_response())
        }
        _ => next.run(request).await,
    }
}

fn is_exempt(path: &str) -> bool {
    ["/api/v1/signin", UPLOAD_PATH, UPLOADS_PATH].contains(&path) || plugins::takes_a_file(path)
}

async fn once(api: &Api, key: &HeaderValue, request: Request, next: Next) -> Result<Response, Problem> {
    let key = key.to_str().ok().filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len())).ok_or_else(|| {
        Problem::malformed(
            "bad_idempotency_key",
            format!("`{HEADER}` must be 1 to {KEY_BYTES_MAX} characters"),
        )
    })?;
    let (mut parts, body) = request.into_parts();
    let principal = Principal::from_request_parts(&mut parts, api).await?;
    let bytes = body::bytes(Request::from_parts(parts.clone(), body), BODY_BYTES_MAX).await?;
    // Keys of two callers never meet; the body's fingerprint is keyed, since bodies hold secrets.
    let key = sha256_hex(format!("{}\n{key}", principal.id()).as_bytes());
    let mut text = format!("{} {}\n", parts.method, parts.uri).into_bytes();
    text.extend_from_slice(&bytes);
    let fingerprint = hmac_sha256_hex(&api.flow.keyring.derive("idempotency"), &text);

    let (tenant, now_ms) = (principal.tenant, api.flow.clock.now_ms());
    let wanted = (key.clone(), fingerprint);
    let claimed = api.write(move |tx| {
        let (key, fingerprint) = wanted.clone();
        Box::pin(async move {
            Ok::<_, Refused>(claim(tx, tenant, &key, &fingerprint, now_ms, (ANSWERS_MS, BUSY_MS_MAX)).await?)
        })
    });
    match claimed.await? {
        Claim::Fresh => {}
        Claim::InProgress => {
            return Err(Problem::conflict(
                "in_progress",
                "the same request is being served; try again in a moment",
            )
            .retry_after(RETRY_AFTER_S));
        }
        Claim::OtherRequest => {
            let detail = "this idempotency key was used for another request; use a new key";
            return Err(Problem::conflict("idempotency_key_reused", detail));
        }
        Claim::Answered { status, response } => return replay(api, &key, status, &response),
    }
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    keep(api, tenant, key, response).await
}

/// Keeps an answer that will not change; lets the key go when trying again may help.
async fn keep(
    api: &Api,
    tenant: pointsman_rules::ids::TenantId,
    key: String,
    response: Response,
) -> Result<Response, Problem> {
    let (parts, body) = response.into_parts();
    let is_final = !parts.status.is_server_error() && parts.status != StatusCode::TOO_MANY_REQUESTS;
    let bytes = axum::body::to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
    let sealed = std::str::from_utf8(&bytes).ok().filter(|_| is_final).and_then(|text| {
        let kept = Kept { headers: kept_headers(&parts.headers), body: text.to_owned() };
        let json = serde_json::to_vec(&kept).ok()?;
        Some(api.flow.keyring.seal(&api.flow.clock, &place(&key), &json))
    });
    let status = i64::from(parts.status.as_u16());
    api.write(move |tx| {
        let (key, sealed) = (key.clone(), sealed.clone());
        Box::pin(async move {
            match sealed {
                Some(sealed) => finish(tx, tenant, &key, status, &sealed).await?,
                None => release(tx, tenant, &key).await?,
            }
            Ok::<_, Refused>(())
        })
    })
    .await?;
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn replay(api: &Api, key: &str, status: i64, sealed: &str) -> Result<Response, Problem> {
    let plain = api
        .flow
        .keyring
        .open(&place(key), sealed)
        .map_err(|error| Problem::internal("a kept answer could not be opened", &error))?;
    let kept: Kept = serde_json::from_slice(&plain)
        .map_err(|error| Problem::internal("a kept answer could not be read", &error))?;
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = (status.unwrap_or(StatusCode::OK), Bytes::from(kept.body)).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    for (name, value) in kept.headers {
        if let (Ok(name), Ok(value)) =
            (header::HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()))
        {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

fn kept_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    [header::CONTENT_TYPE, header::ETAG, header::LOCATION]
        .iter()
        .filter_map(|name| Some((name.to_string(), headers.get(name)?.to_str().ok()?.to_owned())))
        .collect()
}
