//! A channel's settings: their names, their meaning, and what can be wrong with
//! them without asking Telegram.

use pointsman_plugin::descriptor::FieldError;
use serde::Deserialize;

pub(crate) const ADDRESS: &str = "address";
pub(crate) const BASE_URL: &str = "base_url";
/// Secret: is part of every URL.
pub(crate) const BOT_TOKEN: &str = "bot_token";
/// Secret: comes back in a header of every webhook.
pub(crate) const WEBHOOK_SECRET: &str = "webhook_secret";

pub(crate) const API: &str = "https://api.telegram.org";

/// Settings as they are stored; absent and empty mean the same.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    address: Option<String>,
    base_url: Option<String>,
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

impl Settings {
    /// The server, without slash at the end.
    pub(crate) fn base(&self) -> &str {
        filled(&self.base_url).unwrap_or(API).trim_end_matches('/')
    }
}

/// Checks formats; one sentence for each field that is wrong.
pub(crate) fn validate(settings_json: &str) -> Vec<FieldError> {
    let mut errors = vec![];
    let mut wrong = |setting: &str, message: &str| {
        errors.push(FieldError { setting: setting.to_owned(), message: message.to_owned() });
    };
    let Ok(settings) = serde_json::from_str::<Settings>(settings_json) else {
        wrong(ADDRESS, "The settings must be texts; fill in the form again.");
        return errors;
    };
    if !filled(&settings.address).is_none_or(is_user_name) {
        wrong(ADDRESS, "Enter the bot's user name, like `@desk_bot`, or leave the field empty.");
    }
    if !is_base(settings.base()) {
        wrong(
            BASE_URL,
            "Enter the start of a URL, like `https://api.telegram.org`, without user, query or fragment.",
        );
    }
    errors
}

fn is_user_name(text: &str) -> bool {
    let name = text.strip_prefix('@').unwrap_or(text);
    (1..=64).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

fn is_base(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with(['/', ':'])
            && rest.bytes().all(|c| c.is_ascii_graphic() && !matches!(c, b'@' | b'?' | b'#' | b'{' | b'\\'))
    })
}
