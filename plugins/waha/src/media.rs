//! Fetches received files. WAHA keeps them for three minutes as a rule; what it
//! lost or never loaded is asked for once more by its message.

use pointsman_plugin::http::{self, Answer};
use pointsman_plugin::{Context, Failure, FailureKind, Http, Retry};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::{Api, refusal, segment, signed};
use crate::ids::MessageId;

/// Where WAHA's own files are; what is before depends on how it names itself.
const FILES: &str = "/api/files/";

/// What is given to the host and comes back to [`fetch`].
#[derive(Serialize, Deserialize)]
struct Reference {
    /// Path at WAHA; none: it did not load the file.
    path: Option<String>,
    chat: String,
    message: String,
}

/// `url`: as WAHA says it. Its host is often `localhost`, so that only the path counts: files come from the
/// server in the settings and from nowhere else.
pub(crate) fn reference(url: Option<&str>, id: &MessageId) -> String {
    let reference = Reference { path: url.and_then(path), chat: id.chat.clone(), message: id.full() };
    serde_json::to_string(&reference).unwrap_or_default()
}

fn path(url: &str) -> Option<String> {
    let path = url.get(url.find(FILES)?..)?;
    let path = path.split(['?', '#']).next().unwrap_or("");
    let plain = |c: u8| c.is_ascii_graphic() && !matches!(c, b'{' | b'}' | b'\\');
    (path.bytes().all(plain) && !path.contains("..")).then(|| path.to_owned())
}

pub(crate) async fn fetch(context: &Context, vendor_ref: &str, http: &Http) -> Result<String, Failure> {
    let api = Api::new(context, http)?;
    let reference: Reference = serde_json::from_str(vendor_ref).map_err(|_| {
        Failure::new(FailureKind::MediaInvalid, "the file is not one of WAHA's; it is not fetched")
    })?;
    if let Some(path) = reference.path.as_deref().and_then(path) {
        match get(&api, &path).await {
            Err(failure) if failure.http_status == Some(404) => {}
            other => return other,
        }
    }
    let (chat, message) = (segment(&reference.chat), segment(&reference.message));
    let at = format!("{}/chats/{chat}/messages/{message}", api.settings.session());
    let found: Value = api.read(api.at("GET", &at).query("downloadMedia", "true")).await.map_err(gone)?;
    match found["media"]["url"].as_str().and_then(path) {
        Some(path) => get(&api, &path).await.map_err(gone),
        None => Err(gone(Failure { http_status: Some(404), ..Failure::bad_response("") })),
    }
}

async fn get(api: &Api<'_>, path: &str) -> Result<String, Failure> {
    let call = signed(http::get(format!("{}{path}", api.settings.base()))).into_blob().build();
    match api.call(call.clone()).await {
        Answer::Stored(stored) if (200..300).contains(&stored.status) => Ok(stored.blob),
        Answer::Stored(stored) => Err(Failure::from_status(stored.status, None)),
        Answer::Response(response) => Err(refusal(&call, &response)),
        other => Err(http::unanswered(other, true)),
    }
}

fn gone(failure: Failure) -> Failure {
    match failure.http_status {
        Some(404) => Failure {
            kind: FailureKind::NotFound,
            message: "WAHA does not have the file any more; ask the contact to send it again".into(),
            ..failure
        }
        .retry(Retry::Never),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_of_a_file_counts() {
        for (url, expected) in [
            ("http://localhost:3000/api/files/desk/3A.jpeg", Some("/api/files/desk/3A.jpeg")),
            ("https://waha.test/prefix/api/files/3A.jpeg?x=1", Some("/api/files/3A.jpeg")),
            ("http://169.254.169.254/latest/meta-data", None),
            ("http://x/api/files/../keys", None),
            ("http://x/api/files/{secret:api_key}", None),
            ("http://x/api/files/a b", None),
        ] {
            assert_eq!(path(url).as_deref(), expected, "{url}");
        }
    }
}
