//! How an outcome differs from the expected one, place by place.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

/// One place where a case did not come out as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is about and the place in it: `outcome/events/0/body`, `call 2/form`, `log`.
    pub at: String,
    /// What the case says; `null` when nothing may be there.
    pub expected: Value,
    /// What came; `null` when nothing did.
    pub actual: Value,
}

impl Difference {
    pub(crate) fn new(at: impl Into<String>, expected: impl Into<Value>, actual: impl Into<Value>) -> Self {
        Self { at: at.into(), expected: expected.into(), actual: actual.into() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |value: &Value| if value.is_null() { "nothing".to_owned() } else { value.to_string() };
        write!(f, "{}: expected {}, but it was {}", self.at, word(&self.expected), word(&self.actual))
    }
}

/// Without members that are `null` or `[]`.
pub fn pruned(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().map(|(name, member)| (name, pruned(member)));
            Value::Object(kept.filter(|(_, member)| !member.is_null() && *member != json!([])).collect())
        }
        Value::Array(items) => items.into_iter().map(pruned).collect(),
        other => other,
    }
}

/// Every place where two values differ, pruned.
pub(crate) fn between(at: &str, expected: Value, actual: Value) -> Vec<Difference> {
    let mut found = Vec::new();
    collect(at, &pruned(expected), &pruned(actual), &mut found);
    found
}

fn collect(at: &str, expected: &Value, actual: &Value, found: &mut Vec<Difference>) {
    let absent = Value::Null;
    match (expected, actual) {
        (Value::Object(left), Value::Object(right)) => {
            for (name, member) in left {
                collect(&format!("{at}/{name}"), member, right.get(name).unwrap_or(&absent), found);
            }
            for (name, member) in right.iter().filter(|(name, _)| !left.contains_key(*name)) {
                collect(&format!("{at}/{name}"), &absent, member, found);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for index in 0..left.len().max(right.len()) {
                let item = |items: &[Value]| items.get(index).cloned().unwrap_or_default();
                collect(&format!("{at}/{index}"), &item(left), &item(right), found);
            }
        }
        _ if expected == actual => {}
        _ => found.push(Difference::new(at, expected.clone(), actual.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_named_by_itself() {
        let expected = json!({ "a": [1, { "b": 2 }], "c": null, "d": [] });
        assert_eq!(between("outcome", expected.clone(), json!({ "a": [1, { "b": 2 }] })), []);
        let found = between("outcome", expected, json!({ "a": [1, { "b": 3 }, 4], "e": "x" }));
        let shown: Vec<_> = found.iter().map(Difference::to_string).collect();
        assert_eq!(
            shown,
            [
                "outcome/a/1/b: expected 2, but it was 3",
                "outcome/a/2: expected nothing, but it was 4",
                "outcome/e: expected nothing, but it was \"x\"",
            ]
        );
    }
}
