//! Spanish: a small lexicon of our own with VADER's kind of rules. No kept crate has
//! one. Values are judgements of one person, from -4 to 4; see the data files.

use std::collections::BTreeMap;

use crate::{sentiment, words};

const WORDS: &str = include_str!("../data/words-es.tsv");
const PHRASES: &str = include_str!("../data/phrases-es.tsv");
/// What turns the meaning of the words after it.
const NEGATIONS: [&str; 9] = ["no", "nunca", "jamas", "sin", "ni", "tampoco", "nada", "ningun", "ninguna"];
/// So many words after a negation are turned.
const NEGATION_REACH: usize = 3;
/// A negated word means the opposite, and less of it.
const NEGATED: f64 = -0.6;
const STRONGER: [&str; 12] = [
    "muy",
    "mucho",
    "mucha",
    "muchisimo",
    "super",
    "demasiado",
    "demasiada",
    "tan",
    "bastante",
    "realmente",
    "totalmente",
    "absolutamente",
];
const STRENGTH: f64 = 1.3;
/// What comes after `pero` counts more than what came before it.
const BEFORE_BUT: f64 = 0.5;
const AFTER_BUT: f64 = 1.5;
/// Each exclamation mark, up to the most that count.
const EXCLAMATION: f64 = 1.1;
const EXCLAMATIONS_MAX: i32 = 3;

/// From -1 to 1, one for each text.
pub(crate) fn scores(texts: &[&str]) -> Vec<f64> {
    let lexicon = Lexicon::new();
    texts.iter().map(|text| lexicon.score(text)).collect()
}

struct Lexicon {
    whole: BTreeMap<&'static str, f64>,
    /// Entries that end in `*`: every word that begins so.
    beginnings: Vec<(&'static str, f64)>,
}

impl Lexicon {
    fn new() -> Self {
        let (mut whole, mut beginnings) = (BTreeMap::new(), vec![]);
        for (entry, value) in words::valued(WORDS) {
            match entry.strip_suffix('*') {
                Some(beginning) => beginnings.push((beginning, value)),
                None => {
                    whole.insert(entry, value);
                }
            }
        }
        Self { whole, beginnings }
    }

    /// The value of a word; the longest beginning wins.
    fn value(&self, word: &str) -> f64 {
        if let Some(value) = self.whole.get(word) {
            return *value;
        }
        let fitting = self.beginnings.iter().filter(|(beginning, _)| word.starts_with(beginning));
        fitting.max_by_key(|(beginning, _)| beginning.len()).map_or(0.0, |(_, value)| *value)
    }

    fn score(&self, text: &str) -> f64 {
        let words = words::of(text);
        let but = words.iter().position(|word| word == "pero");
        let mut sum = 0.0;
        for (at, word) in words.iter().enumerate() {
            let mut value = self.value(word);
            if value == 0.0 {
                continue;
            }
            let before = &words[at.saturating_sub(NEGATION_REACH)..at];
            if before.last().is_some_and(|word| STRONGER.contains(&word.as_str())) {
                value *= STRENGTH;
            }
            if before.iter().any(|word| NEGATIONS.contains(&word.as_str())) {
                value *= NEGATED;
            }
            sum += value
                * match but {
                    Some(but) if at < but => BEFORE_BUT,
                    Some(_) => AFTER_BUT,
                    None => 1.0,
                };
        }
        let phrases = words::valued(PHRASES).filter(|(phrase, _)| words::holds(&words, phrase));
        sum += phrases.map(|(_, value)| value).sum::<f64>();
        sum += text.chars().map(emoji).sum::<f64>();
        let marks = i32::try_from(text.matches('!').count()).unwrap_or(EXCLAMATIONS_MAX);
        sentiment::normal(sum * EXCLAMATION.powi(marks.min(EXCLAMATIONS_MAX)))
    }
}

fn emoji(c: char) -> f64 {
    match c {
        '😀' | '😃' | '😄' | '😊' | '🙂' | '👍' | '🙏' | '👏' | '🎉' => 1.5,
        '😍' | '🥰' | '🤩' | '❤' | '💙' | '💚' => 2.5,
        '🙄' | '😕' | '😞' | '😔' | '👎' | '😒' => -1.5,
        '😡' | '😠' | '🤬' | '😤' | '😭' | '😢' => -2.5,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negation_strength_and_but_change_what_words_mean() {
        let score = |text: &str| scores(&[text])[0];
        assert!(score("excelente servicio") > 0.3);
        assert!(score("no es un buen servicio") < 0.0);
        assert!(score("muy malo") < score("malo"));
        assert!(score("el envío fue rápido pero el producto es horrible") < -0.2);
        assert!(score("¡Genial!!!") > score("Genial"));
        assert!(score("El pedido es el 4711.").abs() < f64::EPSILON);
    }

    #[test]
    fn every_line_of_the_lists_is_read() {
        for list in [WORDS, PHRASES] {
            assert_eq!(words::valued(list).count(), words::lines(list).count());
            assert!(
                words::valued(list).all(|(entry, value)| entry == words::plain(entry) && value.abs() <= 4.0)
            );
        }
    }
}
