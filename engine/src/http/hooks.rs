//! `/hooks/{key}`: vendors' webhooks. Hands the request over byte for byte and
//! gives back exactly what the plugin answers; a 2xx means that it lies on disk.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, OriginalUri, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;

use super::problem::Problem;
use super::{Api, body};
use crate::flow::AcceptError;
use crate::plugins::{WebhookReply, WebhookRequest};

/// Largest webhook, bytes: batches of messages reach 3 MB. Larger ones are 413.
pub const WEBHOOK_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest key; ours have 43.
const HOOK_KEY_CHARS_MAX: usize = 128;
/// When a vendor should try a channel that is switched off again, seconds.
const INACTIVE_RETRY_S: u32 = 60;

pub(super) fn router() -> Router<Api> {
    Router::new().route("/hooks/{key}", any(hook))
}

async fn hook(
    State(api): State<Api>,
    Path(key): Path<String>,
    OriginalUri(uri): OriginalUri,
    request: Request,
) -> Response {
    if !is_hook_key(&key) {
        api.metrics.webhook("unknown");
        return refusal(AcceptError::UnknownHook).1.into_response();
    }
    let (parts, body) = request.into_parts();
    let is_form = is_form(&parts.headers);
    let described = describe(&api.flow.settings.public_url, &uri, &parts);
    let bytes = match body::bytes(Request::from_parts(parts, body), WEBHOOK_BYTES_MAX).await {
        Ok(bytes) => bytes,
        Err(problem) => {
            api.metrics.webhook("malformed");
            return problem.into_response();
        }
    };
    if is_form && !is_utf8_form(&bytes) {
        api.metrics.webhook("malformed");
        let detail = "the form is not UTF-8 once decoded; nothing of it was kept";
        return Problem::malformed("malformed_form", detail).into_response();
    }
    match api.flow.accept(&key, WebhookRequest { body: bytes.to_vec(), ..described }).await {
        Ok(given) => {
            api.metrics.webhook("accepted");
            reply(given)
        }
        Err(error) => {
            let (outcome, problem) = refusal(error);
            api.metrics.webhook(outcome);
            problem.into_response()
        }
    }
}

/// Could this be one of our keys? Anything else is not worth a look into the database.
pub(super) fn is_hook_key(key: &str) -> bool {
    (1..=HOOK_KEY_CHARS_MAX).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")
}

/// A form that decodes to something else cannot be what a vendor signed or what a plugin could read.
fn is_utf8_form(body: &[u8]) -> bool {
    body.split(|byte| matches!(byte, b'&' | b'='))
        .all(|piece| percent_encoding::percent_decode(piece).decode_utf8().is_ok())
}

/// The request as the vendor made it, but for its body. Signatures cover the public URL, so neither a proxy in front
/// of us nor a decoder in between may change it.
fn describe(public_url: &str, uri: &Uri, parts: &Parts) -> WebhookRequest {
    let path = uri.path_and_query().map_or("/", |it| it.as_str());
    let query = uri.query().unwrap_or_default();
    WebhookRequest {
        method: parts.method.as_str().to_owned(),
        url: format!("{public_url}{path}"),
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect(),
        body: Vec::new(),
        remote_address: remote_address(parts).map(|address| address.to_string()),
    }
}

/// Who called. What a proxy says is believed only of one on this machine, and then only its own, last entry.
pub(super) fn remote_address(parts: &Parts) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip())?;
    Some(peer.is_loopback().then(|| forwarded_for(&parts.headers)).flatten().unwrap_or(peer))
}

fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    headers
        .get_all("x-forwarded-for")
        .iter()
        .next_back()?
        .to_str()
        .ok()?
        .rsplit(',')
        .next()?
        .trim()
        .parse()
        .ok()
}

/// What the plugin answers. Headers about the connection are ours.
pub(super) fn reply(given: WebhookReply) -> Response {
    let status = StatusCode::from_u16(given.status).unwrap_or(StatusCode::OK);
    let mut response = Response::new(Body::from(given.body));
    *response.status_mut() = status;
    let ours = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];
    for (name, value) in given.headers {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            continue;
        };
        if !ours.contains(&name) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// What a sender is told when a webhook was not taken; nothing that helps to forge one.
pub(super) fn refusal(error: AcceptError) -> (&'static str, Problem) {
    match error {
        AcceptError::UnknownHook => {
            let detail = "no channel has this webhook address; copy it from the channel's page again";
            ("unknown", Problem::new(StatusCode::NOT_FOUND, "unknown_hook", detail))
        }
        AcceptError::Inactive => {
            let detail = "this channel is switched off; try again later";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "channel_inactive", detail);
            ("inactive", problem.retry_after(INACTIVE_RETRY_S))
        }
        AcceptError::Forged { reason } => {
            tracing::warn!(reason, "a webhook was refused because its proof does not hold");
            ("forged", Problem::unauthorized("the proof of this request does not hold"))
        }
        AcceptError::Overloaded { retry_after_s } => {
            let detail = "too many webhooks are waiting; try again in a moment";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail);
            ("overloaded", problem.retry_after(retry_after_s))
        }
        AcceptError::Plugin { reason } => {
            tracing::error!(reason, "a plugin failed on a webhook; nothing of it was kept");
            ("plugin_failed", Problem::broken())
        }
        AcceptError::Flow(error) => ("store_failed", flow_problem(error)),
    }
}

/// A failure of the flow room as clients see it.
pub(super) fn flow_problem(error: crate::flow::FlowError) -> Problem {
    match error {
        crate::flow::FlowError::Store(error) => error.into(),
        other => Problem::internal("the flow room failed", &other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_the_public_one_with_path_and_query_untouched() {
        let uri: Uri = "/hooks/k?a=%20b&a=c+d&x".parse().unwrap();
        let request = Request::builder()
            .method("POST")
            .header("X-Twilio-Signature", "s")
            .header("x-two", "1")
            .header("X-Two", "2")
            .body(Body::empty())
            .unwrap();
        let (parts, _) = request.into_parts();
        let it = describe("https://chat.example/pm", &uri, &parts);
        assert_eq!(it.url, "https://chat.example/pm/hooks/k?a=%20b&a=c+d&x");
        let query: Vec<_> = it.query.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(query, [("a", " b"), ("a", "c d"), ("x", "")]);
        let headers: Vec<_> = it.headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(headers, [("x-twilio-signature", "s"), ("x-two", "1"), ("x-two", "2")]);
        assert_eq!((it.method.as_str(), it.remote_address), ("POST", None));
    }

    #[test]
    fn what_cannot_be_a_key_or_a_form_is_told_apart() {
        assert!(is_hook_key("aB3_-") && !is_hook_key("") && !is_hook_key("../healthz") && !is_hook_key("\0"));
        assert!(is_utf8_form(b"Body=%C3%B1+x&From=") && !is_utf8_form(b"Body=%ff%fe&From=%c3"));
        let mut headers = HeaderMap::new();
        assert!(!is_form(&headers));
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded; charset=UTF-8");
        headers.insert(header::CONTENT_TYPE, kind);
        assert!(is_form(&headers));
    }

    #[test]
    fn a_proxy_is_believed_only_on_this_machine() {
        let from = |peer: &str| {
            let mut request = Request::new(Body::empty());
            request.headers_mut().insert("x-forwarded-for", "1.1.1.1, 203.0.113.9".parse().unwrap());
            request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
            remote_address(&request.into_parts().0).unwrap().to_string()
        };
        assert_eq!(from("127.0.0.1:5000"), "203.0.113.9");
        assert_eq!(from("198.51.100.7:5000"), "198.51.100.7");
    }

    #[test]
    fn the_plugins_answer_is_given_as_it_is() {
        let given = WebhookReply {
            status: 202,
            headers: vec![
                ("Content-Type".into(), "text/xml".into()),
                ("content-length".into(), "999".into()),
            ],
            body: b"<Response/>".to_vec(),
        };
        let response = reply(given);
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/xml");
        assert!(response.headers().get(header::CONTENT_LENGTH).is_none());
    }
}
