//! English: VADER's rules and lexicon, and phrases that only a customer of a shop
//! means badly, which a lexicon made from tweets does not know.

use vader_parity::SentimentIntensityAnalyzer;

use crate::{sentiment, words};

const PHRASES: &str = include_str!("../data/phrases-en.tsv");

/// From -1 to 1, one for each text.
pub(crate) fn scores(texts: &[&str]) -> Vec<f64> {
    let vader = SentimentIntensityAnalyzer::new();
    let score = |text: &&str| {
        let words = words::of(text);
        let phrases: f64 = words::valued(PHRASES)
            .filter(|(phrase, _)| words::holds(&words, phrase))
            .map(|(_, value)| value)
            .sum();
        sentiment::normal(sentiment::sum(vader.polarity_scores(text).compound) + phrases)
    };
    texts.iter().map(score).collect()
}
