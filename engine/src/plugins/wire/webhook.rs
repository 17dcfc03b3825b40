//! A webhook as it arrived and what is answered. Requests are stored as JSON.

use serde::{Deserialize, Serialize};

/// A webhook as it arrived. Stored as JSON; the body is base64 there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookRequest {
    /// Upper case.
    pub method: String,
    /// The public URL that the vendor called, with its query.
    pub url: String,
    /// Decoded; repeats and order kept.
    pub query: Vec<(String, String)>,
    /// Lower-case names; repeats and order kept.
    pub headers: Vec<(String, String)>,
    /// Raw.
    #[serde(with = "base64_bytes")]
    pub body: Vec<u8>,
    /// Who called, without port.
    pub remote_address: Option<String>,
}

/// What the vendor gets back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookReply {
    /// HTTP status.
    pub status: u16,
    /// HTTP headers.
    pub headers: Vec<(String, String)>,
    /// HTTP body.
    #[serde(with = "base64_bytes")]
    pub body: Vec<u8>,
}

/// What to do with a webhook. `Accept` and `Answer` mean that a proof holds: the host has checked it.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Store it, parse it, reply with this.
    Accept(WebhookReply),
    /// Complete with this answer (challenge, ping); store nothing.
    Answer(WebhookReply),
    /// Not from this vendor. The text is for the log.
    Reject(String),
}

/// A problem with one setting, for the form that was filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Name of the setting.
    pub setting: String,
    /// What to do about it.
    pub message: String,
}

mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}
