//! The API as commands call it: an address, a key, JSON in and out. Refusals
//! come back as sentences.

use std::time::Duration;

use clap::Args;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use url::Url;

use super::error::{CliError, Refusal, with_causes};
use super::output::printable;
use crate::crypto::Secret;

/// A call that takes longer is given up.
const CALL_TIMEOUT: Duration = Duration::from_secs(40);
/// The same where a file goes along and the server works on it.
const FILE_TIMEOUT: Duration = Duration::from_secs(300);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Most pages of one list; a server that never ends must not keep us for ever.
const PAGES_MAX: usize = 500;

/// Which server, and who asks.
#[derive(Debug, Clone, Args)]
pub(super) struct ApiArgs {
    /// Address of the running server
    #[arg(long, env = "POINTSMAN_URL", default_value = "http://127.0.0.1:8080", help_heading = "Server")]
    pub(super) url: Url,
    /// API key; better in POINTSMAN_KEY than here, where others can read it
    #[arg(long, env = "POINTSMAN_KEY", hide_env_values = true, value_parser = secret, help_heading = "Server")]
    pub(super) key: Option<Secret>,
}

/// Wraps a secret argument, so that nothing prints it.
///
/// # Errors
/// Never; clap wants a result.
pub(super) fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// A client of one server.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<Secret>,
}

impl Client {
    /// A client; connects with the first call.
    ///
    /// # Errors
    /// The address is not HTTP, or the system has no certificates.
    pub(super) fn new(args: &ApiArgs) -> Result<Self, CliError> {
        Ok(Self { http: http_client(&args.url)?, base: base(&args.url), key: args.key.clone() })
    }

    /// `GET`, any answer but an error.
    ///
    /// # Errors
    /// Refused or unreachable.
    pub(super) async fn get(&self, path: &str) -> Result<Value, CliError> {
        self.call(Method::GET, path, None).await
    }

    /// `POST` with a JSON body.
    ///
    /// # Errors
    /// Refused or unreachable.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `POST` with a file as the body. It may take long.
    ///
    /// # Errors
    /// Refused or unreachable.
    pub(super) async fn post_file(&self, path: &str, kind: &str, file: Vec<u8>) -> Result<Value, CliError> {
        let request = self.request(Method::POST, path).timeout(FILE_TIMEOUT);
        self.answer(request.header("content-type", kind).body(file)).await
    }

    /// `PATCH` with a JSON body.
    ///
    /// # Errors
    /// Refused or unreachable.
    pub(super) async fn patch(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// `PUT` with a JSON body.
    ///
    /// # Errors
    /// Refused or unreachable.
    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// `DELETE`.
    ///
    /// # Errors
    /// Refused or unreachable.
    pub(super) async fn delete(&self, path: &str) -> Result<Value, CliError> {
        self.call(Method::DELETE, path, None).await
    }

    /// All items of a list, page by page.
    ///
    /// # Errors
    /// Refused or unreachable.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<Value>, CliError> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let mark = if path.contains('?') { '&' } else { '?' };
            let page = match cursor.as_str() {
                "" => self.get(path).await?,
                cursor => self.get(&format!("{path}{mark}cursor={}", encoded(cursor))).await?,
            };
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => return Ok(items),
            }
        }
        Err(CliError::Failed(format!("{path} has more than {PAGES_MAX} pages; narrow the question")))
    }

    /// An open answer, e.g. a stream; no time limit but on connecting.
    ///
    /// # Errors
    /// Refused or unreachable.
    pub(super) async fn open(&self, path: &str, last_event_id: Option<&str>) -> Result<Response, CliError> {
        let mut request = self.request(Method::GET, path).header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        self.send(request).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, CliError> {
        let mut request = self.request(method, path).timeout(CALL_TIMEOUT);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.answer(request).await
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value, CliError> {
        let response = self.send(request).await?;
        let text = response.text().await.map_err(|error| self.unreachable(error))?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text)
            .map_err(|_| CliError::Failed(format!("{} does not answer in JSON; is it Pointsman?", self.base)))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key.expose()),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, CliError> {
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = response.text().await.unwrap_or_default();
        Err(refusal(status, &body).into())
    }

    fn unreachable(&self, error: reqwest::Error) -> CliError {
        let what = if error.is_timeout() { "did not answer in time" } else { "cannot be reached" };
        let cause = with_causes(&error.without_url());
        CliError::Unavailable(format!(
            "{} {what} ({cause}); start it with `pointsman serve`, or give its address with --url",
            self.base
        ))
    }
}

/// An HTTP client for one server: follows no redirect with our key, and uses no proxy for this machine.
///
/// # Errors
/// The address is not HTTP, or the system has no certificates.
pub(super) fn http_client(url: &Url) -> Result<reqwest::Client, CliError> {
    // Only one provider is compiled in; a second installation is refused and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("pointsman/", env!("CARGO_PKG_VERSION")));
    match url.scheme() {
        "https" => {}
        // Plain HTTP works on systems without certificates, too.
        "http" => builder = builder.tls_certs_only([]),
        _ => return Err(CliError::Usage(format!("{url} must begin with http:// or https://"))),
    }
    let here = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if here {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| {
        CliError::Failed(format!(
            "no HTTP client: {}; check the certificates of this system",
            with_causes(&error)
        ))
    })
}

/// The address without its last slash.
fn base(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// A text as one part of a path or query.
pub(super) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Reads problem+json; anything else is told by its status alone.
fn refusal(status: u16, body: &str) -> Refusal {
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    let word = |name: &str| problem[name].as_str().map(printable);
    let fields = problem["errors"].as_array().into_iter().flatten().map(field).collect();
    Refusal {
        status,
        code: word("code").unwrap_or_default(),
        detail: word("detail")
            .or_else(|| word("title"))
            .unwrap_or_else(|| "The server answered with an error that is not Pointsman's".to_owned()),
        request_id: word("request_id"),
        fields,
    }
}

fn field(error: &Value) -> String {
    let text = |name: &str| error[name].as_str().unwrap_or_default();
    let place = match (error["line"].as_u64(), error["column"].as_u64()) {
        (Some(line), Some(column)) => format!("line {line}, column {column}"),
        _ => text("pointer").to_owned(),
    };
    let mut line = format!("{place}: {}", printable(text("message")));
    for more in ["excerpt", "hint"] {
        if let Some(more) = error[more].as_str().filter(|more| !more.is_empty()) {
            let clean: Vec<_> = more.lines().map(printable).collect();
            line.push_str(&format!("\n{}", clean.join("\n")));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_become_sentences() {
        let body = r#"{"title":"T","status":422,"code":"rule_invalid","detail":"The rule has mistakes.","request_id":"req_9",
            "errors":[{"pointer":"/source","line":5,"column":2,"message":"`set_prio` is not known","hint":"did you mean set_priority?","excerpt":"5 | set_prio()"},
                      {"pointer":"/name","message":"is taken"}]}"#;
        let refusal = refusal(422, body);
        assert_eq!(refusal.code, "rule_invalid");
        assert_eq!(
            refusal.fields,
            [
                "line 5, column 2: `set_prio` is not known\n5 | set_prio()\ndid you mean set_priority?",
                "/name: is taken"
            ]
        );
    }

    #[test]
    fn an_answer_of_somebody_else_is_no_problem_document() {
        let refusal = refusal(502, "<html>Bad gateway</html>");
        assert!(refusal.to_string().contains("HTTP 502") && refusal.code.is_empty(), "{refusal}");
    }

    #[test]
    fn only_http_addresses_are_taken() {
        assert!(http_client(&"ftp://x/".parse().unwrap()).is_err());
        assert!(http_client(&"http://127.0.0.1:1/".parse().unwrap()).is_ok());
        assert_eq!(base(&"https://x.example/pm/".parse().unwrap()), "https://x.example/pm");
    }

    async fn served(router: axum::Router) -> Client {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Client::new(&ApiArgs { url, key: Some(Secret::new("pm_test")) }).unwrap()
    }

    #[tokio::test]
    async fn a_list_is_read_to_its_last_page_with_the_key() {
        use axum::extract::RawQuery;
        use axum::http::{HeaderMap, StatusCode};
        let page = |RawQuery(query): RawQuery, headers: HeaderMap| async move {
            if headers.get("authorization").is_none_or(|given| given != "Bearer pm_test") {
                return Err((StatusCode::UNAUTHORIZED, r#"{"code":"unauthorized","detail":"No key."}"#));
            }
            Ok(axum::Json(match query.as_deref() {
                Some("live=true") => serde_json::json!({"items": [1, 2], "next": "a+b"}),
                Some("live=true&cursor=a%2Bb") => serde_json::json!({"items": [3], "next": null}),
                other => panic!("{other:?}"),
            }))
        };
        let client = served(axum::Router::new().route("/things", axum::routing::get(page))).await;
        assert_eq!(client.list("/things?live=true").await.unwrap(), [1, 2, 3]);
        let error = Client { key: None, ..client }.list("/things?live=true").await.unwrap_err().to_string();
        assert!(
            error.starts_with("No key (unauthorized, HTTP 401)\n") && error.contains("key create"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_unavailable() {
        let url = "http://127.0.0.1:1".parse().unwrap();
        let error =
            Client::new(&ApiArgs { url, key: None }).unwrap().get("/x?token=hidden").await.unwrap_err();
        assert!(matches!(&error, CliError::Unavailable(text) if !text.contains("hidden")), "{error}");
    }
}
