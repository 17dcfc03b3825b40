//! Fetches received files. Twilio answers with a redirect to its content network,
//! which must not see our credentials.

use pointsman_plugin::http::{self, Answer, CallBuilder, Http, header};
use pointsman_plugin::{Context, Failure, FailureKind, Retry};

use crate::api::{Api, refusal};
use crate::settings::{https_host, is_twilio};

/// Redirects that are followed; Twilio needs one.
const REDIRECTS_MAX: usize = 3;
/// Right after the webhook a file may not be there yet, milliseconds.
const NOT_YET_MS: u64 = 30_000;
/// Where Twilio's own storage may redirect to.
const STORAGE: [&str; 3] = [".twilio.com", ".twiliocdn.com", ".amazonaws.com"];

pub(crate) async fn fetch(context: &Context, vendor_ref: &str, http: &Http) -> Result<String, Failure> {
    let api = Api::new(context, http)?;
    let base = api.settings.base();
    let ours = |url: &str| url.strip_prefix(base).is_some_and(|rest| rest.starts_with('/'));
    if !is_twilio(vendor_ref) && !ours(vendor_ref) {
        return Err(Failure::new(FailureKind::MediaInvalid, "the file is not at Twilio; it is not fetched"));
    }
    let mut url = vendor_ref.to_owned();
    let mut call = api.signed(get(&url));
    for _ in 0..=REDIRECTS_MAX {
        let made = call.build();
        let (status, headers) = match http.call(made.clone()).await {
            Answer::Stored(stored) if (200..300).contains(&stored.status) => return Ok(stored.blob),
            Answer::Stored(stored) => (stored.status, stored.headers),
            Answer::Response(response) if !(300..400).contains(&response.status) => {
                return Err(missing(refusal(&made, &response)));
            }
            Answer::Response(response) => (response.status, response.headers),
            other => return Err(http::unanswered(other, true)),
        };
        let next = header(&headers, "location").map(|location| resolve(&url, location));
        let next = next.filter(|next| (300..400).contains(&status) && (is_storage(next) || ours(next)));
        url = next.ok_or_else(|| Failure {
            http_status: Some(status),
            ..Failure::bad_response(
                "Twilio redirects the file to a place that is not its own; it is not fetched",
            )
        })?;
        call = get(&url);
    }
    Err(Failure::bad_response("Twilio redirects the file in circles"))
}

fn get(url: &str) -> CallBuilder {
    http::get(url).into_blob()
}

fn is_storage(url: &str) -> bool {
    https_host(url).is_some_and(|host| STORAGE.iter().any(|suffix| host.ends_with(suffix)))
}

/// A `Location` may be a path of the same server.
fn resolve(base: &str, location: &str) -> String {
    if !location.starts_with('/') || location.starts_with("//") {
        return location.to_owned();
    }
    let start = base.find("://").map_or(0, |at| at + 3);
    let end = base[start..].find('/').map_or(base.len(), |at| start + at);
    format!("{}{location}", &base[..end])
}

fn missing(failure: Failure) -> Failure {
    match failure.http_status {
        Some(404) => Failure {
            kind: FailureKind::NotFound,
            message: "the file is not at Twilio yet, or no more".into(),
            ..failure
        }
        .retry(Retry::After(NOT_YET_MS)),
        _ => failure,
    }
}
