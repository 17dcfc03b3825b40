//! Forms become rules and rules forms, and nothing is lost on the way.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::script::Script;

fn form(value: serde_json::Value) -> Form {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_form_becomes_a_rule_that_reads_well() {
    let form = form(json!({
        "name": "Billing questions go to Billing",
        "about": "From the old system.",
        "on": ["message.received"], "channels": ["whatsapp"], "position": 20,
        "when": { "all": [
            { "test": { "fact": "message.text", "is": "contains_any", "value": ["invoice", "refund"] } },
            { "none": [
                { "test": { "fact": "conversation.labels", "is": "has", "value": "vip" } },
                { "test": { "fact": "calendar.is_open", "of": "Office hours", "is": "equals", "value": false } },
            ] },
            { "any": [
                { "test": { "fact": "conversation.group", "is": "missing" } },
                { "test": { "fact": "conversation.last_outbound_at", "is": "longer_ago_than", "value": "2h" } },
            ] },
        ] },
        "do": [
            { "call": "route_to_group", "with": ["Billing"] },
            { "call": "send_template", "with": ["follow_up", null, { "name": { "fact": "contact.name", "or": "there" } }] },
        ],
    }));
    let source = form.to_source().unwrap();
    assert_eq!(
        source,
        "//! Billing questions go to Billing\n//!\n//! From the old system.\n//!\n//! on: message.received\n//! channels: whatsapp\n\
         //! position: 20\n\nif message.text.contains_any([\"invoice\", \"refund\"])\n    \
         && !(\"vip\" in conversation.labels || calendar(\"Office hours\").is_open == false)\n    \
         && (conversation.group == () || conversation.last_outbound_at < now - \"2h\") {\n    \
         route_to_group(\"Billing\");\n    \
         send_template(\"follow_up\", (), #{ name: contact.name ?? \"there\" });\n}\n"
    );
    assert!(Script::parse(&source).is_ok());
    assert_eq!(Form::from_source(&source).unwrap(), form);
}

#[test]
fn rules_written_by_hand_become_forms() {
    let source = "//! A\n//! on: message.received\nif window.is_open && !contact.blocked && message.kind in [\"text\", \"media\"] { set_ai(off, \"1h\"); archive() }";
    let read = Form::from_source(source).unwrap();
    assert_eq!(
        serde_json::to_value(&read).unwrap(),
        json!({ "name": "A", "on": ["message.received"], "when": { "all": [
            { "test": { "fact": "window.is_open", "is": "equals", "value": true } },
            { "none": [{ "test": { "fact": "contact.blocked", "is": "equals", "value": true } }] },
            { "test": { "fact": "message.kind", "is": "one_of", "value": ["text", "media"] } },
        ] }, "do": [{ "call": "set_ai", "with": [false, "1h"] }, { "call": "archive" }] })
    );
    assert_eq!(Form::from_source(&read.to_source().unwrap()).unwrap(), read);
}

#[test]
fn what_a_form_cannot_say_is_named() {
    for (body, line, what) in [
        ("let x = 1; archive();", 3, "a variable"),
        ("\nfor x in [1] { archive(); }", 4, "a loop"),
        (
            "archive();\nif window.is_open { archive(); }",
            4,
            "a condition beside other statements, or one with `else`",
        ),
        (
            "if window.is_open { archive(); } else { opt_out(); }",
            3,
            "a condition beside other statements, or one with `else`",
        ),
        ("fn f() { 1 } archive();", 0, "the function `f`"),
        ("// why\narchive();", 3, "a comment below the header"),
        ("archive(); /* why */", 3, "a comment below the header"),
        ("if message?.text == \"a\" { archive(); }", 3, "this comparison"),
        ("if message.text == contact.name { archive(); }", 3, "this comparison"),
        ("if message.text.len() > 3 { archive(); }", 3, "this comparison"),
        ("add_note(`Hi ${contact.name}`);", 3, "this argument"),
        ("set_attribute(\"a\", #{ fact: 1 });", 3, "this argument"),
        ("return;", 3, "a `return` or `throw`"),
        ("", 0, "a rule that asks for nothing"),
    ] {
        let source = format!("//! A\n//! on: message.received\n{body}");
        let error = Form::from_source(&source).unwrap_err();
        assert_eq!(error, FormError::Rule { line, what: what.to_owned() }, "{body}");
    }
    assert_eq!(Form::from_source("archive("), Err(FormError::Broken));
    let quoted = "//! A\n//! on: message.received\nadd_note(\"see https://example.com // \\\" /* \");";
    assert!(Form::from_source(quoted).is_ok());
}

#[test]
fn a_form_brings_in_no_code() {
    let bare = json!({ "name": "A", "on": ["message.received"], "do": [{ "call": "archive" }] });
    for (path, value, pointer) in [
        ("/name", json!("A\nevil();"), "/name"),
        ("/name", json!(" "), "/name"),
        ("/on", json!([]), "/on"),
        ("/do", json!([]), "/do"),
        ("/do", json!([{ "call": "archive(); evil" }]), "/do/0/call"),
        ("/do", json!([{ "call": "archive", "with": [1] }]), "/do/0/with"),
        ("/do", json!([{ "call": "add_note", "with": [{ "fact": "x(); y" }] }]), "/do/0/with/0/fact"),
        (
            "/do",
            json!([{ "call": "add_note", "with": [{ "fact": "contact.attributes.a-b" }] }]),
            "/do/0/with/0/fact",
        ),
        ("/do", json!([{ "call": "add_note", "with": [u64::MAX] }]), "/do/0/with/0"),
    ] {
        let mut given = bare.clone();
        *given.pointer_mut(path).unwrap() = value;
        match form(given.clone()).to_source() {
            Err(FormError::Form { pointer: found, .. }) => assert_eq!(found, pointer),
            other => panic!("{given}: {other:?}"),
        }
    }
    let test = |test| {
        let mut given = bare.clone();
        given["when"] = json!({ "test": test });
        form(given).to_source().map_err(|error| match error {
            FormError::Form { pointer, .. } => pointer,
            other => other.to_string(),
        })
    };
    assert_eq!(test(json!({ "fact": "mesage.text", "is": "present" })), Err("/when/test/fact".into()));
    assert_eq!(test(json!({ "fact": "message.txt", "is": "present" })), Err("/when/test/fact".into()));
    assert_eq!(test(json!({ "fact": "message.text", "is": "equals" })), Err("/when/test/value".into()));
    assert_eq!(
        test(json!({ "fact": "message.text", "is": "one_of", "value": "a" })),
        Err("/when/test/value".into())
    );
    let escaped = test(json!({ "fact": "message.text", "is": "equals", "value": "\"); evil(\"" })).unwrap();
    assert!(escaped.contains(r#"message.text == "\"); evil(\"""#), "{escaped}");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just("a \"b\" \\ \n\t${x} // é".to_owned()), "[a-zß][ -~äßñ€]{0,12}"]
}

fn tests() -> impl Strategy<Value = Condition> {
    let texts = || prop::collection::vec(text(), 1..3);
    let one = |fact: &'static str, is: Operator| {
        move |value: serde_json::Value| Condition::Test(Test { fact: fact.to_owned(), of: None, is, value })
    };
    prop_oneof![
        text().prop_map(|t| json!(t)).prop_map(one("message.text", Operator::Equals)),
        texts().prop_map(|t| json!(t)).prop_map(one("message.text", Operator::ContainsAny)),
        text().prop_map(|t| json!(t)).prop_map(one("contact.attributes.plan", Operator::Differs)),
        texts().prop_map(|t| json!(t)).prop_map(one("channel.name", Operator::OneOf)),
        text().prop_map(|t| json!(t)).prop_map(one("conversation.labels", Operator::Has)),
        any::<i32>().prop_map(|n| json!(n)).prop_map(one("message.attachments", Operator::AtLeast)),
        any::<bool>().prop_map(|b| json!(b)).prop_map(one("conversation.live", Operator::Equals)),
        Just(json!(null)).prop_map(one("conversation.group", Operator::Present)),
        Just(json!("2h")).prop_map(one("conversation.last_inbound_at", Operator::WithinLast)),
        text().prop_map(|of| Condition::Test(Test {
            fact: "calendar.is_open".to_owned(),
            of: Some(of),
            is: Operator::Equals,
            value: json!(false),
        })),
    ]
}

fn conditions() -> impl Strategy<Value = Condition> {
    tests().prop_recursive(4, 24, 4, |inner| {
        let list = || prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            list().prop_map(Condition::All),
            list().prop_map(Condition::Any),
            list().prop_map(Condition::None)
        ]
    })
}

fn actions() -> impl Strategy<Value = Action> {
    let call =
        |call: &'static str| move |with: Vec<serde_json::Value>| Action { call: call.to_owned(), with };
    prop_oneof![
        text().prop_map(|t| vec![json!(t)]).prop_map(call("add_note")),
        Just(vec![]).prop_map(call("archive")),
        (any::<bool>(), text())
            .prop_map(|(on, why)| vec![json!(on), json!(null), json!(why)])
            .prop_map(call("set_ai")),
        (text(), text())
            .prop_map(|(a, b)| vec![
                json!(a),
                json!({ "n": { "fact": "contact.name", "or": b }, "list": [1, [b, -2.5]] })
            ])
            .prop_map(call("call_webhook")),
        Just(vec![json!({ "fact": "conversation.group" })]).prop_map(call("route_to_group")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn every_form_survives_the_way_to_a_rule_and_back(
        when in prop::option::of(conditions()),
        actions in prop::collection::vec(actions(), 1..4),
        position in prop::option::of(-9i64..900),
        chain in prop::option::of(any::<bool>()),
    ) {
        let form = Form {
            name: "A".to_owned(), about: "Why.\n\nMore of it".to_owned(), on: vec!["message.received".to_owned()],
            position, chain, when, actions, ..Form::default()
        };
        let source = form.to_source().unwrap();
        let read = Form::from_source(&source);
        prop_assert_eq!(read.as_ref(), Ok(&form.simplified()), "{}", source);
        // And from the rule's side: what was read writes the same file.
        prop_assert_eq!(read.unwrap().to_source().unwrap(), source);
    }
}
