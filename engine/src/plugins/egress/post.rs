//! Posting to an address that an admin wrote down, for no plugin: the same
//! clients, the same checked addresses, no redirect, and an answer of which only
//! the beginning is kept.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use url::Url;

use super::address::Reach;
use super::{Egress, ForbiddenAddress, root_cause, target};

/// Longest address, bytes.
const URL_BYTES_MAX: usize = 2 << 10;
const IS_RESERVED: &str = "its host is in a private or reserved network; allow private egress if it is yours";

/// What is posted.
#[derive(Debug)]
pub struct Post {
    /// Where to.
    pub url: String,
    /// May that be in a private network, and plain HTTP? An admin's consent.
    pub allow_private: bool,
    /// Besides the content type, which is JSON.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
    /// For everything from resolving the name to the end of the answer.
    pub timeout: Duration,
    /// Bytes of the answer that are kept; the rest is not read.
    pub answer_bytes_max: usize,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// An answer.
    Answer {
        /// HTTP status.
        status: u16,
        /// Seconds of `Retry-After`, if it gives a number.
        retry_after_s: Option<u64>,
        /// The beginning of the body, as text.
        body: String,
    },
    /// No answer; one sentence that names no path, which may hold a secret.
    Nothing(String),
}

/// Checks an address as far as it can be without asking anybody.
///
/// # Errors
/// What is wrong with it, as it follows "the address".
pub fn post_url(text: &str, allow_private: bool) -> Result<Url, String> {
    if text.len() > URL_BYTES_MAX {
        return Err(format!("must have at most {URL_BYTES_MAX} bytes"));
    }
    let url =
        Url::parse(text).map_err(|_| "must be a whole address like https://example.com/in".to_owned())?;
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        _ => return Err("must begin with https://, or allow private egress for http://".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("must hold no user, password or fragment".to_owned());
    }
    if !target::is_within(&url, reach(allow_private)) {
        return Err(format!("cannot be called: {IS_RESERVED}"));
    }
    Ok(url)
}

fn reach(allow_private: bool) -> Reach {
    if allow_private { Reach::Private } else { Reach::Public }
}

impl Egress {
    pub(in crate::plugins) async fn post(&self, post: Post) -> Posted {
        let url = match post_url(&post.url, post.allow_private) {
            Ok(url) => url,
            Err(problem) => return Posted::Nothing(format!("the address {problem}")),
        };
        let (host, limit) = (url.host_str().unwrap_or_default().to_owned(), post.timeout);
        let client = if post.allow_private { &self.private } else { &self.public };
        let request = client.post(url).headers(post.headers).header(CONTENT_TYPE, "application/json");
        let call = async { answer(request.body(post.body).send().await?, post.answer_bytes_max).await };
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Posted::Nothing(problem(&error, &host)),
            Err(_) => Posted::Nothing(format!("{host} did not answer within {} s", limit.as_secs())),
        }
    }
}

async fn answer(mut response: reqwest::Response, bytes_max: usize) -> reqwest::Result<Posted> {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after_s = retry_after.and_then(|text| text.trim().parse().ok());
    let mut body = Vec::new();
    while body.len() < bytes_max
        && let Some(piece) = response.chunk().await?
    {
        let room = bytes_max - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
    }
    // PostgreSQL keeps no NUL.
    let body = String::from_utf8_lossy(&body).replace('\0', "\u{fffd}");
    Ok(Posted::Answer { status, retry_after_s, body })
}

fn problem(error: &reqwest::Error, host: &str) -> String {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if inner.downcast_ref::<ForbiddenAddress>().is_some() {
            return format!("{host} was not called: {IS_RESERVED}");
        }
        cause = inner.source();
    }
    match error.is_connect() {
        true => format!("cannot connect to {host}: {}", root_cause(error)),
        false => format!("no complete answer from {host}: {}", root_cause(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_leaves_unless_an_admin_consents() {
        for (text, public, private) in [
            ("https://x.test/in?a=1", true, true),
            ("http://x.test/in", false, true),
            ("https://10.0.0.1/in", false, true),
            ("http://[::1]:8080/in", false, true),
            ("https://169.254.169.254/latest", false, false),
            ("https://ana:pw@x.test/", false, false),
            ("https://x.test/#a", false, false),
            ("ftp://x.test/", false, false),
            ("x.test/in", false, false),
        ] {
            assert_eq!(post_url(text, false).is_ok(), public, "{text} from outside");
            assert_eq!(post_url(text, true).is_ok(), private, "{text} with consent");
        }
        assert!(post_url(&format!("https://x.test/{}", "a".repeat(URL_BYTES_MAX)), false).is_err());
    }
}
