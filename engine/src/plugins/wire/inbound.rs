//! What webhooks say: messages from outside, news about ours, about the channel
//! and about templates. Stored as JSON in inbox rows; additions only.

use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// One normalised item of a webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InboundEvent {
    /// The same for every redelivery of the same thing; unique per channel.
    pub dedupe_key: String,
    /// What happened.
    pub body: InboundBody,
}

/// What a webhook item says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
pub enum InboundBody {
    /// Somebody wrote (or our linked phone did: `echo`).
    Message(InboundMessage),
    /// News about a message of ours.
    Status(StatusUpdate),
    /// News about the channel's own connection.
    Session(SessionUpdate),
    /// News about a template.
    Template(TemplateChange),
    /// The contact is reached elsewhere from now on.
    ContactChanged(ContactChange),
    /// What the vendor says about the contact's will, without a message.
    Consent(Consent),
    /// An item of a batch that could not be read, with the reason.
    Unreadable(String),
    /// Something the vendor sends and nobody mapped yet.
    Other(Extra),
}

/// A growth point: `key` is `vendor.field`, `json` is one JSON value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extra {
    /// `vendor.field`.
    pub key: String,
    /// One JSON value as text.
    pub json: String,
}

/// A contact as the vendor knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Party {
    /// As the vendor writes it: `whatsapp:+34600000000`, a chat id.
    pub address: String,
    /// E.164, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The vendor's stable id for this contact and business; survives number changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scoped_id: Option<String>,
    /// A handle without `@`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// What the contact calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Whatever else the vendor said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extras: Vec<Extra>,
}

impl Party {
    /// What events of this contact are ordered by: the scoped id, else the address.
    pub fn key(&self) -> &str {
        self.scoped_id.as_deref().unwrap_or(&self.address)
    }
}

/// A message from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InboundMessage {
    /// The vendor's message id.
    pub id: String,
    /// Who wrote it; for an echo, whom it was written to.
    pub contact: Party,
    /// Our address it was sent to.
    pub to: String,
    /// The vendor's time, unix milliseconds.
    pub sent_at_ms: i64,
    /// The vendor's id of the quoted message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The vendor's id of the group chat it was written in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// Who wrote it, when the contact is a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Party>,
    /// Typed on the linked phone by us.
    #[serde(default)]
    pub echo: bool,
    /// End of a window that the vendor states itself, unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_closes_at_ms: Option<i64>,
    /// What was written.
    pub content: Content,
    /// Whatever else the vendor said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extras: Vec<Extra>,
}

/// What a message from outside holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Files, one or more.
    Media(Vec<Media>),
    /// A place.
    Location(Location),
    /// Contact cards.
    Cards(Vec<Card>),
    /// A pressed button or a picked row.
    Choice(Choice),
    /// A reaction to a message.
    Reaction(Reaction),
    /// An earlier message has a new text.
    Edited(Edit),
    /// An earlier message was taken back; its vendor id.
    Deleted(String),
    /// A kind that is not mapped yet: kept, shown as unsupported.
    Other(Extra),
}

/// One file of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// `image`, `audio`, `voice`, `video`, `document`, `sticker` or `archive`.
    pub family: String,
    /// Where the bytes are.
    pub source: MediaSource,
    /// MIME type, as claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// As claimed; never used as a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Bytes, as claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Text under the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum MediaSource {
    /// The plugin fetches it with the vendor's credentials.
    VendorRef(String),
    /// Public, without credentials.
    Url(String),
}

/// A place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees, north positive.
    pub latitude: f64,
    /// Degrees, east positive.
    pub longitude: f64,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A contact card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Whose.
    pub name: String,
    /// As written.
    #[serde(default)]
    pub phones: Vec<String>,
    /// As written.
    #[serde(default)]
    pub emails: Vec<String>,
}

/// A pressed button or a picked row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The id we gave it.
    pub id: String,
    /// What the contact saw.
    pub title: String,
}

/// A reaction to a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reaction {
    /// The vendor's id of the message.
    pub message_id: String,
    /// `None` takes the reaction back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
}

/// A new text for an earlier message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// The vendor's id of the message.
    pub message_id: String,
    /// Its text now.
    pub text: String,
}

/// News about a message of ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusUpdate {
    /// The vendor's id of our message.
    pub message_id: String,
    /// Whom it went to.
    pub contact: Party,
    /// Our address it was sent from.
    pub to: String,
    /// The vendor's time, unix milliseconds.
    pub at_ms: i64,
    /// What became of it.
    pub delivery: Delivery,
    /// Our effect id, where the vendor hands it back: settles an unclear send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect_id: Option<String>,
    /// End of the window that the message is sent in, where the vendor states it, unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_closes_at_ms: Option<i64>,
    /// Whatever else the vendor said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extras: Vec<Extra>,
}

/// How far a message of ours got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Delivery {
    /// The vendor sent it on.
    Sent,
    /// It reached the contact's device.
    Delivered,
    /// The contact saw it.
    Read,
    /// It will not arrive.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// A state that is not mapped.
    Other {
        /// As the vendor writes it.
        name: String,
    },
}

/// News about the channel's own connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionUpdate {
    /// `stopped`, `starting`, `needs_qr`, `needs_code`, `working`, `degraded`, `failed`, or the vendor's word.
    pub state: String,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// Why, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Name of the linked account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_name: Option<String>,
    /// Its picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture_url: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Whatever else the vendor said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extras: Vec<Extra>,
}

/// The contact is reached elsewhere from now on: another number, a group that became a supergroup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContactChange {
    /// The contact as it was.
    pub old: Party,
    /// The contact as it is now.
    pub contact: Party,
    /// The vendor's time, unix milliseconds.
    pub at_ms: i64,
    /// Whatever else the vendor said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extras: Vec<Extra>,
}

/// The contact's will, as the vendor reports it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Consent {
    /// Whose.
    pub contact: Party,
    /// May we write?
    pub given: bool,
    /// For what, in the vendor's word: `marketing`; `None` is everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The vendor's time, unix milliseconds.
    pub at_ms: i64,
    /// Whatever else the vendor said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extras: Vec<Extra>,
}

/// News about a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateChange {
    /// Its name at the vendor.
    pub name: String,
    /// The vendor's language code.
    pub language: String,
    /// The vendor's word, lower case.
    pub status: String,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// Why it was rejected or paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whatever else the vendor said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extras: Vec<Extra>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inbox rows hold this JSON; a change here needs a migration.
    #[test]
    fn stored_events_keep_their_shape() {
        let json = concat!(
            r#"{"dedupe_key":"SM1","body":{"type":"message","value":{"id":"SM1","#,
            r#""contact":{"address":"whatsapp:+34600","display_name":"Ana"},"to":"whatsapp:+1555","#,
            r#""sent_at_ms":1,"echo":false,"content":{"kind":"choice","value":{"id":"yes","title":"Yes"}}}}}"#
        );
        let event: InboundEvent = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), json);

        let json = concat!(
            r#"{"state":"failed","failure":{"kind":"window_closed","retry":{"when":"after","ms":0},"#,
            r#""effect":"not_performed","message":"The window is closed.","vendor_code":"63016"}}"#
        );
        let delivery: Delivery = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&delivery).unwrap(), json);
    }
}
