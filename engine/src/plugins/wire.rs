//! Our own mirror of the records that cross the plugin contract: what the
//! store keeps as JSON and what the rest of the engine speaks. Field meanings
//! are those of `plugins/wit/plugin.wit`. No behaviour beyond naming things.

use serde::{Deserialize, Serialize};

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
}

/// Why something did not work, and what may be done about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of problem.
    pub kind: FailureKind,
    /// Is trying again of use?
    pub retry: Retry,
    /// May it have happened at the vendor all the same?
    pub effect: Certainty,
    /// One plain sentence for a person; never a secret or a message body.
    pub message: String,
    /// As the vendor sent it: `63016`, `131047`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_code: Option<String>,
    /// The vendor's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_message: Option<String>,
    /// Status of the HTTP answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
}

impl Failure {
    /// A problem of the plugin or the host itself, not of the vendor.
    pub fn internal(effect: Certainty, message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Internal,
            retry: Retry::Never,
            effect,
            message: message.into(),
            vendor_code: None,
            vendor_message: None,
            http_status: None,
        }
    }
}

/// What kind of problem; the words of the contract in snake_case, anything else is `Other`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum FailureKind {
    /// The vendor does not know our credentials.
    AuthFailed,
    /// The vendor knows us and says no.
    PermissionDenied,
    /// The channel's settings cannot be right.
    SettingsInvalid,
    /// Too fast.
    RateLimited,
    /// There is no such recipient.
    RecipientInvalid,
    /// The recipient cannot be reached now.
    RecipientUnreachable,
    /// The recipient does not want messages.
    OptedOut,
    /// Free text is not allowed now.
    WindowClosed,
    /// The template does not exist or does not fit.
    TemplateInvalid,
    /// The vendor paused the template.
    TemplatePaused,
    /// The vendor refuses the content.
    ContentRejected,
    /// The text is too long.
    ContentTooLong,
    /// The file is of a wrong type or size.
    MediaInvalid,
    /// The vendor or plugin cannot do this.
    Unsupported,
    /// The linked phone is not connected.
    SessionNotReady,
    /// The thing asked for is not there.
    NotFound,
    /// A limit of the account is used up.
    QuotaExhausted,
    /// The vendor is down.
    VendorUnavailable,
    /// The vendor's answer could not be understood.
    BadResponse,
    /// The plugin or the host is broken.
    Internal,
    /// Another word.
    Other(String),
}

macro_rules! failure_kinds {
    ($($variant:ident = $word:literal, $class:literal;)*) => {
        impl FailureKind {
            /// The stable word.
            pub fn word(&self) -> &str {
                match self { $(Self::$variant => $word,)* Self::Other(word) => word }
            }

            /// The class that people and rules see on a failed message.
            pub fn class(&self) -> &'static str {
                match self { $(Self::$variant => $class,)* Self::Other(_) => "rejected" }
            }
        }

        impl From<String> for FailureKind {
            fn from(word: String) -> Self {
                match word.as_str() { $($word => Self::$variant,)* _ => Self::Other(word) }
            }
        }

        impl From<FailureKind> for String {
            fn from(kind: FailureKind) -> Self {
                match kind { FailureKind::Other(word) => word, known => known.word().to_owned() }
            }
        }
    };
}
failure_kinds! {
    AuthFailed = "auth_failed", "auth";
    PermissionDenied = "permission_denied", "auth";
    SettingsInvalid = "settings_invalid", "auth";
    RateLimited = "rate_limited", "rate_limited";
    RecipientInvalid = "recipient_invalid", "invalid_recipient";
    RecipientUnreachable = "recipient_unreachable", "invalid_recipient";
    OptedOut = "opted_out", "opted_out";
    WindowClosed = "window_closed", "window_closed";
    TemplateInvalid = "template_invalid", "template";
    TemplatePaused = "template_paused", "template";
    ContentRejected = "content_rejected", "rejected";
    ContentTooLong = "content_too_long", "rejected";
    MediaInvalid = "media_invalid", "media";
    Unsupported = "unsupported", "rejected";
    SessionNotReady = "session_not_ready", "provider_down";
    NotFound = "not_found", "rejected";
    QuotaExhausted = "quota_exhausted", "rate_limited";
    VendorUnavailable = "vendor_unavailable", "provider_down";
    BadResponse = "bad_response", "provider_down";
    Internal = "internal", "rejected";
}

/// Is trying again of use?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "when", rename_all = "snake_case")]
pub enum Retry {
    /// No.
    Never,
    /// Not until the channel's owner acts: the channel is paused and they are told.
    AfterOwnerActs,
    /// Yes, later.
    After {
        /// Not before so many milliseconds; 0 leaves it to the host's backoff.
        ms: u64,
    },
}

/// May the effect have happened at the vendor?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Surely not.
    NotPerformed,
    /// Surely.
    Performed,
    /// Nobody knows.
    Unknown,
}

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
    /// Comes back in [`Choice::id`].
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

/// What to do with the vendor's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountTask {
    /// "Test connection". No effect at the vendor.
    Check,
    /// Point the vendor's webhook at us; safe to repeat.
    Connect,
    /// Undo `Connect`.
    Disconnect,
    /// Numbers the account owns.
    ListAddresses,
}

/// What the vendor says about the account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountReport {
    /// Name of the account.
    pub display_name: Option<String>,
    /// Its address, as the vendor writes it.
    pub address: Option<String>,
    /// The webhook URL that the vendor has now.
    pub webhook_url: Option<String>,
    /// Numbers the account owns.
    pub addresses: Vec<AccountAddress>,
    /// Sentences for the channel's owner.
    pub warnings: Vec<String>,
}

/// One number or account to choose from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountAddress {
    /// As the vendor writes it.
    pub address: String,
    /// For a person.
    pub label: String,
    /// Channel kinds it can be used for.
    pub kinds: Vec<String>,
}

/// One page of the vendor's templates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplatePage {
    /// The templates.
    pub templates: Vec<VendorTemplate>,
    /// Cursor of the next page; `None`: this was the last.
    pub next: Option<String>,
}

/// A template as the vendor has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VendorTemplate {
    /// The vendor's id.
    pub vendor_id: String,
    /// Its name.
    pub name: String,
    /// The vendor's language code.
    pub language: String,
    /// `marketing`, `utility`, …
    pub category: Option<String>,
    /// `approved`, `pending`, `rejected`, …
    pub status: String,
    /// Its text with its holes.
    pub body: String,
    /// The holes.
    pub slots: Vec<TemplateSlot>,
    /// Its buttons.
    pub buttons: Vec<TemplateButton>,
}

/// A hole of a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateSlot {
    /// `header`, `body`, `button.0`, …
    pub place: String,
    /// Name or number.
    pub name: String,
    /// What the vendor was shown.
    pub example: Option<String>,
}

/// A button of a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateButton {
    /// `quick_reply`, `url`, `phone`, …
    pub kind: String,
    /// What the contact sees.
    pub title: String,
    /// URL or number.
    pub value: Option<String>,
}

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

    #[test]
    fn failure_words_are_stable_and_unknown_ones_survive() {
        for (word, class) in
            [("opted_out", "opted_out"), ("auth_failed", "auth"), ("vendor_unavailable", "provider_down")]
        {
            let kind = FailureKind::from(word.to_owned());
            assert_eq!((kind.word(), kind.class()), (word, class));
        }
        let other = FailureKind::from("moon_phase".to_owned());
        assert_eq!((other.word(), other.class()), ("moon_phase", "rejected"));
    }
}
