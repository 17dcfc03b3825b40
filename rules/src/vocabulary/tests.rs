//! The vocabulary is a public contract: it has a golden file, and every example works.

use super::*;
use crate::script::Script;

const GOLDEN: &str = include_str!("../../vocabulary.golden.json");

#[test]
fn the_golden_file_shows_the_whole_language() {
    let now = serde_json::to_string_pretty(&describe()).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/vocabulary.golden.json"), &now).unwrap();
        return;
    }
    assert_eq!(
        now, GOLDEN,
        "the language changed; run the tests with UPDATE_GOLDEN=1 and review the difference"
    );
}

#[test]
fn every_example_passes_the_check() {
    for word in WORDS {
        let source = format!("//! Example\n//! on: message.received\nlet x = {};", word.example);
        assert!(Script::parse(&source).is_ok(), "{}: {:?}", word.name, Script::parse(&source));
    }
}

#[test]
fn every_intent_has_a_word_and_every_word_a_sentence() {
    for word in WORDS {
        assert!(word.doc.ends_with(['.', '?']), "{}", word.name);
        assert!(word.required <= word.params.len(), "{}", word.name);
    }
    assert_eq!(WORDS.iter().filter(|w| w.family() == "intent").count(), 26);
}
