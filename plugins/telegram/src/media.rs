//! Fetches received files: `getFile` gives a path that works for an hour.

use pointsman_plugin::http::{self, Answer, Http};
use pointsman_plugin::{Context, Failure, FailureKind, Retry};
use serde::Deserialize;
use serde_json::json;

use crate::api::Api;

#[derive(Deserialize)]
struct File {
    file_path: Option<String>,
}

pub(crate) async fn fetch(context: &Context, vendor_ref: &str, http: &Http) -> Result<String, Failure> {
    let api = Api::new(context, http)?;
    let call = api.method("getFile").json(&json!({ "file_id": vendor_ref })).idempotent();
    let file: File = api.read(call).await?;
    let path = file.file_path.filter(|path| is_plain(path)).ok_or_else(|| {
        let message =
            "Telegram gives no path to the file; with a Bot API server of your own, run it without --local";
        Failure::new(FailureKind::MediaInvalid, message)
    })?;
    let call = api.file(&path).into_blob().build();
    match api.http().call(call.clone()).await {
        Answer::Stored(stored) if (200..300).contains(&stored.status) => Ok(stored.blob),
        Answer::Stored(stored) => Err(Failure::from_status(stored.status, None)),
        Answer::Response(response) if response.status == 404 => Err(Failure {
            http_status: Some(404),
            ..Failure::new(
                FailureKind::NotFound,
                "Telegram's path to the file has run out; it is asked for again",
            )
            .retry(Retry::After(0))
        }),
        Answer::Response(response) => Err(Failure::from_response(&call, &response)),
        other => Err(http::unanswered(other, true)),
    }
}

/// `photos/file_1.jpg`: nothing that would lead elsewhere.
fn is_plain(path: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.' | b'/');
    !path.starts_with('/')
        && path.bytes().all(plain)
        && path.split('/').all(|part| !part.is_empty() && part != "..")
}
