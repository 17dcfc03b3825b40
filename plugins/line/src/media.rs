//! Fetches received files. LINE keeps them for a limited time, and prepares long films first.

use pointsman_plugin::http::{self, Answer, Http};
use pointsman_plugin::{Context, Failure, FailureKind, Retry};

use crate::send::authorised;
use crate::settings::Settings;

/// When a film that LINE still prepares is asked for again, milliseconds.
const PREPARED_AFTER_MS: u64 = 5_000;

pub(crate) async fn fetch(context: &Context, vendor_ref: &str, http: &Http) -> Result<String, Failure> {
    if vendor_ref.is_empty() || !vendor_ref.bytes().all(|c| c.is_ascii_alphanumeric()) {
        return Err(Failure::new(
            FailureKind::MediaInvalid,
            "LINE's name of the file is not one that LINE gives",
        ));
    }
    let url = Settings::of(context)?.content(&format!("/v2/bot/message/{vendor_ref}/content"));
    let call = authorised(http::get(url)).into_blob().build();
    match http.call(call.clone()).await {
        Answer::Stored(stored) if stored.status == 202 => Err(not_ready()),
        Answer::Response(response) if response.status == 202 => Err(not_ready()),
        Answer::Stored(stored) if (200..300).contains(&stored.status) => Ok(stored.blob),
        Answer::Stored(stored) => Err(Failure::from_status(stored.status, None)),
        Answer::Response(response) => Err(Failure::from_response(&call, &response)),
        other => Err(http::unanswered(other, true)),
    }
}

fn not_ready() -> Failure {
    Failure {
        http_status: Some(202),
        ..Failure::new(FailureKind::VendorUnavailable, "LINE still prepares the file")
    }
    .retry(Retry::After(PREPARED_AFTER_MS))
}
