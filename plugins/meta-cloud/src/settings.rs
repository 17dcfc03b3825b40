//! A channel's settings: their names, their meaning, and what can be wrong with
//! them without asking Meta.

use pointsman_plugin::Context;
use pointsman_plugin::descriptor::FieldError;
use serde::Deserialize;

/// Id of the phone number, Facebook page or Instagram account: what messages are sent from.
pub(crate) const PHONE_NUMBER_ID: &str = "phone_number_id";
/// WhatsApp Business Account: templates and numbers belong to it.
pub(crate) const BUSINESS_ACCOUNT_ID: &str = "business_account_id";
pub(crate) const API_VERSION: &str = "api_version";
pub(crate) const BASE_URL: &str = "base_url";
/// Secret: sends.
pub(crate) const ACCESS_TOKEN: &str = "access_token";
/// Secret: signs webhooks.
pub(crate) const APP_SECRET: &str = "app_secret";
/// Secret: shows that a subscription of our webhook is ours.
pub(crate) const VERIFY_TOKEN: &str = "verify_token";

pub(crate) const WHATSAPP: &str = "whatsapp";
pub(crate) const MESSENGER: &str = "messenger";
pub(crate) const INSTAGRAM: &str = "instagram";

pub(crate) const GRAPH: &str = "https://graph.facebook.com";
/// The version that Meta's OpenAPI document describes; each lives for two years at least.
pub(crate) const VERSION: &str = "v23.0";

/// Settings as they are stored; absent and empty mean the same.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    phone_number_id: Option<String>,
    business_account_id: Option<String>,
    api_version: Option<String>,
    base_url: Option<String>,
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

impl Settings {
    /// What messages are sent from, as the channel or its settings say it.
    pub(crate) fn own_id<'a>(&'a self, context: &'a Context) -> &'a str {
        match context.address.trim() {
            "" => filled(&self.phone_number_id).unwrap_or(""),
            address => address,
        }
    }

    pub(crate) fn business_account_id(&self) -> Option<&str> {
        filled(&self.business_account_id)
    }

    /// Host and version, without slash at the end.
    pub(crate) fn base(&self) -> String {
        format!("{}/{}", self.host(), filled(&self.api_version).unwrap_or(VERSION))
    }

    /// The server, without slash at the end.
    pub(crate) fn host(&self) -> &str {
        filled(&self.base_url).unwrap_or(GRAPH).trim_end_matches('/')
    }
}

/// Checks formats; one sentence for each field that is wrong.
pub(crate) fn validate(settings_json: &str, kind: &str) -> Vec<FieldError> {
    let mut errors = vec![];
    let mut wrong = |setting: &str, message: &str| {
        errors.push(FieldError { setting: setting.to_owned(), message: message.to_owned() });
    };
    let Ok(settings) = serde_json::from_str::<Settings>(settings_json) else {
        wrong(PHONE_NUMBER_ID, "The settings must be texts; fill in the form again.");
        return errors;
    };
    if !filled(&settings.phone_number_id).is_some_and(is_id) {
        wrong(
            PHONE_NUMBER_ID,
            match kind {
                WHATSAPP => {
                    "Enter the phone number's id, not the number itself; it stands under WhatsApp → API Setup in the app's dashboard."
                }
                _ => "Enter the id of the page or Instagram account, not its name.",
            },
        );
    }
    if settings.business_account_id().is_some_and(|id| !is_id(id)) {
        wrong(
            BUSINESS_ACCOUNT_ID,
            "Enter the id of the WhatsApp Business Account; it stands beside the phone number's id.",
        );
    }
    if !filled(&settings.api_version).is_none_or(is_version) {
        wrong(API_VERSION, "Enter a version of the Graph API, like `v23.0`.");
    }
    if !is_base(settings.host()) {
        wrong(
            BASE_URL,
            "Enter the start of a URL, like `https://graph.facebook.com`, without path, user, query or fragment.",
        );
    }
    errors
}

/// Ids are digits today; Meta asks to take them as they are.
fn is_id(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.'))
}

fn is_version(text: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.len() <= 3 && text.bytes().all(|c| c.is_ascii_digit());
    text.strip_prefix('v')
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(major, minor)| number(major) && number(minor))
}

fn is_base(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|host| {
        !host.is_empty()
            && host
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b':' | b'[' | b']'))
    })
}
