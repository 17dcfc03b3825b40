//! JSON bodies: read strictly, so that a mistake is told and not ignored. Not
//! JSON is 415 or 400; JSON that does not fit is 422 with a pointer, and for an
//! unknown field with the nearest known name.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::problem::{FieldProblem, Problem};

/// Largest body of an API request; larger ones are 413. Vendors' webhooks have a limit of their own.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A JSON body of a known shape. The shape must be `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "send the body as `content-type: application/json`",
            ));
        }
        let bytes = bytes(request, BODY_BYTES_MAX).await?;
        parse(&bytes).map(Self)
    }
}

/// The whole body, if it is not larger than `max` bytes.
///
/// # Errors
/// 413; 400 when the connection broke.
pub async fn bytes(request: Request, max: usize) -> Result<axum::body::Bytes, Problem> {
    let said =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let too_large = || {
        let detail = format!("the body is larger than {max} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    };
    if said.is_some_and(|length: u64| length > max as u64) {
        return Err(too_large());
    }
    to_bytes(request.into_body(), max).await.map_err(|error| {
        let error = std::error::Error::source(&error);
        if error.is_some_and(|cause| cause.to_string().contains("length limit exceeded")) {
            return too_large();
        }
        Problem::malformed("broken_body", "the body ended early; send it again")
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// Reads JSON bytes.
///
/// # Errors
/// 400 when it is not JSON, 422 when it does not fit.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Problem::malformed("malformed_json", format!("the body is not JSON: {} at {place}", reason(&error)))
    })?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut pointer = pointer(error.path());
        let text = error.inner().to_string();
        let message = match quoted(&text).as_slice() {
            [unknown, known @ ..] if text.starts_with("unknown field") => {
                // The path ends at the object or already at the field, depending on the shape.
                if !pointer.ends_with(&format!("/{unknown}")) {
                    pointer.push_str(&format!("/{}", escape(unknown)));
                }
                unknown_field(unknown, known)
            }
            [missing, ..] if text.starts_with("missing field") => {
                pointer.push_str(&format!("/{}", escape(missing)));
                "is missing; it must be given".to_owned()
            }
            _ => text.clone(),
        };
        Problem::invalid(vec![FieldProblem::new(pointer, message)])
    })
}

/// serde_json's text without the place at its end.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

fn unknown_field(unknown: &str, known: &[String]) -> String {
    let near = known.iter().map(|name| (strsim::damerau_levenshtein(unknown, name), name)).min();
    match near {
        Some((distance, name)) if distance <= (unknown.chars().count() / 3).max(2) => {
            format!("is not known; did you mean `{name}`?")
        }
        Some(_) => format!("is not known; known are {}", known.join(", ")),
        None => "is not known; nothing may be given here".to_owned(),
    }
}

/// The words in backticks, as serde writes field names.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |mut out, segment| {
        match segment {
            Segment::Seq { index } => out.push_str(&format!("/{index}")),
            Segment::Map { key } => out.push_str(&format!("/{}", escape(key))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
        out
    })
}

/// RFC 6901.
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// For a field of a PATCH where `null` means "none" and absence "as it is":
/// `#[serde(default, deserialize_with = "body::given")] x: Option<Option<T>>`.
///
/// # Errors
/// The value does not fit.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// An empty object, for POSTs whose body says nothing.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Shape {
        name: String,
        #[serde(default)]
        parts: Vec<Part>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Part {
        size: u32,
    }

    #[track_caller]
    fn check(body: &str, status: u16, pointer: &str, says: &str) {
        let problem = parse::<Shape>(body.as_bytes()).unwrap_err();
        assert_eq!(problem.status.as_u16(), status, "{problem:?}");
        let field = problem.errors.first().map(|e| e.pointer.as_str()).unwrap_or_default();
        assert_eq!(field, pointer, "{problem:?}");
        assert!(problem.detail.contains(says), "{problem:?}");
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        check("{", 400, "", "line 1");
        check(r#"{"nmae": "x"}"#, 422, "/nmae", "did you mean `name`?");
        check(r#"{"name": "x", "zzzzzz": 1}"#, 422, "/zzzzzz", "known are name, parts");
        check("{}", 422, "/name", "missing");
        check(r#"{"name": 1}"#, 422, "/name", "expected a string");
        check(r#"{"name": "x", "parts": [{"size": 1}, {"size": -1}]}"#, 422, "/parts/1/size", "u32");
        check(r#"{"name": "x", "parts": [{"sise": 1}]}"#, 422, "/parts/0/sise", "did you mean `size`?");
        check(r#"{"name": "x", "parts": [{}]}"#, 422, "/parts/0/size", "missing");
    }
}
