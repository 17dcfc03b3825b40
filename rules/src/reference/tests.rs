//! The vocabulary is a public contract: it has a golden file, the page says the
//! same, and every example in it works.

use super::*;
use crate::case::{Cases, given, run_cases};
use crate::form::Form;
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
    let shapes: Vec<&str> = language.facts.iter().flat_map(|f| &f.fields).map(|f| f.kind).collect();
    for operator in &language.operators {
        assert!(operator.types.iter().all(|kind| shapes.contains(kind)), "{operator:?}");
    }
    assert_eq!(language.functions.iter().filter(|f| f.family == "intent").count(), 27);
}

#[test]
fn rules_can_read_every_field_of_every_event() {
    for kind in EventKind::ALL {
        let shown = event(*kind).fields.len();
        let others = kind.fields().iter().filter(|(name, _)| *name == "changes").count();
        assert_eq!(shown + others, kind.fields().len(), "{}", kind.name());
    }
}

/// Code blocks of a page: language and text.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    let mut open = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(language) if !open => {
                open = true;
                found.push((language, String::new()));
            }
            Some(_) => open = false,
            None if open => found.last_mut().unwrap().1.extend([line, "\n"]),
            None => {}
        }
    }
    found
}

#[test]
fn every_block_of_the_guide_works() {
    let page = std::fs::read_to_string(format!("{ROOT}/../docs/rules.md")).unwrap();
    let blocks = blocks(&page);
    let count = |language: &str| blocks.iter().filter(|(found, _)| *found == language).count();
    assert!(count("rhai") >= 8 && count("toml") >= 2 && count("json") >= 1, "{blocks:?}");
    let mut rule = None;
    for (language, text) in &blocks {
        match *language {
            "rhai" => {
                let header =
                    if text.starts_with("//!") { "" } else { "//! Part\n//! on: message.received\n" };
                let source = format!("{header}{text}");
                let script = Script::parse(&source).unwrap_or_else(|p| panic!("{}", p[0].render(&source)));
                assert_eq!(script.check(&given::default_directory()), [], "{text}");
                assert_eq!(script.warnings(), [], "{text}");
                rule = Some(script);
            }
            "toml" => {
                let cases = Cases::parse(text).unwrap_or_else(|p| panic!("{p:?}\n{text}"));
                for result in run_cases(rule.as_ref().unwrap(), &cases) {
                    assert!(result.passed, "{}:\n{}", result.name, result.diff);
                }
            }
            "json" => {
                let form: Form = serde_json::from_str(text).unwrap();
                let source = form.to_source().unwrap();
                let script = Script::parse(&source).unwrap_or_else(|p| panic!("{}", p[0].render(&source)));
                assert_eq!(script.check(&given::default_directory()), []);
                assert_eq!(Form::from_source(&source).as_ref(), Ok(&form));
            }
            "sh" => {}
            other => panic!("who tests `{other}`?"),
        }
    }
}

#[test]
fn the_guide_names_every_operator_of_forms() {
    let page = std::fs::read_to_string(format!("{ROOT}/../docs/rules.md")).unwrap();
    for operator in Operator::ALL {
        let name = serde_json::to_value(operator).unwrap();
        assert!(page.contains(&format!("`{}`", name.as_str().unwrap())), "{name}");
    }
}
