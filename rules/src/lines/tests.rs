//! What a watched run tells, and that watching changes nothing.

use serde_json::json;

use super::*;
use crate::case::given::situation_of;
use crate::event::EventKind;

const HEAD: &str = "//! Watched\n//! on: message.received\n";

fn watched(body: &str, text: &str) -> LineTrace {
    let script = Script::parse(&format!("{HEAD}{body}")).expect("a sound rule");
    let (event, mut facts) = situation_of(EventKind::MessageReceived);
    if let Some(message) = &mut facts.message {
        message.text = Some(text.to_owned());
    }
    trace(&script, &event, &facts)
}

fn lines(trace: &LineTrace) -> Vec<(u32, u32)> {
    trace.lines.iter().map(|it| (it.line, it.times)).collect()
}

#[test]
fn a_condition_tells_what_it_read_and_which_side_decided() {
    let body = "if message.text.contains_any([\"refund\"]) && conversation.priority == \"high\" && window.is_open {\n    archive();\n}\n";
    let trace = watched(body, "I want a refund");
    assert_eq!(lines(&trace), [(3, 1)], "the body did not run");
    let [condition] = trace.conditions.as_slice() else { panic!("{trace:?}") };
    assert_eq!((condition.kind, condition.line, condition.times), ("if", 3, 1));
    let [look] = condition.looks.as_slice() else { panic!("{condition:?}") };
    assert_eq!(look.value, Some(json!(false)));
    let [has, is_high, open] = look.parts.as_slice() else { panic!("{look:?}") };
    assert_eq!(
        (has.text.as_str(), &has.value),
        ("message.text.contains_any([\"refund\"])", &Some(json!(true)))
    );
    assert_eq!(
        (has.parts[0].text.as_str(), &has.parts[0].value),
        ("message.text", &Some(json!("I want a refund")))
    );
    assert_eq!(
        (is_high.text.as_str(), &is_high.value),
        ("conversation.priority == \"high\"", &Some(json!(false)))
    );
    assert_eq!(is_high.parts[0].value, Some(json!("normal")));
    assert!(open.is_skipped && open.value.is_none(), "{open:?}");
}

#[test]
fn lines_that_ran_are_counted_and_intents_carry_theirs() {
    let body = "let n = 0;\nwhile n < 3 {\n    n += 1;\n}\nif n == 3 {\n    add_labels([\"three\"]);\n} else {\n    archive();\n}\n";
    let trace = watched(body, "hello");
    assert_eq!(lines(&trace), [(3, 1), (4, 1), (5, 3), (7, 1), (8, 1)]);
    assert_eq!(
        trace.intents.iter().map(|(line, it)| (*line, it.word())).collect::<Vec<_>>(),
        [(8, "add_labels")]
    );
    let of = |kind: &str| trace.conditions.iter().find(|it| it.kind == kind).expect("met");
    assert_eq!((of("while").times, of("while").looks.len()), (4, 4));
    assert_eq!(of("while").looks[3].value, Some(json!(false)));
    assert_eq!(of("let").looks[0].value, Some(json!(0)));
}

#[test]
fn looking_changes_neither_variables_nor_intents_nor_operations() {
    let body = "let queue = [1, 2, 3];\nfn third(n) {\n    if n == 3 { return true; }\n    false\n}\nif queue.pop() == 3 && third(3) {\n    if queue.len() == 2 { set_priority(\"high\"); }\n}\n";
    let trace = watched(body, "hello");
    let script = Script::parse(&format!("{HEAD}{body}")).expect("sound");
    let (event, facts) = situation_of(EventKind::MessageReceived);
    let snapshot = Snapshot::new(&event, &facts);
    let plain = run::execute(script.ast(), &mut sandbox::scope(&snapshot), &snapshot, &Stopwatch::stopped());
    assert_eq!((trace.failure, trace.operations), (plain.failure, plain.operations));
    assert_eq!(trace.intents, plain.intents);
    assert_eq!(trace.intents.len(), 1);
    assert!(trace.conditions.iter().any(|it| it.line == 5), "conditions in functions are looked into");
}

#[test]
fn a_failure_says_where_and_an_endless_loop_is_cut() {
    let trace = watched("if message.choice.len() > 2 {\n    archive();\n}\n", "hello");
    let problem = trace.failure.expect("a missing value has no length");
    assert_eq!(problem.line, 3);
    assert!(trace.conditions[0].looks[0].problem.is_some());
    let trace =
        watched("let n = 0;\nwhile true {\n    if n > 10_000_000 { break; }\n    n += 1;\n}\n", "hello");
    assert_eq!(trace.failure.map(|it| it.code).as_deref(), Some("too_many_operations"));
    let looked = trace.conditions.iter().map(|it| it.looks.len()).max();
    assert_eq!(looked, Some(LOOKS_KEPT_MAX));
}
