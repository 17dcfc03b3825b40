//! What a plugin makes of a vendor that refuses, breaks or keeps silent, on the last call of every recorded send.
//! Wrong words here cost money: "not performed" sends a message twice, "unknown" loses one.

use pointsman_cases::Answer;

use super::super::wire::{Certainty, Failure, FailureKind, Receipt, Retry};
use super::vendor::{Made, Vendor};
use super::{Conformance, Sending};

/// What `Retry-After` says where it is sent, seconds.
const RETRY_AFTER_S: u64 = 7;
const PAGE: &str = "<html><body>502 Bad Gateway</body></html>";

/// What may come of an answer.
#[derive(Clone, Copy)]
enum Rule {
    /// Nothing was done, and a repeat is of no use.
    Refused,
    /// Nothing was done; the credentials are wrong.
    Credentials,
    /// Nothing was done; later it may work.
    Later,
    /// Nothing was done; not before so many milliseconds.
    NotBefore(u64),
    /// Nobody knows whether it was done, unless the call may be repeated without harm.
    Unclear,
    /// A receipt, or a failure that does not say that nothing was done.
    NotDenied,
    /// It only must not break.
    Any,
}

pub(super) async fn check(from: &Sending<'_>, found: &mut Conformance) {
    let calls = from.case.urls().count();
    if calls == 0 || !is_sent(from, calls).await {
        return;
    }
    for (what, answer, rule) in table() {
        let vendor = Vendor::new(from.case.script(), calls - 1, answer);
        let (outcome, made) = vendor.send(from, &from.message).await;
        let problem = match &outcome {
            Ok(receipt) => taken(rule, receipt),
            // Earlier calls may have sent a part, and only the plugin knows.
            Err(failure) if calls > 1 && failure.effect == Certainty::Performed => from.leak(failure),
            Err(failure) => failed(rule, failure, made.get(calls - 1)).or_else(|| from.leak(failure)),
        };
        found.tried(from.case, what, problem);
    }
}

/// Does the recorded exchange end with a receipt?
async fn is_sent(from: &Sending<'_>, calls: usize) -> bool {
    let silent = Answer::Refused("no further call is recorded".into());
    let (outcome, _) = Vendor::new(from.case.script(), calls, silent).send(from, &from.message).await;
    outcome.is_ok()
}

fn table() -> Vec<(&'static str, Answer, Rule)> {
    let status = |status: u16| Answer::Response {
        status,
        headers: vec![("content-type".into(), "application/json".into())],
        body: b"{}".to_vec(),
    };
    let page = |status: u16| Answer::Response {
        status,
        headers: vec![("content-type".into(), "text/html".into())],
        body: PAGE.into(),
    };
    let slower = Answer::Response {
        status: 429,
        headers: vec![("retry-after".into(), RETRY_AFTER_S.to_string())],
        body: b"{}".to_vec(),
    };
    vec![
        ("HTTP 400", status(400), Rule::Refused),
        ("HTTP 401", status(401), Rule::Credentials),
        ("HTTP 403", status(403), Rule::Refused),
        ("HTTP 404", status(404), Rule::Refused),
        ("HTTP 409", status(409), Rule::Any),
        ("HTTP 413", status(413), Rule::Refused),
        ("HTTP 429", status(429), Rule::Later),
        ("HTTP 429 with Retry-After", slower, Rule::NotBefore(RETRY_AFTER_S * 1_000)),
        ("HTTP 500", status(500), Rule::Unclear),
        ("HTTP 502 with a page", page(502), Rule::Unclear),
        ("HTTP 503", status(503), Rule::Unclear),
        ("no connection", Answer::NotSent("the connection was refused".into()), Rule::Later),
        ("a lost answer", Answer::Unclear("the answer did not arrive".into()), Rule::Unclear),
        ("a page instead of JSON", page(200), Rule::NotDenied),
        ("an empty answer", Answer::Response { status: 200, headers: vec![], body: vec![] }, Rule::NotDenied),
    ]
}

fn taken(rule: Rule, _: &Receipt) -> Option<String> {
    match rule {
        Rule::NotDenied | Rule::Any => None,
        _ => Some("it says that the message was sent; answer a failure".into()),
    }
}

fn failed(rule: Rule, failure: &Failure, call: Option<&Made>) -> Option<String> {
    if failure.kind == FailureKind::Internal {
        return Some(format!("it broke: {}", failure.message));
    }
    let is_done = failure.effect != Certainty::NotPerformed;
    let is_repeated = matches!(failure.retry, Retry::After { .. });
    let is_harmless = call.is_some_and(|call| call.harmless);
    let wrong = |sentence: &str| Some(sentence.to_owned());
    match rule {
        Rule::Refused | Rule::Credentials | Rule::Later | Rule::NotBefore(_) if is_done => {
            wrong("nothing was done at the vendor, so the effect is `not-performed`")
        }
        Rule::Refused if is_repeated => wrong("a repeat is of no use, so it must not be tried again"),
        Rule::Credentials if failure.kind != FailureKind::AuthFailed => {
            wrong("wrong credentials are `auth-failed`")
        }
        Rule::Credentials if is_repeated => {
            wrong("wrong credentials stay wrong, so it must not be tried again by itself")
        }
        Rule::Later if !is_repeated => wrong("later it may work, so it is tried again: `after`"),
        Rule::NotBefore(least_ms) => match failure.retry {
            Retry::After { ms } if ms >= least_ms => None,
            _ => Some(format!(
                "the vendor asks to wait: `after({least_ms})`; `Response::retry_after_ms` reads it"
            )),
        },
        Rule::Unclear | Rule::NotDenied if !is_done && !is_harmless => {
            wrong("the vendor may have acted, so the effect is not `not-performed`")
        }
        Rule::Unclear if is_repeated && !is_harmless => {
            wrong("the vendor may have acted, so it must not be tried again by itself")
        }
        _ => None,
    }
}
