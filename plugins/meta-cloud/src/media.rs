//! Files: sent ones are uploaded and then named by id; received ones are asked
//! for by id, which gives a URL that works for five minutes and wants the token.

use pointsman_plugin::http::{self, Answer, Http};
use pointsman_plugin::sender::Attachment;
use pointsman_plugin::{Context, Failure, FailureKind, Retry};
use serde::Deserialize;

use crate::api::{Api, refusal};

/// Where Meta keeps the files of messages; the token goes nowhere else.
pub(crate) const FILES: &str = "https://lookaside.fbsbx.com";
/// What Meta calls an id that it does not have, or not any more.
const NO_SUCH_ID: [&str; 2] = ["100", "33"];

#[derive(Deserialize)]
struct Uploaded {
    id: String,
}

#[derive(Deserialize)]
struct Stored {
    url: String,
}

/// Puts a file into Meta's store for this number. Nothing is sent by that, so it may be repeated.
pub(crate) async fn upload(api: &Api<'_>, file: &Attachment) -> Result<String, Failure> {
    let url = api.url(&format!("{}/media", api.own_id()?));
    let parts = vec![
        http::field_part("messaging_product", "whatsapp"),
        http::field_part("type", &file.content_type),
        http::file_part("file", file),
    ];
    let uploaded: Uploaded =
        api.read(http::post(url).multipart(parts).idempotent()).await.map_err(|failure| {
            if failure.kind == FailureKind::ContentRejected {
                let message = "Meta does not take the file; its words say why".into();
                return Failure { kind: FailureKind::MediaInvalid, message, ..failure };
            }
            failure
        })?;
    Ok(uploaded.id)
}

/// The file behind an id of a message.
pub(crate) async fn fetch(context: &Context, vendor_ref: &str, http: &Http) -> Result<String, Failure> {
    let api = Api::new(context, http)?;
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.' | b':');
    if vendor_ref.is_empty() || !vendor_ref.bytes().all(is_plain) {
        return Err(Failure::new(FailureKind::MediaInvalid, "the file's id is not one of Meta's"));
    }
    let call = http::get(api.url(vendor_ref)).query("phone_number_id", api.own_id()?);
    let stored: Stored = api.read(call).await.map_err(gone)?;
    let is_at = |host: &str| stored.url.strip_prefix(host).is_some_and(|rest| rest.starts_with('/'));
    if !is_at(FILES) && !is_at(api.settings.host()) {
        let message = "Meta keeps the file at a place that is not known; it is not fetched";
        return Err(Failure::new(FailureKind::MediaInvalid, message));
    }
    let call = Api::signed(http::get(&stored.url)).into_blob().build();
    match http.call(call.clone()).await {
        Answer::Stored(stored) if (200..300).contains(&stored.status) => Ok(stored.blob),
        Answer::Stored(stored) => Err(Failure::from_status(stored.status, None)),
        // The link has run out: the next attempt asks for a new one.
        Answer::Response(response) if matches!(response.status, 401 | 403 | 404 | 410) => Err(Failure {
            http_status: Some(response.status),
            ..Failure::new(
                FailureKind::NotFound,
                "Meta's link to the file does not work; it is asked for again",
            )
            .retry(Retry::After(0))
        }),
        Answer::Response(response) => Err(refusal(&call, &response)),
        other => Err(http::unanswered(other, true)),
    }
}

/// Meta deletes received files after seven days.
fn gone(failure: Failure) -> Failure {
    if failure.vendor_code.as_deref().is_some_and(|code| NO_SUCH_ID.contains(&code)) {
        let message = "the file is not at Meta any more".into();
        return Failure { kind: FailureKind::NotFound, message, ..failure }.retry(Retry::Never);
    }
    failure
}
