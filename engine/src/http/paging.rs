//! Lists: a limit, an opaque cursor, and `next` in the answer. Keyset paging,
//! so that a page stays right while rows come and go.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::{FieldProblem, Problem};

/// Items on a page when the caller names no number.
pub const LIMIT_DEFAULT: i64 = 50;
/// Items on a page at most; more is 400.
pub const LIMIT_MAX: i64 = 200;

/// A page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct List<T> {
    /// The items, in a stable order.
    pub items: Vec<T>,
    /// Give it as `cursor` for the next page; `null`: this was the last.
    pub next: Option<String>,
}

/// Which page is wanted.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Items on the page, 1 to 200; 50 when absent.
    pub limit: Option<i64>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

impl Page {
    /// How many rows to read: one more than fit on the page tells whether there is a next one.
    ///
    /// # Errors
    /// 400 when the limit is not from 1 to 200.
    pub fn rows(&self) -> Result<i64, Problem> {
        rows(self.limit)
    }

    /// After which row the page begins.
    ///
    /// # Errors
    /// 400 when the cursor is not ours.
    pub fn after<K: FromStr>(&self) -> Result<Option<K>, Problem> {
        self.cursor.as_deref().map(decode).transpose()
    }
}

/// See [`Page::rows`]; for lists with more parameters.
///
/// # Errors
/// 400 when the limit is not from 1 to 200.
pub fn rows(limit: Option<i64>) -> Result<i64, Problem> {
    match limit.unwrap_or(LIMIT_DEFAULT) {
        limit @ 1..=LIMIT_MAX => Ok(limit + 1),
        _ => Err(Problem::malformed("bad_query", format!("`limit` must be from 1 to {LIMIT_MAX}"))
            .with_errors(vec![FieldProblem::new("?limit", format!("must be from 1 to {LIMIT_MAX}"))])),
    }
}

/// Reads a cursor.
///
/// # Errors
/// 400 when it is not ours.
pub fn decode<K: FromStr>(cursor: &str) -> Result<K, Problem> {
    URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok())
        .ok_or_else(|| {
            Problem::malformed(
                "bad_cursor",
                "`cursor` must be the `next` of the page before; leave it out to begin",
            )
        })
}

/// Writes a cursor that [`decode`] reads.
pub fn cursor(key: &impl ToString) -> String {
    URL_SAFE_NO_PAD.encode(key.to_string())
}

impl<T> List<T> {
    /// A page of what `rows` read: the row too many becomes the cursor's reason. `key` orders the list.
    pub fn page<R, K: ToString>(
        mut found: Vec<R>,
        rows: i64,
        key: impl Fn(&R) -> K,
        show: impl FnMut(R) -> T,
    ) -> Self {
        let size = usize::try_from(rows - 1).unwrap_or(0);
        let more = found.len() > size;
        found.truncate(size);
        let next = found.last().filter(|_| more).map(|last| cursor(&key(last)));
        Self { items: found.into_iter().map(show).collect(), next }
    }

    /// A list that always fits on one page.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

/// Query parameters of a known shape. The shape must be `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|error| Problem::malformed("bad_query", error.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_leads_to_the_row_after_the_page() {
        let rows = Page { limit: Some(2), cursor: None }.rows().unwrap();
        let list = List::page(vec![1, 2, 3], rows, |n| *n, |n| n * 10);
        assert_eq!(list.items, [10, 20]);
        let next = Page { limit: None, cursor: list.next };
        assert_eq!(next.after::<i32>().unwrap(), Some(2));
        assert_eq!(List::page(vec![3, 4], rows, |n| *n, |n| n).next, None);
    }

    #[test]
    fn bad_pages_are_refused() {
        for limit in [0, -1, 201] {
            assert_eq!(Page { limit: Some(limit), cursor: None }.rows().unwrap_err().status.as_u16(), 400);
        }
        assert_eq!(decode::<i32>("not ours").unwrap_err().code, "bad_cursor");
    }
}
