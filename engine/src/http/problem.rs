//! Errors as clients see them: RFC 9457 problem documents with a stable code, a
//! sentence that says what to do, and the request id. The operator's side, the
//! full chain, is logged here once.

use std::borrow::Cow;
use std::error::Error;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::request_id;
use crate::flow::FlowError;
use crate::store::StoreError;

/// After how many seconds a client should try again when the database is away or the process goes down.
const RETRY_AFTER_S: u32 = 5;

/// Why a request was not served.
#[derive(Debug, Clone)]
pub struct Problem {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable word for programs.
    pub code: Cow<'static, str>,
    /// One sentence for a person.
    pub detail: String,
    /// What is wrong with which field.
    pub errors: Vec<FieldProblem>,
    /// When to try again.
    pub retry_after_s: Option<u32>,
    /// More members of the document, e.g. `message`.
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct FieldProblem {
    /// JSON pointer into the body, or `?name` for a query parameter.
    pub pointer: String,
    /// One sentence for a person.
    pub message: String,
    /// Stable word for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Line in a rule or cases file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in a rule or cases file, in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// `error` or `warning`, for a rule: warnings keep nothing from running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// The line with a caret under the place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

impl FieldProblem {
    /// `pointer`: `/settings/x`.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into(), ..Self::default() }
    }
}

/// The problem document, as it is written.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The HTTP status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// Stable word for programs.
    pub code: String,
    /// One sentence for a person: what is wrong and what to do.
    pub detail: String,
    /// Name it when you ask for help.
    pub request_id: String,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// More members, e.g. `message` of a refused message.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// A problem with a status, a code and a sentence.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: None,
            extra: serde_json::Map::new(),
        }
    }

    /// 400: the request cannot be read.
    pub fn malformed(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: who asks is not known.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// 403: who asks may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404: `what` is e.g. `channel`.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    /// 409.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422 with a code and a sentence.
    pub fn refused(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 422 with the fields that are wrong.
    pub fn invalid(errors: Vec<FieldProblem>) -> Self {
        let detail = match errors.as_slice() {
            [only] => format!("{}: {}", only.pointer, only.message),
            many => format!("{} fields are not valid; see `errors`", many.len()),
        };
        Self { errors, ..Self::refused("invalid", detail) }
    }

    /// 422 about one field.
    pub fn field(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldProblem::new(pointer, message)])
    }

    /// 429: try again in so many seconds.
    pub fn too_many(detail: impl Into<String>, retry_after_s: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail).retry_after(retry_after_s)
    }

    /// 503: try again soon.
    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(RETRY_AFTER_S)
    }

    /// 500: our mistake. The error goes to the log, not to the client.
    pub fn internal(what: &str, error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error, "{what}");
        Self::broken()
    }

    /// 500 about something that has been logged already.
    pub fn broken() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "this is our mistake; tell the operator the request id, the log says more",
        )
    }

    /// The same problem with a time to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The same problem with one more member in its document.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// The same problem with fields.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldProblem>) -> Self {
        self.errors = errors;
        self
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Moved(_)) {
            return Self::conflict("changed_meanwhile", "this is being changed by somebody else; try again");
        }
        tracing::error!(error = &error as &dyn Error, "the store failed while a request was served");
        match error {
            StoreError::Database { .. }
            | StoreError::Sqlite { .. }
            | StoreError::Busy
            | StoreError::NotOnDisk
            | StoreError::Closed => Self::unavailable(
                "store_unavailable",
                "the database cannot be reached; try again in a moment",
            ),
            _ => Self::broken(),
        }
    }
}

impl From<FlowError> for Problem {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::Store(error) => error.into(),
            FlowError::NoPlugin { .. } => Self::refused("no_plugin", error.to_string()),
            FlowError::Crypto(_) => Self::internal("a channel's secrets cannot be opened", &error),
            FlowError::Broken(_) => Self::internal("a piece of work broke", &error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code.into_owned(),
            detail: self.detail,
            request_id: request_id::current().map_or_else(String::new, |id| id.to_string()),
            errors: self.errors,
            extra: self.extra,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default(); // strings and JSON values only
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::PAYLOAD_TOO_LARGE {
            // The rest of the body was not read: the connection cannot carry another request.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
