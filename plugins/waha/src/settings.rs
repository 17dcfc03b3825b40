//! A channel's settings: their names, and what can be wrong with them without
//! asking WAHA.

use pointsman_plugin::descriptor::FieldError;
use serde::Deserialize;

pub(crate) const BASE_URL: &str = "base_url";
pub(crate) const SESSION: &str = "session";
pub(crate) const GROUPS: &str = "groups";
/// Secret: WAHA's API key, or one of this session alone.
pub(crate) const API_KEY: &str = "api_key";
/// Secret: WAHA signs its webhooks with it.
pub(crate) const HMAC_KEY: &str = "hmac_key";

/// The session that WAHA has from the start.
pub(crate) const SESSION_DEFAULT: &str = "default";
/// Longest name of a session, characters.
const SESSION_CHARS_MAX: usize = 54;

/// Settings as they are stored.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    base_url: Option<String>,
    session: Option<String>,
    groups: Option<bool>,
}

impl Settings {
    /// Where WAHA is, without slash at the end.
    pub(crate) fn base(&self) -> &str {
        self.base_url.as_deref().unwrap_or("").trim().trim_end_matches('/')
    }

    pub(crate) fn session(&self) -> &str {
        self.session.as_deref().map(str::trim).filter(|name| !name.is_empty()).unwrap_or(SESSION_DEFAULT)
    }

    /// Are messages of groups taken?
    pub(crate) fn groups(&self) -> bool {
        self.groups.unwrap_or(false)
    }
}

/// Checks formats; one sentence for each field that is wrong.
pub(crate) fn validate(settings_json: &str) -> Vec<FieldError> {
    let wrong =
        |setting: &str, message: &str| FieldError { setting: setting.into(), message: message.into() };
    let Ok(settings) = serde_json::from_str::<Settings>(settings_json) else {
        return vec![wrong(BASE_URL, "The settings are of the wrong types; fill in the form again.")];
    };
    let mut errors = vec![];
    if !is_base(settings.base()) {
        errors.push(wrong(
            BASE_URL,
            "Enter where WAHA is, like `http://waha.internal:3000`, without user, path, query or fragment.",
        ));
    }
    let name = settings.session();
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
    if name.len() > SESSION_CHARS_MAX || !name.bytes().all(plain) || name == "all" {
        errors.push(wrong(SESSION, "A session's name is letters, digits, `_` and `-`, like `sales`."));
    }
    errors
}

fn is_base(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with(':')
            && rest
                .bytes()
                .all(|c| c.is_ascii_graphic() && !matches!(c, b'/' | b'@' | b'?' | b'#' | b'{' | b'\\'))
    })
}
