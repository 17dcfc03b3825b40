//! A client of the HTTP API as any program would write one: JSON, a bearer key,
//! problem answers. It knows no resource; stories name the paths.

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// Rows asked for per page.
const PAGE_ROWS: usize = 200;

/// One base address with one credential.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    key: Option<String>,
}

/// An answer as it came, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The call, for error texts: method and path.
    pub call: String,
    /// The HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// Reads the whole answer of `call`.
    ///
    /// # Errors
    /// The connection broke, or the body is not UTF-8.
    pub async fn read(call: String, response: reqwest::Response) -> Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.with_context(|| format!("the answer of {call} broke off"))?;
        let text = String::from_utf8(bytes.to_vec()).with_context(|| format!("{call}: not UTF-8"))?;
        Ok(Self { call, status, headers, text })
    }

    /// The body as JSON; `null` when it is empty.
    ///
    /// # Errors
    /// The body is not JSON.
    pub fn json(&self) -> Result<Value> {
        if self.text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&self.text).with_context(|| format!("{}: not JSON: {}", self.call, self.text))
    }

    /// The body, when the status is the wanted one.
    ///
    /// # Errors
    /// Another status; the text shows the body.
    pub fn expect(self, status: u16) -> Result<Value> {
        ensure!(
            self.status == status,
            "{} answered {} instead of {status}: {}",
            self.call,
            self.status,
            self.text
        );
        self.json()
    }

    /// The problem of a refused call: checks the status, the media type, the
    /// request id and that there is a sentence, and gives the body.
    ///
    /// # Errors
    /// The answer is not a problem as the API promises it.
    pub fn problem(self, status: u16, code: &str) -> Result<Value> {
        let media = header(&self.headers, "content-type").unwrap_or_default();
        ensure!(media.starts_with("application/problem+json"), "{}: content type {media:?}", self.call);
        let request_id = header(&self.headers, "x-request-id");
        let call = self.call.clone();
        let body = self.expect(status)?;
        ensure!(body["code"] == code, "{call}: code {} instead of {code}: {body}", body["code"]);
        ensure!(body["request_id"].as_str() == request_id.as_deref(), "{call}: request ids differ: {body}");
        ensure!(body["detail"].as_str().is_some_and(|text| text.len() > 10), "{call}: no sentence: {body}");
        Ok(body)
    }
}

/// One header as text.
pub fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The text at a JSON pointer.
///
/// # Errors
/// There is none; the text shows the whole value.
pub fn text_at<'v>(value: &'v Value, pointer: &str) -> Result<&'v str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no text at {pointer} in {value}"))
}

impl Api {
    /// `base`: scheme, host and port, without a trailing slash. `key`: none for anonymous calls.
    ///
    /// # Errors
    /// No HTTP client could be made.
    pub fn new(base: &str, key: Option<&str>) -> Result<Self> {
        Ok(Self { http: crate::http_client()?, base: base.to_owned(), key: key.map(str::to_owned) })
    }

    /// The same address with another credential.
    #[must_use]
    pub fn with_key(&self, key: Option<&str>) -> Self {
        Self { key: key.map(str::to_owned), ..self.clone() }
    }

    /// One call with extra headers; a path without a leading `/api` is taken as is.
    ///
    /// # Errors
    /// No answer came.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        let call = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.with_context(|| format!("no answer to {call}"))?;
        Answer::read(call, response).await
    }

    /// # Errors
    /// No answer came.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.call(Method::GET, path, None, &[]).await
    }

    /// # Errors
    /// No answer came.
    pub async fn post(&self, path: &str, body: Value) -> Result<Answer> {
        self.call(Method::POST, path, Some(&body), &[]).await
    }

    /// # Errors
    /// No answer came.
    pub async fn patch(&self, path: &str, body: Value) -> Result<Answer> {
        self.call(Method::PATCH, path, Some(&body), &[]).await
    }

    /// # Errors
    /// No answer came.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.call(Method::DELETE, path, None, &[]).await
    }

    /// All rows of a list, page after page.
    ///
    /// # Errors
    /// A page is refused or has another shape, or the cursor repeats.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut rows = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let joiner = if path.contains('?') { '&' } else { '?' };
            let page = match &cursor {
                Some(cursor) => format!("{path}{joiner}limit={PAGE_ROWS}&cursor={cursor}"),
                None => format!("{path}{joiner}limit={PAGE_ROWS}"),
            };
            let mut body = self.get(&page).await?.expect(200)?;
            let Value::Array(items) = body["items"].take() else { bail!("{path}: no items: {body}") };
            rows.extend(items);
            match body["next"].as_str() {
                None => return Ok(rows),
                Some(next) if Some(next) == cursor.as_deref() => bail!("{path}: the cursor stands still"),
                Some(next) => cursor = Some(next.to_owned()),
            }
        }
    }

    /// The one row of a list whose field has this value.
    ///
    /// # Errors
    /// There is none.
    pub async fn find(&self, path: &str, field: &str, wanted: &str) -> Result<Value> {
        let rows = self.list(path).await?;
        rows.into_iter()
            .find(|row| row[field] == wanted)
            .with_context(|| format!("no row of {path} has {field} = {wanted}"))
    }
}
