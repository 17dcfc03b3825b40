//! A channel's settings: their names, their meaning, and what can be wrong with
//! them without asking Twilio.

use pointsman_plugin::descriptor::FieldError;
use serde::Deserialize;

use crate::address;

pub(crate) const ACCOUNT_SID: &str = "account_sid";
pub(crate) const ADDRESS: &str = "address";
pub(crate) const MESSAGING_SERVICE_SID: &str = "messaging_service_sid";
pub(crate) const API_KEY_SID: &str = "api_key_sid";
pub(crate) const BASE_URL: &str = "base_url";
pub(crate) const CONTENT_BASE_URL: &str = "content_base_url";
pub(crate) const MESSAGING_BASE_URL: &str = "messaging_base_url";
/// Secret: signs webhooks, and is the password unless there is an API key.
pub(crate) const AUTH_TOKEN: &str = "auth_token";
/// Secret: the other token while tokens are rotated.
pub(crate) const AUTH_TOKEN_SECONDARY: &str = "auth_token_secondary";
/// Secret: belongs to `api_key_sid`.
pub(crate) const API_KEY_SECRET: &str = "api_key_secret";
/// Secret: signs webhooks when Twilio's shared keys are used.
pub(crate) const WEBHOOK_SHARED_SECRET: &str = "webhook_shared_secret";

pub(crate) const API: &str = "https://api.twilio.com";
pub(crate) const CONTENT: &str = "https://content.twilio.com";
pub(crate) const MESSAGING: &str = "https://messaging.twilio.com";

/// Settings as they are stored; absent and empty mean the same.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    pub(crate) account_sid: Option<String>,
    pub(crate) address: Option<String>,
    messaging_service_sid: Option<String>,
    api_key_sid: Option<String>,
    base_url: Option<String>,
    content_base_url: Option<String>,
    messaging_base_url: Option<String>,
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

impl Settings {
    pub(crate) fn account_sid(&self) -> &str {
        filled(&self.account_sid).unwrap_or("")
    }

    pub(crate) fn address(&self) -> &str {
        filled(&self.address).unwrap_or("")
    }

    pub(crate) fn messaging_service_sid(&self) -> Option<&str> {
        filled(&self.messaging_service_sid)
    }

    pub(crate) fn api_key_sid(&self) -> Option<&str> {
        filled(&self.api_key_sid)
    }

    /// Base of the main API, without slash at the end.
    pub(crate) fn base(&self) -> &str {
        filled(&self.base_url).unwrap_or(API).trim_end_matches('/')
    }

    /// Base of the Content API. A stand-in for Twilio is one server, so it follows `base_url` there.
    pub(crate) fn content_base(&self) -> &str {
        self.sibling(&self.content_base_url, CONTENT)
    }

    /// Base of the senders and typing API; follows `base_url` like the Content API.
    pub(crate) fn messaging_base(&self) -> &str {
        self.sibling(&self.messaging_base_url, MESSAGING)
    }

    fn sibling<'a>(&'a self, own: &'a Option<String>, public: &'a str) -> &'a str {
        let chosen = filled(own).unwrap_or(if is_twilio(self.base()) { public } else { self.base() });
        chosen.trim_end_matches('/')
    }
}

/// The host of an https URL, in lower case.
pub(crate) fn https_host(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let host = authority.split(':').next().unwrap_or("");
    (!host.is_empty() && !authority.contains('@')).then(|| host.to_ascii_lowercase())
}

/// Is it `https` at a host of Twilio's API?
pub(crate) fn is_twilio(url: &str) -> bool {
    https_host(url).is_some_and(|host| host == "twilio.com" || host.ends_with(".twilio.com"))
}

/// Checks formats; one sentence for each field that is wrong.
pub(crate) fn validate(settings_json: &str, kind: &str) -> Vec<FieldError> {
    let mut errors = vec![];
    let mut wrong = |setting: &str, message: &str| {
        errors.push(FieldError { setting: setting.to_owned(), message: message.to_owned() });
    };
    let Ok(settings) = serde_json::from_str::<Settings>(settings_json) else {
        wrong(ACCOUNT_SID, "The settings must be texts; fill in the form again.");
        return errors;
    };
    if !is_sid("AC", settings.account_sid()) {
        wrong(
            ACCOUNT_SID,
            "An account SID is `AC` and 32 characters 0-9 and a-f; copy it from the start page of the Twilio console.",
        );
    }
    if address::own(kind, settings.address()).is_none() {
        wrong(
            ADDRESS,
            match kind {
                address::WHATSAPP_KIND => {
                    "Enter your WhatsApp number with its country code, like `whatsapp:+14155238886`."
                }
                _ => {
                    "Enter your number with its country code, like `+14155550100`, or a short code or sender name."
                }
            },
        );
    }
    if settings.messaging_service_sid().is_some_and(|sid| !is_sid("MG", sid)) {
        wrong(
            MESSAGING_SERVICE_SID,
            "A messaging service SID is `MG` and 32 characters 0-9 and a-f; leave the field empty to send from the number itself.",
        );
    }
    if settings.api_key_sid().is_some_and(|sid| !is_sid("SK", sid)) {
        wrong(
            API_KEY_SID,
            "An API key SID is `SK` and 32 characters 0-9 and a-f; leave the field empty to use the auth token.",
        );
    }
    for (name, base) in [
        (BASE_URL, settings.base()),
        (CONTENT_BASE_URL, settings.content_base()),
        (MESSAGING_BASE_URL, settings.messaging_base()),
    ] {
        if !is_base(base) {
            wrong(
                name,
                "Enter the start of a URL, like `https://api.twilio.com`, without user, query or fragment.",
            );
        }
    }
    errors
}

fn is_sid(prefix: &str, sid: &str) -> bool {
    sid.strip_prefix(prefix).is_some_and(|id| id.len() == 32 && id.bytes().all(|c| c.is_ascii_hexdigit()))
}

fn is_base(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with(['/', ':'])
            && rest.bytes().all(|c| c.is_ascii_graphic() && !matches!(c, b'@' | b'?' | b'#' | b'{' | b'\\'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_serves_every_api_and_a_region_does_not() {
        for (base, content) in [
            (None, "https://content.twilio.com"),
            (Some("https://api.dublin.ie1.twilio.com/"), "https://content.twilio.com"),
            (Some("http://127.0.0.1:9000/"), "http://127.0.0.1:9000"),
            (Some("https://api.twilio.com.example.net"), "https://api.twilio.com.example.net"),
        ] {
            let settings = Settings { base_url: base.map(Into::into), ..Settings::default() };
            assert_eq!(settings.content_base(), content, "{base:?}");
        }
        let own = Settings {
            base_url: Some("http://127.0.0.1:9000".into()),
            content_base_url: Some("http://127.0.0.1:9001/".into()),
            ..Settings::default()
        };
        assert_eq!(own.content_base(), "http://127.0.0.1:9001");
    }
}
