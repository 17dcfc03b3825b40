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

/// The warnings of a rule that can run, as (line, code).
fn warnings(source: &str) -> Vec<(u32, String)> {
    let script = Script::parse(source).unwrap_or_else(|p| panic!("{}", p[0].render(source)));
    script.warnings().iter().map(|p| (p.line, p.code.to_string())).collect()
}

#[test]
fn types_that_are_known_are_compared() {
    for body in [
        r#"let limit = "5"; if message.attachments > limit { archive() }"#,
        r#"let n = message.attachments + 1; if n == "2" { archive() }"#,
        r#"if contact.name == window.minutes_left { archive() }"#,
        r#"if `${contact.name}` == 5 { archive() }"#,
        r#"if conversation.labels.len() == "1" { archive() }"#,
        r#"if message.text.contains("a") == "true" { archive() }"#,
        r#"if calendar("Office").is_open == "yes" { archive() }"#,
        r#"if (contact.name ?? "x") == 1 { archive() }"#,
        r#"if now - conversation.created_at > "2h" { archive() }"#,
        r#"if conversation.last_inbound_at == "yesterday" { archive() }"#,
        r#"set_status(message.attachments);"#,
        r#"let t = ["a"]; set_status(t);"#,
        r#"send_message(conversation.labels);"#,
        r#"start_timer("a", conversation.created_at);"#,
        r#"route_to_group(conversation);"#,
        r#"set_ai(message.text);"#,
        r#"escalate(contact.name, "x");"#,
        r#"notify("admins", window.minutes_left);"#,
    ] {
        let found = problems(body);
        assert_eq!(found.first().map(|p| p.code.as_ref()), Some("wrong_type"), "{body}: {found:?}");
    }
    assert_eq!(one(r#"send_template("a", "en", #{ n: conversation.labels });"#).0, "bad_slots");
}

#[test]
fn what_may_have_any_type_is_left_alone() {
    let body = r#"
        let plan = contact.attributes.plan;
        let n = 5;
        n = message.text;
        for x in [1, "a"] { if x == "a" { archive(); } }
        fn f(n) { n == "x" }
        if plan == 5 || plan == "five" || n == "x" || f(1) || event.payload == 3 { archive(); }
        if changes.status == () || contact.name != () && message.text.len() > 3 { set_ai(!conversation.ai_is_on); }
        let later = now + "2h";
        snooze(later);
        set_attribute("until", later.unix_ms + 1);
        add_labels([`at-${message.attachments}`]);
        assign_agent(contact.attributes.manager ?? ());
        send_message(#{ text: `Hi ${contact.name}`, buttons: [] });
        let list = []; list.push("a"); if list == () { archive(); }
    "#;
    assert_eq!(problems(body).into_iter().filter(|p| p.code != "bad_message").collect::<Vec<_>>(), []);
}

#[test]
fn a_condition_must_be_true_or_false() {
    for (body, hint) in [
        ("if contact.name { archive() }", "is it there? Write `… != ()`"),
        ("if !message.text { archive() }", "is it there? Write `… != ()`"),
        (
            "if contact.blocked || conversation.labels { archive() }",
            "is there anything in it? Write `….len() > 0`",
        ),
        ("while window.minutes_left { archive() }", "compare it, e.g. `… > 0`"),
        ("let x = window.is_open && window.minutes_left; archive();", "compare it, e.g. `… > 0`"),
    ] {
        let found = problems(body);
        assert_eq!(found.iter().map(|p| p.code.as_ref()).collect::<Vec<_>>(), ["not_a_condition"], "{body}");
        assert_eq!(found[0].hint.as_deref(), Some(hint), "{body}");
    }
}

#[test]
fn what_can_never_run_is_a_warning() {
    for (body, code) in [
        ("archive(); return;\narchive();", "unreachable_code"),
        ("archive(); if contact.blocked { throw 1;\n archive(); }", "unreachable_code"),
        ("archive(); if contact.blocked { return; } else { return; }\nopt_out();", "unreachable_code"),
        ("fn f() { return 1;\n 2 } archive(); f();", "unreachable_code"),
        ("for x in [1] { archive(); break;\n archive(); }", "unreachable_code"),
        ("\nif true { archive(); }", "constant_condition"),
        ("\nif false { archive(); }", "constant_condition"),
        ("\nwhile true { archive(); }", "endless_loop"),
        ("\nloop { archive(); }", "endless_loop"),
        ("\nif event.type == \"window.expired\" { archive(); }", "unreachable_handler"),
        ("\nif event.class == \"opted_out\" { archive(); }", "always_missing"),
    ] {
        assert_eq!(warnings(&format!("{HEADER}{body}")), [(4, code.to_owned())], "{body}");
    }
    assert_eq!(warnings(&format!("{HEADER}let x = 1;")), [(1, "asks_for_nothing".to_owned())]);
    let fine = "loop { archive(); break; } if event.type == \"message.received\" { return; } archive();";
    assert_eq!(warnings(&format!("{HEADER}{fine}")), []);
    let both = "//! A\n//! on: message.failed, message.sent\nif event.class == \"x\" { archive(); }";
    assert_eq!(warnings(both), []);
}

#[test]
fn a_warning_stands_beside_errors_and_says_so() {
    let found = problems("if true { set_status(\"x\"); }");
    let seen: Vec<_> = found.iter().map(|p| (p.code.as_ref(), p.is_error())).collect();
    assert_eq!(seen, [("constant_condition", false), ("unknown_status", true)]);
    assert!(found[0].render("\n\nif true {").starts_with("warning[constant_condition]"));
}

#[test]
fn templates_are_filled_as_their_vendor_approved() {
    let directory = crate::case::given::default_directory();
    for (call, code, hint) in [
        (r#"send_template("follow_up");"#, "template_slots", "write `#{ name: … }`"),
        (r#"send_template("follow_up", "en", #{ nam: "x" });"#, "template_slots", "write `#{ name: … }`"),
        (
            r#"send_template("follow_up", (), #{ name: "x", b: 1 });"#,
            "template_slots",
            "write `#{ name: … }`",
        ),
        (
            r#"send_template("follow_up", (), #{ name: contact.name, b: message.text });"#,
            "template_slots",
            "write `#{ name: … }`",
        ),
        (
            r#"send_message_or_template("a", "follow_up", "de", #{ name: "x" });"#,
            "unknown_template_language",
            "it is there in `en`",
        ),
        (r#"send_template("folow_up");"#, "unknown_template", "did you mean `follow_up`?"),
    ] {
        let script = Script::parse(&format!("{HEADER}{call}")).unwrap();
        let found = script.check(&directory);
        let seen: Vec<_> =
            found.iter().map(|p| (p.line, p.code.as_ref(), p.hint.as_deref().unwrap_or(""))).collect();
        assert_eq!(seen, [(3, code, hint)], "{call}");
    }
    for call in [
        r#"send_template("follow_up", "EN", #{ name: contact.name ?? "there" });"#,
        r#"let slots = #{ name: "x" }; send_template("follow_up", (), slots);"#,
        r#"let slots = contact.attributes; send_template("follow_up", (), slots.x);"#,
    ] {
        assert_eq!(Script::parse(&format!("{HEADER}{call}")).unwrap().check(&directory), [], "{call}");
    }
}

#[test]
fn every_problem_says_what_to_do() {
    for body in [
        "unheard_of(1);",
        "let x = message.nothing_like_it;",
        "let x = calendar(\"Office\").nothing_like_it;",
        "set_status(5);",
        "escalate(7, \"x\");",
        "add_labels([]);",
        "send_message(\"\");",
        "let message = 1; archive();",
        "if conversation.labels.has_word(\"x\") { archive(); }",
        "if message.attachments == \"2\" { archive(); }",
        "if contact.name { archive(); }",
        "return; archive();",
        "message.text = 1;",
        "let x = this; archive();",
        "fn f() { message } f(); archive();",
    ] {
        let found = match Script::parse(&format!("{HEADER}{body}")) {
            Ok(script) => script.warnings().to_vec(),
            Err(found) => found,
        };
        assert!(
            !found.is_empty() && found.iter().all(|p| p.hint.is_some() && p.line > 0),
            "{body}: {found:?}"
        );
    }
}
