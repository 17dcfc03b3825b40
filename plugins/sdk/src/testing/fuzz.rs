//! Webhooks that no vendor would send and answers that no model would give: recorded
//! ones in which values are replaced by others. Whatever comes, a plugin answers, the
//! same each time, and never panics.

use std::path::Path;

use pointsman_cases::{Answer as Scripted, Case, Run};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::assistant::{Done, Failed, Request};
use crate::http::Answer;
use crate::provider::{Assistant, Provider};
use crate::{Context, Operation, Progress};

/// Set: so many changed webhooks are tried.
const ROUNDS_VARIABLE: &str = "POINTSMAN_FUZZ";
/// Tried when it is not set.
const ROUNDS: u32 = 2_000;
/// Values replaced in one webhook at most.
const CHANGES_MAX: usize = 4;
/// Calls that the host lets one task make; further ones are refused.
const CALLS_MAX: usize = 8;

/// A place, wrapped around the number of places there are, and what is put there.
type Change = (usize, Value);

/// Changes the webhooks of these cases.
///
/// # Panics
/// The plugin panics or contradicts itself; the smallest webhook found is shown.
pub fn webhooks<P: Provider>(cases: &Path) {
    let found = Case::all(cases).unwrap_or_else(|problem| panic!("{problem}"));
    let is_webhook = |case: &Case| match &case.run {
        Run::Webhook(request) => Some((super::context(case), super::webhook::request(request))),
        _ => None,
    };
    let recorded: Vec<_> = found.iter().filter_map(is_webhook).collect();
    let strategy = (0..recorded.len(), prop::collection::vec((any::<usize>(), junk()), 1..=CHANGES_MAX));
    let outcome = TestRunner::new(config()).run(&strategy, |(at, changes)| {
        let (context, mut request) = recorded[at].clone();
        request.body = changed(&request.body, &changes);
        let (verdict, events) = (P::authenticate(&context, &request), P::parse(&context, &request));
        prop_assert!(verdict == P::authenticate(&context, &request), "two verdicts on one webhook");
        prop_assert!(events == P::parse(&context, &request), "two readings of one webhook");
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

fn config() -> Config {
    let given = std::env::var(ROUNDS_VARIABLE).ok().and_then(|rounds| rounds.parse().ok());
    Config { cases: given.unwrap_or(ROUNDS), failure_persistence: None, ..Config::default() }
}

/// Changes the answers to the calls of these cases' tasks.
///
/// # Panics
/// The assistant panics, contradicts itself or calls without end; the smallest change found is shown.
pub fn answers<A: Assistant>(cases: &Path) {
    let found = Case::all(cases).unwrap_or_else(|problem| panic!("{problem}"));
    let task = |case: &Case| match &case.run {
        Run::Assist(task) => {
            let request = super::assistant::read(task).unwrap_or_else(|problem| panic!("{problem}"));
            Some((super::context(case), request, case.script().answers().cloned().collect::<Vec<_>>()))
        }
        _ => None,
    };
    let recorded: Vec<_> = found.iter().filter_map(task).collect();
    let strategy = (0..recorded.len(), prop::collection::vec((any::<usize>(), junk()), 1..=CHANGES_MAX));
    let outcome = TestRunner::new(config()).run(&strategy, |(at, changes)| {
        let (context, request, answers) = &recorded[at];
        let answers: Vec<Scripted> = answers.iter().map(|answer| changed_answer(answer, &changes)).collect();
        let ended = || end::<A>(context, request, &answers);
        let (first, second) = (ended(), ended());
        prop_assert!(first.is_ok(), "it calls without end");
        prop_assert!(first == second, "two outcomes of the same answers");
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

fn changed_answer(answer: &Scripted, changes: &[Change]) -> Scripted {
    match answer {
        Scripted::Response { status, headers, body } => {
            Scripted::Response { status: *status, headers: headers.clone(), body: changed(body, changes) }
        }
        other => other.clone(),
    }
}

/// What a task ends with, given these answers and then none; `Err` when it goes on calling.
fn end<A: Assistant>(
    context: &Context,
    request: &Request,
    answers: &[Scripted],
) -> Result<Result<Done, Failed>, ()> {
    let (context, request) = (context.clone(), request.clone());
    let mut progress = Operation::start(|http| async move { A::assist(&context, request, &http).await });
    for made in 0..=CALLS_MAX {
        match progress {
            Progress::Done(done) => return Ok(Ok(done)),
            Progress::Failed(failed) => return Ok(Err(failed)),
            Progress::Call(operation, _) => {
                let silent = || Answer::NotSent("nobody is there".into());
                progress = operation.resume(answers.get(made).map_or_else(silent, super::operation::answer));
            }
        }
    }
    Err(())
}

/// Values of every type, and such as nobody expects.
fn junk() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(u64::MAX)),
        any::<f64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(|number| json!(number.to_string())),
        Just(json!([])),
        Just(json!({})),
        Just(json!([[null], {"id": {}}])),
        Just(json!("\u{0}")),
    ]
}

/// JSON gets other values, anything else other bytes.
fn changed(body: &[u8], changes: &[Change]) -> Vec<u8> {
    let Ok(mut json) = serde_json::from_slice::<Value>(body) else {
        let mut bytes = body.to_vec();
        for (place, value) in changes.iter().filter(|_| !body.is_empty()) {
            bytes.splice(place % body.len()..place % body.len(), value.to_string().into_bytes());
        }
        return bytes;
    };
    for (place, value) in changes {
        let mut at = place % places(&json);
        put(&mut json, &mut at, value);
    }
    json.to_string().into_bytes()
}

fn places(json: &Value) -> usize {
    1 + match json {
        Value::Array(items) => items.iter().map(places).sum(),
        Value::Object(members) => members.values().map(places).sum(),
        _ => 0,
    }
}

/// Counts down to the place; true once it was reached.
fn put(json: &mut Value, at: &mut usize, value: &Value) -> bool {
    if *at == 0 {
        json.clone_from(value);
        return true;
    }
    *at -= 1;
    match json {
        Value::Array(items) => items.iter_mut().any(|item| put(item, at, value)),
        Value::Object(members) => members.values_mut().any(|member| put(member, at, value)),
        _ => false,
    }
}
