//! Rules that fail and rules that mean harm: they end, and the others still run.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

#[test]
fn s9_a_failing_rule_drops_its_own_intents_only() {
    let decision = on_hello(vec![
        rule(1, "", "archive();"),
        rule(2, "", "set_priority(\"high\");\nlet x = [1]; let y = x[5];\nstop_rules();"),
        rule(3, "", "opt_out();"),
    ]);
    assert_eq!(calls(&decision), ["archive()", "opt_out()"]);
    let RunOutcome::Failed { problem } = &decision.runs[1].outcome else { panic!("{decision:?}") };
    assert_eq!(problem.line, 4);
    assert_eq!(decision.runs[1].intents.len(), 1, "the trace still shows what it asked for");
}

#[test]
fn s9_failures_say_what_to_do() {
    for (body, code) in [
        ("throw \"enough\";", "thrown"),
        ("let s = \"clo\"; set_status(s + \"se\");", "unknown_status"),
        ("set_ai(off, message.choice + \"x\");", "bad_duration"),
        ("let c = calendar(\"Nowhere\");", "unknown_calendar"),
        ("let d = now + \"5 parsecs\";", "bad_duration"),
        ("let x = contact.attributes.plan; let y = message[\"txt\"];", "unknown_field"),
        ("let m = #{ a: 1 }; let x = m.b;", "unknown_field"),
        ("let v = message.choice; let n = v.text;", "missing_value"),
        ("send_message(message.choice);", "wrong_type"),
        ("let x = contact.attributes.plan.len();", "wrong_arguments"),
    ] {
        let decision = on_hello(vec![rule(1, "", body)]);
        assert_eq!(failure(&decision.runs[0]), code, "{body}: {:?}", decision.runs[0]);
    }
}

#[test]
fn s10_hostile_rules_end_within_their_limits_and_others_still_run() {
    let hostile = [
        ("loop { }", "too_many_operations"),
        ("let x = 0; while true { x += 1; }", "too_many_operations"),
        ("fn f(n) { f(n + 1) } f(0);", "too_deep"),
        ("let s = \"ab\"; loop { s += s; }", "too_large"),
        ("let s = \"ab\"; for i in 0..60 { s = s + s; }", "too_large"),
        ("let a = []; loop { a.push(a); }", "too_large"),
        ("let a = [1]; loop { a += a; }", "too_large"),
        ("let m = #{}; for i in 0..100000 { m[`k${i}`] = i; }", "too_large"),
        (
            "let b = \"\"; b.pad(60000, \"x\"); let m = #{}; for i in 0..9999 { m[`k${i}`] = b + i; }",
            "too_large",
        ),
        (
            "let b = \"\"; b.pad(60000, \"x\"); let a = []; a.pad(900, 0); for i in 0..900 { a[i] = b + i; }",
            "too_large",
        ),
        ("let b = []; b.pad(900, 0); let a = []; a.pad(900, 0); for i in 0..900 { a[i] = b; }", "too_large"),
        ("let m = #{ x: #{} }; for i in 0..9999 { m.x[`k${i}`] = 1; }", "too_large"),
        ("let s = \"\"; s.pad(60000, \"x\"); s.replace(\"x\", s);", "too_large"),
        ("let s = \"\"; s.pad(60000, \"x\"); s.replace('x', s);", "too_large"),
        ("let s = \"\"; s.pad(60000, \"x\"); s.replace(\"\", s);", "too_large"),
        ("let s = \"\"; s.pad(100000000, \"x\");", "too_large"),
        ("let a = []; a.pad(100000000, 1);", "too_large"),
        ("let a = [1, 2, 3]; loop { a = a.map(|x| [x, x]); a += a; }", "too_large"),
        ("for i in 0..1000 { archive(); }", "too_many_intents"),
        ("let f = Fn(\"contains\"); loop { f.call(\"a\", \"a\"); }", "too_many_operations"),
        ("try { loop { } } catch { archive(); }", "too_many_operations"),
    ];
    let began = std::time::Instant::now();
    for (body, code) in hostile {
        let decision = on_hello(vec![rule(1, "position: 1", body), rule(2, "", "opt_out();")]);
        assert_eq!(failure(&decision.runs[0]), code, "{body}: {:?}", decision.runs[0].outcome);
        assert_eq!(calls(&decision), ["opt_out()"], "{body}");
    }
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}

#[test]
fn replace_still_replaces() {
    let body = "let s = \"a-b\"; s.replace(\"-\", '+'); s.replace('a', \"x\"); s.replace(\"b\", \"yy\"); s.replace('x', 'z'); add_note(s);";
    assert_eq!(calls(&on_hello(vec![rule(1, "", body)])), ["add_note(\"z+yy\")"]);
}

#[test]
fn s10_a_slow_rule_is_stopped_by_the_stopwatch() {
    // Every look at this stopwatch takes a millisecond.
    let ticks = AtomicU64::new(0);
    let stopwatch = Stopwatch::new(move || ticks.fetch_add(1_000, Ordering::Relaxed));
    let (event, facts) = hello();
    let rules = RuleSet::new(vec![
        rule(1, "", "let n = 0; while n < 9000 { n += 1; }"),
        rule(2, "", "for i in 0..90 { message.text.contains(\"x\"); } archive();"),
        rule(3, "", "opt_out();"),
    ]);
    let decision = decide(&rules, &event, &facts, &stopwatch);
    assert_eq!(failure(&decision.runs[0]), "too_slow");
    assert_eq!(failure(&decision.runs[1]), "too_slow");
    assert_eq!(calls(&decision), ["opt_out()"]);
    assert!(decision.runs[0].micros > 50_000);
}

#[test]
fn s10_a_rule_that_had_to_wait_for_the_machine_goes_on() {
    // Every look at the stopwatch takes a millisecond of the clock and a hundredth of work; then all of it is work.
    let decide_with = |work_us: u64| {
        let (elapsed, worked) = (AtomicU64::new(0), AtomicU64::new(0));
        let stopwatch = Stopwatch::new(move || elapsed.fetch_add(1_000, Ordering::Relaxed))
            .with_work(move || worked.fetch_add(work_us, Ordering::Relaxed));
        let (event, facts) = hello();
        let rules =
            vec![rule(1, "", "let n = 0; while n < 600 { n += 1; } archive();"), rule(2, "", "opt_out();")];
        decide(&RuleSet::new(rules), &event, &facts, &stopwatch)
    };
    let busy = decide_with(10);
    assert_eq!(calls(&busy), ["archive()", "opt_out()"]);
    assert!(busy.runs[0].micros > 100_000, "{}", busy.runs[0].micros);
    let slow = decide_with(1_000);
    assert_eq!(failure(&slow.runs[0]), "too_slow");
    assert!((100_000..110_000).contains(&slow.runs[0].micros), "{}", slow.runs[0].micros);
    assert_eq!(calls(&slow), ["opt_out()"]);
}

#[test]
fn s10_operations_are_counted() {
    let decision =
        on_hello(vec![rule(1, "", "let n = 0; for i in 0..100 { n += i; }"), rule(2, "", "archive();")]);
    assert!((100..2_000).contains(&decision.runs[0].ops), "{}", decision.runs[0].ops);
    assert!(decision.runs[1].ops < 10);
}

#[test]
fn s5_a_tenant_sets_its_own_quotas() {
    use crate::quota::{Quota, Quotas, Starts};
    let (event, mut facts) = hello();
    let mut directory = (*facts.directory).clone();
    let starts = Starts { starts_max: 1, minutes: 5 };
    directory.quotas = Quotas { messages: vec![Quota { messages_max: 1, minutes: 10 }], starts };
    facts.directory = std::sync::Arc::new(directory);
    let two = "send_message(\"1\"); send_message(\"2\");";
    let decision = run(vec![rule(1, "", two)], &event, &facts);
    assert_eq!(
        (calls(&decision), refused(&decision)),
        (vec!["send_message(\"1\")".to_owned()], vec!["quota"])
    );
    let once = crate::facts::Starts { at_ms: vec![facts.now_ms - 60_000], told_ms: None };
    facts.conversation.rule_starts = [(RuleId::new(0, 1), once)].into();
    let decision = run(vec![rule(1, "", two)], &event, &facts);
    assert_eq!(decision.runs[0].outcome, RunOutcome::Skipped { reason: SkipReason::Quota });
}

#[test]
fn s10_regular_expressions_stay_linear_and_small() {
    let (event, mut facts) = hello();
    if let Some(message) = &mut facts.message {
        message.text = Some("x".repeat(60_000));
    }
    let began = std::time::Instant::now();
    for body in [
        "if message.text.matches(\"(x+x+)+y\") { archive(); } opt_out();",
        "if message.text.matches(\"^(x|x|x*)*$\") { opt_out(); }",
        "if message.text.matches(`(?:x?){500}x{500}`) { opt_out(); }",
    ] {
        assert_eq!(calls(&run(vec![rule(1, "", body)], &event, &facts)), ["opt_out()"], "{body}");
    }
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    let bomb = "let p = \"a\"; for i in 0..4 { p = `(${p}{100})`; } message.text.matches(p); archive();";
    assert_eq!(failure(&run(vec![rule(1, "", bomb)], &event, &facts).runs[0]), "bad_pattern");
    // A stopwatch that runs ends what the operation limit would let go on for long.
    let counter = std::time::Instant::now();
    let stopwatch = Stopwatch::new(move || u64::try_from(counter.elapsed().as_micros()).unwrap_or(u64::MAX));
    let again = "for i in 0..20000 { message.text.matches(\"(x+x+)+y\"); } archive();";
    let began = std::time::Instant::now();
    let decision = decide(&RuleSet::new(vec![rule(1, "", again)]), &event, &facts, &stopwatch);
    assert_eq!(failure(&decision.runs[0]), "too_slow");
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

#[test]
fn s10_huge_literals_are_refused_or_bounded() {
    let list = format!("let a = [{}]; archive();", "1,".repeat(20_000));
    let map =
        format!("let a = #{{ {} }}; archive();", (0..5_000).map(|n| format!("k{n}: 1,")).collect::<String>());
    let text = format!("let a = \"{}\"; archive();", "x".repeat(70_000));
    let nested = format!("let a = {}1{}; archive();", "[".repeat(500), "]".repeat(500));
    for source in [list, map, text, nested] {
        let found = Script::parse(&format!("//! A\n//! on: message.received\n{source}")).unwrap_err();
        assert!(["syntax", "too_large"].contains(&found[0].code.as_ref()), "{:?}", found[0]);
    }
}
