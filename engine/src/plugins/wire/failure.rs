//! Problems, in words that people, rules and the worker can act on.

use serde::{Deserialize, Serialize};

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

#[cfg(test)]
mod tests {
    use super::*;

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
