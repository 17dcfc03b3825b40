//! Conveniences on what the host hands in: settings, secrets that are set,
//! headers and query fields of a webhook.

use serde::de::DeserializeOwned;

use crate::webhook::{Request, Verdict};
use crate::{Certainty, Context, Extra, Failure, FailureKind, Retry};

impl Context {
    /// The channel's settings as a type of the plugin.
    ///
    /// # Errors
    /// They do not fit the type; names the field, never its value.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.settings).map_err(|e| {
            let place = format!("line {}, column {}", e.line(), e.column());
            Failure::new(
                FailureKind::SettingsInvalid,
                format!("the channel's settings do not fit ({place}); save them again in the channel's form"),
            )
            .retry(Retry::AfterOwnerActs)
            .effect(Certainty::NotPerformed)
        })
    }

    /// Is there a value for this secret?
    pub fn has_secret(&self, name: &str) -> bool {
        self.secrets_set.iter().any(|set| set == name)
    }
}

impl Request {
    /// The one header of this name in lower case; `None` when it is missing or sent several times.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|header| header.name == name);
        let first = found.next()?;
        found.next().is_none().then_some(first.value.as_str())
    }

    /// The first query field of this name, decoded.
    pub fn query_field(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|field| field.name == name).map(|field| field.value.as_str())
    }

    /// The media type without parameters, in lower case; empty when there is none.
    pub fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or("");
        value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
    }
}

impl Verdict {
    /// Not from this vendor; the text is for the log and names no secret.
    pub fn refuse(why: &str) -> Self {
        Self::Reject(why.to_owned())
    }
}

impl Extra {
    /// A growth point: `key` is `vendor.field`.
    pub fn new(key: &str, value: &serde_json::Value) -> Self {
        Self { key: key.to_owned(), json: value.to_string() }
    }
}
