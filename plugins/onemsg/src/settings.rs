//! A channel's settings: their names, and what can be wrong with them without
//! asking 1msg.

use pointsman_plugin::descriptor::FieldError;
use serde::Deserialize;

pub(crate) const API_URL: &str = "api_url";
pub(crate) const PHONE: &str = "phone";
/// Secret: goes into the query of every call, as 1msg wants it.
pub(crate) const TOKEN: &str = "token";

pub(crate) const API: &str = "https://api.1msg.io";

/// Settings as they are stored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    api_url: Option<String>,
}

impl Settings {
    /// The channel's own API URL, without slash at the end.
    pub(crate) fn base(&self) -> &str {
        self.api_url.as_deref().unwrap_or("").trim().trim_end_matches('/')
    }

    /// The channel's id at 1msg: the end of its URL.
    pub(crate) fn instance(&self) -> &str {
        let path = self.base().split_once("://").map_or("", |(_, rest)| rest);
        path.rsplit_once('/').map_or("", |(_, id)| id)
    }
}

/// Checks formats; one sentence for each field that is wrong.
pub(crate) fn validate(settings_json: &str) -> Vec<FieldError> {
    let settings = serde_json::from_str::<Settings>(settings_json).unwrap_or_default();
    let id = settings.instance();
    let is_id = !id.is_empty() && id.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'));
    let plain = |c: u8| c.is_ascii_graphic() && !matches!(c, b'@' | b'?' | b'#' | b'{' | b'\\');
    let is_url = settings.base().starts_with("http") && settings.base().bytes().all(plain);
    if is_id && is_url {
        return vec![];
    }
    let message = "Copy the API URL of the channel from the 1msg cabinet: it ends with the channel's id, \
                   like `https://api.1msg.io/371267300/`.";
    vec![FieldError { setting: API_URL.into(), message: message.into() }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channel_is_the_end_of_its_url() {
        for (url, instance) in [
            ("https://api.1msg.io/371267300/", "371267300"),
            ("https://api.1msg.io/VID182868781", "VID182868781"),
            ("https://api.1msg.io/", ""),
            ("https://api.1msg.io", ""),
        ] {
            let settings = Settings { api_url: Some(url.into()) };
            assert_eq!(settings.instance(), instance, "{url}");
        }
    }
}
