//! Cases pass when the rule does what they say, and say why when it does not.

use super::*;

const RULE: &str = "//! Billing\n//! on: message.received, conversation.ended\n\nif message.text.contains(\"refund\") {\n    route_to_group(\"Billing\");\n    set_priority(\"high\");\n    assign_agent(\"ben@example.com\");\n}\nif event.reason == \"idle\" { add_note(`${conversation.group} ${now - conversation.last_inbound_at}`); }\nif message.text == \"boom\" { throw \"boom\"; }\n";

fn run(cases: &str) -> Vec<CaseResult> {
    let cases = Cases::parse(cases).unwrap_or_else(|p| panic!("{p:?}"));
    run_cases(&Script::parse(RULE).unwrap(), &cases)
}

fn diff(case: &str) -> String {
    let results = run(&format!("[[case]]\nname = \"x\"\n{case}"));
    assert_eq!(results[0].passed, results[0].diff.is_empty());
    results[0].diff.clone()
}

#[test]
fn a_case_passes_when_everything_expected_came_and_nothing_else() {
    let all = "given.message.text = \"refund\"\nrefused = [\"agent_not_member\"]\n";
    assert_eq!(diff(&format!("{all}expect = ['route_to_group(\"Billing\")', \"set_priority\"]")), "");
    assert_eq!(diff("none = true"), "");
    assert_eq!(diff("given.message.text = \"boom\"\nfails = \"thrown\""), "");
}

#[test]
fn the_difference_is_readable() {
    let text = "given.message.text = \"refund\"\n";
    assert_eq!(
        diff(&format!("{text}expect = ['route_to_group(\"Sales\")', \"set_priority\", \"archive\"]")),
        "- route_to_group(\"Sales\")\n- archive(…)\n+ route_to_group(\"Billing\")\n\
         + refused agent_not_member: `ben@example.com` is not a member of group `Billing`"
    );
    assert!(diff("given.message.text = \"boom\"\nnone = true").starts_with("the rule failed: line 10"));
    assert_eq!(diff("fails = \"thrown\""), "- failure `thrown`");
    assert_eq!(
        diff("caused_by_rule = true\ngiven.message.text = \"refund\"\nexpect = [\"archive\"]"),
        "- archive(…)\nthe rule was skipped: CausedByRule"
    );
}

#[test]
fn situations_are_sparse_and_may_name_things() {
    let given = "event = { type = \"conversation.ended\" }\ngiven.now = \"2025-01-01T00:00:00Z\"\n\
                 given.conversation = { group = \"billing\", last_inbound_at = \"-90s\", attributes = { free = [1] } }\n";
    assert_eq!(diff(&format!("{given}expect = ['add_note(\"Billing 90\")']")), "");
}

#[test]
fn mistakes_in_a_situation_are_named() {
    for (case, message) in [
        (
            "given.mesage.text = \"x\"\nnone = true",
            "line 1: `given.mesage` is not known; did you mean `message`?",
        ),
        (
            "given.message.txt = \"x\"\nnone = true",
            "line 1: `given.message.txt` is not known; did you mean `text`?",
        ),
        ("given.conversation.group = \"Biling\"\nnone = true", "line 1: there is no group `Biling`"),
        (
            "given.conversation.last_inbound_at = \"soon\"\nnone = true",
            "line 1: `given.conversation.last_inbound_ms` is not a moment",
        ),
        (
            "event.type = \"message.sentt\"\nnone = true",
            "line 1: `message.sentt` is not an event; did you mean `message.sent`?",
        ),
        ("event.type = \"window.expired\"\nnone = true", "the rule is not for `window.expired`"),
        ("expect = [\"archiv\"]", "line 1: `archiv` is not an intent"),
        (
            "expect = ['set_status(\"done\")']",
            "line 1: `set_status(\"done\")`: `set_status`, status: `done` is not a status",
        ),
        ("expect = ['1 + 1']", "line 1: `1 + 1` is not an intent"),
    ] {
        let diff = diff(case);
        assert!(diff.starts_with(message), "{case}: {diff}");
    }
}

#[test]
fn mistakes_in_the_file_point_at_the_case() {
    let problems = |text: &str| Cases::parse(text).unwrap_err();
    let found = problems("[[case]]\nname = \"a\"\nnone = true\n\n[[case]]\nname = \"b\"\n");
    assert_eq!(
        (found[0].line, found[0].message.as_str()),
        (5, "case `b` does not say clearly what to expect")
    );
    assert_eq!(problems("[[case]]\nname = \"a\"\nexpects = []\n")[0].line, 3);
    assert_eq!(problems("[[case]\n")[0].line, 1);
    assert_eq!(problems("[[case]]\nname = \"a\"\nnone = true\nexpect = []")[0].code, "bad_case");
}

#[test]
fn the_file_may_add_to_the_directory() {
    let script = Script::parse("//! A\n//! on: window.expired\nsend_template(\"hi\"); route_to_group(\"VIP\"); run_rule(\"B\"); let c = calendar(\"Night\"); if c.is_open { archive(); }").unwrap();
    let cases = Cases::parse(
        "[directory]\ngroups = [\"VIP\"]\nrules = [\"B\"]\ntemplates = [{ name = \"hi\", language = \"en\" }]\n\
         calendars = [{ name = \"Night\", timezone = \"UTC\", intervals = [{ day = \"fri\", from = \"22:00\", to = \"06:00\" }] }]\n\
         [[case]]\nname = \"x\"\nexpect = ['send_template(\"hi\")', \"route_to_group\", \"run_rule\"]\n",
    )
    .unwrap();
    assert_eq!(run_cases(&script, &cases)[0].diff, "");
    assert!(
        Cases::parse("[directory]\ncalendars = [{ name = \"N\", timezone = \"X\", intervals = [] }]")
            .is_err()
    );
}

#[test]
fn intents_are_shown_as_the_calls_that_ask_for_them() {
    let calls = [
        "route_to_group(\"Bil\\\"ling\\n\")",
        "assign_agent(())",
        "assign_agent(\"last_responding\")",
        "assign_by_policy(\"round_robin\")",
        "end_chat(\"on_hold\")",
        "snooze(\"2025-11-22T10:00:00Z\")",
        "set_priority(\"urgent\")",
        "add_labels([\"a\", \"b\"])",
        "set_attribute(\"k\", #{ \"A b\": [1, 2.5, ()], c: true })",
        "set_attribute(\"k\", ())",
        "escalate(2, \"x\")",
        "set_ai(off, \"1h30m\")",
        "set_ai(on, (), \"why\")",
        "send_message(#{ text: \"t\", buttons: [#{ id: \"y\", title: \"Yes\" }] })",
        "send_template(\"t\")",
        "send_template(\"t\", (), #{ n: \"1\" })",
        "send_message_or_template(\"x\", \"t\", \"en\")",
        "notify(\"admins\", \"x\")",
        "call_webhook(\"crm\")",
        "call_webhook(\"crm\", #{ a: 1 })",
        "start_timer(\"t\", \"1m30s\")",
        "start_timer(\"t\", \"1d\", \"Office\")",
        "start_timer(\"t\", \"1d\", #{ calendar: \"Office\", keep: true })",
        "opt_out()",
    ];
    let (event, facts) = given::situation_of(crate::event::EventKind::MessageReceived);
    let texts = calls.iter().map(|c| (*c).to_owned()).collect();
    let body = Body {
        name: String::new(),
        event: None,
        directory: DirectoryExtra::default(),
        given: toml::Table::new(),
        caused_by_rule: false,
        expect: Some(texts),
        refused: None,
        fails: None,
        none: false,
    };
    let read = expected(&body, &event, &facts).unwrap();
    assert_eq!(read.iter().map(Expected::show).collect::<Vec<_>>(), calls);
}
