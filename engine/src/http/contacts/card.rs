//! What people write about a contact, checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::checked_phone;
use crate::http::body;
use crate::http::problem::Problem;
use crate::store::contact_changes::Card;

const NAME_CHARS_MAX: usize = 200;
/// Longest BCP 47 tag (RFC 5646 section 4.4.1 asks for at least 35).
const LANGUAGE_CHARS_MAX: usize = 35;
const ATTRIBUTES_MAX: usize = 100;
const KEY_CHARS_MAX: usize = 64;
const VALUE_CHARS_MAX: usize = 1_000;

/// A new contact.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewContact {
    /// What they are called.
    name: Option<String>,
    /// In any usual writing; with country code unless it is one of the tenant's `country`.
    #[schema(example = "+34 600 000 001")]
    phone: Option<String>,
    /// BCP 47.
    language: Option<String>,
    /// Texts, numbers and flags. By `email` contacts are recognised, too.
    #[serde(default)]
    attributes: BTreeMap<String, Value>,
}

impl NewContact {
    pub(super) fn card(self, country: Option<&str>) -> Result<Card, Problem> {
        let change = ContactChange {
            name: Some(self.name),
            phone: Some(self.phone),
            language: Some(self.language),
            attributes: self.attributes,
        };
        change.checked(country)?.applied(Card::default())
    }
}

/// What may be changed. What is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactChange {
    /// What they are called; `null` for nothing.
    #[serde(default, deserialize_with = "body::given")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
    /// With country code, in any usual writing; `null` for none.
    #[serde(default, deserialize_with = "body::given")]
    #[schema(value_type = Option<String>)]
    phone: Option<Option<String>>,
    /// BCP 47; `null` for none.
    #[serde(default, deserialize_with = "body::given")]
    #[schema(value_type = Option<String>)]
    language: Option<Option<String>>,
    /// Values to set; those that are `null` go, others stay.
    #[serde(default)]
    attributes: BTreeMap<String, Value>,
}

/// A change whose fields are all right.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    name: Option<Option<String>>,
    phone: Option<Option<(String, String)>>,
    language: Option<Option<String>>,
    attributes: BTreeMap<String, Value>,
}

impl ContactChange {
    /// `country`: where phone numbers without a country code belong.
    pub(super) fn checked(self, country: Option<&str>) -> Result<Checked, Problem> {
        let phone =
            |text: String| checked_phone(&text, country, "/phone").map(|phone| (phone.e164, phone.key));
        for (key, value) in &self.attributes {
            check_attribute(key, value)?;
        }
        Ok(Checked {
            name: self.name.map(|name| name.map(checked_name).transpose()).transpose()?,
            phone: self.phone.map(|text| text.map(phone).transpose()).transpose()?,
            language: self.language.map(|tag| tag.map(checked_language).transpose()).transpose()?,
            attributes: self.attributes,
        })
    }
}

impl Checked {
    pub(super) fn applied(self, mut card: Card) -> Result<Card, Problem> {
        card.name = self.name.unwrap_or(card.name);
        card.language = self.language.unwrap_or(card.language);
        if let Some(phone) = self.phone {
            (card.phone, card.phone_key) = phone.unzip();
        }
        for (key, value) in self.attributes {
            if value.is_null() {
                card.attributes.remove(&key);
            } else {
                card.attributes.insert(key, value);
            }
        }
        if card.attributes.len() > ATTRIBUTES_MAX {
            let detail = format!("a contact takes {ATTRIBUTES_MAX}; set some to null");
            return Err(Problem::field("/attributes", detail));
        }
        Ok(card)
    }
}

fn checked_name(name: String) -> Result<String, Problem> {
    let name = name.trim();
    let is_good = (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if is_good {
        return Ok(name.to_owned());
    }
    Err(Problem::field("/name", format!("must have 1 to {NAME_CHARS_MAX} characters in one line")))
}

fn checked_language(tag: String) -> Result<String, Problem> {
    let is_good = (2..=LANGUAGE_CHARS_MAX).contains(&tag.len())
        && tag
            .split('-')
            .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    if is_good {
        Ok(tag)
    } else {
        Err(Problem::field("/language", "must be a language tag like es or pt-BR"))
    }
}

fn check_attribute(key: &str, value: &Value) -> Result<(), Problem> {
    let pointer = format!("/attributes/{}", key.replace('~', "~0").replace('/', "~1"));
    if !(1..=KEY_CHARS_MAX).contains(&key.chars().count()) {
        return Err(Problem::field(pointer, format!("its name must have 1 to {KEY_CHARS_MAX} characters")));
    }
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::String(text) if text.chars().count() <= VALUE_CHARS_MAX => Ok(()),
        Value::String(_) => Err(Problem::field(pointer, format!("takes {VALUE_CHARS_MAX} characters"))),
        _ => Err(Problem::field(pointer, "must be a text, a number, true, false or null")),
    }
}
