//! `/chat/{key}`: the chat page of a webchat channel, the script that puts it on
//! any website, and what the page calls. Visitors are nobody's users: each holds
//! a token for itself, and everything they write goes through the channel's hook
//! like any vendor's webhook.

mod live;
mod page;
mod thread;
mod visitor;

use axum::Router;
use axum::routing::{get, post};

use super::Api;
use super::rate::Rate;

/// New visitors from one address of the network.
const SESSIONS_PER_ADDRESS: Rate = Rate { per_second: 2.0, burst: 120.0 };
/// Messages of one visitor.
const MESSAGES_PER_VISITOR: Rate = Rate { per_second: 0.5, burst: 20.0 };
/// Messages from one address of the network, where many visitors may be.
const MESSAGES_PER_ADDRESS: Rate = Rate { per_second: 20.0, burst: 400.0 };
/// Looks at the history and opened streams of one visitor.
const LOOKS_PER_VISITOR: Rate = Rate { per_second: 2.0, burst: 60.0 };

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/chat/{key}", get(page::page))
        .route("/chat/{key}/embed.js", get(page::embed))
        .route("/chat/assets/chat.js", get(page::script))
        .route("/chat/assets/chat.css", get(page::style))
        .route("/chat/{key}/session", post(visitor::session))
        .route("/chat/{key}/messages", get(thread::history).post(thread::write))
        .route("/chat/{key}/stream", get(live::stream))
}

#[cfg(test)]
#[path = "chat/tests.rs"]
mod tests;
