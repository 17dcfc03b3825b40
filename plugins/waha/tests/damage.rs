//! Every recorded webhook with one part of it replaced by something else: the
//! plugin must answer, whatever it answers.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use pointsman_plugin::webhook::Request;
use pointsman_plugin::{Context, Provider};
use pointsman_waha::Waha;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The webhooks of the cases that are JSON.
fn recorded() -> Vec<Value> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let folders = std::fs::read_dir(cases).unwrap();
    let bodies = folders.filter_map(|it| std::fs::read(it.unwrap().path().join("request.json")).ok());
    bodies.filter_map(|body| serde_json::from_slice(&body).ok()).collect()
}

/// Where there is anything in a value, as pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| places(member, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| places(item, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

fn anything() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|it| json!(it)),
        ".{0,40}".prop_map(Value::from),
        "[a-z0-9@._:/-]{0,60}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({ "id": ["x"] })),
        Just(json!([null, 1, "x", [[]], {}])),
    ]
}

fn context() -> Context {
    Context {
        channel_id: "chn_1".into(),
        kind: "whatsapp".into(),
        address: "+79222222222".into(),
        settings:
            json!({ "session": "desk_42", "groups": true, "api_url": "https://api.1msg.io/VID100000001" })
                .to_string(),
        secrets_set: vec![],
        webhook_url: "https://us.test/hooks/k".into(),
        now: 1_767_225_700_000,
        locale: "en".into(),
        extras: vec![],
    }
}

proptest! {
    #[test]
    fn a_damaged_webhook_is_survived(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        something in anything(),
    ) {
        let all = recorded();
        let mut body = which.get(&all).clone();
        let mut pointers = vec![];
        places(&body, "", &mut pointers);
        if let Some(target) = body.pointer_mut(place.get::<String>(&pointers)) {
            *target = something;
        }
        let request = Request {
            method: "POST".into(),
            url: "https://us.test/hooks/k".into(),
            query: vec![],
            headers: vec![],
            body: body.to_string().into_bytes(),
            remote_address: None,
        };
        Waha::authenticate(&context(), &request);
        // The same bytes give the same events.
        prop_assert_eq!(Waha::parse(&context(), &request), Waha::parse(&context(), &request));
    }
}
