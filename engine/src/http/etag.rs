//! Versions as entity tags, so that two people who edit the same thing do not
//! overwrite each other: `ETag: "7"`, `If-Match: "7"`, 412 when it is 8 by now.

use std::convert::Infallible;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::problem::Problem;

/// A JSON answer with its version.
#[derive(Debug)]
pub struct Tagged<T> {
    /// 200 or 201.
    pub status: StatusCode,
    /// The version, counted from 1.
    pub version: i64,
    /// The answer.
    pub body: T,
}

impl<T> Tagged<T> {
    /// 200.
    pub fn ok(version: i64, body: T) -> Self {
        Self { status: StatusCode::OK, version, body }
    }

    /// 201.
    pub fn created(version: i64, body: T) -> Self {
        Self { status: StatusCode::CREATED, version, body }
    }
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.version)) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// The version that the caller saw, if they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// No header, or `*`: whatever is there.
    Any,
    /// One of these tags, without quotes.
    Tags(Vec<String>),
}

impl IfMatch {
    /// Is it still the version that the caller saw?
    ///
    /// # Errors
    /// 412.
    pub fn check(&self, version: i64) -> Result<(), Problem> {
        match self {
            Self::Any => Ok(()),
            Self::Tags(tags) if tags.contains(&version.to_string()) => Ok(()),
            Self::Tags(_) => Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "stale",
                "somebody changed this since you read it; read it again and repeat your change",
            )),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let given: Vec<&str> =
            parts.headers.get_all(header::IF_MATCH).iter().filter_map(|value| value.to_str().ok()).collect();
        let tags: Vec<String> = given
            .iter()
            .flat_map(|value| value.split(','))
            .map(|tag| tag.trim().trim_matches('"').to_owned())
            .collect();
        let any = given.is_empty() || tags.iter().any(|tag| tag == "*");
        Ok(if any { Self::Any } else { Self::Tags(tags) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_version_is_refused() {
        let seen = IfMatch::Tags(vec!["7".into()]);
        assert!(seen.check(7).is_ok() && IfMatch::Any.check(9).is_ok());
        assert_eq!(seen.check(8).unwrap_err().status, StatusCode::PRECONDITION_FAILED);
    }
}
