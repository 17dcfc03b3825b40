//! The plugin host: runs wasm components under limits, performs the HTTP calls
//! they ask for and translates between the contract and our types. A plugin can
//! compute and nothing else. Must not know the database, flows or HTTP routes.

use std::collections::BTreeMap;
use std::sync::Arc;

pub mod manifest;
mod secret;
pub mod wire;

pub use manifest::Manifest;
pub use secret::Secret;
pub use wire::*;

/// The channel that a call is about.
#[derive(Debug, Clone)]
pub struct ChannelContext {
    /// `chn_…`.
    pub channel_id: String,
    /// `whatsapp`, `sms`, …
    pub kind: String,
    /// Our number or account, as the vendor writes it.
    pub address: String,
    /// Settings without secrets: one JSON object.
    pub settings: String,
    /// Secret settings by name. They never enter the plugin.
    pub secrets: Arc<BTreeMap<String, Secret>>,
    /// Public URL that the vendor must call for this channel.
    pub webhook_url: String,
    /// Unix milliseconds; for a stored webhook, when it was received.
    pub now_ms: i64,
    /// BCP 47.
    pub locale: String,
    /// May `egress-url` settings point into a private network? An admin's consent.
    pub allow_private_egress: bool,
}

/// What a plugin offers beyond webhooks and sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exports {
    /// Account checks and webhook set-up.
    pub account: bool,
    /// Fetching media by reference.
    pub media: bool,
    /// Listing templates.
    pub templates: bool,
    /// Linked phones.
    pub sessions: bool,
    /// Filling gaps after an outage.
    pub backfill: bool,
}
