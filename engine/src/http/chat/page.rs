//! The page and its files: embedded in the binary, no request to anybody else,
//! nothing inline. The page may be framed by any website, because that is what
//! the embedding script does; it holds no session of ours.

use std::sync::LazyLock;

use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};

use super::visitor::channel;
use crate::crypto::sha256_hex;
use crate::http::Api;
use crate::http::problem::Problem;

const PAGE: &str = include_str!("../../../chat/chat.html");
const SCRIPT: &str = include_str!("../../../chat/chat.js");
const STYLE: &str = include_str!("../../../chat/chat.css");
const EMBED: &str = include_str!("../../../chat/embed.js");

/// Everything that the page may load or call.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors *";
/// Files whose address changes with their content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// The embedding script keeps its address, so it is asked for again after a while.
const FOR_A_WHILE: &str = "public, max-age=300";

/// Changes with the content of the files.
static REVISION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = sha256_hex(format!("{SCRIPT}\0{STYLE}").as_bytes());
    hash.truncate(12);
    hash
});

/// The chat page of a channel.
pub(super) async fn page(State(api): State<Api>, Path(key): Path<String>) -> Result<Response, Problem> {
    let channel = channel(&api, &key).await?;
    let settings: serde_json::Value = serde_json::from_str(&channel.settings).unwrap_or_default();
    let setting = |name: &str| settings.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    let title = Some(setting("title")).filter(|title| !title.is_empty()).unwrap_or(&channel.facts.name);
    let html = fill(&[
        ("{{title}}", title),
        ("{{greeting}}", setting("greeting")),
        ("{{accent}}", setting("accent")),
        ("{{language}}", channel.facts.language.as_deref().unwrap_or_default()),
        ("{{key}}", &key),
        ("{{revision}}", &REVISION),
    ]);
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ];
    Ok((headers, html).into_response())
}

fn fill(values: &[(&str, &str)]) -> String {
    values.iter().fold(PAGE.to_owned(), |page, (place, value)| page.replace(place, &escape(value)))
}

/// Text that may stand in HTML and in its quoted attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '{' => out.push_str("&#123;"), // no value becomes another one's place
            other => out.push(other),
        }
    }
    out
}

/// The script that puts the chat on any website.
pub(super) async fn embed(State(api): State<Api>, Path(key): Path<String>) -> Result<Response, Problem> {
    channel(&api, &key).await?;
    Ok(file("text/javascript; charset=utf-8", FOR_A_WHILE, EMBED))
}

pub(super) async fn script() -> Response {
    file("text/javascript; charset=utf-8", FOR_EVER, SCRIPT)
}

pub(super) async fn style() -> Response {
    file("text/css; charset=utf-8", FOR_EVER, STYLE)
}

fn file(kind: &'static str, cache: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_text_and_nothing_else() {
        let page = fill(&[
            ("{{title}}", "<script>\"'{{key}}"),
            ("{{greeting}}", ""),
            ("{{accent}}", ""),
            ("{{language}}", ""),
            ("{{key}}", "K3Y"),
            ("{{revision}}", "1"),
        ]);
        assert!(page.contains("&lt;script&gt;&quot;&#39;&#123;&#123;key}}"));
        assert!(!page.contains("{{") && page.contains("K3Y"));
    }

    #[test]
    fn nothing_is_inline_and_nothing_comes_from_elsewhere() {
        for text in [PAGE, SCRIPT, STYLE, EMBED] {
            let elsewhere = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"));
        }
        assert!(!PAGE.contains("<style") && !PAGE.contains(" style=") && !PAGE.contains(" onclick"));
        assert!(PAGE.matches("<script").count() == PAGE.matches("<script src=").count());
        assert!(!SCRIPT.contains("innerHTML") && !EMBED.contains("innerHTML"));
    }
}
