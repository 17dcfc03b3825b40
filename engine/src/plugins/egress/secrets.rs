//! Which of a channel's secrets a call may carry, and how they get into its
//! texts. The plugin names them; their values are only ever seen here.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use url::Url;

use super::{Permissions, Refusal, http};
use crate::crypto::{Secret, hex};
use crate::plugins::manifest::{self, Manifest};
use crate::plugins::proof::hmac_key;

/// How a placeholder for a secret begins.
pub(super) const OPEN: &str = "{secret:";
/// What of an unknown name is repeated in a refusal, characters.
const NAME_CHARS_MAX: usize = 40;

/// A secret setting of the manifest and where its value may go.
#[derive(Debug, Clone)]
pub(in crate::plugins) struct SecretRule {
    name: String,
    /// Origins, or names of `egress-url` settings; `None` is wherever the plugin may call.
    sent_to: Option<Vec<String>>,
}

impl SecretRule {
    /// All of a manifest.
    pub(in crate::plugins) fn all(manifest: &Manifest) -> Arc<[Self]> {
        let secret = manifest.settings.iter().filter(|setting| setting.kind.is_secret());
        secret.map(|it| Self { name: it.name.clone(), sent_to: it.sent_to.clone() }).collect()
    }
}

/// The channel's secrets, as far as the plugin declared them, for one call.
pub(super) struct Secrets<'a> {
    values: &'a BTreeMap<String, Secret>,
    permissions: &'a Permissions,
    /// Where the call goes.
    origin: String,
}

impl<'a> Secrets<'a> {
    /// For a call of this origin.
    pub(super) fn for_origin(
        permissions: &'a Permissions,
        values: &'a BTreeMap<String, Secret>,
        url: &Url,
    ) -> Self {
        Self { values, permissions, origin: url.origin().ascii_serialization() }
    }

    /// A secret that may go where the call goes.
    pub(super) fn get(&self, name: &str) -> Result<&'a str, Refusal> {
        let rule = self.rule(name)?;
        let permissions = self.permissions;
        let goes = |place: &String| {
            manifest::covers(place, &self.origin)
                || permissions.own.iter().any(|(setting, own)| setting == place && *own == self.origin)
        };
        if rule.sent_to.as_ref().is_some_and(|places| !places.iter().any(goes)) {
            return Err(Refusal(format!(
                "secret `{name}` may not be sent to {}; the plugin's manifest says where in its `sent-to`",
                self.origin
            )));
        }
        self.value_of(name)
    }

    fn rule(&self, name: &str) -> Result<&'a SecretRule, Refusal> {
        self.permissions.secrets.iter().find(|rule| rule.name == name).ok_or_else(|| {
            let name: String = name.chars().take(NAME_CHARS_MAX).collect();
            Refusal(format!("the plugin has no secret setting `{name}`; declare it in the manifest"))
        })
    }

    fn value_of(&self, name: &str) -> Result<&'a str, Refusal> {
        self.values.get(name).map(Secret::expose).filter(|value| !value.is_empty()).ok_or_else(|| {
            Refusal(format!("secret `{name}` is not set; fill it in in the channel's settings"))
        })
    }

    /// The text of a value, and whether it is one to hide.
    pub(super) fn value(&self, value: &http::Value) -> Result<(String, bool), Refusal> {
        match value {
            http::Value::Plain(text) => Ok((text.clone(), false)),
            http::Value::Secret(name) => Ok((self.get(name)?.to_owned(), true)),
            http::Value::Filled(text) => Ok((self.filled(text)?, true)),
            http::Value::Hmac(signed) => Ok((self.hmac(signed)?, true)),
        }
    }

    fn filled(&self, text: &str) -> Result<String, Refusal> {
        self.fill(text, |filled, _, value| {
            filled.push_str(value);
            Ok(())
        })
    }

    /// A key that signs is not sent, so it may sign wherever the plugin calls.
    fn hmac(&self, signed: &http::Signed) -> Result<String, Refusal> {
        self.rule(&signed.key)?;
        let key = hmac_key(signed.algorithm, self.value_of(&signed.key)?);
        let tag = hmac::sign(&key, self.filled(&signed.message)?.as_bytes());
        Ok(match signed.encoding {
            http::Encoding::Hex => hex(tag.as_ref()),
            http::Encoding::Base64 => STANDARD.encode(tag.as_ref()),
        })
    }

    /// Replaces each `{secret:name}`; `put` appends the value of a name.
    pub(super) fn fill(
        &self,
        text: &str,
        put: impl Fn(&mut String, &str, &str) -> Result<(), Refusal>,
    ) -> Result<String, Refusal> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(OPEN) {
            let (before, placeholder) = rest.split_at(at);
            let (name, after) = placeholder[OPEN.len()..]
                .split_once('}')
                .ok_or_else(|| Refusal::new("a `{secret:…}` is not closed"))?;
            filled.push_str(before);
            put(&mut filled, name, self.get(name)?)?;
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}
