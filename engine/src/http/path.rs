//! Ids in paths. What is not an id cannot name anything: 404, as for ids that
//! belong to others.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::problem::Problem;

/// The parameter `{id}` of the path.
#[derive(Debug, Clone, Copy)]
pub struct Id<T>(pub T);

impl<T: FromStr<Err: Display>, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::malformed("bad_path", error.to_string()))?;
        let text =
            params.iter().find_map(|(name, value)| (name == "id").then_some(value)).unwrap_or_default();
        text.parse()
            .map(Self)
            .map_err(|error: T::Err| Problem::new(StatusCode::NOT_FOUND, "not_found", error.to_string()))
    }
}
