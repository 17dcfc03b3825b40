//! What rules cost, on one core: `cargo bench -p pointsman-rules`, or with everything
//! else `make bench`. Figures beside their targets; nothing fails because a machine is slow.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pointsman_rules::case::given::{default_directory, invented};
use pointsman_rules::decide::{CompiledRule, RuleSet, Stopwatch, decide};
use pointsman_rules::event::{Event, EventKind};
use pointsman_rules::facts::{Directory, Facts};
use pointsman_rules::ids::{RuleId, RuleVersionId};
use pointsman_rules::library::starters;
use pointsman_rules::loops;
use pointsman_rules::script::Script;
use serde_json::{Map, json};

/// Rules of a busy tenant that look at the event.
const RULES: usize = 100;
/// The same with those that look at other events only.
const RULES_ALL: usize = 1_000;
/// Decisions measured, after as many tenth parts to warm up.
const DECISIONS: usize = 5_000;
/// What a decision of a hundred rules may take, the slowest hundredth left out.
const DECISION_P99_MAX: Duration = Duration::from_millis(2);
/// What reading, compiling and checking of a thousand rules may take.
const CHECK_MAX: Duration = Duration::from_secs(2);
/// 2026-11-21, Unix milliseconds.
const NOW_MS: i64 = 1_795_219_200_000;

fn main() -> Result<(), String> {
    let directory = default_directory();
    let sources: Vec<String> = (0..RULES_ALL).map(source).collect();

    let start = Instant::now();
    let scripts = sources.iter().map(|it| read(it, &directory)).collect::<Result<Vec<_>, _>>()?;
    let found = loops::find(&scripts);
    let checked = start.elapsed();
    println!(
        "{RULES_ALL} rules read, compiled and checked, loops looked for ({} found): {checked:.2?}; target {CHECK_MAX:?}",
        found.len()
    );

    let (event, facts) = happened(&directory)?;
    let few = RuleSet::new(scripts.iter().take(RULES).cloned().enumerate().map(published).collect());
    let all = RuleSet::new(scripts.into_iter().enumerate().map(published).collect());
    let (few_p50, few_p99) = time(&few, &event, &facts);
    println!(
        "one event, {RULES} rules that look at it: p50 {few_p50:.2?}, p99 {few_p99:.2?}; target p99 {DECISION_P99_MAX:?}"
    );
    let (all_p50, _) = time(&all, &event, &facts);
    println!(
        "the same beside {} rules for other events: p50 {all_p50:.2?}, {:.2} of it; target 1.0",
        RULES_ALL - RULES,
        all_p50.as_secs_f64() / few_p50.as_secs_f64()
    );
    Ok(())
}

/// The starter rules for messages, then keyword rules; from [`RULES`] on rules for another event.
fn source(index: usize) -> String {
    let starter = starters().iter().map(|it| it.source).filter(|it| it.contains("on: message.received"));
    if let Some(source) = starter.clone().nth(index) {
        return source.replace("enabled: false", "enabled: true");
    }
    let event = if index < RULES { "message.received" } else { "conversation.updated" };
    let condition = if index < RULES {
        format!("message.text.contains_any([\"topic {index}\", \"matter {index}\", \"order {index}\"])")
    } else {
        "conversation.status == \"closed\"".to_owned()
    };
    format!(
        "//! Rule {index}\n//!\n//! on: {event}\n//! position: {index}\n\n\
         if {condition} && channel.kind != \"webchat\" && !(\"done\" in conversation.labels) {{\n    \
         route_to_group(\"Billing\");\n    set_priority(\"high\");\n}}\n"
    )
}

fn read(source: &str, directory: &Directory) -> Result<Script, String> {
    let script = Script::parse(source).map_err(|problems| format!("{problems:?} in\n{source}"))?;
    black_box(script.check(directory));
    Ok(script)
}

fn published((index, script): (usize, Script)) -> CompiledRule {
    let number = index as u128 + 1;
    CompiledRule { id: RuleId::new(NOW_MS, number), version: RuleVersionId::new(NOW_MS, number), script }
}

/// A message that one of the last rules answers to.
fn happened(directory: &Directory) -> Result<(Event, Facts), String> {
    let text = format!("Hello, I have a question about order {} that came yesterday", RULES - 1);
    let given = json!({"message": {"text": text}});
    let rule = RuleId::new(NOW_MS, 1);
    invented(Some(EventKind::MessageReceived), Map::new(), &given, (directory, None), rule, NOW_MS)
}

/// Median and 99th percentile of a decision.
fn time(rules: &RuleSet, event: &Event, facts: &Facts) -> (Duration, Duration) {
    let start = Instant::now();
    let stopwatch = Stopwatch::new(move || u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
    let mut times = Vec::with_capacity(DECISIONS);
    for round in 0..DECISIONS + DECISIONS / 10 {
        let before = Instant::now();
        let decision = black_box(decide(rules, event, facts, &stopwatch));
        let time = before.elapsed();
        assert!(decision.planned.len() >= 2, "the rule that is meant did not fire: {:?}", decision.planned);
        if round >= DECISIONS / 10 {
            times.push(time);
        }
    }
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    (at(50), at(99))
}
