//! The numbered semantics of rules.

mod limits;

use super::*;
use crate::case::given;
use crate::event::{Actor, CAUSE_DEPTH_MAX, Cause, CauseStep};
use crate::facts::{Priority, Starts, Status};
use crate::ids::{EventId, MessageId, UserId};
use crate::intent::Assignee;

/// An event and facts of a plain conversation with "Hello" just received.
fn hello() -> (Event, Facts) {
    given::situation_of(EventKind::MessageReceived)
}

fn rule(id: u128, header: &str, body: &str) -> CompiledRule {
    let on = if header.split(';').any(|l| l.trim().starts_with("on:")) {
        ""
    } else {
        "\n//! on: message.received"
    };
    let lines: String =
        header.split(';').filter(|l| !l.is_empty()).map(|l| format!("\n//! {}", l.trim())).collect();
    let source = format!("//! Rule {id}{on}{lines}\n{body}");
    let script = Script::parse(&source).unwrap_or_else(|p| panic!("{}", p[0].render(&source)));
    CompiledRule { id: RuleId::new(0, id), version: RuleVersionId::new(0, id), script }
}

fn run(rules: Vec<CompiledRule>, event: &Event, facts: &Facts) -> Decision {
    decide(&RuleSet::new(rules), event, facts, &Stopwatch::stopped())
}

fn on_hello(rules: Vec<CompiledRule>) -> Decision {
    let (event, facts) = hello();
    run(rules, &event, &facts)
}

fn calls(decision: &Decision) -> Vec<String> {
    decision.planned.iter().map(|p| p.intent.as_call()).collect()
}

fn names(decision: &Decision) -> Vec<&str> {
    decision.runs.iter().map(|r| r.name.as_str()).collect()
}

fn skipped(run: &RuleRun) -> Option<SkipReason> {
    match run.outcome {
        RunOutcome::Skipped { reason } => Some(reason),
        _ => None,
    }
}

fn failure(run: &RuleRun) -> &str {
    match &run.outcome {
        RunOutcome::Failed { problem } => &problem.code,
        other => panic!("{other:?}"),
    }
}

fn refused(decision: &Decision) -> Vec<&str> {
    decision.runs.iter().flat_map(|r| &r.refusals).map(|r| r.code.as_str()).collect()
}

#[test]
fn s1_order_is_position_then_id() {
    let decision = on_hello(vec![
        rule(3, "", "archive();"),
        rule(1, "position: 200", "archive();"),
        rule(2, "", "archive();"),
        rule(9, "position: -1", "archive();"),
    ]);
    assert_eq!(names(&decision), ["Rule 9", "Rule 2", "Rule 3", "Rule 1"]);
}

#[test]
fn s2_the_first_reply_rule_that_yields_wins() {
    let decision = on_hello(vec![
        rule(1, "stage: reply", "if message.text == \"Bye\" { send_message(\"no\"); }"),
        rule(2, "stage: reply", "send_message(\"yes\");"),
        rule(3, "stage: reply", "send_message(\"late\");"),
        rule(4, "", "archive();"),
    ]);
    assert_eq!(calls(&decision), ["send_message(\"yes\")", "archive()"]);
    assert_eq!(decision.runs[0].outcome, RunOutcome::NotMatched);
    assert_eq!(skipped(&decision.runs[2]), Some(SkipReason::ReplyTaken));
}

#[test]
fn s2_a_reply_rule_that_is_refused_leaves_the_customer_to_the_next() {
    let decision = on_hello(vec![
        rule(1, "stage: reply", "send_template(\"gone\");"),
        rule(2, "stage: reply", "send_message(\"yes\");"),
    ]);
    assert_eq!(calls(&decision), ["send_message(\"yes\")"]);
    assert_eq!(refused(&decision), ["unknown_template"]);
}

#[test]
fn s2_the_last_write_wins_and_the_conflict_is_traced() {
    let decision = on_hello(vec![
        rule(
            1,
            "",
            "set_priority(\"low\"); add_labels(\"a\"); set_attribute(\"x\", 1); set_attribute(\"y\", 1);",
        ),
        rule(2, "", "set_priority(\"high\");\nadd_labels(\"b\"); set_attribute(\"x\", 2);"),
        rule(3, "", "set_priority(\"high\");"),
    ]);
    assert_eq!(
        calls(&decision),
        [
            "add_labels([\"a\"])",
            "set_attribute(\"y\", 1)",
            "set_priority(\"high\")",
            "add_labels([\"b\"])",
            "set_attribute(\"x\", 2)",
            "set_priority(\"high\")"
        ]
    );
    let lost = &decision.runs[0].overridden;
    assert_eq!(lost.len(), 2);
    assert_eq!(lost[0].intent, Intent::SetPriority { priority: Priority::Low });
    assert_eq!((lost[0].by, lost[1].by, lost[1].by_line), (RuleId::new(0, 3), RuleId::new(0, 2), 4));
}

#[test]
fn s2_ending_a_chat_is_not_undone_by_a_status() {
    let decision =
        on_hello(vec![rule(1, "", "set_status(\"open\"); end_chat(\"closed\"); set_status(\"pending\");")]);
    assert_eq!(calls(&decision), ["end_chat(\"closed\")", "set_status(\"pending\")"]);
}

#[test]
fn s3_later_rules_do_not_see_what_earlier_ones_asked_for() {
    let decision = on_hello(vec![
        rule(1, "", "set_status(\"closed\"); route_to_group(\"Billing\");"),
        rule(2, "", "if conversation.status == \"open\" && conversation.group == () { add_note(\"same\"); }"),
    ]);
    assert_eq!(decision.planned.last().map(|p| p.intent.word()), Some("add_note"));
}

#[test]
fn s4_what_rules_caused_starts_only_chain_rules() {
    let (mut event, facts) = hello();
    event.cause = Cause { actor: Actor::System, chain: vec![step(77)] };
    let rules = || {
        vec![
            rule(1, "", "archive();"),
            rule(2, "chain: true", "opt_out();"),
            rule(77, "chain: true", "reopen();"),
        ]
    };
    let decision = run(rules(), &event, &facts);
    assert_eq!(calls(&decision), ["opt_out()"]);
    assert_eq!(skipped(&decision.runs[0]), Some(SkipReason::CausedByRule));
    assert_eq!(skipped(&decision.runs[2]), Some(SkipReason::AlreadyInChain));

    event.cause.chain = (100..).take(CAUSE_DEPTH_MAX).map(step).collect();
    assert_eq!(run(rules(), &event, &facts).planned.len(), 2);
    event.cause.chain.push(step(99));
    let decision = run(rules(), &event, &facts);
    assert!(decision.planned.is_empty());
    assert!(decision.runs.iter().all(|r| skipped(r) == Some(SkipReason::ChainTooDeep)));
}

fn step(rule: u128) -> CauseStep {
    CauseStep { event: EventId::new(0, rule), rule: RuleId::new(0, rule) }
}

#[test]
fn s5_quotas_refuse_what_is_too_much() {
    let (event, mut facts) = hello();
    let minutes = |n: i64| facts.now_ms - n * 60_000;
    let nine: Vec<i64> = (0..9).map(|_| minutes(5)).collect();
    let old: Vec<i64> = (0..14).map(|_| minutes(20)).collect();
    let rules = || {
        vec![rule(
            1,
            "",
            "send_message(\"1\"); send_message(\"2\"); send_template(\"follow_up\", \"en\", #{ name: \"x\" });",
        )]
    };
    facts.conversation.automatic_ms = nine;
    let decision = run(rules(), &event, &facts);
    assert_eq!(calls(&decision), ["send_message(\"1\")"]);
    assert_eq!(refused(&decision), ["quota", "quota"]);
    assert!(decision.runs[0].refusals[0].reason.starts_with("10 automatic messages in 10 minutes"));

    facts.conversation.automatic_ms = old;
    let decision = run(rules(), &event, &facts);
    assert_eq!((decision.planned.len(), refused(&decision).len()), (1, 2));
    assert!(decision.runs[0].refusals[0].reason.starts_with("15 automatic messages in 30 minutes"));

    facts.conversation.automatic_ms = vec![facts.now_ms - 601 * 60_000; 100];
    assert_eq!(run(rules(), &event, &facts).planned.len(), 3);
}

#[test]
fn s5_a_rule_that_was_started_too_often_is_parked_for_this_contact_alone() {
    let (event, mut facts) = hello();
    let rules = || vec![rule(1, "", "archive();"), rule(2, "", "set_priority(\"high\");")];
    let starts = |count: usize, minutes: i64| Starts {
        at_ms: vec![facts.now_ms - minutes * 60_000; count],
        told_ms: None,
    };
    let quota = crate::quota::Quotas::default().starts.starts_max;
    let (most, fewer, old) = (starts(quota, 29), starts(quota - 1, 29), starts(quota, 30));
    let mut outcome = |starts: Starts| {
        facts.conversation.rule_starts = [(RuleId::new(0, 1), starts)].into();
        let decision = run(rules(), &event, &facts);
        assert_eq!(decision.runs[1].outcome, RunOutcome::Matched, "the other rule is not parked");
        skipped(&decision.runs[0])
    };
    assert_eq!(outcome(most), Some(SkipReason::Quota));
    assert_eq!((outcome(fewer), outcome(old)), (None, None));
}

#[test]
fn s14_a_manual_start_is_for_one_rule() {
    let (mut event, facts) = hello();
    event.body = EventBody::RuleManual { rule: RuleId::new(0, 2) };
    let rules = vec![rule(1, "on: rule.manual", "archive();"), rule(2, "on: rule.manual", "opt_out();")];
    assert_eq!(calls(&run(rules, &event, &facts)), ["opt_out()"]);
}

#[test]
fn a_schedule_looks_only_where_it_is_told() {
    let (mut event, mut facts) = hello();
    event.body = EventBody::ScheduleTick { rule: RuleId::new(0, 1) };
    let rules = |filter: &str| {
        vec![rule(1, &format!("on: schedule.tick; cron: 0 9 * * *; where: {filter}"), "archive();")]
    };
    assert_eq!(calls(&run(rules("status = open"), &event, &facts)), ["archive()"]);
    facts.conversation.status = Status::Closed;
    let decision = run(rules("status = open"), &event, &facts);
    assert_eq!(skipped(&decision.runs[0]), Some(SkipReason::Filter));
}

#[test]
fn only_subscribed_rules_are_looked_at() {
    let rules = RuleSet::new(vec![rule(1, "on: window.expired", "archive();")]);
    assert!(
        rules.is_subscribed(EventKind::WindowExpired) && !rules.is_subscribed(EventKind::MessageReceived)
    );
    let (event, facts) = hello();
    assert_eq!(decide(&rules, &event, &facts, &Stopwatch::stopped()), Decision::default());
}

#[test]
fn rules_of_other_channels_are_skipped() {
    let decision = on_hello(vec![
        rule(1, "channels: sms", "archive();"),
        rule(2, "channels: sms, whatsapp", "opt_out();"),
    ]);
    assert_eq!(calls(&decision), ["opt_out()"]);
    assert_eq!(skipped(&decision.runs[0]), Some(SkipReason::Channel));
}

#[test]
fn stop_rules_ends_the_event_after_this_rule() {
    let decision = on_hello(vec![rule(1, "", "stop_rules(); archive();"), rule(2, "", "opt_out();")]);
    assert_eq!(calls(&decision), ["archive()"]);
    assert_eq!(skipped(&decision.runs[1]), Some(SkipReason::Stopped));
    assert_eq!(decision.planned[0].ordinal, 1, "ordinals count every intent of the run");
}

#[test]
fn run_rule_runs_another_rule_next_and_once() {
    let decision = on_hello(vec![
        rule(1, "", "run_rule(\"rule 3\"); run_rule(\"Rule 4\"); run_rule(\"Nothing\");"),
        rule(2, "", "reopen();"),
        rule(3, "", "archive(); run_rule(\"Rule 1\");"),
        rule(4, "on: rule.manual", "opt_out();"),
    ]);
    assert_eq!(names(&decision), ["Rule 1", "Rule 3", "Rule 4", "Rule 2"]);
    assert_eq!(refused(&decision), ["unknown_rule", "already_ran"]);
}

#[test]
fn refusals_have_stable_codes() {
    type Change = fn(&mut Facts);
    let cases: &[(&str, Change, &str)] = &[
        ("route_to_group(\"Nobody\")", |_| {}, "unknown_group"),
        ("assign_agent(\"nobody@example.com\")", |_| {}, "unknown_agent"),
        ("route_to_group(\"Billing\"); assign_agent(\"ben@example.com\")", |_| {}, "agent_not_member"),
        ("assign_by_policy(\"least_busy\")", |_| {}, "no_group"),
        ("snooze(now - \"1h\")", |_| {}, "in_the_past"),
        ("send_message(\"x\")", |f| f.contact.blocked = true, "blocked"),
        ("send_message(\"x\")", |f| f.contact.opted_out = true, "opted_out"),
        ("send_message(\"x\")", |f| receive_only(f), "receive_only"),
        ("send_message(#{ text: \"x\", buttons: [\"1\", \"2\", \"3\", \"4\"] })", |_| {}, "too_many_buttons"),
        ("send_template(\"nothing\")", |_| {}, "unknown_template"),
        ("send_template(\"follow_up\", \"de\", #{ name: \"x\" })", |_| {}, "unknown_template_language"),
        ("send_template(\"follow_up\", \"en\")", |_| {}, "template_slots"),
        (
            "send_template(\"follow_up\", \"en\", #{ name: \"x\" })",
            |f| pause_templates(f),
            "template_not_approved",
        ),
        ("notify(\"nobody\", \"x\")", |_| {}, "unknown_recipient"),
        ("notify(\"assignee\", \"x\")", |_| {}, "no_assignee"),
        ("call_webhook(\"nothing\")", |_| {}, "unknown_webhook"),
        ("start_timer(\"x\", \"1h\", \"Nowhere\")", |_| {}, "unknown_calendar"),
    ];
    for (body, change, code) in cases {
        let (event, mut facts) = hello();
        change(&mut facts);
        let decision = run(vec![rule(1, "", &format!("{body};"))], &event, &facts);
        assert_eq!(refused(&decision), [*code], "{body}");
    }
    let (mut event, facts) = hello();
    event.conversation = None;
    let decision = run(vec![rule(1, "", "archive(); notify(\"admins\", \"x\");")], &event, &facts);
    assert_eq!(refused(&decision), ["no_conversation"]);
    assert_eq!(calls(&decision), ["notify(\"admins\", \"x\")"]);
}

fn receive_only(facts: &mut Facts) {
    std::sync::Arc::make_mut(&mut facts.channel).receive_only = true;
}

fn pause_templates(facts: &mut Facts) {
    let directory = std::sync::Arc::make_mut(&mut facts.directory);
    directory.templates.iter_mut().for_each(|t| t.status = "paused".into());
}

#[test]
fn accepted_forms_are_accepted() {
    let decision = on_hello(vec![rule(
        1,
        "",
        r##"
        route_to_group("support");
        assign_agent("ben@example.com");
        send_template("follow_up", "EN", #{ name: "x" });
        send_message_or_template("hi", "follow_up", (), #{ name: 5 });
        send_message(#{ text: "Choose", buttons: [#{ id: "y", title: "Yes" }, "No"] });
        start_timer("t", 90, #{ calendar: "Office hours", keep: true });
        set_ai(false);
        end_chat("closed");
        snooze("1d");
        "##,
    )]);
    assert_eq!(refused(&decision), Vec::<&str>::new());
    let intents: Vec<&Intent> = decision.planned.iter().map(|p| &p.intent).collect();
    assert_eq!(
        intents[1],
        &Intent::AssignAgent { agent: Assignee::Agent { name: "ben@example.com".into() } }
    );
    assert_eq!(intents[7], &Intent::EndChat { status: Status::Closed });
    assert_eq!(decision.planned[0].line, 4);
    let (_, facts) = hello();
    assert_eq!(intents[8], &Intent::Snooze { until_ms: facts.now_ms + 86_400_000 });
}

#[test]
fn on_a_channel_without_templates_the_text_is_enough() {
    let (event, mut facts) = hello();
    std::sync::Arc::make_mut(&mut facts.channel).capabilities = given::usual_capabilities("webchat");
    let body = "send_message_or_template(\"hi\", \"none\"); send_template(\"follow_up\");";
    let decision = run(vec![rule(1, "", body)], &event, &facts);
    assert_eq!(refused(&decision), ["no_templates"]);
    assert_eq!(decision.planned.len(), 1);
}

#[test]
fn facts_read_as_documented() {
    let (mut event, mut facts) = hello();
    event.cause.actor = Actor::User { id: UserId::new(0, 1) };
    facts.conversation.group = facts.directory.group("Billing").map(|g| g.id);
    facts.conversation.assignee = Some(UserId::new(0, 1));
    facts.conversation.labels = vec!["vip".into()];
    facts.contact.attributes.insert("plan".into(), serde_json::json!({ "name": "gold", "seats": 5 }));
    facts.changes.insert("status".into(), [serde_json::json!("closed"), serde_json::json!("open")]);
    let truths = [
        "message.text == \"Hello\" && message.choice == () && message != ()",
        "conversation.group == \"Billing\" && group.name == \"Billing\" && group != ()",
        "conversation.assignee == \"ana@example.com\"",
        "\"vip\" in conversation.labels && !(\"new\" in conversation.labels)",
        "contact.attributes.plan.seats == 5 && contact.attributes.missing == ()",
        "window.is_open && window.minutes_left == 1440 && window.closes_at > now",
        "changes.status[1] == \"open\" && changes.group == () && previous.status == \"closed\"",
        "previous.priority == \"normal\"",
        "agents(\"Support\").online == 1 && agents(\"Support\").total == 2",
        "calendar(\"office hours\").is_open && calendar(\"Office hours\").next_open == now",
        "event.type == \"message.received\" && event.actor == \"user\" && event.reason == () && event.depth == 0",
        "now - conversation.created_at == 0 && now - \"1h\" < now && now + 60 > now",
        "!(conversation.last_outbound_at < now) && conversation.last_outbound_at != now",
        "channel.capabilities.buttons_max == 3 && channel.kind == \"whatsapp\"",
        "message.choice.contains_any([\"x\"]) == false && message.text.starts_with(\"HEL\")",
        "[\"a\", \"b\"].filter(|x| message.text.contains(x)).is_empty()",
    ];
    for truth in truths {
        let body = format!("if {truth} {{ archive(); }}");
        let decision = run(vec![rule(1, "", &body)], &event, &facts);
        assert_eq!(calls(&decision), ["archive()"], "{truth}: {:?}", decision.runs[0].outcome);
    }
}

#[test]
fn an_event_brings_its_own_changes() {
    let (mut event, facts) = hello();
    event.body = EventBody::ConversationStatusChanged { from: "closed".into(), to: "open".into() };
    let body = "if previous.status == \"closed\" && changes.status[1] == conversation.status { archive(); }";
    assert_eq!(
        calls(&run(vec![rule(1, "on: conversation.status_changed", body)], &event, &facts)),
        ["archive()"]
    );
}

#[test]
fn a_run_can_be_stored_and_read_back() {
    let decision = on_hello(vec![
        rule(1, "", "route_to_group(\"Nobody\"); set_priority(\"low\"); set_priority(\"high\");"),
        rule(2, "channels: sms", "archive();"),
        rule(3, "", "throw 1;"),
    ]);
    let json = serde_json::to_string(&decision.runs).unwrap();
    assert_eq!(serde_json::from_str::<Vec<RuleRun>>(&json).unwrap(), decision.runs);
    assert!(json.contains(r#""outcome":"skipped","reason":"channel""#), "{json}");
}

#[test]
fn one_rule_set_serves_many_threads() {
    let body =
        "let n = 0; for i in 0..500 { n += i; } if message.text.has_word(\"hello\") { add_note(`${n}`); }";
    let rules = RuleSet::new((1..20).map(|id| rule(id, "", body)).collect());
    let (event, facts) = hello();
    let decide_here = || decide(&rules, &event, &facts, &Stopwatch::stopped());
    let expected = decide_here();
    assert_eq!(expected.planned.len(), 19);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (0..20).map(|_| decide_here()).collect::<Vec<_>>())).collect();
        for thread in threads {
            assert!(thread.join().unwrap().iter().all(|decision| *decision == expected));
        }
    });
}

#[test]
fn deciding_twice_gives_the_same() {
    let rules = RuleSet::new(vec![rule(
        1,
        "",
        "if message.text.has_word(\"hello\") { route_to_group(\"Support\"); }",
    )]);
    let (event, facts) = hello();
    let (a, b) = (
        decide(&rules, &event, &facts, &Stopwatch::stopped()),
        decide(&rules, &event, &facts, &Stopwatch::stopped()),
    );
    assert_eq!(a, b);
    assert_eq!(event.body, EventBody::MessageReceived { message: MessageId::new(given::NOW_MS, 1) });
}
