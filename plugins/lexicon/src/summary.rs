//! An extractive summary: sentences that were really written, chosen by how many of
//! the conversation's words they hold. The first request and the last word count
//! more. Says who wrote each, and invents nothing.

use std::collections::{BTreeMap, BTreeSet};

use pointsman_plugin::assistant::{Conversation, Speaker, Turn};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::words;

/// Sentences of a summary.
const SENTENCES_MAX: usize = 3;
/// Longer sentences are cut, characters.
const SENTENCE_CHARS_MAX: usize = 200;
/// Shorter sentences are greetings, words.
const WORDS_MIN: usize = 3;
/// Turns that are looked at: so many of the first and of the last.
const TURNS_MAX: usize = 100;
/// How much more the first request, the last word and a question count.
const FIRST: f64 = 1.6;
const LAST: f64 = 1.3;
const QUESTION: f64 = 1.2;

const STOP_WORDS: &str = include_str!("../data/stop-words.txt");

struct Sentence<'a> {
    speaker: &'a Speaker,
    text: String,
    words: BTreeSet<String>,
    factor: f64,
}

/// `None` when nobody wrote a sentence.
pub(crate) fn of(about: &Conversation, locale: &str) -> Option<String> {
    let sentences = sentences(about);
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    for word in sentences.iter().flat_map(|sentence| &sentence.words) {
        *counts.entry(word).or_default() += 1.0;
    }
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut chosen: Vec<usize> = vec![];
    while chosen.len() < SENTENCES_MAX {
        let score = |sentence: &Sentence<'_>| {
            let new = sentence.words.iter().filter(|word| !told.contains(word.as_str()));
            let sum: f64 = new.map(|word| counts[word.as_str()]).sum();
            // By the root of the length, or the longest always wins.
            #[allow(clippy::cast_precision_loss, reason = "a sentence has few words")]
            let length = (sentence.words.len().max(1) as f64).sqrt();
            sentence.factor * sum / length
        };
        let open = sentences.iter().enumerate().filter(|(at, _)| !chosen.contains(at));
        let best = open.map(|(at, sentence)| (at, score(sentence))).max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((at, _)) = best.filter(|(_, score)| *score > 0.0) else { break };
        chosen.push(at);
        told.extend(sentences[at].words.iter().map(String::as_str));
    }
    chosen.sort_unstable();
    let line = |at: &usize| format!("{}: {}", label(sentences[*at].speaker, locale), sentences[*at].text);
    let lines: Vec<String> = chosen.iter().map(line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn sentences(about: &Conversation) -> Vec<Sentence<'_>> {
    let stop: BTreeSet<&str> = words::lines(STOP_WORDS).collect();
    let speaks = |turn: &&Turn| matches!(turn.speaker, Speaker::Contact | Speaker::Agent);
    let turns: Vec<&Turn> = about.turns.iter().filter(speaks).collect();
    let skipped = TURNS_MAX..turns.len().saturating_sub(TURNS_MAX).max(TURNS_MAX);
    let seen = turns.iter().enumerate().filter(|(at, _)| !skipped.contains(at));
    let mut all: Vec<Sentence<'_>> = vec![];
    for (_, turn) in seen {
        for text in turn.text.unicode_sentences().map(str::trim) {
            let words = words::of(text);
            if words.len() < WORDS_MIN {
                continue;
            }
            let words = words.into_iter().filter(|word| !stop.contains(word.as_str())).collect();
            let factor = if text.contains('?') { QUESTION } else { 1.0 };
            all.push(Sentence { speaker: &turn.speaker, text: cut(text), words, factor });
        }
    }
    if let Some(first) = all.iter_mut().find(|sentence| *sentence.speaker == Speaker::Contact) {
        first.factor *= FIRST;
    }
    if let Some(last) = all.last_mut() {
        last.factor *= LAST;
    }
    all
}

fn cut(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SENTENCE_CHARS_MAX {
        return line;
    }
    line.chars().take(SENTENCE_CHARS_MAX - 1).chain(['…']).collect()
}

fn label(speaker: &Speaker, locale: &str) -> &'static str {
    match (speaker, locale.split('-').next()) {
        (Speaker::Contact, Some("es")) => "Contacto",
        (_, Some("es")) => "Agente",
        (Speaker::Contact, _) => "Contact",
        _ => "Agent",
    }
}
