//! The harness of the black-box stories: it starts the real binary, plays the
//! vendor, the customer and the API client, and looks only at what an outsider
//! could see. It must not import the engine: a story that needs an engine type
//! would test the code against itself.

pub mod api;
pub mod backend;
pub mod botapi;
pub mod bucket;
pub mod built;
pub mod chat;
pub mod database;
pub mod dice;
pub mod graph;
pub mod line;
pub mod metrics;
pub mod model;
pub mod onemsg;
pub mod postgres;
pub mod receiver;
pub mod server;
pub mod sse;
pub mod twilio;
pub mod vendor;
pub mod waha;
pub mod wait;

pub use api::{Answer, Api};
pub use backend::Backend;
pub use botapi::BotApi;
pub use bucket::BucketServer;
pub use chat::Chat;
pub use dice::Dice;
pub use graph::Graph;
pub use line::LineApi;
pub use model::Model;
pub use receiver::Receiver;
pub use server::{Server, Setup};
pub use twilio::{Form, Twilio};
pub use vendor::{Callbacks, Fault, Vendor};
pub use wait::eventually;

use std::sync::Once;
use std::time::Duration;

/// Longest wait for one HTTP answer in a story.
const HTTP_TIMEOUT: Duration = Duration::from_secs(30);

/// An HTTP client for the harness; keep-alive, no redirects, no proxy from the environment.
///
/// # Errors
/// The TLS setup of this machine is unusable.
pub fn http_client() -> anyhow::Result<reqwest::Client> {
    static TLS: Once = Once::new();
    // A second installation reports "already installed", which is as good.
    TLS.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    Ok(reqwest::Client::builder()
        .timeout(HTTP_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?)
}
