//! What the check pass finds before a rule ever runs.

use super::*;
use crate::facts::{Directory, GroupFacts};
use crate::ids::GroupId;

const HEADER: &str = "//! Test\n//! on: message.received\n";

fn problems(body: &str) -> Vec<Problem> {
    Script::parse(&format!("{HEADER}{body}")).err().unwrap_or_default()
}

/// The one problem of a one-line body, as (code, column, hint).
fn one(body: &str) -> (String, u32, String) {
    let found = problems(body);
    assert_eq!(found.len(), 1, "{body}: {found:#?}");
    assert_eq!(found[0].line, 3, "{body}");
    (found[0].code.to_string(), found[0].column, found[0].hint.clone().unwrap_or_default())
}

#[test]
fn a_good_rule_has_no_problems() {
    let body = r#"
        fn is_vip(contact) { contact.attributes.vip == true }
        let urgent = ["lawyer", "police"];
        if message.text.contains_any(urgent) || message.text?.has_word("now") {
            set_priority("urgent");
            escalate(2, `urgent: ${message.text}`);
        } else if is_vip(contact) && conversation.group != "Billing" && now - "2h" > conversation.last_inbound_at {
            for label in conversation.labels { remove_labels(label); }
            route_to_group("Billing");
        }
        switch message.kind { "unsupported" => send_message("no"), "text" if window.is_open => (), _ => () }
        let open = conversation.labels.filter(|l| l.starts_with("x")).len() > 0;
        if "vip" in conversation.labels && event.type == "message.received" && changes.status == () { set_ai(off, "1h"); }
        if conversation.created_at.unix_ms > 5 && contact.attributes["plan"] == "gold" { opt_out() }
    "#;
    assert_eq!(problems(body), []);
}

#[test]
fn unknown_names_are_found_with_the_nearest() {
    assert_eq!(
        one(r#"route_to_grop("x");"#),
        ("unknown_function".into(), 1, "did you mean `route_to_group`?".into())
    );
    assert_eq!(one("let x = mesage.text;").0, "unknown_variable");
    assert_eq!(one("let x = mesage.text;").2, "did you mean `message`?");
    assert!(problems("if message.txt == \"a\" { archive() }")[0].message.contains("did you mean `text`?"));
    assert_eq!(one("let x = channel.capabilities.button_max;").0, "unknown_field");
    assert_eq!(one("let x = calendar(\"Office\").open;").0, "unknown_field");
    assert_eq!(one(r#"let x = message.text.contain_any(["a"]);"#).2, "did you mean `contains_any`?");
}

#[test]
fn forbidden_names_say_why() {
    for body in
        ["sleep(1);", "eval(\"1\");", "print(1);", "debug(1);", "let t = timestamp();", "import \"x\" as y;"]
    {
        let found = problems(body);
        assert_eq!(
            found.first().map(|p| p.code.to_string()).as_deref(),
            Some("forbidden"),
            "{body}: {found:?}"
        );
    }
}

#[test]
fn literals_are_checked_where_they_stand() {
    for (body, code, column) in [
        (r#"set_status("close");"#, "unknown_status", 12),
        (r#"set_priority("hgih");"#, "unknown_priority", 14),
        (r#"set_ai(off, "2 hours");"#, "bad_duration", 13),
        (r#"set_ai("off");"#, "wrong_type", 8),
        (r#"start_timer("a", 0);"#, "bad_duration", 18),
        (r#"escalate(9, "x");"#, "bad_level", 10),
        (r#"let x = message.text.matches("(");"#, "bad_pattern", 30),
        (r#"send_message("");"#, "empty_text", 14),
        (r#"send_message(#{ txt: "a" });"#, "unknown_field", 14),
        (r#"send_message(#{ text: "a", buttons: ["x", 1] });"#, "bad_message", 14),
        (r#"send_template("a", "en", #{ n: () });"#, "bad_slots", 26),
        (r#"add_labels([]);"#, "bad_labels", 12),
        (r#"route_to_group(5);"#, "wrong_type", 16),
    ] {
        let found = one(body);
        assert_eq!((found.0.as_str(), found.1), (code, column), "{body}");
    }
    assert!(one(r#"set_status("close");"#).2.contains("did you mean `closed`?"));
}

#[test]
fn wrong_argument_counts_show_the_signature() {
    assert_eq!(
        one("end_chat();"),
        ("wrong_argument_count".into(), 1, "write `end_chat(status: status)`".into())
    );
    assert_eq!(one("let x = message.text.has_word();").0, "wrong_argument_count");
    assert_eq!(one("fn f(a) { a } f();").2, "it takes 1");
}

#[test]
fn comparisons_that_are_silently_false_are_reported() {
    for (body, code) in [
        (r#"if message.attachments == "2" { archive() }"#, "wrong_type"),
        (r#"if 3 < conversation.status { archive() }"#, "wrong_type"),
        (r#"if group == "Billing" { archive() }"#, "wrong_type"),
        (r#"if conversation.created_at > 5 { archive() }"#, "wrong_type"),
        (r#"if now == "today" { archive() }"#, "wrong_type"),
        (r#"if conversation.status == "close" { archive() }"#, "unknown_word"),
        (r#"if message.sender == "bot" { archive() }"#, "unknown_word"),
        (r#"if event.type == "message.recieved" { archive() }"#, "unknown_word"),
        (r#"if conversation.labels.has_word("x") { archive() }"#, "wrong_type"),
    ] {
        assert_eq!(one(body).0, code, "{body}");
    }
    assert_eq!(problems("if group == () { archive() }"), []);
}

#[test]
fn facts_are_read_only_and_not_hidden() {
    assert_eq!(one(r#"message.text = "x";"#).0, "read_only");
    assert_eq!(one("let message = 1;").0, "hides_fact");
    assert_eq!(one("for group in [1] { archive() }").0, "hides_fact");
    assert_eq!(one("fn archive() { 1 }").0, "hides_word");
    assert_eq!(one("fn f() { message.text } f();").0, "fact_in_function");
    assert_eq!(one("fn f() { nothing() } f();").0, "unknown_function");
    assert_eq!(problems("let x = [1].map(|n| `${n} ${message.text}`);"), []);
}

#[test]
fn every_problem_is_reported_at_once() {
    let found = Script::parse("//! A\n//! on: nothing\nset_status(\"x\");\nfoo();").unwrap_err();
    let codes: Vec<_> = found.iter().map(|p| (p.line, p.code.as_ref())).collect();
    assert_eq!(codes, [(2, "unknown_event"), (3, "unknown_status"), (4, "unknown_function")]);
}

#[test]
fn a_syntax_error_has_its_place() {
    let found = problems("if message.text {\n  archive(;\n}");
    assert_eq!((found[0].line, found[0].code.as_ref()), (4, "syntax"));
}

#[test]
fn a_schedule_filter_is_checked_like_the_rest() {
    let source =
        "//! A\n//! on: schedule.tick\n//! cron: 0 9 * * *\n//! where: status = close and group = Biling\n";
    let found = Script::parse(source).unwrap_err();
    assert_eq!((found[0].line, found[0].column, found[0].code.as_ref()), (4, 21, "bad_filter"));
    let script = Script::parse(&source.replace("close", "closed")).unwrap();
    let found = script.check(&crate::case::given::default_directory());
    assert_eq!((found[0].line, found[0].column, found[0].code.as_ref()), (4, 40, "unknown_group"));
    assert_eq!(found[0].hint.as_deref(), Some("did you mean `Billing`?"));
}

#[test]
fn names_are_checked_against_the_directory() {
    let script = Script::parse(&format!(
        "{HEADER}route_to_group(\"Biling\");\nif conversation.group == \"billing\" {{ assign_agent(\"last_responding\"); }}\nnotify(\"admins\", \"x\");\nassign_agent(());\nlet g = \"any\" + \"thing\";\nroute_to_group(g);\nstart_timer(\"t\", \"1h\", #{{ calendar: \"Office\" }});"
    ))
    .unwrap();
    let (assignment, targets) = Default::default();
    let group = GroupFacts {
        assignment,
        targets,
        id: GroupId::new(1, 1),
        name: "Billing".into(),
        members: vec![],
        calendar: None,
        language: None,
    };
    let found = script.check(&Directory { groups: vec![group], ..Directory::default() });
    let seen: Vec<_> =
        found.iter().map(|p| (p.line, p.code.as_ref(), p.hint.as_deref().unwrap_or(""))).collect();
    assert_eq!(
        seen,
        [
            (3, "unknown_group", "did you mean `Billing`?"),
            (9, "unknown_calendar", "there are no calendars yet")
        ]
    );
}

#[test]
fn s10_hostile_sources_are_refused_and_never_overflow_the_stack() {
    let many = |unit: &str| unit.repeat(60_000 / unit.len());
    let sources = [
        format!("let x = {};", many("(")),
        format!("let x = {}1;", many("-")),
        format!("let x = {}true;", many("!")),
        format!("let x = {};", many("[")),
        format!("let x = {}1;", many("1+")),
        format!("let x = {}1;", many("1==")),
        format!("let x = {}1;", many("1**")),
        format!("let x = {}true;", many("true&&")),
        format!("let x = {}1;", many("now??")),
        format!("let x = \"\"{};", many("+\"a\"")),
        format!("let x = message{};", many(".a")),
        format!("let x = message{};", many(".a()")),
        format!("let x = [1]{};", many("[0]")),
        many("if true {"),
        many("{"),
        many("if true {} else "),
        many("fn f() {"),
        many("|x|"),
        format!("let x = {};", many("#{a:")),
        format!("let x = {}", many("`${")),
        many("switch 1 { 1 => "),
        many("let x = "),
        many("archive();"),
        many("let a = 1; "),
    ];
    for source in sources {
        let shown: String = source.chars().take(24).collect();
        let began = std::time::Instant::now();
        let _ = Script::parse(&format!("{HEADER}{source}"));
        assert!(began.elapsed().as_secs() < 5, "{shown}: {:?}", began.elapsed());
    }
}
