//! Typed readers over the collected layers. Every reader answers something
//! usable and notes what is wrong, so that all mistakes are found in one go.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::layers::{Given, Layers, Place, Value};
use super::{ConfigError, Mistake};

/// How unlike a known name may be and still be offered, as a share of its length.
const UNLIKE_MAX: f64 = 0.4;

pub(super) struct Reader {
    values: BTreeMap<String, Given>,
    mistakes: Vec<Mistake>,
}

impl Reader {
    /// Lays the sources over each other and refuses unknown names.
    pub(super) fn new(layers: Layers) -> Self {
        let mut values: BTreeMap<_, _> =
            layers.defaults.into_iter().map(|given| (given.key.clone(), given)).collect();
        let mut mistakes = layers.mistakes;
        for given in layers.given {
            if values.contains_key(&given.key) {
                values.insert(given.key.clone(), given);
            } else {
                mistakes.push(Mistake { place: given.place.to_string(), message: unknown(&given, &values) });
            }
        }
        Self { values, mistakes }
    }

    /// The settings, if nothing was wrong.
    pub(super) fn finish<T>(self, settings: T) -> Result<T, ConfigError> {
        if self.mistakes.is_empty() { Ok(settings) } else { Err(ConfigError(self.mistakes)) }
    }

    /// Notes a mistake of a setting at the place where it was given.
    pub(super) fn mistake(&mut self, key: &str, message: &str) {
        let place = self.values.get(key).map_or(Place::Defaults, |given| given.place.clone());
        self.mistakes.push(Mistake { place: place.to_string(), message: format!("{key} {message}") });
    }

    /// A text, perhaps empty.
    pub(super) fn text(&mut self, key: &'static str) -> String {
        match self.values.get(key).map(|given| given.value.clone()) {
            Some(Value::Text(text) | Value::Untyped(text)) => return text,
            Some(Value::Integer(_)) => self.mistake(key, "must be a text in quotes, not a number"),
            Some(Value::Other(kind)) => self.mistake(key, &format!("must be a text in quotes, not {kind}")),
            None => self.mistake(key, "is not among the defaults"),
        }
        String::new()
    }

    /// A text that is not empty.
    pub(super) fn filled(&mut self, key: &'static str) -> String {
        self.parsed(key, String::new(), |text| match text.trim() {
            "" => Err("must not be empty".to_owned()),
            _ => Ok(text.to_owned()),
        })
    }

    /// A text of some shape; `stand_in` takes its place after a mistake and is never used.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        stand_in: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let before = self.mistakes.len();
        let text = self.text(key);
        if self.mistakes.len() > before {
            return stand_in;
        }
        parse(&text).unwrap_or_else(|message| {
            self.mistake(key, &message);
            stand_in
        })
    }

    /// One of several words; the first stands in after a mistake.
    pub(super) fn word<T: Copy, const N: usize>(&mut self, key: &'static str, words: &[(&str, T); N]) -> T {
        let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.parsed(key, words[0].1, |text| {
            let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
            found.ok_or_else(|| format!("must be one of {}, not \"{text}\"", known.join(", ")))
        })
    }

    /// A whole number within bounds.
    pub(super) fn integer<T: TryFrom<i64> + Default>(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<i64>,
    ) -> T {
        let (low, high) = (bounds.start(), bounds.end());
        let given = self.values.get(key).map(|given| given.value.clone());
        let number = match &given {
            Some(Value::Integer(number)) => Some(*number),
            Some(Value::Untyped(text)) => text.trim().parse().ok(),
            _ => None,
        };
        if let Some(number) = number.filter(|number| bounds.contains(number))
            && let Ok(number) = T::try_from(number)
        {
            return number;
        }
        let said = match given {
            Some(Value::Integer(number)) => number.to_string(),
            Some(Value::Text(text) | Value::Untyped(text)) => format!("\"{text}\""),
            Some(Value::Other(kind)) => kind.to_owned(),
            None => "nothing".to_owned(),
        };
        self.mistake(key, &format!("must be a whole number from {low} to {high}, not {said}"));
        T::default()
    }

    /// A value that is no setting, e.g. a variable of its own.
    pub(super) fn checked<T>(
        &mut self,
        place: &str,
        text: String,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(&text) {
            Ok(value) => Some(value),
            Err(message) => {
                self.mistakes.push(Mistake { place: place.to_owned(), message });
                None
            }
        }
    }
}

fn unknown(given: &Given, known: &BTreeMap<String, Given>) -> String {
    let key = given.key.as_str();
    let without_section = known.keys().find(|k| k.split_once('.').is_some_and(|(_, name)| name == key));
    let near = || {
        known
            .keys()
            .map(|candidate| (strsim::normalized_damerau_levenshtein(key, candidate), candidate))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(likeness, _)| *likeness >= 1.0 - UNLIKE_MAX)
            .map(|(_, candidate)| candidate)
    };
    match without_section.or_else(near) {
        Some(near) => format!("{key} is not a setting; did you mean {near}?"),
        None => format!("{key} is not a setting; `pointsman serve --show-defaults` lists all"),
    }
}
