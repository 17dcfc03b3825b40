//! What is sent: one message, and the vendor's receipt.

use serde::{Deserialize, Serialize};

use super::inbound::{Card, Location, Party, Reaction};

/// A message to send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutboundMessage {
    /// Stable id of this effect: idempotency key, callback data.
    pub effect_id: String,
    /// 1 for the first try.
    pub attempt: u32,
    /// Whom to.
    pub to: Party,
    /// The vendor's id of the message to quote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// What.
    pub content: OutboundContent,
    /// Public URL the vendor may report the status to.
    pub status_url: String,
}

/// What to send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum OutboundContent {
    /// Plain text.
    Text(String),
    /// Files.
    Media(Vec<OutAttachment>),
    /// A template with its slots filled.
    Template(OutTemplate),
    /// Buttons or a list.
    Choices(OutChoices),
    /// A place.
    Location(Location),
    /// Contact cards.
    Cards(Vec<Card>),
    /// A reaction.
    Reaction(Reaction),
    /// Mark this inbound message as read; its vendor id.
    Read(String),
    /// Show that somebody types.
    Typing,
}

/// A file to send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutAttachment {
    /// The host's id of the bytes.
    pub blob: String,
    /// `image`, `audio`, `voice`, `video`, `document`, `sticker` or `archive`.
    pub family: String,
    /// MIME type.
    pub content_type: String,
    /// What the contact sees.
    pub file_name: String,
    /// Bytes.
    pub size: u64,
    /// Text under the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Expiring public URL of the same bytes, for vendors that fetch.
    pub url: String,
}

/// A template with its slots filled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutTemplate {
    /// Its name.
    pub name: String,
    /// The vendor's language code.
    pub language: String,
    /// The vendor's id, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// What goes into the holes.
    #[serde(default)]
    pub slots: Vec<OutSlot>,
}

/// One filled hole of a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutSlot {
    /// `header`, `body`, `button.0`, …
    pub place: String,
    /// Name or number.
    pub name: String,
    /// A text to put in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A file to put in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<OutAttachment>,
}

/// Buttons or a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutChoices {
    /// Above the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The question.
    pub text: String,
    /// Below the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// What opens the list; `None` asks for buttons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_label: Option<String>,
    /// What can be picked.
    pub items: Vec<OutItem>,
}

/// One thing that can be picked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutItem {
    /// Comes back as the id of the choice.
    pub id: String,
    /// What the contact sees.
    pub title: String,
    /// Small print.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The vendor took the message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The vendor's ids; more than one when it splits the message, none when it gives none.
    pub message_ids: Vec<String>,
    /// The vendor's time, unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at_ms: Option<i64>,
}
