//! From the sentiment of single messages to that of a conversation: later messages
//! count more, because the end is what matters, and those without any feeling count
//! little.

use pointsman_plugin::assistant::{Mood, Sentiment};

use crate::{english, spanish};

/// Sums of word values become a score by `x / sqrt(x² + this)`, as VADER has it.
const ALPHA: f64 = 15.0;
/// What a message weighs, compared with the one after it.
const EARLIER: f64 = 0.7;
/// What a message without feeling weighs.
const FLAT: f64 = 0.25;
/// From here on a conversation is positive, and below its negative it is negative.
const NEUTRAL_MAX: f64 = 0.15;
/// Messages that are looked at, the last ones.
const TEXTS_MAX: usize = 40;

/// `None` where there is nothing to judge, or no list for the language.
pub(crate) fn of(texts: &[&str], language: &str) -> Option<Sentiment> {
    let latest = &texts[texts.len().saturating_sub(TEXTS_MAX)..];
    if latest.is_empty() {
        return None;
    }
    let scores: Vec<f64> = match language.split('-').next() {
        Some("en") => english::scores(latest),
        Some("es") => spanish::scores(latest),
        _ => return None,
    };
    let (mut sum, mut weights, mut age) = (0.0, 0.0, 1.0);
    for score in scores.iter().rev() {
        let weight = if score.abs() < f64::EPSILON { age * FLAT } else { age };
        sum += score * weight;
        weights += weight;
        age *= EARLIER;
    }
    let score = (sum / weights * 1_000.0).round() / 1_000.0;
    let mood = match score {
        score if score > NEUTRAL_MAX => Mood::Positive,
        score if score < -NEUTRAL_MAX => Mood::Negative,
        _ => Mood::Neutral,
    };
    Some(Sentiment { mood, score })
}

/// A sum of word values as a score between -1 and 1.
pub(crate) fn normal(sum: f64) -> f64 {
    sum / (sum * sum + ALPHA).sqrt()
}

/// The sum that a score came from.
pub(crate) fn sum(score: f64) -> f64 {
    let score = score.clamp(-0.999, 0.999);
    score * (ALPHA / (1.0 - score * score)).sqrt()
}
