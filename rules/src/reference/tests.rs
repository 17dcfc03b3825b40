//! The vocabulary is a public contract: it has a golden file, the page says the
//! same, and every example in it works.

use super::*;
use crate::schedule::Filter;
use crate::script::Script;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn same_as(path: &str, now: &str) {
    let path = format!("{ROOT}/{path}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, now).unwrap();
        return;
    }
    let then = std::fs::read_to_string(&path).unwrap();
    assert!(
        now == then,
        "{path}: the language changed; run the tests with UPDATE_GOLDEN=1 and review the difference"
    );
}

#[test]
fn the_golden_file_shows_the_whole_language() {
    same_as("vocabulary.golden.json", &(serde_json::to_string_pretty(&describe()).unwrap() + "\n"));
}

#[test]
fn the_page_shows_the_whole_language() {
    same_as("../docs/rules-reference.md", &markdown::page(&describe()));
}

#[test]
fn every_example_passes_the_check() {
    for function in describe().functions {
        let source = format!("//! Example\n//! on: message.received\nlet x = {};", function.example);
        assert!(Script::parse(&source).is_ok(), "{}: {:?}", function.name, Script::parse(&source));
    }
    for field in describe().filter {
        assert!(Filter::parse(field.example, 1, 1).is_ok(), "{}", field.example);
    }
    for key in describe().header {
        let scheduled = ["cron", "timezone", "where"].contains(&key.key);
        let on = if scheduled { "on: schedule.tick" } else { "on: message.received" };
        let lines = [on, "cron: 0 9 * * *", key.example].into_iter();
        let lines = lines.filter(|line| !line.starts_with(&format!("{}:", key.key)) || *line == key.example);
        let lines: String = lines
            .filter(|line| scheduled || !line.starts_with("cron"))
            .map(|l| format!("//! {l}\n"))
            .collect();
        let source = format!("//! Example\n{lines}archive();");
        assert!(Script::parse(&source).is_ok(), "{source}: {:?}", Script::parse(&source));
    }
}

#[test]
fn everything_has_a_sentence() {
    let language = describe();
    let docs = language.functions.iter().map(|f| (f.name, f.doc));
    let docs = docs.chain(language.events.iter().map(|e| (e.name, e.doc)));
    let docs = docs.chain(language.filter.iter().map(|f| (f.field, f.doc)));
    let docs = docs.chain(language.header.iter().map(|h| (h.key, h.doc)));
    for (name, doc) in docs.chain(language.types.iter().map(|t| (t.name, t.doc))) {
        assert!(doc.ends_with(['.', '?', '…']), "{name}: {doc}");
    }
    assert_eq!(language.functions.iter().filter(|f| f.family == "intent").count(), 26);
}

#[test]
fn rules_can_read_every_field_of_every_event() {
    for kind in EventKind::ALL {
        let shown = event(*kind).fields.len();
        let others = kind.fields().iter().filter(|(name, _)| *name == "changes").count();
        assert_eq!(shown + others, kind.fields().len(), "{}", kind.name());
    }
}
