//! Nothing of a secret or of a message may show in logs or failures.

use serde_json::Value;

use crate::case::{Case, Run};
use crate::difference::Difference;

/// Shorter texts are found everywhere by chance, bytes.
const TEXT_BYTES_MIN: usize = 4;
/// What vendors and we call the text of a message.
const TEXT_MEMBERS: [&str; 5] = ["value", "text", "caption", "body", "Body"];

/// What leaked; the difference says where, and never what.
pub(crate) fn find(case: &Case, outcome: &Value, log: &[String]) -> Vec<Difference> {
    let long = |text: &String| text.len() >= TEXT_BYTES_MIN;
    let secrets: Vec<&String> = case.context.secrets.values().filter(|value| long(value)).collect();
    let mut texts = written(case);
    texts.retain(long);
    let holds = |text: &str, all: &[&String]| all.iter().any(|one| text.contains(one.as_str()));
    let texts: Vec<&String> = texts.iter().collect();
    let mut found = Vec::new();
    let mut check = |at: &str, what: &str, leaks: bool| {
        if leaks {
            found.push(Difference::new(at, format!("no {what}"), what));
        }
    };
    check("outcome", "secret", holds(&outcome.to_string(), &secrets));
    for line in log {
        check("log", "secret", holds(line, &secrets));
        check("log", "text of a message", holds(line, &texts));
    }
    for failure in failures(outcome) {
        check("failure", "text of a message", holds(&failure.to_string(), &texts));
    }
    found
}

fn failures(outcome: &Value) -> Vec<&Value> {
    let events = outcome["events"].as_array().into_iter().flatten();
    let delivered = events.map(|event| &event["body"]["value"]["delivery"]["failure"]);
    std::iter::once(&outcome["failure"]).chain(delivered).filter(|failure| !failure.is_null()).collect()
}

/// Texts that a contact or an agent wrote.
fn written(case: &Case) -> Vec<String> {
    match &case.run {
        Run::Send(message) => texts(&message["content"]),
        Run::Assist(task) => texts(&task["conversation"]),
        Run::Webhook(request) => match serde_json::from_slice(&request.body) {
            Ok(json) => texts(&json),
            Err(_) => url::form_urlencoded::parse(&request.body)
                .filter(|(name, _)| TEXT_MEMBERS.contains(&name.as_ref()))
                .map(|(_, value)| value.into_owned())
                .collect(),
        },
        Run::Account(_)
        | Run::Media(_)
        | Run::Session(_)
        | Run::Templates(_)
        | Run::Backfill { .. }
        | Run::Validate => vec![],
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, member)| match member {
                Value::String(text) if TEXT_MEMBERS.contains(&name.as_str()) => vec![text.clone()],
                other => texts(other),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        _ => vec![],
    }
}
