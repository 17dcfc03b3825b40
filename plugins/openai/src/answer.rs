//! Reads what a model wrote. Tolerant of how it is wrapped, strict about what it
//! says: half a JSON object never becomes a message to a contact.

use pointsman_plugin::assistant::{
    Cost, Done, Failed, HandoffReason, Insights, Mood, Outcome, Sentiment, Task, Usage,
};
use pointsman_plugin::http::Response;
use pointsman_plugin::{Failure, FailureKind, Retry};
use serde_json::Value;

use crate::errors;

/// Azure and OpenAI say this when their filter stopped the question or the answer.
const FILTERED: &str = "content_filter";
/// Score of a mood without one.
const MOOD_SCORE: f64 = 0.5;

/// A question that the vendor's filter refused, as an outcome: a person should look at it.
pub(crate) fn filtered(task: &Task, response: &Response) -> Option<Done> {
    let is_filter = response.status == 400
        && matches!(errors::code(response).as_str(), FILTERED | "content_policy_violation");
    (is_filter && *task != Task::Insights).then(|| Done::new(not_allowed("the vendor's filter")))
}

fn not_allowed(who: &str) -> Outcome {
    Outcome::handoff(HandoffReason::NotAllowed, format!("The model did not answer: refused by {who}."))
}

/// What came of the task.
pub(crate) fn read(task: &Task, response: &Response) -> Result<Done, Failed> {
    let body: Value = response.json()?;
    let model = body["model"].as_str().map(str::to_owned);
    let usage = usage(&body["usage"]);
    match outcome(task, &body["choices"][0]) {
        Ok((outcome, confidence)) => Ok(Done { outcome, confidence, model, usage, extras: vec![] }),
        Err(failure) => {
            Err(Failed { failure: Failure { http_status: Some(response.status), ..failure }, model, usage })
        }
    }
}

fn outcome(task: &Task, choice: &Value) -> Result<(Outcome, Option<f64>), Failure> {
    let message = &choice["message"];
    let refused = message["refusal"].as_str().is_some_and(|text| !text.is_empty());
    let is_filtered = choice["finish_reason"] == FILTERED;
    if refused || is_filtered {
        let who = if refused { "the model itself" } else { "the vendor's filter" };
        return match task {
            Task::Insights => {
                let said = format!("there are no insights: refused by {who}");
                Err(Failure::new(FailureKind::ContentRejected, said))
            }
            _ => Ok((not_allowed(who), None)),
        };
    }
    if choice["finish_reason"] == "length" {
        let said = "the model came to its limit of output tokens before it was done; raise the limit, or lower the reasoning effort";
        return Err(Failure::bad_response(said).vendor(Some("length"), None));
    }
    let written = content(&message["content"]);
    let written = without_thoughts(&written).trim();
    if written.is_empty() {
        return Err(nonsense("the model wrote nothing"));
    }
    match (task, object(written)) {
        (Task::Insights, Some(found)) => insights(&found).map(|found| (Outcome::Insights(found), None)),
        (Task::Insights, None) => Err(nonsense("the model's insights are not the JSON that was asked for")),
        (_, Some(found)) => {
            let confidence = found["confidence"].as_f64().map(|value| value.clamp(0.0, 1.0));
            reply(&found).map(|outcome| (outcome, confidence))
        }
        // A server without JSON modes: its text is the reply, unless it was meant to be JSON.
        (_, None) if written.contains(['{', '}']) => Err(nonsense("the model's answer is broken JSON")),
        (_, None) => Ok((Outcome::Reply(written.to_owned()), None)),
    }
}

/// Asking again may well give a better answer.
fn nonsense(said: &str) -> Failure {
    Failure::bad_response(said).retry(Retry::After(0))
}

/// Content is a text, or parts some of which are text.
fn content(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

/// Some servers leave a model's thinking in the text, before the answer.
fn without_thoughts(text: &str) -> &str {
    match text.rsplit_once("</think>") {
        Some((_, answer)) => answer,
        None if text.trim_start().starts_with("<think>") => "",
        None => text,
    }
}

/// The JSON object in a text, with or without a fence or words around it.
fn object(text: &str) -> Option<Value> {
    let inner = text.get(text.find('{')?..=text.rfind('}')?)?;
    serde_json::from_str::<Value>(inner).ok().filter(Value::is_object)
}

fn reply(found: &Value) -> Result<Outcome, Failure> {
    let text = found["text"].as_str().unwrap_or("").trim();
    match found["action"].as_str() {
        Some("reply") if !text.is_empty() => Ok(Outcome::Reply(text.to_owned())),
        Some("reply") => Err(nonsense("the model wrote an empty reply")),
        Some("silence") => Ok(Outcome::Silence),
        Some("handoff") => {
            let reason = match found["reason"].as_str() {
                Some("person_wanted") => HandoffReason::PersonWanted,
                Some("sensitive") => HandoffReason::Sensitive,
                Some("not_allowed") => HandoffReason::NotAllowed,
                _ => HandoffReason::Unsure,
            };
            Ok(Outcome::handoff(reason, found["note"].as_str().unwrap_or("").trim()))
        }
        _ => Err(nonsense("the model's answer names no action that it was offered")),
    }
}

fn insights(found: &Value) -> Result<Insights, Failure> {
    let mood = match found["sentiment"].as_str() {
        Some("negative") => Some((Mood::Negative, -MOOD_SCORE)),
        Some("neutral") => Some((Mood::Neutral, 0.0)),
        Some("positive") => Some((Mood::Positive, MOOD_SCORE)),
        _ => None,
    };
    let text = |name: &str| found[name].as_str().map(str::trim).filter(|text| !text.is_empty());
    let insights = Insights {
        sentiment: mood.map(|(mood, usual)| {
            let score = found["score"].as_f64().map_or(usual, |score| score.clamp(-1.0, 1.0));
            Sentiment { mood, score }
        }),
        summary: text("summary").map(str::to_owned),
        language: text("language").map(str::to_owned),
        extras: vec![],
    };
    if insights.sentiment.is_none() && insights.summary.is_none() {
        return Err(nonsense("the model's insights hold neither a sentiment nor a summary"));
    }
    Ok(insights)
}

/// Tokens, and OpenRouter's `cost` in US dollars; the others tell no money.
fn usage(usage: &Value) -> Option<Usage> {
    let count = |name: &str| usage[name].as_u64().map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    let (input, output) = (count("prompt_tokens")?, count("completion_tokens").unwrap_or(0));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to fit")]
    let micros = |dollars: f64| (0.0..1e9).contains(&dollars).then(|| (dollars * 1e6).round() as u64);
    let cost = usage["cost"].as_f64().and_then(micros);
    Some(Usage {
        cost: cost.map(|micros| Cost { micros, currency: "USD".into() }),
        ..Usage::tokens(input, output)
    })
}
