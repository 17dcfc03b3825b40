//! Builds the HTTP request that a plugin asked for, with secrets put in place
//! by name. Nothing leaves from here.

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, multipart};

use super::blob::{BlobStore, BlobStream};
use super::files::Files;
use super::secrets::Secrets;
use super::target::Target;
use super::{Refusal, http, json};

/// Bytes of a body without files; more is refused.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Header fields of one request; more are refused.
const HEADERS_MAX: usize = 64;
/// Fields of a query or a form, and parts of a body; more are refused.
const FIELDS_MAX: usize = 1_000;
/// Longest URL with its query fields, bytes; a longer one is refused.
const URL_BYTES_MAX: usize = 16 << 10;
/// Bytes of one header value; more is refused.
const HEADER_BYTES_MAX: usize = 8 << 10;
const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
/// Headers that belong to the connection, to routing or to the host.
const FORBIDDEN_HEADERS: [&str; 14] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept-encoding",
    "forwarded",
    "via",
    "http2-settings",
    "cookie2",
];
const FORBIDDEN_PREFIXES: [&str; 4] = ["proxy-", "sec-", "x-forwarded-", ":"];

/// The method, when plugins may use it.
pub(super) fn method(name: &str) -> Result<Method, Refusal> {
    METHODS.into_iter().find(|method| method.as_str() == name).ok_or_else(|| {
        Refusal::new("the method must be GET, HEAD, POST, PUT, PATCH or DELETE, in upper case")
    })
}

/// Appends the query fields, percent-encoded.
pub(super) fn add_query(
    target: &mut Target,
    fields: &[http::Field],
    secrets: &Secrets<'_>,
) -> Result<(), Refusal> {
    if fields.is_empty() {
        return Ok(());
    }
    few(fields.len(), "query fields")?;
    let mut query = target.url.query_pairs_mut();
    for field in fields {
        query.append_pair(&field.name, &secrets.value(&field.value)?.0);
    }
    drop(query);
    if target.url.as_str().len() > URL_BYTES_MAX {
        return Err(Refusal(format!(
            "the URL with its query is longer than {URL_BYTES_MAX} bytes; send the fields in the body"
        )));
    }
    Ok(())
}

fn few(count: usize, what: &str) -> Result<(), Refusal> {
    if count > FIELDS_MAX {
        return Err(Refusal(format!("there are {count} {what}, {FIELDS_MAX} are allowed")));
    }
    Ok(())
}

/// All headers, authorisation included.
pub(super) fn headers(call: &http::Call, secrets: &Secrets<'_>) -> Result<HeaderMap, Refusal> {
    if call.headers.len() > HEADERS_MAX {
        return Err(Refusal::new(format!("more than {HEADERS_MAX} headers")));
    }
    let mut headers = HeaderMap::new();
    for field in &call.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| Refusal::new("a header name is not valid; use letters, digits and `-`"))?;
        let forbidden = FORBIDDEN_HEADERS.contains(&name.as_str())
            || FORBIDDEN_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix));
        if forbidden {
            return Err(Refusal::new(format!("header `{name}` is the host's to set; leave it out")));
        }
        let (value, sensitive) = secrets.value(&field.value)?;
        headers.append(name.clone(), header_value(name.as_str(), &value, sensitive)?);
    }
    let authorization = match &call.auth {
        http::Auth::None => return Ok(headers),
        http::Auth::Bearer(token) => format!("Bearer {}", secrets.value(token)?.0),
        http::Auth::Basic(basic) => {
            let (user, password) = (secrets.value(&basic.user)?.0, secrets.value(&basic.password)?.0);
            if user.contains(':') {
                return Err(Refusal::new("the user name of basic authentication may hold no `:`"));
            }
            use base64::Engine as _;
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            format!("Basic {pair}")
        }
    };
    headers.insert(AUTHORIZATION, header_value("authorization", &authorization, true)?);
    Ok(headers)
}

fn header_value(name: &str, value: &str, sensitive: bool) -> Result<HeaderValue, Refusal> {
    if value.len() > HEADER_BYTES_MAX {
        return Err(Refusal::new(format!("header `{name}` is longer than {HEADER_BYTES_MAX} bytes")));
    }
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        Refusal::new(format!("header `{name}` holds a line break or another control character; remove it"))
    })?;
    value.set_sensitive(sensitive);
    Ok(value)
}

/// Adds the body and, where the plugin named none, its content type.
pub(super) async fn add_body(
    request: RequestBuilder,
    body: http::Body,
    headers: &HeaderMap,
    secrets: &Secrets<'_>,
    files: (&Files, &dyn BlobStore),
) -> Result<RequestBuilder, Refusal> {
    let typed = |request: RequestBuilder, content_type: &'static str| {
        if headers.contains_key(CONTENT_TYPE) { request } else { request.header(CONTENT_TYPE, content_type) }
    };
    match body {
        http::Body::None => Ok(request),
        http::Body::Bytes(bytes) => Ok(request.body(bounded(bytes)?)),
        http::Body::Blob(id) => {
            let (content, size) = open(files, &id).await?;
            Ok(sized(typed(request, "application/octet-stream"), content, size))
        }
        http::Body::Json(json) => {
            let request = typed(request, "application/json");
            Ok(match json::fill(json, secrets, files).await? {
                json::Filled::Text(text) => request.body(text),
                json::Filled::WithFiles(content, size) => sized(request, content, size),
            })
        }
        http::Body::Form(fields) => {
            few(fields.len(), "form fields")?;
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for field in &fields {
                form.append_pair(&field.name, &secrets.value(&field.value)?.0);
            }
            let form = bounded(form.finish().into_bytes())?;
            Ok(typed(request, "application/x-www-form-urlencoded").body(form))
        }
        http::Body::Multipart(parts) => {
            if headers.contains_key(CONTENT_TYPE) {
                return Err(Refusal::new("the content type of a multipart body is the host's to set"));
            }
            few(parts.len(), "parts")?;
            let mut form = multipart::Form::new();
            for part in parts {
                let name = plain(part.name.clone(), "part name")?;
                form = form.part(name, multipart_part(part, secrets, files).await?);
            }
            Ok(request.multipart(form))
        }
    }
}

/// One of the operation's own files.
pub(super) async fn open(
    (files, blobs): (&Files, &dyn BlobStore),
    id: &str,
) -> Result<(BlobStream, u64), Refusal> {
    let opened = files.open(blobs, id).await;
    opened.map_err(|_| Refusal::new("this message has no such file; use the id of an attachment"))
}

/// A streamed body with its length: not every vendor takes chunks.
fn sized(request: RequestBuilder, content: BlobStream, size: u64) -> RequestBuilder {
    request.header(CONTENT_LENGTH, size).body(reqwest::Body::wrap_stream(content))
}

pub(super) fn bounded(body: Vec<u8>) -> Result<Vec<u8>, Refusal> {
    if body.len() > BODY_BYTES_MAX {
        return Err(Refusal::new(format!(
            "the body is larger than {BODY_BYTES_MAX} bytes; send files as blobs"
        )));
    }
    Ok(body)
}

async fn multipart_part(
    part: http::Part,
    secrets: &Secrets<'_>,
    files: (&Files, &dyn BlobStore),
) -> Result<multipart::Part, Refusal> {
    let mut built = match part.content {
        http::PartContent::Field(value) => multipart::Part::text(secrets.value(&value)?.0),
        http::PartContent::Bytes(bytes) => multipart::Part::bytes(bounded(bytes)?),
        http::PartContent::Blob(id) => {
            let (content, size) = open(files, &id).await?;
            multipart::Part::stream_with_length(reqwest::Body::wrap_stream(content), size)
        }
    };
    if let Some(name) = part.file_name {
        built = built.file_name(plain(name, "file name")?);
    }
    if let Some(content_type) = part.content_type {
        built = built
            .mime_str(&plain(content_type, "content type")?)
            .map_err(|_| Refusal::new("the content type of a part is not valid"))?;
    }
    Ok(built)
}

fn plain(text: String, what: &str) -> Result<String, Refusal> {
    if text.chars().any(char::is_control) {
        return Err(Refusal::new(format!(
            "a {what} holds a line break or another control character; remove it"
        )));
    }
    Ok(text)
}
