//! Newtype ids: prefixed, time-ordered, private inside. Made from a time and a
//! random number that the caller passes in; nothing here reads a clock.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use ulid::{ULID_LEN, Ulid};

/// Bytes of every prefix.
const PREFIX_LEN: usize = 3;
/// Bytes of every id's text.
const TEXT_LEN: usize = PREFIX_LEN + 1 + ULID_LEN;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a {kind} id: it must look like `{prefix}_` followed by 26 letters and digits")]
pub struct IdError {
    /// What was wanted, e.g. `conversation`.
    pub kind: &'static str,
    /// The prefix without its underscore, e.g. `cnv`.
    pub prefix: &'static str,
    /// What was given, cut to 64 characters.
    pub given: String,
}

fn parse(kind: &'static str, prefix: &'static str, text: &str) -> Result<u128, IdError> {
    text.strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .filter(|rest| rest.len() == ULID_LEN)
        .and_then(|rest| Ulid::from_str(rest).ok())
        .map(|ulid| ulid.0)
        .ok_or_else(|| IdError { kind, prefix, given: text.chars().take(64).collect() })
}

/// An id's text, made without asking for memory: ids are written more often than anything else.
#[derive(Clone, Copy)]
pub struct IdText([u8; TEXT_LEN]);

impl IdText {
    fn new(prefix: &str, id: u128) -> Self {
        let mut text = [b'_'; TEXT_LEN];
        text[..PREFIX_LEN].copy_from_slice(prefix.as_bytes());
        let mut buffer = [0; ULID_LEN];
        let letters = Ulid(id).array_to_str(&mut buffer);
        letters.make_ascii_lowercase();
        text[PREFIX_LEN + 1..].copy_from_slice(letters.as_bytes());
        Self(text)
    }

    /// `cnv_` and 26 letters and digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default() // letters and digits always are
    }
}

/// Reads an id where a text is.
struct Reader<T>(fn(&str) -> Result<T, IdError>);

impl<T> Visitor<'_> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The prefix without its underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id. `at_ms`: unix milliseconds; `random`: 80 bits are used.
            pub fn new(at_ms: i64, random: u128) -> Self {
                Self(Ulid::from_parts(u64::try_from(at_ms).unwrap_or(0), random).0)
            }

            /// An id that is a function of something else (first 16 bytes of a hash).
            pub fn from_hash(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }

            /// The moment in it, unix milliseconds; nothing meaningful in one made from a hash.
            pub fn at_ms(self) -> i64 {
                i64::try_from(Ulid(self.0).timestamp_ms()).unwrap_or(i64::MAX)
            }

            /// What `Display` writes.
            pub fn text(self) -> IdText {
                IdText::new($prefix, self.0)
            }

            /// # Errors
            /// The text has another prefix or shape.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                parse($kind, $prefix, text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text().as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.text().as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_str(Reader(Self::parse))
            }
        }
    )*};
}

ids! {
    /// A customer organisation.
    TenantId = "tnt", "tenant";
    /// A person who signs in.
    UserId = "usr", "user";
    /// A console session.
    SessionId = "ses", "session";
    /// An API key.
    KeyId = "key", "API key";
    /// A team of agents.
    GroupId = "grp", "group";
    /// A connected number or account.
    ChannelId = "chn", "channel";
    /// A person outside.
    ContactId = "cnt", "contact";
    /// One address of a contact.
    IdentityId = "idn", "identity";
    /// A thread with one contact on one channel.
    ConversationId = "cnv", "conversation";
    /// A message or note.
    MessageId = "msg", "message";
    /// A provider-approved message.
    TemplateId = "tpl", "template";
    /// A rule.
    RuleId = "rul", "rule";
    /// An immutable version of a rule.
    RuleVersionId = "rvs", "rule version";
    /// An entry of the event log.
    EventId = "evt", "event";
    /// An applied intent; a hash of rule version, event and ordinal.
    EffectId = "eff", "effect";
    /// A durable deadline.
    TimerId = "tmr", "timer";
    /// Working hours.
    CalendarId = "cal", "calendar";
    /// Something a user is told.
    NotificationId = "ntf", "notification";
    /// A file of a message, or one that was uploaded to become one.
    AttachmentId = "att", "attachment";
    /// A stored webhook, as it arrived.
    RawWebhookId = "raw", "raw webhook";
    /// A background duty.
    JobId = "job", "job";
    /// The ordering key, a hash of tenant, channel and contact address.
    LaneId = "lan", "lane";
    /// An entry of a lane's inbox.
    InboxId = "inb", "inbox entry";
    /// A request to the API.
    RequestId = "req", "request";
    /// An entry of the audit log.
    AuditId = "aud", "audit entry";
    /// An endpoint of another program that is told what happens.
    WebhookId = "whk", "webhook";
    /// A URL of rules.
    HookId = "hok", "rule hook";
    /// One thing that one webhook is told.
    DeliveryId = "dlv", "delivery";
    /// Two contacts that became one.
    MergeId = "mrg", "merge";
    /// The erasing of a contact or conversation.
    ErasureId = "ers", "erasure";
    /// A rule that is tried on what was stored.
    TrialId = "trl", "trial";
    /// A configured AI plugin.
    AssistantId = "ast", "assistant";
    /// Something that assistants may know.
    KnowledgeId = "kno", "knowledge snippet";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_through_text_and_json() {
        let id = ConversationId::new(1_763_700_000_000, 42);
        let text = id.to_string();
        assert_eq!(text.len(), 30);
        assert!(text.starts_with("cnv_0"));
        assert_eq!(ConversationId::parse(&text), Ok(id));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<ConversationId>(&json).unwrap(), id);
        assert_eq!(serde_json::from_str::<ConversationId>(&json.replace('n', r"\u006e")).unwrap(), id);
        assert_eq!(serde_json::from_value::<ConversationId>(text.clone().into()).unwrap(), id);
        assert_eq!(ConversationId::parse(&text.to_uppercase().replace("CNV", "cnv")), Ok(id));
    }

    #[test]
    fn text_order_is_time_order() {
        let earlier = MessageId::new(1_000, u128::MAX).to_string();
        let later = MessageId::new(1_001, 0).to_string();
        assert!(earlier < later);
    }

    #[test]
    fn another_kind_is_refused_with_a_reason() {
        let error = MessageId::parse("cnv_01jd0000000000000000000000").unwrap_err();
        assert!(error.to_string().contains("is not a message id"), "{error}");
        assert!(MessageId::parse("msg_").is_err());
        assert!(MessageId::parse("msg_éééééééééééééééééééééééééé").is_err());
    }
}
