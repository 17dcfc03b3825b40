//! A local stand-in for a bucket that speaks S3: keeps objects in memory, takes
//! only requests that are signed for its key, and puts files together that come
//! in parts. Shapes after the API reference of Amazon S3.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use axum::{Router, serve};
use tokio::net::TcpListener;

/// The bucket's name.
pub const BUCKET: &str = "stories";
/// Whose requests are taken.
pub const ACCESS_KEY_ID: &str = "AKIDSTORIES";
/// What signs them; it must never arrive.
pub const SECRET_ACCESS_KEY: &str = "s3cret-of-the-stories";
/// Hex digits of a signature.
const SIGNATURE_CHARS: usize = 64;

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Vec<u8>>,
    parts: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    refused: usize,
}

type Shared = Arc<Mutex<Inner>>;

fn lock(shared: &Shared) -> MutexGuard<'_, Inner> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running stand-in; ends when dropped.
pub struct BucketServer {
    shared: Shared,
    url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for BucketServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl BucketServer {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port can be opened.
    pub async fn start() -> Result<Self> {
        let listener =
            TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.context("no free port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Shared::default();
        let methods = put(keep).get(read).delete(remove).post(gather);
        let routes = Router::new().route(&format!("/{BUCKET}/{{*key}}"), methods);
        let routes = routes.layer(DefaultBodyLimit::disable()).with_state(shared.clone());
        let server = tokio::spawn(async move { drop(serve(listener, routes).await) });
        Ok(Self { shared, url, server })
    }

    /// Its base address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it keeps, by key.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        lock(&self.shared).objects.clone()
    }

    /// Requests that were not signed for its key.
    pub fn refused(&self) -> usize {
        lock(&self.shared).refused
    }
}

/// Is it signed by our key (AWS Signature Version 4), with the secret nowhere in it?
fn check(shared: &Shared, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signature = given.rsplit_once("Signature=").map_or("", |(_, signature)| signature);
    let is_hex = signature.len() == SIGNATURE_CHARS && signature.bytes().all(|c| c.is_ascii_hexdigit());
    let is_ours = given.starts_with(&format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/"));
    if is_hex && is_ours && !format!("{headers:?}").contains(SECRET_ACCESS_KEY) {
        return Ok(());
    }
    lock(shared).refused += 1;
    Err(Box::new(fault(StatusCode::FORBIDDEN, "SignatureDoesNotMatch")))
}

fn fault(status: StatusCode, code: &str) -> Response {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>");
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

type Parameters = Query<BTreeMap<String, String>>;

async fn keep(
    State(shared): State<Shared>,
    Path(key): Path<String>,
    Query(query): Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(refusal) = check(&shared, &headers) {
        return *refusal;
    }
    let mut inner = lock(&shared);
    match (query.get("uploadId"), query.get("partNumber").and_then(|number| number.parse().ok())) {
        (Some(upload), Some(number)) => {
            let Some(parts) = inner.parts.get_mut(upload) else {
                return fault(StatusCode::NOT_FOUND, "NoSuchUpload");
            };
            parts.insert(number, body.to_vec());
        }
        _ => drop(inner.objects.insert(key, body.to_vec())),
    }
    [(header::ETAG, "\"1\"")].into_response()
}

/// Begins a file in parts, or puts it together.
async fn gather(
    State(shared): State<Shared>,
    Path(key): Path<String>,
    Query(query): Parameters,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = check(&shared, &headers) {
        return *refusal;
    }
    let mut inner = lock(&shared);
    let body = match query.get("uploadId") {
        None => {
            let upload = format!("upload-{}", inner.parts.len());
            inner.parts.insert(upload.clone(), BTreeMap::new());
            format!(
                "<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{key}</Key>\
                 <UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            )
        }
        Some(upload) => {
            let Some(parts) = inner.parts.remove(upload) else {
                return fault(StatusCode::NOT_FOUND, "NoSuchUpload");
            };
            let whole: Vec<u8> = parts.into_values().flatten().collect();
            inner.objects.insert(key.clone(), whole);
            format!(
                "<CompleteMultipartUploadResult><Location>x</Location><Bucket>{BUCKET}</Bucket>\
                 <Key>{key}</Key><ETag>\"1\"</ETag></CompleteMultipartUploadResult>"
            )
        }
    };
    ([(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

async fn read(State(shared): State<Shared>, Path(key): Path<String>, headers: HeaderMap) -> Response {
    if let Err(refusal) = check(&shared, &headers) {
        return *refusal;
    }
    match lock(&shared).objects.get(&key).cloned() {
        Some(object) => {
            let heads = [(header::ETAG, "\"1\""), (header::LAST_MODIFIED, "Sat, 21 Nov 2026 05:01:45 GMT")];
            (heads, object).into_response()
        }
        None => fault(StatusCode::NOT_FOUND, "NoSuchKey"),
    }
}

async fn remove(State(shared): State<Shared>, Path(key): Path<String>, headers: HeaderMap) -> Response {
    if let Err(refusal) = check(&shared, &headers) {
        return *refusal;
    }
    lock(&shared).objects.remove(&key);
    StatusCode::NO_CONTENT.into_response()
}
