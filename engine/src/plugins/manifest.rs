//! What a plugin says about itself, checked once at install: everything that
//! reads a manifest later may rely on it. Must not run plugins.

use pointsman_rules::facts::Capabilities;
use serde::{Deserialize, Serialize};

/// A plugin's checked description.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `twilio`; lower case, never changes.
    pub id: String,
    /// For people.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// Who made it.
    pub publisher: String,
    /// Where to read more.
    pub docs_url: Option<String>,
    /// SPDX expression.
    pub license: Option<String>,
    /// The form of a channel.
    pub settings: Vec<Setting>,
    /// What kinds of channel it offers; at least one.
    pub kinds: Vec<ChannelKind>,
    /// Origins it may call, normalised: `https://api.twilio.com`.
    pub origins: Vec<String>,
}

/// One field of the form of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Key in the settings object.
    pub name: String,
    /// For people.
    pub label: String,
    /// For people: where to find it.
    pub help: String,
    /// What may be filled in.
    pub kind: SettingKind,
    /// Must it be filled in?
    pub required: bool,
    /// Used when nothing is filled in; a JSON value.
    pub default: Option<serde_json::Value>,
    /// Regular expression that the whole text must match.
    pub pattern: Option<String>,
    /// A made-up value.
    pub example: Option<String>,
}

/// What may be filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SettingKind {
    /// One line.
    Text,
    /// Several lines.
    Multiline,
    /// A whole number.
    Integer,
    /// Yes or no.
    Toggle,
    /// One of these.
    Choice {
        /// The words.
        options: Vec<String>,
    },
    /// A phone number.
    Phone,
    /// Sealed; the plugin only knows its name.
    Secret,
    /// A URL whose origin the plugin may call.
    EgressUrl,
}

/// A kind of channel and what the vendor can do there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelKind {
    /// `whatsapp`, `sms`, …
    pub kind: String,
    /// For people.
    pub label: String,
    /// What it can do.
    pub capabilities: Capabilities,
}

impl Manifest {
    /// What the vendor can do on this kind of channel.
    pub fn capabilities(&self, kind: &str) -> Option<&Capabilities> {
        self.kinds.iter().find(|k| k.kind == kind).map(|k| &k.capabilities)
    }

    /// The field with this name.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|s| s.name == name)
    }

    /// Names of the secret fields.
    pub fn secret_names(&self) -> impl Iterator<Item = &str> {
        self.settings.iter().filter(|s| s.kind == SettingKind::Secret).map(|s| s.name.as_str())
    }
}
