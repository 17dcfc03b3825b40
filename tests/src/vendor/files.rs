//! Files that customers sent, as Twilio serves them: a resource of the message
//! that asks for credentials and redirects to a content network, which refuses
//! them. It can be down, and a file can be gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Notify;

use super::routes::{authorize, error};
use super::{Shared, Vendor};
use crate::twilio::ACCOUNT_SID;

#[derive(Clone)]
struct Stored {
    content_type: String,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Inner {
    files: BTreeMap<String, Stored>,
    failing: Option<u16>,
    asked: usize,
    held: Option<Arc<Notify>>,
}

/// The files of a stand-in.
#[derive(Clone, Default)]
pub(super) struct Files(Arc<Mutex<Inner>>);

impl Files {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vendor {
    /// Serves a file from now on; answers the URL that a webhook names.
    pub fn serve_file(&self, name: &str, content_type: &str, bytes: &[u8]) -> String {
        let stored = Stored { content_type: content_type.to_owned(), bytes: bytes.to_vec() };
        self.shared.files.lock().files.insert(name.to_owned(), stored);
        format!("{}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/MM1/Media/{name}", self.url())
    }

    /// From now on every file is answered with this status; `None`: with itself.
    pub fn fail_files(&self, status: Option<u16>) {
        self.shared.files.lock().failing = status;
    }

    /// From now on whoever asks for a file waits until [`Vendor::let_files_go`].
    pub fn hold_files(&self) {
        self.shared.files.lock().held = Some(Arc::default());
    }

    /// Everybody who waits for a file is answered.
    pub fn let_files_go(&self) {
        if let Some(held) = self.shared.files.lock().held.take() {
            held.notify_waiters();
        }
    }

    /// How often a file was asked for.
    pub fn files_asked(&self) -> usize {
        self.shared.files.lock().asked
    }
}

pub(super) fn routes(shared: Shared) -> Router {
    Router::new()
        .route("/2010-04-01/Accounts/{account}/Messages/{message}/Media/{media}", get(resource))
        .route("/content/{media}", get(content))
        .with_state(shared)
}

async fn resource(
    State(shared): State<Shared>,
    Path((_, _, media)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = authorize(&shared, &headers) {
        return *refusal;
    }
    // Registered under the lock, so that nobody who waits is missed.
    let held = {
        let mut files = shared.files.lock();
        files.asked += 1;
        files.held.clone().map(Notify::notified_owned)
    };
    if let Some(held) = held {
        held.await;
    }
    let files = shared.files.lock();
    match files.failing {
        Some(status) => error(status, 20000 + u32::from(status), "no file by plan"),
        None if files.files.contains_key(&media) => {
            let location = format!("/content/{media}?Signature=abc");
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
        }
        None => error(404, 20404, "The requested resource was not found"),
    }
}

async fn content(State(shared): State<Shared>, Path(media): Path<String>, headers: HeaderMap) -> Response {
    if headers.contains_key(header::AUTHORIZATION) {
        return (StatusCode::BAD_REQUEST, "only one authorization is allowed").into_response();
    }
    match shared.files.lock().files.get(&media).cloned() {
        Some(stored) => ([(header::CONTENT_TYPE, stored.content_type)], stored.bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
