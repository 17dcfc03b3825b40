//! Nothing of a secret or of a message may show in logs or failures.

use serde_json::Value;

use super::case::Case;
use crate::log::Level;

/// Shorter texts are found everywhere by chance.
const TEXT_BYTES_MIN: usize = 4;

pub(super) fn check(case: &Case, outcome: &Value, lines: &[(Level, String)]) -> Result<(), String> {
    let secrets = || case.secrets.values().filter(|value| value.len() >= TEXT_BYTES_MIN);
    let everything = outcome.to_string();
    if secrets().any(|secret| everything.contains(secret.as_str())) {
        return Err("the outcome holds a secret".into());
    }
    let mut public: Vec<String> = lines.iter().map(|(_, line)| line.clone()).collect();
    let failures = [&outcome["failure"]].into_iter().chain(
        outcome["events"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|event| &event["body"]["value"]["delivery"]["failure"]),
    );
    public.extend(failures.filter(|failure| !failure.is_null()).map(Value::to_string));
    let texts: Vec<String> =
        case.private_texts().into_iter().filter(|text| text.len() >= TEXT_BYTES_MIN).collect();
    for line in &public {
        if secrets().any(|secret| line.contains(secret.as_str())) {
            return Err("a log line holds a secret".into());
        }
        if texts.iter().any(|text| line.contains(text.as_str())) {
            return Err("a log line or a failure quotes the text of a message".into());
        }
    }
    Ok(())
}
