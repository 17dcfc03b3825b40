//! Names of the settings, and where LINE's two APIs are for a channel.

use pointsman_plugin::{Context, Failure};
use serde::Deserialize;

pub(crate) const ACCESS_TOKEN: &str = "access_token";
pub(crate) const CHANNEL_SECRET: &str = "channel_secret";
pub(crate) const ADDRESS: &str = "address";
pub(crate) const BASE_URL: &str = "base_url";
pub(crate) const CONTENT_URL: &str = "content_url";

/// Messages and the account.
pub(crate) const API: &str = "https://api.line.me";
/// Received files.
pub(crate) const CONTENT: &str = "https://api-data.line.me";

/// Settings that are no secrets.
#[derive(Deserialize)]
pub(crate) struct Settings {
    base_url: Option<String>,
    content_url: Option<String>,
}

impl Settings {
    /// Those of the channel.
    pub(crate) fn of(context: &Context) -> Result<Self, Failure> {
        context.settings()
    }

    /// A path of the API.
    pub(crate) fn api(&self, path: &str) -> String {
        joined(self.base_url.as_deref(), API, path)
    }

    /// A path where files are; a stand-in in `base_url` has them too.
    pub(crate) fn content(&self, path: &str) -> String {
        let own = self.base_url.as_deref().filter(|url| !url.is_empty() && url.trim_end_matches('/') != API);
        joined(self.content_url.as_deref().filter(|url| !url.is_empty()).or(own), CONTENT, path)
    }
}

fn joined(base: Option<&str>, usual: &str, path: &str) -> String {
    let base = base.filter(|url| !url.is_empty()).unwrap_or(usual);
    format!("{}{path}", base.trim_end_matches('/'))
}
