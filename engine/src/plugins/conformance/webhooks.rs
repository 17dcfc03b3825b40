//! Recorded webhooks as proxies, forgers and broken vendors change them. What is signed stays refused without its
//! proof, and nothing crashes a plugin.

use std::collections::BTreeMap;

use pointsman_cases::{Case, Request};
use serde_json::Value;

use super::super::Plugin;
use super::super::cases::{self, webhook};
use super::super::wire::Verdict;
use super::Conformance;

/// How often a body is repeated where it is made long.
const LONG: usize = 10;

pub(super) async fn check(plugin: &Plugin, case: &Case, request: &Request, found: &mut Conformance) {
    let channel = cases::context(case, &case.context.secrets);
    let outcome = webhook::outcome(plugin, &channel, request).await;
    if outcome["verdict"] != "accept" {
        return;
    }
    let moved = webhook::outcome(plugin, &channel, &headers_moved(request)).await;
    let problem = (moved != outcome).then(|| "another order of the headers gives another outcome".to_owned());
    found.tried(case, "headers in another order", problem);
    for (what, changed) in odd(request) {
        let crash = webhook::outcome(plugin, &channel, &changed).await;
        let problem = crash.get("crash").and_then(Value::as_str).map(str::to_owned);
        found.tried(case, what, problem);
    }
    if !plugin.capabilities(&channel.kind).is_some_and(|can| can.unsigned_webhooks) {
        let others: BTreeMap<_, _> =
            case.context.secrets.keys().map(|it| (it.clone(), "another".into())).collect();
        let channel = cases::context(case, &others);
        let verdict = plugin.authenticate(&channel, &webhook::request(request)).await;
        let problem = match verdict {
            Ok(Verdict::Reject(_)) => None,
            Ok(_) => Some("it is taken, although every secret is another one".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        found.tried(case, "other secrets", problem);
    }
}

/// The last header first; the order of repeats of one name stays.
fn headers_moved(request: &Request) -> Request {
    let mut moved = request.clone();
    moved.headers.sort_by(|(one, _), (other, _)| other.cmp(one));
    moved
}

fn odd(request: &Request) -> Vec<(&'static str, Request)> {
    let with_body = |body: Vec<u8>| Request { body, ..request.clone() };
    vec![
        ("no body", with_body(Vec::new())),
        ("half a body", with_body(request.body[..request.body.len() / 2].to_vec())),
        ("the body ten times", with_body(request.body.repeat(LONG))),
        ("a body that is no text", with_body(vec![0xff; 64])),
        ("no headers", Request { headers: Vec::new(), ..request.clone() }),
        ("another method", Request { method: "PUT".into(), ..request.clone() }),
    ]
}
