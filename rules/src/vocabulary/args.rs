//! Arguments of a word after they were checked: readers that cannot fail,
//! because [`Kind::check`](super::Kind) has refused everything else.

use std::collections::BTreeMap;

use rhai::{Array, Dynamic, Map};
use serde_json::Value;

use crate::duration;
use crate::intent::{Button, TemplateCall};
use crate::view::{Moment, to_json};

/// Checked arguments, and the moment of the decision.
pub(crate) struct Args {
    values: Vec<Dynamic>,
    now_ms: i64,
}

impl Args {
    pub(super) fn new(values: Vec<Dynamic>, now_ms: i64) -> Self {
        Self { values, now_ms }
    }

    /// The argument, unless it was left out or is `()`.
    pub(super) fn given(&self, index: usize) -> Option<&Dynamic> {
        self.values.get(index).filter(|v| !v.is_unit())
    }

    pub(super) fn opt_text(&self, index: usize) -> Option<String> {
        self.given(index).and_then(text_of)
    }

    pub(super) fn text(&self, index: usize) -> String {
        self.opt_text(index).unwrap_or_default()
    }

    pub(super) fn flag(&self, index: usize) -> bool {
        self.given(index).and_then(|v| v.as_bool().ok()).unwrap_or_default()
    }

    pub(super) fn integer(&self, index: usize) -> i64 {
        self.given(index).and_then(|v| v.as_int().ok()).unwrap_or_default()
    }

    /// One of the words of an enum.
    pub(super) fn word<T>(&self, index: usize, from_word: fn(&str) -> Option<T>, fallback: T) -> T {
        self.opt_text(index).and_then(|w| from_word(&w)).unwrap_or(fallback)
    }

    pub(super) fn texts(&self, index: usize) -> Vec<String> {
        let Some(value) = self.given(index) else { return Vec::new() };
        match value.read_lock::<Array>() {
            Some(items) => items.iter().filter_map(text_of).collect(),
            None => text_of(value).into_iter().collect(),
        }
    }

    pub(super) fn duration_ms(&self, index: usize) -> Option<i64> {
        self.given(index).and_then(duration_of)
    }

    /// A moment, or a duration from now.
    pub(super) fn moment_ms(&self, index: usize) -> i64 {
        let value = self.given(index);
        value
            .and_then(moment_of)
            .unwrap_or_else(|| self.now_ms.saturating_add(value.and_then(duration_of).unwrap_or_default()))
    }

    pub(super) fn json(&self, index: usize) -> Value {
        self.given(index).and_then(to_json).unwrap_or(Value::Null)
    }

    /// A field of a map argument.
    pub(super) fn field(&self, index: usize, name: &str) -> Option<Dynamic> {
        let map = self.given(index)?.read_lock::<Map>()?;
        map.get(name).filter(|v| !v.is_unit()).cloned()
    }

    /// Text and buttons of a message, given as text or as a map.
    pub(super) fn content(&self, index: usize) -> (String, Vec<Button>) {
        let text = self.opt_text(index).or_else(|| text_of(&self.field(index, "text")?));
        let buttons = self.field(index, "buttons").and_then(|v| v.into_array().ok()).unwrap_or_default();
        (text.unwrap_or_default(), buttons.iter().filter_map(button_of).collect())
    }

    /// Name, language and slots, starting at this index.
    pub(super) fn template(&self, index: usize) -> TemplateCall {
        let slots = self.given(index + 2).and_then(|v| v.read_lock::<Map>().map(|m| slots_of(&m)));
        TemplateCall {
            name: self.text(index),
            language: self.opt_text(index + 1),
            slots: slots.unwrap_or_default(),
        }
    }
}

/// The text of a string or character.
pub(super) fn text_of(value: &Dynamic) -> Option<String> {
    match value.read_lock::<rhai::ImmutableString>() {
        Some(text) => Some(text.to_string()),
        None => value.as_char().ok().map(String::from),
    }
}

/// Milliseconds of a duration text or of an integer of seconds.
pub(super) fn duration_of(value: &Dynamic) -> Option<i64> {
    match value.as_int() {
        Ok(seconds) => duration::from_seconds(seconds),
        Err(_) => duration::parse_ms(&text_of(value)?),
    }
}

/// Unix milliseconds of a moment or an RFC 3339 text.
pub(super) fn moment_of(value: &Dynamic) -> Option<i64> {
    match value.read_lock::<Moment>() {
        Some(moment) => Some(moment.0),
        None => duration::parse_moment_ms(&text_of(value)?),
    }
}

/// `#{ id: …, title: … }`, or a text that is both.
pub(super) fn button_of(value: &Dynamic) -> Option<Button> {
    if let Some(title) = text_of(value) {
        return Some(Button { id: title.clone(), title });
    }
    let map = value.read_lock::<Map>()?;
    let title = text_of(map.get("title")?)?;
    let id = map.get("id").map_or_else(|| Some(title.clone()), text_of)?;
    Some(Button { id, title })
}

/// What a template slot shows for a plain value.
pub(super) fn slot_of(value: &Dynamic) -> Option<String> {
    if let Some(moment) = value.read_lock::<Moment>() {
        return Some(moment.to_string());
    }
    let plain = value.is_int() || value.is_float() || value.is_bool();
    text_of(value).or_else(|| plain.then(|| value.to_string()))
}

fn slots_of(map: &Map) -> BTreeMap<String, String> {
    map.iter().filter_map(|(name, value)| Some((name.to_string(), slot_of(value)?))).collect()
}
