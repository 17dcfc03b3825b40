//! The engine's door: the API, its documents, the pages and the vendors'
//! webhooks. Translates HTTP into calls of `flow` and `store` and back; takes no
//! decision of its own but who may do what. One file per family of endpoints.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use utoipa_axum::router::OpenApiRouter;

pub mod actions;
mod api;
pub mod api_keys;
pub mod assistants;
pub mod attachments;
pub mod audit;
pub mod auth;
pub mod body;
pub mod calendars;
pub mod channels;
pub mod chat;
mod console;
pub mod contacts;
pub mod conversations;
pub mod docs;
pub mod etag;
pub mod events;
mod files;
mod follow;
pub mod groups;
pub mod health;
pub mod hooks;
pub mod idempotency;
pub mod insights;
pub mod jobs;
mod layers;
pub mod mask;
pub mod messages;
pub mod metrics;
pub mod notifications;
mod openapi;
pub mod orders;
pub mod paging;
pub mod password;
pub mod path;
pub mod plugins;
pub mod problem;
pub mod rate;
pub mod raw_webhooks;
pub mod request_id;
pub mod rule_hooks;
pub mod rules;
mod sealed;
pub mod signin;
pub mod stream;
mod tail;
pub mod tenant;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod uploads;
pub mod users;
pub mod webhooks;

pub use api::{Api, Refused};
pub use openapi::document;

/// The documented families, one line each. Their paths start with `/api/v1`; idempotency keys work on all of them.
fn families() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .merge(signin::router())
        .merge(api_keys::router())
        .merge(users::router())
        .merge(groups::router())
        .merge(calendars::router())
        .merge(plugins::router())
        .merge(channels::router())
        .merge(assistants::router())
        .merge(insights::router())
        .merge(rules::router())
        .merge(rule_hooks::router())
        .merge(contacts::router())
        .merge(conversations::router())
        .merge(actions::router())
        .merge(messages::router())
        .merge(attachments::router())
        .merge(uploads::router())
        .merge(events::router())
        .merge(stream::router())
        .merge(jobs::router())
        .merge(raw_webhooks::router())
        .merge(notifications::router())
        .merge(tenant::router())
        .merge(webhooks::router())
        .merge(audit::router())
}

/// Everything that is not part of the documented API: health, documents, pages, public addresses. Each family guards
/// itself.
fn others() -> Router<Api> {
    Router::new()
        .merge(health::router())
        .merge(hooks::router())
        .merge(rule_hooks::door())
        .merge(files::router())
        .merge(uploads::about())
        .merge(chat::router())
        .merge(docs::router())
        .merge(console::router())
}

/// The whole router, with its layers.
pub fn router(api: Api) -> Router {
    let (v1, _) = families().split_for_parts();
    let v1 = v1.layer(axum::middleware::from_fn_with_state(api.clone(), idempotency::layer));
    layers::around(v1.merge(others()), api.clone()).with_state(api)
}

/// Answers requests until `stop` ends and those under way are done.
///
/// # Errors
/// The listener broke.
pub async fn serve(
    api: Api,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let service = router(api).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}
