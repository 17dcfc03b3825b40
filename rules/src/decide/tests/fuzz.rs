//! Mutated rules: whatever somebody writes, reading it and running it ends,
//! never panics and is repeatable. `FUZZ_SECONDS` says for how long (`make fuzz`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::form::Form;
use crate::header::Header;
use crate::library::starters;
use crate::vocabulary::words;

/// How long a plain test run takes part, seconds.
const SECONDS_DEFAULT: u64 = 2;
/// Slowest rule that is bearable, in a debug build on a busy machine.
const RULE_SECONDS_MAX: u64 = 10;

/// Pieces that make trouble more often than letters do.
const PIECES: &[&str] = &[
    "if ",
    "else ",
    "for x in ",
    "while ",
    "loop ",
    "return ",
    "throw ",
    "break;",
    "let x = ",
    "x",
    "x += x; ",
    "fn f(a) ",
    "f(x)",
    "|a| ",
    "switch x ",
    "=> ",
    "try ",
    "catch ",
    "{ ",
    "} ",
    "(",
    ") ",
    "[",
    "] ",
    "#{ ",
    "a: ",
    ";",
    ",",
    ".",
    "?.",
    "??",
    " && ",
    " || ",
    "!",
    " == ",
    " != ",
    " < ",
    " in ",
    " + ",
    " - ",
    " * ",
    "..",
    "`",
    "${",
    "\"",
    "'",
    "\\",
    "\n",
    "//",
    "/*",
    "*/",
    "//! ",
    "on: ",
    "where: ",
    "cron: ",
    "chain: true\n",
    "0 9 * * *",
    "()",
    "true",
    "1",
    "-9223372036854775808",
    "1e308",
    "0.1",
    "\"a\"",
    "'a'",
    "\u{202e}",
    "é",
    "\u{0}",
    "now",
    "message.text",
    "conversation",
    "contact.attributes.x",
    "event.type",
    "x[",
    "x.push(x); ",
    "x.pad(9999, x); ",
    ".len()",
    ".map(",
    "status = open",
    " and ",
    "this",
    "Fn(\"f\")",
    ".call(",
    "type_of(",
    "in",
    "until ",
    "do ",
    "const ",
    "global::",
];

fn piece() -> impl Strategy<Value = String> {
    let words: Vec<String> = words().iter().map(|word| format!("{}; ", word.example)).collect();
    prop_oneof![
        6 => prop::sample::select(PIECES).prop_map(str::to_owned),
        2 => prop::sample::select(words),
        1 => "\\PC{0,6}",
        1 => (prop::sample::select(PIECES), 2usize..200).prop_map(|(piece, times)| piece.repeat(times)),
    ]
}

/// A starter rule with parts cut out and pieces put in.
fn source() -> impl Strategy<Value = String> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, piece()), 0..12);
    let seeds: Vec<&str> = starters().iter().map(|starter| starter.source).collect();
    (prop::sample::select(seeds), edits).prop_map(|(seed, edits)| {
        let mut chars: Vec<char> = seed.chars().collect();
        for (at, cut, piece) in edits {
            let start = at.index(chars.len() + 1);
            let end = (start + cut).min(chars.len());
            chars.splice(start..end, piece.chars());
        }
        chars.into_iter().collect()
    })
}

fn survives(source: &str, event: &Event, facts: &Facts) {
    let header = Header::parse(source);
    if let Ok(Header { schedule: Some(schedule), .. }) = &header {
        assert!(schedule.next_after(facts.now_ms).is_none_or(|next| next > facts.now_ms));
    }
    if let Ok(form) = Form::from_source(source) {
        let written = form.to_source().unwrap();
        assert_eq!(Form::from_source(&written).unwrap(), form, "{written}");
    }
    let Ok(script) = Script::parse(source) else { return };
    assert_eq!(script.header(), &header.unwrap());
    script.check(&facts.directory);
    let rule = CompiledRule { id: RuleId::new(0, 1), version: RuleVersionId::new(0, 1), script };
    let rules = RuleSet::new(vec![rule]);
    let first = decide(&rules, event, facts, &Stopwatch::stopped());
    assert_eq!(decide(&rules, event, facts, &Stopwatch::stopped()), first);
    assert!(first.runs.iter().all(|run| run.ops <= crate::sandbox::OPERATIONS_MAX + 1));
}

#[test]
fn s10_whatever_is_written_ends_and_is_repeatable() {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let budget = Duration::from_secs(seconds.unwrap_or(SECONDS_DEFAULT));
    let (event, facts) = hello();
    let (mut runner, strategy) = (TestRunner::default(), source());
    let (began, mut count) = (Instant::now(), 0u64);
    while began.elapsed() < budget {
        let source = strategy.new_tree(&mut runner).unwrap().current();
        if seconds.is_some() {
            // What overflows the stack takes the process with it; this file then tells which rule it was.
            std::fs::write(std::env::temp_dir().join("pointsman-fuzz-last.rhai"), &source).unwrap();
        }
        let one = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| survives(&source, &event, &facts)));
        assert!(outcome.is_ok(), "this rule breaks something:\n{source}");
        assert!(one.elapsed().as_secs() < RULE_SECONDS_MAX, "{:?}:\n{source}", one.elapsed());
        count += 1;
    }
    println!("{count} rules in {:?}", began.elapsed());
    assert!(count > 0);
}
