//! How often the word lists agree with a person, on a labelled set that they were not
//! tuned on; and that the documentation states exactly this, in whatever direction it
//! changes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pointsman_lexicon::Lexicon;
use pointsman_plugin::assistant::{Conversation, Limits, Mood, Outcome, Request, Speaker, Task, Turn};
use pointsman_plugin::{Assistant, Context, Operation, Progress};
use serde::Deserialize;

const SET: &str = include_str!("conversations.toml");
const DOCS: &str = include_str!("../../../docs/assistant-plugins.md");

#[derive(Deserialize)]
struct Set {
    conversation: Vec<Labelled>,
}

#[derive(Deserialize)]
struct Labelled {
    language: String,
    mood: String,
    turns: Vec<String>,
}

/// Mood and language that the assistant finds.
fn judged(labelled: &Labelled) -> (String, Option<String>) {
    let turn = |text: &String| {
        let (who, text) = text.split_once(':').expect("`c:` or `a:` before each turn");
        let speaker = if who == "c" { Speaker::Contact } else { Speaker::Agent };
        Turn { speaker, text: text.to_owned(), at: 0, attachments: vec![], extras: vec![] }
    };
    let request = Request {
        task: Task::Insights,
        conversation: Conversation {
            channel_kind: "whatsapp".into(),
            language: None,
            instructions: String::new(),
            knowledge: vec![],
            turns: labelled.turns.iter().map(turn).collect(),
            extras: vec![],
        },
        limits: Limits { output_tokens_max: 0, reply_chars_max: 1_000, time_ms: 1_000 },
        extras: vec![],
    };
    let context = Context {
        channel_id: "ast_test".into(),
        kind: "assistant".into(),
        address: String::new(),
        settings: "{}".into(),
        secrets_set: vec![],
        webhook_url: String::new(),
        now: 0,
        locale: "en".into(),
        extras: vec![],
    };
    let started = Operation::start(|http| async move { Lexicon::assist(&context, request, &http).await });
    let Progress::Done(done) = started else { panic!("word lists make no calls and do not fail") };
    let Outcome::Insights(found) = done.outcome else { panic!("no insights") };
    let mood = match found.sentiment.map(|sentiment| sentiment.mood) {
        Some(Mood::Negative) => "negative",
        Some(Mood::Neutral) => "neutral",
        Some(Mood::Positive) => "positive",
        None => "none",
    };
    (mood.to_owned(), found.language)
}

#[test]
fn the_documentation_states_the_accuracy_that_is_measured() {
    let set: Set = toml::from_str(SET).expect("conversations.toml is read");
    assert_eq!(set.conversation.len(), 100);
    let mut right: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut all: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let (mut languages, mut opposite, mut wrong) = (0, 0, String::new());
    for labelled in &set.conversation {
        let (mood, language) = judged(labelled);
        let key = (labelled.language.as_str(), labelled.mood.as_str());
        *all.entry(key).or_default() += 1;
        *right.entry(key).or_default() += usize::from(mood == labelled.mood);
        languages += usize::from(language.as_deref() == Some(labelled.language.as_str()));
        let pair = [mood.as_str(), labelled.mood.as_str()];
        opposite += usize::from(pair == ["positive", "negative"] || pair == ["negative", "positive"]);
        if mood != labelled.mood {
            let _ = writeln!(wrong, "  {mood} for {}: {}", labelled.mood, labelled.turns.join(" / "));
        }
    }
    let mut table = String::new();
    for (language, name) in [("en", "English"), ("es", "Spanish")] {
        let cell = |mood| format!("{} of {}", right[&(language, mood)], all[&(language, mood)]);
        let sum = |map: &BTreeMap<(&str, &str), usize>| {
            map.iter().filter(|((of, _), _)| *of == language).map(|(_, count)| count).sum::<usize>()
        };
        let (cells, whole) = (["negative", "neutral", "positive"].map(cell), (sum(&right), sum(&all)));
        let _ = writeln!(table, "| {name} | {} | {} of {} |", cells.join(" | "), whole.0, whole.1);
    }
    let _ = write!(table, "\nOpposite mood: {opposite} of 100. Language: {languages} of 100.");
    assert!(DOCS.contains(&table), "docs/assistant-plugins.md must say:\n{table}\n\nwrong:\n{wrong}");
}
