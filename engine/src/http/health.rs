//! For load balancers and monitoring: alive, ready, figures.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Api;
use super::auth::Admin;
use super::problem::Problem;
use crate::args;

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
}

/// The process runs.
async fn healthz() -> &'static str {
    "ok\n"
}

/// The process can serve: it is not going down and the database answers.
async fn readyz(State(api): State<Api>) -> Result<&'static str, Problem> {
    if api.is_draining() {
        return Err(Problem::unavailable("draining", "this process is going down"));
    }
    api.read().await?.first("answer", "select 1", args![]).await?;
    Ok("ready\n")
}

async fn metrics(State(api): State<Api>, _: Operator) -> Result<Response, Problem> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, api.registry())
        .map_err(|error| Problem::internal("the metrics could not be written", &error))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// Somebody on this machine, or an admin.
struct Operator;

impl FromRequestParts<Api> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let from = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        if from.is_some_and(|ConnectInfo(from)| from.ip().is_loopback()) && !is_forwarded(&parts.headers) {
            return Ok(Self);
        }
        Admin::from_request_parts(parts, api).await.map(|_| Self)
    }
}

/// A proxy on this machine speaks for somebody elsewhere.
fn is_forwarded(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name))
}
