//! An assistant's settings: their names, and what can be wrong with them without
//! asking the server.

use pointsman_plugin::descriptor::FieldError;
use serde::Deserialize;

pub(crate) const BASE_URL: &str = "base_url";
pub(crate) const MODEL: &str = "model";
/// Secret: a bearer token, or Azure's `api-key`.
pub(crate) const API_KEY: &str = "api_key";
pub(crate) const AZURE_API_VERSION: &str = "azure_api_version";
pub(crate) const ANSWER_FORM: &str = "answer_form";
pub(crate) const REASONING_EFFORT: &str = "reasoning_effort";

pub(crate) const OPENAI: &str = "https://api.openai.com/v1";
/// How the server is told to answer in JSON, the strictest first.
pub(crate) const FORMS: [&str; 3] = ["json_schema", "json_object", "text"];
/// OpenAI's words.
pub(crate) const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
/// The end that people copy by mistake.
const ENDPOINT: &str = "/chat/completions";

/// Settings as they are stored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    base_url: Option<String>,
    model: Option<String>,
    azure_api_version: Option<String>,
    answer_form: Option<String>,
    reasoning_effort: Option<String>,
}

fn filled(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

impl Settings {
    /// Without slash at the end.
    pub(crate) fn base(&self) -> &str {
        filled(self.base_url.as_ref()).unwrap_or(OPENAI).trim_end_matches('/')
    }

    pub(crate) fn model(&self) -> &str {
        filled(self.model.as_ref()).unwrap_or("")
    }

    /// Azure's older form, with the deployment in the path and a version in the query.
    pub(crate) fn azure_api_version(&self) -> Option<&str> {
        filled(self.azure_api_version.as_ref())
    }

    pub(crate) fn answer_form(&self) -> &str {
        filled(self.answer_form.as_ref()).unwrap_or(FORMS[0])
    }

    pub(crate) fn reasoning_effort(&self) -> Option<&str> {
        filled(self.reasoning_effort.as_ref())
    }

    /// Is it OpenAI's own server, which knows everything in its document?
    pub(crate) fn is_openai(&self) -> bool {
        self.base().starts_with("https://api.openai.com/")
    }

    /// Only OpenAI and Azure demand `max_completion_tokens`; the others are sure to know `max_tokens`.
    pub(crate) fn is_new_token_field(&self) -> bool {
        self.is_openai() || self.azure_api_version().is_some() || self.base().contains(".azure.com")
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
    let base = settings.base();
    let plain = |c: u8| c.is_ascii_graphic() && !matches!(c, b'@' | b'?' | b'#' | b'{' | b'}' | b'\\');
    if !base.starts_with("http") || !base.bytes().all(plain) {
        errors.push(wrong(
            BASE_URL,
            "Enter a URL like `https://api.openai.com/v1`, without user, query or fragment.",
        ));
    } else if base.ends_with(ENDPOINT) {
        errors.push(wrong(BASE_URL, "Leave `/chat/completions` out at the end; it is added."));
    }
    let in_path = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    if settings.model().is_empty() {
        errors.push(wrong(MODEL, "Enter the model's name as the server writes it."));
    } else if settings.azure_api_version().is_some() && !settings.model().bytes().all(in_path) {
        errors.push(wrong(MODEL, "A deployment's name is letters, digits, `-`, `_` and `.`."));
    }
    errors
}
