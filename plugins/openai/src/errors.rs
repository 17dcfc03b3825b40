//! What refusals mean. OpenAI's form is `{"error":{"message","type","param","code"}}`;
//! vLLM leaves the outer object out, some servers send plain text. Words of a 400
//! may quote the question, so only codes of those are passed on.

use pointsman_plugin::http::Response;
use pointsman_plugin::{Certainty, Failure, FailureKind, Retry};
use serde_json::Value;

/// The error object, wherever it stands; null when there is none.
fn error(response: &Response) -> Value {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    match &body["error"] {
        inner @ Value::Object(_) => inner.clone(),
        Value::String(message) => serde_json::json!({ "message": message }),
        _ => body,
    }
}

/// The word that machines are meant to read: `code`, else `type`.
pub(crate) fn code(response: &Response) -> String {
    let error = error(response);
    let word = |name: &str| error[name].as_str().filter(|word| !word.is_empty()).map(str::to_owned);
    word("code").or_else(|| word("type")).unwrap_or_default()
}

/// What a server says against the form of a question; `None` when it says something else.
pub(crate) fn complaint(response: &Response) -> Option<String> {
    if !matches!(response.status, 400 | 422) {
        return None;
    }
    let error = error(response);
    Some(format!("{} {}", error["param"].as_str().unwrap_or(""), error["message"].as_str().unwrap_or("")))
}

/// The failure that a refusal is.
pub(crate) fn refusal(response: &Response) -> Failure {
    use {FailureKind as K, Retry as R};
    let error = error(response);
    let said = error["message"].as_str().unwrap_or("");
    let code = code(response);
    let (kind, retry, message) = match (response.status, code.as_str()) {
        (300..=399, _) => (
            K::SettingsInvalid,
            R::AfterOwnerActs,
            "the server sends us to another URL; enter that one as the base URL",
        ),
        (401, _) => {
            (K::AuthFailed, R::AfterOwnerActs, "the server does not accept the API key; enter it again")
        }
        (402, _) | (429, "insufficient_quota" | "billing_hard_limit_reached") => (
            K::QuotaExhausted,
            R::AfterOwnerActs,
            "the account's credit is used up; pay, or raise its limit at the vendor",
        ),
        (403, _) => (
            K::PermissionDenied,
            R::AfterOwnerActs,
            "this API key may not use the model, or not from this country; look at the vendor's project",
        ),
        (404, _) => (
            K::NotFound,
            R::AfterOwnerActs,
            "the server knows no such model or URL; correct the model's name or the base URL",
        ),
        (429, _) => (K::RateLimited, R::After(wait_ms(response)), "the server asks to go slower"),
        (413, _) | (400, "context_length_exceeded") => too_long(),
        (400 | 422, _) if says_too_long(said) => too_long(),
        (400..=499, _) => (
            K::ContentRejected,
            R::Never,
            "the server refused the question; its code says more, its log most",
        ),
        _ => (K::VendorUnavailable, R::After(wait_ms(response)), "the server has an error of its own"),
    };
    let quotable = matches!(response.status, 402 | 403 | 404 | 429) && !said.is_empty();
    let code = (!code.is_empty()).then_some(code);
    let failure = Failure { http_status: Some(response.status), ..Failure::new(kind, message) };
    failure.retry(retry).effect(Certainty::NotPerformed).vendor(code.as_deref(), quotable.then_some(said))
}

fn too_long() -> (FailureKind, Retry, &'static str) {
    let message =
        "the conversation is too long for this model; lower the context budget or take another model";
    (FailureKind::ContentTooLong, Retry::Never, message)
}

/// vLLM and llama.cpp have no code for it.
fn says_too_long(said: &str) -> bool {
    ["context length", "context size", "context window"].iter().any(|words| said.contains(words))
}

/// `retry-after-ms` of OpenAI and Azure, else `retry-after`; 0 leaves it to the host.
fn wait_ms(response: &Response) -> u64 {
    let exact = response.header("retry-after-ms").and_then(|text| text.trim().parse().ok());
    exact.or_else(|| response.retry_after_ms()).unwrap_or(0)
}
