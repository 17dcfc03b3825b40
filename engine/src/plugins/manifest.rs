//! What a plugin says about itself, checked once at install: everything that
//! reads a manifest later may rely on it. Must not run plugins.

use pointsman_rules::facts::Capabilities;
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::wire::Abilities;

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
    /// What kinds of channel it offers; at least one, and none of an assistant.
    pub kinds: Vec<ChannelKind>,
    /// Origins it may call, normalised: `https://api.twilio.com`.
    pub origins: Vec<String>,
    /// What it can do as an assistant; absent of a provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assistant: Option<Abilities>,
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
    /// For a secret: the only places it may be sent to, origins or names of `egress-url` settings; `None` is
    /// wherever the plugin may call, an empty list nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_to: Option<Vec<String>>,
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
    /// A secret that is made up when nothing is filled in; the plugin hands it to the vendor.
    GeneratedSecret,
}

impl SettingKind {
    /// Is the value sealed?
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret | Self::GeneratedSecret)
    }
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
    /// What its publisher advises whoever can choose between providers; absent of most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
}

/// A way to connect among others to the same kind of channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The one to begin with.
    Recommended,
    /// For those who have it already.
    Legacy,
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

    /// Does it name anybody whom it may call, or let an admin name them?
    pub(super) fn may_call(&self) -> bool {
        !self.origins.is_empty() || self.settings.iter().any(|s| s.kind == SettingKind::EgressUrl)
    }

    /// Names of the secret fields.
    pub fn secret_names(&self) -> impl Iterator<Item = &str> {
        self.settings.iter().filter(|s| s.kind.is_secret()).map(|s| s.name.as_str())
    }
}

impl Setting {
    /// Does the whole text match the pattern? Yes, where there is none.
    pub fn matches(&self, text: &str) -> bool {
        // A manifest was checked when it was installed, so a broken pattern cannot be here.
        self.pattern
            .as_deref()
            .and_then(|pattern| whole(pattern).ok())
            .is_none_or(|regex| regex.is_match(text))
    }
}

/// A pattern that must match a whole text.
fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    let build = |text: &str| RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
    build(pattern)?; // alone first: `a)|(b` would break out of the group
    build(&format!(r"\A(?:{pattern})\z"))
}

/// What is wrong with a manifest, and where.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// An id or name is not a plain word.
    #[error("{what} `{value}` must be 1 to 40 of a-z, 0-9, `-` and `_`, starting with a letter")]
    Word {
        /// Which field.
        what: &'static str,
        /// What is there.
        value: String,
    },
    /// Something is there twice.
    #[error("{what} `{value}` is there twice; remove one")]
    Twice {
        /// Which field.
        what: &'static str,
        /// What is there.
        value: String,
    },
    /// Something is missing.
    #[error("`{0}` is empty; fill it in")]
    Empty(&'static str),
    /// A default value is not JSON or does not fit the kind of its setting.
    #[error("the default of setting `{setting}` does not fit: {cause}")]
    Default {
        /// Name of the setting.
        setting: String,
        /// Why.
        cause: String,
    },
    /// A pattern is not a regular expression, or an enormous one.
    #[error("the pattern of setting `{setting}` is no regular expression of the `regex` crate: {cause}")]
    Pattern {
        /// Name of the setting.
        setting: String,
        /// Why.
        cause: String,
    },
    /// An origin is not a plain https origin.
    #[error(
        "origin `{0}` must be `https://` and a host name (`*.` before it for every name below), without path, user or IP address; for self-hosted vendors declare a setting of kind `egress-url`"
    )]
    Origin(String),
    /// Too many of something.
    #[error("there are {count} {what}, {max} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many are allowed.
        max: usize,
    },
}

/// Most settings, kinds or origins of one plugin.
const ENTRIES_MAX: usize = 64;
const WORD_BYTES_MAX: usize = 40;
/// Largest compiled pattern, bytes; `\d{1,1000}{1,1000}` is not worth its memory.
const PATTERN_BYTES_MAX: usize = 256 * 1024;

impl Manifest {
    /// The manifest with its origins normalised, or what is wrong with it.
    ///
    /// # Errors
    /// The first mistake found.
    pub(super) fn check(mut self) -> Result<Self, ManifestError> {
        word("id", &self.id)?;
        for (what, text) in [("name", &self.name), ("version", &self.version)] {
            if text.trim().is_empty() {
                return Err(ManifestError::Empty(what));
            }
        }
        match &self.assistant {
            None if self.kinds.is_empty() => return Err(ManifestError::Empty("kinds")),
            Some(able) if able.tasks.is_empty() => return Err(ManifestError::Empty("tasks")),
            _ => {}
        }
        for (what, count) in
            [("settings", self.settings.len()), ("kinds", self.kinds.len()), ("origins", self.origins.len())]
        {
            if count > ENTRIES_MAX {
                return Err(ManifestError::TooMany { what, count, max: ENTRIES_MAX });
            }
        }
        distinct_words("kind", self.kinds.iter().map(|k| k.kind.as_str()))?;
        distinct_words("setting", self.settings.iter().map(|s| s.name.as_str()))?;
        for setting in &self.settings {
            setting.check()?;
        }
        for origin in &mut self.origins {
            *origin = https_origin(origin).ok_or_else(|| ManifestError::Origin(origin.clone()))?;
        }
        Ok(self)
    }
}

impl Setting {
    fn check(&self) -> Result<(), ManifestError> {
        if matches!(&self.kind, SettingKind::Choice { options } if options.is_empty()) {
            return Err(ManifestError::Empty("options of a choice"));
        }
        if let Some(Err(error)) = self.pattern.as_deref().map(whole) {
            return Err(ManifestError::Pattern { setting: self.name.clone(), cause: error.to_string() });
        }
        let Some(default) = &self.default else { return Ok(()) };
        let fits = match &self.kind {
            SettingKind::Integer => default.is_i64() || default.is_u64(),
            SettingKind::Toggle => default.is_boolean(),
            SettingKind::Choice { options } => {
                default.as_str().is_some_and(|d| options.iter().any(|o| o == d))
            }
            SettingKind::Secret | SettingKind::GeneratedSecret => false,
            SettingKind::Text | SettingKind::Multiline | SettingKind::Phone | SettingKind::EgressUrl => {
                default.as_str().is_some_and(|text| self.matches(text))
            }
        };
        if fits {
            return Ok(());
        }
        let cause = format!("{default} is not a value of its kind and pattern");
        Err(ManifestError::Default { setting: self.name.clone(), cause })
    }
}

fn word(what: &'static str, value: &str) -> Result<(), ManifestError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let good = value.starts_with(|c: char| c.is_ascii_lowercase())
        && value.len() <= WORD_BYTES_MAX
        && value.chars().all(plain);
    if good { Ok(()) } else { Err(ManifestError::Word { what, value: value.chars().take(60).collect() }) }
}

fn distinct_words<'a>(
    what: &'static str,
    values: impl Iterator<Item = &'a str>,
) -> Result<(), ManifestError> {
    let mut seen = std::collections::BTreeSet::new();
    for value in values {
        word(what, value)?;
        if !seen.insert(value) {
            return Err(ManifestError::Twice { what, value: value.to_owned() });
        }
    }
    Ok(())
}

/// The normalised origin. `https://*.twilio.com` is every name below; a star needs a name of two parts.
fn https_origin(text: &str) -> Option<String> {
    let (below, text) = match text.strip_prefix("https://*.") {
        Some(rest) => (true, format!("https://{rest}")),
        None => (false, text.to_owned()),
    };
    let url = url::Url::parse(&text).ok()?;
    let plain = url.scheme() == "https"
        && matches!(url.host(), Some(url::Host::Domain(name)) if name.contains('.') && !name.ends_with('.') && !name.contains('*'))
        && url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    let origin = plain.then(|| url.origin().ascii_serialization())?;
    Some(if below { origin.replacen("https://", "https://*.", 1) } else { origin })
}

/// Is this origin the declared one, or below it?
pub(super) fn covers(declared: &str, origin: &str) -> bool {
    match declared.split_once("*") {
        None => declared == origin,
        Some((scheme, below)) => origin
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_suffix(below))
            .is_some_and(|it| !it.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::AssistTask;
    use super::*;

    fn setting(pattern: &str, default: Option<&str>) -> Setting {
        Setting {
            name: "sid".into(),
            label: "SID".into(),
            help: String::new(),
            kind: SettingKind::Text,
            required: true,
            default: default.map(Into::into),
            pattern: Some(pattern.into()),
            example: None,
            sent_to: None,
        }
    }

    #[test]
    fn a_pattern_is_checked_at_install_and_matches_whole_texts() {
        assert!(setting("AC[0-9a-f]{4}|none", Some("none")).check().is_ok());
        for broken in ["AC[0-9", "a)|(b", r"\d{1,1000}{1,1000}"] {
            let error = setting(broken, None).check().unwrap_err();
            assert!(matches!(error, ManifestError::Pattern { .. }), "{broken}: {error}");
        }
        let misfit = setting("AC[0-9a-f]{4}", Some("AC")).check().unwrap_err();
        assert!(matches!(misfit, ManifestError::Default { .. }), "{misfit}");
        let either = setting("AC|SM", None);
        assert_eq!(
            ["AC", "SM", "ACSM", "xSM", "AC\n"].map(|text| either.matches(text)),
            [true, true, false, false, false]
        );
    }

    #[test]
    fn a_provider_has_kinds_of_channel_and_an_assistant_has_tasks() {
        let checked = |tasks: Option<Vec<AssistTask>>| {
            let manifest = Manifest {
                id: "acme".into(),
                name: "Acme".into(),
                version: "1".into(),
                publisher: String::new(),
                docs_url: None,
                license: None,
                settings: vec![],
                kinds: vec![],
                origins: vec![],
                assistant: tasks.map(|tasks| Abilities { tasks, languages: vec![], offline: true }),
            };
            manifest.check().map(drop)
        };
        assert!(checked(Some(vec![AssistTask::Insights])).is_ok());
        assert!(matches!(checked(None), Err(ManifestError::Empty("kinds"))));
        assert!(matches!(checked(Some(vec![])), Err(ManifestError::Empty("tasks"))));
    }

    #[test]
    fn origins_are_plain_https_names() {
        for (text, expected) in [
            ("https://api.twilio.com", Some("https://api.twilio.com")),
            ("https://API.twilio.com:443/", Some("https://api.twilio.com")),
            ("https://api.twilio.com:8443", Some("https://api.twilio.com:8443")),
            ("http://api.twilio.com", None),
            ("https://api.twilio.com/v1", None),
            ("https://user@api.twilio.com", None),
            ("https://127.0.0.1", None),
            ("https://[::1]", None),
            ("https://localhost", None),
            ("https://api.twilio.com.", None),
            ("api.twilio.com", None),
            ("https://*.twilio.com", Some("https://*.twilio.com")),
            ("https://*.Twilio.com:443", Some("https://*.twilio.com")),
            ("https://*.com", None),
            ("https://*", None),
            ("https://*.*.twilio.com", None),
            ("https://a*.twilio.com", None),
            ("https://*.127.0.0.1", None),
        ] {
            assert_eq!(https_origin(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_star_covers_names_below_and_nothing_else() {
        let covered = |origin: &str| covers("https://*.twilio.com", origin);
        assert!(covered("https://media.twilio.com") && covered("https://a.b.twilio.com"));
        for origin in [
            "https://twilio.com",
            "https://.twilio.com",
            "https://eviltwilio.com",
            "https://media.twilio.com.evil.test",
            "https://media.twilio.com:8443",
            "http://media.twilio.com",
        ] {
            assert!(!covered(origin), "{origin}");
        }
        assert!(covers("https://twilio.com", "https://twilio.com"));
    }
}
